"""What Office, CAD and Finder do to save a file, step by step, on the
defaults of each profile: every step works, nothing waits for a scan of the
client's own content, and what is left has a current verdict.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import re

import pytest

from lab import (ACCESS_DENIED, EICAR, CREATE, DELETE, OPEN, OPEN_IF, READ,
                 VIRUS_INFECTED, WRITE, InThread, status_of, wait_for)

SHARE_READ, SHARE_WRITE, SHARE_DELETE, SHARE_ALL = 1, 2, 4, 7
DELETE_ON_CLOSE = 0x1000
OLD = b"the document as it was\n" * 100
NEW = b"the document as it is now\n" * 120


@pytest.fixture(scope="module", params=["standard", "strict"])
def lab(request, new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", request.param)
    lab.start()
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


def create(smb, name, access, share, disposition, options=0):
    return smb.create(name, DesiredAccess=access, ShareAccess=share,
                      CreateDisposition=disposition, CreateOptions=options)


def save_new(smb, name, content):
    """A new file, read back through the handle that wrote it."""
    handle = create(smb, name, READ | WRITE | DELETE, SHARE_READ, CREATE)
    for at in range(0, len(content), 512):
        smb.write(handle, content[at:at + 512], at)
    assert smb.read(handle, 0, len(content)) == content
    smb.close(handle)


def document(lab, name):
    """One that has been there and has been read."""
    smb = lab.connect()
    smb.savefile(name, OLD)
    assert lab.connect().loadfile(name) == OLD
    wait_for("its verdict", lambda: lab.result(name) == "clean")
    return smb


def asked(lab, *names):
    """How often the antivirus server was asked about files so named."""
    return sum(len(lab.fakes[0].requests(name)) for name in names)


def settled(lab, name):
    """Readable by others, with a verdict."""
    assert lab.connect().loadfile(name) == NEW
    wait_for("the verdict of %s" % name,
             lambda: lab.result(name) == "clean")


def read_shared(smb, name):
    handle = create(smb, name, READ, SHARE_ALL, OPEN)
    try:
        return smb.read(handle, 0, 65536)
    finally:
        smb.close(handle)


def word_save(smb, name, content):
    """Word: new file beside, the old one away, the new one to its name."""
    save_new(smb, "~WRD0001.tmp", content)
    smb.rename(name, "~WRL0002.tmp")
    smb.rename("~WRD0001.tmp", name)
    smb.unlink("~WRL0002.tmp")


def test_word(lab):
    smb = document(lab, "letter.docx")
    owner = create(smb, "~$letter.docx", READ | WRITE | DELETE, SHARE_READ,
                   CREATE, DELETE_ON_CLOSE)
    smb.write(owner, b"\x08Somebody" + b" " * 100, 0)
    assert smb.read(owner, 0, 9) == b"\x08Somebody"
    before = asked(lab, "letter.docx", "~WRD0001.tmp", "~WRL0002.tmp")
    word_save(smb, "letter.docx", NEW)
    settled(lab, "letter.docx")
    # once; each name that it had while it was asked for costs one more try,
    # three at most. The old one, which has its verdict: never
    now = asked(lab, "letter.docx", "~WRD0001.tmp", "~WRL0002.tmp")
    assert now - before <= 4
    smb.close(owner)
    assert not lab.local("~$letter.docx").exists()


def test_word_saves_a_virus(lab):
    fake = lab.fakes[0]
    smb = document(lab, "report.docx")
    for name in ("~WRD0001.tmp", "report.docx"):
        fake.rule(name, "infected Eicar-Test\nfetch yes")
    word_save(smb, "report.docx", EICAR)
    assert status_of(lab.connect().loadfile, "report.docx") in (
        ACCESS_DENIED, VIRUS_INFECTED)
    wait_for("the verdict", lambda: lab.result("report.docx") == "infected")
    fake.rule("~WRD0001.tmp", "clean\nfetch yes")
    smb.unlink("report.docx")


def test_excel(lab):
    """Excel: a name without extension beside, then as Word."""
    smb = document(lab, "sums.xlsx")
    save_new(smb, "7A3C4F00", NEW)
    smb.rename("sums.xlsx", "1B2D9E10.tmp")
    smb.rename("7A3C4F00", "sums.xlsx")
    smb.unlink("1B2D9E10.tmp")
    settled(lab, "sums.xlsx")


def test_open_for_an_hour(lab):
    """Open read-write, saved now and then; others read in the meantime."""
    smb = document(lab, "ledger.xlsx")
    handle = create(smb, "ledger.xlsx", READ | WRITE,
                    SHARE_READ | SHARE_WRITE, OPEN)
    for turn in range(5):
        content = b"%d " % turn + NEW
        smb.write(handle, content, 0)
        assert smb.read(handle, 0, len(content)) == content
        reader = InThread(read_shared, lab.connect(), "ledger.xlsx")
        assert reader.result()[:len(content)] == content
    smb.close(handle)

    # of the last reader's scan, in the database, or that of the close
    def holds():
        said = lab.cavactl("explain", str(lab.local("ledger.xlsx"))).stdout
        return re.search(r"clean, by .*; it holds", said)
    wait_for("the verdict", holds)


def test_cad(lab):
    """AutoCAD: a lock file, a backup beside, rename over the drawing."""
    smb = document(lab, "house.dwg")
    lock = create(smb, "house.dwl", READ | WRITE | DELETE, SHARE_READ,
                  CREATE, DELETE_ON_CLOSE)
    smb.write(lock, b"somebody\n", 0)
    save_new(smb, "sav1234.tmp", NEW)
    smb.savefile("house.bak", b"")
    smb.rename("house.dwg", "house.bak", True)
    smb.rename("sav1234.tmp", "house.dwg")
    settled(lab, "house.dwg")
    smb.close(lock)
    assert lab.connect().loadfile("house.bak") == OLD


def test_finder(lab):
    """AppleDouble beside, .DS_Store again and again, a safe save."""
    smb = document(lab, "photo.jpg")
    for turn in range(3):
        handle = create(smb, ".DS_Store", READ | WRITE, SHARE_ALL, OPEN_IF)
        smb.write(handle, b"\0\0\0\1Bud1" + b"%04d" % turn, 0)
        assert smb.read(handle, 0, 12)[8:] == b"%04d" % turn
        smb.close(handle)
    save_new(smb, "._photo.jpg", b"\0\5\x16\7" + b"\0" * 78)
    smb.mkdir(".TemporaryItems")
    save_new(smb, ".TemporaryItems\\photo.jpg", NEW)
    smb.rename("photo.jpg", ".TemporaryItems\\old.jpg")
    smb.rename(".TemporaryItems\\photo.jpg", "photo.jpg")
    smb.unlink(".TemporaryItems\\old.jpg")
    smb.rmdir(".TemporaryItems")
    settled(lab, "photo.jpg")
    wait_for("the verdict", lambda: lab.result("._photo.jpg") == "clean")


def test_own_content_never_waits(lab):
    """With the antivirus server asleep: saving and reading back go on."""
    fake = lab.fakes[0]
    gates = [fake.hold(name) for name in ("~WRD0001.tmp", "slow.docx",
                                          "~WRL0002.tmp")]
    smb = lab.connect()
    save_new(smb, "slow.docx", OLD)
    word_save(smb, "slow.docx", NEW)
    save_new(smb, "~$slow.docx", b"somebody")
    smb.unlink("~$slow.docx")
    for gate in gates:
        gate.touch()
    wait_for("the verdict", lambda: lab.result("slow.docx") == "clean")
