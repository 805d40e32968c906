/* SPDX-License-Identifier: MIT */
/*
 * step_ops_owned.c - semaphores whose permits belong to their holder
 *
 * Of three permits the driver holds one all the time. Whatever the victim did
 * and wherever it was killed, exactly the other two are free after it: none
 * is lost and none is there twice.
 */
#include "step.h"

#include <ndshare/sync.h>
#include <sync/word.h>

#define PERMITS 3
#define OTHERS 2 /* not the driver's */

static nds_sem *sem;

static struct ndi_party *
party(void)
{
    return &step_segment_of(sem)->party;
}

/* ---- in the driver ------------------------------------------------------ */

static void
make(void)
{
    must(nds_sem_new_owned(&sem, PERMITS));
    step_watch_segment(step_segment_of(sem));
    must(nds_sem_acquire(sem, NDS_SEC(5)));
}

static void
take(void)
{
    must(nds_sem_acquire(sem, NDS_SEC(5)));
}

static void
take_others(void)
{
    for (int i = 0; i < OTHERS; i++) {
        take();
    }
}

/* What the count forgot: it is 0, and two are free. */
static void
make_uncounted(void)
{
    make();
    take_others();
    must(nds_sem_release(sem, OTHERS));
}

static void
make_with_dead(void)
{
    make();
    step_other_dies(take_others);
}

/* The only entry that the victim can have is the dead one's. */
static void
make_full_with_dead(void)
{
    make();
    party()->count = 2;
    step_other_dies(take_others);
}

static void
make_held(void)
{
    make();
    step_other_lives(take_others);
}

static void
make_all_mine(void)
{
    make();
    take_others();
}

static void
give_one(void)
{
    must(nds_sem_release(sem, 1));
}

static void
over(void)
{
    step_other_end();
    nds_sem_close(sem);
    sem = NULL;
}

/* ---- in the victim ------------------------------------------------------ */

static void
join(void)
{
    uint64_t self;

    must(ndi_party_join(party(), &self));
}

static void
give(void)
{
    must(nds_sem_release(sem, OTHERS));
}

static void
bury(void)
{
    must(ndi_party_sweep(party()));
}

static void
close_it(void)
{
    nds_sem_close(sem);
}

/* ---- in the finisher ---------------------------------------------------- */

/* Twice: by what the kernel says of the dead, and with the dead buried. */
static void
need_free(unsigned permits)
{
    const struct ndi_semaphore *s = &step_segment_of(sem)->ctl->object.sem;

    for (int turn = 0; turn < 2; turn++) {
        unsigned n = nds_sem_value(sem), count = ndi_load_seq(&s->count);

        need(n == permits, "%u permits are free, not %u", n, permits);
        need(count <= permits, "%u counted, %u free", count, permits);
        for (unsigned i = 0; i < permits; i++) {
            need(nds_sem_acquire(sem, NDS_SEC(5)) == 0, "permit %u of %u", i,
                 permits);
        }
        need(nds_sem_acquire(sem, 0) == NDS_EAGAIN, "one permit too many");
        need(nds_sem_value(sem) == 0, "free though all are held");
        need(nds_sem_release(sem, permits + 1) == NDS_ENOTOWNER,
             "gave what it had not");
        need(permits == 0 || nds_sem_release(sem, permits) == 0, "give back");
        step_need_buried(party());
    }
}

static void
finish(const struct step_now *now)
{
    (void)now;
    need_free(OTHERS);
}

/* The driver gave one of his three, if he was asked to. */
static void
given_finish(const struct step_now *now)
{
    need_free(now->helped ? 1 : 0);
}

/* The other holder lives if nobody asked for its end. */
static void
held_finish(const struct step_now *now)
{
    need_free(now->helped ? OTHERS : 0);
}

#define OP(name, setup, prepare, operate, partner, finish)                    \
    {name, false, setup, prepare, operate, partner, finish, over, NULL, NULL}

const struct step_op step_ops_owned[] = {
    OP("sem.owned-acquire", make, join, take, NULL, finish),
    OP("sem.owned-acquire-first", make, NULL, take, NULL, finish),
    OP("sem.owned-recount", make_uncounted, join, take, NULL, finish),
    OP("sem.owned-acquire-wait", make_all_mine, join, take, give_one,
       given_finish),
    OP("sem.owned-release", make, take_others, give, NULL, finish),
    OP("sem.owned-close", make, take_others, close_it, NULL, finish),
    OP("sem.owned-inherit", make_with_dead, join, take_others, NULL, finish),
    OP("sem.owned-reuse", make_full_with_dead, NULL, take_others, NULL,
       finish),
    OP("sem.owned-bury", make_with_dead, join, bury, NULL, finish),
    OP("sem.owned-holder-dies", make_held, join, take, step_other_end,
       held_finish),
    {0},
};

/* ---- two victims -------------------------------------------------------- */

/* The second can only have the entry of the first one, who left it. */
static void
make_full(void)
{
    make();
    party()->count = 2;
}

static const struct step_op
    first_take = OP("acquire", make, join, take, NULL, finish),
    first_recount = OP("recount", make_uncounted, join, take, NULL, finish),
    first_give = OP("release", make, take_others, give, NULL, finish),
    first_leave = OP("close", make_full, take_others, close_it, NULL, finish);

const struct step_pair step_pairs_owned[] = {
    {OP("twice.owned-acquire", make, join, take_others, NULL, finish),
     &first_take, 9, NULL},
    {OP("twice.owned-recount", make_uncounted, join, take_others, NULL,
        finish), &first_recount, 9, NULL},
    {OP("twice.owned-release", make, join, take_others, NULL, finish),
     &first_give, 3, NULL},
    {OP("twice.owned-reuse", make_full, NULL, take_others, NULL, finish),
     &first_leave, 4, NULL},
    {{0}, NULL, 0, NULL},
};
