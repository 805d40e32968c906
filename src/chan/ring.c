/* SPDX-License-Identifier: MIT */
/*
 * ring.c - the lock, the list, the lanes, and what a producer does with them
 *
 * Each item changes by one store of one word; the caches beside it may lag
 * when a process is killed, and then `dirty` is set or the lock names the
 * dead, so nobody believes them. LOANED -> READY is the only change made
 * without the lock. Order inside a section: words first, caches after, so that
 * a lane's head never passes an item that nobody has taken.
 *
 * A run is several items in one section. It is no unit: killed in it, those
 * whose word was stored have happened and the others have not.
 */
#include <chan/chan_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <string.h>

#define CPU_EVERY 16 /* publications between two looks where it runs */

int
ndi_chan_me_anew(struct ndi_chan *c, uint32_t *me)
{
    uint64_t owner;
    int rc = ndi_party_join(&c->hub->segment->party, &owner);

    if (rc < 0) {
        return rc;
    }
    *me = ndi_owner_index(owner) + 1;
    if (*me == 0 || *me > c->hub->party_count) {
        return ndi_fail(NDS_ECORRUPT, "participant %u of %u", *me,
                        c->hub->party_count);
    }
    return 0;
}

/* The lock is not free. Its holder lives, may be stopped, or is only said to
 * hold it: after one wait in vain the next are short until one succeeds, so
 * that closing a handle with many items does not add the waits up. */
static int
lock_slow(struct ndi_chan *c, int64_t deadline)
{
    bool hasty = ndi_load_rlx(&c->lock_stuck) != 0;
    int rc = ndi_lock_acquire(&c->hub->segment->party, &c->h->lock,
                              ndi_patient_deadline(hasty ? 0 : deadline));

    ndi_store_rlx(&c->lock_stuck, rc == NDS_ETIMEDOUT);
    return rc == NDS_ETIMEDOUT
               ? ndi_fail(NDS_EBUSY, "the channel's lock was held too long "
                          "by a process that does not run")
               : rc;
}

int
ndi_chan_lock_by(struct ndi_chan *c, int64_t deadline)
{
    struct ndi_party *p = &c->hub->segment->party;
    uint32_t me;
    int rc = ndi_chan_me(c, &me);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_lock_acquire(p, &c->h->lock, 0);
    if (rc == NDS_EAGAIN) {
        rc = lock_slow(c, deadline);
    }
    if (rc < 0 && rc != NDS_EOWNERDEAD) {
        return rc;
    }
    NDI_KILL_POINT("chan.locked");
    if (NDI_UNLIKELY(ndi_load_acq(&c->h->dirty) != 0)) {
        rc = ndi_chan_rebuild(c);
        if (rc < 0) {
            ndi_lock_unlock(p, &c->h->lock);
            return rc;
        }
    }
    ndi_store_seq(&c->h->dirty, 1); // before any change can be seen ...
    atomic_signal_fence(memory_order_seq_cst); // ... also to the compiler
    NDI_KILL_POINT("chan.dirty");
    return 0;
}

int
ndi_chan_lock(struct ndi_chan *c)
{
    return ndi_chan_lock_by(c, NDS_FOREVER);
}

void
ndi_chan_unlock(struct ndi_chan *c)
{
    NDI_KILL_POINT("chan.undirty");
    ndi_store_rel(&c->h->dirty, 0);
    NDI_KILL_POINT("chan.unlock");
    ndi_lock_unlock(&c->hub->segment->party, &c->h->lock);
}

/* After NDS_ECORRUPT: once more with caches made anew. If the words make no
 * sense either, dirty stays set and everybody who comes is told so. */
int
ndi_chan_mend(struct ndi_chan *c, int rc, bool *again)
{
    *again = rc == NDS_ECORRUPT && ndi_chan_rebuild(c) == 0;
    return rc;
}

void
ndi_chan_unlock_after(struct ndi_chan *c, int rc)
{
    if (rc == NDS_ECORRUPT) {
        ndi_lock_unlock(&c->hub->segment->party, &c->h->lock);
    } else {
        ndi_chan_unlock(c);
    }
}

