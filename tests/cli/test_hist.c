/* SPDX-License-Identifier: MIT */
/*
 * test_hist.c - the bench's histogram beside sorting all values
 *
 * A quantile may be off by half a step: 1/128 of the value.
 */
#include "bench_hist.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define VALUES 20000

static struct bench_hist h;
static uint64_t values[VALUES];

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void
compare(int count)
{
    static const double parts[] = {0.01, 0.5, 0.9, 0.99, 0.999};

    qsort(values, (size_t)count, sizeof *values, by_value);
    ck_assert_int_eq((int)h.count, count);
    ck_assert_uint_eq(h.min, values[0]);
    ck_assert_uint_eq(h.max, values[count - 1]);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        double want =
            (double)values[(int)ceil(parts[i] * count - 1e-6) - 1];
        double got = bench_hist_quantile(&h, parts[i]);

        ck_assert_msg(fabs(got - want) <= want / 128,
                      "quantile %g: %.17g, not %.17g", parts[i], got, want);
    }
}

/* Every magnitude alike: 2^0 to 2^40 ns. */
START_TEST(quantiles_are_those_of_a_sort)
{
    srand(11);
    for (int i = 0; i < VALUES; i++) {
        values[i] = (uint64_t)exp2(40.0 * rand() / RAND_MAX);
        bench_hist_add(&h, values[i]);
    }
    compare(VALUES);
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (int i = 0; i < VALUES; i++) {
        values[i] = (uint64_t)(i * 7 % 128);
        bench_hist_add(&h, values[i]);
    }
    compare(VALUES);
    ck_assert(bench_hist_quantile(&h, 0.5) == 63);
}
END_TEST

START_TEST(one_value_is_every_quantile_it_has)
{
    bench_hist_add(&h, 123456789);
    ck_assert(bench_hist_quantile(&h, 0.5) == 123456789);
    ck_assert(bench_hist_quantile(&h, 0.99) < 0);
}
END_TEST

START_TEST(tails_need_enough_values)
{
    ck_assert(bench_hist_quantile(&h, 0.5) < 0);
    for (int i = 1; i <= 1000; i++) {
        bench_hist_add(&h, (uint64_t)i);
        ck_assert_int_eq(bench_hist_quantile(&h, 0.99) >= 0, i >= 100);
        ck_assert_int_eq(bench_hist_quantile(&h, 0.999) >= 0, i >= 1000);
    }
}
END_TEST

START_TEST(what_is_too_long_counts_as_the_longest)
{
    bench_hist_add(&h, UINT64_MAX);
    bench_hist_add(&h, UINT64_MAX);
    ck_assert_uint_eq(h.max, UINT64_MAX);
    ck_assert(bench_hist_quantile(&h, 0.5) > 1e14);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("hist");
    TCase *t = tcase_create("hist");
    SRunner *r;
    int failed;

    tcase_add_test(t, quantiles_are_those_of_a_sort);
    tcase_add_test(t, small_values_are_exact);
    tcase_add_test(t, one_value_is_every_quantile_it_has);
    tcase_add_test(t, tails_need_enough_values);
    tcase_add_test(t, what_is_too_long_counts_as_the_longest);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
