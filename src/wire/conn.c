/* SPDX-License-Identifier: MIT */
/* conn.c - a connection that has proved its key and carries values */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define PATIENCE_NS 50000000 /* of a sender whose peer takes nothing */

void
ndi_conn_init(struct ndi_conn *c, int fd)
{
    static _Atomic uint64_t serials;

    *c = (struct ndi_conn){.fd = fd, .epoch = ndi_fork_epoch(),
                           .serial = atomic_fetch_add(&serials, 1) + 1};
    c->local = ndi_sock_peer(fd, &c->pid, &c->uid) == 0;
}

void
ndi_conn_close(struct ndi_conn *c)
{
    ndi_os_close(c->fd);
    free(c->ahead);
    free(c->body);
    free(c->rest);
    c->fd = -1;
    c->ahead = c->body = c->rest = NULL;
}

static int
open_socket(int *fd, const struct ndi_addr *a, int64_t deadline)
{
    int rc;

    rc = a->tcp ? ndi_sock_connect_tcp(fd, a->name, a->port, deadline)
                : ndi_sock_connect_unix(fd, a->name, a->nbytes, deadline);
    if (rc == -ECONNREFUSED || rc == -ENOENT) {
        return ndi_fail_sys(NDS_ENOENT, -rc, "connect to '%s': nobody "
                            "listens there", a->text);
    }
    if (rc < 0) {
        return ndi_fail_errno(-rc, "connect to '%s'", a->text);
    }
    return 0;
}

int
ndi_conn_open(struct ndi_conn *c, const struct ndi_addr *a, const void *key,
              size_t key_nbytes, int64_t deadline)
{
    int fd, rc;

    *c = (struct ndi_conn){.fd = -1};
    rc = open_socket(&fd, a, deadline);
    if (rc < 0) {
        return rc;
    }
    ndi_conn_init(c, fd);
    NDI_KILL_POINT("conn.connected");
    if (key != NULL) {
        rc = ndi_auth_answer(fd, key, key_nbytes, deadline);
        NDI_KILL_POINT("conn.answered");
    }
    if (key != NULL && rc == 0) {
        rc = ndi_auth_deliver(fd, key, key_nbytes, deadline);
        NDI_KILL_POINT("conn.delivered");
    }
    if (rc == NDS_ETIMEDOUT) {
        rc = ndi_fail(NDS_ETIMEDOUT, "connect to '%s': no handshake in time",
                      a->text);
    } else if (rc < 0) {
        rc = ndi_fail_more(rc, "while connecting to '%s'", a->text);
    }
    if (rc < 0) {
        ndi_conn_close(c);
    }
    return rc;
}

int
ndi_conn_send_pickle(struct ndi_conn *c, const struct ndi_pickle *p,
                     int64_t deadline)
{
    struct iovec *iov = NULL;
    int count = 0;
    int rc = ndi_pickle_pieces(p, &iov, &count);

    if (rc == 0) {
        rc = ndi_frame_writev(c->fd, iov, count, deadline);
        NDI_KILL_POINT("conn.sent");
    }
    free(iov);
    return rc;
}

/* Of a vector that was sent in part. */
static size_t
left_of(const struct iovec *iov, int count)
{
    size_t n = 0;

    for (int i = 0; i < count; i++) {
        n += iov[i].iov_len;
    }
    return n;
}

static int
keep(struct ndi_conn *c, const struct iovec *iov, int count, size_t nbytes)
{
    unsigned char *to = malloc(nbytes);

    if (to == NULL) {
        return ndi_fail_nomem(nbytes, "what a client does not take");
    }
    c->rest = to;
    c->rest_at = 0;
    c->rest_nbytes = nbytes;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len != 0) {
            memcpy(to, iov[i].iov_base, iov[i].iov_len);
            to += iov[i].iov_len;
        }
    }
    return 0;
}

int
ndi_conn_send_or_keep(struct ndi_conn *c, const struct ndi_pickle *p,
                      size_t most, int64_t deadline)
{
    struct iovec *iov = NULL;
    size_t left, before = SIZE_MAX;
    unsigned char h[12];
    int count = 0;
    int rc = ndi_pickle_pieces(p, &iov, &count);

    if (rc < 0) {
        return rc;
    }
    ndi_frame_begin(iov, count, h);
    do {
        rc = ndi_frame_resume(c->fd, iov, count, ndi_deadline(PATIENCE_NS));
        left = rc == NDS_ETIMEDOUT ? left_of(iov, count) : 0;
        if (left != 0 && left == before && left <= most) {
            rc = keep(c, iov, count, left);
        }
        before = left;
    } while (rc == NDS_ETIMEDOUT && !ndi_deadline_over(deadline));
    NDI_KILL_POINT("conn.sent");
    free(iov);
    return rc;
}

int
ndi_conn_flush(struct ndi_conn *c)
{
    struct iovec left = {c->rest + c->rest_at, c->rest_nbytes - c->rest_at};
    int rc = c->rest == NULL ? 0 : ndi_frame_resume(c->fd, &left, 1, 0);

    if (rc == NDS_ETIMEDOUT) {
        c->rest_at = c->rest_nbytes - left.iov_len;
        return 0;
    }
    free(ndi_steal(&c->rest));
    return rc < 0 ? rc : 1;
}

int
ndi_conn_send(struct ndi_conn *c, const nds_value *v, int64_t deadline)
{
    struct ndi_pickle p = {0};
    int rc = ndi_pickle_write(&p, v, 5);

    if (rc == 0) {
        rc = ndi_conn_send_pickle(c, &p, deadline);
    }
    ndi_pickle_fini(&p);
    return rc;
}

int
ndi_conn_recv(struct ndi_conn *c, nds_value **out, int64_t deadline)
{
    struct ndi_message m;
    int rc;

    *out = NULL;
    rc = ndi_conn_next(c, &m, deadline);
    NDI_KILL_POINT("conn.received");
    if (rc == 0) {
        rc = ndi_pickle_read(out, m.data, m.nbytes);
        ndi_message_fini(&m);
    }
    return rc;
}
