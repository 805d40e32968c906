/* SPDX-License-Identifier: MIT */
/*
 * fold_loops.c - many elements into one, or each into its own
 *
 * Sums and products (of integers in 64 bits, which wrap), min and max, any and
 * all, straight from the type at hand. Elements that do not lie side by side
 * are gathered CHUNK bytes at a time. Answers are those of one loop from the
 * first element to the last: the first of equals, the first NaN.
 */
#include "extremes.h"

#include <math.h>

#define CHUNK 8192
#define FEW(T) (CHUNK / (int64_t)sizeof(T))
#define MANY(T) (8 * FEW(T)) /* 65535 times as many fit 31 bits */

/* Both loops call BODY(p, x, m) for m elements x that lie side by side; *p is
 * the accumulator, or the first of m. MOST: of what already lies so. */
#define OVER_CHUNKS(NAME, A, S, DONE, BODY, PER, MOST)                        \
    static void NAME(void *acc, const void *src, int64_t stride, int64_t n)   \
    {                                                                         \
        const char *at = src;                                                 \
        S buf[FEW(S)];                                                        \
        A *p = acc;                                                           \
                                                                              \
        for (int64_t m; n > 0 && !(DONE); n -= m, at += m * stride,           \
                                          p += (PER) * m) {                   \
            const S *x = (const S *)(const void *)at;                         \
                                                                              \
            m = n < (MOST) ? n : (MOST);                                      \
            if (stride != (int64_t)sizeof(S)) {                               \
                m = m < FEW(S) ? m : FEW(S);                                  \
                NDI_OF(ndi_copy)((char *)buf, (int64_t)sizeof(S), at, stride, \
                                 (int64_t)sizeof(S), m);                      \
                x = buf;                                                      \
            }                                                                 \
            BODY(p, x, m);                                                    \
        }                                                                     \
    }

/* EXPR of p, the accumulator so far, and q, the element. PART is the type in
 * which a chunk is folded. */
