/* SPDX-License-Identifier: MIT */
/*
 * bench_mem.c - what memory costs before anybody uses it
 *
 *     bench_mem [-n rounds] [-k part of a name] [-a | -q] [bytes ...]
 *
 * For each size and kind of memory, in a process of its own: create, the first
 * write of all of it, the next write, close, and create with first write once
 * more, where what was just freed may come back. The kinds "k: ..." are calls
 * of the kernel alone with one page policy each: the floor. "2 MiB" is the
 * share of the mapping that lies in such pages after the first write.
 *
 * -a: attach instead. A named array, and a file of /dev/shm with each kind of
 * page, is summed by a process that has never seen it, and again when it is
 * mapped: `of warm` is how much of the warm sum's speed the first one had.
 *
 * -q: what a queue of four items holds. One process puts 40 of the size (and
 * then 40 of sizes between it and a fifth), another sums each; a third looks at
 * both at random times: the most that they held in proportional set size
 * beyond what they had before, the most that was in flight (loaned, waiting or
 * taken), and what they held a second and a half after the last item, while the
 * consumer waited for more. Both stand still while it looks, and the most that
 * they held at one time beyond what was in flight then is what a queue costs.
 *
 * Kinds in turn, medians over the rounds; writes and sums by all processors.
 * Free memory that a virtual machine has given back to its host costs more at
 * its first use than any other: the first round is one too many for that.
 */
#include "bench.h"

#include <ndshare/ndshare.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE ((size_t)2 << 20)
#define PIECE ((size_t)4 << 20)
#define ROUNDS 64
#define SHM_NAME "bench_mem_array"

enum memory { ANON, MEMFD, SHM, DISK, HEAP, SHAREABLE, NAMED, FILE_ARRAY };
enum policy { SMALL, POPULATE, ADVICE, ADVICE_POPULATE, COLLAPSE };

static const struct kind {
    const char *name;
    enum memory memory;
    enum policy policy;
} kinds[] = {
    {"k: anonymous, 4 KiB", ANON, SMALL},
    {"k: anonymous, 4 KiB populated", ANON, POPULATE},
    {"k: anonymous, advised", ANON, ADVICE},
    {"k: anonymous, advised populated", ANON, ADVICE_POPULATE},
    {"k: memfd, 4 KiB", MEMFD, SMALL},
    {"k: memfd, 4 KiB populated", MEMFD, POPULATE},
    {"k: memfd, advised", MEMFD, ADVICE},
    {"k: memfd, collapsed", MEMFD, COLLAPSE},
    {"k: /dev/shm, reserved", SHM, SMALL},
    {"k: /dev/shm, populated", SHM, POPULATE},
    {"k: /dev/shm, advised populated", SHM, ADVICE_POPULATE},
    {"k: /dev/shm, collapsed", SHM, COLLAPSE},
    {"k: disk file", DISK, SMALL},
    {"heap array", HEAP, SMALL},
    {"shareable array", SHAREABLE, SMALL},
    {"named array", NAMED, SMALL},
    {"file array", FILE_ARRAY, SMALL},
};
#define KINDS ((int)(sizeof kinds / sizeof kinds[0]))

struct times { /* milliseconds */
    double create, first, next, close, reuse, huge;
};

static void
must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: ", what);
        perror(nds_last_error()->message);
        exit(1);
    }
}

static double
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- the floor: by all processors, in pieces ----------------------------- */

struct job {
    void (*piece)(char *at, size_t n);
    char *at;
    size_t nbytes;
    _Atomic size_t next;
};

static void *
work(void *ctx)
{
    struct job *j = ctx;
    size_t from;

    while ((from = atomic_fetch_add(&j->next, PIECE)) < j->nbytes) {
        size_t left = j->nbytes - from;

        j->piece(j->at + from, left < PIECE ? left : PIECE);
    }
    return NULL;
}

