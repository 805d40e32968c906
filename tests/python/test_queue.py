# SPDX-License-Identifier: MIT
"""Queues and pipes: multiprocessing's behaviour, arrays as arrays."""
import gc
import multiprocessing as mp
import os
import pathlib
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import wait

import numpy as np
import pytest

import ndshare

METHODS = ["fork", "spawn", "forkserver"]
NO_PICKLE = (AttributeError, pickle.PicklingError)  # the latter from 3.14 on


OBJECTS = [
    1, 1 << 100, 2.5, True, "text", b"bytes", b"", (1, "a"), [1, [2]],
    {"a": np.float64(1)}, np.ma.array([1, 2]), np.array([1, "x"], object),
]
ARRAYS = [
    np.arange(5), np.zeros((3, 0)), np.array(5.5), np.array(["a", "bcd"]),
    np.array(["2020-01-01"], "M8[D]"), np.arange(10)[::-2],
    np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(3, dtype=">i2"),
    np.arange(1000000.0).reshape(1000, 1000)[:, ::2],
    np.broadcast_to(np.arange(4), (3, 4)), np.ones((2,) * 20, "u1"),
]


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda o: type(o).__name__)
def test_objects_come_out_as_they_went_in(obj):
    q = ndshare.Queue()
    q.put(obj)
    out = q.get()
    assert type(out) is type(obj)
    assert (np.array_equal(out, obj) if isinstance(obj, np.ndarray)
            else out == obj)


@pytest.mark.parametrize("a", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_arrays_cross_as_arrays(a):
    q = ndshare.Queue(pickles=False)  # so these are none
    q.put(a)
    out = q.get()
    assert out.dtype == a.dtype and out.shape == a.shape
    assert np.array_equal(out, a) and out.flags.writeable
    assert out.flags.f_contiguous == (a.flags.f_contiguous or
                                      a.size == 0 or a.ndim < 2)
    out[...] = np.zeros((), a.dtype)
    del q, a
    gc.collect()
    assert out.tobytes() == bytes(out.nbytes)


def test_none_is_an_item_like_any_other():
    q = ndshare.Queue()
    q.put(None)
    assert q.get() is None
    with pytest.raises(queue.Empty):
        q.get(False)


def test_timeouts_and_bounds():
    q = ndshare.Queue(2)
    assert q.empty() and not q.full() and q.qsize() == 0
    q.put(1)
    q.put_nowait(2)
    assert q.full() and q.qsize() == 2
    for call in (lambda: q.put(3, False), lambda: q.put_nowait(3),
                 lambda: q.put(3, True, 0), lambda: q.put(3, timeout=-1)):
        with pytest.raises(queue.Full):
            call()
    start = time.monotonic()
    with pytest.raises(queue.Full):
        q.put(3, timeout=0.15)
    assert 0.14 < time.monotonic() - start < 5
    assert q.get() == 1 and q.get_nowait() == 2
    start = time.monotonic()
    with pytest.raises(queue.Empty):
        q.get(True, 0.15)
    assert 0.14 < time.monotonic() - start < 5


def test_bad_arguments():
    q = ndshare.Queue()
    for call in (lambda: q.put(), lambda: q.put(1, True, None, None, None, 6),
                 lambda: q.put(1, blocking=True), lambda: q.put(1, obj=2),
                 lambda: q.get(True, "soon"), lambda: q.put(1, tag=b"x"),
                 lambda: q.put(np.ones(2), move=True),
                 lambda: q.put(None, tag=b"x")):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError):
        q.put(np.ones(1), tag=b"x" * 61)
    with pytest.raises(ValueError):
        q.get(True, float("nan"))
    with pytest.raises(NO_PICKLE):
        q.put(lambda: None)  # cannot be pickled: said here, not later
    assert q.empty()


def test_closed():
    q = ndshare.Queue()
    q.close()
    q.close()
    q.join_thread()
    with pytest.raises(ValueError, match="is closed"):
        q.put(1)
    with pytest.raises(ValueError, match="is closed"):
        q.get()
    assert q.empty()
    with pytest.raises(AssertionError):
        ndshare.Queue().join_thread()
    q = ndshare.Queue()
    q.put(1)
    q.close()
    with pytest.raises(OSError, match="is closed"):
        q.empty()
    q = ndshare.SimpleQueue()
    q.close()
    with pytest.raises(OSError, match="is closed"):
        q.empty()


