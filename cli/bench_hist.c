/* SPDX-License-Identifier: MIT */
/* bench_hist.c - a histogram of logarithmic buckets */
#include "bench_hist.h"

#include <math.h>

/* 64 = 1 << STEP_BITS steps follow each power of two from 128 on. */
#define STEP_BITS 6

static int
bucket_of(uint64_t ns)
{
    int power, i;

    if (ns < BENCH_HIST_EXACT) {
        return (int)ns;
    }
    power = 63 - __builtin_clzll(ns);
    i = BENCH_HIST_EXACT + (power - STEP_BITS - 1) * BENCH_HIST_STEPS +
        (int)((ns >> (power - STEP_BITS)) & (BENCH_HIST_STEPS - 1));
    return i < BENCH_HIST_BUCKETS ? i : BENCH_HIST_BUCKETS - 1;
}

double
bench_hist_value(int i)
{
    int power, step;

    if (i < BENCH_HIST_EXACT) {
        return i;
    }
    i -= BENCH_HIST_EXACT;
    power = i / BENCH_HIST_STEPS + STEP_BITS + 1;
    step = i % BENCH_HIST_STEPS;
    return ldexp(BENCH_HIST_STEPS + step + 0.5, power - STEP_BITS);
}

void
bench_hist_add(struct bench_hist *h, uint64_t ns)
{
    h->min = h->count == 0 || ns < h->min ? ns : h->min;
    h->max = ns > h->max ? ns : h->max;
    h->count++;
    h->sum += (double)ns;
    h->buckets[bucket_of(ns)]++;
}

double
bench_hist_quantile(const struct bench_hist *h, double q)
{
    uint64_t rank = (uint64_t)ceil(q * (double)h->count - 1e-6), seen = 0;
    double value;

    if (h->count == 0 ||
        (q > 0.5 && (double)h->count * (1 - q) < 1 - 1e-6)) {
        return -1;
    }
    for (int i = 0; i < BENCH_HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            value = bench_hist_value(i);
            value = value < (double)h->min ? (double)h->min : value;
            return value > (double)h->max ? (double)h->max : value;
        }
    }
    return (double)h->max;
}
