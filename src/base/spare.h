/* SPDX-License-Identifier: MIT */
/*
 * spare.h - pieces of one size, kept by the thread that gave them up
 *
 * A handle, or a small block with its bytes, is larger than what the C
 * library keeps at hand, so each would cost it a search and a merge. A thread
 * keeps a bounded number of such pieces and gives them back when it ends.
 * Built with AddressSanitizer nothing is kept: it wants to see each free.
 */
#ifndef NDI_SPARE_H
#define NDI_SPARE_H

#include <base/attr.h>

#define NDI_SPARE_NBYTES 1280
/* NDI_SPARE_NBYTES of any content, aligned to NDI_LINE; NULL: no memory. */
void *ndi_spare_new(void);
void ndi_spare_free(void *piece);

#endif
