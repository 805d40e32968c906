/* SPDX-License-Identifier: MIT */
/*
 * sync_handle.c - sync objects as things with a handle, and maybe a name
 *
 * Each object is a segment of its own without a body: the primitive lies in
 * the control area, the participants beside it. Anonymous ones are sealed
 * memfds that cross by descriptor; named ones are found by name. All handles
 * are the same struct underneath, so that one carrier shape serves all kinds.
 */
#include <base/carry.h>
#include <base/fail.h>
#include <mem/segment.h>
#include <ndshare/sync.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>

struct handle {
    struct ndi_segment *segment;
};

struct birth {
    enum ndi_kind kind;
    uint32_t value;
    uint32_t bound;
    bool owned;
};

static int
fill(struct ndi_segment *s, void *ctx)
{
    const struct birth *b = ctx;

    switch (b->kind) {
    case NDI_KIND_MUTEX:
        ndi_lock_init(&s->ctl->object.mutex, b->value);
        break;
    case NDI_KIND_COND:
        ndi_cond_init(&s->ctl->object.cond);
        break;
    case NDI_KIND_SEM:
        if (b->owned) {
            ndi_sem_init_owned(&s->ctl->object.sem, b->value);
        } else {
            ndi_sem_init(&s->ctl->object.sem, b->value, b->bound);
        }
        break;
    case NDI_KIND_SEQLOCK:
        ndi_seqlock_init(&s->ctl->object.seqlock);
        break;
    case NDI_KIND_EVENT:
        ndi_flag_init(&s->ctl->object.event);
        break;
    case NDI_KIND_BARRIER:
        ndi_gate_init(&s->ctl->object.barrier, b->value);
        break;
    default:
        ndi_rwlock_init(&s->ctl->object.rwlock);
        break;
    }
    return 0;
}

/* Takes over the segment, also on failure. */
static int
handle_over(struct handle **out, struct ndi_segment *s, enum ndi_kind kind)
{
    struct handle *h = malloc(sizeof *h);

    *out = h;
    if (h == NULL) {
        ndi_segment_put(s);
        return ndi_fail_nomem(sizeof *h, "a lock handle");
    }
    h->segment = s;
    if (kind == NDI_KIND_BARRIER) {
        s->party.mourned = &s->ctl->object.barrier;
        s->party.mourn = ndi_gate_mourn;
    }
    return 0;
}

/* name NULL: anonymous. */
static int
handle_make(struct handle **out, const char *name, struct birth b)
{
    struct ndi_segment_spec spec = {.kind = b.kind, .name = name,
                                    .memfd = name == NULL, .fill = fill,
                                    .ctx = &b};
    struct ndi_segment *s = NULL;
    int rc = 0;

    *out = NULL;
    if (name != NULL) {
        rc = ndi_name_check(name);
    }
    if (rc == 0) {
        rc = ndi_segment_create(&s, &spec);
    }
    return rc < 0 ? rc : handle_over(out, s, b.kind);
}

static int
handle_attach(struct handle **out, const char *name, enum ndi_kind kind,
              enum nds_mode mode)
{
    struct ndi_segment *s = NULL;
    int rc = ndi_segment_attach(&s, name, kind, mode, 0);

    *out = NULL;
    return rc < 0 ? rc : handle_over(out, s, kind);
}

static void
handle_close(struct handle *h)
{
    if (h != NULL) {
        ndi_segment_put(h->segment);
        free(h);
    }
}

static int
handle_pack(void *handle, struct ndi_parcel *p)
{
    struct handle *h = handle;
    int fd = -1;
    int rc = ndi_os_dup(&fd, h->segment->fd);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "pass a lock on");
    }
    ndi_parcel_add_fd(p, fd);
    return ndi_parcel_ok(p);
}

