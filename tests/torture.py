#!/usr/bin/python3
"""smbtorture on a share without the module and on one with it.

    torture.py [--long] [--output FILE] [SUITE...]

Every test that passes on the plain share of a smbd must pass on the cava
share of the same smbd, in both profiles, with an antivirus server that
answers clean. Each suite runs on fresh directories; a suite's tests are run
one at a time, so that one that hangs or panics smbd takes no other with it.

Differences that are meant are rows of MEANT. Ends with exit status 1 when
there is another one.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "smb"))

from lab import Lab  # noqa: E402

SHORT = """smb2.read smb2.rw smb2.create smb2.compound smb2.rename
smb2.durable-open smb2.sharemode smb2.getinfo smb2.openattr
smb2.winattr smb2.acls smb2.mkdir smb2.tcon smb2.lease""".split()
LONG = SHORT + """smb2.compound_find smb2.oplock smb2.streams
smb2.durable-v2-open smb2.delete-on-close-perms smb2.ioctl smb2.lock
smb2.setinfo smb2.dir smb2.maxfid smb2.timestamps smb2.replay
smb2.create_no_streams smb2.twrp smb2.kernel-oplocks smb2.multichannel
smb2.credits smb2.session smb2.scan smb2.bench""".split()

# test: why it differs
MEANT = {
    "smb2.durable-open.alloc-size.alloc-size":
        "the verdict attribute may take a block of the file's own, which "
        "ext4 counts into its allocation size",
}
LIMIT = 100     # s for one test


def tests_of(suite):
    """Its tests by their full names, as smbtorture lists them."""
    listed = subprocess.run(["smbtorture", "--list"], text=True, check=True,
                            stdout=subprocess.PIPE).stdout.split()
    found = [name for name in listed
             if name == suite or name.startswith(suite + ".")]
    return [name for name in found
            if not any(other.startswith(name + ".") for other in found)]


def run_test(lab, share, name):
    command = ["smbtorture", "//%s/%s" % (lab.env["SMB_HOST"], share),
               "-U%s%%%s" % (lab.env["SMB_USER"], lab.env["SMB_PASS"]),
               "--option=torture:progress=no", name]
    try:
        done = subprocess.run(command, text=True, errors="replace",
                              timeout=LIMIT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return "timeout"
    results = re.findall(r"^(success|failure|error|skip):", done.stdout,
                         re.M)
    for worst in ("failure", "error", "skip", "success"):
        if worst in results:
            return worst
    return "nothing"


def run_share(lab, share, names):
    return {name: run_test(lab, share, name) for name in names}


def run_all(names):
    """{column: {test: result}}"""
    strict = Lab("--engine", "cee", "--profile", "strict", "--plain")
    standard = Lab("--engine", "cee", "--profile", "standard")
    try:
        strict.start()
        standard.start()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            runs = {
                "plain": pool.submit(run_share, strict, "plain", names),
                "strict": pool.submit(run_share, strict, "share", names),
                "standard": pool.submit(run_share, standard, "share", names),
            }
            return {column: run.result() for column, run in runs.items()}
    finally:
        strict.close()
        standard.close()


def table(results, names):
    yield "| test | plain | strict | standard |"
    yield "|---|---|---|---|"
    for name in names:
        row = [results[column][name]
               for column in ("plain", "strict", "standard")]
        if set(row) != {"success"}:
            yield "| %s | %s |" % (name, " | ".join(row))


def differences(results, names):
    for name in names:
        for column in ("strict", "standard"):
            if results["plain"][name] == "success" and \
                    results[column][name] != "success":
                yield name, column


def again(results, name, column):
    """Once more, alone: three run at a time, and some tests time things."""
    lab = Lab("--engine", "cee", "--profile", column)
    try:
        lab.start()
        results[column][name] = run_test(lab, "share", name)
    finally:
        lab.close()
    return results[column][name] != "success"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--output")
    parser.add_argument("suites", nargs="*")
    options = parser.parse_args()
    if os.environ.get("CAVA_TEST_LONG"):
        options.long = True
    suites = options.suites or (LONG if options.long else SHORT)
    names = [name for suite in suites for name in tests_of(suite)]
    results = run_all(names)
    wrong = [(name, column) for name, column in differences(results, names)
             if name not in MEANT and again(results, name, column)]

    lines = list(table(results, names))
    passed = sum(results["plain"][name] == "success" for name in names)
    lines.append("")
    lines.append("%d tests, %d pass on the plain share; those that pass on "
                 "all three are not listed." % (len(names), passed))
    for name in sorted(MEANT):
        if name in names:
            lines.append("Meant: %s: %s." % (name, MEANT[name]))
    for name, column in wrong:
        lines.append("WRONG: %s passes on the plain share and not in "
                     "profile %s" % (name, column))
    print("\n".join(lines))
    if options.output:
        pathlib.Path(options.output).write_text("\n".join(lines) + "\n")
    sys.exit(1 if wrong else 0)


main()
