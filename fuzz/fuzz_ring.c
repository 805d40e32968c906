/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ring.c - a queue or pipe whose segment a neighbour writes to
 *
 * The segment is laid out here, smaller than any the library makes, so that
 * an input costs little; all else is the library's work: a peer handle that
 * stays has put, loaned and taken items in it. Each input gets that segment,
 * patches it, attaches as one more participant and works on it with short
 * deadlines, patching on, also from within the calls.
 */
#include "fuzz.h"

#include <chan/chan_impl.h>
#include <ndshare/ndshare.h>
#include <os/os.h>
#include <sync/word.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define NSLOTS 16
#define NLANES 2
#define ENTRIES 8
#define PARTIES 8
#define ARENA 65536
#define CHAN_OFF 8192
#define SLOTS_OFF 12288
#define FREE_OFF (SLOTS_OFF + NSLOTS * NDI_SLOT_NBYTES)
#define RINGS_OFF (FREE_OFF + NSLOTS * 4)
#define MAP_OFF (RINGS_OFF + NLANES * ENTRIES * 8)
#define ARENA_OFF 36864
#define CHAN_NBYTES (ARENA_OFF + ARENA)
#define BODY (CHAN_OFF + CHAN_NBYTES)
#define HELD 6
#define NAME "ring"

_Static_assert(MAP_OFF + NDI_ARENA_MAP_NBYTES(NSLOTS + 2) <= ARENA_OFF,
               "the parts of the channel do not overlap");

static int fd = -1;
static nds_queue *peer;
static unsigned char *bytes;  /* the file, mapped */
static unsigned char *before; /* as each input finds it */
static size_t nbytes_all;

/* ---- the segment -------------------------------------------------------- */

static int
fill(struct ndi_segment *s, void *ctx)
{
    struct ndi_hub_header hub = {.magic = NDI_HUB_MAGIC,
                                 .version = NDI_CHAN_VERSION,
                                 .nchans = 1,
                                 .chan_off = {CHAN_OFF},
                                 .chan_nbytes = {CHAN_NBYTES},
                                 .party_count = PARTIES};
    struct ndi_chan_header *h =
        (struct ndi_chan_header *)(s->body + CHAN_OFF);
    struct ndi_arena arena = {
        (struct ndi_arena_map *)(s->body + CHAN_OFF + MAP_OFF), NSLOTS + 2,
        ARENA};

    (void)ctx;
    memcpy(s->body, &hub, sizeof hub);
    *h = (struct ndi_chan_header){.magic = NDI_CHAN_MAGIC,
                                  .version = NDI_CHAN_VERSION,
                                  .nslots = NSLOTS,
                                  .nlanes = NLANES,
                                  .lane_entries = ENTRIES,
                                  .max_items = NSLOTS,
                                  .arena_nbytes = ARENA,
                                  .max_bytes = ARENA,
                                  .party_count = PARTIES};
    ndi_lock_init(&h->lock, 0);
    ndi_store_rlx(&h->list_head, NDI_NO_SLOT);
    ndi_store_rlx(&h->list_tail, NDI_NO_SLOT);
    ndi_store_rlx(&h->next_seq, 1);
    ndi_arena_reset(&arena);
    return 0;
}

static void
put_number(nds_queue *q, int64_t count)
{
    nds_array *a = NULL;

    fuzz_check(nds_array_new(&a, NDS_INT64, 1, &count, NULL) == 0 &&
                   nds_queue_put(q, a, NULL, 0) == 0,
               "the peer cannot put");
    nds_array_close(a);
}

