/* SPDX-License-Identifier: MIT */
/*
 * binary.c - out = a op b, with broadcasting and casting
 *
 * The axes are coalesced where one stride serves all three operands; what is
 * not of the type computed in goes through a buffer of CHUNK elements. An
 * output that overlaps an input other than element for element is computed
 * into memory of its own first.
 */
#include "ops_impl.h"

#include <base/fail.h>
#include <os/os.h>

#include <stdio.h>
#include <stdlib.h>

#define CHUNK 1024

struct operand {
    char *data;
    enum nds_type type;
    int64_t strides[NDS_MAX_NDIM]; /* broadcast to the output */
    bool aligned;
};

struct job {
    ndi_binary_fn *kernel;
    enum nds_type type; /* computed in */
    int ndim;
    int64_t shape[NDS_MAX_NDIM];
    struct operand op[3]; /* out, a, b */
};

static void
run_inner(const struct job *j, char *const at[3], int64_t n)
{
    _Alignas(64) unsigned char buf[3][CHUNK * 16];
    int64_t item = ndi_ops_itemsize(j->type);
    const int last = j->ndim - 1;

    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        char *p[3];
        int64_t s[3];

        if (j->op[0].aligned && j->op[1].aligned && j->op[2].aligned) {
            m = n;
        }
        for (int k = 2; k >= 0; k--) {
            const struct operand *o = &j->op[k];

            s[k] = o->strides[last];
            p[k] = at[k] + i * s[k];
            if (o->aligned) {
                continue;
            }
            if (k > 0) {
                ndi_ops_convert(j->type, buf[k], item, o->type, p[k], s[k],
                                s[k] == 0 ? 1 : m);
            }
            p[k] = (char *)buf[k];
            s[k] = k > 0 && s[k] == 0 ? 0 : item;
        }
        j->kernel(p[0], p[1], p[2], s[0], s[1], s[2], m);
        if (!j->op[0].aligned) {
            ndi_ops_convert(j->op[0].type, at[0] + i * j->op[0].strides[last],
                            j->op[0].strides[last], j->type, buf[0], item, m);
        }
        if (m == n) {
            break;
        }
    }
}

static void
swap_axes(struct job *j, int x, int y)
{
    int64_t t = j->shape[x];

    j->shape[x] = j->shape[y];
    j->shape[y] = t;
    for (int k = 0; k < 3; k++) {
        t = j->op[k].strides[x];
        j->op[k].strides[x] = j->op[k].strides[y];
        j->op[k].strides[y] = t;
    }
}

/* The output's smallest stride innermost; then joins what can be joined. */
static void
coalesce(struct job *j)
{
    int n = 0;

    for (int i = 1; i < j->ndim; i++) {
        for (int k = i; k > 0 && llabs(j->op[0].strides[k - 1]) <
                                     llabs(j->op[0].strides[k]);
             k--) {
            swap_axes(j, k - 1, k);
        }
    }
    for (int i = 0; i < j->ndim; i++) {
        bool fits = n > 0;

        if (j->shape[i] == 1) {
            continue;
        }
        for (int k = 0; k < 3; k++) {
            fits = fits && j->op[k].strides[n - 1] ==
                               j->op[k].strides[i] * j->shape[i];
        }
        n += !fits;
        j->shape[n - 1] = fits ? j->shape[n - 1] * j->shape[i] : j->shape[i];
        for (int k = 0; k < 3; k++) {
            j->op[k].strides[n - 1] = j->op[k].strides[i];
        }
    }
    if (n == 0) {
        j->shape[0] = 1;
        for (int k = 0; k < 3; k++) {
            j->op[k].strides[0] = 0;
        }
        n = 1;
    }
    j->ndim = n;
}

/* One axis, nothing to convert: any part of it can be done by itself. */
static void
run_range(void *ctx, int64_t from, int64_t to)
{
    const struct job *j = ctx;
    char *at[3];

    for (int k = 0; k < 3; k++) {
        at[k] = j->op[k].data + from * j->op[k].strides[0];
    }
    run_inner(j, at, to - from);
}

