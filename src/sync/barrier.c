/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - all arrive, then all go on
 *
 * Who has arrived is written in the participants' own entries (round and how
 * many threads); the count is their sum, so there is no counter to repair.
 *
 * How a round ends is decided by one CAS of `verdict`, which names the round:
 * opened by the last to arrive, or broken by a time-out, an abort, a reset or
 * whoever notices that a waiting member died. The first one decides for all,
 * and needs no lock for it, so a member that is stopped inside the lock keeps
 * nobody past a deadline. `round` follows the verdict; whoever finds it behind
 * moves it. A broken round stays until a reset moves it.
 *
 * A member's death shows in its entry, until that is buried or taken anew: then
 * whoever does so breaks the round first, as those who wait would have at their
 * next look. Killed after it, the entry says the same still; the next one finds
 * the round broken.
 *
 * The lock only orders arrivals, which makes indices unique. Killed in it, a
 * member has arrived and is dead, or has not arrived; both show in its entry.
 */
#include <sync/lock.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

/* How often a step of a round is tried again when the words have changed
 * meanwhile. Each such change ends a round, for which all its members had to
 * come: nobody honest gets far in this number. */
#define TURNS 1000

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

/* How the round ended: 0 or NDS_EBROKEN; NDS_EAGAIN: it goes on. */
static int
outcome(const struct ndi_gate *g, uint32_t round)
{
    bool over = ndi_load_seq(&g->round) != round;
    uint64_t verdict = ndi_load_seq(&g->verdict);

    if (verdict >> 1 == (uint64_t)round + 1) {
        return (verdict & 1) != 0 ? NDS_EBROKEN : 0;
    }
    if (!over) {
        return NDS_EAGAIN;
    }
    // We slept through the end of the next one too. Nobody can have opened
    // that without us, unless more threads than parties use the barrier.
    return ndi_load_seq(&g->reset_round) == round + 1 ? NDS_EBROKEN : 0;
}

/* Ends the round, unless somebody has: how it ended. NDS_EAGAIN: it is not
 * the current one; NDS_ECORRUPT. */
static int
decide(struct ndi_gate *g, uint32_t round, bool broken)
{
    uint64_t fresh = ((uint64_t)round + 1) << 1 | (broken ? 1 : 0);

    for (int turns = 0; turns < TURNS; turns++) {
        // In this order: while `round` is current no later one is decided, so
        // a CAS from what was read before comes too late for none.
        uint64_t verdict = ndi_load_seq(&g->verdict);

        if (verdict >> 1 == fresh >> 1) {
            return (verdict & 1) != 0 ? NDS_EBROKEN : 0;
        }
        if (ndi_load_seq(&g->round) != round) {
            return NDS_EAGAIN;
        }
        NDI_KILL_POINT("barrier.will_decide");
        if (ndi_cas_seq(&g->verdict, &verdict, fresh)) {
            NDI_KILL_POINT("barrier.decided");
            return broken ? NDS_EBROKEN : 0;
        }
    }
    return ndi_restless("a barrier's verdict");
}

/* `round` follows its verdict. */
static void
move_on(struct ndi_gate *g, uint32_t round)
{
    ndi_cas_seq(&g->round, &round, round + 1);
    NDI_KILL_POINT("barrier.moved");
    wake_all(g);
}

