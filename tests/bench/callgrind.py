"""Instructions that the module itself takes, by callgrind.

smbd runs under valgrind; two runs that differ by a known number of
operations leave what one operation costs.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import re
import subprocess

import load
from shares import Lab

from lab import OPEN, READ, SHARE_ALL

FEW, MANY = 20, 220


def counted(directory):
    """Instructions in cava.so over all processes of a run, and calls."""
    total = 0
    for path in directory.glob("callgrind.*"):
        text = subprocess.run(
            ["callgrind_annotate", "--threshold=100", str(path)],
            check=True, text=True, errors="replace",
            stdout=subprocess.PIPE).stdout
        for line in text.splitlines():
            found = re.match(r"\s*([\d,]+) .*\[.*/cava\.so\]", line)
            if found:
                total += int(found.group(1).replace(",", ""))
    return total


def run(times):
    lab = Lab("--engine", "null", "--profile", "strict")
    out = lab.dir / "callgrind"
    out.mkdir()
    os.environ["LAB_SMBD_UNDER"] = (
        "valgrind --tool=callgrind --trace-children=yes "
        "--callgrind-out-file=%s/callgrind.%%p" % out)
    try:
        lab.start()
        lab.wait_online()
        load.fill(lab.share_dir, "c", 1, 4096)
        smb = lab.connect(threads=False)
        for _ in range(times):
            handle = smb.create("c0.bin", DesiredAccess=READ,
                                ShareAccess=SHARE_ALL,
                                CreateDisposition=OPEN)
            smb.read(handle, 0, 4096)
            smb.close(handle)
        del smb
        lab.sh("stop", "smbd")
        return counted(out)
    finally:
        del os.environ["LAB_SMBD_UNDER"]
        lab.close()


def measure():
    few = run(FEW)
    many = run(MANY)
    return [["open, read 4 KiB, close", (many - few) // (MANY - FEW)]]
