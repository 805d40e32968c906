/* SPDX-License-Identifier: MIT */
/* attr.h - compiler words and the smallest helpers */
#ifndef NDI_ATTR_H
#define NDI_ATTR_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NDI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
/* Into whatever variant of a function calls it. */
#define NDI_INLINE inline __attribute__((always_inline))
#define NDI_COLD __attribute__((cold))
#define NDI_LIKELY(x) __builtin_expect(!!(x), 1)
#define NDI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NDI_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NDI_LINE 64 /* bytes that two writers must not share */

/* Hands a pointer over and leaves NULL behind, so that clean-up at `out:` sees
 * nothing to do. */
#define ndi_steal(pp)                                                         \
    __extension__({                                                           \
        __typeof__(*(pp)) ndi_stolen = *(pp);                                 \
        *(pp) = NULL;                                                         \
        ndi_stolen;                                                           \
    })

/* The same for a file descriptor, leaving -1. */
static inline int
ndi_steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

#endif