bool
ndi_slot_cost(const struct ndi_chan *c, uint32_t slot, uint64_t *cost)
{
    const struct ndi_slot *s = ndi_slot_at(c, slot);
    uint64_t extent = ndi_load_rlx(&s->extent);

    *cost = 0;
    switch (ndi_load_rlx(&s->kind)) {
    case NDI_ITEM_NONE:
        return extent == 0;
    case NDI_ITEM_INLINE:
        *cost = s->nbytes;
        return extent == 0 && *cost <= NDI_INLINE_NBYTES;
    case NDI_ITEM_ARENA:
        *cost = extent;
        return extent > 0 && ndi_range_fits(s->off, extent, c->arena.nbytes);
    case NDI_ITEM_TICKET:
        return ndi_add_u64(s->nbytes, extent, cost) && *cost <= INT64_MAX &&
               ndi_range_fits(s->off, extent, c->arena.nbytes);
    default:
        return false;
    }
}

/* ---- the list of what is in no lane ------------------------------------- */

static bool
waits_after(const struct ndi_chan *c, uint32_t slot, uint64_t seq)
{
    uint64_t word = ndi_load_rlx(&ndi_slot_at(c, slot)->word);

    return ndi_word_waits(word) && ndi_seq_before(seq, ndi_word_seq(word));
}

void
ndi_list_insert(struct ndi_chan *c, uint32_t slot, uint64_t seq)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);
    uint32_t after, before, head;

    if (NDI_UNLIKELY(ndi_load_rlx(&s->listed) != 0)) {
        ndi_list_remove(c, slot); // it was picked while it stood there
    }
    after = ndi_load_rlx(&c->h->list_tail); // goes behind this one
    head = ndi_load_rlx(&c->h->list_head);
    if (head < c->nslots && waits_after(c, head, seq)) {
        after = NDI_NO_SLOT; // what comes back is mostly the oldest
    }
    for (uint32_t n = 0; after < c->nslots && n < c->nslots; n++) {
        struct ndi_slot *t = ndi_slot_at(c, after);

        if (ndi_word_waits(ndi_load_rlx(&t->word)) &&
            !waits_after(c, after, seq)) {
            break;
        }
        after = ndi_load_rlx(&t->prev);
    }
    before = after < c->nslots ? ndi_load_rlx(&ndi_slot_at(c, after)->next)
                               : head;
    ndi_store_rlx(&s->prev, after);
    ndi_store_rlx(&s->next, before);
    ndi_store_rlx(&s->listed, 1);
    if (after < c->nslots) {
        ndi_store_rlx(&ndi_slot_at(c, after)->next, slot);
    } else {
        ndi_store_rlx(&c->h->list_head, slot);
    }
    if (before < c->nslots) {
        ndi_store_rlx(&ndi_slot_at(c, before)->prev, slot);
    } else {
        ndi_store_rlx(&c->h->list_tail, slot);
    }
    ndi_store_rel(&c->h->list_count, ndi_load_rlx(&c->h->list_count) + 1);
}

void
ndi_list_remove(struct ndi_chan *c, uint32_t slot)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);
    uint32_t prev = ndi_load_rlx(&s->prev);
    uint32_t next = ndi_load_rlx(&s->next);
    uint32_t count = ndi_load_rlx(&c->h->list_count);

    if (prev < c->nslots) {
        ndi_store_rlx(&ndi_slot_at(c, prev)->next, next);
    } else {
        ndi_store_rlx(&c->h->list_head, next);
    }
    if (next < c->nslots) {
        ndi_store_rlx(&ndi_slot_at(c, next)->prev, prev);
    } else {
        ndi_store_rlx(&c->h->list_tail, prev);
    }
    ndi_store_rlx(&s->listed, 0);
    ndi_store_rlx(&c->h->list_count, count > 0 ? count - 1 : 0);
}

