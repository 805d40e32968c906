/* SPDX-License-Identifier: MIT */
/*
 * step_run.c - one operation, killed in each of its worlds
 *
 * The first run only records: every world that differs from all before it,
 * with the count of instructions that led there. Then one run for each: a
 * fresh world, stepped until the digest is the wanted one (not until the count
 * is: a run may take another turn), killed, finished by somebody else, swept,
 * and looked at for what is left.
 *
 * Of two victims the first is recorded alike. In each world of its sample the
 * second is recorded and killed as if it were alone.
 *
 * Every run is played by a process of its own, the stage, forked from one that
 * never changes: so heap and mappings are the same each time.
 */
#include "step.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATES_MOST 65536
#define STEPS_MOST 5000000
#define TRIES 3
#define VISITS_MOST 1000

struct state {
    uint64_t digest;
    uint64_t steps;
    uintptr_t pc;
    uint32_t visits; /* of pc, this one too */
};
static const struct step_op *current;
static const struct step_pair *pair; /* NULL: one victim */
static struct state before;          /* where the first one ends */

/* Written by stages and finishers, read by who started them. */
#define VERDICT_ROOM 4096
static struct board {
    struct step_sum sum;
    bool reached;
    char verdict[VERDICT_ROOM];
    unsigned state_count;
    struct state states[STATES_MOST];
} *board;

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
    int n = snprintf(board->verdict, VERDICT_ROOM, "%s:%d: ",
                     base != NULL ? base + 1 : file, line);

    va_start(ap, format);
    vsnprintf(board->verdict + n, VERDICT_ROOM - (size_t)n, format, ap);
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

static bool
is_new(uint64_t digest)
{
    for (unsigned i = board->state_count; i-- > 0;) {
        if (board->states[i].digest == digest) {
            return false;
        }
    }
    return board->state_count < STATES_MOST;
}

static void
complain(const struct step_op *op, const struct state *s, const char *kind,
         const char *text)
{
    printf("%s: %s: killed after instruction %lu (pc %#lx)", op->name, kind,
           (unsigned long)s->steps, (unsigned long)s->pc);
    if (pair != NULL && before.pc != 0) {
        printf(", the first after %lu", (unsigned long)before.steps);
    }
    printf(": %s\n", text);
    fflush(stdout);
}

/* In a process of its own: what the operation's next user does. */
static void
finish(const struct step_now *now, const struct state *s)
{
    const struct step_op *op = current;
    int status = 0;
    pid_t pid;

    board->verdict[0] = '\0';
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
        board->sum.hangs++;
        complain(op, s, "hangs", "the finisher was not done in time");
    } else if (pid < 0 || status != 0) {
        board->sum.failures++;
        if (board->verdict[0] == '\0') {
            snprintf(board->verdict, VERDICT_ROOM, "finisher's status %#x",
                     status);
        }
        complain(op, s, "wrong", board->verdict);
    }
}

/* All handles closed: does anything stay? */
static void
end_world(const struct state *s)
{
    char text[256];

    current->teardown();
    (void)nds_sweep(false, NULL, NULL);
    if (step_world_left(text, sizeof text) > 0) {
        board->sum.leaks++;
        complain(current, s, "leak", text);
    }
}

/* ---- what stages play --------------------------------------------------- */

struct play {
    void (*act)(const struct play *p);
    struct state state; /* to kill in */
    bool by_count;      /* each instruction, not each digest */
    bool at_end;
    bool jump; /* by breakpoint; the digest says whether it came out right */
};

static enum step_result
walk_to(struct step_victim *v, const struct play *p)
{
    enum step_result rc = STEP_ON;

    if (p->jump) {
        rc = step_jump(v, p->state.pc, p->state.visits);
        return rc == STEP_ON && step_world_digest(v->pid) != p->state.digest
                   ? STEP_ENDED
                   : rc;
    }
    while (rc == STEP_ON && v->steps < STEPS_MOST) {
        if (p->by_count ? v->steps == p->state.steps
                        : step_world_digest(v->pid) == p->state.digest) {
            return STEP_ON;
        }
        rc = step_one(v);
    }
    return rc;
}

/* The first victim's end, if there are two. */
static bool
first_dies(bool jump)
{
    struct play p = {.state = before, .jump = jump};
    struct step_victim v;
    enum step_result rc = step_start(&v, pair->first);

    if (rc == STEP_ON) {
        rc = walk_to(&v, &p);
    }
    step_kill(&v);
    if (rc == STEP_ON && pair->between != NULL) {
        pair->between();
    }
    return rc == STEP_ON;
}

/* False: the first victim never came by the world it was to die in. */
static bool
new_world(void)
{
    for (int try = 0; try < TRIES; try++) {
        step_world_clear();
        step_world_reset();
        current->setup();
        step_world_look(-1);
        if (pair == NULL || before.pc == 0 || first_dies(try == 0)) {
            return true;
        }
        current->teardown();
    }
    return false;
}

/* Records every distinct world of one whole run, or every single one. */
static void
record(const struct play *p)
{
    struct step_victim v;
    enum step_result rc;

    board->state_count = 0;
    if (!new_world()) {
        return;
    }
    step_visits_begin();
    rc = step_start(&v, current);
    while (rc == STEP_ON && v.steps < STEPS_MOST) {
        uint64_t digest = step_world_digest(v.pid);
        uint32_t visits = step_visit(&v);

        if (p->by_count ? board->state_count < STATES_MOST : is_new(digest)) {
            board->states[board->state_count++] =
                (struct state){digest, v.steps, v.pc, visits};
        }
        rc = step_one(&v);
    }
    board->sum.steps += v.steps;
    step_kill(&v);
    current->teardown();
    board->reached = rc == STEP_ENDED;
    if (rc != STEP_ENDED) {
        printf("%s: cannot be walked: %s\n", current->name, v.trouble);
        board->sum.failures++;
    }
}

