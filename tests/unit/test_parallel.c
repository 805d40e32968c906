/* SPDX-License-Identifier: MIT */
/*
 * test_parallel.c - large jobs give the same for any number of threads
 *
 * Every operation that may be cut into pieces runs on data of several pieces,
 * once by one thread and once by four (more than there may be processors), and
 * the bytes are compared.
 */
#include "ops_check.h"

#include <ndshare/array.h>
#include <ndshare/ops.h>
#include <os/os.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 3000001 /* of float64: 24 MB, six pieces, none of them even */

static const char *const crews[] = {"1", "4"};

static void
crew(int i)
{
    ck_assert_int_eq(setenv("NDSHARE_THREADS", crews[i], 1), 0);
}

struct marks {
    _Atomic unsigned char *seen;
    int64_t count;
};

static void
mark(void *ctx, int64_t i)
{
    struct marks *m = ctx;

    m->seen[i]++;
}

static void
mark_range(void *ctx, int64_t from, int64_t to)
{
    while (from < to) {
        mark(ctx, from++);
    }
}

START_TEST(every_piece_is_done_once)
{
    struct marks m = {calloc(COUNT, 1), COUNT};
    int64_t i = 0;

    crew(_i);
    ndi_parallel(COUNT, mark, &m);
    ndi_in_pieces(COUNT, 8, mark_range, &m);
    ndi_in_pieces(0, 8, mark_range, &m);
    while (i < COUNT && m.seen[i] == 2) {
        i++; // each assertion would write to Check's pipe
    }
    ck_assert_msg(i == COUNT, "%lld: %d times", (long long)i,
                  i < COUNT ? m.seen[i] : 0);
    free((void *)m.seen);
}
END_TEST

#define ROOM ((size_t)20 << 20)

/* Around the size from which the processor's own instruction copies, in pieces,
 * and past the caches; at any place within a line, the two places apart by any
 * of them. */
