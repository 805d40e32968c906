/* SPDX-License-Identifier: MIT */
/* stride.c - C and Fortran strides, contiguity, extents, reshaping in place */
#include <nd/shape.h>

#include <base/checked.h>

void
ndi_strides_fill(int64_t *strides, int64_t itemsize, int ndim,
                 const int64_t *shape, char order)
{
    int64_t step = itemsize;

    for (int i = 0; i < ndim; i++) {
        int axis = order == 'F' ? i : ndim - 1 - i;

        strides[axis] = step;
        // A zero extent would make the rest 0; NumPy counts it as 1.
        if (!ndi_mul_i64(step, shape[axis] == 0 ? 1 : shape[axis], &step)) {
            step = 0; // only where a zero extent lies elsewhere
        }
    }
}

bool
ndi_strides_are_contiguous(const int64_t *strides, int64_t itemsize, int ndim,
                           const int64_t *shape, char order)
{
    int64_t step = itemsize;

    for (int i = 0; i < ndim; i++) {
        if (shape[i] == 0) {
            return true;
        }
    }
    for (int i = 0; i < ndim; i++) {
        int axis = order == 'F' ? i : ndim - 1 - i;

        if (shape[axis] != 1) {
            if (strides[axis] != step) {
                return false;
            }
            step *= shape[axis];
        }
    }
    return true;
}

bool
ndi_strides_extent(const int64_t *strides, int64_t itemsize, int ndim,
                   const int64_t *shape, int64_t *low, int64_t *high)
{
    *low = 0;
    *high = 0;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] == 0) {
            return true;
        }
    }
    for (int i = 0; i < ndim; i++) {
        int64_t reach;
        int64_t *end = strides[i] < 0 ? low : high;

        if (!ndi_mul_i64(strides[i], shape[i] - 1, &reach) ||
            !ndi_add_i64(*end, reach, end)) {
            return false;
        }
    }
    return ndi_add_i64(*high, itemsize, high);
}

/*
 * One group of axes, old [o, op) and new [n, np), of equal count: possible if
 * the old ones are one evenly spaced run.
 */
static bool
reshape_group(const int64_t *shape, const int64_t *strides, int o, int op,
              const int64_t *new_shape, int n, int np, char order,
              int64_t *new_strides)
{
    for (int k = o; k < op - 1; k++) {
        if (order == 'F' ? strides[k + 1] != shape[k] * strides[k]
                         : strides[k] != shape[k + 1] * strides[k + 1]) {
            return false;
        }
    }
    if (order == 'F') {
        new_strides[n] = strides[o];
        for (int k = n + 1; k < np; k++) {
            new_strides[k] = new_strides[k - 1] * new_shape[k - 1];
        }
    } else {
        new_strides[np - 1] = strides[op - 1];
        for (int k = np - 1; k > n; k--) {
            new_strides[k - 1] = new_strides[k] * new_shape[k];
        }
    }
    return true;
}

bool
ndi_strides_reshape(int ndim, const int64_t *shape, const int64_t *strides,
                    int64_t itemsize, int new_ndim, const int64_t *new_shape,
                    char order, int64_t *new_strides)
{
    int64_t old_shape[NDS_MAX_NDIM], old_strides[NDS_MAX_NDIM], last;
    int old_ndim = 0, o = 0, n = 0;

    if (ndi_strides_are_contiguous(strides, itemsize, ndim, shape, order)) {
        ndi_strides_fill(new_strides, itemsize, new_ndim, new_shape, order);
        return true;
    }
    for (int i = 0; i < ndim; i++) {
        if (shape[i] != 1) {
            old_shape[old_ndim] = shape[i];
            old_strides[old_ndim++] = strides[i];
        }
    }
    while (o < old_ndim && n < new_ndim) {
        int op = o + 1, np = n + 1;
        int64_t a = old_shape[o], b = new_shape[n];

        while (a != b) {
            if (b < a) {
                b *= new_shape[np++];
            } else {
                a *= old_shape[op++];
            }
        }
        if (!reshape_group(old_shape, old_strides, o, op, new_shape, n, np,
                           order, new_strides)) {
            return false;
        }
        o = op;
        n = np;
    }
    // What is left are extents of 1.
    last = n > 0 ? new_strides[n - 1] : itemsize;
    if (order == 'F' && n > 0) {
        last *= new_shape[n - 1];
    }
    for (; n < new_ndim; n++) {
        new_strides[n] = last;
    }
    return true;
}
