# SPDX-License-Identifier: MIT
"""An array's lock, its generations and its snapshots."""
import os
import signal
import threading
import time

import numpy as np
import pytest

import ndshare


def test_lock_is_one_for_all_views(name):
    a = ndshare.zeros(5, name=name)
    b = ndshare.attach(name)
    with a[1:].lock:
        assert not b.lock.acquire(block=False)
        assert not b.lock.acquire(timeout=0.01)
        with pytest.raises(RuntimeError):
            b.lock.release()
    with ndshare.lock(b) as lock:
        assert not lock.owner_died
    with pytest.raises(PermissionError):
        ndshare.attach(name, "r").lock.acquire()
    with pytest.raises(ValueError, match="private"):
        ndshare.lock(np.zeros(3))


def test_a_poisoned_lock_says_so():
    a = ndshare.zeros(3)
    a.lock.acquire()
    a.lock.poison()
    with pytest.raises(RuntimeError, match="poisoned"):
        a.lock.acquire()


def test_generations_rise():
    a = ndshare.zeros(3)
    seen = a.generation
    assert not a.wait_changed(timeout=0)
    a.changed()
    assert a.generation == seen + 1 and a[1:].wait_changed(after=seen)
    with a.lock:
        pass
    with a.writing():
        pass
    assert a.generation == seen + 3


def test_a_change_wakes_another_process():
    a = ndshare.zeros(3)
    seen = a.generation
    pid = os.fork()
    if pid == 0:
        a[0] = 1
        a.changed()
        os._exit(0)
    assert a.wait_changed(timeout=30, after=seen) and a[0] == 1
    os.waitpid(pid, 0)


def test_a_signal_ends_a_wait():
    a = ndshare.zeros(3)

    class Alarm(Exception):
        pass

    def ring(number, frame):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        for wait in (lambda: a.wait_changed(timeout=30),
                     lambda: ndshare.attach("pyt-never", wait=30)):
            start = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Alarm):
                wait()
            assert time.monotonic() - start < 10
    finally:
        signal.signal(signal.SIGALRM, before)


def test_waiting_lets_other_threads_run():
    a = ndshare.zeros(3)
    seen = a.generation
    thread = threading.Timer(0.02, a.changed)
    thread.start()
    assert a.wait_changed(timeout=30, after=seen)
    thread.join()


def test_a_snapshot_is_never_torn():
    a = ndshare.zeros(20000, "i8")
    pid = os.fork()
    if pid == 0:
        for i in range(1, 1 << 40):
            with a.writing():
                a[:] = i
            time.sleep(0.0002)
    try:
        distinct = set()
        end = time.monotonic() + 30
        while len(distinct) < 20 and time.monotonic() < end:
            s = a.snapshot(timeout=30)
            assert type(s) is np.ndarray and (s == s[0]).all()
            distinct.add(int(s[0]))
        assert len(distinct) == 20
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_writer_that_died_is_told_of():
    a = ndshare.zeros(3)
    pid = os.fork()
    if pid == 0:
        with a.writing():
            a[0] = 1
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    with pytest.raises(RuntimeError):
        a.snapshot(timeout=30)
    with a.writing() as died:
        assert died
        a[:] = 2
    assert a.snapshot().tolist() == [2, 2, 2]


def test_writing_waits_for_a_writer():
    a = ndshare.zeros(3)
    with a.writing():
        with pytest.raises(TimeoutError):
            a.snapshot(timeout=0.02)
        with pytest.raises(TimeoutError):
            with a.writing(timeout=0.02):
                pass
    assert a[::2].snapshot().tolist() == [0, 0]
