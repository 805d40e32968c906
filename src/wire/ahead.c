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

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_GRAB ((size_t)16 << 20)
#define WARY_MOST 64
/* Longer than a spin: a wait that slept has two wake-ups in it. */
#define QUICK_NS 150000

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

static int
frame_alone(struct ndi_conn *c, struct ndi_message *m, int64_t deadline)
{
    int rc = ndi_frame_read(c->fd, NDI_FRAME_LIMIT, &m->heap, &m->nbytes,
                            deadline);

    m->data = m->heap;
    return rc;
}

/* ---- without waiting ---------------------------------------------------- */

/* The place of more of a long message. */
static int
widen(struct ndi_conn *c)
{
    size_t room = c->body_room == 0 ? FIRST_GRAB : c->body_room * 4;
    unsigned char *more;

    room = c->body_nbytes < room ? c->body_nbytes : room;
    more = realloc(c->body, room + 1);
    if (more == NULL) {
        return ndi_fail_nomem(room, "a message");
    }
    c->body = more;
    c->body_room = room;
    return 0;
}

static int
try_body(struct ndi_conn *c, struct ndi_message *m)
{
    while (c->body_have < c->body_nbytes) {
        size_t got = 0;
        int rc = c->body_have == c->body_room ? widen(c) : 0;

        if (rc < 0) {
            return rc;
        }
        rc = ndi_sock_try(c->fd, c->body + c->body_have,
                          c->body_room - c->body_have, &got);
        if (rc == -EAGAIN) {
            return 0;
        }
        if (rc < 0) {
            return ndi_frame_failed(rc, false);
        }
        c->body_have += got;
    }
    c->body[c->body_have] = '\0';
    ndi_count_copied(c->body_have);
    m->nbytes = c->body_have;
    m->heap = ndi_steal(&c->body);
    m->data = m->heap;
    return 1;
}

static int
begin_body(struct ndi_conn *c, size_t head, uint64_t n)
{
    int rc;

    c->body_room = 0;
    c->body_nbytes = (size_t)n;
    c->body_have = c->end - c->at - head;
    rc = widen(c);
    if (rc == 0) {
        memcpy(c->body, c->ahead + c->at + head, c->body_have);
        c->at = c->end = 0;
    }
    return rc;
}

/* What has come: 1 a message of it; 0 more is needed, of a long message into
 * the body that has begun. */
static int
take(struct ndi_conn *c, uint64_t limit, struct ndi_message *m)
{
    size_t head = 0, have = c->end - c->at;
    uint64_t n = 0;
    int rc = ndi_frame_head(c->ahead + c->at, have, limit, &head, &n);

    if (rc > 0 && n <= have - head) {
        m->data = c->ahead + c->at + head;
        m->nbytes = (size_t)n;
        c->at += head + (size_t)n;
        return 1;
    }
    if (rc > 0 && n > NDI_AHEAD - head) {
        NDI_KILL_POINT("frame.length");
        return begin_body(c, head, n);
    }
    return rc < 0 ? rc : 0;
}

/* Room behind what has come. */
static void
make_room(struct ndi_conn *c)
{
    if (c->at != 0) {
        memmove(c->ahead, c->ahead + c->at, c->end - c->at);
        c->end -= c->at;
        c->at = 0;
    }
}

int
ndi_conn_try(struct ndi_conn *c, uint64_t limit, struct ndi_message *m)
{
    *m = (struct ndi_message){0};
    if (c->ahead == NULL) {
        c->ahead = malloc(NDI_AHEAD);
        if (c->ahead == NULL) {
            return ndi_fail_nomem(NDI_AHEAD, "a channel");
        }
        c->at = c->end = 0;
    }
    while (c->body == NULL) {
        size_t got = 0;
        int rc = take(c, limit, m);

        if (rc != 0) {
            return rc;
        }
        if (c->body != NULL) {
            break;
        }
        make_room(c);
        rc = ndi_sock_try(c->fd, c->ahead + c->end, NDI_AHEAD - c->end,
                          &got);
        if (rc == -EAGAIN) {
            return 0;
        }
        if (rc < 0) {
            return ndi_frame_failed(rc, c->end == 0);
        }
        c->end += got;
    }
    return try_body(c, m);
}

bool
ndi_conn_is_amid(const struct ndi_conn *c)
{
    return c->body != NULL || c->at != c->end;
}

void
ndi_conn_waited(struct ndi_conn *c, int64_t ns)
{
    c->quick = ns > QUICK_NS ? 0 : c->quick < WARY_MOST ? c->quick + 1
                                                        : c->quick;
}

int
ndi_conn_spin(struct ndi_conn *c, uint64_t limit, struct ndi_message *m)
{
    int rc = ndi_conn_try(c, limit, m);
    int64_t until;

    if (rc != 0 || c->quick <= c->wary) {
        return rc;
    }
    until = ndi_now_ns() + NDI_SPIN_NS;
    do {
        sched_yield();
        rc = ndi_conn_try(c, limit, m);
    } while (rc == 0 && ndi_now_ns() < until);
    if (rc == 0) {
        // In vain: as many quick waits again before the next.
        c->quick = 0;
        c->wary = c->wary < WARY_MOST / 2 ? 2 * c->wary + 1 : c->wary;
    } else {
        c->wary /= 2;
    }
    return rc;
}

void
ndi_conn_rest(struct ndi_conn *c)
{
    if (c->at == c->end) {
        free(ndi_steal(&c->ahead));
    }
}

/* ---- waiting ------------------------------------------------------------ */

/* More bytes behind those that are there. */
static int
read_more(struct ndi_conn *c, int64_t deadline)
{
    size_t got = 0;
    bool between = c->at == c->end;
    bool block = between && may_block(c, deadline);
    int rc;

    make_room(c);
    rc = ndi_sock_recv(c->fd, c->ahead + c->end, NDI_AHEAD - c->end, &got,
                       block, deadline);
    c->end += got;
    return rc < 0 ? ndi_frame_failed(rc, between) : 0;
}

static int
wait_body(struct ndi_conn *c, struct ndi_message *m, int64_t deadline)
{
    int rc;

    while ((rc = try_body(c, m)) == 0) {
        rc = ndi_sock_wait(c->fd, 1, deadline);
        if (rc < 0) {
            return ndi_frame_failed(rc, false);
        }
    }
    return rc < 0 ? rc : 0;
}

int
ndi_conn_next(struct ndi_conn *c, struct ndi_message *m, int64_t deadline)
{
    int64_t begun;
    int rc;

    *m = (struct ndi_message){0};
    if (c->ahead == NULL) {
        return frame_alone(c, m, deadline);
    }
    rc = c->quick > c->wary ? ndi_conn_spin(c, NDI_FRAME_LIMIT, m) : 0;
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    begun = ndi_now_ns();
    while (c->body == NULL) {
        rc = take(c, NDI_FRAME_LIMIT, m);
        if (rc > 0) {
            ndi_conn_waited(c, ndi_now_ns() - begun);
            return 0;
        }
        if (rc == 0 && c->body == NULL) {
            rc = read_more(c, deadline);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return wait_body(c, m, deadline);
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
