"""A wait that ends halfway, by each way a client or an administrator has,
with smbd under valgrind: nothing freed is touched, nothing of the module is
lost, and the next client gets its answer.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import re
import signal
import struct

import pytest
import samba

from compound import Compound
from lab import OPEN, READ, SHARE_ALL, wait_for

TEXT = b"nobody has scanned it\n"
VALGRIND = ("valgrind --trace-children=no --leak-check=full "
            "--show-leak-kinds=definite --num-callers=30 "
            "--log-file=%s/valgrind.%%p")
CREATE_COMMAND, TREE_DISCONNECT, LOGOFF, READ_COMMAND = 5, 4, 2, 8
SMB2_CANCEL = 12
# smbd of a client that is gone ends when the reads under way have: since
# some version after 4.17
WAITS_FOR_READS = not samba.version.startswith("4.17.")


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.sh("start", "clamd", "agent", "cavad")
    os.environ["LAB_SMBD_UNDER"] = VALGRIND % (lab.dir / "log")
    try:
        lab.start("smbd")
    finally:
        del os.environ["LAB_SMBD_UNDER"]
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


class Waiting:
    """A connection with one request that waits for the scan of a file."""

    def __init__(self, lab, name, parked):
        self.lab = lab
        self.name = name
        lab.write_local(name, TEXT)
        self.gate = lab.fakes[0].hold(name)
        self.smb = Compound(lab)
        self.low = self.smb.low
        self.connection = self.low._Connection
        if parked:      # a compound: the open itself waits
            self.send(*self.smb.create(name), related=self.smb.read())
        else:
            file = self.low.create(self.smb.tree, name, READ, SHARE_ALL, 0,
                                   OPEN, 0)
            self.file = file
            self.send(*self.smb.read(file))
        lab.fakes[0].wait_request(name)

    def packet(self, command, body, message, next_at=0, flags=0):
        return struct.pack(
            "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, 0, command, 64, flags,
            next_at, message, 0, self.smb.tree,
            self.low._Session["SessionID"], b"\0" * 16) + body

    def send(self, command, body, related=None):
        self.message = self.connection["SequenceWindow"]
        self.connection["SequenceWindow"] += 2 if related else 1
        if related is None:
            chain = self.packet(command, body, self.message)
        else:
            pad = -(64 + len(body)) % 8
            chain = self.packet(command, body + b"\0" * pad, self.message,
                                64 + len(body) + pad)
            chain += self.packet(related[0], related[1], self.message + 1,
                                 flags=4)
        self.low._NetBIOSSession.send_packet(chain)

    def cancel(self):
        self.low._NetBIOSSession.send_packet(self.packet(
            SMB2_CANCEL, struct.pack("<HH", 4, 0), self.message))

    def drop(self):
        self.low._NetBIOSSession.get_socket().close()


def goes_on(lab, name):
    """The scan was not harmed, and others are served."""
    wait_for("the verdict of %s" % name, lambda: lab.result(name) == "clean")
    assert lab.connect().loadfile(name) == TEXT


@pytest.mark.parametrize("parked", [False, True], ids=["read", "open"])
def test_cancel(lab, parked):
    wait = Waiting(lab, "cancel%d.bin" % parked, parked)
    wait.cancel()
    wait.gate.touch()
    answers = wait.smb.receive(wait.message, 2 if parked else 1)
    assert len(answers) >= 1    # cancelled, or just in time: answered once
    goes_on(lab, wait.name)
    wait.smb.close()


@pytest.mark.parametrize("parked", [False, True], ids=["read", "open"])
def test_disconnect(lab, parked):
    wait = Waiting(lab, "drop%d.bin" % parked, parked)
    connections = lab.status()["smb_connections"]
    wait.drop()

    def ended():
        return lab.status()["smb_connections"] < connections

    if parked or not WAITS_FOR_READS:
        wait_for("smbd to see it", ended)
    wait.gate.touch()
    wait_for("smbd to end", ended)
    goes_on(lab, wait.name)


@pytest.mark.parametrize("command", [TREE_DISCONNECT, LOGOFF],
                         ids=["tree", "session"])
@pytest.mark.parametrize("parked", [False, True], ids=["read", "open"])
def test_tree_or_session_ends(lab, parked, command):
    wait = Waiting(lab, "end%d%d.bin" % (parked, command), parked)
    wait.send(command, struct.pack("<HH", 4, 0))
    wait.gate.touch()
    wait.smb.receive(wait.message, 1)
    goes_on(lab, wait.name)
    wait.drop()


def test_handle_closed_while_its_read_waits(lab):
    wait = Waiting(lab, "close.bin", False)
    read = wait.message
    wait.send(*wait.smb.close_file(wait.file))
    wait.gate.touch()
    wait.smb.receive(read, 2)
    goes_on(lab, wait.name)
    wait.smb.close()


def test_reload_while_it_waits(lab):
    """Parameters that the module has are not smbd's to free."""
    wait = Waiting(lab, "reload.bin", False)
    conf = lab.dir / "smb.conf"
    conf.write_text(conf.read_text().replace(
        "cava:zone = System", "cava:zone = System\n\tcava:x = y"))
    smbd = int((lab.dir / "run/smbd.pid").read_text())
    os.kill(smbd, signal.SIGHUP)
    other = lab.connect()       # its smbd has read the new one
    lab.write_local("other.bin", TEXT)
    assert other.loadfile("other.bin") == TEXT
    wait.gate.touch()
    answer, = wait.smb.receive(wait.message, 1)
    assert answer[0] == 0 and wait.smb.content(answer[1]) == TEXT
    wait.smb.close()


def test_cavad_ends_and_comes_back_while_it_waits(lab):
    wait = Waiting(lab, "away.bin", True)
    lab.sh("stop", "cavad")
    lab.sh("start", "cavad")
    lab.wait_online()
    wait.gate.touch()
    answers = wait.smb.receive(wait.message, 2)
    assert wait.smb.content(answers[1][1]) == TEXT
    wait.smb.close()


def test_smbd_ends_while_it_waits(lab):
    """The last one: it brings valgrind's verdict on all of them."""
    waits = [Waiting(lab, "last%d.bin" % parked, parked)
             for parked in (False, True)]
    lab.sh("stop", "smbd")
    for wait in waits:
        wait.gate.touch()
        wait.drop()
    logs = sorted((lab.dir / "log").glob("valgrind.*"))
    assert len(logs) > 10
    bad = []
    for log in logs:
        text = log.read_text(errors="replace")
        for block in re.split(r"==\d+== \n", text):
            if "cava.so" in block or "vfs_cava" in block or \
                    "(client.c" in block:
                bad.append(block)
        assert "ERROR SUMMARY" in text, log
    assert not bad, "\n".join(bad)
    assert "PANIC" not in lab.log() and "INTERNAL ERROR" not in lab.log()
