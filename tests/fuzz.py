#!/usr/bin/python3
"""Runs the fuzz targets under libFuzzer, with ASan and UBSan, one after the
other, and prints what each has done: five seconds each, --seconds N, or with
--long ten million inputs. The rate is that of a second of CPU, so that a busy
machine shows the same one.

What it finds to be new stays in build/libfuzzer/corpus/TARGET and is where
the next run starts. What fails is in build/libfuzzer/crash.*.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import os
import pathlib
import re
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/libfuzzer"
LONG = ["-runs=10000000"]
# A small quarantine: what is freed is used again by much the same.
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=8")
ROW = "%-20s %12s %8s %9s %8s %8s %9s  %s"


def seeds(name):
    corpus = OUT / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    subprocess.run([OUT / "fuzz" / name, "-w", corpus], check=True)
    return corpus


def used():
    """Seconds of CPU of what has ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(name, how):
    log = OUT / (name + ".log")
    corpus = seeds(name)
    before = used()
    with open(log, "w") as out:
        code = subprocess.run(
            [OUT / "fuzz" / name, *how, "-max_len=16384", "-timeout=120",
             "-detect_leaks=0",     # sanitize.py's; a second an input here
             "-print_final_stats=1", "-verbosity=1", "-print_funcs=0",
             "-artifact_prefix=%s/crash.%s." % (OUT, name), corpus],
            cwd=OUT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT).returncode
    took = used() - before
    text = log.read_text(errors="replace")
    said = dict(re.findall(r"stat::(\w+):\s+(\d+)", text))
    cover = re.findall(r"cov: (\d+)", text)
    inputs = int(said.get("number_of_executed_units", 0))
    print(ROW % (name, inputs, "%.0f" % took,
                 "%.0f" % (inputs / max(took, 0.001)),
                 cover[-1] if cover else "?",
                 said.get("new_units_added", "?"),
                 said.get("peak_rss_mb", "?"),
                 "nothing found" if code == 0 else "FAILED"), flush=True)
    if code != 0:
        print(text[-6000:])
    return code == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(ROW % ("target", "inputs", "CPU s", "a CPU s", "edges", "new",
                 "MiB", ""))
    how = LONG if options.long else [
        "-max_total_time=%d" % options.seconds]
    results = [run(path.stem, how)
               for path in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c"))
               if path.stem != "fuzz_main" and options.only in path.stem]
    print("%d passed, %d failed" % (results.count(True),
                                    results.count(False)))
    return 1 if False in results or not results else 0


sys.exit(main())