static void
by_all(void (*piece)(char *at, size_t n), char *at, size_t nbytes)
{
    struct job j = {.piece = piece, .at = at, .nbytes = nbytes};
    pthread_t threads[64];
    int n = nds_threads() < 64 ? nds_threads() : 64;
    int started = 0;

    while (nbytes > 2 * PIECE && started < n - 1 &&
           pthread_create(&threads[started], NULL, work, &j) == 0) {
        started++;
    }
    work(&j);
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void
write_all(char *at, size_t n)
{
    memset(at, 1, n);
}

static void
populate(char *at, size_t n)
{
    must(madvise(at, n, MADV_POPULATE_WRITE) == 0, "populate");
}

static void
populate_read(char *at, size_t n)
{
    must(madvise(at, n, MADV_POPULATE_READ) == 0, "populate to read");
}

static void
collapse(char *at, size_t n)
{
    for (size_t i = 0; i < n; i += HUGE) {
        at[i] = 0;
    }
    madvise(at, n & ~(HUGE - 1), MADV_COLLAPSE); // the kernel may refuse
}

/* ---- one piece of memory ------------------------------------------------- */

struct memory_of {
    nds_array *array; /* ours, or NULL */
    int fd;
    char *map;
    size_t nbytes;
};

static char *
map_aligned(int fd, size_t n, int prot)
{
    int kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    char *claim = mmap(NULL, n + HUGE, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *at = claim + (HUGE - (uintptr_t)claim % HUGE) % HUGE;

    must(claim != MAP_FAILED &&
             mmap(at, n, prot, kind | MAP_FIXED, fd, 0) == at, "map");
    munmap(claim, (size_t)(at - claim));
    n = (n + 4095) & ~(size_t)4095;
    munmap(at + n, (size_t)(claim + n + HUGE - (at + n)));
    return at;
}

static int
file_of(enum memory memory, size_t n)
{
    const char *tmp = getenv("TMPDIR");
    const char *shm = getenv("NDSHARE_SHM_DIR");
    int fd = memory == MEMFD ? memfd_create("bench", MFD_CLOEXEC)
             : memory == SHM ? open(shm != NULL ? shm : "/dev/shm",
                                    O_TMPFILE | O_RDWR, 0600)
                             : open(tmp != NULL ? tmp : "/var/tmp",
                                    O_TMPFILE | O_RDWR, 0600);

    must(fd >= 0 && ftruncate(fd, (off_t)n) == 0, "file");
    return fd;
}

static void
floor_new(struct memory_of *m, const struct kind *k, size_t n)
{
    m->fd = k->memory == ANON ? -1 : file_of(k->memory, n);
    if (k->memory == SHM && k->policy == SMALL) {
        must(posix_fallocate(m->fd, 0, (off_t)n) == 0, "reserve");
    }
    m->map = map_aligned(m->fd, n, PROT_READ | PROT_WRITE);
    m->nbytes = n;
    madvise(m->map, n, k->policy == ADVICE || k->policy == ADVICE_POPULATE
                           ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    if (k->policy == POPULATE || k->policy == ADVICE_POPULATE) {
        by_all(populate, m->map, n);
    } else if (k->policy == COLLAPSE) {
        madvise(m->map, n, MADV_HUGEPAGE);
        by_all(collapse, m->map, n);
    }
}

static const char *
disk_path(void)
{
    static char path[4096];
    const char *tmp = getenv("TMPDIR");

    snprintf(path, sizeof path, "%s/bench_mem_%d",
             tmp != NULL ? tmp : "/var/tmp", (int)getpid());
    return path;
}

static void
ours_new(struct memory_of *m, enum memory memory, size_t n)
{
    nds_array_options o = {.size = sizeof o,
                           .reach = memory == HEAP ? NDS_HEAP
                                                   : NDS_SHAREABLE};
    int64_t count = (int64_t)(n / 8);
    int rc = 0;

    if (memory == NAMED) {
        rc = nds_array_create(&m->array, SHM_NAME, NDS_FLOAT64, 1, &count,
                              &o);
    } else if (memory == FILE_ARRAY) {
        rc = nds_array_map_file(&m->array, disk_path(), NDS_CREATE,
                                NDS_FLOAT64, 1, &count, 'C', 0);
        unlink(disk_path());
    } else {
        rc = nds_array_new(&m->array, NDS_FLOAT64, 1, &count, &o);
    }
    must(rc == 0, "array");
}

static void
memory_new(struct memory_of *m, const struct kind *k, size_t n)
{
    *m = (struct memory_of){.fd = -1};
    if (k->memory >= HEAP) {
        ours_new(m, k->memory, n);
    } else {
        floor_new(m, k, n);
    }
}

static void
memory_write(struct memory_of *m)
{
    if (m->array != NULL) {
        must(nds_fill(nds_array_view(m->array), nds_float(1)) == 0, "fill");
    } else {
        by_all(write_all, m->map, m->nbytes);
    }
}

static void
memory_close(struct memory_of *m, const struct kind *k)
{
    nds_array_close(m->array);
    if (k->memory == NAMED) {
        nds_array_unlink(SHM_NAME);
    }
    if (m->map != NULL) {
        munmap(m->map, m->nbytes);
    }
    if (m->fd >= 0) {
        close(m->fd);
    }
}

/* The share of these bytes that lies in 2 MiB pages. */
static double
huge_share(char *p, size_t nbytes)
{
    nds_view v;
    nds_array *a = NULL;
    int64_t count = (int64_t)(nbytes / 8);
    size_t huge = 0;

    must(nds_view_init(&v, NDS_FLOAT64, p, nbytes, 1, &count) == 0 &&
             nds_array_from_memory(&a, &v, NULL, NULL) == 0 &&
             nds_block_huge(nds_array_block(a), &huge) == 0, "look");
    nds_array_close(a);
    nds_view_fini(&v);
    return (double)huge / (double)nbytes;
}

/* ---- each measurement in a process of its own ---------------------------- */

static void
in_child(void (*run)(void *ctx, double *out), void *ctx, double *out, int n)
{
    int ends[2], status;
    pid_t pid;

    fflush(stdout);
    must(pipe(ends) == 0, "pipe");
    pid = fork();
    if (pid == 0) {
        run(ctx, out);
        must(write(ends[1], out, (size_t)n * sizeof *out) ==
                 (ssize_t)((size_t)n * sizeof *out), "report");
        _exit(0);
    }
    close(ends[1]);
    must(read(ends[0], out, (size_t)n * sizeof *out) ==
             (ssize_t)((size_t)n * sizeof *out), "measure");
    close(ends[0]);
    must(waitpid(pid, &status, 0) == pid && status == 0, "child");
}

struct ask {
    const struct kind *kind;
    size_t nbytes;
    bool read_first; /* attach: populate before the sum */
};

static void
one_life(void *ctx, double *out)
{
    const struct ask *a = ctx;
    struct times *t = (struct times *)(void *)out;
    struct memory_of m;
    double at[6];

    at[0] = now_ms();
    memory_new(&m, a->kind, a->nbytes);
    at[1] = now_ms();
    memory_write(&m);
    at[2] = now_ms();
    t->huge = huge_share(m.array != NULL ? nds_array_data(m.array) : m.map,
                         a->nbytes);
    at[3] = now_ms();
    memory_write(&m);
    at[4] = now_ms();
    memory_close(&m, a->kind);
    at[5] = now_ms();
    memory_new(&m, a->kind, a->nbytes);
    memory_write(&m);
    t->reuse = now_ms() - at[5];
    memory_close(&m, a->kind);
    t->create = at[1] - at[0];
    t->first = at[2] - at[1];
    t->next = at[4] - at[3];
    t->close = at[5] - at[4];
}

static double
median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, bench_by_value);
    return x[n / 2];
}

static const char *
size_text(size_t n)
{
    static char text[32];

    if (n % 1000000 == 0) {
        snprintf(text, sizeof text, "%zu MB", n / 1000000);
    } else if (n % ((size_t)1 << 20) == 0) {
        snprintf(text, sizeof text, "%zu MiB", n >> 20);
    } else {
        snprintf(text, sizeof text, "%zu KiB", n >> 10);
    }
    return text;
}

static void
lives(size_t nbytes, int rounds, const char *part)
{
    static double got[KINDS][6][ROUNDS];
    char name[96];

    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < KINDS; i++) {
            struct ask a = {&kinds[i], nbytes, false};
            double t[6];

            if (strstr(kinds[i].name, part) == NULL) {
                continue;
            }
            in_child(one_life, &a, t, 6);
            for (int k = 0; k < 6; k++) {
                got[i][k][r] = t[k];
            }
        }
    }
    printf("%-32s  create   first    next   close   reuse ms   create+first"
           "  reuse GB/s  2 MiB\n", size_text(nbytes));
    for (int i = 0; i < KINDS; i++) {
        double m[6];

        if (strstr(kinds[i].name, part) == NULL) {
            continue;
        }
        for (int k = 0; k < 6; k++) {
            m[k] = median(got[i][k], rounds);
        }
        printf("%-32s %7.3f %7.3f %7.3f %7.3f %7.3f %12.2f %13.2f %6.0f %%\n",
               kinds[i].name, m[0], m[1], m[2], m[3], m[4],
               (double)nbytes / (m[0] + m[1]) * 1e-6,
               (double)nbytes / m[4] * 1e-6, m[5] * 100);
        if (kinds[i].memory >= HEAP) {
            snprintf(name, sizeof name, "%s %s, create and write",
                     kinds[i].name, size_text(nbytes));
            bench_say(name, m[0] + m[1], "ms");
            snprintf(name, sizeof name, "%s %s, again", kinds[i].name,
                     size_text(nbytes));
            bench_say(name, m[4], "ms");
        }
    }
}