START_TEST(a_copy_is_whole_and_no_more)
{
    static const size_t sizes[] = {1, 70, 4096, (256 << 10) - 1, 256 << 10,
                                   (256 << 10) + 65, (8 << 20) + 1,
                                   (17 << 20) + 3};
    unsigned char *from = malloc(ROOM), *to = malloc(ROOM);

    crew(_i);
    ck_assert(from != NULL && to != NULL);
    for (size_t i = 0; i < ROOM; i++) {
        from[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t n = sizes[k];

        for (size_t off = 0; off < 130; off += n < 1 << 20 ? 3 : 61) {
            for (int past = 0; past < 2; past++) {
                memset(to, 0x5a, n + 4096);
                if (past) {
                    ndi_copy_past((char *)to + 64 + off,
                                  (const char *)from + off / 2, n);
                } else {
                    ndi_copy(to + 64 + off, from + off / 2, n);
                }
                ck_assert_mem_eq(to + 64 + off, from + off / 2, n);
                for (size_t i = 0; i < 64 + off; i++) {
                    ck_assert_int_eq(to[i], 0x5a);
                    ck_assert_int_eq(to[64 + off + n + i], 0x5a);
                }
            }
        }
    }
    ndi_copy(to, from, 0);
    ck_assert_int_eq(to[0], 0x5a);
    free(from);
    free(to);
}
END_TEST

static nds_array *
fresh(const nds_dtype *dtype, int64_t count)
{
    nds_array *a;

    ck_assert_int_eq(nds_array_new(&a, dtype, 1, &count, NULL), 0);
    return a;
}

static void
same(nds_array *const a[2])
{
    const nds_view *v = nds_array_view(a[0]);

    ck_assert_mem_eq(v->data, nds_array_data(a[1]), nds_view_nbytes(v));
    nds_array_close(a[0]);
    nds_array_close(a[1]);
}

START_TEST(random_fill_and_arithmetic_are_the_same)
{
    static const enum nds_op ops[] = {NDS_ADD, NDS_SUBTRACT, NDS_MULTIPLY,
                                      NDS_DIVIDE};
    const nds_dtype *dtypes[] = {NDS_FLOAT64, NDS_FLOAT32};
    const nds_dtype *dt = dtypes[_i];
    nds_array *a[2], *b[2], *c[2];

    for (int k = 0; k < 2; k++) {
        crew(k);
        a[k] = fresh(dt, 2 * COUNT);
        b[k] = fresh(dt, 2 * COUNT);
        c[k] = fresh(dt, 2 * COUNT);
        ck_assert_int_eq(nds_random(nds_array_view(a[k]), 7), 0);
        ck_assert_int_eq(nds_fill(nds_array_view(b[k]), nds_float(1.5)), 0);
        for (size_t i = 0; i < NDI_ARRAY_LEN(ops); i++) {
            ck_assert_int_eq(nds_binary(ops[i], nds_array_view(c[k]),
                                        nds_array_view(a[k]),
                                        nds_array_view(b[k])), 0);
            ck_assert_int_eq(nds_binary_scalar(ops[i], nds_array_view(b[k]),
                                               nds_array_view(c[k]),
                                               nds_float(0.75)), 0);
        }
    }
    ck_assert(((double *)nds_array_data(a[0]))[COUNT - 1] != 0);
    same(a);
    same(b);
    same(c);
}
END_TEST

/* Assignment, arithmetic, counting, random numbers and reductions along axes
 * of what does not lie side by side. */
START_TEST(views_and_axes_are_the_same)
{
    static const char *const cuts[] = {"[:, :900]", "[::2, ::3]", "[::-1]",
                                       "[:, 5:7]"};
    nds_array *random[2], *out[2], *sums[2];

    for (int k = 0; k < 2; k++) {
        const int64_t shape[] = {3001, 1007};
        nds_view from, to;

        crew(k);
        ck_assert_int_eq(nds_array_new(&random[k], NDS_FLOAT64, 2, shape,
                                       NULL), 0);
        ck_assert_int_eq(nds_array_new(&out[k], NDS_FLOAT32, 2, shape, NULL),
                         0);
        sums[k] = fresh(NDS_FLOAT64, 20 * 3001);
        from = part(nds_array_view(random[k]), cuts[_i]);
        to = part(nds_array_view(out[k]), cuts[_i]);
        ck_assert_int_eq(nds_random(&from, 11), 0);
        ck_assert_int_eq(nds_assign(&to, &from), 0);
        ck_assert_int_eq(nds_binary(NDS_ADD, &to, &to, &from), 0);
        for (int op = NDS_SUM; op <= NDS_ALL; op++) {
            for (int axis = 0; axis < 2; axis++) {
                nds_view rows = part(nds_array_view(sums[k]), "[:3001]");
                const nds_dtype *dt;

                ck_assert_int_eq(nds_reduce_dtype((enum nds_reduction)op,
                                                  from.dtype, &dt), 0);
                rows.dtype = dt;
                rows.data = (double *)nds_array_data(sums[k]) +
                            3001 * (axis * 10 + op % 10);
                rows.shape[0] = from.shape[1 - axis];
                rows.strides[0] = nds_dtype_itemsize(dt);
                ck_assert_msg(nds_reduce_axes((enum nds_reduction)op, &rows,
                                              &from, 1, &axis, NULL) == 0,
                              "%s", nds_last_error()->message);
            }
        }
        ck_assert_int_eq(nds_arange(&from), 0);
    }
    same(random);
    same(out);
    same(sums);
}
END_TEST

static void
reduce_both(enum nds_reduction op, const nds_view *v, nds_scalar *out)
{
    nds_scalar s[2] = {{0}, {0}};

    for (int k = 0; k < 2; k++) {
        crew(k);
        ck_assert_int_eq(nds_reduce(op, v, NULL, &s[k]), 0);
    }
    ck_assert_mem_eq(s[0].data, s[1].data, nds_dtype_itemsize(s[0].dtype));
    *out = s[1];
}

START_TEST(reductions_are_the_same)
{
    const nds_dtype *dtypes[] = {NDS_FLOAT64, NDS_FLOAT32, NDS_COMPLEX128,
                                 NDS_INT64, NDS_UINT8, NDS_BOOL};
    const nds_dtype *dt = dtypes[_i];
    int64_t count = (int64_t)(24 << 20) / nds_dtype_itemsize(dt) + 5;
    nds_array *random = fresh(NDS_FLOAT64, count);
    nds_array *a = fresh(dt, count);
    nds_scalar s;

    ck_assert_int_eq(nds_random(nds_array_view(random), 3), 0);
    ck_assert_int_eq(nds_binary_scalar(NDS_MULTIPLY, nds_array_view(random),
                                       nds_array_view(random),
                                       nds_float(250)), 0);
    ck_assert_int_eq(nds_assign(nds_array_view(a), nds_array_view(random)), 0);
    nds_array_close(random);
    for (int op = NDS_SUM; op <= NDS_ALL; op++) {
        reduce_both((enum nds_reduction)op, nds_array_view(a), &s);
    }
    if (dt == NDS_FLOAT64) {
        double *x = nds_array_data(a);
        double most = x[0], least = x[0];

        for (int64_t i = 0; i < count; i++) {
            most = x[i] > most ? x[i] : most;
            least = x[i] < least ? x[i] : least;
        }
        reduce_both(NDS_MAX, nds_array_view(a), &s);
        ck_assert(nds_scalar_double(&s) == most);
        reduce_both(NDS_MIN, nds_array_view(a), &s);
        ck_assert(nds_scalar_double(&s) == least);
        x[count - 3] = NAN; // in the last piece, off the vectors
        reduce_both(NDS_MAX, nds_array_view(a), &s);
        ck_assert(isnan(nds_scalar_double(&s)));
        reduce_both(NDS_MIN, nds_array_view(a), &s);
        ck_assert(isnan(nds_scalar_double(&s)));
    }
    nds_array_close(a);
}
END_TEST

/* opts.fill, for reaches and dtypes whose size divides no page. */
START_TEST(arrays_begin_as_they_were_asked)
{
    const char *const texts[] = {"<f8", ">i2", "i2,u1", "c8", "f2",
                                 "M8[s]"};
    enum nds_reach reach = _i % 2 == 0 ? NDS_HEAP : NDS_SHAREABLE;
    nds_scalar seven = nds_int(7);
    nds_array_options opts = {.size = sizeof opts, .reach = reach,
                              .fill = &seven};
    const nds_dtype *dt;
    nds_array *a, *b;
    int64_t count;

    ck_assert_int_eq(nds_dtype_parse(&dt, texts[_i / 2]), 0);
    count = (int64_t)(13 << 20) / nds_dtype_itemsize(dt) + 3;
    crew(1);
    ck_assert_msg(nds_array_new(&a, dt, 1, &count, &opts) == 0, "%s",
                  nds_last_error()->message);
    b = fresh(dt, count);
    ck_assert_int_eq(nds_fill(nds_array_view(b), seven), 0);
    nds_dtype_put(dt);
    same((nds_array *[2]){a, b});
}
END_TEST

START_TEST(what_cannot_be_converted_is_refused)
{
    nds_scalar seven = nds_int(7);
    nds_array_options opts = {.size = sizeof opts, .fill = &seven};
    const nds_dtype *dt;
    nds_array *a;

    ck_assert_int_eq(nds_dtype_parse(&dt, "S5"), 0);
    ck_assert_int_lt(nds_array_new(&a, dt, 1, SHAPE(4), &opts), 0);
    ck_assert_ptr_null(a);
    opts.reach = NDS_SHAREABLE;
    ck_assert_int_lt(nds_array_new(&a, dt, 1, SHAPE(4), &opts), 0);
    ck_assert_ptr_null(a);
    nds_dtype_put(dt);
}
END_TEST

/* A caller built before there was `fill` gives a shorter struct; what stands
 * behind it is its own. */
START_TEST(shorter_options_are_honoured)
{
    nds_scalar seven = nds_int(7);
    nds_array_options opts = {.size = offsetof(nds_array_options, fill),
                              .reach = _i == 0 ? NDS_HEAP : NDS_SHAREABLE,
                              .fill = &seven};
    nds_array *a;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT64, 1, SHAPE(4), &opts), 0);
    ck_assert_int_eq(*(int64_t *)nds_array_data(a), 0);
    nds_array_close(a);
}
END_TEST

