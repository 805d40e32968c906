/* SPDX-License-Identifier: MIT */
/*
 * Way 7: shared memory by name, for any program that knows it, a stock
 * Python's SharedMemory("MyMemory") included.
 *
 *     cc 07_shared_memory.c $(pkg-config --cflags --libs ndshare)
 */
#include <ndshare/ndshare.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t shape[] = {10000};

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
    nds_block *b;
    nds_array *a;

    must(nds_block_attach_raw(&b, nds_args_str(args, 0), NDS_READWRITE));
    must(nds_array_from_block(&a, b, NDS_FLOAT64, 1, shape, 'C', 0));
    show("Child ", a, "");
    must(nds_add_scalar(nds_array_view(a), nds_array_view(a), nds_int(1)));
    show("Child ", a, "");
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
    int code;

    nds_init(argc, argv);
    must(nds_block_create_raw(&b, "MyMemory", 80000, 0600));
    must(nds_array_from_block(&a, b, NDS_FLOAT64, 1, shape, 'C', 0));
    must(nds_fill(nds_array_view(a), nds_float(1)));
    show("", a, " 10000");
    must(nds_args_new(&args));
    must(nds_args_add_str(args, "MyMemory"));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    show("", a, "");
    nds_array_close(a);
    nds_block_close(b);
    must(nds_name_unlink("MyMemory"));
    return code;
}
/* Prints what way 6 prints, with 10000 for the length. */
