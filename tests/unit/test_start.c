/* SPDX-License-Identifier: MIT */
/*
 * test_start.c - starts that go wrong, and what they leave behind: nothing
 *
 * With NDS_TEST_LOST set, a spawned copy of this program behaves like one that
 * does not call nds_init.
 */
#include <ndshare/ndshare.h>
#include <os/os.h>
#include <proc/proc_impl.h>

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int
nothing(nds_args *args)
{
    (void)args;
    return 0;
}
NDS_TASK(nothing);

static int
sleeper(nds_args *args)
{
    while (nds_args_count(args) >= 0) {
        pause();
    }
    return 1;
}
NDS_TASK(sleeper);

static int
killed(nds_args *args)
{
    (void)args;
    return kill(getpid(), SIGKILL);
}
NDS_TASK(killed);

static int
prints(nds_args *args)
{
    printf("child %lld\n", (long long)nds_args_int(args, 0));
    return 0;
}
NDS_TASK(prints);

/* Open descriptors beyond 0, 1 and 2. Also asked in spawned children, where a
 * Check assertion, as in the harness, would open a file of its own. */
static int
count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(d) != NULL) {
        count++;
    }
    closedir(d);
    return count - 6; // . .. 0 1 2 and the directory itself
}

static int
tell_fds(nds_args *args)
{
    (void)args;
    return count_fds();
}
NDS_TASK(tell_fds);

static int
starts_again(nds_args *args)
{
    nds_proc_options opts = {.size = sizeof opts,
                             .start = (enum nds_start)nds_args_int(args, 0)};
    nds_proc *p;
    int code = 1;

    if (nds_proc_start(&p, "killed", NULL, &opts) < 0 ||
        nds_proc_join(p, NDS_SEC(20), &code) < 0) {
        return 1;
    }
    nds_proc_close(p);
    return code == -SIGKILL ? 42 : 2;
}
NDS_TASK(starts_again);

#define TREE_COUNT 50000

/* depth and three start methods: starts itself, with a fresh heap array by
 * value, until depth is 0. */
static int
passes_on(nds_args *args)
{
    int depth = (int)nds_args_int(args, 0);
    nds_proc_options opts = {.size = sizeof opts};
    int64_t n = TREE_COUNT;
    nds_array *a;
    nds_args *next;
    nds_proc *p;
    int code = 1;

    if (depth == 0) {
        return 0;
    }
    opts.start = (enum nds_start)nds_args_int(args, depth);
    if (nds_args_new(&next) < 0 ||
        nds_array_new(&a, NDS_FLOAT64, 1, &n, NULL) < 0) {
        return 1;
    }
    nds_args_add_int(next, depth - 1);
    for (int i = 1; i < 4; i++) {
        nds_args_add_int(next, nds_args_int(args, i));
    }
    nds_args_add_move(next, &a);
    if (nds_proc_start(&p, "passes_on", next, &opts) < 0 ||
        nds_proc_join(p, NDS_SEC(20), &code) < 0) {
        return 1;
    }
    nds_args_free(next);
    nds_proc_close(p);
    return code;
}
NDS_TASK(passes_on);

static int one(nds_args *args) { return nds_args_count(args); }
static int two(nds_args *args) { return nds_args_count(args) + 1; }

static const enum nds_start starts[] = {NDS_FORK, NDS_SPAWN, NDS_FORKSERVER};

static int
start(nds_proc **p, const char *task, nds_args *args, enum nds_start how,
      int64_t handshake_ns)
{
    nds_proc_options opts = {.size = sizeof opts, .start = how,
                             .handshake_ns = handshake_ns};

    return nds_proc_start(p, task, args, &opts);
}

static int
run(const char *task, nds_args *args, enum nds_start how)
{
    nds_proc *p;
    int code = -1000;
    int rc = start(&p, task, args, how, 0);

    ck_assert_msg(rc == 0, "%s", nds_last_error()->message);
    ck_assert_int_eq(nds_proc_join(p, NDS_SEC(20), &code), 0);
    nds_proc_close(p);
    return code;
}

