"""Settings, servers, filters and jobs over the API: made, seen, changed and
removed, laid over cavad.conf, there after a kill; what is wrong is told and
changes nothing.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import signal
import time
from urllib.parse import quote

import pytest

from cavad_world import World, wait_for

BASE = "/platform/11/avscan/"
KB_MAX = 17179869184

FILE = """[filter System]
open_on_fail = no
[server av]
server_uri = clamd:%s
[job weekly]
schedule = every Friday at 22:00
"""


@pytest.fixture(scope="module")
def world():
    world = World()
    world.write_conf("cavad.conf", "scan_timeout = 30",
                     FILE % (world.dir / "clamd.sock"))
    world.start()
    yield world
    world.close()


@pytest.fixture(autouse=True)
def as_it_was(request):
    """What a test changes, it changes back: by one document."""
    yield
    if "world" in request.fixturenames:
        world = request.getfixturevalue("world")
        document = {"settings": {}, "cee": {}, "filters": [],
                    "servers": [{"server_name": "av"}],
                    "jobs": [{"job_name": "weekly"}]}
        reply = world.call("POST", BASE + "apply", document)
        assert reply.code == 200, reply.body


def get(world, path):
    reply = world.call("GET", BASE + path)
    assert reply.code == 200, reply.body
    return reply.json


def one(world, path):
    return get(world, path)[path.split("/")[0]][0]


def settings(world):
    return get(world, "settings")["settings"]


def done(reply, code=204):
    assert reply.code == code, reply.body
    return reply


def everything(world):
    return [get(world, part) for part in
            ("settings", "cee", "servers", "filters", "jobs", "export")]


# Settings.

def test_settings(world):
    before = settings(world)
    assert before["scan_timeout"] == 30 and before["scan_zones"] == []
    assert before["origin"]["scan_timeout"] == "file"
    assert "report_expiry" not in before["origin"]
    done(world.call("PUT", BASE + "settings", {
        "scan_timeout": 45, "scan_size_maximum": KB_MAX,
        "scan_zones": ["System", "Sales"], "denial": "access_denied"}))
    after = settings(world)
    assert after["scan_timeout"] == 45
    assert after["scan_size_maximum"] == KB_MAX
    assert after["scan_zones"] == ["System", "Sales"]
    assert after["denial"] == "access_denied"
    assert after["origin"]["scan_timeout"] == "database"
    done(world.call("PUT", BASE + "settings", {"scan_timeout": None}))
    after = settings(world)
    assert after["scan_timeout"] == 30
    assert after["origin"]["scan_timeout"] == "file"


def test_equal_value_is_not_stored(world):
    before = settings(world)
    done(world.call("PUT", BASE + "settings", before))
    assert settings(world) == before


def test_sighup_keeps_what_was_set(world):
    done(world.call("PUT", BASE + "settings", {"sync_wait": 7}))
    world.write_conf("cavad.conf", "scan_timeout = 31\nsync_wait = 9",
                     FILE % (world.dir / "clamd.sock"))
    world.cavad.popen.send_signal(signal.SIGHUP)
    try:
        wait_for("the file", lambda: settings(world)["scan_timeout"] == 31)
        assert settings(world)["sync_wait"] == 7
        done(world.call("PUT", BASE + "settings", {"sync_wait": None}))
        assert settings(world)["sync_wait"] == 9
    finally:
        world.write_conf("cavad.conf", "scan_timeout = 30",
                         FILE % (world.dir / "clamd.sock"))
        world.cavad.popen.send_signal(signal.SIGHUP)
    wait_for("the file", lambda: settings(world)["scan_timeout"] == 30)


def test_secrets_are_not_shown(world):
    url = "https://me:s3cr@t@192.0.2.1:1/hook?a@b"
    done(world.call("PUT", BASE + "settings", {"event_webhook": url}))
    shown = "https://***@192.0.2.1:1/hook?a@b"
    assert settings(world)["event_webhook"] == shown
    assert get(world, "export")["settings"]["event_webhook"] == shown
    # what was read is written back: it is kept, for it is no change
    done(world.call("PUT", BASE + "settings", settings(world)))
    document = get(world, "export")
    assert done(world.call("POST", BASE + "apply", document), 200).json[
        "changes"] == []
    reply = world.call("PUT", BASE + "settings", {
        "event_webhook": "https://***@192.0.2.2/"})
    assert reply.code == 400 and "stands for a secret" in reply.message
    assert (b"s3cr@t" in (world.state / "data.mdb").read_bytes())
    wait_for("the event", lambda: any(
        "event_webhook = https://***@" in json.dumps(event)
        for event in get(world, "events")["events"]))
    assert "s3cr" not in json.dumps(get(world, "events"))
    assert "s3cr" not in world.cavad.log()


# Servers.

def test_server(world):
    reply = done(world.call("POST", BASE + "servers", {
        "server_name": "Av2", "server_uri": "198.51.100.7:12228/CEE",
        "enabled": False}), 201)
    assert reply.json == {"id": "Av2"}
    server = one(world, "servers/av2")
    assert server["id"] == server["server_name"] == "Av2"
    assert server["server_uri"] == "198.51.100.7:12228/CEE"
    assert server["server_type"] == "CEE/CAVA" and server["engine"] == "cee"
    assert server["enabled"] is False
    done(world.call("PUT", BASE + "servers/Av2", {
        "new_name": "av3", "connections_maximum": 3}))
    assert world.call("GET", BASE + "servers/Av2").code == 404
    server = one(world, "servers/av3")
    assert server["connections_maximum"] == 3 and not server["enabled"]
    names = [s["server_name"] for s in get(world, "servers")["servers"]]
    assert names == ["av", "av3"]
    assert world.status()["server_status"][0]["server_name"] == "av"
    done(world.call("DELETE", BASE + "servers/av3"))
    assert get(world, "servers")["total"] == 1


def test_server_is_asked(world):
    """One that is made now scans now, and no longer when it is gone."""
    uri = "clamd:%s" % (world.dir / "clamd.sock")
    done(world.call("PUT", BASE + "servers/av", {"enabled": False}))
    done(world.call("POST", BASE + "servers",
                    {"server_name": "new", "server_uri": uri}), 201)
    wait_for("it to be online", lambda: ["new", "online"] in [
        [s["server_name"], s["server_state"]]
        for s in world.status()["server_status"]])
    said = world.scan(world.file("asked")).json
    assert said["result"] == "clean" and said["server"] == "new"
    done(world.call("DELETE", BASE + "servers/new"))
    done(world.call("PUT", BASE + "servers/av", {"enabled": None}))
    world.wait_online()
    assert world.scan(world.file("asked")).json["server"] == "av"


def test_delete_all(world):
    for n in range(3):
        done(world.call("POST", BASE + "jobs", {"job_name": "j%d" % n}), 201)
    reply = world.call("DELETE", BASE + "jobs")
    assert reply.code == 409 and "[job weekly]: is defined in cavad.conf" in \
        reply.message
    assert get(world, "jobs")["total"] == 4     # all or nothing


# Filters.

def test_filters(world):
    done(world.call("POST", BASE + "zones", {"zone_name": "Sales"}), 201)
    filters = {f["zone_name"]: f for f in get(world, "filters")["filters"]}
    assert filters["System"]["id"] == "1"
    number = filters["Sales"]["id"]
    assert number.isdigit() and number != "1"
    sales = one(world, "filters/" + number)
    assert sales == filters["Sales"] and sales["scan_on_read"] is False
    done(world.call("PUT", BASE + "filters/sales", {
        "scan_profile": "strict", "file_extensions": ["doc", ".xls"],
        "file_extension_action": "include", "scan_on_close": False}))
    sales = one(world, "filters/" + number)
    assert sales["scan_profile"] == "strict" and sales["scan_on_read"] is True
    assert sales["scan_on_close"] is False
    assert sales["file_extensions"] == ["doc", ".xls"]
    done(world.call("PUT", BASE + "filters/Sales", {
        name: None for name in sales["origin"]}))
    assert one(world, "filters/Sales")["origin"] == {}
    done(world.call("DELETE", BASE + "zones/Sales"))
    assert world.call("GET", BASE + "filters/" + number).code == 404
    done(world.call("POST", BASE + "zones", {"zone_name": "sales"}), 201)
    assert one(world, "filters/sales")["id"] == number     # never another's


@pytest.mark.parametrize("method, path", [
    ("POST", "filters"), ("DELETE", "filters"), ("DELETE", "filters/1")])
def test_filters_are_not_made(world, method, path):
    reply = world.call(method, BASE + path, {"zone_name": "x"})
    assert reply.code == 405 and "each zone has one filter" in reply.message


# Jobs.

def test_job(world):
    done(world.call("POST", BASE + "jobs", {
        "job_name": "often", "schedule": "every 2 hours", "impact": "HIGH",
        "paths_to_include": [str(world.root)], "description": "of a test"}),
        201)
    job = one(world, "jobs/often")
    assert job["schedule"] == "every 2 hours" and job["impact"] == "HIGH"
    assert job["last_scheduled_run"] == 0
    plans = {s["job_name"]: s for s in get(world, "schedules")["schedules"]}
    assert time.time() < plans["often"]["next_run"] <= time.time() + 7200
    reply = done(world.call("POST", "/platform/10/job/jobs", {
        "type": "AVScan", "avscan_params": {"policy": "often"}}), 201)
    path = "/platform/10/job/jobs/%d" % reply.json["id"]
    wait_for("the run", lambda: world.call("GET", path).json["jobs"][0][
        "state"] == "succeeded")


def test_rename_of_a_job_that_runs(world):
    (world.root / "held").mkdir(exist_ok=True)
    (world.root / "held" / "file").write_bytes(b"hold")
    done(world.call("POST", BASE + "jobs", {
        "job_name": "held",
        "paths_to_include": [str(world.root / "held")]}), 201)
    world.clamd.go.clear()
    reply = done(world.call("POST", "/platform/10/job/jobs", {
        "type": "AVScan", "avscan_params": {"policy": "held"}}), 201)
    world.clamd.held.acquire()
    refused = world.call("PUT", BASE + "jobs/held", {"new_name": "other"})
    world.clamd.go.set()
    assert refused.code == 409 and "is under way" in refused.message
    path = "/platform/10/job/jobs/%d" % reply.json["id"]
    wait_for("its end", lambda: world.call("GET", path).json["jobs"][0][
        "state"] == "succeeded")
    done(world.call("PUT", BASE + "jobs/held", {"new_name": "other"}))
    assert one(world, "jobs/other")["job_name"] == "other"


# What is refused.

REFUSED = [
    ("PUT", "settings", {"scan_timeout": 0}, 400, "scan_timeout",
     '[settings] scan_timeout = "0": not in 1 to 4294967295 s'),
    ("PUT", "settings", {"scan_timeout": -1}, 400, "scan_timeout", '"-1"'),
    ("PUT", "settings", {"scan_timeout": "60"}, 400, "scan_timeout",
     'scan_timeout = "60": must be a whole number'),
    ("PUT", "settings", {"scan_timeout": 1.5}, 400, "scan_timeout",
     "must be a whole number"),
    ("PUT", "settings", {"service_enabled": "no"}, 400, "service_enabled",
     "must be true or false"),
    ("PUT", "settings", {"scan_size_maximum": KB_MAX + 1}, 400,
     "scan_size_maximum", "not in 0 to 17179869184 kB"),
    ("PUT", "settings", {"scan_size_maximum": -1}, 400, "scan_size_maximum",
     "not in 0 to"),
    ("PUT", "settings", {"denial": "acces_denied"}, 400, "denial",
     "did you mean access_denied?"),
    ("PUT", "settings", {"scan_zones": "a"}, 400, "scan_zones",
     "must be a list of strings without commas"),
    ("PUT", "settings", {"scan_zones": ["a,b"]}, 400, "scan_zones", "commas"),
    ("PUT", "settings", {"ip_pool": 7}, 400, "ip_pool", "must be a string"),
    ("PUT", "settings", {"ip_pool": "a b"}, 400, "ip_pool",
     "not a host name or address"),
    ("PUT", "settings", {"scan_timout": 3}, 400, "scan_timout",
     "unknown field scan_timout; did you mean scan_timeout?; accepted: "),
    ("PUT", "settings", {"state_dir": "/x"}, 409, "state_dir",
     "is of cavad.conf alone"),
    ("PUT", "settings", {"sync_wait": 5, "scan_timeout": 0}, 400,
     "scan_timeout", "not in 1 to"),
    ("PUT", "settings", [], 400, None, "must be a JSON object"),
    ("PUT", "settings", None, 400, None, "must be a JSON object"),
    ("POST", "servers", {}, 400, "server_name", "server_name is required"),
    ("POST", "servers", {"server_name": "x"}, 400, "server_uri",
     "[server x] server_uri is not set"),
    ("POST", "servers", {"server_name": "x", "server_uri": "ftp://h/"}, 400,
     "server_uri", "no engine of that kind; there are cee:"),
    ("POST", "servers", {"server_name": "a b", "server_uri": "null:"}, 400,
     "server_name", "a name has 1 to 128 characters"),
    ("POST", "servers", {"server_name": "AV", "server_uri": "null:"}, 409,
     "server_name", "there is one already"),
    ("POST", "servers", {"server_name": "x", "server_uri": "null:",
                         "id": "y"}, 400, "id", "the id is the name"),
    ("PUT", "servers/av", {"server_name": "x"}, 400, "server_name",
     "say new_name"),
    ("PUT", "servers/av", {"new_name": "x"}, 409, "new_name",
     "is defined in cavad.conf; rename it there"),
    ("PUT", "servers/av", {"server_type": "ICAP2"}, 400, "server_type",
     "can only be read"),
    ("PUT", "servers/none", {}, 404, "id", "there is no server none"),
    ("DELETE", "servers/av", None, 409, None,
     "is defined in cavad.conf; remove it there, or set enabled to false"),
    ("PUT", "filters/1", {"scan_profile": "lax"}, 400, "scan_profile",
     "not one of standard, strict"),
    ("PUT", "filters/1", {"file_extension_action": "include"}, 400,
     "file_extension_action", "file_extensions is empty"),
    ("PUT", "filters/1", {"pool": "none"}, 400, "pool", "no [server]"),
    ("PUT", "filters/1", {"scan_on_read": "yes?"}, 400, "scan_on_read",
     "not one of profile, yes, no"),
    ("PUT", "filters/9", {}, 404, "id", "name or number 9"),
    ("POST", "jobs", {"job_name": "x", "schedule": "every Caturday"}, 400,
     "schedule", "[job x] schedule"),
    ("POST", "jobs", {"job_name": "x", "paths_to_include": ["/etc"]}, 400,
     "paths_to_include", "not below check_root"),
    ("GET", "servers?sort=size", None, 400, "sort", "not one of server_name"),
]


@pytest.mark.parametrize("method, path, body, code, field, said", REFUSED,
                         ids=range(len(REFUSED)))
def test_refused(world, method, path, body, code, field, said):
    before = everything(world)
    reply = world.call(method, BASE + path, body)
    assert reply.code == code, reply.body
    error = reply.json["errors"][0]
    assert said in error["message"] and error.get("field") == field
    assert everything(world) == before


# Paging, and all of it at once.

def test_pages(world):
    for n in range(5):
        done(world.call("POST", BASE + "jobs", {"job_name": "j%d" % n,
                                                "priority": 10 - n}), 201)
    reply = get(world, "jobs?sort=priority&dir=DESC&limit=4")
    names = [job["job_name"] for job in reply["jobs"]]
    while reply["resume"]:
        reply = get(world, "jobs?resume=" + quote(reply["resume"]))
        names += [job["job_name"] for job in reply["jobs"]]
    assert names == ["j0", "j1", "j2", "j3", "j4", "weekly"]
    assert reply["total"] == 6


def test_apply(world):
    document = get(world, "export")
    assert document["settings"] == {"scan_timeout": 30}
    assert "user" not in document["settings"]
    assert document["servers"][0]["server_name"] == "av"
    same = done(world.call("POST", BASE + "apply", document), 200)
    assert same.json == {"changes": [], "dry_run": False}
    document["settings"]["sync_wait"] = 11
    document["servers"].append({"server_name": "spare", "enabled": False,
                                "server_uri": "null:"})
    document["jobs"][0]["description"] = "as it was"
    dry = done(world.call("POST", BASE + "apply?dry_run=true", document), 200)
    assert dry.json["dry_run"] is True
    assert {"object": "settings", "name": None, "field": "sync_wait",
            "from": 2000, "to": 11, "change": "modify"} in \
        dry.json["changes"]
    assert {"object": "server", "name": "spare", "field": "server_uri",
            "from": None, "to": "null:", "change": "create"} in \
        dry.json["changes"]
    assert len(dry.json["changes"]) == 4
    assert settings(world)["sync_wait"] == 2000
    made = done(world.call("POST", BASE + "apply", document), 200)
    assert made.json["changes"] == dry.json["changes"]
    assert settings(world)["sync_wait"] == 11
    assert one(world, "servers/spare")["enabled"] is False
    again = done(world.call("POST", BASE + "apply", document), 200)
    assert again.json["changes"] == []
    assert get(world, "export") == document
    document["servers"].pop()
    gone = done(world.call("POST", BASE + "apply", document), 200)
    assert gone.json["changes"] == [
        {"object": "server", "name": "spare", "field": field, "from": value,
         "to": None, "change": "remove"}
        for field, value in (("server_uri", "null:"), ("enabled", False))]


@pytest.mark.parametrize("document, code, said", [
    ({"setting": {}}, 400, "unknown part setting; did you mean settings?"),
    ({"settings": {"sync_wait": 3}, "jobs": [{}]}, 400, "jobs[0]: must be"),
    ({"settings": {"sync_wait": 3}, "servers": []}, 409,
     "[server av]: is defined in cavad.conf"),
    ({"settings": {"sync_wait": 3}, "filters": [{"zone_name": "Nowhere"}]},
     404, "there is no zone Nowhere"),
    ({"settings": {"sync_wait": 3},
      "jobs": [{"job_name": "weekly"}, {"job_name": "weekly"}]}, 400,
     "is listed twice"),
    ({"settings": {"sync_wait": 3},
      "jobs": [{"job_name": "weekly", "pool": "none"}]}, 400, "no [server]"),
    ([], 400, "must be a JSON object"),
])
def test_apply_refused(world, document, code, said):
    before = everything(world)
    reply = world.call("POST", BASE + "apply", document)
    assert reply.code == code and said in reply.message
    assert everything(world) == before


def test_schema(world):
    parts = {part["part"]: part for part in get(world, "schema")["schema"]}
    assert set(parts) == {"settings", "cee", "servers", "filters", "jobs"}
    for name, part in parts.items():
        fields = {field["name"]: field for field in part["fields"]}
        shown = get(world, part["part"])[part["part"]]
        shown = shown if name in ("settings", "cee") else shown[0]
        names = {"id", "origin", part["name_field"]}
        assert set(fields) == set(shown) - names
        for field in fields.values():
            assert field["help"] and isinstance(field["read_only"], bool)
    timeout = {f["name"]: f for f in parts["settings"]["fields"]}[
        "scan_timeout"]
    assert (timeout["type"], timeout["unit"], timeout["default"]) == (
        "integer", "s", 60)
    assert (timeout["minimum"], timeout["maximum"]) == (1, 4294967295)


# It is there afterwards.

@pytest.fixture
def own():
    world = World()
    world.start()
    yield world
    world.close()


def again(world, how=signal.SIGTERM):
    world.cavad.stop(how)
    world.cavad = world.launch()
    world.cavad.wait_log(" ready\n")


def test_kill(own):
    """What was answered is there, whenever cavad is killed."""
    done(own.call("PUT", BASE + "settings", {"sync_wait": 17}))
    done(own.call("POST", BASE + "servers", {
        "server_name": "two", "server_uri": "null:", "enabled": False}), 201)
    done(own.call("PUT", BASE + "servers/two", {"new_name": "three"}))
    done(own.call("PUT", BASE + "filters/System", {"scan_profile":
                                                   "strict"}))
    done(own.call("POST", BASE + "jobs", {"job_name": "night"}), 201)
    before = everything(own)
    again(own, signal.SIGKILL)
    assert everything(own) == before
    assert settings(own)["sync_wait"] == 17
    assert "three" in [s["server_name"] for s in
                       get(own, "servers")["servers"]]


def test_file_that_no_longer_fits(own):
    """A pool that only cavad.conf had: cavad starts, without that job."""
    conf = "[server av]\nserver_uri = clamd:%s\n%s\n[server b]\n" \
        "server_uri = null:\nenabled = no\n"
    sock = own.dir / "clamd.sock"
    own.write_conf("cavad.conf", "", conf % (sock, "") + "pool = second\n")
    again(own)
    done(own.call("POST", BASE + "jobs", {"job_name": "second",
                                          "pool": "second"}), 201)
    done(own.call("POST", BASE + "jobs", {"job_name": "first"}), 201)
    own.write_conf("cavad.conf", "", conf % (sock, ""))
    own.cavad.popen.send_signal(signal.SIGHUP)
    own.cavad.wait_log("[job second] pool = \"second\": no [server]")
    again(own, signal.SIGKILL)
    own.cavad.wait_log("job second is not as it was set over the API")
    assert [job["job_name"] for job in get(own, "jobs")["jobs"]] == ["first"]
    own.write_conf("cavad.conf", "", conf % (sock, "") + "pool = second\n")
    again(own)
    assert get(own, "jobs")["total"] == 2      # it was kept


def test_audit(own):
    done(own.call("PUT", BASE + "settings", {"sync_wait": 18}))
    def changes():
        return [e for e in get(own, "events")["events"]
                if e["name"] == "CAVA_CHANGED"]
    wait_for("the event", changes)
    assert changes()[0]["about"] == "settings"
    assert "sync_wait = 18" in json.dumps(changes()[0])
