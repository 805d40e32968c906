/* SPDX-License-Identifier: MIT */
/*
 * bench_chan.c - what a channel costs, between two processes
 *
 *     bench_chan [small | large [MiB] | move [bytes, default 800000000] | back]
 *
 * small   round trip of 1 KiB through a two-way pipe and through two queues,
 *         and 1 KiB a second through a queue, singly and in runs of 64; beside
 *         a bare ring that copies and waits alike (bench_ring.h)
 * large   1, 8 and 80 MiB through a queue, by value and by loan, each one added
 *         up by who gets it: one at a time, four in flight ("many") and two;
 *         beside what the same passes over memory take in one process; beside
 *         what they take in two at once, each over memory of its own, so that
 *         only the lines' way from one to the other is left out; and beside a
 *         bare ring
 * move    the time from send_move until a process that waits has read the
 *         first and last byte
 * back    an array that is moved there and back again, added up and filled on
 *         either side by one thread; beside the same two passes alone. What it
 *         takes with NDSHARE_KEEP=0 is without mappings that stay
 *
 * All four without a word. Rounds go over what is compared in turn: figures
 * are medians over rounds, fractions medians of those within one. Each of the
 * two processes has a processor of its own if there are two. Not part of the
 * test run.
 */
#include "bench.h"
#include "bench_ring.h"
#include "bench_two.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define ROUNDS 7
#define TRIPS 8000
#define MESSAGES 200000
#define RUN 64
#define MOVES 9
#define BACKS 501
#define SMALL 1024 /* bytes */
#define MIB (1 << 20)
#define DEPTH 4 /* large items in flight */
#define WARM 16 /* until the memory of all of them has been touched */

static double
median(const double *v, int n)
{
    double sorted[ROUNDS * 4];

    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *v, bench_by_value);
    return sorted[n / 2];
}

/* ---- 1 KiB -------------------------------------------------------------- */

static nds_array *item;
static nds_queue *to, *from;
static nds_pipe *left, *right;
/* As nothing is in them, which both processes begin with. */
static struct bench_side ring_to, ring_from;
static double took[TRIPS];

static void
ring_begin(struct bench_side *s)
{
    s->mine = s->seen = atomic_load(&s->ring->sent.value);
}

static void
queue_there(int n)
{
    nds_array *y;

    for (int i = 0; i < n; i++) {
        must(nds_queue_get(to, &y, NULL, NDS_SEC(30)), "get");
        must(nds_queue_put(from, y, NULL, NDS_SEC(30)), "put");
        nds_array_close(y);
    }
}

static void
queue_here(int n)
{
    nds_array *y;

    for (int i = 0; i < n; i++) {
        double t = now();

        must(nds_queue_put(to, item, NULL, NDS_SEC(30)), "put");
        must(nds_queue_get(from, &y, NULL, NDS_SEC(30)), "get");
        nds_array_close(y);
        took[i] = now() - t;
    }
}

static void
pipe_there(int n)
{
    nds_array *y;

    for (int i = 0; i < n; i++) {
        must(nds_pipe_recv(right, &y, NULL, NDS_SEC(30)), "recv");
        must(nds_pipe_send(right, y, NULL, NDS_SEC(30)), "send");
        nds_array_close(y);
    }
}

static void
pipe_here(int n)
{
    nds_array *y;

    for (int i = 0; i < n; i++) {
        double t = now();

        must(nds_pipe_send(left, item, NULL, NDS_SEC(30)), "send");
        must(nds_pipe_recv(left, &y, NULL, NDS_SEC(30)), "recv");
        nds_array_close(y);
        took[i] = now() - t;
    }
}

static void
ring_put(struct bench_side *s, const void *payload)
{
    memcpy(bench_ring_loan(s), payload, SMALL);
    bench_ring_publish(s);
}

static void
ring_get(struct bench_side *s, void *payload)
{
    memcpy(payload, bench_ring_take(s), SMALL);
    bench_ring_drop(s);
}

