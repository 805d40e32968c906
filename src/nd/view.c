/* SPDX-License-Identifier: MIT */
/*
 * view.c - a borrowed array: made, asked, reinterpreted
 *
 * Every view made here stays inside the memory of the one it came from; that
 * is checked once, when the first is made (nds_view_init_strided), and kept by
 * each step. A sub-array dtype never stays in a view: its extents become the
 * view's last axes, as in NumPy.
 */
#include <nd/view_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <nd/dtype_impl.h>
#include <nd/shape.h>

#include <string.h>

void
ndi_view_clear(nds_view *v)
{
    v->dtype = NULL;
    v->data = NULL;
    v->ndim = 0;
    v->flags = 0;
}

void
ndi_view_like(nds_view *out, const nds_view *v)
{
    out->dtype = nds_dtype_get(v->dtype);
    out->data = v->data;
    out->ndim = v->ndim;
    out->flags = v->flags;
}

/* Sub-array dtypes give their extents to the view. */
static int
absorb_subarray(nds_view *v)
{
    const nds_dtype *sub = v->dtype, *base = sub->base;

    if (base == NULL) {
        return 0;
    }
    if (v->ndim + sub->ndim > NDS_MAX_NDIM) {
        return ndi_fail(NDS_ESHAPE, "%d dimensions; 0 to %d are possible",
                        v->ndim + sub->ndim, NDS_MAX_NDIM);
    }
    ndi_strides_fill(v->strides + v->ndim, base->itemsize, sub->ndim,
                     sub->shape, 'C');
    for (int i = 0; i < sub->ndim; i++) {
        v->shape[v->ndim + i] = sub->shape[i];
    }
    v->ndim += sub->ndim;
    v->dtype = nds_dtype_get(base);
    nds_dtype_put(sub);
    return ndi_shape_check(base->itemsize, v->ndim, v->shape, NULL, NULL);
}

int
nds_view_init_strided(nds_view *out, const nds_dtype *dtype, void *base,
                      size_t nbytes, int64_t off, int ndim,
                      const int64_t *shape, const int64_t *strides, char order)
{
    int64_t low, high, need;
    int rc;

    ndi_view_clear(out);
    rc = ndi_shape_check(dtype->itemsize, ndim, shape, NULL, &need);
    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < ndim; i++) {
        out->shape[i] = shape[i];
    }
    if (strides != NULL) {
        memcpy(out->strides, strides, sizeof(int64_t) * (size_t)ndim);
    } else {
        ndi_strides_fill(out->strides, dtype->itemsize, ndim, shape, order);
    }
    if (!ndi_strides_extent(out->strides, dtype->itemsize, ndim, shape, &low,
                            &high) ||
        !ndi_add_i64(low, off, &low) || !ndi_add_i64(high, off, &high) ||
        low < 0 || high < 0 || (uint64_t)high > nbytes || off < 0 ||
        (uint64_t)off > nbytes) {
        return ndi_fail(NDS_EBUFFER, "buffer is too small for requested "
                        "array: shape %s of %lld-byte elements at offset "
                        "%lld needs %lld bytes, %zu are there",
                        ndi_shape_words(ndim, shape).text,
                        (long long)dtype->itemsize, (long long)off,
                        (long long)need, nbytes);
    }
    out->dtype = nds_dtype_get(dtype);
    out->data = base != NULL ? (char *)base + off : NULL;
    out->ndim = ndim;
    rc = absorb_subarray(out);
    if (rc < 0) {
        nds_view_fini(out);
    }
    return rc;
}

int
ndi_view_packed(nds_view *out, const nds_dtype *dtype, void *data, int ndim,
                const int64_t *shape, char order)
{
    int rc = 0;

    ndi_view_clear(out);
    out->dtype = nds_dtype_get(dtype);
    out->data = data;
    out->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        out->shape[i] = shape[i];
    }
    ndi_strides_fill(out->strides, dtype->itemsize, ndim, shape, order);
    if (dtype->base != NULL) {
        rc = absorb_subarray(out);
    }
    if (rc < 0) {
        nds_view_fini(out);
    }
    return rc;
}

