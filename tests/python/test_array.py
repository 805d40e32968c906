# SPDX-License-Identifier: MIT
"""Arrays made, found and removed from Python."""
import copy
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

import ndshare

DTYPES = ["?", "i1", "u8", "<i4", ">i4", "f2", "f4", "f8", "g", "c8", "c16",
          "S5", "U3", "M8[us]", "m8[ns]", "V7",
          [("a", "<i4"), ("b", ">f8", (2, 3))],
          [("x", "u1"), ("y", [("z", "<f4"), ("t", "S2")])],
          np.dtype([("a", "u1"), ("b", "f8")], align=True)]


def run(code):
    return subprocess.run([sys.executable, "-c", "import ndshare\n" + code],
                          check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back(name, dtype, order):
    a = ndshare.zeros((3, 4), dtype, order, name=name)
    b = ndshare.attach(name)
    assert isinstance(a, np.ndarray) and isinstance(a, ndshare.ndarray)
    assert a.dtype == b.dtype == np.dtype(dtype)
    assert a.shape == b.shape == (3, 4) and a.strides == b.strides
    assert a.flags.fnc == (order == "F")
    a.view("u1" if a.flags.c_contiguous else a.dtype)
    raw = np.frombuffer(os.urandom(a.nbytes), "u1")
    kept = raw.reshape(-1, a.itemsize).copy()
    for i, row in zip(np.ndindex(a.shape), kept):
        a[i] = np.frombuffer(row.tobytes(), a.dtype)[0]
    # As it lies in memory: in another order NumPy leaves padding out.
    assert a.tobytes("A") == b.tobytes("A")


def test_making_is_as_numpy_does():
    assert ndshare.zeros(3).tolist() == [0, 0, 0]
    assert ndshare.ones((2, 2), "i2").tolist() == [[1, 1], [1, 1]]
    assert ndshare.full(2, 2.5).tolist() == [2.5, 2.5]
    assert ndshare.full((2, 2), [1, 2]).tolist() == [[1, 2], [1, 2]]
    assert ndshare.full(2, "ab", "U3").tolist() == ["ab", "ab"]
    assert ndshare.full((), 7).dtype == np.asarray(7).dtype
    assert ndshare.full(2, 300, "u1").tolist() == [44, 44]
    assert ndshare.empty((4, 5), "c8").shape == (4, 5)
    assert ndshare.zeros(2, ("f4", (3,))).shape == (2, 3)
    assert ndshare.zeros([2, np.int64(3)]).shape == (2, 3)
    assert ndshare.zeros(()).shape == ()
    assert ndshare.zeros((0, 3)).shape == (0, 3)
    a = ndshare.array([[1, 2], [3, 4]])
    assert a.dtype == np.array([1]).dtype and a.tolist() == [[1, 2], [3, 4]]
    assert ndshare.array(np.asfortranarray(np.eye(3))).flags.f_contiguous
    assert ndshare.array(["a", "bcd"]).dtype == "<U3"


def test_refusals():
    with pytest.raises(TypeError, match="objects"):
        ndshare.zeros(3, object)
    with pytest.raises(ValueError, match="out-of-order"):
        ndshare.zeros(3, {"names": ["p", "q"], "formats": ["<i2", "<i2"],
                          "offsets": [2, 0]})
    with pytest.raises(TypeError):
        ndshare.zeros(2.5)
    with pytest.raises(ValueError):
        ndshare.zeros(-1)
    with pytest.raises(ValueError, match="order"):
        ndshare.zeros(3, order="A")
    with pytest.raises(ValueError, match="lifetime"):
        ndshare.zeros(3, lifetime="long")
    with pytest.raises(ValueError, match="name"):
        ndshare.zeros(3, name="a/b")
    with pytest.raises(OSError, match="bytes wanted"):
        ndshare.zeros(1 << 50, name="much")
    with pytest.raises(ValueError, match="mode"):
        ndshare.attach("x", mode="rw")
    with pytest.raises(TypeError, match="cannot create"):
        type(ndshare.zeros(3).base)()
    with pytest.raises(ValueError, match="private memory"):
        (ndshare.zeros(3) + 1).view(ndshare.ndarray).changed()


def test_arithmetic_gives_plain_arrays():
    a = ndshare.ones((2, 3))
    assert type(a + 1) is np.ndarray
    assert type(1 - a) is np.ndarray
    assert type(a * np.ones(3)) is np.ndarray
    assert type(np.sin(a)) is np.ndarray
    assert type(a.sum(axis=0)) is np.ndarray
    assert type(a.sum()) is np.float64
    assert type(a[0, 0]) is np.float64
    assert type(a[0]) is type(a.T) is type(a[None]) is ndshare.ndarray
    assert np.sqrt(a, out=a) is a
    a += 1
    assert a.tolist() == [[2, 2, 2], [2, 2, 2]]


def test_copies_are_private():
    a = ndshare.ones((2, 3))
    for b in (a.copy(), copy.copy(a), copy.deepcopy(a), copy.deepcopy([a])[0],
              np.array(a)):
        assert type(b) is np.ndarray and not np.shares_memory(a, b)
        assert b.tolist() == a.tolist()
    assert a.T.copy("K").flags.f_contiguous


def test_another_process_sees_the_same_memory(name):
    a = ndshare.zeros((2, 3), name=name)
    run(f"ndshare.attach({name!r})[1] = 5")
    assert a.tolist() == [[0, 0, 0], [5, 5, 5]]
    assert np.load(f"/dev/shm/{name}").tolist() == a.tolist()
    assert a.name == a[1:].name == name
    assert ndshare.zeros(3).name is None


def test_modes(name):
    a = ndshare.zeros(3, name=name)
    r = ndshare.attach(name, "r")
    c = ndshare.attach(name, mode="c")
    a[1] = 1
    c[0] = 9
    assert a.tolist() == r.tolist() == [0, 1, 0] and c.tolist() == [9, 1, 0]
    with pytest.raises(ValueError, match="read-only"):
        r[0] = 1
    with pytest.raises(ValueError):
        r.flags.writeable = True


def test_a_name_that_is_missing(name):
    with pytest.raises(FileNotFoundError, match=name) as e:
        ndshare.attach(name)
    assert e.value.errno == 2
    with pytest.raises(TimeoutError):
        ndshare.attach(name, wait=0.01)
    with pytest.raises(FileNotFoundError):
        ndshare.unlink(name)


def test_a_name_is_waited_for(name):
    child = subprocess.Popen(
        [sys.executable, "-c", "import ndshare, sys; sys.stdin.read();"
         f"ndshare.zeros(3, name={name!r})"], stdin=subprocess.PIPE)
    child.stdin.close()
    assert ndshare.attach(name, wait=30).shape == (3,)
    assert child.wait() == 0


def test_names_that_are_taken(name):
    a = ndshare.zeros(3, name=name, mode=0o640)
    assert stat.S_IMODE(os.stat(f"/dev/shm/{name}").st_mode) == 0o640
    with pytest.raises(FileExistsError, match=name):
        ndshare.ones(3, name=name)
    b = ndshare.ones(3, name=name, replace=True)
    assert a.sum() == 0 and ndshare.attach(name).sum() == 3
    assert b.sum() == 3


def test_a_view_outlives_name_and_handle(name, nothing_left):
    a = ndshare.ones((10, 10), name=name)
    part = a[2:4, ::3]
    ndshare.unlink(name)
    del a
    part += 1
    assert part.sum() == 16
    m = memoryview(part)
    del part
    assert m[0, 0] == 2
    del m


def test_used_names_go_with_the_last_user(name):
    a = ndshare.zeros(3, name=name, lifetime="used")
    b = ndshare.attach(name)
    del a
    assert ndshare.info(name).lifetime == "used"
    del b
    with pytest.raises(FileNotFoundError):
        ndshare.info(name)


def test_ls_and_info(name):
    a = ndshare.zeros((2, 3), "<i4", "F", name=name, mode=0o600)
    one = ndshare.info(name)
    assert one in ndshare.ls()
    assert one[:6] == (name, "array", "<i4", (2, 3), "F", 24)
    assert one.lock_state == "free" and one.mode == 0o600
    with a.lock:
        assert str(os.getpid()) in ndshare.info(name).lock_state
    assert ndshare.info(name).generation == 1


def test_gc_removes_what_the_dead_left(name):
    run(f"""
import os
a = ndshare.zeros(3, name={name!r}, lifetime='used')
os._exit(0)""")
    assert name in [one.name for one in ndshare.gc(dry_run=True)
                    if one.removed]
    assert name in [one.name for one in ndshare.gc() if one.removed]
    assert name not in [one.name for one in ndshare.ls(all=True)]


def test_files(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.).reshape(2, 3))
    a = ndshare.from_file(tmp_path / "a.npy")
    a[0] = 9
    a.flush()
    assert np.load(tmp_path / "a.npy").tolist() == [[9, 9, 9], [3, 4, 5]]
    raw = ndshare.from_file(str(tmp_path / "raw"), "w+", "<i2", (3, 4), "F", 6)
    raw[...] = np.arange(12).reshape(3, 4)
    again = np.memmap(tmp_path / "raw", "<i2", "r", 6, (3, 4), "F")
    assert (again == raw).all()
    c = ndshare.from_file(tmp_path / "raw", "c", "<i2", offset=6)
    c[:] = 0
    assert c.shape == (12,) and (again == raw).all()
    with pytest.raises(FileNotFoundError):
        ndshare.from_file(tmp_path / "none.npy")


def test_dlpack_and_the_array_interface():
    a = ndshare.ones((2, 3))
    if hasattr(np, "from_dlpack"):
        b = np.from_dlpack(a)  # NumPy 1: read-only
        a[0] = 5
        assert b[0, 0] == 5 and np.shares_memory(a, b)
        del a
        assert b.sum() == 18

    class Face:
        __array_interface__ = ndshare.full(3, 2.0).__array_interface__

    # An interface alone keeps nothing alive; the buffer protocol does.
    a = ndshare.full(3, 2.0)
    face = Face()
    face.__array_interface__ = a.__array_interface__
    assert np.asarray(face).tolist() == [2, 2, 2]
    assert bytes(memoryview(a).cast("B")) == a.tobytes()


def test_views_at_the_interpreters_exit():
    out = run("""
import atexit, sys
a = ndshare.zeros((100, 100))
cycle = [a[1:]]
cycle.append(cycle)
sys.kept = a[::2].T
atexit.register(lambda: print(sys.kept.sum()))
class Late:
    def __init__(self, a): self.a = a
    def __del__(self): print(self.a.shape)
late = Late(a[3:])
""")
    assert out.split("\n")[:2] == ["0.0", "(97, 100)"]
