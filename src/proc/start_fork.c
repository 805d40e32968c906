/* SPDX-License-Identifier: MIT */
/*
 * start_fork.c - a child that goes on from here
 *
 * Nothing is packed: the child has our memory. The parent waits for an answer
 * only when the child must copy something first.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static _Noreturn void
forked_child(const struct ndi_start *s, int answer, bool flush_all)
{
    int rc;

    NDI_KILL_POINT("forked.begin");
    rc = ndi_args_settle(s->args);
    NDI_KILL_POINT("forked.settled");
    if (answer >= 0) {
        if (rc < 0) {
            ndi_child_send(answer, NDI_REPLY_ERROR, rc,
                           nds_last_error()->message, -1);
            _exit(127);
        }
        rc = ndi_child_send(answer, NDI_REPLY_READY, 0, "", -1);
        NDI_KILL_POINT("forked.told");
        close(answer);
        if (rc < 0) {
            _exit(127);
        }
    }
    // No atexit functions: they belong to the image that registered them.
    _exit(ndi_child_call(s->fn, s->args, flush_all));
}

/* A child we cannot keep: ended and reaped. */
static void
discard(pid_t pid, int pidfd)
{
    if (pidfd >= 0) {
        (void)ndi_pidfd_signal(pidfd, SIGKILL);
        (void)ndi_pidfd_wait(pidfd, NDS_FOREVER, NULL);
    } else {
        kill(pid, SIGKILL);
        ndi_child_wait(pid);
    }
}

int
ndi_start_fork(struct nds_proc *p, const struct ndi_start *s)
{
    bool settle = ndi_args_must_settle(s->args);
    int pair[2] = {-1, -1};
    struct ndi_reply r;
    bool flush_all;
    int spare = -1;
    int rc = 0;

    // Proves that a pidfd can be had before there is a child to lose.
    rc = ndi_pidfd_open(&spare, getpid());
    if (rc == 0 && settle) {
        rc = ndi_sock_pair(pair);
    }
    if (rc < 0) {
        rc = ndi_fail_sys(NDS_ECHILD, -rc, "start process '%s'", s->name);
        goto out;
    }
    NDI_KILL_POINT("fork.before");
    flush_all = ndi_flush_stdio();
    p->pid = NDI_SYS("fork", fork());
    if (p->pid == 0) {
        ndi_os_close(spare);
        ndi_os_close(pair[0]);
        forked_child(s, pair[1], flush_all);
    }
    rc = p->pid < 0 ? -errno : 0;
    NDI_KILL_POINT("fork.forked");
    ndi_os_close(ndi_steal_fd(&pair[1]));
    ndi_os_close(ndi_steal_fd(&spare));
    if (rc == 0) {
        rc = ndi_pidfd_open(&p->pidfd, p->pid);
        NDI_KILL_POINT("fork.watched");
        if (rc < 0) {
            discard(p->pid, -1);
        }
    }
    if (rc < 0) {
        rc = ndi_fail_sys(NDS_ECHILD, -rc, "start process '%s' by fork",
                          s->name);
        goto out;
    }
    if (settle) {
        // However long the copy takes: it is work, not a handshake.
        rc = ndi_await_reply(pair[0], p->pidfd, &r, NULL, NDS_FOREVER);
        NDI_KILL_POINT("fork.answered");
        rc = ndi_judge_reply(rc, &r, s);
        if (rc < 0) {
            discard(p->pid, p->pidfd);
            ndi_os_close(ndi_steal_fd(&p->pidfd));
        }
    }
out:
    ndi_os_close(spare);
    ndi_os_close(pair[0]);
    ndi_os_close(pair[1]);
    return rc;
}
