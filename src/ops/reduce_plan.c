/* SPDX-License-Identifier: MIT */
/*
 * reduce_plan.c - in which order NumPy visits and adds
 *
 * docs/design/reductions.md says it in words, tests/data/ops/model.py in
 * Python. Axes are ordered by stride, joined where one stride serves input
 * and output, and the iteration is cut into pieces; each inner loop of a
 * piece is one pairwise tree. NumPy 2.3 changed how pieces are cut.
 */
#include "ops_impl.h"

#include <stdlib.h>

#define BUFFER 8192

bool
ndi_reduce_is_old(void)
{
    const char *text = getenv("NDSHARE_NUMPY_REDUCE");

    return text && strncmp(text, "1.", 2) == 0;
}

void
ndi_plan_axes(const nds_view *a, const bool *reduced, struct ndi_dim *dims)
{
    int64_t step = 1;
    int n = 0;

    for (int i = a->ndim - 1; i >= 0; i--) {
        struct ndi_dim d = {a->shape[i], a->shape[i] == 1 ? 0 : a->strides[i],
                            0, i};
        int at = n;

        for (int k = n - 1; k >= 0 && d.in != 0; k--) {
            if (dims[k].in == 0) {
                continue;
            }
            if (llabs(dims[k].in) <= llabs(d.in)) {
                break;
            }
            at = k;
        }
        memmove(dims + at + 1, dims + at, (size_t)(n - at) * sizeof(*dims));
        dims[at] = d;
        n++;
    }
    for (int k = 0; k < n; k++) {
        if (!reduced[dims[k].axis] && dims[k].n != 1) {
            dims[k].out = step;
            step *= dims[k].n;
        }
    }
}

static void
coalesce(struct ndi_plan *p, int ndim, const struct ndi_dim *dims,
         bool compact)
{
    int64_t step = 1;

    p->ndim = 0;
    for (int i = 0; i < ndim; i++) {
        struct ndi_dim d = dims[i];
        struct ndi_dim *m = p->ndim > 0 ? &p->dim[p->ndim - 1] : NULL;

        if (compact) {
            d.in = d.n == 1 ? 0 : step;
            step *= d.n;
        }
        if (m && ((m->n == 1 && !m->in && !m->out) ||
                  (d.n == 1 && !d.in && !d.out) ||
                  (m->n * m->in == d.in && m->n * m->out == d.out))) {
            if (m->n == 1) {
                m->in = m->in ? m->in : d.in;
                m->out = m->out ? m->out : d.out;
            }
            m->n *= d.n;
        } else {
            p->dim[p->ndim++] = d;
        }
    }
    if (p->ndim == 0) {
        p->dim[p->ndim++] = (struct ndi_dim){1, 0, 0, 0};
    }
}

struct search {
    int dim;
    int flip;
    int single[2]; /* output, input: axes that one stride serves */
    int64_t size;
    int64_t core;
};

/* The axis up to which one buffer's worth is best taken: the fewest refills,
 * each charged by the operands that need a buffer. */
static void
search_core(const struct ndi_plan *p, bool cast, struct search *s)
{
    int cost = 1 + cast;
    int best_cost = cost;
    int64_t size = p->dim[0].n;

    *s = (struct search){0, 0, {1, 1}, size, 1};
    for (int i = 1; i < p->ndim && !s->flip; i++) {
        const struct ndi_dim *was = &p->dim[i - 1];
        const struct ndi_dim *now = &p->dim[i];
        int64_t core = size;
        int64_t room;

        if (size >= BUFFER && cost > 1) {
            break;
        }
        if (s->single[0] == i && was->out * was->n == now->out) {
            s->single[0]++;
        } else {
            cost += s->single[0] == i;
            s->flip = now->out == 0 || was->out == 0 ? i : s->flip;
        }
        if (s->single[1] == i) {
            if (was->in * was->n == now->in) {
                s->single[1]++;
            } else {
                cost += !cast;
            }
        }
        size *= now->n;
        room = size > BUFFER && cost > 1 ? BUFFER : size;
        if ((double)cost * (double)s->size <=
            (double)best_cost * (double)room) {
            best_cost = cost;
            s->dim = i;
            s->size = size;
            s->core = core;
        }
    }
}

