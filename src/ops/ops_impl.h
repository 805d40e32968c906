/* SPDX-License-Identifier: MIT */
/*
 * ops_impl.h - what the files of this room share
 *
 * Numeric types are numbered as in enum nds_type; NDI_IS_NUMBER covers BOOL to
 * COMPLEX128. Half precision has no C type here: it is stored as uint16_t and
 * computed in float.
 */
#ifndef NDI_OPS_IMPL_H
#define NDI_OPS_IMPL_H

#include <base/attr.h>
#include <nd/dtype_impl.h>
#include <nd/half.h>
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

/* Wider vectors where the machine has them; the arithmetic is the same bit
 * for bit, since nothing is contracted or reassociated. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&        \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&        \
    !defined(__SANITIZE_UNDEFINED__)
#if __GNUC__ >= 12
#define NDI_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define NDI_CLONES __attribute__((target_clones("avx2", "default")))
#endif
#else
#define NDI_CLONES
#endif

static inline float
ndi_half_load(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000U) << 16;
    uint32_t e = (h >> 10) & 31U;
    uint32_t m = h & 0x3ffU;
    uint32_t bits;
    float f;

    if (e == 0) {
        f = (float)m * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (e == 31 ? 0x7f800000U : (e + 112) << 23) | m << 13;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline float
ndi_half_round(float f)
{
    return ndi_half_load(ndi_half_from_double((double)f));
}

/* ---- convert.c ---------------------------------------------------------- */
/* dst[i] = src[i] in another numeric type; strides in bytes. The ranges do
 * not overlap, or are the same elements of one size. */
void ndi_ops_convert(enum nds_type to, void *dst, int64_t dst_stride,
                     enum nds_type from, const void *src, int64_t src_stride,
                     int64_t count);
int64_t ndi_ops_itemsize(enum nds_type type);

/* ---- promote.c ---------------------------------------------------------- */
bool ndi_is_number(const nds_dtype *dt); /* numeric and in native order */
/* NDS_EOVERFLOW if an integer scalar does not fit the integer type. */
int ndi_check_int_range(const nds_scalar *s, enum nds_type to);
bool ndi_same_kind(enum nds_type from, enum nds_type to);
const char *ndi_op_name(enum nds_op op);
/* NDS_ECAST with the operation and the dtype named. */
int ndi_refuse_dtype(const char *ufunc, const nds_dtype *dt) NDI_COLD;
/* "(2, 3)" into text. */
void ndi_shape_compact(char *text, size_t room, int ndim, const int64_t *shape);

/* ---- walk.c -------------------------------------------------------------- */
/* Calls fn for each run of evenly spaced elements, in C order. */
typedef void ndi_run_fn(void *ctx, char *data, int64_t stride, int64_t count);
void ndi_walk_runs(const nds_view *v, ndi_run_fn *fn, void *ctx);
int ndi_check_writable(const nds_view *v);
/* Elements in one unbroken range of memory, in whatever order. */
bool ndi_is_dense(const nds_view *v);

/* ---- binary_kernels.c ---------------------------------------------------- */
typedef void ndi_binary_fn(char *o, const char *a, const char *b, int64_t so,
                           int64_t sa, int64_t sb, int64_t count);
ndi_binary_fn *ndi_binary_kernel(enum nds_op op, enum nds_type type);

/* ---- reduce_plan.c: the order of additions ------------------------------- */
struct ndi_dim {
    int64_t n;
    int64_t in;  /* bytes to the next element of the input */
    int64_t out; /* accumulators to the next; 0: reduced */
    int axis;
};

struct ndi_plan {
    int ndim;
    struct ndi_dim dim[NDS_MAX_NDIM]; /* fastest first, coalesced */
    bool old;       /* NumPy before 2.3 */
    int64_t total;
    int64_t block;  /* the newer order: pieces never cross a multiple of it */
    int64_t size;   /* longest piece */
    int64_t core;   /* > 0: inner loops of a piece are so long */
};

/* The axes of a in iteration order, fastest first, with accumulator steps. */
void ndi_plan_axes(const nds_view *a, const bool *reduced,
                   struct ndi_dim *dims);
/* compact: the strides of a copy in iteration order instead of a's own. */
void ndi_plan_init(struct ndi_plan *p, int ndim, const struct ndi_dim *dims,
                   bool cast, bool compact);
/* The piece that begins at `start`: count elements, in inner loops of *inner */
int64_t ndi_plan_piece(const struct ndi_plan *p, int64_t start,
                       int64_t *inner);
bool ndi_reduce_is_old(void);

/* ---- reduce_kernels.c --------------------------------------------------- */
/* Folds x[0..count) into *acc, or x[i] into acc[i * step]. */
typedef void ndi_fold_fn(void *acc, const void *x, int64_t count);
typedef void ndi_fold_each_fn(void *acc, int64_t step, const void *x,
                              int64_t count);
struct ndi_fold {
    ndi_fold_fn *fold;
    ndi_fold_each_fn *each;
};
/* op: SUM PROD MIN MAX ANY ALL; type: what is computed in. */
const struct ndi_fold *ndi_fold_kernel(enum nds_reduction op,
                                       enum nds_type type);
/* Pairwise sum of contiguous floats or complex numbers, the whole tree. Large
 * ones are computed on several processors, each the sum of a node, and added in
 * the same order. */
void ndi_pairwise(enum nds_type type, const void *x, int64_t count, void *sum);
/* Where the tree of count elements parts: the left half's length. */
int64_t ndi_pairwise_split(enum nds_type type, int64_t count);

/* ---- reduce_pass.c ------------------------------------------------------ */
#define NDI_PASS_LEAF 1024
#define NDI_NODE_NBYTES ((int64_t)4 << 20) /* worth a thread's while */
struct ndi_pass {
    const nds_view *a;
    struct ndi_plan plan;
    struct ndi_dim where[NDS_MAX_NDIM]; /* of the input, coalesced */
    int nwhere;
    enum nds_type type; /* fetched */
    enum nds_type acc;  /* computed in: float for half */
    bool half;
    bool tree; /* pairwise sums */
    const struct ndi_fold *fold;
    bool free_order; /* stretches may be folded by themselves */
    unsigned char identity[16]; /* what a fold begins with */
    const char *mean; /* var: subtract and square; type `type` */
    int64_t mean_step;
    unsigned char *sums;
    unsigned char buf[NDI_PASS_LEAF * 16] __attribute__((aligned(64)));
};
void ndi_pass_run(struct ndi_pass *p);

/* ---- arg.c --------------------------------------------------------------- */
/* found[k]: where in C order of the reduced axes the smallest or largest
 * element of result k is. Results lie as dims (of ndi_plan_axes) say; each is
 * of at least one element. */
void ndi_arg_run(bool largest, const nds_view *a, const bool *reduced,
                 const struct ndi_dim *dims, int64_t results, int64_t *found);

#endif
