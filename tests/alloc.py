#!/usr/bin/python3
"""Fails one allocation of a unit test after the other (fail_malloc.c): the
code may report an error, and may not crash or wait for ever.

As many of each program as there is time for: one of each stack of callers
and any others in turn; with --long for minutes (or --seconds), of slow programs too. That a
test does not look at what it allocates, and gives it to what it tests, is no
finding. Ends with a line `N passed, N failed`.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import concurrent.futures
import itertools
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/out"
PRELOAD = OUT / "unit/fail_malloc.so"
CRASHED = 99
QUICK, SHORT = 0.5, 2           # s: a run of the program, runs that fail
SLOW, LONG = 30, 300
STUCK = 60                      # s


def run(program, number, count=None, limit=STUCK):
    """(exit status or None, what it said)"""
    environment = dict(os.environ, LD_PRELOAD=str(PRELOAD),
                       FAIL_MALLOC=str(number))
    if count:
        environment["FAIL_MALLOC_COUNT"] = count
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        # no pipe, which the program's own children would keep open
        process = subprocess.Popen([program], env=environment, cwd=ROOT,
                                   stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            code = None
        output.seek(0)
        return code, output.read()


def frames(program, output):
    """["function at file:line"] of the program, innermost first."""
    at = re.findall(r"%s\(\+(0x[0-9a-f]+)\)" % re.escape(str(program)),
                    output)
    if not at:
        return []
    text = subprocess.run(["addr2line", "-f", "-p", "-s", "-e", program, *at],
                          stdout=subprocess.PIPE, text=True).stdout
    files = subprocess.run(["addr2line", "-e", program, *at],
                           stdout=subprocess.PIPE, text=True).stdout
    return list(zip(text.splitlines(), files.splitlines()))


def of_test(frame):
    """A row of a table that a test includes has the table's file."""
    return "/tests/" in frame[1] or frame[0].startswith("test_")


def finding(program, number):
    """None, or what is wrong when that allocation fails."""
    code, output = run(program, number)
    if code is None:
        return "allocation %d: it is stuck" % number
    if code != CRASHED and code >= 0:
        return None
    stack = frames(program, output)
    if any(of_test(frame) for frame in stack[:2]):
        return None
    return "allocation %d: status %d\n    %s" % (
        number, code, "\n    ".join(name for name, _ in stack[:6]) or
        output[-1500:])


def numbers(total, firsts, seed):
    """All of them, first of a stack and any other in turn."""
    chance = random.Random(seed)
    every = list(range(1, total + 1))
    chance.shuffle(every)
    chance.shuffle(firsts)
    pairs = itertools.chain.from_iterable(itertools.zip_longest(firsts,
                                                                every))
    return [n for n in dict.fromkeys(pairs) if n is not None]


def check(program, long, seconds, seed):
    """(findings, line of the report)"""
    limit = SLOW if long else QUICK
    with tempfile.NamedTemporaryFile() as count:
        code, output = run(program, 0, count.name, limit)
        total, *firsts = map(int, pathlib.Path(count.name).read_text()
                             .split() or [0])
    if code is None:
        return [], "takes over %g s" % limit
    if code != 0:
        return ["it fails without: %s" % output[-1500:]], ""
    end = time.monotonic() + seconds
    done, found = 0, []
    for number in numbers(total, firsts, seed + program.name):
        if time.monotonic() > end:
            break
        done += 1
        found.append(finding(program, number))
    return [f for f in found if f], (
        "%d of %d allocations failed, %d stacks" % (done, total,
                                                    len(firsts)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seed")
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    seconds = options.seconds or (LONG if options.long else SHORT)
    if options.seed is None:    # what CI runs is the same each time
        options.seed = str(time.time_ns()) if options.long else "1"
    # What crashes leaves files and processes.
    if not os.environ.get("ALLOC_INSIDE"):
        os.environ["ALLOC_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-m", "-p", "--fork",
                              "--kill-child", "--mount-proc",
                              "--propagation", "private", "bash", "-c",
                              "mount -t tmpfs none /tmp && exec \"$@\"",
                              "bash", "/usr/bin/python3", *sys.argv])
    print("seed %s" % options.seed)
    programs = [OUT / "unit" / path.stem
                for path in sorted((ROOT / "tests/unit").glob("test_*.c"))
                if options.only in path.stem]
    results = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [(p, pool.submit(check, p, options.long, seconds,
                                options.seed))
                for p in programs]
        for program, job in jobs:
            found, line = job.result()
            results.append(not found)
            print("%-28s %s%s" % (program.name, line, "".join(
                "\n  " + f for f in found)), flush=True)
    print("%d passed, %d failed" % (results.count(True),
                                    results.count(False)))
    return 1 if False in results or not results else 0


sys.exit(main())
