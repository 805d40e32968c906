/* SPDX-License-Identifier: MIT */
/*
 * extremes.h - the smallest or largest of a block, in as many lanes as there
 * are
 *
 *     bool least_d(const double *x, int64_t n, double *top)
 *
 * n > 0. True if a NaN is among them; *top is of no use then. Which of two
 * zeros *top is depends on the lanes: callers look for the first.
 */
#ifndef NDI_EXTREMES_H
#define NDI_EXTREMES_H

#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
typedef __m512 reg_f;
typedef __m512d reg_d;
typedef unsigned odd_f;
typedef unsigned odd_d;
#define LEAST_f(q, p) _mm512_min_ps(q, p)
#define LEAST_d(q, p) _mm512_min_pd(q, p)
#define MOST_f(q, p) _mm512_max_ps(q, p)
#define MOST_d(q, p) _mm512_max_pd(q, p)
#define ODD_f(o, q, p) ((o) | _mm512_cmp_ps_mask(q, p, _CMP_UNORD_Q))
#define ODD_d(o, q, p) ((o) | _mm512_cmp_pd_mask(q, p, _CMP_UNORD_Q))
#define IS_ODD_f(o) ((o) != 0)
#define IS_ODD_d(o) ((o) != 0)
#define SAME_f(p, q) _mm512_cmp_ps_mask(p, q, _CMP_EQ_OQ)
#define SAME_d(p, q) _mm512_cmp_pd_mask(p, q, _CMP_EQ_OQ)
#elif defined(__AVX__)
typedef __m256 reg_f;
typedef __m256d reg_d;
typedef __m256 odd_f;
typedef __m256d odd_d;
#define LEAST_f(q, p) _mm256_min_ps(q, p)
#define LEAST_d(q, p) _mm256_min_pd(q, p)
#define MOST_f(q, p) _mm256_max_ps(q, p)
#define MOST_d(q, p) _mm256_max_pd(q, p)
#define ODD_f(o, q, p) _mm256_or_ps(o, _mm256_cmp_ps(q, p, _CMP_UNORD_Q))
#define ODD_d(o, q, p) _mm256_or_pd(o, _mm256_cmp_pd(q, p, _CMP_UNORD_Q))
#define IS_ODD_f(o) (_mm256_movemask_ps(o) != 0)
#define IS_ODD_d(o) (_mm256_movemask_pd(o) != 0)
#define SAME_f(p, q)                                                          \
    (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(p, q, _CMP_EQ_OQ))
#define SAME_d(p, q)                                                          \
    (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(p, q, _CMP_EQ_OQ))
#elif defined(__x86_64__)
typedef __m128 reg_f;
typedef __m128d reg_d;
typedef __m128 odd_f;
typedef __m128d odd_d;
#define LEAST_f(q, p) _mm_min_ps(q, p)
#define LEAST_d(q, p) _mm_min_pd(q, p)
#define MOST_f(q, p) _mm_max_ps(q, p)
#define MOST_d(q, p) _mm_max_pd(q, p)
#define ODD_f(o, q, p) _mm_or_ps(o, _mm_cmpunord_ps(q, p))
#define ODD_d(o, q, p) _mm_or_pd(o, _mm_cmpunord_pd(q, p))
#define IS_ODD_f(o) (_mm_movemask_ps(o) != 0)
#define IS_ODD_d(o) (_mm_movemask_pd(o) != 0)
#define SAME_f(p, q) (unsigned)_mm_movemask_ps(_mm_cmpeq_ps(p, q))
#define SAME_d(p, q) (unsigned)_mm_movemask_pd(_mm_cmpeq_pd(p, q))
#else /* vectors of 16 bytes, whose comparisons are masks */
typedef float reg_f __attribute__((vector_size(16)));
typedef double reg_d __attribute__((vector_size(16)));
typedef int32_t odd_f __attribute__((vector_size(16)));
typedef int64_t odd_d __attribute__((vector_size(16)));
#define TAKEN(R, M, take, q, p)                                               \
    ((R)(((M)(q) & (M)(take)) | ((M)(p) & ~(M)(take))))
#define LEAST_f(q, p) TAKEN(reg_f, odd_f, (q) < (p), q, p)
#define LEAST_d(q, p) TAKEN(reg_d, odd_d, (q) < (p), q, p)
#define MOST_f(q, p) TAKEN(reg_f, odd_f, (q) > (p), q, p)
#define MOST_d(q, p) TAKEN(reg_d, odd_d, (q) > (p), q, p)
#define ODD_f(o, q, p) ((o) | (odd_f)((q) != (q)) | (odd_f)((p) != (p)))
#define ODD_d(o, q, p) ((o) | (odd_d)((q) != (q)) | (odd_d)((p) != (p)))
#define IS_ODD_f(o) (((o)[0] | (o)[1] | (o)[2] | (o)[3]) != 0)
#define IS_ODD_d(o) (((o)[0] | (o)[1]) != 0)
#endif