static void
ring_there(int n)
{
    struct bench_side in = ring_to, out = ring_from;
    char payload[SMALL];

    for (int i = 0; i < n; i++) {
        ring_get(&in, payload);
        ring_put(&out, payload);
    }
}

static void
ring_here(int n)
{
    struct bench_side out = ring_to, in = ring_from;
    char payload[SMALL];

    for (int i = 0; i < n; i++) {
        double t = now();

        ring_put(&out, nds_array_data(item));
        ring_get(&in, payload);
        took[i] = now() - t;
    }
}

static void
put_all(int run)
{
    nds_array *in[RUN];

    for (int i = 0; i < RUN; i++) {
        in[i] = item;
    }
    for (int i = 0, done = 1; i < MESSAGES; i += done) {
        int n = MESSAGES - i < run ? MESSAGES - i : run;

        must(run == 1 ? nds_queue_put(to, item, NULL, NDS_SEC(30))
                      : nds_queue_put_many(to, n, in, NULL, NDS_SEC(30),
                                           &done),
             "put");
    }
}

static void
get_all(int run)
{
    nds_array *y[RUN];

    for (int i = 0, count = 1; i < MESSAGES; i += count) {
        must(run == 1 ? nds_queue_get(to, y, NULL, NDS_SEC(30))
                      : nds_queue_get_many(to, run, y, NULL, NDS_SEC(30),
                                           &count),
             "get");
        for (int k = 0; k < count; k++) {
            nds_array_close(y[k]);
        }
    }
}

static void
ring_put_all(int run)
{
    struct bench_side out = ring_to;

    (void)run;
    for (int i = 0; i < MESSAGES; i++) {
        ring_put(&out, nds_array_data(item));
    }
}

static void
ring_get_all(int run)
{
    struct bench_side in = ring_to;
    char payload[SMALL];

    (void)run;
    for (int i = 0; i < MESSAGES; i++) {
        ring_get(&in, payload);
    }
}

static const struct trip {
    const char *name;
    void (*here)(int n), (*there)(int n);
} trips[] = {
    {"bare ring, 1 KiB round trip", ring_here, ring_there},
    {"pipe, 1 KiB round trip", pipe_here, pipe_there},
    {"queues, 1 KiB round trip", queue_here, queue_there},
};

static const struct rate {
    const char *name;
    void (*here)(int run), (*there)(int run);
    int run;
} rates[] = {
    {"bare ring, 1 KiB", ring_put_all, ring_get_all, 1},
    {"queue, 1 KiB, singly", put_all, get_all, 1},
    {"queue, 1 KiB, in runs", put_all, get_all, RUN},
};

