/* SPDX-License-Identifier: MIT */
/*
 * test_hosted_set.c - a hosted set, spoken to as CPython 3.14's SetProxy does
 *
 * The answers are those of a stock server of 3.14, which tests/cross/mgr_sync.py
 * holds beside ours where there is one; here our own bytes must say the same.
 */
#include <ndshare/ndshare.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT NDS_SEC(20)

static nds_manager *m;
static nds_conn *conn;
static char address[64], id[64];
static nds_value *exposed;

static nds_conn *
dial(void)
{
    nds_conn_options o = {.size = sizeof o, .authkey = "secret",
                          .authkey_nbytes = 6};
    nds_conn *c;

    ck_assert_int_eq(nds_conn_connect(&c, address, &o), 0);
    return c;
}

/* One message there, with the arguments, taken over, and one back; its kind,
 * and what it says [caller frees]. */
static char *
ask_with(nds_conn *c, const char *ident, const char *method, nds_value *args,
         nds_value **result)
{
    nds_value *message, *answer;
    const char *kind;
    char *text, *both;

    ck_assert_int_eq(nds_value_pack(&message, "(s s o {})", ident, method,
                                    args), 0);
    ck_assert_int_eq(nds_conn_send(c, message, TIMEOUT), 0);
    nds_value_free(message);
    ck_assert_int_eq(nds_conn_recv(c, &answer, TIMEOUT), 0);
    ck_assert_uint_eq(nds_value_count(answer), 2);
    kind = nds_value_text(nds_value_item(answer, 0), NULL);
    ck_assert_int_eq(nds_value_repr(nds_value_item(answer, 1), &text), 0);
    if (result != NULL) {
        *result = nds_value_copy(nds_value_item(answer, 1));
    }
    both = malloc(strlen(kind) + strlen(text) + 2);
    sprintf(both, "%s %s", kind, text);
    free(text);
    nds_value_free(answer);
    return both;
}

static char *
ask(nds_conn *c, const char *ident, const char *method, const char *args,
    nds_value **result)
{
    nds_value *a, *k;

    ck_assert_int_eq(nds_value_parse_args(&a, &k, args), 0);
    nds_value_free(k);
    return ask_with(c, ident, method, a, result);
}

static void
expect(const char *method, const char *args, const char *answer)
{
    char *text = ask(conn, id, method, args, NULL);

    ck_assert_msg(strcmp(text, answer) == 0, "%s(%s): %s, not %s", method,
                  args, text, answer);
    free(text);
}

static void
start(void)
{
    nds_manager_options o = {.size = sizeof o, .address = address,
                             .authkey = "secret", .authkey_nbytes = 6};
    nds_value *made;
    nds_conn *c;
    const char *name;

    snprintf(address, sizeof address, "@t-set-%d", (int)getpid());
    ck_assert_int_eq(nds_manager_start(&m, &o), 0);
    c = dial();
    free(ask(c, NULL, "create", "'set', [1, 2, 3, 2, True]", &made));
    nds_conn_close(c);
    ck_assert_int_eq(nds_value_unpack(made, "(s o)", &name, &exposed), 0);
    snprintf(id, sizeof id, "%s", name);
    exposed = nds_value_copy(exposed);
    nds_value_free(made);
    conn = dial();
    free(ask(conn, NULL, "accept_connection", "'MainThread'", NULL));
}

static void
stop(void)
{
    nds_value_free(exposed);
    nds_conn_close(conn);
    nds_manager_close(m);
}

