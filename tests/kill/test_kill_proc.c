/* SPDX-License-Identifier: MIT */
/*
 * test_kill_proc.c - starting a process, killed at every step of either side
 *
 * A start carries one argument of each kind. Whoever is killed, the parent, the
 * child while it takes its arguments, or the forkserver: the rest of the tree
 * comes to its end by itself, the survivor hears an ordinary error that names
 * the process, its arguments are still its own, and no name is left.
 */
#include <harness/kill_tree.h>
#include <os/os.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT 20000

enum { BY_VALUE, SHARED_BY_VALUE, FROZEN, MOVED, SHARED, ARRAYS };

struct gear {
    nds_array *arrays[ARRAYS]; /* MOVED belongs to the arguments */
    nds_queue *queue;
    nds_pipe *near, *far;
    nds_mutex *mutex;
    nds_typed *typed;
    nds_args *args;
};
static struct gear gear; /* a forked child inherits it, as it does a pipe */

/* What the child gets for `index` was 1.0 everywhere. */
static bool
all_ones(nds_args *args, int index)
{
    nds_array *a = nds_args_array(args, index);
    const double *data = a == NULL ? NULL : nds_array_data(a);

    for (int i = 0; data != NULL && i < COUNT; i++) {
        if (data[i] != 1.0) {
            return false;
        }
    }
    return data != NULL;
}

/* Waits for its parent's word without a deadline: a dead parent must end that
 * wait. Then touches everything it was given. */
static int
uses_all(nds_args *args)
{
    nds_queue *q = nds_args_handle(args, ARRAYS, "queue");
    nds_pipe *pipe = nds_args_handle(args, ARRAYS + 1, "pipe");
    nds_mutex *mutex = nds_args_handle(args, ARRAYS + 2, "mutex");
    nds_typed *typed = nds_args_typed(args, ARRAYS + 3);
    nds_array *word = NULL;
    int rc;

    // Its own hold of the speaking end would keep the pipe open.
    nds_pipe_close(ndi_steal(&gear.far));
    rc = nds_pipe_recv(pipe, &word, NULL, NDS_FOREVER);
    NDI_KILL_POINT("task.heard");
    if (rc < 0) {
        return 3; // nobody speaks any more
    }
    nds_array_close(word);
    for (int i = 0; i < ARRAYS; i++) {
        if (!all_ones(args, i)) {
            return 4;
        }
    }
    rc = nds_mutex_lock(mutex, NDS_SEC(10));
    NDI_KILL_POINT("task.locked");
    if (rc < 0 || nds_mutex_unlock(mutex) < 0 ||
        nds_typed_set(typed, 0, nds_int(7)) < 0) {
        return 5;
    }
    rc = nds_queue_put(q, nds_args_array(args, MOVED), NULL, NDS_SEC(10));
    NDI_KILL_POINT("task.put");
    return rc < 0 ? 6 : 0;
}
NDS_TASK(uses_all);

static bool
make_array(nds_array **out, enum nds_reach reach)
{
    nds_array_options opts = {.size = sizeof opts, .reach = reach};
    int64_t n = COUNT;

    return nds_array_new(out, NDS_FLOAT64, 1, &n, &opts) == 0 &&
           nds_fill(nds_array_view(*out), nds_float(1)) == 0;
}

static bool
gear_up(struct gear *g)
{
    nds_array *moved = NULL;
    bool good = nds_args_new(&g->args) == 0 &&
                make_array(&g->arrays[BY_VALUE], NDS_HEAP) &&
                make_array(&g->arrays[SHARED_BY_VALUE], NDS_SHAREABLE) &&
                make_array(&g->arrays[FROZEN], NDS_SHAREABLE) &&
                make_array(&moved, NDS_SHAREABLE) &&
                make_array(&g->arrays[SHARED], NDS_SHAREABLE) &&
                nds_array_freeze(g->arrays[FROZEN]) == 0 &&
                nds_queue_new(&g->queue, NULL) == 0 &&
                nds_pipe_new(&g->near, &g->far, NULL) == 0 &&
                nds_mutex_new(&g->mutex, NDS_MUTEX_PLAIN) == 0 &&
                nds_typed_new(&g->typed, 'i', 4, true) == 0;

    for (int i = 0; good && i < ARRAYS; i++) {
        good = i == MOVED
                   ? nds_args_add_move(g->args, &moved) == 0
                   : nds_args_add_array(g->args, g->arrays[i],
                                        i == SHARED ? NDS_SHARED
                                                    : NDS_BY_VALUE) == 0;
    }
    return good && nds_args_add_handle(g->args, "queue", g->queue) == 0 &&
           nds_args_add_handle(g->args, "pipe", g->near) == 0 &&
           nds_args_add_handle(g->args, "mutex", g->mutex) == 0 &&
           nds_args_add_typed(g->args, g->typed) == 0;
}

