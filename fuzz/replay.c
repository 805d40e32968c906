/* SPDX-License-Identifier: MIT */
/*
 * replay.c - a target's corpus without a fuzzer
 *
 *     replay_ring DIRECTORY|FILE...
 *
 * Runs every input once, in the order of names; each must come back. Says how
 * many there were and fails when there were none.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int
run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *data;
    size_t nbytes;

    if (f == NULL || fstat(fileno(f), &st) < 0) {
        perror(path);
        exit(1);
    }
    nbytes = (size_t)st.st_size;
    data = malloc(nbytes + 1); // of its size, so that ASan sees its end
    if (data == NULL || fread(data, 1, nbytes, f) != nbytes) {
        perror(path);
        exit(1);
    }
    fclose(f);
    // A crash leaves the name of its input as the last line.
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, nbytes);
    free(data);
    return 1;
}

static int
run_dir(const char *path)
{
    struct dirent **list;
    int n = scandir(path, &list, NULL, alphasort);
    int done = 0;

    if (n < 0) {
        perror(path);
        exit(1);
    }
    for (int i = 0; i < n; i++) {
        char name[4096];

        if (list[i]->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", path, list[i]->d_name);
            done += run_file(name);
        }
        free(list[i]);
    }
    free(list);
    return done;
}

int
main(int argc, char **argv)
{
    int done = 0;

    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) < 0) {
            perror(argv[i]);
            return 1;
        }
        done += S_ISDIR(st.st_mode) ? run_dir(argv[i]) : run_file(argv[i]);
    }
    printf("%d inputs\n", done);
    return done > 0 ? 0 : 1;
}
