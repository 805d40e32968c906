/* SPDX-License-Identifier: MIT */
/*
 * test_ops_reduce.c - the edges of reductions
 *
 * Result dtypes, NaN, infinity, nothing at all, axes of every spelling,
 * layouts, and what is refused. The order of additions: test_ops_vectors.c;
 * everything by chance against NumPy: tests/cross/ops_compare.py.
 */
#include "ops_check.h"

#include <math.h>

static const enum nds_reduction every[] = {
    NDS_SUM, NDS_PROD, NDS_MIN,    NDS_MAX,    NDS_MEAN, NDS_STD,
    NDS_VAR, NDS_ARGMIN, NDS_ARGMAX, NDS_ANY, NDS_ALL};
#define EVERY (sizeof every / sizeof *every)

#define I8 NDS_TYPE_INT64
#define U8 NDS_TYPE_UINT64
#define F2 NDS_TYPE_FLOAT16
#define F4 NDS_TYPE_FLOAT32
#define F8 NDS_TYPE_FLOAT64
#define FG NDS_TYPE_LONGDOUBLE
#define C8 NDS_TYPE_COMPLEX64
#define C16 NDS_TYPE_COMPLEX128
#define B1 NDS_TYPE_BOOL

/* sum and prod; min and max keep; mean; std and var. */
static const struct {
    enum nds_type from, sum, mean, var;
} results[] = {
    {B1, I8, F8, F8},
    {NDS_TYPE_INT8, I8, F8, F8},
    {NDS_TYPE_UINT8, U8, F8, F8},
    {NDS_TYPE_INT16, I8, F8, F8},
    {NDS_TYPE_UINT16, U8, F8, F8},
    {NDS_TYPE_INT32, I8, F8, F8},
    {NDS_TYPE_UINT32, U8, F8, F8},
    {I8, I8, F8, F8},
    {U8, U8, F8, F8},
    {F2, F2, F2, F2},
    {F4, F4, F4, F4},
    {F8, F8, F8, F8},
    {FG, FG, FG, FG},
    {C8, C8, C8, F4},
    {C16, C16, C16, F8},
};

static enum nds_type
result_of(enum nds_reduction op, enum nds_type from)
{
    const nds_dtype *dt;

    ck_assert_int_eq(nds_reduce_dtype(op, nds_dtype_builtin(from), &dt), 0);
    return nds_dtype_type(dt);
}

START_TEST(result_dtypes)
{
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        enum nds_type t = results[i].from;

        ck_assert_int_eq(result_of(NDS_SUM, t), results[i].sum);
        ck_assert_int_eq(result_of(NDS_PROD, t), results[i].sum);
        ck_assert_int_eq(result_of(NDS_MIN, t), t);
        ck_assert_int_eq(result_of(NDS_MAX, t), t);
        ck_assert_int_eq(result_of(NDS_MEAN, t), results[i].mean);
        ck_assert_int_eq(result_of(NDS_STD, t), results[i].var);
        ck_assert_int_eq(result_of(NDS_VAR, t), results[i].var);
        ck_assert_int_eq(result_of(NDS_ARGMIN, t), I8);
        ck_assert_int_eq(result_of(NDS_ARGMAX, t), I8);
        ck_assert_int_eq(result_of(NDS_ANY, t), B1);
        ck_assert_int_eq(result_of(NDS_ALL, t), B1);
    }
}
END_TEST

START_TEST(integers_wrap_in_64_bits)
{
    int8_t small[] = {127, 127, 127, -128};
    uint64_t big[] = {UINT64_MAX, 2, 3};
    int64_t low[] = {INT64_MIN, -1};
    nds_scalar s;
    nds_view v;

    VIEW(&v, NDS_INT8, small, 1, 4);
    ck_assert(whole(NDS_SUM, &v, I8) == 253);
    ck_assert(whole(NDS_PROD, &v, I8) == -262193024);
    ck_assert(whole(NDS_MIN, &v, NDS_TYPE_INT8) == -128);
    VIEW(&v, NDS_UINT64, big, 1, 3);
    ck_assert_int_eq(nds_sum(&s, &v), 0);
    ck_assert_uint_eq(*(uint64_t *)s.data, 4);
    ck_assert_int_eq(nds_prod(&s, &v), 0);
    ck_assert_uint_eq(*(uint64_t *)s.data, (uint64_t)-6);
    ck_assert_int_eq(nds_max(&s, &v), 0);
    ck_assert_uint_eq(*(uint64_t *)s.data, UINT64_MAX);
    VIEW(&v, NDS_INT64, low, 1, 2);
    ck_assert_int_eq(nds_sum(&s, &v), 0);
    ck_assert_int_eq(*(int64_t *)s.data, INT64_MAX);
    ck_assert_int_eq(nds_argmin(&s, &v), 0);
    ck_assert_int_eq(*(int64_t *)s.data, 0);
}
END_TEST

