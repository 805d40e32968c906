/* SPDX-License-Identifier: MIT */
/*
 * pick.c - gets that need no section of their own
 *
 * A consumer that has taken from a lane before knows where its next item
 * stands, and takes a small one by a CAS of its word, READY -> PICKED: like
 * TAKEN, but the caches do not know yet, so it counts as waiting still. What
 * it has copied leaves by a CAS as well, PICKED -> FREE with its name: GIVEN
 * UP, which counts too. A section collects several of those at once. So the
 * word alone says what counts, and whoever holds the lock can make either
 * plain: a producer that finds the channel full, after it has looked for a
 * moment; a rebuild; a burial. Nothing is claimed before it is asked for, so
 * an idle consumer keeps no item from another, and order is as in a section.
 *
 * The place of the next item is this process's own knowledge, its cursor: all
 * entries of the lane before it have been seen to mean no item any more. The
 * lane's line, in which its producer writes all the time, is read only when
 * the cursor has come to the tail that was seen last. An entry that a later
 * one has overwritten meanwhile has a number too high by all the entries of
 * the lane at least, for numbers rise along a lane: that is the proof that it
 * is the oldest one.
 *
 * The lane's head is raised when the lock is held anyway, so it lags.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

/* Slots above which a search through all words is dear. */
#define TOP_MOST 4096
/* Entries that mean nothing any more before a section must help. */
#define STALE_MOST 64

static uint64_t
entry_at(const struct ndi_chan *c, uint32_t lane, uint64_t at)
{
    return ndi_load_rlx(&c->rings[(uint64_t)lane * c->lane_entries +
                                  (at & (c->lane_entries - 1))]);
}

static bool
is_live(uint64_t word, uint64_t entry)
{
    return ndi_word_waits(word) &&
           ndi_word_seq(word) == (entry & NDI_SEQ_MASK);
}

static bool
is_ready(const struct ndi_chan *c, uint32_t slot, uint64_t entry)
{
    uint64_t word = ndi_load_acq(&ndi_slot_at(c, slot)->word);

    return ndi_word_state(word) == NDI_READY && is_live(word, entry);
}

/* ---- where the next item stands ----------------------------------------- */

void
ndi_cursor_set(struct ndi_chan *c, uint32_t lane, uint64_t at, uint64_t seq)
{
    struct ndi_cursor *k = &c->cursor[lane];

    ndi_store_rlx(&k->tail, ndi_load_acq(&c->lanes[lane].tail));
    ndi_store_rlx(&k->at, at);
    ndi_store_rel(&k->seq, seq);
}

/* The lane's first entry that can mean an item, at most its tail. */
static uint64_t
first_at(const struct ndi_chan *c, uint32_t lane, uint64_t tail)
{
    uint64_t head = ndi_load_rlx(&c->lanes[lane].head);
    uint64_t at = ndi_load_rlx(&c->cursor[lane].at);

    if (tail - head > c->lane_entries) {
        head = tail - c->lane_entries;
    }
    return tail - at < tail - head ? at : head;
}

uint64_t
ndi_lane_unseen(const struct ndi_chan *c, uint32_t lane)
{
    uint64_t tail = ndi_load_acq(&c->lanes[lane].tail);

    return tail - first_at(c, lane, tail);
}

uint64_t
ndi_lane_waiting(struct ndi_chan *c, uint32_t lane)
{
    uint64_t tail = ndi_load_acq(&c->lanes[lane].tail);
    uint64_t first = first_at(c, lane, tail), at;

    for (at = first; at != tail; at++) {
        uint64_t entry = entry_at(c, lane, at);
        uint32_t slot = (uint32_t)(entry >> NDI_SEQ_BITS);

        // What is BACK is counted in the list.
        if (slot < c->nslots && is_ready(c, slot, entry)) {
            break;
        }
    }
    if (at != first) { // the next look begins there
        ndi_store_rel(&c->cursor[lane].seq, 0);
        ndi_store_rlx(&c->cursor[lane].at, at);
    }
    return tail - at;
}

