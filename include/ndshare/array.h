/* SPDX-License-Identifier: MIT */
/*
 * array.h - a view and the block it keeps alive
 *
 *     nds_array *a;
 *     nds_array_create(&a, "frames", NDS_FLOAT64, 2, (int64_t[]){480, 640},
 *                      NULL);
 *     nds_fill(nds_array_view(a), nds_float(1));
 *     nds_array_close(a);               // the name and the data stay
 *     nds_array_unlink("frames");
 *
 * Stock NumPy maps the same array: numpy.load("/dev/shm/frames",
 * mmap_mode="r+").
 *
 * What goes wrong: heap arrays are private (a child of fork gets a copy);
 * shareable and named ones are one memory for all, and two writers need the
 * array's lock. A killed process leaves no lock held and no nameless memory;
 * a name with NDS_UNTIL_UNLINKED stays until somebody unlinks it.
 */
#ifndef NDSHARE_ARRAY_H
#define NDSHARE_ARRAY_H

#include <ndshare/block.h>
#include <ndshare/view.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_array nds_array;

typedef struct nds_array_options {
    size_t size;           /* sizeof(nds_array_options) */
    enum nds_reach reach;  /* nds_array_new: NDS_HEAP or NDS_SHAREABLE */
    char order;            /* 'C' (0) or 'F' */
    bool uninitialised;    /* heap and recycled memory may hold old bytes */
    unsigned mode_bits;    /* named: 0 = 0600; set by fchmod, not umask */
    enum nds_lifetime lifetime;
    int64_t capacity;      /* elements it may grow to along axis 0 (C) or the
                              last axis (F), in all; 0 = exactly shape */
    bool replace;          /* named: take over a name in use, atomically */
    const nds_scalar *fill; /* every element begins as this, converted as by
                              assignment; NULL: zeros. Quicker than filling
                              later, for memory is written as it is made. */
    enum nds_huge huge;    /* 2 MiB pages; see block.h */
} nds_array_options;

/* An array without a name, of zeros or opts->fill. opts NULL: heap, C order. */
NDS_API int nds_array_new(nds_array **out, const nds_dtype *dtype, int ndim,
                          const int64_t *shape,
                          const nds_array_options *opts);
/* Over memory of the caller's, which must outlive it; `done` (may be NULL) is
 * called with ctx when the last array over it closes. */
NDS_API int nds_array_from_memory(nds_array **out, const nds_view *v,
                                  void (*done)(void *ctx), void *ctx);

/*
 * nds_array_create - make a named shared array of zeros
 *
 *   out     the handle, NULL on failure               [caller closes]
 *   name    1..200 bytes of A-Z a-z 0-9 . _ -, not beginning with a dot
 *   dtype   element type
 *   ndim    0..NDS_MAX_NDIM; shape: ndim extents, in elements, each >= 0
 *
 * Errors     NDS_EEXIST name taken; NDS_ESHAPE product overflows; NDS_ENOSPC
 *            no room (bytes wanted and free are in the message)
 * Threads    MT-safe
 * Processes  MP-safe; of two racing creators one gets NDS_EEXIST
 * Fork       handle valid in the child
 * Crash      killed at any instruction: the name is complete or absent
 */
NDS_API int nds_array_create(nds_array **out, const char *name,
                             const nds_dtype *dtype, int ndim,
                             const int64_t *shape,
                             const nds_array_options *opts);
/* Waits up to timeout_ns for the name to appear. NDS_ENOENT, NDS_ETIMEDOUT
 * (only if it waited), NDS_EPERM, NDS_ENOTOURS, NDS_ELAYOUT. */
NDS_API int nds_array_attach(nds_array **out, const char *name,
                             enum nds_mode mode, int64_t timeout_ns);
/* Gives a nameless shareable array a name. */
NDS_API int nds_array_publish(nds_array *a, const char *name,
                              const nds_array_options *opts);
NDS_API int nds_array_unlink(const char *name);

/*
 * nds_array_map_file - raw elements in a file, as numpy.memmap
 *
 *   mode    NDS_READ, NDS_READWRITE, NDS_CREATE (shape needed), NDS_COPY
 *   off     bytes from the start of the file to element 0
 *   shape   NULL (ndim 1): all that the file holds after off
 *
 * NDS_READWRITE grows a file that is too short (sparse), never shrinks it.
 */
