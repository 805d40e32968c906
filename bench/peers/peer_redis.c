/* SPDX-License-Identifier: MIT */
/*
 * peer_redis.c - Redis over a Unix socket, a list each way
 *
 * RPUSH and BLPOP. A list has no bound, so the producer looks at its length,
 * which RPUSH returns, and waits for the consumer as the other peers do.
 */
#include "peer.h"

#include <hiredis/hiredis.h>

#include <stdio.h>
#include <unistd.h>

static redisContext *server;
static redisReply *got;
static char path[256];
static int me, depth;
static size_t nbytes;

static void
prepare(const char *variant, const char *dir, size_t n)
{
    redisContext *c;

    (void)variant;
    nbytes = n;
    depth = peer_depth(n);
    snprintf(path, sizeof path, "%s/redis", dir);
    c = redisConnectUnix(path);
    if (c == NULL || c->err != 0) {
        peer_die("redis", c != NULL ? c->errstr : "no memory");
    }
    freeReplyObject(redisCommand(c, "DEL nds0 nds1"));
    redisFree(c);
}

static void
start(int role)
{
    me = role;
    server = redisConnectUnix(path);
    if (server == NULL || server->err != 0) {
        peer_die("redis", server != NULL ? server->errstr : "no memory");
    }
}

static redisReply *
need(redisReply *r, int type, const char *what)
{
    if (r == NULL) {
        peer_die(what, server->errstr);
    }
    if (r->type != type) {
        peer_die(what, r->str != NULL ? r->str : "another reply");
    }
    return r;
}

static void
put(const void *payload)
{
    redisReply *r = need(redisCommand(server, "RPUSH nds%d %b", me, payload,
                                      nbytes), REDIS_REPLY_INTEGER, "RPUSH");

    while (r->integer >= depth) {
        freeReplyObject(r);
        usleep(100);
        r = need(redisCommand(server, "LLEN nds%d", me), REDIS_REPLY_INTEGER,
                 "LLEN");
    }
    freeReplyObject(r);
}

static const void *
get(void)
{
    got = need(redisCommand(server, "BLPOP nds%d 14", 1 - me),
               REDIS_REPLY_ARRAY, "BLPOP");
    if ((size_t)got->element[1]->len != nbytes) {
        peer_die("BLPOP", "another size");
    }
    return got->element[1]->str;
}

static void
drop(void)
{
    freeReplyObject(got);
}

static void
stop(void)
{
    redisFree(server);
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .close = stop,
};
