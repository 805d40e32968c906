/* SPDX-License-Identifier: MIT */
/*
 * bench_proc.c - what an array among the arguments adds to a process's start
 *
 *     bench_proc [bytes, default 800000000 [pairs, default 200]]
 *     bench_proc sum [bytes]      milliseconds of one spawn: from the call until
 *                                 the child has summed a heap array that it got
 *                                 by value; bench/spawn_sum.py runs it
 *
 * The same process is started alternately without and with the array, by each
 * method: from the call until the child has read the first and last element of
 * what it got and said so. Medians; not part of the test run.
 */
#include "bench.h"

#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRESH 9 /* pairs where every array must be made first */

static int64_t nbytes = 800000000;

static void
must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "%s: %s: %s\n", what, nds_error_name(rc),
                nds_last_error()->message);
        exit(1);
    }
}

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* page, array or none: reads both ends of the array and writes the time. */
static int
reads(nds_args *args)
{
    nds_array *a = nds_args_count(args) > 1 ? nds_args_array(args, 1) : NULL;
    volatile int64_t *page = nds_array_data(nds_args_array(args, 0));
    int64_t seen = 0;

    if (a != NULL) {
        const volatile unsigned char *p = nds_array_data(a);

        seen = p[0] + p[nds_view_nbytes(nds_array_view(a)) - 1];
    }
    page[1] = seen;
    page[0] = now_ns();
    return 0;
}
NDS_TASK(reads);

/* One start: microseconds until the child had read it. *a is NULL after a
 * move. */
static double
one(nds_array *page, nds_array **a, enum nds_pass pass, enum nds_start how)
{
    nds_proc_options opts = {.size = sizeof opts, .start = how};
    volatile int64_t *said = nds_array_data(page);
    nds_args *args;
    nds_proc *p;
    int64_t begun;
    int code = 1;

    must(nds_args_new(&args), "arguments");
    must(nds_args_add_array(args, page, NDS_SHARED), "the page");
    if (a != NULL && pass == NDS_MOVED) {
        must(nds_args_add_move(args, a), "move");
    } else if (a != NULL) {
        must(nds_args_add_array(args, *a, pass), "the array");
    }
    begun = now_ns();
    must(nds_proc_start(&p, "reads", args, &opts), "start");
    must(nds_proc_join(p, NDS_SEC(60), &code), "join");
    nds_proc_close(p);
    nds_args_free(args);
    if (code != 0 || said[0] < begun || said[1] != (a == NULL ? 0 : 3)) {
        fprintf(stderr, "the child read something else\n");
        exit(1);
    }
    return (double)(said[0] - begun) / 1e3;
}

/* Every page of it is there, as in an array that was computed. */
static nds_array *
make(enum nds_reach reach)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    nds_array *a;
    unsigned char *data;

    must(nds_array_new(&a, NDS_UINT8, 1, &nbytes, &opts), "an array");
    must(nds_fill(nds_array_view(a), nds_int(1)), "fill");
    data = nds_array_data(a);
    data[nbytes - 1] = 2;
    return a;
}

/* keep: the memory of a moved array stays with another handle of ours, or each
 * would have to be made anew. Without it the parent unmaps it after that. */
static void
pairs(const char *title, enum nds_pass pass, bool freeze, bool keep,
      enum nds_start how, int count)
{
    static const char *const names[] = {"", "fork", "spawn", "forkserver"};
    char figure[64];
    double *without = malloc((size_t)count * sizeof *without);
    double *with = malloc((size_t)count * sizeof *with);
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    int64_t two = 2;
    nds_array *page, *a = make(NDS_SHAREABLE), *spare = NULL;

    must(nds_array_new(&page, NDS_INT64, 1, &two, &opts), "a page");
    if (freeze) {
        must(nds_array_freeze(a), "freeze");
    }
    for (int i = 0; i < count; i++) {
        without[i] = one(page, NULL, pass, how);
        if (keep) {
            must(nds_array_get(&spare, a), "a handle");
        }
        with[i] = one(page, keep ? &spare : &a, pass, how);
        if (a == NULL) {
            a = make(NDS_SHAREABLE);
        }
    }
    qsort(without, (size_t)count, sizeof *without, bench_by_value);
    qsort(with, (size_t)count, sizeof *with, bench_by_value);
    snprintf(figure, sizeof figure, "%s, %s", title, names[how]);
    bench_say(figure, with[count / 2], "us");
    printf("%-16s %-10s without %8.1f us, with %8.1f us: %+8.1f us  "
           "(p90 %8.1f, %8.1f)\n", title, names[how], without[count / 2],
           with[count / 2], with[count / 2] - without[count / 2],
           without[count - count / 10 - 1], with[count - count / 10 - 1]);
    fflush(stdout);
    nds_array_close(a);
    nds_array_close(page);
    nds_array_close(spare);
    free(without);
    free(with);
}

/* page, array of float64: sums it and writes the time. */
static int
sums(nds_args *args)
{
    volatile int64_t *page = nds_array_data(nds_args_array(args, 0));
    nds_scalar s;
    int rc = nds_sum(&s, nds_array_view(nds_args_array(args, 1)));

    page[1] = rc < 0 ? rc : nds_scalar_int64(&s);
    page[0] = now_ns();
    return 0;
}
NDS_TASK(sums);

static int
spawn_sum(void)
{
    nds_array_options shared = {.size = sizeof shared,
                                .reach = NDS_SHAREABLE};
    nds_proc_options opts = {.size = sizeof opts, .start = NDS_SPAWN};
    int64_t two = 2, count = nbytes / 8, begun;
    volatile int64_t *said;
    nds_array *page, *a;
    nds_args *args;
    nds_proc *p;
    int code = 1;

    must(nds_array_new(&page, NDS_INT64, 1, &two, &shared), "a page");
    must(nds_array_new(&a, NDS_FLOAT64, 1, &count, NULL), "an array");
    must(nds_fill(nds_array_view(a), nds_float(1)), "fill");
    said = nds_array_data(page);
    begun = now_ns();
    must(nds_args_new(&args), "arguments");
    must(nds_args_add_array(args, page, NDS_SHARED), "the page");
    must(nds_args_add_array(args, a, NDS_BY_VALUE), "the array");
    must(nds_proc_start(&p, "sums", args, &opts), "start");
    must(nds_proc_join(p, NDS_SEC(60), &code), "join");
    if (code != 0 || said[1] != count) {
        fprintf(stderr, "the child summed something else\n");
        return 1;
    }
    printf("%.3f\n", (double)(said[0] - begun) / 1e6);
    nds_proc_close(p);
    nds_args_free(args);
    nds_array_close(a);
    nds_array_close(page);
    return 0;
}

int
main(int argc, char **argv)
{
    int count;

    nds_init(argc, argv);
    if (argc > 1 && strcmp(argv[1], "sum") == 0) {
        nbytes = argc > 2 ? atoll(argv[2]) : nbytes;
        return spawn_sum();
    }
    nbytes = argc > 1 ? atoll(argv[1]) : nbytes;
    count = argc > 2 ? atoi(argv[2]) : 200;
    for (int how = NDS_FORK; how <= NDS_FORKSERVER; how++) {
        pairs("shared", NDS_SHARED, false, false, (enum nds_start)how, count);
        pairs("moved, kept", NDS_MOVED, false, true, (enum nds_start)how,
              count);
        pairs("moved", NDS_MOVED, false, false, (enum nds_start)how, FRESH);
        pairs("frozen, by value", NDS_BY_VALUE, true, false,
              (enum nds_start)how, count);
    }
    return 0;
}
