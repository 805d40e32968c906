/* SPDX-License-Identifier: MIT */
/* shape.c - products of extents that fit, and broadcasting */
#include <nd/shape.h>

#include <base/checked.h>
#include <base/fail.h>

#include <stdio.h>
#include <string.h>

struct ndi_shape_words
ndi_shape_words(int ndim, const int64_t *shape)
{
    struct ndi_shape_words w;
    size_t at = 1;

    w.text[0] = '(';
    for (int i = 0; i < ndim; i++) {
        int n = snprintf(w.text + at, sizeof w.text - at, "%s%lld",
                         i == 0 ? "" : ",", (long long)shape[i]);

        if (n < 0 || (size_t)n + 8 > sizeof w.text - at) {
            memcpy(w.text + at, "...", 3);
            at += 3;
            break;
        }
        at += (size_t)n;
    }
    memcpy(w.text + at, ndim == 1 ? ",)" : ")", ndim == 1 ? 3 : 2);
    return w;
}

int
ndi_shape_check(int64_t itemsize, int ndim, const int64_t *shape,
                int64_t *count, int64_t *nbytes)
{
    int64_t all = itemsize > 0 ? itemsize : 1;
    bool empty = false;

    if (ndim < 0 || ndim > NDS_MAX_NDIM) {
        return ndi_fail(NDS_ESHAPE, "%d dimensions; 0 to %d are possible",
                        ndim, NDS_MAX_NDIM);
    }
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0) {
            return ndi_fail(NDS_ESHAPE, "negative dimensions are not allowed: "
                            "shape %s", ndi_shape_words(ndim, shape).text);
        }
        empty = empty || shape[i] == 0;
        if (shape[i] != 0 && !ndi_mul_i64(all, shape[i], &all)) {
            return ndi_fail(NDS_ESHAPE, "shape %s of %lld-byte elements is "
                            "larger than the maximum possible size",
                            ndi_shape_words(ndim, shape).text,
                            (long long)itemsize);
        }
    }
    if (count != NULL) {
        *count = empty ? 0 : all / (itemsize > 0 ? itemsize : 1);
    }
    if (nbytes != NULL) {
        *nbytes = empty || itemsize == 0 ? 0 : all;
    }
    return 0;
}

int64_t
ndi_shape_count(int ndim, const int64_t *shape)
{
    int64_t count = 1;

    for (int i = 0; i < ndim; i++) {
        if (shape[i] == 0) {
            return 0;
        }
    }
    for (int i = 0; i < ndim; i++) {
        count *= shape[i];
    }
    return count;
}

int
ndi_shape_broadcast(int andim, const int64_t *a, int bndim, const int64_t *b,
                    int *ndim, int64_t *shape)
{
    int n = andim > bndim ? andim : bndim;

    for (int i = 1; i <= n; i++) {
        int64_t x = i <= andim ? a[andim - i] : 1;
        int64_t y = i <= bndim ? b[bndim - i] : 1;

        if (x != y && x != 1 && y != 1) {
            return ndi_fail(NDS_ESHAPE, "operands could not be broadcast "
                            "together with shapes %s %s",
                            ndi_shape_words(andim, a).text,
                            ndi_shape_words(bndim, b).text);
        }
        shape[n - i] = x == 1 ? y : x;
    }
    *ndim = n;
    return 0;
}
