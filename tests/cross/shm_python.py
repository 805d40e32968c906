# SPDX-License-Identifier: MIT
"""SharedMemory, ShareableList and memmap of this interpreter, and ours.

    python3 shm_python.py DRIVER
"""
import os
import signal
import subprocess
import sys
from multiprocessing import resource_tracker, shared_memory
from multiprocessing.managers import SharedMemoryManager
from multiprocessing.shared_memory import ShareableList, SharedMemory

try:
    import numpy as np
except ImportError:
    np = None

DRIVER = sys.argv[1]
NAME = "t-shm-%d" % os.getpid()
OLD = sys.version_info < (3, 9)
COUNT = 0


def same(got, want):
    global COUNT
    COUNT += 1
    assert got == want, "%r is not %r" % (got, want)


def ours(*words, **how):
    done = subprocess.run([DRIVER] + [str(w) for w in words],
                          stdout=subprocess.PIPE, universal_newlines=True,
                          stderr=subprocess.PIPE, timeout=60)
    same((done.returncode, done.stderr if not how else ""),
         (how.get("code", 0), ""))
    return done.stdout.rstrip("\n")


def start(*words):
    return subprocess.Popen([DRIVER] + list(words), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, universal_newlines=True)


def line(child):
    return child.stdout.readline().rstrip("\n")


def end(child):
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()


def untracked(shm):
    """What others made is theirs to unlink."""
    resource_tracker.unregister(shm._name, "shared_memory")
    return shm


def exists(name):
    return os.path.exists("/dev/shm/" + name)


LISTS = [
    [], [1], [True, False, None], [-2**63, 2**63 - 1, 0], [1.5, -0.0, 1e300],
    ["", "a", "1234567", "12345678", "h\xe9llo"], [b"", b"abc", b"\x00\x01"],
    [7, 1.5, True, None, "howdy", b"\x01\x02", ""], ["x" * 1000, b"y" * 999],
    list(range(500)),
]


def lists():
    for values in LISTS:
        theirs = ShareableList(values, name=NAME)
        shown = "ShareableList(%r, name='%s')" % (values, NAME)
        same(ours("list-show", NAME), shown)
        for i in range(len(values)):
            ours("list-set", NAME, i, repr(values[-1 - i])
                 if not isinstance(values[-1 - i], (str, bytes)) else "7")
        for i, v in enumerate(theirs):
            want = values[-1 - i]
            same(v, 7 if isinstance(want, (str, bytes)) else want)
        theirs.shm.close()
        theirs.shm.unlink()

        ours("list-make", NAME, repr(values), *(["38"] if OLD else []))
        theirs = ShareableList(name=NAME)
        untracked(theirs.shm)
        same(list(theirs), values)
        same([type(v) for v in theirs], [type(v) for v in values])
        if values:
            theirs[0] = None
            same(ours("list-show", NAME), "ShareableList(%r, name='%s')" % (
                [None] + values[1:], NAME))
        theirs.shm.close()
        os.unlink("/dev/shm/" + NAME)
    # What does not fit is refused in the same words.
    theirs = ShareableList(["12345"], name=NAME)
    same(ours("list-set", NAME, 0, "'123456789'", code=1), "NDS_EBUFFER")
    theirs.shm.close()
    theirs.shm.unlink()


def blocks():
    for n in (1, 10, 4096, 100001):
        theirs = SharedMemory(name=NAME, create=True, size=n)
        theirs.buf[:] = bytes(bytearray(i * 3 % 256 for i in range(n)))
        same(ours("raw-sum", NAME), "%d of %d" % (sum(theirs.buf), n))
        same(ours("raw-sum", "/" + NAME), "%d of %d" % (sum(theirs.buf), n))
        theirs.close()
        theirs.unlink()
        ours("raw-make", NAME, n)
        theirs = untracked(SharedMemory(name=NAME))
        same(theirs.size, n)
        same(bytes(theirs.buf), bytes(bytearray(i % 256 for i in range(n))))
        theirs.buf[0] = 200
        same(ours("raw-sum", NAME), "%d of %d" % (sum(theirs.buf), n))
        theirs.close()
        if np is not None:
            mapped = np.memmap("/dev/shm/" + NAME, np.uint8, "r+")
            mapped[0] = 100
            same(ours("raw-sum", NAME), "%d of %d" % (
                int(mapped.sum(dtype=int)), n))
            del mapped
        os.unlink("/dev/shm/" + NAME)
    with SharedMemoryManager() as manager:
        theirs = manager.SharedMemory(size=100)
        theirs.buf[5] = 9
        same(ours("raw-sum", theirs.name), "9 of 100")
        theirs.close()


ATTACH = """
import sys
from multiprocessing.shared_memory import SharedMemory
shm = SharedMemory(name=sys.argv[1], **eval(sys.argv[2]))
shm.buf[0] = 50
if sys.argv[3] == "kill":
    import os
    os.kill(os.getpid(), 9)
shm.close()
"""


def visit(how, **options):
    """A program that attaches and ends; then its tracker has ended too."""
    child = subprocess.Popen(
        [sys.executable, "-c", ATTACH, NAME, repr(options), how],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # The tracker has the pipe as well: its end is both ends.
    child.stdout.read()
    child.stdout.close()
    child.wait()


def trackers():
    """A program that attached by SharedMemory ends, and the name is gone."""
    for how in ("end", "kill"):
        ours("raw-make", NAME, 10)
        child = start("hold", NAME)
        try:
            same(line(child), "NDS_OK")
            visit(how)
            same(exists(NAME), False)
            child.stdin.write("\n")
            child.stdin.flush()
            same(line(child), "NDS_ENOENT")
            same(line(child), "%d of 10" % (sum(range(10)) + 50))
            same(child.wait(30), 0)
        finally:
            end(child)
    if sys.version_info >= (3, 13):
        ours("raw-make", NAME, 10)
        visit("end", track=False)
        same(exists(NAME), True)
        os.unlink("/dev/shm/" + NAME)


def scopes():
    for killed in (False, True):
        child = start("scope")
        try:
            block, listed = line(child), line(child)
            shm = untracked(SharedMemory(name=block))
            theirs = ShareableList(name=listed) if not OLD else None
            if theirs is not None:
                untracked(theirs.shm)
                same(list(theirs), [1, "two"])
            if killed:
                child.send_signal(signal.SIGKILL)
                child.wait()
                same((exists(block), exists(listed)), (True, True))
                ours("sweep")
            else:
                child.stdin.write("\n")
                child.stdin.flush()
                same(child.wait(30), 0)
            same((exists(block), exists(listed)), (False, False))
            shm.buf[0] = 1  # whoever has it keeps it
            shm.close()
            if theirs is not None:
                theirs.shm.close()
        finally:
            end(child)


def main():
    try:
        lists()
        blocks()
        trackers()
        scopes()
    finally:
        if exists(NAME):
            os.unlink("/dev/shm/" + NAME)
    print("shm_python: CPython %s, NumPy %s: %d checks" % (
        sys.version.split()[0], np.__version__ if np else "none", COUNT))


if __name__ == "__main__":
    main()