def test_close_while_a_thread_waits():
    q = ndshare.Queue()
    found = []

    def getter():
        try:
            q.get(timeout=0.3)
        except queue.Empty:
            found.append(True)

    t = threading.Thread(target=getter)
    t.start()
    q.close()
    t.join()
    assert found == [True]


def test_what_was_spilled_gets_out_of_a_closed_queue():
    q, there = ndshare.Queue(max_bytes=1 << 20), ndshare.Queue()
    go = mp.Event()
    p = mp.Process(target=get_all, args=(q, go, there, 30))
    p.start()
    for i in range(30):
        q.put((i, np.full(30000, i)) if i % 2 else np.full(30000, i))
    held = q.loan(3)  # whoever leaves last does not take the handle along
    q.close()
    held.discard()
    go.set()
    assert there.get() == list(range(30))
    p.join()
    q.join_thread()


def spill(q, spilt, n):
    for i in range(n):
        q.put(np.full(30000, i))
    spilt.set()
    time.sleep(60)


def stop(pid):
    """Back when it has stopped: a signal takes its time where much runs."""
    os.kill(pid, signal.SIGSTOP)
    for thread in os.listdir(f"/proc/{pid}/task"):
        stat = pathlib.Path(f"/proc/{pid}/task/{thread}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dies", [False, True])
def test_join_waits_for_what_another_process_spilled(method, dies):
    ctx = mp.get_context(method)
    q, spilt = ndshare.JoinableQueue(max_bytes=1 << 20), ctx.Event()
    p = ctx.Process(target=spill, args=(q, spilt, 20))
    p.start()
    try:
        spilt.wait()
        stop(p.pid)
        got = 0
        while not q.empty():
            q.get()
            q.task_done()
            got += 1
        assert 0 < got < 20 and not q.join(0.2)
        os.kill(p.pid, signal.SIGKILL if dies else signal.SIGCONT)
        while got < 20 and not dies:
            q.get()
            q.task_done()
            got += 1
        deadline = time.monotonic() + 30
        while dies and not q.join(0.1):
            assert time.monotonic() < deadline
            try:
                q.get(timeout=0.1)  # what was on its way
            except queue.Empty:
                continue  # its death is not known yet
            q.task_done()
        assert q.join(10)
    finally:
        p.kill()
        p.join()


def test_a_joinable_queue_with_a_name_waits_for_room(name):
    q = ndshare.JoinableQueue(name=name, max_bytes=1 << 20)
    with pytest.raises(queue.Full):
        for i in range(20):
            q.put(np.full(30000, i), timeout=0.01)
    assert pickle.loads(pickle.dumps(q)).qsize() == q.qsize() > 0


def get_all(q, go, there, n):
    go.wait()
    items = [q.get() for _ in range(n)]
    there.put([int(a[1][0] if isinstance(a, tuple) else a[0]) for a in items])


def test_pickles_can_be_refused():
    q = ndshare.Queue(pickles=False)
    q.put({"a": 1})
    with pytest.raises(pickle.UnpicklingError):
        q.get()
    q.put(b"bytes")
    assert q.get() == b"bytes"


def test_iteration_ends_with_shutdown():
    q = ndshare.Queue()
    q.put_many([1, "two", np.arange(3), None])
    q.shutdown()
    out = list(q)
    assert out[:2] == [1, "two"] and out[3] is None
    with pytest.raises(EOFError):
        q.get()
    with pytest.raises(ValueError):
        q.put(1)


def test_many_at_once():
    q = ndshare.Queue(100)
    assert q.put_many(range(150), timeout=0.05) == 100
    assert q.get_many(30) == list(range(30))
    assert q.get_many(1000) == list(range(30, 100))
    with pytest.raises(queue.Empty):
        q.get_many(1, timeout=0)
    with pytest.raises(ValueError):
        q.get_many(0)
    with pytest.raises(NO_PICKLE):
        q.put_many([1, lambda: None])
    assert q.put_many(()) == 0


