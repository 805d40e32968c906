/* SPDX-License-Identifier: MIT */
/*
 * huge.c - 2 MiB pages: who wants them, and how the kernel is asked
 *
 * Private memory gets them by advice, at the first touch, where the system
 * allows that. Shared memory gets them so only on a mount with huge=advise (or
 * where shmem_enabled says advise); everywhere else one small page in each
 * stretch of 2 MiB is collapsed, which the kernel does whatever the switches
 * say, from 6.1 on.
 */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE ((size_t)2 << 20)
#define SMALL_PAGE 4096
/* 0.2 GB/s, about what 4 KiB faults reach. Slow now and then is the host
 * finding memory, which small pages would wait for as well; slow for 64 MiB in
 * a row is the kernel moving pages out of the way. */
#define COLLAPSE_NS_PER_BYTE 5
#define COLLAPSE_SLOW 16

enum nds_huge
ndi_huge(enum nds_huge asked)
{
    const char *text = asked == NDS_HUGE_AUTO ? secure_getenv("NDSHARE_HUGE")
                                              : NULL;

    if (text == NULL) {
        return asked;
    }
    return strcmp(text, "always") == 0  ? NDS_HUGE_ALWAYS
           : strcmp(text, "never") == 0 ? NDS_HUGE_NEVER
                                        : NDS_HUGE_AUTO;
}

static bool advice_is_idle;
static pthread_once_t advice_once = PTHREAD_ONCE_INIT;

/* Does the system ignore advice on private memory? */
static void
advice_look(void)
{
    char text[128] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled",
                  O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof text - 1);

        text[n > 0 ? n : 0] = '\0';
        close(fd);
    }
    advice_is_idle = strstr(text, "[never]") != NULL;
}

void
ndi_huge_touch(void *addr, size_t nbytes)
{
    uintptr_t at = ((uintptr_t)addr + HUGE - 1) & ~(uintptr_t)(HUGE - 1);
    uintptr_t end = (uintptr_t)addr + nbytes;

    // Without room it says so here, where a store would be SIGBUS.
    for (; at < end && end - at >= HUGE; at += HUGE) {
        madvise((void *)at, SMALL_PAGE, MADV_POPULATE_WRITE);
    }
}

void
ndi_collapse_step(struct ndi_collapse *c, void *addr, size_t nbytes)
{
    uintptr_t from = ((uintptr_t)addr + HUGE - 1) & ~(uintptr_t)(HUGE - 1);
    uintptr_t to = ((uintptr_t)addr + nbytes) & ~(uintptr_t)(HUGE - 1);
    int64_t start;

    if (atomic_load(&c->over) || from >= to) {
        return;
    }
    ndi_huge_touch((void *)from, to - from);
    start = ndi_now_ns();
    // EINVAL where the kernel or the file system cannot; EAGAIN and ENOMEM
    // where memory is in pieces.
    if (NDI_SYS("collapse", madvise((void *)from, to - from,
                                    MADV_COLLAPSE)) < 0) {
        atomic_store(&c->over, c->huge != NDS_HUGE_ALWAYS);
        return;
    }
    if ((ndi_now_ns() - start) / COLLAPSE_NS_PER_BYTE <=
        (int64_t)(to - from)) {
        atomic_store(&c->slow, 0);
    } else if (atomic_fetch_add(&c->slow, 1) + 1 >= COLLAPSE_SLOW) {
        atomic_store(&c->over, c->huge != NDS_HUGE_ALWAYS);
    }
}

struct collapse {
    struct ndi_collapse pace;
    char *from;
};

bool
ndi_map_has_memory(const void *addr)
{
    uintptr_t page = (uintptr_t)addr / SMALL_PAGE * SMALL_PAGE;
    unsigned char in = 1;

    return mincore((void *)page, SMALL_PAGE, &in) < 0 || (in & 1) != 0;
}

size_t
ndi_map_cold(const void *addr, size_t nbytes)
{
    size_t cold = 0;

    for (size_t at = 0; at < nbytes; at += HUGE) {
        if (!ndi_map_has_memory((const char *)addr + at)) {
            cold += nbytes - at < HUGE ? nbytes - at : HUGE;
        }
    }
    return cold;
}

static void
collapse_range(void *ctx, int64_t from, int64_t to)
{
    struct collapse *c = ctx;

    for (int64_t at = from; at < to; at += (int64_t)HUGE) {
        size_t left = (size_t)(to - at);

        if (!ndi_map_has_memory(c->from + at)) {
            ndi_collapse_step(&c->pace, c->from + at,
                              left < HUGE ? left : HUGE);
        }
    }
}

bool
ndi_huge_worth(enum nds_huge huge, size_t nbytes)
{
    return huge != NDS_HUGE_NEVER &&
           nbytes >= (huge == NDS_HUGE_ALWAYS ? HUGE : 2 * HUGE);
}

void
ndi_map_collapse(void *addr, size_t nbytes, enum nds_huge huge)
{
    struct collapse c = {.pace = {.huge = huge}, .from = addr};

    if (ndi_huge_worth(huge, nbytes)) {
        ndi_in_pieces((int64_t)nbytes, 1, collapse_range, &c);
    }
}

void
ndi_huge_private(void *addr, size_t nbytes, enum nds_huge huge)
{
    if (nbytes < HUGE) {
        return;
    }
    madvise(addr, nbytes, huge == NDS_HUGE_NEVER ? MADV_NOHUGEPAGE
                                                 : MADV_HUGEPAGE);
    if (huge == NDS_HUGE_ALWAYS) {
        pthread_once(&advice_once, advice_look);
        if (advice_is_idle) {
            ndi_map_collapse(addr, nbytes, huge);
        }
    }
}

/* A line of smaps that counts 2 MiB pages: bytes, else 0. */
static size_t
huge_line(const char *line)
{
    static const char *const keys[] = {"AnonHugePages: %zu kB",
                                       "ShmemPmdMapped: %zu kB",
                                       "FilePmdMapped: %zu kB"};
    size_t kib;

    for (size_t i = 0; i < 3; i++) {
        if (sscanf(line, keys[i], &kib) == 1) {
            return kib << 10;
        }
    }
    return 0;
}

int
ndi_huge_bytes(const void *addr, size_t nbytes, size_t *out)
{
    uintptr_t low = (uintptr_t)addr, high = low + nbytes;
    unsigned long from, to;
    char line[512];
    bool here = false;
    FILE *f = NDI_SYS("smaps", 0) < 0 ? NULL : fopen("/proc/self/smaps", "re");

    *out = 0;
    if (f == NULL) {
        return -errno;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        // Some keys begin with hexadecimal digits: both numbers, or none.
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            here = from < high && to > low;
        } else if (here) {
            *out += huge_line(line);
        }
    }
    fclose(f);
    *out = *out > nbytes ? nbytes : *out;
    return 0;
}
