/* SPDX-License-Identifier: MIT */
/*
 * shm.c - the shared-memory directory, files without a name, memfds
 *
 * A file gets its name only when it is complete: made nameless (O_TMPFILE),
 * then linked. Where a file system has no nameless files, ".nds-tmp-<random>"
 * stands in until the link is made; what a crash leaves of those is the
 * sweeper's.
 */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TMP_PREFIX ".nds-tmp-"
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static char shm_dir[PATH_MAX];
static pthread_once_t shm_dir_once = PTHREAD_ONCE_INIT;

static void
shm_dir_find(void)
{
    const char *dir = secure_getenv("NDSHARE_SHM_DIR");
    size_t n;

    if (dir == NULL || dir[0] != '/' || strlen(dir) >= sizeof shm_dir) {
        dir = "/dev/shm";
    }
    n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    memcpy(shm_dir, dir, n);
    shm_dir[n] = '\0';
}

const char *
ndi_shm_dir(void)
{
    pthread_once(&shm_dir_once, shm_dir_find);
    return shm_dir;
}

int
ndi_shm_path(char *out, size_t room, const char *name)
{
    int n = snprintf(out, room, "%s/%s", ndi_shm_dir(), name);

    return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

int
ndi_shm_room(uint64_t *total, uint64_t *free_bytes)
{
    struct statvfs v;

    if (NDI_SYS("shm_room", statvfs(ndi_shm_dir(), &v)) < 0) {
        return -errno;
    }
    *total = (uint64_t)v.f_blocks * v.f_frsize;
    *free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    return 0;
}

bool
ndi_memory_is_short(void)
{
    FILE *f = NDI_SYS("pressure", 0) < 0
                  ? NULL : fopen("/proc/pressure/memory", "re");
    double share = 0;

    // The share of the last ten seconds in which somebody stood still for it.
    if (f != NULL) {
        if (fscanf(f, "some avg10=%lf", &share) != 1) {
            share = 0;
        }
        fclose(f);
    }
    return f == NULL ? false : share >= 1;
}

static int
tmp_path(char *out, size_t room)
{
    char name[40];
    uint64_t r;
    int rc = ndi_random_bytes(&r, sizeof r);

    if (rc < 0) {
        return rc;
    }
    snprintf(name, sizeof name, TMP_PREFIX "%016llx", (unsigned long long)r);
    return ndi_shm_path(out, room, name);
}

/* Where O_TMPFILE is missing: a name that says what it is. */
static int
tmpfile_named(int *fd)
{
    char path[PATH_MAX];
    int rc;

    do {
        rc = tmp_path(path, sizeof path);
        if (rc == 0) {
            rc = ndi_os_open(fd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
                             0600);
        }
    } while (rc == -EEXIST);
    return rc;
}

static bool
tmpfile_missing(int err)
{
    // EISDIR, EINVAL, ENOENT: what older kernels and file systems say.
    return err == EOPNOTSUPP || err == EISDIR || err == EINVAL ||
           err == ENOENT;
}

int
ndi_shm_tmpfile(int *fd, unsigned mode_bits)
{
    int got = -1;
    int rc = NDI_SYS("tmpfile", 0) < 0 ? -errno : 0;

    if (rc == 0) {
        rc = ndi_os_open(&got, ndi_shm_dir(), O_TMPFILE | O_RDWR, 0600);
    }
    if (rc < 0 && tmpfile_missing(-rc)) {
        rc = tmpfile_named(&got);
    }
    if (rc < 0) {
        return rc;
    }
    rc = ndi_os_chmod(got, mode_bits);
    if (rc < 0) {
        ndi_os_close(got);
        return rc;
    }
    *fd = got;
    return 0;
}

/* Removes the stand-in name of a file that now has a real one. */
static void
tmp_name_drop(int fd)
{
    char link[40];
    char path[PATH_MAX];
    char mine[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || ndi_shm_path(mine, sizeof mine, TMP_PREFIX) < 0) {
        return;
    }
    path[n] = '\0';
    if (strncmp(path, mine, strlen(mine)) == 0 && strstr(path, " (") == NULL) {
        unlink(path);
    }
}

static int
link_path(int fd, const char *path)
{
    char from[40];

    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    if (NDI_SYS("link", linkat(AT_FDCWD, from, AT_FDCWD, path,
                               AT_SYMLINK_FOLLOW)) < 0) {
        return -errno;
    }
    return 0;
}

int
ndi_shm_link(int fd, const char *name)
{
    char path[PATH_MAX];
    int rc = ndi_shm_path(path, sizeof path, name);

    if (rc == 0) {
        rc = link_path(fd, path);
    }
    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("shm_link.linked");
    tmp_name_drop(fd);
    return 0;
}

int
ndi_shm_link_replace(int fd, const char *name)
{
    char path[PATH_MAX];
    char tmp[PATH_MAX];
    int rc = ndi_shm_path(path, sizeof path, name);

    if (rc < 0) {
        return rc;
    }
    do {
        rc = tmp_path(tmp, sizeof tmp);
        if (rc == 0) {
            rc = link_path(fd, tmp);
        }
    } while (rc == -EEXIST);
    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("shm_replace.linked");
    rc = ndi_os_rename(tmp, path);
    NDI_KILL_POINT("shm_replace.renamed");
    // Also after success: a rename onto the same file leaves both names.
    unlink(tmp);
    if (rc == 0) {
        tmp_name_drop(fd);
    }
    return rc;
}

int
ndi_shm_open(int *fd, const char *name, int flags)
{
    char path[PATH_MAX];
    int rc = ndi_shm_path(path, sizeof path, name);

    // O_NONBLOCK: a stranger's fifo of that name must not make us wait.
    return rc < 0 ? rc
                  : ndi_os_open(fd, path,
                                flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                                0600);
}

int
ndi_shm_unlink(const char *name)
{
    char path[PATH_MAX];
    int rc = ndi_shm_path(path, sizeof path, name);

    return rc < 0 ? rc : ndi_os_unlink(path);
}

int
ndi_memfd(int *fd, const char *what, uint64_t nbytes)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int got;
    int rc;

    got = NDI_SYS("memfd", memfd_create(what, flags | MFD_NOEXEC_SEAL));
    if (got < 0 && errno == EINVAL) {
        got = NDI_SYS("memfd_old", memfd_create(what, flags)); // before 6.3
    }
    if (got < 0) {
        return -errno;
    }
    rc = ndi_os_truncate(got, nbytes);
    if (rc == 0 &&
        NDI_SYS("seal", fcntl(got, F_ADD_SEALS, F_SEAL_SHRINK)) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        ndi_os_close(got);
        return rc;
    }
    *fd = got;
    return 0;
}
