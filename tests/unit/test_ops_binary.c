/* SPDX-License-Identifier: MIT */
/*
 * test_ops_binary.c - fill and arithmetic: dtypes, shapes, places, refusals
 *
 * By chance against NumPy: tests/cross/ops_compare.py.
 */
#include "ops_check.h"

#include <math.h>

/* The dtype of a op b, as NumPy 2 has it; NULL: refused. */
static const struct {
    enum nds_op op;
    const char *a, *b, *want;
} pairs[] = {
    {NDS_ADD, "?", "?", "bool"},
    {NDS_SUBTRACT, "?", "?", NULL},
    {NDS_MULTIPLY, "?", "i1", "int8"},
    {NDS_DIVIDE, "?", "?", "float64"},
    {NDS_DIVIDE, "i1", "u1", "float64"},
    {NDS_ADD, "i1", "u1", "int16"},
    {NDS_ADD, "u2", "i2", "int32"},
    {NDS_ADD, "u4", "i1", "int64"},
    {NDS_ADD, "u8", "i8", "float64"},
    {NDS_ADD, "u8", "u1", "uint64"},
    {NDS_ADD, "i1", "f2", "float16"},
    {NDS_ADD, "i2", "f2", "float32"},
    {NDS_ADD, "i4", "f4", "float64"},
    {NDS_ADD, "f2", "f4", "float32"},
    {NDS_MULTIPLY, "f4", "F", "complex64"},
    {NDS_MULTIPLY, "f8", "F", "complex128"},
    {NDS_MULTIPLY, "i4", "F", "complex128"},
    {NDS_DIVIDE, "i2", "F", "complex64"},
    {NDS_ADD, "g", "f8", "longdouble"},
    {NDS_ADD, "g", "F", NULL},
    {NDS_ADD, ">i4", "i4", NULL},
    {NDS_ADD, "S3", "i4", NULL},
    {NDS_ADD, "i4", "M8[s]", NULL},
    {NDS_ADD, "i4", "[('x', '<i4')]", NULL},
};

START_TEST(result_dtypes)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const nds_dtype *a, *b, *out, *want = NULL;
        int rc;

        ck_assert_int_eq(nds_dtype_parse(&a, pairs[i].a), 0);
        ck_assert_int_eq(nds_dtype_parse(&b, pairs[i].b), 0);
        rc = nds_binary_dtype(pairs[i].op, a, b, &out);
        if (pairs[i].want) {
            ck_assert_int_eq(nds_dtype_parse(&want, pairs[i].want), 0);
            ck_assert_msg(rc == 0 && nds_dtype_equal(out, want), "%s %s",
                          pairs[i].a, pairs[i].b);
        } else {
            ck_assert_msg(rc == NDS_ECAST, "%s %s", pairs[i].a, pairs[i].b);
            ck_assert_ptr_null(out);
        }
        nds_dtype_put(a);
        nds_dtype_put(b);
        nds_dtype_put(want);
    }
}
END_TEST

static enum nds_type
with_scalar(enum nds_op op, const nds_dtype *a, nds_scalar s)
{
    const nds_dtype *out;
    int rc = nds_binary_scalar_dtype(op, a, &s, &out);

    return rc < 0 ? 0 : nds_dtype_type(out);
}

