/* SPDX-License-Identifier: MIT */
/*
 * test_hostile.c - what a neighbour may write, one wicked thing at a time
 *
 * Each test writes into shared memory, some from within a call (at a kill
 * point), and asks for an error or a right answer in time.
 */
#include <array/array_impl.h>
#include <harness/chan_of.h>
#include <mem/mem_impl.h>
#include <ndshare/sync.h>
#include <os/killpoint.h>
#include <os/os.h>
#include <sync/word.h>

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT_NS INT64_C(20000000)

static char name[64];
static nds_queue *queue;
static struct ndi_chan *chan;

static void
name_it(void)
{
    snprintf(name, sizeof name, "hostile-unit-%ld", (long)getpid());
}

static void
open_queue(void)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 16,
                              .max_bytes = 1 << 20};

    ck_assert_int_eq(nds_queue_new(&queue, &opts), 0);
    chan = chan_of(queue);
}

static void
close_queue(void)
{
    ndi_kill_visit_with(NULL);
    nds_queue_close(queue);
}

static int
put(int64_t count)
{
    nds_array *a = NULL;
    int rc;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT64, 1, &count, NULL), 0);
    memset(nds_array_data(a), 0x55, (size_t)count * 8);
    rc = nds_queue_put(queue, a, NULL, 0);
    nds_array_close(a);
    return rc;
}

/* Runs in time: what a call with SHORT_NS may take here at the most. */
static int64_t started;

static void
begin(void)
{
    started = ndi_now_ns();
}

static void
in_time(void)
{
    ck_assert_int_lt(ndi_now_ns() - started, NDS_SEC(4));
}

/* ---- channels ----------------------------------------------------------- */

static void
move_the_extent(const char *point)
{
    if (strcmp(point, "put.described") == 0) {
        chan->slots[0].off = chan->arena.nbytes - 64;
    }
}

START_TEST(a_loan_stays_where_it_was_given)
{
    unsigned char *end = chan->data + chan->arena.nbytes - 64;

    ndi_kill_visit_with(move_the_extent);
    (void)put(5000);
    ndi_kill_visit_with(NULL);
    // Where the slot then pointed nothing was written; where it was given, all.
    for (int i = 0; i < 64; i++) {
        ck_assert_uint_eq(end[i], 0);
    }
    ck_assert_uint_eq(chan->data[0], 0x55);
}
END_TEST

START_TEST(a_list_without_a_first_is_mended)
{
    nds_array *a = NULL;

    ck_assert_int_eq(put(3), 0);
    ndi_store_rlx(&chan->h->list_count, 7);
    begin();
    ck_assert_int_eq(nds_queue_get(queue, &a, NULL, SHORT_NS), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_queue_get(queue, &a, NULL, SHORT_NS), NDS_ETIMEDOUT);
    in_time();
    ck_assert_int_eq(ndi_chan_valid(chan), 0);
}
END_TEST

static void
say_there_are_items(const char *point)
{
    // After any repair: so each look finds nothing, and each wait something.
    if (strcmp(point, "chan.unlock") == 0) {
        ndi_store_rlx(&chan->lanes[0].tail,
                      ndi_load_rlx(&chan->lanes[0].head) + 1);
        ndi_store_rlx(&chan->h->lanes_used, 1);
        ndi_store_rlx(&chan->lanes[0].cpu, 0); // a partner elsewhere: spin
    }
}

START_TEST(seeming_items_do_not_outlast_a_deadline)
{
    nds_array *a = NULL;

    ndi_kill_visit_with(say_there_are_items);
    begin();
    ck_assert_int_eq(put(3), 0);
    for (int i = 0; i < 2; i++) {
        (void)nds_queue_get(queue, &a, NULL, SHORT_NS);
        nds_array_close(a);
        a = NULL;
    }
    ck_assert_int_eq(nds_queue_get(queue, &a, NULL, SHORT_NS), NDS_ETIMEDOUT);
    in_time();
}
END_TEST

