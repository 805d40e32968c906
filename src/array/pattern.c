/* SPDX-License-Identifier: MIT */
/*
 * pattern.c - the value that a new array begins with
 *
 * Written while the memory is being made, piece by piece and by several
 * threads: a piece that the kernel has just cleared is still in the cache.
 */
#include <array/array_impl.h>

#include <base/fail.h>
#include <nd/spread.h>

#include <stdlib.h>

int
ndi_pattern_init(struct ndi_pattern *p, const nds_dtype *dtype,
                 const nds_scalar *value)
{
    size_t item = (size_t)nds_dtype_itemsize(dtype);
    nds_scalar copy = *value;
    nds_view one, from;
    int rc;

    *p = (struct ndi_pattern){.item = item};
    if (item == 0) {
        return 0;
    }
    p->bytes = calloc(1, item);
    if (p->bytes == NULL) {
        return ndi_fail_nomem(item, "an element");
    }
    rc = nds_view_init(&one, dtype, p->bytes, item, 0, NULL);
    if (rc == 0) {
        nds_scalar_view(&from, &copy);
        rc = nds_assign(&one, &from);
        nds_view_fini(&from);
        nds_view_fini(&one);
    }
    for (size_t i = 0; rc == 0 && i < item; i++) {
        p->any |= p->bytes[i] != 0;
    }
    return rc;
}

void
ndi_pattern_fini(struct ndi_pattern *p)
{
    free(p->bytes);
    p->bytes = NULL;
}

void
ndi_pattern_write(const struct ndi_pattern *p, void *data, uint64_t from,
                  uint64_t to)
{
    if (p->any) { // else: fresh memory is zero already
        ndi_spread(data, from, to, p->bytes, p->item);
    }
}
