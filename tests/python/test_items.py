# SPDX-License-Identifier: MIT
"""What objects are when they come out of a queue: the same as by pickle."""
import collections
import gc
import math
import pickle
import queue
import random
import signal

import numpy as np
import pytest

import ndshare

TAG = b"\0pyP"  # of an item that is a pickle


@pytest.fixture
def q():
    with ndshare.Queue() as q:
        yield q


def through(q, obj):
    q.put(obj)
    return q.get()


def same(a, b):
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return a == b or (a != a and b != b)


ATOMS = [None, True, False, 0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, 2**31,
         -2**31, -2**31 - 1, 2**63 - 1, -2**63, 2**63, -2**63 - 1, 10**40, 0.0,
         -0.0, 1.5, -1e300, math.inf, math.nan, "", "a", "x" * 255, "x" * 256,
         "\xe9\u20ac\U0001f600", "\ud800", "\0", b"", b"\0\xff", b"y" * 255,
         b"y" * 256, b"y" * 5000, "x" * 5000]


@pytest.mark.parametrize("obj", ATOMS, ids=lambda a: ascii(a)[:12])
def test_atoms(q, obj):
    for whole in (obj, (obj,), [obj], {"k": obj}, (obj, obj, obj, obj)):
        assert same(through(q, whole), whole)
    assert math.copysign(1, through(q, (-0.0,))[0]) == -1


def some(rng, depth=0):
    kind = rng.randrange(8 if depth < 5 else 5)
    if kind < 5:
        return rng.choice(ATOMS[:30])
    n = rng.choice([0, 1, 2, 3, 4, 9])
    if kind == 7:
        return {rng.choice(["a", 1, 2.5, (1, "b"), f"k{i}"]):
                some(rng, depth + 1) for i in range(n)}
    parts = [some(rng, depth + 1) for _ in range(n)]
    return tuple(parts) if kind == 5 else parts


def test_random_plain_objects(q):
    rng = random.Random(7)
    objs = [some(rng) for _ in range(600)]
    for obj in objs:
        assert same(through(q, obj), obj)
    assert q.put_many(objs) == len(objs)
    got = []
    while len(got) < len(objs):
        got += q.get_many(100)
    assert same(got, objs)


def test_one_object_in_two_places_stays_one(q):
    mine = [1]
    a, b = through(q, (mine, mine))
    assert a is b
    pair = ([1], 2)
    a, b = through(q, [pair, pair])
    assert a is b and a[0] is b[0]
    a, b = through(q, [mine, (mine,)])
    assert a is b[0]
    loop = []
    loop.append(loop)
    back = through(q, loop)
    assert back[0] is back
    loop = ([],)
    loop[0].append(loop)
    back = through(q, loop)
    assert back[0][0] is back


def test_deep_and_wide(q):
    deep = ()
    for _ in range(100):
        deep = (deep,)
    assert through(q, deep) == deep
    for n in (500, 511, 512, 513, 2000):
        assert through(q, list(range(n))) == list(range(n))
        assert through(q, {i: str(i) for i in range(n)}) == {
            i: str(i) for i in range(n)}


def test_subclasses_keep_their_types(q):
    for obj in (np.float64(1), np.int8(1), np.str_("a"), signal.SIGINT,
                collections.OrderedDict(a=1), collections.Counter("ab")):
        back = through(q, [obj])[0]
        assert type(back).__name__ == type(obj).__name__ and back == obj


def as_item(q, data):
    """A pickle made elsewhere, as another program could put it."""
    q.put(np.frombuffer(data, "u1"), tag=TAG)
    return q.get()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_any_protocol(q, protocol):
    rng = random.Random(3)
    for _ in range(50):
        obj = some(rng)
        assert same(as_item(q, pickle.dumps(obj, protocol)), obj)


