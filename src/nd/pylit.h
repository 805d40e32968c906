/* SPDX-License-Identifier: MIT */
/*
 * pylit.h - Python literals as a tree: what dtype texts and .npy heads hold
 *
 * Strings, integers, True, False, None, lists, tuples and dicts. Bounded in
 * size and depth, so any bytes may be fed in.
 */
#ifndef NDI_PYLIT_H
#define NDI_PYLIT_H

#include <base/attr.h>

#define NDI_LIT_MAX_NBYTES (1u << 20)
#define NDI_LIT_MAX_DEPTH 64

enum ndi_lit_kind {
    NDI_LIT_NONE,
    NDI_LIT_BOOL,
    NDI_LIT_INT,
    NDI_LIT_STR,
    NDI_LIT_LIST,
    NDI_LIT_TUPLE,
    NDI_LIT_DICT /* item 2i is a key, 2i+1 its value */
};

struct ndi_lit {
    enum ndi_lit_kind kind;
    size_t at;    /* where it begins, bytes into the text */
    int64_t num;  /* BOOL, INT */
    char *text;   /* STR: UTF-8, NUL one past the end */
    size_t count; /* STR: bytes; LIST, TUPLE, DICT: items */
    struct ndi_lit *items;
};

struct ndi_lit_options {
    int code;         /* what to fail with: NDS_EDTYPE, NDS_EFORMAT */
    const char *what; /* begins messages: "dtype", "npy header" */
    bool latin1;      /* bytes from 0x80 up are latin-1, else UTF-8 */
    bool long_suffix; /* 3L, as Python 2 wrote */
};

/* The whole text is one literal, or it is refused. */
int ndi_lit_parse(struct ndi_lit *out, const char *text, size_t nbytes,
                  const struct ndi_lit_options *opts);
void ndi_lit_fini(struct ndi_lit *lit);

/* "a list", for messages */
const char *ndi_lit_kind_name(enum ndi_lit_kind kind);

#endif
