/* SPDX-License-Identifier: MIT */
/* convert.c - arrays, numbers and indices to and from values */
#include <mgr/mgr_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <ndshare/ops.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The 0-d view's element as a scalar of the widest type of its kind; false
 * for what has no such type. */
static bool
widen(const nds_view *v, nds_scalar *out)
{
    nds_view to;
    int rc;

    if (nds_dtype_type(v->dtype) == NDS_TYPE_LONGDOUBLE) {
        return false;
    }
    switch (nds_dtype_kind(v->dtype)) {
    case 'b': *out = nds_bool(false); break;
    case 'i': *out = nds_int(0); break;
    case 'u': *out = nds_uint(0); break;
    case 'f': *out = nds_float(0); break;
    case 'c': *out = nds_complex(0, 0); break;
    default: return false;
    }
    nds_scalar_view(&to, out);
    rc = nds_assign(&to, v);
    nds_view_fini(&to);
    return rc == 0;
}

static nds_value *
plain_number(const nds_scalar *s)
{
    double part[2];
    uint64_t u;

    switch (nds_dtype_kind(s->dtype)) {
    case 'b':
        return nds_value_bool(s->data[0] != 0);
    case 'i':
        return nds_value_int(nds_scalar_int64(s));
    case 'u':
        memcpy(&u, s->data, sizeof u);
        return nds_value_uint(u);
    case 'f':
        return nds_value_float(nds_scalar_double(s));
    default:
        memcpy(part, s->data, sizeof part);
        return nds_value_complex(part[0], part[1]);
    }
}

nds_value *
ndi_value_of_element(const nds_view *v)
{
    nds_scalar s;
    nds_array *a;

    if (widen(v, &s)) {
        return plain_number(&s);
    }
    return nds_array_copy(&a, v, NULL) < 0 ? NULL
                                           : ndi_value_of_array(a, true);
}

nds_value *
ndi_value_of_result(nds_array *a)
{
    nds_value *v;

    if (nds_array_view(a)->ndim != 0) {
        return ndi_value_of_array(a, false);
    }
    v = ndi_value_of_element(nds_array_view(a));
    nds_array_close(a);
    return v;
}

bool
ndi_scalar_of_value(const nds_value *v, nds_scalar *out)
{
    bool truth;
    int64_t i;
    double d;

    switch (nds_value_kind(v)) {
    case NDS_VALUE_BOOL:
        nds_value_as_bool(v, &truth);
        *out = nds_bool(truth);
        return true;
    case NDS_VALUE_INT:
        nds_value_as_int(v, &i);
        *out = nds_int(i);
        return true;
    case NDS_VALUE_BIGINT:
        if (v->v.nbytes == 9 && v->u.text[8] == 0) {
            uint64_t u;

            memcpy(&u, v->u.text, sizeof u);
            *out = nds_uint(u);
            return true;
        }
        if (!nds_value_as_float(v, &d)) {
            return false;
        }
        *out = nds_float(d);
        return true;
    case NDS_VALUE_FLOAT:
        *out = nds_float(v->u.re);
        return true;
    case NDS_VALUE_COMPLEX:
        *out = nds_complex(v->u.re, v->v.im);
        return true;
    case NDS_VALUE_SCALAR:
        return widen(nds_array_view(nds_value_as_array(v)), out);
    default:
        return false;
    }
}

static int
array_of_scalar(const nds_scalar *s, nds_array **out)
{
    nds_scalar copy = *s;
    nds_view v;
    int rc;

    nds_scalar_view(&v, &copy);
    rc = nds_array_copy(out, &v, NULL);
    nds_view_fini(&v);
    return rc;
}

/* The shape of nested lists, by their first items, and the widest kind of
 * their numbers: b, i, u, f or c. */
static int
survey(const nds_value *v, int depth, int *ndim, int64_t *shape, char *kind)
{
    static const char order[] = "biufc";
    nds_scalar s;
    char k;

    if (nds_value_kind(v) == NDS_VALUE_LIST ||
        nds_value_kind(v) == NDS_VALUE_TUPLE) {
        int64_t n = (int64_t)nds_value_count(v);

        if (depth >= NDS_MAX_NDIM) {
            return ndi_fail(NDS_ESHAPE, "more than 64 dimensions");
        }
        if (depth == *ndim) {
            shape[(*ndim)++] = n;
        } else if (depth > *ndim || shape[depth] != n) {
            goto ragged;
        }
        for (int64_t i = 0; i < n; i++) {
            int rc = survey(nds_value_item(v, (size_t)i), depth + 1, ndim,
                            shape, kind);

            if (rc < 0) {
                return rc;
            }
        }
        return 0;
    }
    if (!ndi_scalar_of_value(v, &s)) {
        return ndi_fail(NDS_ECAST, "a list of something that is no number");
    }
    if (*ndim > depth) {
        goto ragged;
    }
    k = nds_dtype_kind(s.dtype);
    if (strchr(order, k) > strchr(order, *kind)) {
        *kind = k;
    }
    return 0;
ragged:
    return ndi_fail(NDS_EINVAL, "setting an array element with a sequence. "
                    "The requested array has an inhomogeneous shape");
}

