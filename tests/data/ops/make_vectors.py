#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes reduce_1.24.tsv or reduce_2.4.tsv beside it, by the NumPy it runs on.

    python3 make_vectors.py
"""
import pathlib
import random

import numpy as np

import model


def text(numbers):
    return ",".join(map(str, numbers)) or "-"


def main():
    name = "1.24" if np.__version__.startswith("1.") else "2.4"
    here = pathlib.Path(__file__).parent
    r = random.Random(24)
    lines = ["# NumPy " + np.__version__ + ": op type elements seed shape "
             "strides off axes result-type result-bytes"]
    for seed in range(1, 301):
        letter = r.choice("efdFD")
        nd = r.randint(1, 4)
        size = r.choice([6, 100, 1000, 9000, 20000])
        shape = [max(1, int(size**(1 / nd) * r.uniform(0.5, 1.6)))
                 for _ in range(nd)]
        wide = [n + r.choice([0, 0, 1, n]) for n in shape]
        cut = tuple(slice(0, 2 * n, 2) if w == 2 * n else slice(0, n)
                    for n, w in zip(shape, wide))
        count = int(np.prod(wide))
        back = tuple(slice(None, None, r.choice([1, 1, 1, -1]))
                     for _ in shape)
        order = r.sample(range(nd), nd) if r.random() < 0.3 else range(nd)
        axes = tuple(sorted(r.sample(range(nd), r.randint(1, nd))))
        op = r.choice(["sum", "sum", "sum", "prod"])
        to = {"e": "f", "f": "d"}.get(letter, letter) \
            if op == "sum" and r.random() < 0.2 else letter
        if op == "prod" and letter in "FD":
            axes = tuple(range(nd))  # else NumPy fuses on some processors
        raw = np.frombuffer(model.data(letter, count, seed), letter)
        a = raw.reshape(wide)[cut][back].transpose(order)
        with np.errstate(all="ignore"):
            want = np.ascontiguousarray(getattr(a, op)(axis=axes, dtype=to))
        if want.nbytes > 600 or op == "prod" and not np.isfinite(want).all():
            continue
        off = (a.__array_interface__["data"][0] -
               raw.__array_interface__["data"][0])
        lines.append("\t".join([op, letter, str(count), str(seed),
                                text(a.shape), text(a.strides), str(off),
                                text(axes), to, want.tobytes().hex()]))
    (here / f"reduce_{name}.tsv").write_text("\n".join(lines) + "\n",
                                             encoding="ascii")


if __name__ == "__main__":
    main()
