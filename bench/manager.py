#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our manager beside Python's own, from the same stock Python client.

    bench/manager.py [--rounds 7] [--count 100000000] [--json]

Both servers host numpy.ones(); one is `ndshare serve`, the other a stock
BaseManager of this interpreter. The client is stock Python with nothing of ours.
Rounds alternate, the first of each pair in turn; medians. Where the scheduler
puts two processes that take turns is worth as much as what they do, so small
calls are measured with both ends on one core, on two, and left alone.

Beside each the limit, measured in the same rounds, and the fraction of it that
ours reached: for calls a process that answers the same messages of the same
client at once, without looking at them; for the sum all processors reading as
much memory (tests/bench_limit.c; first: cmake --build build --target
bench_limit).

Exit 1 if a target is missed: a call at least as fast as Python's own manager,
the sum of the large array 3 times as fast.
"""
import argparse
import ctypes
import json
import os
import pathlib
import pickle
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.managers import BaseManager

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEY = b"bench"
CALLS = 1000
EXPOSED = ["sum", "__len__", "__getitem__", "fill"]


class Ours(BaseManager):
    pass


class Theirs(BaseManager):
    pass


Ours.register("ones")
Theirs.register("ones", np.ones, exposed=EXPOSED)


class OurServer:
    def __init__(self, folder):
        path = os.path.join(folder, "ours.sock")
        self.proc = subprocess.Popen(
            [str(ROOT / "build/bin/ndshare"), "serve", path],
            env=dict(os.environ, NDSHARE_AUTHKEY=KEY.decode()),
            stdout=subprocess.PIPE, text=True)
        self.proc.stdout.readline()
        self.pid = self.proc.pid
        self.manager = Ours(path, KEY)
        self.manager.connect()

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(30)
        self.proc.stdout.close()


class TheirServer:
    def __init__(self, folder):
        self.manager = Theirs(os.path.join(folder, "theirs.sock"), KEY,
                              ctx=get_context("fork"))
        self.manager.start()
        self.pid = self.manager._process.pid

    def stop(self):
        self.manager.shutdown()


class Echo:
    """A process that answers whatever comes with what __len__ answers."""
    def __init__(self):
        near, far = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            near.close()
            said = pickle.dumps(("#RETURN", 4))
            said = struct.pack("!i", len(said)) + said
            try:
                while far.recv(4096):
                    far.sendall(said)
            finally:
                os._exit(0)
        far.close()
        self.connection = Connection(near.detach())

    def calls(self, ident):
        begun = time.perf_counter()
        for _ in range(CALLS):
            self.connection.send((ident, "__len__", (), {}))
            self.connection.recv()
        return (time.perf_counter() - begun) / CALLS * 1e6

    def stop(self):
        self.connection.close()
        os.waitpid(self.pid, 0)


def reading(count):
    """A function that reads as much memory on all processors: ms."""
    limits = ctypes.CDLL(str(ROOT / "build/tests/libbench_limit.so"))
    limits.bench_limit.restype = ctypes.c_double
    memory = np.ones(count)
    return lambda: limits.bench_limit(
        0, 0, None, ctypes.c_void_p(memory.ctypes.data),
        ctypes.c_size_t(memory.nbytes // 64 * 64),
        len(os.sched_getaffinity(0))) * 1e3


def place(pid, cores):
    """Every thread of the process: those to come inherit it."""
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            os.sched_setaffinity(int(task), cores)
        except ProcessLookupError:
            pass


def calls(proxy):
    begun = time.perf_counter()
    for _ in range(CALLS):
        proxy.__len__()
    return (time.perf_counter() - begun) / CALLS * 1e6


def create(manager):
    begun = time.perf_counter()
    for _ in range(20):
        manager.ones((4,))
    return (time.perf_counter() - begun) / 20 * 1e6


def total(proxy, count):
    begun = time.perf_counter()
    assert proxy.sum() == count
    return (time.perf_counter() - begun) * 1e3


def alternate(rounds, ours, theirs, limit=None):
    """Medians of both, and of the ratio of each pair; and of the limit's, and
    what fraction of it ours is."""
    calls = [ours, theirs] + ([limit] if limit else [])
    took = [[] for _ in calls]
    for call in calls:
        call()
    for i in range(rounds):
        for k in range(len(calls)):
            k = (i + k) % len(calls)
            took[k].append(calls[k]())
    middle = [statistics.median(t) for t in took] + [None]
    return (middle[0], middle[1],
            statistics.median(y / x for x, y in zip(took[0], took[1])),
            middle[2], statistics.median(y / x for x, y in zip(
                took[0], took[2])) if limit else None)


def small(rounds, ours, theirs):
    everywhere = os.sched_getaffinity(0)
    cores = sorted(everywhere)
    p, q = ours.manager.ones((4,)), theirs.manager.ones((4,))
    p.__len__(), q.__len__()  # their threads are there now
    places = [("one core", cores[0], cores[0])]
    if len(cores) > 1:
        places.append(("two cores", cores[0], cores[1]))
    places.append(("anywhere", None, None))
    echo = Echo()
    try:
        for where, near, far in places:
            place(os.getpid(), everywhere if near is None else {near})
            for server in (ours, theirs, echo):
                place(server.pid, everywhere if far is None else {far})
            yield ("call, " + where, "us", 1) + alternate(
                rounds, lambda: calls(p), lambda: calls(q),
                lambda: echo.calls(p._id))
    finally:
        echo.stop()


def rows(options, ours, theirs):
    yield from small(options.rounds, ours, theirs)
    yield ("create and drop", "us", None) + alternate(
        options.rounds, lambda: create(ours.manager),
        lambda: create(theirs.manager))
    p = ours.manager.ones((options.count,))
    q = theirs.manager.ones((options.count,))
    yield ("sum of %d" % options.count, "ms", 3) + alternate(
        options.rounds, lambda: total(p, options.count),
        lambda: total(q, options.count), reading(options.count))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=100000000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    missed = 0
    out = []
    with tempfile.TemporaryDirectory() as folder:
        theirs = TheirServer(folder)
        ours = OurServer(folder)
        try:
            for row in rows(options, ours, theirs):
                name, unit, want, mine, other, ratio, limit, part = row
                missed += want is not None and ratio < want
                out.append(dict(zip(("work", "unit", "want", "ours", "python",
                                     "times", "limit", "fraction"), row)))
                if not options.json:
                    print("%-18s ours %9.2f %s   Python's %9.2f %s   "
                          "%5.2f times%-12s%s" %
                          (name, mine, unit, other, unit, ratio, "" if want is
                           None else ", wanted %g" % want, "" if limit is None
                           else "   limit %9.2f %s, %.2f of it" %
                           (limit, unit, part)), flush=True)
        finally:
            ours.stop()
            theirs.stop()
    if options.json:
        print(json.dumps({"python": sys.version.split()[0],
                          "numpy": np.__version__, "rows": out}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
