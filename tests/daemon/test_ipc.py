"""cavad's scan socket, with a test in the place of smbd.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import select
import signal
import socket
import struct
import subprocess
import sys

import pytest

from cavad_peer import (CLEAN, CLOSE, FAILED, FULL, INFECTED, LIST, MESSAGES,
                        NONE, NOT_OWED, OPEN, RENAME, TIMEOUT, TREE, VERSION,
                        WILL_WRITE, Peer, encode, ident)
from cavad_world import EICAR, ROOT, THREAT, World, wait_for

PROTO_MAX = 16384
STR_MAX = 4200


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


def stat(world, name):
    return world.status()["system_stats"][name]


# Who may, and what is no message.

def test_table_is_that_of_proto_def():
    text = (ROOT / "common" / "proto.def").read_text()
    for name, (number, fields) in MESSAGES.items():
        assert "PROTO(%d, %s, " % (number, name) in text
        rows = text.split("PROTO_FIELDS_%s(F)" % name.lower(), 1)[1]
        rows = rows.split("\n\n")[0]
        assert [tuple(r.split(")")[0].split(", "))
                for r in rows.split("F(")[1:]] == fields
    assert text.count("\nPROTO(") == len(MESSAGES)


CONNECT = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.connect(sys.argv[1])
    s.send(bytes.fromhex(sys.argv[2]))
    print("got", len(s.recv(65536)))
except OSError as error:
    print(type(error).__name__)
"""


def connect_as(world, user):
    hello = encode("HELLO").hex()
    return subprocess.run(
        ["setpriv", "--reuid=" + user, "--regid=nogroup", "--clear-groups",
         "--", "/usr/bin/python3", "-c", CONNECT, str(world.ipc_socket),
         hello], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        timeout=30).stdout.strip()


def test_only_root(own):
    assert connect_as(own, "nobody") == "PermissionError"
    assert connect_as(own, "daemon") == "PermissionError"
    # Nor when the mode of the socket is not what keeps it out.
    own.ipc_socket.chmod(0o666)
    for user in ("nobody", "daemon"):
        assert connect_as(own, user) in ("got 0", "ConnectionResetError",
                                         "BrokenPipeError")
    wait_for("the log", lambda: "is not root" in own.cavad.log())
    assert stat(own, "ipc_errors") == 2
    assert own.status()["smb_connections"] == 0


def garbage(text):
    return struct.pack("<IHH", 8 + len(text), VERSION, 3) + text


