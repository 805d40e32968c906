/* SPDX-License-Identifier: MIT */
/* test_os.c - files, locks, shared memory, mappings, futexes, counters */
#include <ndshare/block.h>
#include <os/killpoint.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE ((size_t)2 << 20)

static char name[64];

static void
setup(void)
{
    snprintf(name, sizeof name, "t-os-%d-a", (int)getpid());
}

static void
teardown(void)
{
    ndi_shm_unlink(name);
}

/* Runs fn in a child and gives its exit code, or minus the signal. */
static int
in_child(int (*fn)(void *), void *ctx)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        _exit(fn(ctx));
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

START_TEST(deadlines)
{
    int64_t d = ndi_deadline(NDS_MSEC(20));

    ck_assert_int_eq(ndi_deadline(NDS_FOREVER), NDS_FOREVER);
    ck_assert_int_eq(ndi_deadline(0), 0);
    ck_assert_int_eq(ndi_deadline(INT64_MAX), NDS_FOREVER);
    ck_assert_int_eq(ndi_deadline_left(NDS_FOREVER), INT64_MAX);
    ck_assert(ndi_deadline_over(0));
    ck_assert(!ndi_deadline_over(d));
    ck_assert_int_le(ndi_deadline_left(d), NDS_MSEC(20));
    ck_assert(ndi_deadline_over(ndi_now_ns() - 1));
}
END_TEST

static int
epoch_differs(void *ctx)
{
    uint64_t theirs = *(uint64_t *)ctx;
    uint64_t mine = ndi_fork_epoch();

    return mine != 0 && mine != theirs && mine == ndi_fork_epoch() &&
                   ndi_thread_token() == (uint32_t)getpid()
               ? 0
               : 1;
}

static void *
token_of_thread(void *arg)
{
    *(uint32_t *)arg = ndi_thread_token();
    return NULL;
}

START_TEST(images_and_threads_differ)
{
    uint64_t epoch = ndi_fork_epoch();
    uint32_t other = 0;
    pthread_t t;

    ck_assert_uint_ne(epoch, 0);
    ck_assert_uint_eq(epoch, ndi_fork_epoch());
    ck_assert_uint_eq(ndi_thread_token(), (uint32_t)getpid());
    pthread_create(&t, NULL, token_of_thread, &other);
    pthread_join(t, NULL);
    ck_assert_uint_ne(other, 0);
    ck_assert_uint_ne(other, ndi_thread_token());
    ck_assert_int_eq(in_child(epoch_differs, &epoch), 0);
    ck_assert_uint_eq(epoch, ndi_fork_epoch());
}
END_TEST

