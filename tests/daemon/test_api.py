"""cavad's REST API over its unix socket, with a real cavad behind it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import socket
import subprocess
import threading

import pytest

from cavad_world import EICAR, THREAT, World, wait_for

STATUS = "/platform/11/avscan/nodes/1/status"
SCAN = "/platform/11/antivirus/scan"
AVVENDOR = "/platform/11/avscan/avvendor"
BODY_MAX = 1048576

# Of the node status in the OneFS platform API.
STATUS_FIELDS = """system_status blocking_events cee_version dtd_version
av_vendor signature_timestamp server_status system_stats""".split()
SERVER_FIELDS = """server_name server_state connections good_heartbeats
heartbeat_rtt scan_requests scan_rtt""".split()
STATS_FIELDS = """all_scan_requests on_demand_scan_requests job_scan_requests
manual_scan_requests files_processed files_skipped_per_filter
files_skipped_per_size scan_fails scan_timeouts cee_success_count
cee_infected_count cee_failure_count avg_scan_duration avg_scan_block_time
fast_file_queue_size fast_file_queue_max_size slow_file_queue_size
slow_file_queue_max_size owed_file_queue_size
owed_file_queue_max_size batch_file_queue_size
batch_file_queue_max_size""".split()


@pytest.fixture(scope="module")
def world():
    world = World()
    world.start()
    yield world
    world.close()


@pytest.fixture
def own():
    """A world that the test may stop; its clamd holds back nothing yet."""
    world = World()
    world.start()
    yield world
    world.close()


# Status.

def test_status(world):
    reply = world.call("GET", STATUS)
    assert (reply.code, reply.type) == (200, "application/json")
    assert reply.json["total"] == 1 and reply.json["errors"] == []
    node = reply.json["nodes"][0]
    assert (node["id"], node["lnn"], node["error"]) == (1, 1, "")
    status = node["status"]
    for name in STATUS_FIELDS:
        assert name in status
    assert status["system_status"] == "RUNNING"
    assert status["blocking_events"] == []
    assert status["av_vendor"] == "ClamAV 1.0.0"
    assert status["signature_timestamp"] == "2024-01-01T10:00:00Z"
    assert status["check_share"] == "CHECK$"
    assert status["smb_connections"] == 0
    server = status["server_status"][0]
    for name in SERVER_FIELDS:
        assert name in server
    assert server["server_name"] == "av" and server["server_type"] == "clamd"
    assert server["good_heartbeats"] >= 1
    for name in STATS_FIELDS:
        assert isinstance(status["system_stats"][name], int), name


def test_counters(world):
    before = world.status()["system_stats"]
    world.scan(world.file("counted", b"count me"))
    world.scan(world.file("counted-eicar", EICAR))
    world.scan(world.root / "counted-missing")
    after = world.status()["system_stats"]
    grown = {name: after[name] - before[name] for name in after}
    assert grown["all_scan_requests"] == grown["manual_scan_requests"] == 3
    assert grown["on_demand_scan_requests"] == 0
    assert grown["files_processed"] == 2
    assert grown["cee_success_count"] == grown["cee_infected_count"] == 1
    assert grown["scan_fails"] == 1
    assert grown["bytes_scanned"] == len(b"count me") + len(EICAR)


# Scans.

def test_scan_clean(world):
    path = world.file("clean")
    reply = world.scan(path, report_id="mine", policy="MANUAL")
    assert reply.code == 200
    said = reply.json
    assert said["result"] == "clean" and said["reason"] == ""
    assert said["file"] == str(path) and said["report_id"] == "mine"
    assert said["threat"] == "" and said["server"] == "av"
    assert said["engine"] == "ClamAV 1.0.0" and said["size"] == 9
    assert said["signature_timestamp"] == 1704103200
    assert said["duration"] >= 1 and said["from_record"] is False
    assert "security.cava" in os.listxattr(path)


def test_scan_infected(world):
    path = world.file("eicar", EICAR)
    said = world.scan(path).json
    assert said["result"] == "infected" and said["threat"] == THREAT
    assert said["report_id"].startswith("M-")
    assert world.scan(path).json["report_id"] != said["report_id"]


@pytest.mark.parametrize("threat", [
    b"Gr\xfcn", "\u00e9".encode() * 200], ids=["Latin-1", "cut in two"])
def test_scan_threat_not_utf8(world, threat):
    path = world.file("not-utf8", EICAR)
    world.clamd.threat = threat
    try:
        reply = world.scan(path)
    finally:
        world.clamd.threat = THREAT.encode()
    assert reply.code == 200
    assert reply.json["result"] == "infected"
    assert reply.json["threat"] == "(not UTF-8)"


def test_scan_force(world):
    path = world.file("force")
    scans = world.clamd.scans
    assert not world.scan(path).json["from_record"]
    again = world.scan(path, ignore_previous_scan_status=False).json
    assert again["from_record"] and again["result"] == "clean"
    assert world.clamd.scans == scans + 1
    # as in the model, a scan is one unless the request says otherwise
    assert not world.scan(path).json["from_record"]
    assert not world.scan(path, ignore_previous_scan_status=True).json[
        "from_record"]
    assert world.clamd.scans == scans + 3


@pytest.mark.parametrize("make, reason", [
    (lambda root: root / "missing", "no longer exists"),
    (lambda root: root / "missing" / "below", "no longer exists"),
    (lambda root: directory(root / "directory"), "not a regular file"),
    (lambda root: link(root / "link", "/etc/passwd"), "not a regular file"),
    (lambda root: link(root / "dirlink", "/etc") / "passwd", "not be read"),
    (lambda root: fifo(root / "fifo"), "not a regular file"),
    (lambda root: "/etc/passwd", "outside"),
    (lambda root: "%s/../../etc/passwd" % root, "outside"),
    (lambda root: "%sx" % root, "outside"),
])
def test_scan_of_no_file(world, make, reason):
    reply = world.scan(make(world.root))
    assert reply.code == 200
    assert reply.json["result"] == "failed"
    assert reason in reply.json["reason"], reply.json


def directory(path):
    path.mkdir()
    return path


def link(path, target):
    path.symlink_to(target)
    return path


def fifo(path):
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("name", [
    "with blank", "grün", "tab\there", "back\\slash", "new\nline", "\x01",
    "%41", '"', "trailing.", "a" * 255])
def test_scan_any_name(world, name):
    path = world.file(name, EICAR)
    said = world.scan(path).json
    assert said["result"] == "infected" and said["file"] == str(path)


def test_scan_relative(world):
    reply = world.call("POST", SCAN, {"file": "clean"})
    assert reply.code == 400
    assert reply.json["errors"][0]["field"] == "file"
    assert "absolute" in reply.message and str(world.root) in reply.message


# What is no request.

@pytest.mark.parametrize("body, message", [
    (b"", "JSON object"),
    (b"{", "not JSON"),
    (b"[]", "JSON object"),
    (b"null", "not JSON"),
    (b'{"file": "/a"} x', "not JSON"),
    (b'{"file": "/a", "file": "/b"}', "duplicate"),
    (b'{"file": "/\xff\xfe"}', "not JSON"),
    (b'{"file": "/a\\u0000b"}', "not JSON"),
    (b'{}', "file is required"),
    (b'{"file": ""}', "1 to 12296"),
    (b'{"file": "file:///a%zz"}', "absolute path"),
    (b'{"file": "file://host/a"}', "absolute path"),
    (b'{"file": 7}', "file must be a string"),
    (b'{"file": null}', "file must be a string"),
    (b'{"file": "/a", "ignore_previous_scan_status": "yes"}',
     "must be true or false"),
    (b'{"file": "/a", "force": true}', "unknown field force; accepted: file"),
    (b'{"file": "/a", "report_id": "' + b"r" * 256 + b'"}', "1 to 255"),
    (b'{"file": "/' + b"a" * 4096 + b'"}', "absolute path"),
    (b"[" * 100000, "not JSON"),
], ids=lambda value: repr(value)[:30])
def test_bad_body(world, body, message):
    reply = world.call("POST", SCAN, body)
    assert reply.code == 400
    assert reply.json["errors"][0]["code"] == "AEC_BAD_REQUEST"
    assert message in reply.message


@pytest.mark.parametrize("method, path, code, name", [
    ("GET", "/", 404, "AEC_NOT_FOUND"),
    ("GET", "/platform/11/avscan/nodes/2/status", 404, "AEC_NOT_FOUND"),
    ("GET", STATUS + "/", 404, "AEC_NOT_FOUND"),
    ("DELETE", AVVENDOR + "/", 404, "AEC_NOT_FOUND"),
    ("GET", "/%ff%fe", 404, "AEC_NOT_FOUND"),
    ("GET", SCAN, 405, "AEC_METHOD_NOT_ALLOWED"),
    ("DELETE", AVVENDOR, 405, "AEC_METHOD_NOT_ALLOWED"),
    ("BREW", STATUS, 405, "AEC_METHOD_NOT_ALLOWED"),
])
def test_no_such_call(world, method, path, code, name):
    reply = world.call(method, path)
    assert reply.code == code
    assert reply.json["errors"][0]["code"] == name


def test_body_limit(world):
    at_most = b'{"x": "' + b"x" * (BODY_MAX - 9) + b'"}'
    assert len(at_most) == BODY_MAX
    assert world.call("POST", SCAN, at_most).code == 400
    reply = world.call("POST", SCAN, at_most + b" ")
    assert reply.code == 413
    assert reply.json["errors"][0]["code"] == "AEC_LIMIT_EXCEEDED"


# Accounts.

def accounts(world):
    reply = world.call("GET", AVVENDOR)
    assert reply.code == 200
    assert reply.json["total"] == len(reply.json["avvendor"])
    return sorted(a["account"] for a in reply.json["avvendor"])


def test_avvendor(own):
    assert accounts(own) == []
    sid = "S-1-5-21-1-2-3-1000"
    for account in ("DOM\\svc_cava", "DOM\\host$", "local", sid):
        reply = own.call("POST", AVVENDOR, {"account": account})
        assert (reply.code, reply.json["id"]) == (201, account)
    # once more is no error, and one account
    assert own.call("POST", AVVENDOR, {"account": "local"}).code == 201
    assert accounts(own) == ["DOM\\host$", "DOM\\svc_cava", sid, "local"]

    assert own.call("DELETE", AVVENDOR + "/DOM%5Csvc_cava").code == 204
    reply = own.call("DELETE", AVVENDOR + "/DOM%5Csvc_cava")
    assert reply.code == 404 and "DOM\\svc_cava" in reply.message
    assert own.cavad.stop() == 0
    own.start()
    assert accounts(own) == ["DOM\\host$", sid, "local"]


# The audit trail.

def changes(world):
    reply = world.call("GET", "/platform/11/avscan/events")
    return [(e["about"], e["message"]) for e in reply.json["events"]
            if e["name"] == "CAVA_CHANGED"]


def test_audit(own):
    """Who changed what, once it is in force; what was refused is no change."""
    assert own.call("POST", AVVENDOR, {"account": "a/b"}).code == 400
    assert own.call("DELETE", AVVENDOR + "/none").code == 404
    assert own.call("POST", AVVENDOR, {"account": "DOM\\svc"}).code == 201
    assert own.call("DELETE", AVVENDOR + "/DOM%5Csvc").code == 204
    zones = "/platform/11/avscan/zones"
    assert own.call("POST", zones, {"zone_name": "lab"}).code == 201
    assert own.call("DELETE", zones + "/lab").code == 204
    (own.root / "below").mkdir()
    run = own.call("POST", "/platform/10/job/jobs",
                   {"type": "AVScan", "paths": [str(own.root / "below")]})
    assert run.code == 201, run.body
    expected = [("avvendor DOM\\svc", "added (by root)"),
                ("avvendor DOM\\svc", "removed (by root)"),
                ("zone lab", "added (by root)"),
                ("zone lab", "removed (by root)"),
                ("job run %d" % run.json["id"], "started (by root)")]
    wait_for("the events", lambda: changes(own)[::-1] == expected)
    assert ("NOTICE: CAVA_CHANGED (499000030): changed over the API: "
            "zone lab: added (by root)\n") in own.cavad.log()


@pytest.mark.parametrize("account", [
    "a/b", "a:b", "*", "a@dom", "A\\B\\C", "\\x", "x\\", " x", "x ", "S-1-",
    "S-1-5-x", "a\nb", "x" * 300])
def test_avvendor_refused(world, account):
    reply = world.call("POST", AVVENDOR, {"account": account})
    assert reply.code == 400
    assert reply.json["errors"][0]["field"] == "account"
    assert account not in accounts(world)


# Who may.

CLIENT = """
import http.client, socket, sys
c = http.client.HTTPConnection("cavad")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.connect(sys.argv[1])
c.request("GET", sys.argv[2])
r = c.getresponse()
print(r.status, r.read().decode())
"""


def status_as(world, user, *groups):
    command = ["setpriv", "--reuid=" + user, "--regid=nogroup"]
    command += (["--groups=" + ",".join(groups)] if groups
                else ["--clear-groups"])
    done = subprocess.run(command + ["--", "/usr/bin/python3", "-c", CLIENT,
                                     str(world.api_socket), STATUS],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode == 0, done.stdout
    code, _, body = done.stdout.partition(" ")
    return int(code), json.loads(body)


def test_only_root(world):
    code, body = status_as(world, "nobody", "adm")
    assert code == 403
    assert body["errors"][0]["code"] == "AEC_FORBIDDEN"
    assert "root" in body["errors"][0]["message"]
    # the account cavad itself runs as is no administrator
    assert status_as(world, "daemon")[0] == 403


def test_api_group():
    world = World("api_group = adm")
    try:
        world.start()
        code, body = status_as(world, "nobody")
        assert code == 403
        assert "adm" in body["errors"][0]["message"]
        assert status_as(world, "nobody", "adm")[0] == 200
        assert status_as(world, "nobody", "mail", "adm", "news")[0] == 200
        assert status_as(world, "nobody", "mail", "news")[0] == 403
        many = [str(gid) for gid in range(100000, 100500)]
        assert status_as(world, "nobody", *many)[0] == 403
        assert status_as(world, "nobody", *many, "adm")[0] == 200
        assert world.call("GET", STATUS).code == 200
    finally:
        world.close()


def test_api_group_unknown():
    """A slip in its name keeps cavad from nothing else."""
    world = World("api_group = no-such-group")
    try:
        world.start()
        assert "api_group = no-such-group: no such group" in \
            world.cavad.log()
        assert status_as(world, "nobody")[0] == 403
        assert world.call("GET", STATUS).code == 200
    finally:
        world.close()


def test_strangers_keep_nobody_out(world):
    """Connections of those who may not do not use up all there are."""
    hold = subprocess.Popen(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
         "--", "/usr/bin/python3", "-c",
         "import socket, sys\n"
         "all = [socket.socket(socket.AF_UNIX) for i in range(400)]\n"
         "for s in all:\n"
         "    s.connect(sys.argv[1])\n"
         "    try: s.send(b'GET')\n"
         "    except BrokenPipeError: pass\n"
         "print('there', flush=True)\n"
         "sys.stdin.read()\n", str(world.api_socket)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert hold.stdout.readline() == "there\n"
        assert world.call("GET", STATUS).code == 200
    finally:
        hold.communicate()


# Connections.

def raw(world):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(str(world.api_socket))
    return s


def read_replies(s, count):
    """The bodies of so many replies on a raw connection."""
    stream, found = s.makefile("rb"), []
    for _ in range(count):
        code = int(stream.readline().split()[1])
        length = 0
        for line in iter(stream.readline, b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        found.append((code, stream.read(length)))
    return found


def test_pipelining(world):
    path = world.file("pipelined", EICAR)
    body = json.dumps({"file": str(path)}).encode()
    requests = (b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % STATUS.encode() +
                b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                % (SCAN.encode(), len(body), body)) * 20
    with raw(world) as s:
        s.sendall(requests)
        replies = read_replies(s, 40)
    assert [code for code, _ in replies] == [200] * 40
    assert all(b'"nodes"' in said for _, said in replies[0::2])
    assert all(b'"infected"' in said for _, said in replies[1::2])


def test_slow_request(world):
    """One byte at a time is served; others are served meanwhile."""
    text = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % STATUS.encode()
    with raw(world) as s:
        for i in range(len(text)):
            s.sendall(text[i:i + 1])
            if i % 20 == 0:
                assert world.call("GET", STATUS).code == 200
        assert read_replies(s, 1)[0][0] == 200


POST = b"POST " + SCAN.encode() + b" HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("text", [
    pytest.param(b"GET", id="method"),
    pytest.param(POST + b"Content-Length: 50\r\n\r\n{", id="body"),
    pytest.param(b"\0" * 5000, id="zeroes"),
    pytest.param(b"\x16\x03\x01\x02\0\x01\0\x01\xfc", id="TLS"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100000,
                 id="headers"),
    pytest.param(b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n", id="path"),
    pytest.param(POST + b"Content-Length: -1\r\n\r\n", id="length"),
    pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
                 id="chunk")])
def test_truncated_request(world, text):
    for how in (socket.SHUT_WR, socket.SHUT_RDWR):
        with raw(world) as s:
            try:
                s.sendall(text)
                s.shutdown(how)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert world.call("GET", STATUS).code == 200
    assert world.call("GET", STATUS).code == 200


def test_many_connections(world):
    """300 at once, more than are served at a time: all get an answer."""
    many_connections(world)
    many_connections(world)


def many_connections(world):
    sockets = [raw(world) for _ in range(300)]
    text = (b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            % STATUS.encode())
    for s in sockets:
        s.sendall(text)
    for s in sockets:
        assert read_replies(s, 1)[0][0] == 200
        s.close()


def test_client_goes_away(own):
    path = own.file("hold-away", b"hold " + EICAR)
    connection = own.connection()
    connection.request("POST", SCAN, json.dumps({"file": str(path)}))
    own.clamd.held.acquire(timeout=20)
    connection.close()
    assert own.status()["system_stats"]["fast_file_queue_size"] == 1
    own.clamd.go.set()
    wait_for("the end of the scan", lambda: own.status()[
        "system_stats"]["files_processed"] == 1)
    # what was scanned for nobody is on the file all the same
    assert own.scan(path, ignore_previous_scan_status=False).json[
        "from_record"]


def test_two_ask_for_one_file(own):
    path = own.file("hold-both", b"hold")
    said = []
    threads = [threading.Thread(target=lambda: said.append(own.scan(
        path, ignore_previous_scan_status=False))) for _ in range(2)]
    for t in threads:
        t.start()
    assert own.clamd.held.acquire(timeout=20)
    wait_for("two requests", lambda: own.status()["system_stats"][
        "manual_scan_requests"] == 2)
    own.clamd.go.set()
    for t in threads:
        t.join()
    assert [s.json["result"] for s in said] == ["clean"] * 2
    assert own.clamd.scans == 1


def test_stop_with_unanswered_call(own):
    """libmicrohttpd aborts the process where it is stopped carelessly."""
    path = own.file("hold-stop", b"hold")
    connections = [own.connection() for _ in range(3)]
    for connection in connections:
        connection.request("POST", SCAN, json.dumps({"file": str(path)}))
    own.clamd.held.acquire(timeout=20)
    wait_for("three requests", lambda: own.status()["system_stats"][
        "manual_scan_requests"] == 3)
    assert own.cavad.stop() == 0
    for connection in connections:
        connection.close()
