/* SPDX-License-Identifier: MIT */
/*
 * item_get.c - slots into arrays
 *
 * A descriptor is copied first; the copy is checked against the slot, the
 * arena and the dtype's own arithmetic before anything is read through it. A
 * slot that fails is parked: nobody gets it, nobody trips over it again.
 */
#include <chan/chan_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>
#include <string.h>

#define SMALL 65536
#define DESC_FROM offsetof(struct ndi_slot, off)

/* What is in it counts from dtype on, and what read_slot() has set. */
struct item {
    struct ndi_slot desc; /* a copy; its payload field is not copied */
    int64_t shape[NDS_MAX_NDIM];
    const nds_dtype *dtype;
    int ndim;
    unsigned char *blob_at;
    unsigned char *data; /* in the segment */
    struct ndi_parcel *blob;
};

static int
nonsense(uint32_t slot, const char *what)
{
    return ndi_fail(NDS_ECORRUPT, "channel: slot %u: %s", slot, what);
}

static int
copy_blob(struct item *it, uint32_t slot)
{
    const struct ndi_slot *d = &it->desc;

    if (d->blob_used > d->blob) {
        return nonsense(slot, "its text is longer than its room");
    }
    it->blob = ndi_parcel_new();
    if (it->blob == NULL) {
        return NDS_ENOMEM;
    }
    ndi_buf_add(&it->blob->bytes, it->blob_at, d->blob_used);
    return ndi_buf_ok(&it->blob->bytes);
}

/* dtype and shape of a payload by value. */
static int
read_geometry(struct item *it, uint32_t slot)
{
    const struct ndi_slot *d = &it->desc;
    int64_t nbytes;
    int rc;

    it->ndim = d->ndim;
    if (d->ndim > NDS_MAX_NDIM) {
        return nonsense(slot, "too many dimensions");
    }
    if ((d->flags & NDI_ITEM_BLOB) != 0) {
        rc = copy_blob(it, slot);
        if (rc == NDS_ENOMEM) {
            return rc;
        }
        if (rc == 0) {
            rc = nds_dtype_parse(&it->dtype, ndi_parcel_str(it->blob));
        }
        for (int i = 0; i < it->ndim && rc == 0; i++) {
            it->shape[i] = (int64_t)ndi_parcel_u64(it->blob);
        }
        if (rc < 0 || ndi_parcel_ok(it->blob) < 0) {
            return nonsense(slot, "its dtype and shape cannot be read");
        }
    } else {
        it->dtype = d->type < NDS_TYPE_COUNT
                        ? nds_dtype_get(nds_dtype_builtin(d->type))
                        : NULL;
        if (it->dtype == NULL || d->ndim > NDI_SLOT_SHAPE || d->blob != 0) {
            return nonsense(slot, "its dtype and shape make no sense");
        }
        memcpy(it->shape, d->shape, sizeof d->shape);
    }
    if (ndi_array_nbytes(it->dtype, it->ndim, it->shape, &nbytes) < 0 ||
        (uint64_t)nbytes != d->nbytes) {
        return nonsense(slot, "its shape and its bytes differ");
    }
    return 0;
}

static int
read_slot(struct ndi_chan *c, uint32_t slot, struct item *it)
{
    struct ndi_slot *s = ndi_slot_at(c, slot), *d = &it->desc;
    uint64_t room = NDI_INLINE_NBYTES, need;

    memcpy((unsigned char *)d + DESC_FROM, (unsigned char *)s + DESC_FROM,
           offsetof(struct ndi_slot, payload) - DESC_FROM);
    it->blob_at = s->payload;
    if (d->extent > 0) {
        if (!ndi_range_fits(d->off, d->extent, c->arena.nbytes)) {
            return nonsense(slot, "its extent is outside the arena");
        }
        it->blob_at = c->data + d->off;
        room = d->extent;
    }
    if (d->kind > NDI_ITEM_TICKET || d->tag_nbytes > NDI_TAG_NBYTES) {
        return nonsense(slot, "its kind or tag makes no sense");
    }
    if (d->kind == NDI_ITEM_NONE) {
        return 0;
    }
    // No producer of ours writes these; the array must be aligned.
    if (d->blob % 64 != 0 || (d->extent > 0 && d->off % 64 != 0)) {
        return nonsense(slot, "its payload is not aligned");
    }
    need = d->blob;
    if (d->kind != NDI_ITEM_TICKET && !ndi_add_u64(need, d->nbytes, &need)) {
        return nonsense(slot, "its sizes overflow");
    }
    if (need > room) {
        return nonsense(slot, "it is larger than its room");
    }
    it->data = it->blob_at + d->blob;
    return d->kind == NDI_ITEM_TICKET ? copy_blob(it, slot)
                                      : read_geometry(it, slot);
}

