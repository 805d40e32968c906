/* SPDX-License-Identifier: MIT */
/* test_dtype.c - spellings, refusals, texts; and that no text kills */
#include "nd_check.h"

#include <nd/dtype_impl.h>

static const struct {
    const char *in, *str, *name;
    int itemsize;
} spellings[] = {
    {"<f8", "<f8", "float64", 8},
    {"f8", "<f8", "float64", 8},
    {"float64", "<f8", "float64", 8},
    {"d", "<f8", "float64", 8},
    {"=f8", "<f8", "float64", 8},
    {"|f8", "<f8", "float64", 8},
    {"i", "<i4", "int32", 4},
    {"l", "<i8", "int64", 8},
    {"<l", "<i8", "int64", 8},
    {"int", "<i8", "int64", 8},
    {"float", "<f8", "float64", 8},
    {"bool", "|b1", "bool", 1},
    {"b1", "|b1", "bool", 1},
    {"?", "|b1", "bool", 1},
    {"b", "|i1", "int8", 1},
    {"complex", "<c16", "complex128", 16},
    {">i2", ">i2", ">i2", 2},
    {"e", "<f2", "float16", 2},
    {"longdouble", "<f16", "float128", 16},
    {"float128", "<f16", "float128", 16},
    {"S5", "|S5", "|S5", 5},
    {"|S5", "|S5", "|S5", 5},
    {"a5", "|S5", "|S5", 5},
    {"c", "|S1", "|S1", 1},
    {"U3", "<U3", "<U3", 12},
    {">U3", ">U3", ">U3", 12},
    {"V7", "|V7", "|V7", 7},
    {"str", "<U0", "<U0", 0},
    {"M8[25us]", "<M8[25us]", "datetime64[25us]", 8},
    {"datetime64[ns]", "<M8[ns]", "datetime64[ns]", 8},
    {"m8", "<m8", "timedelta64", 8},
    {"M8[generic]", "<M8", "datetime64", 8},
    {"m8[D/2]", "<m8[12h]", "timedelta64[12h]", 8},
    {">M8[D]", ">M8[D]", ">M8[D]", 8},
    {"f4, (2,3)i4", "[('f0', '<f4'), ('f1', '<i4', (2, 3))]",
     "[('f0', '<f4'), ('f1', '<i4', (2, 3))]", 28},
    {"3f4", "('<f4', (3,))", "('<f4', (3,))", 12},
    {"i4,", "<i4", "int32", 4},
    {"[('a', 'i4'), ('', '|V4'), ('b', 'f8')]",
     "[('a', '<i4'), ('', '|V4'), ('b', '<f8')]",
     "{'names': ['a', 'b'], 'formats': ['<i4', '<f8'], 'offsets': [0, 8], "
     "'itemsize': 16}", 16},
    {"{'names': ['a', 'b'], 'formats': ['i4', 'f8'], 'aligned': True}",
     "[('a', '<i4'), ('', '|V4'), ('b', '<f8')]",
     "{'names': ['a', 'b'], 'formats': ['<i4', '<f8'], 'offsets': [0, 8], "
     "'itemsize': 16, 'aligned': True}", 16},
    {"{'names': ['a', 'b'], 'formats': ['i4', 'i2'], 'offsets': [0, 2]}",
     "{'names': ['a', 'b'], 'formats': ['<i4', '<i2'], 'offsets': [0, 2], "
     "'itemsize': 4}",
     "{'names': ['a', 'b'], 'formats': ['<i4', '<i2'], 'offsets': [0, 2], "
     "'itemsize': 4}", 4},
    {"{'a': ('i4', 0), 'b': ('f8', 8)}",
     "[('a', '<i4'), ('', '|V4'), ('b', '<f8')]",
     "{'names': ['a', 'b'], 'formats': ['<i4', '<f8'], 'offsets': [0, 8], "
     "'itemsize': 16}", 16},
    {"['f4', '?']", "[('f0', '<f4'), ('f1', '|b1')]",
     "[('f0', '<f4'), ('f1', '?')]", 5},
    {"[]", "[]", "[]", 0},
    {"[('it\\'s', [('p', '|S3'), ('q', '?')], (2,))]",
     "[(\"it's\", [('p', '|S3'), ('q', '|b1')], (2,))]",
     "[(\"it's\", [('p', 'S3'), ('q', '?')], (2,))]", 8},
};

START_TEST(spellings_are_numpys)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        const nds_dtype *dt, *again;
        char *text;

        ck_assert_msg(nds_dtype_parse(&dt, spellings[i].in) == 0, "%s: %s",
                      spellings[i].in, nds_last_error()->message);
        ck_assert_int_eq(nds_dtype_itemsize(dt), spellings[i].itemsize);
        ck_assert_int_eq(nds_dtype_name(dt, &text), 0);
        ck_assert_str_eq(text, spellings[i].name);
        free(text);
        ck_assert_int_eq(nds_dtype_str(dt, &text), 0);
        ck_assert_str_eq(text, spellings[i].str);
        ck_assert_int_eq(nds_dtype_parse(&again, text), 0);
        ck_assert(nds_dtype_equal(dt, again));
        free(text);
        nds_dtype_put(again);
        nds_dtype_put(dt);
    }
}
END_TEST

