#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 5: a typed array as of ctypes, here with the lock off.

    PYTHONPATH=build/python examples/python/05_locked_array.py
"""
import multiprocessing as mp
import os

import numpy as np

import ndshare


def task(array):
    print(array[:10], len(array))
    np.frombuffer(array)[:] = 0
    print(array[:10], len(array), flush=True)


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    data = np.ones(10000)
    print(data[:10], data.shape)
    array = ndshare.Array("d", data, lock=False)
    print(array[:10], len(array), flush=True)
    child = ctx.Process(target=task, args=(array,))
    child.start()
    child.join()
    print(array[:10], len(array))

# Prints
# [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.] (10000,)
# and four lists of ten: two of 1.0, two of 0.0, each with 10000 behind it.
