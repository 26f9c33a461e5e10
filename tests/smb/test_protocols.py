"""Every dialect, every way to read: SMB1 to 3.1.1, signed, encrypted, over a
second channel, through a handle that outlived its connection.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import struct

import pytest
from impacket.smb import SMB_DIALECT, SMB, NewSMBPacket, SMBCommand
from impacket.smb3 import SessionError
from impacket.smbconnection import SMBConnection

from channel import First, Second
from compound import CREATE, Compound
from lab import (ACCESS_DENIED, EICAR, READ, SHARE_ALL, VIRUS_INFECTED, WRITE,
                 InThread, wait_for)

TEXT = b"readable, once somebody has looked at it\n" * 20
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
INFECTED = "infected Eicar-Test\nfetch yes"
NT_RENAME, COPY = 0xA5, 0x105
DIALECTS = ["NT1", "SMB2_02", "SMB2_10", "SMB3_00", "SMB3_02", "SMB3_11"]


@pytest.fixture(scope="module")
def lab(labs):
    lab = labs("--engine", "cee", "--profile", "strict",
               "--samba-option", "global:server min protocol = NT1")
    lab.configure("filter System", "open_on_fail", "no")
    lab.fake()
    return lab


@pytest.fixture(scope="module")
def fake(lab):
    fake = lab.fakes[0]
    fake.rule("eicar.txt", INFECTED)
    return fake


def requests(fake, name):
    return len(fake.requests(name))


# --- dialects, signing, encryption ---


@pytest.mark.parametrize("dialect, protection", [
    (dialect, protection) for dialect in DIALECTS
    for protection in ("plain", "sign", "encrypt")
    if protection != "encrypt" or dialect.startswith("SMB3")])
def test_dialect(lab, fake, tmp_path, dialect, protection):
    options = ["-m", dialect, "--option=client min protocol=" + dialect]
    if protection != "plain":
        options.append("--client-protection=" + protection)
    name = "%s-%s.txt" % (dialect, protection)
    bad = "bad-" + name
    fake.rule(bad, INFECTED)
    lab.write_local(name, TEXT)
    lab.write_local(bad, EICAR)
    got = tmp_path / "got"
    out = lab.smbclient("get %s %s" % (name, got), options=options)
    assert out.returncode == 0, out.stdout
    assert got.read_bytes() == TEXT
    assert lab.result(name) == "clean"
    for _ in range(2):
        out = lab.smbclient("get %s %s" % (bad, got), options=options)
        assert "NT_STATUS_ACCESS_DENIED" in out.stdout or \
            "NT_STATUS_VIRUS_INFECTED" in out.stdout
        assert EICAR not in got.read_bytes()
    assert requests(fake, name) == requests(fake, bad) == 1


# --- SMB1: each of its reads ---


class Old:
    """SMB1, one request at a time."""

    def __init__(self, lab):
        host = lab.env["SMB_HOST"]
        self.connection = SMBConnection(host, host, timeout=30,
                                        preferredDialect=SMB_DIALECT)
        self.connection.login(lab.env["SMB_USER"], lab.env["SMB_PASS"])
        self.smb = self.connection.getSMBServer()
        self.tree = self.connection.connectTree(lab.env["SHARE"])

    def open(self, name):
        return self.smb.nt_create_andx(self.tree, name, accessMask=READ,
                                       shareAccessMode=SHARE_ALL)

    def send(self, command, parameters, data=b""):
        """The answer's (status, parameters, data)."""
        packet = NewSMBPacket()
        packet["Tid"] = self.tree
        body = SMBCommand(command)
        body["Parameters"] = parameters
        body["Data"] = data
        packet.addCommand(body)
        self.smb.sendSMB(packet)
        answer = self.smb.recvSMB()
        status = answer["ErrorClass"] | answer["_reserved"] << 8 | \
            answer["ErrorCode"] << 16
        body = SMBCommand(answer["Data"][0])
        return status, bytes(body["Parameters"]), bytes(body["Data"])

    def read(self, command, file):
        """SMBread and SMBlockread: the data, or the status."""
        status, _parameters, data = self.send(
            command, struct.pack("<HHIH", file, 1024, 0, 0))
        return status or data[3:]

    def core(self, file):
        return self.read(SMB.SMB_COM_READ, file)

    def lock_and_read(self, file):
        return self.read(SMB.SMB_COM_LOCK_AND_READ, file)

    def andx(self, file):
        return self.smb.read_andx(self.tree, file, 0, 1024)

    def raw(self, file):
        """It has no status. smbd answers a read that fails with three bytes
        of the four that say the length, and the client waits for more."""
        body = SMBCommand(SMB.SMB_COM_READ_RAW)
        body["Parameters"] = struct.pack("<HIHHIH", file, 0, 1024, 0, 0, 0)
        body["Data"] = b""
        packet = NewSMBPacket()
        packet["Tid"] = self.tree
        packet.addCommand(body)
        self.smb.sendSMB(packet)
        sock = self.smb._sess.get_socket()
        sock.settimeout(30)
        head = received(sock, 3)
        sock.settimeout(1)
        try:
            length, = struct.unpack(">I", head + received(sock, 1))
        except TimeoutError:
            return ACCESS_DENIED
        return received(sock, length)

    def copy(self, old, new):
        """SMBntrename, of the kind that is no rename. (SMBcopy is not
        implemented in smbd any more.)"""
        names = b"".join(b"\4" + name.encode() + b"\0" for name in (old, new))
        return self.send(NT_RENAME, struct.pack("<HHI", 0x16, COPY, 0),
                         names)[0]


