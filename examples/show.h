/* SPDX-License-Identifier: MIT */
/* show.h - what the nine programs share: stop on an error, print a slice */
#ifndef SHOW_H
#define SHOW_H

#include <ndshare/ndshare.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the library's own words if a call failed. */
static inline int
must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", nds_last_error()->message);
        exit(1);
    }
    return rc;
}

/* Prints `head`, the slice as NumPy prints it, and `tail`. */
static inline void
show(const char *head, nds_array *a, const char *slice, const char *tail)
{
    nds_array *part;
    char *text;

    must(nds_array_slice(&part, a, slice));
    must(nds_view_str(nds_array_view(part), NULL, &text));
    printf("%s%s%s\n", head, text, tail);
    fflush(stdout);
    free(text);
    nds_array_close(part);
}

/* Joins the child; its exit code must be 0. */
static inline void
join(nds_proc *p)
{
    int code = 1;

    must(nds_proc_join(p, NDS_FOREVER, &code));
    nds_proc_close(p);
    if (code != 0) {
        fprintf(stderr, "a child ended with %d\n", code);
        exit(1);
    }
}

/* The number after an option such as --fill, or `otherwise`. */
static inline double
option(int argc, char **argv, const char *name, double otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return atof(argv[i + 1]);
        }
    }
    return otherwise;
}

#endif
