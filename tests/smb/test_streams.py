"""Named streams: no content gets past the rules through one, whatever the
order of the modules, and what is clean costs little.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import re
import signal

import pytest

from lab import (ACCESS_DENIED, DELETE, EICAR, OPEN, OPEN_IF, OVERWRITE_IF,
                 READ, SHARE_ALL, VIRUS_INFECTED, WRITE, InThread, Lab,
                 status_of, wait_for)
from test_operations import ALL, CREATE, Raw, copy_chunk, raw_status

TEXT = b"nothing to see in this stream\n"
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
NOT_FOUND = 0xC0000034
ATTRIBUTE = "user.DosStream.%s:$DATA"
FINDER = b"AFP\0\0\0\1\0" + bytes(8) + b"TEXTttxt" + bytes(36)
ZONE = b"[ZoneTransfer]\r\nZoneId=3\r\nHostUrl=https://example.com/%d\r\n"
MARKS = re.compile("PANIC|INTERNAL ERROR|smb_panic|talloc: access after")

FILE, STREAM = ("fruit:resource = file",), ("fruit:resource = stream",
                                            "fruit:metadata = stream")
STACKS = {
    "cava streams_xattr": (), "streams_xattr cava": (),
    "cava streams_depot": (), "streams_depot cava": (),
    "cava fruit streams_xattr": FILE, "fruit streams_xattr cava": FILE,
    "fruit cava streams_xattr": STREAM,
    "cava catia fruit streams_xattr": STREAM,
    "catia fruit streams_xattr cava": FILE,
    "cava full_audit streams_xattr acl_xattr": (),
    "cava streams_xattr io_uring": (),
}
PREFIX = ("streams_xattr:prefix = user.own.",
          "streams_xattr:store_stream_type = no")
CATIA = ("catia:mappings = 0xe4:0xe5",)     # on disk a with two dots


def share_of(stack):
    return stack.replace(" ", "-")


def make(engine, profile):
    lab = Lab("--engine", engine, "--profile", profile, "--samba-option",
              "vfs objects = cava streams_xattr",
              "--samba-option", "global:full_audit:syslog = no")
    for stack, options in STACKS.items():
        lab.add_share(share_of(stack), "vfs objects = " + stack, *options)
    lab.add_share("prefix", "vfs objects = cava streams_xattr", *PREFIX)
    lab.add_share("catia", "vfs objects = cava catia streams_xattr", *CATIA)
    lab.configure("filter System", "open_on_fail", "no")
    return lab


@pytest.fixture(scope="module")
def strict():
    """Servers that fetch, so every clean answer is one about bytes that came
    through CHECK$."""
    lab = make("cee", "strict")
    try:
        yield lab.start()
    finally:
        lab.close()


@pytest.fixture(scope="module")
def standard():
    lab = make("clamd", "standard")
    try:
        yield lab.start()
    finally:
        lab.close()


@pytest.fixture
def raw():
    made = []

    def get(lab, share=None):
        made.append(Raw(lab, share))
        return made[-1]

    yield get
    for smb in made:
        smb.close()


def put(lab, name, stream, content, share="share"):
    """As a local user."""
    path = lab.dir / "data" / share / name
    if not path.exists():
        path.write_bytes(b"the file itself\n")
        path.chmod(0o666)
    os.setxattr(path, ATTRIBUTE % stream, content + b"\0")
    return path


def asked(lab):
    """By smbds; what a close owes is asked for some time later."""
    return lab.counter("scan_blocked")


def scans(lab):
    return lab.counter("files_processed")


# --- whatever the order of the modules ---

@pytest.mark.parametrize("stack", STACKS)
def test_strict(strict, stack):
    share = share_of(stack)
    smb = strict.connect(share=share)
    smb.savefile("a.txt", b"the file itself\n")
    smb.savefile("a.txt:fine", TEXT)
    assert smb.loadfile("a.txt:fine") == TEXT
    smb.savefile("a.txt:evil", EICAR)
    assert status_of(strict.connect(share=share).loadfile,
                     "a.txt:evil") in DENIED
    assert status_of(strict.connect(share=share).loadfile,
                     "a.txt:evil") == VIRUS_INFECTED
    assert smb.loadfile("a.txt") == b"the file itself\n"
    assert smb.loadfile("a.txt:fine") == TEXT

    # the other way round: an infected file, and a clean stream of it
    smb.savefile("b.txt", EICAR)
    smb.savefile("b.txt:fine", TEXT)
    assert smb.loadfile("b.txt:fine") == TEXT
    assert status_of(strict.connect(share=share).loadfile, "b.txt") in DENIED

    # it is fixed as a file is: overwritten, or deleted
    smb.savefile("a.txt:evil", TEXT)
    assert smb.loadfile("a.txt:evil") == TEXT
    smb.savefile("a.txt:evil", EICAR)
    assert status_of(smb.loadfile, "a.txt:evil") in DENIED
    smb = strict.connect(share=share)   # a denied loadfile() closes nothing
    smb.unlink("a.txt:evil")
    assert status_of(smb.loadfile, "a.txt:evil") == NOT_FOUND
    assert not MARKS.search(strict.log())


@pytest.mark.parametrize("stack", STACKS)
def test_standard(standard, stack):
    share = share_of(stack)
    smb = standard.connect(share=share)
    smb.savefile("a.txt:fine", TEXT)
    smb.savefile("a.txt:evil", EICAR)
    for _ in range(2):
        assert status_of(standard.connect(share=share).loadfile,
                         "a.txt:evil") in DENIED
    assert status_of(standard.connect(share=share).loadfile,
                     "a.txt:evil") == VIRUS_INFECTED
    assert smb.loadfile("a.txt:fine") == TEXT
    assert not MARKS.search(standard.log())


@pytest.mark.parametrize("stack", STACKS)
def test_copy_chunk(strict, raw, stack):
    share = share_of(stack)
    smb = raw(strict, share)
    plain = strict.connect(share=share)
    for name, content in (("evil", EICAR), ("fine", TEXT)):
        plain.savefile("copied.txt:" + name, content)
    assert status_of(plain.loadfile, "copied.txt:evil") in DENIED
    source = smb.open("copied.txt:fine", READ)
    target = smb.open("copy.bin", ALL, CREATE)
    copy_chunk(smb, source, target, len(TEXT))
    # on a handle that was opened while it was clean
    again = smb.open("copied.txt:fine", READ)
    plain.savefile("copied.txt:fine", EICAR)
    assert raw_status(copy_chunk, smb, again, target, 68) != 0
    assert raw_status(smb.open, "copied.txt:evil", READ) in DENIED
    smb.done(target)
    assert plain.loadfile("copy.bin") == TEXT


@pytest.mark.parametrize("stack", STACKS)
def test_handle_opened_while_clean(strict, stack):
    share = share_of(stack)
    smb = strict.connect(share=share)
    other = strict.connect(share=share)
    smb.savefile("handle.txt:s", TEXT)
    reader = smb.create("handle.txt:s", DesiredAccess=READ,
                        ShareAccess=SHARE_ALL)
    assert smb.read(reader, 0, 100) == TEXT
    writer = other.create("handle.txt:s", DesiredAccess=READ | WRITE,
                          ShareAccess=SHARE_ALL)
    other.write(writer, EICAR, 0)
    assert status_of(smb.read, reader, 0, 100) == ACCESS_DENIED
    # nor is it for who wrote it, and has not emptied it
    assert status_of(other.read, writer, 0, 100) == ACCESS_DENIED
    other.write(writer, TEXT.ljust(68), 0)
    assert smb.read(reader, 0, 100) == TEXT.ljust(68)
    smb.close(reader)
    other.close(writer)


@pytest.mark.parametrize("stack", STACKS)
def test_renamed_over(standard, stack):
    """A stream gets another's name, in the profile that asks who owes."""
    share = share_of(stack)
    smb = standard.connect(share=share)
    smb.savefile("ren.txt:a", TEXT)
    smb.savefile("ren.txt:b", EICAR)
    first = smb.create("ren.txt:b", DesiredAccess=DELETE | 0x80,
                       ShareAccess=SHARE_ALL)
    smb.close(first)
    rename_stream(standard, share, "ren.txt:b", ":a", replace=True)
    assert status_of(standard.connect(share=share).loadfile,
                     "ren.txt:a") in DENIED
    assert status_of(smb.loadfile, "ren.txt:b") == NOT_FOUND


