/* SPDX-License-Identifier: MIT */
/* mem_impl.h - what the files of this room share */
#ifndef NDI_MEM_IMPL_H
#define NDI_MEM_IMPL_H

#include <mem/segment.h>
#include <sync/word.h>

#include <sys/stat.h>

/* How long a change of a name may wait for another one's. */
#define NDI_NAME_WAIT_NS NDS_SEC(10)

/* ---- namelock.c --------------------------------------------------------- */
/* Holds the right to change what `name` means, among files of `owner`. The
 * descriptor is the hold; ndi_os_close gives it back. */
int ndi_name_hold(int *fd, const char *name, uid_t owner, int64_t deadline);
/* What `name` means just now. -errno, without text */
int ndi_name_stat(const char *name, struct stat *st);
/* 1 if `name` is the file st tells of, 0 if it is another or gone, else NDS. */
int ndi_name_is(const char *name, const struct stat *st);
bool ndi_name_is_hidden(const char *name); /* ".nds-..." */

/* As POSIX writes names: one slash in front may be; anything else but more
 * slashes and hidden names. *bare is the name without it. NDS_EINVAL */
int ndi_name_posix(const char *name, const char **bare);

/* ---- control.c ---------------------------------------------------------- */
struct ndi_control_copy {
    struct ndi_ctl_header header;
    struct ndi_ctl_geometry geometry;
    uint64_t ctl_off; /* where the control area starts */
};
/* Where the control area of such a body starts, and the whole file's size. */
int ndi_control_place(uint64_t body_nbytes, uint64_t *ctl_off,
                      uint64_t *file_nbytes);
/* Copies header and geometry from the file and checks them against st_size.
 * kind 0: any. `name` is for messages. */
int ndi_control_read(struct ndi_control_copy *out, int fd, enum ndi_kind kind,
                     const char *name);
int ndi_control_fill(struct ndi_control *ctl,
                     const struct ndi_segment_spec *spec, uint64_t ctl_off,
                     uint64_t file_nbytes);
const char *ndi_kind_text(uint32_t kind);

/* ---- segment.c ---------------------------------------------------------- */
/* Maps body and control area of s->fd by s->mode. */
int ndi_segment_map(struct ndi_segment *s, uint64_t ctl_off, bool ctl_readonly,
                    const char *name);
int ndi_segment_party(struct ndi_segment *s, const struct ndi_ctl_geometry *g,
                      uint64_t ctl_off, bool ctl_readonly);

/* ---- segment_attach.c --------------------------------------------------- */
void ndi_nap(int64_t ns);

/* ---- room.c ------------------------------------------------------------- */
/* NDS_ENOSPC with bytes wanted and free when nbytes will not fit. */
int ndi_room_check(const char *name, uint64_t nbytes, bool memfd);

/* ---- scope.c ------------------------------------------------------------ */
/* Notes that the file st tells of, which may get this name, goes with the
 * scope. Before it gets it. */
int ndi_scope_note(nds_scope *s, const char *name, const struct stat *st);
/* Of a dead scope's file: removes the names that still are what was noted.
 * False: one may be left, so the file must stay. */
bool ndi_scope_clear(int fd);
#define NDI_SCOPE_PREFIX ".nds-scope-"

/* ---- sweep.c ------------------------------------------------------------ */
/* Removes `name` if it may go and nobody uses it: 1 removed (or would be),
 * 0 stays, with the reason. `held`: the caller holds the name. */
int ndi_sweep_name(const char *name, bool held, bool dry_run,
                   const char **why);
/* The reason given when something that is not ours has the file open. */
extern const char ndi_why_foreign[];
/* A sweep now and then, on the way to something else. */
void ndi_sweep_sometimes(void);

/* ---- guard.c ------------------------------------------------------------ */
/* Marks *hit when the file under [addr, addr + nbytes) turns out shorter. */
void ndi_guard_add(void *addr, size_t nbytes, _Atomic uint32_t *hit);
void ndi_guard_remove(void *addr);

/* ---- block.c: a handle and what stands behind it ------------------------ */
struct nds_block {
    _Atomic uint32_t refs;
    enum nds_reach reach;
    enum nds_mode mode;
    bool readonly;
    bool spare; /* the struct is a piece of base/spare.h */
    _Atomic uint32_t truncated; /* the guard met the end of the file */
    void *data;
    size_t nbytes;
    void *map; /* what is unmapped at the end; the data may start inside */
    size_t map_nbytes;
    uint64_t off;  /* of data in the file */
    enum nds_huge huge; /* heap */
    uint64_t forks;     /* heap: of this process, when it was made */
    char *path;    /* files and raw blocks */
    dev_t dev;     /* raw blocks: which file it is */
    ino_t ino;
    struct ndi_segment *segment;
    void (*fini)(nds_block *b); /* gives the memory back */
    void (*done)(void *ctx);    /* memory of the caller's */
    void *ctx;
};
/* One count, over private memory, on a piece of base/spare.h or not. Field by
 * field: for a whole structure compilers take an instruction that is slow to
 * start. */
static inline void
ndi_block_begin(nds_block *b, bool spare, void *data, size_t nbytes)
{
    ndi_store_rlx(&b->refs, 1);
    b->reach = NDS_HEAP;
    b->mode = NDS_READWRITE;
    b->readonly = false;
    b->spare = spare;
    ndi_store_rlx(&b->truncated, 0);
    b->data = data;
    b->nbytes = nbytes;
    b->map = NULL;
    b->map_nbytes = 0;
    b->off = 0;
    b->huge = NDS_HUGE_AUTO;
    b->forks = 0;
    b->path = NULL;
    b->dev = 0;
    b->ino = 0;
    b->segment = NULL;
    b->fini = NULL;
    b->done = NULL;
    b->ctx = NULL;
}
/* A block of these properties with one count. */
int ndi_block_make(nds_block **out, enum nds_reach reach, enum nds_mode mode);

#endif
