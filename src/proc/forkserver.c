/* SPDX-License-Identifier: MIT */
/*
 * forkserver.c - being the server: forks, watches, relays the end
 *
 * One thread, no state but a list of running children. A child keeps nothing
 * of the server's but the socket of its own start.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct child {
    int pidfd;
    int fd; /* where its end is told */
};

struct state {
    int line;
    struct child *children;
    struct pollfd *fds; /* [0] is the line, [i + 1] child i */
    int count;
    int room;
};

static bool
make_room(struct state *st)
{
    int room = st->room * 2 + 16;
    struct child *children;
    struct pollfd *fds;

    if (st->count < st->room) {
        return true;
    }
    children = realloc(st->children, (size_t)room * sizeof *children);
    if (children == NULL) {
        return false;
    }
    st->children = children;
    fds = realloc(st->fds, (size_t)(room + 1) * sizeof *fds);
    if (fds == NULL) {
        return false;
    }
    st->fds = fds;
    st->room = room;
    return true;
}

static _Noreturn void
be_child(struct state *st, int fd)
{
    struct ndi_start_head head;
    struct ndi_parcel p = {0};
    int code = 127;
    int rc;

    close(st->line);
    for (int i = 0; i < st->count; i++) {
        close(st->children[i].pidfd);
        close(st->children[i].fd);
    }
    free(st->children);
    free(st->fds);
    NDI_KILL_POINT("forked.begin");
    signal(SIGINT, SIG_DFL);
    rc = ndi_child_receive(fd, &head, &p, ndi_deadline(NDS_SEC(60)));
    NDI_KILL_POINT("forked.received");
    if (rc == 0 && head.role != NDI_ROLE_TASK) {
        rc = ndi_fail(NDS_EPROTO, "a forked child was asked to be a server");
    }
    if (rc == 0) {
        code = ndi_child_run(fd, &p);
    } else {
        ndi_child_send(fd, NDI_REPLY_ERROR, rc, nds_last_error()->message, -1);
        ndi_parcel_fini(&p);
    }
    _exit(code);
}

static void
refuse(int fd, int err)
{
    ndi_fail_errno(err, "the forkserver could not fork");
    ndi_child_send(fd, NDI_REPLY_ERROR, NDS_ECHILD, nds_last_error()->message,
                   -1);
    close(fd);
}

static void
fork_one(struct state *st, int fd)
{
    int pidfd = -1;
    pid_t pid;
    int rc;

    if (!make_room(st)) {
        refuse(fd, ENOMEM);
        return;
    }
    pid = NDI_SYS("fork", fork());
    if (pid == 0) {
        be_child(st, fd);
    }
    if (pid < 0) {
        refuse(fd, errno);
        return;
    }
    rc = ndi_pidfd_open(&pidfd, pid);
    NDI_KILL_POINT("server.forked");
    if (rc == 0) {
        rc = ndi_child_send(fd, NDI_REPLY_BORN, (int)pid, "", pidfd);
    }
    NDI_KILL_POINT("server.told_birth");
    if (rc < 0) {
        kill(pid, SIGKILL); // it still waits for its start message
        ndi_child_wait(pid);
        ndi_os_close(pidfd);
        refuse(fd, -rc);
        return;
    }
    st->children[st->count++] = (struct child){.pidfd = pidfd, .fd = fd};
}

static void
relay_ends(struct state *st)
{
    for (int i = 0; i < st->count;) {
        struct child *c = &st->children[i];
        int code = 0;

        if (ndi_pidfd_wait(c->pidfd, 0, &code) == -ETIMEDOUT) {
            i++;
            continue;
        }
        NDI_KILL_POINT("server.reaped");
        ndi_child_send(c->fd, NDI_REPLY_ENDED, code, "", -1);
        NDI_KILL_POINT("server.told_end");
        close(c->pidfd);
        close(c->fd);
        *c = st->children[--st->count];
    }
}

void
ndi_server_loop(int line)
{
    struct state st = {.line = line};

    signal(SIGINT, SIG_IGN); // Ctrl-C is for the program, which then lets go
    NDI_KILL_POINT("server.begin");
    if (!make_room(&st)) {
        return;
    }
    for (;;) {
        int nfds = 0;
        int fds[2];
        char byte;

        st.fds[0] = (struct pollfd){.fd = line, .events = POLLIN};
        for (int i = 0; i < st.count; i++) {
            st.fds[i + 1] = (struct pollfd){.fd = st.children[i].pidfd,
                                            .events = POLLIN};
        }
        if (NDI_SYS("poll", poll(st.fds, (nfds_t)st.count + 1, -1)) < 0 &&
            errno != EINTR) {
            return;
        }
        relay_ends(&st);
        if (ndi_sock_wait(line, 1, 0) < 0) {
            continue;
        }
        if (ndi_sock_recv_fds(line, &byte, 1, fds, 2, &nfds, 0) < 0) {
            return; // the last client is gone
        }
        if (nfds == 2) {
            ndi_stats_adopt(fds[1]); // its children count as ours do
        }
        if (nfds > 0) {
            NDI_KILL_POINT("server.request");
            fork_one(&st, fds[0]);
        }
    }
}