static void
item_fini(struct item *it)
{
    nds_dtype_put(it->dtype);
    ndi_parcel_free(it->blob);
}

/* ---- the three ways to hand it over ------------------------------------- */

static int
open_copy(const struct item *it, nds_array **out)
{
    int rc = ndi_array_new_packed(
        out, it->dtype, it->ndim, it->shape,
        (it->desc.flags & NDI_ITEM_FORTRAN) != 0 ? 'F' : 'C',
        it->desc.nbytes);

    if (rc == 0 && it->desc.nbytes > 0) {
        ndi_copy(nds_array_data(*out), it->data, it->desc.nbytes);
        ndi_count_copied(it->desc.nbytes);
    }
    return rc;
}

static int
open_place(const struct item *it, struct ndi_held *held, nds_array **out)
{
    char order = (it->desc.flags & NDI_ITEM_FORTRAN) != 0 ? 'F' : 'C';
    nds_block *b = NULL;
    int rc = ndi_block_of_memory(&b, it->data, it->desc.nbytes, false,
                                 ndi_held_closed, held);

    if (rc == 0) {
        ndi_store_rlx(&held->refs, 2); // the block's; nobody else has it
        rc = ndi_array_over_packed(out, b, it->dtype, it->ndim, it->shape,
                                   order);
    }
    return rc;
}

static int
open_ticket(struct ndi_chan *c, uint32_t slot, struct item *it,
            nds_array **out)
{
    char name[NDI_TICKET_NAME];
    struct ndi_segment *s = NULL;
    int rc;

    ndi_ticket_name(c, slot, name);
    rc = ndi_segment_attach_hidden(
        &s, name, (it->desc.flags & NDI_ITEM_READONLY) != 0 ? NDS_READ
                                                            : NDS_READWRITE);
    if (rc < 0) {
        return rc;
    }
    if (strcmp(s->name, name) == 0) {
        s->name[0] = '\0';
    }
    return ndi_ticket_unpack_geometry(it->blob, s, out);
}

/* Small ones are copied, and so is everything when arrays that were got and
 * are still open hold more than half of the arena. */
static bool
better_copied(const struct ndi_chan *c, const struct item *it)
{
    return it->desc.nbytes < SMALL || it->desc.kind == NDI_ITEM_INLINE ||
           ndi_load_rlx(&c->h->bytes_adopted) + it->desc.nbytes >
               c->arena.nbytes / 2;
}

static void
handle_closed(nds_array *a, void *ctx)
{
    (void)a;
    ndi_held_closed(ctx);
}

/* One item between its claim and its settlement. */
struct opened {
    uint32_t slot;
    uint64_t word;
    struct ndi_held *held; /* NULL: copied, and it leaves with this run */
    bool settle; /* it leaves the queue with this run */
    bool keep;   /* an array looks at the slot's memory */
    bool light;  /* copied, and of no extent */
};

/* The slot is this process's for longer than the call. */
static int
hold(struct ndi_chan *c, struct opened *o)
{
    int rc = ndi_held_new(&o->held, c);

    if (rc == 0) {
        o->held->slot = o->slot;
        o->held->word = o->word;
    }
    return rc;
}

/* A file keeps its slot, for the name, while slots are plenty. */
static bool
slots_are_plenty(const struct ndi_chan *c)
{
    uint64_t left = (uint64_t)ndi_load_rlx(&c->h->free_count) + c->nslots -
                    ndi_load_rlx(&c->h->top);

    return left > c->nslots / 2;
}

/* What the slot becomes once the array stands; keep: an array needs it. */
static void
decide(struct ndi_chan *c, enum ndi_get_how how, bool keep, struct opened *o)
{
    ndi_held_begin(o->held, how == NDI_TAKE  ? NDI_HELD_TAKEN
                            : c->acknowledge ? NDI_HELD_GOT
                                             : NDI_HELD_OVER, keep);
    if (how == NDI_GET && !c->acknowledge) {
        o->settle = true;
        o->keep = keep;
    }
}

static int
open_array(struct ndi_chan *c, struct item *it, enum ndi_get_how how,
           struct opened *o, nds_array **out)
{
    bool file = it->desc.kind == NDI_ITEM_TICKET;
    bool copied = !file && how == NDI_GET && better_copied(c, it);
    bool in_place = !file && !copied;
    struct ndi_held *held;
    int rc = copied && !c->acknowledge ? 0 : hold(c, o);

