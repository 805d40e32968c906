/* SPDX-License-Identifier: MIT */
/*
 * cmd_bench.c - what each way costs here: options, and the run over all cells
 *
 * All sides of a cell are measured in turns, so that what changes on the
 * machine meanwhile (its host, its clock) is met by all.
 */
#include "bench_limit.h"
#include "bench_plot.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TURNS 5
#define SIDES_MAX 2

volatile int bench_stopped;

double
bench_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

const char *
bench_start_name(enum nds_start start)
{
    return start == NDS_FORK ? "fork" : start == NDS_SPAWN ? "spawn"
                                                           : "forkserver";
}

enum nds_start
bench_start_of(const char *name)
{
    for (enum nds_start s = NDS_FORK; s <= NDS_FORKSERVER; s++) {
        if (strcmp(name, bench_start_name(s)) == 0) {
            return s;
        }
    }
    return 0;
}

static void
stop(int signo)
{
    bench_stopped = signo;
}

/* So that the workers are ended, and nothing stays. */
static void
catch_signals(void)
{
    struct sigaction act = {.sa_handler = stop};

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
}

/* ---- options ------------------------------------------------------------ */
/* 1K 1M 1G are powers of 1024, as 1KiB; 1KB 1MB 1GB of 1000. */
bool
bench_parse_size(const char *text, int64_t *out)
{
    static const char letters[] = "KMG";
    char *end;
    double n = strtod(text, &end);
    const char *unit = *end != '\0' ? strchr(letters, *end & ~0x20) : NULL;

    if (end == text) {
        return false;
    }
    if (unit != NULL && *unit != '\0') {
        bool ten = strcasecmp(end + 1, "B") == 0;

        if (!ten && end[1] != '\0' && strcasecmp(end + 1, "iB") != 0) {
            return false;
        }
        for (; unit >= letters; unit--) {
            n *= ten ? 1000 : 1024;
        }
    } else if (*end != '\0' && strcasecmp(end, "B") != 0) {
        return false;
    }
    *out = n >= 16 && n <= 1e12 ? (int64_t)n / 8 * 8 : 0;
    return *out != 0;
}

static bool
add_way(struct bench_options *o, const char *text)
{
    int64_t n;

    if (!cli_parse_int(text, &n) || n < 1 || n > BENCH_WAYS) {
        return false;
    }
    o->ways |= 1u << n;
    return true;
}

static bool
add_size(struct bench_options *o, const char *text)
{
    return o->nsizes < BENCH_LIST_MAX &&
           bench_parse_size(text, &o->sizes[o->nsizes++]);
}

static bool
add_start(struct bench_options *o, const char *text)
{
    if (o->nstarts == 3) {
        return false;
    }
    o->starts[o->nstarts] = bench_start_of(text);
    return o->starts[o->nstarts++] != 0;
}

static bool
add_count(struct bench_options *o, const char *text)
{
    int64_t n;

    if (!cli_parse_int(text, &n) || n < 1 || n > BENCH_PROCESSES_MAX ||
        o->ncounts == BENCH_LIST_MAX) {
        return false;
    }
    o->counts[o->ncounts++] = (int)n;
    return true;
}

/* Hands each part of "a,b,c" to add. */
static bool
each(struct bench_options *o, char *list,
     bool (*add)(struct bench_options *o, const char *text))
{
    for (char *part; (part = strsep(&list, ",")) != NULL;) {
        if (!add(o, part)) {
            return false;
        }
    }
    return true;
}

static const struct option options[] = {
    {"ways", required_argument, NULL, 'w'},
    {"sizes", required_argument, NULL, 's'},
    {"start-method", required_argument, NULL, 'm'},
    {"processes", required_argument, NULL, 'n'},
    {"runs", required_argument, NULL, 'r'},
    {"budget-ms", required_argument, NULL, 'b'},
    {"quick", no_argument, NULL, 'q'},
    {"vs", required_argument, NULL, 'v'},
    {"no-programs", no_argument, NULL, 'x'},
    {"plot", required_argument, NULL, 'p'},
    {"from", required_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'j'},
    {0}};

static int
parse(const struct cli_command *self, int argc, char **argv,
      struct bench_options *o)
{
    int64_t n;
    int c;

