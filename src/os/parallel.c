/* SPDX-License-Identifier: MIT */
/*
 * parallel.c - one large job on several processors
 *
 * The job is cut into pieces which threads take one by one, the calling thread
 * among them: a processor that is busy elsewhere takes fewer, and where no
 * thread can be had the caller does all. The threads live for one job only, so
 * there is no pool that a fork would lose, and starting one costs little
 * beside the 8 MiB of memory traffic that a job must have to get one.
 */
#include <os/os.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)4 << 20)
#define MOST 16

struct job {
    void (*piece)(void *ctx, int64_t i);
    void *ctx;
    int64_t count;
    _Atomic int64_t next;
};

static void *
work(void *arg)
{
    struct job *j = arg;
    int64_t i;

    while ((i = atomic_fetch_add(&j->next, 1)) < j->count) {
        j->piece(j->ctx, i);
    }
    return NULL;
}

static _Atomic int wanted; // 0: nobody said

void
ndi_set_crew(int count)
{
    atomic_store_explicit(&wanted, count, memory_order_relaxed);
}

int
ndi_crew(void)
{
    const char *text = getenv("NDSHARE_THREADS");
    long n = atomic_load_explicit(&wanted, memory_order_relaxed);
    cpu_set_t set;
    int here = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                           : 1;

    if (n <= 0 && text != NULL) {
        n = strtol(text, NULL, 10);
    }
#ifndef NDI_TESTING // tests want many threads on any machine
    n = n < here ? n : here;
#endif
    n = n <= 0 ? here : n;
    return n > MOST ? MOST : (int)n;
}

void
ndi_parallel(int64_t count, void (*piece)(void *ctx, int64_t i), void *ctx)
{
    struct job j = {.piece = piece, .ctx = ctx, .count = count};
    int n = count < 2 ? 1 : ndi_crew();
    pthread_t threads[MOST];
    sigset_t all, was;
    int started = 0;

    n = count < n ? (int)count : n;
    if (n > 1) {
        // Signals are for the program's own threads.
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &was);
        while (started < n - 1 &&
               NDI_SYS_CODE("thread", pthread_create(&threads[started], NULL,
                                                       work, &j)) == 0) {
            started++;
        }
        pthread_sigmask(SIG_SETMASK, &was, NULL);
    }
    (void)work(&j);
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}

struct ranges {
    void (*range)(void *ctx, int64_t from, int64_t to);
    void *ctx;
    int64_t count;
    int64_t piece;
};

static void
one_range(void *ctx, int64_t i)
{
    const struct ranges *r = ctx;
    int64_t from = i * r->piece;
    int64_t to = r->count - from < r->piece ? r->count : from + r->piece;

    r->range(r->ctx, from, to);
}

void
ndi_in_pieces(int64_t count, size_t nbytes_each,
              void (*range)(void *ctx, int64_t from, int64_t to), void *ctx)
{
    struct ranges r = {.range = range, .ctx = ctx, .count = count};

    r.piece = (int64_t)(nbytes_each < PIECE ? PIECE / nbytes_each : 1);
    if (count <= 2 * r.piece) {
        range(ctx, 0, count);
        return;
    }
    ndi_parallel((count + r.piece - 1) / r.piece, one_range, &r);
}
