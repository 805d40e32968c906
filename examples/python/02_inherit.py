#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 2: a global that a forked child inherits, copy-on-write.

    PYTHONPATH=build/python examples/python/02_inherit.py [N]
"""
import multiprocessing as mp
import sys

import numpy as np

data = None


def task():
    print(data[:5, :5])
    data.fill(0)
    print(data[:5, :5], flush=True)


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    data = np.ones((n, n))
    child = mp.get_context("fork").Process(target=task)
    child.start()
    child.join()
    print(data[:5, :5])

# Prints a corner of ones, a corner of zeros, and a corner of ones.
