# SPDX-License-Identifier: MIT
"""The stubs say what the package has, as mypy sees it; exit 77: no mypy 1.

    stubs.py [PYTHON]

PYTHON (or NDS_MYPY_PYTHON) is an interpreter that has mypy and NumPy. The user
program below must pass `mypy --strict`, and one line of it must not.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Mypy 0.942 (Ubuntu 22.04) breaks on NumPy's own stubs.
NEEDED = """
import mypy.version, numpy, ndshare
raise SystemExit(mypy.version.__version__.startswith("0."))
"""
USER = '''
import ndshare
from multiprocessing import Process
from typing import Any

def work(q: ndshare.Queue, a: ndshare.ndarray) -> None:
    with a.lock:
        a[0] = 1
    q.put((1, a))

q = ndshare.Queue(10)
a = ndshare.zeros((3, 4), "f4", name="x", lifetime="used")
p = Process(target=work, args=(q, a))
with q.loan((2, 2)) as m:
    m[:] = 1
n, b = q.get(timeout=1)
for item in q:
    print(item)
with q.take() as c:
    print(c.sum())
with ndshare.Lock(), ndshare.RWLock().reader:
    pass
done: bool = ndshare.JoinableQueue().join(timeout=1.0)
x, y = ndshare.Pipe(duplex=False)
x.recv()
v = ndshare.Value("i", 3)
s = a.snapshot() + 1
ndshare.install_reducer(min_bytes=1000)
print(a.wait_changed(timeout=1), a.generation, ndshare.ls()[0].shape)
w = ndshare.Queue.attach("x", wait=1)
with ndshare.Manager() as manager:
    manager.list([1])
'''


def run(python, *args):
    return subprocess.run([python, *args], capture_output=True, text=True)


def strict(python, work, text):
    program = pathlib.Path(work, "user.py")
    program.write_text(text, encoding="utf-8")
    return run(python, "-m", "mypy", "--strict", "--cache-dir", work,
               str(program))


def main():
    python = (sys.argv[1:] + [os.environ.get("NDS_MYPY_PYTHON")
                              or sys.executable])[0]
    if run(python, "-c", NEEDED).returncode != 0:
        print(f"no mypy 1, no NumPy or no ndshare for {python}: the stubs were "
              "not compared")
        return 77
    with tempfile.TemporaryDirectory() as work:
        # mypy looks for modules where it is started, and not under tests.
        package = os.path.abspath(os.environ["PYTHONPATH"])
        os.environ["PYTHONPATH"] = os.environ["MYPYPATH"] = package
        os.chdir(work)
        good = strict(python, work, USER)
        bad = strict(python, work, USER + "q.put_many(5)\n")
        stubs = run(python, "-m", "mypy.stubtest", "ndshare", "--allowlist",
                    str(HERE / "stubs.allow"))
    print(good.stdout, stubs.stdout, stubs.stderr, sep="")
    if bad.returncode != 1 or "put_many" not in bad.stdout:
        print("a wrong call was not found:", bad.stdout, bad.stderr)
        return 1
    return good.returncode or stubs.returncode


if __name__ == "__main__":
    sys.exit(main())
