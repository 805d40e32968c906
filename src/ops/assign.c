/* SPDX-License-Identifier: MIT */
/*
 * assign.c - dst[...] = src
 *
 * Through a temporary only where the two share bytes in another layout. Numbers
 * in native order go through the loops of kernels/, and what cannot fail is
 * shared by threads.
 */
#include "ops_impl.h"

#include <base/fail.h>
#include <nd/cast.h>
#include <nd/shape.h>
#include <nd/spread.h>
#include <nd/view_impl.h>
#include <os/os.h>

#include <stdlib.h>

struct job {
    const struct ndi_cast *cast;
    bool stream; /* a copy that no cache holds */
};

/* Numbers in native order or the same dtype: neither can fail. What is copied
 * as it is may pass for numbers of that size. */
static void
convert(const struct ndi_cast *c, char *to, int64_t to_step, const char *from,
        int64_t step, int64_t count)
{
    static const enum nds_type sized[] = {
        [1] = NDS_TYPE_UINT8,  [2] = NDS_TYPE_UINT16, [4] = NDS_TYPE_UINT32,
        [8] = NDS_TYPE_UINT64, [16] = NDS_TYPE_COMPLEX128};
    int64_t item = c->to->itemsize;

    if (!c->same) {
        ndi_ops_convert(c->to->type, to, to_step, c->from->type, from, step,
                        count);
    } else if (item <= 16 && sized[item] != 0) {
        ndi_ops_convert(sized[item], to, to_step, sized[item], from, step,
                        count);
    } else {
        (void)ndi_cast_run(c, to, to_step, from, step, count);
    }
}

static void
assign_row(void *ctx, char *const data[], const int64_t step[], int64_t at,
           int64_t count)
{
    const struct job *j = ctx;

    int64_t item = j->cast->to->itemsize;

    (void)at;
    if (j->cast->same && step[0] == item && step[1] == 0) {
        if (j->stream && NDI_LINE % item == 0 && count * item >= NDI_LINE) {
            ndi_stream_fill(data[0], count * item, data[1], item);
        } else {
            ndi_spread(data[0], 0, (uint64_t)(count * item), data[1],
                       (size_t)item);
        }
    } else if (j->stream && step[0] == item && step[1] == item) {
        ndi_copy_past(data[0], data[1], (size_t)(count * item));
    } else {
        convert(j->cast, data[0], step[0], data[1], step[1], count);
    }
}

/* Both of one shape, sharing no byte. */
static int
copy_apart(const struct ndi_cast *cast, const nds_view *dst,
           const nds_view *src)
{
    const nds_view *both[] = {dst, src};
    struct ndi_iter it;
    int rc = 0;

    if (!ndi_iter_init(&it, 2, both, 0)) {
        return 0;
    }
    if (cast->same || (ndi_is_number(cast->to) && ndi_is_number(cast->from))) {
        struct job j = {cast, cast->same && ndi_is_streamed(dst)};

        ndi_walk_rows(&it,
                      (size_t)(cast->to->itemsize + cast->from->itemsize),
                      assign_row, &j);
        return 0;
    }
    do {
        rc = ndi_cast_run(cast, it.data[0], it.step[0], it.data[1],
                          it.step[1], it.count);
    } while (rc == 0 && ndi_iter_next(&it));
    return rc;
}

static bool
same_layout(const nds_view *a, const nds_view *b)
{
    if (a->data != b->data) {
        return false;
    }
    for (int i = 0; i < a->ndim; i++) {
        if (a->shape[i] > 1 && a->strides[i] != b->strides[i]) {
            return false;
        }
    }
    return true;
}

/* src is read in full before dst is written. */
static int
copy_through(const struct ndi_cast *cast, const nds_view *dst,
             const nds_view *src, const nds_view *whole)
{
    struct ndi_cast same;
    nds_view temp, wide;
    size_t nbytes = (size_t)nds_view_nbytes(whole);
    void *memory = malloc(nbytes == 0 ? 1 : nbytes);
    int rc;

    if (memory == NULL) {
        return ndi_fail_nomem(nbytes, "overlapping views");
    }
    rc = nds_view_init(&temp, whole->dtype, memory, nbytes, whole->ndim,
                       whole->shape);
    if (rc < 0) {
        free(memory);
        return rc;
    }
    rc = ndi_cast_init(&same, whole->dtype, whole->dtype);
    if (rc == 0) {
        rc = copy_apart(&same, &temp, whole);
    }
    if (rc == 0) {
        // Cannot fail: src was stretched the same way.
        ndi_view_stretch(&wide, &temp, src->ndim, src->shape, true);
        rc = copy_apart(cast, dst, &wide);
        nds_view_fini(&wide);
    }
    nds_view_fini(&temp);
    free(memory);
    return rc;
}

int
nds_assign(const nds_view *dst, const nds_view *src)
{
    struct ndi_cast cast;
    nds_view wide;
    int rc;

    if ((dst->flags & NDS_VIEW_READONLY) != 0) {
        return ndi_fail(NDS_EREADONLY, "assignment destination is read-only");
    }
    rc = ndi_cast_init(&cast, dst->dtype, src->dtype);
    if (rc < 0) {
        return rc;
    }
    if (!ndi_view_stretch(&wide, src, dst->ndim, dst->shape, true)) {
        return ndi_fail(NDS_ESHAPE, "could not broadcast input array from "
                        "shape %s into shape %s",
                        ndi_shape_words(src->ndim, src->shape).text,
                        ndi_shape_words(dst->ndim, dst->shape).text);
    }
    if (!nds_view_overlaps(dst, src)) {
        rc = copy_apart(&cast, dst, &wide);
    } else if (cast.same && same_layout(dst, &wide)) {
        rc = 0;
    } else if (cast.same && nds_view_is_contiguous(dst, 'C') &&
               nds_view_is_contiguous(&wide, 'C')) {
        memmove(dst->data, wide.data, (size_t)nds_view_nbytes(dst));
    } else {
        rc = copy_through(&cast, dst, &wide, src);
    }
    nds_view_fini(&wide);
    return rc;
}
