/* SPDX-License-Identifier: MIT */
/*
 * start_server.c - a child forked by a clean server process
 *
 * A process tree has one server: its line, one end of a socket pair, goes to
 * forked children by inheritance and to the others with their arguments. A
 * request is one byte and one descriptor, so that requests of many senders do
 * not mix; all else of a start happens on the socket that the descriptor is.
 * Where copies are counted, the counters travel as a second descriptor.
 * The server ends when the last copy of the line is closed. If it was killed,
 * the next start makes a new one.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct {
    pthread_mutex_t mutex;
    int line;      /* -1: none */
    int pidfd;     /* of the server, where this process started it */
    pid_t pid;
} server = {.mutex = PTHREAD_MUTEX_INITIALIZER, .line = -1, .pidfd = -1};

static void
before_fork(void)
{
    pthread_mutex_lock(&server.mutex);
}

static void
after_fork_parent(void)
{
    pthread_mutex_unlock(&server.mutex);
}

static void
after_fork_child(void)
{
    pthread_mutex_init(&server.mutex, NULL);
    ndi_os_close(ndi_steal_fd(&server.pidfd)); // its parent's child, not its
    server.pid = 0;
}

__attribute__((constructor)) static void
follow_forks(void)
{
    ndi_at_fork(NDI_FORK_SERVER, before_fork, after_fork_parent,
                after_fork_child);
}

static void
hang_up_locked(int64_t wait_ns)
{
    ndi_os_close(ndi_steal_fd(&server.line));
    if (server.pidfd >= 0) {
        if (ndi_pidfd_wait(server.pidfd, ndi_deadline(wait_ns), NULL) ==
            -ETIMEDOUT) {
            ndi_reaper_add(ndi_steal_fd(&server.pidfd));
        }
        ndi_os_close(ndi_steal_fd(&server.pidfd));
    }
    server.pid = 0;
}

void
ndi_server_stop(void)
{
    pthread_mutex_lock(&server.mutex);
    hang_up_locked(NDS_SEC(5));
    pthread_mutex_unlock(&server.mutex);
}

pid_t
ndi_server_pid(void)
{
    pid_t pid;

    pthread_mutex_lock(&server.mutex);
    pid = server.pid;
    pthread_mutex_unlock(&server.mutex);
    return pid;
}

int
ndi_server_line(void)
{
    int line = -1;

    pthread_mutex_lock(&server.mutex);
    if (server.line >= 0) {
        (void)ndi_os_dup(&line, server.line);
    }
    pthread_mutex_unlock(&server.mutex);
    return line;
}

void
ndi_server_adopt(int fd)
{
    pthread_mutex_lock(&server.mutex);
    hang_up_locked(0);
    server.line = fd;
    pthread_mutex_unlock(&server.mutex);
}

static int
launch_locked(const struct ndi_start *s)
{
    struct ndi_reply r;
    int fd;
    int rc;

    (void)ndi_flush_stdio();
    rc = ndi_spawn_peer(&server.pid, &server.pidfd, &fd, "forkserver");
    NDI_KILL_POINT("server.launched");
    if (rc < 0) {
        server.pid = 0;
        return ndi_fail_sys(NDS_ECHILD, -rc, "start the forkserver for "
                            "process '%s'", s->name);
    }
    server.line = fd;
    rc = ndi_send_start(fd, NDI_ROLE_SERVER, NULL, s->deadline);
    NDI_KILL_POINT("server.greeted");
    if (rc == 0) {
        rc = ndi_await_reply(fd, server.pidfd, &r, NULL, s->deadline);
    }
    rc = ndi_judge_reply(rc, &r, s);
    if (rc < 0) {
        (void)ndi_pidfd_signal(server.pidfd, SIGKILL);
        hang_up_locked(NDS_FOREVER);
    }
    return rc;
}

