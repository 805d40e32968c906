/* SPDX-License-Identifier: MIT */
/*
 * Way 1: an array as an argument. By value: neither side sees what the other
 * writes later. Works the same by fork and by spawn (NDSHARE_START_METHOD).
 *
 *     cc 01_argument.c $(pkg-config --cflags --libs ndshare)
 */
#include "show.h"

static int
task(nds_args *args)
{
    nds_array *a = nds_args_array(args, 0);

    show("", a, "[:5,:5]", "");
    must(nds_fill(nds_array_view(a), nds_float(nds_args_float(args, 1))));
    show("", a, "[:5,:5]", "");
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_array *a;
    nds_args *args;
    nds_proc *child;

    nds_init(argc, argv);
    int64_t n = (int64_t)option(argc, argv, "--n", 10000);

    must(nds_array_new(&a, NDS_FLOAT64, 2, (int64_t[]){n, n}, NULL));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    must(nds_args_new(&args));
    must(nds_args_add_array(args, a, NDS_BY_VALUE));
    must(nds_args_add_float(args, option(argc, argv, "--fill", 0)));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    join(child);
    show("", a, "[:5,:5]", "");
    nds_array_close(a);
    return 0;
}

/* Prints a corner of ones, a corner of zeros, and a corner of ones. */
