/* SPDX-License-Identifier: MIT */
/*
 * err.h - error codes and the text of the last failure
 *
 *     if (nds_array_attach(&a, "frames", NDS_READ, 0) < 0) {
 *         fprintf(stderr, "%s\n", nds_last_error()->message);
 *     }
 *
 * Every call that can fail returns 0 or a negative NDS_E... code; results
 * leave through pointer parameters. A failed call leaves its out-handle NULL
 * and everything else as it was.
 *
 * What goes wrong: the record belongs to one thread and lives until that
 * thread's next failure. NDS_ETIMEDOUT, NDS_EAGAIN and NDS_EOWNERDEAD are
 * outcomes, not failures: they are returned without touching the record.
 */
#ifndef NDSHARE_ERR_H
#define NDSHARE_ERR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NDS_API __attribute__((visibility("default")))
#else
#define NDS_API
#endif

/* Time-outs are in nanoseconds: 0 tries once, NDS_FOREVER waits. */
#define NDS_FOREVER ((int64_t)-1)
#define NDS_MSEC(n) ((int64_t)(n) * 1000000)
#define NDS_SEC(n) ((int64_t)(n) * 1000000000)

/* X(name, number, text, Python exception): the one list of codes. */
#define NDS_ERROR_LIST(X)                                                     \
    X(EINVAL, -1, "invalid argument", "ValueError")                           \
    X(ENOMEM, -2, "out of memory", "MemoryError")                             \
    X(EEXIST, -3, "the name is taken", "FileExistsError")                     \
    X(ENOENT, -4, "no such name", "FileNotFoundError")                        \
    X(EPERM, -5, "permission denied", "PermissionError")                      \
    X(ENOSPC, -6, "no room", "OSError")                                       \
    X(ETIMEDOUT, -7, "timed out", "TimeoutError")                             \
    X(EAGAIN, -8, "would have to wait", "BlockingIOError")                    \
    X(EOWNERDEAD, -9, "the previous owner died; the lock is yours",           \
      "RuntimeError")                                                         \
    X(EPOISONED, -10, "the lock is poisoned", "RuntimeError")                 \
    X(EDEADLK, -11, "this thread holds the lock already", "RuntimeError")     \
    X(ENOTOWNER, -12, "the lock is not held by this thread", "RuntimeError")  \
    X(EDTYPE, -13, "data type not understood", "TypeError")                   \
    X(ESHAPE, -14, "bad shape", "ValueError")                                 \
    X(EBUFFER, -15, "buffer is too small for requested array", "TypeError")   \
    X(EINDEX, -16, "index out of bounds", "IndexError")                       \
    X(EFORMAT, -17, "malformed data", "ValueError")                           \
    X(ENOTOURS, -18, "not an ndshare object", "ValueError")                   \
    X(ELAYOUT, -19, "made by an incompatible version", "ValueError")          \
    X(ECORRUPT, -20, "shared state is corrupt", "RuntimeError")               \
    X(ETRUNCATED, -21, "truncated by someone else", "OSError")                \
    X(ESTALE, -22, "the name now means something else", "OSError")            \
    X(EREADONLY, -23, "assignment destination is read-only", "ValueError")    \
    X(ECLOSED, -24, "closed", "ValueError")                                   \
    X(EEOF, -25, "the other side is gone", "EOFError")                        \
    X(EBROKEN, -26, "broken", "BrokenBarrierError")                           \
    X(ECHILD, -27, "the child could not start", "ChildProcessError")          \
    X(EAUTH, -28, "authentication failed", "AuthenticationError")             \
    X(EPROTO, -29, "protocol error", "OSError")                               \
    X(EREFUSED, -30, "refused", "UnpicklingError")                            \
    X(EREMOTE, -31, "the remote call failed", "RemoteError")                  \
    X(EKEY, -32, "unknown name", "KeyError")                                  \
    X(EOVERFLOW, -33, "value out of range", "OverflowError")                  \
    X(ELIMIT, -34, "limit exceeded", "ValueError")                            \
    X(ENOTSUP, -35, "not supported", "NotImplementedError")                   \
    X(EBUSY, -36, "in use", "BlockingIOError")                                \
    X(ESYS, -37, "system call failed", "OSError")                             \
    X(ECAST, -38, "cannot cast", "TypeError")

enum nds_error_code {
    NDS_OK = 0,
#define NDS_ERROR_ENUM(name, number, text, python) NDS_##name = (number),
    NDS_ERROR_LIST(NDS_ERROR_ENUM)
#undef NDS_ERROR_ENUM
};

/* The last failure of this thread; code 0 and empty text if there was none. */
typedef struct nds_error {
    int code;            /* NDS_E... */
    int saved_errno;     /* the system's reason, 0 if it had none */
    const char *message; /* one or more lines, no newline at the end */
} nds_error;

/* Never NULL. Valid until this thread's next failing call. */
NDS_API const nds_error *nds_last_error(void);

/* For a callback that fails (a manager's factory): sets this thread's record
 * and returns `code`, a negative NDS_E... */
NDS_API int nds_error_set(int code, const char *message);

/* The general text of a code, e.g. "no such name". Never NULL. */
NDS_API const char *nds_strerror(int code);

/* "NDS_ENOENT"; "NDS_OK" for 0; "NDS_E?" for what is no code of ours. */
NDS_API const char *nds_error_name(int code);

/* The Python exception that stands for the code, e.g. "KeyError". */
NDS_API const char *nds_error_python(int code);

/* "0.1.0", the version of the library that is running. */
NDS_API const char *nds_version(void);

#ifdef __cplusplus
}
#endif
#endif
