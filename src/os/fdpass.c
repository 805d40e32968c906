/* SPDX-License-Identifier: MIT */
/*
 * fdpass.c - descriptors beside bytes on a Unix stream (SCM_RIGHTS)
 *
 * The descriptors travel with the first byte. Whatever arrives is owned from
 * the moment recvmsg returns: on any failure here every one is closed.
 */
#include <os/os.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 253 /* SCM_MAX_FD of the kernel */

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int
ndi_sock_send_fds(int fd, const void *data, size_t nbytes, const int *fds,
                  int nfds, int64_t deadline)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)data, .iov_len = nbytes};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (nbytes == 0 || nfds < 0 || nfds > FDS_MAX) {
        return -EINVAL;
    }
    if (nfds > 0) {
        size_t len = (size_t)nfds * sizeof *fds;
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(len);
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(len);
        memcpy(CMSG_DATA(c), fds, len);
    }
    for (;;) {
        ssize_t n = NDI_SYS("sendmsg",
                            sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));

        if (n > 0) {
            iov.iov_base = (char *)iov.iov_base + n;
            iov.iov_len -= (size_t)n;
            return iov.iov_len == 0
                       ? 0
                       : ndi_sock_writev(fd, &iov, 1, deadline);
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int rc = ndi_sock_wait(fd, 2, deadline);

            if (rc < 0) {
                return rc;
            }
        } else if (errno == ETOOMANYREFS) {
            return -EMFILE;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/* Takes the descriptors of one recvmsg; false if they are too many, were cut,
 * or something else came along. None is left open then. */
static bool
take_fds(struct msghdr *m, int *fds, int room, int *nfds)
{
    bool good = !(m->msg_flags & MSG_CTRUNC);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
         c = CMSG_NXTHDR(m, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len < CMSG_LEN(0)) {
            continue;
        }
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int got;

            memcpy(&got, CMSG_DATA(c) + i * sizeof got, sizeof got);
            if (good && *nfds < room) {
                fds[(*nfds)++] = got;
            } else {
                close(got);
                good = false;
            }
        }
    }
    return good;
}

int
ndi_sock_recv_fds(int fd, void *data, size_t nbytes, int *fds, int room,
                  int *nfds, int64_t deadline)
{
    union control control;
    size_t done = 0;
    int rc = 0;

    *nfds = 0;
    while (done < nbytes) {
        struct iovec iov = {.iov_base = (char *)data + done,
                            .iov_len = nbytes - done};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control.room,
                           .msg_controllen = sizeof control.room};
        ssize_t n = NDI_SYS("recvmsg",
                            recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));

        if (n >= 0) {
            if (!take_fds(&m, fds, room, nfds)) {
                rc = -EPROTO;
                goto fail;
            }
            if (n == 0) {
                rc = done == 0 ? -ENODATA : -EPIPE;
                goto fail;
            }
            done += (size_t)n;
        } else {
            rc = ndi_sock_again(fd, 1, deadline);
            if (rc < 0) {
                goto fail;
            }
        }
    }
    return 0;
fail:
    for (int i = 0; i < *nfds; i++) {
        close(fds[i]);
    }
    *nfds = 0;
    return rc;
}
