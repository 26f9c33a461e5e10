#!/usr/bin/python3
"""./waf bench: what scanning costs beside a share without it and beside
Samba's own virusfilter.

    tests/bench/run.py [--long] [--rounds N] [--only CASE] [--sets SET,...]

Every figure is a median over the rounds of one run, in which the ways to scan
take turns, in an order that changes from round to round; what counts is the
ratio. The tables of a case go to build/bench/CASE.txt and .json, plots beside
them. Files are the same inodes for each way: hard links.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import callgrind                                    # noqa: E402
import load                                         # noqa: E402
import million                                      # noqa: E402
import plot                                         # noqa: E402
from shares import ROOT, Shares                     # noqa: E402
from cavad_world import UnixConnection              # noqa: E402

OUT = ROOT / "build" / "bench"
RUNS = "/platform/10/job/jobs"
PEERS = ["plain", "virusfilter", "cava-clamd", "cava-cee"]
# name, files, bytes, clients; quick and long
SETS = {False: [("16K", 400, 16 << 10, (1, 8, 32)),
                ("1M", 40, 1 << 20, (1, 8, 32))],
        True: [("16K", 2000, 16 << 10, (1, 8, 32)),
               ("1M", 200, 1 << 20, (1, 8, 32)),
               ("1G", 4, 1 << 30, (1, 4))]}


def med(values):
    return statistics.median(values)


class Bench:
    def __init__(self, options):
        self.options = options
        self.long = options.long
        self.rounds = options.rounds
        self.sets = [s for s in SETS[self.long] if not options.sets or
                     s[0] in options.sets.split(",")]
        self.tables = []
        self.shares = Shares()
        self.lab = self.shares.lab

    def turns(self, ways):
        """(round, way): each round begins with another one."""
        for r in range(self.rounds):
            for i in range(len(ways)):
                yield r, ways[(r + i) % len(ways)]

    def table(self, name, head, rows, note=""):
        self.tables.append({"name": name, "head": head, "rows": rows,
                            "note": note})
        print(text_of(self.tables[-1]), flush=True)

    def run(self, case):
        start = time.monotonic()
        self.tables = []
        getattr(self, case)()
        took = time.monotonic() - start
        print("%s: %.0f s" % (case, took), flush=True)
        path = OUT / ("-".join([case] + self.options.sets.split(",")).rstrip(
            "-"))
        path.with_suffix(".txt").write_text(
            "".join(text_of(t) for t in self.tables))
        path.with_suffix(".json").write_text(json.dumps(
            {"case": case, "date": time.strftime("%Y-%m-%d"),
             "long": self.long, "rounds": self.rounds,
             "seconds": round(took), "load_before": self.load,
             "tables": self.tables}, indent=1))

    # --- 1: reads ---

    def reads(self):
        rows = []
        for what, count, size, clients in self.sets:
            directories = [self.shares.directory(w) for w in PEERS]
            names = load.fill_same(directories, "r", count, size)
            for number in clients:
                rows += self.reads_of(what, names, number)
            load.remove(directories, names)
        self.table("Reads", ["files", "clients", "way", "cold s", "warm s",
                             "cold / plain", "warm / plain",
                             "cold / virusfilter", "CPU ms a cold file"],
                   rows, "Each file is opened, read and closed once a pass; "
                   "cold: no verdict yet. CPU: of all server programs. warm "
                   "/ plain: median of the ratios of passes side by side.")
        plot.bars(OUT / "reads.svg", "Cold reads, seconds",
                  [("%s, %s, %d" % (r[2], r[0], r[1]), r[3]) for r in rows])

    def reads_of(self, what, names, clients):
        cold = {w: [] for w in PEERS}
        used = {w: [] for w in PEERS}
        items = [(n, None) for n in names]
        for _round, way in self.turns(PEERS):
            load.forget(self.shares.directory(way), names)
            with load.Clients(self.lab, self.shares.name(way),
                              clients) as smb:
                before = load.cpu(self.lab)
                cold[way].append(smb.run("read", items)[0])
                used[way].append((load.cpu(self.lab) - before) * 1000 /
                                 len(items))
        warm, ratio = self.warm_of(items, clients)
        return [[what, clients, w, med(cold[w]), med(warm[w]),
                 med(cold[w]) / med(cold["plain"]), med(ratio[w]),
                 med(cold[w]) / med(cold["virusfilter"]), med(used[w])]
                for w in PEERS]

    def warm_of(self, items, clients):
        """Passes over files that have their verdict: seconds, and the ratio
        of each to plain's beside it. They are short, so there are more of
        them, and all clients stay connected: what the machine does else, or
        a new smbd, is in all ways of a round."""
        took = {w: [] for w in PEERS}
        with contextlib.ExitStack() as stack:
            smb = {w: stack.enter_context(load.Clients(
                self.lab, self.shares.name(w), clients)) for w in PEERS}
            for way in PEERS:
                smb[way].run("read", items)
            for i in range(4 * self.rounds + 1 if len(items) > 4 else 1):
                for k in range(len(PEERS)):
                    way = PEERS[(i + k) % len(PEERS)]
                    took[way].append(smb[way].run("read", items)[0])
        return took, {w: [a / b for a, b in zip(took[w], took["plain"])]
                      for w in PEERS}

    def slow_engine(self):
        """An engine on another machine: it costs time, and no CPU here."""
        count = 400 if self.long else 160
        ways = ["slow-vf", "slow-cava"]
        directories = [self.shares.directory(w) for w in ways]
        names = load.fill_same(directories, "s", count, 16 << 10)
        rates = {w: [] for w in ways}
        for _round, way in self.turns(ways):
            load.forget(self.shares.directory(way), names)
            with load.Clients(self.lab, self.shares.name(way), 1, 8) as smb:
                took = smb.run("read", [(n, None) for n in names])[0]
            rates[way].append(count / took)
        load.remove(directories, names)
        self.table("An engine that takes 20 ms, 8 requests in flight on one "
                   "connection", ["way", "files/s", "/ virusfilter"],
                   [[w, med(rates[w]), med(rates[w]) / med(rates["slow-vf"])]
                    for w in ways])

    # --- 2: writes ---

    def writes(self):
        rows = []
        ways = ["plain", "cava-null", "virusfilter", "cava-clamd",
                "cava-cee"]
        for what, count, size, _clients in self.sets:
            wrote = {w: [] for w in ways}
            clean = {w: [] for w in ways}
            used = {w: [] for w in ways}
            scans = {w: [] for w in ways}
            for r, way in self.turns(ways):
                names = self.new_names(way, "w%d-%s" % (r, what), count)
                with load.Clients(self.lab, self.shares.name(way)) as smb:
                    before = load.cpu(self.lab)
                    cavad = load.cpu(self.lab, "cavad.pid")
                    start = time.monotonic()
                    wrote[way].append(smb.run(
                        "write", [(n, size) for n in names])[0])
                    self.until_clean(way, names)
                    clean[way].append(time.monotonic() - start)
                    used[way].append((load.cpu(self.lab) - before) * 1000 /
                                     count)
                    scans[way].append((load.cpu(self.lab, "cavad.pid") -
                                       cavad) * 1000 / count)
                load.empty(self.shares.directory(way), names)
            base = med(wrote["plain"])
            rows += [[what, w, med(wrote[w]), med(wrote[w]) / base,
                      med(clean[w]), med(used[w]), med(scans[w])]
                     for w in ways]
        self.table("Writes, scanned on close", [
            "files", "way", "s", "/ plain", "s until all have a verdict",
            "CPU ms a file", "of it cavad"],
            rows, "virusfilter scans inside close, and has no verdict that "
            "one could wait for. CPU: of all server programs, until then.")

    def new_names(self, way, name, count):
        """Files to be made, in a directory of their own: smbd lists it for
        each. They stay until the lab goes, emptied: ext4 passes over inodes
        that were removed in the last minutes, one by one, for each new
        file."""
        directory = self.shares.directory(way) / name
        directory.mkdir()
        directory.chmod(0o777)
        return ["%s/%d.bin" % (name, i) for i in range(count)]

    def until_clean(self, way, names):
        if not way.startswith("cava"):
            return
        directory = self.shares.directory(way)
        for name in names:
            end = time.monotonic() + 300
            while True:
                try:
                    os.getxattr(directory / name, "security.cava")
                    break
                except OSError:
                    assert time.monotonic() < end, "%s: no verdict" % name
                    time.sleep(0.02)

    # --- 3: what others feel ---

    def beside_a_scan(self):
        ways = ["plain", "slow-vf", "slow-cava"]
        same = {w: [] for w in ways}
        other = {w: [] for w in ways}
        longest = {w: 0.0 for w in ways}
        for _round, way in self.turns(ways):
            for times, found in zip((same[way], other[way]),
                                    self.beside(way)):
                times.append(med(found))
                longest[way] = max(longest[way], max(found))
        self.table("While a scan of another file takes 8 s, ms", [
            "way", "same connection", "another connection", "longest",
            "same / plain", "another / plain"],
            [[w, med(same[w]), med(other[w]), longest[w],
              med(same[w]) / med(same["plain"]),
              med(other[w]) / med(other["plain"])] for w in ways])

    def beside(self, way):
        """Latencies on the connection that waits for a scan, and beside."""
        directory = self.shares.directory(way)
        load.fill(directory, "hold", 1, 4096)
        load.fill(directory, "other", 1, 4096)
        one = self.lab.connect(share=self.shares.name(way))
        two = self.lab.connect(share=self.shares.name(way))
        for smb in (one, two):
            smb.loadfile("other0.bin")
        reader = threading.Thread(target=one.loadfile, args=("hold0.bin",))
        self.shares.slow.holding.clear()
        if way != "plain":
            reader.start()
            assert self.shares.slow.holding.wait(20), "no scan has begun"
        found = self.latencies(one), self.latencies(two)
        if way != "plain":
            reader.join()
        return found

    @staticmethod
    def latencies(smb):
        found = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            start = time.perf_counter()
            smb.loadfile("other0.bin")
            found.append((time.perf_counter() - start) * 1000)
        return found

    # --- 4: jobs ---

    def jobs(self):
        count = 20000 if self.long else 3000
        directory = self.shares.directory("cava-clamd")
        names = load.fill(directory, "j", count, 16 << 10)
        jobs, tools = [], []
        for _ in range(self.rounds):
            load.forget(directory, names)
            jobs.append(self.job("clamd"))
            start = time.monotonic()
            subprocess.run(["clamdscan", "--multiscan", "--fdpass", "--quiet",
                            "--config-file=%s/clamd/clamd.conf" %
                            self.lab.dir, str(directory)], check=True)
            tools.append(time.monotonic() - start)
        load.remove([directory], names)
        rows = [["%d of 16 KiB, no verdict" % count, "job, engine clamd",
                 count / med(jobs), med(tools) / med(jobs)],
                ["", "clamdscan --multiscan --fdpass", count / med(tools),
                 1.0]]
        rows += self.jobs_current()
        self.table("Jobs", ["files", "by", "files/s", "rate ratio"], rows)

    def jobs_current(self):
        count = 100000 if self.long else 20000
        directory = self.shares.directory("cava-null")
        load.tree(directory, count)
        self.job("null")
        rows = self.walks(directory, count)
        subprocess.run(["rm", "-r"] + [str(d) for d in directory.glob("d*")],
                       check=True)
        return rows

    def walks(self, directory, count):
        """A job over what is current takes turns with find."""
        walks, finds = [], []
        for _ in range(self.rounds):
            walks.append(self.job("null"))
            start = time.monotonic()
            subprocess.run(["find", str(directory), "-printf", "%s %C@ %p\n"],
                           check=True, stdout=subprocess.DEVNULL)
            finds.append(time.monotonic() - start)
        return [["%d, all current" % count, "job", count / med(walks),
                 med(finds) / med(walks)],
                ["", "find -printf", count / med(finds), 1.0]]

    def job(self, name):
        """Seconds of a run, by the clock of who waits for it: on one
        connection, since a program each time would be a load of its own."""
        api = UnixConnection(self.lab.env["API_SOCKET"])
        start = time.monotonic()
        number = ask(api, "POST", RUNS, {
            "type": "AVScan", "avscan_params": {"policy": name}})["id"]
        while True:
            run = ask(api, "GET", "%s/%d" % (RUNS, number))["jobs"][0]
            if run["state"] == "succeeded":
                api.close()
                return time.monotonic() - start
            assert run["state"] in ("running", "paused_priority"), run
            time.sleep(0.02)

    # --- 5: how it grows ---

    def store(self):
        self.table("Verdicts in the store, memory of all processes of cavad",
                   million.STORE_HEAD, million.store(self))

    def pending(self):
        self.table("Scans pending, then paid, then walked over",
                   million.PENDING_HEAD, million.pending(self))

    # --- 6: instructions ---

    def instructions(self):
        rows = callgrind.measure()
        self.table("CPU instructions of the module, verdict on the file",
                   ["operation", "in cava.so"], rows,
                   "By callgrind: the same for the same binary, whatever "
                   "else the machine does.")


CASES = ["reads", "slow_engine", "writes", "beside_a_scan", "jobs", "store",
         "pending", "instructions"]


def ask(api, method, path, body=None):
    api.request(method, path, body and json.dumps(body))
    reply = api.getresponse()
    text = reply.read()
    assert reply.status < 300, text
    return json.loads(text)


def text_of(table):
    text = "\n## %s\n\n| %s |\n|%s\n" % (
        table["name"], " | ".join(table["head"]), "---|" * len(table["head"]))
    for row in table["rows"]:
        text += "| %s |\n" % " | ".join(
            "%.3g" % v if isinstance(v, float) else str(v) for v in row)
    if table["note"]:
        text += "\n%s\n" % table["note"]
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="of %s" % CASES)
    parser.add_argument("--sets", default="", help="of 16K,1M,1G")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if options.only not in case:
            continue
        bench = Bench(options)
        bench.load = os.getloadavg()[0]
        try:
            bench.run(case)
        finally:
            bench.shares.close()


if __name__ == "__main__":
    main()