int
nds_view_init(nds_view *out, const nds_dtype *dtype, void *data, size_t nbytes,
              int ndim, const int64_t *shape)
{
    return nds_view_init_strided(out, dtype, data, nbytes, 0, ndim, shape,
                                 NULL, 'C');
}

void
nds_view_fini(nds_view *v)
{
    nds_dtype_put(v->dtype);
    ndi_view_clear(v);
}

void
nds_view_copy(nds_view *out, const nds_view *v)
{
    size_t n = sizeof(int64_t) * (size_t)v->ndim;

    ndi_view_like(out, v);
    memcpy(out->shape, v->shape, n);
    memcpy(out->strides, v->strides, n);
}

int64_t
nds_view_count(const nds_view *v)
{
    return ndi_shape_count(v->ndim, v->shape);
}

int64_t
nds_view_nbytes(const nds_view *v)
{
    return nds_view_count(v) * v->dtype->itemsize;
}

bool
nds_view_is_contiguous(const nds_view *v, char order)
{
    return ndi_strides_are_contiguous(v->strides, v->dtype->itemsize, v->ndim,
                                      v->shape, order);
}

int
nds_view_at(const nds_view *v, const int64_t *index, void **out)
{
    char *at = v->data;

    *out = NULL;
    for (int i = 0; i < v->ndim; i++) {
        int64_t k = index[i] < 0 ? index[i] + v->shape[i] : index[i];

        if (k < 0 || k >= v->shape[i]) {
            return ndi_fail(NDS_EINDEX, "index %lld is out of bounds for axis "
                            "%d with size %lld", (long long)index[i], i,
                            (long long)v->shape[i]);
        }
        at += k * v->strides[i];
    }
    *out = at;
    return 0;
}

int
nds_view_field(nds_view *out, const nds_view *v, const char *name)
{
    ndi_view_clear(out);
    for (int64_t i = 0; i < v->dtype->nfields; i++) {
        const struct ndi_field *f = &v->dtype->fields[i];
        int rc;

        if (strcmp(f->name, name) != 0) {
            continue;
        }
        nds_view_copy(out, v);
        nds_dtype_put(out->dtype);
        out->dtype = nds_dtype_get(f->dtype);
        out->data = v->data != NULL ? (char *)v->data + f->off : NULL;
        rc = absorb_subarray(out);
        if (rc < 0) {
            nds_view_fini(out);
        }
        return rc;
    }
    return ndi_fail(NDS_EKEY, "no field of name %s", name);
}

/* The last axis of v in elements of another size. */
static int
recut_last_axis(nds_view *v, int64_t from, int64_t to)
{
    int64_t *extent, nbytes;

    if (v->ndim == 0) {
        return ndi_fail(NDS_EINVAL, "changing the dtype of a 0d array is only "
                        "supported if the itemsize is unchanged");
    }
    extent = &v->shape[v->ndim - 1];
    if (to == 0 || from == 0 || (*extent != 1 && nds_view_count(v) != 0 &&
                                 v->strides[v->ndim - 1] != from)) {
        return ndi_fail(NDS_EINVAL, "to change to a dtype of a different "
                        "size, the last axis must be contiguous");
    }
    nbytes = *extent * from;
    if (nbytes % to != 0) {
        return ndi_fail(NDS_EINVAL, "the last axis has %lld bytes, not a "
                        "multiple of %lld", (long long)nbytes, (long long)to);
    }
    *extent = nbytes / to;
    v->strides[v->ndim - 1] = to;
    return ndi_shape_check(to, v->ndim, v->shape, NULL, NULL);
}

int
nds_view_cast_bytes(nds_view *out, const nds_view *v, const nds_dtype *dtype)
{
    int rc = 0;

    nds_view_copy(out, v);
    if (dtype->itemsize != v->dtype->itemsize) {
        rc = recut_last_axis(out, v->dtype->itemsize, dtype->itemsize);
    }
    nds_dtype_put(out->dtype);
    out->dtype = nds_dtype_get(dtype);
    if (rc == 0) {
        rc = absorb_subarray(out);
    }
    if (rc < 0) {
        nds_view_fini(out);
    }
    return rc;
}
