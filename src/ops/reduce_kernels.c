/* SPDX-License-Identifier: MIT */
/*
 * reduce_kernels.c - pairwise trees and folds over contiguous elements
 *
 * A leaf of the tree is 128 numbers in eight running sums; above it, halves
 * (rounded to multiples of eight) are added. Complex leaves hold 64 pairs.
 */
#include "ops_impl.h"

#include <os/os.h>

#include <math.h>

/* Vectors of 16 bytes, which every processor of ours has: wider ones are taken
 * apart through memory where they are missing. */
#define VECTOR(T) T __attribute__((vector_size(16)))
typedef VECTOR(float) vec_f;
typedef VECTOR(double) vec_d;
typedef VECTOR(int32_t) vec_i32;
typedef VECTOR(int64_t) vec_i64;
/* A page further: leaves are short for what looks ahead in the processor. Sums
 * of 800 MB took 26 ms instead of 29, and maxima 28 instead of 34. */
#define NDI_AHEAD(p) __builtin_prefetch((const char *)(p) + 4096)
#define VECTORS(V, T) (8 * sizeof(T) / sizeof(V)) /* that hold eight */

#define PAIRWISE(NAME, T, V)                                                  \
    static inline T NAME##_leaf(const T *x, int64_t n)                        \
    {                                                                         \
        V r[VECTORS(V, T)], q[VECTORS(V, T)];                                 \
        T e[8], sum;                                                          \
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
            NDI_AHEAD(x + i);                                                 \
            memcpy(q, x + i, sizeof(q));                                      \
            for (size_t k = 0; k < VECTORS(V, T); k++) {                      \
                r[k] += q[k];                                                 \
            }                                                                 \
        }                                                                     \
        memcpy(e, r, sizeof(e));                                              \
        sum = ((e[0] + e[1]) + (e[2] + e[3])) +                               \
              ((e[4] + e[5]) + (e[6] + e[7]));                                \
        for (; i < n; i++) {                                                  \
            sum += x[i];                                                      \
        }                                                                     \
        return sum;                                                           \
    }                                                                         \
    static T NAME(const T *x, int64_t n)                                      \
    {                                                                         \
        int64_t half = n / 2 - n / 2 % 8;                                     \
                                                                              \
        return n <= 128 ? NAME##_leaf(x, n)                                   \
                        : NAME(x, half) + NAME(x + half, n - half);           \
    }

PAIRWISE(pairwise_f32, float, vec_f)
PAIRWISE(pairwise_f64, double, vec_d)

/* No vector holds a long double: the same by single numbers. */
static long double
pairwise_ld(const long double *x, int64_t n)
{
    int64_t half = n / 2 - n / 2 % 8;
    long double r[8], sum;
    int64_t i = 8;

    if (n > 128) {
        return pairwise_ld(x, half) + pairwise_ld(x + half, n - half);
    }
    if (n < 8) {
        sum = -0.0L;
        i = 0;
    } else {
        memcpy(r, x, sizeof(r));
        for (; i < n - n % 8; i++) {
            r[i % 8] += x[i];
        }
        sum = ((r[0] + r[1]) + (r[2] + r[3])) +
              ((r[4] + r[5]) + (r[6] + r[7]));
    }
    for (; i < n; i++) {
        sum += x[i];
    }
    return sum;
}

#define PAIRWISE_C(NAME, T)                                                   \
    static void NAME(const T *x, int64_t count, T *sum)                       \
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

PAIRWISE_C(pairwise_c64, float)
PAIRWISE_C(pairwise_c128, double)

static bool
is_pair(enum nds_type type)
{
    return type == NDS_TYPE_COMPLEX64 || type == NDS_TYPE_COMPLEX128;
}

int64_t
ndi_pairwise_split(enum nds_type type, int64_t count)
{
    // Pairs count as two numbers each: n - n % 8 numbers, half of them.
    return is_pair(type) ? (count - count % 8) / 2
                         : count / 2 - count / 2 % 8;
}

static void
pairwise(enum nds_type type, const void *x, int64_t n, void *sum)
{
    switch ((int)type) {
    case NDS_TYPE_FLOAT32:
        *(float *)sum = pairwise_f32(x, n);
        break;
    case NDS_TYPE_FLOAT64:
        *(double *)sum = pairwise_f64(x, n);
        break;
    case NDS_TYPE_LONGDOUBLE:
        *(long double *)sum = pairwise_ld(x, n);
        break;
    case NDS_TYPE_COMPLEX64:
        pairwise_c64(x, n, sum);
        break;
    default:
        pairwise_c128(x, n, sum);
    }
}

