/* SPDX-License-Identifier: MIT */
/*
 * step_ops_item.c - queues: what producers and consumers do
 *
 * The five hottest of the library are here and in step_ops_lock.c; they are
 * walked with the participant joined and its lane taken.
 */
#include "step_chan.h"

#include <string.h>

static nds_array *held;
static nds_array *many[3];

static nds_tag
new_tag(int number)
{
    nds_tag tag = {.nbytes = sizeof number};

    memcpy(tag.bytes, &number, sizeof number);
    return tag;
}

/* A participant with a lane, and nothing in it. */
static void
join(void)
{
    nds_array *loan = NULL;
    int64_t one = 1;

    must(nds_queue_loan(step_queue, &loan, NDS_FLOAT64, 1, &one, NDS_SEC(5)));
    nds_queue_discard(step_queue, &loan);
}

static void
put(void)
{
    const struct step_case *k = step_case();
    nds_tag tag = new_tag(STEP_NEW);

    if (k->reach == NDS_SHAREABLE) {
        must(nds_queue_put_move(step_queue, &held, &tag, NDS_SEC(5)));
    } else {
        must(nds_queue_put(step_queue, held, &tag, NDS_SEC(5)));
    }
}

static void
fill(void)
{
    const struct step_case *k = step_case();

    held = step_item(k->count, STEP_NEW, k->reach);
}

static void
join_and_fill(void)
{
    join();
    fill();
}

static void
fill_and_freeze(void)
{
    join();
    held = step_item(step_case()->count, STEP_NEW, NDS_SHAREABLE);
    must(nds_array_freeze(held));
}

static void
put_frozen(void)
{
    nds_tag tag = new_tag(STEP_NEW);

    must(nds_queue_put(step_queue, held, &tag, NDS_SEC(5)));
}

static void
join_and_fill_many(void)
{
    join();
    for (int i = 0; i < 3; i++) {
        many[i] = step_item(step_case()->count, STEP_NEW + i, NDS_HEAP);
    }
}

static void
put_many(void)
{
    nds_tag tags[3];
    int done = 0;

    for (int i = 0; i < 3; i++) {
        tags[i] = new_tag(STEP_NEW + i);
    }
    must(nds_queue_put_many(step_queue, 3, many, tags, NDS_SEC(5), &done));
}

/* One by one: the second takes loans ahead, the third is one of them. */
static void
put_each(void)
{
    for (int i = 0; i < 3; i++) {
        nds_tag tag = new_tag(STEP_NEW + i);

        must(nds_queue_put(step_queue, many[i], &tag, NDS_SEC(5)));
    }
}

/* The third is of another size: the loans ahead go back. */
static void
join_and_fill_sizes(void)
{
    join_and_fill_many();
    nds_array_close(many[2]);
    many[2] = step_item(step_case()->count / 2, STEP_NEW + 2, NDS_HEAP);
}

static void
loan(void)
{
    must(nds_queue_loan(step_queue, &held, NDS_FLOAT64, 1,
                        &step_case()->count, NDS_SEC(5)));
}

static void
loan_and_fill(void)
{
    nds_array *a = step_item(step_case()->count, STEP_NEW, NDS_HEAP);

    join();
    loan();
    memcpy(nds_array_data(held), nds_array_data(a),
           (size_t)step_case()->count * sizeof(double));
    nds_array_close(a);
}

static void
publish(void)
{
    nds_tag tag = new_tag(STEP_NEW);

    must(nds_queue_publish(step_queue, &held, &tag));
}

static void
discard(void)
{
    nds_queue_discard(step_queue, &held);
}

static void
take(void)
{
    must(nds_queue_take(step_queue, &held, NULL, NDS_SEC(5)));
}

static void
join_and_take(void)
{
    join();
    take();
}

/* It knows its lane by a first get, so that what it takes is picked. */
static void
join_and_know(void)
{
    join();
    take();
    must(nds_queue_release(step_queue, &held));
}

static void
join_and_pick(void)
{
    join_and_know();
    take();
}

static void
release(void)
{
    must(nds_queue_release(step_queue, &held));
}

static void
give_back(void)
{
    nds_array_close(held);
}

static void
get(void)
{
    must(nds_queue_get(step_queue, &held, NULL, NDS_SEC(5)));
    nds_array_close(held);
}

static void
get_open(void)
{
    must(nds_queue_get(step_queue, &held, NULL, NDS_SEC(5)));
}

