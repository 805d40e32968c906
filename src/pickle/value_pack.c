/* SPDX-License-Identifier: MIT */
/*
 * value_pack.c - whole trees from one line, and one line from whole trees
 *
 * The format is read once, from left to right, beside the arguments. When
 * something cannot be made, or is not as the format says, the place in the
 * format is in the message.
 */
#include <pickle/value_impl.h>

#include <base/fail.h>

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct format {
    const char *text;
    const char *at;
    va_list args;
    int depth;
};

#define DEEPEST 32

static char
next_char(struct format *f)
{
    while (*f->at == ' ' || *f->at == ',' || *f->at == ':') {
        f->at++;
    }
    return *f->at;
}

static int
bad_format(const struct format *f, const char *why)
{
    return ndi_fail(NDS_EINVAL, "format '%s' at %d: %s", f->text,
                    (int)(f->at - f->text), why);
}

static char
closer(char opener)
{
    return opener == '(' ? ')' : opener == '[' ? ']' : '}';
}

/* ---- pack ---- */

static nds_value *pack(struct format *f);

static nds_value *
pack_items(struct format *f, char opener)
{
    nds_value *v = opener == '(' ? nds_value_tuple()
                   : opener == '[' ? nds_value_list()
                                   : nds_value_dict();

    f->at++;
    if (++f->depth > DEEPEST) {
        bad_format(f, "nested too deep");
        nds_value_free(ndi_steal(&v));
    }
    while (v != NULL && next_char(f) != closer(opener)) {
        nds_value *key = opener == '{' ? pack(f) : NULL;
        nds_value *item = opener != '{' || key != NULL ? pack(f) : NULL;
        int rc = NDS_EINVAL; // and the record says why

        if (item == NULL) {
            nds_value_free(key);
        } else {
            rc = opener == '{' ? nds_value_set_key(v, key, item)
                               : nds_value_append(v, item);
        }
        if (rc < 0) {
            nds_value_free(ndi_steal(&v));
        }
    }
    if (v != NULL) {
        f->at++;
        f->depth--;
    }
    return v;
}

static nds_value *
pack_text(struct format *f, char kind)
{
    const void *data = va_arg(f->args, const void *);
    size_t n;

    if (kind == 's' && f->at[0] != '#') {
        return data != NULL ? nds_value_str(data) : nds_value_none();
    }
    if (kind == 's') {
        f->at++;
    }
    n = va_arg(f->args, size_t);
    return kind == 's' ? nds_value_strn(data, n) : nds_value_bytes(data, n);
}

static nds_value *
pack(struct format *f)
{
    char c = next_char(f);
    nds_value *v;

    if (c == '(' || c == '[' || c == '{') {
        return pack_items(f, c);
    }
    f->at++;
    switch (c) {
    case 'n':
        return nds_value_none();
    case 'b':
        return nds_value_bool(va_arg(f->args, int) != 0);
    case 'i':
        return nds_value_int(va_arg(f->args, int));
    case 'I':
        return nds_value_int(va_arg(f->args, int64_t));
    case 'f':
        return nds_value_float(va_arg(f->args, double));
    case 's':
    case 'y':
        return pack_text(f, c);
    case 'a':
        return nds_value_array(va_arg(f->args, nds_array *));
    case 'd':
        return nds_value_dtype(va_arg(f->args, const nds_dtype *));
    case 'o':
        v = va_arg(f->args, nds_value *);
        if (v == NULL) {
            ndi_fail_nomem(sizeof *v, "a value");
        }
        return v;
    default:
        f->at -= c == '\0';
        bad_format(f, "one of n b i I f s s# y a d o ( [ { is expected");
        return NULL;
    }
}

int
nds_value_pack(nds_value **out, const char *format, ...)
{
    struct format f = {.text = format, .at = format};

    va_start(f.args, format);
    *out = pack(&f);
    va_end(f.args);
    if (*out != NULL && next_char(&f) != '\0') {
        nds_value_free(ndi_steal(out));
        return bad_format(&f, "one value is made, and there is more");
    }
    return *out != NULL ? 0
           : nds_last_error()->code < 0 ? nds_last_error()->code
                                        : NDS_ENOMEM;
}

/* ---- unpack ---- */

static int unpack(struct format *f, const nds_value *v);

static int
not_a(struct format *f, const nds_value *v, const char *what)
{
    char *shown = NULL;
    int rc;

    (void)nds_value_repr(v, &shown);
    rc = ndi_fail(NDS_EINVAL, "format '%s' at %d: %.60s is not %s", f->text,
                  (int)(f->at - f->text), shown != NULL ? shown : "it", what);
    free(shown);
    return rc;
}

