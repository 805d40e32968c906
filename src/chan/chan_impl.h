/* SPDX-License-Identifier: MIT */
/*
 * chan_impl.h - inside the channel room
 *
 * A hub is one segment with one or two channels in it (a two-way pipe has
 * two) and one table of participants. Handles and the arrays that still view
 * its memory count it.
 *
 * `struct ndi_chan` holds checked copies of the constants; whatever is read
 * from the segment later is checked against them.
 */
#ifndef NDI_CHAN_IMPL_H
#define NDI_CHAN_IMPL_H

#include <array/array_impl.h>
#include <chan/chan_layout.h>
#include <mem/arena.h>
#include <mem/warm.h>
#include <ndshare/chan.h>
#include <sync/word.h>

#include <pthread.h>

struct ndi_hub;

#define NDI_RUN 64 /* items of one section, at most */
/* How often a try looks again after it has buried somebody: not for ever, for
 * a neighbour can invent the dead. */
#define NDI_TRY_LOOKS 2
#define NDI_RESERVE 16 /* loans ahead, at most */
#define NDI_GIVEN 16   /* slots given up that are collected at once, at most */

/* What this process knows of a lane: all entries before `at` mean nothing any
 * more, the last of them had this number (0: it knows nothing). */
struct ndi_cursor {
    _Atomic uint64_t at;
    _Atomic uint64_t seq;
    _Atomic uint64_t tail; /* when last looked at */
};

struct ndi_chan {
    struct ndi_hub *hub;
    uint32_t index;
    struct ndi_chan_header *h;
    struct ndi_lane *lanes;
    struct ndi_counters *counters;
    struct ndi_slot *slots;
    _Atomic uint32_t *free;
    _Atomic uint64_t *rings;
    unsigned char *data; /* the arena */
    struct ndi_arena arena;
    uint32_t nslots;
    uint32_t nlanes;
    uint32_t lane_entries;
    uint32_t max_items;
    uint32_t max_deliveries;
    uint32_t policy;
    bool acknowledge;
    uint64_t max_bytes;
    uint32_t burst; /* changes of room_gen that a full producer spins for */
    /* Of this process image: */
    pthread_mutex_t publish_mutex; /* guards the lane's tail and seq order */
    int lane;                      /* -1: none (yet) */
    uint64_t lane_tail;            /* of it: ours */
    uint64_t lane_head;            /* when last looked at */
    _Atomic uint32_t last_nbytes; /* of the last item got, if in its slot */
    _Atomic int64_t spin_get_ns;   /* learned */
    _Atomic int64_t spin_put_ns;
    _Atomic int64_t spin_told_ns; /* after being woken for nothing yet */
    _Atomic uint32_t spins; /* how often it came to that */
    _Atomic int64_t alive_ns;    /* when not all consumers had died */
    _Atomic uint32_t lock_stuck; /* the last wait for the lock was in vain */
    bool sparse;                 /* trim.c, from here on */
    uint64_t keep;               /* free memory that stays */
    _Atomic int64_t epoch_ns;    /* when it began; 0: never */
    _Atomic uint64_t peak_now;   /* the highest end of an extent in it */
    _Atomic uint64_t peak_before;
    _Atomic uint64_t moves; /* of the whole channel, when it began */
    _Atomic uint64_t warm_from; /* bytes of the arena that had memory when */
    _Atomic uint64_t warm_to;   /* looked at ... */
    _Atomic int64_t warm_ns;    /* ... then, or a moment later; 0: never */
    _Atomic uint64_t turn; /* extent.c: where the last one of a round ended */
    struct ndi_bell *_Atomic bell; /* pollable descriptor; NULL: never asked */
    /* reserve.c. Loans ahead, all of one size; what the words say counts. */
    _Atomic uint32_t reserve_left;
    _Atomic uint32_t reserve[NDI_RESERVE];
    _Atomic uint64_t reserve_nbytes;
    uint32_t reserve_want;         /* under the channel's lock */
    /* pick.c */
    struct ndi_cursor cursor[NDI_LANES_MAX];
    _Atomic uint32_t given[NDI_GIVEN]; /* slot + 1 given up, not collected */
    _Atomic uint32_t given_count;
    uint32_t give; /* so many at once, a power of two */
};

struct ndi_hub {
    _Atomic uint32_t refs;
    struct ndi_segment *segment;
    struct ndi_hub_header *h;
    uint32_t nchans;
    uint32_t pipe;
    uint32_t party_count;
    uint64_t id[2]; /* of the segment, for hidden names */
    void *marker;   /* keeps ".nds-<id>-q" in use; NULL: no hidden names */
    struct ndi_chan chan[NDI_HUB_CHANS];
    /* Of this process image: */
    _Atomic uint64_t epoch;
    pthread_mutex_t mutex; /* guards held */
    struct ndi_held *held_first; /* got, to be acknowledged: oldest first */
    struct ndi_held *held_last;
    _Atomic int64_t swept_ns;
};

