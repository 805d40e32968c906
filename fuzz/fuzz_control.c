/* SPDX-License-Identifier: MIT */
/*
 * fuzz_control.c - named arrays and sync objects whose bytes a neighbour wrote
 *
 * One name a kind is made by the library at the start and kept by a handle
 * that takes part (so that a living owner can be written into lock words).
 * Each input gets the file as it was, patches it, attaches and works with
 * short deadlines, patching on.
 */
#include "fuzz.h"

#include <array/array_impl.h>
#include <ndshare/ndshare.h>
#include <os/os.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* array, mutex, cond, sem, event, barrier, rwlock, owned sem, seqlock */
#define KINDS 9
#define EARLY 7 /* by the first byte below EARLY_TO, the others above */
#define EARLY_TO 224
#define NAME "subject"
#define PRINT_MOST 4096

struct subject {
    char name[16];
    int fd;
    void *peer; /* the handle that stays */
    unsigned char *bytes;
    unsigned char *before;
    size_t nbytes;
};
static struct subject subjects[KINDS];

union handle {
    nds_array *array;
    nds_mutex *mutex;
    nds_cond *cond;
    nds_sem *sem;
    nds_event *event;
    nds_barrier *barrier;
    nds_rwlock *rwlock;
    nds_seqlock *seqlock;
    void *any;
};

/* ---- the subjects ------------------------------------------------------- */

static int
make(int kind, const char *name, union handle *h)
{
    nds_array_options opts = {.size = sizeof opts, .capacity = 512};

    switch (kind) {
    case 0:
        return nds_array_create(&h->array, name, NDS_FLOAT64, 2,
                                (int64_t[]){3, 4}, &opts);
    case 1:
        return nds_mutex_create(&h->mutex, name, NDS_MUTEX_RECURSIVE);
    case 2:
        return nds_cond_create(&h->cond, name);
    case 3:
        return nds_sem_create(&h->sem, name, 1, 3);
    case 4:
        return nds_event_create(&h->event, name);
    case 5:
        return nds_barrier_create(&h->barrier, name, 2);
    case 6:
        return nds_rwlock_create(&h->rwlock, name);
    case 7:
        return nds_sem_create_owned(&h->sem, name, 3);
    default:
        return nds_seqlock_create(&h->seqlock, name);
    }
}

/* Makes the peer a participant that holds nothing. */
static void
take_part(int kind, union handle *h)
{
    switch (kind) {
    case 0:
        fuzz_check(nds_array_lock(h->array, 0) == 0, "no lock");
        nds_array_unlock(h->array);
        break;
    case 1:
        fuzz_check(nds_mutex_lock(h->mutex, 0) == 0, "no lock");
        nds_mutex_unlock(h->mutex);
        break;
    case 2:
        fuzz_check(nds_cond_lock(h->cond, 0) == 0, "no lock");
        nds_cond_unlock(h->cond);
        break;
    case 5:
        (void)nds_barrier_wait(h->barrier, 0, NULL);
        (void)nds_barrier_reset(h->barrier);
        break;
    case 6:
        fuzz_check(nds_rwlock_rdlock(h->rwlock, 0) == 0, "no lock");
        nds_rwlock_unlock(h->rwlock);
        break;
    case 7:
        fuzz_check(nds_sem_acquire(h->sem, 0) == 0, "no permit");
        nds_sem_release(h->sem, 1);
        break;
    case 8:
        fuzz_check(nds_seqlock_write_begin(h->seqlock, 0) == 0, "no lock");
        nds_seqlock_write_end(h->seqlock);
        break;
    default:
        break;
    }
}

static void
begin_subject(int kind)
{
    struct subject *s = &subjects[kind];
    union handle h = {0};
    struct stat st;
    void *map = NULL;

    memcpy(s->name, NAME "0", sizeof NAME + 1);
    s->name[sizeof NAME - 1] = (char)('0' + kind);
    fuzz_check(make(kind, s->name, &h) == 0, "a subject cannot be made");
    take_part(kind, &h);
    fuzz_check(ndi_shm_open(&s->fd, s->name, O_RDWR) == 0 &&
                   ndi_os_fstat(s->fd, &st) == 0,
               "a subject cannot be opened");
    s->peer = h.any;
    s->nbytes = (size_t)st.st_size;
    fuzz_check(ndi_map(&map, s->fd, 0, s->nbytes, NDI_MAP_WRITE) == 0,
               "a subject cannot be mapped");
    s->bytes = map;
    s->before = malloc(s->nbytes);
    fuzz_check(s->before != NULL, "no memory");
    memcpy(s->before, s->bytes, s->nbytes);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_surroundings();
    fuzz_check(nds_guard_install() == 0, "no guard");
    for (int i = 0; i < KINDS; i++) {
        begin_subject(i);
    }
    return 0;
}

/* ---- calls -------------------------------------------------------------- */

