/* SPDX-License-Identifier: MIT */
/* main.c - the table of commands */
#include "cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct cli_command *const commands[] = {
    &cli_tour, &cli_create, &cli_print, &cli_info,   &cli_ls,     &cli_rm,
    &cli_gc,   &cli_load,   &cli_save,  &cli_fill,   &cli_add,    &cli_mul,
    &cli_sum,  &cli_prod,   &cli_min,   &cli_max,    &cli_mean,   &cli_std,
    &cli_var,  &cli_argmin, &cli_argmax, &cli_any,   &cli_all,    &cli_wait,
    &cli_serve, &cli_call, &cli_doctor, &cli_bench, &cli_advise,
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void
help(FILE *to)
{
    fprintf(to, "ndshare %s: NumPy arrays between processes, nine ways\n\n"
                "usage: ndshare COMMAND [ARGUMENTS]\n\n",
            nds_version());
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->line);
    }
    fprintf(to, "\nNAME is a name in shared memory, or a path if it contains "
                "a slash; SLICE is\nNumPy's, glued to it: 'frames[0,:,::2]'. "
                "ndshare COMMAND --help tells more.\n");
}

int
main(int argc, char **argv)
{
    // A child of this program enters here and does not come back.
    nds_init(argc, argv);
    nds_guard_install();
    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ndshare %s\n", nds_version());
        return CLI_OK;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            int rc = commands[i]->run(commands[i], argc - 1, argv + 1);

            if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "ndshare: cannot write to standard output\n");
                return rc == CLI_OK ? CLI_FAILED : rc;
            }
            return rc;
        }
    }
    fprintf(stderr, "ndshare: no command '%s'; ndshare --help lists them\n",
            argv[1]);
    return CLI_USAGE;
}