/* Numbers of nested lists, in C order. */
static int
pour(const nds_value *v, const nds_dtype *dt, unsigned char **to)
{
    nds_scalar s;
    nds_view src, dst;
    int rc = 0;

    if (!ndi_scalar_of_value(v, &s)) {
        for (size_t i = 0; rc == 0 && i < nds_value_count(v); i++) {
            rc = pour(nds_value_item(v, i), dt, to);
        }
        return rc;
    }
    rc = nds_view_init(&dst, dt, *to, (size_t)nds_dtype_itemsize(dt), 0,
                       NULL);
    if (rc < 0) {
        return rc;
    }
    nds_scalar_view(&src, &s);
    rc = nds_assign(&dst, &src);
    nds_view_fini(&src);
    nds_view_fini(&dst);
    *to += nds_dtype_itemsize(dt);
    return rc;
}

static int
array_of_list(const nds_value *v, nds_array **out)
{
    int64_t shape[NDS_MAX_NDIM];
    char kind = 'b';
    int ndim = 0;
    const nds_dtype *dt;
    unsigned char *to;
    int rc = survey(v, 0, &ndim, shape, &kind);

    if (rc < 0) {
        return rc;
    }
    // An empty list is float64, as in NumPy.
    dt = shape[ndim - 1] == 0 || kind == 'f' ? NDS_FLOAT64
         : kind == 'b'                       ? NDS_BOOL
         : kind == 'i'                       ? NDS_INT64
         : kind == 'u'                       ? NDS_UINT64
                                             : NDS_COMPLEX128;
    rc = nds_array_new(out, dt, ndim, shape, NULL);
    if (rc < 0) {
        return rc;
    }
    to = nds_array_data(*out);
    rc = pour(v, dt, &to);
    if (rc < 0) {
        nds_array_close(ndi_steal(out));
    }
    return rc;
}

int
ndi_array_of_value(struct ndi_idents *t, const nds_value *v, nds_array **out,
                   bool *weak)
{
    nds_scalar s;
    struct ndi_hosted *h;
    const nds_value *token;
    int rc;

    *out = NULL;
    *weak = false;
    switch (nds_value_kind(v)) {
    case NDS_VALUE_ARRAY:
    case NDS_VALUE_SCALAR:
        return nds_array_get(out, nds_value_as_array(v));
    case NDS_VALUE_LIST:
    case NDS_VALUE_TUPLE:
        return array_of_list(v, out);
    case NDS_VALUE_PROXY:
        token = nds_value_item(v, 1);
        h = t == NULL ? NULL
                      : ndi_idents_get(t, nds_value_text(
                                              nds_value_item(token, 2),
                                              NULL));
        if (h == NULL) {
            return ndi_fail(NDS_EKEY, "a proxy of an object that is not "
                            "hosted here");
        }
        if (h->array == NULL) {
            ndi_idents_put(t, h);
            return ndi_fail(NDS_ECAST, "a proxy of what is no array");
        }
        rc = nds_array_get(out, h->array);
        ndi_idents_put(t, h);
        return rc;
    default:
        break;
    }
    if (!ndi_scalar_of_value(v, &s)) {
        return ndi_fail(NDS_ECAST, "a number or an array was expected");
    }
    *weak = true;
    return array_of_scalar(&s, out);
}

static int
check_weak(const nds_scalar *number, const nds_dtype *to)
{
    char kind = nds_dtype_kind(to), from = nds_dtype_kind(number->dtype);
    bool is_int = kind == 'i' || kind == 'u';
    double d;

    if (from == 'c' && (is_int || kind == 'f')) {
        return ndi_fail(NDS_ECAST, "%s must be a %sreal number, not 'complex'",
                        is_int ? "int() argument" : "float() argument",
                        is_int ? "string, a bytes-like object or a "
                               : "string or a ");
    }
    d = from == 'f' && is_int ? nds_scalar_double(number) : 0;
    if (isnan(d)) {
        return ndi_fail(NDS_EINVAL, "cannot convert float NaN to integer");
    }
    if (isinf(d)) {
        return ndi_fail(NDS_EOVERFLOW,
                        "cannot convert float infinity to integer");
    }
    return 0;
}

