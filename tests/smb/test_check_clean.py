"""allow_clean: a scanner repairs, deletes or renames what it was to scan.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import struct
import subprocess

import pytest

from lab import (ACCESS_DENIED, ATTRIBUTES, CREATE, DELETE, EICAR, OPEN,
                 OVERWRITE, OVERWRITE_IF, READ, ROOT, WRITE, InThread,
                 status_of as lab_status_of, wait_for)
from scanner import Scanner, pending, status_of

REPAIRED = b"what was left of it\n"
SHARING_VIOLATION, COLLISION = 0xC0000043, 0xC0000035
DELETE_ON_CLOSE = 0x1000
RENAME_INFO, DISPOSITION_INFO = 10, 13
AGAIN = "clean\nfetch yes"


@pytest.fixture(scope="module")
def world(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.configure("settings", "allow_clean", "yes")
    lab.configure("filter System", "file_extensions", "skip")
    subprocess.run(
        [ROOT / "tests/lab.sh", lab.dir, "run", ROOT / "build/out/bin/cavad",
         "-c", lab.env["CAVAD_CONF"], "--setup-share", "--smb-conf",
         lab.env["SMB_CONF"]], check=True, stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL)
    lab.start()
    fake = lab.fake(connections_maximum=40)
    lab.write_local("private.txt", b"nobody asked\n")
    return lab, fake


@pytest.fixture
def scanner(world):
    made = []

    def get(**options):
        made.append(Scanner(world[0], **options))
        return made[-1]

    yield get
    for one in made:
        one.close()


def at(lab, name):
    return "%s\\%s" % (lab.share_dir.name, name)


def changes(lab):
    return lab.counter("check_changes")


def overwrite(av, name, content=REPAIRED):
    file = av.open(name, READ | WRITE, OVERWRITE)
    av.write(file, content)
    av.done(file)


def rename(av, file, path, replace=0):
    name = path.encode("utf-16-le")
    av.set_info(file, RENAME_INFO,
                struct.pack("<B7xQI", replace, 0, len(name)) + name)


def test_repaired_and_scanned_again(world, scanner):
    lab, fake = world
    av = scanner()
    name = "sick.txt"
    lab.write_local(name, EICAR)
    gate = fake.hold(name, "infected Sick\nfetch yes")
    reader = InThread(lab.connect().loadfile, name)
    fake.wait_request(name)
    before = changes(lab)
    overwrite(av, at(lab, name))
    fake.rule(name, AGAIN)
    gate.touch()
    # the reader has waited for the word on what is there now
    assert reader.result() == REPAIRED
    assert len(fake.requests(name)) >= 2
    assert lab.result(name) == "clean"
    assert changes(lab) == before + 1
    line = [text for text in lab.log().splitlines()
            if "CAVA_CHECK_CHANGED" in text and name in text]
    assert len(line) == 1
    assert "written" in line[0] and "CAVALAB\\avuser" in line[0] and \
        "127.0.0.1" in line[0] and "server fake0" in line[0]


def test_its_word_on_what_it_repaired_is_none(world, scanner):
    """It says clean, of what was there before it wrote; the next says no."""
    lab, fake = world
    av = scanner()
    name = "liar.txt"
    lab.write_local(name, b"x" * 100)
    gate = fake.hold(name, AGAIN)
    reader = InThread(lab_status_of, lab.connect().loadfile, name)
    fake.wait_request(name)
    overwrite(av, at(lab, name), EICAR)
    fake.rule(name, "infected Worse\nfetch yes")
    gate.touch()
    assert reader.result() != 0
    wait_for("the second verdict", lambda: lab.result(name) == "infected")


def test_written_without_a_change_of_size_or_time(world, scanner):
    """In place, mtime put back by a local hand: ctime tells."""
    lab, fake = world
    av = scanner()
    name = "inplace.txt"
    lab.write_local(name, b"AAAA")
    with pending(lab, fake, name, content=None):
        stat = os.stat(lab.local(name))
        file = av.open(at(lab, name), READ | WRITE)
        av.write(file, b"BBBB")
        os.utime(lab.local(name), ns=(stat.st_atime_ns, stat.st_mtime_ns))
        av.done(file)
        count = len(fake.requests(name))
    wait_for("another scan", lambda: len(fake.requests(name)) > count)


def test_the_filter_of_no_zone_holds_for_a_repair(world, scanner):
    lab, fake = world
    av = scanner()
    name = "left-out.skip"
    with pending(lab, fake, name):
        overwrite(av, at(lab, name), EICAR)
        fake.rule(name, "infected Skipped\nfetch yes")
    wait_for("its scan", lambda: lab.result(name) == "infected")


def test_opened_for_writing_and_left_alone(world, scanner):
    """Some open everything so: one scan, and its answer counts."""
    lab, fake = world
    av = scanner()
    name = "untouched.txt"
    before = changes(lab)
    with pending(lab, fake, name):
        file = av.open(at(lab, name), READ | WRITE | ATTRIBUTES)
        assert av.read(file) == b"to be scanned\n"
        av.done(file)
    assert lab.result(name) == "clean"
    assert len(fake.requests(name)) == 1
    assert changes(lab) == before


@pytest.mark.parametrize("way", ["disposition", "delete_on_close"])
def test_deleted(world, scanner, way):
    lab, fake = world
    av = scanner()
    name = "gone-%s.txt" % way
    with pending(lab, fake, name, EICAR, "infected Sick\nfetch yes") as scan:
        if way == "disposition":
            file = av.open(at(lab, name), DELETE | READ)
            av.set_info(file, DISPOSITION_INFO, b"\1")
        else:
            file = av.open(at(lab, name), DELETE, OPEN, DELETE_ON_CLOSE)
        av.done(file)
        assert not lab.local(name).exists()
    assert scan.result().returncode == 3
    assert "no such file" in scan.result().stdout + scan.result().stderr or \
        "gone" in scan.result().stdout + scan.result().stderr
    assert [text for text in lab.log().splitlines()
            if "CAVA_CHECK_CHANGED" in text and name in text and
            "deleted" in text]
    wait_for("nothing to be owed", lambda: queued(lab) == 0)


def queued(lab):
    return sum(value for name, value in lab.status()["system_stats"].items()
               if name.endswith("_file_queue_size"))


def test_renamed_within_its_directory(world, scanner):
    lab, fake = world
    av = scanner()
    os.makedirs(lab.local("other"), exist_ok=True)
    lab.local("other").chmod(0o777)
    lab.write_local("taken.txt", b"keep me\n")
    name = "sick.doc"
    with pending(lab, fake, name, EICAR, "infected Sick\nfetch yes"):
        file = av.open(at(lab, name), DELETE | READ | ATTRIBUTES)
        for path, replace in ((at(lab, "other\\sick.doc"), 0),
                              (at(lab, "other\\new.doc"), 0),
                              ("sick.doc", 0), (at(lab, "taken.txt"), 0),
                              (at(lab, "taken.txt"), 1)):
            assert status_of(rename, av, file, path, replace) != 0, path
        assert lab.local("taken.txt").read_bytes() == b"keep me\n"
        rename(av, file, at(lab, "sick.doc.vir"))
        av.done(file)
        assert not lab.local(name).exists()
        assert lab.local("sick.doc.vir").read_bytes() == EICAR
    assert [text for text in lab.log().splitlines()
            if "CAVA_CHECK_CHANGED" in text and "sick.doc.vir" in text and
            "renamed" in text and text.endswith("/sick.doc")]
    wait_for("a scan under the new name",
             lambda: fake.requests("sick.doc.vir"))


def test_only_what_is_outstanding(world, scanner):
    lab, fake = world
    av = scanner()
    private = at(lab, "private.txt")
    with pending(lab, fake, "asked.txt"):
        for access, disposition, options in (
                (WRITE, OPEN, 0), (DELETE, OPEN, 0), (READ, OVERWRITE, 0),
                (READ, OVERWRITE_IF, 0), (0x100, OPEN, 0),
                (DELETE, OPEN, DELETE_ON_CLOSE)):
            assert status_of(av.open, private, access, disposition,
                             options) == ACCESS_DENIED
        assert status_of(av.open, at(lab, "new.txt"), READ | WRITE,
                         CREATE) == ACCESS_DENIED
        assert status_of(av.open, at(lab, "new.txt"), READ | WRITE,
                         OVERWRITE_IF) != 0
        assert status_of(av.open, lab.share_dir.name, DELETE, OPEN,
                         1) == ACCESS_DENIED
        for access in (0x00040000, 0x00080000, 0x10000000):
            assert status_of(av.open, at(lab, "asked.txt"),
                             access) == ACCESS_DENIED
        # a reader's handle changes nothing, and the most is to read
        for access in (0x00120089, 0x02000000):
            file = av.open(at(lab, "asked.txt"), access)
            assert status_of(av.write, file, b"x") != 0
            assert status_of(av.set_info, file, DISPOSITION_INFO, b"\1") != 0
            assert status_of(rename, av, file, at(lab, "x.txt")) != 0
            link = at(lab, "link.txt").encode("utf-16-le")
            assert status_of(av.set_info, file, 11, struct.pack(
                "<B7xQI", 0, 0, len(link)) + link) != 0
            av.done(file)
    assert lab.local("private.txt").read_bytes() == b"nobody asked\n"
    assert lab.local("asked.txt").read_bytes() == b"to be scanned\n"
    assert not lab.local("new.txt").exists()
    assert not lab.local("link.txt").exists()


def test_swapped_before_it_is_deleted(world, scanner):
    """The name is another file's by the time of the close."""
    lab, fake = world
    av = scanner()
    name = "swap.txt"
    with pending(lab, fake, name):
        file = av.open(at(lab, name), DELETE | READ)
        av.set_info(file, DISPOSITION_INFO, b"\1")
        lab.local(name).rename(lab.local("moved.txt"))
        os.link(lab.local("private.txt"), lab.local(name))
        assert status_of(av.done, file) != 0
        assert lab.local(name).exists()
        assert lab.local("private.txt").exists()
    lab.local(name).unlink()


