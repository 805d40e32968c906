/* SPDX-License-Identifier: MIT */
/*
 * fault_table.c - every kernel call of an operation made to fail, one by one
 *
 *     fault_table [--all [OPERATION]]
 *
 * An operation succeeds all the same or fails with an error that says why; it
 * leaves no descriptor, mapping, name or process, and never hangs. The faults
 * are put into the process that operates, and into the children and servers
 * that it starts. Without --all a sample of calls, one error for each.
 */
#include <check.h>
#include <harness/walk.h>
#include <ndshare/ndshare.h>
#include <os/os.h>
#include <proc/proc_impl.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ELEMENTS 300000 /* more than an arena keeps, less than is slow */
#define TIMEOUT NDS_SEC(5)
#define SAMPLE 16

static unsigned step = SAMPLE;
static const char *only;
static char name[64];

/* Set by the last try() that was none of: success, outcome, error with text. */
static int odd;

static bool
try_at(int line, int rc)
{
    if (rc == 0 || rc == NDS_EAGAIN || rc == NDS_ETIMEDOUT ||
        rc == NDS_EOWNERDEAD) {
        return rc == 0;
    }
    if (rc > 0 || nds_last_error()->code != rc ||
        nds_last_error()->message[0] == '\0') {
        odd = line;
    }
    return false;
}
#define try(call) try_at(__LINE__, call)

static bool
make(nds_array **out, enum nds_reach reach)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    int64_t n = ELEMENTS;

    return try(nds_array_new(out, NDS_FLOAT64, 1, &n, &opts)) &&
           try(nds_fill(nds_array_view(*out), nds_float(1)));
}

/* ---- named arrays ------------------------------------------------------- */

static void
named(void)
{
    nds_array_options opts = {.size = sizeof opts, .capacity = ELEMENTS};
    nds_array *a = NULL, *b = NULL;
    int64_t n = ELEMENTS / 2;

    if (try(nds_array_create(&a, name, NDS_FLOAT64, 1, &n, &opts)) &&
        try(nds_array_attach(&b, name, NDS_READWRITE, 0)) &&
        try(nds_array_lock(b, TIMEOUT))) {
        (void)try(nds_array_unlock(b));
    }
    if (b != NULL && try(nds_array_resize(b, ELEMENTS)) &&
        try(nds_array_resize(b, 2 * ELEMENTS))) { // a new file takes the name
        (void)try(nds_array_refresh(a));
    }
    nds_array_close(a);
    nds_array_close(b);
    a = NULL;
    opts.replace = true;
    (void)try(nds_array_create(&a, name, NDS_INT32, 1, &n, &opts));
    nds_array_close(a);
    if (!try(nds_array_unlink(name)) && access(name, F_OK) == 0) {
        (void)try(nds_array_unlink(name));
    }
    (void)nds_array_unlink(name); // where the fault had hit the first one
}

/* ---- channels ----------------------------------------------------------- */

static void
put_and_get(nds_queue *q)
{
    nds_array *small = NULL, *large = NULL, *got = NULL;
    int64_t n = 10;
    int fd;

    if (try(nds_array_new(&small, NDS_FLOAT64, 1, &n, NULL)) &&
        make(&large, NDS_SHAREABLE) &&
        try(nds_queue_put(q, small, NULL, TIMEOUT)) &&
        try(nds_queue_put(q, large, NULL, TIMEOUT)) &&
        try(nds_queue_put_move(q, &large, NULL, TIMEOUT))) {
        (void)try(nds_queue_fd(q, &fd));
    }
    nds_array_close(small);
    nds_array_close(large);
    while (try(nds_queue_get(q, &got, NULL, 0))) {
        nds_array_close(ndi_steal(&got));
    }
    if (try(nds_queue_loan(q, &got, NDS_FLOAT64, 1, &n, TIMEOUT)) &&
        !try(nds_queue_publish(q, &got, NULL))) {
        nds_queue_discard(q, &got);
    }
}

static void
queue(void)
{
    nds_queue_options opts = {.size = sizeof opts, .max_items = 8};
    nds_queue *q = NULL, *again = NULL;

    if (try(nds_queue_new(&q, &opts))) {
        put_and_get(q);
    }
    nds_queue_close(q);
    q = NULL;
    if (try(nds_queue_create(&q, name, &opts)) &&
        try(nds_queue_attach(&again, name, 0))) {
        put_and_get(again);
    }
    nds_queue_close(q);
    nds_queue_close(again);
    (void)try(nds_queue_unlink(name));
    (void)nds_queue_unlink(name);
}

