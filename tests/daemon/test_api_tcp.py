"""cavad's API on TCP: TLS, logins, sessions of browsers, and what stays
open. curl is the client, mkpasswd makes the hashes.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from cavad_world import World, wait_for

STATUS = "/platform/11/avscan/nodes/1/status"
ZONES = "/platform/11/avscan/zones"
SESSION = "/session/1/session"


def certificate(path, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", path / "key.pem", "-out", path / "cert.pem"],
        check=True, stderr=subprocess.DEVNULL)
    os.chmod(path / "key.pem", 0o640)
    os.chown(path / "key.pem", 0, 1)    # group daemon: for a reload


def mkpasswd(password, method="yescrypt"):
    return subprocess.run(["mkpasswd", "-m", method, password], check=True,
                          text=True, stdout=subprocess.PIPE).stdout.strip()


def write_accounts(path, *lines):
    path.write_text("# accounts\n\n" + "\n".join(lines) + "\n")
    os.chmod(path, 0o640)
    os.chown(path, 0, 1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class TcpWorld(World):
    def __init__(self, more="", accounts=None):
        super().__init__()
        self.port = free_port()
        self.url = "https://127.0.0.1:%d" % self.port
        certificate(self.dir, "cavad")
        self.accounts = self.dir / "accounts"
        write_accounts(self.accounts, *(accounts or [
            "admin:" + mkpasswd("right"),
            "grafana:%s:read" % mkpasswd("look", "sha512crypt")]))
        self.conf = self.write_conf("cavad.conf", "\n".join([
            "api_listen = 127.0.0.1:%d" % self.port,
            "api_certificate = %s" % (self.dir / "cert.pem"),
            "api_key = %s" % (self.dir / "key.pem"),
            "api_accounts = %s" % self.accounts, more]))

    def curl(self, *arguments, user=None, ca="cert.pem"):
        """(status, headers as text, body)"""
        command = ["curl", "-sS", "-i", "--max-time", "20",
                   "--cacert", str(self.dir / ca)]
        if user is not None:
            command += ["-u", user]
        done = subprocess.run(command + list(arguments), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            return done.returncode, "", done.stderr
        head, _, body = done.stdout.partition("\n\n")
        if not body:
            head, _, body = done.stdout.partition("\r\n\r\n")
        return int(head.split()[1]), head, body

    def get(self, path, *arguments, **more):
        return self.curl(self.url + path, *arguments, **more)


@pytest.fixture(scope="module")
def world():
    world = TcpWorld()
    world.start()
    yield world
    world.close()


# Logins.

def test_login(world):
    code, head, body = world.get(STATUS, user="admin:right")
    assert code == 200 and json.loads(body)["total"] == 1
    assert "Cache-Control: no-store" in head
    assert "X-Content-Type-Options: nosniff" in head
    # remembered: no hash is made for it
    assert world.get(STATUS, user="admin:right")[0] == 200


def test_no_login(world):
    for path in (STATUS, "/nowhere", "/metrics", "/platform/openapi.json"):
        code, head, body = world.get(path)
        assert code == 401, path
        assert 'WWW-Authenticate: Basic realm="cavad"' in head
        assert json.loads(body)["errors"][0]["code"] == "AEC_UNAUTHORIZED"
    # a script asks its user itself, not the browser
    _, head, _ = world.get(STATUS, "-H", "X-Requested-With: XMLHttpRequest")
    assert "WWW-Authenticate: Session" in head


def test_read_only(world):
    assert world.get(STATUS, user="grafana:look")[0] == 200
    for words in (["-X", "POST", "-d", '{"zone_name": "x"}'],
                  ["-X", "DELETE"], ["-X", "PUT"]):
        code, _, body = world.get(
            ZONES + ("" if "POST" in words else "/x"), *words,
            user="grafana:look")
        assert code in (403, 405)
    code, _, body = world.get(ZONES, "-d", '{"zone_name": "x"}',
                              user="grafana:look")
    assert code == 403
    assert "grafana may read, and change nothing" in body
    assert "x" not in [z["zone_name"] for z in
                       world.call("GET", ZONES).json["zones"]]


def test_change_is_in_the_audit_trail(world):
    code, _, body = world.get(ZONES, "-d", '{"zone_name": "tcp"}',
                              user="admin:right")
    assert code == 201, body
    world.cavad.wait_log("zone tcp: added (by admin)")


def test_wrong_logins():
    world = TcpWorld()
    try:
        world.start()
        code, head, body = world.get(STATUS, user="admin:wrong")
        assert code == 401 and "name or password is wrong" in body
        assert "WWW-Authenticate: Basic" in head
        assert world.get(STATUS, user="nobody:wrong")[0] == 401
        assert "CAVA_LOGIN_FAILED (499000031): a login over the API was " \
            "wrong: 127.0.0.1: as admin" in world.cavad.log()
        assert world.get(STATUS, user="admin:right")[0] == 200
        guesses = [subprocess.Popen(
            ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-u",
             "admin:guess%d" % i, world.url + STATUS],
            stdout=subprocess.PIPE, text=True) for i in range(20)]
        said = sorted(g.communicate()[0] for g in guesses)
        assert said == ["401"] * 8 + ["429"] * 12
        # a new right one from there waits, one that is known does not
        assert world.get(STATUS, user="admin:right")[0] == 200
        code, head, _ = world.get(STATUS, user="grafana:look")
        assert code == 429 and "Retry-After: 60" in head
        stats = world.status()["system_stats"]
        assert stats["api_login_failures"] == 10
        assert "10 times, the last one as admin" in world.cavad.log()
    finally:
        world.close()


@pytest.mark.parametrize("header", [
    "Authorization: Basic", "Authorization: Basic %%%", "Authorization: x",
    "Authorization: Basic YWRtaW4=", "Authorization: Bearer abc",
    "Cookie: isisessid=%s" % ("0" * 64), "Cookie: isisessid=",
    "Cookie: =;=;;"])
def test_no_such_login(world, header):
    assert world.get(STATUS, "-H", header)[0] == 401


# TLS.

def test_tls(world):
    assert world.curl("http://127.0.0.1:%d%s" % (world.port, STATUS))[0] \
        in (52, 56)     # curl: empty reply, reset
    code, _, said = world.get(STATUS, "--tls-max", "1.1", "--ciphers",
                              "DEFAULT@SECLEVEL=0", user="admin:right")
    assert code == 35, said
    assert world.get(STATUS, "--tls-max", "1.2", user="admin:right")[0] == 200
    other = world.dir / "other"
    other.mkdir(exist_ok=True)
    certificate(other, "other")
    assert world.get(STATUS, ca="other/cert.pem",
                     user="admin:right")[0] == 60


def test_slow_clients_keep_nobody_out(world):
    """An address has few connections; those that trickle are no others'."""
    context = ssl.create_default_context(cafile=world.dir / "cert.pem")
    slow = []
    for i in range(40):
        s = socket.create_connection(("127.0.0.1", world.port), 20)
        slow.append(s)
    with socket.socket() as s:
        s.bind(("127.0.0.2", 0))
        s.settimeout(20)
        s.connect(("127.0.0.1", world.port))
        with context.wrap_socket(s, server_hostname="127.0.0.1") as tls:
            tls.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" %
                        STATUS.encode())
            assert tls.recv(12) == b"HTTP/1.1 401"
    for s in slow:
        s.close()
    wait_for("room", lambda: world.get(STATUS)[0] == 401)


