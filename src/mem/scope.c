/* SPDX-License-Identifier: MIT */
/*
 * scope.c - names that go with the process that made them
 *
 * A hidden file ".nds-scope-<hex>" lists them: a head of 64 bytes, then one
 * entry each, with the file's device and inode. An entry is written before its
 * name can be seen, so a kill in between leaves an entry without a name, never
 * a name without an entry; and a name is removed only while it is that file.
 *
 * The maker's mapping carries the in-use lock and does not cross a fork: when
 * it is gone, however, a sweep removes the names and then the file. Killed half
 * way, the next sweep begins again.
 */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char magic[16] = "NDSSCOPE 1";

struct head {
    char magic[16];
    uint64_t pid; /* for people */
    unsigned char zero[40];
};
_Static_assert(sizeof(struct head) == 64, "an entry begins at 64");

struct entry {
    uint64_t dev;
    uint64_t ino;
    char name[256]; /* NUL-terminated */
    unsigned char zero[48];
};
_Static_assert(sizeof(struct entry) == 320, "entries are alike");

struct nds_scope {
    void *map; /* carries the in-use lock; not in a child of fork */
    uint64_t epoch;
    pthread_mutex_t lock; /* over the file's end */
    uint64_t count;       /* entries written */
    char name[48];
};

static int
make_file(struct nds_scope *s)
{
    struct head h = {.pid = (uint64_t)getpid()};
    uint64_t r[2];
    int fd = -1;
    int rc = ndi_random_bytes(r, sizeof r);

    memcpy(h.magic, magic, sizeof magic);
    snprintf(s->name, sizeof s->name, NDI_SCOPE_PREFIX "%016llx%016llx",
             (unsigned long long)r[0], (unsigned long long)r[1]);
    rc = rc < 0 ? rc : ndi_shm_tmpfile(&fd, 0600);
    if (rc == 0) {
        rc = ndi_os_pwrite(fd, &h, sizeof h, 0);
    }
    if (rc == 0) {
        rc = ndi_lock_shared(fd, NDI_BYTE_IN_USE);
    }
    if (rc == 0) {
        rc = ndi_map(&s->map, fd, 0, sizeof h, NDI_MAP_DONTFORK);
    }
    NDI_KILL_POINT("scope.made");
    if (rc == 0) {
        rc = ndi_shm_link(fd, s->name);
        NDI_KILL_POINT("scope.linked");
    }
    ndi_os_close(fd);
    return rc < 0 ? ndi_fail_errno(-rc, "make a scope in %s", ndi_shm_dir())
                  : 0;
}

int
nds_scope_new(nds_scope **out)
{
    nds_scope *s = calloc(1, sizeof *s);
    int rc;

    *out = NULL;
    if (s == NULL) {
        return ndi_fail_nomem(sizeof *s, "a scope");
    }
    ndi_sweep_sometimes();
    s->epoch = ndi_fork_epoch();
    pthread_mutex_init(&s->lock, NULL);
    rc = make_file(s);
    if (rc < 0) {
        ndi_unmap(s->map, sizeof(struct head));
        pthread_mutex_destroy(&s->lock);
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

int
ndi_scope_note(nds_scope *s, const char *name, const struct stat *st)
{
    struct entry e = {.dev = (uint64_t)st->st_dev,
                      .ino = (uint64_t)st->st_ino};
    int fd = -1;
    int rc;

    if (s->epoch != ndi_fork_epoch()) {
        return ndi_fail(NDS_EPERM, "'%s': the scope is of the process before "
                        "the fork", name);
    }
    snprintf(e.name, sizeof e.name, "%s", name);
    // Opened anew each time: a descriptor of ours would cross a fork, and what
    // is open cannot be swept.
    rc = ndi_shm_open(&fd, s->name, O_RDWR);
    if (rc == 0) {
        pthread_mutex_lock(&s->lock);
        rc = ndi_os_pwrite(fd, &e, sizeof e,
                           sizeof(struct head) + s->count * sizeof e);
        s->count += rc == 0;
        pthread_mutex_unlock(&s->lock);
        NDI_KILL_POINT("scope.noted");
    }
    ndi_os_close(fd);
    return rc < 0 ? ndi_fail_errno(-rc, "note '%s' in a scope", name) : 0;
}

int
nds_scope_add(nds_scope *s, const char *name)
{
    struct stat st;
    int fd = -1;
    int rc = ndi_name_posix(name, &name);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_shm_open(&fd, name, O_PATH);
    if (rc == 0) {
        rc = ndi_os_fstat(fd, &st);
    }
    ndi_os_close(fd);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "look at '%s' in %s", name, ndi_shm_dir());
    }
    if (st.st_uid != geteuid()) {
        return ndi_fail(NDS_EPERM, "add '%s' to a scope: it belongs to uid %u",
                        name, st.st_uid);
    }
    return ndi_scope_note(s, name, &st);
}

