/* SPDX-License-Identifier: MIT */
/* step_ops.c - what the operations' checks have in common */
#include "step.h"

#include <string.h>
#include <sync/word.h>

struct ndi_segment *
step_segment_of(const void *handle)
{
    return *(struct ndi_segment *const *)handle;
}

void
step_need_buried(struct ndi_party *p)
{
    uint64_t self;
    int rc;

    need(ndi_party_join(p, &self) == 0, "join: %s", nds_last_error()->message);
    rc = ndi_party_sweep(p);
    need(rc >= 0, "burial: %d %s", rc, nds_last_error()->message);
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t state = ndi_load_acq(&p->slots[i].state);

        need(state == NDI_PARTY_EMPTY || state == NDI_PARTY_LIVE,
             "participant %u is in state %u", i, state);
        need(state == NDI_PARTY_EMPTY ||
                 !ndi_party_is_dead(
                     p, ndi_owner_make(i, ndi_load_acq(&p->slots[i].gen))),
             "participant %u is dead and not buried", i);
    }
}

void
step_need_lock_sane(struct ndi_party *p, const struct ndi_lock *l, bool *dead)
{
    char text[64];

    ndi_lock_describe(p, l, text, sizeof text);
    *dead = strstr(text, ", which died") != NULL;
    need(*dead || strcmp(text, "free") == 0, "the lock is %s", text);
}

bool
step_need_mutex_usable(nds_mutex *mutex)
{
    struct ndi_segment *s = step_segment_of(mutex);
    const struct ndi_lock *l = &s->ctl->object.mutex;
    bool dead;
    int rc;

    step_need_lock_sane(&s->party, l, &dead);
    rc = nds_mutex_lock(mutex, NDS_SEC(5));
    need(rc == (dead ? NDS_EOWNERDEAD : 0), "lock: %d, dead holder: %d", rc,
         dead);
    need(nds_mutex_unlock(mutex) == 0, "unlock after that");
    need(nds_mutex_lock(mutex, 0) == 0, "the second lock");
    need(nds_mutex_unlock(mutex) == 0, "the second unlock");
    need(ndi_load_seq(&l->word) == 0, "the word is not 0");
    step_need_buried(&s->party);
    return dead;
}
