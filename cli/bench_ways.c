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
#include "bench_ways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLICE NDS_MSEC(100)


struct bench_work bench_work;
static struct bench_work *const w = &bench_work;

/* ---- the parent's side -------------------------------------------------- */
static int
add_thing(nds_args *args, int i)
{
    switch (w->c->way) {
    case 1:
        return nds_args_add_array(args, w->array, NDS_BY_VALUE);
    case 3:
        return nds_args_add_handle(args, "queue", w->queue);
    case 4:
        return nds_args_add_handle(args, "pipe", w->at[i]);
    case 5:
        return nds_args_add_typed(args, w->typed);
    case 6:
        return nds_args_add_array(args, w->array, NDS_SHARED);
    case 7:
    case 8:
        return nds_args_add_str(args, w->name);
    case 9:
        return nds_args_add_handle(args, "proxy", w->proxy);
    default:
        return 0;
    }
}

static int
start_workers(void)
{
    nds_proc_options opts = {.size = sizeof opts, .start = w->c->start};
    const char *task = w->c->kind == BENCH_TRANSFER ? "bench_worker"
                                                    : "bench_flow_worker";
    nds_args *args;
    int rc = 0;

    for (int i = 0; rc == 0 && i < w->c->processes; i++) {
        nds_proc_close(w->procs[i]);
        w->procs[i] = NULL;
        rc = nds_args_new(&args);
        if (rc < 0) {
            break;
        }
        nds_args_add_int(args, w->c->way);
        nds_args_add_int(args, i);
        nds_args_add_int(args, w->c->start == NDS_FORKSERVER ? 0 : getpid());
        nds_args_add_int(args, w->c->kind);
        nds_args_add_int(args, w->c->runs ? 2 : w->c->loan);
        nds_args_add_array(args, w->page, NDS_SHARED);
        nds_args_add_handle(args, "queue", w->done);
        nds_args_add_handle(args, "queue", w->go[i]);
        rc = add_thing(args, i);
        if (rc == 0 && w->back != NULL) {
            rc = nds_args_add_handle(args, "queue", w->back);
        }
        if (rc == 0) {
            rc = nds_proc_start(&w->procs[i], task, args, &opts);
        }
        nds_args_free(args);
    }
    return rc;
}

int
bench_work_wake(void)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < w->c->processes; i++) {
        rc = nds_queue_put_none(w->go[i], BENCH_PATIENCE);
    }
    return rc;
}

static int
create_heap(void)
{
    int rc = nds_array_new(&w->array, NDS_FLOAT64, 1, &w->count, NULL);

    bench_inherited = w->array;
    return rc;
}

static int
create_typed(void)
{
    int rc = nds_typed_new(&w->typed, 'd', w->count, true);

    return rc == 0 ? nds_array_get(&w->array, nds_typed_array(w->typed))
                   : rc;
}

static int
create_raw(void)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};

    return nds_array_new(&w->array, NDS_FLOAT64, 1, &w->count, &opts);
}

/* Nothing stays, whoever is killed: the name goes with its last user. */
static int
create_named(void)
{
    nds_array_options opts = {.size = sizeof opts, .lifetime = NDS_WHILE_USED};

    return nds_array_create(&w->array, w->name, NDS_FLOAT64, 1, &w->count,
                            &opts);
}

static int
create_file(void)
{
    return nds_array_map_file(&w->array, w->name, NDS_CREATE, NDS_FLOAT64,
                              1, &w->count, 'C', 0);
}

static int
create_hosted(void)
{
    char shape[32];

    snprintf(shape, sizeof shape, "(%lld,)", (long long)w->count);
    return nds_manager_create(w->manager, &w->proxy, "empty", shape);
}

static int
fill_hosted(void)
{
    nds_value *args = nds_value_tuple(), *out = NULL;
    int rc = nds_value_append(args, nds_value_float(1));

    if (rc == 0) {
        rc = nds_proxy_call(w->proxy, &out, "fill", args, NULL);
    }
    nds_value_free(out);
    nds_value_free(args);
    return rc;
}

