/* SPDX-License-Identifier: MIT */
/*
 * test_seqlock.c - snapshots of what one writer changes, or killed changing
 */
#include <harness/sync_world.h>
#include <ndshare/sync.h>

#include <sys/mman.h>

static int
begin(int64_t deadline)
{
    return ndi_seqlock_write_begin(&party, &w->seqlock, deadline);
}

static int
end(void)
{
    return ndi_seqlock_write_end(&party, &w->seqlock);
}

static int
look(uint64_t *seen, int64_t deadline)
{
    return ndi_seqlock_read_begin(&party, &w->seqlock, seen, deadline);
}

static void
begin_it(void)
{
    if (begin(0) != 0) {
        _exit(1);
    }
}

START_TEST(a_reader_notices_a_writer)
{
    uint64_t seen;

    ck_assert_int_eq(look(&seen, 0), 0);
    ck_assert(!ndi_seqlock_read_retry(&w->seqlock, seen));
    ck_assert_int_eq(end(), NDS_ENOTOWNER);
    ck_assert_int_eq(begin(0), 0);
    ck_assert(ndi_seqlock_read_retry(&w->seqlock, seen));
    ck_assert_int_eq(look(&seen, 0), NDS_EAGAIN);
    ck_assert_int_eq(look(&seen, soon()), NDS_ETIMEDOUT);
    ck_assert_int_eq(end(), 0);
    ck_assert(ndi_seqlock_read_retry(&w->seqlock, seen));
    ck_assert_int_eq(look(&seen, 0), 0);
    ck_assert(!ndi_seqlock_read_retry(&w->seqlock, seen));
    ck_assert_int_eq(end(), NDS_ENOTOWNER);
}
END_TEST

START_TEST(a_second_writer_waits)
{
    pid_t pid;

    ck_assert_int_eq(begin(0), 0);
    ck_assert_int_eq(begin(0), NDS_EAGAIN); // by itself, too
    pid = fork();
    if (pid == 0) {
        // Of its parent's work the child has no part.
        int bad = end() != NDS_ENOTOWNER || begin(0) != NDS_EAGAIN ||
                  begin(soon()) != NDS_ETIMEDOUT;

        reach(1);
        _exit(bad || begin(later()) != 0 || end() != 0);
    }
    await(1);
    ck_assert_int_eq(end(), 0);
    child_ok(pid);
    ck_assert_uint_eq(w->seqlock.word, 4);
}
END_TEST

START_TEST(a_dead_writer_is_told_to_readers_until_the_next)
{
    uint64_t seen;
    pid_t pid = child_that_stays(begin_it);

    ck_assert_int_eq(look(&seen, soon()), NDS_ETIMEDOUT);
    kill_child(pid);
    ck_assert_int_eq(look(&seen, later()), NDS_EOWNERDEAD);
    ck_assert_int_eq(look(&seen, 0), NDS_EOWNERDEAD);
    ck_assert_int_ge(ndi_party_sweep(&party), 1);
    ck_assert_int_eq(look(&seen, later()), NDS_EOWNERDEAD);
    ck_assert_int_eq(begin(later()), NDS_EOWNERDEAD);
    ck_assert_int_eq(look(&seen, 0), NDS_EAGAIN); // somebody is at work
    ck_assert_int_eq(end(), 0);
    ck_assert_int_eq(look(&seen, 0), 0);
    ck_assert_int_eq(begin(0), 0);
    ck_assert_int_eq(end(), 0);
}
END_TEST

static uint64_t *numbers; /* two, always equal in a snapshot */

/* Read-only: the lock's file cannot be written through this handle. */
static int
read_a_lot(void *ctx)
{
    nds_seqlock *l;
    uint64_t seen, a = 0, b = 0;
    int bad = nds_seqlock_attach(&l, name, NDS_READ) != 0;

    (void)ctx;
    bad = bad || nds_seqlock_write_begin(l, 0) != NDS_EPERM ||
          nds_seqlock_write_end(l) != NDS_ENOTOWNER;
    while (!bad && a < 2000) {
        do {
            if (nds_seqlock_read_begin(l, &seen, NDS_SEC(10)) != 0) {
                return 2;
            }
            a = __atomic_load_n(&numbers[0], __ATOMIC_RELAXED);
            b = __atomic_load_n(&numbers[1], __ATOMIC_RELAXED);
        } while (nds_seqlock_read_retry(l, seen));
        bad = a != b;
    }
    nds_seqlock_close(l);
    return bad;
}

START_TEST(snapshots_are_whole_and_reading_needs_no_writing)
{
    nds_seqlock *l;
    pid_t pid;

    numbers = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(numbers, MAP_FAILED);
    ck_assert_int_eq(nds_seqlock_create(&l, name), 0);
    pid = fork();
    if (pid == 0) {
        _exit(read_a_lot(NULL));
    }
    for (uint64_t i = 1; i <= 2000; i++) {
        ck_assert_int_eq(nds_seqlock_write_begin(l, NDS_SEC(10)), 0);
        __atomic_store_n(&numbers[0], i, __ATOMIC_RELAXED);
        if (i % 100 == 0) { // meets the reader in the middle
            ndi_futex_wait(&w->step, 0, 1000000);
        }
        __atomic_store_n(&numbers[1], i, __ATOMIC_RELAXED);
        ck_assert_int_eq(nds_seqlock_write_end(l), 0);
    }
    child_ok(pid);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    nds_seqlock_close(l);
    munmap(numbers, 4096);
}
END_TEST

static int
die_writing(void *ctx)
{
    nds_seqlock *l;

    (void)ctx;
    return nds_seqlock_attach(&l, name, NDS_READWRITE) != 0 ||
           nds_seqlock_write_begin(l, 0) != 0; // _exit is death, for a lock
}

START_TEST(a_read_only_reader_hears_of_the_death)
{
    nds_seqlock *l, *r;
    uint64_t seen;

    ck_assert_int_eq(nds_seqlock_create(&l, name), 0);
    ck_assert_int_eq(nds_seqlock_attach(&r, name, NDS_COPY), NDS_EINVAL);
    ck_assert_int_eq(nds_seqlock_attach(&r, name, NDS_READ), 0);
    ck_assert_int_eq(nds_in_child(die_writing, NULL), 0);
    ck_assert_int_eq(nds_seqlock_read_begin(r, &seen, NDS_SEC(10)),
                     NDS_EOWNERDEAD);
    ck_assert_int_eq(nds_seqlock_write_begin(l, NDS_SEC(10)), NDS_EOWNERDEAD);
    ck_assert_int_eq(nds_seqlock_write_end(l), 0);
    ck_assert_int_eq(nds_seqlock_read_begin(r, &seen, 0), 0);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    nds_seqlock_close(r);
    nds_seqlock_close(l);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, a_reader_notices_a_writer);
    tcase_add_test(tc, a_second_writer_waits);
    tcase_add_test(tc, a_dead_writer_is_told_to_readers_until_the_next);
    tcase_add_test(tc, snapshots_are_whole_and_reading_needs_no_writing);
    tcase_add_test(tc, a_read_only_reader_hears_of_the_death);
}

int
main(void)
{
    return run_tests("seqlock", add);
}