/* What one slot is to the process that owns it. */
enum ndi_held_state {
    NDI_HELD_LOAN,    /* a producer fills it */
    NDI_HELD_TAKEN,   /* taken, until release */
    NDI_HELD_GOT,     /* got from a queue with acknowledge, until task_done */
    NDI_HELD_ADOPTED, /* has left the queue, memory still in use */
    NDI_HELD_OVER     /* published, released or never in the queue */
};

struct ndi_held {
    _Atomic uint32_t refs;   /* the array's memory; the list */
    _Atomic uint32_t status; /* enum ndi_held_state, and whether it is open */
    struct ndi_chan *chan; /* counts its hub */
    uint64_t epoch;
    uint64_t word; /* as stored when it became ours */
    uint32_t slot;
    bool listed;
    struct ndi_held *prev;
    struct ndi_held *next;
};

/* ---- hub.c ------------------------------------------------------------- */
struct ndi_hub_spec {
    const char *name; /* NULL: anonymous */
    uint32_t pipe;
    uint32_t max_items;
    uint64_t max_bytes;
    uint32_t policy;
    uint32_t max_deliveries;
    bool acknowledge;
    unsigned mode_bits;
    enum nds_lifetime lifetime;
    enum nds_huge huge;
    uint64_t keep; /* 0: the default */
};
int ndi_hub_create(struct ndi_hub **out, const struct ndi_hub_spec *spec);
/* Takes over the count on s, also on failure. Checks all it reads. */
int ndi_hub_over(struct ndi_hub **out, struct ndi_segment *s);
struct ndi_hub *ndi_hub_get(struct ndi_hub *hub);
void ndi_hub_put(struct ndi_hub *hub);
/* Makes the local state this image's own after a fork. First in every call. */
void ndi_hub_enter_new_image(struct ndi_hub *hub);
static inline void
ndi_hub_enter_image(struct ndi_hub *hub)
{
    if (NDI_UNLIKELY(ndi_load_acq(&hub->epoch) != ndi_fork_epoch())) {
        ndi_hub_enter_new_image(hub);
    }
}
/* The hidden name of a slot's ticket, as ".nds-<id>-<n>". */
#define NDI_TICKET_NAME 64
void ndi_ticket_name(const struct ndi_chan *c, uint32_t slot,
                     char out[NDI_TICKET_NAME]);

/* ---- trim.c ------------------------------------------------------------ */
extern int64_t ndi_trim_epoch_ns;
/* Under the lock: an extent that ends there was loaned or freed. */
void ndi_chan_saw_end(struct ndi_chan *c, uint64_t end);
/* Free memory of the arena beyond its first `keep` bytes goes back. */
int ndi_chan_trim(struct ndi_chan *c, uint64_t keep);
/* An item is about to put memory where there is none: free memory elsewhere
 * that is more than is to be kept goes first. */
void ndi_chan_grows(struct ndi_chan *c, uint64_t cold);
/* The same once in a while, of what has not been needed lately; without the
 * lock. idle: only if nothing moves. */
void ndi_chan_trim_now_and_then(struct ndi_chan *c, bool idle);
/* Were these bytes of the arena looked at a moment ago, and have memory? Another
 * process may have taken it since: then it comes by small pages. */
bool ndi_chan_is_warm(const struct ndi_chan *c, uint64_t from, uint64_t to);
void ndi_chan_warmed(struct ndi_chan *c, uint64_t from, uint64_t to);

/* ---- copy.c ------------------------------------------------------------ */
/* A payload into a loan, without the lock. */
void ndi_chan_copy(struct ndi_chan *c, void *to, const void *from,
                   uint64_t nbytes);

/* ---- extent.c ---------------------------------------------------------- */
struct ndi_need;
/* Under the lock: takes an extent out of the arena. */
int ndi_chan_extent(struct ndi_chan *c, const struct ndi_need *need,
                    uint64_t *off);

/* ---- ring.c ------------------------------------------------------------ */
struct ndi_need {
    enum ndi_item_kind kind;
    uint64_t nbytes; /* of payload */
    uint64_t extent; /* of arena, 0 none */
    uint64_t align;
    uint64_t off; /* out: of the extent; what the slot says may change */
};
/* Repaired; dirty is set. NDS_EBUSY when the deadline, but at least a tenth of
 * ndi_patience_ns and at most all of it, is over. */
