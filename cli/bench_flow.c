/* SPDX-License-Identifier: MIT */
/*
 * bench_flow.c - arrays to and fro, and many in flight; both sides
 *
 * Trips: an array goes there and another comes back with the same number in
 * it; of a manager, a call. Rate: as many as fit into a batch, each added up
 * there, then a marker for each worker, who says when it has got there. By
 * loan all of an item is written in its place for a rate, and its number alone
 * for a trip, where reading is no part of the work either.
 */
#include "bench_limit.h"
#include "bench_ways.h"

#include <stdio.h>
#include <string.h>

#define SMALL 65536 /* bytes; what is larger is added up by the library */
#define WARM_NS NDS_MSEC(20)

/* One side's ends: two queues, or one end of a two-way pipe. */
struct ends {
    nds_queue *in, *out;
    nds_pipe *pipe;
    bool loan;
};

static const nds_tag marker = {.nbytes = 1};

static int
receive(const struct ends *e, nds_array **a, nds_tag *tag)
{
    if (e->pipe != NULL) {
        return nds_pipe_recv(e->pipe, a, tag, NDS_FOREVER);
    }
    return e->loan ? nds_queue_take(e->in, a, tag, NDS_FOREVER)
                   : nds_queue_get(e->in, a, tag, NDS_FOREVER);
}

static void
give_back(const struct ends *e, nds_array **a)
{
    if (e->loan && e->pipe == NULL) {
        (void)nds_queue_release(e->in, a);
    }
    nds_array_close(*a);
}

static int
send(const struct ends *e, const nds_array *a, const nds_tag *tag)
{
    return e->pipe != NULL ? nds_pipe_send(e->pipe, a, tag, BENCH_PATIENCE)
                           : nds_queue_put(e->out, a, tag, BENCH_PATIENCE);
}

/* count elements, the first of them `first`, the others 1: all written if
 * `whole`, or if the memory is new here. */
static int
lend(const struct ends *e, int64_t count, double first, bool whole)
{
    nds_array *loan = NULL;
    double *x;
    int rc = e->pipe != NULL
                 ? nds_pipe_loan(e->pipe, &loan, NDS_FLOAT64, 1, &count,
                                 BENCH_PATIENCE)
                 : nds_queue_loan(e->out, &loan, NDS_FLOAT64, 1, &count,
                                  BENCH_PATIENCE);

    if (rc < 0) {
        return rc;
    }
    x = nds_array_data(loan);
    if (whole || x[count - 1] != 1) {
        rc = nds_fill(nds_array_view(loan), nds_float(1));
    }
    x[0] = first;
    if (e->pipe != NULL) {
        rc = rc == 0 ? nds_pipe_publish(e->pipe, &loan, NULL) : rc;
        nds_pipe_discard(e->pipe, &loan);
    } else {
        rc = rc == 0 ? nds_queue_publish(e->out, &loan, NULL) : rc;
        nds_queue_discard(e->out, &loan);
    }
    return rc;
}

/* ---- the workers' side -------------------------------------------------- */
static int
echo(const struct ends *e)
{
    nds_array *a;
    int rc = 0;

    while (rc == 0 && (rc = receive(e, &a, NULL)) == 0) {
        const nds_view *v = nds_array_view(a);

        rc = e->loan ? lend(e, v->shape[0], *(double *)v->data, false)
                     : send(e, a, NULL);
        give_back(e, &a);
    }
    return rc;
}

static int
add(double *total, const nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    nds_scalar s;
    int rc;

    if (nds_view_nbytes(v) <= SMALL) {
        *total += bench_add_up(v->data, (size_t)v->shape[0]);
        return 0;
    }
    rc = nds_sum(&s, v);
    *total += rc == 0 ? nds_scalar_double(&s) : 0;
    return rc;
}

/* Up to the marker. Of two the other is another worker's. */
static int
drain(const struct ends *e, bool runs, double *total)
{
    nds_array *got[BENCH_RUN];
    nds_tag tags[BENCH_RUN];
    bool ended = false;
    int count = 1, rc = 0;

    while (rc == 0 && !ended) {
        rc = runs ? nds_queue_get_many(e->in, BENCH_RUN, got, tags,
                                       NDS_FOREVER, &count)
                  : receive(e, got, tags);
        for (int i = 0; rc == 0 && i < count; i++) {
            if (tags[i].nbytes == 0) {
                rc = add(total, got[i]);
            } else if (ended) {
                rc = nds_queue_put(e->in, got[i], &marker, BENCH_PATIENCE);
            }
            ended = ended || tags[i].nbytes > 0;
            give_back(e, &got[i]);
        }
    }
    return rc;
}

static int
bench_flow_worker(nds_args *args)
{
    struct bench_slot *slot = (struct bench_slot *)nds_array_data(
        nds_args_array(args, BENCH_ARG_PAGE));
    bool runs = nds_args_int(args, BENCH_ARG_LOAN) > 1;
    struct ends e = {
        .in = nds_args_handle(args, BENCH_ARG_THING, "queue"),
        .out = nds_args_handle(args, BENCH_ARG_BACK, "queue"),
        .pipe = nds_args_handle(args, BENCH_ARG_THING, "pipe"),
        .loan = nds_args_int(args, BENCH_ARG_LOAN) == 1};
    nds_queue *done = nds_args_handle(args, BENCH_ARG_DONE, "queue");
    nds_queue *go = nds_args_handle(args, BENCH_ARG_GO, "queue");
    nds_array *none;
    int rc = 0;

    bench_end_with((pid_t)nds_args_int(args, BENCH_ARG_PARENT));
    if (nds_args_int(args, BENCH_ARG_KIND) == BENCH_TRIPS) {
        rc = echo(&e);
    }
    slot += nds_args_int(args, BENCH_ARG_INDEX);
    while (rc == 0) {
        rc = nds_queue_get(go, &none, NULL, NDS_FOREVER);
        if (rc == 0) {
            rc = drain(&e, runs, &slot->total);
        }
        if (rc == 0) {
            rc = nds_queue_put_none(done, BENCH_PATIENCE);
        }
    }
    fprintf(stderr, "ndshare bench: a worker: %s: %s\n", nds_error_name(rc),
            nds_last_error()->message);
    return 1;
}
NDS_TASK(bench_flow_worker);