static void
gear_down(struct gear *g)
{
    nds_args_free(g->args);
    for (int i = 0; i < ARRAYS; i++) {
        nds_array_close(g->arrays[i]);
    }
    nds_typed_close(g->typed);
    nds_mutex_close(g->mutex);
    nds_pipe_close(g->near);
    nds_pipe_close(g->far);
    nds_queue_close(g->queue);
}

/* After the child's end everything works on, whatever it was in. */
static bool
still_works(struct gear *g)
{
    nds_array *item = NULL;
    int rc = nds_mutex_lock(g->mutex, NDS_SEC(10));

    if ((rc < 0 && rc != NDS_EOWNERDEAD) ||
        nds_mutex_unlock(g->mutex) < 0) {
        return false;
    }
    rc = nds_typed_lock(g->typed, NDS_SEC(10));
    if ((rc < 0 && rc != NDS_EOWNERDEAD) ||
        nds_typed_unlock(g->typed) < 0) {
        return false;
    }
    rc = nds_queue_get(g->queue, &item, NULL, 0);
    nds_array_close(item);
    return rc == 0 || rc == NDS_EAGAIN;
}

/* 0 or why it is no ordinary end. */
static int
start_and_join(struct gear *g, enum nds_start how)
{
    nds_proc_options opts = {.size = sizeof opts, .start = how,
                             .name = "walked"};
    nds_proc *p;
    int code = 0;
    int rc = nds_proc_start(&p, "uses_all", g->args, &opts);

    if (rc < 0) {
        // Nothing of the arguments may have gone.
        return rc == NDS_ECHILD &&
                       strstr(nds_last_error()->message, "'walked'") != NULL &&
                       nds_args_array(g->args, MOVED) != NULL
                   ? 0
                   : 20;
    }
    if (nds_args_array(g->args, MOVED) != NULL) {
        return 21;
    }
    NDI_KILL_POINT("act.started");
    rc = nds_pipe_send(g->far, g->arrays[FROZEN], NULL, NDS_SEC(10));
    NDI_KILL_POINT("act.spoken");
    if (rc < 0 && rc != NDS_EEOF && rc != NDS_EBROKEN) {
        return 22;
    }
    rc = nds_proc_join(p, NDS_SEC(15), &code);
    nds_proc_close(p);
    if (rc == NDS_ECHILD) {
        return strstr(nds_last_error()->message, "'walked'") != NULL ? 0 : 23;
    }
    return rc == 0 && (code == 0 || code == -SIGKILL) ? 0 : 24 + code % 8;
}

static int
act(void *ctx)
{
    struct tree_mark before = tree_mark();
    struct gear *g = &gear;
    int rc;

    if (!gear_up(g)) {
        return 10;
    }
    rc = start_and_join(g, *(const enum nds_start *)ctx);
    if (rc == 0 && !still_works(g)) {
        rc = 11;
    }
    gear_down(g);
    return tree_end(&before, rc, 12);
}

START_TEST(the_parent_dies)
{
    struct nds_walk w = {NULL, act, tree_check_names, &starts[_i]};

    ck_assert_int_gt(nds_walk_tree(&w, NULL), 40);
}
END_TEST

START_TEST(the_child_dies)
{
    struct nds_walk w = {NULL, act, tree_check_names, &starts[_i]};

    ck_assert_int_gt(nds_walk_tree(&w, starts[_i] == NDS_SPAWN
                                           ? "child.begin"
                                           : "forked.begin"), 15);
}
END_TEST

START_TEST(the_server_dies)
{
    struct nds_walk w = {NULL, act, tree_check_names, &starts[2]};

    // The first image to come up is the server's.
    ck_assert_int_gt(nds_walk_tree(&w, "child.begin"), 6);
}
END_TEST

static void
add(TCase *tc)
{
    tcase_add_loop_test(tc, the_parent_dies, 0, 3);
    tcase_add_loop_test(tc, the_child_dies, 0, 3);
    tcase_add_test(tc, the_server_dies);
}

int
main(int argc, char **argv)
{
    return run_tree_tests(argc, argv, "kill proc", add);
}
