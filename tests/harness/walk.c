/* SPDX-License-Identifier: MIT */
/* walk.c - see walk.h */
#include <harness/walk.h>

#include <check.h>
#include <dirent.h>
#include <os/killpoint.h>
#include <os/os.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit code of the child, or minus the signal that ended it. */
static int
wait_child(pid_t pid)
{
    int64_t deadline = ndi_deadline(NDS_WALK_SECONDS * INT64_C(1000000000));
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (ndi_deadline_over(deadline)) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            ck_abort_msg("the child hangs");
        }
        usleep(200);
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int
run(const struct nds_walk *w, struct ndi_kill_page *page, uint32_t kill_at)
{
    pid_t pid;

    if (w->setup != NULL) {
        w->setup(w->ctx);
    }
    atomic_store(&page->visits, 0);
    atomic_store(&page->fired, 0);
    page->kill_at = kill_at;
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(NDS_WALK_SECONDS * 2);
        ndi_kill_install(page);
        _exit(w->act(w->ctx));
    }
    return wait_child(pid);
}

int
nds_walk(const struct nds_walk *w)
{
    struct ndi_kill_page *page = ndi_kill_page_new();
    uint32_t visits;
    int rc;

    ck_assert_ptr_nonnull(page);
    rc = run(w, page, 0);
    ck_assert_msg(rc == 0, "the act itself failed: %d", rc);
    visits = atomic_load(&page->visits);
    ck_assert_uint_gt(visits, 0);
    w->check(w->ctx, "end");
    for (uint32_t i = 1; i <= visits && i <= NDI_KILL_NAMES; i++) {
        rc = run(w, page, i);
        // A visit may fall away when the run before left other conditions.
        ck_assert_msg(rc == -SIGKILL || rc == 0, "at '%s': %d",
                      page->names[i - 1], rc);
        w->check(w->ctx, page->names[i - 1]);
    }
    ndi_kill_page_free(page);
    return (int)visits;
}

int
nds_in_child(int (*act)(void *ctx), void *ctx)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        alarm(NDS_WALK_SECONDS * 2);
        _exit(act(ctx));
    }
    return wait_child(pid);
}

int
nds_open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count - 3; // ".", ".." and the directory's own
}

static int
each_name(const char *prefix, bool remove)
{
    DIR *dir = opendir(ndi_shm_dir());
    struct dirent *e;
    int count = 0;

    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir)) != NULL) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0) {
            count++;
            if (remove) {
                ndi_shm_unlink(e->d_name);
            }
        }
    }
    closedir(dir);
    return count;
}

int
nds_count_names(const char *prefix)
{
    return each_name(prefix, false);
}

void
nds_remove_names(const char *prefix)
{
    each_name(prefix, true);
}
