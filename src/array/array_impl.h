/* SPDX-License-Identifier: MIT */
/*
 * array_impl.h - inside an array handle, and arrays as small tokens
 */
#ifndef NDI_ARRAY_IMPL_H
#define NDI_ARRAY_IMPL_H

#include <base/carry.h>
#include <base/spare.h>
#include <mem/segment.h>
#include <ndshare/array.h>
#include <os/os.h>

#define NDI_DATA_OFF 4096      /* where the data of a shared array starts ... */
#define NDI_DATA_OFF_LONG 8192 /* ... after a header that is longer */

struct nds_array {
    nds_view view;
    nds_block *block;            /* one count */
    struct ndi_segment *segment; /* lent by the block; NULL for heap, files */
    uint64_t shape_gen;          /* as of the view, for named arrays */
    /* Channels hang their slot here: called once, before the block goes. */
    void (*on_close)(nds_array *a, void *ctx);
    void *close_ctx;
    bool own_file; /* on_close only tells: the memory is nobody else's */
    uint64_t slot; /* channels: which slot, +1; 0 = none */
    uint32_t deliveries;
};

_Static_assert(sizeof(struct nds_array) <= NDI_SPARE_NBYTES, "one piece");

/* nds_array_unlock of who has only read: data_gen stays. */
int ndi_array_unlock_unchanged(nds_array *a);
/* A handle over a block with this view; takes over one count on b (also on
 * failure) and copies the view (its dtype is counted anew). */
int ndi_array_over(nds_array **out, nds_block *b, const nds_view *v);
/* The same for whoever has just made v: made is what that gave, and v is ended
 * here unless it failed. Takes over b, or one count on s. */
int ndi_array_finish(nds_array **out, nds_block *b, nds_view *v, int made);
int ndi_array_finish_segment(nds_array **out, struct ndi_segment *s,
                             nds_view *v, int made);

/* Heap memory of any content for a shape whose bytes, nbytes, are known to be
 * right; order 'C' or 'F'. */
int ndi_array_new_packed(nds_array **out, const nds_dtype *dtype, int ndim,
                         const int64_t *shape, char order, size_t nbytes);
/* The same over the bytes of a block; takes over one count on b, also on
 * failure. */
int ndi_array_over_packed(nds_array **out, nds_block *b,
                          const nds_dtype *dtype, int ndim,
                          const int64_t *shape, char order);

/* A nameless shareable array, of segment kind array, without a .npy header
 * (nds_array_publish writes one). opts: a copy, all of it there. */
int ndi_array_new_shareable(nds_array **out, const nds_dtype *dtype, int ndim,
                            const int64_t *shape,
                            const nds_array_options *opts);

/* ---- pattern.c: one element, all over fresh zero memory ----------------- */
struct ndi_pattern {
    unsigned char *bytes; /* of one element; owned */
    size_t item;
    bool any; /* some byte is not zero */
};
/* value as assignment would convert it: NDS_ECAST. fini in either case. */
int ndi_pattern_init(struct ndi_pattern *p, const nds_dtype *dtype,
                     const nds_scalar *value);
void ndi_pattern_fini(struct ndi_pattern *p);
/* Bytes [from, to) of the elements that begin at data. */
void ndi_pattern_write(const struct ndi_pattern *p, void *data, uint64_t from,
                       uint64_t to);

/* count(shape) * itemsize, checked: NDS_ESHAPE names the shape. */
int ndi_array_nbytes(const nds_dtype *dtype, int ndim, const int64_t *shape,
                     int64_t *nbytes);

/* "(3, 4)" into out, for messages; cut with "..." if long. */
const char *ndi_shape_text(char *out, size_t room, int ndim,
                           const int64_t *shape);

/* May this array cross by reference, because nobody can write it any more
 * through this process? (shareable or named, and frozen) */
bool ndi_array_is_frozen(const nds_array *a);

/* Geometry as bytes: dtype text, ndim, shape, strides, offset into the body.
 * Unpacking checks everything against the segment's size. */
void ndi_ticket_pack_geometry(const nds_array *a, struct ndi_parcel *p);
int ndi_ticket_unpack_geometry(struct ndi_parcel *p, struct ndi_segment *s,
                               nds_array **out); /* takes over a count on s */

/* A whole array as a parcel: shareable and named ones by descriptor, heap ones
 * by descriptor of a fresh nameless copy, files by path and mode.
 * NDS_BY_VALUE copies what somebody could still write. */
int ndi_ticket_pack(nds_array *a, enum nds_pass pass, struct ndi_parcel *p);
int ndi_ticket_unpack(struct ndi_parcel *p, nds_array **out);

/* ---- pin.c: memory kept until who was told of it has it ----------------- */
struct ndi_pin {
    uint64_t serial;       /* what the receiver writes ... */
    struct ndi_procfd ack; /* ... there */
};
/* Keeps the block for hold_ns (NDS_FOREVER: until acknowledged). */
int ndi_pin_add(nds_block *b, int64_t hold_ns, struct ndi_pin *out);
/* In the receiver: tells the sender through its pipe that it has the memory. No
 * failure: what is not told ends with the hold. */
void ndi_pin_acknowledge(const struct ndi_procfd *pipe, uint64_t serial);

#endif
