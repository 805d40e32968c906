/* SPDX-License-Identifier: MIT */
/*
 * test_kill_chan.c - every kill point of every operation of a channel
 *
 * A child does one operation and is killed at its n-th kill point, for n from
 * 1 until it survives. Then this process goes on with the same queue: what it
 * finds by get, the words and the caches must agree with one of the two
 * histories, done or not done, and a redelivered item says so.
 */
#include <harness/chan_of.h>
#include <os/killpoint.h>
#include <sync/word.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static nds_array *
numbers(int64_t count, double first, enum nds_reach reach)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    nds_array *a = NULL;

    if (nds_array_new(&a, NDS_FLOAT64, 1, &count, &opts) < 0) {
        abort();
    }
    ((double *)nds_array_data(a))[0] = first;
    return a;
}

static int
put(nds_queue *q, int64_t count, double first, enum nds_reach reach)
{
    nds_array *a = numbers(count, first, reach);
    int rc = reach == NDS_HEAP ? nds_queue_put(q, a, NULL, NDS_SEC(5))
                               : nds_queue_put_move(q, &a, NULL, NDS_SEC(5));

    nds_array_close(a);
    return rc;
}

/* ---- the operations ----------------------------------------------------- */

struct op {
    const char *name;
    void (*before)(nds_queue *q); /* in this process */
    void (*run)(nds_queue *q);    /* in the child that is killed */
    int adds;   /* items it puts */
    int takes;  /* items it takes out for good */
    int64_t count;
    enum nds_reach reach;
    bool acknowledge;
};
static const struct op *op_now;

static void
run_put(nds_queue *q)
{
    (void)put(q, op_now->count, 100, op_now->reach);
}

/* A run of two sizes; then one more, so that the queue of 8 is not full. */
static void
run_put_many(nds_queue *q)
{
    nds_array *a[4];
    int done;

    for (int i = 0; i < 4; i++) {
        a[i] = numbers(i % 2 == 0 ? 10 : op_now->count, 100 + 10 * i,
                       NDS_HEAP);
    }
    (void)nds_queue_put_many(q, 4, a, NULL, NDS_SEC(5), &done);
    for (int i = 0; i < 4; i++) {
        nds_array_close(a[i]);
    }
}

static void
before_many(nds_queue *q)
{
    (void)put(q, 20, 20, NDS_HEAP);
}

static void
run_get_many(nds_queue *q)
{
    nds_array *a[2] = {NULL};
    int count;

    (void)nds_queue_get_many(q, 2, a, NULL, NDS_SEC(5), &count);
    for (int i = 0; i < count; i++) {
        nds_array_close(a[i]);
        if (op_now->acknowledge) {
            (void)nds_queue_task_done(q);
        }
    }
}

static void
run_loan_publish(nds_queue *q)
{
    nds_array *l = NULL;

    if (nds_queue_loan(q, &l, NDS_FLOAT64, 1, &op_now->count, NDS_SEC(5)) ==
        0) {
        ((double *)nds_array_data(l))[0] = 100;
        (void)nds_queue_publish(q, &l, NULL);
    }
}

static void
run_loan_discard(nds_queue *q)
{
    nds_array *l = NULL;

    if (nds_queue_loan(q, &l, NDS_FLOAT64, 1, &op_now->count, NDS_SEC(5)) ==
        0) {
        nds_queue_discard(q, &l);
    }
}

static void
run_get(nds_queue *q)
{
    nds_array *a = NULL;

    (void)nds_queue_get(q, &a, NULL, NDS_SEC(5));
    nds_array_close(a);
    if (op_now->acknowledge) {
        (void)nds_queue_task_done(q);
    }
}

/* The first in a section, the second picked. */
static void
run_get_twice(nds_queue *q)
{
    run_get(q);
    run_get(q);
}

/* A file that is received and moved on, into the queue it came from. */
static void
run_forward(nds_queue *q)
{
    nds_array *a = NULL;

    if (nds_queue_get(q, &a, NULL, NDS_SEC(5)) == 0) {
        ((double *)nds_array_data(a))[0] = 100;
        (void)nds_queue_put_move(q, &a, NULL, NDS_SEC(5));
        nds_array_close(a);
    }
}

