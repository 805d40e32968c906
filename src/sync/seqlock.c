/* SPDX-License-Identifier: MIT */
/*
 * seqlock.c - snapshots that never block the one writer
 *
 * `owner` is the writer's lock: taken from nobody, or from a dead one, by one
 * CAS. The word is odd while data change. It turns odd after the owner is
 * named and even before the name goes, so an odd word always has a name that
 * a reader can ask about.
 *
 * Killed before odd: the name is a dead one's and the data are whole; the next
 * writer takes over and hears nothing. Killed while odd: readers and the next
 * writer get NDS_EOWNERDEAD; the word stays odd until that writer, having
 * written everything anew, makes it even. Killed after even: as before odd.
 *
 * Readers write nothing at all, so they may be attached read-only.
 * Source of the reader's fences: H.-J. Boehm, "Can seqlocks get along with
 * programming language memory models?", MSPC 2012.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#define SPINS 1000
#define READER_SLICE_NS 1000000 /* a reader cannot count itself as a sleeper */

void
ndi_seqlock_init(struct ndi_seqlock *l)
{
    *l = (struct ndi_seqlock){0};
}

/* Becomes the writer, waiting for one that is at work. */
static int
take_over(struct ndi_party *p, struct ndi_seqlock *l, uint64_t self,
          int64_t deadline)
{
    int rc;

    ndi_add_seq(&l->sleepers, 1);
    for (;;) {
        uint32_t seen = ndi_load_seq(&l->futex);
        uint64_t owner = ndi_load_seq(&l->owner);
        int64_t left = ndi_deadline_left(deadline);
        bool lost = false;

        if (owner == 0 || owner >> 44 != 0 ||
            ndi_owner_index(owner) >= p->count ||
            ndi_party_is_dead(p, owner)) {
            NDI_KILL_POINT("seqlock.will_take");
            if (ndi_cas_seq(&l->owner, &owner, self)) {
                rc = 0;
                break;
            }
            lost = true; // looks again at once, and no longer than it may
        }
        if (left == 0) {
            rc = deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
            break;
        }
        if (!lost) {
            NDI_KILL_POINT("seqlock.will_sleep");
            ndi_futex_wait(&l->futex, seen,
                           left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
        }
    }
    ndi_sub_seq(&l->sleepers, 1);
    return rc;
}

int
ndi_seqlock_write_begin(struct ndi_party *p, struct ndi_seqlock *l,
                        int64_t deadline)
{
    uint64_t nobody = 0;
    uint64_t self, word;
    int rc = ndi_party_join(p, &self);

    if (rc == 0 && !ndi_cas_seq(&l->owner, &nobody, self)) {
        rc = take_over(p, l, self, deadline);
    }
    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("seqlock.named");
    word = ndi_load_seq(&l->word);
    ndi_store_seq(&l->word, word | 1);
    NDI_KILL_POINT("seqlock.odd");
    atomic_thread_fence(memory_order_release); // odd before any of the data
    return word % 2 == 0 ? 0 : NDS_EOWNERDEAD;
}

int
ndi_seqlock_write_end(struct ndi_party *p, struct ndi_seqlock *l)
{
    uint64_t self = ndi_party_self(p);

    if (self == 0 || ndi_load_acq(&l->owner) != self) {
        return ndi_fail(NDS_ENOTOWNER, "this process does not write under the "
                        "sequence lock");
    }
    NDI_KILL_POINT("seqlock.before_even");
    ndi_store_rel(&l->word, (ndi_load_rlx(&l->word) | 1) + 1);
    NDI_KILL_POINT("seqlock.even");
    ndi_store_seq(&l->owner, 0);
    NDI_KILL_POINT("seqlock.nobody");
    ndi_add_seq(&l->futex, 1);
    if (ndi_load_seq(&l->sleepers) != 0) {
        ndi_futex_wake(&l->futex, INT32_MAX);
    }
    return 0;
}

int
ndi_seqlock_read_begin(const struct ndi_party *p, const struct ndi_seqlock *l,
                       uint64_t *seen, int64_t deadline)
{
    int spins = 0;

    for (;;) {
        uint32_t futex = ndi_load_acq(&l->futex);
        uint64_t owner, word = ndi_load_acq(&l->word);
        int64_t left;

        if (word % 2 == 0) {
            *seen = word;
            return 0;
        }
        if (++spins < SPINS) {
            ndi_cpu_relax();
            continue;
        }
        owner = ndi_load_seq(&l->owner) & NDI_OWNER_MASK;
        // The same odd word before and after: that name was at work under it.
        if (ndi_party_is_dead(p, owner) && ndi_load_seq(&l->word) == word &&
            ndi_load_seq(&l->owner) == owner) {
            return NDS_EOWNERDEAD;
        }
        left = ndi_deadline_left(deadline);
        if (left == 0) {
            return deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
        }
        ndi_futex_wait(&l->futex, futex,
                       left < READER_SLICE_NS ? left : READER_SLICE_NS);
    }
}

bool
ndi_seqlock_read_retry(const struct ndi_seqlock *l, uint64_t seen)
{
    atomic_thread_fence(memory_order_acquire);
    return ndi_load_rlx(&l->word) != seen;
}
