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
#include <base/spare.h>
#include <os/os.h>
#include <sync/word.h>

#define OPEN 0x100U /* beside the state: an array views the memory */
#define STATE(status) ((enum ndi_held_state)((status) & 0xff))

int
ndi_held_new(struct ndi_held **out, struct ndi_chan *c)
{
    struct ndi_held *held = ndi_spare_new();

    *out = held;
    if (held == NULL) {
        return ndi_fail_nomem(sizeof *held, "an item's record");
    }
    *held = (struct ndi_held){.refs = 1, .status = NDI_HELD_OVER, .chan = c,
                              .epoch = ndi_fork_epoch()};
    ndi_hub_get(c->hub);
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

    if (held == NULL ||
        (ndi_load_acq(&held->refs) != 1 && ndi_own_add(&held->refs, UINT32_MAX) != 1)) {
        return;
    }
    hub = held->chan->hub;
    ndi_spare_free(held);
    ndi_hub_put(hub);
}

void
ndi_held_begin(struct ndi_held *held, enum ndi_held_state state, bool open)
{
    ndi_store_rel(&held->status, state | (open ? OPEN : 0));
}

bool
ndi_held_pass(struct ndi_held *held, enum ndi_held_state from,
              enum ndi_held_state to, bool *open)
{
    uint32_t was = ndi_load_acq(&held->status);

    do {
        if (STATE(was) != from) {
            return false;
        }
    } while (!ndi_own_cas(&held->status, &was, (was & OPEN) | to));
    *open = (was & OPEN) != 0;
    return true;
}

void
ndi_held_list(struct ndi_held *held)
{
    struct ndi_hub *hub = held->chan->hub;

    pthread_mutex_lock(&hub->mutex);
    ndi_own_add(&held->refs, 1);
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
    uint32_t was = ndi_load_acq(&held->status);

    if (ours(held)) {
        while (!ndi_own_cas(&held->status, &was,
                            STATE(was) == NDI_HELD_GOT ? NDI_HELD_GOT
                                                       : NDI_HELD_OVER)) {
        }
        ndi_hub_enter_image(held->chan->hub);
        if (STATE(was) == NDI_HELD_LOAN || STATE(was) == NDI_HELD_ADOPTED) {
            (void)ndi_chan_free(held->chan, held->slot, NDS_FOREVER);
        } else if (STATE(was) == NDI_HELD_TAKEN) {
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

/* What was taken or got leaves, and nobody looks at its memory. */
static int
let_go(struct ndi_held *held)
{
    struct ndi_chan *c = held->chan;

    return ndi_give_up(c, held->slot, held->word)
               ? 0 : ndi_chan_free(c, held->slot, NDS_FOREVER);
}

/* The slot is acknowledged: it is free, or ours alone while still open. Who
 * closes meanwhile leaves it to us. */
static int
acknowledge(struct ndi_held *held, enum ndi_held_state from)
{
    bool open;
    uint32_t was;
    int rc;

    if (!ndi_held_pass(held, from, NDI_HELD_OVER, &open)) {
        return ndi_fail(NDS_EINVAL, "release: the item is not one that was "
                        "taken");
    }
    if (!open) {
        return let_go(held);
    }
    rc = ndi_chan_own(held->chan, held->slot, NDS_FOREVER);
    if (rc < 0) {
        return rc;
    }
    was = NDI_HELD_OVER | OPEN;
    return ndi_own_cas(&held->status, &was, NDI_HELD_ADOPTED | OPEN)
               ? 0 : ndi_chan_free(held->chan, held->slot, NDS_FOREVER);
}

int
ndi_held_release(struct ndi_held *held, nds_array **item)
{
    uint32_t was;
    bool open;
    int rc;

    if (!ndi_held_pass(held, NDI_HELD_TAKEN, NDI_HELD_OVER, &open)) {
        return ndi_fail(NDS_EINVAL, "release: the array was not taken from "
                        "this queue, or was released before");
    }
    ndi_own_add(&held->refs, 1);
    // Mostly this was the only view: then the slot is free.
    nds_array_close(*item);
    *item = NULL;
    was = NDI_HELD_OVER | OPEN;
    rc = ndi_own_cas(&held->status, &was, NDI_HELD_TAKEN | OPEN)
             ? acknowledge(held, NDI_HELD_TAKEN) : let_go(held);
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
    uint32_t was;
    bool open;

    ndi_hub_enter_image(hub);
    for (;;) {
        pthread_mutex_lock(&hub->mutex);
        held = hub->held_first;
        if (held != NULL) {
            unlist_locked(held);
        }
        pthread_mutex_unlock(&hub->mutex);
        if (held == NULL) {
            return;
        }
        // An open one goes back when its array closes.
        was = NDI_HELD_GOT | OPEN;
        if (!ndi_own_cas(&held->status, &was, NDI_HELD_TAKEN | OPEN) &&
            ndi_held_pass(held, NDI_HELD_GOT, NDI_HELD_OVER, &open)) {
            (void)ndi_chan_give_back(held->chan, held->slot, NDS_FOREVER);
        }
        ndi_held_put(held);
    }
}
