/* SPDX-License-Identifier: MIT */
/*
 * idents.c - hosted objects by ident, and whose references keep them
 *
 * A reference that came over a Unix socket is charged to the process at its
 * other end; when that process's pidfd fires, what it still held is dropped.
 * The stock protocol uses a connection of its own for each count, so a
 * connection's end says nothing. A reference may be given back by another
 * process than the one that took it (a proxy was handed on): it is then taken
 * from nobody's account first, from the giver's otherwise.
 */
#include <mgr/mgr_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEERS_MAX 4000

struct charge {
    struct ndi_hosted *object;
    int64_t count;
    struct charge *next;
};

struct ndi_peer {
    pid_t pid;
    int pidfd;
    struct charge *charges;
    struct ndi_peer *next;
};

int
ndi_idents_init(struct ndi_idents *t)
{
    uint32_t start = 0;
    int rc = ndi_random_bytes(&start, sizeof start);

    *t = (struct ndi_idents){.next_id = ((uint64_t)start << 24) + 1};
    if (rc < 0) {
        return ndi_fail_errno(-rc, "random bytes for idents");
    }
    pthread_mutex_init(&t->lock, NULL);
    return 0;
}

static void
hosted_free(struct ndi_hosted *h)
{
    nds_array_close(h->array);
    ndi_state_fini(&h->state);
    pthread_rwlock_destroy(&h->lock);
    pthread_mutex_destroy(&h->mutex);
    pthread_cond_destroy(&h->changed);
    free(h);
}

static void
peer_free(struct ndi_peer *p)
{
    while (p->charges != NULL) {
        struct charge *c = p->charges;

        p->charges = c->next;
        free(c);
    }
    ndi_os_close(p->pidfd);
    free(p);
}

void
ndi_idents_fini(struct ndi_idents *t)
{
    while (t->peers != NULL) {
        struct ndi_peer *p = t->peers;

        t->peers = p->next;
        peer_free(p);
    }
    while (t->objects != NULL) {
        struct ndi_hosted *h = t->objects;

        t->objects = h->next;
        hosted_free(h);
    }
    pthread_mutex_destroy(&t->lock);
}

static struct ndi_hosted *
find_locked(struct ndi_idents *t, const char *id)
{
    for (struct ndi_hosted *h = t->objects; h != NULL; h = h->next) {
        if (strcmp(h->id, id) == 0) {
            return h;
        }
    }
    return NULL;
}

/* The account of a process; NULL, and false if it is no more, where it cannot
 * be watched. */
static bool
peer_locked(struct ndi_idents *t, pid_t pid, struct ndi_peer **out)
{
    struct ndi_peer *p;
    int n = 0;
    int rc;

    *out = NULL;
    for (p = t->peers; p != NULL; p = p->next, n++) {
        if (p->pid == pid) {
            *out = p;
            return true;
        }
    }
    p = n < PEERS_MAX ? calloc(1, sizeof *p) : NULL;
    if (p == NULL) {
        return true;
    }
    p->pid = pid;
    rc = ndi_pidfd_open(&p->pidfd, pid);
    if (rc < 0) {
        free(p);
        return rc != -ESRCH;
    }
    p->next = t->peers;
    t->peers = p;
    atomic_store(&t->fresh, true);
    *out = p;
    return true;
}

/* Adds one reference to the account of pid, if it can be watched; false if pid
 * was killed with its request on the way: nobody would give it back. */
static bool
charge_locked(struct ndi_idents *t, struct ndi_hosted *h, pid_t pid)
{
    struct ndi_peer *p = NULL;
    struct charge *c;

    if (pid > 0 && !peer_locked(t, pid, &p)) {
        return false;
    }
    if (p == NULL) {
        return true;
    }
    for (c = p->charges; c != NULL; c = c->next) {
        if (c->object == h) {
            c->count++;
            return true;
        }
    }
    c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->object = h;
        c->count = 1;
        c->next = p->charges;
        p->charges = c;
    }
    return true;
}

static int
peer_is_gone(pid_t pid)
{
    return ndi_fail(NDS_ECHILD, "process %d ended before its request was "
                    "read", (int)pid);
}

static int64_t
charged_locked(struct ndi_idents *t, struct ndi_hosted *h)
{
    int64_t n = 0;

    for (struct ndi_peer *p = t->peers; p != NULL; p = p->next) {
        for (struct charge *c = p->charges; c != NULL; c = c->next) {
            n += c->object == h ? c->count : 0;
        }
    }
    return n;
}

/* Takes one reference off an account: pid's own, else nobody's, else any. */
static void
discharge_locked(struct ndi_idents *t, struct ndi_hosted *h, pid_t pid)
{
    struct charge *any = NULL;

    for (struct ndi_peer *p = t->peers; p != NULL; p = p->next) {
        for (struct charge *c = p->charges; c != NULL; c = c->next) {
            if (c->object == h && c->count > 0) {
                if (p->pid == pid) {
                    c->count--;
                    return;
                }
                any = c;
            }
        }
    }
    if (any != NULL && charged_locked(t, h) >= h->refs) {
        any->count--;
    }
}

