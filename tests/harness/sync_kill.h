/* SPDX-License-Identifier: MIT */
/*
 * sync_kill.h - a sync operation, killed at each of its kill points
 *
 * The world is made anew for every run. After the kill, `look` finishes the
 * same operation in this process, and then nothing of the dead may be left:
 * no entry, no count, no descriptor, no child.
 */
#ifndef NDS_SYNC_KILL_H
#define NDS_SYNC_KILL_H

#include <harness/sync_world.h>
#include <harness/walk.h>

#include <errno.h>

#define PROMPT NDS_SEC(5) /* slices are 50 ms; the machine may be busy */

struct kill_op {
    void (*prepare)(void); /* may be NULL */
    int (*act)(void *ctx);
    void (*look)(const char *point);
};

static inline void
op_setup(void *ctx)
{
    const struct kill_op *op = ctx;

    fresh_world();
    if (op->prepare != NULL) {
        op->prepare();
    }
}

static inline void
nothing_is_left(const char *point)
{
    uint64_t self;

    ck_assert_int_eq(ndi_party_join(&party, &self), 0);
    ck_assert_int_ge(ndi_party_sweep(&party), 0);
    ck_assert_msg(ndi_party_alive(&party) == 1, "at '%s'", point);
    for (uint32_t i = 0; i < PARTIES; i++) {
        const struct ndi_party_slot *slot = &w->slots[i];

        if (i != ndi_owner_index(self)) {
            ck_assert_msg(slot->state == NDI_PARTY_EMPTY &&
                              slot->permits == 0 && slot->readers == 0 &&
                              slot->arrivals == 0,
                          "entry %u at '%s'", i, point);
        }
    }
    ck_assert_msg(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
                  "a child is left at '%s'", point);
}

static inline void
op_check(void *ctx, const char *point)
{
    const struct kill_op *op = ctx;
    int64_t start = ndi_now_ns();

    op->look(point);
    ck_assert_msg(ndi_now_ns() - start < PROMPT, "slow at '%s'", point);
    nothing_is_left(point);
}

/* Walks it; at least so many kill points. */
static inline void
walk_op(struct kill_op op, int least)
{
    struct nds_walk walk = {op_setup, op.act, op_check, &op};
    int before = nds_open_descriptors();

    ck_assert_int_ge(nds_walk(&walk), least);
    ck_assert_int_eq(nds_open_descriptors(), before);
}

/* The lock can be had now, and says "owner died" exactly if the word named
 * somebody, who must be the one that was killed. */
static inline void
lock_by_word(struct ndi_lock *l, const char *point)
{
    bool named = (ndi_load_seq(&l->word) & NDI_OWNER_MASK) != 0;
    int rc = ndi_lock_acquire(&party, l, later());

    ck_assert_msg(rc == (named ? NDS_EOWNERDEAD : 0), "at '%s': %d", point,
                  rc);
    ck_assert_int_eq(ndi_lock_unlock(&party, l), 0);
    // Delivered once.
    ck_assert_int_eq(ndi_lock_acquire(&party, l, 0), 0);
    ck_assert_int_eq(ndi_lock_unlock(&party, l), 0);
}

#endif
