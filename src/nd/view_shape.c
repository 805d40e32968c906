/* SPDX-License-Identifier: MIT */
/* view_shape.c - transpose, reshape and broadcast: other axes, same memory */
#include <nd/view_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <nd/dtype_impl.h>
#include <nd/shape.h>

#include <string.h>

int
nds_view_transpose(nds_view *out, const nds_view *v, const int *axes)
{
    bool seen[NDS_MAX_NDIM] = {false};

    ndi_view_clear(out);
    for (int i = 0; axes != NULL && i < v->ndim; i++) {
        int axis = axes[i] < 0 ? axes[i] + v->ndim : axes[i];

        if (axis < 0 || axis >= v->ndim) {
            return ndi_fail(NDS_EINDEX, "axis %d is out of bounds for array "
                            "of dimension %d", axes[i], v->ndim);
        }
        if (seen[axis]) {
            return ndi_fail(NDS_EINVAL, "repeated axis in transpose: %d",
                            axes[i]);
        }
        seen[axis] = true;
    }
    ndi_view_like(out, v);
    for (int i = 0; i < v->ndim; i++) {
        int axis = axes == NULL  ? v->ndim - 1 - i
                   : axes[i] < 0 ? axes[i] + v->ndim
                                 : axes[i];

        out->shape[i] = v->shape[axis];
        out->strides[i] = v->strides[axis];
    }
    return 0;
}

/* Puts the number that -1 stands for in its place. */
static int
settle_shape(int64_t *settled, int64_t count, int ndim, const int64_t *shape)
{
    int64_t known = 1;
    int hole = -1;
    bool fits = true;

    if (ndim < 0 || ndim > NDS_MAX_NDIM) {
        return ndi_fail(NDS_ESHAPE, "%d dimensions; 0 to %d are possible",
                        ndim, NDS_MAX_NDIM);
    }
    for (int i = 0; i < ndim; i++) {
        settled[i] = shape[i];
        if (shape[i] == -1 && hole < 0) {
            hole = i;
        } else if (shape[i] == -1) {
            return ndi_fail(NDS_ESHAPE,
                            "can only specify one unknown dimension");
        } else if (shape[i] < 0) {
            return ndi_fail(NDS_ESHAPE, "negative dimensions are not allowed: "
                            "shape %s", ndi_shape_words(ndim, shape).text);
        } else if (known != 0) {
            fits = shape[i] == 0 || (fits && known <= INT64_MAX / shape[i]);
            known = fits ? known * shape[i] : 1;
        }
    }
    if (hole >= 0 && fits && known != 0 && count % known == 0) {
        settled[hole] = count / known;
        return 0;
    }
    if (hole < 0 && fits && known == count) {
        return 0;
    }
    return ndi_fail(NDS_ESHAPE, "cannot reshape array of size %lld into shape "
                    "%s", (long long)count, ndi_shape_words(ndim, shape).text);
}

int
nds_view_reshape(nds_view *out, const nds_view *v, int ndim,
                 const int64_t *shape, char order)
{
    int64_t settled[NDS_MAX_NDIM];
    int rc;

    ndi_view_clear(out);
    rc = settle_shape(settled, nds_view_count(v), ndim, shape);
    if (rc < 0) {
        return rc;
    }
    rc = ndi_shape_check(v->dtype->itemsize, ndim, settled, NULL, NULL);
    if (rc < 0) {
        return rc;
    }
    if (!ndi_strides_reshape(v->ndim, v->shape, v->strides,
                             v->dtype->itemsize, ndim, settled, order,
                             out->strides)) {
        return NDS_EAGAIN;
    }
    ndi_view_like(out, v);
    out->ndim = ndim;
    memcpy(out->shape, settled, sizeof(int64_t) * (size_t)ndim);
    return 0;
}

bool
ndi_view_stretch(nds_view *out, const nds_view *v, int ndim,
                 const int64_t *shape, bool drop)
{
    int extra = v->ndim - ndim;

    for (int i = 0; i < extra; i++) {
        if (!drop || v->shape[i] != 1) {
            return false;
        }
    }
    for (int i = 0; i < ndim; i++) {
        int from = i + extra;

        out->shape[i] = shape[i];
        if (from < 0 || (v->shape[from] == 1 && shape[i] != 1)) {
            out->strides[i] = 0;
        } else if (v->shape[from] == shape[i]) {
            out->strides[i] = v->strides[from];
        } else {
            return false;
        }
    }
    ndi_view_like(out, v);
    out->ndim = ndim;
    return true;
}

int
nds_view_broadcast(nds_view *out, const nds_view *v, int ndim,
                   const int64_t *shape)
{
    int rc;

    ndi_view_clear(out);
    rc = ndi_shape_check(0, ndim, shape, NULL, NULL);
    if (rc < 0) {
        return rc;
    }
    if (!ndi_view_stretch(out, v, ndim, shape, false)) {
        ndi_view_clear(out);
        return ndi_fail(NDS_ESHAPE, "cannot broadcast shape %s to shape %s",
                        ndi_shape_words(v->ndim, v->shape).text,
                        ndi_shape_words(ndim, shape).text);
    }
    out->flags |= NDS_VIEW_READONLY;
    return 0;
}