static void
pipes(void)
{
    nds_pipe_options opts = {.size = sizeof opts, .duplex = true};
    nds_pipe *a = NULL, *b = NULL;
    nds_array *x = NULL, *y = NULL;

    if (try(nds_pipe_new(&a, &b, &opts)) && make(&x, NDS_SHAREABLE) &&
        try(nds_pipe_send(a, x, NULL, TIMEOUT)) &&
        try(nds_pipe_recv(b, &y, NULL, TIMEOUT)) &&
        try(nds_pipe_send_move(b, &y, NULL, TIMEOUT)) &&
        try(nds_pipe_poll(a, TIMEOUT))) {
        (void)try(nds_pipe_recv(a, &y, NULL, TIMEOUT));
    }
    nds_array_close(x);
    nds_array_close(y);
    nds_pipe_close(a);
    nds_pipe_close(b);
}

/* ---- processes ---------------------------------------------------------- */

/* Fails only where a fault was put into the child itself. */
static int
takes(nds_args *args)
{
    nds_queue *q = nds_args_handle(args, 4, "queue");

    for (int i = 0; i < 4; i++) {
        nds_array *a = nds_args_array(args, i);

        if (a == NULL || ((double *)nds_array_data(a))[ELEMENTS - 1] != 1) {
            return 2;
        }
    }
    return nds_queue_put(q, nds_args_array(args, 0), NULL, TIMEOUT) < 0;
}
NDS_TASK(takes);

static bool
arguments(nds_args **args, nds_array *arrays[4], nds_queue **q)
{
    bool good = try(nds_args_new(args)) && make(&arrays[0], NDS_HEAP) &&
                make(&arrays[1], NDS_SHAREABLE) &&
                make(&arrays[2], NDS_SHAREABLE) &&
                make(&arrays[3], NDS_SHAREABLE) &&
                try(nds_array_freeze(arrays[2])) && try(nds_queue_new(q, NULL));

    for (int i = 0; good && i < 3; i++) {
        good = try(nds_args_add_array(*args, arrays[i], NDS_BY_VALUE));
    }
    return good && try(nds_args_add_move(*args, &arrays[3])) &&
           try(nds_args_add_handle(*args, "queue", *q));
}

static void
start_by(enum nds_start how)
{
    nds_proc_options opts = {.size = sizeof opts, .start = how};
    nds_array *arrays[4] = {0}, *got = NULL;
    nds_args *args = NULL;
    nds_queue *q = NULL;
    nds_proc *p = NULL;
    int code = 0;

    if (arguments(&args, arrays, &q) &&
        try(nds_proc_start(&p, "takes", args, &opts))) {
        if (!try(nds_proc_join(p, NDS_SEC(15), &code))) {
            (void)nds_proc_join(p, NDS_SEC(15), &code);
        }
        if (code != 0 && code != 1 && code != 127) {
            odd = __LINE__;
        }
        if (try(nds_queue_get(q, &got, NULL, 0))) {
            nds_array_close(got);
        }
    }
    nds_proc_close(p);
    nds_args_free(args);
    for (int i = 0; i < 4; i++) {
        nds_array_close(arrays[i]);
    }
    nds_queue_close(q);
    ndi_server_stop();
}

static void by_fork(void) { start_by(NDS_FORK); }
static void by_spawn(void) { start_by(NDS_SPAWN); }
static void by_server(void) { start_by(NDS_FORKSERVER); }

/* ---- a manager ---------------------------------------------------------- */

static void
manager_by(enum nds_start how)
{
    nds_manager_options opts = {.size = sizeof opts, .start = (int)how,
                                .timeout_ns = TIMEOUT};
    nds_manager *m = NULL;
    nds_proxy *p = NULL;
    nds_array *a = NULL;
    double sum;

    if (try(nds_manager_start(&m, &opts)) &&
        try(nds_manager_create(m, &p, "ones", "(100000,)")) &&
        try(nds_proxy_reduce(p, "sum", &sum)) &&
        try(nds_proxy_map(p, &a, NDS_READWRITE))) {
        (void)try(nds_proxy_store(p, "[3:5]", a));
    }
    nds_array_close(a);
    nds_proxy_close(p);
    if (m != NULL && !try(nds_manager_shutdown(m))) {
        (void)nds_manager_shutdown(m);
    }
    nds_manager_close(m);
}

static void manager_fork(void) { manager_by(NDS_FORK); }
static void manager_spawn(void) { manager_by(NDS_SPAWN); }

/* ---- scopes and lists ---------------------------------------------------- */

static void
scope(void)
{
    nds_shareable_list_options opts = {.size = sizeof opts};
    nds_shareable_list *l = NULL, *again = NULL;
    nds_value *v = NULL;

    if (try(nds_value_parse(&v, "[1, 'two', None]")) &&
        try(nds_scope_new(&opts.scope)) &&
        try(nds_shareable_list_create(&l, NULL, v, &opts)) &&
        try(nds_shareable_list_attach(&again, nds_shareable_list_name(l),
                                      NDS_READWRITE)) &&
        try(nds_shareable_list_set(again, 1, nds_value_str("2"))) &&
        try(nds_block_check_name(nds_shareable_list_block(l)))) {
        int names = nds_scope_count(opts.scope);

        (void)try(names < 0 ? names : 0);
    }
    nds_shareable_list_close(again);
    nds_shareable_list_close(l);
    nds_scope_close(opts.scope);
    nds_value_free(v);
}

