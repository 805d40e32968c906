/* SPDX-License-Identifier: MIT */
/*
 * thread.c - which process image, and which of its threads, is this
 *
 * The epoch is a random number on a page that the kernel wipes in a forked
 * child (MADV_WIPEONFORK), also where fork went past the C library and its
 * atfork handlers. Zero there means: this image is new, draw a number.
 *
 * The C library runs atfork handlers in an order that follows from the order
 * in which object files were linked. Handlers that take locks are therefore
 * ranked here, behind one registration.
 */
#include <os/os.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_once_t epoch_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t no_page; // 0 for ever
_Atomic uint64_t *ndi_epoch_page = &no_page;

static struct fork_handler {
    void (*before)(void);
    void (*in_parent)(void);
    void (*in_child)(void);
} fork_handlers[NDI_FORK_RANKS];
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

struct thread_mark {
    uint64_t epoch;
    uint32_t token;
};
// Without a call of the loader for its address.
static _Thread_local struct thread_mark thread_mark
    __attribute__((tls_model("initial-exec")));

static void
epoch_wipe(void)
{
    atomic_store(ndi_epoch_page, 0);
}

static void
epoch_map(void)
{
    static _Atomic uint64_t plain;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p != MAP_FAILED && madvise(p, page, MADV_WIPEONFORK) == 0) {
        ndi_epoch_page = p;
        return;
    }
    // Without such a page fork must go through the C library to be noticed.
    if (p != MAP_FAILED) {
        munmap(p, page);
    }
    ndi_epoch_page = &plain;
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

static void
fork_before(void)
{
    for (int i = 0; i < NDI_FORK_RANKS; i++) {
        if (fork_handlers[i].before != NULL) {
            fork_handlers[i].before();
        }
    }
}

static void
fork_in_parent(void)
{
    for (int i = NDI_FORK_RANKS - 1; i >= 0; i--) {
        if (fork_handlers[i].in_parent != NULL) {
            fork_handlers[i].in_parent();
        }
    }
}

static void
fork_in_child(void)
{
    for (int i = NDI_FORK_RANKS - 1; i >= 0; i--) {
        if (fork_handlers[i].in_child != NULL) {
            fork_handlers[i].in_child();
        }
    }
}

static void
fork_register(void)
{
    if (pthread_atfork(fork_before, fork_in_parent, fork_in_child) != 0) {
        abort();
    }
}

void
ndi_at_fork(enum ndi_fork_rank rank, void (*before)(void),
            void (*in_parent)(void), void (*in_child)(void))
{
    fork_handlers[rank] = (struct fork_handler){before, in_parent, in_child};
    pthread_once(&fork_once, fork_register);
}

/* This image has no number yet. */
uint64_t
ndi_fork_epoch_draw(void)
{
    uint64_t fresh = 0;
    uint64_t seen = 0;

    pthread_once(&epoch_once, epoch_map);
    if (ndi_random_bytes(&fresh, sizeof fresh) < 0 || fresh == 0) {
        fresh = ((uint64_t)ndi_now_ns() ^ (uint64_t)getpid() << 40) | 1;
    }
    if (atomic_compare_exchange_strong(ndi_epoch_page, &seen, fresh)) {
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
