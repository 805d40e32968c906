/* SPDX-License-Identifier: MIT */
/*
 * repair.c - caches from words, and what the dead leave
 *
 * rebuild is a function of the words alone, so that a process killed in it is
 * followed by one that does the same again. Every item that is to be
 * delivered goes into the sorted list; the lanes begin anew where their tails
 * stood before the words were read, and live producers go on pushing. What
 * lands in both is delivered once: the word decides.
 *
 * Burial first changes the words of the dead, each by one store that is valid
 * by itself, then rebuilds.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t age; /* of its seq, see ndi_seq_age() */
    uint32_t slot;
};

static int
by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->age == y->age ? 0 : x->age < y->age ? -1 : 1;
}

static uint32_t
slots_used(const struct ndi_chan *c)
{
    uint32_t top = ndi_load_acq(&c->h->top);

    return top < c->nslots ? top : c->nslots;
}

static void
link_all(struct ndi_chan *c, struct entry *e, uint32_t n)
{
    struct ndi_chan_header *h = c->h;

    qsort(e, n, sizeof *e, by_age);
    for (uint32_t i = 0; i < n; i++) {
        struct ndi_slot *s = ndi_slot_at(c, e[i].slot);

        ndi_store_rlx(&s->prev, i > 0 ? e[i - 1].slot : NDI_NO_SLOT);
        ndi_store_rlx(&s->next, i + 1 < n ? e[i + 1].slot : NDI_NO_SLOT);
        ndi_store_rlx(&s->listed, 1);
    }
    ndi_store_rlx(&h->list_head, n > 0 ? e[0].slot : NDI_NO_SLOT);
    ndi_store_rlx(&h->list_tail, n > 0 ? e[n - 1].slot : NDI_NO_SLOT);
    ndi_store_rel(&h->list_count, n);
}

/* Live producers add to next_seq meanwhile: raise it, never set it. */
static void
raise_seq(struct ndi_chan *c, uint64_t newest)
{
    uint64_t now = ndi_load_seq(&c->h->next_seq);

    // Who keeps lowering it spoils the order of his queue, not our time.
    for (int tries = 0; tries < NDI_CAS_TRIES && newest != 0 &&
                        !ndi_seq_before(newest, now & NDI_SEQ_MASK); tries++) {
        uint64_t want = (now & ~NDI_SEQ_MASK) | ((newest + 1) & NDI_SEQ_MASK);

        NDI_KILL_POINT("repair.will_raise");
        if (ndi_cas_seq(&c->h->next_seq, &now, want)) {
            return;
        }
    }
}

struct sums {
    uint64_t next; /* next_seq, as read at the start */
    uint64_t used;
    uint64_t adopted;
    uint64_t newest;
    uint32_t unclaimed;
    uint32_t nfree;
    uint32_t nready;
};

/* One slot that is not FREE. */
static int
count_slot(struct ndi_chan *c, uint32_t i, uint64_t word, struct sums *sum,
           struct entry *ready)
{
    struct ndi_slot *s = ndi_slot_at(c, i);
    uint32_t state = ndi_word_state(word);
    uint64_t seq = ndi_word_seq(word), cost;
    int rc = 0;

    if (state > NDI_PICKED || !ndi_slot_cost(c, i, &cost)) {
        return ndi_fail(NDS_ECORRUPT, "channel: slot %u of %u holds nonsense "
                        "(word %016llx)", i, c->nslots,
                        (unsigned long long)word);
    }
    if (s->extent > 0) {
        rc = ndi_arena_carve(&c->arena, s->off, s->extent);
    }
    sum->used += cost;
    if (state == NDI_READY || state == NDI_BACK) {
        ready[sum->nready++] = (struct entry){ndi_seq_age(seq, sum->next), i};
        sum->unclaimed++;
    } else if (state == NDI_LOANED && seq == 0) {
        sum->unclaimed++;
    } else if (state == NDI_LOANED) {
        sum->adopted += cost;
    }
    if (seq != 0 && (sum->newest == 0 || ndi_seq_before(sum->newest, seq))) {
        sum->newest = seq;
    }
    return rc;
}

