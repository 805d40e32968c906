/* SPDX-License-Identifier: MIT */
/*
 * convert_loops.c - numbers of one type as numbers of another
 *
 * One loop for each pair of types, as NumPy converts: to bool by comparing
 * with zero, from complex by its real part, to half by rounding once (but from
 * long double twice). Floats beyond an integer's range become what the x86
 * instruction NumPy compiles to gives, as in nd/cast_num.c.
 */
#include "kernels.h"

#include <nd/half.h>

/* The value of a stored element; below, the stored form of a value. */
#define AS_IS(v) (v)
#define H_GET(v) ndi_half_load(v)

#define LOOP(TT, FT, PUT, GET)                                                \
    do {                                                                      \
        if (ds == (int64_t)sizeof(TT) && ss == (int64_t)sizeof(FT) &&         \
            (uintptr_t)dst % _Alignof(TT) == 0 &&                             \
            (uintptr_t)src % _Alignof(FT) == 0) {                             \
            TT *d = dst;                                                      \
            const FT *s = src;                                                \
            NDI_IVDEP                                                         \
            for (int64_t i = 0; i < n; i++) {                                 \
                d[i] = PUT(GET(s[i]));                                        \
            }                                                                 \
        } else {                                                              \
            char *d = dst;                                                    \
            const char *s = src;                                              \
            for (int64_t i = 0; i < n; i++, d += ds, s += ss) {               \
                FT v;                                                         \
                TT w;                                                         \
                memcpy(&v, s, sizeof(v));                                     \
                w = PUT(GET(v));                                              \
                memcpy(d, &w, sizeof(w));                                     \
            }                                                                 \
        }                                                                     \
    } while (0)

#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wfloat-conversion"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wpass-failed"
#endif

#define TO_BOOL(v) ((v) != 0)
/* All but double go by way of float, as NumPy's do. */
static inline uint16_t
half_of_double(double d)
{
    return ndi_half_from_double(d);
}
#define TO_HALF(v)                                                            \
    _Generic((v), double: half_of_double(REAL(v)),                            \
             ndi_c128: half_of_double(REAL(v)),                               \
             default: ndi_half_store((float)REAL(v)))
#define REAL(v)                                                               \
    _Generic((v), ndi_c64: __real__(v), ndi_c128: __real__(v), default: (v))
/* cvttsd2si and fistp: what does not fit becomes the lowest. */
#define FITTED(NAME, T, INT, LOW, HIGH)                                       \
    static inline INT NAME(T v)                                               \
    {                                                                         \
        return v LOW && v HIGH ? (INT)v : INT##_LOWEST;                       \
    }
#define int32_t_LOWEST INT32_MIN
#define int64_t_LOWEST INT64_MIN
FITTED(i32_of_float, float, int32_t, >= -0x1p31f, < 0x1p31f)
FITTED(i32_of_double, double, int32_t, > -2147483649.0, < 0x1p31)
FITTED(i32_of_long, long double, int32_t, > -2147483649.0L, < 0x1p31L)
FITTED(i64_of_float, float, int64_t, >= -0x1p63f, < 0x1p63f)
FITTED(i64_of_double, double, int64_t, >= -0x1p63, < 0x1p63)
FITTED(i64_of_long, long double, int64_t, >= -0x1p63L, < 0x1p63L)
#define UNSIGNED(NAME, T, I64)                                                \
    static inline uint64_t NAME(T v)                                          \
    {                                                                         \
        return v >= (T)0x1p63 ? (uint64_t)I64(v - (T)0x1p63) ^ 1ULL << 63     \
                              : (uint64_t)I64(v);                             \
    }
