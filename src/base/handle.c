/* SPDX-License-Identifier: MIT */
/*
 * handle.c - one handle as a parcel, for roads that are not ours
 *
 * A parcel for the open road begins with a word that names the format and with
 * its kind, and must be used up by its carrier to the last byte and
 * descriptor: what is unpacked may come from anybody.
 */
#include <base/carry.h>
#include <base/fail.h>
#include <ndshare/handle.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARCEL_MAGIC 0x316572616873646e /* "ndshare1", little endian */

static const struct ndi_carrier *
find(const char *kind)
{
    const struct ndi_carrier *carrier = ndi_carrier_find(kind);

    if (carrier == NULL) {
        ndi_fail(NDS_EKEY, "no kind of handle is called '%s'", kind);
    }
    return carrier;
}

static int
pack(const struct ndi_carrier *carrier, void *handle, struct ndi_parcel *p)
{
    int rc;

    ndi_parcel_add_u64(p, PARCEL_MAGIC);
    ndi_parcel_add_str(p, carrier->kind);
    rc = carrier->pack(handle, p);
    if (rc == 0) {
        rc = ndi_parcel_ok(p);
    }
    if (rc == 0 && p->nfds > NDS_HANDLE_FDS) {
        rc = ndi_fail(NDS_ELIMIT, "a handle with %d descriptors, %d are the "
                      "most", p->nfds, NDS_HANDLE_FDS);
    }
    return rc;
}

int
nds_handle_pack(const char *kind, void *handle, void **bytes, size_t *nbytes,
                int *fds, int *nfds)
{
    const struct ndi_carrier *carrier = find(kind);
    struct ndi_parcel p = {.nfds = 0};
    int rc;

    *bytes = NULL;
    *nbytes = 0;
    *nfds = 0;
    if (carrier == NULL) {
        return NDS_EKEY;
    }
    if (handle == NULL) {
        return ndi_fail(NDS_EINVAL, "no %s to pack", kind);
    }
    rc = pack(carrier, handle, &p);
    if (rc == 0) {
        memcpy(fds, p.fds, (size_t)p.nfds * sizeof *fds);
        *nfds = p.nfds;
        *nbytes = p.bytes.nbytes;
        *bytes = p.bytes.data;
        p.bytes.data = NULL;
        p.fd_at = p.nfds; // the caller's now
    }
    ndi_parcel_fini(&p);
    return rc;
}

static int
unpack(const struct ndi_carrier *carrier, struct ndi_parcel *p, void **handle)
{
    uint64_t magic = ndi_parcel_u64(p);
    const char *kind = ndi_parcel_str(p);
    int rc = ndi_parcel_ok(p);

    if (rc < 0) {
        return rc;
    }
    if (magic != PARCEL_MAGIC) {
        return ndi_fail(NDS_EPROTO, "not a packed handle of this version");
    }
    if (strcmp(kind, carrier->kind) != 0) {
        return ndi_fail(NDS_EPROTO, "a packed %s where a %s is wanted", kind,
                        carrier->kind);
    }
    rc = carrier->unpack(p, handle);
    if (rc == 0 && (p->at != p->bytes.nbytes || p->fd_at != p->nfds)) {
        carrier->close(*handle);
        rc = ndi_fail(NDS_EPROTO, "a packed %s with %zu bytes and %d "
                      "descriptors too many", kind, p->bytes.nbytes - p->at,
                      p->nfds - p->fd_at);
    }
    return rc;
}

int
nds_handle_unpack(const char *kind, const void *bytes, size_t nbytes,
                  const int *fds, int nfds, void **handle)
{
    const struct ndi_carrier *carrier = find(kind);
    struct ndi_parcel p = {.nfds = 0};
    int rc = carrier == NULL ? NDS_EKEY : 0;

    *handle = NULL;
    for (int i = 0; i < nfds; i++) {
        if (p.nfds < NDI_PARCEL_FDS) {
            ndi_parcel_add_fd(&p, fds[i]); // closed with the parcel
        } else {
            p.bad = true;
            close(fds[i]);
        }
    }
    ndi_buf_add(&p.bytes, bytes, nbytes);
    if (rc == 0) {
        rc = unpack(carrier, &p, handle);
    }
    if (rc < 0) {
        *handle = NULL;
    }
    ndi_parcel_fini(&p);
    return rc;
}
