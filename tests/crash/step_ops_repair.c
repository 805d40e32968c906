/* SPDX-License-Identifier: MIT */
/*
 * step_ops_repair.c - killed while undoing what another death left
 *
 * Before each run a first process dies at the worst place we know: holding
 * the lock, with the caches dirty, an item taken, a loan open. The victim
 * repairs, and dies in it; the finisher must repair both.
 */
#include "step_chan.h"

#include <ndshare/sync.h>
#include <sync/word.h>

#define DEAD 50 /* the item of the first to die */

/* ---- a channel ---------------------------------------------------------- */

/* An item of its own in its lane, another one's taken, a loan, the lock. */
static void
die_in_channel(void)
{
    nds_array *taken = NULL, *loan = NULL;
    int64_t n = 150;

    step_put(DEAD);
    must(nds_queue_take(step_queue, &taken, NULL, NDS_SEC(5)));
    must(nds_queue_loan(step_queue, &loan, NDS_FLOAT64, 1, &n, NDS_SEC(5)));
    must(ndi_chan_lock(step_chan()));
}

static void
channel_with_dead(void)
{
    step_queue_make();
    step_other_dies(die_in_channel);
}

/* The only entry that the victim can have is the dead one's. */
static void
full_channel_with_dead(void)
{
    step_queue_make();
    step_chan()->hub->segment->party.count = 2;
    step_other_dies(die_in_channel);
}

static void
put_new(void)
{
    step_put(STEP_NEW);
}

static void
join(void)
{
    uint32_t me;

    must(ndi_chan_me(step_chan(), &me));
}

static void
rebuild(void)
{
    must(ndi_chan_lock(step_chan()));
    ndi_chan_unlock(step_chan());
}

static void
bury_all(void)
{
    must(ndi_party_sweep(&step_chan()->hub->segment->party));
}

/* ---- a mutex ------------------------------------------------------------ */

static nds_mutex *mutex;

static void
hold_mutex(void)
{
    must(nds_mutex_lock(mutex, NDS_SEC(5)));
}

static void
mutex_with_dead(void)
{
    must(nds_mutex_new(&mutex, NDS_MUTEX_PLAIN));
    step_watch_segment(step_segment_of(mutex));
    step_other_dies(hold_mutex);
}

static void
inherit(void)
{
    int rc = nds_mutex_lock(mutex, NDS_SEC(5));

    must(rc == NDS_EOWNERDEAD ? 0 : -1);
}

/* Whether the heir had the lock or not, and though burial frees no lock: the
 * next one must hear that a holder died. */
static void
heir_finish(const struct step_now *now)
{
    (void)now;
    need(step_need_mutex_usable(mutex),
         "the dead man's lock was given away in silence");
}

static void
mutex_bury(void)
{
    must(ndi_party_sweep(&step_segment_of(mutex)->party));
}

static void
mutex_over(void)
{
    nds_mutex_close(mutex);
    mutex = NULL;
}

/* ---- names -------------------------------------------------------------- */

#define KEPT "kept"

static void
leave_names(void)
{
    nds_array_options used = {.size = sizeof used,
                              .lifetime = NDS_WHILE_USED};
    nds_array_options share = {.size = sizeof share,
                               .reach = NDS_SHAREABLE};
    int64_t n = 150;
    nds_array *a = NULL;
    nds_queue *q = NULL;

    must(nds_array_create(&a, "gone", NDS_INT64, 1, &n, &used));
    must(nds_array_create(&a, KEPT, NDS_INT64, 1, &n, NULL));
    must(nds_array_lock(a, NDS_SEC(5)));
    must(nds_queue_new(&q, NULL));
    must(nds_array_new(&a, NDS_INT64, 1, &n, &share));
    must(nds_queue_put_move(q, &a, NULL, NDS_SEC(5)));
}

static void
dead_names(void)
{
    step_watch_maps();
    step_other_dies(leave_names);
}

static void
sweep(void)
{
    must(nds_sweep(false, NULL, NULL));
}

static void
sweep_finish(const struct step_now *now)
{
    nds_name_info info = {.size = sizeof info};
    nds_array *a = NULL;

    need(!now->ended || step_world_names() == 1, "%u names left by a sweep",
         step_world_names());
    need(nds_sweep(false, NULL, NULL) >= 0, "sweep");
    need(step_world_names() == 1, "%u names left", step_world_names());
    need(nds_name_info_get(KEPT, &info) == 0, "the one that stays is gone");
    need(info.users == 0, "%d users of a dead man's array", info.users);
    need(nds_array_attach(&a, KEPT, NDS_READWRITE, 0) == 0, "attach");
    need(nds_array_lock(a, NDS_SEC(5)) == NDS_EOWNERDEAD, "lock");
    need(nds_array_unlock(a) == 0, "unlock");
    nds_array_close(a);
}

static void
unlink_kept(void)
{
    (void)nds_array_unlink(KEPT);
}

static const struct step_case
    putting = {100, NDS_HEAP, 3, 1, 0, false, 8, false, DEAD, 0, false},
    mending = {100, NDS_HEAP, 3, 0, 0, false, 8, false, DEAD, 0, false},
    moving = {150, NDS_SHAREABLE, 3, 0, 0, false, 8, false, DEAD, 0, false};

#define CHAN(name, setup, prepare, operate, arg)                              \
    {name, false, setup, prepare, operate, NULL, step_queue_finish,           \
     step_queue_over, &(arg), NULL}

const struct step_op step_ops_repair[] = {
    CHAN("repair.put", channel_with_dead, join, put_new, putting),
    CHAN("repair.rebuild", channel_with_dead, join, rebuild, mending),
    CHAN("repair.bury", channel_with_dead, join, bury_all, mending),
    CHAN("repair.bury-moved", channel_with_dead, join, bury_all, moving),
    CHAN("repair.join", full_channel_with_dead, NULL, join, mending),
    {"repair.inherit", false, mutex_with_dead, NULL, inherit, NULL,
     heir_finish, mutex_over, NULL, NULL},
    {"repair.bury-mutex", false, mutex_with_dead, NULL, mutex_bury, NULL,
     heir_finish, mutex_over, NULL, NULL},
    {"sweep", false, dead_names, NULL, sweep, NULL, sweep_finish,
     unlink_kept, NULL, NULL},
    {0},
};
