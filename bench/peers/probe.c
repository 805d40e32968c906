/* SPDX-License-Identifier: MIT */
/*
 * probe.c - how near the two processors are to each other just now
 *
 * A host moves a virtual machine's processors about; a round trip of one cache
 * line, both sides spinning, tells. Prints its median in nanoseconds.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIPS 20000

static void
pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static int
by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return x < y ? -1 : x > y;
}

int
main(void)
{
    static long took[TRIPS];
    _Atomic uint32_t *line = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    _Atomic uint32_t *back = line + 64;

    if (line == MAP_FAILED) {
        return 1;
    }
    alarm(10);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(1);
        for (uint32_t i = 1; i <= TRIPS; i++) {
            while (atomic_load_explicit(line, memory_order_acquire) != i) {
            }
            atomic_store_explicit(back, i, memory_order_release);
        }
        _exit(0);
    }
    pin(0);
    for (uint32_t i = 1; i <= TRIPS; i++) {
        struct timespec a, b;

        clock_gettime(CLOCK_MONOTONIC, &a);
        atomic_store_explicit(line, i, memory_order_release);
        while (atomic_load_explicit(back, memory_order_acquire) != i) {
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        took[i - 1] = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec
            - a.tv_nsec;
    }
    wait(NULL);
    qsort(took, TRIPS, sizeof *took, by_value);
    printf("%ld\n", took[TRIPS / 2]);
    return 0;
}
