/* SPDX-License-Identifier: MIT */
/*
 * bench_programs.c - the nine programs from start to end, ours and Python's
 *
 * In turns, with their output thrown away, in a directory of their own.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const programs[BENCH_WAYS] = {
    "01_argument", "02_inherit", "03_queue", "04_pipe", "05_locked_array",
    "06_raw_array", "07_shared_memory", "08_mapped_file", "09_manager"};

struct place {
    char ours[CLI_PATH], python[CLI_PATH];
    char work[64]; /* where they run */
};

/* Waits for its end, or ends it when a signal has come: false. */
static bool
ended(pid_t pid)
{
    struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0),
                       .events = POLLIN};

    while (p.fd >= 0 && !bench_stopped && poll(&p, 1, 100) <= 0) {
    }
    if (p.fd >= 0) {
        close(p.fd);
    }
    if (p.fd >= 0 && !bench_stopped) {
        return true;
    }
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    shm_unlink("/MyMemory"); // way 7's name, if it came to that
    return false;
}

/* Seconds, or < 0. A process group, so that a signal ends all of it. */
static double
run_one(const struct place *p, int way, enum nds_start start, bool python)
{
    char path[CLI_PATH + 32];
    double from = bench_now_ns();
    int status = 0;
    pid_t pid;

    snprintf(path, sizeof path, "%s/%s%s", python ? p->python : p->ours,
             programs[way - 1], python ? ".py" : "");
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        setpgid(0, 0);
        setenv(python ? "START" : "NDSHARE_START_METHOD",
               bench_start_name(start), 1);
        if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || chdir(p->work) < 0) {
            _exit(126);
        }
        if (python) {
            execlp(bench_python_path(), bench_python_path(), path,
                   (char *)NULL);
        } else {
            execl(path, path, (char *)NULL);
        }
        _exit(127);
    }
    if (pid < 0 || !ended(pid)) {
        if (!bench_stopped) {
            cli_remark("cannot run %s", path);
        }
        return -1;
    }
    from = (bench_now_ns() - from) / 1e9;
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        cli_remark("%s failed", path);
        return -1;
    }
    return from;
}

/* The second of two runs: a host may take a virtual machine's free memory, and
 * whoever comes next pays for its return. */
static double
run_warm(const struct place *p, int way, enum nds_start start, bool python)
{
    double first = run_one(p, way, start, python);

    return first < 0 ? first : run_one(p, way, start, python);
}

static int
measure(const struct place *p, const struct bench_options *o, int way,
        enum nds_start start, json_t *all)
{
    int runs = o->runs > 0 ? o->runs : o->python ? 1 : 3;
    double ours[BENCH_RUNS_MAX], python[BENCH_RUNS_MAX];
    double ratio[BENCH_RUNS_MAX];
    json_t *entry;

    for (int i = 0; i < runs; i++) {
        bench_progress(way, 0, start, 0);
        ours[i] = run_warm(p, way, start, false);
        python[i] = o->python ? run_warm(p, way, start, true) : 0;
        if (ours[i] < 0 || python[i] < 0) {
            return CLI_FAILED;
        }
        ratio[i] = python[i] / ours[i];
    }
    entry = json_pack("{s:i, s:s, s:s, s:i, s:f}", "way", way, "name",
                      bench_way_name(way), "start", bench_start_name(start),
                      "runs", runs, "ndshare_s", bench_median(ours, runs));
    if (o->python) {
        json_object_set_new(entry, "python_s",
                            json_real(bench_median(python, runs)));
        json_object_set_new(entry, "ratio",
                            json_real(bench_median(ratio, runs)));
    }
    return json_array_append_new(all, entry) == 0 ? CLI_OK : CLI_FAILED;
}

int
bench_programs_measure(const struct bench_options *o, json_t *all)
{
    struct place p = {.work = "/tmp/ndshare-bench-XXXXXX"};
    int rc = CLI_OK;

    if (!cli_programs(p.ours) ||
        (o->python && !cli_python_programs(p.python))) {
        return CLI_FAILED;
    }
    if (mkdtemp(p.work) == NULL) {
        cli_remark("cannot make a directory in /tmp: %s", strerror(errno));
        return CLI_FAILED;
    }
    for (int s = 0; s < o->nstarts; s++) {
        for (int way = 1; way <= BENCH_WAYS && rc == CLI_OK; way++) {
            if ((o->ways >> way & 1) != 0 &&
                bench_way_starts(way, o->starts[s])) {
                rc = measure(&p, o, way, o->starts[s], all);
            }
        }
    }
    snprintf(p.ours, sizeof p.ours, "%s/data.np", p.work);
    unlink(p.ours); // way 8's, if it was stopped
    rmdir(p.work);
    return bench_stopped ? CLI_FAILED : rc;
}
