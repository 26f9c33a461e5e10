"""What a cee_agent needs around it: smbd, clamd, storage, requests.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import base64
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import quoteattr

ROOT = pathlib.Path(__file__).resolve().parents[2]

# In two pieces, so that no scanner flags this file.
EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-"
         b"ANTIVIRUS-TEST-FILE!$H+H*")
PASSWORD = "Passw0rd with blanks"
ACCOUNT = "daemon"      # any account that exists and is not root

SUCCESS, SETUP, AV_NOT_FOUND, FILE_NOT_FOUND = 0x0, 0x1, 0x2, 0x3
ACCESS_DENIED, FAIL, TIMEOUT, DETECT_VIRUS = 0x4, 0x5, 0x6, 0x9
AVINTERFACE, BAD_REQUEST = 0xd, 0x10


def find_agent():
    for path in (os.environ.get("CEE_AGENT"),
                 ROOT / "build" / "out" / "bin" / "cee_agent"):
        if path and os.path.isfile(path):
            return path
    raise RuntimeError("cee_agent is not built: ./waf build, or set "
                       "CEE_AGENT")


def wait_for(what, condition, timeout=30):
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s for: %s" % (timeout, what))
        time.sleep(0.02)


def connects(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        return s.connect_ex(address) == 0


def own_address():
    """A loopback address on which nobody listens at 445 or 12228."""
    while True:
        address = "127.%d.%d.%d" % (random.randint(64, 250),
                                    random.randint(1, 250),
                                    random.randint(1, 250))
        try:
            for port in (445, 12228):
                with socket.socket() as s:
                    s.bind((address, port))
            return address
        except OSError:
            continue


def children(pid):
    text = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text()
    return [int(word) for word in text.split()]


class Process:
    """A server of ours; stopped by its pid, its log kept."""

    def __init__(self, argv, log, **more):
        self.log_path = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=out, **more)
        self.pid = self.popen.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, text):
        def there():
            assert self.popen.poll() is None, self.log()
            return text in self.log()
        wait_for("%r in %s" % (text, self.log_path), there)

    def stop(self, how=signal.SIGTERM):
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode


class World:
    """A storage host and a virus scanner, in a directory of their own."""

    def __init__(self, prepare=lambda world: ((), None)):
        """prepare: called before smbd is started, for more lines of its
        configuration and its environment."""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cee-agent."))
        self.dir.chmod(0o755)
        self.address = own_address()
        self.processes = []
        self.serial = 0
        self.share = self.dir / "check"
        self.share.mkdir(mode=0o755)
        self.start_smbd(*prepare(self))
        self.clamd_socket = self.dir / "clamd.sock"
        self.start_clamd()

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.dir)

    def run(self, argv, **more):
        process = Process(argv, self.dir / (
            "%s.%d.log" % (os.path.basename(argv[0]), self.serial)), **more)
        self.serial += 1
        self.processes.append(process)
        return process

    def start_smbd(self, more, env):
        conf = self.dir / "smb.conf"
        lines = ["[global]", "interfaces = %s/8" % self.address,
                 "bind interfaces only = yes", "smb ports = 445",
                 "server role = standalone server", "disable netbios = yes",
                 "load printers = no", "printing = bsd",
                 "passdb backend = tdbsam:%s/passdb.tdb" % self.dir,
                 "server min protocol = SMB2", "server signing = required",
                 "deadtime = 0", "max log size = 0", "log level = 1"]
        for name in ("private dir", "lock directory", "state directory",
                     "cache directory", "pid directory", "ncalrpc dir"):
            path = self.dir / name.replace(" ", "-")
            path.mkdir(mode=0o755)
            lines.append("%s = %s" % (name, path))
        lines += more
        lines += ["[CHECK$]", "path = %s" % self.share, "read only = yes",
                  "browseable = no", "case sensitive = yes",
                  "vfs objects = streams_xattr"]
        conf.write_text("\n".join(lines) + "\n")
        subprocess.run(["pdbedit", "-s", conf, "-a", "-u", ACCOUNT, "-t"],
                       input="%s\n%s\n" % (PASSWORD, PASSWORD), text=True,
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        # At its end it ends its process group.
        self.smbd = self.run(["/usr/sbin/smbd", "-F", "--no-process-group",
                              "--debug-stdout", "-s", str(conf)],
                             start_new_session=True, env=env)
        wait_for("smbd", lambda: connects(socket.AF_INET,
                                          (self.address, 445)))

    def smbstatus(self, what):
        """A property of the newest session, "-" = it does not have it."""
        done = subprocess.run(
            ["smbstatus", "--json", "-s", str(self.dir / "smb.conf")],
            text=True, check=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE)
        sessions = json.loads(done.stdout)["sessions"].values()
        newest = max(sessions, key=lambda s: s["session_id"])
        return newest[what]["cipher"]

    def start_clamd(self):
        database = self.dir / "database"
        database.mkdir(exist_ok=True)
        (database / "eicar.ndb").write_text(
            "Eicar-Test-Signature:0:*:%s\n" % EICAR.hex())
        conf = self.dir / "clamd.conf"
        conf.write_text("\n".join([
            "LocalSocket %s" % self.clamd_socket, "FixStaleSocket yes",
            "DatabaseDirectory %s" % database, "Foreground yes",
            "TemporaryDirectory %s" % self.dir, "MaxThreads 12",
            "MaxFileSize 25M", "StreamMaxLength 26M"]) + "\n")
        self.clamd = self.run(["/usr/sbin/clamd", "-c", str(conf)])
        wait_for("clamd", lambda: connects(socket.AF_UNIX,
                                           str(self.clamd_socket)))

    def file(self, name, content, mode=0o644):
        path = self.share / name
        path.parent.mkdir(exist_ok=True, mode=0o755, parents=True)
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def unc(self, name):
        return "\\\\%s\\CHECK$\\%s" % (self.address, name.replace("/", "\\"))

    def agent(self, **more):
        return Agent(self, **more)


class Agent:
    """A running cee_agent. Keyword arguments are keys of [agent], a list
    for one that is there several times."""

    def __init__(self, world, storage=None, extra="", user_password=PASSWORD,
                 env=None, wrapper=(), password=True, **keys):
        self.world = world
        self.address = own_address()
        self.conf = world.dir / ("agent.%d.conf" % world.serial)
        path = world.dir / ("password.%d" % world.serial)
        path.write_text(user_password + "\n")
        path.chmod(0o600)
        keys.setdefault("listen", self.address + ":12228")
        keys.setdefault("allow", "127.0.0.0/8")
        keys.setdefault("clamd", world.clamd_socket)
        keys.setdefault("workers", 4)
        keys.setdefault("timeout", 30)
        storage = {"host": world.address, "user": ACCOUNT,
                   **({"password_file": path} if password else {}),
                   **(storage or {})}
        lines = ["[agent]"]
        for key, value in keys.items():
            lines += ["%s = %s" % (key, one) for one in
                      (value if isinstance(value, list) else [value])]
        lines += ["[storage one]"]
        lines += ["%s = %s" % pair for pair in storage.items()]
        self.conf.write_text("\n".join(lines) + "\n" + extra)
        self.process = world.run([*wrapper, find_agent(), "-c", self.conf,
                                  "-d"],
                                 env={**os.environ,
                                      "RUNTIME_DIRECTORY": str(world.dir),
                                      **(env or {})})
        self.process.wait_log(" ready on " + keys["listen"])

    def stop(self):
        return self.process.stop()

    def log(self):
        return self.process.log()

    def reload(self, change=None, to="", said="reloaded "):
        """SIGHUP, with a piece of the configuration replaced."""
        text = self.conf.read_text()
        if change is not None:
            assert change in text
            self.conf.write_text(text.replace(change, to))
        before = self.log().count(said)
        os.kill(self.process.pid, signal.SIGHUP)
        wait_for("%r in the log" % said,
                 lambda: self.log().count(said) > before)

    def status(self):
        response, data = self.http("GET", "/status")
        assert response.status == 200
        return json.loads(data)

    def workers(self):
        return children(self.process.pid)

    def connection(self):
        return http.client.HTTPConnection(self.address, 12228, timeout=60)

    def http(self, method, path, body=None, headers=None, connection=None):
        c = connection or self.connection()
        c.request(method, path, body,
                  headers or {"Content-Type": "text/xml"})
        response = c.getresponse()
        data = response.read()
        if connection is None:
            c.close()
        return response, data

    def scan(self, unc, ident=7, timeout=0, utf16=False, size=0):
        body = scan_request(unc, ident, timeout, size)
        _, data = self.http("PUT", "/vee", body.encode(
            "utf-16-le" if utf16 else "utf-8"))
        return Reply(data.decode("utf-16-le" if utf16 else "utf-8"))

    def heartbeat(self):
        return Reply(self.http("PUT", "/", HEARTBEAT)[1].decode())


class Reply:
    """A CheckFileResponse, its inner element's attributes as a dict."""

    def __init__(self, text):
        self.text = text
        root = ElementTree.fromstring(text)
        assert root.tag == "CheckFileResponse"
        self.status = int(root.get("status"), 16)
        self.version = root.get("ceeVersion")
        self.inner = dict(root[0].attrib) if len(root) else {}

    def __repr__(self):
        return self.text

    @property
    def detail(self):
        return self.inner.get("detail", "")

    @property
    def limit(self):
        return self.inner.get("limit") == "1"


