/* SPDX-License-Identifier: MIT */
/*
 * bench_floor.c - six of the nine ways by calls of the kernel alone
 *
 *     bench_floor spawn    way 1 by spawn, 10000 x 10000 float64, fill(0)
 *     bench_floor inherit  ways 1 and 2 by fork, the same, fill(3)
 *     bench_floor queue    way 3, 20 arrays as the program makes them
 *     bench_floor pipe     way 4, 10000 x 10000 float64
 *     bench_floor raw      way 6, 10000000 float64
 *     bench_floor manager  way 9, 100000000 float64, summed twice
 *     bench_floor manager-private  the same in memory that none but the server
 *                          can have: Python's manager's, not ours
 *
 * The same processes make the same passes over the same memory, each the
 * quickest way we know: two threads, 2 MiB pages, one copy, no library and no
 * text. What ndshare takes above it is ndshare's; what Python takes divided by
 * it is about the most that can be had. bench/reference.py runs it beside ours.
 * Only way 3's random numbers, which are to be NumPy's, are made by the library's
 * loops (nds_random, one call for each piece): we know no quicker ones.
 */
#include <ndshare/ndshare.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE ((size_t)2 << 20)
#define PIECE ((size_t)4 << 20)

static char *memory;
static size_t nbytes;
static _Atomic size_t next;
static int file = -1;
static pid_t child;
static char *remote;
static double block[2048];
static _Atomic long total;

static void
must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

/* From a block that stays in the first cache: memcpy knows this machine's best
 * stores. */
static void
ones(char *at, size_t n)
{
    for (size_t i = 0; i < n; i += sizeof block) {
        memcpy(at + i, block, n - i < sizeof block ? n - i : sizeof block);
    }
}

static void
zeros(char *at, size_t n)
{
    memset(at, 0, n);
}

static void
add_one(char *at, size_t n)
{
    double *x = (double *)(void *)at;

    for (size_t i = 0; i < n / sizeof *x; i++) {
        x[i] += 1;
    }
}

static void
push(char *at, size_t n)
{
    struct iovec from = {at, n}, to = {remote + (at - memory), n};

    must(process_vm_writev(child, &from, 1, &to, 1, 0) == (ssize_t)n, "push");
}

static void
back_by_huge(char *at, size_t n)
{
    for (size_t i = 0; i < n; i += HUGE) {
        must(pwrite(file, "", 1, at - memory + (off_t)i) == 1, "pwrite");
    }
    // Where it cannot, small pages are the floor.
    (void)madvise(at, n, MADV_COLLAPSE);
}

static void
back_with_ones(char *at, size_t n)
{
    back_by_huge(at, n);
    ones(at, n);
}

static void *
work(void *arg)
{
    void (*pass)(char *at, size_t n) = *(void (**)(char *, size_t))arg;
    size_t at;

    while ((at = atomic_fetch_add(&next, PIECE)) < nbytes) {
        pass(memory + at,
             nbytes - at < PIECE ? nbytes - at : PIECE);
    }
    return NULL;
}

static void
by_two_from(size_t at, void (*pass)(char *at, size_t n))
{
    pthread_t other;

    next = at;
    must(pthread_create(&other, NULL, work, &pass) == 0, "thread");
    work(&pass);
    pthread_join(other, NULL);
}

static void
by_two(void (*pass)(char *at, size_t n))
{
    by_two_from(0, pass);
}

static void
map(int flags)
{
    size_t room = nbytes + HUGE;
    char *p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    must(p != MAP_FAILED, "mmap");
    p += HUGE - (uintptr_t)p % HUGE;
    memory = mmap(p, nbytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file,
                  0);
    must(memory == p, "mmap");
    madvise(memory, nbytes, MADV_HUGEPAGE);
}

static void
reap(void)
{
    int status;

    must(waitpid(child, &status, 0) == child && status == 0, "child");
}

static int
in_spawned(void)
{
    char byte;

    map(MAP_PRIVATE | MAP_ANONYMOUS);
    must(write(1, &memory, sizeof memory) == sizeof memory, "write");
    must(read(0, &byte, 1) == 1, "read");
    by_two(zeros);
    return memory[0] != 0;
}

