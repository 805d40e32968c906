/* SPDX-License-Identifier: MIT */
/*
 * chan_layout.h - the bytes of queues and pipes
 *
 *     body of the segment
 *         0  hub, 4096 bytes: magic, version, how many channels, ends
 *      4096  participants, party_count x 64 bytes (sync_layout.h)
 *         .  channel 0, channel 1 (a two-way pipe), each 2 MiB aligned when
 *            the segment is sparse, else 4096 aligned
 *
 *     channel, offsets from its start (all computed from its constants)
 *         0  header, 1024 bytes, below
 *      1024  lanes, 64 x 64 bytes
 *      8192  counters, party_count x 64 bytes
 *         .  slots, nslots x 1280 bytes
 *         .  free stack, nslots x 4
 *         .  lane rings, nlanes x lane_entries x 8
 *         .  arena map (arena_layout.h), nslots + 2 entries
 *         .  arena, arena_nbytes
 *
 *     word   63..61 state   60..56 deliveries   55..44 owner   43..0 seq
 *            owner is a participant index + 1, 0 nobody. seq 0 in LOANED is a
 *            producer's loan, which with deliveries 1 is RESERVED: nobody fills
 *            it, and it may be taken back. PICKED is TAKEN without the lock:
 *            it counts as waiting still. FREE with an owner is GIVEN UP: free,
 *            but on no stack yet, and counted like PICKED. Another seq in
 *            LOANED is an item that has left the queue while its memory, or
 *            the name of its file, is still in use by who got it.
 *     entry  63..44 slot    43..0 seq                 (lane rings)
 *
 * Truth is the words, each with its descriptor, next_seq, `top` and `closed`.
 * All else between `free_count` and the arena is a cache, rebuilt from them.
 */
#ifndef NDI_CHAN_LAYOUT_H
#define NDI_CHAN_LAYOUT_H

#include <sync/sync_layout.h>

#define NDI_HUB_MAGIC UINT64_C(0x314255485248534e)  
#define NDI_CHAN_MAGIC UINT64_C(0x314e48435248534e) 
#define NDI_CHAN_VERSION 1
#define NDI_HUB_CHANS 2

#define NDI_SLOTS_MAX (1U << 20)
#define NDI_LANES_MAX 64
#define NDI_LANE_ENTRIES_MAX 4096
#define NDI_SLOT_NBYTES 1280
#define NDI_INLINE_NBYTES 1024
#define NDI_SLOT_SHAPE 8 /* dimensions that fit the descriptor itself */
#define NDI_TAG_NBYTES 60
#define NDI_NO_SLOT UINT32_MAX

enum ndi_slot_state {
    NDI_FREE = 0,
    NDI_LOANED = 1, /* owner: being filled, or got and still open */
    NDI_READY = 2,  /* owner: its producer */
    NDI_TAKEN = 3,  /* owner: its consumer */
    NDI_BACK = 4,   /* to be delivered again */
    NDI_PARKED = 5, /* kept aside */
    NDI_PICKED = 6  /* taken, and counted as waiting still */
};

#define NDI_SEQ_BITS 44
#define NDI_SEQ_MASK ((UINT64_C(1) << NDI_SEQ_BITS) - 1)
#define NDI_DELIVERIES_MAX 31

static inline uint64_t
ndi_word_make(enum ndi_slot_state state, uint32_t deliveries, uint32_t owner,
              uint64_t seq)
{
    return (uint64_t)state << 61 | (uint64_t)(deliveries & 31) << 56 |
           (uint64_t)(owner & 4095) << 44 | (seq & NDI_SEQ_MASK);
}

static inline uint32_t
ndi_word_state(uint64_t word)
{
    return (uint32_t)(word >> 61);
}

static inline uint32_t
ndi_word_deliveries(uint64_t word)
{
    return (uint32_t)(word >> 56) & 31;
}

static inline uint32_t
ndi_word_owner(uint64_t word)
{
    return (uint32_t)(word >> 44) & 4095;
}

static inline uint64_t
ndi_word_seq(uint64_t word)
{
    return word & NDI_SEQ_MASK;
}

#define NDI_WORD_FREE UINT64_C(0) /* on the free stack, or above top */

