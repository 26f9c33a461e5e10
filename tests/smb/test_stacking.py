"""With other modules in `vfs objects`, before cava and after it.

Whatever the stack: what is clean is scanned once, what is infected is
denied, under its new name too, and smbd lives. A stack in which something
would pass by cava is refused at the tree connect, with the reason.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import re

import pytest

import record
from lab import (ACCESS_DENIED, EICAR, ROOT, VIRUS_INFECTED, Lab, status_of,
                 wait_for)

TEXT = b"nothing to see, through any of them\n"
DENIED = (ACCESS_DENIED, VIRUS_INFECTED)
CATIA = "catia:mappings = 0xe4:0xe5"    # on disk a with two dots, else a ring
AUDIT = ("full_audit:success = all", "full_audit:failure = all",
         "full_audit:priority = debug")
FRUIT = ("fruit:metadata = stream",)
RECYCLE = ("recycle:repository = .bin", "recycle:versions = yes",
           "recycle:exclude_dir = .bin")
OPEN_AIO = ("aio_pthread:aio open = yes",)

STACKS = {
    "cava": (),
    "cava catia": (CATIA,), "catia cava": (CATIA,),
    "cava full_audit": AUDIT, "full_audit cava": AUDIT,
    "cava recycle": RECYCLE, "recycle cava": RECYCLE,
    "cava acl_xattr": (), "acl_xattr cava": (),
    "cava aio_pthread": OPEN_AIO, "aio_pthread cava": OPEN_AIO,
    "cava io_uring": (),
    "cava streams_xattr": (), "streams_xattr cava": (),
    "cava streams_depot": (), "streams_depot cava": (),
    "cava fruit streams_xattr": FRUIT,
    "fruit streams_xattr cava": FRUIT,
    "fruit cava streams_xattr": FRUIT,
    "cava shadow_copy2": (), "shadow_copy2 cava": (),
    "cava worm": (), "worm cava": (),
    "cava xattr_tdb": (), "xattr_tdb cava": (),
    "cava time_audit": (), "time_audit cava": (),
    "cava crossrename": (), "cava btrfs": (),
    "catia full_audit fruit streams_xattr acl_xattr recycle cava":
        (CATIA, *AUDIT, *FRUIT, *RECYCLE),
    "cava catia full_audit fruit streams_xattr acl_xattr recycle io_uring":
        (CATIA, *AUDIT, *FRUIT, *RECYCLE),
}
READ_ONLY = ("cava readonly", "readonly cava")
REFUSED = {
    "io_uring cava": "reads and writes without calling the next module",
    "aio_fork cava": "reads and writes without calling the next module",
    "btrfs cava": "clones files",
    "crossrename cava": "copies files",
    "full_audit io_uring cava": "io_uring before cava",
}
REMOTE = ("cava glusterfs", "glusterfs cava", "cava ceph", "ceph cava")
MARKS = re.compile("PANIC|INTERNAL ERROR|smb_panic|talloc: access after")


def share_of(stack):
    return stack.replace(" ", "-")


@pytest.fixture(scope="module")
def lab():
    lab = Lab("--engine", "cee", "--profile", "strict",
              "--samba-option", "global:full_audit:syslog = no")
    try:
        for stack, options in STACKS.items():
            lab.add_share(share_of(stack), "vfs objects = " + stack, *options)
        for stack in (*READ_ONLY, *REFUSED, *REMOTE):
            path = lab.add_share(share_of(stack), "vfs objects = " + stack)
            (path / "there.txt").write_bytes(TEXT)
        lab.configure("filter System", "open_on_fail", "no")
        lab.start()
        yield lab
    finally:
        lab.close()


def asked(lab):
    """By smbds; what a close owes is asked for some time later."""
    return lab.counter("scan_blocked")


def has_record(path):
    return bool(record.settled(path))


@pytest.mark.parametrize("stack", STACKS)
def test_stack(lab, stack):
    share = share_of(stack)
    path = lab.dir / "data" / share
    smb = lab.connect(share=share)

    smb.savefile("clean.txt", TEXT)
    assert smb.loadfile("clean.txt") == TEXT
    assert has_record(path / "clean.txt")   # its reader did not wait for it
    before = asked(lab)
    assert lab.connect(share=share).loadfile("clean.txt") == TEXT
    assert asked(lab) == before

    smb.savefile("eicar.txt", EICAR)
    assert status_of(lab.connect(share=share).loadfile,
                     "eicar.txt") in DENIED
    assert status_of(lab.connect(share=share).loadfile,
                     "eicar.txt") == VIRUS_INFECTED
    smb.rename("eicar.txt", "renamed.txt")
    assert status_of(lab.connect(share=share).loadfile,
                     "renamed.txt") in DENIED

    # by path, to a new name: the rename itself is what causes the scan
    (path / "unscanned.txt").write_bytes(TEXT)
    (path / "unscanned.txt").chmod(0o666)
    smb.rename("unscanned.txt", "scanned.txt")
    wait_for("the renamed file to be scanned",
             lambda: has_record(path / "scanned.txt"))

    smb.unlink("renamed.txt")
    smb.unlink("clean.txt")
    assert not (path / "clean.txt").exists()
    smb.savefile("clean.txt", TEXT)     # the connection is still there
    assert not MARKS.search(lab.log())


@pytest.mark.parametrize("stack", [s for s in STACKS if "catia" in s])
def test_mapped_names(lab, stack):
    """A name that is another one on disk: read, denied, renamed."""
    share = share_of(stack)
    path = lab.dir / "data" / share
    smb = lab.connect(share=share)
    smb.savefile("b\u00e5d.txt", TEXT)
    assert smb.loadfile("b\u00e5d.txt") == TEXT
    assert (path / "b\u00e4d.txt").read_bytes() == TEXT
    smb.savefile("virus\u00e5.txt", EICAR)
    assert status_of(lab.connect(share=share).loadfile,
                     "virus\u00e5.txt") in DENIED
    (path / "plain.txt").write_bytes(TEXT)
    (path / "plain.txt").chmod(0o666)
    smb.rename("plain.txt", "\u00e5.txt")
    wait_for("the renamed file to be scanned",
             lambda: has_record(path / "\u00e4.txt"))


@pytest.mark.parametrize("stack", [s for s in STACKS if "recycle" in s])
def test_bin(lab, stack):
    """What is deleted is moved: it stays denied there, and can be scanned,
    before a verdict was there and after."""
    share = share_of(stack)
    bin_dir = lab.dir / "data" / share / ".bin"
    smb = lab.connect(share=share)
    smb.savefile("bad.txt", EICAR)
    assert status_of(lab.connect(share=share).loadfile, "bad.txt") != 0
    smb.unlink("bad.txt")
    assert (bin_dir / "bad.txt").exists()
    for _ in range(2):
        assert status_of(lab.connect(share=share).loadfile,
                         ".bin\\bad.txt") in DENIED
    run = lab.cavactl("scan", str(bin_dir / "bad.txt"))
    assert run.returncode == 2, run.stdout

    smb.savefile("quick.txt", EICAR)
    smb.unlink("quick.txt")
    assert status_of(lab.connect(share=share).loadfile,
                     ".bin\\quick.txt") in DENIED
    smb.savefile("good.txt", TEXT)
    smb.unlink("good.txt")
    assert lab.connect(share=share).loadfile(".bin\\good.txt") == TEXT


@pytest.mark.parametrize("stack", [s for s in STACKS if "acl_xattr" in s])
def test_acl_costs_no_scan(lab, stack):
    """acl_xattr keeps it in an attribute of its own."""
    share = share_of(stack)
    smb = lab.connect(share=share)
    smb.savefile("acl.txt", TEXT)
    assert smb.loadfile("acl.txt") == TEXT
    before, kept = asked(lab), lab.counter("restamps")
    sd = smb.get_acl("acl.txt", 7)
    assert sd.dacl.aces[-1].access_mask == 0x001200a9
    sd.dacl.aces[-1].access_mask = 0x00120089
    smb.set_acl("acl.txt", sd, 4)
    wait_for("the verdict to be kept",
             lambda: lab.counter("restamps") > kept)
    assert smb.loadfile("acl.txt") == TEXT
    assert asked(lab) - before <= 1     # it may ask while that is written


@pytest.mark.parametrize("stack", READ_ONLY)
def test_readonly(lab, stack):
    share = share_of(stack)
    assert lab.connect(share=share).loadfile("there.txt") == TEXT
    assert has_record(lab.dir / "data" / share / "there.txt")
    (lab.dir / "data" / share / "eicar.txt").write_bytes(EICAR)
    assert status_of(lab.connect(share=share).loadfile,
                     "eicar.txt") in DENIED


@pytest.mark.parametrize("stack", REFUSED)
def test_refused(lab, stack):
    share = share_of(stack)
    out = lab.smbclient("get there.txt /dev/null", share=share)
    assert out.returncode != 0
    assert "tree connect failed" in out.stdout
    said = [line for line in lab.log().splitlines()
            if "share %s is refused" % share in line]
    assert said and REFUSED[stack] in said[-1]


@pytest.mark.parametrize("stack", REMOTE)
def test_not_of_the_kernel(lab, stack):
    """Refused by cava, or by smbd where the library is not installed."""
    share = share_of(stack)
    out = lab.smbclient("get there.txt /dev/null", share=share)
    assert out.returncode != 0
    assert "tree connect failed" in out.stdout
    log = lab.log()
    module = stack.replace("cava", "").strip()
    if "Error loading module" in log and "%s.so" % module in log:
        pytest.skip("the library of vfs_%s is not installed" % module)
    if stack.startswith("cava"):
        assert "share %s is refused" % share in log
        assert "not on a file system of the kernel" in log


def test_a_module_for_another_samba(new_lab):
    """As after an update of Samba alone: refused, with both versions."""
    lab = new_lab("--engine", "null")
    module = lab.dir / "vfs" / "cava.so"
    here = (ROOT / "build/samba/version").read_bytes().strip()
    other = b"9" + here[1:]
    code = module.read_bytes()
    assert code.count(here + b"\0") == 1
    module.write_bytes(code.replace(here + b"\0", other + b"\0"))
    lab.start()
    out = lab.smbclient("ls")
    assert out.returncode != 0
    assert "tree connect failed" in out.stdout
    assert "cava: built for Samba %s, this is %s; the module is not loaded" \
        % (other.decode(), here.decode()) in lab.log()
