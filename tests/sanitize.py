#!/usr/bin/python3
"""Runs what `./waf asan` has built: every unit test, the programs in their
daemon tests, programs and module (in an smbd with the sanitizer preloaded)
in the SMB tests of the main paths, and every fuzz target for so many
seconds; sanitize.py SECONDS [WHAT], only those with WHAT in their name. With
--threads what `./waf tsan` has built: unit tests, and the daemon tests in which
cavad has most of its threads. Ends with a line `N passed, N failed`.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/sanitize"
OUT_THREADS = ROOT / "build/threads"
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}

DAEMON_TESTS = ("api", "cavactl", "cavad", "cee_agent", "cee_agent_faults",
                "cee_agent_kerberos", "cee_agent_service", "ipc", "jobs",
                "mailbox", "server_probe", "servers")
THREAD_TESTS = ("api", "cavad", "ipc", "jobs", "server_probe", "servers")
SMB_TESTS = ("story", "order", "compound", "operations", "streams", "zones",
             "check_clean", "meta", "notices", "stores", "ahead", "read_now",
             "chaos")
# Programs and module come from build/out: here that is ours. There is no
# filter of system calls under a sanitizer, which test_rights would miss.
PYTEST = ("mount --bind %s build/out && exec "
          "/usr/bin/python3 -m pytest -q -p no:cacheprovider "
          "--timeout=%d --deselect tests/daemon/test_cavad.py::"
          "test_rights tests/%s.py")


def libraries():
    """What has to be in an smbd before the module is."""
    return ":".join(os.path.realpath(subprocess.run(
        ["gcc", "-print-file-name=" + name], check=True, text=True,
        stdout=subprocess.PIPE).stdout.strip())
        for name in ("libasan.so", "libubsan.so"))


def under(report):
    """smbd itself leaks; what the module leaks is for test_midwait.py."""
    return ("env LD_PRELOAD=%s ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:"
            "log_path=%s UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:"
            "log_path=%s" % (libraries(), report, report))


def run_pytest(out, name):
    timeout = 600 if name.startswith("smb/") else 300
    with tempfile.TemporaryDirectory() as reports:
        os.chmod(reports, 0o1777)       # cavad and smbd are not root there
        report = reports + "/report"    # the pid follows
        passed = run(name, ["unshare", "-m", "--propagation", "private",
                            "bash", "-c", PYTEST % (out, timeout, name)],
                     LAB_SMBD_UNDER=under(report), CAVA_SOAK_GROWTH="300",
                     TSAN_OPTIONS="%s:log_path=%s" % (
                         OPTIONS["TSAN_OPTIONS"], report))
        for path in sorted(pathlib.Path(reports).iterdir()):
            print("%s: %s" % (name, path.read_text(errors="replace")[:6000]))
            passed = False
    return passed


def run(name, command, crash=None, **more):
    environment = {**os.environ, **OPTIONS, **more}
    if crash:
        environment["FUZZ_CRASH"] = str(crash)
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True,
                          errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    took = time.monotonic() - start
    if done.returncode == 0:
        print("%-40s passed %6.1f s" % (name, took), flush=True)
        if crash:
            crash.unlink(missing_ok=True)
        return True
    print("%-40s FAILED %6.1f s\n%s" % (name, took, done.stdout[-6000:]))
    if crash:
        print("the input is %s" % crash)
    return False


def programs(out, part):
    """What has a source: the build directory may hold older ones."""
    return [out / part / source.stem
            for source in sorted((ROOT / "tests" / part).glob("*.c"))
            if source.stem not in ("fuzz_main", "fail_malloc")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", action="store_true")
    parser.add_argument("seconds")
    parser.add_argument("only", nargs="?", default="")
    options = parser.parse_args()
    out = OUT_THREADS if options.threads else OUT
    only = options.only
    daemon = THREAD_TESTS if options.threads else DAEMON_TESTS
    tests = ["daemon/test_" + n for n in daemon]
    if not options.threads:
        tests += ["smb/test_" + n for n in SMB_TESTS]
    results = [run("unit/" + p.name, [p]) for p in programs(out, "unit")
               if only in "unit/" + p.name]
    results += [run_pytest(out, name) for name in tests if only in name]
    for p in [] if options.threads else programs(out, "fuzz"):
        if only not in "fuzz/" + p.name:
            continue
        results.append(run("fuzz/" + p.name, [p, "-t", options.seconds, "-s",
                                              str(time.time_ns())],
                           out / ("crash." + p.name)))
    print("%d passed, %d failed" % (results.count(True),
                                    results.count(False)))
    return 1 if False in results or not results else 0


if __name__ == "__main__":
    sys.exit(main())
