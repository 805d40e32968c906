/* SPDX-License-Identifier: MIT */
/*
 * Way 7: shared memory by name. The child knows the name and nothing else; so
 * would any other program, a stock Python's SharedMemory("MyMemory") included.
 *
 *     cc 07_shared_memory.c $(pkg-config --cflags --libs ndshare)
 */
#include "show.h"

static nds_array *
view_of(nds_block *b)
{
    nds_array *a;

    must(nds_array_from_block(&a, b, NDS_FLOAT64, 1, (int64_t[]){10000}, 'C',
                              0));
    return a;
}

static int
task(nds_args *args)
{
    nds_block *b;
    nds_array *a;

    must(nds_block_attach_raw(&b, nds_args_str(args, 0), NDS_READWRITE));
    a = view_of(b);
    show("Child ", a, "[:10]", "");
    must(nds_add_scalar(nds_array_view(a), nds_array_view(a), nds_int(1)));
    show("Child ", a, "[:10]", "");
    nds_array_close(a);
    nds_block_close(b);
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_block *b;
    nds_array *a;
    nds_args *args;
    nds_proc *child;

    nds_init(argc, argv);
    must(nds_block_create_raw(&b, "MyMemory", 80000, 0600));
    a = view_of(b);
    must(nds_fill(nds_array_view(a), nds_float(1)));
    show("", a, "[:10]", " 10000");
    must(nds_args_new(&args));
    must(nds_args_add_str(args, "MyMemory"));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    join(child);
    show("", a, "[:10]", "");
    nds_array_close(a);
    nds_block_close(b);
    must(nds_name_unlink("MyMemory"));
    return 0;
}

/* Prints what way 6 prints, with 10000 for the length. */
