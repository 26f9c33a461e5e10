#!/usr/bin/python3
"""./waf bench: what scanning costs beside a share without it and beside
Samba's own virusfilter.

    tests/bench/run.py [--long] [--rounds N] [--only CASE]

Every figure is a median over the rounds of one run, in which the ways to scan
take turns, in an order that changes from round to round; what counts is the
ratio. Tables go to build/bench/results.txt and .json, plots beside them.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
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
import plot                                         # noqa: E402
from shares import ROOT, Shares                     # noqa: E402

OUT = ROOT / "build" / "bench"
PEERS = ["plain", "virusfilter", "cava-clamd", "cava-cee"]
# name, files, bytes; quick and long
SETS = {False: [("16 KiB", 400, 16 << 10), ("1 MiB", 40, 1 << 20)],
        True: [("16 KiB", 2000, 16 << 10), ("1 MiB", 200, 1 << 20),
               ("1 GiB", 4, 1 << 30)]}


class Bench:
    def __init__(self, options):
        self.options = options
        self.long = options.long
        self.rounds = options.rounds
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
        text = "\n## %s\n\n| %s |\n|%s\n" % (
            name, " | ".join(head), "---|" * len(head))
        for row in rows:
            text += "| %s |\n" % " | ".join(
                "%.3g" % v if isinstance(v, float) else str(v) for v in row)
        if note:
            text += "\n%s\n" % note
        print(text, flush=True)

    # --- 1: reads ---

    def reads(self):
        rows = []
        for what, count, size in SETS[self.long]:
            ways = PEERS
            names = {w: load.fill(self.shares.directory(w), "r", count, size)
                     for w in ways}
            for clients in (1, 8, 32):
                if clients <= count:
                    rows += self.reads_of(what, ways, names, clients)
            for way in ways:
                for name in names[way]:
                    os.unlink(self.shares.directory(way) / name)
        self.table("Reads", ["files", "clients", "way", "cold s", "warm s",
                             "cold / plain", "warm / plain",
                             "cold / virusfilter", "CPU ms a cold file"],
                   rows, "Each file is opened, read and closed once a pass; "
                   "cold: no verdict yet. CPU: of all server programs.")
        plot.bars(OUT / "reads.svg", "Cold reads of 16 KiB, seconds",
                  [(r[2] + ", %d" % r[1], r[3]) for r in rows
                   if r[0] == "16 KiB"])

    def reads_of(self, what, ways, names, clients):
        cold = {w: [] for w in ways}
        warm = {w: [] for w in ways}
        used = {w: [] for w in ways}
        for _round, way in self.turns(ways):
            load.forget(self.shares.directory(way), names[way])
            items = [(n, None) for n in names[way]]
            with load.Clients(self.lab, self.shares.name(way),
                              clients) as smb:
                before = load.cpu(self.lab)
                cold[way].append(smb.run("read", items)[0])
                used[way].append((load.cpu(self.lab) - before) * 1000 /
                                 len(items))
                warm[way].append(smb.run("read", items)[0])
        med = statistics.median
        return [[what, clients, w, med(cold[w]), med(warm[w]),
                 med(cold[w]) / med(cold["plain"]),
                 med(warm[w]) / med(warm["plain"]),
                 med(cold[w]) / med(cold["virusfilter"]), med(used[w])]
                for w in ways]

    def slow_engine(self):
        """An engine on another machine: it costs time, and no CPU here."""
        count = 400 if self.long else 160
        ways = ["slow-vf", "slow-cava"]
        names = {w: load.fill(self.shares.directory(w), "s", count, 16 << 10)
                 for w in ways}
        rates = {w: [] for w in ways}
        for _round, way in self.turns(ways):
            load.forget(self.shares.directory(way), names[way])
            with load.Clients(self.lab, self.shares.name(way), 1, 8) as smb:
                took = smb.run("read", [(n, None) for n in names[way]])[0]
            rates[way].append(count / took)
        med = {w: statistics.median(rates[w]) for w in ways}
        self.table("An engine that takes 20 ms, 8 requests in flight on one "
                   "connection", ["way", "files/s", "/ virusfilter"],
                   [[w, med[w], med[w] / med["slow-vf"]] for w in ways])

    # --- 2: writes ---

    def writes(self):
        rows = []
        ways = ["plain", "cava-null", "virusfilter", "cava-clamd",
                "cava-cee"]
        for what, count, size in SETS[self.long]:
            block = os.urandom(size)
            wrote = {w: [] for w in ways}
            clean = {w: [] for w in ways}
            for r, way in self.turns(ways):
                names = ["w%d-%d.bin" % (r, i) for i in range(count)]
                with load.Clients(self.lab, self.shares.name(way)) as smb:
                    start = time.monotonic()
                    wrote[way].append(smb.run(
                        "write", [(n, block) for n in names])[0])
                    self.until_clean(way, names)
                    clean[way].append(time.monotonic() - start)
                for name in names:
                    os.unlink(self.shares.directory(way) / name)
            base = statistics.median(wrote["plain"])
            rows += [[what, w, statistics.median(wrote[w]),
                      statistics.median(wrote[w]) / base,
                      statistics.median(clean[w])] for w in ways]
        self.table("Writes, scanned on close", [
            "files", "way", "s", "/ plain", "s until all have a verdict"],
            rows, "virusfilter scans inside close, and has no verdict that "
            "one could wait for.")

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
                    time.sleep(0.005)

    # --- 3: what others feel ---

    def beside_a_scan(self):
        rows = []
        for way, hold in (("plain", False), ("slow-vf", True),
                          ("slow-cava", True)):
            directory = self.shares.directory(way)
            load.fill(directory, "hold", 1, 4096)
            load.fill(directory, "other", 1, 4096)
            load.forget(directory, ["hold0.bin"])
            one = self.lab.connect(share=self.shares.name(way))
            two = self.lab.connect(share=self.shares.name(way))
            for smb in (one, two):
                smb.loadfile("other0.bin")
            reader = threading.Thread(target=one.loadfile,
                                      args=("hold0.bin",))
            if hold:
                reader.start()
                time.sleep(0.3)     # the scan runs for eight seconds
            same = self.latencies(one)
            other = self.latencies(two)
            if hold:
                reader.join()
            rows.append([way, statistics.median(same), max(same),
                         statistics.median(other), max(other)])
        for row in rows:
            row += [row[1] / rows[0][1], row[3] / rows[0][3]]
        self.table("While a scan of another file takes 8 s, ms", [
            "way", "same connection", "longest", "another connection",
            "longest", "same / plain", "another / plain"], rows)

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
            jobs.append(self.job())
            start = time.monotonic()
            subprocess.run(["clamdscan", "--multiscan", "--fdpass", "--quiet",
                            "--config-file=%s/clamd/clamd.conf" %
                            self.lab.dir, str(directory)], check=True)
            tools.append(time.monotonic() - start)
        for name in names:
            os.unlink(directory / name)
        rows = [["%d of 16 KiB, no verdict" % count, "job, engine clamd",
                 count / statistics.median(jobs),
                 statistics.median(tools) / statistics.median(jobs)],
                ["", "clamdscan --multiscan --fdpass",
                 count / statistics.median(tools), 1.0]]
        rows += self.jobs_current()
        self.table("Jobs", ["files", "by", "files/s", "rate ratio"], rows)

    def jobs_current(self):
        count = 100000 if self.long else 20000
        directory = self.shares.directory("cava-clamd")
        for i in range(count // 1000):
            (directory / ("d%d" % i)).mkdir()
            for k in range(1000):
                (directory / ("d%d" % i) / ("%d.txt" % k)).write_bytes(b"x")
        self.job()
        walks, finds = [], []
        for _ in range(self.rounds):
            walks.append(self.job())
            start = time.monotonic()
            subprocess.run(["find", str(directory), "-printf", "%s %C@ %p\n"],
                           check=True, stdout=subprocess.DEVNULL)
            finds.append(time.monotonic() - start)
        subprocess.run(["rm", "-r"] + [str(d) for d in directory.glob("d*")],
                       check=True)
        return [["%d, all current" % count, "job",
                 count / statistics.median(walks),
                 statistics.median(finds) / statistics.median(walks)],
                ["", "find -printf", count / statistics.median(finds), 1.0]]

    def job(self):
        """Seconds of a run, by the clock of who waits for it."""
        start = time.monotonic()
        run = self.lab.cavactl("jobs", "start", "bench", fmt="json")
        assert run.returncode == 0, run.stderr
        number = json.loads(run.stdout)["id"]
        while True:
            view = self.lab.cavactl("jobs", "view", str(number), fmt="json")
            state = json.loads(view.stdout)["jobs"][0]["state"]
            if state == "succeeded":
                return time.monotonic() - start
            assert state in ("running", "paused_priority"), view.stdout
            time.sleep(0.02)

    # --- 6: instructions ---

    def instructions(self):
        rows = callgrind.measure()
        self.table("CPU instructions of the module, verdict on the file",
                   ["operation", "in cava.so"], rows,
                   "By callgrind: the same for the same binary, whatever "
                   "else the machine does.")


CASES = ["reads", "slow_engine", "writes", "beside_a_scan", "jobs",
         "instructions"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="one of %s" % CASES)
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    try:
        for case in CASES:
            if options.only in case:
                getattr(bench, case)()
    finally:
        bench.shares.close()
        (OUT / "results.json").write_text(json.dumps(
            {"date": time.strftime("%Y-%m-%d"), "long": options.long,
             "rounds": options.rounds, "tables": bench.tables}, indent=1))


if __name__ == "__main__":
    main()
