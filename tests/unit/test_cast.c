/* SPDX-License-Identifier: MIT */
/* test_cast.c - halves, every float16, edges of integers, what is refused */
#include "nd_check.h"

#include <nd/cast.h>
#include <nd/half.h>

#include <math.h>

START_TEST(every_half_comes_back)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        double d = ndi_half_to_double((uint16_t)h);

        ck_assert_uint_eq(ndi_half_from_double(d), h);
        // The middle of two neighbours goes to the even one.
        if ((h & 0x7fff) < 0x7bff) {
            double next = ndi_half_to_double((uint16_t)(h + 1));
            uint16_t even = (uint16_t)((h & 1) != 0 ? h + 1 : h);
            double mid = (d + next) / 2;

            ck_assert_uint_eq(ndi_half_from_double(mid), even);
            ck_assert_uint_eq(ndi_half_from_double(nextafter(mid, d)), h);
            ck_assert_uint_eq(ndi_half_from_double(nextafter(mid, next)),
                              h + 1);
        }
    }
    ck_assert_uint_eq(ndi_half_from_double(65520), 0x7c00);
    ck_assert_uint_eq(ndi_half_from_double(1e-300), 0);
}
END_TEST

START_TEST(floats_become_integers_as_on_x86)
{
    double values[] = {1e10, -1e10, NAN, 300, -1, 1e30, 0x1p63};
    static const int32_t i4[] = {INT32_MIN, INT32_MIN, INT32_MIN, 300, -1,
                                 INT32_MIN, INT32_MIN};
    static const uint8_t u1[] = {0, 0, 0, 44, 255, 0, 0};
    static const uint64_t u8[] = {10000000000u, (uint64_t)-10000000000,
                                  1ull << 63, 300, UINT64_MAX, 0, 1ull << 63};

    for (int i = 0; i < 7; i++) {
        int32_t a;
        uint8_t b;
        uint64_t c;

        ndi_cast_one(NDS_INT32, &a, NDS_FLOAT64, &values[i]);
        ndi_cast_one(NDS_UINT8, &b, NDS_FLOAT64, &values[i]);
        ndi_cast_one(NDS_UINT64, &c, NDS_FLOAT64, &values[i]);
        ck_assert_int_eq(a, i4[i]);
        ck_assert_uint_eq(b, u1[i]);
        ck_assert_uint_eq(c, u8[i]);
    }
}
END_TEST

START_TEST(scalars_answer)
{
    nds_scalar s = nds_float(1e300), u = nds_uint(UINT64_MAX);
    nds_scalar c = nds_complex(-2.5, 1), b = nds_bool(true), n = nds_float(NAN);

    ck_assert_int_eq(nds_scalar_int64(&s), INT64_MAX);
    ck_assert_int_eq(nds_scalar_int64(&u), INT64_MAX);
    ck_assert_int_eq(nds_scalar_int64(&c), -2);
    ck_assert_int_eq(nds_scalar_int64(&b), 1);
    ck_assert_int_eq(nds_scalar_int64(&n), 0);
    ck_assert(nds_scalar_double(&c) == -2.5);
    ck_assert(nds_scalar_double(&u) == 0x1p64);
}
END_TEST

static const char *const refused[][2] = {
    {"f8", "S3"},
    {"S3", "f8"},
    {"U3", "i4"},
    {"V8", "f8"},
    {"M8[s]", "m8[s]"},
    {"[('a', 'i4')]", "[('a', 'i4'), ('b', 'i4')]"},
    {"f8", "[('a', 'f8')]"},
    {"[('a', 'S3')]", "f8"},
    {"M8", "M8[s]"},
    {"[('a', 'f8', (2,))]", "[('a', 'f8', (3,))]"},
};

START_TEST(refused_pairs_are_named)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const nds_dtype *to, *from;
        struct ndi_cast c;

        nds_dtype_parse(&to, refused[i][0]);
        nds_dtype_parse(&from, refused[i][1]);
        ck_fails(ndi_cast_init(&c, to, from), NDS_ECAST);
        ck_text("cannot cast");
        nds_dtype_put(to);
        nds_dtype_put(from);
    }
}
END_TEST

START_TEST(dates_cross_the_calendar)
{
    static const struct {
        const char *from, *to;
        int64_t in, out;
    } rows[] = {
        {"M8[D]", "M8[M]", -1, -1},
        {"M8[D]", "M8[Y]", 11016, 30},
        {"M8[M]", "M8[D]", 361, 10988}, // 2000-02-01
        {"M8[Y]", "M8[s]", 30, 946684800},
        {"M8[ns]", "M8[D]", -1, -1},
        {"m8[s]", "m8[ms]", 3, 3000},
        {"m8[ms]", "m8[s]", -1, -1},
        {"m8[Y]", "m8[M]", 2, 24},
        {"M8[ns]", "M8[Y]", INT64_MIN, INT64_MIN},
        {"M8[Y]", "M8[as]", INT64_MAX, INT64_MIN},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const nds_dtype *to, *from;
        int64_t out;

        nds_dtype_parse(&to, rows[i].to);
        nds_dtype_parse(&from, rows[i].from);
        ck_assert_int_eq(ndi_cast_one(to, &out, from, &rows[i].in), 0);
        ck_assert_int_eq(out, rows[i].out);
        nds_dtype_put(to);
        nds_dtype_put(from);
    }
}
END_TEST

START_TEST(text_outside_ascii_is_refused)
{
    const nds_dtype *s, *u;
    uint32_t in = 0xe9;
    char out[4], byte = (char)0xe9;

    nds_dtype_parse(&s, "S1");
    nds_dtype_parse(&u, "U1");
    ck_fails(ndi_cast_one(s, out, u, &in), NDS_ECAST);
    ck_fails(ndi_cast_one(u, out, s, &byte), NDS_ECAST);
    nds_dtype_put(s);
    nds_dtype_put(u);
}
END_TEST

RUN("cast", every_half_comes_back, floats_become_integers_as_on_x86,
    scalars_answer, refused_pairs_are_named, dates_cross_the_calendar,
    text_outside_ascii_is_refused)