/* A page further, for what looks ahead in the processor. */
#define NDI_AHEAD(p) __builtin_prefetch((const char *)(p) + 4096)

/* What is left at the end is looked at together with what lies before it. */
#define NDI_EXTREME_REAL(NAME, T, S, BEST, OP)                                \
    /* GCC 12 keeps p in memory where it is inlined. */                       \
    static __attribute__((noinline)) bool NAME(const T *x, int64_t n, T *top) \
    {                                                                         \
        enum { LANES = (int)(sizeof(reg_##S) / sizeof(T)) };                  \
        T best = x[0], lane[LANES];                                           \
        reg_##S p[4], q[4];                                                   \
        odd_##S o = {0};                                                      \
        bool odd = false;                                                     \
                                                                              \
        if (n < LANES) {                                                      \
            for (int64_t i = 0; i < n; i++) {                                 \
                best = x[i] OP best ? x[i] : best;                            \
                odd |= x[i] != x[i];                                          \
            }                                                                 \
            *top = best;                                                      \
            return odd;                                                       \
        }                                                                     \
        if (n >= 4 * LANES) {                                                 \
            memcpy(p, x, sizeof(p));                                          \
            o = ODD_##S(o, p[0], p[1]);                                       \
            o = ODD_##S(o, p[2], p[3]);                                       \
            for (int64_t i = 4 * LANES; i < n; i += 4 * LANES) {              \
                const T *at = x + (i + 4 * LANES <= n ? i : n - 4 * LANES);   \
                                                                              \
                NDI_AHEAD(at);                                                \
                NDI_AHEAD(at + 2 * LANES);                                    \
                memcpy(q, at, sizeof(q));                                     \
                for (int k = 0; k < 4; k++) {                                 \
                    p[k] = BEST##_##S(q[k], p[k]);                            \
                }                                                             \
                o = ODD_##S(o, q[0], q[1]);                                   \
                o = ODD_##S(o, q[2], q[3]);                                   \
            }                                                                 \
            p[0] = BEST##_##S(p[0], p[1]);                                    \
            p[2] = BEST##_##S(p[2], p[3]);                                    \
            p[0] = BEST##_##S(p[0], p[2]);                                    \
        } else {                                                              \
            memcpy(p, x, sizeof(*p));                                         \
            o = ODD_##S(o, p[0], p[0]);                                       \
            for (int64_t i = LANES; i < n; i += LANES) {                      \
                memcpy(q, x + (i + LANES <= n ? i : n - LANES), sizeof(*q));  \
                p[0] = BEST##_##S(q[0], p[0]);                                \
                o = ODD_##S(o, q[0], q[0]);                                   \
            }                                                                 \
        }                                                                     \
        memcpy(lane, p, sizeof(lane));                                        \
        for (int w = LANES / 2; w > 0; w /= 2) {                              \
            for (int k = 0; k < w; k++) {                                     \
                lane[k] = lane[k + w] OP lane[k] ? lane[k + w] : lane[k];     \
            }                                                                 \
        }                                                                     \
        *top = lane[0];                                                       \
        return IS_ODD_##S(o);                                                 \
    }

#define NDI_EXTREME_INT(NAME, T, OP)                                          \
    static inline bool NAME(const T *x, int64_t n, T *top)                    \
    {                                                                         \
        T best = x[0];                                                        \
                                                                              \
        for (int64_t i = 0; i < n; i++) {                                     \
            best = x[i] OP best ? x[i] : best;                                \
        }                                                                     \
        *top = best;                                                          \
        return false;                                                         \
    }

#define NDI_EXTREMES_INT(S, T)                                                \
    NDI_EXTREME_INT(least_##S, T, <)                                          \
    NDI_EXTREME_INT(most_##S, T, >)

NDI_EXTREMES_INT(i8, int8_t)
NDI_EXTREMES_INT(u8, uint8_t)
NDI_EXTREMES_INT(i16, int16_t)
NDI_EXTREMES_INT(u16, uint16_t)
NDI_EXTREMES_INT(i32, int32_t)
NDI_EXTREMES_INT(u32, uint32_t)
NDI_EXTREMES_INT(i64, int64_t)
NDI_EXTREMES_INT(u64, uint64_t)
NDI_EXTREME_REAL(least_f, float, f, LEAST, <)
NDI_EXTREME_REAL(least_d, double, d, LEAST, <)
NDI_EXTREME_REAL(most_f, float, f, MOST, >)
NDI_EXTREME_REAL(most_d, double, d, MOST, >)

#endif