int ndi_chan_lock_by(struct ndi_chan *c, int64_t deadline);
int ndi_chan_lock(struct ndi_chan *c); /* with all our patience */
void ndi_chan_unlock(struct ndi_chan *c);
static inline struct ndi_slot *
ndi_slot_at(const struct ndi_chan *c, uint32_t slot)
{
    return &c->slots[slot];
}
/* Serial numbers go round, so "older" is no order among any numbers at all,
 * and qsort may leave its memory with what is none. Counted from half a round
 * before next_seq it is one, and the same for numbers that are in use. */
static inline uint64_t
ndi_seq_age(uint64_t seq, uint64_t next)
{
    return (seq - next + (UINT64_C(1) << (NDI_SEQ_BITS - 1))) & NDI_SEQ_MASK;
}
/* Bytes a slot counts against the bound; false if they make no sense. */
bool ndi_slot_cost(const struct ndi_chan *c, uint32_t slot, uint64_t *cost);
/* Index + 1 as in words, joining first if need be. */
int ndi_chan_me_anew(struct ndi_chan *c, uint32_t *me);
static inline int
ndi_chan_me(struct ndi_chan *c, uint32_t *me)
{
    *me = ndi_owner_index(ndi_party_self(&c->hub->segment->party)) + 1;
    return NDI_LIKELY(*me - 1 < c->hub->party_count) ? 0
                                                     : ndi_chan_me_anew(c, me);
}
/* What a waiter waits for: items, room for one, bytes or a slot for it (then
 * it has room), everything done. */
enum ndi_wait_for {
    NDI_WAIT_ITEMS,
    NDI_WAIT_ROOM,
    NDI_WAIT_BYTES,
    NDI_WAIT_DONE
};
/* The look that failed: what there was too little of, and room_gen then.
 * search: also through all words, for what others have not used or not told. */
struct ndi_full {
    enum ndi_wait_for what;
    uint32_t gen;
    bool search;
};
/* As many of the n as there is room for, in order, in one section: 0 with *got
 * of them, or NDS_EAGAIN full; NDS_ECLOSED. */
int ndi_chan_loan(struct ndi_chan *c, struct ndi_need *needs, int n,
                  uint32_t *slots, int *got, struct ndi_full *full,
                  int64_t deadline);
/* Under the lock: one of them; word is what the slot will say. */
int ndi_loan_locked(struct ndi_chan *c, struct ndi_need *need, uint64_t word,
                    uint32_t *slot);
/* The loans become items, in order: each READY store commits one. The lock
 * is waited for only where the lane is full; NDS_EBUSY: they are loans
 * still. */
int ndi_chan_publish(struct ndi_chan *c, const uint32_t *slots, int n,
                     int64_t deadline);
bool ndi_chan_has_items(struct ndi_chan *c);
/* Quicker, and may say yes when others have taken them, until somebody looks
 * or claims. */
bool ndi_chan_may_have_items(const struct ndi_chan *c);
/* Asks for a slot's lines, its word's to write it. */
void ndi_slot_prefetch(const struct ndi_chan *c, uint64_t slot,
                       uint64_t nbytes);
/* The same for the item that will probably be claimed next; of more than one
 * their words and descriptors. */
void ndi_chan_prefetch(const struct ndi_chan *c, int room);
int64_t ndi_chan_size(struct ndi_chan *c);
int ndi_chan_close(struct ndi_chan *c);
/* Under the lock: */
void ndi_list_insert(struct ndi_chan *c, uint32_t slot, uint64_t seq);
void ndi_list_remove(struct ndi_chan *c, uint32_t slot);
uint32_t ndi_lanes_used(const struct ndi_chan *c);
/* The oldest entry of a lane that still means an item. */
bool ndi_lane_head(struct ndi_chan *c, uint32_t lane, uint32_t *slot,
                   uint64_t *word);
int ndi_chan_mend(struct ndi_chan *c, int rc, bool *again);
void ndi_chan_unlock_after(struct ndi_chan *c, int rc);

/* ---- claim.c ------------------------------------------------------------ */
/* At most room items, oldest first, in one section: 0 with *got of them, or
 * NDS_EAGAIN nothing; NDS_EEOF closed and drained. words: TAKEN(me). */
int ndi_chan_claim(struct ndi_chan *c, int room, uint32_t *slots,
                   uint64_t *words, int *got, int64_t deadline);
/* What becomes of a slot of ours. */
struct ndi_settled {
    uint32_t slot;
    bool keep; /* its memory is looked at still: LOANED with its seq */
};
/* LOANED or TAKEN -> FREE, TAKEN -> LOANED with its seq: the items have left
 * the queue. One section; the first failure is returned, the rest done. */
