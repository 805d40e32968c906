#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many instructions a put and a get take, and what else is done often.

    bench/instructions.py [--only put-get,mutex] [--json]

Counted by valgrind, so the machine's moods do not show: two runs of one
process that differ by COUNT operations, the difference divided by them. Calls
of the kernel count as one instruction, so does waiting; nobody waits here.
Builds tests/bench_instr.c, whose rows these are.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "tests" / "bench_instr"
FEW, MANY = 200, 1200  # both after everything has been touched


def counted(name, count):
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
         str(PROGRAM), name, str(count)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r"Collected : (\d+)", done.stdout)
    if done.returncode != 0 or not found:
        sys.exit(f"{name}: {done.stdout}")
    return int(found.group(1))


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--only", default="")
    ap.add_argument("--json", action="store_true")
    args = ap.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is missing (Debian: valgrind)")
    subprocess.run([str(ROOT / "scripts" / "build"), "release",
                    "-DNDS_TESTS=ON", "--", "bench_instr"], check=True)
    listed = subprocess.run([str(PROGRAM)], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.splitlines()
    rows = [line.split(" ", 2) for line in listed]
    only = set(filter(None, args.only.split(",")))
    unknown = only - {name for name, _, _ in rows}
    if unknown:
        ap.error(f"no row {', '.join(sorted(unknown))}; there are "
                 f"{', '.join(name for name, _, _ in rows)}")
    figures = {}
    for name, each, what in rows:
        if only and name not in only:
            continue
        more = (MANY - FEW) * int(each)
        figures[name] = round((counted(name, MANY) - counted(name, FEW)) /
                              more)
        if not args.json:
            print(f"{figures[name]:8}  {what}", flush=True)
    if args.json:
        print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
