"""cavactl: what it prints, in text and in JSON, and its exit statuses.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import http.server
import json
import os
import re
import shlex
import socketserver
import threading

import pytest

from cavad_world import EICAR, THREAT, World, wait_for

OK, REFUSED, INFECTED, NO_VERDICT, UNREACHABLE = range(5)
COMMANDS = ["status", "scan", "avvendor list", "avvendor add",
            "avvendor remove"]


@pytest.fixture(scope="module")
def world():
    world = World()
    world.start()
    yield world
    world.close()


def run(world, *arguments, code=OK, env=None):
    """stdout and stderr as text; bytes that are no UTF-8 are an error."""
    done = world.cavactl(*arguments, env=env)
    assert done.returncode == code, (arguments, done)
    out, err = done.stdout.decode(), done.stderr.decode()
    for c in out + err:
        assert c == "\n" or c.isprintable(), (out, err)
    return out, err


# status

def test_status(world):
    run(world, "scan", str(world.file("one")))
    out, err = run(world, "status")
    lines = out.splitlines()
    assert err == ""
    assert lines[0] == "cavad 0.1: RUNNING"
    assert "SMB connections: 0, scans pending: 0, check share: CHECK$" in out
    assert "queues: fast 0, slow 0, owed 0, batch 0" in out
    heading = next(l for l in lines if l.startswith("SERVER"))
    row = lines[lines.index(heading) + 1]
    for title, cell in (("SERVER", "av"), ("STATE", "online"),
                        ("TYPE", "clamd"), ("ANTIVIRUS", "ClamAV 1.0.0"),
                        ("SIGNATURES", "2024-01-01T10:00:00Z")):
        assert row[heading.index(title):].startswith(cell), (heading, row)
    counted = {text: int(n) for n, _, text in
               (l.strip().partition("  ") for l in lines) if n.isdigit()}
    stats = world.status()["system_stats"]
    assert counted["scans asked for"] == stats["all_scan_requests"] > 0
    assert counted["clean answers"] == stats["cee_success_count"] > 0


def test_status_json(world):
    out, _ = run(world, "--format", "json", "status")
    status = json.loads(out)["nodes"][0]["status"]
    assert status["server_status"][0]["server_name"] == "av"
    for form in (["status", "-F", "json"], ["status", "--format=json"]):
        again = json.loads(run(world, *form)[0])["nodes"][0]["status"]
        assert again.keys() == status.keys()


def test_status_of_what_is_wrong():
    """A server that is down: its event, and why, in text."""
    world = World(servers="[server gone]\nserver_uri = clamd:/nowhere/x\n")
    try:
        world.launch().wait_log("ready")
        wait_for("the event", lambda: world.status()["events"])
        wait_for("all offline", lambda: world.status()[
            "system_status"] == "FAULTED")
        out, _ = run(world, "status")
        assert out.startswith("cavad 0.1: FAULTED\n")
        assert "\ncritical: every antivirus server is offline: " in out
        assert "\nwarning: an antivirus server is offline: gone: " in out
        assert "offline" in out and "gone: " in out
        # a scan says that nobody could answer
        out, _ = run(world, "scan", str(world.file("a")), code=NO_VERDICT)
        assert out.endswith("a: failed: no antivirus server is online\n")
    finally:
        world.close()


# scan

def test_scan_clean(world):
    path = world.file("clean")
    out, err = run(world, "scan", str(path))
    assert err == ""
    assert out.startswith("%s: clean (av, " % path)
    assert out.endswith(" ms)\n")
    out, _ = run(world, "scan", str(path))
    assert out.startswith("%s: clean (scanned " % path)
    out, _ = run(world, "scan", "--force", str(path))
    assert out.startswith("%s: clean (av, " % path)


def test_scan_infected(world):
    path = world.file("eicar", EICAR)
    out, _ = run(world, "scan", str(path), code=INFECTED)
    assert out.startswith("%s: infected %s (av, " % (path, THREAT))
    out, _ = run(world, "scan", str(path), code=INFECTED)
    assert out.startswith("%s: infected %s (scanned " % (path, THREAT))


def test_scan_json(world):
    path = world.file("eicar.json", EICAR)
    out, _ = run(world, "scan", "-F", "json", str(path), code=INFECTED)
    said = json.loads(out)
    assert (said["result"], said["threat"], said["file"]) == (
        "infected", THREAT, str(path))


@pytest.mark.parametrize("name, why", [
    ("missing", "failed: the file no longer exists"),
    ("fifo", "failed: not a regular file"),
    ("link", "failed: not a regular file")])
def test_scan_no_verdict(world, name, why):
    path = world.root / name
    if name == "fifo":
        os.mkfifo(path)
    elif name == "link":
        path.symlink_to(world.file("target"))
    out, _ = run(world, "scan", str(path), code=NO_VERDICT)
    assert out == "%s: %s\n" % (path, why)


def test_scan_outside(world):
    out, _ = run(world, "scan", "/etc/passwd", code=NO_VERDICT)
    assert out == "/etc/passwd: failed: the file lies outside check_root\n"


def test_scan_many(world):
    """A line each; the exit status is that of the worst."""
    clean, bad = world.file("m1"), world.file("m2", EICAR)
    missing = world.root / "m3"
    out, _ = run(world, "scan", str(missing), str(clean), str(bad),
                 code=INFECTED)
    *lines, last = out.splitlines()
    assert [line.split(": ")[1].split()[0] for line in lines] == [
        "failed", "clean", "infected"]
    assert last == "1 clean, 1 infected, 1 without a verdict"
    run(world, "scan", str(clean), str(missing), code=NO_VERDICT)
    out, err = run(world, "scan", "/no/such/dir/x", str(clean), code=REFUSED)
    assert "clean" in out
    assert err == "cavactl: /no/such/dir/x: No such file or directory\n"


def test_scan_relative(world):
    """As the shell has it, by way of links of directories."""
    path = world.file("relative", EICAR)
    (world.dir / "way").symlink_to(world.root)
    before = os.getcwd()
    os.chdir(world.dir)
    try:
        out, _ = run(world, "scan", "way/relative", code=INFECTED)
        os.chdir(world.root)
        run(world, "scan", "relative", code=INFECTED)
        run(world, "scan", "./../data//relative", code=INFECTED)
    finally:
        os.chdir(before)
    assert out.startswith("%s: infected" % path)


@pytest.mark.parametrize("name, shown", [
    (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    (b"line\nclean", "line\\x0aclean"),
    ("csi\u009b31m".encode(), "csi\\xc2\\x9b31m"),
    ("grün".encode(), "grün"),
    (b"back\\slash", "back\\slash"),
])
def test_terminal(world, name, shown):
    """No name of a file reaches the terminal's control functions."""
    path = os.fsencode(world.root) + b"/" + name
    with open(path, "wb") as file:
        file.write(b"harmless")
    out, _ = run(world, "scan", path)
    assert out.startswith("%s/%s: clean" % (world.root, shown))
    # on stderr as well
    _, err = run(world, "scan", path + b"-none/x", code=REFUSED)
    assert err == "cavactl: %s/%s-none/x: No such file or directory\n" % (
        world.root, shown)


