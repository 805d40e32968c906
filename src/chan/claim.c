/* SPDX-License-Identifier: MIT */
/*
 * claim.c - the consumer's side: claim, settle, give back
 *
 * A run of items is claimed in one section and settled in another; between
 * the two the payload is read, without the lock. Settling frees a slot, or
 * keeps it for who still looks at its memory: in both cases the item has left
 * the queue with the store of that one word.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

/* *lane: where it stands, -1 in the list. */
static bool
lowest(struct ndi_chan *c, uint32_t *slot, uint64_t *word, int *lane)
{
    uint32_t n = ndi_lanes_used(c), at;
    uint32_t head = ndi_load_rlx(&c->h->list_head);
    bool found = false;
    uint64_t w = 0;

    *lane = -1;
    for (uint32_t k = 0; head < c->nslots && k < c->nslots &&
                         ndi_load_rlx(&c->h->list_count) > 0; k++) {
        *word = ndi_load_acq(&ndi_slot_at(c, head)->word);
        if (ndi_word_waits(*word)) {
            *slot = head;
            found = true;
            break;
        }
        ndi_list_remove(c, head); // it was picked from its lane
        head = ndi_load_rlx(&c->h->list_head);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ndi_lane_head(c, i, &at, &w) &&
            (!found || ndi_seq_before(ndi_word_seq(w), ndi_word_seq(*word)))) {
            *slot = at;
            *word = w;
            *lane = (int)i;
            found = true;
        }
    }
    return found;
}

/* The next item becomes ours, *word: TAKEN(me). A picker without the lock may
 * be faster; then the next one. */
static int
choose(struct ndi_chan *c, uint32_t me, uint32_t *slot, uint64_t *word,
       int *lane)
{
    for (int tries = 0; tries < NDI_CAS_TRIES; tries++) {
        uint64_t w = 0, cost;

        if (!lowest(c, slot, &w, lane)) {
            return NDS_EAGAIN;
        }
        if (!ndi_word_waits(w) || !ndi_slot_cost(c, *slot, &cost)) {
            return ndi_fail(NDS_ECORRUPT, "channel: slot %u cannot be "
                            "delivered", *slot);
        }
        *word = ndi_word_make(NDI_TAKEN, ndi_word_deliveries(w), me,
                              ndi_word_seq(w));
        NDI_KILL_POINT("take.chosen");
        if (ndi_cas_seq(&ndi_slot_at(c, *slot)->word, &w, *word)) {
            return 0;
        }
    }
    return ndi_restless("an item");
}

static int
claim_locked(struct ndi_chan *c, uint32_t me, uint32_t *slot, uint64_t *word)
{
    uint32_t unclaimed = ndi_load_rlx(&c->h->unclaimed);
    int lane, rc = choose(c, me, slot, word, &lane);

    if (rc == NDS_EAGAIN) {
        uint32_t listed = ndi_load_rlx(&c->h->list_count);

        if (listed != 0) {
            // Left alone it would say for ever that there are items.
            return ndi_fail(NDS_ECORRUPT, "channel: a list of %u items has "
                            "no first", listed);
        }
        return ndi_load_rlx(&c->h->closed) != 0 && unclaimed == 0 ? NDS_EEOF
                                                                  : NDS_EAGAIN;
    }
    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("take.word");
    if (ndi_load_rlx(&ndi_slot_at(c, *slot)->listed) != 0) {
        ndi_list_remove(c, *slot);
    }
    NDI_KILL_POINT("take.unlisted");
    if (lane >= 0) {
        uint64_t next = ndi_load_rlx(&c->lanes[lane].head) + 1;

        ndi_store_rel(&c->lanes[lane].head, next);
        ndi_cursor_set(c, (uint32_t)lane, next, ndi_word_seq(*word));
    }
    NDI_KILL_POINT("take.head");
    ndi_store_rlx(&c->h->unclaimed, unclaimed > 0 ? unclaimed - 1 : 0);
    ndi_store_rlx(&c->h->room_gen, ndi_load_rlx(&c->h->room_gen) + 1);
    ndi_store_rlx(&c->counters[me - 1].delivered,
                  ndi_load_rlx(&c->counters[me - 1].delivered) + 1);
    return 0;
}

