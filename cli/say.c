/* SPDX-License-Identifier: MIT */
/* say.c - errors with their remedy, JSON, bytes for people */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a person can do about it, or NULL. what: a name, a path or NULL. */
static const char *
remedy(int code, const char *what)
{
    switch (code) {
    case NDS_ENOENT:
        return what == NULL || strchr(what, '/') != NULL
                   ? NULL
                   : "ndshare ls shows the names that exist; ndshare wait waits "
                     "for one";
    case NDS_EEXIST:
        return "choose another name, or --replace to take it over";
    case NDS_EPERM:
        return "it belongs to another user, or its mode forbids this; see "
               "ndshare info";
    case NDS_ENOSPC:
        return "ndshare ls shows what fills shared memory, ndshare gc removes "
               "what the dead left";
    case NDS_ENOTOURS:
        return "it was not made by ndshare; numpy.memmap or nds_block can map "
               "raw bytes";
    case NDS_ETIMEDOUT:
        return "--timeout S waits longer";
    default:
        return NULL;
    }
}

int
cli_fail(const struct cli_command *self, const char *what)
{
    const nds_error *e = nds_last_error();

    if (what != NULL) {
        fprintf(stderr, "ndshare %s: %s: %s\n", self->name, what, e->message);
    } else {
        fprintf(stderr, "ndshare %s: %s\n", self->name, e->message);
    }
    if (remedy(e->code, what) != NULL) {
        fprintf(stderr, "  (%s)\n", remedy(e->code, what));
    }
    return CLI_FAILED;
}

int
cli_usage(const struct cli_command *self, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "ndshare %s: ", self->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n%s", self->usage);
    return CLI_USAGE;
}

void
cli_remark(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "ndshare: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int
cli_print_json(json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_INDENT(2)) : NULL;

    json_decref(value);
    if (text == NULL) {
        fprintf(stderr, "ndshare: out of memory while writing JSON\n");
        return CLI_FAILED;
    }
    puts(text);
    free(text);
    return CLI_OK;
}

const char *
cli_bytes(char *out, size_t room, double nbytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    size_t i = 0;

    while (nbytes >= 1000 && i + 1 < sizeof units / sizeof units[0]) {
        nbytes /= 1000;
        i++;
    }
    snprintf(out, room, i == 0 ? "%.0f %s" : "%.1f %s", nbytes, units[i]);
    return out;
}
