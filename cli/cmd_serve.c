/* SPDX-License-Identifier: MIT */
/* cmd_serve.c - a manager of hosted arrays, for ndshare and stock Python */
#include "cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static nds_server *server; /* for the handler */

static void
on_signal(int sig)
{
    (void)sig;
    nds_server_stop(server);
}

/* A connection each: as many as this process may have at all. */
static void
allow_connections(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static const struct option serve_options[] = {
    {"authkey-file", required_argument, NULL, 'k'}, {0}};

static int
run_serve(const struct cli_command *self, int argc, char **argv)
{
    nds_manager_options opts = {.size = sizeof opts};
    struct sigaction act = {.sa_handler = on_signal};
    const char *file = NULL;
    char *key = NULL;
    int c, rc;

    while ((c = cli_option(self, argc, argv, serve_options)) != -1) {
        if (c != 'k') {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
        file = optarg;
    }
    if (optind + 1 != argc) {
        return cli_usage(self, "one ADDRESS is needed: a path, @name or "
                               "host:port");
    }
    rc = cli_key(self, file, &key, &opts.authkey_nbytes);
    if (rc != CLI_OK) {
        free(key);
        return rc;
    }
    opts.address = argv[optind];
    opts.authkey = key;
    allow_connections();
    if (nds_server_new(&server, &opts) < 0) {
        free(key);
        return cli_fail(self, argv[optind]);
    }
    free(key);
    sigemptyset(&act.sa_mask);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    printf("%s\n", nds_server_address(server));
    fflush(stdout);
    rc = nds_server_run(server) < 0 ? cli_fail(self, argv[optind]) : CLI_OK;
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    nds_server_free(server);
    return rc;
}

const struct cli_command cli_serve = {
    "serve", "host arrays for other processes; Python can connect",
    "usage: ndshare serve ADDRESS [--authkey-file F]\n\n"
    "ADDRESS is a path (a Unix socket), @name (an abstract one) or host:port.\n"
    "It is printed once clients can connect. Types: ones zeros full empty\n"
    "arange random load, and SyncManager's list dict set Namespace Value\n"
    "Array Queue JoinableQueue Event Lock RLock Semaphore BoundedSemaphore\n"
    "Condition Barrier. The server ends with SIGTERM, SIGINT or a client's shutdown.\n\n"
    "The key is the content of F (a newline at its end left out), else\n"
    "NDSHARE_AUTHKEY, else ~/.config/ndshare/authkey, made at first use.\n\n"
    "example: ndshare serve /tmp/arrays.sock &\n"
    "         ndshare call /tmp/arrays.sock 'ones((3,4))' sum\n",
    run_serve};