static int
by_spawn(void)
{
    int to[2], from[2];

    map(MAP_PRIVATE | MAP_ANONYMOUS);
    by_two(ones);
    must(pipe(to) == 0 && pipe(from) == 0, "pipe");
    child = vfork();
    if (child == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execl("/proc/self/exe", "bench_floor", "spawned", (char *)NULL);
        _exit(1);
    }
    must(read(from[0], &remote, sizeof remote) == sizeof remote, "read");
    by_two(push);
    must(write(to[1], "", 1) == 1, "write");
    reap();
    return memory[0] == 0 && memory[7] == 0;
}

/* The child's array is new memory where the parent's was. */
static int
inherit(void)
{
    map(MAP_PRIVATE | MAP_ANONYMOUS);
    by_two(ones);
    child = fork();
    if (child == 0) {
        must(mmap(memory, nbytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory,
             "mmap");
        madvise(memory, nbytes, MADV_HUGEPAGE);
        by_two(ones);
        _exit(0);
    }
    reap();
    return *(double *)(void *)memory != 1;
}

static void
map_shared(void)
{
    file = memfd_create("floor", MFD_CLOEXEC);
    must(file >= 0 && ftruncate(file, (off_t)nbytes) == 0, "memfd");
    map(MAP_SHARED);
}

static void
map_shared_ones(void)
{
    map_shared();
    by_two(back_with_ones);
}

/* The parent maps what the child has made: it opens the child's descriptor
 * while the child waits, which costs no more than having it sent. */
static int
pipe_move(void)
{
    int to[2], from[2], number;
    char path[64], byte;

    must(pipe(to) == 0 && pipe(from) == 0, "pipe");
    child = fork();
    if (child == 0) {
        map_shared_ones();
        must(write(from[1], &file, sizeof file) == sizeof file, "write");
        must(read(to[0], &byte, 1) == 1, "read");
        _exit(0);
    }
    must(read(from[0], &number, sizeof number) == sizeof number, "read");
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child, number);
    file = open(path, O_RDWR);
    must(file >= 0, path);
    map(MAP_SHARED);
    must(write(to[1], "", 1) == 1, "write");
    reap();
    return *(double *)(void *)memory != 1;
}

static void
add_up(char *at, size_t n)
{
    const double *x = (const double *)(const void *)at;
    double s[32] = {0}, sum = 0;

    for (size_t i = 0; i + 32 <= n / sizeof *x; i += 32) {
        for (size_t k = 0; k < 32; k++) {
            s[k] += x[i + k];
        }
    }
    for (size_t k = 0; k < 32; k++) {
        sum += s[k];
    }
    atomic_fetch_add(&total, (long)sum);
}

/* A server that makes the array and sums it for two callers; `shared`: others
 * could map it, as they can ours. */
static int
serve(bool shared)
{
    int to[2], from[2];
    char byte;

    must(pipe(to) == 0 && pipe(from) == 0, "pipe");
    child = fork();
    if (child == 0) {
        if (shared) {
            map_shared_ones();
        } else {
            map(MAP_PRIVATE | MAP_ANONYMOUS);
            by_two(ones);
        }
        for (int i = 0; i < 2; i++) {
            must(read(to[0], &byte, 1) == 1, "read");
            total = 0;
            by_two(add_up);
            must(write(from[1], "", 1) == 1, "write");
        }
        _exit(total != (long)(nbytes / sizeof(double)));
    }
    for (int i = 0; i < 2; i++) {
        pid_t caller = i > 0 ? fork() : 0;

        if (caller == 0) {
            must(write(to[1], "", 1) == 1, "write");
            must(read(from[0], &byte, 1) == 1, "read");
        }
        if (i > 0 && caller == 0) {
            _exit(0);
        }
        if (i > 0) {
            must(waitpid(caller, NULL, 0) == caller, "caller");
        }
    }
    reap();
    return 0;
}

static int
manager(void)
{
    return serve(true);
}

static int
manager_private(void)
{
    return serve(false);
}

/* ---- way 3 -------------------------------------------------------------- */

