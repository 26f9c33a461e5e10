"""cavad as a whole: start, rights, stop, --check-config, --setup-share.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from cavad_peer import CLOSE, WILL_WRITE, Peer
from cavad_world import BIN, USER, World, alive, wait_for

UID = pwd.getpwnam(USER).pw_uid
# CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_SYS_ADMIN, CAP_LEASE
FILES_CAPABILITIES = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 21 | 1 << 28


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def status(pid):
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def refused(world, *said, conf=None, **more):
    """It ends with 1, and says this in one line."""
    cavad = world.launch(conf=conf, **more)
    assert cavad.popen.wait(20) == 1, cavad.log()
    for text in said:
        assert str(text) in cavad.log()
    assert len(cavad.log().splitlines()) == 1, cavad.log()


# Start.

def test_ready(world):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = str(world.dir / "notify.sock")
        notify.bind(path)
        os.chmod(path, 0o777)
        notify.settimeout(20)
        cavad = world.launch(env={"NOTIFY_SOCKET": path})
        assert notify.recv(1000) == b"READY=1"
        # at that moment everything is there
        assert world.call("GET", "/").code == 404
        Peer(world).close()
        cavad.wait_log("NOTICE: cavad 0.1 ready\n")
        assert cavad.stop() == 0
        assert notify.recv(1000) == b"STOPPING=1"


def open_files(pid):
    found = []
    for fd in pathlib.Path("/proc/%d/fd" % pid).iterdir():
        try:
            found.append(os.readlink(fd))
        except FileNotFoundError:
            pass        # closed since it was listed
    return found


def open_flags(pid, below):
    """The O_ACCMODE of each descriptor of a file below that directory."""
    found = []
    for fd in pathlib.Path("/proc/%d/fd" % pid).iterdir():
        try:
            if not os.readlink(fd).startswith(str(below)):
                continue
            info = (fd.parents[1] / "fdinfo" / fd.name).read_text()
        except FileNotFoundError:
            continue
        found.append(int(re.search(r"flags:\s*(\d+)", info).group(1), 8) & 3)
    return found


def sockets(pid):
    return {link for link in open_files(pid) if link.startswith("socket:")}


def test_rights(world):
    cavad = world.start()
    for task in pathlib.Path("/proc/%d/task" % cavad.pid).iterdir():
        have = status(int(task.name))
        assert set(have["Uid"].split()) == {str(UID)}
        assert set(have["Gid"].split()) == {str(UID)}
        assert have["Groups"].split() == []
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
            assert int(have[name], 16) == 0, name
        assert have["NoNewPrivs"] == "1"
        # the kernel makes no core of it, nor shows it to its own account
        assert (task / "fd").stat().st_uid == 0
    family = cavad.family()
    assert len(family) == 7         # a parent, four workers, two walkers
    for pid in family:
        have = status(pid)
        assert have["Name"] in ("cavad-files", "cavad-files-w", "cavad-walk")
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(have[name], 16) == FILES_CAPABILITIES, name
        assert int(have["CapAmb"], 16) == 0
        assert have["NoNewPrivs"] == "1" and have["Seccomp"] == "2"
        links = open_files(pid)
        assert not [l for l in links if str(world.state) in l], links
        # no socket but the one to cavad, and no network to make one in
        assert len(sockets(pid)) == 1, links
        namespace = "/proc/%d/ns/net"
        assert os.readlink(namespace % pid) != os.readlink(
            namespace % cavad.pid)
        interfaces = pathlib.Path("/proc/%d/net/dev" % pid).read_text()
        assert re.findall(r"(\w+):", interfaces) == ["lo"]
    # cavad has nothing open below check_root
    links = open_files(cavad.pid)
    assert not [l for l in links if l.startswith(str(world.root))], links


def test_what_it_is_handed(world):
    """For a scan, a descriptor that reads; afterwards nothing."""
    cavad = world.start()
    path = world.file("held", b"hold\n")
    scan = threading.Thread(target=world.scan, args=(path,))
    scan.start()
    assert world.clamd.held.acquire(timeout=20)
    assert open_flags(cavad.pid, world.root) == [os.O_RDONLY]
    world.clamd.go.set()
    scan.join()
    assert open_flags(cavad.pid, world.root) == []


def test_what_it_makes(world):
    world.start()
    for path, uid, mode in (
            (world.state, UID, 0o40700), (world.spool, 0, 0o40700),
            (world.dir / "run", 0, 0o40755),
            (world.ipc_socket, 0, 0o140600),
            (world.api_socket, 0, 0o140666)):
        st = path.stat()
        assert (st.st_uid, oct(st.st_mode)) == (uid, oct(mode)), path
    for path in world.state.iterdir():
        assert path.stat().st_uid == UID
        assert path.stat().st_mode & 0o077 == 0, path


def test_only_one(world):
    world.start()
    refused(world, world.ipc_socket, "another cavad is running")
    # with one of the sockets elsewhere
    refused(world, world.api_socket, "another cavad is running",
            conf=world.write_conf("b.conf",
                                  ipc_socket=world.dir / "run" / "b1"))
    # with both, but the same database
    conf = world.write_conf("c.conf", ipc_socket=world.dir / "run" / "c1",
                            api_socket=world.dir / "run" / "c2")
    refused(world, world.state, "locked: another cavad", conf=conf)
    assert world.call("GET", "/").code == 404
    Peer(world).close()


def test_a_file_is_no_socket(world):
    """What is in the way and no socket is somebody's."""
    (world.dir / "run").mkdir()
    for path in (world.ipc_socket, world.api_socket):
        path.write_text("precious")
        refused(world, path, "no socket")
        assert path.read_text() == "precious"
        path.unlink()
    target = world.dir / "target"
    target.write_text("precious")
    world.api_socket.symlink_to(target)
    refused(world, world.api_socket, "no socket")
    assert target.read_text() == "precious"


