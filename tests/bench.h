/* SPDX-License-Identifier: MIT */
/*
 * bench.h - figures of a bench program for other programs
 *
 *     bench_say("queue trip 1 KiB", 2.1, "us");
 *
 * Appends "value unit name" to the file that NDS_BENCH_FIGURES names, if any;
 * bench/compare.py reads it. A unit that ends in /s is better when larger,
 * any other when smaller. What people read on standard output stays as it is.
 * And the order of doubles, for medians.
 */
#ifndef NDS_BENCH_H
#define NDS_BENCH_H

#include <stdio.h>
#include <stdlib.h>

static inline void
bench_say(const char *name, double value, const char *unit)
{
    const char *path = getenv("NDS_BENCH_FIGURES");
    FILE *out = path != NULL ? fopen(path, "a") : NULL;

    if (out != NULL) {
        fprintf(out, "%.9g %s %s\n", value, unit, name);
        fclose(out);
    }
}

/* For qsort of doubles. */
static inline int
bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

#endif
