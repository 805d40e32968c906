/* SPDX-License-Identifier: MIT */
/*
 * bench_sync.c - what a lock costs when nobody wants it
 *
 *     bench_sync
 *
 * Lock and unlock, uncontended, of a mutex that names its holder, beside a
 * futex mutex after U. Drepper, "Futexes Are Tricky" (mutex 2), and the C
 * library's own. One process; medians over runs that take turns, so that a
 * slow moment of the machine hits all of them. Not part of the test run.
 */
#include "bench.h"

#include <ndshare/ndshare.h>

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RUNS 101
#define TURNS 20000

static nds_mutex *ours;
static nds_mutex *ours_recursive;
static nds_rwlock *rwlock;
static nds_sem *sem;
static nds_sem *owned;
static nds_seqlock *seqlock;
static pthread_mutex_t theirs = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t robust;
static _Atomic int word; /* 0 free, 1 held, 2 held and somebody sleeps */

static void
must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", what, nds_last_error()->message);
        exit(1);
    }
}

static void
turn_ours(void)
{
    nds_mutex_lock(ours, NDS_FOREVER);
    nds_mutex_unlock(ours);
}

static void
turn_deadline(void)
{
    nds_mutex_lock(ours, NDS_SEC(5));
    nds_mutex_unlock(ours);
}

static void
turn_recursive(void)
{
    nds_mutex_lock(ours_recursive, NDS_FOREVER);
    nds_mutex_unlock(ours_recursive);
}

/* Out of line, as a library's would be. */
__attribute__((noinline)) static void
futex_lock(void)
{
    int seen = 0;

    if (atomic_compare_exchange_strong(&word, &seen, 1)) {
        return;
    }
    if (seen != 2) {
        seen = atomic_exchange(&word, 2);
    }
    while (seen != 0) {
        syscall(SYS_futex, &word, FUTEX_WAIT, 2, NULL, NULL, 0);
        seen = atomic_exchange(&word, 2);
    }
}

__attribute__((noinline)) static void
futex_unlock(void)
{
    if (atomic_fetch_sub(&word, 1) != 1) {
        atomic_store(&word, 0);
        syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

static void
turn_futex(void)
{
    futex_lock();
    futex_unlock();
}

static void
turn_pthread(void)
{
    pthread_mutex_lock(&theirs);
    pthread_mutex_unlock(&theirs);
}

static void
turn_robust(void)
{
    pthread_mutex_lock(&robust);
    pthread_mutex_unlock(&robust);
}

static void
turn_read(void)
{
    nds_rwlock_rdlock(rwlock, NDS_FOREVER);
    nds_rwlock_unlock(rwlock);
}

static void
turn_sem(void)
{
    nds_sem_acquire(sem, NDS_FOREVER);
    nds_sem_release(sem, 1);
}

static void
turn_owned(void)
{
    nds_sem_acquire(owned, NDS_FOREVER);
    nds_sem_release(owned, 1);
}

static void
turn_snapshot(void)
{
    uint64_t seen;

    nds_seqlock_read_begin(seqlock, &seen, NDS_FOREVER);
    (void)nds_seqlock_read_retry(seqlock, seen);
}

static const struct {
    const char *name;
    void (*turn)(void);
} rows[] = {
    {"plain futex mutex", turn_futex},
    {"nds_mutex, for ever", turn_ours},
    {"nds_mutex, with a deadline", turn_deadline},
    {"nds_mutex, recursive", turn_recursive},
    {"pthread_mutex", turn_pthread},
    {"pthread_mutex, robust, shared", turn_robust},
    {"nds_rwlock, read", turn_read},
    {"nds_sem", turn_sem},
    {"nds_sem, owned", turn_owned},
    {"nds_seqlock, snapshot", turn_snapshot},
};
#define ROWS (sizeof rows / sizeof rows[0])

static double
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
make_all(void)
{
    pthread_mutexattr_t attr;

    must(nds_mutex_new(&ours, NDS_MUTEX_PLAIN), "mutex");
    must(nds_mutex_new(&ours_recursive, NDS_MUTEX_RECURSIVE), "mutex");
    must(nds_rwlock_new(&rwlock), "rwlock");
    must(nds_sem_new(&sem, 1, 0), "semaphore");
    must(nds_sem_new_owned(&owned, 1), "semaphore");
    must(nds_seqlock_new(&seqlock), "sequence lock");
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&robust, &attr);
}

int
main(void)
{
    static double took[ROWS][RUNS];

    make_all();
    for (int run = -1; run < RUNS; run++) { // the first warms up
        for (size_t r = 0; r < ROWS; r++) {
            double start = now_ns();

            for (int i = 0; i < TURNS; i++) {
                rows[r].turn();
            }
            took[r][run < 0 ? 0 : run] = (now_ns() - start) / TURNS;
        }
    }
    printf("uncontended, ns for both calls, %d runs of %d\n", RUNS, TURNS);
    for (size_t r = 0; r < ROWS; r++) {
        qsort(took[r], RUNS, sizeof took[r][0], bench_by_value);
        bench_say(rows[r].name, took[r][RUNS / 2], "ns");
        printf("%-32s %7.1f median  %7.1f .. %7.1f\n", rows[r].name,
               took[r][RUNS / 2], took[r][RUNS / 20],
               took[r][RUNS - 1 - RUNS / 20]);
    }
    nds_mutex_close(ours);
    nds_mutex_close(ours_recursive);
    nds_rwlock_close(rwlock);
    nds_sem_close(sem);
    nds_sem_close(owned);
    nds_seqlock_close(seqlock);
    return 0;
}
