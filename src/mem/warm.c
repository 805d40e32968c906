/* SPDX-License-Identifier: MIT */
/*
 * warm.c - blocks that were closed wait here for the next of their size
 *
 * Making memory costs more than writing it: faults, zeroing by the kernel, the
 * collapse to 2 MiB pages. So the last blocks that were closed stay mapped, up
 * to a bound in bytes, and the next block of exactly the same size gets one.
 *
 * Only what nobody else can have. Heap memory: nobody, unless we forked. A
 * segment: of ours, nameless (one that had a name can get no other, and its
 * name may have been attached), its descriptor never lent to anybody, never
 * frozen, and no fork since it was made, which would have given it to the
 * child. Names and attachments of other processes' memory are not kept: a
 * mapping would keep 800 MB alive that the last user has unlinked, would stop
 * the sweep's lease, and who wants to come back can keep his handle.
 *
 * And the mappings of files that came through a channel and were moved on: an
 * array that goes back and forth is mapped and faulted in once on each side.
 * The memory is others' meanwhile, so these carry no in-use lock, and are only
 * found again by device and inode, which cannot be another file's as long as
 * the mapping keeps this one. Those whose file has lost its last name cannot
 * come back and go when the next one is put here.
 *
 * Given back: by nds_memory_trim; before a fork, so that no child has a copy;
 * when memory is short (a create or an allocation that fails, the kernel's
 * pressure figures, no room in the shm dir); the oldest when newer ones come.
 * Killed, the kernel takes all: nothing here is shared.
 */
#include <mem/warm.h>

#include <os/os.h>
#include <sync/word.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_NBYTES (UINT64_C(4) << 20)
#define ENTRIES 16
#define ASK_FROM ((size_t)16 << 20) /* below it asking costs more than it is */

static struct ndi_warm kept[ENTRIES]; /* the oldest first, `count` of them */
static int count;
static uint64_t total;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t forks;
static _Atomic uint64_t keep_set;

/* ---- how much ----------------------------------------------------------- */

/* "100", "64K", "2G", "all"; 0 for anything else. */
static uint64_t
size_of_text(const char *text)
{
    static const char units[] = "KMGT";
    const char *unit;
    unsigned long long n;
    char *end;

    if (strcmp(text, "all") == 0) {
        return UINT64_MAX;
    }
    errno = 0;
    n = strtoull(text, &end, 10);
    if (end == text || errno != 0 || text[0] == '-') {
        return 0;
    }
    unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (unit != NULL) {
        unsigned shift = 10 * (unsigned)(unit - units + 1);

        n = n > UINT64_MAX >> shift ? UINT64_MAX : n << shift;
        end++;
    }
    // 0 is a size as well: the least that is not "not said".
    return *end != '\0' ? 0 : n == 0 ? 1 : n;
}

uint64_t
ndi_keep_nbytes(uint64_t asked)
{
    uint64_t set = ndi_load_rlx(&keep_set), said = 0;
    const char *text;

    if (asked != 0 || set != 0) {
        return asked != 0 ? asked : set;
    }
    text = secure_getenv("NDSHARE_KEEP");
    if (text != NULL) {
        said = size_of_text(text);
    }
    return said != 0 ? said : KEEP_NBYTES;
}

/* ---- what is kept ------------------------------------------------------- */

/* Is it still our descriptor? A program may have closed it. */
static bool
has_file(const struct ndi_warm *w, struct stat *st)
{
    return w->fd >= 0 && ndi_os_fstat(w->fd, st) == 0 &&
           st->st_dev == w->dev && st->st_ino == w->ino;
}

static void
drop(const struct ndi_warm *w)
{
    struct stat st;

    ndi_unmap(w->map, w->nbytes);
    ndi_unmap(w->ctl, NDI_CTL_NBYTES);
    if (has_file(w, &st)) {
        ndi_os_close(w->fd);
    }
}

/* Takes entry i out. */
static struct ndi_warm
take_locked(int i)
{
    struct ndi_warm w = kept[i];

    count--;
    memmove(&kept[i], &kept[i + 1], (size_t)(count - i) * sizeof kept[0]);
    total -= w.nbytes;
    return w;
}

