"""Samba is away where servers are sent to fetch: said, and over when it is
back.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import signal

import pytest

from lab import wait_for

NAME = "SW_AVSCAN_CAVA_NO_SMB"


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee")
    lab.start()
    lab.wait_online()
    return lab


def up(lab):
    """{about: text}"""
    return {e["about"]: e["message"] for e in lab.status()["events"]
            if e["name"] == NAME}


def look(lab):
    """A reload looks at once, instead of within half a minute."""
    pid = (lab.dir / "run" / "cavad.pid").read_text()
    os.kill(int(pid), signal.SIGHUP)


def test_smbd_stopped_and_started(lab):
    look(lab)
    lab.sh("stop", "smbd")
    look(lab)
    wait_for("the event", lambda: up(lab))
    [(about, text)] = up(lab).items()
    assert about == lab.env["SMB_HOST"]
    assert "port 445: Connection refused" in text
    lab.sh("start", "smbd")
    look(lab)
    wait_for("its end", lambda: not up(lab))
