/* SPDX-License-Identifier: MIT */
/* test_frame.c - messages on a stream, good and hostile; descriptors beside */
#include <base/fail.h>
#include <os/os.h>
#include <wire/wire.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fd[2];

static void
open_pair(void)
{
    ck_assert_int_eq(ndi_sock_pair(fd), 0);
}

static void
close_pair(void)
{
    ndi_os_close(fd[0]);
    ndi_os_close(fd[1]);
}

static int64_t
soon(void)
{
    return ndi_deadline(NDS_SEC(5));
}

START_TEST(a_message_crosses)
{
    void *data;
    size_t n;
    unsigned char raw[5];

    ck_assert_int_eq(ndi_frame_write(fd[0], "x", 1, soon()), 0);
    ck_assert_int_eq(ndi_sock_read(fd[1], raw, 5, soon()), 0);
    ck_assert_mem_eq(raw, "\0\0\0\1x", 5);
    ck_assert_int_eq(ndi_frame_write(fd[0], "hello", 5, soon()), 0);
    ck_assert_int_eq(ndi_frame_write(fd[0], "", 0, soon()), 0);
    ck_assert_int_eq(ndi_frame_read(fd[1], 100, &data, &n, soon()), 0);
    ck_assert_uint_eq(n, 5);
    ck_assert_mem_eq(data, "hello", 5);
    free(data);
    ck_assert_int_eq(ndi_frame_read(fd[1], 100, &data, &n, soon()), 0);
    ck_assert_uint_eq(n, 0);
    free(data);
}
END_TEST

static const struct {
    const char *bytes;
    size_t nbytes;
    int rc;
} streams[] = {
    {"", 0, NDS_EEOF},
    {"\0\0", 2, NDS_EPROTO},
    {"\0\0\0\5", 4, NDS_EPROTO},
    {"\0\0\0\5abc", 7, NDS_EPROTO},
    {"\xff\xff\xff\xfe", 4, NDS_EPROTO},
    {"\x80\0\0\0", 4, NDS_EPROTO},
    {"\xff\xff\xff\xff", 4, NDS_EPROTO},
    {"\xff\xff\xff\xff\0\0\0\0\0\0\0\3abc", 15, 0},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, NDS_EPROTO},
    {"\x7f\xff\xff\xff", 4, NDS_EPROTO},
    {"\0\0\0\145", 4, NDS_EPROTO},
};

START_TEST(every_stream_has_its_end)
{
    void *data;
    size_t n;

    ck_assert_int_eq(ndi_os_write(fd[0], streams[_i].bytes,
                                  streams[_i].nbytes), 0);
    ndi_sock_shutdown(fd[0]);
    ck_assert_int_eq(ndi_frame_read(fd[1], 100, &data, &n, soon()),
                     streams[_i].rc);
    ck_assert((data != NULL) == (streams[_i].rc == 0));
    free(data);
}
END_TEST

START_TEST(a_huge_announcement_takes_no_memory)
{
    void *data;
    size_t n;

    // 64 GiB, and then nothing
    ck_assert_int_eq(ndi_os_write(fd[0], "\xff\xff\xff\xff\0\0\0\x10\0\0\0\0",
                                  12), 0);
    ndi_sock_shutdown(fd[0]);
    ck_assert_int_eq(ndi_frame_read(fd[1], NDI_FRAME_LIMIT, &data, &n,
                                    soon()), NDS_EPROTO);
    ck_assert_ptr_null(data);
}
END_TEST

START_TEST(waiting_ends_at_the_deadline)
{
    void *data;
    size_t n;

    ck_assert_int_eq(ndi_os_write(fd[0], "\0\0\0\5ab", 6), 0);
    ck_assert_int_eq(ndi_frame_read(fd[1], 100, &data, &n,
                                    ndi_deadline(NDS_MSEC(30))),
                     NDS_ETIMEDOUT);
}
END_TEST

