/* SPDX-License-Identifier: MIT */
/* test_block.c - heap, raw, file and System V blocks; the guard */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <harness/own_names.h>
#include <mem/mem_impl.h>
#include <os/killpoint.h>
#include <os/os.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

START_TEST(heap_is_zero_and_aligned)
{
    static const size_t sizes[] = {0, 1, 63, 4096, 100000, (2 << 20) - 1,
                                   2 << 20, (5 << 20) + 7};

    for (size_t i = 0; i < NDI_ARRAY_LEN(sizes); i++) {
        nds_block *b;
        unsigned char *p;

        ck_assert_int_eq(ndi_block_new_heap(&b, sizes[i], true, 0), 0);
        p = nds_block_data(b);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 64, 0);
        ck_assert(sizes[i] < 2 << 20 || (uintptr_t)p % (2 << 20) == 0);
        for (size_t j = 0; j < sizes[i]; j += 511) {
            ck_assert_uint_eq(p[j], 0);
        }
        memset(p, 1, sizes[i]);
        ck_assert_int_eq(nds_block_reach(b), NDS_HEAP);
        ck_assert_ptr_eq(nds_block_get(b), b);
        ck_assert_uint_eq(ndi_block_refs(b), 2);
        nds_block_close(b);
        nds_block_close(b);
    }
    nds_block_close(NULL);
}
END_TEST

START_TEST(heap_too_large_is_an_error)
{
    nds_block *b;

    ck_assert_int_eq(ndi_block_new_heap(&b, SIZE_MAX, true, 0), NDS_ENOMEM);
    ck_assert_int_eq(ndi_block_new_heap(&b, SIZE_MAX / 2, true, 0), NDS_ENOMEM);
    ck_assert_ptr_null(b);
}
END_TEST

static int
overwrite_in_child(void *ctx)
{
    nds_block *b = ctx;
    unsigned char *p = nds_block_data(b);

    ndi_map_renew_if_private(p, nds_block_nbytes(b));
    if (p[0] != 0 || p[4 << 20] != 0) {
        return 1; // not renewed
    }
    memset(p, 9, nds_block_nbytes(b));
    ndi_map_renew_if_private(p, nds_block_nbytes(b));
    return p[0] == 9 ? 0 : 2; // only once
}

START_TEST(a_child_renews_before_it_overwrites)
{
    nds_block *b;
    unsigned char *p;

    ck_assert_int_eq(ndi_block_new_heap(&b, 8 << 20, true, 0), 0);
    p = nds_block_data(b);
    memset(p, 3, 8 << 20);
    ndi_map_renew_if_private(p, 8 << 20);
    ck_assert_uint_eq(p[0], 3); // no fork yet
    ck_assert_int_eq(nds_in_child(overwrite_in_child, b), 0);
    ck_assert_uint_eq(p[0], 3);
    ck_assert_uint_eq(p[(8 << 20) - 1], 3);
    nds_block_close(b);
}
END_TEST

START_TEST(raw_has_the_exact_size)
{
    nds_block *a, *b, *c;
    struct stat st;
    int fd;

    ck_assert_int_eq(nds_block_create_raw(&a, name, 10, 0600), 0);
    ck_assert_int_eq(nds_block_create_raw(&b, name, 10, 0600), NDS_EEXIST);
    ck_assert_int_eq(nds_block_create_raw(&b, name, 0, 0600), NDS_EINVAL);
    ck_assert_int_eq(ndi_shm_open(&fd, name, O_RDONLY), 0);
    ck_assert_int_eq(ndi_os_fstat(fd, &st), 0);
    close(fd);
    ck_assert_int_eq(st.st_size, 10);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(nds_block_attach_raw(&b, name, NDS_READ), 0);
    ck_assert_int_eq(nds_block_attach_raw(&c, name, NDS_COPY), 0);
    ck_assert_uint_eq(nds_block_nbytes(b), 10);
    ck_assert(nds_block_is_readonly(b) && !nds_block_is_readonly(c));
    ((char *)nds_block_data(a))[9] = 'x';
    ck_assert_int_eq(((char *)nds_block_data(b))[9], 'x');
    ((char *)nds_block_data(c))[9] = 'y';
    ck_assert_int_eq(((char *)nds_block_data(a))[9], 'x');
    nds_block_close(a);
    nds_block_close(b);
    nds_block_close(c);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    ck_assert_int_eq(nds_block_attach_raw(&a, name, NDS_READ), NDS_ENOENT);
    ck_assert_int_eq(nds_block_attach_raw(&a, name, NDS_CREATE), NDS_EINVAL);
}
END_TEST

