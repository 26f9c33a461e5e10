"""Operations that expose, change or replace content, one by one: the rows of
docs/operations.md that no other file shows.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import struct

import pytest
from impacket.smb3 import SessionError

from compound import Compound
from lab import (ACCESS_DENIED, CREATE, DELETE, EICAR, OPEN, OVERWRITE,
                 OVERWRITE_IF, READ, SHARE_ALL, VIRUS_INFECTED, WRITE,
                 InThread, status_of, wait_for)

TEXT = b"nothing wrong with it\n" * 40
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
SUPERSEDE = 0
ALL = 0x0012019F | DELETE

RESUME_KEY, COPYCHUNK, COPYCHUNK_WRITE = 0x140078, 0x1440F2, 0x1480F2
SET_SPARSE, ZERO_DATA, ALLOCATED_RANGES = 0x900C4, 0x980C8, 0x940CF
DUPLICATE_EXTENTS = 0x98344
ALLOCATION_INFO, END_OF_FILE_INFO = 19, 20


@pytest.fixture(scope="module")
def strict(new_lab_of_module):
    lab = new_lab_of_module("--engine", "clamd", "--profile", "strict",
                            "--plain")
    lab.start()
    lab.wait_online()
    return lab


@pytest.fixture(scope="module")
def standard(new_lab_of_module):
    lab = new_lab_of_module("--engine", "clamd", "--profile", "standard")
    lab.start()
    lab.wait_online()
    return lab


class Raw(Compound):
    """One request at a time, with impacket's own calls."""

    def open(self, name, access=ALL, disposition=OPEN, options=0):
        return self.low.create(self.tree, name, access, SHARE_ALL, options,
                               disposition, 0x80)

    def done(self, file):
        self.low.close(self.tree, file)

    def fsctl(self, file, code, data=b"", out=4096):
        return self.low.ioctl(self.tree, file, code, 1, data,
                              maxOutputResponse=out)

    def set_info(self, file, level, data):
        self.low.setInfo(self.tree, file, fileInfoClass=level, inputBlob=data)


@pytest.fixture
def raw():
    made = []

    def get(lab, share=None):
        made.append(Raw(lab, share))
        return made[-1]

    yield get
    for smb in made:
        smb.close()


def raw_status(function, *args):
    try:
        function(*args)
    except SessionError as error:
        return error.get_error_code() & 0xFFFFFFFF
    return 0


def copy_chunk(smb, source, target, length, code=COPYCHUNK_WRITE):
    key = smb.fsctl(source, RESUME_KEY, out=32)[:24]
    chunks = struct.pack("<24sII", key, 1, 0) + \
        struct.pack("<QQII", 0, 0, length, 0)
    smb.fsctl(target, code, chunks, out=12)


def scanned(lab, name, result="clean"):
    wait_for("%s to be %s" % (name, result),
             lambda: lab.result(name) == result)


def clean_file(lab, name, content=TEXT):
    """One with a current verdict; the record is returned."""
    lab.write_local(name, content)
    assert lab.cavactl("scan", str(lab.local(name))).returncode == 0
    return lab.attribute(name)


def scanned_anew(lab, name, record):
    wait_for("%s to be scanned again" % name, lambda: lab.attribute(name)
             not in (None, record) and lab.result(name) == "clean")


# --- expose ---

def test_copy_chunk_from_an_unscanned_file(strict, raw):
    smb = raw(strict)
    strict.write_local("from.bin", EICAR)
    source = smb.open("from.bin", READ)
    target = smb.open("to.bin", ALL, CREATE)
    assert raw_status(copy_chunk, smb, source, target, 68) == ACCESS_DENIED
    assert strict.local("to.bin").read_bytes() == b""
    strict.write_local("fine.bin", TEXT)
    source = smb.open("fine.bin", READ)
    copy_chunk(smb, source, target, len(TEXT))
    smb.done(target)
    assert strict.local("to.bin").read_bytes() == TEXT
    scanned(strict, "to.bin")


def test_copy_chunk_lands_in_a_file_that_is_scanned(standard, raw):
    """Standard lets the source be read; the copy is a written file."""
    smb = raw(standard)
    standard.write_local("from.bin", EICAR)
    target = smb.open("to.bin", ALL, CREATE)
    copy_chunk(smb, smb.open("from.bin", READ), target, 68)
    smb.done(target)
    scanned(standard, "to.bin", "infected")
    assert status_of(standard.connect().loadfile, "to.bin") in DENIED


def test_copy_chunk_into_a_share_without_the_module(strict, raw):
    """The source decides: there is no way out through another share."""
    strict.write_local("out.bin", EICAR)
    smb = raw(strict)
    source = smb.open("out.bin", READ)
    plain = smb.smb.connectTree("plain")
    target = smb.low.create(plain, "out.bin", ALL, SHARE_ALL, 0, CREATE, 0x80)

    def copy():
        key = smb.fsctl(source, RESUME_KEY, out=32)[:24]
        smb.low.ioctl(plain, target, COPYCHUNK_WRITE, 1,
                      struct.pack("<24sIIQQII", key, 1, 0, 0, 0, 68, 0),
                      maxOutputResponse=12)

    assert raw_status(copy) == ACCESS_DENIED
    assert (strict.dir / "data/plain/out.bin").read_bytes() == b""