/* Nothing waits, but something counts, and nobody may put any more: what was
 * picked, and not told yet, must not hide the end. */
static int
look_for_the_end(struct ndi_chan *c, int rc)
{
    bool did;

    if (rc == NDS_EAGAIN && ndi_load_rlx(&c->h->closed) != 0) {
        rc = ndi_reserve_reclaim(c, &did);
        rc = rc < 0 ? rc
             : ndi_load_rlx(&c->h->unclaimed) == 0 ? NDS_EEOF : NDS_EAGAIN;
    }
    return rc;
}

int
ndi_chan_claim(struct ndi_chan *c, int room, uint32_t *slots, uint64_t *words,
               int *got, int64_t deadline)
{
    uint32_t me;
    bool again;
    int rc;

    *got = 0;
    if (!ndi_chan_may_have_items(c) && ndi_load_acq(&c->h->closed) == 0) {
        return NDS_EAGAIN;
    }
    ndi_chan_prefetch(c, room); // comes while the lock is taken
    rc = ndi_chan_lock_by(c, deadline);
    if (rc < 0) {
        return rc;
    }
    rc = ndi_chan_me(c, &me);
    if (rc == 0) {
        ndi_taker_mark(c, me);
        rc = ndi_give_up_over(c);
    }
    while (rc == 0 && *got < room) {
        rc = claim_locked(c, me, &slots[*got], &words[*got]);
        rc = ndi_chan_mend(c, rc, &again);
        if (again) {
            rc = claim_locked(c, me, &slots[*got], &words[*got]);
        }
        *got += rc == 0;
    }
    if (*got == 0) {
        rc = look_for_the_end(c, rc);
    }
    ndi_chan_unlock_after(c, rc);
    if (*got > 0) {
        ndi_event_signal(&c->h->room, *got);
    }
    return *got > 0 ? 0 : rc;
}

int
ndi_slot_recycle(struct ndi_chan *c, uint32_t slot)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);
    uint64_t used = ndi_load_rlx(&c->h->bytes_used), cost;
    uint32_t count = ndi_load_rlx(&c->h->free_count);
    int rc = 0;

    if (!ndi_slot_cost(c, slot, &cost) || count >= c->nslots) {
        return ndi_fail(NDS_ECORRUPT, "channel: slot %u has a bad extent",
                        slot);
    }
    if (s->extent > 0) {
        rc = ndi_arena_free(&c->arena, s->off, s->extent);
        ndi_chan_saw_end(c, s->off + s->extent);
    }
    NDI_KILL_POINT("free.extent");
    if (NDI_UNLIKELY(ndi_load_rlx(&s->listed) != 0)) {
        ndi_list_remove(c, slot); // it was picked from its lane
    }
    ndi_store_rlx(&c->free[count], slot);
    ndi_store_rlx(&c->h->free_count, count + 1);
    ndi_store_rlx(&c->h->bytes_used, used > cost ? used - cost : 0);
    ndi_store_rlx(&c->h->room_gen, ndi_load_rlx(&c->h->room_gen) + 1);
    return rc;
}

/* Of this process, in one of the states of the mask. What we picked has become
 * TAKEN, for the caches as well. */
static int
mine(struct ndi_chan *c, uint32_t slot, unsigned states, uint64_t *word)
{
    uint32_t me;
    bool did;
    int rc = ndi_chan_me(c, &me);

    *word = ndi_load_acq(&ndi_slot_at(c, slot)->word);
    if (rc == 0 && ndi_word_state(*word) == NDI_PICKED) {
        rc = ndi_slot_take_back(c, slot, &did);
        *word = ndi_load_acq(&ndi_slot_at(c, slot)->word);
    }
    if (rc < 0) {
        return rc;
    }
    if ((1U << ndi_word_state(*word) & states) == 0 ||
        ndi_word_owner(*word) != me) {
        return ndi_fail(NDS_ECORRUPT, "channel: slot %u is not this "
                        "process's any more", slot);
    }
    return 0;
}

