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
    int depth; /* records and sub-arrays: one more than their deepest part */
};

#define NDI_DTYPE_MAX_DEPTH 32
#define NDI_DTYPE_MAX_NBYTES INT32_MAX /* as NumPy: itemsize is a C int */

/*
 * Makers. What is handed in is copied or counted; the caller keeps its own.
 * Each checks its numbers and fails with NDS_EDTYPE.
 */

/* A number (itemsize ignored: the type's own), or S, U, V of itemsize bytes. */
int ndi_dtype_new_plain(const nds_dtype **out, enum nds_type type,
                        int64_t itemsize, bool swapped);
int ndi_dtype_new_time(const nds_dtype **out, enum nds_type type,
                       enum ndi_time_unit unit, int32_t unit_count,
                       bool swapped);
/* Names must be unique and not empty. itemsize < 0: up to the last field's end,
 * rounded up to the alignment if `aligned`. */
int ndi_dtype_new_record(const nds_dtype **out, int64_t nfields,
                         const struct ndi_field *fields, int64_t itemsize,
                         bool aligned);
/* ndim 0 gives base itself; sub-arrays of sub-arrays become one. */
int ndi_dtype_new_subarray(const nds_dtype **out, const nds_dtype *base,
                           int ndim, const int64_t *shape);

/* A record, also one without fields. */
static inline bool
ndi_dtype_is_record(const nds_dtype *dt)
{
    return dt->fields != NULL;
}

/* Bytes that an order swap reverses as one: half of a complex number, a
 * character of U; 1 where order means nothing. */
int64_t ndi_dtype_swap_unit(const nds_dtype *dt);

/* "us"; "generic" for none. */
const char *ndi_time_unit_name(enum ndi_time_unit unit);
/* Reads "us", "25us", "D/2", without brackets; generic for "generic". */
bool ndi_time_unit_parse(const char *text, size_t nbytes,
                         enum ndi_time_unit *unit, int32_t *count);

struct ndi_lit;
struct ndi_buf;
/* From a text that is no literal: "<f8", "float64", "f4, (2,3)i8". */
int ndi_dtype_from_word(const nds_dtype **out, const char *s, size_t n,
                        int code);
/* From a literal that stood in a text; code: NDS_EDTYPE or NDS_EFORMAT. */
int ndi_dtype_from_lit(const nds_dtype **out, const struct ndi_lit *lit,
                       int code);

/* What NumPy puts into repr texts: "'<f8'", "[('a', '<i4')]", "'?'" */
void ndi_dtype_add_construction(struct ndi_buf *b, const nds_dtype *dt,
                                bool include_align);
/* nds_dtype_str and nds_dtype_name, appended. */
void ndi_dtype_add_str(struct ndi_buf *b, const nds_dtype *dt);
void ndi_dtype_add_name(struct ndi_buf *b, const nds_dtype *dt);
/* A UTF-8 text as Python's repr shows it, quotes included. */
void ndi_add_quoted(struct ndi_buf *b, const char *text);
/* Can .npy say it: fields in order, none overlapping another? */
bool ndi_dtype_has_descr(const nds_dtype *dt);

#endif