/* ---- the parent's side -------------------------------------------------- */
static struct bench_work *const w = &bench_work;

static struct ends
my_ends(void)
{
    return (struct ends){.in = w->back, .out = w->queue, .pipe = w->to[0],
                         .loan = w->c->loan};
}

static int
one_trip(void)
{
    struct ends e = my_ends();
    nds_array *a = NULL;
    double sum, *x;
    bool right;
    int rc;

    w->round++;
    if (w->c->way == 9) {
        rc = nds_proxy_reduce(w->proxy, "sum", &sum);
        right = sum == (double)w->count;
    } else {
        *(double *)nds_array_data(w->array) = w->round;
        rc = w->c->loan ? lend(&e, w->count, w->round, false)
                        : send(&e, w->array, NULL);
        if (rc == 0) {
            rc = receive(&e, &a, NULL);
        }
        x = rc == 0 ? nds_array_data(a) : NULL;
        right = x != NULL && x[0] == w->round && x[w->count - 1] == 1;
        give_back(&e, &a);
    }
    if (rc == 0 && !right) {
        cli_remark("way %d: another array came back", w->c->way);
        return CLI_FAILED;
    }
    return rc == 0 ? CLI_OK : bench_work_failed("trip");
}

static int
trips(double end, struct bench_result *r)
{
    do {
        double from = bench_now_ns();

        if (bench_stopped || one_trip() != CLI_OK) {
            return CLI_FAILED;
        }
        bench_hist_add(&r->steady, (uint64_t)(bench_now_ns() - from));
    } while (bench_now_ns() < end);
    return CLI_OK;
}

/* One item, or a run of them. */
static int
put_some(const struct ends *e, int *count)
{
    nds_array *arrays[BENCH_RUN];

    *(double *)nds_array_data(w->array) = ++w->round;
    *count = 1;
    if (w->c->loan) {
        return lend(e, w->count, w->round, true);
    }
    if (!w->c->runs) {
        return send(e, w->array, NULL);
    }
    for (int i = 0; i < BENCH_RUN; i++) {
        arrays[i] = w->array;
    }
    return nds_queue_put_many(e->out, BENCH_RUN, arrays, NULL, BENCH_PATIENCE,
                              count);
}

/* At least so many that each piece of memory the channel may use is met. */
static double
least_items(void)
{
    return w->c->nbytes <= SMALL ? 600 : w->c->nbytes <= 4 << 20 ? 40 : 8;
}

static int
rate(double end, struct bench_result *r)
{
    // The clock is not read for each small item.
    int chunk = w->c->nbytes < SMALL ? 64 : 1, count, rc = 0;
    struct ends e = my_ends();
    double items = 0, least = least_items(), from;
    nds_array *last;

    if (bench_work_wake() < 0) {
        return bench_work_failed("wake");
    }
    from = bench_now_ns();
    do {
        for (int i = 0; rc == 0 && i < chunk; i += count) {
            rc = put_some(&e, &count);
            items += count;
            w->expected += count * ((double)w->count - 1 + w->round);
        }
    } while (rc == 0 && !bench_stopped &&
             (items < least || bench_now_ns() < end));
    if (rc == 0) {
        rc = nds_array_slice(&last, w->array, "[:1]");
    }
    for (int i = 0; rc == 0 && i < w->c->processes; i++) {
        rc = send(&e, last, &marker);
    }
    if (rc < 0) {
        return bench_work_failed("put");
    }
    nds_array_close(last);
    if (bench_work_wait() != CLI_OK) {
        return CLI_FAILED;
    }
    bench_hist_add(&r->steady,
                   (uint64_t)((bench_now_ns() - from) * 1000 / items));
    r->items += items;
    return bench_work_check();
}

static int
batch(int64_t budget_ns, struct bench_result *r)
{
    static struct bench_result unused;
    int (*work)(double end, struct bench_result *r) =
        w->c->kind == BENCH_TRIPS ? trips : rate;
    int rc = CLI_OK;
    double cpu;

    if (bench_paused(w->last_ns)) {
        rc = work(bench_now_ns() + (double)WARM_NS, &unused);
    }
    cpu = bench_cpu_ns();
    if (rc == CLI_OK) {
        rc = work(bench_now_ns() + (double)budget_ns, r);
    }
    r->cpu_ns += bench_cpu_ns() - cpu;
    r->pss = bench_pss();
    w->last_ns = bench_now_ns();
    return rc;
}

/* There is no first time: batch meets all memory before. */
static int
begin(const struct cli_command *self, const struct bench_cell *c,
      double phase_ns[BENCH_PHASES])
{
    for (int i = 0; i < BENCH_PHASES; i++) {
        phase_ns[i] = -1;
    }
    if (bench_work_open(self, c) != CLI_OK) {
        return CLI_FAILED;
    }
    if (w->way->create() < 0 || bench_work_touch() < 0) {
        return bench_work_failed("create");
    }
    return CLI_OK;
}

const struct bench_side bench_ours_flow = {"ndshare", begin, batch,
                                           bench_work_close};
