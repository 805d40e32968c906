# SPDX-License-Identifier: MIT
"""Random arrays printed by us and by the NumPy of this interpreter.

    python3 print_compare.py DRIVER [COUNT [SEED]]    (or NDSHARE_TEST_SEED)

Every dtype, 0 to 4 dimensions, any strides, summarised ones too; str, repr and
(for every third array) str(a.tolist()). One driver process answers all. Fails
on the first twenty differences; the seed is printed.
"""
import bisect
import os
import pathlib
import random
import re
import subprocess
import sys
import unicodedata
import warnings

try:
    import numpy as np
except ImportError:
    print("print_compare: skipped, this Python has no NumPy")
    sys.exit(77)

warnings.simplefilter("ignore")
NUMERIC = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4",
           "f8", "g", "c8", "c16"]
UNITS = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs",
         "as", "25s", "10ms", "3M"]


def print_class():
    major, minor = (int(x) for x in np.__version__.split(".")[:2])
    if major == 1:
        return 124 if 21 <= minor <= 24 else None
    return 200 if minor < 2 else 202 if minor == 2 else 203


class Driver:
    def __init__(self, path, numpy):
        self.numpy = numpy
        env = dict(os.environ)
        env["NDSHARE_NUMPY_PRINT"] = {124: "1.24", 200: "2.0", 202: "2.2",
                                      203: "2.3"}[numpy]
        self.proc = subprocess.Popen([path], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, env=env)

    def ask(self, what, a, base):
        def join(numbers):
            words = [str(n).replace("-", "m") for n in numbers]
            return ",".join(words) or "-"
        off = (a.__array_interface__["data"][0]
               - base.__array_interface__["data"][0])
        text = str(a.dtype) if a.dtype.names else a.dtype.str
        line = " ".join([str(self.numpy), what,
                         text.encode("utf-8").hex() or "-",
                         join(a.shape), join(a.strides), str(off),
                         base.tobytes().hex() or "-"])
        self.proc.stdin.write(line.encode() + b"\n")
        self.proc.stdin.flush()
        n = int(self.proc.stdout.readline())
        if n < 0:
            return "ERROR " + self.proc.stdout.readline().decode().strip()
        return self.proc.stdout.read(n).decode("utf-8", "replace")

    def close(self):
        self.proc.stdin.close()
        return self.proc.wait(30)


def random_floats(rng, n, dt):
    kind = rng.random()
    if kind < 0.15:
        raw = rng.bytes(n * np.dtype(dt).itemsize)
        a = np.frombuffer(raw, dt).copy()
        if np.dtype(dt).char == "g":     # keep to numbers the processor knows
            a = np.ldexp(rng.standard_normal(n).astype("g"),
                         rng.integers(-16000, 16000, n))
        return a
    if kind < 0.4:
        a = rng.standard_normal(n) * 10.0 ** rng.integers(-12, 12)
    elif kind < 0.6:
        a = np.round(rng.standard_normal(n) * 100, int(rng.integers(0, 9)))
    elif kind < 0.8:
        a = rng.integers(-2000, 2000, n) / 2.0 ** rng.integers(0, 12)
    else:
        a = 10.0 ** rng.uniform(-6, 10, n)
    a = a.astype(dt)
    for special in (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-4, 1000, 1e6):
        if n and rng.random() < 0.06:
            a[rng.integers(0, n)] = special
    return a


TABLE = (pathlib.Path(__file__).resolve().parents[2] / "src" / "nd" /
         "unicode_printable.c")
TABLE_UNICODE = "14.0.0"  # as its head says
CHANGES = [int(x, 16) for x in re.findall(
    r"0x[0-9a-f]+", TABLE.read_text().split("changes[] =")[1].split("}")[0])]


def is_disputed(c):
    """Shown by one version of Unicode and hidden by another: a Python with
    ours decides about every character, others about those we agree on."""
    if unicodedata.unidata_version == TABLE_UNICODE:
        return False
    ours = bisect.bisect_right(CHANGES, c) % 2 == 0
    return chr(int(c)).isprintable() != ours


