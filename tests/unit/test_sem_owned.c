/* SPDX-License-Identifier: MIT */
/*
 * test_sem_owned.c - permits come back from the dead, once
 */
#include <harness/sync_world.h>
#include <ndshare/sync.h>

static int
take(int64_t deadline)
{
    return ndi_sem_take_owned(&party, &w->guard, &w->owned, deadline);
}

static int
give(uint32_t count)
{
    return ndi_sem_give_owned(&party, &w->owned, count);
}

static void
take_two(void)
{
    if (take(0) != 0 || take(0) != 0) {
        _exit(1);
    }
}

START_TEST(a_process_releases_what_it_holds)
{
    pid_t pid;

    ck_assert_int_eq(give(1), NDS_ENOTOWNER);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take(0), 0);
    }
    ck_assert_int_eq(take(0), NDS_EAGAIN);
    ck_assert_int_eq(take(soon()), NDS_ETIMEDOUT);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 0);
    pid = fork();
    if (pid == 0) {
        // A forked child holds none of its parent's.
        _exit(give(1) != NDS_ENOTOWNER || take(0) != NDS_EAGAIN);
    }
    child_ok(pid);
    ck_assert_int_eq(give(4), NDS_ENOTOWNER);
    ck_assert_int_eq(give(2), 0);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 2);
    ck_assert_int_eq(take(0), 0);
    ck_assert_int_eq(give(2), 0);
    ck_assert_int_eq(give(1), NDS_ENOTOWNER);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 3);
}
END_TEST

START_TEST(a_waiter_gets_what_the_dead_held)
{
    pid_t pid = child_that_stays(take_two);

    ck_assert_int_eq(take(0), 0);
    ck_assert_int_eq(take(soon()), NDS_ETIMEDOUT);
    kill_child(pid);
    ck_assert_int_eq(take(later()), 0);
    ck_assert_int_eq(take(0), 0);
    ck_assert_int_eq(take(0), NDS_EAGAIN);
    // Burial after the probe returns nothing a second time.
    ck_assert_int_eq(ndi_party_sweep(&party), 1);
    ck_assert_int_eq(take(0), NDS_EAGAIN);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 0);
}
END_TEST

START_TEST(burial_first_then_the_waiter)
{
    uint64_t self;

    ck_assert_int_eq(ndi_party_join(&party, &self), 0);
    kill_child(child_that_stays(take_two));
    ck_assert_int_eq(ndi_party_sweep(&party), 1);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 3);
    // Somebody lives where the dead one was, and holds nothing.
    kill_child(child_that_stays(take_two));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take(later()), 0);
    }
    ck_assert_int_eq(take(0), NDS_EAGAIN);
}
END_TEST

static void
hold_the_guard(void)
{
    if (ndi_lock_acquire(&party, &w->guard, 0) != 0) {
        _exit(1);
    }
}

START_TEST(a_process_stopped_in_the_guard_delays_takers_only)
{
    pid_t pid;

    ck_assert_int_eq(take(0), 0);
    pid = child_that_stays(hold_the_guard);
    stop_child(pid);
    ck_assert_int_eq(take(0), NDS_EAGAIN);
    ck_assert_int_eq(take(soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(give(1), 0);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 3);
    kill_child(pid);
    ck_assert_int_eq(take(later()), 0);
}
END_TEST

START_TEST(a_waiter_is_woken)
{
    pid_t pid;

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take(0), 0);
    }
    pid = fork();
    if (pid == 0) {
        _exit(take(later()) != 0);
    }
    while (ndi_load_seq(&w->owned.sleepers) == 0) {
        ndi_futex_wait(&w->owned.sleepers, 0, 1000000);
    }
    ck_assert_int_eq(give(1), 0);
    child_ok(pid);
}
END_TEST

/* What a taker killed between its two stores leaves. */
START_TEST(a_count_that_is_too_low_is_found_again)
{
    ndi_store_seq(&w->owned.count, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take(0), 0);
    }
    ck_assert_int_eq(take(0), NDS_EAGAIN);
    ndi_store_seq(&w->owned.count, 99); // nonsense grants nothing either
    ck_assert_int_eq(take(0), NDS_EAGAIN);
}
END_TEST

START_TEST(both_kinds_by_handle)
{
    nds_sem *s, *t;

    ck_assert_int_eq(nds_sem_create_owned(&s, name, 2), 0);
    ck_assert_int_eq(nds_sem_attach(&t, name), 0);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    ck_assert_int_eq(nds_sem_acquire(s, 0), 0);
    ck_assert_int_eq(nds_sem_acquire(t, 0), 0);
    ck_assert_int_eq(nds_sem_acquire(t, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_sem_release(t, 2), NDS_ENOTOWNER);
    ck_assert_uint_eq(nds_sem_value(s), 0);
    nds_sem_close(t); // takes along what it holds
    ck_assert_uint_eq(nds_sem_value(s), 1);
    ck_assert_int_eq(nds_sem_acquire(s, 0), 0);
    ck_assert_int_eq(nds_sem_release(s, 2), 0);
    nds_sem_close(s);
    ck_assert_int_eq(nds_sem_new_owned(&s, 0), NDS_EINVAL);
    ck_assert_ptr_null(s);
    // The default is Python's: anybody releases, nothing comes back.
    ck_assert_int_eq(nds_sem_new(&s, 0, 0), 0);
    ck_assert_int_eq(nds_sem_release(s, 1), 0);
    ck_assert_uint_eq(nds_sem_value(s), 1);
    nds_sem_close(s);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, a_process_releases_what_it_holds);
    tcase_add_test(tc, a_waiter_gets_what_the_dead_held);
    tcase_add_test(tc, burial_first_then_the_waiter);
    tcase_add_test(tc, a_process_stopped_in_the_guard_delays_takers_only);
    tcase_add_test(tc, a_waiter_is_woken);
    tcase_add_test(tc, a_count_that_is_too_low_is_found_again);
    tcase_add_test(tc, both_kinds_by_handle);
}

int
main(void)
{
    return run_tests("owned semaphore", add);
}
