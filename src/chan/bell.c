/* SPDX-License-Identifier: MIT */
/*
 * bell.c - a descriptor that is readable while items wait
 *
 * Futexes cannot be polled, so a thread of this process waits for items and
 * rings an eventfd. It starts with the first request; a child of fork that
 * asks gets its own. Who gets an item and finds none left stills the bell,
 * then looks again: an item that came in between rings it anew.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <signal.h>
#include <stdlib.h>

struct ndi_bell {
    struct ndi_chan *chan;
    int (*over)(void *ctx); /* end of file */
    void *ctx;
    int fd;
    _Atomic uint32_t rung;
    _Atomic uint32_t stop;
    pthread_t thread;
};

static bool
due(const struct ndi_bell *b)
{
    return ndi_chan_has_items(b->chan) ||
           ndi_load_acq(&b->chan->h->closed) != 0 ||
           (b->over != NULL && b->over(b->ctx) != 0);
}

static void
ring(struct ndi_bell *b)
{
    if (ndi_swap_seq(&b->rung, 1) == 0) {
        (void)ndi_eventfd_ring(b->fd);
    }
}

static void
still(struct ndi_bell *b)
{
    if (ndi_swap_seq(&b->rung, 0) != 0) {
        (void)ndi_eventfd_still(b->fd);
    }
}

static void *
bell_main(void *arg)
{
    struct ndi_bell *b = arg;

    while (ndi_load_acq(&b->stop) == 0) {
        if (due(b)) {
            ring(b);
            // Until somebody stills it; he looks again himself.
            (void)ndi_futex_wait(&b->rung, 1, NDI_SLICE_NS);
        } else {
            still(b);
            if (due(b)) {
                continue;
            }
            (void)ndi_chan_wait(b->chan, NDI_WAIT_ITEMS, 0,
                                ndi_deadline(NDI_SLICE_NS));
        }
    }
    return NULL;
}

static int
bell_new(struct ndi_bell **out, struct ndi_chan *c, int (*over)(void *ctx),
         void *ctx)
{
    struct ndi_bell *b = calloc(1, sizeof *b);
    sigset_t all, old;
    int rc;

    *out = NULL;
    if (b == NULL) {
        return ndi_fail_nomem(sizeof *b, "a descriptor's thread");
    }
    b->chan = c;
    b->over = over;
    b->ctx = ctx;
    rc = ndi_eventfd(&b->fd);
    if (rc == 0) {
        sigfillset(&all); // the program's signals are not for this thread
        pthread_sigmask(SIG_SETMASK, &all, &old);
        rc = -pthread_create(&b->thread, NULL, bell_main, b);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (rc < 0) {
            ndi_os_close(b->fd);
        }
    }
    if (rc < 0) {
        free(b);
        return ndi_fail_errno(-rc, "a pollable descriptor");
    }
    *out = b;
    return 0;
}

int
ndi_bell_fd(struct ndi_chan *c, int (*over)(void *ctx), void *ctx, int *fd)
{
    struct ndi_bell *b;
    int rc = 0;

    *fd = -1;
    pthread_mutex_lock(&c->hub->mutex);
    b = ndi_load_acq(&c->bell);
    if (b == NULL && (rc = bell_new(&b, c, over, ctx)) == 0) {
        ndi_store_rel(&c->bell, b);
    }
    if (rc == 0) {
        *fd = b->fd;
    }
    pthread_mutex_unlock(&c->hub->mutex);
    return rc;
}

void
ndi_bell_look(struct ndi_chan *c)
{
    struct ndi_bell *b = ndi_load_acq(&c->bell);

    if (b != NULL && !due(b)) {
        still(b);
        if (due(b)) {
            ring(b);
        }
        (void)ndi_futex_wake(&b->rung, 1);
    }
}

void
ndi_bell_free(struct ndi_bell *b)
{
    if (b == NULL) {
        return;
    }
    ndi_store_rel(&b->stop, 1);
    (void)ndi_futex_wake(&b->rung, 1);
    ndi_event_signal(&b->chan->h->items, INT32_MAX);
    pthread_join(b->thread, NULL);
    ndi_os_close(b->fd);
    free(b);
}