@pytest.mark.skipif(not os.environ.get("CAVA_TEST_LONG"),
                    reason="takes the 30 s that a request may")
def test_deadline(world):
    """In the greeting of TLS, and in a request: not for ever."""
    context = ssl.create_default_context(cafile=world.dir / "cert.pem")
    silent = socket.create_connection(("127.0.0.1", world.port), 60)
    tls = context.wrap_socket(
        socket.create_connection(("127.0.0.1", world.port), 60),
        server_hostname="127.0.0.1")
    with silent, tls:
        tls.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert silent.recv(1) == b""
        assert tls.recv(1) == b""


def test_body_limit(world, tmp_path):
    (tmp_path / "body").write_bytes(b"{" + b" " * 1048576)
    code, _, _ = world.get(ZONES, "-H", "Expect:", "--data-binary",
                           "@%s" % (tmp_path / "body"), user="admin:right")
    assert code == 413


# Sessions of browsers.

def log_in(world, user="admin", password="right", *more):
    code, head, body = world.get(SESSION, "-d", json.dumps(
        {"username": user, "password": password,
         "services": ["platform", "namespace"]}), *more)
    cookies = dict(re.findall(r"Set-Cookie: (\w+)=(\w*)", head))
    return code, head, body, cookies


def test_session(world):
    code, head, body, cookies = log_in(world)
    assert code == 201
    said = json.loads(body)
    assert said == {"username": "admin", "services": ["platform"],
                    "read_only": False,
                    "timeout_absolute": 14400, "timeout_inactive": 900}
    lines = [l for l in head.splitlines() if l.startswith("Set-Cookie")]
    assert all("Secure" in l and "SameSite=Strict" in l for l in lines)
    assert ["HttpOnly" in l for l in lines] == ["isisessid" in l
                                                for l in lines]
    jar = ["-H", "Cookie: isisessid=%(isisessid)s" % cookies]
    token = ["-H", "X-CSRF-Token: %(isicsrf)s" % cookies]
    assert json.loads(world.get(SESSION, *jar)[2]) == said
    assert world.get(STATUS, *jar)[0] == 200
    zone = ["-d", '{"zone_name": "session"}']
    assert world.get(ZONES, *jar, *zone)[0] == 403
    assert world.get(ZONES, *jar, "-H", "X-CSRF-Token: " + "0" * 64,
                     *zone)[0] == 403
    code, _, body = world.get(ZONES, *jar, *token, "-H",
                              "Origin: https://evil.example", *zone)
    assert code == 403 and "Origin" in body
    assert world.get(ZONES, *jar, *token, "-H", "Origin: " + world.url,
                     *zone)[0] == 201
    assert world.get(SESSION, "-X", "DELETE", *jar)[0] == 403
    assert world.get(SESSION, "-X", "DELETE", *jar, *token)[0] == 204
    assert world.get(STATUS, *jar)[0] == 401
    assert world.get(SESSION, *jar)[0] == 401


