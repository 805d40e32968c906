#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the programs of `ndshare tour --small --plain` print, to the character.

    tour.py NDSHARE fork|spawn|forkserver

Way 3 prints random values in any order: there only the form is compared.
"""
import re
import subprocess
import sys


def corner(value):
    row = "[" + " ".join([f"{value}."] * 5) + "]"
    return "[" + "\n ".join([row] * 5) + "]\n"


def ten(value):
    return "[" + " ".join([f"{value}."] * 10) + "]"


def ten_list(value):
    return str([float(value)] * 10) + " 10000\n"


def adds(tail, child):
    return (f"{ten(1)}{tail}\n{child} {ten(1)}\n{child} {ten(2)}\n"
            f"{ten(2)}\n")


ones, zeros = corner(1), corner(0)
EXPECTED = {
    1: ones + zeros + ones,
    2: ones + zeros + ones,
    4: ones + ones,
    5: (f"{ten(1)} (10000,)\n" + ten_list(1) * 2 + ten_list(0) * 2),
    6: adds(" 1000000", "Child"),
    7: adds(" 10000", "Child"),
    8: adds("", "Child:"),
    9: ("Array created on host: array([1., 1., 1., ..., 1., 1., 1.], "
        "shape=(1000000,))\nArray sum: 1000000.0\n"
        "Array sum (in child): 1000000.0\n"),
}
READ = re.compile(r"Task read an array \(\d+, \d+\), max=0\.9\d+")


def queue_is_right(text):
    lines = text.splitlines()
    return (sum(bool(READ.fullmatch(line)) for line in lines) == 20
            and lines.count("Task done.") == 4 and lines[-1] == "Done."
            and len(lines) == 25)


def run(command, method, *options):
    done = subprocess.run([command, "tour", "--small", "--start-method",
                           method, *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=100)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"{options}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def main():
    command, method = sys.argv[1:]
    for number, text in EXPECTED.items():
        got = run(command, method, "--plain", "--only", str(number))
        if got != text:
            sys.exit(f"way {number} by {method} printed\n{got}not\n{text}")
    got = run(command, method, "--plain", "--only", "3")
    if not queue_is_right(got):
        sys.exit(f"way 3 by {method} printed\n{got}")
    table = run(command, method)
    for word in ("seconds", "(first)", "peak", "copied", "use it for"):
        if word not in table:
            sys.exit(f"no '{word}' in the table:\n{table}")


if __name__ == "__main__":
    main()
