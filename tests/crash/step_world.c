/* SPDX-License-Identifier: MIT */
/*
 * step_world.c - a digest of all that another process could see
 *
 * Bytes are step_bytes.c's. Names and kernel-held locks change in system calls
 * only and are read anew after each.
 *
 * What differs between two runs of the same thing (pids, times, random ids)
 * counts as zero or not zero; inodes by the order in which they were met.
 */
#include "step_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define INODES 256

char step_dir[64];
static uint64_t names_hash, locks_hash;
static struct {
    dev_t dev;
    ino_t ino;
} inodes[INODES];
static unsigned inode_count;

uint64_t
step_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

uint64_t
step_mix_bytes(uint64_t h, const void *data, size_t nbytes)
{
    const unsigned char *p = data;
    uint64_t v = 0;

    for (; nbytes >= sizeof v; nbytes -= sizeof v, p += sizeof v) {
        memcpy(&v, p, sizeof v);
        h = step_mix(h, v);
    }
    v = 0;
    memcpy(&v, p, nbytes);
    return step_mix(h, v ^ (uint64_t)nbytes << 56);
}

/* ---- the directory ------------------------------------------------------ */

/* A driver that was killed could not clean up. */
static void
remove_stale(void)
{
    DIR *d = opendir("/dev/shm");
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, "nds-step-", 9) == 0 &&
            kill((pid_t)atoi(e->d_name + 9), 0) < 0 && errno == ESRCH) {
            snprintf(step_dir, sizeof step_dir, "/dev/shm/nds-step-%d",
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
    snprintf(step_dir, sizeof step_dir, "/dev/shm/nds-step-%d", (int)getpid());
    if (mkdir(step_dir, 0700) < 0 ||
        setenv("NDSHARE_SHM_DIR", step_dir, 1) < 0) {
        return -errno;
    }
    return 0;
}

static unsigned
each_name(void (*fn)(int at, const char *name, void *ctx), void *ctx)
{
    DIR *d = opendir(step_dir);
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
    rmdir(step_dir);
}

/* ".nds-<uid>", the lock file of names, is meant to stay. */
static bool
is_lock_file(const char *name)
{
    return strncmp(name, ".nds-", 5) == 0 && name[5] != '\0' &&
           name[5 + strspn(name + 5, "0123456789")] == '\0';
}

unsigned
step_file_rank(dev_t dev, ino_t ino)
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
step_world_reset(void)
{
    inode_count = 0;
    step_bytes_reset();
}

/* ---- names -------------------------------------------------------------- */

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
    h = step_mix_bytes(1, plain, strlen(plain));
    h = step_mix(h, step_file_rank(st.st_dev, st.st_ino));
    h = step_mix(h, (uint64_t)st.st_size);
    h = step_mix(h, (uint64_t)st.st_mode << 32 | (uint64_t)st.st_nlink);
    *sum += h; // the order in a directory means nothing
}

/* ---- locks -------------------------------------------------------------- */

struct lock_line {
    char kind[16];
    char access[16];
    unsigned long ino;
    char first[24];
    unsigned rank;
};

/* Does this line speak of a file of this world? */
static bool
parse_lock(const char *line, struct lock_line *l)
{
    unsigned major_number, minor_number;

    // "3: OFDLCK ADVISORY READ -1 00:1a:77 2305843009213693952 ..."; a
    // waiting one has "->" behind the number.
    if (sscanf(line, "%*d: %15s %*s %15s %*s %x:%x:%lu %23s", l->kind,
               l->access, &major_number, &minor_number, &l->ino,
               l->first) != 6) {
        return false;
    }
    for (l->rank = 0; l->rank < inode_count; l->rank++) {
        if (inodes[l->rank].ino == l->ino &&
            inodes[l->rank].dev == makedev(major_number, minor_number)) {
            return true;
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

#define LOCKS_MOST 256
#define PAGE_SURE 4000 /* bytes that the kernel certainly shows at once */
#define LOOKS 16

/* Kinds of lock on our files, each once: two users of one byte look alike. */
struct lock_set {
    unsigned count;
    uint64_t hash[LOCKS_MOST];
    struct lock_line first; /* for messages */
};

static void
add_lock(struct lock_set *set, struct lock_line *l)
{
    struct lock_line plain = *l;
    uint64_t h;

    if (is_name_byte(plain.first)) {
        snprintf(plain.first, sizeof plain.first, "NAME");
    }
    h = step_mix_bytes(2, plain.kind, strlen(plain.kind));
    h = step_mix_bytes(h, plain.access, strlen(plain.access));
    h = step_mix_bytes(h, plain.first, strlen(plain.first));
    h = step_mix(h, plain.rank);
    for (unsigned i = 0; i < set->count; i++) {
        if (set->hash[i] == h) {
            return;
        }
    }
    if (set->count == 0) {
        set->first = *l;
    }
    if (set->count < LOCKS_MOST) {
        set->hash[set->count++] = h;
    }
}

/*
 * The kernel shows its table in pieces, each as long as the read that asks for
 * it but a page at most, and goes on by position: strangers who lock and unlock
 * meanwhile can hide a line of ours, but not invent one, for ours do not change
 * while we look. So a long table is read until several looks running found
 * nothing more.
 */
static void
read_locks(struct lock_set *set)
{
    static char room[1 << 16]; // stdio asks for 1 KiB of its own
    struct lock_line l;
    char line[256];

    *set = (struct lock_set){0};
    for (unsigned idle = 0; idle < LOOKS;) {
        FILE *f = fopen("/proc/locks", "r");
        unsigned before = set->count;
        size_t nbytes = 0;

        if (f != NULL) {
            setvbuf(f, room, _IOFBF, sizeof room);
        }
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {
            nbytes += strlen(line);
            if (parse_lock(line, &l)) {
                add_lock(set, &l);
            }
        }
        if (f != NULL) {
            fclose(f);
        }
        if (nbytes < PAGE_SURE) {
            return;
        }
        idle = set->count > before ? 0 : idle + 1;
    }
}

static uint64_t
hash_locks(void)
{
    struct lock_set set;
    uint64_t sum = 0;

    read_locks(&set);
    for (unsigned i = 0; i < set.count; i++) {
        sum += set.hash[i];
    }
    return sum;
}

/* ---- all of it ---------------------------------------------------------- */

void
step_world_look(pid_t victim)
{
    names_hash = 0;
    each_name(hash_name, &names_hash);
    locks_hash = hash_locks();
    if (victim > 0) {
        step_bytes_look(victim);
    }
}

uint64_t
step_world_digest(pid_t victim)
{
    return step_mix(step_mix(step_bytes_digest(victim), names_hash),
                    locks_hash);
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
        (void)step_file_rank(st.st_dev, st.st_ino);
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

static unsigned
locks_left(char *text, size_t room)
{
    struct lock_set set;

    read_locks(&set);
    if (set.count > 0) {
        snprintf(text, room, "%s lock on byte %s of inode %lu",
                 set.first.access, set.first.first, set.first.ino);
    }
    return set.count;
}

unsigned
step_world_left(char *text, size_t room)
{
    struct left l = {0, text, room};

    each_name(count_left, &l);
    return l.count > 0 ? l.count : locks_left(text, room);
}
