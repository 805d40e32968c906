/* SPDX-License-Identifier: MIT */
/*
 * trim.c - free memory of an arena goes back to the system
 *
 * An arena is a sparse memfd: what has been used once stays, so that it is
 * warm when it is used again. What is not used again is given back: holes are
 * punched into free extents, under the channel's lock, a stretch at a time, in
 * whole units of 2 MiB so that no page of that size is torn.
 *
 * How much is wanted is learned from where extents ended that this process
 * loaned or freed in the last two epochs of half a second. First fit keeps
 * traffic low in the arena, so what is free above that, and above the bound
 * that the user set (`keep`), was not needed for half a second at least. Who
 * frees looks once an epoch; so does who slept through a slice, but only when
 * nobody put or freed anything for an epoch. And a large item that is about to
 * put memory where there is none (sizes are mixed, the free extents too small)
 * first has as much taken out of free extents as there is beyond `keep`: so a
 * queue never holds more than was in flight at once, and `keep`.
 *
 * A killed puncher is harmless. Truth is in the words, and none changes here.
 * Some free pages are gone and read as zero; what a free extent holds means
 * nothing, and its next producer writes before he publishes. `warm`, above which
 * nothing has memory, is lowered last. The lock names the dead, and `dirty`
 * makes the next holder rebuild what never changed. Named channels keep what they
 * reserved: a hole there could be SIGBUS later.
 */
#include <chan/chan_impl.h>

#include <os/os.h>
#include <sync/word.h>

#define UNIT (UINT64_C(2) << 20)
#define STRETCH (UINT64_C(64) << 20) /* one hold of the lock: some ms */

/* For so long what had memory is taken to have it: a look is a call for each 2
 * MiB, 28 us for 80, and nobody gives back what was needed in an epoch. */
#define WARM_NS 100000000

int64_t ndi_trim_epoch_ns = 500000000;

bool
ndi_chan_is_warm(const struct ndi_chan *c, uint64_t from, uint64_t to)
{
    int64_t seen = ndi_load_rlx(&c->warm_ns);

    return seen != 0 && from >= ndi_load_rlx(&c->warm_from) &&
           to <= ndi_load_rlx(&c->warm_to) && ndi_now_ns() - seen < WARM_NS;
}

void
ndi_chan_warmed(struct ndi_chan *c, uint64_t from, uint64_t to)
{
    uint64_t low = ndi_load_rlx(&c->warm_from);
    uint64_t high = ndi_load_rlx(&c->warm_to);
    int64_t now = ndi_now_ns(), seen = ndi_load_rlx(&c->warm_ns);

    // Threads that mix their ranges may believe too much, as a look may.
    if (seen != 0 && now - seen < WARM_NS && from <= high && to >= low) {
        from = from < low ? from : low;
        to = to > high ? to : high;
        now = seen;
    }
    ndi_store_rlx(&c->warm_from, from);
    ndi_store_rlx(&c->warm_to, to);
    ndi_store_rlx(&c->warm_ns, now);
}

void
ndi_chan_saw_end(struct ndi_chan *c, uint64_t end)
{
    if (end > ndi_load_rlx(&c->peak_now)) {
        ndi_store_rlx(&c->peak_now, end);
    }
}

/* Under the lock: punches at most a stretch of the highest free extent below
 * *top and not below `low`, and moves *top there. NDS_EAGAIN: there is none. */
static int
punch_one(struct ndi_chan *c, uint64_t low, uint64_t *top)
{
    uint64_t warm = ndi_load_rlx(&c->h->warm);
    uint64_t off, end, from, to;
    int rc;

    do {
        rc = *top > low ? ndi_arena_free_below(&c->arena, *top, &off, &end)
                        : NDS_EAGAIN;
        if (rc < 0) {
            return rc;
        }
        to = (end < *top ? end : *top) & ~(UNIT - 1);
        from = (off + UNIT - 1) & ~(UNIT - 1);
        from = from < low ? low : from;
        *top = off;
    } while (from >= to);
    from = to - from > STRETCH ? to - STRETCH : from;
    *top = from;
    ndi_store_rlx(&c->warm_ns, 0);
    rc = ndi_map_punch(c->data + from, (size_t)(to - from));
    NDI_KILL_POINT("trim.punched");
    // Lowered afterwards: killed in between, it says too much, as it may.
    while (rc == 0 && end >= warm && warm > from &&
           !ndi_cas_seq(&c->h->warm, &warm, from)) {
        ndi_cpu_relax();
    }
    NDI_KILL_POINT("trim.cooled");
    return rc < 0 ? NDS_EAGAIN : 0; // a kernel that cannot: nothing is lost
}

