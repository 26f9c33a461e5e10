"""Events are told to event_command and event_webhook: in order, one at a
time, whatever a file is called, over a kill, and nobody waits for them.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import http.server
import json
import os
import pathlib
import pwd
import signal
import ssl
import subprocess
import threading
import urllib.parse

import pytest

from cavad_world import EICAR, USER, World, alive, children, wait_for

INFECTED = "SW_AVSCAN_CAVA_INFECTED"
COMMAND = """#!/bin/sh
n=$(ls "$1" | grep -c '^in')
cat > "$1/in.$n.new"
tr '\\0' '\\n' < /proc/$$/environ > "$1/env.$n"
ls /proc/$$/fd > "$1/fds.$n"
id -u > "$1/uid.$n"
mv "$1/in.$n.new" "$1/in.$n"
if [ -e "$1/hold" ]; then
    sleep 1000 &
    echo $! > "$1/child"
    while [ -e "$1/hold" ]; do sleep 0.02; done
    kill $!
fi
"""


class Hook(http.server.ThreadingHTTPServer):
    """Answers with the statuses it is given, then 200."""

    def __init__(self, port=0, cert=None):
        super().__init__(("127.0.0.1", port), HookHandler)
        self.statuses, self.got = [], []
        self.port = self.server_address[1]
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert)
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass        # a client that trusts nobody hangs up

    def close(self):
        self.shutdown()
        self.server_close()


class HookHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.got.append(json.loads(body))
        status = (self.server.statuses or [200]).pop(0)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Command:
    def __init__(self, world):
        self.dir = world.dir / "told"
        self.dir.mkdir()
        self.dir.chmod(0o777)
        path = world.dir / "command"
        path.write_text(COMMAND)
        path.chmod(0o755)
        self.line = "event_command = %s %s\n" % (path, self.dir)

    def told(self):
        return [json.loads((self.dir / ("in.%d" % i)).read_text())
                for i in range(len(list(self.dir.glob("in.[0-9]"))))]

    def environment(self, n):
        return (self.dir / ("env.%d" % n)).read_text().splitlines()


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture
def command(world):
    return Command(world)


@pytest.fixture
def hook():
    hook = Hook()
    yield hook
    hook.close()


def configure(world, settings):
    world.write_conf("cavad.conf", settings + "event_severity = critical\n")


def start(world, settings):
    configure(world, settings)
    return world.start()


def infected(world, name):
    return world.scan(world.file(name, EICAR))


def untold(world):
    return [e for e in world.status()["events"]
            if e["name"] == "CAVA_EVENTS_UNTOLD"]


def counter(world, name):
    return world.status()["system_stats"][name]


def test_command(world, command):
    start(world, command.line)
    name = "a'; rm -r told; $(rm -r told)\nCAVA_STATE=x \\"
    path = world.root / os.fsdecode(name.encode() + b"\xff")
    path.write_bytes(EICAR)
    uri = "file://" + urllib.parse.quote(os.fsencode(path))
    assert world.scan(uri).json["result"] == "infected"
    wait_for("the command", command.told)
    [event] = command.told()
    assert event["name"] == INFECTED and event["event"] == 400060108
    assert event["state"] == "happened" and event["severity"] == "critical"
    assert event["details"]["threat"] == "Eicar-Test-Signature"
    assert event["details"]["user"] == "root"
    assert event["details"]["client"] == "API"
    assert event["details"]["server"] == "av"
    assert event["details"]["action"] == "denied"
    assert event["details"]["path"].startswith("file:///")
    env = command.environment(0)
    assert "CAVA_STATE=happened" in env and "CAVA_STATE=x" not in env
    assert "CAVA_EVENT=400060108" in env
    [line] = [e for e in env if e.startswith("CAVA_PATH=")]
    assert line.endswith("\\x0aCAVA_STATE=x \\\\xff")
    assert not [e for e in env if e.startswith(("NOTIFY", "HOME"))]
    uid = (command.dir / "uid.0").read_text().strip()
    assert int(uid) == pwd.getpwnam(USER).pw_uid != 0
    # none of cavad's; the shell's own begin with 10
    fds = {int(fd) for fd in (command.dir / "fds.0").read_text().split()}
    assert not fds & set(range(3, 10))
    wait_for("it was counted", lambda: counter(world, "events_told") == 1)


def test_one_at_a_time_and_nobody_waits(world, command):
    start(world, command.line)
    (command.dir / "hold").touch()
    infected(world, "a")
    wait_for("the first", command.told)
    assert infected(world, "b").json["result"] == "infected"
    assert world.scan(world.file("c")).json["result"] == "clean"
    assert len(command.told()) == 1
    (command.dir / "hold").unlink()
    wait_for("the second", lambda: len(command.told()) == 2)
    a, b = command.told()
    assert (a["about"], b["about"]) == (str(world.root / "a"),
                                        str(world.root / "b"))


def test_one_that_does_not_end(world, command):
    cavad = start(world, command.line + "event_timeout = 1\n")
    (command.dir / "hold").touch()
    before = set(children(cavad.pid))
    infected(world, "a")
    pid = int(wait_for("its child", lambda: (command.dir / "child").exists()
                       and (command.dir / "child").read_text()))
    events = wait_for("the event", lambda: untold(world))
    assert "took longer than 1 s and was killed" in events[0]["message"]
    wait_for("the end of the group", lambda: not alive(pid))
    assert set(children(cavad.pid)) == before       # reaped
    (command.dir / "hold").unlink()
    infected(world, "b")
    wait_for("the next one is told", lambda: not untold(world))
    assert counter(world, "events_untold") == 1


def test_exit_status(world):
    start(world, "event_command = /bin/false\n")
    infected(world, "a")
    [event] = wait_for("the event", lambda: untold(world))
    assert event["about"] == "event_command"
    assert "/bin/false: exit status 1" in event["message"]


def test_killed_before_it_was_told(world, command):
    cavad = start(world, command.line)
    (command.dir / "hold").touch()
    infected(world, "a")
    wait_for("the first is under way", command.told)
    infected(world, "b")
    wait_for("it is committed", lambda: world.call(
        "GET", "/platform/11/avscan/events").json["events"][0]["about"] ==
        str(world.root / "b"))
    cavad.popen.kill()
    cavad.popen.wait()
    (command.dir / "hold").unlink()     # it has outlived cavad
    cavad.stop()
    world.start()
    wait_for("both are told", lambda: [
        e["about"] for e in command.told()] == [
            str(world.root / name) for name in "aab"])
    one, again, _ = command.told()
    assert one["id"] == again["id"]
    wait_for("both count", lambda: counter(world, "events_told") == 2)
    world.cavad.stop()
    world.start()           # and that is kept
    infected(world, "c")
    wait_for("only the new one",
             lambda: [e["about"] for e in command.told()][3:] == [
                 str(world.root / "c")])


def test_switched_on(world, command):
    """What was before it was on is not told, nor while it was off."""
    start(world, "")
    infected(world, "a")
    configure(world, command.line)
    world.cavad.popen.send_signal(signal.SIGHUP)
    world.cavad.wait_log("was read again")
    assert "take effect at the next start" not in world.cavad.log()
    infected(world, "b")
    wait_for("b", lambda: [e["about"] for e in command.told()] == [
        str(world.root / "b")])
    wait_for("it counts", lambda: counter(world, "events_told") == 1)
    world.cavad.stop()
    configure(world, "")
    world.start()
    infected(world, "c")
    world.cavad.stop()
    configure(world, command.line)
    world.start()
    infected(world, "d")
    wait_for("d", lambda: len(command.told()) == 2)
    assert command.told()[1]["about"] == str(world.root / "d")


def test_webhook_is_tried_again(world, hook):
    hook.statuses = [503]
    start(world, "event_webhook = http://127.0.0.1:%d/x\n" % hook.port)
    infected(world, "a")
    infected(world, "b")
    wait_for("three requests", lambda: len(hook.got) == 3)
    first, again, second = hook.got
    assert first == again
    assert first["about"] == str(world.root / "a")
    assert second["about"] == str(world.root / "b")
    assert first["details"]["threat"] == "Eicar-Test-Signature"
    wait_for("it is over", lambda: counter(world, "events_told") == 2)
    assert not untold(world) and counter(world, "events_untold") == 1


def test_webhook_refuses(world, hook):
    hook.statuses = [400]
    start(world, "event_webhook = http://127.0.0.1:%d/x\n" % hook.port)
    infected(world, "a")
    infected(world, "b")
    wait_for("two requests", lambda: len(hook.got) == 2)
    assert hook.got[1]["about"] == str(world.root / "b")
    assert "it answered 400; this event is not told again" in \
        world.cavad.log()


def test_webhook_is_away_and_cavad_killed(world):
    hook = Hook()
    port = hook.port
    hook.close()
    cavad = start(world, "event_webhook = http://127.0.0.1:%d/x\n" % port)
    infected(world, "a")
    wait_for("the event", lambda: untold(world))
    wait_for("it is committed", lambda: "UNTOLD" in world.call(
        "GET", "/platform/11/avscan/events").json["events"][0]["name"])
    cavad.stop(signal.SIGKILL)
    hook = Hook(port)
    try:
        world.start()
        wait_for("it is told", lambda: hook.got)
        assert hook.got[0]["about"] == str(world.root / "a")
    finally:
        hook.close()


def certificate(world, name):
    path = world.dir / name
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "1", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out",
         str(path) + ".crt"], check=True, stderr=subprocess.DEVNULL)
    crt = pathlib.Path(str(path) + ".crt")
    path.write_text(path.read_text() + crt.read_text())
    crt.chmod(0o644)
    return path, crt


def test_webhook_with_tls(world):
    both, crt = certificate(world, "hook")
    _, other = certificate(world, "other")
    hook = Hook(cert=both)
    line = "event_webhook = https://127.0.0.1:%d/x\n" \
        "event_webhook_ca_file = %%s\n" % hook.port
    try:
        start(world, line % other)
        infected(world, "a")
        [event] = wait_for("nobody is told", lambda: untold(world))
        assert "certificate" in event["message"]
        assert not hook.got
        configure(world, line % crt)
        world.cavad.popen.send_signal(signal.SIGHUP)
        wait_for("it is told", lambda: hook.got)
    finally:
        hook.close()


@pytest.mark.parametrize("line, text", [
    ("event_command = notify", "not the absolute path of a program"),
    ("event_webhook = ftp://x/", "not a URL (https://HOST/PATH)"),
    ("event_webhook = https:///x", "not a URL (https://HOST/PATH)"),
    ("event_severity = loud", "information, warning"),
    ("event_timeout = 0", "1"),
])
def test_refused(world, line, text):
    conf = world.write_conf("cavad.conf", line)
    done = subprocess.run([str(pathlib.Path(__file__).parents[2] / "build" /
                               "out" / "bin" / "cavad"), "--check-config",
                           "-c", str(conf)], stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert line.split()[0] in done.stderr.decode()
    assert text in done.stderr.decode()
