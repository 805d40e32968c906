/* SPDX-License-Identifier: MIT */
/*
 * bench_ring.h - the least that could be: a ring for one on each side
 *
 * One process puts, one gets; slots of one size in memory that both inherit.
 * A side with nothing to do looks for 50 us, then sleeps on the other's
 * counter, which makes the call to wake it only if it says that it sleeps; or
 * looks for ever. No death, no second producer, no other size: a reference for
 * what carries arrays, not a rival.
 */
#ifndef NDS_BENCH_RING_H
#define NDS_BENCH_RING_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct bench_counter {
    _Alignas(128) _Atomic uint32_t value; // messages so far
    _Atomic uint32_t asleep;
};

struct bench_ring {
    struct bench_counter sent, freed;
    size_t stride;
    uint32_t depth;
    bool sleeps;
    _Alignas(4096) char slots[];
};

/* One process's side: what it has counted, and last saw of the other. */
struct bench_side {
    struct bench_ring *ring;
    uint32_t mine, seen;
};

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define BENCH_RING_HUGE ((size_t)2 << 20)

/* Shared memory at a multiple of 2 MiB, touched; large items get 2 MiB pages,
 * as ours do. NULL: no memory. */
static inline void *
bench_ring_memory(size_t all, bool huge)
{
    char *room = mmap(NULL, all + BENCH_RING_HUGE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *at = room + (-(uintptr_t)room & (BENCH_RING_HUGE - 1));

    if (room == MAP_FAILED ||
        mmap(at, all, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at) {
        return NULL;
    }
    memset(at, 0, all);
    if (huge) {
        madvise(at, all, MADV_COLLAPSE);
    }
    return at;
}

static inline size_t
bench_ring_nbytes(uint32_t depth, size_t stride)
{
    size_t all = sizeof(struct bench_ring) + depth * stride;

    return (all + BENCH_RING_HUGE - 1) & ~(BENCH_RING_HUGE - 1);
}

/* NULL: no memory. */
static inline struct bench_ring *
bench_ring_new(uint32_t depth, size_t nbytes, bool sleeps)
{
    size_t unit = nbytes >= 65536 ? 4096 : 128;
    size_t stride = (nbytes + unit - 1) & ~(unit - 1);
    struct bench_ring *r = bench_ring_memory(bench_ring_nbytes(depth, stride),
                                             nbytes >= 2 * BENCH_RING_HUGE);

    if (r == NULL) {
        return NULL;
    }
    r->stride = stride;
    r->depth = depth;
    r->sleeps = sleeps;
    return r;
}

static inline void
bench_ring_free(struct bench_ring *r)
{
    munmap(r, bench_ring_nbytes(r->depth, r->stride));
}

/* As the library copies up to 16 MiB (src/os/copy.c). What is larger goes past the
 * caches there; whole, this processor's instruction leaves them alone as well. */
static inline void
bench_ring_copy(void *to, const void *from, size_t nbytes)
{
#if defined(__x86_64__)
    if (nbytes >= 256 << 10) {
        __asm__ volatile("rep movsb"
                         : "+D"(to), "+S"(from), "+c"(nbytes)
                         :
                         : "memory");
        return;
    }
#endif
    memcpy(to, from, nbytes);
}

static inline uint64_t
bench_ring_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void
bench_ring_sleep(struct bench_counter *c, uint32_t old)
{
    atomic_store(&c->asleep, 1);
    if (atomic_load(&c->value) == old) {
        syscall(SYS_futex, &c->value, FUTEX_WAIT, old, NULL, NULL, 0);
    }
    atomic_store_explicit(&c->asleep, 0, memory_order_relaxed);
}

/* Until the counter is another than `old`. */
static inline uint32_t
bench_ring_wait(struct bench_counter *c, uint32_t old, bool sleeps)
{
    uint64_t end = 0;
    uint32_t v;

    for (uint32_t i = 1;; i++) {
        v = atomic_load_explicit(&c->value, memory_order_acquire);
        if (v != old) {
            return v;
        }
        if (sleeps && i % 256 == 0) {
            uint64_t now = bench_ring_now();

            end = end == 0 ? now + 50000 : end;
            if (now > end) {
                bench_ring_sleep(c, old);
            }
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

static inline void
bench_ring_advance(struct bench_counter *c, uint32_t value, bool sleeps)
{
    if (!sleeps) {
        atomic_store_explicit(&c->value, value, memory_order_release);
        return;
    }
    atomic_store(&c->value, value); // before the look at `asleep`
    if (atomic_load(&c->asleep) != 0) {
        syscall(SYS_futex, &c->value, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
}

/* The producer's next slot, once it is free; publish sends it. */
static inline void *
bench_ring_loan(struct bench_side *s)
{
    struct bench_ring *r = s->ring;

    while (s->mine - s->seen == r->depth) {
        s->seen = bench_ring_wait(&r->freed, s->seen, r->sleeps);
    }
    return r->slots + s->mine % r->depth * r->stride;
}

static inline void
bench_ring_publish(struct bench_side *s)
{
    bench_ring_advance(&s->ring->sent, ++s->mine, s->ring->sleeps);
}

/* The consumer's next slot, once there is one; drop frees it. */
static inline const void *
bench_ring_take(struct bench_side *s)
{
    struct bench_ring *r = s->ring;

    while (s->mine == s->seen) {
        s->seen = bench_ring_wait(&r->sent, s->seen, r->sleeps);
    }
    return r->slots + s->mine % r->depth * r->stride;
}

static inline void
bench_ring_drop(struct bench_side *s)
{
    bench_ring_advance(&s->ring->freed, ++s->mine, s->ring->sleeps);
}

#endif
