/* SPDX-License-Identifier: MIT */
/*
 * proc.c - a process as a handle: start, join, signals, end
 *
 * The end is seen through the pidfd, by any number of threads; the status is
 * taken once, under the handle's mutex, and kept.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <base/options.h>
#include <os/os.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

#define LOOK_NS NDS_MSEC(100) /* how often a wait looks whether it has sense */

const char *
ndi_program_name(void)
{
    return program_invocation_short_name;
}

bool
ndi_flush_stdio(void)
{
    // A thread that waits for input holds its stream's lock, and flushing all
    // streams would wait for it.
    bool all = __libc_single_threaded != 0;

    if (all) {
        fflush(NULL);
    } else {
        fflush(stdout);
        fflush(stderr);
    }
    return all;
}

int
ndi_await_reply(int fd, int pidfd, struct ndi_reply *out, int *pass_fd,
                int64_t deadline)
{
    int fds[1] = {-1};
    int nfds = 0;
    int rc;

    // The socket alone would do, but a child that another thread forks just
    // now may hold a copy of the far end open.
    for (;;) {
        int64_t slice = ndi_deadline(LOOK_NS);

        if (deadline >= 0 && deadline < slice) {
            slice = deadline;
        }
        rc = ndi_sock_wait(fd, 1, slice);
        if (rc != -ETIMEDOUT || ndi_deadline_over(deadline)) {
            break;
        }
        if (pidfd >= 0 && ndi_sock_wait(pidfd, 1, 0) == 0 &&
            ndi_sock_wait(fd, 1, 0) < 0) {
            return -ENODATA;
        }
    }
    if (rc < 0) {
        return rc;
    }
    rc = ndi_sock_recv_fds(fd, out, sizeof *out, fds, pass_fd != NULL, &nfds,
                           ndi_deadline(NDS_SEC(10)));
    if (rc < 0) {
        return rc;
    }
    out->text[sizeof out->text - 1] = '\0';
    if (pass_fd != NULL) {
        *pass_fd = nfds == 1 ? fds[0] : -1;
    }
    return 0;
}

int
ndi_judge_reply(int rc, const struct ndi_reply *r, const struct ndi_start *s)
{
    if (rc == -ENODATA || rc == -EPIPE || rc == -ECONNRESET) {
        return ndi_fail(NDS_ECHILD, "process '%s' ended before its task began "
                        "(the program '%s' must call nds_init at the head of "
                        "main)", s->name, ndi_program_name());
    }
    if (rc == -ETIMEDOUT) {
        return ndi_fail(NDS_ECHILD, "process '%s' did not answer within %.3g "
                        "s: the program '%s' does not call nds_init at the "
                        "head of main", s->name,
                        (double)s->handshake_ns / 1e9, ndi_program_name());
    }
    if (rc < 0) {
        return ndi_fail_sys(NDS_ECHILD, -rc, "process '%s' did not start",
                            s->name);
    }
    switch (r->kind) {
    case NDI_REPLY_READY:
        return 0;
    case NDI_REPLY_NO_INIT:
        return ndi_fail(NDS_ECHILD, "process '%s' did not start: the program "
                        "'%s' does not call nds_init at the head of main",
                        s->name, ndi_program_name());
    case NDI_REPLY_ERROR:
        return ndi_fail(NDS_ECHILD, "process '%s' did not start: %s", s->name,
                        r->text);
    default:
        return ndi_fail(NDS_ECHILD, "process '%s' answered with something "
                        "else", s->name);
    }
}

static int
method_of(enum nds_start asked, enum nds_start *out)
{
    static const char *const names[] = {"fork", "spawn", "forkserver"};
    const char *text = getenv("NDSHARE_START_METHOD");

    *out = asked != 0 ? asked : NDS_FORK;
    if (asked == 0 && text != NULL && *text != '\0') {
        for (int i = 0; i < 3; i++) {
            if (strcmp(text, names[i]) == 0) {
                *out = (enum nds_start)(NDS_FORK + i);
                return 0;
            }
        }
        return ndi_fail(NDS_EINVAL, "NDSHARE_START_METHOD is '%s', not fork, "
                        "spawn or forkserver", text);
    }
    if (*out < NDS_FORK || *out > NDS_FORKSERVER) {
        return ndi_fail(NDS_EINVAL, "start method %d is not known", (int)*out);
    }
    return 0;
}

static int
start_by(enum nds_start method, struct nds_proc *p, const struct ndi_start *s)
{
    if (ndi_child_is_lost()) {
        return ndi_fail(NDS_ECHILD, "process '%s' did not start: the program "
                        "'%s' does not call nds_init at the head of main, and "
                        "runs in a child already", s->name,
                        ndi_program_name());
    }
    if (method == NDS_FORK) {
        return ndi_start_fork(p, s);
    }
    if (!ndi_init_was_called()) {
        return ndi_fail(NDS_ECHILD, "process '%s' did not start: the program "
                        "'%s' does not call nds_init at the head of main",
                        s->name, ndi_program_name());
    }
    return method == NDS_SPAWN ? ndi_start_spawn(p, s)
                               : ndi_start_server(p, s);
}

