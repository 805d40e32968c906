/* SPDX-License-Identifier: MIT */
/*
 * party.h - participants: who is here, and are they alive
 *
 * One struct ndi_party is this process's hold on the participant table of one
 * segment. Joining takes one byte (NDI_BYTE_PRESENCE + index) exclusively on
 * an open file description of its own, which a MADV_DONTFORK mapping then
 * carries: the kernel drops it when this image can store no more. A forked
 * child is nobody until it joins anew (ndi_fork_epoch tells).
 *
 * An owner (uint64_t, see sync_layout.h) is dead when its entry has another
 * generation, or its presence byte is free.
 */
#ifndef NDI_PARTY_H
#define NDI_PARTY_H

#include <os/os.h>
#include <sync/sync_layout.h>
#include <sync/word.h>

#include <sys/types.h>

struct ndi_party {
    int fd; /* borrowed from the segment: probes and reopening go through it */
    dev_t dev; /* of fd, so a descriptor that the program closed under us is */
    ino_t ino; /* noticed instead of asked */
    struct ndi_party_slot *slots;
    uint32_t count;
    bool readonly; /* slots cannot be written: join gives NDS_EPERM */
    /* What the room above does for a dead participant before its index may be
     * used again (may be NULL). Called with the presence byte held; must be
     * idempotent. 0, or NDS_E... which leaves the entry DYING. */
    int (*bury)(void *ctx, uint32_t index, uint32_t gen);
    void *ctx;
    /* What the entry of a dead participant says is about to go, by burial or
     * because we join in its place (may be NULL). Called with the presence byte
     * held, before we are anybody: takes no lock, and must be idempotent. */
    void (*mourn)(void *mourned, const struct ndi_party_slot *slot);
    void *mourned;
    /* Ours, once joined: */
    _Atomic uint64_t epoch; /* ndi_fork_epoch() at the join; stored last */
    _Atomic uint64_t owner; /* what lock words say, 0 = not joined */
    void *presence;        /* the mapping that carries the byte */
};

/* slots must be mapped shared; fd open on the same file. Joins nothing. */
int ndi_party_init(struct ndi_party *p, int fd, struct ndi_party_slot *slots,
                   uint32_t count, bool readonly);
/* Leaves (entry EMPTY, byte free) if this image had joined. */
void ndi_party_fini(struct ndi_party *p);
/* Our owner value, joining first if need be. NDS_EPERM, NDS_ELIMIT (table
 * full, after burying the dead), NDS_ESYS. */
int ndi_party_join(struct ndi_party *p, uint64_t *owner);
/* As joined in this image, or 0: cheap, no call to the kernel. */
static inline uint64_t
ndi_party_self(const struct ndi_party *p)
{
    // Pairs with the stores in join(), the epoch last.
    return ndi_load_acq(&p->epoch) == ndi_fork_epoch()
               ? ndi_load_acq(&p->owner)
               : 0;
}
/* True only if certain. */
bool ndi_party_is_dead(const struct ndi_party *p, uint64_t owner);
/* Buries the dead, for about one slice: the rest is left to the next sweep.
 * Returns how many, or NDS_E.... */
int ndi_party_sweep(struct ndi_party *p);
/* Live participants now (probes each; 1.5 us an entry in use). */
int ndi_party_alive(const struct ndi_party *p);
/* The pid an owner wrote for people; 0 unknown. */
uint32_t ndi_party_pid(const struct ndi_party *p, uint64_t owner);

static inline uint32_t
ndi_owner_index(uint64_t owner)
{
    return (uint32_t)(owner & ((1U << NDI_OWNER_INDEX_BITS) - 1)) - 1;
}

static inline uint32_t
ndi_owner_gen(uint64_t owner)
{
    return (uint32_t)((owner & NDI_OWNER_MASK) >> NDI_OWNER_INDEX_BITS);
}

static inline uint64_t
ndi_owner_make(uint32_t index, uint32_t gen)
{
    return (uint64_t)gen << NDI_OWNER_INDEX_BITS | (index + 1);
}

#endif
