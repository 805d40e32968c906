/* SPDX-License-Identifier: MIT */
/* print_load.c - elements as C values: any alignment, either byte order */
#include <nd/print_impl.h>

#include <float.h>
#include <math.h>
#include <string.h>

static void
load_bytes(void *out, const unsigned char *at, size_t n, bool swapped)
{
    unsigned char *to = out;

    if (!swapped) {
        memcpy(to, at, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        to[i] = at[n - 1 - i];
    }
}

uint64_t
ndi_load_uint(const nds_dtype *dt, const unsigned char *at)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (dt->itemsize) {
    case 1:
        return at[0];
    case 2:
        load_bytes(&u16, at, sizeof u16, dt->swapped);
        return u16;
    case 4:
        load_bytes(&u32, at, sizeof u32, dt->swapped);
        return u32;
    default:
        load_bytes(&u64, at, sizeof u64, dt->swapped);
        return u64;
    }
}

int64_t
ndi_load_int(const nds_dtype *dt, const unsigned char *at)
{
    uint64_t bits = ndi_load_uint(dt, at);

    switch (dt->itemsize) {
    case 1:
        return (int8_t)bits;
    case 2:
        return (int16_t)bits;
    case 4:
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

bool
ndi_load_bool(const unsigned char *at, int64_t itemsize)
{
    for (int64_t i = 0; i < itemsize; i++) {
        if (at[i] != 0) {
            return true;
        }
    }
    return false;
}

enum nds_type
ndi_float_part(enum nds_type type)
{
    switch (type) {
    case NDS_TYPE_COMPLEX64:
        return NDS_TYPE_FLOAT32;
    case NDS_TYPE_COMPLEX128:
        return NDS_TYPE_FLOAT64;
    default:
        return type;
    }
}

static long double
load_long(const unsigned char *at, bool swapped)
{
    long double value = 0;

    load_bytes(&value, at, sizeof value, swapped);
#if LDBL_MANT_DIG == 64
    unsigned char raw[sizeof value];
    unsigned exp;

    // A leading bit of 0 with an exponent is no number to the processor.
    memcpy(raw, &value, sizeof value);
    exp = raw[8] | (raw[9] & 0x7fu) << 8;
    if (exp != 0 && (raw[7] & 0x80) == 0) {
        return NAN;
    }
#endif
    return value;
}

long double
ndi_load_float(const nds_dtype *dt, const unsigned char *at, int half)
{
    uint16_t bits;
    float f;
    double d;

    switch (ndi_float_part(dt->type)) {
    case NDS_TYPE_FLOAT16:
        load_bytes(&bits, at, sizeof bits, dt->swapped);
        return ndi_half_value(bits);
    case NDS_TYPE_FLOAT32:
        load_bytes(&f, at + (size_t)half * sizeof f, sizeof f, dt->swapped);
        return f;
    case NDS_TYPE_FLOAT64:
        load_bytes(&d, at + (size_t)half * sizeof d, sizeof d, dt->swapped);
        return d;
    default:
        return load_long(at, dt->swapped);
    }
}
