"""Changes over the API reach every smbd that is connected, within a second.

There is no server to ask and open_on_fail is no, so that a file without a
verdict is denied at once, and read when nothing is to be scanned.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import subprocess
import time

import pytest

from lab import ACCESS_DENIED, status_of, wait_for

BASE = "http://cavad/platform/11/avscan/"
CLIENTS = 3


def put(lab, path, **fields):
    done = subprocess.run(
        ["curl", "-sS", "-f", "-X", "PUT", "--max-time", "10",
         "--unix-socket", lab.env["API_SOCKET"], "-d", json.dumps(fields),
         BASE + path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "clamd", "--profile", "strict",
                            "--plain")
    lab.env = lab.read_env()
    lab.start()
    lab.wait_online()
    for server in lab.status()["server_status"]:
        put(lab, "servers/" + server["server_name"], enabled=False)
    put(lab, "filters/System", open_on_fail=False)
    lab.write_local("file.txt", b"nothing wrong with it\n")
    return lab


@pytest.fixture(scope="module")
def clients(lab):
    """An smbd each."""
    return [lab.connect() for _ in range(CLIENTS)]


def read(smb):
    return smb.loadfile("file.txt")


def denied(smb):
    return status_of(read, smb) == ACCESS_DENIED


def all_within_a_second(lab, clients, condition):
    end = time.monotonic() + 1
    waiting = list(clients)
    while waiting:
        waiting = [smb for smb in waiting if not condition(smb)]
        assert not waiting or time.monotonic() < end, lab.log()


def test_every_smbd_has_its_own(lab, clients):
    wait_for("every smbd", lambda: lab.status()["smb_connections"] >= CLIENTS)
    wait_for("no server", lambda: all(map(denied, clients)))


@pytest.mark.parametrize("off, on", [
    ({"service_enabled": False}, {"service_enabled": True}),
    ({"scan_zones": ["Elsewhere"]}, {"scan_zones": ["system"]}),
    ({"scan_zones": ["Elsewhere"]}, {"scan_zones": []}),
])
def test_settings_reach_every_smbd(lab, clients, off, on):
    assert all(map(denied, clients))
    put(lab, "settings", **off)
    all_within_a_second(lab, clients, lambda smb: not denied(smb))
    assert read(clients[0]) == b"nothing wrong with it\n"
    put(lab, "settings", **on)
    all_within_a_second(lab, clients, denied)


def test_filter_reaches_every_smbd(lab, clients):
    put(lab, "filters/1", file_extensions=["txt"])
    all_within_a_second(lab, clients, lambda smb: not denied(smb))
    put(lab, "filters/1", file_extensions=None)
    all_within_a_second(lab, clients, denied)
