/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - all arrive, then all go on
 *
 * Who has arrived is written in the participants' own entries (round and how
 * many threads); the count is their sum, so there is no counter to repair. The
 * last to arrive raises the round. A member that dies while it waits, a
 * time-out or an abort breaks the barrier for all until a reset.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

void
ndi_gate_init(struct ndi_gate *g, uint32_t parties)
{
    *g = (struct ndi_gate){.parties = parties};
    ndi_lock_init(&g->lock, 0);
}

static void
wake_all(struct ndi_gate *g)
{
    if (ndi_load_seq(&g->sleepers) != 0) {
        ndi_futex_wake(&g->round, INT32_MAX);
    }
}

/* Threads that have arrived in this round; *dead: one of them is gone. */
static uint32_t
arrived(const struct ndi_party *p, uint32_t round, bool *dead)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        const struct ndi_party_slot *slot = &p->slots[i];
        uint32_t here = ndi_load_seq(&slot->arrivals);

        if (here == 0 || ndi_load_seq(&slot->round) != round ||
            ndi_load_acq(&slot->state) == NDI_PARTY_EMPTY) {
            continue;
        }
        total += here;
        *dead |= ndi_party_is_dead(
            p, ndi_owner_make(i, ndi_load_acq(&slot->gen)));
    }
    return total;
}

/* The lock, which is held for moments only; the holder's death leaves nothing
 * to repair. */
static int
enter(struct ndi_party *p, struct ndi_gate *g, int64_t deadline)
{
    int rc = ndi_lock_acquire(p, &g->lock, ndi_patient_deadline(deadline));

    if (rc == NDS_ETIMEDOUT) {
        return ndi_fail(NDS_EBUSY, "the barrier's lock is held by a process "
                        "that does not run");
    }
    return rc == NDS_EOWNERDEAD ? 0 : rc;
}

static void
arrive(struct ndi_party_slot *slot, uint32_t round)
{
    if (ndi_load_seq(&slot->round) != round) {
        ndi_store_seq(&slot->arrivals, 0);
        NDI_KILL_POINT("barrier.arrivals_cleared");
        ndi_store_seq(&slot->round, round);
    }
    ndi_add_seq(&slot->arrivals, 1);
}

/* Broken for everybody, if the round is still the one we wait in. */
static int
break_round(struct ndi_party *p, struct ndi_gate *g, uint32_t round,
            int64_t deadline)
{
    int rc = enter(p, g, deadline);

    if (rc < 0) {
        return rc;
    }
    if (ndi_load_seq(&g->round) == round) {
        ndi_store_seq(&g->broken, 1);
        rc = NDS_EBROKEN;
    }
    ndi_lock_unlock(p, &g->lock);
    wake_all(g);
    return rc;
}

static int
sleep_round(struct ndi_party *p, struct ndi_gate *g, uint32_t round,
            int64_t deadline)
{
    int rc = 0;

    ndi_add_seq(&g->sleepers, 1);
    while (rc == 0 && ndi_load_seq(&g->round) == round) {
        int64_t left = ndi_deadline_left(deadline);
        bool dead = false;

        if (ndi_load_seq(&g->broken) != 0) {
            rc = NDS_EBROKEN;
            break;
        }
        arrived(p, round, &dead);
        if (left == 0 || dead) {
            rc = break_round(p, g, round, deadline);
            break;
        }
        ndi_futex_wait(&g->round, round,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
    }
    ndi_sub_seq(&g->sleepers, 1);
    if (rc == 0 && ndi_load_seq(&g->reset_round) == round + 1) {
        rc = NDS_EBROKEN;
    }
    return rc;
}

int
ndi_gate_wait(struct ndi_party *p, struct ndi_gate *g, int64_t deadline,
              uint32_t *index)
{
    struct ndi_party_slot *slot;
    uint32_t round, total;
    uint64_t self;
    bool dead = false;
    int rc = ndi_party_join(p, &self);

    if (rc == 0) {
        rc = enter(p, g, deadline);
    }
    if (rc < 0) {
        return rc;
    }
    if (ndi_load_seq(&g->broken) != 0) {
        ndi_lock_unlock(p, &g->lock);
        return NDS_EBROKEN;
    }
    slot = &p->slots[ndi_owner_index(self)];
    round = ndi_load_seq(&g->round);
    arrive(slot, round);
    NDI_KILL_POINT("barrier.arrived");
    total = arrived(p, round, &dead);
    if (index != NULL) {
        *index = total - 1;
    }
    if (total >= g->parties && !dead) {
        ndi_store_seq(&g->round, round + 1);
        NDI_KILL_POINT("barrier.opened");
        rc = ndi_lock_unlock(p, &g->lock);
        wake_all(g);
        return rc;
    }
    ndi_lock_unlock(p, &g->lock);
    return sleep_round(p, g, round, deadline);
}

int
ndi_gate_abort(struct ndi_party *p, struct ndi_gate *g)
{
    int rc = enter(p, g, NDS_FOREVER);

    if (rc == 0) {
        ndi_store_seq(&g->broken, 1);
        rc = ndi_lock_unlock(p, &g->lock);
        wake_all(g);
    }
    return rc;
}

int
ndi_gate_reset(struct ndi_party *p, struct ndi_gate *g)
{
    uint32_t round;
    bool dead = false;
    int rc = enter(p, g, NDS_FOREVER);

    if (rc < 0) {
        return rc;
    }
    round = ndi_load_seq(&g->round);
    // Who waits now is told; a reset of an empty barrier breaks nobody.
    if (arrived(p, round, &dead) > 0) {
        ndi_store_seq(&g->reset_round, round + 1);
    }
    ndi_store_seq(&g->round, round + 1);
    NDI_KILL_POINT("barrier.reset_round");
    ndi_store_seq(&g->broken, 0);
    rc = ndi_lock_unlock(p, &g->lock);
    wake_all(g);
    return rc;
}
