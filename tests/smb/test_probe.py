"""cavactl servers probe against the real cee_agent: it logs in to CHECK$, and
does not find what is not there.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json


def test_agent(labs):
    lab = labs("--engine", "cee", "--profile", "strict")
    lab.wait_online()
    name = lab.status()["server_status"][0]["server_name"]
    refused = lab.counter("check_refused")
    done = lab.cavactl("servers", "probe", name, fmt="json")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)["probe"]
    assert said["good"]
    assert "ERROR_FILE_NOT_FOUND" in \
        said["exchanges"][1]["decoded"]["detail"]
    assert lab.counter("check_refused") == refused
    # credentials are nowhere in it
    assert lab.env["AV_PASS"] not in done.stdout