def test_session_refused(world):
    code, head, body, cookies = log_in(world, password="wrong")
    assert code == 401 and cookies == {}
    assert log_in(world, "admin", "right", "-H",
                  "Origin: https://evil.example")[0] == 403
    assert world.get(SESSION, "-d", '{"username": "admin"}')[0] == 400
    code, _, body, cookies = log_in(world, "grafana", "look")
    assert code == 201
    jar = ["-H", "Cookie: isisessid=%(isisessid)s" % cookies,
           "-H", "X-CSRF-Token: %(isicsrf)s" % cookies]
    assert world.get(ZONES, *jar, "-d", '{"zone_name": "x"}')[0] == 403
    assert world.call("POST", SESSION, {"username": "admin",
                                        "password": "right"}).code == 409


# Reload.

def test_reload():
    """Accounts and certificate change without a restart, or stay."""
    world = TcpWorld()
    try:
        cavad = world.start()
        assert world.get(STATUS, user="admin:right")[0] == 200
        cookies = log_in(world)[3]
        jar = ["-H", "Cookie: isisessid=%(isisessid)s" % cookies]
        assert world.get(STATUS, *jar)[0] == 200
        os.rename(world.dir / "cert.pem", world.dir / "old.pem")
        certificate(world.dir, "new")
        write_accounts(world.accounts, "admin:" + mkpasswd("changed"))
        cavad.popen.send_signal(signal.SIGHUP)
        cavad.wait_log("was read again")
        assert world.get(STATUS, user="admin:changed")[0] == 200
        assert world.get(STATUS, ca="old.pem", user="admin:changed")[0] == 60
        assert world.get(STATUS, user="admin:right")[0] == 401
        assert world.get(STATUS, *jar)[0] == 401
        write_accounts(world.accounts, "admin:plain-text")
        cavad.popen.send_signal(signal.SIGHUP)
        cavad.wait_log("line 3: not the hash of a password")
        assert "plain-text" not in cavad.log()
        assert world.get(STATUS, user="admin:changed")[0] == 200
    finally:
        world.close()


