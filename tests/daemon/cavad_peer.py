"""What the module says to cavad, said by a test instead.

Messages are encoded as docs/protocol.md has them: the table there is read,
so that it is true.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import ctypes
import os
import re
import socket
import struct
import types

from cavad_world import ROOT

VERSION = 6
WILL_WRITE, CLOSE, RENAME = range(3)
TREE, OPEN, LIST = range(3)
NONE, CLEAN, INFECTED, SKIPPED, UNSCANNABLE, FAILED = range(6)
TIMEOUT, WRONG_FILE, NOT_OWED, FULL = 1, 6, 17, 20

NUMBERS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q"}
GROUPS = {
    "ident": "u64 fsid, u64 ino, u64 btime, str stream, u32 handle_type, "
             "str32 handle",
    "content": "u64 size, u64 mtime, u64 ctime",
    "filter": "u8 enabled, u8 profile, u8 open_on_fail, u8 denial, "
              "u8 on_read, u8 on_close, u8 on_rename, u8 extensions_include, "
              "u8 no_extension_skip, u8 size_deny, u8 tiered, u8 allows, "
              "u32 scan_timeout, u32 tiered_timeout, u32 sync_wait, u64 size_maximum, "
              "u64 signature_min, list extensions, list paths, "
              "list accounts, list hosts",
}


def table():
    """{message: (number, [(type, field), ...])}"""
    text = (ROOT / "docs" / "protocol.md").read_text()
    found = {}
    for number, name, fields in re.findall(
            r"^\| (\d+) \| ([A-Z_]+) \|.*\| ([^|]*) \|$", text, re.M):
        found[name] = (int(number), [tuple(f.split())
                                     for f in fields.split(", ")])
    return found


MESSAGES = table()


def pairs(group):
    return [tuple(f.split()) for f in GROUPS[group].split(", ")]


def nothing(kind):
    if kind in GROUPS:
        return types.SimpleNamespace(**{n: nothing(k)
                                        for k, n in pairs(kind)})
    return {"str": "", "str32": b"", "list": []}.get(kind, 0)


def encode_field(kind, value):
    if kind in NUMBERS:
        return struct.pack(NUMBERS[kind], value)
    if kind == "str":
        data = os.fsencode(value)
        return struct.pack("<H", len(data)) + data + b"\0"
    if kind == "list":
        data = b"".join(os.fsencode(i) + b"\0" for i in value)
        return struct.pack("<I", len(data)) + data
    if kind == "str32":
        return struct.pack("<I", len(value)) + value
    return b"".join(encode_field(k, getattr(value, n))
                    for k, n in pairs(kind))


def encode(name, version=VERSION, **values):
    number, fields = MESSAGES[name]
    assert set(values) <= {n for _, n in fields}, values
    body = b""
    for kind, field in fields:
        body += encode_field(kind, values.get(field, nothing(kind)))
    return struct.pack("<IHH", 8 + len(body), version, number) + body


def decode_fields(fields, data):
    found = types.SimpleNamespace()
    for kind, name in fields:
        if kind in NUMBERS:
            size = struct.calcsize(NUMBERS[kind])
            value = struct.unpack(NUMBERS[kind], data[:size])[0]
        elif kind == "str":
            size = struct.unpack("<H", data[:2])[0] + 3
            value = os.fsdecode(data[2:size - 1])
            assert data[size - 1] == 0
        elif kind == "list":
            size = struct.unpack("<I", data[:4])[0] + 4
            assert size == 4 or data[size - 1] == 0
            value = [os.fsdecode(i) for i in data[4:size].split(b"\0")[:-1]]
        else:
            value, rest = decode_fields(pairs(kind), data)
            size = len(data) - len(rest)
        setattr(found, name, value)
        data = data[size:]
    return found, data


def decode(data):
    length, version, number = struct.unpack("<IHH", data[:8])
    assert length == len(data) and version == VERSION
    name, fields = next((n, f) for n, (i, f) in MESSAGES.items()
                        if i == number)
    found, rest = decode_fields(fields, data[8:])
    assert rest == b""
    found.message = name
    return found


def birth(path):
    """ns since the epoch; Python has no statx()."""
    buffer = ctypes.create_string_buffer(256)
    libc = ctypes.CDLL(None, use_errno=True)
    ret = libc.statx(-100, os.fsencode(path), 0x100, 0x800, buffer)
    assert ret == 0, os.strerror(ctypes.get_errno())
    mask, = struct.unpack_from("<I", buffer, 0)
    seconds, nanoseconds = struct.unpack_from("<qI", buffer, 0x50)
    return seconds * 1000000000 + nanoseconds if mask & 0x800 else 0


def ident(path):
    """Without a handle: the path leads there, or the file is gone."""
    st = os.lstat(path)
    fsid = os.statvfs(path).f_fsid
    if fsid == 0:
        fsid = os.major(st.st_dev) << 32 | os.minor(st.st_dev)
    return types.SimpleNamespace(fsid=fsid, ino=st.st_ino, btime=birth(path),
                                 stream="", handle_type=0, handle=b"")


NOBODY = nothing("ident")


class Peer:
    """A connection. role 1: that of CHECK$. hello=False: says nothing.
    mailbox=True: with one, self.box; or the descriptor to say is one."""

    def __init__(self, world, role=0, hello=True, zone="", mailbox=None):
        self.seq = self.id = 0
        self.got = []
        self.box = None
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.sock.connect(str(world.ipc_socket))
        if hello:
            fds = self.mailbox(mailbox)
            frame = encode("HELLO", pid=os.getpid(), role=role,
                           share="share", zone=zone, root=str(world.root),
                           client="192.0.2.9")
            socket.send_fds(self.sock, [frame], fds)
            if mailbox is True:
                os.close(fds[0])
            config = self.receive("CONFIG")
            self.filter, self.mailbox_taken = config.filter, config.mailbox

    def mailbox(self, wanted):
        if wanted is not True:
            return [] if wanted is None else [wanted]
        self.box, other = socket.socketpair(socket.AF_UNIX,
                                            socket.SOCK_SEQPACKET)
        self.box.settimeout(20)
        return [other.detach()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        if self.box is not None:
            self.box.close()

    def send(self, name, **values):
        self.sock.send(encode(name, **values))

    def receive(self, name, **values):
        """The next such message; others are kept for later calls."""
        while True:
            for m in self.got:
                if m.message == name and all(getattr(m, n) == v
                                             for n, v in values.items()):
                    self.got.remove(m)
                    return m
            data = self.sock.recv(65536)
            assert data, "cavad closed the connection; got %r" % self.got
            self.got.append(decode(data))

    def silent(self, seconds=0.1):
        """Nothing comes for so long."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return not self.got
        finally:
            self.sock.settimeout(20)
        self.got.append(decode(data))
        return False

    def closed(self):
        """Closed by cavad, after whatever came before."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    # Questions and notices.

    def ask(self, file, owed_only=0, wait_ms=20000, **more):
        self.id += 1
        self.send("ASK", **{**dict(
            id=self.id, owed_only=owed_only, wait_ms=wait_ms,
            ident=ident(file), path=str(file), user="DOM\\u",
            client="192.0.2.9"), **more})
        return self.id

    def answer(self, id_):
        return self.receive("ANSWER", id=id_)

    def notice(self, kind, path, **more):
        self.seq += 1
        values = dict(seq=self.seq, kind=kind, path=str(path), user="DOM\\u",
                      client="192.0.2.9")
        values["ident"] = more.pop("ident", None) or ident(path)
        frame = encode("NOTICE", **{**values, **more})
        if self.box is None:
            self.sock.send(frame)
        else:
            self.box.send(frame)
        return self.seq

    def ring(self):
        self.send("RING", seq=self.seq)

    def acked(self, seq):
        if self.box is None:
            while self.receive("ACK").seq < seq:
                pass
            return
        while True:
            m = decode(self.box.recv(64))
            assert m.message == "ACK"
            if m.seq >= seq:
                return

    def check(self, what, path="", **more):
        self.id += 1
        self.send("CHECK", **{**dict(
            id=self.id, what=what, sid="S-1-5-21-1-2-3-1000",
            account="HOST\\av", local=1, addr="127.0.0.1",
            server_addr="127.0.0.1", path=str(path),
            ident=ident(path) if path and what == OPEN else NOBODY),
            **more})
        return self.receive("CHECK_NAMES" if what == LIST else
                            "CHECK_ANSWER", id=self.id)
