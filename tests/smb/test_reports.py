"""Reports of what clients did: bytes as servers have really read them.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json

from lab import EICAR, wait_for


def day(lab):
    run = lab.cavactl("reports", "--policy", "ON_ACCESS", fmt="json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["reports"][0]


def view(lab, name):
    run = lab.cavactl("reports", "view", name, fmt="json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["reports"][0]


def test_bytes_that_were_fetched(new_lab):
    lab = new_lab("--profile", "strict").start()
    fake = lab.fake()
    content = b"x" * 300000
    lab.write_local("a", content)
    assert lab.connect().loadfile("a") == content
    wait_for("what the server has read", lambda: day(lab)["bytes_fetched"])
    found = day(lab)
    assert found["files"] == 1 and found["size"] == len(content)
    assert found["bytes_fetched"] == found["bytes_sent"] == len(content)
    assert found["av_service"] == "CEE/CAVA" and found["bytes_passed"] == 0
    # a known file is not fetched again
    assert lab.connect().loadfile("a") == content
    assert day(lab)["bytes_fetched"] == len(content)
    # infected, counted once however often somebody tries
    fake.rule("bad", "infected Eicar\nfetch yes")
    lab.write_local("bad", EICAR)
    for _ in range(3):
        lab.smbclient("get bad /dev/null")
    wait_for("its report", lambda: day(lab)["infections"])
    assert day(lab)["infections"] == 1
    # and a scan by hand has its own
    before = day(lab)
    run = lab.cavactl("scan", "--force", str(lab.local("a")), fmt="json")
    assert run.returncode == 0, run.stderr
    name = json.loads(run.stdout)["report_id"]
    wait_for("its bytes", lambda: view(lab, name)["bytes_fetched"])
    found = view(lab, name)
    assert found["bytes_fetched"] == len(content)
    assert found["files"] == 1 and found["source"] == "manual"
    after = day(lab)
    for name in ("files", "size", "bytes_fetched", "infections"):
        assert after[name] == before[name], name
