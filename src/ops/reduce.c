/* SPDX-License-Identifier: MIT */
/*
 * reduce.c - sum, prod, min, max, mean, var, std, any, all, argmin, argmax
 *
 * Which passes each needs, in which type, and what is divided by what, as
 * NumPy does it: mean and variance of integers in float64, of halves by way
 * of float32; counts divide in double unless NumPy 1.x would not.
 */
#include "ops_impl.h"

#include <base/fail.h>
#include <nd/spread.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[] = {"sum", "prod", "minimum", "maximum",
                                    "mean", "std", "var", "argmin", "argmax",
                                    "any", "all"};

static bool
is_var(enum nds_reduction op)
{
    return op == NDS_STD || op == NDS_VAR;
}

int
nds_reduce_dtype(enum nds_reduction op, const nds_dtype *a,
                 const nds_dtype **out)
{
    enum nds_type t = a->type;

    *out = NULL;
    if (!ndi_is_number(a)) {
        return ndi_refuse_dtype(names[op], a);
    }
    if (op == NDS_ANY || op == NDS_ALL) {
        t = NDS_TYPE_BOOL;
    } else if (op == NDS_ARGMIN || op == NDS_ARGMAX) {
        t = NDS_TYPE_INT64;
    } else if (t <= NDS_TYPE_UINT64 && (op == NDS_SUM || op == NDS_PROD)) {
        t = a->kind == 'u' ? NDS_TYPE_UINT64 : NDS_TYPE_INT64;
    } else if (t <= NDS_TYPE_UINT64 && (op == NDS_MEAN || is_var(op))) {
        t = NDS_TYPE_FLOAT64;
    } else if (is_var(op) && a->kind == 'c') {
        t = t == NDS_TYPE_COMPLEX64 ? NDS_TYPE_FLOAT32 : NDS_TYPE_FLOAT64;
    }
    *out = nds_dtype_builtin(t);
    return 0;
}

/* Marks the axes; naxes < 0 (or axes NULL): all. lax: the one axis 0 or -1 of
 * an array without dimensions is let pass, as NumPy does. */
static int
mark_axes(const nds_view *a, int naxes, const int *axes, bool lax,
          bool *reduced)
{
    bool all = naxes < 0 || !axes;

    for (int i = 0; i < a->ndim; i++) {
        reduced[i] = all;
    }
    for (int i = 0; !all && i < naxes; i++) {
        int x = axes[i] < 0 ? axes[i] + a->ndim : axes[i];

        if (lax && a->ndim == 0 && naxes == 1 && (x == 0 || x == -1)) {
            break;
        }
        if (x < 0 || x >= a->ndim) {
            return ndi_fail(NDS_EINDEX, "axis %d is out of bounds for array "
                            "of dimension %d", axes[i], a->ndim);
        }
        if (reduced[x]) {
            return ndi_fail(NDS_EINVAL, "duplicate value in 'axis'");
        }
        reduced[x] = true;
    }
    return 0;
}

int
nds_reduce_shape(const nds_view *a, int naxes, const int *axes,
                 const nds_reduce_options *opts, int *ndim, int64_t *shape)
{
    bool reduced[NDS_MAX_NDIM];
    int rc = mark_axes(a, naxes, axes, true, reduced);

    if (rc < 0) {
        return rc;
    }
    *ndim = 0;
    for (int i = 0; i < a->ndim; i++) {
        if (!reduced[i]) {
            shape[(*ndim)++] = a->shape[i];
        } else if (opts && opts->keepdims) {
            shape[(*ndim)++] = 1;
        }
    }
    return 0;
}

