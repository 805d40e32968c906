/* SPDX-License-Identifier: MIT */
/*
 * block.c - bytes with an owner, counted within the process
 *
 * A block is memory somebody else made plus how to give it back (fini): heap.c
 * private memory, named.c raw names and the blocks over segments, filemap.c
 * files, sysv.c old segments.
 */
#include <mem/mem_impl.h>

#include <base/fail.h>
#include <base/spare.h>
#include <os/os.h>
#include <sync/word.h>

#include <stdlib.h>

int
ndi_block_make(nds_block **out, enum nds_reach reach, enum nds_mode mode)
{
    nds_block *b = calloc(1, sizeof *b);

    *out = b;
    if (b == NULL) {
        return ndi_fail_nomem(sizeof *b, "a block");
    }
    b->refs = 1;
    b->reach = reach;
    b->mode = mode;
    b->readonly = mode == NDS_READ;
    return 0;
}

nds_block *
nds_block_get(nds_block *b)
{
    ndi_own_add(&b->refs, 1);
    return b;
}

void
nds_block_close(nds_block *b)
{
    // The only one that has it cannot be overtaken.
    if (b == NULL ||
        (ndi_load_acq(&b->refs) != 1 && ndi_own_add(&b->refs, UINT32_MAX) != 1)) {
        return;
    }
    if (b->fini != NULL) {
        b->fini(b);
    }
    if (b->done != NULL) {
        b->done(b->ctx);
    }
    free(b->path);
    if (b->spare) {
        ndi_spare_free(b);
    } else {
        free(b);
    }
}

void *
nds_block_data(const nds_block *b)
{
    return b->data;
}

size_t
nds_block_nbytes(const nds_block *b)
{
    return b->nbytes;
}

enum nds_reach
nds_block_reach(const nds_block *b)
{
    // A shareable one may have been given a name since.
    return b->segment != NULL && b->segment->name[0] != '\0' ? NDS_NAMED
                                                             : b->reach;
}

bool
nds_block_is_readonly(const nds_block *b)
{
    return b->readonly || (b->segment != NULL && b->segment->frozen);
}

int
nds_block_huge(const nds_block *b, size_t *nbytes)
{
    int rc = ndi_huge_bytes(b->data, b->nbytes, nbytes);

    return rc < 0 ? ndi_fail_errno(-rc, "read /proc/self/smaps") : 0;
}

uint32_t
ndi_block_refs(const nds_block *b)
{
    return ndi_load_seq(&b->refs);
}

struct ndi_segment *
ndi_block_segment(const nds_block *b)
{
    return b->segment;
}

bool
ndi_block_path(const nds_block *b, const char **path, enum nds_mode *mode,
               uint64_t *off)
{
    if (b->path == NULL) {
        return false;
    }
    *path = b->path;
    *mode = b->mode;
    *off = b->off;
    return true;
}

int
nds_block_flush(nds_block *b)
{
    int rc = 0;

    if (ndi_load_acq(&b->truncated) != 0 ||
        (b->segment != NULL && ndi_load_acq(&b->segment->truncated) != 0)) {
        return ndi_fail(NDS_ETRUNCATED, "flush '%s': somebody made the file "
                        "shorter; zeros stand where its end was",
                        b->path != NULL ? b->path
                        : b->segment != NULL ? b->segment->name : "");
    }
    if (b->reach == NDS_FILE && !b->readonly && b->mode != NDS_COPY &&
        b->map != NULL) {
        rc = ndi_map_sync(b->map, b->map_nbytes);
    }
    return rc < 0 ? ndi_fail_errno(-rc, "flush '%s'", b->path) : 0;
}

/* ---- over a segment ----------------------------------------------------- */

static void
segment_fini(nds_block *b)
{
    ndi_segment_put(b->segment);
}

int
ndi_block_of_segment(nds_block **out, struct ndi_segment *s)
{
    int rc = ndi_block_make(out, NDS_SHAREABLE, s->mode);

    if (rc < 0) {
        ndi_segment_put(s);
        return rc;
    }
    (*out)->segment = s;
    (*out)->data = s->body;
    (*out)->nbytes = (size_t)s->body_nbytes;
    (*out)->fini = segment_fini;
    return 0;
}

/* ---- over the caller's memory ------------------------------------------- */

int
ndi_block_of_memory(nds_block **out, void *data, size_t nbytes, bool readonly,
                    void (*done)(void *), void *ctx)
{
    nds_block *b = ndi_spare_new();

    *out = b;
    if (b == NULL) {
        return ndi_fail_nomem(sizeof *b, "a block");
    }
    ndi_block_begin(b, true, data, nbytes);
    b->readonly = readonly;
    b->done = done;
    b->ctx = ctx;
    return 0;
}
