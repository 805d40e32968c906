/* SPDX-License-Identifier: MIT */
/*
 * reduce_kernels.c - pairwise trees and folds over contiguous elements
 *
 * A leaf of the tree is 128 numbers in eight running sums; above it, halves
 * (rounded to multiples of eight) are added. Complex leaves hold 64 pairs.
 */
#include "ops_impl.h"

#include <math.h>

#define PAIRWISE(NAME, T)                                                     \
    static inline T NAME##_leaf(const T *x, int64_t n)                        \
    {                                                                         \
        T r[8];                                                               \
        T sum;                                                                \
        int64_t i;                                                            \
                                                                              \
        if (n < 8) {                                                          \
            sum = (T)-0.0;                                                    \
            for (i = 0; i < n; i++) {                                         \
                sum += x[i];                                                  \
            }                                                                 \
            return sum;                                                       \
        }                                                                     \
        memcpy(r, x, sizeof(r));                                              \
        for (i = 8; i < n - n % 8; i += 8) {                                  \
            for (int k = 0; k < 8; k++) {                                     \
                r[k] += x[i + k];                                             \
            }                                                                 \
        }                                                                     \
        sum = ((r[0] + r[1]) + (r[2] + r[3])) +                               \
              ((r[4] + r[5]) + (r[6] + r[7]));                                \
        for (; i < n; i++) {                                                  \
            sum += x[i];                                                      \
        }                                                                     \
        return sum;                                                           \
    }                                                                         \
    T NAME(const T *x, int64_t n)                                             \
    {                                                                         \
        int64_t half = n / 2 - n / 2 % 8;                                     \
                                                                              \
        return n <= 128 ? NAME##_leaf(x, n)                                   \
                        : NAME(x, half) + NAME(x + half, n - half);           \
    }

PAIRWISE(ndi_pairwise_f32, float)
PAIRWISE(ndi_pairwise_f64, double)
PAIRWISE(ndi_pairwise_ld, long double)

#define PAIRWISE_C(NAME, T)                                                   \
    void NAME(const T *x, int64_t count, T *sum)                              \
    {                                                                         \
        int64_t n = 2 * count;                                                \
        int64_t i;                                                            \
        T r[8];                                                               \
                                                                              \
        if (n > 128) {                                                        \
            int64_t half = n / 2 - n / 2 % 8;                                 \
                                                                              \
            NAME(x, half / 2, r);                                             \
            NAME(x + half, (n - half) / 2, r + 2);                            \
            sum[0] = r[0] + r[2];                                             \
            sum[1] = r[1] + r[3];                                             \
            return;                                                           \
        }                                                                     \
        i = 0;                                                                \
        sum[0] = sum[1] = (T)-0.0;                                            \
        if (n >= 8) {                                                         \
            memcpy(r, x, sizeof(r));                                          \
            for (i = 8; i < n - n % 8; i += 8) {                              \
                for (int k = 0; k < 8; k++) {                                 \
                    r[k] += x[i + k];                                         \
                }                                                             \
            }                                                                 \
            sum[0] = (r[0] + r[2]) + (r[4] + r[6]);                           \
            sum[1] = (r[1] + r[3]) + (r[5] + r[7]);                           \
        }                                                                     \
        for (; i < n; i += 2) {                                               \
            sum[0] += x[i];                                                   \
            sum[1] += x[i + 1];                                               \
        }                                                                     \
    }

PAIRWISE_C(ndi_pairwise_c64, float)
PAIRWISE_C(ndi_pairwise_c128, double)

#define FOLD(NAME, T, EXPR)                                                   \
    static void NAME(void *acc, const void *src, int64_t n)                   \
    {                                                                         \
        T p = *(T *)acc;                                                      \
        const T *x = src;                                                     \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T q = x[i];                                                 \
            p = (T)(EXPR);                                                    \
        }                                                                     \
        *(T *)acc = p;                                                        \
    }                                                                         \
    static void NAME##_each(void *acc, int64_t step, const void *src,         \
                            int64_t n)                                        \
    {                                                                         \
        T *a = acc;                                                           \
        const T *x = src;                                                     \
                                                                              \
        NDI_IVDEP                                                             \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T p = a[i * step];                                          \
            const T q = x[i];                                                 \
            a[i * step] = (T)(EXPR);                                          \
        }                                                                     \
    }

