/* SPDX-License-Identifier: MIT */
/*
 * accept.c - a door at which many may stand at once
 *
 * Every client that has come is led through the handshake a message at a time,
 * whenever something of it has arrived, so none waits for another. One epoll
 * descriptor hears the door and all of them.
 */
#include <wire/wire.h>

#include <base/fail.h>
#include <base/options.h>
#include <os/os.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNDER_WAY 64

struct client {
    struct ndi_handshake h;
    int64_t deadline;
    struct client *next; /* the one that came after it */
};

struct nds_listener {
    struct ndi_listener door;
    nds_conn_options opts; /* authkey is our copy */
    int64_t timeout_ns;
    int epoll;
    uint64_t epoch; /* the process whose clients these are */
    struct client *clients; /* the oldest first */
    int nclients;
    int64_t left_at; /* when the last accept ended; 0 before the first */
};

static void
drop(nds_listener *l, struct client *c, int rc)
{
    struct client **at = &l->clients;

    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    l->nclients--;
    if (rc < 0) {
        if (l->opts.refused != NULL) {
            l->opts.refused(l->opts.ctx, rc, nds_last_error()->message);
        }
        // A child of fork may still have a copy.
        ndi_sock_shutdown(c->h.fd);
        ndi_os_close(c->h.fd);
    }
    free(c);
}

static void
drop_all(nds_listener *l)
{
    while (l->clients != NULL) {
        struct client *c = l->clients;

        l->clients = c->next;
        ndi_os_close(c->h.fd);
        free(c);
    }
    l->nclients = 0;
}

/* The set of this process. A child of fork leaves the parent's clients to it. */
static int
open_epoll(nds_listener *l)
{
    int rc;

    if (l->epoll >= 0 && l->epoch == ndi_fork_epoch()) {
        return 0;
    }
    drop_all(l);
    ndi_os_close(ndi_steal_fd(&l->epoll));
    rc = ndi_epoll(&l->epoll);
    if (rc == 0) {
        rc = ndi_epoll_add(l->epoll, l->door.fd, NULL);
    }
    if (rc < 0) {
        ndi_os_close(ndi_steal_fd(&l->epoll));
        return ndi_fail_errno(-rc, "listen on '%s'", l->door.addr.text);
    }
    l->epoch = ndi_fork_epoch();
    return 0;
}

