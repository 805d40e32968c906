# SPDX-License-Identifier: MIT
"""A stock SyncManager's client against our server: every type, in Python's
words, and what a killed client leaves.

    python3 mgr_sync.py DRIVER
"""
import multiprocessing as mp
import os
import queue
import random
import signal
import sys
import threading
import time
from array import array
from multiprocessing import managers
from multiprocessing.managers import SyncManager

from mgr_peer import Server, raises

DRIVER = sys.argv[1]
KEY = b"secret"
mp.current_process().authkey = KEY


def until(what):
    for _ in range(1500):
        if what():
            return
        threading.Event().wait(0.01)
    raise AssertionError("not in time")


def lists(m):
    p = m.list([3, 1, 2])
    p.append("four")
    assert p[3] == "four" and len(p) == 4 and p[-1] == "four"
    assert p[1:3] == [1, 2] and p[::-1] == ["four", 2, 1, 3]
    assert p.pop() == "four" and p.pop(0) == 3
    p.extend([5, 4.5])
    p.sort()
    assert list(p) == [1, 2, 4.5, 5] and 2.0 in p and 7 not in p
    p.sort(reverse=True)
    p.reverse()
    p.insert(1, (1, [2]))
    assert p.index(2) == 2 and p.count(5) == 1 and str(p) == repr(p[:])
    p.remove((1, [2]))
    assert p + [9] == [1, 2, 4.5, 5, 9] and p * 2 == p[:] + p[:]
    p += [8]
    p[1:3] = ["x", "y", "z"]
    del p[0]
    p[0] = {"a": None}
    assert p[:] == [{"a": None}, "y", "z", 5, 8], p[:]
    p[::2] = [0, 0, 0]
    del p[::2]
    assert p._getvalue() == ["y", 5]
    raises(IndexError, "list index out of range", p.__getitem__, 9)
    raises(IndexError, "pop from empty list", m.list().pop)
    raises(ValueError, "7 is not in list", p.index, 7)
    raises(ValueError, "list.remove(x): x not in list", p.remove, 7)
    raises(TypeError, "'<' not supported", p.sort)


def dicts(m):
    d = m.dict({"a": 1}, b=2)
    d[(1, "x")] = [1, 2]
    assert d["a"] == 1 and d[(1, "x")] == [1, 2] and len(d) == 3
    assert sorted(d.keys(), key=str) == sorted(["a", "b", (1, "x")], key=str)
    assert list(d) == ["a", "b", (1, "x")] and d.items()[1] == ("b", 2)
    assert d.get("zz") is None and d.get("zz", 5) == 5 and "b" in d
    assert d.pop("b") == 2 and d.pop("b", 7) == 7
    assert d.setdefault("n", 1) == 1 and d.setdefault("n", 2) == 1
    d.update({"a": 5}, z=6)
    over = iter(d)
    assert next(over) == "a" and list(iter(d))[-1] == "z"
    d["more"] = 1
    raises(RuntimeError, "changed size during iteration", next, over)
    del d["more"]
    assert list(over) == [(1, "x"), "n", "z"] and list(over) == []
    assert d.values() == [5, [1, 2], 1, 6] and d.popitem() == ("z", 6)
    assert d.copy() == {"a": 5, (1, "x"): [1, 2], "n": 1} == d._getvalue()
    del d["n"]
    raises(KeyError, "'n'", d.__getitem__, "n")
    raises(KeyError, "3", d.__delitem__, 3)
    raises(TypeError, "unhashable", d.__setitem__, [1], 1)
    d.clear()
    for i in range(500):
        d["k%d" % i] = i
        d[i] = float(i)
    d[7.0] = "seven"        # the same key as 7
    d[9] = "nine"
    assert len(d) == 1000 and d[7] == "seven" and d[True] == 1.0
    for i in range(0, 500, 3):
        assert d.pop("k%d" % i) == i
    assert [k for k in d.keys() if k == "k300"] == []
    assert all(d["k%d" % i] == i for i in range(500) if i % 3)
    assert d[9] == "nine" and len(d) == 1000 - 167
    d.clear()
    assert d.copy() == {}
    raises(KeyError, "dictionary is empty", d.popitem)
    outer = m.list([m.dict(q=1)])
    outer.append(m.list([1]))
    outer[0]["q"] = 7
    assert outer[0]["q"] == 7 and outer[1][:] == [1]


def answer(call, *args):
    """What it gives, or how it fails."""
    try:
        got = call(*args)
    except Exception as fault:
        return type(fault)
    return sorted(got, key=str) if hasattr(got, "__next__") else got


