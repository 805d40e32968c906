/* SPDX-License-Identifier: MIT */
/* shape.h - extents and strides, checked */
#ifndef NDI_SHAPE_H
#define NDI_SHAPE_H

#include <base/buf.h>
#include <ndshare/view.h>

/* count * itemsize fits int64, also with zero extents left out (as NumPy
 * asks): NDS_ESHAPE. count and nbytes may be NULL. */
int ndi_shape_check(int64_t itemsize, int ndim, const int64_t *shape,
                    int64_t *count, int64_t *nbytes);
/* Elements; the shape has been checked. */
int64_t ndi_shape_count(int ndim, const int64_t *shape);

/* "(2,3)", "(3,)", "()": as NumPy's messages write shapes. */
#define NDI_SHAPE_ROOM 256
struct ndi_shape_words {
    char text[NDI_SHAPE_ROOM];
};
struct ndi_shape_words ndi_shape_words(int ndim, const int64_t *shape);

/* The shape two shapes broadcast to: NDS_ESHAPE with NumPy's words. */
int ndi_shape_broadcast(int andim, const int64_t *a, int bndim,
                        const int64_t *b, int *ndim, int64_t *shape);

void ndi_strides_fill(int64_t *strides, int64_t itemsize, int ndim,
                      const int64_t *shape, char order);
/* As NumPy: strides of extents 0 and 1 do not count. */
bool ndi_strides_are_contiguous(const int64_t *strides, int64_t itemsize,
                                int ndim, const int64_t *shape, char order);
/* Lowest and one past the highest byte touched, from element 0; 0, 0 for no
 * elements. False when it does not fit int64. */
bool ndi_strides_extent(const int64_t *strides, int64_t itemsize, int ndim,
                        const int64_t *shape, int64_t *low, int64_t *high);
/* Strides for a new shape of the same count without moving anything, where
 * that is possible. */
bool ndi_strides_reshape(int ndim, const int64_t *shape,
                         const int64_t *strides, int64_t itemsize,
                         int new_ndim, const int64_t *new_shape, char order,
                         int64_t *new_strides);

#endif
