"""Metadata changes cost no scan; content changes always do.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import time

import pytest

from lab import EICAR, status_of, wait_for

TEXT = b"scanned once\n"
FILES = int(os.environ.get("CAVA_META_FILES", "100"))
OWNER_GROUP_DACL, DACL = 7, 4


@pytest.fixture(scope="module")
def lab(labs):
    lab = labs("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


def scanned(lab, names):
    smb = lab.connect()
    for name in names:
        smb.savefile(name, TEXT)
        assert smb.loadfile(name) == TEXT
    return smb


def settled(lab, count):
    wait_for("%d restamps" % count,
             lambda: lab.counter("restamps") >= count)


def asked(lab):
    return lab.counter("all_scan_requests")


def read_all(lab, names):
    smb = lab.connect()
    for name in names:
        assert smb.loadfile(name) == TEXT


def test_archive_bits_of_many_files(lab):
    """As a backup resets them."""
    names = ["bits%d.txt" % i for i in range(FILES)]
    scanned(lab, names)
    before, kept = asked(lab), lab.counter("restamps")
    done = lab.smbclient(";".join("setmode %s -a" % n for n in names))
    assert done.returncode == 0, done.stdout
    settled(lab, kept + FILES)
    read_all(lab, names)
    assert asked(lab) == before


def test_acls_of_many_files(lab):
    names = ["acl%d.txt" % i for i in range(FILES)]
    smb = scanned(lab, names)
    before, kept = asked(lab), lab.counter("restamps")
    for name in names:
        sd = smb.get_acl(name, OWNER_GROUP_DACL)
        sd.dacl.aces[0].access_mask = 0x001f01ff
        sd.dacl_del(sd.dacl.aces[-1].trustee)
        smb.set_acl(name, sd, DACL)
    wait_for("verdicts to be kept",
             lambda: lab.counter("restamps") > kept)
    time.sleep(0.2)
    read_all(lab, names)
    assert asked(lab) == before


def test_times_and_mode_in_a_row(lab):
    """Faster than the record is written; a read follows at once. One that
    comes too early for cavad is a scan, which is never wrong, and rare."""
    names = ["row%d.txt" % i for i in range(4)]
    smb = scanned(lab, names)
    before = asked(lab)
    for name in names:
        # allinfo, utimes and chmod from one smbclient
        done = lab.smbclient(
            "setmode {0} +r; setmode {0} -r; "
            "utimes {0} -1 -1 2020:01:01-01:01:01 -1; "
            "setmode {0} +h; get {0} /dev/null".format(name))
        assert done.returncode == 0, done.stdout
        assert smb.loadfile(name) == TEXT
        assert lab.local(name).stat().st_mtime < 1600000000
    assert asked(lab) - before <= 1, done.stdout


def test_content_is_not_overlooked(lab):
    """A writer between: the change of metadata must not launder it."""
    fake = lab.fakes[0]
    smb = scanned(lab, ["mixed.txt"])
    path = lab.local("mixed.txt")
    stat = path.stat()
    fake.rule("mixed.txt", "infected Eicar-Test\nfetch yes")
    for _ in range(20):
        path.write_bytes(EICAR[:len(TEXT)])
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        lab.smbclient("setmode mixed.txt +h; setmode mixed.txt -h")
        assert status_of(lab.connect().loadfile, "mixed.txt") != 0
    del smb


def test_open_writer_stops_it(lab):
    """Somebody has it open for writing: no lease, so one more scan."""
    smb = scanned(lab, ["open.txt"])
    before = asked(lab)
    with open(lab.local("open.txt"), "r+b"):
        lab.smbclient("setmode open.txt +h")
    assert smb.loadfile("open.txt") == TEXT
    assert asked(lab) == before + 1