def rename_stream(lab, share, name, new, replace=False):
    smb = Raw(lab, share)
    try:
        file = smb.open(name, DELETE | 0x80)
        text = new.encode("utf-16-le")
        smb.set_info(file, 10, bytes([replace]) + bytes(15) +
                     len(text).to_bytes(4, "little") + text)
        smb.done(file)
    finally:
        smb.close()


# --- attributes ---

def test_written_after_its_rename(standard, raw):
    """The handle's stream has another name when it writes again."""
    smb = raw(standard)
    file = smb.open("moved.txt:first", ALL, OPEN_IF)
    smb.low.write(smb.tree, file, TEXT.ljust(68), 0, 68)
    rename_stream(standard, "share", "moved.txt:first", ":second")
    smb.low.write(smb.tree, file, EICAR, 0, len(EICAR))
    smb.done(file)
    assert status_of(standard.connect().loadfile, "moved.txt:second") \
        in DENIED


def test_standard_waits_for_what_is_owed_alone(standard):
    """As with files: what nobody wrote through SMB is not scanned."""
    put(standard, "local.txt", "s", EICAR)
    assert standard.connect().loadfile("local.txt:s") == EICAR


def test_found_by_a_scan(standard):
    """Set by a local user, and not yet opened in strict: a scan finds it."""
    path = put(standard, "scanned.txt", "evil", EICAR)
    smb = standard.connect()
    assert smb.loadfile("scanned.txt:evil") == EICAR
    done = standard.cavactl("scan", str(path))
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "scanned.txt:evil: infected" in done.stdout
    assert status_of(standard.connect().loadfile,
                     "scanned.txt:evil") in DENIED
    assert smb.loadfile("scanned.txt") == b"the file itself\n"


