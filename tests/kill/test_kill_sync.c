/* SPDX-License-Identifier: MIT */
/*
 * test_kill_sync.c - participants, mutex and rwlock, killed at every step
 *
 * After a kill the lock can be had at once. The verdict comes exactly if the
 * dead one held it, and never gets lost where nobody alive has heard it.
 */
#include <harness/sync_kill.h>

/* ---- mutex --------------------------------------------------------------- */

static int
lock_and_unlock(void *ctx)
{
    (void)ctx;
    return ndi_lock_acquire(&party, &w->lock, later()) != 0 ||
           ndi_lock_unlock(&party, &w->lock) != 0;
}

static void
look_lock(const char *point)
{
    lock_by_word(&w->lock, point);
}

START_TEST(plain_mutex)
{
    walk_op((struct kill_op){NULL, lock_and_unlock, look_lock}, 8);
}
END_TEST

static int
lock_twice(void *ctx)
{
    (void)ctx;
    return ndi_lock_acquire(&party, &w->recursive, later()) != 0 ||
           ndi_lock_acquire(&party, &w->recursive, later()) != 0 ||
           ndi_lock_unlock(&party, &w->recursive) != 0 ||
           ndi_lock_unlock(&party, &w->recursive) != 0;
}

static void
look_recursive(const char *point)
{
    lock_by_word(&w->recursive, point);
}

START_TEST(recursive_mutex)
{
    walk_op((struct kill_op){NULL, lock_twice, look_recursive}, 9);
}
END_TEST

static void
hold(void)
{
    if (ndi_lock_acquire(&party, &w->lock, 0) != 0) {
        _exit(1);
    }
}

static void
a_dead_holder(void)
{
    kill_child(child_that_stays(hold));
}

static int
inherit_and_unlock(void *ctx)
{
    (void)ctx;
    return ndi_lock_acquire(&party, &w->lock, later()) != NDS_EOWNERDEAD ||
           ndi_lock_unlock(&party, &w->lock) != 0;
}

START_TEST(heir_of_a_mutex)
{
    walk_op((struct kill_op){a_dead_holder, inherit_and_unlock, look_lock},
            8);
}
END_TEST

static int
inherit_and_give_back(void *ctx)
{
    (void)ctx;
    return ndi_lock_acquire(&party, &w->lock, later()) != NDS_EOWNERDEAD ||
           ndi_lock_give_back(&party, &w->lock) != 0;
}

static void
look_verdict(const char *point)
{
    ck_assert_msg((ndi_load_seq(&w->lock.word) & NDI_OWNER_MASK) != 0,
                  "the verdict is lost at '%s'", point);
    lock_by_word(&w->lock, point);
}

START_TEST(heir_that_gives_back)
{
    walk_op((struct kill_op){a_dead_holder, inherit_and_give_back,
                             look_verdict}, 8);
}
END_TEST

static void
hold_ourselves(void)
{
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, 0), 0);
}

static int
wait_in_vain(void *ctx)
{
    (void)ctx;
    return ndi_lock_acquire(&party, &w->lock, soon()) != NDS_ETIMEDOUT;
}

static void
look_ours(const char *point)
{
    ck_assert_msg(ndi_lock_is_mine(&party, &w->lock), "at '%s'", point);
    ck_assert_int_eq(ndi_lock_unlock(&party, &w->lock), 0);
    lock_by_word(&w->lock, point);
}

START_TEST(waiter_for_a_mutex)
{
    walk_op((struct kill_op){hold_ourselves, wait_in_vain, look_ours}, 6);
}
END_TEST

static int
poison(void *ctx)
{
    (void)ctx;
    return ndi_lock_acquire(&party, &w->lock, later()) != 0 ||
           ndi_lock_poison(&party, &w->lock) != 0;
}

static void
look_poison(const char *point)
{
    if ((ndi_load_seq(&w->lock.word) & NDI_LOCK_POISONED) == 0) {
        lock_by_word(&w->lock, point);
        ck_assert_int_eq(poison(NULL), 0);
    }
    ck_assert_int_eq(ndi_lock_acquire(&party, &w->lock, later()),
                     NDS_EPOISONED);
}

START_TEST(poisoning)
{
    walk_op((struct kill_op){NULL, poison, look_poison}, 8);
}
END_TEST

/* ---- rwlock -------------------------------------------------------------- */

static int
read_and_release(void *ctx)
{
    (void)ctx;
    return ndi_rwlock_read(&party, &w->rwlock, later()) != 0 ||
           ndi_rwlock_release(&party, &w->rwlock) != 0;
}

static int
write_and_release(void *ctx)
{
    (void)ctx;
    return ndi_rwlock_write(&party, &w->rwlock, later()) != 0 ||
           ndi_rwlock_release(&party, &w->rwlock) != 0;
}