/* ---- attach -------------------------------------------------------------- */

static double
sum_ms(const nds_view *v)
{
    double start = now_ms();
    nds_scalar s;

    must(nds_sum(&s, v) == 0, "sum");
    return now_ms() - start;
}

static int attach_fd; /* the floor's file */

/* out: until the first sum is there, the sum when it is mapped, 2 MiB share */
static void
one_attach(void *ctx, double *out)
{
    const struct ask *a = ctx;
    int64_t count = (int64_t)(a->nbytes / 8);
    nds_array *x = NULL;
    nds_view v;
    char *map = NULL;
    double start = now_ms();

    if (a->kind->memory == NAMED) {
        must(nds_array_attach(&x, SHM_NAME, NDS_READ, 0) == 0, "attach");
        nds_view_copy(&v, nds_array_view(x));
    } else {
        map = map_aligned(attach_fd, a->nbytes, PROT_READ);
        if (a->read_first) {
            by_all(populate_read, map, a->nbytes);
        }
        must(nds_view_init(&v, NDS_FLOAT64, map, a->nbytes, 1, &count) == 0,
             "view");
    }
    sum_ms(&v);
    out[0] = now_ms() - start;
    sum_ms(&v);
    out[1] = sum_ms(&v);
    out[2] = huge_share(v.data, a->nbytes);
    nds_view_fini(&v);
    nds_array_close(x);
}

