"""CHECK$: what a scanner may, what nobody may, and that clients never notice.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import re
import socket
import struct
import subprocess

import pytest
from samba import WERRORError, credentials
from samba.dcerpc import srvsvc
from samba.param import LoadParm

from lab import (ACCESS_DENIED, ATTRIBUTES, CREATE, DELETE, OPEN, OPEN_IF,
                 OVERWRITE_IF, READ, ROOT, SHARE_ALL, WRITE, InThread, wait_for)
from lab import status_of as lab_status_of
from scanner import Scanner, coming_from, pending, status_of

SECRET = b"nobody asked for this\n"
READ_CONTROL, WRITE_DAC, SYSTEM_SECURITY = 0x00020000, 0x00040000, 0x01000000
MAXIMUM, GENERIC_READ, GENERIC_ALL = 0x02000000, 0x80000000, 0x10000000
DIRECTORY, DELETE_ON_CLOSE, BY_FILE_ID = 0x01, 0x1000, 0x2000
TOO_MANY, NOT_SUPPORTED, NOT_FOUND = 0xC000011F, 0xC00000BB, 0xC0000034
RESUME_KEY = 0x140078
OTHER_FSCTLS = (0x144064, 0x900C0, 0x900C4, 0x900A8)


def second_address(lab):
    return re.sub(r"^127\.\d+\.", "127.0.", lab.env["SMB_HOST"])


@pytest.fixture(scope="module")
def world(new_lab_of_module):
    """(lab, fake): SMB1 and guests are on, two addresses, one server."""
    lab = new_lab_of_module(
        "--engine", "cee", "--profile", "strict",
        "--samba-option", "global:server min protocol = NT1",
        "--samba-option", "global:map to guest = Bad User",
        "--samba-option", "global:hide unreadable = yes",
        "--samba-option", "global:veto files = /*.vetoed/")
    path = lab.env["SMB_CONF"]
    with open(path) as conf:
        text = re.sub(r"(interfaces = \S+)", r"\1 %s/8" % second_address(lab),
                      conf.read())
    with open(path, "w") as conf:
        conf.write(text)
    lab.configure("settings", "check_grace", "2")
    lab.start()
    fake = lab.fake(connections_maximum=40)
    lab.write_local("private.txt", SECRET)
    return lab, fake


@pytest.fixture
def scanner(world):
    made = []

    def get(**options):
        made.append(Scanner(world[0], **options))
        return made[-1]

    yield get
    for one in made:
        one.close()


def at(lab, name):
    return "%s\\%s" % (lab.share_dir.name, name)


def refusals(lab):
    return lab.counter("check_refused")


# --- what a scanner may ---

def test_attributes_of_every_file_content_of_none(world, scanner):
    lab, _ = world
    av = scanner()
    av.done(av.open(at(lab, "private.txt"), ATTRIBUTES))
    for access in (READ, GENERIC_READ, MAXIMUM, READ_CONTROL,
                   ATTRIBUTES | READ_CONTROL, 0x20, 0x08):
        before = refusals(lab)
        assert status_of(av.open, at(lab, "private.txt"),
                         access) == ACCESS_DENIED, hex(access)
        assert refusals(lab) == before + 1


def test_what_is_pending_can_be_read_with_its_acl(world, scanner):
    lab, fake = world
    av = scanner()
    with pending(lab, fake, "pending.txt", b"content\n"):
        for access in (READ, GENERIC_READ, MAXIMUM):
            file = av.open(at(lab, "pending.txt"), access)
            assert av.read(file) == b"content\n"
            av.done(file)
        av.done(av.open(at(lab, "pending.txt"), READ, OPEN_IF))
        file = av.open(at(lab, "pending.txt"), READ_CONTROL)
        assert len(av.security(file)) > 20
        av.done(file)
        for access in (SYSTEM_SECURITY | READ, GENERIC_ALL, WRITE_DAC):
            assert status_of(av.open, at(lab, "pending.txt"),
                             access) == ACCESS_DENIED, hex(access)


def test_what_clients_do_not_see_is_scanned(world, scanner):
    """[global] hides it, and its mode lets nobody but root read it."""
    lab, fake = world
    av = scanner()
    path = lab.write_local("owner.vetoed", b"veto\n")
    path.chmod(0o600)
    with pending(lab, fake, "owner.vetoed", content=None):
        assert av.read(av.open(at(lab, "owner.vetoed"))) == b"veto\n"
        assert "owner.vetoed" in av.names(lab.share_dir.name)


def test_directories_show_what_is_pending(world, scanner):
    lab, fake = world
    av = scanner()
    os.makedirs(lab.local("deep/inside"), exist_ok=True)
    lab.write_local("deep/other.txt", SECRET)
    assert "private.txt" not in av.names(lab.share_dir.name)
    with pending(lab, fake, "listed.txt", b"x"):
        assert av.names("") == [lab.share_dir.name]
        assert "listed.txt" in av.names(lab.share_dir.name)
        assert "private.txt" not in av.names(lab.share_dir.name)
        assert av.names(at(lab, "deep")) == []
    # no ACL, with whatever access the directory was opened
    for access in (GENERIC_READ, MAXIMUM, READ | READ_CONTROL):
        file = av.open(lab.share_dir.name, access, options=DIRECTORY)
        assert status_of(av.security, file) == ACCESS_DENIED
        av.done(file)


def test_reopened_within_the_grace_and_not_after(world, scanner):
    lab, fake = world
    av = scanner()
    with pending(lab, fake, "grace.txt"):
        pass
    av.done(av.open(at(lab, "grace.txt")))
    wait_for("the grace to end", lambda: status_of(
        av.open, at(lab, "grace.txt")) == ACCESS_DENIED, timeout=5)


def test_scan_modify_scan_on_one_session(world, scanner):
    lab, fake = world
    av = scanner()
    client = lab.connect()
    name = "again.txt"
    client.savefile(name, b"the first\n")
    wait_for("the scan that follows", lambda: lab.result(name) == "clean")
    with pending(lab, fake, name, content=None):
        kept = av.open(at(lab, name))
        assert av.read(kept) == b"the first\n"
    client.savefile(name, b"the second, longer\n")
    wait_for("the scan that follows", lambda: lab.result(name) == "clean")
    with pending(lab, fake, name, content=None):
        assert av.read(kept) == b"the second, longer\n"
        file = av.open(at(lab, name))
        assert av.read(file) == b"the second, longer\n"
        av.done(file)
        # and nothing that would let a client keep what it has read
        for oplock in (1, 8, 9):
            file, level, _ = av.granted(at(lab, name), READ, oplock)
            assert level == 0
            av.done(file)
        file, level, state = av.lease(at(lab, name), READ)
        assert not state
        av.done(file)
    av.done(kept)


@pytest.mark.parametrize("form", ["name", "domain", "sid"])
def test_forms_of_an_account(world, scanner, form):
    lab, fake = world
    user = lab.env["AV_USER"]
    sid = subprocess.run(
        ["tests/lab.sh", lab.dir, "run", "pdbedit", "-s", lab.env["SMB_CONF"],
         "-Lv", user], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, check=True).stdout
    sid = re.search(r"User SID:\s+(\S+)", sid).group(1)
    entry = {"name": user.upper(), "domain": "cavalab\\" + user,
             "sid": sid.lower()}[form]
    assert lab.cavactl("avvendor", "remove", user).returncode == 0
    try:
        assert status_of(Scanner, lab) != 0
        assert lab.cavactl("avvendor", "add", entry).returncode == 0
        with pending(lab, fake, "form.txt"):
            av = scanner()
            av.done(av.open(at(lab, "form.txt")))
        assert lab.cavactl("avvendor", "remove", entry).returncode == 0
    finally:
        lab.cavactl("avvendor", "add", user)


def test_machine_account(world, scanner):
    lab, fake = world
    for name, line in (("passwd", "host$:x:61009:61009::/:/bin/false\n"),
                       ("group", "host$:x:61009:\n")):
        with open(lab.dir / "etc" / name, "a") as out:
            out.write(line)
    subprocess.run(["tests/lab.sh", lab.dir, "run", "smbpasswd", "-c",
                    lab.env["SMB_CONF"], "-a", "-m", "host"], cwd=ROOT,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   check=True)
    assert status_of(Scanner, lab, "host$", "host") != 0
    assert lab.cavactl("avvendor", "add", "CAVALAB\\HOST$").returncode == 0
    with pending(lab, fake, "machine.txt", b"by a machine\n"):
        av = scanner(user="host$", password="host")
        assert av.read(av.open(at(lab, "machine.txt"))) == b"by a machine\n"


def test_account_is_removed_on_a_connected_session(world, scanner):
    lab, fake = world
    user = lab.env["AV_USER"]
    av = scanner()
    with pending(lab, fake, "removed.txt"):
        directory = av.open(lab.share_dir.name, 0x00100081, options=DIRECTORY)
        file = av.open(at(lab, "removed.txt"))
        before = av.read(file)
        assert lab.cavactl("avvendor", "remove", user).returncode == 0
        try:
            for access in (READ, ATTRIBUTES):
                assert status_of(av.open, at(lab, "removed.txt"),
                                 access) == ACCESS_DENIED
            assert status_of(av.open, lab.share_dir.name, 0x00100081, OPEN,
                             DIRECTORY) == ACCESS_DENIED
            listing = av.low.queryDirectory(av.tree, directory)
            assert b"removed" not in listing.replace(b"\0", b"")
            wait_for("reads on the open handle to be refused",
                     lambda: status_of(av.read, file) == ACCESS_DENIED)
        finally:
            assert lab.cavactl("avvendor", "add", user).returncode == 0
        wait_for("them to be allowed again",
                 lambda: status_of(av.read, file) == 0)
        assert av.read(file) == before
        av.done(av.open(at(lab, "removed.txt")))


def test_other_addresses_of_this_host(world, scanner):
    lab, _ = world
    Scanner(lab, lab.env["SMB_USER"], lab.env["SMB_PASS"], lab.env["SHARE"],
            second_address(lab)).close()
    assert status_of(Scanner, lab, None, None, None,
                     second_address(lab)) != 0
    assert "which is not in ip_pool" in lab.log()


def test_share_is_found_by_every_name_of_the_host(world, scanner):
    lab, _ = world
    av = scanner()
    for name in ("nas", "nas.example.com", "192.0.2.1"):
        tree = av.low.connectTree("\\\\%s\\CHECK$" % name)
        av.low.disconnectTree(tree)


def test_address_that_is_none_of_the_server(world, scanner):
    """fetch_addresses; a connected session is asked anew."""
    lab, fake = world
    conf = lab.env["CAVAD_CONF"]
    with open(conf) as text:
        before = text.read()

    def restart(text):
        with open(conf, "w") as out:
            out.write(text)
        lab.sh("stop", "cavad")
        lab.sh("start", "cavad")
        lab.wait_online()

    with coming_from("127.0.0.9"):
        second = scanner()
    try:
        restart(before + "fetch_addresses = 127.0.0.1\n")
        with pending(lab, fake, "address.txt"):
            assert status_of(second.open,
                             at(lab, "address.txt")) == ACCESS_DENIED
            assert "add it to fetch_addresses of [server fake0]" in lab.log()
            with coming_from("127.0.0.8"):
                other = scanner()
            assert status_of(other.open,
                             at(lab, "address.txt")) == ACCESS_DENIED
        restart(before + "fetch_addresses = 127.0.0.1, 127.0.0.9\n")
        with pending(lab, fake, "address.txt"):
            second.done(second.open(at(lab, "address.txt")))
            assert status_of(other.open,
                             at(lab, "address.txt")) == ACCESS_DENIED
    finally:
        restart(before)


# --- clients notice nothing ---

def test_locks_share_modes_and_leases_of_a_client(world, scanner):
    lab, fake = world
    lab.write_local("busy.txt", b"busy content\n")
    assert lab.cavactl("scan", str(lab.local("busy.txt"))).returncode == 0
    client = scanner(user=lab.env["SMB_USER"], password=lab.env["SMB_PASS"],
                     share=lab.env["SHARE"])
    file, level, state = client.lease("busy.txt", READ | WRITE | DELETE,
                                      share_mode=0)
    assert (level, state) == (0xFF, 7)
    client.lock(file, 0, 1 << 40)
    av = scanner()
    with pending(lab, fake, "busy.txt", content=None):
        opened = av.open(at(lab, "busy.txt"), share_mode=0)
        assert av.read(opened) == b"busy content\n"
        av.done(opened)
        assert client.quiet()
    client.write(file, b"BUSY")
    client.done(file)
    wait_for("the scan that follows",
             lambda: lab.result("busy.txt") == "clean")
    # Nor does the scanner stand in the way: it shares nothing here.
    with pending(lab, fake, "busy.txt", content=None):
        opened = av.open(at(lab, "busy.txt"), share_mode=0)
        lab.connect().unlink("busy.txt")
        assert av.read(opened) == b"BUSY content\n"
        av.done(opened)
    assert not lab.local("busy.txt").exists()


def test_all_clients_blocked_and_a_scan_is_fetched(world, scanner):
    lab, fake = world
    count = 20
    gates = []
    for i in range(count):
        lab.write_local("held%d.txt" % i, b"held\n")
        gates.append(fake.hold("held%d.txt" % i))
    clients = [lab.connect() for _ in range(count)]
    readers = [InThread(client.loadfile, "held%d.txt" % i)
               for i, client in enumerate(clients)]
    try:
        for i in range(count):
            fake.wait_request("held%d.txt" % i)
        av = scanner()
        for i in range(5):
            lab.write_local("free%d.txt" % i, b"not held\n")
            run = lab.cavactl("scan", str(lab.local("free%d.txt" % i)))
            assert run.returncode == 0
        assert av.read(av.open(at(lab, "held0.txt"))) == b"held\n"
        # all of it while they wait: nothing was queued behind them
        assert all(reader.is_alive() for reader in readers)
    finally:
        for gate in gates:
            gate.touch()
    for reader in readers:
        assert reader.result() == b"held\n"


# --- what nobody may ---

def test_nothing_is_changed(world, scanner):
    lab, fake = world
    av = scanner()
    with pending(lab, fake, "fixed.txt", b"as it is\n"):
        name = at(lab, "fixed.txt")
        before = refusals(lab)
        for access in (WRITE, 0x04, DELETE, 0x100, 0x10, GENERIC_ALL,
                       0x40000000, READ | WRITE):
            assert status_of(av.open, name, access) == ACCESS_DENIED
        assert status_of(av.open, name, READ, OVERWRITE_IF) == ACCESS_DENIED
        assert status_of(av.open, name, READ, 0) == ACCESS_DENIED
        assert status_of(av.open, name, READ, OPEN,
                         DELETE_ON_CLOSE) == ACCESS_DENIED
        assert refusals(lab) == before + 11
        assert "set allow_clean = yes" in lab.log()
        assert status_of(av.open, at(lab, "new.txt"), READ,
                         CREATE) == ACCESS_DENIED
        assert status_of(av.open, at(lab, "new.txt"), READ | WRITE,
                         OPEN_IF) == NOT_FOUND
        assert status_of(av.open, at(lab, "new.txt"), READ | WRITE,
                         OVERWRITE_IF) == NOT_FOUND
        assert status_of(av.open, at(lab, "newdir"), READ, OPEN_IF,
                         DIRECTORY) == NOT_FOUND
        assert status_of(av.open, at(lab, "new.txt"), READ,
                         OPEN_IF) == NOT_FOUND

        file = av.open(name, MAXIMUM)
        link = "elsewhere.txt".encode("utf-16-le")
        for level, data in ((20, struct.pack("<Q", 0)),
                            (19, struct.pack("<Q", 0)),
                            (13, b"\1"),
                            (4, struct.pack("<QQQQII", 1, 1, 1, 1, 1, 0)),
                            (10, struct.pack("<B7xQI", 0, 0, len(link)) +
                             link),
                            (11, struct.pack("<B7xQI", 0, 0, len(link)) +
                             link)):
            assert status_of(av.set_info, file, level, data) != 0, level
        assert status_of(av.write, file, b"x") != 0
        assert status_of(lambda: av.low.setInfo(
            av.tree, file, infoType=3, fileInfoClass=0,
            additionalInformation=4, inputBlob=b"\1\0\4\x80" + b"\0" * 16)
            ) != 0
        av.done(file)
    assert lab.local("fixed.txt").read_bytes() == b"as it is\n"
    assert not lab.local("elsewhere.txt").exists()
    assert not (lab.dir / "data" / "elsewhere.txt").exists()
    assert not lab.local("new.txt").exists()


@pytest.fixture(scope="module")
def bait(world):
    """Names that lead to what nobody asked for."""
    lab, _ = world
    outside = lab.dir / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    os.symlink(lab.local("private.txt"), lab.local("link.txt"))
    os.symlink("private.txt", lab.local("link2.txt"))
    os.symlink(outside, lab.local("linkdir"))
    os.symlink("/", lab.local("root"))
    os.symlink("msdfs:%s\\share" % lab.env["SMB_HOST"], lab.local("dfs"))
    os.link(lab.local("private.txt"), lab.local("hard.txt"))
    os.link(outside / "secret.txt", lab.local("hard2.txt"))
    os.mkfifo(lab.local("fifo"))
    os.mknod(lab.local("zero"), 0o20666, os.makedev(1, 5))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(lab.local("sock")))
    yield
    sock.close()


@pytest.mark.parametrize("name", [
    "private.txt", "PRIVATE.TXT", "private.txt::$DATA", "private.txt:x",
    "link.txt", "link2.txt", "linkdir\\secret.txt", "root\\etc\\passwd",
    "dfs\\private.txt", "hard.txt", "hard2.txt", "fifo", "zero", "sock",
    "..\\share\\private.txt", "..\\..\\outside\\secret.txt",
    "deep\\..\\private.txt", "PRIVAT~1.TXT", ".\\private.txt",
    "@GMT-2026.01.01-00.00.00\\private.txt",
])
def test_no_name_leads_around_it(world, scanner, bait, name):
    lab, fake = world
    av = scanner()
    with pending(lab, fake, "decoy.txt"):
        opening = InThread(status_of, av.open, at(lab, name), READ)
        assert opening.result(5) != 0
        assert status_of(av.open, at(lab, name), GENERIC_READ) != 0


def test_open_by_file_id_and_named_pipes(world, scanner):
    lab, _ = world
    av = scanner()
    inode = os.stat(lab.local("private.txt")).st_ino
    name = struct.pack("<Q", inode).decode("utf-16-le", "replace")
    for access in (READ, ATTRIBUTES):
        assert status_of(av.open, name, access, OPEN, BY_FILE_ID) != 0
    assert status_of(av.open, "srvsvc", READ) == NOT_FOUND


def test_no_copy_and_no_other_fsctl(world, scanner):
    lab, fake = world
    av = scanner()
    with pending(lab, fake, "copied.txt", b"c" * 1000):
        file = av.open(at(lab, "copied.txt"))
        before = refusals(lab)
        assert status_of(av.fsctl, file, RESUME_KEY) == ACCESS_DENIED
        assert refusals(lab) == before + 1
        for code in OTHER_FSCTLS:
            assert status_of(av.fsctl, file, code, b"\0" * 64) != 0, hex(code)
        av.done(file)


def test_watches_see_nothing(world, scanner):
    lab, _ = world
    watchers = [scanner(), scanner(),
                scanner(user=lab.env["SMB_USER"],
                        password=lab.env["SMB_PASS"], share=lab.env["SHARE"])]
    for one, path in zip(watchers, (lab.share_dir.name, "", "")):
        one.watch(one.open(path, 0x00100081, options=DIRECTORY))
    lab.connect().savefile("watched.txt", b"x")
    assert not watchers[2].quiet(10)
    assert watchers[0].quiet() and watchers[1].quiet()


def test_smb1_and_guests(world):
    lab, _ = world

    def try_it(*options):
        return subprocess.run(
            ["smbclient", "-s", os.devnull, "//%s/CHECK$" %
             lab.env["SMB_HOST"], *options, "-c", "ls"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=30)
    user = "%s%%%s" % (lab.env["AV_USER"], lab.env["AV_PASS"])
    assert try_it("-U", user, "-m", "SMB3").returncode == 0
    smb1 = try_it("-U", user, "--option=client min protocol=NT1", "-m",
                  "NT1")
    assert smb1.returncode != 0
    assert "refused CHECK$ to CAVALAB\\avuser" in lab.log()
    assert "let the server speak SMB2" in lab.log()
    for options in (("-N",), ("-U", "%"), ("-U", "nobody-there%x")):
        run = try_it(*options)
        assert run.returncode != 0
        assert "NT_STATUS" in run.stdout
    # it answers on port 445 for plain shares with SMB1: the law is CHECK$'s
    assert subprocess.run(
        ["smbclient", "-s", os.devnull, "//%s/share" % lab.env["SMB_HOST"],
         "-U", "%s%%%s" % (lab.env["SMB_USER"], lab.env["SMB_PASS"]),
         "--option=client min protocol=NT1", "-m", "NT1", "-c", "ls"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        timeout=30).returncode == 0


def test_rpc_services_of_smbd(world):
    """srvsvc shows the ACL of a file, on a connect of smbd's own."""
    lab, _ = world
    lp = LoadParm()
    lp.load(os.devnull)
    creds = credentials.Credentials()
    creds.guess(lp)
    creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
    creds.set_username(lab.env["AV_USER"])
    creds.set_password(lab.env["AV_PASS"])
    host = lab.env["SMB_HOST"]
    pipe = srvsvc.srvsvc("ncacn_np:%s[\\pipe\\srvsvc]" % host, lp, creds)
    assert pipe.NetGetFileSecurity(host, lab.env["SHARE"], "private.txt", 7)
    before = refusals(lab)
    with pytest.raises(WERRORError):
        pipe.NetGetFileSecurity(host, lab.env["CHECK_SHARE"],
                                at(lab, "private.txt"), 7)
    assert refusals(lab) == before + 1


