/* SPDX-License-Identifier: MIT */
/* names.h - where the array room says how a .npy header reads */
#ifndef NDI_NAMES_H
#define NDI_NAMES_H

#include <ndshare/block.h>

/* Fills dtype, ndim, shape, order and nbytes from the head of an array's file.
 * Before main only (constructors). */
void ndi_names_describe_with(int (*fn)(const unsigned char *head,
                                       size_t nbytes, nds_name_info *out));

#endif
