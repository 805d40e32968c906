#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""First inputs for the fuzz targets, from the tests' vectors and by hand.

    fuzz/make_seeds.py OUT

Writes OUT/<target>/seed-*; what the fuzzers find from there is merged into
fuzz/corpus, which is what is kept.
"""
import pathlib
import pickle
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
KEY = "#CHALLENGE#{sha256}" + "x" * 40


def rows(path):
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def npy():
    for path in sorted((DATA / "npy").glob("*.npy")):
        yield path.read_bytes()


def dtype():
    texts = ["<f8", ">i2", "float64", "|S5", "<U3", "<M8[25us]", "m8[D]",
             "V7", "?", "(2, 3)<f4", "i4,f8,S3", "longdouble",
             "[('x', '<f4'), ('id', '|S3')]",
             "[('a', '<i4'), ('b', '<f8', (2, 3)), ('', '|V4')]",
             "[('a', [('b', '>u2'), ('c', '?')], 4)]",
             "{'names': ['a', 'b'], 'formats': ['<i4', '<f8'], "
             "'offsets': [0, 16], 'itemsize': 32}"]
    slices = ["[0, :, ::2]", "[..., None, -1]", "[1:3, ::-1]", "2", "[]",
              "[:, 1:, None]", "[-1, 4:0:-2, 3]"]
    literals = ["(3, 4)", "'f8'", "[1, 2.5, None]", "{'axis': 0}", "b'\\x00a'",
                "1e300", "-0x7f", "{1, 2}", "(1+2j)", "True", "...",
                "'\\u20ac\\n'", "10**2", "((), [], {})", "1_000", "set()",
                "123456789012345678901234567890"]
    calls = ["(3, 4), dtype='f4'", "1, 2, axis=(0, 1)", "", "out=None"]
    places = ["/tmp/socket", "@abstract", "localhost:80", ":1234", "50000"]
    for i, group in enumerate((texts, slices, literals, calls, places)):
        for text in group:
            yield bytes([i]) + text.encode()


def pickles():
    for name in ("plain", "golden", "arrays"):
        for row in rows(DATA / "pickle" / f"{name}.tsv"):
            try:
                data = bytes.fromhex(row[-1])
            except ValueError:
                continue
            if len(data) <= 2048:
                yield data


def frame(*messages):
    return b"".join(struct.pack("<H", len(m)) + m for m in messages)


def frames():
    yield b"\0" + struct.pack("!i", 5) + b"hello" + struct.pack("!i", 0)
    yield b"\0" + struct.pack("!iQ", -1, 3) + b"abc"
    yield b"\1" + frame(KEY.encode(), b"#WELCOME#")
    yield b"\1" + frame(b"#CHALLENGE#" + b"y" * 20, b"#FAILURE#")
    yield b"\1" + b"{md5}" + b"z" * 40
    for reply in (("#RETURN", 7), ("#ERROR", ValueError("no")),
                  ("#TRACEBACK", "Traceback\nKeyError: 'x'")):
        yield b"\2" + pickle.dumps(reply, 4)
    yield b"\3" + frame(b"{sha256}" + b"m" * 32)
    one = "1000001"
    for name, args in (("dummy", ()), ("create", ("zeros", (3,))),
                       ("create", ("arange", 4)), ("incref", (one,)),
                       ("decref", (one,)), ("number_of_objects", ()),
                       ("debug_info", ()), ("shutdown", ()),
                       ("create", ("full", (2,), 7)), ("nosuch", ())):
        yield b"\4" + frame(pickle.dumps((None, name, args, {}), 4))
    yield b"\5" + frame(pickle.dumps(("ndshare/1", "map", (one, "r"), {}), 4))
    accept = pickle.dumps((None, "accept_connection", ("t",), {}), 4)
    for method, args, kwds in (
            ("sum", (), {"axis": 0}), ("__getitem__", ((1, 2),), {}),
            ("__getitem__", ((slice(None), -1),), {}),
            ("__setitem__", ((0, 0), 3.5), {}), ("mean", (), {}),
            ("__add__", ([1, 2, 3, 4],), {}), ("tolist", (), {}),
            ("reshape", (4, 3), {}), ("fill", (2,), {}), ("item", (5,), {}),
            ("__str__", (), {}), ("#GETVALUE", (), {}), ("shape", (), {}),
            ("argmax", (), {"axis": 1}), ("astype", ("f4",), {}),
            ("std", (), {"ddof": 1}), ("add", (1,), {})):
        yield b"\6" + frame(accept, pickle.dumps((one, method, args, kwds), 4))


def hosted():
    """The calls of each recorded client."""
    for path in sorted((DATA / "wire").glob("client-*.tsv")):
        said = [(conn, bytes.fromhex(text)) for conn, who, text in rows(path)
                if who == "C"]
        channel = [conn for conn, data in said
                   if b"accept_connection" in data][0]
        calls = [data for conn, data in said if conn == channel][1:]
        yield frame(*calls)
        for at in range(0, len(calls), 7):
            yield frame(*calls[at:at + 7])


def patch(region, off, data, later=None):
    """As fuzz_patch reads it, behind the byte that chooses it."""
    head = bytes([region, off, len(data) - 1])
    return head + (b"" if later is None else bytes([later])) + data


def control():
    attach = bytes([120])
    for kind in range(7):
        for mode in range(3):
            first = bytes([kind + 7 * mode])
            calls = b"".join(bytes([112 + i, 2, 1]) for i in range(10))
            yield first + attach + calls
        one = bytes([kind]) + bytes([0])
        yield (bytes([kind]) + b"\0" +
               patch(0, 200, struct.pack("<Q", 1 << 12 | 1)) + attach +
               bytes([112, 2, 113, 2, 114, 2, 115, 2]))
        yield one + patch(0, 0, b"\0" * 8) + attach + bytes([96, 97, 100])
        yield bytes([kind]) + bytes([104, 16]) + attach + bytes([112, 0])
        yield bytes([kind]) + attach + bytes([104, 0, 118, 0, 114, 0])


def ring():
    attach = bytes([100])
    step = lambda op, *more: bytes([96 + op, *more])
    put = [step(5 * how, n, 0) for how in range(16) for n in range(6)]
    take = [step(2 + 5 * how, at, 1) for how in range(2) for at in range(4)]
    finish = [step(3 + 5 * how, at) for how in range(4) for at in range(3)]
    other = [step(4 + 5 * how, 1, 0) for how in range(10)]
    loan = [step(1, at, 9, 0) for at in range(3)]
    for first in (0, 1, 2, 3, 9):
        head = bytes([first]) + attach
        yield head + b"".join(take + finish + put[:4] + other)
        yield head + b"".join(loan + finish + take)
        yield head + b"".join(put[::5] + take + other)
    for region in range(13):
        for off in (0, 2, 5):
            bad = struct.pack("<Q", 0xffffffff00000005)
            yield (bytes([0, 0]) + patch(region, off, bad) + attach +
                   b"".join(take[:3] + put[:2] + other[:7]))
            yield (bytes([0]) + attach + bytes([48]) +
                   patch(region, off, bad, 3) +
                   b"".join(put[3:5] + take[4:6] + finish[:2]))


def arena():
    yield bytes([0, 4, 1, 9, 2, 0, 4, 5, 3, 3, 4, 8])
    yield bytes([0, 4, 0, 64, 6, 2, 1, 2, 0, 4, 40, 17, 4, 3])
    yield bytes([6, 0, 255]) + b"\xff" * 8 + bytes([0, 4, 5, 2, 0, 4])


def token():
    for base in range(3):
        yield bytes([base])
        for at in range(0, 64, 3):  # one byte anywhere, up, down and gone
            yield bytes([base, at, 1, at, 254])
        yield bytes([base, 128 + 40])  # cut
        for tail in (b"\3<f8\2\4\6\0", b"\3|S0\1\2\0", b"\2?\1\200\1"):
            yield bytes([base, 192 + 30]) + tail


def main():
    out = pathlib.Path(sys.argv[1])
    for name, make in (("npy", npy), ("dtype", dtype), ("pickle", pickles),
                       ("frame", frames), ("control", control),
                       ("ring", ring), ("arena", arena),
                       ("hosted", hosted), ("token", token)):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for count, data in enumerate(make(), 1):
            (folder / f"seed-{count:04}").write_bytes(data)
        print(f"{name}: {count} seeds")


if __name__ == "__main__":
    main()
