/* SPDX-License-Identifier: MIT */
/* dtype_impl.h - inside a dtype; immutable once made */
#ifndef NDI_DTYPE_IMPL_H
#define NDI_DTYPE_IMPL_H

#include <base/attr.h>
#include <ndshare/dtype.h>

#include <stdatomic.h>

/* Units of datetime64 and timedelta64, coarse to fine; generic: none given. */
enum ndi_time_unit {
    NDI_UNIT_Y, NDI_UNIT_M, NDI_UNIT_W, NDI_UNIT_D, NDI_UNIT_h, NDI_UNIT_m,
    NDI_UNIT_s, NDI_UNIT_ms, NDI_UNIT_us, NDI_UNIT_ns, NDI_UNIT_ps,
    NDI_UNIT_fs, NDI_UNIT_as, NDI_UNIT_GENERIC
};

struct ndi_field {
    char *name; /* UTF-8 */
    const nds_dtype *dtype; /* counted; a sub-array dtype for ('x', t, shape) */
    int64_t off;            /* bytes into the record */
};

struct nds_dtype {
    _Atomic int32_t refs; /* < 0: static, never counted */
    enum nds_type type;
    char kind;        /* b i u f c S U M m V */
    bool swapped;     /* not in this machine's order */
    bool aligned;     /* a record made with align=True */
    int64_t itemsize; /* bytes; S and V: the length, U: 4 * length */
    int64_t alignment;
    enum ndi_time_unit unit; /* M m */
    int32_t unit_count;      /* M8[25us] -> 25 */
    int64_t nfields;         /* records; 0 else */
    struct ndi_field *fields;
    const nds_dtype *base; /* sub-arrays, else NULL */
    int ndim;
    int64_t *shape;
};

#endif
