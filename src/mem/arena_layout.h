/* SPDX-License-Identifier: MIT */
/*
 * arena_layout.h - the bytes of an arena's map
 *
 *     0  count u32 (free extents)  4 reserved u32  8 reserved u64
 *    16  free extents, {off u64, nbytes u64} each, ascending, never adjacent
 *
 * A cache: whoever owns the arena rebuilds it from what is in use. All of it
 * is read and written under the owner's lock.
 */
#ifndef NDI_ARENA_LAYOUT_H
#define NDI_ARENA_LAYOUT_H

#include <base/attr.h>

#include <stdatomic.h>

struct ndi_extent {
    _Atomic uint64_t off;
    _Atomic uint64_t nbytes;
};
_Static_assert(sizeof(struct ndi_extent) == 16, "byte map");

struct ndi_arena_map {
    _Atomic uint32_t count;
    uint32_t reserved32;
    uint64_t reserved;
    struct ndi_extent free[];
};
_Static_assert(sizeof(struct ndi_arena_map) == 16, "byte map");

#define NDI_ARENA_MAP_NBYTES(room) (16 + (uint64_t)(room) * 16)

#endif
