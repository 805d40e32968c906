/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - two ends
 *
 * Channel 0 runs from end 1 to end 0, channel 1 (two-way pipes) back. An end
 * is held by a mapping whose open file description has a read lock on the
 * end's byte: fork inherits it as the memory, a parcel carries it on its way,
 * and the kernel drops it with the last holder. When nobody holds an end it
 * is gone for good: a holder can only come from a holder. Who lets go last
 * says so in `end_gone`; a killed holder is noticed by who waits.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <fcntl.h>
#include <stdlib.h>

#define PAGE 4096

struct nds_pipe {
    struct ndi_hub *hub;
    uint32_t end;
    void *hold; /* the mapping that carries the end's byte */
};

static struct ndi_chan *
in_of(nds_pipe *p)
{
    ndi_hub_enter_image(p->hub);
    return p->end == 0 ? &p->hub->chan[0]
           : p->hub->nchans == 2 ? &p->hub->chan[1] : NULL;
}

static struct ndi_chan *
out_of(nds_pipe *p)
{
    ndi_hub_enter_image(p->hub);
    return p->end == 1 ? &p->hub->chan[0]
           : p->hub->nchans == 2 ? &p->hub->chan[1] : NULL;
}

/* A description of its own that holds the end. */
static int
end_lock(struct ndi_hub *hub, uint32_t end, int *fd)
{
    int rc = ndi_os_reopen(fd, hub->segment->fd, O_RDWR | O_CLOEXEC);

    if (rc == 0) {
        rc = ndi_lock_shared(*fd, NDI_BYTE_ENDS + end);
    }
    if (rc < 0) {
        ndi_os_close(ndi_steal_fd(fd));
        return ndi_fail_errno(-rc, "hold an end of a pipe");
    }
    return 0;
}

/* Takes over the count on hub and fd, which holds the end. */
static int
end_over(nds_pipe **out, struct ndi_hub *hub, uint32_t end, int fd)
{
    nds_pipe *p = calloc(1, sizeof *p);
    int rc = p == NULL ? ndi_fail_nomem(sizeof *p, "a pipe") : 0;

    *out = NULL;
    if (rc == 0) {
        p->hub = hub;
        p->end = end;
        rc = ndi_map(&p->hold, fd, 0, PAGE, 0);
        if (rc < 0) {
            rc = ndi_fail_errno(-rc, "map an end of a pipe");
        }
    }
    ndi_os_close(fd);
    if (rc < 0) {
        free(p);
        ndi_hub_put(hub);
        return rc;
    }
    *out = p;
    return 0;
}

static int
end_new(nds_pipe **out, struct ndi_hub *hub, uint32_t end)
{
    int fd = -1;
    int rc = end_lock(hub, end, &fd);

    return rc < 0 ? rc : end_over(out, ndi_hub_get(hub), end, fd);
}

int
nds_pipe_new(nds_pipe **a, nds_pipe **b, const nds_pipe_options *opts)
{
    struct ndi_hub_spec spec = {.pipe = 1};
    struct ndi_hub *hub = NULL;
    int rc;

    *a = *b = NULL;
    if (opts != NULL) {
        spec.pipe = opts->duplex ? 2 : 1;
        spec.max_items = opts->max_items;
        spec.max_bytes = opts->max_bytes;
        spec.huge = opts->huge;
        spec.keep = opts->keep_bytes;
    }
    rc = ndi_hub_create(&hub, &spec);
    if (rc < 0) {
        return rc;
    }
    rc = end_new(a, hub, 0);
    if (rc == 0) {
        rc = end_new(b, hub, 1);
    }
    if (rc < 0) {
        nds_pipe_close(ndi_steal(a));
    }
    ndi_hub_put(hub);
    return rc;
}

/* Is nobody there any more? Asks the kernel. */
static bool
end_is_gone(struct ndi_hub *hub, uint32_t end)
{
    if (ndi_load_acq(&hub->h->end_gone[end]) != 0) {
        return true;
    }
    if (ndi_lock_probe(hub->segment->fd, NDI_BYTE_ENDS + end) != 0) {
        return false;
    }
    ndi_store_rel(&hub->h->end_gone[end], 1);
    return true;
}

static void
wake_all(struct ndi_hub *hub)
{
    for (uint32_t i = 0; i < hub->nchans; i++) {
        ndi_event_signal(&hub->chan[i].h->items, INT32_MAX);
        ndi_event_signal(&hub->chan[i].h->room, INT32_MAX);
    }
}

