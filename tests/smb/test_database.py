"""A file that many write and read all the time, as a database on a share:
what it costs the antivirus server is bounded, and no client is stuck.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import threading
import time

import pytest

from lab import OPEN, READ, SHARE_ALL, WRITE, status_of, wait_for

CLIENTS = 4


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
            self.denied += self.step() != 0
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
    for client in writers + readers:
        client.start()
    # five tries, then ten seconds without any
    wait_for("answers without a try",
             lambda: lab.counter("scan_busy") > 10 * CLIENTS, 60)
    assert len(fake.requests("base.mdb")) <= 5
    for client in writers + readers:
        client.end.set()
    for client in writers + readers:
        client.join()
    for client in readers:
        assert client.denied == (0 if allow else client.done)
    # writers wait for nobody, readers for those five tries at most
    assert sum(c.done for c in writers) > sum(c.done for c in readers) > 20
    for client in writers + readers:
        client.close()
    # the last close is a scan that is owed, and nothing moves any more
    wait_for("the verdict", lambda: lab.result("base.mdb") == "clean")
    assert len(lab.connect().loadfile("base.mdb")) == 4096
