/* SPDX-License-Identifier: MIT */
/*
 * Way 2: inheritance. A global made before fork is the child's too, copied
 * only where one side writes. By its nature this is a way of fork alone.
 *
 *     cc 02_inherit.c $(pkg-config --cflags --libs ndshare)
 */
#include "show.h"

static nds_array *data;

static int
task(nds_args *args)
{
    show("", data, "[:5,:5]", "");
    must(nds_fill(nds_array_view(data), nds_float(nds_args_float(args, 0))));
    show("", data, "[:5,:5]", "");
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_proc_options opts = {.size = sizeof opts, .start = NDS_FORK};
    nds_args *args;
    nds_proc *child;

    nds_init(argc, argv);
    int64_t n = (int64_t)option(argc, argv, "--n", 10000);

    must(nds_array_new(&data, NDS_FLOAT64, 2, (int64_t[]){n, n}, NULL));
    must(nds_fill(nds_array_view(data), nds_float(1)));
    must(nds_args_new(&args));
    must(nds_args_add_float(args, option(argc, argv, "--fill", 0)));
    must(nds_proc_start(&child, "task", args, &opts));
    nds_args_free(args);
    join(child);
    show("", data, "[:5,:5]", "");
    nds_array_close(data);
    return 0;
}

/* Prints a corner of ones, a corner of zeros, and a corner of ones. */