static void
attaches(size_t nbytes, int rounds)
{
    static const struct kind floor_4k = {"k: 4 KiB pages", SHM, SMALL};
    static const struct kind floor_2m = {"k: 2 MiB pages", SHM, COLLAPSE};
    static const struct kind named = {"named array", NAMED, SMALL};
    const struct ask asks[] = {{&floor_4k, nbytes, false},
                               {&floor_4k, nbytes, true},
                               {&floor_2m, nbytes, false},
                               {&floor_2m, nbytes, true},
                               {&named, nbytes, false}};
    static double got[5][4][ROUNDS];
    char name[96];

    printf("%-32s  attach and sum ms    warm sum ms   of warm   2 MiB\n",
           size_text(nbytes));
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < 5; i++) {
            struct ask a = asks[i];
            struct memory_of m;
            double t[3];

            // Ours closes before anybody attaches; the name stays.
            memory_new(&m, a.kind, nbytes);
            memory_write(&m);
            attach_fd = m.fd;
            if (m.map != NULL) {
                munmap(m.map, nbytes); // no page tables for the child of fork
            }
            m.map = NULL;
            nds_array_close(m.array);
            m.array = NULL;
            in_child(one_attach, &a, t, 3);
            memory_close(&m, a.kind);
            got[i][0][r] = t[0];
            got[i][1][r] = t[1];
            got[i][2][r] = t[1] / t[0];
            got[i][3][r] = t[2];
        }
    }
    for (int i = 0; i < 5; i++) {
        double first = median(got[i][0], rounds);

        printf("%-20s %-11s %18.2f %14.2f %9.2f %6.0f %%\n",
               asks[i].kind->name, asks[i].read_first ? "populated" : "",
               first, median(got[i][1], rounds), median(got[i][2], rounds),
               median(got[i][3], rounds) * 100);
    }
    snprintf(name, sizeof name, "attach and sum %s", size_text(nbytes));
    bench_say(name, median(got[4][0], rounds), "ms");
}

