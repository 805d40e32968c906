/* SPDX-License-Identifier: MIT */
/*
 * test_stress_sync.c - all primitives at once, threads, and processes that die
 *
 * Threads over one mapping guard plain memory, so that the thread sanitizer
 * sees whether the locks order it. Processes are killed at random; who gets in
 * without "owner died" must find everything as a living one left it, and no
 * operation may outlast its deadline.
 */
#include <harness/sync_world.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#define THREADS 4
#define TURNS 3000

static uint64_t plain[4]; /* guarded by lock, recursive, rwlock, guard */
static _Atomic uint32_t wrong;
static _Atomic uint32_t inside_sem;

static void
expect(bool good, const char *what)
{
    if (!good && ndi_add_seq(&wrong, 1) == 0) {
        fprintf(stderr, "wrong: %s\n", what);
    }
}

static void
turn_locks(void)
{
    expect(ndi_lock_acquire(&party, &w->lock, later()) == 0, "lock");
    plain[0]++;
    expect(ndi_lock_unlock(&party, &w->lock) == 0, "unlock");
    for (int i = 0; i < 2; i++) {
        expect(ndi_lock_acquire(&party, &w->recursive, later()) == 0,
               "recursive lock");
    }
    plain[1]++;
    for (int i = 0; i < 2; i++) {
        expect(ndi_lock_unlock(&party, &w->recursive) == 0,
               "recursive unlock");
    }
}

static void
turn_rwlock(int i)
{
    uint64_t seen;

    if (i % 4 == 0) {
        expect(ndi_rwlock_write(&party, &w->rwlock, later()) == 0, "write");
        plain[2]++;
    } else {
        expect(ndi_rwlock_read(&party, &w->rwlock, later()) == 0, "read");
        seen = plain[2];
        ndi_cpu_relax();
        expect(plain[2] == seen, "a writer beside a reader");
    }
    expect(ndi_rwlock_release(&party, &w->rwlock) == 0, "release");
}

static void
turn_sems(void)
{
    expect(ndi_sem_take(&w->sem, later()) == 0, "take");
    expect(ndi_add_seq(&inside_sem, 1) < 2, "more inside than permits");
    ndi_sub_seq(&inside_sem, 1);
    expect(ndi_sem_give(&w->sem, 1) == 0, "give");
    expect(ndi_sem_take_owned(&party, &w->guard, &w->owned, later()) == 0,
           "take owned");
    expect(ndi_load_seq(&w->slots[0].permits) <= 3, "too many permits");
    expect(ndi_sem_give_owned(&party, &w->owned, 1) == 0, "give owned");
}

static void
turn_seqlock(int i)
{
    uint64_t seen, a, b;

    if (i % 4 == 0) {
        expect(ndi_seqlock_write_begin(&party, &w->seqlock, later()) == 0,
               "write_begin");
        ndi_store_rlx(&w->pair[0], ndi_load_rlx(&w->pair[0]) + 1);
        ndi_store_rlx(&w->pair[1], ndi_load_rlx(&w->pair[1]) + 1);
        expect(ndi_seqlock_write_end(&party, &w->seqlock) == 0, "write_end");
        return;
    }
    do {
        expect(ndi_seqlock_read_begin(&party, &w->seqlock, &seen, later()) ==
                   0, "read_begin");
        a = ndi_load_rlx(&w->pair[0]);
        b = ndi_load_rlx(&w->pair[1]);
    } while (ndi_seqlock_read_retry(&w->seqlock, seen));
    expect(a == b, "a torn snapshot");
}

/* A token goes round: thread number counter % THREADS has it. */
static void
turn_cond(uint64_t self)
{
    expect(ndi_lock_acquire(&party, &w->cond.lock, later()) == 0,
           "lock of a condition");
    while (plain[3] % THREADS != self) {
        if (ndi_cond_sleep(&party, &w->cond, later()) != 0) {
            expect(false, "sleep");
            break;
        }
    }
    plain[3]++;
    ndi_cond_wake(&w->cond, INT32_MAX);
    expect(ndi_lock_unlock(&party, &w->cond.lock) == 0,
           "unlock of a condition");
}

static void *
run_thread(void *arg)
{
    uint64_t self = (uint64_t)(uintptr_t)arg;

    for (int i = 0; i < TURNS && ndi_load_seq(&wrong) == 0; i++) {
        turn_locks();
        turn_rwlock(i);
        turn_sems();
        turn_seqlock(i);
        if (i % 50 == 0) {
            turn_cond(self);
            expect(ndi_gate_wait(&party, &w->gate, later(), NULL) == 0,
                   "barrier");
        }
        if (self == 0 && i == TURNS / 2) {
            ndi_flag_set(&w->event);
        } else if (i == TURNS / 2) {
            expect(ndi_flag_wait(&w->event, later()) == 0, "event");
        }
    }
    return NULL;
}

