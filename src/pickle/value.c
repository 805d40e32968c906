/* SPDX-License-Identifier: MIT */
/* value.c - making, counting and asking values */
#include <pickle/value_impl.h>

#include <base/fail.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

nds_value *
ndi_value_new(int kind)
{
    nds_value *v = calloc(1, sizeof *v);

    if (v == NULL) {
        ndi_fail_nomem(sizeof *v, "a value");
        return NULL;
    }
    v->refs = 1;
    v->kind = (uint8_t)kind;
    return v;
}

nds_value *
ndi_value_get(nds_value *v)
{
    v->refs++;
    return v;
}

bool
ndi_value_has_text(const nds_value *v)
{
    return v->kind == NDS_VALUE_STR || v->kind == NDS_VALUE_BYTES ||
           v->kind == NDS_VALUE_BYTEARRAY || v->kind == NDS_VALUE_BIGINT ||
           v->kind == NDS_VALUE_NAME;
}

static bool
holds_items(const nds_value *v)
{
    switch (v->kind) {
    case NDS_VALUE_LIST:
    case NDS_VALUE_TUPLE:
    case NDS_VALUE_DICT:
    case NDS_VALUE_SET:
    case NDS_VALUE_FROZENSET:
    case NDS_VALUE_SLICE:
    case NDS_VALUE_RANGE:
    case NDS_VALUE_EXCEPTION:
    case NDS_VALUE_TOKEN:
    case NDS_VALUE_PROXY:
    case NDI_VALUE_CALL:
        return true;
    default:
        return false;
    }
}

void
ndi_value_clear(nds_value *v)
{
    nds_value **items = v->items;
    size_t count = v->count;

    v->items = NULL;
    v->count = v->room = 0;
    for (size_t i = 0; i < count; i++) {
        nds_value_free(items[i]);
    }
    free(items);
}

void
nds_value_free(nds_value *v)
{
    if (v == NULL || --v->refs != 0) {
        return;
    }
    ndi_value_clear(v);
    if (ndi_value_has_text(v)) {
        if (v->backing == NULL && v->memory != NDI_TEXT_ALIEN) {
            free(v->u.text);
        }
        nds_array_close(v->backing);
    } else if (v->kind == NDS_VALUE_ARRAY || v->kind == NDS_VALUE_SCALAR) {
        nds_array_close(v->u.array);
    } else if (v->kind == NDS_VALUE_DTYPE) {
        nds_dtype_put(v->u.dtype);
    }
    free(v);
}

nds_value *
ndi_value_text(int kind, const void *data, size_t nbytes)
{
    nds_value *v = ndi_value_new(kind);

    if (v == NULL) {
        return NULL;
    }
    v->u.text = malloc(nbytes + 1);
    if (v->u.text == NULL) {
        free(v);
        ndi_fail_nomem(nbytes, "a text");
        return NULL;
    }
    if (nbytes != 0) {
        memcpy(v->u.text, data, nbytes);
    }
    v->u.text[nbytes] = '\0';
    v->v.nbytes = nbytes;
    return v;
}

int
ndi_value_push(nds_value *container, nds_value *item)
{
    if (container->count == container->room) {
        size_t room = container->room < 4 ? 4 : container->room * 2;
        nds_value **items;

        items = realloc(container->items, room * sizeof *items);
        if (items == NULL) {
            return ndi_fail_nomem(room * sizeof *items, "a container");
        }
        container->items = items;
        container->room = room;
    }
    container->items[container->count++] = ndi_value_get(item);
    return 0;
}

int
nds_value_append(nds_value *container, nds_value *item)
{
    int rc;

    if (container == NULL || item == NULL) {
        nds_value_free(item);
        return ndi_fail_nomem(sizeof *item, "a value");
    }
    rc = holds_items(container)
             ? ndi_value_push(container, item)
             : ndi_fail(NDS_EINVAL, "the value holds no items");
    nds_value_free(item);
    return rc;
}

