/* SPDX-License-Identifier: MIT */
/*
 * heap.c - private zeroed memory of this process
 *
 * From 2 MiB up it comes straight from the kernel: zero pages that nobody has
 * touched, aligned for and advised to 2 MiB pages, and registered so that a
 * child of fork may replace them wholesale (os/private.c). Smaller blocks come
 * from the allocator, aligned to a cache line.
 */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>

#define MAP_FROM ((size_t)2 << 20)

static void
heap_fini(nds_block *b)
{
    if (b->map != NULL) {
        ndi_private_remove(b->map);
        ndi_unmap(b->map, b->map_nbytes);
    } else {
        free(b->data);
    }
}

int
ndi_block_new_heap(nds_block **out, size_t nbytes)
{
    size_t room = nbytes == 0 ? NDI_LINE
                              : (nbytes + NDI_LINE - 1) &
                                    ~(size_t)(NDI_LINE - 1);
    nds_block *b = NULL;
    int rc;

    *out = NULL;
    if (room < nbytes) {
        return ndi_fail_nomem(nbytes, "an array");
    }
    rc = ndi_block_make(&b, NDS_HEAP, NDS_READWRITE);
    if (rc < 0) {
        return rc;
    }
    b->nbytes = nbytes;
    b->fini = heap_fini;
    if (nbytes >= MAP_FROM) {
        if (ndi_map_anon(&b->map, nbytes) == 0) {
            b->map_nbytes = nbytes;
            b->data = b->map;
            ndi_private_add(b->map, nbytes);
        }
    } else {
        b->data = aligned_alloc(NDI_LINE, room);
        if (b->data != NULL) {
            memset(b->data, 0, room);
        }
    }
    if (b->data == NULL) {
        nds_block_close(b);
        return ndi_fail_nomem(nbytes, "an array");
    }
    *out = b;
    return 0;
}
