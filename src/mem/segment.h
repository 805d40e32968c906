/* SPDX-License-Identifier: MIT */
/*
 * segment.h - one shared file of ours: body, control area, participants
 *
 * Arrays, sync objects and channels all stand on this. A segment is named
 * (a file in the shm dir), nameless (O_TMPFILE there, can be given a name
 * later) or a memfd (sealed, never named). It is counted within the process;
 * the handle's descriptor stays open for probes, fd passing and publishing.
 * The mapping carries the in-use lock.
 */
#ifndef NDI_SEGMENT_H
#define NDI_SEGMENT_H

#include <mem/mem_layout.h>
#include <ndshare/block.h>
#include <sync/lock.h>

struct ndi_segment {
    _Atomic uint32_t refs;
    int fd;
    enum nds_mode mode;
    bool memfd;
    bool frozen;        /* the body is mapped read-only for good */
    uint64_t nbytes;    /* of the file, checked against st_size at the map */
    uint64_t body_nbytes; /* checked copy of geometry.body_nbytes */
    unsigned char *body; /* mapped by mode; NULL when body_nbytes is 0 */
    struct ndi_control *ctl; /* mapped shared; read-only for NDS_READ */
    struct ndi_party party;
    dev_t dev;
    ino_t ino;
    char name[256]; /* "" if none */
    size_t map_nbytes; /* of the body's mapping, whole 64 KiB */
    bool while_used;   /* lifetime, as read at the attach */
    bool partied;      /* `party` has been set up */
    enum nds_huge huge; /* what was asked, else what NDSHARE_HUGE said */
    bool ours;         /* made here without a name, in the shm dir */
    uint64_t forks;    /* how often this process had forked before it */
    _Atomic bool lent; /* others may have it: by name, or by its descriptor */
    _Atomic bool given; /* others may have the open file description itself */
    bool moved_on;      /* came through a channel, and went into one */
    _Atomic uint32_t truncated; /* nds_guard_install: a page was missing */
};

struct ndi_segment_spec {
    enum ndi_kind kind;
    const char *name; /* NULL: nameless */
    bool memfd;       /* nameless only */
    uint64_t body_nbytes;
    uint64_t data_off; /* arrays, else 0 */
    uint64_t capacity; /* arrays, else 0 */
    uint64_t party_off; /* 0: the control area's own table */
    uint32_t party_count;
    bool sparse; /* memfd only: do not reserve the body */
    enum nds_huge huge;
    unsigned mode_bits; /* 0: 0600 */
    enum nds_lifetime lifetime;
    bool replace;
    /* Bytes of the body that need not be zero: `backed` writes them, or the
     * caller said so. */
    uint64_t any_off;
    uint64_t any_nbytes;
    /* May write [from, to) of the body, which has just got its memory; several
     * threads at once, in any order. */
    void (*backed)(struct ndi_segment *s, uint64_t from, uint64_t to,
                   void *ctx);
    /* Fills body and object before anybody can see them; after `backed`. */
    int (*fill)(struct ndi_segment *s, void *ctx);
    void *ctx;
};

/* Letters, digits, . _ - ; 1..200 bytes; no dot in front. NDS_EINVAL. */
int ndi_name_check(const char *name);
int ndi_segment_create(struct ndi_segment **out,
                       const struct ndi_segment_spec *spec);
/* kind 0: any. Waits for the name. Checks everything it reads. */
int ndi_segment_attach(struct ndi_segment **out, const char *name,
                       enum ndi_kind kind, enum nds_mode mode,
                       int64_t timeout_ns);
/* From a descriptor (taken over, also on failure). */
int ndi_segment_adopt(struct ndi_segment **out, int fd, enum ndi_kind kind,
                      enum nds_mode mode);
/* Gives a nameless one (not a memfd) a name; hidden names begin ".nds-". */
int ndi_segment_publish(struct ndi_segment *s, const char *name,
                        bool replace);
/* Another file has taken the name, or was about to and the name went. */
bool ndi_segment_is_superseded(const struct ndi_segment *s);
/* Unlinks `name` if it still is this file. */
int ndi_segment_unpublish(struct ndi_segment *s, const char *name);
/* Attach by hidden name: O_NOFOLLOW, owner uid checked, no waiting. */
int ndi_segment_attach_hidden(struct ndi_segment **out, const char *name,
                              enum nds_mode mode);
/* Its descriptor leaves this process, or is told to others. */
void ndi_segment_lend(struct ndi_segment *s);
/* It has been sent as a file, and may be sent back. */
void ndi_segment_move_on(struct ndi_segment *s);
/* Maps the body read-only in this process from now on. */
int ndi_segment_freeze(struct ndi_segment *s);
struct ndi_segment *ndi_segment_get(struct ndi_segment *s);
void ndi_segment_put(struct ndi_segment *s); /* NULL is fine */

/* Blocks over segments, for the array room. Takes over one count on s. */
int ndi_block_of_segment(nds_block **out, struct ndi_segment *s);
struct ndi_segment *ndi_block_segment(const nds_block *b); /* lends or NULL */
/* zeroed false: small ones may hold anything. */
int ndi_block_new_heap(nds_block **out, size_t nbytes, bool zeroed,
                       enum nds_huge huge);
int ndi_block_of_memory(nds_block **out, void *data, size_t nbytes,
                        bool readonly, void (*done)(void *), void *ctx);
/* Handles in this process that hold the block. */
uint32_t ndi_block_refs(const nds_block *b);
/* How another process reaches a file or raw block: its absolute path, the mode
 * and where the block starts in the file. False for all other blocks. */
bool ndi_block_path(const nds_block *b, const char **path, enum nds_mode *mode,
                    uint64_t *off);
/* [off, off+nbytes) of a file; nbytes 0 with mode r/c/+: all after off. Grows
 * or creates it as numpy.memmap does. */
int ndi_block_map_file(nds_block **out, const char *path, enum nds_mode mode,
                       uint64_t off, uint64_t nbytes);

#endif
