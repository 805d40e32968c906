/* SPDX-License-Identifier: MIT */
/* word.h - C11 atomics with the order in the name */
#ifndef NDI_WORD_H
#define NDI_WORD_H

#include <base/attr.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#define ndi_load_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define ndi_load_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define ndi_load_seq(p) atomic_load_explicit((p), memory_order_seq_cst)
#define ndi_store_rlx(p, v)                                                   \
    atomic_store_explicit((p), (v), memory_order_relaxed)
#define ndi_store_rel(p, v)                                                   \
    atomic_store_explicit((p), (v), memory_order_release)
#define ndi_store_seq(p, v)                                                   \
    atomic_store_explicit((p), (v), memory_order_seq_cst)
#define ndi_swap_seq(p, v)                                                    \
    atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define ndi_add_rlx(p, v)                                                     \
    atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define ndi_add_seq(p, v)                                                     \
    atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define ndi_sub_seq(p, v)                                                     \
    atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define ndi_or_seq(p, v)                                                      \
    atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
/* Strong; *expected gets the value found on failure. */
#define ndi_cas_seq(p, expected, v)                                           \
    atomic_compare_exchange_strong_explicit((p), (expected), (v),             \
                                            memory_order_seq_cst,             \
                                            memory_order_seq_cst)
/* Tries of a loop around a CAS that waits for nothing. Each try that fails is
 * somebody else's that went through, so the honest never get near; who rewrites
 * the word without end is an error then, after a tenth of a second or so. */
#define NDI_CAS_TRIES (1 << 20)
#define ndi_fence_seq() atomic_thread_fence(memory_order_seq_cst)

/* For words that no other process changes: while this one has a single thread,
 * which the C library knows, a load and a store do, in a fraction of the time. */
#if __has_include(<sys/single_threaded.h>)
#define ndi_one_thread() (__libc_single_threaded != 0)
#else
#define ndi_one_thread() false
#endif

/* What it was. */
static inline uint32_t
ndi_own_add(_Atomic uint32_t *p, uint32_t v)
{
    uint32_t was;

    if (!ndi_one_thread()) {
        return ndi_add_seq(p, v);
    }
    was = ndi_load_rlx(p);
    ndi_store_rlx(p, was + v);
    return was;
}

static inline void
ndi_own_add64(_Atomic uint64_t *p, uint64_t v)
{
    if (ndi_one_thread()) {
        ndi_store_rlx(p, ndi_load_rlx(p) + v);
    } else {
        ndi_add_rlx(p, v);
    }
}

/* Strong; *expected gets the value found on failure. */
static inline bool
ndi_own_cas(_Atomic uint32_t *p, uint32_t *expected, uint32_t v)
{
    uint32_t was;

    if (!ndi_one_thread()) {
        return ndi_cas_seq(p, expected, v);
    }
    was = ndi_load_rlx(p);
    if (was != *expected) {
        *expected = was;
        return false;
    }
    ndi_store_rlx(p, v);
    return true;
}

static inline void
ndi_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
