"""cavactl servers probe: the bytes on the wire, of every type of server and in
every state of it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import subprocess
import sys
import threading

import pytest

from cavad_world import ROOT, World, wait_for

PROBE = "/platform/11/avscan/probe"


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


class FakeCee:
    def __init__(self, directory):
        self.dir = directory
        self.popen = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/fakes/fake_cee.py"),
             "--listen", "127.0.0.1:0", "--dir", str(directory)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.port = int(self.popen.stdout.readline().rsplit(":", 1)[1])

    def rule(self, name, text):
        (self.dir / "rules" / name).write_text(text)

    def close(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()


@pytest.fixture
def cee(world):
    directory = world.dir / "cee"
    directory.mkdir()
    fake = FakeCee(directory)
    world.write_conf("cavad.conf", servers="""
[server cee]
server_uri = cee://127.0.0.1:%d/vee
connections_maximum = 1
""" % fake.port)
    yield fake
    fake.close()


def probe(world, name):
    reply = world.call("POST", PROBE, {"server": name})
    assert reply.code == 200, reply.body
    return reply.json["probe"]


def test_clamd(world):
    world.start()
    said = probe(world, "av")
    beat, scan = said["exchanges"]
    assert beat["sent"] == {"bytes": 9, "text": "zVERSION\\x00",
                            "cut": False}
    assert beat["received"]["text"].startswith("ClamAV 1.0.0/27000/")
    assert beat["decoded"]["online"] and beat["decoded"]["av_ok"]
    assert scan["sent"]["text"] == "zIDSESSION\\x00zFILDES\\x00\\x00"
    assert "FOUND" in scan["received"]["text"]
    assert scan["decoded"]["result"] == "infected"
    assert said["good"] and "EICAR" in said["expected"]
    done = world.cavactl("servers", "probe", "AV")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "\n> zVERSION\\x00\n< ClamAV 1.0.0/" in text
    assert "  result: infected\n" in text
    assert "All is well" in text


def test_finds_nothing(world):
    """A clamd that does not know EICAR does not know anything."""
    world.start()
    world.clamd.reply = lambda fds: b"fd[10]: OK\0"
    done = world.cavactl("servers", "probe", "av")
    assert done.returncode == 3
    assert b"not what a good server says" in done.stdout


def test_null(world):
    world.write_conf("cavad.conf", servers="[server n]\nserver_uri = null:\n")
    world.start()
    said = probe(world, "n")
    assert not said["good"]
    assert "sent" not in said["exchanges"][0]
    assert b"sends nothing" in world.cavactl("servers", "probe", "n").stdout


def test_cee(world, cee):
    cee.rule("default", "status 0x3 nowhere to be seen")
    world.start()
    said = probe(world, "cee")
    beat, scan = said["exchanges"]
    sent = beat["sent"]["text"]
    assert sent.startswith("PUT /vee HTTP/1.1\\r\nHost: 127.0.0.1:")
    assert '<Args action="9"' in sent
    assert beat["sent"]["bytes"] > 200
    assert "HTTP/1.1 200 OK\\r\n" in beat["received"]["text"]
    assert "<HeartBeatResponse " in beat["received"]["text"]
    assert beat["decoded"]["version"] == "CEE 9.3.0.0"
    assert '<ScanArgs id="1"' in scan["sent"]["text"]
    assert 'status="0x3"' in scan["received"]["text"]
    assert scan["decoded"]["result"] == "failed"
    assert "nowhere to be seen" in scan["decoded"]["detail"]
    assert said["good"]
    asked = [json.loads(line) for line in
             (cee.dir / "log.jsonl").read_text().splitlines()]
    assert asked[-1]["unc"].split("\\")[3] == "CHECK$"
    assert asked[-1]["unc"].split("\\")[4].startswith("no-such-file-")


@pytest.mark.parametrize("rule", ["clean", "infected X", "garbage", "empty",
                                  "close", "500", "status 0x4 denied"])
def test_cee_that_is_not_good(world, cee, rule):
    cee.rule("default", rule)
    world.start()
    said = probe(world, "cee")
    assert not said["good"]
    assert len(said["exchanges"]) == 2


def test_endless_answer_is_cut(world, cee):
    cee.rule("default", "long")
    world.start()
    said = probe(world, "cee")
    received = said["exchanges"][1]["received"]
    assert received["cut"] and len(received["text"]) < 70000
    assert not said["good"]


def test_disabled_and_offline(world, cee):
    """That is when somebody wants to know."""
    conf = world.dir / "cavad.conf"
    conf.write_text(conf.read_text() + "enabled = no\n[server gone]\n"
                    "server_uri = cee://127.0.0.1:9/vee\n")
    world.cavad = world.launch()
    world.cavad.wait_log(" ready\n")
    cee.rule("default", "status 0x3")
    assert probe(world, "cee")["good"]
    said = probe(world, "gone")
    assert not said["good"]
    assert len(said["exchanges"]) == 1
    assert said["exchanges"][0]["error"] == "Connection refused"
    done = world.cavactl("servers", "probe", "gone")
    assert done.returncode == 3
    assert b"no answer: Connection refused" in done.stdout
    states = {s["server_name"]: s for s in world.status()["server_status"]}
    assert states["cee"]["server_state"] == "disabled"
    assert states["cee"]["connections"] == 0


def test_takes_a_connection(world, cee):
    """With all of them in use it is refused, and asks nobody."""
    gate = world.dir / "gate"
    cee.rule("default", "wait %s\nstatus 0x3" % gate)
    world.start()
    results = []
    first = threading.Thread(
        target=lambda: results.append(probe(world, "cee")))
    first.start()

    def scans():
        log = (cee.dir / "log.jsonl").read_text()
        return log.count('"kind": "scan"')
    wait_for("the first probe's scan", lambda: scans() == 1)
    reply = world.call("POST", PROBE, {"server": "cee"})
    assert reply.code == 503
    assert "connections_maximum" in reply.message
    gate.touch()
    first.join(20)
    assert results[0]["good"]
    assert scans() == 1
    assert (cee.dir / "peak").read_text() == "1\n"


def test_removed_in_the_middle(world, cee):
    gate = world.dir / "gate"
    cee.rule("default", "wait %s\nstatus 0x3" % gate)
    world.start()
    results = []
    first = threading.Thread(
        target=lambda: results.append(probe(world, "cee")))
    first.start()
    wait_for("the probe's scan", lambda: '"kind": "scan"' in
             (cee.dir / "log.jsonl").read_text())
    world.write_conf("cavad.conf", servers="")
    world.cavad.popen.send_signal(1)
    wait_for("the reload", lambda: not world.status()["server_status"])
    gate.touch()
    first.join(20)
    assert results[0]["server_name"] == "cee"
    assert world.status()["server_status"] == []


@pytest.mark.parametrize("body,code,said", [
    ({"server": "nobody"}, 404, "there is no server nobody"),
    ({}, 400, "server is required"),
    ({"server": 1}, 400, "server must be a string"),
    ({"server": ""}, 400, "1 to 128 characters"),
    ({"server": "av", "file": "/etc/passwd"}, 400, "unknown field file"),
])
def test_refused(world, body, code, said):
    world.start()
    reply = world.call("POST", PROBE, body)
    assert reply.code == code
    assert said in reply.message
