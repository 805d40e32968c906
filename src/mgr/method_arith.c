/* SPDX-License-Identifier: MIT */
/*
 * method_arith.c - arithmetic on hosted arrays
 *
 * Operators give a new array to the client; add, subtract, multiply and
 * divide work in place on the server. (In-place operators are not exposed:
 * Python would bind the caller's name to the reply.)
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <nd/shape.h>
#include <ndshare/ops.h>

#include <string.h>

/* The one argument, as an array; *weak and *number for plain numbers. */
static int
operand(const struct ndi_call *c, const char *method, nds_array **out,
        bool *weak, nds_scalar *number)
{
    const nds_value *v = nds_value_item(c->args, 0);
    int rc;

    if (nds_value_count(c->args) != 1 || nds_value_count(c->kwds) != 0) {
        return ndi_fail(NDS_ECAST, "%s() takes exactly one argument",
                        method);
    }
    rc = ndi_array_of_value(c->idents, v, out, weak);
    if (rc == 0 && *weak) {
        *weak = ndi_scalar_of_value(v, number);
    }
    return rc;
}

/* The other operand in `dt`, which is what a weak number takes. */
static int
settle(nds_array **a, const nds_dtype *dt, nds_scalar number)
{
    nds_array *cast = NULL;
    int rc = nds_array_new(&cast, dt, 0, NULL, NULL);

    if (rc == 0) {
        rc = nds_fill(nds_array_view(cast), number);
    }
    if (rc < 0) {
        nds_array_close(cast);
        return rc;
    }
    nds_array_close(*a);
    *a = cast;
    return 0;
}

