"""Clients at work, and faults at random among them: what test_chaos.py and
`./waf soak` run, at any size.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import collections
import json
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import record
from lab import EICAR, SHARE_ALL, wait_for

OPEN_IF, READ_WRITE = 3, 3
CLEAN, INFECTED, MARK = 1, 2, 3
# No such file, denied, virus, in use, exists, delete pending, disk full.
ANSWERS = (0xC0000034, 0xC0000022, 0xC0000906, 0xC0000043, 0xC0000035,
           0xC0000056, 0xC000007F)
FILL = ".fill"
CROWD = 10              # clients in a process


def truth(path):
    content = path.read_bytes()
    return INFECTED if content == EICAR else CLEAN


class Account:
    """What became of a client's operations."""

    def __init__(self):
        self.done = self.owed = self.lost = self.denied = 0
        self.infected_reads = []
        self.longest = (0.0, "")        # s, which operation began when


class Client(threading.Thread):
    """Writes, renames, deletes; connects again when the server is gone.

    On a strict share that denies what has no verdict it also looks at what
    it reads: what is infected never comes back."""

    def __init__(self, lab, number, share, strict, seed):
        super().__init__(daemon=True)
        self.lab, self.number = lab, number
        self.share, self.strict = share, strict
        self.random = random.Random(seed)
        self.smb = None
        self.account = Account()
        self.stop = None
        self.doing = ""

    def slowly(self, name, content):
        """So that a kill may come between write and close."""
        fnum = self.smb.create(name, 0, READ_WRITE, 0, SHARE_ALL, OPEN_IF)
        for _ in range(3):
            self.smb.write(fnum, content, 0)
            time.sleep(self.random.random() * 0.1)
        self.smb.close(fnum)

    def over(self, name, content):
        self.smb.savefile(name + ".tmp", content)
        try:
            self.smb.unlink(name)
        except Exception:
            pass
        self.smb.rename(name + ".tmp", name)

    def read(self, name):
        content = self.smb.loadfile(name)
        if self.strict and content == EICAR:
            self.account.infected_reads.append(name)

    def step(self):
        dice = self.random
        name = "c%d-%d" % (self.number, dice.randrange(40))
        content = EICAR if dice.random() < 0.2 else \
            b"%d\n" % dice.randrange(10**9) * dice.randrange(1, 2000)
        what = dice.random()
        if what < 0.45:
            self.doing = "save " + name
            self.smb.savefile(name, content)
            self.account.owed += 1
        elif what < 0.6:
            self.doing = "write slowly " + name
            self.slowly(name, content)
            self.account.owed += 1
        elif what < 0.75:
            self.doing = "rename over " + name
            self.over(name, content)
            self.account.owed += 2
        elif what < 0.95:
            self.doing = "read " + name
            self.read(name)
        else:
            self.doing = "unlink " + name
            self.smb.unlink(name)

    def turn(self):
        start = time.monotonic()
        self.doing = "connect"
        try:
            if self.smb is None:
                self.smb = self.lab.connect(share=self.share, threads=True)
            self.step()
            self.account.done += 1
        except Exception as error:
            status = error.args[0] if error.args else 0
            self.doing += ": %s" % (error,)
            if isinstance(status, int) and \
                    (status & 0xFFFFFFFF) in ANSWERS:
                self.account.denied += 1
            else:
                self.smb = None
                self.account.lost += 1
                self.stop.wait(0.1)
        took = time.monotonic() - start
        self.account.longest = max(self.account.longest, (
            took, time.strftime("%T ", time.localtime(time.time() - took)) +
            self.doing))

    def run(self):
        while not self.stop.is_set():
            self.turn()
        self.smb = None


class Crowd:
    """Some clients in a process of their own, so that none of them waits
    for Python to be done with the others."""

    def __init__(self, clients):
        self.clients = clients
        fork = multiprocessing.get_context("fork")
        self.stop = fork.Event()
        self.here, there = fork.Pipe()
        self.process = fork.Process(target=self.work, args=(there,),
                                    daemon=True)
        self.process.start()
        there.close()

    def work(self, there):
        for client in self.clients:
            client.stop = self.stop
            client.start()
        for client in self.clients:
            client.join()
        there.send([client.account for client in self.clients])

    def end(self, timeout):
        assert self.here.poll(timeout), "a client is stuck"
        accounts = self.here.recv()
        self.process.join()
        return accounts


