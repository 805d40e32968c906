#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 8: a file that both map.

    PYTHONPATH=build/python examples/python/08_mapped_file.py
"""
import multiprocessing as mp
import os

import numpy as np

COUNT = 1000


def task(path):
    a = np.memmap(path, "f4", "r+", shape=COUNT)
    print("Child:", a[:10])
    a += 1
    a.flush()
    print("Child:", a[:10], flush=True)


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    a = np.memmap("data.np", "f4", "w+", shape=COUNT)
    a.fill(1)
    a.flush()
    print(a[:10], flush=True)
    child = ctx.Process(target=task, args=("data.np",))
    child.start()
    child.join()
    print(a[:10])
    os.remove("data.np")

# Prints what way 6 prints without a length, and "Child: " for "Child ".