START_TEST(bools_count_and_any_byte_is_true)
{
    unsigned char m[] = {1, 0, 1, 2};
    nds_view v;

    VIEW(&v, NDS_BOOL, m, 1, 4);
    ck_assert(whole(NDS_SUM, &v, I8) == 3);
    ck_assert(whole(NDS_PROD, &v, I8) == 0);
    ck_assert(whole(NDS_MEAN, &v, F8) == 0.75);
    ck_assert(whole(NDS_MIN, &v, B1) == 0);
    ck_assert(whole(NDS_ARGMIN, &v, I8) == 1);
    ck_assert(whole(NDS_ARGMAX, &v, I8) == 0);
    m[1] = 2;
    for (int i = 0; i < 4; i++) {
        nds_scalar s;

        ck_assert_int_eq(nds_reduce((enum nds_reduction[]){
            NDS_MIN, NDS_MAX, NDS_ANY, NDS_ALL}[i], &v, NULL, &s), 0);
        ck_assert_uint_eq(s.data[0], 1);
    }
    ck_assert(whole(NDS_ARGMAX, &v, I8) == 0);
}
END_TEST

/* A NaN anywhere is min and max; the first one is argmin and argmax. Long
 * enough to reach the lanes, their rest and the second block. */
START_TEST(nan_wins_the_first_first)
{
    static double m[3000];
    static float f[3000];
    static const int places[] = {0, 1, 15, 16, 127, 1023, 1024, 2047, 2990,
                                 2999};
    nds_view v, w;

    VIEW(&v, NDS_FLOAT64, m, 1, 3000);
    VIEW(&w, NDS_FLOAT32, f, 1, 3000);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (int k = 0; k < 3000; k++) {
            m[k] = k % 7 - 3;
            f[k] = (float)m[k];
        }
        m[2999] = f[2999] = NAN;
        m[places[i]] = f[places[i]] = NAN;
        ck_assert(isnan(whole(NDS_MIN, &v, F8)));
        ck_assert(isnan(whole(NDS_MAX, &w, F4)));
        ck_assert(isnan(whole(NDS_SUM, &v, F8)));
        ck_assert(whole(NDS_ARGMIN, &v, I8) == places[i]);
        ck_assert(whole(NDS_ARGMAX, &v, I8) == places[i]);
        ck_assert(whole(NDS_ARGMIN, &w, I8) == places[i]);
        ck_assert(whole(NDS_ARGMAX, &w, I8) == places[i]);
        ck_assert(whole(NDS_ALL, &v, B1) == 0);
        ck_assert(whole(NDS_ANY, &v, B1) == 1);
    }
}
END_TEST

/* The first of equals, for each place, in every block and rest of one. */
START_TEST(the_first_of_equals)
{
    static int16_t m[2500];
    static double d[2500];
    nds_view v, w, back;

    VIEW(&v, NDS_INT16, m, 1, 2500);
    VIEW(&w, NDS_FLOAT64, d, 1, 2500);
    back = part(&w, "[::-1]");
    for (int i = 0; i < 2500; i += 31) {
        memset(m, 0, sizeof m);
        memset(d, 0, sizeof d);
        d[0] = -0.0;
        for (int k = i; k < 2500; k += 500) {
            m[k] = INT16_MAX;
            d[k] = -INFINITY;
        }
        ck_assert(whole(NDS_ARGMAX, &v, I8) == i);
        ck_assert(whole(NDS_ARGMIN, &v, I8) == (i == 0));
        ck_assert(whole(NDS_ARGMIN, &w, I8) == i);
        ck_assert(whole(NDS_ARGMAX, &w, I8) == (i == 0));
        ck_assert(whole(NDS_ARGMIN, &back, I8) ==
                  2499 - (i + (2499 - i) / 500 * 500));
    }
}
END_TEST