START_TEST(serial_numbers_in_a_ring_are_sorted)
{
    // Each is before the next, and the last before the first.
    static const uint64_t seqs[] = {1, UINT64_C(1) << 42,
                                    UINT64_C(3) << 42 | 5,
                                    UINT64_C(2) << 42 | 9};
    uint64_t all = 0;

    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(put(2), 0);
        ndi_store_rlx(&chan->slots[i].word,
                      ndi_word_make(NDI_READY, 0, 1, seqs[i]));
    }
    ck_assert_int_eq(ndi_chan_lock(chan), 0);
    ck_assert_int_eq(ndi_chan_rebuild(chan), 0);
    ndi_chan_unlock(chan);
    for (int i = 0; i < 4; i++) {
        uint32_t slot = 99;
        uint64_t word;
        int got;

        ck_assert_int_eq(ndi_chan_claim(chan, 1, &slot, &word, &got, 0), 0);
        all |= UINT64_C(1) << slot;
        ck_assert_int_eq(ndi_chan_free(chan, slot, NDS_FOREVER), 0);
    }
    ck_assert_uint_eq(all, 15); // each once, whatever the order
}
END_TEST

START_TEST(counters_of_any_value_are_summed)
{
    nds_queue_info info = {.size = sizeof info};

    for (uint32_t i = 0; i < 4; i++) {
        ndi_store_rlx(&chan->counters[i].left, INT64_MAX);
        ndi_store_rlx(&chan->counters[i + 4].done, UINT64_MAX);
    }
    ck_assert_int_eq(nds_queue_info_get(queue, &info), 0);
    begin();
    (void)nds_queue_join(queue, SHORT_NS);
    in_time();
}
END_TEST

static void
spoil_payload(void (*how)(struct ndi_slot *s))
{
    nds_array *a = NULL;

    ck_assert_int_eq(put(5000), 0);
    how(&chan->slots[0]);
    ck_assert_int_eq(nds_queue_take(queue, &a, NULL, 0), NDS_ECORRUPT);
    ck_assert_ptr_null(a);
}

START_TEST(parked_items_in_a_ring_are_tried_once)
{
    // As above; and 0, which is nobody's number.
    static const uint64_t seqs[] = {1, UINT64_C(1) << 42,
                                    UINT64_C(3) << 42 | 5,
                                    UINT64_C(2) << 42 | 9, 0};
    nds_parked list[8];
    nds_array *a = NULL;
    uint64_t count = 0;
    int listed = 0;

    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(put(2), 0);
        chan->slots[i].type = 250; // nobody can read it
        ndi_store_rlx(&chan->slots[i].word,
                      ndi_word_make(NDI_PARKED, 1, 0, seqs[i]));
    }
    ck_assert_int_eq(nds_queue_list_parked(queue, 8, list, &listed), 0);
    ck_assert_int_eq(listed, 5);
    begin();
    ck_assert_int_eq(nds_queue_take_parked(queue, &a, NULL), NDS_ECORRUPT);
    in_time();
    ck_assert_ptr_null(a);
    chan->slots[3].type = (uint8_t)NDS_TYPE_INT64;
    ck_assert_int_eq(nds_queue_take_parked(queue, &a, NULL), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_queue_discard_parked(queue, &count), 0);
}
END_TEST

static void
move_the_last_extent(const char *point)
{
    static int described;

    if (strcmp(point, "put.described") == 0 && ++described == 2) {
        chan->slots[1].off = chan->arena.nbytes - 64;
    }
}

START_TEST(a_run_of_loans_stays_where_it_was_given)
{
    unsigned char *end = chan->data + chan->arena.nbytes - 64;
    nds_array *a[2] = {NULL, NULL};
    int done = 0;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(nds_array_new(&a[i], NDS_INT64, 1,
                                       (int64_t[]){5000}, NULL), 0);
        memset(nds_array_data(a[i]), 0x55 + i, 40000);
    }
    ndi_kill_visit_with(move_the_last_extent);
    (void)nds_queue_put_many(queue, 2, a, NULL, 0, &done);
    ndi_kill_visit_with(NULL);
    for (int i = 0; i < 64; i++) {
        ck_assert_uint_eq(end[i], 0);
    }
    ck_assert_uint_eq(chan->data[0], 0x55);
    ck_assert_uint_eq(chan->data[chan->slots[0].extent], 0x56);
    nds_array_close(a[0]);
    nds_array_close(a[1]);
}
END_TEST

static void
odd_offset(struct ndi_slot *s)
{
    s->off += 4;
    s->extent -= 64;
    s->nbytes = s->extent - 4;
}

static void
odd_blob(struct ndi_slot *s)
{
    s->blob = 3;
}

static void
beyond(struct ndi_slot *s)
{
    s->off = chan->arena.nbytes - 4096;
}

START_TEST(payloads_that_no_producer_makes)
{
    static void (*const how[])(struct ndi_slot *s) = {odd_offset, odd_blob,
                                                      beyond};

    spoil_payload(how[_i]);
}
END_TEST