def test_what_a_client_writes_alone_is_not_repaired(world, scanner):
    lab, fake = world
    av = scanner()
    name = "inuse.txt"
    client = scanner(user=lab.env["SMB_USER"], password=lab.env["SMB_PASS"],
                     share=lab.env["SHARE"])
    lab.write_local(name, b"in use\n")
    assert lab.cavactl("scan", str(lab.local(name))).returncode == 0
    held = client.open(name, READ | WRITE, share_mode=0)
    with pending(lab, fake, name, content=None):
        # scanning needs nobody's leave
        av.done(av.open(at(lab, name), share_mode=0))
        assert status_of(av.open, at(lab, name),
                         READ | WRITE) == SHARING_VIOLATION
        assert status_of(av.open, at(lab, name), DELETE) == SHARING_VIOLATION
    client.done(held)


def test_what_a_client_only_reads_is_repaired(world, scanner):
    """It may be waiting for the verdict, and shares nothing."""
    lab, fake = world
    av = scanner()
    name = "inread.txt"
    client = scanner(user=lab.env["SMB_USER"], password=lab.env["SMB_PASS"],
                     share=lab.env["SHARE"])
    lab.write_local(name, b"read by one\n")
    assert lab.cavactl("scan", str(lab.local(name))).returncode == 0
    held = client.open(name, READ, share_mode=0)
    with pending(lab, fake, name, content=None):
        overwrite(av, at(lab, name))
        file = av.open(at(lab, name), DELETE, OPEN, DELETE_ON_CLOSE)
        av.done(file)
        assert not lab.local(name).exists()
    client.done(held)


