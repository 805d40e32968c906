/* SPDX-License-Identifier: MIT */
/*
 * fuzz_arena.c - an arena's map of any bytes
 *
 * The map lies in memory of exactly its size, so that the sanitizer sees an
 * access beyond it; what is handed out must lie inside the arena.
 */
#include "fuzz.h"

#include <base/checked.h>
#include <mem/arena.h>
#include <ndshare/err.h>

#include <stdlib.h>
#include <string.h>

#define ROOM 12

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static void
patch(const struct ndi_arena *a, struct fuzz_in *in)
{
    unsigned at = fuzz_u8(in) % (NDI_ARENA_MAP_NBYTES(ROOM) / 8);
    uint64_t value = fuzz_u8(in);

    value = value < 200 ? value * 64 : fuzz_u64(in);
    memcpy((unsigned char *)a->map + at * 8, &value, sizeof value);
}

/* An offset or a size: mostly small and even, else anything. */
static uint64_t
number(struct fuzz_in *in)
{
    uint8_t n = fuzz_u8(in);

    return n < 240 ? (uint64_t)n * 64 : fuzz_u64(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct fuzz_in in = {data, nbytes};
    struct ndi_arena a = {calloc(1, NDI_ARENA_MAP_NBYTES(ROOM)), ROOM, 16384};
    uint64_t off, size, align;

    fuzz_check(a.map != NULL, "no memory for a map");
    ndi_arena_reset(&a);
    while (in.left > 0) {
        uint8_t op = fuzz_u8(&in);

        size = op % 8 < 4 ? number(&in) : 0;
        switch (op % 8) {
        case 0:
        case 1:
            align = UINT64_C(1) << (op / 8 % 14);
            if (size > 0 && ndi_arena_alloc(&a, size, align, &off) == 0) {
                fuzz_check(ndi_range_fits(off, size, a.nbytes) &&
                               off % align == 0,
                           "an extent outside the arena");
            }
            break;
        case 2:
            (void)ndi_arena_free(&a, number(&in), size);
            break;
        case 3:
            (void)ndi_arena_carve(&a, number(&in), size);
            break;
        case 4:
            ndi_arena_reset(&a);
            break;
        case 5:
            (void)ndi_arena_room(&a);
            break;
        default:
            patch(&a, &in);
            break;
        }
    }
    free(a.map);
    return 0;
}
