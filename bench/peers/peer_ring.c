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
 * Not a peer but a reference (tests/bench_ring.h).
 */
#include "peer.h"

#include <bench_ring.h>

#include <errno.h>

#define OUT_LIMIT 65536

static struct bench_ring *rings[2];
static struct bench_side in, out;
static size_t nbytes;
static void *buffer;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)dir;
    nbytes = n;
    for (int i = 0; i < 2; i++) {
        rings[i] = bench_ring_new((uint32_t)peer_depth(n), n,
                                  strcmp(variant, "sleep") == 0);
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

static void *
loan(void)
{
    return bench_ring_loan(&out);
}

static void
publish(void)
{
    bench_ring_publish(&out);
}

static void
put(const void *payload)
{
    bench_ring_copy(bench_ring_loan(&out), payload, nbytes);
    bench_ring_publish(&out);
}

static const void *
take(void)
{
    return bench_ring_take(&in);
}

static const void *
get(void)
{
    const void *slot = bench_ring_take(&in);

    return nbytes < OUT_LIMIT ? memcpy(buffer, slot, nbytes) : slot;
}

static void
drop(void)
{
    bench_ring_drop(&in);
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .loan = loan, .publish = publish, .take = take,
    .give_back = drop,
};
