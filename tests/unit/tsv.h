/* SPDX-License-Identifier: MIT */
/* tsv.h - lines of tab-separated vectors, and hex */
#ifndef NDI_TEST_TSV_H
#define NDI_TEST_TSV_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TSV_FIELDS 10

static inline unsigned char *
tsv_hex(const char *text, size_t *nbytes)
{
    size_t n = strlen(text) / 2;
    unsigned char *out = malloc(n + 1);

    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;

        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (unsigned char)byte;
    }
    *nbytes = n;
    return out;
}

/* Calls fn for each line but comments; returns how many. */
static inline int
tsv_each(const char *path, void (*fn)(char **field, int n))
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    int count = 0;

    ck_assert_msg(f != NULL, "%s", path);
    while (getline(&line, &room, f) > 0) {
        char *field[TSV_FIELDS] = {NULL}, *at = line;
        int n = 0;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        while (n < TSV_FIELDS && at != NULL) {
            field[n++] = strsep(&at, "\t");
        }
        fn(field, n);
        count++;
    }
    free(line);
    fclose(f);
    return count;
}

#endif