static void
no_children_left(void)
{
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

static void
wait_until_no_children(void)
{
    int64_t deadline = ndi_deadline(NDS_SEC(10));

    // Looking with WNOWAIT leaves the reaping to whom it belongs.
    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) < 0 &&
            errno == ECHILD) {
            return;
        }
        ck_assert(!ndi_deadline_over(deadline));
        usleep(1000);
    }
}

START_TEST(a_program_without_init_is_told)
{
    static const struct {
        const char *mode;
        int64_t handshake_ns;
    } ways[] = {{"sleep", NDS_MSEC(300)}, {"start", 0}, {"exit", 0}};
    int before = count_fds();
    nds_proc *p;

    setenv("NDS_TEST_LOST", ways[_i].mode, 1);
    for (int how = 1; how < 3; how++) {
        int64_t begun = ndi_now_ns();

        ck_assert_int_eq(start(&p, "nothing", NULL, starts[how],
                               ways[_i].handshake_ns), NDS_ECHILD);
        ck_assert_ptr_null(p);
        ck_assert_ptr_nonnull(strstr(nds_last_error()->message,
                                     "test_start"));
        ck_assert_ptr_nonnull(strstr(nds_last_error()->message,
                                     "call nds_init at the head of main"));
        ck_assert_int_lt(ndi_now_ns() - begun, NDS_SEC(8));
        no_children_left();
        ck_assert_int_eq(count_fds(), before);
    }
    unsetenv("NDS_TEST_LOST");
}
END_TEST

START_TEST(unknown_and_doubled_tasks)
{
    nds_proc *p;

    ck_assert_int_eq(start(&p, "no-such", NULL, starts[_i], 0), NDS_EKEY);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "'no-such'"));
    nds_task_register("doubled", one);
    nds_task_register("doubled", one);
    ck_assert_int_eq(start(&p, "doubled", NULL, NDS_FORK, 0), 0);
    ck_assert_int_eq(nds_proc_join(p, NDS_FOREVER, NULL), 0);
    nds_proc_close(p);
    nds_task_register("doubled", two);
    ck_assert_int_eq(start(&p, "doubled", NULL, starts[_i], 0), NDS_EINVAL);
    ck_assert_int_eq(start(&p, "nothing", NULL, (enum nds_start)9, 0),
                     NDS_EINVAL);
    setenv("NDSHARE_START_METHOD", "thread", 1);
    ck_assert_int_eq(nds_proc_start(&p, "nothing", NULL, NULL), NDS_EINVAL);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message, "'thread'"));
    no_children_left();
}
END_TEST

/* A task that exists here and not in the child is the child's own error. */
START_TEST(a_child_says_why_it_cannot)
{
    nds_proc *p;

    nds_task_register("only-here", one);
    ck_assert_int_eq(start(&p, "only-here", NULL, starts[_i], 0), NDS_ECHILD);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message,
                                 "no task is called 'only-here'"));
    ndi_server_stop();
    no_children_left();
}
END_TEST

START_TEST(signals_are_negative_codes)
{
    ck_assert_int_eq(run("killed", NULL, starts[_i]), -SIGKILL);
    ndi_server_stop();
    no_children_left();
}
END_TEST

START_TEST(children_start_children)
{
    for (int how = 0; how < 3; how++) {
        nds_args *args;

        nds_args_new(&args);
        nds_args_add_int(args, starts[how]);
        ck_assert_int_eq(run("starts_again", args, starts[_i]), 42);
        nds_args_free(args);
    }
    ndi_server_stop();
    no_children_left();
}
END_TEST

