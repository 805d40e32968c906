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

/* Terms that are summed where they are, but neither side by side nor at a
 * distance for which copying has vectors. */
static inline bool
is_apart(const struct ndi_terms *t, int64_t item)
{
    return !t->mean && t->from == t->type && t->stride != item &&
           t->stride != -item && t->stride != 2 * item;
}

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

/* By single numbers, `step` bytes apart. */
#define APART(NAME, T)                                                        \
    static T NAME##_apart(const char *x, int64_t step, int64_t n)             \
    {                                                                         \
        T r[8], sum = (T)-0.0;                                                \
        int64_t i = 0;                                                        \
                                                                              \
        if (n >= 8) {                                                         \
            for (int k = 0; k < 8; k++) {                                     \
                r[k] = *(const T *)(const void *)(x + k * step);              \
            }                                                                 \
            for (i = 8; i < n - n % 8; i += 8) {                              \
                for (int k = 0; k < 8; k++) {                                 \
                    r[k] += *(const T *)(const void *)(x + (i + k) * step);   \
                }                                                             \
            }                                                                 \
            sum = ((r[0] + r[1]) + (r[2] + r[3])) +                           \
                  ((r[4] + r[5]) + (r[6] + r[7]));                            \
        }                                                                     \
        for (; i < n; i++) {                                                  \
            sum += *(const T *)(const void *)(x + i * step);                  \
        }                                                                     \
        return sum;                                                           \
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
    APART(NAME, T)                                                            \
    static T NAME(const struct ndi_terms *t, const char *x, int64_t n)        \
    {                                                                         \
        int64_t half = n / 2 - n / 2 % 8;                                     \
                                                                              \
        if (n <= LEAF && is_apart(t, (int64_t)sizeof(T))) {                   \
            return NAME##_apart(x, t->stride, n);                             \
        }                                                                     \
        if (n <= LEAF) {                                                      \
            _Alignas(64) T buf[2 * LEAF];                                     \
                                                                              \
            return NAME##_leaf(fetch(t, x, n, buf), n);                       \
        }                                                                     \
        return NAME(t, x, half) + NAME(t, x + half * t->stride, n - half);    \
    }

PAIRWISE(pairwise_f32, float, vec_f32)
PAIRWISE(pairwise_f64, double, vec_f64)

/* No vector holds a long double. */
APART(pairwise_ld, long double)
static long double
pairwise_ld(const struct ndi_terms *t, const char *x, int64_t n)
{
    int64_t half = n / 2 - n / 2 % 8;
    long double buf[LEAF];

    if (n > LEAF) {
        return pairwise_ld(t, x, half) +
               pairwise_ld(t, x + half * t->stride, n - half);
    }
    if (!t->mean && t->from == t->type) {
        return pairwise_ld_apart(x, t->stride, n);
    }
    return pairwise_ld_apart(fetch(t, x, n, buf), (int64_t)sizeof(*buf), n);
}

#define PAIRWISE_C(NAME, T, V)                                                \
    typedef T NAME##_pair __attribute__((vector_size(2 * sizeof(T))));        \
    /* n <= LEAF / 2 pairs, `step` bytes apart. */                            \
    static inline void NAME##_leaf(const char *x, int64_t step, int64_t n,    \
                                   T *sum)                                    \
    {                                                                         \
        const bool packed = step == (int64_t)sizeof(NAME##_pair);             \
        V r[VECTORS(V, T)], q[VECTORS(V, T)];                                 \
        NAME##_pair p[4], s;                                                  \
        int64_t i = 0;                                                        \
                                                                              \
        s = (NAME##_pair){(T)-0.0, (T)-0.0};                                  \
        if (n >= 4 && packed) {                                               \
            memcpy(r, x, sizeof(r));                                          \
            for (i = 4; i < n - n % 4; i += 4) {                              \
                AHEAD(x + i * step);                                          \
                memcpy(q, x + i * step, sizeof(q));                           \
                for (size_t k = 0; k < VECTORS(V, T); k++) {                  \
                    r[k] += q[k];                                             \
                }                                                             \
            }                                                                 \
            memcpy(p, r, sizeof(p));                                          \
        } else if (n >= 4) {                                                  \
            for (int k = 0; k < 4; k++) {                                     \
                memcpy(&p[k], x + k * step, sizeof(*p));                      \
            }                                                                 \
            for (i = 4; i < n - n % 4; i += 4) {                              \
                for (int k = 0; k < 4; k++) {                                 \
                    NAME##_pair one;                                          \
                                                                              \
                    memcpy(&one, x + (i + k) * step, sizeof(one));            \
                    p[k] += one;                                              \
                }                                                             \
            }                                                                 \
        }                                                                     \
        if (n >= 4) {                                                         \
            s = (p[0] + p[1]) + (p[2] + p[3]);                                \
        }                                                                     \
        for (; i < n; i++) {                                                  \
            memcpy(p, x + i * step, sizeof(*p));                              \
            s += p[0];                                                        \
        }                                                                     \
        memcpy(sum, &s, sizeof(s));                                           \
    }                                                                         \
    static void NAME(const struct ndi_terms *t, const char *x, int64_t n,     \
                     T *sum)                                                  \
    {                                                                         \
        _Alignas(64) T buf[LEAF];                                             \
        T right[2];                                                           \
                                                                              \
        if (2 * n > LEAF) {                                                   \
            int64_t half = (n - n % 8) / 2;                                   \
                                                                              \
            NAME(t, x, half, sum);                                            \
            NAME(t, x + half * t->stride, n - half, right);                   \
            sum[0] += right[0];                                               \
            sum[1] += right[1];                                               \
        } else if (t->from == t->type &&                                      \
                   t->stride != (int64_t)sizeof(right)) {                     \
            NAME##_leaf(x, t->stride, n, sum);                                \
        } else {                                                              \
            NAME##_leaf(fetch(t, x, n, buf), (int64_t)sizeof(right), n, sum); \
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

/* Row after row into its accumulator. */
#define ROWS(T, PAIRWISE)                                                     \
    do {                                                                      \
        const T *mean = terms->mean;                                          \
        T *a = acc;                                                           \
                                                                              \
        for (; rows > 0; rows--, x += step, a += apart) {                     \
            *a += PAIRWISE(&t, x, count);                                     \
            if (t.half) {                                                     \
                *a = (T)ndi_half_round((float)*a);                            \
            }                                                                 \
            if (mean) {                                                       \
                t.mean = mean += means;                                       \
            }                                                                 \
        }                                                                     \
    } while (0)
#define ROWS_C(T, PAIRWISE)                                                   \
    do {                                                                      \
        T *a = acc, sum[2];                                                   \
                                                                              \
        for (; rows > 0; rows--, x += step, a += 2 * apart) {                 \
            PAIRWISE(&t, x, count, sum);                                      \
            a[0] += sum[0];                                                   \
            a[1] += sum[1];                                                   \
        }                                                                     \
    } while (0)

void
NDI_OF(ndi_pairwise_rows)(const struct ndi_terms *terms, const char *x,
                          int64_t count, int64_t step, int64_t rows, void *acc,
                          int64_t apart)
{
    bool pairs = terms->type >= NDS_TYPE_COMPLEX64;
    int64_t means = pairs ? 2 * apart : apart;
    struct ndi_terms t = *terms;

    switch ((int)t.type) {
    case NDS_TYPE_FLOAT32:
        ROWS(float, pairwise_f32);
        break;
    case NDS_TYPE_FLOAT64:
        ROWS(double, pairwise_f64);
        break;
    case NDS_TYPE_LONGDOUBLE:
        ROWS(long double, pairwise_ld);
        break;
    case NDS_TYPE_COMPLEX64:
        if (t.mean) {
            ROWS(float, pairwise_f32);
        } else {
            ROWS_C(float, pairwise_c64);
        }
        break;
    default:
        if (t.mean) {
            ROWS(double, pairwise_f64);
        } else {
            ROWS_C(double, pairwise_c128);
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
