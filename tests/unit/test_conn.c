/* SPDX-License-Identifier: MIT */
/* test_conn.c - connections and listeners, with good peers and bad ones */
#include <base/fail.h>
#include <os/os.h>
#include <wire/wire.h>

#include <ndshare/ndshare.h>

#include <check.h>
#include <fcntl.h>
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

/* Two connections over a pair of sockets. */
static nds_conn *ours, *theirs;
static int raw; /* the socket of theirs */

static void
open_pair(void)
{
    nds_conn_options o = {.size = sizeof o, .timeout_ns = NDS_MSEC(200)};
    int fd[2];

    ck_assert_int_eq(ndi_sock_pair(fd), 0);
    ck_assert_int_eq(nds_conn_adopt(&ours, fd[0], &o), 0);
    ck_assert_int_eq(nds_conn_adopt(&theirs, fd[1], &o), 0);
    raw = fd[1];
}

static void
close_pair(void)
{
    nds_conn_close(ours);
    nds_conn_close(theirs);
}

static int open_fds(void);

START_TEST(values_cross)
{
    static const char text[] = "{'a': [1, 2.5, None], 'b': (b'x', 'y', 1+2j)}";
    nds_value *v, *w;
    char *shown;

    ck_assert_int_eq(nds_value_parse(&v, text), 0);
    ck_assert_int_eq(nds_conn_send(ours, v, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv(theirs, &w, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_value_repr(w, &shown), 0);
    ck_assert_str_eq(shown, "{'a': [1, 2.5, None], 'b': (b'x', 'y', (1+2j))}");
    free(shown);
    nds_value_free(v);
    nds_value_free(w);
}
END_TEST

/* Every byte its own: by the position. */
static void
number(nds_array *a)
{
    unsigned char *p = nds_array_data(a);
    size_t n = (size_t)nds_view_nbytes(nds_array_view(a));

    for (size_t i = 0; i < n; i++) {
        p[i] = (unsigned char)(i * 7 + i / 251);
    }
}

static void *
send_it(void *arg)
{
    ck_assert_int_eq(nds_conn_send_array(ours, arg, NDS_SEC(20)), 0);
    return NULL;
}

START_TEST(arrays_cross)
{
    static const int64_t shapes[][2] = {{3, 4}, {1000, 700}, {0, 5}};
    int64_t shape[2] = {shapes[_i][0], shapes[_i][1]};
    nds_array *a, *b;
    pthread_t t;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT32, 2, shape, NULL), 0);
    number(a);
    pthread_create(&t, NULL, send_it, a);
    ck_assert_int_eq(nds_conn_recv_array(theirs, &b, NDS_SEC(20)), 0);
    pthread_join(t, NULL);
    ck_assert_int_eq(nds_array_view(b)->shape[0], shape[0]);
    ck_assert_int_eq(nds_array_view(b)->shape[1], shape[1]);
    ck_assert(nds_array_view(b)->dtype == NDS_INT32);
    ck_assert_mem_eq(nds_array_data(a), nds_array_data(b),
                     (size_t)nds_view_nbytes(nds_array_view(a)));
    nds_array_close(a);
    nds_array_close(b);
}
END_TEST

/* Straight, cast, broadcast, in another order, and small. */
START_TEST(arrays_go_into_an_array)
{
    static const struct {
        int64_t from[2], to[2];
        char order;
        bool other_dtype;
    } each[] = {
        {{300, 200}, {300, 200}, 'C', false},
        {{300, 200}, {300, 200}, 'F', false},
        {{300, 200}, {300, 200}, 'C', true},
        {{1, 60000}, {3, 60000}, 'C', false},
        {{3, 2}, {3, 2}, 'C', false},
    };
    nds_array_options opts = {.size = sizeof opts, .order = each[_i].order};
    nds_array *a, *b, *want;
    pthread_t t;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT32, 2, each[_i].from, &opts),
                     0);
    number(a);
    ck_assert_int_eq(nds_array_new(&b, each[_i].other_dtype ? NDS_FLOAT32
                                                            : NDS_INT32, 2,
                                   each[_i].to, NULL), 0);
    ck_assert_int_eq(nds_array_new(&want, nds_array_view(b)->dtype, 2,
                                   each[_i].to, NULL), 0);
    ck_assert_int_eq(nds_assign(nds_array_view(want), nds_array_view(a)), 0);
    pthread_create(&t, NULL, send_it, a);
    ck_assert_int_eq(nds_conn_recv_array_into(theirs, nds_array_view(b),
                                              NDS_SEC(20)), 0);
    pthread_join(t, NULL);
    ck_assert_mem_eq(nds_array_data(b), nds_array_data(want),
                     (size_t)nds_view_nbytes(nds_array_view(b)));
    nds_array_close(want);
    nds_array_close(a);
    nds_array_close(b);
}
END_TEST

