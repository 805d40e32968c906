/* SPDX-License-Identifier: MIT */
/*
 * Way 8: a memory-mapped file, as numpy.memmap: raw elements, no header.
 *
 *     cc 08_mapped_file.c $(pkg-config --cflags --libs ndshare)
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
    nds_array *a;

    must(nds_array_map_file(&a, nds_args_str(args, 0), NDS_READWRITE,
                            NDS_FLOAT32, 1, (int64_t[]){1000}, 'C', 0));
    show("Child: ", a, "");
    must(nds_add_scalar(nds_array_view(a), nds_array_view(a), nds_int(1)));
    must(nds_array_flush(a));
    show("Child: ", a, "");
    nds_array_close(a);
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
    must(nds_array_map_file(&a, "data.np", NDS_CREATE, NDS_FLOAT32, 1,
                            (int64_t[]){1000}, 'C', 0));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    must(nds_array_flush(a));
    show("", a, "");
    must(nds_args_new(&args));
    must(nds_args_add_str(args, "data.np"));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    show("", a, "");
    nds_array_close(a);
    remove("data.np");
    return code;
}

/* Prints what way 6 prints without a length, and "Child: " for "Child ". */
