/* SPDX-License-Identifier: MIT */
/*
 * test_kill_waits.c - what one waits for, killed at every step
 *
 * Conditions, semaphores, events, barriers, sequence locks. Where somebody
 * else waits, a companion does, and has to come back too.
 */
#include <harness/sync_kill.h>

static pid_t companion;

/* Starts one that runs act; it has got `step` far when this returns. */
static void
accompany(int (*act)(void), const _Atomic uint32_t *sleepers)
{
    uint32_t seen;

    companion = fork();
    ck_assert_int_ge(companion, 0);
    if (companion == 0) {
        alarm(NDS_WALK_SECONDS * 2);
        _exit(act());
    }
    while ((seen = ndi_load_seq(sleepers)) == 0) {
        ndi_futex_wait(sleepers, seen, 1000000);
    }
}

/* ---- condition ---------------------------------------------------------- */

static int
wait_for_the_counter(void)
{
    int rc = ndi_lock_acquire(&party, &w->cond.lock, later());

    while ((rc == 0 || rc == NDS_EOWNERDEAD) &&
           ndi_load_seq(&w->counter) == 0) {
        rc = ndi_cond_sleep(&party, &w->cond, later());
    }
    return (rc != 0 && rc != NDS_EOWNERDEAD) ||
           ndi_lock_unlock(&party, &w->cond.lock) != 0;
}

static void
with_a_sleeper(void)
{
    accompany(wait_for_the_counter, &w->cond.sleepers);
}

static int
notify(void *ctx)
{
    int rc = ndi_lock_acquire(&party, &w->cond.lock, later());

    (void)ctx;
    if (rc != 0 && rc != NDS_EOWNERDEAD) {
        return 1;
    }
    ndi_store_seq(&w->counter, 1);
    return ndi_cond_wake(&w->cond, 1) != 0 ||
           ndi_lock_unlock(&party, &w->cond.lock) != 0;
}

static void
look_notified(const char *point)
{
    ck_assert_msg(notify(NULL) == 0, "at '%s'", point);
    child_ok(companion);
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->cond.lock, later()), 0);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->cond.lock), 0);
}

START_TEST(notifying)
{
    walk_op((struct kill_op){with_a_sleeper, notify, look_notified}, 8);
}
END_TEST

static int
wait_in_vain(void *ctx)
{
    (void)ctx;
    return ndi_lock_acquire(&party, &w->cond.lock, later()) != 0 ||
           ndi_cond_sleep(&party, &w->cond, soon()) != NDS_ETIMEDOUT ||
           ndi_lock_unlock(&party, &w->cond.lock) != 0;
}

static void
look_waited(const char *point)
{
    lock_by_word(&w->cond.lock, point);
    ck_assert_int_eq(wait_in_vain(NULL), 0);
}

START_TEST(waiting_on_a_condition)
{
    walk_op((struct kill_op){NULL, wait_in_vain, look_waited}, 12);
}
END_TEST

/* ---- semaphores --------------------------------------------------------- */

static int
take_and_give(void *ctx)
{
    (void)ctx;
    return ndi_sem_take(&w->sem, later()) != 0 || ndi_sem_give(&w->sem, 1) != 0;
}

static void
look_ownerless(const char *point)
{
    uint32_t count = ndi_load_seq(&w->sem.count);
    bool held = strcmp(point, "sem.taken") == 0 ||
                strcmp(point, "sem.will_give") == 0;

    // Nobody owns the permit that a dead one took: as documented, it is gone.
    ck_assert_msg(count == (held ? 1U : 2U), "%u permits at '%s'", count,
                  point);
    ck_assert_int_eq(take_and_give(NULL), 0);
    ck_assert_uint_eq(ndi_load_seq(&w->sem.count), count);
}

START_TEST(ownerless_semaphore)
{
    walk_op((struct kill_op){NULL, take_and_give, look_ownerless}, 3);
}
END_TEST