static int
handle_unpack(struct ndi_parcel *p, void **handle, enum ndi_kind kind)
{
    int fd = ndi_parcel_fd(p);
    struct ndi_segment *s = NULL;
    struct handle *h = NULL;
    int rc = ndi_parcel_ok(p);

    if (rc == 0) {
        rc = ndi_segment_adopt(&s, fd, kind, NDS_READWRITE);
    }
    if (rc == 0) {
        rc = handle_over(&h, s, kind);
    }
    *handle = h;
    return rc;
}

/* The struct behind nds_##noun, its close and carrier. */
#define NOUN(noun, KIND)                                                      \
    struct nds_##noun {                                                       \
        struct handle h;                                                      \
    };                                                                        \
    void nds_##noun##_close(nds_##noun *x)                                    \
    {                                                                         \
        handle_close((struct handle *)x);                                     \
    }                                                                         \
    static int noun##_unpack(struct ndi_parcel *p, void **handle)             \
    {                                                                         \
        return handle_unpack(p, handle, KIND);                                \
    }                                                                         \
    static void noun##_drop(void *handle)                                     \
    {                                                                         \
        handle_close(handle);                                                 \
    }                                                                         \
    static struct ndi_carrier noun##_carrier = {#noun, handle_pack,           \
                                                noun##_unpack, noun##_drop,   \
                                                NULL};                        \
    __attribute__((constructor)) static void noun##_register(void)            \
    {                                                                         \
        ndi_carrier_register(&noun##_carrier);                                \
    }                                                                         \
    struct noun##_needs_semicolon

#define ATTACH(noun, KIND)                                                    \
    int nds_##noun##_attach(nds_##noun **out, const char *name)               \
    {                                                                         \
        return handle_attach((struct handle **)out, name, KIND,               \
                             NDS_READWRITE);                                  \
    }                                                                         \
    NOUN(noun, KIND)

ATTACH(mutex, NDI_KIND_MUTEX);
ATTACH(cond, NDI_KIND_COND);
ATTACH(sem, NDI_KIND_SEM);
ATTACH(event, NDI_KIND_EVENT);
ATTACH(barrier, NDI_KIND_BARRIER);
ATTACH(rwlock, NDI_KIND_RWLOCK);
NOUN(seqlock, NDI_KIND_SEQLOCK);

#define PARTY(x) (&(x)->h.segment->party)
#define OBJECT(x) ((x)->h.segment->ctl->object)

/* ---- mutex -------------------------------------------------------------- */

int
nds_mutex_create(nds_mutex **out, const char *name, enum nds_mutex_kind kind)
{
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_MUTEX,
                                      .value = (uint32_t)kind});
}

int
nds_mutex_new(nds_mutex **out, enum nds_mutex_kind kind)
{
    return nds_mutex_create(out, NULL, kind);
}

int
nds_mutex_lock(nds_mutex *m, int64_t timeout_ns)
{
    return ndi_lock_acquire(PARTY(m), &OBJECT(m).mutex,
                            ndi_deadline(timeout_ns));
}

int
nds_mutex_unlock(nds_mutex *m)
{
    return ndi_lock_unlock(PARTY(m), &OBJECT(m).mutex);
}

int
nds_mutex_poison(nds_mutex *m)
{
    return ndi_lock_poison(PARTY(m), &OBJECT(m).mutex);
}

bool
nds_mutex_is_locked(const nds_mutex *m)
{
    return (ndi_load_acq(&OBJECT(m).mutex.word) & NDI_OWNER_MASK) != 0;
}

/* ---- condition ---------------------------------------------------------- */

int
nds_cond_create(nds_cond **out, const char *name)
{
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_COND});
}

int
nds_cond_new(nds_cond **out)
{
    return nds_cond_create(out, NULL);
}

int
nds_cond_lock(nds_cond *c, int64_t timeout_ns)
{
    return ndi_lock_acquire(PARTY(c), &OBJECT(c).cond.lock,
                            ndi_deadline(timeout_ns));
}