    while ((c = cli_option(self, argc, argv, options)) != -1) {
        if (c == 'w' && !each(o, optarg, add_way)) {
            return cli_usage(self, "--ways takes numbers from 1 to 9: 1,3,4");
        } else if (c == 's' && !each(o, optarg, add_size)) {
            return cli_usage(self, "--sizes takes 16 bytes or more: "
                             "1K,8M,800MB");
        } else if (c == 'm' && !each(o, optarg, add_start)) {
            return cli_usage(self, "--start-method is fork, spawn or "
                             "forkserver");
        } else if (c == 'n' && !each(o, optarg, add_count)) {
            return cli_usage(self, "--processes takes numbers from 1 to %d",
                             BENCH_PROCESSES_MAX);
        } else if (c == 'r') {
            if (!cli_parse_int(optarg, &n) || n < 1 || n > BENCH_RUNS_MAX) {
                return cli_usage(self, "--runs takes 1 to %d",
                                 BENCH_RUNS_MAX);
            }
            o->runs = (int)n;
        } else if (c == 'b') {
            if (!cli_parse_int(optarg, &n) || n < 1 || n > 600000) {
                return cli_usage(self, "--budget-ms takes 1 to 600000");
            }
            o->budget_ns = NDS_MSEC(n);
        } else if (c == 'p') {
            if (bench_plot_refusal(optarg) != NULL) {
                return cli_usage(self, "%s: %s", optarg,
                                 bench_plot_refusal(optarg));
            }
            if (o->nplots == BENCH_LIST_MAX) {
                return cli_usage(self, "at most %d --plot", BENCH_LIST_MAX);
            }
            o->plots[o->nplots++] = optarg;
        } else if (c == 'v') {
            if (strcmp(optarg, "python") != 0) {
                return cli_usage(self, "--vs takes python");
            }
            o->python = true;
        } else if (c == 'f') {
            o->from = optarg;
        } else if (c == 'q') {
            o->quick = true;
        } else if (c == 'x') {
            o->no_programs = true;
        } else if (c == 'j') {
            o->json = true;
        } else if (c == 'h' || c == '?') {
            return c == 'h' ? -1 : CLI_USAGE;
        }
    }
    return argc == optind ? CLI_OK : cli_usage(self, "bench takes no NAME");
}

static void
defaults(struct bench_options *o)
{
    char all[] = "1K,32K,1M,8M,80M,800MB", few[] = "1K,1M,8M";
    char less[] = "1K,32K,1M,8M,80M"; // Python's queue takes 30 s for 800 MB

    if (o->ways == 0) {
        o->ways = ~0u;
    }
    if (o->nsizes == 0) {
        each(o, o->quick ? few : o->python ? less : all, add_size);
    }
    if (o->nstarts == 0) {
        add_start(o, "fork");
    }
    if (o->ncounts == 0) {
        add_count(o, "1");
    }
    if (o->budget_ns == 0) {
        o->budget_ns = NDS_MSEC(o->quick ? 20 : 200);
    }
}

/* ---- the run ------------------------------------------------------------ */
void
bench_progress(int way, int64_t nbytes, enum nds_start start, int processes)
{
    char text[32];

    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%d %s, %s, by %s", way, bench_way_name(way),
                nbytes > 0 ? bench_size_text(text, (double)nbytes)
                           : "the whole program",
                bench_start_name(start));
        if (processes > 1) {
            fprintf(stderr, ", %d processes", processes);
        }
        fputs("\033[K", stderr);
    }
}

void
bench_progress_over(void)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K");
    }
    if (bench_stopped) {
        cli_remark("stopped by signal %d", bench_stopped);
    }
}

/* The first-time figures of each side, and after the last of these the steady
 * state of all sides in turns. */
static int
run_cell(const struct cli_command *self, const struct bench_options *o,
         const struct bench_cell *c, const struct bench_side *const *sides,
         int nsides, struct bench_result *results)
{
    bool large = c->nbytes > (o->python ? 16 : 256) * 1000000;
    int runs = c->kind != BENCH_TRANSFER ? 1
               : o->runs > 0 ? o->runs : o->quick || large ? 1 : 3;
    int turns = o->runs > TURNS ? o->runs : TURNS;
    int rc = CLI_OK;

    for (int k = 0; rc == CLI_OK && k < runs; k++) {
        double phases[SIDES_MAX][BENCH_PHASES];

        for (int i = 0; rc == CLI_OK && i < nsides; i++) {
            rc = sides[i]->begin(self, c, phases[i]);
            for (int p = 0; rc == CLI_OK && p < BENCH_PHASES; p++) {
                results[i].phase_ns[p][k] = phases[i][p];
            }
            results[i].runs = k + 1;
        }
        for (int t = 0; k == runs - 1 && t < turns; t++) {
            for (int i = 0; rc == CLI_OK && i < nsides; i++) {
                // What takes long is done as often as was asked, no more.
                if (t < o->runs || t == 0 ||
                    results[i].steady.sum < 2 * (double)o->budget_ns) {
                    rc = sides[i]->batch(o->budget_ns / turns, &results[i]);
                }
            }
        }
        for (int i = 0; i < nsides; i++) {
            if (sides[i]->end() != CLI_OK) {
                rc = CLI_FAILED;
            }
        }
    }
    return bench_stopped ? CLI_FAILED : rc;
}

