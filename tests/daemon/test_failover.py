"""A scan whose server dies, hangs, talks nonsense or is late is asked of
another one, within the time that SMB would wait.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from cavad_peer import INFECTED, Peer
from cavad_world import ROOT, World, wait_for

SCAN_TIMEOUT = 4
LONG = 30       # less than a scan may take at one server: 10 * SCAN_TIMEOUT
FAULTS = ["close", "garbage", "empty", "500", "302", "redirect", "truncated",
          "not-http", "long", "wrong-id", "heartbeat", "status 0x5 broken",
          "status 0x2", "status 0x77", "hang", "slow-drip"]


class FakeCee:
    def __init__(self, directory):
        self.dir = directory
        directory.mkdir()
        self.popen = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/fakes/fake_cee.py"),
             "--listen", "127.0.0.1:0", "--dir", str(directory)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.port = int(self.popen.stdout.readline().rsplit(":", 1)[1])

    def rule(self, text):
        path = self.dir / "rules" / "default"
        path.with_suffix(".new").write_text(text)
        os.rename(path.with_suffix(".new"), path)

    def scans(self):
        try:
            log = (self.dir / "log.jsonl").read_text()
        except FileNotFoundError:
            return 0
        return sum(json.loads(line)["kind"] == "scan"
                   for line in log.splitlines() if line.endswith("}"))

    def close(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()


@pytest.fixture(scope="module")
def fleet():
    """A cavad with two servers; the first is asked first."""
    world = World("scan_timeout = %d" % SCAN_TIMEOUT, servers="")
    world.cees = [FakeCee(world.dir / ("cee%d" % i)) for i in range(2)]
    conf = world.dir / "cavad.conf"
    conf.write_text(conf.read_text() + "".join(
        "[server cee%d]\nserver_uri = cee://127.0.0.1:%d/vee\n" % (
            i, cee.port) for i, cee in enumerate(world.cees)))
    world.start()
    yield world
    for cee in world.cees:
        cee.close()
    world.close()


def both_online(world):
    """Also after what the last test did: a good answer of the first, so that
    its timeouts are none in a row."""
    for cee in world.cees:
        cee.rule("infected X")
    world.wait_online()
    assert world.scan(world.file("good")).json["server"] == "cee0"


@pytest.mark.parametrize("fault", FAULTS)
def test_one_server_fails(fleet, fault):
    both_online(fleet)
    first, second = fleet.cees
    first.rule(fault)
    asked = first.scans(), second.scans()
    began = time.monotonic()
    said = fleet.scan(fleet.file("f")).json
    assert (said["result"], said["server"]) == ("infected", "cee1")
    assert time.monotonic() - began < LONG
    # a connection that was kept open may be gone: then it is asked anew
    assert asked[0] + 1 <= first.scans() <= asked[0] + 2
    assert second.scans() == asked[1] + 1


@pytest.mark.parametrize("fault", ["hang", "slow-drip", "header-drip"])
def test_reader_has_his_answer_in_time(fleet, fault):
    """One server's silence costs half of scan_timeout, not the reader."""
    both_online(fleet)
    first, second = fleet.cees
    first.rule(fault)
    asked = first.scans(), second.scans()
    with Peer(fleet) as peer:
        answer = peer.answer(peer.ask(fleet.file("r"),
                                      wait_ms=SCAN_TIMEOUT * 1000))
    assert (answer.result, answer.server) == (INFECTED, "cee1")
    assert (first.scans(), second.scans()) == (asked[0] + 1, asked[1] + 1)


@pytest.mark.parametrize("fault", ["close", "garbage", "500"])
def test_every_server_fails(fleet, fault):
    """Each was asked once a try, and nobody is asked for ever."""
    both_online(fleet)
    for cee in fleet.cees:
        cee.rule(fault)
    asked = [cee.scans() for cee in fleet.cees]
    said = fleet.scan(fleet.file("f")).json
    assert said["result"] == "failed"
    more = [cee.scans() - n for cee, n in zip(fleet.cees, asked)]
    assert all(1 <= n <= 8 for n in more)


def test_dies_in_the_middle(fleet):
    both_online(fleet)
    first = fleet.cees[0]
    first.rule("hang")
    asked = first.scans()
    results = []
    began = time.monotonic()
    thread = threading.Thread(
        target=lambda: results.append(fleet.scan(fleet.file("f")).json))
    thread.start()
    wait_for("the first server to be asked",
             lambda: first.scans() == asked + 1)
    first.close()
    thread.join(20)
    assert (results[0]["result"], results[0]["server"]) == ("infected",
                                                            "cee1")
    assert time.monotonic() - began < LONG
    wait_for("cee0 to be offline", lambda: fleet.status()["server_status"][0][
        "server_state"] == "offline")
