/* SPDX-License-Identifier: MIT */
/*
 * Way 9: a manager: a server process hosts the array, others call its methods.
 *
 *     cc 09_manager.c $(pkg-config --cflags --libs ndshare)
 */
#include "show.h"

static void
show_sum(const char *head, nds_proxy *p)
{
    nds_value *sum;
    char *text;

    must(nds_proxy_call(p, &sum, "sum", NULL, NULL));
    must(nds_value_repr(sum, &text));
    printf("%s%s\n", head, text);
    fflush(stdout);
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
    double n = option(argc, argv, "--n", 100000000);
    nds_manager *manager;
    nds_proxy *array;
    nds_args *args;
    nds_proc *child;
    char shape[32], *text;

    must(nds_factory_alias("shared_array", "ones"));
    nds_init(argc, argv); // a spawned server finds the factory registered
    must(nds_manager_start(&manager, NULL));
    snprintf(shape, sizeof shape, "(%.0f,)", n);
    must(nds_manager_create(manager, &array, "shared_array", shape));
    must(nds_proxy_repr(array, &text));
    printf("Array created on host: %s\n", text);
    free(text);
    show_sum("Array sum: ", array);
    must(nds_args_new(&args));
    must(nds_args_add_handle(args, "proxy", array));
    must(nds_proc_start(&child, "task", args, NULL));
    nds_args_free(args);
    join(child);
    nds_proxy_close(array);
    nds_manager_close(manager);
    return 0;
}

/* Prints
 *
 *     Array created on host: array([1., ..., 1.], shape=(100000000,))
 *     Array sum: 100000000.0
 *     Array sum (in child): 100000000.0
 *
 * with three ones at either end. */
