/* SPDX-License-Identifier: MIT */
/*
 * bench_ops.c - what operations on one large array cost here
 *
 *     bench_ops [MEGABYTES]
 *
 * Milliseconds, medians of seven, of float64 on the heap and in shared memory,
 * with one thread and with all. "new" includes giving the memory back, which
 * the next one then finds warm.
 */
#include "bench.h"

#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS 7

static int64_t count;
static nds_array_options opts = {.size = sizeof opts};
static nds_array *array;

static void
must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", nds_last_error()->message);
        exit(1);
    }
}

static const nds_view *
view(void)
{
    return nds_array_view(array);
}

static void
new_then_fill(void)
{
    nds_array *a;

    must(nds_array_new(&a, NDS_FLOAT64, 1, &count, &opts));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    nds_array_close(a);
}

static void
new_filled(void)
{
    nds_scalar one = nds_float(1);
    nds_array_options filled = opts;
    nds_array *a;

    filled.fill = &one;
    must(nds_array_new(&a, NDS_FLOAT64, 1, &count, &filled));
    nds_array_close(a);
}

static void
fill(void)
{
    must(nds_fill(view(), nds_float(3)));
}

static void
sum(void)
{
    nds_scalar s;

    must(nds_sum(&s, view()));
}

static void
max(void)
{
    nds_scalar s;

    must(nds_max(&s, view()));
}

static void
add(void)
{
    must(nds_add_scalar(view(), view(), nds_int(1)));
}

static void
random_numbers(void)
{
    must(nds_random(view(), 7));
}

static const struct {
    const char *name;
    void (*run)(void);
} ops[] = {
    {"new, then fill", new_then_fill}, {"new with fill", new_filled},
    {"fill", fill}, {"sum", sum}, {"max", max}, {"add 1", add},
    {"random", random_numbers},
};
#define OPS ((int)(sizeof ops / sizeof ops[0]))

static double
median_ms(void (*run)(void))
{
    double ms[RUNS];

    run(); // warms memory and caches
    for (int i = 0; i < RUNS; i++) {
        struct timespec a, b;

        clock_gettime(CLOCK_MONOTONIC, &a);
        run();
        clock_gettime(CLOCK_MONOTONIC, &b);
        ms[i] = (double)(b.tv_sec - a.tv_sec) * 1e3 +
                (double)(b.tv_nsec - a.tv_nsec) * 1e-6;
    }
    qsort(ms, RUNS, sizeof ms[0], bench_by_value);
    return ms[RUNS / 2];
}

int
main(int argc, char **argv)
{
    double table[OPS][4];

    count = (argc > 1 ? atoll(argv[1]) : 800) * 1000000 / 8;
    for (int column = 0; column < 4; column++) {
        opts.reach = column < 2 ? NDS_HEAP : NDS_SHAREABLE;
        if (column % 2 == 0) {
            setenv("NDSHARE_THREADS", "1", 1);
        } else {
            unsetenv("NDSHARE_THREADS");
        }
        must(nds_array_new(&array, NDS_FLOAT64, 1, &count, &opts));
        for (int i = 0; i < OPS; i++) {
            table[i][column] = median_ms(ops[i].run);
        }
        nds_array_close(array);
    }
    printf("%lld MB of float64, ms       heap: 1 thread    all"
           "   shared: 1 thread    all\n", (long long)count * 8 / 1000000);
    for (int i = 0; i < OPS; i++) {
        bench_say(ops[i].name, table[i][1], "ms");
        printf("%-28s %14.1f %6.1f %18.1f %6.1f\n", ops[i].name, table[i][0],
               table[i][1], table[i][2], table[i][3]);
    }
    return 0;
}
