"""Jobs: the whole tree, whatever happens meanwhile; and the words for it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import pathlib
import signal
import time

import pytest
from samba.dcerpc import xattr
from samba.ndr import ndr_pack

import cavad_world
from cavad_world import EICAR, THREAT, World, wait_for

RUNS = "/platform/10/job/jobs"
SCHEDULES = "/platform/11/avscan/schedules"
NULL = "[server av]\nserver_uri = null:\nconnections_maximum = 100\n"
LONG = os.environ.get("CAVA_TEST_LONG") is not None


@pytest.fixture
def make(request):
    worlds = []

    def make_world(jobs="", **more):
        world = World(**more)
        worlds.append(world)
        with open(world.conf, "a") as conf:
            conf.write("\n" + jobs.replace("ROOT", str(world.root)))
        world.start()
        return world
    yield make_world
    for world in worlds:
        world.close()


def start(world, code=201, paths=None, **params):
    body = {"type": "AVScan", "avscan_params": params}
    if paths:
        body["paths"] = [str(p) for p in paths]
    reply = world.call("POST", RUNS, body)
    assert reply.code == code, reply.body
    return reply.json["id"] if code == 201 else reply.message


def run_of(world, run):
    reply = world.call("GET", "%s/%d" % (RUNS, run))
    assert reply.code == 200, reply.body
    return reply.json["jobs"][0]


def ended(world, run, timeout=60):
    wait_for("the end of run %d" % run,
             lambda: run_of(world, run)["end_time"], timeout)
    return run_of(world, run)


def change(world, run, state, code=204):
    reply = world.call("PUT", "%s/%d" % (RUNS, run), {"state": state})
    assert reply.code == code, reply.body
    return reply


def fill(root, directories, files, suffix=""):
    for d in range(directories):
        directory = root / ("d%03d" % d)
        directory.mkdir(exist_ok=True)
        for f in range(files):
            (directory / ("f%04d%s" % (f, suffix))).write_bytes(b"x")


def has_verdict(path):
    return "security.cava" in os.listxattr(path)


def test_paths(make):
    world = make()
    fill(world.root, 3, 20)
    bad = world.file("d001/bad", EICAR)
    run = ended(world, start(world, paths=[world.root]))
    assert run["state"] == "succeeded"
    assert (run["files"], run["scanned"], run["found"], run["current"]) == (
        61, 61, 1, 0)
    assert run["infected_files"] == [{"file": str(bad), "threat": THREAT}]
    assert all(has_verdict(p) for p in world.root.rglob("*") if p.is_file())
    # everything is current now, the infected one too; force asks again
    run = ended(world, start(world, paths=[world.root]))
    assert (run["scanned"], run["current"], run["infected"]) == (0, 61, 1)
    run = ended(world, start(world, paths=[world.root], force_run=True))
    assert (run["scanned"], run["found"]) == (61, 1)


def test_job(make):
    world = make(jobs="""
