/* SPDX-License-Identifier: MIT */
/* test_proc.c - tasks by fork, spawn and forkserver, and what they are given */
#include <ndshare/ndshare.h>

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int
plain(nds_args *args)
{
    size_t n;

    return nds_args_count(args) == 4 && nds_args_int(args, 0) == 7 &&
                   nds_args_float(args, 1) > 2.49 &&
                   strcmp(nds_args_str(args, 2), "text") == 0 &&
                   memcmp(nds_args_bytes(args, 3, &n), "a\0b", 3) == 0 && n == 3
               ? 42
               : 1;
}
NDS_TASK(plain);

/* Expects 1s, leaves 9s. */
static int
overwrite(nds_args *args)
{
    nds_array *a = nds_args_array(args, 0);
    double *d = nds_array_data(a);

    if (d[0] != 1 || d[nds_view_count(nds_array_view(a)) - 1] != 1) {
        return 1;
    }
    return nds_fill(nds_array_view(a), nds_float(9)) < 0 ? 2 : 0;
}
NDS_TASK(overwrite);

static int
sleeper(nds_args *args)
{
    while (nds_args_count(args) >= 0) {
        pause();
    }
    return 1;
}
NDS_TASK(sleeper);

static int
lock_and_die(nds_args *args)
{
    nds_mutex *m = nds_args_handle(args, 0, "mutex");

    if (m == NULL || nds_mutex_lock(m, NDS_SEC(10)) != 0) {
        return 1;
    }
    kill(getpid(), SIGKILL);
    return 2;
}
NDS_TASK(lock_and_die);

static int
write_and_die(nds_args *args)
{
    nds_seqlock *l = nds_args_handle(args, 0, "seqlock");
    nds_sem *s = nds_args_handle(args, 1, "sem");

    if (l == NULL || s == NULL || nds_sem_acquire(s, 0) != 0 ||
        nds_seqlock_write_begin(l, 0) != 0) {
        return 1;
    }
    kill(getpid(), SIGKILL);
    return 2;
}
NDS_TASK(write_and_die);

static int
sender(nds_args *args)
{
    nds_queue *q = nds_args_handle(args, 0, "queue");
    int64_t shape = 1000;
    nds_array *a = NULL;

    if (q == NULL ||
        nds_array_new(&a, NDS_FLOAT64, 1, &shape, NULL) < 0 ||
        nds_fill(nds_array_view(a), nds_float(5)) < 0 ||
        nds_queue_put(q, a, NULL, NDS_SEC(10)) < 0) {
        return 1;
    }
    nds_array_close(a);
    return 0;
}
NDS_TASK(sender);

static const enum nds_start starts[] = {NDS_FORK, NDS_SPAWN, NDS_FORKSERVER};

static nds_proc *
start(const char *task, nds_args *args, enum nds_start how)
{
    nds_proc_options opts = {.size = sizeof opts, .start = how};
    nds_proc *p = NULL;
    int rc = nds_proc_start(&p, task, args, &opts);

    ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
    return p;
}

static int
finish(nds_proc *p)
{
    int code = -1000;

    ck_assert_int_eq(nds_proc_join(p, NDS_SEC(20), &code), 0);
    nds_proc_close(p);
    return code;
}

static nds_array *
ones(enum nds_reach reach)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    int64_t shape[] = {300, 400};
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 2, shape, &opts), 0);
    ck_assert_int_eq(nds_fill(nds_array_view(a), nds_float(1)), 0);
    return a;
}

START_TEST(plain_values_cross)
{
    nds_args *args;

    nds_args_new(&args);
    nds_args_add_int(args, 7);
    nds_args_add_float(args, 2.5);
    nds_args_add_str(args, "text");
    nds_args_add_bytes(args, "a\0b", 3);
    ck_assert_int_eq(finish(start("plain", args, starts[_i])), 42);
    nds_args_free(args);
}
END_TEST

START_TEST(by_value_stays_the_callers)
{
    enum nds_reach reaches[] = {NDS_HEAP, NDS_SHAREABLE};

    for (int i = 0; i < 2; i++) {
        nds_array *a = ones(reaches[i]);
        nds_args *args;

        nds_args_new(&args);
        ck_assert_int_eq(nds_args_add_array(args, a, NDS_BY_VALUE), 0);
        ck_assert_int_eq(finish(start("overwrite", args, starts[_i])), 0);
        ck_assert(((double *)nds_array_data(a))[0] == 1);
        nds_args_free(args);
        nds_array_close(a);
    }
}
END_TEST

START_TEST(shared_is_one_memory)
{
    nds_array *a = ones(NDS_SHAREABLE);
    nds_args *args;

    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_array(args, a, NDS_SHARED), 0);
    ck_assert_int_eq(finish(start("overwrite", args, starts[_i])), 0);
    ck_assert(((double *)nds_array_data(a))[0] == 9);
    nds_args_free(args);
    nds_array_close(a);
}
END_TEST

START_TEST(moved_leaves_nothing_behind)
{
    nds_array *a = ones(NDS_SHAREABLE);
    nds_args *args;

    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_move(args, &a), 0);
    ck_assert_ptr_null(a);
    ck_assert_int_eq(finish(start("overwrite", args, starts[_i])), 0);
    nds_args_free(args);
}
END_TEST

