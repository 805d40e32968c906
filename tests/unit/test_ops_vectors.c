/* SPDX-License-Identifier: MIT */
/*
 * test_ops_vectors.c - sums, products, moments against NumPy's, bit for bit
 *
 * tests/data/ops/reduce_*.tsv hold what NumPy 2.4 and 1.24 answered for the
 * values of a generator (data() in model.py beside them, fill() here) in many
 * layouts: the order of additions is what is compared. moments_*.tsv: means,
 * variances and deviations of every type.
 */
#include "ops_check.h"
#include "tsv.h"

#include <nd/half.h>
#include <ops/ops_impl.h>

#include <math.h>

static int compared; /* vectors of the running test */
static int casts;    /* of them, sums in another type than the input's */

static int
numbers(const char *text, int64_t *out)
{
    int n = 0;

    while (*text != '\0' && *text != '-') {
        char *end;

        out[n++] = strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return n;
}

/* Strides may begin with '-': no mark for "none" there. */
static void
read_strides(const char *text, int ndim, int64_t *out)
{
    for (int i = 0; i < ndim; i++) {
        char *end;

        out[i] = strtoll(text, &end, 10);
        text = end + 1;
    }
}

static bool
fill_integer(unsigned char *m, char letter, int64_t i, uint32_t state)
{
    switch (letter) {
    case '?':
        m[i] = state & 1;
        return true;
    case 'b':
    case 'B':
        m[i] = (unsigned char)state;
        return true;
    case 'h':
    case 'H':
        ((uint16_t *)m)[i] = (uint16_t)state;
        return true;
    case 'i':
    case 'I':
        ((uint32_t *)m)[i] = state;
        return true;
    case 'q':
    case 'Q':
        ((uint64_t *)m)[i] = state;
        return true;
    default:
        return false;
    }
}

/* xorshift32, a number for each real part. */
static void
fill(unsigned char *m, char letter, int64_t count, uint32_t seed)
{
    uint32_t state = seed * 2654435761U;
    bool pairs = letter == 'F' || letter == 'D';

    state = state ? state : 1;
    for (int64_t i = 0; i < count * (pairs ? 2 : 1); i++) {
        double v;

        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if (fill_integer(m, letter, i, state)) {
            continue;
        }
        v = (double)state / 0x1p31 - 1;
        if (letter == 'e') {
            ((uint16_t *)m)[i] = ndi_half_from_double(v);
            continue;
        }
        v = ldexp(v, (int)(state % 17) - 8);
        if (letter == 'd' || letter == 'D') {
            ((double *)m)[i] = v;
        } else {
            ((float *)m)[i] = (float)v;
        }
    }
}

/* The sum in another type, which only mean and variance ask for: the pass
 * itself, and its accumulators in C order. */
static void
sum_as(enum nds_type to, const nds_view *a, const bool *reduced,
       unsigned char *out)
{
    struct ndi_dim dims[NDS_MAX_NDIM];
    int64_t item = ndi_ops_itemsize(to);
    struct ndi_pass *p = calloc(1, sizeof *p);
    struct ndi_plan input;
    int64_t step[NDS_MAX_NDIM] = {0};
    int64_t results = 1;

    ndi_plan_axes(a, reduced, dims);
    for (int i = 0; i < a->ndim; i++) {
        step[dims[i].axis] = dims[i].out;
        results *= reduced[i] ? 1 : a->shape[i];
    }
    *p = (struct ndi_pass){.a = a, .from = a->dtype->type, .type = to,
                           .acc = to, .tree = true,
                           .fold = ndi_fold_kernel(NDS_SUM, to),
                           .join = ndi_fold_kernel(NDS_SUM, to)};
    p->sums = calloc((size_t)results, (size_t)item);
    ndi_plan_init(&input, a->ndim, dims, false, false);
    memcpy(p->where, input.dim, sizeof p->where);
    p->nwhere = input.ndim;
    ndi_plan_init(&p->plan, a->ndim, dims, true, false);
    ndi_pass_run(p);
    for (int64_t k = 0; k < results; k++) {
        int64_t rest = k, at = 0;

        for (int i = a->ndim - 1; i >= 0; i--) {
            if (!reduced[i]) {
                at += rest % a->shape[i] * step[i];
                rest /= a->shape[i];
            }
        }
        memcpy(out + k * item, p->sums + at * item, (size_t)item);
    }
    free(p->sums);
    free(p);
}

static enum nds_reduction
operation(const char *name)
{
    static const struct {
        const char *name;
        enum nds_reduction op;
    } ops[] = {{"sum", NDS_SUM}, {"prod", NDS_PROD}, {"mean", NDS_MEAN},
               {"var", NDS_VAR}, {"std", NDS_STD}};
    size_t i = 0;

    while (i < sizeof ops / sizeof *ops && strcmp(ops[i].name, name) != 0) {
        i++;
    }
    ck_assert_msg(i < sizeof ops / sizeof *ops, "%s", name);
    return ops[i].op;
}

/* op type elements seed shape strides off axes result-type result-bytes */
static void
one_vector(char **f, int n)
{
    int64_t shape[NDS_MAX_NDIM], strides[NDS_MAX_NDIM], axis[NDS_MAX_NDIM];
    int64_t kept[NDS_MAX_NDIM];
    bool reduced[NDS_MAX_NDIM] = {false};
    int axes[NDS_MAX_NDIM], ndim, naxes, nkept;
    const nds_dtype *from, *to;
    unsigned char *m, *out, *want;
    size_t nbytes, room;
    nds_view a, v;

    ck_assert_int_eq(n, 10);
    ck_assert_int_eq(nds_dtype_parse(&from, f[1]), 0);
    ck_assert_int_eq(nds_dtype_parse(&to, f[8]), 0);
    want = tsv_hex(f[9], &nbytes);
    room = (size_t)(strtoll(f[2], NULL, 10) * nds_dtype_itemsize(from));
    m = malloc(room);
    out = malloc(nbytes);
    fill(m, f[1][0], strtoll(f[2], NULL, 10), (uint32_t)atoi(f[3]));
    ndim = numbers(f[4], shape);
    read_strides(f[5], ndim, strides);
    naxes = numbers(f[7], axis);
    for (int i = 0; i < naxes; i++) {
        axes[i] = (int)axis[i];
        reduced[axes[i]] = true;
    }
    ck_assert_int_eq(nds_view_init_strided(&a, from, m, room,
                                           strtoll(f[6], NULL, 10), ndim,
                                           shape, strides, 'C'), 0);
    if (operation(f[0]) != NDS_SUM || nds_dtype_equal(from, to)) {
        ck_assert_int_eq(nds_reduce_shape(&a, naxes, axes, NULL, &nkept, kept),
                         0);
        ck_assert_int_eq(nds_view_init(&v, to, out, nbytes, nkept, kept), 0);
        ck_assert_int_eq(nds_reduce_axes(operation(f[0]), &v, &a, naxes, axes,
                                         NULL), 0);
        nds_view_fini(&v);
    } else {
        sum_as(nds_dtype_type(to), &a, reduced, out);
        casts++;
    }
    ck_assert_msg(memcmp(out, want, nbytes) == 0, "%s %s seed %s shape %s "
                  "strides %s axes %s as %s", f[0], f[1], f[3], f[4], f[5],
                  f[7], f[8]);
    compared++;
    nds_view_fini(&a);
    nds_dtype_put(from);
    nds_dtype_put(to);
    free(m);
    free(out);
    free(want);
}

START_TEST(newest_order)
{
    unsetenv("NDSHARE_NUMPY_REDUCE");
    tsv_each(NDS_TEST_DATA "/ops/moments_2.4.tsv", one_vector);
    ck_assert_int_eq(compared, 150);
    tsv_each(NDS_TEST_DATA "/ops/reduce_2.4.tsv", one_vector);
    ck_assert_int_eq(compared, 400);
    ck_assert_int_eq(casts, 12);
}
END_TEST

START_TEST(older_order)
{
    setenv("NDSHARE_NUMPY_REDUCE", "1.24", 1);
    tsv_each(NDS_TEST_DATA "/ops/moments_1.24.tsv", one_vector);
    ck_assert_int_eq(compared, 150);
    tsv_each(NDS_TEST_DATA "/ops/reduce_1.24.tsv", one_vector);
    ck_assert_int_eq(compared, 400);
    ck_assert_int_eq(casts, 12);
}
END_TEST

/* 9000 floats along the last axis: 2.4 adds them in one tree, 1.24 in pieces
 * of 8192. The two differ, so neither test above can pass by accident. */
START_TEST(the_orders_differ)
{
    static float m[9000];
    nds_scalar a, b;
    nds_view v;

    fill((unsigned char *)m, 'f', 9000, 7);
    VIEW(&v, NDS_FLOAT32, m, 1, 9000);
    unsetenv("NDSHARE_NUMPY_REDUCE");
    ck_assert_int_eq(nds_sum(&a, &v), 0);
    setenv("NDSHARE_NUMPY_REDUCE", "1.24", 1);
    ck_assert_int_eq(nds_sum(&b, &v), 0);
    ck_assert_mem_ne(a.data, b.data, 4);
    setenv("NDSHARE_NUMPY_REDUCE", "2.4", 1);
    ck_assert_int_eq(nds_sum(&b, &v), 0);
    ck_assert_mem_eq(a.data, b.data, 4);
    nds_view_fini(&v);
}
END_TEST

/* What is not aligned goes through NumPy's buffer of 8192 elements whatever the
 * version; an axis of one element has no say in it. */
START_TEST(what_is_misaligned_is_added_in_pieces)
{
    static float m[9000];
    static unsigned char odd[sizeof m + 1];
    int64_t shape[] = {1, 9000}, strides[] = {1, 4};
    nds_scalar tree, pieces, b;
    nds_view v;

    fill((unsigned char *)m, 'f', 9000, 7);
    memcpy(odd + 1, m, sizeof m);
    VIEW(&v, NDS_FLOAT32, m, 1, 9000);
    unsetenv("NDSHARE_NUMPY_REDUCE");
    ck_assert_int_eq(nds_sum(&tree, &v), 0);
    setenv("NDSHARE_NUMPY_REDUCE", "1.24", 1);
    ck_assert_int_eq(nds_sum(&pieces, &v), 0);
    nds_view_fini(&v);
    ck_assert_mem_ne(tree.data, pieces.data, 4);
    unsetenv("NDSHARE_NUMPY_REDUCE");
    VIEW(&v, NDS_FLOAT32, m, 1, 9000);
    v.data = odd + 1;
    ck_assert_int_eq(nds_sum(&b, &v), 0);
    v.data = m;
    nds_view_fini(&v);
    ck_assert_mem_eq(b.data, pieces.data, 4);
    ck_assert_int_eq(nds_view_init_strided(&v, NDS_FLOAT32, m, sizeof m, 0, 2,
                                           shape, strides, 'C'), 0);
    ck_assert_int_eq(nds_sum(&b, &v), 0);
    ck_assert_mem_eq(b.data, tree.data, 4);
    nds_view_fini(&v);
}
END_TEST

RUN("ops_vectors", newest_order, older_order, the_orders_differ,
    what_is_misaligned_is_added_in_pieces)
