#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the headers promise with what the built library exports.

    tools/check_symbols.py ROOT LIBRARY

Every NDS_API function of the headers that ndshare.h includes must be exported,
and nothing else may be.
"""
import pathlib
import re
import subprocess
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    promised = set()
    umbrella = (root / "include/ndshare/ndshare.h").read_text()
    for name in re.findall(r"#include <ndshare/(\w+\.h)>", umbrella):
        text = (root / "include/ndshare" / name).read_text()
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        promised.update(re.findall(r"NDS_API\s[^;(]*?\b(nds_\w+)\s*\(", text))
    out = subprocess.run(["nm", "-D", "--defined-only", sys.argv[2]],
                         check=True, capture_output=True, text=True).stdout
    exported = {line.split()[2].split("@")[0] for line in out.splitlines()
                if len(line.split()) == 3 and line.split()[1] in "TBDRVW"}
    for name in sorted(promised - exported):
        print(f"promised by a header, not in the library: {name}")
    for name in sorted(exported - promised):
        print(f"in the library, promised by no header: {name}")
    wrong = promised ^ exported
    print(f"check_symbols: {len(promised)} promised, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