static int
operate(const struct ndi_call *c, const char *method, enum nds_op op,
        bool reversed, nds_value **out)
{
    const nds_view *self = ndi_call_view(c);
    nds_array *other = NULL, *result = NULL;
    const nds_dtype *dt = NULL;
    const nds_view *left, *right;
    int64_t shape[NDS_MAX_NDIM];
    nds_scalar number;
    bool weak;
    int ndim;
    int rc = operand(c, method, &other, &weak, &number);

    if (rc < 0) {
        return rc;
    }
    if (weak) {
        rc = nds_binary_scalar_dtype(op, self->dtype, &number, &dt);
        if (rc == 0 && reversed) {
            rc = settle(&other, dt, number);
        }
    } else {
        const nds_dtype *theirs = nds_array_view(other)->dtype;

        rc = nds_binary_dtype(op, reversed ? theirs : self->dtype,
                              reversed ? self->dtype : theirs, &dt);
    }
    if (rc == 0) {
        const nds_view *o = nds_array_view(other);

        left = reversed ? o : self;
        right = reversed ? self : o;
        rc = ndi_shape_broadcast(left->ndim, left->shape, right->ndim,
                                 right->shape, &ndim, shape);
    }
    if (rc == 0) {
        rc = nds_array_new(&result, dt, ndim, shape, NULL);
    }
    if (rc == 0) {
        rc = weak && !reversed
                 ? nds_binary_scalar(op, nds_array_view(result), self, number)
                 : nds_binary(op, nds_array_view(result), left, right);
    }
    nds_dtype_put(dt);
    nds_array_close(other);
    if (rc < 0) {
        nds_array_close(result);
        return rc;
    }
    *out = ndi_value_of_result(result);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

static int
in_place(const struct ndi_call *c, const char *method, enum nds_op op,
         nds_value **out)
{
    const nds_view *self = ndi_call_view(c);
    nds_array *other = NULL;
    nds_scalar number;
    bool weak;
    int rc = operand(c, method, &other, &weak, &number);

    if (rc == 0) {
        rc = weak ? nds_binary_scalar(op, self, self, number)
                  : nds_binary(op, self, self, nds_array_view(other));
    }
    nds_array_close(other);
    if (rc == 0) {
        *out = nds_value_none();
        rc = *out != NULL ? 0 : NDS_ENOMEM;
    }
    return rc;
}

static int
run_fill(const struct ndi_call *c, nds_value **out)
{
    nds_array *value = NULL;
    nds_scalar number;
    bool weak;
    int rc = operand(c, "fill", &value, &weak, &number);

    if (rc == 0 && nds_view_count(nds_array_view(value)) != 1) {
        rc = ndi_fail(NDS_EINVAL,
                      "setting an array element with a sequence.");
    }
    if (rc == 0) {
        rc = ndi_assign_value(ndi_call_view(c), nds_value_item(c->args, 0),
                              value, weak);
    }
    nds_array_close(value);
    if (rc == 0) {
        *out = nds_value_none();
        rc = *out != NULL ? 0 : NDS_ENOMEM;
    }
    return rc;
}

/* Part for part: -1 times a complex number is not its negative where the number
 * has an infinity, a NaN or a zero. */
static int
negate_complex(const nds_view *to, const nds_view *from)
{
    const nds_dtype *real = nds_dtype_equal(from->dtype, NDS_COMPLEX64)
                                ? NDS_FLOAT32
                                : NDS_FLOAT64;
    nds_view parts_to = *to, parts_from = *from;
    int rc = 0;

    parts_to.dtype = parts_from.dtype = real;
    for (int part = 0; rc == 0 && part < 2; part++) {
        int64_t at = part * nds_dtype_itemsize(real);

        parts_to.data = (char *)to->data + at;
        parts_from.data = (char *)from->data + at;
        rc = nds_multiply_scalar(&parts_to, &parts_from, nds_int(-1));
    }
    return rc;
}

static int
negate(const nds_view *to, const nds_view *from)
{
    if (nds_dtype_equal(from->dtype, NDS_COMPLEX64) ||
        nds_dtype_equal(from->dtype, NDS_COMPLEX128)) {
        return negate_complex(to, from);
    }
    // -1 * x keeps the sign of zeros; an unsigned dtype has no -1.
    return nds_dtype_kind(from->dtype) == 'u'
               ? nds_binary(NDS_SUBTRACT, to, to, from)
               : nds_multiply_scalar(to, from, nds_int(-1));
}

static int
run_neg(const struct ndi_call *c, nds_value **out)
{
    const nds_view *v = ndi_call_view(c);
    nds_array *a = NULL;
    int rc;

    if (nds_dtype_kind(v->dtype) == 'b') {
        return ndi_fail(NDS_ECAST, "The numpy boolean negative, the `-` "
                        "operator, is not supported");
    }
    rc = nds_array_new(&a, v->dtype, v->ndim, v->shape, NULL);
    if (rc == 0) {
        rc = negate(nds_array_view(a), v);
    }
    if (rc < 0) {
        nds_array_close(a);
        return rc;
    }
    *out = ndi_value_of_result(a);
    return *out != NULL ? 0 : NDS_ENOMEM;
}

#define OPERATOR(name, op)                                                    \
    static int run_##name(const struct ndi_call *c, nds_value **out)          \
    {                                                                         \
        return operate(c, "__" #name "__", op, false, out);                   \
    }                                                                         \
    static int run_r##name(const struct ndi_call *c, nds_value **out)         \
    {                                                                         \
        return operate(c, "__r" #name "__", op, true, out);                   \
    }
#define IN_PLACE(name, op)                                                    \
    static int run_##name##_in(const struct ndi_call *c, nds_value **out)     \
    {                                                                         \
        return in_place(c, #name, op, out);                                   \
    }
OPERATOR(add, NDS_ADD)
OPERATOR(sub, NDS_SUBTRACT)
OPERATOR(mul, NDS_MULTIPLY)
OPERATOR(truediv, NDS_DIVIDE)
IN_PLACE(add, NDS_ADD)
IN_PLACE(subtract, NDS_SUBTRACT)
IN_PLACE(multiply, NDS_MULTIPLY)
IN_PLACE(divide, NDS_DIVIDE)

const struct ndi_method ndi_arith_methods[] = {
    {"__add__", false, false, run_add},
    {"__radd__", false, false, run_radd},
    {"__sub__", false, false, run_sub},
    {"__rsub__", false, false, run_rsub},
    {"__mul__", false, false, run_mul},
    {"__rmul__", false, false, run_rmul},
    {"__truediv__", false, false, run_truediv},
    {"__rtruediv__", false, false, run_rtruediv},
    {"__neg__", false, false, run_neg},
    {"fill", true, false, run_fill},
    {"add", true, false, run_add_in},
    {"subtract", true, false, run_subtract_in},
    {"multiply", true, false, run_multiply_in},
    {"divide", true, false, run_divide_in},
    {NULL, false, false, NULL}};
