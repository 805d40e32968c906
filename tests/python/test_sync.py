# SPDX-License-Identifier: MIT
"""Locks and their kin: multiprocessing's behaviour, and who dies holding."""
import multiprocessing as mp
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest

import ndshare

METHODS = ["fork", "spawn", "forkserver"]
fork = mp.get_context("fork")


def in_thread(fn, *args):
    """What fn gives in another thread."""
    out = []
    t = threading.Thread(target=lambda: out.append(fn(*args)))
    t.start()
    t.join()
    return out[0]


def dies(fn, *args):
    """fn in a child that is killed after it."""
    def run():
        fn(*args)
        os.kill(os.getpid(), signal.SIGKILL)
    p = fork.Process(target=run)
    p.start()
    p.join()


def test_lock():
    lock = ndshare.Lock()
    assert lock.acquire() is True
    assert lock.acquire(False) is False
    start = time.monotonic()
    assert lock.acquire(timeout=0.1) is False
    assert time.monotonic() - start > 0.09
    assert in_thread(lock.acquire, False) is False
    with pytest.raises(RuntimeError):
        lock.acquire()  # would wait for itself
    assert lock.release() is None
    with pytest.raises(ValueError):
        lock.release()
    assert in_thread(lock.acquire) is True
    with pytest.raises(ValueError):
        lock.release()  # another thread's


def test_rlock():
    lock = ndshare.RLock()
    for _ in range(3):
        assert lock.acquire()
    assert in_thread(lock.acquire, False) is False
    for _ in range(3):
        lock.release()
    assert in_thread(lock.acquire, False) is True
    with pytest.raises(AssertionError):
        lock.release()


def test_context_and_closing():
    with ndshare.Lock() as got:
        assert got is True
    lock = ndshare.Lock()
    lock.close()
    with pytest.raises(ValueError, match="closed"):
        lock.acquire()


def test_repr():
    lock = ndshare.Lock()
    assert repr(lock) == "<Lock(owner=None)>"
    with lock:
        assert repr(lock) == "<Lock(owner=MainProcess)>"
        assert in_thread(repr, lock) == "<Lock(owner=SomeOtherThread)>"
    assert repr(ndshare.Semaphore(3)) == "<Semaphore(value=3)>"
    assert repr(ndshare.Event()).endswith(" unset>")


def test_a_dead_holder_is_told_of():
    lock = ndshare.Lock()
    dies(lock.acquire)
    with pytest.warns(ndshare.OwnerDiedWarning):
        assert lock.acquire(timeout=10)
    assert lock.owner_died
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lock:
            assert not lock.owner_died


def test_a_dead_holder_as_an_error():
    lock = ndshare.Lock()
    dies(lock.acquire)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ndshare.OwnerDiedWarning)
        with pytest.raises(ndshare.OwnerDiedWarning):
            with lock:
                raise AssertionError("not reached")
    assert lock.acquire(timeout=1)  # it was let go


def test_locked():
    lock, rlock = ndshare.Lock(), ndshare.RLock()
    for x in (lock, rlock):
        assert not x.locked()
        with x:
            assert x.locked() and in_thread(x.locked)
        assert not x.locked()
    assert repr(lock) == "<Lock(owner=None)>"
    dies(lock.acquire)
    assert lock.locked() and lock.locked()
    assert repr(lock) == "<Lock(owner=SomeOtherProcess)>"
    with pytest.warns(ndshare.OwnerDiedWarning):
        lock.acquire()
    lock.release()
    assert not lock.locked()
    s = ndshare.Semaphore(1)
    assert not s.locked() and s.acquire() and s.locked()


def test_poison():
    lock = ndshare.Lock()
    with pytest.raises(ValueError):
        lock.poison()
    lock.acquire()
    lock.poison()
    with pytest.raises(RuntimeError):
        lock.acquire()


