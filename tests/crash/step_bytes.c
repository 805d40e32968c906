/* SPDX-License-Identifier: MIT */
/*
 * step_bytes.c - the bytes that an operation can touch
 *
 * Ranges mapped in the driver are compared where they are; files that the
 * victim maps itself are read out of it, for a mapping of the driver's would
 * be one more user. Each instruction costs one comparison with the copy from
 * before it; only a difference is hashed.
 */
#include "step_world.h"

#include <chan/chan_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#define RANGES 128
#define BLURS 512
#define COPY_ROOM (1U << 20)
#define MAPS_MOST 16384 /* bytes watched of one mapping of the victim's */
#define SLOTS 4         /* watched of a channel there */

/* Of a file that the victim maps; in the digest in place of the address. */
enum piece {
    PIECE_BODY,
    PIECE_CONTROL,
    PIECE_PARTIES_OF_CONTROL,
    PIECE_PARTIES, /* of a channel, in its body */
    PIECE_CHANNEL,
    PIECE_SLOTS /* and on */
};

struct range {
    const unsigned char *at;
    size_t nbytes;
    size_t copy; /* offset in the copy */
    bool foreign; /* address in the victim, not in the driver */
    unsigned rank; /* foreign: which file, and where in it */
    uint64_t off;
};
struct blur {
    size_t copy;
    size_t nbytes;
};

static struct range ranges[RANGES];
static struct blur blurs[BLURS];
static unsigned range_count, own_ranges, blur_count, own_blurs;
static size_t copy_used, own_copy;
static unsigned char copy[COPY_ROOM], blurred[COPY_ROOM], fresh[COPY_ROOM];
static bool maps_wanted, stale;
static uint64_t memory_hash;

void
step_bytes_reset(void)
{
    range_count = own_ranges = blur_count = own_blurs = 0;
    copy_used = own_copy = 0;
    maps_wanted = false;
    stale = true;
}

static struct range *
add_range(const void *at, size_t nbytes, bool foreign)
{
    if (range_count == RANGES || nbytes > COPY_ROOM - copy_used) {
        fprintf(stderr, "step: too much to watch\n");
        abort();
    }
    ranges[range_count] = (struct range){at, nbytes, copy_used, foreign, 0, 0};
    copy_used += nbytes;
    stale = true;
    return &ranges[range_count++];
}

static void
add_blur(const void *at, size_t nbytes)
{
    const unsigned char *p = at;

    for (unsigned i = range_count; i-- > 0;) {
        struct range *r = &ranges[i];

        if (p >= r->at && p + nbytes <= r->at + r->nbytes &&
            blur_count < BLURS) {
            blurs[blur_count++] =
                (struct blur){r->copy + (size_t)(p - r->at), nbytes};
            return;
        }
    }
    fprintf(stderr, "step: blurs what is not watched\n");
    abort();
}

void
step_watch(const void *at, size_t nbytes)
{
    add_range(at, nbytes, false);
    own_ranges = range_count;
    own_copy = copy_used;
}

void
step_blur(const void *at, size_t nbytes)
{
    add_blur(at, nbytes);
    own_blurs = blur_count;
}

#define PARTIES 6

/* Random and times. */
static void
blur_birth(const struct ndi_control *ctl)
{
    add_blur(ctl->header.creator, sizeof ctl->header.creator);
    add_blur(&ctl->header.created, sizeof ctl->header.created);
}

static void
blur_control(const struct ndi_control *ctl)
{
    const struct ndi_lock *locks[] = {&ctl->lock, &ctl->rwlock.writer,
                                      &ctl->object.mutex};

    blur_birth(ctl);
    for (unsigned i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        add_blur((const char *)locks[i] + offsetof(struct ndi_lock, thread),
                 4);
    }
}

static struct range *
watch_parties(const struct ndi_party_slot *slots, bool foreign)
{
    struct range *r = add_range(slots, PARTIES * sizeof *slots, foreign);

    for (unsigned i = 0; i < PARTIES; i++) {
        add_blur((const char *)&slots[i] +
                     offsetof(struct ndi_party_slot, pid), 12);
    }
    return r;
}

void
step_watch_segment(const struct ndi_segment *s)
{
    add_range(s->ctl, offsetof(struct ndi_control, object) + 128, false);
    blur_control(s->ctl);
    watch_parties(s->party.slots, false);
    (void)step_file_rank(s->dev, s->ino);
    own_ranges = range_count;
    own_copy = copy_used;
    own_blurs = blur_count;
}

void
step_watch_maps(void)
{
    maps_wanted = true;
}

static bool
read_from(pid_t victim, uintptr_t at, void *out, size_t nbytes)
{
    struct iovec local = {out, nbytes};
    struct iovec remote = {(void *)at, nbytes};

    return process_vm_readv(victim, &local, 1, &remote, 1, 0) ==
           (ssize_t)nbytes;
}

/* Is there a control area at this address of the victim's? */
static bool
is_control(pid_t victim, uintptr_t at)
{
    uint64_t magic;

    return read_from(victim, at, &magic, sizeof magic) &&
           magic == NDI_CTL_MAGIC;
}

static bool
has_piece(unsigned rank, uint64_t off)
{
    for (unsigned i = own_ranges; i < range_count; i++) {
        if (ranges[i].rank == rank && ranges[i].off == off) {
            return true;
        }
    }
    return false;
}

static bool
is_channel(pid_t victim, uintptr_t from, struct ndi_hub_header *hub)
{
    return read_from(victim, from, hub, sizeof *hub) &&
           hub->magic == NDI_HUB_MAGIC;
}

static void
add_piece(uintptr_t at, size_t nbytes, unsigned rank, uint64_t off)
{
    struct range *r = add_range((const void *)at, nbytes, true);

    r->rank = rank;
    r->off = off;
}