/* One item of each kind and one slot of each state. */
static void
furnish(nds_queue *q)
{
    // Both stay with the peer, open, for as long as the process lives.
    static nds_array *item, *loan;

    put_number(q, 4);
    put_number(q, 4);
    put_number(q, 600);
    fuzz_check(nds_queue_put_none(q, 0) == 0, "the peer cannot put None");
    fuzz_check(nds_queue_take(q, &item, NULL, 0) == 0, "nothing to take");
    fuzz_check(nds_queue_loan(q, &loan, NDS_FLOAT64, 2,
                              (int64_t[]){20, 20}, 0) == 0,
               "no loan");
    put_number(q, 1100);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct ndi_segment_spec spec = {.kind = NDI_KIND_QUEUE,
                                    .name = NAME,
                                    .body_nbytes = BODY,
                                    .party_off = sizeof(struct
                                                        ndi_hub_header),
                                    .party_count = PARTIES,
                                    .fill = fill};
    struct ndi_segment *s = NULL;
    void *map = NULL;

    (void)argc;
    (void)argv;
    fuzz_surroundings();
    fuzz_check(ndi_segment_create(&s, &spec) == 0, "no segment");
    fuzz_check(nds_queue_attach(&peer, NAME, 0) == 0, "no queue");
    nbytes_all = s->nbytes;
    ndi_segment_put(s);
    fuzz_check(ndi_shm_open(&fd, NAME, O_RDWR) == 0 &&
                   ndi_map(&map, fd, 0, nbytes_all, NDI_MAP_WRITE) == 0,
               "the segment cannot be mapped");
    bytes = map;
    furnish(peer);
    before = malloc(nbytes_all);
    fuzz_check(before != NULL, "no memory");
    memcpy(before, bytes, nbytes_all);
    return 0;
}

/* ---- calls -------------------------------------------------------------- */

struct state {
    nds_queue *q;
    nds_array *held[HELD];
};

static struct ndi_chan *
chan_of(nds_queue *q)
{
    return &(*(struct ndi_hub **)q)->chan[0];
}

/* A place for one array more; what was there goes. */
static nds_array **
place(struct state *st, struct fuzz_in *in)
{
    nds_array **at = &st->held[fuzz_u8(in) % HELD];

    FUZZ_TIMED(nds_array_close(*at), 0);
    *at = NULL;
    return at;
}

/* Every byte that came is there and may be written. */
static void
touch(nds_array *a)
{
    // The library's arrays out of a queue are contiguous.
    if (a != NULL && nds_view_nbytes(nds_array_view(a)) > 0) {
        memset(nds_array_data(a), 7,
               (size_t)nds_view_nbytes(nds_array_view(a)));
    }
}

static void
put(struct state *st, uint8_t how, struct fuzz_in *in)
{
    static const int64_t counts[] = {1, 100, 200, 1000, 5000, 9000};
    nds_array_options opts = {.size = sizeof opts};
    int64_t shape[2] = {counts[fuzz_u8(in) % 6], 1};
    int64_t ns = fuzz_timeout(in);
    nds_tag tag = {.nbytes = 3, .bytes = "tag"};
    const nds_dtype *dt = NULL;
    nds_array *a = NULL;

    // A file of its own costs an input more than all else.
    opts.reach = how % 16 == 15 ? NDS_SHAREABLE : NDS_HEAP;
    if (how % 4 == 1 &&
        nds_dtype_parse(&dt, "[('a', '<i4'), ('b', '<f4')]") < 0) {
        return;
    }
    if (nds_array_new(&a, dt != NULL ? dt : NDS_INT64, how % 3 == 0 ? 2 : 1,
                      shape, &opts) == 0) {
        if (how % 4 == 3) {
            FUZZ_TIMED(nds_queue_put_move(st->q, &a, &tag, ns), ns);
        } else {
            FUZZ_TIMED(nds_queue_put(st->q, a, &tag, ns), ns);
        }
    }
    nds_array_close(a);
    nds_dtype_put(dt);
}

static void
loan(struct state *st, struct fuzz_in *in)
{
    nds_array **at = place(st, in);
    int64_t count = fuzz_u8(in) * 40;
    int64_t ns = fuzz_timeout(in);

    FUZZ_TIMED(nds_queue_loan(st->q, at, NDS_INT16, 1, &count, ns), ns);
    touch(*at);
}

static void
fetch(struct state *st, uint8_t how, struct fuzz_in *in)
{
    nds_array **at = place(st, in);
    int64_t ns = fuzz_timeout(in);
    nds_tag tag;

    if (how % 2 == 0) {
        FUZZ_TIMED(nds_queue_get(st->q, at, &tag, ns), ns);
    } else {
        FUZZ_TIMED(nds_queue_take(st->q, at, &tag, ns), ns);
    }
    touch(*at);
}

