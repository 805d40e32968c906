/* SPDX-License-Identifier: MIT */
/* print_scalar.c - single elements: str() of a scalar, and Python objects */
#include <nd/print_impl.h>

#include <base/fail.h>

#include <math.h>
#include <stdlib.h>

/* str() of a complex scalar: "(1+2j)", or "2j" without a real part. */
static void
add_complex(struct ndi_buf *b, long double re, long double im,
            enum nds_type type, int numpy)
{
    char text[NDI_FLOAT_TEXT_MAX];
    bool pure = re == 0 && !signbit(re);

    if (!pure) {
        ndi_float_scalar(text, re, type, numpy, false);
        ndi_buf_add_fmt(b, "(%s", text);
    }
    ndi_float_scalar(text, im, type, numpy, false);
    if (!pure && text[0] != '-') {
        ndi_buf_add_char(b, '+');
    }
    ndi_buf_add_str(b, text);
    ndi_buf_add_str(b, pure ? "j" : "j)");
}

static int
add_date(struct ndi_buf *b, const nds_dtype *dt, int64_t value)
{
    if (value == NDI_NAT) {
        ndi_buf_add_str(b, "NaT");
    } else if (dt->kind == 'm') {
        ndi_add_duration(b, dt, value);
    } else if (dt->unit == NDI_UNIT_GENERIC) {
        return ndi_fail(NDS_ECAST, "Cannot convert a NumPy datetime value "
                                   "other than NaT with generic units");
    } else {
        ndi_add_iso(b, dt, value);
    }
    return 0;
}

/* A record alone: its fields are formatted as 0-d arrays, but floats as
 * scalars since NumPy 2. */
static int
add_record(struct ndi_buf *b, const nds_dtype *dt, const unsigned char *at,
           int numpy)
{
    struct ndi_fmt fmt;
    int rc = ndi_fmt_init(&fmt, dt, numpy, true, numpy >= 200);

    if (rc < 0) {
        return rc;
    }
    ndi_fmt_feed(&fmt, at);
    ndi_fmt_turn(&fmt);
    ndi_fmt_feed_again(&fmt, at);
    rc = ndi_fmt_finish(&fmt);
    if (rc == 0) {
        rc = ndi_fmt_write(&fmt, b, at);
    }
    ndi_fmt_fini(&fmt);
    return rc;
}

static void
add_number(struct ndi_buf *b, const nds_dtype *dt, const unsigned char *at,
           int numpy)
{
    char text[NDI_FLOAT_TEXT_MAX];

    switch (dt->kind) {
    case 'b':
        ndi_buf_add_str(b, ndi_load_bool(at, dt->itemsize) ? "True" : "False");
        break;
    case 'i':
        ndi_buf_add_fmt(b, "%lld", (long long)ndi_load_int(dt, at));
        break;
    case 'u':
        ndi_buf_add_fmt(b, "%llu", (unsigned long long)ndi_load_uint(dt, at));
        break;
    case 'f':
        ndi_float_scalar(text, ndi_load_float(dt, at, 0), dt->type, numpy,
                         true);
        ndi_buf_add_str(b, text);
        break;
    default:
        add_complex(b, ndi_load_float(dt, at, 0), ndi_load_float(dt, at, 1),
                    ndi_float_part(dt->type), numpy);
        break;
    }
}

int
ndi_scalar_write(struct ndi_buf *b, const nds_dtype *dt,
                 const unsigned char *at, int numpy)
{
    size_t n = (size_t)dt->itemsize;

    if (dt->base != NULL || ndi_dtype_is_record(dt)) {
        return add_record(b, dt, at, numpy);
    }
    switch (dt->kind) {
    case 'S':
        ndi_buf_add_str(b, numpy >= 200 ? "np.bytes_(" : "");
        ndi_add_bytes_repr(b, at, ndi_bytes_used(at, n));
        ndi_buf_add_str(b, numpy >= 200 ? ")" : "");
        return 0;
    case 'U':
        ndi_add_str_plain(b, dt, at);
        return 0;
    case 'M':
    case 'm':
        return add_date(b, dt, ndi_load_int(dt, at));
    case 'V':
        ndi_add_void_str(b, at, n);
        return 0;
    default:
        add_number(b, dt, at, numpy);
        return 0;
    }
}

/* ---- Python objects ----------------------------------------------------- */

static int
add_tuple(struct ndi_buf *b, const nds_dtype *dt, const unsigned char *at,
          int numpy)
{
    int rc = 0;

    ndi_buf_add_char(b, '(');
    for (int64_t i = 0; i < dt->nfields && rc == 0; i++) {
        ndi_buf_add_str(b, i == 0 ? "" : ", ");
        rc = ndi_object_write(b, dt->fields[i].dtype, at + dt->fields[i].off,
                              numpy);
    }
    ndi_buf_add_str(b, dt->nfields == 1 ? ",)" : ")");
    return rc;
}

/* A sub-array stays an array: its repr. */
static int
add_array(struct ndi_buf *b, const nds_dtype *dt, const unsigned char *at,
          int numpy)
{
    nds_print_options opts = {.size = sizeof opts, .numpy = numpy};
    nds_view v = {.dtype = dt->base, .data = (void *)(uintptr_t)at};
    int64_t step = dt->base->itemsize;
    char *text;
    int rc;

    v.ndim = dt->ndim < NDS_MAX_NDIM ? dt->ndim : NDS_MAX_NDIM;
    for (int i = v.ndim - 1; i >= 0; i--) {
        v.shape[i] = dt->shape[i];
        v.strides[i] = step;
        step *= dt->shape[i];
    }
    rc = nds_view_repr(&v, &opts, &text);
    if (rc == 0) {
        ndi_buf_add_str(b, text);
        free(text);
    }
    return rc;
}

static void
add_float_object(struct ndi_buf *b, const nds_dtype *dt,
                 const unsigned char *at, int numpy)
{
    char text[NDI_FLOAT_TEXT_MAX];
    bool wide = dt->type == NDS_TYPE_LONGDOUBLE;

    // Smaller floats become Python's own, which is a double.
    ndi_float_scalar(text, ndi_load_float(dt, at, 0),
                     wide ? NDS_TYPE_LONGDOUBLE : NDS_TYPE_FLOAT64, numpy,
                     true);
    ndi_buf_add_fmt(b, wide && numpy >= 200 ? "np.longdouble('%s')" : "%s",
                    text);
}

int
ndi_object_write(struct ndi_buf *b, const nds_dtype *dt,
                 const unsigned char *at, int numpy)
{
    size_t n = (size_t)dt->itemsize;

    if (dt->base != NULL) {
        return add_array(b, dt, at, numpy);
    }
    if (ndi_dtype_is_record(dt)) {
        return add_tuple(b, dt, at, numpy);
    }
    switch (dt->kind) {
    case 'S':
        ndi_add_bytes_repr(b, at, ndi_bytes_used(at, n));
        break;
    case 'U':
        ndi_add_str_repr(b, dt, at);
        break;
    case 'M':
        ndi_add_date_object(b, dt, ndi_load_int(dt, at));
        break;
    case 'm':
        ndi_add_delta_object(b, dt, ndi_load_int(dt, at));
        break;
    case 'V':
        ndi_add_bytes_repr(b, at, n);
        break;
    case 'f':
        add_float_object(b, dt, at, numpy);
        break;
    case 'c':
        add_complex(b, ndi_load_float(dt, at, 0), ndi_load_float(dt, at, 1),
                    NDS_TYPE_FLOAT64, numpy);
        break;
    default:
        add_number(b, dt, at, numpy);
        break;
    }
    return 0;
}
