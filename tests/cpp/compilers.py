#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The C++ header compiles without a warning as C++17, 20 and 23, by every C++
compiler that is here, and each of its parts by itself; so do the programs of
the guide.

    compilers.py SOURCE-DIR

A standard that a compiler does not know yet is said, not failed; of the two
compilers that the tests install none may be missing.
"""
import pathlib
import re
import shutil
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic",
            "-Werror"]
STANDARDS = {"17": ["c++17"], "20": ["c++20"], "23": ["c++23", "c++2b"]}


def compile_text(compiler, flags, text):
    done = subprocess.run([compiler, *flags, "-fsyntax-only", "-x", "c++",
                           "-"], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode == 0, done.stdout


def flag_for(compiler, standard):
    for name in STANDARDS[standard]:
        if compile_text(compiler, [f"-std={name}"], "int x;")[0]:
            return f"-std={name}"
    return None


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    include = f"-I{root / 'include'}"
    whole = (root / "tests/cpp/header.cpp").read_text()
    guide = (root / "docs/guide/cpp.md").read_text()
    programs = re.findall(r"^```cpp\n(.*?)^```", guide, re.M | re.S)
    parts = sorted((root / "include/ndshare/cpp").glob("*.hpp"))
    failed = 0
    assert parts and programs
    for compiler in ("g++", "clang++"):
        assert shutil.which(compiler), \
            f"no {compiler}: scripts/bootstrap test installs it"
        for standard in STANDARDS:
            flag = flag_for(compiler, standard)
            if flag is None:
                print(f"{compiler} has no C++{standard}")
                continue
            ok, said = compile_text(compiler, [flag, include, *WARNINGS],
                                    whole)
            print(f"{compiler} {flag}: {'ok' if ok else said}")
            failed += not ok
    small = [(p.name, f"#include <ndshare/cpp/{p.name}>\n") for p in parts]
    small += [("a program of the guide", text) for text in programs]
    for name, text in small:
        ok, said = compile_text("g++", ["-std=c++17", include, *WARNINGS],
                                text)
        if not ok:
            print(f"{name}: {said}")
            failed += 1
    return failed != 0


sys.exit(main())
