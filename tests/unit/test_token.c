/* SPDX-License-Identifier: MIT */
/* test_token.c - arrays as tokens: what they say, who holds what, and death */
#include <array/array_impl.h>
#include <check.h>
#include <harness/own_names.h>
#include <os/os.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHAPE(...) (int64_t[]){__VA_ARGS__}

static nds_array *
shareable(int64_t rows, int64_t columns)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *a;

    ck_assert_int_eq(nds_array_new(&a, NDS_INT32, 2, SHAPE(rows, columns),
                                   &opts), 0);
    for (int32_t i = 0; i < rows * columns; i++) {
        ((int32_t *)nds_array_data(a))[i] = i;
    }
    return a;
}

struct token {
    void *bytes;
    size_t nbytes;
};

static struct token
export(nds_array *a, int64_t hold_ns)
{
    struct token t;
    int rc = nds_array_token_export(a, hold_ns, &t.bytes, &t.nbytes);

    ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
    return t;
}

static int
import(nds_array **out, struct token t)
{
    return nds_array_token_import(out, t.bytes, t.nbytes);
}

/* Until nobody holds it: the acknowledgement needs the sender's thread. */
static void
expect_gone(struct token t)
{
    int64_t deadline = ndi_deadline(NDS_SEC(10));
    nds_array *a;
    int rc;

    // What is imported here is let go of again, unacknowledged but once.
    while ((rc = import(&a, t)) == 0 && !ndi_deadline_over(deadline)) {
        nds_array_close(a);
        usleep(1000);
    }
    ck_assert_int_eq(rc, NDS_ENOENT);
}

START_TEST(another_process_gets_the_same_memory)
{
    nds_array *a = shareable(3, 4);
    struct token t = export(a, NDS_SEC(60));
    pid_t pid = fork();
    int status;

    ck_assert_uint_lt(t.nbytes, 64);
    if (pid == 0) {
        nds_array *b;
        int rc = import(&b, t);

        if (rc == 0) {
            ((int32_t *)nds_array_data(b))[11] = 99;
        }
        _exit(rc == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(((int32_t *)nds_array_data(a))[11], 99);
    nds_array_close(a);
    // It has been received, so the last handle here was the last.
    expect_gone(t);
    free(t.bytes);
}
END_TEST

START_TEST(a_token_keeps_the_memory)
{
    nds_array *a = shareable(300, 400), *b;
    struct token t = export(a, NDS_SEC(60));

    nds_array_close(a);
    ck_assert_int_eq(import(&b, t), 0);
    ck_assert_int_eq(((int32_t *)nds_array_data(b))[119999], 119999);
    nds_array_close(b);
    expect_gone(t);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "(300, 400)"));
    free(t.bytes);
}
END_TEST

START_TEST(time_ends_a_hold)
{
    nds_array *a = shareable(3, 4), *b;
    struct token slow = export(a, NDS_SEC(60));
    struct token t = export(a, NDS_MSEC(20));
    struct token none = export(a, 0);

    ck_assert_int_eq(nds_array_tokens_wait(0), NDS_EAGAIN);
    ck_assert_int_eq(import(&b, slow), 0); // its pin ends here
    nds_array_close(b);
    nds_array_close(a);
    ck_assert_int_eq(nds_array_tokens_wait(NDS_SEC(10)), 0);
    expect_gone(none);
    expect_gone(t);
    free(slow.bytes);
    free(t.bytes);
    free(none.bytes);
}
END_TEST