def test_garbage_is_refused_as_pickle_refuses_it(q):
    def outcome(load, data):
        try:
            return load(data)
        except Exception as e:
            return type(e)

    rng = random.Random(11)
    harmless = set(range(256)) - set(b"cioRPQ\x81\x82\x83\x84\x92\x93")
    seen = set()
    for _ in range(3000):
        data = bytearray(pickle.dumps(some(rng), 4))
        for _ in range(rng.choice([0, 1, 1, 2])):
            data[rng.randrange(len(data))] = rng.choice(sorted(harmless))
        if len(data) > 4096 or set(data) - harmless:
            continue
        data = bytes(data[:rng.choice([len(data)] * 3 + [len(data) // 2])])
        want = outcome(pickle.loads, data)
        assert same(outcome(lambda d: as_item(q, d), data), want)
        seen.add(isinstance(want, type))
    assert seen == {True, False}


# ---- arrays inside of objects

SMALL, LARGE = 10, 3000
INSIDE = [
    np.arange(SMALL), np.arange(LARGE), np.array(5.5), np.zeros((3, 0)),
    np.arange(LARGE, dtype=">i2"), np.arange(LARGE) > 5,
    np.arange(LARGE).astype("f2"), np.arange(LARGE) * 1j,
    np.asfortranarray(np.arange(6000.0).reshape(2, 3000)),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(9000)[::-3], np.arange(30)[::2],
    np.broadcast_to(np.arange(1000), (3, 1000)),
    np.arange(8000.0).reshape(20, 20, 20).transpose(1, 2, 0),
    np.array(["a", "bcd"] * 1000), np.array([b"a", b"bcd"] * 1000),
    np.array(["2020-01-01"] * 1000, "M8[D]"), np.arange(1000).view("m8[ms]"),
    np.array([(1, 2.0)] * 1000, [("a", "i4"), ("b", "f8")]),
    np.ones((1,) * 20 + (LARGE,)), np.array([1, "x", None], object),
    np.ones(LARGE).view(np.recarray), np.ma.array(np.arange(LARGE)),
]


def equal(a, b):
    return (type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
            and bool((a == b).all()))


class Sample:
    def __init__(self, **parts):
        self.__dict__.update(parts)


def inside(whole):
    return (whole.a if isinstance(whole, Sample) else whole["k"]
            if isinstance(whole, dict) else whole[-1])


@pytest.mark.parametrize("a", INSIDE,
                         ids=lambda a: f"{a.dtype.str[:9]}{a.shape[-2:]}")
def test_arrays_inside_of_objects(q, a):
    fixed = a.copy(order="K")
    fixed.flags.writeable = False
    a.flags.writeable = False
    for whole in ((1, a), [a], {"k": a, "l": [1, 2]}, Sample(a=a), (fixed,)):
        back = through(q, whole)
        assert type(back) is type(whole)
        inner = inside(back)
        assert equal(inner, a)
        if a.dtype.kind != "O" and type(a) is np.ndarray:
            assert inner.flags.writeable and inner.flags.aligned
            assert inner.flags.fnc == inside(whole).flags.fnc
            inner[...] = np.zeros((), a.dtype)  # its own
            assert not a.size or not equal(inner, a)


def test_arrays_inside_are_not_pickled_byte_by_byte(q):
    a = np.zeros(10**6)
    q.put((1, a))
    with q.take() as item:  # as a program in C sees it
        head = item[:32].view("u8").copy()
        data = item[head[2]:head[2] + head[3]].view("f8").copy()
    assert item.dtype == np.uint8 and head[1] == 1
    assert head[0] < 200 and np.array_equal(data, a)
    q.put(Sample(a=a))
    with q.take() as item:
        assert item[:8].view("u8")[0] < 400


def test_the_same_array_in_two_places_is_one(q):
    for n in (SMALL, LARGE):
        a = np.arange(n)
        b, c = through(q, (a, a))
        assert b is c
        b, c = through(q, (a, a[1:]))
        b[1] = 77
        assert c[0] == 1  # two arrays by value, as by pickle


def test_many_arrays_in_one_object(q):
    for n in (15, 16, 17, 300):
        arrays = [np.full(LARGE, i % 256, "u1") for i in range(n)]
        back = through(q, arrays)
        assert all(map(equal, arrays, back))
    small = [np.full(2, i) for i in range(20)]
    assert all(map(equal, small, through(q, tuple(small))))


def test_shared_arrays_inside_stay_shared(q):
    a = ndshare.zeros(LARGE)
    _, b = through(q, (1, a))
    b[0] = 5
    assert a[0] == 5 and type(b) is ndshare.ndarray


def test_a_registered_reducer_of_arrays_is_kept(q):
    from multiprocessing.reduction import ForkingPickler
    ForkingPickler.register(np.ndarray, lambda a: (str, ("array",)))
    try:
        assert through(q, Sample(a=np.ones(LARGE))).a == "array"
    finally:
        del ForkingPickler._extra_reducers[np.ndarray]
    ndshare.install_reducer(min_bytes=1)
    try:
        assert equal(through(q, Sample(a=np.ones(LARGE))).a, np.ones(LARGE))
    finally:
        ndshare.uninstall_reducer()


class Holder:
    """An object with a buffer that it is made of again."""
    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        assert protocol >= 5
        return type(self), (pickle.PickleBuffer(self.data),)


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_buffers_of_other_objects(q, n):
    assert bytes(through(q, Holder(b"x" * n)).data) == b"x" * n
    data = memoryview(through(q, Holder(bytearray(n))).data)
    assert not data.readonly and data.nbytes == n


def test_runs_with_and_without_arrays_inside(q):
    objs = [1, (1, np.ones(LARGE)), (2, np.ones(LARGE)), "x", None,
            np.arange(5), {"a": np.zeros(LARGE)}] * 30
    assert q.put_many(objs) == len(objs)
    got = []
    while len(got) < len(objs):
        got += q.get_many(50)
    for a, b in zip(objs, got):
        assert same(a, b) if not has_array(a) else has_array(b)


def has_array(obj):
    return (isinstance(obj, np.ndarray) or isinstance(obj, (tuple, dict)) and
            any(isinstance(x, np.ndarray) for x in
                (obj.values() if isinstance(obj, dict) else obj)))


def test_a_full_queue_makes_them_wait():
    with ndshare.Queue(1) as q:
        q.put((1, np.ones(LARGE)))
        with pytest.raises(queue.Full):
            q.put((2, np.ones(LARGE)), timeout=0.01)
        with pytest.raises(queue.Full):
            q.put_nowait((2, np.ones(LARGE)))
        assert q.get()[0] == 1 and q.empty()


def test_what_does_not_fit_is_put_later():
    """The queue has 1 MiB: the rest waits in the process, as it was."""
    with ndshare.Queue(max_bytes=1 << 20) as q:
        sent = [Sample(i=i, a=np.full(30000, i)) for i in range(20)]
        for s in sent:
            q.put(s)
            q.put((s.i, s.a))
            s.a[:] = -1
        for i in range(20):
            assert (q.get().a == i).all()
            assert (q.get()[1] == i).all()
    with ndshare.Queue(10, max_bytes=1 << 20) as q:  # larger than the memory
        assert (through(q, (1, np.full(10**6, 3)))[1] == 3).all()


def test_their_memory_goes_with_the_last_of_them(nothing_left):
    with ndshare.Queue() as q:
        a, b = through(q, (np.ones(10**5), np.zeros(10**5)))
        used = q.info()["bytes_used"]
        assert used >= 16 * 10**5
        del a
        assert q.info()["bytes_used"] == used
        del b
        assert q.info()["bytes_used"] == 0
        kept = through(q, [np.full(10**5, 7)])[0]
    del q
    gc.collect()
    assert (kept == 7).all()


def test_pipes_carry_them_too():
    a, b = ndshare.Pipe()
    a.send((1, np.arange(LARGE)))
    assert np.array_equal(b.recv()[1], np.arange(LARGE))
    a.send(Sample(a=np.arange(LARGE)))
    assert np.array_equal(b.recv().a, np.arange(LARGE))
    a.send((1, np.arange(LARGE)))
    assert np.array_equal(pickle.loads(b.recv_bytes())[1], np.arange(LARGE))


def test_they_can_be_refused():
    with ndshare.Queue(pickles=False) as q:
        q.put((1, np.ones(LARGE)))
        with pytest.raises(pickle.UnpicklingError):
            q.get()


def test_a_bad_item_with_parts_is_refused(q):
    q.put((1, np.arange(LARGE), np.ones(LARGE)))
    with q.take() as item:
        good = item.copy()
    rng = random.Random(5)

    def load(data):
        q.put(data, tag=b"\0pyA")
        return q.get()

    assert np.array_equal(load(good)[1], np.arange(LARGE))
    for n in (0, 1, 15, 16, 47, 48, 100, len(good) - 1):
        with pytest.raises((pickle.UnpicklingError, EOFError, ValueError)):
            load(good[:n])
    for at in range(48):  # every byte of the table
        for value in (0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)):
            bad = good.copy()
            bad[at] = value
            try:
                load(bad)
            except Exception:
                pass  # what it says depends; it must not crash
    bad = good.copy()
    bad[8:16].view("u8")[0] = 1  # two places, one part
    with pytest.raises(pickle.UnpicklingError):
        load(bad)
