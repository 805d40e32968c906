/* SPDX-License-Identifier: MIT */
/*
 * step_ops_seq.c - snapshots under a sequence lock
 *
 * Two numbers are raised together. Whoever was killed, a reader gets both of
 * one writing, or hears NDS_EOWNERDEAD; the next writer hears the same, and
 * after it all is well. A reader leaves nothing behind at all.
 */
#include "step.h"

#include <ndshare/sync.h>
#include <sync/word.h>

static nds_seqlock *seqlock;
static volatile uint64_t *guarded; /* in the same file */

static struct ndi_seqlock *
words(void)
{
    return &step_segment_of(seqlock)->ctl->object.seqlock;
}

/* ---- in the driver ------------------------------------------------------ */

static void
make(void)
{
    struct ndi_segment *s;

    must(nds_seqlock_new(&seqlock));
    s = step_segment_of(seqlock);
    guarded = (volatile uint64_t *)(void *)s->ctl->reserved2;
    step_watch_segment(s);
    step_watch((const void *)guarded, 2 * sizeof *guarded);
}

static void
begin(void)
{
    must(nds_seqlock_write_begin(seqlock, NDS_SEC(5)));
}

static void
end(void)
{
    must(nds_seqlock_write_end(seqlock));
}

static void
make_written_by_driver(void)
{
    make();
    begin();
}

static void
write_half(void)
{
    begin();
    guarded[0]++;
}

static void
make_with_dead(void)
{
    make();
    step_other_dies(write_half);
}

static void
make_with_writer(void)
{
    make();
    step_other_lives(write_half);
}

static void
over(void)
{
    step_other_end();
    nds_seqlock_close(seqlock);
    seqlock = NULL;
}

/* ---- in the victim ------------------------------------------------------ */

static void
join(void)
{
    uint64_t self;

    must(ndi_party_join(&step_segment_of(seqlock)->party, &self));
}

static void
write_both(void)
{
    write_half();
    guarded[1]++;
    end();
}

static void
write_rest(void)
{
    guarded[1]++;
    end();
}

/* As a heir must: all of the data, whatever they were. */
static int
write_anew(void)
{
    int rc = nds_seqlock_write_begin(seqlock, NDS_SEC(5));

    must(rc == NDS_EOWNERDEAD ? 0 : rc);
    guarded[0] = 7;
    guarded[1] = 7;
    end();
    return rc;
}

static void
take_over(void)
{
    must(write_anew() == NDS_EOWNERDEAD ? 0 : -1);
}

static void
read_whole(void)
{
    uint64_t seen, a, b;

    do {
        must(nds_seqlock_read_begin(seqlock, &seen, NDS_SEC(5)));
        a = guarded[0];
        b = guarded[1];
    } while (nds_seqlock_read_retry(seqlock, seen));
    must(a == b ? 0 : -1);
}

/* ---- in the finisher ---------------------------------------------------- */

static void
go_on(bool done)
{
    uint64_t seen, a, b;
    int rc = nds_seqlock_read_begin(seqlock, &seen, NDS_SEC(5));

    need(rc == 0 || rc == NDS_EOWNERDEAD, "reader: %d", rc);
    need(rc == (ndi_load_seq(&words()->word) % 2 == 0 ? 0 : NDS_EOWNERDEAD),
         "reader: %d", rc);
    need(!done || rc == 0, "the writer was done, and reader: %d", rc);
    a = guarded[0];
    b = guarded[1];
    need(rc != 0 || a == b, "a snapshot torn: %d %d", (int)a, (int)b);
    need(rc != 0 || !nds_seqlock_read_retry(seqlock, seen), "nobody writes");
    need(write_anew() == rc, "the next writer is told what readers are");
    need(nds_seqlock_read_begin(seqlock, &seen, 0) == 0 && seen % 2 == 0 &&
             guarded[0] == 7 && guarded[1] == 7 &&
             !nds_seqlock_read_retry(seqlock, seen),
         "after the next writer");
    need(nds_seqlock_write_end(seqlock) == NDS_ENOTOWNER, "ended twice");
    step_need_buried(&step_segment_of(seqlock)->party);
}

static void
finish(const struct step_now *now)
{
    go_on(now->ended);
}

/* While the living write, nobody else does, and no snapshot is given. */
static void
waited_finish(const struct step_now *now)
{
    uint64_t seen;

    if (!now->helped) {
        need(nds_seqlock_write_begin(seqlock, 0) == NDS_EAGAIN,
             "the living write");
        need(nds_seqlock_read_begin(seqlock, &seen, 0) == NDS_EAGAIN,
             "read while the living write");
        return;
    }
    go_on(now->ended);
}

/* Only readers died: nothing is to be told. */
static void
read_finish(const struct step_now *now)
{
    if (!now->helped) {
        waited_finish(now);
    } else {
        go_on(true);
    }
}

static void
untouched_finish(const struct step_now *now)
{
    (void)now;
    go_on(true);
}

#define OP(name, setup, prepare, operate, partner, finish)                    \
    {name, false, setup, prepare, operate, partner, finish, over, NULL, NULL}

const struct step_op step_ops_seq[] = {
    OP("seqlock.write", make, join, write_both, NULL, finish),
    OP("seqlock.write-first", make, NULL, write_both, NULL, finish),
    OP("seqlock.write-end", make, write_half, write_rest, NULL, finish),
    OP("seqlock.write-wait", make_written_by_driver, join, write_both, end,
       waited_finish),
    OP("seqlock.take-over", make_with_dead, join, take_over, NULL, finish),
    OP("seqlock.writer-dies", make_with_writer, join, take_over,
       step_other_end, waited_finish),
    OP("seqlock.read", make, NULL, read_whole, NULL, untouched_finish),
    OP("seqlock.read-wait", make_written_by_driver, NULL, read_whole, end,
       read_finish),
    {0},
};

/* ---- two victims -------------------------------------------------------- */

static void
write_after(void)
{
    (void)write_anew();
}

static const struct step_op
    first_write = OP("write", make, join, write_both, NULL, finish);

const struct step_pair step_pairs_seq[] = {
    {OP("twice.seqlock-write", make, join, write_after, NULL, finish),
     &first_write, 8, NULL},
    {{0}, NULL, 0, NULL},
};
