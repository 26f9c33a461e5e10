"""Classes of failure known of other on-access scanners, each shown not to
be ours: the table at the end of docs/operations.md. Those that are not here
have a test elsewhere.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os

import pytest

from lab import (ACCESS_DENIED, CREATE, DELETE, EICAR, OPEN, READ, SHARE_ALL,
                 VIRUS_INFECTED, WRITE, status_of, wait_for)

TEXT = b"nothing wrong with it\n"
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)


@pytest.fixture(scope="module")
def lab(labs):
    lab = labs("--engine", "clamd", "--profile", "strict")
    lab.wait_online()
    return lab


def settled(lab, name, result):
    wait_for("%s to be %s" % (name, result),
             lambda: lab.result(name) == result)


def test_verdict_of_the_open_is_not_that_of_the_close(lab):
    """Read while clean, overwritten in the same open, closed."""
    lab.write_local("b1.bin", TEXT)
    smb = lab.connect()
    handle = smb.create("b1.bin", DesiredAccess=READ | WRITE,
                        ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
    assert smb.read(handle, 0, 100) == TEXT
    smb.write(handle, EICAR, 0)
    smb.close(handle)
    settled(lab, "b1.bin", "infected")
    assert status_of(smb.loadfile, "b1.bin") in DENIED


def test_write_voids_the_verdict_for_every_client(lab):
    one, two = lab.connect(), lab.connect()
    one.savefile("b2.bin", TEXT)
    assert two.loadfile("b2.bin") == TEXT
    handle = one.create("b2.bin", DesiredAccess=WRITE, ShareAccess=SHARE_ALL,
                        CreateDisposition=OPEN)
    one.write(handle, EICAR, 0)

    def read_shared():
        other = two.create("b2.bin", DesiredAccess=READ,
                           ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
        try:
            return two.read(other, 0, 68)
        finally:
            two.close(other)

    assert status_of(read_shared) in DENIED
    one.close(handle)
    settled(lab, "b2.bin", "infected")


def test_limit_of_the_engine_is_not_clean(lab):
    """clamd says OK to what is over its MaxFileSize of 25M."""
    with open(lab.local("b9.bin"), "wb") as f:
        f.write(b"x" * 4096)
        f.truncate(26 << 20)
    assert lab.cavactl("scan", str(lab.local("b9.bin"))).returncode == 3
    assert lab.result("b9.bin") == "unscannable"
    os.unlink(lab.local("b9.bin"))


def test_found_at_close_is_an_event(lab):
    """The closing client has its success; who, whence and what is said."""
    lab.connect().savefile("b15.bin", EICAR)
    settled(lab, "b15.bin", "infected")
    line = wait_for("the event", lambda: [
        l for l in lab.log().splitlines()
        if "b15.bin" in l and "threat" in l])[0]
    assert lab.env["SMB_USER"] in line and "127." in line, line


@pytest.mark.parametrize("name", [
    "a", ".", "..a", ".a", "a.", "~", "x" * 255, ".log", "a.b.c.d.e",
    "virusfilter..infected", "*"])
def test_short_and_odd_names(lab, name):
    """As names on the disk; what SMB cannot carry is not asked for here."""
    if name == ".":
        name = "..."
    lab.write_local(name, EICAR)
    assert lab.cavactl("scan", str(lab.local(name))).returncode == 2
    os.unlink(lab.local(name))


def test_a_name_is_no_verdict(lab):
    smb = lab.connect()
    for name in ("virusfilter.x.infected", "eicar.com", "~$virus.exe"):
        smb.savefile(name, TEXT)
        assert smb.loadfile(name) == TEXT
        settled(lab, name, "clean")


def test_infected_stays_where_it_is(lab):
    """Nothing is moved, renamed or deleted, under an open handle least."""
    smb = lab.connect()
    handle = smb.create("b25.bin", DesiredAccess=READ | WRITE | DELETE,
                        ShareAccess=SHARE_ALL, CreateDisposition=CREATE)
    smb.write(handle, EICAR, 0)
    before = sorted(os.listdir(lab.share_dir))
    assert lab.cavactl("scan", str(lab.local("b25.bin"))).returncode == 2
    assert sorted(os.listdir(lab.share_dir)) == before
    assert lab.local("b25.bin").read_bytes() == EICAR
    smb.write(handle, b"fixed" + b" " * 63, 0)
    smb.close(handle)
    settled(lab, "b25.bin", "clean")


def test_removed_record_is_a_new_scan(lab):
    """There is no other memory of a verdict than the record."""
    lab.write_local("b17.bin", TEXT)
    smb = lab.connect()
    assert smb.loadfile("b17.bin") == TEXT
    before = lab.counter("files_processed")
    os.removexattr(lab.local("b17.bin"), "security.cava")
    assert smb.loadfile("b17.bin") == TEXT
    assert lab.counter("files_processed") == before + 1


def test_bad_option_is_named_and_the_share_stays(new_lab):
    lab = new_lab("--engine", "null", "--samba-option",
                  "cava:profile = paranoid", "--samba-option",
                  "cava:open_on_fail = perhaps", "--samba-option",
                  "cava:enabled = jawohl")
    lab.sh("start", "smbd")
    lab.env = lab.read_env()
    smb = lab.connect()
    smb.savefile("a.txt", TEXT)
    assert smb.loadfile("a.txt") == TEXT
    log = lab.log()
    for said in ("cava:profile = paranoid is not one of standard, strict",
                 "cava:open_on_fail = perhaps is not one of yes",
                 "cava:enabled = jawohl is not one of yes"):
        assert said in log, said
    assert "cavad does not answer" in log       # it is enabled


def test_no_verdict_without_proc_is_no_pass(new_lab):
    """smbd in a mount namespace where /proc is empty."""
    lab = new_lab("--engine", "clamd", "--profile", "strict")
    lab.sh("start", "clamd", "cavad")
    under = lab.dir / "without-proc"
    under.write_text("#!/bin/sh\nmount -t tmpfs none /proc\nexec \"$@\"\n")
    os.chmod(under, 0o755)
    os.environ["LAB_SMBD_UNDER"] = str(under)
    try:
        lab.start("smbd")
    finally:
        del os.environ["LAB_SMBD_UNDER"]
    lab.wait_online()
    lab.write_local("b11.bin", EICAR)
    assert status_of(lab.connect().loadfile, "b11.bin") != 0


