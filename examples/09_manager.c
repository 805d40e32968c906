/* SPDX-License-Identifier: MIT */
/*
 * Way 9: a manager: a server process hosts the array, others call its methods.
 *
 *     cc 09_manager.c $(pkg-config --cflags --libs ndshare)
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
show_sum(const char *head, nds_proxy *p)
{
    nds_value *sum;
    char *text;

    must(nds_proxy_call(p, &sum, "sum", NULL, NULL));
    must(nds_value_repr(sum, &text));
    printf("%s%s\n", head, text);
    free(text);
    nds_value_free(sum);
}

static int
task(nds_args *args)
{
    show_sum("Array sum (in child): ", nds_args_handle(args, 0, "proxy"));
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_manager *manager;
    nds_proxy *array;
    nds_args *args;
    nds_proc *child;
    int code;
    char shape[32], *text;

    must(nds_factory_alias("shared_array", "ones"));
    nds_init(argc, argv); // a spawned server finds the factory registered
    must(nds_manager_start(&manager, NULL));
    snprintf(shape, sizeof shape, "(%s,)", argc > 1 ? argv[1] : "100000000");
    must(nds_manager_create(manager, &array, "shared_array", shape));
    must(nds_proxy_repr(array, &text));
    printf("Array created on host: %s\n", text);
    free(text);
    show_sum("Array sum: ", array);
    must(nds_args_new(&args));
    must(nds_args_add_handle(args, "proxy", array));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    must(nds_proc_join(child, NDS_FOREVER, &code));
    nds_proc_close(child);
    nds_proxy_close(array);
    nds_manager_close(manager);
    return code;
}

/* Prints
 *
 *     Array created on host: array([1., ..., 1.], shape=(100000000,))
 *     Array sum: 100000000.0
 *     Array sum (in child): 100000000.0
 *
 * with three ones at either end. */
