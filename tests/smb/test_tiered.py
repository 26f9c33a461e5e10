"""Tiered files: OFFLINE for SMB, and their bytes elsewhere.

A file system that fetches files is not at hand: a file with a hole stands for one
of it, and what counts is that no server is asked to read it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os

import pytest
from samba.dcerpc import xattr
from samba.ndr import ndr_pack

from lab import (ACCESS_DENIED, EICAR, OVERWRITE_IF, SHARE_ALL,
                 VIRUS_INFECTED, WRITE, status_of, wait_for)

SIZE = 1 << 20


@pytest.fixture(scope="module")
def made(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.add_share("hsm", "vfs objects = cava offline")
    lab.start()
    fake = lab.fake()
    return lab, fake


@pytest.fixture
def lab(made):
    made[1].rule("default", "clean\nfetch yes")
    return made[0]


@pytest.fixture
def fake(made):
    return made[1]


def configure(lab, fake, files="no", fail="yes"):
    lab.configure("filter System", "scan_cloudpool_files", files)
    lab.configure("filter System", "open_on_fail", fail)
    lab.sh("stop", "cavad")
    lab.sh("start", "cavad")
    lab.wait_online()


def offline(lab, name):
    """As Samba reads it; it lets no client set it."""
    value = xattr.DOSATTRIB()
    value.version = 5
    value.info = xattr.DosInfo5()
    value.info.valid_flags = 1
    value.info.attrib = 0x1020
    os.setxattr(lab.local(name), "user.DOSATTRIB", ndr_pack(value))


def sparse(lab, name, content=b""):
    """Came here by other ways than SMB, as such files do."""
    path = lab.write_local(name, content)
    os.truncate(path, SIZE)
    offline(lab, name)
    return path


def skipped(lab):
    return lab.counter("files_skipped_tiered")


def test_not_fetched_unless_the_filter_says_so(lab, fake):
    configure(lab, fake)
    path = sparse(lab, "away")
    before = skipped(lab)
    assert len(lab.connect().loadfile("away")) == SIZE
    wait_for("the count", lambda: skipped(lab) == before + 1)
    lab.smbclient("rename away moved")
    wait_for("the count", lambda: skipped(lab) == before + 2)
    offline(lab, "moved")       # Samba sets "archive", and takes this away
    run = lab.cavactl("scan", str(lab.local("moved")))
    assert "tiered" in run.stdout + run.stderr
    assert not fake.requests("away") and not fake.requests("moved")
    assert lab.attribute("moved") is None
    assert not path.exists()

    configure(lab, fake, fail="no")
    assert status_of(lab.connect().loadfile, "moved") == ACCESS_DENIED
    assert not fake.requests("moved")

    configure(lab, fake, files="yes", fail="no")
    assert len(lab.connect().loadfile("moved")) == SIZE
    assert len(fake.requests("moved")) == 1
    assert lab.result("moved") == "clean"


def test_offline_alone_hides_nothing(lab, fake):
    """With its bytes here, and as long as a scan of what was written is owed,
    a file is scanned."""
    configure(lab, fake)
    fake.rule("here", "infected Test.Virus\nfetch yes")
    lab.write_local("here", EICAR * 100)
    offline(lab, "here")
    assert status_of(lab.connect().loadfile, "here") in (VIRUS_INFECTED,
                                                         ACCESS_DENIED)
    go = fake.hold("written", "infected Test.Virus\nfetch yes")
    smb = lab.connect()
    handle = smb.create("written", DesiredAccess=WRITE, ShareAccess=SHARE_ALL,
                        CreateDisposition=OVERWRITE_IF)
    smb.write(handle, EICAR, 0)
    smb.write(handle, b"\0", SIZE - 1)     # with a hole
    smb.close(handle)
    fake.wait_request("written")
    offline(lab, "written")
    go.touch()
    assert status_of(smb.loadfile, "written") in (VIRUS_INFECTED,
                                                  ACCESS_DENIED)


def test_its_own_timeout(lab, fake):
    lab.configure("settings", "scan_cloudpool_timeout", "1")
    configure(lab, fake, files="yes", fail="no")
    go = fake.hold("slow")
    sparse(lab, "slow")
    assert status_of(lab.connect().loadfile, "slow") == ACCESS_DENIED
    go.touch()
    wait_for("the verdict", lambda: lab.result("slow") == "clean")
    assert len(lab.connect().loadfile("slow")) == SIZE


def test_said_by_a_module(lab, fake):
    """vfs_offline says it of every file, as gpfs or tsmsm do of some."""
    configure(lab, fake)
    path = lab.dir / "data" / "hsm" / "stub"
    path.write_bytes(b"")
    os.truncate(path, SIZE)
    path.chmod(0o666)
    whole = path.with_name("whole")
    whole.write_bytes(b"all of it\n")
    whole.chmod(0o666)
    before = skipped(lab)
    smb = lab.connect(share="hsm")
    assert len(smb.loadfile("stub")) == SIZE
    assert smb.loadfile("whole") == b"all of it\n"
    wait_for("the count", lambda: skipped(lab) == before + 1)
    assert not fake.requests("stub")
    assert len(fake.requests("whole")) == 1
