/* SPDX-License-Identifier: MIT */
/*
 * namelock.c - the right to change what a name means
 *
 * Between "nobody uses it" and unlink(NAME) the name may become another's, and
 * the kernel has no unlink by descriptor. So whoever links, replaces or
 * unlinks a name first holds a byte, chosen by the name's hash, of the file
 * ".nds-<uid>": uid is the owner of the file concerned, since in a sticky
 * directory only the owner (or root, who takes the owner's lock) can unlink.
 * The file stays; it is empty. Two names with one hash only wait in vain.
 */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_MOST 200

int
ndi_name_check(const char *name)
{
    size_t n = name != NULL ? strlen(name) : 0;

    if (n == 0 || n > NAME_MOST) {
        return ndi_fail(NDS_EINVAL, "a name has 1 to %d characters, not %zu",
                        NAME_MOST, n);
    }
    if (name[0] == '.') {
        return ndi_fail(NDS_EINVAL, "name '%s': names do not begin with a dot",
                        name);
    }
    for (size_t i = 0; i < n; i++) {
        char c = name[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) {
            return ndi_fail(NDS_EINVAL, "name '%s': a character other than "
                            "letters, digits, '.', '_' and '-' at %zu",
                            name, i);
        }
    }
    return 0;
}

int
ndi_name_posix(const char *name, const char **bare)
{
    const char *n = name != NULL && name[0] == '/' ? name + 1 : name;

    *bare = n;
    if (n == NULL || n[0] == '\0' || strchr(n, '/') != NULL ||
        strlen(n) > 255 || strcmp(n, ".") == 0 || strcmp(n, "..") == 0 ||
        ndi_name_is_hidden(n)) {
        return ndi_fail(NDS_EINVAL, "'%.260s' is no name in shared memory",
                        name != NULL ? name : "(null)");
    }
    return 0;
}

bool
ndi_name_is_hidden(const char *name)
{
    return strncmp(name, ".nds-", 5) == 0;
}

static uint64_t
name_byte(const char *name)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (const char *p = name; *p != '\0'; p++) {
        h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
    }
    return 4096 + (h & ((UINT64_C(1) << 40) - 1));
}

/* Made nameless and linked, so that it never appears with a wrong owner. */
static int
make_lock_file(const char *path_name, uid_t owner)
{
    int fd = -1;
    int rc = ndi_shm_tmpfile(&fd, 0600);

    if (rc < 0) {
        return rc;
    }
    if (owner != geteuid() && fchown(fd, owner, (gid_t)-1) < 0) {
        rc = -errno;
    }
    if (rc == 0) {
        rc = ndi_shm_link(fd, path_name);
    }
    ndi_os_close(fd);
    return rc == -EEXIST ? 0 : rc;
}

static int
open_lock_file(int *fd, const char *lock_name, uid_t owner)
{
    struct stat st;
    int rc = ndi_shm_open(fd, lock_name, O_RDWR);

    if (rc == -ENOENT) {
        rc = make_lock_file(lock_name, owner);
        if (rc == 0) {
            rc = ndi_shm_open(fd, lock_name, O_RDWR);
        }
    }
    if (rc < 0) {
        return rc;
    }
    rc = ndi_os_fstat(*fd, &st);
    if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_uid != owner)) {
        rc = -EACCES;
    }
    if (rc < 0) {
        ndi_os_close(ndi_steal_fd(fd));
    }
    return rc;
}

int
ndi_name_hold(int *fd, const char *name, uid_t owner, int64_t deadline)
{
    char lock_name[32];
    struct stat st;
    int rc;

    snprintf(lock_name, sizeof lock_name, ".nds-%lu", (unsigned long)owner);
    for (;;) {
        *fd = -1;
        rc = open_lock_file(fd, lock_name, owner);
        if (rc < 0) {
            return ndi_fail_errno(-rc, "change the name '%s': the lock file "
                                  "%s/%s", name, ndi_shm_dir(), lock_name);
        }
        rc = ndi_lock_exclusive_wait(*fd, name_byte(name), deadline);
        if (rc == 0) {
            rc = ndi_os_fstat(*fd, &st);
        }
        if (rc == 0 && st.st_nlink > 0) {
            return 0;
        }
        ndi_os_close(ndi_steal_fd(fd));
        if (rc < 0) {
            return ndi_fail_errno(-rc, "change the name '%s': wait for "
                                  "another change of it", name);
        }
        // Somebody removed the lock file: what we hold locks nothing.
    }
}

int
ndi_name_stat(const char *name, struct stat *st)
{
    int fd = -1;
    int rc = ndi_shm_open(&fd, name, O_PATH);

    if (rc == 0) {
        rc = ndi_os_fstat(fd, st);
        ndi_os_close(fd);
    }
    return rc;
}

int
ndi_name_is(const char *name, const struct stat *st)
{
    struct stat now;
    int rc = ndi_name_stat(name, &now);

    if (rc == -ENOENT) {
        return 0;
    }
    if (rc < 0) {
        return ndi_fail_errno(-rc, "look at '%s'", name);
    }
    return now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}
