"""Completion of cavactl: typed into a real bash, and by `cavactl complete`.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pty
import re

import pytest

from cavad_world import BIN, EICAR, ROOT, World

SCRIPT = ROOT / "packaging" / "completion" / "cavactl.bash"


@pytest.fixture(scope="module")
def world():
    world = World()
    world.start()
    yield world
    world.close()


class Bash:
    """An interactive one, at whose terminal the test sits."""

    def __init__(self, socket):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], {
                "PATH": "%s:/usr/bin:/bin" % BIN, "TERM": "dumb",
                "PS1": "", "HOME": "/", "HISTFILE": "/dev/null",
                "CAVAD_API_SOCKET": str(socket)})
        self.run("bind 'set enable-bracketed-paste off'; source %s" % SCRIPT)

    def run(self, line):
        """What it prints when the line, with its tabs, is typed."""
        os.write(self.fd, line.encode() + b"; echo \"<$?>\"\n")
        data = b""
        while not re.search(rb"<\d+>", data):
            data += os.read(self.fd, 65536)
        return data.decode()

    def close(self):
        os.write(self.fd, b"exit\n")
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def bash(world):
    bash = Bash(world.api_socket)
    yield bash
    bash.close()


def test_words_and_names(bash):
    """servers probe av: the last word from cavad."""
    out = bash.run("cavactl serv\tpro\t\t")
    assert "All is well with this server." in out and "<0>" in out


def test_options_and_their_values(bash):
    """status --format=csv, the part behind = by itself."""
    out = bash.run("cavactl stat\t--form\tcs\t")
    assert "name,value" in out and "<0>" in out
    assert "name,value" in bash.run("cavactl --form\tcs\t stat\t")
    assert "name,value" in bash.run("cavactl -F cs\t stat\t")


def test_files(world, bash):
    path = world.file("a file.txt")
    out = bash.run("cavactl scan %s/a\t" % world.root)
    assert "%s: clean" % path in out and "<0>" in out


def complete(world, *words, env=None):
    done = world.cavactl("complete", "--", *words, env=env)
    assert (done.returncode, done.stderr) == (0, b""), done
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize("words, answers", [
    (["st"], ["status"]),
    (["jobs", "r"], ["runs", "resume", "reset"]),
    (["nonsense", ""], []),
    (["server", ""], []),
    (["--form"], ["--format="]),
    (["--format", "=", ""], ["--format=text", "--format=json",
                             "--format=csv"]),
    (["--format", "="], ["--format=text", "--format=json", "--format=csv"]),
    (["-F", ""], ["text", "json", "csv"]),
    (["-F", "csv", "--socket", "x", "stat"], ["status"]),
    (["servers", "probe", ""], ["av"]),
    (["servers", "probe", "b"], []),
    (["servers", "probe", "av", ""], []),
    (["scan", "--fo"], ["--force", "--format="]),
    (["status", "--f"], ["--format="]),
    (["status", "--w"], ["--watch"]),
    (["avvendor", "list", "--w"], []),
    (["scan", ""], [":files"]),
    (["scan", "a", "b"], [":files"]),
    (["servers", "advise", "--nodes="], []),
    ([""], ["status", "settings", "cee", "servers"])])
def test_complete(world, words, answers):
    found = complete(world, *words)
    assert found[:4] == answers if words == [""] else found == answers


def test_ids(world):
    """Each command's own: of threats, reports, entries of the allow-list."""
    report = world.scan(world.file("bad", EICAR)).json["report_id"]
    assert complete(world, "threats", "view", "") == ["1"]
    assert complete(world, "threats", "release", "2") == []
    assert report in complete(world, "reports", "view", "")
    assert report in complete(world, "reports", "delete", report[:2])
    assert "--report=" + report in complete(world, "threats", "--report=")
    assert report in complete(world, "threats", "--report", "")
    assert complete(world, "allow", "remove", "") == []
    world.cavactl("threats", "release", "1", "--reason", "test")
    assert complete(world, "allow", "remove", "") == ["1"]
    events = complete(world, "events", "view", "")
    assert events and report not in events


def test_each_command_is_reached(world):
    """Word by word from nothing; the hidden one is not."""
    listed = re.findall(
        r"^  ((?:[a-z]+ ?)+)", world.cavactl("--help").stdout.decode().split(
            "Options:")[0], re.M)
    assert len(listed) > 30
    for start in {tuple(c.split()[:n]) for c in listed for n in range(3)}:
        answers = complete(world, *start, "",
                           env={"CAVAD_API_SOCKET": "/nowhere"})
        for command in map(str.split, listed):
            if tuple(command[:len(start)]) == start != tuple(command):
                assert command[len(start)] in answers, (start, command)
        assert "complete" not in answers


def test_silent_without_cavad(world):
    assert complete(world, "servers", "probe", "",
                    env={"CAVAD_API_SOCKET": "/nowhere"}) == []
