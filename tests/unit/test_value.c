/* SPDX-License-Identifier: MIT */
/* test_value.c - Python literals in, Python's repr out */
#include <base/fail.h>
#include <ndshare/value.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    const char *shown; /* NULL: as it was */
} literals[] = {
    {"None", NULL}, {"True", NULL}, {"-7", NULL}, {"0", NULL},
    {"9223372036854775807", NULL}, {"-9223372036854775808", NULL},
    {"9223372036854775808", NULL}, {"18446744073709551616", NULL},
    {"-18446744073709551617", NULL}, {"123456789012345678901234567890", NULL},
    {"1_000", "1000"}, {"0x1f", "31"}, {"1.5", NULL}, {"-0.0", NULL},
    {"1e3", "1000.0"}, {".5", "0.5"}, {"1e400", "inf"}, {"-inf", "-inf"},
    {"2j", NULL}, {"1+2j", "(1+2j)"}, {"(1-2j)", "(1-2j)"},
    {"'abc'", NULL}, {"\"it's\"", NULL}, {"'a\\n\\x41\\u00e9'", "'a\\nAé'"},
    {"r'a\\n'", "'a\\\\n'"}, {"b'a\\xff'", NULL}, {"''", NULL},
    {"()", NULL}, {"(1,)", NULL}, {"(1)", "1"}, {"(1, 2)", NULL},
    {"(3, 4),", "((3, 4),)"}, {"1, 2", "(1, 2)"}, {"[1, 2.5, None]", NULL},
    {"[]", NULL}, {"[1,]", "[1]"}, {"{'axis': 0}", NULL}, {"{}", NULL},
    {"{1, 2}", NULL}, {"...", "Ellipsis"}, {"slice(1, None, 2)", NULL},
    {"slice(3)", "slice(None, 3, None)"}, {"float", "<class 'float'>"},
    {"np.float32", "<class 'numpy.float32'>"},
};

START_TEST(literals_show_as_in_python)
{
    nds_value *v;
    char *text;
    int rc = nds_value_parse(&v, literals[_i].text);

    ck_assert_msg(rc == 0, "%s: %s", literals[_i].text,
                  nds_last_error()->message);
    ck_assert_int_eq(nds_value_repr(v, &text), 0);
    ck_assert_str_eq(text, literals[_i].shown != NULL ? literals[_i].shown
                                                      : literals[_i].text);
    free(text);
    nds_value_free(v);
}
END_TEST

static const char *const wrong[] = {
    "", "(", "(1", "[1 2]", "{1: }", "{1: 2, 3}", "'a", "b'\\u0041'", "1 2",
    "os.system", "__import__", "1+2", "'\\x4'", "0x", "-", "'\\q'", "{",
    "slice()", "np.nothing", "a=1", "))", "\xff", "'\xff'",
};

START_TEST(what_is_no_literal_is_refused)
{
    nds_value *v;

    ck_assert_int_eq(nds_value_parse(&v, wrong[_i]), NDS_EINVAL);
    ck_assert_ptr_null(v);
}
END_TEST

START_TEST(nesting_is_bounded)
{
    char *deep = malloc(100001);
    nds_value *v;

    memset(deep, '[', 100000);
    deep[100000] = '\0';
    ck_assert_int_eq(nds_value_parse(&v, deep), NDS_ELIMIT);
    free(deep);
}
END_TEST

START_TEST(arguments_of_a_call)
{
    nds_value *args, *kwds;
    char *text;

    ck_assert_int_eq(nds_value_parse_args(&args, &kwds,
                                          "(3, 4), 7, dtype='f4', order='F'"),
                     0);
    ck_assert_int_eq(nds_value_repr(args, &text), 0);
    ck_assert_str_eq(text, "((3, 4), 7)");
    free(text);
    ck_assert_int_eq(nds_value_repr(kwds, &text), 0);
    ck_assert_str_eq(text, "{'dtype': 'f4', 'order': 'F'}");
    free(text);
    nds_value_free(args);
    nds_value_free(kwds);
    ck_assert_int_eq(nds_value_parse_args(&args, &kwds, ""), 0);
    ck_assert_uint_eq(nds_value_count(args) + nds_value_count(kwds), 0);
    nds_value_free(args);
    nds_value_free(kwds);
    ck_assert_int_eq(nds_value_parse_args(&args, &kwds, "a=1, 2"),
                     NDS_EINVAL);
    ck_assert_ptr_null(args);
}
END_TEST

