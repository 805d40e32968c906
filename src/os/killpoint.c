/* SPDX-License-Identifier: MIT */
/*
 * killpoint.c - dying and failing at a chosen place (test builds only)
 *
 * SIGKILL is sent to ourselves: nothing runs after it, no handler, no exit
 * code, exactly as when a stranger sends it.
 */
#include <os/killpoint.h>

#ifdef NDI_TESTING

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

static struct ndi_kill_page *
map_page(int fd)
{
    void *p = mmap(NULL, sizeof(struct ndi_kill_page), PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

struct ndi_kill_page *
ndi_kill_page_new(void)
{
    struct ndi_kill_page *page = NULL;
    int fd = memfd_create("ndshare-kill", MFD_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, sizeof *page) == 0) {
        page = map_page(fd);
    }
    if (page == NULL) {
        ndi_os_close(fd);
        return NULL;
    }
    page->fd = fd;
    return page;
}

void
ndi_kill_page_free(struct ndi_kill_page *page)
{
    if (page != NULL) {
        close(page->fd);
        munmap(page, sizeof *page);
    }
}

void
ndi_kill_install(struct ndi_kill_page *page)
{
    if (page != NULL) {
        page->claim[0] = '\0';
        atomic_store(&page->pid, getpid());
    }
    atomic_store(&kill_page, page);
}

void
ndi_kill_visit_with(void (*fn)(const char *name))
{
    atomic_store(&kill_visitor, fn);
}

void
ndi_kill_install_claim(struct ndi_kill_page *page, const char *claim)
{
    char text[64];

    snprintf(page->claim, sizeof page->claim, "%s", claim);
    atomic_store(&page->pid, 0);
    // The harness outlives us: its descriptor is the way in for our images.
    snprintf(text, sizeof text, "/proc/%d/fd/%d", (int)getppid(), page->fd);
    setenv(NDI_KILL_ENV, text, 1);
    atomic_store(&kill_page, page);
}

__attribute__((constructor)) static void
find_page(void)
{
    const char *path = getenv(NDI_KILL_ENV);
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        atomic_store(&kill_page, map_page(fd));
        close(fd);
    }
}

static bool
counts_us(struct ndi_kill_page *page, const char *point)
{
    int32_t nobody = 0;

    if (page == NULL) {
        return false;
    }
    if (point != NULL && page->claim[0] != '\0' &&
        strcmp(page->claim, point) == 0) {
        atomic_compare_exchange_strong(&page->pid, &nobody, getpid());
    }
    return atomic_load(&page->pid) == getpid();
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
    if (!counts_us(page, name)) {
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

/* The page's own fault: the call of a number, whatever its name. */
static bool
page_fault(const char *call)
{
    struct ndi_kill_page *page = atomic_load(&kill_page);
    uint32_t n;

    if (!counts_us(page, NULL)) {
        return false;
    }
    n = atomic_fetch_add(&page->calls, 1) + 1;
    if (page->fail_at == 0) {
        if (n <= NDI_KILL_NAMES) {
            strncpy(page->call_names[n - 1], call, NDI_FAULT_NAME_ROOM - 1);
        }
        return false;
    }
    if (n != page->fail_at) {
        return false;
    }
    strncpy(page->failed_name, call, NDI_FAULT_NAME_ROOM - 1);
    atomic_store(&page->failed, n);
    errno = page->fail_err;
    return true;
}

bool
ndi_fault(const char *call)
{
    unsigned n = atomic_load(&fault_count);
    int saved = errno;

    for (unsigned i = 0; i < n; i++) {
        if (strcmp(faults[i].call, call) == 0) {
            unsigned use = atomic_fetch_add(&faults[i].uses, 1) + 1;

            if (faults[i].nth == 0 || use == faults[i].nth) {
                errno = faults[i].err;
                return true;
            }
        }
    }
    errno = saved;
    return page_fault(call);
}

#endif
