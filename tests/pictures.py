#!/usr/bin/python3
"""The pictures of README.md in docs/pictures, made from the real thing: the
administrator's page in Chromium on a lab with users at work, and the demo in a
terminal. `./waf pictures` takes some ten minutes, so that there is something
to be seen in the charts; `--only=demo` or `page` makes those alone.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import html
import os
import pathlib
import pty
import random
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/smb"))

from lab import EICAR, Lab, wait_for            # noqa: E402
import test_web                                 # noqa: E402

PICTURES = ROOT / "docs/pictures"
MINUTES = 6
LARGEST = 150000        # bytes of a picture
# What the demo shows of itself until this title.
DEMO_END = "4. The hidden share"

COLUMN, LINE, BORDER = 8.43, 19, 20     # px of a terminal's cell at 14 px
GROUND, TEXT = "#16191d", "#d7dce1"
STYLES = {"1": "font-weight:bold", "2": "fill:#8b98a5",
          "31": "fill:#f2938c", "32": "fill:#6fd0ad"}


# --- the page ---

def work(lab, minutes):
    """Users at work: files come, are read; now and then one is infected."""
    chance = random.Random(7)
    smb = lab.connect()
    folders = ["projects", "offers", "accounts"]
    for name in folders:
        smb.mkdir(name)
    end = time.monotonic() + minutes * 60
    number = 0
    while time.monotonic() < end:
        for _ in range(chance.randint(1, 12)):
            number += 1
            name = "%s\\report-%d.txt" % (chance.choice(folders), number)
            smb.savefile(name, b"figures of week %d\n" % number)
            smb.loadfile(name)
        if number < 20 or chance.random() < 0.1:
            smb.savefile("offers\\invoice-%d.com" % number, EICAR)
        # users pause; nothing is waited for
        time.sleep(chance.uniform(0.5, 6))
    return smb


def pictures_of_the_page():
    lab = Lab("--engine", "cee", "--profile", "strict", "--servers", "2")
    browser = phone = None
    try:
        test_web.serve(lab)
        lab.start()
        lab.wait_online()
        lab.cavactl("jobs", "create", "weekend",
                    "--schedule=every Saturday at 01:00")
        smb = work(lab, MINUTES)
        wait_for("the verdicts", lambda: lab.status()["pending_scans"] == 0)
        url = "https://%s:%d" % (lab.env["SMB_HOST"], test_web.PORT)
        test_web.PICTURES = PICTURES
        browser = test_web.Browser(url, "--window-size=1280,1010",
                                   "--hide-scrollbars")
        browser.open()
        browser.login("admin", "right")
        browser.wait("Antivirus servers")
        browser.picture("overview")
        browser.driver.set_window_size(1280, 640)
        browser.page("threats", "invoice")
        browser.picture("threats")
        phone = test_web.Browser(url, "--hide-scrollbars")
        test_web.make_phone(phone)
        phone.open()
        phone.login("viewer", "look")
        phone.wait("Antivirus servers")
        phone.picture("phone")
        del smb
    finally:
        for one in (browser, phone):
            if one is not None:
                one.close()
        lab.close()


# --- the demo ---

def of_a_terminal(command):
    """What it writes to a terminal, colours and all."""
    main, other = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                               stdout=other, stderr=other)
    os.close(other)
    said = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:         # its other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(main)
    if process.wait() != 0:
        raise SystemExit("the demo failed:\n" + said.decode())
    return said.decode().replace("\r", "")


def svg_line(line, y, style):
    """The line as SVG, and the style that goes on behind it."""
    spans = ""
    for part in re.split(r"(\033\[[\d;]*m)", line):
        code = re.fullmatch(r"\033\[([\d;]*)m", part)
        if code:
            style = STYLES.get(code.group(1), "")
        elif part:
            spans += '<tspan style="%s">%s</tspan>' % (
                style, html.escape(part)) if style else html.escape(part)
    return '<text x="%d" y="%d" xml:space="preserve">%s</text>' % (
        BORDER, y, spans), style


def svg(lines):
    width = max(len(re.sub(r"\033\[[\d;]*m", "", line)) for line in lines)
    style = ""
    rows = []
    for i, line in enumerate(lines):
        row, style = svg_line(line, BORDER + (i + 1) * LINE - 5, style)
        rows.append(row)
    return "\n".join((
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d">' % (
            width * COLUMN + 2 * BORDER, len(lines) * LINE + 2 * BORDER),
        "<!-- made by ./waf pictures -->",
        '<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % GROUND,
        '<g font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, '
        'monospace" font-size="14" fill="%s">' % TEXT, *rows, "</g>",
        "</svg>", ""))


def picture_of_the_demo():
    lines = of_a_terminal(["bash", "tests/demo.sh"]).split("\n")
    end = next(i for i, line in enumerate(lines) if DEMO_END in line)
    while lines[0] == "":
        lines.pop(0)
        end -= 1
    (PICTURES / "demo.svg").write_text(svg(
        ["\033[2m$ sudo ./waf demo\033[0m"] + lines[:end] +
        ["\033[2m... and three more steps\033[0m"]))


def main():
    PICTURES.mkdir(parents=True, exist_ok=True)
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    if only in "demo":
        picture_of_the_demo()
    if only in "page":
        pictures_of_the_page()
    for path in sorted(PICTURES.iterdir()):
        size = path.stat().st_size
        print("%s: %d bytes" % (path.relative_to(ROOT), size))
        if size > LARGEST:
            raise SystemExit("that is more than %d" % LARGEST)


main()
