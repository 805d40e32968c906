/* SPDX-License-Identifier: MIT */
/*
 * iter.h - one walk over up to three views of one shape
 *
 *     struct ndi_iter it;
 *
 *     if (ndi_iter_init(&it, 2, views, 0)) {
 *         do {
 *             row(it.data[0], it.step[0], it.data[1], it.step[1], it.count);
 *         } while (ndi_iter_next(&it));
 *     }
 *
 * Axes that are one run in every view are joined, and the rest are ordered by
 * the strides of the first view, so that contiguous views are one row.
 */
#ifndef NDI_ITER_H
#define NDI_ITER_H

#include <ndshare/view.h>

#define NDI_ITER_MAX 3

enum ndi_iter_flags {
    NDI_ITER_C_ORDER = 1 /* visit elements in C order */
};

struct ndi_iter {
    int nviews;
    int ndim; /* outer axes */
    int64_t count;               /* elements in a row, > 0 */
    char *data[NDI_ITER_MAX];    /* the row's first element */
    int64_t step[NDI_ITER_MAX];  /* bytes to the next */
    int64_t shape[NDS_MAX_NDIM]; /* outer axes, the last runs fastest */
    int64_t index[NDS_MAX_NDIM];
    int64_t strides[NDI_ITER_MAX][NDS_MAX_NDIM];
};

/* False if there are no elements: nothing to do. */
bool ndi_iter_init(struct ndi_iter *it, int nviews,
                   const nds_view *const *views, unsigned flags);
/* To the next row; false after the last. */
bool ndi_iter_next(struct ndi_iter *it);

#endif
