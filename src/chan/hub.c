/* SPDX-License-Identifier: MIT */
/*
 * hub.c - one segment with one or two channels in it
 *
 * Where everything lies follows from a handful of constants in each channel's
 * header: they are copied, checked, and the offsets computed anew, so no
 * offset is ever read from shared memory.
 *
 * Items that cross as files of their own have hidden names ".nds-<id>-<n>".
 * Beside them stands ".nds-<id>-q", an empty file that every process with
 * this hub keeps in use by a mapping: while it is in use the sweep leaves the
 * others alone, however many of them nobody has mapped just now.
 */
#include <chan/chan_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define HUGE (UINT64_C(2) << 20)
#define PARTIES_QUEUE 1024
#define PARTIES_PIPE 256
#define ARENA_ANON (UINT64_C(1) << 30)
#define ARENA_NAMED (UINT64_C(64) << 20)
#define ARENA_MAX (UINT64_C(1) << 46)

struct layout {
    uint64_t slots;
    uint64_t free;
    uint64_t rings;
    uint64_t map;
    uint64_t arena;
    uint64_t nbytes;
};

static uint64_t
up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) & ~(unit - 1);
}

/* Constants within their limits; nothing here can overflow then. */
static bool
consts_ok(const struct ndi_chan_header *h)
{
    return h->magic == NDI_CHAN_MAGIC && h->nslots >= 1 &&
           h->nslots <= NDI_SLOTS_MAX && h->nlanes <= NDI_LANES_MAX &&
           h->lane_entries >= 1 && h->lane_entries <= NDI_LANE_ENTRIES_MAX &&
           (h->lane_entries & (h->lane_entries - 1)) == 0 &&
           h->arena_nbytes <= ARENA_MAX && h->arena_nbytes % PAGE == 0 &&
           h->party_count >= 1 && h->party_count <= NDI_PARTY_MAX &&
           h->policy <= NDS_PARK && h->max_items >= 1;
}

static void
layout_of(const struct ndi_chan_header *h, struct layout *l)
{
    l->slots = up(NDI_CHAN_COUNTERS_OFF + (uint64_t)h->party_count * 64, PAGE);
    l->free = l->slots + (uint64_t)h->nslots * NDI_SLOT_NBYTES;
    l->rings = up(l->free + (uint64_t)h->nslots * 4, 64);
    l->map = l->rings + (uint64_t)h->nlanes * h->lane_entries * 8;
    l->arena = up(l->map + NDI_ARENA_MAP_NBYTES((uint64_t)h->nslots + 2),
                  h->sparse != 0 ? HUGE : PAGE);
    l->nbytes = l->arena + h->arena_nbytes;
}

static uint32_t
pow2_up(uint64_t n, uint32_t low, uint32_t high)
{
    uint32_t p = low;

    while (p < n && p < high) {
        p *= 2;
    }
    return p;
}

/* What a named one reserves if nobody says how much: no more than a quarter of
 * what is free, for a container may have 64 MB of /dev/shm in all. */
static uint64_t
named_arena(void)
{
    uint64_t total, left;

    if (ndi_shm_room(&total, &left) == 0 && total != 0 &&
        left / 4 < ARENA_NAMED) {
        return left / 4 & ~(uint64_t)(PAGE - 1);
    }
    return ARENA_NAMED;
}

static void
consts_of(const struct ndi_hub_spec *spec, struct ndi_chan_header *h)
{
    bool sparse = spec->name == NULL;
    uint64_t most = spec->max_bytes;

    if (most == 0) {
        most = sparse ? ARENA_ANON : named_arena();
    }
    h->magic = NDI_CHAN_MAGIC;
    h->version = NDI_CHAN_VERSION;
    // Room beside the bound for what is loaned, taken or still open.
    h->nslots = spec->max_items == 0
                    ? (sparse && spec->pipe == 0 ? 65536 : 4096)
                    : pow2_up((uint64_t)spec->max_items * 2 + 128, 256,
                              NDI_SLOTS_MAX);
    h->max_items = spec->max_items == 0 ? h->nslots : spec->max_items;
    h->nlanes = spec->pipe != 0 ? 8 : NDI_LANES_MAX;
    h->lane_entries = pow2_up(h->nslots, 1, NDI_LANE_ENTRIES_MAX);
    h->max_deliveries = spec->max_deliveries;
    h->policy = spec->policy;
    h->acknowledge = spec->acknowledge;
    h->arena_nbytes = up(most < PAGE ? PAGE : most, PAGE);
    h->max_bytes = most;
    h->party_count = spec->pipe != 0 ? PARTIES_PIPE : PARTIES_QUEUE;
    h->sparse = sparse;
}

