/* SPDX-License-Identifier: MIT */
/*
 * arg_loops.c - where in a run the smallest or the largest element is
 *
 * A run is looked at block by block for its best value, in lanes, and only the
 * block that had it is searched for the place.
 */
#include "extremes.h"

#include <math.h>

#define BLOCK 1024

/*
 * The place in x[0..n) of the first element that is best, if it beats *best,
 * which then becomes it; else -1. Another process may write meanwhile: if the
 * value is gone from its block, the answer is the block's first element.
 */
#define ARG(NAME, T, BLOCK_OF, BEATS, IS_NAN)                                 \
    static int64_t NAME(const void *src, int64_t n, void *best)               \
    {                                                                         \
        const T *x = src;                                                     \
        T top = *(const T *)best;                                             \
        int64_t block = -1;                                                   \
        bool odd = IS_NAN(top);                                               \
                                                                              \
        for (int64_t i = 0; i < n && !odd; i += BLOCK) {                      \
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
        *(T *)best = top;                                                     \
        for (int64_t i = block; i < n && i < block + BLOCK; i++) {            \
            if (odd ? IS_NAN(x[i]) : x[i] == top) {                           \
                *(T *)best = x[i];                                            \
                return i;                                                     \
            }                                                                 \
        }                                                                     \
        return block;                                                         \
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
#define INTEGER(S, T)                                                         \
    ARG(argmin_##S, T, least_##S, LESS, NEVER)                                \
    ARG(argmax_##S, T, most_##S, MORE, NEVER)

INTEGER(i8, int8_t)
INTEGER(u8, uint8_t)
INTEGER(i16, int16_t)
INTEGER(u16, uint16_t)
INTEGER(i32, int32_t)
INTEGER(u32, uint32_t)
INTEGER(i64, int64_t)
INTEGER(u64, uint64_t)
ARG(argmin_f, float, least_f, LESS, NAN_IS)
ARG(argmax_f, float, most_f, MORE, NAN_IS)
ARG(argmin_d, double, least_d, LESS, NAN_IS)
ARG(argmax_d, double, most_d, MORE, NAN_IS)
ARG_EACH(argmin_g, long double, LESS, NAN_IS)
ARG_EACH(argmax_g, long double, MORE, NAN_IS)

/* Complex numbers go by their real parts, then the imaginary ones. */
#define COMPLEX(S, T)                                                         \
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
    ARG_EACH(argmin_##S, struct S, S##_less, S##_nan)                         \
    ARG_EACH(argmax_##S, struct S, S##_more, S##_nan)

COMPLEX(cf, float)
COMPLEX(cd, double)

#define BOTH(S) {argmin_##S, argmax_##S}

ndi_arg_fn *const NDI_OF(ndi_args)[NDI_NUMBERS][2] = {
    [NDS_TYPE_INT8] = BOTH(i8),       [NDS_TYPE_UINT8] = BOTH(u8),
    [NDS_TYPE_INT16] = BOTH(i16),     [NDS_TYPE_UINT16] = BOTH(u16),
    [NDS_TYPE_INT32] = BOTH(i32),     [NDS_TYPE_UINT32] = BOTH(u32),
    [NDS_TYPE_INT64] = BOTH(i64),     [NDS_TYPE_UINT64] = BOTH(u64),
    [NDS_TYPE_FLOAT32] = BOTH(f),     [NDS_TYPE_FLOAT64] = BOTH(d),
    [NDS_TYPE_LONGDOUBLE] = BOTH(g),  [NDS_TYPE_COMPLEX64] = BOTH(cf),
    [NDS_TYPE_COMPLEX128] = BOTH(cd),
};
