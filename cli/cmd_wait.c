/* SPDX-License-Identifier: MIT */
/* cmd_wait.c - wait for a name, or for its data to change */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>

static const struct option options[] = {
    {"timeout", required_argument, NULL, 't'},
    {"changed-since", required_argument, NULL, 'g'},
    {0}};

static int
run(const struct cli_command *self, int argc, char **argv)
{
    int64_t timeout = NDS_FOREVER, since = -1;
    nds_array *a = NULL;
    uint64_t gen = 0;
    const char *name;
    int c, rc;

    while ((c = cli_option(self, argc, argv, options)) != -1) {
        if (c == 't') {
            if (!cli_parse_timeout(optarg, &timeout)) {
                return cli_usage(self, "--timeout takes seconds");
            }
        } else if (c == 'g') {
            if (!cli_parse_int(optarg, &since) || since < 0) {
                return cli_usage(self, "--changed-since takes a generation, "
                                 "as ndshare info prints");
            }
        } else {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
    }
    if (argc - optind != 1) {
        return cli_usage(self, "one NAME is needed");
    }
    name = argv[optind];
    rc = nds_array_attach(&a, name, NDS_READ, timeout);
    if (rc == NDS_ETIMEDOUT) {
        fprintf(stderr, "ndshare wait: no array '%s' appeared in time\n",
                name);
        return CLI_FAILED;
    }
    if (rc < 0) {
        return cli_fail(self, name);
    }
    if (since >= 0) {
        rc = nds_array_wait_changed(a, (uint64_t)since, timeout);
        if (rc == NDS_ETIMEDOUT || rc == NDS_EAGAIN) {
            fprintf(stderr, "ndshare wait: '%s' did not change in time\n",
                    name);
        } else if (rc < 0) {
            cli_fail(self, name);
        }
    }
    if (rc == 0 && nds_array_generation(a, &gen) == 0) {
        printf("%llu\n", (unsigned long long)gen);
    }
    nds_array_close(a);
    return rc < 0 ? CLI_FAILED : CLI_OK;
}

const struct cli_command cli_wait = {
    "wait", "wait until a name appears, or its data change",
    "usage: ndshare wait NAME [--timeout S] [--changed-since GEN]\n\n"
    "  --timeout S           give up after S seconds (exit 1)\n"
    "  --changed-since GEN   until data_gen is greater than GEN\n\n"
    "Prints the data generation. Stock NumPy writers do not raise it.\n\n"
    "example: g=$(ndshare wait frames); ndshare wait frames --changed-since "
    "$g\n",
    run};
