/* SPDX-License-Identifier: MIT */
/*
 * harness.c - the same work through any peer
 *
 *     peer_X VARIANT NBYTES DIR BUDGET_MS
 *
 *     trip   a payload there and one of the same size back
 *     copy   one way, by value; the consumer adds up every double
 *     many   the same in runs
 *     ltrip, loan   the same two by loan: only the first double is written
 *
 * Every message carries its number in its first double, and the sums are
 * compared, so a message that is lost, stale or read too early is seen. All
 * values are whole numbers, so sums are exact in any order. The producer tells
 * the consumer through one shared page how many messages come. How many is
 * measured: as many as fit into BUDGET_MS, but 3 round trips or 8 messages.
 *
 * Prints "MODE median_ns p99_ns" of round trips, "MODE messages_per_s 0" of
 * one way. A section that stands for 15 s ends the program.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECTION_S 15
#define MAX_TRIPS 20000
#define RUN 64

enum mode { TRIP, COPY, MANY, LTRIP, LOAN, QUIT };
static const char *const mode_names[] = {"trip", "copy", "many", "ltrip",
                                         "loan"};

/* Written by the producer before `go`, by the consumer before `done`. */
struct control {
    _Atomic uint64_t ready;
    _Atomic uint64_t go;
    _Atomic uint64_t done;
    uint64_t mode;
    uint64_t count;
    uint64_t end_ns;
    double sum;
};

static struct control *control;
static size_t nbytes, ndoubles;
static double *source;
static uint64_t budget_ns;

void
peer_die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    _exit(1);
}

int
peer_depth(size_t n)
{
    return n <= 65536 ? 256 : n <= (size_t)4 << 20 ? 16 : 4;
}

void *
peer_memory(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        peer_die("mmap", strerror(errno));
    }
    memset(p, 1, n);
    return p;
}

static uint64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Bound by memory: eight independent sums of four. */
typedef double four __attribute__((vector_size(32), aligned(8)));

static double
add_up(const double *x, size_t n)
{
    four s[8] = {{0}};
    double sum = 0;
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        for (int k = 0; k < 8; k++) {
            s[k] += *(const four *)(const void *)(x + i + 4 * k);
        }
    }
    for (int k = 0; k < 8; k++) {
        sum += s[k][0] + s[k][1] + s[k][2] + s[k][3];
    }
    for (; i < n; i++) {
        sum += x[i];
    }
    return sum;
}

/* The value at i > 0 is 1, so memory lent anew reads the same anywhere. */
static double
expected(uint64_t count)
{
    return (double)count * (double)(ndoubles - 1)
        + (double)count * (double)(count - 1) / 2;
}

static void
check_edge(const double *x, uint64_t i)
{
    if (x[0] != (double)i || x[ndoubles - 1] != 1) {
        fprintf(stderr, "message %llu carries %g and %g\n",
                (unsigned long long)i, x[0], x[ndoubles - 1]);
        _exit(1);
    }
}

static void
wait_for(const _Atomic uint64_t *word, uint64_t value)
{
    for (int i = 0; atomic_load(word) < value; i++) {
        if (i > 200) {
            usleep(50);
        }
    }
}

static void
send_one(bool by_loan, uint64_t i)
{
    if (by_loan) {
        double *p = peer_here.loan();

        // Memory that no message has been in yet; from then on one store.
        if (p[ndoubles - 1] != 1) {
            memcpy(p, source, nbytes);
        }
        p[0] = (double)i;
        peer_here.publish();
    } else {
        source[0] = (double)i;
        peer_here.send(source);
    }
}

static const double *
receive(bool by_loan)
{
    return by_loan && peer_here.take != NULL ? peer_here.take()
                                             : peer_here.recv();
}

static void
release(bool by_loan)
{
    if (by_loan && peer_here.give_back != NULL) {
        peer_here.give_back();
    } else if (peer_here.release != NULL) {
        peer_here.release();
    }
}

static void
consume_many(uint64_t count, double *sum)
{
    const void *got[RUN];

    for (uint64_t i = 0; i < count;) {
        int n = peer_here.recv_many(RUN, got);

        for (int k = 0; k < n; k++) {
            *sum += add_up(got[k], ndoubles);
        }
        peer_here.release_many(n);
        i += (uint64_t)n;
    }
}

static void
consume(enum mode mode, uint64_t count)
{
    bool by_loan = mode == LTRIP || mode == LOAN;
    double sum = 0;

    alarm(SECTION_S);
    if (mode == MANY) {
        consume_many(count, &sum);
    } else {
        for (uint64_t i = 0; i < count; i++) {
            const double *x = receive(by_loan);

            if (mode == TRIP || mode == LTRIP) {
                check_edge(x, i);
                release(by_loan);
                send_one(by_loan, i);
            } else {
                sum += add_up(x, ndoubles);
                release(by_loan);
            }
        }
    }
    control->sum = sum;
    control->end_ns = now_ns();
}

