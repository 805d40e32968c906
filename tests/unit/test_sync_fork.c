/* SPDX-License-Identifier: MIT */
/*
 * test_sync_fork.c - a forked child holds nothing, its parent everything still
 *
 * For each primitive that has a holder: fork while holding; the child is not
 * the owner and cannot unlock, its waits end; the parent's hold is intact.
 */
#include <harness/sync_world.h>
#include <harness/walk.h>

#include <pthread.h>

static int
lock_in_child(void *ctx)
{
    struct ndi_lock *l = ctx;

    return ndi_lock_is_mine(&party, l) ||
           ndi_lock_unlock(&party, l) != NDS_ENOTOWNER ||
           ndi_lock_poison(&party, l) != NDS_ENOTOWNER ||
           ndi_lock_give_back(&party, l) != NDS_ENOTOWNER ||
           ndi_lock_acquire(&party, l, 0) != NDS_EAGAIN ||
           ndi_lock_acquire(&party, l, soon()) != NDS_ETIMEDOUT;
}

START_TEST(plain_mutex)
{
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), 0);
    ck_assert_int_eq(nds_in_child(lock_in_child, &w->lock), 0);
    ck_assert(ndi_lock_is_mine(&party, &w->lock));
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->lock), 0);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), 0);
}
END_TEST

START_TEST(recursive_mutex)
{
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ndi_lock_acquire(&party, &w->recursive, 0), 0);
    }
    ck_assert_int_eq(nds_in_child(lock_in_child, &w->recursive), 0);
    ck_assert_uint_eq(w->recursive.depth, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ndi_lock_unlock(&party, &w->recursive), 0);
    }
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->recursive), NDS_ENOTOWNER);
}
END_TEST

static int
beside_a_reader(void *ctx)
{
    (void)ctx;
    return ndi_rwlock_release(&party, &w->rwlock) != NDS_ENOTOWNER ||
           ndi_rwlock_write(&party, &w->rwlock, 0) != NDS_EAGAIN ||
           ndi_rwlock_write(&party, &w->rwlock, soon()) != NDS_ETIMEDOUT ||
           ndi_rwlock_read(&party, &w->rwlock, 0) != 0 ||
           ndi_rwlock_release(&party, &w->rwlock) != 0 ||
           ndi_rwlock_release(&party, &w->rwlock) != NDS_ENOTOWNER;
}

START_TEST(reader)
{
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
    ck_assert_int_eq(nds_in_child(beside_a_reader, NULL), 0);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()), 0);
}
END_TEST

static int
beside_a_writer(void *ctx)
{
    (void)ctx;
    return ndi_rwlock_release(&party, &w->rwlock) != NDS_ENOTOWNER ||
           ndi_rwlock_read(&party, &w->rwlock, 0) != NDS_EAGAIN ||
           ndi_rwlock_read(&party, &w->rwlock, soon()) != NDS_ETIMEDOUT ||
           ndi_rwlock_write(&party, &w->rwlock, soon()) != NDS_ETIMEDOUT;
}

START_TEST(writer)
{
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, 0), 0);
    ck_assert_int_eq(nds_in_child(beside_a_writer, NULL), 0);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
}
END_TEST

static int
condition_in_child(void *ctx)
{
    (void)ctx;
    return ndi_cond_sleep(&party, &w->cond, soon()) != NDS_ENOTOWNER ||
           lock_in_child(&w->cond.lock) != 0;
}

START_TEST(condition)
{
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->cond.lock, 0), 0);
    ck_assert_int_eq(nds_in_child(condition_in_child, NULL), 0);
    ck_assert_int_eq(ndi_cond_sleep(&party, &w->cond, soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->cond.lock), 0);
}
END_TEST

static int
permits_in_child(void *ctx)
{
    (void)ctx;
    return ndi_sem_give_owned(&party, &w->owned, 1) != NDS_ENOTOWNER ||
           ndi_sem_take_owned(&party, &w->guard, &w->owned, 0) != 0 ||
           ndi_sem_take_owned(&party, &w->guard, &w->owned, 0) !=
               NDS_EAGAIN; // _exit gives its own one back
}

START_TEST(owned_permits)
{
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(
            ndi_sem_take_owned(&party, &w->guard, &w->owned, 0), 0);
    }
    ck_assert_int_eq(nds_in_child(permits_in_child, NULL), 0);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 1);
    ck_assert_int_eq(ndi_sem_give_owned(&party, &w->owned, 2), 0);
}
END_TEST

/* Without owners: what a child does counts as anybody's. */
static int
ownerless_in_child(void *ctx)
{
    (void)ctx;
    return ndi_sem_give(&w->sem, 1) != 0 ||
           ndi_flag_wait(&w->event, soon()) != NDS_ETIMEDOUT;
}

START_TEST(ownerless_permits_and_events)
{
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), 0);
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), 0);
    ck_assert_int_eq(nds_in_child(ownerless_in_child, NULL), 0);
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), 0);
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), NDS_EAGAIN);
}
END_TEST

static int
write_in_child(void *ctx)
{
    uint64_t seen;

    (void)ctx;
    return ndi_seqlock_write_end(&party, &w->seqlock) != NDS_ENOTOWNER ||
           ndi_seqlock_write_begin(&party, &w->seqlock, 0) != NDS_EAGAIN ||
           ndi_seqlock_read_begin(&party, &w->seqlock, &seen, soon()) !=
               NDS_ETIMEDOUT;
}

START_TEST(writer_of_a_sequence)
{
    ck_assert_int_eq(ndi_seqlock_write_begin(&party, &w->seqlock, 0), 0);
    ck_assert_int_eq(nds_in_child(write_in_child, NULL), 0);
    ck_assert_int_eq(ndi_seqlock_write_end(&party, &w->seqlock), 0);
}
END_TEST

static void *
wait_at_the_gate(void *rc)
{
    *(int *)rc = ndi_gate_wait(&party, &w->gate, later(), NULL);
    return NULL;
}

static int
gate_in_child(void *ctx)
{
    (void)ctx;
    return ndi_gate_wait(&party, &w->gate, later(), NULL);
}

START_TEST(a_thread_at_a_barrier)
{
    pthread_t thread;
    int rc = 1;

    ck_assert_int_eq(pthread_create(&thread, NULL, wait_at_the_gate, &rc), 0);
    while (ndi_load_seq(&w->gate.sleepers) == 0) {
        ndi_futex_wait(&w->gate.sleepers, 0, 1000000);
    }
    // The fork of a waiting process has not arrived; it can, for itself.
    ck_assert_int_eq(nds_in_child(gate_in_child, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(rc, 0);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, plain_mutex);
    tcase_add_test(tc, recursive_mutex);
    tcase_add_test(tc, reader);
    tcase_add_test(tc, writer);
    tcase_add_test(tc, condition);
    tcase_add_test(tc, owned_permits);
    tcase_add_test(tc, ownerless_permits_and_events);
    tcase_add_test(tc, writer_of_a_sequence);
    tcase_add_test(tc, a_thread_at_a_barrier);
}

int
main(void)
{
    return run_tests("sync and fork", add);
}
