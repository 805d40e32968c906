/* SPDX-License-Identifier: MIT */
/*
 * array.c - a view and the block it keeps alive
 *
 * A handle is private to its process and closed once; what it holds is counted
 * in the block. Where the memory comes from is told in array_named.c (names,
 * locks, generations) and array_file.c (files, .npy).
 */
#include <array/array_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <base/options.h>
#include <base/spare.h>
#include <nd/view_impl.h>
#include <os/os.h>

#include <stdio.h>
#include <string.h>

const char *
ndi_shape_text(char *out, size_t room, int ndim, const int64_t *shape)
{
    size_t at = (size_t)snprintf(out, room, "(");

    for (int i = 0; i < ndim; i++) {
        int n = snprintf(out + at, room - at, "%s%lld", i > 0 ? ", " : "",
                         (long long)shape[i]);

        if (n < 0 || (size_t)n + 8 >= room - at) {
            snprintf(out + at, room - at, "...)");
            return out;
        }
        at += (size_t)n;
    }
    snprintf(out + at, room - at, "%s)", ndim == 1 ? "," : "");
    return out;
}

int
ndi_array_nbytes(const nds_dtype *dtype, int ndim, const int64_t *shape,
                 int64_t *nbytes)
{
    int64_t n = nds_dtype_itemsize(dtype);
    bool empty = n == 0, fits = true;
    char text[256];

    if (ndim < 0 || ndim > NDS_MAX_NDIM) {
        return ndi_fail(NDS_ESHAPE, "%d dimensions: 0 to %d are possible",
                        ndim, NDS_MAX_NDIM);
    }
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0) {
            return ndi_fail(NDS_ESHAPE,
                            "negative dimensions are not allowed: %s",
                            ndi_shape_text(text, sizeof text, ndim, shape));
        }
        empty |= shape[i] == 0;
        // As NumPy: extents beside a zero must fit together all the same.
        fits = fits && (shape[i] == 0 ||
                        ndi_mul_i64(n == 0 ? 1 : n, shape[i], &n));
    }
    if (!fits) {
        return ndi_fail(NDS_ESHAPE,
                        "an array of shape %s is too large: its bytes do not "
                        "fit 64 bits",
                        ndi_shape_text(text, sizeof text, ndim, shape));
    }
    *nbytes = empty ? 0 : n;
    return 0;
}

/* What stands behind the view, which says itself how much of it counts. */
static void
handle_over(nds_array *a, nds_block *b)
{
    memset((char *)a + sizeof a->view, 0, sizeof *a - sizeof a->view);
    a->block = b;
    a->segment = ndi_block_segment(b);
    if (nds_block_is_readonly(b)) {
        a->view.flags |= NDS_VIEW_READONLY;
    }
}

int
ndi_array_over(nds_array **out, nds_block *b, const nds_view *v)
{
    nds_array *a = ndi_spare_new();

    *out = NULL;
    if (a == NULL) {
        nds_block_close(b);
        return ndi_fail_nomem(sizeof *a, "an array handle");
    }
    nds_view_copy(&a->view, v);
    handle_over(a, b);
    *out = a;
    return 0;
}

int
ndi_array_finish(nds_array **out, nds_block *b, nds_view *v, int made)
{
    int rc;

    *out = NULL;
    if (made < 0) {
        nds_block_close(b);
        return made;
    }
    rc = ndi_array_over(out, b, v);
    nds_view_fini(v);
    return rc;
}

int
ndi_array_finish_segment(nds_array **out, struct ndi_segment *s, nds_view *v,
                         int made)
{
    nds_block *b = NULL;
    int rc;

    *out = NULL;
    if (made < 0) {
        ndi_segment_put(s);
        return made;
    }
    rc = ndi_block_of_segment(&b, s);
    if (rc == 0) {
        rc = ndi_array_over(out, b, v);
    }
    nds_view_fini(v);
    return rc;
}

int
ndi_array_new_packed(nds_array **out, const nds_dtype *dtype, int ndim,
                     const int64_t *shape, char order, size_t nbytes)
{
    nds_block *b = NULL;
    int rc = ndi_block_new_heap(&b, nbytes, false, NDS_HUGE_AUTO);

    *out = NULL;
    return rc < 0 ? rc : ndi_array_over_packed(out, b, dtype, ndim, shape,
                                               order);
}

