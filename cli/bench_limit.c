/* SPDX-License-Identifier: MIT */
/*
 * bench_limit.c - passes over memory, and words between two processors
 *
 * A small array's passes stay in one processor's cache; handed over it must
 * cross to another's. What that costs at least is measured too, bare: one
 * thread writes, another reads, a word between them.
 */
#include "bench_limit.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIAL_NS 30e6 /* of each pass; twice at least */
#define THREADS_MAX 16
#define THREADS_FROM ((int64_t)256 << 10) /* bytes */

/* ---- passes over memory ------------------------------------------------- */
typedef double four __attribute__((vector_size(32), aligned(8)));

/* Bound by memory: eight independent sums of four. */
#define ADD_UP(x, n, sum)                                                     \
    do {                                                                      \
        four s_[8] = {{0}};                                                   \
        size_t i_ = 0;                                                        \
        for (; i_ + 32 <= (n); i_ += 32) {                                    \
            for (int k_ = 0; k_ < 8; k_++) {                                  \
                s_[k_] += *(const four *)(const void *)((x) + i_ + 4 * k_);   \
            }                                                                 \
        }                                                                     \
        for (int k_ = 0; k_ < 8; k_++) {                                      \
            (sum) += s_[k_][0] + s_[k_][1] + s_[k_][2] + s_[k_][3];           \
        }                                                                     \
        for (; i_ < (n); i_++) {                                              \
            (sum) += (x)[i_];                                                 \
        }                                                                     \
    } while (0)

static double
add_up(const double *x, size_t n)
{
    double sum = 0;

    ADD_UP(x, n, sum);
    return sum;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static double
add_up_wide(const double *x, size_t n)
{
    double sum = 0;

    ADD_UP(x, n, sum);
    return sum;
}
#endif

double
bench_add_up(const double *x, size_t n)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        return add_up_wide(x, n);
    }
#endif
    return add_up(x, n);
}

static _Atomic double sink; // what is read must be used

static void
read_pass(char *to, char *from, size_t n)
{
    (void)to;
    atomic_store_explicit(&sink, bench_add_up((double *)(void *)from, n / 8),
                          memory_order_relaxed);
}

static void
copy_pass(char *to, char *from, size_t n)
{
    memcpy(to, from, n);
    __asm__ volatile("" : : "r"(to) : "memory");
}

static void
write_pass(char *to, char *from, size_t n)
{
    (void)from;
    memset(to, 1, n);
    __asm__ volatile("" : : "r"(to) : "memory");
}

/* Pieces are taken in turn, so it works with as many threads as started. */
struct crew {
    void (*pass)(char *to, char *from, size_t n);
    char *to, *from;
    size_t nbytes, piece;
    _Atomic size_t next;
    _Atomic int ready, left;
    _Atomic bool go;
};

static void *
crew_work(void *arg)
{
    struct crew *c = arg;
    size_t at;

    atomic_fetch_add(&c->ready, 1);
    while (!atomic_load(&c->go)) {
    }
    while ((at = atomic_fetch_add(&c->next, c->piece)) < c->nbytes) {
        size_t n = c->nbytes - at < c->piece ? c->nbytes - at : c->piece;

        c->pass(c->to + at, c->from + at, n);
    }
    atomic_fetch_sub(&c->left, 1);
    return NULL;
}

/* One pass by at most `threads`, ns. */
static double
timed(struct crew *c, int threads)
{
    pthread_t others[THREADS_MAX];
    int count = 0;
    double from;

    atomic_store(&c->next, 0);
    atomic_store(&c->ready, 0);
    atomic_store(&c->go, false);
    c->piece = threads == 1 ? c->nbytes : c->nbytes / 4 / (size_t)threads;
    c->piece = (c->piece + 63) / 64 * 64;
    while (count < threads - 1 &&
           pthread_create(&others[count], NULL, crew_work, c) == 0) {
        count++;
    }
    atomic_store(&c->left, count + 1);
    while (atomic_load(&c->ready) < count) {
    }
    from = bench_now_ns();
    atomic_store(&c->go, true);
    crew_work(c);
    while (atomic_load(&c->left) > 0) {
    }
    from = bench_now_ns() - from;
    for (int i = 0; i < count; i++) {
        pthread_join(others[i], NULL);
    }
    return from;
}

static void
keep_least(double *least, double ns)
{
    *least = *least == 0 || ns < *least ? ns : *least;
}

