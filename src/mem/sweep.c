/* SPDX-License-Identifier: MIT */
/*
 * sweep.c - undo what dead processes left behind
 *
 * What may go: names with lifetime `while used`, and hidden names. What must
 * be true first: the exclusive in-use lock (no handle of ours anywhere) and a
 * write lease, which the kernel refuses while anybody at all, stock NumPy
 * included, has the file open or mapped. Then, holding the name, the name must
 * still be that file. Raw blocks, files of strangers and names that live until
 * unlinked stay whatever happens.
 *
 * A scope's file lists names that go with its maker; once nobody holds it they
 * are removed first, also while others use them.
 *
 * Items in flight in a channel are hidden names that nobody may have mapped:
 * ".nds-<id>-<n>" stays while ".nds-<id>-q" is in use or a named object with
 * that id exists. So those are looked at last. Names that we may not read hold
 * nothing of ours: only who can open the marker, which is its maker's alone,
 * gives items names. A program that has changed its user since left a marker
 * that we may not read, and that keeps them.
 *
 * Killed anywhere: locks and lease go with the process, the next sweep begins
 * again.
 */
#include <mem/mem_impl.h>
#include <mem/warm.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TMP_AGE_S 60 /* a stand-in name may be younger than its lock */
#define SOMETIMES_NS NDS_SEC(60)

const char ndi_why_foreign[] = "open or mapped by a program that is not "
                               "ndshare's";

enum name_class {
    NAME_PLAIN,
    NAME_LOCK, /* .nds-<uid> */
    NAME_TMP,  /* .nds-tmp-... */
    NAME_ITEM, /* .nds-<32 hex>-<n> */
    NAME_SCOPE, /* .nds-scope-<hex>: names that go with their maker */
    NAME_HIDDEN
};

static enum name_class
name_class(const char *name)
{
    size_t digits, hex;

    if (!ndi_name_is_hidden(name)) {
        return NAME_PLAIN;
    }
    name += 5;
    digits = strspn(name, "0123456789");
    if (digits > 0 && name[digits] == '\0') {
        return NAME_LOCK;
    }
    if (strncmp(name, "tmp-", 4) == 0) {
        return NAME_TMP;
    }
    if (strncmp(name, "scope-", 6) == 0) {
        return NAME_SCOPE;
    }
    hex = strspn(name, "0123456789abcdef");
    if (hex == 32 && name[32] == '-' && name[33] >= '0' && name[33] <= '9') {
        return NAME_ITEM;
    }
    return NAME_HIDDEN;
}

/* May the file go once nobody uses it? NULL, or why not. */
static const char *
why_it_lives(const char *name, int fd, const struct stat *st)
{
    enum name_class class = name_class(name);
    struct ndi_control_copy copy;

    switch (class) {
    case NAME_LOCK:
        return "the lock file of names";
    case NAME_TMP:
        return st->st_size < NDI_CTL_NBYTES &&
                       time(NULL) - st->st_mtime < TMP_AGE_S
                   ? "perhaps just being made"
                   : NULL;
    case NAME_ITEM:
    case NAME_SCOPE:
    case NAME_HIDDEN:
        return NULL;
    default:
        break;
    }
    if (ndi_control_read(&copy, fd, 0, name) < 0) {
        return "not ours";
    }
    return copy.header.lifetime == NDS_WHILE_USED ? NULL
                                                  : "lives until unlinked";
}

/* With the name held: the last questions, then the unlink. */
static int
remove_dead(const char *name, int fd, const struct stat *st, bool dry_run,
            const char **why)
{
    int rc = ndi_lock_exclusive(fd, NDI_BYTE_IN_USE);

    if (rc < 0) {
        *why = rc == -EAGAIN ? "in use" : "its lock cannot be asked for";
        return 0;
    }
    NDI_KILL_POINT("sweep.locked");
    rc = ndi_lease_probe(fd);
    if (rc < 0) {
        *why = rc == -EAGAIN
                   ? ndi_why_foreign
                   : "the kernel does not say whether others map it";
        return 0;
    }
    NDI_KILL_POINT("sweep.leased");
    if (ndi_name_is(name, st) != 1) {
        *why = "the name means something else by now";
        return 0;
    }
    *why = "nobody uses it";
    if (dry_run) {
        return 1;
    }
    if (name_class(name) == NAME_SCOPE && !ndi_scope_clear(fd)) {
        *why = "a name in it could not be removed";
        return 0;
    }
    NDI_KILL_POINT("sweep.unlinking");
    rc = ndi_shm_unlink(name);
    NDI_KILL_POINT("sweep.unlinked");
    if (rc < 0) {
        *why = "the kernel refuses to unlink it";
        return 0;
    }
    return 1;
}

int
ndi_sweep_name(const char *name, bool held, bool dry_run, const char **why)
{
    struct stat st;
    int fd = -1, hold = -1;
    int rc = ndi_shm_open(&fd, name, O_RDWR);

    *why = rc == -ENOENT ? "gone already" : "no permission";
    if (rc < 0) {
        return 0;
    }
    rc = ndi_os_fstat(fd, &st);
    if (rc < 0 || !S_ISREG(st.st_mode)) {
        *why = "not ours";
        goto out;
    }
    *why = "it belongs to somebody else";
    if (st.st_uid != geteuid() && geteuid() != 0) {
        goto out;
    }
    *why = why_it_lives(name, fd, &st);
    if (*why != NULL) {
        goto out;
    }
    *why = "somebody is changing the name";
    if (held || ndi_name_hold(&hold, name, st.st_uid,
                              ndi_deadline(NDS_SEC(1))) == 0) {
        NDI_KILL_POINT("sweep.held");
        rc = remove_dead(name, fd, &st, dry_run, why);
        ndi_os_close(hold);
        ndi_os_close(fd);
        return rc;
    }
out:
    ndi_os_close(fd);
    return 0;
}

