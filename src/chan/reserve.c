/* SPDX-License-Identifier: MIT */
/*
 * reserve.c - loans and frees that need no section of their own
 *
 * A section moves the lock's line and the counters' from one processor to the
 * other and back, which costs more than all the rest of a small item. So:
 *
 * A producer that puts small items of one size takes loans ahead, RESERVED:
 * they count as loans, but nobody fills them. It starts one by a CAS, without
 * the lock. Whoever finds the channel full, or shuts it down, takes them back
 * by a CAS as well, under the lock: the word decides who was first. The owner's
 * line of counters says how many there are; that is a hint for whoever looks for
 * them, and stands where only the owner writes all the time.
 *
 * A consumer that has copied a small item out stores FREE with its name: GIVEN
 * UP. The slot is nobody's, but in no cache yet. The consumer's next claim puts
 * it there, or a producer that finds no slot or too few bytes left. The header
 * says that there may be some.
 *
 * Rebuilding makes both plain FREE slots, so the dead leave none.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

/* ---- loans ahead -------------------------------------------------------- */

bool
ndi_word_settle(struct ndi_chan *c, uint32_t slot, uint64_t *word)
{
    _Atomic uint64_t *at = &ndi_slot_at(c, slot)->word;

    *word = ndi_load_acq(at);
    for (int tries = 0; ndi_word_is_reserved(*word) &&
                        tries < NDI_CAS_TRIES; tries++) {
        uint32_t owner = ndi_word_owner(*word);

        if (ndi_cas_seq(at, word, NDI_WORD_FREE)) {
            NDI_KILL_POINT("reclaim.word");
            if (owner > 0 && owner <= c->hub->party_count) {
                ndi_sub_seq(&c->counters[owner - 1].ahead, 1);
            }
            *word = NDI_WORD_FREE;
            return true;
        }
    }
    if (ndi_word_state(*word) == NDI_FREE && *word != NDI_WORD_FREE) {
        ndi_store_rel(at, NDI_WORD_FREE);
        NDI_KILL_POINT("collect.word");
        *word = NDI_WORD_FREE;
        return true;
    }
    return false;
}

/* Under the lock: a slot that is reserved or given up becomes room. */
static int
take_back(struct ndi_chan *c, uint32_t slot, bool *did)
{
    uint64_t word = ndi_load_acq(&ndi_slot_at(c, slot)->word);
    bool counts = ndi_word_is_reserved(word);
    uint32_t n = ndi_load_rlx(&c->h->unclaimed);
    int rc;

    if ((!counts && !ndi_word_is_given(word)) ||
        !ndi_word_settle(c, slot, &word)) {
        return 0;
    }
    *did = true;
    if (counts) {
        ndi_store_rlx(&c->h->unclaimed, n > 0 ? n - 1 : 0);
    }
    rc = ndi_slot_recycle(c, slot);
    // The word is FREE: that is the truth. Left dirty if that fails as well.
    return rc == 0 || ndi_chan_rebuild(c) == 0 ? 0 : NDS_ECORRUPT;
}

int
ndi_reserve_reclaim(struct ndi_chan *c, enum ndi_wait_for want, bool *did)
{
    uint32_t top = ndi_load_rlx(&c->h->top), n = ndi_lanes_used(c);
    bool any = want != NDI_WAIT_ROOM && ndi_load_acq(&c->h->given) != 0;
    int rc = 0;

    *did = false;
    if (any) {
        ndi_swap_seq(&c->h->given, 0); // pairs with ndi_give_up()
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t owner =
            ndi_owner_index(ndi_load_rlx(&c->lanes[i].owner));

        any |= owner < c->hub->party_count &&
               ndi_load_acq(&c->counters[owner].ahead) != 0;
    }
    for (uint32_t i = 0; any && i < top && i < c->nslots && rc == 0; i++) {
        rc = take_back(c, i, did);
    }
    return rc;
}

/* How many loans ahead are fair: of what is left, half in all. */
static uint32_t
fair(const struct ndi_chan *c, const struct ndi_need *need)
{
    uint64_t sharers = 2 * (uint64_t)ndi_lanes_used(c);
    uint64_t unclaimed = ndi_load_rlx(&c->h->unclaimed);
    uint64_t used = ndi_load_rlx(&c->h->bytes_used);
    uint64_t slots = (uint64_t)ndi_load_rlx(&c->h->free_count) + c->nslots -
                     ndi_load_rlx(&c->h->top);
    uint64_t n = c->reserve_want;

    if (unclaimed >= c->max_items || used >= c->max_bytes || sharers == 0) {
        return 0;
    }
    n = n < (c->max_items - unclaimed) / sharers
            ? n : (c->max_items - unclaimed) / sharers;
    n = n < slots / sharers ? n : slots / sharers;
    if (need->nbytes > 0 &&
        n > (c->max_bytes - used) / sharers / need->nbytes) {
        n = (c->max_bytes - used) / sharers / need->nbytes;
    }
    return (uint32_t)n;
}

