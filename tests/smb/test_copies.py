"""Copies that carry the attribute along, restored backups, clocks.

A record is about one file at one moment: size, mtime and the ctime that its
writing left. Whatever puts it on other content, or on the same content in
another file, moves ctime past T, so the file is scanned again.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import shutil
import time

import pytest

import record
from lab import (ACCESS_DENIED, EICAR, VIRUS_INFECTED, Lab, status_of,
                 wait_for)
from mounts import Mounts, must

TEXT = b"clean, and as long as the other one".ljust(len(EICAR))
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)


@pytest.fixture(scope="module")
def lab():
    mounts = Mounts()
    lab = Lab("--engine", "clamd", "--profile", "strict")
    try:
        lab.configure("filter System", "open_on_fail", "no")
        for name in ("btrfs", "tmpfs"):
            lab.add_share(name)
        try:
            mounts.loop(lab.dir / "data/btrfs", "btrfs")
        except pytest.skip.Exception:
            pass    # test_reflink says so
        mounts.mount(lab.dir / "data/tmpfs", "-t", "tmpfs", "tmpfs")
        lab.start()
        lab.wait_online()
        yield lab
    finally:
        lab.sh("stop", check=False)
        mounts.close()
        lab.close()


def scans(lab):
    return lab.counter("files_processed")


def scanned(lab, name, content=TEXT, share=None):
    """A file with a record whose T has passed."""
    path = lab.dir / "data" / (share or "share") / name
    path.write_bytes(content)
    path.chmod(0o666)
    status_of(lab.connect(share=share).loadfile, name)
    assert record.settled(path)
    time.sleep(0.03)    # T is 20 ms ahead
    return path


def carries(path):
    try:
        return os.getxattr(path, "security.cava")
    except OSError:
        return None


def shell(line, *args):
    must("bash", "-ec", line, "bash", *args)


COPIES = {
    "cp -a": 'cp -a "$1" "$2"',
    "rsync -aX": 'rsync -aX "$1" "$2"',
    "tar --xattrs":
        'd=$(mktemp -d -p "$(dirname "$2")"); t="--xattrs '
        '--xattrs-include=*"; tar $t -C "$(dirname "$1")" -cf - '
        '"$(basename "$1")" | tar $t -C "$d" -xpf -; '
        'mv "$d"/* "$2"; rmdir "$d"',
}
OVERLAYS = {
    "cp --attributes-only":
        'cp --attributes-only --preserve=all "$1" "$2"',
    "setfattr --restore":
        'cd "$(dirname "$2")"; touch -r "$1" "$2"; '
        'getfattr -d -m - -e hex --absolute-names "$1" | '
        'sed "s|^# file: .*|# file: $(basename "$2")|" | '
        'setfattr --restore=-; touch -r "$1" "$2"',
    "rsync -aX in place":
        'rsync -aX --inplace --size-only "$1" "$2"; touch -r "$1" "$2"',
}


def have(command):
    program = command.split()[0]
    if shutil.which(program) is None:
        pytest.skip("%s is not installed" % program)


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("to", ["share", "tmpfs"])
def test_copy_is_scanned_itself(lab, how, to):
    have(how)
    name = how.replace(" ", "")
    source = scanned(lab, "from-%s-%s" % (name, to))
    target = lab.dir / "data" / to / ("to-" + name)
    shell(COPIES[how], source, target)
    assert carries(target) == carries(source)
    before = scans(lab)
    assert lab.connect(share=to).loadfile(target.name) == TEXT
    assert scans(lab) == before + 1
    assert carries(target) != carries(source)
    assert lab.connect(share=to).loadfile(target.name) == TEXT
    assert lab.connect().loadfile(source.name) == TEXT
    assert scans(lab) == before + 1


@pytest.mark.parametrize("how", OVERLAYS)
def test_record_of_another_content(lab, how):
    """A clean file's record, and its mtime, on EICAR of the same size."""
    have(how)
    name = how.replace(" ", "")
    source = scanned(lab, "clean-" + name)
    target = lab.write_local("eicar-" + name, EICAR)
    shell(OVERLAYS[how], source, target)
    assert carries(target) == carries(source)
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert target.read_bytes() == EICAR
    assert status_of(lab.connect().loadfile, target.name) in DENIED
    assert lab.result(target.name) == "infected"


def test_infected_goes_with_its_copy(lab):
    """What was infected is read after a clean scan only, here too."""
    source = scanned(lab, "infected", EICAR)
    target = lab.local("infected-copy")
    shell(COPIES["cp -a"], source, target)
    assert status_of(lab.connect().loadfile, target.name) in DENIED
    target.write_bytes(TEXT)
    assert lab.connect().loadfile(target.name) == TEXT