static void
kill_there(const struct play *p)
{
    struct step_now now = {0};
    struct step_victim v;
    enum step_result rc;

    if (!new_world()) {
        return;
    }
    rc = step_start(&v, current);
    if (rc == STEP_ON) {
        rc = p->at_end ? step_to_end(&v) : walk_to(&v, p);
    }
    board->reached = rc == (p->at_end ? STEP_ENDED : STEP_ON);
    now.helped = v.helped;
    now.ended = p->at_end;
    step_kill(&v);
    if (board->reached) {
        board->sum.kills++;
        finish(&now, &p->state);
        end_world(&p->state);
    } else {
        current->teardown();
    }
    if (rc == STEP_BROKE && !p->jump) { // who was not helped is walked again
        board->sum.failures++;
        complain(current, &p->state, "the victim failed", v.trouble);
    }
}

/* True if the run came by the place. */
static bool
play(const struct play *p)
{
    int status = 0;
    pid_t pid;

    board->reached = false;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        p->act(p);
        fflush(stdout);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0 || status != 0) {
        board->sum.failures++;
        complain(current, &p->state, "the stage fell", board->verdict);
    }
    return board->reached;
}

/* ---- all kills of one operation ----------------------------------------- */

static void
progress(const struct step_how *how, unsigned done, unsigned of)
{
    if (how->progress) {
        fprintf(stderr, "\r%-28s %u/%u   ", current->name, done, of);
        if (done == of) {
            fprintf(stderr, "\r%60s\r", "");
        }
    }
}

/* Beyond that, stepping is as fast. */
static bool
may_jump(const struct state *s)
{
    return s->visits <= VISITS_MOST;
}

static void
kill_each_state(const struct step_how *how)
{
    for (unsigned i = 0; i < board->state_count && !step_interrupted; i++) {
        struct play p = {.act = kill_there, .state = board->states[i]};
        bool last = i + 1 == board->state_count;
        bool reached = false;

        if (i % how->sample != 0 && !last) {
            continue;
        }
        for (int try = 0; try < TRIES && !reached; try++) {
            p.jump = try == 0 && may_jump(&p.state);
            reached = play(&p);
        }
        if (!reached) {
            board->sum.missed++;
            complain(current, &p.state, "missed",
                     "no further run came by this world");
        }
        progress(how, i + 1, board->state_count);
    }
}

/* Runs may differ in length, so each instruction is first met by its address,
 * and by its number only if there is no world like the recorded one. */
static void
kill_each_instruction(const struct step_how *how)
{
    for (unsigned i = 0; i < board->state_count && !step_interrupted;
         i += how->sample) {
        struct play p = {.act = kill_there, .by_count = true,
                         .state = board->states[i]};
        bool reached = false;

        for (int try = 0; try < TRIES && !reached; try++) {
            p.jump = try == 0 && may_jump(&p.state);
            reached = play(&p);
        }
        // Near the end a shorter run has no such number.
        board->sum.missed += !reached && i < board->state_count / 2;
        progress(how, i + 1, board->state_count);
    }
}

static void
begin(const struct step_op *op)
{
    if (board == NULL) {
        board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (board == MAP_FAILED) {
            abort();
        }
    }
    board->sum = (struct step_sum){0};
    current = op;
}

/* All of the operation: false if it could not be recorded. */
static bool
kill_all(const struct step_how *how)
{
    struct play p = {.act = record, .by_count = how->every};
    uint64_t steps = board->sum.steps;

    if (!play(&p)) {
        return false;
    }
    board->sum.states += board->state_count;
    if (how->every) {
        kill_each_instruction(how);
    } else {
        kill_each_state(how);
    }
    p = (struct play){.act = kill_there, .at_end = true,
                      .state = {.steps = board->sum.steps - steps}};
    board->sum.missed += !play(&p);
    return true;
}

void
step_run(const struct step_op *op, const struct step_how *how,
         struct step_sum *sum)
{
    begin(op);
    pair = NULL;
    (void)kill_all(how);
    *sum = board->sum;
}

#define SAMPLES_MOST 16
#define SAMPLES_FEW 2 /* of who wants but samples of the second */

/* Spread over all worlds of the first, and the last one: it did all and died.
 */
static unsigned
sample_first(struct state *out, bool few)
{
    struct play p = {.act = record};
    unsigned wanted = few ? SAMPLES_FEW : pair->samples;
    unsigned count = 0;

    before = (struct state){0};
    current = pair->first;
    if (play(&p)) {
        count = wanted < board->state_count ? wanted : board->state_count;
    }
    for (unsigned i = 0; i < count; i++) {
        out[i] = board->states[(i + 1) * board->state_count / count - 1];
    }
    board->sum.steps = 0;
    return count;
}

void
step_run_pair(const struct step_pair *two, const struct step_how *how,
              struct step_sum *sum)
{
    struct state samples[SAMPLES_MOST];
    unsigned count;

    begin(&two->op);
    pair = two;
    count = sample_first(samples, how->sample > 1);
    board->sum.failures += count == 0;
    current = &two->op;
    for (unsigned i = 0; i < count && !step_interrupted; i++) {
        before = samples[i];
        board->sum.missed += !kill_all(how);
    }
    *sum = board->sum;
}
