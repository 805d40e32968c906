/* SPDX-License-Identifier: MIT */
/* name_info.c - what the list of names says about an array */
#include <array/array_impl.h>

#include <mem/names.h>
#include <npy/npy_header.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
describe(const unsigned char *head, size_t nbytes, nds_name_info *out)
{
    struct ndi_npy_info info;
    char *text = NULL;
    int rc = ndi_npy_parse(&info, head, nbytes);

    if (rc < 0) {
        return rc;
    }
    rc = nds_dtype_str(info.dtype, &text);
    if (rc == 0) {
        bool cut = strlen(text) >= sizeof out->dtype;

        snprintf(out->dtype, sizeof out->dtype, "%.*s%s",
                 cut ? (int)sizeof out->dtype - 4 : (int)strlen(text), text,
                 cut ? "..." : "");
        out->ndim = info.ndim;
        memcpy(out->shape, info.shape,
               (size_t)info.ndim * sizeof info.shape[0]);
        out->order = info.order;
        out->nbytes = (int64_t)info.nbytes;
    }
    free(text);
    ndi_npy_info_fini(&info);
    return rc;
}

__attribute__((constructor)) static void
register_description(void)
{
    ndi_names_describe_with(describe);
}
