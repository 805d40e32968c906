#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 3: a queue of arrays for four children.

    PYTHONPATH=build/python examples/python/03_queue.py [LEAST]
"""
import multiprocessing as mp
import os
import random
import sys

import numpy as np

import ndshare


def task(queue):
    while (a := queue.get()) is not None:
        print(f"Task read an array {a.shape}, max={a.max()}", flush=True)
    queue.put(None)  # for the others
    print("Task done.", flush=True)


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    least = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    queue = ndshare.Queue()
    children = [ctx.Process(target=task, args=(queue,)) for _ in range(4)]
    for child in children:
        child.start()
    rng = np.random.default_rng()
    for _ in range(20):
        shape = [random.randint(least, 4 * least) for _ in range(2)]
        with queue.loan(shape) as a:  # straight into memory both have mapped
            rng.random(out=a)
    queue.put(None)
    for child in children:
        child.join()
    print("Done.")

# Prints 20 lines "Task read an array ...", 4 lines "Task done." and "Done."
