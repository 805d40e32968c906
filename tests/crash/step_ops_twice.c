/* SPDX-License-Identifier: MIT */
/*
 * step_ops_twice.c - killed while undoing what another's death left, anywhere
 *
 * In step_ops_repair.c the first process dies at one place, the worst we know.
 * Here it is killed by steps as well: in worlds spread over its operation. Who
 * comes next buries, inherits, repairs or takes its entry, and is killed in
 * every world of that; the third finds what the words said when the first
 * died, neither more nor less.
 */
#include "step_chan.h"

#include <ndshare/sync.h>
#include <string.h>
#include <sync/word.h>

#define FIRSTS 50 /* the item of the first to die */

/* ---- a channel ---------------------------------------------------------- */

static nds_array *held;

static nds_tag
tag_of(int number)
{
    nds_tag tag = {.nbytes = sizeof number};

    memcpy(tag.bytes, &number, sizeof number);
    return tag;
}

/* Entries enough, and few that a burial has to look at. */
static void
make(void)
{
    step_queue_make();
    step_chan()->hub->segment->party.count = 6;
}

/* The victim can only have the entry of the first one, who left it. */
static void
make_full(void)
{
    step_queue_make();
    step_chan()->hub->segment->party.count = 2;
}

static void
join(void)
{
    uint32_t me;

    must(ndi_chan_me(step_chan(), &me));
}

static void
join_and_fill(void)
{
    const struct step_case *k = step_case();

    join();
    held = step_item(k->count, FIRSTS, k->reach);
}

static void
put_first(void)
{
    nds_tag tag = tag_of(FIRSTS);

    if (step_case()->reach == NDS_SHAREABLE) {
        must(nds_queue_put_move(step_queue, &held, &tag, NDS_SEC(5)));
    } else {
        must(nds_queue_put(step_queue, held, &tag, NDS_SEC(5)));
    }
}

static void
get_first(void)
{
    must(nds_queue_get(step_queue, &held, NULL, NDS_SEC(5)));
    nds_array_close(held);
}

static void
take_and_release(void)
{
    must(nds_queue_take(step_queue, &held, NULL, NDS_SEC(5)));
    must(nds_queue_release(step_queue, &held));
}

static void
put_second(void)
{
    step_put(STEP_NEW);
}

static void
bury(void)
{
    must(ndi_party_sweep(&step_chan()->hub->segment->party));
}

/* ---- a mutex ------------------------------------------------------------ */

static nds_mutex *mutex;

static void
mutex_make(void)
{
    must(nds_mutex_new(&mutex, NDS_MUTEX_PLAIN));
    step_watch_segment(step_segment_of(mutex));
}

static void
mutex_join(void)
{
    uint64_t self;

    must(ndi_party_join(&step_segment_of(mutex)->party, &self));
}

static void
mutex_cycle(void)
{
    int rc = nds_mutex_lock(mutex, NDS_SEC(5));

    must(rc == NDS_EOWNERDEAD ? 0 : rc);
    must(nds_mutex_unlock(mutex));
}

static void
mutex_finish(const struct step_now *now)
{
    bool dead = step_need_mutex_usable(mutex);

    need(!now->ended || !dead, "it had unlocked");
}

static void
mutex_over(void)
{
    nds_mutex_close(mutex);
    mutex = NULL;
}

/* ---- the pairs ---------------------------------------------------------- */

static const struct step_case
    adding = {.count = 150, .old = 3, .adds = 1, .max_items = 8},
    mending = {.count = 150, .old = 3, .max_items = 8},
    moving = {.count = 150, .reach = NDS_SHAREABLE, .old = 3, .max_items = 8};

#define FIRST(name, setup, prepare, operate, arg)                             \
    {name, false, setup, prepare, operate, NULL, step_queue_finish,           \
     step_queue_over, &(arg), NULL}

static const struct step_op
    put_of_adding = FIRST("put", make, join_and_fill, put_first,
                          adding),
    put_of_mending = FIRST("put", make, join_and_fill, put_first,
                           mending),
    put_of_moving = FIRST("put-moved", make, join_and_fill,
                          put_first, moving),
    put_when_full = FIRST("put", make_full, join_and_fill, put_first, mending),
    get_of_mending = FIRST("get", make, join, get_first, mending),
    take_of_adding = FIRST("take", make, join, take_and_release,
                           adding),
    cycle = {"mutex", false, mutex_make, mutex_join, mutex_cycle, NULL,
             mutex_finish, mutex_over, NULL, NULL};

#define CHAN(name, setup, prepare, operate, arg, first, samples)              \
    {{name, false, setup, prepare, operate, NULL, step_queue_finish,          \
      step_queue_over, &(arg), NULL},                                         \
     &(first), samples, step_queue_between}

const struct step_pair step_pairs_repair[] = {
    CHAN("twice.put-bury", make, join, bury, mending,
         put_of_mending, 6),
    CHAN("twice.put-put", make, join, put_second, adding,
         put_of_adding, 4),
    CHAN("twice.put-join", make_full, NULL, join, mending, put_when_full, 4),
    CHAN("twice.put-moved-bury", make, join, bury, moving,
         put_of_moving, 4),
    CHAN("twice.get-bury", make, join, bury, mending,
         get_of_mending, 4),
    CHAN("twice.take-put", make, join, put_second, adding,
         take_of_adding, 4),
    {{"twice.mutex-mutex", false, mutex_make, mutex_join, mutex_cycle, NULL,
      mutex_finish, mutex_over, NULL, NULL}, &cycle, 8, NULL},
    {{0}, NULL, 0, NULL},
};
