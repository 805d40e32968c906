/* SPDX-License-Identifier: MIT */
/*
 * handle.h - a handle as bytes and descriptors, for any road between processes
 *
 *     void *bytes; size_t nbytes; int fds[NDS_HANDLE_FDS], nfds;
 *     nds_handle_pack("queue", q, &bytes, &nbytes, fds, &nfds);
 *     // ... send both: SCM_RIGHTS, or descriptors that a child inherits ...
 *     nds_handle_unpack("queue", bytes, nbytes, fds, nfds, &handle);
 *     nds_queue *theirs = handle;
 *
 * Children that nds_proc_start makes need none of this (nds_args_add_handle);
 * it is for processes that something else starts, Python's multiprocessing
 * for example. Kinds: "array" (the same memory, not by value) "typed" "block"
 * "queue" "pipe" "mutex" "cond" "sem" "event" "barrier" "rwlock" "seqlock"
 * "proxy".
 *
 * What goes wrong: nothing in the bytes is trusted. Bytes of another version,
 * cut short or made up, and descriptors of anything else, give an error and
 * never an access outside what the descriptor maps. A pipe's end lives on in
 * a parcel: the other side sees no end of file while its descriptors are open
 * anywhere.
 */
#ifndef NDSHARE_HANDLE_H
#define NDSHARE_HANDLE_H

#include <ndshare/err.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NDS_HANDLE_FDS 8 /* more than any kind needs */

/*
 * nds_handle_pack - what another process needs to have the handle too
 *
 *   kind    one of those above
 *   handle  stays the caller's and as it is
 *   bytes   nbytes of them, a hundred or so        [caller frees with free]
 *   fds     nfds of them, close-on-exec            [caller closes]
 *
 * Errors     NDS_EKEY no such kind; NDS_EINVAL a heap array; what the kind
 *            itself refuses
 * Threads    MT-safe
 * Processes  may be unpacked any number of times, in any processes, when the
 *            descriptors are duplicated for each
 * Crash      nothing is left of it but open descriptors
 */
NDS_API int nds_handle_pack(const char *kind, void *handle, void **bytes,
                            size_t *nbytes, int *fds, int *nfds);
/*
 * nds_handle_unpack - the handle again
 *
 *   fds     are the library's from now on, also on failure
 *   handle  to be closed as its kind is, nds_queue_close and so on; NULL on
 *           failure
 *
 * Errors     NDS_EPROTO not such a parcel, or one of another kind; NDS_EKEY no
 *            such kind; NDS_ENOTOURS, NDS_ELAYOUT, NDS_ECORRUPT the
 *            descriptors are of something else
 * Threads    MT-safe
 */
NDS_API int nds_handle_unpack(const char *kind, const void *bytes,
                              size_t nbytes, const int *fds, int nfds,
                              void **handle);

#ifdef __cplusplus
}
#endif
#endif
