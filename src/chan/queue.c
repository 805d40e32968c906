/* SPDX-License-Identifier: MIT */
/* queue.c - many producers, many consumers: the public face of one channel */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>
#include <string.h>

struct nds_queue {
    struct ndi_hub *hub;
};

static struct ndi_chan *
chan_of(nds_queue *q)
{
    ndi_hub_enter_image(q->hub);
    return &q->hub->chan[0];
}

/* Takes over the count on hub. */
static int
queue_over(nds_queue **out, struct ndi_hub *hub)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        ndi_hub_put(hub);
        return ndi_fail_nomem(sizeof **out, "a queue");
    }
    (*out)->hub = hub;
    return 0;
}

static int
queue_make(nds_queue **out, const char *name, const nds_queue_options *opts)
{
    struct ndi_hub_spec spec = {.name = name};
    struct ndi_hub *hub = NULL;
    int rc;

    *out = NULL;
    if (opts != NULL) {
        spec.max_items = opts->max_items;
        spec.max_bytes = opts->max_bytes;
        spec.policy = (uint32_t)opts->redelivery;
        spec.max_deliveries = opts->max_deliveries;
        spec.acknowledge = opts->acknowledge;
        spec.mode_bits = opts->mode_bits;
        spec.lifetime = opts->lifetime;
        spec.huge = opts->huge;
        spec.keep = opts->keep_bytes;
    }
    rc = ndi_hub_create(&hub, &spec);
    return rc < 0 ? rc : queue_over(out, hub);
}

int
nds_queue_new(nds_queue **out, const nds_queue_options *opts)
{
    return queue_make(out, NULL, opts);
}

int
nds_queue_create(nds_queue **out, const char *name,
                 const nds_queue_options *opts)
{
    int rc = ndi_name_check(name);

    *out = NULL;
    return rc < 0 ? rc : queue_make(out, name, opts);
}

int
nds_queue_attach(nds_queue **out, const char *name, int64_t timeout_ns)
{
    struct ndi_segment *s = NULL;
    struct ndi_hub *hub = NULL;
    int rc;

    *out = NULL;
    rc = ndi_segment_attach(&s, name, NDI_KIND_QUEUE, NDS_READWRITE,
                            timeout_ns);
    if (rc == 0) {
        rc = ndi_hub_over(&hub, s);
    }
    return rc < 0 ? rc : queue_over(out, hub);
}

void
nds_queue_close(nds_queue *q)
{
    if (q != NULL) {
        ndi_held_abandon(q->hub);
        ndi_hub_put(q->hub);
        free(q);
    }
}

int
nds_queue_unlink(const char *name)
{
    return nds_name_unlink(name);
}

int
nds_queue_put(nds_queue *q, const nds_array *a, const nds_tag *tag,
              int64_t timeout_ns)
{
    return ndi_item_put(chan_of(q), a, tag, ndi_deadline_later(timeout_ns));
}

int
nds_queue_put_move(nds_queue *q, nds_array **a, const nds_tag *tag,
                   int64_t timeout_ns)
{
    return ndi_item_put_move(chan_of(q), a, tag, ndi_deadline_later(timeout_ns));
}

int
nds_queue_put_none(nds_queue *q, int64_t timeout_ns)
{
    return ndi_item_put_none(chan_of(q), ndi_deadline_later(timeout_ns));
}

int
nds_queue_put_many(nds_queue *q, int count, nds_array *const *arrays,
                   const nds_tag *tags, int64_t timeout_ns, int *done)
{
    return ndi_item_put_many(chan_of(q), count, arrays, tags,
                             ndi_deadline(timeout_ns), done);
}

int
nds_queue_get(nds_queue *q, nds_array **out, nds_tag *tag, int64_t timeout_ns)
{
    return ndi_item_get(chan_of(q), NDI_GET, out, tag,
                        ndi_deadline_later(timeout_ns));
}

int
nds_queue_get_many(nds_queue *q, int room, nds_array **out, nds_tag *tags,
                   int64_t timeout_ns, int *count)
{
    return ndi_item_get_many(chan_of(q), room, out, tags,
                             ndi_deadline(timeout_ns), count);
}

int
nds_queue_loan(nds_queue *q, nds_array **loan, const nds_dtype *dtype,
               int ndim, const int64_t *shape, int64_t timeout_ns)
{
    return ndi_item_loan(chan_of(q), loan, dtype, ndim, shape,
                         ndi_deadline_later(timeout_ns));
}

int
nds_queue_publish(nds_queue *q, nds_array **loan, const nds_tag *tag)
{
    (void)chan_of(q);
    return ndi_item_publish(q->hub, loan, tag);
}

