/* SPDX-License-Identifier: MIT */
/*
 * sync_layout.h - the bytes of participants and locks
 *
 * An owner names a participant: index + 1 in bits 0..11 (0: nobody), the
 * participant's generation in bits 12..43. Bit 44 of a lock word says that
 * somebody may sleep, bit 45 that the lock is poisoned; 46..63 are zero.
 *
 *     participant (64 bytes, one writer: its process; state also by buriers)
 *       0 state u32   4 gen u32    8 futex u32   12 pid u32 (for people)
 *      16 started u64 (CLOCK_REALTIME, for people)
 *      24 permits u32 (semaphore permits owned)  28 readers u32 (rwlock)
 *      32 arrivals u32 (barrier, threads waiting) 36 round u32 (of arrivals)
 *      40 reserved 24
 *
 *     mutex (64 bytes)
 *       0 word u64    8 futex u32  12 thread u32 (holder's token)
 *      16 depth u32  20 kind u32 (0 plain, 1 recursive)
 *      24 dead u64 (owner that died last, for the record)
 *      32 deaths u32 36 reserved 28
 *
 *     rwlock (128): mutex for writers, then futex u32, reserved
 *     seqlock (64): word u64 (odd: writer at work), owner u64, futex u32,
 *                   sleepers u32
 *     cond (128): mutex, seq u32, sleepers u32
 *     sem (64): count u32, bound u32, sleepers u32, owned u32 (1: permits are
 *               charged to participants), given u32
 *     event (64): word u32 (0 clear, 1 set), seq u32, sleepers u32
 *     barrier (128): mutex, parties u32, round u32, 4 unused, sleepers u32,
 *                   reset_round u32, 4 unused, verdict u64
 */
#ifndef NDI_SYNC_LAYOUT_H
#define NDI_SYNC_LAYOUT_H

#include <base/attr.h>

#include <stdatomic.h>

#define NDI_OWNER_INDEX_BITS 12
#define NDI_OWNER_GEN_BITS 32
#define NDI_OWNER_MASK ((UINT64_C(1) << 44) - 1)
#define NDI_LOCK_WAITERS (UINT64_C(1) << 44)
#define NDI_LOCK_POISONED (UINT64_C(1) << 45)
#define NDI_PARTY_MAX 4095 /* index + 1 fits 12 bits and is never 0 */

/* Lock bytes, far beyond every end of file. */
#define NDI_BYTE_IN_USE (UINT64_C(1) << 61)
#define NDI_BYTE_PRESENCE ((UINT64_C(1) << 61) + 4096) /* + index */
#define NDI_BYTE_ENDS ((UINT64_C(1) << 61) + 16384)    /* pipe ends */

enum ndi_party_state {
    NDI_PARTY_EMPTY = 0,
    NDI_PARTY_LIVE = 1,
    NDI_PARTY_DYING = 2 /* being buried */
};

struct ndi_party_slot {
    _Atomic uint32_t state;
    _Atomic uint32_t gen;
    _Atomic uint32_t futex;
    _Atomic uint32_t pid;
    _Atomic uint64_t started;
    _Atomic uint32_t permits;
    _Atomic uint32_t readers;
    _Atomic uint32_t arrivals;
    _Atomic uint32_t round;
    uint8_t reserved[24];
};
_Static_assert(sizeof(struct ndi_party_slot) == 64, "one line a participant");

struct ndi_lock {
    _Atomic uint64_t word;
    _Atomic uint32_t futex;
    _Atomic uint32_t thread; /* written by the holder, after taking */
    _Atomic uint32_t depth;  /* by the holder */
    uint32_t kind;           /* never changes after birth */
    _Atomic uint64_t dead;   /* by the heir, before NDS_EOWNERDEAD */
    _Atomic uint32_t deaths;
    uint8_t reserved[28];
};
_Static_assert(sizeof(struct ndi_lock) == 64, "one line a mutex");

struct ndi_rwlock {
    struct ndi_lock writer;
    _Atomic uint32_t futex; /* raised when a reader leaves */
    _Atomic uint32_t sleepers;
    uint8_t reserved[56];
};
_Static_assert(sizeof(struct ndi_rwlock) == 128, "two lines");

struct ndi_seqlock {
    _Atomic uint64_t word;  /* even: data stable; odd: writer at work */
    _Atomic uint64_t owner; /* named before the word turns odd, 0 after even */
    _Atomic uint32_t futex;
    _Atomic uint32_t sleepers;
    uint8_t reserved[40];
};
_Static_assert(sizeof(struct ndi_seqlock) == 64, "one line");

struct ndi_condvar {
    struct ndi_lock lock;
    _Atomic uint32_t seq; /* raised by notify */
    _Atomic uint32_t sleepers;
    uint8_t reserved[56];
};
_Static_assert(sizeof(struct ndi_condvar) == 128, "two lines");

struct ndi_semaphore {
    _Atomic uint32_t count; /* futex word: permits left (owned: at most so
                               many, changed under the guard) */
    uint32_t bound;         /* 0: none (owned: all there are) */
    _Atomic uint32_t sleepers;
    uint32_t owned;
    _Atomic uint32_t given; /* owned: futex word, raised by each give */
    uint8_t reserved[44];
};
_Static_assert(sizeof(struct ndi_semaphore) == 64, "one line");

struct ndi_flag {
    _Atomic uint32_t word; /* futex word: 0 clear, 1 set */
    _Atomic uint32_t seq;  /* raised by set: a waiter that slept through a
                              set and a clear still returns */
    _Atomic uint32_t sleepers;
    uint8_t reserved[52];
};
_Static_assert(sizeof(struct ndi_flag) == 64, "one line");

struct ndi_gate {
    struct ndi_lock lock;
    uint32_t parties;
    _Atomic uint32_t round; /* futex word: raised when a round is over */
    uint32_t reserved32;
    _Atomic uint32_t sleepers;
    _Atomic uint32_t reset_round; /* round + 1 that a reset ended, or 0 */
    uint32_t reserved32b;
    _Atomic uint64_t verdict; /* (round + 1) << 1, | 1: it broke. Of the round
                                 that was decided last; by CAS, by anybody */
    uint8_t reserved[32];
};
_Static_assert(sizeof(struct ndi_gate) == 128, "two lines");
_Static_assert(offsetof(struct ndi_gate, verdict) == 88, "byte map");

#endif