/* ---- lanes -------------------------------------------------------------- */

/* Under the lock: a lane for this image, once. */
static void
lane_claim(struct ndi_chan *c)
{
    uint64_t me = ndi_party_self(&c->hub->segment->party);

    if (c->lane >= 0) {
        return;
    }
    for (uint32_t i = 0; i < c->nlanes; i++) {
        if (ndi_load_rlx(&c->lanes[i].owner) != 0) {
            continue;
        }
        ndi_store_rlx(&c->lanes[i].owner, me);
        NDI_KILL_POINT("lane.owner");
        if (ndi_load_rlx(&c->h->lanes_used) < i + 1) {
            ndi_store_rel(&c->h->lanes_used, i + 1);
        }
        c->lane = (int)i;
        c->lane_tail = ndi_load_rlx(&c->lanes[i].tail);
        c->lane_head = ndi_load_acq(&c->lanes[i].head);
        return;
    }
}

uint32_t
ndi_lanes_used(const struct ndi_chan *c)
{
    uint32_t n = ndi_load_acq(&c->h->lanes_used);

    return n < c->nlanes ? n : c->nlanes;
}

/* Under publish_mutex: how many entries go into our lane, 0 without one. The
 * tail is ours, whatever a neighbour writes there, and the head is looked at
 * only where it matters: consumers write in that line all the time, and only
 * make it more. */
static int
lane_room(struct ndi_chan *c, int n, uint64_t *tail)
{
    uint64_t used;

    *tail = c->lane_tail;
    if (c->lane < 0) {
        return 0;
    }
    used = *tail - c->lane_head;
    if (used + (uint64_t)n > c->lane_entries) {
        c->lane_head = ndi_load_acq(&c->lanes[c->lane].head);
        used = *tail - c->lane_head;
    }
    return used < c->lane_entries ? (int)(c->lane_entries - used) : 0;
}

/* The publisher's side. The tail moves once for the run. */
static void
lane_push(struct ndi_chan *c, const uint32_t *slots, int n, uint64_t seq,
          uint64_t tail)
{
    struct ndi_lane *l;

    if (n == 0) {
        return;
    }
    l = &c->lanes[c->lane];
    if (tail % CPU_EVERY == 0) {
        ndi_store_rlx(&l->cpu, (uint32_t)ndi_cpu() + 1);
    }
    ndi_store_rlx(&l->last, (uint64_t)slots[n - 1] << NDI_SEQ_BITS |
                                (seq + (uint64_t)n - 1));
    for (int i = 0; i < n; i++) {
        ndi_store_rlx(&c->rings[(uint64_t)c->lane * c->lane_entries +
                                ((tail + (uint64_t)i) &
                                 (c->lane_entries - 1))],
                      (uint64_t)slots[i] << NDI_SEQ_BITS |
                          (seq + (uint64_t)i));
        NDI_KILL_POINT("publish.entry");
    }
    c->lane_tail = tail + (uint64_t)n;
    // Pairs with ndi_lane_head(), and is the fence of ndi_chan_publish().
    ndi_swap_seq(&l->tail, c->lane_tail);
}

bool
ndi_lane_head(struct ndi_chan *c, uint32_t lane, uint32_t *slot, uint64_t *word)
{
    struct ndi_lane *l = &c->lanes[lane];
    uint64_t head = ndi_load_rlx(&l->head);
    uint64_t tail = ndi_load_acq(&l->tail); // pairs with lane_push()

    if (tail - head > c->lane_entries) {
        head = tail - c->lane_entries;
    }
    for (; head != tail; head++) {
        uint64_t entry = ndi_load_rlx(
            &c->rings[(uint64_t)lane * c->lane_entries +
                      (head & (c->lane_entries - 1))]);
        uint32_t at = (uint32_t)(entry >> NDI_SEQ_BITS);

        if (at < c->nslots) {
            uint64_t w = ndi_load_acq(&ndi_slot_at(c, at)->word);

            if (ndi_word_waits(w) &&
                ndi_word_seq(w) == (entry & NDI_SEQ_MASK)) {
                ndi_store_rel(&l->head, head);
                *slot = at;
                *word = w;
                return true;
            }
        }
    }
    ndi_store_rel(&l->head, head);
    return false;
}

