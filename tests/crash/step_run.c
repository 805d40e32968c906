/* SPDX-License-Identifier: MIT */
/*
 * step_run.c - one operation, killed in each of its worlds
 *
 * The first run only records: every world that differs from all before it,
 * with the count of instructions that led there. Then one run for each: a
 * fresh world, stepped until the digest is the wanted one (not until the count
 * is: time may make a run take another turn), killed, finished by somebody
 * else, swept, and looked at for what is left.
 */
#include "step.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATES_MOST 65536
#define STEPS_MOST 5000000
#define TRIES 3

struct state {
    uint64_t digest;
    uint64_t steps;
    uintptr_t pc;
};
static const struct step_op *current;
static struct state states[STATES_MOST];
static unsigned state_count;

/* What the finisher found, in memory shared with it. */
static char *verdict;
#define VERDICT_ROOM 4096

const void *
step_arg(void)
{
    return current->arg;
}

void
step_wrong(const char *file, int line, const char *format, ...)
{
    const char *base = strrchr(file, '/');
    va_list ap;
    int n = snprintf(verdict, VERDICT_ROOM, "%s:%d: ",
                     base != NULL ? base + 1 : file, line);

    va_start(ap, format);
    vsnprintf(verdict + n, VERDICT_ROOM - (size_t)n, format, ap);
    va_end(ap);
    _exit(1);
}

void
step_must(int rc, const char *what, const char *file, int line)
{
    if (rc < 0) {
        fprintf(stderr, "%s:%d: %s: %d %s\n", file, line, what, rc,
                nds_last_error()->message);
        step_wrong(file, line, "%s: %d", what, rc);
    }
}

static void
new_world(const struct step_op *op)
{
    step_world_clear();
    step_world_reset();
    op->setup();
    step_world_look(-1);
}

static bool
is_new(uint64_t digest)
{
    for (unsigned i = state_count; i-- > 0;) {
        if (states[i].digest == digest) {
            return false;
        }
    }
    return state_count < STATES_MOST;
}

static void
complain(const struct step_op *op, const struct state *s, const char *kind,
         const char *text)
{
    printf("%s: %s: killed after instruction %lu (pc %#lx): %s\n", op->name,
           kind, (unsigned long)s->steps, (unsigned long)s->pc, text);
    fflush(stdout);
}

/* In a process of its own: what the operation's next user does. */
static void
finish(const struct step_op *op, const struct step_now *now,
       const struct state *s, struct step_sum *sum)
{
    int status = 0;
    pid_t pid;

    verdict[0] = '\0';
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        alarm(STEP_DEADLINE_S);
        op->finish(now);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        sum->hangs++;
        complain(op, s, "hangs", "the finisher was not done in time");
    } else if (pid < 0 || status != 0) {
        sum->failures++;
        if (verdict[0] == '\0') {
            snprintf(verdict, VERDICT_ROOM, "finisher's status %#x", status);
        }
        complain(op, s, "wrong", verdict);
    }
}

/* All handles closed: does anything stay? */
static void
end_world(const struct step_op *op, const struct state *s,
          struct step_sum *sum)
{
    char text[256];

    op->teardown();
    (void)nds_sweep(false, NULL, NULL);
    if (step_world_left(text, sizeof text) > 0) {
        sum->leaks++;
        complain(op, s, "leak", text);
    }
}

/* True when every distinct world has been recorded. */
static bool
record(const struct step_op *op, struct step_sum *sum)
{
    struct step_victim v;
    enum step_result rc;

    state_count = 0;
    new_world(op);
    rc = step_start(&v, op);
    while (rc == STEP_ON && v.steps < STEPS_MOST) {
        uint64_t digest = step_world_digest(v.pid);

        if (is_new(digest)) {
            states[state_count++] = (struct state){digest, v.steps, v.pc};
        }
        rc = step_one(&v);
    }
    sum->steps = v.steps;
    sum->states = state_count;
    step_kill(&v);
    op->teardown();
    if (rc != STEP_ENDED) {
        printf("%s: cannot be walked: %s\n", op->name, v.trouble);
        sum->failures++;
    }
    return rc == STEP_ENDED;
}

/* Steps to the wanted world, or to the wanted count if there is no digest. */
static enum step_result
walk_to(struct step_victim *v, const struct state *s, bool by_count)
{
    enum step_result rc = STEP_ON;

    while (rc == STEP_ON && v->steps < STEPS_MOST) {
        if (by_count ? v->steps == s->steps
                     : step_world_digest(v->pid) == s->digest) {
            return STEP_ON;
        }
        rc = step_one(v);
    }
    return rc;
}

/* One kill. False: this run did not come by that world. */
static bool
kill_at(const struct step_op *op, const struct state *s, bool by_count,
        bool at_end, struct step_sum *sum)
{
    struct step_now now = {.ended = at_end};
    struct step_victim v;
    enum step_result rc;
    bool reached;

    new_world(op);
    rc = step_start(&v, op);
    if (rc == STEP_ON) {
        rc = at_end ? step_to_end(&v) : walk_to(&v, s, by_count);
    }
    reached = rc == (at_end ? STEP_ENDED : STEP_ON);
    now.helped = v.helped;
    now.ended = at_end && reached;
    step_kill(&v);
    if (reached) {
        sum->kills++;
        finish(op, &now, s, sum);
        end_world(op, s, sum);
    } else {
        op->teardown();
    }
    if (rc == STEP_BROKE) {
        sum->failures++;
        complain(op, s, "the victim failed", v.trouble);
    }
    return reached;
}

static void
progress(const struct step_op *op, const struct step_how *how, unsigned done,
         unsigned of)
{
    if (how->progress) {
        fprintf(stderr, "\r%-28s %u/%u   ", op->name, done, of);
        if (done == of) {
            fprintf(stderr, "\r%60s\r", "");
        }
    }
}

static void
kill_each_state(const struct step_op *op, const struct step_how *how,
                struct step_sum *sum)
{
    for (unsigned i = 0; i < state_count; i++) {
        bool last = i + 1 == state_count;
        bool reached = false;

        if (i % how->sample != 0 && !last) {
            continue;
        }
        for (int try = 0; try < TRIES && !reached; try++) {
            reached = kill_at(op, &states[i], false, false, sum);
        }
        sum->missed += !reached;
        progress(op, how, i + 1, state_count);
    }
}

static void
kill_each_instruction(const struct step_op *op, const struct step_how *how,
                      struct step_sum *sum)
{
    for (uint64_t i = 0; i < sum->steps; i += how->sample) {
        struct state s = {.steps = i};

        // A run may be shorter than the recorded one.
        sum->missed += !kill_at(op, &s, true, false, sum);
        progress(op, how, (unsigned)i + 1, (unsigned)sum->steps);
    }
}

void
step_run(const struct step_op *op, const struct step_how *how,
         struct step_sum *sum)
{
    struct state end = {0};

    *sum = (struct step_sum){0};
    current = op;
    if (verdict == NULL) {
        verdict = mmap(NULL, VERDICT_ROOM, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (verdict == MAP_FAILED) {
            abort();
        }
    }
    if (!record(op, sum)) {
        return;
    }
    if (how->every) {
        kill_each_instruction(op, how, sum);
    } else {
        kill_each_state(op, how, sum);
    }
    end.steps = sum->steps;
    (void)kill_at(op, &end, false, true, sum);
}