/* ---- the walk over the directory ---------------------------------------- */

struct names {
    char (*list)[256];
    size_t count, room;
    uint64_t (*ids)[2]; /* of the named objects that are there */
    size_t id_count, id_room;
    bool blind; /* an object could not be read: it may own any item */
};

static int
list_names(struct names *n)
{
    DIR *dir = opendir(ndi_shm_dir());
    struct dirent *e;

    if (dir == NULL) {
        return ndi_fail_errno(errno, "list %s", ndi_shm_dir());
    }
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.' && !ndi_name_is_hidden(e->d_name)) {
            continue;
        }
        if (n->count == n->room) {
            size_t room = n->room == 0 ? 64 : n->room * 2;
            void *more = realloc(n->list, room * sizeof n->list[0]);

            if (more == NULL) {
                closedir(dir);
                return ndi_fail_nomem(room * sizeof n->list[0],
                                      "a list of names");
            }
            n->list = more;
            n->room = room;
        }
        snprintf(n->list[n->count++], sizeof n->list[0], "%s", e->d_name);
    }
    closedir(dir);
    return 0;
}

static void
remember_id(struct names *n, const char *name)
{
    struct ndi_control_copy copy;
    int fd = -1;
    int rc = ndi_shm_open(&fd, name, O_RDONLY);

    if (rc < 0) {
        return;
    }
    rc = ndi_control_read(&copy, fd, 0, name);
    ndi_os_close(fd);
    if (rc < 0) {
        return;
    }
    if (n->id_count == n->id_room) {
        size_t room = n->id_room == 0 ? 64 : n->id_room * 2;
        void *more = realloc(n->ids, room * sizeof n->ids[0]);

        if (more == NULL) {
            n->blind = true; // then items rather stay
            return;
        }
        n->ids = more;
        n->id_room = room;
    }
    memcpy(n->ids[n->id_count++], copy.header.creator, sizeof n->ids[0]);
}

/* The channel an item is in: still there? */
static const char *
why_item_lives(const struct names *n, const char *name)
{
    char marker[48];
    char hex[17] = {0};
    uint64_t id[2];
    int fd = -1;
    int used, rc;

    snprintf(marker, sizeof marker, "%.37s-q", name);
    rc = ndi_shm_open(&fd, marker, O_RDONLY);
    if (rc == -EACCES) {
        return "in flight in a channel of another user";
    }
    if (rc == 0) {
        used = ndi_lock_probe(fd, NDI_BYTE_IN_USE);
        ndi_os_close(fd);
        if (used != 0) {
            return "in flight in a channel in use";
        }
    }
    for (int i = 0; i < 2; i++) {
        memcpy(hex, name + 5 + i * 16, 16);
        id[i] = strtoull(hex, NULL, 16);
    }
    for (size_t i = 0; i < n->id_count; i++) {
        if (n->ids[i][0] == id[0] && n->ids[i][1] == id[1]) {
            return "in flight in a channel with a name";
        }
    }
    return n->blind ? "perhaps in flight: no memory to tell" : NULL;
}

/* Frees the entries of dead participants; arrays only, a channel's are its own
 * room's business. */
static void
bury_in(const char *name)
{
    struct ndi_segment *s = NULL;

    if (ndi_segment_attach(&s, name, NDI_KIND_ARRAY, NDS_READWRITE, 0) == 0) {
        (void)ndi_party_sweep(&s->party);
    }
    ndi_segment_put(s);
}

enum sweep_how {
    SWEEP_LOOK,  /* dry run */
    SWEEP_NAMES, /* on the way: names only, attaching nothing */
    SWEEP_ALL
};
typedef void (*tell_fn)(const char *name, bool removed, const char *why,
                        void *);

static int
sweep_pass(struct names *n, bool items, enum sweep_how how, tell_fn fn,
           void *ctx)
{
    int removed = 0;

    for (size_t i = 0; i < n->count; i++) {
        const char *name = n->list[i];
        enum name_class class = name_class(name);
        const char *why = NULL;
        bool gone = false;

        if (class == NAME_LOCK || (class == NAME_ITEM) != items) {
            continue;
        }
        why = items ? why_item_lives(n, name) : NULL;
        if (why == NULL) {
            gone = ndi_sweep_name(name, false, how == SWEEP_LOOK, &why) == 1;
        }
        removed += gone;
        if (!gone && class == NAME_PLAIN) {
            remember_id(n, name);
            if (how == SWEEP_ALL) {
                bury_in(name);
            }
        }
        if (fn != NULL) {
            fn(name, gone, why, ctx);
        }
    }
    return removed;
}

static int
sweep(enum sweep_how how, tell_fn fn, void *ctx)
{
    struct names n = {0};
    int removed;

    ndi_warm_forget_away(); // a mapping of ours would refuse the lease
    removed = list_names(&n);

    if (removed == 0) {
        removed = sweep_pass(&n, false, how, fn, ctx);
        removed += sweep_pass(&n, true, how, fn, ctx);
    }
    free(n.list);
    free(n.ids);
    return removed;
}

int
nds_sweep(bool dry_run,
          void (*fn)(const char *name, bool removed, const char *why, void *),
          void *ctx)
{
    return sweep(dry_run ? SWEEP_LOOK : SWEEP_ALL, fn, ctx);
}

void
ndi_sweep_sometimes(void)
{
    static _Atomic int64_t next;
    int64_t due = ndi_load_rlx(&next);
    int64_t now = ndi_now_ns();

    if (now >= due && ndi_cas_seq(&next, &due, now + SOMETIMES_NS)) {
        sweep(SWEEP_NAMES, NULL, NULL);
    }
}
