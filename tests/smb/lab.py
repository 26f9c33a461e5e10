"""A lab as a Python object: tests/lab.sh, real SMB clients, cavactl.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time

import record
from samba import NTSTATUSError, credentials
from samba.samba3 import libsmb_samba_internal as libsmb
from samba.samba3 import param as s3param

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB_SH = ROOT / "tests" / "lab.sh"
FAKE_CEE = ROOT / "tests" / "fakes" / "fake_cee.py"

# In two pieces, so that no scanner flags this file.
EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-"
         b"ANTIVIRUS-TEST-FILE!$H+H*")

VIRUS_INFECTED = 0xC0000906
ACCESS_DENIED = 0xC0000022

READ = 0x00000001
WRITE = 0x00000002
DELETE = 0x00010000
ATTRIBUTES = 0x00000080
SHARE_ALL = 7
OPEN, CREATE, OPEN_IF, OVERWRITE, OVERWRITE_IF = 1, 2, 3, 4, 5


PROGRAMS = ("smbd", "samba-dcerpcd", "cavad", "cee_agent", "clamd", "c-icap")


def wait_for(what, condition, timeout=20):
    """The value of condition() once it is true; a failure names `what`."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s for: %s" % (timeout, what))
        time.sleep(0.02)


def status_of(function, *args):
    """The NTSTATUS that a call ends with, 0 when it succeeds."""
    try:
        function(*args)
    except NTSTATUSError as error:
        return error.args[0] & 0xFFFFFFFF
    return 0


