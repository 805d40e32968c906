#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""This tree's library beside the parent commit's, run in alternation.

    bench/compare.py [--base REV] [--runs 9] [--only chan,sync] [--limit 15]

Builds the library of REV (default: HEAD if the tree has changes, else its
parent) in a temporary worktree, which is removed afterwards, and runs this
tree's tests/bench_*.c with the one library and with the other in turn, in
alternating order. A figure has regressed when the median of its pairwise
ratios is worse by more than LIMIT per cent and the two samples differ beyond
noise: a one-sided rank test (Mann and Whitney, exact) gives less than 1 %.
Exit 1 if one has, 2 if nothing could be compared.

Only programs that say figures (tests/bench.h) can be compared; the others are
named. What the base cannot do is said and is no regression.

    --programs DIR --old LIBDIR --new LIBDIR    builds nothing: these are there
"""
import argparse
import functools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALPHA = 0.01


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n"
                 f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


@functools.lru_cache(None)
def ways(n, m, u):
    """How many orders of n and m values give the rank statistic u."""
    if u < 0 or n < 0 or m < 0:
        return 0
    if n == 0 or m == 0:
        return int(u == 0)
    return ways(n - 1, m, u - m) + ways(n, m - 1, u)


def chance(worse, better):
    """That equal samples would look as much apart; small: they are."""
    n, m = len(worse), len(better)
    # Ties count half, rounded against a regression.
    u = int(sum((a > b) + (a == b) / 2 for a in worse for b in better))
    total = sum(ways(n, m, k) for k in range(n * m + 1))
    return sum(ways(n, m, k) for k in range(u, n * m + 1)) / total


def verdict(old, new, unit, limit):
    """(ratio new / old, p, word)"""
    ratio = statistics.median(b / a for a, b in zip(old, new))
    larger_is_better = unit.endswith("/s")
    factor = 1 / ratio if larger_is_better else ratio
    p = chance(*((old, new) if larger_is_better else (new, old)))
    if factor > 1 + limit / 100 and p < ALPHA:
        return ratio, p, "REGRESSED"
    q = chance(*((new, old) if larger_is_better else (old, new)))
    if factor < 1 / (1 + limit / 100) and q < ALPHA:
        return ratio, p, "better"
    return ratio, p, "same"


def figures(program, lib, timeout):
    """{name: (value, unit)}, or why there are none."""
    with tempfile.NamedTemporaryFile("r") as out:
        env = dict(os.environ, LD_LIBRARY_PATH=str(lib),
                   NDS_BENCH_FIGURES=out.name, NDS_BENCH_LIB=str(lib))
        try:
            done = subprocess.run([str(program)], env=env, text=True,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, timeout=timeout)
        except subprocess.TimeoutExpired:
            return f"not done after {timeout:g} s"
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            return lines[-1] if lines else f"exit {done.returncode}"
        found = {}
        for line in out.read().splitlines():
            value, unit, name = line.split(" ", 2)
            found[name] = (float(value), unit)
        return found


def sample(program, args):
    """{side: {name: [values]}}, units, or why not."""
    got = {"old": {}, "new": {}}
    units = {}
    for number in range(args.runs):
        order = ("old", "new") if number % 2 == 0 else ("new", "old")
        for side in order:
            one = figures(program, getattr(args, side), args.timeout)
            if isinstance(one, str):
                return side, one
            for name, (value, unit) in one.items():
                got[side].setdefault(name, []).append(value)
                units[name] = unit
    return got, units


def compare(programs, args):
    """Prints the table; returns (compared, regressed)."""
    compared, regressed, said = 0, [], []
    print(f"{'figure':44}{'old':>11}{'new':>11} {'unit':8}{'new/old':>8}"
          f"{'p':>8}  verdict")
    for program in programs:
        short = program.name.removeprefix("bench_")
        got, units = sample(program, args)
        if isinstance(got, str):
            said.append(f"{short}: the {got} library cannot run it: {units}")
            if got == "new":
                regressed.append(f"{short} (does not run)")
            continue
        if not units:
            said.append(f"{short}: says no figures")
        for name, unit in units.items():
            old, new = (got[s].get(name, []) for s in ("old", "new"))
            if len(old) != len(new):
                said.append(f"{short}: {name}: not said by both")
                continue
            ratio, p, word = verdict(old, new, unit, args.limit)
            compared += 1
            if word == "REGRESSED":
                regressed.append(name)
            print(f"{short + ': ' + name:44}{statistics.median(old):11.4g}"
                  f"{statistics.median(new):11.4g} {unit:8}{ratio:8.3f}"
                  f"{p:8.4f}  {word}", flush=True)
    for line in said:
        print(line)
    return compared, regressed


def build(directory, source, targets, tests):
    """Configures and builds, quietly."""
    run(["cmake", "-S", str(source), "-B", str(directory),
         "-DCMAKE_BUILD_TYPE=Release", f"-DNDS_TESTS={tests}",
         "-DNDS_WERROR=OFF"])
    run(["cmake", "--build", str(directory), f"-j{os.cpu_count()}",
         "--target", *targets])


def git(*words):
    return run(["git", "-C", str(ROOT), *words])


def parse():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--base")
    ap.add_argument("--runs", type=int, default=9)
    ap.add_argument("--only", default="")
    ap.add_argument("--limit", type=float, default=15)
    ap.add_argument("--timeout", type=float, default=120)
    ap.add_argument("--programs", type=pathlib.Path)
    ap.add_argument("--old", type=pathlib.Path)
    ap.add_argument("--new", type=pathlib.Path)
    args = ap.parse_args()
    if args.runs < 7:
        ap.error("fewer than 7 runs cannot tell a difference from noise")
    if bool(args.programs) != bool(args.old and args.new):
        ap.error("--programs, --old and --new go together")
    return args


def chosen(directory, args):
    only = {f"bench_{n}" for n in args.only.split(",") if n}
    return [p for p in sorted(directory.glob("bench_*"))
            if os.access(p, os.X_OK) and (not only or p.name in only)]


def compare_commits(args):
    changed = git("status", "--porcelain", "--untracked-files=no") != ""
    base = args.base or ("HEAD" if changed else "HEAD^")
    print(f"old: {git('log', '-1', '--format=%h %s', base)}\n"
          f"new: this tree{' with its changes' if changed else ''}")
    names = [p.stem for p in sorted((ROOT / "tests").glob("bench_*.c"))
             if "bench.h" in p.read_text()]
    with tempfile.TemporaryDirectory(prefix="nds-compare-") as tmp:
        tree = pathlib.Path(tmp, "tree")
        git("worktree", "add", "--detach", str(tree), base)
        try:
            build(pathlib.Path(tmp, "old"), tree, ["ndshare"], "OFF")
            build(pathlib.Path(tmp, "new"), ROOT, ["ndshare", *names], "ON")
            args.old = pathlib.Path(tmp, "old", "lib")
            args.new = pathlib.Path(tmp, "new", "lib")
            return compare(chosen(pathlib.Path(tmp, "new", "tests"), args),
                           args)
        finally:
            git("worktree", "remove", "--force", str(tree))


def main():
    args = parse()
    if args.programs:
        compared, regressed = compare(chosen(args.programs, args), args)
    else:
        compared, regressed = compare_commits(args)
    if regressed:
        print(f"{len(regressed)} worse by more than {args.limit:g} %: "
              + ", ".join(regressed))
        return 1
    if compared == 0:
        print("nothing could be compared")
        return 2
    print(f"{compared} compared, none worse by more than {args.limit:g} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
