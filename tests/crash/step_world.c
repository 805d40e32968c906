/* SPDX-License-Identifier: MIT */
/*
 * step_world.c - a digest of all that another process could see
 *
 * Bytes: ranges of shared memory that the operation can touch. They are
 * compared with a copy after every instruction and hashed only when they
 * differ. Names and kernel-held locks change in system calls only and are
 * read anew after each.
 *
 * What differs between two runs of the same thing (pids, times, random ids)
 * counts as zero or not zero; inodes by the order in which they were met.
 */
#include "step.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define RANGES 128
#define BLURS 512
#define COPY_ROOM (1U << 20)
#define INODES 256
#define MAPS_MOST 16384 /* bytes watched of one mapping of the victim's */

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

static char dir[64];
static struct range ranges[RANGES];
static struct blur blurs[BLURS];
static unsigned range_count, own_ranges, blur_count, own_blurs;
static size_t copy_used, own_copy;
static unsigned char copy[COPY_ROOM], blurred[COPY_ROOM], fresh[COPY_ROOM];
static bool maps_wanted, stale;
static uint64_t memory_hash, names_hash, locks_hash;
static struct {
    dev_t dev;
    ino_t ino;
} inodes[INODES];
static unsigned inode_count;

static uint64_t
mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t
mix_bytes(uint64_t h, const void *data, size_t nbytes)
{
    const unsigned char *p = data;
    uint64_t v = 0;

    for (; nbytes >= sizeof v; nbytes -= sizeof v, p += sizeof v) {
        memcpy(&v, p, sizeof v);
        h = mix(h, v);
    }
    v = 0;
    memcpy(&v, p, nbytes);
    return mix(h, v ^ (uint64_t)nbytes << 56);
}

/* ---- the directory ---------------------------------------------------------- */

/* A driver that was killed could not clean up. */
static void
remove_stale(void)
{
    DIR *d = opendir("/dev/shm");
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, "nds-step-", 9) == 0 &&
            kill((pid_t)atoi(e->d_name + 9), 0) < 0 && errno == ESRCH) {
            snprintf(dir, sizeof dir, "/dev/shm/nds-step-%d",
                     atoi(e->d_name + 9));
            step_world_close();
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

int
step_world_open(void)
{
    remove_stale();
    snprintf(dir, sizeof dir, "/dev/shm/nds-step-%d", (int)getpid());
    if (mkdir(dir, 0700) < 0 || setenv("NDSHARE_SHM_DIR", dir, 1) < 0) {
        return -errno;
    }
    return 0;
}

static unsigned
each_name(void (*fn)(int at, const char *name, void *ctx), void *ctx)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    unsigned count = 0;

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            count++;
            fn(dirfd(d), e->d_name, ctx);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    return count;
}

static void
remove_name(int at, const char *name, void *ctx)
{
    (void)ctx;
    unlinkat(at, name, 0);
}

void
step_world_clear(void)
{
    each_name(remove_name, NULL);
}

void
step_world_close(void)
{
    step_world_clear();
    rmdir(dir);
}

/* ".nds-<uid>", the lock file of names, is meant to stay. */
static bool
is_lock_file(const char *name)
{
    return strncmp(name, ".nds-", 5) == 0 && name[5] != '\0' &&
           name[5 + strspn(name + 5, "0123456789")] == '\0';
}

/* ---- bytes -------------------------------------------------------------------- */

