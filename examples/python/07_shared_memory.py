#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 7: a block of bytes with a name.

    PYTHONPATH=build/python examples/python/07_shared_memory.py
"""
import multiprocessing as mp
import os

import numpy as np

import ndshare

COUNT = 10000


def task(name):
    block = ndshare.SharedMemory(name)
    a = np.ndarray(COUNT, buffer=block.buf)
    print("Child", a[:10])
    a += 1
    print("Child", a[:10], flush=True)
    del a
    block.close()


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    block = ndshare.SharedMemory("MyMemory", create=True, size=8 * COUNT)
    a = np.ndarray(COUNT, buffer=block.buf)
    a.fill(1)
    print(a[:10], len(a), flush=True)
    child = ctx.Process(target=task, args=("MyMemory",))
    child.start()
    child.join()
    print(a[:10])
    del a
    block.close()
    block.unlink()

# Prints what way 6 prints, with 10000 for the length.
