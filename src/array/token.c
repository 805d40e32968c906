/* SPDX-License-Identifier: MIT */
/*
 * token.c - an array as some 50 bytes that travel through anything
 *
 * Where ticket.c sends descriptors, a token tells where to find one: the pid
 * and number of a descriptor that the sender keeps open (pin.c), and of the
 * pipe in which it wants to hear of the receipt. Everything is checked against
 * the file that is really there, and the segment must have the id that was
 * meant. Numbers are little-endian base 128, signed ones zigzag.
 *
 *     'N' version flags
 *     segment     16 bytes id, dev, ino, pid, number; serial, and unless that
 *                 is 0 ack number, dev, ino; name (NAMED)
 *     file        path, mode, off, nbytes, dev, ino (FILE)
 *     geometry    dtype, ndim, shapes, strides (unless C_ORDER), off
 */
#include <array/array_impl.h>

#include <base/checked.h>
#include <base/fail.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION 1

enum { READONLY = 1, NAMED = 2, C_ORDER = 4, FILE_BY_PATH = 8, KNOWN = 15 };

/* ---- bytes -------------------------------------------------------------- */

static void
put_u64(struct ndi_buf *b, uint64_t n)
{
    while (n >= 128) {
        ndi_buf_add_char(b, (char)(n | 128));
        n >>= 7;
    }
    ndi_buf_add_char(b, (char)n);
}

static void
put_i64(struct ndi_buf *b, int64_t n)
{
    put_u64(b, (uint64_t)n << 1 ^ (uint64_t)(n >> 63));
}

static void
put_text(struct ndi_buf *b, const char *text)
{
    put_u64(b, strlen(text));
    ndi_buf_add_str(b, text);
}

struct reader {
    const unsigned char *at, *end;
    bool bad;
};

static uint64_t
get_u64(struct reader *r)
{
    uint64_t n = 0;

    for (unsigned shift = 0; r->at < r->end && shift < 64; shift += 7) {
        unsigned char c = *r->at++;

        n |= (uint64_t)(c & 127) << shift;
        if (c < 128) {
            return n;
        }
    }
    r->bad = true;
    return 0;
}