int
ndi_chan_rebuild(struct ndi_chan *c)
{
    struct ndi_chan_header *h = c->h;
    uint32_t top = slots_used(c);
    struct entry *ready = malloc((top + 1) * sizeof *ready);
    struct sums sum = {.next = ndi_load_seq(&h->next_seq)};
    uint32_t lanes = 0;
    int rc = 0;

    if (ready == NULL) {
        return ndi_fail_nomem(top * sizeof *ready, "repairing a channel");
    }
    ndi_store_seq(&h->dirty, 1);
    for (uint32_t i = 0; i < c->nlanes; i++) {
        ndi_store_rel(&c->lanes[i].head, ndi_load_acq(&c->lanes[i].tail));
        lanes = ndi_load_rlx(&c->lanes[i].owner) != 0 ? i + 1 : lanes;
    }
    ndi_store_rel(&h->lanes_used, lanes); // one gets an owner under the lock
    ndi_swap_seq(&h->given, 0); // before the words are read
    NDI_KILL_POINT("repair.lanes");
    ndi_arena_reset(&c->arena);
    for (uint32_t i = 0; i < top && rc == 0; i++) {
        uint64_t word;

        (void)ndi_word_settle(c, i, &word); // or it is READY, and picked later
        ndi_store_rlx(&ndi_slot_at(c, i)->listed, 0);
        if (ndi_word_state(word) == NDI_FREE) {
            ndi_store_rlx(&c->free[sum.nfree++], i);
        } else {
            rc = count_slot(c, i, word, &sum, ready);
        }
    }
    NDI_KILL_POINT("repair.scanned");
    if (rc == 0) {
        link_all(c, ready, sum.nready);
        NDI_KILL_POINT("repair.linked");
        ndi_store_rlx(&h->free_count, sum.nfree);
        ndi_store_rlx(&h->unclaimed, sum.unclaimed);
        ndi_store_rlx(&h->bytes_used, sum.used);
        ndi_store_rlx(&h->bytes_adopted, sum.adopted);
        raise_seq(c, sum.newest);
        ndi_store_rlx(&h->room_gen, ndi_load_rlx(&h->room_gen) + 1);
        NDI_KILL_POINT("repair.counted");
    }
    free(ready);
    return rc;
}

/* The dead participant's word becomes what it must be; its hidden name goes
 * before the slot is free. */
static void
bury_slot(struct ndi_chan *c, uint32_t i, uint64_t word)
{
    struct ndi_slot *s = ndi_slot_at(c, i);
    struct ndi_counters *n = &c->counters[ndi_word_owner(word) - 1];
    char name[NDI_TICKET_NAME];
    uint64_t now = ndi_word_make(NDI_FREE, 0, 0, 0);

    if (ndi_word_state(word) == NDI_READY) {
        now = ndi_word_make(NDI_BACK, ndi_word_deliveries(word), 0,
                            ndi_word_seq(word));
        // Or it is the item of who picks it this moment.
        (void)ndi_cas_seq(&s->word, &word, now);
        NDI_KILL_POINT("bury.word");
        return;
    }
    if (ndi_word_state(word) == NDI_TAKEN) {
        now = ndi_word_returned(c, word);
    }
    if (ndi_word_state(now) == NDI_FREE && s->kind == NDI_ITEM_TICKET) {
        ndi_ticket_name(c, i, name);
        ndi_shm_unlink(name);
        NDI_KILL_POINT("bury.unlinked");
    }
    ndi_store_rel(&s->word, now);
    NDI_KILL_POINT("bury.word");
    if (ndi_word_state(word) == NDI_TAKEN &&
        ndi_word_state(now) != NDI_PARKED) {
        ndi_add_rlx(ndi_word_state(now) == NDI_FREE ? &n->dropped
                                                     : &n->redelivered, 1);
    }
}

/* What has left by get without acknowledge, and will get no task_done from
 * the dead. Other processes may have said task_done for some of it: then the
 * sum over all is smaller than the dead one's own, and only the sum is owed.
 * One store; done twice it changes nothing. */
static void
settle_debts(struct ndi_chan *c, uint32_t index, uint32_t gen)
{
    struct ndi_counters *dead = &c->counters[index];
    uint64_t done = ndi_load_acq(&dead->done);
    int64_t owed = (int64_t)(ndi_load_acq(&dead->left) - done -
                             ndi_load_acq(&dead->owed_before));
    int64_t sum = ndi_chan_owed(c);

    if (ndi_load_acq(&dead->owed_gen) != gen) {
        return; // it never asked for an item
    }
    owed = owed < sum ? owed : sum;
    if (owed > 0) {
        ndi_store_rel(&dead->done, done + (uint64_t)owed);
        NDI_KILL_POINT("bury.settled");
    }
}

