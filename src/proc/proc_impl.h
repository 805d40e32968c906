/* SPDX-License-Identifier: MIT */
/*
 * proc_impl.h - inside the process room
 *
 * Every start method ends in the same few steps of child.c, and every child
 * answers over a socket with the same small message.
 */
#ifndef NDI_PROC_IMPL_H
#define NDI_PROC_IMPL_H

#include <array/array_impl.h>
#include <base/carry.h>
#include <ndshare/proc.h>

#include <pthread.h>
#include <sys/types.h>

/* ---- task.c ------------------------------------------------------------- */
/* NDS_EKEY unknown, NDS_EINVAL two functions have the name. */
int ndi_task_find(const char *name, nds_task_fn *fn);

/* ---- args.c ------------------------------------------------------------- */
enum ndi_arg_kind {
    NDI_ARG_ARRAY = 1,
    NDI_ARG_INT,
    NDI_ARG_FLOAT,
    NDI_ARG_STR,
    NDI_ARG_BYTES,
    NDI_ARG_HANDLE,
    NDI_ARG_PUSHED /* on the wire: an array whose bytes come later */
};

struct ndi_arg {
    enum ndi_arg_kind kind;
    enum nds_pass pass;   /* arrays */
    nds_array *array;     /* owned; NULL once moved away */
    int64_t number;
    double real;
    unsigned char *bytes; /* owned; NUL one past the end */
    size_t nbytes;
    const struct ndi_carrier *carrier;
    void *handle;         /* borrowed by a builder, owned in a child */
    bool owned;
    bool awaited;         /* its bytes are still to come (push.c) */
};

struct nds_args {
    struct ndi_arg *items;
    int count;
    int room;
};

/* NDS_EINVAL if something in there was moved to an earlier child. */
int ndi_args_check(const nds_args *args);
/* After a start that worked: moved arrays leave this process. */
void ndi_args_drop_moved(nds_args *args);

/* ---- args_carry.c ------------------------------------------------------- */
/* push: heap arrays will be written into the child once it has made room. */
int ndi_args_pack(const nds_args *args, struct ndi_parcel *p, bool push);
int ndi_args_unpack(struct ndi_parcel *p, nds_args **out);
/* Does a forked child have to copy something before its parent goes on? */
bool ndi_args_must_settle(const nds_args *args);
/* In that child: copies it, and makes every handle the child's own. */
int ndi_args_settle(nds_args *args);

/* ---- push.c ------------------------------------------------------------- */
bool ndi_push_suits(const struct ndi_arg *arg);
int ndi_push_pack(const struct ndi_arg *arg, struct ndi_parcel *p);
int ndi_push_unpack(struct ndi_parcel *p, nds_array **out);
/* In the child: says where each awaited array is, and waits for it. */
int ndi_push_receive(int fd, nds_args *args);
struct ndi_start;
struct ndi_reply;
/* In the parent, after an NDI_REPLY_ROOM: 0 or -errno. */
int ndi_push(int fd, pid_t pid, const struct ndi_start *s,
             const struct ndi_reply *r);

/* ---- child.c ------------------------------------------------------------ */
/* What precedes a parcel on the socket. */
struct ndi_start_head {
    uint64_t magic;
    uint64_t role; /* enum ndi_role */
    uint64_t nbytes;
    uint64_t nfds;
};
#define NDI_START_MAGIC 0x3150545241545344u /* "DSTARTP1" */
#define NDI_START_MAX ((uint64_t)1 << 32)
enum ndi_role { NDI_ROLE_TASK = 1, NDI_ROLE_SERVER = 2 };

