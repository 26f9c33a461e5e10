#!/usr/bin/python3
"""What the module costs a client: open, read 4 KiB, close, on files that
have their verdict, and on files that have none.

    tests/bench/smb.py [--files N] [--rounds N]

Both shares are of one smbd, on the same file system, with one client that
waits for each answer. Shares take turns, round by round, so that what else
the machine does hits them alike. Prints a table for docs/benchmarks.md.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "smb"))

from lab import OPEN, READ, SHARE_ALL, Lab  # noqa: E402

CONTENT = b"x" * 4096


def one(smb, name):
    """ms of one open, read and close."""
    start = time.perf_counter()
    handle = smb.create(name, DesiredAccess=READ, ShareAccess=SHARE_ALL,
                        CreateDisposition=OPEN)
    smb.read(handle, 0, 4096)
    smb.close(handle)
    return (time.perf_counter() - start) * 1000


def row(what, times):
    times = sorted(times)
    print("| %-44s | %6.3f | %6.3f | %6.3f |" % (
        what, statistics.median(times), times[int(len(times) * 0.9)],
        times[int(len(times) * 0.99)]), flush=True)


def fill(directory, files):
    for i in range(files):
        (directory / ("%d.bin" % i)).write_bytes(CONTENT)
        os.chmod(directory / ("%d.bin" % i), 0o666)


def forget(directory, files):
    for i in range(files):
        try:
            os.removexattr(directory / ("%d.bin" % i), "security.cava")
        except OSError:
            pass


def compare(lab, files, rounds):
    plain = lab.connect(share="plain", threads=False)
    cava = lab.connect(threads=False)
    for i in range(files):          # verdicts, and a warm cache
        one(plain, "%d.bin" % i)
        one(cava, "%d.bin" % i)
    asked = lab.counter("on_demand_scan_requests")
    times = {"plain": [], "cava": []}
    for _ in range(rounds):
        for i in range(files):
            times["plain"].append(one(plain, "%d.bin" % i))
            times["cava"].append(one(cava, "%d.bin" % i))
    assert lab.counter("on_demand_scan_requests") == asked
    row("without the module", times["plain"])
    row("with it, verdict on the file (cavad not asked)", times["cava"])
    return cava


def first_reads(lab, cava, what, files, rounds):
    times = []
    for _ in range(rounds):
        forget(lab.share_dir, files)
        times += [one(cava, "%d.bin" % i) for i in range(files)]
    row("first read, scanned by %s" % what, times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print("| open, read 4 KiB, close; ms | median | 90 % | 99 % |")
    print("|---|---|---|---|")
    for engine, what in (("null", "nobody (engine null)"),
                         ("clamd", "clamd, by descriptor"),
                         ("cee", "cee_agent and clamd, through CHECK$")):
        lab = Lab("--engine", engine, "--profile", "strict", "--plain")
        try:
            lab.start()
            lab.wait_online()
            fill(lab.share_dir, options.files)
            fill(lab.dir / "data/plain", options.files)
            if engine == "null":
                cava = compare(lab, options.files, options.rounds)
            else:
                cava = lab.connect(threads=False)
            first_reads(lab, cava, what, options.files, 3)
        finally:
            lab.close()


if __name__ == "__main__":
    main()
