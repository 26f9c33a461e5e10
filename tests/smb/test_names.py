"""Any name that a Linux file system can hold is scanned: one by one as
`cavactl scan` asks, and when a client reads it. The agent fetches by the
file's own name where SMB can carry it, by an alias elsewhere.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import concurrent.futures
import json
import os
import random
import re
import unicodedata

import pytest
from samba import NTSTATUSError

from record import settled
from lab import ACCESS_DENIED, EICAR, VIRUS_INFECTED, status_of, wait_for

TEXT = b"nothing wrong with it\n"
COUNT = 200
WILD = b'*?<>"'
NAME_INVALID = 0xC0000033


def odd_names():
    """Those that somebody has thought of."""
    names = [b"colon:in it", b"stream:x:$DATA", b"back\\slash", b"dot.",
             b"dots...", b"space ", b" space", b"q?", b"star*", b"<lt>",
             b"quote\"d", b"pi|pe", b"new\nline", b"tab\tbed", b"\x01bell\x07",
             b"del\x7f", b"\xff\xfe", b"latin1-\xe4\xf6", b"\xc3(", b"\xed\xa0\x80",
             b"x" * 255, "ä".encode() * 127, "💾".encode() * 63,
             b"CON", b"NUL.txt", b"com1", b"aux.c", b"ABCDEF~1.TXT",
             b"~", b"~$x.docx", b".hidden", b"..hidden", b"...", b"a..b",
             b"100%", b"%41", b"%2e%2e%5c", b"a&b<c>'d", b"&amp;", b"a;b",
             b"$HOME", b"`id`", b"-rf", b"--help", b"#", b"a#b?c=d", b"@",
             b"@GMT-2026.11.23-10.00.00", b"@GMT-x", b"smb:", b"\\",
             b"\\\\host\\share", b"case", b"CASE", b"Case", b"cAsE",
             unicodedata.normalize("NFC", "é").encode(),
             unicodedata.normalize("NFD", "é").encode(),
             "ﬁ".encode(), "ß".encode(), "ẞ".encode(), "İ".encode(),
             "ı".encode(), "\u202eexe.txt".encode(), "\ufeffbom".encode(),
             "\uf022private".encode(), "\u0000".replace("\0", "x").encode(),
             "日本語.txt".encode(), "ñandú".encode(), b"eicar.com",
             b"cava-alias-0123456789abcdef", b"CAVA-ALIAS-x", b"desktop.ini",
             b".DS_Store", b"._x", b"a b  c", b"[x]", b"{x}", b"(x)", b"!",
             b"x=y", b"x,y", b"x+y", b"'", b"\x1b[31mred", b"\r"]
    return names


def names():
    """200 of them: the odd ones, and bytes at random (always the same)."""
    dice = random.Random(7)
    found = list(dict.fromkeys(odd_names()))
    while len(found) < COUNT:
        length = dice.choice((1, 2, 8, 60, 255))
        if dice.random() < 0.5:
            name = bytes(dice.choice([b for b in range(1, 256) if b != 47])
                         for _ in range(length))
        else:
            name = "".join(dice.choice("abAB äöé:.\\ ?*日💾\n%") for _ in
                           range(length)).encode()[:255]
        if name not in (b".", b"..") and name not in found:
            found.append(name)
    return found


NAMES = names()


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", "no")
    lab.start()
    lab.wait_online()
    return lab


def directory(lab, name):
    path = os.fsencode(lab.share_dir) + b"/" + name
    os.mkdir(path)
    os.chmod(path, 0o777)
    return path


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)
    os.chmod(path, 0o666)


def scan(lab, path):
    return lab.cavactl("scan", path).returncode


def scan_all(lab, paths):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda p: scan(lab, p), paths))


def test_each_name_alone(lab):
    """Infected ones among clean ones, so that none is taken for another."""
    root = directory(lab, b"alone")
    paths = [root + b"/" + name for name in NAMES]
    for i, path in enumerate(paths):
        write(path, EICAR if i % 2 else TEXT)
    codes = scan_all(lab, paths)
    wrong = [(NAMES[i], code) for i, code in enumerate(codes)
             if code != (2 if i % 2 else 0)]
    assert not wrong, wrong


def test_directories_of_such_names(lab):
    root = directory(lab, b"below")
    paths = []
    for i, name in enumerate(NAMES[::3]):
        os.mkdir(root + b"/" + name)
        paths.append(root + b"/" + name + b"/file.txt")
        write(paths[-1], EICAR if i % 2 else TEXT)
    codes = scan_all(lab, paths)
    wrong = [(paths[i], code) for i, code in enumerate(codes)
             if code != (2 if i % 2 else 0)]
    assert not wrong, wrong


def shown(smb, where):
    """The name in a directory as smbd lists it, mangled where it must be."""
    try:
        names = [e["name"] for e in smb.list(where)]
    except NTSTATUSError:
        return None     # what a listing cannot hold nobody can open
    names = [n for n in names if n not in (".", "..")]
    return names[0] if names else None


def test_each_name_read_by_a_client(lab):
    root = directory(lab, b"read")
    smb = lab.connect(threads=False)    # others list nothing
    read = denied = refused = 0
    for i, name in enumerate(NAMES):
        where = root + b"/%03d" % i
        os.mkdir(where)
        write(where + b"/" + name, EICAR if i % 2 else TEXT)
        alias = shown(smb, "read\\%03d" % i)
        if alias is None or alias.startswith("@GMT-2"):
            continue    # the client asks for a snapshot then
        status = status_of(smb.loadfile, "read\\%03d\\%s" % (i, alias))
        if status == NAME_INVALID and any(c in WILD for c in name):
            refused += 1    # Samba 4.22 finds it, and wants no wildcard: in
            continue        # any share
        if i % 2:
            assert status in (ACCESS_DENIED, VIRUS_INFECTED), name
            denied += 1
        else:
            assert status == 0, (name, hex(status))
            read += 1
        record = settled(where + b"/" + name)
        assert record[1] == (2 if i % 2 else 1), name
    least = (COUNT - refused) * 0.3
    assert read > least and denied > least, (read, denied, refused)


def test_deep_path(lab):
    """Longer than SMB clients take, shorter than the kernel's limit."""
    path = os.fsencode(lab.share_dir)
    while len(path) + 240 < 4000:
        path += b"/" + b"d" * 230
        os.mkdir(path)
    write(path + b"/virus.txt", EICAR)
    assert scan(lab, path + b"/virus.txt") == 2
    write(path + b"/text.txt", TEXT)
    assert scan(lab, path + b"/text.txt") == 0


