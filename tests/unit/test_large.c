/* SPDX-License-Identifier: MIT */
/* test_large.c - where large items lie, and who is woken for them and when */
#include "nd_check.h"

#include <harness/chan_of.h>
#include <ndshare/array.h>
#include <ndshare/chan.h>
#include <os/killpoint.h>
#include <os/os.h>
#include <sync/word.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((int64_t)1 << 20)

static nds_queue *
queue(uint64_t max_bytes)
{
    nds_queue_options o = {.size = sizeof o, .max_bytes = max_bytes};
    nds_queue *q = NULL;

    ck_assert_int_eq(nds_queue_new(&q, &o), 0);
    return q;
}

/* Where in the arena one item lay that has come and gone. */
static uint64_t
pass(nds_queue *q, int64_t nbytes)
{
    nds_array *a = NULL;
    uint64_t off;

    ck_assert_int_eq(nds_queue_loan(q, &a, NDS_UINT8, 1, &nbytes, 0), 0);
    off = (uint64_t)((unsigned char *)nds_array_data(a) - chan_of(q)->data);
    ck_assert_int_eq(nds_queue_publish(q, &a, NULL), 0);
    ck_assert_int_eq(nds_queue_get(q, &a, NULL, 0), 0);
    nds_array_close(a);
    return off;
}

START_TEST(what_a_cache_holds_goes_round)
{
    nds_queue *q = queue(0);

    for (int i = 0; i < 20; i++) {
        ck_assert_uint_eq(pass(q, MIB), (uint64_t)(i % 4 * MIB));
    }
    ck_assert_uint_eq(pass(q, MIB / 2), 0);
    ck_assert_uint_eq(pass(q, MIB / 2), 0);
    ck_assert_uint_eq(pass(q, 8 * MIB), 0);
    ck_assert_uint_eq(pass(q, 8 * MIB), 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

START_TEST(what_is_in_use_is_passed_over)
{
    nds_queue *q = queue(0);
    nds_array *held[2];
    int64_t n = 3 * MIB;

    for (int i = 0; i < 2; i++) { // at 0 and, for 2 MiB pages, at 4 MiB
        ck_assert_int_eq(nds_queue_loan(q, &held[i], NDS_UINT8, 1, &n, 0),
                         0);
    }
    ck_assert_uint_eq(pass(q, MIB), (uint64_t)(3 * MIB));
    ck_assert_uint_eq(pass(q, MIB), (uint64_t)(3 * MIB));
    ck_assert_uint_eq(pass(q, 2 * MIB), (uint64_t)(8 * MIB)); // no room within
    nds_queue_discard(q, &held[0]);
    ck_assert_uint_eq(pass(q, 2 * MIB), 0);
    ck_assert_uint_eq(pass(q, 2 * MIB), (uint64_t)(2 * MIB));
    nds_queue_discard(q, &held[1]);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_queue_close(q);
}
END_TEST

static nds_array *
numbers(int64_t count)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT64, 1, &count, NULL), 0);
    for (int64_t i = 0; i < count; i++) {
        ((int64_t *)nds_array_data(a))[i] = i;
    }
    return a;
}

static void
get_numbers(nds_queue *q, int64_t count)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_queue_get(q, &a, NULL, NDS_SEC(20)), 0);
    ck_assert_int_eq(nds_array_view(a)->shape[0], count);
    for (int64_t i = 0; i < count; i++) {
        if (((int64_t *)nds_array_data(a))[i] != i) {
            ck_abort_msg("element %lld", (long long)i);
        }
    }
    nds_array_close(a);
}

static nds_queue *watched;
static int told; /* how often, before the item was there */

static void
count_announced(const char *point)
{
    if (strcmp(point, "put.announced") == 0) {
        ck_assert(!ndi_chan_has_items(chan_of(watched)));
        told++;
    }
}

static void
count_told(const char *point)
{
    if (strcmp(point, "put.described") == 0) {
        // Says who may just be burying another one, and not sleep.
        ndi_store_seq(&chan_of(watched)->h->items.asleep, 1);
    }
    count_announced(point);
}

START_TEST(a_sleeper_is_woken_before_it_is_there)
{
    static const int64_t sizes[] = {4 * MIB, 4 * MIB + 8, 9 * MIB, 33 * MIB};
    nds_queue *q = watched = queue(0);

    ndi_kill_visit_with(count_told);
    for (int i = 0; i < 4; i++) {
        nds_array *a = numbers(sizes[i] / 8);
        pid_t child = fork();
        int status;

        if (child == 0) {
            get_numbers(q, sizes[i] / 8);
            _exit(0);
        }
        told = 0;
        ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
        ck_assert_int_eq(told, 1);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        nds_array_close(a);
    }
    ndi_kill_visit_with(NULL);
    nds_queue_close(q);
}
END_TEST

START_TEST(nobody_is_woken_who_does_not_sleep)
{
    nds_queue *q = watched = queue(0);
    nds_array *a = numbers(9 * MIB / 8);

    told = 0;
    ndi_kill_visit_with(count_announced);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    ndi_kill_visit_with(NULL);
    ck_assert_int_eq(told, 0);
    get_numbers(q, 9 * MIB / 8);
    nds_array_close(a);
    nds_queue_close(q);
}
END_TEST

static void
die_there(const char *point)
{
    if (strcmp(point, "put.announced") == 0) {
        raise(SIGKILL);
    }
}

START_TEST(killed_after_the_announcement)
{
    nds_queue *q = queue(0);
    nds_array *a = numbers(9 * MIB / 8), *none = NULL;
    pid_t child = fork();
    int status;

    if (child == 0) {
        ndi_store_seq(&chan_of(q)->h->items.asleep, 1); // somebody may sleep
        ndi_kill_visit_with(die_there);
        (void)nds_queue_put(q, a, NULL, 0);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(nds_queue_get(q, &none, NULL, NDS_SEC(1) / 5),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    get_numbers(q, 9 * MIB / 8);
    ck_assert_int_eq(ndi_chan_valid(chan_of(q)), 0);
    nds_array_close(a);
    nds_queue_close(q);
}
END_TEST

RUN("large", what_a_cache_holds_goes_round, what_is_in_use_is_passed_over,
    a_sleeper_is_woken_before_it_is_there, nobody_is_woken_who_does_not_sleep,
    killed_after_the_announcement)