START_TEST(containers_own_their_items)
{
    nds_value *list = nds_value_list();
    nds_value *dict = nds_value_dict();
    int64_t i;
    double d;
    bool b;

    ck_assert_int_eq(nds_value_append(list, nds_value_int(7)), 0);
    ck_assert_int_eq(nds_value_append(list, NULL), NDS_ENOMEM);
    ck_assert_int_eq(nds_value_append(nds_value_item(list, 0) == NULL
                                          ? NULL
                                          : list,
                                      nds_value_float(2.5)), 0);
    ck_assert_uint_eq(nds_value_count(list), 2);
    ck_assert(nds_value_as_int(nds_value_item(list, 0), &i) && i == 7);
    ck_assert(nds_value_as_float(nds_value_item(list, 1), &d) && d == 2.5);
    ck_assert(!nds_value_as_bool(nds_value_item(list, 1), &b));
    ck_assert_ptr_null(nds_value_item(list, 2));
    ck_assert_int_eq(nds_value_set(dict, "a", list), 0);
    ck_assert_int_eq(nds_value_set(dict, "a", nds_value_none()), 0);
    ck_assert_uint_eq(nds_value_count(dict), 2);
    ck_assert_int_eq(nds_value_kind(nds_value_get(dict, "a")),
                     NDS_VALUE_NONE);
    ck_assert_ptr_null(nds_value_get(dict, "b"));
    nds_value_free(dict);
}
END_TEST

START_TEST(scalars_are_numbers)
{
    nds_scalar s = nds_int(-3);
    nds_value *v = nds_value_scalar(&s);
    nds_value *u = nds_value_uint(UINT64_MAX);
    int64_t i;
    double d;

    ck_assert(nds_value_as_int(v, &i) && i == -3);
    ck_assert(nds_value_as_float(v, &d) && d == -3);
    ck_assert(!nds_value_as_int(u, &i));
    ck_assert(nds_value_as_float(u, &d) && d == 18446744073709551616.0);
    nds_value_free(u);
    nds_value_free(v);
}
END_TEST

static char *
shown(const nds_value *v)
{
    static char text[300];
    char *t;

    ck_assert_int_eq(nds_value_repr(v, &t), 0);
    ck_assert_uint_lt(strlen(t), sizeof text);
    strcpy(text, t);
    free(t);
    return text;
}

START_TEST(packing)
{
    nds_value *v;

    ck_assert_int_eq(nds_value_pack(&v, "{s: (iI), s: [nbf], 's': s}", "a", -1,
                                    INT64_MAX, "b", 1, 2.5), NDS_EINVAL);
    ck_assert_ptr_null(v);
    ck_assert_int_eq(nds_value_pack(&v, "{s: (iI), s: [nbf], s: y, i: ()}",
                                    "a", -1, INT64_MAX, "b", 1, 2.5, "c",
                                    "x\0y", (size_t)3, 7), 0);
    ck_assert_str_eq(shown(v), "{'a': (-1, 9223372036854775807), 'b': [None, "
                               "True, 2.5], 'c': b'x\\x00y', 7: ()}");
    nds_value_free(v);
    ck_assert_int_eq(nds_value_pack(&v, "(s#so)", "hello", (size_t)4, NULL,
                                    nds_value_ellipsis()), 0);
    ck_assert_str_eq(shown(v), "('hell', None, Ellipsis)");
    nds_value_free(v);
}
END_TEST

static const char *const bad_formats[] = {"", "(", "[i", "{s", "q", "i i",
                                          ")", "{s:}"};

START_TEST(formats_that_are_none)
{
    nds_value *v;

    ck_assert_int_eq(nds_value_pack(&v, bad_formats[_i], "x", 1), NDS_EINVAL);
    ck_assert_ptr_null(v);
}
END_TEST

START_TEST(unpacking)
{
    const nds_value *rest;
    const char *text = NULL, *data;
    size_t n;
    int64_t big = 0;
    double d = 0;
    bool b = false, unseen = true;
    nds_value *v;
    int i = 0;

    ck_assert_int_eq(nds_value_parse(&v, "{'a': (1, 2**1, 'x')}"), NDS_EINVAL);
    ck_assert_int_eq(nds_value_parse(
        &v, "{'a': (1, 5000000000, 'x'), 'b': [2, True, b'yz', 9, 9]}"), 0);
    ck_assert_int_eq(nds_value_unpack(v, "{s:(iIs), s:[fbyo*], s?:b}", "a", &i,
                                      &big, &text, "b", &d, &b, &data, &n,
                                      &rest, "c", &unseen), 0);
    ck_assert(i == 1 && big == 5000000000 && d == 2 && b && n == 2 && unseen);
    ck_assert_str_eq(text, "x");
    ck_assert_mem_eq(data, "yz", 2);
    ck_assert_str_eq(shown(rest), "9");
    ck_assert_int_eq(nds_value_unpack(v, "{s:(ii*)}", "a", &i, &i),
                     NDS_EINVAL);
    ck_assert_str_eq(nds_last_error()->message, "format '{s:(ii*)}' at 5: "
                     "5000000000 is not an int of 32 bits");
    ck_assert_int_eq(nds_value_unpack(v, "{s:i}", "z", &i), NDS_EKEY);
    ck_assert_int_eq(nds_value_unpack(v, "{s:(i)}", "a", &i), NDS_EINVAL);
    ck_assert_int_eq(nds_value_unpack(v, "{s:(iIsi)}", "a", &i, &big, &text,
                                      &i), NDS_EINVAL);
    ck_assert_int_eq(nds_value_unpack(v, "[i]", &i), NDS_EINVAL);
    nds_value_free(v);
}
END_TEST