def test_cannot_start(world):
    conf = world.write_conf("1.conf", user="no-such-account")
    refused(world, "user = no-such-account: no such account", "useradd",
            conf=conf)
    conf = world.write_conf("2.conf", user="root")
    refused(world, "never runs as root", conf=conf)
    conf = world.write_conf("3.conf", check_root=world.dir / "missing")
    refused(world, "check_root", "No such file or directory", conf=conf)
    other = world.dir / "other"
    other.mkdir()
    os.chown(other, 2, 2)
    conf = world.write_conf("4.conf", state_dir=other)
    refused(world, other, conf=conf)
    assert other.stat().st_uid == 2
    conf = world.write_conf("5.conf", spool_dir=other)
    refused(world, other, conf=conf)
    link = world.dir / "link"
    link.symlink_to("/root")
    conf = world.write_conf("6.conf", state_dir=link)
    refused(world, link, "Not a directory", conf=conf)
    assert pathlib.Path("/root").stat().st_uid == 0
    refused(world, world.dir / "missing.conf", "No such file",
            conf=world.dir / "missing.conf")



def test_not_root(world):
    done = subprocess.run(
        ["setpriv", "--reuid=" + USER, "--regid=nogroup", "--clear-groups",
         "--", str(BIN / "cavad"), "-f", "-c", str(world.conf)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stdout == "cavad: must be started as root; it becomes " \
        "%s by itself\n" % USER


# Stop.

@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stop(world, how):
    cavad = world.start()
    with Peer(world) as peer:
        path = world.file("hold", b"hold")
        peer.ask(path)
        peer.notice(WILL_WRITE, path)
        assert world.clamd.held.acquire(timeout=20)
        began = time.monotonic()
        assert cavad.stop(how) == 0     # which waits for all its processes
        assert time.monotonic() - began < 2
        assert peer.closed()
    assert "ending on signal %d" % how in cavad.log()
    for path, kind in ((world.ipc_socket, socket.SOCK_SEQPACKET),
                       (world.api_socket, socket.SOCK_STREAM)):
        with socket.socket(socket.AF_UNIX, kind) as s:
            assert s.connect_ex(str(path)) != 0
    world.start()       # what is left of the sockets is replaced


def test_reload_that_changes_nothing(world):
    cavad = world.start()
    cavad.popen.send_signal(signal.SIGHUP)
    cavad.wait_log("was read again\n")
    assert world.call("GET", "/").code == 404


def test_killed(world):
    """What is owed is scanned by the next one; no process stays behind."""
    cavad = world.start()
    closed = world.file("closed", b"hold")
    written = world.file("written")
    with Peer(world) as peer:
        peer.notice(WILL_WRITE, written)
        peer.acked(peer.notice(CLOSE, closed))
        assert world.status()["pending_scans"] == 2
        cavad.stop(signal.SIGKILL)
    for path in (closed, written):
        assert "security.cava" not in os.listxattr(path)
    world.clamd.go.set()
    world.start()
    for path in (closed, written):
        wait_for("a record on " + path.name,
                 lambda: "security.cava" in os.listxattr(path))
    wait_for("nothing pending", lambda: world.status()[
        "pending_scans"] == 0)


def test_worker_killed(world):
    cavad = world.start()
    before = set(cavad.family())
    workers = [pid for pid in before
               if status(pid)["Name"] in ("cavad-files-w", "cavad-walk")]
    assert len(workers) == 6
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_for("new workers", lambda: len(cavad.family()) == 7 and
             not set(cavad.family()) & set(workers))
    assert world.scan(world.file("a")).json["result"] == "clean"


def test_files_process_killed(world):
    """cavad cannot do without it and ends, for systemd to start both."""
    cavad = world.start()
    parent = next(pid for pid in cavad.family()
                  if status(pid)["Name"] == "cavad-files")
    family = cavad.family()
    os.kill(parent, signal.SIGKILL)
    assert cavad.popen.wait(20) == 1
    assert "the files process has ended" in cavad.log()
    wait_for("the end of the workers", lambda: not any(map(alive, family)))


# Options.

def cavad(*arguments):
    return subprocess.run([str(BIN / "cavad"), *map(str, arguments)],
                          stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=100)


def test_options():
    done = cavad("--version")
    assert (done.returncode, done.stdout) == (0, "cavad 0.1\n")
    done = cavad("--help")
    assert done.returncode == 0
    for option in ("--config", "--foreground", "--debug", "--check-config",
                   "--setup-share", "--smb-conf", "--version"):
        assert option in done.stdout
    for arguments in (["--no-such"], ["extra"], ["-c"]):
        done = cavad(*arguments)
        assert done.returncode == 2 and arguments[0] in done.stderr


def test_check_config(world):
    done = cavad("--check-config", "-c", world.conf)
    assert (done.returncode, done.stdout) == (0, "%s: OK\n" % world.conf)
    assert not world.state.exists()     # nothing is touched


@pytest.mark.parametrize("text, line, said", [
    ("[setings]\n", 1, ["[setings]", "did you mean settings"]),
    ("x = 1\n", 1, ['"x"', "first [section]"]),
    ("[settings]\nscan_timeot = 5\n", 2,
     ["[settings] scan_timeot", "did you mean scan_timeout"]),
    ("[settings]\nscan_timeout = fast\n", 2,
     ["[settings] scan_timeout", '"fast"', "seconds"]),
    ("[settings]\nscan_timeout = 0\n", 2, ["scan_timeout", "1"]),
    ("[settings]\nservice_enabled = maybe\n", 2,
     ["service_enabled", "yes", "no"]),
    ("[settings]\ndenial = no\n", 2,
     ["denial", "virus_infected", "access_denied"]),
    ("[settings]\nsync_wait = 10001\n", 2, ["sync_wait", "0", "10000"]),
    ("[settings]\nstore_size = 1X\n", 2, ["store_size", "k", "M"]),
    ("[settings]\ncheck_root = relative\n", 2, ["check_root", "absolute"]),
    ("[settings]\nuser =\n", 2, ["[settings] user", "empty"]),
    ("[settings]\nuser = a\nuser = b\n", 3, ["user", "twice"]),
    ("[settings]\n[settings]\n", 2, ["[settings]", "already"]),
    ("[settings]\nnonsense\n", 2, ["name = value"]),
    ("[settings\n", 1, ["]"]),
    ("[server a]\nserver_uri = gopher://x\n", None,
     ["[server a] server_uri gopher://x", "cee:", "clamd:", "null:"]),
    ("[server b]\nserver_uri = null:\n[server a]\nserver_uri = cee:///x\n",
     None, ["[server a] server_uri cee:///x", "cee://HOST:PORT/PATH"]),
    ("[server a]\nserver_uri = clamd:relative\n", None,
     ["[server a] server_uri clamd:relative", "clamd:/PATH"]),
    ("[server a]\nserver_uri = null:x\n", None, ["nothing follows null:"]),
    ("[server a]\nserver_uri = null:\nfetch_addresses = a.example\n", 3,
     ["[server a] fetch_addresses", "a.example", "address"]),
    ("[server a]\nenabled = yes\n", None,
     ["[server a]", "server_uri is not set"]),
    ("[server a]\nserver_uri = null:\n[server A]\n", 3,
     ["[server A]", "already"]),
    ("[server]\n", 1, ["[server]", "name is missing"]),
    ("[filter System]\nscan_profile = lax\n", 2,
     ["[filter System] scan_profile", "standard", "strict"]),
    ("[cee]\nscan_method = GET\n", 2, ["[cee] scan_method", "PUT", "POST"]),
    ("[settings]\nspool_dir = /var/lib/cavad/spool\n", None,
     ["spool_dir", "state_dir"]),
    ("[settings]\nipc_socket = /a\napi_socket = /a\n", None,
     ["api_socket", "ipc_socket"]),
    ("[settings]\n# x\n\n  user = \x00\n", 4, ["NUL"]),
])
def test_check_config_errors(tmp_path, text, line, said):
    """Each names file, line, section and name, and what is accepted."""
    path = tmp_path / "cavad.conf"
    path.write_text(text)
    done = cavad("--check-config", "-c", path)
    assert done.returncode == 1
    assert done.stdout == ""
    where = "cavad: %s:%s " % (path, "" if line is None else "%d:" % line)
    assert done.stderr.startswith(where), done.stderr
    for part in said:
        assert part in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


# --setup-share.

class Samba:
    """An smb.conf of its own, registry included."""

    def __init__(self, world, more="", options="registry shares = yes"):
        self.conf = world.dir / "smb.conf"
        lines = ["[global]", "server role = standalone server"]
        for name in ("private dir", "lock directory", "state directory",
                     "cache directory", "pid directory"):
            path = world.dir / "samba" / name.replace(" ", "-")
            path.mkdir(parents=True, exist_ok=True)
            lines.append("%s = %s" % (name, path))
        # Last: an include is followed where it stands, and before "state
        # directory" it would be the system's own registry.
        lines.append(options)
        self.conf.write_text("\n".join(lines) + "\n" + more)
        self.world = world

    def setup(self):
        return cavad("-c", self.world.conf, "--setup-share", "--smb-conf",
                     self.conf)

    def net(self, *words):
        return subprocess.run(["net", "-s", str(self.conf), "conf", *words],
                              stdin=subprocess.DEVNULL, text=True, timeout=30,
                              stdout=subprocess.PIPE, check=True).stdout

    def share(self):
        shown = self.net("showshare", "CHECK$")
        return dict(line.strip("\t\n").split(" = ") for line in
                    shown.splitlines()[1:])


def test_setup_share(world):
    samba = Samba(world)
    done = samba.setup()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("written; smbd takes it up by itself\n")
    share = samba.share()
    assert share["path"] == str(world.root)
    assert share["vfs objects"] == "cava" and share["cava:role"] == "check"
    assert share["cava:socket"] == str(world.ipc_socket)
    assert share["cava:spool"] == str(world.spool)
    for name in ("browseable", "guest ok", "oplocks", "level2 oplocks",
                 "kernel oplocks", "durable handles", "posix locking",
                 "strict locking", "store dos attributes"):
        assert share[name] == "no", name
    assert share["read only"] == "yes"
    # once more: nothing to do
    done = samba.setup()
    assert (done.returncode, done.stdout) == (0, "CHECK$: already so\n")
    # what somebody turned is turned back, and nothing else
    samba.net("setparm", "CHECK$", "oplocks", "yes")
    samba.net("setparm", "CHECK$", "hosts allow", "192.0.2.0/24")
    done = samba.setup()
    assert done.stdout.splitlines()[0] == "CHECK$: oplocks = no"
    assert len(done.stdout.splitlines()) == 2
    assert samba.share() == {**share, "hosts allow": "192.0.2.0/24"}


def test_setup_share_for_repairs(world):
    samba = Samba(world)
    for value, only in (("yes", "no"), ("no", "yes")):
        world.conf.write_text(
            re.sub(r"(?m)^allow_clean.*\n", "", world.conf.read_text())
            .replace("[settings]\n",
                     "[settings]\nallow_clean = %s\n" % value, 1))
        assert samba.setup().returncode == 0
        assert samba.share()["read only"] == only


@pytest.mark.parametrize("more", ["", "[other]\n\tpath = /\n"])
def test_setup_share_with_registry_included(world, more):
    """Then testparm shows the registry's shares as well (CTDB's way)."""
    samba = Samba(world, options="registry shares = yes\n"
                  "include = registry", more=more)
    assert samba.setup().returncode == 0
    done = samba.setup()
    assert (done.returncode, done.stdout) == (0, "CHECK$: already so\n")


@pytest.mark.parametrize("heading", ["[CHECK$]", "[check$]", "  [Check$]"])
@pytest.mark.parametrize("first", [False, True])
def test_setup_share_in_text(world, heading, first):
    options = "registry shares = yes"
    if first:   # the registry has it already, and is included
        options += "\ninclude = registry"
        assert Samba(world, options=options).setup().returncode == 0
    samba = Samba(world, "%s\n\tpath = /srv\n" % heading, options=options)
    done = samba.setup()
    assert done.returncode == 1 and done.stdout == ""
    assert "%s has a section [CHECK$]: remove it" % samba.conf in done.stderr


@pytest.mark.parametrize("directory", ["samba", "yes"])
def test_setup_share_needs_registry_shares(world, directory):
    samba = Samba(world, options="")
    (world.dir / directory).mkdir(exist_ok=True)
    samba.conf = samba.conf.rename(world.dir / directory / "smb.conf")
    done = samba.setup()
    assert done.returncode == 1
    assert "%s needs `registry shares = yes` in [global]" % samba.conf in \
        done.stderr


def test_setup_share_errors(world):
    samba = Samba(world)
    samba.conf.unlink()
    done = samba.setup()
    assert done.returncode == 1
    assert "testparm cannot read %s" % samba.conf in done.stderr
    samba = Samba(world)
    world.root.rmdir()
    done = samba.setup()
    assert done.returncode == 1
    assert "check_root = %s: not a directory" % world.root in done.stderr