static void
small(void)
{
    nds_pipe_options duplex = {.size = sizeof duplex, .duplex = true};
    nds_queue_options opts = {.size = sizeof opts, .max_items = 1024};
    double mid[3][ROUNDS], late[3][ROUNDS], times[3][ROUNDS];
    struct way_between between = {0};

    item = array_of(SMALL);
    must(nds_queue_new(&to, &opts), "queue");
    must(nds_queue_new(&from, &opts), "queue");
    must(nds_pipe_new(&left, &right, &duplex), "pipe");
    ring_to.ring = bench_ring_new(1024, SMALL, true);
    ring_from.ring = bench_ring_new(1024, SMALL, true);
    must(ring_to.ring != NULL && ring_from.ring != NULL ? 0 : NDS_ENOMEM,
         "ring");
    for (int r = 0; r < ROUNDS; r++) {
        look_between(&between);
        for (int w = 0; w < 3; w++) {
            ring_begin(&ring_to);
            ring_begin(&ring_from);
            both(trips[w].here, trips[w].there, TRIPS);
            qsort(took, TRIPS, sizeof *took, bench_by_value);
            mid[w][r] = took[TRIPS / 2] * 1e6;
            late[w][r] = took[TRIPS - TRIPS / 100] * 1e6;
            times[w][r] = mid[w][r] / mid[0][r];
        }
    }
    for (int w = 0; w < 3; w++) {
        bench_say(trips[w].name, median(mid[w], ROUNDS), "us");
        printf("%-28s %8.2f us, %8.2f us p99, %5.2f times the ring's\n",
               trips[w].name, median(mid[w], ROUNDS), median(late[w], ROUNDS),
               median(times[w], ROUNDS));
    }
    for (int r = 0; r < ROUNDS; r++) {
        look_between(&between);
        for (int w = 0; w < 3; w++) {
            ring_begin(&ring_to);
            mid[w][r] = MESSAGES / both(rates[w].here, rates[w].there,
                                        rates[w].run);
            times[w][r] = mid[w][r] / mid[0][r];
        }
    }
    for (int w = 0; w < 3; w++) {
        bench_say(rates[w].name, median(mid[w], ROUNDS), "items/s");
        printf("%-28s %8.2f million/s, %5.2f of the ring's\n", rates[w].name,
               median(mid[w], ROUNDS) * 1e-6, median(times[w], ROUNDS));
    }
    say_between(&between);
    bench_ring_free(ring_to.ring);
    bench_ring_free(ring_from.ring);
    nds_pipe_close(left);
    nds_pipe_close(right);
    nds_queue_close(to);
    nds_queue_close(from);
    nds_array_close(item);
}

/* ---- large items -------------------------------------------------------- */

static int64_t nbytes_each;
static int items; /* of one measurement */
static volatile double sink;

/* Whether each waits for the one before to be read. */
static bool one_by_one;
static struct {
    _Atomic int done; /* items; raised by who reads */
    double read_each; /* seconds */
} *told;
static double began, ended;

static void
fill(double *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] = 2;
    }
}

static void
await(int n)
{
    while (atomic_load_explicit(&told->done, memory_order_acquire) < n) {
        sched_yield();
    }
}

static void
send_large(int by_loan)
{
    int64_t count = nbytes_each / 8;

    for (int i = 0; i < items + WARM; i++) {
        if (i == WARM) {
            await(WARM);
            began = now();
        }
        if (by_loan) {
            nds_array *loan;

            must(nds_queue_loan(to, &loan, NDS_FLOAT64, 1, &count,
                                NDS_SEC(60)), "loan");
            fill(nds_array_data(loan), count);
            must(nds_queue_publish(to, &loan, NULL), "publish");
        } else {
            must(nds_queue_put(to, item, NULL, NDS_SEC(60)), "put");
        }
        if (one_by_one) {
            await(i + 1);
        }
    }
    await(items + WARM);
    ended = now();
}

static void
receive_large(int by_loan)
{
    nds_array *y;

    for (int i = 0; i < items + WARM; i++) {
        must(by_loan ? nds_queue_take(to, &y, NULL, NDS_SEC(60))
                     : nds_queue_get(to, &y, NULL, NDS_SEC(60)), "get");
        sink = sum_of(nds_array_data(y), nbytes_each / 8);
        if (by_loan) {
            must(nds_queue_release(to, &y), "release");
        } else {
            nds_array_close(y);
        }
        atomic_store_explicit(&told->done, i + 1, memory_order_release);
    }
}

static void
send_by_ring(int by_loan)
{
    struct bench_side out = ring_to;

    for (int i = 0; i < items + WARM; i++) {
        void *slot = bench_ring_loan(&out);

        if (i == WARM) {
            await(WARM);
            began = now();
        }
        if (by_loan) {
            fill(slot, nbytes_each / 8);
        } else {
            bench_ring_copy(slot, nds_array_data(item), (size_t)nbytes_each);
        }
        bench_ring_publish(&out);
        if (one_by_one) {
            await(i + 1);
        }
    }
    await(items + WARM);
    ended = now();
}

