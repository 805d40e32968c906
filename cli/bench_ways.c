/* SPDX-License-Identifier: MIT */
/*
 * bench_ways.c - the nine ways by the library's public calls: who hands over
 *
 * The workers of ways 1, 2, 5, 6 and 9 get the array as they start; those of
 * the others are there before it is made, so that no fork copies the page
 * tables of a large heap. Round i carries i in its first element and ones in
 * all others; what the workers added up is compared with what was handed
 * over, each batch.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLICE NDS_MSEC(100)

struct way {
    const char *name;
    bool early; /* workers start before there is an array */
    bool once;  /* a worker a round */
    int (*create)(void);
    int (*hand)(void);
};

/* The parent's one cell. */
static struct {
    const struct cli_command *self;
    const struct bench_cell *c;
    const struct way *way;
    int64_t count; /* elements */
    nds_array *page;
    struct bench_slot *slots;
    nds_queue *done, *go[BENCH_PROCESSES_MAX]; /* None items */
    nds_proc *procs[BENCH_PROCESSES_MAX];
    nds_pipe *to[BENCH_PROCESSES_MAX], *at[BENCH_PROCESSES_MAX];
    nds_queue *queue;
    nds_typed *typed;
    nds_array *array;
    nds_manager *manager;
    nds_proxy *proxy;
    char name[64]; /* of shared memory, or the file's path */
    double round, expected;
} now;

/* ---- the parent's side -------------------------------------------------- */
static int
add_thing(nds_args *args, int i)
{
    switch (now.c->way) {
    case 1:
        return nds_args_add_array(args, now.array, NDS_BY_VALUE);
    case 3:
        return nds_args_add_handle(args, "queue", now.queue);
    case 4:
        return nds_args_add_handle(args, "pipe", now.at[i]);
    case 5:
        return nds_args_add_typed(args, now.typed);
    case 6:
        return nds_args_add_array(args, now.array, NDS_SHARED);
    case 7:
    case 8:
        return nds_args_add_str(args, now.name);
    case 9:
        return nds_args_add_handle(args, "proxy", now.proxy);
    default:
        return 0;
    }
}

static int
start_workers(void)
{
    nds_proc_options opts = {.size = sizeof opts, .start = now.c->start};
    nds_args *args;
    int rc = 0;

    for (int i = 0; rc == 0 && i < now.c->processes; i++) {
        nds_proc_close(now.procs[i]);
        now.procs[i] = NULL;
        rc = nds_args_new(&args);
        if (rc < 0) {
            break;
        }
        nds_args_add_int(args, now.c->way);
        nds_args_add_int(args, i);
        nds_args_add_int(args, now.c->loan);
        nds_args_add_array(args, now.page, NDS_SHARED);
        nds_args_add_handle(args, "queue", now.done);
        nds_args_add_handle(args, "queue", now.go[i]);
        rc = add_thing(args, i);
        if (rc == 0) {
            rc = nds_proc_start(&now.procs[i], "bench_worker", args, &opts);
        }
        nds_args_free(args);
    }
    return rc;
}

static int
wake(void)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < now.c->processes; i++) {
        rc = nds_queue_put_none(now.go[i], BENCH_PATIENCE);
    }
    return rc;
}

static int
create_heap(void)
{
    int rc = nds_array_new(&now.array, NDS_FLOAT64, 1, &now.count, NULL);

    bench_inherited = now.array;
    return rc;
}

static int
create_typed(void)
{
    int rc = nds_typed_new(&now.typed, 'd', now.count, true);

    return rc == 0 ? nds_array_get(&now.array, nds_typed_array(now.typed))
                   : rc;
}

static int
create_raw(void)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};

    return nds_array_new(&now.array, NDS_FLOAT64, 1, &now.count, &opts);
}

