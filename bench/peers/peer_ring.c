/* SPDX-License-Identifier: MIT */
/*
 * peer_ring.c - the least that could be: a ring for one on each side
 *
 *     sleep     a side spins for 50 us and then sleeps on the other's counter,
 *               which wakes it only if it says so
 *     spin      never sleeps
 *     words     sleeps, and each slot has a line with its state, which changes
 *               hands by a swap, and a line that says what is in it: what it
 *               takes at least that the death of either side can be mended
 *
 * By value it is a ring of slots: copied in, and up to 64 KiB out again, which
 * is what our queue copies. By loan it is an offset ring: nothing is copied.
 * Not a peer but a reference (tests/bench_ring.h).
 */
#include "peer.h"

#include <bench_ring.h>

#include <errno.h>

#define OUT_LIMIT 65536

/* In front of the payload of a slot with a state. */
struct head {
    _Alignas(64) _Atomic uint64_t state; // enum state | number << 2
    _Alignas(64) uint64_t what[8];
};
enum state { FREE, FILLED, READY, TAKEN };

static bool words;
static struct head *lent;
static const struct head *taken;
static uint64_t number, last_what;
static struct bench_ring *rings[2];
static struct bench_side in, out;
static size_t nbytes;
static void *buffer;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)dir;
    nbytes = n;
    words = strcmp(variant, "words") == 0;
    for (int i = 0; i < 2; i++) {
        rings[i] = bench_ring_new((uint32_t)peer_depth(n),
                                  n + (words ? sizeof(struct head) : 0),
                                  strcmp(variant, "spin") != 0);
        if (rings[i] == NULL) {
            peer_die("mmap", strerror(errno));
        }
    }
}

static void
start(int role)
{
    out.ring = rings[role];
    in.ring = rings[1 - role];
    buffer = peer_memory(nbytes);
}

/* Whoever finds another state than it must be has found a bug of ours. */
static void
pass(const struct head *h, enum state from, enum state to)
{
    _Atomic uint64_t *state = (_Atomic uint64_t *)&h->state;
    uint64_t was = atomic_load_explicit(state, memory_order_acquire);

    if ((was & 3) != from ||
        !atomic_compare_exchange_strong(state, &was, number << 2 | to)) {
        peer_die("slot", "in another state");
    }
}

static void *
loan(void)
{
    void *slot = bench_ring_loan(&out);

    if (!words) {
        return slot;
    }
    lent = slot;
    pass(lent, FREE, FILLED);
    return lent + 1;
}

static void
publish(void)
{
    if (words) {
        for (int i = 0; i < 8; i++) {
            lent->what[i] = nbytes;
        }
        number++;
        pass(lent, FILLED, READY);
    }
    bench_ring_publish(&out);
}

static void
put(const void *payload)
{
    bench_ring_copy(loan(), payload, nbytes);
    publish();
}

static const void *
take(void)
{
    const void *slot = bench_ring_take(&in);

    if (!words) {
        return slot;
    }
    taken = slot;
    pass(taken, READY, TAKEN);
    for (int i = 0; i < 8; i++) {
        last_what += taken->what[i];
    }
    return taken + 1;
}

static void
drop(void)
{
    if (words) {
        pass(taken, TAKEN, FREE);
    }
    bench_ring_drop(&in);
}

static const void *
get(void)
{
    const void *slot = take();

    return nbytes < OUT_LIMIT ? memcpy(buffer, slot, nbytes) : slot;
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .loan = loan, .publish = publish, .take = take,
    .give_back = drop,
};
