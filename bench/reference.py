#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whole reference programs, ours beside stock Python's, interleaved.

    bench/reference.py [--runs N] [--only 1,4] [--python PYTHON] [--build DIR]
                       [--json]

For each program: N runs of each side, A B A B ..., wall-clock medians and the
median of the pairwise ratios. Each timed run follows an untimed one of the same
program: a host may take free memory back from a virtual machine, and whoever
comes next would pay for its return. Then one more run of each side with its
process tree's proportional set size sampled, every 2 ms at the latest. Output
of the programs goes to /dev/null. Standard library only; the programs on
Python's side need NumPy.

If BUILD/tests/bench_floor is there (cmake --build build --target bench_floor),
it runs between them where it has the way: the column `floor s` is what the same
passes over memory take by calls of the kernel alone, and `most` how many times
faster than Python that is: about the most that can be had.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent
NAMES = {1: "01_argument", 2: "02_inherit", 3: "03_queue", 4: "04_pipe",
         5: "05_locked_array", 6: "06_raw_array", 7: "07_shared_memory",
         8: "08_mapped_file", 9: "09_manager"}
FLOOR = {(1, "spawn", "0"): "spawn", (1, "fork", "3"): "inherit",
         (2, "fork", "3"): "inherit", (3, "fork", "0"): "queue",
         (4, "fork", "0"): "pipe",
         (6, "fork", "0"): "raw", (9, "fork", "0"): "manager"}
# program, start method, what the child fills
CASES = [(1, "fork", "0"), (1, "fork", "3"), (1, "spawn", "0"),
         (2, "fork", "0"), (2, "fork", "3"), (3, "fork", "0"),
         (4, "fork", "0"), (5, "fork", "0"), (6, "fork", "0"),
         (7, "fork", "0"), (8, "fork", "0"), (9, "fork", "0")]


def tree(pid):
    """pid and its descendants, as far as /proc tells right now."""
    pids = [pid]
    for p in pids:
        for task in pathlib.Path(f"/proc/{p}/task").glob("*/children"):
            try:
                pids += [int(c) for c in task.read_text().split()]
            except OSError:
                pass
    return pids


def pss(pid):
    total = 0
    for p in tree(pid):
        try:
            for line in open(f"/proc/{p}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


def run(command, env, cwd, sample=False):
    """Wall-clock seconds, and the tree's peak PSS if it is sampled."""
    peak = 0
    with tempfile.TemporaryFile() as err:
        start = time.monotonic()
        proc = subprocess.Popen(command, env=env, cwd=cwd,
                                stdout=subprocess.DEVNULL, stderr=err)
        while sample and proc.poll() is None:
            peak = max(peak, pss(proc.pid))
            time.sleep(min(0.002, (time.monotonic() - start) / 20))
        code = proc.wait()
        wall = time.monotonic() - start
        if code != 0:
            err.seek(0)
            sys.exit(f"{command}: exit {code}\n{err.read().decode()}")
    return wall, peak


def measure(args, way, start, fill):
    """One case: all sides in turn."""
    env = dict(os.environ, START=start, NDSHARE_START_METHOD=start, FILL=fill)
    ours = [f"{args.build}/bin/examples/{NAMES[way]}"]
    theirs = [args.python, str(ROOT / "python" / f"{NAMES[way]}.py")]
    if way in (1, 2):
        ours += ["10000", fill]
    a, b, c = [], [], []
    sides = [(ours, a), (theirs, b)]
    floor = pathlib.Path(args.build, "tests/bench_floor")
    if (way, start, fill) in FLOOR and floor.exists():
        sides.append(([str(floor), FLOOR[way, start, fill]], c))
    with tempfile.TemporaryDirectory() as cwd:
        for _ in range(args.runs):
            for command, times in sides:
                run(command, env, cwd)
                times.append(run(command, env, cwd)[0])
        mine = run(ours, env, cwd, True)[1]
        other = run(theirs, env, cwd, True)[1]
    row = {"way": way, "start": start, "fill": fill,
           "ours_s": statistics.median(a), "python_s": statistics.median(b),
           "times": statistics.median(y / x for x, y in zip(a, b)),
           "ours_bytes": mine, "python_bytes": other}
    if c:
        row["floor_s"] = statistics.median(c)
        row["most"] = statistics.median(y / x for x, y in zip(c, b))
    return row


def show(row):
    least = (f"  {row['floor_s']:7.3f}  {row['most']:6.1f}"
             if "most" in row else "")
    print(f"{row['way']:3}  {row['start']:5}  {row['fill']:>4}"
          f"  {row['ours_s']:7.3f}  {row['python_s']:8.3f}"
          f"  {row['times']:6.1f}  {row['ours_bytes'] / 2**20:8.0f}"
          f"  {row['python_bytes'] / 2**20:10.0f}"
          f"  {row['ours_bytes'] / max(row['python_bytes'], 1):6.2f}{least}",
          flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--only", default="")
    ap.add_argument("--python", default="/usr/bin/python3")
    ap.add_argument("--build", default=str(ROOT.parent / "build"))
    ap.add_argument("--json", action="store_true")
    args = ap.parse_args()
    only = {int(n) for n in args.only.split(",") if n}
    rows = []
    if not args.json:
        print("way  start  fill   ours s  python s   times  ours MiB  python "
              "MiB   of it  floor s    most")
    for case in CASES:
        if not only or case[0] in only:
            row = measure(args, *case)
            rows.append(row)
            if not args.json:
                show(row)
    if args.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
