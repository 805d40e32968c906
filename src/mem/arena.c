/* SPDX-License-Identifier: MIT */
/*
 * arena.c - first fit over a sorted list of free extents
 *
 * Free extents are never adjacent, so there is at most one more of them than
 * extents in use. The list is short in practice (a queue frees in the order
 * it allocates), so shifting entries is cheaper than a tree that a killed
 * process could leave half linked.
 */
#include <mem/arena.h>

#include <base/checked.h>
#include <base/fail.h>
#include <sync/word.h>

static int
corrupt(uint32_t at)
{
    return ndi_fail(NDS_ECORRUPT, "arena map entry %u makes no sense", at);
}

static bool
read_entry(const struct ndi_arena *a, uint32_t i, uint64_t *off,
           uint64_t *nbytes)
{
    *off = ndi_load_rlx(&a->map->free[i].off);
    *nbytes = ndi_load_rlx(&a->map->free[i].nbytes);
    return *nbytes > 0 && ndi_range_fits(*off, *nbytes, a->nbytes);
}

static void
write_entry(const struct ndi_arena *a, uint32_t i, uint64_t off,
            uint64_t nbytes)
{
    ndi_store_rlx(&a->map->free[i].off, off);
    ndi_store_rlx(&a->map->free[i].nbytes, nbytes);
}

static int
read_count(const struct ndi_arena *a, uint32_t *count)
{
    *count = ndi_load_rlx(&a->map->count);
    if (*count > a->room) {
        return ndi_fail(NDS_ECORRUPT, "arena map holds %u of %u entries",
                        *count, a->room);
    }
    return 0;
}

static void
remove_entry(const struct ndi_arena *a, uint32_t i, uint32_t count)
{
    for (; i + 1 < count; i++) {
        write_entry(a, i, ndi_load_rlx(&a->map->free[i + 1].off),
                    ndi_load_rlx(&a->map->free[i + 1].nbytes));
    }
    ndi_store_rlx(&a->map->count, count - 1);
}

static int
insert_entry(const struct ndi_arena *a, uint32_t i, uint32_t count,
             uint64_t off, uint64_t nbytes)
{
    if (count >= a->room) {
        return ndi_fail(NDS_ECORRUPT, "arena map is full at %u entries",
                        count);
    }
    for (uint32_t k = count; k > i; k--) {
        write_entry(a, k, ndi_load_rlx(&a->map->free[k - 1].off),
                    ndi_load_rlx(&a->map->free[k - 1].nbytes));
    }
    write_entry(a, i, off, nbytes);
    ndi_store_rlx(&a->map->count, count + 1);
    return 0;
}

/* Cuts [off, off + nbytes) out of entry i, which is [e, e + len). */
static int
cut(const struct ndi_arena *a, uint32_t i, uint32_t count, uint64_t e,
    uint64_t len, uint64_t off, uint64_t nbytes)
{
    uint64_t before = off - e;
    uint64_t after = len - before - nbytes;

    if (before == 0 && after == 0) {
        remove_entry(a, i, count);
        return 0;
    }
    if (before == 0) {
        write_entry(a, i, off + nbytes, after);
        return 0;
    }
    if (after > 0) {
        int rc = insert_entry(a, i + 1, count, off + nbytes, after);

        if (rc < 0) {
            return rc;
        }
    }
    write_entry(a, i, e, before);
    return 0;
}

/* The first entry that begins after `off`, by halves. */
static uint32_t
first_after(const struct ndi_arena *a, uint32_t count, uint64_t off)
{
    uint32_t low = 0;
    uint32_t high = count;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (ndi_load_rlx(&a->map->free[mid].off) <= off) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

void
ndi_arena_reset(const struct ndi_arena *a)
{
    if (a->nbytes == 0) {
        ndi_store_rlx(&a->map->count, 0);
        return;
    }
    write_entry(a, 0, 0, a->nbytes);
    ndi_store_rlx(&a->map->count, 1);
}

int
ndi_arena_alloc_within(const struct ndi_arena *a, uint64_t from, uint64_t to,
                       uint64_t nbytes, uint64_t align, uint64_t *off)
{
    uint32_t count;
    int rc = read_count(a, &count);

    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        uint64_t e, len, at;

        if (!read_entry(a, i, &e, &len)) {
            return corrupt(i);
        }
        if (ndi_round_up_u64(e > from ? e : from, align, &at) &&
            at - e <= len && nbytes <= len - (at - e)) {
            if (at + nbytes > to) {
                break;
            }
            *off = at;
            return cut(a, i, count, e, len, at, nbytes);
        }
    }
    return rc < 0 ? rc : NDS_EAGAIN;
}

