/* SPDX-License-Identifier: MIT */
/*
 * fill.c - one value everywhere, or 0, 1, 2, ...
 *
 * The value becomes the bytes of one element; dense memory then takes them in
 * whatever order its axes have.
 */
#include "ops_impl.h"

#include <base/fail.h>
#include <nd/spread.h>
#include <os/os.h>

#include <inttypes.h>
#include <stdlib.h>

struct element {
    unsigned char bytes[32];
    int64_t nbytes;
};

#define STORE_EACH(n)                                                         \
    for (int64_t i = 0; i < count; i++) {                                     \
        memcpy(to + i * step, e->bytes, n);                                   \
    }                                                                         \
    break

static void
store_row(void *ctx, char *const data[], const int64_t steps[], int64_t at,
          int64_t count)
{
    const struct element *e = ctx;
    int64_t step = steps[0];
    char *to = data[0];

    (void)at;
    if (step == e->nbytes) {
        ndi_spread(to, 0, (uint64_t)(count * e->nbytes), e->bytes,
                   (size_t)e->nbytes);
        return;
    }
    switch (e->nbytes) {
    case 1:
        STORE_EACH(1);
    case 2:
        STORE_EACH(2);
    case 4:
        STORE_EACH(4);
    case 8:
        STORE_EACH(8);
    default:
        STORE_EACH((size_t)e->nbytes);
    }
}

struct fill {
    char *data;
    const struct element *e;
    bool stream;
};

static void
fill_range(void *ctx, int64_t from, int64_t to)
{
    const struct fill *f = ctx;
    int64_t n = f->e->nbytes;

    if (f->stream) {
        ndi_stream_fill(f->data + from * n, (to - from) * n, f->e->bytes, n);
        return;
    }
    ndi_spread(f->data + from * n, 0, (uint64_t)((to - from) * n),
               f->e->bytes, (size_t)n);
}

static bool
is_zero(const struct element *e)
{
    static const unsigned char zero[sizeof e->bytes];

    return memcmp(e->bytes, zero, (size_t)e->nbytes) == 0;
}

static void
fill_dense(const nds_view *dst, const struct element *e)
{
    int64_t count = nds_view_count(dst);
    struct fill f = {.data = dst->data, .e = e};
    // All of it is overwritten: pages shared with a relative by fork are
    // replaced by zero pages, not copied one by one.
    bool fresh = ndi_map_renew_if_private(f.data, (size_t)(e->nbytes * count));

    f.stream = !fresh && NDI_LINE % e->nbytes == 0 && ndi_is_streamed(dst);
    if (!fresh || !is_zero(e)) {
        ndi_in_pieces(count, (size_t)e->nbytes, fill_range, &f);
    }
}

static void
swap_bytes(struct element *e, int parts)
{
    int64_t n = e->nbytes / parts;

    for (int p = 0; p < parts; p++) {
        unsigned char *b = e->bytes + p * n;

        for (int64_t i = 0; i < n / 2; i++) {
            unsigned char c = b[i];

            b[i] = b[n - 1 - i];
            b[n - 1 - i] = c;
        }
    }
}

int
ndi_check_int_range(const nds_scalar *s, enum nds_type to)
{
    static const uint8_t bits[NDI_NUMBERS] = {0,  1,  8,  8,  16, 16,
                                              32, 32, 64, 64};
    bool is_signed = to == NDS_TYPE_INT8 || to == NDS_TYPE_INT16 ||
                     to == NDS_TYPE_INT32 || to == NDS_TYPE_INT64;
    const nds_dtype *dt = nds_dtype_builtin(to);
    char *name = NULL;
    int64_t v;
    uint64_t top;
    bool fits;

    if (to < NDS_TYPE_INT8 || to > NDS_TYPE_UINT64 ||
        (s->dtype->kind != 'i' && s->dtype->kind != 'u')) {
        return 0;
    }
    top = UINT64_MAX >> (64 - bits[to] + (is_signed ? 1 : 0));
    if (s->dtype->kind == 'u') {
        uint64_t u;

        ndi_ops_convert(NDS_TYPE_UINT64, &u, 8, s->dtype->type, s->data, 0, 1);
        if (u <= top) {
            return 0;
        }
        nds_dtype_name(dt, &name);
        ndi_fail(NDS_EOVERFLOW, "Python integer %" PRIu64
                 " out of bounds for %s", u, name ? name : "its dtype");
    } else {
        ndi_ops_convert(NDS_TYPE_INT64, &v, 8, s->dtype->type, s->data, 0, 1);
        fits = v >= 0 ? (uint64_t)v <= top
                      : is_signed && v >= -(int64_t)top - 1;
        if (fits) {
            return 0;
        }
        nds_dtype_name(dt, &name);
        ndi_fail(NDS_EOVERFLOW, "Python integer %" PRId64
                 " out of bounds for %s", v, name ? name : "its dtype");
    }
    free(name);
    return NDS_EOVERFLOW;
}

int
nds_fill(const nds_view *dst, nds_scalar value)
{
    struct element e = {.nbytes = dst->dtype->itemsize};
    struct ndi_iter it;
    nds_view one;
    int rc = ndi_check_writable(dst);

    if (rc < 0) {
        return rc;
    }
    if (dst->dtype->type > NDS_TYPE_COMPLEX128 ||
        value.dtype->type > NDS_TYPE_COMPLEX128) {
        nds_scalar_view(&one, &value);
        rc = nds_assign(dst, &one);
        nds_view_fini(&one);
        return rc;
    }
    if ((rc = ndi_check_int_range(&value, dst->dtype->type)) < 0) {
        return rc;
    }
    ndi_ops_convert(dst->dtype->type, e.bytes, 0, value.dtype->type,
                    value.data, 0, 1);
    if (dst->dtype->type == NDS_TYPE_LONGDOUBLE && e.nbytes == 16) {
        memset(e.bytes + 10, 0, 6); /* x87: 80 bits in 128 */
    }
    if (dst->dtype->swapped) {
        swap_bytes(&e, dst->dtype->kind == 'c' ? 2 : 1);
    }
    if (ndi_is_dense(dst)) {
        fill_dense(dst, &e);
    } else if (ndi_iter_init(&it, 1, &dst, 0)) {
        ndi_walk_rows(&it, (size_t)e.nbytes, store_row, &e);
    }
    return 0;
}

static void
count_row(void *ctx, char *const data[], const int64_t step[], int64_t at,
          int64_t count)
{
    const enum nds_type *type = ctx;
    char *to = data[0];
    int64_t numbers[1024];

    while (count > 0) {
        int64_t n = count < 1024 ? count : 1024;

        for (int64_t i = 0; i < n; i++) {
            numbers[i] = at + i;
        }
        ndi_ops_convert(*type, to, step[0], NDS_TYPE_INT64, numbers, 8, n);
        at += n;
        to += n * step[0];
        count -= n;
    }
}

int
nds_arange(const nds_view *dst)
{
    enum nds_type type = dst->dtype->type;
    struct ndi_iter it;
    int rc = ndi_check_writable(dst);

    if (rc < 0) {
        return rc;
    }
    if (!ndi_is_number(dst->dtype)) {
        return ndi_refuse_dtype("arange", dst->dtype);
    }
    if (ndi_iter_init(&it, 1, &dst, NDI_ITER_C_ORDER)) {
        ndi_walk_rows(&it, (size_t)dst->dtype->itemsize, count_row, &type);
    }
    return 0;
}
