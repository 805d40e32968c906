/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - a lock that names its holder and outlives it
 *
 * One CAS of the word takes the lock, so there is no moment in which it is
 * held by nobody known. Unlocking swaps the word to 0 and, if the waiters bit
 * was set, raises the futex word and wakes one. A waiter that has slept takes
 * the lock with the waiters bit set, for others may sleep still.
 *
 * Killed between swap and wake: nobody holds the lock, and the sleepers look
 * again within a slice. Killed while holding: a waiter finds the holder's
 * presence byte free, takes that byte (one heir only), and replaces exactly
 * the dead owner's word by its own. A generation that has moved on says dead
 * too, without the byte.
 *
 * An heir that cannot use the verdict gives it back: it puts the dead owner's
 * name into the word again, in the same one swap that unlocks. An owner value
 * is never alive twice, so the next one finds the dead there as we did.
 *
 * `thread` and `depth` are the holder's notes; they say nothing while the
 * word does not name this process.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SPIN_MOST_NS 50000
#define SPIN_LEAST_NS 1000
#define FIRST_SLICE_NS 1000000

int64_t ndi_patience_ns = NDS_SEC(10);

/* What spinning has been worth to this thread lately. */
static _Thread_local int64_t spin_budget = 10000;

int64_t
ndi_patient_deadline(int64_t deadline)
{
    int64_t left = ndi_deadline_left(deadline);
    int64_t least = ndi_patience_ns / 10;

    return ndi_deadline(left < least ? least
                        : left > ndi_patience_ns ? ndi_patience_ns : left);
}

int
ndi_restless(const char *what)
{
    return ndi_fail(NDS_ECORRUPT, "%s: others rewrite it without end", what);
}

void
ndi_lock_init(struct ndi_lock *l, uint32_t kind)
{
    *l = (struct ndi_lock){.kind = kind};
}

static int
corrupt(uint64_t word)
{
    return ndi_fail(NDS_ECORRUPT, "a lock word makes no sense: %016llx",
                    (unsigned long long)word);
}

static bool
word_is_sane(const struct ndi_party *p, uint64_t word)
{
    uint64_t owner = word & NDI_OWNER_MASK;

    return word >> 46 == 0 &&
           (owner == 0 || ndi_owner_index(owner) < p->count);
}

static void
note_holder(struct ndi_lock *l)
{
    ndi_store_rlx(&l->depth, 1);
    ndi_store_rlx(&l->thread, ndi_thread_token());
}

bool
ndi_lock_is_mine(const struct ndi_party *p, const struct ndi_lock *l)
{
    uint64_t self = ndi_party_self(p);

    return self != 0 &&
           (ndi_load_acq(&l->word) & NDI_OWNER_MASK) == self &&
           ndi_load_rlx(&l->thread) == ndi_thread_token();
}

/* Becomes the heir of a dead holder: 0 and the lock held, or NDS_EAGAIN if the
 * holder lives after all or somebody else was first. */
static int
inherit(struct ndi_party *p, struct ndi_lock *l, uint64_t word, uint64_t self)
{
    uint64_t owner = word & NDI_OWNER_MASK;
    uint32_t index = ndi_owner_index(owner);
    int fd = -1;
    int rc = NDS_EAGAIN;

    // An entry that is being buried, or taken anew, says dead by itself; the
    // CAS below lets one heir through.
    if (ndi_load_acq(&p->slots[index].gen) == ndi_owner_gen(owner) &&
        ndi_load_acq(&p->slots[index].state) == NDI_PARTY_LIVE) {
        // A description of our own, so that one heir excludes the others.
        if (ndi_os_reopen(&fd, p->fd, O_RDWR) < 0) {
            return NDS_EAGAIN;
        }
        if (ndi_lock_exclusive(fd, NDI_BYTE_PRESENCE + index) < 0) {
            ndi_os_close(fd);
            return NDS_EAGAIN;
        }
    }
    NDI_KILL_POINT("mutex.heir_byte");
    if (ndi_cas_seq(&l->word, &word,
                    self | NDI_LOCK_WAITERS | (word & NDI_LOCK_POISONED))) {
        NDI_KILL_POINT("mutex.heir_took");
        if (ndi_load_rlx(&l->dead) != owner) { // else it was given back
            ndi_store_rel(&l->dead, owner);
            ndi_add_seq(&l->deaths, 1);
        }
        note_holder(l);
        rc = 0;
    }
    ndi_os_close(fd);
    return rc;
}

