"""What a real smbd says in its notices, and that what it has put into its
mailbox is scanned, whoever is killed. A stopped cavad reads nothing: so it is
there, unread, when the kill comes.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import contextlib
import os
import signal
import struct

import pytest

from lab import SHARE_ALL, wait_for
from test_operations import CREATE, Raw

TEXT = b"some text that nobody has scanned\n"


@pytest.fixture
def lab(new_lab):
    lab = new_lab("--engine", "null", "--profile", "standard")
    lab.start()
    return lab


@contextlib.contextmanager
def stopped(lab):
    pid = int((lab.dir / "run/cavad.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def write(smb):
    """One file is closed, one stays open: its descriptor."""
    smb.savefile("closed.bin", TEXT)
    fnum = smb.create("open.bin", 0, 3, 0, SHARE_ALL, 2)
    smb.write(fnum, TEXT, 0)
    return fnum


def connect(lab):
    """Once a file was written: cavad has taken the mailbox by then."""
    smb = lab.connect()
    smb.savefile("warm.bin", TEXT)
    wait_for("a verdict", lambda: lab.result("warm.bin") == "clean")
    return smb


def verdicts_come(lab):
    for name in ("closed.bin", "open.bin"):
        wait_for("a verdict on " + name,
                 lambda: lab.result(name) == "clean")
    wait_for("nothing pending",
             lambda: lab.status()["pending_scans"] == 0)


def test_smbd_is_killed(lab):
    smb = connect(lab)
    with stopped(lab):
        write(smb)
        lab.sh("kill", "smbd")
    verdicts_come(lab)


def test_cavad_is_killed(lab):
    """smbd has kept them, and spools them."""
    smb = connect(lab)
    with stopped(lab):
        fnum = write(smb)
        lab.sh("kill", "cavad")
    lab.sh("start", "cavad")
    smb.close(fnum)
    verdicts_come(lab)


def test_cavad_stops(lab):
    smb = connect(lab)
    fnum = write(smb)
    lab.sh("stop", "cavad")
    lab.sh("start", "cavad")
    smb.close(fnum)
    verdicts_come(lab)


def spooled(lab):
    """Kind and path of each notice: u64 seq, u8 kind, ident, str path."""
    data = (lab.dir / "cavad/spool/notices").read_bytes()
    found = []
    while data:
        size, = struct.unpack_from("<I", data)
        m, data = data[4:4 + size], data[4 + size:]
        stream, = struct.unpack_from("<H", m, 8 + 9 + 24)
        at = 8 + 9 + 24 + 2 + stream + 1 + 4
        at += 4 + struct.unpack_from("<I", m, at)[0]
        path, = struct.unpack_from("<H", m, at)
        found.append((m[16], m[at + 2:at + 2 + path].decode()))
    return found


def test_the_path_of_a_close(lab):
    """Is what the file is called by then."""
    WILL_WRITE, CLOSE, RENAME = range(3)
    lab.sh("stop", "cavad")
    smb = Raw(lab)
    old, new = (str(lab.local(n)) for n in ("old.bin", "new.bin"))
    try:
        file = smb.open("old.bin", disposition=CREATE)
        smb.low.write(smb.tree, file, TEXT, 0, len(TEXT))
        smb.done(file)
        assert spooled(lab) == [(WILL_WRITE, old), (CLOSE, old)]
        file = smb.open("old.bin")
        smb.low.write(smb.tree, file, TEXT, 0, len(TEXT))
        name = "new.bin".encode("utf-16-le")
        smb.set_info(file, 10, struct.pack("<B7xQI", 0, 0, len(name)) + name)
        smb.done(file)
        assert spooled(lab)[2:] == [(WILL_WRITE, old), (RENAME, new),
                                    (CLOSE, new)]
    finally:
        smb.close()
