/* SPDX-License-Identifier: MIT */
/*
 * Way 8: a memory-mapped file, as numpy.memmap: raw elements, no header.
 *
 *     cc 08_mapped_file.c $(pkg-config --cflags --libs ndshare)
 */
#include "show.h"

static int
task(nds_args *args)
{
    nds_array *a;

    must(nds_array_map_file(&a, nds_args_str(args, 0), NDS_READWRITE,
                            NDS_FLOAT32, 1, (int64_t[]){1000}, 'C', 0));
    show("Child: ", a, "[:10]", "");
    must(nds_add_scalar(nds_array_view(a), nds_array_view(a), nds_int(1)));
    must(nds_array_flush(a));
    show("Child: ", a, "[:10]", "");
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

    nds_init(argc, argv);
    must(nds_array_map_file(&a, "data.np", NDS_CREATE, NDS_FLOAT32, 1,
                            (int64_t[]){1000}, 'C', 0));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    must(nds_array_flush(a));
    show("", a, "[:10]", "");
    must(nds_args_new(&args));
    must(nds_args_add_str(args, "data.np"));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    join(child);
    show("", a, "[:10]", "");
    nds_array_close(a);
    remove("data.np");
    return 0;
}

/* Prints what way 6 prints without a length, and "Child: " for "Child ". */
