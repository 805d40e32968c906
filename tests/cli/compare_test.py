#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/compare.py on bench programs whose figures are known.

    compare_test.py COMPARE

One that is 30 % slower with the new library is reported, also where larger is
better; ones that are equal but for noise, 30 % faster, or slower within their
own noise are not; what the old library cannot run is said.
"""
import pathlib
import subprocess
import sys
import tempfile

# $1: old or new; $2: a number that differs from run to run, 0..20
PROGRAM = """#!/bin/sh
side=$(basename "$NDS_BENCH_LIB")
count=$(cat "$0.count" 2>/dev/null || echo 0)
echo $((count + 1)) >"$0.count"
noise=$((count * 7919 % 21))
{body}
"""


def case(body, code, words, not_words=()):
    with tempfile.TemporaryDirectory() as tmp:
        program = pathlib.Path(tmp, "bench_fake")
        program.write_text(PROGRAM.format(body=body))
        program.chmod(0o755)
        done = subprocess.run(
            [sys.executable, sys.argv[1], "--programs", tmp, "--old",
             tmp + "/old", "--new", tmp + "/new", "--runs", "7"],
            capture_output=True, text=True)
        out = done.stdout + done.stderr
        if done.returncode != code or any(w not in out for w in words) or any(
                w in out for w in not_words):
            sys.exit(f"exit {done.returncode}, not {code}, or other words "
                     f"than {words}:\n{out}")


def value(old, new, unit="us"):
    return (f'[ "$side" = old ] && v={old} || v={new}\n'
            f'echo "$v {unit} thing" >>"$NDS_BENCH_FIGURES"')


case(value("$((1000 + noise))", "$((1300 + noise))"), 1,
     ["thing", "REGRESSED"])
case(value("$((1000 + noise))", "$((700 + noise))", "items/s"), 1,
     ["REGRESSED"])
case(value("$((1000 + noise))", "$((1000 + noise))"), 0, ["same"],
     ["REGRESSED"])
case(value("$((1000 + noise))", "$((700 + noise))"), 0, ["better"])
case(value("$((1000 + noise * 100))", "$((1250 + noise * 100))"), 0, [],
     ["REGRESSED"])
case(value("$((1000 + noise))", "$((1100 + noise))"), 0, ["same"])
case('[ "$side" = new ] || { echo "no such call" >&2; exit 1; }', 2,
     ["old library cannot run it: no such call"])
case("exit 0", 2, ["says no figures"])
