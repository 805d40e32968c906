/* SPDX-License-Identifier: MIT */
/* test_pool.c - clients that stop, stall and crowd, and the others meanwhile */
#include <mgr/mgr_impl.h>
#include <ndshare/ndshare.h>
#include <os/os.h>

#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KEY "key"
#define TIMEOUT NDS_SEC(1) /* of the server: when it drops who stands still */

static nds_server *server;
static pthread_t runner;
static nds_manager *m;

static void *
run(void *arg)
{
    (void)arg;
    ck_assert_int_eq(nds_server_run(server), 0);
    return NULL;
}

static void
start(void)
{
    nds_manager_options opts = {.size = sizeof opts, .authkey = KEY,
                                .authkey_nbytes = 3, .timeout_ns = TIMEOUT};

    ck_assert_int_eq(nds_server_new(&server, &opts), 0);
    ck_assert_int_eq(pthread_create(&runner, NULL, run, NULL), 0);
    opts.address = nds_server_address(server);
    opts.timeout_ns = NDS_SEC(20);
    ck_assert_int_eq(nds_manager_connect(&m, &opts), 0);
}

static void
stop(void)
{
    nds_manager_close(m);
    nds_server_stop(server);
    pthread_join(runner, NULL);
    nds_server_free(server);
}

static int
threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;

    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n - 2;
}

static void
check_served(void)
{
    nds_proxy *p;
    double sum;

    ck_assert_int_eq(nds_manager_create(m, &p, "ones", "(7,)"), 0);
    ck_assert_int_eq(nds_proxy_reduce(p, "sum", &sum), 0);
    ck_assert_double_eq(sum, 7);
    nds_proxy_close(p);
}

static void
dial(struct ndi_conn *c, bool prove)
{
    int64_t deadline = ndi_deadline(NDS_SEC(20));
    int fd;

    if (prove) {
        ck_assert_int_eq(ndi_conn_open(c, &m->addr, KEY, 3, deadline), 0);
        return;
    }
    ck_assert_int_eq(ndi_sock_connect_unix(&fd, m->addr.name,
                                           m->addr.nbytes, deadline), 0);
    ndi_conn_init(c, fd);
}

/* Whether the server ends the connection, in time; nothing is read. */
static bool
is_dropped(struct ndi_conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

    return poll(&p, 1, 10000) == 1;
}

START_TEST(strangers_cost_no_thread)
{
    static struct ndi_conn c[700];

    for (int i = 0; i < 700; i++) {
        dial(&c[i], false);
        if (i % 100 == 99) {
            check_served();
        }
    }
    ck_assert_int_lt(threads(), 16);
    // The first have made room for the last.
    ck_assert(is_dropped(&c[0]));
    check_served();
    for (int i = 0; i < 700; i++) {
        ndi_conn_close(&c[i]);
    }
}
END_TEST

/* What a client has sent when it stops. */
static const struct {
    bool prove;
    size_t nbytes;
    const char *bytes;
} halves[] = {
    {false, 1, "\0"},
    {false, 10, "\0\0\0\24abcdef"},
    {true, 2, "\0\0"},
    {true, 8, "\0\0\1\0abcd"},
    {true, 12, "\377\377\377\377\0\0\0\1\0\0\0\0"},
    {true, 20, "\0\20\0\0abcdefghijklmnop"},
};

START_TEST(a_message_that_stops)
{
    struct ndi_conn c[60];

    for (int i = 0; i < 60; i++) {
        dial(&c[i], halves[_i].prove);
        ck_assert_int_eq(send(c[i].fd, halves[_i].bytes, halves[_i].nbytes,
                              0), (ssize_t)halves[_i].nbytes);
    }
    check_served();
    ck_assert_int_lt(threads(), 16);
    for (int i = 0; i < 60; i++) {
        ndi_conn_close(&c[i]);
    }
    check_served();
}
END_TEST

static void
open_channel(struct ndi_conn *c)
{
    int64_t deadline = ndi_deadline(NDS_SEC(20));
    nds_value *args = nds_value_tuple(), *v;

    dial(c, true);
    ck_assert_int_eq(nds_value_append(args, nds_value_str("x")), 0);
    v = ndi_request(nds_value_none(), "accept_connection", args, NULL);
    ck_assert_int_eq(ndi_conn_send(c, v, deadline), 0);
    nds_value_free(v);
    ck_assert_int_eq(ndi_conn_recv(c, &v, deadline), 0);
    nds_value_free(v);
}

