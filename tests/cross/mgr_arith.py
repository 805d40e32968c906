# SPDX-License-Identifier: MIT
"""Hosted arrays and NumPy's do the same things at random and stay alike.

    python3 mgr_arith.py DRIVER [STEPS [SEED]]    (or NDSHARE_TEST_SEED)

The client is stock Python. Each array, of a random dtype and shape (no
dimensions and no elements among them), gets a series of slices read and
written, operators, operations in place and reductions with their arguments,
on special values too: NaN, infinities, zeros of both signs, the ends of
integers' ranges. After each step result, or kind of exception, and all
elements are compared bit for bit, but for which NaN it is and for what
docs/design/reductions.md leaves open.
"""
import os
import random
import sys
import warnings
from multiprocessing.managers import BaseManager, RemoteError

try:
    import numpy as np
except ImportError as fault:
    print("skipped: %s" % fault)
    sys.exit(77)

from mgr_peer import Server

DRIVER = sys.argv[1]
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
SEED = int(sys.argv[3] if len(sys.argv) > 3 else
           os.environ.get("NDSHARE_TEST_SEED", random.SystemRandom()
                          .randrange(1 << 32)))
R = random.Random(SEED)
INTS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
KINDS = ["?"] + INTS + ["f2", "f4", "f8", "F", "D"]
OPERATORS = ["__add__", "__radd__", "__sub__", "__rsub__", "__mul__",
             "__rmul__", "__truediv__", "__rtruediv__", "__neg__"]
IN_PLACE = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply,
            "divide": np.divide}
REDUCTIONS = ["sum", "prod", "min", "max", "mean", "std", "var", "argmin",
              "argmax", "any", "all"]


class Manager(BaseManager):
    pass


Manager.register("zeros")


def elements(dt, shape):
    """Small numbers, and now and then what is special in the dtype."""
    dt = np.dtype(dt)
    n = int(np.prod(shape))
    x = [R.randint(-9, 9) / 4 for _ in range(n)]
    if dt.kind in "iu":
        ends = [np.iinfo(dt).min, np.iinfo(dt).max, 0]
        return np.array([R.choice(ends) if R.random() < .1 else
                         abs(int(v)) if dt.kind == "u" else int(v)
                         for v in x], dt).reshape(shape)
    special = [np.nan, np.inf, -np.inf, -0.0, 0.0, 1e4]
    if R.random() < .4:
        x = [R.choice(special) if R.random() < .2 else v for v in x]
    a = np.array(x, "D" if dt.kind == "c" else "d")
    if dt.kind == "c":
        a.imag = [R.choice(x) for _ in x]
    return a.astype(dt).reshape(shape)


def index(shape):
    """Basic indexing, sometimes out of bounds."""
    at = []
    for n in shape[:R.randint(0, len(shape))]:
        kind = R.random()
        at.append(R.randint(-n - 1, n) if kind < .3 else
                  slice(R.choice([None, R.randint(-n - 2, n + 2)]),
                        R.choice([None, R.randint(-n - 2, n + 2)]),
                        R.choice([None, 1, 2, -1, -3])))
    if R.random() < .2:
        at.insert(R.randint(0, len(at)), R.choice([None, Ellipsis]))
    return at[0] if len(at) == 1 and R.random() < .5 else tuple(at)


def operand(a):
    """A number, or an array that may or may not fit."""
    kind = R.random()
    if kind < .4:
        return R.choice([0, 1, -1, 3, 200, 70000, 2.5, -0.0, float("nan"),
                         float("inf"), True, 1 + 2j])
    shape = list(a.shape[R.randint(0, a.ndim):])
    for i in range(len(shape)):
        shape[i] = 1 if R.random() < .2 else shape[i]
    if R.random() < .05:
        shape.append(7)
    return elements(R.choice(KINDS), tuple(shape))


def reduction(a, name):
    """Arguments for a.name()."""
    kwds = {}
    kind = R.random()
    if kind < .4 and a.ndim:
        kwds["axis"] = R.randint(-a.ndim, a.ndim - 1)
    elif kind < .5:
        kwds["axis"] = R.randint(-a.ndim - 1, a.ndim)
    elif kind < .7 and not name.startswith("arg"):
        kwds["axis"] = tuple(R.sample(range(a.ndim), R.randint(0, a.ndim)))
    if R.random() < .3:
        kwds["keepdims"] = R.random() < .8
    if name in ("sum", "prod") and R.random() < .2:
        kwds["dtype"] = np.dtype(R.choice(
            KINDS[1:] if a.dtype.kind in "biu" else ["f2", "f4", "f8"]
            if a.dtype.kind == "f" else ["F", "D"]))
    if name == "mean" and a.dtype.kind != "c" and R.random() < .2:
        kwds["dtype"] = np.dtype(R.choice(["f4", "f8"]))
    if name in ("std", "var") and R.random() < .4:
        kwds["ddof"] = R.randint(0, 3)
    return kwds


