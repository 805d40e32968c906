#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random views, casts, assignments, overlaps, dtypes and .npy heads, each
done by nd_driver and by NumPy.

    nd_random.py DRIVER [COUNT [SEED]]    (or NDSHARE_TEST_SEED)
"""
import io
import os
import random
import subprocess
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")
R = random.Random()
NUMBERS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4",
           "f8", "g", "F", "D"]
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns"]
VERSION = tuple(int(x) for x in np.__version__.split(".")[:2])


def text(numbers):
    return ",".join(str(int(n)) for n in numbers) or "x"


def shape(most=4, extents=(0, 1, 1, 2, 3, 4, 5)):
    return tuple(R.choice(extents) for _ in range(R.randint(0, most)))


def one_slice(n):
    if n and R.random() < .3:
        return str(R.randint(-n, n - 1))
    parts = [R.choice(["", str(R.randint(-n - 2, n + 2))]) for _ in "ab"]
    step = R.choice(["", "", "1", "2", "3", "-1", "-2"])
    return ":".join(parts) + (":" + step if step or R.random() < .2 else "")


def index(dims):
    out = [one_slice(n) for n in dims[:R.randint(0, len(dims))]]
    for extra in ("None", "..."):
        if R.random() < .2:
            out.insert(R.randint(0, len(out)), extra)
    if "..." not in out and not out:
        out = ["..."]
    return "[" + ", ".join(out) + "]"


def factors(n):
    out = []
    while n > 1:
        d = R.choice([d for d in range(2, n + 1) if n % d == 0])
        out.append(d)
        n //= d
    for _ in range(R.randint(0, 2)):
        out.insert(R.randint(0, len(out)), 1)
    return out


def do_views():
    dims = shape()
    while True:
        state = R.getstate()
        got = try_views(dims)
        if got:
            return got
        R.setstate(state)
        R.random()


def try_views(dims):
    a = np.arange(int(np.prod(dims)), dtype="i4").reshape(dims)
    ops, want = [], None
    for _ in range(R.randint(1, 4)):
        kind = R.choice("sstCCFb")
        if kind == "s":
            ops.append("s" + index(a.shape))
            try:
                a = np.asarray(eval("a" + ops[-1][1:]))
            except IndexError:  # the "..." moved a number to another axis
                want = "EEINDEX"
                break
        elif kind == "t" and a.ndim:
            axes = R.sample(range(a.ndim), a.ndim)
            ops.append("t" + text(axes))
            a = a.transpose(axes)
        elif kind == "b" and a.size < 2000 and a.ndim < 12:
            to = [R.randint(1, 3) for _ in range(R.randint(0, 1))] + [
                R.choice([2, 3]) if n == 1 and R.random() < .5 else n
                for n in a.shape]
            ops.append("b" + text(to))
            a = np.broadcast_to(a, to)
        elif kind in "CF" and a.size:
            to = factors(a.size)
            ops.append(kind + text(to))
            c = np.reshape(a, to, order=kind)
            if not np.may_share_memory(a, c):
                want = "EEAGAIN"
                break
            a = c
    if not ops:
        return None
    if want is None:
        want = "\t".join([
            ",".join(map(str, a.shape)),
            "%d%d" % (a.flags.c_contiguous, a.flags.f_contiguous),
            np.ascontiguousarray(a).tobytes().hex()])
    return "view\t%s\t%s" % (text(dims), "|".join(ops)), want


def swapped(dt):
    return dt.newbyteorder(R.choice("<>"))


def plain():
    kind = R.randrange(12)
    if kind < 8:
        return swapped(np.dtype(R.choice(NUMBERS)))
    if kind == 8:
        return np.dtype("S%d" % R.randint(1, 6))
    if kind == 9:
        return swapped(np.dtype("U%d" % R.randint(1, 4)))
    if kind == 10:
        return np.dtype("V%d" % R.randint(1, 9))
    return swapped(np.dtype("%s8[%s%s]" % (
        R.choice("Mm"), R.choice(["", "2", "25"]), R.choice(UNITS))))


NAMES = ["a", "b", "x y", "it's", 'q"', "h\xe9", "\u540d", "\\", "long_name",
         "A", "f1", "\t", "z"]


def record(depth=2):
    names = R.sample(NAMES, R.randint(1, 4))
    fields = []
    for name in names:
        dt = record(depth - 1) if depth and R.random() < .2 else plain()
        if R.random() < .2:
            fields.append((name, dt, shape(2, (1, 2, 3)) or (2,)))
        else:
            fields.append((name, dt))
    dt = np.dtype(fields, align=R.random() < .3)
    if R.random() < .3:
        gap, offsets, formats = 0, [], []
        for name in names:
            gap += R.randint(0, 5)
            offsets.append(gap)
            formats.append(dt.fields[name][0])
            gap += formats[-1].itemsize
        dt = np.dtype({"names": names, "formats": formats, "offsets": offsets,
                       "itemsize": gap + R.randint(0, 5)})
    return dt


def do_dtype():
    dt = record() if R.random() < .6 else plain()
    try:
        if R.random() < .6:
            spelling = repr(np.lib.format.dtype_to_descr(dt))
            back = np.lib.format.descr_to_dtype(eval(spelling))
        else:
            spelling = str(dt)
            back = np.dtype(eval(spelling) if spelling[0] in "[{" else dt)
    except ValueError:  # some descr NumPy itself cannot read
        return None
    descr = np.lib.format.dtype_to_descr(back)
    want = "\t".join([descr if isinstance(descr, str) else repr(descr),
                      str(back), str(back.itemsize), str(back.alignment),
                      "1"])
    return "dtype\t" + spelling.strip("'"), want


def values(dt, n):
    """Some that fit everywhere, in the native order of their dtype."""
    kind = dt.kind
    if dt.names is not None:
        a = np.zeros(n, dt)
        for name in dt.names:
            sub = dt.fields[name][0]
            base = sub.base
            a[name] = values(base, a[name].size).reshape(a[name].shape)
        return a
    if kind == "V":
        return np.frombuffer(R.randbytes(n * dt.itemsize) if hasattr(
            R, "randbytes") else bytes(R.randrange(256) for _ in range(
                n * dt.itemsize)), dt)
    if kind in "SU":
        most = dt.itemsize // (4 if kind == "U" else 1)
        return np.array(["".join(R.choice("abcXYZ019") for _ in range(
            R.randint(0, most))) for _ in range(n)], dt)
    if kind in "Mm":
        v = [R.choice([R.randint(-400, 400), R.randint(-10**5, 10**5)])
             for _ in range(n)]
        v = np.array(v, "i8")
        if n and R.random() < .1:
            v[0] = np.iinfo("i8").min
        return v.view("%s8" % kind).view(dt.newbyteorder("=")).astype(dt)
    if kind == "b":
        return np.array([R.randrange(2) for _ in range(n)], dt)
    if kind in "iu":
        info = np.iinfo(dt)
        v = [R.choice([R.randint(info.min, info.max),
                       R.randint(max(-100, info.min), 100)])
             for _ in range(n)]
        return np.array(v, dt)
    v = [R.choice([R.uniform(-100, 100), R.uniform(0, 1), 0.0, -0.0, 3.0,
                   R.uniform(-1, 1) * 10.0 ** R.randint(-12, 4)])
         for _ in range(n)]
    if kind == "c":
        v = [complex(x, R.uniform(-9, 9)) for x in v]
    return np.array(v, dt)


def do_assign():
    if R.random() < .25:
        to = record()
        source = to.newbyteorder(R.choice("<>")) if R.random() < .7 else to
    else:
        to, source = plain(), plain()
    dims = shape(3, (1, 2, 3))
    from_dims = tuple(R.choice([1, n, n]) for n in dims)[
        R.randint(0, len(dims)):] if R.random() < .6 else dims
    if R.random() < .05:
        from_dims = shape(3, (1, 2, 3))
    src = values(source, int(np.prod(from_dims))).reshape(from_dims)
    real = src.real if src.dtype.kind == "c" else src
    if src.dtype.kind in "fc" and to.kind in "iu" and (
            (np.abs(real) > 120).any() or (to.kind == "u" and
                                           (real < 0).any())):
        src = np.abs(src) % 120
        src = np.array(src, source)  # a scalar would lose its order
    dst = np.zeros(dims, to)
    command = "assign\t%s\t%s\t%s\t%s\t%s" % (
        descr(to), text(dims), descr(source), text(from_dims),
        src.tobytes().hex())
    kinds = {source.kind, to.kind}
    if kinds & set("SUV") and not (kinds <= set("SU") or
                                   (kinds == {"V"})):
        return command, "EECAST"
    if kinds == {"M", "m"}:
        return command, "EECAST"
    if source.kind == to.kind and to.kind in "Mm" and str(source)[-2] in "YM" and \
            str(to)[-3:-1] in ("ms", "us", "ns"):
        return None  # beyond 64 bits, where NumPy's product wraps
    if "M" in kinds and kinds & set("bfc"):
        return None
    if to.kind in "Mm" and source.kind in "fcb":
        return None
    if source.kind in "Mm" and to.kind not in "Mmi":
        return None
    if (source.base.char in "g" or to.char in "g") and to.kind in "Mm":
        return None
    try:
        dst[...] = src
    except ValueError:
        return command, "EESHAPE"
    except TypeError:
        return command, "EECAST"
    return command, dst


def descr(dt):
    d = np.lib.format.dtype_to_descr(dt)
    return d if isinstance(d, str) else repr(d)


def do_self():
    dims = shape(3, (2, 3, 4, 6))
    a = np.arange(int(np.prod(dims)), dtype="i4").reshape(dims)
    s, d = index(dims), index(dims)
    if R.random() < .7 and len(dims) == 1:
        n = R.randint(1, dims[0])
        i, k = R.randint(0, dims[0] - n), R.randint(0, dims[0] - n)
        s, d = "[%d:%d]" % (i, i + n), "[%d:%d]" % (k, k + n)
        if R.random() < .4:
            s = "[%d:%s:-1]" % (i + n - 1, "" if i == 0 else i - 1)
    command = "self\t%s\t%s\t%s" % (text(dims), d, s)
    try:
        if not isinstance(eval("a" + d), np.ndarray):
            return None  # one element: Python's setitem has its own rules
        # A copy: NumPy itself takes overlapping one-dimensional views of
        # different strides (a[2] = a[:, 5]) for safe to assign in place.
        src = eval("a" + s).copy()
        exec("a%s = src" % d)
    except IndexError:
        return None
    except ValueError:
        return command, "EESHAPE"
    return command, a.tobytes().hex()


def do_overlap():
    memory = np.zeros(1 << 16, "u1")
    fields, arrays = ["overlap"], []
    for _ in range(2):
        item = R.choice(["V1", "V2", "V4", "V3", "V8"])
        dims = tuple(R.randint(1, 5) for _ in range(R.randint(0, 3)))
        strides = [R.choice([-24, -16, -7, -4, 2, 3, 4, 6, 8, 12, 16, 24])
                   for _ in dims]
        off = 2000 + R.randint(0, 80)
        arrays.append(np.ndarray(dims, item, memory, off, strides))
        fields += [item, str(off), text(dims), text(strides)]
    return "\t".join(fields), "%d" % np.shares_memory(*arrays)


def do_npy():
    dt = record() if R.random() < .5 else plain()
    a = np.zeros(shape(4), dt)
    if R.random() < .4:
        a = np.asfortranarray(a)
    f = io.BytesIO()
    np.lib.format.write_array(f, a, allow_pickle=False)
    raw = f.getvalue()
    head = raw[:len(raw) - a.nbytes]
    order = "F" if a.flags.f_contiguous and not a.flags.c_contiguous else "C"
    want = [descr(dt), order, str(len(head)), str(a.nbytes)]
    return "npy\t" + head.hex(), want, head


def check(command, want, got, head):
    if isinstance(want, np.ndarray):
        if got.startswith("E"):
            return False
        mine = np.frombuffer(bytes.fromhex(got), want.dtype).reshape(
            want.shape) if want.dtype.itemsize else want
        return same(mine, want)
    if isinstance(want, list):
        parts = got.split("\t")
        # Growth room is written from 1.24 on.
        return parts[:4] == want and (VERSION < (1, 24) or
                                      parts[4] == head.hex())
    return got == want


def same(a, b):
    if a.dtype.names is not None:
        return all(same(a[n], b[n]) for n in a.dtype.names)
    if a.dtype.char in "g":
        return bool(np.array_equal(a, b, equal_nan=True))
    return a.tobytes() == b.tobytes()


def main():
    driver = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 12000
    seed = int(sys.argv[3] if len(sys.argv) > 3 else os.environ.get(
        "NDSHARE_TEST_SEED", random.randrange(10**9)))
    R.seed(seed)
    jobs = []
    makers = [do_views, do_dtype, do_assign, do_assign, do_self, do_overlap,
              do_npy]
    while len(jobs) < count:
        try:
            job = R.choice(makers)()
        except ValueError as e:  # a descr that NumPy cannot say
            if "descr" not in str(e):
                raise
            continue
        if job is not None:
            jobs.append(job if len(job) == 3 else job + (None,))
    lines = "\n".join(j[0] for j in jobs) + "\n"
    run = subprocess.run([driver], input=lines.encode(),
                         stdout=subprocess.PIPE, timeout=200)
    answers = run.stdout.decode().split("\n")[:-1]
    bad = 0
    if run.returncode != 0 or len(answers) != len(jobs):
        print("driver ended with %d after %d of %d answers" % (
            run.returncode, len(answers), len(jobs)))
        bad = 1
    for (command, want, head), got in zip(jobs, answers):
        if not check(command, want, got, head):
            bad += 1
            if bad <= 10:
                print("asked  %s\nwanted %s\ngot    %s\n" % (
                    command, want.tobytes().hex() if isinstance(
                        want, np.ndarray) else want, got))
    print("nd_random: NumPy %s, seed %d, %d comparisons, %d differ" % (
        np.__version__, seed, len(answers), bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
