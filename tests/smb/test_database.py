"""A file that many write and read all the time, as a database on a share:
what it costs the antivirus server is bounded, and no client is stuck.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import threading
import time

import pytest

from lab import OPEN, READ, SHARE_ALL, WRITE, status_of, wait_for

CLIENTS = 4
TIME = 6        # s


@pytest.fixture(scope="module", params=["yes", "no"])
def lab(request, new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", request.param)
    lab.start()
    lab.fake()
    return lab


class Client(threading.Thread):
    """Writes or reads a record again and again, on one handle."""

    def __init__(self, lab, number, writes):
        super().__init__(daemon=True)
        self.smb = lab.connect()
        self.number = number
        self.end = threading.Event()
        self.writes = writes
        self.done = self.denied = 0
        self.longest = 0.0
        self.handle = self.smb.create(
            "base.mdb", DesiredAccess=READ | WRITE, ShareAccess=SHARE_ALL,
            CreateDisposition=OPEN)

    def step(self):
        if self.writes:
            self.smb.write(self.handle, b"%08d" % self.done,
                           64 * self.number)
            return 0
        return status_of(self.smb.read, self.handle, 0, 64)

    def run(self):
        while not self.end.is_set():
            start = time.monotonic()
            self.denied += self.step() != 0
            self.longest = max(self.longest, time.monotonic() - start)
            self.done += 1
            time.sleep(0.01)

    def close(self):
        self.smb.close(self.handle)


def test_many_writers_and_readers(lab):
    allow = "open_on_fail = yes" in open(lab.env["CAVAD_CONF"]).read()
    fake = lab.fakes[0]
    fake.rule("base.mdb", "clean\nfetch yes\ndelay 0.1")
    lab.write_local("base.mdb", b"x" * 4096)
    writers = [Client(lab, i, True) for i in range(CLIENTS)]
    readers = [Client(lab, i, False) for i in range(CLIENTS)]
    end = time.monotonic() + TIME
    for client in writers + readers:
        client.start()
    wait_for("readers who are told that it is busy",
             lambda: lab.counter("scan_busy") > CLIENTS, timeout=60)
    # five tries, then ten seconds without any
    assert len(fake.requests("base.mdb")) <= 5
    wait_for("the end of the time", lambda: time.monotonic() > end)
    for client in writers + readers:
        client.end.set()
    for client in writers + readers:
        client.join()
    for client in readers:
        assert client.denied == (0 if allow else client.done)
    # nobody waits for more than those five tries and their pauses
    tries = [entry["time"] for entry in fake.requests("base.mdb")]
    span = tries[-1] - tries[0]
    for client in writers + readers:
        assert client.done > 20
        assert client.longest < span + 3, (client.longest, span)
        client.close()
    # the last close is a scan that is owed, and nothing moves any more
    wait_for("the verdict", lambda: lab.result("base.mdb") == "clean")
    assert len(lab.connect().loadfile("base.mdb")) == 4096
