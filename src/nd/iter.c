/* SPDX-License-Identifier: MIT */
/* iter.c - axes joined, ordered and walked */
#include <nd/iter.h>

#include <stdlib.h>

/* Axes of extent 1 left out. False for no elements. */
static bool
take_axes(struct ndi_iter *it, const nds_view *const *views)
{
    const nds_view *first = views[0];

    it->ndim = 0;
    for (int i = 0; i < first->ndim; i++) {
        if (first->shape[i] == 0) {
            return false;
        }
        if (first->shape[i] == 1) {
            continue;
        }
        it->shape[it->ndim] = first->shape[i];
        for (int v = 0; v < it->nviews; v++) {
            it->strides[v][it->ndim] = views[v]->strides[i];
        }
        it->ndim++;
    }
    for (int v = 0; v < it->nviews; v++) {
        it->data[v] = views[v]->data;
    }
    return true;
}

/* An axis that runs backwards in all views runs forwards from its end. */
static void
turn_axes(struct ndi_iter *it)
{
    for (int i = 0; i < it->ndim; i++) {
        bool back = it->strides[0][i] < 0;

        for (int v = 1; v < it->nviews; v++) {
            back = back && it->strides[v][i] <= 0;
        }
        if (!back) {
            continue;
        }
        for (int v = 0; v < it->nviews; v++) {
            it->data[v] += it->strides[v][i] * (it->shape[i] - 1);
            it->strides[v][i] = -it->strides[v][i];
        }
    }
}

/* Should axis a run slower than axis b? By the first view that tells. */
static bool
is_slower(const struct ndi_iter *it, int a, int b)
{
    for (int v = 0; v < it->nviews; v++) {
        int64_t x = llabs(it->strides[v][a]), y = llabs(it->strides[v][b]);

        if (x != y && x != 0 && y != 0) {
            return x > y;
        }
    }
    return false;
}

static void
swap_axes(struct ndi_iter *it, int a, int b)
{
    int64_t hold = it->shape[a];

    it->shape[a] = it->shape[b];
    it->shape[b] = hold;
    for (int v = 0; v < it->nviews; v++) {
        hold = it->strides[v][a];
        it->strides[v][a] = it->strides[v][b];
        it->strides[v][b] = hold;
    }
}

/* Insertion sort, stable: what does not tell stays in C order. */
static void
sort_axes(struct ndi_iter *it)
{
    for (int i = 1; i < it->ndim; i++) {
        for (int k = i; k > 0 && is_slower(it, k, k - 1); k--) {
            swap_axes(it, k, k - 1);
        }
    }
}

static void
join_axes(struct ndi_iter *it)
{
    int to = 0;

    for (int i = 1; i < it->ndim; i++) {
        bool joins = true;

        for (int v = 0; v < it->nviews; v++) {
            joins = joins && it->strides[v][to] ==
                                 it->strides[v][i] * it->shape[i];
        }
        if (joins) {
            it->shape[to] *= it->shape[i];
        } else {
            it->shape[++to] = it->shape[i];
        }
        for (int v = 0; v < it->nviews; v++) {
            it->strides[v][to] = it->strides[v][i];
        }
    }
    it->ndim = it->ndim == 0 ? 0 : to + 1;
}

bool
ndi_iter_init(struct ndi_iter *it, int nviews, const nds_view *const *views,
              unsigned flags)
{
    it->nviews = nviews;
    if (!take_axes(it, views)) {
        return false;
    }
    if ((flags & NDI_ITER_C_ORDER) == 0) {
        turn_axes(it);
        sort_axes(it);
    }
    join_axes(it);
    it->count = 1;
    for (int v = 0; v < nviews; v++) {
        it->step[v] = 0;
    }
    if (it->ndim > 0) {
        it->ndim--;
        it->count = it->shape[it->ndim];
        for (int v = 0; v < nviews; v++) {
            it->step[v] = it->strides[v][it->ndim];
        }
    }
    for (int i = 0; i < it->ndim; i++) {
        it->index[i] = 0;
    }
    return true;
}

bool
ndi_iter_next(struct ndi_iter *it)
{
    for (int i = it->ndim - 1; i >= 0; i--) {
        if (++it->index[i] < it->shape[i]) {
            for (int v = 0; v < it->nviews; v++) {
                it->data[v] += it->strides[v][i];
            }
            return true;
        }
        it->index[i] = 0;
        for (int v = 0; v < it->nviews; v++) {
            it->data[v] -= it->strides[v][i] * (it->shape[i] - 1);
        }
    }
    return false;
}
