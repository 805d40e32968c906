#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes moments_1.24.tsv or moments_2.4.tsv beside it, by the NumPy it runs
on: mean, var and std of every type, over all of an array or along its last
axis, where the order of additions is promised to the bit.

    python3 make_moments.py
"""
import pathlib
import random

import numpy as np

import model
from make_vectors import text


def main():
    name = "1.24" if np.__version__.startswith("1.") else "2.4"
    here = pathlib.Path(__file__).parent
    r = random.Random(12)
    lines = ["# NumPy " + np.__version__ + ": op type elements seed shape "
             "strides off axes result-type result-bytes"]
    for seed in range(1, 151):
        letter = r.choice("?bBhHiIqQeeefffdddFFDD")
        shape = r.choice([(7,), (1000,), (9000,), (20000,), (3, 130),
                          (5, 8200), (4, 3, 50), (2, 2, 3000)])
        axes = r.choice([tuple(range(len(shape))), (len(shape) - 1,)])
        op = r.choice(["mean", "var", "std"])
        count = int(np.prod(shape))
        a = np.frombuffer(model.data(letter, count, seed),
                          letter).reshape(shape)
        # None, not a tuple of every axis: the same sum, but a scalar.
        axis = None if len(axes) == len(shape) else axes
        with np.errstate(all="ignore"):
            want = np.ascontiguousarray(getattr(a, op)(axis=axis))
        lines.append("\t".join([op, letter, str(count), str(seed),
                                text(a.shape), text(a.strides), "0",
                                text(axes), want.dtype.char,
                                want.tobytes().hex()]))
    (here / f"moments_{name}.tsv").write_text("\n".join(lines) + "\n",
                                              encoding="ascii")


if __name__ == "__main__":
    main()
