"""A client of the OneFS platform API that knows nothing of us.

It is made of the tables of that API's schema alone: paths, the fields of each
model with their types, ranges and enumerations. As the generated SDK does, it
sends HTTPS with basic authentication, checks what it sends, and checks each
reply; fields that it does not know it passes over.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import base64
import http.client
import json
import ssl
from urllib.parse import quote, urlencode

import pytest

from cavad_world import EICAR, wait_for
from test_api_tcp import TcpWorld

U32, I63 = 4294967295, 9223372036854775807

# name: type of the reply, and whether create (!) and modify (~) have it
SERVER = """
id            s 1..128          !~
server_name   s 1..128          !
new_name      s 1..128          ~ only
server_uri    s 1..256          !~
enabled       b                 !~
server_type   e ICAP|CEE/CAVA
"""
FILTER = """
id                    s 1..128                  ~
zone_name             s 1..255                  ~
filter_enabled        b                         ~
scan_profile          e standard|strict         ~
open_on_fail          b                         ~
scan_on_read          b                         ~
scan_on_close         b                         ~
scan_on_rename        b                         ~
scan_cloudpool_files  b                         ~
file_extension_action e include|exclude         ~
file_extensions       l                         ~
scan_if_no_extension  b                         ~
paths_to_exclude      l                         ~
"""
JOB = """
id                          s 1..128            !~
job_name                    s 1..128            !
new_name                    s 1..128            ~ only
description                 s 0..255            !~
enabled                     b                   !~
schedule                    s? 1..255           !~
impact                      s 1..255            !~
paths_to_include            l                   !~
paths_to_exclude            l                   !~
file_extensions             l                   !~
file_extension_action       e include|exclude   !~
scan_if_no_extension        b                   !~
scan_cloudpool_files        b                   !~
ignore_previous_scan_status b                   !~
last_scheduled_run          i 0..%d
""" % U32
SETTINGS = """
service_enabled        b                    ~
scan_zones             l                    ~
ip_pool                s? 1..255            ~
report_expiry          i 1..%d              ~
scan_timeout           i 1..%d              ~
scan_cloudpool_timeout i 1..%d              ~
scan_size_maximum      i 0..17179869184     ~
""" % (U32, U32, U32)
NODE = """
id    i 0..2147483647
lnn   i 1..65535
error s 0..8192
"""
STATUS = """
system_status       e DISABLED|RUNNING|FAULTED
blocking_events     l
cee_version         s 1..255
dtd_version         s 1..255
av_vendor           s 1..255
signature_timestamp s 1..255
"""
SERVER_STATUS = """
server_name     s 1..255
server_state    s 1..255
connections     i 0..100
good_heartbeats i 0..%d
heartbeat_rtt   i 0..3600000
scan_requests   i 0..%d
scan_rtt        i 0..3600000
""" % (I63, I63)
STATS = "\n".join("%s i 0..%d" % (name, most) for names, most in (
    ("""all_scan_requests on_demand_scan_requests job_scan_requests
     manual_scan_requests files_processed files_skipped_per_filter
     files_skipped_per_size scan_fails scan_timeouts cee_success_count
     cee_infected_count cee_failure_count""", I63),
    ("avg_scan_duration avg_scan_block_time", 3600000),
    ("""fast_file_queue_size fast_file_queue_max_size slow_file_queue_size
     slow_file_queue_max_size batch_file_queue_size
     batch_file_queue_max_size""", U32)) for name in names.split())
REPORT = """
id                   s 0..255
job_id               i? 0..%d
policy_id            s 0..255
start                i 0..%d
end                  i? 0..%d
status               s 0..255
files                i 0..%d
num_files_rev        i 0..%d
num_cloud_files      i 0..%d
num_cloud_files_rev  i 0..%d
size                 i 0..%d
bytes_sent           i 0..%d
infections           i 0..%d
scan_fails           i 0..%d
""" % (U32, U32, U32, U32, U32, U32, U32, I63, I63, U32, U32)
THREAT = """
id          s 0..255
scan_id     s 0..255
policy_id   s 0..255
file        s 0..4096
threat      s 0..255
remediation s 0..255
time        i 0..%d
""" % U32
SCAN = "report_id s 0..255\nresult s 0..255"
CREATED = "id s 0..255"


def model(text):
    return [(words[0], words[1], words[2:]) for words in
            (line.split() for line in text.strip().splitlines())]


def right(kind, rest, value):
    if kind == "b":
        return isinstance(value, bool)
    if kind == "l":
        return isinstance(value, list) and all(
            isinstance(item, str) for item in value)
    if kind == "e":
        return value in rest[0].split("|")
    if kind in ("s?", "i?") and value is None:
        return True
    least, most = map(int, rest[0].split(".."))
    if kind in ("i", "i?"):
        return type(value) is int and least <= value <= most
    return isinstance(value, str) and least <= len(value) <= most


def check(text, reply):
    """The reply as an object of that model; the rest is not known."""
    seen = {}
    for name, kind, rest in model(text):
        if rest and rest[-1] == "only":
            continue
        assert name in reply, name
        assert right(kind, rest, reply[name]), (name, reply[name])
        seen[name] = reply[name]
    return seen


class Refused(Exception):
    def __init__(self, code, body):
        super().__init__(code, body)
        self.code = code
        error = body["errors"][0]
        assert isinstance(error["code"], str)
        assert isinstance(error["message"], str) and error["message"]
        self.field, self.message = error.get("field"), error["message"]


class Client:
    def __init__(self, port, certificate, user):
        self.port = port
        self.tls = ssl.create_default_context(cafile=str(certificate))
        self.headers = {
            "Authorization": "Basic " + base64.b64encode(
                user.encode()).decode(),
            "Accept": "application/json", "Content-Type": "application/json",
            "User-Agent": "Swagger-Codegen/python"}

    def call(self, method, path, body=None, **query):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.tls, timeout=20)
        if query:
            path += "?" + urlencode(query)
        connection.request(method, path, body=None if body is None else
                           json.dumps(body), headers=self.headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status >= 400:
            raise Refused(response.status, json.loads(text))
        return response.status, json.loads(text) if text else None


class Collection:
    """list_, create_, get_, update_, delete_ and delete_all of the SDK."""

    def __init__(self, client, path, plural, fields):
        self.client, self.path = client, path
        self.plural, self.fields = plural, fields

    def checked(self, mark, values):
        known = {name: (kind, rest) for name, kind, rest in
                 model(self.fields) if any(mark in word for word in rest)}
        for name, value in values.items():
            assert right(*known[name], value), (name, value)
        return values

    def list(self, **query):
        found = []
        while True:
            code, reply = self.client.call("GET", self.path, **query)
            assert code == 200
            assert right("i", ["0..%d" % I63], reply["total"])
            found += [check(self.fields, row) for row in reply[self.plural]]
            if reply["resume"] is None:
                return found, reply["total"]
            assert right("s", ["0..8192"], reply["resume"])
            query = {"resume": reply["resume"]}

    def create(self, **values):
        code, reply = self.client.call("POST", self.path,
                                       self.checked("!", values))
        assert code == 201
        return check(CREATED, reply)["id"]

    def get(self, name):
        code, reply = self.client.call("GET", self.one(name))
        assert code == 200 and len(reply[self.plural]) == 1
        return check(self.fields, reply[self.plural][0])

    def update(self, name, **values):
        code, reply = self.client.call("PUT", self.one(name),
                                       self.checked("~", values))
        assert (code, reply) == (204, None)

    def delete(self, name):
        assert self.client.call("DELETE", self.one(name)) == (204, None)

    def delete_all(self):
        assert self.client.call("DELETE", self.path) == (204, None)

    def one(self, name):
        return "%s/%s" % (self.path, quote(str(name), safe=""))


class Sdk:
    def __init__(self, world):
        self.client = Client(world.port, world.dir / "cert.pem",
                             "admin:right")
        base = "/platform/11/avscan/"
        self.servers = Collection(self.client, base + "servers", "servers",
                                  SERVER)
        self.filters = Collection(self.client, base + "filters", "filters",
                                  FILTER)
        self.jobs = Collection(self.client, base + "jobs", "jobs", JOB)
        antivirus = "/platform/%d/antivirus/reports/"
        self.reports = Collection(self.client, antivirus % 11 + "scans",
                                  "reports", REPORT)
        self.threats = Collection(self.client, antivirus % 3 + "threats",
                                  "reports", THREAT)
        self.settings_path = base + "settings"

    def settings(self, **values):
        if values:
            assert self.client.call("PUT", self.settings_path, values) == (
                204, None)
        code, reply = self.client.call("GET", self.settings_path)
        assert code == 200
        return check(SETTINGS, reply["settings"])

    def status(self, lnn):
        code, reply = self.client.call(
            "GET", "/platform/11/avscan/nodes/%d/status" % lnn)
        assert code == 200 and reply["total"] == 1 and reply["errors"] == []
        node = check(NODE, reply["nodes"][0])
        assert node["lnn"] == lnn and node["error"] == ""
        status = reply["nodes"][0]["status"]
        seen = check(STATUS, status)
        check(STATS, status["system_stats"])
        seen["servers"] = [check(SERVER_STATUS, row)
                           for row in status["server_status"]]
        return seen

    def scan(self, **item):
        code, reply = self.client.call("POST", "/platform/11/antivirus/scan",
                                       item)
        assert code in (200, 201)
        return check(SCAN, reply)

    def run(self, policy):
        code, reply = self.client.call(
            "POST", "/platform/10/job/jobs",
            {"type": "AVScan", "avscan_params": {"policy": policy}})
        assert code == 201
        return reply["id"]

    def run_state(self, run):
        return self.client.call("GET", "/platform/10/job/jobs/%s" % run)[1][
            "jobs"][0]["state"]


@pytest.fixture(scope="module")
def world():
    world = TcpWorld("node = 3")
    world.start()
    yield world
    world.close()


@pytest.fixture
def sdk(world):
    return Sdk(world)


def test_servers(sdk):
    made = sdk.servers.create(server_name="cee1", enabled=False,
                              server_uri="cee1.example.com:12228/vee")
    server = sdk.servers.get(made)
    assert server["server_uri"] == "cee1.example.com:12228/vee"
    assert server["server_type"] == "CEE/CAVA" and not server["enabled"]
    sdk.servers.update(made, new_name="cee2",
                       server_uri="cee2.example.com:12228/vee")
    rows, total = sdk.servers.list(sort="server_name", dir="DESC", limit=1)
    assert [row["server_name"] for row in rows] == ["cee2", "av"]
    assert total == 2
    sdk.servers.delete("cee2")
    with pytest.raises(Refused) as refused:
        sdk.servers.get("cee2")
    assert refused.value.code == 404
    with pytest.raises(Refused) as refused:
        sdk.servers.create(server_name="bad", server_uri="not a uri")
    assert refused.value.code == 400
    assert refused.value.field == "server_uri"


def test_filters(sdk):
    rows, total = sdk.filters.list()
    system = [row for row in rows if row["zone_name"] == "System"][0]
    number = int(system["id"])      # an integer in the path
    sdk.filters.update(number, scan_profile="strict", open_on_fail=False,
                       file_extensions=["tmp"], paths_to_exclude=["scratch"])
    after = sdk.filters.get(number)
    assert after["scan_profile"] == "strict" and after["scan_on_read"]
    assert after["file_extensions"] == ["tmp"]
    # what was read is written back: that is no change
    sdk.filters.update(number, **{name: after[name] for name, _, rest in
                                  model(FILTER) if "~" in rest})
    assert sdk.filters.get(number) == after
    sdk.filters.update(number, scan_profile="standard", open_on_fail=True,
                       file_extensions=[], paths_to_exclude=[])
    assert sdk.filters.get(number) == system
    for refuse in (sdk.filters.delete_all, lambda: sdk.filters.delete(1)):
        with pytest.raises(Refused) as refused:
            refuse()
        assert refused.value.code == 405


def test_jobs(world, sdk):
    tree = world.root / "tree"
    tree.mkdir()
    (tree / "a").write_bytes(b"a")
    for n in range(3):
        sdk.jobs.create(job_name="job%d" % n, description="of the SDK",
                        schedule="every Thursday at 01:00", impact="LOW",
                        paths_to_include=[str(tree)], enabled=True,
                        file_extensions=[], file_extension_action="exclude",
                        ignore_previous_scan_status=True)
    sdk.jobs.create(job_name="by-hand")
    assert sdk.jobs.get("by-hand")["schedule"] is None
    sdk.jobs.delete("by-hand")
    rows, total = sdk.jobs.list(limit=2)
    assert [row["job_name"] for row in rows] == ["job0", "job1", "job2"]
    assert total == 3 and rows[0]["schedule"] == "every Thursday at 01:00"
    assert rows[0]["last_scheduled_run"] == 0
    sdk.jobs.update("job1", new_name="weekly", impact="HIGH",
                    schedule="the last Sunday of every month at 3:30")
    assert sdk.jobs.get("weekly")["impact"] == "HIGH"
    run = sdk.run("weekly")
    wait_for("the run", lambda: sdk.run_state(run) == "succeeded")
    sdk.jobs.delete("weekly")
    sdk.jobs.delete_all()
    assert sdk.jobs.list() == ([], 0)


def test_scan(world, sdk):
    said = sdk.scan(file=str(world.file("sdk-clean")))
    assert said["result"] == "clean"
    said = sdk.scan(file=str(world.file("sdk-eicar", EICAR)), policy="MANUAL",
                    report_id="sdk", ignore_previous_scan_status=True)
    assert said == {"report_id": "sdk", "result": "infected"}


def test_threats(world, sdk):
    """What a scan found, by its report, its file, and by pages; and gone with
    the report once it is not infected any more."""
    files = [world.file("found%d" % n, EICAR + b"%d" % n) for n in range(3)]
    for path in files:
        assert sdk.scan(file=str(path), report_id="found")["result"] == \
            "infected"
    report = sdk.reports.get("found")
    assert (report["infections"], report["status"]) == (3, "Succeeded")
    rows, _ = sdk.threats.list(scan_id="found", limit=2, dir="ASC")
    assert [row["file"] for row in rows] == list(map(str, files))
    assert sdk.threats.get(rows[0]["id"]) == rows[0]
    assert rows[0]["remediation"] == "denied" and rows[0]["threat"]
    found, _ = sdk.threats.list(file=str(files[1]))
    assert found == [rows[1]]
    assert sdk.threats.list(scan_id="found", remediation="deleted")[0] == []
    for query, said in (("sort", "not one of time, id; as many as"),
                        ("state", "not one of infected, quarantined, "),
                        ("remediation", "not one of denied, quarantined, ")):
        with pytest.raises(Refused) as refused:
            sdk.threats.list(**{query: "path"})
        assert (refused.value.code, refused.value.field) == (400, query)
        assert said in refused.value.message
    files[0].write_bytes(b"mended")
    sdk.scan(file=str(files[0]), report_id="mended")
    sdk.reports.delete("found")
    assert "found" not in [row["id"] for row in sdk.reports.list()[0]]
    with pytest.raises(Refused) as refused:
        sdk.threats.get(rows[0]["id"])
    assert refused.value.code == 404
    assert sdk.threats.get(rows[1]["id"])["file"] == str(files[1])


def test_settings_and_status(world, sdk):
    before = sdk.settings()
    assert before["ip_pool"] is None
    assert sdk.settings(ip_pool="127.0.0.1, localhost")["ip_pool"] == \
        "127.0.0.1, localhost"
    assert sdk.status(3)["system_status"] == "RUNNING"
    assert sdk.settings(service_enabled=False, scan_timeout=90,
                        scan_size_maximum=2048)["scan_size_maximum"] == 2048
    assert sdk.status(3)["system_status"] == "DISABLED"
    sdk.settings(**before)      # null sets ip_pool back
    assert sdk.settings() == before
    assert sdk.status(3)["system_status"] == "RUNNING"
    sdk.servers.update("av", enabled=False)
    status = sdk.status(3)
    assert status["system_status"] == "FAULTED" and status["blocking_events"]
    sdk.servers.update("av", enabled=True)
    wait_for("the server", lambda: sdk.status(3)["system_status"] ==
             "RUNNING")
    assert sdk.status(3)["servers"][0]["server_name"] == "av"
    with pytest.raises(Refused) as refused:
        sdk.status(1)
    assert refused.value.code == 404 and "this is node 3" in \
        refused.value.message
