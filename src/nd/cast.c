/* SPDX-License-Identifier: MIT */
/*
 * cast.c - which conversion a pair of dtypes needs
 *
 * Records go field by field in order, whatever the names, as NumPy assigns
 * them; one plain value goes into every field. Nothing is allocated: a record
 * chooses its fields' casters again for each row of elements.
 */
#include <nd/cast.h>

#include <base/buf.h>
#include <base/fail.h>
#include <nd/dtype_impl.h>

#include <string.h>

static int
fail_cast(const nds_dtype *to, const nds_dtype *from)
{
    struct ndi_buf b = {0};
    char *text = NULL;
    int rc;

    ndi_buf_add_str(&b, "cannot cast ");
    ndi_dtype_add_name(&b, from);
    ndi_buf_add_str(&b, " to ");
    ndi_dtype_add_name(&b, to);
    rc = ndi_buf_steal_text(&b, &text);
    if (rc == 0) {
        rc = ndi_fail(NDS_ECAST, "%s", text);
    }
    b.data = (unsigned char *)text;
    ndi_buf_fini(&b);
    return rc;
}

static int
run_copy(const struct ndi_cast *c, char *dst, int64_t dst_stride,
         const char *src, int64_t src_stride, int64_t count)
{
    size_t size = (size_t)c->to->itemsize;

    if (dst_stride == (int64_t)size && src_stride == (int64_t)size) {
        memcpy(dst, src, size * (size_t)count);
        return 0;
    }
#define COPY_ROW(n)                                                           \
    for (int64_t i = 0; i < count; i++) {                                     \
        memcpy(dst + i * dst_stride, src + i * src_stride, n);                \
    }                                                                         \
    break
    switch (size) {
    case 1:
        COPY_ROW(1);
    case 2:
        COPY_ROW(2);
    case 4:
        COPY_ROW(4);
    case 8:
        COPY_ROW(8);
    case 16:
        COPY_ROW(16);
    default:
        COPY_ROW(size);
    }
#undef COPY_ROW
    return 0;
}

/* The same values in the other byte order; NaNs keep their bits. */
static int
run_swap(const struct ndi_cast *c, char *dst, int64_t dst_stride,
         const char *src, int64_t src_stride, int64_t count)
{
    int64_t size = c->to->itemsize, unit = ndi_dtype_swap_unit(c->to);

    for (int64_t i = 0; i < count; i++, dst += dst_stride, src += src_stride) {
        for (int64_t k = 0; k < size; k++) {
            dst[k] = src[k - k % unit + unit - 1 - k % unit];
        }
    }
    return 0;
}

/* Raw bytes: cut or padded. */
static int
run_void(const struct ndi_cast *c, char *dst, int64_t dst_stride,
         const char *src, int64_t src_stride, int64_t count)
{
    int64_t to = c->to->itemsize, from = c->from->itemsize;
    int64_t n = to < from ? to : from;

    for (int64_t i = 0; i < count; i++, dst += dst_stride, src += src_stride) {
        memcpy(dst, src, (size_t)n);
        memset(dst + n, 0, (size_t)(to - n));
    }
    return 0;
}

/* Field i of the source; a plain value stands for each of its fields. */
static int
field_cast(struct ndi_cast *sub, const struct ndi_cast *c, int64_t i,
           int64_t *off)
{
    bool record = ndi_dtype_is_record(c->from);

    *off = record ? c->from->fields[i].off : 0;
    return ndi_cast_init(sub, c->to->fields[i].dtype,
                         record ? c->from->fields[i].dtype : c->from);
}