HEARTBEAT = (
    b'<CheckFileRequest><Args action="9" sourceID="2" '
    b'sourceIP="192.168.142.151" name="aQBzAGkAMQA1ADAALQBhAHUAZABpAHQA">'
    b'<Cluster id="000c29b7c6273590c4563e21d8421c2ebcdb" '
    b'name="aQBzAGkAMQA1ADAA"/></Args></CheckFileRequest>')


def scan_request(unc, ident=7, timeout=0, size=0):
    name = base64.b64encode(unc.encode("utf-16-le")).decode()
    return ('<CheckFileRequest><Args action="1" sourceID="2" '
            'sourceIP="127.0.0.1" name=%s/><ScanArgs id="%d" size="%d" '
            'timeout="%d"/></CheckFileRequest>'
            % (quoteattr(name), ident, size, timeout))


class InThread(threading.Thread):
    def __init__(self, function, *args, **more):
        super().__init__(daemon=True)
        self.call = (function, args, more)
        self.value = self.error = None
        self.start()

    def run(self):
        function, args, more = self.call
        try:
            self.value = function(*args, **more)
        except BaseException as error:  # noqa: handed to result()
            self.error = error

    def result(self, timeout=60):
        self.join(timeout)
        assert not self.is_alive(), "still waiting"
        if self.error is not None:
            raise self.error
        return self.value


