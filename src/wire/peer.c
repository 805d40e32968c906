/* SPDX-License-Identifier: MIT */
/*
 * peer.c - a connection to any Python
 *
 * The length of a message is read by itself and kept: a time-out before the
 * message, or a buffer too small for it, leave it where it is. From then on a
 * message has its own deadline, and what goes wrong within it spoils that
 * direction of the stream for good: nobody knows where the next one begins.
 */
#include <wire/wire.h>

#include <base/fail.h>
#include <base/options.h>
#include <os/os.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define SLOWEST ((uint64_t)4 << 20) /* bytes a second */

struct nds_conn {
    struct ndi_conn c;
    int64_t timeout_ns;
    uint64_t max_bytes;
    int protocol;
    /* Of whoever receives. */
    bool in_broken;
    bool announced; /* the next message's length is known */
    uint64_t announced_nbytes;
    size_t have;
    unsigned char head[12];
    /* Of whoever sends. */
    bool out_broken;
};

/* What a time-out means to the caller. */
static int
timed_out(int64_t timeout_ns)
{
    return timeout_ns == 0 ? NDS_EAGAIN : NDS_ETIMEDOUT;
}

int
ndi_peer_new(nds_conn **out, int fd, const nds_conn_options *opts)
{
    nds_conn *c = calloc(1, sizeof *c);

    *out = NULL;
    if (c == NULL) {
        ndi_os_close(fd);
        return ndi_fail_nomem(sizeof *c, "a connection");
    }
    ndi_conn_init(&c->c, fd);
    c->timeout_ns =
        opts->timeout_ns != 0 ? opts->timeout_ns : NDI_CONN_TIMEOUT;
    c->max_bytes = opts->max_bytes != 0 && opts->max_bytes < NDI_FRAME_LIMIT
                       ? opts->max_bytes
                       : NDI_FRAME_LIMIT;
    c->protocol = opts->protocol == 4 ? 4 : 5;
    *out = c;
    return 0;
}

int
nds_conn_connect(nds_conn **out, const char *address,
                 const nds_conn_options *opts)
{
    nds_conn_options o;
    struct ndi_addr a;
    struct ndi_conn c;
    int64_t deadline;
    int rc;

    *out = NULL;
    ndi_options_copy(&o, sizeof o, opts);
    rc = ndi_addr_parse(&a, address);
    if (rc == 0 && o.authkey != NULL) {
        rc = ndi_auth_check_key(o.authkey, o.authkey_nbytes);
    }
    if (rc < 0) {
        return rc;
    }
    deadline = ndi_deadline(o.timeout_ns != 0 ? o.timeout_ns
                                              : NDI_CONN_TIMEOUT);
    rc = ndi_conn_open(&c, &a, o.authkey, o.authkey_nbytes, deadline);
    return rc < 0 ? rc : ndi_peer_new(out, c.fd, &o);
}

int
nds_conn_adopt(nds_conn **out, int fd, const nds_conn_options *opts)
{
    nds_conn_options o;

    ndi_options_copy(&o, sizeof o, opts);
    return ndi_peer_new(out, fd, &o);
}

void
nds_conn_close(nds_conn *c)
{
    if (c != NULL) {
        ndi_conn_close(&c->c);
        free(c);
    }
}

/* The deadline of a message of nbytes that has begun. */
static int64_t
message_deadline(const nds_conn *c, uint64_t nbytes)
{
    return c->timeout_ns < 0
               ? NDS_FOREVER
               : ndi_deadline(c->timeout_ns +
                              NDS_SEC((int64_t)(nbytes / SLOWEST)));
}

static int
stalled(const nds_conn *c, uint64_t nbytes)
{
    return ndi_fail(NDS_EPROTO, "a message of %llu bytes stalled: it was not "
                    "over in %.3g s", (unsigned long long)nbytes,
                    (double)c->timeout_ns / 1e9 +
                        (double)(nbytes / SLOWEST));
}

/* ---- sending ---- */