bool
ndi_chan_has_items(struct ndi_chan *c)
{
    uint32_t n = ndi_lanes_used(c);

    if (ndi_load_acq(&c->h->list_count) != 0) {
        return true;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ndi_lane_waiting(c, i) != 0) {
            return true;
        }
    }
    return false;
}

bool
ndi_chan_may_have_items(const struct ndi_chan *c)
{
    uint32_t n = ndi_lanes_used(c);

    if (ndi_load_acq(&c->h->list_count) != 0) {
        return true;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ndi_lane_unseen(c, i) != 0) {
            return true;
        }
    }
    return false;
}

void
ndi_slot_prefetch(const struct ndi_chan *c, uint64_t slot, uint64_t nbytes)
{
    const char *s = (const char *)ndi_slot_at(c, (uint32_t)slot);

    if (slot >= c->nslots) {
        return;
    }
    __builtin_prefetch(s, 1);
    for (uint64_t off = NDI_LINE;
         off < offsetof(struct ndi_slot, payload) + nbytes; off += NDI_LINE) {
        __builtin_prefetch(s + off, 0);
    }
}

void
ndi_chan_prefetch(const struct ndi_chan *c, int room)
{
    uint32_t n = ndi_lanes_used(c);

    for (uint32_t i = 0; i < n && i < 2; i++) {
        uint64_t head = ndi_load_rlx(&c->lanes[i].head);
        uint64_t tail = ndi_load_acq(&c->lanes[i].tail);

        for (int k = 0; k < room && head + (uint64_t)k != tail; k++) {
            uint64_t at = ndi_load_rlx(
                              &c->rings[(uint64_t)i * c->lane_entries +
                                        ((head + (uint64_t)k) &
                                         (c->lane_entries - 1))]) >>
                          NDI_SEQ_BITS;

            if (room == 1) {
                ndi_slot_prefetch(c, at, ndi_load_rlx(&c->last_nbytes));
                return;
            }
            // Of a run the words: each is swapped, which waits for its line.
            if (at < c->nslots) {
                const char *s = (const char *)ndi_slot_at(c, (uint32_t)at);

                __builtin_prefetch(s, 1);
                __builtin_prefetch(s + NDI_LINE, 0);
            }
        }
    }
}

int64_t
ndi_chan_size(struct ndi_chan *c)
{
    uint64_t sum = ndi_load_acq(&c->h->list_count);
    uint32_t n = ndi_lanes_used(c);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t count = ndi_lane_waiting(c, i);

        sum += count <= c->lane_entries ? count : 0;
    }
    return (int64_t)(sum <= c->nslots ? sum : c->nslots);
}

/* ---- loan, publish ------------------------------------------------------ */

/* Under the lock. A slot number off the stack is believed if its word is
 * FREE; the stack is as good as the last section that ended well. */
static int
pop_free(struct ndi_chan *c, uint32_t *slot)
{
    uint32_t count = ndi_load_rlx(&c->h->free_count);
    uint32_t top = ndi_load_rlx(&c->h->top);

    if (count > c->nslots || top > c->nslots) {
        return ndi_fail(NDS_ECORRUPT, "channel: %u free slots below %u of %u",
                        count, top, c->nslots);
    }
    if (count > 0) {
        uint32_t at = ndi_load_rlx(&c->free[count - 1]);

        if (at >= top ||
            ndi_load_rlx(&ndi_slot_at(c, at)->word) != NDI_WORD_FREE) {
            return ndi_fail(NDS_ECORRUPT, "channel: slot %u is on the free "
                            "stack but not free", at);
        }
        *slot = at;
        return 0;
    }
    if (top == c->nslots) {
        return NDS_EAGAIN;
    }
    *slot = top;
    return 0;
}