START_TEST(infinity_and_minus_zero)
{
    double m[] = {INFINITY, 1, -INFINITY};
    double z[] = {-0.0, -0.0};
    nds_view v, one;

    VIEW(&v, NDS_FLOAT64, m, 1, 3);
    ck_assert(isnan(whole(NDS_SUM, &v, F8)));
    ck_assert(whole(NDS_MIN, &v, F8) == -INFINITY);
    ck_assert(whole(NDS_MAX, &v, F8) == INFINITY);
    ck_assert(isnan(whole(NDS_VAR, &v, F8)));
    one = part(&v, "[:2]");
    ck_assert(whole(NDS_MEAN, &one, F8) == INFINITY);
    VIEW(&v, NDS_FLOAT64, z, 1, 2);
    ck_assert(!signbit(whole(NDS_SUM, &v, F8)));
    ck_assert(!signbit(whole(NDS_PROD, &v, F8)));
    ck_assert(whole(NDS_ARGMAX, &v, I8) == 0);
    ck_assert(whole(NDS_ANY, &v, B1) == 0);
}
END_TEST

START_TEST(nothing_has_a_sum_but_no_least)
{
    double m[6] = {0};
    int64_t out[2] = {7, 7};
    nds_scalar s;
    nds_view v, w, o;

    VIEW(&v, NDS_FLOAT64, m, 2, 2, 0);
    ck_assert(whole(NDS_SUM, &v, F8) == 0 &&
              !signbit(whole(NDS_SUM, &v, F8)));
    ck_assert(whole(NDS_PROD, &v, F8) == 1);
    ck_assert(isnan(whole(NDS_MEAN, &v, F8)));
    ck_assert(isnan(whole(NDS_STD, &v, F8)));
    ck_assert(whole(NDS_ANY, &v, B1) == 0);
    ck_assert(whole(NDS_ALL, &v, B1) == 1);
    ck_fails(nds_min(&s, &v), NDS_EINVAL);
    ck_text("zero-size array to reduction operation minimum which has no "
            "identity (shape (2,0))");
    ck_fails(nds_argmax(&s, &v), NDS_EINVAL);
    ck_text("attempt to get argmax of an empty sequence (shape (2,0))");
    VIEW(&w, NDS_INT32, m, 2, 2, 0);
    ck_assert(whole(NDS_SUM, &w, I8) == 0);
    ck_fails(nds_max(&s, &w), NDS_EINVAL);
    ck_text("(2,0)");
    // Along an axis that has elements there is nothing to refuse ...
    VIEW(&o, NDS_INT32, out, 1, 0);
    ck_assert_int_eq(nds_reduce_axes(NDS_MIN, &o, &w, AXES(0), NULL), 0);
    // ... and along the empty one there is, even for no result.
    VIEW(&w, NDS_INT32, m, 3, 2, 0, 0);
    VIEW(&o, NDS_INT32, out, 2, 2, 0);
    ck_fails(nds_reduce_axes(NDS_MIN, &o, &w, AXES(1), NULL), NDS_EINVAL);
    VIEW(&o, NDS_INT64, out, 2, 2, 0);
    ck_fails(nds_reduce_axes(NDS_ARGMIN, &o, &w, AXES(2), NULL), NDS_EINVAL);
    VIEW(&o, NDS_FLOAT64, out, 1, 2);
    ck_assert_int_eq(nds_reduce_axes(NDS_SUM, &o, &v, AXES(1), NULL), 0);
    ck_assert(((double *)out)[0] == 0 && ((double *)out)[1] == 0);
}
END_TEST

