/* SPDX-License-Identifier: MIT */
/* test_huge.c - 2 MiB pages: who gets them, who does not */
#include "nd_check.h"

#include <mem/mem_impl.h>
#include <ndshare/ndshare.h>
#include <os/killpoint.h>
#include <os/os.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE ((size_t)2 << 20)

/* Does this kernel give a memfd a page of 2 MiB when asked? */
static bool
can_collapse(void)
{
    void *p = NULL;
    bool can;
    int fd = -1;

    ck_assert_int_eq(ndi_memfd(&fd, "t-huge", HUGE), 0);
    ck_assert_int_eq(ndi_map(&p, fd, 0, HUGE, NDI_MAP_WRITE), 0);
    memset(p, 1, 1);
    can = madvise(p, HUGE, MADV_COLLAPSE) == 0;
    ndi_unmap(p, HUGE);
    ndi_os_close(fd);
    return can;
}

/* Bytes in 2 MiB pages of a new array that was written once. */
static size_t
huge_of(enum nds_reach reach, enum nds_huge huge, size_t nbytes)
{
    nds_array_options o = {.size = sizeof o, .reach = reach, .huge = huge};
    int64_t n = (int64_t)nbytes;
    nds_array *a = NULL;
    size_t got = 1;

    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(3)), 0);
    ck_assert_int_eq(nds_block_huge(nds_array_block(a), &got), 0);
    nds_array_close(a);
    nds_memory_trim(); // the next one is made anew
    return got;
}

START_TEST(the_option_beats_the_environment)
{
    unsetenv("NDSHARE_HUGE");
    ck_assert_int_eq(ndi_huge(NDS_HUGE_AUTO), NDS_HUGE_AUTO);
    setenv("NDSHARE_HUGE", "never", 1);
    ck_assert_int_eq(ndi_huge(NDS_HUGE_AUTO), NDS_HUGE_NEVER);
    ck_assert_int_eq(ndi_huge(NDS_HUGE_ALWAYS), NDS_HUGE_ALWAYS);
    setenv("NDSHARE_HUGE", "always", 1);
    ck_assert_int_eq(ndi_huge(NDS_HUGE_AUTO), NDS_HUGE_ALWAYS);
    ck_assert_int_eq(ndi_huge(NDS_HUGE_NEVER), NDS_HUGE_NEVER);
    setenv("NDSHARE_HUGE", "perhaps", 1);
    ck_assert_int_eq(ndi_huge(NDS_HUGE_AUTO), NDS_HUGE_AUTO);
}
END_TEST

START_TEST(never_means_none)
{
    unsetenv("NDSHARE_HUGE");
    ck_assert_uint_eq(huge_of(NDS_HEAP, NDS_HUGE_NEVER, 16 * HUGE), 0);
    ck_assert_uint_eq(huge_of(NDS_SHAREABLE, NDS_HUGE_NEVER, 16 * HUGE), 0);
    setenv("NDSHARE_HUGE", "never", 1);
    ck_assert_uint_eq(huge_of(NDS_HEAP, NDS_HUGE_AUTO, 16 * HUGE), 0);
    ck_assert_uint_eq(huge_of(NDS_SHAREABLE, NDS_HUGE_AUTO, 16 * HUGE), 0);
}
END_TEST

START_TEST(always_begins_at_two_mebibytes)
{
    if (!can_collapse()) {
        fprintf(stderr, "this kernel collapses no shared memory: only the "
                "small pages are tested\n");
        ck_assert_uint_eq(huge_of(NDS_SHAREABLE, NDS_HUGE_ALWAYS, 8 * HUGE),
                          0);
        return;
    }
    unsetenv("NDSHARE_HUGE");
    // The header takes a page: one stretch of 2 MiB is whole.
    ck_assert_uint_eq(huge_of(NDS_SHAREABLE, NDS_HUGE_ALWAYS, HUGE), HUGE);
    ck_assert_uint_eq(huge_of(NDS_SHAREABLE, NDS_HUGE_AUTO, HUGE), 0);
    ck_assert_uint_ge(huge_of(NDS_SHAREABLE, NDS_HUGE_AUTO, 8 * HUGE),
                      7 * HUGE);
}
END_TEST

START_TEST(a_queue_uses_what_it_was_told)
{
    nds_queue_options o = {.size = sizeof o, .huge = NDS_HUGE_NEVER};
    int64_t n = (int64_t)(8 * HUGE);
    bool can = can_collapse();

    for (int i = 0; i < 2; i++) {
        nds_queue *q = NULL;
        nds_array *a = NULL;
        size_t got = 1;

        o.huge = i == 0 ? NDS_HUGE_NEVER : NDS_HUGE_ALWAYS;
        ck_assert_int_eq(nds_queue_new(&q, &o), 0);
        ck_assert_int_eq(nds_queue_loan(q, &a, NDS_UINT8, 1, &n, 0), 0);
        ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(1)), 0);
        ck_assert_int_eq(ndi_huge_bytes(nds_array_data(a), (size_t)n, &got),
                         0);
        ck_assert_uint_eq(got, i == 0 || !can ? 0 : (size_t)n);
        nds_queue_discard(q, &a);
        nds_queue_close(q);
    }
}
END_TEST

/* A full mount is an error of create, whatever pages were tried first. */
START_TEST(no_room_is_an_error_and_leaves_nothing)
{
    nds_array_options o = {.size = sizeof o, .reach = NDS_SHAREABLE,
                           .huge = NDS_HUGE_ALWAYS};
    int64_t n = (int64_t)(8 * HUGE);
    nds_array *a = NULL;

    ndi_fault_arm("reserve", 3, ENOSPC);
    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), NDS_ENOSPC);
    ck_assert_ptr_null(a);
    ndi_fault_arm("collapse", 0, ENOMEM);
    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, &o), 0);
    ndi_fault_arm(NULL, 0, 0);
    nds_array_close(a);
    ndi_fault_arm("smaps", 1, EACCES);
    ck_assert_int_eq(nds_array_new(&a, NDS_UINT8, 1, &n, NULL), 0);
    ck_assert_int_eq(nds_block_huge(nds_array_block(a), &(size_t){0}),
                     NDS_EPERM);
    ndi_fault_arm(NULL, 0, 0);
    nds_array_close(a);
}
END_TEST

/* What lies beside it is not counted. */
START_TEST(neighbours_do_not_count)
{
    nds_array_options o = {.size = sizeof o, .huge = NDS_HUGE_NEVER};
    int64_t n = (int64_t)(4 * HUGE);
    nds_array *a[3];
    size_t got;

    for (int i = 0; i < 3; i++) {
        o.huge = i == 1 ? NDS_HUGE_NEVER : NDS_HUGE_AUTO;
        ck_assert_int_eq(nds_array_new(&a[i], NDS_UINT8, 1, &n, &o), 0);
        ck_assert_int_eq(nds_fill(nds_array_view(a[i]), nds_int(3)), 0);
    }
    ck_assert_int_eq(nds_block_huge(nds_array_block(a[1]), &got), 0);
    ck_assert_uint_eq(got, 0);
    for (int i = 0; i < 3; i++) {
        nds_array_close(a[i]);
    }
}
END_TEST

RUN("huge", neighbours_do_not_count, the_option_beats_the_environment, never_means_none,
    always_begins_at_two_mebibytes, a_queue_uses_what_it_was_told,
    no_room_is_an_error_and_leaves_nothing)