static void
trials(struct bench_pass *p, struct crew *c)
{
    int all = (int)sysconf(_SC_NPROCESSORS_ONLN);

    all = all > THREADS_MAX ? THREADS_MAX : all;
    for (int threads = 1; threads <= all; threads += all > 1 ? all - 1 : 1) {
        double end = bench_now_ns() + TRIAL_NS;

        if (threads > 1 && c->nbytes < THREADS_FROM) {
            return;
        }
        for (int i = 0; i < 2 || bench_now_ns() < end; i++) {
            double ns = timed(c, threads);

            keep_least(&p->best, ns);
            if (threads == 1) {
                keep_least(&p->one, ns);
            }
        }
    }
}

/* A pass so short that the clock would be most of it is made many at once. */
static void
short_trials(struct bench_pass *p, struct crew *c)
{
    double end = bench_now_ns() + TRIAL_NS;
    int times = (int)(65536 / c->nbytes) + 1;

    do {
        double from = bench_now_ns();

        for (int i = 0; i < times; i++) {
            c->pass(c->to, c->from, c->nbytes);
        }
        keep_least(&p->one, (bench_now_ns() - from) / times);
    } while (bench_now_ns() < end);
    p->best = p->one;
}

/* ---- from one processor to another -------------------------------------- */
#define BARE_SLOTS 4
#define BARE_END UINT32_MAX

struct bare {
    void (*pass)(char *to, char *from, size_t n);
    char *slots, *from;
    size_t nbytes;
    _Alignas(64) _Atomic uint32_t filled; /* BARE_END: no more */
    _Alignas(64) _Atomic uint32_t read;
};

/* Spins until the word is not `value`; on a busy machine the other thread may
 * need this processor. */
static uint32_t
spin_while(_Atomic uint32_t *word, uint32_t value)
{
    uint32_t seen;

    for (int i = 1; (seen = atomic_load_explicit(
                         word, memory_order_acquire)) == value; i++) {
        if (i % 4096 == 0) {
            sched_yield();
        }
    }
    return seen;
}

static void *
bare_reader(void *arg)
{
    struct bare *b = arg;

    for (uint32_t i = 0; spin_while(&b->filled, i) != BARE_END; i++) {
        read_pass(NULL, b->slots + i % BARE_SLOTS * b->nbytes, b->nbytes);
        atomic_store_explicit(&b->read, i + 1, memory_order_release);
    }
    return NULL;
}

/* ns an item, of at most `items`; ahead: how many may be in flight. */
static double
bare_time(struct bare *b, uint32_t items, uint32_t ahead)
{
    double from, end = bench_now_ns() + TRIAL_NS;
    pthread_t reader;
    uint32_t i = 0;

    atomic_store(&b->filled, 0);
    atomic_store(&b->read, 0);
    if (pthread_create(&reader, NULL, bare_reader, b) != 0) {
        return 0;
    }
    from = bench_now_ns();
    do {
        while (i - atomic_load_explicit(&b->read, memory_order_acquire) >=
               ahead) {
            spin_while(&b->read, i - ahead);
        }
        b->pass(b->slots + i % BARE_SLOTS * b->nbytes, b->from, b->nbytes);
        atomic_store_explicit(&b->filled, ++i, memory_order_release);
    } while (i < items && (i % 64 != 0 || bench_now_ns() < end));
    while (atomic_load_explicit(&b->read, memory_order_acquire) < i) {
        spin_while(&b->read, i - 1);
    }
    from = bench_now_ns() - from;
    atomic_store(&b->filled, BARE_END);
    pthread_join(reader, NULL);
    return from / i;
}

static void
bare_trials(double *least, struct bare *b, uint32_t ahead)
{
    // The thread's start is shared by many.
    uint32_t items = b->nbytes <= 65536 ? 4096 : b->nbytes <= 4 << 20 ? 64 : 8;
    double end = bench_now_ns() + TRIAL_NS;

    for (int i = 0; i < 3 || bench_now_ns() < end; i++) {
        double ns = bare_time(b, items, ahead);

        if (ns > 0) {
            keep_least(least, ns);
        }
    }
}

static void
measure_bare(struct bench_size_limits *s, size_t n)
{
    size_t room = (n * (BARE_SLOTS + 1) + (2u << 20)) & ~((2u << 20) - 1);
    struct bare b = {.nbytes = n};

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || n > 256000000) {
        return;
    }
    b.slots = mmap(NULL, room, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b.slots == MAP_FAILED) {
        return;
    }
    madvise(b.slots, room, MADV_HUGEPAGE);
    memset(b.slots, 0, room);
    b.from = b.slots + BARE_SLOTS * n;
    b.pass = copy_pass;
    bare_trials(&s->bare_copy, &b, 1);
    bare_trials(&s->bare_copies, &b, BARE_SLOTS);
    b.pass = write_pass;
    bare_trials(&s->bare_write, &b, 1);
    bare_trials(&s->bare_writes, &b, BARE_SLOTS);
    munmap(b.slots, room);
}