/* A scalar is weak: it brings its kind, not its size. */
START_TEST(scalars_are_weak)
{
    int8_t m[2] = {100, -100};
    uint64_t u[1];
    nds_view v;

    ck_assert(with_scalar(NDS_ADD, NDS_INT8, nds_int(1)) == NDS_TYPE_INT8);
    ck_assert(with_scalar(NDS_ADD, NDS_BOOL, nds_int(1)) == NDS_TYPE_INT64);
    ck_assert(with_scalar(NDS_ADD, NDS_INT8, nds_float(1)) ==
              NDS_TYPE_FLOAT64);
    ck_assert(with_scalar(NDS_ADD, NDS_FLOAT16, nds_float(1)) ==
              NDS_TYPE_FLOAT16);
    ck_assert(with_scalar(NDS_ADD, NDS_FLOAT32, nds_complex(1, 0)) ==
              NDS_TYPE_COMPLEX64);
    ck_assert(with_scalar(NDS_DIVIDE, NDS_INT8, nds_int(1)) ==
              NDS_TYPE_FLOAT64);
    ck_assert(with_scalar(NDS_SUBTRACT, NDS_BOOL, nds_bool(true)) == 0);
    // There is no complex256: not even for division, which makes float64s.
    ck_assert(with_scalar(NDS_ADD, NDS_LONGDOUBLE, nds_complex(1, 1)) == 0);
    ck_assert(with_scalar(NDS_DIVIDE, NDS_LONGDOUBLE, nds_complex(1, 1)) == 0);
    ck_text("complex256");
    VIEW(&v, NDS_INT8, m, 1, 2);
    ck_assert_int_eq(nds_add_scalar(&v, &v, nds_int(100)), 0);
    ck_assert(m[0] == -56 && m[1] == 0); // wraps
    ck_fails(nds_add_scalar(&v, &v, nds_int(128)), NDS_EOVERFLOW);
    ck_text("Python integer 128 out of bounds for int8");
    ck_fails(nds_add_scalar(&v, &v, nds_int(-129)), NDS_EOVERFLOW);
    VIEW(&v, NDS_UINT64, u, 1, 1);
    ck_assert_int_eq(nds_fill(&v, nds_uint(UINT64_MAX)), 0);
    ck_fails(nds_add_scalar(&v, &v, nds_int(-1)), NDS_EOVERFLOW);
    ck_text("Python integer -1 out of bounds for uint64");
    ck_assert_int_eq(nds_add_scalar(&v, &v, nds_uint(2)), 0);
    ck_assert_uint_eq(u[0], 1);
}
END_TEST

START_TEST(integers_wrap_and_divide_truly)
{
    int32_t a[4] = {INT32_MAX, INT32_MIN, 7, -7}, b[4] = {1, -1, 0, 2}, o[4];
    double d[4];
    uint8_t u[2] = {3, 250}, w[2] = {5, 10};
    nds_view va, vb, vo, vd;

    VIEW(&va, NDS_INT32, a, 1, 4);
    VIEW(&vb, NDS_INT32, b, 1, 4);
    VIEW(&vo, NDS_INT32, o, 1, 4);
    VIEW(&vd, NDS_FLOAT64, d, 1, 4);
    ck_assert_int_eq(nds_add(&vo, &va, &vb), 0);
    ck_assert_mem_eq(o, ((int32_t[]){INT32_MIN, INT32_MAX, 7, -5}), sizeof o);
    ck_assert_int_eq(nds_multiply(&vo, &va, &vb), 0);
    ck_assert_mem_eq(o, ((int32_t[]){INT32_MAX, INT32_MIN, 0, -14}),
                     sizeof o);
    ck_assert_int_eq(nds_divide(&vd, &va, &vb), 0);
    ck_assert(d[0] == INT32_MAX && d[1] == 2147483648.0 && d[2] == INFINITY &&
              d[3] == -3.5);
    ck_fails(nds_divide(&vo, &va, &vb), NDS_ECAST);
    ck_text("Cannot cast ufunc 'divide' output from dtype('float64') to "
            "dtype('int32') with casting rule 'same_kind'");
    VIEW(&va, NDS_UINT8, u, 1, 2);
    VIEW(&vb, NDS_UINT8, w, 1, 2);
    ck_assert_int_eq(nds_subtract(&va, &va, &vb), 0);
    ck_assert(u[0] == 254 && u[1] == 240);
}
END_TEST

/* from (computed) may be stored in to. */
static const struct {
    enum nds_type a, to;
    bool may;
} kinds[] = {
    {NDS_TYPE_INT64, NDS_TYPE_INT8, true},
    {NDS_TYPE_UINT64, NDS_TYPE_INT8, true},
    {NDS_TYPE_INT8, NDS_TYPE_UINT64, false},
    {NDS_TYPE_BOOL, NDS_TYPE_UINT8, true},
    {NDS_TYPE_UINT8, NDS_TYPE_BOOL, false},
    {NDS_TYPE_FLOAT64, NDS_TYPE_INT64, false},
    {NDS_TYPE_INT64, NDS_TYPE_FLOAT16, true},
    {NDS_TYPE_FLOAT64, NDS_TYPE_FLOAT16, true},
    {NDS_TYPE_COMPLEX64, NDS_TYPE_FLOAT64, false},
    {NDS_TYPE_FLOAT64, NDS_TYPE_COMPLEX64, true},
};

