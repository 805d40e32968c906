/* SPDX-License-Identifier: MIT */
/*
 * item.c - arrays into slots
 *
 * Up to 1 KiB lies in the slot itself, more in an extent of the arena: one
 * copy, made outside the lock into memory the loan reserves. An array that
 * nobody can write any more crosses as a file of its own: it gets a hidden
 * name that belongs to the slot, and no byte is copied. Where a name cannot
 * be had (no room, not that kind of memory) it is copied like any other.
 */
#include <chan/chan_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <nd/dtype_impl.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>
#include <string.h>

#define BIG (UINT64_C(2) << 20)
#define PAGE 4096
#define PATIENCE_NS INT64_C(1000000000)

/* What a slot's descriptor will say. */
struct plan {
    struct ndi_need need;
    struct ndi_parcel *blob; /* dtype and shape, when the slot has no room */
    uint32_t blob_room;
    uint8_t flags;
    uint8_t type;
    bool packed; /* the source is one piece in the order of the flags */
    int ndim;
    const int64_t *shape;
};

static int
plan_blob(struct plan *p)
{
    p->blob = ndi_parcel_new();
    return p->blob != NULL ? 0 : NDS_ENOMEM;
}

/* What was added needs this much room before the payload. */
static int
plan_blob_end(struct plan *p)
{
    p->blob_room = (uint32_t)((p->blob->bytes.nbytes + 63) & ~UINT64_C(63));
    p->flags |= NDI_ITEM_BLOB;
    return ndi_parcel_ok(p->blob);
}

static void
plan_fini(struct plan *p)
{
    ndi_parcel_free(ndi_steal(&p->blob));
}

static bool
tag_ok(const nds_tag *tag)
{
    return tag == NULL || tag->nbytes <= NDI_TAG_NBYTES;
}

static int
bad_tag(const nds_tag *tag)
{
    return ndi_fail(NDS_EINVAL, "a tag of %u bytes, at most %d", tag->nbytes,
                    NDI_TAG_NBYTES);
}

static void
plan_extent(struct plan *p)
{
    uint64_t n = p->blob_room + p->need.nbytes;

    if (p->need.kind != NDI_ITEM_TICKET && n <= NDI_INLINE_NBYTES) {
        p->need.kind = NDI_ITEM_INLINE;
        return;
    }
    p->need.align = n >= BIG ? BIG : n >= 65536 ? PAGE : 64;
    p->need.extent = (n + (n >= 65536 ? PAGE : 64) - 1) &
                     ~(uint64_t)((n >= 65536 ? PAGE : 64) - 1);
}

/* A payload by value: dtype, shape and order. */
static int
plan_value(struct plan *p, const nds_dtype *dtype, int ndim,
           const int64_t *shape, char order)
{
    int64_t nbytes;
    char *text = NULL;
    int rc = ndi_array_nbytes(dtype, ndim, shape, &nbytes);

    if (rc < 0) {
        return rc;
    }
    p->need = (struct ndi_need){.kind = NDI_ITEM_ARENA,
                                .nbytes = (uint64_t)nbytes, .align = 64};
    p->ndim = ndim;
    p->shape = shape;
    p->flags = order == 'F' ? NDI_ITEM_FORTRAN : 0;
    if (nds_dtype_builtin(dtype->type) == dtype && ndim <= NDI_SLOT_SHAPE) {
        p->type = (uint8_t)dtype->type;
        plan_extent(p);
        return 0;
    }
    rc = nds_dtype_str(dtype, &text);
    if (rc == 0) {
        rc = plan_blob(p);
    }
    if (rc < 0) {
        free(text);
        return rc;
    }
    ndi_parcel_add_str(p->blob, text);
    free(text);
    for (int i = 0; i < ndim; i++) {
        ndi_parcel_add_u64(p->blob, (uint64_t)shape[i]);
    }
    rc = plan_blob_end(p);
    plan_extent(p);
    return rc;
}