/* The extent's bytes, when a LOANED with a seq ends. */
static void
unadopt(struct ndi_chan *c, uint32_t slot, uint64_t word)
{
    uint64_t sum = ndi_load_rlx(&c->h->bytes_adopted), cost;

    if (ndi_word_state(word) == NDI_LOANED && ndi_word_seq(word) != 0 &&
        ndi_slot_cost(c, slot, &cost)) {
        ndi_store_rlx(&c->h->bytes_adopted, sum > cost ? sum - cost : 0);
    }
}

/* Under the lock: a slot of ours becomes FREE. *broken: and the caches could
 * not be made anew. */
static int
free_locked(struct ndi_chan *c, uint32_t slot, bool *broken)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);
    char name[NDI_TICKET_NAME];
    uint64_t word;
    int rc = mine(c, slot, 1U << NDI_LOANED | 1U << NDI_TAKEN, &word);

    if (rc < 0) {
        return rc;
    }
    if (s->kind == NDI_ITEM_TICKET) {
        // Without its file it must not come back: it has left first.
        if (ndi_word_state(word) == NDI_TAKEN) {
            ndi_store_rel(&s->word, ndi_word_make(NDI_LOANED, 0,
                                                  ndi_word_owner(word),
                                                  ndi_word_seq(word)));
            NDI_KILL_POINT("free.left");
        }
        ndi_ticket_name(c, slot, name);
        ndi_shm_unlink(name); // gone already: fine
    }
    NDI_KILL_POINT("free.unlinked");
    ndi_store_rel(&s->word, ndi_word_make(NDI_FREE, 0, 0, 0));
    NDI_KILL_POINT("free.word");
    if (ndi_word_state(word) == NDI_LOANED && ndi_word_seq(word) == 0) {
        uint32_t n = ndi_load_rlx(&c->h->unclaimed);

        ndi_store_rlx(&c->h->unclaimed, n > 0 ? n - 1 : 0);
    }
    unadopt(c, slot, word);
    rc = ndi_slot_recycle(c, slot);
    if (rc == NDS_ECORRUPT) {
        rc = ndi_chan_rebuild(c); // the word is FREE: that is the truth
        *broken = rc < 0;
    }
    return rc;
}

/* Under the lock: a taken item has left the queue, its memory has not. A file
 * is its owner's from now on and counts no more; the slot stays for its name,
 * by which it can move on, and by which burial finds it. */
static int
own_locked(struct ndi_chan *c, uint32_t slot)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);
    uint64_t word, cost = 0;
    int rc = mine(c, slot, 1U << NDI_TAKEN, &word);

    if (rc < 0) {
        return rc;
    }
    ndi_store_rel(&s->word,
                  ndi_word_make(NDI_LOANED, ndi_word_deliveries(word),
                                ndi_word_owner(word), ndi_word_seq(word)));
    NDI_KILL_POINT("own.word");
    if (s->kind == NDI_ITEM_TICKET) {
        uint64_t used = ndi_load_rlx(&c->h->bytes_used);

        cost = s->nbytes;
        s->nbytes = 0;
        NDI_KILL_POINT("own.file");
        ndi_store_rlx(&c->h->bytes_used, used > cost ? used - cost : 0);
        ndi_store_rlx(&c->h->room_gen, ndi_load_rlx(&c->h->room_gen) + 1);
    }
    (void)ndi_slot_cost(c, slot, &cost);
    ndi_store_rlx(&c->h->bytes_adopted,
                  ndi_load_rlx(&c->h->bytes_adopted) + cost);
    return 0;
}

