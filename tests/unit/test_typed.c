/* SPDX-License-Identifier: MIT */
/* test_typed.c - multiprocessing.Array and Value, in C */
#include <base/carry.h>
#include <check.h>
#include <harness/walk.h>
#include <ndshare/array.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
expect_text(nds_typed *t, int64_t start, int64_t stop, const char *want)
{
    char *text;

    ck_assert_int_eq(nds_typed_str(t, start, stop, &text), 0);
    ck_assert_str_eq(text, want);
    free(text);
}

START_TEST(every_code_stores_and_gives_back)
{
    static const char codes[] = "bBhHiIlLqQfd";
    static const int sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 8, 8, 4, 8};

    for (size_t i = 0; codes[i] != '\0'; i++) {
        nds_typed *t;
        nds_scalar s;

        ck_assert_int_eq(nds_typed_new(&t, codes[i], 5, i % 2 == 0), 0);
        ck_assert_int_eq(nds_typed_count(t), 5);
        ck_assert_int_eq(nds_typed_code(t), codes[i]);
        ck_assert_int_eq(nds_dtype_itemsize(
                             nds_array_view(nds_typed_array(t))->dtype),
                         sizes[i]);
        ck_assert_int_eq(nds_typed_get(t, 4, &s), 0);
        ck_assert_int_eq(nds_scalar_int64(&s), 0);
        ck_assert_int_eq(nds_typed_set(t, -1, nds_int(100)), 0);
        ck_assert_int_eq(nds_typed_get(t, 4, &s), 0);
        ck_assert_int_eq(nds_scalar_int64(&s), 100);
        ck_assert_int_eq(nds_typed_get(t, 5, &s), NDS_EINDEX);
        ck_assert_int_eq(nds_typed_set(t, -6, nds_int(1)), NDS_EINDEX);
        nds_typed_close(t);
    }
}
END_TEST

START_TEST(text_is_python_s)
{
    nds_typed *t;

    ck_assert_int_eq(nds_typed_new(&t, 'd', 4, true), 0);
    ck_assert_int_eq(nds_typed_set(t, 0, nds_float(1)), 0);
    ck_assert_int_eq(nds_typed_set(t, 1, nds_int(2)), 0);
    expect_text(t, NDS_INDEX_MISSING, NDS_INDEX_MISSING,
                "[1.0, 2.0, 0.0, 0.0]");
    expect_text(t, 1, 3, "[2.0, 0.0]");
    expect_text(t, -1, NDS_INDEX_MISSING, "[0.0]");
    expect_text(t, 3, 1, "[]");
    nds_typed_close(t);
    ck_assert_int_eq(nds_typed_new(&t, 'i', 3, false), 0);
    expect_text(t, 0, 2, "[0, 0]");
    ck_assert_int_eq(nds_typed_set(t, 0, nds_float(1.5)), NDS_ECAST);
    nds_typed_close(t);
    ck_assert_int_eq(nds_typed_new(&t, 'x', 3, false), NDS_EDTYPE);
    ck_assert_ptr_null(t);
}
END_TEST

START_TEST(any_shape_starts_one)
{
    double m[2][3] = {{1, 2, 3}, {4, 5, 6}};
    nds_typed *t;
    nds_view v;
    nds_scalar s;

    ck_assert_int_eq(nds_view_init(&v, NDS_FLOAT64, m, sizeof m, 2,
                                   (int64_t[]){2, 3}), 0);
    ck_assert_int_eq(nds_typed_from(&t, 'f', &v, true), 0);
    nds_view_fini(&v);
    ck_assert_int_eq(nds_typed_get(t, 4, &s), 0);
    ck_assert(nds_scalar_double(&s) == 5);
    ck_assert_int_eq(nds_array_view(nds_typed_array(t))->ndim, 2);
    nds_typed_close(t);
}
END_TEST

static nds_typed *shared;

static int
add_many(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 500; i++) {
        nds_scalar s;

        if (nds_typed_lock(shared, NDS_SEC(10)) < 0 ||
            nds_typed_get(shared, 0, &s) < 0 ||
            nds_typed_set(shared, 0, nds_int(nds_scalar_int64(&s) + 1)) < 0 ||
            nds_typed_unlock(shared) < 0) {
            return 1;
        }
    }
    return 0;
}

static int
add_in_two(void *ctx)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(add_many(ctx));
    }
    return add_many(ctx) + nds_in_child(add_many, ctx);
}

static int
die_holding(void *ctx)
{
    (void)ctx;
    if (nds_typed_lock(shared, 0) < 0) {
        return 1;
    }
    kill(getpid(), SIGKILL);
    return 2;
}

START_TEST(the_lock_guards_across_fork)
{
    nds_scalar s;

    ck_assert_int_eq(nds_typed_new(&shared, 'l', 1, true), 0);
    ck_assert_int_eq(nds_in_child(add_in_two, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        ck_assert_int_eq(nds_typed_get(shared, 0, &s), 0);
        if (nds_scalar_int64(&s) == 1500) {
            break;
        }
        usleep(1000);
    }
    ck_assert_int_eq(nds_scalar_int64(&s), 1500);
    ck_assert_int_eq(nds_in_child(die_holding, NULL), -SIGKILL);
    ck_assert_int_eq(nds_typed_get(shared, 0, &s), 0);
    nds_typed_close(shared);
}
END_TEST

START_TEST(it_travels_as_typed)
{
    const struct ndi_carrier *c = ndi_carrier_find("typed");
    struct ndi_parcel p = {0};
    nds_typed *t, *u;
    void *handle;

    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(nds_typed_new(&t, 'h', 2, true), 0);
    ck_assert_int_eq(c->pack(t, &p), 0);
    ck_assert_int_eq(c->unpack(&p, &handle), 0);
    ndi_parcel_fini(&p);
    u = handle;
    ck_assert_int_eq(nds_typed_set(u, 1, nds_int(-3)), 0);
    expect_text(t, 0, 2, "[0, -3]");
    ck_assert_int_eq(nds_typed_lock(u, 0), 0);
    ck_assert_int_eq(nds_typed_unlock(u), 0);
    c->close(u);
    nds_typed_close(t);
}
END_TEST

START_TEST(blocks_travel_too)
{
    const struct ndi_carrier *c = ndi_carrier_find("block");
    struct ndi_parcel p = {0};
    nds_block *a, *b;
    char name[64];
    void *handle;

    snprintf(name, sizeof name, "t-typ-%d", (int)getpid());
    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(nds_block_create_raw(&a, name, 100, 0), 0);
    ck_assert_int_eq(c->pack(a, &p), 0);
    ck_assert_int_eq(nds_name_unlink(name), 0);
    ck_assert_int_eq(c->unpack(&p, &handle), 0);
    ndi_parcel_fini(&p);
    b = handle;
    strcpy(nds_block_data(b), "same");
    ck_assert_str_eq(nds_block_data(a), "same");
    c->close(b);
    nds_block_close(a);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("typed");
    TCase *tc = tcase_create("typed");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_code_stores_and_gives_back);
    tcase_add_test(tc, text_is_python_s);
    tcase_add_test(tc, any_shape_starts_one);
    tcase_add_test(tc, the_lock_guards_across_fork);
    tcase_add_test(tc, it_travels_as_typed);
    tcase_add_test(tc, blocks_travel_too);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