/* ---- locks that only seem to be held ------------------------------------ */

/* The word of a participant that lives: the process that forked us. */
static uint64_t
a_living_owner(struct ndi_party *p)
{
    uint64_t owner = 0;

    ck_assert_int_eq(ndi_party_join(p, &owner), 0);
    return owner;
}

/* Runs fn in a child, for which our own name in a lock is a stranger's. */
static void
in_child(void (*fn)(void *h), void *h)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        fn(h);
        _exit(0);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the child ended with %d", status);
}

/* A child says where it failed by its exit code. */
#define NEED(ok)                                                              \
    do {                                                                      \
        if (!(ok)) {                                                          \
            _exit(__LINE__ % 250 + 1);                                        \
        }                                                                     \
    } while (0)

static void
use_barrier(void *h)
{
    unsigned index;

    begin();
    NEED(nds_barrier_wait(h, SHORT_NS, &index) == NDS_EBROKEN);
    NEED(nds_barrier_reset(h) == 0);
    // Also who would wait for ever: the lock is held for moments only.
    NEED(nds_barrier_wait(h, NDS_FOREVER, &index) == NDS_EBROKEN);
    NEED(nds_barrier_abort(h) == 0);
    NEED(ndi_now_ns() - started < NDS_SEC(4));
}

START_TEST(a_barrier_does_not_wait_for_a_liar)
{
    nds_barrier *b = NULL;
    struct ndi_segment *s;

    ndi_patience_ns = NDS_SEC(1);
    ck_assert_int_eq(nds_barrier_new(&b, 2), 0);
    s = *(struct ndi_segment **)b;
    ndi_store_rlx(&s->ctl->object.barrier.lock.word,
                  a_living_owner(&s->party));
    in_child(use_barrier, b);
    nds_barrier_close(b);
}
END_TEST

static nds_cond *cond;
static uint64_t liar;

static void
take_the_lock(const char *point)
{
    struct ndi_segment *s = *(struct ndi_segment **)cond;

    if (strcmp(point, "cond.woken") == 0) {
        ndi_store_seq(&s->ctl->object.cond.lock.word, liar);
    }
}

static void
use_cond(void *h)
{
    begin();
    NEED(nds_cond_lock(h, SHORT_NS) == 0);
    ndi_kill_visit_with(take_the_lock);
    NEED(nds_cond_wait(h, SHORT_NS) == NDS_EBUSY);
    NEED(ndi_now_ns() - started < NDS_SEC(4));
}

START_TEST(a_wait_does_not_wait_for_a_liar)
{
    ndi_patience_ns = NDS_SEC(1);
    ck_assert_int_eq(nds_cond_new(&cond), 0);
    liar = a_living_owner(&(*(struct ndi_segment **)cond)->party);
    in_child(use_cond, cond);
    nds_cond_close(cond);
}
END_TEST

static void
use_owned(void *h)
{
    begin();
    NEED(nds_sem_acquire(h, 0) == NDS_EAGAIN);
    NEED(nds_sem_acquire(h, SHORT_NS) == NDS_ETIMEDOUT);
    NEED(nds_sem_acquire(h, NDS_SEC(20)) == NDS_EBUSY);
    NEED(nds_sem_acquire(h, NDS_FOREVER) == NDS_EBUSY);
    NEED(ndi_now_ns() - started < NDS_SEC(8));
}

START_TEST(an_owned_semaphore_does_not_wait_for_a_liar)
{
    nds_sem *owned = NULL;
    struct ndi_segment *s;

    ndi_patience_ns = NDS_SEC(1);
    ck_assert_int_eq(nds_sem_new_owned(&owned, 2), 0);
    s = *(struct ndi_segment **)owned;
    ndi_store_rlx(&s->ctl->lock.word, a_living_owner(&s->party));
    in_child(use_owned, owned);
    ndi_store_rlx(&s->ctl->lock.word, 0);
    nds_sem_close(owned);
}
END_TEST

static void
use_queue(void *h)
{
    nds_array *a = NULL;

    begin();
    NEED(nds_queue_get(h, &a, NULL, SHORT_NS) == NDS_EBUSY);
    NEED(nds_queue_put_none(h, SHORT_NS) == NDS_EBUSY);
    // Two waits of a second each, where each could have been ten.
    NEED(ndi_now_ns() - started < NDS_SEC(9));
}

