/* SPDX-License-Identifier: MIT */
/* test_arena.c - extents: first fit, joining, and maps that lie */
#include <mem/arena.h>
#include <ndshare/err.h>
#include <sync/word.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 64

static struct ndi_arena
arena_new(uint64_t nbytes)
{
    struct ndi_arena a = {calloc(1, NDI_ARENA_MAP_NBYTES(ROOM)), ROOM,
                          nbytes};

    ck_assert_ptr_nonnull(a.map);
    ndi_arena_reset(&a);
    return a;
}

START_TEST(first_fit_from_low_addresses)
{
    struct ndi_arena a = arena_new(1 << 20);
    uint64_t x, y, z;

    ck_assert_int_eq(ndi_arena_alloc(&a, 4096, 64, &x), 0);
    ck_assert_int_eq(ndi_arena_alloc(&a, 8192, 64, &y), 0);
    ck_assert_uint_eq(x, 0);
    ck_assert_uint_eq(y, 4096);
    ck_assert_int_eq(ndi_arena_free(&a, x, 4096), 0);
    ck_assert_int_eq(ndi_arena_alloc(&a, 2048, 64, &z), 0);
    ck_assert_uint_eq(z, 0); // the memory that is warm
    ck_assert_int_eq(ndi_arena_alloc(&a, 4096, 4096, &x), 0);
    ck_assert_uint_eq(x, 12288);
    ck_assert_int_eq(ndi_arena_alloc(&a, 2 << 20, 64, &x), NDS_EAGAIN);
    free(a.map);
}
END_TEST

START_TEST(a_place_can_be_asked_for_within_bounds)
{
    struct ndi_arena a = arena_new(65536);
    uint64_t x;

    ck_assert_int_eq(ndi_arena_alloc_within(&a, 100, 8320, 4096, 64, &x), 0);
    ck_assert_uint_eq(x, 128);
    ck_assert_int_eq(ndi_arena_alloc_within(&a, 0, 8320, 4096, 64, &x), 0);
    ck_assert_uint_eq(x, 4224); // before it there are 128 bytes
    ck_assert_int_eq(ndi_arena_alloc_within(&a, 0, 8320, 4096, 64, &x),
                     NDS_EAGAIN);
    ck_assert_int_eq(ndi_arena_alloc_within(&a, 0, 8320, 128, 64, &x), 0);
    ck_assert_uint_eq(x, 0);
    ck_assert_int_eq(ndi_arena_alloc_within(&a, 61440, 65536, 4096, 4096,
                                            &x), 0);
    ck_assert_uint_eq(x, 61440);
    ck_assert_int_eq(ndi_arena_alloc_within(&a, 61441, UINT64_MAX, 64, 64,
                                            &x), NDS_EAGAIN);
    ck_assert_int_eq(ndi_arena_alloc_within(&a, UINT64_MAX - 8, UINT64_MAX,
                                            64, 64, &x), NDS_EAGAIN);
    ck_assert_uint_eq(ndi_arena_room(&a), 65536 - 3 * 4096 - 128);
    free(a.map);
}
END_TEST

START_TEST(neighbours_join)
{
    struct ndi_arena a = arena_new(4096 * 3);
    uint64_t off[3];

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(ndi_arena_alloc(&a, 4096, 64, &off[i]), 0);
    }
    ck_assert_uint_eq(ndi_arena_room(&a), 0);
    ck_assert_int_eq(ndi_arena_free(&a, off[0], 4096), 0);
    ck_assert_int_eq(ndi_arena_free(&a, off[2], 4096), 0);
    ck_assert_uint_eq(ndi_load_rlx(&a.map->count), 2);
    ck_assert_int_eq(ndi_arena_free(&a, off[1], 4096), 0);
    ck_assert_uint_eq(ndi_load_rlx(&a.map->count), 1);
    ck_assert_uint_eq(ndi_arena_room(&a), 4096 * 3);
    ck_assert_int_eq(ndi_arena_free(&a, off[1], 4096), NDS_ECORRUPT);
    free(a.map);
}
END_TEST

