/* SPDX-License-Identifier: MIT */
/* test_trim.c - free memory of a channel goes back, what is in use stays */
#include "nd_check.h"

#include <harness/chan_of.h>
#include <ndshare/ops.h>
#include <os/killpoint.h>
#include <os/os.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB ((int64_t)1 << 20)

/* MiB that the queue's file holds. */
static int64_t
held(nds_queue *q)
{
    struct stat st;

    ck_assert_int_eq(ndi_os_fstat(chan_of(q)->hub->segment->fd, &st), 0);
    return (int64_t)st.st_blocks * 512 / MIB;
}

static nds_queue *
queue(uint64_t keep)
{
    nds_queue_options o = {.size = sizeof o, .keep_bytes = keep};
    nds_queue *q = NULL;

    ck_assert_int_eq(nds_queue_new(&q, &o), 0);
    return q;
}

static void
put(nds_queue *q, int64_t nbytes, int value)
{
    nds_array *l = NULL;

    ck_assert_int_eq(nds_queue_loan(q, &l, NDS_UINT8, 1, &nbytes, 0), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(l), nds_int(value)), 0);
    ck_assert_int_eq(nds_queue_publish(q, &l, NULL), 0);
}

static nds_array *
get(nds_queue *q)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_queue_get(q, &a, NULL, NDS_SEC(5)), 0);
    return a;
}

/* Every byte of the item is `value`. */
static void
check(nds_array *a, int value)
{
    nds_scalar low, high;

    ck_assert_int_eq(nds_min(&low, nds_array_view(a)), 0);
    ck_assert_int_eq(nds_max(&high, nds_array_view(a)), 0);
    ck_assert_int_eq(nds_scalar_int64(&low), value);
    ck_assert_int_eq(nds_scalar_int64(&high), value);
}

/* What a loan of 20 MiB looked at is not looked at again, until it is given back
 * here or a tenth of a second is over. */
