#!/bin/sh
# SPDX-License-Identifier: MIT
#
# minimise.sh - the committed corpus from all that was found
#
#     fuzz/minimise.sh TARGET DIRECTORY...
#
# Inputs that reach what no other reaches, without counting how often, so that
# the corpus stays small; findings (found-*) stay whatever they reach. Needs a
# built fuzz preset.
set -eu
cd "$(dirname "$0")/.."
target=$1
shift
corpus=fuzz/corpus/$target
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir -p "$corpus"
build/fuzz/fuzz/fuzz_"$target" -set_cover_merge=1 -use_counters=0 -max_len=8192 \
    "$new" "$corpus" "$@" >build/fuzz/"$target".merge.log 2>&1
find "$corpus" -type f ! -name 'found-*' -delete
cp "$new"/* "$corpus"/
echo "$target: $(find "$corpus" -type f | wc -l) inputs," \
    "$(cat "$corpus"/* | wc -c) bytes"
