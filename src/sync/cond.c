/* SPDX-License-Identifier: MIT */
/*
 * cond.c - a condition with a mutex of its own
 *
 * Notifying raises a sequence number; a sleeper returns when it has moved. A
 * sleeper that was not meant sees the move at its next slice at the latest and
 * returns too: wake-ups may be spurious, and none is lost with a sleeper that
 * is killed between being woken and acting.
 *
 * The deadline bounds the wait for a notification. Coming back means holding
 * the lock again, in Python as in POSIX, so that last step waits for whoever
 * holds it: a dead holder is inherited within a slice, a stopped one is waited
 * for. Who gave a deadline is not kept for ever even so: after our patience
 * the answer is NDS_EBUSY, which no other way out of a wait gives, and which
 * says that the lock is not held.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

void
ndi_cond_init(struct ndi_condvar *c)
{
    *c = (struct ndi_condvar){0};
    ndi_lock_init(&c->lock, 0);
}

/* Who waits with a deadline must come back even if the lock does not: a holder
 * that lives, or a word that says so, gets our patience and no more. */
static int
reacquire(struct ndi_party *p, struct ndi_condvar *c, int64_t deadline)
{
    int rc;

    if (deadline < 0) {
        return ndi_lock_acquire(p, &c->lock, NDS_FOREVER);
    }
    rc = ndi_lock_acquire(p, &c->lock, ndi_deadline(ndi_patience_ns));
    return rc == NDS_ETIMEDOUT
               ? ndi_fail(NDS_EBUSY, "the condition's lock did not come back "
                          "after the wait: it is not held now")
               : rc;
}

int
ndi_cond_sleep(struct ndi_party *p, struct ndi_condvar *c, int64_t deadline)
{
    uint32_t seen;
    int rc, waited = 0;

    if (!ndi_lock_is_mine(p, &c->lock)) {
        return ndi_fail(NDS_ENOTOWNER, "waiting on a condition needs its "
                        "lock");
    }
    seen = ndi_load_seq(&c->seq);
    ndi_add_seq(&c->sleepers, 1);
    NDI_KILL_POINT("cond.counted");
    rc = ndi_lock_unlock(p, &c->lock);
    while (rc == 0 && ndi_load_seq(&c->seq) == seen) {
        int64_t left = ndi_deadline_left(deadline);

        if (left == 0) {
            waited = deadline == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
            break;
        }
        ndi_futex_wait(&c->seq, seen,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
    ndi_sub_seq(&c->sleepers, 1);
    NDI_KILL_POINT("cond.woken");
    if (rc == 0) {
        rc = reacquire(p, c, deadline);
    }
    if (rc == 0 && ndi_load_seq(&c->seq) != seen) {
        waited = 0; // who notified had the lock while we came back for it
    }
    return rc < 0 ? rc : waited;
}

int
ndi_cond_wake(struct ndi_condvar *c, int count)
{
    if (count <= 0) {
        return 0;
    }
    ndi_add_seq(&c->seq, 1);
    NDI_KILL_POINT("cond.raised");
    if (ndi_load_seq(&c->sleepers) != 0) {
        ndi_futex_wake(&c->seq, count);
    }
    return 0;
}
