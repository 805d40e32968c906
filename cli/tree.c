/* SPDX-License-Identifier: MIT */
/* tree.c - what a process and its descendants use */
#include "cli.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

double
cli_pss(pid_t pid)
{
    char path[64], line[256];
    double total = 0, kb;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "Pss: %lf", &kb) == 1) {
            total = kb * 1024;
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return total;
}

double
cli_cpu_ns(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &t) != 0) {
        return 0; // it has ended
    }
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double
cli_tree(pid_t pid, double (*of)(pid_t pid))
{
    char path[300];
    double total = of(pid);
    struct dirent *e;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL) {
        int child;
        FILE *f;

        if (e->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid,
                 e->d_name);
        f = fopen(path, "re");
        while (f != NULL && fscanf(f, "%d", &child) == 1) {
            total += cli_tree(child, of);
        }
        if (f != NULL) {
            fclose(f);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    return total;
}