/* Nothing stays, whoever is killed: the name goes with its last user. */
static int
create_named(void)
{
    nds_array_options opts = {.size = sizeof opts, .lifetime = NDS_WHILE_USED};

    return nds_array_create(&now.array, now.name, NDS_FLOAT64, 1, &now.count,
                            &opts);
}

static int
create_file(void)
{
    return nds_array_map_file(&now.array, now.name, NDS_CREATE, NDS_FLOAT64,
                              1, &now.count, 'C', 0);
}

static int
create_hosted(void)
{
    char shape[32];

    snprintf(shape, sizeof shape, "(%lld,)", (long long)now.count);
    return nds_manager_create(now.manager, &now.proxy, "empty", shape);
}

static int
fill_hosted(void)
{
    nds_value *args = nds_value_tuple(), *out = NULL;
    int rc = nds_value_append(args, nds_value_float(1));

    if (rc == 0) {
        rc = nds_proxy_call(now.proxy, &out, "fill", args, NULL);
    }
    nds_value_free(out);
    nds_value_free(args);
    return rc;
}

static int
fill_loan(nds_array *a)
{
    int rc = nds_fill(nds_array_view(a), nds_float(1));

    *(double *)nds_array_data(a) = now.round;
    return rc;
}

static int
put(void)
{
    nds_array *loan = NULL;
    int rc = 0;

    for (int i = 0; rc == 0 && i < now.c->processes; i++) {
        if (!now.c->loan) {
            rc = nds_queue_put(now.queue, now.array, NULL, BENCH_PATIENCE);
            continue;
        }
        rc = nds_queue_loan(now.queue, &loan, NDS_FLOAT64, 1, &now.count,
                            BENCH_PATIENCE);
        if (rc == 0) {
            rc = fill_loan(loan);
        }
        if (rc == 0) {
            rc = nds_queue_publish(now.queue, &loan, NULL);
        }
        nds_queue_discard(now.queue, &loan);
    }
    return rc;
}

static int
send_all(void)
{
    nds_array *loan = NULL;
    int rc = 0;

    for (int i = 0; rc == 0 && i < now.c->processes; i++) {
        if (!now.c->loan) {
            rc = nds_pipe_send(now.to[i], now.array, NULL, BENCH_PATIENCE);
            continue;
        }
        rc = nds_pipe_loan(now.to[i], &loan, NDS_FLOAT64, 1, &now.count,
                           BENCH_PATIENCE);
        if (rc == 0) {
            rc = fill_loan(loan);
        }
        if (rc == 0) {
            rc = nds_pipe_publish(now.to[i], &loan, NULL);
        }
        nds_pipe_discard(now.to[i], &loan);
    }
    return rc;
}

static const struct way ways[BENCH_WAYS] = {
    {"argument", false, true, create_heap, start_workers},
    {"inheritance", false, true, create_heap, start_workers},
    {"queue", true, false, create_heap, put},
    {"pipe", true, false, create_heap, send_all},
    {"locked array", false, false, create_typed, wake},
    {"raw array", false, false, create_raw, wake},
    {"shared memory", true, false, create_named, wake},
    {"mapped file", true, false, create_file, wake},
    {"manager", false, false, create_hosted, wake},
};

static const struct way *
way_of(int number)
{
    return &ways[number - 1];
}

const char *
bench_way_name(int number)
{
    return way_of(number)->name;
}

bool
bench_way_lends(int number)
{
    return number == 3 || number == 4;
}

bool
bench_way_starts(int number, enum nds_start start)
{
    return number != 2 || start == NDS_FORK;
}

/* ---- a cell ------------------------------------------------------------- */
static int
failed(const char *what)
{
    char text[160];

    if (bench_stopped) {
        return CLI_FAILED; // the command says so, once
    }
    snprintf(text, sizeof text, "way %d, %lld bytes, %s", now.c->way,
             (long long)now.c->nbytes, what);
    return cli_fail(now.self, text);
}