/* The top of a tree: its nodes `depth` levels down, from left to right. */
#define DEPTH_MAX 6
struct top {
    enum nds_type type;
    const char *at[1 << DEPTH_MAX];
    int64_t count[1 << DEPTH_MAX];
    int nodes;
    _Alignas(16) unsigned char sum[1 << DEPTH_MAX][32];
};

static void
cut(struct top *t, const char *x, int64_t n, int depth)
{
    int64_t half = ndi_pairwise_split(t->type, n);

    if (depth == 0) {
        t->at[t->nodes] = x;
        t->count[t->nodes++] = n;
        return;
    }
    cut(t, x, half, depth - 1);
    cut(t, x + half * ndi_ops_itemsize(t->type), n - half, depth - 1);
}

static void
sum_node(void *ctx, int64_t i)
{
    struct top *t = ctx;

    pairwise(t->type, t->at[i], t->count[i], t->sum[i]);
}

void
ndi_pairwise(enum nds_type type, const void *x, int64_t count, void *sum)
{
    int64_t nbytes = count * ndi_ops_itemsize(type);
    struct top t = {.type = type};
    int depth = 0;

    while (depth < DEPTH_MAX && nbytes >> (depth + 1) >= NDI_NODE_NBYTES) {
        depth++;
    }
    if (depth == 0) {
        pairwise(type, x, count, sum);
        return;
    }
    cut(&t, x, count, depth);
    ndi_parallel(t.nodes, sum_node, &t);
    for (int n = t.nodes / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
            ndi_fold_kernel(NDS_SUM, type)->fold(t.sum[2 * i],
                                                 t.sum[2 * i + 1], 1);
            memmove(t.sum[i], t.sum[2 * i], sizeof t.sum[i]);
        }
    }
    memcpy(sum, t.sum[0], (size_t)ndi_ops_itemsize(type));
}

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

/* min and max of reals: eight running ones while no NaN is met; a stretch with
 * one goes element by element. A comparison of vectors is a mask. */
#define EXTREME(NAME, T, V, MASK, OP, SLOW)                                   \
    static void NAME(void *acc, const void *src, int64_t n)                   \
    {                                                                         \
        const T *x = src;                                                     \
        V best[VECTORS(V, T)], q[VECTORS(V, T)];                              \
        MASK nan = {0};                                                       \
        T each[8];                                                            \
        int64_t i;                                                            \
                                                                              \
        for (int k = 0; k < 8; k++) {                                         \
            each[k] = *(T *)acc;                                              \
        }                                                                     \
        memcpy(best, each, sizeof(best));                                     \
        for (i = 0; i + 8 <= n; i += 8) {                                     \
            NDI_AHEAD(x + i);                                                 \
            memcpy(q, x + i, sizeof(q));                                      \
            for (size_t k = 0; k < VECTORS(V, T); k++) {                      \
                MASK take = (MASK)(q[k] OP best[k]);                          \
                                                                              \
                nan |= (MASK)(q[k] != q[k]);                                  \
                best[k] = (V)(((MASK)q[k] & take) |                           \
                              ((MASK)best[k] & ~take));                       \
            }                                                                 \
        }                                                                     \
        for (size_t k = 1; k < sizeof(V) / sizeof(T); k++) {                  \
            nan[0] |= nan[k];                                                 \
        }                                                                     \
        if (nan[0] != 0) {                                                    \
            SLOW(acc, src, n);                                                \
            return;                                                           \
        }                                                                     \
        memcpy(each, best, sizeof(each));                                     \
        SLOW(acc, each, 8);                                                   \
        SLOW(acc, x + i, n - i);                                              \
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
EXTREME(least_f, float, vec_f, vec_i32, <, min_f)
EXTREME(most_f, float, vec_f, vec_i32, >, max_f)
EXTREME(least_d, double, vec_d, vec_i64, <, min_d)
EXTREME(most_d, double, vec_d, vec_i64, >, max_d)
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
#define EXTREMES(TYPE, S)                                                     \
    [TYPE] = {[NDS_SUM] = PAIR(sum_##S), [NDS_PROD] = PAIR(prod_##S),         \
              [NDS_MIN] = {least_##S, min_##S##_each},                        \
              [NDS_MAX] = {most_##S, max_##S##_each}}

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
        EXTREMES(NDS_TYPE_FLOAT32, f),
        EXTREMES(NDS_TYPE_FLOAT64, d),
        FOUR(NDS_TYPE_LONGDOUBLE, g),
        FOUR(NDS_TYPE_COMPLEX64, cf),
        FOUR(NDS_TYPE_COMPLEX128, cd),
    };

    return &table[type][op];
}
