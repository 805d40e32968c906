/* SPDX-License-Identifier: MIT */
/*
 * soak_chan.c - producers and consumers killed at random, every item counted
 *
 *     soak_chan [--seconds N] [--producers N] [--consumers N] [--seed N]
 *
 * One queue with acknowledge. Children put and take in every way there is; this
 * process kills one of them by SIGKILL every few milliseconds and starts it
 * anew. A ledger that all share has one byte an item. The last line says how
 * many kills, items and redeliveries there were, and `ok` or what is wrong:
 *
 *     lost       its put had returned and nobody ever got it
 *     doubled    it came again although its release had returned, or although
 *                its delivery count said it had not been delivered before
 *     broken     its payload is not what its producer wrote
 *     leaked     slots, bytes or files are left when all is drained
 *
 * Exit 0 for ok, 1 for anything else.
 */
#include <harness/chan_of.h>
#include <os/os.h>
#include <sync/word.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 32
#define EACH (UINT64_C(1) << 28) /* numbers a producer may use up */
#define RUN 8
#define HEAD 4 /* words before the filler: producer, number, count, sum */

enum { SURE = 1, GOT = 2, DONE = 4 };

struct ledger {
    _Atomic uint32_t stop;
    _Atomic uint64_t next[MOST]; /* first number nobody has tried to put */
    _Atomic uint64_t taken;
    _Atomic uint64_t again; /* of them, delivered before */
    _Atomic uint64_t doubled;
    _Atomic uint64_t broken;
    _Atomic uint64_t failed; /* calls that must not fail */
};

static struct ledger *book;
static _Atomic uint8_t *marks; /* MOST x EACH, touched as it is used */
static nds_queue *queue;
static int producers = 3, consumers = 3, seconds = 10;
static uint64_t random_state = 1;

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static uint64_t
dice(uint64_t sides)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(random_state) % sides;
}

static _Atomic uint8_t *
mark_of(uint64_t producer, uint64_t number)
{
    return &marks[producer * EACH + number];
}

static void
failed(const char *what, int rc)
{
    ndi_add_seq(&book->failed, 1);
    fprintf(stderr, "%s: %s: %s\n", what, nds_error_name(rc),
            nds_last_error()->message);
}

/* ---- producers ---------------------------------------------------------- */

static int64_t
count_of(uint64_t number)
{
    static const int64_t counts[] = {HEAD, 100, 128, 129, 1000, 9000};

    return counts[mix(number) % NDI_ARRAY_LEN(counts)];
}

static void
write_item(nds_array *a, uint64_t producer, uint64_t number)
{
    int64_t count = nds_array_view(a)->shape[0];
    uint64_t *to = nds_array_data(a), sum = 0;

    for (int64_t i = HEAD; i < count; i++) {
        to[i] = mix(producer + number * 31 + (uint64_t)i);
        sum = sum * 3 + to[i];
    }
    to[0] = producer;
    to[1] = number;
    to[2] = (uint64_t)count;
    to[3] = mix(sum + producer + number + (uint64_t)count);
}

static nds_array *
make_item(uint64_t producer, uint64_t number, enum nds_reach reach)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    int64_t count = count_of(number);
    nds_array *a = NULL;
    int rc = nds_array_new(&a, NDS_UINT64, 1, &count, &opts);

    if (rc < 0) {
        failed("array", rc);
        _exit(1);
    }
    write_item(a, producer, number);
    return a;
}

static int
put_run(uint64_t producer, uint64_t number, int *done)
{
    nds_array *a[RUN];
    int rc;

    for (int i = 0; i < RUN; i++) {
        a[i] = make_item(producer, number + (uint64_t)i, NDS_HEAP);
    }
    rc = nds_queue_put_many(queue, RUN, a, NULL, NDS_SEC(60), done);
    for (int i = 0; i < RUN; i++) {
        nds_array_close(a[i]);
    }
    return rc;
}

static int
put_loan(uint64_t producer, uint64_t number)
{
    int64_t count = count_of(number);
    nds_array *l = NULL;
    int rc = nds_queue_loan(queue, &l, NDS_UINT64, 1, &count, NDS_SEC(60));

    if (rc == 0) {
        write_item(l, producer, number);
        rc = nds_queue_publish(queue, &l, NULL);
    }
    return rc;
}

/* Puts one or RUN; the numbers are used up whatever happens. */
static int
put_some(uint64_t producer, uint64_t number, bool many, int *done)
{
    uint64_t way = dice(10);
    nds_array *a;
    int rc;

    *done = 0;
    if (many) {
        return put_run(producer, number, done);
    }
    if (way < 4) {
        rc = put_loan(producer, number);
    } else {
        a = make_item(producer, number, way < 5 ? NDS_SHAREABLE : NDS_HEAP);
        rc = way < 5 ? nds_queue_put_move(queue, &a, NULL, NDS_SEC(60))
                     : nds_queue_put(queue, a, NULL, NDS_SEC(60));
        nds_array_close(a);
    }
    *done = rc == 0;
    return rc;
}

