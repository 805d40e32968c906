/* SPDX-License-Identifier: MIT */
/*
 * dtype_text.c - dtypes as text, in NumPy's words
 *
 * Three texts: the canonical one that nds_dtype_parse and .npy read back
 * (nds_dtype_str), what str() of a dtype shows (nds_dtype_name), and the
 * shorter spellings NumPy uses inside repr texts.
 */
#include <nd/dtype_impl.h>

#include <base/buf.h>
#include <nd/print_impl.h>

#include <string.h>

/* ---- Python's repr of a str --------------------------------------------- */

/* Length of the UTF-8 character at s, and its value. Names are valid UTF-8. */
static size_t
next_char(const unsigned char *s, uint32_t *c)
{
    if (s[0] < 0x80) {
        *c = s[0];
        return 1;
    }
    if (s[0] < 0xe0) {
        *c = ((s[0] & 0x1fu) << 6) | (s[1] & 0x3fu);
        return 2;
    }
    if (s[0] < 0xf0) {
        *c = ((s[0] & 0x0fu) << 12) | ((s[1] & 0x3fu) << 6) | (s[2] & 0x3fu);
        return 3;
    }
    *c = ((s[0] & 0x07u) << 18) | ((s[1] & 0x3fu) << 12) |
         ((s[2] & 0x3fu) << 6) | (s[3] & 0x3fu);
    return 4;
}

