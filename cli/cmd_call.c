/* SPDX-License-Identifier: MIT */
/* cmd_call.c - one method of a fresh hosted object, printed as Python would */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option call_options[] = {
    {"authkey-file", required_argument, NULL, 'k'}, {0}};

/* "ones((3,4), dtype='f4')" into its name and arguments. */
static int
split_typeid(const char *text, char *name, size_t room, nds_value **args,
             nds_value **kwds)
{
    size_t n = strcspn(text, "(");
    size_t all = strlen(text);
    char *inside;
    int rc;

    *args = *kwds = NULL;
    if (n == 0 || n >= room || (n != all && text[all - 1] != ')')) {
        return CLI_USAGE;
    }
    memcpy(name, text, n);
    name[n] = '\0';
    if (n == all) {
        return CLI_OK;
    }
    inside = strndup(text + n + 1, all - n - 2);
    if (inside == NULL) {
        return CLI_FAILED;
    }
    rc = nds_value_parse_args(args, kwds, inside);
    free(inside);
    return rc < 0 ? CLI_FAILED : CLI_OK;
}

/* As print() would: texts bare, arrays by str(), the rest by repr(). */
static int
print_value(const nds_value *v)
{
    nds_array *a = nds_value_as_array(v);
    char *text = NULL;
    int rc = 0;

    if (nds_value_kind(v) == NDS_VALUE_STR) {
        size_t n;
        const char *s = nds_value_text(v, &n);

        fwrite(s, 1, n, stdout);
        putchar('\n');
        return 0;
    }
    if (a != NULL && nds_value_kind(v) == NDS_VALUE_ARRAY) {
        rc = nds_view_str(nds_array_view(a), NULL, &text);
    } else {
        rc = nds_value_repr(v, &text);
    }
    if (rc == 0) {
        printf("%s\n", text);
    }
    free(text);
    return rc;
}

/* The method's arguments: words of the command line, each a literal or
 * name=literal, or one word that is a whole list. */
static int
method_args(int argc, char **argv, nds_value **args, nds_value **kwds)
{
    size_t room = 1;
    char *all;
    int rc;

    for (int i = 0; i < argc; i++) {
        room += strlen(argv[i]) + 2;
    }
    all = calloc(1, room);
    if (all == NULL) {
        *args = *kwds = NULL;
        return NDS_ENOMEM;
    }
    for (int i = 0; i < argc; i++) {
        strcat(all, argv[i]);
        strcat(all, i + 1 < argc ? ", " : "");
    }
    rc = nds_value_parse_args(args, kwds, all);
    free(all);
    return rc;
}

/* A method that answered with a proxy: the items of an iterator, a line each;
 * else what it is. */
static int
print_proxy(nds_proxy *p, const char *method, const nds_value *args,
            const nds_value *kwds)
{
    nds_proxy *made = NULL;
    nds_value *v = NULL;
    int rc = nds_proxy_call_proxy(p, &made, method, args, kwds);

    if (rc == 0 && strcmp(nds_proxy_typeid(made), "Iterator") != 0) {
        printf("<%s object>\n", nds_proxy_typeid(made));
    } else if (rc == 0) {
        while ((rc = nds_proxy_call(made, &v, "__next__", NULL, NULL)) == 0 &&
               (rc = print_value(v)) == 0) {
            nds_value_free(v);
        }
        if (rc == NDS_EREMOTE &&
            strncmp(nds_last_error()->message, "StopIteration", 13) == 0) {
            rc = 0;
        }
    }
    nds_proxy_close(made);
    return rc;
}

/* ADDRESS - FUNCTION: the server itself. */
static int
ask(const struct cli_command *self, nds_manager *m, int argc, char **argv)
{
    nds_value *args = NULL, *kwds = NULL, *v = NULL;
    int rc = method_args(argc - 1, argv + 1, &args, &kwds);

    rc = rc < 0 ? rc : nds_manager_ask(m, &v, argv[0], args);
    rc = rc < 0 ? rc : print_value(v);
    nds_value_free(args);
    nds_value_free(kwds);
    nds_value_free(v);
    return rc < 0 ? cli_fail(self, argv[0]) : CLI_OK;
}

static int
call(const struct cli_command *self, nds_manager *m, const char *what,
     int argc, char **argv)
{
    nds_value *args, *kwds, *margs = NULL, *mkwds = NULL, *v = NULL;
    nds_proxy *p = NULL;
    char name[64];
    int rc = split_typeid(what, name, sizeof name, &args, &kwds);

    if (rc == CLI_USAGE) {
        return cli_usage(self, "TYPEID '%s' is no name, nor name(arguments)",
                         what);
    }
    if (rc != CLI_OK || method_args(argc - 1, argv + 1, &margs, &mkwds) < 0) {
        rc = cli_fail(self, what);
    } else if (nds_manager_create_value(m, &p, name, args, kwds) < 0) {
        rc = cli_fail(self, what);
    } else {
        int made = nds_proxy_call(p, &v, argv[0], margs, mkwds);

        made = made == 0             ? print_value(v)
               : made == NDS_ENOTSUP ? print_proxy(p, argv[0], margs, mkwds)
                                     : made;
        rc = made < 0 ? cli_fail(self, argv[0]) : CLI_OK;
    }
    nds_proxy_close(p);
    nds_value_free(v);
    nds_value_free(args);
    nds_value_free(kwds);
    nds_value_free(margs);
    nds_value_free(mkwds);
    return rc;
}

static int
run_call(const struct cli_command *self, int argc, char **argv)
{
    nds_manager_options opts = {.size = sizeof opts};
    const char *file = NULL;
    nds_manager *m = NULL;
    char *key = NULL;
    int c, rc;

    while ((c = cli_option(self, argc, argv, call_options)) != -1) {
        if (c != 'k') {
            return c == 'h' ? CLI_OK : CLI_USAGE;
        }
        file = optarg;
    }
    if (argc - optind < 3) {
        return cli_usage(self, "ADDRESS, TYPEID and METHOD are needed");
    }
    rc = cli_key(self, file, &key, &opts.authkey_nbytes);
    if (rc == CLI_OK) {
        opts.address = argv[optind];
        opts.authkey = key;
        rc = nds_manager_connect(&m, &opts) < 0
                 ? cli_fail(self, argv[optind])
             : strcmp(argv[optind + 1], "-") == 0
                 ? ask(self, m, argc - optind - 2, argv + optind + 2)
                 : call(self, m, argv[optind + 1], argc - optind - 2,
                        argv + optind + 2);
    }
    nds_manager_close(m);
    free(key);
    return rc;
}

const struct cli_command cli_call = {
    "call", "make a hosted object and call one of its methods",
    "usage: ndshare call ADDRESS TYPEID METHOD [ARGS...] [--authkey-file F]\n\n"
    "TYPEID may carry arguments: 'ones((3,4))'. ARGS are Python literals, or\n"
    "name=literal; write -- in front of the first if one begins with a minus.\n"
    "The result is printed as Python's print would, an iterator's items a line\n"
    "each. TYPEID - asks the server itself. The key is found as for\n"
    "ndshare serve.\n\n"
    "example: ndshare call /tmp/arrays.sock 'arange(12)' sum\n"
    "         ndshare call /tmp/arrays.sock 'ones((3,4))' sum axis=0\n"
    "         ndshare call /tmp/arrays.sock - number_of_objects\n",
    run_call};
