/* SPDX-License-Identifier: MIT */
/* step_chan.c - see step_chan.h */
#include "step_chan.h"

#include <inttypes.h>
#include <string.h>
#include <sync/word.h>

#define NUMBERS 256
#define SLOTS_WATCHED 8

nds_queue *step_queue;

const struct step_case *
step_case(void)
{
    return step_arg();
}

struct ndi_chan *
step_chan(void)
{
    return &(*(struct ndi_hub **)step_queue)->chan[0];
}

void
step_watch_chan(const struct ndi_chan *c)
{
    step_watch(c->h, sizeof *c->h);
    step_blur((const char *)&c->h->lock + offsetof(struct ndi_lock, thread),
              4);
    step_blur((const void *)&c->h->get_cpu, 4);
    step_watch((const void *)c->counters, 6 * sizeof *c->counters);
    step_watch((const void *)c->free, 16 * sizeof *c->free);
    step_watch(c->arena.map, NDI_ARENA_MAP_NBYTES(8));
    step_watch(c->data, 4096);
    for (unsigned i = 0; i < 4; i++) {
        step_watch(&c->lanes[i], sizeof *c->lanes);
        step_blur((const void *)&c->lanes[i].cpu, 4);
        step_watch((const void *)&c->rings[(uint64_t)i * c->lane_entries],
                   64);
    }
    for (unsigned i = 0; i < SLOTS_WATCHED; i++) {
        step_watch(&c->slots[i], 512);
    }
}

nds_array *
step_item(int64_t count, int number, enum nds_reach reach)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    nds_array *a = NULL;
    double *d;

    must(nds_array_new(&a, NDS_FLOAT64, 1, &count, &opts));
    d = nds_array_data(a);
    for (int64_t i = 0; i < count; i++) {
        d[i] = number + (double)i / 1024;
    }
    return a;
}

static nds_tag
tag_of(int number)
{
    nds_tag tag = {.nbytes = sizeof number};

    memcpy(tag.bytes, &number, sizeof number);
    return tag;
}

void
step_put(int number)
{
    const struct step_case *k = step_case();
    nds_array *a = step_item(k->count, number, k->reach);
    nds_tag tag = tag_of(number);

    if (k->reach == NDS_SHAREABLE) {
        must(nds_queue_put_move(step_queue, &a, &tag, NDS_SEC(5)));
    } else {
        must(nds_queue_put(step_queue, a, &tag, NDS_SEC(5)));
    }
    nds_array_close(a);
}

void
step_queue_make(void)
{
    const struct step_case *k = step_case();
    nds_queue_options opts = {.size = sizeof opts,
                              .max_items = k->max_items,
                              .max_bytes = 1 << 20,
                              .redelivery = k->policy,
                              .acknowledge = k->acknowledge};

    must(nds_queue_new(&step_queue, &opts));
    step_watch_segment(step_chan()->hub->segment);
    step_watch_chan(step_chan());
    if (k->laneless) {
        step_chan()->nlanes = 0; // as the 65th producer finds it
    }
    for (int i = 1; i <= k->old; i++) {
        step_put(i);
    }
}

void
step_queue_over(void)
{
    nds_queue_close(step_queue);
    step_queue = NULL;
}

/* ---- what was there when it was killed ---------------------------------- */

struct scene {
    bool there[NUMBERS];
    uint32_t deliveries[NUMBERS]; /* as they must arrive */
    unsigned count;
    unsigned parked; /* will be, by policy, when the dead are buried */
};

static void
look(struct ndi_chan *c, struct scene *out)
{
    uint32_t top = ndi_load_acq(&c->h->top);

    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < top && i < c->nslots; i++) {
        const struct ndi_slot *s = ndi_slot_at(c, i);
        uint64_t word = ndi_load_acq(&s->word);
        uint32_t state = ndi_word_state(word);
        int number = -1;

        bool taken = state == NDI_TAKEN || state == NDI_PICKED;

        if (!ndi_word_waits(word) && !taken) {
            continue;
        }
        memcpy(&number, s->tag, sizeof number);
        need(s->tag_nbytes == sizeof number && number > 0 && number < NUMBERS,
             "slot %u is an item and has tag %d", i, number);
        need(!out->there[number], "item %d stands in two slots", number);
        if (taken && step_case()->policy != NDS_REDELIVER) {
            out->parked += step_case()->policy == NDS_PARK;
            continue; // was being consumed: not again
        }
        out->there[number] = true;
        out->deliveries[number] =
            ndi_word_deliveries(word) + taken;
        out->count++;
    }
}

/* What the first of two victims left. */
static struct scene kept;
static bool has_kept;

