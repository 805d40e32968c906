/* SPDX-License-Identifier: MIT */
/*
 * binary_kernels.c - one loop for each operation and type
 *
 * Every loop knows four shapes of its operands: all contiguous, either input
 * constant, and anything. Integers wrap, as in NumPy. `o` may be `a` or `b`
 * exactly; other overlap is the caller's to avoid.
 */
#include "ops_impl.h"

#include <math.h>

#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wpass-failed"
#endif

#define DENSE(T, A, B, EXPR)                                                  \
    do {                                                                      \
        NDI_IVDEP                                                             \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T x = (A);                                                  \
            const T y = (B);                                                  \
            po[i] = (T)(EXPR);                                                \
        }                                                                     \
    } while (0)

#define KERNEL(NAME, T, EXPR)                                                 \
    NDI_CLONES static void NAME(char *o, const char *a, const char *b,        \
                                int64_t so, int64_t sa, int64_t sb,           \
                                int64_t n)                                    \
    {                                                                         \
        const int64_t w = (int64_t)sizeof(T);                                 \
        T *po = (T *)o;                                                       \
        const T *pa = (const T *)a;                                           \
        const T *pb = (const T *)b;                                           \
                                                                              \
        if (n > 0 && so == w && sa == w && sb == w) {                         \
            DENSE(T, pa[i], pb[i], EXPR);                                     \
        } else if (n > 0 && so == w && sa == w && sb == 0) {                  \
            const T c = pb[0];                                                \
            DENSE(T, pa[i], c, EXPR);                                         \
        } else if (n > 0 && so == w && sa == 0 && sb == w) {                  \
            const T c = pa[0];                                                \
            DENSE(T, c, pb[i], EXPR);                                         \
        } else {                                                              \
            for (int64_t i = 0; i < n; i++, o += so, a += sa, b += sb) {      \
                const T x = *(const T *)a;                                    \
                const T y = *(const T *)b;                                    \
                *(T *)o = (T)(EXPR);                                          \
            }                                                                 \
        }                                                                     \
    }

/* Halves go through float and are rounded after each operation. */
#define H(v) ndi_half_load(v)
#define TO_H(v) ndi_half_from_double((double)(v))

