/* SPDX-License-Identifier: MIT */
/*
 * segment.c - making a shared file of ours, naming it, letting it go
 *
 * A segment is complete before anybody can see it: nameless file, in-use lock,
 * memory reserved, body and control area filled, state READY, and only then
 * the link. The in-use lock is taken on the descriptor that is mapped; the
 * mapping carries it, through fork as well, until the last one goes.
 *
 * Killed at any instruction: before the link the kernel takes everything back,
 * after it the name is complete.
 */
#include <mem/mem_impl.h>
#include <mem/warm.h>

#include <base/checked.h>
#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_ROOM ((uint64_t)65536) /* what sparse memory reserves of a body */

static const char *
called(const char *name)
{
    return name != NULL && name[0] != '\0' ? name : "(no name)";
}

/* ---- create ------------------------------------------------------------- */

static int
no_room(int err, const char *name, uint64_t nbytes)
{
    uint64_t total = 0, left = 0;

    if (err != ENOSPC && err != EDQUOT) {
        return ndi_fail_errno(err, "create '%s': reserve %llu bytes", name,
                              (unsigned long long)nbytes);
    }
    ndi_shm_room(&total, &left);
    return ndi_fail_sys(NDS_ENOSPC, err, "create '%s': %llu bytes wanted, "
                        "%llu free in %s", name, (unsigned long long)nbytes,
                        (unsigned long long)left, ndi_shm_dir());
}

static int
make_memfd(struct ndi_segment *s, const struct ndi_segment_spec *spec,
           uint64_t ctl_off)
{
    uint64_t head = spec->body_nbytes < TABLE_ROOM ? spec->body_nbytes
                                                   : TABLE_ROOM;
    int rc = ndi_memfd(&s->fd, "ndshare", s->nbytes);

    if (rc == 0 && spec->sparse) {
        rc = ndi_os_reserve(s->fd, 0, head);
    }
    if (rc == 0) {
        rc = ndi_os_reserve(s->fd, ctl_off, NDI_CTL_NBYTES);
    }
    return rc < 0 ? no_room(-rc, "(memfd)", s->nbytes) : 0;
}

static int
make_file(struct ndi_segment *s, const struct ndi_segment_spec *spec)
{
    const char *name = called(spec->name);
    int rc = ndi_shm_tmpfile(&s->fd, spec->mode_bits != 0 ? spec->mode_bits
                                                          : 0600);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "create '%s' in %s", name, ndi_shm_dir());
    }
    NDI_KILL_POINT("segment.file");
    rc = ndi_lock_shared(s->fd, NDI_BYTE_IN_USE);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "create '%s': mark it as in use", name);
    }
    rc = ndi_os_truncate(s->fd, s->nbytes);
    return rc < 0 ? no_room(-rc, name, s->nbytes) : 0;
}

struct backing {
    struct ndi_segment *s;
    const struct ndi_segment_spec *spec;
    struct ndi_collapse pace;
    _Atomic int rc; /* the first error */
};

/* One stretch, a multiple of 2 MiB from the start: 2 MiB pages if they are to
 * be had. What that leaves is reserved, which says whether there is room. */
static void
back_range(void *ctx, int64_t from, int64_t to)
{
    struct backing *b = ctx;
    struct ndi_segment *s = b->s;
    uint64_t n = (uint64_t)(to - from);
    int rc;

    if (ndi_load_rlx(&b->rc) < 0) {
        return;
    }
    if (ndi_huge_worth(s->huge, s->map_nbytes)) {
        ndi_collapse_step(&b->pace, s->body + from, n);
    }
    rc = ndi_os_reserve(s->fd, (uint64_t)from, n);
    if (rc < 0) {
        ndi_store_rlx(&b->rc, rc);
    } else if (b->spec->backed != NULL) {
        b->spec->backed(s, (uint64_t)from, (uint64_t)to, b->spec->ctx);
    }
}

/*
 * Backs every byte of the mapped file. Large ones get 2 MiB pages before the
 * rest is reserved: the other way round the kernel allocates everything twice,
 * and 800 MB took 1.5 to 3.5 times as long until they had been written once.
 */