static void
join_and_get(void)
{
    join();
    get();
}

static void
task_done(void)
{
    must(nds_queue_task_done(step_queue));
}

static void
shut_down(void)
{
    must(nds_queue_shutdown(step_queue));
}

static void
leave(void)
{
    nds_queue_close(step_queue);
}

/* Has an item in its lane, and is the lane's owner, when it leaves. */
static void
join_and_put(void)
{
    join_and_fill();
    put();
}

static void
put_by_driver(void)
{
    step_put(1);
}

static void
get_one(void)
{
    nds_array *a = NULL;

    must(nds_queue_get(step_queue, &a, NULL, NDS_SEC(5)));
    nds_array_close(a);
}

/* The driver put item 1 only if it was asked to, or took it. */
static void
get_wait_finish(const struct step_now *now)
{
    if (now->helped) {
        step_queue_finish(now);
    } else {
        need(nds_queue_size(step_queue) == 0, "an item from nowhere");
    }
}

/* Full again if the victim got its place: one item makes room for ours. */
static void
put_wait_finish(const struct step_now *now)
{
    get_one();
    step_queue_finish(now);
}

/* Nobody goes on: the channel is given up with items in flight. */
static void
abandon(const struct step_now *now)
{
    (void)now;
}

/* The second is picked, given up and collected. */
static void
get_each(void)
{
    get();
    get();
}

/* The first in a section, the others picked; their slots wait for one that
 * collects them, or the second of the two collects. */
static void
get_three(void)
{
    get();
    get();
    get();
}

/* Full, if two that were picked and given up count still. */
static void
make_full_of_given(void)
{
    step_queue_make();
    get_one();
    get_one();
    get_one();
    step_put(step_case()->extra);
}

static void
put_try(void)
{
    nds_tag tag = new_tag(STEP_NEW);

    must(nds_queue_put(step_queue, held, &tag, 0));
}

#define SMALL 100 /* 800 bytes: in the slot */
#define LARGE 150 /* 1200 bytes: in the arena, or a file */

static const struct step_case
    small_put = {SMALL, NDS_HEAP, 2, 1, 0, false, 8, false, 0, 0, false},
    large_put = {LARGE, NDS_HEAP, 2, 1, 0, false, 8, false, 0, 0, false},
    moved_put = {LARGE, NDS_SHAREABLE, 2, 1, 0, false, 8, false, 0, 0, false},
    many_put = {SMALL, NDS_HEAP, 2, 3, 0, false, 8, false, 0, 0, false},
    crowded_put = {SMALL, NDS_HEAP, 2, 3, 0, false, 6, false, 0, 0, false},
    ahead_put = {SMALL, NDS_HEAP, 2, 3, 0, false, 32, false, 0, 0, false},
    no_change = {LARGE, NDS_HEAP, 2, 0, 0, false, 8, false, 0, 0, false},
    small_get = {SMALL, NDS_HEAP, 2, 0, 1, false, 8, false, 0, 0, false},
    small_gets = {SMALL, NDS_HEAP, 3, 0, 2, false, 8, false, 0, 0, false},
    large_get = {LARGE, NDS_HEAP, 2, 0, 1, false, 8, false, 0, 0, false},
    moved_get = {LARGE, NDS_SHAREABLE, 2, 0, 1, false, 8, false, 0, 0, false},
    moved_get_kept = {LARGE, NDS_SHAREABLE, 2, 0, 0, false, 8, false, 0, 0,
                      false},
    kept_ack = {LARGE, NDS_HEAP, 2, 0, 0, true, 8, false, 0, 0, false},
    small_ack = {SMALL, NDS_HEAP, 2, 0, 1, true, 8, false, 0, 0, false},
    large_ack = {LARGE, NDS_HEAP, 2, 0, 1, true, 8, false, 0, 0, false},
    moved_ack = {LARGE, NDS_SHAREABLE, 2, 0, 1, true, 8, false, 0, 0, false},
    closing = {SMALL, NDS_HEAP, 2, 0, 0, false, 8, true, 0, 0, false},
    empty_get = {SMALL, NDS_HEAP, 0, 0, 1, false, 8, false, 0, 0, false},
    full_put = {SMALL, NDS_HEAP, 2, 1, 2, false, 2, false, 0, 0, false};