/* What a fold begins with. */
static void
seed(enum nds_reduction op, enum nds_type t, unsigned char *sums, int64_t n)
{
    int64_t item = ndi_ops_itemsize(t);
    unsigned char first[16] = {0};
    bool low = op == NDS_MAX;
    int64_t one = 1;

    if (op == NDS_PROD || op == NDS_ALL) {
        ndi_ops_convert(t, first, 0, NDS_TYPE_INT64, &one, 0, 1);
    } else if ((op == NDS_MIN || op == NDS_MAX) && t >= NDS_TYPE_FLOAT32) {
        double far = low ? -(double)INFINITY : (double)INFINITY;

        ndi_ops_convert(t, first, 0, NDS_TYPE_FLOAT64, &far, 0, 1);
        if (t >= NDS_TYPE_COMPLEX64) {
            memcpy(first + item / 2, first, (size_t)item / 2);
        }
    } else if (op == NDS_MIN || op == NDS_MAX) {
        bool is_signed = nds_dtype_builtin(t)->kind == 'i';

        memset(first, low ? 0 : 0xff, sizeof(first));
        if (is_signed) {
            first[item - 1] ^= 0x80;
        }
        if (t == NDS_TYPE_BOOL) {
            first[0] = !low;
        }
    }
    ndi_spread(sums, 0, (uint64_t)(n * item), first, (size_t)item);
}

struct reduction {
    enum nds_reduction op;
    const nds_view *a;
    int ddof;
    bool scalar; /* NumPy would return a scalar, not an array */
    bool reduced[NDS_MAX_NDIM];
    struct ndi_dim dims[NDS_MAX_NDIM];
    int64_t count; /* of elements in each result */
    int64_t results;
    enum nds_type type; /* of the accumulators */
    unsigned char *sums;
};

/*
 * t /= n, for one accumulator of type t (never half; half: rounded to one).
 * NumPy divides complex numbers by the complex n + 0j, so an infinite part
 * makes the other one NaN. Before 2.0 an array was divided in the smallest type
 * that holds it and n: from 65536 on that is double here too. For a float it is
 * the same either way, since a double's quotient rounds to the float's.
 */
static void
divide(enum nds_type t, unsigned char *x, int64_t n, bool old_array,
       bool half)
{
    double d;

    old_array = old_array && n <= UINT16_MAX;
    switch ((int)t) {
    case NDS_TYPE_FLOAT32: {
        float *f = (float *)x;

        d = (double)*f / (double)n;
        *f = !half ? (float)d
             : old_array ? ndi_half_round((float)d)
                         : ndi_half_load(ndi_half_from_double(d));
        break;
    }
    case NDS_TYPE_FLOAT64:
        *(double *)x /= (double)n;
        break;
    case NDS_TYPE_LONGDOUBLE:
        *(long double *)x /= (long double)n;
        break;
    case NDS_TYPE_COMPLEX64: {
        float *f = (float *)x;
        double re = (double)f[0];
        double im = (double)f[1];

        if (old_array) {
            float s = n == 0 ? (float)NAN : 1 / (float)n;
            float was = f[0];

            f[0] = (was + f[1] * 0) * s;
            f[1] = (f[1] - was * 0) * s;
            break;
        }
        d = n == 0 ? (double)NAN : 1 / (double)n;
        f[0] = (float)((re + im * 0) * d);
        f[1] = (float)((im - re * 0) * d);
        break;
    }
    default: {
        double re = ((double *)x)[0];
        double im = ((double *)x)[1];

        d = n == 0 ? (double)NAN : 1 / (double)n;
        ((double *)x)[0] = (re + im * 0) * d;
        ((double *)x)[1] = (im - re * 0) * d;
    }
    }
}

static void
divide_all(const struct reduction *r, enum nds_type t, unsigned char *sums,
           int64_t n, bool scalar, bool half)
{
    bool old_array = ndi_reduce_is_old() && !scalar;
    int64_t item = ndi_ops_itemsize(t);

    for (int64_t i = 0; i < r->results; i++) {
        divide(t, sums + i * item, n, old_array, half);
    }
}

static enum nds_type
float_of(enum nds_type t)
{
    return t == NDS_TYPE_FLOAT16 ? NDS_TYPE_FLOAT32 : t;
}

/* In what a is folded: integers into 64 bits, and all into a truth value, from
 * what they are; halves as floats. */