static int
open_channel(void)
{
    size_t n = (size_t)now.c->nbytes;
    size_t depth = n <= 65536 ? 256 : n <= (size_t)4 << 20 ? 16 : 1;
    int rc = 0;

    depth += (size_t)now.c->processes;
    if (now.c->way == 3) {
        nds_queue_options opts = {.size = sizeof opts,
                                  .max_items = (uint32_t)depth,
                                  .max_bytes = (depth + 1) * (n + 4096)};

        return nds_queue_new(&now.queue, &opts);
    }
    for (int i = 0; rc == 0 && now.c->way == 4 && i < now.c->processes; i++) {
        nds_pipe_options opts = {.size = sizeof opts,
                                 .max_items = (uint32_t)depth,
                                 .max_bytes = (depth + 1) * (n + 4096)};

        rc = nds_pipe_new(&now.at[i], &now.to[i], &opts);
    }
    return rc;
}

/* What is there before the array is, none of it timed. */
static int
prepare(void)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_queue_options words = {.size = sizeof words, .max_bytes = 65536,
                               .max_items = BENCH_PROCESSES_MAX};
    const char *dir = getenv("TMPDIR");
    int64_t n = (int64_t)sizeof(struct bench_slot) / 8 * now.c->processes;
    int rc = nds_array_new(&now.page, NDS_FLOAT64, 1, &n, &opts);

    if (rc == 0) {
        now.slots = nds_array_data(now.page);
        rc = nds_queue_new(&now.done, &words);
    }
    for (int i = 0; rc == 0 && i < now.c->processes; i++) {
        rc = nds_queue_new(&now.go[i], &words);
    }
    if (rc == 0) {
        rc = open_channel();
    }
    if (now.c->way == 8) {
        snprintf(now.name, sizeof now.name, "%.40s/ndshare-bench-%d",
                 dir != NULL && dir[0] == '/' ? dir : "/tmp", (int)getpid());
    } else {
        snprintf(now.name, sizeof now.name, "ndshare-bench-%d",
                 (int)getpid());
    }
    if (rc == 0 && now.c->way == 9) {
        nds_manager_options m = {.size = sizeof m, .start = (int)now.c->start};

        rc = nds_manager_start(&now.manager, &m);
    }
    if (rc == 0 && now.way->early) {
        rc = start_workers();
    }
    return rc;
}