START_TEST(an_array_that_does_not_fit)
{
    nds_array *a, *b;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT32, 1, (int64_t[]){30000},
                                   NULL), 0);
    ck_assert_int_eq(nds_array_new(&b, NDS_INT32, 2, (int64_t[]){3, 10000},
                                   NULL), 0);
    send_it(a);
    ck_assert_int_eq(nds_conn_recv_array_into(theirs, nds_array_view(b),
                                              NDS_SEC(20)), NDS_ESHAPE);
    // The connection goes on.
    send_it(b);
    ck_assert_int_eq(nds_conn_recv_array_into(theirs, nds_array_view(b),
                                              NDS_SEC(20)), 0);
    nds_array_close(a);
    nds_array_close(b);
}
END_TEST

/* The same bytes as a value and as an array's memory: two things. */
START_TEST(bytes_stay_bytes)
{
    size_t n = 100000;
    unsigned char *m = malloc(n + 200);
    static const char head[] = "\x80\5(B\xa0\x86\1\0";
    static const char tail[] =
        "\x94\x8c\5numpy\x8c\7ndarray\x93(J\xa0\x86\1\0\x85\x8c\5numpy\x8c\5"
        "dtype\x93\x8c\3|u1\x85Rh\0K\0N\x8c\1CtRt.";
    nds_value *v;
    size_t got;

    memcpy(m, head, 8);
    memset(m + 8, 'x', n);
    memcpy(m + 8 + n, tail, sizeof tail - 1);
    n += 8 + sizeof tail - 1;
    ck_assert_int_eq(nds_conn_send_bytes(ours, m, n, NDS_SEC(5)), 0);
    free(m);
    ck_assert_int_eq(nds_conn_recv(theirs, &v, NDS_SEC(5)), 0);
    memset(nds_array_data(nds_value_as_array(nds_value_item(v, 1))), 'y',
           100000);
    ck_assert_str_eq(nds_value_text(nds_value_item(v, 0), &got) + 99998,
                     "xx");
    nds_value_free(v);
}
END_TEST

/* Whatever is not read of a refused message is passed over. */
START_TEST(a_refused_message_ends_where_it_ends)
{
    size_t n = 200000;
    unsigned char *m = calloc(1, n);
    nds_value *v = nds_value_int(5), *w;

    memcpy(m, "\x80\5\x8c\2os\x8c\6system\x93", 15);
    ck_assert_int_eq(nds_conn_send_bytes(ours, m, n, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv(theirs, &w, NDS_SEC(5)), NDS_EREFUSED);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "os.system"));
    ck_assert_int_eq(nds_conn_send(ours, v, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv(theirs, &w, NDS_SEC(5)), 0);
    nds_value_free(v);
    nds_value_free(w);
    free(m);
}
END_TEST