START_TEST(writing_to_nobody_is_an_error)
{
    ndi_os_close(ndi_steal_fd(&fd[1]));
    ck_assert_int_eq(ndi_frame_write(fd[0], "hello", 5, soon()), NDS_EEOF);
}
END_TEST

START_TEST(descriptors_cross)
{
    int file[2], got[4], n;
    char text[4];

    ck_assert_int_eq(ndi_sock_pair(file), 0);
    ck_assert_int_eq(ndi_sock_send_fds(fd[0], "abcd", 4, file, 2, soon()), 0);
    ck_assert_int_eq(ndi_sock_recv_fds(fd[1], text, 4, got, 4, &n, soon()),
                     0);
    ck_assert_int_eq(n, 2);
    ck_assert_mem_eq(text, "abcd", 4);
    ck_assert(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(ndi_os_write(got[0], "x", 1), 0);
    ck_assert_int_eq(ndi_sock_read(got[1], text, 1, soon()), 0);
    // more than there is room for: none stays open
    ck_assert_int_eq(ndi_sock_send_fds(fd[0], "a", 1, file, 2, soon()), 0);
    ck_assert_int_eq(ndi_sock_recv_fds(fd[1], text, 1, got + 2, 1, &n,
                                       soon()), -EPROTO);
    ck_assert_int_eq(n, 0);
    for (int i = 0; i < 2; i++) {
        ndi_os_close(file[i]);
        ndi_os_close(got[i]);
    }
}
END_TEST

static const struct {
    const char *text;
    const char *shown; /* NULL: refused */
    bool tcp;
} addresses[] = {
    {"/tmp/s", "/tmp/s", false},   {"./s", "./s", false},
    {"@name", "@name", false},     {"host:80", "host:80", true},
    {":80", "127.0.0.1:80", true}, {"80", "127.0.0.1:80", true},
    {"", NULL, false},             {"@", NULL, false},
    {"host:", NULL, false},        {"host:70000", NULL, false},
    {"a:b:80", NULL, false},       {"name", NULL, false},
};

START_TEST(addresses_as_people_write_them)
{
    struct ndi_addr a;
    int rc = ndi_addr_parse(&a, addresses[_i].text);

    if (addresses[_i].shown == NULL) {
        ck_assert_int_eq(rc, NDS_EINVAL);
    } else {
        ck_assert_int_eq(rc, 0);
        ck_assert_str_eq(a.text, addresses[_i].shown);
        ck_assert(a.tcp == addresses[_i].tcp);
    }
}
END_TEST

START_TEST(a_dead_servers_path_is_taken_over)
{
    struct ndi_addr a;
    struct ndi_listener l, m;
    char path[80];
    struct stat st;

    snprintf(path, sizeof path, "/tmp/t-mgr-%d.sock", (int)getpid());
    ck_assert_int_eq(ndi_addr_parse(&a, path), 0);
    ck_assert_int_eq(ndi_listener_open(&l, &a), 0);
    ck_assert_int_eq(ndi_listener_open(&m, &a), NDS_EEXIST);
    // As a killed process leaves it: the path is there, nobody listens.
    ndi_os_close(ndi_steal_fd(&l.fd));
    ck_assert_int_eq(ndi_listener_open(&m, &a), 0);
    ndi_listener_close(&m);
    ck_assert_int_lt(stat(path, &st), 0);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame");
    TCase *tc = tcase_create("frame");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, open_pair, close_pair);
    tcase_add_test(tc, a_message_crosses);
    tcase_add_loop_test(tc, every_stream_has_its_end, 0,
                        sizeof streams / sizeof streams[0]);
    tcase_add_test(tc, a_huge_announcement_takes_no_memory);
    tcase_add_test(tc, waiting_ends_at_the_deadline);
    tcase_add_test(tc, writing_to_nobody_is_an_error);
    tcase_add_test(tc, descriptors_cross);
    tcase_add_loop_test(tc, addresses_as_people_write_them, 0,
                        sizeof addresses / sizeof addresses[0]);
    tcase_add_test(tc, a_dead_servers_path_is_taken_over);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
