#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The package under every CPython that is there: its own tests, and CPython's.

    versions.py [--only tests|suite] [--methods fork,spawn] PYTHON...

PYTHONPATH has the package, built for all of them. What an interpreter lacks
(NumPy, pytest, an extension, CPython's `test`) is said and not counted. Prints
tables in Markdown; exit code 1 if anything failed that should not.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import cpython_suite

HERE = pathlib.Path(__file__).resolve().parent
ABOUT = """
import sys
version = ".".join(map(str, sys.version_info[:3]))
try:
    import numpy, pytest, hypothesis, joblib, ndshare
    print(version, numpy.__version__, "")
except ImportError as missing:
    print(version, "-", missing)
"""
FILE_S = 900


def about(python):
    """(version, NumPy's version) of one that can run the tests, or None."""
    try:
        said = subprocess.run([python, "-c", ABOUT], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
    except (OSError, subprocess.CalledProcessError) as fault:
        print(f"left out: {python}: {fault}")
        return None
    version, numpy, missing = said.rstrip("\n").split(" ", 2)
    if missing:
        print(f"left out: CPython {version}, {python}: {missing}")
        return None
    return version, numpy


def own_tests(python):
    """{"passed": n, ...} of the pytest files; what failed is printed."""
    counts = dict(passed=0, failed=0, skipped=0)
    for file in sorted(HERE.glob("test_*.py")):
        try:
            done = subprocess.run(
                [python, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                 "-rfEs", str(file)], cwd=HERE, text=True, timeout=FILE_S,
                env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            print(f"{file.name}: no end after {FILE_S} s")
            counts["failed"] += 1
            continue
        last = done.stdout.strip().splitlines()[-1]
        for n, what in re.findall(r"(\d+) (passed|failed|skipped|error)",
                                  last):
            counts["failed" if what == "error" else what] += int(n)
        if done.returncode != 0:
            print(f"{file.name}: exit code {done.returncode}")
        for line in re.findall(r"^(?:FAILED|ERROR|SKIPPED) .*", done.stdout,
                               re.M):
            print(line)
    return counts


def suite(python, method):
    """({test: outcome}, as expected) of CPython's tests; ({}, True): none."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "outcomes")
        done = subprocess.run(
            [python, str(HERE / "cpython_suite.py"), "--method", method,
             "--json", file], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if done.returncode == 77:
            print(done.stdout.strip())
            return {}, True
        if done.returncode != 0:
            print(done.stdout)
        if not os.path.exists(file):
            return {}, False
        with open(file, encoding="utf-8") as f:
            return json.load(f), done.returncode == 0


def three(counts):
    return " / ".join(str(counts[k]) for k in ("passed", "failed", "skipped"))


def run_own(pythons):
    bad = 0
    print("\npassed / failed / skipped of the package's own tests\n\n"
          "| CPython | NumPy | own tests |\n|---|---|---|", flush=True)
    for python, (version, numpy) in pythons.items():
        counts = own_tests(python)
        bad += counts["failed"]
        print(f"| {version} | {numpy} | {three(counts)} |", flush=True)
    return bad


def run_suite(pythons, methods):
    """NumPy makes no difference to CPython's tests: one of each version."""
    bad = False
    failed = {}
    print("\npassed / failed / skipped of CPython's tests\n\n| CPython | "
          + " | ".join(methods) + " |\n|---" + "|---" * len(methods) + "|",
          flush=True)
    for version, python in {v: p for p, (v, _) in pythons.items()}.items():
        row = []
        for method in methods:
            outcomes, good = suite(python, method)
            bad |= not good
            values = list(outcomes.values())
            row.append(three({k: values.count(k) for k in
                              ("passed", "failed", "skipped")})
                       if outcomes else "-")
            for name, outcome in outcomes.items():
                if outcome == "failed":
                    failed.setdefault(name, {}).setdefault(version, []) \
                        .append(method)
        print(f"| {version} | " + " | ".join(row) + " |", flush=True)
    print("\n| failed | where | why |\n|---|---|---|")
    for name, where in failed.items():
        places = ", ".join(v if len(m) == len(methods) else f"{v} {'+'.join(m)}"
                           for v, m in where.items())
        if len(where) == len(set(v for v, _ in pythons.values())) and all(
                len(m) == len(methods) for m in where.values()):
            places = "everywhere"
        why = cpython_suite.DIFFERS.get(name, "NOT EXPECTED")
        print(f"| {name} | {places} | {why} |")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("tests", "suite"))
    parser.add_argument("--methods", default=",".join(cpython_suite.METHODS))
    parser.add_argument("pythons", nargs="+")
    args = parser.parse_args()
    found = {p: about(p) for p in args.pythons}
    pythons = {p: a for p, a in found.items() if a is not None}
    print("found: " + ", ".join(f"CPython {v} with NumPy {n}"
                                for v, n in pythons.values()))
    bad = 0
    if args.only != "suite":
        bad += run_own(pythons)
    if args.only != "tests":
        bad += run_suite(pythons, args.methods.split(","))
    return 1 if bad or not pythons else 0


if __name__ == "__main__":
    sys.exit(main())