NDS_API int nds_array_map_file(nds_array **out, const char *path,
                               enum nds_mode mode, const nds_dtype *dtype,
                               int ndim, const int64_t *shape, char order,
                               int64_t off);
/* A raw block as an array: NDS_EBUFFER if it is too small. Takes a count. */
NDS_API int nds_array_from_block(nds_array **out, nds_block *b,
                                 const nds_dtype *dtype, int ndim,
                                 const int64_t *shape, char order,
                                 int64_t off);

/* .npy: mapped (mode as above; NDS_CREATE not), or copied to the heap. */
NDS_API int nds_npy_map(nds_array **out, const char *path, enum nds_mode mode);
NDS_API int nds_npy_load(nds_array **out, const char *path);
/* Writes beside the path, then renames: readers see the old file or the new. */
NDS_API int nds_npy_save(const nds_view *v, const char *path);

/* Each handle is closed once; the memory goes with its last handle. */
NDS_API void nds_array_close(nds_array *a);
NDS_API int nds_array_get(nds_array **out, nds_array *a); /* another handle */

NDS_API const nds_view *nds_array_view(const nds_array *a); /* lends */
NDS_API void *nds_array_data(const nds_array *a);
NDS_API nds_block *nds_array_block(const nds_array *a); /* lends */
NDS_API const char *nds_array_name(const nds_array *a); /* "" if none */

/* Views that keep the block alive. */
NDS_API int nds_array_slice(nds_array **out, nds_array *a, const char *text);
NDS_API int nds_array_reshape(nds_array **out, nds_array *a, int ndim,
                              const int64_t *shape); /* copies if it must */
NDS_API int nds_array_transpose(nds_array **out, nds_array *a,
                                const int *axes);
NDS_API int nds_array_readonly(nds_array **out, nds_array *a);
/* Wraps any view derived from nds_array_view(a). */
NDS_API int nds_array_wrap(nds_array **out, nds_array *a, const nds_view *v);
/* A fresh C-order copy (opts NULL: on the heap). */
NDS_API int nds_array_copy(nds_array **out, const nds_view *v,
                           const nds_array_options *opts);

/* Writes a file-backed array through to the disk (msync). */
NDS_API int nds_array_flush(nds_array *a);

/*
 * nds_array_freeze - nobody can write it any more through this process
 *
 * Shareable: the writable mapping is replaced by a read-only one; then it
 * crosses by reference everywhere. Heap: only this handle becomes read-only.
 * NDS_EBUSY while other handles of this process view the same block.
 */
NDS_API int nds_array_freeze(nds_array *a);

/* Along axis 0 (C order; last axis for F) up to the capacity: in place, under
 * the lock, shape_gen raised. Beyond it: NDS_ENOSPC. */
NDS_API int nds_array_resize(nds_array *a, int64_t extent);
/* Takes over a shape another process set. */
NDS_API int nds_array_refresh(nds_array *a);

/*
 * The array's own lock, of named and shareable arrays. NDS_EOWNERDEAD: you
 * hold it, the last holder died; look at the data, then unlock or poison.
 * Unlocking raises data_gen. NDS_EPERM for read-only attachments.
 */
NDS_API int nds_array_lock(nds_array *a, int64_t timeout_ns);
NDS_API int nds_array_unlock(nds_array *a);
NDS_API int nds_array_poison(nds_array *a);
/* Says that data changed without the lock: raises data_gen, wakes waiters. */
NDS_API int nds_array_changed(nds_array *a);
NDS_API int nds_array_generation(const nds_array *a, uint64_t *data_gen);
/* Waits until data_gen > after. */
NDS_API int nds_array_wait_changed(nds_array *a, uint64_t after,
                                   int64_t timeout_ns);

