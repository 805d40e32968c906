#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Way 4: a child makes an array and sends it through a pipe.

    PYTHONPATH=build/python examples/python/04_pipe.py [N]
"""
import multiprocessing as mp
import os
import sys

import ndshare


def task(sender, n):
    a = ndshare.ones((n, n))
    print(a[:5, :5], flush=True)
    sender.send(a, move=True)  # the memory itself


if __name__ == "__main__":
    ctx = mp.get_context(os.environ.get("NDSHARE_START_METHOD", "fork"))
    receiver, sender = ndshare.Pipe(duplex=False)
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    child = ctx.Process(target=task, args=(sender, n))
    child.start()
    sender.close()  # the child has its own
    a = receiver.recv()
    print(a[:5, :5])
    child.join()

# Prints a corner of ones in the child and one in the parent.
