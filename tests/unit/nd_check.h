/* SPDX-License-Identifier: MIT */
/* nd_check.h - short words for the tests of dtypes and views */
#ifndef ND_CHECK_H
#define ND_CHECK_H

#include <ndshare/view.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ck_text(part)                                                         \
    ck_assert_msg(strstr(nds_last_error()->message, (part)) != NULL,          \
                  "'%s' is not in '%s'", (part), nds_last_error()->message)

#define ck_fails(call, want)                                                  \
    do {                                                                      \
        ck_assert_int_eq((call), (want));                                     \
        ck_assert_int_eq(nds_last_error()->code, (want));                     \
    } while (0)

/* Runs a suite of one case; the exit code. */
static inline int
run_tests(const char *name, const TTest *const *tests, size_t count)
{
    Suite *s = suite_create(name);
    TCase *tc = tcase_create(name);
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < count; i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

#define RUN(name, ...)                                                        \
    int main(void)                                                            \
    {                                                                         \
        const TTest *const tests[] = {__VA_ARGS__};                           \
                                                                              \
        return run_tests(name, tests, sizeof tests / sizeof *tests);          \
    }

#endif
