# SPDX-License-Identifier: MIT
"""A pool with workers in Python and in C, which take from one queue.

    cc worker.c -o worker $(pkg-config --cflags --libs ndshare)
    python3 pool.py ./worker
"""
import multiprocessing
import os
import subprocess
import sys

import numpy as np

import ndshare


def worker(jobs, results):
    while True:
        try:
            job = jobs.take()
        except EOFError:
            return
        with job as x:  # in place; killed in here, the job goes to another
            results.put(np.array([x.flat[0], x.sum(), 0]))


def main():
    names = [f"{what}-{os.getpid()}" for what in ("jobs", "results")]
    jobs, results = (ndshare.Queue(name=n, lifetime="used") for n in names)
    in_python = [multiprocessing.Process(target=worker, args=(jobs, results))
                 for _ in range(2)]
    in_c = [subprocess.Popen([sys.argv[1], *names]) for _ in range(2)]
    for p in in_python:
        p.start()
    want = {}
    for i in range(40):
        job = np.random.default_rng(i).random((200, 250))
        job[0, 0] = i  # which job it is
        jobs.put(job)
        want[i] = job.sum()
    jobs.shutdown()
    done = [results.get(timeout=60) for _ in want]
    right = sum(abs(total - want[i]) < 1e-6 for i, total, _ in done)
    print(f"{len({r[0] for r in done})} jobs, {right} right")
    for p in in_python:
        p.join()
    return any(p.wait() for p in in_c)


if __name__ == "__main__":
    sys.exit(main())