#define INTEGER(S, T, W)                                                      \
    KERNEL(add_##S, T, (W)x + (W)y)                                           \
    KERNEL(sub_##S, T, (W)x - (W)y)                                           \
    KERNEL(mul_##S, T, (W)x *(W)y)
#define FLOATING(S, T)                                                        \
    KERNEL(add_##S, T, x + y)                                                 \
    KERNEL(sub_##S, T, x - y)                                                 \
    KERNEL(mul_##S, T, x *y)                                                  \
    KERNEL(div_##S, T, x / y)

INTEGER(u8, uint8_t, uint32_t)
INTEGER(u16, uint16_t, uint32_t)
INTEGER(u32, uint32_t, uint32_t)
INTEGER(u64, uint64_t, uint64_t)
FLOATING(f, float)
FLOATING(d, double)
FLOATING(g, long double)
KERNEL(add_b, uint8_t, (x | y) != 0)
KERNEL(mul_b, uint8_t, (x != 0) & (y != 0))
KERNEL(add_h, uint16_t, TO_H(H(x) + H(y)))
KERNEL(sub_h, uint16_t, TO_H(H(x) - H(y)))
KERNEL(mul_h, uint16_t, TO_H(H(x) * H(y)))
KERNEL(div_h, uint16_t, TO_H(H(x) / H(y)))

/* Complex numbers part by part: C's own operators patch up NaN, NumPy's do
 * not. Division is Smith's, scaled by the larger part of the divisor. */
#define COMPLEX(S, T, FABS)                                                   \
    struct S {                                                                \
        T re;                                                                 \
        T im;                                                                 \
    };                                                                        \
    static inline struct S S##_add(struct S x, struct S y)                    \
    {                                                                         \
        return (struct S){x.re + y.re, x.im + y.im};                          \
    }                                                                         \
    static inline struct S S##_sub(struct S x, struct S y)                    \
    {                                                                         \
        return (struct S){x.re - y.re, x.im - y.im};                          \
    }                                                                         \
    static inline struct S S##_mul(struct S x, struct S y)                    \
    {                                                                         \
        return (struct S){x.re * y.re - x.im * y.im,                          \
                          x.re * y.im + x.im * y.re};                         \
    }                                                                         \
    static inline struct S S##_div(struct S x, struct S y)                    \
    {                                                                         \
        T re = FABS(y.re);                                                    \
        T im = FABS(y.im);                                                    \
        T ratio;                                                              \
        T scale;                                                              \
                                                                              \
        if (re >= im) {                                                       \
            if (re == 0 && im == 0) {                                         \
                return (struct S){x.re / re, x.im / re};                      \
            }                                                                 \
            ratio = y.im / y.re;                                              \
            scale = (T)1 / (y.re + y.im * ratio);                             \
            return (struct S){(x.re + x.im * ratio) * scale,                  \
                              (x.im - x.re * ratio) * scale};                 \
        }                                                                     \
        ratio = y.re / y.im;                                                  \
        scale = (T)1 / (y.im + y.re * ratio);                                 \
        return (struct S){(x.re * ratio + x.im) * scale,                      \
                          (x.im * ratio - x.re) * scale};                     \
    }

COMPLEX(cf, float, fabsf)
COMPLEX(cd, double, fabs)

#define LOOP_C(NAME, T, FN)                                                   \
    static void NAME(char *o, const char *a, const char *b, int64_t so,       \
                     int64_t sa, int64_t sb, int64_t n)                       \
    {                                                                         \
        for (int64_t i = 0; i < n; i++, o += so, a += sa, b += sb) {          \
            *(T *)o = FN(*(const T *)a, *(const T *)b);                       \
        }                                                                     \
    }

LOOP_C(add_cf, struct cf, cf_add)
LOOP_C(sub_cf, struct cf, cf_sub)
LOOP_C(mul_cf, struct cf, cf_mul)
LOOP_C(div_cf, struct cf, cf_div)
LOOP_C(add_cd, struct cd, cd_add)
LOOP_C(sub_cd, struct cd, cd_sub)
LOOP_C(mul_cd, struct cd, cd_mul)
LOOP_C(div_cd, struct cd, cd_div)

ndi_binary_fn *
ndi_binary_kernel(enum nds_op op, enum nds_type type)
{
    static ndi_binary_fn *const table[NDI_NUMBERS][4] = {
        [NDS_TYPE_BOOL] = {add_b, NULL, mul_b, NULL},
        [NDS_TYPE_INT8] = {add_u8, sub_u8, mul_u8, NULL},
        [NDS_TYPE_UINT8] = {add_u8, sub_u8, mul_u8, NULL},
        [NDS_TYPE_INT16] = {add_u16, sub_u16, mul_u16, NULL},
        [NDS_TYPE_UINT16] = {add_u16, sub_u16, mul_u16, NULL},
        [NDS_TYPE_INT32] = {add_u32, sub_u32, mul_u32, NULL},
        [NDS_TYPE_UINT32] = {add_u32, sub_u32, mul_u32, NULL},
        [NDS_TYPE_INT64] = {add_u64, sub_u64, mul_u64, NULL},
        [NDS_TYPE_UINT64] = {add_u64, sub_u64, mul_u64, NULL},
        [NDS_TYPE_FLOAT16] = {add_h, sub_h, mul_h, div_h},
        [NDS_TYPE_FLOAT32] = {add_f, sub_f, mul_f, div_f},
        [NDS_TYPE_FLOAT64] = {add_d, sub_d, mul_d, div_d},
        [NDS_TYPE_LONGDOUBLE] = {add_g, sub_g, mul_g, div_g},
        [NDS_TYPE_COMPLEX64] = {add_cf, sub_cf, mul_cf, div_cf},
        [NDS_TYPE_COMPLEX128] = {add_cd, sub_cd, mul_cd, div_cd},
    };

    return table[type][op];
}
