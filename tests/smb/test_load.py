"""The module and the smbd it was built for.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import subprocess

import pytest

from lab import status_of


@pytest.fixture
def lab(new_lab):
    return new_lab("--engine", "null", "--plain")


def test_is_refused_by_another_smbd(lab):
    """The version in a copy of the module is changed: the share is refused,
    never served without the module, and the log says why."""
    version = subprocess.run(["/usr/sbin/smbd", "--version"], text=True,
                             stdout=subprocess.PIPE,
                             check=True).stdout.split()[1].encode()
    module = lab.dir / "vfs" / "cava.so"
    code = module.read_bytes()
    old = version + b"\0"
    assert code.count(old) == 1
    module.unlink()
    module.write_bytes(code.replace(old, b"9" * len(version) + b"\0"))
    lab.start()
    assert status_of(lab.connect) != 0
    log = lab.log()
    assert "cava: built for Samba 9999" in log
    assert "this is %s" % version.decode() in log
    # Other shares are served as ever.
    assert lab.connect(share="plain").list("/") == []


def test_is_accepted_by_its_own(lab):
    lab.start()
    assert lab.connect().list("/") == []