void
step_world_reset(void)
{
    range_count = own_ranges = blur_count = own_blurs = inode_count = 0;
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

static void
blur_control(const struct ndi_control *ctl)
{
    const struct ndi_lock *locks[] = {&ctl->lock, &ctl->rwlock.writer,
                                      &ctl->object.mutex};

    add_blur(ctl->header.creator, sizeof ctl->header.creator);
    add_blur(&ctl->header.created, sizeof ctl->header.created);
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

static unsigned
inode_rank(dev_t dev, ino_t ino)
{
    unsigned i = 0;

    while (i < inode_count && (inodes[i].ino != ino || inodes[i].dev != dev)) {
        i++;
    }
    if (i == inode_count && inode_count < INODES) {
        inodes[inode_count].dev = dev;
        inodes[inode_count++].ino = ino;
    }
    return i;
}

void
step_watch_segment(const struct ndi_segment *s)
{
    add_range(s->ctl, offsetof(struct ndi_control, object) + 128, false);
    blur_control(s->ctl);
    watch_parties(s->party.slots, false);
    (void)inode_rank(s->dev, s->ino);
    own_ranges = range_count;
    own_copy = copy_used;
    own_blurs = blur_count;
}

void
step_watch_maps(void)
{
    maps_wanted = true;
}

/* Is there a control area at this address of the victim's? */
static bool
is_control(pid_t victim, uintptr_t at)
{
    uint64_t magic = 0;
    struct iovec local = {&magic, sizeof magic};
    struct iovec remote = {(void *)at, sizeof magic};

    return process_vm_readv(victim, &local, 1, &remote, 1, 0) ==
               (ssize_t)sizeof magic &&
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
    struct range *r;

    if (off == 0 && body > 0 && !has_piece(rank, 0)) {
        r = add_range((const void *)from, body < MAPS_MOST ? body : MAPS_MOST,
                      true);
        r->rank = rank;
    }
    if (has_control && !has_piece(rank, 1)) {
        r = add_range(ctl, offsetof(struct ndi_control, object) + 128, true);
        r->rank = rank;
        r->off = 1;
        blur_control(ctl);
        r = watch_parties(ctl->parties, true);
        r->rank = rank;
        r->off = 2;
    }
}

static void
look_at_maps(pid_t victim)
{
    unsigned long from, to, off, ino;
    unsigned major_number, minor_number;
    char path[32], line[512], mode[8];
    FILE *f;

    range_count = own_ranges;
    copy_used = own_copy;
    blur_count = own_blurs;
    stale = true;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)victim);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strstr(line, dir) != NULL &&
            sscanf(line, "%lx-%lx %7s %lx %x:%x %lu", &from, &to, mode, &off,
                   &major_number, &minor_number, &ino) == 7 &&
            mode[3] == 's' && to - from > 4096) { // presence pages are empty
            watch_mapping(victim, from, to, off,
                          inode_rank(makedev(major_number, minor_number),
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
    memory_hash = mix_bytes(own_copy, blurred, own_copy);
    for (unsigned i = own_ranges; i < range_count; i++) {
        memory_hash += mix_bytes(mix(ranges[i].rank, ranges[i].off),
                                 blurred + ranges[i].copy, ranges[i].nbytes);
    }
}

/* ---- names ------------------------------------------------------------------------ */

/* Ids and random parts stand as one sign. */
static void
plain_name(char *out, size_t room, const char *name)
{
    size_t hex = strncmp(name, ".nds-", 5) == 0
                     ? strspn(name + 5, "0123456789abcdef")
                     : 0;

    if (hex == 32) {
        snprintf(out, room, ".nds-ID%s", name + 5 + hex);
    } else if (strncmp(name, ".nds-tmp-", 9) == 0) {
        snprintf(out, room, ".nds-tmp-RANDOM");
    } else {
        snprintf(out, room, "%s", name);
    }
}

static void
hash_name(int at, const char *name, void *ctx)
{
    uint64_t *sum = ctx;
    char plain[256];
    struct stat st;
    uint64_t h;

    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return;
    }
    plain_name(plain, sizeof plain, name);
    h = mix_bytes(1, plain, strlen(plain));
    h = mix(h, inode_rank(st.st_dev, st.st_ino));
    h = mix(h, (uint64_t)st.st_size);
    h = mix(h, (uint64_t)st.st_mode << 32 | (uint64_t)st.st_nlink);
    *sum += h; // the order in a directory means nothing
}

/* ---- locks ------------------------------------------------------------------------ */

struct lock_line {
    char kind[16];
    char access[16];
    unsigned long ino;
    char first[24];
    unsigned rank;
};

/* The next line that speaks of a file of this world. */
static bool
next_lock(FILE *f, struct lock_line *l)
{
    unsigned major_number, minor_number;
    char line[256];

    while (fgets(line, sizeof line, f) != NULL) {
        // "3: OFDLCK ADVISORY READ -1 00:1a:77 2305843009213693952 ..."; a
        // waiting one has "->" behind the number.
        if (sscanf(line, "%*d: %15s %*s %15s %*s %x:%x:%lu %23s", l->kind,
                   l->access, &major_number, &minor_number, &l->ino,
                   l->first) != 6) {
            continue;
        }
        for (l->rank = 0; l->rank < inode_count; l->rank++) {
            if (inodes[l->rank].ino == l->ino &&
                inodes[l->rank].dev == makedev(major_number, minor_number)) {
                return true;
            }
        }
    }
    return false;
}

/* Chosen by the hash of a name, and that may hold a random id. */
static bool
is_name_byte(const char *first)
{
    uint64_t off = strtoull(first, NULL, 10);

    return off >= 4096 && off < NDI_BYTE_IN_USE;
}

static uint64_t
hash_locks(void)
{
    FILE *f = fopen("/proc/locks", "r");
    struct lock_line l;
    uint64_t sum = 0, h;

    while (f != NULL && next_lock(f, &l)) {
        if (is_name_byte(l.first)) {
            snprintf(l.first, sizeof l.first, "NAME");
        }
        h = mix_bytes(2, l.kind, strlen(l.kind));
        h = mix_bytes(h, l.access, strlen(l.access));
        h = mix_bytes(h, l.first, strlen(l.first));
        sum += mix(h, l.rank);
    }
    if (f != NULL) {
        fclose(f);
    }
    return sum;
}

/* ---- all of it ---------------------------------------------------------------------- */

void
step_world_look(pid_t victim)
{
    names_hash = 0;
    each_name(hash_name, &names_hash);
    locks_hash = hash_locks();
    if (maps_wanted && victim > 0) {
        look_at_maps(victim);
    }
}

uint64_t
step_world_digest(pid_t victim)
{
    if (bytes_changed(victim)) {
        hash_bytes();
    }
    return mix(mix(memory_hash, names_hash), locks_hash);
}

struct left {
    unsigned count;
    char *text;
    size_t room;
};

static void
count_left(int at, const char *name, void *ctx)
{
    struct left *l = ctx;
    struct stat st;

    if (!is_lock_file(name)) {
        if (l->count++ == 0) {
            snprintf(l->text, l->room, "name %s", name);
        }
    }
    if (fstatat(at, name, &st, 0) == 0) {
        (void)inode_rank(st.st_dev, st.st_ino);
    }
}

unsigned
step_world_names(void)
{
    char text[64];
    struct left l = {0, text, sizeof text};

    each_name(count_left, &l);
    return l.count;
}

unsigned
step_world_left(char *text, size_t room)
{
    struct left l = {0, text, room};
    struct lock_line line;
    FILE *f;

    each_name(count_left, &l);
    f = fopen("/proc/locks", "r");
    while (f != NULL && next_lock(f, &line)) {
        if (l.count++ == 0) {
            snprintf(text, room, "%s lock on byte %s of inode %lu",
                     line.access, line.first, line.ino);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return l.count;
}
