/* SPDX-License-Identifier: MIT */
/*
 * procfd.c - files that another process holds open, by its pid and number
 *
 * /proc/PID/fd/NUMBER leads to the very file, also one without a name. A pid
 * and a number may mean something else by now, so the file is looked at
 * through O_PATH, which opens no device and wakes no pipe, and must be the
 * one that was meant before it is opened for use.
 */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int
ndi_procfd_open(int *fd, const struct ndi_procfd *what, int flags)
{
    char path[48];
    struct stat st;
    int look = -1;
    int rc;

    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)what->pid, what->number);
    rc = ndi_os_open(&look, path, O_PATH, 0);
    if (rc < 0) {
        return rc == -EACCES || rc == -EPERM ? rc : -ENOENT;
    }
    rc = ndi_os_fstat(look, &st);
    if (rc == 0 && (st.st_dev != what->dev || st.st_ino != what->ino)) {
        rc = -ENOENT;
    }
    if (rc == 0) {
        rc = ndi_os_reopen(fd, look, flags);
    }
    ndi_os_close(look);
    return rc;
}

int
ndi_pipe(int out[2])
{
    return NDI_SYS("pipe2", pipe2(out, O_CLOEXEC | O_NONBLOCK)) < 0 ? -errno
                                                                    : 0;
}
