# SPDX-License-Identifier: MIT
"""Connections between our end and this interpreter's multiprocessing.

    python3 conn_python.py DRIVER

Both roles, Unix sockets, abstract names and TCP; values and bytes, and with
NumPy arrays too. Everything sent comes back as our end understood it.
"""
import multiprocessing as mp
import os
import pickle
import subprocess
import sys
import tempfile
from multiprocessing.connection import Client, Listener

try:
    import numpy as np
except ImportError:
    np = None

KEY = b"k3y"
COUNT = 0


def check(good, *what):
    global COUNT
    COUNT += 1
    if not good:
        raise AssertionError(repr(what)[:500])


VALUES = [
    None, True, False, 0, -1, 255, 256, 65536, -2**31, 2**31, 2**63, -2**63,
    2**200, -2**200, 0.0, -1.5, 1e300, float("inf"), 1 + 2j, "", "h\xe9\u4e16",
    "\U0001f600", "x" * 300, b"", b"abc", b"x" * 300, bytearray(b"abc"), [],
    (), {}, [1, [2, [3]]], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {"a": 1},
    {1: "x", (2, 3): [None]}, set([1, 2]), frozenset([3]), slice(1, None, 2),
    range(3, 9, 2), Ellipsis, NotImplemented, float, list(range(3000)),
    {str(i): i for i in range(1500)}, [b"x" * 70000, "y" * 70000],
]


def same(a, b):
    return type(a) is type(b) and a == b


def values(conn):
    for v in VALUES:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            conn.send_bytes(pickle.dumps(v, protocol))
            check(same(conn.recv(), v), v, protocol)
        conn.send(v)
        check(same(conn.recv(), v), v)
    shared = [1]
    conn.send([shared, shared])
    check(conn.recv() == [[1], [1]])
    conn.send(ValueError("bad", 3))
    back = conn.recv()
    check(type(back) is ValueError and back.args == ("bad", 3), back)
    # Refused by name, and the connection goes on.
    for bad in (os.getpid, subprocess.Popen, KEY.decode):
        conn.send(bad)
        code, why = conn.recv()
        check(code == "NDS_EREFUSED", code, why)
    knot = []
    knot.append(knot)
    conn.send(knot)
    check(conn.recv()[0] == "NDS_ELIMIT")