int ndi_chan_settle(struct ndi_chan *c, const struct ndi_settled *run, int n,
                    int64_t deadline);
/* Runs of one. */
int ndi_chan_free(struct ndi_chan *c, uint32_t slot, int64_t deadline);
int ndi_chan_own(struct ndi_chan *c, uint32_t slot, int64_t deadline);
/* TAKEN that nobody has looked at -> BACK, as often delivered as before. */
int ndi_chan_put_back(struct ndi_chan *c, const uint32_t *slots, int n,
                      int64_t deadline);
/* TAKEN -> back to the front, or parked or dropped by policy. */
int ndi_chan_give_back(struct ndi_chan *c, uint32_t slot, int64_t deadline);
/* The word a returned item gets; FREE when it is dropped. */
uint64_t ndi_word_returned(const struct ndi_chan *c, uint64_t word);
/* Under the lock: what a slot held goes back to the caches. */
int ndi_slot_recycle(struct ndi_chan *c, uint32_t slot);

/* ---- reserve.c ----------------------------------------------------------- */
/* Without the lock: a loan of ours that was taken ahead. */
bool ndi_reserve_start(struct ndi_chan *c, const struct ndi_need *need,
                       uint32_t *slot);
/* Under the lock, after a loan like it. */
int ndi_reserve_more(struct ndi_chan *c, const struct ndi_need *need,
                     uint32_t me);
/* Under the lock: all loans ahead, and what was picked or given up, become room
 * as far as they go. *did: some. */
int ndi_reserve_reclaim(struct ndi_chan *c, bool *did);
/* Under the lock: what is reserved or given up becomes plain FREE, what is
 * picked TAKEN, in no cache yet. *word: what it is now; true if it was so, and
 * counted. */
bool ndi_word_settle(struct ndi_chan *c, uint32_t slot, uint64_t *word);
/* The same, and the caches. *did is set if there is more room now. */
int ndi_slot_take_back(struct ndi_chan *c, uint32_t slot, bool *did);

/* ---- pick.c -------------------------------------------------------------- */
/* Without the lock: the oldest item, if it is small. *word: PICKED(me).
 * NDS_EAGAIN: there is none; NDS_ENOTSUP: see in a section. */
int ndi_pick(struct ndi_chan *c, uint32_t *slot, uint64_t *word);
/* Without the lock: what was picked, and has no extent, leaves. False: in a
 * section. */
bool ndi_give_up(struct ndi_chan *c, uint32_t slot, uint64_t word);
/* Under the lock, with each claim. */
int ndi_give_up_over(struct ndi_chan *c);
/* Under the lock: an item was claimed there, the next one is to be at `at`. */
void ndi_cursor_set(struct ndi_chan *c, uint32_t lane, uint64_t at,
                    uint64_t seq);
/* Under the lock: the heads are raised to where we know of nothing older. */
void ndi_cursors_to_heads(struct ndi_chan *c);
/* Entries from the lane's first item on, and from where it can be. */
uint64_t ndi_lane_waiting(struct ndi_chan *c, uint32_t lane);
uint64_t ndi_lane_unseen(const struct ndi_chan *c, uint32_t lane);

/* ---- repair.c ------------------------------------------------------------ */
int ndi_chan_rebuild(struct ndi_chan *c);            /* under the lock */
/* Takes the lock. died_gen: generation of the dead, 0 leaving in good order. */
int ndi_chan_bury(struct ndi_chan *c, uint32_t index, uint32_t died_gen);
/* Compares words and caches, nobody else at work: 0, or NDS_ECORRUPT. */
int ndi_chan_valid(struct ndi_chan *c);
int ndi_chan_info(struct ndi_chan *c, nds_queue_info *out);
int64_t ndi_chan_unfinished(const struct ndi_chan *c);
int64_t ndi_chan_owed(const struct ndi_chan *c);

/* ---- wait.c -------------------------------------------------------------- */
/* Until it may be worth looking again; seen: room_gen or done.futex before the
 * look that failed. NDS_ETIMEDOUT (NDS_EAGAIN for a try). */
int ndi_chan_wait(struct ndi_chan *c, enum ndi_wait_for what, uint32_t seen,
                  int64_t deadline);
/* The same for room, in two steps: a spin, then, after a search, a sleep. */
int ndi_chan_wait_room(struct ndi_chan *c, struct ndi_full *full,
                       int64_t deadline);
void ndi_event_wake(struct ndi_chan_event *e, int count);
/* Wakes those who may sleep. After a swap of just what they wait for, or a fence:
 * pairs with the fence in sleep_on(). */
