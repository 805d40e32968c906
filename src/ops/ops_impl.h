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

#include "kernels/kernels.h"

#include <base/attr.h>
#include <nd/dtype_impl.h>
#include <nd/half.h>
#include <nd/iter.h>
#include <ndshare/ops.h>

#include <string.h>

/* ---- dispatch.c: the loops of the level in use --------------------------- */
ndi_convert_fn ndi_ops_convert;
ndi_binary_fn *ndi_binary_kernel(enum nds_op op, enum nds_type type);
/* op: SUM PROD MIN MAX ANY ALL; type: of the elements. The accumulator is of
 * 64 bits for sums and products of integers, bool for ANY and ALL, else of the
 * same type. No half, but for ANY and ALL. */
const struct ndi_fold *ndi_fold_kernel(enum nds_reduction op,
                                       enum nds_type type);

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
/* Calls row for each row of a walk that has just begun, or part of one, from
 * several threads if there is much to do; the first view is written. at: how
 * many elements of the walk come before. Each element moves nbytes_each. */
typedef void ndi_row_fn(void *ctx, char *const data[], const int64_t step[],
                        int64_t at, int64_t count);
void ndi_walk_rows(const struct ndi_iter *it, size_t nbytes_each,
                   ndi_row_fn *row, void *ctx);
/* Elements [from, to) of a walk that has just begun. */
void ndi_walk_range(const struct ndi_iter *it, int64_t from, int64_t to,
                    ndi_row_fn *row, void *ctx);
/* An output that large goes past the caches: none holds it. Not one whose end
 * was never written: the kernel clears each page in the caches just before. */
#define NDI_STREAM_NBYTES ((int64_t)64 << 20)
bool ndi_is_streamed(const nds_view *to);
/* Writes count elements of `item` bytes that lie side by side, a buffer's worth
 * at a time: make() puts elements [first, first + count) at `to`. */
typedef void ndi_make_fn(const void *ctx, char *to, int64_t first,
                         int64_t count);
void ndi_stream_row(char *to, int64_t item, int64_t count, ndi_make_fn *make,
                    const void *ctx);
/* nbytes of elements; an item divides a line, which is no more than nbytes. */
void ndi_stream_fill(char *to, int64_t nbytes, const void *element,
                     int64_t item);
int ndi_check_writable(const nds_view *v);
/* Elements in one unbroken range of memory, in whatever order. */
bool ndi_is_dense(const nds_view *v);

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

/* Where the tree of count numbers, or pairs, parts: the left half's length. */
int64_t ndi_pairwise_split(enum nds_type type, int64_t count);

/* ---- reduce_pass.c ------------------------------------------------------ */
#define NDI_PASS_LEAF 1024
struct ndi_pass {
    const nds_view *a;
    struct ndi_plan plan;
    struct ndi_dim where[NDS_MAX_NDIM]; /* of the input, coalesced */
    int nwhere;
    enum nds_type from; /* a's */
    enum nds_type type; /* what is folded: float for half */
    enum nds_type acc;
    bool half; /* rounded to one when a loop ends */
    bool tree; /* pairwise sums */
    bool free_order; /* stretches may be folded by themselves */
    const struct ndi_fold *fold; /* of type */
    const struct ndi_fold *join; /* of acc */
    unsigned char identity[16];  /* what a fold begins with */
    const char *mean;            /* var: subtract and square; of `type` */
    unsigned char *sums;
};
void ndi_pass_run(const struct ndi_pass *p);

/* ---- arg.c --------------------------------------------------------------- */
/* found[k]: where in C order of the reduced axes (one, or all of them) the
 * smallest or largest element of result k is. Results lie as dims (of
 * ndi_plan_axes) say; each is of at least one element. 0 or NDS_ENOMEM. */
int ndi_arg_run(bool largest, const nds_view *a, const bool *reduced,
                 const struct ndi_dim *dims, int64_t results, int64_t *found);

#endif
