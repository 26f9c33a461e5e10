#!/usr/bin/python3
"""A signature database for clamd that knows the EICAR test file and when it
was made, unsigned: clamd tells date and version as of an official one.

    clamd_db.py DIR [SECONDS]      time of the signatures, default: now

SPDX-License-Identifier: GPL-3.0-or-later
"""
import hashlib
import io
import os
import sys
import tarfile
import time

# The MD5 and size of the EICAR test file.
EICAR = b"44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n"
HEADER = 512    # bytes, padded with blanks


def header(when):
    day = time.strftime("%d %b %Y %H-%M +0000", time.gmtime(when))
    return b"ClamAV-VDB:%s:%d:1:90:X:X:lab:%d" % (day.encode(), when, when)


def database(when):
    digest = hashlib.sha256(EICAR).hexdigest().encode()
    info = header(when) + b"\ndaily.hdb:%d:%s\n" % (len(EICAR), digest)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz",
                      format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("COPYING", b"made by a test\n"),
                              ("daily.info", info), ("daily.hdb", EICAR)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return header(when).ljust(HEADER) + packed.getvalue()


def main():
    when = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    os.makedirs(sys.argv[1], exist_ok=True)
    with open(os.path.join(sys.argv[1], "daily.cud"), "wb") as out:
        out.write(database(when))


main()
