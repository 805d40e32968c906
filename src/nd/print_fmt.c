/* SPDX-License-Identifier: MIT */
/*
 * print_fmt.c - one formatter for every dtype, records and sub-arrays included
 *
 * A record's formatter is a tree: each field is formatted as an array of its
 * own would be, with widths common to the whole column.
 */
#include <nd/print_impl.h>

#include <base/fail.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ndi_fmt_kind
kind_of(const nds_dtype *dt)
{
    if (dt->base != NULL) {
        return NDI_FMT_SUBARRAY;
    }
    if (ndi_dtype_is_record(dt)) {
        return NDI_FMT_RECORD;
    }
    switch (dt->kind) {
    case 'b':
        return NDI_FMT_BOOL;
    case 'i':
    case 'u':
        return NDI_FMT_INT;
    case 'f':
        return NDI_FMT_FLOAT;
    case 'c':
        return NDI_FMT_COMPLEX;
    case 'S':
    case 'U':
        return NDI_FMT_TEXT;
    case 'M':
    case 'm':
        return NDI_FMT_TIME;
    default:
        return NDI_FMT_VOID;
    }
}

int
ndi_fmt_init(struct ndi_fmt *fmt, const nds_dtype *dtype, int numpy,
             bool zero_d, bool scalar)
{
    int rc;

    *fmt = (struct ndi_fmt){.kind = kind_of(dtype),
                            .dtype = dtype,
                            .numpy = numpy,
                            .zero_d = zero_d};
    fmt->real.type = fmt->imag.type = ndi_float_part(dtype->type);
    fmt->real.scalar = scalar && fmt->kind == NDI_FMT_FLOAT;
    fmt->imag.style.plus = true;
    if (fmt->kind == NDI_FMT_RECORD) {
        fmt->nchild = dtype->nfields;
    } else if (fmt->kind == NDI_FMT_SUBARRAY) {
        fmt->nchild = 1;
    }
    if (fmt->nchild == 0) {
        return 0;
    }
    fmt->child = calloc((size_t)fmt->nchild, sizeof fmt->child[0]);
    if (fmt->child == NULL) {
        return ndi_fail_nomem((size_t)fmt->nchild * sizeof fmt->child[0],
                              "a record's formatters");
    }
    for (int64_t i = 0; i < fmt->nchild; i++) {
        const nds_dtype *part = fmt->kind == NDI_FMT_SUBARRAY
                                    ? dtype->base
                                    : dtype->fields[i].dtype;

        rc = ndi_fmt_init(&fmt->child[i], part, numpy,
                          zero_d && fmt->kind != NDI_FMT_SUBARRAY, scalar);
        if (rc < 0) {
            ndi_fmt_fini(fmt);
            return rc;
        }
    }
    return 0;
}

void
ndi_fmt_fini(struct ndi_fmt *fmt)
{
    for (int64_t i = 0; fmt->child != NULL && i < fmt->nchild; i++) {
        ndi_fmt_fini(&fmt->child[i]);
    }
    free(fmt->child);
    *fmt = (struct ndi_fmt){0};
}

static int64_t
subarray_count(const nds_dtype *dt)
{
    int64_t count = 1;

    for (int i = 0; i < dt->ndim; i++) {
        count *= dt->shape[i];
    }
    return count;
}

/* Calls `feed` for every part of a record or sub-array. */
static void
feed_parts(struct ndi_fmt *fmt, const unsigned char *at,
           void (*feed)(struct ndi_fmt *fmt, const unsigned char *at))
{
    if (fmt->kind == NDI_FMT_SUBARRAY) {
        int64_t count = subarray_count(fmt->dtype);

        for (int64_t i = 0; i < count; i++) {
            feed(&fmt->child[0], at + i * fmt->dtype->base->itemsize);
        }
        return;
    }
    for (int64_t i = 0; i < fmt->nchild; i++) {
        feed(&fmt->child[i], at + fmt->dtype->fields[i].off);
    }
}

static void
feed_int(struct ndi_fmt *fmt, int64_t value)
{
    if (!fmt->seen || value < fmt->least) {
        fmt->least = value;
    }
    if (!fmt->seen || value > fmt->most) {
        fmt->most = value;
    }
    fmt->seen = true;
}

