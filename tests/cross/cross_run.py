# SPDX-License-Identifier: MIT
"""Runs a script with every interpreter of NDSHARE_TEST_PYTHONS.

    python3 cross_run.py SCRIPT [ARGUMENT...]

Exit 77 (skipped) if every interpreter skipped it, and says which did.
"""
import os
import subprocess
import sys


def main():
    names = os.environ.get("NDSHARE_TEST_PYTHONS", "/usr/bin/python3")
    codes = []
    for name in filter(None, names.split(":")):
        try:
            code = subprocess.run([name] + sys.argv[1:]).returncode
        except OSError as fault:
            print("cross_run: skipped %s: %s" % (name, fault))
            code = 77
        if code == 77:
            print("cross_run: %s skipped %s" % (name, sys.argv[1]))
        codes.append(code)
    if any(code not in (0, 77) for code in codes):
        return 1
    return 0 if 0 in codes else 77


if __name__ == "__main__":
    sys.exit(main())