static void
write_file(const char *bytes)
{
    int fd;

    ck_assert_int_eq(ndi_os_open(&fd, file, O_WRONLY | O_CREAT | O_TRUNC,
                                 0600), 0);
    ck_assert_int_eq(ndi_os_write(fd, bytes, strlen(bytes)), 0);
    close(fd);
}

static long
file_size(void)
{
    struct stat st;

    ck_assert_int_eq(stat(file, &st), 0);
    return (long)st.st_size;
}

START_TEST(files_follow_memmap_s_rules)
{
    enum nds_mode mode;
    const char *path;
    nds_block *b;
    uint64_t off;

    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READ, 0, 0),
                     NDS_ENOENT);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READWRITE, 0, 5),
                     NDS_ENOENT);
    write_file("0123456789");
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READ, 3, 0), 0);
    ck_assert_uint_eq(nds_block_nbytes(b), 7);
    ck_assert_int_eq(memcmp(nds_block_data(b), "3456789", 7), 0);
    ck_assert(ndi_block_path(b, &path, &mode, &off));
    ck_assert_str_eq(path, file);
    ck_assert(mode == NDS_READ && off == 3);
    nds_block_close(b);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READ, 3, 8),
                     NDS_EBUFFER);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_COPY, 0, 11),
                     NDS_EBUFFER);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_COPY, 0, 10), 0);
    memset(nds_block_data(b), 'c', 10);
    nds_block_close(b);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READWRITE, 5000, 100),
                     0);
    ck_assert_int_eq(file_size(), 5100);
    ((char *)nds_block_data(b))[99] = 'z';
    ck_assert_int_eq(nds_block_flush(b), 0);
    nds_block_close(b);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READ, 0, 0), 0);
    ck_assert_int_eq(((char *)nds_block_data(b))[0], '0');
    ck_assert_int_eq(((char *)nds_block_data(b))[5099], 'z');
    nds_block_close(b);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_CREATE, 0, 20), 0);
    ck_assert_int_eq(file_size(), 20);
    ck_assert_int_eq(((char *)nds_block_data(b))[0], 0);
    nds_block_close(b);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READ, 21, 0),
                     NDS_EINVAL);
    ck_assert_int_eq(ndi_block_map_file(&b, "/tmp", NDS_READ, 0, 0),
                     NDS_EINVAL);
    ck_assert_int_eq(ndi_block_map_file(&b, "/dev/null", NDS_READ, 0, 0),
                     NDS_EINVAL);
    ck_assert_int_eq(ndi_block_map_file(&b, file, NDS_READWRITE, UINT64_MAX,
                                        5), NDS_ESHAPE);
}
END_TEST

START_TEST(files_larger_than_memory_are_sparse)
{
    nds_block *b;
    uint64_t n = UINT64_C(1) << 38;
    char *p;

    if (ndi_block_map_file(&b, file, NDS_CREATE, 0, n) < 0) {
        return; // this file system has a lower limit
    }
    p = nds_block_data(b);
    p[n - 1] = 1;
    p[n / 2] = 2;
    ck_assert_int_eq(p[n / 2 + 1], 0);
    nds_block_close(b);
}
END_TEST

START_TEST(sysv_segments_are_attached)
{
    int id = shmget(IPC_PRIVATE, 5000, IPC_CREAT | 0600);
    nds_block *a, *b;

    ck_assert_int_ge(id, 0);
    ck_assert_int_eq(nds_block_attach_sysv(&a, id, NDS_READWRITE), 0);
    ck_assert_int_eq(nds_block_attach_sysv(&b, id, NDS_READ), 0);
    ck_assert_uint_eq(nds_block_nbytes(a), 5000);
    strcpy(nds_block_data(a), "old");
    ck_assert_str_eq(nds_block_data(b), "old");
    ck_assert_int_eq(nds_block_reach(b), NDS_SYSV);
    nds_block_close(a);
    nds_block_close(b);
    shmctl(id, IPC_RMID, NULL);
    ck_assert_int_lt(nds_block_attach_sysv(&a, id, NDS_READ), 0);
    ck_assert_int_eq(nds_block_attach_sysv(&a, id, NDS_COPY), NDS_EINVAL);
}
END_TEST