static const struct {
    const char *method, *args, *answer;
} talk[] = {
    {"#GETVALUE", "", "#RETURN {1, 2, 3}"},
    {"__str__", "", "#RETURN '{1, 2, 3}'"},
    {"__len__", "", "#RETURN 3"},
    {"__contains__", "2.0", "#RETURN True"},
    {"__contains__", "'2'", "#RETURN False"},
    {"__contains__", "[2]", "#ERROR TypeError('unhashable type')"},
    {"__contains__", "{2}", "#RETURN False"},
    {"__iter__", "", "#RETURN [1, 2, 3]"},
    {"copy", "", "#RETURN {1, 2, 3}"},
    // Operators are between sets; Python then tries the other operand.
    {"__and__", "{3, 2, 9}", "#RETURN {2, 3}"},
    {"__and__", "[2]", "#RETURN NotImplemented"},
    {"__or__", "{3, 4}", "#RETURN {1, 2, 3, 4}"},
    {"__sub__", "{3, 4}", "#RETURN {1, 2}"},
    {"__xor__", "{3, 4}", "#RETURN {1, 2, 4}"},
    {"__rand__", "{3, 4}", "#RETURN {3}"},
    {"__ror__", "{4, 3}", "#RETURN {4, 3, 1, 2}"},
    {"__rsub__", "{3, 4}", "#RETURN {4}"},
    {"__rxor__", "{3, 4}", "#RETURN {4, 1, 2}"},
    {"__lt__", "{1, 2, 3}", "#RETURN False"},
    {"__le__", "{1, 2, 3}", "#RETURN True"},
    {"__lt__", "{1, 2, 3, 4}", "#RETURN True"},
    {"__gt__", "{1, 2}", "#RETURN True"},
    {"__gt__", "{1, 2, 3}", "#RETURN False"},
    {"__ge__", "{1, 2, 3}", "#RETURN True"},
    {"__ge__", "{7}", "#RETURN False"},
    {"__le__", "(1, 2, 3)", "#RETURN NotImplemented"},
    // The named ones go over anything.
    {"union", "", "#RETURN {1, 2, 3}"},
    {"union", "[4, 4], (5,), 'ab', {6: 7}",
     "#RETURN {1, 2, 3, 4, 5, 'a', 'b', 6}"},
    {"intersection", "[3, 2, 1], (2, 3)", "#RETURN {2, 3}"},
    {"difference", "[1], [3]", "#RETURN {2}"},
    {"symmetric_difference", "[3, 3, 4, 4]", "#RETURN {1, 2, 4}"},
    {"isdisjoint", "[4, 5]", "#RETURN True"},
    {"isdisjoint", "[4, 3]", "#RETURN False"},
    {"issubset", "[1, 2, 3, 4]", "#RETURN True"},
    {"issubset", "[1, 2]", "#RETURN False"},
    {"issuperset", "(1, 2)", "#RETURN True"},
    {"issuperset", "(1, 7)", "#RETURN False"},
    {"union", "3",
     "#ERROR TypeError('the items of a set come from a list, a tuple, a set, "
     "a dict, a range or a text here')"},
    {"union", "[[]]", "#ERROR TypeError('unhashable type')"},
    // Changes; those that fail change nothing.
    {"update", "[8], [[]]", "#ERROR TypeError('unhashable type')"},
    {"difference_update", "[1], [[]]", "#ERROR TypeError('unhashable type')"},
    {"#GETVALUE", "", "#RETURN {1, 2, 3, 8}"},
    {"remove", "8", "#RETURN None"},
    {"remove", "8", "#ERROR KeyError(8)"},
    {"discard", "8", "#RETURN None"},
    {"add", "(1, 'x')", "#RETURN None"},
    {"add", "(1, 'x')", "#RETURN None"},
    {"add", "[1]", "#ERROR TypeError('unhashable type')"},
    {"add", "(1, [2])", "#ERROR TypeError('unhashable type')"},
    {"__len__", "", "#RETURN 4"},
    {"discard", "(1, 'x')", "#RETURN None"},
    {"__ior__", "{5, 4}", "#RETURN {1, 2, 3, 5, 4}"},
    {"__iand__", "{1, 2, 3, 4}", "#RETURN {1, 2, 3, 4}"},
    {"__isub__", "{1, 9}", "#RETURN {2, 3, 4}"},
    {"__ixor__", "{4, 5}", "#RETURN {2, 3, 5}"},
    {"__ior__", "[9]", "#RETURN NotImplemented"},
    {"update", "[7], 'z'", "#RETURN None"},
    {"intersection_update", "[7, 'z', 5, 2]", "#RETURN None"},
    {"difference_update", "['z'], [2]", "#RETURN None"},
    {"symmetric_difference_update", "[5, 6]", "#RETURN None"},
    {"#GETVALUE", "", "#RETURN {7, 6}"},
    {"symmetric_difference_update", "",
     "#ERROR TypeError('symmetric_difference_update() missing a required "
     "argument (0 given, at least 1 needed)')"},
    {"pop", "", "#RETURN 6"},
    {"pop", "", "#RETURN 7"},
    {"pop", "", "#ERROR KeyError('pop from an empty set')"},
    {"#GETVALUE", "", "#RETURN set()"},
    {"__lt__", "{1}", "#RETURN True"},
    {"isdisjoint", "[]", "#RETURN True"},
    {"update", "'abc'", "#RETURN None"},
    {"clear", "", "#RETURN None"},
    {"__len__", "", "#RETURN 0"},
};

START_TEST(answers_as_a_stock_set)
{
    for (size_t i = 0; i < sizeof talk / sizeof talk[0]; i++) {
        expect(talk[i].method, talk[i].args, talk[i].answer);
    }
}
END_TEST