static enum nds_type
folded_as(const struct reduction *r, enum nds_reduction op, enum nds_type acc)
{
    bool as_is = op == NDS_ANY || op == NDS_ALL ||
                 ((op == NDS_SUM || op == NDS_PROD) && acc <= NDS_TYPE_UINT64);

    return as_is ? r->a->dtype->type : acc;
}

/* What NumPy does not read where it lies: it goes through a buffer. */
static bool
is_misaligned(const nds_view *a)
{
    uint64_t bits = (uintptr_t)a->data;

    for (int i = 0; i < a->ndim; i++) {
        bits |= a->shape[i] == 1 ? 0 : (uint64_t)a->strides[i];
    }
    return bits % (uint64_t)a->dtype->alignment != 0;
}

/* Folds a (or its squared deviations from `mean`) into r->sums. */
static int
fold_pass(struct reduction *r, enum nds_reduction op, enum nds_type type,
          const unsigned char *mean)
{
    enum nds_type acc = float_of(type);
    struct ndi_pass p = {.a = r->a, .from = r->a->dtype->type,
                         .type = folded_as(r, op, acc),
                         .mean = (const char *)mean};
    struct ndi_plan input;

    if (mean && type >= NDS_TYPE_COMPLEX64) {
        acc = type == NDS_TYPE_COMPLEX64 ? NDS_TYPE_FLOAT32 : NDS_TYPE_FLOAT64;
    }
    r->type = acc;
    r->sums = malloc((size_t)(r->results * ndi_ops_itemsize(acc)) + 1);
    if (!r->sums) {
        return ndi_fail_nomem((size_t)r->results * 16, "a reduction");
    }
    p.acc = acc;
    p.half = type == NDS_TYPE_FLOAT16;
    p.tree = op == NDS_SUM && type >= NDS_TYPE_FLOAT16;
    p.free_order = acc <= NDS_TYPE_UINT64 || op == NDS_MIN || op == NDS_MAX;
    p.fold = ndi_fold_kernel(op, mean ? acc : p.type);
    p.join = ndi_fold_kernel(op, acc);
    p.sums = r->sums;
    seed(op, acc, r->sums, r->results);
    seed(op, acc, p.identity, 1);
    ndi_plan_init(&input, r->a->ndim, r->dims, false, false);
    memcpy(p.where, input.dim, sizeof(p.where));
    p.nwhere = input.ndim;
    ndi_plan_init(&p.plan, r->a->ndim, r->dims,
                  !mean && (type != r->a->dtype->type || is_misaligned(r->a)),
                  mean != NULL);
    ndi_pass_run(&p);
    return 0;
}

static void
root_all(struct reduction *r, bool half)
{
    for (int64_t i = 0; i < r->results; i++) {
        if (r->type == NDS_TYPE_FLOAT64) {
            ((double *)r->sums)[i] = sqrt(((double *)r->sums)[i]);
        } else if (r->type == NDS_TYPE_LONGDOUBLE) {
            ((long double *)r->sums)[i] = sqrtl(((long double *)r->sums)[i]);
        } else {
            float *f = &((float *)r->sums)[i];

            *f = half ? ndi_half_round(sqrtf(*f)) : sqrtf(*f);
        }
    }
}

static int
variance(struct reduction *r, enum nds_type type)
{
    int64_t n = r->count - r->ddof > 0 ? r->count - r->ddof : 0;
    bool half = type == NDS_TYPE_FLOAT16;
    unsigned char *mean;
    int rc = fold_pass(r, NDS_SUM, type, NULL);

    if (rc < 0) {
        return rc;
    }
    divide_all(r, r->type, r->sums, r->count, false, half);
    mean = r->sums;
    r->sums = NULL;
    rc = fold_pass(r, NDS_SUM, type, mean);
    free(mean);
    if (rc < 0) {
        return rc;
    }
    divide_all(r, r->type, r->sums, n, r->scalar, half);
    if (r->op == NDS_STD) {
        root_all(r, half);
    }
    return 0;
}

