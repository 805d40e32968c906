/* SPDX-License-Identifier: MIT */
/* options.h - option structs of callers built against an older header */
#ifndef NDI_OPTIONS_H
#define NDI_OPTIONS_H

#include <base/attr.h>

#include <string.h>

/* The caller's options, which begin with their size, as this library knows
 * them: what the caller's header did not have yet is zero, its default. Size 0
 * stands for all of it; opts may be NULL. */
static inline void
ndi_options_copy(void *out, size_t nbytes, const void *opts)
{
    size_t have = 0;

    memset(out, 0, nbytes);
    if (opts != NULL) {
        memcpy(&have, opts, sizeof have);
        memcpy(out, opts, have == 0 || have > nbytes ? nbytes : have);
    }
}

#endif
