/* SPDX-License-Identifier: MIT */
/* cmd_create.c - make a named array */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request {
    const char *dtype;
    const char *fill;
    bool arange, random;
    int64_t seed;
    int ndim;
    int64_t shape[NDS_MAX_NDIM];
    bool has_shape;
    nds_array_options opts;
};

static const struct option options[] = {
    {"shape", required_argument, NULL, 's'},
    {"dtype", required_argument, NULL, 'd'},
    {"order", required_argument, NULL, 'o'},
    {"fill", required_argument, NULL, 'f'},
    {"arange", no_argument, NULL, 'a'},
    {"random", required_argument, NULL, 'r'},
    {"mode", required_argument, NULL, 'm'},
    {"lifetime", required_argument, NULL, 'l'},
    {"capacity", required_argument, NULL, 'c'},
    {"replace", no_argument, NULL, 'R'},
    {0}};

static int
take_option(const struct cli_command *self, int c, struct request *r)
{
    char *end;

    switch (c) {
    case 's':
        r->has_shape = cli_parse_shape(optarg, &r->ndim, r->shape);
        return r->has_shape ? CLI_OK
                            : cli_usage(self, "'%s' is no shape: write "
                                        "1000,1000", optarg);
    case 'd':
        r->dtype = optarg;
        return CLI_OK;
    case 'o':
        r->opts.order = optarg[0];
        return (strcmp(optarg, "C") == 0 || strcmp(optarg, "F") == 0)
                   ? CLI_OK
                   : cli_usage(self, "--order is C or F");
    case 'f':
        r->fill = optarg;
        return CLI_OK;
    case 'a':
        r->arange = true;
        return CLI_OK;
    case 'r':
        r->random = true;
        return cli_parse_int(optarg, &r->seed) && r->seed >= 0
                   ? CLI_OK
                   : cli_usage(self, "--random takes a whole number, the "
                               "seed");
    case 'm':
        r->opts.mode_bits = (unsigned)strtoul(optarg, &end, 8);
        return *end == '\0' && r->opts.mode_bits <= 0777
                   ? CLI_OK
                   : cli_usage(self, "--mode is octal, such as 660");
    case 'l':
        r->opts.lifetime = strcmp(optarg, "used") == 0 ? NDS_WHILE_USED
                                                       : NDS_UNTIL_UNLINKED;
        return strcmp(optarg, "used") == 0 || strcmp(optarg, "unlinked") == 0
                   ? CLI_OK
                   : cli_usage(self, "--lifetime is unlinked or used");
    case 'c':
        return cli_parse_int(optarg, &r->opts.capacity) &&
                       r->opts.capacity > 0
                   ? CLI_OK
                   : cli_usage(self, "--capacity counts rows");
    case 'R':
        r->opts.replace = true;
        return CLI_OK;
    default:
        return c == 'h' ? CLI_OK : CLI_USAGE;
    }
}

static int
fill(const struct cli_command *self, const struct request *r, nds_array *a)
{
    nds_scalar value;

    if (r->fill != NULL) {
        if (!cli_parse_scalar(r->fill, &value)) {
            return cli_usage(self, "--fill '%s' is not a number", r->fill);
        }
        return nds_fill(nds_array_view(a), value) < 0 ? cli_fail(self, NULL)
                                                      : CLI_OK;
    }
    if (r->arange && nds_arange(nds_array_view(a)) < 0) {
        return cli_fail(self, NULL);
    }
    if (r->random &&
        nds_random(nds_array_view(a), (uint64_t)r->seed) < 0) {
        return cli_fail(self, NULL);
    }
    return CLI_OK;
}

/* The array goes with its last user; we are one until our input ends. */
static void
stay(void)
{
    char buf[256];

    while (read(STDIN_FILENO, buf, sizeof buf) > 0) {
    }
}

/* A name somebody has is said before any work is done for nothing. */
static bool
is_taken(const char *name)
{
    nds_name_info info = {.size = sizeof info};

    return nds_name_info_get(name, &info) == 0;
}

/*
 * Filled before anybody can see it: a nameless array first, then its name. A
 * dtype whose header is too long for that gets its name first.
 */
static int
make(const struct cli_command *self, const char *name,
     const nds_dtype *dtype, struct request *r, nds_array **out)
{
    int rc;

    if (!r->opts.replace && is_taken(name)) {
        fprintf(stderr, "ndshare create: '%s': the name is taken\n"
                "  (choose another name, or --replace to take it over)\n",
                name);
        return CLI_FAILED;
    }
    r->opts.reach = NDS_SHAREABLE;
    if (nds_array_new(out, dtype, r->ndim, r->shape, &r->opts) < 0) {
        return cli_fail(self, name);
    }
    rc = fill(self, r, *out);
    if (rc != CLI_OK) {
        return rc;
    }
    rc = nds_array_publish(*out, name, &r->opts);
    if (rc == NDS_ELIMIT) {
        nds_array_close(*out);
        if (nds_array_create(out, name, dtype, r->ndim, r->shape,
                             &r->opts) < 0) {
            return cli_fail(self, NULL);
        }
        return fill(self, r, *out);
    }
    return rc < 0 ? cli_fail(self, NULL) : CLI_OK;
}

static int
create(const struct cli_command *self, const char *name, struct request *r)
{
    const nds_dtype *dtype = NULL;
    nds_array *a = NULL;
    int rc;

    if (nds_dtype_parse(&dtype, r->dtype) < 0) {
        return cli_fail(self, name);
    }
    rc = make(self, name, dtype, r, &a);
    if (rc == CLI_OK && r->opts.lifetime == NDS_WHILE_USED) {
        stay();
    }
    nds_array_close(a);
    nds_dtype_put(dtype);
    return rc;
}

static int
run(const struct cli_command *self, int argc, char **argv)
{
    struct request r = {.dtype = "<f8"};
    int c, rc;

    r.opts.size = sizeof r.opts;
    while ((c = cli_option(self, argc, argv, options)) != -1) {
        rc = take_option(self, c, &r);
        if (rc != CLI_OK || c == 'h') {
            return rc;
        }
    }
    if (argc - optind != 1) {
        return cli_usage(self, "one NAME is needed");
    }
    if (!r.has_shape) {
        return cli_usage(self, "--shape is needed, such as --shape 1000,1000");
    }
    if ((r.fill != NULL) + r.arange + r.random > 1) {
        return cli_usage(self, "--fill, --arange and --random exclude each "
                         "other");
    }
    return create(self, argv[optind], &r);
}

const struct cli_command cli_create = {
    "create", "make a named array",
    "usage: ndshare create NAME --shape 1000,1000 [--dtype '<f8'] [--order "
    "C|F]\n"
    "         [--fill V | --arange | --random SEED] [--mode 600]\n"
    "         [--lifetime unlinked|used] [--capacity ROWS] [--replace]\n\n"
    "  --dtype     NumPy's spelling: <f8, uint8, S5, "
    "[('x','<f4'),('id','S3')]\n"
    "  --fill V    every element V; without it zeros\n"
    "  --arange    0, 1, 2, ...\n"
    "  --random S  NumPy's Generator(Philox(S)).random()\n"
    "  --mode      permission bits, exactly (the umask is not asked)\n"
    "  --lifetime  unlinked: until ndshare rm. used: goes with its last user;\n"
    "              the command stays one until its standard input ends\n"
    "  --capacity  rows it may grow to in place\n"
    "  --replace   take over a name in use, atomically\n\n"
    "example: ndshare create frames --shape 480,640 --dtype uint8 --fill 128\n",
    run};
