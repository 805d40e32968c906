/* SPDX-License-Identifier: MIT */
/*
 * pylit.c - a reader of Python literals that any bytes may be fed to
 *
 * Plain recursive descent; depth and size are checked before anything grows.
 * A failed parse frees what it had built.
 */
#include <nd/pylit.h>

#include <base/buf.h>
#include <base/checked.h>
#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

struct reader {
    const unsigned char *text;
    size_t nbytes;
    size_t at;
    int depth;
    const struct ndi_lit_options *opts;
};

static int read_value(struct reader *r, struct ndi_lit *out);

static int
fail_at(const struct reader *r, size_t at, const char *why)
{
    return ndi_fail(r->opts->code, "%s: %s at character %zu", r->opts->what,
                    why, at);
}

static int
peek(const struct reader *r)
{
    return r->at < r->nbytes ? r->text[r->at] : -1;
}

static void
skip_space(struct reader *r)
{
    int c;

    while ((c = peek(r)) == ' ' || (c >= '\t' && c <= '\r')) {
        r->at++;
    }
}

static bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool
is_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           is_digit(c);
}

static void
add_utf8(struct ndi_buf *b, uint32_t c)
{
    if (c < 0x80) {
        ndi_buf_add_char(b, (char)c);
    } else if (c < 0x800) {
        ndi_buf_add_char(b, (char)(0xc0 | (c >> 6)));
        ndi_buf_add_char(b, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        ndi_buf_add_char(b, (char)(0xe0 | (c >> 12)));
        ndi_buf_add_char(b, (char)(0x80 | ((c >> 6) & 0x3f)));
        ndi_buf_add_char(b, (char)(0x80 | (c & 0x3f)));
    } else {
        ndi_buf_add_char(b, (char)(0xf0 | (c >> 18)));
        ndi_buf_add_char(b, (char)(0x80 | ((c >> 12) & 0x3f)));
        ndi_buf_add_char(b, (char)(0x80 | ((c >> 6) & 0x3f)));
        ndi_buf_add_char(b, (char)(0x80 | (c & 0x3f)));
    }
}

/* One character of several bytes at r->at; the reader moves past it. */
static int
read_utf8(struct reader *r, struct ndi_buf *b)
{
    const unsigned char *s = r->text + r->at;
    size_t left = r->nbytes - r->at, n;
    uint32_t c, least;

    if ((s[0] & 0xe0) == 0xc0) {
        n = 2, c = s[0] & 0x1f, least = 0x80;
    } else if ((s[0] & 0xf0) == 0xe0) {
        n = 3, c = s[0] & 0x0f, least = 0x800;
    } else if ((s[0] & 0xf8) == 0xf0) {
        n = 4, c = s[0] & 0x07, least = 0x10000;
    } else {
        return fail_at(r, r->at, "not UTF-8");
    }
    if (left < n) {
        return fail_at(r, r->at, "not UTF-8");
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return fail_at(r, r->at, "not UTF-8");
        }
        c = (c << 6) | (s[i] & 0x3f);
    }
    if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return fail_at(r, r->at, "not UTF-8");
    }
    ndi_buf_add(b, s, n);
    r->at += n;
    return 0;
}