START_TEST(a_dead_childs_lock_comes_to_us)
{
    nds_args *args;
    nds_mutex *m = NULL;

    ck_assert_int_eq(nds_mutex_new(&m, NDS_MUTEX_PLAIN), 0);
    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_handle(args, "mutex", m), 0);
    ck_assert_int_eq(finish(start("lock_and_die", args, starts[_i])),
                     -SIGKILL);
    ck_assert_int_eq(nds_mutex_lock(m, NDS_SEC(10)), NDS_EOWNERDEAD);
    ck_assert_int_eq(nds_mutex_unlock(m), 0);
    nds_args_free(args);
    nds_mutex_close(m);
}
END_TEST

START_TEST(a_dead_childs_permit_and_sequence_come_to_us)
{
    nds_args *args;
    nds_seqlock *l = NULL;
    nds_sem *s = NULL;
    uint64_t seen;

    ck_assert_int_eq(nds_seqlock_new(&l), 0);
    ck_assert_int_eq(nds_sem_new_owned(&s, 1), 0);
    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_handle(args, "seqlock", l), 0);
    ck_assert_int_eq(nds_args_add_handle(args, "sem", s), 0);
    ck_assert_int_eq(finish(start("write_and_die", args, starts[_i])),
                     -SIGKILL);
    ck_assert_int_eq(nds_seqlock_read_begin(l, &seen, NDS_SEC(10)),
                     NDS_EOWNERDEAD);
    ck_assert_int_eq(nds_seqlock_write_begin(l, NDS_SEC(10)), NDS_EOWNERDEAD);
    ck_assert_int_eq(nds_seqlock_write_end(l), 0);
    ck_assert_int_eq(nds_sem_acquire(s, NDS_SEC(10)), 0);
    ck_assert_int_eq(nds_sem_acquire(s, 0), NDS_EAGAIN);
    nds_args_free(args);
    nds_seqlock_close(l);
    nds_sem_close(s);
}
END_TEST

START_TEST(a_queue_crosses)
{
    nds_args *args;
    nds_queue *q = NULL;
    nds_array *a = NULL;

    ck_assert_int_eq(nds_queue_new(&q, NULL), 0);
    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_handle(args, "queue", q), 0);
    ck_assert_int_eq(finish(start("sender", args, starts[_i])), 0);
    ck_assert_int_eq(nds_queue_get(q, &a, NULL, NDS_SEC(10)), 0);
    ck_assert(((double *)nds_array_data(a))[999] == 5);
    nds_array_close(a);
    nds_args_free(args);
    nds_queue_close(q);
}
END_TEST

START_TEST(children_are_waited_for_and_ended)
{
    nds_proc *p;

    // The test runner's own handler, inherited, would end all of us.
    signal(SIGTERM, SIG_DFL);
    p = start("sleeper", NULL, starts[_i]);

    ck_assert(nds_proc_is_alive(p));
    ck_assert_int_gt(nds_proc_pid(p), 0);
    ck_assert_int_eq(nds_proc_join(p, NDS_MSEC(20), NULL), NDS_ETIMEDOUT);
    ck_assert_int_eq(nds_proc_terminate(p), 0);
    ck_assert_int_eq(finish(p), -SIGTERM);
    p = start("sleeper", NULL, starts[_i]);
    ck_assert_int_eq(nds_proc_kill(p), 0);
    ck_assert_int_eq(finish(p), -SIGKILL);
}
END_TEST

START_TEST(what_cannot_start_is_an_error)
{
    nds_proc_options opts = {.size = sizeof opts, .start = starts[_i]};
    nds_proc *p = NULL;
    nds_args *args;
    nds_array *a = ones(NDS_HEAP);

    ck_assert_int_lt(nds_proc_start(&p, "no such task", NULL, &opts), 0);
    ck_assert_ptr_null(p);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "no such task"));
    nds_args_new(&args);
    ck_assert_int_eq(nds_args_add_array(args, a, NDS_SHARED), NDS_EINVAL);
    nds_args_free(args);
    nds_array_close(a);
}
END_TEST

int
main(int argc, char **argv)
{
    Suite *s = suite_create("proc");
    TCase *tc = tcase_create("proc");
    SRunner *sr;
    int failed;

    nds_init(argc, argv);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, plain_values_cross, 0, 3);
    tcase_add_loop_test(tc, by_value_stays_the_callers, 0, 3);
    tcase_add_loop_test(tc, shared_is_one_memory, 0, 3);
    tcase_add_loop_test(tc, moved_leaves_nothing_behind, 0, 3);
    tcase_add_loop_test(tc, a_dead_childs_lock_comes_to_us, 0, 3);
    tcase_add_loop_test(tc, a_dead_childs_permit_and_sequence_come_to_us, 0, 3);
    tcase_add_loop_test(tc, a_queue_crosses, 0, 3);
    tcase_add_loop_test(tc, children_are_waited_for_and_ended, 0, 3);
    tcase_add_loop_test(tc, what_cannot_start_is_an_error, 0, 3);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
