/* SPDX-License-Identifier: MIT */
/*
 * stats.c - bytes copied, counted for a whole tree of processes
 *
 * The counters live on one page of a memfd. A forked child inherits the
 * mapping; a program started by exec finds the descriptor, which is left open
 * on purpose, by its number in NDSHARE_STATS_FD. The number may mean another
 * file by then, so size, seal and magic are checked first. Children started
 * by spawn get it as a number of its own (exec.c), and a forkserver that began
 * before there was anything to count hears of it with the next request.
 */
#include <os/os.h>

#include <base/fail.h>
#include <ndshare/block.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATS_MAGIC UINT64_C(0x3154415453534453) /* "SDSSTAT1" */
#define STATS_NBYTES 4096

struct stats_page {
    uint64_t magic; /* never changes after birth */
    _Atomic uint64_t bytes_copied;
    _Atomic uint64_t copies;
};

static struct stats_page *_Atomic stats_page;
static _Atomic int stats_fd = -1; /* once set, open for good */
static pthread_once_t stats_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t stats_mutex = PTHREAD_MUTEX_INITIALIZER;

static bool
is_memfd_of_ours(int fd)
{
    struct stat st;

    // Only a memfd has seals; one that cannot shrink cannot give SIGBUS.
    return ndi_os_fstat(fd, &st) == 0 && st.st_size == STATS_NBYTES &&
           (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) != 0;
}

/* Counts on that page from now on; false leaves everything as it was. */
static bool
stats_use(int fd)
{
    struct stats_page *none = NULL;
    void *p;

    if (!is_memfd_of_ours(fd) ||
        ndi_map(&p, fd, 0, STATS_NBYTES, NDI_MAP_WRITE) < 0) {
        return false;
    }
    if (((struct stats_page *)p)->magic == STATS_MAGIC &&
        atomic_compare_exchange_strong(&stats_page, &none, p)) {
        stats_fd = fd;
        return true;
    }
    ndi_unmap(p, STATS_NBYTES);
    return false;
}

/* Before main: the environment is read while nobody can change it. */
static void
stats_adopt_named(void)
{
    const char *text = secure_getenv(NDI_STATS_ENV);
    char *end;
    long fd;

    if (text == NULL || *text < '0' || *text > '9') {
        return;
    }
    errno = 0;
    fd = strtol(text, &end, 10);
    if (*end == '\0' && errno == 0 && fd >= 0 && fd <= 1 << 30) {
        (void)stats_use((int)fd);
    }
}

__attribute__((constructor)) static void
stats_early(void)
{
    pthread_once(&stats_once, stats_adopt_named);
}

void
ndi_count_copied(uint64_t nbytes)
{
    struct stats_page *s =
        atomic_load_explicit(&stats_page, memory_order_acquire);

    if (s == NULL) {
        return;
    }
    atomic_fetch_add_explicit(&s->bytes_copied, nbytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->copies, 1, memory_order_relaxed);
}

/* What this process executes finds the page. */
static int
stats_announce(int fd)
{
    char text[16];

    snprintf(text, sizeof text, "%d", fd);
    return fcntl(fd, F_SETFD, 0) < 0 || setenv(NDI_STATS_ENV, text, 1) < 0
               ? -errno
               : 0;
}

int
ndi_stats_fd(void)
{
    return stats_fd;
}

void
ndi_stats_adopt(int fd)
{
    pthread_mutex_lock(&stats_mutex);
    if (stats_use(fd)) {
        (void)stats_announce(fd);
    } else {
        ndi_os_close(fd);
    }
    pthread_mutex_unlock(&stats_mutex);
}

static int
stats_make(void)
{
    void *p = NULL;
    int fd = -1;
    int rc = ndi_memfd(&fd, "ndshare-stats", STATS_NBYTES);

    if (rc == 0) {
        rc = ndi_map(&p, fd, 0, STATS_NBYTES, NDI_MAP_WRITE);
    }
    if (rc < 0) {
        goto out;
    }
    ((struct stats_page *)p)->magic = STATS_MAGIC;
    rc = stats_announce(fd);
    if (rc < 0) {
        goto out;
    }
    atomic_store(&stats_page, ndi_steal(&p));
    stats_fd = ndi_steal_fd(&fd);
out:
    ndi_unmap(p, STATS_NBYTES);
    ndi_os_close(fd);
    return rc < 0 ? ndi_fail_errno(-rc, "share counters") : 0;
}

int
nds_stats_enable(void)
{
    int rc = 0;

    pthread_mutex_lock(&stats_mutex);
    if (atomic_load(&stats_page) == NULL) {
        rc = stats_make();
    }
    pthread_mutex_unlock(&stats_mutex);
    return rc;
}

int
nds_stats_read(nds_stats *out)
{
    struct stats_page *s = atomic_load(&stats_page);
    nds_stats now = {.size = sizeof now};
    size_t room = out->size;

    if (room == 0 || room > sizeof now) {
        room = sizeof now;
    }
    if (room < sizeof now.size) {
        return ndi_fail(NDS_EINVAL, "nds_stats.size is %zu, at least %zu",
                        room, sizeof now.size);
    }
    if (s == NULL) {
        return ndi_fail(NDS_ENOENT,
                        "copies are not counted: call nds_stats_enable() "
                        "before");
    }
    now.size = room;
    now.bytes_copied = atomic_load(&s->bytes_copied);
    now.copies = atomic_load(&s->copies);
    memcpy(out, &now, room);
    return 0;
}
