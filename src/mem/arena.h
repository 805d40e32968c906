/* SPDX-License-Identifier: MIT */
/*
 * arena.h - extents of one stretch of shared memory
 *
 * First fit from low addresses, so that memory already touched is used again
 * before memory that still has to be faulted in. The map of free extents lies
 * in shared memory and is believed only after each entry has been checked;
 * the caller holds the lock that guards it.
 */
#ifndef NDI_ARENA_H
#define NDI_ARENA_H

#include <mem/arena_layout.h>

struct ndi_arena {
    struct ndi_arena_map *map;
    uint32_t room;   /* entries the map has space for */
    uint64_t nbytes; /* of the arena */
};

/* Everything free. */
void ndi_arena_reset(const struct ndi_arena *a);
/* nbytes > 0 at a multiple of align (a power of two). NDS_EAGAIN no extent is
 * large enough; NDS_ECORRUPT the map makes no sense. */
int ndi_arena_alloc(const struct ndi_arena *a, uint64_t nbytes, uint64_t align,
                    uint64_t *off);
/* The lowest such place at or above `from` that ends at or below `to`. */
int ndi_arena_alloc_within(const struct ndi_arena *a, uint64_t from,
                           uint64_t to, uint64_t nbytes, uint64_t align,
                           uint64_t *off);
/* NDS_ECORRUPT if any of it is free already or outside. */
int ndi_arena_free(const struct ndi_arena *a, uint64_t off, uint64_t nbytes);
/* Takes exactly [off, off + nbytes) out of the free space, for rebuilding:
 * NDS_ECORRUPT if it is not wholly free. */
int ndi_arena_carve(const struct ndi_arena *a, uint64_t off, uint64_t nbytes);
/* The highest free extent that begins below `top`: [*off, *end). NDS_EAGAIN
 * there is none; NDS_ECORRUPT. */
int ndi_arena_free_below(const struct ndi_arena *a, uint64_t top,
                         uint64_t *off, uint64_t *end);
/* Bytes free; 0 when the map makes no sense. */
uint64_t ndi_arena_room(const struct ndi_arena *a);

#endif
