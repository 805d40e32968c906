/* SPDX-License-Identifier: MIT */
/* level.c - the loops of one build, as a table */
#include "kernels.h"

#define TEXT(name) #name
#define TEXT_OF(name) TEXT(name)

const struct ndi_kernels NDI_OF(ndi_kernels) = {
    .name = TEXT_OF(NDI_LEVEL),
    .convert = NDI_OF(ndi_convert),
    .binary = NDI_OF(ndi_binary),
    .fold = NDI_OF(ndi_folds),
    .pairwise = NDI_OF(ndi_pairwise),
    .pairwise_rows = NDI_OF(ndi_pairwise_rows),
    .square = NDI_OF(ndi_square),
    .halve = NDI_OF(ndi_halve),
    .arg = NDI_OF(ndi_args),
    .random = NDI_OF(ndi_philox),
    .stream = NDI_OF(ndi_stream),
};