int
ndi_chan_settle(struct ndi_chan *c, const struct ndi_settled *run, int n,
                int64_t deadline)
{
    bool broken = false;
    int rc = ndi_chan_lock_by(c, deadline), first = 0;

    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < n && !broken; i++) {
        rc = run[i].keep ? own_locked(c, run[i].slot)
                         : free_locked(c, run[i].slot, &broken);
        first = first < 0 ? first : rc;
    }
    ndi_chan_unlock_after(c, broken ? NDS_ECORRUPT : 0);
    ndi_event_signal(&c->h->room, n);
    ndi_chan_trim_now_and_then(c, false);
    return first;
}

int
ndi_chan_free(struct ndi_chan *c, uint32_t slot, int64_t deadline)
{
    return ndi_chan_settle(c, &(struct ndi_settled){slot, false}, 1, deadline);
}

int
ndi_chan_own(struct ndi_chan *c, uint32_t slot, int64_t deadline)
{
    return ndi_chan_settle(c, &(struct ndi_settled){slot, true}, 1, deadline);
}

int
ndi_chan_put_back(struct ndi_chan *c, const uint32_t *slots, int n,
                  int64_t deadline)
{
    int rc = ndi_chan_lock_by(c, deadline);

    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < n && rc == 0; i++) {
        uint64_t word;

        rc = mine(c, slots[i], 1U << NDI_TAKEN, &word);
        if (rc == 0) {
            ndi_store_rel(&ndi_slot_at(c, slots[i])->word,
                          ndi_word_make(NDI_BACK, ndi_word_deliveries(word),
                                        0, ndi_word_seq(word)));
            NDI_KILL_POINT("unclaim.word");
            ndi_add_rlx(&c->counters[ndi_word_owner(word) - 1].delivered,
                        UINT64_MAX); // one less: it was not handed out
            ndi_list_insert(c, slots[i], ndi_word_seq(word));
            ndi_store_rlx(&c->h->unclaimed,
                          ndi_load_rlx(&c->h->unclaimed) + 1);
        }
    }
    ndi_chan_unlock(c);
    ndi_event_signal(&c->h->items, n);
    return rc;
}

uint64_t
ndi_word_returned(const struct ndi_chan *c, uint64_t word)
{
    uint32_t n = ndi_word_deliveries(word);

    n = n < NDI_DELIVERIES_MAX ? n + 1 : n;
    if (c->policy == NDS_DROP) {
        return ndi_word_make(NDI_FREE, 0, 0, 0);
    }
    if (c->policy == NDS_PARK ||
        (c->max_deliveries != 0 && n >= c->max_deliveries)) {
        return ndi_word_make(NDI_PARKED, n, 0, ndi_word_seq(word));
    }
    return ndi_word_make(NDI_BACK, n, 0, ndi_word_seq(word));
}

int
ndi_chan_give_back(struct ndi_chan *c, uint32_t slot, int64_t deadline)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);
    uint64_t word, now;
    int rc;

    if (c->policy == NDS_DROP) {
        uint32_t me;

        rc = ndi_chan_me(c, &me);
        if (rc == 0) {
            rc = ndi_chan_free(c, slot, deadline);
        }
        if (rc == 0) {
            ndi_add_rlx(&c->counters[me - 1].dropped, 1);
        }
        return rc;
    }
    rc = ndi_chan_lock_by(c, deadline);
    if (rc < 0) {
        return rc;
    }
    rc = mine(c, slot, 1U << NDI_TAKEN, &word);
    if (rc == 0) {
        now = ndi_word_returned(c, word);
        ndi_store_rel(&s->word, now);
        NDI_KILL_POINT("back.word");
        if (ndi_word_state(now) == NDI_BACK) {
            ndi_list_insert(c, slot, ndi_word_seq(now));
            ndi_store_rlx(&c->h->unclaimed,
                          ndi_load_rlx(&c->h->unclaimed) + 1);
            ndi_add_rlx(&c->counters[ndi_word_owner(word) - 1].redelivered,
                        1);
        }
    }
    ndi_chan_unlock(c);
    ndi_event_signal(&c->h->items, 1);
    return rc;
}

