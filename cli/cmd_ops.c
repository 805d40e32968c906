/* SPDX-License-Identifier: MIT */
/* cmd_ops.c - work on an array in place, and reductions */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* fill, add, mul: under the array's lock, so that waiters see a change. */
static int
run_in_place(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target t;
    nds_scalar value;
    const nds_view *v;
    int rc;

    // A negative number is a value, not an option.
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 ||
                     strcmp(argv[1], "-h") == 0)) {
        return cli_option(self, argc, argv, NULL) == 'h' ? CLI_OK : CLI_USAGE;
    }
    if (argc != 3) {
        return cli_usage(self, "NAME[SLICE] and VALUE are needed");
    }
    if (!cli_parse_scalar(argv[2], &value)) {
        return cli_usage(self, "'%s' is not a number", argv[2]);
    }
    if (cli_target_open(self, &t, argv[1], NDS_READWRITE) != CLI_OK) {
        return CLI_FAILED;
    }
    if (cli_target_lock(self, &t, argv[1]) != CLI_OK) {
        cli_target_close(&t);
        return CLI_FAILED;
    }
    v = nds_array_view(t.out);
    if (strcmp(self->name, "fill") == 0) {
        rc = nds_fill(v, value);
    } else if (strcmp(self->name, "add") == 0) {
        rc = nds_add_scalar(v, v, value);
    } else {
        rc = nds_multiply_scalar(v, v, value);
    }
    if (rc == 0) {
        rc = nds_array_flush(t.whole);
    }
    if (rc < 0) {
        cli_fail(self, argv[1]);
    }
    cli_target_close(&t);
    return rc < 0 ? CLI_FAILED : CLI_OK;
}

#define IN_PLACE(word, what, example)                                         \
    const struct cli_command cli_##word = {                                   \
        #word, what,                                                          \
        "usage: ndshare " #word " NAME[SLICE] VALUE\n\n"                      \
        "In place, under the array's lock; waiters (ndshare wait) see the "   \
        "change.\n\nexample: ndshare " #word " " example "\n",                \
        run_in_place}

IN_PLACE(fill, "set every element to a value", "'frames[0]' 255");
IN_PLACE(add, "add a value to every element", "frames 1");
IN_PLACE(mul, "multiply every element by a value", "frames 0.5");

static const struct {
    const char *name;
    enum nds_reduction op;
} reductions[] = {
    {"sum", NDS_SUM},       {"prod", NDS_PROD},     {"min", NDS_MIN},
    {"max", NDS_MAX},       {"mean", NDS_MEAN},     {"std", NDS_STD},
    {"var", NDS_VAR},       {"argmin", NDS_ARGMIN}, {"argmax", NDS_ARGMAX},
    {"any", NDS_ANY},       {"all", NDS_ALL},
};

static int
run_reduce(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target t;
    nds_scalar result;
    char *text = NULL;
    size_t i = 0;
    int c = cli_option(self, argc, argv, NULL);
    int rc;

    if (c != -1) {
        return c == 'h' ? CLI_OK : CLI_USAGE;
    }
    if (argc - optind != 1) {
        return cli_usage(self, "one NAME[SLICE] is needed");
    }
    if (cli_target_open(self, &t, argv[optind], NDS_READ) != CLI_OK) {
        return CLI_FAILED;
    }
    while (strcmp(reductions[i].name, self->name) != 0) {
        i++;
    }
    rc = nds_reduce(reductions[i].op, nds_array_view(t.out), NULL, &result);
    if (rc == 0) {
        rc = nds_scalar_str(&result, &text);
    }
    if (rc < 0) {
        cli_fail(self, argv[optind]);
    } else {
        puts(text);
    }
    free(text);
    cli_target_close(&t);
    return rc < 0 ? CLI_FAILED : CLI_OK;
}

#define REDUCE(word, what)                                                    \
    const struct cli_command cli_##word = {                                   \
        #word, what,                                                          \
        "usage: ndshare " #word " NAME[SLICE]\n\n"                            \
        "Over all elements, as NumPy computes it.\n\n"                        \
        "example: ndshare " #word " 'frames[0,:,::2]'\n",                     \
        run_reduce}

REDUCE(sum, "the sum of all elements");
REDUCE(prod, "the product of all elements");
REDUCE(min, "the smallest element");
REDUCE(max, "the largest element");
REDUCE(mean, "the mean of all elements");
REDUCE(std, "the standard deviation");
REDUCE(var, "the variance");
REDUCE(argmin, "where the smallest element is, in C order");
REDUCE(argmax, "where the largest element is, in C order");
REDUCE(any, "whether any element is not zero");
REDUCE(all, "whether every element is not zero");
