"""smbd and cavad in a user namespace, as in a container without root: no
security.* attribute can be set there, so every verdict is in the database.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import subprocess

import pytest

import record
from lab import (ACCESS_DENIED, EICAR, ROOT, VIRUS_INFECTED, Lab, status_of,
                 wait_for)
from mounts import call

CLONE_NEWNET = 0x40000000
TEXT = b"scanned in a container\n"
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
ALL_IDS = "0 0 4294967295\n"


class Container:
    """Namespaces of users, network and mounts, held by a sleeping process.
    The ids are the host's: only the rights over it are missing."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "-U", "-n", "-m", "--propagation", "private",
             "sleep", "600"], stdin=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/user")
        pid = self.process.pid
        wait_for("the namespaces", lambda: self.process.poll() is not None or
                 os.readlink("/proc/%d/exe" % pid).endswith("sleep") and
                 os.readlink("/proc/%d/ns/user" % pid) != own)
        if self.process.poll() is not None:
            pytest.skip("no user namespaces here")
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (pid, name), "w") as out:
                out.write(ALL_IDS)
        self.enter = ["nsenter", "-t", str(pid), "-U", "-n", "-m",
                      "--wd=%s" % ROOT]
        subprocess.run(self.enter + ["ip", "link", "set", "lo", "up"],
                       check=True)
        self.host = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.net = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY)

    def __enter__(self):
        """For what this thread, and those it starts, connect to."""
        call("setns", self.net, CLONE_NEWNET)

    def __exit__(self, *_error):
        call("setns", self.host, CLONE_NEWNET)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.net)
        os.close(self.host)


class ContainedLab(Lab):
    def __init__(self, container, *options):
        self.container = container
        super().__init__(*options)

    def command(self, verb, *options):
        return [*self.container.enter, *super().command(verb, *options)]


@pytest.fixture(scope="module")
def lab():
    container = Container()
    try:
        lab = ContainedLab(container, "--engine", "clamd", "--profile",
                           "strict", "--samba-option",
                           "global:log level = 3")
        try:
            lab.configure("filter System", "open_on_fail", "no")
            lab.start()
            lab.wait_online()
            yield lab
        finally:
            lab.close()
    finally:
        container.close()


def status(lab, name):
    with lab.container:
        return status_of(lab.connect().loadfile, name)


def counts(lab):
    stats = lab.status()["system_stats"]
    return stats["all_scan_requests"], stats["files_processed"]


def test_verdicts_are_in_the_database(lab):
    lab.write_local("clean.txt", TEXT)
    lab.write_local("eicar.txt", EICAR)
    assert status(lab, "clean.txt") == 0
    assert status(lab, "eicar.txt") in DENIED
    assert lab.attribute("clean.txt") is None
    asked, scanned = counts(lab)
    assert status(lab, "clean.txt") == 0
    assert status(lab, "eicar.txt") == VIRUS_INFECTED
    assert counts(lab) == (asked + 2, scanned)
    assert "cannot be set below %s: Operation not permitted" % \
        lab.share_dir in lab.log()


def test_attribute_from_the_host_is_not_the_last_word(lab):
    """The host's root scanned it once; nobody in here can replace that."""
    path = lab.write_local("from-outside.txt", EICAR)
    record.put(path)
    assert status(lab, "from-outside.txt") == 0
    run = lab.cavactl("scan", "--force", str(path))
    assert run.returncode == 2, run.stdout
    assert status(lab, "from-outside.txt") == VIRUS_INFECTED


def test_written_over_smb(lab):
    """A close is scanned, a change is seen."""
    with lab.container:
        smb = lab.connect()
        smb.savefile("put.txt", TEXT)
        assert smb.loadfile("put.txt") == TEXT
        smb.savefile("put.txt", EICAR)
        assert status_of(lab.connect().loadfile, "put.txt") in DENIED
        smb.savefile("put.txt", TEXT)
        assert lab.connect().loadfile("put.txt") == TEXT
