/* SPDX-License-Identifier: MIT */
/*
 * killpoint.c - dying and failing at a chosen place (test builds only)
 *
 * SIGKILL is sent to ourselves: nothing runs after it, no handler, no exit
 * code, exactly as when a stranger sends it.
 */
#include <os/killpoint.h>

#ifdef NDI_TESTING

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FAULT_ROOM 8

static struct ndi_kill_page *_Atomic kill_page;
static void (*_Atomic kill_visitor)(const char *name);

static struct fault {
    const char *call;
    unsigned nth;
    int err;
    _Atomic unsigned uses;
} faults[FAULT_ROOM];
static _Atomic unsigned fault_count;

struct ndi_kill_page *
ndi_kill_page_new(void)
{
    void *p = mmap(NULL, sizeof(struct ndi_kill_page), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void
ndi_kill_page_free(struct ndi_kill_page *page)
{
    if (page != NULL) {
        munmap(page, sizeof *page);
    }
}

void
ndi_kill_install(struct ndi_kill_page *page)
{
    if (page != NULL) {
        page->pid = getpid();
    }
    atomic_store(&kill_page, page);
}

void
ndi_kill_visit_with(void (*fn)(const char *name))
{
    atomic_store(&kill_visitor, fn);
}

void
ndi_kill_point(const char *name)
{
    struct ndi_kill_page *page = atomic_load(&kill_page);
    void (*visitor)(const char *name) = atomic_load(&kill_visitor);
    uint32_t visit;

    if (visitor != NULL) {
        visitor(name);
    }
    if (page == NULL || page->pid != getpid()) {
        return;
    }
    visit = atomic_fetch_add(&page->visits, 1) + 1;
    if (page->kill_at == 0) {
        if (visit <= NDI_KILL_NAMES) {
            strncpy(page->names[visit - 1], name, NDI_KILL_NAME_ROOM - 1);
        }
        return;
    }
    if (visit == page->kill_at) {
        atomic_store(&page->fired, visit);
        kill(getpid(), SIGKILL);
        for (;;) {
            pause(); // another thread may still run us for a moment
        }
    }
}

void
ndi_fault_arm(const char *call, unsigned nth, int err)
{
    unsigned i;

    if (call == NULL) {
        atomic_store(&fault_count, 0);
        return;
    }
    i = atomic_load(&fault_count);
    if (i == FAULT_ROOM) {
        return;
    }
    faults[i].call = call;
    faults[i].nth = nth;
    faults[i].err = err;
    atomic_store(&faults[i].uses, 0);
    atomic_store(&fault_count, i + 1);
}

int
ndi_fault(const char *call)
{
    unsigned n = atomic_load(&fault_count);

    for (unsigned i = 0; i < n; i++) {
        if (strcmp(faults[i].call, call) == 0) {
            unsigned use = atomic_fetch_add(&faults[i].uses, 1) + 1;

            if (faults[i].nth == 0 || use == faults[i].nth) {
                return -faults[i].err;
            }
        }
    }
    return 0;
}

#endif
