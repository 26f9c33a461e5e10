"""Reads that smbd answers without a thread (vfs_cava/read_now.c): the bytes
are the file's, whatever of it the page cache has.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib

import pytest
from impacket.smb3 import SessionError

from lab import SHARE_ALL, OPEN, READ, wait_for
from scanner import Scanner

SIZE = 200000
CONTENT = os.urandom(SIZE)
END_OF_FILE = 0xC0000011
# offset, length: small, at the limit, over it, over the end, the rest
READS = ((0, 16384), (4096, 65536), (0, 131072), (0, 1 << 20),
         (SIZE - 1000, 65536), (SIZE - 1000, 1000), (SIZE - 70000, 1 << 20),
         (SIZE - 1, 1))


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "clamd", "--profile", "strict",
                            "--samba-option", "cava:zone = System")
    lab.add_share("audited", "vfs objects = cava full_audit",
                  "full_audit:success = all")
    lab.start()
    lab.wait_online()
    return lab


@pytest.fixture
def smb(lab):
    smb = client(lab, lab.env["SHARE"])
    yield smb
    smb.close()


def client(lab, share):
    return Scanner(lab, lab.env["SMB_USER"], lab.env["SMB_PASS"], share)


def read(smb, file, offset, length):
    return smb.low.read(smb.tree, file, offset, length)


def open_file(smb, name):
    return smb.low.create(smb.tree, name, READ, SHARE_ALL, 0, OPEN, 0x80)


CACHED = {"all": [(0, SIZE)], "none": [], "half": [(0, 12288)],
          "holes": [(start, 8192) for start in range(0, SIZE, 16384)]}


def cache(path, parts):
    """The page cache has these (offset, length), and nothing else."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, SIZE, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)    # no reading ahead
    for start, length in parts:
        os.pread(fd, length, start)
    os.close(fd)


def threads(lab):
    """Of the youngest smbd: the one of the client that came last."""
    parent = int((lab.dir / "run" / "smbd.pid").read_text())
    path = pathlib.Path("/proc/%d/task/%d/children" % (parent, parent))
    pids = [int(p) for p in path.read_text().split()]
    return len(os.listdir("/proc/%d/task" % max(pids)))


@pytest.mark.parametrize("cached", CACHED)
@pytest.mark.parametrize("offset, length", READS)
def test_the_bytes_are_the_files(lab, smb, cached, offset, length):
    name = "bytes.bin"
    lab.write_local(name, CONTENT)
    file = open_file(smb, name)
    assert read(smb, file, 0, 1) == CONTENT[:1]     # scanned
    cache(lab.local(name), CACHED[cached])
    got = b""
    while len(got) < min(length, SIZE - offset):
        more = read(smb, file, offset + len(got), length - len(got))
        assert len(more) == min(length, SIZE - offset)      # never short
        got += more
    assert got == CONTENT[offset:offset + length]


def test_the_end_and_behind_it(lab, smb):
    lab.write_local("end.bin", CONTENT)
    file = open_file(smb, "end.bin")
    for offset in (SIZE, SIZE + 5000):
        with pytest.raises(SessionError) as error:
            read(smb, file, offset, 4096)
        assert error.value.get_error_code() & 0xFFFFFFFF == END_OF_FILE


def test_what_has_grown_is_read_to_its_new_end(lab, smb):
    """The length that smbd has seen at the open is none to go by."""
    lab.write_local("grows.bin", CONTENT[:1000])
    file = open_file(smb, "grows.bin")
    assert read(smb, file, 0, 65536) == CONTENT[:1000]
    with open(lab.local("grows.bin"), "ab") as grows:
        grows.write(CONTENT[1000:50000])
    assert read(smb, file, 0, 65536) == CONTENT[:50000]
    assert read(smb, file, 500, 1000) == CONTENT[500:1500]


def test_no_thread_for_what_is_in_memory(lab, smb):
    lab.write_local("cached.bin", CONTENT)
    file = open_file(smb, "cached.bin")
    read(smb, file, 0, 16384)
    wait_for("threads to end", lambda: threads(lab) == 1)
    for offset, length in READS:
        if length <= 65536:
            read(smb, file, offset, length)
            assert threads(lab) == 1
    read(smb, file, 0, 131072)
    assert threads(lab) == 2


def test_a_module_behind_sees_each_read(lab):
    """full_audit has a hook for reads, so they are left to it."""
    smb = client(lab, "audited")
    (lab.dir / "data" / "audited" / "seen.bin").write_bytes(CONTENT)
    file = open_file(smb, "seen.bin")
    assert read(smb, file, 0, 16384) == CONTENT[:16384]
    assert threads(lab) == 2
    smb.close()
