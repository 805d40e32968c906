# SPDX-License-Identifier: MIT
"""What `ndshare advise` answers, over all that can be asked.

    python3 advise.py NDSHARE ROOT LIBRARY PACKAGE

Every call it tells to write is run as it is written, in C and in Python, in a
program around it that brings only the names it uses, with the server it names
running; the guide's table and the command agree; and with --measure the way
taken is the fastest of those that fit, or within a tenth of it. LIBRARY is the
shared library to link ("": the calls in C are only compiled), PACKAGE where the
Python package lies ("": the calls in Python are only parsed).
"""
import ast
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile

NDSHARE, ROOT, LIBRARY, PACKAGE = (arg and os.path.abspath(arg)
                                   for arg in sys.argv[1:5])

# A row of docs/guide/which-way.md, and how one asks for it.
ROWS = [
    ("many processes of this program read", "--readers 8"),
    ("a child that starts with its input", "--readers 1"),
    ("a pipeline: many arrays", "--arrays many --readers 4"),
    ("two partners", "--arrays many --readers 1"),
    ("a typed list", "--dims 1 --numpy no --writes both"),
    ("relatives write one memory", "--writes both"),
    ("programs that know only a name", "--related no"),
    ("data that stay", "--keep yes"),
    ("only results", "--need results"),
]

# What a program around one of the calls has.
C_PROGRAM = r"""
#include <ndshare/ndshare.h>
#include <stdio.h>
#include <stdlib.h>
static int work(nds_args *args) { (void)args; return 0; }
NDS_TASK(work);
static void must(int rc) {
    if (rc != 0) {
        fprintf(stderr, "%%d: %%s\n", rc, nds_last_error()->message);
        exit(1);
    }
}
int main(int argc, char **argv) {
    nds_array *a = NULL; nds_args *args = NULL; nds_queue *q = NULL;
    nds_pipe *here = NULL, *there = NULL; nds_typed *t = NULL;
    nds_manager *m = NULL; %s
    int ndim = 2; int64_t shape[2] = {3, 4}, count = 3, i = 0;
    nds_init(argc, argv);
    must(nds_args_new(&args));
    must(nds_array_new(&a, NDS_FLOAT64, ndim, shape, NULL));
    must(nds_array_unlink("frames") == NDS_ENOENT ? 0 : 1);
%s
    (void)a; (void)q; (void)here; (void)there; (void)t; (void)m; (void)p;
    (void)value; (void)count; (void)i;
    %s
    return 0;
}
"""
PYTHON_PROGRAM = """
import multiprocessing
from multiprocessing import Process, get_context
from multiprocessing.managers import BaseManager
import numpy
import ndshare

def work(it=None):
    with done.get_lock():
        done.value += 1

if __name__ == "__main__":
    done = multiprocessing.Value("i")
    shape, count, i = (3, 4), 5, 2
    a = ndshare.ones(shape)
%s
    for child in multiprocessing.active_children():
        if "Manager" not in child.name:  # which ends with its last handle
            child.join()
    assert done.value == %d, done.value
"""


def ask(*words):
    out = subprocess.run([NDSHARE, "advise", "--json"] + list(words),
                         stdout=subprocess.PIPE, timeout=100)
    return json.loads(out.stdout) if out.returncode == 0 else None


def guide():
    text = open(os.path.join(ROOT, "docs/guide/which-way.md")).read()
    rows = re.findall(r"^\| (.*?) \| (\d) ", text, re.M)
    for row, words in ROWS:
        way = [int(n) for name, n in rows if name.startswith(row)]
        assert len(way) == 1, row
        got = ask(*words.split())["take"]
        assert got == way[0], (row, words, got, way)
    ways = {int(n) for _, n in rows}
    assert ways == set(range(1, 10)), ways


def everything():
    """Every answer; the distinct calls in them."""
    calls_c, calls_python, taken = set(), set(), set()
    for what in itertools.product(("1", "5"), ("none", "child", "both"),
                                  ("yes", "no"), ("1", "2"), ("yes", "no"),
                                  ("one", "many"), ("fork", "spawn")):
        words = list(itertools.chain(*zip(
            ("--readers", "--writes", "--related", "--dims", "--numpy",
             "--arrays", "--start-method"), what)))
        got = ask("--size", "1K", *words)
        assert got is not None, words
        assert sorted(w["way"] for w in got["ways"]) == list(range(1, 10))
        fits = [w["fits"] for w in got["ways"]]
        assert fits == sorted(fits, reverse=True), words
        assert fits[0] and got["take"] == got["ways"][0]["way"], words
        taken.add(got["take"])
        for way in got["ways"]:
            assert way["why"], words
            if way["fits"]:
                calls_c.add(way["c"])
                calls_python.add(way["python"])
            if way["fits"] and what[2] == "no":
                assert way["way"] in (3, 7, 8, 9), words
    assert {1, 2, 3, 4, 5, 6, 7} <= taken, taken
    return calls_c, calls_python


