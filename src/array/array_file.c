/* SPDX-License-Identifier: MIT */
/*
 * array_file.c - files and raw blocks as arrays
 *
 * Files on disk carry no control area: they are exactly what NumPy writes.
 * Saving goes to a temporary name beside the path and is renamed over it, so
 * a reader, or a crash, sees the old file or the new one.
 */
#include <array/array_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <npy/npy_header.h>
#include <os/os.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK (O_RDONLY | O_NONBLOCK) /* a fifo must not make us wait */

/* A view at `off` bytes into the block becomes a handle; takes b's count. */
static int
over_block(nds_array **out, nds_block *b, const nds_dtype *dtype, int ndim,
           const int64_t *shape, char order, int64_t off)
{
    nds_view v;
    int rc = nds_view_init_strided(&v, dtype, nds_block_data(b),
                                   nds_block_nbytes(b), off, ndim, shape, NULL,
                                   order == 'F' ? 'F' : 'C');

    return ndi_array_finish(out, b, &v, rc);
}

int
nds_array_from_block(nds_array **out, nds_block *b, const nds_dtype *dtype,
                     int ndim, const int64_t *shape, char order, int64_t off)
{
    return over_block(out, nds_block_get(b), dtype, ndim, shape, order, off);
}

/* How many elements the file holds after off. */
static int
extent_of_file(const char *path, int64_t itemsize, int64_t off,
               int64_t *extent)
{
    struct stat st;
    int fd = -1;
    int rc = ndi_os_open(&fd, path, LOOK, 0);

    if (rc == 0) {
        rc = ndi_os_fstat(fd, &st);
        ndi_os_close(fd);
    }
    if (rc < 0) {
        return ndi_fail_errno(-rc, "open '%s'", path);
    }
    if (st.st_size == 0) {
        return ndi_fail(NDS_EINVAL, "'%s': cannot mmap an empty file", path);
    }
    if (off > st.st_size) {
        return ndi_fail(NDS_EINVAL, "'%s': offset %lld lies beyond its %lld "
                        "bytes", path, (long long)off,
                        (long long)st.st_size);
    }
    if (itemsize == 0 || (st.st_size - off) % itemsize != 0) {
        return ndi_fail(NDS_EINVAL, "'%s': Size of available data is not a "
                        "multiple of the data-type size: %lld bytes, %lld "
                        "each", path, (long long)(st.st_size - off),
                        (long long)itemsize);
    }
    *extent = (st.st_size - off) / itemsize;
    return 0;
}

int
nds_array_map_file(nds_array **out, const char *path, enum nds_mode mode,
                   const nds_dtype *dtype, int ndim, const int64_t *shape,
                   char order, int64_t off)
{
    nds_block *b = NULL;
    int64_t extent, nbytes;
    int rc = 0;

    *out = NULL;
    if (off < 0) {
        return ndi_fail(NDS_EINVAL, "'%s': negative offset %lld", path,
                        (long long)off);
    }
    if (shape == NULL) {
        if (mode == NDS_CREATE) {
            return ndi_fail(NDS_EINVAL, "'%s': shape must be given if mode == "
                            "'w+'", path);
        }
        rc = extent_of_file(path, nds_dtype_itemsize(dtype), off, &extent);
        ndim = 1;
        shape = &extent;
    }
    if (rc == 0) {
        rc = ndi_array_nbytes(dtype, ndim, shape, &nbytes);
    }
    if (rc == 0) {
        rc = ndi_block_map_file(&b, path, mode, (uint64_t)off,
                                (uint64_t)nbytes);
    }
    return rc < 0 ? rc : over_block(out, b, dtype, ndim, shape, order, 0);
}