static void
look_rwlock(const char *point)
{
    bool named = (ndi_load_seq(&w->rwlock.writer.word) & NDI_OWNER_MASK) != 0;
    int expected = named ? NDS_EOWNERDEAD : 0;
    int rc = ndi_rwlock_read(&party, &w->rwlock, later());

    ck_assert_msg(rc == expected, "reading at '%s': %d", point, rc);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    rc = ndi_rwlock_write(&party, &w->rwlock, later());
    ck_assert_msg(rc == expected, "writing at '%s': %d", point, rc);
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    ck_assert_int_eq(read_and_release(NULL), 0);
    ck_assert_int_eq(write_and_release(NULL), 0);
}

START_TEST(reader)
{
    walk_op((struct kill_op){NULL, read_and_release, look_rwlock}, 6);
}
END_TEST

START_TEST(writer)
{
    walk_op((struct kill_op){NULL, write_and_release, look_rwlock}, 9);
}
END_TEST

static void
write_it(void)
{
    if (ndi_rwlock_write(&party, &w->rwlock, 0) != 0) {
        _exit(1);
    }
}

static void
a_dead_writer(void)
{
    kill_child(child_that_stays(write_it));
}

static void
look_writers_verdict(const char *point)
{
    ck_assert_msg((ndi_load_seq(&w->rwlock.writer.word) & NDI_OWNER_MASK) !=
                      0, "the verdict is lost at '%s'", point);
    look_rwlock(point);
}

static int
read_under_the_verdict(void *ctx)
{
    (void)ctx;
    return ndi_rwlock_read(&party, &w->rwlock, later()) != NDS_EOWNERDEAD ||
           ndi_rwlock_release(&party, &w->rwlock) != 0;
}

START_TEST(reader_after_a_dead_writer)
{
    walk_op((struct kill_op){a_dead_writer, read_under_the_verdict,
                             look_writers_verdict}, 7);
}
END_TEST

static void
a_dead_writer_while_we_read(void)
{
    a_dead_writer();
    ck_assert_int_eq(ndi_rwlock_read(&party, &w->rwlock, later()),
                     NDS_EOWNERDEAD);
}

static int
inherit_and_give_up(void *ctx)
{
    (void)ctx;
    return ndi_rwlock_write(&party, &w->rwlock, soon()) != NDS_ETIMEDOUT;
}

static void
look_after_reading(const char *point)
{
    ck_assert_int_eq(ndi_rwlock_release(&party, &w->rwlock), 0);
    look_writers_verdict(point);
}

START_TEST(writer_that_inherits_and_gives_up)
{
    walk_op((struct kill_op){a_dead_writer_while_we_read, inherit_and_give_up,
                             look_after_reading}, 9);
}
END_TEST

/* ---- participants ------------------------------------------------------- */

static int
join_and_leave(void *ctx)
{
    uint64_t self;

    (void)ctx;
    if (ndi_party_join(&party, &self) != 0) {
        return 1;
    }
    ndi_party_fini(&party);
    return 0;
}

static void
look_party(const char *point)
{
    uint64_t self;

    ck_assert_msg(ndi_party_join(&party, &self) == 0, "at '%s'", point);
}

START_TEST(joining_and_leaving)
{
    walk_op((struct kill_op){NULL, join_and_leave, look_party}, 5);
}
END_TEST

/* Every entry is a dead one's, and says that it reads. */
static void
a_dead_table(void)
{
    pid_t pids[PARTIES];

    for (uint32_t i = 0; i < PARTIES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            int rc = ndi_rwlock_read(&party, &w->rwlock, later());

            reach(i + 1);
            while (rc == 0) {
                pause();
            }
            _exit(1);
        }
        await(i + 1);
    }
    for (int i = 0; i < PARTIES; i++) {
        kill_child(pids[i]);
    }
}

static int
join_the_dead(void *ctx)
{
    uint64_t self;

    (void)ctx;
    return ndi_party_join(&party, &self) != 0 ||
           ndi_load_seq(&w->slots[ndi_owner_index(self)].readers) != 0;
}

START_TEST(joining_a_table_of_the_dead)
{
    walk_op((struct kill_op){a_dead_table, join_the_dead, look_party}, 4);
}
END_TEST

static int
sweep(void *ctx)
{
    (void)ctx;
    return ndi_party_sweep(&party) != PARTIES;
}

static void
look_swept(const char *point)
{
    ck_assert_msg(ndi_party_sweep(&party) >= 0, "at '%s'", point);
    ck_assert_int_eq(write_and_release(NULL), 0);
}

START_TEST(burying)
{
    walk_op((struct kill_op){a_dead_table, sweep, look_swept}, 8);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, plain_mutex);
    tcase_add_test(tc, recursive_mutex);
    tcase_add_test(tc, heir_of_a_mutex);
    tcase_add_test(tc, heir_that_gives_back);
    tcase_add_test(tc, waiter_for_a_mutex);
    tcase_add_test(tc, poisoning);
    tcase_add_test(tc, reader);
    tcase_add_test(tc, writer);
    tcase_add_test(tc, reader_after_a_dead_writer);
    tcase_add_test(tc, writer_that_inherits_and_gives_up);
    tcase_add_test(tc, joining_and_leaving);
    tcase_add_test(tc, joining_a_table_of_the_dead);
    tcase_add_test(tc, burying);
}

int
main(void)
{
    return run_tests("kill sync", add);
}