START_TEST(a_name_appears_complete)
{
    struct stat st;
    char got[6];
    int fd = -1;
    int other = -1;

    ck_assert_int_eq(ndi_shm_tmpfile(&fd, 0640), 0);
    ck_assert_int_eq(ndi_os_write(fd, "hello", 6), 0);
    ck_assert_int_eq(ndi_shm_open(&other, name, O_RDONLY), -ENOENT);
    ck_assert_int_eq(ndi_shm_link(fd, name), 0);
    ck_assert_int_eq(ndi_shm_link(fd, name), -EEXIST);
    ck_assert_int_eq(ndi_shm_open(&other, name, O_RDONLY), 0);
    ck_assert_int_eq(ndi_os_pread(other, got, 6, 0), 0);
    ck_assert_str_eq(got, "hello");
    ck_assert_int_eq(ndi_os_pread(other, got, 6, 1), -ENODATA);
    ck_assert_int_eq(ndi_os_fstat(other, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    ck_assert_uint_eq(st.st_nlink, 1);
    ndi_os_close(fd);
    ndi_os_close(other);
}
END_TEST

START_TEST(a_name_is_replaced_in_one_step)
{
    struct stat st;
    struct stat now;
    int a = -1;
    int b = -1;
    int c = -1;

    ck_assert_int_eq(ndi_shm_tmpfile(&a, 0600), 0);
    ck_assert_int_eq(ndi_shm_tmpfile(&b, 0600), 0);
    ck_assert_int_eq(ndi_shm_link(a, name), 0);
    ck_assert_int_eq(ndi_shm_link_replace(b, name), 0);
    ck_assert_int_eq(ndi_shm_open(&c, name, O_RDONLY), 0);
    ck_assert_int_eq(ndi_os_fstat(b, &st), 0);
    ck_assert_int_eq(ndi_os_fstat(c, &now), 0);
    ck_assert_uint_eq(st.st_ino, now.st_ino);
    // Onto itself: still one name.
    ck_assert_int_eq(ndi_shm_link_replace(b, name), 0);
    ck_assert_int_eq(ndi_os_fstat(b, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 1);
    ndi_os_close(a);
    ndi_os_close(b);
    ndi_os_close(c);
}
END_TEST

START_TEST(without_nameless_files_a_stand_in_serves)
{
    struct stat st;
    int fd = -1;

    ndi_fault_arm("tmpfile", 1, EOPNOTSUPP);
    ck_assert_int_eq(ndi_shm_tmpfile(&fd, 0600), 0);
    ck_assert_int_eq(ndi_os_fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 1);
    ck_assert_int_eq(ndi_shm_link(fd, name), 0);
    ck_assert_int_eq(ndi_os_fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 1);
    ndi_os_close(fd);
}
END_TEST

START_TEST(a_symlink_is_not_followed)
{
    char path[128];
    int fd = -1;

    ck_assert_int_eq(ndi_shm_path(path, sizeof path, name), 0);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_int_eq(ndi_shm_open(&fd, name, O_RDONLY), -ELOOP);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(ndi_shm_path(path, 5, name), -ENAMETOOLONG);
}
END_TEST

START_TEST(memfds_cannot_shrink)
{
    int fd = -1;

    ck_assert_int_eq(ndi_memfd(&fd, "t-os", 8192), 0);
    ck_assert_int_eq(ndi_os_truncate(fd, 4096), -EPERM);
    ck_assert_int_eq(ndi_os_truncate(fd, 16384), 0);
    ndi_os_close(fd);
}
END_TEST

START_TEST(reserving_too_much_is_an_error)
{
    uint64_t total = 0;
    uint64_t left = 0;
    int fd = -1;

    ck_assert_int_eq(ndi_shm_room(&total, &left), 0);
    ck_assert_uint_ge(total, left);
    ck_assert_int_eq(ndi_shm_tmpfile(&fd, 0600), 0);
    ck_assert_int_eq(ndi_os_reserve(fd, UINT64_MAX, 1), -EFBIG);
    ck_assert_int_eq(ndi_os_reserve(fd, 0, 65536), 0);
    ndi_fault_arm("reserve", 1, ENOSPC);
    ck_assert_int_eq(ndi_os_reserve(fd, 0, 65536), -ENOSPC);
    ck_assert_int_eq(ndi_os_reserve(fd, 0, 65536), 0);
    ndi_os_close(fd);
}
END_TEST

START_TEST(a_mapping_carries_its_lock)
{
    uint64_t at = (uint64_t)1 << 61;
    void *map = NULL;
    int fd = -1;
    int other = -1;

    ck_assert_int_eq(ndi_memfd(&fd, "t-os", 4096), 0);
    ck_assert_int_eq(ndi_os_reopen(&other, fd, O_RDWR), 0);
    ck_assert_int_eq(ndi_lock_exclusive(other, at), 0);
    ck_assert_int_eq(ndi_map(&map, other, 0, 4096, NDI_MAP_DONTFORK), 0);
    ndi_os_close(other);
    ck_assert_int_eq(ndi_lock_probe(fd, at), 1);
    ck_assert_int_eq(ndi_lock_shared(fd, at), -EAGAIN);
    ck_assert_int_eq(ndi_lock_exclusive_wait(fd, at, ndi_deadline(3000000)),
                     -ETIMEDOUT);
    ndi_unmap(map, 4096);
    ck_assert_int_eq(ndi_lock_probe(fd, at), 0);
    ck_assert_int_eq(ndi_lock_exclusive_wait(fd, at, 0), 0);
    ck_assert_int_eq(ndi_lock_release(fd, at), 0);
    ndi_os_close(fd);
}
END_TEST

START_TEST(a_lease_sees_foreign_mappings)
{
    void *map = NULL;
    int fd = -1;
    int other = -1;

    ck_assert_int_eq(ndi_shm_tmpfile(&fd, 0600), 0);
    ck_assert_int_eq(ndi_os_truncate(fd, 4096), 0);
    ck_assert_int_eq(ndi_shm_link(fd, name), 0);
    ck_assert_int_eq(ndi_lease_probe(fd), 0);
    ck_assert_int_eq(ndi_shm_open(&other, name, O_RDONLY), 0);
    ck_assert_int_eq(ndi_map(&map, other, 0, 4096, 0), 0);
    ndi_os_close(other);
    ck_assert_int_eq(ndi_lease_probe(fd), -EAGAIN);
    ndi_unmap(map, 4096);
    ck_assert_int_eq(ndi_lease_probe(fd), 0);
    ndi_os_close(fd);
}
END_TEST

START_TEST(large_maps_suit_huge_pages)
{
    unsigned char *map = NULL;
    void *p = NULL;
    int fd = -1;

    ck_assert_int_eq(ndi_memfd(&fd, "t-os", 8 * HUGE), 0);
    ck_assert_int_eq(ndi_map(&p, fd, 4096, 3 * HUGE, NDI_MAP_WRITE), 0);
    ck_assert_uint_eq((uintptr_t)p % HUGE, 4096);
    ndi_unmap(p, 3 * HUGE);
    ck_assert_int_eq(ndi_os_reserve(fd, 0, 8 * HUGE), 0);
    ck_assert_int_eq(ndi_map(&p, fd, 0, 8 * HUGE,
                             NDI_MAP_WRITE | NDI_MAP_POPULATE),
                     0);
    map = p;
    map[0] = 1;
    map[8 * HUGE - 1] = 2;
    ndi_map_collapse(p, 8 * HUGE, NDS_HUGE_AUTO);
    ck_assert_uint_eq(map[0], 1);
    ck_assert_uint_eq(map[8 * HUGE - 1], 2);
    ndi_map_collapse(p, HUGE, NDS_HUGE_ALWAYS);
    ck_assert_int_eq(ndi_map_readonly(p, 8 * HUGE), 0);
    ndi_unmap(p, 8 * HUGE);
    ck_assert_int_eq(ndi_map(&p, fd, 1, 4096, 0), -EINVAL);
    ck_assert_int_eq(ndi_map(&p, fd, 0, SIZE_MAX - 10, 0), -ENOMEM);
    ndi_os_close(fd);
}
END_TEST

START_TEST(renewed_memory_is_zero_and_nobody_elses)
{
    size_t nbytes = 3 * HUGE + 4096 + 100;
    unsigned char *map;
    void *p = NULL;

    ck_assert_int_eq(ndi_map_anon(&p, nbytes + 1000, NDS_HUGE_AUTO), 0);
    ck_assert_uint_eq((uintptr_t)p % HUGE, 0);
    map = p;
    memset(map, 7, nbytes + 1000);
    ck_assert_int_eq(ndi_map_renew(map + 1, nbytes), -EINVAL);
    ck_assert_int_eq(ndi_map_renew(map, nbytes), 0);
    for (size_t i = 0; i < nbytes; i += 50) {
        ck_assert_uint_eq(map[i], 0);
    }
    ck_assert_uint_eq(map[nbytes - 1], 0);
    ck_assert_uint_eq(map[nbytes], 7);
    map[5] = 9;
    ndi_unmap(p, nbytes + 1000);
}
END_TEST

START_TEST(a_sleep_ends_with_its_slice)
{
    _Atomic uint32_t word = 5;
    int64_t start = ndi_now_ns();

    ck_assert_int_eq(ndi_futex_wait(&word, 4, NDS_SEC(9)), 0);
    ck_assert_int_eq(ndi_futex_wait(&word, 5, NDS_SEC(9)), -ETIMEDOUT);
    ck_assert_int_ge(ndi_now_ns() - start, NDI_SLICE_NS);
    ck_assert_int_eq(ndi_futex_wait(&word, 5, 0), -ETIMEDOUT);
    ck_assert_int_eq(ndi_futex_wake(&word, 1), 0);
    ck_assert_int_ge(ndi_cpu(), 0);
}
END_TEST

static int
count_some(void *ctx)
{
    (void)ctx;
    ndi_count_copied(5);
    return 0;
}

START_TEST(copies_are_counted_across_fork)
{
    nds_stats s = {0};

    unsetenv("NDSHARE_STATS_FD");
    ndi_count_copied(100);
    ck_assert_int_eq(nds_stats_read(&s), NDS_ENOENT);
    ck_assert_int_eq(nds_stats_enable(), 0);
    ck_assert_int_eq(nds_stats_enable(), 0);
    ndi_count_copied(3);
    ck_assert_int_eq(in_child(count_some, NULL), 0);
    ck_assert_int_eq(nds_stats_read(&s), 0);
    ck_assert_uint_eq(s.bytes_copied, 8);
    ck_assert_uint_eq(s.copies, 2);
    s.size = 4;
    ck_assert_int_eq(nds_stats_read(&s), NDS_EINVAL);
}
END_TEST

/* This very program, started anew: counts five bytes and leaves. */
START_TEST(copies_are_counted_across_exec)
{
    nds_stats s = {0};
    pid_t pid;
    int status;

    ck_assert_int_eq(nds_stats_enable(), 0);
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "test_os", "count", (char *)NULL);
        _exit(99);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(nds_stats_read(&s), 0);
    ck_assert_uint_eq(s.bytes_copied, 5);
}
END_TEST

static int
three_points(void *ctx)
{
    ndi_kill_install(ctx);
    NDI_KILL_POINT("one");
    NDI_KILL_POINT("two");
    NDI_KILL_POINT("one");
    return 3;
}

START_TEST(kill_points_record_and_kill)
{
    struct ndi_kill_page *page = ndi_kill_page_new();

    ck_assert_ptr_nonnull(page);
    ck_assert_int_eq(in_child(three_points, page), 3);
    ck_assert_uint_eq(page->visits, 3);
    ck_assert_str_eq(page->names[1], "two");
    page->visits = 0;
    page->kill_at = 2;
    ck_assert_int_eq(in_child(three_points, page), -9);
    ck_assert_uint_eq(page->fired, 2);
    ndi_kill_page_free(page);
}
END_TEST

START_TEST(faults_strike_at_their_use)
{
    int fd = -1;

    ndi_fault_arm("memfd", 2, EMFILE);
    ck_assert_int_eq(ndi_memfd(&fd, "t-os", 1), 0);
    ndi_os_close(fd);
    ck_assert_int_eq(ndi_memfd(&fd, "t-os", 1), -EMFILE);
    ck_assert_int_eq(ndi_memfd(&fd, "t-os", 1), 0);
    ndi_os_close(fd);
    ndi_fault_arm(NULL, 0, 0);
}
END_TEST

int
main(int argc, char **argv)
{
    Suite *s;
    TCase *tc;
    SRunner *sr;
    int failed;

    if (argc == 2 && strcmp(argv[1], "count") == 0) {
        return count_some(NULL);
    }
    s = suite_create("os");
    tc = tcase_create("os");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, deadlines);
    tcase_add_test(tc, images_and_threads_differ);
    tcase_add_test(tc, a_name_appears_complete);
    tcase_add_test(tc, a_name_is_replaced_in_one_step);
    tcase_add_test(tc, without_nameless_files_a_stand_in_serves);
    tcase_add_test(tc, a_symlink_is_not_followed);
    tcase_add_test(tc, memfds_cannot_shrink);
    tcase_add_test(tc, reserving_too_much_is_an_error);
    tcase_add_test(tc, a_mapping_carries_its_lock);
    tcase_add_test(tc, a_lease_sees_foreign_mappings);
    tcase_add_test(tc, large_maps_suit_huge_pages);
    tcase_add_test(tc, renewed_memory_is_zero_and_nobody_elses);
    tcase_add_test(tc, a_sleep_ends_with_its_slice);
    tcase_add_test(tc, copies_are_counted_across_fork);
    tcase_add_test(tc, copies_are_counted_across_exec);
    tcase_add_test(tc, kill_points_record_and_kill);
    tcase_add_test(tc, faults_strike_at_their_use);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
