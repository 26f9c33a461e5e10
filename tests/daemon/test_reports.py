"""Reports: one for each run, individual scan and day of on-access scans.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import re
import signal
import threading
import time

import pytest

from cavad_peer import CLEAN, CLOSE, INFECTED, Peer
from cavad_world import EICAR, World, wait_for

REPORTS = "/platform/11/antivirus/reports/scans"
RUNS = "/platform/10/job/jobs"
FIELDS = {
    "id": str, "policy_id": str, "job_id": (int, type(None)),
    "av_service": str, "status": str, "start": int,
    "end": (int, type(None)), "duration": int, "files": int,
    "num_files_rev": int, "num_cloud_files": int,
    "num_cloud_files_rev": int, "size": int, "bytes_sent": int,
    "infections": int, "scan_fails": int, "source": str,
    "bytes_fetched": int, "bytes_handed": int, "bytes_passed": int,
    "throughput": int, "bandwidth_utilisation": (float, type(None)),
    "unscannable": int, "skipped": int, "scan_time": int,
}


@pytest.fixture
def make(request):
    worlds = []

    def make_world(extra="", **more):
        world = World(**more)
        worlds.append(world)
        with open(world.conf, "a") as conf:
            conf.write("\n" + extra.replace("ROOT", str(world.root)))
        world.start()
        return world
    yield make_world
    for world in worlds:
        world.close()


def reports(world, query=""):
    reply = world.call("GET", REPORTS + query)
    assert reply.code == 200, reply.body
    return reply.json["reports"]


def threats(world, name):
    """What a report has found."""
    reply = world.call("GET", "/platform/3/antivirus/reports/threats?scan_id="
                       + name)
    assert reply.code == 200, reply.body
    return reply.json["reports"]


def report(world, name):
    reply = world.call("GET", "%s/%s" % (REPORTS, name))
    assert reply.code == 200, reply.body
    assert list(reply.json) == ["reports"]
    found = reply.json["reports"][0]
    assert set(found) == set(FIELDS)
    for field, kind in FIELDS.items():
        assert isinstance(found[field], kind), (field, found[field])
    return found


def day(world):
    return [r for r in reports(world) if r["source"] == "on-access"][0]


def has(found, **values):
    assert {name: found[name] for name in values} == values


def test_individual(make):
    world = make()
    clean = world.file("a", b"x" * 100)
    bad = world.file("b", EICAR)
    before = int(time.time())
    said = world.scan(clean).json
    found = report(world, said["report_id"])
    assert before <= found["start"] <= found["end"] <= time.time()
    has(found, files=1, num_files_rev=1, size=100, infections=0,
        scan_fails=0, status="Succeeded", policy_id="MANUAL", job_id=None,
        source="manual", av_service="clamd", bytes_passed=100, bytes_sent=0,
        bytes_fetched=0, throughput=0, bandwidth_utilisation=None)
    bad_id = world.scan(bad, policy="cleaning").json["report_id"]
    assert bad_id != said["report_id"]
    has(report(world, bad_id), files=1, infections=1, policy_id="cleaning",
        size=len(EICAR))
    gone = world.scan(world.root / "none").json
    has(report(world, gone["report_id"]), files=0, infections=0)
    # what is known is no scan, but infected all the same
    known = world.scan(bad, ignore_previous_scan_status=False).json
    assert known["from_record"]
    has(report(world, known["report_id"]), files=0, num_files_rev=1,
        infections=1, av_service="none")
    # and the clients' report has none of it
    has(day(world), files=0, infections=0, status="Started", end=None)


def test_individual_with_streams(make):
    """A file is not clean while a stream of it is infected."""
    world = make()
    path = world.file("a", b"x" * 100)
    for name, content in (("fine", b"22"), ("evil", EICAR)):
        os.setxattr(path, "user.DosStream.%s:$DATA" % name, content + b"\0")
    said = world.scan(path).json
    assert (said["result"], said["file"]) == ("infected", "%s:evil" % path)
    has(report(world, said["report_id"]), files=3, num_files_rev=3,
        infections=1, size=102 + len(EICAR), scan_fails=0)
    done = world.cavactl("scan", str(path))
    assert done.returncode == 2 and b"a:evil: infected" in done.stdout
    os.removexattr(path, "user.DosStream.evil:$DATA")
    said = world.scan(path).json
    assert (said["result"], said["file"]) == ("clean", str(path))


def test_one_command_is_one_report(make):
    world = make()
    files = [str(world.file(name, content)) for name, content in (
        ("a", b"1"), ("b", EICAR), ("c", b"22"))]
    done = world.cavactl("scan", files[0], str(world.root / "none"),
                         *files[1:])
    assert done.returncode == 2, done.stderr
    [found] = [r for r in reports(world) if r["source"] == "manual"]
    has(found, files=3, infections=1, size=3 + len(EICAR), scan_fails=0)
    world.cavactl("scan", "--force", files[0])
    assert len([r for r in reports(world) if r["source"] == "manual"]) == 2


def test_one_report_of_many(make):
    world = make()
    first = world.scan(world.file("a", b"1")).json["report_id"]
    for name, content in (("b", b"22"), ("c", EICAR)):
        path = world.file(name, content)
        assert world.scan(path, report_id=first).json["report_id"] == first
    has(report(world, first), files=3, infections=1,
        size=3 + len(EICAR), status="Succeeded")
    # at the same time: none is lost
    world.file("held", b"hold")
    threads = [threading.Thread(target=world.scan, args=(world.root / "held",),
                                kwargs={"report_id": first})]
    threads[0].start()
    world.clamd.held.acquire(timeout=20)
    assert report(world, first)["status"] == "Started"
    world.scan(world.root / "a", report_id=first)
    world.clamd.go.set()
    threads[0].join()
    has(report(world, first), files=5, infections=1, status="Succeeded")
    # a name of one's own, over a restart
    assert world.scan(world.root / "a", report_id="mine").code == 200
    world.cavad.stop(signal.SIGKILL)
    world.start()
    assert world.scan(world.root / "b", report_id="mine").code == 200
    has(report(world, "mine"), files=2, size=3)
    for name, text in ((day(world)["id"], "not one of individual scans"),
                       ("M-4711", "no report with that id")):
        reply = world.scan(world.root / "a", report_id=name)
        assert reply.code == 409 and text in reply.message
        assert reply.json["errors"][0]["field"] == "report_id"


def test_hang_up(make):
    """Who asked is gone: the scan has its report all the same."""
    world = make()
    path = world.file("held", b"hold")
    connection = world.connection()
    connection.request("POST", "/platform/11/antivirus/scan",
                       body=b'{"file": "%s"}' % str(path).encode())
    world.clamd.held.acquire(timeout=20)
    connection.close()
    world.clamd.go.set()
    wait_for("its report", lambda: any(
        r["source"] == "manual" and r["files"] == 1 for r in reports(world)))


def start_job(world, **params):
    reply = world.call("POST", RUNS, {"type": "AVScan",
                                      "avscan_params": params})
    assert reply.code == 201, reply.body
    return reply.json["id"]


def of_run(world, run):
    found = [r for r in reports(world) if r["job_id"] == run]
    assert len(found) == 1, found
    return report(world, found[0]["id"])


def ended(world, run):
    wait_for("the end of run %d" % run,
             lambda: of_run(world, run)["end"])
    return of_run(world, run)


def test_job(make):
    world = make("[job all]\nimpact = HIGH\n")
    for i in range(20):
        world.file("f%d" % i, b"x" * i)
    world.file("bad", EICAR)
    world.file("held", b"hold")
    run = start_job(world, policy="all")
    world.clamd.held.acquire(timeout=20)
    has(of_run(world, run), status="Started", policy_id="all", end=None,
        source="job")
    reply = world.call("PUT", "%s/%d" % (RUNS, run), {"state": "pause"})
    assert reply.code == 204
    has(of_run(world, run), status="Paused")
    # it is not removed while it is made
    name = of_run(world, run)["id"]
    reply = world.call("DELETE", "%s/%s" % (REPORTS, name))
    assert reply.code == 409 and "cancel the run" in reply.message
    # killed, it goes on in the same report
    world.cavad.stop(signal.SIGKILL)
    world.start()
    assert of_run(world, run)["id"] == name
    world.call("PUT", "%s/%d" % (RUNS, run), {"state": "run"})
    world.clamd.go.set()
    found = ended(world, run)
    assert found["id"] == name
    has(found, status="Succeeded", infections=1, num_files_rev=22,
        scan_fails=0, av_service="clamd")
    assert found["files"] <= 22 and found["bytes_passed"] == found["size"]
    world.cavad.stop(signal.SIGKILL)
    world.start()
    assert of_run(world, run) == found
    # cancelled, and once more: known files are reviewed
    run = start_job(world, policy="all")
    found = ended(world, run)
    has(found, files=0, num_files_rev=22, infections=1)
    assert world.call("DELETE", "%s/%s" % (REPORTS, name)).code == 204
    assert world.call("GET", "%s/%s" % (REPORTS, name)).code == 404


def test_list(make):
    world = make()
    path = world.file("a")
    made = [world.scan(path, policy="p%d" % (i % 3)).json["report_id"]
            for i in range(10)]
    assert len(set(made)) == 10
    newest = [r["id"] for r in reports(world)]
    assert newest[:10] == made[::-1] and len(newest) == 11
    assert [r["id"] for r in reports(world, "?dir=ASC")] == newest[::-1]
    assert [r["id"] for r in reports(world, "?offset=3&limit=2")] == \
        newest[3:5]
    # pages, with a report that comes and one that goes between them
    reply = world.call("GET", REPORTS + "?limit=4").json
    assert reply["total"] == 11
    seen = [r["id"] for r in reply["reports"]]
    world.scan(path)
    world.call("DELETE", "%s/%s" % (REPORTS, made[0]))
    while reply["resume"]:
        reply = world.call("GET", "%s?resume=%s" % (
            REPORTS, reply["resume"])).json
        seen += [r["id"] for r in reply["reports"]]
    assert seen == [n for n in newest if n != made[0]]
    assert [r["id"] for r in reports(world, "?policy_id=p1&dir=ASC")] == \
        made[1::3]
    assert [r["source"] for r in reports(world, "?status=started")] == [
        "on-access"]
    assert [r["policy_id"] for r in reports(
        world, "?sort=policy_id&dir=ASC&limit=3")] == [
            "MANUAL", "ON_ACCESS", "p0"]
    for query, field in (("?limit=0", "limit"), ("?sort=x", "sort"),
                         ("?dir=up", "dir"), ("?resume=x", "resume"),
                         ("?colour=red", "colour"), ("?status=done", "status")):
        reply = world.call("GET", REPORTS + query)
        assert reply.code == 400, query
        assert reply.json["errors"][0]["field"] == field


def test_remove(make):
    world = make()
    path = world.file("a")
    for i in range(600):
        world.scan(path, ignore_previous_scan_status=False)
    last = world.scan(path).json["report_id"]
    reply = world.call("DELETE", REPORTS + "?age=-1")
    assert reply.code == 400 and "age" in reply.message
    assert world.call("DELETE", REPORTS + "?age=3600").code == 204
    assert world.call("GET", REPORTS).json["total"] == 602
    assert world.call("DELETE", REPORTS).code == 204
    assert [r["source"] for r in reports(world)] == ["on-access"]
    # a number is never used twice
    world.cavad.stop(signal.SIGKILL)
    world.start()
    fresh = world.scan(path).json["report_id"]
    assert int(fresh[2:]) > int(last[2:])
    reply = world.call("DELETE", "%s/%s" % (REPORTS, day(world)["id"]))
    assert reply.code == 409 and "report_time" in reply.message
    assert world.call("DELETE", REPORTS + "/M-1").code == 404


def test_remove_what_it_found(make):
    """With a report goes what it has found, but for what is infected still
    and what another one has found as well."""
    world = make("[job all]\nimpact = HIGH\n")
    number = 450  # more than go at a time
    for i in range(number):
        world.file("bad%d" % i, EICAR)
    first = ended(world, start_job(world, policy="all"))["id"]
    wait_for("what it found", lambda: world.call(
        "GET", "/platform/3/antivirus/reports/threats?limit=1000&scan_id=" +
        first).json["reports"][number - 1:])
    for i in range(2, number):
        world.file("bad%d" % i, b"mended")
    clean = ended(world, start_job(world, policy="all"))["id"]
    world.file("bad1", EICAR + b"\n")
    again = world.scan(world.root / "bad1").json["report_id"]
    world.file("bad1", b"mended")
    world.scan(world.root / "bad1")

    def states():
        return {t["file"]: t["state"] for t in world.call(
            "GET", "/platform/3/antivirus/reports/threats?limit=1000").json[
                "reports"]}
    wait_for("all repaired", lambda: sorted(states().values()) ==
             ["infected"] + ["repaired"] * (number - 1))
    assert world.call("DELETE", "%s/%s" % (REPORTS, clean)).code == 204
    assert len(states()) == number
    assert world.call("DELETE", "%s/%s" % (REPORTS, first)).code == 204
    left = {str(world.root / "bad0"): "infected",
            str(world.root / "bad1"): "repaired"}
    assert states() == left and threats(world, first) == []
    assert len(threats(world, again)) == 1
    # found once more, it is a row again
    world.file("bad5", EICAR)
    name = world.scan(world.root / "bad5").json["report_id"]
    wait_for("its row", lambda: [t["file"] for t in threats(world, name)] ==
             [str(world.root / "bad5")])
    assert world.call("DELETE", REPORTS).code == 204
    del left[str(world.root / "bad1")]
    left[str(world.root / "bad5")] = "infected"
    assert states() == left
    world.cavad.stop(signal.SIGKILL)
    world.start()
    assert states() == left


def read(peer, path, result):
    assert peer.answer(peer.ask(path)).result == result


def day_at(world, moment):
    """report_time is at that second."""
    text = world.conf.read_text()
    text = re.sub("report_time = .*\n", "", text)
    world.conf.write_text(text.replace("[settings]\n", "[settings]\nreport_time"
                          " = %s\n" % time.strftime("%H:%M:%S", time.localtime(
                              moment)), 1))


def days(world):
    """Oldest first."""
    return [r for r in reports(world, "?dir=ASC")
            if r["source"] == "on-access"]


def test_day(make):
    world = make()
    bad = world.file("bad", EICAR)
    with Peer(world) as peer:
        read(peer, world.file("a", b"x" * 50), CLEAN)
        read(peer, world.root / "a", CLEAN)
        read(peer, bad, INFECTED)
        read(peer, bad, INFECTED)
        # scanned again, it is the same infected file
        bad.write_bytes(EICAR + b"\n")
        read(peer, bad, INFECTED)
        peer.acked(peer.notice(CLOSE, world.file("w", b"written")))
        wait_for("the scan of what was written",
                 lambda: day(world)["files"] == 4)
        has(day(world), num_files_rev=6, infections=1, scan_fails=0,
            size=50 + 2 * len(EICAR) + 1 + 7, av_service="clamd",
            policy_id="ON_ACCESS", status="Started", job_id=None)
        # a scan by hand is none of a client's
        world.scan(world.root / "a")
        assert day(world)["files"] == 4
        # what was counted is written within a second or two
        name = day(world)["id"]
        counted = time.time()
        wait_for("two seconds", lambda: time.time() > counted + 2)
    world.cavad.stop(signal.SIGKILL)
    world.start()
    has(day(world), id=name, files=4, infections=1, num_files_rev=6)
    # which one that was is known still
    with Peer(world) as peer:
        bad.write_bytes(EICAR + b"\n\n")
        read(peer, bad, INFECTED)
    wait_for("its scan", lambda: day(world)["files"] == 5)
    has(day(world), id=name, infections=1)
    assert [t["file"] for t in threats(world, name)] == [str(bad)]
    # a client's scan that somebody by hand waits for is of both reports
    shared = world.file("shared", b"hold" + EICAR)
    with Peer(world) as peer:
        by_then = world.status()["system_stats"]["manual_scan_requests"]
        asked = peer.ask(shared)
        world.clamd.held.acquire(timeout=20)
        by_hand = threading.Thread(target=world.scan, args=(shared,))
        by_hand.start()
        wait_for("the second question", lambda: world.status()[
            "system_stats"]["manual_scan_requests"] == by_then + 1)
        world.clamd.go.set()
        peer.answer(asked)
        by_hand.join()
    wait_for("its scan", lambda: day(world)["infections"] == 2)
    counted = time.time()
    wait_for("two seconds", lambda: time.time() > counted + 2)
    world.cavad.stop(signal.SIGKILL)
    world.start()
    with Peer(world) as peer:
        shared.write_bytes(EICAR + b"\n\n")
        read(peer, shared, INFECTED)
    wait_for("its scan", lambda: day(world)["files"] == 7)
    has(day(world), id=name, infections=2)
    # the day is over
    end = int(time.time()) + 1
    day_at(world, end)
    world.cavad.popen.send_signal(signal.SIGHUP)
    wait_for("the end of the day", lambda: len(days(world)) == 2)
    one, two = days(world)
    has(one, id=name, files=7, infections=2, status="Finish", end=end)
    has(two, files=0, infections=0, status="Started", start=end)
    with Peer(world) as peer:
        world.file("bad2", EICAR)
        read(peer, world.root / "bad2", INFECTED)
    has(days(world)[1], files=1, infections=1)
    # one that ended while nobody was there ends when it should have
    world.cavad.stop()
    world.start()
    assert len(days(world)) == 2
    end = int(time.time()) + 1
    world.cavad.stop(signal.SIGKILL)
    day_at(world, end)
    wait_for("that time", lambda: time.time() >= end + 1)
    world.start()
    wait_for("a third day", lambda: len(days(world)) == 3)
    one, two, three = days(world)
    has(two, end=end, status="Finish", infections=1)
    has(three, start=end, status="Started", files=0)


def test_expiry(make):
    world = make(settings="report_expiry = 3600")
    path = world.file("a")
    for i in range(3):
        world.scan(path)
    assert len(reports(world)) == 4
    world.conf.write_text(world.conf.read_text().replace(
        "report_expiry = 3600", "report_expiry = 1"))
    world.cavad.popen.send_signal(signal.SIGHUP)
    wait_for("what is left", lambda: [r["source"] for r in reports(world)] ==
             ["on-access"])


def cavactl(world, *arguments):
    done = world.cavactl(*arguments)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_cavactl(make):
    world = make("[job all]\nimpact = HIGH\n")
    world.file("bad", EICAR)
    run = start_job(world, policy="all")
    name = ended(world, run)["id"]
    code, out, err = cavactl(world, "reports")
    assert code == 0 and name in out and "Succeeded" in out, out + err
    out = cavactl(world, "reports", "--policy", "all", "--format", "csv")[1]
    assert len(out.splitlines()) == 2
    code, out, err = cavactl(world, "reports", "view", name)
    assert code == 0, err
    for word in ("started", "ended", "files scanned", "size scanned",
                 "network use", "throughput", "status", "infected files",
                 "Eicar-Test-Signature", str(world.root / "bad")):
        assert word in out, out
    assert cavactl(world, "reports", "delete", name)[0] == 0
    code, out, err = cavactl(world, "reports", "view", name)
    assert code == 1 and name in err
    # a name is any text
    assert world.scan(world.root / "bad", report_id="one: a&b?").code == 200
    code, out, err = cavactl(world, "reports", "view", "one: a&b?")
    assert code == 0 and "one: a&b?" in out, err
    assert str(world.root / "bad") in out
    assert cavactl(world, "reports", "delete", "one: a&b?")[0] == 0
    code, out, err = cavactl(world, "reports", "--policy", "a b&limit=0")
    assert code == 0 and "no such report" in out, err
    code, out, err = cavactl(world, "reports", "--status", "done")
    assert code == 1 and "Succeeded" in err