/* The first NaN stays. */
#define F_MIN (q < p || (q != q && p == p) ? q : p)
#define F_MAX (q > p || (q != q && p == p) ? q : p)
#define REAL(S, T)                                                            \
    FOLD(sum_##S, T, p + q)                                                   \
    FOLD(prod_##S, T, p *q)                                                   \
    FOLD(min_##S, T, F_MIN)                                                   \
    FOLD(max_##S, T, F_MAX)
#define INTEGER(S, T)                                                         \
    FOLD(min_##S, T, q < p ? q : p)                                           \
    FOLD(max_##S, T, q > p ? q : p)

REAL(f, float)
REAL(d, double)
REAL(g, long double)
INTEGER(i8, int8_t)
INTEGER(u8, uint8_t)
INTEGER(i16, int16_t)
INTEGER(u16, uint16_t)
INTEGER(i32, int32_t)
INTEGER(u32, uint32_t)
INTEGER(i64, int64_t)
INTEGER(u64, uint64_t)
FOLD(sum_u64, uint64_t, p + q)
FOLD(prod_u64, uint64_t, p *q)
/* Any byte but 0 is true: bools may come from elsewhere. */
FOLD(any_b, uint8_t, p | (q != 0))
FOLD(all_b, uint8_t, p & (q != 0))

#define COMPLEX(S, T)                                                         \
    struct S {                                                                \
        T re;                                                                 \
        T im;                                                                 \
    };                                                                        \
    static inline struct S S##_sum(struct S p, struct S q)                    \
    {                                                                         \
        return (struct S){p.re + q.re, p.im + q.im};                          \
    }                                                                         \
    static inline struct S S##_prod(struct S p, struct S q)                   \
    {                                                                         \
        return (struct S){p.re * q.re - p.im * q.im,                          \
                          p.re * q.im + p.im * q.re};                         \
    }                                                                         \
    static inline bool S##_nan(struct S p)                                    \
    {                                                                         \
        return isnan(p.re) || isnan(p.im);                                    \
    }                                                                         \
    static inline bool S##_less(struct S p, struct S q)                       \
    {                                                                         \
        return p.re < q.re || (p.re == q.re && p.im < q.im);                  \
    }                                                                         \
    static inline struct S S##_min(struct S p, struct S q)                    \
    {                                                                         \
        return S##_nan(p) || (!S##_nan(q) && !S##_less(q, p)) ? p : q;        \
    }                                                                         \
    static inline struct S S##_max(struct S p, struct S q)                    \
    {                                                                         \
        return S##_nan(p) || (!S##_nan(q) && !S##_less(p, q)) ? p : q;        \
    }

#define FOLD_C(S)                                                             \
    FOLD(sum_##S, struct S, S##_sum(p, q))                                    \
    FOLD(prod_##S, struct S, S##_prod(p, q))                                  \
    FOLD(min_##S, struct S, S##_min(p, q))                                    \
    FOLD(max_##S, struct S, S##_max(p, q))

COMPLEX(cf, float)
COMPLEX(cd, double)
/* A struct is not cast to itself in C. */
#undef FOLD
#define FOLD(NAME, T, EXPR)                                                   \
    static void NAME(void *acc, const void *src, int64_t n)                   \
    {                                                                         \
        T p = *(T *)acc;                                                      \
        const T *x = src;                                                     \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T q = x[i];                                                 \
            p = EXPR;                                                         \
        }                                                                     \
        *(T *)acc = p;                                                        \
    }                                                                         \
    static void NAME##_each(void *acc, int64_t step, const void *src,         \
                            int64_t n)                                        \
    {                                                                         \
        T *a = acc;                                                           \
        const T *x = src;                                                     \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T p = a[i * step];                                          \
            const T q = x[i];                                                 \
            a[i * step] = EXPR;                                               \
        }                                                                     \
    }
FOLD_C(cf)
FOLD_C(cd)

#define PAIR(NAME) {NAME, NAME##_each}
#define MINMAX(TYPE, S)                                                       \
    [TYPE] = {[NDS_MIN] = PAIR(min_##S), [NDS_MAX] = PAIR(max_##S)}
#define FOUR(TYPE, S)                                                         \
    [TYPE] = {[NDS_SUM] = PAIR(sum_##S), [NDS_PROD] = PAIR(prod_##S),         \
              [NDS_MIN] = PAIR(min_##S), [NDS_MAX] = PAIR(max_##S)}

const struct ndi_fold *
ndi_fold_kernel(enum nds_reduction op, enum nds_type type)
{
    static const struct ndi_fold table[NDI_NUMBERS][NDS_ALL + 1] = {
        [NDS_TYPE_BOOL] = {[NDS_MIN] = PAIR(all_b), [NDS_MAX] = PAIR(any_b),
                           [NDS_ANY] = PAIR(any_b), [NDS_ALL] = PAIR(all_b)},
        MINMAX(NDS_TYPE_INT8, i8),
        MINMAX(NDS_TYPE_UINT8, u8),
        MINMAX(NDS_TYPE_INT16, i16),
        MINMAX(NDS_TYPE_UINT16, u16),
        MINMAX(NDS_TYPE_INT32, i32),
        MINMAX(NDS_TYPE_UINT32, u32),
        [NDS_TYPE_INT64] = {[NDS_SUM] = PAIR(sum_u64),
                            [NDS_PROD] = PAIR(prod_u64),
                            [NDS_MIN] = PAIR(min_i64),
                            [NDS_MAX] = PAIR(max_i64)},
        FOUR(NDS_TYPE_UINT64, u64),
        FOUR(NDS_TYPE_FLOAT32, f),
        FOUR(NDS_TYPE_FLOAT64, d),
        FOUR(NDS_TYPE_LONGDOUBLE, g),
        FOUR(NDS_TYPE_COMPLEX64, cf),
        FOUR(NDS_TYPE_COMPLEX128, cd),
    };

    return &table[type][op];
}
