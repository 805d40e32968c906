/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the files of `ndshare bench` share
 *
 * A cell is one way, size, start method and number of processes. Its work: an
 * array that the parent has is handed to each process, which adds up all of
 * it and says so. A side does that work, ours or stock Python's:
 *
 *     begin    create, touch, hand over, read, each for the first time
 *     batch    again and again, each time handed over and read: steady state
 *     end      nothing is left
 */
#ifndef NDI_BENCH_H
#define NDI_BENCH_H

#include "bench_hist.h"
#include "cli.h"

#define BENCH_WAYS 9
#define BENCH_PROCESSES_MAX 64
#define BENCH_RUNS_MAX 99
#define BENCH_LIST_MAX 16

struct bench_options {
    unsigned ways; /* bit n: way n */
    int nsizes, nstarts, ncounts, nplots;
    int64_t sizes[BENCH_LIST_MAX];
    enum nds_start starts[3];
    int counts[BENCH_LIST_MAX]; /* of processes */
    const char *plots[BENCH_LIST_MAX], *from;
    int runs;                   /* of what is done once; 0: by size */
    int64_t budget_ns;          /* of the steady state, a side and cell */
    bool python, json, quick, no_programs;
};

enum bench_kind {
    BENCH_TRANSFER, /* one array at a time, and wait for its reader */
    BENCH_TRIPS,    /* there and back; way 9: a call */
    BENCH_RATE      /* one way, many in flight */
};

struct bench_cell {
    enum bench_kind kind;
    int way; /* 1..9 */
    bool loan;
    bool runs; /* put_many and get_many */
    int64_t nbytes;
    enum nds_start start;
    int processes;
};

enum bench_phase {
    BENCH_CREATE,
    BENCH_TOUCH,
    BENCH_HAND,
    BENCH_READ,
    BENCH_PHASES
};

struct bench_result {
    int runs;
    double phase_ns[BENCH_PHASES][BENCH_RUNS_MAX]; /* < 0: has no such phase */
    struct bench_hist steady; /* of BENCH_RATE: ns for a thousand items */
    double cpu_ns;  /* of the whole tree, all of steady */
    double items;   /* of BENCH_RATE, all of steady */
    double pss;    /* bytes, of the whole tree, after steady */
};

/* Each returns CLI_OK, or CLI_FAILED with the reason said. */
struct bench_side {
    const char *who;
    int (*begin)(const struct cli_command *self, const struct bench_cell *c,
                 double phase_ns[BENCH_PHASES]);
    /* For about budget_ns; once at least. */
    int (*batch)(int64_t budget_ns, struct bench_result *r);
    int (*end)(void);
};

/* ---- cmd_bench.c -------------------------------------------------------- */
extern volatile int bench_stopped; /* by a signal: finish and clean up */
double bench_now_ns(void);
void bench_progress(int way, int64_t nbytes, enum nds_start start,
                    int processes);
/* Clears that line; says so if a signal stopped it. */
void bench_progress_over(void);
/* 1K 1M 1G are powers of 1024, as 1KiB; 1KB 1MB 1GB of 1000. */
bool bench_parse_size(const char *text, int64_t *out);
/* A cell of our side alone: CLI_OK, or CLI_FAILED with the reason said. *r all
 * zeros before. */
int bench_one(const struct cli_command *self, const struct bench_cell *c,
              int64_t budget_ns, struct bench_result *r);
const char *bench_start_name(enum nds_start start);
enum nds_start bench_start_of(const char *name); /* 0: no such */

/* Of this process and those below it but Python's: memory, and time on
 * processors, also of those that were waited for. */
double bench_pss(void);
double bench_cpu_ns(void);
/* A channel gives memory back that it has not needed for half a second: other
 * sides' turns may take longer, and the steady state begins after one round. */
bool bench_paused(double last_ns);

/* ---- bench_flow.c: BENCH_TRIPS and BENCH_RATE --------------------------- */
extern const struct bench_side bench_ours_flow;
/* An item of one byte more in its tag ends a batch. */
#define BENCH_RUN 64

/* ---- bench_ways.c ------------------------------------------------------- */
extern const struct bench_side bench_ours;
/* "queue"; by loan or not. */
const char *bench_way_name(int way);
bool bench_way_lends(int way);
const char *bench_variant(const struct bench_cell *c);
/* Inheritance is by fork alone. */
bool bench_way_starts(int way, enum nds_start start);

/* In a child of `parent` (0: of the forkserver): it ends when the parent does,
 * also when that has happened already. */
void bench_end_with(pid_t parent);

/* ---- bench_worker.c: the task "bench_worker" ---------------------------- */
#define BENCH_PATIENCE NDS_SEC(60)

enum bench_arg {
    BENCH_ARG_WAY,
    BENCH_ARG_INDEX, /* of the worker: its slot */
    BENCH_ARG_PARENT, /* the command's pid, or 0: it is the forkserver */
    BENCH_ARG_KIND,
    BENCH_ARG_LOAN,
    BENCH_ARG_PAGE, /* slots */
    BENCH_ARG_DONE, /* queues of None items */
    BENCH_ARG_GO,
    BENCH_ARG_THING, /* what the way hands over, or where it is found */
    BENCH_ARG_BACK   /* of trips through queues: the other queue */
};

/* Written by one worker, read by the parent after `done`. */
struct bench_slot {
    double got_ns; /* when the worker had the array */
    double read_ns;
    double total; /* of all rounds */
    double unused[5];
};
_Static_assert(sizeof(struct bench_slot) == 64, "a line a worker");

/* What way 2 finds. */
extern nds_array *bench_inherited;

/* ---- bench_python.c ----------------------------------------------------- */
extern const struct bench_side bench_stock;
/* Before there is a large heap. CLI_FAILED: no Python with NumPy, said. */
int bench_python_start(void);
void bench_python_stop(void);
pid_t bench_python_pid(void); /* 0: none */
const char *bench_python_path(void);
json_t *bench_python_json(void);

/* ---- bench_programs.c --------------------------------------------------- */
/* Appends to the report's "programs". */
int bench_programs_measure(const struct bench_options *o, json_t *all);

/* ---- bench_report.c ----------------------------------------------------- */
/* The report's entry of a side in a cell; NULL: out of memory. */
json_t *bench_entry_json(const struct bench_cell *c, const char *who,
                         struct bench_result *r);
json_t *bench_machine_json(void);
double bench_median(double *values, int count); /* sorts them */
void bench_print(const json_t *report);
/* A member: -1 and "" if there is none of that kind. */
double bench_number(const json_t *entry, const char *key);
int bench_int(const json_t *entry, const char *key); /* -1: too large */
const char *bench_string(const json_t *entry, const char *key);
/* "32 KiB", "800 MB"; "1.23us", "-" if negative. Both lend `out`. */
const char *bench_size_text(char out[32], double nbytes);
const char *bench_time_text(char out[32], double ns);

#endif
