/* SPDX-License-Identifier: MIT */
/*
 * step_ops_chan.c - pipes, and the arena under every channel
 *
 * Victim, driver and finisher all hold both ends, as relatives after fork do;
 * only where it says alone has the victim an end for itself. Who waits at a
 * pipe tries first, so that a walk comes to the sleep within a slice of 50 ms;
 * if it does not, the slice is gone through again.
 */
#include "step_chan.h"

#include <mem/arena.h>
#include <string.h>
#include <sys/mman.h>

/* ---- pipe --------------------------------------------------------------- */

static nds_pipe *reader, *writer;
static nds_array *item;

static struct ndi_chan *
pipe_chan(void)
{
    return &(*(struct ndi_hub **)reader)->chan[0];
}

static nds_tag
tag_of(int number)
{
    nds_tag tag = {.nbytes = sizeof number};

    memcpy(tag.bytes, &number, sizeof number);
    return tag;
}

static void
send_number(int number)
{
    nds_array *a = step_item(step_case()->count, number, NDS_HEAP);
    nds_tag tag = tag_of(number);

    must(nds_pipe_send(writer, a, &tag, NDS_SEC(5)));
    nds_array_close(a);
}

static void
pipe_make_of(uint64_t max_bytes)
{
    nds_pipe_options opts = {.size = sizeof opts,
                             .max_items = step_case()->max_items,
                             .max_bytes = max_bytes};
    struct ndi_hub *hub;

    must(nds_pipe_new(&reader, &writer, &opts));
    hub = pipe_chan()->hub;
    step_watch_segment(hub->segment);
    step_watch(hub->h, 128);
    step_watch_chan(pipe_chan());
    for (int i = 1; i <= step_case()->old; i++) {
        send_number(i);
    }
}

static void
pipe_make(void)
{
    pipe_make_of(1 << 20);
}

/* Free memory above the items. */
static void
pipe_make_warm(void)
{
    int64_t n = 6 << 20;
    nds_array *l = NULL;

    pipe_make_of(16 << 20);
    must(nds_pipe_loan(writer, &l, NDS_UINT8, 1, &n, NDS_SEC(5)));
    memset(nds_array_data(l), 1, (size_t)n);
    nds_pipe_discard(writer, &l);
}

static void
pipe_trim(void)
{
    must(nds_pipe_trim(writer, 0));
}

static void
pipe_fill(void)
{
    item = step_item(step_case()->count, STEP_NEW, NDS_HEAP);
}

static void
pipe_send(void)
{
    nds_tag tag = tag_of(STEP_NEW);

    must(nds_pipe_send(writer, item, &tag, NDS_SEC(5)));
}

static void
pipe_receive(void)
{
    must(nds_pipe_recv(reader, &item, NULL, NDS_SEC(5)));
    nds_array_close(item);
}

static void
pipe_close(void)
{
    nds_pipe_close(reader);
    nds_pipe_close(writer);
}

static void
pipe_over(void)
{
    pipe_close();
    reader = writer = NULL;
}

static int
finish_send(const nds_array *a, const nds_tag *tag)
{
    return nds_pipe_send(writer, a, tag, NDS_SEC(5));
}

static int
finish_receive(nds_array **out, nds_tag *tag)
{
    return nds_pipe_recv(reader, out, tag, 0);
}

static void
pipe_finish(const struct step_now *now)
{
    static const struct step_ends ends = {finish_send, finish_receive};

    step_chan_finish(pipe_chan(), &ends, now);
}

static void
pipe_join_and_send(void)
{
    pipe_fill();
    pipe_send();
}

/* The writing end is the victim's alone, and dies with it. */
static void
pipe_drop_writer(void)
{
    nds_pipe_close(writer);
    writer = NULL;
}

static int
drain_receive(nds_array **out, nds_tag *tag)
{
    return nds_pipe_recv(reader, out, tag, NDS_SEC(5));
}

static void
pipe_alone_finish(const struct step_now *now)
{
    static const struct step_ends ends = {NULL, drain_receive};

    step_chan_drain(pipe_chan(), &ends, now);
}

static void
pipe_close_writer(void)
{
    nds_pipe_close(writer);
}

/* ---- both wait ---------------------------------------------------------- */

/* Joins, and has looked once. */
static void
pipe_try_receive(void)
{
    int rc = nds_pipe_recv(reader, &item, NULL, 0);

    must(rc == NDS_EAGAIN ? 0 : -1);
}

static void
pipe_send_first(void)
{
    send_number(1);
}

static void
pipe_receive_wait_finish(const struct step_now *now)
{
    if (now->helped) {
        pipe_finish(now);
    } else {
        need(ndi_chan_size(pipe_chan()) == 0, "an item from nowhere");
    }
}

static void
pipe_try_send(void)
{
    nds_tag tag = tag_of(STEP_NEW);
    int rc;

    pipe_fill();
    rc = nds_pipe_send(writer, item, &tag, 0);
    must(rc == NDS_EAGAIN ? 0 : -1);
}

