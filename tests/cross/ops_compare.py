#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random arithmetic, fills and reductions, each done by ops_driver and by
the installed NumPy: dtype x layout x operation x axes.

    ops_compare.py DRIVER [COUNT [SEED]]    (or NDSHARE_TEST_SEED)
    echo 'LINE' | NDSHARE_NUMPY_REDUCE=... DRIVER        one case again

A case is a few views into one memory, so outputs can overlap inputs, and what
lies between the elements of a view is seen to stay as it was. Results are
compared bit for bit, but for which NaN it is and for what
docs/design/reductions.md and ops.md leave open.
"""
import os
import random
import subprocess
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")
R = random.Random()
VERSION = tuple(int(x) for x in np.__version__.split(".")[:2])
INTS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
FLOATS = ["f2", "f4", "f8", "g", "F", "D"]
NUMBERS = ["?"] + INTS + FLOATS
OPS = ["add", "subtract", "multiply", "divide"]
REDUCTIONS = ["sum", "prod", "min", "max", "mean", "std", "var", "argmin",
              "argmax", "any", "all"]


def promotion(state):
    """NumPy 1.24 can promote as NumPy 2 does, on request."""
    if VERSION < (2, 0):
        np._set_promotion_state(state)


def text(numbers):
    return ",".join(str(int(n)) for n in numbers) or "x"


def layout(shape, item, still):
    """Byte strides that touch no element twice, unless still."""
    order = list(range(len(shape)))[::-1]
    kind = R.random()
    if kind < .2:
        order.reverse()
    elif kind < .4:
        R.shuffle(order)
    spread = R.random() < .35
    strides, step = [0] * len(shape), item
    for i in order:
        pace = R.choice([1, 1, 2, 3]) if spread and i < 5 else 1
        strides[i] = step * pace * (-1 if spread and R.random() < .4 else 1)
        step *= max(1, shape[i]) * pace
        if still and R.random() < .3:
            strides[i] = 0
    return tuple(strides)


class Memory:
    """Bytes that views are laid out in, one behind the other."""

    def __init__(self, dims):
        self.end = 0
        most = 16 * 3 ** len(dims)  # bytes to the next element, see layout()
        self.bytes = np.zeros(
            4096 + 9 * min(most, 16 * 3 ** 5) * int(np.prod(
                [max(n, 1) for n in dims])), "u1")

    def place(self, dt, shape, still=False):
        dt = np.dtype(dt)
        strides = layout(shape, dt.itemsize, still)
        reach = [s * (n - 1) for n, s in zip(shape, strides)] \
            if 0 not in shape else []
        at = (self.end + 15) // 16 * 16 + (
            R.randint(1, 15) if R.random() < .2 else 0)
        off = at - sum(r for r in reach if r < 0)
        self.end = off + sum(r for r in reach if r > 0) + dt.itemsize
        return np.ndarray(shape, dt, self.bytes, off, strides)

    def seal(self):
        """No more views."""
        self.bytes = self.bytes[:self.end + 16]
        return self

    def hex(self):
        return self.bytes.tobytes().hex()

    def off(self, a):
        return (a.__array_interface__["data"][0] -
                self.bytes.__array_interface__["data"][0])

    def spell(self, a):
        return "\t".join([a.dtype.str, str(self.off(a) if a.size else 0),
                          text(a.shape), text(a.strides)])


def shape(most=4):
    kind = R.random()
    if kind < .03:
        return (R.choice([9000, 20000]),)
    if kind < .032:
        return (R.randint(65000, 70000),)  # 1.x divides by some in double
    if kind < .1:
        return tuple(R.choice([1, 10, 40, 90, 130]) for _ in "ab")
    if kind < .15:
        return (R.randint(1, 3000),)
    if kind < .2:
        return tuple(R.choice([1, 1, 2]) for _ in range(R.randint(6, 12)))
    return tuple(R.choice([0, 1, 1, 2, 3, 4, 5, 8, 17] if R.random() < .3
                          else [1, 2, 3, 4, 5, 8, 9, 17])
                 for _ in range(R.randint(0, most)))


def values(dt, n):
    kind, item = dt.kind, dt.itemsize
    g = np.random.Generator(np.random.PCG64(R.getrandbits(64)))
    if kind == "b":
        return g.random(n) < R.choice([0, .5, .5, 1])
    if kind in "iu":
        info = np.iinfo(dt)
        if R.random() < .5:
            return g.integers(info.min, info.max, n, dt.newbyteorder("="),
                              endpoint=True)
        return g.integers(max(-3, info.min), 4, n).astype(dt)
    style = R.random()
    real = n * (2 if kind == "c" else 1)
    if style < .4:
        x = g.uniform(-100, 100, real)
    elif style < .6:
        x = g.uniform(.9, 1.1, real)
    elif style < .8:
        x = g.integers(-3, 4, real).astype("f8")
    else:
        x = g.uniform(-1, 1, real) * 10.0 ** g.integers(-8, 5, real)
    if style > .9 or style < .05:
        for v in R.sample([np.inf, -np.inf, np.nan, -0.0, 0.0, 65504.0,
                           1e-45], 3):
            x[g.random(real) < R.choice([.01, .2])] = v
    if dt.char == "g":
        return x.astype("g") / 3
    x = x.astype("f%d" % (item // 2 if kind == "c" else item))
    return x.view("c%d" % item) if kind == "c" else x


def put_values(a):
    a[...] = values(a.dtype, a.size).reshape(a.shape)
    return a


def dtype(most=.02):
    dt = np.dtype(R.choice(NUMBERS if R.random() < .6 else FLOATS[:3] +
                           ["F", "D", "i4", "i8"]))
    return dt.newbyteorder(">") if R.random() < most else dt


def broadcastable(dims):
    """A shape that broadcasts to dims; now and then one that does not."""
    out = [1 if R.random() < .2 else n for n in dims]
    if R.random() < .3:
        out = out[R.randint(0, len(out)):]
    if R.random() < .04:
        out.insert(0, R.choice([2, 3]))
    return tuple(out)


def numpy_says(call):
    """None, or the code that the library gives for NumPy's refusal."""
    try:
        call()
    except TypeError:
        return "EECAST"
    except OverflowError:
        return "EEOVERFLOW"
    except ValueError:
        return "EESHAPE"
    return None


