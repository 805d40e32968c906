/* SPDX-License-Identifier: MIT */
/*
 * step_ops_gate.c - barriers
 *
 * A member that arrived and died breaks the barrier for who waits, and a reset
 * makes it whole.
 */
#include "step.h"

#include <ndshare/sync.h>
#include <pthread.h>

static nds_barrier *barrier;

static void
barrier_of_two(void)
{
    must(nds_barrier_new(&barrier, 2));
    step_watch_segment(step_segment_of(barrier));
}

static void
barrier_of_one(void)
{
    must(nds_barrier_new(&barrier, 1));
    step_watch_segment(step_segment_of(barrier));
}

static void
barrier_arrive(void)
{
    must(nds_barrier_wait(barrier, NDS_SEC(5), NULL));
}

static void
barrier_broken(void)
{
    must(nds_barrier_abort(barrier));
}

static void
barrier_whole(void)
{
    must(nds_barrier_reset(barrier));
}

static void
barrier_made_broken(void)
{
    barrier_of_two();
    barrier_broken();
}

static void *
arrive_too(void *result)
{
    *(int *)result = nds_barrier_wait(barrier, NDS_SEC(5), NULL);
    return NULL;
}

/* After a reset, as many as it is made for go through together. */
static void
barrier_go_on(unsigned parties)
{
    int other = 0, rc;
    pthread_t thread;

    need(nds_barrier_reset(barrier) == 0, "reset");
    if (parties > 1) {
        need(pthread_create(&thread, NULL, arrive_too, &other) == 0,
             "a thread");
    }
    rc = nds_barrier_wait(barrier, NDS_SEC(5), NULL);
    if (parties > 1) {
        pthread_join(thread, NULL);
    }
    need(rc == 0 && other == 0, "after a reset: %d and %d", rc, other);
    step_need_buried(&step_segment_of(barrier)->party);
}

/* Arrived and died: whoever waits is told. Not arrived: a time-out, told as
 * such. Gone on together with the partner: nobody was wronged. */
static void
barrier_two_finish(const struct step_now *now)
{
    int rc = nds_barrier_wait(barrier, now->helped ? 1000000 : NDS_SEC(1) / 20,
                              NULL);

    need(rc == NDS_EBROKEN || rc == NDS_ETIMEDOUT, "alone: %d", rc);
    barrier_go_on(2);
}

static void
barrier_one_finish(const struct step_now *now)
{
    (void)now;
    barrier_go_on(1);
}

static void
barrier_abort_finish(const struct step_now *now)
{
    int rc = nds_barrier_wait(barrier, 1000000, NULL);

    need(rc == NDS_EBROKEN || (!now->ended && rc == NDS_ETIMEDOUT),
         "after an abort: %d", rc);
    barrier_go_on(2);
}

static void
barrier_over(void)
{
    nds_barrier_close(barrier);
    barrier = NULL;
}

const struct step_op step_ops_gate[] = {
    {"barrier.wait", false, barrier_of_two, NULL, barrier_arrive,
     barrier_arrive, barrier_two_finish, barrier_over, NULL, NULL},
    {"barrier.open", false, barrier_of_one, NULL, barrier_arrive, NULL,
     barrier_one_finish, barrier_over, NULL, NULL},
    {"barrier.abort", false, barrier_of_two, NULL, barrier_broken, NULL,
     barrier_abort_finish, barrier_over, NULL, NULL},
    {"barrier.reset", false, barrier_made_broken, NULL, barrier_whole, NULL,
     barrier_two_finish, barrier_over, NULL, NULL},
    {0},
};