struct birth {
    struct ndi_hub_header hub;
    struct ndi_chan_header chan;
    struct layout layout;
};

/* Before anybody can see it; the rest of the body is zeros. */
static int
fill(struct ndi_segment *s, void *ctx)
{
    const struct birth *b = ctx;

    memcpy(s->body, &b->hub, sizeof b->hub);
    for (uint32_t i = 0; i < b->hub.nchans; i++) {
        unsigned char *at = s->body + b->hub.chan_off[i];
        struct ndi_chan_header *h = (struct ndi_chan_header *)at;
        struct ndi_arena arena = {
            (struct ndi_arena_map *)(at + b->layout.map),
            b->chan.nslots + 2, b->chan.arena_nbytes};

        memcpy(h, &b->chan, sizeof *h);
        ndi_lock_init(&h->lock, 0);
        ndi_store_rlx(&h->list_head, NDI_NO_SLOT);
        ndi_store_rlx(&h->list_tail, NDI_NO_SLOT);
        ndi_store_rlx(&h->next_seq, 1);
        ndi_arena_reset(&arena);
    }
    return 0;
}

static void
marker_name(const struct ndi_hub *hub, char out[NDI_TICKET_NAME])
{
    snprintf(out, NDI_TICKET_NAME, ".nds-%016" PRIx64 "%016" PRIx64 "-q",
             hub->id[0], hub->id[1]);
}

void
ndi_ticket_name(const struct ndi_chan *c, uint32_t slot,
                char out[NDI_TICKET_NAME])
{
    snprintf(out, NDI_TICKET_NAME, ".nds-%016" PRIx64 "%016" PRIx64 "-%u",
             c->hub->id[0], c->hub->id[1], c->index * NDI_SLOTS_MAX + slot);
}

static bool
marker_try(struct ndi_hub *hub, bool create)
{
    char name[NDI_TICKET_NAME];
    struct stat st;
    int fd = -1;
    bool done = false;

    marker_name(hub, name);
    if (create) {
        if (ndi_shm_tmpfile(&fd, 0600) < 0 || ndi_os_truncate(fd, PAGE) < 0) {
            goto out;
        }
    } else if (ndi_shm_open(&fd, name, O_RDWR | O_CLOEXEC) < 0) {
        goto out;
    }
    if (ndi_lock_shared(fd, NDI_BYTE_IN_USE) < 0 ||
        (create && ndi_shm_link(fd, name) < 0) ||
        ndi_os_fstat(fd, &st) < 0 || st.st_nlink == 0) { // just removed
        goto out;
    }
    // The mapping carries the lock on, through fork as well.
    done = ndi_map(&hub->marker, fd, 0, PAGE, 0) == 0;
    hub->marker = done ? hub->marker : NULL;
out:
    ndi_os_close(fd);
    return done;
}

/* Joins or makes ".nds-<id>-q". Without it nothing gets a hidden name. */
static void
marker_open(struct ndi_hub *hub)
{
    for (int i = 0; i < 3; i++) {
        if (marker_try(hub, false) || marker_try(hub, true)) {
            return;
        }
    }
}

/* The last user removes the marker's name. */
static void
marker_close(struct ndi_hub *hub)
{
    char name[NDI_TICKET_NAME];
    int fd = -1;

    if (hub->marker == NULL) {
        return;
    }
    ndi_unmap(hub->marker, PAGE);
    hub->marker = NULL;
    marker_name(hub, name);
    if (ndi_shm_open(&fd, name, O_RDWR | O_CLOEXEC) == 0 &&
        ndi_lock_exclusive(fd, NDI_BYTE_IN_USE) == 0) {
        ndi_shm_unlink(name);
    }
    ndi_os_close(fd);
}

static int
bury(void *ctx, uint32_t index, uint32_t gen)
{
    struct ndi_hub *hub = ctx;
    int rc = 0;

    uint64_t self = ndi_party_self(&hub->segment->party);

    // Ourselves: an orderly leaving. Our index with another generation is who
    // had it before us and died.
    for (uint32_t i = 0; i < hub->nchans && rc == 0; i++) {
        rc = ndi_chan_bury(&hub->chan[i], index,
                           self == ndi_owner_make(index, gen) ? 0 : gen);
    }
    return rc;
}

static int
bad(const struct ndi_hub *hub, const char *what)
{
    return ndi_fail(NDS_ECORRUPT, "'%s' is no channel: %s",
                    hub->segment->name, what);
}

