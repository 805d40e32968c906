/* SPDX-License-Identifier: MIT */
/* test_view.c - making, bounds, reshaping, fields, bytes reinterpreted */
#include "nd_check.h"

#include <nd/iter.h>
#include <nd/shape.h>

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})

START_TEST(views_stay_in_their_memory)
{
    double m[6];
    nds_view v;

    ck_assert_int_eq(nds_view_init(&v, NDS_FLOAT64, m, 48, 2, SHAPE(2, 3)), 0);
    ck_assert_int_eq(v.strides[0], 24);
    nds_view_fini(&v);
    ck_fails(nds_view_init(&v, NDS_FLOAT64, m, 47, 2, SHAPE(2, 3)),
             NDS_EBUFFER);
    ck_text("buffer is too small for requested array");
    ck_assert_ptr_null(v.dtype);
    ck_fails(nds_view_init(&v, NDS_FLOAT64, m, 48, 2, SHAPE(2, -3)),
             NDS_ESHAPE);
    ck_fails(nds_view_init(&v, NDS_FLOAT64, m, 48, 65, v.shape), NDS_ESHAPE);
    ck_fails(nds_view_init(&v, NDS_FLOAT64, m, 48, 3,
                           SHAPE(1LL << 31, 1LL << 31, 0)), NDS_ESHAPE);
    ck_fails(nds_view_init_strided(&v, NDS_FLOAT64, m, 48, 0, 1, SHAPE(2),
                                   SHAPE(-8), 'C'), NDS_EBUFFER);
    ck_fails(nds_view_init_strided(&v, NDS_FLOAT64, m, 48, 0, 1, SHAPE(3),
                                   SHAPE(INT64_MAX), 'C'), NDS_EBUFFER);
    ck_fails(nds_view_init_strided(&v, NDS_FLOAT64, m, 48, INT64_MIN, 0, NULL,
                                   NULL, 'C'), NDS_EBUFFER);
    ck_assert_int_eq(nds_view_init_strided(&v, NDS_FLOAT64, m, 48, 40, 1,
                                           SHAPE(6), SHAPE(-8), 'C'), 0);
    nds_view_fini(&v);
    ck_assert_int_eq(nds_view_init(&v, NDS_FLOAT64, NULL, 0, 2, SHAPE(0, 3)),
                     0);
    ck_assert_int_eq(nds_view_count(&v), 0);
    nds_view_fini(&v);
}
END_TEST

START_TEST(subarrays_become_axes)
{
    char m[96];
    const nds_dtype *dt;
    nds_view v, f;

    nds_dtype_parse(&dt, "('<f4', (2, 3))");
    ck_assert_int_eq(nds_view_init(&v, dt, m, sizeof m, 1, SHAPE(4)), 0);
    ck_assert_int_eq(v.ndim, 3);
    ck_assert_int_eq(v.strides[0], 24);
    ck_assert(v.dtype == NDS_FLOAT32);
    nds_view_fini(&v);
    nds_dtype_put(dt);
    nds_dtype_parse(&dt, "[('a', 'i4'), ('b', '<f4', (2, 2))]");
    ck_assert_int_eq(nds_view_init(&v, dt, m, sizeof m, 1, SHAPE(4)), 0);
    ck_assert_int_eq(nds_view_field(&f, &v, "b"), 0);
    ck_assert_int_eq(f.ndim, 3);
    ck_assert_int_eq(f.strides[0], 20);
    ck_assert_ptr_eq(f.data, m + 4);
    nds_view_fini(&f);
    ck_fails(nds_view_field(&f, &v, "c"), NDS_EKEY);
    nds_view_fini(&v);
    nds_dtype_put(dt);
}
END_TEST

START_TEST(reshape_shares_or_says_so)
{
    int32_t m[12];
    nds_view v, t, out;

    nds_view_init(&v, NDS_INT32, m, sizeof m, 2, SHAPE(3, 4));
    ck_assert_int_eq(nds_view_reshape(&out, &v, 2, SHAPE(-1, 2), 'C'), 0);
    ck_assert_int_eq(out.shape[0], 6);
    nds_view_fini(&out);
    ck_fails(nds_view_reshape(&out, &v, 2, SHAPE(5, 2), 'C'), NDS_ESHAPE);
    ck_text("cannot reshape array of size 12 into shape (5,2)");
    ck_fails(nds_view_reshape(&out, &v, 2, SHAPE(-1, -1), 'C'), NDS_ESHAPE);
    ck_fails(nds_view_reshape(&out, &v, 2, SHAPE(-1, 0), 'C'), NDS_ESHAPE);
    ck_fails(nds_view_reshape(&out, &v, 2, SHAPE(INT64_MAX, 3), 'C'),
             NDS_ESHAPE);
    nds_view_transpose(&t, &v, NULL);
    ck_assert_int_eq(nds_view_reshape(&out, &t, 1, SHAPE(12), 'C'),
                     NDS_EAGAIN);
    ck_assert_ptr_null(out.dtype);
    ck_assert_int_eq(nds_view_reshape(&out, &t, 1, SHAPE(12), 'F'), 0);
    nds_view_fini(&out);
    nds_view_fini(&t);
    ck_fails(nds_view_transpose(&t, &v, (const int[]){0, 0}), NDS_EINVAL);
    ck_fails(nds_view_transpose(&t, &v, (const int[]){0, 2}), NDS_EINDEX);
    nds_view_fini(&v);
}
END_TEST

