/* SPDX-License-Identifier: MIT */
/*
 * block.h - bytes with an owner and a reach
 *
 *     nds_block *b;
 *     nds_block_create_raw(&b, "MyMemory", 80000, 0600);
 *     memset(nds_block_data(b), 0, nds_block_nbytes(b));
 *     nds_block_close(b);
 *     nds_name_unlink("MyMemory");
 *
 * A raw block is a name and a byte count, exactly what Python's
 * SharedMemory(name, create=True, size=n) makes and attaches: no header, no
 * locks, no sweep. Arrays (array.h) stand on the other kinds of block.
 *
 * What goes wrong: a file truncated by someone else gives SIGBUS unless
 * nds_guard_install() was called. fork: the child has the same memory
 * (shareable kinds) or a private copy (heap, copy-on-write). A killed
 * process leaves a raw name behind: raw names live until unlinked.
 */
#ifndef NDSHARE_BLOCK_H
#define NDSHARE_BLOCK_H

#include <ndshare/err.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How memory of others is attached or a file is mapped. */
enum nds_mode {
    NDS_READ = 'r',      /* 'r': writes are refused by the kernel */
    NDS_READWRITE = '+', /* 'r+' */
    NDS_CREATE = 'w',    /* 'w+': files only; made anew, zero filled */
    NDS_COPY = 'c'       /* 'c': private copy-on-write */
};

/* Who can come to share it. */
enum nds_reach {
    NDS_HEAP = 0,      /* this process; copy-on-write under fork */
    NDS_SHAREABLE = 1, /* may be sent, moved, shared, published; no name */
    NDS_NAMED = 2,
    NDS_FILE = 3,
    NDS_RAW = 4,
    NDS_SYSV = 5
};

enum nds_lifetime {
    NDS_UNTIL_UNLINKED = 0, /* as POSIX and Python: the default */
    NDS_WHILE_USED = 1      /* the name goes with the last user */
};

/*
 * Pages of 2 MiB: memory of 800 MB is made and written several times as fast in
 * them as in pages of 4 KiB, and attached so too. For single arrays and
 * channels by their options, for all others by NDSHARE_HUGE=auto, always or
 * never in the environment. What the kernel does not give is small pages, never
 * an error; `ndshare doctor` says what it gives here.
 */
enum nds_huge {
    NDS_HUGE_AUTO = 0,   /* from 2 MiB (heap) or 4 MiB (shared) up, given up
                            where getting them takes longer than small pages */
    NDS_HUGE_ALWAYS = 1, /* from 2 MiB up, however long it takes */
    NDS_HUGE_NEVER = 2
};

typedef struct nds_block nds_block;

NDS_API int nds_block_create_raw(nds_block **out, const char *name,
                                 size_t nbytes, unsigned mode_bits);
/* Also what Python's SharedMemory made; '/name' is the same as 'name'. */
NDS_API int nds_block_attach_raw(nds_block **out, const char *name,
                                 enum nds_mode mode);
/*
 * The same with more to say. name NULL: a fresh one, "psm_" and eight digits,
 * as Python makes them up. The name appears when fill (may be NULL: zeros) has
 * returned 0; what else it returns is the result.
 */
typedef struct nds_scope nds_scope;
typedef struct nds_raw_options {
    size_t size;
    unsigned mode_bits; /* 0: 0600 */
    nds_scope *scope;   /* the name goes with it; or NULL */
    int (*fill)(void *data, size_t nbytes, void *ctx);
    void *ctx;
} nds_raw_options;
NDS_API int nds_block_new_raw(nds_block **out, const char *name,
                              size_t nbytes, const nds_raw_options *opts);
/* An existing System V segment, by id; never made by us. */
NDS_API int nds_block_attach_sysv(nds_block **out, int shmid,
                                  enum nds_mode mode);
/* Counted; the last close unmaps. NULL is fine. */
NDS_API nds_block *nds_block_get(nds_block *b);
NDS_API void nds_block_close(nds_block *b);

NDS_API void *nds_block_data(const nds_block *b);
NDS_API size_t nds_block_nbytes(const nds_block *b);
NDS_API enum nds_reach nds_block_reach(const nds_block *b);
NDS_API bool nds_block_is_readonly(const nds_block *b);
/* Bytes of it that this process has in pages of 2 MiB just now; reads a list of
 * all mappings. */
NDS_API int nds_block_huge(const nds_block *b, size_t *nbytes);
NDS_API const char *nds_block_name(const nds_block *b); /* "" if none */
/*
 * nds_block_check_name - does the name still lead here?
 *
 * Names in shared memory are losable: any process of the user can unlink them,
 * and Python's resource tracker does so when a program that attached with
 * SharedMemory ends. Whoever has the memory keeps it; nobody new can come.
 *
 * Errors  NDS_ENOENT nobody has the name any more; NDS_ESTALE it leads to
 *         something else; NDS_EINVAL the block never had one
 */
