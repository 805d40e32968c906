/* SPDX-License-Identifier: MIT */
/*
 * copy.c - payloads into the arena
 *
 * To wake a sleeper takes as long as to copy some MiB. So it is done before the
 * last of them: who is woken finds nothing yet, spins, and is there when the
 * item is.
 */
#include <chan/chan_impl.h>

#include <os/os.h>
#include <sync/word.h>

#define LEAST (UINT64_C(4) << 20)
#define LAST (UINT64_C(4) << 20)
#define WAKE_NS 40000 /* of what a wake-up takes; a spin after it lasts 50000 */

void
ndi_chan_copy(struct ndi_chan *c, void *to, const void *from, uint64_t nbytes)
{
    uint64_t last = nbytes / 2 < LAST ? nbytes / 2 : LAST;
    uint64_t head = nbytes - last, rest;
    const char *f = from;
    char *t = to;
    int64_t start;

    if (nbytes < LEAST || ndi_load_rlx(&c->h->items.asleep) == 0) {
        ndi_copy(t, f, nbytes);
        return;
    }
    start = ndi_now_ns();
    ndi_copy(t, f, head);
    // As much as is copied while somebody wakes.
    rest = head * WAKE_NS / (uint64_t)(ndi_now_ns() - start + 1);
    rest = rest < last ? rest : last;
    ndi_copy(t + head, f + head, last - rest);
    NDI_KILL_POINT("put.announced");
    ndi_event_signal(&c->h->items, 1);
    ndi_copy(t + nbytes - rest, f + nbytes - rest, rest);
}