void
ndi_plan_init(struct ndi_plan *p, int ndim, const struct ndi_dim *dims,
              bool cast, bool compact)
{
    struct search s;
    bool reduce;
    bool in_reduce;
    bool buffered;

    coalesce(p, ndim, dims, compact);
    p->old = ndi_reduce_is_old();
    p->total = 1;
    for (int i = 0; i < p->ndim; i++) {
        p->total *= p->dim[i].n;
    }
    if (p->total == 0 || p->old) {
        return;
    }
    search_core(p, cast, &s);
    reduce = s.flip != 0 && s.dim == s.flip;
    in_reduce = reduce && ((s.single[1] == s.dim && !cast) ||
                           (p->dim[s.flip].in == 0 && s.single[1] <= s.dim));
    buffered = cast || s.single[1] + in_reduce <= s.dim ||
               s.single[0] + reduce <= s.dim;
    p->block = s.core * p->dim[s.dim].n;
    p->size = s.size;
    if (buffered && s.size > BUFFER) {
        p->size = s.core * (BUFFER / s.core);
    }
    p->core = reduce ? s.core : 0;
}

static bool
flips(const struct ndi_dim *d, const bool still[2])
{
    return (still[0] && d->in != 0) || still[1] != (d->out == 0);
}

/* Before 2.3: at most 8192 elements at a time, as far as the buffer can go
 * without meeting an accumulator twice, or leaving the one it is at. */
static int64_t
old_piece(const struct ndi_plan *p, int64_t start, int64_t *inner)
{
    int64_t count = p->total - start < BUFFER ? p->total - start : BUFFER;
    int64_t at[NDS_MAX_NDIM] = {0};
    const struct ndi_dim *d = p->dim;
    bool still[2] = {d->in == 0, d->out == 0};
    int64_t space;
    int64_t factor;
    bool inside;
    int i;

    *inner = count;
    if (p->ndim == 1) {
        return count;
    }
    for (i = 0; i < p->ndim; i++) {
        at[i] = start % d[i].n;
        start /= d[i].n;
    }
    space = d->n - at[0];
    factor = d->n;
    inside = at[0] != 0;
    for (i = 1; i < p->ndim && space < count; i++) {
        if (flips(&d[i], still)) {
            break;
        }
        inside |= at[i] != 0;
        space += (d[i].n - at[i] - 1) * factor;
        factor *= d[i].n;
    }
    if (inside || count < space || i == p->ndim) {
        *inner = count < space ? count : space;
        return *inner;
    }
    *inner = space;
    count /= space;
    still[0] = d[i].in == 0;
    still[1] = d[i].out == 0;
    space = d[i].n - at[i];
    factor = d[i].n;
    inside = at[i] != 0;
    for (i++; i < p->ndim && space < count && !inside; i++) {
        if (flips(&d[i], still)) {
            break;
        }
        inside |= at[i] != 0;
        space += (d[i].n - at[i] - 1) * factor;
        factor *= d[i].n;
    }
    return (count < space ? count : space) * *inner;
}

int64_t
ndi_plan_piece(const struct ndi_plan *p, int64_t start, int64_t *inner)
{
    int64_t count;

    if (p->old) {
        return old_piece(p, start, inner);
    }
    count = p->block - start % p->block;
    count = count < p->size ? count : p->size;
    *inner = p->core ? p->core : count;
    return count;
}

int64_t
ndi_pairwise_split(enum nds_type type, int64_t count)
{
    // Pairs count as two numbers each: n - n % 8 numbers, half of them.
    return type == NDS_TYPE_COMPLEX64 || type == NDS_TYPE_COMPLEX128
               ? (count - count % 8) / 2
               : count / 2 - count / 2 % 8;
}
