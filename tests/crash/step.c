/* SPDX-License-Identifier: MIT */
/*
 * step.c - kill at every instruction: the command
 *
 *     step --list
 *     step --all [--sample N]     every N-th distinct world of every operation
 *     step --all --part 1/2       the first of two halves
 *     step --op NAME [--sample N]
 *     step --every [--op NAME]    after every instruction; without --op the
 *                                 five hottest operations
 */
#include "step.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <time.h>
#include <unistd.h>

static const struct step_op *const tables[] = {
    step_ops_lock,    step_ops_wait,   step_ops_owned, step_ops_gate,
    step_ops_seq,     step_ops_named,  step_ops_made,  step_ops_attach,
    step_ops_item,    step_ops_chan,   step_ops_repair,
    step_ops_sleeper, step_ops_consumer,
};
#define TABLES (sizeof tables / sizeof tables[0])
static const struct step_pair *const pair_tables[] = {
    step_pairs_owned, step_pairs_seq, step_pairs_named, step_pairs_repair,
};
#define PAIR_TABLES (sizeof pair_tables / sizeof pair_tables[0])

static int passed, failed;
volatile sig_atomic_t step_interrupted;

/* The run in hand ends, and the directory goes. */
static void
on_signal(int sig)
{
    step_interrupted = sig;
}

/* pair NULL: one victim. */
static void
run(const struct step_op *op, const struct step_pair *pair,
    const struct step_how *how)
{
    struct step_sum s;
    bool good;

    if (pair != NULL) {
        step_run_pair(pair, how, &s);
    } else {
        step_run(op, how, &s);
    }
    good = s.failures + s.hangs + s.leaks + s.missed == 0 && s.kills > 0;
    passed += good;
    failed += !good;
    printf("%-28s %8lu %7u %7u %6u %6u %6u %8u\n", op->name,
           (unsigned long)s.steps, s.states, s.kills, s.missed, s.hangs,
           s.leaks, s.failures);
    fflush(stdout);
}

/* Addresses that do not change from one run of this program to the next. */
static void
without_randomness(char **argv)
{
    int old = personality(0xffffffff);
    char self[PATH_MAX] = {0};

    if (old >= 0 && (old & ADDR_NO_RANDOMIZE) == 0 &&
        readlink("/proc/self/exe", self, sizeof self - 1) > 0 &&
        personality((unsigned long)old | ADDR_NO_RANDOMIZE) >= 0) {
        execv(self, argv); // if not: counts differ, and nothing else
    }
}

/* Victim and driver take turns: one core does it without a wake-up. Parts that
 * run at the same time take different ones. */
static void
stay_on_one_core(int part)
{
    cpu_set_t allowed, one;
    int core = sched_getcpu();

    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && part > 0) {
        int nth = part % CPU_COUNT(&allowed);

        for (core = 0; !CPU_ISSET(core, &allowed) || nth-- > 0; core++) {
        }
    }
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    (void)sched_setaffinity(0, sizeof one, &one); // slower without
}

static int
usage(void)
{
    fprintf(stderr, "usage: step --list | --all | --op NAME | --every "
                    "[--op NAME]   [--sample N] [--part K/N]\n");
    return 2;
}

struct args {
    const char *only;
    bool all;
    bool list;
    int part, parts;
};

static bool
parse(int argc, char **argv, struct args *a, struct step_how *how)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            a->list = true;
        } else if (strcmp(argv[i], "--all") == 0) {
            a->all = true;
        } else if (strcmp(argv[i], "--every") == 0) {
            how->every = true;
        } else if (strcmp(argv[i], "--op") == 0 && i + 1 < argc) {
            a->only = argv[++i];
        } else if (strcmp(argv[i], "--sample") == 0 && i + 1 < argc &&
                   atoi(argv[i + 1]) > 0) {
            how->sample = (unsigned)atoi(argv[++i]);
        } else if (strcmp(argv[i], "--part") == 0 && i + 1 < argc &&
                   sscanf(argv[i + 1], "%d/%d", &a->part, &a->parts) == 2 &&
                   a->part >= 1 && a->part <= a->parts) {
            i++;
        } else {
            return false;
        }
    }
    return a->all || a->list || how->every || a->only != NULL;
}

static bool
wanted(const struct step_op *op, const struct args *a,
       const struct step_how *how)
{
    static int turn; /* every n-th, so that long ones are spread */

    if (a->parts > 0 && turn++ % a->parts != a->part - 1) {
        return false;
    }
    return a->only != NULL ? strcmp(op->name, a->only) == 0
                           : !how->every || op->hot;
}

static void
list_one(const struct step_op *op, const struct step_pair *pair,
         const struct step_how *how)
{
    (void)how;
    printf("%s%s%s\n", op->name, op->hot ? " (hot)" : "",
           pair != NULL ? " (two victims)" : "");
}

static void
each_operation(const struct args *a, const struct step_how *how,
               void (*act)(const struct step_op *op,
                           const struct step_pair *pair,
                           const struct step_how *how))
{
    for (size_t t = 0; t < TABLES; t++) {
        for (const struct step_op *op = tables[t]; op->name != NULL; op++) {
            if (a->list || (wanted(op, a, how) && !step_interrupted)) {
                act(op, NULL, how);
            }
        }
    }
    for (size_t t = 0; t < PAIR_TABLES; t++) {
        for (const struct step_pair *two = pair_tables[t];
             two->op.name != NULL; two++) {
            if (a->list || (wanted(&two->op, a, how) && !step_interrupted)) {
                act(&two->op, two, how);
            }
        }
    }
}

int
main(int argc, char **argv)
{
    struct args a = {0};
    struct step_how how = {.sample = 1, .progress = isatty(2) != 0};
    time_t start = time(NULL);
    int rc;

    if (!parse(argc, argv, &a, &how)) {
        return usage();
    }
    if (a.list) {
        each_operation(&a, &how, list_one);
        return 0;
    }
    without_randomness(argv);
    stay_on_one_core(a.part);
    rc = step_allowed();
    if (rc < 0) {
        printf("skipped: single-stepping a child is not allowed here\n");
        return 77;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    rc = step_world_open();
    if (rc < 0) {
        fprintf(stderr, "step: a directory in /dev/shm: %s\n", strerror(-rc));
        return 1;
    }
    printf("%-28s %8s %7s %7s %6s %6s %6s %8s\n", "operation", "instr.",
           "states", "kills", "missed", "hangs", "leaks", "failures");
    each_operation(&a, &how, run);
    step_world_close();
    printf("took %ld s\n", (long)(time(NULL) - start));
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0 || step_interrupted;
}
