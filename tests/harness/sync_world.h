/* SPDX-License-Identifier: MIT */
/*
 * sync_world.h - one object of each kind and a table of participants, shared
 *
 * A memfd holds them all, so the fork of a test is another process in every
 * respect that matters to the sync room. Steps let the processes of a test
 * wait for one another.
 */
#ifndef NDS_SYNC_WORLD_H
#define NDS_SYNC_WORLD_H

#include <os/os.h>
#include <sync/lock.h>
#include <sync/word.h>

#include <check.h>
#include <harness/own_names.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARTIES 8

struct world {
    struct ndi_party_slot slots[PARTIES];
    struct ndi_lock lock;
    struct ndi_lock recursive;
    struct ndi_rwlock rwlock;
    struct ndi_seqlock seqlock;
    struct ndi_condvar cond;
    struct ndi_semaphore sem;
    struct ndi_flag event;
    struct ndi_gate gate;
    struct ndi_lock guard; /* of owned */
    struct ndi_semaphore owned;
    _Atomic uint32_t step;
    _Atomic uint64_t counter;
    _Atomic uint64_t pair[2]; /* under seqlock: equal in every snapshot */
};

static struct world *w;
static struct ndi_party party;
static int fd = -1;

static inline int64_t
soon(void)
{
    return ndi_deadline(NDS_MSEC(20));
}

/* For what comes: the machine may be busy. */
static inline int64_t
later(void)
{
    return ndi_deadline(NDS_SEC(10));
}

/* Everything free, nobody has joined. */
static inline void
fresh_world(void)
{
    ndi_party_fini(&party);
    memset(w, 0, sizeof *w);
    ndi_lock_init(&w->lock, 0);
    ndi_lock_init(&w->recursive, 1);
    ndi_rwlock_init(&w->rwlock);
    ndi_seqlock_init(&w->seqlock);
    ndi_cond_init(&w->cond);
    ndi_sem_init(&w->sem, 2, 3);
    ndi_flag_init(&w->event);
    ndi_gate_init(&w->gate, 2);
    ndi_lock_init(&w->guard, 0);
    ndi_sem_init_owned(&w->owned, 3);
}

static inline void
setup(void)
{
    void *p;

    ck_assert_int_eq(ndi_memfd(&fd, "test-sync", sizeof *w), 0);
    ck_assert_int_eq(ndi_map(&p, fd, 0, sizeof *w, NDI_MAP_WRITE), 0);
    w = p;
    ck_assert_int_eq(ndi_party_init(&party, fd, w->slots, PARTIES, false), 0);
    party.mourn = ndi_gate_mourn; // as a barrier's handle does
    party.mourned = &w->gate;
    fresh_world();
}

static inline void
teardown(void)
{
    ndi_party_fini(&party);
    ndi_unmap(w, sizeof *w);
    ndi_os_close(fd);
}

/* Waits until the other process has got to `step`; 10 s are for ever. */
static inline void
await(uint32_t step)
{
    int64_t deadline = ndi_deadline(NDS_SEC(10));

    while (ndi_load_seq(&w->step) < step) {
        ck_assert(!ndi_deadline_over(deadline));
        ndi_futex_wait(&w->step, ndi_load_seq(&w->step), 1000000);
    }
}

static inline void
reach(uint32_t step)
{
    ndi_store_seq(&w->step, step);
    ndi_futex_wake(&w->step, INT32_MAX);
}

static inline void
kill_child(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}

static inline void
child_ok(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* A child that runs act, takes one step and then waits for its death. */
static inline pid_t
child_that_stays(void (*act)(void))
{
    uint32_t step = ndi_load_seq(&w->step) + 1;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        act();
        reach(step);
        for (;;) {
            pause();
        }
    }
    await(step);
    return pid;
}

/* Stops a child and waits until it has stopped. */
static inline void
stop_child(pid_t pid)
{
    int status;

    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
}

static inline int
run_tests(const char *title, void (*add)(TCase *tc))
{
    TCase *tc = case_with_names(title);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    add(tc);
    return nds_run_case(title, tc);
}

#endif