static char *
ident_of(const char *typeid_, const char *args)
{
    nds_value *all, *made;
    char *id, text[80];

    snprintf(text, sizeof text, "('%s', %s)", typeid_, args);
    ck_assert_int_eq(nds_value_parse(&all, text), 0);
    ck_assert_int_eq(ndi_manager_ask(m, "create", all, NULL, &made), 0);
    id = strdup(nds_value_text(nds_value_item(made, 0), NULL));
    nds_value_free(made);
    return id;
}

START_TEST(a_channel_that_stops_is_dropped)
{
    struct ndi_conn c;

    open_channel(&c);
    ck_assert_int_eq(send(c.fd, "\0\0\1\0abcd", 8, 0), 8);
    ck_assert(is_dropped(&c));
    ndi_conn_close(&c);
    // One that is only quiet is not.
    open_channel(&c);
    poll(NULL, 0, (int)(3 * TIMEOUT / 1000000));
    ck_assert(!ndi_sock_ended(c.fd));
    ndi_conn_close(&c);
}
END_TEST

/* A client that asks for 8 MB and reads none of it: a writer gets in. */
START_TEST(a_reply_that_nobody_reads)
{
    char *id = ident_of("ones", "1000000");
    nds_value *v = ndi_request(nds_value_str(id), "#GETVALUE", NULL, NULL);
    nds_value *none;
    struct ndi_conn c;
    int64_t begun;

    open_channel(&c);
    ck_assert_int_eq(ndi_conn_send(&c, v, ndi_deadline(NDS_SEC(5))), 0);
    nds_value_free(v);
    begun = ndi_now_ns();
    ck_assert_int_eq(nds_value_parse(&v, "(2,)"), 0);
    ck_assert_int_eq(ndi_manager_call(m, id, "fill", v, NULL, &none, NULL),
                     0);
    nds_value_free(none);
    nds_value_free(v);
    ck_assert_int_lt(ndi_now_ns() - begun, TIMEOUT);
    ck_assert_int_lt(threads(), 16);
    ck_assert(is_dropped(&c));
    ndi_conn_close(&c);
    free(id);
}
END_TEST

/* It comes whole to one that reads late. */
START_TEST(a_reply_that_is_read_late)
{
    char *id = ident_of("ones", "1000000");
    nds_value *v = ndi_request(nds_value_str(id), "#GETVALUE", NULL, NULL);
    struct ndi_conn c;
    nds_array *a;

    open_channel(&c);
    ck_assert_int_eq(ndi_conn_send(&c, v, ndi_deadline(NDS_SEC(5))), 0);
    nds_value_free(v);
    poll(NULL, 0, 200);
    ck_assert_int_eq(ndi_conn_recv(&c, &v, ndi_deadline(NDS_SEC(20))), 0);
    a = nds_value_as_array(nds_value_item(v, 1));
    ck_assert_ptr_nonnull(a);
    ck_assert_double_eq(((double *)nds_array_data(a))[999999], 1);
    nds_value_free(v);
    ndi_conn_close(&c);
    free(id);
}
END_TEST

#define WAITERS 100

static void *
wait_for_item(void *arg)
{
    nds_value *v = NULL;

    ck_assert_int_eq(ndi_manager_call(m, arg, "get", NULL, NULL, &v, NULL),
                     0);
    nds_value_free(v);
    return NULL;
}

/* Calls that wait leave threads for those that set them free. */
START_TEST(many_wait)
{
    char *id = ident_of("Queue", "0");
    pthread_t t[WAITERS];
    nds_value *v, *none;

    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(pthread_create(&t[i], NULL, wait_for_item, id), 0);
    }
    ck_assert_int_eq(nds_value_parse(&v, "(1,)"), 0);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(ndi_manager_call(m, id, "put", v, NULL, &none, NULL),
                         0);
        nds_value_free(none);
    }
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(t[i], NULL);
    }
    nds_value_free(v);
    check_served();
    free(id);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tc = tcase_create("clients");
    SRunner *r;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, strangers_cost_no_thread);
    tcase_add_loop_test(tc, a_message_that_stops, 0,
                        (int)(sizeof halves / sizeof *halves));
    tcase_add_test(tc, a_channel_that_stops_is_dropped);
    tcase_add_test(tc, a_reply_that_nobody_reads);
    tcase_add_test(tc, a_reply_that_is_read_late);
    tcase_add_test(tc, many_wait);
    suite_add_tcase(suite, tc);
    r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