/* To be delivered. */
static inline bool
ndi_word_waits(uint64_t word)
{
    return ndi_word_state(word) == NDI_READY ||
           ndi_word_state(word) == NDI_BACK;
}

/* FREE, and not yet on the free stack; counted as PICKED is. */
static inline bool
ndi_word_is_given(uint64_t word)
{
    return ndi_word_state(word) == NDI_FREE && word != NDI_WORD_FREE;
}

static inline uint64_t
ndi_word_given(uint32_t owner)
{
    return ndi_word_make(NDI_FREE, 0, owner, 0);
}

/* A loan ahead that nobody fills. */
static inline uint64_t
ndi_word_reserved(uint32_t owner)
{
    return ndi_word_make(NDI_LOANED, 1, owner, 0);
}

static inline bool
ndi_word_is_reserved(uint64_t word)
{
    return ndi_word_state(word) == NDI_LOANED && ndi_word_seq(word) == 0 &&
           ndi_word_deliveries(word) != 0;
}

/* Serial numbers: a is older than b. */
static inline bool
ndi_seq_before(uint64_t a, uint64_t b)
{
    return (int64_t)((a - b) << (64 - NDI_SEQ_BITS)) < 0;
}

enum ndi_item_kind {
    NDI_ITEM_NONE = 0,   /* a None item */
    NDI_ITEM_INLINE = 1, /* payload in the slot */
    NDI_ITEM_ARENA = 2,  /* payload in an extent of the arena */
    NDI_ITEM_TICKET = 3  /* payload in a file of its own, hidden name */
};

enum ndi_item_flags {
    NDI_ITEM_FORTRAN = 1, /* order of the payload */
    NDI_ITEM_BLOB = 2,    /* dtype text and shape stand before the payload */
    NDI_ITEM_READONLY = 4 /* ticket: nobody may write it */
};

struct ndi_slot {
    _Atomic uint64_t word;
    /* Cache, under the lock: the list of what is to be delivered and is in no
     * lane. */
    _Atomic uint32_t prev;
    _Atomic uint32_t next;
    _Atomic uint32_t listed;
    uint8_t reserved0[44];
    /* The descriptor: written by who makes the slot LOANED, first half while
     * FREE under the lock, the rest while LOANED. */
    uint64_t off; /* extent, bytes from the arena's start */
    _Atomic uint64_t extent; /* bytes of the arena, 0 none; who picks looks at
                                it and at kind before the word is its own, and
                                forgets them when the swap fails */
    uint64_t nbytes; /* of payload */
    uint32_t owner_gen;
    _Atomic uint8_t kind;
    uint8_t flags;
    uint8_t type; /* enum nds_type of a native built-in, 0: see the blob */
    uint8_t ndim;
    uint32_t blob; /* bytes before the payload, a multiple of 64 */
    uint32_t blob_used;
    uint8_t reserved1[24];
    int64_t shape[NDI_SLOT_SHAPE];
    uint32_t tag_nbytes;
    uint8_t tag[NDI_TAG_NBYTES];
    unsigned char payload[NDI_INLINE_NBYTES];
};
_Static_assert(sizeof(struct ndi_slot) == NDI_SLOT_NBYTES, "20 lines a slot");
_Static_assert(offsetof(struct ndi_slot, off) == 64, "word has its line");
_Static_assert(offsetof(struct ndi_slot, shape) == 128, "byte map");
_Static_assert(offsetof(struct ndi_slot, payload) == 256, "byte map");

struct ndi_lane {
    _Atomic uint64_t owner; /* under the lock; 0: free to take over */
    _Atomic uint64_t tail;  /* by the owner */
    _Atomic uint64_t head;  /* under the lock */
    _Atomic uint32_t cpu;   /* by the owner: where it last ran, + 1 */
    uint8_t reserved0[4];
    _Atomic uint64_t last;  /* by the owner, before the tail: the newest entry,
                               for who waits for just that one; a hint */
    uint8_t reserved1[24];
};
_Static_assert(sizeof(struct ndi_lane) == 64, "one line a lane");

/* One writer process each, of the dead their burier; summed by readers; may be
 * off by one after a kill. Never reset: an index that is used again goes on
 * counting. */
