/* SPDX-License-Identifier: MIT */
/*
 * value_parse.c - Python literals as values
 *
 * What ast.literal_eval reads (numbers, texts, bytes, tuples, lists, dicts,
 * sets, None, True, False), and beside it `...`, slice(a, b, c), and the
 * classes that name a dtype: float, np.float32. Nothing is looked up.
 */
#include <pickle/value_impl.h>

#include <base/fail.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PARSE_DEPTH 100

struct parser {
    const char *text;
    const char *at; /* never beyond the text's NUL, also after a failure */
    int depth;
};

static int parse(struct parser *p, nds_value **out);

static int
bad(const struct parser *p, const char *what)
{
    return ndi_fail(NDS_EINVAL, "invalid syntax at character %zu of '%.200s': "
                    "%s", (size_t)(p->at - p->text), p->text, what);
}

static void
skip_space(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n') {
        p->at++;
    }
}

static bool
accept(struct parser *p, char c)
{
    skip_space(p);
    if (*p->at != c) {
        return false;
    }
    p->at++;
    return true;
}

static int
made(nds_value *v, nds_value **out)
{
    *out = v;
    return v != NULL ? 0 : NDS_ENOMEM;
}

/* Items up to `close`; *comma says whether one stood behind an item. */
static int
items(struct parser *p, nds_value *to, char close, bool *comma)
{
    nds_value *item;
    int rc;

    *comma = false;
    while (!accept(p, close)) {
        if (to->count != 0 && !*comma) {
            return bad(p, "a comma is missing");
        }
        rc = parse(p, &item);
        if (rc == 0) {
            rc = nds_value_append(to, item);
        }
        if (rc < 0) {
            return rc;
        }
        *comma = accept(p, ',');
    }
    return 0;
}

static int
sequence(struct parser *p, int kind, char close, nds_value **out)
{
    nds_value *v = ndi_value_new(kind);
    bool comma = false;
    int rc = v == NULL ? NDS_ENOMEM : items(p, v, close, &comma);

    if (rc < 0) {
        nds_value_free(v);
        return rc;
    }
    if (kind == NDS_VALUE_TUPLE && v->count == 1 && !comma) {
        // Parentheses alone are no tuple.
        *out = ndi_value_get(v->items[0]);
        nds_value_free(v);
        return 0;
    }
    *out = v;
    return 0;
}

/* A dict, or a set if the first item has no colon. */
static int
braces(struct parser *p, nds_value **out)
{
    nds_value *v = nds_value_dict();
    bool comma = true;
    int rc = v == NULL ? NDS_ENOMEM : 0;

    while (rc == 0 && !accept(p, '}')) {
        nds_value *item;

        if (!comma) {
            rc = bad(p, "a comma is missing");
            break;
        }
        rc = parse(p, &item);
        rc = rc < 0 ? rc : nds_value_append(v, item);
        if (rc == 0 && v->kind == NDS_VALUE_DICT) {
            if (accept(p, ':')) {
                rc = parse(p, &item);
                rc = rc < 0 ? rc : nds_value_append(v, item);
            } else if (v->count == 1) {
                v->kind = NDS_VALUE_SET;
            } else {
                rc = bad(p, "a colon is missing");
            }
        }
        comma = accept(p, ',');
    }
    if (rc < 0) {
        nds_value_free(v);
        v = NULL;
    }
    *out = v;
    return rc;
}