/* Spins while the holder may be about to let go. True if the word is free. */
static bool
spin(const struct ndi_lock *l, int64_t deadline)
{
    static _Atomic long cpus;
    int64_t start, now;

    if (ndi_load_rlx(&cpus) == 0) {
        ndi_store_rlx(&cpus, sysconf(_SC_NPROCESSORS_ONLN));
    }
    if (ndi_load_rlx(&cpus) == 1 || deadline == 0) {
        return false;
    }
    start = ndi_now_ns();
    do {
        for (int i = 0; i < 32; i++) {
            if ((ndi_load_rlx(&l->word) & NDI_OWNER_MASK) == 0) {
                spin_budget = spin_budget * 2 < SPIN_MOST_NS
                                  ? spin_budget * 2 : SPIN_MOST_NS;
                return true;
            }
            ndi_cpu_relax();
        }
        now = ndi_now_ns();
    } while (now - start < spin_budget);
    spin_budget = spin_budget / 2 > SPIN_LEAST_NS ? spin_budget / 2
                                                  : SPIN_LEAST_NS;
    return false;
}

static int
wait_is_over(int64_t deadline)
{
    return deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
}

/* The lock was not free at once. self 0: waits, but takes nothing. */
static int
acquire_slow(struct ndi_party *p, struct ndi_lock *l, uint64_t self,
             int64_t deadline)
{
    uint64_t keep = 0; // the waiters bit, once we have slept
    int64_t slice = FIRST_SLICE_NS;
    bool spun = false;

    for (;;) {
        uint32_t seen = ndi_load_seq(&l->futex);
        uint64_t word = ndi_load_seq(&l->word);
        uint64_t owner = word & NDI_OWNER_MASK;
        int64_t left = ndi_deadline_left(deadline);

        if (!word_is_sane(p, word)) {
            return corrupt(word);
        }
        if ((word & NDI_LOCK_POISONED) != 0 && owner == 0) {
            return NDS_EPOISONED;
        }
        if (owner == 0 && self == 0) {
            if (keep != 0) { // we may have had the one wake-up: pass it on
                ndi_futex_wake(&l->futex, 1);
            }
            return 0;
        }
        if (owner == 0) {
            NDI_KILL_POINT("mutex.will_take");
            if (ndi_cas_seq(&l->word, &word, self | word | keep)) {
                note_holder(l);
                return 0;
            }
            if (left == 0) { // free whenever we look, taken whenever we try
                return wait_is_over(deadline);
            }
            continue;
        }
        if (!spun && (spun = true, spin(l, deadline))) {
            continue;
        }
        if (ndi_party_is_dead(p, owner) &&
            (self == 0 || inherit(p, l, word, self) == 0)) {
            return NDS_EOWNERDEAD;
        }
        if (left == 0) {
            return wait_is_over(deadline);
        }
        if ((word & NDI_LOCK_WAITERS) == 0 &&
            !ndi_cas_seq(&l->word, &word, word | NDI_LOCK_WAITERS)) {
            continue;
        }
        NDI_KILL_POINT("mutex.will_sleep");
        keep = NDI_LOCK_WAITERS;
        ndi_futex_wait(&l->futex, seen, left < slice ? left : slice);
        slice = slice * 4 < NDI_SLICE_NS ? slice * 4 : NDI_SLICE_NS;
    }
}