START_TEST(the_number_of_threads_can_be_set)
{
    crew(1);
    ck_assert_int_eq(nds_threads(), 4);
    ck_assert_int_eq(nds_set_threads(3), 0);
    ck_assert_int_eq(nds_threads(), 3);
    ck_assert_int_eq(nds_set_threads(-1), NDS_EINVAL);
    ck_assert_int_eq(nds_threads(), 3);
    ck_assert_int_eq(nds_set_threads(0), 0);
    ck_assert_int_eq(nds_threads(), 4);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("parallel");
    TCase *tc = tcase_create("parallel");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_piece_is_done_once, 0, 2);
    tcase_add_loop_test(tc, a_copy_is_whole_and_no_more, 0, 2);
    tcase_add_loop_test(tc, random_fill_and_arithmetic_are_the_same, 0, 2);
    tcase_add_loop_test(tc, views_and_axes_are_the_same, 0, 4);
    tcase_add_loop_test(tc, reductions_are_the_same, 0, 6);
    tcase_add_loop_test(tc, arrays_begin_as_they_were_asked, 0, 12);
    tcase_add_loop_test(tc, shorter_options_are_honoured, 0, 2);
    tcase_add_test(tc, what_cannot_be_converted_is_refused);
    tcase_add_test(tc, the_number_of_threads_can_be_set);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
