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
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
