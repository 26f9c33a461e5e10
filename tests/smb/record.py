"""Verdict records (docs/protocol.md): made by hand, as root can, and as they
are found.

A reader has its answer a little before the record is written; so who wants
to see what became of a read waits for the record a moment.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import struct
import time

CLEAN, INFECTED = 1, 2
SECOND = 10 ** 9
PATIENCE = 0.3          # s


def make(size, mtime, stamp, result=CLEAN, engine=b"by hand"):
    return b"CAVA" + struct.pack("<BBHQqqqq", 1, result, 0, size, mtime,
                                 stamp, stamp, 0) + \
        struct.pack("BB", 1, len(engine)) + engine


def put(path, ahead=SECOND // 50, result=CLEAN):
    """A record of the file as it is, T that many ns after this moment."""
    stat = os.stat(path)
    os.setxattr(path, "security.cava",
                make(stat.st_size, stat.st_mtime_ns,
                     time.time_ns() + ahead, result))


def read(path):
    """Its bytes, or None."""
    try:
        return os.getxattr(path, "security.cava")
    except OSError:
        return None


def varint(data):
    """The number, and what follows it."""
    end = next(i for i, byte in enumerate(data) if byte < 0x80) + 1
    return sum((byte & 0x7f) << 7 * i
               for i, byte in enumerate(data[:end])), data[end:]


def of(path):
    """(result, current?) by the record on the file, or None."""
    st = os.stat(path)
    record = read(path)
    if record is None:
        return None
    version, result = record[:2]
    assert version == 2
    _, rest = varint(record[2:])
    size, rest = varint(rest)
    mtime, stamp = struct.unpack_from("<qq", rest)
    return result, (size == st.st_size and mtime == st.st_mtime_ns and
                    stamp - SECOND <= st.st_ctime_ns <= stamp)


def is_current(path):
    try:
        found = of(path)
    except (AssertionError, OSError):
        return False
    return found is not None and found[1]


def settled(path):
    """Its bytes, or None, when it is current, or has had the time to be."""
    end = time.monotonic() + PATIENCE
    while not is_current(path) and time.monotonic() < end:
        time.sleep(0.002)
    return read(path)