def test_infected_sticks_in_standard(standard):
    """What was infected and then changed locally waits for a scan."""
    smb = standard.connect()
    smb.savefile("sticks.txt:s", EICAR)
    assert status_of(smb.loadfile, "sticks.txt:s") in DENIED
    put(standard, "sticks.txt", "s", TEXT * 2)
    before = scans(standard)
    assert smb.loadfile("sticks.txt:s") == TEXT * 2
    assert scans(standard) > before


def test_set_by_a_local_user(strict):
    """No time of the file tells it; its bytes do."""
    smb = strict.connect()
    path = put(strict, "set.txt", "s", TEXT)
    assert smb.loadfile("set.txt:s") == TEXT
    times = os.stat(path)
    put(strict, "set.txt", "s", EICAR)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert status_of(smb.loadfile, "set.txt:s") in DENIED
    # without the terminator, the last byte is not handed out
    os.setxattr(path, ATTRIBUTE % "s", EICAR + b"X")
    assert status_of(smb.loadfile, "set.txt:s") in DENIED


@pytest.mark.parametrize("name", [
    "plain", "with blank", "\u00fcml\u00e4ut", "x" * 60, ".dot", "cava-1",
    "a.exe", "semi;colon", "per%cent", "am&per", "quo'te"])
def test_names(strict, name):
    """By its name or by an alias: a server that fetches gets at each."""
    smb = strict.connect()
    smb.savefile("names.txt:" + name, TEXT + name.encode())
    assert smb.loadfile("names.txt:" + name) == TEXT + name.encode()
    smb.savefile("names.txt:" + name, EICAR)
    assert status_of(smb.loadfile, "names.txt:" + name) in DENIED


