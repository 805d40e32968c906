/* SPDX-License-Identifier: MIT */
/* value_compare.c - values copied, and compared as Python's == and < do */
#include <pickle/value_impl.h>

#include <base/fail.h>

#include <string.h>

nds_value *
ndi_value_copy(const nds_value *v)
{
    nds_value *c;

    if (ndi_value_has_text(v)) {
        return ndi_value_text(v->kind, v->u.text, v->v.nbytes);
    }
    c = ndi_value_new(v->kind);
    if (c == NULL) {
        return NULL;
    }
    c->u = v->u;
    c->v = v->v;
    if (v->kind == NDS_VALUE_ARRAY || v->kind == NDS_VALUE_SCALAR) {
        c->u.array = NULL;
        if (nds_array_get(&c->u.array, v->u.array) < 0) {
            nds_value_free(c);
            return NULL;
        }
    } else if (v->kind == NDS_VALUE_DTYPE) {
        c->u.dtype = nds_dtype_get(v->u.dtype);
    }
    for (size_t i = 0; i < v->count; i++) {
        nds_value *item = ndi_value_copy(v->items[i]);
        int rc = item != NULL ? ndi_value_push(c, item) : NDS_ENOMEM;

        nds_value_free(item);
        if (rc < 0) {
            nds_value_free(c);
            return NULL;
        }
    }
    return c;
}

static bool
is_number(const nds_value *v)
{
    double d;

    return nds_value_as_float(v, &d);
}

static bool
items_equal(const nds_value *a, const nds_value *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (!ndi_value_equal(a->items[i], b->items[i])) {
            return false;
        }
    }
    return true;
}

/* Each entry of one is in the other, in whatever order. */
static bool
entries_equal(const nds_value *a, const nds_value *b, size_t width)
{
    for (size_t i = 0; i < a->count; i += width) {
        size_t k = 0;

        while (k < b->count &&
               !(ndi_value_equal(a->items[i], b->items[k]) &&
                 (width == 1 ||
                  ndi_value_equal(a->items[i + 1], b->items[k + 1])))) {
            k += width;
        }
        if (k >= b->count) {
            return false;
        }
    }
    return true;
}

static bool
numbers_equal(const nds_value *a, const nds_value *b)
{
    int64_t i, k;
    double x, y;

    if (nds_value_as_int(a, &i) && nds_value_as_int(b, &k)) {
        return i == k;
    }
    return nds_value_as_float(a, &x) && nds_value_as_float(b, &y) && x == y;
}

/* A frozen one equals another. */
static bool
is_set(const nds_value *v)
{
    return v->kind == NDS_VALUE_SET || v->kind == NDS_VALUE_FROZENSET;
}

bool
ndi_value_equal(const nds_value *a, const nds_value *b)
{
    if (a->kind == NDS_VALUE_BIGINT && b->kind == NDS_VALUE_BIGINT) {
        return a->v.nbytes == b->v.nbytes &&
               memcmp(a->u.text, b->u.text, a->v.nbytes) == 0;
    }
    if (is_number(a) && is_number(b)) {
        return numbers_equal(a, b);
    }
    if (a->kind != b->kind && !(is_set(a) && is_set(b))) {
        return false;
    }
    if (ndi_value_has_text(a)) {
        return a->v.nbytes == b->v.nbytes &&
               memcmp(a->u.text, b->u.text, a->v.nbytes) == 0;
    }
    switch (a->kind) {
    case NDS_VALUE_NONE:
    case NDS_VALUE_ELLIPSIS:
    case NDS_VALUE_NOTIMPLEMENTED:
        return true;
    case NDS_VALUE_COMPLEX:
        return a->u.re == b->u.re && a->v.im == b->v.im;
    case NDS_VALUE_TYPE:
        return a->u.symbol == b->u.symbol;
    case NDS_VALUE_DTYPE:
        return nds_dtype_equal(a->u.dtype, b->u.dtype);
    case NDS_VALUE_LIST:
    case NDS_VALUE_TUPLE:
    case NDS_VALUE_SLICE:
    case NDS_VALUE_RANGE:
        return a->count == b->count && items_equal(a, b);
    case NDS_VALUE_DICT:
        return a->count == b->count && entries_equal(a, b, 2);
    case NDS_VALUE_SET:
    case NDS_VALUE_FROZENSET:
        return a->count == b->count && entries_equal(a, b, 1);
    case NDS_VALUE_PROXY:
        return ndi_value_equal(a->items[1]->items[2], b->items[1]->items[2]);
    default:
        return false;
    }
}

/* *less: a < b. NDS_ECAST with Python's words for what has no order. */
int
ndi_value_less(const nds_value *a, const nds_value *b, bool *less)
{
    int64_t i, k;
    double x, y;

    if (nds_value_as_int(a, &i) && nds_value_as_int(b, &k)) {
        *less = i < k;
        return 0;
    }
    if (nds_value_as_float(a, &x) && nds_value_as_float(b, &y)) {
        *less = x < y;
        return 0;
    }
    if (a->kind == b->kind &&
        (a->kind == NDS_VALUE_STR || a->kind == NDS_VALUE_BYTES)) {
        size_t n = a->v.nbytes < b->v.nbytes ? a->v.nbytes : b->v.nbytes;
        int c = memcmp(a->u.text, b->u.text, n);

        // The order of UTF-8's bytes is that of its characters.
        *less = c < 0 || (c == 0 && a->v.nbytes < b->v.nbytes);
        return 0;
    }
    if (a->kind == b->kind &&
        (a->kind == NDS_VALUE_LIST || a->kind == NDS_VALUE_TUPLE)) {
        for (size_t at = 0; at < a->count && at < b->count; at++) {
            if (!ndi_value_equal(a->items[at], b->items[at])) {
                return ndi_value_less(a->items[at], b->items[at], less);
            }
        }
        *less = a->count < b->count;
        return 0;
    }
    return ndi_fail(NDS_ECAST, "'<' not supported between these types");
}
