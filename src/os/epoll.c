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
    int n;

    // Not by poll: that would wake all who wait here for each event.
    do {
        int64_t left = ndi_deadline_left(deadline);
        int64_t ms = left / 1000000 + (left % 1000000 != 0);

        n = NDI_SYS("epoll_wait",
                    epoll_wait(epoll, e, room < BATCH ? room : BATCH,
                               left == INT64_MAX ? -1
                               : ms > 3600000    ? 3600000
                                                 : (int)ms));
    } while ((n < 0 && errno == EINTR) ||
             (n == 0 && !ndi_deadline_over(deadline)));
    for (int i = 0; i < n; i++) {
        tags[i] = e[i].data.ptr;
    }
    return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : n;
}

static int
rest(int epoll, int op, int fd, int events, void *tag)
{
    struct epoll_event e = {.data.ptr = tag};

    e.events = EPOLLONESHOT | ((events & 1) ? EPOLLIN | EPOLLRDHUP : 0u) |
               ((events & 2) ? (uint32_t)EPOLLOUT : 0u);
    return NDI_SYS("epoll_ctl", epoll_ctl(epoll, op, fd, &e)) < 0 ? -errno
                                                                  : 0;
}

int
ndi_epoll_add_once(int epoll, int fd, int events, void *tag)
{
    return rest(epoll, EPOLL_CTL_ADD, fd, events, tag);
}

int
ndi_epoll_again(int epoll, int fd, int events, void *tag)
{
    return rest(epoll, EPOLL_CTL_MOD, fd, events, tag);
}
