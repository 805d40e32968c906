/* SPDX-License-Identifier: MIT */
/*
 * rwlock.c - many readers or one writer
 *
 * Readers count themselves in their own participant entry; a writer takes the
 * mutex and then waits until no living participant has readers. So a dead
 * reader counts as gone by itself, and reading writes no shared line.
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

static void
reader_left(struct ndi_rwlock *l, struct ndi_party_slot *slot)
{
    ndi_sub_seq(&slot->readers, 1);
    NDI_KILL_POINT("rwlock.reader_left");
    ndi_add_seq(&l->futex, 1);
    if (ndi_load_seq(&l->sleepers) != 0) {
        ndi_futex_wake(&l->futex, INT32_MAX);
    }
}

int
ndi_rwlock_read(struct ndi_party *p, struct ndi_rwlock *l, int64_t deadline)
{
    struct ndi_party_slot *slot;
    uint64_t self;
    int held;
    int rc = ndi_party_join(p, &self);

    if (rc < 0) {
        return rc;
    }
    slot = &p->slots[ndi_owner_index(self)];
    ndi_add_seq(&slot->readers, 1);
    NDI_KILL_POINT("rwlock.reader_counted");
    // Pairs with the swap to the writer's word before it counts readers.
    if (ndi_load_seq(&l->writer.word) == 0) {
        return 0;
    }
    reader_left(l, slot);
    // A writer is here or died here: queue up behind it.
    held = ndi_lock_acquire(p, &l->writer, deadline);
    if (held < 0 && held != NDS_EOWNERDEAD) {
        return held;
    }
    ndi_add_seq(&slot->readers, 1);
    rc = ndi_lock_unlock(p, &l->writer);
    return rc < 0 ? rc : held;
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
            ndi_sub_seq(&l->sleepers, 1);
            ndi_lock_unlock(p, &l->writer);
            return deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
        }
        ndi_futex_wait(&l->futex, seen,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
    ndi_sub_seq(&l->sleepers, 1);
    return held;
}

int
ndi_rwlock_release(struct ndi_party *p, struct ndi_rwlock *l)
{
    uint64_t self = ndi_party_self(p);
    struct ndi_party_slot *slot;

    if (ndi_lock_is_mine(p, &l->writer)) {
        return ndi_lock_unlock(p, &l->writer);
    }
    if (self != 0) {
        slot = &p->slots[ndi_owner_index(self)];
        if (ndi_load_seq(&slot->readers) != 0) {
            reader_left(l, slot);
            return 0;
        }
    }
    return ndi_fail(NDS_ENOTOWNER, "this process neither reads nor writes "
                    "under the lock");
}