static void
consumer(void)
{
    peer_here.open(CONSUMER);
    for (uint64_t k = 1;; k++) {
        atomic_store(&control->ready, k);
        wait_for(&control->go, k);
        if (control->mode == QUIT) {
            break;
        }
        consume((enum mode)control->mode, control->count);
        atomic_store(&control->done, k);
    }
    if (peer_here.close != NULL) {
        peer_here.close();
    }
}

static uint64_t section;

static void
begin(unsigned mode, uint64_t count)
{
    alarm(SECTION_S);
    section++;
    wait_for(&control->ready, section);
    control->mode = mode;
    control->count = count;
    atomic_store(&control->go, section);
}

/* Returns nanoseconds for all of it. */
static uint64_t
produce(enum mode mode, uint64_t count, uint64_t *took)
{
    bool by_loan = mode == LTRIP || mode == LOAN;
    uint64_t start;

    begin(mode, count);
    start = now_ns();
    if (mode == TRIP || mode == LTRIP) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t t = now_ns();

            send_one(by_loan, i);
            check_edge(receive(by_loan), i);
            release(by_loan);
            took[i] = now_ns() - t;
        }
    } else if (mode == MANY) {
        source[0] = 0; // one payload for the run: only its sum is known
        for (uint64_t i = 0; i < count;) {
            i += (uint64_t)peer_here.send_many(
                source, count - i < RUN ? (int)(count - i) : RUN);
        }
    } else {
        for (uint64_t i = 0; i < count; i++) {
            send_one(by_loan, i);
        }
    }
    wait_for(&control->done, section);
    if (mode == COPY || mode == LOAN || mode == MANY) {
        double want = mode == MANY ? (double)count * (double)(ndoubles - 1)
                                   : expected(count);

        if (control->sum != want) {
            fprintf(stderr, "%s: the sum is %.17g, not %.17g\n",
                    mode_names[mode], control->sum, want);
            _exit(1);
        }
    }
    return control->end_ns - start;
}

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void
measure(enum mode mode)
{
    static uint64_t took[MAX_TRIPS];
    bool trip = mode == TRIP || mode == LTRIP;
    // One way: every piece of memory the peer may use is met before.
    uint64_t least = trip ? 3 : nbytes <= (size_t)4 << 20 ? 40 : 8;
    uint64_t warm = nbytes <= 65536 ? 1000 : least;
    uint64_t ns = produce(mode, warm, took), count;

    // The second time tells: the first touched memory for the first time.
    ns = produce(mode, nbytes <= 65536 ? warm : 3, took)
        / (nbytes <= 65536 ? warm : 3);
    count = budget_ns / (ns + 1);
    count = count < least ? least : count;
    count = trip && count > MAX_TRIPS ? MAX_TRIPS : count;
    ns = produce(mode, count, took);
    if (trip) {
        qsort(took, count, sizeof *took, by_value);
        printf("%s %llu %llu\n", mode_names[mode],
               (unsigned long long)took[count / 2],
               (unsigned long long)took[count - 1 - count / 100]);
    } else {
        printf("%s %.6g 0\n", mode_names[mode],
               (double)count * 1e9 / (double)ns);
    }
    fflush(stdout);
}

static void
producer(void)
{
    peer_here.open(PRODUCER);
    measure(TRIP);
    measure(COPY);
    if (peer_here.send_many != NULL) {
        measure(MANY);
    }
    if (peer_here.loan != NULL) {
        measure(LTRIP);
        measure(LOAN);
    }
    begin(QUIT, 0);
    if (peer_here.close != NULL) {
        peer_here.close();
    }
}

static void
pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set); // one processor: where we are
}

static void
overdue(int signo)
{
    static const char text[] = "hung: a section took 15 s\n";

    (void)signo;
    (void)!write(2, text, sizeof text - 1);
    _exit(3);
}

int
main(int argc, char **argv)
{
    char path[512];
    int fd, status = 0;
    pid_t child = -1;

    if (argc != 5) {
        fprintf(stderr, "usage: %s VARIANT NBYTES DIR BUDGET_MS\n", argv[0]);
        return 2;
    }
    // Nobody stays when the run is killed.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, overdue);
    nbytes = strtoull(argv[2], NULL, 10);
    ndoubles = nbytes / sizeof(double);
    budget_ns = strtoull(argv[4], NULL, 10) * 1000000u;
    snprintf(path, sizeof path, "%s/control", argv[3]);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 4096) < 0) {
        peer_die(path, strerror(errno));
    }
    control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) {
        peer_die("mmap", strerror(errno));
    }
    source = peer_memory(nbytes);
    for (size_t i = 0; i < ndoubles; i++) {
        source[i] = 1;
    }
    alarm(SECTION_S);
    if (peer_here.prepare != NULL) {
        peer_here.prepare(argv[1], argv[3], nbytes);
    }
    if (peer_here.role != NULL) {
        int role = peer_here.role();

        pin(role);
        (role == PRODUCER ? producer : consumer)();
        return 0;
    }
    memset(control, 0, sizeof *control); // an earlier run's, by hand
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(1);
        consumer();
        _exit(0);
    }
    pin(0);
    producer();
    if (waitpid(child, &status, 0) != child || status != 0) {
        peer_die("consumer", "did not end well");
    }
    return 0;
}