static int
attach(int kind, const char *name, enum nds_mode mode, union handle *h)
{
    switch (kind) {
    case 0:
        return nds_array_attach(&h->array, name, mode, 0);
    case 1:
        return nds_mutex_attach(&h->mutex, name);
    case 2:
        return nds_cond_attach(&h->cond, name);
    case 3:
        return nds_sem_attach(&h->sem, name);
    case 4:
        return nds_event_attach(&h->event, name);
    case 5:
        return nds_barrier_attach(&h->barrier, name);
    case 6:
        return nds_rwlock_attach(&h->rwlock, name);
    case 7:
        return nds_sem_attach(&h->sem, name);
    default:
        return nds_seqlock_attach(&h->seqlock, name, mode);
    }
}

static void
close_handle(int kind, union handle *h)
{
    switch (kind) {
    case 0:
        nds_array_close(h->array);
        break;
    case 1:
        nds_mutex_close(h->mutex);
        break;
    case 2:
        nds_cond_close(h->cond);
        break;
    case 3:
        nds_sem_close(h->sem);
        break;
    case 4:
        nds_event_close(h->event);
        break;
    case 5:
        nds_barrier_close(h->barrier);
        break;
    case 6:
        nds_rwlock_close(h->rwlock);
        break;
    case 7:
        nds_sem_close(h->sem);
        break;
    default:
        nds_seqlock_close(h->seqlock);
        break;
    }
}

/* Every byte that the view spans is really there. */
static void
touch(nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    nds_scalar sum;
    char *text = NULL;

    if (nds_view_nbytes(v) > 0 && nds_view_nbytes(v) <= PRINT_MOST) {
        if (nds_view_str(v, NULL, &text) == 0) {
            free(text);
        }
        (void)nds_sum(&sum, v);
        (void)nds_fill(v, nds_int(1));
    }
}

static void
use_array(nds_array *a, uint8_t op, struct fuzz_in *in)
{
    int64_t ns = fuzz_timeout(in);
    uint64_t gen = 0;

    switch (op % 10) {
    case 0:
        FUZZ_TIMED(nds_array_lock(a, ns), ns);
        break;
    case 1:
        FUZZ_TIMED(nds_array_unlock(a), 0);
        break;
    case 2:
        FUZZ_TIMED(nds_array_poison(a), 0);
        break;
    case 3:
        FUZZ_TIMED(nds_array_resize(a, fuzz_u8(in)), 0);
        break;
    case 4:
        FUZZ_TIMED(nds_array_refresh(a), 0);
        break;
    case 5:
        (void)nds_array_generation(a, &gen);
        FUZZ_TIMED(nds_array_wait_changed(a, gen + fuzz_u8(in) % 2, ns), ns);
        break;
    case 6:
        FUZZ_TIMED(nds_array_changed(a), 0);
        break;
    case 7:
        FUZZ_TIMED(nds_array_freeze(a), 0);
        break;
    default:
        FUZZ_TIMED(touch(a), 0);
        break;
    }
}

static void
use_new(int kind, union handle *h, uint8_t op, struct fuzz_in *in)
{
    int64_t ns = fuzz_timeout(in);
    uint64_t seen = 0;

    switch (kind * 4 + op % 4) {
    case 28:
    case 29:
        FUZZ_TIMED(nds_sem_acquire(h->sem, ns), ns);
        break;
    case 30:
        FUZZ_TIMED(nds_sem_release(h->sem, fuzz_u8(in)), 0);
        break;
    case 31:
        FUZZ_TIMED(nds_sem_value(h->sem), 0);
        break;
    case 32:
        FUZZ_TIMED(nds_seqlock_write_begin(h->seqlock, ns), ns);
        break;
    case 33:
        FUZZ_TIMED(nds_seqlock_write_end(h->seqlock), 0);
        break;
    default:
        FUZZ_TIMED(nds_seqlock_read_begin(h->seqlock, &seen, ns), ns);
        (void)nds_seqlock_read_retry(h->seqlock, seen);
        break;
    }
}

