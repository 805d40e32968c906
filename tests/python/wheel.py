# SPDX-License-Identifier: MIT
"""pip install . gives a package that stands alone.

    wheel.py SOURCE WORK

Builds the wheel in WORK without asking any index, installs it there, and uses
it from somewhere else, by import and as python -m ndshare.
"""
import os
import pathlib
import shutil
import subprocess
import sys

source, work = map(pathlib.Path, sys.argv[1:])
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
try:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q",
                    "--no-build-isolation", "--no-deps", "--no-index",
                    "--root-user-action=ignore",
                    "--target", work / "site", source], check=True)
    env = dict(os.environ, PYTHONPATH=str(work / "site"))
    env.pop("LD_LIBRARY_PATH", None)
    out = subprocess.run(
        [sys.executable, "-c",
         "import ndshare, pickle\n"
         "a = ndshare.ones(3)\n"
         "pickle.loads(pickle.dumps(a))[0] = 5\n"
         "print(ndshare.__file__, a.tolist(), ndshare.__version__)"],
        check=True, env=env, cwd="/", capture_output=True, text=True).stdout
    print(out, end="")
    assert str(work / "site") in out and "[5.0, 1.0, 1.0]" in out, out
    loaded = subprocess.run(["ldd", *(work / "site/ndshare").glob("_core*.so")],
                            check=True, capture_output=True, text=True).stdout
    assert str(work / "site/ndshare/lib/libndshare.so") in loaded, loaded
    out = subprocess.run([sys.executable, "-m", "ndshare", "--version"],
                         check=True, env=env, cwd="/", capture_output=True,
                         text=True).stdout
    print(out, end="")
    assert "ndshare" in out
finally:
    shutil.rmtree(work, ignore_errors=True)
