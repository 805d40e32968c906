/* SPDX-License-Identifier: MIT */
/*
 * bench_readv.c - a large array by value: through an arena, or read in place?
 *
 *     bench_readv [MB ..., default 1 8 80 800]
 *
 * arena   the sender copies into shared memory, the receiver adds up there:
 *         what our channels do
 * readv   the receiver fetches the sender's memory by process_vm_readv into
 *         warm memory of its own, says so, and adds up there; the sender must
 *         wait for the word, or could change what is being fetched
 *
 * All memory in 2 MiB pages, then in pages of 4 KiB. The sender fills its array
 * before each. Microseconds an item: from then until it is added up, one at a
 * time; how long the sender is held; and many in a row with their filling, by
 * the arena two in flight. Bare calls and counters (bench_ring.h), none of the
 * library. Medians over rounds.
 */
#include "bench.h"
#include "bench_two.h"

#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#define ROUNDS 5
#define SLOTS 2
#define WARM 2
#define CHUNK ((size_t)1 << 30) /* the call takes less than 2 GiB */

enum how { ARENA, READV };

static struct {
    struct bench_counter sent, taken, done;
    const double *source; /* in the sender */
} *shared;
static char *arena;
static size_t nbytes, stride;
static int items;
static bool huge, one_by_one;
static double each, held; /* seconds */
static volatile double sink;

/* Private memory, touched. */
static double *
private_memory(void)
{
    char *p = mmap(NULL, stride + BENCH_RING_HUGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    must(p != MAP_FAILED ? 0 : NDS_ENOMEM, "memory");
    p += -(uintptr_t)p & (BENCH_RING_HUGE - 1);
    madvise(p, stride, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(p, 0, stride);
    return (double *)(void *)p;
}

static void
await(struct bench_counter *c, uint32_t least)
{
    uint32_t v = atomic_load(&c->value);

    while ((int32_t)(v - least) < 0) {
        v = bench_ring_wait(c, v, true);
    }
}

static void
send_all(int how)
{
    double *source = private_memory(), start = 0, alone = 0;

    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); // where Yama asks
    shared->source = source;
    held = 0;
    for (int i = 0; i < WARM + items; i++) {
        uint32_t n = (uint32_t)i + 1;
        double t;

        if (i == WARM) {
            await(&shared->done, WARM);
            start = now();
            held = alone = 0;
        }
        for (size_t k = 0; k < nbytes / sizeof *source; k++) {
            source[k] = i;
        }
        if (how == ARENA && n > SLOTS) {
            await(&shared->done, n - SLOTS);
        }
        t = now();
        if (how == ARENA) {
            bench_ring_copy(arena + (size_t)(i % SLOTS) * stride, source,
                            nbytes);
        }
        bench_ring_advance(&shared->sent, n, true);
        if (how == READV) {
            await(&shared->taken, n);
        }
        held += now() - t;
        if (one_by_one) {
            await(&shared->done, n);
            alone += now() - t;
        }
    }
    await(&shared->done, (uint32_t)(WARM + items));
    each = (one_by_one ? alone : now() - start) / items;
    held /= items;
    munmap(source, stride);
}

static void
fetch(char *to, const char *from)
{
    for (size_t at = 0; at < nbytes;) {
        size_t n = nbytes - at < CHUNK ? nbytes - at : CHUNK;
        struct iovec here = {to + at, n};
        struct iovec there = {(void *)(uintptr_t)(from + at), n};
        ssize_t got = process_vm_readv(getppid(), &here, 1, &there, 1, 0);

        if (got <= 0) {
            perror("process_vm_readv");
            _exit(1);
        }
        at += (size_t)got;
    }
}

static void
receive_all(int how)
{
    double *mine = how == READV ? private_memory() : NULL;

    for (int i = 0; i < WARM + items; i++) {
        uint32_t n = (uint32_t)i + 1;

        await(&shared->sent, n);
        if (how == READV) {
            fetch((char *)mine, (const char *)shared->source);
            bench_ring_advance(&shared->taken, n, true);
        } else {
            mine = (double *)(void *)(arena + (size_t)(i % SLOTS) * stride);
        }
        sink = sum_of(mine, (int64_t)(nbytes / sizeof *mine));
        bench_ring_advance(&shared->done, n, true);
    }
}

static double
median(double *v)
{
    qsort(v, ROUNDS, sizeof *v, bench_by_value);
    return v[ROUNDS / 2] * 1e6;
}

static void
compare(void)
{
    static const char *const names[] = {"arena", "readv"};
    double alone[2][ROUNDS], wait[2][ROUNDS], many[2][ROUNDS];

    for (int r = 0; r < ROUNDS; r++) {
        for (int k = 0; k < 4; k++) {
            memset(shared, 0, sizeof *shared);
            one_by_one = k < 2;
            both(send_all, receive_all, k % 2);
            (one_by_one ? alone : many)[k % 2][r] = each;
            if (one_by_one) {
                wait[k % 2][r] = held;
            }
        }
    }
    for (int how = 0; how < 2; how++) {
        printf("%4zu MB, %s, %s  %10.1f us, sender held %10.1f us, many "
               "%10.1f us\n", nbytes / 1000000, huge ? "2 MiB" : "4 KiB",
               names[how], median(alone[how]), median(wait[how]),
               median(many[how]));
    }
}

int
main(int argc, char **argv)
{
    static char *usual[] = {"", "1", "8", "80", "800"};
    char **sizes = argc > 1 ? argv : usual;
    int n = argc > 1 ? argc : 5;

    setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED ? 0 : NDS_ENOMEM, "memory");
    for (int i = 1; i < n; i++) {
        nbytes = strtoull(sizes[i], NULL, 10) * 1000000;
        stride = (nbytes + BENCH_RING_HUGE - 1) & ~(BENCH_RING_HUGE - 1);
        items = nbytes <= 1000000 ? 100 : nbytes <= 8000000 ? 30
                : nbytes <= 80000000 ? 5 : 2;
        for (int small = 0; small < 2; small++) {
            huge = small == 0;
            arena = bench_ring_memory(SLOTS * stride, huge);
            must(arena != NULL ? 0 : NDS_ENOMEM, "memory");
            compare();
            munmap(arena, SLOTS * stride);
        }
    }
    return 0;
}
