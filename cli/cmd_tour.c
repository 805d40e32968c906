/* SPDX-License-Identifier: MIT */
/*
 * cmd_tour.c - the nine ways as whole programs, and what each cost here
 *
 * Each program is a process of its own, run as a user would run it, three
 * times. The first run is the one that is shown, and from it come the bytes
 * that the library copied (a counter shared by the tree). Its time is said, but
 * it may be that of a host giving back memory that it had taken from an idle
 * virtual machine, which whatever runs first pays. So the figure is the second
 * run's. Peak memory, the tree's proportional set size, is a third one's, since
 * looking costs time.
 */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct way {
    int number;
    const char *program;
    const char *title;
    const char *small; /* its first argument, or NULL: small as it is */
    const char *when;
} ways[] = {
    {1, "01_argument", "function argument", "1000",
     "a child that starts with its input"},
    {2, "02_inherit", "inheritance", "1000",
     "many readers of what exists before the fork"},
    {3, "03_queue", "queue", "50", "a pipeline, many producers or consumers"},
    {4, "04_pipe", "pipe", "1000", "two partners, results that move on"},
    {5, "05_locked_array", "locked array", NULL,
     "a typed list that several write"},
    {6, "06_raw_array", "raw array", "1000000",
     "relatives, any shape, no lock"},
    {7, "07_shared_memory", "shared memory", NULL,
     "programs that know only a name"},
    {8, "08_mapped_file", "mapped file", NULL,
     "data that stay, or exceed memory"},
    {9, "09_manager", "manager", "1000000",
     "results only, many clients, stock Python"},
};
#define WAYS ((int)(sizeof ways / sizeof ways[0]))

struct cost {
    const struct way *way;
    double first, seconds; /* of the first run, of the second */
    double peak;
    uint64_t copied;
};

struct tour {
    char dir[CLI_PATH]; /* of the programs */
    char work[64];      /* where they run */
    bool small, plain;
    int only;
};

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static pid_t
start(const struct tour *t, const struct way *w, bool quiet)
{
    const char *n = t->small ? w->small : NULL;
    char path[CLI_PATH + 64];
    pid_t pid;

    snprintf(path, sizeof path, "%s/%s", t->dir, w->program);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (chdir(t->work) < 0 ||
            (quiet && freopen("/dev/null", "w", stdout) == NULL)) {
            _exit(126);
        }
        execl(path, w->program, n, (char *)NULL);
        fprintf(stderr, "ndshare tour: cannot run %s: %s\n", path,
                strerror(errno));
        _exit(127);
    }
    return pid;
}

/* Waits; sampling memory if `peak` is wanted: often at first, for some of the
 * programs are over soon, then every 2 ms. */
static int
finish(pid_t pid, double *peak)
{
    struct timespec nap = {0, 50000};
    int status = 0;

    while (pid > 0 && waitpid(pid, &status, peak != NULL ? WNOHANG : 0) == 0) {
        double now = cli_tree(pid, cli_pss);

        *peak = now > *peak ? now : *peak;
        nanosleep(&nap, NULL);
        nap.tv_nsec += nap.tv_nsec < 2000000 ? nap.tv_nsec / 20 : 0;
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? CLI_OK
               : CLI_FAILED;
}

/* Seconds of one run, or < 0. */
static double
run_once(const struct tour *t, const struct way *w, bool quiet)
{
    double from = seconds();

    if (finish(start(t, w, quiet), NULL) != CLI_OK) {
        cli_remark("program %s failed", w->program);
        return -1;
    }
    return seconds() - from;
}

static int
run_way(const struct tour *t, const struct way *w, struct cost *c)
{
    nds_stats before = {.size = sizeof before}, after = before;
    char a[32], b[32];

    *c = (struct cost){.way = w};
    if (!t->plain) {
        printf("%d. %s\n", w->number, w->title);
    }
    nds_stats_read(&before);
    c->first = run_once(t, w, false);
    nds_stats_read(&after);
    c->copied = after.bytes_copied - before.bytes_copied;
    if (c->first < 0 || t->plain) {
        return c->first < 0 ? CLI_FAILED : CLI_OK;
    }
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "   measuring ...\r");
    }
    c->seconds = run_once(t, w, true);
    if (c->seconds < 0 || finish(start(t, w, true), &c->peak) != CLI_OK) {
        return CLI_FAILED;
    }
    printf("   %.3f s (the run above %.3f), peak memory of the tree %s, %s "
           "copied\n\n",
           c->seconds, c->first, cli_bytes(a, sizeof a, c->peak),
           cli_bytes(b, sizeof b, (double)c->copied));
    return CLI_OK;
}

