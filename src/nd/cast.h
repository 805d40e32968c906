/* SPDX-License-Identifier: MIT */
/*
 * cast.h - elements of one dtype as elements of another
 *
 * A caster is chosen once for a pair of dtypes and then run over strided
 * rows. Rules are NumPy's for assignment: numbers convert as C does, text is
 * cut or padded with zeros, records go field by field.
 */
#ifndef NDI_CAST_H
#define NDI_CAST_H

#include <base/attr.h>
#include <ndshare/dtype.h>

struct ndi_cast {
    const nds_dtype *to;   /* lent: must outlive the caster */
    const nds_dtype *from;
    int (*run)(const struct ndi_cast *c, char *dst, int64_t dst_stride,
               const char *src, int64_t src_stride, int64_t count);
    bool same;             /* a plain copy of bytes */
    int64_t num, den;      /* times: value * num / den */
};

/* NDS_ECAST if there is no such conversion. Allocates nothing. */
int ndi_cast_init(struct ndi_cast *c, const nds_dtype *to,
                  const nds_dtype *from);
/* count elements; the rows must not overlap unless they are one and the same.
 * NDS_ECAST for text outside ASCII that S cannot hold. */
int ndi_cast_run(const struct ndi_cast *c, void *dst, int64_t dst_stride,
                 const void *src, int64_t src_stride, int64_t count);
/* One element, any alignment. */
int ndi_cast_one(const nds_dtype *to, void *dst, const nds_dtype *from,
                 const void *src);

/* ---- cast_num.c: numbers, and times as numbers --------------------------- */
int ndi_cast_numbers(const struct ndi_cast *c, char *dst, int64_t dst_stride,
                     const char *src, int64_t src_stride, int64_t count);

/* ---- cast_time.c: units of datetime64 and timedelta64 -------------------- */
int ndi_cast_time_init(struct ndi_cast *c);
/* ---- cast_text.c: S and U ----------------------------------------------- */
int ndi_cast_text(const struct ndi_cast *c, char *dst, int64_t dst_stride,
                  const char *src, int64_t src_stride, int64_t count);

#endif