static unsigned char *
payload_at(const struct ndi_chan *c, uint32_t slot, const struct plan *p)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);

    // Where the loan was given, whatever the slot says by now.
    return p->need.extent == 0 ? s->payload : c->data + p->need.off;
}

/* The part of the descriptor that is written while LOANED. */
static void
describe(struct ndi_chan *c, uint32_t slot, const struct plan *p)
{
    struct ndi_slot *s = ndi_slot_at(c, slot);

    s->flags = p->flags;
    s->type = p->type;
    s->ndim = (uint8_t)p->ndim;
    s->blob = p->blob_room;
    s->blob_used = p->blob != NULL ? (uint32_t)p->blob->bytes.nbytes : 0;
    s->tag_nbytes = 0;
    NDI_KILL_POINT("put.described");
    if (p->blob != NULL) {
        memcpy(payload_at(c, slot, p), p->blob->bytes.data,
               p->blob->bytes.nbytes);
    } else {
        for (int i = 0; i < p->ndim; i++) {
            s->shape[i] = p->shape[i];
        }
    }
}

static void
set_tag(struct ndi_slot *s, const nds_tag *tag)
{
    s->tag_nbytes = tag != NULL ? tag->nbytes : 0;
    if (tag != NULL) {
        memcpy(s->tag, tag->bytes, tag->nbytes);
    }
}

/* After a wait for room: does it make sense to wait on, or was the wait for
 * nothing because who took is dead? since: when that was first seen, or 0. */
static int
nobody_takes(struct ndi_chan *c, int rc, int64_t deadline, int64_t *since)
{
    bool over = rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN;

    if (c->hub->pipe != 0 || !(over || (rc == 0 && deadline < 0))) {
        return rc; // a pipe knows of its ends
    }
    if (!ndi_takers_gone(c)) {
        *since = 0;
        return rc;
    }
    if (!over) {
        int64_t now = ndi_now_ns();

        *since = *since == 0 ? now : *since;
        if (now - *since < PATIENCE_NS) {
            return 0; // a supervisor may start a new one
        }
    }
    return ndi_fail(NDS_EBROKEN, "put: the queue is full, and the processes "
                    "that took from it are dead");
}

/* Waits until there is room for the first. */
static int
loan_run(struct ndi_chan *c, struct ndi_need *needs, int n, int64_t deadline,
         uint32_t *slots, int *got)
{
    struct ndi_full full = {.what = NDI_WAIT_ROOM, .search = deadline == 0};
    int64_t since = 0;
    int looks = 0;
    int rc;

    while ((rc = ndi_chan_loan(c, needs, n, slots, got, &full, deadline)) ==
           NDS_EAGAIN) {
        if (c->hub->pipe != 0 &&
            ndi_load_acq(&c->hub->h->end_gone[c->index == 0 ? 0 : 1]) != 0) {
            return NDS_EAGAIN; // the pipe looks who is gone
        }
        deadline = ndi_deadline_begin(deadline);
        rc = ndi_chan_wait_room(c, &full, deadline);
        rc = nobody_takes(c, rc, deadline, &since);
        if (rc < 0) {
            return rc;
        }
        if (deadline == 0 && ++looks > NDI_TRY_LOOKS) {
            return NDS_EAGAIN;
        }
    }
    return rc;
}

static int
loan(struct ndi_chan *c, struct ndi_need *need, int64_t deadline,
     uint32_t *slot)
{
    int got;

    return ndi_reserve_start(c, need, slot)
               ? 0 : loan_run(c, need, 1, deadline, slot, &got);
}

/* Before memory of the arena is written: in 2 MiB pages if it has none and the
 * kernel gives them, for 4 KiB faults are many times slower. */
