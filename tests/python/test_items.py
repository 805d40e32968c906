# SPDX-License-Identifier: MIT
"""What objects are when they come out of a queue: the same as by pickle."""
import collections
import math
import pickle
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