START_TEST(one_element_of_no_dimension)
{
    float m[] = {2.5F};
    nds_view v, o;
    float out[1];

    ck_assert_int_eq(nds_view_init(&v, NDS_FLOAT32, m, sizeof m, 0, NULL), 0);
    ck_assert_int_eq(nds_view_init(&o, NDS_FLOAT32, out, sizeof out, 0, NULL),
                     0);
    ck_assert(whole(NDS_SUM, &v, F4) == 2.5);
    ck_assert(whole(NDS_VAR, &v, F4) == 0);
    ck_assert(whole(NDS_ARGMIN, &v, I8) == 0);
    ck_assert_int_eq(nds_reduce_axes(NDS_MEAN, &o, &v, 0, (int[]){0}, NULL), 0);
    ck_assert(out[0] == 2.5F);
    // NumPy's folds let the axes 0 and -1 pass here, its mean does not.
    ck_assert_int_eq(nds_reduce_axes(NDS_SUM, &o, &v, AXES(-1), NULL), 0);
    ck_assert(out[0] == 2.5F);
    ck_fails(nds_reduce_axes(NDS_SUM, &o, &v, AXES(1), NULL), NDS_EINDEX);
    ck_fails(nds_reduce_axes(NDS_MEAN, &o, &v, AXES(0), NULL), NDS_EINDEX);
    ck_text("axis 0 is out of bounds for array of dimension 0");
}
END_TEST

/* 0 .. 23 as (2, 3, 4), summed over some axes. */
static void
check_axes(int naxes, const int *axes, bool keepdims, int ndim,
           const int64_t *shape, int count, const int64_t *want)
{
    nds_reduce_options opts = {sizeof opts, 0, keepdims};
    int64_t m[24], out[24], got[NDS_MAX_NDIM];
    nds_view v, o;
    int n;

    VIEW(&v, NDS_INT64, m, 3, 2, 3, 4);
    ck_assert_int_eq(nds_arange(&v), 0);
    ck_assert_int_eq(nds_reduce_shape(&v, naxes, axes, &opts, &n, got), 0);
    ck_assert_int_eq(n, ndim);
    if (ndim > 0) {
        ck_assert_mem_eq(got, shape, (size_t)ndim * sizeof *got);
    }
    ck_assert_int_eq(nds_view_init(&o, NDS_INT64, out, sizeof out, n, got), 0);
    ck_assert_int_eq(nds_reduce_axes(NDS_SUM, &o, &v, naxes, axes, &opts), 0);
    ck_assert_mem_eq(out, want, (size_t)count * sizeof *want);
    nds_view_fini(&o);
    nds_view_fini(&v);
}

START_TEST(axes_and_keepdims)
{
    static const int64_t first[] = {12, 14, 16, 18, 20, 22,
                                    24, 26, 28, 30, 32, 34};
    static const int64_t last[] = {6, 22, 38, 54, 70, 86};
    static const int64_t outer[] = {60, 92, 124};

    check_axes(AXES(0), false, 2, SHAPE(3, 4), 12, first);
    check_axes(AXES(-3), false, 2, SHAPE(3, 4), 12, first);
    check_axes(AXES(-1), false, 2, SHAPE(2, 3), 6, last);
    check_axes(AXES(2), true, 3, SHAPE(2, 3, 1), 6, last);
    check_axes(AXES(0, -1), false, 1, SHAPE(3), 3, outer);
    check_axes(AXES(-1, 0), true, 3, SHAPE(1, 3, 1), 3, outer);
    check_axes(AXES(0, 1, 2), false, 0, NULL, 1, SHAPE(276));
    check_axes(-1, NULL, true, 3, SHAPE(1, 1, 1), 1, SHAPE(276));
    check_axes(0, (int[]){0}, false, 3, SHAPE(2, 3, 4), 4, SHAPE(0, 1, 2, 3));
}
END_TEST

START_TEST(axes_and_outputs_refused)
{
    double m[6] = {1, 2, 3, 4, 5, 6}, out[6];
    nds_view v, o;

    VIEW(&v, NDS_FLOAT64, m, 3, 1, 2, 3);
    VIEW(&o, NDS_FLOAT64, out, 2, 1, 2);
    ck_fails(nds_reduce_axes(NDS_SUM, &o, &v, AXES(3), NULL), NDS_EINDEX);
    ck_text("axis 3 is out of bounds for array of dimension 3");
    ck_fails(nds_reduce_axes(NDS_SUM, &o, &v, AXES(-4), NULL), NDS_EINDEX);
    ck_text("axis -4 is out of bounds");
    ck_fails(nds_reduce_axes(NDS_SUM, &o, &v, AXES(1, -2), NULL), NDS_EINVAL);
    ck_text("duplicate value in 'axis'");
    ck_fails(nds_reduce_axes(NDS_SUM, &o, &v, AXES(1), NULL), NDS_ESHAPE);
    ck_text("output of shape (1,2) for a result of shape (1,3)");
    ck_fails(nds_reduce_axes(NDS_ARGMIN, &o, &v, AXES(2), NULL), NDS_ECAST);
    ck_text("argmin");
    VIEW(&o, NDS_INT64, out, 1, 1);
    ck_fails(nds_reduce_axes(NDS_ARGMAX, &o, &v, AXES(1, 2), NULL),
             NDS_EINVAL);
    ck_text("argmax goes along one axis or over all, not along 2 of shape "
            "(1,2,3)");
    VIEW(&o, NDS_FLOAT64, out, 2, 1, 2);
    o.flags |= NDS_VIEW_READONLY;
    ck_fails(nds_reduce_axes(NDS_SUM, &o, &v, AXES(2), NULL), NDS_EREADONLY);
}
END_TEST