#define SLOTS 3 /* in flight at most: what has been made is warm */
#define SLOT ((size_t)32 << 20)
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDEST
#endif

struct item { /* through a pipe: shorter than what a pipe takes whole */
    size_t slot, nbytes;
};

static size_t backed[SLOTS]; /* bytes of each that have memory */

static void
random_piece(char *at, size_t n)
{
    size_t slot = (size_t)(at - memory) / SLOT;
    size_t off = (size_t)(at - memory) % SLOT;
    int64_t count = (int64_t)(n / sizeof(double));
    nds_view v;

    if (off >= backed[slot]) {
        back_by_huge(at, n);
    }
    must(nds_view_init(&v, NDS_FLOAT64, at, n, 1, &count) == 0 &&
             nds_random(&v, (uint64_t)(at - memory)) == 0, "random");
    nds_view_fini(&v);
}

WIDEST static double
largest(const double *x, size_t n)
{
    double top[32] = {0}, all = 0;

    for (size_t i = 0; i + 32 <= n; i += 32) {
        for (size_t k = 0; k < 32; k++) {
            top[k] = x[i + k] > top[k] ? x[i + k] : top[k];
        }
    }
    for (size_t k = 0; k < 32; k++) {
        all = top[k] > all ? top[k] : all;
    }
    return all;
}

static int
consume(int from, int to)
{
    struct item item;

    for (;;) {
        double top;

        must(read(from, &item, sizeof item) == sizeof item, "read");
        if (item.nbytes == 0) {
            return 0;
        }
        top = largest((double *)(void *)(memory + item.slot * SLOT),
                      item.nbytes / sizeof(double));
        must(top < 1 && write(to, &item, sizeof item) == sizeof item, "max");
    }
}

static void
produce(struct item *item)
{
    size_t at = item->slot * SLOT;

    // by_two goes over [next, nbytes) of memory.
    item->nbytes = (size_t)(500 + rand() % 1501) *
                   (size_t)(500 + rand() % 1501) * sizeof(double);
    nbytes = at + item->nbytes;
    by_two_from(at, random_piece);
    backed[item->slot] = backed[item->slot] > item->nbytes
                             ? backed[item->slot]
                             : item->nbytes / PIECE * PIECE;
}

static int
queue(void)
{
    struct item item = {0};
    pid_t children[4];
    int to[2], back[2];

    nbytes = SLOTS * SLOT;
    map_shared();
    must(pipe(to) == 0 && pipe(back) == 0, "pipe");
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            _exit(consume(to[0], back[1]));
        }
    }
    for (int i = 0; i < 20; i++) {
        item.slot = (size_t)i;
        if (i >= SLOTS) {
            must(read(back[0], &item, sizeof item) == sizeof item, "read");
        }
        produce(&item);
        must(write(to[1], &item, sizeof item) == sizeof item, "write");
    }
    item.nbytes = 0;
    for (int i = 0; i < 4; i++) {
        must(write(to[1], &item, sizeof item) == sizeof item, "write");
    }
    for (int i = 0; i < 4; i++) {
        child = children[i];
        reap();
    }
    return 0;
}

static int
raw(void)
{
    map_shared_ones();
    child = fork();
    if (child == 0) {
        by_two(add_one);
        _exit(0);
    }
    reap();
    return *(double *)(void *)memory != 2;
}

static const struct {
    const char *name;
    int (*run)(void);
} ways[] = {{"spawn", by_spawn}, {"inherit", inherit}, {"queue", queue},
            {"pipe", pipe_move}, {"raw", raw}, {"manager", manager},
            {"manager-private", manager_private}};

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < sizeof block / sizeof *block; i++) {
        block[i] = 1;
    }
    nbytes = strcmp(what, "raw") == 0 ? 80000000 : 800000000;
    if (strcmp(what, "spawned") == 0) {
        return in_spawned();
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(what, ways[i].name) == 0) {
            return ways[i].run();
        }
    }
    fprintf(stderr, "usage: bench_floor spawn|inherit|queue|pipe|raw|manager|"
                    "manager-private\n");
    return 2;
}
