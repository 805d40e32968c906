/* SPDX-License-Identifier: MIT */
/*
 * rwlock.c - many readers or one writer
 *
 * Readers count themselves in their own participant entry; a writer takes the
 * mutex and then waits until no living participant has readers. So a dead
 * reader counts as gone by itself, and reading writes no shared line.
 *
 * Each side first shows itself and then looks for the other (Dekker): a reader
 * counts itself and then reads the writer's word, a writer takes the word and
 * then reads the counts. One of them sees the other. A reader that sees a
 * writer takes its count back and waits for the word to become free, so
 * readers never hold the mutex, and a writer that waits for readers keeps new
 * ones out: it does not starve.
 *
 * A writer that died at work leaves its name in the word. Readers find it
 * there and are told, each of them; only a writer inherits it, and one that
 * gives up waiting for readers puts it back. The verdict so lives until a
 * writer has had the chance to repair.
 *
 * Counts are per process: which of its threads reads is not known, so any of
 * them can release any read lock of the process. A recursive read while a
 * writer waits for us waits for that writer, until its deadline.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

void
ndi_rwlock_init(struct ndi_rwlock *l)
{
    *l = (struct ndi_rwlock){0};
    ndi_lock_init(&l->writer, 0);
}

/* One reader fewer: 0, or NDS_ENOTOWNER without a word: there was none. */
static int
reader_left(struct ndi_rwlock *l, struct ndi_party_slot *slot)
{
    uint32_t readers = ndi_load_seq(&slot->readers);
    int tries = 0;

    do {
        if (readers == 0) {
            return NDS_ENOTOWNER;
        }
        if (++tries > NDI_CAS_TRIES) {
            return ndi_restless("this process's count of readers");
        }
        NDI_KILL_POINT("rwlock.will_leave");
    } while (!ndi_cas_seq(&slot->readers, &readers, readers - 1));
    NDI_KILL_POINT("rwlock.reader_left");
    ndi_add_seq(&l->futex, 1);
    if (ndi_load_seq(&l->sleepers) != 0) {
        ndi_futex_wake(&l->futex, INT32_MAX);
    }
    return 0;
}

/* The word was not free: 0 to look again, NDS_EOWNERDEAD, or an end. */
static int
queue_up(struct ndi_party *p, struct ndi_rwlock *l, int64_t deadline,
         bool again)
{
    if (ndi_lock_is_mine(p, &l->writer)) {
        return ndi_fail(NDS_EDEADLK, "this thread writes under the lock");
    }
    // A word that is free whenever we wait and taken whenever we count.
    if (again && ndi_deadline_over(deadline)) {
        return deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
    }
    return ndi_lock_await(p, &l->writer, deadline);
}

int
ndi_rwlock_read(struct ndi_party *p, struct ndi_rwlock *l, int64_t deadline)
{
    struct ndi_party_slot *slot;
    uint64_t self, word;
    uint64_t dead = 0; // the word of a writer that died, once we know
    int rc = ndi_party_join(p, &self);

    if (rc < 0) {
        return rc;
    }
    slot = &p->slots[ndi_owner_index(self)];
    for (bool again = false;; again = true) {
        ndi_add_seq(&slot->readers, 1);
        NDI_KILL_POINT("rwlock.reader_counted");
        word = ndi_load_seq(&l->writer.word);
        if (NDI_LIKELY(word == 0)) {
            return 0;
        }
        // Still the dead one's: an heir will look at our count after its CAS.
        if (dead != 0 && (word & NDI_OWNER_MASK) == dead) {
            return NDS_EOWNERDEAD;
        }
        rc = reader_left(l, slot);
        if (rc == 0 || rc == NDS_ENOTOWNER) { // somebody else's nonsense
            rc = queue_up(p, l, deadline, again);
        }
        if (rc == NDS_EOWNERDEAD) {
            dead = ndi_load_seq(&l->writer.word) & NDI_OWNER_MASK;
            dead = ndi_party_is_dead(p, dead) ? dead : 0;
        } else if (rc < 0) {
            return rc;
        }
    }
}

/* A living participant that still reads? */
static bool
has_readers(const struct ndi_party *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const struct ndi_party_slot *slot = &p->slots[i];

        if (ndi_load_seq(&slot->readers) != 0 &&
            ndi_load_acq(&slot->state) != NDI_PARTY_EMPTY &&
            !ndi_party_is_dead(p, ndi_owner_make(i,
                                                 ndi_load_acq(&slot->gen)))) {
            return true;
        }
    }
    return false;
}

int
ndi_rwlock_write(struct ndi_party *p, struct ndi_rwlock *l, int64_t deadline)
{
    int held = ndi_lock_acquire(p, &l->writer, deadline);
    int rc = held;

    if (held < 0 && held != NDS_EOWNERDEAD) {
        return held;
    }
    NDI_KILL_POINT("rwlock.writer_in");
    ndi_add_seq(&l->sleepers, 1);
    for (;;) {
        uint32_t seen = ndi_load_seq(&l->futex);
        int64_t left = ndi_deadline_left(deadline);

        if (!has_readers(p)) {
            break;
        }
        if (left == 0) {
            rc = deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
            break;
        }
        NDI_KILL_POINT("rwlock.writer_waits");
        ndi_futex_wait(&l->futex, seen,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
    ndi_sub_seq(&l->sleepers, 1);
    if (rc == NDS_EAGAIN || rc == NDS_ETIMEDOUT) {
        // What a dead writer left half done is for the next one to hear.
        if (held == NDS_EOWNERDEAD) {
            ndi_lock_give_back(p, &l->writer);
        } else {
            ndi_lock_unlock(p, &l->writer);
        }
    }
    return rc;
}

int
ndi_rwlock_release(struct ndi_party *p, struct ndi_rwlock *l)
{
    uint64_t self = ndi_party_self(p);
    int rc = NDS_ENOTOWNER;

    if (ndi_lock_is_mine(p, &l->writer)) {
        return ndi_lock_unlock(p, &l->writer);
    }
    if (self != 0) {
        rc = reader_left(l, &p->slots[ndi_owner_index(self)]);
    }
    if (rc == NDS_ENOTOWNER) {
        rc = ndi_fail(NDS_ENOTOWNER, "this process neither reads nor writes "
                      "under the lock");
    }
    return rc;
}
