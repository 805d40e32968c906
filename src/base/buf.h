/* SPDX-License-Identifier: MIT */
/*
 * buf.h - growable bytes
 *
 * A buffer remembers that memory ran out (`failed`), so a chain of appends
 * needs one check at its end: ndi_buf_ok. All zeros is a valid empty buffer.
 */
#ifndef NDI_BUF_H
#define NDI_BUF_H

#include <base/attr.h>

struct ndi_buf {
    unsigned char *data; /* NUL kept one past the end */
    size_t nbytes;
    size_t room;
    bool failed;
};

void ndi_buf_fini(struct ndi_buf *b);
bool ndi_buf_reserve(struct ndi_buf *b, size_t more);
void ndi_buf_add(struct ndi_buf *b, const void *data, size_t nbytes);
void ndi_buf_add_char(struct ndi_buf *b, char c);
void ndi_buf_add_fill(struct ndi_buf *b, char c, size_t count);
void ndi_buf_add_str(struct ndi_buf *b, const char *text);
void ndi_buf_add_fmt(struct ndi_buf *b, const char *fmt, ...) NDI_PRINTF(2, 3);
/* 0, or NDS_ENOMEM with the record set. */
int ndi_buf_ok(const struct ndi_buf *b);
/* Hands the text over (heap, NUL-terminated); the buffer becomes empty. NULL
 * and NDS_ENOMEM if memory ran out on the way. */
int ndi_buf_steal_text(struct ndi_buf *b, char **text);

#endif