void
ndi_gate_mourn(void *mourned, const struct ndi_party_slot *slot)
{
    struct ndi_gate *g = mourned;
    uint32_t round = ndi_load_seq(&g->round);

    if (ndi_load_seq(&slot->arrivals) != 0 &&
        ndi_load_seq(&slot->round) == round) {
        (void)decide(g, round, true); // one that is over stays as it ended
        wake_all(g);
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

/* The lock is held for moments only, and its holder's death leaves nothing to
 * repair. Who holds it longer than our patience is stopped, or is only said to
 * hold it. A try waits a slice for others that are arriving. */
static int
enter(struct ndi_party *p, struct ndi_gate *g, int64_t deadline)
{
    int64_t left = deadline == 0 ? NDI_SLICE_NS : ndi_deadline_left(deadline);
    int rc = ndi_lock_acquire(p, &g->lock,
                              ndi_deadline(left < ndi_patience_ns
                                               ? left : ndi_patience_ns));

    if (rc == NDS_EAGAIN) { // the deadline was over before we asked
        rc = NDS_ETIMEDOUT;
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
    NDI_KILL_POINT("barrier.arrived");
}

/* Somebody may call a member away: its going breaks the round. */
struct call {
    bool (*leave)(void *ctx);
    void *ctx;
};

static int
sleep_round(struct ndi_party *p, struct ndi_gate *g, uint32_t round,
            int64_t deadline, struct call call)
{
    bool slept = false, called = false;
    int rc, turns = 0;

    ndi_add_seq(&g->sleepers, 1);
    while ((rc = outcome(g, round)) == NDS_EAGAIN) {
        int64_t left = ndi_deadline_left(deadline);
        bool dead = false;

        arrived(p, round, &dead);
        called = called || (slept && call.leave != NULL &&
                            call.leave(call.ctx));
        if (left == 0 || dead || called) {
            // The verdict itself: words that others turn cannot keep us.
            rc = decide(g, round, true);
            wake_all(g);
            if (rc == NDS_EAGAIN && ++turns > TURNS) {
                rc = ndi_restless("a barrier's round");
            }
            if (rc != NDS_EAGAIN) {
                break;
            }
            continue;
        }
        NDI_KILL_POINT("barrier.will_sleep");
        ndi_futex_wait(&g->round, round,
                       left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
        slept = true;
    }
    ndi_sub_seq(&g->sleepers, 1);
    return rc;
}

/* Arrives, holding the lock: 0 or NDS_EBROKEN if that decided the round. */
static int
arrive_locked(struct ndi_party *p, struct ndi_gate *g, uint64_t self,
              uint32_t *round, uint32_t *index)
{
    uint32_t total;
    bool dead = false;
    int rc;

    *round = ndi_load_seq(&g->round);
    rc = outcome(g, *round);
    if (rc == 0) { // its opener has not moved it, and perhaps never will
        move_on(g, *round);
        *round = ndi_load_seq(&g->round);
    } else if (rc == NDS_EBROKEN) {
        return rc;
    }
    arrive(&p->slots[ndi_owner_index(self)], *round);
    total = arrived(p, *round, &dead);
    *index = total - 1;
    if (total < g->parties || dead) {
        return NDS_EAGAIN;
    }
    rc = decide(g, *round, false);
    if (rc == 0) {
        move_on(g, *round);
    }
    return rc;
}

int
ndi_gate_wait_unless(struct ndi_party *p, struct ndi_gate *g,
                     int64_t deadline, uint32_t *index,
                     bool (*leave)(void *ctx), void *ctx)
{
    uint32_t round, place = 0;
    uint64_t self;
    int rc = ndi_party_join(p, &self);

    if (rc == 0) {
        rc = enter(p, g, deadline);
    }
    if (rc == NDS_ETIMEDOUT) {
        // Some member is stopped in the lock. The others count on us.
        rc = ndi_gate_abort(g);
        return rc < 0 ? rc : NDS_EBROKEN;
    }
    if (rc < 0) {
        return rc;
    }
    rc = arrive_locked(p, g, self, &round, &place);
    ndi_lock_unlock(p, &g->lock);
    if (rc == NDS_EAGAIN) {
        rc = sleep_round(p, g, round, deadline, (struct call){leave, ctx});
    }
    if (rc == 0 && index != NULL) {
        *index = place;
    }
    return rc;
}

void
ndi_gate_state(const struct ndi_party *p, const struct ndi_gate *g,
               uint32_t *waiting, bool *broken)
{
    uint32_t round = ndi_load_seq(&g->round);
    bool dead = false;
    int rc = outcome(g, round);

    *broken = rc == NDS_EBROKEN;
    *waiting = rc == NDS_EAGAIN ? arrived(p, round, &dead) : 0;
    *broken |= dead; // nobody has said so yet
}

int
ndi_gate_abort(struct ndi_gate *g)
{
    for (int turns = 0; turns < TURNS; turns++) {
        uint32_t round = ndi_load_seq(&g->round);
        int rc = decide(g, round, true);

        if (rc == NDS_EBROKEN) {
            wake_all(g);
            return 0;
        }
        if (rc == NDS_ECORRUPT) {
            return rc;
        }
        if (rc == 0) { // has just opened: break the next one
            move_on(g, round);
        }
    }
    return ndi_restless("a barrier's round");
}

int
ndi_gate_reset(struct ndi_gate *g)
{
    uint32_t round;
    int rc, turns = 0;

    do {
        if (++turns > TURNS) {
            return ndi_restless("a barrier's round");
        }
        round = ndi_load_seq(&g->round);
        rc = decide(g, round, true); // who waits in it is told
    } while (rc == NDS_EAGAIN);
    if (rc == NDS_ECORRUPT) {
        return rc;
    }
    if (rc == NDS_EBROKEN) {
        ndi_store_seq(&g->reset_round, round + 1);
        NDI_KILL_POINT("barrier.reset");
    }
    move_on(g, round);
    return 0;
}
