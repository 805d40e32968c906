/* SPDX-License-Identifier: MIT */
/*
 * thread.c - which process image, and which of its threads, is this
 *
 * The epoch is a random number on a page that the kernel wipes in a forked
 * child (MADV_WIPEONFORK), also where fork went past the C library and its
 * atfork handlers. Zero there means: this image is new, draw a number.
 */
#include <os/os.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_once_t epoch_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t *epoch_page;

struct thread_mark {
    uint64_t epoch;
    uint32_t token;
};
static _Thread_local struct thread_mark thread_mark;

static void
epoch_wipe(void)
{
    atomic_store(epoch_page, 0);
}

static void
epoch_map(void)
{
    static _Atomic uint64_t plain;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p != MAP_FAILED && madvise(p, page, MADV_WIPEONFORK) == 0) {
        epoch_page = p;
        return;
    }
    // Without such a page fork must go through the C library to be noticed.
    if (p != MAP_FAILED) {
        munmap(p, page);
    }
    epoch_page = &plain;
    if (pthread_atfork(NULL, NULL, epoch_wipe) != 0) {
        abort();
    }
}

// Before main, so that no fork can fall into the middle of the first call.
__attribute__((constructor)) static void
epoch_early(void)
{
    pthread_once(&epoch_once, epoch_map);
}

uint64_t
ndi_fork_epoch(void)
{
    uint64_t fresh = 0;
    uint64_t seen;

    if (NDI_UNLIKELY(epoch_page == NULL)) {
        pthread_once(&epoch_once, epoch_map);
    }
    seen = atomic_load_explicit(epoch_page, memory_order_relaxed);
    if (NDI_LIKELY(seen != 0)) {
        return seen;
    }
    if (ndi_random_bytes(&fresh, sizeof fresh) < 0 || fresh == 0) {
        fresh = ((uint64_t)ndi_now_ns() ^ (uint64_t)getpid() << 40) | 1;
    }
    if (atomic_compare_exchange_strong(epoch_page, &seen, fresh)) {
        return fresh;
    }
    return seen; // another thread was first
}

uint32_t
ndi_thread_token(void)
{
    uint64_t epoch = ndi_fork_epoch();

    if (NDI_UNLIKELY(thread_mark.epoch != epoch)) {
        thread_mark.token = (uint32_t)gettid();
        thread_mark.epoch = epoch;
    }
    return thread_mark.token;
}
