# SPDX-License-Identifier: MIT
"""A thousand random programs: make, view, send, fork, drop, in any order.

    programs.py COUNT [SEED]

Every array has a shadow that NumPy alone made by the same steps; at the end of
each program all of them must agree, whatever was dropped, collected, unlinked
or closed meanwhile. After each one the process must have as many mappings,
descriptors and Owners as before. Run under AddressSanitizer by ctest -R
python_asan, and without it by test_programs.py.
"""
import copy
import gc
import os
import pickle
import random
import sys
import tempfile
import time
import traceback

import numpy as np

import ndshare
from ndshare import _core

DTYPES = ["i1", "<i4", ">f8", "c8", "S3", "U2", "M8[s]",
          [("a", "<i2"), ("b", "<f8", (2,))]]
HOLD = 30.0  # longer than a program takes


def values(rng, shape, dtype):
    nbytes = int(np.prod(shape, dtype=int)) * np.dtype(dtype).itemsize
    raw = np.frombuffer(bytes(rng.choices(range(1, 100), k=nbytes)), "u1")
    if np.dtype(dtype).kind == "U":  # not any four bytes are a character
        raw = raw.copy()
        raw.reshape(-1, 4)[:, 1:] = 0
    return raw.view(dtype).reshape(shape).copy()


class Program:
    """One program: pairs of (array, shadow), and what else keeps memory."""

    def __init__(self, seed, folder):
        self.rng = random.Random(seed)
        self.folder = folder
        self.pairs = []
        self.kept = []
        self.names = {}  # name -> shadow
        self.count = 0
        self.tokens = []

    def run(self):
        steps = [s for s in dir(self) if s.startswith("do_")]
        self.do_make()
        for _ in range(self.rng.randrange(5, 40)):
            getattr(self, self.rng.choice(steps))()
        self.check()
        for name in self.names:
            ndshare.unlink(name)
        for token, shadow in self.tokens:
            self.same(ndshare.from_handle(token), shadow)

    def same(self, a, shadow):
        assert (a.dtype, a.shape) == (shadow.dtype, shadow.shape)
        assert a.tobytes() == shadow.tobytes(), (a, shadow)

    def check(self):
        for a, shadow in self.pairs:
            self.same(a, shadow)

    def pick(self):
        if not self.pairs:
            self.do_make()
        return self.rng.choice(self.pairs)

    def add(self, a, shadow):
        self.pairs.append((a, shadow))

    # ---- memory ----

    def fresh(self):
        shape = tuple(self.rng.choices(range(5), k=self.rng.randrange(4)))
        dtype = self.rng.choice(DTYPES)
        data = values(self.rng, shape, dtype)
        return np.asfortranarray(data) if self.rng.random() < .3 else data

    def do_make(self):
        shadow = self.fresh()
        self.add(ndshare.array(shadow), shadow)

    def do_make_named(self):
        shadow = self.fresh()
        self.count += 1
        name = f"pyp-{os.getpid()}-{self.count}"
        self.add(ndshare.array(shadow, name=name), shadow)
        self.names[name] = shadow

    def do_attach(self):
        if self.names:
            name = self.rng.choice(sorted(self.names))
            mode = self.rng.choice(["r", "r+", "r+"])
            self.add(ndshare.attach(name, mode), self.names[name])

    def do_attach_private(self):
        if self.names:
            name = self.rng.choice(sorted(self.names))
            a = ndshare.attach(name, "c")
            shadow = self.names[name].copy("K")
            shadow[...] = values(self.rng, a.shape, a.dtype.newbyteorder("="))
            a[...] = shadow  # from here on the pages are its own
            self.add(a, shadow)

    def do_unlink(self):
        if self.names:
            name = self.rng.choice(sorted(self.names))
            del self.names[name]
            ndshare.unlink(name)

    def do_file(self):
        shadow = self.fresh()
        self.count += 1
        path = os.path.join(self.folder, f"{self.count}.npy")
        np.save(path, shadow)
        if shadow.size:
            self.add(ndshare.from_file(path, "r+"), shadow)
        if self.rng.random() < .5:
            os.unlink(path)

    # ---- views ----

    def do_slice(self):
        a, shadow = self.pick()
        where = tuple(slice(None, None, self.rng.choice([1, 2, -1, -2]))
                      for _ in range(self.rng.randrange(a.ndim + 1)))
        where += (...,)  # an array, also of no dimensions
        self.add(a[where], shadow[where])

    def do_part(self):
        a, shadow = self.pick()
        if a.ndim and a.shape[0]:
            i = self.rng.randrange(a.shape[0])
            self.add(a[i:], shadow[i:])
            if a.ndim > 1:
                self.add(a[i], shadow[i])

    def do_transpose(self):
        a, shadow = self.pick()
        self.add(a.T, shadow.T)

    def do_bytes(self):
        a, shadow = self.pick()
        if a.ndim and a.size and (a.flags.c_contiguous and
                                  shadow.flags.c_contiguous):
            self.add(a.view("u1"), shadow.view("u1"))

    def do_memoryview(self):
        a, _ = self.pick()
        if a.dtype.kind != "M":
            self.kept.append(memoryview(a))

    def do_plain_view(self):
        a, shadow = self.pick()
        self.add(np.asarray(a), shadow)

    # ---- writing ----

    def do_write(self):
        a, shadow = self.pick()
        if a.flags.writeable:
            data = values(self.rng, a.shape, a.dtype.newbyteorder("="))
            a[...] = data
            shadow[...] = data

    def do_locked_write(self):
        a, shadow = self.pick()
        if not isinstance(a, ndshare.ndarray) or not a.flags.writeable:
            return
        try:
            with a.lock:
                a[...] = a.copy()
        except (ValueError, PermissionError):
            pass  # a file, or private
        self.same(a, shadow)

    def do_snapshot(self):
        a, shadow = self.pick()
        if isinstance(a, ndshare.ndarray):
            try:
                self.same(a.snapshot(), shadow)
            except ValueError:
                pass

    def do_change(self):
        a, _ = self.pick()
        try:
            a.changed()
            a.wait_changed(timeout=0)
        except (AttributeError, ValueError, PermissionError):
            pass

    # ---- sending ----

    def do_pickle(self):
        a, shadow = self.pick()
        protocol = self.rng.randrange(2, pickle.HIGHEST_PROTOCOL + 1)
        try:
            b = pickle.loads(pickle.dumps(a, protocol))
        except (FileNotFoundError, OSError):
            return  # a file whose path is gone
        if isinstance(b, ndshare.ndarray):
            self.add(b, shadow)
        else:  # by value, as NumPy does it: in native byte order
            self.add(b, shadow.astype(b.dtype))

    def do_send_later(self):
        a, shadow = self.pick()
        try:
            self.tokens.append((ndshare.handle(a, hold=HOLD), shadow))
        except (ValueError, FileNotFoundError, OSError):
            pass

    def do_receive(self):
        if self.tokens:
            i = self.rng.randrange(len(self.tokens))
            token, shadow = self.tokens.pop(i)
            try:
                self.add(ndshare.from_handle(token), shadow)
            except (FileNotFoundError, OSError):
                pass

    def do_copy(self):
        a, shadow = self.pick()
        b = self.rng.choice([copy.copy, copy.deepcopy, np.array])(a)
        self.add(b, shadow.copy())

    # ---- letting go, in any order ----

    def do_drop(self):
        self.pairs.pop(self.rng.randrange(len(self.pairs))
                       if self.pairs else self.do_make() or 0)

    def do_drop_most(self):
        self.rng.shuffle(self.pairs)
        del self.pairs[1:]

    def do_cycle(self):
        a, _ = self.pick()
        loop = [a, memoryview(b"x")]
        loop.append(loop)

    def do_collect(self):
        if self.rng.random() < .2:
            gc.collect(self.rng.randrange(3))

    def do_fork(self):
        if self.rng.random() > .15:
            return
        a, shadow = self.pick()
        write = a.flags.writeable and a.dtype.kind == "i" and a.size > 0
        private = not shares(a)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self.check()
                if write:
                    a[...] = 3
                self.rng.shuffle(self.pairs)
                self.pairs.clear()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        if write and not private:
            shadow[...] = 3


