/* SPDX-License-Identifier: MIT */
/*
 * peer_mq.c - two POSIX message queues
 *
 * The system bounds a message (8 KiB by default) and a queue (10): a larger
 * array goes in pieces. The names are gone before the first message.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PIECE 8192

static mqd_t queues[2], in, out;
static size_t nbytes, piece;
static char *buffer;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)variant;
    (void)dir;
    nbytes = n;
    piece = n < PIECE ? n : PIECE;
    for (int i = 0; i < 2; i++) {
        struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = (long)piece};
        char name[64];

        snprintf(name, sizeof name, "/nds-peers-%d-%d", (int)getpid(), i);
        queues[i] = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
        if (queues[i] == (mqd_t)-1) {
            peer_die("mq_open", strerror(errno));
        }
        mq_unlink(name);
    }
}

static void
start(int role)
{
    out = queues[role];
    in = queues[1 - role];
    buffer = peer_memory(nbytes + PIECE);
}

static void
put(const void *payload)
{
    for (size_t at = 0; at < nbytes; at += piece) {
        size_t n = nbytes - at < piece ? nbytes - at : piece;

        if (mq_send(out, (const char *)payload + at, n, 0) < 0) {
            peer_die("mq_send", strerror(errno));
        }
    }
}

static const void *
get(void)
{
    for (size_t at = 0; at < nbytes;) {
        ssize_t n = mq_receive(in, buffer + at, piece, NULL);

        if (n <= 0) {
            peer_die("mq_receive", strerror(errno));
        }
        at += (size_t)n;
    }
    return buffer;
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
};
