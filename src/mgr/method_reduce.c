/* SPDX-License-Identifier: MIT */
/* method_reduce.c - sum, max, mean and their kin, with NumPy's arguments */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <ndshare/ops.h>

#include <string.h>

/* Where each argument stands among the positional ones; -1 not taken. */
struct signature {
    const char *name;
    enum nds_reduction op;
    int dtype, out, ddof, keepdims;
    size_t most;
};

static const struct signature signatures[] = {
    {"sum", NDS_SUM, 1, 2, -1, 3, 4},  {"prod", NDS_PROD, 1, 2, -1, 3, 4},
    {"min", NDS_MIN, -1, 1, -1, 2, 3}, {"max", NDS_MAX, -1, 1, -1, 2, 3},
    {"mean", NDS_MEAN, 1, 2, -1, 3, 4}, {"std", NDS_STD, 1, 2, 3, 4, 5},
    {"var", NDS_VAR, 1, 2, 3, 4, 5},   {"argmin", NDS_ARGMIN, -1, 1, -1, 2, 3},
    {"argmax", NDS_ARGMAX, -1, 1, -1, 2, 3},
    {"any", NDS_ANY, -1, 1, -1, 2, 3}, {"all", NDS_ALL, -1, 1, -1, 2, 3},
};

static bool
given(const nds_value *v)
{
    return v != NULL && nds_value_kind(v) != NDS_VALUE_NONE;
}

static const nds_value *
arg(const struct ndi_call *c, int at, const char *name)
{
    return at < 0 ? NULL : ndi_call_arg(c, (size_t)at, name);
}

/* None, an int, or a tuple of ints; *naxes -1 for None. */
static int
read_axes(const nds_value *v, int *naxes, int *axes)
{
    int64_t axis;
    size_t n;

    *naxes = -1;
    if (!given(v)) {
        return 0;
    }
    if (nds_value_as_int(v, &axis)) {
        *naxes = 1;
        axes[0] = axis < -1000 || axis > 1000 ? 1000 : (int)axis;
        return 0;
    }
    n = nds_value_count(v);
    if (nds_value_kind(v) != NDS_VALUE_TUPLE || n > NDS_MAX_NDIM) {
        return ndi_fail(NDS_ECAST, "axis must be an integer, a tuple of "
                        "integers or None");
    }
    for (size_t i = 0; i < n; i++) {
        if (!nds_value_as_int(nds_value_item(v, i), &axis)) {
            return ndi_fail(NDS_ECAST, "axis must be integers");
        }
        axes[i] = axis < -1000 || axis > 1000 ? 1000 : (int)axis;
    }
    *naxes = (int)n;
    return 0;
}

/* a in the dtype that was asked for: sums of small integers come in 64 bits. */
static int
narrow(nds_array **a, const nds_dtype *dt)
{
    const nds_view *v = nds_array_view(*a);
    nds_array *cast;
    int rc;

    if (dt == NULL || nds_dtype_equal(v->dtype, dt)) {
        return 0;
    }
    rc = nds_array_new(&cast, dt, v->ndim, v->shape, NULL);
    if (rc == 0) {
        rc = nds_assign(nds_array_view(cast), v);
        nds_array_close(*a);
        *a = cast;
    }
    return rc;
}