def test_semaphore():
    s = ndshare.Semaphore(2)
    assert s.get_value() == 2
    assert s.acquire() and s.acquire()
    assert s.acquire(False) is False
    assert s.acquire(True, 0.02) is False
    assert in_thread(s.release) is None
    s.release(2)
    assert s.get_value() == 3
    for bad in (-1, 2**31):
        with pytest.raises(ValueError):
            ndshare.Semaphore(bad)
    with pytest.raises(ValueError):
        s.release(0)


def test_bounded_semaphore():
    s = ndshare.BoundedSemaphore(1)
    with s:
        assert s.get_value() == 0
    with pytest.raises(ValueError, match="released too many times"):
        s.release()


def test_owned_permits_come_back():
    s = ndshare.Semaphore(1, owned=True)
    dies(s.acquire)
    assert s.acquire(timeout=10)
    s.release()
    with pytest.raises(ValueError):
        s.release()


def test_event():
    e = ndshare.Event()
    assert not e.is_set() and e.wait(0) is False and e.wait(0.02) is False
    t = threading.Timer(0.05, e.set)
    t.start()
    assert e.wait(10) is True and e.is_set() and e.wait() is True
    t.join()
    e.clear()
    assert not e.wait(0)


def test_condition_by_itself():
    c = ndshare.Condition()
    for call in (c.wait, c.notify, c.notify_all, c.release):
        with pytest.raises(AssertionError):
            call()
    with c:
        with c:  # as an RLock
            assert c.wait(0.02) is False
    state = []

    def waiter():
        with c:
            state.append("waits")
            c.wait_for(lambda: "go" in state, 20)
            state.append("went")

    t = threading.Thread(target=waiter)
    t.start()
    while "waits" not in state:
        time.sleep(0.001)
    with c:  # so it sleeps
        assert "went" not in state
        state.append("go")
        c.notify()
    t.join()
    assert state[-1] == "went"


@pytest.mark.parametrize("lock", [ndshare.Lock, ndshare.RLock, fork.RLock])
def test_condition_with_a_lock_of_others(lock):
    lock = lock()
    c = ndshare.Condition(lock)
    other = ndshare.Condition(lock)
    with pytest.raises(AssertionError):
        c.wait(0)
    state = []

    def waiter():
        with c:
            state.append("waits")
            c.wait_for(lambda: "go" in state, 20)
            state.append("went")
            other.notify_all()

    t = threading.Thread(target=waiter)
    t.start()
    with other:
        while "waits" not in state:
            other.wait(0.01)
        assert c.wait(0) is False
        state.append("go")
        c.notify()
        assert other.wait_for(lambda: "went" in state, 20)
    t.join()


def wait_and_count(c, ready, woken):
    with c:
        ready.release()
        c.wait()
        woken.release()


@pytest.mark.parametrize("method", METHODS)
def test_condition_in_children(method):
    ctx = mp.get_context(method)
    c, ready = ndshare.Condition(ndshare.Lock()), ndshare.Semaphore(0)
    woken = ndshare.Semaphore(0)
    children = [ctx.Process(target=wait_and_count, args=(c, ready, woken))
                for _ in range(2)]
    for p in children:
        p.start()
    for _ in children:
        assert ready.acquire(timeout=30)
    with c:
        c.notify_all()
    for p in children:
        p.join(30)
        assert p.exitcode == 0
    assert woken.get_value() == 2


def test_condition_is_interrupted():
    c = ndshare.Condition()

    def handler(signum, frame):
        raise InterruptedError

    old = signal.signal(signal.SIGALRM, handler)
    try:
        with c:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(InterruptedError):
                c.wait(20)
            c.notify()  # held again
    finally:
        signal.signal(signal.SIGALRM, old)