static int
back_all(struct ndi_segment *s, const struct ndi_segment_spec *spec)
{
    struct backing b = {.s = s, .spec = spec, .pace = {.huge = s->huge}};
    int rc;

    if (s->map_nbytes > 0) {
        ndi_in_pieces((int64_t)s->map_nbytes, 1, back_range, &b);
    }
    rc = ndi_load_rlx(&b.rc);
    if (rc == 0) {
        rc = ndi_os_reserve(s->fd, s->map_nbytes, s->nbytes - s->map_nbytes);
    }
    NDI_KILL_POINT("segment.reserved");
    return rc < 0 ? no_room(-rc, called(spec->name), s->nbytes) : 0;
}

int
ndi_segment_map(struct ndi_segment *s, uint64_t ctl_off, bool ctl_readonly,
                const char *name)
{
    unsigned body = s->mode == NDS_READ ? 0
                    : s->mode == NDS_COPY
                        ? (unsigned)NDI_MAP_WRITE | NDI_MAP_PRIVATE
                        : (unsigned)NDI_MAP_WRITE;
    void *p = NULL;
    int rc;

    body |= s->huge == NDS_HUGE_ALWAYS  ? (unsigned)NDI_MAP_HUGE
            : s->huge == NDS_HUGE_NEVER ? (unsigned)NDI_MAP_SMALL
                                        : 0;
    if (ctl_off > SIZE_MAX) {
        return ndi_fail(NDS_ENOMEM, "'%s' is too large to map", name);
    }
    rc = ndi_map(&p, s->fd, ctl_off, NDI_CTL_NBYTES,
                 ctl_readonly ? 0 : (unsigned)NDI_MAP_WRITE);
    if (rc == 0) {
        s->ctl = p;
        ndi_guard_add(p, NDI_CTL_NBYTES, &s->truncated);
    }
    if (rc == 0 && ctl_off > 0) {
        rc = ndi_map(&p, s->fd, 0, (size_t)ctl_off, body);
        if (rc == 0) {
            s->body = p;
            s->map_nbytes = (size_t)ctl_off;
            ndi_guard_add(p, s->map_nbytes, &s->truncated);
        }
    }
    return rc < 0 ? ndi_fail_errno(-rc, "map '%s' (%llu bytes)", name,
                                   (unsigned long long)s->nbytes)
                  : 0;
}

static void
unmap(struct ndi_segment *s)
{
    ndi_guard_remove(s->ctl);
    ndi_guard_remove(s->body);
    ndi_unmap(s->body, s->map_nbytes);
    ndi_unmap(s->ctl, NDI_CTL_NBYTES);
    ndi_os_close(s->fd);
    s->body = NULL;
    s->ctl = NULL;
    s->map_nbytes = 0;
    s->fd = -1;
}

/* The participants' table as this handle sees it. */
int
ndi_segment_party(struct ndi_segment *s, const struct ndi_ctl_geometry *g,
                  uint64_t ctl_off, bool ctl_readonly)
{
    struct ndi_party_slot *slots = s->ctl->parties;

    if (g->party_off < ctl_off) {
        if (s->mode == NDS_COPY) {
            return ndi_fail(NDS_ENOTSUP, "copy-on-write is for arrays");
        }
        slots = (struct ndi_party_slot *)(void *)(s->body + g->party_off);
    }
    return ndi_party_init(&s->party, s->fd, slots, g->party_count,
                          ctl_readonly);
}

static int
remember_file(struct ndi_segment *s)
{
    struct stat st;
    int rc = ndi_os_fstat(s->fd, &st);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "look at a segment");
    }
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return 0;
}

static int
fill_all(struct ndi_segment *s, const struct ndi_segment_spec *spec,
         uint64_t ctl_off)
{
    int rc = ndi_control_fill(s->ctl, spec, ctl_off, s->nbytes);

    if (rc == 0) {
        rc = ndi_segment_party(s, &s->ctl->geometry, ctl_off, false);
    }
    if (rc == 0) {
        s->partied = true;
        rc = spec->fill != NULL ? spec->fill(s, spec->ctx) : 0;
    }
    if (rc == 0) {
        NDI_KILL_POINT("segment.filled");
        ndi_store_rel(&s->ctl->header.state, NDI_CTL_READY);
        NDI_KILL_POINT("segment.ready");
    }
    return rc;
}

