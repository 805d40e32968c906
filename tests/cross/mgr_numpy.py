# SPDX-License-Identifier: MIT
"""A NumPy 1 and a NumPy 2 client on one of our servers, at the same time.

    python3 mgr_numpy.py DRIVER FOLDER

Stock managers cannot do that: the pickles of one NumPy name modules that the
other does not have. The interpreter that runs this has one of them; for the
other, FOLDER gets a virtual environment, made once by venv and pip. If that
cannot be had, says why and is skipped (77).
"""
import glob
import os
import subprocess
import sys

try:
    import numpy as np
except ImportError as fault:
    print("skipped: %s" % fault)
    sys.exit(77)

from mgr_peer import Server

DRIVER, FOLDER = sys.argv[1:3]
KEY = b"secret"

# Each client does this, with the name of itself and the other: makes arrays,
# leaves values in a hosted dict, and waits for what the other leaves there.
CLIENT = r"""
import multiprocessing as mp, sys, time
import numpy as np
from multiprocessing.managers import SyncManager
address, me, other = sys.argv[1:]
address = "\0" + address[1:]
mp.current_process().authkey = b"secret"

class M(SyncManager):
    pass

for name in ("ones", "zeros", "shelf"):
    M.register(name)
m = M(address, b"secret")
m.connect()
token = sys.stdin.read()
from multiprocessing.managers import Token, DictProxy
shelf = DictProxy(Token("dict", address, token), "pickle", manager=m,
                  authkey=b"secret")
kinds = ["?", "i1", "<i2", ">i4", "u8", "f2", "f4", "f8", "c16", "S3", "U2",
         "M8[s]", "m8[ms]", [("a", "<i4"), ("b", ">f8", (2,))]]
values = [np.arange(6).reshape(2, 3), np.asfortranarray(np.ones((3, 2))),
          np.float64(1.5), np.int8(-3), np.array(7), np.ones((0, 4)),
          np.dtype("f4"), np.array([1 + 2j]), b"x", {"k": [np.pi]}]
values += [np.zeros(3, k) for k in kinds]
a = m.ones((100, 10))
a[3] = np.arange(10)
shelf[me, "values"] = values
shelf[me, "array"] = a
deadline = time.monotonic() + 60
while (other, "array") not in shelf.keys():
    assert time.monotonic() < deadline, "the other client does not come"
    time.sleep(0.01)
theirs = shelf[other, "values"]
assert len(theirs) == len(values)
for got, want in zip(theirs, values):
    assert type(got) is type(want), (got, want)
    if isinstance(want, np.ndarray):
        assert got.dtype == want.dtype and got.shape == want.shape, (got, want)
    assert np.all(got == want), (got, want)
b = shelf[other, "array"]
c = np.asarray(b)
assert c.shape == (100, 10) and b.sum() == 1000 - 10 + 45, b.sum()
assert (b[3] == np.arange(10)).all()
b[4] = np.full(10, 2, "f4")
assert b[4].tolist() == [2.0] * 10 and (b + c)[0, 0] == 2.0
shelf[me, "done"] = True
while (other, "done") not in shelf.keys():
    assert time.monotonic() < deadline, "the other client does not end"
    time.sleep(0.01)
print(np.__version__)
"""


def major(python):
    done = subprocess.run([python, "-c", "import numpy; "
                           "print(numpy.__version__.split('.')[0])"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          universal_newlines=True)
    return int(done.stdout) if done.returncode == 0 else 0


def other_numpy():
    """An interpreter with the NumPy that this one has not, or why there is
    none."""
    wanted = 2 if np.__version__.startswith("1.") else 1
    python = os.path.join(FOLDER, "numpy%d" % wanted, "bin", "python")
    if os.path.exists(python) and major(python) == wanted:
        return python, ""
    bases = glob.glob(os.path.expanduser("~/.pyenv/versions/3.1[0-3].*/bin/"
                                         "python3"))
    bases = sorted(bases, reverse=wanted == 2) + [sys.executable]
    why = "no interpreter"
    for base in bases:
        if major(base) == wanted:
            return base, ""
        made = subprocess.run([base, "-m", "venv", "--clear",
                               os.path.dirname(os.path.dirname(python))],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              universal_newlines=True)
        if made.returncode == 0:
            made = subprocess.run(
                [python, "-m", "pip", "install", "--quiet",
                 "--disable-pip-version-check", "--only-binary", ":all:",
                 "numpy==%d.*" % wanted], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, universal_newlines=True,
                timeout=200)
        if made.returncode == 0 and major(python) == wanted:
            return python, ""
        why = "%s: %s" % (base, made.stdout.strip()[-300:])
    return None, "no NumPy %d: %s" % (wanted, why)


def main():
    python, why = other_numpy()
    if python is None:
        print("skipped: %s" % why)
        sys.exit(77)
    from multiprocessing.managers import SyncManager
    import multiprocessing as mp
    mp.current_process().authkey = KEY
    with Server(DRIVER, "@t-xnumpy-%d" % os.getpid()) as s:
        m = SyncManager(s.address, KEY)
        m.connect()
        shelf = m.dict()
        clients = []
        for at, who in enumerate((sys.executable, python)):
            c = subprocess.Popen(
                [who, "-c", CLIENT, s.address.replace("\0", "@"), str(at),
                 str(1 - at)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                universal_newlines=True)
            c.stdin.write(shelf._token.id)
            c.stdin.close()
            clients.append(c)
        versions = [c.stdout.read().strip() for c in clients]
        codes = [c.wait(100) for c in clients]
        for c in clients:
            c.stdout.close()
        assert codes == [0, 0], (codes, versions)
        assert sorted(v.split(".")[0] for v in versions) == ["1", "2"], \
            versions
    print("on one server: NumPy %s and %s" % tuple(versions))


if __name__ == "__main__":
    main()
