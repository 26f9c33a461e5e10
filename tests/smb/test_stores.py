"""Where a verdict is kept: on the file, or in cavad's database.

Each place is a directory of its own file system, shared by one smbd. A first
read is scanned. Where the attribute can be set the second read asks nobody;
where it cannot, it asks once and nothing is scanned.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import shutil

import pytest

from lab import (ACCESS_DENIED, EICAR, VIRUS_INFECTED, Lab, status_of,
                 wait_for)
from mounts import Mounts, must

TEXT = b"clean, and as long as the other one".ljust(len(EICAR))
OTHER = b"clean too, but not the same at all".ljust(len(EICAR))
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
SNAPSHOT = "@GMT-2024.01.02-03.04.05"


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
        try:
            return bool(os.getxattr(self.dir / name, "security.cava"))
        except OSError:
            return False

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


def add_share(lab, name, *options):
    """As [share], with another path, and options that come last."""
    conf = lab.dir / "smb.conf"
    text = conf.read_text()
    start = text.index("[share]")
    end = text.find("\n[", start)
    body = text[start:end if end > 0 else None]
    body = body.replace("[share]", "[%s]" % name)
    body = body.replace("data/share\n", "data/%s\n" % name)
    (lab.dir / "data" / name).mkdir(exist_ok=True)
    (lab.dir / "data" / name).chmod(0o777)
    conf.write_text("%s\n%s%s\n" % (text, body,
                                    "".join("\n\t" + o for o in options)))


class Places:
    """One lab, and the places of it: mounted before smbd, who must see."""

    SHARES = {
        "roshare": ("read only = yes",),
        "worm": ("vfs objects = cava worm", "worm:grace_period = 1"),
        "worm2": ("vfs objects = worm cava", "worm:grace_period = 1"),
        "snap": ("vfs objects = cava shadow_copy2",
                 "shadow:snapdir = .snapshots"),
        "snap2": ("vfs objects = shadow_copy2 cava",
                  "shadow:snapdir = .snapshots"),
        "standard": ("cava:zone = Standard",),
    }
    PLAIN = ("ext4", "xfs", "btrfs", "vfat", "tmpfs", "ramfs", "overlay",
             "bind", "rofs", "immutable", "append")

    def __init__(self):
        self.mounts = Mounts()
        self.lab = Lab("--engine", "cee", "--profile", "strict",
                       "--samba-option", "global:log level = 3")
        for name in self.PLAIN:
            add_share(self.lab, name)
        for name, options in self.SHARES.items():
            add_share(self.lab, name, *options)
        self.lab.configure("filter System", "open_on_fail", "no")
        with open(self.lab.env["CAVAD_CONF"], "a") as conf:
            conf.write("\n[filter Standard]\nscan_profile = standard\n"
                       "open_on_fail = no\n")
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

    def make_ramfs(self):
        # no attributes of any kind, as vfat
        return self.mounted("ramfs", "-t", "ramfs", "ramfs", database=True)

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
    assert count.since() == (1, 1)
    place.write("changed.txt", EICAR, times)
    assert place.status("changed.txt") in DENIED
    assert count.since() == (2, 2)
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
