# SPDX-License-Identifier: MIT
"""Runs scripts that use the command and compares what they print.

    python3 run.py [--rewrite] NDSHARE SCRIPT.sh...

A script runs in a directory of its own with `ndshare` first in PATH. $T is a
prefix for names that nobody else uses; in the output it becomes "T", and the
directory "DIR"; $HELPERS, from outside, is where queue_maker is. SCRIPT.out is what it must print on stdout (scripts join
stderr where they mean to), SCRIPT.exit its exit code (0 without the file).
--rewrite writes both files instead of comparing. Names that begin with $T are
removed afterwards, also on failure, and a name left behind is a failure.
"""
import difflib
import glob
import os
import pathlib
import subprocess
import sys
import tempfile

TIMEOUT_S = 60


def leftovers(prefix):
    return glob.glob("/dev/shm/" + prefix + "*")


def run(ndshare, script):
    """stdout, exit code, names left behind"""
    prefix = "t-cli-%d-%s" % (os.getpid(), script.stem)
    with tempfile.TemporaryDirectory(prefix="ndshare-cli-") as place:
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("NDSHARE_")}
        env.update(T=prefix, LC_ALL="C.UTF-8",
                   PATH=str(ndshare.parent) + ":" + env.get("PATH", ""))
        proc = subprocess.Popen(["sh", str(script)], cwd=place, env=env,
                                stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE,
                                start_new_session=True)
        try:
            out = proc.communicate(timeout=TIMEOUT_S)[0]
        except subprocess.TimeoutExpired:
            os.killpg(proc.pid, 9)
            out = proc.communicate()[0] + b"(timed out)\n"
        left = leftovers(prefix)
        for name in left:
            os.unlink(name)
        text = out.decode("utf-8", "replace")
        text = text.replace(prefix, "T").replace(place, "DIR")
    return text, proc.returncode, [os.path.basename(n) for n in left]


def check(ndshare, script, rewrite):
    text, code, left = run(ndshare, script)
    want_out, want_exit = script.with_suffix(".out"), script.with_suffix(
        ".exit")
    if rewrite:
        want_out.write_text(text, encoding="utf-8")
        if code:
            want_exit.write_text("%d\n" % code)
        else:
            want_exit.unlink(missing_ok=True)
        print("%s: exit %d, %d lines" % (script.name, code,
                                         text.count("\n")))
        return not left
    want = want_out.read_text(encoding="utf-8")
    want_code = int(want_exit.read_text()) if want_exit.exists() else 0
    for line in difflib.unified_diff(want.splitlines(), text.splitlines(),
                                     "expected", "printed", lineterm=""):
        print(line)
    if code != want_code:
        print("%s: exit %d, expected %d" % (script.name, code, want_code))
    if left:
        print("%s: left in shared memory: %s" % (script.name, left))
    return text == want and code == want_code and not left


def main():
    args = sys.argv[1:]
    rewrite = "--rewrite" in args
    args = [a for a in args if a != "--rewrite"]
    ndshare = pathlib.Path(args[0]).resolve()
    if not os.access(ndshare, os.X_OK):
        print("cli: there is no command at %s" % ndshare)
        return 1
    failed = [s for s in args[1:]
              if not check(ndshare, pathlib.Path(s).resolve(), rewrite)]
    print("cli: %d scripts, %d failed" % (len(args) - 1, len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
