/* SPDX-License-Identifier: MIT */
#include <harness/suite.h>

int
nds_run_suite(Suite *s)
{
    SRunner *sr = srunner_create(s);
    int failed;

    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

int
nds_run_case(const char *title, TCase *tc)
{
    Suite *s = suite_create(title);

    suite_add_tcase(s, tc);
    return nds_run_suite(s);
}