START_TEST(outputs_of_the_same_kind)
{
    unsigned char m[2][16] = {{0}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        nds_view a, o;

        VIEW(&a, nds_dtype_builtin(kinds[i].a), m[0], 0, 0);
        VIEW(&o, nds_dtype_builtin(kinds[i].to), m[1], 0, 0);
        if (kinds[i].may) {
            ck_assert_int_eq(nds_add(&o, &a, &a), 0);
        } else {
            ck_fails(nds_add(&o, &a, &a), NDS_ECAST);
            ck_text("same_kind");
        }
        nds_view_fini(&a);
        nds_view_fini(&o);
    }
}
END_TEST

START_TEST(in_place_ops_keep_the_kind)
{
    int32_t m[2] = {1, 2};
    float f[2] = {1, 2};
    double d[2] = {0.1, 0.2};
    nds_view v, w, x;

    VIEW(&v, NDS_INT32, m, 1, 2);
    VIEW(&w, NDS_FLOAT32, f, 1, 2);
    VIEW(&x, NDS_FLOAT64, d, 1, 2);
    ck_fails(nds_add(&v, &v, &x), NDS_ECAST);
    ck_text("Cannot cast ufunc 'add' output from dtype('float64') to "
            "dtype('int32') with casting rule 'same_kind'");
    ck_fails(nds_multiply_scalar(&v, &v, nds_float(0.5)), NDS_ECAST);
    ck_fails(nds_divide_scalar(&v, &v, nds_int(2)), NDS_ECAST);
    ck_assert(m[0] == 1 && m[1] == 2);
    // float32 += float64: computed in double, rounded once.
    ck_assert_int_eq(nds_add(&w, &w, &x), 0);
    ck_assert(f[0] == (float)1.1 && f[1] == (float)2.2);
}
END_TEST

START_TEST(shapes_broadcast)
{
    double a[3] = {1, 2, 3}, b[2] = {10, 20}, o[12];
    nds_view va, vb, vo;

    VIEW(&va, NDS_FLOAT64, a, 1, 3);
    VIEW(&vb, NDS_FLOAT64, b, 2, 2, 1);
    VIEW(&vo, NDS_FLOAT64, o, 3, 2, 2, 3);
    ck_assert_int_eq(nds_add(&vo, &va, &vb), 0);
    for (int i = 0; i < 12; i++) {
        ck_assert(o[i] == a[i % 3] + b[i / 3 % 2]);
    }
    ck_assert_int_eq(nds_subtract(&vo, &vb, &va), 0);
    ck_assert(o[0] == 9 && o[11] == 17);
}
END_TEST

START_TEST(shapes_that_clash)
{
    double m[12] = {0};
    nds_view a, b, o;

    VIEW(&a, NDS_FLOAT64, m, 2, 2, 3);
    VIEW(&b, NDS_FLOAT64, m, 1, 2);
    VIEW(&o, NDS_FLOAT64, m, 2, 2, 3);
    ck_fails(nds_add(&o, &a, &b), NDS_ESHAPE);
    ck_text("operands could not be broadcast together with shapes (2,3) (2,) "
            "(2,3)");
    VIEW(&b, NDS_FLOAT64, m, 1, 3);
    VIEW(&o, NDS_FLOAT64, m, 1, 3);
    ck_fails(nds_add(&o, &a, &b), NDS_ESHAPE);
    ck_text("non-broadcastable output operand with shape (3,) doesn't match "
            "the broadcast shape (2,3)");
    VIEW(&o, NDS_FLOAT64, m, 2, 1, 3);
    ck_fails(nds_add(&o, &a, &a), NDS_ESHAPE);
    ck_text("(1,3) doesn't match the broadcast shape (2,3)");
    ck_assert(m[0] == 0 && m[11] == 0);
}
END_TEST

/* out = a + b, parts of 1 .. 6. */
static void
check_overlap(const char *out, const char *a, const char *b,
              const int64_t *want)
{
    int64_t m[6] = {1, 2, 3, 4, 5, 6};
    nds_view v, o, x, y;

    VIEW(&v, NDS_INT64, m, 1, 6);
    o = part(&v, out);
    x = part(&v, a);
    y = part(&v, b);
    ck_assert_int_eq(nds_add(&o, &x, &y), 0);
    ck_assert_msg(memcmp(m, want, sizeof m) == 0, "%s = %s + %s", out, a, b);
}