static void
run_take_release(nds_queue *q)
{
    nds_array *a = NULL;

    if (nds_queue_take(q, &a, NULL, NDS_SEC(5)) == 0) {
        (void)nds_queue_release(q, &a);
    }
}

/* The first in a section, the second picked. */
static void
run_take_release_twice(nds_queue *q)
{
    run_take_release(q);
    run_take_release(q);
}

static void
run_take_back(nds_queue *q)
{
    nds_array *a = NULL;

    if (nds_queue_take(q, &a, NULL, NDS_SEC(5)) == 0) {
        nds_array_close(a);
    }
}

static void
run_shutdown(nds_queue *q)
{
    (void)nds_queue_shutdown(q);
}

/* A child died with an item and a loan, holding the lock: bury and repair. */
static void
before_dead(nds_queue *q)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        nds_array *a = NULL, *l = NULL;
        int64_t n = 2000;

        (void)put(q, 10, 50, NDS_HEAP); // its own, in its lane
        (void)nds_queue_take(q, &a, NULL, NDS_SEC(5));
        (void)nds_queue_loan(q, &l, NDS_FLOAT64, 1, &n, NDS_SEC(5));
        (void)ndi_chan_lock(chan_of(q));
        raise(SIGKILL);
    }
    waitpid(pid, &status, 0);
}

static void
run_bury(nds_queue *q)
{
    struct ndi_hub *hub = chan_of(q)->hub;

    ndi_hub_enter_image(hub);
    (void)ndi_party_sweep(&hub->segment->party);
}

/* A child got, and died before it could say task_done. */
static void
before_debt(nds_queue *q)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        nds_array *a = NULL;

        (void)put(q, 20, 30, NDS_HEAP);
        (void)nds_queue_get(q, &a, NULL, NDS_SEC(5));
        raise(SIGKILL);
    }
    waitpid(pid, &status, 0);
}

/* Parked by their taker's death: an inline one and one with a file. */
static void
before_parked(nds_queue *q)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        nds_array *a = NULL;

        (void)nds_queue_take(q, &a, NULL, NDS_SEC(5));
        raise(SIGKILL);
    }
    waitpid(pid, &status, 0);
    ck_assert_int_eq(ndi_party_sweep(&chan_of(q)->hub->segment->party), 1);
}

static void
run_take_parked(nds_queue *q)
{
    nds_array *a = NULL;

    if (nds_queue_take_parked(q, &a, NULL) == 0) {
        (void)nds_queue_release(q, &a);
    }
}

static void
run_requeue(nds_queue *q)
{
    uint64_t count;

    (void)nds_queue_requeue_parked(q, &count);
}

static void
run_discard(nds_queue *q)
{
    uint64_t count;

    (void)nds_queue_discard_parked(q, &count);
}

static void
run_close(nds_queue *q)
{
    (void)nds_queue_put_none(q, 0); // joins, so that closing has to leave
    nds_queue_close(q);
}

/* Free memory above an item of its own. */
static void
before_trim(nds_queue *q)
{
    int64_t n = 6 << 20;
    nds_array *l = NULL;

    (void)put(q, 20, 20, NDS_HEAP);
    ck_assert_int_eq(nds_queue_loan(q, &l, NDS_UINT8, 1, &n, 0), 0);
    memset(nds_array_data(l), 1, (size_t)n);
    nds_queue_discard(q, &l);
}

static void
run_trim(nds_queue *q)
{
    (void)nds_queue_trim(q, 0);
}

