"""Waiting, racing, dying: the order of events is forced by a fake server
that waits for a file to appear and fetches through CHECK$ like a real one.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import shutil
import threading
import time

import pytest

from lab import (ACCESS_DENIED, EICAR, OPEN, READ, SHARE_ALL, WRITE,
                 InThread, status_of, wait_for)

TEXT = b"some text that nobody has scanned\n"


@pytest.fixture(scope="module")
def strict(labs):
    lab = labs("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


@pytest.fixture(scope="module")
def standard(labs):
    lab = labs("--engine", "cee", "--profile", "standard")
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


def test_two_readers_cause_one_scan(strict):
    fake = strict.fakes[0]
    strict.write_local("shared.bin", TEXT)
    gate = fake.hold("shared.bin")
    waits = strict.counter("on_demand_scan_requests")
    readers = [InThread(strict.connect().loadfile, "shared.bin")
               for _ in range(2)]
    wait_for("both readers to wait", lambda: strict.counter(
        "on_demand_scan_requests") == waits + 2)
    gate.touch()
    assert [r.result() for r in readers] == [TEXT, TEXT]
    assert len(fake.requests("shared.bin")) == 1


def test_same_connection_goes_on_during_a_scan(strict):
    fake = strict.fakes[0]
    smb = strict.connect()
    strict.write_local("fast.bin", b"fast\n")
    assert smb.loadfile("fast.bin") == b"fast\n"
    strict.write_local("slow.bin", TEXT)
    gate = fake.hold("slow.bin")
    slow = InThread(smb.loadfile, "slow.bin")
    fake.wait_request("slow.bin")
    took = []
    for _ in range(20):
        start = time.monotonic()
        assert smb.loadfile("fast.bin") == b"fast\n"
        took.append(time.monotonic() - start)
    assert slow.is_alive()
    gate.touch()
    assert slow.result() == TEXT
    assert sorted(took)[len(took) // 2] < 0.1, took


def test_changed_during_its_scan_is_scanned_again(strict):
    fake = strict.fakes[0]
    path = strict.write_local("moving.bin", TEXT)
    # Open for writing beforehand: the lease cannot stop this one.
    with open(path, "r+b") as writer:
        gate = fake.hold("moving.bin")
        reader = InThread(strict.connect().loadfile, "moving.bin")
        fake.wait_request("moving.bin")
        writer.write(EICAR)
        writer.flush()
        os.fsync(writer.fileno())
        fake.rule("moving.bin", "infected Eicar-Test\nfetch yes")
        gate.touch()
        with pytest.raises(Exception):
            reader.result()
    assert len(fake.requests("moving.bin")) >= 2
    assert strict.result("moving.bin") == "infected"
    assert strict.counter("scan_changed") >= 1


def test_clean_without_fetching_does_not_count(strict):
    fake = strict.fakes[0]
    strict.write_local("unread.bin", TEXT)
    fake.rule("unread.bin", "clean\nfetch no")
    assert status_of(strict.connect().loadfile,
                     "unread.bin") == ACCESS_DENIED
    assert strict.result("unread.bin") is None
    run = strict.cavactl("scan", str(strict.local("unread.bin")))
    assert run.returncode == 3
    assert "never read the file" in run.stdout


def test_parent_swapped_during_the_fetch(strict):
    """The path leads to another, clean file while the bad one is scanned."""
    fake = strict.fakes[0]
    strict.local("bad").mkdir()
    strict.local("bad").chmod(0o777)
    strict.local("good").mkdir()
    strict.write_local("bad/swap.bin", EICAR)
    strict.write_local("good/swap.bin", b"harmless\n")
    gate = fake.hold("swap.bin", "infected Eicar-Test\nfetch yes")
    refused = strict.counter("check_refused")
    smb = strict.connect()
    fnum = smb.create("bad\\swap.bin", 0, READ, 0, SHARE_ALL, OPEN)
    reader = InThread(smb.read, fnum, 0, 100)
    fake.wait_request("swap.bin")
    strict.local("bad").rename(strict.local("bad.aside"))
    strict.local("good").rename(strict.local("bad"))
    gate.touch()
    with pytest.raises(Exception):
        reader.result()
    # The fetch by the old path met another inode; the scan was done again.
    assert strict.counter("check_refused") > refused
    assert len(fake.requests("swap.bin")) >= 2
    assert strict.result("bad.aside/swap.bin") == "infected"
    assert strict.result("bad/swap.bin") is None
    shutil.rmtree(strict.local("bad"))
    shutil.rmtree(strict.local("bad.aside"))


def read_beside_writers(smb, name):
    """As loadfile(), which shares with readers alone."""
    fnum = smb.create(name, 0, READ, 0, SHARE_ALL, OPEN)
    try:
        return smb.read(fnum, 0, 1000)
    finally:
        smb.close(fnum)


def write_over(smb, name, content):
    """As savefile(), which empties it first."""
    fnum = smb.create(name, 0, WRITE, 0, SHARE_ALL, OPEN)
    smb.write(fnum, content, 0)
    smb.close(fnum)


def test_writer_waits_for_the_scan(strict):
    """The lock of a scan: an open for writing is parked, not refused."""
    fake = strict.fakes[0]
    strict.write_local("locked.bin", TEXT)
    gate = fake.hold("locked.bin")
    reader = InThread(read_beside_writers, strict.connect(), "locked.bin")
    fake.wait_request("locked.bin")
    new = TEXT.upper()
    writer = InThread(write_over, strict.connect(), "locked.bin", new)
    other = strict.connect()
    for _ in range(5):      # round trips, while the writer is parked
        other.chkpath("/")
    assert writer.is_alive()
    assert strict.local("locked.bin").read_bytes() == TEXT
    fake.rule("locked.bin", "clean\nfetch yes")
    gate.touch()
    writer.result()
    assert reader.result() in (TEXT, new)
    assert strict.local("locked.bin").read_bytes() == new


def test_standard_reads_unscanned_but_waits_for_what_is_owed(standard):
    fake = standard.fakes[0]
    standard.write_local("old.bin", TEXT)
    smb = standard.connect()
    assert smb.loadfile("old.bin") == TEXT
    assert fake.requests("old.bin") == []
    gate = fake.hold("owed.bin")
    smb.savefile("owed.bin", TEXT)
    fake.wait_request("owed.bin")
    reader = InThread(standard.connect().loadfile, "owed.bin")
    assert smb.loadfile("old.bin") == TEXT
    assert reader.is_alive()
    gate.touch()
    assert reader.result() == TEXT
    assert standard.result("owed.bin") == "clean"


def test_rename_is_scanned(standard):
    fake = standard.fakes[0]
    standard.write_local("before.bin", TEXT)
    smb = standard.connect()
    smb.rename("before.bin", "after.bin")
    fake.wait_request("after.bin")
    wait_for("a verdict", lambda: standard.result("after.bin") == "clean")


def test_server_dies_during_a_scan(new_lab):
    lab = new_lab("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.start()
    first, second = lab.fake(count=2)
    lab.write_local("file.bin", TEXT)
    first.hold("file.bin")
    second.hold("file.bin")
    reader = InThread(lab.connect().loadfile, "file.bin")
    asked = wait_for("a request", lambda: (
        first if first.requests("file.bin") else
        second if second.requests("file.bin") else None))
    other = second if asked is first else first
    asked.stop()
    other.wait_request("file.bin")
    (other.dir / "go.file.bin").touch()
    assert reader.result() == TEXT
    # No server is left: the answer is immediate, and open_on_fail's.
    other.stop()
    lab.write_local("next.bin", TEXT)
    reader = InThread(lab.connect().loadfile, "next.bin")
    with pytest.raises(Exception):
        reader.result()
    assert reader.took < 10


@pytest.mark.parametrize("signal", ["kill", "stop"])
def test_cavad_restarts_while_a_read_waits(new_lab, signal):
    lab = new_lab("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.start()
    fake = lab.fake()
    lab.write_local("file.bin", TEXT)
    gate = fake.hold("file.bin")
    smb = lab.connect()
    reader = InThread(smb.loadfile, "file.bin")
    fake.wait_request("file.bin")
    lab.sh(signal, "cavad")
    lab.sh("start", "cavad")
    fake.wait_request("file.bin", 2)
    gate.touch()
    assert reader.result() == TEXT
    assert lab.result("file.bin") == "clean"
    assert smb.loadfile("file.bin") == TEXT     # the same smbd still serves
    assert "PANIC" not in lab.log()


@pytest.mark.parametrize("open_on_fail", ["yes", "no"])
def test_smbd_without_cavad(new_lab, open_on_fail):
    lab = new_lab("--engine", "null", "--profile", "strict",
                  "--samba-option", "cava:profile = strict",
                  "--samba-option", "cava:open_on_fail = " + open_on_fail)
    lab.start("smbd")
    lab.write_local("file.bin", TEXT)
    smb = lab.connect()
    status = status_of(smb.loadfile, "file.bin")
    assert status == (0 if open_on_fail == "yes" else ACCESS_DENIED)
    smb.savefile("new.bin", TEXT)
    assert lab.local("new.bin").read_bytes() == TEXT
    # Nobody may enter CHECK$ without the law.
    assert status_of(lab.connect_av) != 0


def test_notices_wait_while_cavad_is_stopped(new_lab):
    """Save as Office does: temporary file, close, rename; cavad is away."""
    lab = new_lab("--engine", "cee", "--profile", "standard")
    lab.start()
    fake = lab.fake()
    smb = lab.connect()
    lab.sh("stop", "cavad")
    smb.savefile("~temporary.tmp", TEXT)
    smb.rename("~temporary.tmp", "report.docx")
    assert lab.result("report.docx") is None
    lab.sh("start", "cavad")
    fake.wait_request("report.docx")
    wait_for("a verdict", lambda: lab.result("report.docx") == "clean")


def test_a_debt_survives_kill_9_of_everything(new_lab):
    lab = new_lab("--engine", "cee", "--profile", "standard")
    lab.start()
    fake = lab.fake()
    smb = lab.connect()
    fake.hold("owed.bin")
    smb.savefile("owed.bin", TEXT)
    fake.wait_request("owed.bin")
    lab.sh("kill", "cavad")
    lab.sh("kill", "smbd")
    fake.rule("owed.bin", "clean\nfetch yes")
    lab.sh("start", "smbd")
    lab.sh("start", "cavad")
    wait_for("a verdict", lambda: lab.result("owed.bin") == "clean")


def test_a_writer_whose_smbd_dies_is_scanned(new_lab):
    """No close ever comes: WILL_WRITE is the debt."""
    lab = new_lab("--engine", "cee", "--profile", "standard")
    lab.start()
    fake = lab.fake()
    smb = lab.connect()
    fnum = smb.create("open.bin", 0, 3, 0, SHARE_ALL, 2)
    smb.write(fnum, TEXT, 0)
    gate = fake.hold("open.bin")
    lab.sh("kill", "smbd")
    fake.wait_request("open.bin")
    lab.sh("start", "smbd")     # or there is nothing to fetch it from
    gate.touch()
    wait_for("a verdict", lambda: lab.result("open.bin") == "clean")


def test_a_writer_is_known_after_a_restart(new_lab):
    """cavad forgot who writes; the next write through the handle says it."""
    lab = new_lab("--engine", "cee", "--profile", "standard")
    lab.start()
    fake = lab.fake()
    smb = lab.connect()
    fnum = smb.create("long.bin", 0, 3, 0, SHARE_ALL, 2)
    smb.write(fnum, TEXT, 0)
    lab.sh("kill", "cavad")
    lab.sh("start", "cavad")
    # It is open for writing, so the verdict is not on the file.
    wait_for("a verdict", lambda: lab.counter("cee_success_count") > 0)
    gate = fake.hold("long.bin", "infected Eicar-Test\nfetch yes")
    smb.write(fnum, EICAR, 0)
    lab.sh("kill", "smbd")
    fake.wait_request("long.bin", 2)
    lab.sh("start", "smbd")
    gate.touch()
    wait_for("a verdict", lambda: lab.result("long.bin") == "infected")


class Toucher(threading.Thread):
    """Sets a file's times once in each scan, which takes long enough that
    the file is quiet when it begins."""

    def __init__(self, lab, name):
        super().__init__(daemon=True)
        lab.write_local(name, TEXT)
        lab.fakes[0].rule(name, "clean\nfetch yes\ndelay 0.3")
        self.lab, self.name = lab, name
        self.ended = threading.Event()
        self.touched = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def requests(self):
        return len(self.lab.fakes[0].requests(self.name))

    def run(self):
        while not self.ended.wait(0.01):
            if self.requests() > self.touched:
                self.touched += 1
                os.utime(self.lab.local(self.name),
                         ns=(0, self.touched * 10 ** 9))


def test_each_scan_is_outrun(strict):
    """No answer is about what the file is by then: the read is refused."""
    with Toucher(strict, "restless.bin") as toucher:
        assert status_of(strict.connect().loadfile,
                         "restless.bin") == ACCESS_DENIED
        assert 3 <= toucher.requests() <= 7
    assert strict.attribute("restless.bin") is None


def test_all_answers_in_one_wait(new_lab):
    """The patience of a read is not each question's: it ends before there
    have been five answers."""
    lab = new_lab("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.configure("settings", "scan_timeout", "1")
    lab.start()
    lab.fake()
    with Toucher(lab, "restless.bin") as toucher:
        assert status_of(lab.connect().loadfile,
                         "restless.bin") == ACCESS_DENIED
        assert toucher.requests() <= 4