def shares(a):
    """Whether a child's writes show here: not in copy-on-write memory."""
    try:
        ndshare.handle(a, hold=0)
    except ValueError:
        return False
    except OSError:  # a file whose path is gone
        pass
    return True


def state():
    gc.collect()
    ndshare.trim()  # what is kept for the next arrays is no leak
    with open("/proc/self/maps", encoding="utf-8") as f:
        maps = sum("/dev/shm" in line or ".npy" in line for line in f)
    return (maps, len(os.listdir("/proc/self/fd")),
            sys.getrefcount(_core.Owner), sys.getrefcount(_core.ArrayLock))


def main(count, seed):
    with tempfile.TemporaryDirectory() as folder:
        ndshare.hold_seconds(HOLD)
        # The pipe for acknowledgements comes with the first token and stays.
        ndshare.from_handle(ndshare.handle(ndshare.zeros(1)))
        for n in range(-3, count):  # the first ones warm caches
            if n == 0:
                before = state()
            try:
                Program(seed + n, folder).run()
            except BaseException:
                print(f"program {seed + n}", file=sys.stderr)
                raise
            # What was sent and never received has to wait for its end.
            if n >= 0 and n % 100 == 99:
                end = time.monotonic() + HOLD + 10
                while state() != before:
                    assert time.monotonic() < end, (before, state())
                    time.sleep(.01)
    print(f"{count} programs")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
