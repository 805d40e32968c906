/* SPDX-License-Identifier: MIT */
/*
 * bench_ways.h - our side at work on a cell: what the parent holds
 *
 * One at a time, the command's one. bench_ways.c hands arrays over and waits
 * for each; bench_flow.c has them go to and fro, and many in flight.
 */
#ifndef NDI_BENCH_WAYS_H
#define NDI_BENCH_WAYS_H

#include "bench.h"

struct bench_way {
    const char *name;
    bool early; /* workers start before there is an array */
    bool once;  /* a worker a round */
    int (*create)(void);
    int (*hand)(void);
};

extern struct bench_work {
    const struct cli_command *self;
    const struct bench_cell *c;
    const struct bench_way *way;
    int64_t count; /* elements */
    nds_array *page;
    struct bench_slot *slots;
    nds_queue *done, *go[BENCH_PROCESSES_MAX]; /* None items */
    nds_proc *procs[BENCH_PROCESSES_MAX];
    nds_pipe *to[BENCH_PROCESSES_MAX], *at[BENCH_PROCESSES_MAX];
    nds_queue *queue, *back; /* back: of trips */
    nds_typed *typed;
    nds_array *array;
    nds_manager *manager;
    nds_proxy *proxy;
    char name[64]; /* of shared memory, or the file's path */
    double round, expected;
    double last_ns; /* end of the last batch */
} bench_work;

/* Says what failed, unless a signal did it: CLI_FAILED. */
int bench_work_failed(const char *what);
/* All but the array: channels, and the workers that are early. */
int bench_work_open(const struct cli_command *self,
                    const struct bench_cell *c);
int bench_work_touch(void); /* all ones */
/* A word of each worker. */
int bench_work_wait(void);
int bench_work_wake(void);
int bench_work_check(void); /* the workers' sums */
/* After any failure of the others too. */
int bench_work_close(void);

#endif