def test_infected_source_of_a_copy_is_deleted(strict, raw):
    """By another client, and gone with the handle that has the key."""
    strict.write_local("source.bin", TEXT)
    smb = raw(strict)
    source = smb.open("source.bin", ALL)
    smb.fsctl(source, RESUME_KEY, out=32)
    strict.write_local("source.bin", EICAR)
    assert raw_status(smb.set_info, source, END_OF_FILE_INFO,
                      struct.pack("<Q", 60)) == 0
    strict.connect().unlink("source.bin")
    assert strict.local("source.bin").exists()
    smb.done(source)
    wait_for("the file to go",
             lambda: not strict.local("source.bin").exists())


def test_copy_chunk_of_what_has_changed_since(strict, raw):
    """The key of a clean file is none for what it becomes."""
    strict.write_local("later.bin", TEXT)
    smb = raw(strict)
    source = smb.open("later.bin", READ)
    key = smb.fsctl(source, RESUME_KEY, out=32)[:24]
    plain = smb.smb.connectTree("plain")
    target = smb.low.create(plain, "later.bin", ALL, SHARE_ALL, 0, CREATE,
                            0x80)

    def copy(length):
        smb.low.ioctl(plain, target, COPYCHUNK_WRITE, 1,
                      struct.pack("<24sIIQQII", key, 1, 0, 0, 0, length, 0),
                      maxOutputResponse=12)

    copy(len(TEXT))
    assert (strict.dir / "data/plain/later.bin").read_bytes() == TEXT
    strict.write_local("later.bin", EICAR)
    assert raw_status(copy, 68) == ACCESS_DENIED
    assert EICAR not in (strict.dir / "data/plain/later.bin").read_bytes()
    # clean again, it is copied again
    strict.write_local("later.bin", b"+" + TEXT)
    copy(len(TEXT) + 1)
    assert (strict.dir / "data/plain/later.bin").read_bytes() == b"+" + TEXT


def test_clone_of_extents(strict, raw):
    """Gated like a copy where the file system has it; refused elsewhere."""
    smb = raw(strict)
    strict.write_local("clone.bin", EICAR)
    source = smb.open("clone.bin", READ)
    target = smb.open("cloned.bin", ALL, CREATE)
    request = source + struct.pack("<QQQ", 0, 0, 68)
    assert raw_status(smb.fsctl, target, DUPLICATE_EXTENTS, request) != 0
    assert strict.local("cloned.bin").read_bytes() == b""