int
bench_one(const struct cli_command *self, const struct bench_cell *c,
          int64_t budget_ns, struct bench_result *r)
{
    struct bench_options o = {.budget_ns = budget_ns};
    const struct bench_side *ours = &bench_ours;

    catch_signals();
    bench_progress(c->way, c->nbytes, c->start, c->processes);
    return run_cell(self, &o, c, &ours, 1, r);
}

static int
measure_cell(const struct cli_command *self, const struct bench_options *o,
             const struct bench_cell *c, json_t *entries)
{
    const struct bench_side *sides[SIDES_MAX] = {
        c->kind == BENCH_TRANSFER ? &bench_ours : &bench_ours_flow,
        &bench_stock};
    struct bench_result *results = calloc(SIDES_MAX, sizeof *results);
    int nsides = o->python && !c->loan && !c->runs ? 2 : 1, rc = CLI_FAILED;

    bench_progress(c->way, c->nbytes, c->start, c->processes);
    if (results != NULL) {
        rc = run_cell(self, o, c, sides, nsides, results);
    }
    for (int i = 0; rc == CLI_OK && i < nsides; i++) {
        json_t *entry = bench_entry_json(c, sides[i]->who, &results[i]);

        if (json_array_append_new(entries, entry) < 0) {
            rc = CLI_FAILED;
        }
    }
    free(results);
    return rc;
}

/* Whether there is such work, and it says something at that size. */
static bool
exists(const struct bench_cell *c)
{
    bool lends = bench_way_lends(c->way);

    if (!bench_way_starts(c->way, c->start) || (c->loan && !lends)) {
        return false;
    }
    if (c->kind == BENCH_TRANSFER) {
        return !c->runs;
    }
    if (c->kind == BENCH_TRIPS) {
        return (lends || c->way == 9) && !c->runs && c->processes == 1 &&
               c->nbytes <= 1 << 20;
    }
    return lends && (c->way == 3 || c->processes == 1) &&
           c->nbytes <= 256000000 &&
           (!c->runs || (c->way == 3 && c->nbytes <= 65536));
}

static int
measure_kind(const struct cli_command *self, const struct bench_options *o,
             struct bench_cell c, json_t *entries)
{
    for (c.way = 1; c.way <= BENCH_WAYS; c.way++) {
        for (int k = 0; k < 3 * o->nsizes; k++) {
            c.nbytes = o->sizes[k % o->nsizes];
            c.runs = k / o->nsizes == 1;
            c.loan = k / o->nsizes == 2;
            if ((o->ways >> c.way & 1) != 0 && exists(&c) &&
                measure_cell(self, o, &c, entries) != CLI_OK) {
                return CLI_FAILED;
            }
        }
    }
    return CLI_OK;
}

static int
measure_all(const struct cli_command *self, const struct bench_options *o,
            json_t *const entries[3])
{
    for (int kind = BENCH_TRANSFER; kind <= BENCH_RATE; kind++) {
        for (int k = 0; k < o->nstarts * o->ncounts; k++) {
            struct bench_cell c = {.kind = (enum bench_kind)kind,
                                   .start = o->starts[k / o->ncounts],
                                   .processes = o->counts[k % o->ncounts]};

            if (measure_kind(self, o, c, entries[kind]) != CLI_OK) {
                return CLI_FAILED;
            }
        }
    }
    return CLI_OK;
}

