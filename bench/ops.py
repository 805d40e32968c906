#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Arithmetic and reductions beside NumPy's and beside the memory's limits.

    bench/ops.py [--mb 64 | --elements N] [--runs 7] [--types f8,i4]
                 [--only REGEX] [--missed] [--least] [--build DIR] [--json]
    (first: cmake --build build --target ndshare bench_limit)

Each case is one operation on one dtype and layout, over the same memory: by
NumPy, by ours with one thread, by ours with all, and by the limit that fits it
(reading, copying, writing: tests/bench_limit.c) with one thread and all. They
take turns, RUNS times; columns are medians in milliseconds, `x NumPy` the
median of NumPy's time / ours with one thread within a turn, `limit` that of
the limit's time for the bytes moved / ours, one thread and all. Where a limit
writes, it does so by stores of both kinds, those that go by way of the caches
and those that go past them; the faster one counts, and `w` or `p` beside it
says with all threads which.

--mb is the size of one operand, --elements its length instead (1000, 100000:
what the caches hold; a turn is then as many calls as take a millisecond, and
limits are of one thread, as the work is).
Layouts: `flat` contiguous; `::2` every other element; `::-1` backwards; `.T` a
transposed square, into one that is not; `rows` a 2-D view that leaves out a few
columns (a run for each row); `axis 0` and `axis 1` of rows of 1000, `short` of
rows of 8. --missed: only what is slower than NumPy on one thread, or with --mb
below 0.85 of the limit on all. --least: the quickest turn of each instead of
the median, for a machine with other work. Needs NumPy; results are compared.
"""
import argparse
import ctypes as c
import itertools
import json
import math
import os
import pathlib
import re
import statistics
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4",
         "f8", "g", "F", "D"]  # in the order of enum nds_type, from 1
OPS = ["add", "subtract", "multiply", "divide"]
REDUCTIONS = ["sum", "prod", "min", "max", "mean", "std", "var", "argmin",
              "argmax", "any", "all"]
DATES = ["M8[s]", "m8[ns]"]  # filled and copied only
LAYOUTS = ("flat", "::2", "::-1", ".T", "rows")
THREADED = 8 << 20  # bytes moved by what gets more than one thread
TURN = 1e-3  # seconds, at least
COLUMNS = 1000
SHORT = 8
READ, COPY, WRITE = range(3)


class View(c.Structure):
    _fields_ = [("dtype", c.c_void_p), ("data", c.c_void_p),
                ("ndim", c.c_int32), ("flags", c.c_uint32),
                ("shape", c.c_int64 * 64), ("strides", c.c_int64 * 64)]


class Scalar(c.Structure):
    _fields_ = [("dtype", c.c_void_p), ("pad", c.c_char * 8),
                ("data", c.c_char * 32)]


class Library:
    def __init__(self, build):
        self.nds = c.CDLL(str(build / "lib/libndshare.so"))
        self.nds.nds_dtype_builtin.restype = c.c_void_p
        self.nds.nds_int.restype = Scalar
        self.nds.nds_int.argtypes = [c.c_int64]
        self.dates = {}
        self.limits = c.CDLL(str(build / "tests/libbench_limit.so"))
        self.limits.bench_limit.restype = c.c_double

    def dtype(self, dt):
        if dt.kind in "mM":
            if dt.str not in self.dates:
                self.dates[dt.str] = c.c_void_p()
                self.must(self.nds.nds_dtype_parse(
                    c.byref(self.dates[dt.str]), dt.str.encode()))
            return self.dates[dt.str]
        return self.nds.nds_dtype_builtin(TYPES.index(
            dt.char if dt.char in "?gFD" else dt.str[1:]) + 1)

    def view(self, a):
        v = View(self.dtype(a.dtype), a.ctypes.data, a.ndim, 0)
        v.shape[:a.ndim], v.strides[:a.ndim] = a.shape, a.strides
        v.keep = a
        return v

    def must(self, rc):
        if rc < 0:
            sys.exit("the library says %d" % rc)

    def call(self, name, *args):
        """A call to make again and again, its arguments made once."""
        f = getattr(self.nds, name)
        args = [c.byref(self.view(a)) if isinstance(a, np.ndarray) else
                c.byref(a) if isinstance(a, View) else a for a in args]
        return lambda: self.must(f(*args))

    def limit(self, kind, past, to, source, nbytes, threads, again):
        """Seconds for nbytes moved, `again` times."""
        half = max(nbytes // (2 if kind == COPY else 1), 64)
        some = min(half, to.nbytes) // 64 * 64
        return sum(self.limits.bench_limit(
            kind, past, c.c_void_p(to.ctypes.data),
            c.c_void_p(source.ctypes.data), c.c_size_t(some), threads)
            for _ in range(again)) * half / some


def aligned(nbytes):
    raw = np.zeros(nbytes + 4096, "u1")
    at = -raw.ctypes.data % 4096
    return raw[at:at + nbytes]


def values(dt, memory):
    """Small numbers that no operation turns into something slow."""
    a = memory[:memory.size // dt.itemsize * dt.itemsize].view(dt)
    if dt.kind in "mM":
        a.view("i8")[...] = 1
        return a
    g = np.random.Generator(np.random.PCG64(1))
    real = a.view("f%d" % (dt.itemsize // 2)) if dt.kind == "c" else a
    for i in range(0, real.size, 1 << 20):
        part = real[i:i + (1 << 20)]
        x = g.random(part.size, "f4")
        part[...] = x < .5 if dt.kind == "b" else x * 3 + 1 if \
            dt.kind in "iu" else x + .5
    return a


def shaped(a, layout):
    if layout == ".T":
        side = math.isqrt(a.size)
        return a[:side * side].reshape(side, side).T
    columns = SHORT if layout.startswith("short") else COLUMNS
    grid = a[:a.size // columns * columns].reshape(-1, columns)
    return {"flat": a, "::2": a[::2], "::-1": a[::-1],
            "rows": grid[:, :COLUMNS - 8]}.get(layout, grid)


def written(out, layout, x):
    """Where what has x's shape goes: side by side if x is not."""
    if layout == ".T":
        return shaped(out, layout).T
    return shaped(out, layout) if layout in ("flat", "rows") else \
        out[:x.size].reshape(x.shape)


