"""A file whose times are set while each scan of it runs: no answer is about
what it is by then, and the read ends all the same.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import threading
import time

import pytest

from lab import ACCESS_DENIED, status_of

NAME = "restless.bin"
TEXT = b"always touched\n"


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.start()
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


class Toucher(threading.Thread):
    """Sets the times once in each scan, which takes long enough that the
    file is quiet when it begins."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.path = lab, lab.local(NAME)
        self.ended = threading.Event()
        self.touched = 0

    def run(self):
        while not self.ended.wait(0.01):
            if len(self.lab.fakes[0].requests(NAME)) > self.touched:
                self.touched += 1
                os.utime(self.path, ns=(0, self.touched * 10 ** 9))


def test_each_scan_is_outrun(lab):
    lab.write_local(NAME, TEXT)
    lab.fakes[0].rule(NAME, "clean\nfetch yes\ndelay 0.3")
    toucher = Toucher(lab)
    toucher.start()
    start = time.monotonic()
    try:
        assert status_of(lab.connect().loadfile, NAME) == ACCESS_DENIED
    finally:
        toucher.ended.set()
        toucher.join()
    assert time.monotonic() - start < 20
    assert 3 <= len(lab.fakes[0].requests(NAME)) <= 7
    assert lab.attribute(NAME) is None
