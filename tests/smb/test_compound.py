"""Compounded requests: their reads are synchronous in smbd.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pytest

from compound import Compound
from lab import (ACCESS_DENIED, EICAR, VIRUS_INFECTED, InThread,
                 wait_for)

TEXT = b"compounded text\n"
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)


@pytest.fixture(scope="module")
def lab(labs):
    lab = labs("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


@pytest.fixture
def smb(lab):
    smb = Compound(lab)
    yield smb
    smb.close()


def chain(smb, name):
    return smb.send(smb.create(name), smb.read(), smb.close_file())


def test_create_read_close_of_a_clean_file(lab, smb):
    lab.write_local("c1.txt", TEXT)
    created, read, closed = chain(smb, "c1.txt")
    assert (created[0], read[0], closed[0]) == (0, 0, 0)
    assert smb.content(read[1]) == TEXT
    assert lab.result("c1.txt") == "clean"


def test_create_read_close_waits_parked(lab, smb):
    """The open is parked: others on the connection's server go on."""
    fake = lab.fakes[0]
    lab.write_local("c2.txt", TEXT)
    gate = fake.hold("c2.txt")
    answer = InThread(chain, smb, "c2.txt")
    fake.wait_request("c2.txt")
    assert answer.is_alive()
    gate.touch()
    created, read, closed = answer.result()
    assert smb.content(read[1]) == TEXT


def test_create_read_close_of_eicar(lab, smb):
    lab.fakes[0].rule("c3.txt", "infected Eicar-Test\nfetch yes")
    lab.write_local("c3.txt", EICAR)
    created, read, closed = chain(smb, "c3.txt")
    assert created[0] == VIRUS_INFECTED
    assert read[0] != 0 and EICAR not in read[1]


def opened(smb, name):
    (status, body), = smb.send(smb.create(name))
    assert status == 0
    return smb.file_id(body)


def test_read_close_of_a_clean_file(lab, smb):
    lab.write_local("c4.txt", TEXT)
    handle = opened(smb, "c4.txt")
    read, closed = smb.send(smb.read(handle), smb.close_file())
    assert (read[0], closed[0]) == (0, 0)
    assert smb.content(read[1]) == TEXT


def test_read_close_of_eicar(lab, smb):
    lab.fakes[0].rule("c5.txt", "infected Eicar-Test\nfetch yes")
    lab.write_local("c5.txt", EICAR)
    handle = opened(smb, "c5.txt")
    read, closed = smb.send(smb.read(handle), smb.close_file())
    assert read[0] in DENIED
    assert EICAR not in read[1]


def test_read_close_waits_no_longer_than_sync_wait(lab, smb):
    """No asynchronous way here: bounded, refused, and the scan goes on."""
    fake = lab.fakes[0]
    lab.write_local("c6.txt", TEXT)
    gate = fake.hold("c6.txt")
    before = lab.counter("scan_blocked_sync")
    handle = opened(smb, "c6.txt")
    answer = InThread(smb.send, smb.read(handle), smb.close_file())
    (status, body), _closed = answer.result()
    assert status == ACCESS_DENIED
    assert TEXT not in body
    assert 1.5 < answer.took < 5
    wait_for("it to be counted", lambda: lab.counter(
        "scan_blocked_sync") == before + 1)
    gate.touch()
    handle = opened(smb, "c6.txt")
    for _ in range(50):
        created, read, closed = chain(smb, "c6.txt")
        if read[0] == 0:
            break
    assert smb.content(read[1]) == TEXT