NDS_API int nds_block_check_name(const nds_block *b);
/* msync of a file block; nothing to do for the rest. */
NDS_API int nds_block_flush(nds_block *b);

/* Removes a name of any of our kinds, or a raw block. Memory lives until the
 * last user closes. NDS_ENOENT, NDS_EPERM. */
NDS_API int nds_name_unlink(const char *name);

/*
 * A scope: names that go with it, Python's SharedMemoryManager.
 *
 *     nds_scope_new(&s);
 *     nds_block_new_raw(&b, NULL, 4096, &(nds_raw_options){.scope = s});
 *     nds_scope_close(s);          // the name is gone; whoever maps it keeps it
 *
 * The scope belongs to the process that made it: a child of fork that closes
 * its copy removes nothing. When that process dies, however it dies, the next
 * sweep in any process (at the first creation of a name, then once a minute,
 * nds_sweep, `ndshare gc`) removes the names, also while others use them. A
 * name that meanwhile means something else stays.
 */
NDS_API int nds_scope_new(nds_scope **out);
/* A name that is there, of whatever kind. */
NDS_API int nds_scope_add(nds_scope *s, const char *name);
/* How many of its names still are what they were. */
NDS_API int nds_scope_count(nds_scope *s);
/* NULL is fine. */
NDS_API void nds_scope_close(nds_scope *s);

/*
 * What lives on this machine. `fn` is called once a name; a non-zero return
 * stops the walk and is returned.
 */
typedef struct nds_name_info {
    size_t size;
    char name[256];
    char kind[16];  /* "array" "queue" "mutex" ... "raw" "foreign" */
    char dtype[256]; /* canonical text, cut with "..." if long */
    int ndim;
    int64_t shape[64];
    char order;       /* 'C' 'F' or 0 */
    int64_t nbytes;   /* of data */
    int64_t capacity; /* bytes of data it can grow to */
    int64_t file_nbytes;
    enum nds_lifetime lifetime;
    unsigned mode_bits;
    unsigned uid;
    int users;           /* registered live participants */
    bool others;         /* mapped by somebody we cannot count */
    uint64_t shape_gen;
    uint64_t data_gen;
    char lock_state[64]; /* "free", "held by pid 12", "owner died" */
} nds_name_info;
NDS_API int nds_name_info_get(const char *name, nds_name_info *out);
NDS_API int nds_names_walk(bool all, int (*fn)(const nds_name_info *, void *),
                           void *ctx);
/* Removes what the dead left. `fn` (may be NULL) hears what and why, also for
 * names that stay; dry_run removes nothing. Returns names removed or < 0. */
NDS_API int nds_sweep(bool dry_run,
                      void (*fn)(const char *name, bool removed,
                                 const char *why, void *),
                      void *ctx);

/* Turns SIGBUS inside mappings of ours into NDS_ETRUNCATED of the handle: zero
 * pages appear there. Chains to the handler that was there. The one call that
 * sets a signal handler. */
NDS_API int nds_guard_install(void);

/*
 * Closed blocks of this process stay mapped, so that the next heap or shareable
 * block of the same size costs no page faults: only memory that nobody else can
 * have (never named, sent, frozen or there at a fork), in all at most
 * keep_bytes. So do mappings of arrays that came through a queue or pipe and
 * were moved on: whoever gets one back finds it mapped. 0: the default,
 * NDSHARE_KEEP in the environment (bytes, 64M, 2G, all) or 4 MiB; 1: none. Also
 * what anonymous channels of this process keep, if made later
 * (nds_queue_trim). They go when memory is short, before a fork, and by
 * nds_memory_trim, which returns how many bytes it gave back.
 */
NDS_API void nds_memory_keep(uint64_t keep_bytes);
NDS_API uint64_t nds_memory_trim(void);

/* Room for new named memory: bytes free in the shared-memory mount. */
NDS_API int nds_shm_room(uint64_t *total, uint64_t *free_bytes);

/*
 * Counters of a process tree: after nds_stats_enable() this process and every
 * child it starts (fork, exec with the environment) count payload bytes that
 * the library copied between memories on behalf of a transfer.
 */
typedef struct nds_stats {
    size_t size;
    uint64_t bytes_copied;
    uint64_t copies;
} nds_stats;
NDS_API int nds_stats_enable(void);
NDS_API int nds_stats_read(nds_stats *out);

#ifdef __cplusplus
}
#endif
#endif
