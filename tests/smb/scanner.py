"""An antivirus server as a script: what it opens in CHECK$, and how.

`pending()` has a file scanned by a fake that does not answer yet; `Scanner`
speaks to CHECK$ with impacket's own calls.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import contextlib
import socket
import struct

from impacket import nmb, smb3
from impacket.smb3 import SessionError
from impacket.smb3structs import (SMB2_CHANGE_NOTIFY, SMB2_CLOSE, SMB2_CREATE,
                                  SMB2_DIALECT_21, SMB2_LOCK)
from impacket.smbconnection import SMBConnection
from impacket.smbconnection import SessionError as ConnectionError

from lab import OPEN, SHARE_ALL, InThread

CONTENT = 0x00120089	# GENERIC_READ, mapped
LEASE = 0xFF


@contextlib.contextmanager
def pending(lab, fake, name, content=b"to be scanned\n", verdict=None):
    """Inside, a server is asked about the file; it answers afterwards."""
    if content is not None:
        lab.write_local(name, content)
    before = len(fake.requests(name))
    gate = fake.hold(name, verdict or "clean\nfetch yes")
    with contextlib.suppress(FileNotFoundError):
        gate.unlink()
    scan = InThread(lab.cavactl, "scan", "--force", str(lab.local(name)))
    try:
        fake.wait_request(name, before + 1)
        yield scan
    finally:
        gate.touch()
        scan.result()


def status_of(function, *args):
    """As lab.status_of(), of impacket's calls."""
    try:
        function(*args)
    except SessionError as error:
        return error.get_error_code() & 0xFFFFFFFF
    except ConnectionError as error:
        return error.getErrorCode() & 0xFFFFFFFF
    return 0


@contextlib.contextmanager
def coming_from(address):
    """TCP connections that are made inside come from that address."""
    class Bound(socket.socket):
        def connect(self, peer):
            self.bind((address, 0))
            super().connect(peer)

    class Module:
        def __getattr__(self, name):
            return getattr(socket, name)

    before = nmb.socket
    nmb.socket = Module()
    nmb.socket.socket = Bound
    try:
        yield
    finally:
        nmb.socket = before


class Scanner:
    def __init__(self, lab, user=None, password=None, share=None, host=None):
        env = lab.env
        host = host or env["SMB_HOST"]
        self.smb = SMBConnection(host, host, preferredDialect=SMB2_DIALECT_21,
                                 timeout=30)
        self.smb.login(user or env["AV_USER"], password or env["AV_PASS"])
        self.low = self.smb.getSMBServer()
        self.tree = self.smb.connectTree(share or env["CHECK_SHARE"])

    def close(self):
        self.smb.close()

    def open(self, name, access=CONTENT, disposition=OPEN, options=0,
             share_mode=SHARE_ALL):
        return self.low.create(self.tree, name, access, share_mode, options,
                               disposition, 0x80)

    def read(self, file, size=65536):
        return self.low.read(self.tree, file, 0, size)

    def write(self, file, data):
        return self.low.write(self.tree, file, data, 0, len(data))

    def done(self, file):
        self.request(SMB2_CLOSE, struct.pack("<HHI", 24, 0, 0) + file)

    def request(self, command, body):
        """One that impacket has no call for, or keeps books about."""
        packet = self.low.SMB_PACKET()
        packet["Command"] = command
        packet["TreeID"] = self.tree
        packet["Data"] = body
        answer = self.low.recvSMB(self.low.sendSMB(packet))
        answer.isValidAnswer(0)
        return answer["Data"]

    def fsctl(self, file, code, data=b"", out=4096):
        return self.low.ioctl(self.tree, file, code, 1, data,
                              maxOutputResponse=out)

    def set_info(self, file, level, data):
        self.low.setInfo(self.tree, file, fileInfoClass=level, inputBlob=data)

    def security(self, file):
        return self.low.queryInfo(self.tree, file, infoType=3,
                                  fileInfoClass=0, additionalInformation=7)

    def names(self, path):
        """What a listing of the directory shows."""
        file = self.open(path, 0x00100081, options=1)
        found = []
        try:
            while True:
                found += names_in(self.low.queryDirectory(self.tree, file))
        except SessionError as error:
            assert error.get_error_code() == 0x80000006, error
        self.done(file)
        return sorted(n for n in found if n not in (".", ".."))

    def lease(self, name, access, state=7, key=b"k" * 16, disposition=OPEN,
              share_mode=SHARE_ALL):
        """(handle, oplock level, lease state) that the server grants."""
        return self.granted(name, access, LEASE, disposition, share_mode,
                            struct.pack("<16sIIQ", key, state, 0, 0))

    def granted(self, name, access, oplock, disposition=OPEN,
                share_mode=SHARE_ALL, lease=None):
        text = name.encode("utf-16-le")
        text += b"\0" * (-len(text) % 8)
        context = b""
        if lease is not None:
            context = struct.pack("<IHHHHI", 0, 16, 4, 0, 24, len(lease)) + \
                b"RqLs" + b"\0" * 4 + lease
        body = self.request(SMB2_CREATE, struct.pack(
            "<HBBIQQIIIIIHHII", 57, 0, oplock, 2, 0, 0, access, 0x80,
            share_mode, disposition, 0x40, 64 + 56,
            len(name.encode("utf-16-le")),
            64 + 56 + len(text) if context else 0, len(context)) +
            text + context)
        offset, length = struct.unpack_from("<II", body, 80)
        state = None
        if length:
            blob = body[offset - 64:offset - 64 + length]
            at = blob.find(b"RqLs")
            start, = struct.unpack_from("<H", blob, 10)
            state, = struct.unpack_from("<I", blob, start + 16)
            assert at != -1
        file = body[64:80]
        self.low._Session["OpenTable"][file] = dict(smb3.OPEN, FileID=file)
        return file, body[2], state

    def lock(self, file, offset, length, flags=0x12):
        """Exclusive, and fails at once."""
        self.request(SMB2_LOCK, struct.pack("<HHI", 48, 1, 0) + file +
                     struct.pack("<QQII", offset, length, flags, 0))

    def watch(self, file):
        """Of changes below the directory; the answer is not waited for."""
        packet = self.low.SMB_PACKET()
        packet["Command"] = SMB2_CHANGE_NOTIFY
        packet["TreeID"] = self.tree
        packet["Data"] = struct.pack("<HHI", 32, 1, 4096) + file + \
            struct.pack("<II", 0xFFF, 0)
        self.low.sendSMB(packet)
        data = self.low._NetBIOSSession.recv_packet(30).get_trailer()
        assert struct.unpack_from("<I", data, 8)[0] == 0x103, "not pending"

    def quiet(self, seconds=0.3):
        """Has the server sent nothing by itself?"""
        sock = self.low._NetBIOSSession.get_socket()
        sock.settimeout(seconds)
        try:
            return sock.recv(1, socket.MSG_PEEK) == b""
        except socket.timeout:
            return True
        finally:
            sock.settimeout(30)


def names_in(listing):
    """Of an answer of level 12: names alone."""
    found = []
    while listing:
        following, _, size = struct.unpack_from("<III", listing)
        found.append(listing[12:12 + size].decode("utf-16-le"))
        listing = listing[following:] if following else b""
    return found
