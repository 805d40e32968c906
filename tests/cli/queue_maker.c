/* SPDX-License-Identifier: MIT */
/*
 * queue_maker.c - a named queue in a known state, for the command to look at
 *
 *     queue_maker NAME
 *
 * Room for three items, and five put: one is got by a consumer that goes home,
 * one taken by a consumer that is killed, and parked by policy; three wait. A
 * sixth finds no room, and that nobody is left who takes.
 */
#include <ndshare/ndshare.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void
must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", what, nds_last_error()->message);
        _exit(1);
    }
}

/* Of a process of its own, killed or gone home. */
static void
consumer(const char *name, int killed)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        nds_queue *q = NULL;
        nds_array *a = NULL;

        must(nds_queue_attach(&q, name, 0), "attach");
        if (killed) {
            must(nds_queue_take(q, &a, NULL, NDS_SEC(20)), "take");
            raise(SIGKILL);
        }
        must(nds_queue_get(q, &a, NULL, NDS_SEC(20)), "get");
        nds_array_close(a);
        nds_queue_close(q);
        _exit(0);
    }
    waitpid(pid, &status, 0);
}

int
main(int argc, char **argv)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 3,
                              .max_bytes = 1 << 20,
                              .redelivery = NDS_PARK};
    nds_queue *q = NULL;
    nds_array *a = NULL;
    int64_t n = 1000;
    int rc = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: queue_maker NAME\n");
        return 2;
    }
    must(nds_queue_create(&q, argv[1], &opts), "create");
    must(nds_array_new(&a, NDS_FLOAT64, 1, &n, NULL), "array");
    for (int i = 0; i < 3; i++) {
        must(nds_queue_put(q, a, NULL, 0), "put");
    }
    consumer(argv[1], 0);
    consumer(argv[1], 1);
    for (int i = 0; i < 2; i++) {
        must(nds_queue_put(q, a, NULL, 0), "put");
    }
    rc = nds_queue_put(q, a, NULL, NDS_MSEC(200));
    printf("put: %s\n", nds_error_name(rc));
    nds_array_close(a);
    nds_queue_close(q);
    return rc != NDS_EBROKEN;
}
