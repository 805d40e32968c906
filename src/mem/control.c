/* SPDX-License-Identifier: MIT */
/*
 * control.c - the control area's bytes: written once, never trusted
 *
 * Whoever can write the file can write anything here. So a reader copies
 * header and geometry, checks the copy against the file's true size, and uses
 * only the copy.
 */
#include <mem/mem_impl.h>

#include <base/checked.h>
#include <base/fail.h>
#include <os/os.h>
#include <sync/lock.h>
#include <sync/word.h>

#include <string.h>
#include <time.h>

const char *
ndi_kind_text(uint32_t kind)
{
    static const char *const texts[] = {
        "?",       "array", "mutex", "cond",    "sem",
        "event", "barrier", "rwlock", "queue", "pipe", "seqlock"};

    return kind < NDI_ARRAY_LEN(texts) ? texts[kind] : "?";
}

int
ndi_control_place(uint64_t body_nbytes, uint64_t *ctl_off,
                  uint64_t *file_nbytes)
{
    if (!ndi_round_up_u64(body_nbytes, NDI_CTL_NBYTES, ctl_off) ||
        !ndi_add_u64(*ctl_off, NDI_CTL_NBYTES, file_nbytes) ||
        *file_nbytes > (uint64_t)INT64_MAX) {
        return ndi_fail(NDS_ESHAPE, "%llu bytes are too many for a file",
                        (unsigned long long)body_nbytes);
    }
    return 0;
}

static uint64_t
wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

int
ndi_control_fill(struct ndi_control *ctl, const struct ndi_segment_spec *spec,
                 uint64_t ctl_off, uint64_t file_nbytes)
{
    struct ndi_ctl_header *h = &ctl->header;
    struct ndi_ctl_geometry *g = &ctl->geometry;
    int rc = ndi_random_bytes(h->creator, sizeof h->creator);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "random bytes for a segment's id");
    }
    h->magic = NDI_CTL_MAGIC;
    h->version = NDI_CTL_VERSION;
    h->abi = NDI_CTL_ABI;
    h->file_nbytes = file_nbytes;
    h->created = wall_ns();
    h->kind = (uint32_t)spec->kind;
    h->lifetime = (uint32_t)spec->lifetime;
    h->mode_bits = spec->mode_bits != 0 ? spec->mode_bits : 0600;
    g->body_nbytes = spec->body_nbytes;
    g->data_off = spec->data_off;
    g->capacity = spec->capacity;
    g->party_off = spec->party_off != 0
                       ? spec->party_off
                       : ctl_off + offsetof(struct ndi_control, parties);
    g->party_count = spec->party_off != 0 ? spec->party_count
                                          : NDI_CTL_PARTIES;
    ndi_lock_init(&ctl->lock, 0);
    ndi_rwlock_init(&ctl->rwlock);
    ndi_seqlock_init(&ctl->seqlock);
    return 0;
}

static int
check_header(const struct ndi_ctl_header *h, uint64_t file_nbytes,
             enum ndi_kind kind, const char *name)
{
    if (h->magic != NDI_CTL_MAGIC) {
        return ndi_fail(NDS_ENOTOURS, "'%s' is not an ndshare object: no "
                        "control area at the end of its %llu bytes", name,
                        (unsigned long long)file_nbytes);
    }
    if (h->version != NDI_CTL_VERSION) {
        return ndi_fail(NDS_ELAYOUT, "'%s' has layout version %u, this "
                        "library reads %u", name, h->version,
                        NDI_CTL_VERSION);
    }
    if (h->abi != NDI_CTL_ABI) {
        return ndi_fail(NDS_ELAYOUT, "'%s' was made for another machine: abi "
                        "%08x, here %08x", name, h->abi, NDI_CTL_ABI);
    }
    if (h->file_nbytes != file_nbytes) {
        return ndi_fail(NDS_ECORRUPT, "'%s' says it has %llu bytes, the file "
                        "has %llu", name, (unsigned long long)h->file_nbytes,
                        (unsigned long long)file_nbytes);
    }
    if (ndi_load_rlx(&h->state) != NDI_CTL_READY) {
        return ndi_fail(NDS_ECORRUPT, "'%s' was never finished", name);
    }
    if (h->kind == 0 || h->kind > NDI_KIND_SEQLOCK ||
        h->lifetime > NDS_WHILE_USED) {
        return ndi_fail(NDS_ECORRUPT, "'%s': kind %u, lifetime %u", name,
                        h->kind, h->lifetime);
    }
    if (kind != 0 && h->kind != (uint32_t)kind) {
        return ndi_fail(NDS_ENOTOURS, "'%s' is of kind %s, not %s", name,
                        ndi_kind_text(h->kind),
                        ndi_kind_text((uint32_t)kind));
    }
    return 0;
}

