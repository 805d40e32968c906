#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stock multiprocessing, Queue or Pipe: the work of harness.c in Python.

    peer_python.py queue|pipe NBYTES DIR BUDGET_MS
"""
import multiprocessing as mp
import os
import signal
import sys
import time

import numpy as np


def section(mode, count, send, recv):
    """The consumer's side."""
    total = 0.0
    for i in range(count):
        x = recv()
        if mode == "trip":
            assert x[0] == i and x[-1] == 1
            x[0] = i
            send(x)
        else:
            total += float(x.sum())
    return total, time.monotonic_ns()


def consumer(send, recv, control):
    os.sched_setaffinity(0, {1 % os.cpu_count()})
    while True:
        order = control.recv()
        if order is None:
            return
        control.send(section(*order, send, recv))


def produce(mode, count, x, send, recv, control):
    took = []
    control.send((mode, count))
    start = time.monotonic_ns()
    for i in range(count):
        x[0] = i
        t = time.monotonic_ns()
        # A Queue pickles in a thread of its own, later: a copy is its due.
        send(x.copy() if mode == "copy" else x)
        if mode == "trip":
            y = recv()
            took.append(time.monotonic_ns() - t)
            assert y[0] == i and y[-1] == 1
    total, end = control.recv()
    if mode == "copy":
        want = count * (len(x) - 1) + count * (count - 1) // 2
        if total != want:
            sys.exit(f"copy: the sum is {total}, not {want}")
    return took, end - start


def main():
    kind, nbytes, budget = sys.argv[1], int(sys.argv[2]), int(sys.argv[4])
    ctx = mp.get_context("fork")
    ours, theirs = ctx.Pipe()
    if kind == "queue":
        there = ctx.Queue(256 if nbytes <= 65536 else 4)
        back = ctx.Queue(256 if nbytes <= 65536 else 4)
        ends = (back.put, there.get), (there.put, back.get)
    else:
        a, b = ctx.Pipe()
        ends = (b.send, b.recv), (a.send, a.recv)
    child = ctx.Process(target=consumer, args=(*ends[0], theirs), daemon=True)
    signal.alarm(60)
    child.start()
    os.sched_setaffinity(0, {0})
    x = np.ones(nbytes // 8)
    for mode in "trip", "copy":
        warm = 100 if nbytes <= 65536 else 2
        ns = produce(mode, warm, x, *ends[1], ours)[1] / warm
        count = max(3, min(20000, int(budget * 1e6 / ns)))
        took, ns = produce(mode, count, x, *ends[1], ours)
        if mode == "trip":
            took.sort()
            print(mode, took[count // 2], took[count - 1 - count // 100],
                  flush=True)
        else:
            print(mode, count * 1e9 / ns, 0, flush=True)
    ours.send(None)
    child.join(5)


if __name__ == "__main__":
    main()
