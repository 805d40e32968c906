/* SPDX-License-Identifier: MIT */
/* walk.c - the elements of a view in C order, run by run */
#include "ops_impl.h"

#include <base/fail.h>

int
ndi_check_writable(const nds_view *v)
{
    if (v->flags & NDS_VIEW_READONLY) {
        return ndi_fail(NDS_EREADONLY, "assignment destination is read-only");
    }
    return 0;
}

bool
ndi_is_dense(const nds_view *v)
{
    return nds_view_is_contiguous(v, 'C') || nds_view_is_contiguous(v, 'F');
}

/* Drops extents of 1 and joins axes that one stride serves; outermost first.
 * -1 if there is no element. */
static int
join_axes(const nds_view *v, int64_t *shape, int64_t *strides)
{
    int n = 0;

    for (int i = 0; i < v->ndim; i++) {
        if (v->shape[i] == 0) {
            return -1;
        }
        if (v->shape[i] == 1) {
            continue;
        }
        if (n > 0 && strides[n - 1] == v->strides[i] * v->shape[i]) {
            shape[n - 1] *= v->shape[i];
            strides[n - 1] = v->strides[i];
            continue;
        }
        shape[n] = v->shape[i];
        strides[n++] = v->strides[i];
    }
    return n;
}

void
ndi_walk_runs(const nds_view *v, ndi_run_fn *fn, void *ctx)
{
    int64_t shape[NDS_MAX_NDIM];
    int64_t strides[NDS_MAX_NDIM];
    int64_t at[NDS_MAX_NDIM] = {0};
    char *data = v->data;
    int n = join_axes(v, shape, strides);
    int i;

    if (n < 0) {
        return;
    }
    if (n == 0) {
        fn(ctx, data, v->dtype->itemsize, 1);
        return;
    }
    do {
        fn(ctx, data, strides[n - 1], shape[n - 1]);
        for (i = n - 2; i >= 0; i--) {
            data += strides[i];
            if (++at[i] < shape[i]) {
                break;
            }
            data -= strides[i] * shape[i];
            at[i] = 0;
        }
    } while (i >= 0);
}