def random_plain(rng, n, dt):
    dt = np.dtype(dt)
    kind = dt.kind
    if kind == "f":
        return random_floats(rng, n, dt)
    if kind == "c":
        part = "f4" if dt.itemsize == 8 else "f8"
        a = np.empty(n, dt)
        a.real = random_floats(rng, n, part)
        a.imag = random_floats(rng, n, part)
        return a
    if kind == "b":
        return rng.integers(0, 2, n).astype(dt)
    if kind == "U":
        chars = [rng.integers(32, 127), rng.integers(0, 0x250),
                 rng.integers(0, 0x3000), rng.integers(0, 0x110000), 39, 34,
                 92, 10]
        words = []
        for _ in range(n):
            some = rng.choice(chars, int(rng.integers(0, dt.itemsize // 4 + 1)))
            some = [65 if 0xD800 <= c < 0xE000 or is_disputed(c) else c
                    for c in some]
            words.append("".join(map(chr, some)))
        return np.array(words, dt) if n else np.zeros(0, dt)
    raw = rng.bytes(n * dt.itemsize)
    a = np.frombuffer(raw, dt).copy()
    if kind in "iu" and rng.random() < 0.6:
        a //= np.array(max(1, np.iinfo(dt).max // int(rng.integers(2, 100))),
                       dt)
    if kind in "Mm":
        bits = a.view("i8")
        bits >>= int(rng.integers(0, 56))
        if n and rng.random() < 0.2:
            bits[rng.integers(0, n)] = -2 ** 63
    return a


def random_dtype(rng, depth=0):
    pick = rng.random()
    order = "<>"[int(rng.random() < 0.15)]
    if pick < 0.72 or depth > 2:
        dt = np.dtype(NUMERIC[int(rng.integers(0, len(NUMERIC)))])
        return dt.newbyteorder(order)
    if pick < 0.77:
        return np.dtype("S%d" % rng.integers(1, 8))
    if pick < 0.82:
        return np.dtype(order + "U%d" % rng.integers(1, 6))
    if pick < 0.9:
        unit = UNITS[int(rng.integers(0, len(UNITS)))]
        return np.dtype("%s%s8[%s]" % (order, "Mm"[int(rng.integers(0, 2))],
                                       unit))
    if pick < 0.92:
        return np.dtype("V%d" % rng.integers(1, 6))
    fields = []
    for i in range(int(rng.integers(1, 4))):
        f = ("f%d" % i, random_dtype(rng, depth + 1))
        if rng.random() < 0.3:
            f += (tuple(int(x) for x in rng.integers(
                0, 4, int(rng.integers(1, 3)))),)
        fields.append(f)
    # NumPy aligns the parts of an aligned dict when it reads its text, so a
    # packed record inside an aligned one has no text to send.
    align = depth == 0 and all(f[1].fields is None for f in fields)
    return np.dtype(fields, align=align and bool(rng.random() < 0.2))


def fill(rng, n, dt):
    if dt.subdtype is not None:
        base, shape = dt.subdtype
        count = int(np.prod(shape))
        return fill(rng, n * count, base).reshape((n,) + shape)
    if dt.names is None:
        return random_plain(rng, n, dt)
    a = np.zeros(n, dt)
    for name in dt.names:
        a[name] = fill(rng, n, dt.fields[name][0])
    return a


def random_array(rng):
    """An array and the one-dimensional memory that it lies in."""
    dt = random_dtype(rng)
    ndim = int(rng.choice([0, 1, 1, 1, 2, 2, 3, 4]))
    if rng.random() < 0.04 and ndim:
        least = 1001 ** (1.0 / ndim)
        shape = [int(least * rng.uniform(0.6, 1.6)) + 1 for _ in range(ndim)]
    else:
        most = {0: 1, 1: 30, 2: 9, 3: 5, 4: 4}[ndim]
        shape = [int(x) for x in rng.integers(1, most + 1, ndim)]
        if ndim and rng.random() < 0.04:
            shape[int(rng.integers(0, ndim))] = 0
    base = fill(rng, int(np.prod(shape, dtype="i8")), dt)
    base = np.ascontiguousarray(base)
    a = base.reshape(shape) if rng.random() < 0.8 else base.reshape(
        shape, order="F")
    if ndim and rng.random() < 0.3:
        step = tuple(slice(None, None, int(rng.choice([1, -1, 2])))
                     for _ in range(ndim))
        a = a[step]
    if ndim > 1 and rng.random() < 0.2:
        a = a.T
    if a.size == 0:
        base = np.zeros(0, dt)
        a = np.zeros(a.shape, dt)
        base = a.reshape(-1)
    return a, base


def main():
    driver_path = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    seed = int(sys.argv[3] if len(sys.argv) > 3 else os.environ.get(
        "NDSHARE_TEST_SEED", random.getrandbits(32)))
    numpy = print_class()
    if numpy is None:
        print("print_compare: skipped, NumPy", np.__version__, "has no class")
        return 77
    rng = np.random.default_rng(seed)
    driver = Driver(driver_path, numpy)
    faults = texts = 0
    for i in range(count):
        a, base = random_array(rng)
        jobs = [("str", str), ("repr", repr)]
        # NumPy 1 wraps the days of long timedeltas at 32 bits; NumPy 2 and
        # we leave those as numbers.
        odd = (a.ndim == 0 and a.dtype.kind in "Mm"
               or numpy == 124 and re.search("m8|timedelta", str(a.dtype)))
        if i % 3 == 0 and not odd:
            jobs.append(("tolist", lambda x: str(x.tolist())))
        for what, ours in jobs:
            try:
                want = ours(a)
            except (OverflowError, SystemError):
                continue  # NumPy 2.5 fails at far dates, which others wrap
            got = driver.ask(what, a, base)
            texts += 1
            if want != got:
                faults += 1
                print("--- %d %s %s %s" % (i, what, a.dtype, a.shape))
                print("NumPy:", want[:700])
                print("here: ", got[:700])
        if faults >= 20:
            break
    rc = driver.close()
    print("print_compare: NumPy %s, seed %d: %d arrays, %d texts, %d differ"
          % (np.__version__, seed, i + 1, texts, faults))
    return 1 if faults or rc else 0


if __name__ == "__main__":
    sys.exit(main())
