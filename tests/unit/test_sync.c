/* SPDX-License-Identifier: MIT */
/*
 * test_sync.c - participants and the in-place locks, between processes
 *
 * One memfd holds a table of participants and one object of each kind; the
 * child of a test is another process in every respect that matters here.
 */
#include <harness/sync_world.h>

#include <poll.h>
#include <pthread.h>
#include <sys/time.h>

START_TEST(a_lock_is_taken_and_given_back)
{
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), 0);
    ck_assert(ndi_lock_is_mine(&party, &w->lock));
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), NDS_EDEADLK);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->lock), 0);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->lock), NDS_ENOTOWNER);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->recursive, 0), 0);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->recursive, 0), 0);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->recursive), 0);
    ck_assert(ndi_lock_is_mine(&party, &w->recursive));
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->recursive), 0);
    ck_assert(!ndi_lock_is_mine(&party, &w->recursive));
}
END_TEST

START_TEST(another_process_waits_and_times_out)
{
    pid_t pid = fork();

    if (pid == 0) {
        int bad = ndi_lock_acquire(&party, &w->lock, 0) != 0;

        reach(1);
        await(2);
        bad |= ndi_lock_unlock(&party, &w->lock) != 0;
        _exit(bad);
    }
    await(1);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), NDS_EAGAIN);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock,
                                      ndi_deadline(NDS_MSEC(20))),
                     NDS_ETIMEDOUT);
    reach(2);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock,
                                      ndi_deadline(NDS_SEC(10))), 0);
    child_ok(pid);
}
END_TEST

START_TEST(a_dead_holder_leaves_its_lock_to_the_waiter)
{
    char text[64];
    pid_t pid = fork();
    int64_t start;

    if (pid == 0) {
        ndi_lock_acquire(&party, &w->lock, 0);
        reach(1);
        for (;;) {
            pause();
        }
    }
    await(1);
    kill_child(pid);
    ndi_lock_describe(&party, &w->lock, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "which died"));
    start = ndi_now_ns();
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock,
                                      ndi_deadline(NDS_SEC(10))),
                     NDS_EOWNERDEAD);
    ck_assert(ndi_now_ns() - start < NDS_SEC(1));
    ck_assert(ndi_lock_is_mine(&party, &w->lock));
    ck_assert_uint_eq(w->lock.deaths, 1);
    ck_assert_int_eq(ndi_lock_poison(&party, &w->lock), 0);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), NDS_EPOISONED);
    ck_assert_int_eq(ndi_party_sweep(&party), 1);
    ck_assert_int_eq(ndi_party_alive(&party), 1);
}
END_TEST

START_TEST(a_forked_child_owns_nothing)
{
    pid_t pid;

    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), 0);
    pid = fork();
    if (pid == 0) {
        int bad = ndi_lock_is_mine(&party, &w->lock) ||
                  ndi_lock_acquire(&party, &w->lock, 0) != NDS_EAGAIN ||
                  ndi_lock_unlock(&party, &w->lock) != NDS_ENOTOWNER;

        _exit(bad);
    }
    child_ok(pid);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->lock), 0);
}
END_TEST

START_TEST(nonsense_in_a_word_is_an_error)
{
    ndi_store_seq(&w->lock.word, UINT64_C(1) << 60 | 5);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), NDS_ECORRUPT);
    ndi_store_seq(&w->lock.word, ndi_owner_make(4000, 1));
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), NDS_ECORRUPT);
}
END_TEST

START_TEST(the_table_is_bounded_and_reused)
{
    pid_t pids[PARTIES];
    uint64_t self;
    int n = 0;

    for (int i = 0; i < PARTIES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            uint64_t own;
            int rc = ndi_party_join(&party, &own);

            ndi_add_seq(&w->step, 1);
            ndi_futex_wake(&w->step, INT32_MAX);
            while (rc == 0) {
                pause();
            }
            _exit(1);
        }
        await((uint32_t)i + 1);
    }
    ck_assert_int_eq(ndi_party_alive(&party), PARTIES);
    ck_assert_int_eq(ndi_party_join(&party, &self), NDS_ELIMIT);
    for (int i = 0; i < PARTIES; i++) {
        kill_child(pids[i]);
    }
    ck_assert_int_eq(ndi_party_join(&party, &self), 0);
    ck_assert_uint_eq(ndi_owner_gen(self), 2);
    n = ndi_party_sweep(&party);
    ck_assert_int_eq(n, PARTIES - 1);
}
END_TEST

START_TEST(a_condition_wakes_and_times_out)
{
    pid_t pid;

    ck_assert_int_eq(ndi_lock_acquire(&party, &w->cond.lock, 0), 0);
    ck_assert_int_eq(ndi_cond_sleep(&party, &w->cond,
                                    ndi_deadline(NDS_MSEC(5))),
                     NDS_ETIMEDOUT);
    ck_assert(ndi_lock_is_mine(&party, &w->cond.lock));
    pid = fork();
    if (pid == 0) {
        int bad = ndi_lock_acquire(&party, &w->cond.lock,
                                   ndi_deadline(NDS_SEC(10))) != 0;

        ndi_add_seq(&w->counter, 1);
        ndi_cond_wake(&w->cond, 1);
        bad |= ndi_lock_unlock(&party, &w->cond.lock) != 0;
        _exit(bad);
    }
    while (ndi_load_seq(&w->counter) == 0) {
        ck_assert_int_eq(ndi_cond_sleep(&party, &w->cond,
                                        ndi_deadline(NDS_SEC(10))), 0);
    }
    ndi_lock_unlock(&party, &w->cond.lock);
    child_ok(pid);
}
END_TEST

