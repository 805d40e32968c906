/* SPDX-License-Identifier: MIT */
/*
 * fuzz_npy.c - a .npy file of any bytes: head, view, text, and back again
 *
 * What the parser takes must be an array that lies within the file, prints,
 * and can be written so that reading gives the same dtype, shape and bytes.
 */
#include "fuzz.h"

#include <ndshare/ndshare.h>
#include <npy/npy_header.h>
#include <os/os.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINT_MOST 4096 /* bytes of data that are printed and saved */

static int file = -1;
static char path[64];
static char saved[64];

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_surroundings();
    fuzz_check(ndi_shm_tmpfile(&file, 0600) == 0, "no file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    snprintf(saved, sizeof saved, "%s/saved.npy", ndi_shm_dir());
    return 0;
}

static void
print(const nds_view *v)
{
    char *text = NULL;

    if (nds_view_str(v, NULL, &text) == 0) {
        free(text);
    }
    if (nds_view_repr(v, NULL, &text) == 0) {
        free(text);
    }
    if (nds_view_tolist_str(v, &text) == 0) {
        free(text);
    }
}

/* Head written anew and read again says the same. */
static void
round_trip(const struct ndi_npy_info *info)
{
    struct ndi_npy_info again;
    struct ndi_buf head = {0};
    int rc = ndi_npy_format(&head, info->dtype, info->ndim, info->shape,
                            info->order, 0);

    if (rc == 0) {
        fuzz_check(ndi_npy_parse(&again, head.data, head.nbytes) == 0,
                   "our own head is not read");
        fuzz_check(nds_dtype_equal(info->dtype, again.dtype) &&
                       info->ndim == again.ndim &&
                       memcmp(info->shape, again.shape,
                              (size_t)info->ndim * sizeof info->shape[0]) ==
                           0 &&
                       info->order == again.order &&
                       info->nbytes == again.nbytes,
                   "a head changes when written");
        ndi_npy_info_fini(&again);
    }
    ndi_buf_fini(&head);
}

/* The data of a file survive a save. */
static void
save(const nds_array *a)
{
    const nds_view *v = nds_array_view(a);
    nds_array *b = NULL;

    if (nds_npy_save(v, saved) < 0) {
        return;
    }
    fuzz_check(nds_npy_load(&b, saved) == 0, "our own file is not read");
    fuzz_check(nds_view_nbytes(v) == nds_view_nbytes(nds_array_view(b)) &&
                   memcmp(v->data, nds_array_data(b),
                          (size_t)nds_view_nbytes(v)) == 0,
               "a file changes when saved");
    nds_array_close(b);
}

static void
use_file(const uint8_t *data, size_t nbytes)
{
    nds_array *a = NULL;

    fuzz_check(ndi_os_truncate(file, 0) == 0 &&
                   ndi_os_pwrite(file, data, nbytes, 0) == 0,
               "the file cannot be written");
    if (nds_npy_load(&a, path) == 0) {
        const nds_view *v = nds_array_view(a);

        fuzz_check(nds_view_nbytes(v) <= (int64_t)nbytes,
                   "an array larger than its file");
        if (nds_view_nbytes(v) <= PRINT_MOST && nds_view_count(v) > 0) {
            print(v);
            save(a);
        }
        nds_array_close(a);
    }
    if (nds_npy_map(&a, path, NDS_READ) == 0) {
        const nds_view *v = nds_array_view(a);

        if (nds_view_nbytes(v) <= PRINT_MOST && nds_view_count(v) > 0) {
            print(v); // as the file has it: perhaps not aligned
        }
        nds_array_close(a);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct ndi_npy_info info;

    if (ndi_npy_parse(&info, data, nbytes) < 0) {
        return 0;
    }
    fuzz_check(info.data_off <= nbytes, "data begin beyond the head");
    round_trip(&info);
    if (info.nbytes <= nbytes) {
        use_file(data, nbytes);
    }
    ndi_npy_info_fini(&info);
    return 0;
}