/* 64 dimensions of extent 1, and 2 twice. */
START_TEST(sixty_four_dimensions)
{
    int64_t shape[NDS_MAX_NDIM], kept[NDS_MAX_NDIM];
    int axes[NDS_MAX_NDIM];
    float m[4] = {4, 1, 3, 2}, out[2];
    nds_view v, o;
    int n;

    for (int i = 0; i < NDS_MAX_NDIM; i++) {
        shape[i] = i == 0 || i == 40 ? 2 : 1;
        axes[i] = i;
    }
    ck_assert_int_eq(nds_view_init(&v, NDS_FLOAT32, m, sizeof m, 64, shape), 0);
    ck_assert(whole(NDS_SUM, &v, F4) == 10);
    ck_assert(whole(NDS_ARGMIN, &v, I8) == 1);
    ck_assert(whole(NDS_VAR, &v, F4) == 1.25);
    ck_assert_int_eq(nds_reduce_shape(&v, 63, axes + 1, NULL, &n, kept), 0);
    ck_assert(n == 1 && kept[0] == 2);
    VIEW(&o, NDS_FLOAT32, out, 1, 2);
    ck_assert_int_eq(nds_reduce_axes(NDS_MAX, &o, &v, 63, axes + 1, NULL), 0);
    ck_assert(out[0] == 4 && out[1] == 3);
}
END_TEST

/* Every operation over other layouts gives what a C-order copy gives. */
START_TEST(layouts_agree)
{
    static const char *const cuts[] = {"[::-1]", "[:, ::-1]", "[::2, ::3]",
                                       "[-1:0:-2, 1:]", "[3]", "[:, 5]"};
    int32_t m[7 * 9], copy[7 * 9];
    nds_view v, c;

    VIEW(&v, NDS_INT32, m, 2, 7, 9);
    for (int i = 0; i < 63; i++) {
        m[i] = i * 37 % 63 - 20;
    }
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        nds_view w = part(&v, cuts[i]), t;

        ck_assert_int_eq(nds_view_transpose(&t, &w, NULL), 0);
        ck_assert_int_eq(nds_view_init(&c, NDS_INT32, copy, sizeof copy,
                                       t.ndim, t.shape), 0);
        ck_assert_int_eq(nds_assign(&c, &t), 0);
        for (size_t k = 0; k < EVERY; k++) {
            nds_scalar a, b;

            ck_assert_int_eq(nds_reduce(every[k], &t, NULL, &a), 0);
            ck_assert_int_eq(nds_reduce(every[k], &c, NULL, &b), 0);
            if (every[k] == NDS_STD || every[k] == NDS_VAR) {
                ck_assert_double_eq_tol(nds_scalar_double(&a),
                                        nds_scalar_double(&b), 1e-12);
            } else {
                ck_assert_mem_eq(a.data, b.data, 8);
            }
        }
        nds_view_fini(&c);
        nds_view_fini(&t);
        nds_view_fini(&w);
    }
}
END_TEST