START_TEST(threads_over_one_mapping)
{
    pthread_t threads[THREADS];

    w->gate.parties = THREADS;
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_thread,
                                        (void *)(uintptr_t)i), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(ndi_load_seq(&wrong), 0);
    ck_assert_uint_eq(plain[0], THREADS * TURNS);
    ck_assert_uint_eq(plain[1], THREADS * TURNS);
    ck_assert_uint_eq(plain[2], THREADS * TURNS / 4);
    ck_assert_uint_eq(plain[3], THREADS * TURNS / 50);
    ck_assert_uint_eq(w->pair[0], THREADS * TURNS / 4);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 3);
    ck_assert_uint_eq(ndi_load_seq(&w->sem.count), 2);
}
END_TEST

/* ---- processes, killed -------------------------------------------------- */

#define WORKERS 6
#define KINDS 8

struct ground {
    _Atomic uint64_t holder;          /* who is in the mutex */
    _Atomic uint64_t pair[2];         /* under the rwlock */
    _Atomic uint64_t inside[PARTIES]; /* who holds an owned permit */
    _Atomic uint64_t done[KINDS];
    _Atomic uint32_t wrong;
    char what[64];
};
static struct ground *ground;

static void
demand(bool good, const char *what)
{
    if (!good && ndi_add_seq(&ground->wrong, 1) == 0) {
        snprintf(ground->what, sizeof ground->what, "%s", what);
    }
}

static void
linger(uint32_t turns)
{
    while (turns-- > 0) {
        ndi_cpu_relax();
    }
}

static void
in_the_mutex(struct ndi_lock *l, uint32_t random)
{
    uint64_t self = ndi_party_self(&party);
    int rc = ndi_lock_acquire(&party, l, later());

    demand(rc == 0 || rc == NDS_EOWNERDEAD, "the mutex hangs");
    self = ndi_party_self(&party);
    demand(rc != 0 || ndi_load_seq(&ground->holder) == 0,
           "two in the mutex, or a death untold");
    ndi_store_seq(&ground->holder, self);
    linger(random % 500);
    demand(ndi_load_seq(&ground->holder) == self, "two in the mutex");
    ndi_store_seq(&ground->holder, 0);
    demand(ndi_lock_unlock(&party, l) == 0, "the mutex was not ours");
}

static void
write_under_the_rwlock(uint32_t random)
{
    // Short deadlines too: heirs that give up have to pass the verdict on.
    int64_t deadline = random % 2 == 0 ? ndi_deadline(100000) : later();
    int rc = ndi_rwlock_write(&party, &w->rwlock, deadline);
    uint64_t a;

    if (rc == NDS_ETIMEDOUT && random % 2 == 0) {
        return;
    }
    demand(rc == 0 || rc == NDS_EOWNERDEAD, "writing hangs");
    a = ndi_load_seq(&ground->pair[0]);
    demand(rc != 0 || a == ndi_load_seq(&ground->pair[1]),
           "a writer's death untold to a writer");
    ndi_store_seq(&ground->pair[0], a + 1);
    linger(random % 500);
    ndi_store_seq(&ground->pair[1], a + 1);
    demand(ndi_rwlock_release(&party, &w->rwlock) == 0, "not the writer");
}

static void
read_under_the_rwlock(uint32_t random)
{
    int rc = ndi_rwlock_read(&party, &w->rwlock, later());
    uint64_t a, b;

    demand(rc == 0 || rc == NDS_EOWNERDEAD, "reading hangs");
    a = ndi_load_seq(&ground->pair[0]);
    b = ndi_load_seq(&ground->pair[1]);
    demand(rc != 0 || a == b, "a writer's death untold to a reader");
    linger(random % 500);
    demand(ndi_load_seq(&ground->pair[0]) == a &&
               ndi_load_seq(&ground->pair[1]) == b,
           "a writer beside a reader");
    demand(ndi_rwlock_release(&party, &w->rwlock) == 0, "not a reader");
}

static void
with_a_permit(uint32_t random)
{
    uint64_t self;
    uint32_t index, living = 0;

    demand(ndi_sem_take_owned(&party, &w->guard, &w->owned, later()) == 0,
           "permits are lost");
    self = ndi_party_self(&party);
    index = ndi_owner_index(self);
    ndi_store_seq(&ground->inside[index], self);
    linger(random % 500);
    for (int i = 0; i < PARTIES; i++) {
        uint64_t other = ndi_load_seq(&ground->inside[i]);

        living += other != 0 && !ndi_party_is_dead(&party, other);
    }
    demand(living <= 3, "more living holders than permits");
    ndi_store_seq(&ground->inside[index], 0);
    demand(ndi_sem_give_owned(&party, &w->owned, 1) == 0, "not our permit");
}