static void
add_escaped(struct ndi_buf *b, uint32_t c)
{
    if (c == '\n' || c == '\r' || c == '\t') {
        ndi_buf_add_str(b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
    } else if (c < 0x100) {
        ndi_buf_add_fmt(b, "\\x%02x", c);
    } else if (c < 0x10000) {
        ndi_buf_add_fmt(b, "\\u%04x", c);
    } else {
        ndi_buf_add_fmt(b, "\\U%08x", c);
    }
}

void
ndi_add_quoted(struct ndi_buf *b, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    bool twice = strchr(text, '\'') != NULL && strchr(text, '"') == NULL;
    char quote = twice ? '"' : '\'';

    ndi_buf_add_char(b, quote);
    while (*s != '\0') {
        uint32_t c;
        size_t n = next_char(s, &c);

        if (c == '\\' || c == (unsigned char)quote) {
            ndi_buf_add_char(b, '\\');
            ndi_buf_add_char(b, (char)c);
        } else if (ndi_unicode_printable(c)) {
            ndi_buf_add(b, s, n);
        } else {
            add_escaped(b, c);
        }
        s += n;
    }
    ndi_buf_add_char(b, quote);
}

/* ---- parts -------------------------------------------------------------- */

static char
native_mark(void)
{
    const union {
        uint16_t word;
        uint8_t first;
    } probe = {.word = 1};

    return probe.first == 1 ? '<' : '>';
}

static char
order_mark(const nds_dtype *dt)
{
    char native = native_mark();

    if (ndi_dtype_swap_unit(dt) == 1) {
        return '|';
    }
    return !dt->swapped ? native : native == '<' ? '>' : '<';
}

static void
add_unit(struct ndi_buf *b, const nds_dtype *dt)
{
    if (dt->unit == NDI_UNIT_GENERIC) {
        return;
    }
    ndi_buf_add_char(b, '[');
    if (dt->unit_count != 1) {
        ndi_buf_add_fmt(b, "%d", (int)dt->unit_count);
    }
    ndi_buf_add_str(b, ndi_time_unit_name(dt->unit));
    ndi_buf_add_char(b, ']');
}

static void
add_shape(struct ndi_buf *b, const nds_dtype *dt)
{
    ndi_buf_add_char(b, '(');
    for (int i = 0; i < dt->ndim; i++) {
        ndi_buf_add_fmt(b, "%s%lld", i == 0 ? "" : ", ",
                        (long long)dt->shape[i]);
    }
    ndi_buf_add_str(b, dt->ndim == 1 ? ",)" : ")");
}

/* dtype.str of what is neither record nor sub-array. */
static void
add_plain(struct ndi_buf *b, const nds_dtype *dt)
{
    long long n = dt->type == NDS_TYPE_STR ? dt->itemsize / 4 : dt->itemsize;

    ndi_buf_add_fmt(b, "%c%c%lld", order_mark(dt), dt->kind, n);
    add_unit(b, dt);
}

static void
add_quoted_plain(struct ndi_buf *b, const nds_dtype *dt)
{
    ndi_buf_add_char(b, '\'');
    add_plain(b, dt);
    ndi_buf_add_char(b, '\'');
}

/* ---- the canonical text ------------------------------------------------- */

bool
ndi_dtype_has_descr(const nds_dtype *dt)
{
    int64_t end = 0;

    if (dt->base != NULL) {
        return ndi_dtype_has_descr(dt->base);
    }
    for (int64_t i = 0; i < dt->nfields; i++) {
        const struct ndi_field *f = &dt->fields[i];

        if (f->off < end || !ndi_dtype_has_descr(f->dtype)) {
            return false;
        }
        end = f->off + f->dtype->itemsize;
    }
    return true;
}

static void add_descr(struct ndi_buf *b, const nds_dtype *dt);

static void
add_gap(struct ndi_buf *b, int64_t nbytes, bool first)
{
    if (nbytes > 0) {
        ndi_buf_add_fmt(b, "%s('', '|V%lld')", first ? "" : ", ",
                        (long long)nbytes);
    }
}

static void
add_list(struct ndi_buf *b, const nds_dtype *dt)
{
    int64_t at = 0;

    ndi_buf_add_char(b, '[');
    for (int64_t i = 0; i < dt->nfields; i++) {
        const struct ndi_field *f = &dt->fields[i];
        const nds_dtype *base = f->dtype->base;

        add_gap(b, f->off - at, at == 0 && i == 0);
        ndi_buf_add_str(b, at == 0 && f->off == 0 && i == 0 ? "(" : ", (");
        ndi_add_quoted(b, f->name);
        ndi_buf_add_str(b, ", ");
        add_descr(b, base != NULL ? base : f->dtype);
        if (base != NULL) {
            ndi_buf_add_str(b, ", ");
            add_shape(b, f->dtype);
        }
        ndi_buf_add_char(b, ')');
        at = f->off + f->dtype->itemsize;
    }
    add_gap(b, dt->itemsize - at, dt->nfields == 0);
    ndi_buf_add_char(b, ']');
}

static void
add_offsets(struct ndi_buf *b, const nds_dtype *dt)
{
    ndi_buf_add_str(b, "], 'offsets': [");
    for (int64_t i = 0; i < dt->nfields; i++) {
        ndi_buf_add_fmt(b, "%s%lld", i == 0 ? "" : ", ",
                        (long long)dt->fields[i].off);
    }
    ndi_buf_add_fmt(b, "], 'itemsize': %lld", (long long)dt->itemsize);
}

/* The dict form; `add` writes each format. */
static void
add_dict(struct ndi_buf *b, const nds_dtype *dt, bool show_aligned,
         void (*add)(struct ndi_buf *b, const nds_dtype *dt))
{
    ndi_buf_add_str(b, "{'names': [");
    for (int64_t i = 0; i < dt->nfields; i++) {
        ndi_buf_add_str(b, i == 0 ? "" : ", ");
        ndi_add_quoted(b, dt->fields[i].name);
    }
    ndi_buf_add_str(b, "], 'formats': [");
    for (int64_t i = 0; i < dt->nfields; i++) {
        ndi_buf_add_str(b, i == 0 ? "" : ", ");
        add(b, dt->fields[i].dtype);
    }
    add_offsets(b, dt);
    ndi_buf_add_str(b, show_aligned && dt->aligned ? ", 'aligned': True}"
                                                   : "}");
}

static void
add_descr(struct ndi_buf *b, const nds_dtype *dt)
{
    if (dt->base != NULL) {
        ndi_buf_add_char(b, '(');
        add_descr(b, dt->base);
        ndi_buf_add_str(b, ", ");
        add_shape(b, dt);
        ndi_buf_add_char(b, ')');
    } else if (!ndi_dtype_is_record(dt)) {
        add_quoted_plain(b, dt);
    } else if (ndi_dtype_has_descr(dt)) {
        add_list(b, dt);
    } else {
        add_dict(b, dt, false, add_descr);
    }
}

void
ndi_dtype_add_str(struct ndi_buf *b, const nds_dtype *dt)
{
    if (dt->base == NULL && !ndi_dtype_is_record(dt)) {
        add_plain(b, dt);
    } else {
        add_descr(b, dt);
    }
}

int
nds_dtype_str(const nds_dtype *dt, char **text)
{
    struct ndi_buf b = {0};

    ndi_dtype_add_str(&b, dt);
    return ndi_buf_steal_text(&b, text);
}

/* ---- what repr and str show --------------------------------------------- */

/* Fields one after another, with no more gaps than alignment asks for. */
static bool
is_packed(const nds_dtype *dt)
{
    int64_t at = 0, widest = 1;

    for (int64_t i = 0; i < dt->nfields; i++) {
        const struct ndi_field *f = &dt->fields[i];
        int64_t align = dt->aligned ? f->dtype->alignment : 1;

        at += (align - at % align) % align;
        widest = align > widest ? align : widest;
        if (f->off != at) {
            return false;
        }
        at += f->dtype->itemsize;
    }
    return at + (widest - at % widest) % widest == dt->itemsize;
}

static void
add_short_scalar(struct ndi_buf *b, const nds_dtype *dt)
{
    char order = order_mark(dt);

    ndi_buf_add_char(b, '\'');
    if (dt->type == NDS_TYPE_BOOL) {
        ndi_buf_add_char(b, '?');
    } else if (dt->itemsize == 0) {
        ndi_buf_add_fmt(b, "%s%c", dt->kind != 'U'   ? ""
                                   : order == '<' ? "<"
                                                  : ">", dt->kind);
    } else {
        if (order != '|') {
            ndi_buf_add_char(b, order);
        }
        ndi_buf_add_fmt(b, "%c%lld", dt->kind,
                        (long long)(dt->type == NDS_TYPE_STR
                                        ? dt->itemsize / 4
                                        : dt->itemsize));
        add_unit(b, dt);
    }
    ndi_buf_add_char(b, '\'');
}

static void
add_short(struct ndi_buf *b, const nds_dtype *dt)
{
    ndi_dtype_add_construction(b, dt, false);
}

static void
add_short_list(struct ndi_buf *b, const nds_dtype *dt)
{
    ndi_buf_add_char(b, '[');
    for (int64_t i = 0; i < dt->nfields; i++) {
        const struct ndi_field *f = &dt->fields[i];
        const nds_dtype *base = f->dtype->base;

        ndi_buf_add_str(b, i == 0 ? "(" : ", (");
        ndi_add_quoted(b, f->name);
        ndi_buf_add_str(b, ", ");
        add_short(b, base != NULL ? base : f->dtype);
        if (base != NULL) {
            ndi_buf_add_str(b, ", ");
            add_shape(b, f->dtype);
        }
        ndi_buf_add_char(b, ')');
    }
    ndi_buf_add_char(b, ']');
}

void
ndi_dtype_add_construction(struct ndi_buf *b, const nds_dtype *dt,
                           bool include_align)
{
    if (dt->base != NULL) {
        ndi_buf_add_char(b, '(');
        add_short(b, dt->base);
        ndi_buf_add_str(b, ", ");
        add_shape(b, dt);
        ndi_buf_add_char(b, ')');
    } else if (!ndi_dtype_is_record(dt)) {
        add_short_scalar(b, dt);
    } else if (!(include_align && dt->aligned) && is_packed(dt)) {
        add_short_list(b, dt);
    } else {
        add_dict(b, dt, include_align, add_short);
    }
}

static const char *const number_names[] = {
    [NDS_TYPE_BOOL] = "bool",          [NDS_TYPE_INT8] = "int8",
    [NDS_TYPE_UINT8] = "uint8",        [NDS_TYPE_INT16] = "int16",
    [NDS_TYPE_UINT16] = "uint16",      [NDS_TYPE_INT32] = "int32",
    [NDS_TYPE_UINT32] = "uint32",      [NDS_TYPE_INT64] = "int64",
    [NDS_TYPE_UINT64] = "uint64",      [NDS_TYPE_FLOAT16] = "float16",
    [NDS_TYPE_FLOAT32] = "float32",    [NDS_TYPE_FLOAT64] = "float64",
    [NDS_TYPE_LONGDOUBLE] = "float128", [NDS_TYPE_COMPLEX64] = "complex64",
    [NDS_TYPE_COMPLEX128] = "complex128",
};

void
ndi_dtype_add_name(struct ndi_buf *b, const nds_dtype *dt)
{
    if (dt->base != NULL || ndi_dtype_is_record(dt)) {
        ndi_dtype_add_construction(b, dt, true);
    } else if (dt->swapped || dt->kind == 'S' || dt->kind == 'U' ||
               dt->kind == 'V') {
        add_plain(b, dt);
    } else if (dt->kind == 'M' || dt->kind == 'm') {
        ndi_buf_add_str(b, dt->kind == 'M' ? "datetime64" : "timedelta64");
        add_unit(b, dt);
    } else {
        ndi_buf_add_str(b, number_names[dt->type]);
    }
}

int
nds_dtype_name(const nds_dtype *dt, char **text)
{
    struct ndi_buf b = {0};

    ndi_dtype_add_name(&b, dt);
    return ndi_buf_steal_text(&b, text);
}
