/* SPDX-License-Identifier: MIT */
/*
 * session.c - one client's connection, served whenever something has come
 *
 * Handshake, one request, and maybe a channel of calls: each message is a step
 * that is taken when it has come whole. What has come in part, and what the
 * client does not take, stays with the session, so a client that stops in the
 * middle of anything keeps nobody busy; a deadline ends it.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdatomic.h>

/* Proof of the key and the first request. */
#define HANDSHAKE_NS NDS_SEC(10)

enum { PROVING, REQUEST, CHANNEL, LEAVING };

void
ndi_session_init(struct ndi_session *s, struct ndi_service *service, int fd)
{
    *s = (struct ndi_session){.service = service, .stage = PROVING};
    atomic_init(&s->deadline, ndi_deadline(HANDSHAKE_NS));
    ndi_conn_init(&s->conn, fd);
    ndi_handshake_begin(&s->hands, fd, true);
}

void
ndi_session_skip_proof(struct ndi_session *s)
{
    s->stage = REQUEST;
}

bool
ndi_session_is_proved(const struct ndi_session *s)
{
    return s->stage != PROVING;
}

void
ndi_session_fini(struct ndi_session *s)
{
    if (s->conn.holds) {
        ndi_idents_left(&s->service->idents, 0, s->conn.serial);
    }
    ndi_conn_close(&s->conn);
}

/* The handshake as far as it goes: 0 more of it is to come. */
static int
prove(struct ndi_session *s)
{
    struct ndi_service *v = s->service;
    int rc = ndi_handshake_go(&s->hands, v->key, v->key_nbytes, 0);

    if (rc == NDS_ETIMEDOUT) {
        return 0;
    }
    if (rc == NDS_EAUTH) {
        // A stock server says so in one frame more.
        (void)ndi_reply_traceback(v, &s->conn, rc);
    }
    if (rc == 0) {
        NDI_KILL_POINT("mgr.welcomed");
        s->stage = REQUEST;
    }
    return rc < 0 ? rc : 1;
}

/* One message; < 0 ends the connection. */
static int
step(struct ndi_session *s, const struct ndi_message *m)
{
    int rc;

    if (s->stage == CHANNEL) {
        return ndi_serve_call(s->service, &s->conn, m);
    }
    rc = ndi_serve_request(s->service, &s->conn, m);
    s->stage = rc == 1 ? CHANNEL : LEAVING;
    if (rc == 1) {
        // Its first call may be here already, and may take its time.
        atomic_store(&s->deadline, NDS_FOREVER);
    }
    return rc < 0 ? rc : 0;
}

/* Whatever has come next: 1 go on, 0 it has not come whole. */
static int
next(struct ndi_session *s)
{
    struct ndi_message m;
    int rc;

    if (s->stage == PROVING) {
        return prove(s);
    }
    rc = s->stage == CHANNEL ? ndi_conn_spin(&s->conn, NDI_FRAME_LIMIT, &m)
                             : ndi_conn_try(&s->conn, NDI_FRAME_LIMIT, &m);
    if (rc > 0) {
        rc = step(s, &m);
        ndi_message_fini(&m);
        rc = rc < 0 ? rc : 1;
    }
    return rc;
}

/* What the session waits for now, and until when. */
static int
park(struct ndi_session *s, int events)
{
    if (events == 2 || ndi_conn_is_amid(&s->conn)) {
        if (s->stage >= CHANNEL) {
            // Anew with all that moves: only who stands still is late.
            atomic_store(&s->deadline, ndi_deadline(s->service->timeout_ns));
        }
    } else if (s->stage == CHANNEL) {
        atomic_store(&s->deadline, NDS_FOREVER);
    }
    s->parked_ns = ndi_now_ns();
    ndi_conn_rest(&s->conn);
    return events;
}

int
ndi_session_run(struct ndi_session *s)
{
    if (s->stage == CHANNEL && s->conn.rest == NULL) {
        ndi_conn_waited(&s->conn, ndi_now_ns() - s->parked_ns);
    }
    for (;;) {
        int rc = s->conn.rest != NULL ? ndi_conn_flush(&s->conn) : 1;

        if (rc == 0) {
            return park(s, 2);
        }
        if (rc < 0 || s->stage == LEAVING) {
            return 0;
        }
        rc = next(s);
        if (rc == 0) {
            return park(s, 1);
        }
        if (rc < 0) {
            return 0;
        }
    }
}

void
ndi_serve_alone(struct ndi_session *s)
{
    int events = ndi_session_run(s);

    while (events != 0 &&
           ndi_sock_wait(s->conn.fd, events, atomic_load(&s->deadline)) ==
               0) {
        events = ndi_session_run(s);
    }
    ndi_session_fini(s);
}