static void
run_job(struct job *j)
{
    int64_t index[NDS_MAX_NDIM] = {0};
    size_t moved = 0;
    char *at[3];
    int i;

    for (i = 0; i < j->ndim; i++) {
        if (j->shape[i] == 0) {
            return;
        }
    }
    coalesce(j);
    for (int k = 0; k < 3; k++) {
        struct operand *o = &j->op[k];
        size_t align = (size_t)ndi_ops_itemsize(j->type);

        if (align > 8 && j->type != NDS_TYPE_LONGDOUBLE) {
            align = 8; /* complex128: two doubles */
        }
        o->aligned = o->type == j->type && (uintptr_t)o->data % align == 0;
        for (i = 0; i < j->ndim; i++) {
            o->aligned &= o->strides[i] % (int64_t)align == 0;
        }
        at[k] = o->data;
        moved += o->strides[0] != 0 ? (size_t)ndi_ops_itemsize(o->type) : 0;
    }
    if (j->ndim == 1 && j->op[0].strides[0] != 0) {
        ndi_in_pieces(j->shape[0], moved, run_range, j);
        return;
    }
    do {
        run_inner(j, at, j->shape[j->ndim - 1]);
        for (i = j->ndim - 2; i >= 0; i--) {
            for (int k = 0; k < 3; k++) {
                at[k] += j->op[k].strides[i];
            }
            if (++index[i] < j->shape[i]) {
                break;
            }
            for (int k = 0; k < 3; k++) {
                at[k] -= j->op[k].strides[i] * j->shape[i];
            }
            index[i] = 0;
        }
    } while (i >= 0);
}

/* Fills op->strides for v broadcast to the output's shape. */
static void
broadcast(struct operand *op, const nds_view *v, const nds_view *out)
{
    int lead = out->ndim - v->ndim;

    op->data = v->data;
    op->type = v->dtype->type;
    for (int i = 0; i < out->ndim; i++) {
        bool fixed = i < lead || v->shape[i - lead] == 1;

        op->strides[i] = fixed ? 0 : v->strides[i - lead];
    }
}

static int
check_shapes(const nds_view *out, const nds_view *a, const nds_view *b)
{
    const nds_view *in[2] = {a, b};
    int64_t shape[NDS_MAX_NDIM];
    char t[3][200];
    int ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    bool clash = false;
    bool misfit = ndim > out->ndim;

    for (int i = 1; i <= ndim; i++) {
        int64_t n = 1;

        for (int k = 0; k < 2; k++) {
            int64_t e = in[k]->ndim >= i ? in[k]->shape[in[k]->ndim - i] : 1;

            clash |= e != 1 && n != 1 && e != n;
            n = e == 1 ? n : e;
        }
        shape[ndim - i] = n;
        if (out->ndim >= i) {
            int64_t e = out->shape[out->ndim - i];

            clash |= n != e && n != 1 && e != 1;
            misfit |= n != e && n != 1;
        }
    }
    if (!clash && !misfit) {
        return 0;
    }
    ndi_shape_compact(t[0], sizeof(t[0]), a->ndim, a->shape);
    ndi_shape_compact(t[1], sizeof(t[1]), b->ndim, b->shape);
    ndi_shape_compact(t[2], sizeof(t[2]), out->ndim, out->shape);
    if (clash) {
        return ndi_fail(NDS_ESHAPE, "operands could not be broadcast together "
                        "with shapes %s %s %s", t[0], t[1], t[2]);
    }
    ndi_shape_compact(t[0], sizeof(t[0]), ndim, shape);
    return ndi_fail(NDS_ESHAPE, "non-broadcastable output operand with shape "
                    "%s doesn't match the broadcast shape %s", t[2], t[0]);
}

static int
check_cast(enum nds_op op, enum nds_type from, const nds_dtype *to)
{
    char *names[2] = {NULL, NULL};

    if (!ndi_is_number(to)) {
        return ndi_refuse_dtype(ndi_op_name(op), to);
    }
    if (ndi_same_kind(from, to->type)) {
        return 0;
    }
    nds_dtype_name(nds_dtype_builtin(from), &names[0]);
    nds_dtype_name(to, &names[1]);
    ndi_fail(NDS_ECAST, "Cannot cast ufunc '%s' output from dtype('%s') to "
             "dtype('%s') with casting rule 'same_kind'", ndi_op_name(op),
             names[0] ? names[0] : "?", names[1] ? names[1] : "?");
    free(names[0]);
    free(names[1]);
    return NDS_ECAST;
}

