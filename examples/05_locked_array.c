/* SPDX-License-Identifier: MIT */
/*
 * Way 5: a typed array, multiprocessing.Array; here with its lock off.
 *
 *     cc 05_locked_array.c $(pkg-config --cflags --libs ndshare)
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
show_list(nds_typed *t)
{
    char *text;

    must(nds_typed_str(t, 0, 10, &text));
    printf("%s %lld\n", text, (long long)nds_typed_count(t));
    free(text);
}

static int
task(nds_args *args)
{
    nds_typed *t = nds_args_typed(args, 0);

    show_list(t);
    must(nds_fill(nds_array_view(nds_typed_array(t)), nds_float(0)));
    show_list(t);
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_array *data, *part;
    char *text;
    nds_typed *t;
    nds_args *args;
    nds_proc *child;
    int code;

    nds_init(argc, argv);
    must(nds_array_new(&data, NDS_FLOAT64, 1, (int64_t[]){10000}, NULL));
    must(nds_fill(nds_array_view(data), nds_float(1)));
    must(nds_array_slice(&part, data, "[:10]"));
    must(nds_view_str(nds_array_view(part), NULL, &text));
    printf("%s (10000,)\n", text);
    free(text);
    nds_array_close(part);
    must(nds_typed_from(&t, 'd', nds_array_view(data), false));
    show_list(t);
    must(nds_args_new(&args));
    must(nds_args_add_typed(args, t));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    show_list(t);
    nds_typed_close(t);
    nds_array_close(data);
    return code;
}

/* Prints
 * [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.] (10000,)
 * [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0] 10000   (twice)
 * [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] 10000   (twice) */