int
nds_cond_unlock(nds_cond *c)
{
    return ndi_lock_unlock(PARTY(c), &OBJECT(c).cond.lock);
}

int
nds_cond_wait(nds_cond *c, int64_t timeout_ns)
{
    return ndi_cond_sleep(PARTY(c), &OBJECT(c).cond,
                          ndi_deadline(timeout_ns));
}

int
nds_cond_notify(nds_cond *c, int count)
{
    return ndi_cond_wake(&OBJECT(c).cond, count);
}

/* ---- semaphore ---------------------------------------------------------- */

int
nds_sem_create(nds_sem **out, const char *name, unsigned value,
               unsigned bound)
{
    *out = NULL;
    if (value > INT32_MAX || (bound != 0 && value > bound)) {
        return ndi_fail(NDS_EINVAL, "a semaphore of value %u, bound %u", value,
                        bound);
    }
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_SEM, .value = value,
                                      .bound = bound});
}

int
nds_sem_new(nds_sem **out, unsigned value, unsigned bound)
{
    return nds_sem_create(out, NULL, value, bound);
}

int
nds_sem_create_owned(nds_sem **out, const char *name, unsigned permits)
{
    *out = NULL;
    if (permits == 0 || permits > INT32_MAX) {
        return ndi_fail(NDS_EINVAL, "a semaphore with %u permits", permits);
    }
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_SEM, .value = permits,
                                      .owned = true});
}

int
nds_sem_new_owned(nds_sem **out, unsigned permits)
{
    return nds_sem_create_owned(out, NULL, permits);
}

int
nds_sem_acquire(nds_sem *s, int64_t timeout_ns)
{
    int64_t deadline = ndi_deadline(timeout_ns);

    // The segment's own lock is the guard: nothing else uses it here.
    return OBJECT(s).sem.owned != 0
               ? ndi_sem_take_owned(PARTY(s), &s->h.segment->ctl->lock,
                                    &OBJECT(s).sem, deadline)
               : ndi_sem_take(&OBJECT(s).sem, deadline);
}

int
nds_sem_release(nds_sem *s, unsigned count)
{
    return OBJECT(s).sem.owned != 0
               ? ndi_sem_give_owned(PARTY(s), &OBJECT(s).sem, count)
               : ndi_sem_give(&OBJECT(s).sem, count);
}

unsigned
nds_sem_value(const nds_sem *s)
{
    return OBJECT(s).sem.owned != 0
               ? ndi_sem_free(PARTY(s), &OBJECT(s).sem)
               : ndi_load_acq(&OBJECT(s).sem.count);
}

/* ---- event -------------------------------------------------------------- */

int
nds_event_create(nds_event **out, const char *name)
{
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_EVENT});
}

int
nds_event_new(nds_event **out)
{
    return nds_event_create(out, NULL);
}

int
nds_event_set(nds_event *e)
{
    ndi_flag_set(&OBJECT(e).event);
    return 0;
}

int
nds_event_clear(nds_event *e)
{
    ndi_flag_clear(&OBJECT(e).event);
    return 0;
}

bool
nds_event_is_set(const nds_event *e)
{
    return ndi_load_acq(&OBJECT(e).event.word) != 0;
}

int
nds_event_wait(nds_event *e, int64_t timeout_ns)
{
    return ndi_flag_wait(&OBJECT(e).event, ndi_deadline(timeout_ns));
}

/* ---- barrier ------------------------------------------------------------ */

int
nds_barrier_create(nds_barrier **out, const char *name, unsigned parties)
{
    *out = NULL;
    if (parties == 0) {
        return ndi_fail(NDS_EINVAL, "a barrier needs at least one party");
    }
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_BARRIER,
                                      .value = parties});
}

int
nds_barrier_new(nds_barrier **out, unsigned parties)
{
    return nds_barrier_create(out, NULL, parties);
}

int
nds_barrier_wait(nds_barrier *b, int64_t timeout_ns, unsigned *index)
{
    return ndi_gate_wait(PARTY(b), &OBJECT(b).barrier,
                         ndi_deadline(timeout_ns), index);
}