int
ndi_arena_alloc(const struct ndi_arena *a, uint64_t nbytes, uint64_t align,
                uint64_t *off)
{
    return ndi_arena_alloc_within(a, 0, UINT64_MAX, nbytes, align, off);
}

int
ndi_arena_carve(const struct ndi_arena *a, uint64_t off, uint64_t nbytes)
{
    uint32_t count, i;
    uint64_t e, len;
    int rc = read_count(a, &count);

    if (rc < 0) {
        return rc;
    }
    i = first_after(a, count, off);
    if (nbytes == 0 || !ndi_range_fits(off, nbytes, a->nbytes) || i == 0 ||
        !read_entry(a, i - 1, &e, &len) || off < e ||
        !ndi_range_fits(off - e, nbytes, len)) {
        return ndi_fail(NDS_ECORRUPT, "arena extent at %llu of %llu bytes is "
                        "outside the arena or in use twice",
                        (unsigned long long)off, (unsigned long long)nbytes);
    }
    return cut(a, i - 1, count, e, len, off, nbytes);
}

int
ndi_arena_free(const struct ndi_arena *a, uint64_t off, uint64_t nbytes)
{
    uint64_t e = 0, len = 0, e2 = 0, len2 = 0;
    uint32_t count, i;
    bool left, right;
    int rc = read_count(a, &count);

    if (rc < 0) {
        return rc;
    }
    i = first_after(a, count, off);
    if (nbytes == 0 || !ndi_range_fits(off, nbytes, a->nbytes) ||
        (i > 0 && (!read_entry(a, i - 1, &e, &len) || e > off ||
                   len > off - e)) ||
        (i < count && (!read_entry(a, i, &e2, &len2) || e2 < off ||
                       e2 - off < nbytes))) {
        return ndi_fail(NDS_ECORRUPT, "arena extent at %llu of %llu bytes is "
                        "outside the arena or free already",
                        (unsigned long long)off, (unsigned long long)nbytes);
    }
    left = i > 0 && e + len == off;
    right = i < count && off + nbytes == e2;
    if (left) {
        write_entry(a, i - 1, e, len + nbytes + (right ? len2 : 0));
        if (right) {
            remove_entry(a, i, count);
        }
        return 0;
    }
    if (right) {
        write_entry(a, i, off, nbytes + len2);
        return 0;
    }
    return insert_entry(a, i, count, off, nbytes);
}

int
ndi_arena_free_below(const struct ndi_arena *a, uint64_t top, uint64_t *off,
                     uint64_t *end)
{
    uint32_t count, i;
    uint64_t nbytes;
    int rc = read_count(a, &count);

    *off = *end = 0;
    if (rc < 0) {
        return rc;
    }
    i = top == 0 ? 0 : first_after(a, count, top - 1);
    if (i == 0) {
        return NDS_EAGAIN;
    }
    if (!read_entry(a, i - 1, off, &nbytes) || *off >= top) {
        return corrupt(i - 1);
    }
    *end = *off + nbytes;
    return 0;
}

uint64_t
ndi_arena_room(const struct ndi_arena *a)
{
    uint64_t sum = 0, e, len;
    uint32_t count = ndi_load_rlx(&a->map->count);

    for (uint32_t i = 0; i < count && count <= a->room; i++) {
        if (!read_entry(a, i, &e, &len)) {
            return 0;
        }
        sum += len;
    }
    return sum;
}