@pytest.mark.parametrize("share", ["prefix", "catia"])
@pytest.mark.parametrize("profile", ["strict", "standard"])
def test_attributes_of_other_names(strict, standard, share, profile):
    """The attribute is not called as usual, or not as we see it."""
    lab = {"strict": strict, "standard": standard}[profile]
    smb = lab.connect(share=share)
    smb.savefile("other.txt:other\u00e5", b"")
    smb.savefile("other.txt:str\u00e5m", TEXT)
    assert smb.loadfile("other.txt:str\u00e5m") == TEXT
    smb.savefile("other.txt:str\u00e5m", EICAR)
    assert status_of(lab.connect(share=share).loadfile,
                     "other.txt:str\u00e5m") in DENIED
    names = os.listxattr(lab.dir / "data" / share / "other.txt")
    assert ATTRIBUTE % "str\u00e5m" not in names
    rename_stream(lab, share, "other.txt:str\u00e5m", ":n\u00e5w")
    assert status_of(lab.connect(share=share).loadfile,
                     "other.txt:n\u00e5w") in DENIED


@pytest.mark.parametrize("stack", ["cava streams_xattr",
                                   "cava streams_depot"])
def test_stream_of_a_directory(strict, stack):
    share = share_of(stack)
    smb = strict.connect(share=share)
    smb.mkdir("dir")
    smb.savefile("dir:s", TEXT)
    assert smb.loadfile("dir:s") == TEXT
    smb.savefile("dir:s", EICAR)
    assert status_of(smb.loadfile, "dir:s") in DENIED


def test_compound(strict, raw):
    """Opened, read and closed in one request."""
    smb = raw(strict)
    put(strict, "chain.txt", "evil", EICAR)
    put(strict, "chain.txt", "fine", b"read in one request\n")
    for name, content in (("evil", None), ("fine", b"read in one request\n")):
        replies = smb.send(smb.create("chain.txt:" + name), smb.read(),
                           smb.close_file())
        if content is None:
            assert replies[0][0] in DENIED and replies[1][0] in DENIED
        else:
            assert smb.content(replies[1][1]) == content


def test_largest_stream(strict):
    """All that an attribute of this file system holds."""
    smb = strict.connect()
    size = 65535
    path = strict.dir / "data" / "share" / "large.txt"
    path.write_bytes(b"x")
    path.chmod(0o666)
    while True:
        try:
            os.setxattr(path, ATTRIBUTE % "s", bytes(size + 1))
            break
        except OSError:
            size //= 2
    assert smb.loadfile("large.txt:s") == bytes(size)
    assert smb.loadfile("large.txt:s") == bytes(size)


def test_infected_file_keeps_its_streams_apart(strict):
    """Writing a stream is no change of the file: its verdict stays."""
    smb = strict.connect()
    smb.savefile("kept.txt", TEXT)
    assert smb.loadfile("kept.txt") == TEXT
    before = scans(strict)
    smb.savefile("kept.txt:s", TEXT)
    assert smb.loadfile("kept.txt:s") == TEXT
    assert strict.connect().loadfile("kept.txt") == TEXT
    assert scans(strict) <= before + 1


# --- what it costs ---

def test_the_same_bytes_are_scanned_once(strict):
    smb = strict.connect()
    for i in range(20):
        smb.savefile("zone%d.txt" % i, b"%d\n" % i)
        assert smb.loadfile("zone%d.txt" % i) == b"%d\n" % i
    before = scans(strict)
    smb.savefile("zone.txt:Zone.Identifier", ZONE % 7)
    assert smb.loadfile("zone.txt:Zone.Identifier") == ZONE % 7
    for i in range(20):
        smb.savefile("zone%d.txt:Zone.Identifier" % i, ZONE % 7)
    smb = strict.connect()
    for i in range(20):
        assert smb.loadfile("zone%d.txt:Zone.Identifier" % i) == ZONE % 7
    assert scans(strict) - before == 1
    questions = asked(strict)
    for i in range(20):
        assert smb.loadfile("zone%d.txt:Zone.Identifier" % i) == ZONE % 7
    assert asked(strict) == questions


