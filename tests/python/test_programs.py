# SPDX-License-Identifier: MIT
"""Random programs (programs.py), each time others; and references balance."""
import pickle
import sys
import time

import numpy as np

import ndshare
import programs
from ndshare import _core


def test_random_programs(capsys):
    programs.main(300, time.time_ns() // 1000 % 1_000_000_000)
    assert "300 programs" in capsys.readouterr().out


def test_references_balance(name, tmp_path):
    a = ndshare.zeros((3, 4), name=name)
    np.save(tmp_path / "a.npy", np.zeros(3))
    token = ndshare.handle(a)
    path, shape, dtype = tmp_path / "a.npy", (3, 4), np.dtype("<f8")
    fill = 2.5
    plain = np.zeros(3)  # made once: NumPy 2.0 leaks dtypes in making them
    calls = [
        lambda: ndshare.attach(name), lambda: ndshare.attach(name, "r"),
        lambda: ndshare.zeros(shape, dtype),
        lambda: ndshare.full(shape, fill, dtype),
        lambda: ndshare.from_file(path), lambda: ndshare.from_handle(token),
        lambda: pickle.loads(pickle.dumps(a)), lambda: ndshare.handle(a, 0),
        lambda: ndshare.info(name), lambda: ndshare.ls(),
        lambda: ndshare.gc(dry_run=True), lambda: a.snapshot(),
        lambda: a.lock.acquire(timeout=0) and a.lock.release(),
        lambda: a.wait_changed(0), lambda: a.generation,
        lambda: fails(ndshare.attach, "pyt-none"),
        lambda: fails(ndshare.attach, name, "x"),
        lambda: fails(ndshare.from_handle, b"N"),
        lambda: fails(ndshare.lock, plain),
        lambda: fails(ndshare.zeros, shape, name=name),
    ]
    watched = [a, name, path, shape, dtype, fill, token, None, True, False,
               np.ndarray, ndshare.ndarray, _core.Owner, _core.ArrayLock,
               FileNotFoundError, ValueError, FileExistsError]
    for call in calls:
        for _ in range(3):
            call()
        before = [sys.getrefcount(x) for x in watched]
        for _ in range(50):
            call()
        after = [sys.getrefcount(x) for x in watched]
        # Immortal or shared with the rest of Python: a few may come and go.
        for x, b, c in zip(watched, before, after):
            assert abs(c - b) < 25, (call, x, b, c)


def fails(f, *args, **more):
    try:
        f(*args, **more)
    except (OSError, ValueError):
        return
    raise AssertionError("it did not fail")
