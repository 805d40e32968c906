/* SPDX-License-Identifier: MIT */
/*
 * arg_loops.c - where in a run the smallest or the largest element is
 *
 * A run is looked at block by block for its best value, in lanes, and only the
 * block that had it is searched for the place. Of many runs that lie side by
 * side each lane keeps the best and, in as many bits, its place.
 */
#include "extremes.h"

#include <math.h>

#define BLOCK 4096
#define BLOCK_C 1024 /* of complex numbers, gathered */
#define STRIP 64 /* of a block, looked at in lanes for the place */

/* The first whole strip of x that has `top` in it, or what is left. */
#define NEAR(S, T)                                                            \
    static int64_t S##_near(const T *x, int64_t n, T top)                     \
    {                                                                         \
        int64_t i = 0;                                                        \
        unsigned there = 0;                                                   \
                                                                              \
        for (; n - i >= STRIP; i += STRIP) {                                  \
            for (int k = 0; k < STRIP; k++) {                                 \
                there |= x[i + k] == top;                                     \
            }                                                                 \
            if (there != 0) {                                                 \
                break;                                                        \
            }                                                                 \
        }                                                                     \
        return i;                                                             \
    }
/* With comparisons that make bits: the element itself. */
#define NEAR_REAL(S, T)                                                       \
    static int64_t S##_near(const T *x, int64_t n, T top)                     \
    {                                                                         \
        enum { LANES = (int)(sizeof(reg_##S) / sizeof(T)) };                  \
        T tops[LANES];                                                        \
        int64_t i = 0;                                                        \
        reg_##S p, q[4];                                                      \
                                                                              \
        for (int k = 0; k < LANES; k++) {                                     \
            tops[k] = top;                                                    \
        }                                                                     \
        memcpy(&p, tops, sizeof(p));                                          \
        for (; n - i >= 4 * LANES; i += 4 * LANES) {                          \
            unsigned same[4];                                                 \
                                                                              \
            memcpy(q, x + i, sizeof(q));                                      \
            for (int k = 0; k < 4; k++) {                                     \
                same[k] = SAME_##S(q[k], p);                                  \
            }                                                                 \
            if ((same[0] | same[1] | same[2] | same[3]) != 0) {               \
                int k = same[0] != 0 ? 0 : same[1] != 0 ? 1                   \
                        : same[2] != 0 ? 2 : 3;                               \
                                                                              \
                return i + k * LANES + __builtin_ctz(same[k]);                \
            }                                                                 \
        }                                                                     \
        for (; n - i >= LANES; i += LANES) {                                  \
            memcpy(q, x + i, sizeof(*q));                                     \
            if (SAME_##S(q[0], p) != 0) {                                     \
                return i + __builtin_ctz((unsigned)SAME_##S(q[0], p));        \
            }                                                                 \
        }                                                                     \
        return i;                                                             \
    }

/*
 * The place in x[0..n) of the first element that is best, if it beats *best,
 * which then becomes it; else -1. Another process may write meanwhile: if the
 * value is gone from its block, the answer is the block's first element.
 */
#define ARG(NAME, S, T, BLOCK_OF, BEATS, IS_NAN, IS_LAST)                     \
    static int64_t NAME(const void *src, int64_t n, void *best)               \
    {                                                                         \
        const T *x = src;                                                     \
        T top = *(const T *)best;                                             \
        int64_t block = -1;                                                   \
        bool odd = IS_NAN(top);                                               \
        int64_t i;                                                            \
                                                                              \
        for (i = 0; i < n && !odd && !IS_LAST(top); i += BLOCK) {             \
            T t;                                                              \
                                                                              \
            odd = BLOCK_OF(x + i, n - i < BLOCK ? n - i : BLOCK, &t);         \
            if (odd || BEATS(t, top)) {                                       \
                top = t;                                                      \
                block = i;                                                    \
            }                                                                 \
        }                                                                     \
        if (block < 0) {                                                      \
            return -1;                                                        \
        }                                                                     \
        n = n - block < BLOCK ? n - block : BLOCK;                            \
        x += block;                                                           \
        i = odd ? 0 : S##_near(x, n, top);                                    \
        while (i < n && !(odd ? IS_NAN(x[i]) : x[i] == top)) {                \
            i++;                                                              \
        }                                                                     \
        i = i < n ? i : 0;                                                    \
        *(T *)best = x[i];                                                    \
        return block + i;                                                     \
    }

/* The same one by one, for what no vector holds. */
#define ARG_EACH(NAME, T, BEATS, IS_NAN)                                      \
    static int64_t NAME(const void *src, int64_t n, void *best)               \
    {                                                                         \
        const T *x = src;                                                     \
        T top = *(const T *)best;                                             \
        int64_t found = -1;                                                   \
                                                                              \
        for (int64_t i = 0; i < n && !IS_NAN(top); i++) {                     \
            const T v = x[i];                                                 \
                                                                              \
            if (BEATS(v, top) || IS_NAN(v)) {                                 \
                top = v;                                                      \
                found = i;                                                    \
            }                                                                 \
        }                                                                     \
        *(T *)best = top;                                                     \
        return found;                                                         \
    }

#define LESS(p, q) ((p) < (q))
#define MORE(p, q) ((p) > (q))
#define NEVER(p) (false)
#define NAN_IS(p) ((p) != (p))
#define INTEGER(S, T, LOW, HIGH)                                              \
    static inline bool S##_lowest(T p)                                        \
    {                                                                         \
        return p == LOW;                                                      \
    }                                                                         \
    static inline bool S##_highest(T p)                                       \
    {                                                                         \
        return p == HIGH;                                                     \
    }                                                                         \
    NEAR(S, T)                                                                \
    ARG(argmin_##S, S, T, least_##S, LESS, NEVER, S##_lowest)                 \
    ARG(argmax_##S, S, T, most_##S, MORE, NEVER, S##_highest)

INTEGER(i8, int8_t, INT8_MIN, INT8_MAX)
INTEGER(u8, uint8_t, 0, UINT8_MAX)
INTEGER(i16, int16_t, INT16_MIN, INT16_MAX)
INTEGER(u16, uint16_t, 0, UINT16_MAX)
INTEGER(i32, int32_t, INT32_MIN, INT32_MAX)
INTEGER(u32, uint32_t, 0, UINT32_MAX)
INTEGER(i64, int64_t, INT64_MIN, INT64_MAX)
INTEGER(u64, uint64_t, 0, UINT64_MAX)
#if defined(SAME_f)
NEAR_REAL(f, float)
NEAR_REAL(d, double)
#else
NEAR(f, float)
NEAR(d, double)
#endif
ARG(argmin_f, f, float, least_f, LESS, NAN_IS, NEVER)
ARG(argmax_f, f, float, most_f, MORE, NAN_IS, NEVER)
ARG(argmin_d, d, double, least_d, LESS, NAN_IS, NEVER)
ARG(argmax_d, d, double, most_d, MORE, NAN_IS, NEVER)
ARG_EACH(argmin_g, long double, LESS, NAN_IS)
ARG_EACH(argmax_g, long double, MORE, NAN_IS)

/* Complex numbers go by their real parts, then the imaginary ones: of a block
 * those with its best real part are compared, if that could win. */
#define ARG_COMPLEX(NAME, S, T, L, BLOCK_OF, BEATS, PART_BEATS)               \
    ARG_EACH(NAME##_each, struct S, BEATS, S##_nan)                           \
    static int64_t NAME(const void *src, int64_t n, void *best)               \
    {                                                                         \
        const T *x = src;                                                     \
        const T *top = best;                                                  \
        T re[BLOCK_C];                                                        \
        int64_t found = -1;                                                   \
                                                                              \
        for (int64_t i = 0, m; i < n; i += m) {                               \
            bool odd = top[0] != top[0] || top[1] != top[1];                  \
            unsigned odd_im = 0;                                              \
            int64_t at;                                                       \
            T t;                                                              \
                                                                              \
            if (odd) {                                                        \
                break;                                                        \
            }                                                                 \
            m = n - i < BLOCK_C ? n - i : BLOCK_C;                            \
            for (int64_t k = 0; k < m; k++) {                                 \
                re[k] = x[2 * (i + k)];                                       \
                odd_im |= x[2 * (i + k) + 1] != x[2 * (i + k) + 1];           \
            }                                                                 \
            odd = BLOCK_OF(re, m, &t);                                        \
            if (odd || odd_im != 0) {                                         \
                at = NAME##_each(x + 2 * i, m, best);                         \
                found = at >= 0 ? i + at : found;                             \
                continue;                                                     \
            }                                                                 \
            at = PART_BEATS(top[0], t) ? m : L##_near(re, m, t);              \
            for (; at < m; at++) {                                            \
                if (re[at] == t &&                                            \
                    NAME##_each(x + 2 * (i + at), 1, best) >= 0) {            \
                    found = i + at;                                           \
                }                                                             \
            }                                                                 \
        }                                                                     \
        return found;                                                         \
    }

#define COMPLEX(S, T, L)                                                      \
    struct S {                                                                \
        T re;                                                                 \
        T im;                                                                 \
    };                                                                        \
    static inline bool S##_less(struct S p, struct S q)                       \
    {                                                                         \
        return p.re < q.re || (p.re == q.re && p.im < q.im);                  \
    }                                                                         \
    static inline bool S##_more(struct S p, struct S q)                       \
    {                                                                         \
        return S##_less(q, p);                                                \
    }                                                                         \
    static inline bool S##_nan(struct S p)                                    \
    {                                                                         \
        return isnan(p.re) || isnan(p.im);                                    \
    }                                                                         \
    ARG_COMPLEX(argmin_##S, S, T, L, least_##L, S##_less, LESS)               \
    ARG_COMPLEX(argmax_##S, S, T, L, most_##L, S##_more, MORE)

COMPLEX(cf, float, f)
COMPLEX(cd, double, d)

/* ---- many runs at once ---------------------------------------------------- */
#define EACH(NAME, T, P, TAKES)                                               \
    static void NAME(const void *src, int64_t n, uint64_t place, void *best,  \
                     void *where)                                             \
    {                                                                         \
        const P at = (P)place;                                                \
        const T *x = src;                                                     \
        T *top = best;                                                        \
        P *to = where;                                                        \
                                                                              \
        NDI_IVDEP                                                             \
        for (int64_t i = 0; i < n; i++) {                                     \
            const T p = top[i];                                               \
            const T q = x[i];                                                 \
            const bool take = TAKES;                                          \
                                                                              \
            top[i] = take ? q : p;                                            \
            to[i] = take ? at : to[i];                                        \
        }                                                                     \
    }
#define EACH_INT(S, T, P)                                                     \
    EACH(argmin_each_##S, T, P, q < p)                                        \
    EACH(argmax_each_##S, T, P, q > p)
#define EACH_REAL(S, T, P)                                                    \
    EACH(argmin_each_##S, T, P, (q < p) | ((q != q) & (p == p)))              \
    EACH(argmax_each_##S, T, P, (q > p) | ((q != q) & (p == p)))
/* Without branches, which nobody could foresee lane by lane. */
#define NO_NAN(p) (((p).re == (p).re) & ((p).im == (p).im))
#define BEATS_C(q, p, OP)                                                     \
    (NO_NAN(p) & (((q).re OP (p).re) | !NO_NAN(q) |                           \
                  (((q).re == (p).re) & ((q).im OP (p).im))))
#define EACH_COMPLEX(S)                                                       \
    EACH(argmin_each_##S, struct S, uint64_t, BEATS_C(q, p, <))               \
    EACH(argmax_each_##S, struct S, uint64_t, BEATS_C(q, p, >))

EACH_INT(i8, int8_t, uint8_t)
EACH_INT(u8, uint8_t, uint8_t)
EACH_INT(i16, int16_t, uint16_t)
EACH_INT(u16, uint16_t, uint16_t)
EACH_INT(i32, int32_t, uint32_t)
EACH_INT(u32, uint32_t, uint32_t)
EACH_INT(i64, int64_t, uint64_t)
EACH_INT(u64, uint64_t, uint64_t)
EACH_REAL(f, float, uint32_t)
EACH_REAL(d, double, uint64_t)
EACH_REAL(g, long double, uint64_t)
EACH_COMPLEX(cf)
EACH_COMPLEX(cd)

#define BOTH(S)                                                               \
    {                                                                         \
        {argmin_##S, argmin_each_##S}, {argmax_##S, argmax_each_##S}          \
    }

const struct ndi_arg NDI_OF(ndi_args)[NDI_NUMBERS][2] = {
    [NDS_TYPE_INT8] = BOTH(i8),       [NDS_TYPE_UINT8] = BOTH(u8),
    [NDS_TYPE_INT16] = BOTH(i16),     [NDS_TYPE_UINT16] = BOTH(u16),
    [NDS_TYPE_INT32] = BOTH(i32),     [NDS_TYPE_UINT32] = BOTH(u32),
    [NDS_TYPE_INT64] = BOTH(i64),     [NDS_TYPE_UINT64] = BOTH(u64),
    [NDS_TYPE_FLOAT32] = BOTH(f),     [NDS_TYPE_FLOAT64] = BOTH(d),
    [NDS_TYPE_LONGDOUBLE] = BOTH(g),  [NDS_TYPE_COMPLEX64] = BOTH(cf),
    [NDS_TYPE_COMPLEX128] = BOTH(cd),
};
