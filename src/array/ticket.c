/* SPDX-License-Identifier: MIT */
/*
 * ticket.c - an array as a small token
 *
 * A parcel says how the other process reaches the memory and what view of it
 * is meant. Everything that is unpacked is checked against the memory really
 * there: a ticket from a hostile process gives an error, never an access.
 *
 *     u64 how      1 a segment, shared · 2 a segment of its own · 3 a file
 *     fd           (1, 2)     str path, u64 mode, u64 off, u64 nbytes (3)
 *     u64 mode     (1: how the receiver maps it)
 *     geometry     str dtype, u64 ndim, ndim x {u64 shape, u64 stride},
 *                  u64 off (into the body or block), u64 flags
 */
#include <array/array_impl.h>

#include <base/fail.h>
#include <os/os.h>

#include <stdlib.h>
#include <string.h>

enum { HOW_SHARED = 1, HOW_OWN = 2, HOW_FILE = 3 };

/* Where the view's memory starts in this process. */
static const unsigned char *
ticket_base(const nds_array *a)
{
    return a->segment != NULL ? a->segment->body : nds_block_data(a->block);
}

void
ndi_ticket_pack_geometry(const nds_array *a, struct ndi_parcel *p)
{
    const nds_view *v = &a->view;
    char *text = NULL;

    if (nds_dtype_str(v->dtype, &text) < 0) {
        p->bad = true;
        return;
    }
    ndi_parcel_add_str(p, text);
    free(text);
    ndi_parcel_add_u64(p, (uint64_t)v->ndim);
    for (int i = 0; i < v->ndim; i++) {
        ndi_parcel_add_u64(p, (uint64_t)v->shape[i]);
        ndi_parcel_add_u64(p, (uint64_t)v->strides[i]);
    }
    ndi_parcel_add_u64(p, (uint64_t)((const unsigned char *)v->data -
                                     ticket_base(a)));
    ndi_parcel_add_u64(p, v->flags);
}

/* A view over [base, base + nbytes) as the parcel describes it. */
static int
unpack_view(struct ndi_parcel *p, void *base, size_t nbytes, nds_view *v)
{
    const char *text = ndi_parcel_str(p);
    uint64_t ndim = ndi_parcel_u64(p);
    int64_t shape[NDS_MAX_NDIM], strides[NDS_MAX_NDIM];
    const nds_dtype *dtype = NULL;
    uint64_t off, flags;
    int rc;

    if (ndim > NDS_MAX_NDIM) {
        return ndi_fail(NDS_EPROTO, "a ticket of %llu dimensions",
                        (unsigned long long)ndim);
    }
    for (uint64_t i = 0; i < ndim; i++) {
        shape[i] = (int64_t)ndi_parcel_u64(p);
        strides[i] = (int64_t)ndi_parcel_u64(p);
    }
    off = ndi_parcel_u64(p);
    flags = ndi_parcel_u64(p);
    rc = ndi_parcel_ok(p);
    if (rc == 0) {
        rc = nds_dtype_parse(&dtype, text);
    }
    if (rc == 0) {
        rc = off > INT64_MAX
                 ? ndi_fail(NDS_EPROTO, "a ticket beyond its memory")
                 : nds_view_init_strided(v, dtype, base, nbytes, (int64_t)off,
                                         (int)ndim, shape, strides, 0);
    }
    nds_dtype_put(dtype);
    if (rc == 0) {
        v->flags |= (uint32_t)flags & NDS_VIEW_READONLY;
    }
    return rc;
}

int
ndi_ticket_unpack_geometry(struct ndi_parcel *p, struct ndi_segment *s,
                           nds_array **out)
{
    nds_view v;
    int rc = unpack_view(p, s->body, s->body_nbytes, &v);

    return ndi_array_finish_segment(out, s, &v, rc);
}

static int
add_segment(const nds_array *a, uint64_t how, enum nds_mode mode,
            struct ndi_parcel *p)
{
    int fd = -1;
    int rc;

    ndi_segment_lend(a->segment);
    rc = ndi_os_dup(&fd, a->segment->fd);

    NDI_KILL_POINT("ticket.duplicated");
    if (rc < 0) {
        return ndi_fail_errno(-rc, "pass array '%s' on", a->segment->name);
    }
    ndi_parcel_add_u64(p, how);
    ndi_parcel_add_fd(p, fd);
    ndi_parcel_add_u64(p, (uint64_t)mode);
    ndi_parcel_add_str(p, a->segment->name);
    ndi_ticket_pack_geometry(a, p);
    return ndi_parcel_ok(p);
}

/* By value of what can still be written: one copy, into fresh memory that
 * will be the receiver's alone. */
static int
add_copy(const nds_array *a, struct ndi_parcel *p)
{
    nds_array_options opts = {.size = sizeof opts, .reach = NDS_SHAREABLE};
    nds_array *copy = NULL;
    int rc;

    if (!nds_view_is_contiguous(&a->view, 'C') &&
        nds_view_is_contiguous(&a->view, 'F')) {
        opts.order = 'F';
    }
    rc = nds_array_copy(&copy, &a->view, &opts);
    if (rc < 0) {
        return rc;
    }
    ndi_count_copied((uint64_t)nds_view_nbytes(&a->view));
    NDI_KILL_POINT("ticket.copied");
    rc = add_segment(copy, HOW_OWN, NDS_READWRITE, p);
    nds_array_close(copy);
    return rc;
}