[job docs]
paths_to_include = ROOT/d000, ROOT/d001
paths_to_exclude = tmp/
file_extensions = doc
file_extension_action = include
impact = HIGH
""")
    fill(world.root, 3, 5, ".doc")
    fill(world.root, 3, 5, ".iso")
    (world.root / "d000/tmp").mkdir()
    world.file("d000/tmp/a.doc")
    run = ended(world, start(world, policy="docs"))
    assert (run["policy"], run["scanned"], run["files"]) == ("docs", 10, 20)
    assert run["excluded"] == 11
    assert start(world, 409, policy="dosc") == "there is no job dosc"


def put_stream(path, name, content):
    os.setxattr(path, "user.DosStream.%s:$DATA" % name, content + b"\0")


def test_streams(make):
    """Named streams too, of directories and of files that are current."""
    world = make()
    fill(world.root, 2, 3)
    ended(world, start(world, paths=[world.root]))
    path = world.root / "d000/f0001"
    put_stream(path, "evil", EICAR)
    put_stream(path, "Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")
    put_stream(world.root / "d001", "evil", EICAR)
    put_stream(world.root / "d000", "with a blank", b"nothing bad")
    put_stream(path, "AFP_AfpInfo", b"AFP\0\0\0\1\0" + bytes(52))
    os.setxattr(path, "user.comment", EICAR)    # no stream
    os.utime(path)      # it is to be scanned as well
    # vfs_streams_depot: a stream is a file
    depot = world.root / ".streams/12/34/56"
    depot.mkdir(parents=True)
    (depot / ":evil:$DATA").write_bytes(EICAR)
    run = ended(world, start(world, paths=[world.root]))
    assert run["state"] == "succeeded"
    assert run["streams"] == 4, run
    assert run["unanswered"] == 0
    assert (run["files"], run["current"]) == (7, 5)
    assert (run["scanned"], run["found"], run["infected"]) == (6, 3, 0)
    assert {found["file"] for found in run["infected_files"]} == {
        "%s:evil" % path, "%s/d001:evil" % world.root,
        str(depot / ":evil:$DATA")}
    reply = world.call("GET", "/platform/11/antivirus/reports/scans")
    job = [r for r in reply.json["reports"] if r["job_id"] == run["id"]][0]
    assert (job["files"], job["infections"]) == (6, 3)
    # all known now: the same bytes are not asked about again
    run = ended(world, start(world, paths=[world.root]))
    assert (run["scanned"], run["streams"], run["found"]) == (0, 4, 0)
    assert run["infected"] == 3
    run = ended(world, start(world, paths=[world.root], force_run=True))
    assert (run["scanned"], run["streams"], run["found"]) == (11, 4, 3)


def test_allowed(make):
    """What the allow-list lets through is neither found nor infected."""
    world = make()
    world.file("bad", EICAR)
    run = ended(world, start(world, paths=[world.root]))
    assert run["found"] == 1
    done = world.cavactl("allow", "add", "--threat", THREAT,
                         "--reason", "test")
    assert done.returncode == 0, done.stderr
    for force in (False, True):
        run = ended(world, start(world, paths=[world.root],
                                 force_run=force))
        assert (run["found"], run["infected"], run["infected_files"]) == (
            0, 0, [])
    said = world.scan(world.root / "bad").json
    assert (said["result"], said["reason"]) == (
        "infected", "infected, and allowed by an administrator")
    reply = world.call("GET", "/platform/11/antivirus/reports/scans")
    assert [r["infections"] for r in reply.json["reports"]
            if r["source"] != "on-access"] == [0, 0, 0, 1]


def test_tiered(make):
    """Only where the job says so."""
    world = make(jobs="[job near]\n[job far]\nscan_cloudpool_files = yes\n")
    path = world.file("far", b"")
    os.truncate(path, 1 << 20)
    value = xattr.DOSATTRIB()
    value.version = 5
    value.info = xattr.DosInfo5()
    value.info.valid_flags = 1
    value.info.attrib = 0x1020          # OFFLINE
    os.setxattr(path, "user.DOSATTRIB", ndr_pack(value))
    run = ended(world, start(world, policy="near"))
    assert (run["files"], run["skipped"], run["scanned"]) == (1, 1, 0)
    run = ended(world, start(world, policy="far"))
    assert (run["files"], run["skipped"], run["scanned"]) == (1, 0, 1)


def test_kill_and_go_on(make):
    """20,000 files, kill -9 in the middle: each is looked at, once."""
    directories = 1000 if LONG else 20
    world = make(servers=NULL, jobs="""
