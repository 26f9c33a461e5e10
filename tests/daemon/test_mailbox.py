"""Notices that come by the mailbox, with a test in the place of smbd.

That nobody has read a notice yet needs no luck: cavad does not wait for a
mailbox, so it lies there until something else happens, or half a minute has
passed since there was a first mailbox, and /status answers meanwhile.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import signal
import socket
import subprocess
import sys

import pytest

from cavad_peer import (CLEAN, CLOSE, NONE, NOT_OWED, WILL_WRITE, Peer, decode,
                        encode, ident)
from cavad_world import EICAR, ROOT, World, wait_for


@pytest.fixture(scope="module")
def world():
    world = World(servers=None)
    world.start()
    yield world
    world.close()


@pytest.fixture
def own():
    world = World()
    world.start()
    yield world
    world.close()


def pending(world):
    return world.status()["pending_scans"]


def scanned(path):
    return "security.cava" in os.listxattr(path)


def verdict_comes(path):
    wait_for("its record", lambda: scanned(path))


def test_nobody_is_woken_before_the_bell(own):
    path = own.file("quiet", b"hold")
    with Peer(own, mailbox=True) as peer:
        assert peer.mailbox_taken == 1
        peer.notice(WILL_WRITE, path)
        last = peer.notice(CLOSE, path)
        for _ in range(3):
            assert pending(own) == 0
        assert own.clamd.scans == 0
        peer.ring()
        assert own.clamd.held.acquire(timeout=20)
        peer.acked(last)
        assert pending(own) == 1
        own.clamd.go.set()
        verdict_comes(path)
        assert peer.silent()    # no ACK wakes anybody either


def test_who_asks_why_is_told(own):
    """An administrator, between the close and the bell."""
    path = own.file("why", b"hold")
    with Peer(own, mailbox=True) as peer:
        peer.notice(CLOSE, path)
        told = own.cavactl("explain", str(path)).stdout.decode()
        assert "under way" in told, told
        assert "none is owed" not in told
        assert own.clamd.held.acquire(timeout=20)
        own.clamd.go.set()
        verdict_comes(path)


def test_looked_at_without_a_bell(own):
    """As of an smbd that is blocked in a system call."""
    path = own.file("blocked", b"hold")
    with Peer(own, mailbox=True) as peer:
        last = peer.notice(CLOSE, path)
        assert own.clamd.held.acquire(timeout=90)
        own.clamd.go.set()
        peer.acked(last)
        verdict_comes(path)


# A process that writes a file and is killed before it rings.
WRITER = """
import sys
sys.path[:0] = %r
from types import SimpleNamespace
from pathlib import Path
from cavad_peer import Peer
world = SimpleNamespace(ipc_socket=%r, root=Path(%r))
peer = Peer(world, mailbox=True)
for kind in %r:
    peer.notice(kind, %r)
