/* SPDX-License-Identifier: MIT */
/* walk.c - see walk.h */
#include <harness/walk.h>

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <ndshare/block.h>
#include <os/killpoint.h>
#include <os/os.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t kept;

void
nds_walk_keep(int pid)
{
    kept = pid;
}

/* Children but the one to keep: what was orphaned came to us. Sends them sig,
 * 0 for nothing. */
static int
children(int sig)
{
    char path[64];
    int pid, count = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)gettid());
    f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    while (fscanf(f, "%d", &pid) == 1) {
        if (pid != kept) {
            count++;
            kill(pid, sig);
        }
    }
    fclose(f);
    return count;
}

/* Takes the status of every child that has ended but the kept one. */
static void
reap_children(void)
{
    siginfo_t info = {0};

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0 && info.si_pid != kept) {
        waitpid(info.si_pid, NULL, 0);
        info.si_pid = 0;
    }
}

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

/* Of a child. Check's own handler, which it has from its parent, would kill the
 * whole group, and so the test without a word of why. */
static void
limit_time(void)
{
    signal(SIGALRM, SIG_DFL);
    alarm(NDS_WALK_SECONDS * 2);
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
        limit_time();
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

/* Nobody may be left, and nobody may need a signal to go. */
static void
tree_ends(const char *point)
{
    int64_t deadline = ndi_deadline(NDS_WALK_SECONDS * INT64_C(1000000000));

    for (;;) {
        reap_children();
        if (children(0) == 0) {
            return;
        }
        if (ndi_deadline_over(deadline)) {
            break;
        }
        usleep(200);
    }
    while (children(SIGKILL) > 0) {
        reap_children();
    }
    ck_abort_msg("at '%s': a process stays behind", point);
}

/* The act, with one visit or one call chosen; its exit code. */
static int
run_tree(const struct nds_walk *w, struct ndi_kill_page *page,
         const char *claim)
{
    pid_t pid;

    if (w->setup != NULL) {
        w->setup(w->ctx);
    }
    atomic_store(&page->visits, 0);
    atomic_store(&page->fired, 0);
    atomic_store(&page->calls, 0);
    atomic_store(&page->failed, 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        limit_time();
        if (claim != NULL) {
            ndi_kill_install_claim(page, claim);
        } else {
            ndi_kill_install(page);
        }
        _exit(w->act(w->ctx));
    }
    return wait_child(pid);
}

int
nds_walk_tree(const struct nds_walk *w, const char *claim)
{
    struct ndi_kill_page *page = ndi_kill_page_new();
    uint32_t visits;
    int rc;

    ck_assert_ptr_nonnull(page);
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    rc = run_tree(w, page, claim);
    ck_assert_msg(rc == 0, "the act itself failed: %d", rc);
    tree_ends("end");
    visits = atomic_load(&page->visits);
    ck_assert_uint_gt(visits, 0);
    w->check(w->ctx, "end");
    for (uint32_t i = 1; i <= visits && i <= NDI_KILL_NAMES; i++) {
        page->kill_at = i;
        rc = run_tree(w, page, claim);
        ck_assert_msg(rc == 0 || (rc == -SIGKILL && claim == NULL),
                      "at '%s': %d", page->names[i - 1], rc);
        tree_ends(page->names[i - 1]);
        w->check(w->ctx, page->names[i - 1]);
    }
    ndi_kill_page_free(page);
    return (int)visits;
}

/* What the kernel can answer to a call, by its name. */
static const struct {
    const char *call;
    int errs[4];
} answers[] = {
    {"open", {EMFILE, ENOMEM, ENOSPC, EINTR}},
    {"dup", {EMFILE}},
    {"read", {EINTR, ENOMEM}},
    {"write", {EINTR, ENOSPC, ENOMEM}},
    {"pread", {EINTR, ENOMEM}},
    {"pwrite", {EINTR, ENOSPC, ENOMEM}},
    {"truncate", {EINTR, ENOMEM, ENOSPC}},
    {"reserve", {ENOSPC, EINTR, ENOMEM}},
    {"link", {ENOSPC, ENOMEM}},
    {"rename", {ENOSPC, ENOMEM}},
    {"tmpfile", {EMFILE, ENOSPC, ENOMEM}},
    {"memfd", {EMFILE, ENOMEM}},
    {"map", {ENOMEM, EAGAIN}},
    {"map_anon", {ENOMEM, EAGAIN}},
    {"lock", {EAGAIN, EINTR, ENOMEM}},
    {"unlock", {EINTR, ENOMEM}},
    {"lock_probe", {EINTR, ENOMEM}},
    {"lease", {EAGAIN, ENOMEM}},
    {"socketpair", {EMFILE, ENOMEM}},
    {"socket", {EMFILE, ENOMEM}},
    {"connect", {EAGAIN, ENOMEM}},
    {"accept", {EMFILE, EINTR, EAGAIN, ENOMEM}},
    {"sendmsg", {EINTR, EAGAIN, ENOMEM}},
    {"recvmsg", {EINTR, EAGAIN, ENOMEM}},
    {"recv", {EINTR, EAGAIN, ENOMEM}},
    {"poll", {EINTR, ENOMEM}},
    {"futex_wait", {EINTR, EAGAIN}},
    {"futex_wake", {EINTR}},
    {"eventfd", {EMFILE, ENOMEM}},
    {"eventfd_read", {EAGAIN}},
    {"eventfd_write", {EAGAIN}},
    {"fork", {EAGAIN, ENOMEM}},
    {"spawn", {EAGAIN, ENOMEM, EMFILE}},
    {"thread", {EAGAIN}},
    {"pidfd_open", {EMFILE, ENOMEM}},
    {"waitid", {EINTR}},
    {"waitpid", {EINTR}},
    {"random", {EINTR}},
    {"shm_room", {EINTR, ENOMEM}},
};

static const int *
answers_of(const char *call)
{
    static const int other[4] = {ENOMEM};

    for (size_t i = 0; i < NDI_ARRAY_LEN(answers); i++) {
        if (strcmp(answers[i].call, call) == 0) {
            return answers[i].errs;
        }
    }
    return other;
}

/* Is call i among a sample of every step-th, the first two of each kind too? */
static bool
is_sampled(char (*names)[NDI_FAULT_NAME_ROOM], uint32_t i, unsigned step)
{
    int before = 0;

    for (uint32_t k = 0; k < i; k++) {
        before += strcmp(names[k], names[i]) == 0;
    }
    return step <= 1 || before < 2 || i % step == 0;
}

static void
fail_one(const struct nds_walk *w, struct ndi_kill_page *page,
         const char *claim, uint32_t at, int err)
{
    char point[96];
    int rc;

    page->fail_at = at;
    page->fail_err = err;
    rc = run_tree(w, page, claim);
    snprintf(point, sizeof point, "call %u, %s, %s", at,
             atomic_load(&page->failed) != 0 ? page->failed_name : "none",
             strerrorname_np(err));
    ck_assert_msg(rc == 0, "at '%s': %d", point, rc);
    tree_ends(point);
    w->check(w->ctx, point);
}

int
nds_walk_faults(const struct nds_walk *w, const char *claim, unsigned step)
{
    struct ndi_kill_page *page = ndi_kill_page_new();
    uint32_t calls;
    int rc, done = 0;

    ck_assert_ptr_nonnull(page);
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    rc = run_tree(w, page, claim);
    ck_assert_msg(rc == 0, "the act itself failed: %d", rc);
    tree_ends("end");
    w->check(w->ctx, "end");
    calls = atomic_load(&page->calls);
    ck_assert_uint_gt(calls, 0);
    for (uint32_t i = 0; i < calls && i < NDI_KILL_NAMES; i++) {
        const int *errs = answers_of(page->call_names[i]);
        int count = 0;

        if (!is_sampled(page->call_names, i, step)) {
            continue;
        }
        while (count < 4 && errs[count] != 0) {
            count++;
        }
        for (int e = 0; e < count; e++) {
            // A sample takes another of them each time.
            if (step <= 1 || (int)(i % (uint32_t)count) == e) {
                fail_one(w, page, claim, i + 1, errs[e]);
                done++;
            }
        }
    }
    ndi_kill_page_free(page);
    return done;
}

int
nds_in_child(int (*act)(void *ctx), void *ctx)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        limit_time();
        _exit(act(ctx));
    }
    return wait_child(pid);
}

