/* SPDX-License-Identifier: MIT */
/* half.h - float16 as NumPy rounds it: to nearest, ties to even */
#ifndef NDI_HALF_H
#define NDI_HALF_H

#include <base/attr.h>

#include <string.h>

double ndi_half_to_double(uint16_t bits); /* exact */

/* Rounds once, to nearest even. Inline: the arithmetic kernels loop over it. */
static inline uint16_t
ndi_half_from_double(double d)
{
    uint64_t bits;
    uint64_t m;
    uint32_t h;
    uint32_t sign;

    memcpy(&bits, &d, sizeof(bits));
    sign = (uint32_t)(bits >> 48) & 0x8000U;
    bits &= INT64_MAX;
    m = bits & ((UINT64_C(1) << 52) - 1);
    if (bits > UINT64_C(0x7ff) << 52) {
        h = 0x7c00U | (uint32_t)(m >> 42);
        return (uint16_t)(sign | (h == 0x7c00U ? 0x7c01U : h));
    }
    memcpy(&d, &bits, sizeof(d));
    if (d >= 65520.0) {
        return (uint16_t)(sign | 0x7c00U);
    }
    if (d < 0x1p-14) {
        return (uint16_t)(sign | (uint32_t)((d * 0x1p24 + 0x1p52) - 0x1p52));
    }
    h = (uint32_t)(((bits >> 52) - 1008) << 10 | m >> 42);
    m &= (UINT64_C(1) << 42) - 1;
    if (m > UINT64_C(1) << 41 || (m == UINT64_C(1) << 41 && (h & 1))) {
        h++;
    }
    return (uint16_t)(sign | h);
}

#endif