UNSIGNED(u64_of_float, float, i64_of_float)
UNSIGNED(u64_of_double, double, i64_of_double)
UNSIGNED(u64_of_long, long double, i64_of_long)
static inline int64_t
same_int(int64_t v)
{
    return v;
}
#define INT_OF(v, BITS)                                                 \
    _Generic((v), float: BITS##_of_float, double: BITS##_of_double,           \
             long double: BITS##_of_long, ndi_c64: BITS##_of_float,           \
             ndi_c128: BITS##_of_double, default: same_int)(REAL(v))
#define P_I8(v) ((int8_t)INT_OF(v, i32))
#define P_U8(v) ((uint8_t)INT_OF(v, i32))
#define P_I16(v) ((int16_t)INT_OF(v, i32))
#define P_U16(v) ((uint16_t)INT_OF(v, i32))
#define P_I32(v) ((int32_t)INT_OF(v, i32))
#define P_U32(v) ((uint32_t)INT_OF(v, i64))
#define P_I64(v) ((int64_t)INT_OF(v, i64))
#define P_U64(v) ((uint64_t)INT_OF(v, u64))
#define P_F(v) ((float)(v))
#define P_D(v) ((double)(v))
#define P_G(v) ((long double)(v))
#define P_CF(v) ((ndi_c64)(v))
#define P_CD(v) ((ndi_c128)(v))

#define CONVERTER(NAME, TT, PUT)                                              \
    static void to_##NAME(void *dst, int64_t ds, enum nds_type from,          \
                          const void *src, int64_t ss, int64_t n)             \
    {                                                                         \
        switch ((int)from) {                                                  \
        case NDS_TYPE_BOOL:                                                   \
            LOOP(TT, uint8_t, PUT, TO_BOOL);                                  \
            break;                                                            \
        case NDS_TYPE_INT8:                                                   \
            LOOP(TT, int8_t, PUT, AS_IS);                                     \
            break;                                                            \
        case NDS_TYPE_UINT8:                                                  \
            LOOP(TT, uint8_t, PUT, AS_IS);                                    \
            break;                                                            \
        case NDS_TYPE_INT16:                                                  \
            LOOP(TT, int16_t, PUT, AS_IS);                                    \
            break;                                                            \
        case NDS_TYPE_UINT16:                                                 \
            LOOP(TT, uint16_t, PUT, AS_IS);                                   \
            break;                                                            \
        case NDS_TYPE_INT32:                                                  \
            LOOP(TT, int32_t, PUT, AS_IS);                                    \
            break;                                                            \
        case NDS_TYPE_UINT32:                                                 \
            LOOP(TT, uint32_t, PUT, AS_IS);                                   \
            break;                                                            \
        case NDS_TYPE_INT64:                                                  \
            LOOP(TT, int64_t, PUT, AS_IS);                                    \
            break;                                                            \
        case NDS_TYPE_UINT64:                                                 \
            LOOP(TT, uint64_t, PUT, AS_IS);                                   \
            break;                                                            \
        case NDS_TYPE_FLOAT16:                                                \
            LOOP(TT, uint16_t, PUT, H_GET);                                   \
            break;                                                            \
        case NDS_TYPE_FLOAT32:                                                \
            LOOP(TT, float, PUT, AS_IS);                                      \
            break;                                                            \
        case NDS_TYPE_FLOAT64:                                                \
            LOOP(TT, double, PUT, AS_IS);                                     \
            break;                                                            \
        case NDS_TYPE_LONGDOUBLE:                                             \
            LOOP(TT, long double, PUT, AS_IS);                                \
            break;                                                            \
        case NDS_TYPE_COMPLEX64:                                              \
            LOOP(TT, ndi_c64, PUT, AS_IS);                                    \
            break;                                                            \
        case NDS_TYPE_COMPLEX128:                                             \
            LOOP(TT, ndi_c128, PUT, AS_IS);                                   \
            break;                                                            \
        default:                                                              \
            break;                                                            \
        }                                                                     \
    }

CONVERTER(bool, uint8_t, TO_BOOL)
CONVERTER(int8, int8_t, P_I8)
CONVERTER(uint8, uint8_t, P_U8)
CONVERTER(int16, int16_t, P_I16)
CONVERTER(uint16, uint16_t, P_U16)
CONVERTER(int32, int32_t, P_I32)
CONVERTER(uint32, uint32_t, P_U32)
CONVERTER(int64, int64_t, P_I64)
CONVERTER(uint64, uint64_t, P_U64)
CONVERTER(half, uint16_t, TO_HALF)
CONVERTER(float, float, P_F)
CONVERTER(double, double, P_D)
CONVERTER(longdouble, long double, P_G)
CONVERTER(c64, ndi_c64, P_CF)
CONVERTER(c128, ndi_c128, P_CD)

/* Bits go over as they are, NaN payloads included. Backwards and every other
 * element are distances for which compilers have vectors; of others four are
 * read before the first is written. */
#define COPY_AT(T, from)                                                      \
    NDI_IVDEP                                                                 \
    for (; i < count; i++) {                                                  \
        memcpy(d + i * (int64_t)sizeof(T), s + i * (from), sizeof(T));        \
    }
#define COPY_EACH(T)                                                          \
    if (ds == item && ss == -item) {                                          \
        COPY_AT(T, -(int64_t)sizeof(T))                                       \
    } else if (ds == item && ss == 2 * item) {                                \
        COPY_AT(T, 2 * (int64_t)sizeof(T))                                    \
    }                                                                         \
    for (T v[4]; i + 4 <= count; i += 4) {                                    \
        for (int k = 0; k < 4; k++) {                                         \
            memcpy(&v[k], s + (i + k) * ss, sizeof(T));                       \
        }                                                                     \
        for (int k = 0; k < 4; k++) {                                         \
            memcpy(d + (i + k) * ds, &v[k], sizeof(T));                       \
        }                                                                     \
    }                                                                         \
    for (; i < count; i++) {                                                  \
        memcpy(d + i * ds, s + i * ss, sizeof(T));                            \
    }                                                                         \
    break

void
NDI_OF(ndi_copy)(char *d, int64_t ds, const char *s, int64_t ss, int64_t item,
                 int64_t count)
{
    int64_t i = 0;

    if (ds == item && ss == item) {
        memmove(d, s, (size_t)(count * item));
        return;
    }
    switch (item) {
    case 1:
        COPY_EACH(uint8_t);
    case 2:
        COPY_EACH(uint16_t);
    case 4:
        COPY_EACH(uint32_t);
    case 8:
        COPY_EACH(uint64_t);
    default:
        COPY_EACH(ndi_c128);
    }
}

void
NDI_OF(ndi_convert)(enum nds_type to, void *dst, int64_t dst_stride,
                    enum nds_type from, const void *src, int64_t src_stride,
                    int64_t count)
{
    typedef void fn(void *, int64_t, enum nds_type, const void *, int64_t,
                    int64_t);
    static fn *const table[NDI_NUMBERS] = {
        NULL,     to_bool,   to_int8,   to_uint8, to_int16, to_uint16,
        to_int32, to_uint32, to_int64,  to_uint64, to_half, to_float,
        to_double, to_longdouble, to_c64, to_c128};

    if (to == from) {
        NDI_OF(ndi_copy)(dst, dst_stride, src, src_stride,
                         ndi_ops_itemsize(to), count);
        return;
    }
    table[to](dst, dst_stride, from, src, src_stride, count);
}
