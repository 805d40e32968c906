/* SPDX-License-Identifier: MIT */
/*
 * cast_num.c - every number as every other
 *
 * Through the smallest of five wide classes that holds all values of the
 * source, so each value is rounded once, and 15 loads and 5 times 15 stores do
 * the work of 225 loops. Floats beyond an integer's range become what the
 * x86 instruction NumPy compiles to gives, on every machine.
 */
#include <nd/cast.h>

#include <nd/dtype_impl.h>
#include <nd/half.h>

#include <string.h>

#define CHUNK 256

enum wide { WIDE_I64, WIDE_U64, WIDE_F64, WIDE_LD, WIDE_C128 };

union chunk {
    int64_t i[CHUNK];
    uint64_t u[CHUNK];
    double d[CHUNK];
    long double ld[CHUNK];
    double c[CHUNK][2];
};

static enum wide
wide_class(const struct ndi_cast *c)
{
    const nds_dtype *from = c->from;

    if (from->kind == 'M' || from->kind == 'm') {
        // NaT becomes NaN; a long double holds every int64.
        return c->to->kind == 'f' || c->to->kind == 'c' ? WIDE_LD : WIDE_I64;
    }
    if (from->kind == 'c') {
        return WIDE_C128;
    }
    if (from->type == NDS_TYPE_LONGDOUBLE) {
        return WIDE_LD;
    }
    if (from->kind == 'f') {
        return WIDE_F64;
    }
    return from->type == NDS_TYPE_UINT64 ? WIDE_U64 : WIDE_I64;
}

/* ---- loads -------------------------------------------------------------- */

/* n elements, packed and in this machine's order. */
static void
gather(char *out, const char *src, int64_t stride, int64_t n,
       const nds_dtype *dt)
{
    size_t size = (size_t)dt->itemsize;
    size_t unit = (size_t)ndi_dtype_swap_unit(dt);

    for (int64_t i = 0; i < n; i++, src += stride, out += size) {
        if (!dt->swapped) {
            memcpy(out, src, size);
            continue;
        }
        for (size_t k = 0; k < size; k++) {
            out[k] = src[k - k % unit + unit - 1 - k % unit];
        }
    }
}

static void
scatter(char *dst, int64_t stride, const char *in, int64_t n,
        const nds_dtype *dt)
{
    size_t size = (size_t)dt->itemsize;
    size_t unit = (size_t)ndi_dtype_swap_unit(dt);

    for (int64_t i = 0; i < n; i++, dst += stride, in += size) {
        if (!dt->swapped) {
            memcpy(dst, in, size);
            continue;
        }
        for (size_t k = 0; k < size; k++) {
            dst[k] = in[k - k % unit + unit - 1 - k % unit];
        }
    }
}

#define WIDEN(type, member)                                                   \
    for (int64_t i = 0; i < n; i++) {                                         \
        w->member[i] = ((const type *)in)[i];                                 \
    }                                                                         \
    break

static void
widen_int(union chunk *w, const void *in, int64_t n, enum nds_type type)
{
    switch (type) {
    case NDS_TYPE_BOOL:
        for (int64_t i = 0; i < n; i++) {
            w->i[i] = ((const uint8_t *)in)[i] != 0;
        }
        break;
    case NDS_TYPE_INT8:
        WIDEN(int8_t, i);
    case NDS_TYPE_UINT8:
        WIDEN(uint8_t, i);
    case NDS_TYPE_INT16:
        WIDEN(int16_t, i);
    case NDS_TYPE_UINT16:
        WIDEN(uint16_t, i);
    case NDS_TYPE_INT32:
        WIDEN(int32_t, i);
    case NDS_TYPE_UINT32:
        WIDEN(uint32_t, i);
    case NDS_TYPE_UINT64:
        WIDEN(uint64_t, u);
    default: // int64 and the times
        WIDEN(int64_t, i);
    }
}

static void
widen_float(union chunk *w, const void *in, int64_t n, enum nds_type type)
{
    switch (type) {
    case NDS_TYPE_FLOAT16:
        for (int64_t i = 0; i < n; i++) {
            w->d[i] = ndi_half_to_double(((const uint16_t *)in)[i]);
        }
        break;
    case NDS_TYPE_FLOAT32:
        WIDEN(float, d);
    case NDS_TYPE_FLOAT64:
        WIDEN(double, d);
    case NDS_TYPE_LONGDOUBLE:
        WIDEN(long double, ld);
    case NDS_TYPE_COMPLEX64:
        for (int64_t i = 0; i < 2 * n; i++) {
            w->c[i / 2][i % 2] = (double)((const float *)in)[i];
        }
        break;
    default:
        memcpy(w->c, in, (size_t)n * sizeof w->c[0]);
        break;
    }
}

static void
widen_nat(union chunk *w, const void *in, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t v = ((const int64_t *)in)[i];

        w->ld[i] = v == INT64_MIN ? (long double)__builtin_nan("")
                                  : (long double)v;
    }
}

/* ---- stores ------------------------------------------------------------- */

/* cvttsd2si and fistp: what does not fit becomes the lowest. */
static int32_t
to_i32(long double v)
{
    return v > -2147483649.0L && v < 2147483648.0L ? (int32_t)v : INT32_MIN;
}

static int64_t
to_i64(long double v)
{
    return v >= -0x1p63L && v < 0x1p63L ? (int64_t)v : INT64_MIN;
}

static uint64_t
to_u64(long double v)
{
    return v >= 0x1p63L ? (uint64_t)to_i64(v - 0x1p63L) ^ (1ull << 63)
                        : (uint64_t)to_i64(v);
}

