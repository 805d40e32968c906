# SPDX-License-Identifier: MIT
"""Unchanged multiprocessing, concurrent.futures and friends, zero-copy."""
import concurrent.futures
import multiprocessing as mp
import os
import signal
import sys
import threading

import joblib
import numpy as np
import pytest

import ndshare

METHODS = ["fork", "spawn", "forkserver"]
INHERITED = ndshare.zeros(4)


def add_one(a):
    a += 1
    return a


def double_into(source, target):
    target[...] = source * 2
    return type(source).__name__


def make(n):
    return ndshare.full(n, n)


def through(receive, send):
    a = receive()
    a[0] = os.getpid()
    send(a[::2])


def serve(q, r):
    while (a := q.get()) is not None:
        a *= 10
        r.put(a.shape)


def die_with(q):
    q.get()
    os.kill(os.getpid(), signal.SIGKILL)


def die_holding(a, ready):
    a.lock.acquire()
    a[0] = 1
    ready.set()
    os.kill(os.getpid(), signal.SIGKILL)


def touch(a):
    a[1] = 5
    INHERITED[2] += 1


@pytest.fixture(params=METHODS)
def context(request):
    return mp.get_context(request.param)


@pytest.mark.parametrize("method", METHODS)
def test_pool_map(method, nothing_left):
    arrays = [ndshare.full((100, 100), i) for i in range(6)]
    with mp.get_context(method).Pool(2) as pool:
        back = pool.map(add_one, arrays)
        parts = pool.map(add_one, [arrays[0][:50], arrays[0][50:].T])
        made = pool.map(make, [3, 4])
        assert [m.tolist() for m in made] == [[3] * 3, [4] * 4]
        pool.close()
        pool.join()
    for i, (a, b) in enumerate(zip(arrays, back)):
        assert (b == a).all() and a[1, 1] == i + 1 + (i == 0)
        b[0, 0] = -1
        assert a[0, 0] == -1
    assert [p.shape for p in parts] == [(50, 100), (100, 50)]


def test_pool_starmap_and_imap(context):
    a, b = ndshare.ones(1000), ndshare.zeros(1000)
    with context.Pool(2) as pool:
        halves = [(a[:500], b[:500]), (a[500:], b[500:])]
        names = pool.starmap(double_into, halves)
        assert names == ["ndarray", "ndarray"] and (b == 2).all()
        for part in pool.imap_unordered(add_one, [b[:10], b[10:20]]):
            assert (part == 3).all()


def test_an_unchanged_queue_and_pipe(context, nothing_left):
    q, r = context.Queue(), context.Queue()
    child = context.Process(target=serve, args=(q, r))
    child.start()
    arrays = [ndshare.ones((3, i)) for i in range(1, 5)]
    for a in arrays:
        q.put(a)
        q.put(a.T)
    del a
    q.put(None)
    shapes = [r.get(timeout=20) for _ in range(8)]
    child.join()
    assert child.exitcode == 0
    assert shapes == [s for i in range(1, 5) for s in ((3, i), (i, 3))]
    assert all((a == 100).all() for a in arrays)
    here, there = context.Pipe()
    child = context.Process(target=through, args=(there.recv, there.send))
    child.start()
    a = ndshare.zeros(5)
    here.send(a)
    half = here.recv()
    assert a[0] == child.pid and half.shape == (3,)
    half[2] = 7
    assert a[4] == 7
    child.join()
    del child, here, there


def test_process_arguments_and_inheritance(context):
    a = ndshare.zeros(3)
    INHERITED[:] = 0
    child = context.Process(target=touch, args=(a,))
    child.start()
    child.join()
    assert child.exitcode == 0 and a.tolist() == [0, 5, 0]
    # Only fork inherits globals; the others import this module anew.
    inherits = context.get_start_method() == "fork"
    assert INHERITED[2] == (1 if inherits else 0)


def test_concurrent_futures(context, nothing_left):
    if sys.version_info < (3, 9) and context.get_start_method() != "fork":
        return
    arrays = [ndshare.zeros(10) for _ in range(4)]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as ex:
        back = list(ex.map(add_one, arrays))
        one = ex.submit(make, 7).result()
    assert all((a == 1).all() for a in arrays) and one.tolist() == [7] * 7
    back[0][0] = 3
    assert arrays[0][0] == 3


def test_worker_ends_right_after_its_result(context):
    with context.Pool(2, maxtasksperchild=1) as pool:
        for n, a in zip(range(1, 9), pool.imap(make, range(1, 9))):
            assert a.tolist() == [n] * n


def test_a_manager_passes_handles_on():
    with mp.get_context("fork").Manager() as manager:
        a = ndshare.zeros(3)
        hosted = manager.Queue()
        hosted.put(a)
        hosted.get()[1] = 4
        assert a.tolist() == [0, 4, 0]


def test_a_receiver_is_killed(context):
    q = context.Queue()
    child = context.Process(target=die_with, args=(q,))
    child.start()
    a = ndshare.ones(1000)
    q.put(a)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    a += 1
    assert (a == 2).all()


def test_a_holder_of_the_lock_is_killed(context):
    a = ndshare.zeros(3)
    ready = context.Event()
    child = context.Process(target=die_holding, args=(a, ready))
    child.start()
    child.join()
    with pytest.warns(ndshare.OwnerDiedWarning, match="died"):
        assert a.lock.acquire(timeout=30)
    lock = a.lock
    lock.release()
    with a.lock as lock:
        assert not lock.owner_died and a[0] == 1


def test_threads_share_and_send():
    a = ndshare.zeros(1)

    def work():
        for _ in range(200):
            with ndshare.lock(a):
                a[0] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert a[0] == 800


def test_fork_without_exec_keeps_views(nothing_left):
    a = ndshare.zeros(10)
    part = a[3:7]
    data = ndshare.handle(part)
    pid = os.fork()
    if pid == 0:
        part[:] = 4
        del globals()["INHERITED"]
        ndshare.from_handle(data)[0] = 5
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert a.tolist() == [0, 0, 0, 5, 4, 4, 4, 0, 0, 0]


def test_joblib():
    a = ndshare.zeros(4)
    joblib.Parallel(2)(joblib.delayed(add_one)(a[i:i + 2]) for i in (0, 2))
    assert a.tolist() == [1, 1, 1, 1]


def total_and_write(a):
    total = float(a.sum())
    a[...] = -1
    return total, a


def test_the_reducer_moves_large_plain_arrays(context, nothing_left):
    big, small = np.ones((300, 400)), np.ones(3)
    ndshare.install_reducer(min_bytes=1000)
    ndshare.install_reducer(min_bytes=1000)
    try:
        data = mp.reduction.ForkingPickler.dumps(big)
        assert len(data) < 200
        assert mp.reduction.ForkingPickler.loads(data).sum() == 120000
        data = mp.reduction.ForkingPickler.dumps(big.T)
        assert mp.reduction.ForkingPickler.loads(data).flags.fnc
        q = context.Queue()
        for a in (big, small, big[::2], np.ones(500, object)):
            q.put(a)
            b = q.get(timeout=20)
            assert type(b) is np.ndarray and b.dtype == a.dtype
            assert (a == b).all() and not np.shares_memory(a, b)
        del b
    finally:
        ndshare.uninstall_reducer()
    ndshare.uninstall_reducer()
    assert len(mp.reduction.ForkingPickler.dumps(big)) > big.nbytes
    with context.Pool(1) as pool:
        (total, back), = pool.map(total_and_write, [big])
    assert total == 120000 and (big == 1).all() and (back == -1).all()