START_TEST(a_fork_holds_nothing_of_its_parents)
{
    nds_array *a = shareable(3, 4), *b;
    struct token t = export(a, NDS_SEC(60));
    int before = nds_shared_mappings();
    pid_t pid;
    int status;

    nds_array_close(a);
    ck_assert_int_eq(nds_shared_mappings(), before); // the pin has it
    pid = fork();
    if (pid == 0) {
        int left = nds_shared_mappings();

        a = shareable(2, 2); // and it can send by itself
        (void)export(a, NDS_SEC(60));
        _exit(left < before ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(import(&b, t), 0);
    nds_array_close(b);
    free(t.bytes);
}
END_TEST

/* A child makes an array, passes its token on and waits to be killed. */
static pid_t
sender(struct token *t)
{
    int ends[2];
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        nds_array *a = shareable(3, 4);
        struct token mine = export(a, NDS_FOREVER);

        nds_array_close(a);
        (void)!write(ends[1], &mine.nbytes, sizeof mine.nbytes);
        (void)!write(ends[1], mine.bytes, mine.nbytes);
        for (;;) {
            pause();
        }
    }
    ck_assert_int_eq(ndi_os_read(ends[0], &t->nbytes, sizeof t->nbytes), 0);
    t->bytes = malloc(t->nbytes);
    ck_assert_int_eq(ndi_os_read(ends[0], t->bytes, t->nbytes), 0);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

START_TEST(a_killed_sender_takes_it_along)
{
    struct token t;
    pid_t pid = sender(&t);

    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    expect_gone(t);
    free(t.bytes);
}
END_TEST

START_TEST(what_was_received_outlives_the_sender)
{
    struct token t;
    pid_t pid = sender(&t);
    nds_array *a;

    ck_assert_int_eq(import(&a, t), 0);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(((int32_t *)nds_array_data(a))[11], 11);
    nds_array_close(a);
    free(t.bytes);
}
END_TEST

static struct token walked;

static int
receive(void *ctx)
{
    nds_array *b;
    int rc = import(&b, walked);

    (void)ctx;
    if (rc < 0 || ((int32_t *)nds_array_data(b))[11] != 11) {
        return 1;
    }
    nds_array_close(b);
    return 0;
}

static void
send_one(void *ctx)
{
    nds_array *a = shareable(3, 4);

    (void)ctx;
    walked = export(a, NDS_MSEC(300));
    nds_array_close(a);
}

/* Whoever died where: once the hold is over nothing is left of it. */
static void
let_go(void *ctx, const char *point)
{
    (void)ctx;
    (void)point;
    expect_gone(walked);
    free(walked.bytes);
}

START_TEST(a_receiver_may_be_killed_anywhere)
{
    struct nds_walk w = {send_one, receive, let_go, NULL};

    ck_assert_int_gt(nds_walk(&w), 1);
}
END_TEST

START_TEST(views_come_as_they_are)
{
    nds_array *a = shareable(4, 6), *part, *fixed, *b;
    struct token t;

    ck_assert_int_eq(nds_array_slice(&part, a, "[::-2, 1:5:2]"), 0);
    t = export(part, NDS_SEC(60));
    ck_assert_int_eq(import(&b, t), 0);
    ck_assert_int_eq(nds_array_view(b)->ndim, 2);
    ck_assert_int_eq(nds_array_view(b)->strides[0], -48);
    ck_assert_int_eq(*(int32_t *)nds_array_data(b), 19);
    ck_assert_int_eq(nds_array_lock(b, 0), 0);
    ck_assert_int_eq(nds_array_lock(a, 0), NDS_EAGAIN); // one lock for both
    ck_assert_int_eq(nds_array_unlock(b), 0);
    nds_array_close(b);
    free(t.bytes);
    ck_assert_int_eq(nds_array_readonly(&fixed, part), 0);
    t = export(fixed, NDS_SEC(60));
    ck_assert_int_eq(import(&b, t), 0);
    ck_assert(nds_array_view(b)->flags & NDS_VIEW_READONLY);
    ck_assert_int_eq(nds_array_lock(b, 0), NDS_EPERM);
    nds_array_close(b);
    free(t.bytes);
    nds_array_close(fixed);
    nds_array_close(part);
    nds_array_close(a);
}
END_TEST

START_TEST(names_are_checked)
{
    nds_array_options again = {.size = sizeof again, .replace = true};
    nds_array *a, *b, *c;
    struct token t;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT8, 1, SHAPE(5), NULL),
                     0);
    t = export(a, 0);
    nds_array_close(a);
    ck_assert_int_eq(import(&b, t), 0); // by its name alone
    ck_assert_str_eq(nds_array_name(b), name);
    ck_assert_int_eq(nds_array_create(&c, name, NDS_INT8, 1, SHAPE(5),
                                      &again), 0);
    nds_array_close(b);
    ck_assert_int_eq(import(&b, t), NDS_ESTALE);
    ck_assert_ptr_null(b);
    nds_array_close(c);
    ck_assert_int_eq(nds_array_unlink(name), 0);
    ck_assert_int_eq(import(&b, t), NDS_ENOENT);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, name));
    free(t.bytes);
}
END_TEST

