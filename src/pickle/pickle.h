/* SPDX-License-Identifier: MIT */
/*
 * pickle.h - values to and from Python's pickles
 *
 * Reading never runs anything: a fixed list of names, everything else refused
 * by name, every size checked before memory is taken. Writing gives the
 * canonical form that every CPython from 3.8 and every NumPy loads; large
 * array data stays where it is and is written from there.
 */
#ifndef NDI_PICKLE_H
#define NDI_PICKLE_H

#include <pickle/value_impl.h>

#define NDI_PICKLE_DEPTH 200           /* containers within containers */
#define NDI_PICKLE_VALUES (1u << 24)   /* in one message */
#define NDI_PICKLE_MEMO (1u << 20)     /* memo entries */
#define NDI_PICKLE_DIGITS (1u << 20)   /* bytes of one integer */
#define NDI_PICKLE_WEIGHT (1u << 26)   /* values, shared ones counted anew */
#define NDI_PICKLE_INLINE 4096 /* array bytes that are copied, not pointed at */

/* Bytes after STOP are ignored, as Python does. NDS_EFORMAT malformed,
 * NDS_EREFUSED a name, opcode or dtype that is not let in, NDS_ELIMIT. */
int ndi_pickle_read(nds_value **out, const void *data, size_t nbytes);

/* A pickle as pieces: runs of `bytes` with array memory between them. */
struct ndi_pickle_gap {
    size_t at; /* the piece comes before byte `at` of bytes */
    const void *data;
    size_t nbytes;
    nds_array *keep; /* a handle that keeps data alive */
};

struct ndi_pickle {
    struct ndi_buf bytes;
    struct ndi_pickle_gap *gaps;
    size_t ngaps;
    size_t room;
};

/* protocol 5, or 4 for peers that know no more. All zeros is empty. */
int ndi_pickle_write(struct ndi_pickle *p, const nds_value *v, int protocol);
size_t ndi_pickle_nbytes(const struct ndi_pickle *p);
/* The pieces as a heap vector whose first entry is left for the caller's
 * header [caller frees]. */
struct iovec;
int ndi_pickle_pieces(const struct ndi_pickle *p, struct iovec **iov,
                      int *count);
void ndi_pickle_fini(struct ndi_pickle *p);

/* ---- reducers.c, for pread.c ---- */
int ndi_reduce(const struct ndi_symbol *s, const nds_value *args,
               nds_value **out);
/* Applies a BUILD state to a value in place. */
int ndi_build(nds_value *target, const nds_value *state);
/* ---- reduce_array.c ---- */
int ndi_reduce_array(const struct ndi_symbol *s, const nds_value *args,
                     nds_value **out);
int ndi_build_array(nds_value *target, const nds_value *state);
int ndi_build_dtype(nds_value *target, const nds_value *state);

#endif