def refused(*arrays):
    return any(a.dtype.byteorder == ">" for a in arrays)


def needs_complex256(*chars):
    return "g" in chars and ("F" in chars or "D" in chars)


class Case:
    """line: for the driver. out: the view written. want: its elements, an
    error, or text; loose: how far a result may be off, None for not at all"""

    def __init__(self, line, memory, out, want, loose=None):
        self.line, self.memory, self.out = line, memory, out
        self.want, self.loose = want, loose


def finish(line, m, out, error, loose=None):
    if error:
        return Case(line, None, None, error)
    return Case(line, m, out, None, loose)


def fma_room(op, a, b, out):
    """Complex products: NumPy fuses multiply and add on some processors."""
    if out.dtype.kind != "c" or op not in ("multiply", "divide"):
        return None
    eps = np.finfo("f4" if "F" in a.dtype.char + out.dtype.char or
                   a.dtype.itemsize < 8 else "f8").eps
    size = np.abs(getattr(np, op)(np.abs(a), np.abs(b)))
    return np.broadcast_to(8 * eps * size, out.shape)


def do_binary():
    dims, op = shape(), R.choice(OPS)
    m = Memory(dims)
    a = m.place(dtype(), broadcastable(dims), True)
    b = m.place(a.dtype if R.random() < .4 else dtype(), broadcastable(dims),
                True)
    to = dtype()
    if R.random() < .7:
        promotion("weak")
        try:
            to = getattr(np, op)(np.ones(1, a.dtype), np.ones(1, b.dtype)
                                 ).dtype
        except TypeError:
            pass
    out = m.place(to if to.char != "G" else "D", dims)
    put_values(out), put_values(b), put_values(a)
    return binary(m.seal(), op, out, a, b)


def binary(m, op, out, a, b):
    line = "\t".join(["bin", str(OPS.index(op)), m.hex()] +
                     [m.spell(v) for v in (out, a, b)])
    promotion("weak")
    if refused(a, b, out) or needs_complex256(a.dtype.char, b.dtype.char):
        return finish(line, m, out, "EECAST")
    loose = None
    if a.dtype.kind == "c" or b.dtype.kind == "c":
        try:
            loose = fma_room(op, a.copy(), b.copy(), out)
        except ValueError:
            pass
    return finish(line, m, out, numpy_says(
        lambda: getattr(np, op)(a, b, out=out, casting="same_kind")), loose)