class InThread(threading.Thread):
    """Runs a call; .result() waits and returns or raises what it did."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.call = (function, args)
        self.value = None
        self.error = None
        self.took = None
        self.start()

    def run(self):
        start = time.monotonic()
        try:
            self.value = self.call[0](*self.call[1])
        except BaseException as error:  # noqa: handed to result()
            self.error = error
        self.took = time.monotonic() - start

    def result(self, timeout=30):
        self.join(timeout)
        assert not self.is_alive(), "still waiting after %g s" % timeout
        if self.error is not None:
            raise self.error
        return self.value


class Lab:
    def __init__(self, *options):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cava-lab."))
        self.fakes = []
        try:
            self.sh("setup", *options)
        except BaseException:
            shutil.rmtree(self.dir)
            raise
        self.env = self.read_env()
        self.share_dir = pathlib.Path(self.env["SHARE_DIR"])

    def command(self, verb, *options):
        return [LAB_SH, self.dir, verb, *options]

    def sh(self, verb, *options, check=True):
        return subprocess.run(self.command(verb, *options),
                              check=check, stdin=subprocess.DEVNULL,
                              text=True, errors="replace",
                              stdout=subprocess.PIPE).stdout

    def read_env(self):
        env = {}
        for word in shlex.split(self.sh("env"), comments=True):
            name, equals, value = word.partition("=")
            if equals:
                env[name] = value
        return env

    def add_share(self, name, *options):
        """As [share], of data/NAME; these options have the last word. Before
        smbd is started."""
        conf = self.dir / "smb.conf"
        text = conf.read_text()
        start = text.index("[share]")
        end = text.find("\n[", start)
        body = text[start:end if end > 0 else None]
        body = body.replace("[share]", "[%s]" % name)
        body = body.replace("/data/share\n", "/data/%s\n" % name)
        path = self.dir / "data" / name
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
        conf.write_text("%s\n%s%s\n" % (
            text, body, "".join("\n\t" + option for option in options)))
        return path

    def start(self, *parts):
        self.sh("start", *parts)
        self.env = self.read_env()
        return self

    def close(self):
        for fake in self.fakes:
            fake.stop()
        self.sh("stop", check=False)
        left = self.left()
        assert not left, "still there: %s" % left
        if "CAVA_KEEP_LAB" not in os.environ:     # to look at its logs
            shutil.rmtree(self.dir)

    def left(self):
        """Programs of this lab that run."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace")
            except OSError:
                continue    # it has just ended
            program = os.path.basename(words.split("\0")[0])
            if program in PROGRAMS and str(self.dir) + "/" in words:
                found.append(words.replace("\0", " "))
        return found

    # --- files, as the server has them ---

    def local(self, name):
        return self.share_dir / name

    def write_local(self, name, content):
        path = self.local(name)
        path.write_bytes(content)
        os.chmod(path, 0o666)
        return path

    def attribute(self, name):
        """The verdict attribute, or None."""
        return record.settled(self.local(name))

    def result(self, name):
        """clean, infected, unscannable, or None: what the record says."""
        found = self.attribute(name)
        if found is None:
            return None
        return {1: "clean", 2: "infected", 4: "unscannable"}[found[1]]

    # --- SMB ---

    def connect(self, share=None, user=None, password=None, threads=True):
        # One loadparm context a process, and it has the last word.
        lp = s3param.get_context()
        lp.load(os.devnull)
        lp.set("client min protocol", "SMB2_10")
        creds = credentials.Credentials()
        creds.guess(lp)
        creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
        creds.set_username(user or self.env["SMB_USER"])
        creds.set_password(password or self.env["SMB_PASS"])
        return libsmb.Conn(self.env["SMB_HOST"], share or self.env["SHARE"],
                           lp, creds, multi_threaded=threads)

    def connect_av(self, **more):
        return self.connect(share=self.env["CHECK_SHARE"],
                            user=self.env["AV_USER"],
                            password=self.env["AV_PASS"], **more)

    def smbclient(self, command, share=None, user=None, password=None,
                  options=()):
        share = share or self.env["SHARE"]
        return subprocess.run(
            ["smbclient", "-s", os.devnull,
             "//%s/%s" % (self.env["SMB_HOST"], share),
             "-U", "%s%%%s" % (user or self.env["SMB_USER"],
                               password or self.env["SMB_PASS"]),
             *options, "-c", command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60)

    # --- cavad ---

    def cavactl(self, *words, fmt=None):
        command = [self.env["CAVACTL"], "--socket", self.env["API_SOCKET"]]
        if fmt:
            command += ["--format", fmt]
        return subprocess.run(command + list(words), text=True, timeout=90,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def status(self):
        run = self.cavactl("status", fmt="json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)["nodes"][0]["status"]

    def counter(self, name):
        return self.status()["system_stats"][name]

    def log(self):
        return self.sh("log")

    def configure(self, section, name, value):
        """Sets a field in cavad.conf; cavad must be started after it."""
        path = pathlib.Path(self.env["CAVAD_CONF"])
        lines = []
        here = False
        for line in path.read_text().splitlines():
            if line.startswith("["):
                here = line.strip() == "[%s]" % section
            elif here and re.match(r"\s*%s\s*=" % name, line):
                continue
            lines.append(line)
            if here and line.startswith("["):
                lines.append("%s = %s" % (name, value))
        path.write_text("\n".join(lines) + "\n")

    def wait_online(self, count=1):
        def online():
            states = [s["server_state"]
                      for s in self.status()["server_status"]]
            return states.count("online") >= count
        wait_for("%d server(s) online" % count, online)

    def fake(self, count=1, **options):
        """Replaces the antivirus servers by fakes; cavad is restarted."""
        path = pathlib.Path(self.env["CAVAD_CONF"])
        text = re.sub(r"(?ms)^\[server [^\]]*\]\n.*?(?=^\[|\Z)", "",
                      path.read_text())
        started = []
        for i in range(count):
            fake = FakeCee(self, 13228 + i)
            started.append(fake)
            text += "\n[server fake%d]\nserver_uri = cee://%s:%d/vee\n" % (
                i, self.env["SMB_HOST"], 13228 + i)
            for name, value in options.items():
                text += "%s = %s\n" % (name, value)
        path.write_text(text)
        self.fakes += started
        self.sh("stop", "cavad")
        self.sh("start", "cavad")
        self.wait_online(count)
        return started[0] if count == 1 else started


class FakeCee:
    """tests/fakes/fake_cee.py: verdicts, delays and faults are files."""

    def __init__(self, lab, port):
        self.lab = lab
        self.dir = lab.dir / ("fake%d" % port)
        self.rules = self.dir / "rules"
        self.rules.mkdir(parents=True)
        self.rule("default", "clean\nfetch yes")
        self.process = subprocess.Popen(
            ["/usr/bin/python3", FAKE_CEE, "--listen",
             "%s:%d" % (lab.env["SMB_HOST"], port), "--dir", self.dir,
             "--user", lab.env["AV_USER"], "--password",
             lab.env["AV_PASS"]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()  # says when it listens

    def rule(self, name, text):
        """For files of that name; replaced as a whole."""
        new = self.rules / (".%s.new" % name)
        new.write_text(text + "\n")
        new.rename(self.rules / name)

    def hold(self, name, verdict="clean\nfetch yes"):
        """Scans of that name wait until the returned path is touched."""
        gate = self.dir / ("go." + name)
        self.rule(name, "%s\nwait %s" % (verdict, gate))
        return gate

    def requests(self, name):
        """Scan requests seen for a file name, oldest first."""
        path = self.dir / "log.jsonl"
        found = []
        if path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                unc = entry.get("unc") or ""
                if unc.endswith("\\" + name):
                    found.append(entry)
        return found

    def wait_request(self, name, count=1):
        return wait_for("%d scan request(s) for %s" % (count, name),
                        lambda: len(self.requests(name)) >= count)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
