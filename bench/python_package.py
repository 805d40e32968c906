#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the Python package costs and saves, beside the same code without it.

    PYTHONPATH=build/python python3 bench/python_package.py [--rounds 7] [--json]

Each row is measured in turns with its counterpart, in this one run, and shows
the medians and their ratio. The arrays have 80 MB (10 million float64).
"""
import argparse
import json
import multiprocessing as mp
import os
import pickle
import statistics
import sys
import time

import numpy as np

import ndshare

COUNT = 10_000_000  # float64: 80 MB
NAME = f"bench-python-{os.getpid()}"


def timed(f, number=1):
    start = time.perf_counter()
    for _ in range(number):
        f()
    return (time.perf_counter() - start) / number


def first_and_last(a):
    return float(a[0] + a[-1])


def consume(q, answers):
    while (a := q.get()) is not None:
        answer = first_and_last(a)
        del a  # giving its memory back is part of the way
        answers.send(answer)


def settled(f, number=1):
    """After one untimed: who went before may still be giving memory back."""
    f()
    return timed(f, number)


def measure(rounds, pairs):
    """Medians of each pair's two functions, taken in turns."""
    for ours, theirs in pairs.values():
        ours()
        theirs()
    times = {name: ([], []) for name in pairs}
    for _ in range(rounds):
        for name, (ours, theirs) in pairs.items():
            times[name][0].append(ours())
            times[name][1].append(theirs())
    return {name: [statistics.median(t) for t in both]
            for name, both in times.items()}


def small(rounds):
    """Calls of microseconds."""
    shared = ndshare.zeros((480, 640), name=NAME)
    plain = np.zeros((480, 640))
    path = f"/dev/shm/{NAME}"
    handle = pickle.dumps(shared)
    pickle.loads(handle)
    return measure(rounds, {
        "attach by name / numpy.load(mmap_mode)": (
            lambda: timed(lambda: ndshare.attach(NAME), 300),
            lambda: timed(lambda: np.load(path, mmap_mode="r+"), 300)),
        "attach read-only / numpy.load(mmap_mode='r')": (
            lambda: timed(lambda: ndshare.attach(NAME, "r"), 300),
            lambda: timed(lambda: np.load(path, mmap_mode="r"), 300)),
        "pickle 2.4 MB / numpy": (
            lambda: timed(lambda: pickle.dumps(shared), 300),
            lambda: timed(lambda: pickle.dumps(plain), 5)),
        "unpickle 2.4 MB / numpy": (
            lambda: timed(lambda: pickle.loads(handle), 300),
            lambda d=pickle.dumps(plain): timed(lambda: pickle.loads(d), 5)),
        "slice / numpy": (
            lambda: timed(lambda: shared[1:, ::2], 10000),
            lambda: timed(lambda: plain[1:, ::2], 10000)),
        "a + 1 of 3 elements / numpy": (
            lambda a=ndshare.ones(3): timed(lambda: a + 1, 10000),
            lambda a=np.ones(3): timed(lambda: a + 1, 10000)),
    })


def large(rounds):
    """80 MB to another process, by unchanged multiprocessing."""
    shared, plain = ndshare.ones(COUNT), np.ones(COUNT)
    q = mp.Queue()
    here, there = mp.Pipe()
    child = mp.Process(target=consume, args=(q, there), daemon=True)
    child.start()

    def through_queue(a):
        q.put(a)
        assert here.recv() == 2

    with mp.Pool(1) as pool:
        def through_pool(a):
            assert pool.map(first_and_last, [a]) == [2]

        def reduced():
            ndshare.install_reducer()
            try:
                return settled(lambda: through_queue(plain))
            finally:
                ndshare.uninstall_reducer()

        result = measure(rounds, {
            "Pool.map of 80 MB / plain array": (
                lambda: settled(lambda: through_pool(shared), 20),
                lambda: settled(lambda: through_pool(plain))),
            "multiprocessing.Queue, 80 MB / plain array": (
                lambda: settled(lambda: through_queue(shared), 20),
                lambda: settled(lambda: through_queue(plain))),
            "the same, plain, install_reducer / without": (
                reduced, lambda: settled(lambda: through_queue(plain))),
        })
    q.put(None)
    child.join()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=["small", "large"])
    args = parser.parse_args()
    result = {}
    try:
        if args.only != "large":
            result.update(small(args.rounds))
        if args.only != "small":
            result.update(large(args.rounds))
    finally:
        ndshare.unlink(NAME) if args.only != "large" else None
    if args.json:
        json.dump({name: {"ours_s": a, "theirs_s": b, "ratio": b / a}
                   for name, (a, b) in result.items()}, sys.stdout, indent=2)
        print()
        return
    print(f"NumPy {np.__version__}, Python {sys.version.split()[0]}, "
          f"{os.cpu_count()} processors, medians of {args.rounds}")
    print(f"{'':46} {'ours':>12} {'theirs':>12} {'times':>8}")
    for name, (a, b) in result.items():
        print(f"{name:46} {a * 1e6:9.1f} us {b * 1e6:9.1f} us {b / a:8.1f}")


if __name__ == "__main__":
    main()