def cut(n, count):
    """A slice that gives count of n elements."""
    step = R.choice([1, 1, 1, 2, -1, -1, -2])
    while (count - 1) * abs(step) + 1 > n:
        step = 1 if step > 0 else -1
    first = R.randint(0, n - ((count - 1) * abs(step) + 1))
    if step > 0:
        return slice(first, first + (count - 1) * step + 1, step)
    last = first + (count - 1) * -step
    return slice(last, first - 1 if first else None, step)


def do_overlap():
    """out, a and perhaps b are parts of one array."""
    op = R.choice(OPS)
    dims = tuple(R.choice([2, 3, 5, 9, 40, 1500]) if i == 0 else
                 R.choice([2, 3, 7]) for i in range(R.randint(1, 3)))
    m = Memory(dims)
    base = put_values(m.place(R.choice(FLOATS + INTS + ["f8"]), dims))
    apart = put_values(m.place(base.dtype, dims, True))
    part = tuple(R.randint(1, n) for n in dims)
    v = [base[tuple(cut(n, c) for n, c in zip(dims, part))]
         for _ in range(3)]
    if R.random() < .3:
        v[1] = v[0]
    if R.random() < .2:
        v[1] = base[tuple(slice(i, i + 1) for i in
                          (R.randrange(n) for n in dims))]
    if R.random() < .4:
        v[2] = apart[tuple(slice(0, c) for c in part)]
    if len(set(part)) == 1 and len(part) > 1 and R.random() < .5:
        v[1] = v[0].T
    to = base.dtype
    if op == "divide" and to.kind in "iu":
        op = "add"
    m.seal()
    if R.random() < .2 and to.char in "if" and R.random() < .5:
        v[0] = np.ndarray(v[0].shape, "f4", m.bytes, m.off(v[0]),
                          v[0].strides)
    return binary(m, op, *v)


def scalar():
    kind = R.choice("iiufffcb")
    if kind == "i":
        v = R.choice([R.randint(-3, 200), R.randint(-2**63, 2**63 - 1)])
        return kind, str(v), v
    if kind == "u":
        v = R.choice([R.randint(0, 300), R.randint(0, 2**64 - 1)])
        return kind, str(v), v
    if kind == "b":
        v = R.randrange(2) == 1
        return kind, "1" if v else "0", v
    v = R.choice([R.uniform(-9, 9), 0.0, 0.1, float("nan"), float("-inf"),
                  1e300])
    if kind == "f":
        return kind, v.hex(), v
    w = R.uniform(-3, 3)
    return kind, v.hex() + "," + w.hex(), complex(v, w)


def do_scalar():
    dims, op = shape(), R.choice(OPS)
    m = Memory(dims)
    kind, spelling, value = scalar()
    a = m.place(dtype(), dims, True)
    to = dtype()
    promotion("weak")
    if R.random() < .8:
        try:
            to = getattr(np, op)(np.ones(1, a.dtype), type(value)(1)).dtype
        except TypeError:
            pass
    out = m.place(to if to.char != "G" else "D", dims)
    put_values(out), put_values(a)
    if out.dtype == a.dtype and R.random() < .4:
        out = a = out
    m.seal()
    line = "\t".join(["scalar", str(OPS.index(op)), m.hex(), m.spell(out),
                      m.spell(a), kind, spelling])
    if refused(out) and not refused(a) and kind in "iu":
        return None  # the value may be out of range as well
    if refused(a, out) or (a.dtype.char == "g" and kind == "c"):
        return finish(line, m, out, "EECAST")
    loose = fma_room(op, a.copy(), np.array(value), out) \
        if kind == "c" or a.dtype.kind == "c" else None
    promotion("weak")
    return finish(line, m, out, numpy_says(lambda: getattr(np, op)(
        a, value, out=out, casting="same_kind")), loose)


