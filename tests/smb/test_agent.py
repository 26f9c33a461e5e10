"""cee_agent and clamd stop or die in the middle of a scan.

A clamd that is stopped by SIGSTOP holds the scan where it is.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import signal

import pytest

from lab import ACCESS_DENIED, InThread, status_of, wait_for

TEXT = b"some text that nobody has scanned\n"


@pytest.fixture
def lab(new_lab):
    lab = new_lab("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    return lab


def clamd(lab, number):
    pid = int((lab.dir / "run" / "clamd.pid").read_text())
    os.kill(pid, number)


def reader_in_a_scan(lab, smb):
    lab.write_local("file.bin", TEXT)
    clamd(lab, signal.SIGSTOP)
    reader = InThread(smb.loadfile, "file.bin")
    wait_for("a scan to be under way", lambda: lab.status()[
        "server_status"][0]["connections"] > 0)
    return reader


def test_agent_dies_during_a_scan(lab):
    lab.start()
    smb = lab.connect()
    reader = reader_in_a_scan(lab, smb)
    try:
        lab.sh("kill", "agent")
    finally:
        clamd(lab, signal.SIGCONT)
    # There is no other server: an answer at once, and it is not "clean".
    assert status_of(reader.result) == ACCESS_DENIED
    assert reader.took < 20
    assert lab.result("file.bin") is None
    lab.sh("start", "agent")
    wait_for("the file to be scanned after all",
             lambda: status_of(lab.connect().loadfile, "file.bin") == 0)
    assert lab.result("file.bin") == "clean"


def test_scan_goes_on_after_its_timeout(lab):
    lab.configure("settings", "scan_timeout", "2")
    lab.start()
    smb = lab.connect()
    reader = reader_in_a_scan(lab, smb)
    try:
        assert status_of(reader.result) == ACCESS_DENIED
        assert 1.5 < reader.took < 10
        assert lab.counter("scan_timeouts") == 1
    finally:
        clamd(lab, signal.SIGCONT)
    wait_for("the verdict", lambda: lab.result("file.bin") == "clean")
    assert lab.connect().loadfile("file.bin") == TEXT
