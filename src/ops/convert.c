/* SPDX-License-Identifier: MIT */
/*
 * convert.c - numbers of one type as numbers of another
 *
 * One loop for each pair of types, as NumPy converts: to bool by comparing
 * with zero, from complex by its real part, to half by rounding once (but from
 * long double twice).
 */
#include "ops_impl.h"

#include <complex.h>

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
/* A long double goes by way of float, as NumPy's does (and assignment's). */
#define TO_HALF(v)                                                            \
    ndi_half_from_double(                                                     \
        _Generic((v), long double: (double)(float)(v), default: (double)(v)))
#define P_I8(v) ((int8_t)(v))
#define P_U8(v) ((uint8_t)(v))
#define P_I16(v) ((int16_t)(v))
#define P_U16(v) ((uint16_t)(v))
#define P_I32(v) ((int32_t)(v))
#define P_U32(v) ((uint32_t)(v))
#define P_I64(v) ((int64_t)(v))
#define P_U64(v) ((uint64_t)(v))
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

int64_t
ndi_ops_itemsize(enum nds_type type)
{
    static const uint8_t sizes[NDI_NUMBERS] = {
        0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, sizeof(long double), 8, 16};

    return sizes[type];
}

/* Bits go over as they are, NaN payloads included. */
static void
copy_same(char *d, int64_t ds, const char *s, int64_t ss, int64_t item,
          int64_t n)
{
    if (ds == item && ss == item) {
        memmove(d, s, (size_t)(n * item));
        return;
    }
    for (int64_t i = 0; i < n; i++, d += ds, s += ss) {
        switch (item) {
        case 8:
            memcpy(d, s, 8);
            break;
        case 4:
            memcpy(d, s, 4);
            break;
        default:
            memcpy(d, s, (size_t)item);
        }
    }
}

void
ndi_ops_convert(enum nds_type to, void *dst, int64_t dst_stride,
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
        copy_same(dst, dst_stride, src, src_stride, ndi_ops_itemsize(to),
                  count);
        return;
    }
    table[to](dst, dst_stride, from, src, src_stride, count);
}