/* The name is still that file, and of that user: else a stranger's list could
 * name files of whoever sweeps. */
static bool
is_still(const char *name, const struct stat *st)
{
    struct stat now;
    int fd = -1;
    bool is = ndi_shm_open(&fd, name, O_PATH) == 0 &&
              ndi_os_fstat(fd, &now) == 0 && now.st_dev == st->st_dev &&
              now.st_ino == st->st_ino && now.st_uid == st->st_uid;

    ndi_os_close(fd);
    return is;
}

/* Calls fn for every entry whose name still is its file. */
static int
each_entry(int fd, void (*fn)(const char *name, const struct stat *st))
{
    struct head h;
    struct entry e;
    struct stat file;
    int found = 0;

    if (ndi_os_fstat(fd, &file) < 0 ||
        ndi_os_pread(fd, &h, sizeof h, 0) < 0 ||
        memcmp(h.magic, magic, sizeof magic) != 0) {
        return 0;
    }
    for (uint64_t at = sizeof h;
         ndi_os_pread(fd, &e, sizeof e, at) == 0; at += sizeof e) {
        struct stat st = {.st_dev = (dev_t)e.dev, .st_ino = (ino_t)e.ino};
        const char *name;

        st.st_uid = file.st_uid;
        if (memchr(e.name, '\0', sizeof e.name) == NULL ||
            ndi_name_posix(e.name, &name) < 0 || !is_still(name, &st)) {
            continue;
        }
        found++;
        if (fn != NULL) {
            fn(name, &st);
        }
    }
    return found;
}

static void
remove_name(const char *name, const struct stat *st)
{
    int hold = -1;

    if (ndi_name_hold(&hold, name, st->st_uid,
                      ndi_deadline(NDI_NAME_WAIT_NS)) < 0) {
        return;
    }
    NDI_KILL_POINT("scope.held");
    if (is_still(name, st)) {
        ndi_shm_unlink(name);
        NDI_KILL_POINT("scope.unlinked");
    }
    ndi_os_close(hold);
}

void
ndi_scope_clear(int fd)
{
    each_entry(fd, remove_name);
}

int
nds_scope_count(nds_scope *s)
{
    int fd = -1;
    int rc = ndi_shm_open(&fd, s->name, O_RDONLY);
    int n = rc == 0 ? each_entry(fd, NULL) : 0;

    ndi_os_close(fd);
    return rc < 0 ? ndi_fail_errno(-rc, "read a scope's names") : n;
}

void
nds_scope_close(nds_scope *s)
{
    int fd = -1;

    if (s == NULL) {
        return;
    }
    if (s->epoch == ndi_fork_epoch()) {
        if (ndi_shm_open(&fd, s->name, O_RDONLY) == 0) {
            ndi_scope_clear(fd);
            ndi_shm_unlink(s->name);
            NDI_KILL_POINT("scope.closed");
        }
        ndi_os_close(fd);
        ndi_unmap(s->map, sizeof(struct head));
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}
