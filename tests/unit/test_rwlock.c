/* SPDX-License-Identifier: MIT */
/*
 * test_rwlock.c - readers, writers, and the verdict on a dead writer
 */
#include <harness/sync_world.h>

static void
read_it(void)
{
    int rc = ndi_rwlock_read(&party, &w->rwlock, later());

    if (rc != 0 && rc != NDS_EOWNERDEAD) {
        _exit(1);
    }
    ndi_store_seq(&w->counter, rc == NDS_EOWNERDEAD);
}

static void
write_it(void)
{
    if (ndi_rwlock_write(&party, &w->rwlock, 0) != 0) {
        _exit(1);
    }
}

/* A writer died at work; nobody has noticed yet. */
static void
let_a_writer_die(void)
{
    kill_child(child_that_stays(write_it));
}

START_TEST(readers_share_and_a_dead_one_counts_as_gone)
{
    pid_t pid = child_that_stays(read_it);

    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, 0), NDS_EAGAIN);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, soon()),
                     NDS_ETIMEDOUT);
    kill_child(pid);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()), 0);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), NDS_ENOTOWNER);
}
END_TEST

START_TEST(a_writer_that_gives_up_passes_the_verdict_on)
{
    pid_t reader;

    let_a_writer_die();
    // It reads under the verdict and stays, so that the heir has to give up.
    reader = child_that_stays(read_it);
    ck_assert_uint_eq(ndi_load_seq(&w->counter), 1);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, soon()),
                     NDS_ETIMEDOUT);
    ck_assert(!ndi_lock_is_mine(&party, &w->rwlock.writer));
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, soon()),
                     NDS_ETIMEDOUT);
    kill_child(reader);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
    ck_assert_uint_eq(w->rwlock.writer.deaths, 1);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    // Repaired: nobody is told any more.
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, 0), 0);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
}
END_TEST

START_TEST(readers_hear_it_and_leave_it_for_the_writer)
{
    let_a_writer_die();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0),
                         NDS_EOWNERDEAD);
        ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    }
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
}
END_TEST

START_TEST(the_verdict_outlives_burial_and_reuse_of_the_entry)
{
    struct ndi_party other = {0};
    uint64_t self, anew;

    let_a_writer_die();
    ck_assert_int_eq(ndi_party_join(&party, &self), 0);
    ck_assert_int_eq(ndi_party_sweep(&party), 1);
    // Somebody lives now where the dead one was.
    ck_assert_int_eq(ndi_party_init(&other, fd, w->slots, PARTIES, false), 0);
    ck_assert_int_eq(ndi_party_join(&other, &anew), 0);
    ck_assert_uint_eq(ndi_owner_index(anew),
                      ndi_owner_index(w->rwlock.writer.word));
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
    ck_assert_int_eq(ndi_lock_give_back(&party, &w->rwlock.writer), 0);
    ck_assert_int_eq(ndi_rwlock_read(&other, &w->rwlock, 0), NDS_EOWNERDEAD);
    ck_assert_int_eq(ndi_rwlock_release(&other, &w->rwlock), 0);
    ck_assert_int_eq(ndi_rwlock_write(&other, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
    ck_assert_int_eq(ndi_rwlock_release(&other, &w->rwlock), 0);
    ndi_party_fini(&other);
}
END_TEST

START_TEST(a_spoiled_record_still_gives_the_verdict_back)
{
    uint64_t self;

    let_a_writer_die();
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
    ck_assert_int_eq(ndi_party_join(&party, &self), 0);
    ndi_store_seq(&w->rwlock.writer.dead, self); // a name that lives
    ck_assert_int_eq(ndi_lock_give_back(&party, &w->rwlock.writer), 0);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
    ndi_store_seq(&w->rwlock.writer.dead, UINT64_MAX);
    ck_assert_int_eq(ndi_lock_give_back(&party, &w->rwlock.writer), 0);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->rwlock.writer), 0);
    ck_assert_int_eq(ndi_lock_give_back(&party, &w->rwlock.writer),
                     NDS_ENOTOWNER);
}
END_TEST

START_TEST(new_readers_queue_behind_a_waiting_writer)
{
    pid_t pid;

    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
    pid = fork();
    if (pid == 0) {
        _exit(ndi_rwlock_write(&party, &w->rwlock, later()) != 0 ||
              ndi_rwlock_release(&party, &w->rwlock) != 0);
    }
    while (ndi_load_seq(&w->rwlock.sleepers) == 0) {
        ndi_futex_wait(&w->rwlock.sleepers, 0, 1000000);
    }
    // Recursive, while a writer waits for us: ends at its deadline, and takes
    // nothing that the writer would wait for.
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), NDS_EAGAIN);
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, soon()),
                     NDS_ETIMEDOUT);
    ck_assert_uint_eq(w->slots[0].readers + w->slots[1].readers, 1);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    child_ok(pid);
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), 0);
}
END_TEST

START_TEST(readers_wake_when_the_writer_goes)
{
    pid_t pids[3];

    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, 0), 0);
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, 0), NDS_EDEADLK);
    ck_assert_int_eq(ndi_rwlock_write(&party, &w->rwlock, 0), NDS_EDEADLK);
    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            ndi_add_seq(&w->step, 1);
            ndi_futex_wake(&w->step, INT32_MAX);
            _exit(ndi_rwlock_read(&party, &w->rwlock, later()) != 0 ||
                  ndi_rwlock_release(&party, &w->rwlock) != 0);
        }
    }
    await(3);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    for (int i = 0; i < 3; i++) {
        child_ok(pids[i]);
    }
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, readers_share_and_a_dead_one_counts_as_gone);
    tcase_add_test(tc, a_writer_that_gives_up_passes_the_verdict_on);
    tcase_add_test(tc, readers_hear_it_and_leave_it_for_the_writer);
    tcase_add_test(tc, the_verdict_outlives_burial_and_reuse_of_the_entry);
    tcase_add_test(tc, a_spoiled_record_still_gives_the_verdict_back);
    tcase_add_test(tc, new_readers_queue_behind_a_waiting_writer);
    tcase_add_test(tc, readers_wake_when_the_writer_goes);
}

int
main(void)
{
    return run_tests("rwlock", add);
}
