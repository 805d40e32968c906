/* SPDX-License-Identifier: MIT */
/*
 * step_driver.c - a process walked instruction by instruction
 *
 * The victim marks begin and end of the operation by int3. In between the
 * driver executes one instruction at a time. The byte at each address is
 * looked at once and remembered: only a system call can change names or
 * locks, and the end mark is never executed.
 *
 * A victim that is about to sleep is helped first: its partner acts while it
 * stands before the call, so that the sleep returns at once and every run
 * takes the same way. Who runs at full speed stops at that call as well: all
 * sleeps go through one instruction of the C library.
 */
#include "step.h"

#include <errno.h>
#include <linux/futex.h>
#include <os/os.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK() __asm__ volatile("int3" ::: "memory")

enum kind { KIND_UNKNOWN, KIND_PLAIN, KIND_SYSCALL, KIND_MARK };

/* Addresses seen, for all victims: they are forks of one process. */
#define SEEN_ROOM (1U << 18)
struct seen {
    uintptr_t pc;
    enum kind kind;
    uint32_t visits; /* of the recorded run */
};
static struct walk {
    uintptr_t sleep_pc; /* where the recorded run was helped, 0 nowhere */
    struct seen seen[SEEN_ROOM];
} *walk; /* shared by all stages */

static struct seen *
seen_at(pid_t pid, uintptr_t pc)
{
    struct seen *seen = walk->seen;
    uint32_t i = (uint32_t)((pc * UINT64_C(0x9e3779b97f4a7c15)) >> 46);
    long word;

    while (seen[i].pc != pc && seen[i].kind != KIND_UNKNOWN) {
        i = (i + 1) & (SEEN_ROOM - 1);
    }
    if (seen[i].kind == KIND_UNKNOWN) {
        word = ptrace(PTRACE_PEEKTEXT, pid, (void *)pc, NULL);
        seen[i].pc = pc;
        seen[i].kind = (word & 0xffff) == 0x050f ? KIND_SYSCALL
                       : (word & 0xff) == 0xcc   ? KIND_MARK
                                                 : KIND_PLAIN;
    }
    return &seen[i];
}

static enum step_result
broke(struct step_victim *v, const char *what, int number)
{
    snprintf(v->trouble, sizeof v->trouble, "%s %d at %#lx", what, number,
             (unsigned long)v->pc);
    return STEP_BROKE;
}

/* Waits for the stop that the request before leads to. */
static enum step_result
stopped(struct step_victim *v)
{
    int status;

    while (waitpid(v->pid, &status, __WALL) < 0) {
        if (errno != EINTR) {
            return broke(v, "waitpid: errno", errno);
        }
    }
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
        v->pid = -1;
        return WIFEXITED(status)
                   ? broke(v, "the victim ended itself, exit",
                           WEXITSTATUS(status))
                   : broke(v, "the victim died of signal", WTERMSIG(status));
    }
    v->pc = (uintptr_t)ptrace(PTRACE_PEEKUSER, v->pid,
                              offsetof(struct user_regs_struct, rip), NULL);
    v->in_syscall = WSTOPSIG(status) == (SIGTRAP | 0x80);
    return WSTOPSIG(status) == SIGTRAP || v->in_syscall
               ? STEP_ON
               : broke(v, "the victim got signal", WSTOPSIG(status));
}

