/* SPDX-License-Identifier: MIT */
/*
 * test_reserve.c - loans taken ahead, items picked and slots given up change
 * no promise
 *
 * Two handles on one named queue are two participants: what one holds ahead,
 * or has not told of, must be the other's as soon as it would be missed.
 */
#include <harness/chan_of.h>
#include <sync/word.h>

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define ITEM 128 /* elements: 1 KiB */

static char name[64];
static nds_queue *one, *two;

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

/* Slots that the handle has given up, and nobody has collected. */
static unsigned
given_of(nds_queue *q)
{
    struct ndi_chan *c = chan_of(q);
    unsigned n = 0;

    for (uint32_t i = 0; i < c->nslots; i++) {
        n += ndi_word_is_given(ndi_load_acq(&ndi_slot_at(c, i)->word));
    }
    return n;
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
    ck_assert_uint_ne(given_of(one), 0);
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
    for (uint32_t i = 0; i < c->nslots; i++) {
        ck_assert(!ndi_word_is_reserved(
            ndi_load_acq(&ndi_slot_at(c, i)->word)));
    }
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

/* ---- picked -------------------------------------------------------------- */

/* One item got by the handle in a section: it knows its lane. n wait. */
static void
known(uint32_t items, int n)
{
    open_queues(items, 1 << 20);
    for (int i = 0; i < n + 1; i++) {
        ck_assert_int_eq(put(one, ITEM), 0);
    }
    ck_assert_int_eq(get(two), 0);
    ck_assert_uint_eq(given_of(two), 0);
}

START_TEST(picked_items_are_gone_for_everybody)
{
    nds_queue_info info = {.size = sizeof info};

    known(512, 5);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(get(two), 0);
        ck_assert_int_eq(nds_queue_size(one), 4 - i);
        ck_assert_int_eq(nds_queue_size(two), 4 - i);
    }
    ck_assert_uint_eq(given_of(two), 3);
    ck_assert_int_eq(nds_queue_info_get(one, &info), 0);
    ck_assert_uint_eq(info.items, 2);
    ck_assert_uint_eq(info.taken, 0);
    ck_assert_uint_eq(info.delivered, 4);
    ck_assert_uint_eq(info.unfinished, 6);
    ck_assert_uint_eq(info.bytes_used, 2 * ITEM * 8);
    ck_assert_int_eq(get(one), 0); // collects none of the other's
    ck_assert_int_eq(get(two), 0);
    ck_assert_int_eq(get(one), NDS_EAGAIN);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(nds_queue_join(one, 0), NDS_EAGAIN);
        ck_assert_int_eq(nds_queue_task_done(one), 0);
    }
    ck_assert_int_eq(nds_queue_join(two, 0), 0);
    ck_assert_int_eq(nds_queue_task_done(two), NDS_EINVAL);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