START_TEST(descriptors_stay_at_home)
{
    int before;
    int stray;

    ck_assert_int_eq(run("nothing", NULL, starts[_i]), 0); // server is up
    before = count_fds();
    stray = open("/dev/null", O_RDONLY); // a program's own, not close-on-exec
    if (starts[_i] == NDS_SPAWN) {
        ck_assert_int_eq(run("tell_fds", NULL, NDS_SPAWN), 0);
    } else if (starts[_i] == NDS_FORKSERVER) {
        // Its line to the server, and nothing else.
        ck_assert_int_eq(run("tell_fds", NULL, NDS_FORKSERVER), 1);
    }
    close(stray);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(run("nothing", NULL, starts[_i]), 0);
    }
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(a_closed_child_is_reaped)
{
    int before = count_fds();
    nds_proc *p[5];
    int fds[5];

    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(start(&p[i], "sleeper", NULL, starts[_i], 0), 0);
        fds[i] = dup(nds_proc_fd(p[i]));
        ck_assert(nds_proc_is_alive(p[i]));
        nds_proc_close(p[i]);
    }
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(ndi_pidfd_signal(fds[i], SIGKILL), 0);
        ck_assert_int_eq(ndi_sock_wait(fds[i], 1, ndi_deadline(NDS_SEC(10))),
                         0);
        close(fds[i]);
    }
    ndi_server_stop();
    wait_until_no_children();
    for (int64_t end = ndi_deadline(NDS_SEC(10)); count_fds() != before;) {
        ck_assert(!ndi_deadline_over(end));
        usleep(1000);
    }
    // And once more: the thread that did it is gone and must come back.
    ck_assert_int_eq(start(&p[0], "nothing", NULL, starts[_i], 0), 0);
    nds_proc_close(p[0]);
    ndi_server_stop();
    wait_until_no_children();
}
END_TEST

START_TEST(a_killed_server_is_replaced)
{
    pid_t first;
    nds_proc *p;
    int code;

    ck_assert_int_eq(run("nothing", NULL, NDS_FORKSERVER), 0);
    first = ndi_server_pid();
    ck_assert_int_gt(first, 0);
    ck_assert_int_eq(start(&p, "sleeper", NULL, NDS_FORKSERVER, 0), 0);
    ck_assert_int_eq(ndi_server_pid(), first);
    ck_assert_int_eq(kill(first, SIGKILL), 0);
    ck_assert_int_eq(run("nothing", NULL, NDS_FORKSERVER), 0);
    ck_assert_int_ne(ndi_server_pid(), first);
    // Its child lives on; only the exit code has nobody to tell it.
    ck_assert(nds_proc_is_alive(p));
    ck_assert_int_eq(nds_proc_join(p, 0, &code), NDS_EAGAIN);
    ck_assert_int_eq(nds_proc_kill(p), 0);
    ck_assert_int_eq(nds_proc_join(p, NDS_SEC(10), &code), NDS_ECHILD);
    ck_assert(!nds_proc_is_alive(p));
    nds_proc_close(p);
    ndi_server_stop();
    no_children_left();
}
END_TEST

START_TEST(nothing_is_printed_twice)
{
    char path[] = "/tmp/t-proc-XXXXXX";
    int fd = mkstemp(path);
    int saved = dup(1);
    nds_args *args;
    char text[200] = "";

    unlink(path);
    nds_args_new(&args);
    nds_args_add_int(args, 7);
    fflush(stdout);
    dup2(fd, 1);
    printf("before\n");
    ck_assert_int_eq(run("prints", args, starts[_i]), 0);
    printf("after\n");
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    ck_assert_int_gt(pread(fd, text, sizeof text - 1, 0), 0);
    ck_assert_str_eq(text, "before\nchild 7\nafter\n");
    close(fd);
    nds_args_free(args);
}
END_TEST

START_TEST(no_descriptors_is_an_ordinary_error)
{
    struct rlimit old;
    struct rlimit few;
    nds_proc *p;

    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &few);
    while (dup(0) >= 0) {
    }
    ck_assert_int_eq(start(&p, "nothing", NULL, starts[_i], 0), NDS_ECHILD);
    setrlimit(RLIMIT_NOFILE, &old);
    ck_assert_ptr_nonnull(strstr(nds_last_error()->message,
                                 "Too many open files"));
    no_children_left();
}
END_TEST