/* Leaving and joining end with this burial, and wait with all our patience. A
 * sweep buries on the way to something else, whose deadline it does not know:
 * it waits the least there is, and leaves the grave to the next one. */
static int
lock_to_bury(struct ndi_chan *c, uint32_t index)
{
    uint64_t self = ndi_party_self(&c->hub->segment->party);
    bool sweeps = self == 0 || ndi_owner_index(self) != index;

    return ndi_chan_lock_by(c, sweeps ? 0 : NDS_FOREVER);
}

int
ndi_chan_bury(struct ndi_chan *c, uint32_t index, uint32_t died_gen)
{
    uint32_t top;
    int rc = lock_to_bury(c, index);

    if (rc < 0) {
        return rc;
    }
    top = slots_used(c);
    for (uint32_t i = 0; i < top; i++) {
        uint64_t word = ndi_load_acq(&ndi_slot_at(c, i)->word);
        uint32_t state = ndi_word_state(word);

        if (state == NDI_PICKED && ndi_word_owner(word) == index + 1) {
            (void)ndi_word_settle(c, i, &word);
            state = ndi_word_state(word);
        }
        if (ndi_word_owner(word) == index + 1 &&
            (state == NDI_LOANED || state == NDI_READY ||
             state == NDI_TAKEN)) {
            bury_slot(c, i, word);
        }
    }
    for (uint32_t i = 0; i < c->nlanes; i++) {
        uint64_t owner = ndi_load_rlx(&c->lanes[i].owner);

        if (owner != 0 && ndi_owner_index(owner) == index) {
            ndi_store_rlx(&c->lanes[i].owner, 0);
            NDI_KILL_POINT("bury.lane");
        }
    }
    ndi_store_rlx(&c->counters[index].ahead, 0); // they are FREE
    // The words first: an item that is BACK is counted before its debt goes.
    if (died_gen != 0) {
        settle_debts(c, index, died_gen);
    } else {
        ndi_taker_forget(c, index);
    }
    rc = ndi_chan_rebuild(c);
    if (rc < 0) {
        // Leave it dirty: the next one to come tries again.
        ndi_lock_unlock(&c->hub->segment->party, &c->h->lock);
        return rc;
    }
    ndi_chan_unlock(c);
    ndi_event_signal(&c->h->items, INT32_MAX);
    ndi_event_signal(&c->h->room, INT32_MAX);
    ndi_event_signal(&c->h->done, INT32_MAX);
    return 0;
}

/* ---- looking ------------------------------------------------------------ */

/* Got without acknowledge and not yet done. `done` is read first: what happens
 * meanwhile makes the sum too large, never too small. */
int64_t
ndi_chan_owed(const struct ndi_chan *c)
{
    uint64_t sum = 0; // unsigned: the counters may hold anything

    for (uint32_t i = 0; i < c->hub->party_count; i++) {
        uint64_t done = ndi_load_acq(&c->counters[i].done);

        sum += ndi_load_acq(&c->counters[i].left) - done;
    }
    return (int64_t)sum;
}

/* The words before the counters: an item that leaves is counted before its
 * word changes, so it is seen in one of the two. */
int64_t
ndi_chan_unfinished(const struct ndi_chan *c)
{
    uint32_t top = slots_used(c);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < top; i++) {
        uint32_t state =
            ndi_word_state(ndi_load_acq(&ndi_slot_at(c, i)->word));

        sum += state == NDI_READY || state == NDI_BACK ||
               state == NDI_TAKEN || state == NDI_PICKED;
    }
    return (int64_t)(sum + (uint64_t)ndi_chan_owed(c));
}

/* Died and not buried yet. */
static uint32_t
count_dead(const struct ndi_chan *c)
{
    struct ndi_party *p = &c->hub->segment->party;
    uint32_t dead = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        dead += ndi_load_acq(&p->slots[i].state) != NDI_PARTY_EMPTY &&
                ndi_party_is_dead(p, ndi_owner_make(
                                         i, ndi_load_acq(&p->slots[i].gen)));
    }
    return dead;
}