@pytest.mark.parametrize("stack", [s for s in STACKS if "fruit" in s])
def test_finder(strict, stack):
    """What the Finder keeps: its information costs nothing, a resource fork
    is content."""
    share = share_of(stack)
    smb = strict.connect(share=share)
    smb.savefile("mac.txt", b"a file of a Mac\n")
    assert smb.loadfile("mac.txt") == b"a file of a Mac\n"
    before = scans(strict)
    smb.savefile("mac.txt:AFP_AfpInfo", FINDER)
    for smb in smb, strict.connect(share=share):
        info = smb.loadfile("mac.txt:AFP_AfpInfo")
        assert len(info) == 60 and info[16:48] == FINDER[16:48]
    assert scans(strict) == before
    fork = b"the resource fork of %s\n" % share.encode()
    smb.savefile("mac.txt:AFP_Resource", fork)
    assert smb.loadfile("mac.txt:AFP_Resource") == fork
    wait_for("the resource fork to be scanned",
             lambda: scans(strict) > before)
    assert smb.loadfile("mac.txt") == b"a file of a Mac\n"
    assert not MARKS.search(strict.log())


# --- an antivirus server that can be told what to do ---

@pytest.fixture(scope="module")
def faked():
    lab = Lab("--engine", "cee", "--profile", "strict", "--samba-option",
              "vfs objects = cava fruit streams_xattr")
    lab.configure("filter System", "open_on_fail", "no")
    try:
        lab.start()
        lab.fakes.append(lab.fake())
        yield lab
    finally:
        lab.close()


def test_infected_resource_fork(faked):
    """It is the file ._NAME, which is what a server is asked about."""
    fake = faked.fakes[0]
    fake.rule("._res.txt", "infected Fork\nfetch yes")
    smb = faked.connect()
    smb.savefile("res.txt", b"fine\n")
    smb.savefile("res.txt:AFP_Resource", TEXT)
    assert status_of(faked.connect().loadfile, "res.txt:AFP_Resource") \
        in DENIED
    assert smb.loadfile("res.txt") == b"fine\n"
    assert fake.requests("._res.txt")


def test_other_bytes_during_the_scan(faked):
    """Fine ones for the time of the scan: it is void, since the scanner
    did not get what was to be scanned."""
    fake = faked.fakes[0]
    gate = fake.hold("swap.txt:s")
    put(faked, "swap.txt", "s", EICAR)
    smb = faked.connect()
    reader = InThread(smb.loadfile, "swap.txt:s")
    fake.wait_request("swap.txt:s")
    put(faked, "swap.txt", "s", TEXT * 7)
    gate.touch()
    wait_for("the scan to be done again",
             lambda: len(fake.requests("swap.txt:s")) >= 2)
    assert reader.result() == TEXT * 7
    # and what was there before has no verdict
    count = len(fake.requests("swap.txt:s"))
    fake.rule("swap.txt:s", "infected Swap\nfetch yes")
    put(faked, "swap.txt", "s", EICAR)
    assert status_of(smb.loadfile, "swap.txt:s") in DENIED
    assert len(fake.requests("swap.txt:s")) > count


def test_scanner_is_given_no_other_bytes(faked):
    """As above, and put back before the server answers: as if nothing had
    happened, if the scanner had read them."""
    fake = faked.fakes[0]
    gate = fake.hold("back.txt:s", "clean")
    put(faked, "back.txt", "s", b"not to be read\n")
    reader = InThread(faked.connect().loadfile, "back.txt:s")
    fake.wait_request("back.txt:s")
    put(faked, "back.txt", "s", TEXT * 6)
    av = faked.connect_av()
    status = status_of(av.loadfile, "share\\back.txt:s")
    put(faked, "back.txt", "s", b"not to be read\n")
    gate.touch()
    assert status_of(reader.result) == ACCESS_DENIED
    assert status == ACCESS_DENIED


