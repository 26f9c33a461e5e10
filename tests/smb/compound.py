"""Compounded SMB2 requests, which no SMB client library here sends.

The session is impacket's (SMB 2.1, no signing); the chain is put together
from MS-SMB2 2.2.1, 2.2.13, 2.2.15, 2.2.19.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import struct

from impacket.smb3structs import SMB2_DIALECT_21
from impacket.smbconnection import SMBConnection

CREATE, CLOSE, READ = 5, 6, 8
RELATED = b"\xff" * 16
PENDING = 0x103


class Compound:
    dialect = SMB2_DIALECT_21

    def __init__(self, lab, share=None):
        host = lab.env["SMB_HOST"]
        self.smb = SMBConnection(host, host, preferredDialect=self.dialect,
                                 timeout=30)
        self.smb.login(lab.env["SMB_USER"], lab.env["SMB_PASS"])
        self.low = self.smb.getSMBServer()
        self.tree = self.smb.connectTree(share or lab.env["SHARE"])

    def close(self):
        self.smb.close()

    @staticmethod
    def create(name, access=0x00120089):
        text = name.encode("utf-16-le")
        return CREATE, struct.pack(
            "<HBBIQQIIIIIHHII", 57, 0, 0, 2, 0, 0, access, 0x80, 7, 1,
            0x40, 64 + 56, len(text), 0, 0) + (text or b"\0")

    @staticmethod
    def read(file_id=RELATED, length=1024):
        return READ, struct.pack("<HBBIQ", 49, 0, 0, length, 0) + \
            file_id + struct.pack("<IIIHHB", 0, 0, 0, 0, 0, 0)

    @staticmethod
    def close_file(file_id=RELATED):
        return CLOSE, struct.pack("<HHI", 24, 0, 0) + file_id

    def send(self, *parts):
        """Sends one chain; [(status, body)] in the order of the parts."""
        session = self.low._Session
        connection = self.low._Connection
        first = connection["SequenceWindow"]
        connection["SequenceWindow"] += len(parts)
        chain = b""
        for i, (command, body) in enumerate(parts):
            last = i == len(parts) - 1
            size = 64 + len(body)
            pad = 0 if last else -size % 8
            chain += struct.pack(
                "<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 1, 0, command, 64,
                0 if i == 0 else 4, 0 if last else size + pad, first + i,
                0, self.tree, session["SessionID"], b"\0" * 16)
            chain += body + b"\0" * pad
        self.low._NetBIOSSession.send_packet(chain)
        return self.receive(first, len(parts))

    def receive(self, first, count):
        answers = {}
        while len(answers) < count:
            packet = self.low._NetBIOSSession.recv_packet(30)
            data = packet.get_trailer()
            while data:
                status, = struct.unpack_from("<I", data, 8)
                following, message = struct.unpack_from("<IQ", data, 20)
                if status != PENDING and first <= message < first + count:
                    end = following or len(data)
                    answers[message - first] = (status, data[64:end])
                data = data[following:] if following else b""
        return [answers[i] for i in range(count)]

    @staticmethod
    def file_id(body):
        return body[64:80]

    @staticmethod
    def content(body):
        length, = struct.unpack_from("<I", body, 4)
        start = body[2] - 64
        return body[start:start + length]

