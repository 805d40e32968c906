/* SPDX-License-Identifier: MIT */
/*
 * view.h - dtype, shape, strides and a pointer, over memory someone owns
 *
 *     double m[2][3];
 *     nds_view v, col;
 *     nds_view_init(&v, NDS_FLOAT64, m, sizeof m, 2, (int64_t[]){2, 3});
 *     nds_view_slice(&col, &v, "[:, 1]");
 *     nds_view_fini(&col);
 *     nds_view_fini(&v);
 *
 * A view owns nothing but a count on its dtype; nds_view_fini gives it back.
 *
 * What goes wrong: a view does not keep memory alive; an nds_array does.
 * Two threads may read one view; writing through it is not synchronised.
 */
#ifndef NDSHARE_VIEW_H
#define NDSHARE_VIEW_H

#include <ndshare/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NDS_MAX_NDIM 64

enum nds_view_flags {
    NDS_VIEW_READONLY = 1, /* assignment gives NDS_EREADONLY */
};

typedef struct nds_view {
    const nds_dtype *dtype; /* counted */
    void *data;             /* the element at index (0, ..., 0) */
    int32_t ndim;           /* 0..NDS_MAX_NDIM */
    uint32_t flags;
    int64_t shape[NDS_MAX_NDIM];   /* elements, each >= 0 */
    int64_t strides[NDS_MAX_NDIM]; /* bytes, signed */
} nds_view;

/*
 * nds_view_init - a C-order view of `nbytes` bytes at `data`
 *
 * Errors  NDS_ESHAPE negative extent, more than 64 dimensions or a product
 *         that overflows; NDS_EBUFFER the array does not fit in nbytes
 */
NDS_API int nds_view_init(nds_view *out, const nds_dtype *dtype, void *data,
                          size_t nbytes, int ndim, const int64_t *shape);

/*
 * nds_view_init_strided - any strides (NULL: order 'C' or 'F')
 *
 *   base, nbytes  the memory that may be touched
 *   off           where element (0, ..., 0) is, bytes from base
 *
 * Errors  as above; NDS_EBUFFER also when a negative stride leaves the memory
 */
NDS_API int nds_view_init_strided(nds_view *out, const nds_dtype *dtype,
                                  void *base, size_t nbytes, int64_t off,
                                  int ndim, const int64_t *shape,
                                  const int64_t *strides, char order);
NDS_API void nds_view_fini(nds_view *v);

/* Another count on the same memory. `out` may not be `v`. */
NDS_API void nds_view_copy(nds_view *out, const nds_view *v);

NDS_API int64_t nds_view_count(const nds_view *v);  /* elements */
NDS_API int64_t nds_view_nbytes(const nds_view *v); /* count * itemsize */
NDS_API bool nds_view_is_contiguous(const nds_view *v, char order); /* C or F */

/* The address of one element; index has ndim entries, negative from the end.
 * Errors  NDS_EINDEX with axis, index and extent. */
NDS_API int nds_view_at(const nds_view *v, const int64_t *index, void **out);

/*
 * nds_view_slice - NumPy basic indexing: "[0, :, ::2]", "[..., None, -1]";
 * the brackets may be left out. The result shares memory.
 *
 * Errors  NDS_EINVAL what cannot be read, with its place; NDS_EINDEX
 */
NDS_API int nds_view_slice(nds_view *out, const nds_view *v, const char *text);

/* The same from numbers, one entry per axis or new axis. */
enum nds_index_kind {
    NDS_INDEX_INT,
    NDS_INDEX_SLICE,
    NDS_INDEX_ELLIPSIS,
    NDS_INDEX_NEWAXIS
};
#define NDS_INDEX_MISSING INT64_MIN /* start, stop or step not given */
typedef struct nds_index {
    enum nds_index_kind kind;
    int64_t start; /* the index itself for NDS_INDEX_INT */
    int64_t stop;
    int64_t step;
} nds_index;
NDS_API int nds_view_index(nds_view *out, const nds_view *v, int count,
                           const nds_index *index);
/* Reads "[0, ::2]" into at most `room` entries. */
NDS_API int nds_index_parse(const char *text, nds_index *index, int room,
                            int *count);

/* axes NULL reverses them. Shares memory. */
NDS_API int nds_view_transpose(nds_view *out, const nds_view *v,
                               const int *axes);
/* One extent may be -1. NDS_EAGAIN (an outcome) if it cannot share memory:
 * copy first, then reshape the copy. NDS_ESHAPE if the counts differ. */
NDS_API int nds_view_reshape(nds_view *out, const nds_view *v, int ndim,
                             const int64_t *shape, char order);
NDS_API int nds_view_broadcast(nds_view *out, const nds_view *v, int ndim,
                               const int64_t *shape);
/* One field of a record array, sharing memory. NDS_EKEY */
NDS_API int nds_view_field(nds_view *out, const nds_view *v, const char *name);
/* Other dtype over the same bytes: itemsize must match, or the last axis be
 * contiguous and divide. */
NDS_API int nds_view_cast_bytes(nds_view *out, const nds_view *v,
                                const nds_dtype *dtype);

/* May the two touch the same byte? Exact for what real programs do; may say
 * yes for sparse strided views that do not. */
NDS_API bool nds_view_overlaps(const nds_view *a, const nds_view *b);

/*
 * nds_assign - dst[...] = src, with broadcasting and casting
 *
 * Overlap-safe. Casting follows NumPy's assignment ("unsafe") rules; text to
 * number and the like give NDS_ECAST. Errors NDS_ESHAPE "could not broadcast
 * input array from shape (3,) into shape (2,)", NDS_EREADONLY.
 */
NDS_API int nds_assign(const nds_view *dst, const nds_view *src);

/* One element, with room for every scalar dtype. */
typedef struct nds_scalar {
    const nds_dtype *dtype; /* a built-in one, not counted */
#ifdef __cplusplus
    alignas(16) unsigned char data[32];
#else
    _Alignas(16) unsigned char data[32];
#endif
} nds_scalar;

NDS_API nds_scalar nds_int(int64_t value);     /* int64 */
NDS_API nds_scalar nds_uint(uint64_t value);   /* uint64 */
NDS_API nds_scalar nds_float(double value);    /* float64 */
NDS_API nds_scalar nds_bool(bool value);       /* bool */
NDS_API nds_scalar nds_complex(double re, double im); /* complex128 */
/* The value as double (real part) or int64 (truncated, clamped). */
NDS_API double nds_scalar_double(const nds_scalar *s);
NDS_API int64_t nds_scalar_int64(const nds_scalar *s);
/* A 0-d view of the scalar, which must outlive it. */
NDS_API void nds_scalar_view(nds_view *out, nds_scalar *s);

/*
 * Printing, equal to NumPy's to the character.
 *
 *   numpy  0 = newest rules (or NDSHARE_NUMPY_PRINT), else 124, 200, 202, 203
 *   text   heap string                                     [caller frees]
 */
typedef struct nds_print_options {
    size_t size; /* sizeof(nds_print_options), or 0 for all defaults */
    int numpy;
} nds_print_options;
NDS_API int nds_view_str(const nds_view *v, const nds_print_options *opts,
                         char **text);
NDS_API int nds_view_repr(const nds_view *v, const nds_print_options *opts,
                          char **text);
/* As Python prints a scalar: "121600.0", "True", "(1+2j)" [caller frees] */
NDS_API int nds_scalar_str(const nds_scalar *s, char **text);
/* Nested Python lists, as str(a.tolist()) [caller frees] */
NDS_API int nds_view_tolist_str(const nds_view *v, char **text);

#ifdef __cplusplus
}
#endif
#endif
