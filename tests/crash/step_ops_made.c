/* SPDX-License-Identifier: MIT */
/*
 * step_ops_made.c - raw blocks, channels and locks getting a name
 *
 * Our kinds are complete or absent. A raw block is a name and a size and
 * nobody's to sweep: what is there stays until it is unlinked.
 */
#include "step.h"

#include <ndshare/chan.h>
#include <ndshare/sync.h>

#define NAME "subject"

static bool
is_there(void)
{
    nds_name_info info = {.size = sizeof info};

    return nds_name_info_get(NAME, &info) == 0;
}

static void
nothing_there(void)
{
    step_watch_maps();
}

static void
unlink_it(void)
{
    (void)nds_name_unlink(NAME);
}

static void
raw_create(void)
{
    nds_block *b = NULL;

    must(nds_block_create_raw(&b, NAME, 4096, 0600));
}

static void
queue_create(void)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 8,
                              .max_bytes = 65536};
    nds_queue *q = NULL;

    must(nds_queue_create(&q, NAME, &opts));
}

static void
mutex_create(void)
{
    nds_mutex *m = NULL;

    must(nds_mutex_create(&m, NAME, NDS_MUTEX_PLAIN));
}

/* A raw name is nobody's to sweep: what is there stays until unlinked. */
static void
raw_finish(const struct step_now *now)
{
    bool there = is_there();

    need(there || !now->ended, "it had made the name");
    need(nds_sweep(false, NULL, NULL) >= 0, "sweep");
    need(is_there() == there, "a raw name was swept");
    need(!there || nds_name_unlink(NAME) == 0, "unlink");
    raw_create();
}

static void
queue_create_finish(const struct step_now *now)
{
    bool there = is_there();
    nds_array *a = NULL;
    nds_queue *q = NULL;
    int rc = nds_queue_attach(&q, NAME, 0);

    need(there || !now->ended, "it had made the name");
    need(rc == (there ? 0 : NDS_ENOENT), "attach: %d %s", rc,
         nds_last_error()->message);
    if (rc < 0) {
        queue_create();
        need(nds_queue_attach(&q, NAME, 0) == 0, "attach to our own");
    }
    need(nds_queue_put_none(q, NDS_SEC(5)) == 0, "put");
    need(nds_queue_get(q, &a, NULL, 0) == 0 && a == NULL, "get");
    nds_queue_close(q);
}

static void
mutex_create_finish(const struct step_now *now)
{
    bool there = is_there();
    nds_mutex *m = NULL;
    int rc = nds_mutex_attach(&m, NAME);

    need(there || !now->ended, "it had made the name");
    need(rc == (there ? 0 : NDS_ENOENT), "attach: %d %s", rc,
         nds_last_error()->message);
    if (rc < 0) {
        mutex_create();
        need(nds_mutex_attach(&m, NAME) == 0, "attach to our own");
    }
    need(nds_mutex_lock(m, NDS_SEC(5)) == 0, "lock");
    need(nds_mutex_unlock(m) == 0, "unlock");
    nds_mutex_close(m);
}

#define OP(name, operate, finish)                                             \
    {name, false, nothing_there, NULL, operate, NULL, finish, unlink_it,      \
     NULL, NULL}

const struct step_op step_ops_made[] = {
    OP("raw.create", raw_create, raw_finish),
    OP("queue.create", queue_create, queue_create_finish),
    OP("mutex.create", mutex_create, mutex_create_finish),
    {0},
};
