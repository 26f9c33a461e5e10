"""Everything is killed at random while clients write; no scan is forgotten.

60 s, with --long 10 minutes. The seed is printed; CAVA_SEED repeats it as
far as timing allows.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import random
import signal
import struct
import threading
import time

import pytest

from lab import EICAR, SHARE_ALL, wait_for

LONG = bool(os.environ.get("CAVA_TEST_LONG"))
SECONDS = 600 if LONG else 60
CLIENTS = 4
CREATE_ALWAYS, OPEN_IF = 5, 3
READ_WRITE = 3
CLEAN, INFECTED = 1, 2


def current_result(path):
    """What a current record says, or None. As common/verdict.h has it."""
    st = os.stat(path)
    try:
        record = os.getxattr(path, "security.cava")
    except OSError:
        return None
    magic, version, result, _, size, mtime, stamp = struct.unpack_from(
        "<4sBBHQqq", record)
    assert (magic, version) == (b"CAVA", 1)
    if size != st.st_size or mtime != st.st_mtime_ns:
        return None
    if not stamp - 10**9 <= st.st_ctime_ns <= stamp:
        return None
    return result


class Client(threading.Thread):
    """Writes, renames, deletes; connects again when the server is gone."""

    def __init__(self, lab, number, seed):
        super().__init__(daemon=True)
        self.lab, self.number = lab, number
        self.random = random.Random(seed)
        self.smb = None
        self.done = 0
        self.lost = 0
        self.stop = threading.Event()

    def step(self):
        dice = self.random
        name = "c%d-%d" % (self.number, dice.randrange(40))
        content = EICAR if dice.random() < 0.2 else \
            b"%d\n" % dice.randrange(10**9) * dice.randrange(1, 2000)
        what = dice.random()
        if what < 0.5:
            self.smb.savefile(name, content)
        elif what < 0.65:
            # slowly, so that a kill may come between write and close
            fnum = self.smb.create(name, 0, READ_WRITE, 0, SHARE_ALL,
                                   OPEN_IF)
            for _ in range(3):
                self.smb.write(fnum, content, 0)
                time.sleep(dice.random() * 0.1)
            self.smb.close(fnum)
        elif what < 0.85:
            self.smb.savefile(name + ".tmp", content)
            try:
                self.smb.unlink(name)
            except Exception:
                pass
            self.smb.rename(name + ".tmp", name)
        elif what < 0.95:
            self.smb.loadfile(name)
        else:
            self.smb.unlink(name)
        self.done += 1

    def run(self):
        while not self.stop.is_set():
            try:
                if self.smb is None:
                    self.smb = self.lab.connect(threads=True)
                self.step()
            except Exception as error:
                status = error.args[0] if error.args else 0
                if isinstance(status, int) and (status & 0xFFFFFFFF) in (
                        0xC0000034, 0xC0000022, 0xC0000906, 0xC0000043,
                        0xC0000035, 0xC0000056):
                    continue    # no such file, denied, in use, exists
                self.smb = None
                self.lost += 1
                time.sleep(0.1)


def children(pid):
    found = []
    for task in pathlib.Path("/proc/%d/task" % pid).glob("*/children"):
        found += [int(p) for p in task.read_text().split()]
    return found


def pid_of(lab, part):
    return int((lab.dir / "run" / (part + ".pid")).read_text())


def kill_cavad(lab, dice):
    lab.sh("kill", "cavad")
    time.sleep(dice.random())
    lab.sh("start", "cavad")


def kill_files_process(lab, dice):
    for pid in children(pid_of(lab, "cavad"))[:1]:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    lab.sh("stop", "cavad")     # it ends by itself then; or is told to
    lab.sh("start", "cavad")


def kill_a_worker(lab, dice):
    for parent in children(pid_of(lab, "cavad"))[:1]:
        workers = children(parent)
        if workers:
            os.kill(dice.choice(workers), signal.SIGKILL)


def kill_agent(lab, dice):
    lab.sh("kill", "agent")
    time.sleep(dice.random())
    lab.sh("start", "agent")


def kill_an_smbd(lab, dice):
    """One that serves a client: those have the share's files open."""
    serving = [pid for pid in children(pid_of(lab, "smbd"))
               if "cava.so" in pathlib.Path("/proc/%d/maps" % pid)
               .read_text()]
    if serving:
        os.kill(dice.choice(serving), signal.SIGKILL)


KILLS = [kill_cavad, kill_files_process, kill_a_worker, kill_agent,
         kill_an_smbd, kill_an_smbd]


@pytest.mark.timeout(SECONDS + 300)
def test_no_scan_is_forgotten(new_lab):
    seed = int(os.environ.get("CAVA_SEED", time.time_ns()))
    print("CAVA_SEED=%d" % seed)
    dice = random.Random(seed)
    lab = new_lab("--engine", "cee", "--profile", "standard")
    lab.start()
    clients = [Client(lab, n, dice.random()) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    end = time.monotonic() + SECONDS
    killed = 0
    while time.monotonic() < end:
        time.sleep(dice.random() * 2)
        try:
            dice.choice(KILLS)(lab, dice)
            killed += 1
        except (ProcessLookupError, FileNotFoundError):
            pass                # it was on its way out already
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    print("%d kills, %d operations, %d connections lost" % (
        killed, sum(c.done for c in clients), sum(c.lost for c in clients)))
    assert sum(c.done for c in clients) > SECONDS * 5
    assert sum(c.lost for c in clients) > 0
    del clients
    lab.start()

    def owed():
        return {path.name: current_result(path)
                for path in lab.share_dir.iterdir()
                if path.stat().st_size > 0 and current_result(path) != (
                    INFECTED if path.read_bytes()[:68] == EICAR[:68] and
                    path.stat().st_size == len(EICAR) else CLEAN)}

    try:
        wait_for("current verdicts", lambda: not owed(), 120)
    except AssertionError:
        raise AssertionError("CAVA_SEED=%d: without a current verdict: %s" % (
            seed, owed()))
    assert "cava" not in "".join(
        line for line in lab.log().splitlines() if "PANIC" in line)
