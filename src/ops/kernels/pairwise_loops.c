/* SPDX-License-Identifier: MIT */
/*
 * pairwise_loops.c - pairwise trees (docs/design/reductions.md, 4)
 *
 * A leaf is 128 numbers in eight running sums; above it, halves (rounded to
 * multiples of eight) are added. Complex leaves hold 64 pairs. What does not
 * lie side by side in the type added, and squares, pass through a leaf's worth
 * of stack.
 */
#include "kernels.h"

#define LEAF 128
/* A page further: leaves are short for what looks ahead in the processor. */
#define AHEAD(p) __builtin_prefetch((const char *)(p) + 4096)

/* As much of eight running sums as one register holds. */
#define VECTOR(T)                                                             \
    T __attribute__((vector_size(8 * sizeof(T) < NDI_VECTOR ? 8 * sizeof(T)   \
                                                            : NDI_VECTOR)))
typedef VECTOR(float) vec_f32;
typedef VECTOR(double) vec_f64;
#define VECTORS(V, T) (8 * sizeof(T) / sizeof(V)) /* that hold eight */

/* n <= LEAF terms, side by side: where they are, or in buf, which has room
 * for pairs. */
static const void *
fetch(const struct ndi_terms *t, const char *x, int64_t n, void *buf)
{
    int64_t item = ndi_ops_itemsize(t->type);

    if (!t->mean && t->from == t->type && t->stride == item) {
        return x;
    }
    NDI_OF(ndi_convert)(t->type, buf, item, t->from, x, t->stride, n);
    if (t->mean) {
        NDI_OF(ndi_square)(t->type, t->half, buf, t->mean, 0, n);
    }
    return buf;
}

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
            AHEAD(x + i);                                                     \
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
    static T NAME(const struct ndi_terms *t, const char *x, int64_t n)        \
    {                                                                         \
        int64_t half = n / 2 - n / 2 % 8;                                     \
                                                                              \
        if (n <= LEAF) {                                                      \
            _Alignas(64) T buf[2 * LEAF];                                     \
                                                                              \
            return NAME##_leaf(fetch(t, x, n, buf), n);                       \
        }                                                                     \
        return NAME(t, x, half) + NAME(t, x + half * t->stride, n - half);    \
    }

PAIRWISE(pairwise_f32, float, vec_f32)
PAIRWISE(pairwise_f64, double, vec_f64)

/* No vector holds a long double: the same by single numbers. */
static long double
pairwise_ld(const struct ndi_terms *t, const char *at, int64_t n)
{
    int64_t half = n / 2 - n / 2 % 8;
    long double buf[LEAF], r[8], sum;
    const long double *x;
    int64_t i = 0;

    if (n > LEAF) {
        return pairwise_ld(t, at, half) +
               pairwise_ld(t, at + half * t->stride, n - half);
    }
    x = fetch(t, at, n, buf);
    sum = -0.0L;
    if (n >= 8) {
        memcpy(r, x, sizeof(r));
        for (i = 8; i < n - n % 8; i += 8) {
            for (int k = 0; k < 8; k++) {
                r[k] += x[i + k];
            }
        }
        sum = ((r[0] + r[1]) + (r[2] + r[3])) +
              ((r[4] + r[5]) + (r[6] + r[7]));
    }
    for (; i < n; i++) {
        sum += x[i];
    }
    return sum;
}

