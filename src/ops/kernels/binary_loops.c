/* SPDX-License-Identifier: MIT */
/*
 * binary_loops.c - one loop for each operation and type
 *
 * Every loop knows four shapes of its operands: all contiguous, either input
 * constant, and anything. Integers wrap, as in NumPy. `o` may be `a` or `b`
 * exactly; other overlap is the caller's to avoid.
 */
#include "kernels.h"

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
    static void NAME(char *o, const char *a, const char *b, int64_t so,       \
                     int64_t sa, int64_t sb, int64_t n)                       \
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
#define TO_H(v) ndi_half_store(v)

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

NDI_UNFUSED_BEGIN
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
    /* Both of Smith's cases at once, for vectors; y is not 0. */             \
    static inline struct S S##_div(struct S x, struct S y)                    \
    {                                                                         \
        const bool tall = FABS(y.re) >= FABS(y.im);                           \
        const T big = tall ? y.re : y.im;                                     \
        const T ratio = (tall ? y.im : y.re) / big;                           \
        const T scale = (T)1 / (big + (tall ? y.im : y.re) * ratio);          \
        const T u = tall ? x.re : x.im;                                       \
        const T v = tall ? x.im : x.re;                                       \
        const T t = u * ratio;                                                \
                                                                              \
        return (struct S){(u + v * ratio) * scale,                            \
                          (tall ? v - t : t - v) * scale};                    \
    }                                                                         \
    static inline struct S S##_div_any(struct S x, struct S y)                \
    {                                                                         \
        if (y.re == 0 && y.im == 0) {                                         \
            return (struct S){x.re / FABS(y.re), x.im / FABS(y.re)};          \
        }                                                                     \
        return S##_div(x, y);                                                 \
    }                                                                         \
    static inline bool S##_is_zero(struct S y)                                \
    {                                                                         \
        return (y.re == 0) & (y.im == 0);                                     \
    }

COMPLEX(cf, float, fabsf)
COMPLEX(cd, double, fabs)

/* Packed, `b` perhaps constant, block by block; or anything. */
#define BLOCK_C 512
#define LOOP_C(NAME, S, FN, FN_ANY)                                           \
    static void NAME##_dense(struct S *o, const struct S *a,                  \
                             const struct S *b, int64_t n)                    \
    {                                                                         \
        NDI_IVDEP                                                             \
        for (int64_t i = 0; i < n; i++) {                                     \
            o[i] = FN(a[i], b[i]);                                            \
        }                                                                     \
    }                                                                         \
    static void NAME##_by_one(struct S *o, const struct S *a, struct S b,     \
                              int64_t n)                                      \
    {                                                                         \
        NDI_IVDEP                                                             \
        for (int64_t i = 0; i < n; i++) {                                     \
            o[i] = FN(a[i], b);                                               \
        }                                                                     \
    }                                                                         \
    static void NAME##_any(char *o, const char *a, const char *b, int64_t so, \
                           int64_t sa, int64_t sb, int64_t n)                 \
    {                                                                         \
        for (int64_t i = 0; i < n; i++, o += so, a += sa, b += sb) {          \
            *(struct S *)o = FN_ANY(*(const struct S *)a,                     \
                                    *(const struct S *)b);                    \
        }                                                                     \
    }                                                                         \
    static void NAME(char *o, const char *a, const char *b, int64_t so,       \
                     int64_t sa, int64_t sb, int64_t n)                       \
    {                                                                         \
        const int64_t w = (int64_t)sizeof(struct S);                          \
        const bool packed = so == w && sa == w && (sb == w || sb == 0);       \
                                                                              \
        for (int64_t m; n > 0; n -= m, o += m * so, a += m * sa,              \
                               b += m * sb) {                                 \
            struct S *po = (struct S *)o;                                     \
            const struct S *pa = (const struct S *)a;                         \
            const struct S *pb = (const struct S *)b;                         \
                                                                              \
            m = n < BLOCK_C ? n : BLOCK_C;                                    \
            if (!packed || NAME##_odd(pb, sb == 0 ? 1 : m)) {                 \
                NAME##_any(o, a, b, so, sa, sb, m);                           \
            } else if (sb == 0) {                                             \
                NAME##_by_one(po, pa, *pb, m);                                \
            } else {                                                          \
                NAME##_dense(po, pa, pb, m);                                  \
            }                                                                 \
        }                                                                     \
    }

#define NEVER_ODD(NAME, S)                                                    \
    static inline bool NAME##_odd(const struct S *b, int64_t n)               \
    {                                                                         \
        (void)b;                                                              \
        (void)n;                                                              \
        return false;                                                         \
    }
#define ODD_AT_ZERO(NAME, S)                                                  \
    static bool NAME##_odd(const struct S *b, int64_t n)                      \
    {                                                                         \
        unsigned zero = 0;                                                    \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            zero |= S##_is_zero(b[i]);                                        \
        }                                                                     \
        return zero != 0;                                                     \
    }
#define LOOPS_C(S)                                                            \
    NEVER_ODD(add_##S, S)                                                     \
    NEVER_ODD(sub_##S, S)                                                     \
    NEVER_ODD(mul_##S, S)                                                     \
    ODD_AT_ZERO(div_##S, S)                                                   \
    LOOP_C(add_##S, S, S##_add, S##_add)                                      \
    LOOP_C(sub_##S, S, S##_sub, S##_sub)                                      \
    LOOP_C(mul_##S, S, S##_mul, S##_mul)                                      \
    LOOP_C(div_##S, S, S##_div, S##_div_any)

LOOPS_C(cf)
LOOPS_C(cd)
NDI_UNFUSED_END

ndi_binary_fn *const NDI_OF(ndi_binary)[NDI_NUMBERS][4] = {
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