def test_not_utf8(world):
    path = os.fsencode(world.root) + b"/latin1-\xfc\x9b31m"
    with open(path, "wb") as file:
        file.write(EICAR)
    out, _ = run(world, "scan", path, code=INFECTED)
    assert out.startswith("file://%s/latin1-%%FC%%9B31m: infected" %
                          world.root)
    _, err = run(world, "avvendor", "add", b"\xff", code=REFUSED)
    assert "\\xff: not UTF-8" in err


# avvendor

def test_avvendor():
    world = World()
    try:
        world.start()
        out, _ = run(world, "avvendor", "list")
        assert out.startswith("No account may fetch files.")
        assert "cavactl avvendor add" in out
        assert json.loads(run(world, "avvendor", "list", "-F", "json")[0]) \
            == {"avvendor": [], "total": 0}
        out, _ = run(world, "avvendor", "add", "DOM\\svc")
        assert out == "DOM\\svc may now fetch the files it is asked to " \
            "scan.\n"
        out, _ = run(world, "avvendor", "add", "-F", "json", "local")
        assert json.loads(out) == {"id": "local"}
        out, _ = run(world, "avvendor", "list")
        assert [l.split()[0] for l in out.splitlines()] == [
            "ACCOUNT", "DOM\\svc", "local"]
        assert " ago)" in out
        said = json.loads(run(world, "avvendor", "list", "-F", "json")[0])
        assert said["total"] == 2
        out, _ = run(world, "avvendor", "remove", "DOM\\svc")
        assert out == "DOM\\svc may fetch nothing any more.\n"
        _, err = run(world, "avvendor", "remove", "DOM\\svc", code=REFUSED)
        assert err == "cavactl: DOM\\svc is no AVVendor account\n"
        # what is no account may be asked for, not added
        _, err = run(world, "avvendor", "remove", "a/../b?c#d%41 e",
                     code=REFUSED)
        assert err == "cavactl: a/../b?c#d%41 e is no AVVendor account\n"
        _, err = run(world, "avvendor", "add", "a/b", code=REFUSED)
        assert "account \"a/b\"" in err
        _, err = run(world, "avvendor", "add", "\x1b[31m", code=REFUSED)
        assert "\\x1b[31m" in err
        _, err = run(world, "avvendor", "add", "", code=REFUSED)
        assert "1 to 255" in err
        _, err = run(world, "avvendor", "remove", "", code=REFUSED)
        assert err != ""
    finally:
        world.close()