START_TEST(broadcast_is_readonly)
{
    int32_t m[3] = {1, 2, 3};
    nds_view v, out;

    nds_view_init(&v, NDS_INT32, m, sizeof m, 1, SHAPE(3));
    ck_assert_int_eq(nds_view_broadcast(&out, &v, 2, SHAPE(4, 3)), 0);
    ck_assert_int_eq(out.strides[0], 0);
    ck_fails(nds_assign(&out, &v), NDS_EREADONLY);
    nds_view_fini(&out);
    ck_fails(nds_view_broadcast(&out, &v, 1, SHAPE(4)), NDS_ESHAPE);
    nds_view_fini(&v);
}
END_TEST

START_TEST(bytes_are_reinterpreted)
{
    int32_t m[6];
    nds_view v, out;

    nds_view_init(&v, NDS_INT32, m, sizeof m, 2, SHAPE(3, 2));
    ck_assert_int_eq(nds_view_cast_bytes(&out, &v, NDS_INT16), 0);
    ck_assert_int_eq(out.shape[1], 4);
    nds_view_fini(&out);
    ck_assert_int_eq(nds_view_cast_bytes(&out, &v, NDS_FLOAT64), 0);
    ck_assert_int_eq(out.shape[1], 1);
    nds_view_fini(&out);
    ck_fails(nds_view_cast_bytes(&out, &v, NDS_COMPLEX128), NDS_EINVAL);
    nds_view_transpose(&out, &v, NULL);
    nds_view_fini(&v);
    ck_fails(nds_view_cast_bytes(&v, &out, NDS_INT16), NDS_EINVAL);
    nds_view_fini(&out);
}
END_TEST

START_TEST(at_knows_its_bounds)
{
    int32_t m[6];
    nds_view v;
    void *at;

    nds_view_init(&v, NDS_INT32, m, sizeof m, 2, SHAPE(3, 2));
    ck_assert_int_eq(nds_view_at(&v, SHAPE(-1, 1), &at), 0);
    ck_assert_ptr_eq(at, &m[5]);
    ck_fails(nds_view_at(&v, SHAPE(0, 2), &at), NDS_EINDEX);
    ck_text("index 2 is out of bounds for axis 1 with size 2");
    ck_fails(nds_view_at(&v, SHAPE(INT64_MIN, 0), &at), NDS_EINDEX);
    nds_view_fini(&v);
}
END_TEST

START_TEST(walks_join_what_is_one_run)
{
    static int32_t m[24];
    struct ndi_iter it;
    nds_view v, t;
    const nds_view *views[2] = {&v, &t};
    int64_t seen = 0;

    nds_view_init(&v, NDS_INT32, m, sizeof m, 3, SHAPE(2, 3, 4));
    nds_view_copy(&t, &v);
    ck_assert(ndi_iter_init(&it, 2, views, 0));
    ck_assert_int_eq(it.count, 24);
    ck_assert(!ndi_iter_next(&it));
    nds_view_fini(&t);
    nds_view_slice(&t, &v, "[::-1, ::-1, ::-1]");
    views[0] = &t;
    ck_assert(ndi_iter_init(&it, 1, views, 0));
    ck_assert_int_eq(it.count, 24);
    ck_assert_ptr_eq(it.data[0], m);
    nds_view_fini(&t);
    nds_view_slice(&t, &v, "[:, 1:, ::2]");
    ck_assert(ndi_iter_init(&it, 1, views, 0));
    do {
        seen += it.count;
    } while (ndi_iter_next(&it));
    ck_assert_int_eq(seen, 8);
    nds_view_fini(&t);
    nds_view_slice(&t, &v, "[:, 3:]");
    ck_assert(!ndi_iter_init(&it, 1, views, 0));
    nds_view_fini(&t);
    nds_view_fini(&v);
}
END_TEST

RUN("view", views_stay_in_their_memory, subarrays_become_axes,
    reshape_shares_or_says_so, broadcast_is_readonly, bytes_are_reinterpreted,
    at_knows_its_bounds, walks_join_what_is_one_run)
