/* SPDX-License-Identifier: MIT */
/*
 * npy_header.h - the head of a .npy file as bytes
 *
 * A head is magic, version, length and a Python dict literal; the data follow
 * it. Reading takes whatever any NumPy ever wrote and refuses the rest with
 * NDS_EFORMAT and the reason. Nothing here trusts its bytes: they come from
 * files that others write.
 */
#ifndef NDI_NPY_HEADER_H
#define NDI_NPY_HEADER_H

#include <base/buf.h>
#include <ndshare/view.h>

#define NDI_NPY_HEAD_MIN 12          /* these say how long the head is */
#define NDI_NPY_HEAD_MAX (1u << 20)  /* longer ones are refused */

struct ndi_npy_info {
    const nds_dtype *dtype; /* counted; ndi_npy_info_fini */
    int ndim;
    int64_t shape[NDS_MAX_NDIM]; /* product * itemsize fits int64 */
    char order;                  /* 'C' or 'F' */
    uint64_t data_off;           /* bytes from the magic to element 0 */
    uint64_t nbytes;             /* of data */
};

/* Bytes of the whole head, from its first NDI_NPY_HEAD_MIN (a v1 head of
 * fewer cannot exist); 0 if they are no head at all. */
size_t ndi_npy_head_need(const void *head, size_t nbytes);

/* `nbytes` are available at `head`; what follows the head is not looked at.
 * On failure *out is zeroed: ndi_npy_info_fini has nothing to do. */
int ndi_npy_parse(struct ndi_npy_info *out, const void *head, size_t nbytes);

/*
 * Appends a head to `out`. data_off 0 pads as NumPy does (1..64 spaces, to a
 * multiple of 64); else data start exactly there, NDS_ELIMIT if the head is
 * longer. Version 1 where it fits, then 2, then 3 (names beyond latin-1).
 * NDS_ENOTSUP for records with overlapping or out-of-order fields.
 */
int ndi_npy_format(struct ndi_buf *out, const nds_dtype *dtype, int ndim,
                   const int64_t *shape, char order, uint64_t data_off);

void ndi_npy_info_fini(struct ndi_npy_info *info);

/* ---- npy.c --------------------------------------------------------------- */

/* Reads and checks the head of the file and that its data are all there:
 * NDS_EFORMAT "mmap length is greater than file size" if not. `what` names
 * the file in messages. The offset of fd is left alone. */
int ndi_npy_read(struct ndi_npy_info *out, int fd, const char *what);

#endif
