"""cavactl: --format csv, --watch, and what a terminal shows meanwhile.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import csv
import io
import os
import pty
import signal
import subprocess
import termios

import pytest

from cavad_world import BIN, EICAR, THREAT, World

OK, INFECTED = 0, 2


@pytest.fixture(scope="module")
def world():
    world = World()
    world.start()
    yield world
    world.close()


class Terminal:
    """cavactl at a terminal of 20 lines."""

    def __init__(self, world, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (20, 100))
            os.execl(BIN / "cavactl", "cavactl", "-s",
                     str(world.api_socket), *arguments)

    def until(self, text):
        data = b""
        while text not in data:
            data += os.read(self.fd, 65536)
        return data

    def end(self):
        """Exit status, and what it says until then."""
        data = b""
        while True:
            try:
                data += os.read(self.fd, 65536)
            except OSError:     # the other end is closed
                break
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), data


def test_csv(world):
    """Of each command that lists; quoted as RFC 4180 wants it."""
    bad = world.file('a "b", c', EICAR)
    out = world.cavactl("scan", "-F", "csv", str(bad)).stdout.decode()
    assert out.splitlines(True)[0].endswith("\r\n")
    assert '"%s/a ""b"", c",infected,' % world.root in out
    row, = csv.DictReader(io.StringIO(out))
    assert (row["file"], row["result"], row["threat"]) == (
        str(bad), "infected", THREAT)
    for words, column, least in (
            (["servers"], "server_uri", 1), (["status"], "name", 50),
            (["events"], "time_noticed", 1), (["zones"], "zone", 0),
            (["jobs"], "job_name", 0), (["jobs", "runs"], "policy", 0),
            (["avvendor", "list"], "added", 0)):
        done = world.cavactl(*words, "--format=csv")
        assert (done.returncode, done.stderr) == (OK, b""), words
        rows = list(csv.reader(io.StringIO(done.stdout.decode())))
        assert column in rows[0] and len(rows) > least, words
        assert {len(r) for r in rows} == {len(rows[0])}, words


def test_watch(world):
    """Without a terminal: one after the other, until it is told to end."""
    with subprocess.Popen(
            [BIN / "cavactl", "-s", world.api_socket, "servers", "-F",
             "csv", "--watch=0.1"], stdout=subprocess.PIPE) as popen:
        for _ in range(3):
            assert popen.stdout.readline().startswith(b"server_name,")
            assert popen.stdout.readline().startswith(b"av,clamd:")
        popen.send_signal(signal.SIGINT)
        popen.communicate(timeout=20)
        assert popen.returncode == OK


def test_watch_on_a_terminal(world):
    """Drawn again and again; q ends it, and the terminal is as before."""
    terminal = Terminal(world, "status", "--watch=0.1")
    assert b"cavad 0.1: RUNNING" in terminal.until(b"q: end")
    terminal.until(b"\x1b[H")
    os.write(terminal.fd, b"q")
    code, rest = terminal.end()
    assert code == OK
    assert b"\x1b[?1049l" in rest and b"\x1b[?25h" in rest
    assert b"cavad 0.1: RUNNING" in rest[rest.index(b"\x1b[?1049l"):]


def test_progress_of_a_directory(world):
    """One line over and over; what came of it is what stays."""
    (world.root / "dir").mkdir()
    world.file("dir/bad", EICAR)
    world.file("dir/held", b"hold")
    terminal = Terminal(world, "scan", str(world.root / "dir"))
    terminal.until(b"2 files: 1 scanned, 1 infected; ")
    runs = world.cavactl("jobs", "runs", "-F", "csv").stdout.decode()
    run = next(csv.DictReader(io.StringIO(runs)))
    assert run["state"] == "running"
    seen = Terminal(world, "jobs", "runs", "view", run["id"], "--watch=0.1")
    assert b"2 files: 1 scanned, 1 infected; " in seen.until(b"q: end")
    world.clamd.go.set()
    code, rest = terminal.end()
    assert code == INFECTED
    assert rest.splitlines()[-1].endswith(
        b"2 files: 2 scanned, 0 current already, 1 infected, 0 without a "
        b"verdict")
    code, rest = seen.end()     # by itself, when the run has ended
    assert code == OK
    assert b"succeeded" in rest[rest.index(b"\x1b[?1049l"):]
