"""Load for the benchmarks: real SMB clients, and what they cost.

A client is a process with one connection and a number of requests in flight
on it. All clients of a pass start together and are measured from the first
request to the last answer.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
import time

TICK = os.sysconf("SC_CLK_TCK")


@functools.lru_cache(1)
def content_of(size):
    block = os.urandom(min(size, 1 << 20))
    return block * (size // len(block))


def client(lab, share, in_flight, pipe):
    """Carries out passes, (kind, [(name, size)]), until it is told None."""
    smb = lab.connect(share=share, threads=in_flight > 1)
    smb.settimeout(600000)      # ms
    pool = concurrent.futures.ThreadPoolExecutor(in_flight)

    def read(item):
        start = time.perf_counter()
        assert smb.loadfile(item[0]), "%s: nothing was read" % item[0]
        return time.perf_counter() - start

    def write(item):
        content = content_of(item[1])
        start = time.perf_counter()
        smb.savefile(item[0], content)
        return time.perf_counter() - start

    pipe.send("connected")
    while True:
        work = pipe.recv()
        if work is None:
            return
        call = read if work[0] == "read" else write
        if work[0] == "write":
            content_of(work[1][0][1])
        begin = time.monotonic()
        if in_flight == 1:
            took = [call(item) for item in work[1]]
        else:
            took = list(pool.map(call, work[1]))
        pipe.send((begin, time.monotonic(), took))


class Clients:
    """So many clients of a share; passes one after the other."""

    def __init__(self, lab, share, count=1, in_flight=1):
        self.running = []
        for _ in range(count):
            mine, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(
                target=client, daemon=True,
                args=(lab, share, in_flight, theirs))
            process.start()
            theirs.close()
            self.running.append((process, mine))
        for _process, pipe in self.running:
            pipe.recv()

    def run(self, kind, items):
        """The items dealt out in turn; (seconds, latency of each)."""
        count = len(self.running)
        for i, (_process, pipe) in enumerate(self.running):
            pipe.send((kind, items[i::count]))
        answers = [pipe.recv() for _process, pipe in self.running]
        return (max(a[1] for a in answers) - min(a[0] for a in answers),
                [t for a in answers for t in a[2]])

    def close(self):
        for process, pipe in self.running:
            pipe.send(None)
            process.join()
            pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def cpu(lab, pids="*.pid"):
    """CPU seconds that the programs of a lab have used, those that they have
    waited for included."""
    parents, times = {}, {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        rest = text[text.rindex(")") + 2:].split()
        pid = int(path.parent.name)
        parents[pid] = int(rest[1])
        times[pid] = sum(int(t) for t in rest[11:15]) / TICK
    wanted = {int(p.read_text()) for p in (lab.dir / "run").glob(pids)}
    total = 0.0
    for pid, seconds in times.items():
        up = pid
        while up in parents and up not in wanted:
            up = parents[up]
        if up in wanted:
            total += seconds
    return total


def fill(directory, prefix, count, size):
    """Files with a content of their own each; their names."""
    names = []
    block = os.urandom(min(size, 1 << 20))
    for i in range(count):
        name = "%s%d.bin" % (prefix, i)
        with open(directory / name, "wb") as file:
            file.write(b"%08d" % i)
            left = size - 8
            while left > 0:
                left -= file.write(block[:left])
        os.chmod(directory / name, 0o666)
        names.append(name)
    return names


def fill_same(directories, prefix, count, size):
    """The same files in each of them."""
    names = fill(directories[0], prefix, count, size)
    for directory in directories[1:]:
        for name in names:
            os.link(directories[0] / name, directory / name)
    return names


def tree(directory, count):
    """Small files, a thousand a directory."""
    for i in range(count // 1000):
        (directory / ("d%d" % i)).mkdir()
        for k in range(1000):
            with open(directory / ("d%d" % i) / ("%d.txt" % k), "wb") as f:
                f.write(b"x")


def remove(directories, names):
    for directory in directories:
        for name in names:
            os.unlink(directory / name)


def empty(directory, names):
    """Takes no room any more."""
    for name in names:
        os.truncate(directory / name, 0)


def forget(directory, names):
    """No verdict any more."""
    for name in names:
        try:
            os.removexattr(directory / name, "security.cava")
        except OSError:
            pass