int
nds_barrier_wait_unless(nds_barrier *b, int64_t timeout_ns, unsigned *index,
                        bool (*leave)(void *ctx), void *ctx)
{
    return ndi_gate_wait_unless(PARTY(b), &OBJECT(b).barrier,
                                ndi_deadline(timeout_ns), index, leave, ctx);
}

unsigned
nds_barrier_parties(const nds_barrier *b)
{
    return OBJECT(b).barrier.parties;
}

unsigned
nds_barrier_waiting(const nds_barrier *b)
{
    uint32_t waiting;
    bool broken;

    ndi_gate_state(PARTY(b), &OBJECT(b).barrier, &waiting, &broken);
    return waiting;
}

bool
nds_barrier_is_broken(const nds_barrier *b)
{
    uint32_t waiting;
    bool broken;

    ndi_gate_state(PARTY(b), &OBJECT(b).barrier, &waiting, &broken);
    return broken;
}

int
nds_barrier_abort(nds_barrier *b)
{
    return ndi_gate_abort(&OBJECT(b).barrier);
}

int
nds_barrier_reset(nds_barrier *b)
{
    return ndi_gate_reset(&OBJECT(b).barrier);
}

/* ---- rwlock ------------------------------------------------------------- */

int
nds_rwlock_create(nds_rwlock **out, const char *name)
{
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_RWLOCK});
}

int
nds_rwlock_new(nds_rwlock **out)
{
    return nds_rwlock_create(out, NULL);
}

int
nds_rwlock_rdlock(nds_rwlock *l, int64_t timeout_ns)
{
    return ndi_rwlock_read(PARTY(l), &OBJECT(l).rwlock,
                           ndi_deadline(timeout_ns));
}

int
nds_rwlock_wrlock(nds_rwlock *l, int64_t timeout_ns)
{
    return ndi_rwlock_write(PARTY(l), &OBJECT(l).rwlock,
                            ndi_deadline(timeout_ns));
}

int
nds_rwlock_unlock(nds_rwlock *l)
{
    return ndi_rwlock_release(PARTY(l), &OBJECT(l).rwlock);
}

/* ---- sequence lock ------------------------------------------------------ */

int
nds_seqlock_create(nds_seqlock **out, const char *name)
{
    return handle_make((struct handle **)out, name,
                       (struct birth){.kind = NDI_KIND_SEQLOCK});
}

int
nds_seqlock_new(nds_seqlock **out)
{
    return nds_seqlock_create(out, NULL);
}

int
nds_seqlock_attach(nds_seqlock **out, const char *name, enum nds_mode mode)
{
    *out = NULL;
    if (mode != NDS_READ && mode != NDS_READWRITE) {
        return ndi_fail(NDS_EINVAL, "attach '%s': a sequence lock is attached "
                        "to read or to write", name);
    }
    return handle_attach((struct handle **)out, name, NDI_KIND_SEQLOCK, mode);
}

int
nds_seqlock_write_begin(nds_seqlock *l, int64_t timeout_ns)
{
    return ndi_seqlock_write_begin(PARTY(l), &OBJECT(l).seqlock,
                                   ndi_deadline(timeout_ns));
}

int
nds_seqlock_write_end(nds_seqlock *l)
{
    return ndi_seqlock_write_end(PARTY(l), &OBJECT(l).seqlock);
}

int
nds_seqlock_read_begin(const nds_seqlock *l, uint64_t *seen,
                       int64_t timeout_ns)
{
    return ndi_seqlock_read_begin(PARTY(l), &OBJECT(l).seqlock, seen,
                                  ndi_deadline(timeout_ns));
}

bool
nds_seqlock_read_retry(const nds_seqlock *l, uint64_t seen)
{
    return ndi_seqlock_read_retry(&OBJECT(l).seqlock, seen);
}
