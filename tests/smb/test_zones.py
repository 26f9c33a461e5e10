"""Zones and filters, as clients meet them: who waits, who passes unscanned
and is counted, and that no rule is a way around a scan.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import signal
import struct

import pytest

import record
from compound import Compound
from lab import (ACCESS_DENIED, EICAR, OPEN, READ, SHARE_ALL,
                 VIRUS_INFECTED, WRITE, status_of, wait_for)

TEXT = b"nothing wrong with it\n"
SIZE = 65536


def share(lab, name, path, *options):
    """One more share of the lab; before smbd is started."""
    path.mkdir(parents=True, exist_ok=True)
    os.chmod(path, 0o777)
    conf = lab.dir / "smb.conf"
    lines = ["", "[%s]" % name, "path = %s" % path, "read only = no",
             "vfs objects = cava", "cava:socket = %s/run/ipc.sock" % lab.dir,
             "cava:spool = %s/cavad/spool" % lab.dir,
             "cava:filters = %s/cavad/state/filters" % lab.dir, *options]
    conf.write_text(conf.read_text() + "\n\t".join(lines) + "\n")


def reload(lab):
    pid = int((lab.dir / "run/cavad.pid").read_text())
    done = lab.log().count("was read again")
    os.kill(pid, signal.SIGHUP)
    wait_for("cavad to take up cavad.conf",
             lambda: lab.log().count("was read again") > done)


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "clamd", "--profile", "standard",
                            "--plain")
    share(lab, "strict", lab.share_dir, "cava:zone = Strict")
    share(lab, "writes", lab.dir / "data/writes", "cava:zone = Writes")
    share(lab, "off", lab.dir / "data/off", "cava:zone = Off")
    share(lab, "both", lab.dir / "data/off", "cava:zone = System")
    share(lab, "exact", lab.dir / "data/exact", "cava:zone = Exact",
          "case sensitive = yes")
    share(lab, "included", lab.dir / "data/included", "cava:zone = Included")
    share(lab, "new", lab.dir / "data/new", "cava:zone = Announced")
    conf = pathlib.Path(lab.read_env()["CAVAD_CONF"])
    conf.write_text(conf.read_text() + """
[filter Strict]
scan_profile = strict
open_on_fail = no
scan_size_maximum_action = deny

[filter Writes]
scan_profile = writes_only

[filter Off]
scan_profile = no_scan

[filter Exact]
scan_profile = strict
file_extensions = TXT

