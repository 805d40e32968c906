/* SPDX-License-Identifier: MIT */
/* cmd_rm.c - remove names; sweep what the dead left */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>

static int
run_rm(const struct cli_command *self, int argc, char **argv)
{
    int rc = CLI_OK;
    int c = cli_option(self, argc, argv, NULL);

    if (c != -1) {
        return c == 'h' ? CLI_OK : CLI_USAGE;
    }
    if (optind == argc) {
        return cli_usage(self, "at least one NAME is needed");
    }
    for (int i = optind; i < argc; i++) {
        if (nds_name_unlink(argv[i]) < 0) {
            rc = cli_fail(self, argv[i]);
        }
    }
    return rc;
}

const struct cli_command cli_rm = {
    "rm", "remove names; the memory lives until its last user is gone",
    "usage: ndshare rm NAME...\n\nexample: ndshare rm frames masks\n", run_rm};

static void
swept(const char *name, bool removed, const char *why, void *ctx)
{
    bool dry = *(bool *)ctx;

    printf("%-8s %-24s %s\n",
           removed ? (dry ? "would go" : "removed") : "stays", name, why);
}

static const struct option gc_options[] = {
    {"dry-run", no_argument, NULL, 'n'}, {0}};

static int
run_gc(const struct cli_command *self, int argc, char **argv)
{
    bool dry = false;
    int c, removed;

    while ((c = cli_option(self, argc, argv, gc_options)) != -1) {
        if (c != 'n') {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
        dry = true;
    }
    if (argc != optind) {
        return cli_usage(self, "gc takes no NAME; ndshare rm removes one");
    }
    removed = nds_sweep(dry, swept, &dry);
    if (removed < 0) {
        return cli_fail(self, NULL);
    }
    cli_remark(dry ? "%d names would go" : "%d names removed", removed);
    return CLI_OK;
}

const struct cli_command cli_gc = {
    "gc", "remove what dead processes left, and nothing else",
    "usage: ndshare gc [--dry-run]\n\n"
    "  --dry-run   say what would go and why, remove nothing\n\n"
    "A name goes only when nobody, stock NumPy included, has it open or "
    "mapped.\n\nexample: ndshare gc --dry-run\n",
    run_gc};
