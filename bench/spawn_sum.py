#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An array by value to a spawned child, until the child has summed it.

    bench/spawn_sum.py [--runs 7] [--bytes 800000000] [--build DIR]

Ours and stock Python's multiprocessing (start method spawn, a NumPy array among
the arguments), interleaved, each in a fresh parent: from the call that starts
the child, the array being ready in the parent, until the child has the sum, by
the monotonic clock that both read. The child of Python imports NumPy as it
must; ours starts the same program again. Each timed run follows an untimed one
of the same side: a host may take free memory back from a virtual machine, and
whoever comes next would pay for its return. Medians, and the median of the
pairwise ratios. Exit 1 if that is below --least.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STOCK = """
import multiprocessing, sys, time
import numpy

def work(array, pipe):
    total = array.sum()
    pipe.send((time.monotonic(), float(total)))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    array = numpy.ones(int(sys.argv[1]) // 8)
    ours, theirs = context.Pipe()
    begun = time.monotonic()
    child = context.Process(target=work, args=(array, theirs))
    child.start()
    ended, total = ours.recv()
    child.join()
    assert total == array.size
    print((ended - begun) * 1e3)
"""


def ms(command):
    for _ in range(2):  # the second one counts
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{command}: exit {done.returncode}\n{done.stderr}")
    return float(done.stdout)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--runs", type=int, default=7)
    ap.add_argument("--bytes", type=int, default=800000000)
    ap.add_argument("--least", type=float, default=0)
    ap.add_argument("--python", default="/usr/bin/python3")
    ap.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    args = ap.parse_args()
    script = args.build / "spawn_sum_stock.py"
    script.write_text(STOCK)  # spawn imports the parent's main file
    ours = [args.build / "tests" / "bench_proc", "sum", str(args.bytes)]
    theirs = [args.python, script, str(args.bytes)]
    a, b = [], []
    try:
        for _ in range(args.runs):
            a.append(ms(ours))
            b.append(ms(theirs))
            print(f"ours {a[-1]:9.1f} ms   stock Python {b[-1]:9.1f} ms   "
                  f"{b[-1] / a[-1]:6.1f} times", flush=True)
    finally:
        script.unlink()
    ratio = statistics.median(y / x for x, y in zip(a, b))
    print(f"medians: ours {statistics.median(a):.1f} ms, stock Python "
          f"{statistics.median(b):.1f} ms, {ratio:.1f} times")
    return 1 if ratio < args.least else 0


if __name__ == "__main__":
    sys.exit(main())