    held = o->held;
    if (rc == 0) {
        rc = file     ? open_ticket(c, o->slot, it, out)
             : copied ? open_copy(it, out)
                      : open_place(it, held, out);
    }
    NDI_KILL_POINT("get.opened");
    if (rc < 0) {
        return rc;
    }
    (*out)->deliveries = ndi_word_deliveries(o->word);
    if (held == NULL) {
        o->settle = true;
        o->light = it->desc.kind == NDI_ITEM_INLINE && it->desc.extent == 0;
        ndi_store_rlx(&c->last_nbytes,
                      o->light ? (uint32_t)it->desc.nbytes : 0);
        return 0;
    }
    if (file && (how == NDI_TAKE || slots_are_plenty(c))) {
        // The memory is a file of its own: the handle tells of its end.
        ndi_own_add(&held->refs, 1);
        (*out)->on_close = handle_closed;
        (*out)->close_ctx = held;
        (*out)->own_file = how == NDI_GET;
        in_place = true;
    }
    decide(c, how, in_place, o);
    if (how == NDI_TAKE) {
        (*out)->slot = (uint64_t)held->slot + 1;
        (*out)->close_ctx = held;
    }
    return 0;
}

/* What cannot be handed over goes back or, if it is nonsense, aside. */
static void
refuse(struct ndi_chan *c, uint32_t slot, uint64_t word, int rc,
       int64_t deadline)
{
    if (rc != NDS_ECORRUPT && rc != NDS_ENOENT && rc != NDS_EPROTO) {
        (void)ndi_chan_give_back(c, slot, deadline);
        return;
    }
    if (ndi_chan_lock_by(c, deadline) == 0) {
        uint64_t now = word;
        bool did;

        rc = ndi_slot_take_back(c, slot, &did); // picked: TAKEN
        now = ndi_load_acq(&ndi_slot_at(c, slot)->word);
        if (ndi_word_state(now) == NDI_TAKEN &&
            ndi_word_owner(now) == ndi_word_owner(word) &&
            ndi_word_seq(now) == ndi_word_seq(word)) {
            ndi_store_rel(&ndi_slot_at(c, slot)->word,
                          ndi_word_make(NDI_PARKED, ndi_word_deliveries(now),
                                        0, ndi_word_seq(now)));
        }
        ndi_chan_unlock_after(c, rc);
    }
}

/* Opens a slot just claimed; on failure it is given back or parked. */
static int
open_item(struct ndi_chan *c, enum ndi_get_how how, nds_array **out,
          nds_tag *tag, struct opened *o)
{
    struct item it;
    int rc;

    *out = NULL;
    it.dtype = NULL;
    it.blob = NULL;
    rc = read_slot(c, o->slot, &it);
    NDI_KILL_POINT("get.read");
    if (rc == 0 && tag != NULL) {
        memset(tag, 0, sizeof *tag);
        tag->nbytes = it.desc.tag_nbytes;
        memcpy(tag->bytes, it.desc.tag, it.desc.tag_nbytes);
    }
    if (rc == 0 && it.desc.kind != NDI_ITEM_NONE) {
        rc = open_array(c, &it, how, o, out);
    } else if (rc == 0 && (how == NDI_TAKE || !c->acknowledge)) {
        o->settle = true; // nothing to look at, nothing to release
    } else if (rc == 0 && (rc = hold(c, o)) == 0) {
        decide(c, how, false, o);
    }
    item_fini(&it);
    return rc;
}

