/* SPDX-License-Identifier: MIT */
/*
 * value.h - a tree of plain Python values
 *
 *     nds_value *v = nds_value_list();
 *     nds_value_append(v, nds_value_int(7));       // the list owns it now
 *     nds_value_append(v, nds_value_str("abc"));
 *     nds_value_free(v);
 *
 * What managers and connections carry. Constructors return NULL when memory
 * is out; adding NULL to a container gives NDS_ENOMEM, so a chain of calls
 * needs one check at its end. A container owns its items: adding takes the
 * item over, and frees it if it cannot be added.
 *
 * What goes wrong: not MT-safe; a value belongs to one thread at a time. A
 * container must not come to hold itself. Reading Python literals and pickles
 * refuses what nests deeper than 200 or holds itself; NDS_ELIMIT says so.
 */
#ifndef NDSHARE_VALUE_H
#define NDSHARE_VALUE_H

#include <ndshare/array.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_value nds_value;

enum nds_value_kind {
    NDS_VALUE_NONE,
    NDS_VALUE_BOOL,
    NDS_VALUE_INT,    /* fits int64 */
    NDS_VALUE_BIGINT, /* any size: as little-endian two's complement bytes */
    NDS_VALUE_FLOAT,
    NDS_VALUE_COMPLEX,
    NDS_VALUE_STR, /* UTF-8; lone surrogates as their 3-byte form */
    NDS_VALUE_BYTES,
    NDS_VALUE_BYTEARRAY,
    NDS_VALUE_LIST,
    NDS_VALUE_TUPLE,
    NDS_VALUE_DICT, /* item 2i is a key, 2i+1 its value */
    NDS_VALUE_SET,
    NDS_VALUE_FROZENSET,
    NDS_VALUE_SLICE, /* three items */
    NDS_VALUE_RANGE, /* three items */
    NDS_VALUE_ELLIPSIS,
    NDS_VALUE_NOTIMPLEMENTED,
    NDS_VALUE_ARRAY,
    NDS_VALUE_SCALAR, /* a NumPy scalar: a 0-d array */
    NDS_VALUE_DTYPE,
    NDS_VALUE_EXCEPTION, /* text is the class, items are its args */
    NDS_VALUE_TOKEN,     /* manager token: typeid, address, id */
    NDS_VALUE_PROXY,     /* a pickled proxy: token and keywords */
    NDS_VALUE_TYPE       /* a class by name, e.g. numpy float64 */
};

NDS_API nds_value *nds_value_none(void);
NDS_API nds_value *nds_value_bool(bool value);
NDS_API nds_value *nds_value_int(int64_t value);
NDS_API nds_value *nds_value_uint(uint64_t value);
NDS_API nds_value *nds_value_float(double value);
NDS_API nds_value *nds_value_complex(double re, double im);
NDS_API nds_value *nds_value_str(const char *text);
NDS_API nds_value *nds_value_strn(const char *text, size_t nbytes);
NDS_API nds_value *nds_value_bytes(const void *data, size_t nbytes);
NDS_API nds_value *nds_value_list(void);
NDS_API nds_value *nds_value_tuple(void);
NDS_API nds_value *nds_value_dict(void);
/* slice(start, stop, step); NDS_INDEX_MISSING stands for None */
NDS_API nds_value *nds_value_slice(int64_t start, int64_t stop, int64_t step);
NDS_API nds_value *nds_value_ellipsis(void);
/* takes a handle of its own */
NDS_API nds_value *nds_value_array(nds_array *a);
NDS_API nds_value *nds_value_scalar(const nds_scalar *s);
NDS_API nds_value *nds_value_dtype(const nds_dtype *dt);
/* A built-in Python exception, e.g. "ValueError"; another name becomes
 * RuntimeError. message NULL: no arguments. */
NDS_API nds_value *nds_value_exception(const char *name, const char *message);
NDS_API void nds_value_free(nds_value *v); /* NULL is fine */

NDS_API int nds_value_append(nds_value *container, nds_value *item);
NDS_API int nds_value_set(nds_value *dict, const char *key, nds_value *item);

NDS_API enum nds_value_kind nds_value_kind(const nds_value *v);
/* Items of a container (for a dict: twice its entries), bytes of a text. */
NDS_API size_t nds_value_count(const nds_value *v);
NDS_API const nds_value *nds_value_item(const nds_value *v, size_t i);
NDS_API const nds_value *nds_value_get(const nds_value *dict, const char *key);
NDS_API bool nds_value_as_int(const nds_value *v, int64_t *out); /* also NumPy
                                                        ints and bools */
NDS_API bool nds_value_as_float(const nds_value *v, double *out);
NDS_API bool nds_value_as_bool(const nds_value *v, bool *out);
/* Text of STR, BYTES, BYTEARRAY, EXCEPTION, TYPE; NUL-terminated beyond it. */
NDS_API const char *nds_value_text(const nds_value *v, size_t *nbytes);
NDS_API nds_array *nds_value_as_array(const nds_value *v); /* lends, or NULL */
NDS_API const nds_dtype *nds_value_as_dtype(const nds_value *v); /* the same */

/* Python literals: "(3, 4)", "'f8'", "[1, 2.5, None]", "{'axis': 0}". */
NDS_API int nds_value_parse(nds_value **out, const char *text);
/* What stands between the parentheses of a call, "(3, 4), dtype='f4'": a tuple
 * and a dict [caller frees both]. */
NDS_API int nds_value_parse_args(nds_value **args, nds_value **kwds,
                                 const char *text);
/* Python's repr [caller frees] */
NDS_API int nds_value_repr(const nds_value *v, char **text);

#ifdef __cplusplus
}
#endif
#endif