START_TEST(editing)
{
    nds_value *v, *key = nds_value_int(2), *copy;
    const nds_value *k, *item;
    int64_t sum = 0, n;

    ck_assert_int_eq(nds_value_parse(&v, "[1, 2, 3]"), 0);
    ck_assert_int_eq(nds_value_insert(v, 0, nds_value_int(0)), 0);
    ck_assert_int_eq(nds_value_replace(v, 3, nds_value_str("x")), 0);
    ck_assert_int_eq(nds_value_remove(v, 1), 0);
    ck_assert_str_eq(shown(v), "[0, 2, 'x']");
    ck_assert_int_eq(nds_value_insert(v, 4, nds_value_none()), NDS_EINDEX);
    ck_assert_int_eq(nds_value_replace(v, 3, nds_value_none()), NDS_EINDEX);
    ck_assert_int_eq(nds_value_remove(v, 3), NDS_EINDEX);
    ck_assert(nds_value_contains(v, key));
    copy = nds_value_copy(v);
    ck_assert(nds_value_equal(v, copy));
    ck_assert_int_eq(nds_value_append(copy, nds_value_range(1, 5, 2)), 0);
    ck_assert(!nds_value_equal(v, copy));
    ck_assert_str_eq(shown(copy), "[0, 2, 'x', range(1, 5, 2)]");
    nds_value_free(copy);
    nds_value_free(v);

    v = nds_value_dict();
    ck_assert_int_eq(nds_value_set_key(v, nds_value_int(2),
                                       nds_value_int(20)), 0);
    ck_assert_int_eq(nds_value_set_key(v, nds_value_float(2),
                                       nds_value_int(30)), 0);
    ck_assert_int_eq(nds_value_set(v, "k", nds_value_int(4)), 0);
    NDS_VALUE_EACH_ENTRY (i, k, item, v) {
        sum += nds_value_as_int(item, &n) ? n : 1000;
    }
    ck_assert_int_eq(sum, 34);
    ck_assert(nds_value_as_int(nds_value_get_key(v, key), &n) && n == 30);
    ck_assert_int_eq(nds_value_remove(v, 1), 0);
    ck_assert_ptr_null(nds_value_get_key(v, key));
    ck_assert_str_eq(shown(v), "{'k': 4}");
    nds_value_free(key);
    nds_value_free(v);
}
END_TEST

START_TEST(pickled_and_back)
{
    nds_value *v = nds_value_new_set(false), *w;
    double re, im;
    void *data;
    size_t n;

    ck_assert_int_eq(nds_value_append(v, nds_value_complex(1, 2)), 0);
    for (int protocol = 4; protocol <= 5; protocol++) {
        ck_assert_int_eq(nds_value_dumps(v, protocol, &data, &n), 0);
        ck_assert_int_eq(nds_value_loads(&w, data, n), 0);
        ck_assert(nds_value_equal(v, w));
        ck_assert(nds_value_as_complex(nds_value_item(w, 0), &re, &im));
        ck_assert(re == 1 && im == 2);
        nds_value_free(w);
        free(data);
    }
    ck_assert_int_eq(nds_value_dumps(v, 3, &data, &n), NDS_EINVAL);
    nds_value_free(v);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("value");
    TCase *tc = tcase_create("value");
    SRunner *sr;
    int failed;

    tcase_add_loop_test(tc, literals_show_as_in_python, 0,
                        sizeof literals / sizeof literals[0]);
    tcase_add_loop_test(tc, what_is_no_literal_is_refused, 0,
                        sizeof wrong / sizeof wrong[0]);
    tcase_add_test(tc, nesting_is_bounded);
    tcase_add_test(tc, arguments_of_a_call);
    tcase_add_test(tc, containers_own_their_items);
    tcase_add_test(tc, scalars_are_numbers);
    tcase_add_test(tc, packing);
    tcase_add_loop_test(tc, formats_that_are_none, 0,
                        sizeof bad_formats / sizeof *bad_formats);
    tcase_add_test(tc, unpacking);
    tcase_add_test(tc, editing);
    tcase_add_test(tc, pickled_and_back);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
