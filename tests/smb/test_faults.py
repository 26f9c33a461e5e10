"""Full disks, a full database, a cavad that hangs, processes that are gone:
each has its answer, one event, and no scan is lost.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import signal
import subprocess

import pytest

from lab import (ACCESS_DENIED, CREATE, EICAR, OPEN, READ, SHARE_ALL,
                 VIRUS_INFECTED, WRITE, InThread, status_of, wait_for)

TEXT = b"some text\n"
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)


def pid_of(lab, part):
    return int((lab.dir / "run" / (part + ".pid")).read_text())


def events(lab):
    return {e["name"]: e for e in lab.status()["events"]}


@pytest.fixture
def lab(new_lab):
    lab = new_lab("--engine", "clamd", "--profile", "standard")
    return lab


def test_spool_on_a_full_disk(lab):
    """What cannot be kept is marked, and scanned by its next reader."""
    spool = lab.dir / "cavad/spool"
    spool.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700",
                    "none", spool], check=True)
    try:
        lab.start("clamd", "smbd")      # cavad was never there
        smb = lab.connect()
        count = 200
        for i in range(count):
            smb.savefile("%s%d.bin" % ("n" * 150, i), EICAR)
        said = [l for l in lab.log().splitlines()
                if "cannot be kept" in l]
        assert len(said) == 1 and "No space left" in said[0], said
        marked = sum(lab.attribute(p.name) is not None
                     for p in lab.share_dir.iterdir())
        assert 0 < marked < count
        lab.start("cavad")
        lab.wait_online()
        wait_for("the spool to be taken over and its files scanned",
                 lambda: lab.counter("infected_files_found")
                 >= count - marked
                 if "infected_files_found" in lab.status()["system_stats"]
                 else lab.status()["pending_scans"] == 0)
        smb = lab.connect()
        for path in lab.share_dir.iterdir():
            assert status_of(smb.loadfile, path.name) in DENIED, path
    finally:
        lab.sh("stop")
        subprocess.run(["umount", spool], check=True)


def test_full_database(lab):
    """Debts that it cannot hold wait in the spool; then all are scanned."""
    lab.configure("settings", "store_size", "1048576")
    lab.start("cavad", "smbd")          # no antivirus: all is owed
    smb = lab.connect()
    count = 1500
    smb.mkdir("d" * 200)
    for i in range(count):
        smb.savefile("%s\\%s%d.bin" % ("d" * 200, "n" * 180, i), TEXT)
    wait_for("the event", lambda: "CAVA_STORE_FULL" in events(lab))
    raised = [l for l in lab.log().splitlines()
              if "CAVA_STORE_FULL" in l and "(raised" not in l]
    assert len(raised) == 1, raised
    lab.start("clamd")
    lab.wait_online()
    wait_for("every file to have its verdict", lambda: all(
        lab.result("%s/%s%d.bin" % ("d" * 200, "n" * 180, i)) == "clean"
        for i in range(count)), timeout=60)

    def over():
        smb.savefile("over.bin", TEXT)
        return "CAVA_STORE_FULL" not in events(lab)

    wait_for("the event to be over", over)


def test_cavad_hangs(lab):
    """Its socket fills up: writers go on, readers get open_on_fail."""
    lab.configure("settings", "scan_timeout", "2")
    lab.configure("filter System", "open_on_fail", "no")
    lab.start()
    smb = lab.connect()
    smb.savefile("before.bin", TEXT)
    assert smb.loadfile("before.bin") == TEXT
    cavad = pid_of(lab, "cavad")
    os.kill(cavad, signal.SIGSTOP)
    try:
        for i in range(600):            # more than a socket holds
            smb.savefile("hang%d.bin" % i, TEXT)
        handle = smb.create("hang0.bin", DesiredAccess=READ,
                            ShareAccess=SHARE_ALL, CreateDisposition=OPEN)
        assert status_of(smb.read, handle, 0, 10) == ACCESS_DENIED
        smb.close(handle)
        # what has a verdict is read as ever
        assert smb.loadfile("before.bin") == TEXT
    finally:
        os.kill(cavad, signal.SIGCONT)
    wait_for("every file to have its verdict", lambda: all(
        lab.result("hang%d.bin" % i) == "clean" for i in range(600)))


def test_a_worker_of_the_files_process_dies(lab):
    lab.start()
    cavad = pid_of(lab, "cavad")
    parent, = open("/proc/%d/task/%d/children" % (cavad, cavad)
                   ).read().split()
    workers = open("/proc/%s/task/%s/children" % (parent, parent)
                   ).read().split()
    readers = []
    for i in range(40):
        lab.write_local("w%d.bin" % i, TEXT)
        smb = lab.connect()
        smb.savefile("w%d.bin" % i, TEXT * 2)
        readers.append(InThread(smb.loadfile, "w%d.bin" % i))
        if i % 10 == 0:
            os.kill(int(workers.pop()), signal.SIGKILL)
    assert all(r.result() == TEXT * 2 for r in readers)
    wait_for("every file to have its verdict", lambda: all(
        lab.result("w%d.bin" % i) == "clean" for i in range(40)))


def test_an_event_is_raised_once(lab):
    """No antivirus: a hundred files, one event, one line."""
    lab.configure("filter System", "open_on_fail", "no")
    lab.start("cavad", "smbd")
    smb = lab.connect()
    for i in range(100):
        smb.savefile("e%d.bin" % i, TEXT)
        assert status_of(smb.loadfile, "e%d.bin" % i) in DENIED
    wait_for("the event",
             lambda: "SW_AVSCAN_CAVA_ALL_OFFLINE" in events(lab))
    lines = [l for l in lab.log().splitlines()
             if "every antivirus server is offline" in l]
    assert len(lines) == 1, lines
    lab.start("clamd")
    lab.wait_online()
    for i in range(100):
        assert lab.connect().loadfile("e%d.bin" % i) == TEXT
    assert "SW_AVSCAN_CAVA_ALL_OFFLINE" not in events(lab)
