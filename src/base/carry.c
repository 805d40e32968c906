/* SPDX-License-Identifier: MIT */
/* carry.c - parcels and the list of carriers */
#include <base/carry.h>

#include <base/checked.h>
#include <base/fail.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ndi_carrier *carriers; /* written before main only */

void
ndi_carrier_register(struct ndi_carrier *c)
{
    c->next = carriers;
    carriers = c;
}

const struct ndi_carrier *
ndi_carrier_find(const char *kind)
{
    for (const struct ndi_carrier *c = carriers; c != NULL; c = c->next) {
        if (strcmp(c->kind, kind) == 0) {
            return c;
        }
    }
    return NULL;
}

void
ndi_parcel_fini(struct ndi_parcel *p)
{
    for (int i = p->fd_at; i < p->nfds; i++) {
        close(p->fds[i]);
    }
    ndi_buf_fini(&p->bytes);
    p->nfds = p->fd_at = 0;
    p->at = 0;
}

struct ndi_parcel *
ndi_parcel_new(void)
{
    struct ndi_parcel *p = calloc(1, sizeof *p);

    if (p == NULL) {
        ndi_fail_nomem(sizeof *p, "a parcel");
    }
    return p;
}

void
ndi_parcel_free(struct ndi_parcel *p)
{
    if (p != NULL) {
        ndi_parcel_fini(p);
        free(p);
    }
}

void
ndi_parcel_add_u64(struct ndi_parcel *p, uint64_t value)
{
    ndi_buf_add(&p->bytes, &value, sizeof value);
}

void
ndi_parcel_add_bytes(struct ndi_parcel *p, const void *data, size_t nbytes)
{
    ndi_parcel_add_u64(p, nbytes);
    ndi_buf_add(&p->bytes, data, nbytes);
    ndi_buf_add_char(&p->bytes, '\0');
}

void
ndi_parcel_add_str(struct ndi_parcel *p, const char *text)
{
    ndi_parcel_add_bytes(p, text, strlen(text));
}

void
ndi_parcel_add_fd(struct ndi_parcel *p, int fd)
{
    if (fd < 0 || p->nfds == NDI_PARCEL_FDS) {
        if (fd >= 0) {
            close(fd);
        }
        p->bad = true;
        return;
    }
    p->fds[p->nfds++] = fd;
}

uint64_t
ndi_parcel_u64(struct ndi_parcel *p)
{
    uint64_t value = 0;

    if (!ndi_range_fits(p->at, sizeof value, p->bytes.nbytes)) {
        p->bad = true;
        return 0;
    }
    memcpy(&value, p->bytes.data + p->at, sizeof value);
    p->at += sizeof value;
    return value;
}

const void *
ndi_parcel_bytes(struct ndi_parcel *p, size_t *nbytes)
{
    uint64_t n = ndi_parcel_u64(p);
    const unsigned char *data;

    *nbytes = 0;
    if (p->bad || n == UINT64_MAX ||
        !ndi_range_fits(p->at, n + 1, p->bytes.nbytes) ||
        p->bytes.data[p->at + n] != '\0') {
        p->bad = true;
        return "";
    }
    data = p->bytes.data + p->at;
    p->at += n + 1;
    *nbytes = n;
    return data;
}

const char *
ndi_parcel_str(struct ndi_parcel *p)
{
    size_t nbytes;

    return ndi_parcel_bytes(p, &nbytes);
}

int
ndi_parcel_fd(struct ndi_parcel *p)
{
    if (p->fd_at >= p->nfds) {
        p->bad = true;
        return -1;
    }
    return p->fds[p->fd_at++];
}

int
ndi_parcel_ok(const struct ndi_parcel *p)
{
    if (p->bytes.failed) {
        return ndi_fail_nomem(p->bytes.nbytes, "a parcel");
    }
    if (p->bad) {
        return ndi_fail(NDS_EPROTO, "a parcel of %zu bytes and %d descriptors "
                        "is cut short or too large", p->bytes.nbytes, p->nfds);
    }
    return 0;
}