def test_loan_and_take():
    q = ndshare.Queue()
    with q.loan((2, 3), "f4") as a:
        a[:] = 1.5
        assert q.empty()
    assert not a.flags.writeable
    with pytest.raises(KeyError):
        with q.take() as b:
            assert b.tolist() == [[1.5] * 3] * 2
            raise KeyError
    del b  # until then it is ours
    with q.take(timeout=1) as b:
        assert b.sum() == 9
    del b
    with pytest.raises(queue.Empty):
        q.take(0)
    with pytest.raises(ZeroDivisionError):
        with q.loan(5):
            1 / 0
    assert q.empty() and q.info()["loaned"] == 0
    loan = q.loan(3)
    loan.array[:] = 7
    loan.publish(tag=b"seven")
    with pytest.raises(ValueError):
        loan.publish()
    with pytest.raises(ValueError):
        loan.discard()
    assert q.get_tagged()[1] == b"seven"
    q.put(None)
    with q.take() as nothing:
        assert nothing is None
    with pytest.raises(TypeError):
        q.loan(3, object)


def test_a_view_outlives_its_loan_and_queue():
    q = ndshare.Queue()
    with q.loan(100000) as a:
        a[:] = 1
        view = a[::2]
    with q.take() as b:
        other = b[1:]
    q.close()
    del a, b, q
    gc.collect()
    assert view.shape == (50000,) and other.shape == (99999,)
    view.sum(), other.sum()


def test_move_copies_nothing_and_leaves_it_readable():
    q = ndshare.Queue()
    a = ndshare.ones(500000)
    q.put(a, move=True)
    assert not a.flags.writeable and a[0] == 1
    b = q.get()
    b[0] = 5
    assert a[0] == 5  # the same memory: it was moved, not copied


def test_tags():
    q = ndshare.Queue()
    q.put(np.arange(3), tag=b"frame 7")
    out, tag = q.get_tagged()
    assert out.tolist() == [0, 1, 2] and tag == b"frame 7"
    q.put("text")
    assert q.get_tagged() == ("text", b"")


def test_no_bound_is_no_bound():
    q = ndshare.Queue(max_bytes=1 << 20)
    block = np.arange(40000.0)
    for i in range(20):
        q.put(block + i)  # 6.4 MB into 1 MiB
    q.put("end")
    assert q.qsize() > 15
    for i in range(20):
        assert np.array_equal(q.get(), block + i)
    assert q.get() == "end"
    q.put(1)
    assert q.get() == 1


def late_exit(q):
    for i in range(200):
        q.put(np.full(10000, i))


def test_a_process_ends_when_what_it_spilled_is_out():
    q = ndshare.Queue(max_bytes=1 << 20)
    p = mp.get_context("fork").Process(target=late_exit, args=(q,))
    p.start()
    assert [int(q.get()[0]) for _ in range(200)] == list(range(200))
    p.join(20)
    assert p.exitcode == 0


def echo(q, back, n):
    for _ in range(n):
        back.put(q.get())
    back.close()


@pytest.mark.parametrize("method", METHODS)
def test_children_of_every_start_method(method):
    ctx = mp.get_context(method)
    q, back = ndshare.Queue(), ndshare.Queue(5)
    p = ctx.Process(target=echo, args=(q, back, 3))
    p.start()
    q.put(np.arange(100000))
    q.put({"a": [1]})
    q.put(None)
    assert back.get(timeout=30).sum() == 4999950000
    assert back.get() == {"a": [1]} and back.get() is None
    p.join()
    assert p.exitcode == 0


def put_one(args):
    q, i = args
    q.put(i)
    return i


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_through_a_pool(method):
    q = ndshare.Queue()
    with mp.get_context(method).Pool(2) as pool:
        pool.map(put_one, [(q, i) for i in range(5)])
    assert sorted(q.get_many(10)) == list(range(5))