static int
run_reduction(struct reduction *r, enum nds_type result)
{
    enum nds_type t = r->a->dtype->type;
    int rc;

    if (is_var(r->op)) {
        return variance(r, t <= NDS_TYPE_UINT64 ? NDS_TYPE_FLOAT64 : t);
    }
    if (r->op == NDS_MEAN) {
        rc = fold_pass(r, NDS_SUM, float_of(result), NULL);
        if (rc == 0) {
            // NumPy rounds a half once if it is a scalar, else by way of float.
            divide_all(r, r->type, r->sums, r->count, r->scalar,
                       r->scalar && t == NDS_TYPE_FLOAT16);
        }
        return rc;
    }
    return fold_pass(r, r->op, result, NULL);
}

/* Copies the accumulators, which lie in iteration order, to the output. */
static void
write_out(const struct reduction *r, const nds_view *out)
{
    int64_t step[NDS_MAX_NDIM] = {0};
    int64_t index[NDS_MAX_NDIM] = {0};
    int64_t extent[NDS_MAX_NDIM] = {1};
    int64_t to[NDS_MAX_NDIM] = {0};
    int64_t item = ndi_ops_itemsize(r->type);
    bool keep = out->ndim == r->a->ndim;
    char *dst = out->data;
    int64_t at = 0;
    int n = 0;
    int i;

    for (i = 0; i < r->a->ndim; i++) {
        step[r->dims[i].axis] = r->dims[i].out;
    }
    for (i = 0; i < r->a->ndim; i++) {
        if (!r->reduced[i]) {
            extent[n] = r->a->shape[i];
            to[n] = out->strides[keep ? i : n];
            step[n++] = step[i];
        }
    }
    if (r->results == 0) {
        return;
    }
    n -= n > 0; // the last axis goes at once
    do {
        ndi_ops_convert(out->dtype->type, dst, to[n], r->type,
                        r->sums + at * item, step[n] * item, extent[n]);
        for (i = n - 1; i >= 0; i--) {
            at += step[i];
            dst += to[i];
            if (++index[i] < extent[i]) {
                break;
            }
            at -= step[i] * extent[i];
            dst -= to[i] * extent[i];
            index[i] = 0;
        }
    } while (i >= 0);
}

static int
arg_reduction(struct reduction *r)
{
    r->type = NDS_TYPE_INT64;
    r->sums = malloc((size_t)r->results * sizeof(int64_t) + 1);
    if (!r->sums) {
        return ndi_fail_nomem((size_t)r->results * 8, "a reduction");
    }
    return ndi_arg_run(r->op == NDS_ARGMAX, r->a, r->reduced, r->dims,
                       r->results, (int64_t *)r->sums);
}

/* What NumPy refuses: the best of nothing, however many results there are. */
static int
check_reduction(const struct reduction *r)
{
    bool arg = r->op == NDS_ARGMIN || r->op == NDS_ARGMAX;
    char shape[200];
    int naxes = 0;

    for (int i = 0; i < r->a->ndim; i++) {
        naxes += r->reduced[i];
    }
    ndi_shape_compact(shape, sizeof(shape), r->a->ndim, r->a->shape);
    if (arg && naxes != 1 && naxes != r->a->ndim) {
        return ndi_fail(NDS_EINVAL, "%s goes along one axis or over all, not "
                        "along %d of shape %s", names[r->op], naxes, shape);
    }
    if (arg && r->count == 0) {
        return ndi_fail(NDS_EINVAL, "attempt to get %s of an empty sequence "
                        "(shape %s)", names[r->op], shape);
    }
    if ((r->op == NDS_MIN || r->op == NDS_MAX) && r->count == 0) {
        return ndi_fail(NDS_EINVAL, "zero-size array to reduction operation "
                        "%s which has no identity (shape %s)", names[r->op],
                        shape);
    }
    if (r->results > INT64_MAX / 32) { /* a view may repeat its elements */
        return ndi_fail_nomem(SIZE_MAX, "a reduction");
    }
    return 0;
}

