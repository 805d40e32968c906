/* SPDX-License-Identifier: MIT */
/*
 * Way 6: anonymous shared memory, any shape, no lock taken.
 *
 *     cc 06_raw_array.c $(pkg-config --cflags --libs ndshare)
 */
#include "show.h"

static int
task(nds_args *args)
{
    nds_array *a = nds_args_array(args, 0);
    const nds_view *v = nds_array_view(a);

    show("Child ", a, "[:10]", "");
    must(nds_add_scalar(v, v, nds_int(1)));
    show("Child ", a, "[:10]", "");
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    int64_t n = (int64_t)option(argc, argv, "--n", 10000000);
    char count[32];
    nds_array *a;
    nds_args *args;
    nds_proc *child;

    nds_init(argc, argv);
    must(nds_array_new(&a, NDS_FLOAT64, 1, &n, &opts));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    snprintf(count, sizeof count, " %lld", (long long)n);
    show("", a, "[:10]", count);
    must(nds_args_new(&args));
    must(nds_args_add_array(args, a, NDS_SHARED));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    join(child);
    show("", a, "[:10]", "");
    nds_array_close(a);
    return 0;
}

/* Prints
 * [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.] 10000000
 * Child [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.]
 * Child [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.]
 * [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.] */