def test_alias_leads_nowhere_else(lab):
    """Only while it is outstanding, and for nobody else's file."""
    av = lab.connect_av()
    for name in ("cava-alias-", "cava-alias-0000000000000000",
                 "CAVA-ALIAS-1", "cava-alias-..\\share\\x"):
        assert status_of(av.loadfile, name) != 0
    # such a name of a client's is its own, and is scanned by an alias
    smb = lab.connect()
    smb.savefile("cava-alias-0000000000000001", TEXT)
    assert smb.loadfile("cava-alias-0000000000000001") == TEXT
    smb.savefile("cava-alias-0000000000000002", EICAR)
    assert status_of(lab.connect().loadfile,
                     "cava-alias-0000000000000002") in (ACCESS_DENIED,
                                                        VIRUS_INFECTED)


def test_swapped_under_an_alias(lab):
    """Another file under the path that an alias stands for is refused."""
    root = directory(lab, b"swap")
    path = root + b"/a:b"
    write(path, EICAR)
    write(root + b"/c:d", TEXT)
    fake = lab.fake()
    gate = lab.dir / "go.fetch"
    fake.rule("default", "clean\nfetch yes\nwait %s" % gate)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            code = pool.submit(scan, lab, path)
            wait_for("the request", lambda: (fake.dir / "log.jsonl").exists()
                     and "cava-alias-" in
                     (fake.dir / "log.jsonl").read_text())
            os.rename(path, root + b"/old")
            os.rename(root + b"/c:d", path)
            gate.touch()
            assert code.result(60) == 0     # fetched at last, as "old"
        assert "is not the file that is being scanned" in lab.log()
    finally:
        fake.rule("default", "clean\nfetch yes")


def test_names_in_json_and_logs(lab):
    """JSON stays UTF-8; a log line stays one line."""
    path = os.fsencode(lab.share_dir) + b"/log\xff\nERROR: forged"
    write(path, TEXT)
    run = lab.cavactl("scan", "--force", path, fmt="json")
    reply = json.loads(run.stdout)
    assert reply["result"] == "clean"
    assert reply["file"].startswith("file:///")
    assert reply["file"].endswith("/log%FF%0AERROR%3A%20forged")
    # a client reads an infected one: smbd's own log
    where = directory(lab, b"forged")
    write(where + b"/x\nERROR: forged too", EICAR)
    for fake in lab.fakes:
        fake.rule("default", "infected Eicar-Test\nfetch yes")
    smb = lab.connect(threads=False)
    assert status_of(smb.loadfile, "forged\\" + shown(smb, "forged")) in (
        ACCESS_DENIED, VIRUS_INFECTED)
    assert "x?ERROR: forged too to" in lab.log()
    assert not [l for l in lab.log().splitlines()
                if re.match(r"(\w+: )?(ERROR: forged)", l)
                and not l.startswith("cavad: ERROR: CAVA")]