def raw(conn):
    for n in (0, 1, 5, 16383, 16384, 16385, 1 << 20, 20 << 20):
        data = os.urandom(min(n, 4096)) * (n // 4096 + 1)
        data = data[:n]
        conn.send("bytes")
        if n < 100000:
            conn.send_bytes(data)
        else:
            # More than the sockets hold: who writes must not wait for us.
            conn.send_bytes(memoryview(data))
        check(conn.recv_bytes() == data, n)


def dtypes():
    names = ("?", "i1", "u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8",
             "<u8", "<f2", "<f4", ">f4", "<f8", ">f8", "<f16", "<c8", "<c16",
             "S5", "<U3", ">U3", "V7", "<M8[ns]", "<M8[25us]", "<m8[s]")
    out = [np.dtype(n) for n in names]
    out.append(np.dtype([("a", "<i4"), ("b", ">f8")]))
    out.append(np.dtype([("a", "<i1"), ("b", "<f8")], align=True))
    out.append(np.dtype([("p", "<i2", (2, 3)), ("q", [("r", "S3")])]))
    return out


def filled(dtype, shape):
    n = int(np.prod(shape, dtype=int)) * dtype.itemsize
    data = bytes(bytearray((i * 37 + 11) % 120 for i in range(n)))
    if dtype.kind == "U":
        data = np.arange(n // 4, dtype=dtype.byteorder + "u4").tobytes()
    if dtype.kind == "b":
        data = bytes(bytearray(i % 2 for i in range(n)))
    return np.ndarray(shape, dtype, bytearray(data))


def swapped(dtype):
    return not dtype.isnative


def as_sent(a, protocol):
    """What NumPy itself makes of it: forms R swap to this machine's order."""
    return pickle.loads(pickle.dumps(a, protocol))


def same_array(a, b, protocol, why):
    check(type(b) is np.ndarray, why, type(b))
    check(a.shape == b.shape, why, a.shape, b.shape)
    if swapped(a.dtype):
        # Ours keeps the order; NumPy's own form R does not.
        check(b.dtype in (a.dtype, as_sent(a, protocol).dtype), why, b.dtype)
    else:
        check(a.dtype == b.dtype, why, a.dtype, b.dtype)
    if a.dtype.kind == "V" and a.dtype.names:
        check(repr(a.tolist()) == repr(b.tolist()), why)
    else:
        check(np.ascontiguousarray(a).tobytes() ==
              np.ascontiguousarray(b.astype(a.dtype)).tobytes(), why)


def arrays(conn):
    base = np.arange(24.0).reshape(2, 3, 4)
    shapes = ((), (0,), (5,), (2, 3), (2, 0, 3))
    tests = [filled(d, s) for d in dtypes() for s in shapes]
    tests += [np.asfortranarray(base), base.T, base.transpose(1, 0, 2),
              base[:, ::2], base[::-1], np.broadcast_to(base[0], (3, 3, 4)),
              np.arange(70000, dtype="u1"), np.ones((1000, 300), "f4").T,
              np.ones((3,) * 8)]
    frozen = np.arange(5000.0)
    frozen.flags.writeable = False
    tests.append(frozen)
    for i, a in enumerate(tests):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            why = (i, a.dtype, a.shape, protocol)
            conn.send_bytes(pickle.dumps(a, protocol))
            b = conn.recv()
            same_array(a, b, protocol, why)
            check(b.flags.writeable or protocol == 5 or
                  not a.flags.writeable, why)
            if a.ndim > 1 and a.size > 1 and protocol == 5:
                for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS"):
                    if a.flags[flag]:
                        check(b.flags[flag], why, flag)
        conn.send([a, {"k": a}])
        b = conn.recv()
        same_array(a, b[0], pickle.DEFAULT_PROTOCOL, i)
        same_array(a, b[1]["k"], pickle.DEFAULT_PROTOCOL, i)
    for s in (np.float64(1.5), np.int32(-3), np.bool_(True), np.uint64(2**63),
              np.complex64(1 + 2j), np.str_("h\xe9"), np.bytes_(b"ab"),
              np.datetime64("2020-01-01", "D"), np.float16(0.5)):
        conn.send(s)
        b = conn.recv()
        check(type(b) is type(s) and b == s, s, b)
    for d in dtypes():
        conn.send(d)
        check(conn.recv() == d, d)
    conn.send(np.array([None]))
    check(conn.recv()[0] == "NDS_EREFUSED")
    conn.send(np.ma.masked_array([1, 2]))
    check(conn.recv()[0] == "NDS_EREFUSED")


def elements(conn):
    for a in (np.arange(12.0).reshape(3, 4), np.arange(500000, dtype="i2")):
        conn.send("elements")
        conn.send(np.zeros_like(a))
        conn.send_bytes(a)
        b = np.zeros_like(a)
        # Python counts the first axis only of what it writes into.
        check(conn.recv_bytes_into(b.reshape(-1)) == a.nbytes)
        check((a == b).all())


def into(conn):
    for a in (np.arange(12.0).reshape(3, 4), np.arange(500000, dtype="i2"),
              np.ones((300, 400)).T + np.arange(300.0),
              np.arange(40000, dtype=">i4")):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            conn.send("into")
            conn.send(np.zeros(a.shape, a.dtype))
            conn.send_bytes(pickle.dumps(a, protocol))
            check((conn.recv() == a).all(), a.shape, protocol)


def large(conn):
    """80 MB, both directions and forms."""
    a = np.random.default_rng(1).random(10000000) if hasattr(
        np.random, "default_rng") else np.random.rand(10000000)
    want = a.sum()
    conn.send("sum")
    conn.send(a)
    got = conn.recv()
    check(abs(got - want) < 1e-9 * abs(want), got, want)
    conn.send("sum")
    conn.send_bytes(pickle.dumps(a, 5))
    got = conn.recv()
    check(abs(got - want) < 1e-9 * abs(want), got, want)
    conn.send(a)
    check((conn.recv() == a).all())


def everything(conn, big):
    values(conn)
    raw(conn)
    if np is not None:
        arrays(conn)
        elements(conn)
        into(conn)
        if big:
            large(conn)


def start(driver, role, address, key=KEY):
    return subprocess.Popen([driver, role, address, key.decode()],
                            stdout=subprocess.PIPE, universal_newlines=True)


def as_python(address):
    """Our spelling of an address as multiprocessing's."""
    if address.startswith("@"):
        return "\0" + address[1:]
    if "/" in address:
        return address
    host, port = address.rsplit(":", 1)
    return (host, int(port))


def we_connect(driver, address, key, big):
    """Python is the client."""
    child = start(driver, "listen", address, key)
    try:
        where = as_python(child.stdout.readline().strip())
        auth = dict(authkey=key) if key else {}
        with Client(where, **auth) as conn:
            everything(conn, big)
        if key:
            try:
                Client(where, authkey=b"wrong").close()
                check(False, "a wrong key got in")
            except mp.AuthenticationError:
                check(True)
            # The other side is told whose fault it was, and goes on.
        with Client(where, **auth) as conn:
            conn.send("stop")
            check(conn.recv() == "stop")
        said = child.stdout.read()
        check(("refused NDS_EAUTH" in said) == bool(key), said)
        check(child.wait(30) == 0)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def we_listen(driver, address, key, big):
    """Python is the listener."""
    auth = dict(authkey=key) if key else {}
    spelled = "@" + address[1:] if address[:1] == "\0" else address
    with Listener(address, **auth) as listener:
        if isinstance(address, tuple):
            spelled = "%s:%d" % listener.address
        child = start(driver, "connect", spelled, key)
        try:
            with listener.accept() as conn:
                everything(conn, big)
            check(child.wait(30) == 0)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        if key:
            child = start(driver, "connect", spelled, b"wrong")
            try:
                listener.accept()
                check(False, "a wrong key got in")
            except mp.AuthenticationError:
                check(True)
            check(child.stdout.read().strip() == "NDS_EAUTH")
            check(child.wait(30) == 1)
            child.stdout.close()


def main():
    driver = sys.argv[1]
    folder = tempfile.mkdtemp(prefix="ndshare-conn-")
    name = "ndshare-conn-%d" % os.getpid()
    try:
        we_connect(driver, folder + "/door", KEY, True)
        we_connect(driver, "@" + name, KEY, False)
        we_connect(driver, "127.0.0.1:0", KEY, False)
        we_connect(driver, folder + "/open", b"", False)
        we_listen(driver, folder + "/door", KEY, True)
        we_listen(driver, "\0" + name, KEY, False)
        we_listen(driver, ("127.0.0.1", 0), KEY, False)
        we_listen(driver, folder + "/open", b"", False)
        check(os.listdir(folder) == [])
    finally:
        for left in os.listdir(folder):
            os.unlink(os.path.join(folder, left))
        os.rmdir(folder)
    print("conn_python: CPython %s, NumPy %s: %d checks" %
          (sys.version.split()[0], np.__version__ if np else "none", COUNT))


if __name__ == "__main__":
    main()