static int
run_record(const struct ndi_cast *c, char *dst, int64_t dst_stride,
           const char *src, int64_t src_stride, int64_t count)
{
    for (int64_t i = 0; i < c->to->nfields; i++) {
        struct ndi_cast sub;
        int64_t off;
        int rc = field_cast(&sub, c, i, &off);

        if (rc == 0) {
            rc = ndi_cast_run(&sub, dst + c->to->fields[i].off, dst_stride,
                              src + off, src_stride, count);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Element by element; a source that is no sub-array fills all of it. */
static int
run_subarray(const struct ndi_cast *c, char *dst, int64_t dst_stride,
             const char *src, int64_t src_stride, int64_t count)
{
    const nds_dtype *to = c->to->base;
    bool spread = c->from->base == NULL;
    const nds_dtype *from = spread ? c->from : c->from->base;
    int64_t n = to->itemsize == 0 ? 0 : c->to->itemsize / to->itemsize;
    struct ndi_cast sub;
    int rc = ndi_cast_init(&sub, to, from);

    for (int64_t i = 0; i < count && rc == 0; i++) {
        rc = ndi_cast_run(&sub, dst, to->itemsize, src,
                          spread ? 0 : from->itemsize, n);
        dst += dst_stride;
        src += src_stride;
    }
    return rc;
}

static int
init_record(struct ndi_cast *c)
{
    bool record = ndi_dtype_is_record(c->from);

    c->run = run_record;
    if (record && c->from->nfields != c->to->nfields) {
        return fail_cast(c->to, c->from);
    }
    for (int64_t i = 0; i < c->to->nfields; i++) {
        struct ndi_cast sub;
        int64_t off;
        int rc = field_cast(&sub, c, i, &off);

        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int
init_subarray(struct ndi_cast *c)
{
    const nds_dtype *to = c->to, *from = c->from;
    struct ndi_cast sub;

    c->run = run_subarray;
    if (to->base == NULL ||
        (from->base != NULL &&
         (to->ndim != from->ndim ||
          memcmp(to->shape, from->shape,
                 sizeof(int64_t) * (size_t)to->ndim) != 0))) {
        return fail_cast(to, from);
    }
    return ndi_cast_init(&sub, to->base,
                         from->base != NULL ? from->base : from);
}

static bool
is_kind(const nds_dtype *dt, const char *kinds)
{
    return strchr(kinds, dt->kind) != NULL;
}

int
ndi_cast_init(struct ndi_cast *c, const nds_dtype *to, const nds_dtype *from)
{
    *c = (struct ndi_cast){.to = to, .from = from};
    if (nds_dtype_equal(to, from)) {
        c->run = run_copy;
        c->same = true;
        return 0;
    }
    if (to->base != NULL || from->base != NULL) {
        return init_subarray(c);
    }
    if (ndi_dtype_is_record(to)) {
        return init_record(c);
    }
    if (ndi_dtype_is_record(from)) {
        return fail_cast(to, from);
    }
    if (is_kind(to, "Mm") && to->kind == from->kind) {
        return ndi_cast_time_init(c);
    }
    if (to->type == from->type && to->itemsize == from->itemsize) {
        c->run = run_swap;
        return 0;
    }
    if (is_kind(to, "SU") && is_kind(from, "SU")) {
        c->run = ndi_cast_text;
        return 0;
    }
    if (to->kind == 'V' && from->kind == 'V') {
        c->run = run_void;
        return 0;
    }
    if (is_kind(to, "SUV") || is_kind(from, "SUV") ||
        (is_kind(to, "Mm") && is_kind(from, "Mm"))) {
        return fail_cast(to, from);
    }
    c->run = ndi_cast_numbers;
    return 0;
}

int
ndi_cast_run(const struct ndi_cast *c, void *dst, int64_t dst_stride,
             const void *src, int64_t src_stride, int64_t count)
{
    return count <= 0 ? 0
                      : c->run(c, dst, dst_stride, src, src_stride, count);
}

int
ndi_cast_one(const nds_dtype *to, void *dst, const nds_dtype *from,
             const void *src)
{
    struct ndi_cast c;
    int rc = ndi_cast_init(&c, to, from);

    return rc < 0 ? rc : ndi_cast_run(&c, dst, 0, src, 0, 1);
}