static int
chan_over(struct ndi_hub *hub, uint32_t i, uint64_t off, uint64_t nbytes)
{
    struct ndi_chan *c = &hub->chan[i];
    unsigned char *at;
    struct ndi_chan_header copy;
    struct layout l;

    if (off % 4096 != 0 || nbytes < NDI_CHAN_COUNTERS_OFF ||
        !ndi_range_fits(off, nbytes, hub->segment->body_nbytes)) {
        return bad(hub, "a channel outside the segment");
    }
    at = hub->segment->body + off;
    memcpy(&copy, at, sizeof copy);
    if (!consts_ok(&copy) || copy.party_count != hub->party_count) {
        return bad(hub, "its constants make no sense");
    }
    if (copy.version != NDI_CHAN_VERSION) {
        return ndi_fail(NDS_ELAYOUT, "channel layout %u, here %u",
                        copy.version, NDI_CHAN_VERSION);
    }
    layout_of(&copy, &l);
    if (l.nbytes > nbytes) {
        return bad(hub, "it does not fit its segment");
    }
    c->hub = hub;
    c->index = i;
    c->h = (struct ndi_chan_header *)at;
    c->lanes = (struct ndi_lane *)(at + NDI_CHAN_LANES_OFF);
    c->counters = (struct ndi_counters *)(at + NDI_CHAN_COUNTERS_OFF);
    c->slots = (struct ndi_slot *)(at + l.slots);
    c->free = (_Atomic uint32_t *)(at + l.free);
    c->rings = (_Atomic uint64_t *)(at + l.rings);
    c->data = at + l.arena;
    c->arena = (struct ndi_arena){(struct ndi_arena_map *)(at + l.map),
                                  copy.nslots + 2, copy.arena_nbytes};
    c->nslots = copy.nslots;
    c->nlanes = copy.nlanes;
    c->lane_entries = copy.lane_entries;
    c->max_items = copy.max_items;
    c->burst = copy.max_items < 64 ? 1
               : copy.max_items < 512 ? copy.max_items / 16 : 32;
    for (c->give = 1; c->give < NDI_GIVEN && c->give < copy.max_items / 32;) {
        c->give *= 2;
    }
    c->max_deliveries = copy.max_deliveries;
    c->policy = copy.policy;
    c->acknowledge = copy.acknowledge != 0;
    c->max_bytes = copy.max_bytes;
    c->sparse = copy.sparse != 0 && hub->segment->memfd;
    c->keep = ndi_keep_nbytes(0);
    return 0;
}

void
ndi_hub_enter_new_image(struct ndi_hub *hub)
{
    uint64_t now = ndi_fork_epoch();
    uint64_t had = ndi_load_acq(&hub->epoch);

    while (NDI_UNLIKELY(had != now)) {
        // 0: another thread of this image is at it.
        if (had == 0 || !ndi_cas_seq(&hub->epoch, &had, 0)) {
            ndi_cpu_relax();
            had = ndi_load_acq(&hub->epoch);
            continue;
        }
        pthread_mutex_init(&hub->mutex, NULL);
        hub->held_first = hub->held_last = NULL; // the parent's
        ndi_store_rlx(&hub->swept_ns, ndi_now_ns());
        for (uint32_t i = 0; i < hub->nchans; i++) {
            struct ndi_chan *c = &hub->chan[i];

            pthread_mutex_init(&c->publish_mutex, NULL);
            c->lane = -1;
            c->lane_tail = c->lane_head = 0;
            c->bell = NULL;
            ndi_store_rlx(&c->reserve_left, 0);
            ndi_store_rlx(&c->reserve_nbytes, UINT64_MAX);
            c->reserve_want = 0;
            memset(c->cursor, 0, sizeof c->cursor);
            memset(c->given, 0, sizeof c->given);
            ndi_store_rlx(&c->given_count, 0);
            ndi_store_rlx(&c->alive_ns, 0);
            ndi_store_rlx(&c->spin_get_ns, 20000);
            ndi_store_rlx(&c->spin_put_ns, 20000);
            ndi_store_rlx(&c->spin_told_ns, 50000);
        }
        ndi_store_rel(&hub->epoch, now);
        return;
    }
}

static int
hub_check(struct ndi_hub *hub)
{
    struct ndi_segment *s = hub->segment;
    struct ndi_hub_header copy;
    int rc = 0;

    if (s->body_nbytes < sizeof copy) {
        return bad(hub, "too short");
    }
    memcpy(&copy, s->body, sizeof copy);
    if (copy.magic != NDI_HUB_MAGIC || copy.nchans < 1 ||
        copy.nchans > NDI_HUB_CHANS || copy.pipe > 2 ||
        copy.nchans != (copy.pipe == 2 ? 2U : 1U) ||
        copy.party_count != s->party.count) {
        return bad(hub, "its header makes no sense");
    }
    if (copy.version != NDI_CHAN_VERSION) {
        return ndi_fail(NDS_ELAYOUT, "channel layout %u, here %u",
                        copy.version, NDI_CHAN_VERSION);
    }
    hub->h = (struct ndi_hub_header *)s->body;
    hub->nchans = copy.nchans;
    hub->pipe = copy.pipe;
    hub->party_count = copy.party_count;
    for (uint32_t i = 0; i < copy.nchans && rc == 0; i++) {
        rc = chan_over(hub, i, copy.chan_off[i], copy.chan_nbytes[i]);
    }
    return rc;
}

