/* SPDX-License-Identifier: MIT */
/*
 * bench_two.h - two processes, each on a processor of its own
 */
#ifndef NDS_BENCH_TWO_H
#define NDS_BENCH_TWO_H

#include "bench_ring.h"

#include <ndshare/ndshare.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void
must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "%s: %s: %s\n", what, nds_error_name(rc),
                nds_last_error()->message);
        exit(1);
    }
}

static inline double
now(void)
{
    return (double)bench_ring_now() * 1e-9;
}

/* The which-th of the processors that this process may use. */
static inline void
pin(const cpu_set_t *all, int which)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(all) > 1; cpu++) {
        if (CPU_ISSET(cpu, all) && which-- == 0) {
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
        }
    }
}

/* here(arg) and, in a child, there(arg), each on its processor; seconds. */
static inline double
both(void (*here)(int arg), void (*there)(int arg), int arg)
{
    cpu_set_t all;
    int status = 1;
    double t;

    sched_getaffinity(0, sizeof all, &all);
    if (fork() == 0) {
        pin(&all, 1);
        there(arg);
        _exit(0);
    }
    pin(&all, 0);
    t = now();
    here(arg);
    wait(&status);
    t = now() - t;
    sched_setaffinity(0, sizeof all, &all);
    if (status != 0) {
        exit(1); // it has said why
    }
    return t;
}

/* What a line takes from one of the two processors to the other and back, both
 * looking for it: a virtual machine is given near ones and far ones, 0.1 and 0.5
 * us, and others the next moment. Least and most of the looks so far. */
struct way_between {
    double least, most;
};

static _Atomic int *bench_ball;

static inline void
bench_serve(int n)
{
    for (int i = 0; i < n; i++) {
        atomic_store_explicit(bench_ball, 2 * i + 1, memory_order_release);
        while (atomic_load_explicit(bench_ball, memory_order_acquire) !=
               2 * i + 2) {
        }
    }
}

static inline void
bench_return(int n)
{
    for (int i = 0; i < n; i++) {
        while (atomic_load_explicit(bench_ball, memory_order_acquire) !=
               2 * i + 1) {
        }
        atomic_store_explicit(bench_ball, 2 * i + 2, memory_order_release);
    }
}

static inline void
look_between(struct way_between *w)
{
    enum { TURNS = 20000 };
    double us;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        return;
    }
    bench_ball = mmap(NULL, sizeof *bench_ball, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(bench_ball != MAP_FAILED ? 0 : NDS_ENOMEM, "shared memory");
    us = both(bench_serve, bench_return, TURNS) / TURNS * 1e6;
    munmap(bench_ball, sizeof *bench_ball);
    w->least = w->most == 0 || us < w->least ? us : w->least;
    w->most = us > w->most ? us : w->most;
}

static inline void
say_between(const struct way_between *w)
{
    if (w->most > 0) {
        printf("a line between the two processors and back: %.2f to %.2f us\n",
               w->least, w->most);
    }
}

/* Of float64 ones. */
static inline nds_array *
array_of(int64_t nbytes)
{
    int64_t count = nbytes / 8;
    nds_array *a = NULL;

    must(nds_array_new(&a, NDS_FLOAT64, 1, &count, NULL), "array");
    for (int64_t i = 0; i < count; i++) {
        ((double *)nds_array_data(a))[i] = 1;
    }
    return a;
}

static inline double
sum_of(const double *x, int64_t count)
{
    double s[8] = {0};

    for (int64_t i = 0; i + 8 <= count; i += 8) {
        for (int k = 0; k < 8; k++) {
            s[k] += x[i + k];
        }
    }
    return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}

#endif
