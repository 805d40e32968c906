/* SPDX-License-Identifier: MIT */
/*
 * dtype.h - what one element is
 *
 *     const nds_dtype *dt;
 *     nds_dtype_parse(&dt, "[('x', '<f4'), ('id', '|S3')]");
 *     printf("%lld bytes\n", (long long)nds_dtype_itemsize(dt));
 *     nds_dtype_put(dt);
 *
 * A dtype is immutable and counted. The built-in ones (NDS_FLOAT64, ...) are
 * static: get and put on them do nothing. Every call that stores a dtype
 * takes its own count; accessors lend.
 *
 * What goes wrong: a dtype is memory of this process only; across processes
 * it travels as its text (nds_dtype_str). MT-safe throughout.
 */
#ifndef NDSHARE_DTYPE_H
#define NDSHARE_DTYPE_H

#include <ndshare/err.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_dtype nds_dtype;

/* Numbers are stable: they may be stored. */
enum nds_type {
    NDS_TYPE_BOOL = 1,
    NDS_TYPE_INT8,
    NDS_TYPE_UINT8,
    NDS_TYPE_INT16,
    NDS_TYPE_UINT16,
    NDS_TYPE_INT32,
    NDS_TYPE_UINT32,
    NDS_TYPE_INT64,
    NDS_TYPE_UINT64,
    NDS_TYPE_FLOAT16,
    NDS_TYPE_FLOAT32,
    NDS_TYPE_FLOAT64,
    NDS_TYPE_LONGDOUBLE, /* x87 on x86-64, itemsize 16, NumPy's float128 */
    NDS_TYPE_COMPLEX64,
    NDS_TYPE_COMPLEX128,
    NDS_TYPE_BYTES,     /* S: fixed bytes */
    NDS_TYPE_STR,       /* U: fixed UCS-4 */
    NDS_TYPE_DATETIME,  /* M */
    NDS_TYPE_TIMEDELTA, /* m */
    NDS_TYPE_VOID,      /* V: raw bytes, a record, or a sub-array */
    NDS_TYPE_COUNT
};

/* Native-order built-in of a numeric type (BOOL .. COMPLEX128), else NULL. */
NDS_API const nds_dtype *nds_dtype_builtin(enum nds_type type);

#define NDS_BOOL nds_dtype_builtin(NDS_TYPE_BOOL)
#define NDS_INT8 nds_dtype_builtin(NDS_TYPE_INT8)
#define NDS_UINT8 nds_dtype_builtin(NDS_TYPE_UINT8)
#define NDS_INT16 nds_dtype_builtin(NDS_TYPE_INT16)
#define NDS_UINT16 nds_dtype_builtin(NDS_TYPE_UINT16)
#define NDS_INT32 nds_dtype_builtin(NDS_TYPE_INT32)
#define NDS_UINT32 nds_dtype_builtin(NDS_TYPE_UINT32)
#define NDS_INT64 nds_dtype_builtin(NDS_TYPE_INT64)
#define NDS_UINT64 nds_dtype_builtin(NDS_TYPE_UINT64)
#define NDS_FLOAT16 nds_dtype_builtin(NDS_TYPE_FLOAT16)
#define NDS_FLOAT32 nds_dtype_builtin(NDS_TYPE_FLOAT32)
#define NDS_FLOAT64 nds_dtype_builtin(NDS_TYPE_FLOAT64)
#define NDS_LONGDOUBLE nds_dtype_builtin(NDS_TYPE_LONGDOUBLE)
#define NDS_COMPLEX64 nds_dtype_builtin(NDS_TYPE_COMPLEX64)
#define NDS_COMPLEX128 nds_dtype_builtin(NDS_TYPE_COMPLEX128)

/*
 * nds_dtype_parse - a dtype from NumPy's spelling
 *
 *   text  "<f8" "f8" "float64" "d" "|S5" "U3" "<M8[25us]" "V7" "?" ">i2",
 *         a list "[('a', '<i4'), ('b', '<f8', (2, 3))]", nested, or a dict
 *         "{'names': [...], 'formats': [...], 'offsets': [...], 'itemsize': n}"
 *   out   counted dtype                                    [caller puts]
 *
 * Errors  NDS_EDTYPE with what was not understood and where; objects ('O')
 *         and titles are refused by name
 */
NDS_API int nds_dtype_parse(const nds_dtype **out, const char *text);

NDS_API const nds_dtype *nds_dtype_get(const nds_dtype *dt);
NDS_API void nds_dtype_put(const nds_dtype *dt);

/* Accessors. The dtype must outlive what they lend. */
NDS_API enum nds_type nds_dtype_type(const nds_dtype *dt);
NDS_API char nds_dtype_kind(const nds_dtype *dt); /* b i u f c S U M m V */
NDS_API int64_t nds_dtype_itemsize(const nds_dtype *dt); /* bytes */
NDS_API int64_t nds_dtype_alignment(const nds_dtype *dt);
NDS_API bool nds_dtype_is_native(const nds_dtype *dt);
NDS_API bool nds_dtype_equal(const nds_dtype *a, const nds_dtype *b);

/* Records: how many fields (0 for all else), and one of them. */
NDS_API int64_t nds_dtype_field_count(const nds_dtype *dt);
NDS_API int nds_dtype_field(const nds_dtype *dt, int64_t i, const char **name,
                            const nds_dtype **type, int64_t *off);

/* Sub-array fields, e.g. ('x', '<f8', (2, 3)): base NULL for all else. */
NDS_API const nds_dtype *nds_dtype_base(const nds_dtype *dt, int *ndim,
                                        const int64_t **shape);

/*
 * nds_dtype_str - the canonical text: what NumPy's dtype.str gives for simple
 * types, the .npy descr (a list with '' padding fields, or the dict form where
 * a list cannot say it) for records. nds_dtype_parse reads it back.
 *
 *   text  heap string                                      [caller frees]
 */
NDS_API int nds_dtype_str(const nds_dtype *dt, char **text);

/* "float64", "int32", "bool", "<U3", as NumPy's str(dtype) [caller frees] */
NDS_API int nds_dtype_name(const nds_dtype *dt, char **text);

/* The same dtype in the given order, '<' or '>' (or '=' for native). */
NDS_API int nds_dtype_with_order(const nds_dtype **out, const nds_dtype *dt,
                                 char order);

#ifdef __cplusplus
}
#endif
#endif
