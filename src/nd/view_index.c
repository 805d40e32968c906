/* SPDX-License-Identifier: MIT */
/* view_index.c - NumPy's basic indexing: integers, slices, ..., None */
#include <nd/view_impl.h>

#include <base/checked.h>
#include <base/fail.h>

int64_t
ndi_slice_count(const nds_index *x, int64_t extent, int64_t *start,
                int64_t *step)
{
    int64_t low, high, stop;

    *step = x->step == NDS_INDEX_MISSING ? 1 : x->step;
    low = *step < 0 ? -1 : 0;
    high = *step < 0 ? extent - 1 : extent;
    *start = x->start;
    if (x->start == NDS_INDEX_MISSING) {
        *start = *step < 0 ? high : low;
    } else {
        *start += *start < 0 ? extent : 0;
        *start = *start < low ? low : *start > high ? high : *start;
    }
    stop = x->stop;
    if (x->stop == NDS_INDEX_MISSING) {
        stop = *step < 0 ? low : high;
    } else {
        stop += stop < 0 ? extent : 0;
        stop = stop < low ? low : stop > high ? high : stop;
    }
    if (*step > 0) {
        return stop > *start ? (stop - *start - 1) / *step + 1 : 0;
    }
    return stop < *start ? (*start - stop - 1) / -*step + 1 : 0;
}

static int
add_axis(nds_view *out, int64_t extent, int64_t stride)
{
    if (out->ndim == NDS_MAX_NDIM) {
        return ndi_fail(NDS_EINDEX, "more than %d dimensions", NDS_MAX_NDIM);
    }
    out->shape[out->ndim] = extent;
    out->strides[out->ndim++] = stride;
    return 0;
}

/* One integer or slice on an axis of v. */
static int
index_axis(nds_view *out, const nds_view *v, int axis, const nds_index *x)
{
    int64_t extent = v->shape[axis], stride = v->strides[axis];
    int64_t start, step, count;

    if (x->kind == NDS_INDEX_INT) {
        int64_t k = x->start < 0 ? x->start + extent : x->start;

        if (k < 0 || k >= extent) {
            return ndi_fail(NDS_EINDEX, "index %lld is out of bounds for axis "
                            "%d with size %lld", (long long)x->start, axis,
                            (long long)extent);
        }
        if (out->data != NULL) {
            out->data = (char *)out->data + k * stride;
        }
        return 0;
    }
    if (x->step == 0) {
        return ndi_fail(NDS_EINVAL, "slice step cannot be zero");
    }
    count = ndi_slice_count(x, extent, &start, &step);
    if (count == 0) {
        return add_axis(out, 0, stride);
    }
    if (out->data != NULL) {
        out->data = (char *)out->data + start * stride;
    }
    // A product that does not fit belongs to one element and is never used.
    return add_axis(out, count,
                    ndi_mul_i64(stride, step, &step) ? step : stride);
}

/* Axes named, and that there is at most one "..." */
static int
count_axes(const nds_view *v, int count, const nds_index *index, int *named)
{
    int dots = 0;

    *named = 0;
    for (int i = 0; i < count; i++) {
        dots += index[i].kind == NDS_INDEX_ELLIPSIS;
        *named += index[i].kind == NDS_INDEX_INT ||
                  index[i].kind == NDS_INDEX_SLICE;
    }
    if (dots > 1) {
        return ndi_fail(NDS_EINDEX, "an index can only have a single ellipsis "
                        "('...')");
    }
    if (*named > v->ndim) {
        return ndi_fail(NDS_EINDEX, "too many indices for array: array is "
                        "%d-dimensional, but %d were indexed", v->ndim,
                        *named);
    }
    return 0;
}

int
nds_view_index(nds_view *out, const nds_view *v, int count,
               const nds_index *index)
{
    int axis = 0, named, rc;

    ndi_view_clear(out);
    rc = count_axes(v, count, index, &named);
    if (rc < 0) {
        return rc;
    }
    ndi_view_like(out, v);
    out->ndim = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        if (index[i].kind == NDS_INDEX_NEWAXIS) {
            rc = add_axis(out, 1, 0);
        } else if (index[i].kind == NDS_INDEX_ELLIPSIS) {
            for (int k = v->ndim - named; k > 0 && rc == 0; k--, axis++) {
                rc = add_axis(out, v->shape[axis], v->strides[axis]);
            }
        } else {
            rc = index_axis(out, v, axis++, &index[i]);
        }
    }
    for (; axis < v->ndim && rc == 0; axis++) {
        rc = add_axis(out, v->shape[axis], v->strides[axis]);
    }
    if (rc < 0) {
        nds_view_fini(out);
    }
    return rc;
}

int
nds_view_slice(nds_view *out, const nds_view *v, const char *text)
{
    nds_index index[2 * NDS_MAX_NDIM + 1];
    int count, rc;

    ndi_view_clear(out);
    rc = nds_index_parse(text, index, (int)(sizeof index / sizeof *index),
                         &count);
    return rc < 0 ? rc : nds_view_index(out, v, count, index);
}