static int
cut_under(void *ctx)
{
    nds_block *b;
    volatile char *p;

    (void)ctx;
    if (nds_guard_install() < 0 || nds_guard_install() < 0 ||
        ndi_block_map_file(&b, file, NDS_READWRITE, 0, 20000) < 0) {
        return 1;
    }
    p = nds_block_data(b);
    p[0] = 5;
    p[19000] = 5;
    if (truncate(file, 100) < 0) {
        return 2;
    }
    if (p[19000] != 0 || p[0] != 5) { // zero pages, no signal
        return 3;
    }
    p[15000] = 1;
    if (nds_block_flush(b) != NDS_ETRUNCATED) {
        return 4;
    }
    nds_block_close(b);
    return 0;
}

static int
fault_elsewhere(void *ctx)
{
    char *p;
    void *map;
    int fd;

    (void)ctx;
    // Whoever handled it before comes next: here the default, not a sanitizer.
    signal(SIGBUS, SIG_DFL);
    if (nds_guard_install() < 0 ||
        ndi_os_open(&fd, file, O_RDONLY, 0) < 0 ||
        ndi_map(&map, fd, 0, 8192, 0) < 0) {
        return 1;
    }
    p = map;
    return p[5000]; // beyond the end, not in a mapping of ours
}

START_TEST(guard_turns_truncation_into_an_error)
{
    write_file("x");
    ck_assert_int_eq(truncate(file, 20000), 0);
    ck_assert_int_eq(nds_in_child(cut_under, NULL), 0);
    ck_assert_int_eq(nds_in_child(fault_elsewhere, NULL), -SIGBUS);
}
END_TEST

START_TEST(failing_calls_leak_nothing)
{
    static const char *const calls[] = {"tmpfile", "open", "fstat", "map",
                                        "truncate", "reserve", "lock",
                                        "link", "pread"};
    struct ndi_segment_spec spec = {.kind = NDI_KIND_EVENT,
                                    .name = name,
                                    .body_nbytes = 70000};
    int before = nds_open_descriptors();

    for (size_t i = 0; i < NDI_ARRAY_LEN(calls); i++) {
        for (unsigned nth = 1; nth <= 4; nth++) {
            struct ndi_segment *s = NULL;
            nds_block *b = NULL;

            ndi_fault_arm(calls[i], nth, EIO);
            if (ndi_segment_create(&s, &spec) == 0) {
                struct ndi_segment *t = NULL;

                (void)ndi_segment_attach(&t, name, 0, NDS_READWRITE, 0);
                ndi_segment_put(t);
            }
            ndi_segment_put(s);
            ndi_fault_arm(NULL, 0, 0);
            nds_remove_names(name);
            ndi_fault_arm(calls[i], nth, EIO);
            (void)nds_block_create_raw(&b, name, 10, 0);
            nds_block_close(b);
            ndi_fault_arm(NULL, 0, 0);
            nds_remove_names(name);
            ck_assert_msg(nds_open_descriptors() == before, "%s %u",
                          calls[i], nth);
        }
    }
}
END_TEST

int
main(void)
{
    TCase *tc = case_with_names("block");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, heap_is_zero_and_aligned);
    tcase_add_test(tc, heap_too_large_is_an_error);
    tcase_add_test(tc, a_child_renews_before_it_overwrites);
    tcase_add_test(tc, raw_has_the_exact_size);
    tcase_add_test(tc, files_follow_memmap_s_rules);
    tcase_add_test(tc, files_larger_than_memory_are_sparse);
    tcase_add_test(tc, sysv_segments_are_attached);
    tcase_add_test(tc, guard_turns_truncation_into_an_error);
    tcase_add_test(tc, failing_calls_leak_nothing);
    return nds_run_case("block", tc);
}