int
bench_work_touch(void)
{
    return w->proxy != NULL
               ? fill_hosted()
               : nds_fill(nds_array_view(w->array), nds_float(1));
}

static int
fill_loan(nds_array *a)
{
    int rc = nds_fill(nds_array_view(a), nds_float(1));

    *(double *)nds_array_data(a) = w->round;
    return rc;
}

static int
put(void)
{
    nds_array *loan = NULL;
    int rc = 0;

    for (int i = 0; rc == 0 && i < w->c->processes; i++) {
        if (!w->c->loan) {
            rc = nds_queue_put(w->queue, w->array, NULL, BENCH_PATIENCE);
            continue;
        }
        rc = nds_queue_loan(w->queue, &loan, NDS_FLOAT64, 1, &w->count,
                            BENCH_PATIENCE);
        if (rc == 0) {
            rc = fill_loan(loan);
        }
        if (rc == 0) {
            rc = nds_queue_publish(w->queue, &loan, NULL);
        }
        nds_queue_discard(w->queue, &loan);
    }
    return rc;
}

static int
send_all(void)
{
    nds_array *loan = NULL;
    int rc = 0;

    for (int i = 0; rc == 0 && i < w->c->processes; i++) {
        if (!w->c->loan) {
            rc = nds_pipe_send(w->to[i], w->array, NULL, BENCH_PATIENCE);
            continue;
        }
        rc = nds_pipe_loan(w->to[i], &loan, NDS_FLOAT64, 1, &w->count,
                           BENCH_PATIENCE);
        if (rc == 0) {
            rc = fill_loan(loan);
        }
        if (rc == 0) {
            rc = nds_pipe_publish(w->to[i], &loan, NULL);
        }
        nds_pipe_discard(w->to[i], &loan);
    }
    return rc;
}

static const struct bench_way ways[BENCH_WAYS] = {
    {"argument", false, true, create_heap, start_workers},
    {"inheritance", false, true, create_heap, start_workers},
    {"queue", true, false, create_heap, put},
    {"pipe", true, false, create_heap, send_all},
    {"locked array", false, false, create_typed, bench_work_wake},
    {"raw array", false, false, create_raw, bench_work_wake},
    {"shared memory", true, false, create_named, bench_work_wake},
    {"mapped file", true, false, create_file, bench_work_wake},
    {"manager", false, false, create_hosted, bench_work_wake},
};

static const struct bench_way *
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

const char *
bench_variant(const struct bench_cell *c)
{
    return c->loan ? "loan" : c->runs ? "runs" : "plain";
}

bool
bench_way_starts(int number, enum nds_start start)
{
    return number != 2 || start == NDS_FORK;
}

/* ---- a cell ------------------------------------------------------------- */
int
bench_work_failed(const char *what)
{
    char text[160];

    if (bench_stopped) {
        return CLI_FAILED; // the command says so, once
    }
    snprintf(text, sizeof text, "way %d, %lld bytes, %s", w->c->way,
             (long long)w->c->nbytes, what);
    return cli_fail(w->self, text);
}

