#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 6: shared memory without a lock, as an array.

    PYTHONPATH=build/python examples/python/06_raw_array.py [COUNT]
"""
import multiprocessing as mp
import os
import sys

import numpy as np

import ndshare


def task(raw):
    a = np.frombuffer(raw)
    print("Child", a[:10])
    a += 1
    print("Child", a[:10], flush=True)


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    raw = ndshare.RawArray("d", n)
    a = np.frombuffer(raw)
    a.fill(1)
    print(a[:10], len(a), flush=True)
    child = ctx.Process(target=task, args=(raw,))
    child.start()
    child.join()
    print(a[:10])

# Prints
# [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.] 10000000
# Child [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.]
# Child [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.]
# [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.]
