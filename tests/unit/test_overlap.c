/* SPDX-License-Identifier: MIT */
/* test_overlap.c - the answer against marking every byte */
#include "nd_check.h"

static uint64_t state = 2463534242u;

static int64_t
pick(int64_t low, int64_t high)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return low + (int64_t)(state % (uint64_t)(high - low + 1));
}

static void
mark(unsigned char *marks, const nds_view *v, int axis, int64_t at)
{
    if (axis == v->ndim) {
        for (int64_t i = 0; i < nds_dtype_itemsize(v->dtype); i++) {
            marks[at + i] = 1;
        }
        return;
    }
    for (int64_t i = 0; i < v->shape[axis]; i++) {
        mark(marks, v, axis + 1, at + i * v->strides[axis]);
    }
}

START_TEST(exact_for_small_views)
{
    static char memory[2048];
    const nds_dtype *dtypes[] = {NDS_INT8, NDS_INT16, NDS_INT32, NDS_INT64};
    int yes = 0;

    for (int round = 0; round < 4000; round++) {
        unsigned char marks[2][2048] = {{0}, {0}};
        nds_view v[2];
        bool touch = false;

        for (int k = 0; k < 2; k++) {
            int64_t shape[3], strides[3];

            for (int i = 0; i < 3; i++) {
                shape[i] = pick(0, 20) == 0 ? 0 : pick(1, 5);
                strides[i] = pick(-40, 40);
            }
            ck_assert_int_eq(
                nds_view_init_strided(&v[k], dtypes[pick(0, 3)], memory,
                                      sizeof memory, pick(1000, 1040),
                                      (int)pick(0, 3), shape, strides, 'C'),
                0);
            mark(marks[k], &v[k], 0, (char *)v[k].data - memory);
        }
        for (int i = 0; i < 2048; i++) {
            touch = touch || (marks[0][i] && marks[1][i]);
        }
        ck_assert_int_eq(nds_view_overlaps(&v[0], &v[1]), touch);
        yes += touch;
        nds_view_fini(&v[0]);
        nds_view_fini(&v[1]);
    }
    ck_assert_int_gt(yes, 400);
    ck_assert_int_lt(yes, 3600);
}
END_TEST

RUN("overlap", exact_for_small_views)