/* The oldest ones, until at most `most` bytes and `entries` are left. */
static uint64_t
shrink_locked(uint64_t most, int entries)
{
    uint64_t gone = 0;

    while (count > 0 && (total > most || count > entries)) {
        struct ndi_warm w = take_locked(0);

        gone += w.nbytes;
        drop(&w);
    }
    return gone;
}

/* Of the files that moved on: those that are `like` this one or cannot come
 * back; all, if it is NULL. */
static void
forget_away_locked(const struct ndi_warm *like)
{
    struct stat st;

    for (int i = count - 1; i >= 0; i--) {
        const struct ndi_warm *k = &kept[i];

        if (k->away && (like == NULL || !has_file(k, &st) ||
                        st.st_nlink == 0 ||
                        (k->dev == like->dev && k->ino == like->ino))) {
            struct ndi_warm w = take_locked(i);

            drop(&w);
        }
    }
}

/* Is there memory to spare for what nobody needs? */
static bool
plenty(const struct ndi_warm *w)
{
    uint64_t all, left;

    if (w->nbytes < ASK_FROM) {
        return true;
    }
    if (ndi_memory_is_short()) {
        return false;
    }
    return w->ctl == NULL || ndi_shm_room(&all, &left) < 0 || all == 0 ||
           left >= w->nbytes;
}

bool
ndi_warm_put(const struct ndi_warm *w)
{
    uint64_t keep = ndi_keep_nbytes(0);

    if (w->nbytes == 0 || w->nbytes > keep) {
        return false;
    }
    if (!plenty(w)) {
        nds_memory_trim();
        return false;
    }
    pthread_mutex_lock(&mutex);
    if (w->away) {
        forget_away_locked(w);
    }
    shrink_locked(keep - w->nbytes, ENTRIES - 1);
    kept[count++] = *w;
    total += w->nbytes;
    pthread_mutex_unlock(&mutex);
    return true;
}

bool
ndi_warm_get(struct ndi_warm *w, size_t nbytes, enum nds_huge huge,
             bool segment)
{
    bool found = false;

    pthread_mutex_lock(&mutex);
    for (int i = count - 1; i >= 0 && !found; i--) {
        found = kept[i].nbytes == nbytes && kept[i].huge == huge &&
                (kept[i].ctl != NULL) == segment && !kept[i].away;
        if (found) {
            *w = take_locked(i);
        }
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

bool
ndi_warm_find(struct ndi_warm *w, dev_t dev, ino_t ino)
{
    bool found = false;
    struct stat st;

    pthread_mutex_lock(&mutex);
    for (int i = count - 1; i >= 0 && !found; i--) {
        found = kept[i].away && kept[i].dev == dev && kept[i].ino == ino;
        if (found) {
            *w = take_locked(i);
        }
    }
    pthread_mutex_unlock(&mutex);
    if (found && !has_file(w, &st)) {
        drop(w);
        return false;
    }
    return found;
}

void
ndi_warm_forget_away(void)
{
    pthread_mutex_lock(&mutex);
    forget_away_locked(NULL);
    pthread_mutex_unlock(&mutex);
}

uint64_t
nds_memory_trim(void)
{
    uint64_t gone;

    pthread_mutex_lock(&mutex);
    gone = shrink_locked(0, 0);
    pthread_mutex_unlock(&mutex);
    return gone;
}

void
nds_memory_keep(uint64_t keep_bytes)
{
    ndi_store_rlx(&keep_set, keep_bytes);
    pthread_mutex_lock(&mutex);
    shrink_locked(ndi_keep_nbytes(0), ENTRIES);
    pthread_mutex_unlock(&mutex);
}

/* ---- fork --------------------------------------------------------------- */

uint64_t
ndi_warm_forks(void)
{
    return ndi_load_seq(&forks);
}

static void
before_fork(void)
{
    pthread_mutex_lock(&mutex);
    shrink_locked(0, 0);
    ndi_add_seq(&forks, 1);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

__attribute__((constructor)) static void
warm_early(void)
{
    ndi_at_fork(NDI_FORK_WARM, before_fork, after_fork, after_fork);
}