/* The sleeper's time is up, the lock is somebody's, and that one notifies. */
START_TEST(a_notification_in_the_last_moment_counts)
{
    pid_t pid = fork();

    if (pid == 0) {
        int bad = ndi_lock_acquire(&party, &w->cond.lock, 0);

        reach(1);
        _exit(bad != 0 || ndi_cond_sleep(&party, &w->cond,
                                         ndi_deadline(NDS_SEC(1))) != 0);
    }
    await(1);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->cond.lock,
                                      ndi_deadline(NDS_SEC(10))), 0);
    while (ndi_load_seq(&w->cond.sleepers) != 0) {
        poll(NULL, 0, 1);
    }
    ndi_cond_wake(&w->cond, 1);
    ndi_lock_unlock(&party, &w->cond.lock);
    child_ok(pid);
}
END_TEST

START_TEST(permits_are_counted_and_bounded)
{
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), 0);
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), 0);
    ck_assert_int_eq(ndi_sem_take(&w->sem, 0), NDS_EAGAIN);
    ck_assert_int_eq(ndi_sem_take(&w->sem, ndi_deadline(NDS_MSEC(5))),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_sem_give(&w->sem, 3), 0);
    ck_assert_int_eq(ndi_sem_give(&w->sem, 1), NDS_ELIMIT);
}
END_TEST

START_TEST(an_event_reaches_all)
{
    pid_t pids[3];

    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            ndi_add_seq(&w->step, 1);
            ndi_futex_wake(&w->step, INT32_MAX);
            _exit(ndi_flag_wait(&w->event, ndi_deadline(NDS_SEC(10))) != 0);
        }
    }
    await(3);
    ck_assert_int_eq(ndi_flag_wait(&w->event, 0), NDS_EAGAIN);
    ndi_flag_set(&w->event);
    for (int i = 0; i < 3; i++) {
        child_ok(pids[i]);
    }
    ndi_flag_clear(&w->event);
    ck_assert_int_eq(ndi_flag_wait(&w->event, 0), NDS_EAGAIN);
}
END_TEST

#define ROUNDS 20000

static void *
count(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock,
                                          ndi_deadline(NDS_SEC(30))), 0);
        ndi_store_rlx(&w->counter, ndi_load_rlx(&w->counter) + 1);
        ndi_lock_unlock(&party, &w->lock);
    }
    return NULL;
}

START_TEST(nothing_is_counted_twice)
{
    pthread_t threads[2];
    pid_t pid = fork();

    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, count, NULL);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    if (pid == 0) {
        _exit(0);
    }
    child_ok(pid);
    ck_assert_uint_eq(w->counter, 4 * ROUNDS);
}
END_TEST

static _Atomic uint32_t signals;

static void
on_signal(int sig)
{
    (void)sig;
    ndi_add_seq(&signals, 1);
}

static void
hold_everything(void)
{
    if (ndi_lock_acquire(&party, &w->lock, 0) != 0 ||
        ndi_lock_acquire(&party, &w->recursive, 0) != 0 ||
        ndi_rwlock_write(&party, &w->rwlock, 0) != 0 ||
        ndi_seqlock_write_begin(&party, &w->seqlock, 0) != 0 ||
        ndi_sem_take(&w->sem, 0) != 0 || ndi_sem_take(&w->sem, 0) != 0) {
        _exit(1);
    }
    for (int i = 0; i < 3; i++) {
        if (ndi_sem_take_owned(&party, &w->guard, &w->owned, 0) != 0) {
            _exit(1);
        }
    }
}

START_TEST(signals_do_not_end_a_wait)
{
    struct sigaction sa = {.sa_handler = on_signal}; // no SA_RESTART
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    pid_t pid = child_that_stays(hold_everything);
    uint64_t seen;
    int64_t start = ndi_now_ns();

    ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->recursive, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_sem_take(&w->sem, soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_sem_take_owned(&party, &w->guard, &w->owned, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_flag_wait(&w->event, soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_seqlock_write_begin(&party, &w->seqlock, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_seqlock_read_begin(&party, &w->seqlock, &seen,
                                            soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->cond.lock, 0), 0);
    ck_assert_int_eq(ndi_cond_sleep(&party, &w->cond, soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, soon(), NULL),
                     NDS_EBROKEN);
    // Eleven waits of 20 ms each, none of them cut short.
    ck_assert_int_ge(ndi_now_ns() - start, NDS_MSEC(11 * 20));
    ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    ck_assert_uint_gt(ndi_load_seq(&signals), 10);
    kill_child(pid);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, a_lock_is_taken_and_given_back);
    tcase_add_test(tc, another_process_waits_and_times_out);
    tcase_add_test(tc, a_dead_holder_leaves_its_lock_to_the_waiter);
    tcase_add_test(tc, a_forked_child_owns_nothing);
    tcase_add_test(tc, nonsense_in_a_word_is_an_error);
    tcase_add_test(tc, the_table_is_bounded_and_reused);
    tcase_add_test(tc, a_condition_wakes_and_times_out);
    tcase_add_test(tc, a_notification_in_the_last_moment_counts);
    tcase_add_test(tc, permits_are_counted_and_bounded);
    tcase_add_test(tc, an_event_reaches_all);
    tcase_add_test(tc, nothing_is_counted_twice);
    tcase_add_test(tc, signals_do_not_end_a_wait);
}

int
main(void)
{
    return run_tests("sync", add);
}
