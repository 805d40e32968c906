/* SPDX-License-Identifier: MIT */
/* epoll.c - one descriptor that hears many */
#include <os/os.h>

#include <errno.h>
#include <sys/epoll.h>

#define BATCH 32

int
ndi_epoll(int *fd)
{
    *fd = NDI_SYS("epoll", epoll_create1(EPOLL_CLOEXEC));
    return *fd < 0 ? -errno : 0;
}

int
ndi_epoll_add(int epoll, int fd, void *tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = tag}};

    return NDI_SYS("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e)) < 0
               ? -errno
               : 0;
}

void
ndi_epoll_remove(int epoll, int fd)
{
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}

int
ndi_epoll_wait(int epoll, void **tags, int room, int64_t deadline)
{
    struct epoll_event e[BATCH];
    int n = 0;

    if (!ndi_deadline_over(deadline)) {
        int rc = ndi_sock_wait(epoll, 1, deadline);

        if (rc < 0) {
            return rc;
        }
    }
    do {
        n = NDI_SYS("epoll_wait",
                    epoll_wait(epoll, e, room < BATCH ? room : BATCH, 0));
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return n < 0 ? -errno : -ETIMEDOUT;
    }
    for (int i = 0; i < n; i++) {
        tags[i] = e[i].data.ptr;
    }
    return n;
}
