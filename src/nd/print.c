/* SPDX-License-Identifier: MIT */
/*
 * print.c - an array as text: rows, brackets, line breaks, and repr's tail
 *
 * Large arrays show three elements at either end of each axis; the rest is
 * never read, so printing costs the same whatever the array's size. Lines are
 * broken by counting characters, not bytes.
 */
#include <nd/print_impl.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

#define LINE_WIDTH 75

struct layout {
    struct ndi_buf *b;
    const nds_view *v;
    const struct ndi_fmt *fmt;
    const char *sep; /* " " or ", " */
    bool cut;        /* long axes show their ends only */
    struct ndi_buf word;
};

static const unsigned char *
element(const nds_view *v, int axis, const unsigned char *at, int64_t i)
{
    return at + v->strides[axis] * i;
}

static int64_t
count_of(const nds_view *v)
{
    int64_t count = 1;

    for (int i = 0; i < v->ndim; i++) {
        if (v->shape[i] == 0) {
            return 0;
        }
        // Only "more than a thousand" matters, so overflow saturates.
        if (__builtin_mul_overflow(count, v->shape[i], &count)) {
            count = INT64_MAX;
        }
    }
    return count;
}

/* The element after i that is shown. */
static int64_t
next_shown(int64_t i, int64_t n, bool cut)
{
    i++;
    return cut && n > 2 * NDI_PRINT_EDGE && i == NDI_PRINT_EDGE
               ? n - NDI_PRINT_EDGE
               : i;
}

static void
feed_shown(struct ndi_fmt *fmt, const nds_view *v, int axis,
           const unsigned char *at, bool cut,
           void (*feed)(struct ndi_fmt *fmt, const unsigned char *at))
{
    if (axis == v->ndim) {
        feed(fmt, at);
        return;
    }
    for (int64_t i = 0; i < v->shape[axis];
         i = next_shown(i, v->shape[axis], cut)) {
        feed_shown(fmt, v, axis + 1, element(v, axis, at, i), cut, feed);
    }
}