int
nds_proc_start(nds_proc **out, const char *task, nds_args *args,
               const nds_proc_options *opts)
{
    nds_proc_options o;
    struct ndi_start s = {.task = task, .args = args};
    enum nds_start method;
    struct nds_proc *p;
    int rc;

    *out = NULL;
    ndi_options_copy(&o, sizeof o, opts);
    rc = method_of(o.start, &method);
    if (rc == 0) {
        rc = ndi_task_find(task, &s.fn);
    }
    if (rc == 0) {
        rc = ndi_args_check(args);
    }
    if (rc < 0) {
        return rc;
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return ndi_fail_nomem(sizeof *p, "a process");
    }
    p->pidfd = p->status = -1;
    p->epoch = ndi_fork_epoch();
    pthread_mutex_init(&p->mutex, NULL);
    snprintf(p->name, sizeof p->name, "%s", o.name != NULL ? o.name : task);
    s.name = p->name;
    s.handshake_ns = o.handshake_ns > 0 ? o.handshake_ns : NDS_SEC(10);
    s.deadline = ndi_deadline(s.handshake_ns);
    rc = start_by(method, p, &s);
    if (rc < 0) {
        pthread_mutex_destroy(&p->mutex);
        free(p);
        return rc;
    }
    NDI_KILL_POINT("proc.started");
    ndi_args_drop_moved(args);
    NDI_KILL_POINT("proc.moved");
    *out = p;
    return 0;
}

/* Takes the status if there is one: 0, NDS_ETIMEDOUT while it runs. */
static int
settle_locked(nds_proc *p)
{
    struct ndi_reply r;
    int rc;

    if (p->ended) {
        return 0;
    }
    rc = ndi_sock_wait(p->pidfd, 1, 0);
    if (rc < 0) {
        return rc == -ETIMEDOUT || rc == -EAGAIN
                   ? NDS_ETIMEDOUT
                   : ndi_fail_errno(-rc, "wait for process '%s'", p->name);
    }
    if (p->status < 0) {
        rc = ndi_pidfd_wait(p->pidfd, 0, &p->code);
        if (rc == -ETIMEDOUT) {
            return NDS_ETIMEDOUT;
        }
        p->lost = rc < 0; // somebody else waited for it, or ignores SIGCHLD
    } else {
        rc = ndi_await_reply(p->status, -1, &r, NULL, ndi_deadline(NDS_SEC(5)));
        p->lost = rc < 0 || r.kind != NDI_REPLY_ENDED;
        p->code = p->lost ? 0 : r.value;
        ndi_os_close(ndi_steal_fd(&p->status));
    }
    p->ended = true;
    return 0;
}

int
nds_proc_join(nds_proc *p, int64_t timeout_ns, int *code)
{
    int64_t deadline = ndi_deadline(timeout_ns);
    bool lost;
    int rc;

    if (p->epoch != ndi_fork_epoch()) {
        return ndi_fail(NDS_EINVAL, "process '%s' is no child of this process",
                        p->name);
    }
    for (;;) {
        pthread_mutex_lock(&p->mutex);
        rc = settle_locked(p);
        lost = p->lost;
        if (rc == 0 && code != NULL) {
            *code = p->code;
        }
        pthread_mutex_unlock(&p->mutex);
        if (rc != NDS_ETIMEDOUT || ndi_deadline_over(deadline)) {
            break;
        }
        (void)ndi_sock_wait(p->pidfd, 1, deadline);
    }
    if (rc == NDS_ETIMEDOUT && timeout_ns == 0) {
        return NDS_EAGAIN;
    }
    if (rc == 0 && lost) {
        return ndi_fail(NDS_ECHILD, "process '%s' (pid %d) has ended, but %s "
                        "took its exit code", p->name, (int)p->pid,
                        "somebody else in this program, or its dead server,");
    }
    return rc;
}

int
nds_proc_pid(const nds_proc *p)
{
    return (int)p->pid;
}

int
nds_proc_fd(const nds_proc *p)
{
    return p->pidfd;
}

bool
nds_proc_is_alive(nds_proc *p)
{
    return ndi_sock_wait(p->pidfd, 1, 0) < 0;
}

static int
send_signal(nds_proc *p, int sig)
{
    int rc = ndi_pidfd_signal(p->pidfd, sig);

    if (rc == 0 || rc == -ESRCH) {
        return 0; // what has ended needs no signal
    }
    return ndi_fail_errno(-rc, "signal process '%s' (pid %d)", p->name,
                          (int)p->pid);
}

int
nds_proc_terminate(nds_proc *p)
{
    return send_signal(p, SIGTERM);
}

int
nds_proc_kill(nds_proc *p)
{
    return send_signal(p, SIGKILL);
}

void
nds_proc_close(nds_proc *p)
{
    if (p == NULL) {
        return;
    }
    if (p->epoch == ndi_fork_epoch() && p->status < 0 &&
        settle_locked(p) == NDS_ETIMEDOUT) {
        ndi_reaper_add(ndi_steal_fd(&p->pidfd));
    }
    ndi_os_close(p->pidfd);
    ndi_os_close(p->status);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}