static void
finish(struct state *st, uint8_t how, struct fuzz_in *in)
{
    nds_array **at = &st->held[fuzz_u8(in) % HELD];

    if (*at == NULL) {
        return;
    }
    switch (how % 4) {
    case 0:
        FUZZ_TIMED(nds_queue_release(st->q, at), 0);
        break;
    case 1:
        FUZZ_TIMED(nds_queue_publish(st->q, at, NULL), 0);
        break;
    case 2:
        FUZZ_TIMED(nds_queue_discard(st->q, at), 0);
        break;
    default:
        FUZZ_TIMED(nds_array_close(*at), 0);
        *at = NULL;
        break;
    }
}

/* A run: inline, in the arena, None, and what may not fit. */
static void
put_many(struct state *st, struct fuzz_in *in)
{
    static const int64_t counts[] = {2, 300, 0, 1, 900, 2000};
    nds_array *a[NDI_ARRAY_LEN(counts)] = {NULL};
    int from = fuzz_u8(in) % 3, done = 0;
    int64_t ns = fuzz_timeout(in);
    bool made = true;

    for (size_t i = 0; i < NDI_ARRAY_LEN(counts); i++) {
        made = made && (counts[i] == 0 ||
                        nds_array_new(&a[i], NDS_INT32, 1, &counts[i],
                                      NULL) == 0);
    }
    if (made) {
        FUZZ_TIMED(nds_queue_put_many(st->q, (int)NDI_ARRAY_LEN(counts) - from,
                                 a + from, NULL, ns, &done), ns);
    }
    for (size_t i = 0; i < NDI_ARRAY_LEN(counts); i++) {
        nds_array_close(a[i]);
    }
}

static void
get_many(struct state *st, struct fuzz_in *in)
{
    int room = 1 + fuzz_u8(in) % HELD, count = 0;
    int64_t ns = fuzz_timeout(in);
    nds_tag tags[HELD];

    for (int i = 0; i < room; i++) {
        FUZZ_TIMED(nds_array_close(st->held[i]), 0);
        st->held[i] = NULL;
    }
    FUZZ_TIMED(nds_queue_get_many(st->q, room, st->held, tags, ns, &count), ns);
    fuzz_check(count >= 0 && count <= room, "more than there is room for");
    for (int i = 0; i < room; i++) {
        fuzz_check(i < count || st->held[i] == NULL, "an array beyond count");
        touch(st->held[i]);
    }
}

static void
parked(struct state *st, uint8_t how, struct fuzz_in *in)
{
    nds_parked list[NSLOTS];
    uint64_t moved;
    nds_array **at;
    nds_tag tag;
    int count = 0;

    switch (how) {
    case 0:
        at = place(st, in);
        FUZZ_TIMED(nds_queue_take_parked(st->q, at, &tag), 0);
        touch(*at);
        break;
    case 1:
        FUZZ_TIMED(nds_queue_requeue_parked(st->q, &moved), 0);
        break;
    case 2:
        FUZZ_TIMED(nds_queue_list_parked(st->q, 1 + fuzz_u8(in) % NSLOTS, list,
                                    &count), 0);
        fuzz_check(count >= 0 && count <= NSLOTS, "a list too long");
        break;
    default:
        FUZZ_TIMED(nds_queue_discard_parked(st->q, &moved), 0);
        break;
    }
}

