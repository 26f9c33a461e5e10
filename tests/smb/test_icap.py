"""The ICAP engine on real parts: c-icap with its virus_scan service and
clamd behind it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import hashlib
import pathlib
import subprocess
import time

import pytest

from lab import (ACCESS_DENIED, EICAR, ROOT, VIRUS_INFECTED, status_of,
                 wait_for)

TEXT = b"sent to be looked at\n" * 50
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
PREVIEW = 1024      # c-icap's


def setup_lab(lab):
    conf = pathlib.Path(lab.env["CAVAD_CONF"])
    conf.write_text(conf.read_text() + "\n[cee]\nheartbeat_interval = 1\n")
    lab.configure("filter System", "open_on_fail", "no")
    return lab


@pytest.fixture(scope="module")
def lab(labs):
    lab = setup_lab(labs("--engine", "icap", "--profile", "strict"))
    lab.sh("stop", "cavad")
    lab.start("cavad")
    lab.wait_online()
    return lab


def server(lab):
    return lab.status()["server_status"][0]


def scans(lab):
    return server(lab)["scan_requests"]


def read(lab, name):
    """The content, or None when it is denied."""
    got = []
    status = status_of(lambda: got.append(lab.connect().loadfile(name)))
    assert status == 0 or status in DENIED, hex(status)
    return got[0] if got else None


def wait_state(lab, state):
    wait_for("state " + state,
             lambda: server(lab)["server_state"] == state)


def test_clean_and_infected(lab):
    lab.write_local("clean.txt", TEXT)
    lab.write_local("eicar.txt", EICAR)
    before = scans(lab)
    for _ in range(2):
        assert read(lab, "clean.txt") == TEXT
        assert read(lab, "eicar.txt") is None
    assert scans(lab) == before + 2
    assert lab.result("eicar.txt") == "infected"
    out = lab.cavactl("scan", str(lab.local("eicar.txt")))
    assert out.returncode == 2
    assert "Eicar-Test-Signature" in out.stdout


@pytest.mark.parametrize("size", [0, 1, PREVIEW - 1, PREVIEW, PREVIEW + 1,
                                  65536 + PREVIEW, 3 << 20])
def test_size(lab, size):
    """Around the preview, the chunks and what a socket holds."""
    name = "size-%d.bin" % size
    content = bytes(i * 7 % 251 for i in range(min(size, 5000)))
    content = (content * (size // max(len(content), 1) + 1))[:size]
    lab.write_local(name, content)
    out = lab.cavactl("scan", str(lab.local(name)))
    assert out.returncode == 0, out.stdout
    assert lab.connect().loadfile(name) == content


def test_over_the_limit_is_never_clean(lab):
    lab.write_local("over.bin", b"x" * (5 * 1024 * 1024 + 1))
    before = scans(lab)
    out = lab.cavactl("scan", str(lab.local("over.bin")))
    assert out.returncode == 3
    assert "unscannable" in out.stdout
    assert lab.result("over.bin") != "clean"
    assert scans(lab) - before <= 1


def test_antivirus_behind_it_dies(lab):
    """c-icap answers, and its clamd does not: no verdict, and the state says
    whose fault it is."""
    lab.write_local("orphan.txt", TEXT)
    lab.sh("kill", "clamd")
    assert read(lab, "orphan.txt") is None
    assert lab.result("orphan.txt") is None
    lab.start("clamd")
    wait_state(lab, "online")
    wait_for("a verdict", lambda: read(lab, "orphan.txt") == TEXT)


def test_restart(lab):
    """The connections that were kept are closed: nobody notices."""
    lab.write_local("before.txt", TEXT)
    assert read(lab, "before.txt") == TEXT
    lab.sh("stop", "icap")
    wait_state(lab, "offline")
    lab.start("icap")
    wait_state(lab, "online")
    lab.write_local("after.txt", TEXT)
    assert read(lab, "after.txt") == TEXT


def test_many_at_once(lab):
    names = ["many-%d.txt" % i for i in range(60)]
    for name in names:
        lab.write_local(name, TEXT + name.encode())
    out = subprocess.run(
        ["xargs", "-P", "30", "-n", "1", lab.env["CAVACTL"], "--socket",
         lab.env["API_SOCKET"], "scan"], text=True, stdout=subprocess.PIPE,
        input="\n".join(str(lab.local(name)) for name in names))
    assert out.returncode == 0, out.stdout
    assert out.stdout.count(": clean") == len(names)


def test_probe_shows_the_exchange(lab):
    out = lab.cavactl("servers", "probe", "av0")
    assert out.returncode == 0
    for words in ("> OPTIONS icap://", "< ISTag:", "> Preview: 1024",
                  "< ICAP/1.0 204"):
        assert words in out.stdout


def test_new_signatures(new_lab):
    """The ISTag moves when clamd's database does."""
    lab = setup_lab(new_lab("--engine", "icap", "--profile", "strict"))
    lab.configure("settings", "rescan_on_signatures", "read")
    lab.start()
    lab.wait_online()
    lab.write_local("new.bin", TEXT)
    assert read(lab, "new.bin") == TEXT
    before = server(lab)["signature_timestamp"]
    database = lab.dir / "clamd/db"
    subprocess.run([ROOT / "tests/clamd_db.py", database,
                    str(int(time.time()))], check=True)
    (database / "new.hdb").write_text("%s:%d:New.Virus\n" % (
        hashlib.md5(TEXT).hexdigest(), len(TEXT)))
    lab.sh("stop", "icap", "clamd")
    lab.start("clamd", "icap")
    wait_for("a new tag",
             lambda: server(lab)["signature_timestamp"] != before)
    wait_for("the new verdict", lambda: read(lab, "new.bin") is None)


# --- TLS: a terminator in front of c-icap ---


@pytest.fixture
def tls():
    """tls(directory, address): its port, and the certificate."""
    started = []

    def start(directory, address):
        cert, key = directory / "tls.pem", directory / "tls.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048",
                        "-nodes", "-days", "2", "-subj", "/CN=icap",
                        "-addext", "subjectAltName=IP:" + address,
                        "-keyout", key, "-out", cert], check=True,
                       stderr=subprocess.DEVNULL)
        front = subprocess.Popen(
            [ROOT / "tests/fakes/tls_front.py", cert, key, address, "1344"],
            stdout=subprocess.PIPE, text=True)
        started.append(front)
        return int(front.stdout.readline()), cert

    yield start
    for front in started:
        front.terminate()
        front.wait()


def test_tls(new_lab, tls):
    """With a certificate that nobody trusts there is no connection."""
    lab = setup_lab(new_lab("--engine", "icap", "--profile", "strict"))
    address = lab.env["SMB_HOST"]
    port, cert = tls(lab.dir, address)
    lab.configure("server av0", "server_uri",
                  "icaps://%s:%d/avscan" % (address, port))
    lab.start("clamd", "icap", "cavad", "smbd")
    wait_state(lab, "offline")
    assert "certificate" in lab.log()
    lab.sh("stop", "cavad")
    lab.configure("server av0", "ca_file", str(cert))
    lab.start("cavad")
    lab.wait_online()
    lab.write_local("tls.bin", TEXT * 500)
    lab.write_local("eicar.txt", EICAR)
    assert read(lab, "tls.bin") == TEXT * 500
    assert read(lab, "eicar.txt") is None
