/* SPDX-License-Identifier: MIT */
/* view_impl.h - steps that the files about views share */
#ifndef NDI_VIEW_IMPL_H
#define NDI_VIEW_IMPL_H

#include <ndshare/view.h>

/* Empty, so that nds_view_fini has nothing to do. */
void ndi_view_clear(nds_view *v);
/* dtype (counted), data, ndim and flags; no shape, no strides. */
void ndi_view_like(nds_view *out, const nds_view *v);
/* Over memory that is known to hold it, one element behind the other in the
 * order 'C' or 'F'. NDS_ESHAPE: too many dimensions with a sub-array's. */
int ndi_view_packed(nds_view *out, const nds_dtype *dtype, void *data,
                    int ndim, const int64_t *shape, char order);
/* v with the strides it has under `shape`; false if it does not broadcast.
 * Leading extents of 1 beyond ndim are dropped if `drop`. */
bool ndi_view_stretch(nds_view *out, const nds_view *v, int ndim,
                      const int64_t *shape, bool drop);
/* start, stop and step made real for an extent, as Python's slices do.
 * Returns the count. step is not 0 and not INT64_MIN. */
int64_t ndi_slice_count(const nds_index *x, int64_t extent, int64_t *start,
                        int64_t *step);

#endif