int
nds_open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    if (dir == NULL) {
        return -1;
    }
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count - 3; // ".", ".." and the directory's own
}

int
nds_shared_mappings(void)
{
    return nds_shared_mappings_of((int)getpid());
}

int
nds_shared_mappings_of(int pid)
{
    char path[64], line[512], perms[8] = "";
    int count = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    f = fopen(path, "re");
    if (f == NULL) {
        return -1;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%*s %7s", perms) == 1 &&
            (perms[3] == 's' || strstr(line, " (deleted)") != NULL)) {
            count++;
        }
    }
    fclose(f);
    return count;
}

static int
each_name(const char *prefix, bool remove)
{
    DIR *dir = opendir(ndi_shm_dir());
    struct dirent *e;
    int count = 0;

    if (dir == NULL) {
        return 0;
    }
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

static char own_dir[] = "/dev/shm/nds-test-XXXXXX";

void
nds_own_shm_dir(void)
{
    if (mkdtemp(own_dir) == NULL ||
        setenv("NDSHARE_SHM_DIR", own_dir, 1) < 0) {
        perror(own_dir);
        exit(1);
    }
}

int
nds_names_left(void)
{
    char locks[32];
    int count;

    ck_assert_int_ge(nds_sweep(false, NULL, NULL), 0);
    snprintf(locks, sizeof locks, ".nds-%u", (unsigned)geteuid());
    count = nds_count_names("") - 2; // "." and ".."
    return count - nds_count_names(locks);
}

void
nds_drop_shm_dir(void)
{
    nds_remove_names("");
    (void)rmdir(own_dir);
}