/* Every trace of h in the accounts goes with it. */
static void
forget_locked(struct ndi_idents *t, struct ndi_hosted *h)
{
    for (struct ndi_peer *p = t->peers; p != NULL; p = p->next) {
        struct charge **at = &p->charges;

        while (*at != NULL) {
            struct charge *c = *at;

            if (c->object == h) {
                *at = c->next;
                free(c);
            } else {
                at = &c->next;
            }
        }
    }
}

/* Unlinks h; returns it if the caller must free it (outside the lock). */
static struct ndi_hosted *
dispose_locked(struct ndi_idents *t, struct ndi_hosted *h)
{
    struct ndi_hosted **at = &t->objects;

    while (*at != h) {
        at = &(*at)->next;
    }
    *at = h->next;
    h->next = NULL;
    h->disposed = true;
    t->count--;
    forget_locked(t, h);
    return h->users == 0 ? h : NULL;
}

static struct ndi_hosted *
hosted_new(const char *typeid_, const struct ndi_hosted_kind *kind)
{
    struct ndi_hosted *h = calloc(1, sizeof *h);
    pthread_condattr_t attr;

    if (h == NULL) {
        ndi_fail_nomem(sizeof *h, "a hosted object");
        return NULL;
    }
    h->kind = kind;
    h->refs = 1;
    h->users = 1;
    snprintf(h->typeid_, sizeof h->typeid_, "%s", typeid_);
    pthread_rwlock_init(&h->lock, NULL);
    pthread_mutex_init(&h->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->changed, &attr);
    pthread_condattr_destroy(&attr);
    return h;
}

int
ndi_idents_add(struct ndi_idents *t, const char *typeid_, nds_array *a,
               const struct ndi_hosted_kind *kind, struct ndi_state *state,
               pid_t pid, struct ndi_hosted **out)
{
    struct ndi_hosted *h = hosted_new(typeid_, kind);

    if (h == NULL) {
        nds_array_close(a);
        if (state != NULL) {
            ndi_state_fini(state);
        }
        return NDS_ENOMEM;
    }
    h->array = a;
    if (state != NULL) {
        h->state = *state;
    }
    pthread_mutex_lock(&t->lock);
    if (!charge_locked(t, h, pid)) {
        pthread_mutex_unlock(&t->lock);
        hosted_free(h);
        return peer_is_gone(pid);
    }
    // Never used twice while this server lives.
    snprintf(h->id, sizeof h->id, "%llx", (unsigned long long)t->next_id++);
    h->next = t->objects;
    t->objects = h;
    t->count++;
    pthread_mutex_unlock(&t->lock);
    *out = h;
    return 0;
}

struct ndi_hosted *
ndi_idents_get(struct ndi_idents *t, const char *id)
{
    struct ndi_hosted *h;

    pthread_mutex_lock(&t->lock);
    h = find_locked(t, id);
    if (h != NULL) {
        h->users++;
    }
    pthread_mutex_unlock(&t->lock);
    return h;
}

void
ndi_idents_put(struct ndi_idents *t, struct ndi_hosted *h)
{
    bool last;

    if (h == NULL) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    last = --h->users == 0 && h->disposed;
    pthread_mutex_unlock(&t->lock);
    if (last) {
        hosted_free(h);
    }
}

static int
no_such(const char *id)
{
    return ndi_fail(NDS_EKEY, "'%.30s'", id);
}

int
ndi_idents_incref(struct ndi_idents *t, const char *id, pid_t pid)
{
    struct ndi_hosted *h;
    bool alive = true;

    pthread_mutex_lock(&t->lock);
    h = find_locked(t, id);
    if (h != NULL) {
        alive = charge_locked(t, h, pid);
        h->refs += alive;
    }
    pthread_mutex_unlock(&t->lock);
    if (h == NULL) {
        return no_such(id);
    }
    return alive ? 0 : peer_is_gone(pid);
}

