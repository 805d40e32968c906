/* SPDX-License-Identifier: MIT */
/* test_listener.c - many at one door, some of them bad; doors that are none */
#include <base/fail.h>
#include <harness/walk.h>
#include <os/os.h>
#include <wire/wire.h>

#include <ndshare/ndshare.h>

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "k3y"

static nds_conn_options
options(void)
{
    nds_conn_options o = {.size = sizeof o, .authkey = KEY,
                          .authkey_nbytes = sizeof KEY - 1,
                          .timeout_ns = NDS_SEC(20)};

    return o;
}

struct client {
    const char *address;
    const char *key;
    int rc;
};

/* Connects, says its own number, hears it twice as large. */
static void *
good_client(void *arg)
{
    struct client *me = arg;
    nds_conn_options o = options();
    nds_value *v;
    nds_conn *c;
    int64_t n;

    o.authkey = me->key;
    o.authkey_nbytes = strlen(me->key);
    me->rc = nds_conn_connect(&c, me->address, &o);
    if (me->rc == 0) {
        v = nds_value_int(21);
        me->rc = nds_conn_send(c, v, NDS_SEC(20));
        nds_value_free(v);
    }
    if (me->rc == 0) {
        me->rc = nds_conn_recv(c, &v, NDS_SEC(20));
    }
    if (me->rc == 0) {
        me->rc = nds_value_as_int(v, &n) && n == 42 ? 0 : -100;
        nds_value_free(v);
    }
    nds_conn_close(c);
    return NULL;
}

static void
serve_one(nds_listener *l)
{
    nds_value *v;
    nds_conn *c;
    int64_t n = 0;

    ck_assert_int_eq(nds_listener_accept(l, &c, NDS_SEC(20)), 0);
    ck_assert_int_eq(nds_conn_recv(c, &v, NDS_SEC(20)), 0);
    ck_assert(nds_value_as_int(v, &n));
    nds_value_free(v);
    v = nds_value_int(2 * n);
    ck_assert_int_eq(nds_conn_send(c, v, NDS_SEC(20)), 0);
    nds_value_free(v);
    nds_conn_close(c);
}

static const char *
some_address(int i)
{
    static char path[100];

    snprintf(path, sizeof path, "/tmp/t-conn-%d.sock", (int)getpid());
    return i == 0 ? path : i == 1 ? NULL : "127.0.0.1:0";
}

static void
start_client(nds_listener *l, pthread_t *t, struct client *me,
             const char *key)
{
    *me = (struct client){nds_listener_address(l), key, 0};
    pthread_create(t, NULL, good_client, me);
}

START_TEST(a_listener_takes_clients)
{
    nds_conn_options o = options();
    struct client me;
    nds_listener *l, *second;
    pthread_t t;
    struct stat st;

    ck_assert_int_eq(nds_listener_new(&l, some_address(_i), &o), 0);
    start_client(l, &t, &me, KEY);
    serve_one(l);
    pthread_join(t, NULL);
    ck_assert_int_eq(me.rc, 0);
    ck_assert_int_eq(nds_listener_new(&second, nds_listener_address(l), &o),
                     NDS_EEXIST);
    nds_listener_close(l);
    ck_assert(_i != 0 || stat(some_address(0), &st) < 0);
}
END_TEST

