"""cavactl selftest without smbd: each server with a test file that is always
gone afterwards, and what is wrong is said with what mends it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import signal
import subprocess

import pytest

from cavad_world import BIN, EICAR, World, wait_for


@pytest.fixture
def world():
    world = World()
    conf = world.dir / "smb.conf"
    conf.write_text("[global]\n" + "".join(
        "%s = %s\n" % (name, world.dir / "samba") for name in (
            "lock directory", "state directory", "cache directory",
            "private dir", "pid directory")))
    (world.dir / "samba").mkdir()
    yield world
    world.close()


def selftest(world):
    done = world.cavactl("selftest", "--format", "json", "--smb-conf",
                         str(world.dir / "smb.conf"))
    steps = json.loads(done.stdout)["selftest"]
    return done.returncode, {(s["step"], s["about"]): s for s in steps
                             if s["step"] != "server"}, [
        s for s in steps if s["step"] == "server"]


def events(world):
    reply = world.call("GET", "/platform/11/avscan/events")
    return [e["name"] for e in reply.json["events"]]


def test_all_is_well_but_the_share(world):
    world.start()
    status, steps, servers = selftest(world)
    assert [s["result"] for s in servers] == ["ok", "ok"]
    assert servers[1]["text"] == ("the test file is found infected "
                                  "(Eicar-Test-Signature) by av")
    for step in "cavad", "database", "files", "AVVendor":
        assert steps[step, ""]["result"] == "ok", steps
    assert steps["zone", "System"]["result"] == "warning"
    share = steps["share", "CHECK$"]
    assert (share["result"], share["mend"]) == ("failed",
                                                "cavad --setup-share")
    assert status == 3
    assert not list(world.root.iterdir())
    assert "CAVA_SELFTEST" in events(world)
    assert "SW_AVSCAN_CAVA_INFECTED" not in events(world)
    text = world.cavactl("selftest", "--smb-conf",
                         str(world.dir / "smb.conf")).stdout.decode()
    assert "failed   share     CHECK$: it is not there" in text
    assert "-> cavad --setup-share\n" in text
    assert text.endswith("the first one first.\n")


def found(world):
    """In the list of threats, in reports, in the counter of finds."""
    threats = world.call("GET", "/platform/3/antivirus/reports/threats")
    reports = world.call("GET", "/platform/11/antivirus/reports/scans")
    return (len(threats.json["reports"]),
            sum(r["infections"] for r in reports.json["reports"]),
            world.status()["system_stats"]["cee_infected_count"])


def test_it_is_no_threat(world):
    """And only a test file is none."""
    world.start()
    test = world.file(".cavactl-selftest-1", EICAR)
    real = world.file("real", EICAR)
    reply = world.scan(test, selftest=True)
    assert reply.json["result"] == "infected"
    assert found(world) == (0, 0, 0)
    reply = world.scan(real, selftest=True)
    assert reply.code == 400 and "real is no test file" in reply.message
    assert found(world) == (0, 0, 0)
    assert world.scan(real).json["result"] == "infected"
    assert found(world) == (1, 1, 1)
    reply = world.scan(test)        # nobody says that it is one
    assert reply.json["result"] == "infected"
    assert found(world) == (2, 2, 2)


def test_a_server_that_finds_nothing(world):
    world.start()
    world.clamd.reply = lambda fds: b"fd[10]: OK\0"
    status, _, servers = selftest(world)
    assert status == 3
    assert "its answer to a test scan is not" in servers[0]["text"]
    assert servers[1]["text"] == "av says that the test file of EICAR is clean"
    assert servers[1]["mend"]


def test_a_server_that_is_away(world):
    world.start()
    os.unlink(world.dir / "clamd.sock")
    wait_for("it is offline", lambda: world.status()["server_status"][0][
        "server_state"] == "offline")
    status, steps, servers = selftest(world)
    assert status == 3
    assert [s["result"] for s in servers] == ["failed", "failed"]
    assert "no antivirus server is online" in servers[1]["text"]
    assert steps["event", "av"]["result"] == "warning"


def test_one_server_alone(world):
    """The others are not asked, whoever is the least loaded."""
    for name in "ab":
        os.symlink(world.dir / "clamd.sock", world.dir / (name + ".s"))
    other = "".join("[server %s]\nserver_uri = clamd:%s/%s.s\n" % (
        name, world.dir, name) for name in "ab")
    world.write_conf("cavad.conf", "", other)
    world.start()
    path = world.file("x", EICAR)
    for name in "abab":
        assert world.scan(path, server=name).json["server"] == name
    reply = world.scan(path, server="c")
    assert reply.code == 404
    assert "there is no server c" in reply.message


def test_interrupted(world):
    world.start()
    world.clamd.reply = lambda fds: (world.clamd.held.release(),
                                     world.clamd.go.wait(60),
                                     b"fd[10]: OK\0")[2]
    run = subprocess.Popen(
        [str(BIN / "cavactl"), "selftest", "--smb-conf",
         str(world.dir / "smb.conf")], stdout=subprocess.DEVNULL,
        env=dict(os.environ, CAVAD_API_SOCKET=str(world.api_socket)))
    world.clamd.held.acquire(timeout=20)        # the probe
    world.clamd.go.set()
    world.clamd.go.clear()
    wait_for("its test file", lambda: list(world.root.iterdir()))
    world.clamd.held.acquire(timeout=20)
    run.send_signal(signal.SIGINT)
    assert run.wait(20) == 128 + signal.SIGINT
    assert not list(world.root.iterdir())


def test_without_cavad(world):
    done = world.cavactl("selftest")
    assert done.returncode == 4
    assert b"cannot be reached" in done.stderr
