/* SPDX-License-Identifier: MIT */
/* file.c - files by descriptor: whole reads and writes, room, reopening */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* At most this much in one call, so that a signal undoes little. */
#define RESERVE_STEP ((uint64_t)64 << 20)

int
ndi_os_open(int *fd, const char *path, int flags, unsigned mode)
{
    int got;

    do {
        got = NDI_SYS("open", open(path, flags | O_CLOEXEC, (mode_t)mode));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return -errno;
    }
    *fd = got;
    return 0;
}

void
ndi_os_close(int fd)
{
    // Not retried: Linux has let the number go even when it says EINTR.
    if (fd >= 0) {
        close(fd);
    }
}

int
ndi_os_dup(int *out, int fd)
{
    int got;

    got = NDI_SYS("dup", fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (got < 0) {
        return -errno;
    }
    *out = got;
    return 0;
}

int
ndi_os_reopen(int *out, int fd, int flags)
{
    char path[40];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return ndi_os_open(out, path, flags & ~O_NOFOLLOW, 0);
}

int
ndi_os_fstat(int fd, struct stat *st)
{
    return NDI_SYS("fstat", fstat(fd, st)) < 0 ? -errno : 0;
}

int
ndi_os_read(int fd, void *data, size_t nbytes)
{
    char *p = data;

    while (nbytes > 0) {
        ssize_t got = NDI_SYS("read", read(fd, p, nbytes));

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : -ENODATA;
        }
        p += got;
        nbytes -= (size_t)got;
    }
    return 0;
}

int
ndi_os_write(int fd, const void *data, size_t nbytes)
{
    const char *p = data;

    while (nbytes > 0) {
        ssize_t put = NDI_SYS("write", write(fd, p, nbytes));

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -errno;
        }
        p += put;
        nbytes -= (size_t)put;
    }
    return 0;
}

int
ndi_os_pread(int fd, void *data, size_t nbytes, uint64_t off)
{
    char *p = data;

    while (nbytes > 0) {
        ssize_t got = NDI_SYS("pread", pread(fd, p, nbytes, (off_t)off));

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : -ENODATA;
        }
        p += got;
        off += (uint64_t)got;
        nbytes -= (size_t)got;
    }
    return 0;
}

int
ndi_os_pwrite(int fd, const void *data, size_t nbytes, uint64_t off)
{
    const char *p = data;

    while (nbytes > 0) {
        ssize_t put = NDI_SYS("pwrite", pwrite(fd, p, nbytes, (off_t)off));

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -errno;
        }
        p += put;
        off += (uint64_t)put;
        nbytes -= (size_t)put;
    }
    return 0;
}

int
ndi_os_truncate(int fd, uint64_t nbytes)
{
    int rc;

    if (nbytes > (uint64_t)INT64_MAX) {
        return -EFBIG;
    }
    do {
        rc = NDI_SYS("truncate", ftruncate(fd, (off_t)nbytes));
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

/* One step; emulated by the C library where the file system cannot. */
static int
reserve_step(int fd, uint64_t off, uint64_t nbytes)
{
    int err;

    do {
        err = NDI_SYS("reserve",
                      fallocate(fd, 0, (off_t)off, (off_t)nbytes)) < 0
                  ? errno
                  : 0;
    } while (err == EINTR);
    if (err == EOPNOTSUPP) {
        do {
            err = posix_fallocate(fd, (off_t)off, (off_t)nbytes);
        } while (err == EINTR);
    }
    return -err;
}

int
ndi_os_reserve(int fd, uint64_t off, uint64_t nbytes)
{
    if (off > (uint64_t)INT64_MAX || nbytes > (uint64_t)INT64_MAX - off) {
        return -EFBIG;
    }
    while (nbytes > 0) {
        uint64_t step = nbytes < RESERVE_STEP ? nbytes : RESERVE_STEP;
        int rc = reserve_step(fd, off, step);

        if (rc < 0) {
            return rc;
        }
        off += step;
        nbytes -= step;
    }
    return 0;
}

int
ndi_os_chmod(int fd, unsigned mode_bits)
{
    return NDI_SYS("chmod", fchmod(fd, (mode_t)mode_bits)) < 0 ? -errno : 0;
}

int
ndi_os_unlink(const char *path)
{
    return NDI_SYS("unlink", unlink(path)) < 0 ? -errno : 0;
}

int
ndi_os_rename(const char *from, const char *to)
{
    return NDI_SYS("rename", rename(from, to)) < 0 ? -errno : 0;
}

int
ndi_os_sync(int fd)
{
    int rc;

    do {
        rc = NDI_SYS("sync", fsync(fd));
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}
