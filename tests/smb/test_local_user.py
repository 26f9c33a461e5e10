"""A local user who writes behind smbd's back and puts mtime back.

The verdict attribute is what gives the moment away: IN_ATTRIB comes as it is
written. What was scanned clean is EICAR a moment later, of the same size and
mtime; no read over SMB may ever return it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import ctypes
import mmap
import os
import platform
import random
import struct
import threading
import time

import pytest

from lab import EICAR, InThread

LONG = bool(os.environ.get("CAVA_TEST_LONG"))
TRIES = 200 if LONG else 60
CLEAN = b"clean content, exactly as long as the other".ljust(len(EICAR))
IN_ATTRIB = 4
LIBC = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Waits for a change of a file's attributes."""

    def __init__(self, path):
        self.fd = LIBC.inotify_init1(os.O_CLOEXEC)
        assert self.fd >= 0
        assert LIBC.inotify_add_watch(self.fd, os.fsencode(path),
                                      IN_ATTRIB) >= 0

    def wait(self):
        data = os.read(self.fd, 4096)
        assert struct.unpack_from("iIII", data)[1] == IN_ATTRIB

    def close(self):
        os.close(self.fd)


class Attacker(threading.Thread):
    """Ready before the scan; strikes when the attribute is written."""

    def __init__(self, path, delay):
        super().__init__(daemon=True)
        self.path, self.delay = path, delay
        self.times = os.stat(path)
        self.prepare()
        self.start()

    def prepare(self):
        self.watch = Watch(self.path)

    def moment(self):
        self.watch.wait()
        self.watch.close()

    def answered(self):
        """A reader has been told that the file is clean."""

    def strike(self):
        with open(self.path, "r+b") as out:     # waits for the lease
            out.write(EICAR)

    def run(self):
        self.moment()
        time.sleep(self.delay)
        self.strike()
        os.utime(self.path, ns=(self.times.st_atime_ns,
                                self.times.st_mtime_ns))


class OpenedBefore(Attacker):
    """No lease can be had, and no attribute is written: it is open for
    writing. Strikes when the first reader has its answer."""

    def prepare(self):
        self.go = threading.Event()
        self.out = open(self.path, "r+b", buffering=0)

    def moment(self):
        self.go.wait()

    def answered(self):
        self.go.set()

    def strike(self):
        self.out.write(EICAR)
        self.out.close()


class DirtyMapping(OpenedBefore):
    """Pages that are dirty already: a store into them moves no time."""

    def prepare(self):
        self.go = threading.Event()
        with open(self.path, "r+b") as out:
            self.map = mmap.mmap(out.fileno(), len(EICAR))
        self.map[0:1] = CLEAN[0:1]

    def strike(self):
        self.map[:] = EICAR

    def run(self):
        self.moment()
        time.sleep(self.delay)
        self.strike()
        self.map.close()    # and nothing has moved mtime, perhaps


@pytest.fixture(scope="module")
def lab(labs):
    lab = labs("--engine", "clamd", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.sh("stop", "cavad")
    lab.start("cavad")
    lab.wait_online()
    return lab


def content_over_smb(lab, name):
    try:
        return lab.connect().loadfile(name)
    except Exception:
        return None


@pytest.mark.parametrize("kind", [Attacker, OpenedBefore, DirtyMapping])
@pytest.mark.timeout(200)
def test_restored_mtime(lab, kind):
    dice = random.Random(1)
    struck_clean = 0
    for i in range(TRIES):
        name = "local%s%d.txt" % (kind.__name__, i)
        path = lab.write_local(name, CLEAN)
        attacker = kind(path, dice.choice((0, 0, 0.001, 0.005, 0.02, 0.05)))
        first = content_over_smb(lab, name)
        struck_clean += first == CLEAN
        assert first != EICAR, i
        attacker.answered()
        for _ in range(3):
            assert content_over_smb(lab, name) != EICAR, i
        attacker.join(60)
        assert not attacker.is_alive()
        assert path.read_bytes() == EICAR
        assert content_over_smb(lab, name) is None, i
        path.unlink()
    assert struck_clean > 0     # or nothing was tried


class SlowPage:
    """A page of memory that comes when it is told to: userfaultfd(2)."""

    CALL = {"x86_64": 323, "aarch64": 282}
    API, REGISTER, COPY = 0xC018AA3F, 0xC020AA00, 0xC028AA03

    def __init__(self, content):
        self.content = ctypes.create_string_buffer(content, mmap.PAGESIZE)
        self.fd = LIBC.syscall(self.CALL.get(platform.machine(), -1),
                               os.O_CLOEXEC)
        if self.fd == -1:
            pytest.skip("no userfaultfd here")
        self.map = mmap.mmap(-1, mmap.PAGESIZE,
                             flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self.map)[:len(content)]
        self.at = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.control(self.API, 0xAA, 0, 0)
        self.control(self.REGISTER, self.at, mmap.PAGESIZE, 1, 0)

    def control(self, request, *words):
        data = (ctypes.c_uint64 * 5)(*words)
        assert LIBC.ioctl(self.fd, ctypes.c_ulong(request), data) == 0

    def wait_wanted(self):
        os.read(self.fd, 32)

    def come(self):
        self.control(self.COPY, self.at, ctypes.addressof(self.content),
                     mmap.PAGESIZE, 0, 0)

    def close(self):
        os.close(self.fd)


def test_write_that_takes_its_time(lab):
    """write() moves ctime before it copies the bytes. A scan in between sees
    the old ones under the ctime that the new ones will have."""
    page = SlowPage(EICAR)
    path = lab.write_local("slow.txt", CLEAN)
    out = os.open(path, os.O_WRONLY)
    writer = InThread(os.pwrite, out, page.view, 0)
    page.wait_wanted()
    first = InThread(content_over_smb, lab, "slow.txt")
    first.join(1)       # the scan waits for the writer, who waits for us
    page.come()
    assert writer.result() == len(EICAR)
    assert first.result() != EICAR
    assert content_over_smb(lab, "slow.txt") is None
    os.close(out)
    assert content_over_smb(lab, "slow.txt") is None
    assert lab.result("slow.txt") == "infected"
    page.close()
