/* SPDX-License-Identifier: MIT */
/*
 * test_stress_chan.c - many at once, every item accounted for
 *
 * Threads over one mapping, which is what the thread sanitizer can see, and
 * processes, some of which are killed on the way. Each item carries who made
 * it and its number; consumers tick it off in a table that all share.
 */
#include <harness/chan_of.h>
#include <os/os.h>
#include <sync/word.h>

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAKERS 4
#define TAKERS 4
#define EACH 8000
#define KILLED 3

struct table {
    _Atomic uint32_t seen[MAKERS][EACH];
    _Atomic uint32_t wrong;
    _Atomic uint32_t out_of_order;
};
static struct table *table;
static nds_queue *queue;

static int
make_one(int maker, int i)
{
    static const int64_t sizes[] = {2, 100, 1000, 9000, 3};
    int64_t count = sizes[(maker + i) % 5];
    nds_array *a = NULL;
    int rc;

    if (i % 3 == 0) {
        rc = nds_queue_loan(queue, &a, NDS_INT64, 1, &count, NDS_SEC(20));
    } else {
        rc = nds_array_new(&a, NDS_INT64, 1, &count, NULL);
    }
    if (rc < 0) {
        return rc;
    }
    ((int64_t *)nds_array_data(a))[0] = maker;
    ((int64_t *)nds_array_data(a))[1] = i;
    ((int64_t *)nds_array_data(a))[count - 1] = count > 2 ? ~i : i;
    if (i % 3 == 0) {
        return nds_queue_publish(queue, &a, NULL);
    }
    rc = nds_queue_put(queue, a, NULL, NDS_SEC(20));
    nds_array_close(a);
    return rc;
}

static void *
maker_main(void *arg)
{
    int maker = (int)(intptr_t)arg;

    for (int i = 0; i < EACH; i++) {
        if (make_one(maker, i) < 0) {
            ndi_add_seq(&table->wrong, 1);
            break;
        }
    }
    return NULL;
}

static void
tick(const nds_array *a, int64_t *last)
{
    const int64_t *n = nds_array_data(a);
    int64_t count = nds_array_view(a)->shape[0];

    if (n[0] < 0 || n[0] >= MAKERS || n[1] < 0 || n[1] >= EACH ||
        n[count - 1] != (count > 2 ? ~n[1] : n[1])) {
        ndi_add_seq(&table->wrong, 1);
        return;
    }
    if (last != NULL && n[1] <= last[n[0]]) {
        ndi_add_seq(&table->out_of_order, 1);
    }
    if (last != NULL) {
        last[n[0]] = n[1];
    }
    ndi_add_seq(&table->seen[n[0]][n[1]], 1);
}

static void *
taker_main(void *arg)
{
    int64_t last[MAKERS] = {-1, -1, -1, -1};
    int mode = (int)(intptr_t)arg;
    int rc;

    for (;;) {
        nds_array *a = NULL;

        rc = mode % 2 == 0
                 ? nds_queue_get(queue, &a, NULL, NDS_SEC(20))
                 : nds_queue_take(queue, &a, NULL, NDS_SEC(20));
        if (rc < 0) {
            break;
        }
        if (a == NULL) {
            continue;
        }
        tick(a, last);
        if (mode % 2 == 0) {
            nds_array_close(a);
        } else if (nds_queue_release(queue, &a) < 0) {
            ndi_add_seq(&table->wrong, 1);
        }
    }
    if (rc != NDS_EEOF) {
        ndi_add_seq(&table->wrong, 1);
    }
    return NULL;
}

static void
setup(void)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 64,
                              .max_bytes = 4 << 20};

    table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(table, MAP_FAILED);
    ck_assert_int_eq(nds_queue_new(&queue, &opts), 0);
}