struct ndi_counters {
    _Atomic uint64_t delivered; /* but for PICKED and GIVEN UP; under the lock,
                                   by anybody */
    _Atomic uint64_t left; /* items that left by get, not acknowledged */
    _Atomic uint64_t done; /* task_done for those */
    _Atomic uint64_t redelivered;
    _Atomic uint64_t dropped;
    /* Generation in which this participant last asked for an item, 0 never;
     * under the lock. See taker.c. */
    _Atomic uint32_t taker_gen;
    /* left - done when the participant of that generation first asked. */
    _Atomic uint32_t owed_gen;
    _Atomic uint64_t owed_before;
    _Atomic uint32_t ahead; /* there may be loans ahead; under the lock */
    uint8_t reserved[4];
};
_Static_assert(sizeof(struct ndi_counters) == 64, "one line");

/* Someone may sleep on futex while asleep is not 0. */
struct ndi_chan_event {
    _Atomic uint32_t futex;
    _Atomic uint32_t asleep;
    uint8_t reserved[56];
};
_Static_assert(sizeof(struct ndi_chan_event) == 64, "one line");

struct ndi_chan_header {
    uint64_t magic;
    uint32_t version;
    uint32_t nslots;
    uint32_t nlanes;
    uint32_t lane_entries; /* a power of two */
    uint32_t max_items;
    uint32_t max_deliveries;
    uint32_t policy; /* enum nds_redelivery */
    uint32_t acknowledge;
    uint64_t arena_nbytes;
    uint64_t max_bytes;
    uint32_t party_count;
    uint32_t sparse;

    struct ndi_lock lock; /* line 1 */

    _Atomic uint32_t dirty; /* line 2: all under the lock */
    _Atomic uint32_t closed;
    _Atomic uint32_t top; /* slots ever used; raised before LOANED */
    _Atomic uint32_t free_count;
    _Atomic uint32_t list_head;
    _Atomic uint32_t list_tail;
    _Atomic uint32_t list_count;
    _Atomic uint32_t lanes_used;
    _Atomic uint32_t unclaimed; /* producers' loans, READY, BACK, PICKED and
                                   FREE with an owner */
    _Atomic uint32_t room_gen;  /* raised when room appears */
    _Atomic uint64_t bytes_used;
    _Atomic uint64_t bytes_adopted; /* of LOANED with a seq */
    _Atomic uint64_t warm; /* arena bytes above which none has memory */

    _Atomic uint64_t next_seq; /* line 3: by producers, without the lock */
    uint8_t reserved0[56];

    struct ndi_chan_event items; /* line 4 */
    struct ndi_chan_event room;  /* line 5 */
    struct ndi_chan_event done;  /* line 6 */
    _Atomic uint32_t get_cpu; /* line 7: where a consumer last ran, + 1 */
    _Atomic uint32_t given; /* there may be slots given up: a hint */
    uint8_t reserved1[56];
    uint8_t reserved2[512];
};
_Static_assert(sizeof(struct ndi_chan_header) == 1024, "16 lines");
_Static_assert(offsetof(struct ndi_chan_header, lock) == 64, "byte map");
_Static_assert(offsetof(struct ndi_chan_header, dirty) == 128, "byte map");
_Static_assert(offsetof(struct ndi_chan_header, next_seq) == 192, "byte map");
_Static_assert(offsetof(struct ndi_chan_header, items) == 256, "byte map");

#define NDI_CHAN_LANES_OFF 1024
#define NDI_CHAN_COUNTERS_OFF 8192

struct ndi_hub_header {
    uint64_t magic;
    uint32_t version;
    uint32_t nchans;
    uint64_t chan_off[NDI_HUB_CHANS];
    uint64_t chan_nbytes[NDI_HUB_CHANS];
    uint32_t party_count;
    uint32_t pipe; /* 0 queue, 1 one way, 2 both ways */
    uint8_t reserved0[8];
    _Atomic uint32_t end_gone[2]; /* pipes: nobody holds this end any more */
    uint8_t reserved1[4096 - 72];
};
_Static_assert(sizeof(struct ndi_hub_header) == 4096, "one page");

#endif