/* ---- memory that was another segment's ---------------------------------- */

struct refill {
    struct ndi_segment *s;
    const struct ndi_segment_spec *spec;
};

/* As if it were new: zeros, but for what may be anything. */
static void
refill_range(void *ctx, int64_t at, int64_t end)
{
    const struct refill *r = ctx;
    uint64_t from = (uint64_t)at, to = (uint64_t)end;
    uint64_t any = r->spec->any_off, all = any + r->spec->any_nbytes;

    if (from < any) {
        memset(r->s->body + from, 0, (to < any ? to : any) - from);
    }
    if (to > all) {
        uint64_t low = from < all ? all : from;

        memset(r->s->body + low, 0, to - low);
    }
    if (r->spec->backed != NULL) {
        r->spec->backed(r->s, from, to, r->spec->ctx);
    }
}

/* A nameless file of just this size, mapped and with all its pages. */
static bool
take_warm(struct ndi_segment *s, const struct ndi_segment_spec *spec,
          uint64_t ctl_off)
{
    struct refill r = {s, spec};
    struct ndi_warm w;
    unsigned mode = spec->mode_bits != 0 ? spec->mode_bits : 0600;

    if (spec->memfd || ctl_off == 0 || ctl_off > SIZE_MAX ||
        !ndi_warm_get(&w, (size_t)ctl_off, s->huge, true)) {
        return false;
    }
    s->fd = w.fd;
    s->body = w.map;
    s->map_nbytes = w.nbytes;
    s->ctl = w.ctl;
    ndi_guard_add(s->ctl, NDI_CTL_NBYTES, &s->truncated);
    ndi_guard_add(s->body, s->map_nbytes, &s->truncated);
    if (remember_file(s) < 0 || s->dev != w.dev || s->ino != w.ino ||
        ndi_os_chmod(s->fd, mode) < 0) {
        s->fd = -1; // the program closed our descriptor: this one is its own
        unmap(s);
        return false;
    }
    memset(s->ctl, 0, NDI_CTL_NBYTES);
    ndi_in_pieces((int64_t)s->map_nbytes, 1, refill_range, &r);
    return true;
}

/* Is it as it was mapped, for one who may keep the mapping? *st: the file's. */
static bool
is_whole(const struct ndi_segment *s, struct stat *st)
{
    return !s->frozen && s->body != NULL && ndi_load_acq(&s->truncated) == 0 &&
           s->forks == ndi_warm_forks() && ndi_os_fstat(s->fd, st) == 0 &&
           st->st_dev == s->dev && st->st_ino == s->ino &&
           (uint64_t)st->st_size == s->nbytes;
}

static bool
keep(const struct ndi_segment *s, bool away)
{
    return ndi_warm_put(&(struct ndi_warm){s->body, s->map_nbytes, s->huge,
                                           s->ctl, s->fd, s->dev, s->ino,
                                           away});
}

/* Can nobody else have it, and does it stay? */
static bool
put_warm(struct ndi_segment *s)
{
    struct stat st;

    return s->ours && !ndi_load_seq(&s->lent) && is_whole(s, &st) &&
           st.st_nlink == 0 && keep(s, false);
}

/* May the file come back through the channel that it left by? Its mapping then
 * stays, without the in-use lock: who asks for that asks whether it is used. */
static bool
put_away(struct ndi_segment *s)
{
    struct stat st;

    return s->moved_on && !ndi_load_seq(&s->given) &&
           s->mode == NDS_READWRITE && is_whole(s, &st) && st.st_nlink > 0 &&
           ndi_lock_release(s->fd, NDI_BYTE_IN_USE) == 0 && keep(s, true);
}

void
ndi_segment_move_on(struct ndi_segment *s)
{
    s->moved_on = !s->ours;
}

void
ndi_segment_lend(struct ndi_segment *s)
{
    ndi_store_seq(&s->lent, true);
    ndi_store_seq(&s->given, true);
}

