"""New signatures on an antivirus server: a verdict by older ones is void
when rescan_on_signatures says so. clamd reloads a database that now knows
a file.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import hashlib
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from lab import (ACCESS_DENIED, OPEN, READ, ROOT, SHARE_ALL, VIRUS_INFECTED,
                 status_of, wait_for)

NEW = b"a virus that nobody knows yet\n"
OLD = b"harmless then and now\n"
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
DAY = 86400


@pytest.fixture
def lab(new_lab):
    lab = new_lab("--engine", "clamd", "--profile", "strict")
    conf = pathlib.Path(lab.env["CAVAD_CONF"])
    conf.write_text(conf.read_text() + "\n[cee]\nheartbeat_interval = 1\n")
    learn(lab, time.time() - DAY, b"")
    return lab


def learn(lab, when, content):
    """The database of clamd is from then on of `when`, and knows this."""
    directory = lab.dir / "clamd/db"
    subprocess.run([ROOT / "tests/clamd_db.py", directory, str(int(when))],
                   check=True)
    if content:
        digest = hashlib.md5(content).hexdigest()
        (directory / "new.hdb").write_text(
            "%s:%d:New.Virus\n" % (digest, len(content)))


def clamd_reloads(lab):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(lab.dir / "clamd/clamd.sock"))
        s.sendall(b"zRELOAD\0")
        assert s.recv(100) == b"RELOADING\0"


def signatures(lab):
    return lab.status()["server_status"][0]["signature_timestamp"]


def update(lab):
    before = signatures(lab)
    learn(lab, time.time(), NEW)
    clamd_reloads(lab)
    wait_for("cavad to see it", lambda: signatures(lab) != before)


def start(lab, value):
    lab.configure("settings", "rescan_on_signatures", value)
    lab.start()
    lab.wait_online()
    lab.write_local("new.bin", NEW)
    lab.write_local("old.bin", OLD)
    smb = lab.connect()
    assert smb.loadfile("new.bin") == NEW
    assert smb.loadfile("old.bin") == OLD
    return smb


def processed(lab):
    return lab.counter("files_processed")


def test_read(lab):
    smb = start(lab, "read")
    handle = smb.create("new.bin", DesiredAccess=READ, ShareAccess=SHARE_ALL,
                        CreateDisposition=OPEN)
    assert smb.read(handle, 0, 100) == NEW
    count = processed(lab)
    update(lab)
    # on the handle that is open, and by name; once
    wait_for("the open handle to be stopped", lambda: status_of(
        smb.read, handle, 0, 100) == ACCESS_DENIED)
    assert status_of(lab.connect().loadfile, "new.bin") in DENIED
    assert lab.connect().loadfile("old.bin") == OLD
    assert lab.connect().loadfile("old.bin") == OLD
    assert processed(lab) == count + 2


def test_never(lab):
    smb = start(lab, "never")
    count = processed(lab)
    update(lab)
    assert smb.loadfile("new.bin") == NEW
    assert processed(lab) == count
    # found by hand, it sticks
    run = lab.cavactl("scan", "--force", str(lab.local("new.bin")))
    assert run.returncode == 2 and "New.Virus" in run.stdout


def test_job(lab):
    """Readers go on by the old verdict until a job comes by."""
    smb = start(lab, "job")
    update(lab)
    count = processed(lab)
    assert smb.loadfile("new.bin") == NEW
    assert processed(lab) == count
    run = lab.cavactl("scan", lab.env["SHARE_DIR"])
    assert run.returncode == 2 and "New.Virus" in run.stdout, run.stdout
    assert processed(lab) == count + 2
    assert status_of(lab.connect().loadfile, "new.bin") in DENIED
    # and the signatures it was scanned by are those of now
    run = lab.cavactl("scan", lab.env["SHARE_DIR"])
    assert processed(lab) == count + 2, run.stdout


def test_turned_on_while_it_runs(lab):
    smb = start(lab, "never")
    update(lab)
    assert smb.loadfile("new.bin") == NEW
    lab.configure("settings", "rescan_on_signatures", "read")
    os.kill(int((lab.dir / "run/cavad.pid").read_text()), signal.SIGHUP)
    wait_for("the old verdict to end", lambda: status_of(
        lab.connect().loadfile, "new.bin") in DENIED)