void
nds_pipe_close(nds_pipe *p)
{
    if (p == NULL) {
        return;
    }
    ndi_hub_enter_image(p->hub);
    if (in_of(p) != NULL) {
        ndi_bell_free(atomic_exchange(&in_of(p)->bell, NULL));
    }
    ndi_unmap(p->hold, PAGE);
    NDI_KILL_POINT("pipe.unheld");
    if (end_is_gone(p->hub, p->end)) {
        wake_all(p->hub);
    }
    ndi_hub_put(p->hub);
    free(p);
}

static int
wrong_way(const char *what)
{
    return ndi_fail(NDS_EPERM, "this end of a one-way pipe cannot %s", what);
}

static int
broken(void)
{
    return ndi_fail(NDS_EBROKEN, "the other end of the pipe is closed");
}

/* Runs op in slices, so that an end that went away is noticed. */
static int64_t
slice(int64_t deadline)
{
    int64_t left = ndi_deadline_left(deadline);

    return ndi_deadline_later(left < NDI_SLICE_NS ? left : NDI_SLICE_NS);
}

/* The first slice was in vain: from now on the deadline runs, and it has done
 * so for that slice, if it was waited for. */
static void
slice_over(int64_t *deadline, int rc)
{
    int64_t waited = rc == NDS_ETIMEDOUT ? NDI_SLICE_NS : 0;
    int64_t left = ndi_deadline_left(*deadline);

    if (*deadline < NDS_FOREVER) {
        *deadline = ndi_deadline(left > waited ? left - waited : 1);
    }
}

/* Before and after each try to send; NDS_EAGAIN: try again. */
static int
send_ended(nds_pipe *p, int rc, int64_t *until)
{
    int64_t deadline;

    if (rc != NDS_ETIMEDOUT && rc != NDS_EAGAIN) {
        return rc;
    }
    slice_over(until, rc);
    deadline = *until;
    if (end_is_gone(p->hub, 1 - p->end)) {
        return broken();
    }
    if (deadline == 0) {
        return NDS_EAGAIN;
    }
    return ndi_deadline_over(deadline) ? NDS_ETIMEDOUT : 1;
}

static int
send_ready(nds_pipe *p, struct ndi_chan *c)
{
    if (c == NULL) {
        return wrong_way("send");
    }
    return ndi_load_acq(&p->hub->h->end_gone[1 - p->end]) != 0 ? broken() : 0;
}

int
nds_pipe_send(nds_pipe *p, const nds_array *a, const nds_tag *tag,
              int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline_later(timeout_ns);
    struct ndi_chan *c = out_of(p);
    int rc = send_ready(p, c);

    if (rc < 0) {
        return rc;
    }
    do {
        rc = ndi_item_put(c, a, tag, deadline == 0 ? 0 : slice(deadline));
        rc = send_ended(p, rc, &deadline);
    } while (rc == 1);
    return rc;
}

int
nds_pipe_send_move(nds_pipe *p, nds_array **a, const nds_tag *tag,
                   int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline_later(timeout_ns);
    struct ndi_chan *c = out_of(p);
    int rc = send_ready(p, c);

    if (rc < 0) {
        return rc;
    }
    do {
        rc = ndi_item_put_move(c, a, tag, deadline == 0 ? 0 : slice(deadline));
        rc = send_ended(p, rc, &deadline);
    } while (rc == 1);
    return rc;
}

int
nds_pipe_loan(nds_pipe *p, nds_array **loan, const nds_dtype *dtype, int ndim,
              const int64_t *shape, int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline_later(timeout_ns);
    struct ndi_chan *c = out_of(p);
    int rc = send_ready(p, c);

    *loan = NULL;
    if (rc < 0) {
        return rc;
    }
    do {
        rc = ndi_item_loan(c, loan, dtype, ndim, shape,
                           deadline == 0 ? 0 : slice(deadline));
        rc = send_ended(p, rc, &deadline);
    } while (rc == 1);
    return rc;
}

int
nds_pipe_publish(nds_pipe *p, nds_array **loan, const nds_tag *tag)
{
    struct ndi_chan *c = out_of(p);
    int rc = send_ready(p, c);

    return rc < 0 ? rc : ndi_item_publish(p->hub, loan, tag);
}

void
nds_pipe_discard(nds_pipe *p, nds_array **loan)
{
    (void)out_of(p);
    ndi_item_discard(loan);
}

/* Nothing there: 1 try again, or the outcome. The end is asked first and the
 * channel looked at once more after: what was sent before the end is read. */
static int
recv_ended(nds_pipe *p, struct ndi_chan *c, int64_t deadline)
{
    if (end_is_gone(p->hub, 1 - p->end)) {
        uint32_t me; // burial is for participants

        if (ndi_chan_me(c, &me) == 0) {
            (void)ndi_party_sweep(&p->hub->segment->party);
        }
        if (ndi_chan_size(c) == 0) {
            return ndi_fail(NDS_EEOF, "the other end of the pipe is closed");
        }
        // What only looks like items must not keep a caller for ever.
        return deadline != 0 && ndi_deadline_over(deadline) ? NDS_ETIMEDOUT
                                                            : 1;
    }
    if (deadline == 0) {
        return NDS_EAGAIN;
    }
    return ndi_deadline_over(deadline) ? NDS_ETIMEDOUT : 1;
}

