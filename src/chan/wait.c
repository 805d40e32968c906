/* SPDX-License-Identifier: MIT */
/*
 * wait.c - spin a little, then sleep in slices
 *
 * A spin pays when the partner runs on another core right now; how long is
 * learned from whether the last spins found something. Two that both sleep
 * take longer to wake each other than a short spin lasts, and would never
 * learn that they could spin: so every PROBE-th wait spins in full. A sleeper
 * says so in `asleep` before it looks a last time, so a waker calls the kernel
 * only when somebody may sleep. Nothing rests on a wake-up: a slice is 50 ms,
 * and after each the dead are buried and the condition is looked at again.
 */
#include <chan/chan_impl.h>

#include <os/os.h>
#include <sync/word.h>

#include <unistd.h>

#define SPIN_MAX_NS 50000
#define SPIN_MIN_NS 2000
#define PROBE 16
/* Less than a slice, so that each slice that was slept through ends with a
 * burial: what the dead held comes back a slice after their end at the latest,
 * and a sleeper that is woken more often does not bury at every turn. */
#define SWEEP_NS 15000000

void
ndi_event_wake(struct ndi_chan_event *e, int count)
{
    ndi_add_seq(&e->futex, 1);
    NDI_KILL_POINT("signal.bumped");
    if (ndi_futex_wake(&e->futex, count) <= 0) {
        // Nobody was there. One who lay down just now is woken by the second
        // call and says again that he sleeps.
        ndi_store_seq(&e->asleep, 0);
        ndi_futex_wake(&e->futex, INT32_MAX);
    }
}

static bool
ready(const struct ndi_chan *c, enum ndi_wait_for what, uint32_t seen)
{
    switch (what) {
    case NDI_WAIT_ITEMS:
        return ndi_chan_may_have_items(c) ||
               (ndi_load_acq(&c->h->closed) != 0 &&
                ndi_load_acq(&c->h->unclaimed) == 0);
    case NDI_WAIT_ROOM:
    case NDI_WAIT_BYTES:
        return ndi_load_acq(&c->h->room_gen) != seen ||
               ndi_load_acq(&c->h->given) != 0;
    default:
        return ndi_load_acq(&c->h->done.futex) != seen ||
               ndi_chan_unfinished(c) <= 0;
    }
}

static long
cores(void)
{
    static _Atomic long known;
    long n = ndi_load_rlx(&known);

    if (n == 0) {
        n = sysconf(_SC_NPROCESSORS_ONLN);
        ndi_store_rlx(&known, n);
    }
    return n;
}

/* Does the partner run on this very core, so that spinning only delays it? */
static bool
partner_is_here(const struct ndi_chan *c, enum ndi_wait_for what)
{
    uint32_t here = (uint32_t)ndi_cpu() + 1;

    if (what != NDI_WAIT_ITEMS) {
        return ndi_load_rlx(&c->h->get_cpu) == here;
    }
    for (uint32_t i = 0; i < c->nlanes && i < 4; i++) {
        if (ndi_load_rlx(&c->lanes[i].cpu) == here) {
            return true;
        }
    }
    return false;
}

/* For a spin to end. What others did not tell of is for a search. */
static bool
enough(const struct ndi_chan *c, enum ndi_wait_for what, uint32_t seen)
{
    switch (what) {
    case NDI_WAIT_ROOM:
        return ndi_load_acq(&c->h->room_gen) - seen >= c->burst;
    case NDI_WAIT_BYTES:
        return ndi_load_acq(&c->h->room_gen) != seen;
    default:
        return ready(c, what, seen);
    }
}

