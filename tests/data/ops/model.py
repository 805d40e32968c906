#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The order of additions in NumPy's reductions, in plain Python.

    model.py            checks itself against reduce_*.tsv beside it

docs/design/reductions.md explains the order in words; this is the same in a
form that runs. Standard library only. An array is (type letter, shape, byte
strides, offset, bytes); type letters are NumPy's: e f d F D and the integers.
"""
import math
import pathlib
import struct
import sys

ITEM = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8,
        "Q": 8, "e": 2, "f": 4, "d": 8, "F": 8, "D": 16}
BUFFER = 8192


def rounder(letter):
    """Rounds a Python float to the letter's precision."""
    if letter in "dD":
        return lambda x: x
    code = "<e" if letter == "e" else "<f"

    def fit(x):
        try:
            return struct.unpack(code, struct.pack(code, x))[0]
        except OverflowError:
            return math.copysign(math.inf, x)
    return fit


def load(letter, raw, off):
    if letter in "FD":
        return struct.unpack_from("<ff" if letter == "F" else "<dd", raw, off)
    return struct.unpack_from("<" + letter, raw, off)[0]


def axes_in_order(shape, strides, reduced, itemsize):
    """Dimensions, fastest first, as [extent, input stride, output stride]."""
    dims = [[n, s if n != 1 else 0, i in reduced]
            for i, (n, s) in enumerate(zip(shape, strides))][::-1]
    order = []
    for d in dims:
        at = len(order)
        for j in range(len(order) - 1, -1, -1):
            if d[1] and order[j][1]:
                if abs(order[j][1]) <= abs(d[1]):
                    break
                at = j
        order.insert(at, d)
    step = itemsize
    for d in order:
        if d[2] or d[0] == 1:
            d[2] = 0
        else:
            d[2], step = step, step * d[0]
    return order or [[1, 0, 0]]


def coalesce(dims):
    out = [list(dims[0])]
    for n, a, o in dims[1:]:
        m = out[-1]
        fits = ((m[0] == 1 and not m[1] and not m[2]) or
                (n == 1 and not a and not o) or
                (m[0] * m[1] == a and m[0] * m[2] == o))
        if not fits:
            out.append([n, a, o])
            continue
        if m[1] == 0 and m[0] == 1:
            m[1] = a
        if m[2] == 0 and m[0] == 1:
            m[2] = o
        m[0] *= n
    return out