def children(pid):
    found = []
    for task in pathlib.Path("/proc/%d/task" % pid).glob("*/children"):
        found += [int(p) for p in task.read_text().split()]
    return found


def family(pid):
    found = [pid]
    for child in children(pid):
        found += family(child)
    return found


def pid_of(lab, part):
    return int((lab.dir / "run" / (part + ".pid")).read_text())


def serving(lab):
    """smbds of clients: the agents' are in CHECK$, above the shares."""
    found = []
    for pid in children(pid_of(lab, "smbd")):
        try:
            maps = pathlib.Path("/proc/%d/maps" % pid).read_text()
            where = os.readlink("/proc/%d/cwd" % pid)
        except OSError:
            continue    # it has just ended
        if "cava.so" in maps and where != str(lab.dir / "data"):
            found.append(pid)
    return found


# --- faults: each ends with what it broke in place again ---

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
        os.kill(dice.choice(children(parent)), signal.SIGKILL)


def kill_agents(lab, dice):
    lab.sh("kill", "agent")
    time.sleep(dice.random())
    lab.sh("start", "agent")


def stop_an_agent(lab, dice):
    """It hangs, and comes back."""
    pids = family(pid_of(lab, "agent%d" % dice.randrange(2)))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1 + 2 * dice.random())
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def kill_clamd(lab, dice):
    lab.sh("kill", "clamd")
    time.sleep(dice.random())
    lab.sh("start", "clamd")


def kill_an_smbd(lab, dice):
    os.kill(dice.choice(serving(lab)), signal.SIGKILL)


def fill(directory, dice):
    path = directory / FILL
    subprocess.run(["dd", "if=/dev/zero", "of=%s" % path, "bs=64k"],
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1 + dice.random())
    path.unlink()


def fill_the_share(lab, dice):
    fill(lab.share_dir.parent, dice)


def fill_state_and_spool(lab, dice):
    fill(lab.dir / "cavad", dice)


FAULTS = [kill_cavad, kill_files_process, kill_a_worker, kill_agents,
          stop_an_agent, kill_clamd, kill_an_smbd, kill_an_smbd,
          fill_the_share, fill_state_and_spool]


# --- what processes hold ---

def held(lab, *parts):
    """{part: (descriptors, MiB)} with all their children."""
    found = {}
    for part in parts:
        fds = pages = 0
        for pid in family(pid_of(lab, part)):
            fds += len(os.listdir("/proc/%d/fd" % pid))
            with open("/proc/%d/statm" % pid) as statm:
                shared = statm.read().split()
                pages += int(shared[1]) - int(shared[2])
        found[part] = (fds, pages * 4096 / 2**20)
    return found


