/* SPDX-License-Identifier: MIT */
/*
 * step_ops_sleeper.c - who wakes others is killed, and they sleep
 *
 * A third process sleeps when the victim begins, and what wakes it is the
 * victim's to do. Wherever that was cut short, the sleeper ends with the
 * verdict that the words right after the kill demand, long before its own
 * deadline: at its next look if what it waits for has come, or has become
 * impossible, and else when the next one does what the victim did not.
 */
#include "step.h"

#include <ndshare/sync.h>
#include <sync/word.h>

/* ---- condition: told ---------------------------------------------------- */

static nds_cond *cond;

static struct ndi_condvar *
cond_words(void)
{
    return &step_segment_of(cond)->ctl->object.cond;
}

/* Owner and verdict come with the lock, which the sleeper gives back. */
static int
cond_sleep(void)
{
    int rc;

    must(nds_cond_lock(cond, NDS_SEC(5)));
    rc = nds_cond_wait(cond, STEP_ASLEEP_NS);
    must(nds_cond_unlock(cond));
    return rc;
}

static void
cond_with_sleeper(void)
{
    must(nds_cond_new(&cond));
    step_watch_segment(step_segment_of(cond));
    step_other_sleeps(cond_sleep, (const void *)&cond_words()->seq);
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
    struct ndi_party *p = &step_segment_of(cond)->party;
    bool told = ndi_load_seq(&cond_words()->seq) != 0;
    bool dead;
    int rc;

    step_need_lock_sane(p, &cond_words()->lock, &dead);
    need(!now->ended || (told && !dead), "it had notified and unlocked");
    if (!told) {
        rc = nds_cond_lock(cond, NDS_SEC(5));
        need(rc == (dead ? NDS_EOWNERDEAD : 0), "lock: %d", rc);
        need(nds_cond_notify(cond, 1) == 0, "notify");
        need(nds_cond_unlock(cond) == 0, "unlock");
    }
    rc = step_other_verdict();
    need(rc == (told && dead ? NDS_EOWNERDEAD : 0), "the sleeper: %d", rc);
    need(nds_cond_lock(cond, NDS_SEC(5)) == 0, "lock after that");
    need(nds_cond_unlock(cond) == 0, "unlock after that");
    need(ndi_load_seq(&cond_words()->sleepers) == 0, "sleepers are counted");
    step_need_buried(p);
}

static void
cond_over(void)
{
    step_other_end();
    nds_cond_close(cond);
    cond = NULL;
}

/* ---- barrier: opened ---------------------------------------------------- */

static nds_barrier *barrier;

static struct ndi_gate *
gate(void)
{
    return &step_segment_of(barrier)->ctl->object.barrier;
}

static int
barrier_sleep(void)
{
    return nds_barrier_wait(barrier, STEP_ASLEEP_NS, NULL);
}

static void
barrier_with_sleeper(void)
{
    must(nds_barrier_new(&barrier, 2));
    step_watch_segment(step_segment_of(barrier));
    step_other_sleeps(barrier_sleep, (const void *)&gate()->round);
}

static void
barrier_arrive(void)
{
    must(nds_barrier_wait(barrier, NDS_SEC(5), NULL));
}

/* Has somebody arrived in the first round who is dead now? */
static bool
dead_has_arrived(struct ndi_party *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        struct ndi_party_slot *slot = &p->slots[i];

        if (ndi_load_seq(&slot->arrivals) != 0 &&
            ndi_load_seq(&slot->round) == 0 &&
            ndi_load_acq(&slot->state) != NDI_PARTY_EMPTY &&
            ndi_party_is_dead(p, ndi_owner_make(i, ndi_load_acq(
                                                       &slot->gen)))) {
            return true;
        }
    }
    return false;
}

/* Opened: the sleeper goes on. Arrived, died, not opened: it is told so.
 * Not arrived: it waits for the next one to come, and goes on with him. */
static void
barrier_finish(const struct step_now *now)
{
    struct ndi_party *p = &step_segment_of(barrier)->party;
    uint64_t verdict = ndi_load_seq(&gate()->verdict);
    bool dead = dead_has_arrived(p);
    int rc;

    need(verdict == 0 || verdict == 2, "a verdict of %d", (int)verdict);
    need(!now->ended || verdict == 2, "it had opened the barrier");
    if (verdict == 0 && !dead) {
        rc = nds_barrier_wait(barrier, NDS_SEC(5), NULL);
        need(rc == 0, "arriving in its place: %d", rc);
    }
    rc = step_other_verdict();
    need(rc == (verdict == 0 && dead ? NDS_EBROKEN : 0), "the sleeper: %d",
         rc);
    need(ndi_load_seq(&gate()->sleepers) == 0, "sleepers are counted");
    need(nds_barrier_reset(barrier) == 0, "reset");
    need(nds_barrier_wait(barrier, 1000000, NULL) == NDS_EBROKEN,
         "alone in a new round");
    step_need_buried(p);
}

