# SPDX-License-Identifier: MIT
"""The nine programs in Python print what the nine in C print."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

import ndshare

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = pathlib.Path(ndshare.__file__).resolve().parents[1]
C_PROGRAMS = PACKAGE.parent / "bin" / "examples"
SIZES = {"01_argument": ["200"], "02_inherit": ["200"], "03_queue": ["20"],
         "04_pipe": ["200"], "06_raw_array": ["100000"],
         "09_manager": ["100000"]}


def printed(command, method, here):
    env = dict(os.environ, NDSHARE_START_METHOD=method,
               PYTHONPATH=str(PACKAGE), NDSHARE_NUMPY_PRINT="1.24")
    env.pop("PYTHONUNBUFFERED", None)  # a line would be two writes
    done = subprocess.run(command, cwd=here, timeout=100, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("program", sorted(
    p.stem for p in (ROOT / "examples" / "python").glob("0*.py")))
def test_prints_the_same(program, method, tmp_path):
    size = SIZES.get(program, [])
    want = printed([str(C_PROGRAMS / program), *size], "fork", tmp_path)
    got = printed([sys.executable,
                   str(ROOT / "examples" / "python" / f"{program}.py"),
                   *size], method, tmp_path)
    assert want
    if program == "03_queue":  # other random numbers, in any order
        want, got = (sorted(re.sub(r"\d+\.?\d*", "N", line)
                            for line in lines) for lines in (want, got))
    assert got == want