void
ndi_cursors_to_heads(struct ndi_chan *c)
{
    uint32_t n = ndi_lanes_used(c);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t tail = ndi_load_acq(&c->lanes[i].tail);
        uint64_t at = first_at(c, i, tail);

        if (at != ndi_load_rlx(&c->lanes[i].head)) {
            ndi_store_rel(&c->lanes[i].head, at);
        }
    }
}

struct found {
    uint32_t slot;
    uint64_t word;
    uint32_t lane;
    uint64_t at;
};

enum look { NOTHING, FOUND, UNSURE };

/* The oldest item of a lane. UNSURE: a section has to look. */
static enum look
look_in_lane(struct ndi_chan *c, uint32_t lane, struct found *out)
{
    struct ndi_cursor *k = &c->cursor[lane];
    uint64_t seq = ndi_load_acq(&k->seq);
    uint64_t at = ndi_load_rlx(&k->at), tail = ndi_load_acq(&k->tail);
    bool fresh = false;

    if (seq == 0) {
        return ndi_load_acq(&c->lanes[lane].tail) ==
                       ndi_load_rlx(&c->lanes[lane].head)
                   ? NOTHING : UNSURE;
    }
    for (int n = 0; n < STALE_MOST; n++, at++) {
        uint64_t entry, gap;

        if (at == tail) {
            tail = ndi_load_acq(&c->lanes[lane].tail); // pairs with lane_push()
            ndi_store_rel(&k->tail, tail);
            fresh = true;
        }
        if (n > 0) { // what was passed over is so for good
            ndi_store_rlx(&k->at, at);
            ndi_store_rel(&k->seq, seq);
        }
        if (at == tail) {
            return NOTHING;
        }
        // It stands beside the tail as well: one line less to wait for.
        entry = fresh ? ndi_load_rlx(&c->lanes[lane].last) : 0;
        gap = (entry - seq) & NDI_SEQ_MASK;
        if (gap != 1) { // else nothing can be between the two
            entry = entry_at(c, lane, at);
            gap = (entry - seq) & NDI_SEQ_MASK;
        }
        out->slot = (uint32_t)(entry >> NDI_SEQ_BITS);
        if (gap == 0 || gap >= c->lane_entries || out->slot >= c->nslots ||
            tail - at > c->lane_entries) {
            return UNSURE;
        }
        if (fresh) {
            ndi_slot_prefetch(c, out->slot, ndi_load_rlx(&c->last_nbytes));
        }
        out->word = ndi_load_acq(&ndi_slot_at(c, out->slot)->word);
        if (is_live(out->word, entry)) {
            out->lane = lane;
            out->at = at;
            return ndi_word_state(out->word) == NDI_READY ? FOUND : UNSURE;
        }
        seq = entry & NDI_SEQ_MASK;
    }
    return UNSURE;
}

/* Asks for the lines of the item after it, if it is there already. */
static void
prefetch_next(const struct ndi_chan *c, const struct found *f)
{
    uint64_t at = f->at + 1;
    uint64_t nbytes = ndi_load_rlx(&c->last_nbytes);

    if (at != ndi_load_rlx(&c->cursor[f->lane].tail)) {
        ndi_slot_prefetch(c, (uint32_t)(entry_at(c, f->lane, at) >>
                                        NDI_SEQ_BITS), nbytes);
    }
}

/* ---- picked -------------------------------------------------------------- */

/* An item is picked, so there is room for who finds out: whoever has searched
 * in vain, and sleeps, is woken; who is about to sleep is told by `given`. The
 * word was changed by a CAS, which orders it before the looks. Later changes of
 * the word need no word about it: a search that met it as PICKED has made it
 * TAKEN, and then it goes in a section. */
static void
tell_of_room(struct ndi_chan *c)
{
    if (NDI_UNLIKELY(ndi_load_seq(&c->h->given) == 0)) {
        ndi_swap_seq(&c->h->given, 1);
    }
    ndi_event_changed(&c->h->room, 1);
}

/* Small queues are not worth it, what comes back goes first, what is closed
 * must be known to be empty, and an unknown consumer makes itself known. */
