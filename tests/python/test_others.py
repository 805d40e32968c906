# SPDX-License-Identifier: MIT
"""Array, Value, managers, SharedMemory and ShareableList."""
import ctypes
import gc
import multiprocessing as mp
import os
import pickle
import subprocess
import sys
from multiprocessing import shared_memory

import numpy as np
import pytest

import ndshare

METHODS = ["fork", "spawn", "forkserver"]


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


def test_values():
    v = ndshare.Value("d", 2.5)
    assert v.value == 2.5
    with v.get_lock():
        v.value += 1
    assert v.get_obj().value == 3.5
    raw = ndshare.RawValue("i")
    assert raw.value == 0 and not hasattr(raw, "get_lock")
    p = ndshare.Value(Point, 1, 2.0)
    assert (p.x, p.y) == (1, 2.0)
    lock = ndshare.Lock()
    assert ndshare.Value("i", 1, lock=lock).get_lock() is lock
    assert not hasattr(ndshare.Value("i", 1, lock=False), "get_lock")
    with pytest.raises(AttributeError):
        ndshare.Value("i", 1, lock="none")


def test_arrays():
    a = ndshare.Array("i", [1, 2, 3, 4])
    a[1:3] = [7, 8]
    assert a[:] == [1, 7, 8, 4] and len(a) == 4 and a[-1] == 4
    assert ndshare.Array("i", 3)[:] == [0, 0, 0]
    assert ndshare.Array("c", b"bytes").value == b"bytes"
    assert len(ndshare.RawArray("d", 0)) == 0
    raw = ndshare.RawArray("d", np.arange(5))
    np.frombuffer(raw)[:] *= 2
    assert raw[:] == [0, 2, 4, 6, 8]
    view = np.frombuffer(raw)
    del raw
    gc.collect()
    assert view.sum() == 20
    points = ndshare.RawArray(Point, [(1, 2.0), (3, 4.0)])
    assert points[1].y == 4.0
    with pytest.raises(TypeError):
        ndshare.Array("i", 2.5)


def write_all(v, a, raw):
    for _ in range(100):
        with v.get_lock():
            v.value += 1
    a[:] = [x + 1 for x in a]
    raw[0] = 5


@pytest.mark.parametrize("method", METHODS)
def test_in_children(method):
    ctx = mp.get_context(method)
    v, a, raw = (ndshare.Value("q"), ndshare.Array("h", [1, 2]),
                 ndshare.RawArray("f", 2))
    children = [ctx.Process(target=write_all, args=(v, a, raw))
                for _ in range(2)]
    for p in children:
        p.start()
    for p in children:
        p.join()
    assert v.value == 200 and raw[:] == [5, 0]
    assert a[0] in (2, 3)


def test_by_name(name):
    a = ndshare.Array("d", [1, 2, 3], name=name)
    code = f"""
import ndshare
a = ndshare.Array('d', name={name!r}, attach=True)
with a.get_lock():
    a[0] = sum(a)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert a[:] == [6, 2, 3]
    assert np.load(f"/dev/shm/{name}").tolist() == [6, 2, 3]
    with a.get_lock():
        with a.get_lock():
            pass
    with pytest.raises(TypeError, match="holds float64"):
        ndshare.Array("i", name=name, attach=True)
    ndshare.unlink(name)
    v = ndshare.Value("i", 7, name=name)
    assert ndshare.attach(name).shape == ()
    assert ndshare.Value("i", name=name, attach=True).value == 7
    v.value = 8
    assert ndshare.RawValue("i", name=name, attach=True).value == 8


# ---- managers


def scaled_ones(shape, by=1):
    return np.full(shape, float(by))


class WithFactory(ndshare.SyncManager):
    """A manager with a callable of its own."""


WithFactory.register("scaled", scaled_ones)


def use_manager(d, counter, lock):
    for _ in range(10):
        with lock:
            counter.value += 1
    d["child"] = os.getpid()


@pytest.mark.parametrize("method", METHODS)
def test_manager(method):
    ctx = mp.get_context(method)
    with ndshare.Manager(ctx=ctx) as m:
        d, counter, lock = m.dict(a=1), m.Value("i", 0), m.Lock()
        p = ctx.Process(target=use_manager, args=(d, counter, lock))
        p.start()
        p.join()
        assert d.copy() == {"a": 1, "child": p.pid} and counter.value == 10
        q = m.Queue(1)
        q.put([1, 2])
        assert q.full() and q.get() == [1, 2]
        a = m.arange(6)
        assert a.sum() == 15 and np.asarray(a).tolist() == list(range(6))
    with pytest.raises((OSError, EOFError)):
        d.copy()


def test_manager_with_a_callable():
    m = WithFactory()
    m.start()
    try:
        assert m.scaled((2, 3), by=2).sum() == 12
        with pytest.raises(Exception, match="scaled"):
            m.scaled()
        assert m.scaled(3).sum() == 3
    finally:
        m.shutdown()


def test_manager_connects():
    with ndshare.Manager() as m:
        other = ndshare.SyncManager(m.address, mp.current_process().authkey)
        other.connect()
        assert other.list([3, 1, 2])[1] == 1
        wrong = ndshare.SyncManager(m.address, b"wrong")
        with pytest.raises(mp.AuthenticationError):
            wrong.connect()


# ---- shared memory


def test_shared_memory_with_pythons():
    a = ndshare.SharedMemory(create=True, size=100)
    try:
        b = shared_memory.SharedMemory(a.name)
        b.buf[:3] = b"abc"
        assert bytes(a.buf[:3]) == b"abc" and a.size >= 100
        b.close()
        c = pickle.loads(pickle.dumps(a))
        assert bytes(c.buf[:3]) == b"abc"
        view = c.buf[:3]
        with pytest.raises(BufferError):
            c.close()
        view.release()
        with pytest.raises(FileExistsError):
            ndshare.SharedMemory(a.name, create=True, size=1)
    finally:
        a.close()
        try:
            a.unlink()
        except FileNotFoundError:
            pass
    with pytest.raises(FileNotFoundError):
        ndshare.SharedMemory(a.name)
    for bad in (dict(), dict(create=True), dict(create=True, size=-1)):
        with pytest.raises(ValueError):
            ndshare.SharedMemory(**bad)


def test_names_survive_who_attached(name):
    a = ndshare.SharedMemory(name, create=True, size=10)
    code = f"import ndshare; b = ndshare.SharedMemory({a.name!r}); b.buf[0] = 9"
    # Under AddressSanitizer the interpreter's own leaks would be listed.
    quiet = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    done = subprocess.run([sys.executable, "-c", code], check=True,
                          env={**os.environ, "ASAN_OPTIONS": quiet},
                          capture_output=True, text=True)
    assert done.stderr == ""
    assert a.buf[0] == 9
    a.unlink()
    a.close()


def test_shareable_list(name):
    a = ndshare.ShareableList([1, 2.5, "text", b"bytes", None, True],
                              name=name)
    b = ndshare.ShareableList(name=a.shm.name)
    stock = shared_memory.ShareableList(name=a.shm.name)
    b[2] = "TEXT"
    assert list(a) == list(stock) == [1, 2.5, "TEXT", b"bytes", None, True]
    c = pickle.loads(pickle.dumps(a))
    assert type(c) is ndshare.ShareableList and c[0] == 1
    assert a.index(None) == 4 and a.count(True) == 2
    stock.shm.close()
    for x in (c, b, a):
        x.shm.close()
    try:
        a.shm.unlink()
    except FileNotFoundError:
        pass  # Python's tracker was quicker
