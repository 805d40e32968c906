/* SPDX-License-Identifier: MIT */
/* npy.c - .npy files: where the data start, and that they are all there */
#include <npy/npy_header.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>

/* The head's bytes on the heap. */
static int
read_head(unsigned char **head, size_t *nbytes, int fd, uint64_t file_nbytes,
          const char *what)
{
    unsigned char first[NDI_NPY_HEAD_MIN] = {0};
    size_t n = sizeof first, need;
    int rc;

    if (file_nbytes < n) {
        return ndi_fail(NDS_EFORMAT, "'%s': %llu bytes are too few for an npy "
                        "header", what, (unsigned long long)file_nbytes);
    }
    rc = ndi_os_pread(fd, first, n, 0);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "read '%s'", what);
    }
    need = ndi_npy_head_need(first, n);
    // What is too long or no head at all is refused by the parser.
    n = need > NDI_NPY_HEAD_MAX || need < n ? n : need;
    n = n > file_nbytes ? (size_t)file_nbytes : n;
    *head = malloc(n);
    if (*head == NULL) {
        return ndi_fail_nomem(n, "an npy header");
    }
    *nbytes = n;
    rc = ndi_os_pread(fd, *head, n, 0);
    return rc < 0 ? ndi_fail_errno(-rc, "read '%s'", what) : 0;
}

int
ndi_npy_read(struct ndi_npy_info *out, int fd, const char *what)
{
    unsigned char *head = NULL;
    uint64_t file_nbytes;
    size_t nbytes = 0;
    struct stat st;
    int rc;

    *out = (struct ndi_npy_info){0};
    rc = ndi_os_fstat(fd, &st);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "stat '%s'", what);
    }
    if (!S_ISREG(st.st_mode)) {
        return ndi_fail(NDS_EINVAL, "'%s' is no regular file", what);
    }
    file_nbytes = (uint64_t)st.st_size;
    rc = read_head(&head, &nbytes, fd, file_nbytes, what);
    if (rc == 0) {
        rc = ndi_npy_parse(out, head, nbytes);
        if (rc < 0) {
            ndi_fail_more(rc, "in file '%s'", what);
        }
    }
    free(head);
    if (rc == 0 && (out->data_off > file_nbytes ||
                    out->nbytes > file_nbytes - out->data_off)) {
        rc = ndi_fail(NDS_EFORMAT, "'%s': mmap length is greater than file "
                      "size: %llu bytes of data from %llu on, the file has "
                      "%llu", what, (unsigned long long)out->nbytes,
                      (unsigned long long)out->data_off,
                      (unsigned long long)file_nbytes);
        ndi_npy_info_fini(out);
    }
    return rc;
}