static void
other(struct state *st, uint8_t how, struct fuzz_in *in)
{
    struct ndi_chan *c = chan_of(st->q);
    uint8_t who;
    nds_queue_info info = {.size = sizeof info};
    int64_t ns = fuzz_timeout(in);

    switch (how % 16) {
    case 0:
        FUZZ_TIMED(nds_queue_put_none(st->q, ns), ns);
        break;
    case 1:
        FUZZ_TIMED(nds_queue_info_get(st->q, &info), 0);
        break;
    case 2:
        FUZZ_TIMED(nds_queue_size(st->q), 0);
        break;
    case 3:
        FUZZ_TIMED(nds_queue_task_done(st->q), 0);
        break;
    case 4:
        FUZZ_TIMED(nds_queue_join(st->q, ns), ns);
        break;
    case 5:
        FUZZ_TIMED(nds_queue_shutdown(st->q), 0);
        break;
    case 6: // burial of whoever is not there
        FUZZ_TIMED(ndi_party_sweep(&c->hub->segment->party), 0);
        break;
    case 7: // the peer's, while it lives: what a wrong verdict would do
        who = fuzz_u8(in);
        FUZZ_TIMED(ndi_chan_bury(c, who % PARTIES, who / PARTIES), 0);
        break;
    case 8:
        FUZZ_TIMED(ndi_chan_valid(c), 0);
        break;
    case 9:
        if (ndi_chan_lock(c) == 0) {
            FUZZ_TIMED(ndi_chan_rebuild(c), 0);
            ndi_chan_unlock(c);
        }
        break;
    case 10:
        put_many(st, in);
        break;
    case 11:
        get_many(st, in);
        break;
    default:
        parked(st, how % 4, in);
        break;
    }
}

/* ---- the script ---- */

static int
attach(void *ctx)
{
    struct state *st = ctx;

    return nds_queue_attach(&st->q, NAME, 0);
}

static void
close_queue(void *ctx)
{
    struct state *st = ctx;

    nds_queue_close(st->q); // arrays that are open outlive the handle
    st->q = NULL;
}

static void
use(void *ctx, uint8_t op, struct fuzz_in *in)
{
    struct state *st = ctx;
    uint8_t way = (uint8_t)(op - FUZZ_CALLS), how = way / 5;

    switch (way % 5) {
    case 0:
        put(st, how, in);
        break;
    case 1:
        loan(st, in);
        break;
    case 2:
        fetch(st, how, in);
        break;
    case 3:
        finish(st, how, in);
        break;
    default:
        other(st, how, in);
        break;
    }
}

static const struct fuzz_region regions[] = {
    {CHAN_OFF + 128, 1},              // what is under the lock
    {CHAN_OFF, 4},                    // header, lock, events
    {CHAN_OFF + NDI_CHAN_LANES_OFF, 4},
    {CHAN_OFF + SLOTS_OFF, 1},        // the first slot
    {CHAN_OFF + SLOTS_OFF, NDI_SLOT_NBYTES}, // words
    {CHAN_OFF + SLOTS_OFF + 64, NDI_SLOT_NBYTES}, // descriptors
    {CHAN_OFF + SLOTS_OFF + 8, NDI_SLOT_NBYTES},  // links
    {CHAN_OFF + FREE_OFF, 4},         // free stack, rings, arena map
    {CHAN_OFF + NDI_CHAN_COUNTERS_OFF, 8},
    {sizeof(struct ndi_hub_header), 4}, // participants
    {0, 4},                             // hub header
    {CHAN_OFF + ARENA_OFF, 64},         // dtype and shape texts
    {BODY / NDI_CTL_NBYTES * NDI_CTL_NBYTES + NDI_CTL_NBYTES, 4}, // control
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    const struct fuzz_target t = {bytes, nbytes_all, regions,
                                  NDI_ARRAY_LEN(regions)};
    const struct fuzz_script script = {.target = &t,
                                       .later_from = 48,
                                       .close_first = 255,
                                       .close_last = 255,
                                       .attach = attach,
                                       .close = close_queue,
                                       .use = use};
    struct ndi_chan_header *h = (struct ndi_chan_header *)(bytes + CHAN_OFF);
    struct fuzz_in in = {data, nbytes};
    struct state st = {0};
    uint8_t first = fuzz_u8(&in);

    memcpy(bytes, before, nbytes_all);
    h->policy = first % 3;
    h->acknowledge = first / 3 % 2;
    h->max_deliveries = first / 6 % 3;
    (void)fuzz_script_run(&script, &st, &in);
    for (int i = 0; i < HELD; i++) {
        FUZZ_TIMED(nds_array_close(st.held[i]), 0);
    }
    FUZZ_TIMED(nds_queue_close(st.q), 0);
    fuzz_patch_forget();
    return 0;
}
