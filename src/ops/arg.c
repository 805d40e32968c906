/* SPDX-License-Identifier: MIT */
/*
 * arg.c - where the smallest or the largest element is
 *
 * The first of equals in C order; the first NaN beats every number.
 */
#include "ops_impl.h"

#define BLOCK 1024 /* gathered at a time */

struct search {
    ndi_arg_fn *fn;
    enum nds_type from;
    enum nds_type type; /* compared in */
    int64_t item;
    int64_t seen;  /* elements of this result so far */
    int64_t found; /* the best of them */
    int last;      /* of bools: the value that nothing beats; else -1 */
    _Alignas(16) unsigned char best[16];
};

static void
look(struct search *s, const void *x, int64_t n)
{
    int64_t i;

    if (s->seen == 0) {
        memcpy(s->best, x, (size_t)s->item);
        s->found = 0;
    }
    i = s->fn(x, n, s->best);
    if (i >= 0) {
        s->found = s->seen + i;
    }
    s->seen += n;
}

static void
look_run(void *ctx, char *data, int64_t stride, int64_t count)
{
    struct search *s = ctx;
    _Alignas(16) unsigned char buf[BLOCK * 16];

    if (s->from == s->type && (stride == s->item || count == 1) &&
        (uintptr_t)data % (size_t)s->item == 0) {
        look(s, data, count);
        return;
    }
    while (count > 0 && (s->seen == 0 || s->best[0] != s->last)) {
        int64_t n = count < BLOCK ? count : BLOCK;

        ndi_ops_convert(s->type, buf, s->item, s->from, data, stride, n);
        look(s, buf, n);
        data += n * stride;
        count -= n;
    }
}

void
ndi_arg_run(bool largest, const nds_view *a, const bool *reduced,
            const struct ndi_dim *dims, int64_t results, int64_t *found)
{
    struct search s = {.from = a->dtype->type};
    nds_view part = {.dtype = a->dtype};
    int64_t n[NDS_MAX_NDIM];
    int64_t strides[NDS_MAX_NDIM];
    int nkept = 0;

    s.type = s.from == NDS_TYPE_FLOAT16 ? NDS_TYPE_FLOAT32
             : s.from == NDS_TYPE_BOOL  ? NDS_TYPE_UINT8
                                        : s.from;
    s.item = ndi_ops_itemsize(s.type);
    s.last = s.from == NDS_TYPE_BOOL ? largest : -1;
    s.fn = ndi_kernels()->arg[s.type][largest];
    for (int i = 0; i < a->ndim; i++) {
        if (reduced[i]) {
            part.shape[part.ndim] = a->shape[i];
            part.strides[part.ndim++] = a->strides[i];
        }
        if (!reduced[dims[i].axis] && dims[i].out) {
            n[nkept] = dims[i].n;
            strides[nkept++] = a->strides[dims[i].axis];
        }
    }
    for (int64_t k = 0; k < results; k++) {
        char *data = a->data;
        int64_t rest = k;

        for (int i = 0; i < nkept; i++) {
            data += rest % n[i] * strides[i];
            rest /= n[i];
        }
        part.data = data;
        s.seen = 0;
        ndi_walk_runs(&part, look_run, &s);
        found[k] = s.found;
    }
}