static const struct op ops[] = {
    {"put small", NULL, run_put, 1, 0, 20, NDS_HEAP, false},
    {"put large", NULL, run_put, 1, 0, 20000, NDS_HEAP, false},
    {"put moved", NULL, run_put, 1, 0, 20000, NDS_SHAREABLE, false},
    {"put many", NULL, run_put_many, 4, 0, 2000, NDS_HEAP, false},
    {"get many", before_many, run_get_many, 0, 2, 20000, NDS_HEAP, false},
    {"get many, task_done", before_many, run_get_many, 0, 2, 20000, NDS_HEAP,
     true},
    {"get many moved", before_many, run_get_many, 0, 2, 20000, NDS_SHAREABLE,
     false},
    {"loan, publish", NULL, run_loan_publish, 1, 0, 20000, NDS_HEAP, false},
    {"loan, discard", NULL, run_loan_discard, 0, 0, 20000, NDS_HEAP, false},
    {"get small", NULL, run_get, 0, 1, 20, NDS_HEAP, false},
    {"get small twice", before_many, run_get_twice, 0, 2, 20, NDS_HEAP,
     false},
    {"get large", NULL, run_get, 0, 1, 20000, NDS_HEAP, false},
    {"get moved", NULL, run_get, 0, 1, 20000, NDS_SHAREABLE, false},
    {"forward", NULL, run_forward, 1, 1, 20000, NDS_SHAREABLE, false},
    {"get, task_done", NULL, run_get, 0, 1, 20000, NDS_HEAP, true},
    {"get moved, task_done", NULL, run_get, 0, 1, 20000, NDS_SHAREABLE, true},
    {"take, release", NULL, run_take_release, 0, 1, 20000, NDS_HEAP, false},
    {"take, release twice", before_many, run_take_release_twice, 0, 2, 20,
     NDS_HEAP, false},
    {"take, close", NULL, run_take_back, 0, 0, 20000, NDS_HEAP, false},
    {"shutdown", NULL, run_shutdown, 0, 0, 20, NDS_HEAP, false},
    {"bury, repair", before_dead, run_bury, 0, 0, 20, NDS_HEAP, false},
    {"bury a debt", before_debt, run_bury, 0, 1, 20, NDS_HEAP, false},
    {"take parked, release", before_parked, run_take_parked, 0, 1, 20000,
     NDS_SHAREABLE, false},
    {"requeue parked", before_parked, run_requeue, 0, 0, 20000,
     NDS_SHAREABLE, false},
    {"discard parked", before_parked, run_discard, 0, 1, 20000,
     NDS_SHAREABLE, false},
    {"trim", before_trim, run_trim, 0, 0, 600000, NDS_HEAP, false},
    {"close", NULL, run_close, 1, 0, 20, NDS_HEAP, false},
};

/* By policy; what is parked at the end is requeued. */
static bool
parks(const struct op *op)
{
    return op->before == before_parked;
}

/* Everything that is left, told apart by its first number. */
static void
drain(nds_queue *q, int n, unsigned *seen, int *count)
{
    nds_array *a = NULL;
    int rc;

    *seen = 0;
    *count = 0;
    while ((rc = nds_queue_get(q, &a, NULL, 0)) == 0 || n-- > 0) {
        unsigned bit = 1;

        if (rc == NDS_EAGAIN) {
            // Who tries also buries, at most every 50 ms.
            rc = ndi_party_sweep(&chan_of(q)->hub->segment->party);
            ck_assert_int_ge(rc, 0);
            continue;
        }
        if (rc == NDS_EEOF) {
            break;
        }
        ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
        if (a != NULL) {
            bit = 1U << ((unsigned)((double *)nds_array_data(a))[0] / 10 + 1);
        }
        ck_assert_msg((*seen & bit) == 0, "an item came twice");
        *seen |= bit;
        ++*count;
        nds_array_close(a);
        if (chan_of(q)->acknowledge) {
            ck_assert_int_eq(nds_queue_task_done(q), 0);
        }
    }
}