int
ndi_lock_acquire(struct ndi_party *p, struct ndi_lock *l, int64_t deadline)
{
    uint64_t self = ndi_party_self(p), word = 0;
    int rc = self != 0 ? 0 : ndi_party_join(p, &self);

    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("mutex.before_take");
    if (NDI_LIKELY(ndi_cas_seq(&l->word, &word, self))) {
        NDI_KILL_POINT("mutex.taken");
        note_holder(l);
        return 0;
    }
    if ((word & NDI_OWNER_MASK) == self &&
        ndi_load_rlx(&l->thread) == ndi_thread_token()) {
        if (l->kind == 0) {
            return ndi_fail(NDS_EDEADLK, "this thread holds the lock already");
        }
        ndi_store_rlx(&l->depth, ndi_load_rlx(&l->depth) + 1);
        return 0;
    }
    return acquire_slow(p, l, self, deadline);
}

int
ndi_lock_await(struct ndi_party *p, struct ndi_lock *l, int64_t deadline)
{
    return acquire_slow(p, l, 0, deadline);
}

/* Gives the word up for `next` (0, poisoned, a dead owner); wakes one, or all
 * if there is nothing left to wait for. */
static void
let_go(struct ndi_lock *l, uint64_t next)
{
    uint64_t old;

    ndi_store_rlx(&l->thread, 0);
    ndi_store_rlx(&l->depth, 0);
    NDI_KILL_POINT("mutex.before_free");
    old = ndi_swap_seq(&l->word, next);
    NDI_KILL_POINT("mutex.freed");
    if ((old & NDI_LOCK_WAITERS) != 0) {
        ndi_add_seq(&l->futex, 1);
        ndi_futex_wake(&l->futex,
                       (next & NDI_LOCK_POISONED) != 0 ? INT32_MAX : 1);
    }
}

static int
not_mine(void)
{
    return ndi_fail(NDS_ENOTOWNER, "the lock is not held by this thread");
}

int
ndi_lock_unlock(struct ndi_party *p, struct ndi_lock *l)
{
    uint32_t depth;

    if (!ndi_lock_is_mine(p, l)) {
        return not_mine();
    }
    depth = ndi_load_rlx(&l->depth);
    if (depth > 1) {
        ndi_store_rlx(&l->depth, depth - 1);
        return 0;
    }
    let_go(l, ndi_load_rlx(&l->word) & NDI_LOCK_POISONED);
    return 0;
}

int
ndi_lock_give_back(struct ndi_party *p, struct ndi_lock *l)
{
    uint64_t dead;

    if (!ndi_lock_is_mine(p, l)) {
        return not_mine();
    }
    dead = ndi_load_acq(&l->dead) & NDI_OWNER_MASK;
    // We wrote it, but others can, and a burier at work looks alive: then the
    // last one before us in our own entry, who certainly is not.
    if (!word_is_sane(p, dead) || !ndi_party_is_dead(p, dead)) {
        uint64_t self = ndi_party_self(p);

        dead = ndi_owner_make(ndi_owner_index(self), ndi_owner_gen(self) - 1);
    }
    let_go(l, dead | (ndi_load_rlx(&l->word) & NDI_LOCK_POISONED));
    return 0;
}

int
ndi_lock_poison(struct ndi_party *p, struct ndi_lock *l)
{
    if (!ndi_lock_is_mine(p, l)) {
        return not_mine();
    }
    let_go(l, NDI_LOCK_POISONED);
    return 0;
}

void
ndi_lock_describe(const struct ndi_party *p, const struct ndi_lock *l,
                  char *out, size_t room)
{
    uint64_t word = ndi_load_acq(&l->word);
    uint64_t owner = word & NDI_OWNER_MASK;

    if (!word_is_sane(p, word)) {
        snprintf(out, room, "corrupt");
    } else if (owner != 0) {
        snprintf(out, room, "held by pid %u%s", ndi_party_pid(p, owner),
                 ndi_party_is_dead(p, owner) ? ", which died" : "");
    } else {
        snprintf(out, room,
                 (word & NDI_LOCK_POISONED) != 0 ? "poisoned" : "free");
    }
}