/* The vector's first entry is left for the length. */
static int
send_pieces(nds_conn *c, struct iovec *iov, int count, int64_t timeout_ns)
{
    uint64_t nbytes = 0;
    int rc;

    if (c->out_broken) {
        return ndi_fail(NDS_EBROKEN, "an earlier message was not sent whole");
    }
    rc = ndi_sock_wait(c->c.fd, 2, ndi_deadline(timeout_ns));
    if (rc == -ETIMEDOUT) {
        return timed_out(timeout_ns);
    }
    if (rc < 0) {
        return ndi_fail_errno(-rc, "send a message");
    }
    for (int i = 1; i < count; i++) {
        nbytes += iov[i].iov_len;
    }
    rc = ndi_frame_writev(c->c.fd, iov, count, message_deadline(c, nbytes));
    NDI_KILL_POINT("peer.sent");
    c->out_broken = rc < 0 && rc != NDS_EEOF; // that end stays one
    return rc == NDS_ETIMEDOUT ? stalled(c, nbytes) : rc;
}

int
nds_conn_send(nds_conn *c, const nds_value *v, int64_t timeout_ns)
{
    struct ndi_pickle p = {0};
    struct iovec *iov = NULL;
    int count = 0;
    int rc = v != NULL ? ndi_pickle_write(&p, v, c->protocol)
                       : ndi_fail_nomem(sizeof(void *), "a value");

    if (rc == 0) {
        rc = ndi_pickle_pieces(&p, &iov, &count);
    }
    if (rc == 0) {
        rc = send_pieces(c, iov, count, timeout_ns);
    }
    free(iov);
    ndi_pickle_fini(&p);
    return rc;
}

int
nds_conn_send_array(nds_conn *c, nds_array *a, int64_t timeout_ns)
{
    nds_value *v = nds_value_array(a);
    int rc = nds_conn_send(c, v, timeout_ns);

    nds_value_free(v);
    return rc;
}

int
nds_conn_send_bytes(nds_conn *c, const void *data, size_t nbytes,
                    int64_t timeout_ns)
{
    struct iovec iov[2] = {{NULL, 0}, {(void *)data, nbytes}};

    return send_pieces(c, iov, 2, timeout_ns);
}

int
nds_conn_send_view(nds_conn *c, const nds_view *v, int64_t timeout_ns)
{
    nds_array *copy = NULL;
    int rc = 0;

    if (!nds_view_is_contiguous(v, 'C')) {
        rc = nds_array_copy(&copy, v, NULL);
        v = rc == 0 ? nds_array_view(copy) : v;
    }
    if (rc == 0) {
        rc = nds_conn_send_bytes(c, v->data, (size_t)nds_view_nbytes(v),
                                 timeout_ns);
    }
    nds_array_close(copy);
    return rc;
}

/* ---- receiving ---- */

static int
broken(nds_conn *c, int rc)
{
    c->in_broken = rc != NDS_EEOF; // that end stays one
    return rc;
}

/* Waits for a message and its length. */
static int
await_message(nds_conn *c, int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline(timeout_ns);
    size_t head = 4;
    int rc = 0;

    if (c->in_broken) {
        return ndi_fail(NDS_EBROKEN, "an earlier message broke off");
    }
    while (!c->announced) {
        size_t got = 0;

        rc = ndi_frame_head(c->head, c->have, c->max_bytes, &head,
                            &c->announced_nbytes);
        if (rc < 0) {
            return broken(c, rc);
        }
        c->announced = rc > 0;
        if (c->announced) {
            break;
        }
        rc = ndi_sock_recv(c->c.fd, c->head + c->have, head - c->have, &got,
                           false, deadline);
        if (rc == -ETIMEDOUT) {
            return timed_out(timeout_ns);
        }
        if (rc < 0) {
            return broken(c, ndi_frame_failed(rc, c->have == 0));
        }
        c->have += got;
    }
    NDI_KILL_POINT("peer.length");
    return 0;
}

/* The message whose length is known has been taken, or cannot be. */
static int
over(nds_conn *c, int rc)
{
    uint64_t nbytes = c->announced_nbytes;

    NDI_KILL_POINT("peer.received");
    c->announced = false;
    c->have = 0;
    if (rc == 0) {
        return 0;
    }
    return broken(c, rc == NDS_ETIMEDOUT ? stalled(c, nbytes) : rc);
}

/* All of it, into memory that is there. */
static int
take_into(nds_conn *c, void *data)
{
    uint64_t n = c->announced_nbytes;
    int rc = ndi_sock_read(c->c.fd, data, (size_t)n, message_deadline(c, n));

    if (rc == 0) {
        ndi_count_copied(n);
    }
    return over(c, rc < 0 ? ndi_frame_failed(rc, false) : 0);
}