void
ndi_fmt_feed(struct ndi_fmt *fmt, const unsigned char *at)
{
    int64_t value;

    switch (fmt->kind) {
    case NDI_FMT_INT:
        if (fmt->dtype->kind == 'u') {
            uint64_t size = ndi_load_uint(fmt->dtype, at);

            if (size > fmt->most_unsigned) {
                fmt->most_unsigned = size;
            }
        } else {
            feed_int(fmt, ndi_load_int(fmt->dtype, at));
        }
        break;
    case NDI_FMT_TIME:
        value = ndi_load_int(fmt->dtype, at);
        if (value == NDI_NAT) {
            fmt->any_nat = true;
        } else {
            feed_int(fmt, value);
        }
        break;
    case NDI_FMT_COMPLEX:
        ndi_float_fmt_feed(&fmt->imag, ndi_load_float(fmt->dtype, at, 1));
        ndi_float_fmt_feed(&fmt->real, ndi_load_float(fmt->dtype, at, 0));
        break;
    case NDI_FMT_FLOAT:
        ndi_float_fmt_feed(&fmt->real, ndi_load_float(fmt->dtype, at, 0));
        break;
    case NDI_FMT_RECORD:
    case NDI_FMT_SUBARRAY:
        feed_parts(fmt, at, ndi_fmt_feed);
        break;
    default:
        break;
    }
}

void
ndi_fmt_turn(struct ndi_fmt *fmt)
{
    if (fmt->kind == NDI_FMT_FLOAT || fmt->kind == NDI_FMT_COMPLEX) {
        ndi_float_fmt_turn(&fmt->real, fmt->numpy);
        ndi_float_fmt_turn(&fmt->imag, fmt->numpy);
    }
    for (int64_t i = 0; i < fmt->nchild; i++) {
        ndi_fmt_turn(&fmt->child[i]);
    }
}

void
ndi_fmt_feed_again(struct ndi_fmt *fmt, const unsigned char *at)
{
    if (fmt->kind == NDI_FMT_FLOAT || fmt->kind == NDI_FMT_COMPLEX) {
        ndi_float_fmt_feed_again(&fmt->real,
                                 ndi_load_float(fmt->dtype, at, 0));
    }
    if (fmt->kind == NDI_FMT_COMPLEX) {
        ndi_float_fmt_feed_again(&fmt->imag,
                                 ndi_load_float(fmt->dtype, at, 1));
    }
    if (fmt->nchild > 0) {
        feed_parts(fmt, at, ndi_fmt_feed_again);
    }
}

/* The word for a date or duration that is not NaT. */
static void
add_time_word(struct ndi_buf *b, const nds_dtype *dt, int64_t value)
{
    if (dt->kind == 'm') {
        ndi_buf_add_fmt(b, "%lld", (long long)value);
        return;
    }
    ndi_buf_add_char(b, '\'');
    ndi_add_iso(b, dt, value);
    ndi_buf_add_char(b, '\'');
}

static int
finish_time(struct ndi_fmt *fmt)
{
    struct ndi_buf b = {0};
    size_t longest;
    int rc;

    if (fmt->seen && fmt->dtype->kind == 'M' &&
        fmt->dtype->unit == NDI_UNIT_GENERIC) {
        return ndi_fail(NDS_ECAST, "Cannot convert a NumPy datetime value "
                                   "other than NaT with generic units");
    }
    if (fmt->seen) {
        add_time_word(&b, fmt->dtype, fmt->most);
        longest = b.nbytes;
        add_time_word(&b, fmt->dtype, fmt->least);
        longest = b.nbytes - longest > longest ? b.nbytes - longest : longest;
        fmt->width = (int)longest;
    }
    if (fmt->any_nat && fmt->width < 5) {
        fmt->width = 5;
    }
    rc = ndi_buf_ok(&b);
    ndi_buf_fini(&b);
    return rc;
}

static void
finish_int(struct ndi_fmt *fmt)
{
    int n;

    if (fmt->dtype->kind == 'u') {
        fmt->width = snprintf(NULL, 0, "%llu",
                              (unsigned long long)fmt->most_unsigned);
        return;
    }
    fmt->width = snprintf(NULL, 0, "%lld", (long long)fmt->most);
    n = snprintf(NULL, 0, "%lld", (long long)fmt->least);
    fmt->width = n > fmt->width ? n : fmt->width;
}

int
ndi_fmt_finish(struct ndi_fmt *fmt)
{
    int rc = 0;

    switch (fmt->kind) {
    case NDI_FMT_INT:
        finish_int(fmt);
        break;
    case NDI_FMT_TIME:
        return finish_time(fmt);
    case NDI_FMT_FLOAT:
    case NDI_FMT_COMPLEX:
        ndi_float_fmt_finish(&fmt->real);
        ndi_float_fmt_finish(&fmt->imag);
        break;
    default:
        break;
    }
    for (int64_t i = 0; i < fmt->nchild && rc == 0; i++) {
        rc = ndi_fmt_finish(&fmt->child[i]);
    }
    return rc;
}

