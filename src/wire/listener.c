/* SPDX-License-Identifier: MIT */
/* listener.c - a socket that takes connections, and its path's life */
#include <wire/wire.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define BACKLOG 128

/* A socket file nobody listens on: its server was killed. */
static bool
is_abandoned(const struct ndi_addr *a)
{
    struct stat st;
    int fd, rc;

    if (stat(a->name, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    rc = ndi_sock_connect_unix(&fd, a->name, a->nbytes,
                               ndi_deadline(NDS_SEC(1)));
    ndi_os_close(fd);
    return rc == -ECONNREFUSED;
}

static int
listen_unix(struct ndi_listener *l)
{
    struct ndi_addr *a = &l->addr;
    struct stat st;
    int rc = ndi_sock_listen_unix(&l->fd, a->name, a->nbytes, BACKLOG);

    if (rc == -EADDRINUSE && a->name[0] != '\0' && is_abandoned(a)) {
        ndi_os_unlink(a->name);
        NDI_KILL_POINT("listener.took_over");
        rc = ndi_sock_listen_unix(&l->fd, a->name, a->nbytes, BACKLOG);
    }
    NDI_KILL_POINT("listener.open");
    if (rc == 0 && a->name[0] != '\0' && stat(a->name, &st) == 0) {
        l->dev = (uint64_t)st.st_dev;
        l->ino = (uint64_t)st.st_ino;
    }
    return rc;
}

int
ndi_listener_open(struct ndi_listener *l, const struct ndi_addr *a)
{
    int rc;

    *l = (struct ndi_listener){.fd = -1, .addr = *a,
                               .epoch = ndi_fork_epoch()};
    if (a->tcp) {
        rc = ndi_sock_listen_tcp(&l->fd, a->name, a->port, BACKLOG,
                                 &l->addr.port);
        snprintf(l->addr.text, sizeof l->addr.text, "%s:%u", l->addr.name,
                 l->addr.port);
    } else {
        rc = listen_unix(l);
    }
    if (rc == -EADDRINUSE) {
        return ndi_fail_sys(NDS_EEXIST, -rc, "listen on '%s'", a->text);
    }
    if (rc < 0) {
        return ndi_fail_errno(-rc, "listen on '%s'", a->text);
    }
    return 0;
}

void
ndi_listener_close(struct ndi_listener *l)
{
    struct stat st;

    if (l->fd < 0) {
        return;
    }
    ndi_os_close(l->fd);
    l->fd = -1;
    NDI_KILL_POINT("listener.closed");
    // A forked child that drops its copy leaves the path to its owner.
    if (!l->addr.tcp && l->addr.name[0] != '\0' &&
        l->epoch == ndi_fork_epoch() && stat(l->addr.name, &st) == 0 &&
        (uint64_t)st.st_dev == l->dev && (uint64_t)st.st_ino == l->ino) {
        ndi_os_unlink(l->addr.name);
    }
}