static void
receive_by_ring(int by_loan)
{
    struct bench_side in = ring_to;

    (void)by_loan;
    for (int i = 0; i < items + WARM; i++) {
        sink = sum_of(bench_ring_take(&in), nbytes_each / 8);
        bench_ring_drop(&in);
        atomic_store_explicit(&told->done, i + 1, memory_order_release);
    }
}

/* One way of carrying. */
static const struct way {
    const char *name;
    bool by_loan, alone;
    int depth;
} ways[] = {
    {"by value, one at a time", false, true, DEPTH},
    {"by value, many", false, false, DEPTH},
    {"by value, two in flight", false, false, 2},
    {"by loan, one at a time", true, true, DEPTH},
    {"by loan, many", true, false, DEPTH},
    {"by loan, two in flight", true, false, 2},
};
#define WAYS ((int)(sizeof ways / sizeof *ways))

/* Into half of the ring, while the other half is read. */
static void
write_apart(int by_loan)
{
    int half = (int)ring_to.ring->depth / 2;

    await(1);
    began = now();
    for (int i = 0; i < items; i++) {
        char *slot = ring_to.ring->slots + i % half * nbytes_each;

        if (by_loan) {
            fill((double *)(void *)slot, nbytes_each / 8);
        } else {
            bench_ring_copy(slot, nds_array_data(item), (size_t)nbytes_each);
        }
    }
    ended = now();
    atomic_store(&told->done, 2);
}

static void
read_apart(int by_loan)
{
    int half = (int)ring_to.ring->depth / 2, n = 0;
    double start = now();

    (void)by_loan;
    atomic_store(&told->done, 1);
    do {
        sink = sum_of((double *)(void *)(ring_to.ring->slots +
                                         (half + n++ % half) * nbytes_each),
                      nbytes_each / 8);
    } while (atomic_load(&told->done) < 2);
    told->read_each = (now() - start) / n;
}

/* Seconds an item of the slower of the two, if they need not wait. */
static double
apart(const struct way *w)
{
    atomic_store(&told->done, 0);
    ring_to.ring->depth = (uint32_t)w->depth;
    both(write_apart, read_apart, w->by_loan);
    ring_to.ring->depth = DEPTH;
    return (ended - began) / items > told->read_each
               ? (ended - began) / items : told->read_each;
}

/* Seconds an item, of the ring. */
static double
carry_by_ring(const struct way *w)
{
    one_by_one = w->alone;
    atomic_store(&told->done, 0);
    ring_begin(&ring_to);
    ring_to.ring->depth = (uint32_t)w->depth;
    both(send_by_ring, receive_by_ring, w->by_loan);
    ring_to.ring->depth = DEPTH;
    return (ended - began) / items;
}

/* Seconds an item. */
static double
carry(const struct way *w)
{
    nds_queue_options opts = {.size = sizeof opts,
                              .max_items = (uint32_t)w->depth};

    one_by_one = w->alone;
    atomic_store(&told->done, 0);
    must(nds_queue_new(&to, &opts), "queue");
    both(send_large, receive_large, w->by_loan);
    nds_queue_close(to);
    return (ended - began) / items;
}

enum pass { COPY, READ, WRITE };

/* The quickest of some passes over warm memory, seconds. */
static double
pass_of(enum pass pass, double *x, double *y)
{
    int64_t count = nbytes_each / 8;
    double best = 1e9;

    for (int i = 0; i < items; i++) {
        double t = now();

        switch (pass) {
        case COPY:
            memcpy(y, x, (size_t)nbytes_each);
            break;
        case READ:
            sink = sum_of(x, count);
            break;
        case WRITE:
            fill(y, count);
            break;
        }
        t = now() - t;
        best = t < best ? t : best;
    }
    return best;
}