int
nds_listener_new(nds_listener **out, const char *address,
                 const nds_conn_options *opts)
{
    struct ndi_addr a;
    nds_listener *l;
    int rc;

    *out = NULL;
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        return ndi_fail_nomem(sizeof *l, "a listener");
    }
    l->door.fd = l->epoll = -1;
    ndi_options_copy(&l->opts, sizeof l->opts, opts);
    l->timeout_ns = l->opts.timeout_ns != 0 ? l->opts.timeout_ns
                                            : NDI_CONN_TIMEOUT;
    rc = address != NULL ? ndi_addr_parse(&a, address) : ndi_addr_fresh(&a);
    if (l->opts.authkey != NULL) {
        const void *key = l->opts.authkey;
        size_t nbytes = l->opts.authkey_nbytes;

        l->opts.authkey = malloc(nbytes + 1);
        if (rc == 0) {
            rc = ndi_auth_check_key(key, nbytes);
        }
        if (l->opts.authkey == NULL) {
            rc = ndi_fail_nomem(nbytes, "a key");
        } else if (rc == 0) {
            memcpy((void *)l->opts.authkey, key, nbytes);
        }
    }
    if (rc == 0) {
        rc = ndi_listener_open(&l->door, &a);
    }
    if (rc == 0) {
        rc = open_epoll(l);
    }
    if (rc < 0) {
        nds_listener_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

void
nds_listener_close(nds_listener *l)
{
    if (l == NULL) {
        return;
    }
    ndi_listener_close(&l->door);
    drop_all(l);
    ndi_os_close(l->epoll);
    free((void *)l->opts.authkey);
    free(l);
}

const char *
nds_listener_address(const nds_listener *l)
{
    return l->door.addr.text;
}

int
nds_listener_fd(nds_listener *l, int *fd)
{
    int rc = open_epoll(l);

    *fd = l->epoll;
    return rc;
}

/* One message further, or more. 1: it has the key, and *out is its
 * connection. */
static int
lead(nds_listener *l, struct client *c, nds_conn **out)
{
    int rc = ndi_handshake_go(&c->h, l->opts.authkey, l->opts.authkey_nbytes,
                              0);

    NDI_KILL_POINT("accept.led");
    if (rc == NDS_ETIMEDOUT) {
        return 0;
    }
    ndi_epoll_remove(l->epoll, c->h.fd);
    if (rc == 0) {
        int fd = c->h.fd;

        drop(l, c, 0);
        rc = ndi_peer_new(out, fd, &l->opts);
        return rc < 0 ? rc : 1;
    }
    drop(l, c, rc);
    return 0;
}

/* One more at the door; 1 as above. */
static int
welcome(nds_listener *l, int fd, nds_conn **out)
{
    struct client **at = &l->clients;
    struct client *c;
    int rc;

    if (l->opts.authkey == NULL) {
        rc = ndi_peer_new(out, fd, &l->opts);
        return rc < 0 ? rc : 1;
    }
    if (l->nclients >= UNDER_WAY) {
        drop(l, l->clients,
             ndi_fail(NDS_ELIMIT, "more than %d clients in the handshake",
                      UNDER_WAY));
    }
    c = calloc(1, sizeof *c);
    rc = c == NULL ? -ENOMEM : ndi_epoll_add(l->epoll, fd, c);
    if (rc < 0) {
        free(c);
        ndi_os_close(fd);
        return ndi_fail_errno(-rc, "a client in the handshake");
    }
    ndi_handshake_begin(&c->h, fd, true);
    c->deadline = ndi_deadline(l->timeout_ns);
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = c;
    l->nclients++;
    return lead(l, c, out);
}

/* Whoever is at the door: 1 as above, 0 nobody is any more. */
static int
take_in(nds_listener *l, nds_conn **out)
{
    int fd, rc;

    for (;;) {
        rc = ndi_sock_accept(&fd, l->door.fd);
        if (rc == -EAGAIN) {
            return 0;
        }
        if ((rc == -EMFILE || rc == -ENFILE) && l->clients != NULL) {
            drop(l, l->clients, ndi_fail_errno(-rc, "one client more"));
            continue;
        }
        if (rc < 0) {
            return ndi_fail_errno(-rc, "accept on '%s'", l->door.addr.text);
        }
        NDI_KILL_POINT("accept.came");
        rc = welcome(l, fd, out);
        if (rc != 0) {
            return rc;
        }
    }
}

/* Drops those whose time is over; the earliest deadline of the others. */
static int64_t
expire(nds_listener *l)
{
    int64_t first = NDS_FOREVER;
    struct client *c = l->clients;

    while (c != NULL) {
        struct client *next = c->next;

        if (ndi_deadline_over(c->deadline)) {
            ndi_epoll_remove(l->epoll, c->h.fd);
            drop(l, c, ndi_fail(NDS_EPROTO, "no handshake in time"));
        } else if (c->deadline >= 0 &&
                   (first < 0 || c->deadline < first)) {
            first = c->deadline;
        }
        c = next;
    }
    return first;
}

/* The time in which nobody was in accept is not the clients'. */
static void
come_back(nds_listener *l)
{
    int64_t away = l->left_at != 0 ? ndi_now_ns() - l->left_at : 0;

    for (struct client *c = l->clients; c != NULL; c = c->next) {
        if (c->deadline >= 0) {
            c->deadline += away;
        }
    }
}

static int
accept_by(nds_listener *l, nds_conn **out, int64_t deadline)
{
    void *tags[1];

    for (;;) {
        int64_t first = expire(l);
        bool theirs = first >= 0 && (deadline < 0 || first < deadline);
        int rc = ndi_epoll_wait(l->epoll, tags, 1,
                                theirs ? first : deadline);

        if (rc == -ETIMEDOUT && !theirs) {
            return NDS_ETIMEDOUT;
        }
        if (rc < 0 && rc != -ETIMEDOUT) {
            return ndi_fail_errno(-rc, "accept on '%s'", l->door.addr.text);
        }
        if (rc > 0) {
            rc = tags[0] == NULL ? take_in(l, out) : lead(l, tags[0], out);
            if (rc != 0) {
                return rc < 0 ? rc : 0;
            }
        }
    }
}

int
nds_listener_accept(nds_listener *l, nds_conn **out, int64_t timeout_ns)
{
    int rc = open_epoll(l);

    *out = NULL;
    if (rc < 0) {
        return rc;
    }
    come_back(l);
    rc = accept_by(l, out, ndi_deadline(timeout_ns));
    l->left_at = ndi_now_ns();
    return rc == NDS_ETIMEDOUT && timeout_ns == 0 ? NDS_EAGAIN : rc;
}
