/* SPDX-License-Identifier: MIT */
/* value_repr.c - values as Python's repr() shows them */
#include <pickle/value_impl.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

#define REPR_DEPTH 250

static int repr(struct ndi_buf *b, const nds_value *v, int depth);

/* The quote Python picks: ' unless the text has one and no ". */
static char
pick_quote(const nds_value *v)
{
    return memchr(v->u.text, '\'', v->v.nbytes) != NULL &&
                   memchr(v->u.text, '"', v->v.nbytes) == NULL
               ? '"'
               : '\'';
}

/* Escapes common to text and bytes; false if c is to be shown as it is. */
static bool
escape(struct ndi_buf *b, unsigned char c, char quote)
{
    switch (c) {
    case '\n': ndi_buf_add_str(b, "\\n"); return true;
    case '\r': ndi_buf_add_str(b, "\\r"); return true;
    case '\t': ndi_buf_add_str(b, "\\t"); return true;
    default:
        if (c == '\\' || c == (unsigned char)quote) {
            ndi_buf_add_char(b, '\\');
            ndi_buf_add_char(b, (char)c);
            return true;
        }
        if (c < 0x20 || c == 0x7f) {
            ndi_buf_add_fmt(b, "\\x%02x", c);
            return true;
        }
        return false;
    }
}

static void
repr_text(struct ndi_buf *b, const nds_value *v)
{
    const unsigned char *p = (const unsigned char *)v->u.text;
    char quote = pick_quote(v);

    ndi_buf_add_char(b, quote);
    for (size_t i = 0; i < v->v.nbytes; i++) {
        if (p[i] == 0xed && p[i + 1] >= 0xa0) {
            ndi_buf_add_fmt(b, "\\u%04x", 0xd000u | (p[i + 1] & 0x3fu) << 6 |
                                              (p[i + 2] & 0x3fu));
            i += 2;
        } else if (p[i] == 0xc2 && p[i + 1] <= 0xa0) {
            ndi_buf_add_fmt(b, "\\x%02x", p[++i]);
        } else if (!escape(b, p[i], quote)) {
            ndi_buf_add_char(b, (char)p[i]);
        }
    }
    ndi_buf_add_char(b, quote);
}

static void
repr_bytes(struct ndi_buf *b, const nds_value *v)
{
    char quote = pick_quote(v);

    ndi_buf_add_char(b, 'b');
    ndi_buf_add_char(b, quote);
    for (size_t i = 0; i < v->v.nbytes; i++) {
        unsigned char c = (unsigned char)v->u.text[i];

        if (c >= 0x80) {
            ndi_buf_add_fmt(b, "\\x%02x", c);
        } else if (!escape(b, c, quote)) {
            ndi_buf_add_char(b, (char)c);
        }
    }
    ndi_buf_add_char(b, quote);
}

/* Decimal digits of a two's complement number, by repeated division. */
static int
repr_bigint(struct ndi_buf *b, const nds_value *v)
{
    size_t n = v->v.nbytes;
    bool negative = n != 0 && ((unsigned char)v->u.text[n - 1] & 0x80);
    unsigned char *digits;
    struct ndi_buf out = {0};
    unsigned carry = 1;
    size_t top = n;

    if (n > 4096) {
        return ndi_fail(NDS_ELIMIT, "an integer of %zu bytes is too long to "
                        "print", n);
    }
    digits = malloc(n + 1);
    if (digits == NULL) {
        return ndi_fail_nomem(n, "an integer");
    }
    memcpy(digits, v->u.text, n);
    for (size_t i = 0; negative && i < n; i++) {
        carry += (unsigned char)~digits[i];
        digits[i] = (unsigned char)carry;
        carry >>= 8;
    }
    do {
        unsigned rest = 0;

        for (size_t i = top; i-- > 0;) {
            rest = rest << 8 | digits[i];
            digits[i] = (unsigned char)(rest / 10);
            rest %= 10;
        }
        ndi_buf_add_char(&out, (char)('0' + rest));
        while (top > 0 && digits[top - 1] == 0) {
            top--;
        }
    } while (top > 0);
    if (negative) {
        ndi_buf_add_char(b, '-');
    }
    for (size_t i = out.nbytes; i-- > 0;) {
        ndi_buf_add_char(b, (char)out.data[i]);
    }
    ndi_buf_fini(&out);
    free(digits);
    return 0;
}

