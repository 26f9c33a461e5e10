"""Where a verdict is kept: on the file, or in cavad's database.

Each place is a directory of its own file system, shared by one smbd. A first
read is scanned. Where the attribute can be set the second read asks nobody;
where it cannot, it asks once and nothing is scanned.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import time

import pytest

import record
from lab import (ACCESS_DENIED, EICAR, VIRUS_INFECTED, Lab, status_of,
                 wait_for)
from mounts import Mounts, must

TEXT = b"clean, and as long as the other one".ljust(len(EICAR))
OTHER = b"clean too, but not the same at all".ljust(len(EICAR))
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
GRACE = 4       # s that a file of some shares may be changed
SNAPSHOT = "@GMT-2024.01.02-03.04.05"   # as clients ask for it


class Place:
    """A share on some file system; `base` is where it can be written."""

    def __init__(self, lab, name, base=None, database=False, flag=None):
        self.lab, self.name, self.database = lab, name, database
        self.dir = lab.dir / "data" / name
        self.base = base or self.dir
        self.flag = flag

    def unlock(self, path):
        if self.flag and path.exists():
            must("chattr", "-" + self.flag, path)

    def write(self, name, content, times=None):
        path = self.base / name
        self.unlock(path)
        path.write_bytes(content)
        path.chmod(0o666)
        if times:
            os.utime(path, ns=times)
        if self.flag:
            must("chattr", "+" + self.flag, path)

    def times(self, name):
        stat = os.stat(self.base / name)
        return stat.st_atime_ns, stat.st_mtime_ns

    def has_record(self, name):
        return bool(record.settled(self.dir / name))

    def connect(self):
        return self.lab.connect(share=self.name)

    def read(self, name):
        return self.connect().loadfile(name)

    def status(self, name):
        return status_of(self.connect().loadfile, name)

    def store(self):
        """What smbd's log says at the tree connect."""
        self.connect()
        wanted = "cava: share %s: verdicts are kept " % self.name

        def lines():
            return [line.partition(wanted)[2] for line in
                    self.lab.log().splitlines() if wanted in line]
        return wait_for("the log to tell the store", lines)[-1]