/* By policy and by list; designated, for they differ in one thing. */
static const struct step_case
    dropping = {.count = SMALL, .old = 2, .takes = 1, .max_items = 8,
                .policy = NDS_DROP},
    parking = {.count = SMALL, .old = 2, .takes = 1, .max_items = 8,
               .policy = NDS_PARK},
    list_put = {.count = SMALL, .old = 2, .adds = 1, .max_items = 8,
                .laneless = true},
    list_take = {.count = SMALL, .old = 2, .max_items = 8, .laneless = true},
    picks = {.count = SMALL, .old = 4, .takes = 3, .max_items = 128},
    picked_take = {.count = SMALL, .old = 4, .takes = 1, .max_items = 128},
    picked_release = {.count = SMALL, .old = 4, .takes = 2,
                      .max_items = 128},
    collects = {.count = SMALL, .old = 4, .takes = 3, .max_items = 64},
    searches = {.count = SMALL, .old = 96, .takes = 3, .adds = 1,
                .max_items = 96, .extra = 97};

#define OP(name, hot, prepare, operate, arg)                                  \
    {name, hot, step_queue_make, prepare, operate, NULL, step_queue_finish,   \
     step_queue_over, &(arg), NULL}

const struct step_op step_ops_item[] = {
    OP("queue.loan", false, join, loan, no_change),
    OP("queue.publish", true, loan_and_fill, publish, large_put),
    OP("queue.discard", false, loan_and_fill, discard, no_change),
    OP("queue.put-inline", false, join_and_fill, put, small_put),
    OP("queue.put-arena", false, join_and_fill, put, large_put),
    OP("queue.put-moved", false, join_and_fill, put, moved_put),
    OP("queue.put-frozen", false, fill_and_freeze, put_frozen, large_put),
    OP("queue.put-first", false, fill, put, small_put),
    OP("queue.put-many", false, join_and_fill_many, put_many, many_put),
    OP("queue.put-ahead", false, join_and_fill_many, put_each, ahead_put),
    OP("queue.put-sizes", false, join_and_fill_sizes, put_each, ahead_put),
    OP("queue.put-crowded", false, join_and_fill_many, put_each, crowded_put),
    {"queue.put-wait", false, step_queue_make, fill, put, get_one,
     put_wait_finish, step_queue_over, &full_put, NULL},
    {"queue.put-abandoned", false, step_queue_make, join_and_fill, put, NULL,
     abandon, step_queue_over, &moved_put, NULL},
    OP("queue.take", true, join, take, no_change),
    OP("queue.take-moved", false, join, take, moved_get_kept),
    OP("queue.take-drop", false, join, take, dropping),
    OP("queue.take-park", false, join, take, parking),
    OP("queue.publish-list", false, loan_and_fill, publish, list_put),
    OP("queue.take-list", false, join, take, list_take),
    OP("queue.take-close-list", false, join_and_take, give_back, list_take),
    OP("queue.release", true, join_and_take, release, large_get),
    OP("queue.release-moved", false, join_and_take, release, moved_get),
    OP("queue.take-picked", false, join_and_know, take, picked_take),
    OP("queue.release-picked", false, join_and_pick, release,
       picked_release),
    OP("queue.take-picked-close", false, join_and_pick, give_back,
       picked_take),
    OP("queue.take-close", false, join_and_take, give_back, no_change),
    OP("queue.get-inline", false, join, get, small_get),
    OP("queue.get-given-up", false, join, get_each, small_gets),
    OP("queue.get-picked", false, join, get_three, picks),
    OP("queue.get-collects", false, join, get_three, collects),
    {"queue.put-search", false, make_full_of_given, join_and_fill, put_try,
     NULL, step_queue_finish, step_queue_over, &searches, NULL},
    OP("queue.get-arena", false, join, get, large_get),
    OP("queue.get-arena-open", false, join, get_open, large_get),
    OP("queue.get-moved", false, join, get, moved_get),
    {"queue.get-wait", false, step_queue_make, join, get, put_by_driver,
     get_wait_finish, step_queue_over, &empty_get, NULL},
    OP("queue.get-ack", false, join, get, kept_ack),
    OP("queue.task-done-inline", false, join_and_get, task_done, small_ack),
    OP("queue.task-done-arena", false, join_and_get, task_done, large_ack),
    OP("queue.task-done-moved", false, join_and_get, task_done, moved_ack),
    OP("queue.shutdown", false, join, shut_down, closing),
    OP("queue.close", false, join_and_put, leave, small_put),
    {0},
};