def test_handle_opened_while_clean(strict):
    """It does not read what somebody else wrote since."""
    clean_file(strict, "held.bin")
    smb = strict.connect()
    handle = smb.create("held.bin", DesiredAccess=READ,
                        ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
    assert smb.read(handle, 0, 100) == TEXT[:100]
    with open(strict.local("held.bin"), "wb") as f:
        f.write(EICAR)
    assert status_of(smb.read, handle, 0, 68) == ACCESS_DENIED
    strict.write_local("held.bin", TEXT)
    smb.close(handle)


def test_written_by_one_read_by_another(strict):
    """While the first still has it open: nobody reads it unscanned."""
    one, two = strict.connect(), strict.connect()
    handle = one.create("both.bin", DesiredAccess=READ | WRITE,
                        ShareAccess=SHARE_ALL, CreateDisposition=CREATE)
    one.write(handle, EICAR, 0)
    other = two.create("both.bin", DesiredAccess=READ,
                       ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
    assert status_of(two.read, other, 0, 68) == ACCESS_DENIED
    # and what the second writes, the first does not read back unscanned
    third = two.create("both.bin", DesiredAccess=WRITE,
                       ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
    two.write(third, EICAR, 0)
    assert status_of(one.read, handle, 0, 68) == ACCESS_DENIED
    one.close(handle)


def test_own_content_ends_with_the_first_foreign_byte(strict):
    """Open read-write, write one byte, read the rest: no."""
    strict.write_local("trick.bin", EICAR)
    smb = strict.connect()
    handle = smb.create("trick.bin", DesiredAccess=READ | WRITE,
                        ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
    smb.write(handle, b"X", 0)
    smb.write(handle, EICAR[:1], 0)
    assert status_of(smb.read, handle, 0, 68) == ACCESS_DENIED
    smb.close(handle)


# --- change ---

def test_end_of_file(strict, raw):
    record = clean_file(strict, "eof.bin")
    smb = raw(strict)
    file = smb.open("eof.bin")
    smb.set_info(file, END_OF_FILE_INFO, struct.pack("<Q", 100))
    assert strict.attribute("eof.bin") is None
    smb.done(file)
    scanned_anew(strict, "eof.bin", record)


def test_allocation(strict, raw):
    record = clean_file(strict, "alloc.bin")
    smb = raw(strict)
    file = smb.open("alloc.bin")
    smb.set_info(file, ALLOCATION_INFO, struct.pack("<Q", 10))
    assert strict.local("alloc.bin").stat().st_size == 10
    assert strict.attribute("alloc.bin") is None
    smb.done(file)
    scanned_anew(strict, "alloc.bin", record)


def test_zero_data(strict, raw):
    """Zeroes in front of a virus that hides behind other bytes."""
    record = clean_file(strict, "zero.bin")
    smb = raw(strict)
    file = smb.open("zero.bin")
    smb.fsctl(file, ZERO_DATA, struct.pack("<QQ", 0, 64))
    assert strict.local("zero.bin").read_bytes()[:64] == b"\0" * 64
    assert strict.attribute("zero.bin") is None
    smb.done(file)
    scanned_anew(strict, "zero.bin", record)


def test_sparse_flag_is_no_content(strict, raw):
    record = clean_file(strict, "sparse.bin")
    smb = raw(strict)
    file = smb.open("sparse.bin")
    before = strict.counter("files_processed")
    smb.fsctl(file, SET_SPARSE, b"\1")
    smb.fsctl(file, ALLOCATED_RANGES, struct.pack("<QQ", 0, 1 << 20))
    smb.done(file)
    assert strict.connect().loadfile("sparse.bin") == TEXT
    assert strict.counter("files_processed") - before <= 1
    assert record is not None


@pytest.mark.parametrize("disposition", [SUPERSEDE, OVERWRITE, OVERWRITE_IF])
def test_replaced_by_an_open(strict, raw, disposition):
    """An infected file may be emptied; what then is written is scanned."""
    name = "replace%d.bin" % disposition
    strict.write_local(name, EICAR)
    assert strict.cavactl("scan", str(strict.local(name))).returncode == 2
    smb = raw(strict)
    file = smb.open(name, ALL, disposition)
    smb.low.write(smb.tree, file, TEXT, 0, len(TEXT))
    smb.done(file)
    assert strict.connect().loadfile(name) == TEXT
    scanned(strict, name)


def test_delete_on_close_of_the_infected(strict):
    strict.write_local("bad.bin", EICAR)
    assert strict.cavactl("scan", str(strict.local("bad.bin"))).returncode == 2
    strict.connect().unlink("bad.bin")
    assert not strict.local("bad.bin").exists()


def test_delete_on_close_of_what_was_written(strict):
    """The scan that was owed ends with the file, and nothing is stuck."""
    smb = strict.connect()
    handle = smb.create("brief.bin", DesiredAccess=READ | WRITE | DELETE,
                        ShareAccess=SHARE_ALL, CreateDisposition=CREATE,
                        CreateOptions=0x1000)
    smb.write(handle, EICAR, 0)
    smb.close(handle)
    assert not strict.local("brief.bin").exists()
    wait_for("nothing to be owed",
             lambda: strict.status()["pending_scans"] == 0)


# --- replace ---

def test_rename_by_handle(strict, raw):
    """FileRenameInformation over an existing clean name."""
    clean_file(strict, "name.bin")
    strict.write_local("new.bin", EICAR)
    smb = raw(strict)
    file = smb.open("new.bin", DELETE | 0x80)
    name = "name.bin".encode("utf-16-le")
    smb.set_info(file, 10, struct.pack("<B7xQI", 1, 0, len(name)) + name)
    smb.done(file)
    scanned(strict, "name.bin", "infected")
    assert status_of(strict.connect().loadfile, "name.bin") in DENIED


def test_hard_links_share_a_verdict(strict):
    clean_file(strict, "first.bin")
    os.link(strict.local("first.bin"), strict.local("second.bin"))
    assert strict.connect().loadfile("second.bin") == TEXT
    with open(strict.local("first.bin"), "wb") as f:
        f.write(EICAR)
    assert status_of(strict.connect().loadfile, "second.bin") in DENIED


# --- the answer to the client ---

def test_denial_status(strict):
    strict.write_local("status.bin", EICAR)
    assert strict.cavactl("scan",
                          str(strict.local("status.bin"))).returncode == 2
    load = strict.connect().loadfile
    assert status_of(load, "status.bin") == VIRUS_INFECTED
    strict.configure("settings", "denial", "access_denied")
    strict.sh("stop", "cavad")
    strict.sh("start", "cavad")
    try:
        strict.wait_online()
        wait_for("the other status", lambda: status_of(
            strict.connect().loadfile, "status.bin") == ACCESS_DENIED)
    finally:
        strict.configure("settings", "denial", "virus_infected")
        strict.sh("stop", "cavad")
        strict.sh("start", "cavad")
        strict.wait_online()


def test_a_long_read_is_one_scan(strict):
    """Read in many pieces, by many reads under way at once."""
    content = os.urandom(3 << 20)
    strict.write_local("long.bin", content)
    before = strict.counter("files_processed")
    readers = [InThread(strict.connect().loadfile, "long.bin")
               for _ in range(3)]
    assert all(r.result() == content for r in readers)
    assert strict.counter("files_processed") - before == 1
