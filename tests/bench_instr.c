/* SPDX-License-Identifier: MIT */
/*
 * bench_instr.c - one operation, many times, to be counted by valgrind
 *
 *     bench_instr WHAT COUNT        WHAT: a row of `rows`; none: lists them
 *
 * One process, nobody waits. bench/instructions.py runs each row with two
 * counts and divides the difference. Not part of the test run.
 */
#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN 64

static nds_queue *queue;
static nds_array *item; /* 1 KiB, on the heap */
static nds_array *got[RUN];
static nds_array *same[RUN]; /* item, RUN times */
static nds_mutex *mutex;
static nds_rwlock *rwlock;
static nds_sem *sem;
static nds_event *event;
static char name[64];

static void
must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", nds_last_error()->message);
        nds_array_unlink(name);
        exit(1);
    }
}

static void
put_get(void)
{
    must(nds_queue_put(queue, item, NULL, 0));
    must(nds_queue_get(queue, &got[0], NULL, 0));
    nds_array_close(got[0]);
}

static void
put_get_runs(void)
{
    int done, count;

    must(nds_queue_put_many(queue, RUN, same, NULL, 0, &done));
    for (int n = 0; n < RUN; n += count) {
        must(nds_queue_get_many(queue, RUN - n, got, NULL, 0, &count));
        for (int i = 0; i < count; i++) {
            nds_array_close(got[i]);
        }
    }
}

static void
loan_take(void)
{
    nds_array *loan;

    must(nds_queue_loan(queue, &loan, NDS_FLOAT64, 1, (int64_t[]){128}, 0));
    must(nds_queue_publish(queue, &loan, NULL));
    must(nds_queue_take(queue, &got[0], NULL, 0));
    must(nds_queue_release(queue, &got[0]));
}

static void
lock_mutex(void)
{
    must(nds_mutex_lock(mutex, NDS_FOREVER));
    must(nds_mutex_unlock(mutex));
}

static void
lock_to_read(void)
{
    must(nds_rwlock_rdlock(rwlock, NDS_FOREVER));
    must(nds_rwlock_unlock(rwlock));
}

static void
permit(void)
{
    must(nds_sem_acquire(sem, NDS_FOREVER));
    must(nds_sem_release(sem, 1));
}

static void
set_wait_clear(void)
{
    must(nds_event_set(event));
    must(nds_event_wait(event, NDS_FOREVER));
    must(nds_event_clear(event));
}

static void
attach(void)
{
    must(nds_array_attach(&got[0], name, NDS_READWRITE, 0));
    nds_array_close(got[0]);
}

static void
heap_array(void)
{
    must(nds_array_new(&got[0], NDS_FLOAT64, 1, (int64_t[]){128}, NULL));
    nds_array_close(got[0]);
}

static const struct row {
    const char *name;
    const char *what;
    void (*once)(void);
    int each; /* of them at once */
} rows[] = {
    {"put-get", "put, get and close, 1 KiB", put_get, 1},
    {"runs", "the same in runs of 64, an item", put_get_runs, RUN},
    {"loan", "loan, publish, take and release, 1 KiB", loan_take, 1},
    {"mutex", "lock and unlock a mutex", lock_mutex, 1},
    {"rwlock", "lock to read and unlock", lock_to_read, 1},
    {"semaphore", "acquire and release", permit, 1},
    {"event", "set, wait and clear an event", set_wait_clear, 1},
    {"attach", "attach and close a named array, 1 KiB", attach, 1},
    {"heap", "make and close a heap array, 1 KiB", heap_array, 1},
};
#define ROWS (sizeof rows / sizeof rows[0])

static void
make_all(void)
{
    nds_array *named;

    snprintf(name, sizeof name, "nds-instr-%d", (int)getpid());
    must(nds_queue_new(&queue, NULL));
    must(nds_array_new(&item, NDS_FLOAT64, 1, (int64_t[]){128}, NULL));
    for (int i = 0; i < RUN; i++) {
        same[i] = item;
    }
    must(nds_mutex_new(&mutex, NDS_MUTEX_PLAIN));
    must(nds_rwlock_new(&rwlock));
    must(nds_sem_new(&sem, 1, 0));
    must(nds_event_new(&event));
    must(nds_array_create(&named, name, NDS_FLOAT64, 1, (int64_t[]){128},
                          NULL));
    nds_array_close(named);
}

int
main(int argc, char **argv)
{
    const struct row *row = NULL;

    for (size_t i = 0; i < ROWS; i++) {
        if (argc < 2) {
            printf("%s %d %s\n", rows[i].name, rows[i].each, rows[i].what);
        } else if (strcmp(argv[1], rows[i].name) == 0) {
            row = &rows[i];
        }
    }
    if (argc < 2) {
        return 0;
    }
    if (row == NULL || argc != 3) {
        fprintf(stderr, "usage: bench_instr [WHAT COUNT]\n");
        return 2;
    }
    make_all();
    for (long n = atol(argv[2]); n > 0; n--) {
        row->once();
    }
    nds_array_unlink(name);
    return 0;
}