/* ---- queues -------------------------------------------------------------- */

#define ITEMS 40

static double
pss_of(pid_t pid)
{
    char path[64], line[256];
    double kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "Pss:", 4) == 0) {
            kib = atof(line + 4);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kib * 1024;
}

struct watch { /* shared with the children */
    /* 1 there is an array, 2 observed, 3 the consumer waited, 4 over */
    _Atomic int stage;
    double before, most, flight, after;
    int looks;
};

static void
consume(nds_queue *q, struct watch *w)
{
    nds_array *a;
    nds_scalar s;

    for (int i = 0; i < 2 * ITEMS; i++) {
        must(nds_queue_get(q, &a, NULL, NDS_SEC(30)) == 0 &&
                 nds_sum(&s, nds_array_view(a)) == 0, "get");
        nds_array_close(a);
    }
    must(nds_queue_get(q, &a, NULL, NDS_SEC(3) / 2) == NDS_ETIMEDOUT, "wait");
    atomic_store(&w->stage, 3);
    while (atomic_load(&w->stage) != 4) {
        usleep(1000);
    }
    _exit(0);
}

static bool
all_stopped(pid_t pid)
{
    char path[320], text[512];
    struct dirent *e;
    bool all = true;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    d = opendir(path);
    must(d != NULL, "tasks");
    while ((e = readdir(d)) != NULL) {
        const char *state;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid,
                 e->d_name);
        f = e->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (f != NULL && fgets(text, sizeof text, f) != NULL) {
            state = strrchr(text, ')');
            all = all && state != NULL && strchr("TZX", state[2]) != NULL;
        }
        if (f != NULL) {
            fclose(f);
        }
    }
    closedir(d);
    return all;
}

static void
in_flight(nds_queue *q, struct watch *w)
{
    nds_queue_info info = {.size = sizeof info};
    double flight;

    must(nds_queue_info_get(q, &info) == 0, "info");
    flight = (double)info.bytes_used;
    w->flight = flight > w->flight ? flight : w->flight;
}

/* Both stand still, so that nothing changes under it. */
static void
look(nds_queue *q, struct watch *w, pid_t a, pid_t b)
{
    double held;

    must(kill(a, SIGSTOP) == 0 && kill(b, SIGSTOP) == 0, "stop");
    while (!all_stopped(a) || !all_stopped(b)) {
    }
    in_flight(q, w);
    held = pss_of(a) + pss_of(b) - w->before;
    kill(a, SIGCONT);
    kill(b, SIGCONT);
    w->most = held > w->most ? held : w->most;
    w->after = held;
    w->looks++;
}