static int
unpack_items(struct format *f, const nds_value *v, char opener)
{
    size_t i = 0;
    int rc = 0;

    if (v->kind != (opener == '(' ? NDS_VALUE_TUPLE : NDS_VALUE_LIST) ||
        ++f->depth > DEEPEST) {
        return not_a(f, v, opener == '(' ? "a tuple" : "a list");
    }
    f->at++;
    while (rc == 0 && next_char(f) != closer(opener)) {
        if (*f->at == '*') {
            // Whatever else there is.
            f->at++;
            i = v->count;
        } else if (i >= v->count) {
            rc = not_a(f, v, "so long");
        } else {
            rc = unpack(f, v->items[i++]);
        }
    }
    if (rc == 0 && i != v->count) {
        rc = not_a(f, v, "so short");
    }
    f->at += rc == 0;
    f->depth--;
    return rc;
}

/* Keys are arguments; one with '?' may be missing, and then its place is left
 * as it was. */
static int
unpack_dict(struct format *f, const nds_value *v)
{
    int rc = v->kind == NDS_VALUE_DICT && ++f->depth <= DEEPEST
                 ? 0
                 : not_a(f, v, "a dict");

    f->at += rc == 0;
    while (rc == 0 && next_char(f) != '}') {
        bool optional = f->at[0] == 's' && f->at[1] == '?';
        const char *key;
        const nds_value *item;

        if (*f->at != 's') {
            return bad_format(f, "a key, s, is expected");
        }
        f->at += optional ? 2 : 1;
        key = va_arg(f->args, const char *);
        item = nds_value_get(v, key);
        next_char(f);
        if (item != NULL) {
            rc = unpack(f, item);
        } else if (!optional) {
            rc = ndi_fail(NDS_EKEY, "format '%s' at %d: no key '%s'", f->text,
                          (int)(f->at - f->text), key);
        } else if (strchr("([{", *f->at) != NULL) {
            rc = bad_format(f, "what may be missing has to be one value");
        } else {
            (void)va_arg(f->args, void *);
            if (*f->at == 'y' || f->at[1] == '#') {
                (void)va_arg(f->args, size_t *);
                f->at += *f->at != 'y';
            }
            f->at++;
        }
    }
    f->at += rc == 0;
    f->depth--;
    return rc;
}

static int
unpack_number(struct format *f, const nds_value *v, char c)
{
    int64_t n = 0;

    if (c == 'f') {
        double *d = va_arg(f->args, double *);

        return nds_value_as_float(v, d) ? 0 : not_a(f, v, "a float");
    }
    if (c == 'b') {
        bool *b = va_arg(f->args, bool *);

        return nds_value_as_bool(v, b) ? 0 : not_a(f, v, "a bool");
    }
    if (!nds_value_as_int(v, &n) || (c == 'i' && (n < INT_MIN || n > INT_MAX))) {
        return not_a(f, v, c == 'i' ? "an int of 32 bits" : "an int");
    }
    if (c == 'i') {
        *va_arg(f->args, int *) = (int)n;
    } else {
        *va_arg(f->args, int64_t *) = n;
    }
    return 0;
}

static int
unpack_text(struct format *f, const nds_value *v, char c)
{
    bool counted = c == 'y' || f->at[1] == '#';
    const char **text = va_arg(f->args, const char **);
    size_t *nbytes = counted ? va_arg(f->args, size_t *) : NULL;
    bool right = c == 's' ? v->kind == NDS_VALUE_STR
                          : v->kind == NDS_VALUE_BYTES ||
                                v->kind == NDS_VALUE_BYTEARRAY;

    if (!right) {
        return not_a(f, v, c == 's' ? "a str" : "bytes");
    }
    if (!counted && strlen(v->u.text) != v->v.nbytes) {
        return not_a(f, v, "a str without NUL");
    }
    *text = nds_value_text(v, nbytes);
    f->at += c == 's' && counted;
    return 0;
}

static int
unpack(struct format *f, const nds_value *v)
{
    char c = next_char(f);
    int rc = 0;

    switch (c) {
    case '(':
    case '[':
        return unpack_items(f, v, c);
    case '{':
        return unpack_dict(f, v);
    case 'n':
        rc = nds_value_is_none(v) ? 0 : not_a(f, v, "None");
        break;
    case 'b':
    case 'i':
    case 'I':
    case 'f':
        rc = unpack_number(f, v, c);
        break;
    case 's':
    case 'y':
        rc = unpack_text(f, v, c);
        break;
    case 'a': {
        nds_array **a = va_arg(f->args, nds_array **);

        *a = nds_value_as_array(v);
        rc = *a != NULL ? 0 : not_a(f, v, "an array");
        break;
    }
    case 'o':
        *va_arg(f->args, const nds_value **) = v;
        break;
    default:
        return bad_format(f, "one of n b i I f s s# y a o ( [ { is expected");
    }
    f->at += rc == 0;
    return rc;
}

int
nds_value_unpack(const nds_value *v, const char *format, ...)
{
    struct format f = {.text = format, .at = format};
    int rc;

    va_start(f.args, format);
    rc = unpack(&f, v);
    va_end(f.args);
    if (rc == 0 && next_char(&f) != '\0') {
        rc = bad_format(&f, "one value is read, and there is more");
    }
    return rc;
}
