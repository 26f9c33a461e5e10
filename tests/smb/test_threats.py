"""Threats: what is done about them, quarantine, release, the allow-list.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import hashlib
import http.client
import io
import json
import os
import signal
import socket
import time
import zipfile

import pytest

from lab import (ACCESS_DENIED, EICAR, OPEN, READ, SHARE_ALL,
                 VIRUS_INFECTED, WRITE, status_of, wait_for)

DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
# what this client's library makes of it (it wants a buffer of no bytes)
END_OF_FILE = 0xC00000E9
THREAT = "Eicar-Test-Signature.UNOFFICIAL"


def other(name="other"):
    """Other bytes in which clamd finds the same threat."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), EICAR)
    return packed.getvalue()


OTHER = other()


@pytest.fixture
def lab(labs):
    return labs("--engine", "clamd", "--profile", "strict")


def ctl(lab, *words, code=0):
    """cavactl, with JSON as the answer where there is some."""
    run = lab.cavactl(*words, fmt="json")
    assert run.returncode == code, (words, run.stdout, run.stderr)
    return json.loads(run.stdout) if run.stdout.strip() else run.stderr


def api(lab, method, path, body):
    connection = http.client.HTTPConnection("cavad", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(lab.env["API_SOCKET"])
    connection.request(method, path, json.dumps(body),
                       {"Content-Type": "application/json"})
    reply = connection.getresponse()
    return json.loads(reply.read())


def threats(lab, name, **more):
    words = ["threats", "--below", str(lab.local(name))]
    for key, value in more.items():
        words += ["--" + key, value]
    return ctl(lab, *words)["reports"]


def threat(lab, name, state=None):
    """The row of a file, once there is one in that state."""
    def find():
        rows = threats(lab, name)
        assert len(rows) < 2, rows
        return rows and (state is None or rows[0]["state"] == state)
    wait_for("a threat in %s, %s" % (name, state), find)
    return threats(lab, name)[0]


def history(lab, row):
    return ctl(lab, "threats", "view", row["id"])["reports"][0]["history"]


def read(lab, name):
    return lab.connect().loadfile(name)


def denied(lab, name):
    status = status_of(lab.connect().loadfile, name)
    assert status in DENIED, hex(status)
    return status


def infect(lab, name, content=EICAR):
    """Written over SMB, and known as infected."""
    lab.connect().savefile(name, content)
    denied(lab, name)
    return threat(lab, name)


def remove_all(lab):
    for entry in ctl(lab, "allow", "list")["allow"]:
        ctl(lab, "allow", "remove", entry["id"])


def respond(lab, response):
    """threat_response of the zone, in force."""
    said = "was read again"
    before = lab.log().count(said)
    lab.configure("filter System", "threat_response", response)
    os.kill(int((lab.dir / "run/cavad.pid").read_text()), signal.SIGHUP)
    wait_for("the new filter", lambda: lab.log().count(said) > before)


# --- the list ---

def test_row_tells_what_was_found_by_whom(lab):
    row = infect(lab, "row.txt")
    assert row["threat"] == THREAT
    assert row["state"] == "infected" and row["remediation"] == "denied"
    assert row["user"].endswith(lab.env["SMB_USER"])
    assert row["client"].startswith("127.")
    assert row["source"] == "on-access"
    assert row["hash"] == hashlib.sha256(EICAR).hexdigest()
    lab.cavactl("scan", "--force", str(lab.local("row.txt")))
    again = threat(lab, "row.txt")
    assert again["id"] == row["id"] and again["count"] > row["count"]
    text = lab.cavactl("threats", "view", row["id"]).stdout
    assert "found by" in text and THREAT in text


def test_clean_again_or_gone(lab):
    row = infect(lab, "mended.txt")
    lab.connect().savefile("mended.txt", b"mended\n")
    assert read(lab, "mended.txt") == b"mended\n"
    assert threat(lab, "mended.txt", "repaired")["id"] == row["id"]
    row = infect(lab, "gone.txt")
    lab.connect().unlink("gone.txt")
    lab.cavactl("threats", "rescan", row["id"])
    assert threat(lab, "gone.txt", "gone")["id"] == row["id"]


def test_pages(lab):
    for i in range(5):
        infect(lab, "page%d.txt" % i, other(str(i)))
    rows = ctl(lab, "threats", "--limit", "1000")["reports"]
    ids = [int(r["id"]) for r in rows]
    assert ids == sorted(ids, reverse=True) and len(ids) >= 5
    assert len(ctl(lab, "threats", "--limit", "2")["reports"]) == 2
    out = lab.cavactl("threats", fmt="csv").stdout
    assert out.startswith("id,time,state,threat,file")


# --- release and the allow-list ---

def test_released_by_one_command(lab):
    row = infect(lab, "false.txt")
    reader = lab.connect()
    assert status_of(reader.loadfile, "false.txt") in DENIED
    infect(lab, "other.txt", OTHER)
    done = ctl(lab, "threats", "release", row["id"], "--reason", "ours")
    assert read(lab, "false.txt") == EICAR          # at once
    assert lab.connect().loadfile("false.txt") == EICAR
    denied(lab, "other.txt")
    row = threat(lab, "false.txt", "allowed")
    assert row["allow"] == done["allow"]
    last = history(lab, row)[-1]
    assert last["state"] == "allowed" and last["why"] == "ours"
    assert lab.result("false.txt") == "infected"    # not clean
    entry = ctl(lab, "allow", "list")["allow"][-1]
    assert entry["reason"] == "ours" and entry["author"]
    events = lab.cavactl("events").stdout
    assert "threat %s" % row["id"] in events
    ctl(lab, "allow", "remove", entry["id"])
    denied(lab, "false.txt")
    assert threat(lab, "false.txt", "infected")["id"] == row["id"]


def test_released_while_it_is_scanned(lab):
    """A reader who waits for the scan gets what was allowed meanwhile."""
    row = infect(lab, "waiting.txt")
    ctl(lab, "threats", "release", row["id"], "--reason", "r", "--by",
        "hash")
    lab.write_local("waiting2.txt", EICAR)
    assert read(lab, "waiting2.txt") == EICAR       # never scanned before
    lab.write_local("waiting3.txt", OTHER)
    denied(lab, "waiting3.txt")
    remove_all(lab)
    denied(lab, "waiting2.txt")


def test_by_threat(lab):
    infect(lab, "byname.txt")
    infect(lab, "byname2.txt", OTHER)
    ctl(lab, "allow", "add", "--threat", THREAT, "--reason", "all")
    assert read(lab, "byname.txt") == EICAR
    assert read(lab, "byname2.txt") == OTHER
    remove_all(lab)
    denied(lab, "byname.txt")
    denied(lab, "byname2.txt")


def test_by_file_until_its_content_changes(lab):
    infect(lab, "byfile.txt")
    ctl(lab, "allow", "add", "--file", str(lab.local("byfile.txt")),
        "--reason", "mine")
    assert read(lab, "byfile.txt") == EICAR
    lab.local("byfile.txt").chmod(0o666)
    os.utime(lab.local("byfile.txt"))
    assert read(lab, "byfile.txt") == EICAR
    lab.write_local("copy.txt", EICAR)
    denied(lab, "copy.txt")                         # another file
    lab.connect().savefile("byfile.txt", OTHER)
    denied(lab, "byfile.txt")                       # another content
    remove_all(lab)


def test_open_handle_is_looked_at_again(lab):
    row = infect(lab, "handle.txt")
    ctl(lab, "threats", "release", row["id"], "--reason", "r")
    smb = lab.connect()
    file = smb.create("handle.txt", 0, READ, 0, SHARE_ALL, OPEN)
    assert smb.read(file, 0, 100) == EICAR
    remove_all(lab)
    wait_for("the handle to be denied",
             lambda: status_of(smb.read, file, 0, 100) == ACCESS_DENIED)
    smb.close(file)


def test_expires(lab):
    row = infect(lab, "expires.txt")
    body = {"id": row["id"], "kind": "file", "reason": "r",
            "expires": int(time.time()) + 6}
    reply = api(lab, "POST", "/platform/11/avscan/threats/release", body)
    assert reply["allow"]
    assert read(lab, "expires.txt") == EICAR
    wait_for("the entry to expire",
             lambda: not ctl(lab, "allow", "list")["allow"])
    denied(lab, "expires.txt")
    threat(lab, "expires.txt", "infected")
    assert "expired" in lab.cavactl("events", fmt="json").stdout


def test_cavad_away_lets_nothing_through(lab):
    row = infect(lab, "away.txt")
    ctl(lab, "threats", "release", row["id"], "--reason", "r")
    assert read(lab, "away.txt") == EICAR
    lab.sh("stop", "cavad")
    try:
        denied(lab, "away.txt")
    finally:
        lab.sh("start", "cavad")
    lab.wait_online()
    wait_for("the entry to be in force again",
             lambda: status_of(lab.connect().loadfile, "away.txt") == 0)
    remove_all(lab)


def test_refusals_name_what_is_accepted(lab):
    for words, text in (
            (("allow", "add", "--reason", "r"), "--file"),
            (("allow", "add", "--threat", "x"), "--reason"),
            (("allow", "add", "--hash", "abc", "--reason", "r"), "64 hex"),
            (("allow", "add", "--threat", "x", "--reason", "r", "--expires",
              "yesterday"), "30d"),
            (("allow", "remove", "999999"), "no entry"),
            (("threats", "release", "999999", "--reason", "r"), "no threat"),
            (("threats", "view", "x"), "no number"),
            (("quarantine", "release", str(lab.local("row.txt"))),
             "not quarantined"),
            (("quarantine", "add", "/etc/passwd"), "check_root")):
        run = lab.cavactl(*words)
        assert run.returncode == 1 and text in run.stderr, (words, run.stderr)
    assert ctl(lab, "allow", "list")["allow"] == []


# --- quarantine ---

def test_quarantine_by_hand_sticks(lab):
    path = lab.local("kept.txt")
    lab.connect().savefile("kept.txt", b"harmless\n")
    assert read(lab, "kept.txt") == b"harmless\n"
    smb = lab.connect()
    file = smb.create("kept.txt", 0, READ, 0, SHARE_ALL, OPEN)
    assert smb.read(file, 0, 100) == b"harmless\n"
    before = os.stat(path)
    ctl(lab, "quarantine", "add", str(path), "--reason", "evidence")
    assert status_of(smb.read, file, 0, 100) == ACCESS_DENIED
    smb.close(file)
    assert denied(lab, "kept.txt") == VIRUS_INFECTED
    after = os.stat(path)
    assert (before.st_uid, before.st_mode, before.st_mtime_ns) == \
        (after.st_uid, after.st_mode, after.st_mtime_ns)

    path.chmod(0o606)
    os.utime(path)
    denied(lab, "kept.txt")
    ctl(lab, "quarantine", "rescan", str(path))     # clean, and no use
    denied(lab, "kept.txt")
    ctl(lab, "scan", "--force", str(path), code=2)
    denied(lab, "kept.txt")
    lab.connect().rename("kept.txt", "kept2.txt")
    denied(lab, "kept2.txt")
    lab.sh("stop", "cavad")
    denied(lab, "kept2.txt")
    lab.sh("start", "cavad")
    lab.wait_online()
    denied(lab, "kept2.txt")

    view = ctl(lab, "quarantine", "view", str(lab.local("kept2.txt")))
    assert view["quarantined"] and view["scan_result"] == "quarantined"
    assert view["scan_status"] == "current"
    assert "evidence" in str(history(lab, ctl(
        lab, "quarantine", "list")["reports"][0]))
    ctl(lab, "quarantine", "release", str(lab.local("kept2.txt")))
    assert read(lab, "kept2.txt") == b"harmless\n"
    assert ctl(lab, "quarantine", "list")["reports"] == []


def test_quarantined_can_be_replaced_and_deleted(lab):
    lab.connect().savefile("evil.txt", EICAR)
    ctl(lab, "quarantine", "add", str(lab.local("evil.txt")))
    smb = lab.connect()
    smb.savefile("evil.txt", b"another text\n")     # the same file
    denied(lab, "evil.txt")
    smb.savefile("new.txt", b"a new one\n")
    smb.unlink("evil.txt")
    smb.rename("new.txt", "evil.txt")               # the name is nothing
    assert read(lab, "evil.txt") == b"a new one\n"


def test_states_of_a_file(lab):
    lab.write_local("states.txt", b"text\n")
    path = str(lab.local("states.txt"))
    assert ctl(lab, "quarantine", "view", path)["scan_result"] == \
        "never_scanned"
    ctl(lab, "scan", path)
    view = ctl(lab, "quarantine", "view", path)
    assert view["scan_result"] == "clean" and view["last_scan"]
    lab.write_local("states.txt", b"other\n")
    assert ctl(lab, "quarantine", "view", path)["scan_status"] == \
        "not_current"
    lab.write_local("states.txt", EICAR)
    ctl(lab, "scan", path, code=2)
    assert ctl(lab, "quarantine", "view", path)["scan_result"] == \
        "infected_no_action_taken"


# --- threat_response ---

@pytest.fixture
def response(lab):
    yield lambda value: respond(lab, value)
    respond(lab, "deny")


def test_quarantine_by_setting(lab, response):
    response("quarantine")
    lab.connect().savefile("auto.txt", EICAR)
    denied(lab, "auto.txt")
    row = threat(lab, "auto.txt", "quarantined")
    assert row["remediation"] == "quarantined"
    assert lab.local("auto.txt").read_bytes() == EICAR
    lab.connect().savefile("auto.txt", b"clean now\n")
    denied(lab, "auto.txt")
    ctl(lab, "quarantine", "rescan", str(lab.local("auto.txt")))
    assert "clean; the quarantine holds" in str(history(lab, row))
    denied(lab, "auto.txt")
    lab.connect().savefile("auto.txt", EICAR)
    ctl(lab, "threats", "release", row["id"], "--reason", "r")
    wait_for("readers to go on",
             lambda: status_of(lab.connect().loadfile, "auto.txt") == 0)
    remove_all(lab)


def test_truncate(lab, response):
    response("truncate")
    lab.write_local("cut.txt", EICAR)
    os.chmod(lab.local("cut.txt"), 0o444)
    # its scan begins with the open: what is read may be empty already
    smb = lab.connect()
    content = []
    status = status_of(lambda: content.append(smb.loadfile("cut.txt")))
    assert status in DENIED or content == [b""], hex(status)
    threat(lab, "cut.txt", "truncated")
    assert lab.local("cut.txt").read_bytes() == b""
    wait_for("the empty file to be clean",
             lambda: lab.result("cut.txt") == "clean")
    assert read(lab, "cut.txt") == b""


@pytest.mark.parametrize("how", ["delete", "truncate", "quarantine"])
def test_answered_before_it_is_read(lab, response, how):
    """By the scan of its open: the handle reads nothing of it."""
    response(how)
    name = "open-%s.txt" % how
    lab.write_local(name, EICAR)
    smb = lab.connect()
    file = smb.create(name, DesiredAccess=READ)
    threat(lab, name, {"delete": "deleted", "truncate": "truncated",
                       "quarantine": "quarantined"}[how])
    status = status_of(smb.read, file, 0, 100)
    if how == "truncate":
        assert status == END_OF_FILE
    else:
        assert status in DENIED
    smb.close(file)


def test_delete(lab, response):
    response("delete")
    lab.write_local("away2.txt", EICAR)
    os.link(lab.local("away2.txt"), lab.local("link.txt"))
    lab.write_local("stays.txt", b"clean\n")
    assert read(lab, "stays.txt") == b"clean\n"
    denied(lab, "away2.txt")
    row = threat(lab, "away2.txt", "deleted")
    assert not lab.local("away2.txt").exists()
    assert "1 other name" in str(history(lab, row))
    assert lab.local("link.txt").exists()
    denied(lab, "link.txt")


def test_open_for_writing_is_left_alone(lab, response):
    response("delete")
    path = lab.write_local("busy.txt", b"")
    with open(path, "r+b", buffering=0) as local:
        local.write(EICAR)
        ctl(lab, "scan", str(path), code=2)
        row = threat(lab, "busy.txt", "infected")
        assert "open for writing" in str(history(lab, row))
        assert path.read_bytes() == EICAR
        denied(lab, "busy.txt")
    smb = lab.connect()
    file = smb.create("busy.txt", 0, WRITE, 0, SHARE_ALL, OPEN)
    ctl(lab, "scan", "--force", str(path), code=2)
    assert path.exists()
    smb.write(file, EICAR, 0)
    smb.close(file)         # its close owes the scan that deletes it
    wait_for("the file to be deleted", lambda: not path.exists())


def test_jobs_and_single_scans_respond(lab, response):
    response("delete")
    lab.share_dir.joinpath("dir").mkdir()
    for i in range(3):
        lab.write_local("dir/%d.txt" % i, other(str(i)))
    ctl(lab, "scan", str(lab.local("dir/0.txt")), code=2)
    assert not lab.local("dir/0.txt").exists()
    lab.cavactl("scan", str(lab.local("dir")))
    wait_for("all of them to be deleted",
             lambda: not any(lab.local("dir").iterdir()))
