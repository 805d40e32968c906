/* SPDX-License-Identifier: MIT */
/*
 * bench_mgr.c - what a manager's answer costs above a bare socket's
 *
 *     bench_mgr [rounds, default 15 [bytes of the large array, default 8e8]]
 *
 * A small call from C and an echo of two processes over a Unix stream socket,
 * with messages of the same sizes, in turns: 1000 of one, 1000 of the other.
 * Where the scheduler puts the two processes is worth more than all else, so
 * both are measured with either end on a core of its own, and on one core; and
 * left to the scheduler, whose choice may differ between the two. Then what a
 * large hosted array costs: its sum, its value fetched, a value stored. Medians over the rounds; not part of the test run.
 */
#include <ndshare/ndshare.h>

#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS 1000
#define LARGE_ROUNDS 7
/* A call of __len__() on the wire, frames included; strace shows them. */
#define REQUEST_NBYTES 36
#define REPLY_NBYTES 19

static void
must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, nds_last_error()->message);
        exit(1);
    }
}

static double
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double
median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, bench_by_value);
    return values[count / 2];
}

static bool
read_all(int fd, char *to, size_t nbytes)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t n = read(fd, to + done, nbytes - done);

        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static cpu_set_t everywhere; /* as the program was started */

/* -1: anywhere */
static void
run_on(int nth)
{
    cpu_set_t one;

    if (nth < 0) {
        sched_setaffinity(0, sizeof everywhere, &everywhere);
        return;
    }
    CPU_ZERO(&one);
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &everywhere) && seen++ == nth) {
            CPU_SET(cpu, &one);
        }
    }
    must(sched_setaffinity(0, sizeof one, &one) == 0, "pin to a core");
}

/* The other end of the bare socket. */
static pid_t
start_echo(int *fd)
{
    char buffer[64] = {0};
    int pair[2];
    pid_t pid;

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0,
         "socketpair");
    pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        close(pair[0]);
        while (read_all(pair[1], buffer, REQUEST_NBYTES) &&
               write(pair[1], buffer, REPLY_NBYTES) == REPLY_NBYTES) {
        }
        _exit(0);
    }
    close(pair[1]);
    *fd = pair[0];
    return pid;
}

/* Microseconds of one round trip. */
static double
echo_slice(int fd)
{
    char buffer[64] = {0};
    double begun = now_us();

    for (int i = 0; i < CALLS; i++) {
        must(write(fd, buffer, REQUEST_NBYTES) == REQUEST_NBYTES &&
                 read_all(fd, buffer, REPLY_NBYTES),
             "the bare socket");
    }
    return (now_us() - begun) / CALLS;
}

static double
call_slice(nds_proxy *p)
{
    double begun = now_us();

    for (int i = 0; i < CALLS; i++) {
        nds_value *v;
        int64_t n;

        must(nds_proxy_call(p, &v, "__len__", NULL, NULL) == 0, "__len__");
        must(nds_value_as_int(v, &n) && n == 4, "__len__'s answer");
        nds_value_free(v);
    }
    return (now_us() - begun) / CALLS;
}

static void
measure_calls(const char *where, nds_manager *m, int fd, int rounds)
{
    double *bare = calloc((size_t)rounds, sizeof *bare);
    double *call = calloc((size_t)rounds, sizeof *call);
    double *ratio = calloc((size_t)rounds, sizeof *ratio);
    nds_proxy *p;

    must(bare != NULL && call != NULL && ratio != NULL, "memory");
    must(nds_manager_create(m, &p, "ones", "(4,)") == 0, "create");
    echo_slice(fd);
    call_slice(p);
    for (int i = 0; i < rounds; i++) {
        bare[i] = echo_slice(fd);
        call[i] = call_slice(p);
        ratio[i] = call[i] / bare[i];
    }
    printf("small call, %-10s %8.2f us   bare socket %8.2f us   ratio %.2f\n",
           where, median(call, rounds), median(bare, rounds),
           median(ratio, rounds));
    fflush(stdout);
    nds_proxy_close(p);
    free(bare);
    free(call);
    free(ratio);
}

