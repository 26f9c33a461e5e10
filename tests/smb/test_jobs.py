"""What a job finds, a client is denied; and a client goes before a job.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import subprocess

import pytest

from lab import EICAR, VIRUS_INFECTED, status_of, wait_for


@pytest.fixture
def lab(labs):
    # standard: what is written behind smbd's back is read unscanned
    return labs("--engine", "cee", "--profile", "standard")


def test_infected_file_found_by_a_job_is_denied(lab):
    lab.write_local("old.txt", EICAR)
    lab.write_local("fine.txt", b"fine\n")
    smb = lab.connect()
    assert smb.loadfile("old.txt") == EICAR
    found = lab.cavactl("scan", lab.env["SHARE_DIR"])
    assert found.returncode == 2, found.stderr
    assert "old.txt: infected" in found.stdout
    assert lab.result("old.txt") == "infected"
    assert lab.result("fine.txt") == "clean"
    assert status_of(lab.connect().loadfile, "old.txt") == VIRUS_INFECTED
    assert lab.connect().loadfile("fine.txt") == b"fine\n"

    def said():
        return [line for line in lab.log().splitlines()
                if "old.txt" in line and "Eicar-Test-Signature" in line]
    wait_for("an event about the infected file", said)


def test_read_goes_before_a_job(new_lab):
    """All that a job may use at the server is held: a reader gets through."""
    lab = new_lab("--engine", "cee", "--profile", "strict")
    lab.start()
    fake = lab.fake()
    names = ["job%02d" % number for number in range(18)]
    (lab.share_dir / "old").mkdir()
    for name in names:
        lab.write_local("old/" + name, b"held\n")
    gates = [fake.hold(name) for name in names]
    lab.write_local("wanted.txt", b"wanted\n")
    scan = subprocess.Popen(
        [lab.env["CAVACTL"], "-s", lab.env["API_SOCKET"], "scan",
         lab.env["SHARE_DIR"] + "/old"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True)
    try:
        def asked():
            return sum(len(fake.requests(name)) for name in names)
        # three quarters of the 20 connections, while no client waits
        wait_for("the whole lane of the job", lambda: asked() == 15)
        assert lab.connect().loadfile("wanted.txt") == b"wanted\n"
        assert asked() == 15
        for gate in gates:
            gate.touch()
        out = scan.communicate(timeout=30)[0]
    finally:
        scan.kill()
        scan.wait()
    assert scan.returncode == 0 and "18 files: 18 scanned" in out
