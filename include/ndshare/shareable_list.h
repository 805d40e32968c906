/* SPDX-License-Identifier: MIT */
/*
 * shareable_list.h - Python's ShareableList
 *
 *     nds_value_parse(&v, "[1, 2.5, None, 'text', b'bytes']");
 *     nds_shareable_list_create(&l, "settings", v, NULL);
 *     nds_shareable_list_set(l, 0, nds_value_int(7));     // takes the value
 *     nds_shareable_list_get(l, -1, &item);               // [caller frees]
 *     nds_shareable_list_close(l);
 *     nds_name_unlink("settings");
 *
 * A fixed number of items in a raw block: ints of 64 bits, floats, bools,
 * None, and texts and bytes that fit the slot their item had at creation (8
 * bytes more than it, rounded down to a multiple of 8). Python attaches it with
 * ShareableList(name="settings"), and we attach Python's.
 *
 * What goes wrong: there is no lock, in Python's neither; two that write one
 * item, or one that reads while another changes its type, need one of their
 * own (sync.h). Python's resource tracker may unlink the name when a program
 * that attached ends: nds_block_check_name(nds_shareable_list_block(l)) says
 * so. Trailing NULs of texts and bytes are not kept. What stands in the memory
 * is checked at every use: NDS_EFORMAT. Handles are MT-handle; a child of fork
 * has the same list.
 */
#ifndef NDSHARE_SHAREABLE_LIST_H
#define NDSHARE_SHAREABLE_LIST_H

#include <ndshare/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nds_shareable_list nds_shareable_list;

typedef struct nds_shareable_list_options {
    size_t size;
    unsigned mode_bits; /* 0: 0600 */
    nds_scope *scope;   /* the name goes with it; or NULL */
    bool python38;      /* for peers with Python 3.8, which lays it out in
                           another way; attach sees which it is */
} nds_shareable_list_options;

/*
 * nds_shareable_list_create - from a list or tuple of plain values
 *
 *   name    NULL: a fresh one, "psm_" and eight digits
 *
 * The name appears when the list is whole.
 *
 * Errors  NDS_EEXIST; NDS_EDTYPE an item of another type; NDS_EOVERFLOW an int
 *         of more than 64 bits; NDS_ENOSPC
 */
NDS_API int
nds_shareable_list_create(nds_shareable_list **out, const char *name,
                          const nds_value *items,
                          const nds_shareable_list_options *opts);
/* NDS_ENOENT; NDS_EFORMAT it is no such list. */
NDS_API int nds_shareable_list_attach(nds_shareable_list **out,
                                      const char *name, enum nds_mode mode);
NDS_API void nds_shareable_list_close(nds_shareable_list *l); /* NULL fine */

NDS_API int64_t nds_shareable_list_count(const nds_shareable_list *l);
NDS_API const char *nds_shareable_list_name(const nds_shareable_list *l);
NDS_API nds_block *nds_shareable_list_block(const nds_shareable_list *l);

/* Negative indices count from the end. NDS_EINDEX; NDS_EFORMAT */
NDS_API int nds_shareable_list_get(const nds_shareable_list *l, int64_t i,
                                   nds_value **out);
/* The value is taken over, also on failure. NDS_EBUFFER "bytes/str item
 * exceeds available storage"; NDS_EDTYPE; NDS_EOVERFLOW; NDS_EREADONLY */
NDS_API int nds_shareable_list_set(nds_shareable_list *l, int64_t i,
                                   nds_value *item);
/* All of them, as a list. */
NDS_API int nds_shareable_list_values(const nds_shareable_list *l,
                                      nds_value **out);
/* The first item that equals, as list.index. NDS_EKEY there is none. */
NDS_API int nds_shareable_list_index(const nds_shareable_list *l,
                                     const nds_value *item, int64_t *i);
/* As Python shows it: "ShareableList([1, 2], name='x')" [caller frees] */
NDS_API int nds_shareable_list_repr(const nds_shareable_list *l, char **text);

#ifdef __cplusplus
}
#endif
#endif