static int
count_chars(const unsigned char *s, size_t n)
{
    int count = 0;

    for (size_t i = 0; i < n; i++) {
        count += (s[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return count;
}

/* Puts `l->word` on the line, or on the next one if it would pass `limit`.
 * `line` is the line's length so far, its indent included. */
static void
put_word(struct layout *l, int *line, int indent, int limit)
{
    int length = count_chars(l->word.data, l->word.nbytes);
    struct ndi_buf *b = l->b;

    if (*line + length > limit && *line > indent) {
        while (b->nbytes > 0 && b->data[b->nbytes - 1] == ' ') {
            b->nbytes--;
        }
        ndi_buf_add_char(b, '\n');
        ndi_buf_add_fill(b, ' ', (size_t)indent);
        *line = indent;
    }
    ndi_buf_add(b, l->word.data, l->word.nbytes);
    *line += length;
}

static void
put_separator(struct layout *l, int *line)
{
    ndi_buf_add_str(l->b, l->sep);
    *line += (int)strlen(l->sep);
}

static int
put_row(struct layout *l, const unsigned char *at, int indent, int width)
{
    int axis = l->v->ndim - 1, line = indent, rc;
    int64_t n = l->v->shape[axis];

    for (int64_t i = 0; i < n; i = next_shown(i, n, l->cut)) {
        if (i > 0) {
            put_separator(l, &line);
        }
        if (i == n - NDI_PRINT_EDGE && l->cut && n > 2 * NDI_PRINT_EDGE) {
            l->word.nbytes = 0;
            ndi_buf_add_str(&l->word, "...");
            put_word(l, &line, indent, width - 1);
            put_separator(l, &line);
        }
        l->word.nbytes = 0;
        rc = ndi_fmt_write(l->fmt, &l->word, element(l->v, axis, at, i));
        if (rc < 0) {
            return rc;
        }
        put_word(l, &line, indent, width - 1);
    }
    return 0;
}

static void
put_line_break(struct layout *l, int axis, int indent)
{
    ndi_buf_add_str(l->b, l->sep[0] == ',' ? "," : "");
    ndi_buf_add_fill(l->b, '\n', (size_t)(l->v->ndim - axis - 1));
    ndi_buf_add_fill(l->b, ' ', (size_t)indent);
}

static int
put_axis(struct layout *l, int axis, const unsigned char *at, int indent,
         int width)
{
    int64_t n = l->v->shape[axis];
    int rc = 0;

    ndi_buf_add_char(l->b, '[');
    if (axis == l->v->ndim - 1) {
        rc = put_row(l, at, indent, width);
        ndi_buf_add_char(l->b, ']');
        return rc;
    }
    for (int64_t i = 0; i < n && rc == 0; i = next_shown(i, n, l->cut)) {
        if (i > 0) {
            put_line_break(l, axis, indent);
        }
        if (i == n - NDI_PRINT_EDGE && l->cut && n > 2 * NDI_PRINT_EDGE) {
            ndi_buf_add_str(l->b, "...");
            put_line_break(l, axis, indent);
        }
        rc = put_axis(l, axis + 1, element(l->v, axis, at, i), indent + 1,
                      width - 1);
    }
    ndi_buf_add_char(l->b, ']');
    return rc;
}

/* The array without repr's frame. */
static int
put_body(struct ndi_buf *b, const nds_view *v, int numpy, const char *sep,
         int prefix, int width)
{
    struct ndi_fmt fmt;
    struct layout l = {.b = b, .v = v, .fmt = &fmt, .sep = sep};
    const unsigned char *at = v->data;
    int64_t count = count_of(v);
    int rc;

    if (count == 0) {
        ndi_buf_add_str(b, "[]");
        return 0;
    }
    l.cut = count > NDI_PRINT_THRESHOLD;
    rc = ndi_fmt_init(&fmt, v->dtype, numpy, v->ndim == 0, false);
    if (rc < 0) {
        return rc;
    }
    feed_shown(&fmt, v, 0, at, l.cut, ndi_fmt_feed);
    ndi_fmt_turn(&fmt);
    feed_shown(&fmt, v, 0, at, l.cut, ndi_fmt_feed_again);
    rc = ndi_fmt_finish(&fmt);
    if (rc == 0) {
        rc = v->ndim == 0 ? ndi_fmt_write(&fmt, b, at)
                          : put_axis(&l, 0, at, 1 + prefix, width);
    }
    b->failed = b->failed || l.word.failed;
    ndi_buf_fini(&l.word);
    ndi_fmt_fini(&fmt);
    return rc;
}

/* ---- repr's tail -------------------------------------------------------- */

static void
put_shape(struct ndi_buf *b, const nds_view *v)
{
    ndi_buf_add_str(b, "shape=(");
    for (int i = 0; i < v->ndim; i++) {
        ndi_buf_add_fmt(b, "%s%lld", i == 0 ? "" : ", ",
                        (long long)v->shape[i]);
    }
    ndi_buf_add_str(b, v->ndim == 1 ? ",)" : ")");
}

/* Would NumPy guess this dtype from the values alone? */
static bool
is_implied(const nds_dtype *dt, int numpy)
{
    if (numpy >= 200 && dt->swapped) {
        return false;
    }
    return dt->base == NULL &&
           (dt->type == NDS_TYPE_BOOL || dt->type == NDS_TYPE_INT64 ||
            dt->type == NDS_TYPE_FLOAT64 || dt->type == NDS_TYPE_COMPLEX128);
}

static void
put_dtype(struct ndi_buf *b, const nds_dtype *dt, int numpy)
{
    nds_dtype native = *dt;
    bool bare = ndi_dtype_is_record(dt) || dt->base != NULL;
    size_t from;

    ndi_buf_add_str(b, "dtype=");
    from = b->nbytes;
    // Before 1.25 numbers were named without their byte order.
    if (numpy < 200 && dt->kind != 'U') {
        native.swapped = false;
    }
    ndi_dtype_add_name(b, bare ? dt : &native);
    if (bare || b->failed) {
        return;
    }
    if (strpbrk((const char *)b->data + from, "<>|[") != NULL) {
        ndi_buf_add_char(b, '\'');
        memmove(b->data + from + 1, b->data + from, b->nbytes - from - 1);
        b->data[from] = '\'';
        ndi_buf_add_char(b, '\'');
    }
}

static int
last_line_length(const struct ndi_buf *b)
{
    size_t from = b->nbytes;

    while (from > 0 && b->data[from - 1] != '\n') {
        from--;
    }
    return count_chars(b->data + from, b->nbytes - from);
}

static void
put_tail(struct ndi_buf *b, const nds_view *v, int numpy)
{
    int64_t count = count_of(v);
    bool odd_empty = count == 0 && !(v->ndim == 1);
    struct ndi_buf extra = {0};

    if (numpy < 200 && odd_empty) {
        ndi_buf_add_str(b, ", ");
        put_shape(b, v);
    }
    if ((numpy >= 200 && odd_empty) ||
        (numpy >= 202 && count > NDI_PRINT_THRESHOLD)) {
        put_shape(&extra, v);
    }
    if (count == 0 || !is_implied(v->dtype, numpy)) {
        ndi_buf_add_str(&extra, extra.nbytes > 0 ? ", " : "");
        put_dtype(&extra, v->dtype, numpy);
    }
    if (extra.nbytes == 0) {
        ndi_buf_add_char(b, ')');
        b->failed = b->failed || extra.failed;
        ndi_buf_fini(&extra);
        return;
    }
    ndi_buf_add_char(b, ',');
    ndi_buf_add_char(&extra, ')');
    if (last_line_length(b) + count_chars(extra.data, extra.nbytes) + 1 >
        LINE_WIDTH) {
        ndi_buf_add_str(b, "\n      ");
    } else {
        ndi_buf_add_char(b, ' ');
    }
    ndi_buf_add(b, extra.data, extra.nbytes);
    b->failed = b->failed || extra.failed;
    ndi_buf_fini(&extra);
}

/* ---- public ------------------------------------------------------------- */

int
ndi_print_class(int *out, int numpy)
{
    static const struct {
        const char *text;
        int numpy;
    } classes[] = {{"1.21", 124}, {"1.22", 124}, {"1.23", 124}, {"1.24", 124},
                   {"2.0", 200},  {"2.1", 200},  {"2.2", 202},  {"2.3", 203},
                   {"2.4", 203}};
    const char *text;

    *out = numpy;
    if (numpy == 124 || numpy == 200 || numpy == 202 || numpy == 203) {
        return 0;
    }
    if (numpy != 0) {
        return ndi_fail(NDS_EINVAL,
                        "print options: numpy is %d; use 0, 124, 200, 202 "
                        "or 203", numpy);
    }
    *out = 203;
    text = getenv("NDSHARE_NUMPY_PRINT");
    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(classes); i++) {
        if (strcmp(text, classes[i].text) == 0) {
            *out = classes[i].numpy;
            return 0;
        }
    }
    return ndi_fail(NDS_EINVAL,
                    "NDSHARE_NUMPY_PRINT is '%.40s'; use 1.24, 2.0, 2.2 or "
                    "2.3, or leave it unset", text);
}

static int
class_of(int *out, const nds_print_options *opts)
{
    size_t need = offsetof(nds_print_options, numpy) + sizeof opts->numpy;

    return ndi_print_class(out, opts != NULL && opts->size >= need
                                    ? opts->numpy
                                    : 0);
}

/* Hands the buffer over if all went well, else drops it. */
static int
deliver(struct ndi_buf *b, int rc, char **text)
{
    if (rc < 0) {
        *text = NULL;
        ndi_buf_fini(b);
        return rc;
    }
    return ndi_buf_steal_text(b, text);
}

int
nds_view_str(const nds_view *v, const nds_print_options *opts, char **text)
{
    struct ndi_buf b = {0};
    int numpy, rc;

    rc = class_of(&numpy, opts);
    if (rc == 0 && v->ndim == 0) {
        rc = ndi_scalar_write(&b, v->dtype, v->data, numpy);
    } else if (rc == 0) {
        rc = put_body(&b, v, numpy, " ", 0, LINE_WIDTH);
    }
    return deliver(&b, rc, text);
}

int
nds_view_repr(const nds_view *v, const nds_print_options *opts, char **text)
{
    struct ndi_buf b = {0};
    int numpy, rc;

    rc = class_of(&numpy, opts);
    if (rc == 0) {
        ndi_buf_add_str(&b, "array(");
        // One column less: a ')' or ',' follows.
        rc = put_body(&b, v, numpy, ", ", 6, LINE_WIDTH - 1);
    }
    if (rc == 0 && !b.failed) {
        put_tail(&b, v, numpy);
    }
    return deliver(&b, rc, text);
}

int
nds_scalar_str(const nds_scalar *s, char **text)
{
    struct ndi_buf b = {0};
    int numpy, rc;

    rc = ndi_print_class(&numpy, 0);
    if (rc == 0) {
        rc = ndi_scalar_write(&b, s->dtype, s->data, numpy);
    }
    return deliver(&b, rc, text);
}

static int
put_list(struct ndi_buf *b, const nds_view *v, int axis,
         const unsigned char *at, int numpy)
{
    int rc = 0;

    if (axis == v->ndim) {
        return ndi_object_write(b, v->dtype, at, numpy);
    }
    ndi_buf_add_char(b, '[');
    for (int64_t i = 0; i < v->shape[axis] && rc == 0 && !b->failed; i++) {
        ndi_buf_add_str(b, i == 0 ? "" : ", ");
        rc = put_list(b, v, axis + 1, element(v, axis, at, i), numpy);
    }
    ndi_buf_add_char(b, ']');
    return rc;
}

int
nds_view_tolist_str(const nds_view *v, char **text)
{
    struct ndi_buf b = {0};
    int numpy, rc;

    rc = ndi_print_class(&numpy, 0);
    // str() of one element is not repr(): a text stands without quotes.
    if (rc == 0 && v->ndim == 0 &&
        (v->dtype->kind == 'U' || v->dtype->type == NDS_TYPE_LONGDOUBLE)) {
        rc = ndi_scalar_write(&b, v->dtype, v->data, numpy);
    } else if (rc == 0) {
        rc = put_list(&b, v, 0, v->data, numpy);
    }
    return deliver(&b, rc, text);
}