/*
 * The array's own sequence lock, of named and shareable arrays: one writer at
 * a time, and readers that never make it wait. As nds_seqlock_... (sync.h):
 *
 *     do {
 *         rc = nds_array_read_begin(a, &seen, NDS_SEC(1));
 *         if (rc < 0) { stop }
 *         memcpy(mine, nds_array_data(a), sizeof mine);  // may be torn
 *     } while (nds_array_read_retry(a, seen));           // then not used
 *
 * NDS_EOWNERDEAD from write_begin: you are the writer, and the one before died
 * at work: write all of the data. From read_begin: they are half written.
 * Ending raises data_gen. Readers may be attached read-only.
 */
NDS_API int nds_array_write_begin(nds_array *a, int64_t timeout_ns);
NDS_API int nds_array_write_end(nds_array *a);
NDS_API int nds_array_read_begin(const nds_array *a, uint64_t *seen,
                                 int64_t timeout_ns);
NDS_API bool nds_array_read_retry(const nds_array *a, uint64_t seen);

/*
 * nds_array_token_export - some 50 bytes by which another process attaches
 *
 *   a       shareable, named, or mapped from a file; a view of one as well.
 *           Read-only ones are attached read-only.
 *   hold_ns the memory is kept for the receiver by this process, also when all
 *           handles here are closed: until one has attached, this process
 *           ends, or the time is over (NDS_FOREVER: no time)
 *   token   heap bytes without meaning to anybody else      [caller frees]
 *
 * A token travels any way you like (a pipe, a pickle, a message) within one
 * machine. The receiver may look into this process's /proc/PID/fd: the same
 * user, or root, and processes of one pid namespace.
 *
 * Errors     NDS_EINVAL heap and copy-on-write arrays: copy them first
 * Threads    MT-safe; one thread of the library waits for the receivers while
 *            tokens are on their way
 * Fork       a child holds nothing for tokens of its parent
 * Crash      nothing has a name, so nothing stays behind, whoever is killed
 */
NDS_API int nds_array_token_export(nds_array *a, int64_t hold_ns,
                                   void **token, size_t *nbytes);
/* Believes nothing in the token, but opens what it names: take tokens from
 * whom you would take a path. NDS_ENOENT: nobody holds the memory any more;
 * NDS_ESTALE: the name or path now means another array; NDS_EPERM: the
 * sender is another user's process; NDS_EFORMAT. */
NDS_API int nds_array_token_import(nds_array **out, const void *token,
                                   size_t nbytes);
/* Before this process ends: until every token it made has been received or
 * its hold is over. NDS_ETIMEDOUT. */
NDS_API int nds_array_tokens_wait(int64_t timeout_ns);

/* What another process gets when an array crosses (proc.h). */
enum nds_pass {
    NDS_BY_VALUE = 0, /* neither side sees the other's later writes */
    NDS_MOVED = 1,    /* the caller's handle is emptied by the start */
    NDS_SHARED = 2    /* the same memory */
};

/*
 * Typed arrays and values with a lock: multiprocessing.Array and Value.
 *
 *   code   c b B h H i I l L q Q f d (u: UCS-4 characters)
 *   locked false: no lock is ever taken by get and set
 */
typedef struct nds_typed nds_typed;
NDS_API int nds_typed_new(nds_typed **out, char code, int64_t count,
                          bool locked);
NDS_API int nds_typed_from(nds_typed **out, char code, const nds_view *init,
                           bool locked); /* copies init, any shape */
NDS_API void nds_typed_close(nds_typed *t);
NDS_API int64_t nds_typed_count(const nds_typed *t);
NDS_API char nds_typed_code(const nds_typed *t);
NDS_API int nds_typed_get(nds_typed *t, int64_t i, nds_scalar *out);
NDS_API int nds_typed_set(nds_typed *t, int64_t i, nds_scalar value);
/* As Python's list slice [start:stop]; NDS_INDEX_MISSING allowed. The text is
 * what print(arr[start:stop]) shows: "[1.0, 1.0]" [caller frees]. */
NDS_API int nds_typed_str(nds_typed *t, int64_t start, int64_t stop,
                          char **text);
NDS_API int nds_typed_lock(nds_typed *t, int64_t timeout_ns);
NDS_API int nds_typed_unlock(nds_typed *t);
NDS_API nds_array *nds_typed_array(nds_typed *t); /* lends */

#ifdef __cplusplus
}
#endif
#endif