static int
repr_owned(struct ndi_buf *b, int rc, char *text)
{
    if (rc == 0) {
        ndi_buf_add_str(b, text);
        free(text);
    }
    return rc;
}

static int
repr_number(struct ndi_buf *b, nds_scalar s)
{
    char *text = NULL;
    int rc = nds_scalar_str(&s, &text);

    return repr_owned(b, rc, text);
}

static int
repr_items(struct ndi_buf *b, const nds_value *v, const char *open,
           const char *close, int depth)
{
    int rc = 0;

    ndi_buf_add_str(b, open);
    for (size_t i = 0; rc == 0 && i < v->count; i++) {
        rc = repr(b, v->items[i], depth + 1);
        if (v->kind == NDS_VALUE_DICT && i % 2 == 0) {
            ndi_buf_add_str(b, ": ");
        } else if (i + 1 < v->count) {
            ndi_buf_add_str(b, ", ");
        } else if (v->kind == NDS_VALUE_TUPLE && v->count == 1) {
            ndi_buf_add_char(b, ',');
        }
    }
    ndi_buf_add_str(b, close);
    return rc;
}

static int
repr_scalar(struct ndi_buf *b, nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    char *text = NULL;
    int rc;

    if (v->ndim == 0 && strchr("fc", nds_dtype_kind(v->dtype)) != NULL &&
        nds_dtype_type(v->dtype) != NDS_TYPE_FLOAT64 &&
        nds_dtype_type(v->dtype) != NDS_TYPE_COMPLEX128) {
        // As short as the type itself needs: 0.1 for a float32.
        rc = nds_view_str(v, NULL, &text);
    } else if (v->ndim == 0 &&
               strchr("biufc", nds_dtype_kind(v->dtype)) != NULL) {
        rc = nds_view_tolist_str(v, &text);
    } else {
        rc = nds_view_repr(v, NULL, &text);
    }
    return repr_owned(b, rc, text);
}

static int
repr_dtype(struct ndi_buf *b, const nds_dtype *dt)
{
    char *text = NULL;
    int rc = nds_dtype_str(dt, &text);

    ndi_buf_add_str(b, "dtype(");
    if (rc == 0 && nds_dtype_field_count(dt) == 0) {
        free(text);
        rc = nds_dtype_name(dt, &text);
        ndi_buf_add_char(b, '\'');
        rc = repr_owned(b, rc, text);
        ndi_buf_add_char(b, '\'');
    } else {
        rc = repr_owned(b, rc, text);
    }
    ndi_buf_add_char(b, ')');
    return rc;
}

static void
repr_class(struct ndi_buf *b, const struct ndi_symbol *s)
{
    if (strcmp(s->module, "builtins") == 0) {
        ndi_buf_add_fmt(b, "<class '%s'>", s->name);
    } else {
        ndi_buf_add_fmt(b, "<class '%s.%s'>", s->module, s->name);
    }
}

static int
repr_token(struct ndi_buf *b, const nds_value *v, int depth)
{
    int rc;

    ndi_buf_add_str(b, "Token(typeid=");
    rc = repr(b, v->items[0], depth + 1);
    ndi_buf_add_str(b, ", address=");
    rc = rc < 0 ? rc : repr(b, v->items[1], depth + 1);
    ndi_buf_add_str(b, ", id=");
    rc = rc < 0 ? rc : repr(b, v->items[2], depth + 1);
    ndi_buf_add_char(b, ')');
    return rc;
}

static int
repr_exception(struct ndi_buf *b, const nds_value *v, int depth)
{
    ndi_buf_add_str(b, v->u.symbol->name);
    return repr_items(b, v, "(", ")", depth);
}

