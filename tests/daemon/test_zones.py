"""Zones: from cavad.conf, or announced by a share; kept, shown, reloaded.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import os
import signal
import time

import pytest

from cavad_peer import Peer, decode_fields
from cavad_world import World, wait_for

STANDARD, STRICT, WRITES_ONLY, NO_SCAN = range(4)
PATH = "/platform/11/avscan/zones"
SERVER = "[server av]\nserver_uri = clamd:%s/clamd.sock\n"
FILTERS = """
[filter System]
scan_profile = strict
open_on_fail = no

[filter Archive]
scan_profile = writes_only
scan_on_rename = no
file_extensions = Log, tar.gz
file_extension_action = include
scan_if_no_extension = no
paths_to_exclude = /srv/a b/, tmp
scan_size_maximum_action = deny
exempt_accounts = DOM\\backup, indexer
exempt_hosts = 192.0.2.0/24, 2001:db8::1
"""


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def configure(world, filters, settings=""):
    world.write_conf("cavad.conf", settings,
                     SERVER % world.dir + "\n" + filters)


def reload(world):
    done = world.cavad.log().count("was read again")
    world.cavad.popen.send_signal(signal.SIGHUP)
    wait_for("the new cavad.conf",
             lambda: world.cavad.log().count("was read again") > done)


def zones(world):
    reply = world.call("GET", PATH)
    assert reply.code == 200
    assert reply.json["total"] == len(reply.json["zones"])
    return {z["zone_name"]: z for z in reply.json["zones"]}


def test_filter_of_a_zone_arrives(world):
    configure(world, FILTERS, "scan_timeout = 30\nsync_wait = 1\n"
                              "scan_size_maximum = 5K\n"
                              "denial = access_denied\n")
    world.start()
    with Peer(world, zone="Archive") as peer:
        f = peer.filter
        assert (f.enabled, f.profile, f.open_on_fail) == (1, WRITES_ONLY, 1)
        assert (f.on_read, f.on_close, f.on_rename) == (0, 0, 2)
        assert (f.extensions_include, f.no_extension_skip) == (1, 1)
        assert (f.size_deny, f.size_maximum) == (1, 5120)
        assert (f.denial, f.scan_timeout) == (1, 30000)
        assert f.extensions == ["*.Log", "*.tar.gz"]
        assert f.paths == ["/srv/a b/", "tmp"]
        assert f.accounts == ["DOM\\backup", "indexer"]
        assert f.hosts == ["192.0.2.0/24", "2001:db8::1"]
    with Peer(world, zone="System") as peer:
        assert (peer.filter.profile, peer.filter.open_on_fail) == (STRICT, 0)
    # another one has the defaults, not those of System
    with Peer(world, zone="Elsewhere") as peer:
        assert (peer.filter.profile, peer.filter.open_on_fail) == (
            STANDARD, 1)


def test_zone_names_regard_no_case(world):
    configure(world, FILTERS)
    world.start()
    with Peer(world, zone="ARCHIVE") as peer:
        assert peer.filter.profile == WRITES_ONLY


def test_announced_zone_is_kept(world):
    world.start()
    with Peer(world, zone="Lab-7"):
        zone = wait_for("it", lambda: zones(world).get("Lab-7"))
        assert not zone["configured"] and zone["connections"] == 1
        assert zone["scan_profile"] == "standard"
        assert zone["shares"] == [{"name": "share",
                                   "root": str(world.root)}]
    wait_for("its end", lambda: zones(world)["Lab-7"]["connections"] == 0)
    world.cavad.stop()
    world.start()
    zone = zones(world)["Lab-7"]
    assert zone["connections"] == 0
    assert zone["shares"] == [{"name": "share", "root": str(world.root)}]
    # and has its filter as soon as cavad.conf has one
    configure(world, "[filter Lab-7]\nscan_profile = no_scan\n")
    reload(world)
    zone = zones(world)["Lab-7"]
    assert zone["configured"] and zone["scan_profile"] == "no_scan"


@pytest.mark.parametrize("name", ["a/b", "a b", "tab\tbed", "new\nline", "",
                                  "x" * 300])
def test_improper_zone_is_served_and_not_kept(world, name):
    configure(world, "[filter System]\nscan_profile = strict\n")
    world.start()
    before = set(zones(world))
    with Peer(world, zone=name) as peer:
        assert peer.filter.enabled == 1
        assert set(zones(world)) - before <= {"System"}


def test_too_many_zones_are_served_and_not_kept(world):
    world.start()
    for i in range(270):
        with Peer(world, zone="zone%d" % i) as peer:
            assert peer.filter.profile == STANDARD
    assert len(zones(world)) <= 257
    assert world.cavad.log().count("is not kept") == 1


def test_reload_reaches_a_connected_peer(world):
    world.start()
    with Peer(world, zone="System") as peer:
        assert peer.filter.profile == STANDARD
        start = time.monotonic()
        configure(world, "[filter System]\nscan_profile = strict\n"
                         "file_extensions = log\n")
        world.cavad.popen.send_signal(signal.SIGHUP)
        config = peer.receive("CONFIG")
        assert config.filter.profile == STRICT
        assert config.filter.extensions == ["*.log"]
        assert time.monotonic() - start < 5
        configure(world, "", "service_enabled = no\n")
        world.cavad.popen.send_signal(signal.SIGHUP)
        assert peer.receive("CONFIG").filter.enabled == 0


@pytest.mark.parametrize("line, said", [
    ("scan_profile = paranoid", "standard, strict, writes_only, no_scan"),
    ("scan_on_read = maybe", "profile, yes, no"),
    ("file_extensions = a/b", "file_extensions"),
    ("paths_to_exclude = /", "no_scan"),
    ("exempt_hosts = fileserver", "exempt_hosts"),
    ("exempt_hosts = 192.0.2.0/33", "exempt_hosts"),
    ("open_on_fail = perhaps", "open_on_fail"),
    ("scan_size_maximum_action = drop", "allow, deny"),
    ("nonsense = 1", "nonsense"),
])
def test_bad_filter_changes_nothing(world, line, said):
    configure(world, "[filter System]\nscan_profile = strict\n")
    world.start()
    with Peer(world, zone="System") as peer:
        configure(world, "[filter System]\nscan_profile = no_scan\n"
                         "%s\n" % line)
        world.cavad.popen.send_signal(signal.SIGHUP)
        world.cavad.wait_log("nothing was changed")
        error = [l for l in world.cavad.log().splitlines()
                 if "nothing was changed" in l][0]
        assert said in error and "cavad.conf" in error, error
        assert zones(world)["System"]["scan_profile"] == "strict"
        peer.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.sock.recv(10)      # no CONFIG came


def test_what_needs_a_restart_is_named(world):
    world.start()
    configure(world, "", "api_group = daemon\nscan_timeout = 20\n")
    reload(world)
    line = [l for l in world.cavad.log().splitlines()
            if "was read again" in l][-1]
    assert "next start" in line and "api_group" in line
    assert "scan_timeout" not in line
    with Peer(world, zone="System") as peer:
        assert peer.filter.scan_timeout == 20000


def test_filters_file(world):
    """What a module reads while cavad is away: what CONFIG says, in hex."""
    configure(world, FILTERS)
    world.start()
    with Peer(world, zone="Announced"):
        pass

    def lines():
        text = (world.state / "filters").read_text()
        return dict(l.rsplit(" ", 1) for l in text.splitlines())

    wait_for("all three", lambda: set(lines()) >= {"System", "Archive",
                                                   "Announced"})
    for name, text in lines().items():
        said, rest = decode_fields([("filter", "filter")],
                                   bytes.fromhex(text))
        assert rest == b""
        with Peer(world, zone=name) as peer:
            assert peer.filter == said.filter


def test_skips_are_counted_by_reason(world):
    world.start()
    with Peer(world, zone="System") as peer:
        peer.send("COUNT", profile=1, extension=2, path=3, exempt=4, size=5,
                  user="DOM\\backup", client="192.0.2.9")
        stats = wait_for("the counts", lambda: (
            lambda s: s if s["files_skipped_exempt"] else None)(
                world.status()["system_stats"]))
    assert stats["files_skipped_profile"] == 1
    assert stats["files_skipped_extension"] == 2
    assert stats["files_skipped_path"] == 3
    assert stats["files_skipped_exempt"] == 4
    assert stats["files_skipped_per_filter"] == 10
    assert stats["files_skipped_per_size"] == 5
    assert "DOM\\backup at 192.0.2.9 reads without scans" in world.cavad.log()
    text = world.cavactl("status").stdout.decode()
    for n, what in ((5, "skipped, too large"),
                    (10, "skipped by the filter of the zone"),
                    (1, "of those, since its profile says so"),
                    (2, "of those, by extension"),
                    (3, "of those, by path"),
                    (4, "of those, to exempt accounts and hosts")):
        assert "%10d  %s\n" % (n, what) in text


def test_cavactl_zones(world):
    configure(world, FILTERS)
    world.start()
    with Peer(world, zone="Announced"):
        run = world.cavactl("zones")
        assert run.returncode == 0, run.stderr
        lines = run.stdout.decode().splitlines()
        assert lines[0].split() == ["ZONE", "PROFILE", "FILTER", "CONN",
                                    "SHARE", "ROOT"]
        rows = {l.split()[0]: l.split()[1:] for l in lines[1:]}
        assert rows["Announced"] == ["standard", "defaults", "1", "share",
                                     str(world.root)]
        assert rows["Archive"][:3] == ["writes_only", "own", "0"]
        found = json.loads(world.cavactl("--format", "json",
                                         "zones").stdout)
        assert {z["zone_name"] for z in found["zones"]} == set(rows)


@pytest.mark.parametrize("action", ["allow", "deny"])
def test_too_large_is_skipped_and_said(world, action):
    configure(world, "[filter System]\nscan_size_maximum_action = %s\n"
              % action, "scan_size_maximum = 1K\n")
    world.start()
    path = world.file("large", b"x" * 1025)
    reply = world.scan(path)
    assert (reply.json["result"], reply.json["reason"]) == (
        "skipped", "larger than scan_size_maximum")
    assert world.status()["system_stats"]["files_skipped_per_size"] == 1
    run = world.cavactl("scan", str(path))
    assert run.returncode == 3
    assert b"skipped: larger than scan_size_maximum" in run.stdout
    assert world.status()["system_stats"]["files_skipped_per_size"] == 2
    assert not os.listxattr(path)       # nothing is recorded


def test_zone_is_added_and_removed(world):
    configure(world, FILTERS)
    world.start()

    def ctl(*words):
        run = world.cavactl("zones", *words)
        return run.returncode, (run.stdout + run.stderr).decode()

    assert ctl("add", "Lab-9")[0] == 0
    assert ctl("add", "lab-9")[0] == 0      # it is there
    zone = zones(world)["Lab-9"]
    assert (zone["configured"], zone["shares"]) == (False, [])
    assert "Lab-9 " in (world.state / "filters").read_text()
    code, said = ctl("add", "a b")
    assert code == 1 and 'zone "a b"' in said and "a b" not in zones(world)
    world.cavad.stop(signal.SIGKILL)
    world.start()
    assert "Lab-9" in zones(world)
    with Peer(world, zone="Lab-9"):
        wait_for("its share", lambda: zones(world)["Lab-9"]["shares"])
        code, said = ctl("remove", "Lab-9")
        assert code == 1 and "1 connections" in said, said
    wait_for("its end", lambda: not zones(world)["Lab-9"]["connections"])
    assert ctl("remove", "LAB-9")[0] == 0
    assert "Lab-9" not in zones(world)
    world.cavad.stop(signal.SIGKILL)
    world.start()
    assert "Lab-9" not in zones(world)
    for name, why in (("Archive", "cavad.conf"), ("System", "default"),
                      ("None", "no zone None")):
        code, said = ctl("remove", name)
        assert code == 1 and why in said, said
