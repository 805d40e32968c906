/* SPDX-License-Identifier: MIT */
/*
 * reduce_pass.c - one pass over an array into accumulators
 *
 * Elements are fetched in iteration order (reduce_plan.c), converted to the
 * type computed in, folded into accumulators that lie in iteration order too,
 * and the caller writes these to the output. Variance makes a second pass
 * over (x - mean)^2, fetched on the fly. Halves are computed in float
 * and rounded whenever an inner loop ends.
 */
#include "ops_impl.h"

#include <base/fail.h>
#include <os/os.h>

#include <math.h>
#include <stdlib.h>

#define LEAF NDI_PASS_LEAF
#define NODES 32

static inline enum nds_type
computed(enum nds_type t)
{
    return t == NDS_TYPE_FLOAT16 ? NDS_TYPE_FLOAT32 : t;
}

/* (x - mean)^2, each step rounded as NumPy's loops round; complex becomes
 * re^2 + im^2 in place. */
static void
square(struct ndi_pass *p, int64_t count, int64_t out)
{
    int64_t item = ndi_ops_itemsize(computed(p->type));
    int64_t step = p->mean_step;

    for (int64_t i = 0; i < count; i++) {
        const char *m = p->mean + (out + i * step) * item;
        unsigned char *x = p->buf + i * item;

#define REAL(T)                                                               \
    do {                                                                      \
        T d = *(T *)x - *(const T *)m;                                        \
        *(T *)x = d * d;                                                      \
    } while (0)
#define PAIR(T)                                                               \
    do {                                                                      \
        T r = ((T *)x)[0] - ((const T *)m)[0];                                \
        T s = ((T *)x)[1] - ((const T *)m)[1];                                \
        ((T *)p->buf)[i] = r * r + s * s;                                     \
    } while (0)
        switch ((int)p->type) {
        case NDS_TYPE_FLOAT16: {
            float d = ndi_half_round(*(float *)x - *(const float *)m);

            *(float *)x = ndi_half_round(d * d);
            break;
        }
        case NDS_TYPE_FLOAT32:
            REAL(float);
            break;
        case NDS_TYPE_LONGDOUBLE:
            REAL(long double);
            break;
        case NDS_TYPE_COMPLEX64:
            PAIR(float);
            break;
        case NDS_TYPE_COMPLEX128:
            PAIR(double);
            break;
        default:
            REAL(double);
        }
    }
#undef REAL
#undef PAIR
}

/* Elements [lin, lin + count) of the iteration, contiguous. count <= LEAF,
 * unless they lie so in memory already. NULL: ask for fewer. */
static const void *
fetch(struct ndi_pass *p, int64_t lin, int64_t count, int64_t out)
{
    enum nds_type from = p->a->dtype->type;
    enum nds_type to = computed(p->type);
    int64_t item = ndi_ops_itemsize(to);
    int64_t done = 0;

    while (done < count) {
        const struct ndi_dim *d = p->where;
        const char *src = p->a->data;
        int64_t rest = lin + done;
        int64_t room = d->n - rest % d->n;
        int64_t n = count - done < room ? count - done : room;

        for (int i = 0; i < p->nwhere; i++) {
            src += rest % d[i].n * d[i].in;
            rest /= d[i].n;
        }
        if (n == count && from == to && d->in == item && !p->mean &&
            (uintptr_t)src % (size_t)(item > 8 ? 16 : item) == 0) {
            return src;
        }
        if (count > LEAF) {
            return NULL;
        }
        if (p->type == NDS_TYPE_FLOAT16 && from != NDS_TYPE_FLOAT16) {
            return NULL; /* halves come from halves alone */
        }
        ndi_ops_convert(to, p->buf + done * item, item, from, src, d->in, n);
        done += n;
    }
    if (p->mean) {
        square(p, count, out);
    }
    return p->buf;
}