[filter Included]
scan_profile = strict
file_extensions = exe
file_extension_action = include
""")
    lab.env = lab.read_env()
    lab.configure("filter System", "file_extensions", "log, tar.gz")
    lab.configure("filter System", "paths_to_exclude", "scratch")
    lab.configure("settings", "scan_size_maximum", str(SIZE))
    lab.start()
    lab.wait_online()
    (lab.share_dir / "scratch").mkdir()
    os.chmod(lab.share_dir / "scratch", 0o777)
    return lab


def read(smb, name):
    return smb.loadfile(name)


def denied(smb, name):
    """An open says which virus rule it is, a read can say EACCES only."""
    return status_of(read, smb, name) in (VIRUS_INFECTED, ACCESS_DENIED)


def put(smb, name, content):
    smb.savefile(name, content)


def result(lab, path):
    """What the record on a file says: its second byte."""
    found = record.settled(path)
    return None if found is None else found[1]


CLEAN, INFECTED, MARK = 1, 2, 3


def settled(lab, path, value):
    wait_for("the record of %s to be %s" % (path, value),
             lambda: result(lab, path) == value)


def skipped(lab, reason):
    return lab.counter("files_skipped_" + reason)


# --- what is left out ---

def test_excluded_extension_is_not_scanned_and_counted(lab):
    smb = lab.connect()
    before = skipped(lab, "extension")
    put(smb, "virus.LOG", EICAR)
    assert read(smb, "virus.LOG") == EICAR
    assert result(lab, lab.local("virus.LOG")) == MARK
    wait_for("the skips to be counted",
             lambda: skipped(lab, "extension") >= before + 1)
    # one dot fewer is another extension
    put(smb, "virus.gz", EICAR)
    settled(lab, lab.local("virus.gz"), INFECTED)
    assert denied(smb, "virus.gz")


def test_case_as_the_share_has_it(lab):
    smb = lab.connect(share="exact")
    put(smb, "virus.TXT", EICAR)
    assert read(smb, "virus.TXT") == EICAR
    put(smb, "virus.txt", EICAR)
    assert denied(smb, "virus.txt")


def test_excluded_path_is_not_scanned_and_counted(lab):
    smb = lab.connect()
    before = skipped(lab, "path")
    put(smb, "scratch\\virus.bin", EICAR)
    assert read(smb, "scratch\\virus.bin") == EICAR
    wait_for("the skips to be counted",
             lambda: skipped(lab, "path") >= before + 1)


# --- no rule is a way around ---

def test_rename_out_of_an_exclusion_is_scanned(lab):
    smb = lab.connect()
    put(smb, "out.log", EICAR)
    smb.rename("out.log", "out.exe")
    assert denied(smb, "out.exe")
    settled(lab, lab.local("out.exe"), INFECTED)
    put(smb, "scratch\\out.bin", EICAR)
    smb.rename("scratch\\out.bin", "out.bin")
    assert denied(smb, "out.bin")


def test_infected_stays_so_under_an_excluded_name(lab):
    smb = lab.connect()
    put(smb, "known.exe", EICAR)
    settled(lab, lab.local("known.exe"), INFECTED)
    assert denied(lab.connect(), "known.exe")
    smb.rename("known.exe", "known.log")
    assert denied(smb, "known.log")


def test_directory_renamed_out_of_an_exclusion(lab):
    smb = lab.connect()
    smb.mkdir("scratch\\tree")
    put(smb, "scratch\\tree\\virus.bin", EICAR)
    put(smb, "scratch\\tree\\text.bin", TEXT)
    smb.rename("scratch\\tree", "tree")
    assert denied(smb, "tree\\virus.bin")
    assert read(smb, "tree\\text.bin") == TEXT
    settled(lab, lab.local("tree/text.bin"), CLEAN)


def test_hard_link_out_of_an_exclusion(lab):
    """FileLinkInformation: scanned at once, as after a rename."""
    put(lab.connect(), "linkme.log", EICAR)
    smb = Compound(lab)
    name = "byclient.exe".encode("utf-16-le")
    file = smb.low.create(smb.tree, "linkme.log", READ, SHARE_ALL, 0, OPEN, 0)
    smb.low.setInfo(smb.tree, file, fileInfoClass=11, inputBlob=struct.pack(
        "<B7xQI", 0, 0, len(name)) + name)
    smb.low.close(smb.tree, file)
    smb.close()
    settled(lab, lab.local("byclient.exe"), INFECTED)
    assert denied(lab.connect(), "byclient.exe")


def test_local_hard_link_out_of_an_exclusion(lab):
    put(lab.connect(), "linked.log", EICAR)
    os.link(lab.local("linked.log"), lab.local("linked.exe"))
    assert denied(lab.connect(), "linked.exe")


def test_name_that_has_gone_is_no_other_extension(lab):
    """Of an open file whose name is taken by a rename, the kernel shows
    "virus.exe (deleted)"; it has a link more, so it is not deleted."""
    folder = lab.dir / "data/included"
    smb = lab.connect(share="included")
    other = lab.connect(share="included")
    (folder / "virus.exe").write_bytes(EICAR)
    os.link(folder / "virus.exe", folder / "second.exe")
    (folder / "other.tmp").write_bytes(TEXT)
    handle = smb.create("virus.exe", DesiredAccess=READ,
                        ShareAccess=SHARE_ALL)
    # not over SMB: Samba 4.22 replaces nothing that is open
    os.rename(folder / "other.tmp", folder / "virus.exe")
    assert read(other, "virus.exe") == TEXT
    assert status_of(smb.read, handle, 0, len(EICAR)) == ACCESS_DENIED
    assert result(lab, folder / "second.exe") == INFECTED


def test_other_share_with_other_rules(lab):
    put(lab.connect(), "shared.log", EICAR)
    strict = lab.connect(share="strict")
    assert denied(strict, "shared.log")
    # and now that it is known, here too
    assert denied(lab.connect(), "shared.log")


def test_rename_over_an_existing_file_is_scanned(lab):
    smb = lab.connect()
    put(smb, "target.txt", TEXT)
    settled(lab, lab.local("target.txt"), CLEAN)
    put(smb, "source.log", EICAR)
    smb.rename("source.log", "target.txt", True)
    assert denied(smb, "target.txt")


def test_written_under_one_name_closed_under_another(lab):
    """The name counts that the file has when it is closed."""
    smb = lab.connect()
    handle = smb.create("late.log", DesiredAccess=READ | WRITE,
                        ShareAccess=SHARE_ALL, CreateDisposition=5)
    smb.write(handle, EICAR, 0)
    os.rename(lab.local("late.log"), lab.local("late.exe"))
    smb.close(handle)
    settled(lab, lab.local("late.exe"), INFECTED)


# --- profiles ---

def test_strict_scans_what_standard_lets_through(lab):
    lab.write_local("old.bin", EICAR)
    assert read(lab.connect(), "old.bin") == EICAR
    strict = lab.connect(share="strict")
    assert denied(strict, "old.bin")


def test_writes_only_scans_and_never_waits(lab):
    root = lab.dir / "data/writes"
    smb = lab.connect(share="writes")
    (root / "old.bin").write_bytes(EICAR)
    assert read(smb, "old.bin") == EICAR
    put(smb, "virus.bin", EICAR)
    settled(lab, root / "virus.bin", INFECTED)
    assert denied(smb, "virus.bin")
    smb.rename("old.bin", "moved.bin")
    settled(lab, root / "moved.bin", INFECTED)


def test_no_scan_scans_nothing_but_knows_the_infected(lab):
    root = lab.dir / "data/off"
    smb = lab.connect(share="off")
    before = skipped(lab, "profile")
    put(smb, "virus.bin", EICAR)
    assert read(smb, "virus.bin") == EICAR
    assert result(lab, root / "virus.bin") == MARK
    wait_for("the skips to be counted",
             lambda: skipped(lab, "profile") >= before + 2)
    assert lab.cavactl("scan", str(root / "virus.bin")).returncode == 2
    assert denied(smb, "virus.bin")


def test_written_where_nothing_is_scanned(lab):
    """Where closes are scanned its reader waits, in profile standard too."""
    put(lab.connect(share="off"), "both.bin", EICAR)
    assert read(lab.connect(share="off"), "both.bin") == EICAR
    assert denied(lab.connect(share="both"), "both.bin")


def test_written_while_scanning_is_off(lab):
    """service_enabled = no leaves a mark as well, and one over nothing."""
    smb = lab.connect()
    put(smb, "before.bin", EICAR)
    settled(lab, lab.local("before.bin"), INFECTED)
    handle = smb.create("kept.bin", DesiredAccess=READ | WRITE,
                        ShareAccess=SHARE_ALL, CreateDisposition=5)
    lab.configure("settings", "service_enabled", "no")
    reload(lab)
    try:
        wait_for("scanning to be off",
                 lambda: status_of(read, smb, "before.bin") == 0)
        put(smb, "meanwhile.bin", EICAR)
        smb.write(handle, EICAR, 0)
        assert read(smb, "meanwhile.bin") == EICAR
        assert result(lab, lab.local("meanwhile.bin")) == MARK
        assert result(lab, lab.local("before.bin")) == INFECTED
    finally:
        lab.configure("settings", "service_enabled", "yes")
        reload(lab)
    wait_for("scanning to be on", lambda: denied(smb, "before.bin"))
    assert denied(smb, "meanwhile.bin")
    smb.close(handle)       # what it wrote is known to it, if nobody else
    settled(lab, lab.local("kept.bin"), INFECTED)


def test_announced_zone_has_the_defaults(lab):
    smb = lab.connect(share="new")
    put(smb, "virus.bin", EICAR)
    assert denied(smb, "virus.bin")
    said = lab.cavactl("zones").stdout
    line = [l for l in said.splitlines() if "Announced" in l]
    assert line and "new" in line[0], said


# --- sizes ---

def test_too_large_is_allowed_or_denied_and_never_clean(lab):
    before = skipped(lab, "per_size")
    lab.write_local("large.bin", b"x" * (SIZE + 1))
    assert len(read(lab.connect(), "large.bin")) == SIZE + 1
    strict = lab.connect(share="strict")
    assert denied(strict, "large.bin")
    assert result(lab, lab.local("large.bin")) != CLEAN
    wait_for("the skip to be counted",
             lambda: skipped(lab, "per_size") >= before + 1)
    lab.write_local("fits.bin", b"x" * SIZE)
    assert len(read(strict, "fits.bin")) == SIZE


# --- who reads ---

def test_exempt_account_passes_but_never_to_the_infected(lab):
    lab.configure("filter Strict", "exempt_accounts", lab.env["SMB_USER"])
    reload(lab)
    try:
        before = skipped(lab, "exempt")
        lab.write_local("backup.bin", EICAR)
        strict = lab.connect(share="strict")
        wait_for("the filter to arrive", lambda: status_of(
            read, strict, "backup.bin") == 0)
        wait_for("the read to be counted",
                 lambda: skipped(lab, "exempt") >= before + 1)
        assert "reads without scans" in lab.log()
        assert lab.cavactl("scan",
                           str(lab.local("backup.bin"))).returncode == 2
        assert denied(strict, "backup.bin")
    finally:
        lab.configure("filter Strict", "exempt_accounts", "")
        reload(lab)


def test_exempt_host_is_an_address_not_a_claim(lab):
    lab.configure("filter Strict", "exempt_hosts", "192.0.2.0/24, 127.0.0.0/8")
    reload(lab)
    try:
        lab.write_local("indexed.bin", EICAR)
        strict = lab.connect(share="strict")
        wait_for("the filter to arrive", lambda: status_of(
            read, strict, "indexed.bin") == 0)
        lab.configure("filter Strict", "exempt_hosts", "192.0.2.0/24")
        reload(lab)
        wait_for("the filter to arrive",
                 lambda: denied(strict, "indexed.bin"))
    finally:
        lab.configure("filter Strict", "exempt_hosts", "")
        reload(lab)


# --- changes of a filter ---

def test_a_change_holds_for_open_handles(lab):
    """A handle cleared by one filter is looked at again under the next."""
    lab.write_local("open.bin", EICAR)
    smb = lab.connect()
    handle = smb.create("open.bin", DesiredAccess=READ,
                        ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
    assert smb.read(handle, 0, 68) == EICAR
    lab.configure("filter System", "scan_profile", "strict")
    reload(lab)
    try:
        wait_for("the open handle to be stopped", lambda: status_of(
            smb.read, handle, 0, 68) == ACCESS_DENIED)
    finally:
        lab.configure("filter System", "scan_profile", "standard")
        reload(lab)
    smb.close(handle)


def test_written_while_excluded_is_scanned_once_included(lab):
    smb = lab.connect()
    put(smb, "later.log", EICAR)
    put(smb, "text.log", TEXT)
    assert read(smb, "later.log") == EICAR
    lab.configure("filter System", "file_extensions", "tar.gz")
    reload(lab)
    try:
        wait_for("the filter to arrive",
                 lambda: denied(smb, "later.log"))
        assert read(smb, "text.log") == TEXT
        settled(lab, lab.local("text.log"), CLEAN)
    finally:
        lab.configure("filter System", "file_extensions", "log, tar.gz")
        reload(lab)


def test_filters_hold_while_cavad_is_away(lab):
    """From the file that cavad keeps: rules, profile, open_on_fail."""
    lab.sh("stop", "cavad")
    try:
        lab.write_local("away.bin", TEXT)
        lab.write_local("away.log", TEXT)
        assert read(lab.connect(), "away.log") == TEXT
        assert denied(lab.connect(share="strict"), "away.bin")
    finally:
        lab.sh("start", "cavad")
        lab.wait_online()
