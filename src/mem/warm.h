/* SPDX-License-Identifier: MIT */
/* warm.h - memory that is free but stays, so that it is warm when it is wanted
 * again: how much */
#ifndef NDI_WARM_H
#define NDI_WARM_H

#include <base/attr.h>

/* Bytes: `asked`, or, where that is 0, what NDSHARE_KEEP says, or 4 MiB. */
uint64_t ndi_keep_nbytes(uint64_t asked);

#endif