static int
repr_plain(struct ndi_buf *b, const nds_value *v)
{
    char *text = NULL;
    int rc;

    switch (v->kind) {
    case NDS_VALUE_NONE:
        ndi_buf_add_str(b, "None");
        return 0;
    case NDS_VALUE_BOOL:
        ndi_buf_add_str(b, v->u.truth ? "True" : "False");
        return 0;
    case NDS_VALUE_INT:
        ndi_buf_add_fmt(b, "%lld", (long long)v->u.integer);
        return 0;
    case NDS_VALUE_BIGINT:
        return repr_bigint(b, v);
    case NDS_VALUE_FLOAT:
        return repr_number(b, nds_float(v->u.re));
    case NDS_VALUE_COMPLEX:
        return repr_number(b, nds_complex(v->u.re, v->v.im));
    case NDS_VALUE_STR:
        repr_text(b, v);
        return 0;
    case NDS_VALUE_BYTES:
        repr_bytes(b, v);
        return 0;
    case NDS_VALUE_NAME:
        ndi_buf_add_fmt(b, "<%s>", v->u.text);
        return 0;
    case NDS_VALUE_BYTEARRAY:
        ndi_buf_add_str(b, "bytearray(");
        repr_bytes(b, v);
        ndi_buf_add_char(b, ')');
        return 0;
    case NDS_VALUE_ELLIPSIS:
        ndi_buf_add_str(b, "Ellipsis");
        return 0;
    case NDS_VALUE_NOTIMPLEMENTED:
        ndi_buf_add_str(b, "NotImplemented");
        return 0;
    case NDS_VALUE_ARRAY:
        rc = nds_view_repr(nds_array_view(v->u.array), NULL, &text);
        return repr_owned(b, rc, text);
    case NDS_VALUE_SCALAR:
        return repr_scalar(b, v->u.array);
    case NDS_VALUE_DTYPE:
        return repr_dtype(b, v->u.dtype);
    default:
        repr_class(b, v->u.symbol);
        return 0;
    }
}

static int
repr(struct ndi_buf *b, const nds_value *v, int depth)
{
    if (depth > REPR_DEPTH) {
        return ndi_fail(NDS_ELIMIT, "a value nested deeper than %d",
                        REPR_DEPTH);
    }
    switch (v->kind) {
    case NDS_VALUE_LIST:
        return repr_items(b, v, "[", "]", depth);
    case NDS_VALUE_TUPLE:
        return repr_items(b, v, "(", ")", depth);
    case NDS_VALUE_DICT:
        return repr_items(b, v, "{", "}", depth);
    case NDS_VALUE_SET:
        return v->count == 0 ? (ndi_buf_add_str(b, "set()"), 0)
                             : repr_items(b, v, "{", "}", depth);
    case NDS_VALUE_FROZENSET:
        return v->count == 0 ? (ndi_buf_add_str(b, "frozenset()"), 0)
                             : repr_items(b, v, "frozenset({", "})", depth);
    case NDS_VALUE_SLICE:
        return repr_items(b, v, "slice(", ")", depth);
    case NDS_VALUE_RANGE:
        return repr_items(b, v, "range(", ")", depth);
    case NDS_VALUE_TOKEN:
        return repr_token(b, v, depth);
    case NDS_VALUE_EXCEPTION:
        return repr_exception(b, v, depth);
    case NDS_VALUE_PROXY:
        ndi_buf_add_str(b, "<proxy of ");
        if (repr(b, v->items[1], depth + 1) < 0) {
            return NDS_ELIMIT;
        }
        ndi_buf_add_char(b, '>');
        return 0;
    default:
        return repr_plain(b, v);
    }
}

int
ndi_value_repr_to(struct ndi_buf *b, const nds_value *v)
{
    return repr(b, v, 0);
}

int
nds_value_repr(const nds_value *v, char **text)
{
    struct ndi_buf b = {0};
    int rc = repr(&b, v, 0);

    *text = NULL;
    if (rc < 0) {
        ndi_buf_fini(&b);
        return rc;
    }
    return ndi_buf_steal_text(&b, text);
}
