# SPDX-License-Identifier: MIT
"""The examples in which C, Python and C++ work together."""
import os
import pathlib
import subprocess
import sys

import ndshare

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
PACKAGE = pathlib.Path(ndshare.__file__).resolve().parents[1]
BIN = PACKAGE.parent / "bin" / "examples"
ENV = dict(os.environ, PYTHONPATH=str(PACKAGE))


def run(*commands):
    """All at once; what each printed."""
    running = [subprocess.Popen([str(word) for word in c], env=ENV,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
               for c in commands]
    try:
        said = [p.communicate(timeout=100) for p in running]
    finally:
        for p in running:
            p.kill()
            p.wait()
    assert [p.returncode for p in running] == [0] * len(running), said
    assert all(err == "" for _, err in said), said
    return [out for out, _ in said]


def test_a_stream_from_c_through_python_to_cpp():
    said = run([BIN / "camera"],
               [sys.executable, EXAMPLES / "stream" / "filter.py"],
               [BIN / "cpp" / "viewer"])
    assert said == ["", "", "saw the last frame, 0 torn\n"]
    assert not any(n.name in ("camera", "profile") for n in ndshare.ls())


def test_workers_in_c_and_in_python():
    said = run([sys.executable, EXAMPLES / "pool" / "pool.py", BIN / "worker"])
    assert said == ["40 jobs, 40 right\n"]