void
nds_queue_discard(nds_queue *q, nds_array **loan)
{
    (void)chan_of(q);
    ndi_item_discard(loan);
}

int
nds_queue_take(nds_queue *q, nds_array **out, nds_tag *tag,
               int64_t timeout_ns)
{
    return ndi_item_get(chan_of(q), NDI_TAKE, out, tag,
                        ndi_deadline_later(timeout_ns));
}

int
nds_queue_release(nds_queue *q, nds_array **item)
{
    struct ndi_chan *c = chan_of(q);
    struct ndi_held *held = ndi_held_of(*item, q->hub);
    int rc;

    if (held == NULL) {
        return ndi_fail(NDS_EINVAL, "release: the array was not taken from "
                        "this queue by this process");
    }
    rc = ndi_held_release(held, item);
    ndi_event_changed(&c->h->done, INT32_MAX);
    return rc;
}

uint32_t
nds_queue_deliveries(const nds_array *item)
{
    return item->deliveries;
}

int
nds_queue_task_done(nds_queue *q)
{
    struct ndi_chan *c = chan_of(q);
    uint32_t me;
    int rc;

    if (c->acknowledge) {
        rc = ndi_held_done_oldest(c);
    } else if (ndi_chan_unfinished(c) <= 0) {
        rc = ndi_fail(NDS_EINVAL, "task_done() called too many times");
    } else if ((rc = ndi_chan_me(c, &me)) == 0) {
        ndi_add_rlx(&c->counters[me - 1].done, 1);
    }
    if (rc == 0) {
        ndi_add_seq(&c->h->done.futex, 1);
        ndi_event_signal(&c->h->done, INT32_MAX);
    }
    return rc;
}

int
nds_queue_join(nds_queue *q, int64_t timeout_ns)
{
    struct ndi_chan *c = chan_of(q);
    int64_t deadline = ndi_deadline(timeout_ns);

    for (;;) {
        uint32_t seen = ndi_load_seq(&c->h->done.futex);
        int rc;

        if (ndi_chan_unfinished(c) <= 0) {
            return 0;
        }
        rc = ndi_chan_wait(c, NDI_WAIT_DONE, seen, deadline);
        if (rc < 0) {
            return rc;
        }
    }
}

int
nds_queue_shutdown(nds_queue *q)
{
    return ndi_chan_close(chan_of(q));
}

int
nds_queue_trim(nds_queue *q, uint64_t keep_bytes)
{
    return ndi_chan_trim(chan_of(q), keep_bytes);
}

int
nds_queue_fd(nds_queue *q, int *fd)
{
    return ndi_bell_fd(chan_of(q), NULL, NULL, fd);
}

int
nds_queue_list_parked(nds_queue *q, int room, nds_parked *out, int *count)
{
    return ndi_parked_list(chan_of(q), room, out, count);
}

int
nds_queue_take_parked(nds_queue *q, nds_array **out, nds_tag *tag)
{
    return ndi_parked_take(chan_of(q), out, tag);
}

int
nds_queue_requeue_parked(nds_queue *q, uint64_t *count)
{
    return ndi_parked_requeue(chan_of(q), count);
}

int
nds_queue_discard_parked(nds_queue *q, uint64_t *count)
{
    return ndi_parked_discard(chan_of(q), count);
}

int
nds_queue_info_get(nds_queue *q, nds_queue_info *out)
{
    return ndi_chan_info(chan_of(q), out);
}

int64_t
nds_queue_size(nds_queue *q)
{
    return ndi_chan_size(chan_of(q));
}

/* ---- to another process ------------------------------------------------- */

static int
pack(void *handle, struct ndi_parcel *p)
{
    nds_queue *q = handle;
    int fd = -1;
    int rc = ndi_os_dup(&fd, q->hub->segment->fd);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "pass a queue on");
    }
    ndi_parcel_add_fd(p, fd);
    return ndi_parcel_ok(p);
}

static int
unpack(struct ndi_parcel *p, void **handle)
{
    struct ndi_segment *s = NULL;
    struct ndi_hub *hub = NULL;
    int fd = ndi_parcel_fd(p);
    int rc;

    *handle = NULL;
    if (fd < 0) {
        return ndi_parcel_ok(p);
    }
    rc = ndi_segment_adopt(&s, fd, NDI_KIND_QUEUE, NDS_READWRITE);
    if (rc == 0) {
        rc = ndi_hub_over(&hub, s);
    }
    return rc < 0 ? rc : queue_over((nds_queue **)handle, hub);
}

static void
drop(void *handle)
{
    nds_queue_close(handle);
}

static struct ndi_carrier carrier = {"queue", pack, unpack, drop, NULL};

__attribute__((constructor)) static void
queue_carrier(void)
{
    ndi_carrier_register(&carrier);
}
