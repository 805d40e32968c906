# SPDX-License-Identifier: MIT
"""Shared arrays as handles: small, exact, and gone when they should be."""
import io
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

import ndshare
from conftest import eventually

FIRST = "import ndshare, pickle, sys, os\n"


def again(a, protocol=pickle.HIGHEST_PROTOCOL):
    return pickle.loads(pickle.dumps(a, protocol))


def expect_gone(data):
    def gone():
        try:
            pickle.loads(data)
        except FileNotFoundError:
            return True
        return False
    eventually(gone)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_small_and_the_same_memory(protocol):
    a = ndshare.zeros((300, 400))
    data = pickle.dumps(a, protocol)
    assert len(data) < (120 if protocol > 2 else 400)
    b = pickle.loads(data)
    b[7, 7] = 3
    assert a[7, 7] == 3 and type(b) is ndshare.ndarray


def test_views_come_as_they_are():
    a = ndshare.array(np.arange(120).reshape(4, 5, 6))
    for view in (a[1:], a[::-1, ::2], a.T, a[2, 3], a[1, 2, 3:4], a[:, None],
                 a.reshape(20, 6)[::3], a.view("u1"), a[:0],
                 np.swapaxes(a, 0, 2)[1:], np.broadcast_to(a, (2, 4, 5, 6)),
                 a.astype("f4").view(ndshare.ndarray)):
        b = again(view)
        assert b.shape == view.shape and b.dtype == view.dtype
        assert (b == view).all()
    b = again(a[::-1, ::2])
    b[0, 0, 0] = -1
    assert a[3, 0, 0] == -1


def test_records_and_their_fields():
    a = ndshare.zeros(3, [("x", "<i4"), ("y", "<f8", (2,)), ("z", "U2")])
    b = again(a)
    again(a["y"])[1] = 5
    again(a)["z"][2] = "ab"
    assert b["y"].tolist() == [[0, 0], [5, 5], [0, 0]] and b["z"][2] == "ab"
    assert b.dtype == a.dtype
    assert again(a[["x", "z"]]).dtype == a[["x", "z"]].dtype
    assert again(a[["z", "x"]]).tolist() == a[["z", "x"]].tolist()


def test_read_only_stays_so(name):
    a = ndshare.zeros(3, name=name)
    fixed = a[:]
    fixed.flags.writeable = False
    for b in (again(fixed), again(ndshare.attach(name, "r"))):
        with pytest.raises(ValueError):
            b[0] = 1
        with pytest.raises(ValueError):
            b.flags.writeable = True
        a[0] += 1
        assert b[0] == a[0]


def test_private_arrays_go_by_value(name):
    ndshare.array([1, 2, 3], name=name)
    a = ndshare.attach(name, "c")
    a[0] = 9
    b = again(a)
    b[1] = 9
    assert a.tolist() == [9, 2, 3] and b.tolist() == [9, 9, 3]
    assert type(b) is np.ndarray
    assert type(again(ndshare.zeros(3) + 1)) is np.ndarray
    mask = ndshare.zeros(3)[[0, 1]]
    assert again(mask).tolist() == [0, 0]


def test_the_pickle_keeps_the_memory(nothing_left):
    a = ndshare.array(np.arange(1000))
    data = pickle.dumps(a[10:])
    del a
    b = pickle.loads(data)
    assert b[0] == 10 and b.sum() == sum(range(10, 1000))
    del b
    expect_gone(data)


def test_a_hold_is_over(nothing_left):
    before = ndshare.hold_seconds(0.02)
    assert before == 60
    try:
        data = pickle.dumps(ndshare.zeros((2, 3)))
    finally:
        assert ndshare.hold_seconds(before) == 0.02
    expect_gone(data)
    with pytest.raises(FileNotFoundError, match=r"\(2, 3\)"):
        pickle.loads(data)
    assert before == 60


def test_names_are_checked(name):
    a = ndshare.zeros(3, name=name)
    token = ndshare.handle(a, hold=0)
    b = ndshare.from_handle(token)
    assert b.name == name
    ndshare.ones(3, name=name, replace=True)
    assert ndshare.from_handle(token).sum() == 0  # a holds what was meant
    del a, b
    with pytest.raises(OSError, match="another one"):
        ndshare.from_handle(token)
    ndshare.unlink(name)
    with pytest.raises(FileNotFoundError, match=name):
        ndshare.from_handle(token)


def test_files_go_by_path(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.))
    a = ndshare.from_file(tmp_path / "a.npy")
    data = pickle.dumps(a[1::2])
    del a
    b = pickle.loads(data)
    b[0] = 9
    assert np.load(tmp_path / "a.npy")[1] == 9
    os.replace(tmp_path / "a.npy", tmp_path / "b.npy")
    np.save(tmp_path / "a.npy", np.arange(6.))
    with pytest.raises(OSError, match="another file"):
        pickle.loads(data)
    c = ndshare.from_file(tmp_path / "a.npy", "c")
    assert type(again(c)) is np.ndarray


def test_handles_that_are_none():
    for token in (b"", b"N", b"N\1\0", b"garbage" * 10):
        with pytest.raises(ValueError):
            ndshare.from_handle(token)
    with pytest.raises(ValueError, match="only shared arrays"):
        ndshare.handle(np.zeros(3))


def child(code, **more):
    return subprocess.Popen([sys.executable, "-c", FIRST + code],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            **more)


def test_a_killed_sender_takes_it_along():
    p = child("pickle.dump(ndshare.ones(3), sys.stdout.buffer)\n"
              "sys.stdout.flush(); sys.stdin.read()")
    data = io.BytesIO()
    b = pickle.load(p.stdout)
    p.send_signal(signal.SIGKILL)
    p.communicate()
    assert b.tolist() == [1, 1, 1] and data.getvalue() == b""
    p = child("data = pickle.dumps(ndshare.ones(3))\n"
              "sys.stdout.buffer.write(len(data).to_bytes(4, 'little') + data)"
              "\nsys.stdout.flush(); sys.stdin.read()")
    data = p.stdout.read(int.from_bytes(p.stdout.read(4), "little"))
    p.send_signal(signal.SIGKILL)
    p.communicate()
    with pytest.raises(FileNotFoundError, match=f"{p.pid}"):
        pickle.loads(data)


def test_a_killed_receiver_leaves_nothing(nothing_left):
    # Killed with the token in its hands, not yet unpickled ...
    before = ndshare.hold_seconds(0.2)
    data = pickle.dumps(ndshare.ones(3))
    ndshare.hold_seconds(before)
    p = child("sys.stdin.buffer.read()\nos.kill(os.getpid(), 9)")
    p.communicate(data)
    assert p.returncode == -signal.SIGKILL
    expect_gone(data)
    # ... and with the array open.
    data = pickle.dumps(ndshare.ones(3))
    p = child("a = pickle.load(sys.stdin.buffer)\nos.kill(os.getpid(), 9)")
    p.communicate(data)
    assert p.returncode == -signal.SIGKILL
    expect_gone(data)


def test_a_receiver_may_pass_it_on():
    a = ndshare.zeros(5)
    p = child("a = pickle.load(sys.stdin.buffer)\n"
              "pickle.dump(a[2:], sys.stdout.buffer)\nsys.stdout.flush()\n"
              "sys.stdin.read()")
    p.stdin.write(pickle.dumps(a))
    p.stdin.flush()
    pickle.load(p.stdout)[0] = 7
    p.communicate()
    assert a.tolist() == [0, 0, 7, 0, 0]