def test_handles_of_a_connection_are_bounded(world, scanner):
    lab, fake = world
    av = scanner()
    with pending(lab, fake, "many.txt", b"x"):
        status = 0
        count = 0
        while status == 0 and count < 2000:
            status = status_of(av.open, at(lab, "many.txt"), READ)
            count += status == 0
        assert status == TOO_MANY
        assert 900 < count <= 1024
        # others go on
        other = scanner()
        other.done(other.open(at(lab, "many.txt")))


def test_a_flood_of_refusals_is_counted_and_not_logged(world, scanner):
    lab, _ = world
    av = scanner()
    before = refusals(lab)
    lines = lab.log().count("cava: refused")
    events = lab.log().count("CAVA_CHECK_REFUSED")
    for _ in range(300):
        assert status_of(av.open, at(lab, "private.txt"),
                         READ) == ACCESS_DENIED
    assert refusals(lab) == before + 300
    log = lab.log()
    assert log.count("cava: refused") - lines <= 40
    assert log.count("CAVA_CHECK_REFUSED") - events <= 4
    assert "set check_scope = all" in log


def test_the_client_of_a_share_sees_no_difference(world):
    """SMB_USER is nobody here, whatever it may elsewhere."""
    lab, _ = world
    assert lab_status_of(lab.connect, lab.env["CHECK_SHARE"]) != 0