def step(a, p):
    """The same thing of both, as (words, NumPy's, ours)."""
    kind = R.random()
    if kind < .2:
        at = index(a.shape)
        return "[%r]" % (at,), lambda: a[at], lambda: p[at]
    if kind < .35:
        at = index(a.shape)
        try:
            v = operand(a[at] if isinstance(a[at], np.ndarray) else a)
            if not isinstance(a[at], np.ndarray) and np.size(v) == 1:
                v = np.reshape(v, ()) if np.ndim(v) else v  # NumPy 2.5 insists
        except IndexError:
            v = 1
        v = R.choice([v, 1]) if isinstance(v, np.ndarray) else v
        if isinstance(v, np.ndarray) and a.dtype.kind != "c":
            v = v.real  # into one element NumPy puts no complex array
            if a.dtype.kind in "iu" and v.dtype.kind == "f":
                # beyond the range it depends on NumPy's loop
                v = np.nan_to_num(v, posinf=1, neginf=1).clip(0, 9)
        return ("[%r] = %r" % (at, v), lambda: a.__setitem__(at, v),
                lambda: p.__setitem__(at, v))
    if kind < .6:
        name = R.choice(OPERATORS)
        args = () if name == "__neg__" else (operand(a),)
        return ("%s%r" % (name, args), lambda: getattr(a, name)(*args),
                lambda: getattr(p, name)(*args))
    if kind < .72:
        name = R.choice(list(IN_PLACE))
        v = operand(a)
        return ("%s(%r)" % (name, v),
                lambda: IN_PLACE[name](a, v, out=a) is None or None,
                lambda: getattr(p, name)(v))
    name = R.choice(REDUCTIONS)
    kwds = reduction(a, name)
    return ("%s(%r)" % (name, kwds), lambda: getattr(a, name)(**kwds),
            lambda: getattr(p, name)(**kwds))


def outcome(call):
    """A value, or what kind of exception."""
    try:
        return call(), None
    except RemoteError as e:
        return None, "remote: %s" % e
    except Exception as e:
        return None, (IndexError if isinstance(e, IndexError) else
                      TypeError if isinstance(e, TypeError) else
                      OverflowError if isinstance(e, OverflowError) else
                      ValueError if isinstance(e, ValueError) else type(e))


def bits(v):
    """Comparable; one NaN is as good as another."""
    v = np.array(v)
    parts = v.reshape(-1).view(v.real.dtype) if v.dtype.kind == "c" else v
    if parts.dtype.kind == "f":
        parts = np.where(np.isnan(parts), np.full_like(parts, np.nan), parts)
    return v.dtype, v.shape, parts.tobytes()


def plain(v):
    """Our server gives plain numbers where NumPy gives scalars or arrays
    without dimensions."""
    return v.item() if isinstance(v, (np.generic, np.ndarray)) and \
        np.ndim(v) == 0 else v


def close(x, y, rtol):
    """As numpy.allclose, but part for part: that takes any two complex numbers
    with a NaN for equal."""
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if x.dtype.kind not in "fc":
        return bool((x == y).all())
    pair = (-1, 2 if x.dtype.kind == "c" else 1)
    x, y = (np.ascontiguousarray(v).reshape(-1).view(v.real.dtype)
            .astype("f8").reshape(pair) for v in (x, y))
    size = np.where(np.isfinite(y), np.abs(y), 0).sum(-1, keepdims=True)
    return bool(np.all((x == y) | (np.isnan(x) & np.isnan(y)) |
                       (np.abs(x - y) <= rtol * (size + 1e-3))))


def check(words, a, p, got, want, loose):
    if " = " in words[-1] and ValueError in (got[1], want[1]):
        # NumPy tells apart what does not fit one element by its type
        want = want[0], {TypeError: ValueError}.get(want[1], want[1])
    assert got[1] == want[1], (words, got, want)
    if want[1] is None:
        x, y = plain(got[0]), plain(want[0])
        assert type(x) is type(y), (words, x, y)
        same = bits(x) == bits(y)
        # docs/design/reductions.md: products of complex numbers may be fused,
        # and the sign of a zero is not promised
        if words[-1][:3] in ("min", "max"):
            same = close(np.array(x), np.array(y), 0)
        assert same or (loose and close(np.array(x), np.array(y), 1e-3)), \
            (words, x, y)
    ours = np.asarray(p)
    if bits(ours) != bits(a):
        assert loose and close(ours, a, 1e-3), (words, ours, a)
        a[...] = ours


def main():
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    os.environ["NDSHARE_NUMPY_REDUCE"] = np.__version__
    if np.__version__.startswith("1."):
        if not hasattr(np, "_set_promotion_state"):
            print("skipped: NumPy %s cannot promote as NumPy 2 does" %
                  np.__version__)
            sys.exit(77)
        np._set_promotion_state("weak")
    print("seed %d" % SEED)
    with Server(DRIVER, "@t-xarith-%d" % os.getpid()) as s:
        m = Manager(s.address, b"secret")
        m.connect()
        for i in range(STEPS):
            if i % 20 == 0:
                dt = R.choice(KINDS)
                shape = tuple(R.choice([1, 2, 3, 5, 9, 0 if R.random() < .1
                                        else 4])
                              for _ in range(R.randint(0, 3)))
                a, p = elements(dt, shape), m.zeros(shape, np.dtype(dt))
                p[...] = a
            before = a.copy()
            words, numpys, ours = step(a, p)
            want, got = outcome(numpys), outcome(ours)
            check((SEED, i, dt, before, words), a, p, got, want,
                  words != "__neg__()" and
                  (a.dtype.kind == "c" or "D" in words or "j" in words or
                   "complex" in words))
    print("%d steps alike" % STEPS)


if __name__ == "__main__":
    main()
