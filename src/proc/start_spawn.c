/* SPDX-License-Identifier: MIT */
/*
 * start_spawn.c - a child that begins in a fresh image of this program
 *
 * The start message is written before the child is known to read it; what does
 * not fit into the socket waits for the child, up to the handshake deadline.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

extern char **environ;

int
ndi_pack_start(const struct ndi_start *s, struct ndi_parcel *p, bool push)
{
    int line = ndi_server_line();

    ndi_parcel_add_str(p, s->task);
    ndi_parcel_add_u64(p, line >= 0);
    if (line >= 0) {
        ndi_parcel_add_fd(p, line);
    }
    return ndi_args_pack(s->args, p, push);
}

/* Our environment and the socket's number [caller frees the array]. */
static char **
child_environment(void)
{
    static char ours[] = NDI_CHILD_ENV "=3";
    size_t count = 0;
    size_t at = 0;
    char **env;

    _Static_assert(NDI_SPAWN_FD == 3, "the number in the environment");
    while (environ != NULL && environ[count] != NULL) {
        count++;
    }
    env = malloc((count + 2) * sizeof *env);
    if (env == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], NDI_CHILD_ENV "=",
                    sizeof NDI_CHILD_ENV) != 0) {
            env[at++] = environ[i];
        }
    }
    env[at++] = ours;
    env[at] = NULL;
    return env;
}

int
ndi_spawn_peer(pid_t *pid, int *pidfd, int *fd, const char *name)
{
    static char option[] = "--ndshare-child"; // for people who look at ps
    char label[160];
    char *argv[] = {program_invocation_name, option, label, NULL};
    char **env = child_environment();
    int pair[2];
    int rc;

    *fd = -1;
    if (env == NULL) {
        return -ENOMEM;
    }
    snprintf(label, sizeof label, "%s", name);
    rc = ndi_sock_pair(pair);
    NDI_KILL_POINT("spawn.before");
    if (rc == 0) {
        rc = ndi_spawn_self(pid, pidfd, argv, env, pair[1]);
        NDI_KILL_POINT("spawn.spawned");
        close(pair[1]);
        if (rc < 0) {
            close(pair[0]);
        } else {
            *fd = pair[0];
        }
    }
    free(env);
    return rc;
}

int
ndi_send_start(int fd, uint64_t role, const struct ndi_parcel *p,
               int64_t deadline)
{
    struct ndi_start_head head = {.magic = NDI_START_MAGIC, .role = role};
    struct iovec iov;
    int rc;

    if (p != NULL) {
        head.nbytes = p->bytes.nbytes;
        head.nfds = (uint64_t)p->nfds;
    }
    rc = ndi_sock_send_fds(fd, &head, sizeof head, p == NULL ? NULL : p->fds,
                           (int)head.nfds, deadline);
    NDI_KILL_POINT("start.head_sent");
    if (rc == 0 && head.nbytes > 0) {
        iov = (struct iovec){.iov_base = p->bytes.data,
                             .iov_len = p->bytes.nbytes};
        rc = ndi_sock_writev(fd, &iov, 1, deadline);
    }
    return rc;
}

/* What a child that closes its socket early had to say comes first. */
static int
exchange(int fd, const struct nds_proc *p, const struct ndi_start *s,
         const struct ndi_parcel *parcel, struct ndi_reply *r)
{
    int sent = ndi_send_start(fd, NDI_ROLE_TASK, parcel, s->deadline);
    int pushes = 0; // one an argument, or a child could keep us for ever
    int rc;

    NDI_KILL_POINT("start.sent");
    // Any other failure is our own: the child waits and has nothing to say.
    if (sent < 0 && sent != -EPIPE && sent != -ECONNRESET) {
        return sent;
    }
    rc = ndi_await_reply(fd, p->pidfd, r, NULL, s->deadline);
    while (rc == 0 && r->kind == NDI_REPLY_ROOM) {
        rc = pushes++ < nds_args_count(s->args) ? ndi_push(fd, p->pid, s, r)
                                                : -EPROTO;
        if (rc == 0) {
            // Copying was work; what is left is a handshake again.
            rc = ndi_await_reply(fd, p->pidfd, r, NULL,
                                 ndi_deadline(s->handshake_ns));
        }
    }
    return rc < 0 && sent < 0 ? sent : rc;
}

int
ndi_start_spawn(struct nds_proc *p, const struct ndi_start *s)
{
    struct ndi_parcel parcel = {0};
    struct ndi_reply r;
    int fd = -1;
    int rc;

    rc = ndi_pack_start(s, &parcel, true);
    if (rc < 0) {
        goto out;
    }
    if (parcel.bytes.nbytes > NDI_START_MAX) {
        rc = ndi_fail(NDS_ELIMIT, "%zu bytes of arguments; pass an array",
                      parcel.bytes.nbytes);
        goto out;
    }
    (void)ndi_flush_stdio();
    rc = ndi_spawn_peer(&p->pid, &p->pidfd, &fd, s->name);
    if (rc < 0) {
        rc = ndi_fail_sys(NDS_ECHILD, -rc, "start process '%s' by spawn",
                          s->name);
        goto out;
    }
    rc = ndi_judge_reply(exchange(fd, p, s, &parcel, &r), &r, s);
    NDI_KILL_POINT("spawn.answered");
    if (rc < 0) {
        (void)ndi_pidfd_signal(p->pidfd, SIGKILL);
        (void)ndi_pidfd_wait(p->pidfd, NDS_FOREVER, NULL);
        ndi_os_close(ndi_steal_fd(&p->pidfd));
    }
out:
    ndi_os_close(fd);
    ndi_parcel_fini(&parcel);
    return rc;
}