static void
check_after(const struct op *op, nds_queue *q, uint32_t at, bool killed)
{
    int base = 2 + (op->before != NULL && !parks(op)), count;
    nds_queue_info info;
    unsigned seen;

    if (parks(op)) {
        uint64_t n;

        (void)ndi_party_sweep(&chan_of(q)->hub->segment->party);
        ck_assert_int_eq(nds_queue_requeue_parked(q, &n), 0);
    }
    drain(q, 2, &seen, &count);
    ck_assert_msg(count >= base - op->takes && count <= base + op->adds,
                  "%s, killed at %u: %d items", op->name, at, count);
    ck_assert_msg(killed || count == base - op->takes + op->adds,
                  "%s, not killed: %d items", op->name, count);
    // The first one that nobody was to take.
    ck_assert_msg((seen & 1U << (op->takes > 1 ? 3 : 2)) != 0,
                  "%s, %u: an item is lost", op->name, at);
    // A run is put in its order: what is there has all before it.
    for (unsigned bit = 12; bit < 15; bit++) {
        ck_assert_msg((seen & 1U << bit) == 0 || (seen & 1U << (bit - 1)) != 0,
                      "%s, %u: %x has a gap", op->name, at, seen);
    }
    // What this process got is owed still, and what the dead got no more; a
    // debt that nobody owes would let the next join wait for ever.
    for (int i = 0; i < count && !op->acknowledge; i++) {
        ck_assert_msg(nds_queue_task_done(q) == 0, "%s, %u: %d owed", op->name,
                      at, (int)ndi_chan_owed(chan_of(q)));
    }
    ck_assert_msg(nds_queue_join(q, 0) == 0, "%s, %u: %d owed by "
                  "nobody", op->name, at, (int)ndi_chan_owed(chan_of(q)));
    ck_assert_int_eq(nds_queue_info_get(q, &info), 0);
    ck_assert_msg(info.loaned + info.taken + info.items + info.bytes_used ==
                      0, "%s, %u: %d loaned %d taken", op->name, at,
                  (int)info.loaned, (int)info.taken);
    ck_assert_msg(ndi_chan_valid(chan_of(q)) == 0, "%s, killed at %u: %s",
                  op->name, at, nds_last_error()->message);
}

/* No file of this queue but its marker. */
static void
check_names(nds_queue *q, const char *op, uint32_t at)
{
    struct ndi_chan *c = chan_of(q);

    for (uint32_t i = 0; i < 8; i++) {
        char name[NDI_TICKET_NAME];
        struct ndi_segment *s = NULL;

        ndi_ticket_name(c, i, name);
        ck_assert_msg(ndi_segment_attach_hidden(&s, name, NDS_READ) < 0,
                      "%s, killed at %u: %s is left", op, at, name);
    }
}

static bool
walk_once(const struct op *op, uint32_t at, struct ndi_kill_page *page)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 8,
                              .max_bytes = 16 << 20,
                              .acknowledge = op->acknowledge,
                              .redelivery = parks(op) ? NDS_PARK
                                                      : NDS_REDELIVER};
    nds_queue *q = NULL;
    int status;
    bool killed;
    pid_t pid;

    ck_assert_int_eq(nds_queue_new(&q, &opts), 0);
    ck_assert_int_eq(put(q, op->count, 0, op->reach), 0);
    ck_assert_int_eq(put(q, 10, 10, NDS_HEAP), 0);
    if (op->before != NULL) {
        op->before(q);
    }
    page->visits = 0;
    page->kill_at = at;
    page->fired = 0;
    op_now = op;
    pid = fork();
    if (pid == 0) {
        ndi_kill_install(page);
        op->run(q);
        ndi_kill_install(NULL);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    killed = WIFSIGNALED(status);
    ck_assert(killed ? WTERMSIG(status) == SIGKILL : status == 0);
    check_after(op, q, at, killed);
    check_names(q, op->name, at);
    nds_queue_close(q);
    return killed;
}

START_TEST(every_kill_point)
{
    const struct op *op = &ops[_i];
    struct ndi_kill_page *page = ndi_kill_page_new();
    uint32_t at = 1;

    ck_assert_ptr_nonnull(page);
    while (walk_once(op, at, page)) {
        at++;
    }
    printf("%s: %u points\n", op->name, at - 1);
    ck_assert_uint_gt(at, 3);
    ndi_kill_page_free(page);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("kill_chan");
    TCase *tc = tcase_create("kill_chan");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_kill_point, 0,
                        (int)(sizeof ops / sizeof ops[0]));
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
