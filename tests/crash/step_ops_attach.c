/* SPDX-License-Identifier: MIT */
/*
 * step_ops_attach.c - channels and locks found by name, and left again
 *
 * Who dies while he comes or goes is one user less, and nothing else: what
 * waits in a queue waits on, in order and whole; a lock that was closed while
 * it was held died with its handle. The driver keeps nothing mapped.
 */
#include "step.h"

#include <chan/chan_impl.h>
#include <ndshare/sync.h>

#define NAME "subject"
#define COUNT 100
#define FIRST 11 /* and SECOND are in the queue from the beginning */
#define SECOND 12
#define THIRD 13 /* the victim's */

/* ---- queues ------------------------------------------------------------- */

static nds_queue *queue;

static const bool acknowledging = true;

/* Does get keep its item until task_done? */
static bool
acknowledges(void)
{
    return step_arg() == &acknowledging;
}

/* By value: the ticket of a file would hold a random id, and no two worlds
 * were alike. */
static void
put(int number)
{
    int64_t count = COUNT;
    nds_array *a = NULL;
    int64_t *d;

    must(nds_array_new(&a, NDS_INT64, 1, &count, NULL));
    d = nds_array_data(a);
    for (int i = 0; i < COUNT; i++) {
        d[i] = number;
    }
    must(nds_queue_put(queue, a, NULL, NDS_SEC(5)));
    nds_array_close(a);
}

static void
queue_make(enum nds_lifetime lifetime)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 8,
                              .max_bytes = 65536, .lifetime = lifetime,
                              .acknowledge = acknowledges()};

    must(nds_queue_create(&queue, NAME, &opts));
    put(FIRST);
    put(SECOND);
}

static void
queue_there(void)
{
    step_watch_maps();
    queue_make(NDS_UNTIL_UNLINKED);
    nds_queue_close(queue);
    queue = NULL;
}

static void
nothing_there(void)
{
    step_watch_maps();
}

static void
queue_attach(void)
{
    must(nds_queue_attach(&queue, NAME, NDS_SEC(5)));
}

static void
queue_attach_and_put(void)
{
    queue_attach();
    put(THIRD);
}

/* Never acknowledged: it goes back when the handle goes. */
static void
queue_attach_and_get(void)
{
    nds_array *got = NULL;

    queue_attach();
    must(nds_queue_get(queue, &got, NULL, NDS_SEC(5)));
    nds_array_close(got);
}

static void
queue_make_used(void)
{
    queue_make(NDS_WHILE_USED);
}

static void
queue_close(void)
{
    nds_queue_close(queue);
}

static void
need_next(nds_queue *q, int number)
{
    nds_array *a = NULL;
    int rc = nds_queue_get(q, &a, NULL, NDS_SEC(5));
    const int64_t *d;

    need(rc == 0 && a != NULL, "item %d: %d %s", number, rc,
         nds_last_error()->message);
    need(nds_array_view(a)->shape[0] == COUNT, "item %d: extent", number);
    d = nds_array_data(a);
    for (int i = 0; i < COUNT; i++) {
        need(d[i] == number, "item %d, element %d: %d", number, i, (int)d[i]);
    }
    nds_array_close(a);
    need(!acknowledges() || nds_queue_task_done(q) == 0, "task_done");
}

/* All is there, in order, and the queue works; one name is left: its own. */
static void
need_queue(int last)
{
    nds_queue_info info = {.size = sizeof info};
    nds_array *a = NULL;
    nds_queue *q = NULL;
    int rc = nds_queue_attach(&q, NAME, 0);

    need(rc == 0, "attach: %d %s", rc, nds_last_error()->message);
    // An item comes back to the front at the burial of who had it.
    step_need_buried(&(*(struct ndi_hub **)q)->segment->party);
    for (int i = FIRST; i <= last; i++) {
        need_next(q, i);
    }
    need(nds_queue_get(q, &a, NULL, 0) == NDS_EAGAIN, "one item too many");
    need(nds_queue_put_none(q, NDS_SEC(5)) == 0, "put");
    need(nds_queue_get(q, &a, NULL, 0) == 0 && a == NULL, "get");
    need(!acknowledges() || nds_queue_task_done(q) == 0, "task_done");
    need(nds_queue_info_get(q, &info) == 0, "info");
    need(info.items + info.taken + info.loaned + info.parked == 0 &&
             info.bytes_used == 0 && info.participants == 1 &&
             info.participants_dead == 0,
         "left: %d items, %d taken, %d bytes, %u participants, %u dead",
         (int)info.items, (int)info.taken, (int)info.bytes_used,
         info.participants, info.participants_dead);
    nds_queue_close(q);
    need(nds_sweep(false, NULL, NULL) >= 0, "sweep");
    need(step_world_names() == 1, "%u names, not one", step_world_names());
}

