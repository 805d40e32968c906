/* SPDX-License-Identifier: MIT */
/*
 * step_ops_consumer.c - the producer is killed, and its consumer sleeps
 *
 * What was READY when the producer died comes to the sleeper, though nobody
 * else buries the dead or wakes it; what was not, never comes, and the next
 * producer's item does. At a pipe whose only sender died, end of file follows.
 */
#include "step_chan.h"

#include <string.h>
#include <sync/word.h>

static nds_array *item;

static nds_tag
tag_of(int number)
{
    nds_tag tag = {.nbytes = sizeof number};

    memcpy(tag.bytes, &number, sizeof number);
    return tag;
}

/* In the sleeper: the number of an item that is whole, or NDS_E.... */
static int
number_of(int rc, nds_array *a, const nds_tag *tag)
{
    const double *d;
    int number = 0;

    if (rc < 0) {
        return rc;
    }
    memcpy(&number, tag->bytes, sizeof number);
    d = nds_array_data(a);
    for (int64_t i = 0; i < nds_array_view(a)->shape[0]; i++) {
        must(d[i] == number + (double)i / 1024 ? 0 : -1);
    }
    nds_array_close(a);
    return number;
}

/* What the words say right after the kill. */
static bool
is_ready(const struct ndi_chan *c)
{
    uint32_t top = ndi_load_acq(&c->h->top);

    for (uint32_t i = 0; i < top && i < c->nslots; i++) {
        if (ndi_word_state(ndi_load_acq(&ndi_slot_at(c, i)->word)) ==
            NDI_READY) {
            return true;
        }
    }
    return false;
}

/* By need: nothing is left of any item. */
static void
need_nothing(struct ndi_chan *c)
{
    step_need_buried(&c->hub->segment->party);
    need(ndi_chan_size(c) == 0, "%d items are left", (int)ndi_chan_size(c));
    need(ndi_chan_valid(c) == 0, "words and caches: %s",
         nds_last_error()->message);
    need(ndi_arena_room(&c->arena) == c->arena.nbytes, "the arena leaks");
}

/* ---- a queue ------------------------------------------------------------ */

static int
queue_sleep(void)
{
    nds_array *a = NULL;
    nds_tag tag;
    int rc = nds_queue_get(step_queue, &a, &tag, STEP_ASLEEP_NS);

    return number_of(rc, a, &tag);
}

static void
queue_with_sleeper(void)
{
    step_queue_make();
    step_other_sleeps(queue_sleep,
                      (const void *)&step_chan()->h->items.futex);
}

static void
queue_fill(void)
{
    uint32_t me;

    must(ndi_chan_me(step_chan(), &me));
    item = step_item(step_case()->count, STEP_NEW, step_case()->reach);
}

static void
queue_put(void)
{
    nds_tag tag = tag_of(STEP_NEW);

    if (step_case()->reach == NDS_SHAREABLE) {
        must(nds_queue_put_move(step_queue, &item, &tag, NDS_SEC(5)));
    } else {
        must(nds_queue_put(step_queue, item, &tag, NDS_SEC(5)));
    }
}

static void
queue_finish(const struct step_now *now)
{
    bool ready = is_ready(step_chan());
    int rc;

    need(ready || !now->ended, "it had put the item");
    if (!ready) {
        step_put(STEP_NEXT);
    }
    rc = step_other_verdict();
    need(rc == (ready ? STEP_NEW : STEP_NEXT), "the sleeper: %d, ready: %d",
         rc, ready);
    need_nothing(step_chan());
}

static void
queue_over(void)
{
    step_other_end();
    step_queue_over();
}

/* ---- a pipe ------------------------------------------------------------- */

static nds_pipe *reader, *writer;

static struct ndi_chan *
pipe_chan(void)
{
    return &(*(struct ndi_hub **)reader)->chan[0];
}

/* Receives to the end: the item, or 0 if there was none. */
static int
pipe_sleep(void)
{
    nds_array *a = NULL;
    nds_tag tag;
    int rc, number;

    nds_pipe_close(writer);
    rc = nds_pipe_recv(reader, &a, &tag, STEP_ASLEEP_NS);
    if (rc == NDS_EEOF) {
        return 0;
    }
    number = number_of(rc, a, &tag);
    rc = nds_pipe_recv(reader, &a, &tag, STEP_ASLEEP_NS);
    return rc == NDS_EEOF ? number : rc < 0 ? rc : -1;
}

static void
pipe_with_sleeper(void)
{
    nds_pipe_options opts = {.size = sizeof opts, .max_items = 8,
                             .max_bytes = 1 << 20};

    must(nds_pipe_new(&reader, &writer, &opts));
    step_watch_segment(pipe_chan()->hub->segment);
    step_watch(pipe_chan()->hub->h, 128);
    step_watch_chan(pipe_chan());
    step_other_sleeps(pipe_sleep,
                      (const void *)&pipe_chan()->h->items.futex);
}

static void
pipe_fill(void)
{
    item = step_item(step_case()->count, STEP_NEW, NDS_HEAP);
}

/* The victim alone can send. */
static void
pipe_drop_writer(void)
{
    nds_pipe_close(writer);
    writer = NULL;
}

static void
pipe_send_and_close(void)
{
    nds_tag tag = tag_of(STEP_NEW);

    must(nds_pipe_send(writer, item, &tag, NDS_SEC(5)));
    nds_pipe_close(writer);
}

static void
pipe_finish(const struct step_now *now)
{
    bool ready = is_ready(pipe_chan());
    int rc = step_other_verdict();

    need(ready || !now->ended, "it had sent the item");
    need(rc == (ready ? STEP_NEW : 0), "the sleeper: %d, ready: %d", rc,
         ready);
    need_nothing(pipe_chan());
}

static void
pipe_over(void)
{
    step_other_end();
    nds_pipe_close(reader);
    nds_pipe_close(writer);
    reader = writer = NULL;
}

static const struct step_case
    by_value = {.count = 150, .adds = 1, .max_items = 8},
    in_slot = {.count = 100, .adds = 1, .max_items = 8},
    moved = {.count = 150, .reach = NDS_SHAREABLE, .adds = 1, .max_items = 8};

#define QUEUE(name, arg)                                                      \
    {name, false, queue_with_sleeper, queue_fill, queue_put, NULL,            \
     queue_finish, queue_over, &(arg), NULL}

const struct step_op step_ops_consumer[] = {
    QUEUE("queue.put-sleeper", in_slot),
    QUEUE("queue.put-arena-sleeper", by_value),
    QUEUE("queue.put-moved-sleeper", moved),
    {"pipe.send-sleeper", false, pipe_with_sleeper, pipe_fill,
     pipe_send_and_close, NULL, pipe_finish, pipe_over, &by_value,
     pipe_drop_writer},
    {0},
};