static void
observe(nds_queue *q, struct watch *w, pid_t a, pid_t b)
{
    // In front of both, or moments are missed in which much is in flight.
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}) < 0) {
        perror("no real-time priority: what is in flight may be more");
    }
    w->before = pss_of(a) + pss_of(b);
    atomic_store(&w->stage, 2);
    for (int stage = 2; stage != 3;) {
        stage = atomic_load(&w->stage);
        look(q, w, a, b);
        for (int i = rand() % 100; i > 0; i--) { // it changes faster
            in_flight(q, w);
            usleep(20);
        }
    }
    atomic_store(&w->stage, 4);
    _exit(0);
}

static void
produce(nds_queue *q, struct watch *w, nds_array *a, int64_t count)
{
    nds_array *part;
    char text[48];

    while (atomic_load(&w->stage) != 2) {
        usleep(1000);
    }
    for (int i = 0; i < 2 * ITEMS; i++) {
        snprintf(text, sizeof text, "[:%lld]",
                 i < ITEMS ? (long long)count
                           : (long long)(count - i % 5 * count / 5));
        must(nds_array_slice(&part, a, text) == 0 &&
                 nds_queue_put(q, part, NULL, NDS_SEC(30)) == 0, "put");
        nds_array_close(part);
    }
    while (atomic_load(&w->stage) != 4) {
        usleep(1000);
    }
    _exit(0);
}

static void
queue_memory(size_t nbytes)
{
    nds_queue_options o = {.size = sizeof o, .max_items = 4};
    struct watch *w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int64_t count = (int64_t)(nbytes / 8);
    nds_queue *q;
    nds_array *a;
    pid_t consumer, producer, observer;

    must(w != MAP_FAILED && nds_queue_new(&q, &o) == 0, "queue");
    consumer = fork();
    if (consumer == 0) {
        consume(q, w);
    }
    producer = fork();
    if (producer == 0) {
        must(nds_array_new(&a, NDS_FLOAT64, 1, &count, NULL) == 0 &&
                 nds_fill(nds_array_view(a), nds_float(1)) == 0, "array");
        atomic_store(&w->stage, 1);
        produce(q, w, a, count);
    }
    while (atomic_load(&w->stage) != 1) {
        usleep(1000);
    }
    observer = fork();
    if (observer == 0) {
        observe(q, w, producer, consumer);
    }
    must(waitpid(consumer, NULL, 0) == consumer &&
             waitpid(producer, NULL, 0) == producer &&
             waitpid(observer, NULL, 0) == observer, "children");
    printf("queue of 4 x %-10s held at most %7.1f MB, in flight at most "
           "%7.1f MB, after it %6.1f MB (%d looks)\n", size_text(nbytes),
           w->most / 1e6, w->flight / 1e6, w->after / 1e6, w->looks);
    munmap(w, sizeof *w);
    nds_queue_close(q);
}

int
main(int argc, char **argv)
{
    static const size_t usual[] = {(size_t)64 << 10, (size_t)8 << 20,
                                   (size_t)80 << 20};
    // A comparison of libraries has no use for the floor.
    const char *part = getenv("NDS_BENCH_FIGURES") != NULL ? "array" : "";
    bool attach = false, queue = false;
    int rounds = 7, c;

    while ((c = getopt(argc, argv, "n:k:aq")) != -1) {
        if (c == 'n') {
            rounds = atoi(optarg);
        } else if (c == 'k') {
            part = optarg;
        } else if (c == 'a') {
            attach = true;
        } else if (c == 'q') {
            queue = true;
        } else {
            return 2;
        }
    }
    rounds = rounds < 1 ? 1 : rounds > ROUNDS ? ROUNDS : rounds;
    nds_name_unlink(SHM_NAME); // of a run that was interrupted
    for (int i = 0; i < (optind < argc ? argc - optind : 3); i++) {
        size_t n = optind < argc ? (size_t)strtoull(argv[optind + i], NULL, 10)
                                 : usual[i];

        if (queue) {
            queue_memory(n);
        } else if (attach) {
            attaches(n, rounds);
        } else {
            lives(n, rounds, part);
        }
    }
    return 0;
}