START_TEST(overlap_reads_first)
{
    check_overlap("[1:]", "[1:]", "[:-1]", SHAPE(1, 3, 5, 7, 9, 11));
    check_overlap("[:-1]", "[1:]", "[:-1]", SHAPE(3, 5, 7, 9, 11, 6));
    check_overlap("[:]", "[:]", "[::-1]", SHAPE(7, 7, 7, 7, 7, 7));
    check_overlap("[::-1]", "[:]", "[:]", SHAPE(12, 10, 8, 6, 4, 2));
    check_overlap("[:]", "[:]", "[0]", SHAPE(2, 3, 4, 5, 6, 7));
    check_overlap("[:]", "[2]", "[:]", SHAPE(4, 5, 6, 7, 8, 9));
    check_overlap("[::2]", "[1::2]", "[::2]", SHAPE(3, 2, 7, 4, 11, 6));
    check_overlap("[:]", "[:]", "[:]", SHAPE(2, 4, 6, 8, 10, 12));
}
END_TEST

/* a[1:] += a[:-1] over more than one buffer, and in another type. */
START_TEST(overlap_of_many_and_with_a_cast)
{
    static float f[5000];
    static int32_t m[5000];
    nds_view v, w, o, x;

    VIEW(&v, NDS_FLOAT32, f, 1, 5000);
    ck_assert_int_eq(nds_arange(&v), 0);
    o = part(&v, "[1:]");
    x = part(&v, "[:-1]");
    ck_assert_int_eq(nds_add(&o, &o, &x), 0);
    for (int i = 1; i < 5000; i++) {
        ck_assert(f[i] == (float)(2 * i - 1));
    }
    // The same bytes as int32 and float32, element for element and shifted.
    VIEW(&v, NDS_INT32, m, 1, 5000);
    VIEW(&w, NDS_FLOAT32, m, 1, 5000);
    for (int shift = 0; shift < 2; shift++) {
        ck_assert_int_eq(nds_arange(&v), 0);
        o = part(&w, shift ? "[1:]" : "[:-1]");
        x = part(&v, "[:-1]");
        ck_assert_int_eq(nds_add(&o, &x, &x), 0);
        for (int i = 0; i < 4999; i++) {
            float got;

            memcpy(&got, m + i + shift, sizeof got);
            ck_assert(got == (float)(2 * i));
        }
    }
}
END_TEST

START_TEST(a_square_and_its_transpose)
{
    double m[9];
    nds_view v, t;

    VIEW(&v, NDS_FLOAT64, m, 2, 3, 3);
    ck_assert_int_eq(nds_arange(&v), 0);
    ck_assert_int_eq(nds_view_transpose(&t, &v, NULL), 0);
    ck_assert_int_eq(nds_add(&v, &v, &t), 0);
    for (int i = 0; i < 9; i++) {
        ck_assert(m[i] == i + (i % 3 * 3 + i / 3));
    }
}
END_TEST

START_TEST(read_only_is_refused)
{
    double m[2] = {1, 2};
    nds_view v, w;

    VIEW(&v, NDS_FLOAT64, m, 1, 2);
    VIEW(&w, NDS_FLOAT64, m, 1, 2);
    v.flags |= NDS_VIEW_READONLY;
    ck_fails(nds_add(&v, &w, &w), NDS_EREADONLY);
    ck_text("assignment destination is read-only");
    ck_fails(nds_add_scalar(&v, &v, nds_int(1)), NDS_EREADONLY);
    ck_fails(nds_fill(&v, nds_int(1)), NDS_EREADONLY);
    ck_assert(m[0] == 1 && m[1] == 2);
    ck_assert_int_eq(nds_add(&w, &v, &v), 0); // an input may be
    ck_assert(m[0] == 2 && m[1] == 4);
}
END_TEST

START_TEST(strides_and_what_lies_between)
{
    float a[12], o[12];
    nds_view v, w, x, y;

    VIEW(&v, NDS_FLOAT32, a, 2, 3, 4);
    ck_assert_int_eq(nds_arange(&v), 0);
    VIEW(&w, NDS_FLOAT32, o, 2, 3, 4);
    ck_assert_int_eq(nds_fill(&w, nds_float(-1)), 0);
    x = part(&w, "[::-2, ::3]");
    y = part(&v, "[:2, 3:1:-1]");
    ck_assert_int_eq(nds_multiply_scalar(&x, &y, nds_int(2)), 0);
    ck_assert_mem_eq(o, ((float[]){14, -1, -1, 12, -1, -1, -1, -1, 6, -1, -1,
                                   4}), sizeof o);
}
END_TEST