/* Its participants are in its body, behind the hub; then header, lanes and
 * counters of the first channel, and its first slots. */
static void
watch_channel(uintptr_t from, const struct ndi_hub_header *hub, unsigned rank)
{
    uintptr_t at = from + hub->chan_off[0];
    const struct ndi_chan_header *h = (const void *)at;
    const struct ndi_lane *lanes = (const void *)(at + NDI_CHAN_LANES_OFF);
    uint64_t slots = NDI_CHAN_COUNTERS_OFF + (uint64_t)hub->party_count * 64;
    struct range *r = watch_parties((const void *)(from + sizeof *hub), true);

    r->rank = rank;
    r->off = PIECE_PARTIES;
    add_piece(at, NDI_CHAN_COUNTERS_OFF + PARTIES * 64, rank, PIECE_CHANNEL);
    add_blur((const char *)&h->lock + offsetof(struct ndi_lock, thread), 4);
    add_blur((const void *)&h->get_cpu, 4);
    for (unsigned i = 0; i < PARTIES; i++) {
        add_blur((const void *)&lanes[i].cpu, 4);
    }
    slots = (slots + 4095) & ~UINT64_C(4095);
    for (unsigned i = 0; i < SLOTS; i++) {
        add_piece(at + slots + i * NDI_SLOT_NBYTES, 512, rank,
                  PIECE_SLOTS + i);
    }
}

/* Which pieces of a file are watched must not depend on how the kernel joins
 * mappings: its beginning, and the control area at its end. */
static void
watch_mapping(pid_t victim, uintptr_t from, uintptr_t to, uint64_t off,
              unsigned rank)
{
    uintptr_t ctl_at = to - NDI_CTL_NBYTES;
    const struct ndi_control *ctl = (const struct ndi_control *)ctl_at;
    bool has_control = ctl_at >= from && is_control(victim, ctl_at);
    size_t body = (has_control ? ctl_at : to) - from;
    struct ndi_hub_header hub;
    bool channel = off == 0 && has_control && is_channel(victim, from, &hub);
    struct range *r;

    body = channel ? sizeof hub : body < MAPS_MOST ? body : MAPS_MOST;
    if (off == 0 && body > 0 && !has_piece(rank, PIECE_BODY)) {
        add_piece(from, body, rank, PIECE_BODY);
        // A control area without a body looks like one until it has its magic.
        blur_birth((const void *)from);
    }
    if (has_control && !has_piece(rank, PIECE_CONTROL)) {
        add_piece(ctl_at, offsetof(struct ndi_control, object) + 128, rank,
                  PIECE_CONTROL);
        blur_control(ctl);
        r = watch_parties(ctl->parties, true);
        r->rank = rank;
        r->off = PIECE_PARTIES_OF_CONTROL;
        if (channel) {
            watch_channel(from, &hub, rank);
        }
    }
}

void
step_bytes_look(pid_t victim)
{
    unsigned long from, to, off, ino;
    unsigned major_number, minor_number;
    char path[32], line[512], mode[8];
    FILE *f;

    if (!maps_wanted) {
        return;
    }
    range_count = own_ranges;
    copy_used = own_copy;
    blur_count = own_blurs;
    stale = true;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)victim);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strstr(line, step_dir) != NULL &&
            sscanf(line, "%lx-%lx %7s %lx %x:%x %lu", &from, &to, mode, &off,
                   &major_number, &minor_number, &ino) == 7 &&
            mode[3] == 's' && to - from > 4096) { // presence pages are empty
            watch_mapping(victim, from, to, off,
                          step_file_rank(makedev(major_number, minor_number),
                                     ino));
        }
    }
    if (f != NULL) {
        fclose(f);
    }
}

static void
read_victim(pid_t victim)
{
    struct iovec local[RANGES], remote[RANGES];
    unsigned n = 0;

    for (unsigned i = own_ranges; i < range_count; i++, n++) {
        local[n] = (struct iovec){fresh + ranges[i].copy, ranges[i].nbytes};
        remote[n] = (struct iovec){(void *)ranges[i].at, ranges[i].nbytes};
    }
    // A page behind the end of the file reads as what was there before.
    if (n > 0 && process_vm_readv(victim, local, n, remote, n, 0) < 0) {
        memset(fresh + own_copy, 0, copy_used - own_copy);
    }
}

static bool
bytes_changed(pid_t victim)
{
    bool changed = stale;

    if (range_count > own_ranges) {
        read_victim(victim);
    }
    for (unsigned i = 0; i < range_count; i++) {
        struct range *r = &ranges[i];
        const void *now = r->foreign ? fresh + r->copy : r->at;

        if (stale || memcmp(copy + r->copy, now, r->nbytes) != 0) {
            memcpy(copy + r->copy, now, r->nbytes);
            changed = true;
        }
    }
    stale = false;
    return changed;
}

static void
hash_bytes(void)
{
    memcpy(blurred, copy, copy_used);
    for (unsigned i = 0; i < blur_count; i++) {
        unsigned char *p = blurred + blurs[i].copy;
        unsigned char any = 0;

        for (size_t k = 0; k < blurs[i].nbytes; k++) {
            any |= p[k];
            p[k] = 0;
        }
        p[0] = any != 0;
    }
    memory_hash = step_mix_bytes(own_copy, blurred, own_copy);
    for (unsigned i = own_ranges; i < range_count; i++) {
        memory_hash += step_mix_bytes(step_mix(ranges[i].rank, ranges[i].off),
                                 blurred + ranges[i].copy, ranges[i].nbytes);
    }
}

uint64_t
step_bytes_digest(pid_t victim)
{
    if (bytes_changed(victim)) {
        hash_bytes();
    }
    return memory_hash;
}