int
ndi_array_over_packed(nds_array **out, nds_block *b, const nds_dtype *dtype,
                      int ndim, const int64_t *shape, char order)
{
    nds_array *a = ndi_spare_new();
    int rc;

    *out = NULL;
    if (a == NULL) {
        nds_block_close(b);
        return ndi_fail_nomem(sizeof *a, "an array handle");
    }
    rc = ndi_view_packed(&a->view, dtype, nds_block_data(b), ndim, shape,
                         order);
    handle_over(a, b);
    if (rc < 0) {
        nds_array_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

struct fill {
    const struct ndi_pattern *pattern;
    void *data;
};

static void
fill_range(void *ctx, int64_t from, int64_t to)
{
    const struct fill *f = ctx;

    ndi_pattern_write(f->pattern, f->data, (uint64_t)from, (uint64_t)to);
}

static int
new_heap(nds_array **out, const nds_dtype *dtype, int ndim,
         const int64_t *shape, const nds_array_options *o, int64_t nbytes)
{
    nds_block *b = NULL;
    nds_view v;
    int rc = ndi_block_new_heap(&b, (size_t)nbytes, !o->uninitialised,
                                o->huge);

    if (rc < 0) {
        return rc;
    }
    rc = nds_view_init_strided(&v, dtype, nds_block_data(b),
                               nds_block_nbytes(b), 0, ndim, shape, NULL,
                               o->order == 'F' ? 'F' : 'C');
    return ndi_array_finish(out, b, &v, rc);
}

/* Memory that is about to be filled need not be zero. */
static int
new_filled(nds_array **out, const nds_dtype *dtype, int ndim,
           const int64_t *shape, nds_array_options *o, int64_t nbytes)
{
    struct ndi_pattern pattern;
    int rc = ndi_pattern_init(&pattern, dtype, o->fill);

    o->uninitialised = rc == 0 && pattern.any;
    if (rc == 0) {
        rc = new_heap(out, dtype, ndim, shape, o, nbytes);
    }
    if (rc == 0 && pattern.any && nbytes > 0) {
        struct fill f = {&pattern, (*out)->view.data};

        ndi_in_pieces(nbytes, 1, fill_range, &f);
    }
    ndi_pattern_fini(&pattern);
    return rc;
}

int
nds_array_new(nds_array **out, const nds_dtype *dtype, int ndim,
              const int64_t *shape, const nds_array_options *opts)
{
    nds_array_options o;
    int64_t nbytes;
    int rc;

    *out = NULL;
    ndi_options_copy(&o, sizeof o, opts);
    if (dtype == NULL) {
        return ndi_fail(NDS_EDTYPE, "an array needs a dtype");
    }
    if (o.reach == NDS_SHAREABLE) {
        return ndi_array_new_shareable(out, dtype, ndim, shape, &o);
    }
    if (o.reach != NDS_HEAP) {
        return ndi_fail(NDS_EINVAL, "nds_array_new makes heap and shareable "
                        "arrays, not reach %d", (int)o.reach);
    }
    rc = ndi_array_nbytes(dtype, ndim, shape, &nbytes);
    if (rc < 0) {
        return rc;
    }
    return o.fill != NULL ? new_filled(out, dtype, ndim, shape, &o, nbytes)
                          : new_heap(out, dtype, ndim, shape, &o, nbytes);
}

/* The bytes that a view can touch, from its lowest to past its highest. */
static void
view_span(const nds_view *v, char **low, size_t *nbytes)
{
    int64_t below = 0, above = 0;

    *low = v->data;
    *nbytes = 0;
    for (int i = 0; i < v->ndim; i++) {
        if (v->shape[i] == 0) {
            return;
        }
        int64_t reach = v->strides[i] * (v->shape[i] - 1);

        if (reach < 0) {
            below += reach;
        } else {
            above += reach;
        }
    }
    *low += below;
    *nbytes = (size_t)(above - below + nds_dtype_itemsize(v->dtype));
}

int
nds_array_from_memory(nds_array **out, const nds_view *v,
                      void (*done)(void *ctx), void *ctx)
{
    nds_block *b = NULL;
    char *low;
    size_t nbytes;
    int rc;

    *out = NULL;
    view_span(v, &low, &nbytes);
    rc = ndi_block_of_memory(&b, low, nbytes,
                             (v->flags & NDS_VIEW_READONLY) != 0, done, ctx);
    return rc < 0 ? rc : ndi_array_over(out, b, v);
}

void
nds_array_close(nds_array *a)
{
    if (a == NULL) {
        return;
    }
    if (a->on_close != NULL) {
        a->on_close(a, a->close_ctx);
    }
    nds_view_fini(&a->view);
    nds_block_close(a->block);
    ndi_spare_free(a);
}

int
nds_array_get(nds_array **out, nds_array *a)
{
    return nds_array_wrap(out, a, &a->view);
}

const nds_view *
nds_array_view(const nds_array *a)
{
    return &a->view;
}

void *
nds_array_data(const nds_array *a)
{
    return a->view.data;
}

nds_block *
nds_array_block(const nds_array *a)
{
    return a->block;
}

const char *
nds_array_name(const nds_array *a)
{
    return a->segment != NULL ? a->segment->name : "";
}

int
nds_array_wrap(nds_array **out, nds_array *a, const nds_view *v)
{
    int rc = ndi_array_over(out, nds_block_get(a->block), v);

    if (rc == 0) {
        (*out)->shape_gen = a->shape_gen;
    }
    return rc;
}

/* Wraps a view made for the purpose and gives it back. */
static int
wrap_own(nds_array **out, nds_array *a, nds_view *v)
{
    int rc = nds_array_wrap(out, a, v);

    nds_view_fini(v);
    return rc;
}

int
nds_array_slice(nds_array **out, nds_array *a, const char *text)
{
    nds_view v;
    int rc;

    *out = NULL;
    rc = nds_view_slice(&v, &a->view, text);
    return rc < 0 ? rc : wrap_own(out, a, &v);
}

int
nds_array_transpose(nds_array **out, nds_array *a, const int *axes)
{
    nds_view v;
    int rc;

    *out = NULL;
    rc = nds_view_transpose(&v, &a->view, axes);
    return rc < 0 ? rc : wrap_own(out, a, &v);
}

int
nds_array_reshape(nds_array **out, nds_array *a, int ndim,
                  const int64_t *shape)
{
    nds_array *copy = NULL;
    nds_view v;
    int rc;

    *out = NULL;
    rc = nds_view_reshape(&v, &a->view, ndim, shape, 'C');
    if (rc == 0) {
        return wrap_own(out, a, &v);
    }
    if (rc != NDS_EAGAIN) {
        return rc;
    }
    rc = nds_array_copy(&copy, &a->view, NULL);
    if (rc < 0) {
        return rc;
    }
    rc = nds_view_reshape(&v, &copy->view, ndim, shape, 'C');
    if (rc == 0) {
        rc = wrap_own(out, copy, &v);
    }
    nds_array_close(copy);
    return rc;
}

int
nds_array_readonly(nds_array **out, nds_array *a)
{
    int rc = nds_array_wrap(out, a, &a->view);

    if (rc == 0) {
        (*out)->view.flags |= NDS_VIEW_READONLY;
    }
    return rc;
}

int
nds_array_copy(nds_array **out, const nds_view *v,
               const nds_array_options *opts)
{
    nds_array *a = NULL;
    int rc = nds_array_new(&a, v->dtype, v->ndim, v->shape, opts);

    *out = NULL;
    if (rc == 0 && nds_view_is_contiguous(v, 'C') &&
        nds_view_is_contiguous(&a->view, 'C')) {
        ndi_copy(a->view.data, v->data, (size_t)nds_view_nbytes(v));
    } else if (rc == 0) {
        rc = nds_assign(&a->view, v);
    }
    if (rc == 0) {
        *out = ndi_steal(&a);
    }
    nds_array_close(a);
    return rc;
}

int
nds_array_flush(nds_array *a)
{
    return nds_block_flush(a->block);
}

bool
ndi_array_is_frozen(const nds_array *a)
{
    return a->segment != NULL && a->segment->frozen;
}

int
nds_array_freeze(nds_array *a)
{
    int rc;

    if (a->segment != NULL && !a->segment->frozen &&
        a->segment->mode == NDS_READWRITE) {
        if (ndi_block_refs(a->block) > 1) {
            return ndi_fail(NDS_EBUSY, "freeze '%s': %u other handles of this "
                            "process view its memory", nds_array_name(a),
                            ndi_block_refs(a->block) - 1);
        }
        rc = ndi_segment_freeze(a->segment);
        if (rc < 0) {
            return rc;
        }
    }
    a->view.flags |= NDS_VIEW_READONLY;
    return 0;
}
