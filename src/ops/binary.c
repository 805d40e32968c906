/* SPDX-License-Identifier: MIT */
/*
 * binary.c - out = a op b, with broadcasting and casting
 *
 * What is not of the type computed in goes through a buffer of CHUNK elements.
 * An output that overlaps an input other than element for element is computed
 * into memory of its own first.
 */
#include "ops_impl.h"

#include <base/fail.h>

#include <stdio.h>
#include <stdlib.h>

#define CHUNK 1024
#define CACHED ((int64_t)2 << 20) /* bytes of an output, so with its inputs */

struct operand {
    enum nds_type type;
    bool direct; /* the kernel gets it where it is */
};

struct job {
    ndi_binary_fn *kernel;
    enum nds_type type; /* computed in */
    struct operand op[3]; /* out, a, b */
    bool stream; /* no cache holds the output */
};

/* As much of a row as fits the buffers. */
static void
run_chunk(const struct job *j, char *const at[3], const int64_t step[3],
          int64_t n)
{
    _Alignas(64) unsigned char buf[3][CHUNK * 16];
    int64_t item = ndi_ops_itemsize(j->type);
    char *p[3];
    int64_t s[3];

    for (int k = 2; k >= 0; k--) {
        const struct operand *o = &j->op[k];

        s[k] = step[k];
        p[k] = at[k];
        if (o->direct) {
            continue;
        }
        if (k > 0) {
            ndi_ops_convert(j->type, buf[k], item, o->type, at[k], step[k],
                            step[k] == 0 ? 1 : n);
        }
        p[k] = (char *)buf[k];
        s[k] = k > 0 && step[k] == 0 ? 0 : item;
    }
    j->kernel(p[0], p[1], p[2], s[0], s[1], s[2], n);
    if (!j->op[0].direct) {
        ndi_ops_convert(j->op[0].type, at[0], step[0], j->type, buf[0], item,
                        n);
    }
}

struct row {
    const struct job *j;
    char *const *data;
    const int64_t *step;
};

static void
make_part(const void *ctx, char *to, int64_t first, int64_t count)
{
    const struct row *r = ctx;

    r->j->kernel(to, r->data[1] + first * r->step[1],
                 r->data[2] + first * r->step[2], r->step[0], r->step[1],
                 r->step[2], count);
}

static void
run_row(void *ctx, char *const data[], const int64_t step[], int64_t at,
        int64_t count)
{
    const struct job *j = ctx;

    (void)at;
    if (j->stream) {
        ndi_stream_row(data[0], step[0], count, make_part,
                       &(struct row){j, data, step});
        return;
    }
    if (j->op[0].direct && j->op[1].direct && j->op[2].direct) {
        j->kernel(data[0], data[1], data[2], step[0], step[1], step[2], count);
        return;
    }
    for (int64_t i = 0; i < count; i += CHUNK) {
        char *const p[3] = {data[0] + i * step[0], data[1] + i * step[1],
                            data[2] + i * step[2]};

        run_chunk(j, p, step, count - i < CHUNK ? count - i : CHUNK);
    }
}

/* Backwards, or every other element: quicker from a copy, which is made in
 * vectors, than one by one; but for large items that lie apart, and while it is
 * not memory that all wait for. */
static bool
is_vector_copy(int64_t step, enum nds_type type, int64_t nbytes)
{
    int64_t item = ndi_ops_itemsize(type);
    bool fits = step == -item ? item <= 8 : step == 2 * item && item <= 4;

    return fits && (item <= 2 || nbytes <= CACHED);
}

/* views: out, a, b in out's shape. */
static void
run_job(struct job *j, const nds_view *const views[3])
{
    size_t align = (size_t)ndi_ops_itemsize(j->type);
    size_t moved = 0;
    struct ndi_iter it;

    if (!ndi_iter_init(&it, 3, views, 0)) {
        return;
    }
    if (align > 8 && j->type != NDS_TYPE_LONGDOUBLE) {
        align = 8; /* complex128: two doubles */
    }
    for (int k = 0; k < 3; k++) {
        struct operand *o = &j->op[k];

        o->type = views[k]->dtype->type;
        o->direct = o->type == j->type &&
                    !is_vector_copy(it.step[k], j->type,
                                    nds_view_nbytes(views[0])) &&
                    ((uintptr_t)it.data[k] | (size_t)it.step[k]) % align == 0;
        for (int i = 0; i < it.ndim; i++) {
            o->direct &= it.strides[k][i] % (int64_t)align == 0;
        }
        moved += it.step[k] != 0 ? (size_t)ndi_ops_itemsize(o->type) : 0;
    }
    j->stream = j->op[0].direct && j->op[1].direct && j->op[2].direct &&
                it.step[0] == views[0]->dtype->itemsize &&
                it.data[0] != it.data[1] && it.data[0] != it.data[2] &&
                ndi_is_streamed(views[0]);
    ndi_walk_rows(&it, moved, run_row, j);
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
is_safe(const nds_view *out, const nds_view *wide, const nds_view *in)
{
    if (wide->data == out->data &&
        wide->dtype->itemsize == out->dtype->itemsize &&
        memcmp(wide->strides, out->strides,
               (size_t)out->ndim * sizeof(int64_t)) == 0) {
        return true;
    }
    return !nds_view_overlaps(out, in);
}

static int
run_apart(struct job *j, const nds_view *const views[3])
{
    const nds_view *out = views[0];
    size_t nbytes = (size_t)nds_view_nbytes(out);
    char *memory = malloc(nbytes ? nbytes : 1);
    nds_view temp = {.dtype = out->dtype, .data = memory, .ndim = out->ndim};
    int64_t step = out->dtype->itemsize;
    int rc;

    if (!memory) {
        return ndi_fail_nomem(nbytes, "an output that overlaps its input");
    }
    for (int i = out->ndim - 1; i >= 0; i--) {
        temp.shape[i] = out->shape[i];
        temp.strides[i] = step;
        step *= out->shape[i];
    }
    run_job(j, (const nds_view *const[]){&temp, views[1], views[2]});
    rc = nds_assign(out, &temp);
    free(memory);
    return rc;
}

/* v as it lies under out's shape, which it is known to fit. */
static void
widen(nds_view *wide, const nds_view *v, const nds_view *out)
{
    int lead = out->ndim - v->ndim;

    wide->dtype = v->dtype; /* not counted */
    wide->data = v->data;
    wide->ndim = out->ndim;
    for (int i = 0; i < out->ndim; i++) {
        bool fixed = i < lead || v->shape[i - lead] == 1;

        wide->shape[i] = out->shape[i];
        wide->strides[i] = fixed ? 0 : v->strides[i - lead];
    }
}

static int
binary(enum nds_op op, enum nds_type type, const nds_view *out,
       const nds_view *a, const nds_view *b)
{
    struct job j = {.kernel = ndi_binary_kernel(op, type), .type = type};
    nds_view wide[3];
    const nds_view *const views[3] = {&wide[0], &wide[1], &wide[2]};
    int rc;

    if ((rc = ndi_check_writable(out)) < 0 ||
        (rc = check_cast(op, type, out->dtype)) < 0 ||
        (rc = check_shapes(out, a, b)) < 0) {
        return rc;
    }
    widen(&wide[0], out, out);
    widen(&wide[1], a, out);
    widen(&wide[2], b, out);
    if (is_safe(&wide[0], &wide[1], a) && is_safe(&wide[0], &wide[2], b)) {
        run_job(&j, views);
        return 0;
    }
    wide[0].flags = 0;
    return run_apart(&j, views);
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