/* told: somebody woke us, but there is nothing yet. */
static bool
spin(struct ndi_chan *c, enum ndi_wait_for what, uint32_t seen, bool told)
{
    _Atomic int64_t *learned = told                     ? &c->spin_told_ns
                               : what == NDI_WAIT_ITEMS ? &c->spin_get_ns
                                                        : &c->spin_put_ns;
    int64_t short_of = ndi_load_rlx(learned), budget = short_of;
    int64_t end;

    if (what == NDI_WAIT_DONE || cores() == 1 || partner_is_here(c, what)) {
        return false;
    }
    if (ndi_add_rlx(&c->spins, 1) % PROBE == PROBE - 1) {
        budget = SPIN_MAX_NS;
    }
    end = ndi_now_ns() + budget;
    do {
        for (int i = 0; i < 32; i++) {
            if (enough(c, what, seen)) {
                ndi_store_rlx(learned, budget * 2 < SPIN_MAX_NS
                                           ? budget * 2
                                           : SPIN_MAX_NS);
                return true;
            }
            ndi_cpu_relax();
        }
    } while (ndi_now_ns() < end);
    if (what == NDI_WAIT_ROOM && ndi_load_acq(&c->h->room_gen) != seen) {
        return true;
    }
    ndi_store_rlx(learned, short_of / 2 > SPIN_MIN_NS ? short_of / 2
                                                      : SPIN_MIN_NS);
    return false;
}

/* false: the slice is over, and nobody woke us. */
static bool
sleep_on(struct ndi_chan *c, struct ndi_chan_event *e,
         enum ndi_wait_for what, uint32_t seen, int64_t left)
{
    uint32_t word = ndi_load_seq(&e->futex);

    ndi_store_seq(&e->asleep, 1);
    ndi_fence_seq(); // pairs with those of who signals
    return ready(c, what, seen) ||
           ndi_futex_wait(&e->futex, word,
                          left < NDI_SLICE_NS ? left : NDI_SLICE_NS) == 0;
}

int
ndi_hub_sweep(struct ndi_hub *hub)
{
    int64_t now = ndi_now_ns();
    int64_t last = ndi_load_rlx(&hub->swept_ns);
    uint32_t me;

    // Burial takes the channel's lock, so whoever buries is a participant.
    if (ndi_chan_me(&hub->chan[0], &me) < 0 || now - last < SWEEP_NS ||
        !ndi_cas_seq(&hub->swept_ns, &last, now)) {
        return 0;
    }
    return ndi_party_sweep(&hub->segment->party);
}

static void
say_where(struct ndi_chan *c, enum ndi_wait_for what)
{
    if (what == NDI_WAIT_ITEMS) {
        ndi_store_rlx(&c->h->get_cpu, (uint32_t)ndi_cpu() + 1);
    } else if (c->lane >= 0) {
        ndi_store_rlx(&c->lanes[c->lane].cpu, (uint32_t)ndi_cpu() + 1);
    }
}

static int
wait_for(struct ndi_chan *c, enum ndi_wait_for what, uint32_t seen,
         bool spins, int64_t deadline)
{
    struct ndi_chan_event *e = what == NDI_WAIT_ITEMS ? &c->h->items
                               : what == NDI_WAIT_DONE ? &c->h->done
                                                       : &c->h->room;
    int64_t left;
    bool told;

    if (deadline == 0) {
        // Who only tries buries the dead as well, and then tries again.
        return ndi_hub_sweep(c->hub) > 0 && ready(c, what, seen) ? 0
                                                                 : NDS_EAGAIN;
    }
    say_where(c, what);
    // Before the spin: a condition that only seems to hold must not keep the
    // caller looking for ever.
    left = ndi_deadline_left(deadline);
    if (left <= 0) {
        return NDS_ETIMEDOUT;
    }
    if (spins && spin(c, what, seen, false)) {
        return 0;
    }
    told = sleep_on(c, e, what, seen, left) && what == NDI_WAIT_ITEMS;
    if (!ready(c, what, seen) && !(told && spin(c, what, seen, true))) {
        (void)ndi_hub_sweep(c->hub);
        ndi_chan_trim_now_and_then(c, true);
    }
    return 0;
}

int
ndi_chan_wait(struct ndi_chan *c, enum ndi_wait_for what, uint32_t seen,
              int64_t deadline)
{
    return wait_for(c, what, seen, true, deadline);
}

int
ndi_chan_wait_room(struct ndi_chan *c, struct ndi_full *full, int64_t deadline)
{
    if (full->search) {
        return wait_for(c, full->what, full->gen, false, deadline);
    }
    say_where(c, full->what);
    full->search = !spin(c, full->what, full->gen, false);
    return 0;
}
