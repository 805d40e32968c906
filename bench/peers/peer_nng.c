/* SPDX-License-Identifier: MIT */
/* peer_nng.c - nng, a pair0 over ipc:// */
#include "peer.h"

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#include <stdio.h>

static nng_socket sock;
static char url[256];
static size_t nbytes, got_bytes;
static void *got;

static void
must(int rc, const char *what)
{
    if (rc != 0) {
        peer_die(what, nng_strerror(rc));
    }
}

static void
prepare(const char *variant, const char *dir, size_t n)
{
    (void)variant;
    snprintf(url, sizeof url, "ipc://%s/nng", dir);
    nbytes = n;
}

static void
start(int role)
{
    must(nng_pair0_open(&sock), "open");
    must(nng_socket_set_size(sock, NNG_OPT_RECVMAXSZ, 0), "size");
    must(nng_socket_set_int(sock, NNG_OPT_SENDBUF, peer_depth(nbytes) / 2),
         "sendbuf");
    must(nng_socket_set_int(sock, NNG_OPT_RECVBUF, peer_depth(nbytes) / 2),
         "recvbuf");
    must(nng_socket_set_ms(sock, NNG_OPT_RECONNMINT, 5), "reconnect");
    must(role == PRODUCER ? nng_listen(sock, url, NULL, 0)
                          : nng_dial(sock, url, NULL, NNG_FLAG_NONBLOCK),
         "listen or dial");
}

static void
put(const void *payload)
{
    must(nng_send(sock, (void *)(size_t)payload, nbytes, 0), "send");
}

static const void *
get(void)
{
    must(nng_recv(sock, &got, &got_bytes, NNG_FLAG_ALLOC), "recv");
    if (got_bytes != nbytes) {
        peer_die("recv", "another size");
    }
    return got;
}

static void
drop(void)
{
    nng_free(got, got_bytes);
}

static void
stop(void)
{
    nng_close(sock);
}

const struct peer peer_here = {
    .prepare = prepare, .open = start, .send = put, .recv = get,
    .release = drop, .close = stop,
};