static void
warm_up(struct ndi_chan *c, uint64_t off, uint64_t nbytes)
{
    uint64_t warm = ndi_load_rlx(&c->h->warm);
    uint64_t end = off + nbytes;
    size_t cold;

    for (int tries = 0; warm < end && tries < NDI_CAS_TRIES; tries++) {
        NDI_KILL_POINT("warm.will_raise");
        if (ndi_cas_seq(&c->h->warm, &warm, end)) {
            break;
        }
    }
    if (nbytes < 2 * BIG || ndi_chan_is_warm(c, off, end)) {
        return;
    }
    // Also below `warm`, where there may be holes.
    cold = ndi_map_cold(c->data + off, nbytes);
    if (cold > 0) {
        ndi_chan_grows(c, cold);
        ndi_map_collapse(c->data + off, nbytes, c->hub->segment->huge);
    }
    ndi_chan_warmed(c, off, end);
}

static int
copy_in(struct ndi_chan *c, unsigned char *to, const nds_view *v,
        uint64_t nbytes, bool packed)
{
    nds_view dst;
    int rc;

    if (packed) {
        ndi_chan_copy(c, to, v->data, nbytes);
    } else {
        rc = nds_view_init(&dst, v->dtype, to, nbytes, v->ndim, v->shape);
        if (rc < 0) {
            return rc;
        }
        rc = nds_assign(&dst, v);
        nds_view_fini(&dst);
        if (rc < 0) {
            return rc;
        }
    }
    ndi_count_copied(nbytes);
    return 0;
}

static int put_ticket(struct ndi_chan *c, const nds_array *a,
                      const nds_tag *tag, bool readonly, int64_t deadline);

/* Larger than the arena: by a shareable copy, if that has room. */
static int
put_oversize(struct ndi_chan *c, const nds_array *a, uint64_t nbytes,
             const nds_tag *tag, int64_t deadline)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE,
                              .uninitialised = true};
    nds_array *copy = NULL;
    int rc = nds_array_copy(&copy, &a->view, &opts);

    if (rc == 0) {
        rc = put_ticket(c, copy, tag, false, deadline);
    }
    nds_array_close(copy);
    if (rc == NDS_ENOTSUP || rc == NDS_ENOSPC) {
        return ndi_fail(NDS_ELIMIT, "an item of %llu bytes does not fit the "
                        "channel's %llu, and shared memory has no room for "
                        "it either", (unsigned long long)nbytes,
                        (unsigned long long)c->arena.nbytes);
    }
    return rc;
}

static int
plan_array(struct plan *p, const nds_array *a)
{
    const nds_view *v = &a->view;
    bool c = nds_view_is_contiguous(v, 'C');
    bool f = !c && nds_view_is_contiguous(v, 'F');

    p->packed = c || f;
    return plan_value(p, v->dtype, v->ndim, v->shape, f ? 'F' : 'C');
}

/* Descriptor and payload into a loan of ours, without the lock. */
static int
fill_slot(struct ndi_chan *c, uint32_t slot, const struct plan *p,
          const nds_array *a, const nds_tag *tag)
{
    int rc = 0;

    describe(c, slot, p);
    if (p->need.extent > 0) {
        warm_up(c, p->need.off, p->need.extent);
    }
    if (a != NULL) {
        rc = copy_in(c, payload_at(c, slot, p) + p->blob_room, &a->view,
                     p->need.nbytes, p->packed);
    }
    NDI_KILL_POINT("put.copied");
    set_tag(ndi_slot_at(c, slot), tag);
    return rc;
}

static int
put_value(struct ndi_chan *c, const nds_array *a, const nds_tag *tag,
          int64_t deadline)
{
    struct plan p = {0};
    uint32_t slot;
    int rc = plan_array(&p, a);

    if (rc == 0 && p.need.extent > c->arena.nbytes) {
        rc = put_oversize(c, a, p.need.nbytes, tag, deadline);
        goto out;
    }
    if (rc < 0 || (rc = loan(c, &p.need, deadline, &slot)) < 0) {
        goto out;
    }
    rc = fill_slot(c, slot, &p, a, tag);
    if (rc == 0) {
        rc = ndi_chan_publish(c, &slot, 1, deadline);
    }
    if (rc < 0) {
        (void)ndi_chan_free(c, slot, deadline);
    }
out:
    plan_fini(&p);
    return rc;
}

