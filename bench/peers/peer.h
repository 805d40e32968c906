/* SPDX-License-Identifier: MIT */
/*
 * peer.h - what one way of carrying arrays must offer to be measured
 *
 * Each program of this directory defines `peer_here` and is linked with
 * harness.c, which does the same work through every peer: one process sends,
 * one receives, each on a processor of its own.
 *
 * A sender's payload lies in memory of its own. What is received can be read
 * until release: in place where the peer has that, in a copy where it has not.
 * A callback that fails ends the process with a line that says why (peer_die),
 * and the row is lost with that reason.
 */
#ifndef NDS_BENCH_PEER_H
#define NDS_BENCH_PEER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PRODUCER = 0, CONSUMER = 1 };

struct peer {
    /* Once, before the two processes part; may be NULL. dir: for sockets. */
    void (*prepare)(const char *variant, const char *dir, size_t nbytes);
    void (*open)(int role);
    void (*send)(const void *payload);
    const void *(*recv)(void);
    void (*release)(void); /* NULL: nothing to do */
    /* By loan: NULL where the peer has none. take NULL: recv is in place. */
    void *(*loan)(void);
    void (*publish)(void);
    const void *(*take)(void);
    void (*give_back)(void);
    /* In runs: NULL where the peer has none. Returns how many went. */
    int (*send_many)(const void *payload, int count);
    int (*recv_many)(int room, const void **payloads);
    void (*release_many)(int count);
    void (*close)(void); /* NULL: nothing to do */
    /* Two processes are there already: which am I? NULL: the harness forks. */
    int (*role)(void);
};

extern const struct peer peer_here;

/* As many messages as may be under way: the same for every peer. */
int peer_depth(size_t nbytes);
/* Memory that is mapped and touched. */
void *peer_memory(size_t nbytes);
void peer_die(const char *what, const char *why)
    __attribute__((noreturn, cold));

#ifdef __cplusplus
}
#endif
#endif