#define PAIRWISE_C(NAME, T, V)                                                \
    static void NAME(const struct ndi_terms *t, const char *at,               \
                     int64_t count, T *sum)                                   \
    {                                                                         \
        V r[VECTORS(V, T)], q[VECTORS(V, T)];                                 \
        _Alignas(64) T buf[LEAF];                                             \
        int64_t n = 2 * count;                                                \
        int64_t i = 0;                                                        \
        const T *x;                                                           \
        T e[8];                                                               \
                                                                              \
        if (n > LEAF) {                                                       \
            int64_t half = (n / 2 - n / 2 % 8) / 2;                           \
                                                                              \
            NAME(t, at, half, e);                                             \
            NAME(t, at + half * t->stride, count - half, e + 2);              \
            sum[0] = e[0] + e[2];                                             \
            sum[1] = e[1] + e[3];                                             \
            return;                                                           \
        }                                                                     \
        x = fetch(t, at, count, buf);                                         \
        sum[0] = sum[1] = (T)-0.0;                                            \
        if (n >= 8) {                                                         \
            memcpy(r, x, sizeof(r));                                          \
            for (i = 8; i < n - n % 8; i += 8) {                              \
                AHEAD(x + i);                                                 \
                memcpy(q, x + i, sizeof(q));                                  \
                for (size_t k = 0; k < VECTORS(V, T); k++) {                  \
                    r[k] += q[k];                                             \
                }                                                             \
            }                                                                 \
            memcpy(e, r, sizeof(e));                                          \
            sum[0] = (e[0] + e[2]) + (e[4] + e[6]);                           \
            sum[1] = (e[1] + e[3]) + (e[5] + e[7]);                           \
        }                                                                     \
        for (; i < n; i += 2) {                                               \
            sum[0] += x[i];                                                   \
            sum[1] += x[i + 1];                                               \
        }                                                                     \
    }

PAIRWISE_C(pairwise_c64, float, vec_f32)
PAIRWISE_C(pairwise_c128, double, vec_f64)

void
NDI_OF(ndi_pairwise)(const struct ndi_terms *t, const char *x, int64_t count,
                     void *sum)
{
    switch ((int)t->type) {
    case NDS_TYPE_FLOAT32:
        *(float *)sum = pairwise_f32(t, x, count);
        break;
    case NDS_TYPE_FLOAT64:
        *(double *)sum = pairwise_f64(t, x, count);
        break;
    case NDS_TYPE_LONGDOUBLE:
        *(long double *)sum = pairwise_ld(t, x, count);
        break;
    case NDS_TYPE_COMPLEX64:
        if (t->mean) {
            *(float *)sum = pairwise_f32(t, x, count);
        } else {
            pairwise_c64(t, x, count, sum);
        }
        break;
    default:
        if (t->mean) {
            *(double *)sum = pairwise_f64(t, x, count);
        } else {
            pairwise_c128(t, x, count, sum);
        }
    }
}

#define SQUARES(T)                                                            \
    do {                                                                      \
        const T *m = mean;                                                    \
        T *p = x;                                                             \
                                                                              \
        if (step == 0) {                                                      \
            const T c = *m;                                                   \
                                                                              \
            for (int64_t i = 0; i < n; i++) {                                 \
                const T d = p[i] - c;                                         \
                p[i] = d * d;                                                 \
            }                                                                 \
        } else {                                                              \
            NDI_IVDEP                                                         \
            for (int64_t i = 0; i < n; i++) {                                 \
                const T d = p[i] - m[i];                                      \
                p[i] = d * d;                                                 \
            }                                                                 \
        }                                                                     \
    } while (0)
#define PAIRS(T)                                                              \
    do {                                                                      \
        const T *m = mean;                                                    \
        T *p = x;                                                             \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T re = p[2 * i] - m[2 * i * step];                          \
            const T im = p[2 * i + 1] - m[2 * i * step + 1];                  \
            p[i] = re * re + im * im;                                         \
        }                                                                     \
    } while (0)

void
NDI_OF(ndi_square)(enum nds_type type, bool half, void *x, const void *mean,
                   int64_t step, int64_t n)
{
    switch ((int)type) {
    case NDS_TYPE_FLOAT32:
        for (int64_t i = 0; half && i < n; i++) {
            const float d = ndi_half_round(((float *)x)[i] -
                                           ((const float *)mean)[i * step]);

            ((float *)x)[i] = ndi_half_round(d * d);
        }
        if (!half) {
            SQUARES(float);
        }
        break;
    case NDS_TYPE_LONGDOUBLE:
        SQUARES(long double);
        break;
    case NDS_TYPE_COMPLEX64:
        PAIRS(float);
        break;
    case NDS_TYPE_COMPLEX128:
        PAIRS(double);
        break;
    default:
        SQUARES(double);
    }
}

void
NDI_OF(ndi_halve)(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] = ndi_half_round(x[i]);
    }
}