static void
add_utf8(struct ndi_buf *b, unsigned long c)
{
    if (c < 0x80) {
        ndi_buf_add_char(b, (char)c);
    } else if (c < 0x800) {
        ndi_buf_add_char(b, (char)(0xc0 | c >> 6));
        ndi_buf_add_char(b, (char)(0x80 | (c & 0x3f)));
    } else {
        if (c < 0x10000) {
            ndi_buf_add_char(b, (char)(0xe0 | c >> 12));
        } else {
            ndi_buf_add_char(b, (char)(0xf0 | c >> 18));
            ndi_buf_add_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        ndi_buf_add_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
        ndi_buf_add_char(b, (char)(0x80 | (c & 0x3f)));
    }
}

/* What stands behind a backslash. */
static int
escaped(struct parser *p, struct ndi_buf *b, bool bytes)
{
    static const char names[] = "abfnrtv\\'\"0";
    static const char means[] = "\a\b\f\n\r\t\v\\'\"";
    char c = *p->at;
    const char *known = c != '\0' ? strchr(names, c) : NULL;
    int digits = c == 'x' ? 2 : c == 'u' && !bytes ? 4
                 : c == 'U' && !bytes ? 8 : 0;
    unsigned long code = 0;

    p->at += c != '\0';
    if (known != NULL) {
        ndi_buf_add_char(b, means[known - names]);
        return 0;
    }
    if (digits == 0) {
        return bad(p, "an escape that is not understood");
    }
    for (; digits > 0; digits--, p->at++) {
        if (!isxdigit((unsigned char)*p->at)) {
            return bad(p, "an escape that is cut short");
        }
        code = code * 16 + (unsigned long)(isdigit((unsigned char)*p->at)
                                               ? *p->at - '0'
                                               : (*p->at | 32) - 'a' + 10);
    }
    if (code > 0x10ffff) {
        return bad(p, "an escape beyond Unicode");
    }
    if (bytes) {
        ndi_buf_add_char(b, (char)code);
    } else {
        add_utf8(b, code);
    }
    return 0;
}

static int
quoted(struct parser *p, bool bytes, bool raw, nds_value **out)
{
    struct ndi_buf b = {0};
    char quote = *p->at++;
    int rc = 0;

    while (rc == 0 && *p->at != quote) {
        if (*p->at == '\0') {
            rc = bad(p, "a text without an end");
        } else if (*p->at == '\\' && !raw) {
            p->at++;
            rc = escaped(p, &b, bytes);
        } else {
            ndi_buf_add_char(&b, *p->at++);
        }
    }
    rc = rc < 0 ? rc : ndi_buf_ok(&b);
    if (rc == 0) {
        const void *data = b.data != NULL ? (const void *)b.data : "";

        p->at++; // the quote
        rc = bytes ? made(nds_value_bytes(data, b.nbytes), out)
                   : made(nds_value_strn(data, b.nbytes), out);
        if (rc < 0) {
            rc = nds_last_error()->code;
        }
    }
    ndi_buf_fini(&b);
    return rc;
}

/* A decimal integer of any size as little-endian two's complement. */
static int
big_integer(const char *digits, size_t n, bool negative, nds_value **out)
{
    size_t room = n / 2 + 2;
    unsigned char *b = calloc(1, room);
    int rc;

    if (b == NULL) {
        return ndi_fail_nomem(room, "an integer");
    }
    for (size_t i = 0; i < n; i++) {
        unsigned carry = (unsigned)(digits[i] - '0');

        for (size_t k = 0; digits[i] != '_' && k < room; k++) {
            carry += b[k] * 10u;
            b[k] = (unsigned char)carry;
            carry >>= 8;
        }
    }
    if (negative) {
        unsigned carry = 1;

        for (size_t k = 0; k < room; k++) {
            carry += (unsigned char)~b[k];
            b[k] = (unsigned char)carry;
            carry >>= 8;
        }
    }
    while (room > 1 && ((b[room - 1] == 0 && !(b[room - 2] & 0x80)) ||
                        (b[room - 1] == 0xff && (b[room - 2] & 0x80)))) {
        room--;
    }
    if (room <= 8) {
        int64_t i = b[room - 1] & 0x80 ? -1 : 0;

        for (size_t k = room; k-- > 0;) {
            i = (int64_t)((uint64_t)i << 8 | b[k]);
        }
        rc = made(nds_value_int(i), out);
    } else {
        rc = made(ndi_value_text(NDS_VALUE_BIGINT, b, room), out);
    }
    free(b);
    return rc;
}

static int
number(struct parser *p, bool negative, nds_value **out)
{
    const char *start = p->at;
    size_t n = 0;
    double d;
    char *end;

    if (start[0] == '0' && (start[1] | 32) == 'x') {
        errno = 0;
        d = (double)strtoll(start, &end, 16);
        if (errno != 0 || end == start + 2) {
            return bad(p, "a hexadecimal number too large");
        }
        p->at = end;
        return made(nds_value_int(negative ? -strtoll(start, NULL, 16)
                                           : strtoll(start, NULL, 16)), out);
    }
    while (isdigit((unsigned char)start[n]) || (n > 0 && start[n] == '_')) {
        n++;
    }
    if (n != 0 && start[n] != '.' && (start[n] | 32) != 'e' &&
        (start[n] | 32) != 'j') {
        if (n > 4300) {
            return bad(p, "an integer of more than 4300 digits");
        }
        p->at += n;
        return big_integer(start, n, negative, out);
    }
    d = strtod(start, &end);
    if (end == start) {
        return bad(p, "a number was expected");
    }
    p->at = end;
    d = negative ? -d : d;
    if ((*end | 32) == 'j') {
        p->at++;
        return made(nds_value_complex(negative ? -0.0 : 0, d), out);
    }
    return made(nds_value_float(d), out);
}

/* slice(a, b, c), by its arguments */
static int
slice(struct parser *p, nds_value **out)
{
    nds_value *v = ndi_value_new(NDS_VALUE_SLICE);
    nds_value *full = NULL;
    bool comma;
    int rc = v == NULL ? NDS_ENOMEM : items(p, v, ')', &comma);

    if (rc == 0 && (v->count < 1 || v->count > 3)) {
        rc = bad(p, "slice takes one to three arguments");
    }
    if (rc == 0) {
        full = ndi_value_new(NDS_VALUE_SLICE);
        // slice(stop) is slice(None, stop, None)
        if (v->count == 1) {
            rc = nds_value_append(full, nds_value_none());
        }
        for (size_t i = 0; rc == 0 && i < v->count; i++) {
            rc = ndi_value_push(full, v->items[i]);
        }
        while (rc == 0 && full->count < 3) {
            rc = nds_value_append(full, nds_value_none());
        }
    }
    nds_value_free(v);
    if (rc < 0) {
        nds_value_free(full);
        full = NULL;
    }
    *out = full;
    return rc;
}

static int
named(struct parser *p, nds_value **out)
{
    const char *start = p->at;
    char name[64];
    size_t n = 0;
    const char *dot;

    while (isalnum((unsigned char)start[n]) || start[n] == '_' ||
           start[n] == '.') {
        n++;
    }
    if (n >= sizeof name) {
        return bad(p, "a name that is not known");
    }
    memcpy(name, start, n);
    name[n] = '\0';
    p->at += n;
    if (strcmp(name, "None") == 0) {
        return made(nds_value_none(), out);
    }
    if (strcmp(name, "True") == 0 || strcmp(name, "False") == 0) {
        return made(nds_value_bool(name[0] == 'T'), out);
    }
    if (strcmp(name, "Ellipsis") == 0) {
        return made(nds_value_ellipsis(), out);
    }
    if (strcmp(name, "inf") == 0 || strcmp(name, "nan") == 0) {
        return made(nds_value_float(strtod(name, NULL)), out);
    }
    if (strcmp(name, "slice") == 0 && accept(p, '(')) {
        return slice(p, out);
    }
    dot = strchr(name, '.');
    if (dot != NULL && (strncmp(name, "np.", 3) == 0 ||
                        strncmp(name, "numpy.", 6) == 0)) {
        *out = ndi_value_type("numpy", dot + 1);
    } else {
        *out = ndi_value_type("builtins", name);
    }
    if (*out == NULL) {
        p->at = start;
        return bad(p, "a name that is not known");
    }
    return 0;
}

static int
atom(struct parser *p, nds_value **out)
{
    char c, next;

    skip_space(p);
    c = *p->at;
    next = c != '\0' ? p->at[1] : '\0';
    if (c == '(') {
        p->at++;
        return sequence(p, NDS_VALUE_TUPLE, ')', out);
    }
    if (c == '[') {
        p->at++;
        return sequence(p, NDS_VALUE_LIST, ']', out);
    }
    if (c == '{') {
        p->at++;
        return braces(p, out);
    }
    if (c == '\'' || c == '"') {
        return quoted(p, false, false, out);
    }
    if ((c == 'b' || c == 'r' || c == 'u') && (next == '\'' || next == '"')) {
        p->at++;
        return quoted(p, c == 'b', c == 'r', out);
    }
    if (strncmp(p->at, "...", 3) == 0) {
        p->at += 3;
        return made(nds_value_ellipsis(), out);
    }
    if (c == '-' || c == '+') {
        p->at++;
        skip_space(p);
        if (strncmp(p->at, "inf", 3) == 0) {
            p->at += 3;
            return made(nds_value_float(c == '-' ? -strtod("inf", NULL)
                                                 : strtod("inf", NULL)), out);
        }
        return number(p, c == '-', out);
    }
    if (isdigit((unsigned char)c) ||
        (c == '.' && isdigit((unsigned char)next))) {
        return number(p, false, out);
    }
    if (isalpha((unsigned char)c)) {
        return named(p, out);
    }
    return bad(p, c == '\0' ? "it ends too early" : "a value was expected");
}

/* An atom, or a complex number written as a sum: 1+2j */
static int
parse(struct parser *p, nds_value **out)
{
    nds_value *im;
    double re, sum;
    int rc;

    *out = NULL;
    if (p->depth >= PARSE_DEPTH) {
        return ndi_fail(NDS_ELIMIT, "a literal nested deeper than %d",
                        PARSE_DEPTH);
    }
    p->depth++;
    rc = atom(p, out);
    p->depth--;
    if (rc < 0) {
        return rc;
    }
    skip_space(p);
    if ((*p->at != '+' && *p->at != '-') || !nds_value_as_float(*out, &re)) {
        return 0;
    }
    rc = atom(p, &im);
    if (rc == 0 && im->kind != NDS_VALUE_COMPLEX) {
        rc = bad(p, "sums are not computed");
        nds_value_free(im);
    } else if (rc == 0) {
        sum = im->v.im;
        nds_value_free(im);
        nds_value_free(*out);
        return made(nds_value_complex(re, sum), out);
    }
    nds_value_free(*out);
    *out = NULL;
    return rc;
}

int
nds_value_parse(nds_value **out, const char *text)
{
    struct parser p = {.text = text, .at = text};
    nds_value *v;
    bool comma;
    int rc;

    *out = NULL;
    rc = parse(&p, &v);
    if (rc < 0) {
        return rc;
    }
    comma = accept(&p, ',');
    if (comma) {
        // "1, 2" is a tuple without its parentheses.
        nds_value *t = nds_value_tuple();

        rc = nds_value_append(t, v);
        v = t;
        while (rc == 0 && comma && *p.at != '\0') {
            nds_value *item;

            rc = parse(&p, &item);
            rc = rc < 0 ? rc : nds_value_append(t, item);
            comma = accept(&p, ',');
        }
    }
    skip_space(&p);
    if (rc == 0 && *p.at != '\0') {
        rc = bad(&p, "something follows the value");
    }
    if (rc < 0) {
        nds_value_free(v);
        return rc;
    }
    *out = v;
    return 0;
}

/* `name =` in front of a keyword argument, or nothing. */
static bool
keyword(struct parser *p, char *name, size_t room)
{
    size_t n = 0, after;

    skip_space(p);
    while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_') {
        n++;
    }
    after = n;
    while (p->at[after] == ' ') {
        after++;
    }
    if (n == 0 || n >= room || isdigit((unsigned char)p->at[0]) ||
        p->at[after] != '=') {
        return false;
    }
    memcpy(name, p->at, n);
    name[n] = '\0';
    p->at += after + 1;
    return true;
}

int
nds_value_parse_args(nds_value **args, nds_value **kwds, const char *text)
{
    struct parser p = {.text = text, .at = text};
    nds_value *item;
    bool comma = true;
    char name[64];
    int rc;

    *args = nds_value_tuple();
    *kwds = nds_value_dict();
    rc = *args != NULL && *kwds != NULL ? 0 : NDS_ENOMEM;
    for (skip_space(&p); rc == 0 && *p.at != '\0'; skip_space(&p)) {
        bool named_one = keyword(&p, name, sizeof name);

        if (!comma) {
            rc = bad(&p, "a comma is missing");
        } else if (!named_one && (*kwds)->count != 0) {
            rc = bad(&p, "positional argument follows keyword argument");
        } else {
            rc = parse(&p, &item);
        }
        if (rc == 0) {
            rc = named_one ? nds_value_set(*kwds, name, item)
                           : nds_value_append(*args, item);
            comma = accept(&p, ',');
        }
    }
    if (rc < 0) {
        nds_value_free(ndi_steal(args));
        nds_value_free(ndi_steal(kwds));
    }
    return rc;
}