START_TEST(what_is_no_array_is_said_so)
{
    nds_value *v = nds_value_int(3);
    nds_array *a;

    ck_assert_int_eq(nds_conn_send(ours, v, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_send_bytes(ours, "x", 1, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_send(ours, v, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv_array(theirs, &a, NDS_SEC(5)), NDS_EDTYPE);
    // Nor is garbage, and the connection goes on.
    ck_assert_int_eq(nds_conn_recv_array(theirs, &a, NDS_SEC(5)),
                     NDS_EFORMAT);
    ck_assert_int_eq(nds_conn_recv_array(theirs, &a, NDS_SEC(5)), NDS_EDTYPE);
    nds_value_free(v);
}
END_TEST

START_TEST(bytes_stay_until_there_is_room)
{
    char small[4], large[16];
    void *data;
    size_t n;

    ck_assert_int_eq(nds_conn_send_bytes(ours, "hello", 5, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_send_bytes(ours, "", 0, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv_bytes_into(theirs, small, sizeof small, &n,
                                              NDS_SEC(5)), NDS_EBUFFER);
    ck_assert_uint_eq(n, 5);
    ck_assert_int_eq(nds_conn_poll(theirs, 0), 0);
    ck_assert_int_eq(nds_conn_recv_bytes_into(theirs, large, sizeof large, &n,
                                              NDS_SEC(5)), 0);
    ck_assert_uint_eq(n, 5);
    ck_assert_mem_eq(large, "hello", 5);
    ck_assert_int_eq(nds_conn_recv_bytes(theirs, &data, &n, NDS_SEC(5)), 0);
    ck_assert_uint_eq(n, 0);
    free(data);
    ck_assert_int_eq(nds_conn_poll(theirs, 0), NDS_EAGAIN);
}
END_TEST

START_TEST(elements_go_into_an_array)
{
    int64_t shape[2] = {6, 5};
    nds_array *a, *b, *turned;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT16, 2, shape, NULL), 0);
    ck_assert_int_eq(nds_array_new(&b, NDS_INT16, 2, shape, NULL), 0);
    ck_assert_int_eq(nds_array_transpose(&turned, b, NULL), 0);
    number(a);
    ck_assert_int_eq(nds_conn_send_view(ours, nds_array_view(a), NDS_SEC(5)),
                     0);
    ck_assert_int_eq(nds_conn_recv_view(theirs, nds_array_view(b),
                                        NDS_SEC(5)), 0);
    ck_assert_mem_eq(nds_array_data(a), nds_array_data(b), 60);
    // What does not lie in C order arrives in it all the same.
    ck_assert_int_eq(nds_conn_send_view(ours, nds_array_view(turned),
                                        NDS_SEC(5)), 0);
    memset(nds_array_data(b), 0, 60);
    ck_assert_int_eq(nds_conn_recv_view(theirs, nds_array_view(turned),
                                        NDS_SEC(5)), 0);
    ck_assert_mem_eq(nds_array_data(a), nds_array_data(b), 60);
    ck_assert_int_eq(nds_conn_send_bytes(ours, "abc", 3, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv_view(theirs, nds_array_view(b),
                                        NDS_SEC(5)), NDS_EBUFFER);
    nds_array_close(turned);
    nds_array_close(a);
    nds_array_close(b);
}
END_TEST

START_TEST(nothing_comes_and_nothing_is_lost)
{
    nds_value *v;

    ck_assert_int_eq(nds_conn_recv(theirs, &v, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_conn_recv(theirs, &v, NDS_MSEC(10)), NDS_ETIMEDOUT);
    // Half a length is not a message yet.
    ck_assert_int_eq(ndi_os_write(raw, "\0\0", 2), 0);
    ck_assert_int_eq(nds_conn_recv(ours, &v, NDS_MSEC(10)), NDS_ETIMEDOUT);
    ck_assert_int_eq(ndi_os_write(raw, "\0\5\x80\5K\7.", 7), 0);
    ck_assert_int_eq(nds_conn_recv(ours, &v, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_value_kind(v), NDS_VALUE_INT);
    nds_value_free(v);
}
END_TEST

START_TEST(a_stall_in_a_message_ends_it)
{
    nds_value *v;

    ck_assert_int_eq(ndi_os_write(raw, "\0\0\0\5\x80\5", 6), 0);
    ck_assert_int_eq(nds_conn_recv(ours, &v, NDS_FOREVER), NDS_EPROTO);
    ck_assert_int_eq(ndi_os_write(raw, "K\7.", 3), 0);
    ck_assert_int_eq(nds_conn_recv(ours, &v, NDS_FOREVER), NDS_EBROKEN);
    // The other direction still works.
    ck_assert_int_eq(nds_conn_send_bytes(ours, "x", 1, NDS_SEC(5)), 0);
}
END_TEST

START_TEST(who_does_not_read_ends_it)
{
    size_t n = (size_t)32 << 20;
    void *much = calloc(1, n);

    ck_assert_int_eq(nds_conn_send_bytes(ours, much, n, NDS_FOREVER),
                     NDS_EPROTO);
    ck_assert_int_eq(nds_conn_send_bytes(ours, "x", 1, 0), NDS_EBROKEN);
    free(much);
}
END_TEST

START_TEST(the_end_stays_the_end)
{
    nds_value *v;
    bool ready;

    nds_conn_close(theirs);
    theirs = NULL;
    ck_assert_int_eq(nds_conn_wait(&ours, 1, &ready, NDS_FOREVER), 0);
    ck_assert(ready);
    ck_assert_int_eq(nds_conn_recv(ours, &v, 0), NDS_EEOF);
    ck_assert_int_eq(nds_conn_recv(ours, &v, 0), NDS_EEOF);
    ck_assert_int_eq(nds_conn_send_bytes(ours, "x", 1, 0), NDS_EEOF);
}
END_TEST

START_TEST(more_than_is_taken_here)
{
    nds_conn_options o = {.size = sizeof o, .max_bytes = 1000};
    nds_conn *a, *b;
    void *data;
    size_t n;
    int fd[2];
    char much[1001] = {0};

    ck_assert_int_eq(ndi_sock_pair(fd), 0);
    ck_assert_int_eq(nds_conn_adopt(&a, fd[0], &o), 0);
    ck_assert_int_eq(nds_conn_adopt(&b, fd[1], &o), 0);
    ck_assert_int_eq(nds_conn_send_bytes(a, much, 1000, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv_bytes(b, &data, &n, NDS_SEC(5)), 0);
    free(data);
    ck_assert_int_eq(nds_conn_send_bytes(a, much, 1001, NDS_SEC(5)), 0);
    ck_assert_int_eq(nds_conn_recv_bytes(b, &data, &n, NDS_SEC(5)),
                     NDS_EPROTO);
    ck_assert_int_eq(nds_conn_recv_bytes(b, &data, &n, NDS_SEC(5)),
                     NDS_EBROKEN);
    nds_conn_close(a);
    nds_conn_close(b);
}
END_TEST

START_TEST(of_many_those_that_are_ready)
{
    nds_conn *both[2] = {ours, theirs};
    bool ready[2];

    ck_assert_int_eq(nds_conn_wait(both, 2, ready, NDS_MSEC(10)),
                     NDS_ETIMEDOUT);
    ck_assert_int_eq(nds_conn_send_bytes(ours, "x", 1, 0), 0);
    ck_assert_int_eq(nds_conn_wait(both, 2, ready, NDS_SEC(5)), 0);
    ck_assert(!ready[0] && ready[1]);
}
END_TEST

/* ---- listeners ---- */

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
    int before = open_fds();
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
    ck_assert_int_eq(open_fds(), before);
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

static int
open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

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
    int before = open_fds();
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
    ck_assert_int_eq(open_fds(), before);
}
END_TEST

static Suite *
conn_suite(void)
{
    Suite *s = suite_create("conn");
    TCase *pair = tcase_create("pair");
    TCase *door = tcase_create("door");

    tcase_add_checked_fixture(pair, open_pair, close_pair);
    tcase_add_test(pair, values_cross);
    tcase_add_loop_test(pair, arrays_cross, 0, 3);
    tcase_add_loop_test(pair, arrays_go_into_an_array, 0, 5);
    tcase_add_test(pair, an_array_that_does_not_fit);
    tcase_add_test(pair, bytes_stay_bytes);
    tcase_add_test(pair, a_refused_message_ends_where_it_ends);
    tcase_add_test(pair, what_is_no_array_is_said_so);
    tcase_add_test(pair, bytes_stay_until_there_is_room);
    tcase_add_test(pair, elements_go_into_an_array);
    tcase_add_test(pair, nothing_comes_and_nothing_is_lost);
    tcase_add_test(pair, a_stall_in_a_message_ends_it);
    tcase_set_timeout(pair, 60);
    tcase_add_test(pair, who_does_not_read_ends_it);
    tcase_add_test(pair, the_end_stays_the_end);
    tcase_add_test(pair, more_than_is_taken_here);
    tcase_add_test(pair, of_many_those_that_are_ready);
    suite_add_tcase(s, pair);
    tcase_set_timeout(door, 60);
    tcase_add_loop_test(door, a_listener_takes_clients, 0, 3);
    tcase_add_test(door, nobody_comes);
    tcase_add_test(door, another_key_gets_no_further);
    tcase_add_test(door, silent_clients_hold_up_nobody);
    tcase_add_test(door, a_silent_clients_time_ends);
    tcase_add_loop_test(door, who_vanishes_at_any_byte_costs_itself, 0, 2);
    suite_add_tcase(s, door);
    return s;
}

int
main(void)
{
    SRunner *sr = srunner_create(conn_suite());
    int failed;

    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
