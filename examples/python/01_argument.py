#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 1: an array as an argument. The child's writes stay its own.

    PYTHONPATH=build/python examples/python/01_argument.py [N]
"""
import multiprocessing as mp
import os
import sys

import numpy as np


def task(a):
    print(a[:5, :5])
    a.fill(0)
    print(a[:5, :5], flush=True)


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    a = np.ones((n, n))
    child = ctx.Process(target=task, args=(a,))
    child.start()
    child.join()
    print(a[:5, :5])

# Prints a corner of ones, a corner of zeros, and a corner of ones.