START_TEST(nothing_and_one)
{
    double m[1] = {5}, o[1] = {9};
    nds_view e, z, out;

    VIEW(&e, NDS_FLOAT64, m, 2, 0, 3);
    VIEW(&z, NDS_FLOAT64, m, 0, 0);
    VIEW(&out, NDS_FLOAT64, o, 2, 0, 3);
    ck_assert_int_eq(nds_add(&out, &e, &z), 0);
    ck_assert_int_eq(nds_fill(&out, nds_int(1)), 0);
    ck_assert(o[0] == 9);
    VIEW(&out, NDS_FLOAT64, o, 0, 0);
    ck_assert_int_eq(nds_divide_scalar(&out, &z, nds_int(2)), 0);
    ck_assert(o[0] == 2.5);
    VIEW(&out, NDS_FLOAT64, o, 3, 1, 1, 1);
    ck_assert_int_eq(nds_add(&out, &z, &z), 0);
    ck_assert(o[0] == 10);
}
END_TEST

START_TEST(floats_at_the_edge)
{
    double a[] = {1, -1, 0, INFINITY, -0.0}, b[] = {0, 0, 0, INFINITY, 1}, o[5];
    uint16_t h[] = {0x7bff, 0x0001}, ho[2]; /* 65504, 2^-24 */
    nds_view va, vb, vo;

    VIEW(&va, NDS_FLOAT64, a, 1, 5);
    VIEW(&vb, NDS_FLOAT64, b, 1, 5);
    VIEW(&vo, NDS_FLOAT64, o, 1, 5);
    ck_assert_int_eq(nds_divide(&vo, &va, &vb), 0);
    ck_assert(o[0] == INFINITY && o[1] == -INFINITY && isnan(o[2]) &&
              isnan(o[3]) && o[4] == 0 && signbit(o[4]));
    ck_assert_int_eq(nds_subtract(&vo, &va, &vb), 0);
    ck_assert(isnan(o[3]) && o[4] == -1);
    VIEW(&va, NDS_FLOAT16, h, 1, 2);
    VIEW(&vo, NDS_FLOAT16, ho, 1, 2);
    ck_assert_int_eq(nds_add_scalar(&vo, &va, nds_int(16)), 0);
    ck_assert(ho[0] == 0x7c00 && ho[1] == 0x4c00); // infinity; 16
    ck_assert_int_eq(nds_add_scalar(&vo, &va, nds_int(15)), 0);
    ck_assert(ho[0] == 0x7bff); // less than half a step
    ck_assert_int_eq(nds_divide_scalar(&vo, &va, nds_int(2)), 0);
    ck_assert(ho[1] == 0); // a tie goes to the even one
}
END_TEST

/* The middle of two halves and a little: float32 does not see the little, so
 * long double gives the even neighbour, 1, and float64 the upper one. */
START_TEST(long_doubles_become_halves_by_way_of_float)
{
    long double g[] = {1.0L + 0x1p-11L + 0x1p-30L};
    double d[] = {1.0 + 0x1p-11 + 0x1p-30};
    uint16_t h[1];
    nds_view vg, vd, vh;

    VIEW(&vg, NDS_LONGDOUBLE, g, 1, 1);
    VIEW(&vd, NDS_FLOAT64, d, 1, 1);
    VIEW(&vh, NDS_FLOAT16, h, 1, 1);
    ck_assert_int_eq(nds_multiply_scalar(&vh, &vg, nds_int(1)), 0);
    ck_assert_uint_eq(h[0], 0x3c00);
    ck_assert_int_eq(nds_assign(&vh, &vg), 0);
    ck_assert_uint_eq(h[0], 0x3c00);
    ck_assert_int_eq(nds_multiply_scalar(&vh, &vd, nds_int(1)), 0);
    ck_assert_uint_eq(h[0], 0x3c01);
}
END_TEST

START_TEST(complex_parts)
{
    double a[] = {1, 2, INFINITY, 0}, b[] = {3, -4, 1, 1}, o[4], d[2];
    nds_view va, vb, vo, vd;

    VIEW(&va, NDS_COMPLEX128, a, 1, 2);
    VIEW(&vb, NDS_COMPLEX128, b, 1, 2);
    VIEW(&vo, NDS_COMPLEX128, o, 1, 2);
    ck_assert_int_eq(nds_multiply(&vo, &va, &vb), 0);
    ck_assert(o[0] == 11 && o[1] == 2);
    // inf * (1 + 1i) by parts: C's own operator would patch up the NaNs.
    ck_assert(o[2] == INFINITY && o[3] == INFINITY);
    ck_assert_int_eq(nds_multiply_scalar(&vo, &va, nds_complex(0, 1)), 0);
    ck_assert(o[0] == -2 && o[1] == 1 && isnan(o[2]) && o[3] == INFINITY);
    ck_assert_int_eq(nds_divide(&vo, &va, &vb), 0);
    ck_assert_double_eq_tol(o[0], -0.2, 1e-15);
    ck_assert_double_eq_tol(o[1], 0.4, 1e-15);
    ck_assert_int_eq(nds_add_scalar(&vo, &va, nds_complex(0, 1)), 0);
    ck_assert(o[0] == 1 && o[1] == 3);
    VIEW(&vd, NDS_FLOAT64, d, 1, 2);
    ck_fails(nds_add_scalar(&vd, &va, nds_int(1)), NDS_ECAST);
    ck_text("from dtype('complex128') to dtype('float64')");
}
END_TEST

