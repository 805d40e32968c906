/* SPDX-License-Identifier: MIT */
/*
 * window.c - the part of a message that is at hand
 *
 * All of it, or what has been fetched of one that is still on its way: then
 * memory grows with what has arrived, and large data is fetched straight to
 * where it will stay.
 */
#include <pickle/pickle.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)16 << 10)
#define FIRST_GRAB ((size_t)16 << 20)

uint64_t
ndi_window_left(const struct ndi_window *w)
{
    return w->nbytes - w->at + w->outside;
}

uint64_t
ndi_window_at(const struct ndi_window *w)
{
    return w->before + w->at;
}

/* Fetches `more` bytes behind those that are there. */
static int
fetch(struct ndi_window *w, size_t more)
{
    size_t have = w->nbytes - w->at;
    int rc;

    if (have + more > w->room) {
        unsigned char *buf = malloc(have + more);

        if (buf == NULL) {
            return ndi_fail_nomem(have + more, "a message");
        }
        if (have != 0) {
            memcpy(buf, w->data + w->at, have);
        }
        free(w->buf);
        w->buf = buf;
        w->room = have + more;
    } else {
        memmove(w->buf, w->data + w->at, have);
    }
    w->before += w->at;
    w->data = w->buf;
    w->nbytes = have;
    w->at = 0;
    rc = w->source->fill(w->source->ctx, w->buf + have, more);
    if (rc == 0) {
        w->nbytes += more;
        w->outside -= more;
    }
    return rc;
}

int
ndi_window_want(struct ndi_window *w, uint64_t nbytes)
{
    uint64_t want = nbytes < ndi_window_left(w) ? nbytes : ndi_window_left(w);
    size_t chunk = w->source == NULL || w->source->chunk == 0
                       ? CHUNK
                       : w->source->chunk;
    int rc = 0;

    while (rc == 0 && w->nbytes - w->at < want) {
        size_t have = w->nbytes - w->at;
        size_t most = have < FIRST_GRAB ? FIRST_GRAB : have * 3;
        uint64_t more = want - have;

        if (more < chunk) {
            more = chunk;
        }
        if (more > most) {
            more = most;
        }
        rc = fetch(w, (size_t)(more < w->outside ? more : w->outside));
    }
    return rc;
}

int
ndi_window_copy(struct ndi_window *w, void *to, size_t nbytes)
{
    size_t have = w->nbytes - w->at;
    int rc = 0;

    if (have > nbytes) {
        have = nbytes;
    }
    if (have != 0) {
        memcpy(to, w->data + w->at, have);
        w->at += have;
    }
    if (have < nbytes) {
        rc = w->source->fill(w->source->ctx, (char *)to + have,
                             nbytes - have);
        if (rc == 0) {
            w->before += nbytes - have;
            w->outside -= nbytes - have;
        }
    }
    return rc;
}

void
ndi_window_fini(struct ndi_window *w)
{
    free(w->buf);
    w->buf = NULL;
}
