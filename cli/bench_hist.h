/* SPDX-License-Identifier: MIT */
/*
 * bench_hist.h - how long things took, by quantile, in a fixed few kilobytes
 *
 * Exact below 128 ns, then 64 steps a power of two: a quantile is off by less
 * than 1/64 of itself. Up to 2^47 ns, 39 hours; longer counts as that.
 */
#ifndef NDI_BENCH_HIST_H
#define NDI_BENCH_HIST_H

#include <stdint.h>

#define BENCH_HIST_EXACT 128
#define BENCH_HIST_STEPS 64
#define BENCH_HIST_BUCKETS (BENCH_HIST_EXACT + 40 * BENCH_HIST_STEPS)

/* All zeros is an empty one. */
struct bench_hist {
    uint64_t count;
    uint64_t min; /* exact, as is max */
    uint64_t max;
    double sum;
    uint64_t buckets[BENCH_HIST_BUCKETS];
};

void bench_hist_add(struct bench_hist *h, uint64_t ns);
/* The middle of a bucket, ns. */
double bench_hist_value(int bucket);
/*
 * The smallest value that a part q of all, 0 < q <= 1, does not exceed: the
 * middle of its bucket. -1 if there are none, or beyond the median fewer than
 * 1 / (1 - q), for then it would only be the largest.
 */
double bench_hist_quantile(const struct bench_hist *h, double q);

#endif