static int
hex_digit(int c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \xNN, \uNNNN, \UNNNNNNNN: `digits` of them at r->at. */
static int
read_hex_escape(struct reader *r, struct ndi_buf *b, int digits)
{
    size_t at = r->at;
    uint32_t c = 0;

    for (int i = 0; i < digits; i++) {
        int d = hex_digit(peek(r));

        if (d < 0) {
            return fail_at(r, at, "broken escape");
        }
        c = (c << 4) | (uint32_t)d;
        r->at++;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return fail_at(r, at, "no such character");
    }
    add_utf8(b, c);
    return 0;
}

/* After a backslash. */
static int
read_escape(struct reader *r, struct ndi_buf *b)
{
    static const char from[] = "\\'\"nrtabfv0";
    static const char to[] = "\\'\"\n\r\t\a\b\f\v";
    int c = peek(r);
    const char *hit = c > 0 ? strchr(from, c) : NULL;

    if (c == '0' || hit == NULL) {
        int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;

        if (digits == 0) {
            return fail_at(r, r->at, "unknown escape");
        }
        r->at++;
        return read_hex_escape(r, b, digits);
    }
    r->at++;
    ndi_buf_add_char(b, to[hit - from]);
    return 0;
}

/* At the opening quote. */
static int
read_string(struct reader *r, struct ndi_lit *out)
{
    struct ndi_buf b = {0};
    size_t start = r->at;
    int quote = r->text[r->at++];
    int rc = 0;

    for (;;) {
        int c = peek(r);

        if (c == quote) {
            r->at++;
            break;
        }
        if (c < 0 || c == '\n') {
            rc = fail_at(r, start, "unterminated string");
        } else if (c == '\\') {
            r->at++;
            rc = read_escape(r, &b);
        } else if (c < 0x80 || r->opts->latin1) {
            add_utf8(&b, (uint32_t)c);
            r->at++;
        } else {
            rc = read_utf8(r, &b);
        }
        if (rc < 0) {
            ndi_buf_fini(&b);
            return rc;
        }
    }
    out->kind = NDI_LIT_STR;
    out->count = b.nbytes;
    return ndi_buf_steal_text(&b, &out->text);
}

static int
read_int(struct reader *r, struct ndi_lit *out)
{
    size_t start = r->at;
    bool minus = peek(r) == '-';
    int64_t n = 0;

    if (minus || peek(r) == '+') {
        r->at++;
    }
    if (!is_digit(peek(r))) {
        return fail_at(r, start, "a number was expected");
    }
    if (peek(r) == '0' && r->at + 1 < r->nbytes &&
        is_digit(r->text[r->at + 1])) {
        return fail_at(r, start, "a number with a leading zero");
    }
    while (is_digit(peek(r))) {
        int64_t digit = r->text[r->at++] - '0';

        if (!ndi_mul_i64(n, 10, &n) || !ndi_add_i64(n, digit, &n)) {
            return fail_at(r, start, "a number beyond 64 bits");
        }
    }
    if (r->opts->long_suffix && peek(r) == 'L') {
        r->at++;
    }
    if (is_word(peek(r)) || peek(r) == '.') {
        return fail_at(r, start, "not an integer");
    }
    out->kind = NDI_LIT_INT;
    out->num = minus ? -n : n;
    return 0;
}

static int
read_word(struct reader *r, struct ndi_lit *out)
{
    static const struct {
        const char *word;
        enum ndi_lit_kind kind;
        int num;
    } words[] = {{"True", NDI_LIT_BOOL, 1},
                 {"False", NDI_LIT_BOOL, 0},
                 {"None", NDI_LIT_NONE, 0}};
    size_t start = r->at, n;

    while (is_word(peek(r))) {
        r->at++;
    }
    n = r->at - start;
    if (n == 1 && r->text[start] == 'u' &&
        (peek(r) == '\'' || peek(r) == '"')) {
        return read_string(r, out);
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(words); i++) {
        if (strlen(words[i].word) == n &&
            memcmp(words[i].word, r->text + start, n) == 0) {
            out->kind = words[i].kind;
            out->num = words[i].num;
            return 0;
        }
    }
    return ndi_fail(r->opts->code, "%s: unknown word '%.*s' at character %zu",
                    r->opts->what, (int)(n > 40 ? 40 : n), r->text + start,
                    start);
}

/* Room for one more item; the new one is all zeros. */
static struct ndi_lit *
add_item(struct ndi_lit *box, size_t *room)
{
    if (box->count == *room) {
        size_t more = *room == 0 ? 4 : *room * 2;
        struct ndi_lit *items = realloc(box->items, more * sizeof *items);

        if (items == NULL) {
            ndi_fail_nomem(more * sizeof *items, "a literal");
            return NULL;
        }
        box->items = items;
        *room = more;
    }
    box->items[box->count] = (struct ndi_lit){0};
    return &box->items[box->count++];
}

/* One item, or one "key: value". */
static int
read_item(struct reader *r, struct ndi_lit *box, size_t *room)
{
    int parts = box->kind == NDI_LIT_DICT ? 2 : 1;

    for (int i = 0; i < parts; i++) {
        struct ndi_lit *item = add_item(box, room);
        int rc;

        if (item == NULL) {
            return NDS_ENOMEM;
        }
        rc = read_value(r, item);
        if (rc < 0) {
            return rc;
        }
        skip_space(r);
        if (i + 1 < parts) {
            if (peek(r) != ':') {
                return fail_at(r, r->at, "':' was expected");
            }
            r->at++;
        }
    }
    return 0;
}

/* At the opening bracket. (x) is x, as in Python. */
static int
read_box(struct reader *r, struct ndi_lit *out, enum ndi_lit_kind kind,
         int close)
{
    size_t room = 0, start = r->at++;
    bool comma = false;

    out->kind = kind;
    for (;;) {
        int rc;

        skip_space(r);
        if (peek(r) == close) {
            r->at++;
            break;
        }
        if (out->count != 0 && !comma) {
            return fail_at(r, r->at < r->nbytes ? r->at : start,
                           r->at < r->nbytes ? "',' was expected"
                                             : "unclosed bracket");
        }
        if (r->at == r->nbytes) {
            return fail_at(r, start, "unclosed bracket");
        }
        rc = read_item(r, out, &room);
        if (rc < 0) {
            return rc;
        }
        skip_space(r);
        comma = peek(r) == ',';
        r->at += comma;
    }
    if (kind == NDI_LIT_TUPLE && out->count == 1 && !comma) {
        struct ndi_lit *only = out->items;

        *out = *only;
        free(only);
    }
    return 0;
}

static int
read_value(struct reader *r, struct ndi_lit *out)
{
    int c, rc;

    skip_space(r);
    c = peek(r);
    out->at = r->at;
    if (r->depth == NDI_LIT_MAX_DEPTH) {
        return fail_at(r, r->at, "nested too deeply");
    }
    r->depth++;
    if (c == '[') {
        rc = read_box(r, out, NDI_LIT_LIST, ']');
    } else if (c == '(') {
        rc = read_box(r, out, NDI_LIT_TUPLE, ')');
    } else if (c == '{') {
        rc = read_box(r, out, NDI_LIT_DICT, '}');
    } else if (c == '\'' || c == '"') {
        rc = read_string(r, out);
    } else if (is_digit(c) || c == '-' || c == '+') {
        rc = read_int(r, out);
    } else if (is_word(c)) {
        rc = read_word(r, out);
    } else {
        rc = fail_at(r, r->at, c < 0 ? "the text ends" : "unexpected byte");
    }
    r->depth--;
    return rc;
}

int
ndi_lit_parse(struct ndi_lit *out, const char *text, size_t nbytes,
              const struct ndi_lit_options *opts)
{
    struct reader r = {.text = (const unsigned char *)text,
                       .nbytes = nbytes,
                       .opts = opts};
    int rc;

    *out = (struct ndi_lit){0};
    if (nbytes > NDI_LIT_MAX_NBYTES) {
        return ndi_fail(opts->code, "%s: %zu bytes of text, more than %u",
                        opts->what, nbytes, NDI_LIT_MAX_NBYTES);
    }
    rc = read_value(&r, out);
    if (rc == 0) {
        skip_space(&r);
        if (r.at != nbytes) {
            rc = fail_at(&r, r.at, "more text than one literal");
        }
    }
    if (rc < 0) {
        ndi_lit_fini(out);
    }
    return rc;
}

void
ndi_lit_fini(struct ndi_lit *lit)
{
    if (lit->items != NULL) {
        for (size_t i = 0; i < lit->count; i++) {
            ndi_lit_fini(&lit->items[i]);
        }
    }
    free(lit->items);
    free(lit->text);
    *lit = (struct ndi_lit){0};
}

const char *
ndi_lit_kind_name(enum ndi_lit_kind kind)
{
    static const char *const names[] = {"None",   "a bool", "a number",
                                        "a text", "a list", "a tuple",
                                        "a dict"};

    return names[kind];
}
