/* SPDX-License-Identifier: MIT */
/*
 * reaper.c - children whose handle was closed while they ran
 *
 * A child stays a zombie until its parent asks for its status, and a SIGCHLD
 * handler is the program's own business. So one thread, started when first
 * needed and gone when nothing is left, waits on their pidfds. A child of fork
 * inherits none of it: these are not its children.
 */
#include <proc/proc_impl.h>

#include <os/os.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    pthread_mutex_t mutex;
    struct pollfd *fds; /* [0] is the bell */
    int count;
    int room;
    int bell[2]; /* rung when something was added */
    bool running;
} reaper = {.mutex = PTHREAD_MUTEX_INITIALIZER, .bell = {-1, -1}};

static void
forget_all(void)
{
    for (int i = 0; i < reaper.count; i++) {
        close(reaper.fds[i].fd);
    }
    reaper.count = 0;
    ndi_os_close(ndi_steal_fd(&reaper.bell[0]));
    ndi_os_close(ndi_steal_fd(&reaper.bell[1]));
    reaper.running = false;
}

static void
before_fork(void)
{
    pthread_mutex_lock(&reaper.mutex);
}

static void
after_fork_parent(void)
{
    pthread_mutex_unlock(&reaper.mutex);
}

static void
after_fork_child(void)
{
    pthread_mutex_init(&reaper.mutex, NULL);
    forget_all();
}

__attribute__((constructor)) static void
follow_forks(void)
{
    ndi_at_fork(NDI_FORK_REAPER, before_fork, after_fork_parent,
                after_fork_child);
}

static void
sweep_locked(void)
{
    for (int i = 0; i < reaper.count;) {
        if (ndi_pidfd_wait(reaper.fds[i].fd, 0, NULL) == -ETIMEDOUT) {
            i++;
            continue;
        }
        close(reaper.fds[i].fd);
        reaper.fds[i] = reaper.fds[--reaper.count];
    }
}

/* Copies what to wait for, with the bell in front: how many, 0 when done. */
static int
gather(struct pollfd **out, int *room)
{
    int count = 0;

    pthread_mutex_lock(&reaper.mutex);
    sweep_locked();
    if (reaper.count + 1 > *room) {
        struct pollfd *more =
            realloc(*out, (size_t)(reaper.count + 16) * sizeof **out);

        if (more != NULL) {
            *out = more;
            *room = reaper.count + 16;
        }
    }
    if (reaper.count == 0 || *room == 0) {
        forget_all();
    } else {
        count = reaper.count < *room ? reaper.count + 1 : *room;
        (*out)[0] = (struct pollfd){.fd = reaper.bell[0], .events = POLLIN};
        memcpy(*out + 1, reaper.fds, (size_t)(count - 1) * sizeof **out);
    }
    pthread_mutex_unlock(&reaper.mutex);
    return count;
}

static void *
reap_all(void *unused)
{
    struct pollfd *fds = NULL;
    int room = 0;
    int count;

    (void)unused;
    while ((count = gather(&fds, &room)) > 0) {
        // The slice covers what did not fit into memory.
        if (poll(fds, (nfds_t)count, 1000) > 0 && fds[0].revents != 0) {
            char byte;

            (void)!read(fds[0].fd, &byte, 1);
        }
    }
    free(fds);
    return NULL;
}

/* Signals are for the program's own threads. */
static int
start_thread(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t old;
    int rc;

    rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return -rc;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = NDI_SYS_CODE("thread",
                      pthread_create(&thread, &attr, reap_all, NULL));
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return -rc;
}

static bool
add_locked(int pidfd)
{
    if (reaper.count == reaper.room) {
        struct pollfd *more = realloc(
            reaper.fds, (size_t)(reaper.room + 16) * sizeof *reaper.fds);

        if (more == NULL) {
            return false;
        }
        reaper.fds = more;
        reaper.room += 16;
    }
    if (reaper.bell[0] < 0 && ndi_sock_pair(reaper.bell) < 0) {
        return false;
    }
    reaper.fds[reaper.count++] = (struct pollfd){.fd = pidfd,
                                                 .events = POLLIN};
    if (!reaper.running) {
        reaper.running = start_thread() == 0;
    }
    (void)!write(reaper.bell[1], "", 1);
    return true;
}

void
ndi_reaper_add(int pidfd)
{
    bool added;

    pthread_mutex_lock(&reaper.mutex);
    added = add_locked(pidfd);
    NDI_KILL_POINT("reaper.added");
    pthread_mutex_unlock(&reaper.mutex);
    if (!added) {
        close(pidfd); // out of memory: the zombie goes when we do
    }
}
