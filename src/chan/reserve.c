/* SPDX-License-Identifier: MIT */
/*
 * reserve.c - loans that need no section of their own
 *
 * A section moves the lock's line and the counters' from one processor to the
 * other and back, which costs more than all the rest of a small item. So:
 *
 * A producer that puts small items of one size takes loans ahead, RESERVED:
 * they count as loans, but nobody fills them. It starts one by a CAS, without
 * the lock. Whoever finds the channel full, or shuts it down, takes them back
 * by a CAS as well, under the lock: the word decides who was first. The owner's
 * line of counters says that there may be some.
 *
 * Rebuilding makes them plain FREE slots, so the dead leave none. What
 * consumers have picked or given up (pick.c) is taken back here as well; the
 * header says that there may be some.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

/* ---- loans ahead -------------------------------------------------------- */

/* What a word that counts becomes; false: it does not count, or is what the
 * caches take it for. */
static bool
plain(uint64_t word, uint64_t *now)
{
    *now = ndi_word_state(word) == NDI_PICKED
               ? ndi_word_make(NDI_TAKEN, ndi_word_deliveries(word),
                               ndi_word_owner(word), ndi_word_seq(word))
               : NDI_WORD_FREE;
    return ndi_word_is_reserved(word) || ndi_word_is_given(word) ||
           ndi_word_state(word) == NDI_PICKED;
}

bool
ndi_word_settle(struct ndi_chan *c, uint32_t slot, uint64_t *word)
{
    _Atomic uint64_t *at = &ndi_slot_at(c, slot)->word;
    uint64_t now;

    *word = ndi_load_acq(at);
    for (int tries = 0; plain(*word, &now) && tries < NDI_CAS_TRIES; tries++) {
        uint32_t owner = ndi_word_owner(*word);
        bool was_got = !ndi_word_is_reserved(*word);

        if (ndi_word_is_given(*word)) {
            ndi_store_rel(at, now); // nobody else's while the lock is ours
        } else if (!ndi_cas_seq(at, word, now)) {
            continue; // its owner was first
        }
        NDI_KILL_POINT("settle.word");
        *word = now;
        if (was_got && owner > 0 && owner <= c->hub->party_count) {
            struct ndi_counters *n = &c->counters[owner - 1];

            ndi_store_rlx(&n->delivered, ndi_load_rlx(&n->delivered) + 1);
        }
        return true;
    }
    return false;
}

int
ndi_slot_take_back(struct ndi_chan *c, uint32_t slot, bool *did)
{
    uint32_t n = ndi_load_rlx(&c->h->unclaimed);
    uint64_t word;
    int rc;

    if (!ndi_word_settle(c, slot, &word)) {
        return 0;
    }
    *did = true;
    ndi_store_rlx(&c->h->unclaimed, n > 0 ? n - 1 : 0);
    if (word != NDI_WORD_FREE) {
        ndi_store_rlx(&c->h->room_gen, ndi_load_rlx(&c->h->room_gen) + 1);
        return 0;
    }
    rc = ndi_slot_recycle(c, slot);
    // The word is FREE: that is the truth. Left dirty if that fails as well.
    return rc == 0 || ndi_chan_rebuild(c) == 0 ? 0 : NDS_ECORRUPT;
}

int
ndi_reserve_reclaim(struct ndi_chan *c, bool *did)
{
    uint32_t top = ndi_load_rlx(&c->h->top), n = ndi_lanes_used(c);
    bool any = ndi_load_acq(&c->h->given) != 0;
    int rc = 0;

    *did = false;
    if (any) {
        ndi_swap_seq(&c->h->given, 0); // pairs with tell_of_room()
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t owner =
            ndi_owner_index(ndi_load_rlx(&c->lanes[i].owner));

        if (owner < c->hub->party_count &&
            ndi_load_rlx(&c->counters[owner].ahead) != 0) {
            ndi_store_rlx(&c->counters[owner].ahead, 0);
            any = true;
        }
    }
    for (uint32_t i = 0; any && i < top && i < c->nslots && rc == 0; i++) {
        rc = ndi_slot_take_back(c, i, did);
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
        rc = ndi_slot_take_back(c, ndi_load_rlx(&c->reserve[i]), &did);
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
        ndi_store_rlx(&c->counters[me - 1].ahead, 1);
        NDI_KILL_POINT("reserve.told");
        if (ndi_loan_locked(c, &one, ndi_word_reserved(me), &slots[i]) < 0) {
            break;
        }
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

        // A slow thread may put back what others have used up, or forget what
        // they took: the words know, and a search finds it.
        ndi_store_rlx(&c->reserve_left, --left);
        *slot = ndi_load_rlx(&c->reserve[left]);
        s = ndi_slot_at(c, *slot);
        if (ndi_cas_seq(&s->word, &word, ndi_word_make(NDI_LOANED, 0, me,
                                                       0))) {
            NDI_KILL_POINT("reserve.started");
            // Another thread may have changed the size since we looked.
            if (s->kind == NDI_ITEM_INLINE && s->extent == 0 &&
                s->nbytes == need->nbytes) {
                return true;
            }
            (void)ndi_chan_free(c, *slot, NDS_FOREVER);
            return false;
        }
    }
    return false;
}
