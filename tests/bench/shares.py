"""The lab of the benchmarks: one smbd, one share a way to scan.

    plain        no module
    virusfilter  Samba's own module, with clamd
    cava-clamd   this one, files handed to the same clamd
    cava-cee     this one, cee_agent fetches and streams to the same clamd
    cava-null    this one, nobody scans
    slow-vf      virusfilter, and a scanner that only takes its time
    slow-cava    this one, with the same scanner

All on one file system, profile strict. The slow scanner holds a file for
20 ms, one whose name begins with "hold" for eight seconds, and uses no CPU.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "smb"), str(ROOT / "tests" / "daemon")]

from cavad_world import FakeClamd   # noqa: E402
from lab import Lab                 # noqa: E402

DELAY = 0.02
HOLD = 8.0
CLAMD_LIMITS = "MaxFileSize 2000M\nMaxScanSize 2000M\n" \
    "StreamMaxLength 2000M\nMaxScanTime 0\nDisableCache yes\n"


class SlowClamd(FakeClamd):
    """Says OK, and takes its time; also to zSCAN, one a connection."""

    def __init__(self, path):
        self.holding = threading.Event()    # a scan of eight seconds began
        super().__init__(path)

    def take(self, name):
        hold = name.startswith("hold")
        if hold:
            self.holding.set()
        time.sleep(HOLD if hold else DELAY)

    def session(self, connection):
        data, fds = b"", []
        number = 0
        while True:
            more, fds_now = receive(connection)
            if not more:
                return
            data += more
            fds += fds_now
            if data == b"zVERSION\0":
                connection.sendall(self.version())
                return
            if data.startswith(b"zSCAN ") and data.endswith(b"\0"):
                path = data[len(b"zSCAN "):-1]
                self.take(os.path.basename(path).decode())
                connection.sendall(path + b": OK\0")
                return
            if data.startswith(b"zIDSESSION\0"):
                data = data[len(b"zIDSESSION\0"):]
            if data == b"zFILDES\0\0" and fds:
                number += 1
                self.take(os.path.basename(os.readlink(
                    "/proc/self/fd/%d" % fds[0])))
                os.close(fds.pop(0))
                connection.sendall(b"%d: fd[10]: OK\0" % number)
                data = b""


def receive(connection):
    import array
    fds = array.array("i")
    data, control, _flags, _address = connection.recvmsg(4200, 64)
    for _level, _type, more in control:
        fds.frombytes(more)
    return data, list(fds)


class Shares:
    """A lab with all of them, started."""

    def __init__(self):
        self.lab = Lab("--engine", "cee", "--profile", "strict", "--plain",
                       "--peer", "virusfilter", "--samba-option",
                       "cava:zone = Cee")
        self.slow = None
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        lab = self.lab
        slow_path = str(lab.dir / "run" / "slow.sock")
        self.slow = SlowClamd(slow_path)
        for zone in ("clamd", "null", "slow"):
            lab.add_share("cava-" + zone, "cava:zone = " + zone.title())
        self.add_peer(slow_path)
        with open(lab.dir / "clamd/clamd.conf", "a") as conf:
            conf.write(CLAMD_LIMITS)
        with open(lab.env["CAVAD_CONF"], "a") as conf:
            conf.write("\n[filter Cee]\nscan_profile = strict\n")
            for zone, uri in (
                    ("clamd", "clamd:%s/clamd/clamd.sock" % lab.dir),
                    ("null", "null:"), ("slow", "clamd:" + slow_path)):
                conf.write(
                    "\n[filter %s]\nscan_profile = strict\npool = %s\n"
                    "\n[server %s]\nserver_uri = %s\npool = %s\n"
                    "clamd_size_maximum = 0\n" %
                    (zone.title(), zone, zone, uri, zone))
            for pool in ("clamd", "null"):
                conf.write("\n[job %s]\npaths_to_include = %s\n"
                           "impact = HIGH\npool = %s\n" % (
                               pool, self.directory("cava-" + pool), pool))
        # clamd takes half a minute for a GiB, and more for several
        lab.configure("settings", "scan_timeout", "600")
        lab.start()
        lab.wait_online(4)

    def add_peer(self, socket_path):
        conf = self.lab.dir / "smb.conf"
        text = conf.read_text()
        body = text[text.index("[virusfilter]"):]
        end = body.find("\n[", 1)
        body = body[:end if end > 0 else None]
        body = body.replace("[virusfilter]", "[slow-vf]")
        body = body.replace("/data/virusfilter\n", "/data/slow-vf\n")
        body = body.replace("%s/clamd/clamd.sock" % self.lab.dir, socket_path)
        directory = self.directory("slow-vf")
        directory.mkdir()
        directory.chmod(0o777)
        conf.write_text(text + "\n" + body + "\n")

    def directory(self, share):
        return self.lab.dir / "data" / (
            "share" if share == "cava-cee" else
            "cava-slow" if share == "slow-cava" else share)

    def name(self, share):
        """As smb.conf has it."""
        return {"cava-cee": "share", "slow-cava": "cava-slow"}.get(share,
                                                                   share)

    def close(self):
        if self.slow is not None:
            self.slow.close()
        self.lab.close()