static void
drop_popped(struct ndi_chan *c, uint32_t slot)
{
    uint32_t top = ndi_load_rlx(&c->h->top);

    if (slot == top) {
        ndi_store_rel(&c->h->top, top + 1); // before the word leaves FREE
    } else {
        ndi_store_rlx(&c->h->free_count,
                      ndi_load_rlx(&c->h->free_count) - 1);
    }
}

int
ndi_loan_locked(struct ndi_chan *c, struct ndi_need *need, uint64_t word,
                uint32_t *slot)
{
    struct ndi_chan_header *h = c->h;
    uint64_t used = ndi_load_rlx(&h->bytes_used), off = 0, cost;
    struct ndi_slot *s;
    int rc;

    if (ndi_load_rlx(&h->closed) != 0) {
        return ndi_fail(NDS_ECLOSED, "put: the queue was shut down");
    }
    cost = need->kind == NDI_ITEM_ARENA ? need->extent
                                        : need->nbytes + need->extent;
    if (ndi_load_rlx(&h->unclaimed) >= c->max_items ||
        (used > 0 && (used > c->max_bytes || cost > c->max_bytes - used))) {
        return NDS_EAGAIN;
    }
    rc = pop_free(c, slot);
    if (rc == 0 && need->extent > 0) {
        rc = ndi_chan_extent(c, need, &off);
    }
    if (rc < 0) {
        return rc;
    }
    ndi_chan_saw_end(c, off + need->extent);
    NDI_KILL_POINT("loan.extent");
    drop_popped(c, *slot);
    NDI_KILL_POINT("loan.popped");
    s = ndi_slot_at(c, *slot);
    ndi_store_rlx(&s->kind, (uint8_t)need->kind);
    need->off = s->off = off;
    ndi_store_rlx(&s->extent, need->extent);
    s->nbytes = need->nbytes;
    s->owner_gen =
        ndi_owner_gen(ndi_party_self(&c->hub->segment->party));
    NDI_KILL_POINT("loan.desc");
    ndi_store_rel(&s->word, word);
    NDI_KILL_POINT("loan.word");
    ndi_store_rlx(&h->unclaimed, ndi_load_rlx(&h->unclaimed) + 1);
    ndi_store_rlx(&h->bytes_used, used + cost);
    lane_claim(c);
    return 0;
}

/* One loan, with caches made anew or room taken back where that helps. */
static int
loan_one(struct ndi_chan *c, struct ndi_need *need, uint32_t me,
         uint32_t *slot, struct ndi_full *full)
{
    uint64_t word = ndi_word_make(NDI_LOANED, 0, me, 0);
    bool again;
    int rc = ndi_chan_mend(c, ndi_loan_locked(c, need, word, slot), &again);

    if (rc == NDS_EAGAIN && full != NULL) {
        full->what = ndi_load_rlx(&c->h->unclaimed) >= c->max_items
                         ? NDI_WAIT_ROOM : NDI_WAIT_BYTES;
        if (full->search) {
            rc = ndi_reserve_reclaim(c, &again);
            rc = rc < 0 ? rc : NDS_EAGAIN;
        }
    }
    return again ? ndi_loan_locked(c, need, word, slot) : rc;
}

int
ndi_chan_loan(struct ndi_chan *c, struct ndi_need *needs, int n,
              uint32_t *slots, int *got, struct ndi_full *full,
              int64_t deadline)
{
    uint32_t me;
    int rc = ndi_chan_lock_by(c, deadline), more = 0;

    *got = 0;
    if (rc < 0) {
        return rc;
    }
    full->gen = ndi_load_rlx(&c->h->room_gen);
    rc = ndi_chan_me(c, &me);
    while (rc == 0 && *got < n) {
        rc = loan_one(c, &needs[*got], me, &slots[*got],
                      *got == 0 ? full : NULL);
        *got += rc == 0;
    }
    if (rc == 0 && n == 1) {
        more = ndi_reserve_more(c, needs, me);
    }
    ndi_chan_unlock_after(c, rc < 0 ? rc : more);
    return *got > 0 ? 0 : rc; // what stopped it stops the next one too
}