/* The file gets the slot's name; a leftover of that name goes first. */
static int
name_it(struct ndi_chan *c, uint32_t slot, struct ndi_segment *s)
{
    char name[NDI_TICKET_NAME];
    int rc;

    ndi_ticket_name(c, slot, name);
    rc = ndi_segment_publish(s, name, false);
    if (rc == NDS_EEXIST) {
        ndi_shm_unlink(name);
        rc = ndi_segment_publish(s, name, false);
    }
    if (strcmp(s->name, name) == 0) {
        s->name[0] = '\0'; // the slot's name, not the array's
    }
    return rc;
}

/* NDS_ENOTSUP: not in this way, copy it. */
static int
put_ticket(struct ndi_chan *c, const nds_array *a, const nds_tag *tag,
           bool readonly, int64_t deadline)
{
    struct plan p = {.need = {.kind = NDI_ITEM_TICKET, .align = 64}};
    struct ndi_segment *s = a->segment;
    uint32_t slot;
    int rc;

    if (s == NULL || s->memfd || c->hub->marker == NULL ||
        s->name[0] != '\0') {
        return NDS_ENOTSUP;
    }
    rc = plan_blob(&p);
    if (rc < 0) {
        return rc;
    }
    ndi_ticket_pack_geometry(a, p.blob);
    rc = plan_blob_end(&p);
    if (rc < 0) {
        goto out;
    }
    p.flags |= readonly ? NDI_ITEM_READONLY : 0;
    p.need.nbytes = s->body_nbytes;
    if (p.blob_room > NDI_INLINE_NBYTES) {
        p.need.extent = p.blob_room;
    }
    rc = loan(c, &p.need, deadline, &slot);
    if (rc < 0) {
        goto out;
    }
    describe(c, slot, &p);
    set_tag(ndi_slot_at(c, slot), tag);
    NDI_KILL_POINT("ticket.before_name");
    rc = name_it(c, slot, s);
    NDI_KILL_POINT("ticket.named");
    if (rc < 0) {
        rc = NDS_ENOTSUP;
    } else {
        rc = ndi_chan_publish(c, &slot, 1, deadline);
    }
    if (rc < 0) {
        (void)ndi_chan_free(c, slot, deadline);
    }
out:
    plan_fini(&p);
    return rc;
}

int
ndi_item_put(struct ndi_chan *c, const nds_array *a, const nds_tag *tag,
             int64_t deadline)
{
    int rc = NDS_ENOTSUP;

    if (!tag_ok(tag)) {
        return bad_tag(tag);
    }
    if (a == NULL) {
        return ndi_item_put_none(c, deadline);
    }
    if (ndi_array_is_frozen(a) &&
        nds_view_nbytes(&a->view) > NDI_INLINE_NBYTES) {
        rc = put_ticket(c, a, tag, true, deadline);
    }
    return rc == NDS_ENOTSUP ? put_value(c, a, tag, deadline) : rc;
}

int
ndi_item_put_move(struct ndi_chan *c, nds_array **a, const nds_tag *tag,
                  int64_t deadline)
{
    int rc = NDS_ENOTSUP;

    if (!tag_ok(tag)) {
        return bad_tag(tag);
    }
    if (nds_view_nbytes(&(*a)->view) > NDI_INLINE_NBYTES) {
        rc = put_ticket(c, *a, tag, ndi_array_is_frozen(*a), deadline);
        if (rc == 0) {
            ndi_segment_move_on((*a)->segment);
        }
    }
    if (rc == NDS_ENOTSUP) {
        rc = put_value(c, *a, tag, deadline);
    }
    if (rc == 0) {
        nds_array_close(ndi_steal(a)); // published first, unmapped after
    }
    return rc;
}