#define NARROW(type, expr)                                                    \
    for (int64_t i = 0; i < n; i++) {                                         \
        ((type *)out)[i] = (type)(expr);                                      \
    }                                                                         \
    break

/* Half goes through float, as in NumPy, but from float64 directly. */
#define STORE_FLOATS(v, real)                                                 \
    case NDS_TYPE_FLOAT16:                                                    \
        NARROW(uint16_t, ndi_half_from_double((double)(real)(v)));            \
    case NDS_TYPE_FLOAT32:                                                    \
        NARROW(float, v);                                                     \
    case NDS_TYPE_FLOAT64:                                                    \
        NARROW(double, v);                                                    \
    case NDS_TYPE_LONGDOUBLE:                                                 \
        NARROW(long double, v);                                               \
    case NDS_TYPE_COMPLEX64:                                                  \
        for (int64_t i = 0; i < n; i++) {                                     \
            ((float *)out)[2 * i] = (float)(v);                               \
            ((float *)out)[2 * i + 1] = 0;                                    \
        }                                                                     \
        break;                                                                \
    case NDS_TYPE_COMPLEX128:                                                 \
        for (int64_t i = 0; i < n; i++) {                                     \
            ((double *)out)[2 * i] = (double)(v);                             \
            ((double *)out)[2 * i + 1] = 0;                                   \
        }                                                                     \
        break;

#define STORE_INTS(v, i32, i64, u64)                                          \
    case NDS_TYPE_BOOL:                                                       \
        NARROW(uint8_t, (v) != 0);                                            \
    case NDS_TYPE_INT8:                                                       \
        NARROW(int8_t, i32);                                                  \
    case NDS_TYPE_UINT8:                                                      \
        NARROW(uint8_t, i32);                                                 \
    case NDS_TYPE_INT16:                                                      \
        NARROW(int16_t, i32);                                                 \
    case NDS_TYPE_UINT16:                                                     \
        NARROW(uint16_t, i32);                                                \
    case NDS_TYPE_INT32:                                                      \
        NARROW(int32_t, i32);                                                 \
    case NDS_TYPE_UINT32:                                                     \
        NARROW(uint32_t, i64);                                                \
    case NDS_TYPE_UINT64:                                                     \
        NARROW(uint64_t, u64);                                                \
    default:                                                                  \
        NARROW(int64_t, i64);

static void
store_i64(void *out, const union chunk *w, int64_t n, enum nds_type type)
{
    switch (type) {
        STORE_FLOATS(w->i[i], float)
        STORE_INTS(w->i[i], w->i[i], w->i[i], w->i[i])
    }
}

static void
store_u64(void *out, const union chunk *w, int64_t n, enum nds_type type)
{
    switch (type) {
        STORE_FLOATS(w->u[i], float)
        STORE_INTS(w->u[i], w->u[i], w->u[i], w->u[i])
    }
}

static void
store_f64(void *out, const union chunk *w, int64_t n, enum nds_type type)
{
    switch (type) {
        STORE_FLOATS(w->d[i], double)
        STORE_INTS(w->d[i], to_i32(w->d[i]), to_i64(w->d[i]),
                   to_u64(w->d[i]))
    }
}

static void
store_ld(void *out, const union chunk *w, int64_t n, enum nds_type type)
{
    switch (type) {
        STORE_FLOATS(w->ld[i], float)
        STORE_INTS(w->ld[i], to_i32(w->ld[i]), to_i64(w->ld[i]),
                   to_u64(w->ld[i]))
    }
}

/* The real part, except for bool and complex. */
static void
store_c128(void *out, const union chunk *w, int64_t n, enum nds_type type)
{
    union chunk real;

    if (type == NDS_TYPE_COMPLEX128) {
        memcpy(out, w->c, (size_t)n * sizeof w->c[0]);
        return;
    }
    if (type == NDS_TYPE_COMPLEX64) {
        for (int64_t i = 0; i < 2 * n; i++) {
            ((float *)out)[i] = (float)w->c[i / 2][i % 2];
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        real.d[i] = type == NDS_TYPE_BOOL
                        ? (double)(w->c[i][0] != 0 || w->c[i][1] != 0)
                        : w->c[i][0];
    }
    store_f64(out, &real, n, type);
}

static void
convert(const struct ndi_cast *c, void *out, const void *in, int64_t n)
{
    enum wide wide = wide_class(c);
    enum nds_type from = c->from->type, to = c->to->type;
    union chunk w;

    if (wide == WIDE_I64 || wide == WIDE_U64) {
        widen_int(&w, in, n, from);
    } else if (c->from->kind == 'M' || c->from->kind == 'm') {
        widen_nat(&w, in, n);
    } else {
        widen_float(&w, in, n, from);
    }
    switch (wide) {
    case WIDE_I64:
        store_i64(out, &w, n, to);
        break;
    case WIDE_U64:
        store_u64(out, &w, n, to);
        break;
    case WIDE_F64:
        store_f64(out, &w, n, to);
        break;
    case WIDE_LD:
        store_ld(out, &w, n, to);
        break;
    case WIDE_C128:
        store_c128(out, &w, n, to);
        break;
    }
}

int
ndi_cast_numbers(const struct ndi_cast *c, char *dst, int64_t dst_stride,
                 const char *src, int64_t src_stride, int64_t count)
{
    _Alignas(16) char in[CHUNK * 16];
    _Alignas(16) char out[CHUNK * 16];

    while (count > 0) {
        int64_t n = count < CHUNK ? count : CHUNK;

        gather(in, src, src_stride, n, c->from);
        convert(c, out, in, n);
        scatter(dst, dst_stride, out, n, c->to);
        src += n * src_stride;
        dst += n * dst_stride;
        count -= n;
    }
    return 0;
}
