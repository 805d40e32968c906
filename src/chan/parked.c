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

struct entry {
    uint64_t age;
    uint64_t word;
    uint32_t slot;
};

static int
by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->age == y->age ? 0 : x->age < y->age ? -1 : 1;
}

/* Under the lock: what is parked, oldest first.       [caller frees *out] */
static int
gather(const struct ndi_chan *c, struct entry **out, uint32_t *count)
{
    uint64_t next = ndi_load_seq(&c->h->next_seq);
    uint32_t top = slots_used(c), n = 0;
    struct entry *e = malloc((top + 1) * sizeof *e);

    *out = e;
    *count = 0;
    if (e == NULL) {
        return ndi_fail_nomem(top * sizeof *e, "a list of parked items");
    }
    for (uint32_t i = 0; i < top; i++) {
        uint64_t w = ndi_load_acq(&ndi_slot_at(c, i)->word);

        if (ndi_word_state(w) == NDI_PARKED) {
            e[n++] = (struct entry){ndi_seq_age(ndi_word_seq(w), next), w, i};
        }
    }
    qsort(e, n, sizeof *e, by_age);
    *count = n;
    return 0;
}

/* NDS_EAGAIN: somebody has it. Else *word is TAKEN(me). */
static int
claim_parked(struct ndi_chan *c, const struct entry *e, uint64_t *word)
{
    struct ndi_slot *s = ndi_slot_at(c, e->slot);
    uint32_t me;
    int rc = ndi_chan_lock(c);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_chan_me(c, &me);
    if (rc == 0) {
        rc = ndi_load_acq(&s->word) == e->word ? 0 : NDS_EAGAIN;
    }
    if (rc == 0) {
        *word = ndi_word_make(NDI_TAKEN, ndi_word_deliveries(e->word), me,
                              ndi_word_seq(e->word));
        ndi_store_rel(&s->word, *word);
        NDI_KILL_POINT("parked.taken");
    }
    ndi_chan_unlock(c);
    return rc;
}

int
ndi_parked_take(struct ndi_chan *c, nds_array **out, nds_tag *tag)
{
    struct entry *e = NULL;
    uint32_t count = 0;
    int rc = ndi_chan_lock(c), bad = NDS_EAGAIN;

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    rc = gather(c, &e, &count);
    ndi_chan_unlock(c);
    // One that cannot be opened is parked again and must not hide the others;
    // nor may it come round again, so this is a list and not a search.
    for (uint32_t i = 0; i < count; i++) {
        uint64_t word = 0;

        rc = claim_parked(c, &e[i], &word);
        if (rc == 0) {
            rc = ndi_item_open(c, NDI_TAKE, e[i].slot, word, out, tag,
                               NDS_FOREVER);
            bad = rc;
        }
        if (rc != NDS_EAGAIN && rc != NDS_ECORRUPT && rc != NDS_ENOENT &&
            rc != NDS_EPROTO) {
            break;
        }
        rc = bad;
    }
    free(e);
    return count == 0 && rc == 0 ? NDS_EAGAIN : rc;
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

int
ndi_parked_list(struct ndi_chan *c, int room, nds_parked *out, int *count)
{
    struct entry *e = NULL;
    uint32_t n = 0;
    int rc = ndi_chan_lock(c);

    *count = 0;
    if (rc < 0) {
        return rc;
    }
    rc = gather(c, &e, &n);
    for (uint32_t i = 0; i < n && *count < room; i++) {
        const struct ndi_slot *s = ndi_slot_at(c, e[i].slot);
        nds_parked *p = &out[(*count)++];
        uint32_t used = s->tag_nbytes;

        *p = (nds_parked){.seq = ndi_word_seq(e[i].word), .nbytes = s->nbytes,
                          .deliveries = ndi_word_deliveries(e[i].word)};
        p->tag.nbytes = used <= NDI_TAG_NBYTES ? used : 0;
        memcpy(p->tag.bytes, s->tag, p->tag.nbytes);
    }
    ndi_chan_unlock(c);
    free(e);
    return rc;
}