int
ndi_hub_over(struct ndi_hub **out, struct ndi_segment *s)
{
    struct ndi_hub *hub = calloc(1, sizeof *hub);
    int rc;

    *out = NULL;
    if (hub == NULL) {
        ndi_segment_put(s);
        return ndi_fail_nomem(sizeof *hub, "a channel");
    }
    hub->segment = s;
    ndi_store_rlx(&hub->refs, 1);
    hub->id[0] = s->ctl->header.creator[0];
    hub->id[1] = s->ctl->header.creator[1];
    rc = hub_check(hub);
    if (rc < 0) {
        ndi_segment_put(s);
        free(hub);
        return rc;
    }
    ndi_store_rlx(&hub->epoch, UINT64_MAX); // no image's
    ndi_hub_enter_image(hub);
    s->party.bury = bury;
    s->party.ctx = hub;
    marker_open(hub);
    *out = hub;
    return 0;
}

int
ndi_hub_create(struct ndi_hub **out, const struct ndi_hub_spec *spec)
{
    struct birth *b = calloc(1, sizeof *b);
    struct ndi_segment *s = NULL;
    struct ndi_segment_spec seg = {
        .kind = spec->pipe != 0 ? NDI_KIND_PIPE : NDI_KIND_QUEUE,
        .name = spec->name,
        .memfd = spec->name == NULL,
        .sparse = spec->name == NULL,
        .mode_bits = spec->mode_bits,
        .lifetime = spec->lifetime,
        .huge = spec->huge,
        .fill = fill,
        .ctx = b,
    };
    uint64_t at;
    int rc;

    *out = NULL;
    if (b == NULL) {
        return ndi_fail_nomem(sizeof *b, "a channel");
    }
    consts_of(spec, &b->chan);
    if (spec->max_items > NDI_SLOTS_MAX / 2 ||
        b->chan.arena_nbytes > ARENA_MAX || spec->policy > NDS_PARK) {
        free(b);
        return ndi_fail(NDS_EINVAL, "a channel of %u items and %" PRIu64
                        " bytes: at most %u items", spec->max_items,
                        spec->max_bytes, NDI_SLOTS_MAX / 2);
    }
    layout_of(&b->chan, &b->layout);
    b->hub.magic = NDI_HUB_MAGIC;
    b->hub.version = NDI_CHAN_VERSION;
    b->hub.nchans = spec->pipe == 2 ? 2 : 1;
    b->hub.pipe = spec->pipe;
    b->hub.party_count = b->chan.party_count;
    at = up(sizeof b->hub + (uint64_t)b->chan.party_count * 64,
            b->chan.sparse != 0 ? HUGE : PAGE);
    for (uint32_t i = 0; i < b->hub.nchans; i++) {
        b->hub.chan_off[i] = at;
        b->hub.chan_nbytes[i] = b->layout.nbytes;
        at += up(b->layout.nbytes, b->chan.sparse != 0 ? HUGE : PAGE);
    }
    seg.body_nbytes = at;
    seg.party_off = sizeof b->hub;
    seg.party_count = b->chan.party_count;
    rc = ndi_segment_create(&s, &seg);
    free(b);
    if (rc == 0) {
        rc = ndi_hub_over(out, s);
    }
    for (uint32_t i = 0; rc == 0 && i < (*out)->nchans; i++) {
        (*out)->chan[i].keep = ndi_keep_nbytes(spec->keep);
    }
    return rc;
}

struct ndi_hub *
ndi_hub_get(struct ndi_hub *hub)
{
    ndi_own_add(&hub->refs, 1);
    return hub;
}

void
ndi_hub_put(struct ndi_hub *hub)
{
    if (hub == NULL || ndi_own_add(&hub->refs, UINT32_MAX) != 1) {
        return;
    }
    ndi_hub_enter_image(hub);
    for (uint32_t i = 0; i < hub->nchans; i++) {
        ndi_bell_free(atomic_exchange(&hub->chan[i].bell, NULL));
    }
    marker_close(hub);
    ndi_segment_put(hub->segment); // leaving buries us: lanes, leftovers
    free(hub);
}
