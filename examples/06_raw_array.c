/* SPDX-License-Identifier: MIT */
/*
 * Way 6: anonymous shared memory, any shape, no lock taken.
 *
 *     cc 06_raw_array.c $(pkg-config --cflags --libs ndshare)
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
show(const char *head, nds_array *a, const char *tail)
{
    nds_array *part;
    char *text;

    must(nds_array_slice(&part, a, "[:10]"));
    must(nds_view_str(nds_array_view(part), NULL, &text));
    printf("%s%s%s\n", head, text, tail);
    free(text);
    nds_array_close(part);
}

static int
task(nds_args *args)
{
    nds_array *a = nds_args_array(args, 0);
    const nds_view *v = nds_array_view(a);

    show("Child ", a, "");
    must(nds_add_scalar(v, v, nds_int(1)));
    show("Child ", a, "");
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_scalar one = nds_float(1);
    nds_array_options opts = {
        .size = sizeof opts, .reach = NDS_SHAREABLE, .fill = &one};
    char count[32];
    nds_array *a;
    nds_args *args;
    nds_proc *child;
    int code;

    nds_init(argc, argv);
    int64_t n = argc > 1 ? atoll(argv[1]) : 10000000;

    must(nds_array_new(&a, NDS_FLOAT64, 1, &n, &opts));
    snprintf(count, sizeof count, " %lld", (long long)n);
    show("", a, count);
    must(nds_args_new(&args));
    must(nds_args_add_array(args, a, NDS_SHARED));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    show("", a, "");
    nds_array_close(a);
    return code;
}

/* Prints
 * [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.] 10000000
 * Child [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.]
 * Child [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.]
 * [2. 2. 2. 2. 2. 2. 2. 2. 2. 2.] */