static int
add_file(const nds_array *a, struct ndi_parcel *p)
{
    const char *path;
    enum nds_mode mode;
    uint64_t off;

    if (!ndi_block_path(a->block, &path, &mode, &off)) {
        return ndi_fail(NDS_EINVAL, "a heap array cannot be shared with "
                        "another process: make it shareable "
                        "(NDS_SHAREABLE), or pass it by value or moved");
    }
    ndi_parcel_add_u64(p, HOW_FILE);
    ndi_parcel_add_str(p, path);
    // The file exists by now: made anew is only for its maker.
    ndi_parcel_add_u64(p, mode == NDS_CREATE ? NDS_READWRITE : mode);
    ndi_parcel_add_u64(p, off);
    ndi_parcel_add_u64(p, nds_block_nbytes(a->block));
    ndi_ticket_pack_geometry(a, p);
    return ndi_parcel_ok(p);
}

int
ndi_ticket_pack(nds_array *a, enum nds_pass pass, struct ndi_parcel *p)
{
    enum nds_mode mode;

    if (pass == NDS_SHARED && a->segment == NULL) {
        return add_file(a, p);
    }
    if (a->segment == NULL) {
        return add_copy(a, p);
    }
    mode = a->segment->mode == NDS_COPY ? NDS_READ : a->segment->mode;
    switch (pass) {
    case NDS_SHARED:
        return add_segment(a, HOW_SHARED, mode, p);
    case NDS_MOVED:
        // A private copy has pages nobody else can see: those must be copied.
        return a->segment->mode == NDS_COPY
                   ? add_copy(a, p)
                   : add_segment(a, HOW_OWN, mode, p);
    default:
        // Nobody writes a frozen one: the receiver's writes stay its own.
        return ndi_array_is_frozen(a)
                   ? add_segment(a, HOW_OWN, NDS_COPY, p)
                   : add_copy(a, p);
    }
}

static int
unpack_segment(struct ndi_parcel *p, uint64_t how, nds_array **out)
{
    int fd = ndi_parcel_fd(p);
    uint64_t mode = ndi_parcel_u64(p);
    const char *name = ndi_parcel_str(p);
    struct ndi_segment *s = NULL;
    int rc = ndi_parcel_ok(p);

    if (rc == 0 && mode != NDS_READ && mode != NDS_READWRITE &&
        mode != NDS_COPY) {
        rc = ndi_fail(NDS_EPROTO, "a ticket with mode %llu",
                      (unsigned long long)mode);
    }
    if (rc < 0) {
        ndi_os_close(fd);
        return rc;
    }
    rc = ndi_segment_adopt(&s, fd, NDI_KIND_ARRAY, (enum nds_mode)mode);
    NDI_KILL_POINT("ticket.adopted");
    if (rc < 0) {
        return rc;
    }
    if (how == HOW_SHARED && strlen(name) < sizeof s->name) {
        memcpy(s->name, name, strlen(name) + 1);
    }
    rc = ndi_ticket_unpack_geometry(p, s, out);
    if (rc == 0 && how == HOW_OWN && mode != NDS_READ) {
        (*out)->view.flags &= ~(uint32_t)NDS_VIEW_READONLY;
    }
    return rc;
}

static int
unpack_file(struct ndi_parcel *p, nds_array **out)
{
    const char *path = ndi_parcel_str(p);
    uint64_t mode = ndi_parcel_u64(p);
    uint64_t off = ndi_parcel_u64(p);
    uint64_t nbytes = ndi_parcel_u64(p);
    nds_block *b = NULL;
    nds_view v;
    int rc = ndi_parcel_ok(p);

    if (rc == 0 && mode != NDS_READ && mode != NDS_READWRITE &&
        mode != NDS_COPY) {
        rc = ndi_fail(NDS_EPROTO, "a ticket with mode %llu",
                      (unsigned long long)mode);
    }
    if (rc == 0) {
        rc = ndi_block_map_file(&b, path, (enum nds_mode)mode, off, nbytes);
    }
    if (rc < 0) {
        return rc;
    }
    rc = unpack_view(p, nds_block_data(b), nds_block_nbytes(b), &v);
    return ndi_array_finish(out, b, &v, rc);
}

int
ndi_ticket_unpack(struct ndi_parcel *p, nds_array **out)
{
    uint64_t how = ndi_parcel_u64(p);

    *out = NULL;
    switch (how) {
    case HOW_SHARED:
    case HOW_OWN:
        return unpack_segment(p, how, out);
    case HOW_FILE:
        return unpack_file(p, out);
    default:
        return ndi_fail(NDS_EPROTO, "a ticket of no known kind (%llu)",
                        (unsigned long long)how);
    }
}

/* ---- the carrier -------------------------------------------------------- */

static int
carry_pack(void *handle, struct ndi_parcel *p)
{
    return ndi_ticket_pack(handle, NDS_SHARED, p);
}

static int
carry_unpack(struct ndi_parcel *p, void **handle)
{
    nds_array *a = NULL;
    int rc = ndi_ticket_unpack(p, &a);

    *handle = a;
    return rc;
}

static void
carry_close(void *handle)
{
    nds_array_close(handle);
}

static struct ndi_carrier array_carrier = {"array", carry_pack, carry_unpack,
                                           carry_close, NULL};

__attribute__((constructor)) static void
register_array_carrier(void)
{
    ndi_carrier_register(&array_carrier);
}