int
ndi_assign_value(const nds_view *dst, const nds_value *v,
                 const nds_array *value, bool weak)
{
    nds_scalar number;
    int rc;

    if (!weak || !ndi_scalar_of_value(v, &number)) {
        return nds_assign(dst, nds_array_view(value));
    }
    rc = check_weak(&number, dst->dtype);
    return rc < 0 ? rc : nds_fill(dst, number);
}

/* None is what a slice leaves out. */
static int
slice_part(const nds_value *v, int64_t *out)
{
    if (nds_value_kind(v) == NDS_VALUE_NONE) {
        *out = NDS_INDEX_MISSING;
        return 0;
    }
    if (nds_value_kind(v) == NDS_VALUE_BIGINT) {
        // Python clips; so far beyond the ends nothing else can be meant.
        *out = v->u.text[v->v.nbytes - 1] & 0x80 ? -INT64_MAX : INT64_MAX;
        return 0;
    }
    if (!nds_value_as_int(v, out)) {
        return ndi_fail(NDS_ECAST, "slice indices must be integers or None "
                        "or have an __index__ method");
    }
    if (*out == INT64_MIN) {
        *out = -INT64_MAX;
    }
    return 0;
}

static int
one_index(const nds_value *v, nds_index *x, bool *ellipsis)
{
    int rc = 0;

    *x = (nds_index){0};
    switch (nds_value_kind(v)) {
    case NDS_VALUE_ELLIPSIS:
        x->kind = NDS_INDEX_ELLIPSIS;
        *ellipsis = true;
        return 0;
    case NDS_VALUE_NONE:
        x->kind = NDS_INDEX_NEWAXIS;
        return 0;
    case NDS_VALUE_SLICE:
        x->kind = NDS_INDEX_SLICE;
        rc = slice_part(nds_value_item(v, 0), &x->start);
        rc = rc < 0 ? rc : slice_part(nds_value_item(v, 1), &x->stop);
        return rc < 0 ? rc : slice_part(nds_value_item(v, 2), &x->step);
    case NDS_VALUE_BOOL:
    case NDS_VALUE_FLOAT:
        break;
    default:
        x->kind = NDS_INDEX_INT;
        if (nds_value_as_int(v, &x->start)) {
            return 0;
        }
    }
    return ndi_fail(NDS_EINDEX, "only integers, slices (`:`), ellipsis "
                    "(`...`) and numpy.newaxis (`None`) are valid indices "
                    "of a hosted array");
}

int
ndi_index_of_value(const nds_value *v, nds_index *index, int *count,
                   bool *ellipsis)
{
    int rc = 0;

    *ellipsis = false;
    if (nds_value_kind(v) != NDS_VALUE_TUPLE) {
        *count = 1;
        return one_index(v, index, ellipsis);
    }
    if (nds_value_count(v) > 2 * NDS_MAX_NDIM) {
        return ndi_fail(NDS_EINDEX, "too many indices for array");
    }
    *count = (int)nds_value_count(v);
    for (int i = 0; rc == 0 && i < *count; i++) {
        rc = one_index(nds_value_item(v, (size_t)i), &index[i], ellipsis);
    }
    return rc;
}

nds_value *
ndi_value_of_index(const nds_index *index, int count)
{
    nds_value *t = nds_value_tuple();

    for (int i = 0; t != NULL && i < count; i++) {
        const nds_index *x = &index[i];
        nds_value *v;

        switch (x->kind) {
        case NDS_INDEX_INT: v = nds_value_int(x->start); break;
        case NDS_INDEX_SLICE:
            v = nds_value_slice(x->start, x->stop, x->step);
            break;
        case NDS_INDEX_ELLIPSIS: v = nds_value_ellipsis(); break;
        default: v = nds_value_none(); break;
        }
        if (nds_value_append(t, v) < 0) {
            nds_value_free(t);
            return NULL;
        }
    }
    return t;
}

nds_value *
ndi_value_of_list(const nds_view *v)
{
    nds_index at = {.kind = NDS_INDEX_INT};
    nds_value *list, *item;
    nds_view sub;

    if (v->ndim == 0) {
        return ndi_value_of_element(v);
    }
    list = nds_value_list();
    for (int64_t i = 0; list != NULL && i < v->shape[0]; i++) {
        at.start = i;
        item = NULL;
        if (nds_view_index(&sub, v, 1, &at) == 0) {
            item = ndi_value_of_list(&sub);
            nds_view_fini(&sub);
        }
        if (nds_value_append(list, item) < 0) {
            nds_value_free(list);
            list = NULL;
        }
    }
    return list;
}
