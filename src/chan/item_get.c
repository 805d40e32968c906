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

struct item {
    struct ndi_slot desc; /* a copy; its payload field is not copied */
    const nds_dtype *dtype;
    int ndim;
    int64_t shape[NDS_MAX_NDIM];
    unsigned char *blob_at;
    unsigned char *data; /* in the segment */
    struct ndi_parcel blob;
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
    ndi_buf_add(&it->blob.bytes, it->blob_at, d->blob_used);
    return ndi_buf_ok(&it->blob.bytes);
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
        if (rc == 0) {
            rc = nds_dtype_parse(&it->dtype, ndi_parcel_str(&it->blob));
        }
        for (int i = 0; i < it->ndim && rc == 0; i++) {
            it->shape[i] = (int64_t)ndi_parcel_u64(&it->blob);
        }
        if (rc < 0 || ndi_parcel_ok(&it->blob) < 0) {
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

    memcpy((unsigned char *)d + 64, (unsigned char *)s + 64,
           offsetof(struct ndi_slot, payload) - 64);
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
    ndi_parcel_fini(&it->blob);
}

/* ---- the three ways to hand it over ------------------------------------------ */

static int
open_copy(const struct item *it, nds_array **out)
{
    nds_array_options opts = {
        .size = sizeof opts,
        .uninitialised = true,
        .order = (it->desc.flags & NDI_ITEM_FORTRAN) != 0 ? 'F' : 'C',
    };
    int rc = nds_array_new(out, it->dtype, it->ndim, it->shape, &opts);

    if (rc == 0 && it->desc.nbytes > 0) {
        memcpy(nds_array_data(*out), it->data, it->desc.nbytes);
        ndi_count_copied(it->desc.nbytes);
    }
    return rc;
}

static int
open_place(const struct item *it, struct ndi_held *held, nds_array **out)
{
    char order = (it->desc.flags & NDI_ITEM_FORTRAN) != 0 ? 'F' : 'C';
    nds_block *b = NULL;
    nds_view v;
    int rc = nds_view_init_strided(&v, it->dtype, it->data, it->desc.nbytes,
                                   0, it->ndim, it->shape, NULL, order);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_block_of_memory(&b, it->data, it->desc.nbytes, false,
                             ndi_held_closed, held);
    if (rc == 0) {
        held->refs++; // the block's
        rc = ndi_array_over(out, b, &v);
    }
    nds_view_fini(&v);
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
    return ndi_ticket_unpack_geometry(&it->blob, s, out);
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

/* What the slot becomes once the array stands. */
static int
settle_get(struct ndi_chan *c, struct ndi_held *held, uint8_t kind,
           bool in_place)
{
    uint32_t me;
    int rc;

    if (c->acknowledge) {
        held->state = NDI_HELD_GOT;
        ndi_held_list(held);
        return 0;
    }
    if (in_place || kind == NDI_ITEM_TICKET) {
        rc = ndi_chan_own(c, held->slot); // it has left the queue
        held->state = in_place ? NDI_HELD_ADOPTED : NDI_HELD_OVER;
        NDI_KILL_POINT("get.owned");
        if (rc == 0 && !in_place) {
            rc = ndi_chan_free(c, held->slot); // unlinks the hidden name
        }
    } else {
        rc = ndi_chan_free(c, held->slot);
    }
    if (rc == 0 && ndi_chan_me(c, &me) == 0) {
        ndi_add_rlx(&c->counters[me - 1].left, 1);
    }
    return rc;
}

static void
handle_closed(nds_array *a, void *ctx)
{
    (void)a;
    ndi_held_closed(ctx);
}

static int
open_array(struct ndi_chan *c, struct item *it, struct ndi_held *held,
           enum ndi_get_how how, nds_array **out)
{
    bool in_place = false;
    int rc;

    if (it->desc.kind == NDI_ITEM_TICKET) {
        rc = open_ticket(c, held->slot, it, out);
    } else if (how == NDI_GET && better_copied(c, it)) {
        rc = open_copy(it, out);
    } else {
        in_place = true;
        rc = open_place(it, held, out);
    }
    NDI_KILL_POINT("get.opened");
    if (rc < 0) {
        return rc;
    }
    held->open = in_place;
    (*out)->deliveries = ndi_word_deliveries(held->word);
    if (how == NDI_GET) {
        return settle_get(c, held, it->desc.kind, in_place);
    }
    held->state = NDI_HELD_TAKEN;
    (*out)->slot = (uint64_t)held->slot + 1;
    (*out)->close_ctx = held;
    if (!in_place) {
        // The memory is a file of its own: the handle tells of its end.
        held->open = true;
        held->refs++;
        (*out)->on_close = handle_closed;
    }
    return 0;
}

/* What cannot be handed over goes back or, if it is nonsense, aside. */
static void
refuse(struct ndi_chan *c, uint32_t slot, uint64_t word, int rc)
{
    if (rc != NDS_ECORRUPT && rc != NDS_ENOENT && rc != NDS_EPROTO) {
        (void)ndi_chan_give_back(c, slot);
        return;
    }
    if (ndi_chan_lock(c) == 0) {
        if (ndi_load_acq(&ndi_slot_at(c, slot)->word) == word) {
            ndi_store_rel(&ndi_slot_at(c, slot)->word,
                          ndi_word_make(NDI_PARKED, ndi_word_deliveries(word),
                                        0, ndi_word_seq(word)));
        }
        ndi_chan_unlock(c);
    }
}

int
ndi_item_open(struct ndi_chan *c, uint32_t slot, uint64_t word,
              enum ndi_get_how how, nds_array **out, nds_tag *tag)
{
    struct ndi_held *held = NULL;
    struct item it = {.dtype = NULL};
    int rc = ndi_held_new(&held, c);

    *out = NULL;
    if (rc == 0) {
        held->slot = slot;
        held->word = word;
        rc = read_slot(c, slot, &it);
    }
    NDI_KILL_POINT("get.read");
    if (rc == 0 && tag != NULL) {
        memset(tag, 0, sizeof *tag);
        tag->nbytes = it.desc.tag_nbytes;
        memcpy(tag->bytes, it.desc.tag, it.desc.tag_nbytes);
    }
    if (rc == 0 && it.desc.kind == NDI_ITEM_NONE) {
        rc = how == NDI_GET ? settle_get(c, held, NDI_ITEM_NONE, false)
                            : ndi_chan_free(c, slot);
    } else if (rc == 0) {
        rc = open_array(c, &it, held, how, out);
    }
    if (rc < 0) {
        const nds_error saved = *nds_last_error();
        char text[256];

        strncpy(text, saved.message, sizeof text - 1);
        text[sizeof text - 1] = '\0';
        if (held != NULL) {
            held->state = NDI_HELD_OVER;
        }
        nds_array_close(ndi_steal(out));
        refuse(c, slot, word, rc);
        rc = ndi_fail(rc, "%s", text);
    }
    item_fini(&it);
    ndi_held_put(held);
    return rc;
}

int
ndi_item_get(struct ndi_chan *c, enum ndi_get_how how, nds_array **out,
             nds_tag *tag, int64_t deadline)
{
    uint64_t word;
    uint32_t slot;
    int rc;

    *out = NULL;
    while ((rc = ndi_chan_claim(c, &slot, &word, deadline)) == NDS_EAGAIN) {
        rc = ndi_chan_wait(c, NDI_WAIT_ITEMS, 0, deadline);
        if (rc < 0) {
            return rc;
        }
    }
    if (rc < 0) {
        return rc;
    }
    rc = ndi_item_open(c, slot, word, how, out, tag);
    ndi_bell_look(c);
    return rc;
}
