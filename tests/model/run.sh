#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh - checks a model exhaustively, then that broken protocols are caught
#
#     tests/model/run.sh chan|mutex|sweep
#
# Exit 77 (skipped) without spin or a C compiler.
set -eu
name=$1
model=$(cd "$(dirname "$0")" && pwd)/$name.pml
cc=${CC:-gcc}
command -v spin >/dev/null || { echo "skipped: no spin"; exit 77; }
command -v "$cc" >/dev/null || { echo "skipped: no $cc"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# A compiler that optimises takes longer over a checker than most of them run.
effort=-O0

check() { # spin options -> pan's report in out
    spin "$@" -a "$model" >spin.out 2>&1 || { cat spin.out; exit 1; }
    "$cc" $effort -w -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM=2000 -o pan pan.c
    ./pan -m1000000 >out 2>&1 || true
}

holds() { # the protocol, searched to the end
    check "$@"
    echo "$name $*"
    grep -E 'errors:|states, stored|elapsed' out
    grep -q 'errors: 0' out || { cat out; exit 1; }
    ! grep -q 'Search not completed\|max search depth too small' out ||
        { cat out; exit 1; }
}

fails() { # what was broken, and how
    what=$1
    shift
    check "$@"
    grep -q 'assertion violated' out ||
        { echo "not caught: $what"; cat out; exit 1; }
    echo "caught: $what: $(grep 'assertion violated' out)"
}

case $name in
chan)
    effort=-O2 # millions of states
    holds
    holds -DRUN=2 -DKILLS=1
    holds -DAHEAD -DKILLS=1
    holds -DPICK -DKILLS=1
    effort=-O0
    fails 'a section without the dirty flag' -DMUTANT=1
    fails 'a loan ahead that is started without a look' -DAHEAD -DMUTANT=2
    fails 'an item that is picked without a look' -DPICK -DMUTANT=3
    fails 'a burial that takes an item from who picks it' -DPICK -DMUTANT=4
    ;;
mutex)
    holds -DJOIN=0
    holds -DJOIN=1
    fails 'an heir that does not compare the word' -DMUTANT=1
    fails 'an heir that gives up and keeps the verdict' -DMUTANT=2
    fails 'asking the presence byte, not the generation' -DJOIN=1 -DMUTANT=3
    ;;
sweep)
    holds -DRUN=0
    holds -DRUN=1
    holds -DRUN=2
    holds -DRUN=3
    fails 'no look whether the name is still that file' -DRUN=1 -DMUTANT=1
    fails 'attaching without a look at the link count' -DRUN=3 -DMUTANT=2
    fails 'no lease' -DMUTANT=3
    fails 'no exclusive in-use byte' -DRUN=3 -DMUTANT=4
    fails 'no lock of names' -DRUN=1 -DMUTANT=5
    fails 'limit: mapped after the lease' -DLIMIT=1
    fails 'limit: renamed after the last look, without the lock' \
        -DRUN=2 -DLIMIT=2
    ;;
*)
    echo "no model $name"
    exit 2
    ;;
esac
