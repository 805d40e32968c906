/* SPDX-License-Identifier: MIT */
/* conn.c - a connection that has proved its key and carries values */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>

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
    c->fd = -1;
    c->ahead = NULL;
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