START_TEST(a_full_producer_finds_their_room)
{
    known(512, 5);
    while (put(one, ITEM) == 0) {
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(get(two), 0);
    }
    ck_assert_uint_eq(given_of(two), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(put(one, ITEM), 0);
    }
    ck_assert_int_eq(put(one, ITEM), NDS_EAGAIN);
    ck_assert_uint_eq(given_of(two), 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

/* Who picked and stands still holds no room; he then leaves in a section. */
START_TEST(a_pick_that_is_not_over_counts_no_more)
{
    struct ndi_chan *c;
    uint64_t word;
    uint32_t slot;

    known(512, 5);
    c = chan_of(two);
    while (put(one, ITEM) == 0) {
    }
    ck_assert_int_eq(ndi_pick(c, &slot, &word), 0);
    ck_assert_uint_eq(ndi_word_state(word), NDI_PICKED);
    ck_assert_int_eq(put(one, ITEM), 0);
    ck_assert_int_eq(put(one, ITEM), NDS_EAGAIN);
    ck_assert(!ndi_give_up(c, slot, word));
    ck_assert_int_eq(ndi_chan_free(c, slot, NDS_FOREVER), 0);
    ck_assert_int_eq(put(one, ITEM), NDS_EAGAIN);
    ck_assert_int_eq(ndi_chan_valid(c), 0);
}
END_TEST

START_TEST(the_end_is_seen_behind_them)
{
    struct ndi_chan *c;
    uint64_t word;
    uint32_t slot;

    known(512, 2);
    c = chan_of(two);
    ck_assert_int_eq(get(two), 0);
    ck_assert_int_eq(ndi_pick(c, &slot, &word), 0);
    ndi_store_rel(&c->h->closed, 1); // between the pick and its end
    ck_assert_uint_gt(ndi_load_acq(&c->h->unclaimed), 0);
    ck_assert_int_eq(get(one), NDS_EEOF);
    ck_assert(!ndi_give_up(c, slot, word));
    ck_assert_int_eq(ndi_chan_free(c, slot, NDS_FOREVER), 0);
    ck_assert_int_eq(get(two), NDS_EEOF);
    ck_assert_int_eq(ndi_chan_valid(c), 0);
}
END_TEST

/* In place: counted while it is looked at, room as soon as it is missed. */
START_TEST(taken_items_are_picked)
{
    nds_queue_info info = {.size = sizeof info};
    nds_array *a = NULL, *b = NULL, *view = NULL;

    known(512, 5);
    ck_assert_int_eq(nds_queue_take(two, &a, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_take(two, &b, NULL, 0), 0);
    ck_assert_int_eq(nds_queue_info_get(one, &info), 0);
    ck_assert_uint_eq(info.items, 3);
    ck_assert_uint_eq(info.taken, 2);
    ck_assert_int_eq(nds_queue_release(two, &a), 0);
    ck_assert_uint_eq(given_of(two), 1);
    ck_assert_int_eq(nds_queue_release(two, &a), NDS_EINVAL);
    // A view outlives its release; closed without one it goes back.
    ck_assert_int_eq(nds_array_get(&view, b), 0);
    ck_assert_int_eq(nds_queue_release(two, &b), 0);
    ck_assert_uint_eq(given_of(two), 1);
    ck_assert_int_eq(nds_queue_take(two, &a, NULL, 0), 0);
    nds_array_close(a);
    nds_array_close(view);
    ck_assert_int_eq(nds_queue_size(one), 3);
    ck_assert_int_eq(nds_queue_take(one, &a, NULL, 0), 0);
    ck_assert_uint_eq(nds_queue_deliveries(a), 1);
    ck_assert_int_eq(nds_queue_release(one, &a), 0);
    while (put(one, ITEM) == 0) {
    }
    ck_assert_int_eq(nds_queue_size(two), 512);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

static int64_t
number_got(nds_queue *q)
{
    nds_array *a = NULL;
    int64_t number = -1;

    if (nds_queue_get(q, &a, NULL, 0) == 0) {
        number = *(int64_t *)nds_array_data(a);
    }
    nds_array_close(a);
    return number;
}

static void
put_number(nds_queue *q, int64_t number)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT64, 0, NULL, NULL), 0);
    *(int64_t *)nds_array_data(a) = number;
    ck_assert_int_eq(nds_queue_put(q, a, NULL, 0), 0);
    nds_array_close(a);
}

/* Two lanes, two consumers that pick and claim in turn, a repair between. */
START_TEST(order_holds)
{
    int64_t last[2] = {-1, -1}, got;
    int n = 0;

    open_queues(512, 1 << 20);
    for (int i = 0; i < 200; i++) {
        put_number(i % 3 == 0 ? one : two, i % 3 == 0 ? 2 * i : 2 * i + 1);
        if (i == 120) {
            ck_assert_int_eq(ndi_chan_lock(chan_of(one)), 0);
            ck_assert_int_eq(ndi_chan_rebuild(chan_of(one)), 0);
            ndi_chan_unlock(chan_of(one));
        }
        if (i % 2 == 1) {
            got = number_got(i % 5 == 0 ? one : two);
            ck_assert_int_gt(got, last[got & 1]);
            last[got & 1] = got;
            n++;
        }
    }
    while ((got = number_got(n % 7 == 0 ? one : two)) >= 0) {
        ck_assert_int_gt(got, last[got & 1]);
        last[got & 1] = got;
        n++;
    }
    ck_assert_int_eq(n, 200);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

/* Picked by one that died: to the front, once more; what it had given up is
 * free. */
START_TEST(the_dead_have_picked_nothing)
{
    nds_queue_info info = {.size = sizeof info};
    nds_array *a = NULL;
    int status;
    pid_t pid;

    known(512, 4);
    pid = fork();
    if (pid == 0) {
        uint64_t word;
        uint32_t slot;

        if (get(two) < 0 || get(two) < 0 ||
            ndi_pick(chan_of(two), &slot, &word) < 0) {
            _exit(1);
        }
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(ndi_party_sweep(&chan_of(one)->hub->segment->party), 1);
    ck_assert_int_eq(nds_queue_info_get(one, &info), 0);
    ck_assert_uint_eq(info.items, 2);
    ck_assert_uint_eq(info.delivered, 4);
    ck_assert_uint_eq(info.redelivered, 1);
    ck_assert_int_eq(nds_queue_get(one, &a, NULL, 0), 0);
    ck_assert_uint_eq(nds_queue_deliveries(a), 1);
    nds_array_close(a);
    ck_assert_int_eq(get(two), 0);
    ck_assert_int_eq(get(two), NDS_EAGAIN);
    ck_assert_int_eq(ndi_chan_valid(chan_of(one)), 0);
}
END_TEST

/* An item that a repair has put into the list, and is picked from its lane
 * all the same, stands in no list when its slot is used again. */
START_TEST(a_listed_item_is_picked)
{
    struct ndi_chan *c;

    known(512, 6);
    c = chan_of(two);
    ck_assert_int_eq(ndi_chan_lock(c), 0);
    ck_assert_int_eq(ndi_chan_rebuild(c), 0);
    ck_assert_uint_eq(ndi_load_acq(&c->h->list_count), 6);
    ndi_store_rel(&c->h->list_count, 0); // as one who looked before saw it
    for (int i = 0; i < 3; i++) {
        uint64_t word;
        uint32_t slot;

        ck_assert_int_eq(ndi_pick(c, &slot, &word), 0);
        ck_assert(ndi_give_up(c, slot, word));
    }
    ndi_store_rel(&c->h->list_count, 6);
    ndi_chan_unlock(c);
    for (int i = 0; i < 500; i++) {
        ck_assert_int_eq(put(one, ITEM), 0);
    }
    for (int i = 0; i < 503; i++) {
        ck_assert_int_eq(get(i % 2 == 0 ? one : two), 0);
    }
    ck_assert_int_eq(get(one), NDS_EAGAIN);
    ck_assert_uint_eq(ndi_load_acq(&c->h->list_count), 0);
    ck_assert_int_eq(ndi_chan_valid(c), 0);
}
END_TEST

/* A queue whose size nobody gave, in a container's /dev/shm of 64 MB. */
START_TEST(a_small_memory_is_not_reserved_whole)
{
    char dir[] = "/tmp/t-reserve-XXXXXX";
    int root = geteuid() == 0 ? 0 : CLONE_NEWUSER;
    bool can;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(setenv("NDSHARE_SHM_DIR", dir, 1), 0);
    can = unshare(CLONE_NEWNS | root) == 0 &&
          mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
          mount("shm", dir, "tmpfs", 0, "size=64m") == 0;
    if (can) {
        open_queues(0, 0);
        ck_assert_uint_gt(chan_of(one)->h->arena_nbytes, 15 << 20);
        ck_assert_uint_le(chan_of(one)->h->arena_nbytes, 16 << 20);
        close_queues();
        one = two = NULL;
        ck_assert_int_eq(umount2(dir, MNT_DETACH), 0);
    } else {
        perror("not done, no mount over a directory");
    }
    ck_assert_int_eq(rmdir(dir), 0);
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
    tcase_add_test(tc, picked_items_are_gone_for_everybody);
    tcase_add_test(tc, a_full_producer_finds_their_room);
    tcase_add_test(tc, a_pick_that_is_not_over_counts_no_more);
    tcase_add_test(tc, the_end_is_seen_behind_them);
    tcase_add_test(tc, taken_items_are_picked);
    tcase_add_test(tc, order_holds);
    tcase_add_test(tc, the_dead_have_picked_nothing);
    tcase_add_test(tc, a_listed_item_is_picked);
    tcase_add_test(tc, a_small_memory_is_not_reserved_whole);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