static void
check_all_once(bool ordered)
{
    nds_queue_info info;

    ck_assert_uint_eq(ndi_load_seq(&table->wrong), 0);
    ck_assert(!ordered || ndi_load_seq(&table->out_of_order) == 0);
    for (int m = 0; m < MAKERS; m++) {
        for (int i = 0; i < EACH; i++) {
            ck_assert_msg(ndi_load_rlx(&table->seen[m][i]) == 1,
                          "item %d of maker %d came %u times", i, m,
                          ndi_load_rlx(&table->seen[m][i]));
        }
    }
    ck_assert_int_eq(nds_queue_info_get(queue, &info), 0);
    ck_assert_uint_eq(info.bytes_used, 0);
    ck_assert_int_eq(ndi_chan_valid(chan_of(queue)), 0);
    nds_queue_close(queue);
    munmap(table, sizeof *table);
}

START_TEST(threads_over_one_mapping)
{
    pthread_t makers[MAKERS], takers[TAKERS];

    setup();
    for (int i = 0; i < TAKERS; i++) {
        pthread_create(&takers[i], NULL, taker_main, (void *)(intptr_t)i);
    }
    for (int i = 0; i < MAKERS; i++) {
        pthread_create(&makers[i], NULL, maker_main, (void *)(intptr_t)i);
    }
    for (int i = 0; i < MAKERS; i++) {
        pthread_join(makers[i], NULL);
    }
    ck_assert_int_eq(nds_queue_shutdown(queue), 0);
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(takers[i], NULL);
    }
    // Threads of one participant share a lane, so each sees its order.
    check_all_once(true);
}
END_TEST

static pid_t
start(void *(*fn)(void *), int arg)
{
    pid_t pid = fork();

    if (pid == 0) {
        fn((void *)(intptr_t)arg);
        nds_queue_close(queue);
        _exit(0);
    }
    ck_assert_int_gt(pid, 0);
    return pid;
}

static void
reap(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

START_TEST(processes_exact)
{
    pid_t makers[MAKERS], takers[TAKERS];

    setup();
    for (int i = 0; i < TAKERS; i++) {
        takers[i] = start(taker_main, i);
    }
    for (int i = 0; i < MAKERS; i++) {
        makers[i] = start(maker_main, i);
    }
    for (int i = 0; i < MAKERS; i++) {
        reap(makers[i]);
    }
    ck_assert_int_eq(nds_queue_shutdown(queue), 0);
    for (int i = 0; i < TAKERS; i++) {
        reap(takers[i]);
    }
    check_all_once(true);
}
END_TEST

/* Takes without ever ticking anything off, until it is killed. */
static void *
victim_main(void *arg)
{
    (void)arg;
    for (;;) {
        nds_array *a = NULL;

        if (nds_queue_take(queue, &a, NULL, NDS_SEC(20)) < 0) {
            pause();
        }
        nds_array_close(a); // back to the front
    }
    return NULL;
}

START_TEST(processes_and_killed_consumers)
{
    pid_t makers[MAKERS], takers[2], victim;

    setup();
    takers[0] = start(taker_main, 1);
    takers[1] = start(taker_main, 3);
    for (int i = 0; i < MAKERS; i++) {
        makers[i] = start(maker_main, i);
    }
    for (int i = 0; i < KILLED; i++) {
        int status;

        victim = start(victim_main, 0);
        usleep(30000); // dies wherever it is then
        kill(victim, SIGKILL);
        waitpid(victim, &status, 0);
    }
    for (int i = 0; i < MAKERS; i++) {
        reap(makers[i]);
    }
    (void)ndi_party_sweep(&chan_of(queue)->hub->segment->party);
    ck_assert_int_eq(nds_queue_shutdown(queue), 0);
    reap(takers[0]);
    reap(takers[1]);
    check_all_once(false);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("stress_chan");
    TCase *tc = tcase_create("stress_chan");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, threads_over_one_mapping);
    tcase_add_test(tc, processes_exact);
    tcase_add_test(tc, processes_and_killed_consumers);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