static int
taken(const char *name)
{
    return ndi_fail(NDS_EEXIST, "create '%s': the name is taken in %s; unlink "
                    "it, or ask to replace it", name, ndi_shm_dir());
}

/* Is it worth the memory to try? The link decides in the end. */
static int
look_first(const struct ndi_segment_spec *spec)
{
    const char *why;
    int fd = -1;
    int rc;

    if (spec->name == NULL) {
        return 0;
    }
    rc = ndi_name_check(spec->name);
    if (rc < 0) {
        return rc;
    }
    ndi_sweep_sometimes();
    if (spec->replace || ndi_shm_open(&fd, spec->name, O_PATH) < 0) {
        return 0;
    }
    ndi_os_close(fd);
    return ndi_sweep_name(spec->name, false, false, &why) == 1
               ? 0
               : taken(spec->name);
}

int
ndi_segment_create(struct ndi_segment **out,
                   const struct ndi_segment_spec *spec)
{
    uint64_t ctl_off = 0, forks = ndi_warm_forks(); // before it exists
    struct ndi_segment *s;
    int rc;

    *out = NULL;
    rc = look_first(spec);
    if (rc < 0) {
        return rc;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return ndi_fail_nomem(sizeof *s, "a segment");
    }
    s->refs = 1;
    s->fd = -1;
    s->mode = NDS_READWRITE;
    s->memfd = spec->memfd;
    s->while_used = spec->lifetime == NDS_WHILE_USED;
    s->body_nbytes = spec->body_nbytes;
    s->huge = ndi_huge(spec->huge);
    rc = ndi_control_place(spec->body_nbytes, &ctl_off, &s->nbytes);
    if (rc == 0 && take_warm(s, spec, ctl_off)) {
        goto made;
    }
    if (rc == 0) {
        rc = ndi_room_check(called(spec->name),
                            spec->sparse ? TABLE_ROOM : s->nbytes,
                            spec->memfd);
    }
    if (rc == NDS_ENOSPC && !spec->memfd) {
        // Asked again in any case: what the sweep met is not the reason.
        (void)nds_memory_trim();
        (void)nds_sweep(false, NULL, NULL);
        rc = ndi_room_check(called(spec->name), s->nbytes, false);
    }
    if (rc == 0) {
        rc = spec->memfd ? make_memfd(s, spec, ctl_off) : make_file(s, spec);
    }
    if (rc == 0) {
        rc = remember_file(s);
    }
    if (rc == 0) {
        rc = ndi_segment_map(s, ctl_off, false, called(spec->name));
    }
    if (rc == 0 && !spec->sparse) {
        rc = back_all(s, spec);
    }
made:
    if (rc == 0) {
        rc = fill_all(s, spec, ctl_off);
    }
    if (rc == 0 && spec->name != NULL) {
        rc = ndi_segment_publish(s, spec->name, spec->replace);
    }
    if (rc < 0) {
        ndi_segment_put(s);
        return rc;
    }
    s->ours = !spec->memfd;
    s->forks = forks;
    *out = s;
    return 0;
}

/* ---- names -------------------------------------------------------------- */

/* The program may have closed our descriptor under us. */
static int
own_descriptor(const struct ndi_segment *s, const char *name)
{
    struct stat st;
    int rc = ndi_os_fstat(s->fd, &st);

    if (rc < 0 || st.st_dev != s->dev || st.st_ino != s->ino) {
        return ndi_fail(NDS_ECLOSED, "'%s': the program closed descriptor %d, "
                        "which was ours", name, s->fd);
    }
    return 0;
}

/*
 * Those who still have the file that had the name are told in two steps, since
 * we may be killed beside the rename: before it, that the name may be going
 * (they look themselves then: ndi_segment_is_superseded); after it, by waking.
 */
struct successor {
    void *map; /* of the old control area; NULL: there is none of ours */
};

static struct ndi_ctl_gens *
old_gens(const struct successor *t)
{
    return &((struct ndi_control *)t->map)->gens;
}