/* wanted: NULL, or the dtype of sum and prod. */
static int
over_axes(const struct signature *s, const nds_view *v, int naxes,
          const int *axes, const nds_reduce_options *opts,
          const nds_dtype *wanted, nds_value **out)
{
    int64_t shape[NDS_MAX_NDIM];
    const nds_dtype *dt = NULL;
    nds_array *a = NULL;
    int ndim;
    int rc = nds_reduce_shape(v, naxes, axes, opts, &ndim, shape);

    if (rc == 0) {
        rc = nds_reduce_dtype(s->op, v->dtype, &dt);
    }
    if (rc == 0) {
        rc = nds_array_new(&a, dt, ndim, shape, NULL);
    }
    if (rc == 0) {
        rc = nds_reduce_axes(s->op, nds_array_view(a), v, naxes, axes, opts);
    }
    nds_dtype_put(dt);
    if (rc == 0) {
        rc = narrow(&a, wanted);
    }
    if (rc < 0) {
        nds_array_close(a);
        return rc;
    }
    *out = ndi_value_of_result(a);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

/* dtype=: the elements in that type first, as NumPy computes them. */
static int
recast(const struct ndi_call *c, const nds_value *dtype, nds_array **out)
{
    const nds_view *v = ndi_call_view(c);
    const nds_dtype *dt = NULL;
    int rc = ndi_value_to_dtype(dtype, &dt);

    if (rc == 0) {
        rc = nds_array_new(out, dt, v->ndim, v->shape, NULL);
    }
    if (rc == 0) {
        rc = nds_assign(nds_array_view(*out), v);
    }
    nds_dtype_put(dt);
    return rc;
}

static int
reduce(const struct ndi_call *c, const struct signature *s, nds_value **out)
{
    static const char *const names[] = {"axis", "dtype", "out", "ddof",
                                        "keepdims", NULL};
    nds_reduce_options opts = {.size = sizeof opts};
    const nds_value *ddof = arg(c, s->ddof, "ddof");
    const nds_value *keepdims = arg(c, s->keepdims, "keepdims");
    const nds_value *dtype = arg(c, s->dtype, "dtype");
    nds_array *cast = NULL;
    const nds_view *v = ndi_call_view(c);
    int axes[NDS_MAX_NDIM];
    int64_t divisor = 0;
    int naxes;
    int rc = ndi_call_check(c, s->name, s->most, names);

    if (rc == 0) {
        rc = read_axes(ndi_call_arg(c, 0, "axis"), &naxes, axes);
    }
    if (rc < 0) {
        return rc;
    }
    if (given(arg(c, s->out, "out"))) {
        return ndi_fail(NDS_ECAST, "%s(): out must be None: it cannot be "
                        "another process's array", s->name);
    }
    if (given(keepdims) && !nds_value_as_bool(keepdims, &opts.keepdims)) {
        return ndi_fail(NDS_ECAST, "keepdims must be a bool");
    }
    if (given(ddof)) {
        if (!nds_value_as_int(ddof, &divisor) || divisor < INT32_MIN ||
            divisor > INT32_MAX) {
            return ndi_fail(NDS_ECAST, "ddof must be an integer");
        }
        opts.ddof = (int)divisor;
    }
    if (given(dtype)) {
        rc = recast(c, dtype, &cast);
        v = rc == 0 ? nds_array_view(cast) : v;
    }
    if (rc == 0) {
        bool sums = s->op == NDS_SUM || s->op == NDS_PROD;

        rc = over_axes(s, v, naxes, axes, &opts,
                       cast != NULL && sums ? v->dtype : NULL, out);
    }
    nds_array_close(cast);
    return rc;
}

#define REDUCTION(name, at)                                                   \
    static int run_##name(const struct ndi_call *c, nds_value **out)          \
    {                                                                         \
        return reduce(c, &signatures[at], out);                               \
    }
REDUCTION(sum, 0)
REDUCTION(prod, 1)
REDUCTION(min, 2)
REDUCTION(max, 3)
REDUCTION(mean, 4)
REDUCTION(std, 5)
REDUCTION(var, 6)
REDUCTION(argmin, 7)
REDUCTION(argmax, 8)
REDUCTION(any, 9)
REDUCTION(all, 10)

const struct ndi_method ndi_reduce_methods[] = {
    {"sum", false, false, run_sum},       {"prod", false, false, run_prod},
    {"min", false, false, run_min},       {"max", false, false, run_max},
    {"mean", false, false, run_mean},     {"std", false, false, run_std},
    {"var", false, false, run_var},       {"argmin", false, false, run_argmin},
    {"argmax", false, false, run_argmax}, {"any", false, false, run_any},
    {"all", false, false, run_all},       {NULL, false, false, NULL}};