static int
open_channel(void)
{
    size_t n = (size_t)w->c->nbytes;
    size_t depth = n <= 65536 ? 256 : n <= (size_t)4 << 20 ? 16 : 1;
    int rc = 0;

    depth += (size_t)w->c->processes;
    if (w->c->way == 3) {
        nds_queue_options opts = {.size = sizeof opts,
                                  .max_items = (uint32_t)depth,
                                  .max_bytes = (depth + 1) * (n + 4096)};

        rc = nds_queue_new(&w->queue, &opts);
        return rc == 0 && w->c->kind == BENCH_TRIPS
                   ? nds_queue_new(&w->back, &opts)
                   : rc;
    }
    for (int i = 0; rc == 0 && w->c->way == 4 && i < w->c->processes; i++) {
        nds_pipe_options opts = {.size = sizeof opts,
                                 .duplex = w->c->kind == BENCH_TRIPS,
                                 .max_items = (uint32_t)depth,
                                 .max_bytes = (depth + 1) * (n + 4096)};

        rc = nds_pipe_new(&w->at[i], &w->to[i], &opts);
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
    int64_t n = (int64_t)sizeof(struct bench_slot) / 8 * w->c->processes;
    int rc = nds_array_new(&w->page, NDS_FLOAT64, 1, &n, &opts);

    if (rc == 0) {
        w->slots = nds_array_data(w->page);
        rc = nds_queue_new(&w->done, &words);
    }
    for (int i = 0; rc == 0 && i < w->c->processes; i++) {
        rc = nds_queue_new(&w->go[i], &words);
    }
    if (rc == 0) {
        rc = open_channel();
    }
    if (w->c->way == 8) {
        snprintf(w->name, sizeof w->name, "%.40s/ndshare-bench-%d",
                 dir != NULL && dir[0] == '/' ? dir : "/tmp", (int)getpid());
    } else {
        snprintf(w->name, sizeof w->name, "ndshare-bench-%d",
                 (int)getpid());
    }
    if (rc == 0 && w->c->way == 9) {
        nds_manager_options m = {.size = sizeof m, .start = (int)w->c->start};

        rc = nds_manager_start(&w->manager, &m);
    }
    if (rc == 0 && w->way->early) {
        rc = start_workers();
    }
    return rc;
}

int
bench_work_open(const struct cli_command *self, const struct bench_cell *c)
{
    memset(w, 0, sizeof *w);
    w->self = self;
    w->c = c;
    w->way = way_of(c->way);
    w->count = c->nbytes / 8;
    return prepare() < 0 ? bench_work_failed("prepare") : CLI_OK;
}

/* A worker that ended badly will never say that it is done. */
static int
workers_live(void)
{
    int code;

    for (int i = 0; i < w->c->processes; i++) {
        if (w->procs[i] != NULL &&
            nds_proc_join(w->procs[i], 0, &code) == 0 && code != 0) {
            cli_remark("a worker of way %d ended with %d", w->c->way, code);
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

int
bench_work_wait(void)
{
    for (int left = w->c->processes; left > 0;) {
        nds_array *none;
        int rc = nds_queue_get(w->done, &none, NULL, SLICE);

        if (rc == 0) {
            left--;
        } else if (rc != NDS_ETIMEDOUT) {
            return bench_work_failed("wait");
        } else if (bench_stopped || workers_live() != CLI_OK) {
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

static int
round_trip(bool first, double *took, double *from)
{
    double *data = w->array != NULL ? nds_array_data(w->array) : NULL;
    int rc = 0;

    w->round++;
    if (data != NULL) {
        data[0] = w->round;
    }
    w->expected += (double)w->c->processes *
        ((double)w->count - 1 + (w->c->way == 9 ? 1 : w->round));
    *from = bench_now_ns();
    if (first && !w->way->early && !w->way->once) {
        rc = start_workers();
    }
    if (rc == 0) {
        rc = w->way->hand();
    }
    if (rc < 0) {
        return bench_work_failed("hand over");
    }
    rc = bench_work_wait();
    *took = bench_now_ns() - *from;
    for (int i = 0; rc == CLI_OK && w->way->once && i < w->c->processes;
         i++) {
        rc = nds_proc_join(w->procs[i], BENCH_PATIENCE, NULL) < 0 ? CLI_FAILED
                                                             : CLI_OK;
    }
    return rc;
}

int
bench_work_check(void)
{
    double total = 0;

    for (int i = 0; i < w->c->processes; i++) {
        total += w->slots[i].total;
    }
    if (total != w->expected) {
        cli_remark("way %d, %lld bytes: the workers added up %.17g, not %.17g",
                   w->c->way, (long long)w->c->nbytes, total, w->expected);
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

    if (bench_work_open(self, c) != CLI_OK) {
        return CLI_FAILED;
    }
    phase_ns[BENCH_CREATE] = phase_ns[BENCH_TOUCH] = -1;
    if (!c->loan) { // its memory is made and written as it is handed over
        t = bench_now_ns();
        if (w->way->create() < 0) {
            return bench_work_failed("create");
        }
        phase_ns[BENCH_CREATE] = bench_now_ns() - t;
        t = bench_now_ns();
        if (bench_work_touch() < 0) {
            return bench_work_failed("first touch");
        }
        phase_ns[BENCH_TOUCH] = bench_now_ns() - t;
    }
    rc = round_trip(true, &took, &t);
    phase_ns[BENCH_HAND] = phase_ns[BENCH_READ] = 0;
    for (int i = 0; i < c->processes; i++) {
        double hand = w->slots[i].got_ns - t;
        double read = w->slots[i].read_ns - w->slots[i].got_ns;

        phase_ns[BENCH_HAND] =
            hand > phase_ns[BENCH_HAND] ? hand : phase_ns[BENCH_HAND];
        phase_ns[BENCH_READ] =
            read > phase_ns[BENCH_READ] ? read : phase_ns[BENCH_READ];
    }
    return rc == CLI_OK ? bench_work_check() : rc;
}

static double
tree(double (*of)(pid_t pid))
{
    pid_t python = bench_python_pid();

    return cli_tree(getpid(), of) - (python > 0 ? cli_tree(python, of) : 0);
}

double
bench_pss(void)
{
    return tree(cli_pss);
}

bool
bench_paused(double last_ns)
{
    return bench_now_ns() - last_ns > 2e8;
}

double
bench_cpu_ns(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return tree(cli_cpu_ns) +
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 +
        (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

static int
batch(int64_t budget_ns, struct bench_result *r)
{
    double cpu, end, took, from;

    if (bench_paused(w->last_ns) && round_trip(false, &took, &from) != CLI_OK) {
        return CLI_FAILED;
    }
    cpu = bench_cpu_ns();
    end = bench_now_ns() + (double)budget_ns;
    do {
        if (bench_stopped || round_trip(false, &took, &from) != CLI_OK) {
            return CLI_FAILED;
        }
        bench_hist_add(&r->steady, (uint64_t)took);
    } while (bench_now_ns() < end);
    r->cpu_ns += bench_cpu_ns() - cpu;
    r->pss = bench_pss();
    w->last_ns = bench_now_ns();
    return bench_work_check();
}

/* After any failure of the others too. The manager's process has all that it
 * was forked with: it goes first, so that ours is the last close. */
int
bench_work_close(void)
{
    nds_proxy_close(w->proxy);
    nds_manager_close(w->manager);
    for (int i = 0; i < w->c->processes; i++) {
        if (w->procs[i] != NULL) {
            (void)nds_proc_kill(w->procs[i]);
            (void)nds_proc_join(w->procs[i], BENCH_PATIENCE, NULL);
            nds_proc_close(w->procs[i]);
        }
        nds_queue_close(w->go[i]);
        nds_pipe_close(w->to[i]);
        nds_pipe_close(w->at[i]);
    }
    nds_queue_close(w->done);
    nds_queue_close(w->queue);
    nds_queue_close(w->back);
    if (w->c->way == 7 && w->array != NULL) {
        (void)nds_array_unlink(w->name);
    }
    nds_array_close(w->array);
    nds_typed_close(w->typed);
    nds_array_close(w->page);
    if (w->c->way == 8) {
        unlink(w->name);
    }
    return CLI_OK;
}

const struct bench_side bench_ours = {"ndshare", begin, batch,
                                       bench_work_close};