# Usage

def test_help(world):
    out, err = run(world, "--help")
    assert err == ""
    for command in COMMANDS:
        assert "\n  %s " % command in out, command
    for option in ("--socket", "--format", "--watch", "--version", "--help"):
        assert option in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert run(world, "--version")[0] == "cavactl 0.1\n"


@pytest.mark.parametrize("arguments, said", [
    (["frobnicate"], 'unknown command "frobnicate"; cavactl --help'),
    (["stat"], 'did you mean "status"'),
    (["avvendor", "lst"], 'did you mean "avvendor list"'),
    (["avvendor"], "avvendor"),
    (["scan"], "usage: cavactl scan PATH..."),
    (["status", "x"], "usage: cavactl status"),
    (["avvendor", "add"], "usage: cavactl avvendor add ACCOUNT"),
    (["avvendor", "add", "a", "b"], "usage: cavactl avvendor add ACCOUNT"),
    (["--format=xml", "status"], "--format=xml: text, json and csv are accepted"),
    (["--no-such"], "--no-such"),
    (["status", "--socket"], "--socket"),
    (["\x1b[31m"], "\\x1b[31m"),
    (["scan", "/x", "--forse"], "did you mean --force?"),
    (["status", "--force"], "cavactl status has no option --force; "
     "cavactl status --help lists all"),
    (["status", "-x"], "unknown option -x; see cavactl status --help"),
    (["scan", "/x", "--force=1"], "takes no argument"),
    (["servers", "advise"], "--nodes=N is missing"),
    (["servers", "advise", "--nodes=0"], "--nodes=0: a number from 1 to"),
    (["servers", "advise", "--nodes=6", "-c", "9x"], "--connections=9x: "),
    (["status", "--watch=0"], "--watch=0: 0.1 to 3600 seconds"),
    (["avvendor", "list", "--watch"], "avvendor list cannot be watched"),
])
def test_usage(world, arguments, said):
    out, err = run(world, *arguments, code=REFUSED)
    assert out == "" and said in err


