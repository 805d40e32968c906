/* SPDX-License-Identifier: MIT */
/*
 * extent.c - which memory of the arena an item gets
 *
 * The lowest that is free, as memory that has been touched is used again before
 * any other. But an item of about the size of a processor's own cache goes
 * round in the first 4 MiB: what its reader has just left lies in that cache,
 * and taking it from there costs the writer twice as much as taking what has
 * meanwhile gone to the cache that both share, in which two channels and what
 * is copied have to find room. Larger items have left by themselves, and are
 * better off with few places that all fit in the latter.
 */
#include <chan/chan_impl.h>

#include <sync/word.h>

#define LEAST (UINT64_C(1) << 20)
#define MOST (UINT64_C(2) << 20)
#define ROUND (UINT64_C(4) << 20)

int
ndi_chan_extent(struct ndi_chan *c, const struct ndi_need *need, uint64_t *off)
{
    uint64_t round = c->arena.nbytes / 2 < ROUND ? c->arena.nbytes / 2 : ROUND;
    int rc = NDS_EAGAIN;

    if (need->extent < LEAST || need->extent > MOST) {
        return ndi_arena_alloc(&c->arena, need->extent, need->align, off);
    }
    rc = ndi_arena_alloc_within(&c->arena, ndi_load_rlx(&c->turn), round,
                                need->extent, need->align, off);
    if (rc == NDS_EAGAIN) {
        rc = ndi_arena_alloc(&c->arena, need->extent, need->align, off);
    }
    if (rc == 0) {
        ndi_store_rlx(&c->turn, *off + need->extent);
    }
    return rc;
}
