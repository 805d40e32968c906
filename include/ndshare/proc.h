/* SPDX-License-Identifier: MIT */
/*
 * proc.h - processes that get arrays among their arguments
 *
 *     static int work(nds_args *args) {
 *         nds_array *a = nds_args_array(args, 0);
 *         return nds_fill(nds_array_view(a), nds_int(0)) < 0;
 *     }
 *     NDS_TASK(work);
 *     int main(int argc, char **argv) {
 *         nds_init(argc, argv);                    // children enter here
 *         nds_args *args; nds_proc *p; int code;
 *         nds_args_new(&args);
 *         nds_args_add_array(args, a, NDS_BY_VALUE);
 *         nds_proc_start(&p, "work", args, NULL);
 *         nds_proc_join(p, NDS_FOREVER, &code);
 *         nds_proc_close(p);
 *         nds_args_free(args);
 *     }
 *
 * fork shares the image; spawn runs this program's executable anew; the
 * forkserver is one clean spawned process that forks on request.
 *
 * What goes wrong: spawn and forkserver need nds_init at the head of main;
 * without it the start fails within the handshake deadline and says so. After
 * fork in a program with threads only async-signal-safe work is defined by
 * POSIX; spawn has no such limit. A child that dies is an exit code, never a
 * signal here.
 */
#ifndef NDSHARE_PROC_H
#define NDSHARE_PROC_H

#include <ndshare/array.h>
#include <ndshare/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_args nds_args;
typedef struct nds_proc nds_proc;
typedef int (*nds_task_fn)(nds_args *args); /* returns the exit code */

/* Puts a function into the program's task list before main, by its name. */
#define NDS_TASK(fn)                                                          \
    __attribute__((constructor)) static void nds_task_register_##fn(void)     \
    {                                                                         \
        nds_task_register(#fn, fn);                                           \
    }                                                                         \
    struct nds_task_needs_semicolon_##fn
NDS_API void nds_task_register(const char *name, nds_task_fn fn);

/* The first call of main: in a child started by spawn or as forkserver it runs
 * the task and does not return. */
NDS_API void nds_init(int argc, char **argv);

NDS_API int nds_args_new(nds_args **out);
NDS_API void nds_args_free(nds_args *args);
/* The builder keeps a handle of its own; the caller's stays the caller's,
 * except for NDS_MOVED, where *a goes into the builder. A heap array passed
 * NDS_SHARED is NDS_EINVAL: it cannot be shared. */
NDS_API int nds_args_add_array(nds_args *args, nds_array *a,
                               enum nds_pass pass);
NDS_API int nds_args_add_move(nds_args *args, nds_array **a);
NDS_API int nds_args_add_int(nds_args *args, int64_t value);
NDS_API int nds_args_add_float(nds_args *args, double value);
NDS_API int nds_args_add_str(nds_args *args, const char *text);
NDS_API int nds_args_add_bytes(nds_args *args, const void *data,
                               size_t nbytes);
NDS_API int nds_args_add_typed(nds_args *args, nds_typed *t);
/* Any other handle that can be shared, by the name of its kind: "queue"
 * "pipe" "mutex" "cond" "sem" "event" "barrier" "rwlock" "seqlock"
 * "proxy" "block".
 * Borrowed until the process is started. */
NDS_API int nds_args_add_handle(nds_args *args, const char *kind,
                                void *handle);

/* In the child: lend; the args own them and close them at the task's end.
 * An index or kind that does not match is NULL (0, 0.0). */
NDS_API int nds_args_count(const nds_args *args);
NDS_API nds_array *nds_args_array(nds_args *args, int i);
NDS_API int64_t nds_args_int(nds_args *args, int i);
NDS_API double nds_args_float(nds_args *args, int i);
NDS_API const char *nds_args_str(nds_args *args, int i);
NDS_API const void *nds_args_bytes(nds_args *args, int i, size_t *nbytes);
NDS_API nds_typed *nds_args_typed(nds_args *args, int i);
NDS_API void *nds_args_handle(nds_args *args, int i, const char *kind);

enum nds_start { NDS_FORK = 1, NDS_SPAWN = 2, NDS_FORKSERVER = 3 };

typedef struct nds_proc_options {
    size_t size;
    enum nds_start start;       /* 0: NDSHARE_START_METHOD, else fork */
    int64_t handshake_ns;       /* spawn, forkserver: 0 = 10 s */
    const char *name;           /* for people; NULL: the task's */
} nds_proc_options;

/* ECHILD: did not start, with the reason. `args` may be NULL. */
NDS_API int nds_proc_start(nds_proc **out, const char *task, nds_args *args,
                           const nds_proc_options *opts);
/* Waits for the end. *code (may be NULL): exit code, or minus the signal. */
NDS_API int nds_proc_join(nds_proc *p, int64_t timeout_ns, int *code);
NDS_API int nds_proc_pid(const nds_proc *p);
NDS_API int nds_proc_fd(const nds_proc *p); /* pidfd: readable at the end */
NDS_API bool nds_proc_is_alive(nds_proc *p);
NDS_API int nds_proc_terminate(nds_proc *p); /* SIGTERM */
NDS_API int nds_proc_kill(nds_proc *p);      /* SIGKILL */
/* Drops the handle; a running child goes on (it is reaped at its end). */
NDS_API void nds_proc_close(nds_proc *p);

#ifdef __cplusplus
}
#endif
#endif