int
ndi_idents_decref(struct ndi_idents *t, const char *id, pid_t pid)
{
    struct ndi_hosted *h, *gone = NULL;
    bool known;

    pthread_mutex_lock(&t->lock);
    h = find_locked(t, id);
    known = h != NULL;
    if (known) {
        discharge_locked(t, h, pid);
        if (--h->refs == 0) {
            gone = dispose_locked(t, h);
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (gone != NULL) {
        hosted_free(gone);
    }
    return known ? 0 : no_such(id);
}

int
ndi_idents_count(struct ndi_idents *t)
{
    int n;

    pthread_mutex_lock(&t->lock);
    n = t->count;
    pthread_mutex_unlock(&t->lock);
    return n;
}

struct line {
    char id[24];
    char text[160];
};

static int
by_id(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->id, ((const struct line *)b)->id);
}

int
ndi_idents_debug(struct ndi_idents *t, char **text)
{
    struct ndi_buf b = {0};
    struct line *lines;
    size_t n = 0;

    *text = NULL;
    pthread_mutex_lock(&t->lock);
    lines = calloc((size_t)t->count + 1, sizeof *lines);
    for (struct ndi_hosted *h = t->objects; lines && h; h = h->next, n++) {
        const nds_view *v = h->array != NULL ? nds_array_view(h->array)
                                             : NULL;
        char *name = NULL;

        memcpy(lines[n].id, h->id, sizeof h->id);
        if (v == NULL) {
            snprintf(lines[n].text, sizeof lines[n].text,
                     "  %s:       refcount=%lld\n    <%.50s object, calls "
                     "under way: %d>", h->id, (long long)h->refs,
                     h->typeid_, h->users);
            continue;
        }

        // The object is described, not printed: printing would need its lock.
        if (nds_dtype_name(v->dtype, &name) < 0) {
            name = NULL;
        }
        snprintf(lines[n].text, sizeof lines[n].text,
                 "  %s:       refcount=%lld\n    %.40s: array of %lld %.20s",
                 h->id, (long long)h->refs, h->typeid_,
                 (long long)nds_view_count(v), name != NULL ? name : "?");
        free(name);
    }
    pthread_mutex_unlock(&t->lock);
    if (lines == NULL) {
        return ndi_fail_nomem(sizeof *lines, "debug_info");
    }
    qsort(lines, n, sizeof *lines, by_id);
    for (size_t i = 0; i < n; i++) {
        ndi_buf_add_str(&b, i > 0 ? "\n" : "");
        ndi_buf_add_str(&b, lines[i].text);
    }
    free(lines);
    return ndi_buf_steal_text(&b, text);
}

bool
ndi_idents_watch(struct ndi_idents *t, pid_t pid)
{
    struct ndi_peer *p;
    bool alive;

    pthread_mutex_lock(&t->lock);
    alive = peer_locked(t, pid, &p);
    pthread_mutex_unlock(&t->lock);
    return alive;
}

int
ndi_idents_pin(struct ndi_idents *t, const char *id)
{
    struct ndi_hosted *h;

    pthread_mutex_lock(&t->lock);
    h = find_locked(t, id);
    if (h != NULL && !h->pinned) {
        h->pinned = true;
        h->refs++;
    }
    pthread_mutex_unlock(&t->lock);
    return h != NULL ? 0 : no_such(id);
}

/* The objects are collected under the table's lock and visited without it,
 * since a method may wait for it while it holds an object's mutex. */
void
ndi_idents_left(struct ndi_idents *t, pid_t pid, uint64_t who)
{
    struct ndi_hosted **held;
    size_t n = 0;

    pthread_mutex_lock(&t->lock);
    held = calloc((size_t)t->count + 1, sizeof *held);
    for (struct ndi_hosted *h = t->objects; held != NULL && h != NULL;
         h = h->next) {
        if (h->kind != NULL && h->kind->dies) {
            h->users++;
            held[n++] = h;
        }
    }
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; i < n; i++) {
        ndi_lock_left(held[i], pid, who);
        ndi_idents_put(t, held[i]);
    }
    free(held);
}

int
ndi_idents_pidfds(struct ndi_idents *t, int *fds, int room)
{
    int n = 0;

    pthread_mutex_lock(&t->lock);
    for (struct ndi_peer *p = t->peers; p != NULL && n < room; p = p->next) {
        fds[n++] = p->pidfd;
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}

void
ndi_idents_bury(struct ndi_idents *t, int pidfd)
{
    struct ndi_hosted *gone = NULL;
    struct ndi_peer **at, *dead = NULL;

    pthread_mutex_lock(&t->lock);
    for (at = &t->peers; *at != NULL; at = &(*at)->next) {
        if ((*at)->pidfd == pidfd) {
            dead = *at;
            *at = dead->next;
            break;
        }
    }
    NDI_KILL_POINT("mgr.burying");
    while (dead != NULL && dead->charges != NULL) {
        struct charge *c = dead->charges;
        struct ndi_hosted *h = c->object, *mine;

        dead->charges = c->next;
        h->refs -= c->count;
        free(c);
        if (h->refs <= 0) {
            mine = dispose_locked(t, h);
            if (mine != NULL) {
                mine->next = gone;
                gone = mine;
            }
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (dead != NULL) {
        pid_t pid = dead->pid;

        peer_free(dead);
        ndi_idents_left(t, pid, 0);
    }
    while (gone != NULL) {
        struct ndi_hosted *h = gone;

        gone = h->next;
        hosted_free(h);
    }
}
