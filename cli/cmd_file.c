/* SPDX-License-Identifier: MIT */
/* cmd_file.c - .npy files into shared memory and back */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>

static const struct option load_options[] = {
    {"replace", no_argument, NULL, 'R'}, {0}};

static int
run_load(const struct cli_command *self, int argc, char **argv)
{
    nds_array_options opts = {.size = sizeof opts};
    nds_array *from = NULL, *to = NULL;
    const nds_view *v;
    int c, rc = CLI_OK;

    while ((c = cli_option(self, argc, argv, load_options)) != -1) {
        if (c != 'R') {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
        opts.replace = true;
    }
    if (argc - optind != 2) {
        return cli_usage(self, "FILE.npy and NAME are needed");
    }
    if (nds_npy_map(&from, argv[optind], NDS_READ) < 0) {
        return cli_fail(self, argv[optind]);
    }
    v = nds_array_view(from);
    if (!nds_view_is_contiguous(v, 'C')) {
        opts.order = 'F';
    }
    if (nds_array_create(&to, argv[optind + 1], v->dtype, v->ndim, v->shape,
                         &opts) < 0) {
        rc = cli_fail(self, NULL);
    } else if (nds_assign(nds_array_view(to), v) < 0) {
        rc = cli_fail(self, argv[optind + 1]);
        nds_array_unlink(argv[optind + 1]);
    }
    nds_array_close(to);
    nds_array_close(from);
    return rc;
}

const struct cli_command cli_load = {
    "load", "a .npy file into a named array",
    "usage: ndshare load FILE.npy NAME [--replace]\n\n"
    "  --replace   take over a name in use, atomically\n\n"
    "example: ndshare load image.npy frames\n",
    run_load};

static int
run_save(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target t;
    int c = cli_option(self, argc, argv, NULL);
    int rc = CLI_OK;

    if (c != -1) {
        return c == 'h' ? CLI_OK : CLI_USAGE;
    }
    if (argc - optind != 2) {
        return cli_usage(self, "NAME and FILE.npy are needed");
    }
    if (cli_target_open(self, &t, argv[optind], NDS_READ) != CLI_OK) {
        return CLI_FAILED;
    }
    if (nds_npy_save(nds_array_view(t.out), argv[optind + 1]) < 0) {
        rc = cli_fail(self, NULL);
    }
    cli_target_close(&t);
    return rc;
}

const struct cli_command cli_save = {
    "save", "an array, or a slice of it, to a .npy file",
    "usage: ndshare save NAME[SLICE] FILE.npy\n\n"
    "The file is replaced as a whole: readers see the old one or the new.\n\n"
    "example: ndshare save 'frames[:100]' head.npy\n",
    run_save};