START_TEST(nobody_comes)
{
    nds_conn_options o = options();
    nds_listener *l;
    nds_conn *c;

    ck_assert_int_eq(nds_listener_new(&l, NULL, &o), 0);
    ck_assert_int_eq(nds_listener_accept(l, &c, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_listener_accept(l, &c, NDS_MSEC(10)), NDS_ETIMEDOUT);
    nds_listener_close(l);
    ck_assert_int_eq(nds_conn_connect(&c, "@nobody-listens-here", &o),
                     NDS_ENOENT);
    o.authkey_nbytes = 0;
    ck_assert_int_eq(nds_listener_new(&l, NULL, &o), NDS_EINVAL);
}
END_TEST

struct tally {
    int count;
    int code;
};

static void
tell(void *ctx, int code, const char *why)
{
    struct tally *t = ctx;

    ck_assert_ptr_nonnull(why);
    t->count++;
    t->code = code;
}

START_TEST(another_key_gets_no_further)
{
    nds_conn_options o = options();
    struct tally tally = {0};
    struct client bad, good;
    nds_listener *l;
    pthread_t t, u;

    o.refused = tell;
    o.ctx = &tally;
    ck_assert_int_eq(nds_listener_new(&l, NULL, &o), 0);
    start_client(l, &t, &bad, "wrong");
    // The good one comes when the bad one has been judged or not: no matter.
    start_client(l, &u, &good, KEY);
    serve_one(l);
    pthread_join(u, NULL);
    while (tally.count == 0) {
        nds_conn *c;

        ck_assert_int_eq(nds_listener_accept(l, &c, NDS_MSEC(20)),
                         NDS_ETIMEDOUT);
    }
    pthread_join(t, NULL);
    ck_assert_int_eq(good.rc, 0);
    ck_assert_int_eq(bad.rc, NDS_EAUTH);
    ck_assert_int_eq(tally.count, 1);
    ck_assert_int_eq(tally.code, NDS_EAUTH);
    nds_listener_close(l);
}
END_TEST

/* A socket that is connected and says nothing. */
static int
silent(nds_listener *l)
{
    struct ndi_addr a;
    int fd;

    ck_assert_int_eq(ndi_addr_parse(&a, nds_listener_address(l)), 0);
    ck_assert_int_eq(ndi_sock_connect_unix(&fd, a.name, a.nbytes,
                                           ndi_deadline(NDS_SEC(5))), 0);
    return fd;
}

START_TEST(silent_clients_hold_up_nobody)
{
    nds_conn_options o = options();
    int before = nds_open_descriptors();
    struct client me;
    nds_listener *l;
    pthread_t t;
    int fd[100];

    ck_assert_int_eq(nds_listener_new(&l, NULL, &o), 0);
    for (int i = 0; i < 100; i++) {
        nds_conn *c;

        fd[i] = silent(l);
        ck_assert_int_eq(nds_listener_accept(l, &c, 0), NDS_EAGAIN);
    }
    start_client(l, &t, &me, KEY);
    serve_one(l);
    pthread_join(t, NULL);
    ck_assert_int_eq(me.rc, 0);
    for (int i = 0; i < 100; i++) {
        ndi_os_close(fd[i]);
    }
    nds_listener_close(l);
    ck_assert_int_eq(nds_open_descriptors(), before);
}
END_TEST

START_TEST(a_silent_clients_time_ends)
{
    nds_conn_options o = options();
    struct tally tally = {0};
    nds_listener *l;
    nds_conn *c;
    int fd;

    o.refused = tell;
    o.ctx = &tally;
    o.timeout_ns = NDS_MSEC(50);
    ck_assert_int_eq(nds_listener_new(&l, NULL, &o), 0);
    fd = silent(l);
    ck_assert_int_eq(nds_listener_accept(l, &c, NDS_MSEC(500)),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(tally.count, 1);
    ndi_os_close(fd);
    nds_listener_close(l);
}
END_TEST

/* What a client of this library sends: the answer to a challenge, its own
 * challenge, its verdict, and a value. */
static size_t
record(unsigned char *out, const unsigned char *m, size_t nbytes)
{
    unsigned char r[NDI_AUTH_LIMIT];
    size_t n = 0, at = 0;

    ck_assert_int_eq(ndi_auth_respond(KEY, 3, m, nbytes, r, &n), 0);
    memcpy(out, "\0\0\0", 3);
    out[3] = (unsigned char)n;
    memcpy(out + 4, r, n);
    at = 4 + n;
    memcpy(out + at, "\0\0\0\x3b#CHALLENGE#{sha256}", 23);
    memset(out + at + 23, 'r', 40);
    at += 63;
    memcpy(out + at, "\0\0\0\x09#WELCOME#\0\0\0\5\x80\5K\x15.", 22);
    return at + 22;
}

/* Says the first `count` bytes of a whole conversation, then is gone. */
static void
vanish_after(nds_listener *l, size_t count, bool garbage)
{
    unsigned char said[400], heard[63];
    int fd = silent(l);
    nds_conn *c = NULL;
    size_t all;
    int rc;

    ck_assert_int_eq(nds_listener_accept(l, &c, 0), NDS_EAGAIN);
    ck_assert_int_eq(ndi_sock_read(fd, heard, sizeof heard,
                                   ndi_deadline(NDS_SEC(5))), 0);
    all = record(said, heard + 15, 48);
    if (count > all) {
        count = all;
    }
    if (garbage) {
        said[count == 0 ? 0 : count - 1] ^= 0x55;
    }
    ck_assert_int_eq(ndi_os_write(fd, said, count), 0);
    shutdown(fd, SHUT_WR);
    rc = nds_listener_accept(l, &c, NDS_MSEC(count == all ? 5000 : 0));
    if (rc == 0) {
        // It got in: then the handshake was whole, and a cut message is one.
        nds_value *v = NULL;

        ck_assert_uint_ge(count, all - 9);
        rc = nds_conn_recv(c, &v, NDS_SEC(5));
        ck_assert(garbage || (rc == 0) == (count == all));
        nds_value_free(v);
        nds_conn_close(c);
    } else {
        ck_assert_int_eq(rc, NDS_EAGAIN);
        ck_assert(garbage || count < all - 9);
    }
    ndi_os_close(fd);
}

START_TEST(who_vanishes_at_any_byte_costs_itself)
{
    nds_conn_options o = options();
    int before = nds_open_descriptors();
    struct client me;
    nds_listener *l;
    pthread_t t;

    ck_assert_int_eq(nds_listener_new(&l, NULL, &o), 0);
    for (size_t n = 0; n <= 129; n++) {
        vanish_after(l, n, _i == 1);
    }
    start_client(l, &t, &me, KEY);
    serve_one(l);
    pthread_join(t, NULL);
    ck_assert_int_eq(me.rc, 0);
    nds_listener_close(l);
    ck_assert_int_eq(nds_open_descriptors(), before);
}
END_TEST

/* ---- a listener that is none ---- */

struct false_friend {
    struct ndi_listener door;
    size_t count;     /* bytes it says before it is gone */
    bool garbage;     /* the last of them is another */
    bool stalls;      /* it stays, and says no more */
    int hold;         /* what it waits for then */
};

/* What a listener of this library says: its challenge, its verdict, and the
 * answer to the client's challenge. Verdict and answer need what came. */
static void *
befriend(void *arg)
{
    struct false_friend *f = arg;
    unsigned char said[63 + 13 + 44 + 13], heard[400], r[NDI_AUTH_LIMIT];
    size_t n = 0;
    int fd;

    ck_assert_int_eq(ndi_sock_wait(f->door.fd, 1, ndi_deadline(NDS_SEC(20))),
                     0);
    ck_assert_int_eq(ndi_sock_accept(&fd, f->door.fd), 0);
    memcpy(said, "\0\0\0\x3b#CHALLENGE#{sha256}", 23);
    memset(said + 23, 'q', 40);
    if (f->count < 63) {
        said[f->count] ^= f->garbage ? 0x55 : 0;
        (void)!send(fd, said, f->count + f->garbage, MSG_NOSIGNAL);
        goto out;
    }
    ck_assert_int_eq(ndi_os_write(fd, said, 63), 0);
    ck_assert_int_eq(ndi_sock_read(fd, heard, 44, ndi_deadline(NDS_SEC(20))),
                     0);
    memcpy(said + 63, "\0\0\0\x09#WELCOME#", 13);
    if (f->count < 76) {
        said[f->count] ^= f->garbage ? 0x55 : 0;
        (void)!send(fd, said + 63, f->count - 63 + f->garbage, MSG_NOSIGNAL);
        goto out;
    }
    ck_assert_int_eq(ndi_os_write(fd, said + 63, 13), 0);
    ck_assert_int_eq(ndi_sock_read(fd, heard, 63, ndi_deadline(NDS_SEC(20))),
                     0);
    ck_assert_int_eq(ndi_auth_respond(KEY, 3, heard + 15, 48, r, &n), 0);
    memcpy(said + 76, "\0\0\0\x28", 4);
    memcpy(said + 80, r, n);
    if (f->count < 120) {
        said[f->count] ^= f->garbage ? 0x55 : 0;
    }
    (void)!send(fd, said + 76, f->count - 76 + f->garbage, MSG_NOSIGNAL);
out:
    if (f->stalls) {
        char byte;

        (void)ndi_sock_read(f->hold, &byte, 1, ndi_deadline(NDS_SEC(20)));
    }
    ndi_os_close(fd);
    return NULL;
}

START_TEST(a_false_listener_costs_one_error)
{
    nds_conn_options o = options();
    int before = nds_open_descriptors();
    struct ndi_addr a;

    for (size_t n = 0; n < 120; n++) {
        struct false_friend f = {.count = n, .garbage = _i == 1};
        nds_conn *c;
        pthread_t t;
        int rc;

        ck_assert_int_eq(ndi_addr_fresh(&a), 0);
        ck_assert_int_eq(ndi_listener_open(&f.door, &a), 0);
        pthread_create(&t, NULL, befriend, &f);
        rc = nds_conn_connect(&c, a.text, &o);
        ck_assert_msg(rc == NDS_EEOF || rc == NDS_EPROTO || rc == NDS_EAUTH,
                      "%zu: %d %s", n, rc, nds_last_error()->message);
        ck_assert_ptr_null(c);
        pthread_join(t, NULL);
        ndi_listener_close(&f.door);
    }
    ck_assert_int_eq(nds_open_descriptors(), before);
}
END_TEST

START_TEST(a_silent_listener_costs_the_time_out)
{
    static const size_t after[] = {0, 2, 63, 70, 76, 100};
    nds_conn_options o = options();
    struct ndi_addr a;
    int hold[2];

    o.timeout_ns = NDS_MSEC(50);
    ck_assert_int_eq(ndi_sock_pair(hold), 0);
    for (size_t i = 0; i < NDI_ARRAY_LEN(after); i++) {
        struct false_friend f = {.count = after[i], .stalls = true,
                                 .hold = hold[1]};
        nds_conn *c;
        pthread_t t;

        ck_assert_int_eq(ndi_addr_fresh(&a), 0);
        ck_assert_int_eq(ndi_listener_open(&f.door, &a), 0);
        pthread_create(&t, NULL, befriend, &f);
        ck_assert_int_eq(nds_conn_connect(&c, a.text, &o), NDS_ETIMEDOUT);
        ck_assert_int_eq(ndi_os_write(hold[0], "x", 1), 0);
        pthread_join(t, NULL);
        ndi_listener_close(&f.door);
    }
    ndi_os_close(hold[0]);
    ndi_os_close(hold[1]);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("listener");
    TCase *tc = tcase_create("listener");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_listener_takes_clients, 0, 3);
    tcase_add_test(tc, nobody_comes);
    tcase_add_test(tc, another_key_gets_no_further);
    tcase_add_test(tc, silent_clients_hold_up_nobody);
    tcase_add_test(tc, a_silent_clients_time_ends);
    tcase_add_loop_test(tc, who_vanishes_at_any_byte_costs_itself, 0, 2);
    tcase_add_loop_test(tc, a_false_listener_costs_one_error, 0, 2);
    tcase_add_test(tc, a_silent_listener_costs_the_time_out);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
