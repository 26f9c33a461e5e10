"""Servers as an administrator meets them: cavactl servers, servers advise,
and a cavad.conf that changes while cavad runs.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import queue
import random
import signal
import threading
import time

import pytest

from cavad_world import FakeClamd, World, wait_for

ADVISED = [(1, 2), (4, 2), (8, 2), (9, 3), (12, 3), (16, 4), (20, 5),
           (40, 10), (42, 11), (44, 11)]


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def server(world, name, uri, **fields):
    return "[server %s]\nserver_uri = %s\n%s" % (name, uri, "".join(
        "%s = %s\n" % pair for pair in fields.items()))


def clamd(world):
    return "clamd:%s" % (world.dir / "clamd.sock")


def reload(world, servers, settings=""):
    done = world.cavad.log().count("was read again")
    world.write_conf("cavad.conf", settings, servers)
    world.cavad.popen.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda:
             world.cavad.log().count("was read again") > done)
    return world.cavad.log().rsplit("was read again", 1)[1]


def servers(world):
    return {s["server_name"]: s for s in world.status()["server_status"]}


def events(world):
    return {(e["name"], e["about"]) for e in world.status()["events"]}


def test_table(world):
    world.start()
    world.scan(world.file("a"))
    done = world.cavactl("servers")
    assert done.returncode == 0
    head, row = done.stdout.decode().splitlines()
    assert head.split() == ["NAME", "URI", "TYPE", "POOL", "STATE", "VERSION",
                            "SIGNATURES", "RTT", "MS", "CONN", "SCANS",
                            "FAILED"]
    assert row.split()[:5] == ["av", clamd(world), "clamd", "default",
                               "online"]
    assert " 0/20 " in row and row.split()[-2:] == ["1", "0"]
    listed = json.loads(world.cavactl("servers", "--format=json").stdout)
    assert listed["servers"][0]["server_name"] == "av"
    assert listed["servers"][0]["heartbeat_rtt_last"] >= 0


def test_table_without_a_server(world):
    world.write_conf("cavad.conf", servers="")
    world.start()
    assert b"There is no antivirus server" in world.cavactl("servers").stdout


@pytest.mark.parametrize("nodes,wanted", ADVISED)
def test_advise(world, nodes, wanted):
    """Asks nobody: cavad does not run here."""
    done = world.cavactl("servers", "advise", "--nodes", str(nodes),
                         "--format", "json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["servers"] == wanted
    assert said["total"] == 20 * wanted


def test_advise_for_people(world):
    done = world.cavactl("servers", "advise", "--nodes", "44",
                         "--connections", "10")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert lines[3].split() == ["44", "11", "110", "4", "16", "1"]


@pytest.mark.parametrize("option", [
    (), ("--nodes", "0"), ("--nodes", "65536"), ("--nodes", "-1"),
    ("--nodes", "4", "--connections", "0"),
    ("--nodes", "4", "--connections", "101")])
def test_advise_refuses(world, option):
    done = world.cavactl("servers", "advise", *option)
    assert done.returncode == 1
    assert b"a number from 1 to " in done.stderr


def test_servers_come_and_go(world):
    world.start()
    pid = world.cavad.pid
    two = server(world, "av", clamd(world)) + server(world, "nothing",
                                                     "null:", pool="none")
    assert "take effect" not in reload(world, two)
    wait_for("the new one", lambda: servers(world).get("nothing", {}).get(
        "server_state") == "online")
    assert servers(world)["nothing"]["pool"] == "none"
    assert servers(world)["av"]["server_state"] == "online"
    beats = servers(world)["av"]["good_heartbeats"]

    reload(world, server(world, "renamed", clamd(world)))
    now = servers(world)
    assert list(now) == ["renamed"]
    assert now["renamed"]["good_heartbeats"] >= beats
    assert world.scan(world.file("b")).json["server"] == "renamed"

    reload(world, server(world, "renamed", clamd(world), enabled="no"))
    assert servers(world)["renamed"]["server_state"] == "disabled"
    assert ("SW_AVSCAN_CAVA_ALL_DISABLED", "") in events(world)
    failed = world.scan(world.file("c")).json
    assert failed["result"] == "failed"
    assert failed["reason"] == "no antivirus server is online"

    reload(world, "")
    assert servers(world) == {}
    assert {name for name, _ in events(world)} == {
        "SW_AVSCAN_CAVA_NO_SERVER"}
    reload(world, server(world, "av", clamd(world)))
    world.wait_online()
    assert world.scan(world.file("d")).json["result"] == "clean"
    assert world.cavad.pid == pid


def test_removed_in_the_middle_of_a_scan(world):
    """What it says in the next moments still counts."""
    world.start()
    path = world.file("held", b"hold it\n")
    connection = world.connection()
    connection.request("POST", "/platform/11/antivirus/scan",
                       body=json.dumps({"file": str(path)}))
    assert world.clamd.held.acquire(timeout=20)
    reload(world, server(world, "other", "null:"))
    world.clamd.go.set()
    reply = json.loads(connection.getresponse().read())
    connection.close()
    assert (reply["result"], reply["server"]) == ("clean", "av")


def test_too_few(world):
    world.start()
    assert ("SW_AVSCAN_CAVA_TOO_FEW_SERVERS", "") in events(world)
    two = server(world, "av", clamd(world)) + server(world, "b", "null:")
    reload(world, two)
    assert events(world) == set()
    reload(world, two, "nodes = 9")
    about = {e["name"]: e["message"] for e in world.status()["events"]}
    assert "2 of 3 that nodes = 9 wants" in about[
        "SW_AVSCAN_CAVA_TOO_FEW_SERVERS"]


def test_number_of_ctdb(world):
    """Its nodes file: this host is the third line, a fourth is new."""
    nodes = world.dir / "nodes"
    nodes.write_text("203.0.113.1\n#203.0.113.2\n127.0.0.1\n")
    six = "".join(server(world, name, "null:") for name in "abcdef")
    world.write_conf("cavad.conf", "", six)
    world.cavad = world.launch(env={"CTDB_BASE": str(world.dir)})
    world.cavad.wait_log(" ready\n")
    status = "/platform/11/avscan/nodes/%s/status"
    assert world.call("GET", status % 3).json["nodes"][0]["lnn"] == 3
    assert world.call("GET", status % 1).code == 404
    # four of six, from the third on; the second waits
    assert [name for name, s in servers(world).items()
            if s["server_state"] == "standby"] == ["a", "b"]
    nodes.write_text("203.0.113.1\n127.0.0.1\n" + "203.0.113.9\n" * 30)
    reload(world, six)
    assert world.call("GET", status % 2).code == 200
    about = {e["name"]: e["message"] for e in world.status()["events"]}
    assert "6 of 8 that nodes = 32 wants" in about[
        "SW_AVSCAN_CAVA_TOO_FEW_SERVERS"]
    nodes.write_text("203.0.113.1\n")
    reload(world, six)
    assert world.cavad.log().count("names no address of this host") == 1
    assert world.call("GET", status % 1).code == 200


@pytest.mark.parametrize("text,said", [
    ("[filter a]\npool = icap\n", 'pool = "icap": no [server] has this pool'),
    ("[job a]\npool = icap\n", '[job a] pool = "icap": no [server] has this'),
    ("[filter a]\npool = i/c\n", "a name has 1 to 128 characters"),
    ("[server b]\nserver_uri = null:\npool =\n", 'pool = "": empty'),
    ("[cee]\nversion_minimum = new\n", "not numbers and dots"),
])
def test_check_config(world, text, said):
    conf = world.write_conf("other.conf", servers=server(
        world, "av", clamd(world)) + text)
    cavad = world.launch(conf=conf, arguments=("--check-config",))
    assert cavad.popen.wait(20) == 1
    assert said in cavad.log()


class CountingClamd(FakeClamd):
    """Counts what is in progress, heartbeats too."""

    def __init__(self, path, seconds):
        self.seconds = seconds
        self.now = self.most = 0
        self.counting = threading.Lock()
        super().__init__(path)

    def version(self):
        return self.counted(super().version)

    def reply(self, fds):
        return self.counted(super().reply, fds)

    def counted(self, answer, *what):
        with self.counting:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        try:
            return answer(*what)
        finally:
            with self.counting:
                self.now -= 1


@pytest.mark.timeout(100)
def test_storm(world):
    """Servers come, go and change their limits and names while scans run: no
    scan is lost, and no server ever has more than its limit."""
    clamds = [CountingClamd(str(world.dir / ("c%d.sock" % i)), 0.005)
              for i in range(4)]
    dice = random.Random(4711)

    def some():
        text = ""
        for i in range(len(clamds)):
            if i == 0 or dice.random() < 0.6:
                text += server(
                    world, "%s%d" % (dice.choice("ab"), i),
                    "clamd:%s/c%d.sock" % (world.dir, i),
                    connections_maximum=4,
                    enabled="yes" if i == 0 or dice.random() < 0.7 else "no",
                    clamd_size_maximum=dice.choice(("25M", "26M")))
        return text

    world.write_conf("cavad.conf", servers=server(
        world, "a0", "clamd:%s/c0.sock" % world.dir, connections_maximum=4))
    world.start()
    files = [world.file("f%d" % i) for i in range(400)]
    results = queue.Queue()

    def scan(part):
        for path in part:
            results.put(world.scan(path).json)

    threads = [threading.Thread(target=scan, args=(files[i::16],))
               for i in range(16)]
    for thread in threads:
        thread.start()
    reloads = 0
    while any(thread.is_alive() for thread in threads):
        reload(world, some())
        reloads += 1
    for thread in threads:
        thread.join()
    said = [results.get() for _ in files]
    assert [r for r in said if r["result"] != "clean"] == []
    assert reloads > 3
    for clamd in clamds:
        clamd.close()
        assert clamd.most <= 4
    assert clamds[0].most == 4
    wait_for("every connection to be free", lambda: not any(
        s["connections"] for s in world.status()["server_status"]))