/* Sends our end `far` to the server, starting one if there is none. */
static int
ask(int far, const struct ndi_start *s)
{
    int fds[2] = {far, ndi_stats_fd()};
    int nfds = fds[1] < 0 ? 1 : 2;
    int rc;

    pthread_mutex_lock(&server.mutex);
    for (int tries = 0;; tries++) {
        if (server.line < 0) {
            rc = launch_locked(s);
            if (rc < 0) {
                break;
            }
        }
        rc = ndi_sock_send_fds(server.line, "f", 1, fds, nfds, s->deadline);
        NDI_KILL_POINT("server.asked");
        if (rc == 0) {
            break;
        }
        hang_up_locked(NDS_SEC(1));
        if (tries == 1) {
            rc = ndi_fail_sys(NDS_ECHILD, -rc, "ask the forkserver for "
                              "process '%s'", s->name);
            break;
        }
    }
    pthread_mutex_unlock(&server.mutex);
    return rc;
}

/* NDI_REPLY_BORN: the pid, and the pidfd beside it. */
static int
await_birth(struct nds_proc *p, int fd, int64_t deadline, struct ndi_reply *r)
{
    int rc = ndi_await_reply(fd, -1, r, &p->pidfd, deadline);

    if (rc == 0 && (r->kind != NDI_REPLY_BORN || p->pidfd < 0)) {
        ndi_os_close(ndi_steal_fd(&p->pidfd));
        return r->kind == NDI_REPLY_ERROR ? 0 : -EPROTO;
    }
    if (rc == 0) {
        p->pid = r->value;
    }
    return rc;
}

/* One attempt; -ENODATA and the like if the server went away under it. */
static int
attempt(struct nds_proc *p, const struct ndi_start *s,
        const struct ndi_parcel *parcel, struct ndi_reply *r, int *asked)
{
    int pair[2];
    int rc = ndi_sock_pair(pair);

    if (rc < 0) {
        return rc;
    }
    *asked = ask(pair[1], s);
    close(pair[1]);
    if (*asked < 0) {
        close(pair[0]);
        return -ECHILD;
    }
    rc = await_birth(p, pair[0], s->deadline, r);
    NDI_KILL_POINT("server.born");
    if (rc == 0 && p->pidfd >= 0) {
        int sent = ndi_send_start(pair[0], NDI_ROLE_TASK, parcel, s->deadline);

        NDI_KILL_POINT("server.sent");
        // As for spawn: only a child that hung up has something to say.
        rc = sent < 0 && sent != -EPIPE && sent != -ECONNRESET
                 ? sent
                 : ndi_await_reply(pair[0], p->pidfd, r, NULL, s->deadline);
        rc = rc < 0 && sent < 0 ? sent : rc;
    }
    p->status = pair[0];
    return rc;
}

int
ndi_start_server(struct nds_proc *p, const struct ndi_start *s)
{
    struct ndi_parcel parcel = {0};
    struct ndi_reply r;
    int asked = 0;
    int rc;

    (void)ndi_flush_stdio();
    rc = ndi_pack_start(s, &parcel, false);
    for (int tries = 0; rc == 0 && tries < 2; tries++) {
        rc = attempt(p, s, &parcel, &r, &asked);
        if (asked < 0) {
            rc = asked; // and says why
            break;
        }
        if (p->pidfd >= 0 || rc == 0 || rc == -ETIMEDOUT) {
            rc = ndi_judge_reply(rc, &r, s);
            break;
        }
        // The server was killed with our request in its hands.
        ndi_os_close(ndi_steal_fd(&p->status));
        rc = tries == 0 ? 0 : ndi_judge_reply(rc, &r, s);
    }
    if (rc < 0) {
        if (p->pidfd >= 0) {
            (void)ndi_pidfd_signal(p->pidfd, SIGKILL);
            (void)ndi_sock_wait(p->pidfd, 1, ndi_deadline(NDS_SEC(5)));
        }
        ndi_os_close(ndi_steal_fd(&p->pidfd));
        ndi_os_close(ndi_steal_fd(&p->status));
    }
    ndi_parcel_fini(&parcel);
    return rc;
}