class Places:
    """One lab, and the places of it: mounted before smbd, who must see."""

    SHARES = {
        "roshare": ("read only = yes",),
        "worm": ("vfs objects = cava worm",),
        "worm2": ("vfs objects = worm cava",),
        "snap": ("vfs objects = cava shadow_copy2",
                 "shadow:snapdir = .snapshots",
                 "shadow:format = daily-%Y%m%d-%H%M%S"),
        "snap2": ("vfs objects = shadow_copy2 cava",
                  "shadow:snapdir = .snapshots",
                  "shadow:format = daily-%Y%m%d-%H%M%S"),
        "gmt": ("vfs objects = cava shadow_copy2",
                "shadow:snapdir = .snapshots"),
        "ramstd": ("cava:zone = Standard",),
        "ramexempt": ("cava:zone = Exempt",),
        "ramwrites": ("cava:zone = Writes",),
        "ramlogs": ("cava:zone = Logs",),
    }
    PLAIN = ("ext4", "xfs", "btrfs", "vfat", "tmpfs", "ramfs", "overlay",
             "bind", "rofs", "immutable", "append")

    def __init__(self):
        self.mounts = Mounts()
        self.lab = Lab("--engine", "cee", "--profile", "strict",
                       "--samba-option", "global:log level = 3")
        for name in self.PLAIN:
            self.lab.add_share(name)
        for name, options in self.SHARES.items():
            self.lab.add_share(name, *options)
        for name in ("worm", "worm2"):      # the same with less patience
            self.lab.add_share(name + "old", *self.SHARES[name],
                               "path = %s" % (self.lab.dir / "data" / name),
                               "worm:grace_period = %d" % GRACE)
        self.lab.configure("filter System", "open_on_fail", "no")
        with open(self.lab.env["CAVAD_CONF"], "a") as conf:
            conf.write(
                "\n[filter Standard]\nscan_profile = standard\n"
                "open_on_fail = yes\n"
                "\n[filter Exempt]\nscan_profile = strict\n"
                "exempt_accounts = %s\n"
                "\n[filter Writes]\nscan_profile = writes_only\n"
                "\n[filter Logs]\nscan_profile = strict\n"
                "file_extensions = txt\n" % self.lab.env["SMB_USER"])
        self.data = self.lab.dir / "data"
        self.made, self.missing = {}, {}
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        for name in (*self.PLAIN, *self.SHARES):
            try:
                self.made[name] = self.make(name)
            except pytest.skip.Exception as why:
                self.missing[name] = why
        self.lab.start()

    def close(self):
        self.lab.sh("stop", check=False)
        for place in self.made.values():
            for path in place.base.glob("*"):
                place.unlock(path)
        self.mounts.close()
        self.lab.close()

    def make(self, name):
        if name.startswith("ram"):
            return self.make_ram(name)      # no attributes, as vfat
        maker = getattr(self, "make_" + name, None)
        return maker() if maker else Place(self.lab, name)

    def get(self, name):
        if name in self.missing:
            raise self.missing[name]
        return self.made[name]

    def mounted(self, name, *options, **more):
        self.mounts.mount(self.data / name, *options)
        return Place(self.lab, name, **more)

    def make_tmpfs(self):
        return self.mounted("tmpfs", "-t", "tmpfs", "tmpfs")

    def make_overlay(self):
        for part in ("lower", "upper", "work"):
            (self.lab.dir / part).mkdir()
        self.lab.dir.joinpath("lower", "below.txt").write_bytes(TEXT)
        return self.mounted(
            "overlay", "-t", "overlay", "overlay", "-o",
            "lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work".format(
                self.lab.dir))

    def make_bind(self):
        (self.data / "bound").mkdir()
        (self.data / "bound").chmod(0o777)
        return self.mounted("bind", "--bind", self.data / "bound")

    def make_rofs(self):
        base = self.mounts.loop(self.lab.dir / "written", "ext4")
        self.mounts.read_only(self.data / "rofs", base)
        return Place(self.lab, "rofs", base, database=True)

    def make_immutable(self):
        return Place(self.lab, "immutable", flag="i", database=True)

    def make_append(self):
        return Place(self.lab, "append", flag="a", database=True)

    def make_ram(self, name):
        return self.mounted(name, "-t", "ramfs", "ramfs", database=True)

    def make_snap(self):
        place = Place(self.lab, "snap",
                      self.mounts.loop(self.data / "snap", "btrfs"))
        place.write("was-eicar.txt", EICAR)
        place.write("is-eicar.txt", TEXT)
        place.write("scanned.txt", TEXT)
        record.put(place.base / "scanned.txt")
        (place.dir / ".snapshots").mkdir()
        must("btrfs", "subvolume", "snapshot", "-r", place.dir,
             place.dir / ".snapshots" / "daily-20240102-030405")
        place.write("was-eicar.txt", TEXT)
        place.write("is-eicar.txt", EICAR)
        return place

    def make_snap2(self):
        if "snap" in self.missing:
            raise self.missing["snap"]
        return self.mounted("snap2", "--bind", self.data / "snap")

    def make_gmt(self):
        place = self.mounted("gmt", "-t", "tmpfs", "tmpfs")
        directory = place.dir / ".snapshots" / SNAPSHOT
        directory.mkdir(parents=True)
        place.write("old.txt", TEXT)
        (directory / "old.txt").write_bytes(EICAR)
        (directory / "text.txt").write_bytes(TEXT)
        return place

    def make_vfat(self):
        self.mounts.loop(self.data / "vfat", "vfat")
        return Place(self.lab, "vfat", database=True)

    def make_ext4(self):
        self.mounts.loop(self.data / "ext4", "ext4")
        return Place(self.lab, "ext4")

    def make_xfs(self):
        self.mounts.loop(self.data / "xfs", "xfs")
        return Place(self.lab, "xfs")

    def make_btrfs(self):
        self.mounts.loop(self.data / "btrfs", "btrfs")
        return Place(self.lab, "btrfs")


@pytest.fixture(scope="module")
def places():
    places = Places()
    yield places
    places.close()


class Count:
    """Questions asked and files scanned since it was made."""

    def __init__(self, lab):
        self.lab = lab
        self.before = self.now()

    def now(self):
        stats = self.lab.status()["system_stats"]
        return (stats["all_scan_requests"], stats["files_processed"])

    def since(self):
        return tuple(n - b for n, b in zip(self.now(), self.before))


ALL = ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "bind", "roshare",
       "ramfs", "vfat", "rofs", "immutable", "append"]


@pytest.mark.parametrize("name", ALL)
def test_clean_is_scanned_once(places, name):
    place = places.get(name)
    place.write("clean.txt", TEXT)
    assert place.read("clean.txt") == TEXT
    assert place.has_record("clean.txt") == (not place.database)
    count = Count(place.lab)
    assert place.read("clean.txt") == TEXT
    assert count.since() == (1 if place.database else 0, 0)


@pytest.mark.parametrize("name", ALL)
def test_infected_is_denied(places, name):
    place = places.get(name)
    place.write("eicar.txt", EICAR)
    assert place.status("eicar.txt") in DENIED
    count = Count(place.lab)
    # known now: denied at the open
    assert place.status("eicar.txt") == VIRUS_INFECTED
    assert count.since() == (1 if place.database else 0, 0)


