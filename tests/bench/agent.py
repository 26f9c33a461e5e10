#!/usr/bin/python3
"""What a scan by cee_agent costs: 16 KiB files, each fetched from a real smbd
over sessions that are there already, scanned by a real clamd.

    tests/bench/agent.py [--files N] [--workers N] [--storage 'KEY = VALUE']

The same requests are asked one at a time and then many at once. Scans per
second say what this machine did while others used it; CPU time of each part
for one scan is what can be compared. Prints a table for docs/benchmarks.md.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import argparse
import os
import pathlib
import statistics
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "daemon"))

from cee_agent_world import World, children, scan_request  # noqa: E402

TICK = 1000 / os.sysconf("SC_CLK_TCK")


def cpu(pids):
    """ms of CPU time that these have used."""
    ticks = 0
    for pid in pids:
        try:
            text = pathlib.Path("/proc/%d/stat" % pid).read_text()
        except OSError:
            continue
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:13]))
    return ticks * TICK


def parts(world, agent):
    return {"agent": [agent.process.pid], "workers": agent.workers(),
            "smbd": [world.smbd.pid] + children(world.smbd.pid),
            "clamd": [world.clamd.pid]}


def ask(agent, names, times, lock):
    connection = agent.connection()
    while True:
        with lock:
            name = next(names, None)
        if name is None:
            break
        start = time.perf_counter()
        connection.request("PUT", "/vee", scan_request(name).encode())
        body = connection.getresponse().read()
        times.append((time.perf_counter() - start) * 1000)
        assert b'status="0x0"' in body, body
    connection.close()


def measure(world, agent, files, at_once):
    names = iter([world.unc("%d.bin" % i) for i in range(files)])
    times, lock = [], threading.Lock()
    before = {name: cpu(pids) for name, pids in parts(world, agent).items()}
    start = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(agent, names, times, lock))
               for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    used = {name: cpu(pids) - before[name]
            for name, pids in parts(world, agent).items()}
    print("| %7d | %7.0f | %6.2f | %6.2f | %s |" % (
        at_once, files / took, statistics.median(times),
        sorted(times)[int(files * 0.99)],
        " | ".join("%7.3f" % (used[name] / files) for name in used)),
        flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--storage", default="port = 445")
    options = parser.parse_args()
    world = World()
    try:
        for i in range(options.files):
            world.file("%d.bin" % i, os.urandom(16384))
        key, value = options.storage.split(" = ")
        agent = world.agent(workers=options.workers, storage={key: value})
        print("| at once | scans/s | median ms | 99 % | agent ms | workers |"
              " smbd | clamd |\n|---|---|---|---|---|---|---|---|")
        for at_once in (options.workers, 1, 4, options.workers):
            measure(world, agent, options.files, at_once)
        count = agent.status()["scans"]["sessions_opened"]
        print("\n%d scans over %d sessions" % (4 * options.files, count))
        agent.stop()
    finally:
        world.close()


if __name__ == "__main__":
    main()
