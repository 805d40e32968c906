/* SPDX-License-Identifier: MIT */
/*
 * mem_layout.h - the control area: the last 64 KiB of every file of ours
 *
 *     file   0 ......................... body (array: .npy header, data;
 *                                        queue: slots, arena; lock: nothing)
 *            st_size - 65536 ........... control area, 64 KiB aligned
 *
 *     control area
 *         0  header, 64 bytes: magic, version, abi, file_nbytes, creator,
 *            kind, state
 *        64  geometry, 64 bytes (never changes after birth)
 *       128  generations, 64 bytes
 *       192  reserved 64
 *       256  lock, 64 bytes: the array's mutex
 *       320  rwlock, 128 bytes
 *       448  seqlock, 64 bytes
 *       512  name at creation, 256 bytes (for people)
 *       768  superseding name's inode and reserved, 256 bytes
 *      1024  object, 1024 bytes: the one sync object of a lock file
 *      2048  reserved to 4096
 *      4096  participants, 512 x 64 bytes
 *     36864  reserved to 65536
 *
 * Found by magic at st_size - 65536 *and* its own recorded file_nbytes. A
 * visible name is complete; anonymous memory stores state READY last.
 */
#ifndef NDI_MEM_LAYOUT_H
#define NDI_MEM_LAYOUT_H

#include <sync/sync_layout.h>

#define NDI_CTL_NBYTES 65536
#define NDI_CTL_MAGIC UINT64_C(0x314c544352485344) /* "DSHRCTL1" */
#define NDI_CTL_VERSION 1
#define NDI_CTL_READY 0x59444552 /* "REDY" */
#define NDI_CTL_PARTIES 512
/* Endianness, word and lock sizes in one number. */
#define NDI_CTL_ABI                                                           \
    ((uint32_t)(sizeof(void *) << 24 | sizeof(struct ndi_lock) << 8 |         \
                sizeof(struct ndi_party_slot) | 1U << 16))

enum ndi_kind {
    NDI_KIND_ARRAY = 1,
    NDI_KIND_MUTEX = 2,
    NDI_KIND_COND = 3,
    NDI_KIND_SEM = 4,
    NDI_KIND_EVENT = 5,
    NDI_KIND_BARRIER = 6,
    NDI_KIND_RWLOCK = 7,
    NDI_KIND_QUEUE = 8,
    NDI_KIND_PIPE = 9,
    NDI_KIND_SEQLOCK = 10
};

struct ndi_ctl_header {
    uint64_t magic;
    uint32_t version;
    uint32_t abi;
    uint64_t file_nbytes; /* = st_size */
    uint64_t creator[2];  /* random segment id */
    uint64_t created;     /* CLOCK_REALTIME ns, for people */
    uint32_t kind;
    uint32_t lifetime;        /* enum nds_lifetime */
    uint32_t mode_bits;
    _Atomic uint32_t state; /* READY last, release */
};
_Static_assert(sizeof(struct ndi_ctl_header) == 64, "header is one line");
_Static_assert(offsetof(struct ndi_ctl_header, state) == 60,
               "state is published last");

struct ndi_ctl_geometry {
    uint64_t body_nbytes; /* bytes before the control area that are used */
    uint64_t data_off;    /* arrays: 4096 or 8192 */
    uint64_t capacity;    /* arrays: bytes of data at most */
    uint64_t party_off;   /* from the start of the file */
    uint32_t party_count;
    uint32_t reserved32;
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct ndi_ctl_geometry) == 64, "one line");

struct ndi_ctl_gens {
    _Atomic uint64_t shape_gen; /* odd while the header is being rewritten,
                                   under the lock */
    _Atomic uint64_t data_gen;
    _Atomic uint32_t futex; /* low half of data_gen, for sleepers */
    _Atomic uint32_t sleepers;
    _Atomic uint32_t superseded; /* 1: a larger file took the name */
    uint32_t reserved32;
    uint64_t reserved[4];
};
_Static_assert(sizeof(struct ndi_ctl_gens) == 64, "one line");

struct ndi_control {
    struct ndi_ctl_header header;
    struct ndi_ctl_geometry geometry;
    struct ndi_ctl_gens gens;
    uint8_t reserved0[64];
    struct ndi_lock lock;
    struct ndi_rwlock rwlock;
    struct ndi_seqlock seqlock;
    char name[256];
    uint8_t reserved1[256];
    union {
        uint8_t bytes[1024];
        struct ndi_lock mutex;
        struct ndi_rwlock rwlock;
        struct ndi_condvar cond;
        struct ndi_semaphore sem;
        struct ndi_flag event;
        struct ndi_gate barrier;
        struct ndi_seqlock seqlock;
    } object;
    uint8_t reserved2[2048];
    struct ndi_party_slot parties[NDI_CTL_PARTIES];
    uint8_t reserved3[65536 - 4096 - NDI_CTL_PARTIES * 64];
};
_Static_assert(sizeof(struct ndi_control) == NDI_CTL_NBYTES, "64 KiB");
_Static_assert(offsetof(struct ndi_control, lock) == 256, "byte map");
_Static_assert(offsetof(struct ndi_control, name) == 512, "byte map");
_Static_assert(offsetof(struct ndi_control, object) == 1024, "byte map");
_Static_assert(offsetof(struct ndi_control, parties) == 4096, "byte map");

#endif
