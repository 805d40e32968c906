/* SPDX-License-Identifier: MIT */
/* test_slice.c - "[0, :, ::2]" read and applied */
#include "nd_check.h"

static const struct {
    const char *text;
    int ndim;
    int64_t shape[4];
    int first; /* the element at the front, of 0..23 */
} good[] = {
    {"", 3, {2, 3, 4}, 0},
    {"[1]", 2, {3, 4}, 12},
    {"1, 2, 3", 0, {0}, 23},
    {"[-1, ..., -1]", 1, {3}, 15},
    {"[..., ::-1]", 3, {2, 3, 4}, 3},
    {"[:, None, 1:, newaxis]", 5, {2, 1, 2, 1}, 4},
    {"[::2, ::-2]", 3, {1, 2, 4}, 8},
    {"[:99999999999999999999, -99:]", 3, {2, 3, 4}, 0},
    {"[None:None:None, 0:1:9223372036854775807]", 3, {2, 1, 4}, 0},
    {" [ 1 , : ] ", 2, {3, 4}, 12},
    {"[1,]", 2, {3, 4}, 12},
    {"[2:1]", 3, {0, 3, 4}, -1},
    {"[::-9223372036854775807]", 3, {1, 3, 4}, 12},
};

START_TEST(slices_are_numpys)
{
    int32_t m[24];
    nds_view v, out;

    for (int i = 0; i < 24; i++) {
        m[i] = i;
    }
    nds_view_init(&v, NDS_INT32, m, sizeof m, 3, (int64_t[]){2, 3, 4});
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(nds_view_slice(&out, &v, good[i].text) == 0, "%s: %s",
                      good[i].text, nds_last_error()->message);
        ck_assert_msg(out.ndim == good[i].ndim, "%s", good[i].text);
        for (int k = 0; k < (out.ndim < 4 ? out.ndim : 4); k++) {
            ck_assert_msg(out.shape[k] == good[i].shape[k], "%s",
                          good[i].text);
        }
        if (good[i].first >= 0) {
            ck_assert_int_eq(*(int32_t *)out.data, good[i].first);
        }
        nds_view_fini(&out);
    }
    nds_view_fini(&v);
}
END_TEST

static const struct {
    const char *text;
    int code;
    const char *why;
} bad[] = {
    {"[2]", NDS_EINDEX, "index 2 is out of bounds for axis 0 with size 2"},
    {"[0, -4]", NDS_EINDEX, "index -4 is out of bounds for axis 1 with size 3"},
    {"[0, 0, 0, 0]", NDS_EINDEX, "too many indices"},
    {"[..., ...]", NDS_EINDEX, "single ellipsis"},
    {"[::0]", NDS_EINVAL, "slice step cannot be zero"},
    {"[", NDS_EINVAL, "an index is missing at character 1"},
    {"[]", NDS_EINVAL, "an index is missing"},
    {"[1", NDS_EINVAL, "expected"},
    {"[1]]", NDS_EINVAL, "character 3"},
    {"[1:2:3:4]", NDS_EINVAL, "third ':'"},
    {"[a]", NDS_EINVAL, "character 1"},
    {"[-]", NDS_EINVAL, "number"},
    {"[1.5]", NDS_EINVAL, "character 2"},
    {"[1, , 2]", NDS_EINVAL, "character 4"},
};

START_TEST(bad_slices_say_where)
{
    char m[24];
    nds_view v, out;

    nds_view_init(&v, NDS_INT8, m, sizeof m, 3, (int64_t[]){2, 3, 4});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(nds_view_slice(&out, &v, bad[i].text) == bad[i].code,
                      "%s: %s", bad[i].text, nds_last_error()->message);
        ck_text(bad[i].why);
        ck_assert_ptr_null(out.dtype);
    }
    nds_view_fini(&v);
}
END_TEST

START_TEST(room_is_kept)
{
    nds_index index[2];
    int count;

    ck_assert_int_eq(nds_index_parse("[1, 2]", index, 2, &count), 0);
    ck_assert_int_eq(count, 2);
    ck_fails(nds_index_parse("[1, 2, 3]", index, 2, &count), NDS_EINDEX);
}
END_TEST

RUN("slice", slices_are_numpys, bad_slices_say_where, room_is_kept)
