"""cee_agent at work: it and clamd stop or die in the middle of a scan, it is
reloaded, it is asked over TLS.

A clamd that is stopped by SIGSTOP holds the scan where it is.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import signal
import subprocess
import urllib.request

import pytest

from lab import ACCESS_DENIED, EICAR, InThread, status_of, wait_for

TEXT = b"some text that nobody has scanned\n"


@pytest.fixture
def lab(new_lab):
    lab = new_lab("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    return lab


def clamd(lab, number):
    pid = int((lab.dir / "run" / "clamd.pid").read_text())
    os.kill(pid, number)


def reader_in_a_scan(lab, smb):
    lab.write_local("file.bin", TEXT)
    clamd(lab, signal.SIGSTOP)
    reader = InThread(smb.loadfile, "file.bin")
    wait_for("a scan to be under way", lambda: lab.status()[
        "server_status"][0]["connections"] > 0)
    return reader


def test_agent_dies_during_a_scan(lab):
    lab.start()
    smb = lab.connect()
    reader = reader_in_a_scan(lab, smb)
    try:
        lab.sh("kill", "agent")
    finally:
        clamd(lab, signal.SIGCONT)
    # There is no other server: an answer at once, and it is not "clean".
    assert status_of(reader.result) == ACCESS_DENIED
    assert reader.took < 20
    assert lab.result("file.bin") is None
    lab.sh("start", "agent")
    wait_for("the file to be scanned after all",
             lambda: status_of(lab.connect().loadfile, "file.bin") == 0)
    assert lab.result("file.bin") == "clean"


def test_scan_goes_on_after_its_timeout(lab):
    lab.configure("settings", "scan_timeout", "2")
    lab.start()
    smb = lab.connect()
    reader = reader_in_a_scan(lab, smb)
    try:
        assert status_of(reader.result) == ACCESS_DENIED
        assert 1.5 < reader.took < 10
        assert lab.counter("scan_timeouts") == 1
    finally:
        clamd(lab, signal.SIGCONT)
    wait_for("the verdict", lambda: lab.result("file.bin") == "clean")
    assert lab.connect().loadfile("file.bin") == TEXT


def agent_status(lab):
    url = "http://%s:12228/status" % lab.env["SMB_HOST"]
    with urllib.request.urlopen(url, timeout=20) as reply:
        return json.load(reply)


def test_reload_drops_no_scan(lab):
    """Four clients read files that nobody has scanned, over and over."""
    names = ["%d.bin" % i for i in range(200)]
    for name in names:
        lab.write_local(name, TEXT)
    lab.start()
    pid = int((lab.dir / "run" / "agent0.pid").read_text())

    def read(part):
        smb = lab.connect()
        for name in names[part::4]:
            assert smb.loadfile(name) == TEXT

    readers = [InThread(read, part) for part in range(4)]
    log = lab.dir / "log" / "agent0.log"
    for count in range(1, 4):
        wait_for("more scans", lambda: agent_status(lab)[
            "scans"]["clean"] >= 40 * count)
        os.kill(pid, signal.SIGHUP)
        wait_for("a reload", lambda: log.read_text().count(
            "reloaded ") >= count)
    for reader in readers:
        reader.result()
    status = agent_status(lab)
    assert status["scans"]["clean"] == len(names)
    assert status["scans"]["failed"] == 0


def last_error(lab):
    return agent_status(lab)["errors"][0]["text"]


def test_who_is_not_let_in_is_told_why(lab):
    """The agent's account is no scanner any more, before it had a session
    and while it has one."""
    lab.start()
    lab.write_local("file.bin", TEXT)
    lab.write_local("other.bin", TEXT)
    smb = lab.connect()
    assert lab.cavactl("avvendor", "remove", "avuser").returncode == 0
    assert status_of(smb.loadfile, "file.bin") == ACCESS_DENIED
    error = last_error(lab)
    assert "\\CHECK$\\" in error and "file.bin: ERROR_" in error
    assert "lets avuser not into CHECK$" in error
    assert "cavactl avvendor list" in error
    assert lab.cavactl("avvendor", "add", "avuser").returncode == 0
    assert smb.loadfile("file.bin") == TEXT
    assert lab.cavactl("avvendor", "remove", "avuser").returncode == 0
    assert status_of(smb.loadfile, "other.bin") == ACCESS_DENIED
    assert "ERROR_ACCESS_DENIED: open over SMB: " in last_error(lab)
    assert "cavactl avvendor list" in last_error(lab)


def over_tls(lab, trusted):
    """The server is asked by TLS, with a certificate for its address."""
    address = lab.env["SMB_HOST"]
    certs = lab.dir / "certs"
    certs.mkdir()
    cert, key = certs / "ca-certificates.crt", lab.dir / "agent.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
         "/CN=agent", "-addext", "subjectAltName=IP:" + address, "-keyout",
         key, "-out", cert], check=True, stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    key.chmod(0o600)
    conf = lab.dir / "agent0.conf"
    conf.write_text(conf.read_text().replace(
        "[agent]\n", "[agent]\nhttps_listen = %s:12443\n"
        "https_certificate = %s\nhttps_key = %s\n" % (address, cert, key)))
    lab.configure("server av0", "server_uri", "cees://%s:12443/vee" % address)
    if trusted:
        plain = lab.command
        lab.command = lambda *words: [
            "unshare", "-m", "--propagation", "private", "sh", "-c",
            'mount --bind "$0" /etc/ssl/certs && exec "$@"', certs,
            *plain(*words)]


def test_over_tls(lab):
    over_tls(lab, trusted=True)
    lab.start()
    smb = lab.connect()
    lab.write_local("file.bin", TEXT)
    lab.write_local("eicar.com", EICAR)
    assert smb.loadfile("file.bin") == TEXT
    assert status_of(smb.loadfile, "eicar.com") == ACCESS_DENIED
    assert lab.result("eicar.com") == "infected"
    assert agent_status(lab)["http"]["heartbeats"] > 0


def test_certificate_that_nobody_trusts(lab):
    over_tls(lab, trusted=False)
    lab.start("clamd", "agent", "cavad", "smbd")
    lab.write_local("file.bin", TEXT)
    assert status_of(lab.connect().loadfile, "file.bin") == ACCESS_DENIED
    assert agent_status(lab)["http"]["heartbeats"] == 0
    assert "certificate" in (lab.dir / "log" / "cavad.log").read_text()