def sets(m):
    """From 3.14 on: a stock server's set beside ours."""
    if not hasattr(m, "set"):
        return
    dice = random.Random(14)
    methods = [n for n in managers.SetProxy._exposed_ if "class" not in n]
    some = (1, 2, 3.0, "a", "b", None, (1, 2), frozenset({1}))
    with mp.Manager() as stock:
        for _ in range(40):
            start = [dice.choice(some) for _ in range(dice.randrange(6))]
            ours, theirs = m.set(start), stock.set(start)
            for _ in range(25):
                name = dice.choice(methods)
                x = [dice.choice(some) for _ in range(dice.randrange(4))]
                x = dice.choice((set, frozenset, tuple, list))(x)
                if name in ("add", "remove", "discard", "__contains__"):
                    x = dice.choice(some + ([], {1}))
                few = (() if name in ("__len__", "__iter__", "copy", "clear")
                       else (x,))
                if name == "pop":
                    continue  # which one is nobody's business
                a, b = (answer(p._callmethod, name, few)
                        for p in (ours, theirs))
                assert a == b and type(a) is type(b), (name, few, a, b)
                assert ours.copy() == theirs.copy(), (name, few)
        assert ours.pop() not in ours.copy() if len(ours) else True
        d, e = m.dict(a=1, b=2), stock.dict(a=1, b=2)
        p, q = m.list([1, 2]), stock.list([1, 2])
        for a, b in (((d | {"c": 3}), (e | {"c": 3})),
                     (({"a": 9} | d), ({"a": 9} | e)),
                     (list(reversed(d)), list(reversed(e))),
                     (d.fromkeys([1, 2], 5), e.fromkeys([1, 2], 5)),
                     (p.copy(), q.copy()), (p.clear(), q.clear()),
                     (p[:], q[:]), (list(reversed(p)), list(reversed(q))),
                     (m.Lock().locked(), stock.Lock().locked())):
            assert a == b and type(a) is type(b), (a, b)


def cells(m):
    n = m.Namespace(x=1)
    n.y = [1]
    assert n.x == 1 and n.y == [1]
    n.b = 'text'
    assert str(n) == "Namespace(b='text', x=1, y=[1])"
    assert n._getvalue().y == [1]
    del n.x
    raises(AttributeError, "no attribute 'x'", lambda: n.x)
    v = m.Value("i", 5)
    v.value = 6
    assert v.get() == 6 and str(v) == "Value('i', 6)"
    assert v._getvalue().value == 6
    a = m.Array("i", [1, 2, 3])
    a[1] = 7
    assert len(a) == 3 and a[1] == 7 and a[0:2] == array("i", [1, 7])
    assert a[::-1] == array("i", [3, 7, 1]) and a[5:] == array("i")
    assert str(a) == "array('i', [1, 7, 3])"
    assert a._getvalue() == array("i", [1, 7, 3])
    assert m.Array("d", [0.5, 2])[:] == array("d", [0.5, 2])
    assert m.Array("Q", [2 ** 64 - 1])[:] == array("Q", [2 ** 64 - 1])
    raises(IndexError, "index out of range", a.__getitem__, 3)
    raises(TypeError, "integer", a.__setitem__, 0, 1.5)
    raises(OverflowError, "", a.__setitem__, 0, 1 << 40)


def queues(m):
    q = m.Queue(2)
    q.put(1)
    q.put_nowait("two")
    assert q.full() and q.qsize() == 2
    raises(queue.Full, "", q.put_nowait, 3)
    raises(queue.Full, "", q.put, 3, True, 0.01)
    assert q.get() == 1 and q.get_nowait() == "two" and q.empty()
    raises(queue.Empty, "", q.get, False)
    raises(queue.Empty, "", q.get, True, 0.01)
    j = m.JoinableQueue()
    threading.Timer(0.05, j.put, (5,)).start()
    assert j.get(timeout=30) == 5
    j.task_done()
    j.join()
    raises(ValueError, "called too many times", j.task_done)


def locks(m):
    for lock in (m.Lock(), m.RLock()):
        assert lock.acquire() and lock.release() is None
        with lock:
            pass
        raises(RuntimeError, "release", lock.release)
    lock = m.Lock()
    lock.acquire()
    assert lock.acquire(False) is False and lock.acquire(True, 0.01) is False
    r = m.RLock()
    assert r.acquire() and r.acquire()
    got = []
    t = threading.Thread(target=lambda: got.append(r.acquire(False)))
    t.start()
    t.join()
    assert got == [False]
    r.release()
    r.release()
    s = m.BoundedSemaphore(2)
    assert s.acquire() and s.acquire() and s.acquire(False) is False
    s.release()
    s.release()
    raises(ValueError, "released too many times", s.release)
    u = m.Semaphore(0)
    u.release()
    assert u.acquire()
    c = m.Condition()
    raises(RuntimeError, "un-acquired", c.notify)
    seen = []

    def waiter():
        with c:
            seen.append("in")
            seen.append(c.wait(30))
    t = threading.Thread(target=waiter)
    t.start()
    until(lambda: seen)
    with c:
        c.notify_all()
    t.join()
    assert seen == ["in", True]
    with c:
        assert c.wait(0.01) is False
        assert c.wait_for(lambda: True)


