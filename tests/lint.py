#!/usr/bin/python3
"""The rules of HACKING.md that a machine can check.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A foreign library is included by one file of a program.
ONE_FILE = {
    "curl/curl.h": {"cavad/http.c", "cavad/icap_link.c", "cavactl/http.c"},
    "lmdb.h": {"cavad/store_db.c", "cavad/store_db.h"},
    "microhttpd.h": {"cavad/api_http.c", "cavad/api_listener.c",
                     "cavad/api_listener.h",
                     "cee_agent/exchange.c", "cee_agent/exchange.h",
                     "cee_agent/listener.c"},
    "expat.h": {"common/cee_msg.c"},
    "krb5.h": {"cee_agent/ticket.c"},
    "libsmbclient.h": {"cee_agent/smb.c"},
    "libsmartcols/libsmartcols.h": {"cavactl/output.c"},
    "ini.h": {"cavad/config.c", "cee_agent/config.c"},
    "libical/ical.h": {"cavad/schedule.c"},
    "nettle/base64.h": {"cavad/api_page.c"},
    "nettle/sha2.h": {"common/digest.c"},
    "includes.h": {"vfs_cava/compat.h"},
}
LINES_MAX = 800
COLUMNS_MAX = 80


def tracked():
    """All files where there is no repository, but for what is built."""
    if not (ROOT / ".git").exists():
        return [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")
                if p.is_file() and p.parts[len(ROOT.parts)] != "build"]
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True,
                           text=True, stdout=subprocess.PIPE).stdout
    return [n for n in names.splitlines() if (ROOT / n).is_file()]


def check(name, text, say):
    lines = text.split("\n")
    if name.endswith((".c", ".h", ".def", ".py", ".sh")) or name in (
            "waf", "wscript"):
        if "SPDX-License-Identifier: GPL-3.0-or-later" not in text:
            say(name, 1, "no SPDX line")
        if len(lines) > LINES_MAX:
            say(name, len(lines), "more than %d lines" % LINES_MAX)
    if not name.endswith((".c", ".h", ".def")):
        return
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            say(name, number, "white space at the end")
        if len(line.expandtabs(8)) > COLUMNS_MAX and \
                not line.startswith(("PROTO(", "EVENT(")):
            say(name, number, "more than %d columns" % COLUMNS_MAX)
        include = re.match(r'#include [<"]([^>"]+)[>"]', line)
        if include and name not in ONE_FILE.get(include.group(1), {name}) \
                and not name.startswith("tests/"):
            say(name, number, "%s is included elsewhere: %s" % (
                include.group(1),
                ", ".join(sorted(ONE_FILE[include.group(1)]))))
        if re.match(r"typedef struct", line):
            say(name, number, "a struct typedef")


def main():
    problems = []

    def say(name, number, what):
        problems.append("%s:%d: %s" % (name, number, what))

    for name in tracked():
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        check(name, text, say)
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())
