#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes random.tsv and arange.tsv beside it, by the NumPy it runs on.

    python3 make_random.py
"""
import pathlib

import numpy as np

SEEDS = [0, 1, 2, 42, 12345, 2**31, 2**32 - 1, 2**32, 2**32 + 7, 2**63 + 5,
         2**64 - 1]


def main():
    here = pathlib.Path(__file__).parent
    lines = ["# NumPy " + np.__version__ +
             ": Generator(Philox(seed)).random(): seed type count bytes"]
    for i, seed in enumerate(SEEDS):
        for letter in "fd":
            for count in ((1, 21) if i else (1, 2, 3, 4, 5, 8, 9, 150)):
                g = np.random.Generator(np.random.Philox(seed))
                lines.append("%d\t%s\t%d\t%s" % (
                    seed, letter, count,
                    g.random(count, np.dtype(letter)).tobytes().hex()))
    (here / "random.tsv").write_text("\n".join(lines) + "\n",
                                     encoding="ascii")
    lines = ["# NumPy " + np.__version__ + ": arange(count, dtype): "
             "type count bytes"]
    for letter in "bBhHiIqQefdFD":
        for count in (0, 1, 2, 100):
            lines.append("%s\t%d\t%s" % (letter, count, np.arange(
                count, dtype=letter).tobytes().hex()))
    # Beyond 2048 a half cannot hold every integer.
    lines.append("e\t2070\t%s" % np.arange(2070, dtype="e").tobytes().hex())
    lines.append("?\t2\t%s" % np.arange(2, dtype="?").tobytes().hex())
    (here / "arange.tsv").write_text("\n".join(lines) + "\n",
                                     encoding="ascii")


if __name__ == "__main__":
    main()