static void
pipe_receive_one(void)
{
    nds_array *a = NULL;

    must(nds_pipe_recv(reader, &a, NULL, NDS_SEC(5)));
    nds_array_close(a);
}

/* Full again if the victim got its place: one item makes room for ours. */
static void
pipe_send_wait_finish(const struct step_now *now)
{
    pipe_receive_one();
    pipe_finish(now);
}

/* ---- arena -------------------------------------------------------------- */

#define ARENA_NBYTES 65536
#define ROOM 16

static struct ndi_arena arena;
static uint64_t got;

static void
arena_make(void)
{
    size_t nbytes = NDI_ARENA_MAP_NBYTES(ROOM);
    uint64_t off;
    void *map = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    must(map == MAP_FAILED ? -1 : 0);
    arena = (struct ndi_arena){map, ROOM, ARENA_NBYTES};
    ndi_arena_reset(&arena);
    for (int i = 0; i < 6; i++) {
        must(ndi_arena_alloc(&arena, 1024, 64, &off));
    }
    must(ndi_arena_free(&arena, 1024, 1024)); // 1 and 3 are free
    must(ndi_arena_free(&arena, 3072, 1024));
    step_watch(map, nbytes);
}

static void
arena_alloc(void)
{
    must(ndi_arena_alloc(&arena, 512, 64, &got));
}

static void
arena_free(void)
{
    must(ndi_arena_free(&arena, 2048, 1024)); // joins both neighbours
}

/* The map is a cache. Torn, it is refused or stays inside the arena; made
 * anew from the extents in use, it is right. */
static void
arena_finish(const struct step_now *now)
{
    static const uint64_t used[] = {0, 2048, 4096, 5120};
    uint64_t off = 0;
    int rc = ndi_arena_alloc(&arena, 512, 64, &off);

    need(rc == 0 || rc == NDS_EAGAIN || rc == NDS_ECORRUPT, "alloc: %d", rc);
    need(rc != 0 || off <= ARENA_NBYTES - 512, "an extent outside: %#lx",
         (unsigned long)off);
    need(!now->ended || rc == 0, "it had left a whole map: %d", rc);
    ndi_arena_reset(&arena);
    for (unsigned i = 0; i < 4; i++) {
        need(ndi_arena_carve(&arena, used[i], 1024) == 0, "carve");
    }
    need(ndi_arena_room(&arena) == ARENA_NBYTES - 4096, "room");
    need(ndi_arena_alloc(&arena, 1024, 64, &off) == 0 && off == 1024,
         "the first gap");
}

static void
arena_over(void)
{
    munmap(arena.map, NDI_ARENA_MAP_NBYTES(ROOM));
}

static const struct step_case
    sending = {150, NDS_HEAP, 2, 1, 0, false, 8, false, 0, 0, false},
    receiving = {150, NDS_HEAP, 2, 0, 1, false, 8, false, 0, 0, false},
    trimming = {150, NDS_HEAP, 2, 0, 0, false, 8, false, 0, 0, false},
    leaving = {150, NDS_HEAP, 2, 1, 0, false, 8, false, 0, 0, false},
    empty = {150, NDS_HEAP, 0, 0, 1, false, 8, false, 0, 0, false},
    full = {150, NDS_HEAP, 2, 1, 2, false, 2, false, 0, 0, false};

const struct step_op step_ops_chan[] = {
    {"pipe.send", false, pipe_make, pipe_fill, pipe_send, NULL, pipe_finish,
     pipe_over, &sending, NULL},
    {"pipe.receive", false, pipe_make, NULL, pipe_receive, NULL, pipe_finish,
     pipe_over, &receiving, NULL},
    {"pipe.close", false, pipe_make, pipe_join_and_send, pipe_close, NULL,
     pipe_finish, pipe_over, &leaving, NULL},
    {"pipe.trim", false, pipe_make_warm, NULL, pipe_trim, NULL, pipe_finish,
     pipe_over, &trimming, NULL},
    {"pipe.send-alone", false, pipe_make, pipe_fill, pipe_send, NULL,
     pipe_alone_finish, pipe_over, &sending, pipe_drop_writer},
    {"pipe.close-alone", false, pipe_make, pipe_join_and_send,
     pipe_close_writer, NULL, pipe_alone_finish, pipe_over, &leaving,
     pipe_drop_writer},
    {"pipe.receive-wait", false, pipe_make, pipe_try_receive, pipe_receive,
     pipe_send_first, pipe_receive_wait_finish, pipe_over, &empty, NULL},
    {"pipe.send-wait", false, pipe_make, pipe_try_send, pipe_send,
     pipe_receive_one, pipe_send_wait_finish, pipe_over, &full, NULL},
    {"arena.alloc", false, arena_make, NULL, arena_alloc, NULL, arena_finish,
     arena_over, NULL, NULL},
    {"arena.free", false, arena_make, NULL, arena_free, NULL, arena_finish,
     arena_over, NULL, NULL},
    {0},
};
