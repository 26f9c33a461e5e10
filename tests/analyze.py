#!/usr/bin/python3
"""Static analysis by cppcheck: clean, or with the reason in the line above
what it complains about. Seconds; what has not changed is not looked at again.

Not the module: what it does is behind the macros of Samba's headers, and the
compiler alone knows those.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("common", "cavad", "cee_agent", "cavactl")
# Its macros define types, which cannot be guessed.
QUEUES = "/usr/include/%s/sys/queue.h"


def main():
    known = ROOT / "build/cppcheck"
    known.mkdir(parents=True, exist_ok=True)
    machine = subprocess.run(["gcc", "-print-multiarch"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    done = subprocess.run(
        ["cppcheck", "-q", "-j", "2", "--cppcheck-build-dir=%s" % known,
         "--enable=warning,performance,portability", "--inline-suppr",
         "--std=c11", "-I.", "-D_GNU_SOURCE",
         "--include=" + QUEUES % machine.strip(),
         "--suppress=missingInclude",
         # of newer ones: that it does not follow every branch
         "--suppress=normalCheckLevelMaxBranches", *FOLDERS],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    return 1 if done.stdout or done.returncode != 0 else 0


sys.exit(main())
