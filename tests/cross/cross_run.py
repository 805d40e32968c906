# SPDX-License-Identifier: MIT
"""Runs a script with every interpreter of NDSHARE_TEST_PYTHONS.

    python3 cross_run.py [--all] SCRIPT [ARGUMENT...]

NDSHARE_TEST_PYTHONS is colon-separated; /usr/bin/python3 if it is not set,
with --all also those that scripts/test-pythons made and pyenv's from 3.8 on.
Says how many ran it. Exit 77 (skipped) if every interpreter skipped it.
"""
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def found():
    """Every interpreter this machine has for us."""
    made = os.path.join(HERE, "..", "..", "build", "pythons", "*", "bin",
                        "python3")
    bare = os.path.expanduser("~/.pyenv/versions/*/bin/python3")
    names = sorted(glob.glob(os.path.normpath(made)))
    for name in sorted(glob.glob(bare)):
        version = re.search(r"versions/3\.(\d+)", name)
        if version and int(version.group(1)) >= 8:
            names.append(name)
    return names


def interpreters(every):
    told = os.environ.get("NDSHARE_TEST_PYTHONS")
    if told:
        return [name for name in told.split(":") if name]
    return ["/usr/bin/python3"] + (found() if every else [])


def main():
    arguments = sys.argv[1:]
    every = arguments[0] == "--all"
    arguments = arguments[1:] if every else arguments
    codes = []
    for name in interpreters(every):
        try:
            code = subprocess.run([name] + arguments).returncode
        except OSError as fault:
            print("cross_run: skipped %s: %s" % (name, fault))
            code = 77
        if code != 0:
            print("cross_run: %s %s %s" % (
                name, "skipped" if code == 77 else "failed", arguments[0]))
        sys.stdout.flush()
        codes.append(code)
    print("cross_run: %s by %d interpreters, %d skipped, %d failed" % (
        os.path.basename(arguments[0]), len(codes), codes.count(77),
        sum(code not in (0, 77) for code in codes)))
    if any(code not in (0, 77) for code in codes):
        return 1
    return 0 if 0 in codes else 77


if __name__ == "__main__":
    sys.exit(main())
