/* SPDX-License-Identifier: MIT */
/*
 * guard.c - a file made shorter under us is an error, not a death
 *
 * Touching a page beyond the end of a mapped file is SIGBUS by the kernel's
 * rule. The handler, once installed, lays zero pages over what is missing of
 * a mapping of ours, marks its handle and lets the instruction run again. A
 * fault anywhere else goes to whoever handled SIGBUS before.
 *
 * The table is read in the handler: fixed cells of atomics, a cell is valid
 * while its address is set. With more mappings than cells the rest is not
 * guarded.
 */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <os/os.h>
#include <sync/word.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#define CELLS 4096
#define PAGE_MASK ((uintptr_t)4095)

static struct cell {
    _Atomic uintptr_t addr; /* 0: free, 1: being changed */
    _Atomic size_t nbytes;
    _Atomic uint32_t *_Atomic hit;
} cells[CELLS];
static _Atomic uint32_t cells_used; /* cells that were ever taken */

static struct sigaction before;
static bool installed;
static pthread_mutex_t install_mutex = PTHREAD_MUTEX_INITIALIZER;

void
ndi_guard_add(void *addr, size_t nbytes, _Atomic uint32_t *hit)
{
    for (uint32_t i = 0; i < CELLS; i++) {
        uintptr_t none = 0;
        uint32_t used;

        if (ndi_load_rlx(&cells[i].addr) != 0 ||
            !ndi_cas_seq(&cells[i].addr, &none, (uintptr_t)1)) {
            continue;
        }
        ndi_store_rlx(&cells[i].nbytes, nbytes);
        ndi_store_rlx(&cells[i].hit, hit);
        ndi_store_rel(&cells[i].addr, (uintptr_t)addr);
        used = ndi_load_rlx(&cells_used);
        while (used < i + 1 && !ndi_cas_seq(&cells_used, &used, i + 1)) {
        }
        return;
    }
}

void
ndi_guard_remove(void *addr)
{
    uint32_t used = ndi_load_acq(&cells_used);

    for (uint32_t i = 0; addr != NULL && i < used; i++) {
        if (ndi_load_acq(&cells[i].addr) == (uintptr_t)addr) {
            ndi_store_rel(&cells[i].addr, (uintptr_t)0);
            return;
        }
    }
}

/* True if the fault lay in a mapping of ours and is mended. */
static bool
mend(uintptr_t at)
{
    uint32_t used = ndi_load_acq(&cells_used);

    for (uint32_t i = 0; i < used; i++) {
        uintptr_t addr = ndi_load_acq(&cells[i].addr);
        size_t nbytes = ndi_load_rlx(&cells[i].nbytes);
        _Atomic uint32_t *hit = ndi_load_rlx(&cells[i].hit);
        uintptr_t from, end;

        if (addr <= 1 || at < addr || at - addr >= nbytes) {
            continue;
        }
        // From the page of the fault on nothing is there any more.
        from = at & ~PAGE_MASK;
        end = (addr + nbytes + PAGE_MASK) & ~PAGE_MASK;
        if (ndi_map_zero((void *)from, end - from, true) < 0) {
            return false;
        }
        ndi_store_rel(hit, 1);
        return true;
    }
    return false;
}

static void
on_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved = errno;

    if (info->si_code == BUS_ADRERR && mend((uintptr_t)info->si_addr)) {
        errno = saved;
        return;
    }
    errno = saved;
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(sig, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(sig);
    } else {
        // The instruction runs again and meets the default action.
        signal(sig, SIG_DFL);
    }
}

int
nds_guard_install(void)
{
    struct sigaction sa = {.sa_sigaction = on_sigbus,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int rc = 0;

    sigemptyset(&sa.sa_mask);
    pthread_mutex_lock(&install_mutex);
    if (!installed) {
        rc = sigaction(SIGBUS, &sa, &before) < 0
                 ? ndi_fail_errno(errno, "handle SIGBUS")
                 : 0;
        installed = rc == 0;
    }
    pthread_mutex_unlock(&install_mutex);
    return rc;
}