static int
check_geometry(const struct ndi_ctl_geometry *g, uint32_t kind,
               uint64_t ctl_off, const char *name)
{
    uint64_t own = ctl_off + offsetof(struct ndi_control, parties);
    uint64_t table = (uint64_t)g->party_count * sizeof(struct ndi_party_slot);
    bool inside = g->party_off == own
                      ? g->party_count <= NDI_CTL_PARTIES
                      // Only channels keep it in the body; that of an array
                      // may be frozen, and joining writes.
                      : kind >= NDI_KIND_QUEUE &&
                            g->party_off % NDI_LINE == 0 &&
                            ndi_range_fits(g->party_off, table,
                                           g->body_nbytes);

    if (g->body_nbytes > ctl_off ||
        ctl_off - g->body_nbytes >= NDI_CTL_NBYTES) {
        return ndi_fail(NDS_ECORRUPT, "'%s': a body of %llu bytes before a "
                        "control area at %llu", name,
                        (unsigned long long)g->body_nbytes,
                        (unsigned long long)ctl_off);
    }
    if (g->party_count == 0 || g->party_count > NDI_PARTY_MAX || !inside) {
        return ndi_fail(NDS_ECORRUPT, "'%s': %u participants at %llu", name,
                        g->party_count, (unsigned long long)g->party_off);
    }
    if (kind == NDI_KIND_ARRAY &&
        ((g->data_off != 4096 && g->data_off != 8192) ||
         !ndi_range_fits(g->data_off, g->capacity, g->body_nbytes))) {
        return ndi_fail(NDS_ECORRUPT, "'%s': %llu bytes of data at %llu in a "
                        "body of %llu", name, (unsigned long long)g->capacity,
                        (unsigned long long)g->data_off,
                        (unsigned long long)g->body_nbytes);
    }
    return 0;
}

int
ndi_control_read(struct ndi_control_copy *out, int fd, enum ndi_kind kind,
                 const char *name)
{
    struct stat st;
    uint64_t nbytes;
    int rc = ndi_os_fstat(fd, &st);

    if (rc < 0) {
        return ndi_fail_errno(-rc, "look at '%s'", name);
    }
    nbytes = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode) || nbytes < NDI_CTL_NBYTES ||
        nbytes % NDI_CTL_NBYTES != 0) {
        return ndi_fail(NDS_ENOTOURS, "'%s' is not an ndshare object: %llu "
                        "bytes without a control area", name,
                        (unsigned long long)nbytes);
    }
    out->ctl_off = nbytes - NDI_CTL_NBYTES;
    rc = ndi_os_pread(fd, &out->header,
                      sizeof out->header + sizeof out->geometry,
                      out->ctl_off);
    if (rc < 0) {
        return ndi_fail_errno(-rc, "read the control area of '%s'", name);
    }
    rc = check_header(&out->header, nbytes, kind, name);
    return rc < 0 ? rc
                  : check_geometry(&out->geometry, out->header.kind,
                                   out->ctl_off, name);
}