/* One way of carrying, against what it must at least take. */
static void
line(const char *what, int64_t mib, const double *took_each,
     const double *least, const double *two, const double *ring)
{
    double fraction[ROUNDS], rate[ROUNDS], bare[ROUNDS], of_two[ROUNDS];
    char name[64];

    for (int r = 0; r < ROUNDS; r++) {
        fraction[r] = least[r] / took_each[r];
        bare[r] = least[r] / ring[r];
        of_two[r] = two[r] / took_each[r];
        rate[r] = (double)nbytes_each / took_each[r] * 1e-9;
    }
    snprintf(name, sizeof name, "queue, %lld MiB, %s", (long long)mib, what);
    bench_say(name, median(rate, ROUNDS) * 1e9, "bytes/s");
    printf("%-38s %8.1f us %6.2f GB/s, limit %8.1f us, fraction %.2f, "
           "the bare ring's %.2f, limit of two at once %8.1f us, "
           "fraction %.2f\n",
           name, median(took_each, ROUNDS) * 1e6, median(rate, ROUNDS),
           median(least, ROUNDS) * 1e6, median(fraction, ROUNDS),
           median(bare, ROUNDS), median(two, ROUNDS) * 1e6,
           median(of_two, ROUNDS));
}

/* What a way must at least take. */
static double
least_of(const struct way *w, double copy, double read, double write)
{
    if (w->alone) {
        return (w->by_loan ? write : copy) + read;
    }
    return !w->by_loan ? copy : write > read ? write : read;
}

static void
large(int64_t mib)
{
    double ours[WAYS][ROUNDS], ring[WAYS][ROUNDS], least[WAYS][ROUNDS];
    double two[WAYS][ROUNDS];
    struct way_between between = {0};
    nds_array *other;

    nbytes_each = mib * MIB;
    items = mib <= 2 ? 200 : mib <= 32 ? 40 : 8;
    item = array_of(nbytes_each);
    other = array_of(nbytes_each);
    ring_to.ring = bench_ring_new(DEPTH, (size_t)nbytes_each, true);
    must(ring_to.ring != NULL ? 0 : NDS_ENOMEM, "ring");
    for (int r = 0; r < ROUNDS; r++) {
        double *x = nds_array_data(item), *y = nds_array_data(other);
        double copy = pass_of(COPY, x, y), read = pass_of(READ, x, y);
        double write = pass_of(WRITE, x, y);

        look_between(&between);
        for (int k = 0; k < WAYS; k++) {
            least[k][r] = least_of(&ways[k], copy, read, write);
            // One after the other: nothing is at once.
            two[k][r] = ways[k].alone ? least[k][r] : apart(&ways[k]);
            ours[k][r] = carry(&ways[k]);
            ring[k][r] = carry_by_ring(&ways[k]);
        }
    }
    for (int k = 0; k < WAYS; k++) {
        line(ways[k].name, mib, ours[k], least[k], two[k], ring[k]);
    }
    say_between(&between);
    bench_ring_free(ring_to.ring);
    nds_array_close(item);
    nds_array_close(other);
}

/* ---- moved -------------------------------------------------------------- */

static void
moves(int64_t nbytes)
{
    nds_pipe_options opts = {.size = sizeof opts, .duplex = true};
    nds_array_options sh = {.size = sizeof sh, .reach = NDS_SHAREABLE};
    double late[MOVES];
    nds_pipe *a, *b;
    nds_array *x, *y;

    must(nds_pipe_new(&a, &b, &opts), "pipe");
    if (fork() == 0) {
        for (int i = 0; i < MOVES; i++) {
            int64_t one = 1;
            volatile unsigned char *p;

            must(nds_pipe_recv(b, &y, NULL, NDS_SEC(60)), "recv");
            p = nds_array_data(y);
            (void)p[0];
            (void)p[nbytes - 1];
            must(nds_array_new(&x, NDS_FLOAT64, 1, &one, NULL), "array");
            *(double *)nds_array_data(x) = now();
            must(nds_pipe_send(b, x, NULL, NDS_SEC(60)), "send");
            nds_array_close(x);
            nds_array_close(y);
        }
        _exit(0);
    }
    for (int i = 0; i < MOVES; i++) {
        double t;

        must(nds_array_new(&x, NDS_UINT8, 1, &nbytes, &sh), "array");
        ((unsigned char *)nds_array_data(x))[nbytes - 1] = 1;
        t = now();
        must(nds_pipe_send_move(a, &x, NULL, NDS_SEC(60)), "send_move");
        must(nds_pipe_recv(a, &y, NULL, NDS_SEC(60)), "recv");
        late[i] = *(double *)nds_array_data(y) - t;
        nds_array_close(y);
    }
    wait(NULL);
    qsort(late, MOVES, sizeof *late, bench_by_value);
    bench_say("pipe, move", late[MOVES / 2] * 1e6, "us");
    printf("pipe, move of %lld bytes %8.1f us median, %8.1f us worst\n",
           (long long)nbytes, late[MOVES / 2] * 1e6, late[MOVES - 1] * 1e6);
    nds_pipe_close(a);
    nds_pipe_close(b);
}