int
ndi_item_put_none(struct ndi_chan *c, int64_t deadline)
{
    struct plan p = {.need = {.kind = NDI_ITEM_NONE}};
    uint32_t slot;
    int rc = loan(c, &p.need, deadline, &slot);

    if (rc == 0) {
        describe(c, slot, &p);
        rc = ndi_chan_publish(c, &slot, 1, deadline);
        if (rc < 0) {
            (void)ndi_chan_free(c, slot, deadline);
        }
    }
    return rc;
}

/* ---- many at once ------------------------------------------------------- */

/* Items that go together: loaned in one section, filled without the lock,
 * published by one store of the lane's tail. */
struct run {
    struct plan plan[NDI_RUN];
    struct ndi_need need[NDI_RUN];
    const nds_array *array[NDI_RUN];
    const nds_tag *tag[NDI_RUN];
    uint32_t slot[NDI_RUN];
    int n;
};

/* By reference or too large: goes alone. */
static bool
goes_alone(const struct ndi_chan *c, const nds_array *a, const struct plan *p)
{
    return a != NULL && (p->need.extent > c->arena.nbytes ||
                         (ndi_array_is_frozen(a) &&
                          nds_view_nbytes(&a->view) > NDI_INLINE_NBYTES));
}

/* Of the arrays to come as many as can go together; *rc: why not more. */
static void
run_gather(struct ndi_chan *c, struct run *r, int count,
           nds_array *const *arrays, const nds_tag *tags, int *rc)
{
    *rc = 0;
    for (r->n = 0; r->n < count && r->n < NDI_RUN && *rc == 0;) {
        const nds_tag *tag = tags != NULL ? &tags[r->n] : NULL;
        const nds_array *a = arrays[r->n];
        struct plan *p = &r->plan[r->n];

        *p = (struct plan){.need = {.kind = NDI_ITEM_NONE}};
        *rc = !tag_ok(tag) ? bad_tag(tag) : a != NULL ? plan_array(p, a) : 0;
        if (*rc < 0 || goes_alone(c, a, p)) {
            plan_fini(p);
            return;
        }
        r->need[r->n] = p->need;
        r->array[r->n] = a;
        r->tag[r->n++] = tag;
    }
}

/* What is left of a run's loans goes back, in one section. */
static void
run_free(struct ndi_chan *c, const uint32_t *slots, int n, int64_t deadline)
{
    struct ndi_settled back[NDI_RUN];

    for (int i = 0; i < n; i++) {
        back[i] = (struct ndi_settled){slots[i], false};
    }
    (void)ndi_chan_settle(c, back, n, deadline);
}

/* *done: how many are in the queue. */
static int
run_put(struct ndi_chan *c, struct run *r, int64_t deadline, int *done)
{
    int rc = 0;

    for (*done = 0; *done < r->n && rc == 0;) {
        int at = *done, got = 0, full = 0, out;

        rc = loan_run(c, &r->need[at], r->n - at, deadline, r->slot, &got);
        while (rc == 0 && full < got) {
            r->plan[at + full].need.off = r->need[at + full].off;
            rc = fill_slot(c, r->slot[full], &r->plan[at + full],
                           r->array[at + full], r->tag[at + full]);
            full += rc == 0;
        }
        if (full < got) {
            run_free(c, r->slot + full, got - full, deadline);
        }
        if (full > 0) {
            out = ndi_chan_publish(c, r->slot, full, deadline);
            rc = rc < 0 ? rc : out;
            *done += out == 0 ? full : 0;
            if (out < 0) {
                run_free(c, r->slot, full, deadline);
            }
        }
    }
    return rc;
}