static inline void
ndi_event_changed(struct ndi_chan_event *e, int count)
{
    if (NDI_UNLIKELY(ndi_load_seq(&e->asleep) != 0)) {
        ndi_event_wake(e, count);
    }
}
/* The same after mere stores. */
static inline void
ndi_event_signal(struct ndi_chan_event *e, int count)
{
    ndi_fence_seq();
    ndi_event_changed(e, count);
}
/* Buries the dead, at most every SWEEP_NS; how many. */
int ndi_hub_sweep(struct ndi_hub *hub);

/* ---- taker.c ------------------------------------------------------------- */
void ndi_taker_mark(struct ndi_chan *c, uint32_t me); /* under the lock */
static inline bool
ndi_taker_is_marked(const struct ndi_chan *c, uint32_t me)
{
    return ndi_load_rlx(&c->counters[me - 1].taker_gen) ==
           ndi_owner_gen(ndi_party_self(&c->hub->segment->party));
}
void ndi_taker_forget(struct ndi_chan *c, uint32_t index);
/* dead: of those that died since a consumer last came new. */
void ndi_takers_count(const struct ndi_chan *c, uint32_t *live,
                      uint32_t *dead);
/* Some died and none is left; may be noticed 10 ms late. */
bool ndi_takers_gone(struct ndi_chan *c);

/* ---- parked.c ------------------------------------------------------------ */
int ndi_parked_take(struct ndi_chan *c, nds_array **out, nds_tag *tag);
int ndi_parked_requeue(struct ndi_chan *c, uint64_t *count);
int ndi_parked_discard(struct ndi_chan *c, uint64_t *count);
int ndi_parked_list(struct ndi_chan *c, int room, nds_parked *out,
                    int *count);

/* ---- holder.c ------------------------------------------------------------ */
int ndi_held_new(struct ndi_held **out, struct ndi_chan *c);
void ndi_held_put(struct ndi_held *held);
/* Before others know it; open: an array views the memory. */
void ndi_held_begin(struct ndi_held *held, enum ndi_held_state state,
                    bool open);
/* False: its state is not `from`. *open: whether an array views the memory. */
bool ndi_held_pass(struct ndi_held *held, enum ndi_held_state from,
                   enum ndi_held_state to, bool *open);
/* The `done` of a block over slot memory. */
void ndi_held_closed(void *ctx);
void ndi_held_list(struct ndi_held *held);
struct ndi_held *ndi_held_of(const nds_array *a, const struct ndi_hub *hub);
int ndi_held_release(struct ndi_held *held, nds_array **item);
int ndi_held_done_oldest(struct ndi_chan *c);
/* What was got and never acknowledged goes back to the queue. */
void ndi_held_abandon(struct ndi_hub *hub);

/* ---- item.c, item_get.c ------------------------------------------------- */
int ndi_item_put(struct ndi_chan *c, const nds_array *a, const nds_tag *tag,
                 int64_t deadline);
int ndi_item_put_move(struct ndi_chan *c, nds_array **a, const nds_tag *tag,
                      int64_t deadline);
int ndi_item_put_none(struct ndi_chan *c, int64_t deadline);
int ndi_item_loan(struct ndi_chan *c, nds_array **loan, const nds_dtype *dtype,
                  int ndim, const int64_t *shape, int64_t deadline);
int ndi_item_publish(struct ndi_hub *hub, nds_array **loan,
                     const nds_tag *tag);
void ndi_item_discard(nds_array **loan);
enum ndi_get_how { NDI_GET, NDI_TAKE };
int ndi_item_put_many(struct ndi_chan *c, int count, nds_array *const *arrays,
                      const nds_tag *tags, int64_t deadline, int *done);
int ndi_item_get(struct ndi_chan *c, enum ndi_get_how how, nds_array **out,
                 nds_tag *tag, int64_t deadline);
/* An item just claimed; on failure it is given back or parked. */
int ndi_item_open(struct ndi_chan *c, enum ndi_get_how how, uint32_t slot,
                  uint64_t word, nds_array **out, nds_tag *tag,
                  int64_t deadline);
/* Waits for the first. What cannot be opened ends the run. */
int ndi_item_get_many(struct ndi_chan *c, int room, nds_array **out,
                      nds_tag *tags, int64_t deadline, int *count);

/* ---- bell.c -------------------------------------------------------------- */
int ndi_bell_fd(struct ndi_chan *c, int (*over)(void *ctx), void *ctx,
                int *fd);
void ndi_bell_look(struct ndi_chan *c); /* after a get */
void ndi_bell_free(struct ndi_bell *bell);

#endif
