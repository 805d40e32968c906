/* SPDX-License-Identifier: MIT */
/* scalar.c - one element with its dtype, by value */
#include <nd/view_impl.h>

#include <nd/cast.h>
#include <nd/dtype_impl.h>

#include <string.h>

static nds_scalar
make(enum nds_type type, const void *data, size_t nbytes)
{
    nds_scalar s;

    memset(&s, 0, sizeof s);
    s.dtype = nds_dtype_builtin(type);
    memcpy(s.data, data, nbytes);
    return s;
}

nds_scalar
nds_int(int64_t value)
{
    return make(NDS_TYPE_INT64, &value, sizeof value);
}

nds_scalar
nds_uint(uint64_t value)
{
    return make(NDS_TYPE_UINT64, &value, sizeof value);
}

nds_scalar
nds_float(double value)
{
    return make(NDS_TYPE_FLOAT64, &value, sizeof value);
}

nds_scalar
nds_bool(bool value)
{
    unsigned char byte = value;

    return make(NDS_TYPE_BOOL, &byte, sizeof byte);
}

nds_scalar
nds_complex(double re, double im)
{
    double both[2] = {re, im};

    return make(NDS_TYPE_COMPLEX128, both, sizeof both);
}

double
nds_scalar_double(const nds_scalar *s)
{
    double value = 0;

    ndi_cast_one(NDS_FLOAT64, &value, s->dtype, s->data);
    return value;
}

int64_t
nds_scalar_int64(const nds_scalar *s)
{
    int64_t value = 0;
    double d;

    if (s->dtype->kind == 'u' && s->dtype->itemsize == 8) {
        uint64_t u = 0;

        ndi_cast_one(NDS_UINT64, &u, s->dtype, s->data);
        return u > INT64_MAX ? INT64_MAX : (int64_t)u;
    }
    if (s->dtype->kind != 'f' && s->dtype->kind != 'c') {
        ndi_cast_one(NDS_INT64, &value, s->dtype, s->data);
        return value;
    }
    d = nds_scalar_double(s);
    if (d != d) {
        return 0;
    }
    if (d >= 0x1p63 || d < -0x1p63) {
        return d > 0 ? INT64_MAX : INT64_MIN;
    }
    ndi_cast_one(NDS_INT64, &value, s->dtype, s->data);
    return value;
}

void
nds_scalar_view(nds_view *out, nds_scalar *s)
{
    ndi_view_clear(out);
    out->dtype = s->dtype;
    out->data = s->data;
}