@pytest.mark.parametrize("name", ALL)
def test_changed_is_scanned_again(places, name):
    """Size and mtime are put back: ctime tells."""
    place = places.get(name)
    place.write("changed.txt", TEXT)
    assert place.read("changed.txt") == TEXT
    times = place.times("changed.txt")
    place.write("changed.txt", OTHER, times)
    count = Count(place.lab)
    assert place.read("changed.txt") == OTHER
    # begun with the open, and the read joins it: one request, or two if it
    # ends between the read's look and its question
    asked, scanned = count.since()
    assert asked in (1, 2) and scanned == 1
    place.write("changed.txt", EICAR, times)
    assert place.status("changed.txt") in DENIED
    asked, scanned = count.since()
    assert asked in (2, 3, 4) and scanned == 2
    place.write("changed.txt", TEXT, times)
    assert place.read("changed.txt") == TEXT


@pytest.mark.parametrize("name, said", [
    ("ext4", "on the files, as the attribute security.cava"),
    ("tmpfs", "on the files"), ("roshare", "on the files"),
    ("immutable", "on the files"),
    ("ramfs", "in the database of cavad"),
    ("rofs", "Read-only file system")])
def test_tree_connect_says_which_store(places, name, said):
    assert said in places.get(name).store()


def test_lower_file_of_an_overlay(places):
    """The record makes the kernel copy the file up; the verdict holds."""
    place = places.get("overlay")
    assert place.read("below.txt") == TEXT
    assert place.has_record("below.txt")
    count = Count(place.lab)
    assert place.read("below.txt") == TEXT
    assert count.since() == (0, 0)


def test_database_overrides_the_attribute(places):
    """An old record that nobody can replace is not the last word."""
    place = places.get("rofs")
    place.write("old.txt", EICAR)
    record.put(place.base / "old.txt")
    assert place.has_record("old.txt")
    count = Count(place.lab)
    assert place.read("old.txt") == EICAR       # as the record says
    assert count.since() == (1, 0)
    run = place.lab.cavactl("scan", "--force", str(place.dir / "old.txt"))
    assert run.returncode == 2, run.stdout
    assert place.status("old.txt") == VIRUS_INFECTED


@pytest.fixture
def no_server(places):
    places.lab.sh("stop", "clamd")
    yield
    places.lab.sh("start", "clamd")
    places.lab.wait_online()


def test_record_is_enough_without_a_server(places, no_server):
    place = places.get("rofs")
    place.write("alone.txt", TEXT)
    record.put(place.base / "alone.txt")
    assert place.read("alone.txt") == TEXT
    place.write("none.txt", TEXT)
    assert place.status("none.txt") == ACCESS_DENIED    # open_on_fail = no


def test_infected_in_the_database_sticks(places):
    """Changed since, in the profile that lets unscanned files through, and
    then without a server, though open_on_fail is yes."""
    lab = places.lab
    place = places.get("ramstd")
    place.write("sticky.txt", EICAR)
    assert place.read("sticky.txt") == EICAR    # standard: not owed
    run = lab.cavactl("scan", str(place.dir / "sticky.txt"))
    assert run.returncode == 2, run.stdout
    assert place.status("sticky.txt") == VIRUS_INFECTED
    place.write("sticky.txt", EICAR)
    assert place.status("sticky.txt") == VIRUS_INFECTED
    place.write("sticky.txt", TEXT)
    place.write("never.txt", TEXT)
    lab.sh("stop", "clamd")
    try:
        assert place.status("sticky.txt") == ACCESS_DENIED
        assert place.read("never.txt") == TEXT
    finally:
        lab.sh("start", "clamd")
    wait_for("the file to be scanned",
             lambda: place.status("sticky.txt") == 0)
    assert place.read("sticky.txt") == TEXT


@pytest.mark.parametrize("name", ["ramfs", "vfat", "rofs", "immutable"])
@pytest.mark.parametrize("content", [TEXT, EICAR])
def test_quarantine_in_the_database(places, name, content):
    """It holds, over a change and a restart, and is lifted, where the file
    itself can have no record."""
    place = places.get(name)
    lab = place.lab
    place.write("kept.txt", content)
    place.status("kept.txt")
    path = str(place.dir / "kept.txt")
    run = lab.cavactl("quarantine", "add", path, "--reason", "evidence")
    assert run.returncode == 0, run.stderr
    assert not place.has_record("kept.txt")
    assert place.status("kept.txt") == VIRUS_INFECTED
    assert path in lab.cavactl("quarantine", "list").stdout
    assert "quarantined" in lab.cavactl("quarantine", "view", path).stdout
    place.write("kept.txt", OTHER)
    assert place.status("kept.txt") == VIRUS_INFECTED
    assert lab.cavactl("scan", "--force", path).returncode == 2
    assert place.status("kept.txt") == VIRUS_INFECTED
    lab.sh("stop", "cavad")
    lab.sh("start", "cavad")
    lab.wait_online()
    assert place.status("kept.txt") == VIRUS_INFECTED
    run = lab.cavactl("quarantine", "release", path)
    assert run.returncode == 0, run.stderr
    assert place.read("kept.txt") == OTHER
    assert path not in lab.cavactl("quarantine", "list").stdout
    place.write("kept.txt", EICAR)      # and is scanned as ever
    assert place.status("kept.txt") in DENIED