[job all]
impact = HIGH
file_extensions = skip
""")
    fill(world.root, directories, 950, ".skip")
    fill(world.root, directories, 50)
    before = memory(world)
    run = start(world, policy="all")
    wait_for("half of it", lambda: run_of(world, run)["files"] >=
             directories * 400, 600)
    # what is committed by now is all that it may rely on
    world.cavad.popen.send_signal(signal.SIGKILL)
    world.cavad.popen.wait()
    world.start()
    last = ended(world, run, 600)
    assert last["state"] == "succeeded"
    assert last["files"] == directories * 1000
    assert last["scanned"] + last["current"] == directories * 50
    assert last["excluded"] == directories * 950
    assert all(has_verdict(d / ("f%04d" % f))
               for d in world.root.iterdir() for f in (0, 25, 49))
    # of cavad and of all that it has forked, together; ASan keeps what is
    # freed
    if "ASAN_OPTIONS" not in os.environ:
        assert memory(world) < before + 40000


def memory(world):
    total = 0
    for pid in [world.cavad.pid] + world.cavad.family():
        for line in pathlib.Path("/proc/%d/status" % pid).read_text(
                ).splitlines():
            if line.startswith(("RssAnon:", "VmSwap:")):
                total += int(line.split()[1])
    return total


def test_pause_and_restart(make):
    world = make()
    fill(world.root, 1, 4)
    held = world.file("d000/a", b"hold")
    run = start(world, paths=[world.root])
    world.clamd.held.acquire(timeout=20)
    change(world, run, "pause")
    assert run_of(world, run)["state"] == "paused_user"
    world.clamd.go.set()
    world.cavad.stop()
    world.start()
    assert run_of(world, run)["state"] == "paused_user"
    change(world, run, "run")
    last = ended(world, run)
    assert last["state"] == "succeeded" and last["files"] == 5
    assert has_verdict(held)
    assert "no run %d is under way" % run in change(
        world, run, "run", 409).message


def test_cancel(make):
    world = make(jobs="[job slow]\n")
    world.file("a", b"hold")
    run = start(world, policy="slow")
    world.clamd.held.acquire(timeout=20)
    assert start(world, 409, policy="slow") == (
        "run %d of it is under way" % run)
    change(world, run, "cancel")
    last = run_of(world, run)
    assert last["state"] == "cancelled_user" and last["end_time"]
    world.clamd.go.set()
    world.cavad.stop()
    world.start()
    assert run_of(world, run)["state"] == "cancelled_user"


def test_reload(make):
    """A job is taken up from the file while cavad runs, and its run ends
    when it goes from there."""
    world = make()
    world.file("a", b"hold")
    world.file("b")
    text = world.conf.read_text()

    def reload(jobs):
        world.conf.write_text(text + "\n" + jobs)
        before = world.cavad.log().count("was read again")
        world.cavad.popen.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: world.cavad.log().count(
            "was read again") > before)
    reload("[job late]\npaths_to_include = %s\n" % world.root)
    run = start(world, policy="late")
    world.clamd.held.acquire(timeout=20)
    reload("")
    last = ended(world, run)
    assert last["state"] == "cancelled_system"
    assert "this job is no more" in world.cavad.log()
    start(world, 409, policy="late")
    world.clamd.go.set()
    reload("[job late]\n")
    assert ended(world, start(world, policy="late"))["state"] == "succeeded"
    assert has_verdict(world.root / "a") and has_verdict(world.root / "b")


def test_no_server(make):
    """It waits, and says so; nothing is taken for unscanned meanwhile."""
    world = make(jobs="[cee]\nheartbeat_interval = 1\n")
    world.clamd.close()
    wait_for("offline", lambda: all(
        s["server_state"] != "online" for s in
        world.status()["server_status"]), 40)
    put_stream(world.file("a"), "s", b"its stream")
    run = start(world, paths=[world.root])
    wait_for("paused_system",
             lambda: run_of(world, run)["state"] == "paused_system")
    assert run_of(world, run)["unanswered"] == 0
    os.unlink(world.dir / "clamd.sock")
    world.clamd = type(world.clamd)(str(world.dir / "clamd.sock"))
    last = ended(world, run)
    assert (last["state"], last["scanned"], last["streams"]) == (
        "succeeded", 2, 1)


def test_priority(make):
    world = make(jobs="[job first]\npriority = 1\npaths_to_include = ROOT/1"
                 "\n[job second]\npriority = 2\npaths_to_include = ROOT/2\n")
    (world.root / "1").mkdir()
    (world.root / "2").mkdir()
    world.file("1/a", b"hold")
    world.file("2/a")
    first = start(world, policy="first")
    world.clamd.held.acquire(timeout=20)
    second = start(world, policy="second")
    assert run_of(world, second)["state"] == "paused_priority"
    assert run_of(world, second)["files"] == 0
    world.clamd.go.set()
    assert ended(world, first)["state"] == "succeeded"
    assert ended(world, second)["scanned"] == 1


def test_links_and_missing(make):
    world = make()
    outside = world.dir / "outside"
    outside.mkdir()
    (outside / "bad").write_bytes(EICAR)
    (world.root / "link").symlink_to(outside)
    (world.root / "loop").symlink_to(world.root)
    world.file("a")
    run = ended(world, start(world, paths=[world.root]))
    assert (run["scanned"], run["others"]) == (1, 2)
    run = ended(world, start(world, paths=[world.root / "none"]))
    assert run["state"] == "failed"
    assert run["error"] == "%s/none: No such file or directory" % world.root
    why = start(world, 409, paths=["/etc"])
    assert why == "/etc: not below check_root (%s)" % world.root


def test_vanishing(make):
    """Files that go while the walk, or their scan, comes by."""
    world = make()
    fill(world.root, 1, 10)
    world.file("d000/a", b"hold")
    run = start(world, paths=[world.root])
    world.clamd.held.acquire(timeout=20)
    for path in (world.root / "d000").glob("f*"):
        path.unlink()
    world.clamd.go.set()
    last = ended(world, run)
    assert last["state"] == "succeeded"
    assert last["scanned"] + last["gone"] == 11
    assert last["unanswered"] == last["failed"] == 0


def test_schedule(make):
    """What is due, and missed runs: tests/unit/test_job.c."""
    world = make(jobs="[job often]\nschedule = every minute\n")
    listed = world.call("GET", SCHEDULES).json["schedules"]
    assert listed[0]["schedule"] == "every minute"
    assert 0 < listed[0]["next_run"] - time.time() <= 61
    reply = world.call("POST", SCHEDULES, {"schedule": "every minute"})
    assert len(reply.json["next_runs"]) == 5


def test_refused(make):
    world = make()
    for body, message in (
            ({"type": "Dedupe", "paths": ["/x"]}, "type = \"Dedupe\": AVScan"),
            ({"type": "AVScan"}, "either avscan_params.policy"),
            ({"type": "AVScan", "paths": [1]}, "paths must be a list of"),
            ({"type": "AVScan", "paths": ["a"]}, "paths must be a list of"),
            ({"type": "AVScan", "paths": {}}, "paths must be a list"),
            ({"type": "AVScan", "avscan_params": {"polcy": "a"}},
             "polcy is unknown or of another type"),
            ({"type": "AVScan", "paths": ["/x"] * 129}, "129 paths: at most"),
    ):
        reply = world.call("POST", RUNS, body)
        assert reply.code == 400 and message in reply.message, reply.body
    assert world.call("GET", RUNS).json["jobs"] == []
    assert world.call("GET", RUNS + "/1").code == 404
    assert world.call("GET", RUNS + "/x").code == 404
    assert "run, pause and cancel" in world.call(
        "PUT", RUNS + "/1", {"state": "stop"}).message
    reply = world.call("POST", SCHEDULES, {"schedule": "every frday"})
    assert reply.code == 400 and "did you mean Friday?" in reply.message


def test_cavactl(make):
    world = make(jobs="[job docs]\nschedule = every 2 weeks on Mon at 1\n")
    world.file("bad", EICAR)
    world.file("good")
    done = world.cavactl("scan", str(world.root))
    assert done.returncode == 2
    assert done.stdout.decode().splitlines() == [
        "%s/bad: infected %s" % (world.root, THREAT),
        "2 files: 2 scanned, 0 current already, 1 infected, 0 without a "
        "verdict"]
    (world.root / "bad").unlink()
    assert world.cavactl("scan", str(world.root)).returncode == 0
    assert world.cavactl("scan", str(world.dir)).returncode == 1
    done = world.cavactl("jobs")
    assert "every 2 weeks on Monday at 01:00" in done.stdout.decode()
    done = world.cavactl("jobs", "start", "docs")
    assert done.stdout.decode().startswith("Run 3 has begun")
    ended(world, 3)
    assert "succeeded" in world.cavactl("jobs", "runs").stdout.decode()
    assert json.loads(world.cavactl("-F", "json", "jobs", "runs", "view",
                                    "3").stdout)["policy"] == "docs"
    assert world.cavactl("jobs", "pause", "3").returncode == 1
    done = world.cavactl("jobs", "schedule", "every", "Friday", "at", "22")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "every Friday at 22:00" and len(lines) == 6
    assert lines[1].startswith("  Fri ")


@pytest.fixture
def boots(tmp_path, monkeypatch):
    """boot(n): from here on cavad is started as in the n-th boot."""
    def boot(number):
        (tmp_path / "id").write_text("boot-%d\n" % number)
    (tmp_path / "cavad").write_text(
        "#!/bin/sh\nexec unshare -m sh -c 'mount --bind %s/id "
        "/proc/sys/kernel/random/boot_id && exec \"$0\" \"$@\"' "
        "%s/cavad \"$@\"\n" % (tmp_path, cavad_world.BIN))
    (tmp_path / "cavad").chmod(0o755)
    monkeypatch.setattr(cavad_world, "BIN", tmp_path)
    boot(1)
    return boot


def test_power_failure(boots, make):
    """What the power took with it is found; an orderly end owes nothing."""
    world = make()
    world.cavad.stop()
    boots(2)
    world.start()
    world.cavad.stop(signal.SIGKILL)    # kill -9 alone: nothing is lost
    world.start()
    ended(world, start(world, paths=[world.root]))
    assert len(world.call("GET", RUNS).json["jobs"]) == 1
    world.file("written")
    world.cavad.stop(signal.SIGKILL)
    boots(3)
    world.start()
    wait_for("the run", lambda: world.call("GET", RUNS + "/2").code == 200)
    run = ended(world, 2)
    assert (run["policy"], run["state"], run["scanned"]) == (
        "(recovery)", "succeeded", 1)
    world.cavad.stop()
    boots(4)
    world.start()
    ended(world, start(world, paths=[world.root]))
    assert len(world.call("GET", RUNS).json["jobs"]) == 3


def test_power_failure_again(boots, make):
    """During its recovery run: that one goes on, and one more comes."""
    world = make()
    world.file("held", b"hold")
    for number in 2, 3:
        world.cavad.stop(signal.SIGKILL)
        boots(number)
        world.start()
        assert world.clamd.held.acquire(timeout=20)
        change(world, 1, "run")     # kept, so what was asked before it is
    assert [r["id"] for r in world.call("GET", RUNS).json["jobs"]] == [1]
    world.cavad.stop()          # does not settle what is owed
    world.start()
    world.clamd.go.set()
    for run in 1, 2:
        wait_for("run %d" % run, lambda: world.call(
            "GET", "%s/%d" % (RUNS, run)).code == 200)
        assert ended(world, run)["policy"] == "(recovery)"
    assert len(world.call("GET", RUNS).json["jobs"]) == 2


def test_purge(make):
    """Records of runs go with report_expiry, those under way never."""
    world = make(settings="report_expiry = 1")
    world.file("a", b"hold")
    held = start(world, paths=[world.root])
    (world.root / "d").mkdir()
    run = start(world, paths=[world.root / "d"])
    ended(world, run)
    assert [r["id"] for r in world.call("GET", RUNS).json["jobs"]] == [
        run, held]
    wait_for("a second", lambda: time.time() >
             run_of(world, run)["end_time"] + 1)
    world.cavad.stop()
    world.start()
    wait_for("its purge", lambda: world.call(
        "GET", "%s/%d" % (RUNS, run)).code == 404)
    assert run_of(world, held)["state"] == "running"
    world.clamd.go.set()
    ended(world, held)
