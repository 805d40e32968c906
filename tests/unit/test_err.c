/* SPDX-License-Identifier: MIT */
/* test_err.c - the error record, and buffers and parcels of src/base */
#include <base/carry.h>
#include <base/fail.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(record_keeps_code_errno_and_text)
{
    ck_assert_int_eq(ndi_fail_errno(ENOSPC, "create '%s'", "a"), NDS_ENOSPC);
    ck_assert_int_eq(nds_last_error()->code, NDS_ENOSPC);
    ck_assert_int_eq(nds_last_error()->saved_errno, ENOSPC);
    ck_assert_str_eq(nds_last_error()->message,
                     "create 'a': No space left on device");
    ck_assert_int_eq(ndi_fail_more(NDS_ENOSPC, "in argument %d", 2),
                     NDS_ENOSPC);
    ck_assert_str_eq(nds_last_error()->message,
                     "create 'a': No space left on device\nin argument 2");
    ck_assert_int_eq(nds_error_set(NDS_EREMOTE, "100% mine"), NDS_EREMOTE);
    ck_assert_str_eq(nds_last_error()->message, "100% mine");
    ck_assert_int_eq(nds_last_error()->saved_errno, 0);
}
END_TEST

START_TEST(record_is_cut_not_overrun)
{
    char *big = malloc(5000);

    memset(big, 'x', 4999);
    big[4999] = '\0';
    ndi_fail(NDS_EINVAL, "%s", big);
    ck_assert_uint_eq(strlen(nds_last_error()->message), 2047);
    ndi_fail_more(NDS_EINVAL, "%s", big);
    ck_assert_uint_eq(strlen(nds_last_error()->message), 2047);
    free(big);
}
END_TEST

START_TEST(codes_have_names_and_texts)
{
    ck_assert_str_eq(nds_error_name(NDS_EOWNERDEAD), "NDS_EOWNERDEAD");
    ck_assert_str_eq(nds_error_python(NDS_EINDEX), "IndexError");
    ck_assert_str_eq(nds_error_name(-9999), "NDS_E?");
    ck_assert_str_eq(nds_strerror(-9999), "unknown error code");
}
END_TEST

START_TEST(parcels_give_back_what_went_in)
{
    struct ndi_parcel p = {0};
    size_t n;

    ndi_parcel_add_u64(&p, 42);
    ndi_parcel_add_bytes(&p, "a\0b", 3);
    ndi_parcel_add_str(&p, "text");
    ck_assert_int_eq(ndi_parcel_ok(&p), 0);
    ck_assert_uint_eq(ndi_parcel_u64(&p), 42);
    ck_assert_mem_eq(ndi_parcel_bytes(&p, &n), "a\0b", 3);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(ndi_parcel_str(&p), "text");
    ck_assert_int_eq(ndi_parcel_ok(&p), 0);
    ck_assert_uint_eq(ndi_parcel_u64(&p), 0);
    ck_assert_int_eq(ndi_parcel_ok(&p), NDS_EPROTO);
    ndi_parcel_fini(&p);
}
END_TEST

START_TEST(hostile_lengths_are_refused)
{
    struct ndi_parcel p = {0};
    size_t n;

    ndi_parcel_add_u64(&p, UINT64_MAX);
    ck_assert_str_eq(ndi_parcel_bytes(&p, &n), "");
    ck_assert_int_eq(ndi_parcel_ok(&p), NDS_EPROTO);
    ndi_parcel_fini(&p);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("base");
    TCase *tc = tcase_create("base");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, record_keeps_code_errno_and_text);
    tcase_add_test(tc, record_is_cut_not_overrun);
    tcase_add_test(tc, codes_have_names_and_texts);
    tcase_add_test(tc, parcels_give_back_what_went_in);
    tcase_add_test(tc, hostile_lengths_are_refused);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
