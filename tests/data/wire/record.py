#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records conversations of stock Pythons with us, for tests/unit/test_replay.c.

    tests/data/wire/record.py build/tests/mgr_driver PYTHON...

For each PYTHON: client-VERSION.tsv is its SyncManager client talking to our
server, server-VERSION.tsv our client (tests/unit/wire_talk.h) talking to its
server. Each line is a connection's number, C or S for who speaks, and the
message in hex, in the order in which they passed; the handshakes, which are
random, are left out.
"""
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
KEY = "secret"
HANDSHAKE = 3  # messages each way

CLIENT = r"""
import multiprocessing as mp, queue, sys
from multiprocessing.managers import SyncManager
mp.current_process().authkey = b"secret"
class M(SyncManager): pass
for name in ("ones", "arange", "nosuch"): M.register(name)
m = M(sys.argv[1], b"secret")
m.connect()
def fails(kind, call, *args):
    try:
        call(*args)
    except kind:
        return
    raise AssertionError(call)
p = m.list([3, 1.5, None, 2 ** 70])
p.append(("four", b"\0", {"k": {1, 2}, "s": slice(1, None)}))
assert p[3] == 2 ** 70 and p[1:3] == [1.5, None] and len(p) == 5
fails(IndexError, p.__getitem__, 99)
fails(Exception, p._callmethod, "nosuch")
d = m.dict({"a": 1, 2: [True]}, b=2.5)
assert list(d) == ["a", 2, "b"] and d.items()[1] == (2, [True])
fails(KeyError, d.__getitem__, "zz")
p.append(d)
n = m.Namespace(x=1); n.y = "z"
assert n.x == 1 and str(n) == "Namespace(x=1, y='z')"
v = m.Value("i", 5); v.value = 6
assert v.value == 6
a = m.Array("h", [1, 2, 3]); a[1] = 7
assert list(a[1:]) == [7, 3]
q = m.Queue(1); q.put([1]); assert q.get() == [1]
fails(queue.Empty, q.get, False)
for lock in (m.Lock(), m.RLock(), m.BoundedSemaphore(1), m.Condition()):
    with lock: pass
    fails((RuntimeError, ValueError), lock.release)
e = m.Event(); e.set(); assert e.wait(1)
b = m.Barrier(1); assert b.wait() == 0 and b.parties == 1
o = m.ones((2, 3)); assert o.sum() == 6.0 and o[1, 2] == 1.0
fails(IndexError, o.__getitem__, 9)
r = m.arange(5); assert r.tolist() == [0, 1, 2, 3, 4] and r.max() == 4
fails(Exception, m.nosuch)
if hasattr(m, "set"):  # 3.14
    t = m.set([1, "b"]); t.add((2,)); t |= {3.5}
    assert t & {1, 9} == {1} and {1, 9} - t == {9} and len(list(t)) == 4
    assert t.union([7], "x") == {1, "b", (2,), 3.5, 7, "x"} and t > {1}
    fails(TypeError, t.add, [])
    fails(KeyError, t.remove, 77)
    assert p.copy()[3] == 2 ** 70 and d | {2: 0} != d.copy()
    k = m.Lock(); assert not k.locked()
    with k: assert k.locked()
"""

SERVER = r"""
import sys
from multiprocessing.managers import SyncManager
m = SyncManager(sys.argv[1], b"secret")
s = m.get_server()
print("ready", flush=True)
s.serve_forever()
"""


class Between:
    """Listens at one path, passes on to another and writes down what passes."""

    def __init__(self, path, to, hide):
        self.hide = hide.encode()
        self.to, self.lines, self.lock, self.count = to, [], \
            threading.Lock(), 0
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(path)
        self.door.listen(64)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            near, _ = self.door.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.to)
            number, self.count = self.count, self.count + 1
            for who, a, b in (("C", near, far), ("S", far, near)):
                threading.Thread(target=self.copy, daemon=True,
                                 args=(number, who, a, b)).start()

    def copy(self, number, who, source, sink):
        seen = 0
        stream = source.makefile("rb")
        while True:
            head = stream.read(4)
            if len(head) < 4:
                break
            data = stream.read(struct.unpack("!i", head)[0])
            seen += 1
            if seen > HANDSHAKE:
                # Tracebacks name files of this machine.
                said = data.replace(self.hide, b"/" * len(self.hide))
                with self.lock:
                    self.lines.append("%d\t%s\t%s" % (number, who,
                                                      said.hex()))
            sink.sendall(head + data)
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def write(name, between):
    (HERE / name).write_text("# record.py: connection, who speaks, message\n"
                             + "\n".join(between.lines) + "\n")
    print(name, len(between.lines), "messages")


def record(driver, python, folder):
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    ours, theirs = (os.path.join(folder, name + version)
                    for name in ("ours", "theirs"))
    server = subprocess.Popen([driver, "record", ours, KEY],
                              stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    home = os.path.dirname(os.path.dirname(python))
    between = Between(os.path.join(folder, "a" + version), ours, home)
    subprocess.run([python, "-c", CLIENT,
                    os.path.join(folder, "a" + version)], check=True)
    server.terminate()
    server.wait()
    write("client-%s.tsv" % version, between)
    server = subprocess.Popen([python, "-c", SERVER, theirs],
                              stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    between = Between(os.path.join(folder, "b" + version), theirs, home)
    talk = subprocess.run([driver, "talk", os.path.join(folder, "b" + version),
                           KEY], check=True, stdout=subprocess.PIPE, text=True)
    server.kill()
    server.wait()
    write("server-%s.tsv" % version, between)
    (HERE / ("server-%s.out" % version)).write_text(talk.stdout)


def main():
    driver, *pythons = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for python in pythons:
            record(driver, python, folder)


if __name__ == "__main__":
    main()