static void
produce(uint64_t me)
{
    while (ndi_load_acq(&book->stop) == 0) {
        uint64_t n = ndi_load_seq(&book->next[me]);
        bool many = dice(4) == 0;
        int done, rc;

        if (n + RUN > EACH) {
            return;
        }
        ndi_store_seq(&book->next[me], n + (many ? RUN : 1));
        rc = put_some(me, n, many, &done);
        for (int i = 0; i < done; i++) {
            ndi_or_seq(mark_of(me, n + (uint64_t)i), SURE);
        }
        if (rc < 0) {
            failed("put", rc);
            _exit(1);
        }
    }
}

/* ---- consumers ---------------------------------------------------------- */

/* Ticks the item off; NULL if it is not one of ours. */
static _Atomic uint8_t *
tick(const nds_array *a)
{
    const uint64_t *is = a == NULL
                             ? NULL
                             : nds_array_data((nds_array *)(uintptr_t)a);
    uint64_t sum = 0, p, n;
    uint8_t old;

    if (is == NULL || nds_array_view(a)->shape[0] < HEAD ||
        is[0] >= MOST || is[1] >= EACH ||
        is[2] != (uint64_t)nds_array_view(a)->shape[0]) {
        ndi_add_seq(&book->broken, 1);
        return NULL;
    }
    p = is[0];
    n = is[1];
    for (uint64_t i = HEAD; i < is[2]; i++) {
        sum = sum * 3 + is[i];
    }
    if (is[3] != mix(sum + p + n + is[2])) {
        ndi_add_seq(&book->broken, 1);
        return NULL;
    }
    old = ndi_or_seq(mark_of(p, n), GOT);
    ndi_add_seq(&book->taken, 1);
    if (nds_queue_deliveries(a) > 0) {
        ndi_add_seq(&book->again, 1);
    }
    if ((old & DONE) != 0 ||
        ((old & GOT) != 0 && nds_queue_deliveries(a) == 0)) {
        ndi_add_seq(&book->doubled, 1);
    }
    return mark_of(p, n);
}

static int
get_run(void)
{
    _Atomic uint8_t *mark[RUN];
    nds_array *a[RUN];
    int count = 0;
    int rc = nds_queue_get_many(queue, dice(2) == 0 ? 1 : RUN, a, NULL,
                                NDS_MSEC(300), &count);

    for (int i = 0; i < count; i++) {
        mark[i] = tick(a[i]);
        nds_array_close(a[i]);
    }
    for (int i = 0; i < count; i++) {
        int done = nds_queue_task_done(queue);

        if (done < 0) {
            failed("task_done", done);
            _exit(1);
        }
        if (mark[i] != NULL) {
            ndi_or_seq(mark[i], DONE);
        }
    }
    return rc;
}

static int
take_one(void)
{
    _Atomic uint8_t *mark;
    nds_array *a = NULL;
    int rc = nds_queue_take(queue, &a, NULL, NDS_MSEC(300));

    if (rc < 0) {
        return rc;
    }
    mark = tick(a);
    rc = nds_queue_release(queue, &a);
    if (rc == 0 && mark != NULL) {
        ndi_or_seq(mark, DONE);
    }
    return rc;
}

static void
consume(void)
{
    int rc;

    do {
        rc = dice(2) == 0 ? take_one() : get_run();
    } while (rc == 0 || rc == NDS_ETIMEDOUT);
    if (rc != NDS_EEOF) {
        failed("take", rc);
        _exit(1);
    }
}

/* ---- the one who kills -------------------------------------------------- */

static pid_t children[2 * MOST];

static void
start(int i)
{
    uint64_t seed = dice(UINT64_MAX);
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        random_state = seed;
        if (i < producers) {
            produce((uint64_t)i);
        } else {
            consume();
        }
        nds_queue_close(queue);
        _exit(0);
    }
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    children[i] = pid;
}

