/* SPDX-License-Identifier: MIT */
/*
 * test_barrier.c - rounds open or break, and nobody waits past a deadline
 */
#include <harness/sync_world.h>
#include <ndshare/sync.h>

static void
await_sleepers(uint32_t count)
{
    uint32_t seen;

    while ((seen = ndi_load_seq(&w->gate.sleepers)) < count) {
        ndi_futex_wait(&w->gate.sleepers, seen, 1000000);
    }
}

static pid_t
child_that_waits(int64_t deadline, int expected)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(ndi_gate_wait(&party, &w->gate, deadline, NULL) != expected);
    }
    return pid;
}

START_TEST(it_opens_breaks_and_resets)
{
    uint32_t index = 9;
    pid_t pid = fork();

    if (pid == 0) {
        uint32_t mine;
        int bad = ndi_gate_wait(&party, &w->gate, later(), &mine);

        reach(1);
        // Second round: waits, and is killed in it.
        ndi_gate_wait(&party, &w->gate, later(), &mine);
        _exit(bad != 0);
    }
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, later(), &index), 0);
    ck_assert_uint_le(index, 1);
    await(1);
    await_sleepers(1);
    kill_child(pid);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, later(), &index),
                     NDS_EBROKEN);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, 0, NULL), NDS_EBROKEN);
    ndi_gate_reset(&w->gate);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, soon(), NULL),
                     NDS_EBROKEN);
}
END_TEST

static bool
after_three(void *ctx)
{
    int *asked = ctx;

    return ++*asked == 3;
}

/* Who is called away breaks the round; until then it counts. */
START_TEST(who_leaves_breaks_it)
{
    nds_barrier *b = NULL;
    unsigned index = 9;
    int asked = 0;

    ck_assert_int_eq(nds_barrier_new(&b, 2), 0);
    ck_assert_uint_eq(nds_barrier_parties(b), 2);
    ck_assert(!nds_barrier_is_broken(b));
    ck_assert_int_eq(nds_barrier_wait_unless(b, NDS_FOREVER, &index,
                                             after_three, &asked),
                     NDS_EBROKEN);
    ck_assert_int_eq(asked, 3);
    ck_assert(nds_barrier_is_broken(b));
    ck_assert_uint_eq(nds_barrier_waiting(b), 0);
    ck_assert_int_eq(nds_barrier_reset(b), 0);
    ck_assert(!nds_barrier_is_broken(b));
    nds_barrier_close(b);
}
END_TEST

START_TEST(it_tells_who_waits)
{
    nds_barrier *b = NULL;
    int status = -1;
    pid_t pid;

    ck_assert_int_eq(nds_barrier_new(&b, 2), 0);
    pid = fork();
    if (pid == 0) {
        _exit(nds_barrier_wait(b, NDS_SEC(10), NULL) != 0);
    }
    while (nds_barrier_waiting(b) == 0) {
        usleep(1000);
    }
    ck_assert_uint_eq(nds_barrier_waiting(b), 1);
    ck_assert_int_eq(nds_barrier_wait(b, NDS_SEC(10), NULL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(nds_barrier_waiting(b), 0);
    ck_assert(!nds_barrier_is_broken(b));
    pid = fork();
    if (pid == 0) {
        nds_barrier_wait(b, NDS_SEC(10), NULL);
        _exit(1);
    }
    while (nds_barrier_waiting(b) == 0) {
        usleep(1000);
    }
    kill_child(pid);
    ck_assert(nds_barrier_is_broken(b)); // and nobody was there to see it
    nds_barrier_close(b);
}
END_TEST

START_TEST(abort_breaks_until_a_reset)
{
    pid_t pid = child_that_waits(later(), NDS_EBROKEN);

    await_sleepers(1);
    ndi_gate_abort(&w->gate);
    child_ok(pid);
    ndi_gate_abort(&w->gate);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, later(), NULL),
                     NDS_EBROKEN);
    ndi_gate_reset(&w->gate);
    ndi_gate_reset(&w->gate); // breaks nobody
    pid = child_that_waits(later(), 0);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, later(), NULL), 0);
    child_ok(pid);
}
END_TEST

START_TEST(reset_tells_who_waits)
{
    pid_t pid = child_that_waits(later(), NDS_EBROKEN);

    await_sleepers(1);
    ndi_gate_reset(&w->gate);
    child_ok(pid);
    pid = child_that_waits(later(), 0);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, later(), NULL), 0);
    child_ok(pid);
}
END_TEST

static void
hold_the_gate(void)
{
    if (ndi_lock_acquire(&party, &w->gate.lock, 0) != 0) {
        _exit(1);
    }
}

START_TEST(a_member_stopped_in_the_lock_keeps_nobody)
{
    pid_t waits = child_that_waits(later(), NDS_EBROKEN);
    pid_t stopped;
    int64_t start;

    await_sleepers(1);
    stopped = child_that_stays(hold_the_gate);
    stop_child(stopped);
    start = ndi_now_ns();
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, soon(), NULL),
                     NDS_EBROKEN);
    child_ok(waits); // hears it without the lock
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, 0, NULL), NDS_EBROKEN);
    ndi_gate_abort(&w->gate);
    ndi_gate_reset(&w->gate);
    ck_assert(ndi_now_ns() - start < NDS_SEC(5));
    kill_child(stopped);
    waits = child_that_waits(later(), 0);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, later(), NULL), 0);
    child_ok(waits);
}
END_TEST

