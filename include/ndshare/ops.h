/* SPDX-License-Identifier: MIT */
/*
 * ops.h - arithmetic and reductions on views
 *
 *     nds_scalar s;
 *     nds_fill(nds_array_view(a), nds_float(3));
 *     nds_add_scalar(nds_array_view(a), nds_array_view(a), nds_int(1));
 *     nds_sum(&s, nds_array_view(a));
 *
 * For bool, integers, floats and complex in native order. Result dtypes, NaN
 * rules and the order of additions are those of NumPy 2.4.
 *
 * What goes wrong: `out` may be an input (in place) and may overlap one; the
 * result is as if the inputs were read first. Writers in other processes are
 * not held off: take the array's lock.
 */
#ifndef NDSHARE_OPS_H
#define NDSHARE_OPS_H

#include <ndshare/view.h>

#ifdef __cplusplus
extern "C" {
#endif

enum nds_op { NDS_ADD, NDS_SUBTRACT, NDS_MULTIPLY, NDS_DIVIDE };

enum nds_reduction {
    NDS_SUM,
    NDS_PROD,
    NDS_MIN,
    NDS_MAX,
    NDS_MEAN,
    NDS_STD,
    NDS_VAR,
    NDS_ARGMIN,
    NDS_ARGMAX,
    NDS_ANY,
    NDS_ALL
};

/* dst[...] = value; any dtype that the value can be assigned to. */
NDS_API int nds_fill(const nds_view *dst, nds_scalar value);
/* 0, 1, 2, ... in C order; NDS_ECAST for what is not a number. */
NDS_API int nds_arange(const nds_view *dst);
/* Uniform floats in [0, 1): NumPy's Generator(Philox(seed)).random(), float32
 * and float64, C order. Other dtypes: NDS_ECAST. */
NDS_API int nds_random(const nds_view *dst, uint64_t seed);

/* out = a op b, broadcast to out's shape. A result that does not fit out's
 * dtype by the same-kind rule gives NDS_ECAST. */
NDS_API int nds_binary(enum nds_op op, const nds_view *out, const nds_view *a,
                       const nds_view *b);
/* The scalar is weak, as a Python number is: it takes a's dtype where its
 * kind allows; NDS_EOVERFLOW if an integer does not fit. */
NDS_API int nds_binary_scalar(enum nds_op op, const nds_view *out,
                              const nds_view *a, nds_scalar b);
/* The dtype NumPy would give. */
NDS_API int nds_binary_dtype(enum nds_op op, const nds_dtype *a,
                             const nds_dtype *b, const nds_dtype **out);
NDS_API int nds_binary_scalar_dtype(enum nds_op op, const nds_dtype *a,
                                    const nds_scalar *b,
                                    const nds_dtype **out);

NDS_API int nds_add(const nds_view *out, const nds_view *a, const nds_view *b);
NDS_API int nds_subtract(const nds_view *out, const nds_view *a,
                         const nds_view *b);
NDS_API int nds_multiply(const nds_view *out, const nds_view *a,
                         const nds_view *b);
NDS_API int nds_divide(const nds_view *out, const nds_view *a,
                       const nds_view *b);
NDS_API int nds_add_scalar(const nds_view *out, const nds_view *a,
                           nds_scalar b);
NDS_API int nds_subtract_scalar(const nds_view *out, const nds_view *a,
                                nds_scalar b);
NDS_API int nds_multiply_scalar(const nds_view *out, const nds_view *a,
                                nds_scalar b);
NDS_API int nds_divide_scalar(const nds_view *out, const nds_view *a,
                              nds_scalar b);

typedef struct nds_reduce_options {
    size_t size;
    int ddof;      /* std and var: divisor is count - ddof */
    bool keepdims; /* for nds_reduce_shape */
} nds_reduce_options;

/* Over everything. min, max, argmin, argmax of nothing: NDS_EINVAL with
 * NumPy's words and the shape. mean of nothing is nan. */
NDS_API int nds_reduce(enum nds_reduction op, const nds_view *a,
                       const nds_reduce_options *opts, nds_scalar *out);
/* Over some axes (negative count from the end) into `out`, whose shape and
 * dtype nds_reduce_shape and nds_reduce_dtype give. argmin, argmax: one axis
 * or all. */
NDS_API int nds_reduce_axes(enum nds_reduction op, const nds_view *out,
                            const nds_view *a, int naxes, const int *axes,
                            const nds_reduce_options *opts);
NDS_API int nds_reduce_shape(const nds_view *a, int naxes, const int *axes,
                             const nds_reduce_options *opts, int *ndim,
                             int64_t *shape);
NDS_API int nds_reduce_dtype(enum nds_reduction op, const nds_dtype *a,
                             const nds_dtype **out);

/*
 * Operations on large arrays (some 8 MiB and more) use several threads; the
 * result is the same to the last bit for any number of them.
 *
 *   count  threads at most, the caller's among them; 0: as NDSHARE_THREADS
 *          says, or else all processors that the calling thread may run on.
 *          Never more than those, whatever is asked, nor more than 16
 *
 * Errors     NDS_EINVAL count < 0
 * Threads    MT-safe; holds for all threads of this process, for calls that
 *            begin later
 * Processes  each its own; a child of fork has its parent's
 */
NDS_API int nds_set_threads(int count);
/* How many an operation of the calling thread would use. */
NDS_API int nds_threads(void);

NDS_API int nds_sum(nds_scalar *out, const nds_view *a);
NDS_API int nds_prod(nds_scalar *out, const nds_view *a);
NDS_API int nds_min(nds_scalar *out, const nds_view *a);
NDS_API int nds_max(nds_scalar *out, const nds_view *a);
NDS_API int nds_mean(nds_scalar *out, const nds_view *a);
NDS_API int nds_std(nds_scalar *out, const nds_view *a);
NDS_API int nds_var(nds_scalar *out, const nds_view *a);
NDS_API int nds_argmin(nds_scalar *out, const nds_view *a);
NDS_API int nds_argmax(nds_scalar *out, const nds_view *a);
NDS_API int nds_any(nds_scalar *out, const nds_view *a);
NDS_API int nds_all(nds_scalar *out, const nds_view *a);

#ifdef __cplusplus
}
#endif
#endif
