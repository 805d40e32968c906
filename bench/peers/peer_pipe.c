/* SPDX-License-Identifier: MIT */
/* peer_pipe.c - two POSIX pipes of 1 MiB each (64 KiB where that is refused) */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int ends[2][2], in, out;
static size_t nbytes;
static char *buffer;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)variant;
    (void)dir;
    nbytes = n;
    for (int i = 0; i < 2; i++) {
        if (pipe(ends[i]) < 0) {
            peer_die("pipe", strerror(errno));
        }
        (void)fcntl(ends[i][1], F_SETPIPE_SZ, 1 << 20);
    }
}

static void
start(int role)
{
    out = ends[role][1];
    in = ends[1 - role][0];
    close(ends[role][0]); // the other's end must be his alone
    close(ends[1 - role][1]);
    buffer = peer_memory(nbytes);
}

static void
put(const void *payload)
{
    for (size_t at = 0; at < nbytes;) {
        ssize_t n = write(out, (const char *)payload + at, nbytes - at);

        if (n <= 0) {
            peer_die("write", strerror(errno));
        }
        at += (size_t)n;
    }
}

static const void *
get(void)
{
    for (size_t at = 0; at < nbytes;) {
        ssize_t n = read(in, buffer + at, nbytes - at);

        if (n <= 0) {
            peer_die("read", n == 0 ? "end of file" : strerror(errno));
        }
        at += (size_t)n;
    }
    return buffer;
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
};