def test_scanner_opens_what_is_asked_for_alone(faked):
    fake = faked.fakes[0]
    put(faked, "alone.txt", "asked", TEXT * 5)
    put(faked, "alone.txt", "other", TEXT * 2)
    av = faked.connect_av()
    assert status_of(av.loadfile, "share\\alone.txt:asked") == ACCESS_DENIED
    gate = fake.hold("alone.txt:asked")
    reader = InThread(faked.connect().loadfile, "alone.txt:asked")
    fake.wait_request("alone.txt:asked")
    assert av.loadfile("share\\alone.txt:asked") == TEXT * 5
    assert status_of(av.loadfile, "share\\alone.txt:other") == ACCESS_DENIED
    assert status_of(av.loadfile, "share\\alone.txt:none") != 0
    assert status_of(av.savefile, "share\\alone.txt:asked", b"x") != 0
    assert status_of(av.savefile, "share\\alone.txt:new", b"x") != 0
    assert status_of(av.unlink, "share\\alone.txt:asked") != 0
    gate.touch()
    assert reader.result() == TEXT * 5


def test_other_requests_go_on_while_a_stream_is_scanned(faked):
    """The open is parked: smbd does not stand still."""
    fake = faked.fakes[0]
    smb = faked.connect()
    smb.savefile("quick.txt", b"fine\n")
    assert smb.loadfile("quick.txt") == b"fine\n"
    put(faked, "slow.txt", "s", TEXT * 3)
    gate = fake.hold("slow.txt:s")
    reader = InThread(smb.loadfile, "slow.txt:s")
    fake.wait_request("slow.txt:s")
    for _ in range(5):
        other = InThread(smb.loadfile, "quick.txt")
        assert other.result() == b"fine\n"
        assert other.took < 1
    assert reader.is_alive()
    gate.touch()
    assert reader.result() == TEXT * 3


def test_nobody_answers(faked):
    """open_on_fail = no: denied; the Finder's information is not asked
    about."""
    smb = faked.connect()
    put(faked, "alone.txt", "late", TEXT * 4)
    put(faked, "alone.txt", "AFP_AfpInfo", FINDER)
    faked.sh("stop", "cavad")
    try:
        assert status_of(smb.loadfile, "alone.txt:late") == ACCESS_DENIED
    finally:
        faked.sh("start", "cavad")
        faked.wait_online()
    wait_for("it to be scanned",
             lambda: status_of(smb.loadfile, "alone.txt:late") == 0)


def test_a_writer_whose_smbd_dies(new_lab):
    """WILL_WRITE of a stream: what it wrote is scanned without its close."""
    lab = new_lab("--engine", "clamd", "--profile", "standard",
                  "--samba-option", "vfs objects = cava streams_xattr")
    lab.start()
    smb = lab.connect()
    file = smb.create("dies.txt:s", DesiredAccess=WRITE,
                      ShareAccess=SHARE_ALL, CreateDisposition=OVERWRITE_IF)
    smb.write(file, EICAR, 0)
    for pid in smbds_of(lab):
        os.kill(pid, signal.SIGKILL)
    wait_for("what it wrote to be denied", lambda: status_of(
        lab.connect().loadfile, "dies.txt:s") in DENIED)


@pytest.mark.parametrize("setting, value", [
    ("scan_profile", "writes_only"), ("exempt_hosts", "127.0.0.0/8"),
    ("paths_to_exclude", "*.txt")])
def test_no_rule_holds_for_a_known_infected_one(new_lab, setting, value):
    lab = new_lab("--engine", "clamd", "--profile", "strict",
                  "--samba-option", "vfs objects = cava streams_xattr")
    lab.start()
    put(lab, "rules.txt", "evil", EICAR)
    assert status_of(lab.connect().loadfile, "rules.txt:evil") in DENIED
    lab.configure("filter System", setting, value)
    lab.sh("stop", "cavad")
    lab.sh("start", "cavad")
    lab.wait_online()
    put(lab, "rules.txt", "other", EICAR + b"unknown")
    smb = lab.connect()
    assert smb.loadfile("rules.txt:other") == EICAR + b"unknown"
    assert status_of(smb.loadfile, "rules.txt:evil") in DENIED


def smbds_of(lab):
    """The smbds that serve clients, children of the one of the lab."""
    parent = int((lab.dir / "run" / "smbd.pid").read_text())
    path = "/proc/%d/task/%d/children" % (parent, parent)
    found = []
    for pid in open(path).read().split():
        if b"cavad" not in open("/proc/%s/cmdline" % pid, "rb").read():
            found.append(int(pid))
    return found