START_TEST(a_queue_does_not_wait_for_a_liar)
{
    // The patience of a release build: a deadline is shorter than it.
    ck_assert_int_eq(put(3), 0);
    ndi_store_rlx(&chan->h->lock.word,
                  a_living_owner(&chan->hub->segment->party));
    in_child(use_queue, queue);
    ndi_store_rlx(&chan->h->lock.word, 0);
}
END_TEST

/* The patience of a release build in all that follows: a deadline is shorter
 * than it, and 4 s are shorter than two waits of it. */
static const char *trap; /* where the lock is taken for good */

static void
take_the_queue(const char *point)
{
    if (strcmp(point, trap) == 0) {
        ndi_store_seq(&chan->h->lock.word, liar);
    }
}

static void
set_trap(const char *point)
{
    trap = point;
    ndi_kill_visit_with(take_the_queue);
    begin();
}

static void
get_into_a_trap(void *h)
{
    nds_array *a = NULL;

    set_trap("get.opened");
    NEED(nds_queue_get(h, &a, NULL, SHORT_NS) == NDS_EBUSY);
    NEED(a == NULL);
    NEED(ndi_now_ns() - started < NDS_SEC(4));
}

START_TEST(a_getter_does_not_settle_for_ever)
{
    nds_array *a = NULL;

    ck_assert_int_eq(put(300), 0); // a small one leaves without the lock
    liar = a_living_owner(&chan->hub->segment->party);
    in_child(get_into_a_trap, queue);
    ndi_store_seq(&chan->h->lock.word, 0);
    // What could not leave comes back with the getter's burial.
    ck_assert_int_eq(nds_queue_get(queue, &a, NULL, NDS_SEC(5)), 0);
    nds_array_close(a);
    ck_assert_int_eq(ndi_chan_valid(chan), 0);
}
END_TEST

/* No room in the child's lane, whatever it reads. */
static void
fill_the_lane(const char *point)
{
    if (strcmp(point, "put.copied") == 0) {
        struct ndi_lane *l = &chan->lanes[chan->lane];

        chan->lane_head = ndi_load_seq(&l->tail) - chan->lane_entries;
        ndi_store_seq(&l->head, chan->lane_head);
    }
    take_the_queue(point);
}

static void
put_into_a_trap(void *h)
{
    (void)h;
    set_trap("put.copied");
    ndi_kill_visit_with(fill_the_lane);
    NEED(nds_queue_put_none(queue, 0) == 0); // a lane of our own
    NEED(put(3) == NDS_EBUSY);
    NEED(ndi_now_ns() - started < NDS_SEC(4));
}

START_TEST(a_full_lane_does_not_wait_for_ever)
{
    nds_array *a = NULL;

    liar = a_living_owner(&chan->hub->segment->party);
    in_child(put_into_a_trap, queue);
    ndi_store_seq(&chan->h->lock.word, 0);
    // What its put said was an error is not there, also after the burial.
    ck_assert_int_eq(nds_queue_get(queue, &a, NULL, NDS_SEC(5)), 0);
    ck_assert_ptr_null(a);
    ck_assert_int_eq(nds_queue_get(queue, &a, NULL, 10 * SHORT_NS),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_chan_valid(chan), 0);
}
END_TEST

static void
publish_into_a_trap(void *h)
{
    nds_array *a = NULL;
    struct ndi_lane *l;

    ndi_patience_ns = NDS_SEC(1);
    NEED(nds_queue_loan(h, &a, NDS_UINT8, 1, (int64_t[]){9}, 0) == 0);
    l = &chan->lanes[chan->lane];
    chan->lane_head = ndi_load_seq(&l->tail) - chan->lane_entries;
    ndi_store_seq(&l->head, chan->lane_head);
    ndi_store_seq(&chan->h->lock.word, liar);
    begin();
    NEED(nds_queue_publish(h, &a, NULL) == NDS_EBUSY);
    NEED(ndi_now_ns() - started < NDS_SEC(4));
    NEED(a != NULL); // a loan still
    ndi_store_seq(&chan->h->lock.word, 0);
    NEED(nds_queue_publish(h, &a, NULL) == 0);
    NEED(a == NULL);
}

START_TEST(what_cannot_be_published_stays_a_loan)
{
    nds_array *a = NULL;

    liar = a_living_owner(&chan->hub->segment->party);
    in_child(publish_into_a_trap, queue);
    ck_assert_int_eq(nds_queue_get(queue, &a, NULL, NDS_SEC(5)), 0);
    ck_assert_ptr_nonnull(a);
    nds_array_close(a);
    ck_assert_int_eq(ndi_chan_valid(chan), 0);
}
END_TEST