def cases(lib, memory, types):
    """(name, NumPy's call, ours, limit, bytes moved, results)"""
    for t in types:
        dt = np.dtype(t)
        a, b, out = (values(dt, m) for m in memory[:3])
        name = dt.name
        if dt.kind in "mM":
            yield from makers(lib, name, dt, a, out)
            continue
        for op, layout in itertools.product(OPS, LAYOUTS):
            if (op == "divide" and dt.kind in "biu" or
                    op == "subtract" and dt.kind == "b"):
                continue
            x, y = shaped(a, layout), shaped(b, layout)
            o = written(out, layout, x)
            ufunc = getattr(np, op)
            yield ("%s %s %s" % (name, op, layout),
                   lambda f=ufunc, x=x, y=y, o=o: f(x, y, out=o),
                   lib.call("nds_binary", OPS.index(op), o, x, y), COPY,
                   3 * x.nbytes, [o])
            if layout == "flat" and dt.kind != "b":
                s = lib.nds.nds_int(1)
                v = dt.type(1)
                yield ("%s %s 1 in place" % (name, op),
                       lambda f=ufunc, o=o, v=v: f(o, v, out=o),
                       lib.call("nds_binary_scalar", OPS.index(op), o, o, s),
                       COPY, 2 * o.nbytes, [])
        for op, layout in itertools.product(
                REDUCTIONS, LAYOUTS + ("axis 0", "axis 1", "short axis 0",
                                       "short axis 1")):
            x = shaped(a, layout)
            if op in ("any", "all"):
                x = x if op == "all" and dt.kind != "b" else shaped(
                    values(dt, memory[2]), layout)
                x[...] = op == "all"
            axis = int(layout[-1]) if "axis" in layout else None
            f = getattr(np, op)
            want = f(x[:1], axis=axis)
            shape = () if axis is None else (x.shape[1 - axis],)
            n, o = np.zeros(shape, want.dtype), np.zeros(shape, want.dtype)
            yield ("%s %s %s" % (name, op, layout),
                   lambda f=f, x=x, axis=axis, n=n: f(x, axis=axis, out=n),
                   lib.call("nds_reduce_axes", REDUCTIONS.index(op), o, x,
                            0 if axis is None else 1,
                            None if axis is None else
                            c.byref(c.c_int(axis)), None)
                   if axis is not None else
                   lib.call("nds_reduce_axes", REDUCTIONS.index(op), o, x,
                            -1, None, None),
                   READ, x.nbytes, [n, o])
        yield from makers(lib, name, dt, a, out)


