/* SPDX-License-Identifier: MIT */
/*
 * test_reserve.c - loans taken ahead and slots given up change no promise
 *
 * Two handles on one named queue are two participants: what one holds ahead
 * must be the other's as soon as it would be missed.
 */
#include <chan/chan_impl.h>
#include <sync/word.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ITEM 128 /* elements: 1 KiB */

static char name[64];
static nds_queue *one, *two;

static struct ndi_chan *
chan_of(nds_queue *q)
{
    return &(*(struct ndi_hub **)q)->chan[0];
}

static void
open_queues(uint32_t items, uint64_t bytes)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = items,
                              .max_bytes = bytes};

    snprintf(name, sizeof name, "reserve-unit-%ld", (long)getpid());
    ck_assert_int_eq(nds_queue_create(&one, name, &opts), 0);
    ck_assert_int_eq(nds_queue_attach(&two, name, 0), 0);
}

static void
close_queues(void)
{
    nds_queue_close(one);
    nds_queue_close(two);
    nds_queue_unlink(name);
}

static int
put(nds_queue *q, int64_t count)
{
    nds_array *a = NULL;
    int rc;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT64, 1, &count, NULL), 0);
    rc = nds_queue_put(q, a, NULL, 0);
    nds_array_close(a);
    return rc;
}

static int
get(nds_queue *q)
{
    nds_array *a = NULL;
    int rc = nds_queue_get(q, &a, NULL, 0);

    ck_assert(rc < 0 || nds_view_count(nds_array_view(a)) > 0);
    nds_array_close(a);
    return rc;
}

/* Takes loans ahead for the handle. */
static void
warm(nds_queue *q)
{
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(put(q, ITEM), 0);
        ck_assert_int_eq(get(q), 0);
    }
    ck_assert_uint_gt(ndi_load_acq(&chan_of(q)->reserve_left), 0);
}

START_TEST(the_bound_in_items_is_exact)
{
    int n = 0;

    open_queues(24, 1 << 20);
    warm(one);
    while (put(two, ITEM) == 0) {
        n++;
    }
    ck_assert_int_eq(n, 24);
    ck_assert_int_eq(put(one, ITEM), NDS_EAGAIN);
    ck_assert_int_eq(nds_queue_size(two), 24);
    ck_assert_int_eq(get(one), 0);
    ck_assert_int_eq(put(one, ITEM), 0);
    ck_assert_int_eq(put(one, ITEM), NDS_EAGAIN);
    ck_assert_int_eq(put(two, ITEM), NDS_EAGAIN);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

START_TEST(the_bound_in_bytes_is_exact)
{
    int n = 0;

    open_queues(1000, 64 << 10);
    warm(one); // and the last slot is given up
    ck_assert_uint_ne(ndi_load_acq(&chan_of(one)->given), 0);
    while (put(two, ITEM) == 0) {
        n++;
    }
    ck_assert_int_eq(n, 64);
    ck_assert_int_eq(put(one, ITEM), NDS_EAGAIN);
    ck_assert_int_eq(get(two), 0);
    ck_assert_int_eq(put(one, ITEM), 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

START_TEST(a_large_item_alone_still_passes)
{
    open_queues(24, 64 << 10);
    warm(one);
    ck_assert_int_eq(put(two, 8192), 0); // all the bytes there are
    ck_assert_int_eq(get(one), 0);
    warm(two);
    ck_assert_int_eq(put(one, 8192), 0);
    ck_assert_int_eq(get(two), 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

START_TEST(they_are_not_seen)
{
    nds_queue_info info = {.size = sizeof info};

    open_queues(24, 1 << 20);
    warm(one);
    ck_assert_int_eq(nds_queue_info_get(two, &info), 0);
    ck_assert_uint_eq(info.loaned + info.items + info.taken, 0);
    ck_assert_uint_eq(info.bytes_used, 0);
    ck_assert_int_eq(nds_queue_size(two), 0);
}
END_TEST

START_TEST(a_shutdown_takes_them_back)
{
    open_queues(24, 1 << 20);
    warm(one);
    ck_assert_int_eq(put(one, ITEM), 0);
    ck_assert_int_eq(nds_queue_shutdown(two), 0);
    ck_assert_int_eq(put(one, ITEM), NDS_ECLOSED);
    ck_assert_int_eq(get(two), 0);
    ck_assert_int_eq(get(two), NDS_EEOF);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

START_TEST(another_size_returns_them)
{
    struct ndi_chan *c;

    open_queues(24, 1 << 20);
    warm(one);
    c = chan_of(one);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(put(one, i % 2 == 0 ? 3 : ITEM), 0);
    }
    ck_assert_uint_eq(ndi_load_acq(&c->h->unclaimed), 6);
    ck_assert_uint_eq(ndi_load_acq(&c->counters[0].ahead), 0);
    ck_assert_int_eq(ndi_chan_valid(c), 0);
}
END_TEST

/* What a killed process held ahead, and had given up, comes back. */
START_TEST(the_dead_keep_nothing)
{
    int n = 0, status;
    pid_t pid;

    open_queues(24, 24 << 10);
    pid = fork();
    if (pid == 0) {
        warm(one);
        (void)put(one, ITEM);
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    while (put(two, ITEM) == 0) {
        n++;
    }
    ck_assert_int_eq(n, 23);
    while (ndi_party_sweep(&chan_of(two)->hub->segment->party) > 0) {
    }
    for (int i = 0; i < 24; i++) {
        ck_assert_int_eq(get(two), 0);
    }
    ck_assert_int_eq(ndi_chan_valid(chan_of(two)), 0);
    ck_assert_uint_eq(ndi_load_acq(&chan_of(two)->h->unclaimed), 0);
}
END_TEST

/* A child of fork has none of its parent's. */
START_TEST(a_child_begins_without)
{
    int status;
    pid_t pid;

    open_queues(24, 1 << 20);
    warm(one);
    pid = fork();
    if (pid == 0) {
        _exit(put(one, ITEM) == 0 && put(one, ITEM) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(put(one, ITEM), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(get(two), 0);
    }
    ck_assert_int_eq(get(two), NDS_EAGAIN);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("reserve");
    TCase *tc = tcase_create("ahead");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, NULL, close_queues);
    tcase_add_test(tc, the_bound_in_items_is_exact);
    tcase_add_test(tc, the_bound_in_bytes_is_exact);
    tcase_add_test(tc, a_large_item_alone_still_passes);
    tcase_add_test(tc, they_are_not_seen);
    tcase_add_test(tc, a_shutdown_takes_them_back);
    tcase_add_test(tc, another_size_returns_them);
    tcase_add_test(tc, the_dead_keep_nothing);
    tcase_add_test(tc, a_child_begins_without);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