def received(sock, length):
    data = b""
    while len(data) < length:
        more = sock.recv(length - len(data))
        assert more
        data += more
    return data


@pytest.fixture
def old(lab):
    old = Old(lab)
    yield old
    old.connection.close()


def tried(function, *args):
    """What it returns, or the status it ends with."""
    try:
        return function(*args)
    except Exception as error:
        return error.get_error_code() & 0xFFFFFFFF


OLD_READS = ["core", "lock_and_read", "andx", "raw"]


@pytest.mark.parametrize("way", OLD_READS)
def test_smb1_read(lab, fake, old, way):
    name = "old-%s.txt" % way
    lab.write_local(name, TEXT)
    assert getattr(old, way)(old.open(name)) == TEXT[:1024]
    assert lab.result(name) == "clean"
    assert requests(fake, name) == 1


@pytest.mark.parametrize("way", OLD_READS)
def test_smb1_read_of_the_infected(lab, fake, old, way):
    name = "old-bad-%s.txt" % way
    fake.rule(name, INFECTED)
    lab.write_local(name, EICAR)
    file = old.open(name)
    assert tried(getattr(old, way), file) in DENIED
    again = Old(lab)
    assert tried(again.open, name) in DENIED    # known now
    again.connection.close()


@pytest.mark.parametrize("way", OLD_READS)
def test_smb1_read_while_it_is_scanned(lab, fake, old, way):
    """Asynchronous in smbd or not: nothing before the verdict, and what is
    synchronous ends after sync_wait."""
    name = "old-slow-%s.txt" % way
    gate = fake.hold(name)
    lab.write_local(name, TEXT)
    answer = InThread(tried, getattr(old, way), old.open(name))
    fake.wait_request(name)
    if way == "andx":
        assert answer.is_alive()
        gate.touch()
        assert answer.result() == TEXT[:1024]
        return
    assert answer.result() == ACCESS_DENIED
    assert 1.5 < answer.took < 5
    gate.touch()


def test_smb1_copy(lab, fake, old):
    """smbd reads and writes by itself."""
    lab.write_local("from.txt", TEXT)
    lab.write_local("eicar.txt", EICAR)
    assert old.copy("\\from.txt", "\\to.txt") == 0
    assert lab.local("to.txt").read_bytes() == TEXT
    assert lab.result("from.txt") == "clean"
    assert old.copy("\\eicar.txt", "\\gone.txt") != 0
    gone = lab.local("gone.txt")
    assert not gone.exists() or EICAR not in gone.read_bytes()


def test_smb1_unix_extensions(lab, fake):
    """posix_open, and a link made there, lead through the same gates."""
    for name in ("hard.txt", "soft.txt"):
        fake.rule(name, INFECTED)
    lab.write_local("eicar.txt", EICAR)
    lab.write_local("posix.txt", TEXT)
    out = lab.smbclient(
        "posix; posix_open posix.txt 0; hardlink eicar.txt hard.txt; "
        "symlink eicar.txt soft.txt; get hard.txt /dev/stdout; "
        "get soft.txt /dev/stdout; get posix.txt /dev/null",
        options=["-m", "NT1", "--option=client min protocol=NT1"])
    assert EICAR.decode() not in out.stdout
    assert "getting file /posix.txt" in out.stdout
    assert lab.local("hard.txt").exists(), out.stdout


# --- SMB2: what no other file has ---


def test_odx_is_not_there(lab):
    """FSCTL_OFFLOAD_READ and _WRITE: smbd has none, so no way around."""
    smb = Compound(lab)
    lab.write_local("odx.txt", TEXT)
    # one that can write: its open alone begins no scan
    handle = smb.low.create(smb.tree, "odx.txt", READ | WRITE,
                            SHARE_ALL, 0, 1, 0x80)
    for code in (0x94264, 0x98268):
        with pytest.raises(SessionError) as error:
            smb.low.ioctl(smb.tree, handle, code, 1, b"\0" * 32)
        assert error.value.get_error_code() & 0xFFFFFFFF != 0
    assert lab.result("odx.txt") is None
    smb.close()


# --- multichannel ---


@pytest.fixture
def channels(lab):
    first = First(lab)
    second = Second(lab, first)
    yield first, second
    second.close()
    first.close()


def read_one(smb, handle):
    (status, body), = smb.send(smb.read(handle))
    return status or smb.content(body)


def opened(smb, name):
    (status, body), = smb.send(smb.create(name))
    assert status == 0
    return smb.file_id(body)


