/* SPDX-License-Identifier: MIT */
/*
 * step_ops_lock.c - mutexes and reader-writer locks
 *
 * Whoever comes after a kill gets the lock, hears NDS_EOWNERDEAD exactly if
 * the word names the dead, and can go on as if nothing had been.
 */
#include "step.h"

#include <ndshare/sync.h>
#include <sync/word.h>

/* ---- mutex -------------------------------------------------------------- */

static nds_mutex *mutex;

static void
mutex_plain(void)
{
    must(nds_mutex_new(&mutex, NDS_MUTEX_PLAIN));
    step_watch_segment(step_segment_of(mutex));
}

static void
mutex_recursive(void)
{
    must(nds_mutex_new(&mutex, NDS_MUTEX_RECURSIVE));
    step_watch_segment(step_segment_of(mutex));
}

/* Held by the driver, who lives; he lets go when the victim lies down. */
static void
mutex_contended(void)
{
    mutex_plain();
    must(nds_mutex_lock(mutex, NDS_SEC(5)));
}

static void
mutex_join(void)
{
    must(nds_mutex_lock(mutex, NDS_SEC(5)));
    must(nds_mutex_unlock(mutex));
}

static void
mutex_hold(void)
{
    must(nds_mutex_lock(mutex, NDS_SEC(5)));
}

static void
mutex_hold_twice(void)
{
    mutex_hold();
    mutex_hold();
}

static void
mutex_let_go(void)
{
    must(nds_mutex_unlock(mutex));
}

static void
mutex_cycle_twice(void)
{
    mutex_hold_twice();
    mutex_let_go();
    mutex_let_go();
}

static void
mutex_poisoned(void)
{
    must(nds_mutex_poison(mutex));
}

static void
locked_finish(const struct step_now *now)
{
    bool dead = step_need_mutex_usable(mutex);

    need(!now->ended || dead, "it had returned with the lock");
}

static void
unlocked_finish(const struct step_now *now)
{
    bool dead = step_need_mutex_usable(mutex);

    need(!now->ended || !dead, "it had given the lock back");
}

/* The driver still holds the lock if it was not asked to let go. */
static void
contended_finish(const struct step_now *now)
{
    if (!now->helped) {
        need(nds_mutex_lock(mutex, 0) == NDS_EAGAIN, "the living hold it");
        return;
    }
    step_need_mutex_usable(mutex);
}

static void
poisoned_finish(const struct step_now *now)
{
    int rc = nds_mutex_lock(mutex, NDS_SEC(5));

    need(!now->ended || rc == NDS_EPOISONED, "poisoned, and lock says %d", rc);
    need(rc == NDS_EPOISONED || rc == NDS_EOWNERDEAD, "lock says %d", rc);
    if (rc == NDS_EOWNERDEAD) {
        need(nds_mutex_unlock(mutex) == 0, "unlock after that");
        step_need_mutex_usable(mutex);
    }
}

static void
mutex_over(void)
{
    nds_mutex_close(mutex);
    mutex = NULL;
}

/* ---- reader-writer lock ------------------------------------------------- */

static nds_rwlock *rw;

static void
rw_make(void)
{
    must(nds_rwlock_new(&rw));
    step_watch_segment(step_segment_of(rw));
}

static void
rw_read_by_driver(void)
{
    rw_make();
    must(nds_rwlock_rdlock(rw, NDS_SEC(5)));
}

static void
rw_written_by_driver(void)
{
    rw_make();
    must(nds_rwlock_wrlock(rw, NDS_SEC(5)));
}

static void
rw_join(void)
{
    must(nds_rwlock_rdlock(rw, NDS_SEC(5)));
    must(nds_rwlock_unlock(rw));
}

static void
rw_read(void)
{
    must(nds_rwlock_rdlock(rw, NDS_SEC(5)));
}

static void
rw_write(void)
{
    must(nds_rwlock_wrlock(rw, NDS_SEC(5)));
}

static void
rw_let_go(void)
{
    must(nds_rwlock_unlock(rw));
}

static void
rw_go_on(void)
{
    struct ndi_segment *s = step_segment_of(rw);
    bool dead;
    int rc;

    step_need_lock_sane(&s->party, &s->ctl->object.rwlock.writer, &dead);
    rc = nds_rwlock_wrlock(rw, NDS_SEC(5));
    need(rc == (dead ? NDS_EOWNERDEAD : 0), "wrlock: %d, dead writer: %d", rc,
         dead);
    need(nds_rwlock_unlock(rw) == 0, "unlock of the writer");
    need(nds_rwlock_rdlock(rw, 0) == 0, "rdlock");
    need(nds_rwlock_unlock(rw) == 0, "unlock of the reader");
    need(ndi_load_seq(&s->ctl->object.rwlock.writer.word) == 0,
         "the writer's word is not 0");
    step_need_buried(&s->party);
}

static void
rw_finish(const struct step_now *now)
{
    (void)now;
    rw_go_on();
}

static void
rw_contended_finish(const struct step_now *now)
{
    if (!now->helped) {
        need(nds_rwlock_wrlock(rw, 0) == NDS_EAGAIN, "the living hold it");
        return;
    }
    rw_go_on();
}

static void
rw_over(void)
{
    nds_rwlock_close(rw);
    rw = NULL;
}

const struct step_op step_ops_lock[] = {
    {"mutex.lock", true, mutex_plain, mutex_join, mutex_hold, NULL,
     locked_finish, mutex_over, NULL, NULL},
    {"mutex.unlock", true, mutex_plain, mutex_hold, mutex_let_go, NULL,
     unlocked_finish, mutex_over, NULL, NULL},
    {"mutex.lock-first", false, mutex_plain, NULL, mutex_hold, NULL,
     locked_finish, mutex_over, NULL, NULL},
    {"mutex.lock-contended", false, mutex_contended, NULL,
     mutex_hold, mutex_let_go, contended_finish, mutex_over, NULL, NULL},
    {"mutex.poison", false, mutex_plain, mutex_hold, mutex_poisoned, NULL,
     poisoned_finish, mutex_over, NULL, NULL},
    {"mutex.recursive", false, mutex_recursive, mutex_join,
     mutex_cycle_twice, NULL, unlocked_finish, mutex_over, NULL, NULL},
    {"rwlock.read", false, rw_make, rw_join, rw_read, NULL, rw_finish,
     rw_over, NULL, NULL},
    {"rwlock.read-contended", false, rw_written_by_driver, NULL, rw_read,
     rw_let_go, rw_contended_finish, rw_over, NULL, NULL},
    {"rwlock.read-unlock", false, rw_make, rw_read, rw_let_go, NULL,
     rw_finish, rw_over, NULL, NULL},
    {"rwlock.write", false, rw_make, rw_join, rw_write, NULL, rw_finish,
     rw_over, NULL, NULL},
    {"rwlock.write-contended", false, rw_read_by_driver, NULL, rw_write,
     rw_let_go, rw_contended_finish, rw_over, NULL, NULL},
    {"rwlock.write-unlock", false, rw_make, rw_write, rw_let_go, NULL,
     rw_finish, rw_over, NULL, NULL},
    {0},
};