static const char *const refusals[][2] = {
    {"", "not understood"},
    {"foo", "data type 'foo' not understood"},
    {"<float64", "not understood"},
    {" f8", "not understood"},
    {"f8 ", "not understood"},
    {"i16", "not understood"},
    {"S-1", "not understood"},
    {"M8[]", "not understood"},
    {"M8[0us]", "not understood"},
    {"M8[D/7]", "not understood"},
    {"O", "objects"},
    {"|O", "objects"},
    {"object", "objects"},
    {"c32", "long double complex"},
    {"S9999999999", "more than"},
    {"[('a', 'O')]", "in field 'a' at character 1"},
    {"[(('title', 'a'), 'i4')]", "titles"},
    {"{'a': ('i4', 0, 'title')}", "title"},
    {"{'names': ['a'], 'formats': ['i4'], 'titles': ['t']}", "titles"},
    {"[('a', 'i4'), ('a', 'i4')]", "field 'a' occurs more than once"},
    {"[('a', 'i4'", "unclosed bracket"},
    {"[('a' 'i4')]", "',' was expected at character 6"},
    {"[('a', 'i4')] x", "more text than one literal"},
    {"[('a', 4)]", "a number"},
    {"[('a', 'i4', (-1,))]", "extent"},
    {"[('a', 'i4', (100000, 100000))]", "more than"},
    {"[('a\\x00b', 'i4')]", "NUL"},
    {"{'names': ['a'], 'formats': []}", "differ in length"},
    {"{'names': ['a'], 'formats': ['i4'], 'itemsize': 2}", "too small"},
    {"{'names': ['a'], 'formats': ['i4'], 'offsets': [-1]}", "offset"},
    {"{'names': ['a'], 'formats': ['i4'], 'offsets': [9223372036854775807]}",
     "offset"},
    {"{'names': ['a'], 'formats': ['i4'], 'offsets': [2], 'aligned': True}",
     "aligned"},
    {"[('a', '\xff')]", "not UTF-8"},
    {"{'names': ['a'], 'formats': ['i4'], 'colour': 1}", "unknown key"},
};

START_TEST(refusals_say_why)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const nds_dtype *dt = NDS_BOOL;

        ck_fails(nds_dtype_parse(&dt, refusals[i][0]), NDS_EDTYPE);
        ck_assert_ptr_null(dt);
        ck_text(refusals[i][1]);
    }
}
END_TEST

START_TEST(depth_is_bounded)
{
    static char text[1 << 20];
    const nds_dtype *dt;

    memset(text, '[', sizeof text - 1);
    ck_fails(nds_dtype_parse(&dt, text), NDS_EDTYPE);
    ck_text("deep");
    text[0] = '\0';
    for (int i = 0; i < 40; i++) {
        strcat(text, "[('a', ");
    }
    strcat(text, "'i4'");
    for (int i = 0; i < 40; i++) {
        strcat(text, ")]");
    }
    ck_fails(nds_dtype_parse(&dt, text), NDS_EDTYPE);
    ck_text("deep");
}
END_TEST

START_TEST(order_goes_down_into_records)
{
    const nds_dtype *dt, *other, *back;
    char *text;

    ck_assert_int_eq(
        nds_dtype_parse(&dt, "[('a', '<i4'), ('b', '|S2'), "
                             "('c', [('d', '>U1', (2,))])]"), 0);
    ck_assert(!nds_dtype_is_native(dt));
    ck_assert_int_eq(nds_dtype_with_order(&other, dt, '>'), 0);
    nds_dtype_str(other, &text);
    ck_assert_str_eq(text, "[('a', '>i4'), ('b', '|S2'), "
                           "('c', [('d', '>U1', (2,))])]");
    free(text);
    ck_assert_int_eq(nds_dtype_with_order(&back, other, '='), 0);
    ck_assert(nds_dtype_is_native(back));
    ck_assert(!nds_dtype_equal(back, dt));
    nds_dtype_put(back);
    nds_dtype_put(other);
    nds_dtype_put(dt);
    ck_fails(nds_dtype_with_order(&other, NDS_BOOL, '?'), NDS_EINVAL);
}
END_TEST

/* Seeds with bytes changed, cut, doubled: an answer, never a signal. */
START_TEST(mutations_get_an_answer)
{
    uint64_t r = 88172645463325252u;

    for (int i = 0; i < 40000; i++) {
        const char *seed = spellings[(size_t)i % (sizeof spellings /
                                                  sizeof *spellings)].in;
        char text[256], *out;
        size_t n = strlen(seed);
        const nds_dtype *dt;

        memcpy(text, seed, n + 1);
        for (int k = i % 4; k >= 0 && n > 0; k--) {
            static const char bytes[] = "[](){}',:\"\\ 0189-<>|fiSUVMm\xff\x80";

            r ^= r << 13, r ^= r >> 7, r ^= r << 17;
            text[r % n] = bytes[(r >> 32) % (sizeof bytes - 1)];
            if ((r >> 50) % 8 == 0) {
                n = r % n;
                text[n] = '\0';
            }
        }
        if (nds_dtype_parse(&dt, text) == 0) {
            ck_assert_int_eq(nds_dtype_str(dt, &out), 0);
            free(out);
            nds_dtype_put(dt);
        } else {
            ck_assert_int_eq(nds_last_error()->code, NDS_EDTYPE);
        }
    }
}
END_TEST

RUN("dtype", spellings_are_numpys, refusals_say_why, depth_is_bounded,
    order_goes_down_into_records, mutations_get_an_answer)