@pytest.mark.parametrize("kind", ["clean", "infected"])
def test_mv_to_another_file_system(lab, kind):
    source = scanned(lab, "moved-" + kind, TEXT if kind == "clean" else EICAR)
    target = lab.dir / "data/tmpfs" / source.name
    must("mv", source, target)
    assert carries(target)
    before = scans(lab)
    status = status_of(lab.connect(share="tmpfs").loadfile, target.name)
    assert status == 0 if kind == "clean" else status in DENIED
    assert scans(lab) == before + 1


def test_mv_in_place_is_the_same_file(lab):
    """A local rename moves ctime: scanned once more, never forgotten."""
    source = scanned(lab, "before-mv", EICAR)
    os.rename(source, lab.local("after-mv"))
    assert status_of(lab.connect().loadfile, "after-mv") in DENIED


def test_hard_link(lab):
    """The same file: one verdict, by either name, and one that a write
    through the other name ends."""
    source = scanned(lab, "one-name")
    os.link(source, lab.local("other-name"))
    assert lab.connect().loadfile("other-name") == TEXT
    before = scans(lab)
    assert lab.connect().loadfile("one-name") == TEXT
    assert scans(lab) == before
    times = source.stat()
    lab.local("other-name").write_bytes(EICAR)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert status_of(lab.connect().loadfile, "one-name") in DENIED


@pytest.mark.parametrize("option", ["--reflink=always",
                                    "-a --reflink=always"])
def test_reflink(lab, option):
    """Shared extents, two files: each has a verdict of its own."""
    if not os.path.ismount(lab.dir / "data/btrfs"):
        pytest.skip("no file system here that clones")
    name = "link%d" % len(option)
    source = scanned(lab, "of-" + name, share="btrfs")
    target = source.with_name(name)
    shell("cp %s \"$1\" \"$2\"; chmod 666 \"$2\"" % option, source, target)
    before = scans(lab)
    smb = lab.connect(share="btrfs")
    assert smb.loadfile(name) == TEXT
    assert scans(lab) == before + 1
    target.write_bytes(EICAR)
    assert status_of(smb.loadfile, name) in DENIED
    assert smb.loadfile(source.name) == TEXT
    assert scans(lab) == before + 2


def test_restore_from_a_backup(lab, tmp_path):
    """Old content with its old record, over what is there now."""
    path = scanned(lab, "restored")
    tar = tmp_path / "backup.tar"
    xattrs = ("--xattrs", "--xattrs-include=*")
    must("tar", *xattrs, "-C", path.parent, "-cf", tar, path.name)
    path.write_bytes(EICAR)
    assert status_of(lab.connect().loadfile, path.name) in DENIED
    must("tar", *xattrs, "-C", path.parent, "-xpf", tar)
    assert carries(path)
    before = scans(lab)
    assert lab.connect().loadfile(path.name) == TEXT
    assert scans(lab) == before + 1


@pytest.mark.parametrize("ahead, believed", [
    (0.02, True),
    (0.9, True),    # within the second that T may be ahead
    (1.5, False),   # the clock was ahead then, and was set back
    (3600, False), (86400 * 365, False),
    (-0.5, False),  # or was behind, and was set forward
    (-3600, False)])
def test_clock_steps(lab, ahead, believed):
    """A record written while the clock was wrong is about no moment at which
    the file was as it is. (With CLEAN on EICAR it shows who is believed.)"""
    path = lab.write_local("clock%s" % ahead, EICAR)
    record.put(path, int(ahead * record.SECOND))
    status = status_of(lab.connect().loadfile, path.name)
    assert status == 0 if believed else status in DENIED


def test_future_mtime(lab):
    """It is a number like any other: one scan, then none."""
    path = lab.write_local("tomorrow", TEXT)
    os.utime(path, (time.time(), time.time() + 86400))
    assert lab.connect().loadfile(path.name) == TEXT
    before = scans(lab)
    assert lab.connect().loadfile(path.name) == TEXT
    assert scans(lab) == before
    path.write_bytes(EICAR)
    os.utime(path, (time.time(), time.time() + 86400))
    assert status_of(lab.connect().loadfile, path.name) in DENIED


@pytest.mark.parametrize("times", [(0, 0), (-1, -1), (2 ** 33, 2 ** 33)])
def test_odd_times(lab, times):
    """1970, before it, and beyond 32 bits."""
    path = lab.write_local("odd%d" % times[0], TEXT)
    os.utime(path, times)
    assert lab.connect().loadfile(path.name) == TEXT
    before = scans(lab)
    assert lab.connect().loadfile(path.name) == TEXT
    assert scans(lab) == before


def test_mtime_restored_over_smb(lab):
    """A client may set any mtime: after its write it changes nothing."""
    path = scanned(lab, "smb-times")
    old = path.stat()
    smb = lab.connect()
    smb.savefile(path.name, EICAR)
    wait_for("the scan of the close",
             lambda: lab.result(path.name) == "infected")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    done = lab.smbclient("utimes %s -1 -1 2020:01:01-01:01:01 -1" % path.name)
    assert done.returncode == 0, done.stdout
    assert status_of(lab.connect().loadfile, path.name) in DENIED
