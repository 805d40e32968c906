/* SPDX-License-Identifier: MIT */
/*
 * peer_ring.c - the least that could be: a ring for one on each side
 *
 *     sleep     a side spins for 50 us and then sleeps on the other's counter,
 *               which wakes it only if it says so
 *     spin      never sleeps
 *
 * By value it is a ring of slots: copied in, and up to 64 KiB out again, which
 * is what our queue copies. By loan it is an offset ring: nothing is copied.
 * Not a peer but a reference: no death, no second producer, no other size.
 */
#include "peer.h"

#include <errno.h>
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

#define OUT_LIMIT 65536

struct counter {
    _Alignas(128) _Atomic uint32_t value; // messages so far
    _Atomic uint32_t asleep;
};

struct ring {
    struct counter sent, freed;
    _Alignas(128) char slots[];
};

static struct ring *rings[2], *in, *out;
static size_t nbytes, stride;
static uint32_t depth, sent, received, seen_sent, seen_freed;
static bool sleeps;
static void *buffer;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)dir;
    sleeps = strcmp(variant, "sleep") == 0;
    nbytes = n;
    stride = (n + 127) & ~(size_t)127;
    depth = (uint32_t)peer_depth(n);
    for (int i = 0; i < 2; i++) {
        size_t all = sizeof *in + depth * stride;

        rings[i] = mmap(NULL, all, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (rings[i] == MAP_FAILED) {
            peer_die("mmap", strerror(errno));
        }
        memset(rings[i], 0, all);
    }
}

static void
start(int role)
{
    out = rings[role];
    in = rings[1 - role];
    buffer = peer_memory(nbytes);
}

static void
sleep_on(struct counter *c, uint32_t old)
{
    atomic_store(&c->asleep, 1);
    if (atomic_load(&c->value) == old) {
        syscall(SYS_futex, &c->value, FUTEX_WAIT, old, NULL, NULL, 0);
    }
    atomic_store_explicit(&c->asleep, 0, memory_order_relaxed);
}

static uint64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Until the counter is another than `old`. */
static uint32_t
wait_past(struct counter *c, uint32_t old)
{
    uint64_t end = 0;
    uint32_t v;

    for (uint32_t i = 1;; i++) {
        v = atomic_load_explicit(&c->value, memory_order_acquire);
        if (v != old) {
            return v;
        }
        if (sleeps && i % 256 == 0) {
            uint64_t now = now_ns();

            end = end == 0 ? now + 50000 : end;
            if (now > end) {
                sleep_on(c, old);
            }
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

static void
advance(struct counter *c, uint32_t value)
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

static void *
loan(void)
{
    while (sent - seen_freed == depth) {
        seen_freed = wait_past(&out->freed, seen_freed);
    }
    return out->slots + sent % depth * stride;
}

static void
publish(void)
{
    advance(&out->sent, ++sent);
}

static void
put(const void *payload)
{
    void *slot = loan();

    memcpy(slot, payload, nbytes);
    publish();
}

static const void *
take(void)
{
    while (received == seen_sent) {
        seen_sent = wait_past(&in->sent, seen_sent);
    }
    return in->slots + received % depth * stride;
}

static const void *
get(void)
{
    const void *slot = take();

    return nbytes < OUT_LIMIT ? memcpy(buffer, slot, nbytes) : slot;
}

static void
drop(void)
{
    advance(&in->freed, ++received);
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .loan = loan, .publish = publish, .take = take,
    .give_back = drop,
};