static void
over_the_seqlock(uint32_t random)
{
    uint64_t seen = 0, a, b;
    int rc;

    if (random % 2 == 0) {
        rc = ndi_seqlock_write_begin(&party, &w->seqlock, later());
        demand(rc == 0 || rc == NDS_EOWNERDEAD, "write_begin hangs");
        a = ndi_load_rlx(&w->pair[0]);
        demand(rc != 0 || a == ndi_load_rlx(&w->pair[1]),
               "a death untold to the next writer");
        ndi_store_rlx(&w->pair[0], a + 1);
        linger(random % 300);
        ndi_store_rlx(&w->pair[1], a + 1);
        demand(ndi_seqlock_write_end(&party, &w->seqlock) == 0,
               "not the writer of the sequence");
        return;
    }
    do {
        rc = ndi_seqlock_read_begin(&party, &w->seqlock, &seen, later());
        demand(rc == 0 || rc == NDS_EOWNERDEAD, "read_begin hangs");
        a = ndi_load_rlx(&w->pair[0]);
        b = ndi_load_rlx(&w->pair[1]);
    } while (rc == 0 && ndi_seqlock_read_retry(&w->seqlock, seen));
    demand(rc != 0 || a == b, "a torn snapshot");
}

/* No invariant but that they come back. */
static void
wait_a_little(uint32_t random)
{
    int64_t deadline = ndi_deadline(200000 + random % 2000000);
    int64_t start = ndi_now_ns();
    int rc = 0;

    if (random % 3 == 0) {
        rc = ndi_gate_wait(&party, &w->gate, deadline, NULL);
        if (rc == NDS_EBROKEN) {
            ndi_gate_reset(&w->gate);
            rc = 0;
        }
    } else if (random % 3 == 1) {
        rc = ndi_lock_acquire(&party, &w->cond.lock, later());
        if (rc == 0 || rc == NDS_EOWNERDEAD) {
            rc = ndi_cond_sleep(&party, &w->cond, deadline);
            ndi_cond_wake(&w->cond, 1);
            ndi_lock_unlock(&party, &w->cond.lock);
        }
    } else {
        ndi_flag_set(&w->event);
        ndi_flag_clear(&w->event);
        rc = ndi_flag_wait(&w->event, deadline);
    }
    demand(rc == 0 || rc == NDS_ETIMEDOUT || rc == NDS_EOWNERDEAD,
           "a wait went wrong");
    demand(ndi_now_ns() - start < NDS_SEC(8), "a wait outlasted its deadline");
}

static void
work(uint32_t random)
{
    uint32_t kind;

    for (;;) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        kind = random % KINDS;
        if (kind <= 1) {
            in_the_mutex(&w->lock, random / KINDS);
        } else if (kind == 2) {
            write_under_the_rwlock(random / KINDS);
        } else if (kind == 3) {
            read_under_the_rwlock(random / KINDS);
        } else if (kind == 4) {
            with_a_permit(random / KINDS);
        } else if (kind <= 6) {
            over_the_seqlock(random / KINDS);
        } else {
            wait_a_little(random / KINDS);
        }
        ndi_add_seq(&ground->done[kind], 1);
    }
}

static pid_t
start_worker(uint32_t seed)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(60);
        work(seed | 1);
    }
    return pid;
}

/* Kills workers at random, until the time is over or something is wrong. */
static int
cull(pid_t *pids, int64_t deadline)
{
    uint32_t random = (uint32_t)ndi_now_ns() | 1;
    int killed = 0;

    fprintf(stderr, "seed %u\n", random);
    while (!ndi_deadline_over(deadline) && ndi_load_seq(&ground->wrong) == 0) {
        int victim;

        random = random * 1664525 + 1013904223;
        victim = (int)(random >> 16) % WORKERS;
        // Not a wait: each victim gets a random time to be caught in.
        usleep(500 + (random >> 8) % 8000);
        kill_child(pids[victim]);
        pids[victim] = start_worker(random);
        killed++;
    }
    return killed;
}

START_TEST(processes_killed_at_random)
{
    pid_t pids[WORKERS];
    int killed;

    ground = mmap(NULL, sizeof *ground, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(ground, MAP_FAILED);
    for (uint32_t i = 0; i < WORKERS; i++) {
        pids[i] = start_worker(0x9e3779b9u * (i + 1));
    }
    killed = cull(pids, ndi_deadline(NDS_SEC(4)));
    for (int i = 0; i < WORKERS; i++) {
        kill_child(pids[i]);
    }
    ck_assert_msg(ndi_load_seq(&ground->wrong) == 0, "%s", ground->what);
    ck_assert_int_gt(killed, 20);
    for (int i = 0; i < KINDS; i++) {
        ck_assert_msg(ground->done[i] > 0, "kind %d was never done", i);
    }
    // All dead: everything can be had, the verdicts included.
    in_the_mutex(&w->lock, 0);
    write_under_the_rwlock(1);
    read_under_the_rwlock(1);
    over_the_seqlock(0);
    with_a_permit(0);
    ck_assert_msg(ndi_load_seq(&ground->wrong) == 0, "%s", ground->what);
    ck_assert_int_ge(ndi_party_sweep(&party), 0);
    ck_assert_int_eq(ndi_party_alive(&party), 1);
    ck_assert_uint_eq(ndi_sem_free(&party, &w->owned), 3);
    munmap(ground, sizeof *ground);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_test(tc, threads_over_one_mapping);
    tcase_add_test(tc, processes_killed_at_random);
}

int
main(void)
{
    return run_tests("stress sync", add);
}
