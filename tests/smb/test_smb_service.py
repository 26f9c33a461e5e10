"""Samba is away where servers are sent to fetch, or has no share for them:
said, and over when it is back.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import signal

import pytest

from lab import wait_for

NO_SMB = "SW_AVSCAN_CAVA_NO_SMB"
NO_SHARE = "SW_AVSCAN_CAVA_NO_SHARE"


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee")
    lab.start()
    lab.wait_online()
    return lab


def up(lab, name):
    """{about: text}"""
    return {e["about"]: e["message"] for e in lab.status()["events"]
            if e["name"] == name}


def look(lab):
    """A reload looks at once, instead of within half a minute."""
    pid = (lab.dir / "run" / "cavad.pid").read_text()
    os.kill(int(pid), signal.SIGHUP)


def net_conf(lab, *words):
    lab.sh("run", "net", "-s", lab.env["SMB_CONF"], "conf", *words)


def test_smbd_stopped_and_started(lab):
    look(lab)
    lab.sh("stop", "smbd")
    look(lab)
    wait_for("the event", lambda: up(lab, NO_SMB))
    [(about, text)] = up(lab, NO_SMB).items()
    assert about == lab.env["SMB_HOST"]
    assert "port 445: Connection refused" in text
    lab.sh("start", "smbd")
    look(lab)
    wait_for("its end", lambda: not up(lab, NO_SMB))


def test_share_removed_and_made(lab):
    assert up(lab, NO_SHARE) == {}
    net_conf(lab, "delshare", lab.env["CHECK_SHARE"])
    look(lab)
    wait_for("the event", lambda: up(lab, NO_SHARE))
    [(about, text)] = up(lab, NO_SHARE).items()
    assert about == lab.env["SMB_HOST"]
    assert "no share CHECK$" in text and "cavad --setup-share" in text
    assert up(lab, NO_SMB) == {}
    lab.sh("run", lab.env["CAVACTL"].replace("cavactl", "cavad"), "-c",
           lab.env["CAVAD_CONF"], "--setup-share", "--smb-conf",
           lab.env["SMB_CONF"])
    look(lab)
    wait_for("its end", lambda: not up(lab, NO_SHARE))


def test_no_session_without_a_name(lab):
    """No telling whether the share is there, so nothing is said."""
    path = lab.dir / "smb.conf"
    text = path.read_text()
    path.write_text(text.replace(
        "[global]", "[global]\n\tserver smb encrypt = required"))
    net_conf(lab, "delshare", lab.env["CHECK_SHARE"])
    seen = refused(lab)
    for again in (1, 2):
        look(lab)
        wait_for("the question", lambda: refused(lab) >= seen + again)
    assert up(lab, NO_SHARE) == {} == up(lab, NO_SMB)


def refused(lab):
    return lab.log().count("reject guest session as encryption is required")