START_TEST(a_broadcast_input_counts_every_time)
{
    double m[2] = {1, 5}, out[2];
    int64_t at[3];
    nds_view v, w, o;

    VIEW(&v, NDS_FLOAT64, m, 2, 2, 1);
    ck_assert_int_eq(nds_view_broadcast(&w, &v, 3, SHAPE(3, 2, 1000)), 0);
    ck_assert(whole(NDS_SUM, &w, F8) == 18000);
    ck_assert(whole(NDS_VAR, &w, F8) == 4);
    ck_assert(whole(NDS_ARGMAX, &w, I8) == 1000);
    VIEW(&o, NDS_FLOAT64, out, 1, 2);
    ck_assert_int_eq(nds_reduce_axes(NDS_SUM, &o, &w, AXES(0, 2), NULL), 0);
    ck_assert(out[0] == 3000 && out[1] == 15000);
    VIEW(&o, NDS_INT64, at, 1, 3);
    nds_view_fini(&w);
    ck_assert_int_eq(nds_view_broadcast(&w, &v, 3, SHAPE(3, 2, 1)), 0);
    nds_view_fini(&v);
    v = part(&w, "[:, :, 0]");
    ck_assert_int_eq(nds_reduce_axes(NDS_ARGMAX, &o, &v, AXES(1), NULL), 0);
    ck_assert(at[0] == 1 && at[1] == 1 && at[2] == 1);
}
END_TEST

/* The output may lie in the input: it is written when all is read. */
START_TEST(an_output_over_its_input)
{
    double m[6] = {1, 2, 3, 4, 5, 6};
    nds_view v, o;

    VIEW(&v, NDS_FLOAT64, m, 2, 2, 3);
    o = part(&v, "[0]");
    ck_assert_int_eq(nds_reduce_axes(NDS_SUM, &o, &v, AXES(0), NULL), 0);
    ck_assert(m[0] == 5 && m[1] == 7 && m[2] == 9 && m[3] == 4);
}
END_TEST

START_TEST(complex_numbers)
{
    double m[] = {1, 2, 1, -5, -1, 7};
    double odd[] = {INFINITY, 1};
    nds_scalar s;
    nds_view v;

    VIEW(&v, NDS_COMPLEX128, m, 1, 3);
    ck_assert_int_eq(nds_sum(&s, &v), 0);
    ck_assert(((double *)s.data)[0] == 1 && ((double *)s.data)[1] == 4);
    ck_assert_int_eq(nds_max(&s, &v), 0); // by the real part, then the other
    ck_assert(((double *)s.data)[1] == 2);
    ck_assert(whole(NDS_ARGMAX, &v, I8) == 0);
    ck_assert(whole(NDS_ARGMIN, &v, I8) == 2);
    ck_assert_double_eq_tol(whole(NDS_VAR, &v, F8), 226.0 / 9, 1e-12);
    m[3] = NAN;
    ck_assert(whole(NDS_ARGMIN, &v, I8) == 1);
    ck_assert(whole(NDS_ARGMAX, &v, I8) == 1);
    // NumPy divides by the complex n + 0j: infinity times 0 is NaN.
    VIEW(&v, NDS_COMPLEX128, odd, 1, 1);
    ck_assert_int_eq(nds_mean(&s, &v), 0);
    ck_assert(((double *)s.data)[0] == INFINITY &&
              isnan(((double *)s.data)[1]));
}
END_TEST

/* Sums of halves are float32 until they are stored: 2048 + 1 + 1 is 2050. */
START_TEST(halves_round_at_the_end)
{
    uint16_t m[] = {0x6800, 0x3c00, 0x3c00}; /* 2048, 1, 1 */
    uint16_t big[] = {0x7bff, 0x7bff};       /* 65504 twice */
    nds_scalar s;
    nds_view v;

    VIEW(&v, NDS_FLOAT16, m, 1, 3);
    ck_assert(whole(NDS_SUM, &v, F2) == 2050);
    ck_assert(whole(NDS_MEAN, &v, F2) == 683.5);
    ck_assert(whole(NDS_MAX, &v, F2) == 2048);
    ck_assert(whole(NDS_ARGMAX, &v, I8) == 0);
    VIEW(&v, NDS_FLOAT16, big, 1, 2);
    ck_assert(whole(NDS_SUM, &v, F2) == INFINITY);
    ck_assert(whole(NDS_MEAN, &v, F2) == 65504);
    ck_assert_int_eq(nds_prod(&s, &v), 0);
    ck_assert_uint_eq(*(uint16_t *)s.data, 0x7c00);
}
END_TEST

/* (8197 + 2^-10) / 8193 is a little more than the middle of two halves, and in
 * float32 it is that middle: rounding once gives the upper one, twice the
 * lower. NumPy rounds scalars once, arrays twice. */
