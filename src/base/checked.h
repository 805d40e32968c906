/* SPDX-License-Identifier: MIT */
/* checked.h - sums and products that say when they do not fit */
#ifndef NDI_CHECKED_H
#define NDI_CHECKED_H

#include <base/attr.h>

/* Each is true when the result fits (and is stored). */
static inline bool
ndi_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool
ndi_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool
ndi_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool
ndi_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* [off, off + nbytes) lies within [0, room): the check for every offset that
 * another process wrote. */
static inline bool
ndi_range_fits(uint64_t off, uint64_t nbytes, uint64_t room)
{
    return off <= room && nbytes <= room - off;
}

/* Up to a multiple of `unit`, a power of two; false when it does not fit. */
static inline bool
ndi_round_up_u64(uint64_t n, uint64_t unit, uint64_t *out)
{
    uint64_t sum;

    if (!ndi_add_u64(n, unit - 1, &sum)) {
        return false;
    }
    *out = sum & ~(unit - 1);
    return true;
}

#endif
