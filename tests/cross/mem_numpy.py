# SPDX-License-Identifier: MIT
"""Named arrays, raw blocks and files, shared with stock Python and NumPy.

    python3 mem_numpy.py DRIVER
"""
import os
import subprocess
import sys

try:
    import numpy as np
    from multiprocessing import resource_tracker, shared_memory
except ImportError as fault:
    print("skipped: %s" % fault)
    sys.exit(77)

DRIVER = sys.argv[1]
NAME = "t-xmem-%d" % os.getpid()
PATH = "/dev/shm/" + NAME
FILE = "/tmp/" + NAME


def ours(*words):
    done = subprocess.run([DRIVER] + [str(w) for w in words],
                          stdout=subprocess.PIPE, universal_newlines=True,
                          timeout=60)
    assert done.returncode == 0, (words, done.returncode)
    return done.stdout.rstrip("\n")


def same(got, want):
    assert got == want, "%r is not %r" % (got, want)


def named_arrays():
    for dtype in ("?", "i1", "<i8", ">u4", "f2", "<f4", "f8", "g", "F", "D"):
        for shape in ((), (0,), (7,), (3, 4), (2, 3, 4), (2, 0, 3)):
            for order in "CF":
                ours("create", NAME, dtype, ",".join(map(str, shape)), order)
                a = np.load(PATH, mmap_mode="r+")
                same(a.dtype, np.dtype(dtype))
                same(a.shape, shape)
                count = int(np.prod(shape, dtype=int))
                want = np.arange(count).astype(dtype).reshape(shape)
                assert (np.asarray(a) == want).all()
                if order == "F" and a.ndim > 1 and a.size:
                    assert a.flags.f_contiguous
                del a
                ours("unlink", NAME)
    ours("create", NAME, "f8", "2,3", "C")
    a = np.load(PATH, mmap_mode="r+")
    a[1, 2] = 42.5
    same(ours("print", NAME), str(np.array([[0., 1, 2], [3, 4, 42.5]])))
    # Its users do not need the name.
    ours("unlink", NAME)
    a[0, 0] = 1
    same(float(a.sum()), 0 + 1 + 1 + 2 + 3 + 4 + 42.5)


def sweeping():
    ours("dead", NAME)
    a = np.load(PATH, mmap_mode="r")
    why = ours("sweep", NAME)
    assert "not ndshare" in why, why
    assert os.path.exists(PATH)
    del a
    same(ours("sweep", NAME), "removed")
    assert not os.path.exists(PATH)
    np.save(open(PATH, "wb"), np.arange(3))
    same(ours("sweep", NAME), "not ours")
    os.unlink(PATH)


def raw_blocks():
    mine = shared_memory.SharedMemory(NAME, create=True, size=1001)
    mine.buf[:1001] = bytes(1001)
    mine.buf[1000] = 9
    same(ours("raw-sum", NAME), "1001 9")
    same(ours("raw-fill", NAME, 2), "1001 2002")
    same(sum(mine.buf), 2002)
    mine.close()
    mine.unlink()
    same(ours("raw-create", NAME, 10), "10 0")
    theirs = shared_memory.SharedMemory(NAME)
    # Attaching registers: without this its exit would unlink our name.
    resource_tracker.unregister(theirs._name, "shared_memory")
    same(theirs.size, 10)
    theirs.buf[3] = 77
    same(ours("raw-sum", NAME), "10 77")
    theirs.close()
    ours("unlink", NAME)


def files():
    m = np.memmap(FILE, dtype="<i4", mode="w+", offset=8, shape=(5,))
    m[:] = [1, -2, 3, -4, 5]
    same(ours("file-print", FILE, "<i4", 8), str(np.asarray(m)))
    m.flush()
    del m
    for a in (np.arange(6).reshape(2, 3), np.zeros((0, 3)),
              np.array(2.5, ">f8"), np.array(["ab", "c"]),
              np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
              np.asfortranarray(np.ones((2, 2), "f4"))):
        np.save(open(FILE, "wb"), a)
        same(ours("npy-print", FILE), str(a))


try:
    named_arrays()
    sweeping()
    raw_blocks()
    files()
finally:
    for path in (PATH, FILE):
        if os.path.exists(path):
            os.unlink(path)
print("mem_numpy: ok with NumPy", np.__version__)