int
nds_npy_map(nds_array **out, const char *path, enum nds_mode mode)
{
    struct ndi_npy_info info;
    nds_block *b = NULL;
    int fd = -1;
    int rc;

    *out = NULL;
    if (mode == NDS_CREATE) {
        return ndi_fail(NDS_EINVAL, "'%s': save an array to make a .npy file",
                        path);
    }
    rc = ndi_os_open(&fd, path, LOOK, 0);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "open '%s'", path);
    }
    rc = ndi_npy_read(&info, fd, path);
    ndi_os_close(fd);
    if (rc < 0) {
        return rc;
    }
    if (info.nbytes == 0) {
        // Nothing to map: an array of no bytes, as private as it is empty.
        rc = nds_array_new(out, info.dtype, info.ndim, info.shape,
                           &(nds_array_options){.size = sizeof(
                                                    nds_array_options),
                                                .order = info.order});
        ndi_npy_info_fini(&info);
        return rc;
    }
    rc = ndi_block_map_file(&b, path, mode, info.data_off, info.nbytes);
    if (rc == 0) {
        rc = over_block(out, b, info.dtype, info.ndim, info.shape, info.order,
                        0);
    }
    ndi_npy_info_fini(&info);
    return rc;
}

int
nds_npy_load(nds_array **out, const char *path)
{
    nds_array_options opts = {.size = sizeof opts};
    struct ndi_npy_info info;
    nds_array *a = NULL;
    int fd = -1;
    int rc;

    *out = NULL;
    rc = ndi_os_open(&fd, path, LOOK, 0);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "open '%s'", path);
    }
    rc = ndi_npy_read(&info, fd, path);
    if (rc < 0) {
        ndi_os_close(fd);
        return rc;
    }
    opts.order = info.order;
    rc = nds_array_new(&a, info.dtype, info.ndim, info.shape, &opts);
    if (rc == 0) {
        rc = ndi_os_pread(fd, a->view.data, info.nbytes, info.data_off);
        rc = rc < 0 ? ndi_fail_errno(-rc, "read %llu bytes of '%s'",
                                     (unsigned long long)info.nbytes, path)
                    : 0;
    }
    if (rc == 0) {
        *out = ndi_steal(&a);
    }
    nds_array_close(a);
    ndi_npy_info_fini(&info);
    ndi_os_close(fd);
    return rc;
}

/* Head and data into fd. Data that lie in neither order are copied first. */
static int
write_npy(int fd, const nds_view *v, const char *path)
{
    bool c_order = nds_view_is_contiguous(v, 'C');
    bool f_order = !c_order && nds_view_is_contiguous(v, 'F');
    struct ndi_buf head = {0};
    nds_array *copy = NULL;
    const void *data = v->data;
    int64_t nbytes = nds_view_nbytes(v);
    int rc = ndi_npy_format(&head, v->dtype, v->ndim, v->shape,
                            f_order ? 'F' : 'C', 0);

    if (rc == 0 && !c_order && !f_order) {
        rc = nds_array_copy(&copy, v, NULL);
        data = copy != NULL ? copy->view.data : NULL;
    }
    if (rc == 0) {
        rc = ndi_os_write(fd, head.data, head.nbytes);
        if (rc == 0) {
            rc = ndi_os_write(fd, data, (size_t)nbytes);
        }
        rc = rc < 0 ? ndi_fail_errno(-rc, "write %lld bytes to '%s'",
                                     (long long)nbytes, path)
                    : 0;
    }
    nds_array_close(copy);
    ndi_buf_fini(&head);
    return rc;
}

int
nds_npy_save(const nds_view *v, const char *path)
{
    unsigned char noise[8];
    char *temp = NULL;
    int fd = -1;
    int rc = ndi_random_bytes(noise, sizeof noise);

    if (rc < 0 || asprintf(&temp, "%s.%02x%02x%02x%02x.tmp", path, noise[0],
                           noise[1], noise[2], noise[3]) < 0) {
        return ndi_fail_nomem(strlen(path), "a file name");
    }
    rc = ndi_os_open(&fd, temp, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (rc < 0) {
        rc = ndi_fail_errno(-rc, "create '%s'", path);
        free(temp);
        return rc;
    }
    rc = write_npy(fd, v, path);
    ndi_os_close(fd);
    if (rc == 0) {
        rc = ndi_os_rename(temp, path);
        rc = rc < 0 ? ndi_fail_errno(-rc, "save '%s'", path) : 0;
    }
    if (rc < 0) {
        ndi_os_unlink(temp);
    }
    free(temp);
    return rc;
}