static int
faster(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;

    return (x->seconds > y->seconds) - (x->seconds < y->seconds);
}

static void
table(struct cost *costs, int count)
{
    char a[32], b[32];

    qsort(costs, (size_t)count, sizeof costs[0], faster);
    printf("%-3s %-18s %9s %9s %10s %10s  %s\n", "way", "", "seconds",
           "(first)", "peak", "copied", "use it for");
    for (int i = 0; i < count; i++) {
        printf("%-3d %-18s %9.3f %9.3f %10s %10s  %s\n",
               costs[i].way->number, costs[i].way->title, costs[i].seconds,
               costs[i].first,
               cli_bytes(a, sizeof a, costs[i].peak),
               cli_bytes(b, sizeof b, (double)costs[i].copied),
               costs[i].way->when);
    }
    printf("\nseconds: from start to end, the second run of each; (first): the "
           "run shown above,\nwith what memory that nobody had used for long "
           "costs here.\n");
}

/* Full size wants 2 x 800 MB and some; says so when it will not do. */
static void
fit(struct tour *t)
{
    const uint64_t need = UINT64_C(4) << 30;
    uint64_t total = 0, avail = 0;
    long long kb = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "MemAvailable: %lld kB", &kb) == 1) {
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    if (!t->small && (uint64_t)kb * 1024 < need) {
        cli_remark("less than 4 GiB of memory is free: running --small");
        t->small = true;
    }
    if (nds_shm_room(&total, &avail) < 0) {
        return;
    }
    if (!t->small && avail < UINT64_C(1) << 30) {
        cli_remark("shared memory has less than 1 GiB free: running --small");
        t->small = true;
    }
    // What containers get by default, 64 MB, holds all else of --small.
}

static const struct option options[] = {
    {"small", no_argument, NULL, 's'},
    {"only", required_argument, NULL, 'o'},
    {"start-method", required_argument, NULL, 'm'},
    {"plain", no_argument, NULL, 'p'},
    {0}};

static int
run_all(struct tour *t)
{
    struct cost costs[WAYS];
    int count = 0, rc = CLI_OK;

    for (int i = 0; i < WAYS && rc == CLI_OK; i++) {
        if (t->only == 0 || t->only == ways[i].number) {
            rc = run_way(t, &ways[i], &costs[count++]);
        }
    }
    if (rc == CLI_OK && !t->plain && count > 1) {
        table(costs, count);
    }
    return rc;
}

static int
run(const struct cli_command *self, int argc, char **argv)
{
    struct tour t = {.work = "/tmp/ndshare-tour-XXXXXX"};
    int64_t only = 0;
    int c, rc;

    while ((c = cli_option(self, argc, argv, options)) != -1) {
        if (c == 's') {
            t.small = true;
        } else if (c == 'p') {
            t.plain = true;
        } else if (c == 'o') {
            if (!cli_parse_int(optarg, &only) || only < 1 || only > WAYS) {
                return cli_usage(self, "--only takes 1 to %d", WAYS);
            }
        } else if (c == 'm') {
            if (strcmp(optarg, "fork") != 0 && strcmp(optarg, "spawn") != 0 &&
                strcmp(optarg, "forkserver") != 0) {
                return cli_usage(self, "--start-method is fork, spawn or "
                                 "forkserver");
            }
            setenv("NDSHARE_START_METHOD", optarg, 1);
        } else {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
    }
    t.only = (int)only;
    if (argc != optind) {
        return cli_usage(self, "tour takes no NAME");
    }
    if (!cli_programs(t.dir)) {
        return CLI_FAILED;
    }
    if (mkdtemp(t.work) == NULL) {
        cli_remark("cannot make a directory in /tmp: %s", strerror(errno));
        return CLI_FAILED;
    }
    nds_stats_enable();
    fit(&t);
    rc = run_all(&t);
    rmdir(t.work);
    return rc;
}

const struct cli_command cli_tour = {
    "tour", "run the ways as whole programs, and what each cost",
    "usage: ndshare tour [--small] [--only N] [--plain]\n"
    "         [--start-method fork|spawn|forkserver]\n\n"
    "  --small          small arrays, a few seconds\n"
    "  --only N         one way\n"
    "  --start-method   how the programs start their children\n"
    "  --plain          only what the programs print\n\n"
    "example: ndshare tour --only 4 --start-method spawn\n",
    run};
