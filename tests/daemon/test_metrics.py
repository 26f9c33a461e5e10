"""/metrics: promtool has nothing to say against it, a real Prometheus
scrapes it; the dashboard and the alert rules name what is there.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import json
import re
import subprocess
import urllib.parse
import urllib.request

import pytest

from cavad_world import EICAR, ROOT, wait_for
from test_api_tcp import TcpWorld, free_port

RULES = ROOT / "packaging" / "prometheus" / "cavad.rules.yml"
DASHBOARD = ROOT / "packaging" / "grafana" / "cavad.json"
OPEN = "application/openmetrics-text"


@pytest.fixture(scope="module")
def world():
    world = TcpWorld(more="metrics_from = 127.0.0.0/8")
    world.start()
    world.scan(world.file("clean"))
    world.scan(world.file("eicar", EICAR))
    yield world
    world.close()


def text(world, *arguments):
    code, head, body = world.get("/metrics", *arguments)
    assert code == 200
    return head, body


def value(body, sample):
    found = re.findall(r"^%s (.*)$" % re.escape(sample), body, re.M)
    assert len(found) == 1, sample
    return float(found[0])


def unix(world, path):
    connection = world.connection()
    connection.request("GET", path)
    return connection.getresponse().read()


def names(body):
    return set(re.findall(r"^([a-z_]+)", body, re.M))


def test_promtool(world):
    head, body = text(world)
    assert "Content-Type: text/plain; version=0.0.4" in head
    done = subprocess.run(["promtool", "check", "metrics"], input=body,
                          text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert (done.returncode, done.stdout) == (0, "")


def test_values(world):
    _, body = text(world)
    stats = world.status()["system_stats"]
    for name in ("all_scan_requests", "cee_infected_count",
                 "bytes_scanned"):
        assert value(body, "cava_%s_total" % name) == stats[name]
    assert value(body, 'cava_server_up{server="av",pool="default"}') == 1
    assert value(body, 'cava_server_scans_total{server="av",'
                 'pool="default"}') == 2
    assert value(body, "cava_scan_seconds_count") == 2
    assert value(body, 'cava_scan_seconds_bucket{le="+Inf"}') == 2
    assert value(body, "cava_pending_scans") == 0
    assert 0 < value(body, "cava_store_used_bytes") < 1 << 20
    assert value(body, "cava_store_limit_bytes") == 64 << 20
    assert value(body, 'cava_queue_scans{queue="fast"}') == 0
    # all counters of the status are there
    assert {"cava_%s_total" % n for n in stats
            if not re.search("size|avg", n)} <= names(body)


def test_openmetrics(world):
    head, body = text(world, "-H", "Accept: %s;version=1.0.0" % OPEN)
    assert "Content-Type: " + OPEN in head
    assert body.endswith("# EOF\n")
    assert "# TYPE cava_scan_fails counter\n" in body
    assert "cava_scan_fails_total 0\n" in body


def test_who_gets_it(world):
    """Here without a login, changes as ever; elsewhere with one."""
    assert world.get("/platform/11/avscan/zones")[0] == 401
    assert world.get("/metrics", "-X", "DELETE")[0] == 401
    assert b"cava_build" in unix(world, "/metrics")
    other = TcpWorld(more="metrics_from = 192.0.2.1, 2001:db8::/32")
    try:
        other.start()
        assert other.get("/metrics")[0] == 401
        assert other.get("/metrics", user="grafana:look")[0] == 200
    finally:
        other.close()


def test_history(world):
    reply = world.call("GET", "/platform/11/avscan/history")
    rows = reply.json["history"]
    assert 1 <= len(rows) <= 10 and reply.json["interval"] == 60
    assert all(r["time"] % 60 == 0 for r in rows)
    assert sum(r["scans"] for r in rows) == 2
    assert sum(r["infections"] for r in rows) == 1


def test_prometheus(world, tmp_path):
    """It scrapes over TLS with a login, and answers a query."""
    port = free_port()
    (tmp_path / "password").write_text("look")
    (tmp_path / "prometheus.yml").write_text("""
global: {scrape_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: cavad
    scheme: https
    tls_config: {ca_file: %s}
    basic_auth: {username: grafana, password_file: %s}
    static_configs: [{targets: ['127.0.0.1:%d']}]
""" % (RULES, world.dir / "cert.pem", tmp_path / "password", world.port))
    with open(tmp_path / "log", "wb") as log:
        prometheus = subprocess.Popen(
            ["prometheus", "--config.file", tmp_path / "prometheus.yml",
             "--storage.tsdb.path", tmp_path / "data",
             "--web.listen-address", "127.0.0.1:%d" % port],
            stdout=log, stderr=log)
    try:
        def query(expression):
            url = "http://127.0.0.1:%d/api/v1/query?query=%s" % (
                port, urllib.parse.quote(expression))
            try:
                with urllib.request.urlopen(url, timeout=5) as reply:
                    return json.load(reply)["data"]["result"]
            except OSError:
                return []
        found = wait_for("a scrape", lambda: query(
            "cava_cee_infected_count_total"), 60)
        assert found[0]["value"][1] == "1"
        assert query('up{job="cavad"}')[0]["value"][1] == "1"
        assert query("cava_server_up")[0]["metric"]["server"] == "av"
        wide = query("histogram_quantile(1, cava_scan_seconds_bucket)")
        assert float(wide[0]["value"][1]) > 0
    finally:
        prometheus.terminate()
        prometheus.wait(20)


# The files.

def metrics_in(expression):
    return set(re.findall(r"\bcava_[a-z_]+", expression))


def test_rules(world):
    done = subprocess.run(["promtool", "check", "rules", RULES], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    used = metrics_in("".join(l for l in RULES.read_text().splitlines(True)
                              if "expr:" in l))
    assert used and used <= names(text(world)[1])


def test_dashboard(world):
    board = json.loads(DASHBOARD.read_text())
    there = names(text(world)[1])
    assert board["panels"]
    for panel in board["panels"]:
        for target in panel["targets"]:
            used = metrics_in(target["expr"])
            assert used and used <= there, target["expr"]
