/* SPDX-License-Identifier: MIT */
/*
 * sync.h - locks that survive their holders
 *
 *     nds_mutex *m;
 *     nds_mutex_new(&m, NDS_MUTEX_PLAIN);     // or _create(&m, "name", ...)
 *     int rc = nds_mutex_lock(m, NDS_SEC(5));
 *     if (rc == NDS_EOWNERDEAD) { repair what it guards }
 *     if (rc == 0 || rc == NDS_EOWNERDEAD) { ...; nds_mutex_unlock(m); }
 *
 * Objects live in shared memory: anonymous ones (`new`) reach children by
 * fork and by process arguments; named ones (`create`, `attach`) reach
 * anybody. All time-outs end: NDS_ETIMEDOUT (or NDS_EAGAIN when 0).
 *
 * What goes wrong: a killed holder's lock comes to the next waiter with
 * NDS_EOWNERDEAD. A thread that ends while holding a lock is a bug that the
 * library cannot see. After fork the child holds none of its parent's locks.
 * A crash between wake-up and use loses nothing: sleepers look again at least
 * every 50 ms. Handles are MT-safe.
 */
#ifndef NDSHARE_SYNC_H
#define NDSHARE_SYNC_H

#include <ndshare/block.h>
#include <ndshare/err.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_mutex nds_mutex;
typedef struct nds_cond nds_cond;
typedef struct nds_sem nds_sem;
typedef struct nds_event nds_event;
typedef struct nds_barrier nds_barrier;
typedef struct nds_rwlock nds_rwlock;
typedef struct nds_seqlock nds_seqlock;

enum nds_mutex_kind { NDS_MUTEX_PLAIN = 0, NDS_MUTEX_RECURSIVE = 1 };

NDS_API int nds_mutex_new(nds_mutex **out, enum nds_mutex_kind kind);
NDS_API int nds_mutex_create(nds_mutex **out, const char *name,
                             enum nds_mutex_kind kind);
NDS_API int nds_mutex_attach(nds_mutex **out, const char *name);
NDS_API void nds_mutex_close(nds_mutex *m);
NDS_API int nds_mutex_lock(nds_mutex *m, int64_t timeout_ns);
NDS_API int nds_mutex_unlock(nds_mutex *m);
/* Instead of unlock: everybody gets NDS_EPOISONED from now on. */
NDS_API int nds_mutex_poison(nds_mutex *m);
/* Whether somebody holds it, or died holding it and nobody has had it since;
 * over at once, so for show only. */
NDS_API bool nds_mutex_is_locked(const nds_mutex *m);

/* A condition has a mutex of its own, as threading.Condition: lock, wait,
 * notify and unlock go through it. Wake-ups may be spurious. */
NDS_API int nds_cond_new(nds_cond **out);
NDS_API int nds_cond_create(nds_cond **out, const char *name);
NDS_API int nds_cond_attach(nds_cond **out, const char *name);
NDS_API void nds_cond_close(nds_cond *c);
NDS_API int nds_cond_lock(nds_cond *c, int64_t timeout_ns);
NDS_API int nds_cond_unlock(nds_cond *c);
/* Holding the lock; holds it again on return, also after NDS_ETIMEDOUT. So the
 * time-out bounds the wait for a notification; getting the lock back is waited
 * for as long as it is held by somebody alive, but with a deadline for 10 s at
 * the most: then NDS_EBUSY, and it is not held. */
NDS_API int nds_cond_wait(nds_cond *c, int64_t timeout_ns);
NDS_API int nds_cond_notify(nds_cond *c, int count); /* INT_MAX: all */

/* Ownerless permits, as multiprocessing.Semaphore: anybody may release. */
NDS_API int nds_sem_new(nds_sem **out, unsigned value, unsigned bound);
NDS_API int nds_sem_create(nds_sem **out, const char *name, unsigned value,
                           unsigned bound); /* bound 0: none */
NDS_API int nds_sem_attach(nds_sem **out, const char *name);
NDS_API void nds_sem_close(nds_sem *s);
NDS_API int nds_sem_acquire(nds_sem *s, int64_t timeout_ns);
NDS_API int nds_sem_release(nds_sem *s, unsigned count); /* NDS_ELIMIT */
NDS_API unsigned nds_sem_value(const nds_sem *s);
/* Permits that belong to the process that acquired them, all its threads
 * alike: those of a dead process, or of a closed handle, are free again, to a
 * waiter within 50 ms. Only who holds some can release: NDS_ENOTOWNER. A
 * forked child holds none. Attach, acquire, release, value and close as
 * above; acquire with NDS_EBUSY besides: another process is stopped in it, for
 * 10 s at the least. */
NDS_API int nds_sem_new_owned(nds_sem **out, unsigned permits);
NDS_API int nds_sem_create_owned(nds_sem **out, const char *name,
                                 unsigned permits);