int
nds_conn_recv_bytes(nds_conn *c, void **data, size_t *nbytes,
                    int64_t timeout_ns)
{
    uint64_t n;
    int rc;

    *data = NULL;
    *nbytes = 0;
    rc = await_message(c, timeout_ns);
    if (rc < 0) {
        return rc;
    }
    n = c->announced_nbytes;
    rc = over(c, ndi_frame_body(c->c.fd, n, NULL, 0, data,
                                message_deadline(c, n)));
    if (rc == 0) {
        *nbytes = (size_t)n;
    }
    return rc;
}

int
nds_conn_recv_bytes_into(nds_conn *c, void *data, size_t room, size_t *nbytes,
                         int64_t timeout_ns)
{
    int rc;

    *nbytes = 0;
    rc = await_message(c, timeout_ns);
    if (rc < 0) {
        return rc;
    }
    *nbytes = (size_t)c->announced_nbytes;
    if (*nbytes > room) {
        return ndi_fail(NDS_EBUFFER, "a message of %zu bytes, and room for "
                        "%zu", *nbytes, room);
    }
    return take_into(c, data);
}

int
nds_conn_recv_view(nds_conn *c, const nds_view *v, int64_t timeout_ns)
{
    bool straight = nds_view_is_contiguous(v, 'C');
    size_t nbytes = (size_t)nds_view_nbytes(v);
    nds_array *copy = NULL;
    int rc;

    if (v->flags & NDS_VIEW_READONLY) {
        return ndi_fail(NDS_EREADONLY, "assignment destination is read-only");
    }
    rc = await_message(c, timeout_ns);
    if (rc < 0) {
        return rc;
    }
    if (c->announced_nbytes != nbytes) {
        return ndi_fail(NDS_EBUFFER, "a message of %llu bytes for an array of "
                        "%zu", (unsigned long long)c->announced_nbytes,
                        nbytes);
    }
    if (straight) {
        return take_into(c, v->data);
    }
    rc = nds_array_new(&copy, v->dtype, v->ndim, v->shape, NULL);
    if (rc == 0) {
        rc = take_into(c, nds_array_data(copy));
    }
    if (rc == 0) {
        rc = nds_assign(v, nds_array_view(copy));
    }
    nds_array_close(copy);
    return rc;
}

/* A message on its way to a reader of pickles. */
struct incoming {
    nds_conn *c;
    int64_t deadline;
    uint64_t left;
    int rc; /* of the connection, where that failed */
};

static int
fill(void *ctx, void *to, size_t nbytes)
{
    struct incoming *in = ctx;
    int rc = ndi_sock_read(in->c->c.fd, to, nbytes, in->deadline);

    if (rc < 0) {
        in->rc = ndi_frame_failed(rc, false);
        return in->rc;
    }
    in->left -= nbytes;
    ndi_count_copied(nbytes);
    return 0;
}

/* What the reader did not want, so that the next message can be found. */
static void
drain(struct incoming *in)
{
    unsigned char scrap[16384];

    while (in->rc == 0 && in->left != 0) {
        fill(in, scrap, in->left < sizeof scrap ? (size_t)in->left
                                                : sizeof scrap);
    }
}

/* Array data of exactly nbytes goes into `into`, if that is not NULL. */
static int
receive(nds_conn *c, nds_value **out, void *into, size_t nbytes,
        int64_t timeout_ns)
{
    struct incoming in = {.c = c};
    struct ndi_source source = {.fill = fill, .ctx = &in, .into = into,
                                .into_nbytes = nbytes};
    int rc = await_message(c, timeout_ns);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    source.nbytes = in.left = c->announced_nbytes;
    in.deadline = message_deadline(c, in.left);
    rc = ndi_pickle_read_from(out, &source);
    if (in.rc == 0 && in.left != 0) {
        struct nds_error e = *nds_last_error();
        char why[300];

        // Reading on may fail too, but the reader's reason comes first.
        snprintf(why, sizeof why, "%s", e.message);
        drain(&in);
        if (rc < 0) {
            ndi_fail(rc, "%s", why);
        }
    }
    if (in.rc < 0) {
        nds_value_free(ndi_steal(out));
    }
    in.rc = over(c, in.rc);
    return in.rc < 0 ? in.rc : rc;
}

