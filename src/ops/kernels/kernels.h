/* SPDX-License-Identifier: MIT */
/*
 * kernels.h - loops that are built once for each level of processor
 *
 * The files of this folder are compiled several times: for the plainest
 * processor of the architecture, and on x86-64 for its levels v3 (AVX2) and
 * v4 (AVX-512). Each build ends in one table, and dispatch.c takes one of them
 * when the first operation runs. All levels give the same bits: nothing is
 * contracted or reassociated, and where the order is free, results do not
 * depend on how many lanes there are.
 *
 * Here are numbers and pointers only: no views, no errors, no threads.
 */
#ifndef NDI_KERNELS_H
#define NDI_KERNELS_H

#include <base/attr.h>
#include <ndshare/ops.h>

#include <string.h>

#define NDI_NUMBERS (NDS_TYPE_COMPLEX128 + 1)

typedef float _Complex ndi_c64;
typedef double _Complex ndi_c128;

/* Loops whose iterations touch one index each: in place is fine. */
#if defined(__clang__)
#define NDI_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define NDI_IVDEP _Pragma("GCC ivdep")
#endif

/* The next loop is laid out flat, so that its array can live in registers. */
#define NDI_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define NDI_UNROLL(n) NDI_PRAGMA(clang loop unroll_count(n))
#else
#define NDI_UNROLL(n) NDI_PRAGMA(GCC unroll n)
#endif

/* Between these GCC fuses nothing: from products and alternate additions (those
 * of complex numbers) its vectoriser makes fmaddsub whatever -ffp-contract
 * says, and AVX-512 cannot be had without it. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__AVX512F__)
#define NDI_UNFUSED_BEGIN                                                     \
    _Pragma("GCC push_options") _Pragma("GCC target(\"no-avx512f\")")
#define NDI_UNFUSED_END _Pragma("GCC pop_options")
#else
#define NDI_UNFUSED_BEGIN
#define NDI_UNFUSED_END
#endif

/* dst[i] = src[i] in another numeric type; strides in bytes. The ranges do
 * not overlap, or are the same elements of one size. */
typedef void ndi_convert_fn(enum nds_type to, void *dst, int64_t dst_stride,
                            enum nds_type from, const void *src,
                            int64_t src_stride, int64_t count);

/* o[i] = a[i] op b[i]; `o` may be `a` or `b` exactly. */
typedef void ndi_binary_fn(char *o, const char *a, const char *b, int64_t so,
                           int64_t sa, int64_t sb, int64_t count);

/* fold: x[0..count) into *acc, one after the other; each: x[i] into acc[i],
 * which lie side by side. x lies `stride` bytes apart and is aligned. */
typedef void ndi_fold_fn(void *acc, const void *x, int64_t stride,
                         int64_t count);
struct ndi_fold {
    ndi_fold_fn *fold;
    ndi_fold_fn *each;
};

/* What a pairwise tree adds: x as `acc`, or its squared distance to *mean. */
struct ndi_terms {
    enum nds_type from;
    enum nds_type type;  /* converted to: float for half */
    int64_t stride;      /* bytes */
    const void *mean;    /* of `type`, or NULL */
    bool half;           /* each step of a square is rounded to a half */
};
/* The sum of count terms from x on, the whole tree; of `type`, but real for
 * squares. */
typedef void ndi_pairwise_fn(const struct ndi_terms *t, const char *x,
                             int64_t count, void *sum);
/* The same of rows that begin `step` bytes apart; each is added to its own
 * accumulator, `apart` of them from one to the next, and so are the means. */
typedef void ndi_pairwise_rows_fn(const struct ndi_terms *t, const char *x,
                                  int64_t count, int64_t step, int64_t rows,
                                  void *acc, int64_t apart);
/* x[i] = (x[i] - mean[i * step])^2 of count contiguous elements, step 0 or 1;
 * squares of complex numbers are real and lie in the first half of x. half: all
 * steps are rounded to what a half can hold. */
typedef void ndi_square_fn(enum nds_type type, bool half, void *x,
                           const void *mean, int64_t step, int64_t count);
/* Rounds count floats to what a half can hold. */
typedef void ndi_halve_fn(float *x, int64_t count);

/* The place in x[0..count), contiguous, of the first element that is best, if
 * it beats *best, which then becomes it; else -1. */
typedef int64_t ndi_arg_fn(const void *x, int64_t count, void *best);
/* For each i: if x[i] beats best[i], then that becomes it and where[i] place.
 * Places are unsigned numbers as wide as an element, at most 64 bits. */
typedef void ndi_arg_each_fn(const void *x, int64_t count, uint64_t place,
                             void *best, void *where);
struct ndi_arg {
    ndi_arg_fn *run;
    ndi_arg_each_fn *each;
};

