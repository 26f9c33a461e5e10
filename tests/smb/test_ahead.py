"""A scan begins with the open, and the read that follows waits for it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pytest

from lab import ACCESS_DENIED, InThread, status_of, wait_for

SHARING_VIOLATION = 0xC0000043
TEXT = b"nobody has scanned it\n"
READ, READ_WRITE, DELETE = 0x00120089, 0x0012019f, 0x00010000


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.start()
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


def begun(lab, name, verdict="clean\nfetch yes"):
    """A file that is open, and whose scan waits for the path to be there."""
    lab.write_local(name, TEXT)
    gate = lab.fakes[0].hold(name, verdict)
    smb = lab.connect()
    file = smb.create(name, DesiredAccess=READ)
    lab.fakes[0].wait_request(name)
    return gate, smb, file


def test_the_read_joins_the_scan_of_the_open(lab):
    gate, smb, file = begun(lab, "a.bin")
    read = InThread(smb.read, file, 0, 100)
    gate.touch()
    assert read.result() == TEXT
    smb.close(file)
    assert len(lab.fakes[0].requests("a.bin")) == 1


def test_scanned_before_it_is_read(lab):
    gate, smb, file = begun(lab, "b.bin")
    gate.touch()
    wait_for("a verdict", lambda: lab.result("b.bin") == "clean")
    assert smb.read(file, 0, 100) == TEXT
    smb.close(file)
    assert len(lab.fakes[0].requests("b.bin")) == 1


def test_infected(lab):
    gate, smb, file = begun(lab, "c.bin", "infected Test\nfetch yes")
    gate.touch()
    wait_for("a verdict", lambda: lab.result("c.bin") == "infected")
    assert status_of(smb.read, file, 0, 100) == ACCESS_DENIED
    smb.close(file)


def test_never_read(lab):
    """Closed, or the connection gone, while the scan is under way."""
    gate, smb, file = begun(lab, "d.bin")
    smb.close(file)
    gate.touch()
    assert smb.loadfile("d.bin") == TEXT
    gate, smb, file = begun(lab, "e.bin")
    del smb
    gate.touch()
    assert lab.connect().loadfile("e.bin") == TEXT


def test_cavad_went_away_in_between(lab):
    gate, smb, file = begun(lab, "f.bin")
    lab.sh("stop", "cavad")
    lab.sh("start", "cavad")
    lab.wait_online()
    gate.touch()
    assert smb.read(file, 0, 100) == TEXT
    smb.close(file)


def test_a_handle_that_can_write_asks_when_it_reads(lab):
    lab.write_local("g.bin", TEXT)
    smb = lab.connect()
    file = smb.create("g.bin", DesiredAccess=READ_WRITE)
    gate, other, beside = begun(lab, "h.bin")   # whose question came later
    gate.touch()
    assert other.read(beside, 0, 100) == TEXT
    assert lab.fakes[0].requests("g.bin") == []
    assert smb.read(file, 0, 100) == TEXT
    assert len(lab.fakes[0].requests("g.bin")) == 1
    smb.close(file)


def test_many_open_files(lab):
    """More than are begun ahead: the others are when they are read."""
    names = ["m%d.bin" % i for i in range(80)]
    for name in names:
        lab.write_local(name, TEXT)
    smb = lab.connect()
    files = [smb.create(name, DesiredAccess=READ) for name in names]
    assert [smb.read(file, 0, 100) for file in files] == [TEXT] * len(names)
    for file in files:
        smb.close(file)


def test_begins_before_the_open_is_done(lab):
    """Told when the request comes: even one that another's share mode
    refuses has its scan begun."""
    lab.write_local("i.bin", TEXT)
    smb = lab.connect()
    holder = smb.create("i.bin", DesiredAccess=DELETE, ShareAccess=0)
    gate = lab.fakes[0].hold("i.bin", "clean\nfetch yes")
    assert status_of(lab.connect().create, "i.bin", 0, READ) == SHARING_VIOLATION
    lab.fakes[0].wait_request("i.bin")
    smb.close(holder)
    gate.touch()
    assert lab.connect().loadfile("i.bin") == TEXT
    assert len(lab.fakes[0].requests("i.bin")) == 1


def test_not_for_who_may_not_read_it(lab):
    lab.write_local("j.bin", TEXT)
    lab.write_local("k.bin", TEXT)
    lab.local("j.bin").chmod(0o600)
    smb = lab.connect()
    assert status_of(smb.create, "j.bin", 0, READ) == ACCESS_DENIED
    assert smb.read(smb.create("k.bin", DesiredAccess=READ), 0, 100) == TEXT
    assert lab.fakes[0].requests("j.bin") == []