static void
write_complex(const struct ndi_fmt *fmt, struct ndi_buf *b,
              const unsigned char *at)
{
    size_t end, spaces = 0;

    ndi_float_fmt_write(&fmt->real, b, ndi_load_float(fmt->dtype, at, 0),
                        fmt->numpy);
    ndi_float_fmt_write(&fmt->imag, b, ndi_load_float(fmt->dtype, at, 1),
                        fmt->numpy);
    if (b->failed) {
        return;
    }
    // The j stands before the padding.
    for (end = b->nbytes; end > 0 && b->data[end - 1] == ' '; end--) {
        spaces++;
    }
    b->nbytes = end;
    ndi_buf_add_char(b, 'j');
    ndi_buf_add_fill(b, ' ', spaces);
}

static void
write_time(const struct ndi_fmt *fmt, struct ndi_buf *b,
           const unsigned char *at)
{
    int64_t value = ndi_load_int(fmt->dtype, at);
    struct ndi_buf word = {0};

    if (value == NDI_NAT) {
        ndi_buf_add_str(&word, "'NaT'");
    } else {
        add_time_word(&word, fmt->dtype, value);
    }
    if ((size_t)fmt->width > word.nbytes) {
        ndi_buf_add_fill(b, ' ', (size_t)fmt->width - word.nbytes);
    }
    ndi_buf_add(b, word.data, word.nbytes);
    b->failed = b->failed || word.failed;
    ndi_buf_fini(&word);
}

static int
write_record(const struct ndi_fmt *fmt, struct ndi_buf *b,
             const unsigned char *at)
{
    int rc = 0;

    ndi_buf_add_char(b, '(');
    for (int64_t i = 0; i < fmt->nchild && rc == 0; i++) {
        ndi_buf_add_str(b, i == 0 ? "" : ", ");
        rc = ndi_fmt_write(&fmt->child[i], b, at + fmt->dtype->fields[i].off);
    }
    ndi_buf_add_str(b, fmt->nchild == 1 ? ",)" : ")");
    return rc;
}

/* One axis of a sub-array, on one line whatever its length. */
static int
write_subarray(const struct ndi_fmt *fmt, struct ndi_buf *b,
               const unsigned char *at, int axis, bool cut)
{
    const nds_dtype *dt = fmt->dtype;
    int64_t n = dt->shape[axis], step = dt->base->itemsize;
    int rc = 0;

    for (int i = axis + 1; i < dt->ndim; i++) {
        step *= dt->shape[i];
    }
    ndi_buf_add_char(b, '[');
    for (int64_t i = 0; i < n && rc == 0; i++) {
        ndi_buf_add_str(b, i == 0 ? "" : ", ");
        if (cut && n > 2 * NDI_PRINT_EDGE && i == NDI_PRINT_EDGE) {
            ndi_buf_add_str(b, "..., ");
            i = n - NDI_PRINT_EDGE;
        }
        rc = axis + 1 < dt->ndim
                 ? write_subarray(fmt, b, at + i * step, axis + 1, cut)
                 : ndi_fmt_write(&fmt->child[0], b, at + i * step);
    }
    ndi_buf_add_char(b, ']');
    return rc;
}

int
ndi_fmt_write(const struct ndi_fmt *fmt, struct ndi_buf *b,
              const unsigned char *at)
{
    const nds_dtype *dt = fmt->dtype;
    size_t n = (size_t)dt->itemsize;

    switch (fmt->kind) {
    case NDI_FMT_BOOL:
        ndi_buf_add_str(b, !ndi_load_bool(at, dt->itemsize) ? "False"
                           : fmt->zero_d                    ? "True"
                                                            : " True");
        break;
    case NDI_FMT_INT:
        if (dt->kind == 'u') {
            ndi_buf_add_fmt(b, "%*llu", fmt->width,
                            (unsigned long long)ndi_load_uint(dt, at));
        } else {
            ndi_buf_add_fmt(b, "%*lld", fmt->width,
                            (long long)ndi_load_int(dt, at));
        }
        break;
    case NDI_FMT_FLOAT:
        ndi_float_fmt_write(&fmt->real, b, ndi_load_float(dt, at, 0),
                            fmt->numpy);
        break;
    case NDI_FMT_COMPLEX:
        write_complex(fmt, b, at);
        break;
    case NDI_FMT_TEXT:
        if (dt->kind == 'S') {
            ndi_add_bytes_repr(b, at, ndi_bytes_used(at, n));
        } else {
            ndi_add_str_repr(b, dt, at);
        }
        break;
    case NDI_FMT_TIME:
        write_time(fmt, b, at);
        break;
    case NDI_FMT_VOID:
        ndi_add_void_str(b, at, n);
        break;
    case NDI_FMT_RECORD:
        return write_record(fmt, b, at);
    case NDI_FMT_SUBARRAY:
        return write_subarray(fmt, b, at, 0,
                              fmt->numpy >= 200 &&
                                  subarray_count(dt) > NDI_PRINT_THRESHOLD);
    }
    return 0;
}
