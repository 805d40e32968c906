/* SPDX-License-Identifier: MIT */
/*
 * value.h - a tree of plain Python values
 *
 *     nds_value *v = nds_value_list();
 *     nds_value_append(v, nds_value_int(7));       // the list owns it now
 *     nds_value_append(v, nds_value_str("abc"));
 *     nds_value_unpack(v, "[is]", &n, &text);      // lends the text
 *     nds_value_free(v);
 *     nds_value_pack(&v, "{s: (ii), s: a}", "size", 640, 480, "frame", array);
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
    NDS_VALUE_TYPE,      /* a class by name, e.g. numpy float64 */
    NDS_VALUE_NAME       /* a function or class of a module: written only */
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
NDS_API nds_value *nds_value_bytearray(const void *data, size_t nbytes);
NDS_API nds_value *nds_value_list(void);
NDS_API nds_value *nds_value_tuple(void);
NDS_API nds_value *nds_value_dict(void);
NDS_API nds_value *nds_value_new_set(bool frozen);
NDS_API nds_value *nds_value_range(int64_t start, int64_t stop, int64_t step);
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
/* A tree of its own; the arrays in it are the same memory. */
NDS_API nds_value *nds_value_copy(const nds_value *v);
/* What Python finds as `name` in `module`, e.g. "math", "sqrt": an argument for
 * a server of Python's, say of Pool.apply. Never read. */
NDS_API nds_value *nds_value_name(const char *module, const char *name);
NDS_API void nds_value_free(nds_value *v); /* NULL is fine */

/*
 * nds_value_pack - a tree from a format and arguments
 *
 *   n  None               i  int           s  const char * (NULL: None)
 *   b  int, as a bool     I  int64_t       s# const char *, size_t
 *   f  double             y  const void *, size_t: bytes
 *   a  nds_array *        d  const nds_dtype *
 *   o  nds_value *, taken over, also on failure if it was reached
 *   (...) tuple    [...] list    {key value ...} dict; , : and blanks are let
 *   through
 *
 * Errors  NDS_EINVAL the format, with the place
 */
NDS_API int nds_value_pack(nds_value **out, const char *format, ...);
/*
 * nds_value_unpack - the other way: the arguments are pointers to where it goes
 *
 * As above, with b a bool *, o a const nds_value **, what s y a o give being
 * lent by v. Keys of a dict are arguments too, as const char *: "{s: i}",
 * "size", &n. "s?" before a value that may be missing, whose place then stays as
 * it was. A * at the end of a tuple or list stands for whatever else is there.
 *
 * Errors  NDS_EINVAL, NDS_EKEY with the place in the format and the value;
 *         what comes before that place has been written
 */
NDS_API int nds_value_unpack(const nds_value *v, const char *format, ...);

/* To a list, tuple or set; to a dict a key, and with the next call its value. */
NDS_API int nds_value_append(nds_value *container, nds_value *item);
NDS_API int nds_value_set(nds_value *dict, const char *key, nds_value *item);
/* With any key; it too is taken over. */
NDS_API int nds_value_set_key(nds_value *dict, nds_value *key,
                              nds_value *item);
/* Before item i of a list; instead of item i; item i, or the entry of a dict
 * that item i belongs to. NDS_EINDEX */
NDS_API int nds_value_insert(nds_value *list, size_t i, nds_value *item);
NDS_API int nds_value_replace(nds_value *container, size_t i,
                              nds_value *item);
NDS_API int nds_value_remove(nds_value *container, size_t i);

NDS_API enum nds_value_kind nds_value_kind(const nds_value *v);
/* Items of a container (for a dict: twice its entries), bytes of a text. */
NDS_API size_t nds_value_count(const nds_value *v);
NDS_API const nds_value *nds_value_item(const nds_value *v, size_t i);
NDS_API const nds_value *nds_value_get(const nds_value *dict, const char *key);
NDS_API const nds_value *nds_value_get_key(const nds_value *dict,
                                           const nds_value *key);
/* for (size_t i = 0; i < nds_value_count(v); i++), with the item or the entry:
 *     NDS_VALUE_EACH (i, item, list) { ... }
 *     NDS_VALUE_EACH_ENTRY (i, key, item, dict) { ... }
 */
#define NDS_VALUE_EACH(i, item, v)                                            \
    for (size_t i = 0; ((item) = nds_value_item((v), i)) != NULL; i++)
#define NDS_VALUE_EACH_ENTRY(i, key, item, v)                                 \
    for (size_t i = 0; ((key) = nds_value_item((v), i)) != NULL &&            \
                       ((item) = nds_value_item((v), i + 1)) != NULL;         \
         i += 2)
/* Python's `in` and ==: of numbers by value, of arrays never. */
NDS_API bool nds_value_contains(const nds_value *container,
                                const nds_value *item);
NDS_API bool nds_value_equal(const nds_value *a, const nds_value *b);
NDS_API bool nds_value_is_none(const nds_value *v);
NDS_API bool nds_value_as_int(const nds_value *v, int64_t *out); /* also NumPy
                                                        ints and bools */
NDS_API bool nds_value_as_float(const nds_value *v, double *out);
NDS_API bool nds_value_as_complex(const nds_value *v, double *re,
                                  double *im); /* any number */
NDS_API bool nds_value_as_bool(const nds_value *v, bool *out);
/* Text of STR, BYTES, BYTEARRAY, EXCEPTION, TYPE, NAME; NUL-terminated beyond it. */
NDS_API const char *nds_value_text(const nds_value *v, size_t *nbytes);
NDS_API nds_array *nds_value_as_array(const nds_value *v); /* lends, or NULL */
NDS_API const nds_dtype *nds_value_as_dtype(const nds_value *v); /* the same */

/* Python literals: "(3, 4)", "'f8'", "[1, 2.5, None]", "{'axis': 0}". */
NDS_API int nds_value_parse(nds_value **out, const char *text);
/* What stands between the parentheses of a call, "(3, 4), dtype='f4'": a tuple
 * and a dict [caller frees both]. */
NDS_API int nds_value_parse_args(nds_value **args, nds_value **kwds,
                                 const char *text);
/* A pickle that every Python loads, of protocol 4 or 5 (0); and the value of
 * one of protocol 2 to 5, read without running anything: NDS_EREFUSED names
 * what is not let in. [caller frees] */
NDS_API int nds_value_dumps(const nds_value *v, int protocol, void **data,
                            size_t *nbytes);
NDS_API int nds_value_loads(nds_value **out, const void *data,
                            size_t nbytes);
/* Python's repr [caller frees] */
NDS_API int nds_value_repr(const nds_value *v, char **text);

#ifdef __cplusplus
}
#endif
#endif
