/* SPDX-License-Identifier: MIT */
/*
 * test_restless.c - words that change between each look and each try
 *
 * A neighbour that rewrites a word in a loop can make a CAS fail as often as it
 * likes. Here it does so every time, from the kill point between the two: each
 * call must end all the same, with its deadline or an error. A loop without a
 * bound ends by the time-out of the test.
 */
#include <harness/sync_world.h>
#include <os/killpoint.h>

static const char *where; /* the kill point at which the word is turned */
static void (*turn)(void);
static uint32_t turned;

static void
visit(const char *point)
{
    if (strcmp(point, where) == 0) {
        turned++;
        turn();
    }
}

static void
turn_at(const char *point, void (*fn)(void))
{
    where = point;
    turn = fn;
    turned = 0;
    ndi_kill_visit_with(visit);
}

static void
rest(void)
{
    ndi_kill_visit_with(NULL);
    ck_assert_uint_gt(turned, 0);
}

static void
turn_lock(void)
{
    // Free both times: nobody, with and without sleepers.
    ndi_store_seq(&w->lock.word,
                  ndi_load_seq(&w->lock.word) ^ NDI_LOCK_WAITERS);
}

START_TEST(a_mutex_ends_with_the_deadline)
{
    ndi_store_seq(&w->lock.word, NDI_LOCK_WAITERS);
    turn_at("mutex.will_take", turn_lock);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, soon()),
                     NDS_ETIMEDOUT);
    ndi_store_seq(&w->lock.word, NDI_LOCK_WAITERS);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), NDS_EAGAIN);
    rest();
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), 0);
}
END_TEST

static void
turn_writer(void)
{
    ndi_store_seq(&w->seqlock.owner, ndi_load_seq(&w->seqlock.owner) + 1);
}

START_TEST(a_sequence_lock_ends_with_the_deadline)
{
    ndi_store_seq(&w->seqlock.owner, UINT64_C(1) << 60);
    turn_at("seqlock.will_take", turn_writer);
    ck_assert_int_eq(ndi_seqlock_write_begin(&party, &w->seqlock, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_seqlock_write_begin(&party, &w->seqlock, 0),
                     NDS_EAGAIN);
    rest();
    ck_assert_int_eq(ndi_seqlock_write_begin(&party, &w->seqlock, 0), 0);
    ck_assert_uint_eq(ndi_load_seq(&w->seqlock.sleepers), 0);
}
END_TEST

static void
turn_count(void)
{
    ndi_store_seq(&w->sem.count, 3 - ndi_load_seq(&w->sem.count));
}

START_TEST(a_semaphore_ends)
{
    turn_at("sem.will_take", turn_count);
    ck_assert_int_eq(ndi_sem_take(&w->sem, soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), NDS_EAGAIN);
    rest();
    turn_at("sem.will_give", turn_count);
    ck_assert_int_eq(ndi_sem_give(&w->sem, 1), NDS_ECORRUPT);
    rest();
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), 0);
}
END_TEST

static void
turn_permits(void)
{
    struct ndi_party_slot *slot =
        &w->slots[ndi_owner_index(ndi_party_self(&party))];

    ndi_store_seq(&slot->permits, 3 - ndi_load_seq(&slot->permits));
}

START_TEST(an_owned_semaphore_ends)
{
    ck_assert_int_eq(ndi_sem_take_owned(&party, &w->guard, &w->owned, 0), 0);
    turn_at("sem.will_uncharge", turn_permits);
    ck_assert_int_eq(ndi_sem_give_owned(&party, &w->owned, 1), NDS_ECORRUPT);
    rest();
    ck_assert_int_eq(ndi_sem_give_owned(&party, &w->owned, 1), 0);
}
END_TEST

static void
turn_readers(void)
{
    struct ndi_party_slot *slot =
        &w->slots[ndi_owner_index(ndi_party_self(&party))];

    ndi_store_seq(&slot->readers, 3 - ndi_load_seq(&slot->readers));
}

START_TEST(a_reader_ends)
{
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
    turn_at("rwlock.will_leave", turn_readers);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), NDS_ECORRUPT);
    rest();
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
}
END_TEST

static void
turn_verdict(void)
{
    ndi_store_seq(&w->gate.verdict, ndi_load_seq(&w->gate.verdict) + 4000);
}

/* The verdict is another's, and so is the round. */
static void
turn_round(void)
{
    turn_verdict();
    ndi_add_seq(&w->gate.round, 1);
}

/* Whatever round comes is open already. */
static void
turn_open(void)
{
    ndi_store_seq(&w->gate.verdict,
                  ((uint64_t)ndi_load_seq(&w->gate.round) + 1) << 1);
}

START_TEST(abort_and_reset_end)
{
    turn_at("barrier.will_decide", turn_verdict);
    ck_assert_int_eq(ndi_gate_abort(&w->gate), NDS_ECORRUPT);
    ck_assert_int_eq(ndi_gate_reset(&w->gate), NDS_ECORRUPT);
    rest();
    turn_at("barrier.will_decide", turn_round);
    ck_assert_int_eq(ndi_gate_abort(&w->gate), NDS_ECORRUPT);
    ck_assert_int_eq(ndi_gate_reset(&w->gate), NDS_ECORRUPT);
    rest();
    turn_at("barrier.moved", turn_open);
    turn_open();
    ck_assert_int_eq(ndi_gate_abort(&w->gate), NDS_ECORRUPT);
    rest();
    ndi_store_seq(&w->gate.verdict, 0);
    ck_assert_int_eq(ndi_gate_abort(&w->gate), 0);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, 0, NULL), NDS_EBROKEN);
    ck_assert_int_eq(ndi_gate_reset(&w->gate), 0);
}
END_TEST

START_TEST(a_barrier_ends)
{
    turn_at("barrier.will_decide", turn_verdict);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, soon(), NULL),
                     NDS_ECORRUPT);
    rest();
    ck_assert_uint_eq(ndi_load_seq(&w->gate.sleepers), 0);
}
END_TEST

static void
tests(TCase *tc)
{
    tcase_add_test(tc, a_mutex_ends_with_the_deadline);
    tcase_add_test(tc, a_sequence_lock_ends_with_the_deadline);
    tcase_add_test(tc, a_semaphore_ends);
    tcase_add_test(tc, an_owned_semaphore_ends);
    tcase_add_test(tc, a_reader_ends);
    tcase_add_test(tc, abort_and_reset_end);
    tcase_add_test(tc, a_barrier_ends);
}

int
main(void)
{
    return run_tests("restless", tests);
}