int
ndi_item_put_many(struct ndi_chan *c, int count, nds_array *const *arrays,
                  const nds_tag *tags, int64_t deadline, int *done)
{
    struct run *r = malloc(sizeof *r);
    int rc = r == NULL ? ndi_fail_nomem(sizeof *r, "a run of items") : 0;

    *done = 0;
    while (rc == 0 && *done < count) {
        int put = 0, why, more;

        run_gather(c, r, count - *done, arrays + *done,
                   tags != NULL ? tags + *done : NULL, &why);
        more = r->n;
        rc = run_put(c, r, deadline, &put);
        *done += put;
        for (int i = 0; i < more; i++) {
            plan_fini(&r->plan[i]);
        }
        rc = rc < 0 ? rc : why;
        if (rc == 0 && *done < count && more < NDI_RUN) {
            rc = ndi_item_put(c, arrays[*done],
                              tags != NULL ? &tags[*done] : NULL, deadline);
            *done += rc == 0;
        }
    }
    free(r);
    return rc;
}

/* ---- in place ----------------------------------------------------------- */

static int
loan_array(struct ndi_chan *c, uint32_t slot, const struct plan *p,
           const nds_dtype *dtype, struct ndi_held *held, nds_array **out)
{
    unsigned char *at = payload_at(c, slot, p) + p->blob_room;
    nds_block *b = NULL;
    int rc = ndi_block_of_memory(&b, at, p->need.nbytes, false,
                                 ndi_held_closed, held);

    if (rc == 0) {
        ndi_store_rlx(&held->refs, 2); // the block's; nobody else has it
        rc = ndi_array_over_packed(out, b, dtype, p->ndim, p->shape, 'C');
    }
    return rc;
}

int
ndi_item_loan(struct ndi_chan *c, nds_array **out, const nds_dtype *dtype,
              int ndim, const int64_t *shape, int64_t deadline)
{
    struct ndi_held *held = NULL;
    struct plan p = {0};
    uint32_t slot;
    int rc = plan_value(&p, dtype, ndim, shape, 'C');

    *out = NULL;
    if (rc == 0 && p.need.extent > c->arena.nbytes) {
        rc = ndi_fail(NDS_ELIMIT, "a loan of %llu bytes from a channel of "
                      "%llu", (unsigned long long)p.need.nbytes,
                      (unsigned long long)c->arena.nbytes);
    }
    if (rc == 0) {
        rc = ndi_held_new(&held, c);
    }
    if (rc < 0 || (rc = loan(c, &p.need, deadline, &slot)) < 0) {
        goto out;
    }
    describe(c, slot, &p);
    if (p.need.extent > 0) {
        warm_up(c, p.need.off, p.need.extent);
    }
    held->slot = slot;
    rc = loan_array(c, slot, &p, dtype, held, out);
    if (rc < 0) {
        (void)ndi_chan_free(c, slot, deadline);
        goto out;
    }
    ndi_held_begin(held, NDI_HELD_LOAN, true);
    (*out)->slot = (uint64_t)slot + 1;
    (*out)->close_ctx = held;
out:
    ndi_held_put(held);
    plan_fini(&p);
    return rc;
}

int
ndi_item_publish(struct ndi_hub *hub, nds_array **a, const nds_tag *tag)
{
    struct ndi_held *held = ndi_held_of(*a, hub);
    struct ndi_chan *c;
    bool open;
    int rc;

    if (held == NULL || !tag_ok(tag)) {
        return ndi_fail(NDS_EINVAL, "publish: the array was not loaned here, "
                        "or its tag is too long");
    }
    c = held->chan;
    if (!ndi_held_pass(held, NDI_HELD_LOAN, NDI_HELD_OVER, &open)) {
        return ndi_fail(NDS_EINVAL, "publish: the array is no loan");
    }
    set_tag(ndi_slot_at(c, held->slot), tag);
    rc = ndi_chan_publish(c, &held->slot, 1, NDS_FOREVER);
    if (rc < 0) { // nothing is committed: the caller's loan still
        (void)ndi_held_pass(held, NDI_HELD_OVER, NDI_HELD_LOAN, &open);
        return rc;
    }
    nds_array_close(ndi_steal(a));
    return 0;
}

void
ndi_item_discard(nds_array **a)
{
    nds_array_close(ndi_steal(a)); // closing an unpublished loan frees it
}
