"""cee_agent when something around it goes wrong.

A real smbd; clamd is a fake that answers what and when a test wants.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import signal
import socket
import threading
import time

import pytest

from cee_agent_world import (AVINTERFACE, AV_NOT_FOUND, DETECT_VIRUS, FAIL,
                             PASSWORD, SUCCESS, TIMEOUT, FakeClamd, InThread,
                             World, children, connects, own_address,
                             scan_request,
                             wait_for)


@pytest.fixture(scope="module")
def world():
    w = World()
    w.file("f", b"content")
    yield w
    w.close()


@pytest.fixture
def clamd(world):
    fake = FakeClamd(world)
    yield fake
    fake.close()


@pytest.fixture
def agent(world, clamd):
    a = world.agent(clamd=clamd.path)
    yield a
    assert a.stop() == 0


def test_version_of_clamd(agent, world, clamd):
    # 2026-01-01 08:00:00 in the time zone of this machine
    when = int(time.mktime((2026, 1, 1, 8, 0, 0, 0, 0, -1)))
    reply = agent.heartbeat()
    assert reply.inner["avVendor"] == "ClamAV 9.9"
    assert reply.inner["signatureTime"] == str(when)
    reply = agent.scan(world.unc("f"))
    assert reply.status == SUCCESS
    assert reply.inner["signatureTime"] == str(when)
    clamd.version = b"OtherAV 1\0"
    assert agent.heartbeat().status == AV_NOT_FOUND
    clamd.version = b"\0"
    assert agent.heartbeat().status == AV_NOT_FOUND
    clamd.version = b"ClamAV 10\0"
    reply = agent.heartbeat()
    assert reply.status == SUCCESS
    assert "signatureTime" not in reply.inner


@pytest.mark.parametrize("reply, status, limit", [
    (b"stream: OK\0", SUCCESS, False),
    (b"stream: A<b>&\"\xff\x01 FOUND\0", DETECT_VIRUS, False),
    (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", FAIL, True),
    (b"stream: Heuristics.Encrypted.Zip FOUND\0", FAIL, True),
    (b"INSTREAM size limit exceeded. ERROR\0", FAIL, True),
    (b"stream: Can't allocate memory ERROR\0", AVINTERFACE, False),
    (b"stream: OK", SUCCESS, False),        # it hung up after that
    (b"stream: OKAY\0", AVINTERFACE, False),
    (b"stream: ok\0", AVINTERFACE, False),
    (b"OK\0", AVINTERFACE, False),
    (b"stream: \0", AVINTERFACE, False),
    (b"stream:  FOUND\0", AVINTERFACE, False),
    (b"stream: FOUND\0", AVINTERFACE, False),
    (b"UNKNOWN COMMAND\0", AVINTERFACE, False),
    (b"\0", AVINTERFACE, False),
    (b"", AVINTERFACE, False),
    (b"x" * 5000 + b"\0", AVINTERFACE, False),
    (b"stream: " + b"V" * 900 + b" FOUND\0", DETECT_VIRUS, False),
], ids=range(18))
def test_answers_of_clamd(agent, world, clamd, reply, status, limit):
    clamd.reply = reply
    answer = agent.scan(world.unc("f"))
    assert (answer.status, answer.limit) == (status, limit), answer
    assert bool(answer.inner.get("threat")) == (status == DETECT_VIRUS)
    assert clamd.done == [7]


@pytest.mark.parametrize("reply, status", [
    (b"stream: OK\0", AVINTERFACE),
    (b"INSTREAM size limit exceeded. ERROR\0", FAIL),
    (b"stream: Early FOUND\0", DETECT_VIRUS),
    (b"", AVINTERFACE)], ids=range(4))
def test_answer_before_the_end(agent, world, clamd, reply, status):
    world.file("long", os.urandom(8 << 20))
    clamd.early = 1
    clamd.reply = reply
    assert agent.scan(world.unc("long")).status == status


@pytest.fixture
def one(world, clamd):
    """An agent with one worker, so with one session."""
    a = world.agent(clamd=clamd.path, workers="1")
    yield a
    assert a.stop() == 0


def test_a_session_goes_on(one, world, clamd):
    for _ in range(3):
        assert one.scan(world.unc("f")).status == SUCCESS
    clamd.reply = b"stream: Bad.Thing FOUND\0"
    assert one.scan(world.unc("f")).status == DETECT_VIRUS
    clamd.reply = b"stream: OK\0"
    assert one.scan(world.unc("f")).status == SUCCESS
    assert (clamd.connections, clamd.done) == (1, [7] * 5)
    clamd.reply = b"stream: lstat() failed ERROR\0"
    assert one.scan(world.unc("f")).status == AVINTERFACE
    clamd.reply = b"stream: OK\0"
    assert one.scan(world.unc("f")).status == SUCCESS
    assert clamd.connections == 2


def test_a_session_that_is_over_meanwhile(one, world, clamd):
    clamd.sessions = False
    for _ in range(3):
        assert one.scan(world.unc("f")).status == SUCCESS
    assert (clamd.connections, clamd.done) == (3, [7] * 3)


@pytest.mark.parametrize("by", [-1, 1])
def test_an_answer_to_another_file(one, world, clamd, by):
    """In a session that went on it is asked again in a new one."""
    clamd.miscounts = by
    assert one.scan(world.unc("f")).status == AVINTERFACE
    assert clamd.connections == 1
    clamd.miscounts = 0
    assert one.scan(world.unc("f")).status == SUCCESS
    clamd.miscounts = by
    assert one.scan(world.unc("f")).status == AVINTERFACE
    assert clamd.connections == 3


def test_a_session_in_which_clamd_is_late(one, world, clamd):
    """A file that takes its time is not asked about twice."""
    assert one.scan(world.unc("f")).status == SUCCESS
    clamd.gate = threading.Event()
    assert one.scan(world.unc("f"), timeout=1).status == TIMEOUT
    clamd.gate.set()
    assert one.scan(world.unc("f")).status == SUCCESS
    assert (clamd.connections, clamd.streams) == (2, 3)


def test_small_files_are_handed_over(agent, world, clamd):
    """What one worker hands over next is another file, whole and alone."""
    for content in (b"a" * 70000, b"b", b"", b"c" * (1 << 20)):
        world.file("small", content)
        assert agent.scan(world.unc("small")).status == SUCCESS
        assert clamd.content == content
    world.file("small", b"d" * ((1 << 20) + 1))
    assert agent.scan(world.unc("small")).status == SUCCESS
    assert clamd.content == b"c" * (1 << 20)    # that one was a stream
    assert clamd.done == [70000, 1, 0, 1 << 20, (1 << 20) + 1]


def test_eight_streams_at_once(world, clamd):
    a = world.agent(clamd=clamd.path, workers=8)
    clamd.gate = threading.Event()
    threads = [InThread(a.scan, world.unc("f"), ident=i) for i in range(8)]
    clamd.wait_streams(8)
    # and heartbeats are answered meanwhile
    assert a.heartbeat().status == SUCCESS
    ninth = InThread(a.scan, world.unc("f"), ident=8)
    clamd.gate.set()
    for i, thread in enumerate(threads + [ninth]):
        reply = thread.result()
        assert reply.status == SUCCESS
        assert reply.inner["id"] == str(i)
    a.stop()


def test_all_workers_are_busy(agent, world, clamd):
    clamd.gate = threading.Event()
    threads = [InThread(agent.scan, world.unc("f")) for _ in range(4)]
    clamd.wait_streams(4)
    reply = agent.scan(world.unc("f"), timeout=1)
    assert reply.status == TIMEOUT and "busy" in reply.detail
    clamd.gate.set()
    for thread in threads:
        assert thread.result().status == SUCCESS
    assert clamd.streams == 4


def test_killed_workers(agent, world, clamd):
    clamd.gate = threading.Event()
    before = agent.workers()
    assert len(before) == 5
    thread = InThread(agent.scan, world.unc("f"))
    clamd.wait_streams(1)
    for pid in before:
        os.kill(pid, 9)
    reply = thread.result()
    assert reply.status == FAIL and "died" in reply.detail
    clamd.gate.set()
    wait_for("five new workers", lambda: len(agent.workers()) == 5 and
             not set(before) & set(agent.workers()))
    assert agent.scan(world.unc("f")).status == SUCCESS
    assert agent.heartbeat().status == SUCCESS


def test_new_workers_inherit_nothing(agent, world, clamd):
    c = agent.connection()
    agent.http("HEAD", "/vee", connection=c)    # stays open
    for pid in agent.workers():
        os.kill(pid, 9)
    wait_for("new workers", lambda: agent.scan(
        world.unc("f")).status == SUCCESS)
    wait_for("five workers", lambda: len(agent.workers()) == 5)

    def descriptors(pid):
        folder = pathlib.Path("/proc/%d/fd" % pid)
        return sorted(int(p.name) for p in folder.iterdir())
    idle = [pid for pid in agent.workers() if descriptors(pid) == [0, 1, 2,
                                                                   3]]
    assert len(idle) >= 3
    c.close()


def test_clamd_does_not_answer(agent, world, clamd):
    assert agent.scan(world.unc("f")).status == SUCCESS
    clamd.gate = threading.Event()
    reply = agent.scan(world.unc("f"), timeout=1)
    assert reply.status == TIMEOUT
    assert len(agent.workers()) == 5
    clamd.gate.set()
    assert agent.scan(world.unc("f")).status == SUCCESS


def test_no_clamd(world):
    a = world.agent(clamd=world.dir / "nothing.sock")
    assert a.heartbeat().status == AV_NOT_FOUND
    reply = a.scan(world.unc("f"))
    assert reply.status == AV_NOT_FOUND
    assert "nothing.sock: No such file" in reply.detail
    a.stop()


def test_clamd_over_tcp(world, clamd):
    with socket.socket() as front:
        front.bind(("127.0.0.1", 0))
        port = front.getsockname()[1]
        front.listen()
        clamd.socket.shutdown(socket.SHUT_RDWR)
        clamd.socket = front
        threading.Thread(target=clamd.accept, daemon=True).start()
        a = world.agent(clamd="tcp 127.0.0.1:%d" % port)
        assert a.scan(world.unc("f")).status == SUCCESS
        a.stop()
        clamd.socket = socket.socket(socket.AF_UNIX)
        clamd.socket.bind("")
        clamd.socket.listen()


def test_storage_does_not_answer(world, clamd):
    with socket.socket() as storage:
        address = own_address()
        storage.bind((address, 445))
        storage.listen()
        a = world.agent(clamd=clamd.path, extra=(
            "[storage two]\nhost = %s\nuser = u\npassword_file = %s\n"
            % (address, password_file(world))))
        before = set(a.workers())
        reply = a.scan("\\\\%s\\CHECK$\\f" % address, timeout=1)
        assert reply.status == TIMEOUT and "not done in time" in reply.detail
        wait_for("a new worker", lambda: len(a.workers()) == 5 and
                 len(before & set(a.workers())) == 4)
        for _ in range(5):
            assert a.scan(world.unc("f")).status == SUCCESS
        a.stop()


def password_file(world):
    path = world.dir / "password.other"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o400)
    return path


def test_storage_is_away(world, clamd):
    address = own_address()
    a = world.agent(clamd=clamd.path, storage={"host": address})
    reply = a.scan("\\\\%s\\CHECK$\\f" % address)
    assert reply.status == FAIL and "refused" in reply.detail
    assert clamd.streams == 0
    a.stop()


@pytest.mark.parametrize("size", [3 << 20, 0, 9 << 20])
def test_file_changes_its_size_meanwhile(agent, world, clamd, size):
    path = world.file("moving", b"")
    os.truncate(path, 8 << 20)
    clamd.read_gate = threading.Event()
    thread = InThread(agent.scan, world.unc("moving"))
    clamd.wait_streams(1)
    os.truncate(path, size)
    clamd.read_gate.set()
    reply = thread.result()
    assert reply.status == FAIL and "changed its size" in reply.detail
    assert clamd.done == []


def test_session_dies_while_reading(agent, world, clamd):
    world.file("long", os.urandom(8 << 20))
    clamd.read_gate = threading.Event()
    thread = InThread(agent.scan, world.unc("long"))
    clamd.wait_streams(1)
    for pid in children(world.smbd.pid):
        command = pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()
        if command.startswith(b"smbd") or b"/smbd" in command:
            os.kill(pid, 9)
    clamd.read_gate.set()
    reply = thread.result()
    assert reply.status == SUCCESS
    assert reply.inner["bytes"] == str(8 << 20)
    # the first stream was not ended, so clamd never judged half a file
    assert clamd.streams == 2 and clamd.done == [8 << 20]


def test_client_hangs_up(agent, world, clamd):
    clamd.gate = threading.Event()
    for i in range(4):
        c = agent.connection()
        c.request("PUT", "/vee", scan_request(world.unc("f")))
        clamd.wait_streams(i + 1)
        c.close()
    clamd.gate.set()
    assert agent.scan(world.unc("f")).status == SUCCESS
    assert len(agent.workers()) == 5


def test_stop_lets_scans_finish(world, clamd):
    a = world.agent(clamd=clamd.path)
    clamd.gate = threading.Event()
    threads = [InThread(a.scan, world.unc("f")) for _ in range(6)]
    clamd.wait_streams(4)
    workers = a.workers()
    os.kill(a.process.pid, signal.SIGTERM)
    wait_for("the port to be closed", lambda: not connects(
        socket.AF_INET, (a.address, 12228)))
    clamd.gate.set()
    for thread in threads:
        assert thread.result().status == SUCCESS
    assert a.process.popen.wait(20) == 0
    for pid in workers:
        assert not os.path.exists("/proc/%d" % pid)


def test_stop_twice_ends_scans(world, clamd):
    a = world.agent(clamd=clamd.path)
    clamd.gate = threading.Event()
    threads = [InThread(a.scan, world.unc("f")) for _ in range(6)]
    clamd.wait_streams(4)
    workers = a.workers()
    os.kill(a.process.pid, signal.SIGTERM)
    wait_for("the port to be closed", lambda: not connects(
        socket.AF_INET, (a.address, 12228)))
    assert a.stop() == 0
    assert "6 requests not answered" in a.log()
    for pid in workers:
        assert not os.path.exists("/proc/%d" % pid)
    for thread in threads:
        with pytest.raises((OSError, AssertionError)):
            thread.result()


def test_workers_end_with_the_agent(world, clamd):
    a = world.agent(clamd=clamd.path)
    workers = a.workers()
    clamd.gate = threading.Event()
    thread = InThread(a.scan, world.unc("f"))
    clamd.wait_streams(1)
    a.process.stop(9)
    wait_for("workers to end", lambda: not any(
        os.path.exists("/proc/%d/fd/3" % pid) for pid in workers))
    with pytest.raises(OSError):
        thread.result()
