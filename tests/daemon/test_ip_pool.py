"""ip_pool: where servers are sent to fetch files, and where they may come in.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import collections
import json

import pytest

from cavad_peer import TREE, Peer
from cavad_world import World, wait_for
from test_faults import FakeCee

NOT_OURS = "192.0.2.77"         # of RFC 5737


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


def start(world, pool, servers=None):
    world.write_conf("cavad.conf", servers=servers, ip_pool=pool)
    world.start()
    done = world.cavactl("avvendor", "add", "av")
    assert done.returncode == 0, done.stderr


def up(world):
    """{entry: what is wrong with it}"""
    return {e["about"]: e["message"] for e in world.status()["events"]
            if e["name"] == "SW_AVSCAN_CAVA_IP_POOL"}


def hosts(world, cee, count):
    """How often servers were sent to each host, for so many new files."""
    log = cee.directory / "log.jsonl"
    seen = log.read_text().count("\n") if log.exists() else 0
    for i in range(count):
        reply = world.scan(world.file("f%d.%d" % (seen, i)))
        assert reply.json["result"] == "infected"
    found = collections.Counter()
    for line in log.read_text().splitlines()[seen:]:
        entry = json.loads(line)
        if entry["kind"] == "scan":
            found[entry["unc"].split("\\")[2]] += 1
    return found


def server(cee):
    cee.rule("infected Test")       # needs no fetch to count
    return "[server av]\nserver_uri = cee://%s/\n" % cee.address


def test_in_turn(world, cee):
    start(world, "127.0.0.1, 127.0.0.2", server(cee))
    assert hosts(world, cee, 20) == {"127.0.0.1": 10, "127.0.0.2": 10}
    assert up(world) == {}


def test_without_what_is_not_here(world, cee):
    start(world, "127.0.0.1, %s, 127.0.0.2" % NOT_OURS, server(cee))
    assert hosts(world, cee, 20) == {"127.0.0.1": 10, "127.0.0.2": 10}
    assert list(up(world)) == [NOT_OURS]
    assert "no address of this host" in up(world)[NOT_OURS]


def test_with_nothing_that_is_here(world, cee):
    """Better there than nowhere: it may be the address of a gateway."""
    start(world, NOT_OURS, server(cee))
    assert hosts(world, cee, 3) == {NOT_OURS: 3}


def connects(peer, address):
    said = peer.check(TREE, server_addr=address)
    if not said.allowed:
        assert address in said.reason and "ip_pool" in said.reason
    return bool(said.allowed)


def test_names_have_addresses(world):
    start(world, "localhost")
    with Peer(world, role=1) as peer:
        wait_for("the name", lambda: connects(peer, "127.0.0.1"))
        assert not connects(peer, "127.0.0.2")
        assert not connects(peer, NOT_OURS)
    assert up(world) == {}


def test_a_name_that_is_none(world):
    start(world, "no-such-host.invalid, 127.0.0.1")
    wait_for("the event", lambda: "no-such-host.invalid" in up(world))
    with Peer(world, role=1) as peer:
        assert connects(peer, "127.0.0.1")
        assert not connects(peer, "127.0.0.2")