/* What comes back: one send each, so messages of two senders do not mix. */
enum ndi_reply_kind {
    NDI_REPLY_READY = 1, /* the child is about to run the task */
    NDI_REPLY_ERROR,     /* it cannot: code and text */
    NDI_REPLY_NO_INIT,   /* it got past main's head without nds_init */
    NDI_REPLY_BORN,      /* forkserver: value is the pid, a pidfd beside it */
    NDI_REPLY_ENDED,     /* forkserver: value is the exit code */
    NDI_REPLY_ROOM,      /* here argument `value` may be written (push.c) */
};
struct ndi_reply {
    uint32_t kind;
    int32_t value;
    char text[2040]; /* NUL-terminated */
};
_Static_assert(sizeof(struct ndi_reply) == 2048, "a reply is one send");

#define NDI_CHILD_ENV "NDSHARE_CHILD"
/* The environment names a socket and nds_init has not looked at it: some
 * program runs its main a second time. Says so over the socket, once. */
bool ndi_child_is_lost(void);
bool ndi_init_was_called(void);
int ndi_child_send(int fd, uint32_t kind, int value, const char *text,
                   int pass_fd);
/* Reads a start message. The parcel must be all zeros. */
int ndi_child_receive(int fd, struct ndi_start_head *head,
                      struct ndi_parcel *p, int64_t deadline);
/* Unpacks the parcel, answers, and runs the task: the exit code. */
int ndi_child_run(int fd, struct ndi_parcel *p);
/* Runs fn, frees args (may be NULL), flushes: the exit code. */
int ndi_child_call(nds_task_fn fn, nds_args *args, bool flush_all);

/* ---- proc.c ------------------------------------------------------------- */
struct nds_proc {
    pid_t pid;
    int pidfd;
    int status; /* forkserver: where NDI_REPLY_ENDED comes; else -1 */
    uint64_t epoch; /* the process that may join */
    pthread_mutex_t mutex; /* guards the rest */
    bool ended;
    bool lost; /* ended, but its exit code cannot be had */
    int code;
    char name[128];
};

struct ndi_start {
    const char *task;
    nds_task_fn fn;
    nds_args *args; /* may be NULL */
    const char *name;
    int64_t deadline; /* of the handshake */
    int64_t handshake_ns;
};

/* Each fills pid, pidfd (and status), or fails with nothing left behind. */
int ndi_start_fork(struct nds_proc *p, const struct ndi_start *s);
int ndi_start_spawn(struct nds_proc *p, const struct ndi_start *s);
int ndi_start_server(struct nds_proc *p, const struct ndi_start *s);

/* Waits for a reply while the process lives. pass_fd may be NULL. */
int ndi_await_reply(int fd, int pidfd, struct ndi_reply *out, int *pass_fd,
                    int64_t deadline);
/* Turns what ndi_await_reply gave into 0 or a failure with its reason. */
int ndi_judge_reply(int rc, const struct ndi_reply *r,
                    const struct ndi_start *s);
const char *ndi_program_name(void);
/* Writes out stdout and stderr, and every other stream when no other thread
 * could be holding one; says which it was. */
bool ndi_flush_stdio(void);

/* ---- start_spawn.c ------------------------------------------------------ */
/* Starts the executable anew, with the other end of *fd as its socket. */
int ndi_spawn_peer(pid_t *pid, int *pidfd, int *fd, const char *name);
/* Sends head, descriptors and bytes. */
int ndi_send_start(int fd, uint64_t role, const struct ndi_parcel *p,
                   int64_t deadline);
/* Task, name, forkserver and arguments as one parcel. */
int ndi_pack_start(const struct ndi_start *s, struct ndi_parcel *p, bool push);

/* ---- start_server.c, forkserver.c --------------------------------------- */
/* A duplicate of this process's line to its forkserver, or -1. */
int ndi_server_line(void);
/* Makes `fd` this process's line (taken over). */
void ndi_server_adopt(int fd);
/* Hangs up and waits for the server's end if it is ours: for tests. */
void ndi_server_stop(void);
pid_t ndi_server_pid(void); /* 0: none of ours runs */
/* Being the server: returns when the last client is gone. */
void ndi_server_loop(int line);

/* ---- reaper.c ----------------------------------------------------------- */
/* Takes over pidfd and waits for that child's end, beside the program. */
void ndi_reaper_add(int pidfd);

#endif