def do_fill():
    dims = shape()
    m = Memory(dims)
    kind, spelling, value = scalar()
    out = put_values(m.place(dtype(.3), dims))
    m.seal()
    line = "\t".join(["fill", kind, m.hex(), m.spell(out), spelling])
    if out.dtype.kind in "iu":
        info = np.iinfo(out.dtype)
        if kind in "fc" and not abs(value.real) < (
                -1 if out.dtype.kind == "u" and value.real < 0 else 100):
            return None  # C leaves it open, and so does NumPy
        if kind in "iu" and not info.min <= value <= info.max:
            return finish(line, m, out, "EEOVERFLOW")
    dt = {"i": "i8", "u": "u8", "f": "f8", "c": "D", "b": "?"}[kind]
    out[...] = np.array(value, dt)
    return finish(line, m, out, None)


def do_count():
    dims = shape()
    m = Memory(dims)
    out = put_values(m.place(dtype(.1), dims))
    m.seal()
    if R.random() < .5:
        line = "\t".join(["arange", "-", m.hex(), m.spell(out)])
        if not refused(out):
            out[...] = np.arange(out.size).astype(out.dtype).reshape(
                out.shape)
    else:
        seed = R.getrandbits(R.choice([8, 32, 64]))
        line = "\t".join(["random", str(seed), m.hex(), m.spell(out)])
        if out.dtype.char not in "fd":
            return finish(line, m, out, "EECAST")
        if not refused(out):
            out[...] = np.random.Generator(np.random.Philox(seed)).random(
                out.shape, out.dtype)
    return finish(line, m, out, "EECAST" if refused(out) else None)


def axes_of(a, op):
    """None for all, or a tuple of axes, some counted from the end."""
    if R.random() < .3:
        return None
    some = R.sample(range(a.ndim), R.randint(0, a.ndim))
    if op in ("argmin", "argmax"):
        some = some[:1]
        if not some:
            return None
    elif a.ndim and R.random() < .4:
        some = [a.ndim - 1]
    return tuple(i - a.ndim if R.random() < .3 else i for i in some)


def reduce_room(op, a, want):
    """What reductions.md leaves open."""
    if op in ("min", "max"):
        return 0.0  # the sign of a zero
    if op in ("argmin", "argmax", "any", "all") or want.dtype.kind in "iu":
        return None
    broadcast = any(n > 1 and not s for n, s in zip(a.shape, a.strides))
    if broadcast or a.dtype.char == "g" or (2, 0) <= VERSION < (2, 3):
        eps = np.finfo(want.dtype).eps
    elif op == "prod" and a.dtype.kind == "c":
        eps = np.finfo(want.dtype).eps
    else:
        return None
    if op == "prod":
        return 4 * eps * max(1, a.size) * np.abs(want)
    finite = a[np.isfinite(a)].astype("c16" if a.dtype.kind == "c" else "f8")
    top = np.max(np.abs(finite), initial=0)
    size = max(1, a.size)
    if op == "sum":
        if np.sum(np.abs(finite)) > np.finfo(want.dtype).max:
            return np.inf  # in another order it overflows on the way
        size *= size ** .5  # each of so many roundings is of the running sum
    return 4 * eps * size * (top * top if op == "var" else top)


def do_reduce():
    dims, op = shape(), R.choice(REDUCTIONS)
    m = Memory(dims)
    # A product's overflow depends on its order, which repeats leave open.
    a = put_values(m.place(dtype(), dims, op != "prod"))
    axes, keep = axes_of(a, op), R.random() < .3
    ddof = R.choice([0, 0, 1, 3]) if op in ("std", "var") else 0
    more = {"ddof": ddof} if ddof else {}
    promotion("legacy")
    plain = a.astype(a.dtype.newbyteorder("=")) if refused(a) else a
    error = None
    try:
        want = getattr(plain, op)(axis=axes[0] if axes and op[:3] == "arg"
                                  else axes, keepdims=keep, **more)
    except ValueError:
        error, want = "EEINVAL", np.zeros((), "i8")
    want = np.asanyarray(want)
    if error and axes is not None and not keep:
        want = np.zeros([n for i, n in enumerate(a.shape) if i not in [
            x % a.ndim for x in axes]], want.dtype)
        want = want.astype(a.dtype.newbyteorder("=") if op in ("min", "max")
                           else "i8")
    elif error:
        axes, keep = None, False
        want = want.astype(a.dtype.newbyteorder("=") if op in ("min", "max")
                           else "i8")
    if refused(a):
        error = "EECAST"
    loose = None if error else reduce_room(op, a, want)
    if loose is not None and ddof and ddof >= a.size // max(1, want.size):
        return None  # a mean's last bit decides between 0 / 0 and x / 0
    head = str(REDUCTIONS.index(op))
    if axes is None and not keep and R.random() < .5:
        m.seal()
        line = "\t".join(["whole", head, m.hex(), m.spell(a), str(ddof)])
        return Case(line, None, None, error or want, loose)
    out = put_values(m.place(want.dtype, want.shape))
    m.seal()
    line = "\t".join(["reduce", head, m.hex(), m.spell(out), m.spell(a),
                      "all" if axes is None else text(axes), str(ddof),
                      "1" if keep else "0"])
    out[...] = want
    return finish(line, m, out, error, loose)