@pytest.mark.parametrize("hello", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("frame, why", [
    pytest.param(encode("ASK", version=VERSION + 1),
                 "different versions", id="another version"),
    pytest.param(encode("ASK", version=0), "different versions",
                 id="version 0"),
    pytest.param(b"x", "no sense", id="one byte"),
    pytest.param(b"\xff" * 100, "no sense", id="ff"),
    pytest.param(struct.pack("<IHH", 8, VERSION, 0), "no sense",
                 id="number 0"),
    pytest.param(struct.pack("<IHH", 8, VERSION, 99), "no sense",
                 id="number 99"),
    pytest.param(struct.pack("<IHH", 8, VERSION, 3), "no sense",
                 id="empty ASK"),
    pytest.param(garbage(b"\xff" * 80), "no sense", id="ASK of ff"),
    pytest.param(encode("ASK")[:-1], "no sense", id="cut"),
    pytest.param(encode("ASK") + b"x", "no sense", id="tail"),
    pytest.param(b"\0" * (PROTO_MAX + 1), "too long", id="oversized"),
    pytest.param(encode("ASK", path="x" * (STR_MAX + 1)), "no sense",
                 id="long string"),
    pytest.param(encode("ASK", path="a\0b"), "no sense", id="NUL"),
    pytest.param(encode("ACK"), "HELLO", id="ACK"),
    pytest.param(encode("CONFIG"), "HELLO", id="CONFIG"),
])
def test_nonsense_ends_the_connection(world, hello, frame, why):
    before = stat(world, "ipc_errors")
    with Peer(world, hello=hello) as peer:
        peer.sock.send(frame)
        assert peer.closed()
    assert stat(world, "ipc_errors") == before + 1
    if why == "HELLO" and hello:
        why = "only cavad sends"
    assert why in world.cavad.log().splitlines()[-1]
    assert world.status()["smb_connections"] == 0


@pytest.mark.parametrize("name", ["ASK", "CANCEL", "NOTICE", "CHECK"])
def test_hello_comes_first(world, name):
    with Peer(world, hello=False) as peer:
        peer.send(name)
        assert peer.closed()


def test_hello_comes_once(world):
    with Peer(world) as peer:
        peer.send("HELLO")
        assert peer.closed()


def test_one_id_twice(world):
    world.clamd.go.clear()
    path = world.file("id-twice", b"hold")
    with Peer(world) as peer:
        peer.ask(path, id=7)
        peer.ask(path, id=7)
        assert peer.closed()
    world.clamd.go.set()


@pytest.mark.parametrize("read_config", [False, True])
def test_last_words_of_a_smbd(own, read_config):
    """It sends a notice and is gone before cavad looks: with an answer that
    it never read (recv says ECONNRESET first), or before cavad could send
    one (send says EPIPE)."""
    path = own.file("last%d" % read_config, b"hold")
    before = own.status()["pending_scans"]
    peer = Peer(own, hello=False)
    hello = encode("HELLO", pid=1, share="share", root=str(own.root),
                   client="192.0.2.9")
    if read_config:
        peer.sock.send(hello)
        assert select.select([peer.sock], [], [], 20)[0]    # and not read
    own.cavad.popen.send_signal(signal.SIGSTOP)
    try:
        if not read_config:
            peer.sock.send(hello)
        peer.notice(CLOSE, path)
        peer.close()
    finally:
        own.cavad.popen.send_signal(signal.SIGCONT)
    wait_for("the notice to be owed",
             lambda: own.status()["pending_scans"] == before + 1)
    own.clamd.go.set()
    wait_for("its verdict", lambda: "security.cava" in os.listxattr(path))


def test_unknown_kinds(world):
    path = world.file("kinds")
    for send in (lambda p: p.notice(3, path), lambda p: p.notice(1, path,
                                                                 seq=0),
                 lambda p: p.send("CHECK", id=1, what=250)):
        with Peer(world) as peer:
            send(peer)
            assert peer.closed()


def test_config():
    world = World("denial = access_denied\nscan_timeout = 7\n"
                  "scan_size_maximum = 5M",
                  servers="[filter Other]\nscan_profile = strict\n"
                          "open_on_fail = no\n")
    try:
        world.launch().wait_log("ready")
        with Peer(world) as peer:
            f = peer.filter
            assert (f.enabled, f.profile, f.open_on_fail, f.denial) == (
                1, 0, 1, 1)
            assert (f.scan_timeout, f.sync_wait, f.size_maximum) == (
                7000, 2000, 5 << 20)
            assert world.status()["smb_connections"] == 1
        with Peer(world, zone="Other") as peer:
            assert (peer.filter.profile, peer.filter.open_on_fail) == (1, 0)
        # what a module reads while cavad is away says the same
        filters = dict(line.split() for line in (
            world.state / "filters").read_text().splitlines())
        assert set(filters) == {"System", "Other"}
        assert bytes.fromhex(filters["Other"])[:4] == b"\1\1\0\1"
        wait_for("no connection", lambda: world.status()[
            "smb_connections"] == 0)
    finally:
        world.close()


# Questions.

def test_answers(world):
    with Peer(world) as peer:
        path = world.file("clean")
        said = peer.answer(peer.ask(path))
        assert (said.result, said.threat, said.server) == (CLEAN, "", "av")
        st = os.stat(path)
        assert (said.content.size, said.content.mtime, said.content.ctime) \
            == (st.st_size, st.st_mtime_ns, st.st_ctime_ns)
        path = world.file("eicar", EICAR)
        said = peer.answer(peer.ask(path))
        assert (said.result, said.threat) == (INFECTED, THREAT)
        # a name that leads elsewhere is a hint only
        said = peer.answer(peer.ask(path, path="/nowhere"))
        assert said.result == FAILED    # it has no handle to open it by


def test_owed_only(world):
    path = world.file("owed-only")
    with Peer(world) as peer:
        said = peer.answer(peer.ask(path, owed_only=1))
        assert (said.result, said.reason) == (NONE, NOT_OWED)
        peer.notice(CLOSE, path)
        said = peer.answer(peer.ask(path, owed_only=1))
        assert said.result in (CLEAN, NONE)     # NONE: it is done by now


def test_owed_by_a_notice_not_read_yet(own):
    """A question overtakes no notice that was sent before it."""
    path = own.file("hold-owed", b"hold")
    with Peer(own) as asker, Peer(own) as writer:
        own.cavad.popen.send_signal(signal.SIGSTOP)
        # cavad finds both at once, the asker's connection first
        id_ = asker.ask(path, owed_only=1)
        writer.notice(CLOSE, path)
        own.cavad.popen.send_signal(signal.SIGCONT)
        assert own.clamd.held.acquire(timeout=20)
        assert asker.silent()
        own.clamd.go.set()
        assert asker.answer(id_).result == CLEAN


def test_wait_and_cancel(own):
    path = own.file("hold-wait", b"hold")
    with Peer(own) as peer:
        said = peer.answer(peer.ask(path, wait_ms=50))
        assert (said.result, said.reason) == (FAILED, TIMEOUT)
        id_ = peer.ask(path)
        peer.send("CANCEL", id=id_)
        peer.send("CANCEL", id=12345)
        last = peer.ask(path)
        own.clamd.go.set()
        assert peer.answer(last).result == CLEAN
        assert peer.silent()    # nothing about the one that was cancelled
    assert own.clamd.scans == 1


def test_flood_of_questions(own):
    """1024 at a time; what is over is told so at once."""
    path = own.file("hold-flood", b"hold")
    with Peer(own) as peer:
        for _ in range(1024):
            last = peer.ask(path)
        refused = [peer.answer(peer.ask(path)) for _ in range(50)]
        assert {(r.result, r.reason) for r in refused} == {(FAILED, FULL)}
        for id_ in range(11, last + 1):
            peer.send("CANCEL", id=id_)
        own.clamd.go.set()
        for id_ in range(1, 11):
            assert peer.answer(id_).result == CLEAN
    assert own.clamd.scans == 1


def test_answers_not_taken(own):
    """Whoever asks and never reads is cut off; others are served."""
    path = own.file("not-taken")
    with Peer(own) as good:
        assert good.answer(good.ask(path)).result == CLEAN
        bad = Peer(own)
        bad.sock.settimeout(5)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(20000):
                bad.ask(path)
        bad.close()
        assert "does not take its answers" in own.cavad.log()
        assert good.answer(good.ask(path)).result == CLEAN
    wait_for("no connection", lambda: own.status()["smb_connections"] == 0)


def test_gone_with_questions_outstanding(own):
    path = own.file("hold-gone", b"hold " + EICAR)
    peers = [Peer(own) for _ in range(10)]
    for peer in peers:
        for _ in range(10):
            peer.ask(path)
        peer.ask(own.root / "hold-gone", owed_only=1)
    assert own.clamd.held.acquire(timeout=20)
    for peer in peers:
        peer.close()
    wait_for("all gone", lambda: own.status()["smb_connections"] == 0)
    own.clamd.go.set()
    wait_for("the scan", lambda: stat(own, "files_processed") == 1)
    assert own.cavad.stop() == 0


# Notices.

def test_close_is_scanned(world):
    path = world.file("closed", EICAR)
    with Peer(world) as peer:
        peer.acked(peer.notice(CLOSE, path))
        wait_for("its record", lambda: "security.cava" in os.listxattr(path))
        peer.acked(peer.notice(RENAME, path))
    assert "user DOM\\u, client 192.0.2.9" in world.cavad.log()
    wait_for("nothing pending", lambda: world.status()[
        "pending_scans"] == 0)


def test_acks_in_order(world):
    """Also for one that sends 5000 notices before it reads."""
    path = world.file("many-notices")
    with Peer(world) as peer:
        for kind in (WILL_WRITE, CLOSE):
            before = peer.seq
            for _ in range(5000):
                last = peer.notice(kind, path)
            while before < last:
                seq = peer.receive("ACK").seq
                assert before < seq <= last
                before = seq
    wait_for("nothing pending", lambda: world.status()[
        "pending_scans"] == 0)


def test_writer_is_waited_for(own):
    """WILL_WRITE alone starts no scan, and leaves something to do."""
    path = own.file("being-written", b"hold")
    with Peer(own) as peer:
        peer.acked(peer.notice(WILL_WRITE, path))
        assert own.status()["pending_scans"] == 1
        assert own.clamd.scans == 0
        peer.acked(peer.notice(CLOSE, path))
        assert own.clamd.held.acquire(timeout=20)
        assert own.status()["pending_scans"] == 1
        own.clamd.go.set()
        wait_for("nothing pending", lambda: own.status()[
            "pending_scans"] == 0)


def test_lost_connection_queues_what_it_wrote(own):
    path = own.file("lost-writer", EICAR)
    peer = Peer(own)
    for _ in range(2):
        last = peer.notice(WILL_WRITE, path)
    peer.acked(last)
    peer.close()
    wait_for("its record", lambda: "security.cava" in os.listxattr(path))
    wait_for("nothing pending", lambda: own.status()["pending_scans"] == 0)
    assert THREAT in own.cavad.log()


def test_ack_means_committed(own):
    """Killed at the very moment of the ACK: nothing is forgotten."""
    paths = [own.file("kill-%d" % i, b"hold") for i in range(20)]
    with Peer(own) as peer:
        for path in paths:
            last = peer.notice(CLOSE, path)
        peer.acked(last)
        own.cavad.stop(signal.SIGKILL)
    own.clamd.go.set()
    own.start()
    for path in paths:
        wait_for("a record on " + path.name,
                 lambda: "security.cava" in os.listxattr(path))
    wait_for("nothing pending", lambda: own.status()["pending_scans"] == 0)


def test_gone_file_is_no_debt(own):
    path = own.file("short-lived")
    who = ident(path)
    path.unlink()
    with Peer(own) as peer:
        peer.acked(peer.notice(CLOSE, path, ident=who))
        wait_for("nothing pending", lambda: own.status()[
            "pending_scans"] == 0)


def test_spool_is_read(own):
    """Frames as the module leaves them when cavad is away."""
    assert own.cavad.stop() == 0
    path = own.file("spooled", EICAR)
    frames = b""
    for notice in (b"nonsense", encode("CANCEL", id=1), encode(
            "NOTICE", seq=1, kind=CLOSE, ident=ident(path),
            path=str(path))):
        frames += struct.pack("<I", len(notice)) + notice
    spool = own.spool / "notices"
    spool.write_bytes(frames)
    spool.chmod(0o600)
    own.start()
    wait_for("its record", lambda: "security.cava" in os.listxattr(path))
    own.cavad.wait_log("1 notices were taken from the spool")
    assert "1 notices in the spool make no sense" in own.cavad.log()
    assert "12 bytes are no notices" in own.cavad.log()
    wait_for("an empty spool", lambda: not [
        f for f in own.spool.iterdir() if f.stat().st_size])


# CHECK$.

CEE = "[server av]\nserver_uri = cee://%s/vee\nfetch_addresses = %s\n"


@pytest.fixture
def cee():
    """A world whose server fetches: tests/fakes/fake_cee.py."""
    world = World()
    rules = world.dir / "fake" / "rules"
    fake = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/fakes/fake_cee.py"), "--listen",
         "127.0.0.1:0", "--dir", str(world.dir / "fake")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        address = fake.stdout.readline().split()[-1]
        world.conf = world.write_conf(
            "cee.conf", servers=CEE % (address, "127.0.0.1"),
            ip_pool="127.0.0.1")
        world.go = world.dir / "go"
        (rules / "default").write_text("wait %s\n" % world.go)
        world.start()
        with Peer(world, role=1) as module:
            world.module = module
            yield world
    finally:
        fake.terminate()
        fake.communicate()
        world.close()


def add_account(world, account):
    reply = world.call("POST", "/platform/11/avscan/avvendor",
                       {"account": account})
    assert reply.code == 201


def asked(world, peer, path):
    """The server was asked about it and has not answered."""
    id_ = peer.ask(path)
    log = world.dir / "fake" / "log.jsonl"
    wait_for("the request", lambda: log.exists() and
             path.name in log.read_text())
    return id_


def test_check_tree(cee):
    said = cee.module.check(TREE)
    assert not said.allowed
    assert "cavactl avvendor add 'HOST\\av'" in said.reason
    add_account(cee, "av")
    assert cee.module.check(TREE).allowed
    assert not cee.module.check(TREE, local=0).allowed
    assert not cee.module.check(TREE, account="HOST\\other").allowed
    said = cee.module.check(TREE, server_addr="127.0.0.2")
    assert not said.allowed and "ip_pool" in said.reason
    assert stat(cee, "check_refused") == 4
    about = [e["about"] for e in cee.status()["events"]]
    assert "HOST\\av@127.0.0.1" in about
    # in force at once
    assert cee.call("DELETE",
                    "/platform/11/avscan/avvendor/av").code == 204
    assert not cee.module.check(TREE).allowed


def test_fetched_and_clean(cee):
    add_account(cee, "av")
    path, other = cee.file("fetched"), cee.file("other")
    with Peer(cee) as smbd:
        id_ = asked(cee, smbd, path)
        assert cee.module.check(LIST, cee.root).names == "fetched\n"
        said = cee.module.check(OPEN, other)
        assert not said.allowed and "nobody asked" in said.reason
        said = cee.module.check(OPEN, path, addr="127.0.0.3")
        assert not said.allowed and "fetch_addresses" in said.reason
        assert cee.module.check(OPEN, path).allowed
        cee.go.touch()
        assert smbd.answer(id_).result == CLEAN
    # within check_grace
    assert cee.module.check(OPEN, path).allowed


def test_not_fetched_is_not_clean(cee):
    add_account(cee, "av")
    path = cee.file("not-fetched")
    with Peer(cee) as smbd:
        id_ = asked(cee, smbd, path)
        # refused opens are none
        assert not cee.module.check(OPEN, path, addr="127.0.0.3").allowed
        cee.go.touch()
        said = smbd.answer(id_)
    assert said.result == FAILED
    assert "security.cava" not in os.listxattr(path)
    assert any(e["name"] == "CAVA_NOT_FETCHED" for e in
               cee.status()["events"])


def test_wrong_inode_voids(cee):
    add_account(cee, "av")
    path, other = cee.file("wrong"), cee.file("wrong-other")
    with Peer(cee) as smbd:
        id_ = asked(cee, smbd, path)
        assert cee.module.check(OPEN, path).allowed
        said = cee.module.check(OPEN, path, ident=ident(other))
        assert not said.allowed and "not the file" in said.reason
        cee.go.touch()
        # It is scanned again, and this time nobody fetches it.
        assert smbd.answer(id_).result == FAILED
    assert "security.cava" not in os.listxattr(path)


def test_swapped_files_void_both(cee):
    """Each under the other's name: neither gets the other's verdict."""
    add_account(cee, "av")
    one, two = cee.file("swap-1"), cee.file("swap-2", EICAR)
    with Peer(cee) as smbd:
        ids = [asked(cee, smbd, path) for path in (one, two)]
        for path, found in ((one, two), (two, one)):
            assert not cee.module.check(OPEN, path,
                                        ident=ident(found)).allowed
        cee.go.touch()
        assert [smbd.answer(i).result for i in ids] == [FAILED, FAILED]
    for path in (one, two):
        assert "security.cava" not in os.listxattr(path)
