/* SPDX-License-Identifier: MIT */
/*
 * bench_worker.c - the nine ways by the library's public calls: who receives
 *
 * A worker waits for its turn (an item, or a word in its queue), gets the
 * array, adds it up, gives it back and says so.
 */
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

nds_array *bench_inherited;

void
bench_end_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (parent > 0 && getppid() != parent) { // it died before we asked
        _exit(1);
    }
}

static int
get_argument(nds_args *args, nds_array **out)
{
    *out = nds_args_array(args, BENCH_ARG_THING);
    return *out != NULL ? 0 : NDS_EINVAL;
}

static int
get_inherited(nds_args *args, nds_array **out)
{
    (void)args;
    *out = bench_inherited;
    return 0;
}

static int
get_item(nds_args *args, nds_array **out)
{
    nds_queue *q = nds_args_handle(args, BENCH_ARG_THING, "queue");

    return nds_args_int(args, BENCH_ARG_LOAN)
               ? nds_queue_take(q, out, NULL, NDS_FOREVER)
               : nds_queue_get(q, out, NULL, NDS_FOREVER);
}

static void
release_item(nds_args *args, nds_array **a)
{
    nds_queue *q = nds_args_handle(args, BENCH_ARG_THING, "queue");

    if (nds_args_int(args, BENCH_ARG_LOAN)) {
        (void)nds_queue_release(q, a);
    }
    nds_array_close(*a);
}

static int
receive(nds_args *args, nds_array **out)
{
    return nds_pipe_recv(nds_args_handle(args, BENCH_ARG_THING, "pipe"), out,
                         NULL, NDS_FOREVER);
}

static void
close_array(nds_args *args, nds_array **a)
{
    (void)args;
    nds_array_close(*a);
}

static int
get_locked(nds_args *args, nds_array **out)
{
    nds_typed *t = nds_args_typed(args, BENCH_ARG_THING);

    *out = nds_typed_array(t);
    return nds_typed_lock(t, BENCH_PATIENCE);
}

static void
unlock(nds_args *args, nds_array **a)
{
    (void)a;
    (void)nds_typed_unlock(nds_args_typed(args, BENCH_ARG_THING));
}

static int
attach(nds_args *args, nds_array **out)
{
    return nds_array_attach(out, nds_args_str(args, BENCH_ARG_THING),
                            NDS_READ, 0);
}

static int
open_file(nds_args *args, nds_array **out)
{
    return nds_array_map_file(out, nds_args_str(args, BENCH_ARG_THING),
                              NDS_READ, NDS_FLOAT64, 1, NULL, 'C', 0);
}

static int
get_nothing(nds_args *args, nds_array **out)
{
    (void)args;
    *out = NULL; // it is the manager that has it
    return 0;
}

static const struct way {
    bool once;
    bool takes_turns; /* woken by a word, not by an item */
    int (*get)(nds_args *args, nds_array **out);
    void (*give_back)(nds_args *args, nds_array **a); /* may be NULL */
} ways[BENCH_WAYS] = {
    {true, false, get_argument, NULL},
    {true, false, get_inherited, NULL},
    {false, false, get_item, release_item},
    {false, false, receive, close_array},
    {false, true, get_locked, unlock},
    {false, true, get_argument, NULL},
    {false, true, attach, close_array},
    {false, true, open_file, close_array},
    {false, true, get_nothing, NULL},
};

static int
add_up(nds_args *args, const nds_array *a, double *sum)
{
    nds_scalar s;
    int rc;

    if (a == NULL) {
        return nds_proxy_reduce(nds_args_handle(args, BENCH_ARG_THING, "proxy"),
                                "sum", sum);
    }
    rc = nds_sum(&s, nds_array_view(a));
    *sum = rc == 0 ? nds_scalar_double(&s) : 0;
    return rc;
}

static int
bench_worker(nds_args *args)
{
    const struct way *way = &ways[nds_args_int(args, BENCH_ARG_WAY) - 1];
    struct bench_slot *slot = (struct bench_slot *)nds_array_data(
        nds_args_array(args, BENCH_ARG_PAGE));
    nds_queue *done = nds_args_handle(args, BENCH_ARG_DONE, "queue");
    nds_queue *go = nds_args_handle(args, BENCH_ARG_GO, "queue");
    nds_array *a = NULL;
    double sum;
    int rc = 0;

    bench_end_with((pid_t)nds_args_int(args, BENCH_ARG_PARENT));
    slot += nds_args_int(args, BENCH_ARG_INDEX);
    do {
        if (way->takes_turns) {
            rc = nds_queue_get(go, &a, NULL, NDS_FOREVER);
        }
        if (rc == 0) {
            rc = way->get(args, &a);
        }
        slot->got_ns = bench_now_ns();
        if (rc == 0) {
            rc = add_up(args, a, &sum);
        }
        if (rc == 0) {
            slot->total += sum;
            slot->read_ns = bench_now_ns();
            if (way->give_back != NULL) {
                way->give_back(args, &a);
            }
            rc = nds_queue_put_none(done, BENCH_PATIENCE);
        }
    } while (rc == 0 && !way->once);
    if (rc < 0) {
        fprintf(stderr, "ndshare bench: a worker: %s: %s\n",
                nds_error_name(rc), nds_last_error()->message);
    }
    return rc < 0;
}
NDS_TASK(bench_worker);