/* Reaps child i; by its own hand it may only have ended well. */
static void
reap(int i, bool killed)
{
    int status = 0;

    if (waitpid(children[i], &status, 0) != children[i] ||
        !((killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
          (WIFEXITED(status) && WEXITSTATUS(status) == 0))) {
        fprintf(stderr, "child %d ended with status %x\n", i,
                (unsigned)status);
        ndi_add_seq(&book->failed, 1);
    }
    children[i] = 0;
}

static uint64_t
murder(void)
{
    int64_t end = ndi_now_ns() + NDS_SEC(seconds);
    uint64_t kills = 0;

    while (ndi_now_ns() < end && ndi_load_acq(&book->failed) == 0) {
        struct timespec t = {0, (long)(1000000 + dice(9000000))};
        int i = (int)dice((uint64_t)(producers + consumers));

        nanosleep(&t, NULL);
        kill(children[i], SIGKILL);
        reap(i, true);
        start(i);
        kills++;
    }
    return kills;
}

/* Until nothing waits and nobody holds anything. */
static bool
drained(nds_queue_info *info)
{
    int64_t end = ndi_now_ns() + NDS_SEC(120);

    do {
        struct timespec t = {0, 2000000};

        // Who tries buries the dead; what it takes it gives back.
        nds_array *a = NULL;

        if (nds_queue_take(queue, &a, NULL, 0) == 0) {
            nds_array_close(a);
        }
        if (nds_queue_info_get(queue, info) < 0) {
            return false;
        }
        if (info->items + info->taken + info->loaned == 0) {
            return true;
        }
        nanosleep(&t, NULL);
    } while (ndi_now_ns() < end);
    return false;
}

static bool
files_left(void)
{
    struct ndi_chan *c = chan_of(queue);

    for (uint32_t i = 0; i < c->nslots; i++) {
        char name[NDI_TICKET_NAME];
        int fd = -1;

        ndi_ticket_name(c, i, name);
        if (ndi_shm_open(&fd, name, 0) == 0) {
            ndi_os_close(fd);
            return true;
        }
    }
    return ndi_chan_valid(c) < 0;
}

static uint64_t
count_lost(uint64_t *items)
{
    uint64_t lost = 0;

    *items = 0;
    for (int p = 0; p < producers; p++) {
        uint64_t end = ndi_load_seq(&book->next[p]);

        for (uint64_t i = 0; i < end; i++) {
            uint8_t m = ndi_load_rlx(mark_of((uint64_t)p, i));

            *items += (m & (SURE | GOT)) != 0;
            lost += (m & SURE) != 0 && (m & GOT) == 0;
        }
    }
    return lost;
}

static void
setup(void)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 64,
                              .max_bytes = 2 << 20, .acknowledge = true};
    int rc = nds_queue_new(&queue, &opts);

    book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    marks = mmap(NULL, MOST * EACH, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (rc < 0 || book == MAP_FAILED || marks == MAP_FAILED) {
        fprintf(stderr, "no queue or no memory: %s\n",
                nds_last_error()->message);
        exit(1);
    }
}

static void
options(int argc, char **argv)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'},
        {"producers", required_argument, NULL, 'p'},
        {"consumers", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 'r'},
        {0}};
    int c;

    random_state = (uint64_t)ndi_now_ns();
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int n = c == '?' ? -1 : atoi(optarg);

        if (c == '?' || n < 1 || ((c == 'p' || c == 'c') && n > MOST)) {
            fprintf(stderr, "usage: soak_chan [--seconds N] [--producers N] "
                    "[--consumers N] [--seed N], at most %d of each\n", MOST);
            exit(1);
        }
        seconds = c == 's' ? n : seconds;
        producers = c == 'p' ? n : producers;
        consumers = c == 'c' ? n : consumers;
        random_state = c == 'r' ? (uint64_t)n : random_state;
    }
    printf("seed %llu\n", (unsigned long long)random_state);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    uint64_t kills, lost, items;
    nds_queue_info info = {0};
    bool empty, bad;

    options(argc, argv);
    setup();
    for (int i = 0; i < producers + consumers; i++) {
        start(i);
    }
    kills = murder();
    ndi_store_rel(&book->stop, 1);
    for (int i = 0; i < producers; i++) {
        reap(i, false);
    }
    empty = drained(&info);
    (void)nds_queue_shutdown(queue);
    for (int i = producers; i < producers + consumers; i++) {
        reap(i, false);
    }
    (void)nds_queue_info_get(queue, &info);
    lost = count_lost(&items);
    empty = empty && info.bytes_used == 0 && info.parked == 0 && !files_left();
    bad = lost + ndi_load_seq(&book->doubled) + ndi_load_seq(&book->broken) +
              ndi_load_seq(&book->failed) > 0 || !empty;
    printf("%llu kills, %llu items, %llu deliveries, %llu of them again: "
           "%llu lost, %llu doubled, %llu broken, %llu calls failed, %llu "
           "bytes left%s: %s\n", (unsigned long long)kills,
           (unsigned long long)items,
           (unsigned long long)ndi_load_seq(&book->taken),
           (unsigned long long)ndi_load_seq(&book->again),
           (unsigned long long)lost,
           (unsigned long long)ndi_load_seq(&book->doubled),
           (unsigned long long)ndi_load_seq(&book->broken),
           (unsigned long long)ndi_load_seq(&book->failed),
           (unsigned long long)info.bytes_used, empty ? "" : ", leaked",
           bad ? "FAILED" : "ok");
    nds_queue_close(queue);
    return bad;
}
