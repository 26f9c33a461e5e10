"""cee_agent against a real smbd and a real clamd.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import pwd
import re
import socket
import subprocess
import threading

import pytest

from cee_agent_world import (ACCESS_DENIED, AV_NOT_FOUND, BAD_REQUEST,
                             DETECT_VIRUS, EICAR, FAIL, FILE_NOT_FOUND,
                             HEARTBEAT, SETUP, SUCCESS, InThread, Reply,
                             World, children, find_agent, own_address,
                             scan_request, wait_for)


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.close()


@pytest.fixture(scope="module")
def agent(world):
    a = world.agent(version="9.3.0.0")
    yield a
    a.stop()


# --- heartbeats and HTTP ---

def test_heartbeat(agent):
    response, body = agent.http("PUT", "/", HEARTBEAT)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert int(response.headers["Content-Length"]) == len(body)
    reply = Reply(body.decode())
    vendor = reply.inner["avVendor"]
    assert vendor.startswith("ClamAV 1.")
    # A database of one's own has no time that clamd could tell.
    assert body.decode() == (
        '<CheckFileResponse status="0x0" ceeVersion="9.3.0.0">\n'
        '  <HeartBeatResponse ceeVersion="9.3.0.0" dtdVersion="2.1.0" '
        'avVendor="%s">\n'
        '    <CEPPHeartBeatResponse>\n'
        '    <CEPPCapabilities>\n'
        '      <Protocols CIFS="1" NFS="1" HDFS="0" />\n'
        '      <Partner multiplicity="1" />\n'
        '    </CEPPCapabilities>\n'
        '    </CEPPHeartBeatResponse>\n'
        '  </HeartBeatResponse>\n'
        '</CheckFileResponse>\n' % vendor)


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("path", ["/", "/cee", "/CEE", "/vee"])
def test_paths(agent, method, path):
    response, body = agent.http(method, path, HEARTBEAT)
    assert response.status == 200
    assert Reply(body.decode()).status == SUCCESS


def test_banner(agent):
    response, body = agent.http("GET", "/vee")
    assert response.status == 200
    assert body == b'<CEE version="9.3.0.0"></CEE>'
    response, body = agent.http("HEAD", "/vee")
    assert response.status == 200 and body == b""


def test_keep_alive(agent):
    c = agent.connection()
    for _ in range(3):
        agent.http("HEAD", "/vee", connection=c)
        sock = c.sock
        response, _ = agent.http("POST", "/vee", HEARTBEAT, connection=c)
        assert response.headers["Connection"].lower() == "keep-alive"
        assert c.sock is sock and sock is not None
    c.close()


def test_utf16(agent, world):
    world.file("wide.txt", b"clean")
    _, body = agent.http("POST", "/vee", HEARTBEAT.decode().encode(
        "utf-16-le"))
    assert Reply(body.decode("utf-16-le")).status == SUCCESS
    reply = agent.scan(world.unc("wide.txt"), utf16=True)
    assert reply.status == SUCCESS and reply.inner["bytes"] == "5"


def test_event_is_not_served(agent):
    body = HEARTBEAT.replace(b'action="9"', b'action="11"')
    assert Reply(agent.http("PUT", "/", body)[1].decode()).status == SETUP


@pytest.mark.parametrize("body", [
    b"", b"hello", b"<CheckFileRequest>", b"\0" * 1000, b"\xff\xfe",
    b"<CheckFileRequestX><Args action='9'/></CheckFileRequestX>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + HEARTBEAT,
    b"<a>" * 10000, HEARTBEAT + b" " * 70000], ids=range(9))
def test_bad_bodies(agent, body):
    response, data = agent.http("PUT", "/vee", body)
    assert response.status == 200
    assert Reply(data.decode()).status == BAD_REQUEST


def test_other_paths(agent):
    assert agent.http("GET", "/cee")[0].status == 405
    assert agent.http("PUT", "/status", HEARTBEAT)[0].status == 405
    assert agent.http("DELETE", "/vee")[0].status == 405
    assert agent.http("PUT", "/veer", HEARTBEAT)[0].status == 404
    assert agent.http("GET", "/../etc/passwd")[0].status == 404


def raw(agent, data):
    """What comes back before the agent hangs up."""
    with socket.create_connection((agent.address, 12228), 20) as s:
        got = b""
        try:
            s.sendall(data)
            while True:
                more = s.recv(65536)
                if not more:
                    break
                got += more
        except ConnectionError:
            pass
        return got


def test_hostile_http(agent):
    big = raw(agent, b"PUT /vee HTTP/1.1\r\nHost: x\r\nContent-Length: "
              b"10000000000\r\n\r\n" + b"x" * 1000)
    assert b" 200 " in big and b'status="0x10"' in big
    chunk = b"10000\r\n" + b"y" * 0x10000 + b"\r\n"
    assert raw(agent, b"PUT /vee HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
               b"chunked\r\n\r\n" + chunk * 20) == b""
    assert b" 200 " not in raw(agent, b"PUT /vee HTTP/1.1\r\n" +
                               b"X: " + b"z" * 100000 + b"\r\n\r\n")
    assert b" 200 " not in raw(agent, b"\x16\x03\x01\x02\0\r\n\r\n")
    assert agent.heartbeat().status == SUCCESS


def test_access_list(world):
    a = world.agent(allow="10.0.0.1, ::1", status_allow="10.0.0.2")
    assert raw(a, b"GET /vee HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    a.process.wait_log("add it to allow")
    a.stop()


def test_access_list_of_the_status(world):
    a = world.agent(allow="10.0.0.1", status_allow="127.0.0.0/8")
    assert a.http("GET", "/status")[0].status == 200
    response, _ = a.http("PUT", "/vee", HEARTBEAT)
    assert response.status == 403
    assert response.headers["Connection"] == "close"
    assert "refused PUT /vee of 127." in a.log()
    a.reload("allow = 10.0.0.1", "allow = 127.0.0.1")
    assert a.heartbeat().status == SUCCESS
    a.reload("status_allow = 127.0.0.0/8", "status_allow = 10.0.0.2")
    assert a.http("GET", "/status")[0].status == 403
    assert a.http("GET", "/")[0].status == 403
    assert "is not in status_allow of %s" % a.conf in a.log()
    a.stop()


# --- scans ---

@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) - 1, 1 << 20,
                                  (5 << 20) + 3])
def test_clean(agent, world, size):
    world.file("clean.bin", os.urandom(size))
    reply = agent.scan(world.unc("clean.bin"), ident=2 ** 63)
    assert reply.status == SUCCESS, reply
    assert reply.inner["id"] == str(2 ** 63)
    assert reply.inner["bytes"] == str(size)
    assert reply.inner["avVendor"].startswith("ClamAV ")
    assert not reply.limit


def test_infected(agent, world):
    world.file("eicar.com", EICAR)
    reply = agent.scan(world.unc("eicar.com"))
    assert reply.status == DETECT_VIRUS
    assert reply.inner["threat"].startswith("Eicar-Test-Signature")
    assert reply.inner["bytes"] == "68"


@pytest.mark.parametrize("name", [
    "with blank & amp;.com", "gr\u00fc\u00df \u20ac \U0001f9a0.com",
    "100%25 %41#x;y@z,[1]{2}.com", "a=b'c`d~!$^+().com",
    "dir/sub dir/e.com", "x" * 250, "/".join(["d" * 200] * 12) + "/e.com",
    "@GMT.com", ".hidden"], ids=range(9))
def test_names(agent, world, name):
    path = world.file(name, EICAR)
    assert agent.scan(world.unc(name)).status == DETECT_VIRUS
    path.write_bytes(b"clean now")
    reply = agent.scan(world.unc(name))
    assert (reply.status, reply.inner["bytes"]) == (SUCCESS, "9")


def test_named_stream(agent, world):
    path = world.file("streams.txt", b"clean")
    os.setxattr(path, "user.DosStream.evil:$DATA", EICAR + b"\0")
    reply = agent.scan(world.unc("streams.txt") + ":evil")
    assert reply.status == DETECT_VIRUS
    assert agent.scan(world.unc("streams.txt")).status == SUCCESS


def test_not_there(agent, world):
    reply = agent.scan(world.unc("nobody/made/this"))
    assert reply.status == FILE_NOT_FOUND
    reply = agent.scan(world.unc("neither"))
    assert reply.status == FILE_NOT_FOUND


def test_there_in_a_moment(agent, world):
    timer = threading.Timer(0.3, world.file, ("late.com", EICAR))
    timer.start()
    assert agent.scan(world.unc("late.com")).status == DETECT_VIRUS
    timer.join()


@pytest.mark.parametrize("told", [0, 1, 67, 68, 69, 1 << 20, 1 << 30])
def test_told_the_size(agent, world, told):
    """cavad looks afterwards whether the file still has it. So it is not
    asked for, and of a longer file no more is read; a shorter one is."""
    world.file("told.com", EICAR)
    reply = agent.scan(world.unc("told.com"), size=told)
    part = 0 < told < len(EICAR)
    assert reply.status == (SUCCESS if part else DETECT_VIRUS)
    assert int(reply.inner["bytes"]) == (told if part else len(EICAR))


def test_told_the_size_of_what_is_larger_than_max_size(world):
    agent = world.agent(max_size="1000")
    try:
        world.file("larger.bin", b"x" * 1001)
        assert agent.scan(world.unc("larger.bin"), size=1001).limit
    finally:
        agent.stop()


def test_directory_and_rights(agent, world):
    world.file("folder/file", b"")
    for size in 0, 4096:
        reply = agent.scan(world.unc("folder"), size=size)
        assert reply.status == FAIL and "directory" in reply.detail
    world.file("secret", EICAR, mode=0o600)
    assert agent.scan(world.unc("secret")).status == ACCESS_DENIED


def test_other_hosts_and_shares(agent, world):
    with socket.socket() as trap:
        other = own_address()
        trap.bind((other, 445))
        trap.listen()
        trap.settimeout(0)
        for unc in ("\\\\%s\\CHECK$\\x" % other,
                    "\\\\%s\\IPC$\\x" % world.address,
                    "\\\\%s.\\CHECK$\\x" % world.address):
            reply = agent.scan(unc)
            assert reply.status == ACCESS_DENIED, unc
        with pytest.raises(BlockingIOError):
            trap.accept()


@pytest.mark.parametrize("path", [
    "", "a\\..\\b", "..\\b", "a\\.", "a\\\\b", "a\\", "a/b", "../b"])
def test_bad_paths(agent, world, path):
    world.file("b", b"clean")
    world.file("a/b", b"clean")
    reply = agent.scan("\\\\%s\\CHECK$\\%s" % (world.address, path))
    assert reply.status == BAD_REQUEST, path


def test_not_a_unc(agent, world):
    for name in ("/etc/passwd", "\\x", "\\\\%s\\CHECK$" % world.address,
                 "C:\\x"):
        assert agent.scan(name).status == BAD_REQUEST


def test_too_large(agent, world):
    path = world.file("large", b"")
    os.truncate(path, 25 << 20)
    reply = agent.scan(world.unc("large"))
    assert (reply.status, reply.limit) == (SUCCESS, False), reply
    # the default of max_size is no more than clamd looks at
    with open(path, "r+b") as f:
        f.seek((25 << 20) - len(EICAR))
        f.write(EICAR)
    assert agent.scan(world.unc("large")).status == DETECT_VIRUS
    os.truncate(path, (25 << 20) + 1)
    reply = agent.scan(world.unc("large"))
    assert (reply.status, reply.limit) == (FAIL, True)
    assert "max_size" in reply.detail
    # 30 MB with the signature where clamd would not look
    os.truncate(path, 30 << 20)
    with open(path, "r+b") as f:
        f.seek(6)
        f.write(EICAR)
    reply = agent.scan(world.unc("large"))
    assert (reply.status, reply.limit) == (FAIL, True)
    path.unlink()


def test_clamd_refuses_the_size(world):
    a = world.agent(max_size="1G")
    path = world.file("large30", b"")
    os.truncate(path, 30 << 20)
    reply = a.scan(world.unc("large30"))
    assert (reply.status, reply.limit) == (FAIL, True), reply
    assert "size limit exceeded" in reply.detail
    path.unlink()
    a.stop()


def test_eight_at_once(agent, world):
    names = []
    for i in range(8):
        names.append("eight%d" % i)
        world.file(names[i], EICAR if i % 2 else os.urandom(3 << 20))
    threads = [InThread(agent.scan, world.unc(name), ident=i)
               for i, name in enumerate(names)]
    for i, thread in enumerate(threads):
        reply = thread.result()
        assert reply.inner["id"] == str(i)
        assert reply.status == (DETECT_VIRUS if i % 2 else SUCCESS)


def test_wrong_password(world):
    world.file("open.txt", b"clean")
    a = world.agent(user_password="something else")
    assert a.scan(world.unc("open.txt")).status == ACCESS_DENIED
    assert a.heartbeat().status == SUCCESS
    a.stop()


def test_session_is_used_again_and_renewed(agent, world):
    world.file("again.txt", b"clean")
    a = world.agent()
    for _ in range(30):
        assert a.scan(world.unc("again.txt")).status == SUCCESS
    # The newest are this agent's; a restart of the server ends them all.
    sessions = []
    for pid in children(world.smbd.pid):
        command = pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()
        if b"smbd" in command:
            sessions.append(pid)
    # four workers each of two agents, and smbd's own two or three
    assert len(sessions) < 14
    for pid in sessions:
        fds = pathlib.Path("/proc/%d/net/tcp" % pid)
        assert fds.exists()
        os.kill(pid, 9)
    wait_for("sessions to end",
             lambda: not set(sessions) & set(children(world.smbd.pid)))
    for _ in range(6):
        assert a.scan(world.unc("again.txt")).status == SUCCESS
        assert agent.scan(world.unc("again.txt")).status == SUCCESS
    a.stop()


def test_clamd_stops_and_comes_back(world):
    a = world.agent()
    world.file("clean.txt", b"clean")
    assert a.scan(world.unc("clean.txt")).status == SUCCESS
    world.clamd.stop()
    reply = a.heartbeat()
    assert reply.status == AV_NOT_FOUND
    assert str(world.clamd_socket) in reply.detail
    reply = a.scan(world.unc("clean.txt"))
    assert reply.status == AV_NOT_FOUND
    world.start_clamd()
    assert a.heartbeat().status == SUCCESS
    assert a.scan(world.unc("clean.txt")).status == SUCCESS
    a.stop()


def test_foreign_configuration_is_not_read(world):
    poison = "[global]\nclient ntlmv2 auth = no\n"
    home = world.dir / "home"
    (home / ".smb").mkdir(parents=True)
    (home / ".smb" / "smb.conf").write_text(poison)
    (home / "etc.conf").write_text(poison)
    world.file("home.txt", b"clean")
    a = world.agent(env={"HOME": str(home)}, wrapper=[
        "unshare", "--mount", "sh", "-c", "mount --bind " +
        str(home / "etc.conf") + " /etc/samba/smb.conf && exec \"$@\"",
        "sh"])
    assert a.scan(world.unc("home.txt")).status == SUCCESS
    # the last try uses a new context
    assert a.scan(world.unc("not there")).status == FILE_NOT_FOUND
    assert a.scan(world.unc("home.txt")).status == SUCCESS
    # what the library leaves is ours, and it has nothing to complain of
    for pid in a.workers():
        opened = [os.readlink(path) for path in
                  pathlib.Path("/proc/%d/fd" % pid).iterdir()]
        assert not [name for name in opened if name.endswith(".tdb")
                    and not name.startswith(str(world.dir))]
    for line in a.log().splitlines():
        assert re.match("(NOTICE|INFO|DEBUG|WARNING): ", line), line
    a.stop()


def test_user(world):
    world.file("user.txt", b"clean")
    a = world.agent(user="nobody", env={"RUNTIME_DIRECTORY": "/tmp"})
    uid = pwd.getpwnam("nobody").pw_uid
    assert len(a.workers()) == 5
    for pid in a.workers() + [a.process.pid]:
        status = pathlib.Path("/proc/%d/status" % pid).read_text()
        assert "\nUid:\t%s\n" % "\t".join([str(uid)] * 4) in status
        assert "\nNoNewPrivs:\t1\n" in status
    world.clamd_socket.chmod(0o666)
    assert a.scan(world.unc("user.txt")).status == SUCCESS
    assert a.stop() == 0


# --- configuration ---

@pytest.mark.parametrize("change, message", [
    (("timeout = 30", "timeout = 0"), "line 6: [agent] timeout = 0"),
    (("timeout = 30", "timeout = 30s"), "[agent] timeout = 30s"),
    (("workers = 4", "workers = 65"), "[agent] workers = 65"),
    (("workers = 4", "works = 4"), "[agent] has no key works"),
    (("workers = 4", "max_size = 99999999999G"), "[agent] max_size"),
    (("allow = 127.0.0.0/8", "allow = 127.0.0.0/33"), "[agent] allow"),
    (("allow = 127.0.0.0/8", "allow = host.name"), "[agent] allow"),
    (("[storage one]", "[store one]"), "section [store one]"),
    (("[storage one]", "[storage ]"), "section [storage"),
    (("user = daemon", "# nobody"), "needs host, user"),
    (("user = daemon", "user = daemon\nport = 70000"), "port = 70000"),
    (("user = daemon", "user = daemon\npassword_file = /dev/null"),
     "password_file is there twice"),
    (("password_file = ", "password_file = /dev/null ;"),
     "password_file /dev/null: must be"),
    (("user = daemon", "nonsense"), "neither [SECTION]"),
])
def test_bad_configuration(world, change, message):
    a = world.agent()
    a.stop()
    text = a.conf.read_text()
    assert change[0] in text
    assert_refused(a.conf, text.replace(*change), message)


def assert_refused(conf, text, message):
    conf.write_text(text)
    run = subprocess.run([find_agent(), "-c", conf, "-d"], timeout=20,
                         stdin=subprocess.DEVNULL, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 1
    assert message in run.stdout, run.stdout


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700])
def test_password_file_of_others(world, mode):
    a = world.agent()
    a.stop()
    text = a.conf.read_text()
    path = text.split("password_file = ")[1].split("\n")[0]
    os.chmod(path, mode)
    assert_refused(a.conf, text, "must be a file of mode 0600 or 0400")
    os.chmod(path, 0o600)
    os.chown(path, 65534, 65534)
    assert_refused(a.conf, text, "must be a file of mode 0600 or 0400")


def test_command_line(world):
    def run(*words):
        return subprocess.run([find_agent(), *words], text=True, timeout=20,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    assert run("--version").stdout.startswith("cee_agent ")
    assert run("--bogus").returncode == 1
    assert run("argument").returncode == 1
    missing = run("-d", "-c", str(world.dir / "missing"))
    assert missing.returncode == 1 and "No such file" in missing.stdout
    man = (pathlib.Path(__file__).parents[2] / "docs" / "man" /
           "cee_agent.8").read_text().replace("\\-", "-")
    for word in run("--help").stdout.split():
        if word.startswith("--") and word not in ("--help", "--usage"):
            option = word.split("=")[0].strip("-,")
            assert "--" + option in man, option