/* Safe in place: apart, or the same elements at the same places. */
static bool
is_safe(const struct job *j, int k, const nds_view *out, const nds_view *in)
{
    if (j->op[k].data == j->op[0].data &&
        ndi_ops_itemsize(j->op[k].type) == ndi_ops_itemsize(j->op[0].type) &&
        memcmp(j->op[k].strides, j->op[0].strides,
               (size_t)j->ndim * sizeof(int64_t)) == 0) {
        return true;
    }
    return !nds_view_overlaps(out, in);
}

struct copier {
    const char *from;
    enum nds_type type;
};

static void
copy_run(void *ctx, char *data, int64_t stride, int64_t count)
{
    struct copier *c = ctx;
    int64_t item = ndi_ops_itemsize(c->type);

    ndi_ops_convert(c->type, data, stride, c->type, c->from, item, count);
    c->from += count * item;
}

static int
run_apart(struct job *j, const nds_view *out)
{
    struct copier c = {.type = j->op[0].type};
    int64_t step = ndi_ops_itemsize(c.type);
    size_t nbytes = (size_t)(nds_view_count(out) * step);
    char *memory = malloc(nbytes ? nbytes : 1);

    if (!memory) {
        return ndi_fail_nomem(nbytes, "an output that overlaps its input");
    }
    j->op[0].data = memory;
    for (int i = j->ndim - 1; i >= 0; i--) {
        j->op[0].strides[i] = step;
        step *= j->shape[i];
    }
    run_job(j);
    c.from = memory;
    ndi_walk_runs(out, copy_run, &c);
    free(memory);
    return 0;
}

static int
binary(enum nds_op op, enum nds_type type, const nds_view *out,
       const nds_view *a, const nds_view *b)
{
    struct job j = {.kernel = ndi_binary_kernel(op, type), .type = type};
    int rc;

    if ((rc = ndi_check_writable(out)) < 0 ||
        (rc = check_cast(op, type, out->dtype)) < 0 ||
        (rc = check_shapes(out, a, b)) < 0) {
        return rc;
    }
    j.ndim = out->ndim;
    memcpy(j.shape, out->shape, (size_t)out->ndim * sizeof(int64_t));
    broadcast(&j.op[0], out, out);
    broadcast(&j.op[1], a, out);
    broadcast(&j.op[2], b, out);
    if (is_safe(&j, 1, out, a) && is_safe(&j, 2, out, b)) {
        run_job(&j);
        return 0;
    }
    return run_apart(&j, out);
}

int
nds_binary(enum nds_op op, const nds_view *out, const nds_view *a,
           const nds_view *b)
{
    const nds_dtype *dt;
    int rc = nds_binary_dtype(op, a->dtype, b->dtype, &dt);

    return rc < 0 ? rc : binary(op, dt->type, out, a, b);
}

int
nds_binary_scalar(enum nds_op op, const nds_view *out, const nds_view *a,
                  nds_scalar b)
{
    const nds_dtype *dt;
    nds_scalar weak = {0};
    nds_view v = {0};
    int rc = nds_binary_scalar_dtype(op, a->dtype, &b, &dt);

    if (rc < 0 || (rc = ndi_check_int_range(&b, dt->type)) < 0) {
        return rc;
    }
    weak.dtype = dt;
    ndi_ops_convert(dt->type, weak.data, 0, b.dtype->type, b.data, 0, 1);
    v.dtype = dt;
    v.data = weak.data;
    return binary(op, dt->type, out, a, &v);
}

#define NAMED(NAME, OP)                                                       \
    int nds_##NAME(const nds_view *out, const nds_view *a, const nds_view *b) \
    {                                                                         \
        return nds_binary(OP, out, a, b);                                     \
    }                                                                         \
    int nds_##NAME##_scalar(const nds_view *out, const nds_view *a,           \
                            nds_scalar b)                                     \
    {                                                                         \
        return nds_binary_scalar(OP, out, a, b);                              \
    }

NAMED(add, NDS_ADD)
NAMED(subtract, NDS_SUBTRACT)
NAMED(multiply, NDS_MULTIPLY)
NAMED(divide, NDS_DIVIDE)