static bool
may_pick(const struct ndi_chan *c, uint32_t me)
{
    return ndi_load_acq(&c->h->list_count) == 0 &&
           ndi_load_rlx(&c->h->closed) == 0 &&
           ndi_load_rlx(&c->h->top) <= TOP_MOST && ndi_taker_is_marked(c, me);
}

/* What a get can copy and give up. */
static bool
is_light(const struct ndi_slot *s)
{
    return ndi_load_rlx(&s->kind) <= NDI_ITEM_INLINE &&
           ndi_load_rlx(&s->extent) == 0;
}

int
ndi_pick(struct ndi_chan *c, uint32_t *slot, uint64_t *word)
{
    uint32_t n = ndi_lanes_used(c), me;
    struct found best = {0}, f;
    bool any = false;
    int rc = ndi_chan_me(c, &me);

    if (rc < 0 || !may_pick(c, me)) {
        return NDS_ENOTSUP;
    }
    for (uint32_t i = 0; i < n; i++) {
        enum look look = look_in_lane(c, i, &f);

        if (look == UNSURE) {
            return NDS_ENOTSUP;
        }
        if (look == FOUND &&
            (!any || ndi_seq_before(ndi_word_seq(f.word),
                                    ndi_word_seq(best.word)))) {
            best = f;
            any = true;
        }
    }
    if (!any) {
        return NDS_EAGAIN;
    }
    if (!is_light(ndi_slot_at(c, best.slot))) {
        return NDS_ENOTSUP;
    }
    *slot = best.slot;
    *word = ndi_word_make(NDI_PICKED, ndi_word_deliveries(best.word), me,
                          ndi_word_seq(best.word));
    NDI_KILL_POINT("pick.chosen");
    if (!ndi_cas_seq(&ndi_slot_at(c, best.slot)->word, &best.word, *word)) {
        return NDS_ENOTSUP; // another was first
    }
    NDI_KILL_POINT("pick.word");
    ndi_store_rlx(&c->cursor[best.lane].at, best.at + 1);
    ndi_store_rel(&c->cursor[best.lane].seq, ndi_word_seq(*word));
    tell_of_room(c);
    prefetch_next(c, &best);
    return 0;
}

/* ---- given up ------------------------------------------------------------ */

/* Under the lock. What others have collected is passed over. */
static int
collect(struct ndi_chan *c)
{
    bool did;
    int rc = 0;

    for (uint32_t i = 0; i < NDI_GIVEN && rc == 0; i++) {
        uint32_t slot = ndi_load_rlx(&c->given[i]);

        if (slot != 0 && ndi_own_cas(&c->given[i], &slot, 0)) {
            rc = ndi_slot_take_back(c, slot - 1, &did);
        }
    }
    ndi_cursors_to_heads(c);
    return rc;
}

/* One more in our list; two threads a whole round apart may lose one, which a
 * search finds. */
static void
note(struct ndi_chan *c, uint32_t slot)
{
    uint32_t n = ndi_own_add(&c->given_count, 1) & (c->give - 1);

    ndi_store_rel(&c->given[n], slot + 1);
    if (n == c->give - 1 && ndi_chan_lock_by(c, 0) == 0) {
        int rc = collect(c);

        ndi_chan_unlock_after(c, rc);
        ndi_event_signal(&c->h->room, (int)c->give);
    }
}

bool
ndi_give_up(struct ndi_chan *c, uint32_t slot, uint64_t word)
{
    _Atomic uint64_t *at = &ndi_slot_at(c, slot)->word;

    // Closed: whoever waits for the last one to go learns it from a section.
    if (ndi_word_state(word) != NDI_PICKED ||
        ndi_load_rlx(&c->h->closed) != 0 ||
        !ndi_cas_seq(at, &word, ndi_word_given(ndi_word_owner(word)))) {
        return false; // or it counts no more: somebody searched
    }
    NDI_KILL_POINT("giveup.word");
    note(c, slot);
    return true;
}

int
ndi_give_up_over(struct ndi_chan *c)
{
    return collect(c);
}
