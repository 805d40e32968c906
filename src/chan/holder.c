/* SPDX-License-Identifier: MIT */
/*
 * holder.c - which slots this process owns, and what becomes of each
 *
 * An array over slot memory and the slot's word end at different times: a
 * taken array may be closed before its release, a got one released while a
 * view of it lives on. One small record per slot joins the two; it is private
 * memory, so a killed process leaves only the word, which says enough.
 *
 * A child of fork inherits arrays over its parent's slots: closing them
 * touches no word, for the epoch is another.
 */
#include <chan/chan_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>

int
ndi_held_new(struct ndi_held **out, struct ndi_chan *c)
{
    struct ndi_held *held = calloc(1, sizeof *held);

    *out = held;
    if (held == NULL) {
        return ndi_fail_nomem(sizeof *held, "an item's record");
    }
    held->chan = c;
    ndi_hub_get(c->hub);
    held->refs = 1;
    held->epoch = ndi_fork_epoch();
    held->state = NDI_HELD_OVER;
    return 0;
}

static bool
ours(const struct ndi_held *held)
{
    return held->epoch == ndi_fork_epoch();
}

void
ndi_held_put(struct ndi_held *held)
{
    struct ndi_hub *hub;
    bool last;

    if (held == NULL) {
        return;
    }
    hub = held->chan->hub;
    ndi_hub_enter_image(hub);
    pthread_mutex_lock(&hub->mutex);
    last = --held->refs == 0;
    pthread_mutex_unlock(&hub->mutex);
    if (last) {
        free(held);
        ndi_hub_put(hub);
    }
}

void
ndi_held_list(struct ndi_held *held)
{
    struct ndi_hub *hub = held->chan->hub;

    pthread_mutex_lock(&hub->mutex);
    held->refs++;
    held->listed = true;
    held->prev = hub->held_last;
    held->next = NULL;
    if (hub->held_last != NULL) {
        hub->held_last->next = held;
    } else {
        hub->held_first = held;
    }
    hub->held_last = held;
    pthread_mutex_unlock(&hub->mutex);
}

static void
unlist_locked(struct ndi_held *held)
{
    struct ndi_hub *hub = held->chan->hub;

    if (held->prev != NULL) {
        held->prev->next = held->next;
    } else {
        hub->held_first = held->next;
    }
    if (held->next != NULL) {
        held->next->prev = held->prev;
    } else {
        hub->held_last = held->prev;
    }
    held->listed = false;
}

void
ndi_held_closed(void *ctx)
{
    struct ndi_held *held = ctx;
    struct ndi_hub *hub = held->chan->hub;
    enum ndi_held_state state;

    if (ours(held)) {
        pthread_mutex_lock(&hub->mutex);
        held->open = false;
        state = held->state;
        if (state != NDI_HELD_GOT) {
            held->state = NDI_HELD_OVER;
        }
        pthread_mutex_unlock(&hub->mutex);
        if (state == NDI_HELD_LOAN || state == NDI_HELD_ADOPTED) {
            (void)ndi_chan_free(held->chan, held->slot, NDS_FOREVER);
        } else if (state == NDI_HELD_TAKEN) {
            (void)ndi_chan_give_back(held->chan, held->slot, NDS_FOREVER);
        }
    }
    ndi_held_put(held);
}

struct ndi_held *
ndi_held_of(const nds_array *a, const struct ndi_hub *hub)
{
    struct ndi_held *held;

    if (a == NULL || a->slot == 0 || a->close_ctx == NULL) {
        return NULL;
    }
    held = a->close_ctx;
    return held->chan->hub == hub && ours(held) ? held : NULL;
}

/* The slot is acknowledged: it is free, or ours alone while still open. */
static int
acknowledge(struct ndi_held *held, enum ndi_held_state from)
{
    struct ndi_hub *hub = held->chan->hub;
    bool open, right;
    int rc;

    pthread_mutex_lock(&hub->mutex);
    right = held->state == from;
    open = held->open;
    if (right) {
        held->state = NDI_HELD_OVER; // who closes meanwhile leaves it to us
    }
    pthread_mutex_unlock(&hub->mutex);
    if (!right) {
        return ndi_fail(NDS_EINVAL, "release: the item is not one that was "
                        "taken");
    }
    if (!open) {
        return ndi_chan_free(held->chan, held->slot, NDS_FOREVER);
    }
    rc = ndi_chan_own(held->chan, held->slot, NDS_FOREVER);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&hub->mutex);
    open = held->open;
    if (open) {
        held->state = NDI_HELD_ADOPTED;
    }
    pthread_mutex_unlock(&hub->mutex);
    return open ? 0 : ndi_chan_free(held->chan, held->slot, NDS_FOREVER);
}

int
ndi_held_release(struct ndi_held *held, nds_array **item)
{
    struct ndi_hub *hub = held->chan->hub;
    bool open, right;
    int rc;

    pthread_mutex_lock(&hub->mutex);
    right = held->state == NDI_HELD_TAKEN;
    if (right) {
        held->refs++;
        held->state = NDI_HELD_OVER;
    }
    pthread_mutex_unlock(&hub->mutex);
    if (!right) {
        return ndi_fail(NDS_EINVAL, "release: the array was not taken from "
                        "this queue, or was released before");
    }
    // Mostly this was the only view: then one section frees the slot.
    nds_array_close(*item);
    *item = NULL;
    pthread_mutex_lock(&hub->mutex);
    open = held->open;
    held->state = open ? NDI_HELD_TAKEN : NDI_HELD_OVER;
    pthread_mutex_unlock(&hub->mutex);
    rc = open ? acknowledge(held, NDI_HELD_TAKEN)
              : ndi_chan_free(held->chan, held->slot, NDS_FOREVER);
    ndi_held_put(held);
    return rc;
}

int
ndi_held_done_oldest(struct ndi_chan *c)
{
    struct ndi_hub *hub = c->hub;
    struct ndi_held *held;
    int rc;

    pthread_mutex_lock(&hub->mutex);
    held = hub->held_first;
    if (held != NULL) {
        unlist_locked(held);
    }
    pthread_mutex_unlock(&hub->mutex);
    if (held == NULL) {
        return ndi_fail(NDS_EINVAL, "task_done() called too many times");
    }
    rc = acknowledge(held, NDI_HELD_GOT);
    ndi_held_put(held);
    return rc;
}

void
ndi_held_abandon(struct ndi_hub *hub)
{
    struct ndi_held *held;
    bool open;

    ndi_hub_enter_image(hub);
    for (;;) {
        pthread_mutex_lock(&hub->mutex);
        held = hub->held_first;
        open = false;
        if (held != NULL) {
            unlist_locked(held);
            open = held->open;
            held->state = open ? NDI_HELD_TAKEN : NDI_HELD_OVER;
        }
        pthread_mutex_unlock(&hub->mutex);
        if (held == NULL) {
            return;
        }
        if (!open) { // an open one goes back when its array closes
            (void)ndi_chan_give_back(held->chan, held->slot, NDS_FOREVER);
        }
        ndi_held_put(held);
    }
}
