/* SPDX-License-Identifier: MIT */
/*
 * key.c - the key that `serve` and `call` share
 *
 * --authkey-file F; else the environment's NDSHARE_AUTHKEY; else the user's own
 * key file, made at first use. Python's clients need the same bytes as their
 * authkey.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX 4096

static int
path_of_key(char *path, size_t room)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    char dir[3000];

    if (config != NULL && config[0] == '/') {
        snprintf(dir, sizeof dir, "%s", config);
    } else if (home != NULL && home[0] == '/') {
        snprintf(dir, sizeof dir, "%s/.config", home);
    } else {
        return -1;
    }
    mkdir(dir, 0700);
    snprintf(path, room, "%s/ndshare", dir);
    mkdir(path, 0700);
    snprintf(path, room, "%s/ndshare/authkey", dir);
    return 0;
}

/* Makes the file complete or not at all: two commands may start together. */
static int
make_key(const char *path)
{
    unsigned char bytes[32];
    char text[66], temporary[4200];
    FILE *random = fopen("/dev/urandom", "r");
    int fd, rc = -1;

    if (random == NULL || fread(bytes, 1, sizeof bytes, random) != 32) {
        if (random != NULL) {
            fclose(random);
        }
        return -1;
    }
    fclose(random);
    for (int i = 0; i < 32; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    text[64] = '\n';
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    if (write(fd, text, 65) == 65 &&
        (link(temporary, path) == 0 || errno == EEXIST)) {
        rc = 0;
    }
    close(fd);
    unlink(temporary);
    return rc;
}

static int
read_key(const struct cli_command *self, const char *path, char *key,
         size_t *nbytes)
{
    FILE *f = fopen(path, "r");
    size_t n = 0;

    if (f == NULL) {
        fprintf(stderr, "ndshare %s: key file '%s': %s\n", self->name, path,
                strerror(errno));
        return CLI_FAILED;
    }
    n = fread(key, 1, KEY_MAX, f);
    fclose(f);
    // One newline at the end is an editor's, not the key's.
    if (n > 0 && key[n - 1] == '\n') {
        n--;
    }
    if (n == 0) {
        fprintf(stderr, "ndshare %s: key file '%s' is empty\n", self->name,
                path);
        return CLI_FAILED;
    }
    *nbytes = n;
    return CLI_OK;
}

int
cli_key(const struct cli_command *self, const char *file, char **key,
        size_t *nbytes)
{
    const char *env = getenv("NDSHARE_AUTHKEY");
    char path[4100];

    *key = malloc(KEY_MAX + 1);
    if (*key == NULL) {
        fprintf(stderr, "ndshare %s: out of memory\n", self->name);
        return CLI_FAILED;
    }
    if (file != NULL) {
        return read_key(self, file, *key, nbytes);
    }
    if (env != NULL && env[0] != '\0') {
        *nbytes = strlen(env) < KEY_MAX ? strlen(env) : KEY_MAX;
        memcpy(*key, env, *nbytes);
        return CLI_OK;
    }
    if (path_of_key(path, sizeof path) < 0 ||
        (access(path, F_OK) < 0 && make_key(path) < 0)) {
        fprintf(stderr, "ndshare %s: no key: give --authkey-file F or set "
                        "NDSHARE_AUTHKEY (a key file of your own could not "
                        "be made)\n", self->name);
        return CLI_FAILED;
    }
    return read_key(self, path, *key, nbytes);
}
