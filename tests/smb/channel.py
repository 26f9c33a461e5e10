"""A second connection of one SMB3 session: multichannel, by hand.

impacket has no session binding. A binding session setup carries the session's
id and SMB2_SESSION_FLAG_BINDING, and is signed with the session's key
(MS-SMB2 3.2.4.2.3.1, 3.2.5.3.3). What follows goes unsigned, as SMB 3.0 lets
it.

SPDX-License-Identifier: GPL-3.0-or-later
"""
from impacket import crypto
from impacket.smb3 import SMB3
from impacket.smb3structs import (SMB2_DIALECT_30, SMB2_FLAGS_SIGNED,
                                  SMB2_SESSION_SETUP)

from compound import Compound

BINDING = 1


def signing_key(session_key):
    return crypto.KDF_CounterMode(session_key, b"SMB2AESCMAC\x00",
                                  b"SmbSign\x00", 128)


class Bound(SMB3):
    """bind() makes this connection one of another's session."""

    def negotiateSession(self, *args, **kwargs):
        self.ClientGuid = self.first.ClientGuid     # the same client
        return super().negotiateSession(*args, **kwargs)

    def __init__(self, first, *args, **kwargs):
        self.first = first
        super().__init__(*args, **kwargs)

    def bind(self, user, password):
        first = self.first
        self.key = signing_key(first._Session["SessionKey"])
        self._Session["SessionID"] = first._Session["SessionID"]
        self.login(user, password)

    def sendSMB(self, packet):
        if packet["Command"] != SMB2_SESSION_SETUP:
            return super().sendSMB(packet)
        packet["Data"]["Flags"] = BINDING
        packet["MessageID"] = self._Connection["SequenceWindow"]
        self._Connection["SequenceWindow"] += 1
        packet["SessionID"] = self._Session["SessionID"]
        packet["CreditCharge"] = 1
        packet["CreditRequestResponse"] = 127
        packet["Flags"] = SMB2_FLAGS_SIGNED
        packet["Signature"] = b"\0" * 16
        data = packet.getData()
        packet["Signature"] = crypto.AES_CMAC(self.key, data, len(data))
        self._NetBIOSSession.send_packet(packet.getData())
        return packet["MessageID"]


class First(Compound):
    """The session, and its tree."""

    dialect = SMB2_DIALECT_30


class Second(Compound):
    """Another connection of that session: same tree, same handles."""

    def __init__(self, lab, first):
        host = lab.env["SMB_HOST"]
        self.low = Bound(first.low, host, host, timeout=30,
                         preferredDialect=SMB2_DIALECT_30)
        self.low.bind(lab.env["SMB_USER"], lab.env["SMB_PASS"])
        self.tree = first.tree

    def close(self):
        self.low.close_session()