/* ---- connections --------------------------------------------------------- */

static const nds_conn_options conn_options = {
    .size = sizeof conn_options,
    .authkey = "key",
    .authkey_nbytes = 3,
    .timeout_ns = NDS_MSEC(500),
};

/* Connects and sends an array twice. */
static void *
talker(void *address)
{
    nds_array *a = NULL;
    nds_conn *c = NULL;

    if (try(nds_conn_connect(&c, address, &conn_options)) &&
        make(&a, NDS_HEAP) && try(nds_conn_send_array(c, a, TIMEOUT))) {
        (void)try(nds_conn_send_array(c, a, TIMEOUT));
    }
    nds_array_close(a);
    nds_conn_close(c);
    return NULL;
}

static void
connection(void)
{
    nds_array *got = NULL;
    nds_listener *l = NULL;
    nds_conn *c = NULL;
    pthread_t t;

    if (!try(nds_listener_new(&l, NULL, &conn_options))) {
        return;
    }
    pthread_create(&t, NULL, talker, (char *)nds_listener_address(l));
    if (try(nds_listener_accept(l, &c, NDS_MSEC(500))) &&
        try(nds_conn_recv_array(c, &got, NDS_MSEC(500)))) {
        (void)try(nds_conn_recv_array_into(c, nds_array_view(got),
                                           NDS_MSEC(500)));
    }
    nds_array_close(got);
    nds_conn_close(c);
    nds_listener_close(l);
    pthread_join(t, NULL);
}

/* ---- the table ---------------------------------------------------------- */

static const struct op {
    const char *title;
    void (*run)(void);
    const char *claim; /* the process that has the faults; NULL: our own */
} ops[] = {
    {"named array", named, NULL},
    {"queue", queue, NULL},
    {"pipe", pipes, NULL},
    {"scope", scope, NULL},
    {"connection", connection, NULL},
    {"fork", by_fork, NULL},
    {"fork, the child", by_fork, "forked.begin"},
    {"spawn", by_spawn, NULL},
    {"spawn, the child", by_spawn, "child.begin"},
    {"forkserver", by_server, NULL},
    {"forkserver, the server", by_server, "child.begin"},
    {"forkserver, the child", by_server, "forked.begin"},
    {"manager", manager_fork, NULL},
    {"manager, the server", manager_fork, "mgr.begin"},
    {"manager by spawn, the server", manager_spawn, "child.begin"},
};
#define OPS ((int)(sizeof ops / sizeof *ops))

static int
act(void *ctx)
{
    const struct op *op = ctx;
    int fds = nds_open_descriptors();
    int maps = nds_shared_mappings();

    odd = 0;
    op->run();
    if (odd != 0) {
        fprintf(stderr, "fault_table: %s: line %d: '%s'\n", op->title, odd,
                nds_last_error()->message);
        return 1;
    }
    if (nds_open_descriptors() != fds) {
        return 2;
    }
    return nds_shared_mappings() != maps ? 3 : 0;
}

static void
check(void *ctx, const char *point)
{
    const struct op *op = ctx;

    ck_assert_msg(nds_names_left() == 0, "%s: names left at '%s'", op->title,
                  point);
}

START_TEST(every_call_fails)
{
    const struct op *op = &ops[_i];
    struct nds_walk w = {NULL, act, check, (void *)(uintptr_t)op};
    int64_t begun = ndi_now_ns();
    int done;

    if (only != NULL && strcmp(only, op->title) != 0) {
        return;
    }
    op->run(); // what stays open for good is opened here
    done = nds_walk_faults(&w, op->claim, step);
    printf("%s: %d faults, %.1f s\n", op->title, done,
           (double)(ndi_now_ns() - begun) / 1e9);
    ck_assert_int_gt(done, 2);
}
END_TEST

int
main(int argc, char **argv)
{
    Suite *s = suite_create("fault table");
    TCase *tc = tcase_create("fault table");
    SRunner *sr;
    int failed;

    setenv("NDSHARE_KEEP", "0", 1); // warm memory would look like a leak
    nds_init(argc, argv);
    if (argc > 1 && argc < 4 && strcmp(argv[1], "--all") == 0) {
        step = 1;
        only = argv[2];
    } else if (argc > 1) {
        fprintf(stderr, "usage: fault_table [--all [OPERATION]]\n");
        return 2;
    }
    nds_own_shm_dir();
    snprintf(name, sizeof name, "t-faults-%d", (int)getpid());
    tcase_set_timeout(tc, step > 1 ? 120 : 3600);
    tcase_add_loop_test(tc, every_call_fails, 0, OPS);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    nds_drop_shm_dir();
    return failed != 0;
}
