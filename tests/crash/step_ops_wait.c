/* SPDX-License-Identifier: MIT */
/*
 * step_ops_wait.c - conditions, semaphores, events
 *
 * A waiter that dies while it waits costs the others at most a wake-up too
 * many. The partner acts when the victim is about to lie down, so kills fall
 * before, in and after the sleep.
 */
#include "step.h"

#include <ndshare/sync.h>

/* ---- condition ---------------------------------------------------------- */

static nds_cond *cond;

static void
cond_make(void)
{
    must(nds_cond_new(&cond));
    step_watch_segment(step_segment_of(cond));
}

static void
cond_hold(void)
{
    must(nds_cond_lock(cond, NDS_SEC(5)));
}

static void
cond_sleep(void)
{
    must(nds_cond_wait(cond, NDS_SEC(5)));
    must(nds_cond_unlock(cond));
}

static void
cond_tell(void)
{
    must(nds_cond_lock(cond, NDS_SEC(5)));
    must(nds_cond_notify(cond, 1));
    must(nds_cond_unlock(cond));
}

static void
cond_finish(const struct step_now *now)
{
    struct ndi_segment *s = step_segment_of(cond);
    bool dead;
    int rc;

    step_need_lock_sane(&s->party, &s->ctl->object.cond.lock, &dead);
    need(!now->ended || !dead, "it had given the lock back");
    rc = nds_cond_lock(cond, NDS_SEC(5));
    need(rc == (dead ? NDS_EOWNERDEAD : 0), "lock: %d", rc);
    rc = nds_cond_notify(cond, 1);
    need(rc == 0, "notify: %d", rc);
    rc = nds_cond_wait(cond, 1000000);
    need(rc == 0 || rc == NDS_ETIMEDOUT, "wait: %d", rc);
    need(nds_cond_unlock(cond) == 0, "unlock");
    step_need_buried(&s->party);
}

static void
cond_over(void)
{
    nds_cond_close(cond);
    cond = NULL;
}

/* ---- semaphore ---------------------------------------------------------- */

static nds_sem *sem;

static void
sem_two(void)
{
    must(nds_sem_new(&sem, 2, 5));
    step_watch_segment(step_segment_of(sem));
}

static void
sem_none(void)
{
    must(nds_sem_new(&sem, 0, 5));
    step_watch_segment(step_segment_of(sem));
}

static void
sem_take(void)
{
    must(nds_sem_acquire(sem, NDS_SEC(5)));
}

static void
sem_give(void)
{
    must(nds_sem_release(sem, 1));
}

/* least..most permits are right after the kill; all of them can be taken, and
 * the bound is reached again. */
static void
sem_go_on(unsigned least, unsigned most)
{
    unsigned n = nds_sem_value(sem);

    need(n >= least && n <= most, "%u permits, not %u..%u", n, least, most);
    for (unsigned i = 0; i < n; i++) {
        need(nds_sem_acquire(sem, NDS_SEC(5)) == 0, "permit %u of %u", i, n);
    }
    need(nds_sem_acquire(sem, 0) == NDS_EAGAIN, "a permit that is not there");
    need(nds_sem_release(sem, 5) == 0, "back to the bound");
    need(nds_sem_release(sem, 1) == NDS_ELIMIT, "beyond the bound");
    step_need_buried(&step_segment_of(sem)->party);
}

static void
sem_take_finish(const struct step_now *now)
{
    sem_go_on(1, now->ended ? 1 : 2);
}

static void
sem_give_finish(const struct step_now *now)
{
    sem_go_on(now->ended ? 3 : 2, 3);
}

static void
sem_wait_finish(const struct step_now *now)
{
    sem_go_on(0, now->ended || !now->helped ? 0 : 1);
}

static void
sem_over(void)
{
    nds_sem_close(sem);
    sem = NULL;
}

/* ---- event -------------------------------------------------------------- */

static nds_event *event;

static void
event_make(void)
{
    must(nds_event_new(&event));
    step_watch_segment(step_segment_of(event));
}

static void
event_made_set(void)
{
    event_make();
    must(nds_event_set(event));
}

static void
event_set(void)
{
    must(nds_event_set(event));
}

static void
event_clear(void)
{
    must(nds_event_clear(event));
}

static void
event_wait(void)
{
    must(nds_event_wait(event, NDS_SEC(5)));
}

static void
event_go_on(void)
{
    int rc = nds_event_wait(event, 0);

    need(rc == (nds_event_is_set(event) ? 0 : NDS_EAGAIN), "wait: %d", rc);
    need(nds_event_set(event) == 0 && nds_event_wait(event, 0) == 0,
         "set and not seen");
    need(nds_event_clear(event) == 0 &&
             nds_event_wait(event, 1000000) == NDS_ETIMEDOUT,
         "cleared and still seen");
}

static void
event_set_finish(const struct step_now *now)
{
    need(!now->ended || nds_event_is_set(event), "it had set the event");
    event_go_on();
}

static void
event_clear_finish(const struct step_now *now)
{
    need(!now->ended || !nds_event_is_set(event), "it had cleared it");
    event_go_on();
}

static void
event_wait_finish(const struct step_now *now)
{
    need(nds_event_is_set(event) == now->helped, "waiting changed the event");
    event_go_on();
}

static void
event_over(void)
{
    nds_event_close(event);
    event = NULL;
}

const struct step_op step_ops_wait[] = {
    {"cond.wait", false, cond_make, cond_hold, cond_sleep, cond_tell,
     cond_finish, cond_over, NULL, NULL},
    {"cond.notify", false, cond_make, NULL, cond_tell, NULL, cond_finish,
     cond_over, NULL, NULL},
    {"sem.acquire", false, sem_two, NULL, sem_take, NULL, sem_take_finish,
     sem_over, NULL, NULL},
    {"sem.release", false, sem_two, NULL, sem_give, NULL, sem_give_finish,
     sem_over, NULL, NULL},
    {"sem.acquire-wait", false, sem_none, NULL, sem_take, sem_give,
     sem_wait_finish, sem_over, NULL, NULL},
    {"event.set", false, event_make, NULL, event_set, NULL, event_set_finish,
     event_over, NULL, NULL},
    {"event.clear", false, event_made_set, NULL, event_clear, NULL,
     event_clear_finish, event_over, NULL, NULL},
    {"event.wait", false, event_make, NULL, event_wait, event_set,
     event_wait_finish, event_over, NULL, NULL},
    {0},
};