#define FOLD_IN(NAME, A, S, PART, START, JOIN, EXPR, EACH)                    \
    static inline void NAME##_body(A *acc, const S *x, int64_t n)             \
    {                                                                         \
        PART p = START;                                                       \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            const S q = x[i];                                                 \
            p = EXPR;                                                         \
        }                                                                     \
        *acc = JOIN;                                                          \
    }                                                                         \
    static inline void NAME##_each_body(A *acc, const S *x, int64_t n)        \
    {                                                                         \
        NDI_IVDEP                                                             \
        for (int64_t i = 0; i < n; i++) {                                     \
            const A p = acc[i];                                               \
            const S q = x[i];                                                 \
            acc[i] = EACH;                                                    \
        }                                                                     \
    }                                                                         \
    OVER_CHUNKS(NAME, A, S, false, NAME##_body, 0, MANY(S))                   \
    OVER_CHUNKS(NAME##_each, A, S, false, NAME##_each_body, 1, n)
#define FOLD(NAME, A, S, EXPR) FOLD_IN(NAME, A, S, A, *acc, p, EXPR, EXPR)

/* ---- sums and products ---------------------------------------------------- */
/* A chunk of small numbers has a sum of 32 bits. */
#define SUM_SMALL(S, T)                                                       \
    FOLD_IN(sum_##S, uint64_t, T, int32_t, 0, *acc + (uint64_t)(int64_t)p,    \
            p + (int32_t)q, p + (uint64_t)(int64_t)q)
#define PROD_INT(S, T)                                                        \
    FOLD(prod_##S, uint64_t, T, p *(uint64_t)(int64_t)q)

SUM_SMALL(i8, int8_t)
SUM_SMALL(u8, uint8_t)
SUM_SMALL(i16, int16_t)
SUM_SMALL(u16, uint16_t)
FOLD(sum_i32, uint64_t, int32_t, p + (uint64_t)(int64_t)q)
FOLD(sum_u32, uint64_t, uint32_t, p + q)
FOLD(sum_u64, uint64_t, uint64_t, p + q)
FOLD_IN(sum_b, uint64_t, uint8_t, uint32_t, 0, *acc + p, p + (q != 0),
        p + (q != 0))
PROD_INT(i8, int8_t)
PROD_INT(u8, uint8_t)
PROD_INT(i16, int16_t)
PROD_INT(u16, uint16_t)
PROD_INT(i32, int32_t)
PROD_INT(u32, uint32_t)
FOLD(prod_u64, uint64_t, uint64_t, p *q)
FOLD(prod_b, uint64_t, uint8_t, p *(q != 0))
FOLD(sum_f, float, float, p + q)
FOLD(sum_d, double, double, p + q)
FOLD(sum_g, long double, long double, p + q)
FOLD(prod_f, float, float, p *q)
FOLD(prod_d, double, double, p *q)
FOLD(prod_g, long double, long double, p *q)

/* ---- min and max ---------------------------------------------------------- */
#define MINMAX_INT(S, T)                                                      \
    FOLD(min_##S, T, T, q < p ? q : p)                                        \
    FOLD(max_##S, T, T, q > p ? q : p)

MINMAX_INT(i8, int8_t)
MINMAX_INT(u8, uint8_t)
MINMAX_INT(i16, int16_t)
MINMAX_INT(u16, uint16_t)
MINMAX_INT(i32, int32_t)
MINMAX_INT(u32, uint32_t)
MINMAX_INT(i64, int64_t)
MINMAX_INT(u64, uint64_t)

/* The first NaN stays. */
#define F_MIN (((p <= q) | (p != p)) ? p : q)
#define F_MAX (((p >= q) | (p != p)) ? p : q)
#define ONLY_EACH(NAME, T, EXPR)                                              \
    static inline void NAME##_each_body(T *acc, const T *x, int64_t n)        \
    {                                                                         \
        NDI_IVDEP                                                             \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T p = acc[i];                                               \
            const T q = x[i];                                                 \
            acc[i] = EXPR;                                                    \
        }                                                                     \
    }                                                                         \
    OVER_CHUNKS(NAME##_each, T, T, false, NAME##_each_body, 1, n)
#define EXTREME(NAME, T, BLOCK, OP)                                           \
    static inline void NAME##_body(T *acc, const T *x, int64_t n)             \
    {                                                                         \
        int64_t i = 0;                                                        \
        T top;                                                                \
                                                                              \
        if (BLOCK(x, n, &top)) {                                              \
            while (i < n - 1 && x[i] == x[i]) {                               \
                i++;                                                          \
            }                                                                 \
            *acc = x[i];                                                      \
        } else if (top OP * acc) {                                            \
            while (i < n - 1 && top == 0 && x[i] != 0) {                      \
                i++;                                                          \
            }                                                                 \
            *acc = top == 0 ? x[i] : top;                                     \
        }                                                                     \
    }                                                                         \
    OVER_CHUNKS(NAME, T, T, *p != *p, NAME##_body, 0, MANY(T))

EXTREME(min_f, float, least_f, <)
EXTREME(min_d, double, least_d, <)
EXTREME(max_f, float, most_f, >)
EXTREME(max_d, double, most_d, >)
ONLY_EACH(min_f, float, F_MIN)
ONLY_EACH(min_d, double, F_MIN)
ONLY_EACH(max_f, float, F_MAX)
ONLY_EACH(max_d, double, F_MAX)
FOLD(min_g, long double, long double, F_MIN)
FOLD(max_g, long double, long double, F_MAX)

/* ---- any and all: false is when no bit of BITS(q) is set ------------------ */
#define TRUTH(S, T, U, BITS)                                                  \
    static inline void any_##S##_body(uint8_t *acc, const T *x, int64_t n)    \
    {                                                                         \
        U some = 0;                                                           \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T q = x[i];                                                 \
            some |= BITS;                                                     \
        }                                                                     \
        *acc |= some != 0;                                                    \
    }                                                                         \
    static inline void all_##S##_body(uint8_t *acc, const T *x, int64_t n)    \
    {                                                                         \
        U none = 0;                                                           \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T q = x[i];                                                 \
            none |= (U)((BITS) == 0);                                         \
        }                                                                     \
        *acc &= none == 0;                                                    \
    }                                                                         \
    static inline void any_##S##_each_body(uint8_t *acc, const T *x,          \
                                           int64_t n)                         \
    {                                                                         \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T q = x[i];                                                 \
            acc[i] |= (BITS) != 0;                                            \
        }                                                                     \
    }                                                                         \
    static inline void all_##S##_each_body(uint8_t *acc, const T *x,          \
                                           int64_t n)                         \
    {                                                                         \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T q = x[i];                                                 \
            acc[i] &= (BITS) != 0;                                            \
        }                                                                     \
    }                                                                         \
    OVER_CHUNKS(any_##S, uint8_t, T, *p != 0, any_##S##_body, 0, FEW(T))      \
    OVER_CHUNKS(all_##S, uint8_t, T, *p == 0, all_##S##_body, 0, FEW(T))      \
    OVER_CHUNKS(any_##S##_each, uint8_t, T, false, any_##S##_each_body, 1, n) \
    OVER_CHUNKS(all_##S##_each, uint8_t, T, false, all_##S##_each_body, 1, n)

struct two {
    uint64_t re;
    uint64_t im;
};
TRUTH(8, uint8_t, uint8_t, q)
TRUTH(16, uint16_t, uint16_t, q)
TRUTH(32, uint32_t, uint32_t, q)
TRUTH(64, uint64_t, uint64_t, q)
TRUTH(h, uint16_t, uint16_t, (uint16_t)(q << 1))
TRUTH(f, uint32_t, uint32_t, q << 1)
TRUTH(d, uint64_t, uint64_t, q << 1)
TRUTH(g, long double, uint8_t, q != 0)
TRUTH(cf, uint64_t, uint64_t, q & 0x7fffffff7fffffffULL)
TRUTH(cd, struct two, uint64_t, (q.re | q.im) << 1)

/* ---- complex numbers ------------------------------------------------------ */
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
    }                                                                         \
    FOLD(sum_##S, struct S, struct S, S##_sum(p, q))                          \
    FOLD(prod_##S, struct S, struct S, S##_prod(p, q))                        \
    FOLD(min_##S, struct S, struct S, S##_min(p, q))                          \
    FOLD(max_##S, struct S, struct S, S##_max(p, q))

NDI_UNFUSED_BEGIN
COMPLEX(cf, float)
COMPLEX(cd, double)
NDI_UNFUSED_END

#define PAIR(NAME) {NAME, NAME##_each}
#define INTEGERS(OP)                                                          \
    [NDS_TYPE_INT8] = PAIR(OP##_i8), [NDS_TYPE_UINT8] = PAIR(OP##_u8),        \
    [NDS_TYPE_INT16] = PAIR(OP##_i16), [NDS_TYPE_UINT16] = PAIR(OP##_u16),    \
    [NDS_TYPE_INT32] = PAIR(OP##_i32), [NDS_TYPE_UINT32] = PAIR(OP##_u32)
#define FLOATS(OP)                                                            \
    [NDS_TYPE_FLOAT32] = PAIR(OP##_f), [NDS_TYPE_FLOAT64] = PAIR(OP##_d),     \
    [NDS_TYPE_LONGDOUBLE] = PAIR(OP##_g),                                     \
    [NDS_TYPE_COMPLEX64] = PAIR(OP##_cf), [NDS_TYPE_COMPLEX128] = PAIR(OP##_cd)
#define WRAPPING(OP)                                                          \
    {[NDS_TYPE_BOOL] = PAIR(OP##_b), INTEGERS(OP),                            \
     [NDS_TYPE_INT64] = PAIR(OP##_u64), [NDS_TYPE_UINT64] = PAIR(OP##_u64),   \
     FLOATS(OP)}
#define BEST(OP, TRUE)                                                        \
    {[NDS_TYPE_BOOL] = PAIR(TRUE##_8), INTEGERS(OP),                          \
     [NDS_TYPE_INT64] = PAIR(OP##_i64), [NDS_TYPE_UINT64] = PAIR(OP##_u64),   \
     FLOATS(OP)}
#define TRUE_ONES(OP)                                                         \
    {[NDS_TYPE_BOOL] = PAIR(OP##_8), [NDS_TYPE_INT8] = PAIR(OP##_8),          \
     [NDS_TYPE_UINT8] = PAIR(OP##_8), [NDS_TYPE_INT16] = PAIR(OP##_16),       \
     [NDS_TYPE_UINT16] = PAIR(OP##_16), [NDS_TYPE_INT32] = PAIR(OP##_32),     \
     [NDS_TYPE_UINT32] = PAIR(OP##_32), [NDS_TYPE_INT64] = PAIR(OP##_64),     \
     [NDS_TYPE_UINT64] = PAIR(OP##_64), [NDS_TYPE_FLOAT16] = PAIR(OP##_h),    \
     FLOATS(OP)}

const struct ndi_fold NDI_OF(ndi_folds)[NDS_ALL + 1][NDI_NUMBERS] = {
    [NDS_SUM] = WRAPPING(sum), [NDS_PROD] = WRAPPING(prod),
    [NDS_MIN] = BEST(min, all), [NDS_MAX] = BEST(max, any),
    [NDS_ANY] = TRUE_ONES(any), [NDS_ALL] = TRUE_ONES(all),
};
