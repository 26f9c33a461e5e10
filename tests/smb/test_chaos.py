"""Everything is killed, stopped and filled up at random while clients work:
no scan is forgotten, nothing infected is read, nothing is stuck or grows.

A minute and 6 clients, with --long 10 minutes; `./waf soak`: 20 clients,
with --long 200 of them for 10 minutes. The seed is printed; CAVA_SEED repeats it as far as timing
allows.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import time

import pytest

from chaos import Chaos, held
from lab import ROOT
from mounts import Mounts

LONG = bool(os.environ.get("CAVA_TEST_LONG"))
SECONDS = int(os.environ.get("CAVA_SOAK_SECONDS", 600 if LONG else 60))
CLIENTS = int(os.environ.get("CAVA_SOAK_CLIENTS", 6))
PARTS = ("cavad", "agent0", "agent1", "smbd")
STUCK = 75              # s; smbd gives up a parked open after 70
# MiB of a part in the same work, done again; a sanitizer keeps what is freed
GROWTH = float(os.environ.get("CAVA_SOAK_GROWTH", 1.5))


@pytest.fixture
def mounts():
    mounts = Mounts()
    yield mounts
    mounts.close()


@pytest.fixture
def chaos(mounts, new_lab):
    seed = int(os.environ.get("CAVA_SEED", time.time_ns()))
    print("CAVA_SEED=%d" % seed)
    lab = new_lab("--engine", "cee", "--profile", "strict",
                  "--servers", "2")
    mounts.loop(lab.dir / "data", "xfs")
    lab.share_dir.mkdir()
    lab.share_dir.chmod(0o777)
    mounts.mount(lab.dir / "cavad", "-t", "tmpfs", "-o",
                 "size=48m,mode=755", "none")
    standard = lab.add_share("standard", "cava:zone = Standard")
    conf = pathlib.Path(lab.env["CAVAD_CONF"])
    conf.write_text(conf.read_text() +
                    "\n[filter Standard]\nscan_profile = standard\n")
    lab.configure("filter System", "open_on_fail", "no")
    lab.configure("settings", "scan_timeout", "20")
    lab.start()
    lab.wait_online(2)
    yield Chaos(lab, ("standard", standard), seed, CLIENTS)
    lab.sh("stop")      # before what it lies on
    mounts.end()


@pytest.mark.timeout(SECONDS * 3 + 600)
def test_no_scan_is_forgotten(chaos):
    lab = chaos.lab
    chaos.run(SECONDS)
    chaos.settle(SECONDS + 240)
    table = chaos.table()
    print(table)
    print("longest: %.1f s, %s" % chaos.longest())
    out = ROOT / "build" / "soak"
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.txt").write_text(table + "\n")

    assert chaos.injected == chaos.survived
    assert not any(a.infected_reads for a in chaos.accounts)
    assert chaos.longest() < (STUCK, "")
    assert sum(a.done for a in chaos.accounts) > SECONDS * 5
    assert sum(a.lost for a in chaos.accounts) > 0
    assert "PANIC" not in lab.log() and "INTERNAL ERROR" not in lab.log()

    chaos.calm(2)
    looks = [held(lab, *PARTS)]
    for _ in range(3):
        # connections are kept, as many as were wanted at a time: so once
        # or twice there may be one more, but not again with each round
        chaos.calm(3)
        looks.append(held(lab, *PARTS))
        if all(looks[-1][part][0] <= looks[-2][part][0] for part in PARTS):
            break
    print("descriptors and MiB: %s" % looks)
    for part in PARTS:
        assert looks[-1][part][0] <= looks[-2][part][0], part
        # from the first look at as many: a client may come back late
        base = next(look[part][1] for look in looks
                    if look[part][0] >= looks[-1][part][0])
        assert looks[-1][part][1] < base + GROWTH, part