print("said", flush=True)
sys.stdin.read()
"""


def writer(world, path, *kinds):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER % (
            [str(ROOT / "tests" / "daemon")], str(world.ipc_socket),
            str(world.root), kinds, str(path))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "said\n"
    return process


@pytest.mark.parametrize("kinds", [(WILL_WRITE,), (WILL_WRITE, CLOSE),
                                   (CLOSE,)])
def test_killed_before_the_bell(own, kinds):
    path = own.file("killed", EICAR)
    smbd = writer(own, path, *kinds)
    assert pending(own) == 0 and not scanned(path)
    smbd.kill()
    smbd.wait()
    verdict_comes(path)
    wait_for("nothing pending", lambda: pending(own) == 0)
    assert "smbd" not in own.cavad.log().splitlines()[-1]    # no complaint


def test_killed_before_a_bell_is_heard(own):
    """With ACKs that it never read: recv says ECONNRESET first. RING, and a
    notice that had no room in the mailbox, come after that has ended."""
    first, second = own.file("first"), own.file("second")
    third = own.file("third")
    peer = Peer(own, mailbox=True)
    peer.notice(CLOSE, first)
    peer.ring()
    verdict_comes(first)
    own.cavad.popen.send_signal(signal.SIGSTOP)
    try:
        peer.notice(CLOSE, second)
        peer.ring()
        peer.seq += 1
        peer.send("NOTICE", seq=peer.seq, kind=CLOSE, path=str(third),
                  ident=ident(third))
        peer.close()
    finally:
        own.cavad.popen.send_signal(signal.SIGCONT)
    verdict_comes(second)
    verdict_comes(third)
    assert own.status()["system_stats"]["ipc_errors"] == 0


def test_a_question_after_it(own):
    """On the same connection: it overtakes no notice."""
    path = own.file("asked", b"hold")
    with Peer(own, mailbox=True) as peer:
        said = peer.answer(peer.ask(path, owed_only=1))
        assert (said.result, said.reason) == (NONE, NOT_OWED)
        peer.notice(CLOSE, path)
        id_ = peer.ask(path, owed_only=1)
        assert own.clamd.held.acquire(timeout=20)
        own.clamd.go.set()
        assert peer.answer(id_).result == CLEAN


@pytest.mark.parametrize("other", [True, None])
def test_a_question_of_another(own, other):
    """Nor one of another smbd's."""
    path = own.file("asked", b"hold")
    with Peer(own, mailbox=other) as asker, \
            Peer(own, mailbox=True) as writer_:
        writer_.notice(CLOSE, path)
        id_ = asker.ask(path, owed_only=1)
        assert own.clamd.held.acquire(timeout=20)
        own.clamd.go.set()
        assert asker.answer(id_).result == CLEAN


def test_a_question_before_hello_is_read(own):
    """Of a connection that cavad has not even accepted."""
    path = own.file("asked", b"hold")
    hello = encode("HELLO", pid=1, share="share", root=str(own.root),
                   client="192.0.2.9")
    with Peer(own) as asker:
        own.cavad.popen.send_signal(signal.SIGSTOP)
        id_ = asker.ask(path, owed_only=1)
        with Peer(own, hello=False) as late:
            socket.send_fds(late.sock, [hello], late.mailbox(True))
            late.notice(CLOSE, path)
            own.cavad.popen.send_signal(signal.SIGCONT)
            assert own.clamd.held.acquire(timeout=20)
            own.clamd.go.set()
            assert asker.answer(id_).result == CLEAN


def test_cavad_stops(own):
    """It takes what lies there: a smbd that was killed could not spool it."""
    path = own.file("stopped", b"hold")
    with Peer(own, mailbox=True) as peer:
        peer.notice(CLOSE, path)
        assert pending(own) == 0
        assert own.cavad.stop() == 0
    assert not scanned(path)
    own.clamd.go.set()
    own.start()
    verdict_comes(path)


def test_more_than_are_taken_at_a_time(own):
    """5000, at each EAGAIN a bell; ACKs in their order."""
    path = own.file("many")
    with Peer(own, mailbox=True) as peer:
        while peer.seq < 5000:
            peer.box.setblocking(False)
            try:
                peer.notice(WILL_WRITE if peer.seq % 2 == 0 else CLOSE, path)
            except BlockingIOError:
                peer.seq -= 1
                peer.ring()
                peer.box.settimeout(20)
                seq = decode(peer.box.recv(64)).seq
                assert seq <= peer.seq
        peer.box.settimeout(20)
        peer.ring()
        peer.acked(5000)
    wait_for("nothing pending", lambda: pending(own) == 0)


def test_acks_that_find_no_room(world):
    """They come by the connection then."""
    path = world.file("no-room")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    with ours, theirs, Peer(world, mailbox=theirs.fileno()) as peer:
        peer.box = ours
        peer.sock.settimeout(0.05)
        got = None
        while got is None:
            peer.notice(CLOSE, path)
            peer.ring()
            assert peer.seq < 1000
            try:
                got = decode(peer.sock.recv(64))
            except TimeoutError:
                pass
        assert got.message == "ACK" and 1 < got.seq <= peer.seq