int
ndi_chan_info(struct ndi_chan *c, nds_queue_info *out)
{
    uint32_t top = slots_used(c);
    int64_t unfinished = ndi_chan_unfinished(c);

    *out = (nds_queue_info){.size = sizeof *out, .slots = c->nslots};
    for (uint32_t i = 0; i < top; i++) {
        uint64_t cost = 0, word = ndi_load_acq(&ndi_slot_at(c, i)->word);

        if (ndi_word_is_reserved(word)) {
            continue; // room, for whoever wants it
        }
        out->delivered += ndi_word_state(word) == NDI_PICKED ||
                          ndi_word_is_given(word);
        switch (ndi_word_state(word)) {
        case NDI_READY:
        case NDI_BACK:
            out->items++;
            break;
        case NDI_TAKEN:
        case NDI_PICKED:
            out->taken++;
            break;
        case NDI_PARKED:
            out->parked++;
            break;
        case NDI_LOANED:
            out->loaned++;
            break;
        default:
            continue;
        }
        (void)ndi_slot_cost(c, i, &cost);
        out->bytes_used += cost;
    }
    for (uint32_t i = 0; i < c->hub->party_count; i++) {
        out->redelivered += ndi_load_rlx(&c->counters[i].redelivered);
        out->dropped += ndi_load_rlx(&c->counters[i].dropped);
        out->delivered += ndi_load_rlx(&c->counters[i].delivered);
    }
    out->unfinished = unfinished > 0 ? (uint64_t)unfinished : 0;
    out->bytes_max = c->max_bytes;
    out->max_items = c->max_items;
    out->closed = ndi_load_acq(&c->h->closed) != 0;
    out->participants =
        (uint32_t)ndi_party_alive(&c->hub->segment->party);
    out->participants_dead = count_dead(c);
    ndi_takers_count(c, &out->consumers, &out->consumers_dead);
    return 0;
}

/* The free stack names exactly the FREE slots below top, each once. */
static int
valid_stack(struct ndi_chan *c, uint32_t top, unsigned char *seen)
{
    uint32_t count = ndi_load_rlx(&c->h->free_count);

    if (count > top) {
        return ndi_fail(NDS_ECORRUPT, "%u free slots of %u", count, top);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = ndi_load_rlx(&c->free[i]);

        if (at >= top || seen[at] != 0) {
            return ndi_fail(NDS_ECORRUPT, "free stack: slot %u", at);
        }
        seen[at] = 1;
    }
    for (uint32_t i = 0; i < top; i++) {
        bool is_free =
            ndi_load_rlx(&ndi_slot_at(c, i)->word) == NDI_WORD_FREE;

        if (is_free != (seen[i] == 1)) {
            return ndi_fail(NDS_ECORRUPT, "slot %u: free stack and word "
                            "differ", i);
        }
    }
    return 0;
}

int
ndi_chan_valid(struct ndi_chan *c)
{
    uint32_t top, count;
    uint64_t used = 0, arena = 0, cost, room;
    unsigned char *seen;
    int rc = ndi_chan_lock(c);

    if (rc < 0) {
        return rc;
    }
    top = slots_used(c);
    count = ndi_load_rlx(&c->h->list_count);
    room = ndi_arena_room(&c->arena);
    seen = calloc(top + 1, 1);
    rc = seen == NULL ? ndi_fail_nomem(top, "a check")
                      : valid_stack(c, top, seen);
    for (uint32_t i = 0; i < top && rc == 0; i++) {
        struct ndi_slot *s = ndi_slot_at(c, i);
        uint64_t word = ndi_load_rlx(&s->word);
        uint32_t state = ndi_word_state(word);

        if (word == NDI_WORD_FREE) {
            continue;
        }
        if (state > NDI_PICKED || !ndi_slot_cost(c, i, &cost)) {
            rc = ndi_fail(NDS_ECORRUPT, "slot %u holds nonsense", i);
        }
        used += cost;
        arena += s->extent;
    }
    if (rc == 0 && (used != ndi_load_rlx(&c->h->bytes_used) ||
                    arena + room != c->arena.nbytes || count > top)) {
        rc = ndi_fail(NDS_ECORRUPT, "bytes: used %llu, counted %llu; arena "
                      "%llu used + %llu free of %llu",
                      (unsigned long long)used,
                      (unsigned long long)ndi_load_rlx(&c->h->bytes_used),
                      (unsigned long long)arena, (unsigned long long)room,
                      (unsigned long long)c->arena.nbytes);
    }
    free(seen);
    ndi_chan_unlock(c);
    return rc;
}