static int
reduce_into(enum nds_reduction op, const nds_view *out, const nds_view *a,
            const bool *reduced, bool scalar, int ddof)
{
    struct reduction r = {.op = op, .a = a, .ddof = ddof, .scalar = scalar,
                          .count = 1, .results = 1};
    const nds_dtype *dt;
    int rc = nds_reduce_dtype(op, a->dtype, &dt);
    bool arg = op == NDS_ARGMIN || op == NDS_ARGMAX;

    if (rc < 0) {
        return rc;
    }
    memcpy(r.reduced, reduced, sizeof(r.reduced));
    for (int i = 0; i < a->ndim; i++) {
        *(reduced[i] ? &r.count : &r.results) *= a->shape[i];
    }
    rc = check_reduction(&r);
    if (rc < 0) {
        return rc;
    }
    ndi_plan_axes(a, reduced, r.dims);
    rc = arg ? arg_reduction(&r) : run_reduction(&r, dt->type);
    if (rc == 0) {
        write_out(&r, out);
    }
    free(r.sums);
    return rc;
}

int
nds_reduce(enum nds_reduction op, const nds_view *a,
           const nds_reduce_options *opts, nds_scalar *out)
{
    bool reduced[NDS_MAX_NDIM];
    nds_scalar result = {0};
    nds_view v = {0};
    int rc = nds_reduce_dtype(op, a->dtype, &result.dtype);

    if (rc < 0) {
        return rc;
    }
    v.dtype = result.dtype;
    v.data = result.data;
    memset(reduced, true, sizeof(reduced));
    rc = reduce_into(op, &v, a, reduced, true, opts ? opts->ddof : 0);
    if (rc == 0) {
        *out = result;
    }
    return rc;
}

int
nds_reduce_axes(enum nds_reduction op, const nds_view *out, const nds_view *a,
                int naxes, const int *axes, const nds_reduce_options *opts)
{
    bool reduced[NDS_MAX_NDIM];
    int64_t shape[NDS_MAX_NDIM];
    char text[2][200];
    const nds_dtype *dt;
    int ndim;
    int rc;

    if ((rc = ndi_check_writable(out)) < 0 ||
        (rc = mark_axes(a, naxes, axes, op != NDS_MEAN && !is_var(op),
                        reduced)) < 0 ||
        (rc = nds_reduce_dtype(op, a->dtype, &dt)) < 0 ||
        (rc = nds_reduce_shape(a, naxes, axes, opts, &ndim, shape)) < 0) {
        return rc;
    }
    if (out->ndim != ndim ||
        memcmp(out->shape, shape, (size_t)ndim * sizeof(*shape)) != 0) {
        ndi_shape_compact(text[0], sizeof(text[0]), out->ndim, out->shape);
        ndi_shape_compact(text[1], sizeof(text[1]), ndim, shape);
        return ndi_fail(NDS_ESHAPE, "output of shape %s for a result of shape "
                        "%s", text[0], text[1]);
    }
    if (!ndi_is_number(out->dtype) || out->dtype->type != dt->type) {
        return ndi_refuse_dtype(names[op], out->dtype);
    }
    return reduce_into(op, out, a, reduced, ndim == 0,
                       opts ? opts->ddof : 0);
}

#define NAMED(NAME, OP)                                                       \
    int nds_##NAME(nds_scalar *out, const nds_view *a)                        \
    {                                                                         \
        return nds_reduce(OP, a, NULL, out);                                  \
    }

NAMED(sum, NDS_SUM)
NAMED(prod, NDS_PROD)
NAMED(min, NDS_MIN)
NAMED(max, NDS_MAX)
NAMED(mean, NDS_MEAN)
NAMED(std, NDS_STD)
NAMED(var, NDS_VAR)
NAMED(argmin, NDS_ARGMIN)
NAMED(argmax, NDS_ARGMAX)
NAMED(any, NDS_ANY)
NAMED(all, NDS_ALL)
