/* SPDX-License-Identifier: MIT */
/*
 * taker.c - does anybody live who takes from this queue?
 *
 * Each participant's line of counters says in which generation it last asked
 * for an item; 0: never. A record whose generation is no longer that of a live
 * participant is a consumer that died. Who leaves in an orderly way clears its
 * record, and a new consumer clears those of the dead: so "consumers died and
 * none is left" means just that, not "nobody has come yet" nor "all went home".
 */
#include <chan/chan_impl.h>

#include <os/os.h>
#include <sync/word.h>

#define LOOK_NS 10000000 /* how long nobody asks again */

static bool
is_dead(const struct ndi_chan *c, uint32_t index, uint32_t gen)
{
    return ndi_party_is_dead(&c->hub->segment->party,
                             ndi_owner_make(index, gen));
}

void
ndi_taker_mark(struct ndi_chan *c, uint32_t me)
{
    uint64_t self = ndi_party_self(&c->hub->segment->party);
    uint32_t gen = ndi_owner_gen(self);

    struct ndi_counters *mine = &c->counters[me - 1];

    if (NDI_LIKELY(ndi_load_rlx(&mine->taker_gen) == gen)) {
        return;
    }
    // What was owed under this index before us is not ours.
    ndi_store_rlx(&mine->owed_before,
                  ndi_load_rlx(&mine->left) - ndi_load_rlx(&mine->done));
    ndi_store_rel(&mine->owed_gen, gen);
    ndi_store_rel(&mine->taker_gen, gen);
    NDI_KILL_POINT("taker.marked");
    for (uint32_t i = 0; i < c->hub->party_count; i++) {
        uint32_t g = ndi_load_rlx(&c->counters[i].taker_gen);

        if (g != 0 && i != me - 1 && is_dead(c, i, g)) {
            ndi_store_rlx(&c->counters[i].taker_gen, 0);
        }
    }
}

void
ndi_taker_forget(struct ndi_chan *c, uint32_t index)
{
    ndi_store_rlx(&c->counters[index].taker_gen, 0);
}

void
ndi_takers_count(const struct ndi_chan *c, uint32_t *live, uint32_t *dead)
{
    *live = *dead = 0;
    for (uint32_t i = 0; i < c->hub->party_count; i++) {
        uint32_t g = ndi_load_acq(&c->counters[i].taker_gen);

        if (g != 0) {
            ++*(is_dead(c, i, g) ? dead : live);
        }
    }
}

bool
ndi_takers_gone(struct ndi_chan *c)
{
    int64_t now = ndi_now_ns();
    uint32_t live, dead;

    // "No" may be old; "gone" is always looked at anew.
    if (now - ndi_load_rlx(&c->alive_ns) < LOOK_NS) {
        return false;
    }
    ndi_takers_count(c, &live, &dead);
    if (live == 0 && dead > 0) {
        return true;
    }
    ndi_store_rlx(&c->alive_ns, now);
    return false;
}