@pytest.mark.parametrize("name, counter", [
    ("ramexempt", "files_skipped_exempt"),
    ("ramwrites", "files_skipped_profile"),
    ("ramlogs", "files_skipped_extension")])
def test_unscanned_readers_do_not_read_the_infected(places, name, counter):
    """Exempt, excluded, or nobody waits: it passes and is counted, until
    cavad alone knows that it is infected."""
    place = places.get(name)
    lab = place.lab
    path = place.dir / "skipped.txt"
    place.write("skipped.txt", EICAR)
    before = lab.counter(counter)
    assert place.read("skipped.txt") == EICAR
    wait_for("the count", lambda: lab.counter(counter) == before + 1)
    count = Count(lab)
    assert lab.cavactl("scan", str(path)).returncode == 2
    assert place.status("skipped.txt") == VIRUS_INFECTED
    place.write("skipped.txt", TEXT)
    assert place.read("skipped.txt") == TEXT    # scanned, since it was
    assert count.since()[1] == 2


@pytest.mark.parametrize("name", ["snap", "snap2"])
def test_previous_versions(places, name):
    """Both orders with shadow_copy2; a snapshot is a file system of its
    own: what it holds is scanned, not what became of the file."""
    place = places.get(name)
    lab = place.lab
    snap = SNAPSHOT + "\\"
    assert place.status("was-eicar.txt") == 0
    assert place.status(snap + "was-eicar.txt") in DENIED
    assert place.status(snap + "was-eicar.txt") == VIRUS_INFECTED
    assert place.read(snap + "is-eicar.txt") == TEXT
    assert place.status("is-eicar.txt") in DENIED
    count = Count(lab)
    assert place.read(snap + "is-eicar.txt") == TEXT
    assert place.status(snap + "was-eicar.txt") == VIRUS_INFECTED
    assert count.since() == (2, 0)


def test_directory_with_the_name_of_a_token(places):
    """Clients take "@GMT-..." out of a path, the antivirus server's too: it
    is asked for by an alias, never scanned as another file."""
    place = places.get("gmt")
    assert place.read("old.txt") == TEXT
    assert place.status(SNAPSHOT + "\\old.txt") in DENIED
    assert place.read(SNAPSHOT + "\\text.txt") == TEXT


def test_a_record_is_good_in_the_snapshot_too(places):
    place = places.get("snap")
    count = Count(place.lab)
    assert place.read(SNAPSHOT + "\\scanned.txt") == TEXT
    assert count.since() == (1, 0)


@pytest.mark.parametrize("name", ["worm", "worm2"])
def test_worm(places, name):
    """A scan is no change: it opens no new grace period. vfs_worm looks at
    ctime, which a record moves; in Samba 4.17 its seconds are mtime's, and
    since then this module shows what it was before."""
    place = places.get(name)
    lab = place.lab
    written = time.time()
    place.connect().savefile("kept.txt", TEXT)
    assert place.read("kept.txt") == TEXT
    assert place.has_record("kept.txt")
    wait_for("the grace to be over",
             lambda: time.time() > written + 3 * GRACE)
    for _ in range(2):
        run = lab.cavactl("scan", "--force", str(place.dir / "kept.txt"))
        assert run.returncode == 0, run.stdout
        smb = lab.connect(share=name + "old")
        assert status_of(smb.savefile, "kept.txt", OTHER) == ACCESS_DENIED
        assert status_of(smb.unlink, "kept.txt") == ACCESS_DENIED
        assert status_of(smb.rename, "kept.txt", "no.txt") == ACCESS_DENIED
        smb.savefile("young.txt", TEXT)
        assert status_of(smb.rename, "young.txt", "kept.txt",
                         True) == ACCESS_DENIED
        young = str(place.dir / "young.txt")
        wait_for("what its close owes to be done",
                 lambda: "security.cava" in os.listxattr(young) and
                 lab.status()["pending_scans"] == 0)
    count = Count(lab)
    assert place.read("kept.txt") == TEXT
    assert count.since() == (0, 0)
    # changed locally it is young again, and scanned
    (place.dir / "kept.txt").write_bytes(EICAR)
    assert place.status("kept.txt") in DENIED
    assert status_of(place.connect().unlink, "kept.txt") == 0
