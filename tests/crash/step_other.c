/* SPDX-License-Identifier: MIT */
/*
 * step_other.c - one more process beside victim and finisher
 *
 * It dies before the victim begins, or lives and holds something, or sleeps
 * until the finisher comes. Nothing of it may depend on time, or the worlds
 * would differ from run to run: so a sleeper is stopped while it sleeps. The
 * stop takes it off the futex: whoever wakes it wakes nobody, as if the
 * wake-up had been lost.
 */
#include "step.h"

#include <errno.h>
#include <os/os.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define VERDICT_MS 5000

static pid_t other;
static int results[2] = {-1, -1}; /* a pipe: the child writes */

/* The child's id, 0 in the child, which does not outlive the driver. */
static pid_t
begin(void)
{
    pid_t pid;

    must(pipe(results));
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(results[0]);
    }
    must(pid);
    return pid;
}

/* It lives on: who ends while others bury the dead may be found either way. */
static _Noreturn void
report_and_stay(int result)
{
    must(write(results[1], &result, sizeof result) == sizeof result ? 0 : -1);
    for (;;) {
        pause();
    }
}

/* What the child reports, or that it does not. */
static int
reported(int *result)
{
    struct pollfd ready = {.fd = results[0], .events = POLLIN};
    int64_t end = ndi_deadline(NDS_SEC(VERDICT_MS / 1000));
    int n;

    do {
        n = poll(&ready, 1, VERDICT_MS);
    } while (n < 0 && errno == EINTR && !ndi_deadline_over(end));
    return n == 1 && read(results[0], result, sizeof *result) ==
                         (ssize_t)sizeof *result
               ? 0
               : -1;
}

void
step_other_dies(void (*act)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        act();
        raise(SIGKILL);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    must(pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0
                                                                       : -1);
}

void
step_other_lives(void (*act)(void))
{
    int result = -1;

    other = begin();
    if (other == 0) {
        act();
        report_and_stay(0);
    }
    must(reported(&result));
    must(result);
}

void
step_other_end(void)
{
    if (other > 0) {
        kill(other, SIGKILL);
        while (waitpid(other, NULL, 0) < 0 && errno == EINTR) {
        }
        other = 0;
    }
    for (int i = 0; i < 2; i++) {
        if (results[i] >= 0) {
            close(results[i]);
            results[i] = -1;
        }
    }
}

/* Does it sleep on that word right now? The kernel tells the arguments. */
static bool
sleeps_on(pid_t pid, const void *futex)
{
    char path[64];
    unsigned long at = 0;
    long number = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    f = fopen(path, "r");
    if (f != NULL) {
        if (fscanf(f, "%ld %lx", &number, &at) != 2) {
            number = -1;
        }
        fclose(f);
    }
    return number == SYS_futex && at == (unsigned long)futex;
}

void
step_other_sleeps(int (*act)(void), const void *futex)
{
    int64_t end = ndi_deadline(NDS_SEC(VERDICT_MS / 1000));
    int status = 0;

    other = begin();
    if (other == 0) {
        report_and_stay(act());
    }
    // A slice may be over between look and stop, and it must not be stopped
    // while it holds what the victim needs: look again.
    do {
        kill(other, SIGCONT);
        while (!sleeps_on(other, futex)) {
            must(ndi_deadline_over(end) ? -1 : 0);
            sched_yield();
        }
        kill(other, SIGSTOP);
        while (waitpid(other, &status, WUNTRACED) < 0 && errno == EINTR) {
        }
        must(WIFSTOPPED(status) ? 0 : -1);
    } while (!sleeps_on(other, futex));
}

int
step_other_verdict(void)
{
    int result = -1;

    kill(other, SIGCONT);
    need(reported(&result) == 0, "the sleeper never returned");
    return result;
}
