"""cee_agent as a service: reload, several clamds and storage hosts, limits,
https, what it says of itself.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from cee_agent_world import (ACCESS_DENIED, AVINTERFACE, AV_NOT_FOUND,
                             DETECT_VIRUS, EICAR, FAIL, PASSWORD, SUCCESS, FakeClamd,
                             InThread, World, find_agent, own_address,
                             wait_for)

OLD = b"ClamAV 9.1/27300/Thu Jan  1 08:00:00 2026\0"
NEW = b"ClamAV 9.2/27301/Fri Jan  2 08:00:00 2026\0"


@pytest.fixture(scope="module")
def world():
    w = World()
    w.file("f", b"content")
    yield w
    w.close()


@pytest.fixture
def clamds(world):
    fakes = [FakeClamd(world), FakeClamd(world)]
    yield fakes
    for fake in fakes:
        fake.close()


def sockets(clamds):
    return [fake.path for fake in clamds]


def row(agent, clamd):
    return [row for row in agent.status()["clamd"]
            if row["socket"] == str(clamd.path)][0]


# --- several clamds ---

def test_least_loaded(world, clamds):
    a = world.agent(clamd=sockets(clamds))
    for fake in clamds:
        fake.gate = threading.Event()
    threads = []
    for i in range(4):
        threads.append(InThread(a.scan, world.unc("f")))
        wait_for("a scan more", lambda: sum(
            fake.streams for fake in clamds) == i + 1)
    assert [fake.streams for fake in clamds] == [2, 2]
    assert [row(a, fake)["in_use"] for fake in clamds] == [2, 2]
    clamds[0].gate.set()
    wait_for("the first to be idle",
             lambda: row(a, clamds[0])["in_use"] == 0)
    for _ in range(3):
        assert a.scan(world.unc("f")).status == SUCCESS
    assert [fake.streams for fake in clamds] == [5, 2]
    clamds[1].gate.set()
    for thread in threads:
        assert thread.result().status == SUCCESS
    a.stop()


@pytest.mark.parametrize("fault", [b"", b"stream: Out of memory ERROR\0"])
def test_one_fails_in_the_middle(world, clamds, fault):
    a = world.agent(clamd=sockets(clamds))
    clamds[0].reply = fault
    for _ in range(4):
        reply = a.scan(world.unc("f"))
        assert reply.status == SUCCESS, reply
    # the failing one is asked last from then on
    assert [fake.streams for fake in clamds] == [1, 4]
    failed = row(a, clamds[0])
    assert failed["state"] == "failed" and failed["failures"] == 1
    assert str(clamds[0].path) in failed["last_error"]["text"]
    # a heartbeat takes it back
    assert a.heartbeat().status == SUCCESS
    assert row(a, clamds[0])["state"] == "online"
    a.stop()


def test_one_is_away(world, clamds):
    a = world.agent(clamd=[world.dir / "gone.sock"] + sockets(clamds[:1]))
    assert a.heartbeat().status == SUCCESS
    clamds[0].reply = b"stream: Bad.Thing FOUND\0"
    assert a.scan(world.unc("f")).status == DETECT_VIRUS
    gone = a.status()["clamd"][0]
    assert gone["state"] == "failed"
    assert gone["last_error"]["text"] == "No such file or directory"
    a.stop()


def test_all_fail(world, clamds):
    a = world.agent(clamd=sockets(clamds))
    for fake in clamds:
        fake.reply = b"INSTREAM: ERROR\0"
    reply = a.scan(world.unc("f"))
    assert reply.status not in (SUCCESS, DETECT_VIRUS)
    assert [fake.streams for fake in clamds] == [1, 1]
    for fake in clamds:
        fake.version = b"\0"
    assert a.heartbeat().status == AV_NOT_FOUND
    a.stop()


def test_signatures_are_as_old_as_the_oldest(world, clamds):
    a = world.agent(clamd=sockets(clamds))
    clamds[0].version, clamds[1].version = NEW, OLD
    assert a.heartbeat().inner["avVendor"] == "ClamAV 9.1"
    clamds[1].version = NEW
    assert a.heartbeat().inner["avVendor"] == "ClamAV 9.2"
    clamds[1].version = b"gone\0"
    assert a.heartbeat().inner["avVendor"] == "ClamAV 9.2"
    a.stop()


# --- storage hosts ---

def test_storages_with_their_own_credentials(world, clamds):
    """One host by two addresses; the second has a password that is wrong."""
    wrong = world.dir / "wrong.password"
    wrong.write_text("not this\n")
    wrong.chmod(0o600)
    a = world.agent(clamd=clamds[0].path, storage={
        "host": "%s, LOCALHOST.example" % world.address}, extra=(
            "[storage two]\nhost = localhost\nuser = daemon\n"
            "password_file = %s\n" % wrong))
    assert a.scan(world.unc("f")).status == SUCCESS
    reply = a.scan(world.unc("f").replace(world.address, "localhost"))
    assert reply.status in (ACCESS_DENIED, FAIL)
    assert "[storage two]" in reply.detail or "localhost" in reply.detail
    assert a.scan(world.unc("f")).status == SUCCESS
    a.stop()


def test_what_to_do_is_said(world, clamds):
    a = world.agent(clamd=clamds[0].path, user_password="wrong")
    reply = a.scan(world.unc("f"))
    assert reply.status == ACCESS_DENIED
    assert ("does not let daemon in: check user, domain, password_file and "
            "encryption of [storage one]") in reply.detail
    a.stop()
    a = world.agent(clamd=clamds[0].path, storage={"share": "GONE$"})
    reply = a.scan(world.unc("f").replace("CHECK$", "GONE$"))
    # not "the file is not there": storage would forget it
    assert reply.status == FAIL
    assert "has no share GONE$" in reply.detail
    assert a.status()["storages"][0]["last_error"]["text"] == reply.detail
    a.stop()
    away = own_address()
    a = world.agent(clamd=clamds[0].path, storage={"host": away})
    reply = a.scan(world.unc("f").replace(world.address, away))
    assert "cannot connect to %s port 445: Connection refused" % away in \
        reply.detail
    assert reply.detail in a.log()
    a.stop()


def test_storage_has_only_so_many_workers(world, clamds):
    fake = clamds[0]
    a = world.agent(clamd=fake.path, storage={"max_scans": 2})
    fake.gate = threading.Event()
    threads = [InThread(a.scan, world.unc("f")) for _ in range(4)]
    fake.wait_streams(2)
    wait_for("the rest to wait",
             lambda: a.status()["workers"]["waiting"] == 2)
    assert a.status()["workers"]["busy"] == 2
    assert fake.streams == 2
    fake.gate.set()
    for thread in threads:
        assert thread.result().status == SUCCESS
    a.stop()


def test_twenty_at_once_over_sessions_that_stay(world, clamds):
    a = world.agent(clamd=clamds[0].path, workers=20)
    for _ in range(3):
        clamds[0].streams = 0
        clamds[0].gate = threading.Event()
        threads = [InThread(a.scan, world.unc("f")) for _ in range(20)]
        clamds[0].wait_streams(20)
        assert a.status()["workers"]["busy"] == 20
        clamds[0].gate.set()
        for thread in threads:
            assert thread.result().status == SUCCESS
    counts = a.status()["storages"][0]
    assert (counts["clean"], counts["sessions_opened"]) == (60, 20)
    a.stop()


@pytest.mark.parametrize("encryption", ["required", "if_offered",
                                        "if_required"])
def test_encryption(world, clamds, encryption):
    a = world.agent(clamd=clamds[0].path, workers=1,
                    storage={"encryption": encryption})
    assert a.scan(world.unc("f")).status == SUCCESS
    cipher = world.smbstatus("encryption")
    assert (cipher not in ("-", "")) == (encryption != "if_required"), cipher
    assert world.smbstatus("signing") not in ("-", "")
    a.stop()


@pytest.fixture(scope="module", params=["off", "required"])
def other_world(request):
    w = World(lambda world: (["server smb encrypt = " + request.param], None))
    w.encrypt = request.param
    w.file("f", b"content")
    yield w
    w.close()


def test_encryption_that_cannot_be_had(other_world):
    for encryption in ("required", "if_offered", "if_required"):
        a = other_world.agent(workers=1, storage={"encryption": encryption})
        reply = a.scan(other_world.unc("f"))
        if (encryption, other_world.encrypt) == ("required", "off"):
            assert reply.status == ACCESS_DENIED
            assert "it does not encrypt: check" in reply.detail
        else:
            assert reply.status == SUCCESS
        a.stop()


# --- limits ---

def test_idle_connections_end(world):
    a = world.agent(idle_timeout=1)
    c = a.connection()
    a.http("HEAD", "/vee", connection=c)
    c.sock.settimeout(20)
    assert c.sock.recv(1) == b""
    assert a.status()["http"]["connections"] == 1    # that of the question
    a.stop()


def test_limits_of_clamd_conf(world, clamds):
    conf = world.dir / "other.clamd.conf"
    conf.write_text("# MaxFileSize 1\nMaxFileSize 1M\nStreamMaxLength 2M\n")
    a = world.agent(clamd=clamds[0].path, clamd_conf=conf)
    assert "max_size is larger than MaxFileSize" in a.log()
    assert "does not have `AlertExceedsMax yes`" in a.log()
    path = world.file("large", b"")
    os.truncate(path, 1 << 20)
    assert a.scan(world.unc("large")).status == SUCCESS
    os.truncate(path, (1 << 20) + 1)
    reply = a.scan(world.unc("large"))
    assert (reply.status, reply.limit) == (FAIL, True)
    assert "larger than MaxFileSize in %s" % conf in reply.detail
    conf.write_text("AlertExceedsMax yes\n")
    a.reload()
    reply = a.scan(world.unc("large"))
    assert (reply.status, reply.limit) == (SUCCESS, False)
    a.stop()


def test_connections_of_one_host(world):
    a = world.agent(max_connections_per_host=2)
    held = [a.connection() for _ in range(2)]
    for c in held:
        assert a.http("HEAD", "/vee", connection=c)[0].status == 200
    with pytest.raises((OSError, http.client.HTTPException)):
        a.http("HEAD", "/vee")
    held[0].close()

    def lets_in():
        try:
            return a.http("HEAD", "/vee")[0].status == 200
        except (OSError, http.client.HTTPException):
            return False
    wait_for("a place to be free", lets_in)
    held[1].close()
    a.stop()


# --- reload ---

def test_reload_goes_on_with_scans(world, clamds):
    a = world.agent(clamd=clamds[0].path)
    clamds[0].gate = threading.Event()
    threads = [InThread(a.scan, world.unc("f")) for _ in range(6)]
    clamds[0].wait_streams(4)
    before = set(a.workers())
    a.reload("clamd = %s" % clamds[0].path, "clamd = %s" % clamds[1].path)
    # the busy ones finish what they have; the waiting go to the new clamd
    wait_for("the status worker to be another",
             lambda: len(before & set(a.workers())) == 4)
    clamds[0].gate.set()
    for thread in threads:
        assert thread.result().status == SUCCESS
    assert [fake.streams for fake in clamds] == [4, 2]
    wait_for("all workers to be others", lambda: len(a.workers()) == 5 and
             not before & set(a.workers()))
    assert a.scan(world.unc("f")).status == SUCCESS
    assert [fake.streams for fake in clamds] == [4, 3]
    assert a.status()["scans"]["clean"] == 7
    a.stop()


def test_reload_of_workers_and_passwords(world, clamds):
    a = world.agent(clamd=clamds[0].path, user_password="wrong", workers=2)
    assert a.scan(world.unc("f")).status == ACCESS_DENIED
    path = re.search("password_file = (.*)", a.conf.read_text()).group(1)
    with open(path, "w", encoding="utf-8") as out:
        out.write(PASSWORD + "\n")
    a.reload("workers = 2", "workers = 6")
    assert a.scan(world.unc("f")).status == SUCCESS
    assert len(a.workers()) == 7
    a.reload("workers = 6", "workers = 1")
    wait_for("two workers", lambda: len(a.workers()) == 2)
    assert a.scan(world.unc("f")).status == SUCCESS
    a.stop()


def test_reload_with_open_connections(world, clamds):
    a = world.agent(clamd=clamds[0].path)
    c = a.connection()
    a.http("HEAD", "/vee", connection=c)
    a.reload("timeout = 30", "timeout = 31\nversion = 8.8")
    response, body = a.http("GET", "/vee", connection=c)
    assert response.headers["Connection"] == "close"
    assert body == b'<CEE version="8.8"></CEE>'
    assert a.heartbeat().version == "8.8"
    a.stop()


@pytest.mark.parametrize("change, to, said", [
    ("workers = 4", "workers = none", "line 5: [agent] workers = none"),
    ("12228", "12229", "listen can be changed by a restart only"),
    ("user = daemon", "# nobody", "needs host, user"),
])
def test_reload_of_nonsense_changes_nothing(world, clamds, change, to, said):
    a = world.agent(clamd=clamds[0].path)
    before = a.workers()
    a.reload(change, to, said=said)
    assert "everything stays as it was" in a.log()
    assert a.scan(world.unc("f")).status == SUCCESS
    assert a.workers() == before
    assert a.status()["reload_failures"] == 1
    a.stop()


# --- https ---

@pytest.fixture(scope="module")
def certificate(world):
    cert, key = world.dir / "cert.pem", world.dir / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", "/CN=agent.example", "-addext",
         "subjectAltName=DNS:agent.example", "-keyout", key, "-out", cert],
        check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    key.chmod(0o600)
    return cert, key


def tls(address, cert, version=None):
    context = ssl.create_default_context(cafile=cert)
    context.check_hostname = False
    if version is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    return http.client.HTTPSConnection(address, 12443, timeout=20,
                                       context=context)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_https(world, clamds, certificate):
    cert, key = certificate
    address = own_address()
    a = world.agent(clamd=clamds[0].path, https_listen=address + ":12443",
                    https_certificate=cert, https_key=key)
    response, body = a.http("GET", "/vee", connection=tls(address, cert))
    assert response.status == 200 and body.startswith(b"<CEE version")
    assert a.heartbeat().status == SUCCESS      # and without TLS as well
    with pytest.raises(ssl.SSLError):
        a.http("GET", "/vee", connection=tls(address, cert,
                                             ssl.TLSVersion.TLSv1_1))
    # a new certificate, while a connection with the old one is open
    old = tls(address, cert)
    a.http("HEAD", "/vee", connection=old)
    before = cert.read_bytes(), key.read_bytes()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
         "/CN=other.example", "-keyout", key, "-out", cert], check=True,
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    a.reload()
    assert a.http("HEAD", "/vee", connection=old)[0].status == 200
    new = tls(address, cert)
    assert a.http("HEAD", "/vee", connection=new)[0].status == 200
    # one that does not fit its key: refused, the one before stays
    cert.write_bytes(before[0])
    descriptors = "/proc/%d/fd" % a.process.pid
    count = len(os.listdir(descriptors))
    for _ in range(3):
        a.reload(said="do not fit together")
    assert a.status()["reload_failures"] == 3
    wait_for("no descriptor to be left",
             lambda: len(os.listdir(descriptors)) <= count)
    cert.write_bytes(before[0])
    key.write_bytes(before[1])
    a.stop()


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_key_of_others(world, certificate, mode, tmp_path):
    cert, key = certificate
    other = tmp_path / "key.pem"
    other.write_bytes(key.read_bytes())
    other.chmod(mode)
    a = world.agent()
    a.stop()
    a.conf.write_text(a.conf.read_text().replace(
        "[agent]", "[agent]\nhttps_listen = 127.0.0.1:12443\n"
        "https_certificate = %s\nhttps_key = %s" % (cert, other)))
    done = check(a.conf)
    assert done.returncode == 1
    assert "https_key %s: must be a file of mode 0600" % other in done.stdout


# --- what it says of itself ---

def check(conf):
    return subprocess.run([find_agent(), "--check-config", "-c", conf],
                          timeout=20, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_check_config(world):
    a = world.agent()
    a.stop()
    done = check(a.conf)
    assert (done.returncode, done.stdout) == (0, "%s: OK\n" % a.conf)
    a.conf.write_text(a.conf.read_text() + "login = kerberos\nccache = x\n")
    done = check(a.conf)
    assert done.returncode == 1
    assert "needs one of password_file, keytab and ccache" in done.stdout


def test_what_the_service_manager_is_told(world, clamds):
    path = world.dir / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        # WATCHDOG_PID is not set: it would have to be the agent's
        a = world.agent(clamd=clamds[0].path, env={
            "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "300000"})

        def told(what):
            while manager.recv(4096).decode() != what:
                pass
        told("READY=1")
        told("WATCHDOG=1")
        os.kill(a.process.pid, signal.SIGHUP)
        told("RELOADING=1")
        told("READY=1")
        told("WATCHDOG=1")
        os.kill(a.process.pid, signal.SIGTERM)
        told("STOPPING=1")
        assert a.process.popen.wait(20) == 0


def test_nothing_is_left_of_reloads(world, clamds):
    a = world.agent(clamd=clamds[0].path)

    def descriptors():
        return len(os.listdir("/proc/%d/fd" % a.process.pid))
    a.reload()
    a.heartbeat()
    wait_for("the old listener to go", lambda: a.status()["http"])
    before = descriptors()
    for i in range(5):
        a.reload()
        assert a.scan(world.unc("f")).status == SUCCESS
        a.reload("timeout = 30", "timeout = 0", said="stays as it was")
        a.conf.write_text(a.conf.read_text().replace("timeout = 0",
                                                     "timeout = 30"))
    wait_for("all to be as it was", lambda: descriptors() <= before)
    a.stop()


def test_status(world, clamds):
    a = world.agent(clamd=clamds[0].path)
    world.file("it's &.com", EICAR)
    clamds[0].version = OLD
    assert a.scan(world.unc("f")).status == SUCCESS
    clamds[0].reply = b"stream: Bad<b> FOUND\0"
    assert a.scan(world.unc("it's &.com")).status == DETECT_VIRUS
    clamds[0].reply = b"stream: Heuristics.Encrypted.Zip FOUND\0"
    assert a.scan(world.unc("f")).limit
    a.heartbeat()
    clamds[0].reply = b"stream: <i> ERROR\0"
    assert a.scan(world.unc("it's &.com")).status == AVINTERFACE
    status = a.status()
    for scans in (status["scans"], status["storages"][0]):
        assert (scans["clean"], scans["infected"], scans["over_limit"],
                scans["failed"], scans["bytes"]) == (1, 1, 1, 1, 150)
    assert status["http"]["heartbeats"] == 1
    assert status["clamd"][0]["version"] == "ClamAV 9.1"
    assert status["clamd"][0]["signature_time"] > 0
    assert status["workers"]["configured"] == 4
    assert "it's &.com: ERROR_AVINTERFACE" in status["errors"][0]["text"]
    response, page = a.http("GET", "/")
    page = page.decode()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "<i>" not in page and "&#60;i&#62; ERROR" in page
    assert "it&#39;s &#38;.com" in page
    assert "<script" not in page
    for secret in (PASSWORD, "password."):
        assert secret not in page and secret not in str(status)
    a.stop()
