/* SPDX-License-Identifier: MIT */
/*
 * lock.c - byte locks that belong to an open file description
 *
 * The kernel drops such a lock with the last descriptor or mapping of that
 * description, however the process ends. flock would not do: anybody who can
 * read may take it exclusively, a failed upgrade loses it, and a child's
 * unlock drops its parent's.
 */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

static int
ofd_lock(int fd, int type, uint64_t off)
{
    struct flock l = {.l_type = (short)type,
                      .l_whence = SEEK_SET,
                      .l_start = (off_t)off,
                      .l_len = 1};
    int rc;

    do {
        rc = NDI_SYS(type == F_UNLCK ? "unlock" : "lock",
                     fcntl(fd, F_OFD_SETLK, &l));
    } while (rc < 0 && errno == EINTR);
    if (rc == 0) {
        return 0;
    }
    return errno == EACCES ? -EAGAIN : -errno;
}

int
ndi_lock_shared(int fd, uint64_t off)
{
    return ofd_lock(fd, F_RDLCK, off);
}

int
ndi_lock_exclusive(int fd, uint64_t off)
{
    return ofd_lock(fd, F_WRLCK, off);
}

int
ndi_lock_release(int fd, uint64_t off)
{
    return ofd_lock(fd, F_UNLCK, off);
}

int
ndi_lock_exclusive_wait(int fd, uint64_t off, int64_t deadline)
{
    int64_t nap = 20000;
    int rc;

    // The kernel's own waiting call has no deadline, so ask again.
    while ((rc = ndi_lock_exclusive(fd, off)) == -EAGAIN) {
        int64_t left = ndi_deadline_left(deadline);
        struct timespec ts;

        if (left == 0) {
            return -ETIMEDOUT;
        }
        nap = nap < left ? nap : left;
        ts.tv_sec = 0;
        ts.tv_nsec = (long)nap;
        nanosleep(&ts, NULL);
        nap = nap < 2000000 ? nap * 2 : 2000000;
    }
    return rc;
}

int
ndi_lock_probe(int fd, uint64_t off)
{
    struct flock l = {.l_type = F_WRLCK,
                      .l_whence = SEEK_SET,
                      .l_start = (off_t)off,
                      .l_len = 1};
    int rc;

    do {
        rc = NDI_SYS("lock_probe", fcntl(fd, F_OFD_GETLK, &l));
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        return -errno;
    }
    return l.l_type != F_UNLCK;
}

int
ndi_lease_probe(int fd)
{
    // Somebody may open the file while we hold the lease: the signal of that
    // must be one that is ignored, SIGIO would kill.
    if (NDI_SYS("setsig", fcntl(fd, F_SETSIG, SIGURG)) < 0) {
        return -errno;
    }
    if (NDI_SYS("lease", fcntl(fd, F_SETLEASE, F_WRLCK)) < 0) {
        return errno == EBUSY ? -EAGAIN : -errno;
    }
    if (NDI_SYS("lease_drop", fcntl(fd, F_SETLEASE, F_UNLCK)) < 0) {
        return -errno;
    }
    return 0;
}
