# SPDX-License-Identifier: MIT
"""Our manager with stock Python clients, and our client with a stock server.

    python3 mgr_python.py DRIVER
"""
import multiprocessing as mp
import os
import pickle
import random
import socket
import struct
import subprocess
import sys
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from multiprocessing.managers import BaseManager, RemoteError, SyncManager

try:
    import numpy as np
except ImportError as fault:
    print("skipped: %s" % fault)
    sys.exit(77)

from mgr_peer import Server, raises

DRIVER = sys.argv[1]
KEY = b"secret"
mp.current_process().authkey = KEY


class Manager(BaseManager):
    pass


for name in ("ones", "zeros", "full", "empty", "arange", "random", "load",
             "nosuch", "Pool"):
    Manager.register(name)


def same(got, want):
    assert type(got) is type(want) and np.array_equal(got, want), (got, want)


def elements(m):
    want = np.arange(24).reshape(2, 3, 4).astype("f8")
    p = m.zeros((2, 3, 4))
    p[...] = want
    same(p.sum(), want.sum().item())
    same(p.max(), 23.0)
    same(p.argmax(), 23)
    same(p.sum(axis=1), want.sum(axis=1))
    same(p.mean((0, 2), keepdims=True), want.mean((0, 2), keepdims=True))
    same(p.std(), want.std().item())
    same(np.sum(p), want.sum().item())
    for at in (1, -1, (0, 1, 2), slice(1), (slice(None), slice(None, None, -2)),
               (Ellipsis, 0), (slice(None), None, 1), Ellipsis,
               np.int64(1), (0, np.int8(2))):
        got, expected = p[at], want[at]
        if not isinstance(expected, np.ndarray):
            expected = expected.item()
        same(got, expected)
    assert len(p) == 2 and [x.shape for x in p] == [(3, 4)] * 2
    same(np.asarray(p), want)
    same(np.asarray(p, dtype="f4"), want.astype("f4"))
    same(np.array(p), want)
    same(p + 1, want + 1)
    same(1 - p, 1 - want)
    same(p * want, want * want)
    same(p / 2, want / 2)
    same(-p, -want)
    same(np.ones(4) + np.asarray(p), want + 1)
    assert p.shape() == (2, 3, 4) and p.dtype() == np.dtype("f8")
    assert p.tolist() == want.tolist() and p.item(5) == 5.0
    p.add(1)
    p.multiply(p)
    same(p.copy(), (want + 1) ** 2)
    p[0, 1:, ::2] = 7
    p[1] = [[1, 2, 3, 4]] * 3
    want = (want + 1) ** 2
    want[0, 1:, ::2] = 7
    want[1] = [[1, 2, 3, 4]] * 3
    same(p._getvalue(), want)
    assert str(p) == repr(want) or "shape" in str(p)
    p.fill(0)
    same(p.any(), False)
    a = p.copy()
    a[0] = 1            # what arrives is writable, and ours
    same(p.any(), False)


def errors(m):
    p = m.ones(5)
    raises(IndexError, "index 9 is out of bounds for axis 0 with size 5",
           p.__getitem__, 9)
    raises(IndexError, "too many indices", p.__getitem__, (0, 0))
    raises(TypeError, "", p.fill, "x")
    raises(ValueError, "could not broadcast", p.__setitem__, slice(None),
           [1, 2])
    raises(RemoteError, "AttributeError", p._callmethod, "zzz")
    raises(RemoteError, "KeyError", m.nosuch)
    raises(RemoteError, "SyncManager hosts a Pool", m.Pool)
    raises(RemoteError, "negative dimensions", m.ones, (-1,))
    raises(RemoteError, "os.system" if os.name == "nt" else "system",
           p._callmethod, "fill", (os.system,))
    same(p.sum(), 5.0)  # and the channel still works


def kinds(m):
    for dtype in ("f4", float, np.float32, np.dtype(">i4"), "?", "c16", "u8",
                  np.int64, "i1", "f2"):
        p = m.ones((3,), dtype)
        got = np.asarray(p)
        assert got.dtype == np.dtype(dtype), (got.dtype, dtype)
    same(np.asarray(m.full((2, 2), 7)), np.full((2, 2), 7))
    same(np.asarray(m.arange(2, 11, 3)), np.arange(2, 11, 3))
    same(np.asarray(m.random((1000,), 5)),
         np.random.Generator(np.random.Philox(5)).random(1000))
    path = "/tmp/t-xmgr-%d.npy" % os.getpid()
    np.save(path, np.asfortranarray(np.arange(6).reshape(2, 3)))
    try:
        same(np.asarray(m.load(path)), np.arange(6).reshape(2, 3))
    finally:
        os.unlink(path)
    big = m.ones((300, 1000))
    same(np.asarray(big), np.ones((300, 1000)))
    big[...] = np.arange(300000.0).reshape(300, 1000)
    same(big.sum(), np.arange(300000.0).sum().item())


def references(m):
    before = m._number_of_objects()
    p = m.ones(3)
    q = pickle.loads(pickle.dumps(p))
    assert q.sum() == 3.0
    assert "refcount=2" in m._debug_info()
    del p
    assert q.sum() == 3.0
    del q
    assert m._number_of_objects() == before


def child_sum(p):
    sys.exit(0 if p.sum() == 4.0 else 1)


