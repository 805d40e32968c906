/* SPDX-License-Identifier: MIT */
/*
 * bench_limit.c - how fast this machine's memory is
 *
 * A shared object for bench/ops.py: reads, copies and fills memory by plain
 * loops, in pieces that threads take one by one, none of the library's code.
 * Vectors are as wide as the compiling machine has them; stores go by way of
 * the caches or past them, and whoever asks keeps the faster.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define PIECE ((size_t)4 << 20)
#define MOST 16

enum kind { READ, COPY, WRITE };

struct job {
    enum kind kind;
    int past; /* the caches */
    char *to;
    const char *from;
    size_t nbytes;
    _Atomic size_t next;
    _Atomic uint64_t seen; /* keeps the reads alive */
};

typedef uint64_t line __attribute__((vector_size(64)));

static uint64_t
read_all(const char *from, size_t n)
{
    line a = {0}, b = {0}, c = {0}, d = {0}, x[4];

    for (size_t i = 0; i + sizeof x <= n; i += sizeof x) {
        __builtin_prefetch(from + i + 4096);
        __builtin_prefetch(from + i + 4096 + 128);
        memcpy(x, from + i, sizeof x);
        a |= x[0];
        b |= x[1];
        c |= x[2];
        d |= x[3];
    }
    a |= b | c | d;
    return a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7];
}

static void
store_past(char *to, const char *from, size_t n)
{
#if defined(__AVX512F__)
    for (size_t i = 0; i + 64 <= n; i += 64) {
        _mm512_stream_si512((void *)(to + i), _mm512_loadu_si512(from + i));
    }
    _mm_sfence();
#elif defined(__AVX2__)
    for (size_t i = 0; i + 32 <= n; i += 32) {
        _mm256_stream_si256((void *)(to + i),
                            _mm256_loadu_si256((const void *)(from + i)));
    }
    _mm_sfence();
#else
    memcpy(to, from, n);
#endif
}

static void
one(struct job *j, size_t at, size_t n)
{
    static const char zeros[4096];

    switch (j->kind) {
    case READ:
        j->seen |= read_all(j->from + at, n);
        break;
    case COPY:
        if (j->past) {
            store_past(j->to + at, j->from + at, n);
        } else {
            memcpy(j->to + at, j->from + at, n);
        }
        break;
    default:
        if (!j->past) {
            memset(j->to + at, 0, n);
        }
        for (size_t i = 0; j->past && i < n; i += sizeof zeros) {
            store_past(j->to + at + i, zeros,
                       n - i < sizeof zeros ? n - i : sizeof zeros);
        }
    }
}

static void *
work(void *arg)
{
    struct job *j = arg;
    size_t at;

    while ((at = atomic_fetch_add(&j->next, PIECE)) < j->nbytes) {
        one(j, at, j->nbytes - at < PIECE ? j->nbytes - at : PIECE);
    }
    return NULL;
}

/* Seconds. `to` and `from` are multiples of 64; nbytes too. */
__attribute__((visibility("default"))) double
bench_limit(int kind, int past, void *to, const void *from, size_t nbytes,
            int threads)
{
    struct job j = {(enum kind)kind, past, to, from, nbytes, 0, 0};
    pthread_t other[MOST];
    struct timespec a, b;
    int n = 0;

    clock_gettime(CLOCK_MONOTONIC, &a);
    while (n < threads - 1 && n < MOST &&
           pthread_create(&other[n], NULL, work, &j) == 0) {
        n++;
    }
    work(&j);
    while (n > 0) {
        pthread_join(other[--n], NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)(b.tv_sec - a.tv_sec) +
           (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
}
