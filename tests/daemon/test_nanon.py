"""A node that has no network to its antivirus servers (NANON).

cavad is in one network namespace and the server in another, with a cable
between them that is pulled and put back. Meanwhile clients get what
open_on_fail says, events are up, and a job waits.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import subprocess

import pytest

from cavad_peer import FAILED, INFECTED, Peer
from cavad_world import World, wait_for
from test_faults import FakeCee
from test_jobs import ended, run_of, start

NO_SERVER = 2
DOWN = {"SW_AVSCAN_CAVA_SERVER_OFFLINE", "SW_AVSCAN_CAVA_ALL_OFFLINE"}


class Namespace:
    """Ends with the process that holds it."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if self.holder.stdout.readline() != b"ready\n":
            self.close()
            pytest.skip("no network namespace can be made here")
        self.prefix = ("nsenter", "--net=/proc/%d/ns/net" % self.holder.pid)

    def ip(self, *words):
        subprocess.run([*self.prefix, "ip", *words], check=True)

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


@pytest.fixture
def node():
    node = Namespace()
    yield node
    node.close()


@pytest.fixture
def cee(node, tmp_path):
    """The server, at the other end of the cable."""
    far = Namespace()
    node.ip("link", "add", "cable", "type", "veth", "peer", "name", "cable",
            "netns", str(far.holder.pid))
    for space, address in ((node, "192.0.2.1/30"), (far, "192.0.2.2/30")):
        space.ip("address", "add", address, "dev", "cable")
        space.ip("link", "set", "cable", "up")
        space.ip("link", "set", "lo", "up")
    cee = FakeCee(tmp_path, "192.0.2.2:12228", far.prefix)
    cee.rule("infected Test")       # needs no fetch to count
    yield cee
    cee.close()
    far.close()


@pytest.fixture
def world(node, cee):
    world = World(servers="[server av]\nserver_uri = cee://%s/\n"
                  "[cee]\nheartbeat_interval = 1\n" % cee.address)
    world.start(prefix=node.prefix)
    yield world
    world.close()


def events(world):
    return {e["name"] for e in world.status()["events"]}


def test_cable(world, node):
    with Peer(world) as peer:
        assert peer.answer(peer.ask(world.file("a"))).result == INFECTED
        node.ip("link", "set", "cable", "down")
        wait_for("the events", lambda: DOWN <= events(world), 60)
        answer = peer.answer(peer.ask(world.file("b"), wait_ms=600000))
        assert (answer.result, answer.reason) == (FAILED, NO_SERVER)
        failed = world.scan(world.file("c")).json
        assert failed["reason"] == "no antivirus server is online"
        run = start(world, paths=[world.root])
        wait_for("the job to wait", lambda:
                 run_of(world, run)["state"] == "paused_system")
        node.ip("link", "set", "cable", "up")
        wait_for("the end of the events", lambda:
                 not DOWN & events(world), 60)
        assert peer.answer(peer.ask(world.root / "b")).result == INFECTED
    last = ended(world, run)
    assert (last["state"], last["unanswered"]) == ("succeeded", 0)
    assert last["infected"] + last["found"] == 3
