/* SPDX-License-Identifier: MIT */
/*
 * heap.c - private zeroed memory of this process
 *
 * From 2 MiB up it comes straight from the kernel: zero pages that nobody has
 * touched, aligned for and advised to 2 MiB pages, and registered so that a
 * child of fork may replace them wholesale (os/private.c). Smaller ones lie
 * behind their block, aligned to a cache line, in one piece of memory.
 */
#include <mem/mem_impl.h>
#include <mem/warm.h>

#include <base/fail.h>
#include <base/spare.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>

#define MAP_FROM ((size_t)2 << 20)
#define ZERO_MOST ((size_t)32 << 20)

#define HEAD ((sizeof(struct nds_block) + NDI_LINE - 1) & ~(size_t)(NDI_LINE - 1))

static void
mapped_fini(nds_block *b)
{
    struct ndi_warm w = {.map = b->map, .nbytes = b->map_nbytes,
                         .huge = b->huge, .fd = -1};

    ndi_private_remove(b->map);
    // After a fork the pages may be shared with the child.
    if (b->forks != ndi_warm_forks() || !ndi_warm_put(&w)) {
        ndi_unmap(b->map, b->map_nbytes);
    }
}

static void
zero_range(void *ctx, int64_t from, int64_t to)
{
    memset((char *)ctx + from, 0, (size_t)(to - from));
}

/* Warm memory if there is some. From ZERO_MOST up the kernel's zeros in new 2
 * MiB pages are quicker than ours, so only the addresses are used again. */
static bool
map_warm(nds_block *b, size_t nbytes, bool zeroed)
{
    struct ndi_warm w;

    if (!ndi_warm_get(&w, nbytes, b->huge, false)) {
        return false;
    }
    b->map = w.map;
    if (zeroed && nbytes > ZERO_MOST && b->huge != NDS_HUGE_NEVER &&
        ndi_map_forget(w.map, nbytes) == 0) {
        return true;
    }
    if (zeroed) {
        ndi_in_pieces((int64_t)nbytes, 1, zero_range, w.map);
    }
    return true;
}

static int
new_mapped(nds_block **out, size_t nbytes, bool zeroed, enum nds_huge huge)
{
    nds_block *b = NULL;
    int rc = ndi_block_make(&b, NDS_HEAP, NDS_READWRITE);

    if (rc < 0) {
        return rc;
    }
    b->huge = ndi_huge(huge);
    b->forks = ndi_warm_forks();
    if (!map_warm(b, nbytes, zeroed)) {
        rc = ndi_map_anon(&b->map, nbytes, b->huge);
        if (rc < 0 && nds_memory_trim() > 0) {
            rc = ndi_map_anon(&b->map, nbytes, b->huge);
        }
    }
    if (rc < 0) {
        nds_block_close(b);
        return ndi_fail_nomem(nbytes, "an array");
    }
    b->map_nbytes = nbytes;
    b->data = b->map;
    b->nbytes = nbytes;
    b->fini = mapped_fini;
    ndi_private_add(b->map, nbytes);
    *out = b;
    return 0;
}

int
ndi_block_new_heap(nds_block **out, size_t nbytes, bool zeroed,
                   enum nds_huge huge)
{
    size_t room = nbytes == 0 ? NDI_LINE
                              : (nbytes + NDI_LINE - 1) &
                                    ~(size_t)(NDI_LINE - 1);
    bool spare = room <= NDI_SPARE_NBYTES - HEAD;
    nds_block *b;

    *out = NULL;
    if (room < nbytes) {
        return ndi_fail_nomem(nbytes, "an array");
    }
    if (nbytes >= MAP_FROM) {
        return new_mapped(out, nbytes, zeroed, huge);
    }
    b = spare ? ndi_spare_new() : aligned_alloc(NDI_LINE, HEAD + room);
    if (b == NULL) {
        return ndi_fail_nomem(nbytes, "an array");
    }
    ndi_block_begin(b, spare, (char *)b + HEAD, nbytes);
    if (zeroed) {
        memset(b->data, 0, room);
    }
    *out = b;
    return 0;
}