START_TEST(join_belongs_to_the_parent)
{
    nds_proc *p;
    pid_t other;
    int status;

    signal(SIGTERM, SIG_DFL); // the test runner's own would be inherited
    ck_assert_int_eq(start(&p, "sleeper", NULL, starts[_i], 0), 0);
    other = fork();
    if (other == 0) {
        _exit(nds_proc_join(p, 0, NULL) == NDS_EINVAL ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(other, &status, 0), other);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(nds_proc_join(p, NDS_MSEC(20), NULL), NDS_ETIMEDOUT);
    ck_assert_int_eq(nds_proc_terminate(p), 0);
    ck_assert_int_eq(nds_proc_join(p, NDS_SEC(20), &status), 0);
    ck_assert_int_eq(status, -SIGTERM);
    ck_assert_int_eq(nds_proc_terminate(p), 0); // no stranger is hit
    ck_assert_int_eq(nds_proc_join(p, 0, &status), 0);
    ck_assert_int_eq(status, -SIGTERM);
    nds_proc_close(p);
}
END_TEST

/* A chain of three processes, each given a heap array: every start but a fork
 * copies it once, in whichever process that happens. */
START_TEST(a_whole_tree_is_counted)
{
    nds_stats s = {.size = sizeof s};
    uint64_t seen;

    // A forkserver that was there before anybody counted.
    ck_assert_int_eq(run("nothing", NULL, NDS_FORKSERVER), 0);
    ck_assert_int_eq(nds_stats_enable(), 0);
    for (int chain = 0; chain < 27; chain++) {
        int how[3] = {chain % 3, chain / 3 % 3, chain / 9};
        uint64_t want = 0;
        nds_args *args;

        ck_assert_int_eq(nds_stats_read(&s), 0);
        seen = s.bytes_copied;
        nds_args_new(&args);
        nds_args_add_int(args, 3);
        for (int i = 0; i < 3; i++) {
            nds_args_add_int(args, starts[how[i]]);
            want += starts[how[i]] == NDS_FORK ? 0 : TREE_COUNT * 8;
        }
        ck_assert_int_eq(run("passes_on", args, NDS_FORK), 0);
        nds_args_free(args);
        ck_assert_int_eq(nds_stats_read(&s), 0);
        ck_assert_msg(s.bytes_copied - seen == want, "chain %d %d %d: %llu",
                      how[2], how[1], how[0],
                      (unsigned long long)(s.bytes_copied - seen));
    }
    ndi_server_stop();
    no_children_left();
}
END_TEST

static int
lost_main(const char *mode)
{
    nds_proc *p;

    unsetenv("NDS_TEST_LOST");
    if (strcmp(mode, "start") == 0) {
        (void)nds_proc_start(&p, "nothing", NULL, NULL);
        pause();
    }
    if (strcmp(mode, "sleep") == 0) {
        pause();
    }
    return 3;
}

int
main(int argc, char **argv)
{
    const char *lost = getenv("NDS_TEST_LOST");
    SRunner *sr;
    TCase *tc;
    Suite *s;
    int failed;

    if (lost != NULL) {
        return lost_main(lost);
    }
    nds_init(argc, argv);
    s = suite_create("start");
    tc = tcase_create("start");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_program_without_init_is_told, 0, 3);
    tcase_add_loop_test(tc, unknown_and_doubled_tasks, 0, 3);
    tcase_add_loop_test(tc, a_child_says_why_it_cannot, 1, 3);
    tcase_add_loop_test(tc, signals_are_negative_codes, 0, 3);
    tcase_add_loop_test(tc, children_start_children, 0, 3);
    tcase_add_loop_test(tc, descriptors_stay_at_home, 0, 3);
    tcase_add_loop_test(tc, a_closed_child_is_reaped, 0, 3);
    tcase_add_test(tc, a_killed_server_is_replaced);
    tcase_add_loop_test(tc, nothing_is_printed_twice, 0, 3);
    tcase_add_loop_test(tc, no_descriptors_is_an_ordinary_error, 0, 3);
    tcase_add_loop_test(tc, join_belongs_to_the_parent, 0, 3);
    tcase_add_test(tc, a_whole_tree_is_counted);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
