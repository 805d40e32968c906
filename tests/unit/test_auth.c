/* SPDX-License-Identifier: MIT */
/* test_auth.c - answers to recorded challenges, and handshakes both ways */
#include "tsv.h"

#include <base/fail.h>
#include <os/os.h>
#include <wire/wire.h>

#include <pthread.h>

static void
one_answer(char **field, int n)
{
    size_t key_n, c_n, new_n, old_n, got;
    unsigned char *key = tsv_hex(field[0], &key_n);
    unsigned char *c = tsv_hex(field[1], &c_n);
    unsigned char *new = tsv_hex(field[2], &new_n);
    unsigned char *old = tsv_hex(field[3], &old_n);
    unsigned char r[NDI_AUTH_LIMIT];

    ck_assert_int_eq(n, 4);
    ck_assert_int_eq(ndi_auth_respond(key, key_n, c + 11, c_n - 11, r, &got),
                     0);
    ck_assert_uint_eq(got, new_n);
    ck_assert_mem_eq(r, new, new_n);
    // Peers of either age are believed, and a changed bit is not.
    ck_assert_int_eq(ndi_auth_verify(key, key_n, c + 11, c_n - 11, new,
                                     new_n), 0);
    ck_assert_int_eq(ndi_auth_verify(key, key_n, c + 11, c_n - 11, old,
                                     old_n), 0);
    new[new_n - 1] ^= 1;
    ck_assert_int_eq(ndi_auth_verify(key, key_n, c + 11, c_n - 11, new,
                                     new_n), NDS_EAUTH);
    ck_assert_int_eq(ndi_auth_verify(key, key_n, c + 11, c_n - 11, old,
                                     old_n - 1), NDS_EAUTH);
    free(key);
    free(c);
    free(new);
    free(old);
}

START_TEST(recorded_challenges)
{
    ck_assert_int_ge(
        tsv_each(NDS_TEST_DATA "/pickle/auth.tsv", one_answer), 20);
}
END_TEST

struct side {
    int fd;
    const char *key;
    int rc;
};

static void *
client(void *arg)
{
    struct side *s = arg;
    int64_t deadline = ndi_deadline(NDS_SEC(5));

    s->rc = ndi_auth_answer(s->fd, s->key, strlen(s->key), deadline);
    if (s->rc == 0) {
        s->rc = ndi_auth_deliver(s->fd, s->key, strlen(s->key), deadline);
    }
    ndi_sock_shutdown(s->fd);
    return NULL;
}

static void
handshake(const char *ours, const char *theirs, int *server, int *peer)
{
    int64_t deadline = ndi_deadline(NDS_SEC(5));
    struct side s = {.key = theirs};
    pthread_t t;
    int fd[2];

    ck_assert_int_eq(ndi_sock_pair(fd), 0);
    s.fd = fd[1];
    pthread_create(&t, NULL, client, &s);
    *server = ndi_auth_deliver(fd[0], ours, strlen(ours), deadline);
    if (*server == 0) {
        *server = ndi_auth_answer(fd[0], ours, strlen(ours), deadline);
    }
    pthread_join(t, NULL);
    *peer = s.rc;
    ndi_os_close(fd[0]);
    ndi_os_close(fd[1]);
}

START_TEST(the_same_key_opens)
{
    int a, b;

    handshake("k3y", "k3y", &a, &b);
    ck_assert_int_eq(a, 0);
    ck_assert_int_eq(b, 0);
}
END_TEST

START_TEST(another_key_does_not)
{
    int a, b;

    handshake("k3y", "kez", &a, &b);
    ck_assert_int_eq(a, NDS_EAUTH);
    ck_assert_int_eq(b, NDS_EAUTH);
}
END_TEST

START_TEST(an_empty_key_is_refused)
{
    ck_assert_int_eq(ndi_auth_check_key("", 0), NDS_EINVAL);
    ck_assert_int_eq(ndi_auth_check_key(NULL, 0), NDS_EINVAL);
}
END_TEST

START_TEST(a_silent_peer_costs_the_deadline_only)
{
    int64_t before = ndi_now_ns();
    int fd[2];

    ck_assert_int_eq(ndi_sock_pair(fd), 0);
    ck_assert_int_eq(ndi_auth_deliver(fd[0], "k", 1,
                                      ndi_deadline(NDS_MSEC(50))),
                     NDS_ETIMEDOUT);
    ck_assert_int_lt(ndi_now_ns() - before, NDS_SEC(5));
    ndi_os_close(fd[0]);
    ndi_os_close(fd[1]);
}
END_TEST

/* A Python 3.11 peer as it was recorded: raw MD5 over the whole challenge. */
START_TEST(challenges_that_are_none)
{
    unsigned char r[NDI_AUTH_LIMIT];
    size_t n;

    ck_assert_int_eq(ndi_auth_respond("k", 1, "short", 5, r, &n), NDS_EAUTH);
    ck_assert_int_eq(ndi_auth_respond("k", 1, "{sha1}0123456789012345678901",
                                      28, r, &n), NDS_EAUTH);
    ck_assert_int_eq(ndi_auth_respond("k", 1, "0123456789012345", 16, r, &n),
                     NDS_EAUTH);
    ck_assert_int_eq(ndi_auth_respond("k", 1, "01234567890123456789", 20, r,
                                      &n), 0);
    ck_assert_uint_eq(n, 16);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("auth");
    TCase *tc = tcase_create("auth");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, recorded_challenges);
    tcase_add_test(tc, the_same_key_opens);
    tcase_add_test(tc, another_key_does_not);
    tcase_add_test(tc, an_empty_key_is_refused);
    tcase_add_test(tc, a_silent_peer_costs_the_deadline_only);
    tcase_add_test(tc, challenges_that_are_none);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
