"""cavactl settings, servers, filters, jobs: every verb; apply and export.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import csv
import io
import json
import os
import pty
import re
import subprocess

import pytest

import cavad_world
from cavad_world import ROOT, World

OK, REFUSED = 0, 1


@pytest.fixture
def world():
    world = World()
    world.start()
    yield world
    world.close()


def run(world, *arguments, code=OK):
    done = world.cavactl(*arguments)
    assert done.returncode == code, (arguments, done)
    return done.stdout.decode() if code == OK else done.stderr.decode()


def view(world, *words):
    """{field: (value, where it comes from)}"""
    rows = csv.DictReader(io.StringIO(run(world, *words, "-F", "csv")))
    return {row["field"]: (row["value"], row["origin"]) for row in rows}


def document(world):
    return json.loads(run(world, "export"))


def apply(world, doc, *options, code=OK):
    path = world.dir / "document.json"
    path.write_text(doc if isinstance(doc, str) else json.dumps(doc))
    return run(world, "apply", "-f", str(path), *options, code=code)


# the verbs

def test_server(world):
    assert run(world, "servers", "create", "two", "--enabled=no",
               "--server_uri=cee://127.0.0.1:1/x",
               "--clamd_size_maximum=10M") == \
        "server two is made, and in force.\n"
    seen = view(world, "servers", "view", "two")
    assert seen["enabled"] == ("no", "database")
    assert seen["clamd_size_maximum"] == ("10M", "database")
    assert seen["connections_maximum"] == ("20", "default")
    assert view(world, "servers", "view", "av")["server_uri"] == (
        "clamd:%s/clamd.sock" % world.dir, "cavad.conf")
    run(world, "servers", "modify", "two", "--connections_maximum", "7",
        "--new_name=three")
    run(world, "servers", "modify", "three",
        "--fetch_addresses=10.0.0.1,10.0.0.2", "--fetch_addresses=10.0.0.3")
    assert view(world, "servers", "view", "three")["fetch_addresses"] == (
        "10.0.0.1,10.0.0.2,10.0.0.3", "database")
    assert "there is no server two" in run(world, "servers", "view", "two",
                                           code=REFUSED)
    run(world, "servers", "reset", "three", "connections_maximum")
    seen = view(world, "servers", "view", "three")
    assert seen["connections_maximum"] == ("20", "default")
    run(world, "servers", "reset", "three", "--all")
    assert {origin for _, origin in view(
        world, "servers", "view", "three").values()} == {
            "database", "default"}      # it cannot be without its uri
    rows = list(csv.DictReader(io.StringIO(run(world, "servers", "list",
                                               "-F", "csv"))))
    assert [(r["server_name"], r["clamd_size_maximum"]) for r in rows] == [
        ("av", "26214400"), ("three", "26214400")]
    assert run(world, "servers", "delete", "three") == \
        "server three is gone.\n"
    assert "cavad.conf" in run(world, "servers", "delete", "av",
                               code=REFUSED)
    assert [s["server_name"] for s in json.loads(run(
        world, "servers", "list", "-F", "json"))["servers"]] == ["av"]


def test_changes_survive(world):
    """kill -9 after the answer."""
    run(world, "settings", "modify", "--scan_timeout=90",
        "--scan_size_maximum=2G")
    run(world, "filters", "modify", "System", "--scan_profile=strict",
        "--scan_on_close=no")
    world.cavad.stop(how=9)
    world.start()
    seen = view(world, "settings", "view")
    assert seen["scan_timeout"] == ("90", "database")
    assert seen["scan_size_maximum"] == ("2G", "database")
    seen = view(world, "filters", "view", "System")
    assert seen["scan_profile"] == ("strict", "database")
    assert seen["scan_on_close"] == ("no", "database")
    assert seen["scan_on_read"] == ("yes", "default")
    run(world, "settings", "reset", "scan_timeout")
    assert view(world, "settings", "view")["scan_timeout"] == (
        "60", "default")
    run(world, "filters", "reset", "System", "--all")
    assert {o for _, o in view(world, "filters", "view", "System").values()
            } == {"default"}


def test_job(world):
    (world.root / "a").mkdir()
    held = world.file("a/held", b"hold")
    run(world, "jobs", "create", "weekly", "--impact=HIGH",
        "--schedule=every Fri at 22", "--paths_to_include=%s" % held.parent)
    assert "every Friday at 22:00" in run(world, "jobs")
    assert "weekly" in run(world, "jobs", "list")
    assert view(world, "jobs", "view", "weekly")["impact"] == (
        "HIGH", "database")
    run(world, "jobs", "modify", "weekly", "--description=All of it")
    run(world, "jobs", "start", "weekly")
    assert world.clamd.held.acquire(timeout=20)
    # by the job's name, or the number of its run
    run(world, "jobs", "pause", "weekly")
    assert "paused_user" in run(world, "jobs", "runs")
    run(world, "jobs", "resume", "1")
    run(world, "jobs", "cancel", "WEEKLY")
    world.clamd.go.set()
    assert "no run of it is under way" in run(world, "jobs", "pause",
                                              "weekly", code=REFUSED)
    assert "there is no such job" in run(world, "jobs", "pause", "monthly",
                                         code=REFUSED)
    run(world, "jobs", "delete", "weekly")
    assert run(world, "jobs", "list").startswith("There is none")


def test_text_for_people(world):
    out = run(world, "settings", "view")
    assert re.search(r"^report_expiry +5184000 \(60 days\) +default$", out,
                     re.M)
    assert re.search(r"^check_root +\S+ +cavad.conf$", out, re.M)
    assert run(world, "servers", "list").split()[:5] == [
        "NAME", "URI", "ENABLED", "POOL", "CONN"]
    assert re.search(r"^System +yes +standard +no +yes +yes +yes +default$",
                     run(world, "filters", "list"), re.M)
    run(world, "zones", "add", "projects")
    assert "projects" in run(world, "filters", "list")


@pytest.mark.parametrize("words, said", [
    (["settings", "modify"], "nothing to change: --FIELD=VALUE"),
    (["settings", "modify", "--scan_timout=3"], "mean --scan_timeout?"),
    (["settings", "modify", "--scan_timeout=x"],
     "--scan_timeout=x: not a whole number of seconds"),
    (["settings", "modify", "--scan_timeout=0"], "not in 1 to 4294967295"),
    (["settings", "modify", "--user=root"], "cavad.conf"),
    (["settings", "modify", "--denial=no"], "virus_infected"),
    (["servers", "create", "x"], "server_uri"),
    (["servers", "create", "av", "--server_uri=null:"], "av"),
    (["servers", "create", "x y", "--server_uri=null:"], "x y"),
    (["servers", "modify", "av", "--connections_maximum=101"], "1 to 100"),
    (["servers", "modify", "nope", "--enabled=no"], "no server nope"),
    (["servers", "modify", "av", "--pool=\xff"], "pool"),
    (["servers", "reset", "av"], "either --all, or the fields"),
    (["servers", "reset", "av", "enabled", "--all"], "either --all"),
    (["servers", "reset", "av", "enabld"], "did you mean enabled?"),
    (["filters", "view", "nope"], "nope"),
    (["filters", "create", "nope"], "did you mean"),
    (["jobs", "create", "j", "--schedule=every Frday"], "Friday"),
    (["jobs", "view", "nope"], "no job nope"),
])
def test_refused(shared, words, said):
    """It names the field and what is accepted; nothing is changed."""
    before = document(shared)
    assert said in run(shared, *words, code=REFUSED)
    assert document(shared) == before


@pytest.fixture(scope="module")
def shared():
    world = World()
    world.start()
    yield world
    world.close()


def test_help_has_the_table(tmp_path):
    """Each field of object.def, without a cavad."""
    text = (ROOT / "cavad/object.def").read_text()
    for noun, verbs, table in (
            ("settings", ["modify", "reset"], "SETTINGS"),
            ("cee", ["modify", "reset"], "CEE"),
            ("servers", ["create", "modify", "reset"], "SERVER"),
            ("filters", ["modify", "reset"], "FILTER"),
            ("jobs", ["create", "modify", "reset"], "JOB")):
        part = text[text.index("%s_FIELDS(F)" % table):].split("\n\n")[0]
        names = re.findall(r"^F\(\w+, (\w+),", part, re.M)
        assert len(names) > 7
        for verb in verbs:
            out = subprocess.run(
                [cavad_world.BIN / "cavactl", noun, verb, "--help"],
                env={"CAVAD_API_SOCKET": str(tmp_path / "none")}, text=True,
                check=True, stdout=subprocess.PIPE).stdout
            fields = out.split("\nFields:\n")[1].split("\nExamples:")[0]
            assert re.findall(r"^  (?:--)?(\w+)", fields, re.M) == names
            assert all(len(line) <= 80 for line in out.splitlines())
    assert "(1 to 100; default: 20)" in re.sub(r"\s+", " ", run_help())
    assert "(0 to 16T; default: 25M)" in re.sub(r"\s+", " ", run_help())


def run_help():
    return subprocess.run(
        [cavad_world.BIN / "cavactl", "servers", "create", "--help"],
        text=True, check=True, stdout=subprocess.PIPE).stdout


# apply and export

def test_round_trip(world):
    run(world, "servers", "create", "two", "--server_uri=null:",
        "--pool=other")
    run(world, "settings", "modify", "--scan_size_maximum=3M")
    run(world, "jobs", "create", "weekly", "--paths_to_exclude=tmp,cache")
    before = document(world)
    assert apply(world, before) == "Nothing to do.\n"
    run(world, "servers", "delete", "two")
    run(world, "settings", "reset", "--all")
    run(world, "jobs", "delete", "weekly")
    run(world, "filters", "modify", "System", "--scan_profile=strict")
    out = apply(world, before)
    assert out.endswith("Done: 2 created, 1 modified, 1 reset.\n")
    for line in ("modify settings", "  + scan_size_maximum = 3M",
                 "create server two", "  + pool = other",
                 "create job weekly", "  + paths_to_exclude = tmp,cache",
                 "reset filter System (to the defaults)",
                 "  - scan_profile = strict"):
        assert line in out.splitlines(), out
    assert document(world) == before
    # what is removed is told with all that goes with it
    less = dict(before, servers=[s for s in before["servers"]
                                 if s["server_name"] != "two"])
    assert apply(world, less, "--dry-run") == (
        "remove server two (the document does not list it)\n"
        "  - server_uri = null:\n  - pool = other\n"
        "To be done: 1 removed.\n")
    assert apply(world, before) == "Nothing to do.\n"


def test_dry_run(world):
    before = document(world)
    doc = dict(before, settings={"scan_timeout": 99})
    assert apply(world, doc, "--dry-run") == \
        "modify settings\n  - scan_timeout = 60\n  + scan_timeout = 99\n" \
        "To be done: 1 modified.\n"
    row, = csv.DictReader(io.StringIO(apply(world, doc, "--dry-run", "-F",
                                            "csv")))
    assert (row["field"], row["from_text"], row["to_text"]) == (
        "scan_timeout", "60", "99")
    assert json.loads(apply(world, doc, "--dry-run", "-F", "json"))[
        "dry_run"] is True
    assert document(world) == before


def test_all_or_nothing(world):
    before = document(world)
    doc = dict(before, settings={"scan_timeout": 99}, servers=[
        *before["servers"], {"server_name": "bad", "server_uri": "x:"}])
    assert "server_uri" in apply(world, doc, code=REFUSED)
    assert document(world) == before
    assert "did you mean servers?" in apply(world, {"servrs": []},
                                            code=REFUSED)
    assert "document.json:1: not JSON" in apply(world, "{", code=REFUSED)
    assert "not JSON" in apply(world, '{"cee": {}, "cee": {}}', code=REFUSED)
    assert "No such file" in run(world, "apply", "-f", "/no/such",
                                 code=REFUSED)
    assert "--file=FILE is missing" in run(world, "apply", code=REFUSED)


def at_a_terminal(world, doc, answer, *options):
    """cavactl apply, with somebody who may answer."""
    path = world.dir / "document.json"
    path.write_text(json.dumps(doc))
    pid, fd = pty.fork()
    if pid == 0:
        os.execl(cavad_world.BIN / "cavactl", "cavactl", "-s",
                 str(world.api_socket), "apply", "-f", str(path), *options)
    data = b""
    while True:
        try:
            data += os.read(fd, 65536)
        except OSError:     # the other end is closed
            break
        if answer and data.endswith(b"[y/N] "):
            os.write(fd, answer)
            answer = None
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), data.decode()


def test_a_person_is_asked(world):
    before = document(world)
    doc = dict(before, settings={"scan_timeout": 99})
    code, out = at_a_terminal(world, doc, b"\n")
    assert code == REFUSED and "Nothing is changed." in out
    assert "\x1b[32m  + scan_timeout = 99\x1b[0m" in out
    assert document(world) == before
    code, out = at_a_terminal(world, doc, b"y\n")
    assert code == OK and out.endswith("Done.\r\n")
    assert document(world)["settings"] == {"scan_timeout": 99}
    code, out = at_a_terminal(world, doc, b"y\n")
    assert (code, out) == (OK, "Nothing to do.\r\n")
    code, out = at_a_terminal(world, before, None, "--yes")
    assert code == OK and "[y/N]" not in out
    assert document(world) == before


def test_completion_of_fields(world):
    run(world, "jobs", "create", "weekly")

    def complete(*words):
        return run(world, "complete", "--", *words).splitlines()

    assert complete("servers", "modify", "") == ["av"]
    assert complete("servers", "modify", "av", "--en") == ["--enabled="]
    assert complete("servers", "modify", "av", "--enabled", "=", "") == [
        "--enabled=yes", "--enabled=no"]
    assert complete("jobs", "modify", "weekly", "--impact=O") == [
        "--impact=OFF_HOURS"]
    assert complete("servers", "reset", "av", "enabled", "po") == ["pool"]
    assert complete("jobs", "pause", "w") == ["weekly"]
    assert complete("filters", "view", "S") == ["System"]
    assert complete("apply", "-f", "") == [":files"]
    assert complete("settings", "view", "--scan") == []
