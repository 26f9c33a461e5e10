#!/usr/bin/python3
"""Runs what `./waf asan` has built: every unit test, the programs in their
daemon tests, programs and module (in an smbd with the sanitizer preloaded)
in the SMB tests of the main paths, and every fuzz target for so many
seconds; sanitize.py SECONDS [WHAT], only those with WHAT in their name. Ends
with a line `N passed, N failed`.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/sanitize"
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}

DAEMON_TESTS = ("api", "cavactl", "cavad", "cee_agent", "cee_agent_faults",
                "cee_agent_kerberos", "cee_agent_service", "ipc", "jobs",
                "server_probe", "servers")
SMB_TESTS = ("story", "order", "compound", "operations", "streams", "zones",
             "check_clean", "meta", "stores", "chaos")
# Programs and module come from build/out: here that is ours. There is no
# filter of system calls under ASan, which test_rights would miss.
PYTEST = ("mount --bind build/sanitize build/out && exec "
          "/usr/bin/python3 -m pytest -q -p no:cacheprovider "
          "--timeout=%d --deselect tests/daemon/test_cavad.py::"
          "test_rights tests/%s.py")
REPORT = OUT / "report"         # of an smbd; the pid follows


def libraries():
    """What has to be in an smbd before the module is."""
    return ":".join(os.path.realpath(subprocess.run(
        ["gcc", "-print-file-name=" + name], check=True, text=True,
        stdout=subprocess.PIPE).stdout.strip())
        for name in ("libasan.so", "libubsan.so"))


def under():
    """smbd itself leaks; what the module leaks is for test_midwait.py."""
    return ("env LD_PRELOAD=%s ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:"
            "log_path=%s UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:"
            "log_path=%s" % (libraries(), REPORT, REPORT))


def run_pytest(name):
    for path in OUT.glob(REPORT.name + ".*"):
        path.unlink()
    timeout = 600 if name.startswith("smb/") else 300
    passed = run(name, ["unshare", "-m", "--propagation", "private", "bash",
                        "-c", PYTEST % (timeout, name)],
                 LAB_SMBD_UNDER=under(), CAVA_SOAK_GROWTH="300")
    for path in sorted(OUT.glob(REPORT.name + ".*")):
        print("%s: %s" % (name, path.read_text(errors="replace")[:6000]))
        passed = False
    return passed


def run(name, command, crash=None, **more):
    environment = dict(os.environ, **OPTIONS, **more)
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


def programs(part):
    """What has a source: the build directory may hold older ones."""
    return [OUT / part / source.stem
            for source in sorted((ROOT / "tests" / part).glob("*.c"))
            if source.stem not in ("fuzz_main", "fail_malloc")]


def main():
    seconds = sys.argv[1]
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    results = [run("unit/" + p.name, [p]) for p in programs("unit")
               if only in "unit/" + p.name]
    for name in (["daemon/test_" + n for n in DAEMON_TESTS] +
                 ["smb/test_" + n for n in SMB_TESTS]):
        if only in name:
            results.append(run_pytest(name))
    for p in programs("fuzz"):
        if only not in "fuzz/" + p.name:
            continue
        results.append(run("fuzz/" + p.name, [p, "-t", seconds, "-s",
                                              str(time.time_ns())],
                           OUT / ("crash." + p.name)))
    print("%d passed, %d failed" % (results.count(True),
                                    results.count(False)))
    return 1 if False in results or not results else 0


if __name__ == "__main__":
    sys.exit(main())