/* ---- there and back ------------------------------------------------------ */

static void
use(nds_array *a)
{
    nds_scalar sum;

    must(nds_sum(&sum, nds_array_view(a)), "sum");
    must(nds_fill(nds_array_view(a), nds_float(1)), "fill");
}

static void
back(int64_t nbytes)
{
    nds_pipe_options opts = {.size = sizeof opts, .duplex = true};
    nds_array_options sh = {.size = sizeof sh, .reach = NDS_SHAREABLE};
    int64_t count = nbytes / 8;
    double t[BACKS], alone[BACKS];
    nds_pipe *here, *there;
    nds_array *a;
    char name[64];

    nds_set_threads(1);
    must(nds_pipe_new(&here, &there, &opts), "pipe");
    if (fork() == 0) {
        for (int i = 0; i < BACKS; i++) {
            must(nds_pipe_recv(there, &a, NULL, NDS_SEC(60)), "recv");
            use(a);
            must(nds_pipe_send_move(there, &a, NULL, NDS_SEC(60)), "move");
        }
        _exit(0);
    }
    must(nds_array_new(&a, NDS_FLOAT64, 1, &count, &sh), "array");
    for (int i = 0; i < BACKS; i++) {
        double start = now();

        must(nds_pipe_send_move(here, &a, NULL, NDS_SEC(60)), "move");
        must(nds_pipe_recv(here, &a, NULL, NDS_SEC(60)), "recv");
        use(a);
        t[i] = now() - start;
        start = now();
        use(a);
        use(a);
        alone[i] = now() - start;
    }
    wait(NULL);
    qsort(t, BACKS, sizeof *t, bench_by_value);
    qsort(alone, BACKS, sizeof *alone, bench_by_value);
    snprintf(name, sizeof name, "moved there and back, %lld KiB",
             (long long)nbytes / 1024);
    bench_say(name, t[BACKS / 2] * 1e6, "us");
    printf("%-34s %8.1f us, the passes alone %8.1f us\n", name,
           t[BACKS / 2] * 1e6, alone[BACKS / 2] * 1e6);
    nds_array_close(a);
    nds_pipe_close(here);
    nds_pipe_close(there);
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool all = *what == '\0' || (*what >= '0' && *what <= '9');

    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(told != MAP_FAILED ? 0 : NDS_ENOMEM, "shared memory");
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (all || strcmp(what, "small") == 0) {
        small();
    }
    if (argc > 2 && strcmp(what, "large") == 0) {
        large(atoll(argv[2]));
    } else if (all || strcmp(what, "large") == 0) {
        large(1);
        large(8);
        large(80);
    }
    if (all || strcmp(what, "move") == 0) {
        moves(argc > 1 && all ? atoll(what)
                              : argc > 2 ? atoll(argv[2]) : 800000000);
    }
    if (all || strcmp(what, "back") == 0) {
        for (int64_t n = 64 << 10; n <= 16 * MIB; n *= 4) {
            back(n == 16 * MIB ? 8 * MIB : n);
        }
    }
    return 0;
}
