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

#include <errno.h>
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
    int rc = ndi_name_posix(name, &name);

    if (rc < 0) {
        return rc;
    }
    rc = ndi_name_stat(name, &st);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "look at '%s' in %s", name, ndi_shm_dir());
    }
    if (st.st_uid != geteuid()) {
        return ndi_fail(NDS_EPERM, "add '%s' to a scope: it belongs to uid %u",
                        name, st.st_uid);
    }
    return ndi_scope_note(s, name, &st);
}

/* 1 if the name is still that file, and of that user: else a stranger's list
 * could name files of whoever sweeps. 0 if not, or -errno. */
static int
is_still(const char *name, const struct stat *st)
{
    struct stat now;
    int rc = ndi_name_stat(name, &now);

    return rc == -ENOENT ? 0
           : rc < 0      ? rc
                         : now.st_dev == st->st_dev &&
                               now.st_ino == st->st_ino &&
                               now.st_uid == st->st_uid;
}

/* The name of an entry that still is its file: 1; 0, or -errno. */
static int
entry_name(const struct entry *e, uid_t uid, const char **name,
           struct stat *st)
{
    *st = (struct stat){.st_dev = (dev_t)e->dev, .st_ino = (ino_t)e->ino,
                        .st_uid = uid};
    return memchr(e->name, '\0', sizeof e->name) != NULL &&
                   ndi_name_posix(e->name, name) == 0
               ? is_still(*name, st)
               : 0;
}

/* Calls fn, if not NULL, for every entry whose name still is its file: how many
 * they are, or -errno of the first that could not be told or done. */
static int
each_entry(int fd, int (*fn)(const char *name, const struct stat *st))
{
    struct head h;
    struct entry e;
    struct stat file;
    int found = 0, wrong = 0;
    int rc = ndi_os_fstat(fd, &file);

    rc = rc < 0 ? rc : ndi_os_pread(fd, &h, sizeof h, 0);
    if (rc < 0 || memcmp(h.magic, magic, sizeof magic) != 0) {
        return rc == -ENODATA ? 0 : rc; // not one of ours lists nothing
    }
    for (uint64_t at = sizeof h;
         (rc = ndi_os_pread(fd, &e, sizeof e, at)) == 0; at += sizeof e) {
        const char *name;
        struct stat st;
        int is = entry_name(&e, file.st_uid, &name, &st);

        if (is == 1 && fn != NULL) {
            is = fn(name, &st) < 0 ? -EBUSY : 1;
        }
        found += is > 0;
        wrong = is < 0 ? is : wrong;
    }
    return rc != -ENODATA ? rc : wrong < 0 ? wrong : found;
}

static int
remove_name(const char *name, const struct stat *st)
{
    int hold = -1;
    int rc = ndi_name_hold(&hold, name, st->st_uid,
                           ndi_deadline(NDI_NAME_WAIT_NS));

    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("scope.held");
    rc = is_still(name, st);
    if (rc == 1) {
        rc = ndi_shm_unlink(name);
        NDI_KILL_POINT("scope.unlinked");
    }
    ndi_os_close(hold);
    return rc;
}

bool
ndi_scope_clear(int fd)
{
    return each_entry(fd, remove_name) >= 0;
}

int
nds_scope_count(nds_scope *s)
{
    int fd = -1;
    int rc = ndi_shm_open(&fd, s->name, O_RDONLY);

    rc = rc < 0 ? rc : each_entry(fd, NULL);
    ndi_os_close(fd);
    return rc < 0 ? ndi_fail_errno(-rc, "read a scope's names") : rc;
}

void
nds_scope_close(nds_scope *s)
{
    int fd = -1;

    if (s == NULL) {
        return;
    }
    if (s->epoch == ndi_fork_epoch()) {
        // What could not be removed is left to a sweep, with the list.
        if (ndi_shm_open(&fd, s->name, O_RDONLY) == 0 &&
            ndi_scope_clear(fd)) {
            ndi_shm_unlink(s->name);
            NDI_KILL_POINT("scope.closed");
        }
        ndi_os_close(fd);
        ndi_unmap(s->map, sizeof(struct head));
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}
