/* SPDX-License-Identifier: MIT */
/*
 * Way 2: inheritance. A global made before fork is the child's too, copied
 * only where one side writes. By its nature this is a way of fork alone.
 *
 *     cc 02_inherit.c $(pkg-config --cflags --libs ndshare)
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

static nds_array *data;

static int
task(nds_args *args)
{
    show(data, "[:5,:5]");
    must(nds_fill(nds_array_view(data), nds_float(nds_args_float(args, 0))));
    show(data, "[:5,:5]");
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_proc_options opts = {.size = sizeof opts, .start = NDS_FORK};
    nds_args *args;
    nds_proc *child;
    int code;

    nds_init(argc, argv);
    int64_t n = argc > 1 ? atoll(argv[1]) : 10000;
    double fill = argc > 2 ? atof(argv[2]) : 0;

    must(nds_array_new(&data, NDS_FLOAT64, 2, (int64_t[]){n, n}, NULL));
    must(nds_fill(nds_array_view(data), nds_float(1)));
    must(nds_args_new(&args));
    must(nds_args_add_float(args, fill));
    must(nds_proc_start(&child, "task", args, &opts));
    nds_args_free(args);
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    show(data, "[:5,:5]");
    nds_array_close(data);
    return code;
}

/* Prints a corner of ones, a corner of zeros, and a corner of ones. */
