#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The nine programs in C++ print what the nine in C print.

    examples.py DIR-OF-C DIR-OF-C++

Way 3 prints in any order: its lines are compared sorted, and its shapes and
values, which come of the same seeds, with them.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

SIZES = {"01_argument": ["200"], "02_inherit": ["200"], "03_queue": ["20"],
         "04_pipe": ["200"], "06_raw_array": ["100000"],
         "09_manager": ["100000"]}


def printed(program, method):
    # Way 7 has a name that is the same for everybody who runs it.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as here:
        done = subprocess.run(
            [program, *SIZES.get(program.name, [])], cwd=here, timeout=60,
            env=dict(os.environ, NDSHARE_START_METHOD=method,
                     NDSHARE_SHM_DIR=here),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"{program}, {method}: {done.stderr}"
    lines = done.stdout.splitlines()
    return sorted(lines) if program.name == "03_queue" else lines


def main():
    c, cpp = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    programs = sorted(p.name for p in c.iterdir() if p.name[0] == "0")
    assert len(programs) == 9, programs
    for name in programs:
        want = printed(c / name, "fork")
        assert want, name
        for method in ("fork", "spawn"):
            got = printed(cpp / name, method)
            assert got == want, f"{name}, {method}: {got} is not {want}"
    print("9 programs, fork and spawn, the same")


main()