/* An item that was claimed and cannot be had. */
static int
fail_item(struct ndi_chan *c, int rc, nds_array **out, struct opened *o,
          int64_t deadline)
{
    const nds_error saved = *nds_last_error();
    char text[256];

    strncpy(text, saved.message, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    if (o->held != NULL) {
        ndi_held_begin(o->held, NDI_HELD_OVER, false);
    }
    nds_array_close(ndi_steal(out));
    refuse(c, o->slot, o->word, rc, deadline);
    ndi_held_put(ndi_steal(&o->held));
    return ndi_fail(rc, "%s", text);
}

/* A run of items leaves the queue, or waits for task_done. */
static int
settle(struct ndi_chan *c, enum ndi_get_how how, struct opened *o, int n,
       nds_array **out, int64_t deadline)
{
    struct ndi_settled run[NDI_RUN];
    uint32_t me = 0;
    int count = 0, rc = 0;
    bool counted, open;

    for (int i = 0; i < n; i++) {
        if (o[i].settle) {
            run[count++] = (struct ndi_settled){o[i].slot, o[i].keep};
        } else if (how == NDI_GET) {
            ndi_held_list(o[i].held);
        }
    }
    // Counted before they leave: whoever joins may wait a moment too long,
    // never too short; killed between the two, burial settles the difference.
    counted = how == NDI_GET && count > 0 && ndi_chan_me(c, &me) == 0;
    if (counted) {
        ndi_own_add64(&c->counters[me - 1].left, (uint64_t)count);
        NDI_KILL_POINT("get.counted");
    }
    if (n == 1 && o->light && ndi_give_up(c, o->slot, o->word)) {
        NDI_KILL_POINT("get.gave_up");
    } else if (count > 0) {
        rc = ndi_chan_settle(c, run, count, deadline);
        NDI_KILL_POINT("get.settled");
    }
    for (int i = 0; i < n; i++) {
        if (rc == 0 && o[i].keep) {
            (void)ndi_held_pass(o[i].held, NDI_HELD_OVER, NDI_HELD_ADOPTED,
                                &open);
        }
        if (rc < 0 && o[i].settle) {
            nds_array_close(ndi_steal(&out[i]));
        }
    }
    if (rc < 0 && counted) {
        ndi_own_add64(&c->counters[me - 1].left, 0 - (uint64_t)count);
    }
    return rc;
}

/* The items of one claim. *count of them are the caller's. */
static int
open_run(struct ndi_chan *c, enum ndi_get_how how, const uint32_t *slots,
         const uint64_t *words, int n, nds_array **out, nds_tag *tags,
         int64_t deadline, int *count)
{
    struct opened o[NDI_RUN];
    int rc = 0, settled;

    for (*count = 0; *count < n && rc == 0;) {
        int i = *count;

        o[i] = (struct opened){.slot = slots[i], .word = words[i]};
        rc = open_item(c, how, &out[i], tags != NULL ? &tags[i] : NULL,
                       &o[i]);
        if (rc < 0) {
            rc = fail_item(c, rc, &out[i], &o[i], deadline);
        }
        *count += rc == 0;
    }
    if (*count + 1 < n) {
        (void)ndi_chan_put_back(c, slots + *count + 1, n - *count - 1,
                                deadline);
    }
    settled = settle(c, how, o, *count, out, deadline);
    for (int i = 0; i < *count; i++) {
        ndi_held_put(o[i].held);
    }
    if (settled < 0) {
        *count = 0; // what could not leave is given back when we are buried
        return settled;
    }
    return rc;
}

int
ndi_item_open(struct ndi_chan *c, enum ndi_get_how how, uint32_t slot,
              uint64_t word, nds_array **out, nds_tag *tag, int64_t deadline)
{
    int count;

    return open_run(c, how, &slot, &word, 1, out, tag, deadline, &count);
}

static int
claim_run(struct ndi_chan *c, int room, uint32_t *slots, uint64_t *words,
          int *got, int64_t deadline)
{
    int rc = NDS_ENOTSUP;

    if (room == 1) {
        rc = ndi_pick(c, slots, words);
        *got = 1;
    }
    return rc != NDS_ENOTSUP
               ? rc : ndi_chan_claim(c, room < NDI_RUN ? room : NDI_RUN,
                                     slots, words, got, deadline);
}

static int
get_run(struct ndi_chan *c, enum ndi_get_how how, int room, nds_array **out,
        nds_tag *tags, int64_t deadline, int *count)
{
    uint64_t words[NDI_RUN];
    uint32_t slots[NDI_RUN];
    int rc, got, looks = 0;

    *count = 0;
    while ((rc = claim_run(c, room, slots, words, &got, deadline)) ==
           NDS_EAGAIN) {
        deadline = ndi_deadline_begin(deadline);
        rc = ndi_chan_wait(c, NDI_WAIT_ITEMS, 0, deadline);
        if (rc < 0) {
            return rc;
        }
        if (deadline == 0 && ++looks > NDI_TRY_LOOKS) {
            return NDS_EAGAIN;
        }
    }
    return rc < 0 ? rc
                  : open_run(c, how, slots, words, got, out, tags, deadline,
                             count);
}

int
ndi_item_get(struct ndi_chan *c, enum ndi_get_how how, nds_array **out,
             nds_tag *tag, int64_t deadline)
{
    int rc, count;

    *out = NULL;
    rc = get_run(c, how, 1, out, tag, deadline, &count);
    if (rc == 0) {
        ndi_bell_look(c);
    }
    return rc;
}

int
ndi_item_get_many(struct ndi_chan *c, int room, nds_array **out,
                  nds_tag *tags, int64_t deadline, int *count)
{
    int rc = 0;

    for (*count = 0; *count < room && rc == 0;) {
        int n;

        if (*count > 0 && !ndi_chan_has_items(c)) {
            break;
        }
        rc = get_run(c, NDI_GET, room - *count, out + *count,
                     tags != NULL ? tags + *count : NULL,
                     *count == 0 ? deadline : 0, &n);
        *count += n;
    }
    if (*count > 0) {
        ndi_bell_look(c);
    }
    return *count > 0 ? 0 : rc;
}