def serve(call, place, run):
    """With the server that a call's comment names, if it does."""
    line = re.search(r"^(?://|#) ndshare (serve .*)$", call, re.M)
    if line is None:
        return run()
    with open(os.path.join(place, "key"), "w") as key:
        key.write("key")
    server = subprocess.Popen([NDSHARE] + line[1].split(), cwd=place,
                              stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline(), call
        return run()
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def in_place(call, place):
    """Names of the machine become names of this test."""
    return re.sub("/tmp/|/dev/shm/", place + "/", call)


def run_as_written(call, place, command):
    env = dict(os.environ, NDSHARE_SHM_DIR=place, PYTHONPATH=PACKAGE)
    done = serve(call, place, lambda: subprocess.run(
        command, cwd=place, env=env, stderr=subprocess.PIPE, text=True,
        timeout=60))
    assert done.returncode == 0, (call, done.stderr)
    for name in ("frames", "frames.dat"):
        if os.path.exists(os.path.join(place, name)):
            os.unlink(os.path.join(place, name))


def statements(call):
    """Each call must say 0: they are statements of one or more lines."""
    code = re.sub(r"//.*", "", call)
    return re.sub(r"(?m)^(nds_\w+\((?:[^;]|\n)*?\));", r"must(\1);", code)


def run_c(call, place):
    call = in_place(call, place)
    proxy = "proxy" in call
    own = ("nds_proxy *p = NULL; nds_value *value = NULL;" if proxy else
           "nds_proc *p = NULL; nds_scalar value;")
    end = ("nds_proxy_close(p); nds_manager_close(m);" if proxy else
           "if (p != NULL) { must(nds_proc_join(p, NDS_SEC(30), NULL)); }")
    source = os.path.join(place, "call.c")
    with open(source, "w") as f:
        f.write(C_PROGRAM % (own, statements(call), end))
    command = [os.environ.get("CC", "cc"), "-std=gnu11",
               "-Werror=implicit", "-Werror=incompatible-pointer-types",
               "-I", os.path.join(ROOT, "include"), source]
    if LIBRARY == "":
        subprocess.run(command + ["-fsyntax-only"], check=True)
        return
    where = os.path.dirname(LIBRARY)
    subprocess.run(command + ["-o", os.path.join(place, "call"), "-L", where,
                              "-Wl,-rpath," + where, "-lndshare"], check=True)
    run_as_written(call, place, [os.path.join(place, "call")])


def run_python(call, place):
    ast.parse(call)
    if PACKAGE == "":
        return
    call = in_place(call, place)
    source = os.path.join(place, "call.py")
    with open(source, "w") as f:
        f.write(PYTHON_PROGRAM % ("\n".join("    " + x
                                            for x in call.split("\n")),
                                  call.count("target=work")))
    run_as_written(call, place, ["/usr/bin/python3", source])


def measured():
    for words in (["--writes", "both"], ["--arrays", "many"]):
        got = ask("--size", "64K", "--measure", *words)
        times = {w["way"]: w["again_ns" if "many" in words else "once_ns"]
                 for w in got["ways"] if w["fits"]}
        assert all(ns > 0 for ns in times.values()), times
        least = min(times.values())
        assert times[got["take"]] <= least / 0.9 + 1, (words, times)
        assert all("once_ns" not in w for w in got["ways"] if not w["fits"])


def main():
    guide()
    calls_c, calls_python = everything()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as place:
        for call in sorted(calls_c):
            run_c(call, place)
        for call in sorted(calls_python):
            run_python(call, place)
        left = set(os.listdir(place)) - {"call", "call.c", "call.py", "key"}
        assert not [x for x in left if not x.startswith(".nds-")], left
    measured()
    print("advise: %d calls in C %s, %d in Python %s" % (
        len(calls_c), "ran" if LIBRARY else "compiled: nothing to link",
        len(calls_python), "ran" if PACKAGE else "parsed: no package"))


if __name__ == "__main__":
    main()