START_TEST(unaligned_memory)
{
    unsigned char raw[8 * 40 + 1];
    nds_view v;

    ck_assert_int_eq(nds_view_init(&v, NDS_FLOAT64, raw + 1, sizeof raw - 1,
                                   1, SHAPE(40)), 0);
    ck_assert_int_eq(nds_arange(&v), 0);
    ck_assert_int_eq(nds_multiply(&v, &v, &v), 0);
    ck_assert_int_eq(nds_add_scalar(&v, &v, nds_int(1)), 0);
    for (int i = 0; i < 40; i++) {
        double d;

        memcpy(&d, raw + 1 + 8 * i, sizeof d);
        ck_assert(d == i * i + 1);
    }
}
END_TEST

static void
check_fill(const char *dtype, nds_scalar value, const void *want, size_t item)
{
    unsigned char m[3 * 32];
    const nds_dtype *dt;
    nds_view v, w;

    memset(m, 0x55, sizeof m);
    ck_assert_int_eq(nds_dtype_parse(&dt, dtype), 0);
    ck_assert_int_eq(nds_view_init(&v, dt, m, sizeof m, 1, SHAPE(3)), 0);
    w = part(&v, "[::2]");
    ck_assert_msg(nds_fill(&w, value) == 0, "%s: %s", dtype,
                  nds_last_error()->message);
    ck_assert_msg(memcmp(m, want, item) == 0 &&
                      memcmp(m + 2 * item, want, item) == 0, "%s", dtype);
    ck_assert_int_eq(m[item], 0x55); // between the two
    ck_assert_int_eq(nds_fill(&v, value), 0);
    ck_assert_msg(memcmp(m + item, want, item) == 0, "%s, dense", dtype);
    nds_view_fini(&v);
    nds_view_fini(&w);
    nds_dtype_put(dt);
}

START_TEST(fill_takes_every_dtype)
{
    int8_t i1[2] = {-3, 0};
    nds_view v;

    check_fill("i1", nds_int(-3), i1, 1);
    check_fill("?", nds_float(0.5), (uint8_t[]){1}, 1);
    check_fill("i2", nds_float(-2.9), (int16_t[]){-2}, 2);
    check_fill(">i4", nds_int(1), "\0\0\0\1", 4);
    check_fill(">f8", nds_float(1), "\x3f\xf0\0\0\0\0\0\0", 8);
    check_fill(">c8", nds_complex(1, 2), "\x3f\x80\0\0\x40\0\0\0", 8);
    check_fill("f2", nds_float(2049), (uint16_t[]){0x6800}, 2);
    check_fill("f4", nds_uint(UINT64_MAX), (float[]){0x1p64F}, 4);
    check_fill("c16", nds_int(7), (double[]){7, 0}, 16);
    check_fill("[('x', '<i2'), ('y', '<i2')]", nds_int(5),
               (int16_t[]){5, 5}, 4);
    VIEW(&v, NDS_INT8, i1, 1, 2);
    ck_fails(nds_fill(&v, nds_int(200)), NDS_EOVERFLOW);
    ck_text("Python integer 200 out of bounds for int8");
    ck_assert(i1[0] == -3);
}
END_TEST

RUN("ops_binary", result_dtypes, scalars_are_weak,
    integers_wrap_and_divide_truly, outputs_of_the_same_kind,
    in_place_ops_keep_the_kind, shapes_broadcast, shapes_that_clash,
    overlap_reads_first, overlap_of_many_and_with_a_cast,
    a_square_and_its_transpose, read_only_is_refused,
    strides_and_what_lies_between, nothing_and_one, floats_at_the_edge,
    long_doubles_become_halves_by_way_of_float, complex_parts,
    unaligned_memory, fill_takes_every_dtype)