NDS_API int nds_event_new(nds_event **out);
NDS_API int nds_event_create(nds_event **out, const char *name);
NDS_API int nds_event_attach(nds_event **out, const char *name);
NDS_API void nds_event_close(nds_event *e);
NDS_API int nds_event_set(nds_event *e);
NDS_API int nds_event_clear(nds_event *e);
NDS_API bool nds_event_is_set(const nds_event *e);
NDS_API int nds_event_wait(nds_event *e, int64_t timeout_ns);

/* Breaks (NDS_EBROKEN for all) on time-out, abort, or a waiting member's
 * death; reset makes it whole. Abort and reset wait for nobody. */
NDS_API int nds_barrier_new(nds_barrier **out, unsigned parties);
NDS_API int nds_barrier_create(nds_barrier **out, const char *name,
                               unsigned parties);
NDS_API int nds_barrier_attach(nds_barrier **out, const char *name);
NDS_API void nds_barrier_close(nds_barrier *b);
/* *index (may be NULL): 0..parties-1, unique in each round. */
NDS_API int nds_barrier_wait(nds_barrier *b, int64_t timeout_ns,
                             unsigned *index);
/* As wait, asking `leave` every 50 ms or so of sleep: true breaks the barrier,
 * as a time-out does, for who is called away. */
NDS_API int nds_barrier_wait_unless(nds_barrier *b, int64_t timeout_ns,
                                    unsigned *index,
                                    bool (*leave)(void *ctx), void *ctx);
NDS_API unsigned nds_barrier_parties(const nds_barrier *b);
/* Threads that wait in this round; over at once, so for show only. */
NDS_API unsigned nds_barrier_waiting(const nds_barrier *b);
NDS_API bool nds_barrier_is_broken(const nds_barrier *b); /* until a reset */
NDS_API int nds_barrier_abort(nds_barrier *b);
NDS_API int nds_barrier_reset(nds_barrier *b);

/* Many readers or one writer; new readers queue behind a waiting writer, and a
 * dead reader counts as gone. After a writer's death NDS_EOWNERDEAD comes with
 * the lock: to readers (what they read may be half written) until a writer got
 * it, and has unlocked. A writer that times out leaves it for the next.
 *
 * Readers are counted per process and handle, not per thread: any thread may
 * release a read lock of its process, and only the process as a whole is told
 * NDS_ENOTOWNER when none is left. Reading again while a writer waits, or
 * wanting to write while reading, ends at the time-out; reading while this
 * thread writes is NDS_EDEADLK. */
NDS_API int nds_rwlock_new(nds_rwlock **out);
NDS_API int nds_rwlock_create(nds_rwlock **out, const char *name);
NDS_API int nds_rwlock_attach(nds_rwlock **out, const char *name);
NDS_API void nds_rwlock_close(nds_rwlock *l);
NDS_API int nds_rwlock_rdlock(nds_rwlock *l, int64_t timeout_ns);
NDS_API int nds_rwlock_wrlock(nds_rwlock *l, int64_t timeout_ns);
NDS_API int nds_rwlock_unlock(nds_rwlock *l);

/*
 * Snapshots without a lock of data that one writer changes. Readers write
 * nothing and can be attached read-only:
 *
 *     do {
 *         rc = nds_seqlock_read_begin(l, &seen, NDS_SEC(1));
 *         if (rc < 0) { stop }
 *         memcpy(mine, shared, sizeof mine);        // may be torn
 *     } while (nds_seqlock_read_retry(l, seen));    // then it is not used
 *
 * A reader that copies longer than the writer pauses retries for ever: count.
 * NDS_EOWNERDEAD from read_begin: the writer died at work, the data are half
 * written and stay so until the next writer. From write_begin: the same, and
 * you are the writer: write all of the data, then write_end. Writing twice at
 * once in one process waits for itself, to its time-out.
 */
NDS_API int nds_seqlock_new(nds_seqlock **out);
NDS_API int nds_seqlock_create(nds_seqlock **out, const char *name);
NDS_API int nds_seqlock_attach(nds_seqlock **out, const char *name,
                               enum nds_mode mode); /* NDS_READ, _READWRITE */
NDS_API void nds_seqlock_close(nds_seqlock *l);
NDS_API int nds_seqlock_write_begin(nds_seqlock *l, int64_t timeout_ns);
NDS_API int nds_seqlock_write_end(nds_seqlock *l);
NDS_API int nds_seqlock_read_begin(const nds_seqlock *l, uint64_t *seen,
                                   int64_t timeout_ns);
NDS_API bool nds_seqlock_read_retry(const nds_seqlock *l, uint64_t seen);

#ifdef __cplusplus
}
#endif
#endif
