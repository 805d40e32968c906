/* SPDX-License-Identifier: MIT */
/*
 * peer_ours.c - ndshare's queues, one each way
 *
 * By value: put and get, an array of its own on each side. By loan: loan,
 * publish, take, release.
 */
#include "peer.h"

#include <ndshare/ndshare.h>

#include <stdio.h>

#define RUN 64
#define PATIENCE NDS_SEC(14)

static nds_queue *queues[2], *in, *out;
static nds_array *array, *got, *lent, *run_in[RUN], *run_out[RUN];
static int64_t extent;

static void
must(int rc, const char *what)
{
    if (rc < 0) {
        peer_die(what, nds_error_name(rc));
    }
}

static void
prepare(const char *variant, const char *dir, size_t nbytes)
{
    nds_queue_options opts = {.size = sizeof opts};
    size_t depth = (size_t)peer_depth(nbytes);

    (void)variant;
    (void)dir;
    opts.max_items = (uint32_t)depth;
    opts.max_bytes = (depth + 1) * (nbytes + 4096);
    extent = (int64_t)(nbytes / sizeof(double));
    must(nds_queue_new(&queues[0], &opts), "queue");
    must(nds_queue_new(&queues[1], &opts), "queue");
}

static void
start(int role)
{
    out = queues[role];
    in = queues[1 - role];
}

static void
wrap(const void *payload)
{
    nds_view v;

    // The harness sends from one place only.
    if (array != NULL) {
        return;
    }
    must(nds_view_init(&v, NDS_FLOAT64, (void *)(uintptr_t)payload,
                       (size_t)extent * sizeof(double), 1, &extent),
         "view");
    must(nds_array_from_memory(&array, &v, NULL, NULL), "array");
    for (int i = 0; i < RUN; i++) {
        run_out[i] = array;
    }
}

static void
put(const void *payload)
{
    wrap(payload);
    must(nds_queue_put(out, array, NULL, PATIENCE), "put");
}

static const void *
get(void)
{
    must(nds_queue_get(in, &got, NULL, PATIENCE), "get");
    return nds_array_data(got);
}

static void
drop(void)
{
    nds_array_close(got);
}

static void *
loan(void)
{
    must(nds_queue_loan(out, &lent, NDS_FLOAT64, 1, &extent, PATIENCE),
         "loan");
    return nds_array_data(lent);
}

static void
publish(void)
{
    must(nds_queue_publish(out, &lent, NULL), "publish");
}

static const void *
take(void)
{
    must(nds_queue_take(in, &got, NULL, PATIENCE), "take");
    return nds_array_data(got);
}

static void
give_back(void)
{
    must(nds_queue_release(in, &got), "release");
}

static int
put_many(const void *payload, int count)
{
    int done;

    wrap(payload);
    must(nds_queue_put_many(out, count, run_out, NULL, PATIENCE, &done),
         "put_many");
    return done;
}

static int
get_many(int room, const void **payloads)
{
    int count;

    must(nds_queue_get_many(in, room < RUN ? room : RUN, run_in, NULL,
                            PATIENCE, &count), "get_many");
    for (int i = 0; i < count; i++) {
        payloads[i] = nds_array_data(run_in[i]);
    }
    return count;
}

static void
drop_many(int count)
{
    for (int i = 0; i < count; i++) {
        nds_array_close(run_in[i]);
    }
}

static void
stop(void)
{
    nds_array_close(array);
    nds_queue_close(queues[0]);
    nds_queue_close(queues[1]);
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .loan = loan, .publish = publish, .take = take,
    .give_back = give_back, .send_many = put_many, .recv_many = get_many,
    .release_many = drop_many, .close = stop,
};
