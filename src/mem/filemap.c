/* SPDX-License-Identifier: MIT */
/*
 * filemap.c - a stretch of a file as memory, by numpy.memmap's rules
 *
 * 'r' and 'c' open for reading and never change the file's length; '+' and 'w'
 * grow it, sparse, to what was asked; 'w' makes it anew. Nothing is read or
 * reserved beforehand, so a file may be larger than memory. The mapping begins
 * at the page the offset lies in.
 */
#include <mem/mem_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <os/os.h>

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
open_file(int *fd, const char *path, enum nds_mode mode)
{
    int flags;
    int rc;

    switch (mode) {
    case NDS_READ:
    case NDS_COPY:
        flags = O_RDONLY;
        break;
    case NDS_READWRITE:
        flags = O_RDWR;
        break;
    case NDS_CREATE:
        flags = O_RDWR | O_CREAT | O_TRUNC;
        break;
    default:
        return ndi_fail(NDS_EINVAL, "map '%s': mode '%c' is none of 'r', '+', "
                        "'w', 'c'", path, mode);
    }
    // O_NONBLOCK: a fifo of that name must not make us wait.
    rc = ndi_os_open(fd, path, flags | O_NONBLOCK, 0666);
    return rc < 0 ? ndi_fail_errno(-rc, "map '%s'", path) : 0;
}

/* Fixes the extent and makes the file long enough. */
static int
fit_file(int fd, const char *path, enum nds_mode mode, uint64_t off,
         uint64_t *nbytes)
{
    bool grows = mode == NDS_READWRITE || mode == NDS_CREATE;
    struct stat st;
    uint64_t size, need;
    int rc = ndi_os_fstat(fd, &st);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "map '%s'", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return ndi_fail(NDS_EINVAL, "map '%s': not a regular file", path);
    }
    size = (uint64_t)st.st_size;
    if (*nbytes == 0 && mode != NDS_CREATE) {
        if (off > size) {
            return ndi_fail(NDS_EINVAL, "map '%s': offset %llu lies beyond "
                            "its %llu bytes", path, (unsigned long long)off,
                            (unsigned long long)size);
        }
        *nbytes = size - off;
    }
    if (!ndi_add_u64(off, *nbytes, &need) || need > (uint64_t)INT64_MAX) {
        return ndi_fail(NDS_ESHAPE, "map '%s': %llu bytes at %llu do not fit "
                        "a file", path, (unsigned long long)*nbytes,
                        (unsigned long long)off);
    }
    if (need <= size) {
        return 0;
    }
    if (!grows) {
        return ndi_fail(NDS_EBUFFER, "map '%s': mmap length is greater than "
                        "file size: %llu bytes at %llu wanted, the file has "
                        "%llu", path, (unsigned long long)*nbytes,
                        (unsigned long long)off, (unsigned long long)size);
    }
    rc = ndi_os_truncate(fd, need);
    return rc < 0 ? ndi_fail_errno(-rc, "grow '%s' to %llu bytes", path,
                                   (unsigned long long)need)
                  : 0;
}

static void
file_fini(nds_block *b)
{
    ndi_guard_remove(b->map);
    ndi_unmap(b->map, b->map_nbytes);
}

static int
map_range(nds_block *b, int fd, const char *path, uint64_t off,
          uint64_t nbytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = off & ~(page - 1);
    unsigned flags = b->mode == NDS_READ ? 0
                     : b->mode == NDS_COPY
                         ? (unsigned)NDI_MAP_WRITE | NDI_MAP_PRIVATE
                         : (unsigned)NDI_MAP_WRITE;
    int rc;

    b->off = off;
    b->nbytes = (size_t)nbytes;
    b->fini = file_fini;
    if (nbytes == 0) {
        // Nothing to map, yet data is never NULL.
        b->data = b;
        return 0;
    }
    if (off + nbytes - start > SIZE_MAX) {
        return ndi_fail(NDS_ENOMEM, "map '%s': too large", path);
    }
    rc = ndi_map(&b->map, fd, start, (size_t)(off + nbytes - start), flags);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "map %llu bytes of '%s'",
                              (unsigned long long)nbytes, path);
    }
    b->map_nbytes = (size_t)(off + nbytes - start);
    b->data = (char *)b->map + (off - start);
    ndi_guard_add(b->map, b->map_nbytes, &b->truncated);
    return 0;
}

int
ndi_block_map_file(nds_block **out, const char *path, enum nds_mode mode,
                   uint64_t off, uint64_t nbytes)
{
    nds_block *b = NULL;
    int fd = -1;
    int rc;

    *out = NULL;
    rc = ndi_block_make(&b, NDS_FILE, mode);
    if (rc == 0) {
        rc = open_file(&fd, path, mode);
    }
    if (rc == 0) {
        rc = fit_file(fd, path, mode, off, &nbytes);
    }
    if (rc == 0) {
        rc = map_range(b, fd, path, off, nbytes);
    }
    if (rc == 0) {
        // Absolute: another process may stand in another directory.
        b->path = realpath(path, NULL);
        rc = b->path == NULL ? ndi_fail_nomem(PATH_MAX, "a path") : 0;
    }
    ndi_os_close(fd);
    if (rc == 0) {
        *out = ndi_steal(&b);
    }
    nds_block_close(b);
    return rc;
}