def events(m):
    e = m.Event()
    assert not e.is_set() and e.wait(0.01) is False
    threading.Timer(0.05, e.set).start()
    assert e.wait(30) is True and e.is_set()
    e.clear()
    assert not e.is_set()
    b = m.Barrier(2)
    got = []
    t = threading.Thread(target=lambda: got.append(b.wait()))
    t.start()
    got.append(b.wait(30))
    t.join()
    assert sorted(got) == [0, 1] and b.parties == 2 and not b.broken
    raises(threading.BrokenBarrierError, "", b.wait, 0.01)
    assert b.broken
    b.reset()
    assert not b.broken and b.n_waiting == 0
    # A reset turns away who waits, and nobody who comes after it.
    told = []

    def waits():
        try:
            b.wait()
        except threading.BrokenBarrierError:
            told.append(True)
            b.wait()

    t = threading.Thread(target=waits)
    t.start()
    while b.n_waiting == 0:
        time.sleep(0.001)
    b.reset()
    b.wait(30)
    t.join()
    assert told == [True]
    raises(threading.BrokenBarrierError, "",
           m.Barrier(2, timeout=0.01).wait)


def holder(p, kind, ready):
    p.get() if kind == "get" else p.acquire()
    ready.set()
    time.sleep(600)


def kills(m):
    """A client that is killed while it holds a lock leaves it free."""
    fork = mp.get_context("fork")
    for p in (m.Lock(), m.RLock(), m.Condition()):
        ready = m.Event()
        c = fork.Process(target=holder, args=(p, "acquire", ready))
        c.start()
        assert ready.wait(60)
        assert p.acquire(False) is False
        os.kill(c.pid, signal.SIGKILL)
        c.join()
        assert p.acquire(True, 60) is True
        p.release()
    # Permits come back, but no more than there were.
    for p, left in ((m.BoundedSemaphore(2), 2), (m.Semaphore(2), 2),
                    (m.Semaphore(0), 0)):
        if left == 0:
            p.release()     # an event, not a permit to be given back
        ready = m.Event()
        c = fork.Process(target=holder, args=(p, "acquire", ready))
        c.start()
        assert ready.wait(60)
        os.kill(c.pid, signal.SIGKILL)
        c.join()
        for _ in range(left):
            assert p.acquire(True, 60) is True
        assert p.acquire(True, 0.5) is False
    # One that waited takes no item with it.
    q, ready = m.Queue(), m.Event()
    c = fork.Process(target=holder, args=(q, "get", ready))
    c.start()
    until(lambda: "<Queue object, calls under way: 1>" in m._debug_info())
    os.kill(c.pid, signal.SIGKILL)
    c.join()
    q.put("kept")
    assert q.get(timeout=60) == "kept"


def segments(address):
    """A SharedMemoryManager's client: what it leaves goes with the server."""
    from multiprocessing import resource_tracker
    from multiprocessing.managers import SharedMemoryManager
    m = SharedMemoryManager(address, KEY)
    m.connect()
    kept, gone = m.SharedMemory(100), m.ShareableList([1, "two"])
    for name in (kept._name, gone.shm._name):
        # It is the manager's from here on; this process's tracker would warn.
        resource_tracker.unregister(name, "shared_memory")
    with m._Client(address, authkey=KEY) as conn:
        conn.send((None, "list_segments", (), {}))
        kind, names = conn.recv()
        assert kind == "#RETURN" and set(names) == {kept.name, gone.shm.name}
    with m._Client(address, authkey=KEY) as conn:
        conn.send((None, "release_segment", (gone.shm.name,), {}))
        assert conn.recv() == ("#RETURN", None)
    with m._Client(address, authkey=KEY) as conn:
        conn.send((None, "track_segment", ("../x",), {}))
        assert conn.recv()[0] == "#TRACEBACK"
    assert not os.path.exists("/dev/shm/" + gone.shm.name)
    gone.shm.close()
    kept.close()
    return "/dev/shm/" + kept.name


def main():
    path = "/tmp/t-xsync-%d.sock" % os.getpid()
    for address in (path, "127.0.0.1:0"):
        with Server(DRIVER, address) as s:
            m = SyncManager(s.address, KEY)
            m.connect()
            for part in (lists, dicts, sets, cells, queues, locks, events):
                part(m)
            if address == path:
                kills(m)
                left = segments(s.address)
                assert os.path.exists(left)
        assert not os.path.exists(left)
    print("SyncManager's types: %s" % sys.version.split()[0])


if __name__ == "__main__":
    main()