static int
measure(const struct cli_command *self, const struct bench_options *o,
        json_t *report)
{
    static const char *const kinds[] = {"transfer", "latency", "rate"};
    json_t *entries[3], *programs = json_array();
    struct bench_limits limits = {0};
    int rc;

    catch_signals();
    json_object_set_new(report, "schema", json_string("ndshare-bench/1"));
    json_object_set_new(report, "machine", bench_machine_json());
    for (int i = 0; i < 3; i++) {
        entries[i] = json_array();
        json_object_set_new(report, kinds[i], entries[i]);
    }
    json_object_set_new(report, "programs", programs);
    rc = o->python ? bench_python_start() : CLI_OK;
    if (rc == CLI_OK && o->python) {
        json_object_set_new(report, "python", bench_python_json());
    }
    // Before and after, since the machine changes meanwhile.
    if (rc == CLI_OK) {
        rc = bench_limits_measure(&limits, o);
    }
    if (rc == CLI_OK) {
        rc = measure_all(self, o, entries);
    }
    if (rc == CLI_OK) {
        rc = bench_limits_measure(&limits, o);
    }
    json_object_set_new(report, "limits", bench_limits_json(&limits));
    json_object_set_new(report, "round_trips",
                        bench_round_trips_json(&limits));
    for (int i = 0; i < 3; i++) {
        bench_limits_apply(&limits, (enum bench_kind)i, entries[i]);
    }
    if (rc == CLI_OK && (o->python || o->nplots > 0) &&
        !o->quick && !o->no_programs) {
        rc = bench_programs_measure(o, programs);
    }
    bench_python_stop();
    bench_progress_over();
    return rc;
}

/* An earlier run's --json. */
static json_t *
load(const char *path)
{
    json_error_t error;
    json_t *report = json_load_file(path, 0, &error);

    if (report == NULL) {
        cli_remark("%s: %s", path, error.text);
    } else if (strcmp(bench_string(report, "schema"), "ndshare-bench/1") !=
               0) {
        cli_remark("%s is no report of ndshare bench --json", path);
        json_decref(report);
        report = NULL;
    }
    return report;
}

static int
run(const struct cli_command *self, int argc, char **argv)
{
    struct bench_options o = {0};
    json_t *report;
    int rc = parse(self, argc, argv, &o);

    if (rc != CLI_OK) {
        return rc < 0 ? CLI_OK : rc;
    }
    defaults(&o);
    for (int i = 0; i < o.nplots; i++) { // rather now than after minutes
        if (!bench_plot_has_room(o.plots[i])) {
            cli_remark("cannot write %s: %s", o.plots[i], strerror(errno));
            return CLI_FAILED;
        }
    }
    report = o.from != NULL ? load(o.from) : json_object();
    if (o.from == NULL) {
        rc = measure(self, &o, report);
    } else if (report == NULL) {
        rc = CLI_FAILED;
    }
    for (int i = 0; rc == CLI_OK && i < o.nplots; i++) {
        rc = bench_plot(report, o.plots[i]) == 0 ? CLI_OK : CLI_FAILED;
    }
    if (rc == CLI_OK && o.json) {
        return cli_print_json(report);
    }
    if (rc == CLI_OK) {
        bench_print(report);
    }
    json_decref(report);
    return rc;
}

const struct cli_command cli_bench = {
    "bench", "what each way costs here, by size",
    "usage: ndshare bench [--ways N,...] [--sizes BYTES,...]\n"
    "         [--start-method fork|spawn|forkserver,...] [--processes N,...]\n"
    "         [--runs N] [--budget-ms MS] [--quick] [--json]\n"
    "         [--vs python] [--no-programs] [--from REPORT.json]\n"
    "         [--plot FILE.svg|FILE.png|FILE.html]...\n\n"
    "An array that is ready goes to each of the processes; measured is until "
    "the last\nhas added it all up and said so. Ways 1 and 2 start a process "
    "for it.\n\n"
    "Once: create, touch (first written), hand (first handed over), read. "
    "Then again and\nagain: the other columns. limit is what the same bytes "
    "cost this machine at best; of it\nis the part of that reached; bare, the "
    "part of what two threads take that only copy\nand read.\n\n"
    "  --ways N,...       1 to 9; else all\n"
    "  --sizes BYTES,...  1K is 1024, 1KB 1000; else 1 KiB to 800 MB\n"
    "  --start-method     how processes are started; else fork\n"
    "  --processes N,...  how many get the array; else 1\n"
    "  --runs N           of what is measured once: create, first touch, "
    "hand-over, read\n"
    "  --budget-ms MS     for the steady state, each size of each way; else "
    "200\n"
    "  --quick            less of all, no programs, a few seconds\n"
    "  --json             all of it, as \"ndshare-bench/1\"\n"
    "  --vs python        stock Python's way beside ours, in turns; up to 80 "
    "MiB, if no\n"
    "                     --sizes are given; then the whole programs\n"
    "  --no-programs      not those\n"
    "  --plot FILE        charts, by the ending of the name; measures the "
    "whole programs\n"
    "  --from REPORT      of what an earlier run said with --json: nothing "
    "is measured\n\n"
    "example: ndshare bench --ways 3,4 --sizes 1K,1M,80M --plot ways.svg\n",
    run};