static void
use_lock(int kind, union handle *h, uint8_t op, struct fuzz_in *in)
{
    int64_t ns = fuzz_timeout(in);
    unsigned index = 0;

    switch (kind * 4 + op % 4) {
    case 4:
    case 5:
        FUZZ_TIMED(nds_mutex_lock(h->mutex, ns), ns);
        break;
    case 6:
        FUZZ_TIMED(nds_mutex_unlock(h->mutex), 0);
        break;
    case 7:
        FUZZ_TIMED(nds_mutex_poison(h->mutex), 0);
        break;
    case 8:
        FUZZ_TIMED(nds_cond_lock(h->cond, ns), ns);
        break;
    case 9:
        FUZZ_TIMED(nds_cond_wait(h->cond, ns), ns);
        break;
    case 10:
        FUZZ_TIMED(nds_cond_notify(h->cond, fuzz_u8(in)), 0);
        break;
    case 11:
        FUZZ_TIMED(nds_cond_unlock(h->cond), 0);
        break;
    case 12:
    case 13:
        FUZZ_TIMED(nds_sem_acquire(h->sem, ns), ns);
        break;
    case 14:
        FUZZ_TIMED(nds_sem_release(h->sem, fuzz_u8(in)), 0);
        break;
    case 15:
        (void)nds_sem_value(h->sem);
        break;
    case 16:
    case 17:
        FUZZ_TIMED(nds_event_wait(h->event, ns), ns);
        break;
    case 18:
        FUZZ_TIMED(nds_event_set(h->event), 0);
        break;
    case 19:
        FUZZ_TIMED(nds_event_clear(h->event), 0);
        break;
    case 20:
    case 21:
        FUZZ_TIMED(nds_barrier_wait(h->barrier, ns, &index), ns);
        break;
    case 22:
        FUZZ_TIMED(nds_barrier_abort(h->barrier), 0);
        break;
    case 23:
        FUZZ_TIMED(nds_barrier_reset(h->barrier), 0);
        break;
    case 24:
        FUZZ_TIMED(nds_rwlock_rdlock(h->rwlock, ns), ns);
        break;
    case 25:
        FUZZ_TIMED(nds_rwlock_wrlock(h->rwlock, ns), ns);
        break;
    default:
        FUZZ_TIMED(nds_rwlock_unlock(h->rwlock), 0);
        break;
    }
}

static void
look(const struct subject *s, uint8_t op)
{
    nds_name_info info = {.size = sizeof info};

    if (op != 96) { // a sweep looks at every name: rarely
        FUZZ_TIMED(nds_name_info_get(s->name, &info), 0);
    } else {
        FUZZ_TIMED(nds_sweep(false, NULL, NULL), 0);
    }
}

/* What the guard is for; before an attach, what fstat is for. From then on
 * patches keep to what is there. */
static void
resize_file(const struct subject *s, struct fuzz_target *t, size_t nbytes)
{
    fuzz_patch_forget();
    if (ndi_os_truncate(s->fd, nbytes) == 0) {
        t->nbytes = nbytes < s->nbytes ? nbytes : s->nbytes;
    }
}

/* ---- the script ---- */

struct state {
    struct subject *subject;
    struct fuzz_target target;
    enum nds_mode mode;
    int kind;
    union handle h;
};

static bool
aside(void *ctx, uint8_t op, struct fuzz_in *in)
{
    struct state *st = ctx;

    if (op < FUZZ_CALLS + 8) {
        look(st->subject, op);
    } else if (op < FUZZ_CALLS + 12) {
        resize_file(st->subject, &st->target, (size_t)fuzz_u8(in) * 4096);
    }
    return op < FUZZ_CALLS + 12;
}

static int
attach_one(void *ctx)
{
    struct state *st = ctx;

    return attach(st->kind, st->subject->name, st->mode, &st->h);
}

static void
close_one(void *ctx)
{
    struct state *st = ctx;

    close_handle(st->kind, &st->h);
}

static void
use(void *ctx, uint8_t op, struct fuzz_in *in)
{
    struct state *st = ctx;

    if (st->kind == 0) {
        use_array(st->h.array, op, in);
    } else if (st->kind >= EARLY) {
        use_new(st->kind, &st->h, op, in);
    } else {
        use_lock(st->kind, &st->h, op, in);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    static const enum nds_mode modes[] = {NDS_READWRITE, NDS_READ, NDS_COPY,
                                          NDS_READWRITE};
    struct fuzz_in in = {data, nbytes};
    uint8_t first = fuzz_u8(&in);
    int kind = first < EARLY_TO ? first % EARLY
                                : EARLY + first % (KINDS - EARLY);
    struct subject *s = &subjects[kind];
    uint64_t ctl = s->nbytes - NDI_CTL_NBYTES;
    const struct fuzz_region regions[] = {
        {ctl, 1},         // header, geometry, generations, lock
        {ctl, 4},         // the same by words, to the object
        {ctl + 1024, 1},  // the object
        {ctl + 4096, 4},  // the first participants
        {ctl + 4096, 64}, // all their states
        {0, 1},           // the .npy header (of a sync object: as above)
        {0, 256},
    };
    struct state st = {
        .subject = s,
        .target = {s->bytes, s->nbytes, regions, NDI_ARRAY_LEN(regions)},
        .mode = modes[first / EARLY % 4],
        .kind = kind};
    const struct fuzz_script script = {.target = &st.target,
                                       .later_from = 64,
                                       .close_first = FUZZ_CALLS + 12,
                                       .close_last = FUZZ_CALLS + 15,
                                       .attach = attach_one,
                                       .close = close_one,
                                       .use = use,
                                       .aside = aside};

    fuzz_check(ndi_os_truncate(s->fd, s->nbytes) == 0, "no room");
    memcpy(s->bytes, s->before, s->nbytes);
    if (fuzz_script_run(&script, &st, &in)) {
        FUZZ_TIMED(close_one(&st), 0);
    }
    fuzz_patch_forget();
    return 0;
}
