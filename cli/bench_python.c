/* SPDX-License-Identifier: MIT */
/*
 * bench_python.c - stock Python's side: a partner process, driven by lines
 *
 * bench/python/partner.py says what is asked and answered. It is a process
 * group of its own, so that what it started can be ended with it, and it ends
 * by itself when its input does, whatever happens to us.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 600000
#define SLICE_MS 100

static struct {
    pid_t pid;
    int to, from;
    char *line; /* of the last answer */
    size_t room;
    bool rate; /* the cell's kind */
    char python[64], version[32], numpy[32];
} partner = {.to = -1, .from = -1};

static int
say(const char *text)
{
    size_t n = strlen(text);

    return write(partner.to, text, n) == (ssize_t)n ? CLI_OK : CLI_FAILED;
}

/* Reads a line; what a partner prints is as long as it measured often. */
static int
hear(void)
{
    struct pollfd p = {.fd = partner.from, .events = POLLIN};
    size_t n = 0;

    for (int waited = 0; waited < ANSWER_MS && !bench_stopped;) {
        ssize_t got;
        int ready = poll(&p, 1, SLICE_MS);

        if (ready <= 0) {
            waited += SLICE_MS;
            continue;
        }
        if (n + 65536 > partner.room) {
            char *more = realloc(partner.line, partner.room + (1 << 20));

            if (more == NULL) {
                return CLI_FAILED;
            }
            partner.line = more;
            partner.room += 1 << 20;
        }
        got = read(partner.from, partner.line + n, 65535);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
        partner.line[n] = '\0';
        if (partner.line[n - 1] == '\n') {
            partner.line[n - 1] = '\0';
            return strncmp(partner.line, "ok", 2) == 0 ? CLI_OK : CLI_FAILED;
        }
    }
    if (partner.line != NULL) {
        partner.line[n] = '\0';
    }
    return CLI_FAILED;
}

static int
ask(const char *text)
{
    if (say(text) == CLI_OK && hear() == CLI_OK) {
        return CLI_OK;
    }
    if (!bench_stopped) {
        cli_remark("stock Python, at \"%.*s\": %s",
                   (int)strcspn(text, "\n"), text,
                   partner.line != NULL && partner.line[0] != '\0'
                       ? partner.line
                       : "it ended");
    }
    return CLI_FAILED;
}

void
bench_python_stop(void)
{
    const struct timespec nap = {0, 10000000};

    if (partner.pid <= 0) {
        return;
    }
    close(partner.to); // it cleans up, and ends
    for (int i = 0; i < 200 && waitpid(partner.pid, NULL, WNOHANG) == 0; i++) {
        nanosleep(&nap, NULL);
    }
    kill(-partner.pid, SIGKILL);
    waitpid(partner.pid, NULL, 0);
    close(partner.from);
    free(partner.line);
    memset(&partner, 0, sizeof partner);
    partner.to = partner.from = -1;
}

static int
try_python(const char *python, const char *script)
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
        return CLI_FAILED;
    }
    partner.pid = fork();
    if (partner.pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        setpgid(0, 0);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execlp(python, python, "-W", "ignore", script, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    partner.to = in[1];
    partner.from = out[0];
    if (partner.pid > 0) {
        setpgid(partner.pid, partner.pid);
    }
    if (partner.pid > 0 && hear() == CLI_OK) {
        snprintf(partner.python, sizeof partner.python, "%s", python);
        sscanf(partner.line, "ok %31s %31s", partner.version, partner.numpy);
        return CLI_OK;
    }
    bench_python_stop();
    return CLI_FAILED;
}

int
bench_python_start(void)
{
    // The one with the system's NumPy; that of PATH may be without.
    static const char *const candidates[] = {"/usr/bin/python3", "python3"};
    char script[CLI_PATH];

    if (!cli_python_programs(script)) {
        return CLI_FAILED;
    }
    strncat(script, "/partner.py", sizeof script - strlen(script) - 1);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 2 && !bench_stopped; i++) {
        if (try_python(candidates[i], script) == CLI_OK) {
            return CLI_OK;
        }
    }
    if (!bench_stopped) {
        cli_remark("--vs python needs a Python with NumPy, and neither "
                   "/usr/bin/python3 nor python3 in PATH is one (Debian: "
                   "python3-numpy)");
    }
    return CLI_FAILED;
}

pid_t
bench_python_pid(void)
{
    return partner.pid;
}

const char *
bench_python_path(void)
{
    return partner.python;
}

json_t *
bench_python_json(void)
{
    return json_pack("{s:s, s:s, s:s}", "path", partner.python, "version",
                     partner.version, "numpy", partner.numpy);
}

/* ---- the side ----------------------------------------------------------- */
static int
begin(const struct cli_command *self, const struct bench_cell *c,
      double phase_ns[BENCH_PHASES])
{
    static const char *const kinds[] = {"transfer", "trips", "rate"};
    char text[96];

    (void)self;
    partner.rate = c->kind == BENCH_RATE;
    snprintf(text, sizeof text, "begin %s %d %lld %s %d\n", kinds[c->kind],
             c->way, (long long)c->nbytes, bench_start_name(c->start),
             c->processes);
    if (ask(text) != CLI_OK) {
        return CLI_FAILED;
    }
    return sscanf(partner.line, "ok %lf %lf %lf %lf",
                  &phase_ns[BENCH_CREATE], &phase_ns[BENCH_TOUCH],
                  &phase_ns[BENCH_HAND], &phase_ns[BENCH_READ]) == 4
               ? CLI_OK
               : CLI_FAILED;
}

static int
batch(int64_t budget_ns, struct bench_result *r)
{
    double cpu = cli_tree(partner.pid, cli_cpu_ns);
    char text[64], *at, *next;

    snprintf(text, sizeof text, "batch %lld\n", (long long)budget_ns);
    if (ask(text) != CLI_OK) {
        return CLI_FAILED;
    }
    r->cpu_ns += cli_tree(partner.pid, cli_cpu_ns) - cpu;
    r->pss = cli_tree(partner.pid, cli_pss);
    at = partner.line + 2;
    r->cpu_ns += strtod(at, &next); // of its children that have ended
    if (partner.rate) {
        r->items += strtod(next, &next);
    }
    for (at = next;; at = next) {
        unsigned long long ns = strtoull(at, &next, 10);

        if (next == at) {
            return CLI_OK;
        }
        bench_hist_add(&r->steady, ns);
    }
}

static int
end(void)
{
    return partner.pid > 0 ? ask("end\n") : CLI_OK;
}

const struct bench_side bench_stock = {"python", begin, batch, end};