static int
take_one(void)
{
    return ndi_sem_take(&w->sem, later());
}

static void
with_one_in_line(void)
{
    ck_assert_int_eq(take_one(), 0);
    ck_assert_int_eq(take_one(), 0);
    accompany(take_one, &w->sem.sleepers);
}

static int
give_one(void *ctx)
{
    (void)ctx;
    return ndi_sem_give(&w->sem, 1);
}

static void
look_given(const char *point)
{
    // Killed between the store and the wake-up, a slice is the price.
    if (strcmp(point, "end") != 0 && strcmp(point, "sem.given") != 0) {
        ck_assert_int_eq(give_one(NULL), 0);
    }
    child_ok(companion);
    ck_assert_uint_eq(ndi_load_seq(&w->sem.count), 0);
}

START_TEST(giving_to_a_waiter)
{
    walk_op((struct kill_op){with_one_in_line, give_one, look_given}, 1);
}
END_TEST

static int
take_owned(int64_t deadline)
{
    return ndi_sem_take_owned(&party, &w->guard, &w->owned, deadline);
}

static int
take_two_give_two(void *ctx)
{
    (void)ctx;
    return take_owned(later()) != 0 || take_owned(later()) != 0 ||
           ndi_sem_give_owned(&party, &w->owned, 1) != 0 ||
           ndi_sem_give_owned(&party, &w->owned, 1) != 0;
}

/* All three are to be had, and not one more, before and after burial. */
static void
look_owned(const char *point)
{
    for (int pass = 0; pass < 2; pass++) {
        ck_assert_msg(ndi_sem_free(&party, &w->owned) == 3, "%u at '%s'",
                      ndi_sem_free(&party, &w->owned), point);
        for (int i = 0; i < 3; i++) {
            ck_assert_msg(take_owned(later()) == 0, "permit %d at '%s'", i,
                          point);
        }
        ck_assert_msg(take_owned(0) == NDS_EAGAIN, "at '%s'", point);
        ck_assert_int_ge(ndi_party_sweep(&party), 0);
        ck_assert_msg(take_owned(0) == NDS_EAGAIN, "buried, at '%s'", point);
        ck_assert_int_eq(ndi_sem_give_owned(&party, &w->owned, 3), 0);
    }
}

START_TEST(owned_semaphore)
{
    walk_op((struct kill_op){NULL, take_two_give_two, look_owned}, 16);
}
END_TEST

static void
take_two(void)
{
    if (take_owned(0) != 0 || take_owned(0) != 0) {
        _exit(1);
    }
}

static void
with_a_dead_holder(void)
{
    kill_child(child_that_stays(take_two));
}

static int
take_all(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 3; i++) {
        if (take_owned(later()) != 0) {
            return 1;
        }
    }
    return 0;
}

START_TEST(taking_what_the_dead_held)
{
    walk_op((struct kill_op){with_a_dead_holder, take_all, look_owned}, 16);
}
END_TEST

static int
bury_them(void *ctx)
{
    (void)ctx;
    return ndi_party_sweep(&party) != 1;
}

START_TEST(burying_a_holder_of_permits)
{
    walk_op((struct kill_op){with_a_dead_holder, bury_them, look_owned}, 4);
}
END_TEST

/* ---- event -------------------------------------------------------------- */

static int
wait_for_the_event(void)
{
    return ndi_flag_wait(&w->event, later());
}

static void
with_one_who_waits(void)
{
    accompany(wait_for_the_event, &w->event.sleepers);
}

static int
set_it(void *ctx)
{
    (void)ctx;
    ndi_flag_set(&w->event);
    return 0;
}

static void
look_set(const char *point)
{
    // Every kill point lies behind the store: it is set, and the waiter sees.
    ck_assert_msg(ndi_flag_wait(&w->event, 0) == 0, "at '%s'", point);
    child_ok(companion);
    ndi_flag_clear(&w->event);
    ck_assert_int_eq(ndi_flag_wait(&w->event, 0), NDS_EAGAIN);
}

