/* SPDX-License-Identifier: MIT */
/*
 * peer_boost.cpp - Boost.Interprocess, two message_queues
 *
 * Mutex and condition in shared memory. The names are gone before the first
 * message.
 */
#include "peer.h"

#include <boost/interprocess/ipc/message_queue.hpp>

#include <cstdio>
#include <unistd.h>

using boost::interprocess::message_queue;

static message_queue *queues[2], *in, *out;
static size_t nbytes;
static void *buffer;

static void
prepare(const char *, const char *, size_t n)
{
    nbytes = n;
    for (int i = 0; i < 2; i++) {
        char name[64];

        std::snprintf(name, sizeof name, "nds-peers-%d-%d", (int)getpid(), i);
        try {
            queues[i] = new message_queue(boost::interprocess::create_only,
                                          name, (size_t)peer_depth(n), n);
        } catch (const std::exception &e) {
            message_queue::remove(name);
            peer_die("message_queue", e.what());
        }
        message_queue::remove(name);
    }
}

static void
start(int role)
{
    out = queues[role];
    in = queues[1 - role];
    buffer = peer_memory(nbytes);
}

static void
put(const void *payload)
{
    out->send(payload, nbytes, 0);
}

static const void *
get()
{
    message_queue::size_type n;
    unsigned priority;

    in->receive(buffer, nbytes, n, priority);
    if (n != nbytes) {
        peer_die("receive", "short message");
    }
    return buffer;
}

static struct peer
make()
{
    struct peer p = {};

    p.prepare = prepare;
    p.open = start;
    p.send = put;
    p.recv = get;
    return p;
}

extern "C" const struct peer peer_here = make();