def makers(lib, name, dt, a, out):
    one = lib.nds.nds_int(1)
    for layout in LAYOUTS:
        o = shaped(out, layout)
        yield ("%s fill %s" % (name, layout), lambda o=o: o.fill(1),
               lib.call("nds_fill", o, one) if dt.kind not in "mM" else
               lib.call("nds_assign", o, np.ones((), dt)), WRITE, o.nbytes,
               [])
        x = shaped(a, layout)
        o = written(out, layout, x)
        yield ("%s copy %s" % (name, layout),
               lambda o=o, x=x: np.copyto(o, x),
               lib.call("nds_assign", o, x), COPY, 2 * o.nbytes, [])
    if dt.kind in "mM":
        return
    yield ("%s arange" % name,
           lambda o=out: np.copyto(o, np.arange(o.size), "unsafe"),
           lib.call("nds_arange", out), WRITE, out.nbytes, [])
    for t in ("f8", "i4", "f4"):
        to = np.dtype(t)
        if to == dt or dt.kind == "c":
            continue
        n = min(a.nbytes // dt.itemsize, out.nbytes // to.itemsize)
        o = out.view("u1")[:n * to.itemsize].view(to)
        yield ("%s to %s" % (name, to.name),
               lambda o=o, x=a[:n]: np.copyto(o, x, "unsafe"),
               lib.call("nds_assign", o, a[:n]), COPY,
               o.nbytes + n * dt.itemsize, [])
    if dt.char in "fd":
        g = np.random.Generator(np.random.Philox(7))
        yield ("%s random" % name,
               lambda o=out: g.random(out=o, dtype=o.dtype),
               lib.call("nds_random", out, c.c_uint64(7)), WRITE, out.nbytes,
               [])


def timed(call, again):
    start = time.perf_counter()
    for _ in range(again):
        call()
    return time.perf_counter() - start


def measure(lib, case, memory, o, cores):
    name, numpys, ours, kind, nbytes, results = case

    def with_threads(n):
        lib.nds.nds_set_threads(n)
        return timed(ours, again)

    def limit(past, n):
        return lib.limit(kind, past, memory[3], memory[0], nbytes, n, again)

    if nbytes < THREADED:
        cores = 1
    timed(numpys, 1)
    again = max(1, min(10000, int(TURN / timed(numpys, 1))))
    turns = [lambda: timed(numpys, again), lambda: with_threads(1),
             lambda: with_threads(0)]
    for past in ((0,) if kind == READ else (0, 1)):
        turns += [lambda past=past: limit(past, 1),
                  lambda past=past: limit(past, cores)]
    for t in turns[1:3]:
        t()
    took = [[None] * len(turns) for _ in range(o.runs)]
    for i in range(o.runs):
        for k in range(len(turns)):
            k = (i + k) % len(turns)
            took[i][k] = turns[k]() / again
    note = ""
    if len(results) == 2 and results[0].tobytes() != results[1].tobytes():
        x, y = (r.astype("D") for r in results)
        off = np.nanmax(np.abs(x - y) / np.maximum(np.abs(x), 1e-300))
        note = "off by %.1g" % off
    middle = min if o.least else statistics.median
    median = [middle(t[k] for t in took) for k in range(len(turns))]
    best = [min(range(at, len(turns), 2), key=lambda k: median[k])
            for at in (3, 4)]
    ratio = [median[i] / median[k] if o.least else
             statistics.median(t[i] / t[k] for t in took)
             for i, k in ((0, 1), (best[0], 1), (best[1], 2))]
    return {"case": name,
            "ms": [round(median[k] * 1e3, 6) for k in (0, 1, 2, *best)],
            "stores": "" if kind == READ else "wp"[best[1] > 4],
            "numpy": ratio[0], "limit": ratio[1:], "note": note}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--mb", type=float, default=64)
    p.add_argument("--runs", type=int, default=7)
    p.add_argument("--elements", type=int)
    p.add_argument("--types", default=",".join(TYPES + DATES))
    p.add_argument("--only", default="")
    p.add_argument("--least", action="store_true")
    p.add_argument("--missed", action="store_true")
    p.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    p.add_argument("--json", action="store_true")
    o = p.parse_args()
    np.seterr(all="ignore")
    os.environ["NDSHARE_NUMPY_REDUCE"] = np.__version__
    lib = Library(o.build)
    cores = min(16, len(os.sched_getaffinity(0)))
    if not o.json:
        print("NumPy %s, %d processors, %s an operand; ms\n%-30s %8s %8s "
              "%8s %8s %8s | %7s %7s %5s" % (
                  np.__version__, cores, "%d elements" % o.elements
                  if o.elements else "%g MB" % o.mb, "", "NumPy", "ours 1",
                  "ours all", "limit 1", "lim. all", "x NumPy", "limit 1",
                  "all"))
    for t in o.types.split(","):
        nbytes = (o.elements * np.dtype(t).itemsize if o.elements else
                  int(o.mb * 1e6) // 4096 * 4096)
        memory = [aligned(nbytes) for _ in range(4)]
        for case in cases(lib, memory, [t]):
            if re.search(o.only, case[0]):
                say(measure(lib, case, memory, o, cores), o)


def say(r, o):
    if o.missed and r["numpy"] >= 1 and (
            o.elements or r["limit"][1] >= .85):
        return
    if o.json:
        print(json.dumps(r), flush=True)
        return
    digits = 5 if o.elements else 2
    print("%-30s" % r["case"], *("%8.*f" % (digits, ms) for ms in r["ms"]),
          "| %7.2f %7.2f %5.2f %s" % (r["numpy"], *r["limit"], r["stores"]),
          r["note"], flush=True)


if __name__ == "__main__":
    main()
