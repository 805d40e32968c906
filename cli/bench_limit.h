/* SPDX-License-Identifier: MIT */
/*
 * bench_limit.h - what this machine can do at best, whatever the library does
 *
 * Over memory that is mapped and was used before; the fastest of all trials,
 * by one thread or by all processors' threads together.
 */
#ifndef NDI_BENCH_LIMIT_H
#define NDI_BENCH_LIMIT_H

#include "bench.h"

struct bench_pass {
    double one; /* ns, one thread */
    double best;
};

struct bench_limits {
    int count;
    struct bench_size_limits {
        int64_t nbytes;
        struct bench_pass copy, read, write;
        /* ns an item that one processor copies or writes and another reads,
         * with a word between them: one at a time, and several in flight.
         * 0 with one processor. */
        double bare_copy, bare_write, bare_copies, bare_writes;
    } sizes[BENCH_LIST_MAX];
    /* Median ns there and back: both spin (0 with one processor), both sleep
     * in a futex. The least: a forked process until its first word, and
     * /bin/true until its end. */
    double spin, futex, fork, exec;
};

/* As fast as memory is read, on one thread. */
double bench_add_up(const double *x, size_t n);
/* CLI_OK or CLI_FAILED; of two calls the better figures stay. */
int bench_limits_measure(struct bench_limits *l, const struct bench_options *o);
/* ns that the cell's work takes at least, and of what: "memcpy + read". */
double bench_limit_of(const struct bench_limits *l, const struct bench_cell *c,
                      char what[64]);
const struct bench_size_limits *
bench_limits_at(const struct bench_limits *l, int64_t nbytes);
/* What the cell's work takes two threads that do nothing else, ns; < 0 where
 * that says nothing: other ways than 3 and 4, more processes. */
double bench_bare_of(const struct bench_limits *l, const struct bench_cell *c);
/* Adds to each entry of a kind its limit_ns, limit and fraction, and where
 * there is such work bare_ns and bare_fraction. */
void bench_limits_apply(const struct bench_limits *l, enum bench_kind kind,
                        json_t *entries);
json_t *bench_limits_json(const struct bench_limits *l);
json_t *bench_round_trips_json(const struct bench_limits *l);

#endif
