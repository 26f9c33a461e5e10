"""cavactl selftest on a whole installation: smbd, cee_agent, clamd; and that
it finds what is broken.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json

import pytest

from lab import wait_for


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "standard")
    lab.add_share("bare", "vfs objects =")
    lab.start()
    lab.wait_online()
    lab.connect()       # its share is known from now on
    (lab.dir / "password").write_text(lab.env["SMB_PASS"] + "\n")
    return lab


def selftest(lab, *more):
    done = lab.cavactl("selftest", "--smb-conf", str(lab.dir / "smb.conf"),
                       "--host", lab.env["SMB_HOST"], *more, fmt="json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["selftest"]


def step(steps, name, about):
    return [s for s in steps if (s["step"], s["about"]) == (name, about)]


def test_all_of_it(lab):
    before = sorted(p.name for p in lab.share_dir.iterdir())
    status, steps = selftest(lab, "--user", lab.env["SMB_USER"],
                             "--password-file", str(lab.dir / "password"))
    bad = [s for s in steps if s["result"] == "failed"]
    assert status == 0 and not bad, steps
    share = lab.env["SHARE"]
    [smb] = step(steps, "smb", share)
    assert "NT_STATUS_VIRUS_INFECTED" in smb["text"]
    assert step(steps, "share", share)[0]["result"] == "ok"
    assert step(steps, "share", lab.env["CHECK_SHARE"])[0]["result"] == "ok"
    assert [s["text"] for s in step(steps, "zone", "System")][-1].startswith(
        "the test file is found infected (")
    assert step(steps, "AVVendor", "")[0]["text"].startswith("1 account may")
    assert sorted(p.name for p in lab.share_dir.iterdir()) == before
    events = json.loads(lab.cavactl("events", fmt="json").stdout)["events"]
    names = [e["name"] for e in events]
    assert "CAVA_SELFTEST" in names
    assert "SW_AVSCAN_CAVA_INFECTED" not in names


def test_wrong_password(lab):
    (lab.dir / "wrong").write_text("not it\n")
    status, steps = selftest(lab, "--user", lab.env["SMB_USER"],
                             "--password-file", str(lab.dir / "wrong"))
    assert status == 3
    [smb] = step(steps, "smb", lab.env["SHARE"])
    assert smb["result"] == "failed"
    assert "NT_STATUS_LOGON_FAILURE" in smb["text"]


def test_no_account(lab):
    lab.cavactl("avvendor", "remove", lab.env["AV_USER"])
    try:
        status, steps = selftest(lab)
        assert status == 3
        [avvendor] = step(steps, "AVVendor", "")
        assert avvendor["result"] == "failed"
        assert "cavactl avvendor add" in avvendor["mend"]
    finally:
        lab.cavactl("avvendor", "add", lab.env["AV_USER"])


def test_module_gone_from_the_share(lab):
    conf = lab.dir / "smb.conf"
    text = conf.read_text()
    start = text.index("[%s]" % lab.env["SHARE"])
    conf.write_text(text[:start] + text[start:].replace(
        "vfs objects = cava", "vfs objects = streams_xattr", 1))
    try:
        status, steps = selftest(lab)
        assert status == 3
        [share] = step(steps, "share", lab.env["SHARE"])
        assert share["result"] == "failed"
        assert '"streams_xattr": its files are read unscanned' in \
            share["text"]
    finally:
        conf.write_text(text)


def test_server_gone(lab):
    lab.sh("stop", "agent")
    wait_for("it is offline", lambda: lab.status()["server_status"][0][
        "server_state"] == "offline", 60)
    status, steps = selftest(lab)
    assert status == 3
    failed = {s["step"] for s in steps if s["result"] == "failed"}
    assert {"server", "zone", "event"} <= failed
