/* SPDX-License-Identifier: MIT */
/*
 * test_kill_array.c - growing and unlocking an array, killed at every step
 *
 * After a kill the header is whole, old or new; the next holder hears that
 * its owner died, finds an even generation, and can go on.
 */
#include <array/array_impl.h>
#include <check.h>
#include <harness/own_names.h>
#include <ndshare/ops.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdio.h>
#include <unistd.h>

static void
make(void *ctx)
{
    nds_array_options opts = {.size = sizeof opts, .capacity = 1000};
    nds_array *a;

    (void)ctx;
    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT64, 1,
                                      (int64_t[]){100}, &opts), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_int(5)), 0);
    nds_array_close(a);
}

static int
act_resize(void *ctx)
{
    nds_array *a;

    (void)ctx;
    if (nds_array_attach(&a, name, NDS_READWRITE, 0) < 0 ||
        nds_array_resize(a, 900) < 0) {
        return 1;
    }
    nds_array_close(a);
    return 0;
}

static void
check_resize(void *ctx, const char *point)
{
    nds_array *a, *r;
    const int64_t *data;
    int64_t n;
    int rc;

    (void)ctx;
    // A reader needs no repair, and no writer either.
    rc = nds_array_attach(&r, name, NDS_READ, 0);
    ck_assert_msg(rc == 0, "read at '%s': %d", point, rc);
    n = nds_array_view(r)->shape[0];
    ck_assert_msg(n == 100 || n == 900, "at '%s': %lld", point, (long long)n);
    data = nds_array_data(r);
    for (int64_t i = 0; i < n; i++) {
        ck_assert_msg(data[i] == (i < 100 ? 5 : 0), "at '%s'", point);
    }
    nds_array_close(r);
    rc = nds_array_attach(&a, name, NDS_READWRITE, 0);
    ck_assert_int_eq(rc, 0);
    rc = nds_array_lock(a, NDS_SEC(5));
    ck_assert_msg(rc == 0 || rc == NDS_EOWNERDEAD, "lock at '%s'", point);
    ck_assert_uint_eq(ndi_load_acq(&a->segment->ctl->gens.shape_gen) % 2, 0);
    ck_assert_int_eq(nds_array_unlock(a), 0);
    ck_assert_int_eq(nds_array_resize(a, 1000), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}

START_TEST(resize)
{
    struct nds_walk w = {make, act_resize, check_resize, NULL};

    ck_assert_int_gt(nds_walk(&w), 8);
}
END_TEST

static int
act_write(void *ctx)
{
    nds_array *a;

    (void)ctx;
    if (nds_array_attach(&a, name, NDS_READWRITE, 0) < 0 ||
        nds_array_lock(a, 0) < 0 ||
        nds_fill(nds_array_view(a), nds_int(6)) < 0 ||
        nds_array_unlock(a) < 0) {
        return 1;
    }
    nds_array_close(a);
    return 0;
}

static void
check_write(void *ctx, const char *point)
{
    nds_array *a;
    uint64_t gen;
    int rc;

    (void)ctx;
    ck_assert_int_eq(nds_array_attach(&a, name, NDS_READWRITE, 0), 0);
    rc = nds_array_lock(a, NDS_SEC(5));
    ck_assert_msg(rc == 0 || rc == NDS_EOWNERDEAD, "lock at '%s'", point);
    ck_assert_int_eq(nds_array_generation(a, &gen), 0);
    // Written under the lock and given back: then the generation says so.
    ck_assert(rc != 0 || gen > 0 || *(int64_t *)nds_array_data(a) == 5);
    ck_assert_int_eq(nds_array_unlock(a), 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_unlink(name), 0);
}

START_TEST(lock_write_unlock)
{
    struct nds_walk w = {make, act_write, check_write, NULL};

    ck_assert_int_gt(nds_walk(&w), 4);
}
END_TEST

static int
act_replace(void *ctx)
{
    nds_array_options opts = {.size = sizeof opts, .replace = true};
    nds_array *a;

    (void)ctx;
    if (nds_array_create(&a, name, NDS_INT64, 1, (int64_t[]){900}, &opts) <
        0) {
        return 1;
    }
    nds_array_close(a);
    return 0;
}

static void
check_replace(void *ctx, const char *point)
{
    nds_array *a;
    int64_t n;

    (void)ctx;
    ck_assert_int_eq(nds_array_attach(&a, name, NDS_READ, 0), 0);
    n = nds_array_view(a)->shape[0];
    ck_assert_msg(n == 100 || n == 900, "at '%s'", point);
    ck_assert_int_eq(*(int64_t *)nds_array_data(a), n == 100 ? 5 : 0);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_unlink(name), 0);
    ck_assert_int_ge(nds_sweep(false, NULL, NULL), 0);
}

START_TEST(replace)
{
    struct nds_walk w = {make, act_replace, check_replace, NULL};

    ck_assert_int_gt(nds_walk(&w), 8);
}
END_TEST

int
main(void)
{
    TCase *tc = case_with_names("kill array");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, resize);
    tcase_add_test(tc, lock_write_unlock);
    tcase_add_test(tc, replace);
    return nds_run_case("kill array", tc);
}