static void
announce(struct successor *t, int fd, const char *name)
{
    struct ndi_control_copy copy;

    if (ndi_control_read(&copy, fd, 0, name) == 0 &&
        ndi_map(&t->map, fd, copy.ctl_off, NDI_CTL_NBYTES,
                NDI_MAP_WRITE) == 0) {
        ndi_store_seq(&old_gens(t)->superseded, 1);
        NDI_KILL_POINT("publish.announced");
    }
}

static void
tell(struct successor *t, bool done)
{
    struct ndi_ctl_gens *gens;

    if (t->map == NULL) {
        return;
    }
    gens = old_gens(t);
    if (!done) {
        ndi_store_seq(&gens->superseded, 0);
    } else {
        ndi_store_seq(&gens->futex,
                      (uint32_t)(ndi_add_seq(&gens->data_gen, 1) + 1));
        ndi_futex_wake(&gens->futex, INT32_MAX);
    }
    ndi_unmap(t->map, NDI_CTL_NBYTES);
}

bool
ndi_segment_is_superseded(const struct ndi_segment *s)
{
    struct stat st = {.st_dev = s->dev, .st_ino = s->ino};

    return ndi_load_acq(&s->ctl->gens.superseded) != 0 &&
           ndi_name_is(s->name, &st) != 1;
}

static int
link_new(struct ndi_segment *s, const char *name)
{
    const char *why;
    int rc = ndi_shm_link(s->fd, name);

    if (rc == -EEXIST && !ndi_name_is_hidden(name) &&
        ndi_sweep_name(name, true, false, &why) == 1) {
        rc = ndi_shm_link(s->fd, name);
    }
    if (rc == -EEXIST) {
        return taken(name);
    }
    if (rc == -ENOENT) {
        return ndi_fail(NDS_ENOTSUP, "publish '%s': memory that had a name "
                        "once cannot get another", name);
    }
    return rc < 0 ? ndi_fail_errno(-rc, "publish '%s' in %s", name,
                                   ndi_shm_dir())
                  : 0;
}

static int
link_replace(struct ndi_segment *s, const char *name)
{
    struct successor told = {NULL};
    int old = -1;
    int rc;

    if (ndi_shm_open(&old, name, O_RDWR) == 0) {
        announce(&told, old, name);
    }
    rc = ndi_shm_link_replace(s->fd, name);
    NDI_KILL_POINT("publish.replaced");
    tell(&told, rc == 0);
    ndi_os_close(old);
    return rc < 0 ? ndi_fail_errno(-rc, "replace '%s' in %s", name,
                                   ndi_shm_dir())
                  : 0;
}

int
ndi_segment_publish(struct ndi_segment *s, const char *name, bool replace)
{
    bool hidden = ndi_name_is_hidden(name);
    int hold = -1;
    int rc;

    if (s->memfd) {
        return ndi_fail(NDS_ENOTSUP, "publish '%s': a memfd has no name",
                        name);
    }
    if (!hidden && s->name[0] != '\0') {
        return ndi_fail(NDS_EINVAL, "publish '%s': it has the name '%s' "
                        "already", name, s->name);
    }
    rc = hidden ? 0 : ndi_name_check(name);
    if (rc == 0) {
        rc = own_descriptor(s, name);
    }
    if (rc == 0 && !hidden) {
        rc = ndi_name_hold(&hold, name, geteuid(),
                           ndi_deadline(NDI_NAME_WAIT_NS));
    }
    if (rc < 0) {
        return rc;
    }
    NDI_KILL_POINT("publish.held");
    ndi_store_seq(&s->lent, true);
    if (!s->party.readonly) {
        strncpy(s->ctl->name, name, sizeof s->ctl->name - 1);
    }
    rc = replace ? link_replace(s, name) : link_new(s, name);
    NDI_KILL_POINT("publish.linked");
    ndi_os_close(hold);
    if (rc == 0) {
        strncpy(s->name, name, sizeof s->name - 1);
    }
    return rc;
}

