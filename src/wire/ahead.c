/* SPDX-License-Identifier: MIT */
/*
 * ahead.c - messages that go back and forth, one system call each way
 *
 * Who waits for a message blocks in one receive into a buffer, which a short
 * message comes out of whole; polling first, or reading the length alone, would
 * be a system call and maybe a sleep more. The kernel's own time-out bounds the
 * receive (SO_RCVTIMEO), and as it begins anew with every call only the first
 * one of a message uses it: what is missing then is waited for by the deadline.
 */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>

int
ndi_conn_read_ahead(struct ndi_conn *c, int64_t patience_ns)
{
    int rc;

    c->ahead = malloc(NDI_AHEAD);
    if (c->ahead == NULL) {
        return ndi_fail_nomem(NDI_AHEAD, "a channel");
    }
    c->at = c->end = 0;
    c->patience_ns = patience_ns;
    rc = ndi_sock_patience(c->fd, patience_ns);
    if (rc < 0) {
        free(ndi_steal(&c->ahead));
        return ndi_fail_errno(-rc, "a channel's time-out");
    }
    return 0;
}

/* Whether a receive that blocks for our patience ends by the deadline, give or
 * take a hundredth. */
static bool
may_block(const struct ndi_conn *c, int64_t deadline)
{
    int64_t left;

    if (c->patience_ns < 0) {
        return deadline < 0;
    }
    left = ndi_deadline_left(deadline);
    return left >= c->patience_ns - c->patience_ns / 100;
}

/* More bytes behind those that are there. */
static int
read_more(struct ndi_conn *c, int64_t deadline)
{
    size_t got = 0;
    bool between = c->at == c->end;
    bool block = between && may_block(c, deadline);
    int rc;

    if (c->at != 0) {
        memmove(c->ahead, c->ahead + c->at, c->end - c->at);
        c->end -= c->at;
        c->at = 0;
    }
    rc = ndi_sock_recv(c->fd, c->ahead + c->end, NDI_AHEAD - c->end, &got,
                       block, deadline);
    c->end += got;
    return rc < 0 ? ndi_frame_failed(rc, between) : 0;
}

static int
frame_alone(struct ndi_conn *c, struct ndi_message *m, int64_t deadline)
{
    int rc = ndi_frame_read(c->fd, NDI_FRAME_LIMIT, &m->heap, &m->nbytes,
                            deadline);

    m->data = m->heap;
    return rc;
}

int
ndi_conn_next(struct ndi_conn *c, struct ndi_message *m, int64_t deadline)
{
    uint64_t n = 0;
    size_t head = 0;
    int rc;

    *m = (struct ndi_message){0};
    if (c->ahead == NULL) {
        return frame_alone(c, m, deadline);
    }
    for (;;) {
        size_t have = c->end - c->at;

        rc = ndi_frame_head(c->ahead + c->at, have, NDI_FRAME_LIMIT, &head,
                            &n);
        if (rc < 0) {
            return rc;
        }
        if (rc > 0 && n <= have - head) {
            m->data = c->ahead + c->at + head;
            m->nbytes = (size_t)n;
            c->at += head + (size_t)n;
            return 0;
        }
        if (rc > 0 && n > NDI_AHEAD - head) {
            break;
        }
        rc = read_more(c, deadline);
        if (rc < 0) {
            return rc;
        }
    }
    NDI_KILL_POINT("frame.length");
    rc = ndi_frame_body(c->fd, n, c->ahead + c->at + head,
                        c->end - c->at - head, &m->heap, deadline);
    c->at = c->end = 0;
    m->data = m->heap;
    m->nbytes = rc == 0 ? (size_t)n : 0;
    return rc;
}

int
ndi_conn_next_exactly(struct ndi_conn *c, struct ndi_message *m,
                      int64_t deadline)
{
    *m = (struct ndi_message){0};
    if (c->at != c->end) {
        return ndi_fail(NDS_EPROTO, "bytes nobody asked for");
    }
    return frame_alone(c, m, deadline);
}

void
ndi_message_fini(struct ndi_message *m)
{
    free(m->heap);
    m->heap = NULL;
}
