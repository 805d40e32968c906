/* SPDX-License-Identifier: MIT */
/*
 * Way 4: a pipe. The child makes an array and moves it: the memory itself
 * crosses, however large, and nothing is copied.
 *
 *     cc 04_pipe.c $(pkg-config --cflags --libs ndshare)
 */
#include "show.h"

static int
task(nds_args *args)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_pipe *pipe = nds_args_handle(args, 0, "pipe");
    int64_t n = nds_args_int(args, 1);
    nds_array *a;

    must(nds_array_new(&a, NDS_FLOAT64, 2, (int64_t[]){n, n}, &opts));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    show("", a, "[:5,:5]", "");
    must(nds_pipe_send_move(pipe, &a, NULL, NDS_FOREVER));
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_pipe *receiver, *sender;
    nds_array *a;
    nds_args *args;
    nds_proc *child;

    nds_init(argc, argv);
    must(nds_pipe_new(&receiver, &sender, NULL));
    must(nds_args_new(&args));
    must(nds_args_add_handle(args, "pipe", sender));
    must(nds_args_add_int(args, (int64_t)option(argc, argv, "--n", 10000)));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    nds_pipe_close(sender); // the child has its own
    must(nds_pipe_recv(receiver, &a, NULL, NDS_FOREVER));
    show("", a, "[:5,:5]", "");
    join(child);
    nds_array_close(a);
    nds_pipe_close(receiver);
    return 0;
}

/* Prints a corner of ones in the child and one in the parent. */