static void
attach_finish(const struct step_now *now)
{
    (void)now;
    need_queue(SECOND);
}

static void
put_finish(const struct step_now *now)
{
    (void)now;
    need_queue(THIRD);
}

/* The last one takes queue and items along, or the sweep does. */
static void
used_finish(const struct step_now *now)
{
    nds_queue *q = NULL;
    int rc;

    rc = nds_queue_attach(&q, NAME, 0);
    need(rc == NDS_ENOENT || (rc == 0 && !now->ended), "attach: %d %s", rc,
         nds_last_error()->message);
    nds_queue_close(q);
    need(nds_sweep(false, NULL, NULL) >= 0, "sweep");
    need(step_world_names() == 0, "%u names left", step_world_names());
}

static void
unlink_it(void)
{
    (void)nds_name_unlink(NAME);
}

/* ---- locks -------------------------------------------------------------- */

static nds_mutex *mutex;
static nds_seqlock *seqlock;

static void
mutex_there(void)
{
    step_watch_maps();
    must(nds_mutex_create(&mutex, NAME, NDS_MUTEX_PLAIN));
    nds_mutex_close(mutex);
}

static void
seqlock_there(void)
{
    step_watch_maps();
    must(nds_seqlock_create(&seqlock, NAME));
    nds_seqlock_close(seqlock);
}

static void
mutex_attach(void)
{
    must(nds_mutex_attach(&mutex, NAME));
}

static void
mutex_attach_and_hold(void)
{
    mutex_attach();
    must(nds_mutex_lock(mutex, NDS_SEC(5)));
}

static void
mutex_attach_and_join(void)
{
    mutex_attach_and_hold();
    must(nds_mutex_unlock(mutex));
}

static void
mutex_close(void)
{
    nds_mutex_close(mutex);
}

static void
seqlock_attach(void)
{
    must(nds_seqlock_attach(&seqlock, NAME, NDS_READ));
}

static void
need_mutex(int verdict)
{
    nds_mutex *m = NULL;
    int rc = nds_mutex_attach(&m, NAME);

    need(rc == 0, "attach: %d %s", rc, nds_last_error()->message);
    rc = nds_mutex_lock(m, NDS_SEC(5));
    need(rc == verdict, "lock: %d, not %d", rc, verdict);
    need(nds_mutex_unlock(m) == 0, "unlock");
    need(nds_mutex_lock(m, 0) == 0 && nds_mutex_unlock(m) == 0, "lock again");
    step_need_buried(&step_segment_of(m)->party);
    nds_mutex_close(m);
    need(step_world_names() == 1, "other names");
}

static void
mutex_finish(const struct step_now *now)
{
    (void)now;
    need_mutex(0);
}

/* It never let go of the lock: killed or closed, the next one is told. */
static void
mutex_held_finish(const struct step_now *now)
{
    (void)now;
    need_mutex(NDS_EOWNERDEAD);
}

static void
seqlock_finish(const struct step_now *now)
{
    nds_seqlock *l = NULL;
    uint64_t seen = 1;

    (void)now;
    need(nds_seqlock_attach(&l, NAME, NDS_READWRITE) == 0, "attach: %s",
         nds_last_error()->message);
    need(nds_seqlock_read_begin(l, &seen, 0) == 0 && seen == 0, "read");
    need(nds_seqlock_write_begin(l, 0) == 0 && nds_seqlock_write_end(l) == 0,
         "write");
    nds_seqlock_close(l);
}

#define OP(name, setup, prepare, operate, finish, arg)                        \
    {name, false, setup, prepare, operate, NULL, finish, unlink_it, arg, NULL}

const struct step_op step_ops_attach[] = {
    OP("queue.attach", queue_there, NULL, queue_attach, attach_finish, NULL),
    OP("queue.attached-close", queue_there, queue_attach_and_put, queue_close,
       put_finish, NULL),
    OP("queue.attached-close-ack", queue_there, queue_attach_and_get,
       queue_close, attach_finish, &acknowledging),
    OP("queue.close-used", nothing_there, queue_make_used, queue_close,
       used_finish, NULL),
    OP("mutex.attach", mutex_there, NULL, mutex_attach, mutex_finish, NULL),
    OP("mutex.attached-close", mutex_there, mutex_attach_and_join,
       mutex_close, mutex_finish, NULL),
    OP("mutex.attached-close-held", mutex_there, mutex_attach_and_hold,
       mutex_close, mutex_held_finish, NULL),
    OP("seqlock.attach-read", seqlock_there, NULL, seqlock_attach,
       seqlock_finish, NULL),
    {0},
};
