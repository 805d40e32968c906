/* SPDX-License-Identifier: MIT */
/* cmd_print.c - an array as NumPy prints it */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option options[] = {{"repr", no_argument, NULL, 'r'}, {0}};

static int
run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target t;
    char *text = NULL;
    bool repr = false;
    int c, rc;

    while ((c = cli_option(self, argc, argv, options)) != -1) {
        if (c != 'r') {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
        repr = true;
    }
    if (argc - optind != 1) {
        return cli_usage(self, "one NAME[SLICE] is needed");
    }
    if (cli_target_open(self, &t, argv[optind], NDS_READ) != CLI_OK) {
        return CLI_FAILED;
    }
    rc = repr ? nds_view_repr(nds_array_view(t.out), NULL, &text)
              : nds_view_str(nds_array_view(t.out), NULL, &text);
    if (rc < 0) {
        cli_fail(self, argv[optind]);
    } else {
        puts(text);
    }
    free(text);
    cli_target_close(&t);
    return rc < 0 ? CLI_FAILED : CLI_OK;
}

const struct cli_command cli_print = {
    "print", "print an array, exactly as NumPy does",
    "usage: ndshare print NAME[SLICE] [--repr]\n\n"
    "  --repr   as repr(array) instead of str(array)\n\n"
    "NDSHARE_NUMPY_PRINT=1.24 (2.0, 2.2, 2.3) prints as that NumPy did; the\n"
    "newest rules are the default.\n\n"
    "example: ndshare print 'frames[:2,:4]'\n",
    run};
