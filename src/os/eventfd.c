/* SPDX-License-Identifier: MIT */
/* eventfd.c - a descriptor that one side rings and a poll loop hears */
#include <os/os.h>

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int
ndi_eventfd(int *fd)
{
    *fd = NDI_SYS("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return *fd < 0 ? -errno : 0;
}

int
ndi_eventfd_ring(int fd)
{
    return NDI_SYS("eventfd_write", eventfd_write(fd, 1)) < 0 ? -errno : 0;
}

int
ndi_eventfd_still(int fd)
{
    eventfd_t value;

    return NDI_SYS("eventfd_read", eventfd_read(fd, &value)) < 0 ? -errno : 0;
}
