/* SPDX-License-Identifier: MIT */
/*
 * promote.c - which dtype comes out, as NumPy 2 decides it
 *
 * Two arrays: the smallest type that holds both kinds. A scalar is weak: it
 * brings its kind, never its size.
 */
#include "ops_impl.h"

#include <base/fail.h>

#include <stdio.h>
#include <stdlib.h>

#define B NDS_TYPE_BOOL
#define D NDS_TYPE_FLOAT64

bool
ndi_is_number(const nds_dtype *dt)
{
    return dt->type <= NDS_TYPE_COMPLEX128 && !dt->swapped;
}

const char *
ndi_op_name(enum nds_op op)
{
    static const char *const names[] = {"add", "subtract", "multiply",
                                        "divide"};

    return names[op];
}

int
ndi_refuse_dtype(const char *ufunc, const nds_dtype *dt)
{
    char *text = NULL;

    nds_dtype_str(dt, &text);
    ndi_fail(NDS_ECAST, "ufunc '%s' not supported for dtype('%s')", ufunc,
             text ? text : "?");
    free(text);
    return NDS_ECAST;
}

void
ndi_shape_compact(char *text, size_t room, int ndim, const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, room, "(");

    for (int i = 0; i < ndim && at < room; i++) {
        at += (size_t)snprintf(text + at, room - at,
                               i == ndim - 1 && ndim > 1 ? "%lld" : "%lld,",
                               (long long)shape[i]);
    }
    if (at < room) {
        snprintf(text + at, room - at, ")");
    }
}

static char
kind_of(enum nds_type t)
{
    return nds_dtype_builtin(t)->kind;
}

/* A float that holds every value of the integer type, as far as one does. */
static enum nds_type
float_for(enum nds_type t)
{
    switch ((int)t) {
    case NDS_TYPE_BOOL:
    case NDS_TYPE_INT8:
    case NDS_TYPE_UINT8:
        return NDS_TYPE_FLOAT16;
    case NDS_TYPE_INT16:
    case NDS_TYPE_UINT16:
        return NDS_TYPE_FLOAT32;
    case NDS_TYPE_COMPLEX64:
        return NDS_TYPE_FLOAT32;
    case NDS_TYPE_COMPLEX128:
        return NDS_TYPE_FLOAT64;
    case NDS_TYPE_FLOAT16:
    case NDS_TYPE_FLOAT32:
    case NDS_TYPE_FLOAT64:
    case NDS_TYPE_LONGDOUBLE:
        return t;
    default:
        return NDS_TYPE_FLOAT64;
    }
}

static enum nds_type
promote_ints(enum nds_type a, enum nds_type b)
{
    int64_t sa = ndi_ops_itemsize(a);
    int64_t sb = ndi_ops_itemsize(b);
    int64_t u;

    if (a == B || b == B) {
        return a == B ? b : a;
    }
    if (kind_of(a) == kind_of(b)) {
        return sa >= sb ? a : b;
    }
    if (kind_of(a) == 'u') {
        enum nds_type t = a;

        a = b;
        b = t;
        u = sa;
        sa = sb;
        sb = u;
    }
    if (sa > sb) {
        return a; /* the signed one is wider */
    }
    return sb == 1   ? NDS_TYPE_INT16
           : sb == 2 ? NDS_TYPE_INT32
           : sb == 4 ? NDS_TYPE_INT64
                     : NDS_TYPE_FLOAT64;
}

/* 0: there is no such type here (long double with complex). */
static enum nds_type
promote(enum nds_type a, enum nds_type b)
{
    bool complex = kind_of(a) == 'c' || kind_of(b) == 'c';
    enum nds_type f;

    if (a <= NDS_TYPE_UINT64 && b <= NDS_TYPE_UINT64) {
        return promote_ints(a, b);
    }
    f = float_for(a) > float_for(b) ? float_for(a) : float_for(b);
    if (!complex) {
        return f;
    }
    return f == NDS_TYPE_LONGDOUBLE ? 0
           : f == NDS_TYPE_FLOAT64  ? NDS_TYPE_COMPLEX128
                                    : NDS_TYPE_COMPLEX64;
}

static int
check_operands(enum nds_op op, const nds_dtype *a, const nds_dtype *b)
{
    if (!ndi_is_number(a)) {
        return ndi_refuse_dtype(ndi_op_name(op), a);
    }
    if (!ndi_is_number(b)) {
        return ndi_refuse_dtype(ndi_op_name(op), b);
    }
    if (op == NDS_SUBTRACT && a->type == B && b->type == B) {
        return ndi_fail(NDS_ECAST,
                        "numpy boolean subtract, the `-` operator, is not "
                        "supported, use the bitwise_xor, the `^` operator, or "
                        "the logical_xor function instead.");
    }
    return 0;
}

int
nds_binary_dtype(enum nds_op op, const nds_dtype *a, const nds_dtype *b,
                 const nds_dtype **out)
{
    enum nds_type t;
    int rc = check_operands(op, a, b);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    t = op == NDS_DIVIDE && a->type <= NDS_TYPE_UINT64 &&
                b->type <= NDS_TYPE_UINT64
            ? D
            : promote(a->type, b->type);
    if (t == 0) {
        return ndi_fail(NDS_ECAST, "ufunc '%s' would need complex256, which "
                        "is not supported", ndi_op_name(op));
    }
    *out = nds_dtype_builtin(t);
    return 0;
}

int
nds_binary_scalar_dtype(enum nds_op op, const nds_dtype *a,
                        const nds_scalar *s, const nds_dtype **out)
{
    enum nds_type t = a->type;
    char k = s->dtype->kind;
    int rc = check_operands(op, a, s->dtype);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    if (t == B && (k == 'i' || k == 'u')) {
        t = NDS_TYPE_INT64;
    } else if (t <= NDS_TYPE_UINT64 && (k == 'f' || k == 'c')) {
        t = k == 'f' ? D : NDS_TYPE_COMPLEX128;
    } else if (k == 'c' && kind_of(t) == 'f') {
        t = promote(t, NDS_TYPE_COMPLEX64);
    }
    if (op == NDS_DIVIDE && t != 0 && t <= NDS_TYPE_UINT64) {
        t = D;
    }
    if (t == 0) {
        return ndi_fail(NDS_ECAST, "ufunc '%s' would need complex256, which "
                        "is not supported", ndi_op_name(op));
    }
    *out = nds_dtype_builtin(t);
    return 0;
}

bool
ndi_same_kind(enum nds_type from, enum nds_type to)
{
    /* b < u < i < f < c: an unsigned may become signed, not the reverse. */
    const char *ranks = "buifc";
    return strchr(ranks, kind_of(from)) <= strchr(ranks, kind_of(to));
}