def test_strangers_join_by_name(name):
    q = ndshare.Queue(name=name)
    q.put(np.arange(4))
    code = f"""
import ndshare
q = ndshare.Queue.attach({name!r})
q.put(int(q.get().sum()))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert q.get() == 6
    assert not ndshare.Queue.attach(name).full()
    again = pickle.loads(pickle.dumps(q))
    again.put("by name")
    assert q.get() == "by name"
    with pytest.raises(FileExistsError):
        ndshare.Queue(name=name)
    ndshare.unlink(name)
    with pytest.raises(FileNotFoundError, match=name):
        ndshare.Queue.attach(name)
    q = ndshare.Queue(2, name=name)
    joined = ndshare.Queue.attach(name)
    q.put_many([1, 2])
    assert joined.full()
    with pytest.raises(queue.Full):
        joined.put(3, False)


def die_holding(q):
    q.get()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_consumer_gives_back():
    q = ndshare.JoinableQueue(acknowledge=True)
    q.put("task")
    p = mp.get_context("fork").Process(target=die_holding, args=(q,))
    p.start()
    p.join()
    assert q.get(timeout=10) == "task"
    q.task_done()
    assert q.join(10)


def test_joinable():
    q = ndshare.JoinableQueue()
    q.put(1)
    assert not q.join(0.05)
    q.get()
    q.task_done()
    assert q.join()
    with pytest.raises(ValueError, match="task_done"):
        q.task_done()


def test_interrupted_by_a_signal():
    q = ndshare.Queue()

    def handler(signum, frame):
        raise InterruptedError("handled")

    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedError):
            q.get(timeout=20)
    finally:
        signal.signal(signal.SIGALRM, old)


# ---- pipes


def test_pipe_both_ways():
    a, b = ndshare.Pipe()
    a.send({"x": 1})
    b.send(np.arange(3))
    assert b.recv() == {"x": 1} and a.recv().tolist() == [0, 1, 2]
    a.send_bytes(b"raw", 1)
    assert b.recv_bytes() == b"aw"
    a.send_bytes(pickle.dumps([1]))
    assert b.recv() == [1]
    a.send([2])
    assert pickle.loads(b.recv_bytes()) == [2]
    assert not a.poll() and not a.poll(0.05)
    b.send(None)
    assert a.poll(5) and a.recv() is None


def test_pipe_one_way():
    r, w = ndshare.Pipe(False)
    assert (r.readable, r.writable, w.readable, w.writable) == (
        True, False, False, True)
    for call in (lambda: r.send(1), w.recv, w.poll, w.fileno):
        with pytest.raises(OSError):
            call()
    with w.loan(4, "i2") as a:
        a[:] = 3
    assert r.recv().tolist() == [3] * 4
    w.send("last")
    w.close()
    assert r.recv() == "last"
    with pytest.raises(EOFError):
        r.recv()
    assert r.poll()
    with pytest.raises(OSError, match="closed"):
        w.send(1)


def test_pipe_broken():
    r, w = ndshare.Pipe(False)
    r.close()
    with pytest.raises(BrokenPipeError):
        w.send(1)


def test_recv_bytes_into():
    a, b = ndshare.Pipe()
    a.send_bytes(b"abcdef")
    buf = bytearray(8)
    assert b.recv_bytes_into(buf, 1) == 6
    assert bytes(buf) == b"\0abcdef\0"
    a.send_bytes(b"abcdef")
    with pytest.raises(mp.BufferTooShort) as e:
        b.recv_bytes_into(bytearray(3))
    assert e.value.args == (b"abcdef",)
    a.send_bytes(b"long")
    with pytest.raises(OSError):
        b.recv_bytes(2)


def test_waiting_for_several():
    a, b = ndshare.Pipe()
    q = ndshare.Queue()
    assert wait([a, q], 0.02) == []
    q.put(1)
    assert wait([a, q], 5) == [q]
    b.send(1)
    assert wait([a], 5) == [a]
    assert sorted(map(id, wait([a, q], 5))) == sorted(map(id, [a, q]))


def pipe_child(end):
    with end:
        end.send(end.recv() + 1)


@pytest.mark.parametrize("method", METHODS)
def test_pipe_to_children(method):
    a, b = ndshare.Pipe()
    p = mp.get_context(method).Process(target=pipe_child, args=(b,))
    p.start()
    b.close()
    a.send(np.arange(3))
    assert a.recv().tolist() == [1, 2, 3]
    with pytest.raises(EOFError):
        a.recv()
    p.join()


def test_an_end_through_a_queue():
    q = mp.get_context("fork").Queue()
    a, b = ndshare.Pipe()
    q.put(b)
    c = q.get()
    c.send("hello")
    assert a.recv() == "hello"


def test_descriptors_are_closed():
    def count():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for _ in range(3):
        q = ndshare.Queue()
        a, b = ndshare.Pipe()
        data, fds = q._pack()
        for fd in fds:
            os.close(fd)
        q.fileno(), a.fileno()
        p = mp.get_context("spawn").Process(target=len, args=((q, b),))
        p.start()
        p.join()
        p.close()
        del q, a, b, p
    assert count() <= before + 2  # multiprocessing's tracker and its pipe
