/* SPDX-License-Identifier: MIT */
/*
 * bench_chan.c - what a channel costs, between two processes
 *
 *     bench_chan [big bytes, default 800000000]
 *
 * Round trip of 1 KiB through a two-way pipe and through two queues, messages
 * a second of 1 KiB through a queue, singly and by the many, and the time from
 * send_move until a process that waits has read the first and last byte.
 * Medians; not part of the test run.
 */
#include "bench.h"

#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIPS 20000
#define MESSAGES 300000
#define MOVES 9

static void
must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "%s: %s: %s\n", what, nds_error_name(rc),
                nds_last_error()->message);
        exit(1);
    }
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
round_trips(void)
{
    nds_pipe_options opts = {.size = sizeof opts, .duplex = true};
    int64_t n = 128;
    nds_pipe *a, *b;
    nds_array *x, *y;
    double *took = malloc(TRIPS * sizeof *took);

    must(nds_pipe_new(&a, &b, &opts), "pipe");
    must(nds_array_new(&x, NDS_FLOAT64, 1, &n, NULL), "array");
    if (fork() == 0) {
        for (int i = 0; i < TRIPS; i++) {
            must(nds_pipe_recv(b, &y, NULL, NDS_SEC(30)), "recv");
            must(nds_pipe_send(b, y, NULL, NDS_SEC(30)), "send");
            nds_array_close(y);
        }
        _exit(0);
    }
    for (int i = 0; i < TRIPS; i++) {
        double t = now();

        must(nds_pipe_send(a, x, NULL, NDS_SEC(30)), "send");
        must(nds_pipe_recv(a, &y, NULL, NDS_SEC(30)), "recv");
        nds_array_close(y);
        took[i] = now() - t;
    }
    wait(NULL);
    qsort(took, TRIPS, sizeof *took, bench_by_value);
    bench_say("pipe, 1 KiB round trip", took[TRIPS / 2] * 1e6, "us");
    printf("pipe, 1 KiB round trip     %8.2f us median, %8.2f us p99\n",
           took[TRIPS / 2] * 1e6, took[TRIPS - TRIPS / 100] * 1e6);
    nds_array_close(x);
    nds_pipe_close(a);
    nds_pipe_close(b);
    free(took);
}

/* Two queues, one each way. */
static void
queue_trips(void)
{
    nds_queue *q[2];
    int64_t n = 128;
    nds_array *x, *y;
    double *took = malloc(TRIPS * sizeof *took);

    must(nds_queue_new(&q[0], NULL), "queue");
    must(nds_queue_new(&q[1], NULL), "queue");
    must(nds_array_new(&x, NDS_FLOAT64, 1, &n, NULL), "array");
    if (fork() == 0) {
        for (int i = 0; i < TRIPS; i++) {
            must(nds_queue_get(q[0], &y, NULL, NDS_SEC(30)), "get");
            must(nds_queue_put(q[1], y, NULL, NDS_SEC(30)), "put");
            nds_array_close(y);
        }
        _exit(0);
    }
    for (int i = 0; i < TRIPS; i++) {
        double t = now();

        must(nds_queue_put(q[0], x, NULL, NDS_SEC(30)), "put");
        must(nds_queue_get(q[1], &y, NULL, NDS_SEC(30)), "get");
        nds_array_close(y);
        took[i] = now() - t;
    }
    wait(NULL);
    qsort(took, TRIPS, sizeof *took, bench_by_value);
    bench_say("queues, 1 KiB round trip", took[TRIPS / 2] * 1e6, "us");
    printf("queues, 1 KiB round trip   %8.2f us median, %8.2f us p99\n",
           took[TRIPS / 2] * 1e6, took[TRIPS - TRIPS / 100] * 1e6);
    nds_array_close(x);
    nds_queue_close(q[0]);
    nds_queue_close(q[1]);
    free(took);
}

static void
get_all(nds_queue *q, int run)
{
    nds_array *y[64];

    for (int i = 0; i < MESSAGES;) {
        int count = 1;

        if (run == 1) {
            must(nds_queue_get(q, y, NULL, NDS_SEC(30)), "get");
        } else {
            must(nds_queue_get_many(q, run, y, NULL, NDS_SEC(30), &count),
                 "get_many");
        }
        for (int k = 0; k < count; k++) {
            nds_array_close(y[k]);
        }
        i += count;
    }
}

/* run 1: by single calls. Median of five. */
static void
throughput(int run)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 1024};
    double rate[5];
    nds_array *in[64];
    int64_t n = 128;

    for (int i = 0; i < run; i++) {
        must(nds_array_new(&in[i], NDS_FLOAT64, 1, &n, NULL), "array");
    }
    for (int k = 0; k < 5; k++) {
        nds_queue *q;
        double t = now();

        must(nds_queue_new(&q, &opts), "queue");
        if (fork() == 0) {
            get_all(q, run);
            _exit(0);
        }
        for (int i = 0, done = 1; i < MESSAGES; i += done) {
            must(run == 1 ? nds_queue_put(q, in[0], NULL, NDS_SEC(30))
                          : nds_queue_put_many(q, MESSAGES - i < run
                                                      ? MESSAGES - i : run,
                                               in, NULL, NDS_SEC(30), &done),
                 "put");
        }
        wait(NULL);
        rate[k] = MESSAGES / (now() - t);
        nds_queue_close(q);
    }
    qsort(rate, 5, sizeof *rate, bench_by_value);
    bench_say(run == 1 ? "queue, 1 KiB, singly" : "queue, 1 KiB, in runs",
              rate[2], "items/s");
    printf("queue, 1 KiB, runs of %-2d   %8.0f items/s median, %.0f to %.0f\n",
           run, rate[2], rate[0], rate[4]);
    for (int i = 0; i < run; i++) {
        nds_array_close(in[i]);
    }
}

static void
moves(int64_t nbytes)
{
    nds_pipe_options opts = {.size = sizeof opts, .duplex = true};
    nds_array_options sh = {.size = sizeof sh, .reach = NDS_SHAREABLE};
    double took[MOVES];
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
        took[i] = *(double *)nds_array_data(y) - t;
        nds_array_close(y);
    }
    wait(NULL);
    qsort(took, MOVES, sizeof *took, bench_by_value);
    bench_say("pipe, move", took[MOVES / 2] * 1e6, "us");
    printf("pipe, move of %lld bytes %8.1f us median, %8.1f us worst\n",
           (long long)nbytes, took[MOVES / 2] * 1e6, took[MOVES - 1] * 1e6);
    nds_pipe_close(a);
    nds_pipe_close(b);
}

int
main(int argc, char **argv)
{
    round_trips();
    queue_trips();
    throughput(1);
    throughput(64);
    moves(argc > 1 ? atoll(argv[1]) : 800000000);
    return 0;
}