def test_read_on_the_other_channel(lab, fake, channels):
    first, second = channels
    lab.write_local("channel.txt", TEXT)
    lab.write_local("quick.txt", TEXT)
    gate = fake.hold("channel.txt")
    handle = opened(first, "channel.txt")
    answer = InThread(read_one, second, handle)
    fake.wait_request("channel.txt")
    assert read_one(first, opened(first, "quick.txt")) == TEXT[:1024]
    assert answer.is_alive()
    gate.touch()
    assert answer.result() == TEXT[:1024]
    assert read_one(first, handle) == TEXT[:1024]
    assert requests(fake, "channel.txt") == 1


def test_parked_on_the_other_channel(lab, fake, channels):
    """The open is woken on the connection it came by."""
    first, second = channels
    lab.write_local("parked.txt", TEXT)
    gate = fake.hold("parked.txt")
    answers = [InThread(smb.send, smb.create("parked.txt"), smb.read(),
                        smb.close_file()) for smb in channels]
    fake.wait_request("parked.txt")
    assert all(answer.is_alive() for answer in answers)
    gate.touch()
    for smb, answer in zip(channels, answers):
        created, read, closed = answer.result(10)
        assert (created[0], read[0], closed[0]) == (0, 0, 0)
        assert smb.content(read[1]) == TEXT[:1024]


def test_infected_on_the_other_channel(lab, fake, channels):
    first, second = channels
    fake.rule("channel-bad.txt", INFECTED)
    lab.write_local("channel-bad.txt", EICAR)
    handle = opened(first, "channel-bad.txt")
    for smb in (second, first):
        assert read_one(smb, handle) in DENIED


def test_channel_lost_while_it_waits(lab, fake, channels):
    """The other one goes on, and smbd with it."""
    first, second = channels
    lab.write_local("lost.txt", TEXT)
    gate = fake.hold("lost.txt")
    handle = opened(first, "lost.txt")
    InThread(read_one, second, handle)
    fake.wait_request("lost.txt")
    second.low._NetBIOSSession.get_socket().shutdown(2)
    gate.touch()
    assert read_one(first, handle) == TEXT[:1024]
    assert "PANIC" not in lab.log()


# --- durable handles ---


class Durable(Compound):
    """SMB 2.1: a batch oplock and DHnQ, then DHnC."""

    @staticmethod
    def context(name, data):
        return struct.pack("<IHHHHI", 0, 16, 4, 0, 24, len(data)) + \
            name + b"\0" * 4 + data

    def request(self, name, context):
        text = name.encode("utf-16-le")
        start = 64 + 56 + len(text)
        pad = -start % 8
        body = struct.pack("<HBBIQQIIIIIHHII", 57, 0, 9, 2, 0, 0, 0x0012019F,
                           0x80, 7, 1, 0x40, 64 + 56, len(text), start + pad,
                           len(context))
        return CREATE, body + text + b"\0" * pad + context

    def open(self, name):
        (status, body), = self.send(self.request(
            name, self.context(b"DHnQ", b"\0" * 16)))
        assert status == 0
        assert b"DHnQ" in body      # it is durable
        return self.file_id(body)

    def again(self, name, handle):
        (status, body), = self.send(self.request(
            name, self.context(b"DHnC", handle)))
        return status or self.file_id(body)

    def lose(self):
        self.low._NetBIOSSession.get_socket().shutdown(2)


def reconnected(lab, name, handle):
    """A fresh connection, and the handle there: as soon as smbd has it."""
    smb = Durable(lab)
    back = wait_for("the handle to come back",
                    lambda: isinstance(again := smb.again(name, handle),
                                       bytes) and again)
    return smb, back


def test_durable_handle_of_a_clean_file(lab, fake):
    """Scanned while nobody was connected: the handle comes back, and a read
    through it costs no other scan. (The birth time that smbd makes up moves
    with ctime, always where mtime is at the very end of its second.)"""
    path = lab.write_local("durable.txt", TEXT)
    os.utime(path, ns=(1700000000999999999,) * 2)
    smb = Durable(lab)
    handle = smb.open("durable.txt")
    smb.lose()
    assert lab.cavactl("scan", str(lab.local("durable.txt"))).returncode == 0
    smb, back = reconnected(lab, "durable.txt", handle)
    assert read_one(smb, back) == TEXT[:1024]
    assert requests(fake, "durable.txt") == 1
    smb.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_durable_handle_of_the_infected(lab, fake, when):
    """Opened while nobody knew. Found out while the client was away, or by
    its own read: nothing is read through the handle that comes back."""
    name = "durable-%s.txt" % when
    lab.write_local(name, EICAR)
    fake.rule(name, INFECTED)
    smb = Durable(lab)
    handle = smb.open(name)
    smb.lose()
    if when == "before":
        assert lab.cavactl("scan", str(lab.local(name))).returncode == 2
    smb, back = reconnected(lab, name, handle)
    assert read_one(smb, back) in DENIED
    smb.close()