def test_barrier():
    b = ndshare.Barrier(2, timeout=20)
    assert (b.parties, b.n_waiting, b.broken) == (2, 0, False)
    out = []
    t = threading.Thread(target=lambda: out.append(b.wait()))
    t.start()
    out.append(b.wait())
    t.join()
    assert sorted(out) == [0, 1]
    with pytest.raises(threading.BrokenBarrierError):
        b.wait(0.02)
    assert b.broken
    with pytest.raises(threading.BrokenBarrierError):
        b.wait()
    b.reset()
    assert not b.broken
    b.abort()
    assert b.broken
    with pytest.raises(ValueError):
        ndshare.Barrier(0)


def test_barrier_action():
    done = []
    b = ndshare.Barrier(2, lambda: done.append(1), 20)
    t = threading.Thread(target=b.wait)
    t.start()
    b.wait()
    assert done == [1]
    t.join()
    b = ndshare.Barrier(1, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        b.wait()
    assert b.broken


def test_barrier_breaks_with_a_member():
    b = ndshare.Barrier(2, timeout=20)
    p = fork.Process(target=b.wait)
    p.start()
    while b.n_waiting == 0:
        time.sleep(0.001)
    p.kill()
    p.join()
    with pytest.raises(threading.BrokenBarrierError):
        b.wait()


def test_barrier_is_interrupted():
    b = ndshare.Barrier(2)

    def handler(signum, frame):
        raise InterruptedError

    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedError):
            b.wait()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert b.broken


def test_rwlock():
    lock = ndshare.RWLock()
    with lock.reader:
        assert in_thread(lock.acquire_read, False) is True
        assert in_thread(lock.acquire_write, False) is False
        lock.release()
    with lock.writer:
        assert in_thread(lock.acquire_read, False) is False
    with pytest.raises(ValueError):
        lock.release()
    dies(lock.acquire_write)
    with pytest.warns(ndshare.OwnerDiedWarning):
        assert lock.acquire_write(timeout=10)


def add_up(lock, sem, event, barrier, counter):
    event.wait()
    for _ in range(100):
        with lock:
            counter.put(counter.get() + 1)
    barrier.wait()
    sem.release()


@pytest.mark.parametrize("method", METHODS)
def test_all_in_children(method):
    ctx = mp.get_context(method)
    things = (ndshare.RLock(), ndshare.Semaphore(0), ndshare.Event(),
              ndshare.Barrier(2), ndshare.Queue())
    things[4].put(0)
    children = [ctx.Process(target=add_up, args=things) for _ in range(2)]
    for p in children:
        p.start()
    things[2].set()
    for _ in children:
        assert things[1].acquire(timeout=30)
    assert things[4].get() == 200
    for p in children:
        p.join()


def test_a_child_of_fork_holds_nothing():
    lock = ndshare.RLock()
    with lock:
        p = fork.Process(target=lambda: os._exit(
            not (lock._is_mine() is False and lock.acquire(False) is False)))
        p.start()
        p.join()
        assert p.exitcode == 0


@pytest.mark.parametrize("cls, args, check", [
    ("Lock", (), "x.acquire(False)"),
    ("RLock", (), "x.acquire(False)"),
    ("Semaphore", (0,), "x.acquire(False)"),
    ("Event", (), "x.is_set()"),
    ("RWLock", (), "x.acquire_read(False)"),
    ("Condition", (), "x.acquire(False)"),
    ("Barrier", (3,), "x.parties != 3"),
])
def test_by_name(name, cls, args, check):
    x = getattr(ndshare, cls)(*args, name=name)
    if cls.endswith("Lock") and cls != "RWLock" or cls == "Condition":
        x.acquire()
    elif cls == "RWLock":
        x.acquire_write()
    assert x.name == name
    code = (f"import ndshare; x = ndshare.{cls}.attach({name!r})\n"
            f"assert not {check}")
    subprocess.run([sys.executable, "-c", code], check=True)
    assert pickle.loads(pickle.dumps(x)).name == name
    ndshare.unlink(name)
    with pytest.raises(FileNotFoundError):
        getattr(ndshare, cls).attach(name)
    with pytest.raises(TimeoutError):
        getattr(ndshare, cls).attach(name, wait=0.02)
