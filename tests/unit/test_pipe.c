/* SPDX-License-Identifier: MIT */
/* test_pipe.c - two ends, one way and both ways, and their end */
#include <base/carry.h>
#include <ndshare/chan.h>

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static nds_array *
number(double value, int64_t count)
{
    nds_array *a = NULL;

    ck_assert_int_eq(nds_array_new(&a, NDS_FLOAT64, 1, &count, NULL), 0);
    ((double *)nds_array_data(a))[0] = value;
    return a;
}

static void
pipe_new(nds_pipe **a, nds_pipe **b, bool duplex)
{
    nds_pipe_options opts = {.size = sizeof opts, .duplex = duplex};

    ck_assert_msg(nds_pipe_new(a, b, &opts) == 0, "%s",
                  nds_last_error()->message);
}

START_TEST(one_way_and_back)
{
    nds_pipe *a, *b;
    nds_array *x = number(5, 20000), *y = NULL;

    pipe_new(&a, &b, false);
    ck_assert_int_eq(nds_pipe_poll(a, 0), NDS_EAGAIN);
    ck_assert_int_eq(nds_pipe_send(a, x, NULL, 0), NDS_EPERM);
    ck_assert_int_eq(nds_pipe_recv(b, &y, NULL, 0), NDS_EPERM);
    ck_assert_int_eq(nds_pipe_send(b, x, NULL, 0), 0);
    ck_assert_int_eq(nds_pipe_poll(a, NDS_SEC(1)), 0);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, 0), 0);
    ck_assert(((double *)nds_array_data(y))[0] == 5);
    nds_array_close(y);
    nds_pipe_close(a);
    nds_pipe_close(b);

    pipe_new(&a, &b, true);
    ck_assert_int_eq(nds_pipe_send(a, x, NULL, 0), 0);
    ck_assert_int_eq(nds_pipe_send_move(b, &x, NULL, 0), 0);
    ck_assert_ptr_null(x);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, 0), 0);
    nds_array_close(y);
    ck_assert_int_eq(nds_pipe_recv(b, &y, NULL, 0), 0);
    nds_array_close(y);
    nds_pipe_close(a);
    nds_pipe_close(b);
}
END_TEST

START_TEST(end_of_file_after_what_was_sent)
{
    nds_pipe *a, *b;
    nds_array *x = number(5, 4), *y = NULL;

    pipe_new(&a, &b, true);
    ck_assert_int_eq(nds_pipe_send(b, x, NULL, 0), 0);
    nds_pipe_close(b);
    ck_assert_int_eq(nds_pipe_send(a, x, NULL, 0), NDS_EBROKEN);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, NDS_FOREVER), 0);
    nds_array_close(y);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, NDS_FOREVER), NDS_EEOF);
    ck_assert_int_eq(nds_pipe_poll(a, 0), 0);
    nds_array_close(x);
    nds_pipe_close(a);
}
END_TEST

START_TEST(children_hold_ends)
{
    nds_pipe *a, *b;
    nds_array *y = NULL;
    int status;
    pid_t pid;

    pipe_new(&a, &b, false);
    pid = fork();
    if (pid == 0) {
        nds_array *x = number(9, 100000);

        nds_pipe_close(a);
        usleep(20000); // the parent has closed its end by now, or soon
        status = nds_pipe_send(b, x, NULL, NDS_SEC(5));
        nds_array_close(x);
        raise(SIGKILL); // never closes its end
    }
    nds_pipe_close(b);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, NDS_SEC(10)), 0);
    ck_assert(((double *)nds_array_data(y))[0] == 9);
    nds_array_close(y);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, NDS_SEC(10)), NDS_EEOF);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    nds_pipe_close(a);
}
END_TEST

START_TEST(ends_travel_in_parcels)
{
    const struct ndi_carrier *c = ndi_carrier_find("pipe");
    struct ndi_parcel p = {0};
    nds_pipe *a, *b;
    nds_array *x = number(5, 4), *y = NULL;
    void *far = NULL;

    ck_assert_ptr_nonnull(c);
    pipe_new(&a, &b, true);
    ck_assert_int_eq(c->pack(b, &p), 0);
    nds_pipe_close(b);
    ck_assert_int_eq(nds_pipe_send(a, x, NULL, 0), 0); // held by the parcel
    ck_assert_msg(c->unpack(&p, &far) == 0, "%s", nds_last_error()->message);
    ndi_parcel_fini(&p);
    ck_assert_int_eq(nds_pipe_recv(far, &y, NULL, 0), 0);
    ck_assert_int_eq(nds_pipe_send(far, y, NULL, 0), 0);
    nds_array_close(y);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, 0), 0);
    nds_array_close(y);
    c->close(far);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, NDS_FOREVER), NDS_EEOF);
    nds_array_close(x);
    nds_pipe_close(a);
}
END_TEST

START_TEST(descriptor_tells_of_items_and_end)
{
    nds_pipe *a, *b;
    nds_array *x = number(5, 4), *y = NULL;
    struct pollfd p = {.events = POLLIN};

    pipe_new(&a, &b, false);
    ck_assert_int_eq(nds_pipe_fd(a, &p.fd), 0);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    ck_assert_int_eq(nds_pipe_send(b, x, NULL, 0), 0);
    ck_assert_int_eq(poll(&p, 1, 5000), 1);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, 0), 0);
    nds_array_close(y);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    nds_pipe_close(b);
    ck_assert_int_eq(poll(&p, 1, 5000), 1);
    ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, 0), NDS_EEOF);
    nds_pipe_close(a);
    nds_array_close(x);
}
END_TEST

/* More dead participants than the table has entries: who joins buries. */
START_TEST(the_dead_make_room)
{
    nds_pipe *a, *b;
    nds_array *y = NULL;

    pipe_new(&a, &b, false);
    for (int i = 0; i < 300; i++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            nds_array *x = number(i, 4);

            (void)nds_pipe_send(b, x, NULL, NDS_SEC(5));
            raise(SIGKILL);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    }
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(nds_pipe_recv(a, &y, NULL, NDS_SEC(5)), 0);
        ck_assert(((double *)nds_array_data(y))[0] == i);
        nds_array_close(y);
    }
    nds_pipe_close(a);
    nds_pipe_close(b);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("pipe");
    TCase *tc = tcase_create("pipe");
    SRunner *sr;
    int failed;

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, one_way_and_back);
    tcase_add_test(tc, end_of_file_after_what_was_sent);
    tcase_add_test(tc, children_hold_ends);
    tcase_add_test(tc, ends_travel_in_parcels);
    tcase_add_test(tc, descriptor_tells_of_items_and_end);
    tcase_add_test(tc, the_dead_make_room);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
