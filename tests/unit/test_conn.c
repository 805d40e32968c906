/* SPDX-License-Identifier: MIT */
/* test_conn.c - connections: values, arrays and bytes; peers that stall or lie */
#include <base/fail.h>
#include <os/os.h>
#include <wire/wire.h>

#include <ndshare/ndshare.h>

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int
main(void)
{
    Suite *s = suite_create("conn");
    TCase *tc = tcase_create("conn");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, open_pair, close_pair);
    tcase_add_test(tc, values_cross);
    tcase_add_loop_test(tc, arrays_cross, 0, 3);
    tcase_add_loop_test(tc, arrays_go_into_an_array, 0, 5);
    tcase_add_test(tc, an_array_that_does_not_fit);
    tcase_add_test(tc, bytes_stay_bytes);
    tcase_add_test(tc, a_refused_message_ends_where_it_ends);
    tcase_add_test(tc, what_is_no_array_is_said_so);
    tcase_add_test(tc, bytes_stay_until_there_is_room);
    tcase_add_test(tc, elements_go_into_an_array);
    tcase_add_test(tc, nothing_comes_and_nothing_is_lost);
    tcase_add_test(tc, a_stall_in_a_message_ends_it);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, who_does_not_read_ends_it);
    tcase_add_test(tc, the_end_stays_the_end);
    tcase_add_test(tc, more_than_is_taken_here);
    tcase_add_test(tc, of_many_those_that_are_ready);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