int
ndi_segment_unpublish(struct ndi_segment *s, const char *name)
{
    struct stat st = {.st_dev = s->dev, .st_ino = s->ino};
    bool hidden = ndi_name_is_hidden(name);
    int hold = -1;
    int rc = hidden ? 0
                    : ndi_name_hold(&hold, name, geteuid(),
                                    ndi_deadline(NDI_NAME_WAIT_NS));

    if (rc == 0) {
        rc = ndi_name_is(name, &st);
    }
    if (rc == 1) {
        NDI_KILL_POINT("unpublish.checked");
        rc = ndi_shm_unlink(name);
        NDI_KILL_POINT("unpublish.unlinked");
        rc = rc < 0 ? ndi_fail_errno(-rc, "unlink '%s'", name) : 0;
    } else if (rc == 0) {
        rc = ndi_fail(NDS_ESTALE, "unlink '%s': the name now means something "
                      "else, or nothing", name);
    }
    ndi_os_close(hold);
    if (rc == 0 && strcmp(s->name, name) == 0) {
        s->name[0] = '\0';
    }
    return rc;
}

int
nds_name_unlink(const char *name)
{
    struct stat st;
    int hold = -1;
    int rc;

    rc = ndi_name_posix(name, &name);
    if (rc < 0) {
        return rc;
    }
    rc = ndi_name_stat(name, &st);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "unlink '%s' in %s", name, ndi_shm_dir());
    }
    if (!S_ISREG(st.st_mode)) {
        return ndi_fail(NDS_ENOTOURS, "unlink '%s': not a file of shared "
                        "memory", name);
    }
    if (st.st_uid != geteuid() && geteuid() != 0) {
        return ndi_fail(NDS_EPERM, "unlink '%s': it belongs to uid %u", name,
                        st.st_uid);
    }
    rc = ndi_name_hold(&hold, name, st.st_uid,
                       ndi_deadline(NDI_NAME_WAIT_NS));
    if (rc < 0) {
        return rc;
    }
    rc = ndi_name_is(name, &st);
    NDI_KILL_POINT("unlink.held");
    if (rc == 1) {
        rc = ndi_shm_unlink(name);
        NDI_KILL_POINT("unlink.done");
        rc = rc < 0 ? ndi_fail_errno(-rc, "unlink '%s'", name) : 0;
    } else if (rc == 0) {
        rc = ndi_fail(NDS_ESTALE, "unlink '%s': meanwhile the name went or "
                      "means something else", name);
    }
    ndi_os_close(hold);
    return rc;
}

/* ---- sharing the handle and letting go ---------------------------------- */

int
ndi_segment_freeze(struct ndi_segment *s)
{
    int rc;

    if (s->body != NULL && !s->frozen && s->mode != NDS_READ) {
        rc = ndi_map_readonly(s->body, s->map_nbytes);
        if (rc < 0) {
            return ndi_fail_errno(-rc, "freeze '%s'", s->name);
        }
    }
    s->frozen = true;
    return 0;
}

struct ndi_segment *
ndi_segment_get(struct ndi_segment *s)
{
    ndi_add_seq(&s->refs, 1);
    return s;
}

/* Of a `while used` name the last user takes it along. A sweeper that only
 * looks has the file open for a moment, which refuses the lease: ask again. */
static void
drop_name(const char *name)
{
    const char *why = NULL;

    for (int i = 0; i < 5; i++) {
        if (ndi_sweep_name(name, false, false, &why) != 0 ||
            why != ndi_why_foreign) {
            return;
        }
        ndi_nap(200000);
    }
}

void
ndi_segment_put(struct ndi_segment *s)
{
    if (s == NULL || ndi_sub_seq(&s->refs, 1) != 1) {
        return;
    }
    if (s->partied) {
        ndi_party_fini(&s->party);
    }
    NDI_KILL_POINT("segment.left");
    ndi_guard_remove(s->ctl); // neither is s->truncated's any more
    ndi_guard_remove(s->body);
    if (!put_warm(s) && !put_away(s)) {
        unmap(s);
    }
    NDI_KILL_POINT("segment.unmapped");
    if (s->while_used && s->name[0] != '\0' && !ndi_name_is_hidden(s->name)) {
        drop_name(s->name);
    }
    free(s);
}