START_TEST(the_mean_of_halves)
{
    static uint16_t m[8193];
    uint16_t out[1];
    nds_scalar s;
    nds_view v, o;

    for (int i = 0; i < 8193; i++) {
        m[i] = i < 4 ? 0x4000 : i == 4 ? 0x3c01 : 0x3c00;
    }
    VIEW(&v, NDS_FLOAT16, m, 2, 1, 8193);
    ck_assert_int_eq(nds_mean(&s, &v), 0);
    ck_assert_uint_eq(*(uint16_t *)s.data, 0x3c01);
    VIEW(&o, NDS_FLOAT16, out, 1, 1);
    ck_assert_int_eq(nds_reduce_axes(NDS_MEAN, &o, &v, AXES(1), NULL), 0);
    ck_assert_uint_eq(out[0], 0x3c00);
}
END_TEST

START_TEST(ddof_divides_by_less)
{
    double m[] = {1, 2, 3, 4};
    nds_reduce_options opts = {sizeof opts, 1, false};
    nds_scalar s;
    nds_view v;

    VIEW(&v, NDS_FLOAT64, m, 1, 4);
    ck_assert_int_eq(nds_reduce(NDS_VAR, &v, &opts, &s), 0);
    ck_assert(nds_scalar_double(&s) == 5.0 / 3);
    opts.ddof = 4;
    ck_assert_int_eq(nds_reduce(NDS_VAR, &v, &opts, &s), 0);
    ck_assert(nds_scalar_double(&s) == INFINITY);
    opts.ddof = 9;
    ck_assert_int_eq(nds_reduce(NDS_STD, &v, &opts, &s), 0);
    ck_assert(nds_scalar_double(&s) == INFINITY);
}
END_TEST

START_TEST(other_dtypes_are_named)
{
    static const struct {
        const char *dtype, *said;
    } odd[] = {
        {">i4", "dtype('>i4')"},
        {"S3", "dtype('|S3')"},
        {"U2", "dtype('<U2')"},
        {"M8[s]", "dtype('<M8[s]')"},
        {"m8[ms]", "dtype('<m8[ms]')"},
        {"V5", "dtype('|V5')"},
        {"[('x', '<f4'), ('n', '<i2')]", "[('x', '<f4'), ('n', '<i2')]"},
    };
    char m[64] = {0};

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const nds_dtype *dt;
        nds_view v;

        ck_assert_int_eq(nds_dtype_parse(&dt, odd[i].dtype), 0);
        ck_assert_int_eq(nds_view_init(&v, dt, m, sizeof m, 1, SHAPE(2)), 0);
        for (size_t k = 0; k < EVERY; k++) {
            nds_scalar s = nds_int(9);

            ck_fails(nds_reduce(every[k], &v, NULL, &s), NDS_ECAST);
            ck_text(odd[i].said);
            ck_assert_int_eq(nds_scalar_int64(&s), 9);
        }
        nds_view_fini(&v);
        nds_dtype_put(dt);
    }
}
END_TEST

/* Packed memory at an odd address: what a file mapped at an offset gives. */
START_TEST(unaligned_memory)
{
    static unsigned char raw[8 * 300 + 1];
    nds_view v;

    for (int i = 0; i < 300; i++) {
        double d = i % 50;

        memcpy(raw + 1 + 8 * i, &d, 8);
    }
    ck_assert_int_eq(nds_view_init(&v, NDS_FLOAT64, raw + 1, sizeof raw - 1, 1,
                                   SHAPE(300)), 0);
    ck_assert(whole(NDS_SUM, &v, F8) == 6 * 49 * 25);
    ck_assert(whole(NDS_ARGMAX, &v, I8) == 49);
    ck_assert(whole(NDS_MIN, &v, F8) == 0);
    ck_assert(whole(NDS_ALL, &v, B1) == 0);
}
END_TEST

RUN("ops_reduce", result_dtypes, integers_wrap_in_64_bits,
    bools_count_and_any_byte_is_true, nan_wins_the_first_first,
    the_first_of_equals, infinity_and_minus_zero,
    nothing_has_a_sum_but_no_least, one_element_of_no_dimension,
    axes_and_keepdims, axes_and_outputs_refused, sixty_four_dimensions,
    layouts_agree, a_broadcast_input_counts_every_time,
    an_output_over_its_input, complex_numbers, halves_round_at_the_end,
    the_mean_of_halves, ddof_divides_by_less, other_dtypes_are_named,
    unaligned_memory)