START_TEST(a_name_may_go_while_it_is_on_its_way)
{
    nds_array *a, *b;
    struct token t;

    ck_assert_int_eq(nds_array_create(&a, name, NDS_INT8, 1, SHAPE(5), NULL),
                     0);
    t = export(a, NDS_SEC(60));
    ck_assert_int_eq(nds_array_unlink(name), 0);
    nds_array_close(a);
    ck_assert_int_eq(import(&b, t), 0);
    ck_assert_int_eq(nds_array_view(b)->shape[0], 5);
    nds_array_close(b);
    free(t.bytes);
}
END_TEST

START_TEST(files_go_by_path)
{
    nds_array *a, *b;
    struct token t;
    void *none;
    size_t nbytes;

    ck_assert_int_eq(nds_array_map_file(&a, file, NDS_CREATE, NDS_FLOAT64, 1,
                                        SHAPE(10), 'C', 8), 0);
    ((double *)nds_array_data(a))[9] = 2.5;
    t = export(a, 0);
    nds_array_close(a);
    ck_assert_int_eq(import(&b, t), 0);
    ck_assert_double_eq(((double *)nds_array_data(b))[9], 2.5);
    nds_array_close(b);
    ck_assert_int_eq(truncate(file, 80), 0);
    ck_assert_int_eq(import(&b, t), NDS_ETRUNCATED);
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(import(&b, t), NDS_ENOENT);
    free(t.bytes);
    ck_assert_int_eq(nds_array_new(&a, NDS_INT8, 1, SHAPE(3), NULL), 0);
    ck_assert_int_eq(nds_array_token_export(a, 0, &none, &nbytes),
                     NDS_EINVAL);
    ck_assert_ptr_null(none);
    nds_array_close(a);
}
END_TEST

START_TEST(damaged_tokens_are_refused)
{
    nds_array *a = shareable(4, 6), *part, *b;
    struct token t;
    unsigned char *bytes;

    ck_assert_int_eq(nds_array_slice(&part, a, "[::-2, 1:5:2]"), 0);
    t = export(part, NDS_SEC(60));
    bytes = t.bytes;
    for (size_t n = 0; n < t.nbytes; n++) {
        // In memory of just that size, so that ASan sees a step beyond.
        void *cut = malloc(n + 1);

        memcpy(cut, t.bytes, n);
        ck_assert_int_lt(nds_array_token_import(&b, cut, n), 0);
        ck_assert_ptr_null(b);
        free(cut);
    }
    for (size_t n = 0; n < t.nbytes * 8; n++) {
        bytes[n / 8] ^= (unsigned char)(1U << n % 8);
        // Some of these are tokens too, of other views of this memory.
        if (import(&b, t) == 0) {
            const nds_view *v = nds_array_view(b);
            char *text;

            ck_assert_int_eq(nds_view_str(v, NULL, &text), 0);
            free(text);
            nds_array_close(b);
        }
        bytes[n / 8] ^= (unsigned char)(1U << n % 8);
    }
    free(t.bytes);
    nds_array_close(part);
    nds_array_close(a);
}
END_TEST

int
main(void)
{
    TCase *tc = case_with_names("token");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, another_process_gets_the_same_memory);
    tcase_add_test(tc, a_token_keeps_the_memory);
    tcase_add_test(tc, time_ends_a_hold);
    tcase_add_test(tc, a_fork_holds_nothing_of_its_parents);
    tcase_add_test(tc, a_killed_sender_takes_it_along);
    tcase_add_test(tc, what_was_received_outlives_the_sender);
    tcase_add_test(tc, a_receiver_may_be_killed_anywhere);
    tcase_add_test(tc, views_come_as_they_are);
    tcase_add_test(tc, names_are_checked);
    tcase_add_test(tc, a_name_may_go_while_it_is_on_its_way);
    tcase_add_test(tc, files_go_by_path);
    tcase_add_test(tc, damaged_tokens_are_refused);
    return nds_run_case("token", tc);
}
