/* SPDX-License-Identifier: MIT */
/*
 * Way 3: a queue. One producer, four consumers, arrays of any shape; None
 * says that there are no more, and each consumer puts it back for the next.
 *
 *     cc 03_queue.c $(pkg-config --cflags --libs ndshare)
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

static int
task(nds_args *args)
{
    nds_queue *q = nds_args_handle(args, 0, "queue");
    nds_array *a;

    while (nds_queue_get(q, &a, NULL, NDS_FOREVER) == 0 && a != NULL) {
        const nds_view *v = nds_array_view(a);
        nds_scalar max;
        char *text;

        must(nds_max(&max, v));
        must(nds_scalar_str(&max, &text));
        printf("Task read an array (%lld, %lld), max=%s\n",
               (long long)v->shape[0], (long long)v->shape[1], text);
        free(text);
        nds_array_close(a);
    }
    must(nds_queue_put_none(q, NDS_FOREVER));
    printf("Task done.\n");
    return 0;
}
NDS_TASK(task);

int
main(int argc, char **argv)
{
    nds_queue *q;
    nds_args *args;
    nds_proc *child[4];

    nds_init(argc, argv);
    int64_t least = argc > 1 ? atoll(argv[1]) : 500, more = 3 * least + 1;

    must(nds_queue_new(&q, NULL));
    must(nds_args_new(&args));
    must(nds_args_add_handle(args, "queue", q));
    for (int i = 0; i < 4; i++) {
        must(nds_proc_start(&child[i], "task", args, NULL));
    }
    nds_args_free(args);
    for (unsigned seed = 0; seed < 20; seed++) {
        int64_t shape[] = {least + rand() % more, least + rand() % more};
        nds_array *a;

        // Straight into memory that both sides have mapped.
        must(nds_queue_loan(q, &a, NDS_FLOAT64, 2, shape, NDS_FOREVER));
        must(nds_random(nds_array_view(a), seed));
        must(nds_queue_publish(q, &a, NULL));
    }
    must(nds_queue_put_none(q, NDS_FOREVER));
    for (int i = 0; i < 4; i++) {
        must(nds_proc_join(child[i], NDS_FOREVER, NULL));
        nds_proc_close(child[i]);
    }
    printf("Done.\n");
    nds_queue_close(q);
    return 0;
}
/* Prints 20 lines "Task read an array ...", 4 lines "Task done." and "Done." */