static bool
will_sleep(pid_t pid)
{
    struct user_regs_struct r;

    if (ptrace(PTRACE_GETREGS, pid, NULL, &r) < 0 || r.rax != SYS_futex) {
        return false;
    }
    return ((int)r.rsi & FUTEX_CMD_MASK) == FUTEX_WAIT ||
           ((int)r.rsi & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

/* After each system call. A sleep that nobody ended has taken its time. */
static void
look(pid_t pid)
{
    long rax = ptrace(PTRACE_PEEKUSER, pid,
                      offsetof(struct user_regs_struct, rax), NULL);

    if (rax == -ETIMEDOUT) { // the sleep on a futex and nothing else says so
        long passed = ptrace(PTRACE_PEEKDATA, pid, &step_clock_passed_ns,
                             NULL);

        ptrace(PTRACE_POKEDATA, pid, &step_clock_passed_ns,
               (void *)(passed + NDI_SLICE_NS));
    }
    step_world_look(pid);
}

enum step_result
step_one(struct step_victim *v)
{
    enum kind kind = seen_at(v->pid, v->pc)->kind;
    enum step_result rc;

    if (kind == KIND_MARK) {
        return STEP_ENDED;
    }
    if (kind == KIND_SYSCALL && v->op->partner != NULL && !v->helped &&
        will_sleep(v->pid)) {
        v->helped = true;
        walk->sleep_pc = v->pc;
        v->op->partner();
    }
    if (ptrace(PTRACE_SINGLESTEP, v->pid, NULL, NULL) < 0) {
        return broke(v, "PTRACE_SINGLESTEP: errno", errno);
    }
    rc = stopped(v);
    if (rc == STEP_ON) {
        v->steps++;
        if (kind == KIND_SYSCALL) {
            look(v->pid);
        }
    }
    return rc;
}

enum step_result
step_to_end(struct step_victim *v)
{
    enum step_result rc;

    if (v->op->partner != NULL) { // he must be seen to lie down
        while ((rc = step_one(v)) == STEP_ON) {
        }
        return rc;
    }
    if (ptrace(PTRACE_CONT, v->pid, NULL, NULL) < 0) {
        return broke(v, "PTRACE_CONT: errno", errno);
    }
    rc = stopped(v);
    return rc == STEP_ON ? STEP_ENDED : rc;
}

void
step_visits_begin(void)
{
    walk->sleep_pc = 0;
    for (uint32_t i = 0; i < SEEN_ROOM; i++) {
        walk->seen[i].visits = 0;
    }
}

uint32_t
step_visit(const struct step_victim *v)
{
    return ++seen_at(v->pid, v->pc)->visits;
}

/* A byte of the victim's text, changed for a while. */
struct plant {
    uintptr_t pc; /* 0: none */
    long word;
};

static bool
plant(struct plant *p, pid_t pid, uintptr_t pc)
{
    *p = (struct plant){.pc = pc};
    if (pc == 0) {
        return true;
    }
    (void)seen_at(pid, pc); // known before the byte is changed
    p->word = ptrace(PTRACE_PEEKTEXT, pid, (void *)pc, NULL);
    return ptrace(PTRACE_POKETEXT, pid, (void *)pc,
                  (void *)((p->word & ~0xffL) | 0xcc)) == 0;
}

static void
uproot(const struct plant *p, pid_t pid)
{
    if (p->pc != 0 && pid > 0) {
        ptrace(PTRACE_POKETEXT, pid, (void *)p->pc, (void *)p->word);
    }
}

/* Runs to a breakpoint or mark. Looks after each system call, as who steps
 * does: files are told apart by the order in which they were seen. */
static enum step_result
run_to_stop(struct step_victim *v)
{
    bool before = true;
    enum step_result rc;

    for (;;) {
        if (ptrace(PTRACE_SYSCALL, v->pid, NULL, NULL) < 0) {
            return broke(v, "PTRACE_SYSCALL: errno", errno);
        }
        rc = stopped(v);
        if (rc != STEP_ON || !v->in_syscall) {
            return rc;
        }
        if (!before) {
            look(v->pid);
        }
        before = !before;
    }
}

/* Runs to the mark or to one of the two places. */
static enum step_result
run_on(struct step_victim *v, uintptr_t a, uintptr_t b)
{
    struct plant at_a, at_b;
    enum step_result rc;

    if (!plant(&at_a, v->pid, a) ||
        !plant(&at_b, v->pid, b == a ? 0 : b)) {
        return STEP_ENDED; // a page that takes none: step there
    }
    rc = run_to_stop(v);
    uproot(&at_b, v->pid);
    uproot(&at_a, v->pid);
    if (rc != STEP_ON) {
        return rc;
    }
    if (v->pc != a + 1 && v->pc != b + 1) {
        return STEP_ENDED;
    }
    v->pc--;
    return ptrace(PTRACE_POKEUSER, v->pid,
                  offsetof(struct user_regs_struct, rip), v->pc) < 0
               ? broke(v, "PTRACE_POKEUSER: errno", errno)
               : STEP_ON;
}

enum step_result
step_jump(struct step_victim *v, uintptr_t target, uint32_t visits)
{
    enum step_result rc = STEP_ON;
    uint32_t count = v->pc == target;

    while (rc == STEP_ON && count < visits) {
        uintptr_t sleep_pc =
            v->op->partner != NULL && !v->helped ? walk->sleep_pc : 0;

        rc = v->pc == target || (sleep_pc != 0 && v->pc == sleep_pc)
                 ? step_one(v)
                 : run_on(v, target, sleep_pc);
        count += rc == STEP_ON && v->pc == target;
    }
    return rc;
}

static _Noreturn void
be_victim(const struct step_op *op)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
        _exit(77);
    }
    if (op->prepare != NULL) {
        op->prepare();
    }
    step_clock_slow();
    MARK();
    op->operate();
    MARK();
    _exit(0);
}

enum step_result
step_start(struct step_victim *v, const struct step_op *op)
{
    enum step_result rc;

    *v = (struct step_victim){.pid = fork(), .op = op};
    if (v->pid == 0) {
        be_victim(op);
    }
    if (v->pid < 0) {
        return broke(v, "fork: errno", errno);
    }
    rc = stopped(v); // stands behind the first mark
    if (rc == STEP_ON) {
        ptrace(PTRACE_SETOPTIONS, v->pid, NULL,
               PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
        if (op->started != NULL) {
            op->started();
        }
        step_world_look(v->pid);
    }
    return rc;
}

void
step_kill(struct step_victim *v)
{
    int status;

    if (v->pid > 0) {
        kill(v->pid, SIGKILL);
        // Not over before the kernel has taken back all it held.
        while (waitpid(v->pid, &status, __WALL) >= 0 ? WIFSTOPPED(status)
                                                     : errno == EINTR) {
        }
        v->pid = -1;
    }
}

static void
nothing(void)
{
}

int
step_allowed(void)
{
    static const struct step_op op = {.name = "nothing", .operate = nothing};
    struct step_victim v;
    enum step_result rc;

    walk = mmap(NULL, sizeof *walk, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (walk == MAP_FAILED) {
        return -errno;
    }
    rc = step_start(&v, &op);
    for (int i = 0; i < 1000 && rc == STEP_ON; i++) {
        rc = step_one(&v);
    }
    step_kill(&v);
    return rc == STEP_ENDED && v.steps > 0 ? 0 : -EPERM;
}