void
step_queue_between(void)
{
    look(step_chan(), &kept);
    has_kept = true;
}

static void
need_kept(const struct scene *s, const struct step_now *now)
{
    const struct step_case *k = step_case();

    for (int i = 1; i < STEP_NEW; i++) {
        bool takes = i <= k->takes;

        need(s->there[i] || !kept.there[i] || takes,
             "item %d outlived the first to die, and is lost", i);
        need(!s->there[i] || kept.there[i],
             "item %d died with the first, and is there", i);
        need(!s->there[i] || !takes || !now->ended,
             "item %d had been taken out", i);
        need(!s->there[i] || takes || s->deliveries[i] == kept.deliveries[i],
             "item %d: to be delivered after %u times, not %u", i,
             s->deliveries[i], kept.deliveries[i]);
    }
}

/* Against what the operation may have done. */
static void
need_history(const struct scene *s, const struct step_now *now)
{
    const struct step_case *k = step_case();

    if (has_kept) {
        need_kept(s, now);
    }
    for (int i = 1; i <= k->old && !has_kept; i++) {
        need(s->there[i] || i <= k->takes, "item %d is lost", i);
        need(!s->there[i] || i > k->takes || !now->ended,
             "item %d had been taken out", i);
    }
    for (int i = 0; i < k->adds; i++) {
        need(s->there[STEP_NEW + i] || !now->ended, "item %d had been put",
             STEP_NEW + i);
        need(!s->there[STEP_NEW + i] || i == 0 ||
                 s->there[STEP_NEW + i - 1],
             "item %d is there before the one before it", STEP_NEW + i);
    }
    need(k->extra == 0 || s->there[k->extra], "item %d is lost", k->extra);
    for (int i = STEP_NEW + k->adds; i < NUMBERS; i++) {
        need(!s->there[i], "item %d was never put", i);
    }
}

static void
need_payload(const nds_array *a, int number)
{
    const nds_view *v = nds_array_view(a);
    const double *d = nds_array_data(a);

    for (int64_t i = 0; i < v->shape[0]; i++) {
        need(d[i] == number + (double)i / 1024, "item %d, element %" PRId64
             ": %g", number, i, d[i]);
    }
}

static void
receive_all(const struct step_ends *ends, const struct scene *s, int next)
{
    int last_old = 0, last_new = 0;
    bool had_next = false;
    unsigned count = 0;
    nds_array *a = NULL;
    nds_tag tag;
    int rc, number;

    while ((rc = ends->receive(&a, &tag)) == 0) {
        need(a != NULL && tag.nbytes == sizeof number, "an item of no kind");
        memcpy(&number, tag.bytes, sizeof number);
        need_payload(a, number);
        if (number == next) {
            need(!had_next, "the finisher's own item came twice");
            had_next = true;
        } else {
            need(number > 0 && number < NUMBERS && s->there[number],
                 "item %d was not there", number);
            need(nds_queue_deliveries(a) == s->deliveries[number],
                 "item %d: delivered %u times before, not %u", number,
                 s->deliveries[number], nds_queue_deliveries(a));
            need(number > (number < STEP_NEW ? last_old : last_new),
                 "item %d is late or came twice", number);
            *(number < STEP_NEW ? &last_old : &last_new) = number;
            count++;
        }
        nds_array_close(a);
    }
    need(rc == NDS_EAGAIN || rc == NDS_EEOF || rc == NDS_EBROKEN,
         "receive: %d %s", rc, nds_last_error()->message);
    need(count == s->count, "%u items were there, %u arrived", s->count,
         count);
    need(had_next == (next > 0), "the finisher's own item is lost");
}

static bool
in_a_lane(const struct ndi_chan *c, uint32_t slot, uint64_t seq)
{
    for (uint32_t i = 0; i < c->nlanes; i++) {
        uint64_t tail = ndi_load_acq(&c->lanes[i].tail);

        for (uint64_t at = ndi_load_acq(&c->lanes[i].head); at != tail;
             at++) {
            if (ndi_load_rlx(&c->rings[(uint64_t)i * c->lane_entries +
                                       (at & (c->lane_entries - 1))]) ==
                ((uint64_t)slot << NDI_SEQ_BITS | seq)) {
                return true;
            }
        }
    }
    return false;
}

/* What ndi_chan_valid does not compare: reservations, and that every item can
 * be reached. One whose producer died between READY and its lane is found by
 * the burial of that producer. */
