"""Events about this host's own Samba: it does not answer where servers come
in, it has not the share for them, its module is of another version.

An smbd is played on an address of this test's own, port 445.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import signal
import socket
import struct
import threading

import pytest

from cavad_peer import VERSION, Peer, encode
from cavad_world import World, wait_for

NO_SMB = "SW_AVSCAN_CAVA_NO_SMB"
NO_SHARE = "SW_AVSCAN_CAVA_NO_SHARE"
FILTER = "SW_AVSCAN_CAVA_FILTER_OFFLINE"
SERVER = "[server av]\nserver_uri = cee://192.0.2.1/\n"

OK, PENDING = 0, 0x103
MORE, NO_SUCH_SHARE, DENIED = 0xC0000016, 0xC00000CC, 0xC0000022
SIGNED_IN = [OK, MORE, OK]
NOT_SMB = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class FakeSmbd:
    """Answers a connection's requests by a list, then says no more: numbers
    are statuses, bytes are said as they are."""

    def __init__(self, host):
        self.answers = []
        self.paths = []         # of shares that were asked for
        self.talks = 0          # that have ended
        self.listener = socket.create_server((host, 445))
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(20)
                self.talk(connection, list(self.answers))
                self.wait_end(connection)
            self.talks += 1

    def wait_end(self, connection):
        """cavad has judged what it got: it hangs up."""
        try:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(512):
                pass
        except OSError:
            pass

    def talk(self, connection, answers):
        while answers:
            request = self.receive(connection)
            if request is None:
                return
            while answers:
                said = answers.pop(0)
                connection.sendall(said if isinstance(said, bytes) else
                                   self.reply(request, said))
                if said != PENDING:
                    break

    def receive(self, connection):
        head = connection.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return None
        request = connection.recv(struct.unpack(">I", head)[0],
                                  socket.MSG_WAITALL)
        command, = struct.unpack_from("<H", request, 12)
        if command == 3:
            start, size = struct.unpack_from("<HH", request, 68)
            self.paths.append(request[start:start + size].decode("utf-16le"))
        return request

    def reply(self, request, status):
        command, = struct.unpack_from("<H", request, 12)
        number, = struct.unpack_from("<Q", request, 24)
        body = b"\t\0" + bytes(7)
        return struct.pack(">I", 64 + len(body)) + struct.pack(
            "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 0, status, command, 1, 1, 0,
            number, 0, 0, 0x77 if command else 0, b"") + body


@pytest.fixture
def world():
    world = World()
    i = world.dir.stat().st_ino
    world.host = "127.%d.%d.%d" % (1 + i // 64516 % 254, 1 + i // 254 % 254,
                                   1 + i % 254)
    world.smbds = []
    yield world
    for smbd in world.smbds:
        smbd.close()
    world.close()


def samba(world):
    smbd = FakeSmbd(world.host)
    world.smbds.append(smbd)
    return smbd


def start(world):
    world.write_conf("cavad.conf", servers=SERVER, ip_pool=world.host)
    world.cavad = world.launch()
    world.cavad.wait_log(" ready\n")


def look(world, smbd=None):
    """Looks now, as after any change; to its end."""
    before = smbd.talks if smbd else 0
    world.cavad.popen.send_signal(signal.SIGHUP)
    if smbd:
        wait_for("a look", lambda: smbd.talks > before)


def up(world, name):
    return [e for e in world.status()["events"] if e["name"] == name]


def listed(world, name):
    done = world.cavactl("--format", "json", "events")
    assert done.returncode == 0, done.stderr
    return [e for e in json.loads(done.stdout)["events"]
            if e["name"] == name]


def raised(world, name, smbd):
    """By two failures, then counted while it lasts."""
    look(world, smbd)
    look(world, smbd)
    event, = up(world, name)
    assert event["about"] == world.host
    look(world, smbd)
    assert up(world, name)[0]["count"] > event["count"]
    return event["message"]


def over(world, name):
    assert up(world, name) == []
    event, = listed(world, name)
    assert event["resolve_time"] is not None and event["count"] > 1


@pytest.mark.parametrize("answers, why", [
    ([NOT_SMB], "the answer is not SMB2"),
    ([b""], "the connection was ended"),
    ([b"\0\xff\xff\xff" + bytes(64)], "the answer is not SMB2"),
])
def test_no_smb(world, answers, why):
    smbd = samba(world)
    smbd.answers = answers
    start(world)
    message = raised(world, NO_SMB, smbd)
    assert "port 445: %s;" % why in message
    smbd.answers = [OK]
    look(world, smbd)
    over(world, NO_SMB)
    assert listed(world, NO_SHARE) == []


def test_nobody_listens(world):
    start(world)
    look(world)
    wait_for("the event", lambda: up(world, NO_SMB))
    assert "Connection refused" in up(world, NO_SMB)[0]["message"]
    smbd = samba(world)
    smbd.answers = SIGNED_IN + [DENIED]
    look(world, smbd)
    wait_for("its end", lambda: not up(world, NO_SMB))


def test_no_share(world):
    smbd = samba(world)
    smbd.answers = SIGNED_IN + [NO_SUCH_SHARE]
    start(world)
    message = raised(world, NO_SHARE, smbd)
    assert "no share CHECK$" in message and "--setup-share" in message
    assert set(smbd.paths) == {r"\\%s\CHECK$" % world.host}
    smbd.answers = SIGNED_IN            # it hangs up: no news
    look(world, smbd)
    assert up(world, NO_SHARE)
    smbd.answers = [OK, MORE, PENDING, OK, DENIED]
    look(world, smbd)
    over(world, NO_SHARE)
    assert listed(world, NO_SMB) == []


@pytest.mark.parametrize("answers", [
    [NO_SUCH_SHARE], [OK, NO_SUCH_SHARE], [OK, MORE, NO_SUCH_SHARE],
    SIGNED_IN + [OK], SIGNED_IN + [DENIED], SIGNED_IN + [NOT_SMB],
])
def test_nothing_is_proven(world, answers):
    smbd = samba(world)
    smbd.answers = answers
    start(world)
    for _ in range(3):
        look(world, smbd)
    smbd.answers = [b""]                # its event shows: all was judged
    raised(world, NO_SMB, smbd)
    assert listed(world, NO_SHARE) == []


def test_module_of_another_version(world):
    """smbd was not restarted after an update of both."""
    world.start()
    for count in (1, 2):
        with Peer(world, hello=False) as peer:
            peer.sock.send(encode("HELLO", version=VERSION + 1))
            assert peer.closed()
        wait_for("the event", lambda: [e["count"] for e in up(world, FILTER)]
                 == [count])
    assert "restart smbd" in up(world, FILTER)[0]["message"]
    Peer(world).close()
    assert up(world, FILTER)            # others may still be of that kind

    def settled():
        Peer(world).close()
        return not up(world, FILTER)
    wait_for("its end, 10 s after the last", settled)
    event, = listed(world, FILTER)
    assert event["resolve_time"] is not None and event["count"] == 2