static int
measure_size(struct bench_size_limits *s)
{
    size_t n = (size_t)s->nbytes, room = (n + (2u << 20)) & ~((2u << 20) - 1);
    char *memory = mmap(NULL, 2 * room, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct crew c = {.to = memory, .from = memory + room, .nbytes = n};
    const struct {
        void (*pass)(char *to, char *from, size_t n);
        struct bench_pass *p;
    } passes[] = {{copy_pass, &s->copy}, {read_pass, &s->read},
                  {write_pass, &s->write}};

    if (memory == MAP_FAILED) {
        cli_remark("no memory for twice %lld bytes", (long long)s->nbytes);
        return CLI_FAILED;
    }
    madvise(memory, 2 * room, MADV_HUGEPAGE);
    memset(memory, 0, 2 * room);
    for (int i = 0; i < 3; i++) {
        c.pass = passes[i].pass;
        (n <= 65536 ? short_trials : trials)(passes[i].p, &c);
    }
    munmap(memory, 2 * room);
    measure_bare(s, n);
    return CLI_OK;
}

/* ---- words between processors ------------------------------------------- */
#define TRIPS_NS 50e6

struct words {
    _Alignas(64) _Atomic uint32_t there;
    _Alignas(64) _Atomic uint32_t back;
    _Atomic bool sleeps;
};

static void
await(struct words *w, _Atomic uint32_t *word, uint32_t value)
{
    uint32_t seen;

    while ((seen = atomic_load(word)) != value) {
        if (w->sleeps) {
            syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
        }
    }
}

static void
say(struct words *w, _Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    if (w->sleeps) {
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

/* Value 0 ends the other side, or 1 as its first and last. */
static _Noreturn void
echo(struct words *w, bool once, pid_t parent)
{
    bench_end_with(parent);
    for (uint32_t i = 1;; i++) {
        if (!once) {
            await(w, &w->there, i);
        }
        say(w, &w->back, i);
        if (once) {
            _exit(0);
        }
    }
}

static double
round_trip(struct words *w, bool sleeps)
{
    struct bench_hist *h = calloc(1, sizeof *h);
    double end = bench_now_ns() + TRIPS_NS, median = -1;
    pid_t pid, parent = getpid();

    memset(w, 0, sizeof *w);
    w->sleeps = sleeps;
    pid = h != NULL ? fork() : -1;
    if (pid == 0) {
        echo(w, false, parent);
    }
    for (uint32_t i = 1; pid > 0 && (i < 100 || bench_now_ns() < end); i++) {
        double from = bench_now_ns();

        say(w, &w->there, i);
        await(w, &w->back, i);
        bench_hist_add(h, (uint64_t)(bench_now_ns() - from));
    }
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        median = bench_hist_quantile(h, 0.5);
    }
    free(h);
    return median;
}

/* A process: until its first word by fork, until its end by exec; the least of
 * all, or 0. */
static double
process(struct words *w, bool exec)
{
    double end = bench_now_ns() + TRIPS_NS, least = 0;
    char *argv[] = {"true", NULL}, *envp[] = {NULL};
    pid_t parent = getpid();

    for (int i = 0; i < 5 || bench_now_ns() < end; i++) {
        double from;
        pid_t pid;

        memset(w, 0, sizeof *w);
        w->sleeps = true;
        from = bench_now_ns();
        if (exec) {
            if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp) != 0) {
                break;
            }
            waitpid(pid, NULL, 0);
            keep_least(&least, bench_now_ns() - from);
            continue;
        }
        pid = fork();
        if (pid == 0) {
            echo(w, true, parent);
        }
        if (pid < 0) {
            break;
        }
        await(w, &w->back, 1);
        keep_least(&least, bench_now_ns() - from);
        waitpid(pid, NULL, 0);
    }
    return least;
}

static void
keep_shorter(double *kept, double ns)
{
    if (ns > 0 && (*kept <= 0 || ns < *kept)) {
        *kept = ns;
    }
}

static int
measure_words(struct bench_limits *l)
{
    struct words *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (w == MAP_FAILED) {
        return CLI_FAILED;
    }
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        keep_shorter(&l->spin, round_trip(w, false));
    }
    keep_shorter(&l->futex, round_trip(w, true));
    keep_shorter(&l->fork, process(w, false));
    keep_shorter(&l->exec, process(w, true));
    munmap(w, 4096);
    return CLI_OK;
}

int
bench_limits_measure(struct bench_limits *l, const struct bench_options *o)
{
    int rc = measure_words(l);

    l->count = o->nsizes;
    for (int i = 0; i < o->nsizes && rc == CLI_OK && !bench_stopped; i++) {
        l->sizes[i].nbytes = o->sizes[i];
        rc = measure_size(&l->sizes[i]);
    }
    return rc;
}