class Chaos:
    """A lab, its clients, and the account of what was done to them."""

    def __init__(self, lab, standard, seed, clients):
        """standard: a share beside the lab's strict one, and where it is."""
        self.lab = lab
        self.dirs = [lab.share_dir, standard[1]]
        self.dice = random.Random(seed)
        self.seed = seed
        self.injected = collections.Counter()
        self.survived = collections.Counter()
        self.scans = 0
        self.seen = 0           # by the counter of this cavad
        self.clients = [
            Client(lab, n, *((None, True) if n % 2 == 0 else
                             (standard[0], False)), self.dice.random())
            for n in range(clients)]

    def run(self, seconds):
        crowds = [Crowd(self.clients[n:n + CROWD])
                  for n in range(0, len(self.clients), CROWD)]
        end = time.monotonic() + seconds
        todo = []
        while todo or time.monotonic() < end:
            if not todo:        # each of them, in another order each time
                todo = self.dice.sample(FAULTS, len(FAULTS))
            self.inject(todo.pop())
            time.sleep(self.dice.random())
        for crowd in crowds:
            crowd.stop.set()
        self.accounts = [account for crowd in crowds
                         for account in crowd.end(90)]

    def inject(self, fault):
        name = fault.__name__.replace("_", " ")
        print(time.strftime("%T"), name)
        self.count()
        try:
            fault(self.lab, self.dice)
        except (ProcessLookupError, FileNotFoundError, IndexError):
            return              # it was on its way out already
        self.injected[name] += 1
        wait_for("an answer after: " + name, self.answers, 60)
        self.survived[name] += 1

    def answers(self):
        run = self.lab.cavactl("status", fmt="json")
        return run.returncode == 0

    def count(self):
        """What cavad has scanned: its counter begins anew with it."""
        run = self.lab.cavactl("status", fmt="json")
        if run.returncode == 0:
            now = self.lab.counter("files_processed")
            self.scans += now - self.seen if now >= self.seen else now
            self.seen = now

    # --- afterwards ---

    def files(self):
        return [path for directory in self.dirs
                for path in directory.iterdir()
                if path.is_file() and path.stat().st_size > 0]

    def without(self):
        """Files whose record is not what it must be."""
        found = {}
        for path in self.files():
            there = record.of(path)
            if there != (truth(path), True):
                found[path] = there
        return found

    def settle(self, timeout):
        """Waits until nothing is owed; what is without a record then has it
        in the database, or a mark, and its next reader knows."""
        self.lab.start()
        self.lab.wait_online(2)
        # the last unlink or rename of a client that has gone
        wait_for("smbds to end", lambda: not serving(self.lab), 120)
        wait_for("no scan to be pending", lambda: self.lab.status()[
            "pending_scans"] == 0, timeout)
        beside = self.without()
        for path in beside:
            self.read_one(path)
        self.count()
        self.beside = {kind: sum(self.kind(r) == kind
                                 for r in beside.values())
                       for kind in ("marked", "database")}

    @staticmethod
    def kind(found):
        return "marked" if found and found[0] == MARK else "database"

    def read_one(self, path):
        """By a client of the standard share: scanned, or known to be."""
        before, facts = record.of(path), self.facts(path)
        share = None if path.parent == self.dirs[0] else self.dirs[1].name
        try:
            content = self.lab.connect(share=share).loadfile(path.name)
        except Exception:
            content = None
        wrong = content == EICAR if truth(path) == INFECTED else \
            content != path.read_bytes()
        assert not wrong, (path, record.of(path), facts)
        record.settled(path)
        said = "infected" if truth(path) == INFECTED else "clean"
        known = facts["database"].startswith(said) and \
            facts["database"].endswith("it holds")
        assert known or record.of(path) == (truth(path), True), (
            "no verdict: %s, %s then %s, %s, CAVA_SEED=%d" % (
                path, before, record.of(path), facts, self.seed))

    def facts(self, path):
        """What cavad knows of the file, before anybody reads it."""
        run = self.lab.cavactl("explain", str(path), fmt="json")
        return {fact["about"]: fact["text"] for fact in
                json.loads(run.stdout)["explain"]["facts"]}

    def calm(self, rounds=1):
        """The same work each time, for what is held to be compared."""
        for _ in range(rounds):
            for number in range(4):
                smb = self.lab.connect()
                for n in range(25):
                    name = "calm%d-%d" % (number, n)
                    smb.savefile(name, b"%d\n" % n * 500)
                    smb.loadfile(name)
                    smb.unlink(name)
                del smb
            wait_for("smbds to end", lambda: not serving(self.lab), 60)
            wait_for("no scan to be pending", lambda: self.lab.status()[
                "pending_scans"] == 0, 60)

    def longest(self):
        return max(account.longest for account in self.accounts)

    def table(self):
        lines = ["%-24s %9s %9s" % ("fault", "injected", "survived")]
        for name in sorted(self.injected):
            lines.append("%-24s %9d %9d" % (name, self.injected[name],
                                            self.survived[name]))
        total = collections.Counter()
        for account in self.accounts:
            total.update(done=account.done, owed=account.owed,
                         lost=account.lost, denied=account.denied)
        files = self.files()
        rows = [
            ("clients", len(self.clients)),
            ("operations that succeeded", total["done"]),
            ("refused: infected, in use, disk full", total["denied"]),
            ("connections lost", total["lost"]),
            ("longest operation, s", round(self.longest()[0], 1)),
            ("reads that returned what is infected", sum(
                len(account.infected_reads) for account in self.accounts)),
            ("scans owed (closes and renames)", total["owed"]),
            ("scans done (one may answer several)", self.scans),
            ("files at the end", len(files)),
            ("of those, with the right verdict", len(files) -
             len(self.without())),
            ("with it in the database alone",
             self.beside["database"]),
            ("marked, and scanned by the next reader",
             self.beside["marked"]),
        ]
        return "\n".join(lines + [""] + ["%-42s %8s" % row for row in rows])
