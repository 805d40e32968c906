/* SPDX-License-Identifier: MIT */
/*
 * Way 1: an array as an argument. By value: neither side sees what the other
 * writes later. Works the same by fork and by spawn (NDSHARE_START_METHOD).
 *
 *     cc 01_argument.c $(pkg-config --cflags --libs ndshare)
 *     ./a.out [N [FILL]]
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
    nds_array *a = nds_args_array(args, 0);

    show(a, "[:5,:5]");
    must(nds_fill(nds_array_view(a), nds_float(nds_args_float(args, 1))));
    show(a, "[:5,:5]");
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_array *a;
    nds_args *args;
    nds_proc *child;
    int code;

    nds_init(argc, argv);
    int64_t n = argc > 1 ? atoll(argv[1]) : 10000;
    double fill = argc > 2 ? atof(argv[2]) : 0;

    must(nds_array_new(&a, NDS_FLOAT64, 2, (int64_t[]){n, n}, NULL));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    must(nds_args_new(&args));
    must(nds_args_add_array(args, a, NDS_BY_VALUE));
    must(nds_args_add_float(args, fill));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    show(a, "[:5,:5]");
    nds_array_close(a);
    return code;
}

/* Prints a corner of ones, a corner of zeros, and a corner of ones. */