int
ndi_chan_trim(struct ndi_chan *c, uint64_t keep)
{
    uint64_t most = c->arena.nbytes & ~(UNIT - 1);
    uint64_t top = ndi_load_rlx(&c->h->warm);
    uint64_t low = keep >= most ? most : (keep + UNIT - 1) & ~(UNIT - 1);
    int rc = 0;

    // What was never used has no memory.
    top = top >= most ? most : (top + UNIT - 1) & ~(UNIT - 1);
    while (c->sparse && rc == 0 && top > low) {
        rc = ndi_chan_lock(c);
        if (rc == 0) {
            bool again;

            rc = ndi_chan_mend(c, punch_one(c, low, &top), &again);
            rc = again ? 0 : rc; // the map is made anew: go on with that
            ndi_chan_unlock_after(c, rc);
        }
    }
    return rc == NDS_EAGAIN ? 0 : rc;
}

/* Bytes of memory that the segment has; 0 if the descriptor is not ours. */
static uint64_t
memory_of(const struct ndi_segment *s)
{
    struct stat st;

    return ndi_os_fstat(s->fd, &st) < 0 || st.st_ino != s->ino ||
                   st.st_dev != s->dev
               ? 0
               : (uint64_t)st.st_blocks * 512;
}

void
ndi_chan_grows(struct ndi_chan *c, uint64_t cold)
{
    uint64_t top = ndi_load_rlx(&c->h->warm);
    int rc = 0;

    if (cold == 0 || !c->sparse || c->keep > INT64_MAX) {
        return;
    }
    top = (top > c->arena.nbytes ? c->arena.nbytes : top) & ~(UNIT - 1);
    while (rc == 0 && memory_of(c->hub->segment) + cold >
                          ndi_load_rlx(&c->h->bytes_used) + c->keep) {
        rc = ndi_chan_lock(c);
        if (rc == 0) {
            rc = punch_one(c, 0, &top);
            ndi_chan_unlock_after(c, rc);
        }
    }
}

/* Begins a new epoch if the last one is over; tells how it went. */
static bool
turn(struct ndi_chan *c, uint64_t *peak, bool *quiet)
{
    int64_t now = ndi_now_ns(), began = ndi_load_rlx(&c->epoch_ns);
    uint64_t moves = ndi_load_rlx(&c->h->next_seq) +
                     ndi_load_rlx(&c->h->room_gen);
    uint64_t before;

    if (now - began < ndi_trim_epoch_ns ||
        !ndi_cas_seq(&c->epoch_ns, &began, now)) {
        return false;
    }
    before = ndi_load_rlx(&c->peak_before);
    *peak = ndi_load_rlx(&c->peak_now);
    ndi_store_rlx(&c->peak_before, *peak);
    ndi_store_rlx(&c->peak_now, 0);
    *quiet = moves == ndi_load_rlx(&c->moves);
    ndi_store_rlx(&c->moves, moves);
    *peak = *quiet ? 0 : before > *peak ? before : *peak;
    return began != 0;
}

void
ndi_chan_trim_now_and_then(struct ndi_chan *c, bool idle)
{
    uint64_t peak;
    bool quiet;

    if (NDI_LIKELY(!c->sparse || ndi_load_rlx(&c->h->warm) <= c->keep)) {
        return;
    }
    if (turn(c, &peak, &quiet) && (!idle || quiet)) {
        (void)ndi_chan_trim(c, peak > c->keep ? peak : c->keep);
    }
}
