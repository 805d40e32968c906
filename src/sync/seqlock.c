/* SPDX-License-Identifier: MIT */
/*
 * seqlock.c - snapshots that never block the one writer
 *
 * The word is odd while the writer works; the writer's name is stored before,
 * so a reader that finds an odd word can ask whether its writer lives.
 * Source of the reader's fences: H.-J. Boehm, "Can seqlocks get along with
 * programming language memory models?", MSPC 2012.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

void
ndi_seqlock_init(struct ndi_seqlock *l)
{
    *l = (struct ndi_seqlock){0};
}

int
ndi_seqlock_write_begin(struct ndi_party *p, struct ndi_seqlock *l)
{
    uint64_t self;
    uint64_t word;
    int rc = ndi_party_join(p, &self);

    if (rc < 0) {
        return rc;
    }
    word = ndi_load_acq(&l->word);
    if (word % 2 != 0 &&
        !ndi_party_is_dead(p, ndi_load_acq(&l->owner) & NDI_OWNER_MASK)) {
        return ndi_fail(NDS_EBUSY, "another writer (pid %u) is at work",
                        ndi_party_pid(p, ndi_load_acq(&l->owner)));
    }
    ndi_store_seq(&l->owner, self);
    NDI_KILL_POINT("seqlock.named");
    ndi_store_seq(&l->word, word | 1);
    NDI_KILL_POINT("seqlock.odd");
    atomic_thread_fence(memory_order_release);
    return 0;
}

void
ndi_seqlock_write_end(struct ndi_seqlock *l)
{
    NDI_KILL_POINT("seqlock.before_even");
    ndi_store_rel(&l->word, ndi_load_rlx(&l->word) + 1);
    ndi_fence_seq();
    if (ndi_load_rlx(&l->sleepers) != 0) {
        ndi_add_seq(&l->futex, 1);
        ndi_futex_wake(&l->futex, INT32_MAX);
    }
}

int
ndi_seqlock_read_begin(const struct ndi_party *p, const struct ndi_seqlock *l,
                       uint64_t *seen, int64_t deadline)
{
    int spins = 0;

    for (;;) {
        *seen = ndi_load_acq(&l->word);
        if (*seen % 2 == 0) {
            return 0;
        }
        if (++spins < 1000) {
            ndi_cpu_relax();
            continue;
        }
        if (ndi_party_is_dead(p, ndi_load_acq(&l->owner) & NDI_OWNER_MASK)) {
            return NDS_EOWNERDEAD;
        }
        if (ndi_deadline_over(deadline)) {
            return deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
        }
        // Readers may be unable to count themselves: look again soon.
        ndi_futex_wait(&l->futex, ndi_load_acq(&l->futex), 1000000);
    }
}

bool
ndi_seqlock_read_retry(const struct ndi_seqlock *l, uint64_t seen)
{
    atomic_thread_fence(memory_order_acquire);
    return ndi_load_rlx(&l->word) != seen;
}