/* n numbers in a row, none of them 0; a gap where they would go round. */
static uint64_t
next_seqs(struct ndi_chan *c, int n)
{
    for (int tries = 0; tries < NDI_CAS_TRIES; tries++) {
        uint64_t seq =
            ndi_add_seq(&c->h->next_seq, (uint64_t)n) & NDI_SEQ_MASK;

        NDI_KILL_POINT("publish.seq");
        if (seq != 0 && seq + (uint64_t)n - 1 <= NDI_SEQ_MASK) {
            return seq;
        }
    }
    return 1; // who moves it to the end all the time spoils his own order
}

/* Under publish_mutex: the run's commit. What the lane has no room for goes
 * into the list; then the lock is held. */
static void
commit(struct ndi_chan *c, const uint32_t *slots, int n, uint32_t me,
       uint64_t tail, int room)
{
    uint64_t seq = next_seqs(c, n);
    int pushed = n < room ? n : room;

    for (int i = 0; i < n; i++) {
        ndi_store_rel(&ndi_slot_at(c, slots[i])->word,
                      ndi_word_make(NDI_READY, 0, me, seq + (uint64_t)i));
        NDI_KILL_POINT("publish.ready");
    }
    lane_push(c, slots, pushed, seq, tail);
    NDI_KILL_POINT("publish.tail");
    for (int i = pushed; i < n; i++) {
        // Not twice, whatever a stranger made of our slot.
        if (ndi_load_rlx(&ndi_slot_at(c, slots[i])->listed) == 0) {
            ndi_list_insert(c, slots[i], seq + (uint64_t)i);
            NDI_KILL_POINT("publish.listed");
        }
    }
}

int
ndi_chan_publish(struct ndi_chan *c, const uint32_t *slots, int n,
                 int64_t deadline)
{
    uint32_t me;
    uint64_t tail;
    int room;
    bool spills;
    int rc = ndi_chan_me(c, &me);

    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < n; i++) {
        if (ndi_load_rlx(&ndi_slot_at(c, slots[i])->word) !=
            ndi_word_make(NDI_LOANED, 0, me, 0)) {
            return ndi_fail(NDS_ECORRUPT, "publish: slot %u is not this "
                            "process's loan", slots[i]);
        }
    }
    pthread_mutex_lock(&c->publish_mutex);
    room = lane_room(c, n, &tail);
    spills = room < n;
    if (NDI_UNLIKELY(spills)) {
        // Before anything is committed, so that a lock that does not come
        // leaves loans; and without the mutex, or other threads of ours would
        // wait for two.
        pthread_mutex_unlock(&c->publish_mutex);
        rc = ndi_chan_lock_by(c, deadline);
        if (rc < 0) {
            return rc;
        }
        pthread_mutex_lock(&c->publish_mutex);
        room = lane_room(c, n, &tail);
    }
    commit(c, slots, n, me, tail, room);
    pthread_mutex_unlock(&c->publish_mutex);
    if (NDI_UNLIKELY(spills)) {
        ndi_chan_unlock(c);
        ndi_event_signal(&c->h->items, n);
    } else {
        ndi_event_changed(&c->h->items, n);
    }
    return 0;
}

int
ndi_chan_close(struct ndi_chan *c)
{
    int rc = ndi_chan_lock(c);
    bool did;

    if (rc == 0) {
        // First the loans ahead: none is started once it is closed.
        rc = ndi_reserve_reclaim(c, &did);
        if (rc == 0) {
            ndi_store_rel(&c->h->closed, 1);
            ndi_store_rlx(&c->h->room_gen, ndi_load_rlx(&c->h->room_gen) + 1);
        }
        ndi_chan_unlock_after(c, rc);
    }
    ndi_event_signal(&c->h->items, INT32_MAX);
    ndi_event_signal(&c->h->room, INT32_MAX);
    return rc;
}