def pieces_24(dims, cast):
    """NumPy 2.3 and later: (start, count of one inner loop) in turn."""
    cost, size = 1 + cast, dims[0][0]
    best = (0, cost, size, 1)
    single = [1, 1]
    flip = 0
    for i in range(1, len(dims)):
        if flip or (size >= BUFFER and cost > 1):
            break
        for op in (2, 1):
            was, now = dims[i - 1][op], dims[i][op]
            if single[op - 1] == i:
                if was * dims[i - 1][0] == now:
                    single[op - 1] += 1
                    continue
                if not (cast and op == 1):
                    cost += 1
            if op == 2 and (now == 0 or was == 0):
                flip = i
        core, size = size, size * dims[i][0]
        room = BUFFER if size > BUFFER and cost > 1 else size
        if cost * best[2] <= best[1] * room:
            best = (i, cost, size, core)
    dim, _, size, core = best
    reduce = flip and dim == flip
    must = False
    for op in (2, 1):
        buffered = cast and op == 1
        as_reduce = reduce and (op == 2 or (single[0] == dim and not buffered)
                                or (dims[flip][1] == 0 and single[0] <= dim))
        must |= buffered or single[op - 1] + bool(as_reduce) <= dim
    total = math.prod(d[0] for d in dims)
    block = core * dims[dim][0]
    if must and size > BUFFER:
        size = core * (BUFFER // core)
    start = 0
    while start < total:
        count = min(size, block - start % block)
        inner = core if reduce else count
        for k in range(0, count, inner):
            yield start + k, inner
        start += count


def reduce_size_1x(dims, start, count):
    """How far NumPy before 2.3 goes from `start`: (count, inner)."""
    if len(dims) == 1:
        return count, count
    at = []
    for d in dims:
        at.append(start % d[0])
        start //= d[0]
    still = [dims[0][1] == 0, dims[0][2] == 0]
    space, factor, coord = dims[0][0] - at[0], dims[0][0], at[0] != 0
    i = 1
    while i < len(dims) and space < count:
        now = [dims[i][1] == 0, dims[i][2] == 0]
        if (still[0] and not now[0]) or still[1] != now[1]:
            if coord:
                return min(space, count), min(space, count)
            break
        coord |= at[i] != 0
        space += (dims[i][0] - at[i] - 1) * factor
        factor *= dims[i][0]
        i += 1
    if coord or count < space or i == len(dims):
        count = min(count, space)
        return count, count
    inner = space
    count //= inner
    still = [dims[i][1] == 0, dims[i][2] == 0]
    space, factor = dims[i][0] - at[i], dims[i][0]
    coord = at[i] != 0
    i += 1
    while i < len(dims) and space < count:
        now = [dims[i][1] == 0, dims[i][2] == 0]
        if (still[0] and not now[0]) or still[1] != now[1] or coord:
            break
        coord |= at[i] != 0
        space += (dims[i][0] - at[i] - 1) * factor
        factor *= dims[i][0]
        i += 1
    return min(count, space) * inner, inner


def pieces_1x(dims, cast):
    total = math.prod(d[0] for d in dims)
    start = 0
    while start < total:
        count, inner = reduce_size_1x(dims, start, min(BUFFER, total - start))
        for k in range(0, count, inner):
            yield start + k, inner
        start += count


def pairwise(x, fit):
    n = len(x)
    if n < 8:
        r = -0.0
        for v in x:
            r = fit(r + v)
        return r
    if n <= 128:
        r = list(x[:8])
        i = 8
        while i < n - n % 8:
            r = [fit(p + q) for p, q in zip(r, x[i:i + 8])]
            i += 8
        s = fit(fit(fit(r[0] + r[1]) + fit(r[2] + r[3])) +
                fit(fit(r[4] + r[5]) + fit(r[6] + r[7])))
        for v in x[i:]:
            s = fit(s + v)
        return s
    half = n // 2
    half -= half % 8
    return fit(pairwise(x[:half], fit) + pairwise(x[half:], fit))


def pairwise_complex(x, fit):
    """x: (re, im) pairs; the tree counts floats, so leaves hold 64 pairs."""
    n = len(x)
    if n < 4:
        r = [-0.0, -0.0]
        for v in x:
            r = [fit(r[0] + v[0]), fit(r[1] + v[1])]
        return r
    if n <= 64:
        r = [list(v) for v in x[:4]]
        i = 4
        while i < n - n % 4:
            for k in range(4):
                r[k] = [fit(r[k][0] + x[i + k][0]), fit(r[k][1] + x[i + k][1])]
            i += 4
        s = [fit(fit(r[0][c] + r[1][c]) + fit(r[2][c] + r[3][c]))
             for c in (0, 1)]
        for v in x[i:]:
            s = [fit(s[0] + v[0]), fit(s[1] + v[1])]
        return s
    half = 2 * n // 2
    half = (half - half % 8) // 2
    a, b = pairwise_complex(x[:half], fit), pairwise_complex(x[half:], fit)
    return [fit(a[0] + b[0]), fit(a[1] + b[1])]


def sum_model(letter, shape, strides, off, raw, axes, numpy="2.4", to=None,
              product=False):
    """The sums (or products) in C order of the result's axes."""
    to = to or letter
    fit = rounder(to)
    wide = rounder("f" if to == "e" else to)
    comp = to in "FD"
    dims = axes_in_order(shape, strides, axes, 1)
    # where each element of the iteration lies, and which sum it belongs to
    flat = coalesce(dims)
    out_count = math.prod(n for i, n in enumerate(shape) if i not in axes)
    start = 1.0 if product else 0.0  # so a sum of negative zeros is 0.0
    acc = [[start, 0.0] if comp else start] * out_count

    def place(lin):
        a = o = 0
        for n, sa, so in flat:
            a += lin % n * sa
            o += lin % n * so
            lin //= n
        return a, o
    total = math.prod(shape)
    if total == 0:
        return acc
    plan = pieces_24 if numpy == "2.4" else pieces_1x
    apart = [s for n, s in zip(shape, strides) if n != 1] + [off]
    buffered = to != letter or any(
        s % (ITEM[letter] // (2 if comp else 1)) for s in apart)
    for start, count in plan(flat, buffered):
        x, where = [], []
        for lin in range(start, start + count):
            a, o = place(lin)
            v = load(letter, raw, off + a)
            if comp and not isinstance(v, tuple):
                v = (fit(float(v)), 0.0)
            x.append(tuple(map(fit, v)) if comp else wide(float(v)))
            where.append(o)
        if product:
            r = acc[where[0]]
            same = count > 1 and where[0] == where[-1] or count == 1
            for v, o in zip(x, where):
                r = r if same else acc[o]
                if comp:
                    r = [fit(fit(r[0] * v[0]) - fit(r[1] * v[1])),
                         fit(fit(r[0] * v[1]) + fit(r[1] * v[0]))]
                else:
                    r = wide(r * v) if same else fit(r * v)
                if not same:
                    acc[o] = r
            if same:
                acc[where[0]] = r if comp else fit(r)
        elif where[0] == where[-1]:
            o = where[0]
            if comp:
                s = pairwise_complex(x, fit)
                acc[o] = [fit(acc[o][0] + s[0]), fit(acc[o][1] + s[1])]
            else:
                acc[o] = fit(wide(acc[o] + pairwise(x, wide)))
        else:
            for v, o in zip(x, where):
                if comp:
                    acc[o] = [fit(acc[o][0] + v[0]), fit(acc[o][1] + v[1])]
                else:
                    acc[o] = fit(wide(acc[o] + v))
    return in_c_order(acc, shape, strides, axes)


def in_c_order(acc, shape, strides, axes):
    """acc is laid out in iteration order; give it back in C order."""
    tagged = axes_in_order(shape, strides, axes, 1)
    # repeat the ordering with axis numbers in place of output strides
    order = []
    for i in range(len(shape) - 1, -1, -1):
        s = strides[i] if shape[i] != 1 else 0
        at = len(order)
        for j in range(len(order) - 1, -1, -1):
            if s and order[j][1]:
                if abs(order[j][1]) <= abs(s):
                    break
                at = j
        order.insert(at, (i, s))
    step = {axis: d[2] for (axis, _), d in zip(order, tagged)}
    kept = [i for i in range(len(shape)) if i not in axes]
    out = []
    for lin in range(len(acc)):
        o, rest = 0, lin
        for i in reversed(kept):
            o += rest % shape[i] * step[i]
            rest //= shape[i]
        out.append(acc[o])
    return out


def pack(values, letter):
    fmt = {"F": "<ff", "D": "<dd"}.get(letter, "<" + letter)
    return b"".join(struct.pack(fmt, *v) if letter in "FD"
                    else struct.pack(fmt, v) for v in values)


def numbers(text):
    return tuple(int(x) for x in text.split(",")) if text != "-" else ()


def data(letter, count, seed):
    """Values of the vectors: a generator any language can repeat."""
    state = seed * 2654435761 % 2**32 or 1
    values = []
    fit = rounder(letter)
    for _ in range(count * (2 if letter in "FD" else 1)):
        for shift, left in ((13, 1), (17, 0), (5, 1)):
            state ^= (state << shift if left else state >> shift) % 2**32
        if letter in "?bBhHiIqQ":
            bits = 8 * ITEM[letter]
            v = state % 2 if letter == "?" else state % 2**min(bits, 32)
            if letter in "bhi" and v >= 2**(bits - 1):
                v -= 2**bits
            values.append(v)
        else:
            v = (state / 2**31 - 1) * (1 if letter == "e" else
                                      2.0 ** (state % 17 - 8))
            values.append(fit(v))
    if letter in "FD":
        values = list(zip(values[::2], values[1::2]))
    if letter == "?":
        return bytes(values)
    return pack(values, letter)


def main():
    here = pathlib.Path(__file__).parent
    bad = count = 0
    for numpy in ("1.24", "2.4"):
        for line in open(here / f"reduce_{numpy}.tsv", encoding="ascii"):
            if line.startswith("#"):
                continue
            op, letter, room, seed, shape, strides, off, axes, to, hexes = \
                line.rstrip("\n").split("\t")
            if op not in ("sum", "prod") or to in "qQ":
                continue
            got = pack(sum_model(letter, numbers(shape), numbers(strides),
                                 int(off), data(letter, int(room), int(seed)),
                                 numbers(axes), numpy, to, op == "prod"), to)
            count += 1
            if got.hex() != hexes:
                bad += 1
                print("differs:", numpy, line[:100])
    print(f"model: {count} vectors, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
