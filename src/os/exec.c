/* SPDX-License-Identifier: MIT */
/*
 * exec.c - processes: descriptors for them, their end, and starting anew
 *
 * A pidfd names a process for as long as it is open, so nothing here can hit a
 * stranger that got a recycled number. Starting anew goes through posix_spawn:
 * glibc makes the child share our memory until it executes, so no page table
 * is copied however large the parent is.
 */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_PIDFD ((idtype_t)3) /* P_PIDFD, which glibc 2.35 lacks */

int
ndi_pidfd_open(int *fd, pid_t pid)
{
    long got;

    *fd = -1;
    got = NDI_SYS("pidfd_open", syscall(SYS_pidfd_open, pid, 0U));
    if (got < 0) {
        return -errno;
    }
    *fd = (int)got;
    return 0;
}

int
ndi_pidfd_signal(int pidfd, int sig)
{
    return NDI_SYS("pidfd_signal", syscall(SYS_pidfd_send_signal, pidfd, sig,
                                           NULL, 0U)) < 0
               ? -errno
               : 0;
}

/* Takes the status of an ended child: -EAGAIN while it runs. */
static int
reap(int pidfd, int *code)
{
    siginfo_t info = {0};

    while (NDI_SYS("waitid", waitid(WAIT_PIDFD, (id_t)pidfd, &info,
                                    WEXITED | WNOHANG)) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    if (info.si_pid == 0) {
        return -EAGAIN;
    }
    if (code != NULL) {
        *code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    }
    return 0;
}

int
ndi_pidfd_wait(int pidfd, int64_t deadline, int *code)
{
    for (;;) {
        struct pollfd one = {.fd = pidfd, .events = POLLIN};
        int64_t left = ndi_deadline_left(deadline);
        struct timespec ts = {.tv_sec = (time_t)(left / 1000000000),
                              .tv_nsec = (long)(left % 1000000000)};
        int rc = reap(pidfd, code);

        if (rc != -EAGAIN) {
            return rc;
        }
        if (left == 0) {
            return -ETIMEDOUT;
        }
        if (NDI_SYS("poll", ppoll(&one, 1, &ts, NULL)) < 0 &&
            errno != EINTR) {
            return -errno;
        }
    }
}

void
ndi_child_wait(pid_t pid)
{
    while (NDI_SYS("waitpid", waitpid(pid, NULL, 0)) < 0 && errno == EINTR) {
    }
}

/* `keep` becomes 3, `stats` (a number beyond 4, or -1) becomes 4. */
static int
pass_descriptors(posix_spawn_file_actions_t *actions, int keep, int stats)
{
    int next = NDI_SPAWN_FD + 1;
    // dup2 of 3 onto itself still clears close-on-exec there.
    int rc = posix_spawn_file_actions_adddup2(actions, keep, NDI_SPAWN_FD);

    if (rc == 0 && stats >= 0) {
        rc = posix_spawn_file_actions_adddup2(actions, stats, next++);
    }
    if (rc == 0) {
        rc = posix_spawn_file_actions_addclosefrom_np(actions, next);
    }
    return -rc;
}

/* A copy of the counters' descriptor, out of the way of 3 and 4: -1 if copies
 * are not counted. The child's environment says the number it will have. */
static int
stats_for_child(int *out, char *env[])
{
    static char ours[] = NDI_STATS_ENV "=4";
    int fd = ndi_stats_fd();

    _Static_assert(NDI_SPAWN_FD == 3, "the number in the environment");
    *out = -1;
    if (fd < 0) {
        return 0;
    }
    for (char **e = env; *e != NULL; e++) {
        if (strncmp(*e, ours, sizeof NDI_STATS_ENV) == 0) {
            *e = ours;
        }
    }
    *out = NDI_SYS("dup", fcntl(fd, F_DUPFD_CLOEXEC, NDI_SPAWN_FD + 2));
    return *out < 0 ? -errno : 0;
}

int
ndi_spawn_self(pid_t *pid, int *pidfd, char *const argv[], char *env[],
               int keep)
{
    posix_spawn_file_actions_t actions;
    int spare = -1;
    int stats = -1;
    int rc;

    *pid = -1;
    *pidfd = -1;
    // Proves that a pidfd can be had before there is a child to lose.
    rc = ndi_pidfd_open(&spare, getpid());
    if (rc == 0) {
        rc = stats_for_child(&stats, env);
    }
    if (rc == 0) {
        rc = -posix_spawn_file_actions_init(&actions);
    }
    if (rc < 0) {
        goto out;
    }
    rc = pass_descriptors(&actions, keep, stats);
    if (rc == 0) {
        rc = -NDI_SYS_CODE("spawn", posix_spawn(pid, "/proc/self/exe",
                                                &actions, NULL, argv, env));
    }
    posix_spawn_file_actions_destroy(&actions);
    if (rc < 0) {
        goto out;
    }
    close(spare);
    spare = -1;
    rc = ndi_pidfd_open(pidfd, *pid);
    if (rc < 0) {
        kill(*pid, SIGKILL);
        ndi_child_wait(*pid);
        *pid = -1;
    }
out:
    ndi_os_close(stats);
    ndi_os_close(spare);
    return rc;
}
