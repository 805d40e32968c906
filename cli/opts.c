/* SPDX-License-Identifier: MIT */
/* opts.c - options, numbers, shapes */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MOST 24

int
cli_option(const struct cli_command *self, int argc, char **argv,
           const struct option *options)
{
    struct option all[OPTIONS_MOST + 2] = {{"help", no_argument, NULL, 'h'}};
    size_t n = 1;
    int c;

    for (; options != NULL && options->name != NULL && n <= OPTIONS_MOST;
         options++) {
        all[n++] = *options;
    }
    opterr = 0;
    c = getopt_long(argc, argv, ":h", all, NULL);
    if (c == 'h') {
        printf("ndshare %s - %s\n\n%s", self->name, self->line, self->usage);
    } else if (c == ':') {
        cli_usage(self, "%s needs a value", argv[optind - 1]);
        return '?';
    } else if (c == '?') {
        cli_usage(self, "no option '%s'", argv[optind - 1]);
    }
    return c;
}

bool
cli_parse_int(const char *text, int64_t *out)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    *out = n;
    return errno == 0 && end != text && *end == '\0';
}

bool
cli_parse_double(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

bool
cli_parse_shape(const char *text, int *ndim, int64_t *shape)
{
    *ndim = 0;
    text += strspn(text, "( ");
    while (*text != '\0' && *text != ')') {
        char *end;
        long long n;

        errno = 0;
        n = strtoll(text, &end, 10);
        if (end == text || errno != 0 || *ndim == NDS_MAX_NDIM) {
            return false;
        }
        shape[(*ndim)++] = n;
        text = end + strspn(end, " ");
        if (*text == ',') {
            text++;
            text += strspn(text, " ");
        } else if (*text != '\0' && *text != ')') {
            return false;
        }
    }
    return *text == '\0' || strspn(text, ") ") == strlen(text);
}

bool
cli_parse_scalar(const char *text, nds_scalar *out)
{
    int64_t n;
    char *end;
    double re, im = 0;

    if (strcmp(text, "True") == 0 || strcmp(text, "False") == 0) {
        *out = nds_bool(text[0] == 'T');
        return true;
    }
    if (cli_parse_int(text, &n)) {
        *out = nds_int(n);
        return true;
    }
    errno = 0;
    if (strspn(text, "+0123456789") == strlen(text) && text[0] != '\0') {
        unsigned long long u = strtoull(text, &end, 10);

        if (errno == 0 && *end == '\0') {
            *out = nds_uint(u);
            return true;
        }
    }
    re = strtod(text, &end);
    if (end == text) {
        return false;
    }
    if (*end == '\0') {
        *out = nds_float(re);
        return true;
    }
    if (strcmp(end, "j") == 0) {
        *out = nds_complex(0, re);
        return true;
    }
    if (*end == '+' || *end == '-') {
        const char *from = end;

        im = strtod(from, &end);
        if (end != from && strcmp(end, "j") == 0) {
            *out = nds_complex(re, im);
            return true;
        }
    }
    return false;
}

bool
cli_parse_timeout(const char *text, int64_t *timeout_ns)
{
    double s;

    if (strcmp(text, "forever") == 0) {
        *timeout_ns = NDS_FOREVER;
        return true;
    }
    if (!cli_parse_double(text, &s) || isnan(s) || s > 9e9) {
        return false;
    }
    *timeout_ns = s < 0 ? NDS_FOREVER : (int64_t)(s * 1e9);
    return true;
}
