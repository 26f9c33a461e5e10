"""A private cavad: its configuration, its clamd (a thread), its API.

No smbd. Files lie in World.root; the antivirus "server" is FakeClamd, which
finds EICAR, and holds back its answer for a file whose content begins with
"hold" until the test says go.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import array
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build" / "out" / "bin"
USER = "daemon"         # any account that exists and is not root

# In two pieces, so that no scanner flags this file.
EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-"
         b"ANTIVIRUS-TEST-FILE!$H+H*")
THREAT = "Eicar-Test-Signature"


def wait_for(what, condition, timeout=20):
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s for: %s" % (timeout, what))
        time.sleep(0.01)


class FakeClamd:
    """zVERSION, and sessions of zFILDES; a thread a connection."""

    def __init__(self, path):
        self.go = threading.Event()     # for files that begin with "hold"
        self.held = threading.Semaphore(0)      # released once for each
        self.threat = THREAT.encode()
        self.scans = 0
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(256)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.go.set()
        # close() alone leaves the other thread in accept()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,),
                             daemon=True).start()

    def answer(self, connection):
        with connection:
            try:
                self.session(connection)
            except OSError:
                pass    # cavad gave up

    def session(self, connection):
        number, data, fds = 0, b"", array.array("i")
        while True:
            more, control, _, _ = connection.recvmsg(64, 64)
            if not more:
                return
            for _, _, fd in control:
                fds.frombytes(fd)
            data += more
            if data == b"zVERSION\0":
                connection.sendall(self.version())
                return
            if data.startswith(b"zIDSESSION\0"):
                data = data[len(b"zIDSESSION\0"):]
            if data == b"zFILDES\0\0":
                number += 1
                connection.sendall(b"%d: %s" % (number, self.reply(fds)))
                data, fds = b"", array.array("i")

    def version(self):
        return b"ClamAV 1.0.0/27000/Mon Jan  1 10:00:00 2024\0"

    def reply(self, fds):
        with open(fds[0], "rb") as file:
            content = file.read(4096)
        with self.lock:
            self.scans += 1
        if content.startswith(b"hold"):
            self.held.release()
            self.go.wait(60)
        if EICAR in content:
            return b"fd[10]: " + self.threat + b" FOUND\0"
        return b"fd[10]: OK\0"


class Reply:
    def __init__(self, response):
        self.code = response.status
        self.type = response.getheader("Content-Type")
        self.body = response.read()
        self.json = json.loads(self.body) if self.body else None

    @property
    def message(self):
        return self.json["errors"][0]["message"]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=20):
        super().__init__("cavad", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Cavad:
    """A started cavad; its log is text."""

    def __init__(self, world, conf, arguments=("-f",), env=None, prefix=()):
        self.log_path = world.dir / ("cavad.%d.log" % world.serial)
        world.serial += 1
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(
                [*prefix, str(BIN / "cavad"), *arguments, "-c", str(conf)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, **(env or {})))
        self.pid = self.popen.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, text):
        def there():
            found = text in self.log()
            assert found or self.popen.poll() is None, self.log()
            return found
        wait_for("%r in the log: %s" % (text, self.log()), there)

    def family(self):
        """Pids of the files process and its workers."""
        found, todo = [], [self.pid]
        while todo:
            pids = children(todo.pop())
            found += pids
            todo += pids
        return found

    def stop(self, how=signal.SIGTERM):
        """The exit status; the files process has ended too."""
        family = self.family() if self.popen.poll() is None else []
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise
        wait_for("the end of the files process",
                 lambda: not any(map(alive, family)))
        return self.popen.returncode


def children(pid):
    """Of all its threads; none of one that has just ended."""
    try:
        return [int(child)
                for task in pathlib.Path("/proc/%d/task" % pid).iterdir()
                for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid):
    try:
        text = pathlib.Path("/proc/%d/stat" % pid).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rsplit(")", 1)[1].split()[0] != "Z"


class World:
    """settings: lines of [settings] beside those that every world has."""

    def __init__(self, settings="", servers=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cavad."))
        self.dir.chmod(0o711)
        self.root = self.dir / "data"
        self.root.mkdir()
        self.api_socket = self.dir / "run" / "api.sock"
        self.ipc_socket = self.dir / "run" / "ipc.sock"
        self.state = self.dir / "state"
        self.spool = self.dir / "spool"
        self.serial = 0
        self.started = []
        self.clamd = FakeClamd(str(self.dir / "clamd.sock"))
        self.conf = self.write_conf("cavad.conf", settings, servers)
        self.cavad = None

    def write_conf(self, name, settings="", servers=None, **keys):
        values = {"user": USER, "check_root": self.root,
                  "ipc_socket": self.ipc_socket,
                  "api_socket": self.api_socket, "state_dir": self.state,
                  "spool_dir": self.spool, "store_size": "64M"}
        values.update(keys)
        if servers is None:
            servers = "[server av]\nserver_uri = clamd:%s\n" % (
                self.dir / "clamd.sock")
        path = self.dir / name
        path.write_text("[settings]\n%s\n%s\n\n%s" % (
            "\n".join("%s = %s" % pair for pair in values.items()),
            settings, servers))
        return path

    def launch(self, conf=None, **more):
        cavad = Cavad(self, conf or self.conf, **more)
        self.started.append(cavad)
        return cavad

    def start(self, **more):
        """Ready, and its server online."""
        self.cavad = self.launch(**more)
        self.cavad.wait_log(" ready\n")
        self.wait_online()
        return self.cavad

    def wait_online(self):
        def online():
            servers = self.status()["server_status"]
            return all(s["server_state"] == "online" for s in servers)
        wait_for("servers online", online)

    def close(self):
        self.clamd.close()
        for cavad in self.started:
            cavad.stop()
        shutil.rmtree(self.dir)

    def file(self, name, content=b"harmless\n"):
        path = self.root / name
        path.write_bytes(content)
        return path

    # The API.

    def connection(self):
        return UnixConnection(self.api_socket)

    def call(self, method, path, body=None):
        connection = self.connection()
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection.request(method, path, body=body)
        reply = Reply(connection.getresponse())
        connection.close()
        return reply

    def status(self):
        reply = self.call("GET", "/platform/11/avscan/nodes/local/status")
        assert reply.code == 200, reply.body
        return reply.json["nodes"][0]["status"]

    def scan(self, path, **more):
        return self.call("POST", "/platform/11/antivirus/scan",
                         dict(file=str(path), **more))

    def cavactl(self, *arguments, env=None):
        return subprocess.run(
            [str(BIN / "cavactl"), *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30,
            env={**os.environ, "CAVAD_API_SOCKET": str(self.api_socket),
                 **(env or {})})
