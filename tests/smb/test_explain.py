"""cavactl explain, against what clients really get: denials of each kind, and
what lets a file through.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import pathlib

import pytest

from lab import ACCESS_DENIED, EICAR, VIRUS_INFECTED, status_of, wait_for

TEXT = b"nothing wrong with it\n"


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "clamd", "--profile", "standard")
    lab.add_share("closed", "cava:zone = Closed")
    conf = pathlib.Path(lab.read_env()["CAVAD_CONF"])
    conf.write_text(conf.read_text() + """
[filter Closed]
scan_profile = strict
open_on_fail = no
""")
    lab.env = lab.read_env()
    lab.configure("filter System", "file_extensions", "log, tar.gz")
    lab.configure("filter System", "paths_to_exclude", "scratch")
    lab.start()
    lab.wait_online()
    return lab


def read(lab, name, share=None):
    """The content, or the NTSTATUS that the open or read ended with."""
    conn = lab.connect(share=share)
    try:
        return conn.loadfile(name)
    except Exception as error:
        return error.args[0] & 0xFFFFFFFF


def explain(lab, path):
    done = lab.cavactl("explain", str(path), fmt="json")
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)["explain"]
    result["status"] = done.returncode
    result["fact"] = {}
    for fact in result["facts"]:
        result["fact"].setdefault(fact["about"], fact["text"])
    return result


def test_infected(lab):
    conn = lab.connect()
    conn.savefile("bad.doc", EICAR)
    wait_for("the verdict", lambda: lab.result("bad.doc") == "infected")
    assert read(lab, "bad.doc") == VIRUS_INFECTED
    x = explain(lab, lab.local("bad.doc"))
    assert (x["outcome"], x["infected"], x["status"]) == ("denied", True, 2)
    assert (x["share"], x["zone"]) == (lab.env["SHARE"], "System")
    assert x["because"] == "it is infected"
    assert x["sentence"].startswith(
        "A reader of share %s is denied, because it is infected. "
        "To change that: " % lab.env["SHARE"])
    assert x["fact"]["record"].startswith("infected (")
    assert x["fact"]["record"].endswith("; it holds")
    assert x["fact"]["rules"] == "none leaves it out"
    assert "profile standard, open_on_fail yes" in x["fact"]["filter"]
    assert "an infected file was found" in x["fact"]["event"]
    assert "none is owed" in x["fact"]["scan"]
    text = lab.cavactl("explain", str(lab.local("bad.doc"))).stdout
    assert text.splitlines()[0] == str(lab.local("bad.doc"))
    assert text.splitlines()[-1] == x["sentence"]


def test_clean(lab):
    lab.connect().savefile("good.doc", TEXT)
    wait_for("the verdict", lambda: lab.result("good.doc") == "clean")
    assert read(lab, "good.doc") == TEXT
    x = explain(lab, lab.local("good.doc"))
    assert (x["outcome"], x["status"]) == ("read", 0)
    assert x["because"] == "its verdict is clean, and holds"
    os.chmod(lab.local("good.doc"), 0o640)
    x = explain(lab, lab.local("good.doc"))
    assert "it does not hold: the file was changed since (its ctime" in \
        x["fact"]["record"]


@pytest.mark.parametrize("name, rule", [
    ("x.log", "file_extensions: *.log"),
    ("scratch/x.doc", "paths_to_exclude: "),
])
def test_left_out(lab, name, rule):
    lab.local("scratch").mkdir(exist_ok=True)
    lab.write_local(name, EICAR)
    os.chmod(lab.local(name), 0o666)
    assert read(lab, name.replace("/", "\\")) == EICAR
    x = explain(lab, lab.local(name))
    assert x["outcome"] == "read" and rule in x["fact"]["rules"]


def test_never_scanned(lab):
    lab.write_local("local.doc", EICAR)
    assert read(lab, "local.doc") == EICAR
    x = explain(lab, lab.local("local.doc"))
    assert x["outcome"] == "read"
    assert "profile standard does not scan on read" in x["because"]
    assert x["fact"]["record"].startswith("none: ")
    assert x["fact"]["event"].startswith("none of the last")


def test_strict_and_no_server(lab):
    closed = lab.dir / "data" / "closed"
    for name, content in (("new.doc", TEXT), ("was.doc", EICAR)):
        (closed / name).write_bytes(content)
        os.chmod(closed / name, 0o666)
    assert read(lab, "was.doc", "closed") in (VIRUS_INFECTED, ACCESS_DENIED)
    x = explain(lab, closed / "new.doc")
    assert (x["outcome"], x["share"], x["zone"]) == ("wait", "closed",
                                                     "Closed")
    lab.sh("stop", "clamd")
    wait_for("the server is offline", lambda: lab.status()[
        "server_status"][0]["server_state"] == "offline", 60)
    os.utime(closed / "was.doc")
    assert read(lab, "new.doc", "closed") == ACCESS_DENIED
    x = explain(lab, closed / "new.doc")
    assert (x["outcome"], x["infected"], x["status"]) == ("denied", False, 3)
    assert "no antivirus server is online, and open_on_fail = no" in \
        x["because"]
    assert x["fact"]["servers"].endswith(" offline")
    assert read(lab, "was.doc", "closed") == ACCESS_DENIED
    x = explain(lab, closed / "was.doc")
    assert (x["outcome"], x["infected"], x["status"]) == ("denied", True, 2)
    assert "has changed" in x["because"]
    lab.sh("start", "clamd")
    lab.wait_online()


@pytest.mark.parametrize("path, text", [
    ("nothing", "there is no such file"),
    ("scratch", "not a regular file"),
    ("/etc/passwd", "outside check_root"),
])
def test_nothing_to_explain(lab, path, text):
    done = lab.cavactl("explain", str(lab.share_dir / path))
    assert done.returncode == 1
    assert text in done.stderr


def test_allowed_and_quarantined(lab):
    lab.connect().savefile("ours.doc", EICAR)
    wait_for("the verdict", lambda: lab.result("ours.doc") == "infected")
    path = str(lab.local("ours.doc"))
    x = explain(lab, path)
    assert x["fact"]["threat"].endswith(")")
    assert ": infected by cavad (found by " in x["fact"]["threat"]
    assert x["fact"]["allow"] == "no entry of the allow-list is about it"

    done = lab.cavactl("allow", "add", "--file", path, "--reason", "my own")
    assert done.returncode == 0, done.stderr
    x = explain(lab, path)
    assert x["fact"]["allow"].endswith("by uid 0: my own") or \
        x["fact"]["allow"].endswith("by root: my own"), x["fact"]["allow"]
    assert (x["outcome"], x["infected"], x["status"]) == ("read", False, 0)
    assert read(lab, "ours.doc") == EICAR
    # what is in the list says nothing about others
    lab.connect().savefile("theirs.doc", EICAR)
    wait_for("the verdict", lambda: lab.result("theirs.doc") == "infected")
    x = explain(lab, lab.local("theirs.doc"))
    assert (x["outcome"], x["infected"]) == ("denied", True)
    assert read(lab, "theirs.doc") == VIRUS_INFECTED

    done = lab.cavactl("quarantine", "add", path, "--reason", "evidence")
    assert done.returncode == 0, done.stderr
    x = explain(lab, path)
    assert x["because"].startswith("it is quarantined"), x
    assert (x["outcome"], x["status"]) == ("denied", 2)
    assert ": quarantined by " in x["fact"]["threat"]
    assert x["fact"]["threat"].endswith("(evidence)")
    assert read(lab, "ours.doc") == VIRUS_INFECTED
