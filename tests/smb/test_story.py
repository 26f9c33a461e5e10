"""The whole way, on real parts: smbd, cavad, cee_agent, clamd.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import datetime
import subprocess

import pytest

from lab import (ACCESS_DENIED, EICAR, OPEN, READ, SHARE_ALL, VIRUS_INFECTED,
                 status_of, wait_for)


@pytest.fixture
def lab(labs):
    return labs("--engine", "cee", "--profile", "strict")


def test_clean_file_is_put_and_read_back(lab):
    smb = lab.connect()
    smb.savefile("clean.txt", b"nothing to see\n")
    assert smb.loadfile("clean.txt") == b"nothing to see\n"
    assert lab.result("clean.txt") == "clean"


def test_second_read_asks_nobody(lab):
    smb = lab.connect()
    smb.savefile("twice.txt", b"read me twice\n")
    smb.loadfile("twice.txt")
    before = lab.counter("all_scan_requests")
    assert lab.connect().loadfile("twice.txt") == b"read me twice\n"
    assert lab.counter("all_scan_requests") == before


def test_eicar_is_denied_with_a_reason(lab):
    smb = lab.connect()
    smb.savefile("eicar.txt", EICAR)
    assert status_of(smb.loadfile, "eicar.txt") in (ACCESS_DENIED,
                                                    VIRUS_INFECTED)
    assert lab.result("eicar.txt") == "infected"
    # Known now: refused at open, with the status Windows has a text for.
    assert status_of(smb.loadfile, "eicar.txt") == VIRUS_INFECTED
    out = lab.smbclient("get eicar.txt /dev/null").stdout
    assert "NT_STATUS_VIRUS_INFECTED" in out

    def reason():
        return [line for line in lab.log().splitlines()
                if "eicar.txt" in line and "Eicar-Test-Signature" in line
                and lab.env["SMB_USER"] in line and "127." in line]
    wait_for("user, address, path and threat in one log line", reason)


def test_infected_file_can_be_replaced_and_deleted(lab):
    # A loadfile that fails leaves its handle open: connections of its own.
    smb = lab.connect()
    smb.savefile("fixme.txt", EICAR)
    assert status_of(lab.connect().loadfile, "fixme.txt") != 0
    smb.savefile("fixme.txt", b"clean again\n")
    assert smb.loadfile("fixme.txt") == b"clean again\n"
    smb.savefile("fixme.txt", EICAR)
    assert status_of(lab.connect().loadfile, "fixme.txt") != 0
    smb.unlink("fixme.txt")
    assert not lab.local("fixme.txt").exists()


def test_infected_sticks_to_a_touched_file(lab):
    smb = lab.connect()
    smb.savefile("sticky.txt", EICAR)
    assert status_of(smb.loadfile, "sticky.txt") != 0
    lab.local("sticky.txt").chmod(0o606)
    lab.local("sticky.txt").chmod(0o666)
    assert status_of(smb.loadfile, "sticky.txt") != 0


def test_cavactl_scan(lab):
    lab.write_local("by-hand.txt", b"by hand\n")
    run = lab.cavactl("scan", str(lab.local("by-hand.txt")))
    assert (run.returncode, run.stderr) == (0, "")
    assert "clean" in run.stdout
    lab.write_local("by-hand-eicar.txt", EICAR)
    run = lab.cavactl("scan", str(lab.local("by-hand-eicar.txt")))
    assert run.returncode == 2
    assert "Eicar-Test-Signature" in run.stdout
    assert status_of(lab.connect().loadfile,
                     "by-hand-eicar.txt") == VIRUS_INFECTED


def test_check_share_is_hidden_and_closed(lab):
    out = subprocess.run(
        ["smbclient", "-s", "/dev/null", "-L", lab.env["SMB_HOST"], "-U",
         "%s%%%s" % (lab.env["SMB_USER"], lab.env["SMB_PASS"])],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    assert lab.env["SHARE"] in out
    assert "CHECK$" not in out
    out = lab.smbclient("ls", share=lab.env["CHECK_SHARE"])
    assert out.returncode != 0
    assert "tree connect failed" in out.stdout
    assert "cavactl avvendor add" in lab.log()  # what to do, if it should


def test_av_account_reads_only_what_is_asked_for(lab):
    lab.write_local("private.txt", b"nobody asked\n")
    av = lab.connect_av()
    name = "%s\\private.txt" % lab.share_dir.name
    assert status_of(av.create, name, 0, READ, 0, SHARE_ALL,
                     OPEN) == ACCESS_DENIED
    assert "private.txt" not in str(av.list(lab.share_dir.name))
    assert lab.counter("check_refused") > 0


def test_av_account_loses_its_right_at_once(lab):
    av = lab.connect_av()
    account = lab.env["AV_USER"]
    assert lab.cavactl("avvendor", "remove", account).returncode == 0
    try:
        lab.write_local("late.txt", b"too late\n")
        run = lab.cavactl("scan", str(lab.local("late.txt")))
        assert run.returncode == 3, run.stdout
        assert status_of(lab.connect_av) != 0
    finally:
        assert lab.cavactl("avvendor", "add", account).returncode == 0
    del av
    run = lab.cavactl("scan", str(lab.local("late.txt")))
    assert run.returncode == 0, run.stdout


def test_status_tells_servers_versions_and_counters(lab):
    status = lab.status()
    server = status["server_status"][0]
    assert status["system_status"] == "RUNNING"
    assert server["server_state"] == "online"
    assert server["good_heartbeats"] > 0
    assert "ClamAV" in status["av_vendor"]
    # As clamd says it: the time that the lab gave its database.
    made = (lab.dir / "clamd" / "db" / "daily.cud").stat().st_mtime
    told = datetime.datetime.fromisoformat(
        status["signature_timestamp"].replace("Z", "+00:00"))
    assert abs(told.timestamp() - made) < 5
    assert status["system_stats"]["cee_success_count"] > 0
    text = lab.cavactl("status").stdout
    assert "online" in text and "ClamAV" in text


@pytest.mark.parametrize("open_on_fail", ["yes", "no"])
def test_open_on_fail_decides_without_clamd(new_lab, open_on_fail):
    lab = new_lab("--engine", "cee", "--profile", "strict")
    lab.configure("filter System", "open_on_fail", open_on_fail)
    lab.start()
    lab.write_local("early.txt", b"scanned while clamd was there\n")
    smb = lab.connect()
    assert smb.loadfile("early.txt")
    lab.sh("stop", "clamd")
    lab.write_local("late.txt", b"not scanned\n")
    status = status_of(smb.loadfile, "late.txt")
    assert status == (0 if open_on_fail == "yes" else ACCESS_DENIED)
    assert lab.result("late.txt") is None
    # What has a verdict needs no server.
    assert smb.loadfile("early.txt")
    lab.sh("start", "clamd")
    wait_for("the file to be scanned after all",
             lambda: status_of(lab.connect().loadfile, "late.txt") == 0 and
             lab.result("late.txt") == "clean")
