"""File systems of a test's own: a private mount namespace, loop images.

The namespace is the main thread's and of what it starts, until close();
nothing of it is seen outside, and the kernel takes all of it back with the
last process in it. What the kernel or the machine does not have is a skip
with a message.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import ctypes
import os
import pathlib
import shutil
import subprocess

import pytest

CLONE_NEWNS = 0x00020000
LIBC = ctypes.CDLL(None, use_errno=True)

MKFS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], 16),
    "xfs": (["mkfs.xfs", "-q", "-f"], 300),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], 120),
    "vfat": (["mkfs.vfat"], 16),
}


def call(name, *args):
    if getattr(LIBC, name)(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (name, os.strerror(error)))


def run(*command):
    return subprocess.run([str(word) for word in command], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def must(*command):
    done = run(*command)
    assert done.returncode == 0, (command, done.stdout)
    return done.stdout


class Mounts:
    def __init__(self):
        self.before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        self.cwd = os.getcwd()
        self.mounted = []
        call("unshare", CLONE_NEWNS)
        must("mount", "--make-rprivate", "/")

    def mount(self, where, *options):
        """mount OPTIONS where; the directory is made."""
        where = pathlib.Path(where)
        where.mkdir(parents=True, exist_ok=True)
        must("mount", *options, where)
        self.mounted.append(where)
        if os.access(where, os.W_OK):
            where.chmod(0o777)
        return where

    def loop(self, where, kind):
        """A fresh file system of that kind in a loop image."""
        command, size = MKFS[kind]
        known = pathlib.Path("/proc/filesystems").read_text().split()
        if kind not in known and shutil.which("modprobe"):
            run("modprobe", kind)
            known = pathlib.Path("/proc/filesystems").read_text().split()
        if kind not in known:
            pytest.skip("this kernel has no %s" % kind)
        if shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin") is None:
            pytest.skip("%s is not installed" % command[0])
        image = pathlib.Path("%s.img" % where)
        with open(image, "wb") as out:
            out.truncate(size << 20)
        must(*command, image)
        return self.mount(where, "-t", kind, "-o", "loop", image)

    def read_only(self, where, source):
        """A read-only view of a directory."""
        self.mount(where, "--bind", source)
        must("mount", "-o", "remount,bind,ro", where)
        return where

    def end(self):
        for where in reversed(self.mounted):
            must("umount", where)
        self.mounted = []

    def close(self):
        self.end()
        try:
            call("setns", self.before, CLONE_NEWNS)
            os.chdir(self.cwd)
        except OSError:
            pass    # another thread is left; it goes with the process
        os.close(self.before)