/* Copies n bytes to a place that nobody reads soon, past the caches; `to` and n
 * are multiples of 64. Others see it after a fence only. */
typedef void ndi_stream_fn(void *to, const void *from, size_t n);

/* Numbers [at, at + count) of this key's stream of floats or doubles. */
typedef void ndi_random_fn(const uint64_t key[2], bool floats, int64_t at,
                           int64_t count, void *to);

struct ndi_kernels {
    const char *name;
    ndi_convert_fn *convert;
    ndi_binary_fn *const (*binary)[4];
    const struct ndi_fold (*fold)[NDI_NUMBERS]; /* by reduction, input */
    ndi_pairwise_fn *pairwise;
    ndi_pairwise_rows_fn *pairwise_rows;
    ndi_square_fn *square;
    ndi_halve_fn *halve;
    const struct ndi_arg (*arg)[2]; /* min, max */
    ndi_random_fn *random;
    ndi_stream_fn *stream;
};

/* The one in use; never changes within a process, but in tests. */
const struct ndi_kernels *ndi_kernels(void);
/* "baseline", "v3", "v4": false if the machine or the build lacks it. */
bool ndi_kernels_use(const char *name);

int64_t ndi_ops_itemsize(enum nds_type type);

/* ---- within this folder -------------------------------------------------- */
#ifdef NDI_LEVEL
#define NDI_PASTE(a, b) a##_##b
#define NDI_PASTED(a, b) NDI_PASTE(a, b)
/* A name of this build's own. */
#define NDI_OF(name) NDI_PASTED(name, NDI_LEVEL)

/* A vector's bytes: what this level's registers hold. */
#if defined(__AVX512F__)
#define NDI_VECTOR 64
#elif defined(__AVX__)
#define NDI_VECTOR 32
#else
#define NDI_VECTOR 16
#endif

extern const struct ndi_kernels NDI_OF(ndi_kernels);
ndi_convert_fn NDI_OF(ndi_convert);
/* Items of 1, 2, 4, 8 or 16 bytes, `ds` and `ss` bytes apart, as they are. */
void NDI_OF(ndi_copy)(char *d, int64_t ds, const char *s, int64_t ss,
                      int64_t item, int64_t count);
extern ndi_binary_fn *const NDI_OF(ndi_binary)[NDI_NUMBERS][4];
extern const struct ndi_fold NDI_OF(ndi_folds)[NDS_ALL + 1][NDI_NUMBERS];
ndi_pairwise_fn NDI_OF(ndi_pairwise);
ndi_pairwise_rows_fn NDI_OF(ndi_pairwise_rows);
ndi_square_fn NDI_OF(ndi_square);
ndi_halve_fn NDI_OF(ndi_halve);
extern const struct ndi_arg NDI_OF(ndi_args)[NDI_NUMBERS][2];
ndi_random_fn NDI_OF(ndi_philox);
ndi_stream_fn NDI_OF(ndi_stream);
#endif

/* ---- half ---------------------------------------------------------------- */
/* Without a branch, so that loops of these become vectors. */
static inline float
ndi_half_load(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000U) << 16;
    uint32_t e = h & 0x7c00U;
    uint32_t m = h & 0x3ffU;
    uint32_t normal = (uint32_t)(h & 0x7fffU) << 13;
    float small = (float)(int32_t)m * 0x1p-24f;
    uint32_t bits;
    float f;

    memcpy(&bits, &small, sizeof(bits));
    normal += e == 0x7c00U ? (255U - 31U) << 23 : 112U << 23;
    bits = sign | (e == 0 ? bits : normal);
    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* To nearest, ties to even; NaNs keep their upper bits and become quiet. */
static inline uint16_t
ndi_half_store(float f)
{
    uint32_t u, small, h;
    uint32_t sign;
    float shifted;

    memcpy(&u, &f, sizeof(u));
    sign = u >> 16 & 0x8000U;
    u &= 0x7fffffffU;
    memcpy(&shifted, &u, sizeof(shifted));
    shifted += 0.5f; /* whose last bit is worth 2^-24, as a half's */
    memcpy(&small, &shifted, sizeof(small));
    h = (u + 0xfffU + (u >> 13 & 1U) - (112U << 23)) >> 13;
    h = u < 0x38800000U ? small - 0x3f000000U : h;  /* below 2^-14 */
    h = u >= 0x477ff000U ? 0x7c00U : h;             /* 65520 and more */
    h = u > 0x7f800000U ? 0x7e00U | (u >> 13 & 0x3ffU) : h;
    return (uint16_t)(sign | h);
}

static inline float
ndi_half_round(float f)
{
    return ndi_half_load(ndi_half_store(f));
}

#endif
