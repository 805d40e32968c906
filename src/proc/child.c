/* SPDX-License-Identifier: MIT */
/*
 * child.c - the first steps of a child, and how it answers
 *
 * A spawned image finds a socket's number in its environment, reads one start
 * message there (head, descriptors, bytes) and answers once it holds all its
 * arguments. What it reads comes from its parent, and is checked all the same.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK ((size_t)1 << 20)

static bool init_called;
static bool env_seen;     /* before main: NDSHARE_CHILD was there */
static int lost_fd = -1;

__attribute__((constructor)) static void
look_at_environment(void)
{
    env_seen = getenv(NDI_CHILD_ENV) != NULL;
}

/* The socket's number, or -1 if the variable is not one of ours. */
static int
child_fd(void)
{
    const char *text = getenv(NDI_CHILD_ENV);
    char *end;
    struct stat st;
    long fd;

    if (text == NULL || *text < '0' || *text > '9') {
        return -1;
    }
    fd = strtol(text, &end, 10);
    if (*end != '\0' || fd != NDI_SPAWN_FD ||
        ndi_os_fstat((int)fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return -1;
    }
    return (int)fd;
}

bool
ndi_init_was_called(void)
{
    return init_called;
}

bool
ndi_child_is_lost(void)
{
    if (init_called || !env_seen) {
        return false;
    }
    if (lost_fd < 0) {
        lost_fd = child_fd();
        if (lost_fd >= 0) {
            ndi_child_send(lost_fd, NDI_REPLY_NO_INIT, 0, "", -1);
        }
    }
    return lost_fd >= 0;
}

int
ndi_child_send(int fd, uint32_t kind, int value, const char *text, int pass_fd)
{
    struct ndi_reply r = {.kind = kind, .value = value};
    struct iovec iov = {.iov_base = &r, .iov_len = sizeof r};
    int64_t deadline = ndi_deadline(NDS_SEC(10));

    snprintf(r.text, sizeof r.text, "%s", text);
    if (pass_fd >= 0) {
        return ndi_sock_send_fds(fd, &r, sizeof r, &pass_fd, 1, deadline);
    }
    return ndi_sock_writev(fd, &iov, 1, deadline);
}

static int
receive_bytes(int fd, struct ndi_buf *b, uint64_t nbytes, int64_t deadline)
{
    // In pieces: a false length costs no more memory than what really came.
    while (b->nbytes < nbytes) {
        size_t left = (size_t)(nbytes - b->nbytes);
        size_t piece = left < CHUNK ? left : CHUNK;
        int rc;

        if (!ndi_buf_reserve(b, piece + 1)) {
            return ndi_buf_ok(b);
        }
        rc = ndi_sock_read(fd, b->data + b->nbytes, piece, deadline);
        if (rc < 0) {
            return ndi_fail_errno(-rc, "read the arguments");
        }
        b->nbytes += piece;
        b->data[b->nbytes] = '\0';
    }
    return 0;
}

int
ndi_child_receive(int fd, struct ndi_start_head *head, struct ndi_parcel *p,
                  int64_t deadline)
{
    int rc = ndi_sock_recv_fds(fd, head, sizeof *head, p->fds, NDI_PARCEL_FDS,
                               &p->nfds, deadline);

    if (rc < 0) {
        p->nfds = 0;
        return ndi_fail_errno(-rc, "read the start message");
    }
    if (head->magic != NDI_START_MAGIC || head->nbytes > NDI_START_MAX ||
        head->nfds != (uint64_t)p->nfds) {
        return ndi_fail(NDS_EPROTO, "this is no start message: %llu bytes and "
                        "%llu descriptors announced, %d came",
                        (unsigned long long)head->nbytes,
                        (unsigned long long)head->nfds, p->nfds);
    }
    return receive_bytes(fd, &p->bytes, head->nbytes, deadline);
}

int
ndi_child_call(nds_task_fn fn, nds_args *args, bool flush_all)
{
    int code = fn(args);

    NDI_KILL_POINT("child.task_done");
    nds_args_free(args);
    fflush(stdout);
    fflush(stderr);
    if (flush_all) {
        fflush(NULL);
    }
    return code & 0xff;
}

/* Task, name and line first, as ndi_pack_start wrote them. */
static int
unpack_start(struct ndi_parcel *p, nds_task_fn *fn, nds_args **args)
{
    const char *task = ndi_parcel_str(p);
    bool has_line = ndi_parcel_u64(p) != 0;
    int line = has_line ? ndi_parcel_fd(p) : -1;
    int rc = ndi_parcel_ok(p);

    *args = NULL;
    if (rc < 0) {
        ndi_os_close(line);
        return rc;
    }
    if (line >= 0) {
        ndi_server_adopt(line);
    }
    rc = ndi_task_find(task, fn);
    return rc < 0 ? rc : ndi_args_unpack(p, args);
}

int
ndi_child_run(int fd, struct ndi_parcel *p)
{
    nds_args *args = NULL;
    nds_task_fn fn = NULL;
    int rc = unpack_start(p, &fn, &args);

    NDI_KILL_POINT("child.unpacked");
    ndi_parcel_fini(p);
    if (rc == 0) {
        rc = ndi_push_receive(fd, args);
    }
    if (rc < 0) {
        nds_args_free(args);
        ndi_child_send(fd, NDI_REPLY_ERROR, rc, nds_last_error()->message, -1);
        close(fd);
        return 127;
    }
    rc = ndi_child_send(fd, NDI_REPLY_READY, 0, "", -1);
    NDI_KILL_POINT("child.told");
    close(fd);
    if (rc < 0) {
        nds_args_free(args); // the parent is gone: nobody asked for this
        return 127;
    }
    return ndi_child_call(fn, args, true);
}

/* Executing /proc/self/exe leaves the process called "exe" in ps and top. */
static void
set_process_name(void)
{
    const char *name = ndi_program_name();
    int fd;

    if (ndi_os_open(&fd, "/proc/self/comm", O_WRONLY, 0) == 0) {
        (void)ndi_os_write(fd, name, strlen(name));
        ndi_os_close(fd);
    }
}

void
nds_init(int argc, char **argv)
{
    struct ndi_start_head head;
    struct ndi_parcel p = {0};
    int fd = child_fd();
    int code = 127;
    int rc;

    (void)argc;
    (void)argv;
    if (init_called) {
        return;
    }
    init_called = true;
    unsetenv(NDI_CHILD_ENV);
    if (fd < 0) {
        return;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    NDI_KILL_POINT("child.begin");
    set_process_name();
    rc = ndi_child_receive(fd, &head, &p, ndi_deadline(NDS_SEC(60)));
    NDI_KILL_POINT("child.received");
    if (rc < 0) {
        ndi_child_send(fd, NDI_REPLY_ERROR, rc, nds_last_error()->message, -1);
        ndi_parcel_fini(&p);
    } else if (head.role == NDI_ROLE_SERVER) {
        ndi_parcel_fini(&p);
        if (ndi_child_send(fd, NDI_REPLY_READY, 0, "", -1) == 0) {
            ndi_server_loop(fd);
        }
        _exit(0);
    } else {
        code = ndi_child_run(fd, &p);
    }
    exit(code);
}