/* What SetProxy of CPython 3.14 exposes, but for __class_getitem__, which a
 * proxy answers itself. */
START_TEST(all_methods_of_a_proxy_are_exposed)
{
    static const char methods[] =
        "__and__ __contains__ __iand__ __ior__ __isub__ __iter__ __ixor__ "
        "__len__ __or__ __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ "
        "__ge__ __gt__ __le__ __lt__ add clear copy difference "
        "difference_update discard intersection intersection_update "
        "isdisjoint issubset issuperset pop remove symmetric_difference "
        "symmetric_difference_update union update";
    char text[sizeof methods] = "";

    for (size_t i = 0; i < nds_value_count(exposed); i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                 i > 0 ? " " : "",
                 nds_value_text(nds_value_item(exposed, i), NULL));
    }
    ck_assert_str_eq(text, methods);
}
END_TEST

/* Of thousands of items each is found, and what was taken out is not. */
START_TEST(many_items)
{
    char number[20], answer[40];
    nds_value *args;
    char *text;

    expect("clear", "", "#RETURN None");
    ck_assert_int_eq(nds_value_pack(&args, "(o o)", nds_value_range(0, 3000, 1),
                                    nds_value_range(2000, 1000, -1)), 0);
    text = ask_with(conn, id, "update", args, NULL);
    ck_assert_str_eq(text, "#RETURN None");
    free(text);
    expect("__len__", "", "#RETURN 3000");
    for (int i = 0; i < 3000; i += 7) {
        snprintf(number, sizeof number, "%d", i);
        expect("remove", number, "#RETURN None");
    }
    for (int i = 0; i < 3000; i += 11) {
        snprintf(number, sizeof number, "%d", i);
        snprintf(answer, sizeof answer, "#RETURN %s",
                 i % 7 != 0 ? "True" : "False");
        expect("__contains__", number, answer);
    }
    expect("__len__", "", "#RETURN 2571");
    ck_assert_int_eq(nds_value_pack(&args, "(o)",
                                    nds_value_range(0, INT64_MAX, 1)), 0);
    text = ask_with(conn, id, "union", args, NULL);
    ck_assert_str_eq(text, "#ERROR TypeError('a range of more than 2**24 "
                     "items')");
    free(text);
}
END_TEST

/* What a stock server answers to __iter__, and what ours does. */
START_TEST(an_iterator_is_one_to_python)
{
    static const char stock[] =
        "\x80\x05\x95\x2f\0\0\0\0\0\0\0\x8c\x07#RETURN\x94\x8c\x08"
        "builtins\x94\x8c\x04iter\x94\x93\x94]\x94(K\x01K\x02K\x03"
        "e\x85\x94R\x94\x86\x94.";
    nds_value *message, *v;
    void *data;
    char *text;
    size_t n;

    ck_assert_int_eq(nds_value_loads(&v, stock, sizeof stock - 1), 0);
    ck_assert_int_eq(nds_value_repr(v, &text), 0);
    ck_assert_str_eq(text, "('#RETURN', [1, 2, 3])");
    free(text);
    nds_value_free(v);
    ck_assert_int_eq(nds_value_pack(&message, "(s s () {})", id, "__iter__"),
                     0);
    ck_assert_int_eq(nds_conn_send(conn, message, TIMEOUT), 0);
    nds_value_free(message);
    ck_assert_int_eq(nds_conn_recv_bytes(conn, &data, &n, TIMEOUT), 0);
    ck_assert_ptr_nonnull(memmem(data, n, "builtins", 8));
    ck_assert_ptr_nonnull(memmem(data, n, "iter", 4));
    free(data);
}
END_TEST

START_TEST(what_makes_no_set)
{
    nds_proxy *p;

    ck_assert_int_lt(nds_manager_create(m, &p, "set", "(3,)"), 0);
    ck_assert_int_lt(nds_manager_create(m, &p, "set", "([[]],)"), 0);
    ck_assert_int_lt(nds_manager_create(m, &p, "set", "((1,), (2,))"), 0);
    ck_assert_int_eq(nds_manager_create(m, &p, "set", "()"), 0);
    nds_proxy_close(p);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("hosted_set");
    TCase *tc = tcase_create("hosted_set");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, answers_as_a_stock_set);
    tcase_add_test(tc, all_methods_of_a_proxy_are_exposed);
    tcase_add_test(tc, many_items);
    tcase_add_test(tc, an_iterator_is_one_to_python);
    tcase_add_test(tc, what_makes_no_set);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
