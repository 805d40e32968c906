/* SPDX-License-Identifier: MIT */
/* peer_zmq.c - ZeroMQ, PUSH and PULL over ipc://, one pair each way */
#include "peer.h"

#include <stdio.h>
#include <zmq.h>

static char urls[2][256];
static void *context, *in, *out;
static size_t nbytes;
static zmq_msg_t got;

static void
must(int rc, const char *what)
{
    if (rc < 0) {
        peer_die(what, zmq_strerror(zmq_errno()));
    }
}

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)variant;
    nbytes = n;
    for (int i = 0; i < 2; i++) {
        snprintf(urls[i], sizeof urls[i], "ipc://%s/zmq%d", dir, i);
    }
}

static void
start(int role)
{
    int mark = peer_depth(nbytes) / 2, linger = 0;

    context = zmq_ctx_new();
    out = zmq_socket(context, ZMQ_PUSH);
    in = zmq_socket(context, ZMQ_PULL);
    must(zmq_setsockopt(out, ZMQ_SNDHWM, &mark, sizeof mark), "mark");
    must(zmq_setsockopt(in, ZMQ_RCVHWM, &mark, sizeof mark), "mark");
    must(zmq_setsockopt(out, ZMQ_LINGER, &linger, sizeof linger), "linger");
    must(zmq_bind(out, urls[role]), "bind");
    must(zmq_connect(in, urls[1 - role]), "connect");
}

static void
put(const void *payload)
{
    must(zmq_send(out, payload, nbytes, 0), "send");
}

static const void *
get(void)
{
    zmq_msg_init(&got);
    must(zmq_msg_recv(&got, in, 0), "recv");
    if (zmq_msg_size(&got) != nbytes) {
        peer_die("recv", "another size");
    }
    return zmq_msg_data(&got);
}

static void
drop(void)
{
    zmq_msg_close(&got);
}

static void
stop(void)
{
    zmq_close(in);
    zmq_close(out);
    zmq_ctx_term(context);
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .close = stop,
};
