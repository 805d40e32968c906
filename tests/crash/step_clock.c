/* SPDX-License-Identifier: MIT */
/*
 * step_clock.c - the victim's clock goes by its looks
 *
 * A walk is some thousand times slower than a run, and how slow depends on
 * what else the machine does. Slices would be over before the victim lies
 * down, and every run would take another way. So in the victim each look at a
 * clock finds it a little later than the last, and besides only a slice that
 * was slept through moves it: a wait for ever ends as it would. The program's
 * own symbol goes before the C library's.
 */
#include "step.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 10000

static bool slow;
static struct timespec epochs[2];
int64_t step_clock_passed_ns;

void
step_clock_slow(void)
{
    clock_gettime(CLOCK_REALTIME, &epochs[CLOCK_REALTIME]);
    clock_gettime(CLOCK_MONOTONIC, &epochs[CLOCK_MONOTONIC]);
    slow = true;
}

int
clock_gettime(clockid_t id, struct timespec *out)
{
    int64_t ns;

    if (!slow || (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC)) {
        return (int)syscall(SYS_clock_gettime, id, out);
    }
    step_clock_passed_ns += TICK_NS;
    ns = epochs[id].tv_nsec + step_clock_passed_ns;
    out->tv_sec = epochs[id].tv_sec + ns / 1000000000;
    out->tv_nsec = ns % 1000000000;
    return 0;
}
