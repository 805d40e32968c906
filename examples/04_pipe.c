/* SPDX-License-Identifier: MIT */
/*
 * Way 4: a pipe. The child makes an array and moves it: the memory itself
 * crosses, however large, and nothing is copied.
 *
 *     cc 04_pipe.c $(pkg-config --cflags --libs ndshare)
 */
#include <ndshare/ndshare.h>
#include <stdio.h>
#include <stdlib.h>

static void
must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", nds_last_error()->message);
        exit(1);
    }
}

static void
show(nds_array *a, const char *slice)
{
    nds_array *part;
    char *text;

    must(nds_array_slice(&part, a, slice));
    must(nds_view_str(nds_array_view(part), NULL, &text));
    printf("%s\n", text);
    free(text);
    nds_array_close(part);
}

static int
task(nds_args *args)
{
    nds_scalar one = nds_float(1);
    nds_array_options opts = {
        .size = sizeof opts, .reach = NDS_SHAREABLE, .fill = &one};
    nds_pipe *pipe = nds_args_handle(args, 0, "pipe");
    int64_t n = nds_args_int(args, 1);
    nds_array *a;

    must(nds_array_new(&a, NDS_FLOAT64, 2, (int64_t[]){n, n}, &opts));
    show(a, "[:5,:5]");
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
    int code;

    nds_init(argc, argv);
    must(nds_pipe_new(&receiver, &sender, NULL));
    must(nds_args_new(&args));
    must(nds_args_add_handle(args, "pipe", sender));
    must(nds_args_add_int(args, argc > 1 ? atoll(argv[1]) : 10000));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    nds_pipe_close(sender); // the child has its own
    must(nds_pipe_recv(receiver, &a, NULL, NDS_FOREVER));
    show(a, "[:5,:5]");
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    nds_array_close(a);
    nds_pipe_close(receiver);
    return code;
}

/* Prints a corner of ones in the child and one in the parent. */
