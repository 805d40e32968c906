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

/*
 * A message of `nbytes` that is still on its way. fill fetches exactly so many
 * bytes; what it returns, if not 0, is what the reading returns. Bytes objects
 * of `direct` and more are fetched into memory that an array then takes over;
 * or, if there are exactly as many as `into` (may be NULL) has, into that: then
 * the result, which may view that memory, must not outlive it. What is behind
 * STOP is not fetched.
 */
struct ndi_source {
    int (*fill)(void *ctx, void *to, size_t nbytes);
    void *ctx;
    uint64_t nbytes;
    void *into;
    size_t into_nbytes;
    size_t chunk;  /* 0: 16 KiB at a time */
    size_t direct; /* 0: 64 KiB */
};
int ndi_pickle_read_from(nds_value **out, const struct ndi_source *source);

/* ---- window.c: what is at hand of a message ---- */
struct ndi_window {
    const unsigned char *data;
    size_t nbytes;
    size_t at;        /* the next byte */
    uint64_t before;  /* bytes of the message before data */
    uint64_t outside; /* bytes that are not here yet */
    const struct ndi_source *source; /* or NULL: all is here */
    unsigned char *buf;
    size_t room;
};
uint64_t ndi_window_left(const struct ndi_window *w);
uint64_t ndi_window_at(const struct ndi_window *w);
/* So many bytes from `at` on, or all that is left, lie in one piece. */
int ndi_window_want(struct ndi_window *w, uint64_t nbytes);
/* The next nbytes, which are not more than are left, to where they stay. */
int ndi_window_copy(struct ndi_window *w, void *to, size_t nbytes);
void ndi_window_fini(struct ndi_window *w);

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