START_TEST(setting_an_event)
{
    walk_op((struct kill_op){with_one_who_waits, set_it, look_set}, 2);
}
END_TEST

static int
wait_set_clear(void *ctx)
{
    (void)ctx;
    if (ndi_flag_wait(&w->event, soon()) != NDS_ETIMEDOUT) {
        return 1;
    }
    ndi_flag_set(&w->event);
    if (ndi_flag_wait(&w->event, 0) != 0) {
        return 1;
    }
    ndi_flag_clear(&w->event);
    return 0;
}

static void
look_event(const char *point)
{
    ndi_flag_clear(&w->event);
    ck_assert_msg(wait_set_clear(NULL) == 0, "at '%s'", point);
}

START_TEST(waiting_for_an_event)
{
    walk_op((struct kill_op){NULL, wait_set_clear, look_event}, 4);
}
END_TEST

/* ---- barrier ------------------------------------------------------------ */

static int
pass(void)
{
    return ndi_gate_wait(&party, &w->gate, later(), NULL);
}

/* 0: it opened for us; 2: it broke; 1: anything else. */
static int
pass_or_break(void)
{
    int rc = pass();

    return rc == 0 ? 0 : rc == NDS_EBROKEN ? 2 : 1;
}

static void
with_a_member(void)
{
    accompany(pass_or_break, &w->gate.sleepers);
}

static int
pass_it(void *ctx)
{
    (void)ctx;
    return pass();
}

