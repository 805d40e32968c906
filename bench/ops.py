#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Arithmetic and reductions beside NumPy's and beside the memory's limits.

    bench/ops.py [--mb 64] [--runs 7] [--types f8,i4] [--only REGEX]
                 [--build DIR] [--json]
    (first: cmake --build build --target ndshare bench_limit)

Each case is one operation on one dtype and layout, over the same memory: by
NumPy, by ours with one thread, by ours with all, and by the limit that fits it
(reading, copying, writing: tests/bench_limit.c) with one thread and all. They
take turns, RUNS times; columns are medians in milliseconds, `x NumPy` the
median of NumPy's time / ours with one thread within a turn, `limit` that of
the limit's time for the bytes moved / ours, one thread and all. --mb is the
size of one operand. Layouts: `flat` contiguous; `::2` every other element;
`rows` a 2-D view that leaves out a few columns (a run for each row); `axis 0`
and `axis 1` of rows of 1000. Needs NumPy; results are compared as well.
"""
import argparse
import ctypes as c
import itertools
import json
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
COLUMNS = 1000
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
        self.limits = c.CDLL(str(build / "tests/libbench_limit.so"))
        self.limits.bench_limit.restype = c.c_double

    def view(self, a):
        v = View(self.nds.nds_dtype_builtin(TYPES.index(a.dtype.char if
                 a.dtype.char in "?gFD" else a.dtype.str[1:]) + 1),
                 a.ctypes.data, a.ndim, 0)
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

    def limit(self, kind, to, source, nbytes, threads):
        """Seconds for nbytes moved, by the faster kind of store."""
        half = nbytes // (2 if kind == COPY else 1)
        some = min(half, to.nbytes) // 64 * 64
        return min(self.limits.bench_limit(
            kind, past, c.c_void_p(to.ctypes.data),
            c.c_void_p(source.ctypes.data), c.c_size_t(some), threads)
            for past in ((0,) if kind == READ else (0, 1))) * half / some


def aligned(nbytes):
    raw = np.zeros(nbytes + 4096, "u1")
    at = -raw.ctypes.data % 4096
    return raw[at:at + nbytes]


def values(dt, memory):
    """Small numbers that no operation turns into something slow."""
    a = memory[:memory.size // dt.itemsize * dt.itemsize].view(dt)
    g = np.random.Generator(np.random.PCG64(1))
    real = a.view("f%d" % (dt.itemsize // 2)) if dt.kind == "c" else a
    for i in range(0, real.size, 1 << 20):
        part = real[i:i + (1 << 20)]
        x = g.random(part.size, "f4")
        part[...] = x < .5 if dt.kind == "b" else x * 3 + 1 if \
            dt.kind in "iu" else x + .5
    return a


def shaped(a, layout):
    rows = a.size // COLUMNS
    grid = a[:rows * COLUMNS].reshape(rows, COLUMNS)
    return {"flat": a, "::2": a[::2], "rows": grid[:, :COLUMNS - 8],
            "axis 0": grid, "axis 1": grid}[layout]


def cases(lib, memory, types):
    """(name, NumPy's call, ours, limit, bytes moved, results)"""
    for t in types:
        dt = np.dtype(t)
        a, b, out = (values(dt, m) for m in memory[:3])
        name = dt.name
        for op, layout in itertools.product(OPS, ("flat", "::2", "rows")):
            if (op == "divide" and dt.kind in "biu" or
                    op == "subtract" and dt.kind == "b"):
                continue
            x, y = shaped(a, layout), shaped(b, layout)
            o = (out[:x.size].reshape(x.shape) if layout == "::2" else
                 shaped(out, layout))
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
                REDUCTIONS, ("flat", "::2", "rows", "axis 0", "axis 1")):
            x = shaped(a, layout)
            if op in ("any", "all"):
                x = x if op == "all" and dt.kind != "b" else shaped(
                    values(dt, memory[2]), layout)
                x[...] = op == "all"
            axis = int(layout[-1]) if layout[:4] == "axis" else None
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
    for layout in ("flat", "::2", "rows"):
        o = shaped(out, layout)
        yield ("%s fill %s" % (name, layout), lambda o=o: o.fill(1),
               lib.call("nds_fill", o, one), WRITE, o.nbytes, [])
        yield ("%s copy %s" % (name, layout),
               lambda o=o, x=shaped(a, layout): np.copyto(o, x),
               lib.call("nds_assign", o, shaped(a, layout)), COPY,
               2 * o.nbytes, [])
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


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(lib, case, memory, runs, cores):
    name, numpys, ours, kind, nbytes, results = case

    def with_threads(n):
        lib.nds.nds_set_threads(n)
        return timed(ours)

    turns = [lambda: timed(numpys), lambda: with_threads(1),
             lambda: with_threads(0),
             lambda: lib.limit(kind, memory[3], memory[0], nbytes, 1),
             lambda: lib.limit(kind, memory[3], memory[0], nbytes, cores)]
    for t in turns[:3]:
        t()
    took = [[None] * len(turns) for _ in range(runs)]
    for i in range(runs):
        for k in range(len(turns)):
            k = (i + k) % len(turns)
            took[i][k] = turns[k]()
    note = ""
    if len(results) == 2 and results[0].tobytes() != results[1].tobytes():
        x, y = (r.astype("D") for r in results)
        off = np.nanmax(np.abs(x - y) / np.maximum(np.abs(x), 1e-300))
        note = "off by %.1g" % off
    median = [statistics.median(t[k] for t in took) for k in range(5)]
    ratio = [statistics.median(t[i] / t[k] for t in took)
             for i, k in ((0, 1), (3, 1), (4, 2))]
    return {"case": name, "ms": [round(m * 1e3, 3) for m in median],
            "numpy": ratio[0], "limit": ratio[1:], "note": note}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--mb", type=float, default=64)
    p.add_argument("--runs", type=int, default=7)
    p.add_argument("--types", default=",".join(TYPES))
    p.add_argument("--only", default="")
    p.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    p.add_argument("--json", action="store_true")
    o = p.parse_args()
    np.seterr(all="ignore")
    os.environ["NDSHARE_NUMPY_REDUCE"] = np.__version__
    lib = Library(o.build)
    memory = [aligned(int(o.mb * 1e6) // 4096 * 4096) for _ in range(4)]
    cores = min(16, len(os.sched_getaffinity(0)))
    if not o.json:
        print("NumPy %s, %d processors, %g MB an operand; ms\n%-30s %8s %8s "
              "%8s %8s %8s | %7s %7s %5s" % (
                  np.__version__, cores, o.mb, "", "NumPy", "ours 1",
                  "ours all", "limit 1", "lim. all", "x NumPy", "limit 1",
                  "all"))
    for case in cases(lib, memory, o.types.split(",")):
        if not re.search(o.only, case[0]):
            continue
        r = measure(lib, case, memory, o.runs, cores)
        if o.json:
            print(json.dumps(r), flush=True)
        else:
            print("%-30s %8.2f %8.2f %8.2f %8.2f %8.2f | %7.2f %7.2f %5.2f %s"
                  % (r["case"], *r["ms"], r["numpy"], *r["limit"],
                     r["note"]), flush=True)


if __name__ == "__main__":
    main()