/* ---- the limit of a cell ------------------------------------------------ */
const struct bench_size_limits *
bench_limits_at(const struct bench_limits *l, int64_t nbytes)
{
    for (int i = 0; i < l->count; i++) {
        if (l->sizes[i].nbytes == nbytes) {
            return &l->sizes[i];
        }
    }
    return NULL;
}

/* Each of n processes does it: all of the memory's rate, or each processor at
 * its own, whichever is shorter. */
static double
by_each(const struct bench_pass *p, int n)
{
    int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    double rounds = (n + processors - 1) / processors;

    return rounds * p->one < n * p->best ? rounds * p->one : n * p->best;
}

double
bench_limit_of(const struct bench_limits *l, const struct bench_cell *c,
               char what[64])
{
    const struct bench_size_limits *s = bench_limits_at(l, c->nbytes);
    double word = l->spin > 0 && l->spin < l->futex ? l->spin : l->futex;
    const char *first = "", *last = "round trip";
    double ns = word;

    if (s == NULL) {
        return -1;
    }
    if (c->kind == BENCH_TRIPS && c->way != 9) { // nobody reads it
        snprintf(what, 64, c->loan ? "round trip" : "2 memcpy + round trip");
        return c->loan ? word : word + 2 * s->copy.best;
    }
    if (c->kind == BENCH_RATE) {
        bool writes = s->write.best > s->read.best;

        snprintf(what, 64, !c->loan ? "memcpy" : writes ? "write" : "read");
        return !c->loan ? s->copy.best
                        : writes ? s->write.best : s->read.best;
    }
    if (c->way <= 2) {
        bool image = c->start == NDS_SPAWN;

        ns = c->processes * (image ? l->exec : l->fork);
        last = image ? "spawn" : "fork";
    }
    ns += by_each(&s->read, c->processes);
    if (c->loan) {
        ns += c->processes * s->write.best;
        first = "write + ";
    } else if (bench_way_lends(c->way) ||
               (c->way == 1 && c->start != NDS_FORK)) {
        ns += c->processes * s->copy.best;
        first = "memcpy + ";
    }
    snprintf(what, 64, "%sread + %s", first, last);
    return ns;
}

double
bench_bare_of(const struct bench_limits *l, const struct bench_cell *c)
{
    const struct bench_size_limits *s = bench_limits_at(l, c->nbytes);

    if (s == NULL || s->bare_copy <= 0 || !bench_way_lends(c->way) ||
        c->processes > 1 || c->kind == BENCH_TRIPS) {
        return -1;
    }
    if (c->kind == BENCH_RATE) {
        return c->loan ? s->bare_writes : s->bare_copies;
    }
    return c->loan ? s->bare_write : s->bare_copy;
}

void
bench_limits_apply(const struct bench_limits *l, enum bench_kind kind,
                   json_t *entries)
{
    char what[64];
    json_t *e;
    size_t i;

    json_array_foreach(entries, i, e)
    {
        struct bench_cell c = {
            .kind = kind, .way = bench_int(e, "way"),
            .loan = strcmp(bench_string(e, "variant"), "loan") == 0,
            .nbytes = (int64_t)bench_number(e, "nbytes"),
            .start = bench_start_of(bench_string(e, "start")),
            .processes = bench_int(e, "processes")};
        double ns = bench_limit_of(l, &c, what);
        double bare = bench_bare_of(l, &c);

        json_object_set_new(e, "limit_ns", json_real(ns));
        json_object_set_new(e, "limit", json_string(what));
        json_object_set_new(e, "fraction",
                            json_real(ns / bench_number(e, "median_ns")));
        if (bare > 0) {
            json_object_set_new(e, "bare_ns", json_real(bare));
            json_object_set_new(
                e, "bare_fraction",
                json_real(bare / bench_number(e, "median_ns")));
        }
    }
}

json_t *
bench_limits_json(const struct bench_limits *l)
{
    json_t *all = json_array();

    for (int i = 0; i < l->count; i++) {
        const struct bench_size_limits *s = &l->sizes[i];

        json_array_append_new(
            all, json_pack("{s:I, s:f, s:f, s:f}", "nbytes",
                           (json_int_t)s->nbytes, "memcpy_ns", s->copy.best,
                           "read_ns", s->read.best, "write_ns",
                           s->write.best));
    }
    return all;
}

json_t *
bench_round_trips_json(const struct bench_limits *l)
{
    json_t *all = json_pack("{s:f, s:f, s:f}", "futex_ns", l->futex,
                            "fork_ns", l->fork, "spawn_ns", l->exec);

    json_object_set_new(all, "spin_ns",
                        l->spin > 0 ? json_real(l->spin) : json_null());
    return all;
}