static int
exit_code(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A reset makes it whole for two who live. */
static void
whole_again(void)
{
    ndi_gate_reset(&w->gate);
    accompany(pass_or_break, &w->gate.sleepers);
    ck_assert_int_eq(pass(), 0);
    ck_assert_int_eq(exit_code(companion), 0);
}

static uint32_t
has_arrived(void)
{
    uint32_t total = 0;

    for (int i = 0; i < PARTIES; i++) {
        total += ndi_load_seq(&w->slots[i].arrivals);
    }
    return total;
}

static void
look_passed(const char *point)
{
    bool opened = (ndi_load_seq(&w->gate.verdict) & 1) == 0 &&
                  ndi_load_seq(&w->gate.verdict) != 0;
    int code;

    // A member that died before it arrived is missed by nobody: it is we who
    // say so. One that died waiting is noticed by those who wait.
    if (!opened && has_arrived() < 2) {
        ndi_gate_abort(&w->gate);
    }
    code = exit_code(companion);
    ck_assert_msg(code == (opened ? 0 : 2), "%d at '%s'", code, point);
    whole_again();
}

START_TEST(last_at_a_barrier)
{
    walk_op((struct kill_op){with_a_member, pass_it, look_passed}, 10);
}
END_TEST

static int
give_up(void *ctx)
{
    (void)ctx;
    return ndi_gate_wait(&party, &w->gate, soon(), NULL) != NDS_EBROKEN;
}

static void
look_given_up(const char *point)
{
    int rc = ndi_gate_wait(&party, &w->gate, soon(), NULL);

    ck_assert_msg(rc == NDS_EBROKEN, "%d at '%s'", rc, point);
    whole_again();
}

START_TEST(giving_up_at_a_barrier)
{
    walk_op((struct kill_op){NULL, give_up, look_given_up}, 9);
}
END_TEST

static int
abort_it(void *ctx)
{
    (void)ctx;
    ndi_gate_abort(&w->gate);
    return 0;
}

static int
reset_it(void *ctx)
{
    (void)ctx;
    ndi_gate_reset(&w->gate);
    return 0;
}

static void
look_broken(const char *point)
{
    if (strcmp(point, "barrier.will_decide") == 0) { // it has done nothing
        ck_assert_int_eq(ndi_gate_abort(&w->gate), 0);
    }
    ck_assert_msg(exit_code(companion) == 2, "at '%s'", point);
    whole_again();
}

START_TEST(aborting_a_barrier)
{
    walk_op((struct kill_op){with_a_member, abort_it, look_broken}, 1);
}
END_TEST

START_TEST(resetting_a_barrier)
{
    walk_op((struct kill_op){with_a_member, reset_it, look_broken}, 3);
}
END_TEST

/* ---- sequence lock ------------------------------------------------------ */

static void
write_pair(uint64_t value)
{
    ndi_store_rlx(&w->pair[0], value);
    NDI_KILL_POINT("test.half_written");
    ndi_store_rlx(&w->pair[1], value);
}

static int
write_thrice(void *ctx)
{
    int expected = ctx == NULL ? 0 : *(int *)ctx;

    for (uint64_t i = 1; i <= 3; i++) {
        int rc = ndi_seqlock_write_begin(&party, &w->seqlock, later());

        if (rc != 0 && rc != expected) {
            return 1;
        }
        write_pair(i);
        if (ndi_seqlock_write_end(&party, &w->seqlock) != 0) {
            return 1;
        }
    }
    return 0;
}

static int
act_write(void *ctx)
{
    (void)ctx;
    return write_thrice(NULL);
}

static int
act_take_over(void *ctx)
{
    int dead = NDS_EOWNERDEAD;

    (void)ctx;
    return write_thrice(&dead);
}

static void
look_pair(const char *point)
{
    uint64_t seen = 0;
    int rc = ndi_seqlock_read_begin(&party, &w->seqlock, &seen, later());
    int dead = NDS_EOWNERDEAD;

    ck_assert_msg(rc == 0 || rc == NDS_EOWNERDEAD, "%d at '%s'", rc, point);
    if (rc == 0) {
        ck_assert_msg(w->pair[0] == w->pair[1], "torn at '%s'", point);
        ck_assert(!ndi_seqlock_read_retry(&w->seqlock, seen));
    }
    // The next writer hears exactly what readers hear.
    ck_assert_int_eq(ndi_seqlock_write_begin(&party, &w->seqlock, later()),
                     rc);
    write_pair(9);
    ck_assert_int_eq(ndi_seqlock_write_end(&party, &w->seqlock), 0);
    ck_assert_int_eq(write_thrice(&dead), 0);
    ck_assert_int_eq(ndi_seqlock_read_begin(&party, &w->seqlock, &seen, 0),
                     0);
    ck_assert_uint_eq(w->seqlock.owner, 0);
}

START_TEST(writing_a_sequence)
{
    walk_op((struct kill_op){NULL, act_write, look_pair}, 15);
}
END_TEST

static void
die_half_way(void)
{
    if (ndi_seqlock_write_begin(&party, &w->seqlock, 0) != 0) {
        _exit(1);
    }
    ndi_store_rlx(&w->pair[0], 77);
}

static void
with_a_dead_writer(void)
{
    kill_child(child_that_stays(die_half_way));
}

START_TEST(taking_a_sequence_over)
{
    walk_op((struct kill_op){with_a_dead_writer, act_take_over, look_pair},
            15);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, notifying);
    tcase_add_test(tc, waiting_on_a_condition);
    tcase_add_test(tc, ownerless_semaphore);
    tcase_add_test(tc, giving_to_a_waiter);
    tcase_add_test(tc, owned_semaphore);
    tcase_add_test(tc, taking_what_the_dead_held);
    tcase_add_test(tc, burying_a_holder_of_permits);
    tcase_add_test(tc, setting_an_event);
    tcase_add_test(tc, waiting_for_an_event);
    tcase_add_test(tc, last_at_a_barrier);
    tcase_add_test(tc, giving_up_at_a_barrier);
    tcase_add_test(tc, aborting_a_barrier);
    tcase_add_test(tc, resetting_a_barrier);
    tcase_add_test(tc, writing_a_sequence);
    tcase_add_test(tc, taking_a_sequence_over);
}

int
main(void)
{
    return run_tests("kill waits", add);
}
