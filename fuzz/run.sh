#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh - every fuzz target for a while, one line of result each
#
#     FUZZ_SECONDS=60 fuzz/run.sh [TARGET...]
#
# Starts from the committed corpus; what is found grows in build/fuzz/found,
# findings land in build/fuzz/crash. Fails if any target found something.
set -u
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
[ $# -gt 0 ] || set -- npy dtype pickle frame control ring arena hosted token
targets=
for t in "$@"; do
    targets="$targets fuzz_$t"
done
# shellcheck disable=SC2086
scripts/build fuzz -DNDS_TESTS=ON -- $targets || exit 1

mkdir -p build/fuzz/crash
failed=0
printf '%-8s %12s %10s %7s %7s\n' target executions per-second cov ft
for t in "$@"; do
    found=build/fuzz/found/$t
    log=build/fuzz/$t.log
    mkdir -p "$found"
    build/fuzz/fuzz/fuzz_"$t" -max_total_time="$seconds" -timeout=60 \
        -max_len=4096 -print_final_stats=1 \
        -artifact_prefix=build/fuzz/crash/"$t"- \
        "$found" fuzz/corpus/"$t" >"$log" 2>&1
    rc=$?
    last=$(grep 'cov: ' "$log" | tail -n 1)
    printf '%-8s %12s %10s %7s %7s' "$t" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" \
        "$(echo "$last" | sed 's/.*cov: \([0-9]*\).*/\1/')" \
        "$(echo "$last" | sed 's/.*ft: \([0-9]*\).*/\1/')"
    if [ "$rc" -ne 0 ]; then
        printf '  FOUND, see %s' "$log"
        failed=1
    fi
    echo
done
exit $failed
