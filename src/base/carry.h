/* SPDX-License-Identifier: MIT */
/*
 * carry.h - how handles travel to another process
 *
 * A parcel is bytes and file descriptors: what a spawned child reads at its
 * start, what the forkserver is sent. A carrier packs and unpacks handles of
 * one kind; rooms register theirs before main, so that low rooms (process
 * arguments) carry what high rooms (queues, proxies) make.
 *
 * Descriptors in a parcel being packed are owned by the parcel (add a dup);
 * unpacking takes them out one by one; ndi_parcel_fini closes what is left.
 * Reading past the end marks the parcel bad and gives zeros: check once, with
 * ndi_parcel_ok.
 */
#ifndef NDI_CARRY_H
#define NDI_CARRY_H

#include <base/buf.h>

#define NDI_PARCEL_FDS 250 /* SCM_RIGHTS takes 253 */

struct ndi_parcel {
    struct ndi_buf bytes;
    int fds[NDI_PARCEL_FDS];
    int nfds;
    size_t at;  /* next byte to read */
    int fd_at;  /* next descriptor to take */
    bool bad;
};

void ndi_parcel_fini(struct ndi_parcel *p);
struct ndi_parcel *ndi_parcel_new(void); /* NULL with NDS_ENOMEM recorded */
void ndi_parcel_free(struct ndi_parcel *p); /* NULL fine */
void ndi_parcel_add_u64(struct ndi_parcel *p, uint64_t value);
void ndi_parcel_add_bytes(struct ndi_parcel *p, const void *data,
                          size_t nbytes); /* with its length */
void ndi_parcel_add_str(struct ndi_parcel *p, const char *text);
void ndi_parcel_add_fd(struct ndi_parcel *p, int fd); /* owned by it now */
uint64_t ndi_parcel_u64(struct ndi_parcel *p);
/* Lent from the parcel; NUL one past the end. Never NULL. */
const void *ndi_parcel_bytes(struct ndi_parcel *p, size_t *nbytes);
const char *ndi_parcel_str(struct ndi_parcel *p);
int ndi_parcel_fd(struct ndi_parcel *p); /* the caller's now; -1 if none */
/* 0, or NDS_EPROTO / NDS_ENOMEM with the record set. */
int ndi_parcel_ok(const struct ndi_parcel *p);

struct ndi_carrier {
    const char *kind; /* "queue" */
    /* Another process will unpack what this writes. */
    int (*pack)(void *handle, struct ndi_parcel *p);
    int (*unpack)(struct ndi_parcel *p, void **handle);
    void (*close)(void *handle);
    struct ndi_carrier *next;
};

/* Before main only (constructors); the struct stays the caller's, for ever. */
void ndi_carrier_register(struct ndi_carrier *c);
const struct ndi_carrier *ndi_carrier_find(const char *kind);

#endif