/* Of another size than what comes now: they go back. */
static int
change_size(struct ndi_chan *c, uint64_t nbytes)
{
    uint32_t left = ndi_swap_seq(&c->reserve_left, 0);
    bool did;
    int rc = 0;

    for (uint32_t i = 0; i < left && rc == 0; i++) {
        rc = take_back(c, ndi_load_rlx(&c->reserve[i]), &did);
    }
    ndi_store_rlx(&c->reserve_nbytes, nbytes);
    c->reserve_want = 0;
    return rc;
}

int
ndi_reserve_more(struct ndi_chan *c, const struct ndi_need *need, uint32_t me)
{
    struct ndi_need one = *need;
    uint32_t slots[NDI_RESERVE];
    uint32_t n, i;

    if (need->kind != NDI_ITEM_INLINE || c->lane < 0) {
        return 0;
    }
    if (ndi_load_rlx(&c->reserve_nbytes) != need->nbytes) {
        return change_size(c, need->nbytes);
    }
    if (ndi_load_acq(&c->reserve_left) != 0) {
        return 0; // another thread was first
    }
    c->reserve_want = c->reserve_want == 0 ? 2 : c->reserve_want * 2;
    c->reserve_want = c->reserve_want < NDI_RESERVE ? c->reserve_want
                                                    : NDI_RESERVE;
    n = fair(c, need);
    for (i = 0; i < n; i++) {
        if (ndi_loan_locked(c, &one, ndi_word_reserved(me), &slots[i]) < 0) {
            break;
        }
        ndi_add_seq(&c->counters[me - 1].ahead, 1);
        NDI_KILL_POINT("reserve.counted");
    }
    for (uint32_t k = 0; k < i; k++) { // the first, freed last, goes first
        ndi_store_rlx(&c->reserve[i - 1 - k], slots[k]);
    }
    ndi_store_rel(&c->reserve_left, i);
    return 0;
}

bool
ndi_reserve_start(struct ndi_chan *c, const struct ndi_need *need,
                  uint32_t *slot)
{
    uint32_t left = ndi_load_acq(&c->reserve_left), me;

    if (left == 0 || need->kind != NDI_ITEM_INLINE ||
        ndi_load_rlx(&c->reserve_nbytes) != need->nbytes ||
        ndi_chan_me(c, &me) < 0) {
        return false;
    }
    while (left > 0) {
        struct ndi_slot *s;
        uint64_t word = ndi_word_reserved(me);

        if (!ndi_cas_seq(&c->reserve_left, &left, left - 1)) {
            continue;
        }
        *slot = ndi_load_rlx(&c->reserve[left - 1]);
        s = ndi_slot_at(c, *slot);
        if (ndi_cas_seq(&s->word, &word, ndi_word_make(NDI_LOANED, 0, me,
                                                       0))) {
            NDI_KILL_POINT("reserve.started");
            ndi_sub_seq(&c->counters[me - 1].ahead, 1);
            // Another thread may have changed the size since we looked.
            if (s->kind == NDI_ITEM_INLINE && s->extent == 0 &&
                s->nbytes == need->nbytes) {
                return true;
            }
            (void)ndi_chan_free(c, *slot, NDS_FOREVER);
            return false;
        }
        left = ndi_load_acq(&c->reserve_left);
    }
    return false;
}

/* ---- slots given up ----------------------------------------------------- */

bool
ndi_give_up(struct ndi_chan *c, uint32_t slot, uint64_t word)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);
    uint32_t before;
    bool did;

    if (ndi_load_rlx(&c->may_give_up) == 0 ||
        ndi_load_rlx(&s->word) != word) {
        return false;
    }
    ndi_store_rel(&s->word, ndi_word_make(NDI_FREE, 0, ndi_word_owner(word),
                                          0));
    NDI_KILL_POINT("giveup.word");
    // Between the word and the look at who searches or sleeps.
    ndi_fence_seq();
    if (ndi_load_rlx(&c->h->given) == 0) {
        ndi_store_rel(&c->h->given, 1);
    }
    before = ndi_swap_seq(&c->given, slot + 1);
    if (NDI_UNLIKELY(ndi_load_rlx(&c->h->room.asleep) != 0)) {
        ndi_event_wake(&c->h->room, 1);
    }
    if (before != 0 && ndi_chan_lock_by(c, 0) == 0) { // another thread's
        int rc = take_back(c, before - 1, &did);

        ndi_chan_unlock_after(c, rc);
    }
    return true;
}

int
ndi_give_up_over(struct ndi_chan *c)
{
    uint32_t given = ndi_load_rlx(&c->given);
    uint64_t used = ndi_load_rlx(&c->h->bytes_used);
    uint64_t slots = (uint64_t)ndi_load_rlx(&c->h->free_count) + c->nslots -
                     ndi_load_rlx(&c->h->top);
    bool did;

    ndi_store_rlx(&c->may_give_up,
                  used <= c->max_bytes / 2 && slots > c->nslots / 2);
    if (given == 0 || (given = ndi_swap_seq(&c->given, 0)) == 0) {
        return 0;
    }
    return take_back(c, given - 1, &did);
}
