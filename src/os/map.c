/* SPDX-License-Identifier: MIT */
/*
 * map.c - every mapping is made here
 *
 * The kernel backs a range by 2 MiB pages only where the address equals the
 * file offset modulo 2 MiB, and mmap does not choose such an address by
 * itself. So a larger stretch of addresses is claimed first, and the mapping
 * laid over the part of it that fits.
 */
#include <os/os.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define HUGE ((size_t)2 << 20)

static size_t
page_size(void)
{
    static size_t page;
    size_t seen = __atomic_load_n(&page, __ATOMIC_RELAXED);

    if (seen == 0) {
        seen = (size_t)sysconf(_SC_PAGESIZE);
        __atomic_store_n(&page, seen, __ATOMIC_RELAXED);
    }
    return seen;
}

/* Bytes that the mapping really covers; 0 if they do not fit. */
static size_t
whole_pages(size_t nbytes)
{
    size_t page = page_size();

    return nbytes > SIZE_MAX - page ? 0 : (nbytes + page - 1) & ~(page - 1);
}

/* mmap at an address that equals `like` modulo 2 MiB. */
static int
map_congruent(void **out, size_t nbytes, int prot, int flags, int fd,
              uint64_t off, uintptr_t like)
{
    size_t len = whole_pages(nbytes);
    char *claim;
    char *at;
    size_t skip;
    void *p;

    if (len == 0 || len > SIZE_MAX - HUGE) {
        return -ENOMEM;
    }
    claim = NDI_SYS_MAP("map_claim",
                        mmap(NULL, len + HUGE, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                             0));
    if (claim == MAP_FAILED) {
        return -errno;
    }
    skip = (like - (uintptr_t)claim) & (HUGE - 1);
    at = claim + skip;
    p = NDI_SYS_MAP(fd < 0 ? "map_anon" : "map",
                    mmap(at, nbytes, prot, flags | MAP_FIXED, fd,
                         (off_t)off));
    if (p == MAP_FAILED) {
        int err = errno;

        munmap(claim, len + HUGE);
        return -err;
    }
    if (skip > 0) {
        munmap(claim, skip);
    }
    if (skip < HUGE) {
        munmap(at + len, HUGE - skip);
    }
    *out = p;
    return 0;
}

static int
map_plain(void **out, size_t nbytes, int prot, int flags, int fd, uint64_t off)
{
    void *p = NDI_SYS_MAP(fd < 0 ? "map_anon" : "map",
                          mmap(NULL, nbytes, prot, flags, fd, (off_t)off));

    if (p == MAP_FAILED) {
        return -errno;
    }
    *out = p;
    return 0;
}

int
ndi_map(void **out, int fd, uint64_t off, size_t nbytes, unsigned flags)
{
    bool copy = (flags & NDI_MAP_PRIVATE) != 0;
    bool write = (flags & NDI_MAP_WRITE) != 0;
    int prot = PROT_READ | (write ? PROT_WRITE : 0);
    int kind = copy ? MAP_PRIVATE : MAP_SHARED;
    void *p = NULL;
    int rc;

    if (off > (uint64_t)INT64_MAX || (off & (page_size() - 1)) != 0) {
        return -EINVAL;
    }
    if (nbytes >= HUGE) {
        rc = map_congruent(&p, nbytes, prot, kind, fd, off, (uintptr_t)off);
    } else {
        rc = map_plain(&p, nbytes, prot, kind, fd, off);
    }
    if (rc < 0) {
        return rc;
    }
    if ((flags & NDI_MAP_DONTFORK) != 0 &&
        NDI_SYS("dontfork",
                madvise(p, whole_pages(nbytes), MADV_DONTFORK)) < 0) {
        rc = -errno;
        munmap(p, nbytes);
        return rc;
    }
    if (nbytes >= HUGE && !copy) {
        enum nds_huge huge = ndi_huge((flags & NDI_MAP_HUGE) != 0
                                          ? NDS_HUGE_ALWAYS
                                      : (flags & NDI_MAP_SMALL) != 0
                                          ? NDS_HUGE_NEVER
                                          : NDS_HUGE_AUTO);

        madvise(p, whole_pages(nbytes), huge == NDS_HUGE_NEVER
                                            ? MADV_NOHUGEPAGE
                                            : MADV_HUGEPAGE);
    }
    if ((flags & NDI_MAP_POPULATE) != 0 && write) {
        madvise(p, whole_pages(nbytes), MADV_POPULATE_WRITE);
    }
    *out = p;
    return 0;
}

void
ndi_unmap(void *addr, size_t nbytes)
{
    if (addr != NULL) {
        munmap(addr, nbytes);
    }
}

int
ndi_map_anon(void **out, size_t nbytes, enum nds_huge huge)
{
    int prot = PROT_READ | PROT_WRITE;
    int kind = MAP_PRIVATE | MAP_ANONYMOUS;
    int rc;

    if (nbytes < HUGE) {
        return map_plain(out, nbytes, prot, kind, -1, 0);
    }
    rc = map_congruent(out, nbytes, prot, kind, -1, 0, 0);
    if (rc == 0) {
        ndi_huge_private(*out, whole_pages(nbytes), huge);
    }
    return rc;
}

int
ndi_map_readonly(void *addr, size_t nbytes)
{
    return NDI_SYS("map_readonly", mprotect(addr, nbytes, PROT_READ)) < 0
               ? -errno
               : 0;
}

int
ndi_map_forget(void *addr, size_t nbytes)
{
    return NDI_SYS("forget", madvise(addr, nbytes, MADV_DONTNEED)) < 0
               ? -errno
               : 0;
}

int
ndi_map_punch(void *addr, size_t nbytes)
{
    return NDI_SYS("punch", madvise(addr, nbytes, MADV_REMOVE)) < 0 ? -errno
                                                                    : 0;
}

int
ndi_map_sync(void *addr, size_t nbytes)
{
    return NDI_SYS("map_sync", msync(addr, nbytes, MS_SYNC)) < 0 ? -errno : 0;
}

int
ndi_map_renew(void *addr, size_t nbytes)
{
    size_t whole = nbytes & ~(page_size() - 1);
    void *fresh;
    int rc;

    if (((uintptr_t)addr & (page_size() - 1)) != 0) {
        return -EINVAL;
    }
    if (whole > 0) {
        rc = map_congruent(&fresh, whole, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                           (uintptr_t)addr);
        if (rc < 0) {
            return rc;
        }
        ndi_huge_private(fresh, whole, ndi_huge(NDS_HUGE_AUTO));
        // One stroke: other threads see the old pages or zeros, no hole.
        if (NDI_SYS_MAP("map_renew",
                        mremap(fresh, whole, whole,
                               MREMAP_MAYMOVE | MREMAP_FIXED, addr)) ==
            MAP_FAILED) {
            rc = -errno;
            munmap(fresh, whole);
            return rc;
        }
    }
    // The last page may belong to somebody beyond the range.
    memset((char *)addr + whole, 0, nbytes - whole);
    return 0;
}