int
nds_conn_recv(nds_conn *c, nds_value **out, int64_t timeout_ns)
{
    return receive(c, out, NULL, 0, timeout_ns);
}

int
nds_conn_recv_array(nds_conn *c, nds_array **out, int64_t timeout_ns)
{
    nds_value *v = NULL;
    nds_array *lent;
    int rc;

    *out = NULL;
    rc = nds_conn_recv(c, &v, timeout_ns);
    if (rc < 0) {
        return rc;
    }
    lent = nds_value_as_array(v);
    rc = lent != NULL ? nds_array_get(out, lent)
                      : ndi_fail(NDS_EDTYPE, "a message that is no array");
    nds_value_free(v);
    return rc;
}

/* Element for element the same memory. */
static bool
is_same(const nds_view *a, const nds_view *b)
{
    bool same = a->data == b->data && a->ndim == b->ndim &&
                nds_dtype_equal(a->dtype, b->dtype);

    for (int i = 0; same && i < a->ndim; i++) {
        same = a->shape[i] == b->shape[i] &&
               (a->strides[i] == b->strides[i] || a->shape[i] == 1);
    }
    return same;
}

int
nds_conn_recv_array_into(nds_conn *c, const nds_view *v, int64_t timeout_ns)
{
    bool straight = nds_view_is_contiguous(v, 'C') ||
                    nds_view_is_contiguous(v, 'F');
    nds_array *a, *copy = NULL;
    nds_value *got = NULL;
    const nds_view *from;
    int rc;

    if (v->flags & NDS_VIEW_READONLY) {
        return ndi_fail(NDS_EREADONLY, "assignment destination is read-only");
    }
    rc = receive(c, &got, straight ? v->data : NULL,
                 (size_t)nds_view_nbytes(v), timeout_ns);
    if (rc < 0) {
        return rc;
    }
    a = nds_value_as_array(got);
    if (a == NULL) {
        rc = ndi_fail(NDS_EDTYPE, "a message that is no array");
        goto out;
    }
    from = nds_array_view(a);
    if (nds_view_overlaps(from, v)) {
        if (is_same(from, v)) {
            goto out; // it is there already
        }
        rc = nds_array_copy(&copy, from, NULL);
        from = rc == 0 ? nds_array_view(copy) : from;
    }
    rc = rc < 0 ? rc : nds_assign(v, from);
out:
    nds_array_close(copy);
    nds_value_free(got);
    return rc;
}

/* ---- waiting ---- */

int
nds_conn_poll(nds_conn *c, int64_t timeout_ns)
{
    bool ready;

    return nds_conn_wait(&c, 1, &ready, timeout_ns);
}

int
nds_conn_wait(nds_conn *const *conns, int count, bool *ready,
              int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline(timeout_ns);
    struct pollfd *p = calloc((size_t)count + 1, sizeof *p);
    int found = 0, rc = 0;

    if (p == NULL) {
        return ndi_fail_nomem((size_t)count * sizeof *p, "a wait");
    }
    for (int i = 0; i < count; i++) {
        p[i] = (struct pollfd){.fd = conns[i]->c.fd, .events = POLLIN};
        ready[i] = conns[i]->announced || conns[i]->in_broken;
        found += ready[i];
    }
    rc = ndi_poll(p, count, found != 0 ? 0 : deadline);
    for (int i = 0; rc >= 0 && i < count; i++) {
        ready[i] = ready[i] || p[i].revents != 0;
    }
    free(p);
    if (rc == -ETIMEDOUT) {
        return found != 0 ? 0 : timed_out(timeout_ns);
    }
    return rc < 0 ? ndi_fail_errno(-rc, "wait for messages") : 0;
}

int
nds_conn_fd(const nds_conn *c, int *fd)
{
    *fd = c->c.fd;
    return 0;
}

int
nds_conn_peer(const nds_conn *c, int64_t *pid, uint32_t *uid)
{
    if (!c->c.local) {
        return ndi_fail(NDS_ENOTSUP, "who is at the other end is known for "
                        "Unix sockets only");
    }
    *pid = c->c.pid;
    *uid = c->c.uid;
    return 0;
}