static void
join_and_die(void *h)
{
    struct ndi_hub *hub = h;

    ndi_hub_enter_image(hub);
    NEED(a_living_owner(&hub->segment->party) != 0);
}

static void
get_beside_a_grave(void *h)
{
    nds_array *a = NULL;

    begin();
    NEED(nds_queue_get(h, &a, NULL, 2 * SHORT_NS) == NDS_ETIMEDOUT);
    NEED(ndi_now_ns() - started < NDS_SEC(4));
}

START_TEST(a_burial_on_the_way_does_not_wait_for_ever)
{
    struct ndi_party *p = &chan->hub->segment->party;

    liar = a_living_owner(p);
    in_child(join_and_die, chan->hub);
    ndi_store_seq(&chan->h->lock.word, liar);
    in_child(get_beside_a_grave, queue);
    ndi_store_seq(&chan->h->lock.word, 0);
    while (ndi_party_sweep(p) > 0) {
        // what could not be buried is: this one and the getter
    }
    ck_assert_int_eq(ndi_party_alive(p), 1);
    ck_assert_int_eq(ndi_chan_valid(chan), 0);
}
END_TEST

/* ---- control areas ------------------------------------------------------ */

START_TEST(an_array_keeps_its_participants_in_the_control_area)
{
    nds_array *a = NULL, *again = NULL;
    struct ndi_ctl_geometry *g;

    name_it();
    ck_assert_int_eq(nds_array_create(&a, name, NDS_UINT8, 1,
                                      (int64_t[]){60000}, NULL), 0);
    g = &a->segment->ctl->geometry;
    g->party_off = 8192; // inside the body, which can be frozen
    ck_assert_int_eq(nds_array_attach(&again, name, NDS_READWRITE, 0),
                     NDS_ECORRUPT);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}
END_TEST

static void
unlink_name(void)
{
    (void)nds_name_unlink(name);
}

START_TEST(a_table_of_the_dead_takes_no_more_than_a_slice)
{
    struct ndi_party *p = &chan->hub->segment->party;
    int n;

    (void)a_living_owner(p);
    for (uint32_t i = 1; i < p->count; i++) {
        ndi_store_rlx(&p->slots[i].state, NDI_PARTY_LIVE);
        ndi_store_rlx(&p->slots[i].gen, 7);
    }
    begin();
    n = ndi_party_sweep(p);
    in_time();
    ck_assert_int_gt(n, 0);
    while (ndi_party_sweep(p) > 0) {
        // the rest, in as many sweeps as it takes
    }
    ck_assert_int_eq(ndi_party_alive(p), 1);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("hostile");
    TCase *tc = tcase_create("channels");
    TCase *other = tcase_create("locks and control areas");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, open_queue, close_queue);
    tcase_add_test(tc, a_loan_stays_where_it_was_given);
    tcase_add_test(tc, a_run_of_loans_stays_where_it_was_given);
    tcase_add_test(tc, parked_items_in_a_ring_are_tried_once);
    tcase_add_test(tc, a_list_without_a_first_is_mended);
    tcase_add_test(tc, seeming_items_do_not_outlast_a_deadline);
    tcase_add_test(tc, serial_numbers_in_a_ring_are_sorted);
    tcase_add_test(tc, counters_of_any_value_are_summed);
    tcase_add_loop_test(tc, payloads_that_no_producer_makes, 0, 3);
    tcase_add_test(tc, a_queue_does_not_wait_for_a_liar);
    tcase_add_test(tc, a_getter_does_not_settle_for_ever);
    tcase_add_test(tc, a_full_lane_does_not_wait_for_ever);
    tcase_add_test(tc, what_cannot_be_published_stays_a_loan);
    tcase_add_test(tc, a_burial_on_the_way_does_not_wait_for_ever);
    tcase_add_test(tc, a_table_of_the_dead_takes_no_more_than_a_slice);
    tcase_set_timeout(other, 60);
    tcase_add_checked_fixture(other, NULL, unlink_name);
    tcase_add_test(other, a_barrier_does_not_wait_for_a_liar);
    tcase_add_test(other, an_owned_semaphore_does_not_wait_for_a_liar);
    tcase_add_test(other, a_wait_does_not_wait_for_a_liar);
    tcase_add_test(other,
                   an_array_keeps_its_participants_in_the_control_area);
    suite_add_tcase(s, tc);
    suite_add_tcase(s, other);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