/* The far ends on core `far`, ours on core `near`. */
static void
small_calls(const char *where, int far, int near, int rounds)
{
    nds_manager *m;
    pid_t echo;
    int fd;

    run_on(far);
    echo = start_echo(&fd);
    must(nds_manager_start(&m, NULL) == 0, "start");
    run_on(near);
    measure_calls(where, m, fd, rounds);
    nds_manager_close(m);
    close(fd);
    waitpid(echo, NULL, 0);
    run_on(-1);
}

static void
create_and_close(nds_manager *m, int rounds)
{
    double *took = calloc((size_t)rounds, sizeof *took);

    must(took != NULL, "memory");
    for (int i = 0; i < rounds; i++) {
        double begun = now_us();

        for (int k = 0; k < 20; k++) {
            nds_proxy *p;

            must(nds_manager_create(m, &p, "ones", "(4,)") == 0, "create");
            nds_proxy_close(p);
        }
        took[i] = (now_us() - begun) / 20;
    }
    printf("create and close %8.2f us\n", median(took, rounds));
    fflush(stdout);
    free(took);
}

enum { SUM, FETCH, STORE, MAP };

static double
large_one(nds_proxy *p, int what, nds_array *source, int64_t count)
{
    double begun = now_us(), sum = 0, took;
    nds_array *a = NULL;

    switch (what) {
    case SUM:
        must(nds_proxy_reduce(p, "sum", &sum) == 0, "sum");
        break;
    case FETCH:
        must(nds_proxy_fetch(p, &a, NULL) == 0, "fetch");
        break;
    case STORE:
        must(nds_proxy_store(p, NULL, source) == 0, "store");
        break;
    default:
        must(nds_proxy_map(p, &a, NDS_READ) == 0, "map");
        break;
    }
    took = now_us() - begun;
    if (a != NULL) {
        const double *d = nds_array_data(a);

        must(d[0] == 1 && d[count - 1] == 1, "the array");
        nds_array_close(a);
    } else if (what == SUM) {
        must(sum == (double)count, "the sum");
    }
    return took;
}

static void
large(nds_manager *m, int64_t nbytes)
{
    static const char *const names[] = {"sum", "fetch the value",
                                        "store a value", "map"};
    int64_t count = nbytes / 8;
    const nds_scalar one = nds_int(1);
    nds_array_options opts = {.size = sizeof opts, .fill = &one};
    nds_array *source;
    nds_proxy *p;
    char args[40];

    snprintf(args, sizeof args, "(%lld,)", (long long)count);
    must(nds_manager_create(m, &p, "ones", args) == 0, "create");
    must(nds_array_new(&source, NDS_FLOAT64, 1, &count, &opts) == 0,
         "an array");
    for (int what = SUM; what <= MAP; what++) {
        double took[LARGE_ROUNDS];

        for (int i = 0; i < LARGE_ROUNDS; i++) {
            took[i] = large_one(p, what, source, count);
        }
        printf("%-16s %8.2f ms   of %lld bytes\n", names[what],
               median(took, LARGE_ROUNDS) / 1e3, (long long)nbytes);
        fflush(stdout);
    }
    nds_array_close(source);
    nds_proxy_close(p);
}

int
main(int argc, char **argv)
{
    nds_manager *m;
    int rounds;

    nds_init(argc, argv);
    rounds = argc > 1 ? atoi(argv[1]) : 15;
    must(sched_getaffinity(0, sizeof everywhere, &everywhere) == 0, "cores");
    if (CPU_COUNT(&everywhere) > 1) {
        small_calls("two cores", 1, 0, rounds);
    }
    small_calls("one core", 0, 0, rounds);
    small_calls("anywhere", -1, -1, rounds);
    must(nds_manager_start(&m, NULL) == 0, "start");
    create_and_close(m, rounds);
    if (argc <= 2 || atoll(argv[2]) > 0) {
        large(m, argc > 2 ? atoll(argv[2]) : 800000000);
    }
    nds_manager_close(m);
    return 0;
}
