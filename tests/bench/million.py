"""How cavad grows: many verdicts in the store, many scans owed, many files.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pathlib
import statistics
import subprocess
import threading
import time

import load
from shares import ROOT

FILL = ROOT / "build" / "out" / "bench" / "bench_store"
SCANS = 400

STORE_HEAD = ["verdicts in the store", "CPU ms of cavad a scan",
              "median ms of a first read", "/ the first row",
              "memory of its own, MiB", "with what it maps, MiB"]
PENDING_HEAD = ["scans pending", "what", "figure"]


def processes(lab):
    """Of cavad: the pids."""
    top = int((lab.dir / "run" / "cavad.pid").read_text())
    found = subprocess.run(["pgrep", "-P", str(top)], text=True,
                           stdout=subprocess.PIPE).stdout.split()
    for pid in list(found):
        found += subprocess.run(["pgrep", "-P", pid], text=True,
                                stdout=subprocess.PIPE).stdout.split()
    return [top] + [int(pid) for pid in found]


def memory(lab):
    """MiB: anonymous, which is what cannot be given back; and the share of
    each in all that is mapped, the database among it."""
    own, mapped = 0, 0
    for pid in processes(lab):
        try:
            text = pathlib.Path("/proc/%d/smaps_rollup" % pid).read_text()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in text.splitlines()[1:])
        own += int(fields["Anonymous"].split()[0])
        mapped += int(fields["Pss"].split()[0])
    return own / 1024, mapped / 1024


class Peak(threading.Thread):
    """The most memory of its own until it is stopped."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab = lab
        self.most = 0.0
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.5):
            self.most = max(self.most, memory(self.lab)[0])

    def stop(self):
        self.over.set()
        self.join()
        return self.most


def scans(bench, way):
    """(CPU ms of cavad, median ms) of first reads by one client."""
    lab, directory = bench.lab, bench.shares.directory(way)
    names = load.fill(directory, "n", SCANS, 4096)
    used, times = [], []
    with load.Clients(lab, bench.shares.name(way)) as smb:
        for _ in range(bench.rounds):
            load.forget(directory, names)
            before = load.cpu(lab, "cavad.pid")
            times += smb.run("read", [(n, None) for n in names])[1]
            used.append((load.cpu(lab, "cavad.pid") - before) * 1000 / SCANS)
    load.remove([directory], names)
    return statistics.median(used), statistics.median(times) * 1000


def stopped(bench, *fill):
    """Changes the database while cavad does not run."""
    lab = bench.lab
    lab.sh("stop", "cavad")
    subprocess.run([str(FILL), str(lab.dir / "cavad" / "state")] +
                   [str(word) for word in fill], check=True,
                   stdout=subprocess.DEVNULL)
    lab.sh("start", "cavad")


def store(bench):
    rows, there = [], 0
    for count in [0, 10000, 100000] + ([1000000] if bench.long else []):
        stopped(bench, "results", there, count - there)
        there = count
        bench.lab.wait_online(4)
        used, took = scans(bench, "cava-null")
        rows.append([count, used, took, took / (rows[0][2] if rows else took),
                     *memory(bench.lab)])
    return rows


def wait_pending(lab, count, timeout=1800):
    end = time.monotonic() + timeout
    while lab.status()["pending_scans"] != count:
        assert time.monotonic() < end, lab.status()["pending_scans"]
        time.sleep(0.2)


def pending(bench):
    """Scans that no server takes; then one does; then all is current."""
    lab, rows = bench.lab, []
    count = 1000000 if bench.long else 50000
    directory = bench.shares.directory("cava-null")
    load.tree(directory, count)
    # whose share that is, and so which pool's, cavad knows by its smbds
    with load.Clients(lab, bench.shares.name("cava-null")):
        pass
    try:
        cost, took = scans(bench, "cava-clamd")
        rows.append([0, "CPU ms of cavad a scan by clamd", cost])
        rows.append([0, "median ms of it", took])
        rows.append([0, "memory of its own, MiB", memory(lab)[0]])
        lab.configure("server null", "server_uri",
                      "clamd:%s/run/nobody.sock" % lab.dir)
        stopped(bench, "pending", directory)
        lab.wait_online(3)
        wait_pending(lab, count)
        cost, took = scans(bench, "cava-clamd")
        rows.append([count, "CPU ms of cavad a scan by clamd", cost])
        rows.append([count, "median ms of it", took])
        rows.append([count, "memory of its own, MiB", memory(lab)[0]])
        rows.append([count, "with what it maps, MiB", memory(lab)[1]])
        lab.configure("server null", "server_uri", "null:")
        lab.sh("stop", "cavad")
        start = time.monotonic()
        lab.sh("start", "cavad")
        peak = Peak(lab)
        wait_pending(lab, 0)
        rows.append([count, "scans owed that are done, a second (engine "
                     "null)", count / (time.monotonic() - start)])
        rows.append([count, "most memory of its own meanwhile, MiB",
                     peak.stop()])
        for row in bench.walks(directory, count):
            rows.append([0, "%s over %d current files, files/s" %
                         (row[1], count), row[2]])
    finally:
        subprocess.run(["rm", "-r"] + [str(d) for d in directory.glob("d*")],
                       check=True)
    return rows
