#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks chan.pml exhaustively, then that a broken protocol is caught.
# Exit 77 (skipped) without spin or a C compiler.
set -eu
model=$(cd "$(dirname "$0")" && pwd)/chan.pml
cc=${CC:-gcc}
command -v spin >/dev/null || { echo "skipped: no spin"; exit 77; }
command -v "$cc" >/dev/null || { echo "skipped: no $cc"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

check() { # spin options -> pan's report in out
    spin "$@" -a "$model" >spin.out 2>&1 || { cat spin.out; exit 1; }
    "$cc" -O1 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -o pan pan.c
    ./pan -m1000000 >out 2>&1 || true
}

clean() {
    grep -E 'errors:|states, stored|elapsed' out
    grep -q 'errors: 0' out || { cat out; exit 1; }
    ! grep -q 'Search not completed\|max search depth too small' out || { cat out; exit 1; }
}

echo "single items:"
check
clean
echo "runs of two, one kill:"
check -DRUN=2 -DKILLS=1
clean
check -DMUTANT
grep -q 'assertion violated' out || { echo "the mutant was not caught"; cat out; exit 1; }
echo "the mutant without the dirty flag is caught"