def test_help_of_each_command(world):
    """Its options and no others, and examples that are commands."""
    listed = re.findall(r"^  ((?:[a-z]+ ?)+)", run(world, "--help")[0].
                        split("Options:")[0], re.M)
    assert len(listed) > 20
    for command in listed:
        words = command.split()
        out, err = run(world, *words, "--help")
        assert err == "" and out.startswith("Usage: cavactl " + " ".join(
            words)), command
        assert all(len(line) <= 80 for line in out.splitlines()), command
        for example in re.findall(r"^  cavactl (.*?)(?: \|.*)?$", out, re.M):
            assert example.split()[:len(words)] == words, example
            run(world, *shlex.split(example), "--help")
    assert "--force" in run(world, "scan", "--help")[0]
    assert "--force" not in run(world, "status", "--help")[0]
    assert "servers advise" in run(world, "servers", "--help")[0]


def test_no_command(world):
    out, _ = run(world, code=REFUSED)
    assert "Usage" in out


# The way to cavad

@pytest.mark.parametrize("arguments", [
    ["status"], ["avvendor", "list"], ["avvendor", "add", "x"],
    ["avvendor", "remove", "x"], ["scan", "/etc/passwd", "/etc/group"]])
def test_unreachable(world, arguments):
    nowhere = str(world.dir / "nowhere.sock")
    out, err = run(world, "--socket", nowhere, *arguments, code=UNREACHABLE)
    assert out == "" and "there is no socket %s." % nowhere in err
    assert "systemctl" in err
    assert err.count("cavactl:") == 1
    run(world, *arguments, code=UNREACHABLE,
        env={"CAVAD_API_SOCKET": nowhere})


def test_socket_option_wins(world):
    run(world, "--socket", str(world.api_socket), "status",
        env={"CAVAD_API_SOCKET": "/nowhere"})


def test_no_proxy(world):
    """An administrator's http_proxy is not for a unix socket."""
    run(world, "status", env={"http_proxy": "http://192.0.2.1:1",
                              "ALL_PROXY": "socks5://192.0.2.1:1"})


class Nonsense(http.server.BaseHTTPRequestHandler):
    """Not cavad: an answer that the path does not have."""

    answer = (200, b"")

    def handle_call(self):
        code, body = self.answer
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = handle_call

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("answer", [
    (200, b""), (200, b"hello"), (200, b"[]"), (200, b"{}"),
    (200, b'{"nodes": 7}'), (200, b'{"result": "cle\\u001ban"}'),
    (200, b'{"avvendor": [1, null, {"account": 5}]}'),
    (500, b"boom"), (404, b'{"errors": {}}'), (302, b""),
    (400, b'{"errors": [{"message": "\\u001b[31m"}, 1]}')],
    ids=lambda a: repr(a)[:40])
def test_nonsense(world, answer):
    """Whatever answers: no crash, nothing for the terminal, never clean."""
    path = str(world.dir / "nonsense.sock")
    handler = type("Handler", (Nonsense,), {"answer": answer})
    with socketserver.UnixStreamServer(path, handler) as server:
        thread = threading.Thread(target=server.serve_forever,
                                  kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            for arguments in (["status"], ["avvendor", "list"],
                              ["avvendor", "add", "x"],
                              ["avvendor", "remove", "x"],
                              ["scan", "/etc/passwd"]):
                done = world.cavactl("--socket", path, *arguments)
                assert 0 <= done.returncode <= 4, (arguments, done)
                assert b"\x1b" not in done.stdout + done.stderr
                if arguments[0] == "scan":
                    assert done.returncode in (REFUSED, NO_VERDICT)
        finally:
            server.shutdown()
            thread.join()
    os.unlink(path)


def test_cavad_ends_meanwhile():
    world = World()
    try:
        cavad = world.start()
        path = world.file("hold", b"hold")
        done = []
        asks = threading.Thread(target=lambda: done.append(
            world.cavactl("scan", str(path))))
        asks.start()
        assert world.clamd.held.acquire(timeout=20)
        assert cavad.stop() == 0
        asks.join()
        assert done[0].returncode == UNREACHABLE
        assert done[0].stdout == b""
    finally:
        world.close()
