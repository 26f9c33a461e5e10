"""An antivirus server that is hostile, slow or flooded, beside a good one.

The hostile one is tests/fakes/fake_cee.py; docs/faults.md lists what it does.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import subprocess
import sys

import pytest

from cavad_peer import CLEAN, FAILED, FULL, TIMEOUT, Peer, decode, ident
from cavad_world import ROOT, World, wait_for

HOSTILE = """500 redirect empty garbage not-http long wrong-id heartbeat
close truncated endless headers wrong-type charset gzip deep entities external
bad-chunk two-lengths early""".split()
LATE = ("slow-drip", "header-drip", "hang")


class FakeCee:
    def __init__(self, directory, listen="127.0.0.1:0", prefix=()):
        self.directory = directory
        self.popen = subprocess.Popen(
            [*prefix, sys.executable, str(ROOT / "tests/fakes/fake_cee.py"),
             "--listen", listen, "--dir", str(directory)],
            stdout=subprocess.PIPE)
        self.address = self.popen.stdout.readline().split()[-1].decode()

    def rule(self, text, name="default"):
        new = self.directory / "new"
        new.write_text(text + "\n")
        new.rename(self.directory / "rules" / name)

    def close(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture
def cee(world):
    cee = FakeCee(world.dir / "cee")
    yield cee
    cee.close()


def with_bad(world, cee, settings="", good=""):
    """The bad one first, which is the one that is asked first."""
    world.write_conf("cavad.conf", settings,
                     "[server bad]\nserver_uri = cee://%s/\n"
                     "[server good]\nserver_uri = clamd:%s\n%s" % (
                         cee.address, world.dir / "clamd.sock", good))
    world.start()


def servers(world):
    return {s["server_name"]: s for s in world.status()["server_status"]}


def up(world, name):
    """How often each event of that name was raised."""
    return [e["count"] for e in world.status()["events"]
            if e["name"] == name]


@pytest.mark.parametrize("rule", HOSTILE)
def test_hostile(world, cee, rule):
    """Its answer is no answer: a failure of its own, and another is asked."""
    with_bad(world, cee)
    cee.rule(rule)
    answer = world.scan(world.file("a")).json
    assert (answer["result"], answer["server"]) == ("clean", "good")
    status = world.status()
    assert status["system_stats"]["cee_failure_count"] == 1
    bad = servers(world)["bad"]
    assert (bad["scan_requests"], bad["scan_failures"]) == (1, 1)
    assert bad["connections"] == 0
    if rule == "early":
        return      # what it sent too much of may be its next answer
    cee.rule("infected Found.It")
    answer = world.scan(world.file("b")).json
    assert (answer["result"], answer["server"]) == ("infected", "bad")
    assert not any(e["name"].endswith("OFFLINE") for e in status["events"])


@pytest.mark.parametrize("rule", LATE)
def test_late(world, cee, rule):
    """Whoever waits has an answer after scan_timeout, and after five such
    scans the other server has them all, those under way included."""
    with_bad(world, cee, "scan_timeout = 1", "connections_maximum = 1\n")
    cee.rule("500", "held")
    cee.rule(rule)
    files = [world.file("f%d" % i) for i in range(5)]
    with Peer(world) as peer:
        held = peer.ask(world.file("held", b"hold it\n"))
        assert world.clamd.held.acquire(timeout=20)
        asked = [peer.ask(f, wait_ms=1000) for f in files]
        for answer in map(peer.answer, asked):
            assert (answer.result, answer.reason) == (FAILED, TIMEOUT)
        wait_for("suspicion", lambda:
                 servers(world)["bad"]["server_state"] == "suspected")
        world.clamd.go.set()
        assert peer.answer(held).server == "good"
        for answer in map(peer.answer, [peer.ask(f) for f in files]):
            assert (answer.result, answer.server) == (CLEAN, "good")
    wait_for("its connections", lambda:
             servers(world)["bad"]["connections"] == 0)
    assert world.status()["system_stats"]["scan_timeouts"] >= 5


def test_slow_server_and_quick_server(world, cee):
    """A hundred files, while each that the slow one has stays there."""
    with_bad(world, cee)
    cee.rule("hang")
    with Peer(world) as peer:
        asked = [peer.ask(world.file("f%d" % i)) for i in range(100)]
        quick = [peer.receive("ANSWER") for _ in range(80)]
    assert {a.server for a in quick} == {"good"}
    assert {a.id for a in quick} <= set(asked)
    assert servers(world)["bad"]["connections"] <= 20


FLOOD = 100000
BATCH = 100


def resident(pid):
    """MB"""
    with open("/proc/%d/statm" % pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20


def flood(peer, path, count, first):
    """Questions about as many different files; bytes of each answer."""
    sizes = set()
    file = ident(path)
    for i in range(first, first + count, BATCH):
        for k in range(i, i + BATCH):
            file.ino = 1 << 40 | k
            peer.send("ASK", id=k, ident=file, path="/nowhere", user="u")
        for _ in range(BATCH):
            answer = decode(peer.sock.recv(65536))
            sizes.add((answer.message, answer.result, answer.reason))
    return sizes


def test_flood(world):
    """scan_maximum is reached, and a hundred thousand more are asked for."""
    world.conf = world.write_conf("cavad.conf", "scan_maximum = 40")
    world.start()
    with Peer(world) as peer, Peer(world) as other:
        held = [peer.ask(world.file("h%d" % i, b"hold")) for i in range(40)]
        assert world.clamd.held.acquire(timeout=20)
        path = world.file("a")
        peer.ask(path)      # all before it have been taken by then
        assert peer.receive("ANSWER").reason == FULL
        refused = {("ANSWER", FAILED, FULL)}
        assert flood(other, path, 2000, 1000000) == refused
        before = resident(world.cavad.pid)
        assert flood(other, path, FLOOD, 2000000) == refused
        assert resident(world.cavad.pid) - before < 4
        status = world.status()
        assert status["system_stats"]["scan_refused"] == FLOOD + 2001
        assert up(world, "CAVA_QUEUE_FULL") == [FLOOD + 2001]
        world.clamd.go.set()
        assert all(peer.answer(i).result == CLEAN for i in held)
        assert other.answer(other.ask(path)).result == CLEAN
    wait_for("the end of the event", lambda:
             not up(world, "CAVA_QUEUE_FULL"), 60)


def test_large_files_do_not_hold_up_small_ones(world):
    """All that may run in the slow lane hangs, and more wait."""
    world.write_conf("cavad.conf", "", "[server av]\nserver_uri = clamd:%s\n"
                     "clamd_size_maximum = 0\n" % (world.dir / "clamd.sock"))
    world.start()
    large = []
    for i in range(10):
        path = world.file("large%d" % i, b"hold")
        os.truncate(path, 101 << 20)
        large.append(path)
    with Peer(world) as peer:
        held = [peer.ask(path) for path in large]
        assert world.clamd.held.acquire(timeout=20)
        for i in range(50):
            answer = peer.answer(peer.ask(world.file("small%d" % i)))
            assert answer.result == CLEAN
        assert world.status()["system_stats"][
            "slow_file_queue_size"] == len(large)
        world.clamd.go.set()
        assert all(peer.answer(i).result == CLEAN for i in held)