START_TEST(a_waiter_gives_up_while_the_lock_is_stopped)
{
    pid_t stopped, waits;

    // Arrives first, then the lock is held by one that is stopped.
    waits = child_that_waits(ndi_deadline(NDS_MSEC(500)), NDS_EBROKEN);
    await_sleepers(1);
    stopped = child_that_stays(hold_the_gate);
    stop_child(stopped);
    child_ok(waits);
    kill_child(stopped);
}
END_TEST

/* As left by a member killed between deciding a round and moving it. */
START_TEST(a_round_that_was_decided_but_not_moved_is_moved)
{
    pid_t pid;

    ndi_store_seq(&w->gate.verdict, (uint64_t)1 << 1);
    pid = child_that_waits(later(), 0);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, later(), NULL), 0);
    child_ok(pid);
    ck_assert_uint_eq(w->gate.round, 2);
    ndi_store_seq(&w->gate.verdict, (uint64_t)3 << 1);
    ndi_gate_abort(&w->gate); // of the round that follows
    ck_assert_uint_eq(w->gate.round, 3);
    ck_assert_int_eq(ndi_gate_wait(&party, &w->gate, 0, NULL), NDS_EBROKEN);
}
END_TEST

static void
arrive_alone(void)
{
    // Its wait is over with the deadline; the entry says it came.
    if (ndi_gate_wait(&party, &w->gate, soon(), NULL) != NDS_EBROKEN) {
        _exit(1);
    }
}

/* The table is full, and a dead member's entry goes to the next one who joins
 * (or is buried) before those who wait have looked. */
START_TEST(a_dead_member_s_entry_is_not_taken_in_silence)
{
    struct ndi_party others[PARTIES];
    pid_t dies, waits;
    uint64_t owner;

    w->gate.parties = 3;
    dies = child_that_waits(later(), NDS_EBROKEN);
    await_sleepers(1);
    waits = child_that_waits(later(), NDS_EBROKEN);
    await_sleepers(2);
    for (int i = 2; i < PARTIES; i++) {
        ck_assert_int_eq(ndi_party_init(&others[i], fd, w->slots, PARTIES,
                                        false), 0);
        ck_assert_int_eq(ndi_party_join(&others[i], &owner), 0);
    }
    stop_child(waits);
    kill_child(dies);
    if (_i == 0) {
        ck_assert_int_eq(ndi_party_join(&party, &owner), 0);
        ck_assert_uint_eq(ndi_owner_index(owner), 0);
    } else {
        ck_assert_int_eq(ndi_party_sweep(&party), 1);
    }
    ck_assert_uint_eq(w->slots[0].arrivals, 0);
    ck_assert_uint_eq(w->gate.verdict, 3); // the first round, broken
    ck_assert_int_eq(kill(waits, SIGCONT), 0);
    child_ok(waits);
    for (int i = 2; i < PARTIES; i++) {
        ndi_party_fini(&others[i]);
    }
    // Of a round that is over, the dead say nothing.
    ndi_gate_reset(&w->gate);
    waits = child_that_stays(arrive_alone);
    ndi_gate_reset(&w->gate);
    kill_child(waits);
    ck_assert_int_ge(ndi_party_sweep(&party), 1);
    ck_assert_uint_eq(w->gate.verdict >> 1, w->gate.round);
}
END_TEST

START_TEST(many_rounds_each_index_once)
{
    pid_t pids[3];

    w->gate.parties = 4;
    for (int i = 0; i < 4; i++) {
        int bad = 0;

        if (i < 3 && (pids[i] = fork()) != 0) {
            continue;
        }
        for (uint32_t round = 0; round < 300 && bad == 0; round++) {
            uint32_t index = 99;

            bad = ndi_gate_wait(&party, &w->gate, later(), &index) != 0 ||
                  index > 3;
            // Each round adds 1 << 16 * index of every member.
            ndi_add_seq(&w->counter, (uint64_t)1 << (16 * (index & 3)));
        }
        if (i < 3) {
            _exit(bad);
        }
        ck_assert_int_eq(bad, 0);
    }
    for (int i = 0; i < 3; i++) {
        child_ok(pids[i]);
    }
    ck_assert_uint_eq(w->counter, UINT64_C(300) * UINT64_C(0x0001000100010001));
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, it_opens_breaks_and_resets);
    tcase_add_test(tc, who_leaves_breaks_it);
    tcase_add_test(tc, it_tells_who_waits);
    tcase_add_test(tc, abort_breaks_until_a_reset);
    tcase_add_test(tc, reset_tells_who_waits);
    tcase_add_test(tc, a_member_stopped_in_the_lock_keeps_nobody);
    tcase_add_test(tc, a_waiter_gives_up_while_the_lock_is_stopped);
    tcase_add_test(tc, a_round_that_was_decided_but_not_moved_is_moved);
    tcase_add_loop_test(tc, a_dead_member_s_entry_is_not_taken_in_silence, 0,
                        2);
    tcase_add_test(tc, many_rounds_each_index_once);
}

int
main(void)
{
    return run_tests("barrier", add);
}
