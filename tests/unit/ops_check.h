/* SPDX-License-Identifier: MIT */
/* ops_check.h - short words for the tests of arithmetic and reductions */
#ifndef OPS_CHECK_H
#define OPS_CHECK_H

#include "nd_check.h"

#include <ndshare/ops.h>

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})
#define AXES(...)                                                             \
    (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (const int[])          \
    {                                                                         \
        __VA_ARGS__                                                           \
    }

/* A C-order view of an array of the test's. */
#define VIEW(v, dtype, m, ndim, ...)                                          \
    ck_assert_int_eq(nds_view_init((v), (dtype), (m), sizeof(m), (ndim),      \
                                   SHAPE(__VA_ARGS__)),                       \
                     0)

static inline nds_view
part(const nds_view *v, const char *text)
{
    nds_view out;

    ck_assert_msg(nds_view_slice(&out, v, text) == 0, "%s: %s", text,
                  nds_last_error()->message);
    return out;
}

/* What a reduction of everything gives, as a number; its dtype's type. */
static inline double
whole(enum nds_reduction op, const nds_view *v, enum nds_type want)
{
    nds_scalar s;

    ck_assert_msg(nds_reduce(op, v, NULL, &s) == 0, "%s",
                  nds_last_error()->message);
    ck_assert_int_eq(nds_dtype_type(s.dtype), want);
    return nds_scalar_double(&s);
}

#endif
