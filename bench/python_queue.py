#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ndshare.Queue beside multiprocessing.Queue, in turns in one run.

    PYTHONPATH=build/python bench/python_queue.py [--rounds 7] [--json]

trip    an object there and back between two processes, one at a time
rate    objects a second one way, a producer and a consumer; in memory that
        was used before
many    the same with put_many and get_many (stock Python has none)
80 MB   an array of 10 million doubles to a consumer that looks at its ends;
        also with a number in a tuple. Beside it one copy of as many bytes into
        memory that was used before, the quickest of NumPy's and of all
        processors' (if cmake --build build --target bench_limit was run), and
        how many times faster than stock Python that is: the most that can be
        had by value

Medians of the rounds; each round runs every case once for either.
"""
import argparse
import ctypes
import json
import multiprocessing as mp
import os
import pathlib
import statistics
import time

import numpy as np

import ndshare

TRIPS = 2000
ITEMS = 20000
BIG = 10_000_000
LIMIT = (pathlib.Path(__file__).resolve().parent.parent /
         "build/tests/libbench_limit.so")


def echo(there, back):
    while (obj := there.get()) is not None:
        back.put(obj)


def drain(q, done, n):
    for _ in range(2):
        for _ in range(n):
            q.get()
        done.set()


def drain_many(q, done, n):
    for _ in range(2):
        left = n
        while left > 0:
            left -= len(q.get_many(min(256, left)))
        done.set()


def look(q, done):
    while (a := q.get()) is not None:
        a = a[1] if isinstance(a, tuple) else a
        assert a[0] == 1 and a[-1] == 1
        done.put(1)


def started(target, *args):
    p = mp.Process(target=target, args=args)
    p.start()
    return p


def ended(p):
    p.join(60)
    assert p.exitcode == 0, p.exitcode


def trip(kind, obj):
    """Microseconds a round trip."""
    there, back = kind(), kind()
    p = started(echo, there, back)
    for _ in range(200):
        there.put(obj)
        back.get()
    start = time.perf_counter()
    for _ in range(TRIPS):
        there.put(obj)
        back.get()
    took = time.perf_counter() - start
    there.put(None)
    ended(p)
    return took / TRIPS * 1e6


def rate(kind, obj):
    """Items a second."""
    q, done = kind(), mp.Event()
    p = started(drain, q, done, ITEMS)
    for _ in range(2):  # the first time its memory is new
        start = time.perf_counter()
        for _ in range(ITEMS):
            q.put(obj)
        done.wait()
        took = time.perf_counter() - start
        done.clear()
    ended(p)
    return ITEMS / took


def rate_many(kind, obj):
    q, done = kind(), mp.Event()
    p = started(drain_many, q, done, ITEMS)
    objs = [obj] * 256
    for _ in range(2):
        start = time.perf_counter()
        left = ITEMS
        while left > 0:
            left -= q.put_many(objs[:left])
        done.wait()
        took = time.perf_counter() - start
        done.clear()
    ended(p)
    return ITEMS / took


def big(kind, put):
    """Milliseconds from before put until the consumer has looked."""
    q, done = kind(), mp.SimpleQueue()
    p = started(look, q, done)
    took = []
    for i in range(4):
        t = put(q)
        done.get()
        took.append(time.perf_counter() - t)
    q.put(None)
    ended(p)
    return min(took[1:]) * 1e3


def copy_alone(to=np.zeros(BIG + 8), a=np.ones(BIG + 8)):
    """Milliseconds."""
    def by_numpy():
        start = time.perf_counter()
        np.copyto(to, a)
        return time.perf_counter() - start

    ways = [by_numpy]
    if LIMIT.exists():
        copy = ctypes.CDLL(str(LIMIT)).bench_limit
        copy.restype = ctypes.c_double
        ends = [ctypes.c_void_p(x.ctypes.data + -x.ctypes.data % 64)
                for x in (to, a)]
        ways += [lambda p=past: copy(1, p, *ends, ctypes.c_size_t(BIG * 8),
                                     len(os.sched_getaffinity(0)))
                 for past in (0, 1)]
    return min(way() for way in ways for _ in range(5)) * 1e3


def put_plain(q, a=np.ones(BIG)):
    start = time.perf_counter()
    q.put(a)
    return start


def put_tuple(q, a=np.ones(BIG)):
    start = time.perf_counter()
    q.put((1, a))
    return start


def put_moved(q):
    a = ndshare.ones(BIG)  # made where it is filled, as any array is
    start = time.perf_counter()
    q.put(a, move=True)
    return start


def put_loaned(q):
    loan = q.loan(BIG)
    loan.array[:] = 1
    start = time.perf_counter()
    loan.publish()
    return start


BY_VALUE = {"80 MB array, put", "80 MB array in a tuple"}
KIB = {"bytes": b"x" * 1024, "array": np.ones(128), "dict": {"k": "x" * 1000},
       "(int, array)": (7, np.ones(120))}


def cases():
    for name, obj in KIB.items():
        yield (f"trip, 1 KiB {name}", "us", lambda o=obj: trip(mp.Queue, o),
               lambda o=obj: trip(ndshare.Queue, o))
        yield (f"rate, 1 KiB {name}", "/s", lambda o=obj: rate(mp.Queue, o),
               lambda o=obj: rate(ndshare.Queue, o))
    yield ("many, 1 KiB array", "/s",
           lambda: rate(mp.Queue, KIB["array"]),
           lambda: rate_many(ndshare.Queue, KIB["array"]))
    for name, put in (("put", put_plain), ("move", put_moved),
                      ("loan", put_loaned)):
        yield (f"80 MB array, {name}", "ms", lambda: big(mp.Queue, put_plain),
               lambda p=put: big(ndshare.Queue, p))
    yield ("80 MB array in a tuple", "ms", lambda: big(mp.Queue, put_tuple),
           lambda: big(ndshare.Queue, put_tuple))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = [c for c in cases() if args.only in c[0]]
    seen = [([], [], []) for _ in rows]
    for _ in range(args.rounds):
        for (name, _, stock, ours), (a, b, least) in zip(rows, seen):
            a.append(stock())
            b.append(ours())
            if name in BY_VALUE:
                least.append(copy_alone())
    out = []
    for (name, unit, _, _), (a, b, least) in zip(rows, seen):
        stock, ours = statistics.median(a), statistics.median(b)
        times = ours / stock if unit == "/s" else stock / ours
        out.append(dict(case=name, unit=unit, stock=stock, ours=ours,
                        times=times))
        if least:
            copy = statistics.median(least)
            out[-1].update(copy=copy, most=stock / copy)
    if args.json:
        print(json.dumps(out, indent=1))
        return
    print(f"{'':26}{'multiprocessing':>16}{'ndshare':>12}{'times':>8}"
          f"{'a copy':>12}{'at most':>8}")
    for r in out:
        print(f"{r['case']:26}{r['stock']:13.5g} {r['unit']:2}"
              f"{r['ours']:12.5g}{r['times']:8.1f}" +
              (f"{r['copy']:12.5g}{r['most']:8.1f}" if "copy" in r else ""))


if __name__ == "__main__":
    mp.set_start_method("fork")
    main()