START_TEST(warm_memory_is_known_for_a_moment)
{
    nds_queue *q = queue(UINT64_MAX);
    struct ndi_chan *c = chan_of(q);
    uint64_t end = 20 * (uint64_t)MIB;
    int64_t seen;
    bool known;

    ck_assert(!ndi_chan_is_warm(c, 0, end));
    seen = ndi_now_ns();
    ndi_chan_warmed(c, 0, end);
    ndi_chan_warmed(c, end, 2 * end); // beside it: one stretch
    known = ndi_chan_is_warm(c, 0, 2 * end);
    if (ndi_now_ns() - seen < 100000000) { // not stopped for so long
        ck_assert(known);
    }
    ck_assert(!ndi_chan_is_warm(c, 0, 2 * end + 1));
    seen = ndi_now_ns();
    while (ndi_now_ns() - seen <= 100000000) {
    }
    ck_assert(!ndi_chan_is_warm(c, 0, end));
    put(q, 20 * MIB, 1);
    nds_array_close(get(q));
    put(q, 20 * MIB, 2);
    ck_assert_int_ne(ndi_load_rlx(&c->warm_ns), 0);
    nds_array_close(get(q));
    ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    ck_assert_int_eq(ndi_load_rlx(&c->warm_ns), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(what_is_free_goes_and_what_is_used_stays)
{
    nds_queue *q = queue(UINT64_MAX);
    nds_array *a[5];

    for (int i = 0; i < 5; i++) {
        put(q, 20 * MIB, i + 1);
    }
    for (int i = 0; i < 5; i++) {
        a[i] = get(q);
    }
    ck_assert_int_ge(held(q), 100);
    nds_array_close(a[1]);
    nds_array_close(a[3]); // two holes of 20 MiB between those in use
    ck_assert_int_ge(held(q), 100);
    ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    ck_assert_int_ge(held(q), 60);
    ck_assert_int_lt(held(q), 64);
    check(a[0], 1);
    check(a[2], 3);
    check(a[4], 5);
    put(q, 20 * MIB, 9); // into a hole
    a[1] = get(q);
    check(a[1], 9);
    nds_array_close(a[0]);
    nds_array_close(a[1]);
    nds_array_close(a[2]);
    nds_array_close(a[4]);
    ck_assert_int_eq(nds_queue_trim(q, 10 * (uint64_t)MIB), 0);
    ck_assert_int_ge(held(q), 10);
    ck_assert_int_lt(held(q), 14);
    ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    ck_assert_int_lt(held(q), 3);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(pages_come_back_as_large_as_they_were)
{
    nds_queue *q = queue(UINT64_MAX);
    int64_t n = 32 * MIB;
    size_t before[2];

    for (int i = 0; i < 2; i++) {
        nds_array *l = NULL;

        ck_assert_int_eq(nds_queue_loan(q, &l, NDS_UINT8, 1, &n, 0), 0);
        ck_assert_int_eq(nds_fill(nds_array_view(l), nds_int(1)), 0);
        ck_assert_int_eq(ndi_huge_bytes(nds_array_data(l), (size_t)n,
                                        &before[i]), 0);
        nds_queue_discard(q, &l);
        ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    }
    ck_assert_uint_eq(before[0], before[1]);
    nds_queue_close(q);
}
END_TEST

START_TEST(what_was_not_needed_lately_goes_by_itself)
{
    nds_queue *q;
    nds_array *a;

    ndi_trim_epoch_ns = 20000000;
    q = queue(4 * (uint64_t)MIB);
    put(q, 64 * MIB, 1);
    put(q, 64 * MIB, 2);
    nds_array_close(get(q));
    nds_array_close(get(q));
    ck_assert_int_ge(held(q), 128); // just used
    // Traffic of small items: what they do not need goes.
    for (int64_t end = ndi_now_ns() + NDS_SEC(10);
         held(q) > 10 && ndi_now_ns() < end;) {
        put(q, 2 * MIB, 3);
        a = get(q);
        check(a, 3);
        nds_array_close(a);
    }
    ck_assert_int_le(held(q), 10);
    // A waiter does it as well, when nothing moves.
    put(q, 64 * MIB, 4);
    nds_array_close(get(q));
    ck_assert_int_ge(held(q), 64);
    for (int64_t end = ndi_now_ns() + NDS_SEC(10);
         held(q) > 10 && ndi_now_ns() < end;) {
        ck_assert_int_eq(nds_queue_get(q, &a, NULL, NDS_SEC(1) / 4),
                         NDS_ETIMEDOUT);
    }
    ck_assert_int_le(held(q), 10);
    nds_queue_close(q);
}
END_TEST

START_TEST(kept_if_the_user_says_so)
{
    nds_queue *q;

    ndi_trim_epoch_ns = 1000000;
    setenv("NDSHARE_KEEP", "64M", 1);
    q = queue(0);
    ck_assert_uint_eq(chan_of(q)->keep, 64 * (uint64_t)MIB);
    put(q, 60 * MIB, 1);
    nds_array_close(get(q));
    for (int i = 0; i < 40; i++) {
        put(q, 2 * MIB, 1);
        nds_array_close(get(q));
    }
    ck_assert_int_ge(held(q), 60);
    nds_queue_close(q);
    setenv("NDSHARE_KEEP", "all", 1);
    ck_assert_uint_eq(ndi_keep_nbytes(0), UINT64_MAX);
    setenv("NDSHARE_KEEP", "3G", 1);
    ck_assert_uint_eq(ndi_keep_nbytes(0), (uint64_t)3 << 30);
    ck_assert_uint_eq(ndi_keep_nbytes(7), 7);
    setenv("NDSHARE_KEEP", "0", 1);
    ck_assert_uint_eq(ndi_keep_nbytes(0), 1);
    setenv("NDSHARE_KEEP", "-5", 1);
    ck_assert_uint_eq(ndi_keep_nbytes(0), 4 * (uint64_t)MIB);
    setenv("NDSHARE_KEEP", "99999999999999999999999", 1);
    ck_assert_uint_eq(ndi_keep_nbytes(0), 4 * (uint64_t)MIB);
    setenv("NDSHARE_KEEP", "5X", 1);
    ck_assert_uint_eq(ndi_keep_nbytes(0), 4 * (uint64_t)MIB);
    unsetenv("NDSHARE_KEEP");
}
END_TEST

START_TEST(named_queues_keep_what_they_reserved)
{
    nds_queue_options o = {.size = sizeof o,
                           .max_bytes = 16 * (uint64_t)MIB};
    nds_queue *q = NULL;
    char name[64];

    snprintf(name, sizeof name, "t-trim-%d", (int)getpid());
    ck_assert_int_eq(nds_queue_create(&q, name, &o), 0);
    ck_assert_int_eq(nds_queue_unlink(name), 0);
    put(q, 8 * MIB, 1);
    nds_array_close(get(q));
    ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    ck_assert_int_ge(held(q), 16);
    nds_queue_close(q);
}
END_TEST

START_TEST(a_kernel_that_cannot_punch_costs_memory_only)
{
    nds_queue *q = queue(0);
    nds_array *a;

    put(q, 20 * MIB, 1);
    nds_array_close(get(q));
    ndi_fault_arm("punch", 0, EOPNOTSUPP);
    ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    ndi_fault_arm(NULL, 0, 0);
    ck_assert_int_ge(held(q), 20);
    put(q, 20 * MIB, 2);
    a = get(q);
    check(a, 2);
    nds_array_close(a);
    nds_queue_close(q);
}
END_TEST

/* The map of free extents is anybody's bytes. */
START_TEST(a_spoilt_map_is_made_anew)
{
    nds_queue *q = queue(0);
    struct ndi_arena *arena = &chan_of(q)->arena;

    put(q, 20 * MIB, 1);
    nds_array_close(get(q));
    arena->map->free[0].nbytes = UINT64_MAX;
    ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    ck_assert_int_lt(held(q), 3);
    arena->map->count = UINT32_MAX;
    ck_assert_int_eq(nds_queue_trim(q, 0), 0);
    put(q, 20 * MIB, 2);
    nds_array_close(get(q));
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(both_ways_of_a_pipe)
{
    nds_pipe_options o = {.size = sizeof o, .duplex = true,
                          .keep_bytes = UINT64_MAX};
    nds_pipe *ends[2];
    int64_t n = 20 * MIB;
    struct stat st;

    ck_assert_int_eq(nds_pipe_new(&ends[0], &ends[1], &o), 0);
    for (int i = 0; i < 2; i++) {
        nds_array *l = NULL;

        ck_assert_int_eq(nds_pipe_loan(ends[i], &l, NDS_UINT8, 1, &n, 0), 0);
        ck_assert_int_eq(nds_fill(nds_array_view(l), nds_int(i)), 0);
        nds_pipe_discard(ends[i], &l);
    }
    ck_assert_int_eq(nds_pipe_trim(ends[0], 0), 0);
    ck_assert_int_eq(ndi_os_fstat((*(struct ndi_hub **)ends[0])->segment->fd,
                                  &st), 0);
    ck_assert_int_lt(st.st_blocks * 512, 6 * MIB);
    nds_pipe_close(ends[0]);
    nds_pipe_close(ends[1]);
}
END_TEST

RUN("trim", warm_memory_is_known_for_a_moment,
    what_is_free_goes_and_what_is_used_stays,
    pages_come_back_as_large_as_they_were,
    what_was_not_needed_lately_goes_by_itself, kept_if_the_user_says_so,
    named_queues_keep_what_they_reserved,
    a_kernel_that_cannot_punch_costs_memory_only, a_spoilt_map_is_made_anew,
    both_ways_of_a_pipe)