static void
need_caches(struct ndi_chan *c)
{
    struct ndi_party *p = &c->hub->segment->party;
    uint32_t unclaimed = 0, listed = 0;

    need(ndi_chan_valid(c) == 0, "words and caches: %s",
         nds_last_error()->message);
    must(ndi_chan_lock(c));
    for (uint32_t i = 0; i < ndi_load_acq(&c->h->top); i++) {
        const struct ndi_slot *s = ndi_slot_at(c, i);
        uint64_t word = ndi_load_acq(&s->word);
        uint32_t state = ndi_word_state(word), owner = ndi_word_owner(word);
        bool waits = ndi_word_waits(word);
        bool dead = state == NDI_READY && owner > 0 && owner <= p->count &&
                    ndi_party_is_dead(
                        p, ndi_owner_make(owner - 1, ndi_load_acq(
                                              &p->slots[owner - 1].gen)));

        unclaimed += waits || state == NDI_PICKED ||
                     ndi_word_is_given(word) ||
                     (state == NDI_LOANED && ndi_word_seq(word) == 0);
        listed += ndi_load_rlx(&s->listed) != 0;
        need(!waits || dead || ndi_load_rlx(&s->listed) != 0 ||
                 in_a_lane(c, i, ndi_word_seq(word)),
             "slot %u waits in no lane and no list", i);
    }
    need(unclaimed == ndi_load_rlx(&c->h->unclaimed),
         "%u reservations, counted %u", unclaimed,
         ndi_load_rlx(&c->h->unclaimed));
    need(listed == ndi_load_rlx(&c->h->list_count), "%u listed, counted %u",
         listed, ndi_load_rlx(&c->h->list_count));
    ndi_chan_unlock(c);
}

static void
need_empty(struct ndi_chan *c, const struct scene *s)
{
    uint64_t parked_nbytes = s->parked * (uint64_t)step_case()->count * 8;
    nds_queue_info info = {.size = sizeof info};

    need(ndi_chan_info(c, &info) == 0, "info");
    need(info.loaned + info.taken + info.items == 0 &&
             info.parked == s->parked && info.bytes_used == parked_nbytes,
         "left: %d loaned, %d taken, %d items, %d parked, %d bytes",
         (int)info.loaned, (int)info.taken, (int)info.items,
         (int)info.parked, (int)info.bytes_used);
    need_caches(c);
    need(ndi_arena_room(&c->arena) == c->arena.nbytes, "the arena leaks");
    // The marker of the channel, and no item's file.
    need(step_world_names() <= 1, "%u names beside the marker",
         step_world_names() - 1);
}

void
step_chan_finish(struct ndi_chan *c, const struct step_ends *ends,
                 const struct step_now *now)
{
    nds_tag tag = tag_of(STEP_NEXT);
    nds_array *a = step_item(8, STEP_NEXT, NDS_HEAP);
    struct scene s;
    bool closed = ndi_load_acq(&c->h->closed) != 0;
    int rc;

    look(c, &s);
    need_history(&s, now);
    need(!closed || step_case()->closes, "nobody had shut it down");
    need(closed || !now->ended || !step_case()->closes, "it had shut it down");
    rc = ends->send(a, &tag);
    need(rc == (closed ? NDS_ECLOSED : 0), "send: %d %s", rc,
         nds_last_error()->message);
    nds_array_close(a);
    // Before burial, which makes the caches anew in any case: who took the lock
    // after the kill must have known that they are not to be believed.
    need_caches(c);
    step_need_buried(&c->hub->segment->party);
    receive_all(ends, &s, closed ? 0 : STEP_NEXT);
    need_empty(c, &s);
}

void
step_chan_drain(struct ndi_chan *c, const struct step_ends *ends,
                const struct step_now *now)
{
    nds_array *a = NULL;
    struct scene s;
    nds_tag tag;
    int rc;

    look(c, &s);
    need_history(&s, now);
    step_need_buried(&c->hub->segment->party);
    receive_all(ends, &s, 0);
    rc = ends->receive(&a, &tag);
    need(rc == NDS_EEOF, "after the last item: %d", rc);
    need_empty(c, &s);
}

/* ---- a queue's two ends ------------------------------------------------- */

static int
queue_send(const nds_array *a, const nds_tag *tag)
{
    return nds_queue_put(step_queue, a, tag, NDS_SEC(5));
}

static int
queue_receive(nds_array **out, nds_tag *tag)
{
    int rc = nds_queue_get(step_queue, out, tag, 0);

    if (rc == 0 && step_case()->acknowledge) {
        need(nds_queue_task_done(step_queue) == 0, "task_done: %s",
             nds_last_error()->message);
    }
    return rc;
}

void
step_queue_finish(const struct step_now *now)
{
    static const struct step_ends ends = {queue_send, queue_receive};

    step_chan_finish(step_chan(), &ends, now);
}