def parts(a):
    """Contiguous, and complex numbers as two."""
    a = np.ascontiguousarray(a.astype(a.dtype.newbyteorder("="), copy=False))
    return a.view("f%d" % (a.itemsize // 2)) if a.dtype.kind == "c" else a


def same(got, want, loose):
    if got.tobytes() == want.tobytes():
        return True
    g, w = parts(got), parts(want)
    if g.dtype.kind != "f":
        return False
    good = (g == w) & (np.signbit(g) == np.signbit(w)) | \
        np.isnan(g) & np.isnan(w)
    if loose is not None:
        room = np.broadcast_to(loose, got.shape)
        if got.dtype.kind == "c":
            room = np.repeat(np.ascontiguousarray(room), 2).reshape(g.shape)
        else:
            room = room.reshape(g.shape)
        good |= (g == w) | (np.abs(g - w) <= room)
    return bool(good.all())


def check(case, got):
    if isinstance(case.want, str):
        return got == case.want
    if got.startswith("E"):
        return False
    if case.memory is None:
        name, _, digits = got.partition("\t")
        return name == case.want.dtype.str and same(np.frombuffer(
            bytes.fromhex(digits), name).reshape(()), case.want, case.loose)
    raw = np.frombuffer(bytes.fromhex(got), "u1")
    want, m, out = case.memory.bytes, case.memory, case.out
    if raw.size != want.size:
        return False
    place = (m.off(out) if out.size else 0, out.strides)
    if not same(np.ndarray(out.shape, out.dtype, raw, *place), out,
                case.loose):
        return False
    item = "V%d" % out.itemsize
    np.ndarray(out.shape, item, want, *place)[...] = np.ndarray(
        out.shape, item, raw, *place)
    return raw.tobytes() == want.tobytes()


def shown(case):
    if isinstance(case.want, str):
        return case.want
    return repr(case.want if case.memory is None else case.out.tolist())[:600]


def main():
    driver = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    seed = int(sys.argv[3] if len(sys.argv) > 3 else os.environ.get(
        "NDSHARE_TEST_SEED", random.randrange(10**9)))
    order = "1.24" if VERSION < (2, 3) else "2.4"
    makers = [do_binary] * 6 + [do_overlap] * 3 + [do_scalar] * 3 + [
        do_reduce] * 10 + [do_fill, do_count]
    done = bad = 0
    R.seed(seed)
    while done < count:
        cases = [c for c in (R.choice(makers)() for _ in range(
            min(1000, count - done))) if c is not None]
        run = subprocess.run(
            [driver], input="".join(c.line + "\n" for c in cases).encode(),
            stdout=subprocess.PIPE, timeout=200,
            env=dict(os.environ, NDSHARE_NUMPY_REDUCE=order))
        answers = run.stdout.decode().split("\n")[:-1]
        if run.returncode != 0 or len(answers) != len(cases):
            print("driver ended with %d after %d of %d answers; it had read\n"
                  "%s" % (run.returncode, len(answers), len(cases),
                          cases[min(len(answers), len(cases) - 1)].line))
            bad += 1
            break
        for case, got in zip(cases, answers):
            if not check(case, got):
                bad += 1
                if bad <= 10:
                    print("asked  %s\nwanted %s\ngot    %s\n" % (
                        case.line, shown(case), got[:4000]))
        done += len(cases)
    print("ops_compare: NumPy %s, order %s, seed %d, %d comparisons, "
          "%d differ" % (np.__version__, order, seed, done, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
