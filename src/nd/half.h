/* SPDX-License-Identifier: MIT */
/* half.h - float16 as NumPy rounds it: to nearest, ties to even */
#ifndef NDI_HALF_H
#define NDI_HALF_H

#include <base/attr.h>

double ndi_half_to_double(uint16_t bits);  /* exact */
uint16_t ndi_half_from_double(double value); /* one rounding */

#endif
