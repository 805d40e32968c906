/* SPDX-License-Identifier: MIT */
/*
 * parked.c - items kept aside, for an operator
 *
 * Parked are items whose consumers died too often or, by policy, once, and
 * those whose descriptor nobody could read. They hold their memory until
 * somebody takes, requeues or discards them. Each item changes by one store of
 * its word, so a kill in the middle leaves every one parked or not.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>
#include <string.h>

static uint32_t
slots_used(const struct ndi_chan *c)
{
    uint32_t top = ndi_load_acq(&c->h->top);

    return top < c->nslots ? top : c->nslots;
}

/* Under the lock: the oldest parked item behind `after` (0: of all). */
static bool
oldest(const struct ndi_chan *c, uint64_t after, uint32_t *slot,
       uint64_t *word)
{
    uint32_t top = slots_used(c);
    bool found = false;

    for (uint32_t i = 0; i < top; i++) {
        uint64_t w = ndi_load_acq(&ndi_slot_at(c, i)->word);

        if (ndi_word_state(w) == NDI_PARKED &&
            (after == 0 || ndi_seq_before(after, ndi_word_seq(w))) &&
            (!found || ndi_seq_before(ndi_word_seq(w),
                                      ndi_word_seq(*word)))) {
            *slot = i;
            *word = w;
            found = true;
        }
    }
    return found;
}

static int
claim_parked(struct ndi_chan *c, uint64_t after, uint32_t *slot,
             uint64_t *word)
{
    uint32_t me;
    int rc = ndi_chan_lock(c);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_chan_me(c, &me);
    if (rc == 0) {
        rc = oldest(c, after, slot, word) ? 0 : NDS_EAGAIN;
    }
    if (rc == 0) {
        *word = ndi_word_make(NDI_TAKEN, ndi_word_deliveries(*word), me,
                              ndi_word_seq(*word));
        ndi_store_rel(&ndi_slot_at(c, *slot)->word, *word);
        NDI_KILL_POINT("parked.taken");
    }
    ndi_chan_unlock(c);
    return rc;
}

int
ndi_parked_take(struct ndi_chan *c, nds_array **out, nds_tag *tag)
{
    uint64_t word = 0, after = 0;
    uint32_t slot = 0;
    int rc, bad = NDS_EAGAIN;

    *out = NULL;
    // One that cannot be opened is parked again and must not hide the others.
    while ((rc = claim_parked(c, after, &slot, &word)) == 0) {
        rc = ndi_item_open(c, NDI_TAKE, slot, word, out, tag);
        if (rc != NDS_ECORRUPT && rc != NDS_ENOENT && rc != NDS_EPROTO) {
            return rc;
        }
        bad = rc;
        after = ndi_word_seq(word);
    }
    return rc == NDS_EAGAIN ? bad : rc;
}

int
ndi_parked_requeue(struct ndi_chan *c, uint64_t *count)
{
    uint32_t top;
    int rc = ndi_chan_lock(c);

    *count = 0;
    if (rc < 0) {
        return rc;
    }
    top = slots_used(c);
    for (uint32_t i = 0; i < top; i++) {
        struct ndi_slot *s = ndi_slot_at(c, i);
        uint64_t w = ndi_load_acq(&s->word);

        if (ndi_word_state(w) == NDI_PARKED) {
            ndi_store_rel(&s->word,
                          ndi_word_make(NDI_BACK, 1, 0, ndi_word_seq(w)));
            NDI_KILL_POINT("parked.requeued");
            ++*count;
        }
    }
    if (*count > 0) {
        rc = ndi_chan_rebuild(c); // they belong in front, in their order
    }
    ndi_chan_unlock_after(c, rc < 0 ? NDS_ECORRUPT : 0);
    ndi_event_signal(&c->h->items, INT32_MAX);
    return rc;
}

int
ndi_parked_discard(struct ndi_chan *c, uint64_t *count)
{
    uint32_t me = 0, top;
    int rc = ndi_chan_lock(c);

    *count = 0;
    if (rc < 0) {
        return rc;
    }
    rc = ndi_chan_me(c, &me);
    top = slots_used(c);
    for (uint32_t i = 0; i < top && rc == 0; i++) {
        struct ndi_slot *s = ndi_slot_at(c, i);
        uint64_t w = ndi_load_acq(&s->word);

        if (ndi_word_state(w) != NDI_PARKED) {
            continue;
        }
        if (s->kind == NDI_ITEM_TICKET) {
            char name[NDI_TICKET_NAME];

            // Ours before its file goes: without it nobody must meet it.
            ndi_store_rel(&s->word, ndi_word_make(NDI_LOANED, 0, me,
                                                  ndi_word_seq(w)));
            NDI_KILL_POINT("parked.ours");
            ndi_ticket_name(c, i, name);
            ndi_shm_unlink(name);
            NDI_KILL_POINT("parked.unlinked");
        }
        ndi_store_rel(&s->word, ndi_word_make(NDI_FREE, 0, 0, 0));
        NDI_KILL_POINT("parked.freed");
        ++*count;
        rc = ndi_slot_recycle(c, i);
        if (rc == NDS_ECORRUPT) {
            rc = ndi_chan_rebuild(c);
        }
    }
    ndi_chan_unlock_after(c, rc < 0 ? NDS_ECORRUPT : 0);
    ndi_event_signal(&c->h->room, INT32_MAX);
    return rc;
}

static int
by_seq(const void *a, const void *b)
{
    const nds_parked *x = a, *y = b;

    return x->seq == y->seq ? 0 : ndi_seq_before(x->seq, y->seq) ? -1 : 1;
}

int
ndi_parked_list(struct ndi_chan *c, int room, nds_parked *out, int *count)
{
    uint32_t top;
    int rc = ndi_chan_lock(c);

    *count = 0;
    if (rc < 0) {
        return rc;
    }
    top = slots_used(c);
    for (uint32_t i = 0; i < top && *count < room; i++) {
        const struct ndi_slot *s = ndi_slot_at(c, i);
        uint64_t w = ndi_load_acq(&s->word);
        uint32_t n = s->tag_nbytes;

        if (ndi_word_state(w) == NDI_PARKED) {
            nds_parked *p = &out[(*count)++];

            *p = (nds_parked){.seq = ndi_word_seq(w), .nbytes = s->nbytes,
                              .deliveries = ndi_word_deliveries(w)};
            p->tag.nbytes = n <= NDI_TAG_NBYTES ? n : 0;
            memcpy(p->tag.bytes, s->tag, p->tag.nbytes);
        }
    }
    ndi_chan_unlock(c);
    qsort(out, (size_t)*count, sizeof *out, by_seq);
    return 0;
}
