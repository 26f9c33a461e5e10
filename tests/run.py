#!/usr/bin/python3
"""Runs every test and ends with a line `N passed, N failed`.

Unit tests are programs (cmocka) in build/out/unit; daemon and SMB tests are
pytest's; tests/*.t.sh are shell. A program that crashes counts as failed.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 600     # s for one program, a third of it for a test
LONG = 3600
AT_ONCE = (os.cpu_count() or 1) + 1    # most of them wait most of the time


def limit():
    return LONG if os.environ.get("CAVA_TEST_LONG") else LIMIT


def run(command, name, environment=None):
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=limit(), text=True,
                              errors="replace", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, env=environment,
                              stderr=subprocess.STDOUT)
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        code, output = 124, str(late.stdout) + "\ntimed out"
    return name, code, output, time.monotonic() - start


def count(pattern, output):
    return sum(int(n) for n in re.findall(pattern, output))


def program_result(result):
    """(passed, failed) of one cmocka program or shell test."""
    name, code, output, took = result
    passed = count(r"\[  PASSED  \] (\d+) test", output)
    failed = count(r"\[  FAILED  \] (\d+) test", output)
    if code == 0 and not passed:
        passed = 1
    if code != 0 and not failed:
        failed = 1
    print("%-44s %4d passed %3d failed %6.1f s" % (name, passed, failed,
                                                   took), flush=True)
    if code != 0:
        print(output, flush=True)
    return passed, failed


def programs(only):
    unit = sorted((ROOT / "build/out/unit").glob("test_*"))
    found = [(str(p), "unit/" + p.name) for p in unit
             if os.access(p, os.X_OK) and not p.suffix and
             (ROOT / "tests/unit" / (p.name + ".c")).exists()]
    jobs = [([path], name) for path, name in found if only in name]
    jobs += [([str(p), "-n", "20000"], "fuzz/" + p.name)
             for p in sorted((ROOT / "build/out/fuzz").glob("fuzz_*"))
             if not p.suffix and only in "fuzz/" + p.name and
             (ROOT / "tests/fuzz" / (p.name + ".c")).exists()]
    for path in sorted((ROOT / "tests").glob("*.t.sh")):
        if only in path.name:
            jobs.append((["bash", str(path)], path.name))
    if only in "alloc":
        jobs.append((["/usr/bin/python3", "tests/alloc.py"], "alloc"))
    if only in "analyze":
        jobs.append((["/usr/bin/python3", "tests/analyze.py"], "analyze"))
    if only in "lint":
        jobs.append((["/usr/bin/python3", "tests/lint.py"], "lint"))
    return jobs


def pytest_files(only):
    found = []
    for part in ("daemon", "smb"):
        for path in sorted((ROOT / "tests" / part).glob("test_*.py")):
            name = "%s/%s" % (part, path.name)
            if only in name:
                found.append((path, name))
    return found


def pytest_result(path, name):
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        result = run(["/usr/bin/python3", "-m", "pytest", "-q", "-rf",
                      "-p", "no:cacheprovider", "--timeout=%d" % (limit() / 3),
                      "--junitxml=" + report.name, str(path)], name)
        try:
            suite = xml.etree.ElementTree.parse(report.name).find("testsuite")
            tests, bad, skipped = (
                int(suite.get("tests")),
                int(suite.get("failures")) + int(suite.get("errors")),
                int(suite.get("skipped")))
        except xml.etree.ElementTree.ParseError:
            tests, bad, skipped = 0, 1, 0
    _name, code, output, took = result
    if code != 0 and not bad:
        bad = 1
    passed = max(tests - bad - skipped, 0)
    print("%-44s %4d passed %3d failed %6.1f s%s" % (
        name, passed, bad, took,
        " (%d skipped)" % skipped if skipped else ""), flush=True)
    if bad:
        print(output, flush=True)
    return passed, bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    total = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(lambda job=job: program_result(run(*job)))
                for job in programs(only)]
        jobs += [pool.submit(pytest_result, *job)
                 for job in pytest_files(only)]
        for job in jobs:
            passed, failed = job.result()
            total[0] += passed
            total[1] += failed
    print("%d passed, %d failed" % tuple(total))
    return 1 if total[1] or not total[0] else 0


sys.exit(main())
