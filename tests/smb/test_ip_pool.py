"""A pool of two addresses: servers fetch from both of them, evenly, and come
in nowhere else.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import collections
import pathlib
import re

import pytest

from lab import wait_for
from scanner import Scanner, status_of

FILES = 12


def address(lab, network):
    return re.sub(r"^127\.\d+\.", "127.%d." % network, lab.env["SMB_HOST"])


@pytest.fixture(scope="module")
def world(new_lab_of_module):
    """(lab, fake, [pool], another address of smbd)"""
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    pool = [lab.env["SMB_HOST"], address(lab, 255)]
    other = address(lab, 0)
    conf = pathlib.Path(lab.env["SMB_CONF"])
    conf.write_text(re.sub(r"(interfaces = \S+)", r"\1 %s/8 %s/8" % (
        pool[1], other), conf.read_text(), 1))
    lab.configure("settings", "ip_pool", ", ".join(pool))
    lab.start()
    return lab, lab.fake(), pool, other


def fetched_at(fake, name):
    [request] = fake.requests(name)
    return request["unc"].split("\\")[2]


def test_both_evenly(world):
    lab, fake, pool, _ = world
    smb = lab.connect()
    names = ["f%d.txt" % i for i in range(FILES)]
    for name in names:
        lab.write_local(name, b"harmless\n")
        assert smb.loadfile(name) == b"harmless\n"
        wait_for("the verdict", lambda: lab.result(name) == "clean")
    # clean is said of what was opened through CHECK$, and of nothing else
    assert collections.Counter(fetched_at(fake, n) for n in names) == {
        pool[0]: FILES // 2, pool[1]: FILES // 2}


def test_nowhere_else(world):
    lab, _, pool, other = world
    for host in pool:
        Scanner(lab, None, None, None, host).close()
    Scanner(lab, lab.env["SMB_USER"], lab.env["SMB_PASS"], lab.env["SHARE"],
            other).close()
    assert status_of(Scanner, lab, None, None, None, other) != 0
    assert "which is not in ip_pool" in lab.log()
