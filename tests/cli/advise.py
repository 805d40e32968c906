# SPDX-License-Identifier: MIT
"""What `ndshare advise` answers, over all that can be asked.

    python3 advise.py NDSHARE ROOT

Every call it tells to write is C that compiles against the public headers, or
Python that parses; the guide's table and the command agree; and with --measure
the way taken is the fastest of those that fit, or within a tenth of it.
"""
import ast
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile

NDSHARE, ROOT = sys.argv[1], sys.argv[2]

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

# What a program around one of the calls has; their results are not used.
FUNCTION = """
void advised%d(void);
void advised%d(void)
{
    nds_array *a; nds_args *args; nds_queue *q; nds_pipe *here, *there;
    nds_typed *t; nds_manager *m; %s
    int ndim = 2; int64_t shape[2] = {3, 4}, count = 3, i = 0;
%s
}
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


def compiles(calls):
    parts = ["#include <ndshare/ndshare.h>\n"]
    for n, call in enumerate(sorted(calls)):
        own = ("nds_proxy *p; nds_value *value;" if "proxy" in call else
               "nds_proc *p; nds_scalar value;")
        parts.append(FUNCTION % (n, n, own, call))
    with tempfile.NamedTemporaryFile("w", suffix=".c") as f:
        f.write("".join(parts))
        f.flush()
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11",
                        "-fsyntax-only", "-Werror=implicit",
                        "-Werror=incompatible-pointer-types",
                        "-I", os.path.join(ROOT, "include"), f.name],
                       check=True)


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
    compiles(calls_c)
    for call in calls_python:
        ast.parse(call)
    measured()
    print("advise: %d calls in C, %d in Python" % (len(calls_c),
                                                   len(calls_python)))


if __name__ == "__main__":
    main()