def many(m):
    p = m.ones(4)
    children = [mp.get_context("fork").Process(target=child_sum, args=(p,))
                for _ in range(4)]
    for c in children:
        c.start()
    threads = [threading.Thread(target=lambda: same(p.sum(), 4.0))
               for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for c in children:
        c.join()
        assert c.exitcode == 0


def dead_client(address, m):
    """A killed client's references go (Unix sockets only)."""
    code = ("import os, sys\n"
            "from multiprocessing.managers import BaseManager\n"
            "class M(BaseManager): pass\n"
            "M.register('ones')\n"
            "m = M(%r, b'secret'); m.connect()\n"
            "p = m.ones(3); os.kill(os.getpid(), 9)\n" % (address,))
    before = m._number_of_objects()
    subprocess.run([sys.executable, "-c", code])
    for _ in range(500):
        if m._number_of_objects() == before:
            return
        threading.Event().wait(0.01)
    raise AssertionError(m._debug_info())


def wrong_key(address):
    raises(AuthenticationError, "", lambda: Client(address, authkey=b"bad"))
    m = Manager(address, b"bad")
    raises(AuthenticationError, "", m.connect)


def dial(address):
    unix = isinstance(address, str)
    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    s.connect(address)  # waits while the backlog is full
    s.settimeout(20)
    return s


def hostile(address, m):
    """Frames and pickles broken by chance: an answer or an end, no more."""
    dice = random.Random(4711)
    requests = [(None, "create", ("ones", (2, 3)), {"dtype": "f4"}),
                (None, "dummy", (), {}), (None, "number_of_objects", (), {}),
                (None, "get_methods", (1,), {}), ("x", "y"), 7, None]
    for i in range(400):
        c = Client(address, authkey=KEY)
        data = bytearray(pickle.dumps(dice.choice(requests), dice.choice(
            (2, 3, 4, 5)) if sys.version_info >= (3, 8) else 2))
        for _ in range(dice.randrange(4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        c.send_bytes(bytes(data[:dice.randrange(1, len(data) + 1)])
                     if i % 3 == 0 else bytes(data))
        try:
            c.recv_bytes()
        except (EOFError, OSError):
            pass
        c.close()
    # On one channel: a bad call is answered, the next one works.
    p = m.ones((2, 2))
    c = Client(address, authkey=KEY)
    c.send((None, "accept_connection", ("x",), {}))
    assert c.recv() == ("#RETURN", None)
    good = (p._token.id, "__getitem__", ((slice(1), 0),), {})
    for i in range(9000):
        data = bytearray(pickle.dumps(good, 2 + i % 4))
        for _ in range(1 + dice.randrange(3)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        c.send_bytes(bytes(data))
        c.recv_bytes()
    c.send((p._token.id, "sum", (), {}))
    assert c.recv() == ("#RETURN", 4.0)
    c.close()
    # Before any key: lengths and greetings of all kinds.
    for i in range(300):
        s = dial(address)
        s.sendall(dice.choice((struct.pack("!i", -2), b"\xff" * 12, b"GET /",
                               struct.pack("!i", 300) + b"x" * 300,
                               struct.pack("!i", 40) + bytes(40), b"")))
        s.close()
    assert m._number_of_objects() >= 1


def floats(n):
    return np.arange(float(n))


class Stock(SyncManager):
    pass


Stock.register("arr", floats, exposed=["sum", "max", "mean", "reshape"])


def stock_server():
    path = "/tmp/t-xmgr-%d.sock" % os.getpid()
    m = Stock(path, KEY)
    m.start()
    try:
        done = subprocess.run([DRIVER, "client", path, "secret"],
                              stdout=subprocess.PIPE, timeout=60,
                              universal_newlines=True)
        assert done.returncode == 0, done.returncode
        lines = done.stdout.splitlines()
        assert lines[:4] == ["append: None", "__getitem__: 'four'",
                             "__len__: 4", "__getitem__: IndexError: list "
                             "index out of range"], lines
        assert "nosuch" in lines[4], lines
        assert lines[5] == "sum: 15.0", lines
        assert lines[8] == "mean: 2.5", lines
        assert lines[9] == "max 5, 6 elements", lines
        assert lines[10] == repr(np.arange(6.0)), lines
        assert m._number_of_objects() == 0, m._debug_info()
    finally:
        m.shutdown()


def shutdown():
    with Server(DRIVER, "@t-xmgr-down-%d" % os.getpid()) as s:
        m = Manager(s.address, KEY)
        m.connect()
        c = Client(s.address, authkey=KEY)
        c.send((None, "shutdown", (), {}))
        assert c.recv() == ("#RETURN", None)
        assert s.proc.wait(30) == 0


def main():
    path = "/tmp/t-xmgr-ours-%d.sock" % os.getpid()
    for address in (path, "127.0.0.1:0", "@t-xmgr-%d" % os.getpid()):
        with Server(DRIVER, address) as s:
            m = Manager(s.address, KEY)
            m.connect()
            elements(m)
            errors(m)
            kinds(m)
            references(m)
            if address == path:
                many(m)
                dead_client(s.address, m)
                hostile(s.address, m)
                wrong_key(s.address)
    assert not os.path.exists(path)
    shutdown()
    stock_server()
    print("manager: %s with NumPy %s" % (sys.version.split()[0],
                                         np.__version__))


if __name__ == "__main__":
    main()