@pytest.mark.parametrize("frame, why", [
    (b"x", "no sense"), (b"\0" * 16385, "too long"),
    (encode("ASK", id=1), "not only notices"),
    (encode("HELLO"), "not only notices"),
    (encode("RING"), "not only notices"),
    (encode("NOTICE", seq=0), "no known kind or order"),
    (encode("NOTICE", seq=1, kind=3), "no known kind or order"),
    (encode("NOTICE", seq=1, version=77), "different versions"),
])
def test_nonsense_in_the_mailbox(world, frame, why):
    before = world.status()["system_stats"]["ipc_errors"]
    with Peer(world, mailbox=True) as peer:
        peer.box.send(frame)
        peer.send("CANCEL", id=1)
        assert peer.closed()
    assert world.status()["system_stats"]["ipc_errors"] == before + 1
    assert why in world.cavad.log().splitlines()[-1]
    with Peer(world, mailbox=True) as good:
        assert good.mailbox_taken == 1


def test_bell_without_its_notice(world):
    for mailbox in (None, True):
        with Peer(world, mailbox=mailbox) as peer:
            peer.send("RING", seq=1)
            assert peer.closed()
        assert "is missing" in world.cavad.log().splitlines()[-1]


def descriptors():
    file = os.open("/dev/null", os.O_RDWR)
    pipe, other = os.pipe()
    os.close(other)
    stream, _ = socket.socketpair()
    datagram, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    alone = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listens = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listens.bind("")
    listens.listen()
    inet = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    return {"file": file, "pipe": pipe,
            **{name: s.detach() for name, s in dict(
                stream=stream, datagram=datagram, alone=alone,
                listens=listens, inet=inet).items()}}


@pytest.mark.parametrize("kind", descriptors())
def test_what_is_no_mailbox(world, kind):
    fds = descriptors()
    with pytest.raises((AssertionError, ConnectionResetError)):
        Peer(world, mailbox=fds[kind])
    assert "a mailbox that is none" in world.cavad.log().splitlines()[-1]
    for fd in fds.values():
        os.close(fd)


def fds_of(world):
    return len(os.listdir("/proc/%d/fd" % world.cavad.popen.pid))


@pytest.fixture
def few():
    """A cavad that has no more than 128 descriptors, nor the right to more."""
    world = World()
    world.start(prefix=("prlimit", "--nofile=128:128", "setpriv",
                        "--bounding-set=-sys_resource"))
    yield world
    world.close()


def test_given_back(few):
    """Near the limit of descriptors, where connections come first."""
    peers = [Peer(few, mailbox=True)]
    while peers[-1].mailbox_taken == 1:
        before = fds_of(few)
        peers.append(Peer(few, mailbox=True))
    last = peers.pop()
    assert 96 <= fds_of(few) == before + 1
    assert peers and last.box.recv(1) == b""
    last.box = None
    path = few.file("given-back")
    last.acked(last.notice(CLOSE, path))
    verdict_comes(path)
    for _ in range(4):      # a scan may have taken some, for longer
        peers.pop().close()
    wait_for("their end", lambda: fds_of(few) <= before - 4)
    with Peer(few, mailbox=True) as peer:
        assert peer.mailbox_taken == 1
    for peer in [last, *peers]:
        peer.close()


def test_no_descriptor_stays(own):
    """Of several that come with a message, or with a later one, none but the
    mailbox is kept, and that not for longer than the connection."""
    with Peer(own):
        before = fds_of(own)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    hello = encode("HELLO", pid=1, share="share", root=str(own.root))
    with ours, theirs, Peer(own, hello=False) as peer:
        socket.send_fds(peer.sock, [hello], [theirs.fileno()] * 5)
        assert peer.receive("CONFIG").mailbox == 1
        socket.send_fds(peer.sock, [encode("CANCEL", id=1)],
                        [theirs.fileno()])
        said = peer.answer(peer.ask(own.file("a"), owed_only=1))
        assert said.result == NONE
        assert fds_of(own) == before + 1
    wait_for("their end", lambda: own.status()["smb_connections"] == 0)
    with Peer(own):
        assert fds_of(own) == before


def test_mailbox_that_is_closed(own):
    """By whoever goes on without: what it says on the connection counts."""
    paths = [own.file("closed-%d" % i) for i in range(2)]
    with Peer(own, mailbox=True) as peer:
        peer.notice(CLOSE, paths[0])
        peer.box.close()
        peer.box = None
        last = peer.notice(CLOSE, paths[1])
        peer.acked(last)
    for path in paths:
        verdict_comes(path)
