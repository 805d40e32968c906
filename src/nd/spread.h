/* SPDX-License-Identifier: MIT */
/* spread.h - one element, over and over */
#ifndef NDI_SPREAD_H
#define NDI_SPREAD_H

#include <base/attr.h>

/* Memory at data holds elements of item bytes, one behind the other: bytes
 * [from, to) of it become those of `element`. They may begin and end within
 * one, so that pieces can be written on their own. */
void ndi_spread(void *data, uint64_t from, uint64_t to, const void *element,
                size_t item);

#endif