START_TEST(carving_sees_overlaps)
{
    struct ndi_arena a = arena_new(65536);

    ck_assert_int_eq(ndi_arena_carve(&a, 8192, 4096), 0);
    ck_assert_int_eq(ndi_arena_carve(&a, 8192, 64), NDS_ECORRUPT);
    ck_assert_int_eq(ndi_arena_carve(&a, 4096, 4097), NDS_ECORRUPT);
    ck_assert_int_eq(ndi_arena_carve(&a, 65536, 64), NDS_ECORRUPT);
    ck_assert_int_eq(ndi_arena_carve(&a, UINT64_MAX - 10, 64), NDS_ECORRUPT);
    ck_assert_int_eq(ndi_arena_carve(&a, 0, 8192), 0);
    ck_assert_uint_eq(ndi_arena_room(&a), 65536 - 12288);
    free(a.map);
}
END_TEST

/* Against a plain table of bytes in use. */
START_TEST(random_use_keeps_the_partition)
{
    struct ndi_arena a = arena_new(ROOM * 64);
    uint64_t off[16], len[16] = {0};
    unsigned char used[ROOM];
    unsigned seed = 7;

    memset(used, 0, sizeof used);
    for (int n = 0; n < 20000; n++) {
        int i = (int)(seed >> 16) & 15;

        seed = seed * 1103515245U + 12345U;
        if (len[i] == 0) {
            len[i] = ((seed >> 20 & 7) + 1) * 64;
            if (ndi_arena_alloc(&a, len[i], 64, &off[i]) == 0) {
                for (uint64_t k = 0; k < len[i] / 64; k++) {
                    ck_assert_uint_eq(used[off[i] / 64 + k], 0);
                    used[off[i] / 64 + k] = 1;
                }
            } else {
                len[i] = 0;
            }
        } else {
            ck_assert_int_eq(ndi_arena_free(&a, off[i], len[i]), 0);
            memset(used + off[i] / 64, 0, len[i] / 64);
            len[i] = 0;
        }
    }
    for (int i = 0; i < 16; i++) {
        if (len[i] != 0) {
            ck_assert_int_eq(ndi_arena_free(&a, off[i], len[i]), 0);
        }
    }
    ck_assert_uint_eq(ndi_arena_room(&a), ROOM * 64);
    ck_assert_uint_eq(ndi_load_rlx(&a.map->count), 1);
    free(a.map);
}
END_TEST

/* Any bytes in the map: an error or an extent inside, never an access beyond
 * the map (the sanitizers watch). */
START_TEST(hostile_maps_are_refused)
{
    struct ndi_arena a = arena_new(65536);
    unsigned char *bytes = (unsigned char *)a.map;
    uint64_t off;

    srand(1);
    for (int n = 0; n < 20000; n++) {
        for (size_t i = 0; i < 16 + 4 * 16; i++) {
            bytes[i] = (unsigned char)(rand() >> 8 & rand() >> 8);
        }
        ndi_store_rlx(&a.map->count, (uint32_t)rand() % (n % 2 ? 9 : 100));
        if (ndi_arena_alloc(&a, 64, 64, &off) == 0) {
            ck_assert_uint_le(off, 65536 - 64);
        }
        (void)ndi_arena_free(&a, 4096, 128);
        (void)ndi_arena_carve(&a, 128, 64);
        (void)ndi_arena_room(&a);
    }
    free(a.map);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("arena");
    TCase *tc = tcase_create("arena");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, first_fit_from_low_addresses);
    tcase_add_test(tc, a_place_can_be_asked_for_within_bounds);
    tcase_add_test(tc, neighbours_join);
    tcase_add_test(tc, carving_sees_overlaps);
    tcase_add_test(tc, random_use_keeps_the_partition);
    tcase_add_test(tc, hostile_maps_are_refused);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
