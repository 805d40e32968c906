#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 9: a server hosts the array, children use a proxy.

    PYTHONPATH=build/python examples/python/09_manager.py [COUNT]
"""
import multiprocessing as mp
import os
import sys

import ndshare


class ArrayManager(ndshare.SyncManager):
    """Hosts what the callable below makes."""


ArrayManager.register("shared_array", ndshare.ones)


def task(array):
    print(f"Array sum (in child): {array.sum()}", flush=True)


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000_000
    with ArrayManager(ctx=ctx) as manager:
        array = manager.shared_array((n,))
        print(f"Array created on host: {array}")
        print(f"Array sum: {array.sum()}", flush=True)
        child = ctx.Process(target=task, args=(array,))
        child.start()
        child.join()

# Prints
# Array created on host: array([1., 1., 1., ..., 1., 1., 1.])
# Array sum: 100000000.0
# Array sum (in child): 100000000.0