int
nds_pipe_recv(nds_pipe *p, nds_array **out, nds_tag *tag, int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline_later(timeout_ns);
    struct ndi_chan *c = in_of(p);
    int looks = 0;
    int rc;

    *out = NULL;
    if (c == NULL) {
        return wrong_way("receive");
    }
    do {
        bool gone = ndi_load_acq(&p->hub->h->end_gone[1 - p->end]) != 0;

        rc = ndi_item_get(c, NDI_GET, out, tag,
                          deadline == 0 || gone ? 0 : slice(deadline));
        if (rc == NDS_EAGAIN || rc == NDS_ETIMEDOUT) {
            slice_over(&deadline, rc);
            rc = recv_ended(p, c, deadline);
        }
        // A try looks again after the burial of who sent, not for ever.
        if (rc == 1 && deadline == 0 && ++looks > NDI_TRY_LOOKS) {
            rc = NDS_EAGAIN;
        }
    } while (rc == 1);
    return rc;
}

int
nds_pipe_trim(nds_pipe *p, uint64_t keep_bytes)
{
    int rc = 0;

    ndi_hub_enter_image(p->hub);
    for (uint32_t i = 0; i < p->hub->nchans && rc == 0; i++) {
        rc = ndi_chan_trim(&p->hub->chan[i], keep_bytes);
    }
    return rc;
}

int
nds_pipe_poll(nds_pipe *p, int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline(timeout_ns);
    struct ndi_chan *c = in_of(p);
    int rc;

    if (c == NULL) {
        return wrong_way("receive");
    }
    while (!ndi_chan_has_items(c)) {
        rc = recv_ended(p, c, deadline);
        if (rc == NDS_EEOF) {
            return 0;
        }
        if (rc < 0) {
            return rc;
        }
        (void)ndi_chan_wait(c, NDI_WAIT_ITEMS, 0, slice(deadline));
    }
    return 0;
}

static int
peer_gone(void *ctx)
{
    nds_pipe *p = ctx;

    return end_is_gone(p->hub, 1 - p->end);
}

int
nds_pipe_fd(nds_pipe *p, int *fd)
{
    struct ndi_chan *c = in_of(p);

    *fd = -1;
    return c == NULL ? wrong_way("receive")
                     : ndi_bell_fd(c, peer_gone, p, fd);
}

/* ---- to another process ------------------------------------------------- */

static int
pack(void *handle, struct ndi_parcel *parcel)
{
    nds_pipe *p = handle;
    int fd = -1, held = -1;
    int rc = ndi_os_dup(&fd, p->hub->segment->fd);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "pass an end of a pipe on");
    }
    rc = end_lock(p->hub, p->end, &held);
    if (rc < 0) {
        ndi_os_close(fd);
        return rc;
    }
    ndi_parcel_add_u64(parcel, p->end);
    ndi_parcel_add_fd(parcel, fd);
    ndi_parcel_add_fd(parcel, held); // the end lives on in the parcel
    return ndi_parcel_ok(parcel);
}

static int
unpack(struct ndi_parcel *parcel, void **handle)
{
    struct ndi_segment *s = NULL;
    struct ndi_hub *hub = NULL;
    uint64_t end = ndi_parcel_u64(parcel);
    int fd = ndi_parcel_fd(parcel);
    int held = ndi_parcel_fd(parcel);
    int rc = ndi_parcel_ok(parcel);

    *handle = NULL;
    if (rc == 0 && end > 1) {
        rc = ndi_fail(NDS_EPROTO, "a pipe has no end %llu",
                      (unsigned long long)end);
    }
    if (rc == 0) {
        rc = ndi_segment_adopt(&s, ndi_steal_fd(&fd), NDI_KIND_PIPE,
                               NDS_READWRITE);
    }
    if (rc == 0) {
        rc = ndi_hub_over(&hub, s);
    }
    if (rc < 0) {
        ndi_os_close(fd);
        ndi_os_close(held);
        return rc;
    }
    return end_over((nds_pipe **)handle, hub, (uint32_t)end, held);
}

static void
drop(void *handle)
{
    nds_pipe_close(handle);
}

static struct ndi_carrier carrier = {"pipe", pack, unpack, drop, NULL};

__attribute__((constructor)) static void
pipe_carrier(void)
{
    ndi_carrier_register(&carrier);
}
