/* SPDX-License-Identifier: MIT */
/*
 * arg.c - where the smallest or the largest element is
 *
 * The first of equals in C order; the first NaN beats every number. A run is
 * looked at block by block for its best value, in lanes that vectorise, and
 * only the block that had it is searched for the place.
 */
#include "ops_impl.h"

#include <math.h>

#define BLOCK 1024
#define LANE_BYTES 128 /* four of the widest vectors in use */

/* Best value of x[0..n) in *top, n <= BLOCK. True if there is a NaN. */
#define BLOCK_OF(NAME, T, M, BEATS, IS_NAN)                                   \
    static inline __attribute__((always_inline)) bool NAME##_block(           \
        const T *x, int64_t n, T *top)                                        \
    {                                                                         \
        enum { LANES = LANE_BYTES / (int)sizeof(T) };                         \
        T lane[LANES];                                                        \
        M odd[LANES] = {0};                                                   \
        int64_t i = 0;                                                        \
                                                                              \
        *top = x[0];                                                          \
        if (n >= LANES) {                                                     \
            memcpy(lane, x, sizeof(lane));                                    \
            for (; i + LANES <= n; i += LANES) {                              \
                for (int k = 0; k < LANES; k++) {                             \
                    const T v = x[i + k];                                     \
                    lane[k] = BEATS(v, lane[k]) ? v : lane[k];                \
                    odd[k] |= (M)IS_NAN(v);                                   \
                }                                                             \
            }                                                                 \
            for (int k = 0; k < LANES; k++) {                                 \
                *top = BEATS(lane[k], *top) ? lane[k] : *top;                 \
                odd[0] |= odd[k];                                             \
            }                                                                 \
        }                                                                     \
        for (; i < n; i++) {                                                  \
            *top = BEATS(x[i], *top) ? x[i] : *top;                           \
            odd[0] |= (M)IS_NAN(x[i]);                                        \
        }                                                                     \
        return odd[0] != 0;                                                   \
    }

/*
 * The place in x[0..n) of the first element that is best, if it beats *best,
 * which then becomes it; else -1. Another process may write meanwhile: if the
 * value is gone from its block, the answer is the block's first element.
 */
#define ARG(NAME, T, M, BEATS, IS_NAN)                                        \
    BLOCK_OF(NAME, T, M, BEATS, IS_NAN)                                       \
    NDI_CLONES static int64_t NAME(const void *src, int64_t n, void *best)    \
    {                                                                         \
        const T *x = src;                                                     \
        T top = *(const T *)best;                                             \
        int64_t block = -1;                                                   \
        bool odd = IS_NAN(top);                                               \
                                                                              \
        for (int64_t i = 0; i < n && !odd; i += BLOCK) {                      \
            T t;                                                              \
                                                                              \
            odd = NAME##_block(x + i, n - i < BLOCK ? n - i : BLOCK, &t);     \
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
    ARG(argmin_##S, T, uint8_t, LESS, NEVER)                                  \
    ARG(argmax_##S, T, uint8_t, MORE, NEVER)

INTEGER(i8, int8_t)
INTEGER(u8, uint8_t)
INTEGER(i16, int16_t)
INTEGER(u16, uint16_t)
INTEGER(i32, int32_t)
INTEGER(u32, uint32_t)
INTEGER(i64, int64_t)
INTEGER(u64, uint64_t)
ARG(argmin_f, float, uint32_t, LESS, NAN_IS)
ARG(argmax_f, float, uint32_t, MORE, NAN_IS)
ARG(argmin_d, double, uint64_t, LESS, NAN_IS)
ARG(argmax_d, double, uint64_t, MORE, NAN_IS)
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

typedef int64_t arg_fn(const void *x, int64_t n, void *best);

#define BOTH(S) {argmin_##S, argmax_##S}

static arg_fn *const kernels[NDI_NUMBERS][2] = {
    [NDS_TYPE_INT8] = BOTH(i8),       [NDS_TYPE_UINT8] = BOTH(u8),
    [NDS_TYPE_INT16] = BOTH(i16),     [NDS_TYPE_UINT16] = BOTH(u16),
    [NDS_TYPE_INT32] = BOTH(i32),     [NDS_TYPE_UINT32] = BOTH(u32),
    [NDS_TYPE_INT64] = BOTH(i64),     [NDS_TYPE_UINT64] = BOTH(u64),
    [NDS_TYPE_FLOAT32] = BOTH(f),     [NDS_TYPE_FLOAT64] = BOTH(d),
    [NDS_TYPE_LONGDOUBLE] = BOTH(g),  [NDS_TYPE_COMPLEX64] = BOTH(cf),
    [NDS_TYPE_COMPLEX128] = BOTH(cd),
};

struct search {
    arg_fn *fn;
    enum nds_type from;
    enum nds_type type; /* compared in */
    int64_t item;
    int64_t seen;  /* elements of this result so far */
    int64_t found; /* the best of them */
    _Alignas(16) unsigned char best[16];
};

static void
look(struct search *s, const void *x, int64_t n)
{
    int64_t i;

    if (s->seen == 0) {
        memcpy(s->best, x, (size_t)s->item);
        s->found = 0;
    }
    i = s->fn(x, n, s->best);
    if (i >= 0) {
        s->found = s->seen + i;
    }
    s->seen += n;
}

static void
look_run(void *ctx, char *data, int64_t stride, int64_t count)
{
    struct search *s = ctx;
    _Alignas(16) unsigned char buf[BLOCK * 16];

    if (s->from == s->type && (stride == s->item || count == 1) &&
        (uintptr_t)data % (size_t)s->item == 0) {
        look(s, data, count);
        return;
    }
    while (count > 0) {
        int64_t n = count < BLOCK ? count : BLOCK;

        ndi_ops_convert(s->type, buf, s->item, s->from, data, stride, n);
        look(s, buf, n);
        data += n * stride;
        count -= n;
    }
}

void
ndi_arg_run(bool largest, const nds_view *a, const bool *reduced,
            const struct ndi_dim *dims, int64_t results, int64_t *found)
{
    struct search s = {.from = a->dtype->type};
    nds_view part = {.dtype = a->dtype};
    int64_t n[NDS_MAX_NDIM];
    int64_t strides[NDS_MAX_NDIM];
    int nkept = 0;

    s.type = s.from == NDS_TYPE_FLOAT16 ? NDS_TYPE_FLOAT32
             : s.from == NDS_TYPE_BOOL  ? NDS_TYPE_UINT8
                                        : s.from;
    s.item = ndi_ops_itemsize(s.type);
    s.fn = kernels[s.type][largest];
    for (int i = 0; i < a->ndim; i++) {
        if (reduced[i]) {
            part.shape[part.ndim] = a->shape[i];
            part.strides[part.ndim++] = a->strides[i];
        }
        if (!reduced[dims[i].axis] && dims[i].out) {
            n[nkept] = dims[i].n;
            strides[nkept++] = a->strides[dims[i].axis];
        }
    }
    for (int64_t k = 0; k < results; k++) {
        char *data = a->data;
        int64_t rest = k;

        for (int i = 0; i < nkept; i++) {
            data += rest % n[i] * strides[i];
            rest /= n[i];
        }
        part.data = data;
        s.seen = 0;
        ndi_walk_runs(&part, look_run, &s);
        found[k] = s.found;
    }
}
