"""Pools of servers, and servers that change while clients read: a CEE server
for one zone and a clamd for another, side by side.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import signal

import pytest

from lab import (ACCESS_DENIED, EICAR, VIRUS_INFECTED, InThread, status_of,
                 wait_for)

LOCAL = """
[server local]
server_uri = clamd:%s
pool = local

[filter Local]
scan_profile = strict
pool = local
open_on_fail = no
"""


def conf_of(lab):
    return pathlib.Path(lab.env["CAVAD_CONF"])


def reload(lab, text):
    """cavad takes up this text as its cavad.conf."""
    conf_of(lab).write_text(text)
    done = lab.log().count("was read again")
    os.kill(int((lab.dir / "run/cavad.pid").read_text()), signal.SIGHUP)
    wait_for("cavad to take up cavad.conf",
             lambda: lab.log().count("was read again") > done)


@pytest.fixture(scope="module")
def lab(new_lab_of_module):
    lab = new_lab_of_module("--engine", "cee", "--profile", "strict")
    lab.local_dir = lab.add_share("local", "cava:zone = Local")
    text = conf_of(lab).read_text()
    text += LOCAL % lab.env["CLAMD_SOCKET"]
    conf_of(lab).write_text(text)
    lab.start()
    lab.wait_online(2)
    return lab


def scans(lab):
    return {s["server_name"]: s["scan_requests"]
            for s in lab.status()["server_status"]}


def asked(lab, before):
    """Which servers were asked since then, and how often."""
    return {name: count - before.get(name, 0)
            for name, count in scans(lab).items()
            if count != before.get(name, 0)}


def cee_name(lab):
    return next(s["server_name"] for s in lab.status()["server_status"]
                if s["pool"] == "default")


def write(directory, name, content):
    path = directory / name
    path.write_bytes(content)
    path.chmod(0o666)
    return path


def test_each_zone_has_its_servers(lab):
    write(lab.share_dir, "a.bin", b"one")
    write(lab.local_dir, "a.bin", b"two")
    before = scans(lab)
    assert lab.connect().loadfile("a.bin") == b"one"
    assert asked(lab, before) == {cee_name(lab): 1}
    before = scans(lab)
    assert lab.connect("local").loadfile("a.bin") == b"two"
    assert asked(lab, before) == {"local": 1}


def test_infected_in_both(lab):
    denied = VIRUS_INFECTED, ACCESS_DENIED
    write(lab.share_dir, "e.com", EICAR)
    write(lab.local_dir, "e.com", EICAR)
    for share in None, "local":
        smb = lab.connect(share)
        assert status_of(smb.loadfile, "e.com") in denied


def test_what_is_owed_goes_to_the_pool_of_its_share(lab):
    before = scans(lab)
    lab.connect("local").savefile("owed.bin", b"written by a client\n")
    path = lab.local_dir / "owed.bin"
    wait_for("the record", lambda: "security.cava" in os.listxattr(path))
    assert asked(lab, before) == {"local": 1}


def test_by_hand(lab):
    path = write(lab.local_dir, "hand.bin", b"by hand\n")
    before = scans(lab)
    assert lab.cavactl("scan", str(path)).returncode == 0
    assert asked(lab, before) == {"local": 1}


def test_servers_go_and_come_while_clients_read(lab):
    """Without a server of its pool a file is not read; elsewhere it is."""
    text = conf_of(lab).read_text()
    without = text.replace("[server local]", "[server local]\nenabled = no")
    for i in range(4):
        write(lab.local_dir, "go%d.bin" % i, b"%d" % i)
        write(lab.share_dir, "go%d.bin" % i, b"%d" % i)
    reload(lab, without)
    state = {s["server_name"]: s["server_state"]
             for s in lab.status()["server_status"]}
    assert state["local"] == "disabled"
    names = [e["name"] for e in lab.status()["events"]]
    assert "SW_AVSCAN_CAVA_ALL_DISABLED" in names
    smb, local = lab.connect(), lab.connect("local")
    assert status_of(local.loadfile, "go0.bin") == ACCESS_DENIED
    assert smb.loadfile("go0.bin") == b"0"

    reading = InThread(lambda: [smb.loadfile("go%d.bin" % i)
                                for i in range(4)])
    reload(lab, text)
    lab.wait_online(2)
    assert local.loadfile("go1.bin") == b"1"
    assert reading.result() == [b"0", b"1", b"2", b"3"]
    names = [e["name"] for e in lab.status()["events"]]
    assert "SW_AVSCAN_CAVA_ALL_DISABLED" not in names


def test_a_refused_change_changes_nothing(lab):
    text = conf_of(lab).read_text()
    before = lab.status()["server_status"]
    conf_of(lab).write_text(text.replace("[filter Local]",
                                         "[filter Local]\n#").replace(
        "pool = local\nopen_on_fail", "pool = nowhere\nopen_on_fail"))
    pid = int((lab.dir / "run/cavad.pid").read_text())
    os.kill(pid, signal.SIGHUP)
    wait_for("the refusal", lambda: "nothing was changed" in lab.log())
    assert 'pool = "nowhere": no [server] has this pool' in lab.log()
    conf_of(lab).write_text(text)
    after = lab.status()["server_status"]
    assert [s["server_name"] for s in after] == \
        [s["server_name"] for s in before]
    write(lab.local_dir, "still.bin", b"still")
    assert lab.connect("local").loadfile("still.bin") == b"still"
