/* SPDX-License-Identifier: MIT */
/*
 * sem_owned.c - permits that come back when their holder dies
 *
 * What a participant holds stands in its own entry (`permits`) and nowhere
 * else; `bound` is how many there are. Free is what living participants do not
 * hold:
 *
 *     free = bound - sum of permits over living participants
 *
 * So the permits of the dead are not given back by anybody: they stop counting
 * when the kernel drops the presence byte. Nothing can be returned twice, by
 * burial, by a prober and by an heir, since nothing is returned. Burial and a
 * joiner that reuses the entry set `permits` to 0 while they hold that byte;
 * for the moment in which the byte is held and the number is still there, free
 * is too low, never too high.
 *
 * `count` is a cache, kept at or below free at every instant:
 *
 *     take   under the guard: count - 1, then permits + 1
 *     give   permits - n, count untouched, no lock
 *     recount under the guard: when count is 0, count = free
 *
 * Killed between the two stores of a take: count is too low by one, until the
 * next recount finds that one, for the dead hold nothing. Killed in a recount:
 * count is 0 still. Killed in a give before its store: the permits are held,
 * and die with their holder; after it: they are free, and sleepers that were
 * not woken look within a slice. A recount reads entries one after the other;
 * meanwhile only the holder of the guard raises one, so each is at most what
 * was read. Hence the guard's own NDS_EOWNERDEAD asks for no repair.
 *
 * A give needs no lock, so a process that is stopped in the guard delays those
 * who take, to their deadlines, and nobody else.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

void
ndi_sem_init_owned(struct ndi_semaphore *s, uint32_t permits)
{
    *s = (struct ndi_semaphore){.bound = permits, .owned = 1};
    ndi_store_rel(&s->count, permits);
}

uint32_t
ndi_sem_free(const struct ndi_party *p, const struct ndi_semaphore *s)
{
    uint32_t bound = s->bound; // once: others may write there
    uint64_t held = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        const struct ndi_party_slot *slot = &p->slots[i];
        uint32_t permits = ndi_load_seq(&slot->permits);

        if (permits != 0 && ndi_load_acq(&slot->state) != NDI_PARTY_EMPTY &&
            !ndi_party_is_dead(p, ndi_owner_make(i,
                                                 ndi_load_acq(&slot->gen)))) {
            held += permits;
        }
    }
    return held < bound ? bound - (uint32_t)held : 0;
}

/* Holding the guard: true if a permit was free. */
static bool
take_locked(struct ndi_party *p, struct ndi_semaphore *s,
            struct ndi_party_slot *slot)
{
    uint32_t count = ndi_load_seq(&s->count);

    if (count == 0 || count > s->bound) {
        count = ndi_sem_free(p, s);
        NDI_KILL_POINT("sem.recounted");
        if (count == 0) {
            return false;
        }
    }
    ndi_store_seq(&s->count, count - 1);
    NDI_KILL_POINT("sem.uncounted");
    ndi_add_seq(&slot->permits, 1);
    NDI_KILL_POINT("sem.charged");
    return true;
}

/* The guard is held for moments only. Who holds it longer than our patience is
 * stopped, or is only said to hold it: NDS_EBUSY. A try waits a slice. */
static int
enter(struct ndi_party *p, struct ndi_lock *guard, int64_t deadline)
{
    int64_t left = deadline == 0 ? NDI_SLICE_NS : ndi_deadline_left(deadline);
    int rc = ndi_lock_acquire(p, guard,
                              ndi_deadline(left < ndi_patience_ns
                                               ? left : ndi_patience_ns));

    if (rc == NDS_EAGAIN) { // the deadline was over before we asked
        rc = NDS_ETIMEDOUT;
    }
    if (rc == NDS_ETIMEDOUT && !ndi_deadline_over(deadline)) {
        rc = ndi_fail(NDS_EBUSY, "the semaphore's guard was held too long by "
                      "a process that does not run");
    }
    return rc == NDS_EOWNERDEAD ? 0 : rc;
}

/* 0, or NDS_EAGAIN: none is free. */
static int
try_take(struct ndi_party *p, struct ndi_lock *guard, struct ndi_semaphore *s,
         uint64_t self, int64_t deadline)
{
    bool taken;
    int rc = enter(p, guard, deadline);

    if (rc < 0) {
        return rc;
    }
    taken = take_locked(p, s, &p->slots[ndi_owner_index(self)]);
    ndi_lock_unlock(p, guard);
    return taken ? 0 : NDS_EAGAIN;
}

int
ndi_sem_take_owned(struct ndi_party *p, struct ndi_lock *guard,
                   struct ndi_semaphore *s, int64_t deadline)
{
    uint64_t self;
    int rc = ndi_party_join(p, &self);

    if (rc == 0) {
        rc = try_take(p, guard, s, self, deadline);
    }
    if (deadline == 0) {
        return rc == NDS_ETIMEDOUT ? NDS_EAGAIN : rc;
    }
    if (rc != NDS_EAGAIN) {
        return rc;
    }
    ndi_add_seq(&s->sleepers, 1);
    NDI_KILL_POINT("sem.sleeps");
    for (;;) {
        uint32_t seen = ndi_load_seq(&s->given);
        int64_t left;

        rc = try_take(p, guard, s, self, deadline);
        left = ndi_deadline_left(deadline);
        if (rc != NDS_EAGAIN) {
            break;
        }
        if (left == 0) {
            rc = NDS_ETIMEDOUT;
            break;
        }
        ndi_futex_wait(&s->given, seen,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
    ndi_sub_seq(&s->sleepers, 1);
    return rc;
}

int
ndi_sem_give_owned(struct ndi_party *p, struct ndi_semaphore *s, uint32_t more)
{
    uint64_t self = ndi_party_self(p);
    _Atomic uint32_t *mine;
    uint32_t held = 0;

    if (self != 0) {
        mine = &p->slots[ndi_owner_index(self)].permits;
        held = ndi_load_seq(mine);
        for (int tries = 0; more <= held; tries++) {
            if (tries == NDI_CAS_TRIES) {
                return ndi_restless("this process's permits");
            }
            NDI_KILL_POINT("sem.will_uncharge");
            if (ndi_cas_seq(mine, &held, held - more)) {
                NDI_KILL_POINT("sem.uncharged");
                ndi_add_seq(&s->given, 1);
                if (ndi_load_seq(&s->sleepers) != 0) {
                    ndi_futex_wake(&s->given,
                                   more > INT32_MAX ? INT32_MAX : (int)more);
                }
                return 0;
            }
        }
    }
    return ndi_fail(NDS_ENOTOWNER, "semaphore released too many times: this "
                    "process holds %u permits, not %u", held, more);
}