/* A worker that ended badly will never say that it is done. */
static int
workers_live(void)
{
    int code;

    for (int i = 0; i < now.c->processes; i++) {
        if (now.procs[i] != NULL &&
            nds_proc_join(now.procs[i], 0, &code) == 0 && code != 0) {
            cli_remark("a worker of way %d ended with %d", now.c->way, code);
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

static int
wait_done(void)
{
    for (int left = now.c->processes; left > 0;) {
        nds_array *none;
        int rc = nds_queue_get(now.done, &none, NULL, SLICE);

        if (rc == 0) {
            left--;
        } else if (rc != NDS_ETIMEDOUT) {
            return failed("wait");
        } else if (bench_stopped || workers_live() != CLI_OK) {
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

static int
round_trip(bool first, double *took, double *from)
{
    double *data = now.array != NULL ? nds_array_data(now.array) : NULL;
    int rc = 0;

    now.round++;
    if (data != NULL) {
        data[0] = now.round;
    }
    now.expected += (double)now.c->processes *
        ((double)now.count - 1 + (now.c->way == 9 ? 1 : now.round));
    *from = bench_now_ns();
    if (first && !now.way->early && !now.way->once) {
        rc = start_workers();
    }
    if (rc == 0) {
        rc = now.way->hand();
    }
    if (rc < 0) {
        return failed("hand over");
    }
    rc = wait_done();
    *took = bench_now_ns() - *from;
    for (int i = 0; rc == CLI_OK && now.way->once && i < now.c->processes;
         i++) {
        rc = nds_proc_join(now.procs[i], BENCH_PATIENCE, NULL) < 0 ? CLI_FAILED
                                                             : CLI_OK;
    }
    return rc;
}

static int
check_sums(void)
{
    double total = 0;

    for (int i = 0; i < now.c->processes; i++) {
        total += now.slots[i].total;
    }
    if (total != now.expected) {
        cli_remark("way %d, %lld bytes: the workers added up %.17g, not %.17g",
                   now.c->way, (long long)now.c->nbytes, total, now.expected);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int
begin(const struct cli_command *self, const struct bench_cell *c,
      double phase_ns[BENCH_PHASES])
{
    double t, took;
    int rc;

    memset(&now, 0, sizeof now);
    now.self = self;
    now.c = c;
    now.way = way_of(c->way);
    now.count = c->nbytes / 8;
    if (prepare() < 0) {
        return failed("prepare");
    }
    phase_ns[BENCH_CREATE] = phase_ns[BENCH_TOUCH] = -1;
    if (!c->loan) { // its memory is made and written as it is handed over
        t = bench_now_ns();
        if (now.way->create() < 0) {
            return failed("create");
        }
        phase_ns[BENCH_CREATE] = bench_now_ns() - t;
        t = bench_now_ns();
        rc = now.proxy != NULL
                 ? fill_hosted()
                 : nds_fill(nds_array_view(now.array), nds_float(1));
        if (rc < 0) {
            return failed("first touch");
        }
        phase_ns[BENCH_TOUCH] = bench_now_ns() - t;
    }
    rc = round_trip(true, &took, &t);
    phase_ns[BENCH_HAND] = phase_ns[BENCH_READ] = 0;
    for (int i = 0; i < c->processes; i++) {
        double hand = now.slots[i].got_ns - t;
        double read = now.slots[i].read_ns - now.slots[i].got_ns;

        phase_ns[BENCH_HAND] =
            hand > phase_ns[BENCH_HAND] ? hand : phase_ns[BENCH_HAND];
        phase_ns[BENCH_READ] =
            read > phase_ns[BENCH_READ] ? read : phase_ns[BENCH_READ];
    }
    return rc == CLI_OK ? check_sums() : rc;
}

/* Of this process, those below it and those that were waited for. */
static double
cpu_ns(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return cli_tree(getpid(), cli_cpu_ns) +
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 +
        (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

static int
batch(int64_t budget_ns, struct bench_result *r)
{
    double cpu = cpu_ns(), end = bench_now_ns() + (double)budget_ns;
    double took, from;

    do {
        if (bench_stopped || round_trip(false, &took, &from) != CLI_OK) {
            return CLI_FAILED;
        }
        bench_hist_add(&r->steady, (uint64_t)took);
    } while (bench_now_ns() < end);
    r->cpu_ns += cpu_ns() - cpu;
    r->pss = cli_tree(getpid(), cli_pss);
    return check_sums();
}

/* After any failure of the others too. The manager's process has all that it
 * was forked with: it goes first, so that ours is the last close. */
static int
end(void)
{
    nds_proxy_close(now.proxy);
    nds_manager_close(now.manager);
    for (int i = 0; i < now.c->processes; i++) {
        if (now.procs[i] != NULL) {
            (void)nds_proc_kill(now.procs[i]);
            (void)nds_proc_join(now.procs[i], BENCH_PATIENCE, NULL);
            nds_proc_close(now.procs[i]);
        }
        nds_queue_close(now.go[i]);
        nds_pipe_close(now.to[i]);
        nds_pipe_close(now.at[i]);
    }
    nds_queue_close(now.done);
    nds_queue_close(now.queue);
    if (now.c->way == 7 && now.array != NULL) {
        (void)nds_array_unlink(now.name);
    }
    nds_array_close(now.array);
    nds_typed_close(now.typed);
    nds_array_close(now.page);
    if (now.c->way == 8) {
        unlink(now.name);
    }
    return CLI_OK;
}

const struct bench_side bench_ours = {"ndshare", begin, batch, end};