/* The pairwise sum of a stretch that may have to be fetched leaf by leaf. */
static void
tree(struct ndi_pass *p, int64_t lin, int64_t n, int64_t out, void *sum)
{
    bool pairs = p->acc == NDS_TYPE_COMPLEX64 || p->acc == NDS_TYPE_COMPLEX128;
    int64_t leaf = pairs ? 64 : 128;
    const void *x = NULL;

    if (n <= leaf || !p->mean) {
        x = fetch(p, lin, n, out);
    }
    if (!x) {
        int64_t half = ndi_pairwise_split(p->acc, n);
        _Alignas(16) unsigned char right[32];

        tree(p, lin, half, out, sum);
        tree(p, lin + half, n - half, out, right);
        ndi_fold_kernel(NDS_SUM, p->acc)->fold(sum, right, 1);
        return;
    }
    ndi_pairwise(p->acc, x, n, sum);
}

static void
round_halves(struct ndi_pass *p, int64_t at, int64_t step, int64_t n)
{
    float *f = (float *)p->sums;

    for (int64_t i = 0; i < n && p->half; i++) {
        f[at + i * step] = ndi_half_round(f[at + i * step]);
    }
}

struct folds {
    const struct ndi_pass *p;
    const char *x;
    int64_t count;
    int64_t nodes;
    unsigned char *acc;
};

static void
fold_node(void *ctx, int64_t i)
{
    const struct folds *f = ctx;
    int64_t item = ndi_ops_itemsize(f->p->acc);
    int64_t from = f->count / f->nodes * i;
    int64_t to = i + 1 == f->nodes ? f->count : f->count / f->nodes * (i + 1);

    f->p->fold->fold(f->acc + i * 32, f->x + from * item, to - from);
}

/* Folds whose order is free (min, max, any, all, and integers, which wrap) in
 * stretches, each beginning with what *acc is. */
static void
fold_long(struct ndi_pass *p, unsigned char *acc, const void *x, int64_t n)
{
    int64_t item = ndi_ops_itemsize(p->acc);
    _Alignas(32) unsigned char parts[NODES * 32];
    struct folds f = {p, x, n, NODES, parts};

    if (!p->free_order || n < NDI_NODE_NBYTES / item * 2) {
        p->fold->fold(acc, x, n);
        return;
    }
    for (int i = 0; i < NODES; i++) {
        memcpy(parts + i * 32, p->identity, (size_t)item);
    }
    ndi_parallel(NODES, fold_node, &f);
    for (int i = 0; i < NODES; i++) {
        p->fold->fold(acc, parts + i * 32, 1);
    }
}

static void
inner_loop(struct ndi_pass *p, int64_t lin, int64_t count)
{
    int64_t item = ndi_ops_itemsize(p->acc);
    _Alignas(16) unsigned char sum[32];

    while (count > 0) {
        const struct ndi_dim *d = p->plan.dim;
        int64_t step = d->out;
        int64_t rest = lin;
        int64_t at = 0;
        int64_t n = count;

        for (int i = 0; i < p->plan.ndim; i++) {
            at += rest % d[i].n * d[i].out;
            rest /= d[i].n;
        }
        p->mean_step = step;
        if (step == 0 && p->tree) {
            tree(p, lin, n, at, sum);
            p->fold->fold(p->sums + at * item, sum, 1);
            round_halves(p, at, 0, 1);
            return;
        }
        if (step != 0) {
            n = d->n - lin % d->n < n ? d->n - lin % d->n : n;
        }
        if (step == 0) {
            const void *x = fetch(p, lin, n, at); // all, if it lies so

            if (!x) {
                n = n < LEAF ? n : LEAF;
                x = fetch(p, lin, n, at);
            }
            fold_long(p, p->sums + at * item, x, n);
        } else {
            n = n < LEAF ? n : LEAF;
            p->fold->each(p->sums + at * item, step, fetch(p, lin, n, at), n);
            round_halves(p, at, step, n);
        }
        lin += n;
        count -= n;
        if (count == 0 && step == 0) {
            round_halves(p, at, 0, 1);
        }
    }
}

void
ndi_pass_run(struct ndi_pass *p)
{
    int64_t lin = 0;

    while (lin < p->plan.total) {
        int64_t inner;
        int64_t count = ndi_plan_piece(&p->plan, lin, &inner);

        for (int64_t i = 0; i < count; i += inner) {
            inner_loop(p, lin + i, inner);
        }
        lin += count;
    }
}