static void
barrier_over(void)
{
    step_other_end();
    nds_barrier_close(barrier);
    barrier = NULL;
}

/* ---- mutex: let go ------------------------------------------------------ */

static nds_mutex *mutex;

static struct ndi_lock *
mutex_words(void)
{
    return &step_segment_of(mutex)->ctl->object.mutex;
}

static int
mutex_sleep(void)
{
    int rc = nds_mutex_lock(mutex, STEP_ASLEEP_NS);

    must(nds_mutex_unlock(mutex));
    return rc;
}

static void
mutex_make(void)
{
    must(nds_mutex_new(&mutex, NDS_MUTEX_PLAIN));
    step_watch_segment(step_segment_of(mutex));
}

static void
mutex_hold(void)
{
    must(nds_mutex_lock(mutex, NDS_SEC(5)));
}

/* The victim holds it by now. */
static void
mutex_sleeper(void)
{
    step_other_sleeps(mutex_sleep, (const void *)&mutex_words()->futex);
}

static void
mutex_let_go(void)
{
    must(nds_mutex_unlock(mutex));
}

static void
mutex_finish(const struct step_now *now)
{
    struct ndi_party *p = &step_segment_of(mutex)->party;
    bool dead;
    int rc;

    step_need_lock_sane(p, mutex_words(), &dead);
    need(!now->ended || !dead, "it had given the lock back");
    rc = step_other_verdict();
    need(rc == (dead ? NDS_EOWNERDEAD : 0), "the sleeper: %d, dead holder: %d",
         rc, dead);
    need(nds_mutex_lock(mutex, NDS_SEC(5)) == 0, "lock after that");
    need(nds_mutex_unlock(mutex) == 0, "unlock after that");
    step_need_buried(p);
}

static void
mutex_over(void)
{
    step_other_end();
    nds_mutex_close(mutex);
    mutex = NULL;
}

/* ---- event: set; semaphore: given --------------------------------------- */

static nds_event *event;

static int
event_sleep(void)
{
    return nds_event_wait(event, STEP_ASLEEP_NS);
}

static void
event_with_sleeper(void)
{
    must(nds_event_new(&event));
    step_watch_segment(step_segment_of(event));
    step_other_sleeps(
        event_sleep,
        (const void *)&step_segment_of(event)->ctl->object.event.seq);
}

static void
event_set(void)
{
    must(nds_event_set(event));
}

static void
event_finish(const struct step_now *now)
{
    bool set = nds_event_is_set(event);
    int rc;

    need(set || !now->ended, "it had set the event");
    if (!set) {
        event_set();
    }
    rc = step_other_verdict();
    need(rc == 0, "the sleeper: %d", rc);
}

static void
event_over(void)
{
    step_other_end();
    nds_event_close(event);
    event = NULL;
}

static nds_sem *sem;

static int
sem_sleep(void)
{
    return nds_sem_acquire(sem, STEP_ASLEEP_NS);
}

static void
sem_with_sleeper(void)
{
    must(nds_sem_new(&sem, 0, 5));
    step_watch_segment(step_segment_of(sem));
    step_other_sleeps(
        sem_sleep,
        (const void *)&step_segment_of(sem)->ctl->object.sem.count);
}

static void
sem_give(void)
{
    must(nds_sem_release(sem, 1));
}

static void
sem_finish(const struct step_now *now)
{
    bool given = nds_sem_value(sem) == 1;
    int rc;

    need(given || !now->ended, "it had given a permit");
    if (!given) {
        sem_give();
    }
    rc = step_other_verdict();
    need(rc == 0, "the sleeper: %d", rc);
    need(nds_sem_value(sem) == 0, "one permit too many");
}

static void
sem_over(void)
{
    step_other_end();
    nds_sem_close(sem);
    sem = NULL;
}

#define OP(name, setup, operate, finish, teardown)                            \
    {name, false, setup, NULL, operate, NULL, finish, teardown, NULL, NULL}

const struct step_op step_ops_sleeper[] = {
    OP("cond.notify-sleeper", cond_with_sleeper, cond_tell, cond_finish,
       cond_over),
    OP("barrier.open-sleeper", barrier_with_sleeper, barrier_arrive,
       barrier_finish, barrier_over),
    {"mutex.unlock-sleeper", false, mutex_make, mutex_hold, mutex_let_go,
     NULL, mutex_finish, mutex_over, NULL, mutex_sleeper},
    OP("event.set-sleeper", event_with_sleeper, event_set, event_finish,
       event_over),
    OP("sem.release-sleeper", sem_with_sleeper, sem_give, sem_finish,
       sem_over),
    {0},
};