class FakeClamd:
    """Answers what it is told to, and when. One thread a connection.

    reply       what a stream or descriptor is answered with, with the NUL
    early       answer after this many bytes of the stream, not at its end
    gate        if set: the answer to a stream waits for it
    read_gate   if set: nothing of a stream is read before it
    streams     how many of both have begun; done: their lengths
    content     of the last descriptor
    sessions    go on for another descriptor
    miscounts   added to the number of an answer in a session
    connections how many were made, VERSION apart
    """

    def __init__(self, world):
        self.path = world.dir / ("fake.%d.sock" % world.serial)
        world.serial += 1
        self.version = b"ClamAV 9.9/27300/Thu Jan  1 08:00:00 2026\0"
        self.reply = b"stream: OK\0"
        self.early = None
        self.gate = None
        self.read_gate = None
        self.streams = 0
        self.done = []
        self.content = None
        self.sessions = True
        self.miscounts = 0
        self.connections = 0
        self.lock = threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                self.talk(connection)
            except (OSError, struct.error):
                pass

    def talk(self, connection):
        number = 0
        while self.one(connection, number):
            number += 1

    def one(self, connection, number):
        """Is there more to come in this session?"""
        command, fds = b"", []
        while not command.endswith(b"\0"):
            byte, more, _, _ = socket.recv_fds(connection, 1, 4)
            if not byte:
                return False
            command += byte
            fds += more
            if command == b"zIDSESSION\0":
                command = b""
        if command == b"zVERSION\0":
            connection.sendall(self.version)
            return False
        with self.lock:
            self.streams += 1
            self.connections += number == 0
        if self.read_gate:
            self.read_gate.wait(60)
        if command == b"zFILDES\0":
            assert connection.recv(1) == b"\0" and len(fds) == 1
            self.content = os.pread(fds[0], 1 << 30, 0)
            os.close(fds[0])
            with self.lock:
                self.done.append(len(self.content))
        else:
            assert command == b"zINSTREAM\0"
            self.take_stream(connection.makefile("rb"))
        if self.gate:
            self.gate.wait(60)
        passed = command == b"zFILDES\0"
        if passed and self.reply:
            connection.sendall(b"%d: " % (number + 1 + self.miscounts))
        connection.sendall(self.reply)
        return passed and self.sessions and self.reply.endswith(b"\0")

    def take_stream(self, stream):
        total = 0
        while self.early is None or total < self.early:
            size, = struct.unpack(">I", stream.read(4))
            if size == 0:
                break
            got = len(stream.read(size))
            total += got
            if got < size:
                raise OSError("cut short")
        with self.lock:
            self.done.append(total)

    def wait_streams(self, count):
        wait_for("%d streams" % count, lambda: self.streams >= count)

    def close(self):
        for gate in (self.gate, self.read_gate):
            if gate:
                gate.set()
        # accept() does not notice close()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
