"""cavactl events: what happened is there after a kill, in pages, and wrong
questions are told what is accepted.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import signal
from urllib.parse import quote

import pytest

from cavad_world import EICAR, THREAT, World, wait_for


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def events(world):
    done = world.cavactl("--format", "json", "events")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["events"]


def named(world, name):
    return [e for e in events(world) if e["name"] == name]


def offline(world):
    return named(world, "SW_AVSCAN_CAVA_SERVER_OFFLINE")


def test_kill_and_come_back(world):
    conf = "[server a]\nserver_uri = clamd:%s\n" % (world.dir / "no.sock")
    world.write_conf("cavad.conf", "", conf)
    cavad = world.launch()
    cavad.wait_log(" ready\n")
    wait_for("the event", lambda: offline(world))
    first = offline(world)[0]
    assert first["about"] == "a" and first["resolve_time"] is None
    cavad.stop(signal.SIGKILL)
    world.launch().wait_log(" ready\n")
    wait_for("the event of now", lambda: len(offline(world)) == 2)
    new, old = offline(world)
    assert old["id"] == first["id"] and old["resolve_time"] is not None
    assert new["id"] > old["id"] and new["resolve_time"] is None


def test_table_and_view(world):
    world.start()
    wait_for("an event", lambda: events(world))
    event = events(world)[-1]
    done = world.cavactl("events")
    head, *rows = done.stdout.decode().splitlines()
    assert head.split() == ["ID", "SINCE", "UNTIL", "COUNT", "SEVERITY",
                            "EVENT", "ABOUT"]
    assert any(event["name"] in row for row in rows)
    done = world.cavactl("events", "view", str(event["id"]))
    assert done.returncode == 0
    assert event["meaning"] in done.stdout.decode()
    done = world.cavactl("--format", "json", "events", "before",
                         str(event["id"]))
    assert all(e["id"] < event["id"]
               for e in json.loads(done.stdout)["events"])


def test_view_of_an_infection(world):
    """Who, from where, in what, by which server, and what was done."""
    world.start()
    path = world.file("bad", EICAR)
    assert world.scan(path).json["result"] == "infected"
    event, = named(world, "SW_AVSCAN_CAVA_INFECTED")
    done = world.cavactl("events", "view", str(event["id"]))
    lines = dict(line.split(None, 1) for line in
                 done.stdout.decode().splitlines() if " " in line.strip())
    assert {"user": "root", "client": "API", "path": str(path),
            "threat": THREAT, "server": "av", "action": "denied"}.items() \
        <= lines.items()


def test_pages(world):
    """One row a page: each event once, in both directions."""
    servers = "".join("[server s%d]\nserver_uri = clamd:%s.%d\n" % (
        n, world.dir / "no.sock", n) for n in range(3))
    world.launch(world.write_conf("pages.conf", "", servers)).wait_log(
        " ready\n")
    wait_for("events", lambda: len(offline(world)) == 3)
    path = "/platform/11/avscan/events"
    for dir, order in (("ASC", 1), ("DESC", -1)):
        reply = world.call("GET", path + "?limit=1&dir=" + dir).json
        ids = [reply["events"][0]["id"]]
        while reply["resume"] is not None:
            reply = world.call("GET", path + "?resume=" +
                               quote(reply["resume"])).json
            ids += [event["id"] for event in reply["events"]]
        assert len(ids) == reply["total"] >= 3
        assert ids == sorted(ids)[::order]
    reply = world.call("GET", path + "?limt=1")
    assert reply.code == 400 and "did you mean limit?" in reply.message


@pytest.mark.parametrize("words, text", [
    (("view", "99999"), "there is no event 99999"),
    (("view", "x"), "x is no number of an event"),
    (("before", "-1"), "-1 is no number of an event"),
])
def test_refused(world, words, text):
    world.start()
    done = world.cavactl("events", *(("--",) + words
                                     if words[1][0] == "-" else words))
    assert done.returncode == 1
    assert text in done.stderr.decode()