static size_t
find_key(const nds_value *dict, const char *key)
{
    size_t nbytes = strlen(key);

    for (size_t i = 0; i + 1 < dict->count; i += 2) {
        const nds_value *k = dict->items[i];

        if (k->kind == NDS_VALUE_STR && k->v.nbytes == nbytes &&
            memcmp(k->u.text, key, nbytes) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

nds_value *
ndi_value_cut(nds_value *list, size_t at)
{
    nds_value *item = list->items[at];

    memmove(&list->items[at], &list->items[at + 1],
            (list->count - at - 1) * sizeof *list->items);
    list->count--;
    return item;
}

int
ndi_value_insert(nds_value *list, size_t at, nds_value *item)
{
    int rc = nds_value_append(list, item);

    if (rc == 0) {
        item = list->items[list->count - 1];
        memmove(&list->items[at + 1], &list->items[at],
                (list->count - 1 - at) * sizeof *list->items);
        list->items[at] = item;
    }
    return rc;
}

int
nds_value_set(nds_value *dict, const char *key, nds_value *item)
{
    nds_value *k;
    size_t at;
    int rc;

    if (dict == NULL || item == NULL) {
        nds_value_free(item);
        return ndi_fail_nomem(sizeof *item, "a value");
    }
    if (dict->kind != NDS_VALUE_DICT) {
        nds_value_free(item);
        return ndi_fail(NDS_EINVAL, "the value is no dict");
    }
    at = find_key(dict, key);
    if (at != SIZE_MAX) {
        nds_value_free(dict->items[at + 1]);
        dict->items[at + 1] = item;
        return 0;
    }
    k = nds_value_str(key);
    rc = k != NULL ? ndi_value_push(dict, k) : NDS_ENOMEM;
    nds_value_free(k);
    if (rc == 0) {
        rc = ndi_value_push(dict, item);
        if (rc < 0) {
            nds_value_free(dict->items[--dict->count]);
        }
    }
    nds_value_free(item);
    return rc;
}

nds_value *
nds_value_none(void)
{
    return ndi_value_new(NDS_VALUE_NONE);
}

nds_value *
nds_value_ellipsis(void)
{
    return ndi_value_new(NDS_VALUE_ELLIPSIS);
}

nds_value *
nds_value_list(void)
{
    return ndi_value_new(NDS_VALUE_LIST);
}

nds_value *
nds_value_tuple(void)
{
    return ndi_value_new(NDS_VALUE_TUPLE);
}

nds_value *
nds_value_dict(void)
{
    return ndi_value_new(NDS_VALUE_DICT);
}

nds_value *
nds_value_bool(bool value)
{
    nds_value *v = ndi_value_new(NDS_VALUE_BOOL);

    if (v != NULL) {
        v->u.truth = value;
    }
    return v;
}

nds_value *
nds_value_int(int64_t value)
{
    nds_value *v = ndi_value_new(NDS_VALUE_INT);

    if (v != NULL) {
        v->u.integer = value;
    }
    return v;
}

nds_value *
nds_value_uint(uint64_t value)
{
    unsigned char bytes[9] = {0};

    if (value <= INT64_MAX) {
        return nds_value_int((int64_t)value);
    }
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    return ndi_value_text(NDS_VALUE_BIGINT, bytes, sizeof bytes);
}

nds_value *
nds_value_float(double value)
{
    nds_value *v = ndi_value_new(NDS_VALUE_FLOAT);

    if (v != NULL) {
        v->u.re = value;
    }
    return v;
}

nds_value *
nds_value_complex(double re, double im)
{
    nds_value *v = ndi_value_new(NDS_VALUE_COMPLEX);

    if (v != NULL) {
        v->u.re = re;
        v->v.im = im;
    }
    return v;
}

nds_value *
nds_value_strn(const char *text, size_t nbytes)
{
    if (!ndi_text_is_utf8(text, nbytes)) {
        ndi_fail(NDS_EINVAL, "the text is not UTF-8");
        return NULL;
    }
    return ndi_value_text(NDS_VALUE_STR, text, nbytes);
}

nds_value *
nds_value_str(const char *text)
{
    return nds_value_strn(text, strlen(text));
}

nds_value *
nds_value_bytes(const void *data, size_t nbytes)
{
    return ndi_value_text(NDS_VALUE_BYTES, data, nbytes);
}

nds_value *
nds_value_slice(int64_t start, int64_t stop, int64_t step)
{
    nds_value *v = ndi_value_new(NDS_VALUE_SLICE);
    int64_t part[3] = {start, stop, step};

    for (int i = 0; v != NULL && i < 3; i++) {
        if (nds_value_append(v, part[i] == NDS_INDEX_MISSING
                                    ? nds_value_none()
                                    : nds_value_int(part[i])) < 0) {
            nds_value_free(v);
            v = NULL;
        }
    }
    return v;
}

nds_value *
ndi_value_of_array(nds_array *a, bool scalar)
{
    nds_value *v;

    if (a == NULL) {
        return NULL;
    }
    v = ndi_value_new(scalar ? NDS_VALUE_SCALAR : NDS_VALUE_ARRAY);
    if (v == NULL) {
        nds_array_close(a);
        return NULL;
    }
    v->u.array = a;
    return v;
}

nds_value *
nds_value_array(nds_array *a)
{
    nds_array *own;

    return nds_array_get(&own, a) < 0 ? NULL : ndi_value_of_array(own, false);
}

nds_value *
nds_value_scalar(const nds_scalar *s)
{
    nds_scalar copy = *s;
    nds_array *a;
    nds_view v;
    int rc;

    nds_scalar_view(&v, &copy);
    rc = nds_array_copy(&a, &v, NULL);
    nds_view_fini(&v);
    return rc < 0 ? NULL : ndi_value_of_array(a, true);
}

nds_value *
nds_value_dtype(const nds_dtype *dt)
{
    nds_value *v = ndi_value_new(NDS_VALUE_DTYPE);

    if (v != NULL) {
        v->u.dtype = nds_dtype_get(dt);
    }
    return v;
}

nds_value *
nds_value_exception(const char *name, const char *message)
{
    nds_value *v = ndi_value_new(NDS_VALUE_EXCEPTION);

    if (v == NULL) {
        return NULL;
    }
    v->u.symbol = ndi_symbol_exception(name);
    if (v->u.symbol == NULL) {
        v->u.symbol = ndi_symbol_exception("RuntimeError");
    }
    if (message != NULL &&
        nds_value_append(v, nds_value_str(message)) < 0) {
        nds_value_free(v);
        return NULL;
    }
    return v;
}

nds_value *
ndi_value_type(const char *module, const char *name)
{
    const struct ndi_symbol *s = ndi_symbol_find(module, name);
    nds_value *v;

    if (s == NULL || !s->is_class) {
        return NULL;
    }
    v = ndi_value_new(NDS_VALUE_TYPE);
    if (v != NULL) {
        v->u.symbol = s;
    }
    return v;
}

nds_value *
nds_value_name(const char *module, const char *name)
{
    struct ndi_buf b = {0};
    nds_value *v = NULL;

    // As "module:name"; no module has a colon.
    ndi_buf_add_fmt(&b, "%s:%s", module, name);
    if (ndi_buf_ok(&b) == 0) {
        v = ndi_value_text(NDS_VALUE_NAME, b.data, b.nbytes);
    }
    ndi_buf_fini(&b);
    return v;
}

nds_value *
ndi_value_call(const char *module, const char *name, nds_value *args,
               nds_value *state, bool object)
{
    nds_value *v = ndi_value_new(NDI_VALUE_CALL);
    int rc = nds_value_append(v, nds_value_name(module, name));

    rc |= nds_value_append(v, args);
    if (object) {
        rc |= nds_value_append(v, state);
    }
    if (rc != 0) {
        nds_value_free(ndi_steal(&v));
    }
    return v;
}

enum nds_value_kind
nds_value_kind(const nds_value *v)
{
    return (enum nds_value_kind)v->kind;
}

size_t
nds_value_count(const nds_value *v)
{
    return ndi_value_has_text(v) ? v->v.nbytes : v->count;
}

const nds_value *
nds_value_item(const nds_value *v, size_t i)
{
    return i < v->count ? v->items[i] : NULL;
}

const nds_value *
nds_value_get(const nds_value *dict, const char *key)
{
    size_t at;

    if (dict == NULL || dict->kind != NDS_VALUE_DICT) {
        return NULL;
    }
    at = find_key(dict, key);
    return at == SIZE_MAX ? NULL : dict->items[at + 1];
}

/* The element of a 0-d array as a number of the given dtype. */
static bool
convert(const nds_value *v, const char *kinds, nds_scalar *out)
{
    const nds_view *src;
    nds_view dst;
    int rc;

    if (v->kind != NDS_VALUE_SCALAR && v->kind != NDS_VALUE_ARRAY) {
        return false;
    }
    src = nds_array_view(v->u.array);
    if (src->ndim != 0 ||
        strchr(kinds, nds_dtype_kind(src->dtype)) == NULL) {
        return false;
    }
    nds_scalar_view(&dst, out);
    rc = nds_assign(&dst, src);
    nds_view_fini(&dst);
    return rc == 0;
}

bool
nds_value_as_int(const nds_value *v, int64_t *out)
{
    nds_scalar s = nds_int(0);

    if (v->kind == NDS_VALUE_INT) {
        *out = v->u.integer;
        return true;
    }
    if (v->kind == NDS_VALUE_BOOL) {
        *out = v->u.truth;
        return true;
    }
    if (!convert(v, "biu", &s)) {
        return false;
    }
    *out = nds_scalar_int64(&s);
    return true;
}

bool
nds_value_as_float(const nds_value *v, double *out)
{
    nds_scalar s = nds_float(0);
    int64_t i;

    if (v->kind == NDS_VALUE_FLOAT) {
        *out = v->u.re;
        return true;
    }
    if (v->kind == NDS_VALUE_BIGINT) {
        size_t n = v->v.nbytes;
        const unsigned char *p = (const unsigned char *)v->u.text;
        double d = n != 0 && (p[n - 1] & 0x80) ? -1 : 0;

        // Two's complement from the top: -1 stands for the sign's ones.
        for (size_t k = n; k-- > 0;) {
            d = d * 256 + p[k];
        }
        *out = d;
        return isfinite(d);
    }
    if (convert(v, "f", &s)) {
        *out = nds_scalar_double(&s);
        return true;
    }
    if (nds_value_as_int(v, &i)) {
        *out = (double)i;
        return true;
    }
    return false;
}

bool
nds_value_as_bool(const nds_value *v, bool *out)
{
    nds_scalar s = nds_bool(false);

    if (v->kind == NDS_VALUE_BOOL) {
        *out = v->u.truth;
        return true;
    }
    if (v->kind == NDS_VALUE_INT &&
        (v->u.integer == 0 || v->u.integer == 1)) {
        *out = v->u.integer == 1;
        return true;
    }
    if (!convert(v, "b", &s)) {
        return false;
    }
    *out = nds_scalar_int64(&s) != 0;
    return true;
}

const char *
nds_value_text(const nds_value *v, size_t *nbytes)
{
    const char *text = NULL;
    size_t n = 0;

    if (ndi_value_has_text(v) && v->kind != NDS_VALUE_BIGINT) {
        text = v->u.text;
        n = v->v.nbytes;
    } else if (v->kind == NDS_VALUE_EXCEPTION || v->kind == NDS_VALUE_TYPE) {
        text = v->u.symbol->name;
        n = strlen(text);
    }
    if (nbytes != NULL) {
        *nbytes = n;
    }
    return text;
}

nds_array *
nds_value_as_array(const nds_value *v)
{
    return v->kind == NDS_VALUE_ARRAY || v->kind == NDS_VALUE_SCALAR
               ? v->u.array
               : NULL;
}

const nds_dtype *
nds_value_as_dtype(const nds_value *v)
{
    return v->kind == NDS_VALUE_DTYPE ? v->u.dtype : NULL;
}

int
ndi_value_to_dtype(const nds_value *v, const nds_dtype **out)
{
    *out = NULL;
    if (v == NULL || v->kind == NDS_VALUE_NONE) {
        return 0;
    }
    if (v->kind == NDS_VALUE_DTYPE) {
        *out = nds_dtype_get(v->u.dtype);
        return 0;
    }
    if (v->kind == NDS_VALUE_TYPE) {
        if (v->u.symbol->dtype == NULL) {
            return ndi_fail(NDS_EDTYPE, "data type '%s' not understood",
                            v->u.symbol->name);
        }
        return nds_dtype_parse(out, v->u.symbol->dtype);
    }
    return ndi_descr_to_dtype(v, out);
}

bool
ndi_text_is_utf8(const void *data, size_t nbytes)
{
    const unsigned char *p = data;
    size_t i = 0;

    while (i < nbytes) {
        unsigned c = p[i];
        size_t more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1
                      : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;

        if (more >= nbytes - i) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        // Too long a form, or beyond U+10FFFF. Surrogates are let through.
        if ((c == 0xe0 && p[i + 1] < 0xa0) ||
            (c == 0xf0 && p[i + 1] < 0x90) ||
            (c == 0xf4 && p[i + 1] > 0x8f)) {
            return false;
        }
        i += more + 1;
    }
    return true;
}