def test_a_client_gives_up_its_cache_for_a_repair(world, scanner):
    lab, fake = world
    av = scanner()
    name = "cached.txt"
    client = scanner(user=lab.env["SMB_USER"], password=lab.env["SMB_PASS"],
                     share=lab.env["SHARE"])
    lab.write_local(name, b"cached\n")
    assert lab.cavactl("scan", str(lab.local(name))).returncode == 0
    _, _, state = client.lease(name, READ, state=1)
    assert state == 1
    with pending(lab, fake, name, content=None):
        overwrite(av, at(lab, name))
        assert not client.quiet(5)


def test_a_repair_that_is_cut_off_is_scanned(world, scanner):
    """Its connection ends before the close."""
    lab, fake = world
    name = "cut.txt"
    av = Scanner(lab)
    with pending(lab, fake, name):
        file = av.open(at(lab, name), READ | WRITE)
        av.write(file, EICAR)
        fake.rule(name, "infected Cut\nfetch yes")
        av.low._NetBIOSSession.get_socket().close()
    wait_for("its scan", lambda: lab.result(name) == "infected")


@pytest.mark.parametrize("end", ["close", "cut"])
def test_repaired_after_the_answer(world, end):
    """Within check_grace; no scan is under way that would notice, nor
    would one follow for the filter's sake."""
    lab, fake = world
    name = "late-%s.skip" % end
    with pending(lab, fake, name):
        pass
    assert lab.result(name) == "clean"
    fake.rule(name, "infected Late\nfetch yes")
    av = Scanner(lab)
    file = av.open(at(lab, name), READ | WRITE)
    av.write(file, EICAR)
    if end == "close":
        av.done(file)
        av.close()
    else:
        av.low._NetBIOSSession.get_socket().close()
    wait_for("its scan", lambda: lab.result(name) == "infected")


def test_turned_off_it_is_off_at_once(world, scanner):
    """The share is writable still; the law is cavad's."""
    lab, fake = world
    lab.configure("settings", "allow_clean", "no")
    lab.sh("stop", "cavad")
    lab.sh("start", "cavad")
    lab.wait_online()
    av = scanner()
    with pending(lab, fake, "off.txt"):
        for access in (WRITE, DELETE):
            assert status_of(av.open, at(lab, "off.txt"),
                             access) == ACCESS_DENIED
        av.done(av.open(at(lab, "off.txt")))
    assert "set allow_clean = yes and run cavad --setup-share" in lab.log()