@pytest.mark.parametrize("change, text", [
    (lambda w: os.chmod(w.accounts, 0o644),
     "api_accounts = {dir}/accounts: everybody may read it"),
    (lambda w: os.chmod(w.dir / "key.pem", 0o666),
     "api_key = {dir}/key.pem: others than its owner may write it"),
    (lambda w: os.unlink(w.dir / "cert.pem"),
     "api_certificate = {dir}/cert.pem: No such file"),
    (lambda w: write_accounts(w.accounts, "a:b:c"), "line 3"),
    (lambda w: write_accounts(w.accounts), "no account is there"),
    (lambda w: write_accounts(w.accounts, "a:$1$ab$cdefghijklmnopqrstuvw."),
     "not the hash of a password by yescrypt"),
    (lambda w: replace(w.conf, "api_listen = 127.0.0.1:",
                       "api_listen = localhost:"), "api_listen = localhost:"),
    (lambda w: replace(w.conf, "api_key = ", ";"), "api_key = : is needed"),
])
def test_start_refused(change, text):
    world = TcpWorld()
    try:
        change(world)
        cavad = world.launch()
        assert cavad.popen.wait(20) == 1
        assert text.format(dir=world.dir) in cavad.log()
    finally:
        world.close()


def replace(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_off_by_default():
    world = World()
    try:
        cavad = world.start()
        inodes = {os.readlink(f.path) for f in
                  os.scandir("/proc/%d/fd" % cavad.pid)}
        tcp = [l.split()[9] for name in ("tcp", "tcp6") for l in
               open("/proc/net/" + name).read().splitlines()[1:]
               if l.split()[3] == "0A"]
        assert not inodes & {"socket:[%s]" % i for i in tcp}
    finally:
        world.close()


# The unix socket, and who may only read there.

def test_api_read_all():
    world = World("api_read = all")
    try:
        world.start()
        assert curl_as(world, "nobody", STATUS)[0] == 200
        code, body = curl_as(world, "nobody", ZONES, "-d",
                             '{"zone_name": "x"}')
        assert code == 403
        assert "nobody may read, and change nothing" in body
    finally:
        world.close()


def curl_as(world, user, path, *arguments):
    done = subprocess.run(
        ["setpriv", "--reuid=" + user, "--regid=nogroup", "--clear-groups",
         "curl", "-sS", "-w", "\n%{http_code}", "--unix-socket",
         str(world.api_socket), "http://cavad" + path, *arguments],
        text=True, stdout=subprocess.PIPE, check=True)
    body, _, code = done.stdout.rpartition("\n")
    return int(code), body


# The page.

def test_web():
    world = TcpWorld()
    try:
        page = world.dir / "page"
        (page / "js").mkdir(parents=True)
        (page / "index.html").write_text("<!doctype html>\n\n<title>x")
        (page / "js" / "a.js").write_text("1;")
        (page / ".hidden.html").write_text("no")
        (page / "link.html").symlink_to("/etc/passwd")
        world.conf.write_text(world.conf.read_text().replace(
            "[settings]", "[settings]\nweb = yes\nweb_dir = %s" % page))
        world.start()
        code, head, body = world.get("/")
        assert code == 200 and body.startswith("<!doctype html>")
        assert "Content-Type: text/html; charset=utf-8" in head
        assert "default-src 'none'; script-src 'self'" in head
        assert "X-Content-Type-Options: nosniff" in head
        tag = re.search(r"ETag: (.*)", head).group(1).strip()
        assert world.get("/", "-H", "If-None-Match: " + tag)[0] == 304
        code, head, body = world.get("/js/a.js")
        assert code == 200 and "text/javascript" in head and "1;" in body
        for path in ("/.hidden.html", "/link.html", "/js", "/js/",
                     "/../accounts", "/js/../../accounts", "/%2e%2e/accounts",
                     "//index.html", STATUS):
            assert world.get(path, "--path-as-is")[0] == 401, path
        assert world.get("/", "-X", "POST")[0] == 401
        # not over the unix socket, where no browser is
        assert world.call("GET", "/").code == 404
    finally:
        world.close()