static int64_t
get_i64(struct reader *r)
{
    uint64_t n = get_u64(r);

    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

/* [caller frees]; "" and bad if it is not all there. */
static char *
get_text(struct reader *r)
{
    uint64_t n = get_u64(r);
    char *text;

    if (n > (uint64_t)(r->end - r->at) ||
        memchr(r->at, '\0', (size_t)n) != NULL) {
        r->bad = true;
        n = 0;
    }
    text = strndup((const char *)r->at, (size_t)n);
    r->at += n;
    r->bad |= text == NULL;
    return text;
}

/* ---- out ---------------------------------------------------------------- */

static int
put_geometry(struct ndi_buf *b, const nds_view *v, const void *base,
             bool c_order)
{
    char *text = NULL;
    int rc = nds_dtype_str(v->dtype, &text);

    if (rc < 0) {
        return rc;
    }
    put_text(b, text);
    free(text);
    put_u64(b, (uint64_t)v->ndim);
    for (int i = 0; i < v->ndim; i++) {
        put_i64(b, v->shape[i]);
    }
    for (int i = 0; i < v->ndim && !c_order; i++) {
        put_i64(b, v->strides[i]);
    }
    put_i64(b, (const char *)v->data - (const char *)base);
    return 0;
}

static int
refuse_copy(const char *name)
{
    return ndi_fail(NDS_EINVAL, "a token for '%s': it is attached "
                    "copy-on-write, and what was written is here alone", name);
}

static int
put_segment(struct ndi_buf *b, const nds_array *a, int64_t hold_ns)
{
    const struct ndi_segment *s = a->segment;
    struct ndi_pin pin = {0};
    int rc = 0;

    if (s->mode == NDS_COPY) {
        return refuse_copy(s->name);
    }
    if (hold_ns != 0) {
        rc = ndi_pin_add(a->block, hold_ns, &pin);
        if (rc < 0) {
            return rc;
        }
    }
    ndi_segment_lend(a->segment);
    ndi_buf_add(b, s->ctl->header.creator, sizeof s->ctl->header.creator);
    put_u64(b, s->dev);
    put_u64(b, s->ino);
    put_u64(b, (uint64_t)getpid());
    put_u64(b, (uint64_t)s->fd);
    put_u64(b, pin.serial);
    if (pin.serial != 0) {
        put_u64(b, (uint64_t)pin.ack.number);
        put_u64(b, pin.ack.dev);
        put_u64(b, pin.ack.ino);
    }
    if (s->name[0] != '\0') {
        put_text(b, s->name);
    }
    return 0;
}

static int
put_file(struct ndi_buf *b, const nds_array *a)
{
    struct stat st;
    const char *path;
    enum nds_mode mode;
    uint64_t off;

    if (!ndi_block_path(a->block, &path, &mode, &off) ||
        nds_block_reach(a->block) != NDS_FILE) {
        return ndi_fail(NDS_EINVAL, "a token stands for a shareable or named "
                        "array or a file; copy this one into a shareable one");
    }
    if (mode == NDS_COPY) {
        return refuse_copy(path);
    }
    if (stat(path, &st) < 0) {
        return ndi_fail(NDS_ESTALE, "a token for '%s': the path is gone",
                        path);
    }
    put_text(b, path);
    put_u64(b, (uint64_t)(mode == NDS_CREATE ? NDS_READWRITE : mode));
    put_u64(b, off);
    put_u64(b, nds_block_nbytes(a->block));
    put_u64(b, st.st_dev);
    put_u64(b, st.st_ino);
    return 0;
}

int
nds_array_token_export(nds_array *a, int64_t hold_ns, void **token,
                       size_t *nbytes)
{
    const nds_view *v = &a->view;
    bool c_order = nds_view_is_contiguous(v, 'C');
    unsigned flags = c_order ? C_ORDER : 0;
    struct ndi_buf b = {0};
    char *text = NULL;
    int rc;

    *token = NULL;
    *nbytes = 0;
    if (a->segment == NULL) {
        flags |= FILE_BY_PATH;
    } else if (a->segment->name[0] != '\0') {
        flags |= NAMED;
    }
    if ((v->flags & NDS_VIEW_READONLY) != 0 ||
        nds_block_is_readonly(a->block)) {
        flags |= READONLY;
    }
    ndi_buf_add_char(&b, 'N');
    ndi_buf_add_char(&b, VERSION);
    ndi_buf_add_char(&b, (char)flags);
    rc = a->segment == NULL ? put_file(&b, a) : put_segment(&b, a, hold_ns);
    if (rc == 0) {
        rc = put_geometry(&b, v,
                          a->segment != NULL ? (void *)a->segment->body
                                             : nds_block_data(a->block),
                          c_order);
    }
    *nbytes = b.nbytes;
    if (rc == 0) {
        rc = ndi_buf_steal_text(&b, &text);
    }
    ndi_buf_fini(&b);
    *token = text;
    return rc;
}

/* ---- in ----------------------------------------------------------------- */

struct token {
    unsigned flags;
    uint64_t id[2];
    struct ndi_procfd memory, ack;
    uint64_t serial;
    char *name; /* or path */
    uint64_t mode, off, nbytes;
    char *dtype;
    int ndim;
    int64_t shape[NDS_MAX_NDIM], strides[NDS_MAX_NDIM];
    int64_t start;
};

static void
get_place(struct reader *r, struct token *t)
{
    if ((t->flags & FILE_BY_PATH) != 0) {
        t->name = get_text(r);
        t->mode = get_u64(r);
        t->off = get_u64(r);
        t->nbytes = get_u64(r);
        t->memory.dev = get_u64(r);
        t->memory.ino = get_u64(r);
        return;
    }
    if ((size_t)(r->end - r->at) < sizeof t->id) {
        r->bad = true;
        return;
    }
    memcpy(t->id, r->at, sizeof t->id);
    r->at += sizeof t->id;
    t->memory.dev = get_u64(r);
    t->memory.ino = get_u64(r);
    t->memory.pid = (pid_t)get_u64(r);
    t->memory.number = (int)get_u64(r);
    t->serial = get_u64(r);
    if (t->serial != 0) {
        t->ack.pid = t->memory.pid;
        t->ack.number = (int)get_u64(r);
        t->ack.dev = get_u64(r);
        t->ack.ino = get_u64(r);
    }
    if ((t->flags & NAMED) != 0) {
        t->name = get_text(r);
    }
}

static int
get_token(struct token *t, const void *bytes, size_t nbytes)
{
    struct reader r = {bytes, (const unsigned char *)bytes + nbytes, false};
    uint64_t ndim;

    if (nbytes < 3 || r.at[0] != 'N' || r.at[1] != VERSION ||
        (r.at[2] & ~KNOWN) != 0) {
        return ndi_fail(NDS_EFORMAT, "%zu bytes that are no token of an array",
                        nbytes);
    }
    t->flags = r.at[2];
    r.at += 3;
    get_place(&r, t);
    t->dtype = get_text(&r);
    ndim = get_u64(&r);
    r.bad |= ndim > NDS_MAX_NDIM;
    t->ndim = r.bad ? 0 : (int)ndim;
    for (int i = 0; i < t->ndim; i++) {
        t->shape[i] = get_i64(&r);
    }
    for (int i = 0; i < t->ndim && (t->flags & C_ORDER) == 0; i++) {
        t->strides[i] = get_i64(&r);
    }
    t->start = get_i64(&r);
    if (r.bad || r.at != r.end || t->start < 0) {
        return ndi_fail(NDS_EFORMAT, "a token of an array that is damaged");
    }
    return 0;
}

static int
view_over(nds_view *v, const struct token *t, void *base, size_t nbytes)
{
    const nds_dtype *dtype = NULL;
    int rc = nds_dtype_parse(&dtype, t->dtype);

    if (rc == 0) {
        rc = nds_view_init_strided(
            v, dtype, base, nbytes, t->start, t->ndim, t->shape,
            (t->flags & C_ORDER) != 0 ? NULL : t->strides, 'C');
    }
    nds_dtype_put(dtype);
    if (rc == 0 && (t->flags & READONLY) != 0) {
        v->flags |= NDS_VIEW_READONLY;
    }
    return rc;
}

static bool
is_meant(const struct ndi_segment *s, const struct token *t)
{
    return memcmp(s->ctl->header.creator, t->id, sizeof t->id) == 0;
}

/* By its name, if that still means it: NDS_ENOENT, NDS_ESTALE. */
static int
by_name(struct ndi_segment **out, const struct token *t, enum nds_mode mode)
{
    int rc = ndi_segment_attach(out, t->name, NDI_KIND_ARRAY, mode, 0);

    if (rc == 0 && !is_meant(*out, t)) {
        ndi_segment_put(ndi_steal(out));
        rc = ndi_fail(NDS_ESTALE, "receive array '%s': by now the name means "
                      "another one", t->name);
    }
    return rc;
}

static int
by_descriptor(struct ndi_segment **out, const struct token *t,
              enum nds_mode mode)
{
    char text[256];
    int fd = -1;
    int rc = ndi_procfd_open(&fd, &t->memory,
                             mode == NDS_READ ? O_RDONLY : O_RDWR);

    *out = NULL;
    ndi_shape_text(text, sizeof text, t->ndim, t->shape);
    if (rc == -EACCES || rc == -EPERM) {
        return ndi_fail(NDS_EPERM, "receive an array of shape %s, dtype %s: "
                        "process %d, which sent it, is another user's", text,
                        t->dtype, (int)t->memory.pid);
    }
    if (rc == 0) {
        rc = ndi_segment_adopt(out, fd, NDI_KIND_ARRAY, mode);
        if (rc < 0) {
            return rc;
        }
        if (is_meant(*out, t)) {
            return 0;
        }
        ndi_segment_put(ndi_steal(out));
    }
    return ndi_fail(NDS_ENOENT, "receive an array of shape %s, dtype %s%s%s: "
                    "process %d, which sent it, has ended or let go of it",
                    text, t->dtype, t->name != NULL ? ", name " : "",
                    t->name != NULL ? t->name : "", (int)t->memory.pid);
}

static int
open_segment(nds_array **out, const struct token *t)
{
    enum nds_mode mode = (t->flags & READONLY) != 0 ? NDS_READ
                                                    : NDS_READWRITE;
    struct ndi_segment *s = NULL;
    nds_view v;
    int named = NDS_ENOENT;
    int rc;

    if (t->name != NULL) {
        named = by_name(&s, t, mode);
    }
    rc = named;
    if (rc < 0) {
        rc = by_descriptor(&s, t, mode);
        // The sender may hold what has lost its name; else say that.
        if (rc == NDS_ENOENT && named == NDS_ESTALE) {
            rc = ndi_fail(named, "receive array '%s': by now the name means "
                          "another one", t->name);
        }
        if (rc == 0 && t->name != NULL) {
            snprintf(s->name, sizeof s->name, "%s", t->name);
        }
    }
    if (rc < 0) {
        return rc;
    }
    rc = view_over(&v, t, s->body, s->body_nbytes);
    rc = ndi_array_finish_segment(out, s, &v, rc);
    NDI_KILL_POINT("token.attached");
    if (rc == 0 && t->serial != 0) {
        ndi_pin_acknowledge(&t->ack, t->serial);
    }
    return rc;
}

static int
open_file(nds_array **out, const struct token *t)
{
    nds_block *b = NULL;
    struct stat st;
    nds_view v;
    int rc;

    if (t->mode != NDS_READ && t->mode != NDS_READWRITE) {
        return ndi_fail(NDS_EFORMAT, "a token with mode %llu",
                        (unsigned long long)t->mode);
    }
    if (stat(t->name, &st) < 0) {
        return ndi_fail_errno(errno, "receive an array in '%s'", t->name);
    }
    if (st.st_dev != t->memory.dev || st.st_ino != t->memory.ino) {
        return ndi_fail(NDS_ESTALE, "receive an array in '%s': by now that is "
                        "another file", t->name);
    }
    // Mapping to write would make the file longer, for whoever wrote this.
    if (!ndi_range_fits(t->off, t->nbytes, (uint64_t)st.st_size)) {
        return ndi_fail(NDS_ETRUNCATED, "receive an array in '%s': %llu bytes "
                        "at %llu, the file has %lld", t->name,
                        (unsigned long long)t->nbytes,
                        (unsigned long long)t->off, (long long)st.st_size);
    }
    rc = ndi_block_map_file(&b, t->name, (enum nds_mode)t->mode, t->off,
                            t->nbytes);
    if (rc < 0) {
        return rc;
    }
    rc = view_over(&v, t, nds_block_data(b), nds_block_nbytes(b));
    return ndi_array_finish(out, b, &v, rc);
}

int
nds_array_token_import(nds_array **out, const void *token, size_t nbytes)
{
    struct token t = {0};
    int rc = get_token(&t, token, nbytes);

    *out = NULL;
    if (rc == 0) {
        rc = (t.flags & FILE_BY_PATH) != 0 ? open_file(out, &t)
                                           : open_segment(out, &t);
    }
    free(t.name);
    free(t.dtype);
    return rc;
}
