/* SPDX-License-Identifier: MIT */
/*
 * private.c - which large private mappings a child of fork may renew
 *
 * After fork parent and child share the pages of private memory until one of
 * them writes; the kernel then copies page by page, at 4 KiB mostly even where
 * the pages were 2 MiB. A write over all of it needs none of the old bytes: it
 * is far cheaper to put fresh pages there in one stroke first. Whoever makes
 * such memory registers it with the image (ndi_fork_epoch) that made it; who
 * is about to overwrite a range asks for its renewal, which happens once in
 * each image that is not the maker's.
 *
 * The parent cannot see that it was copied, so it keeps paying page by page.
 */
#include <os/os.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define RENEW_FROM ((size_t)1 << 20)
#define PAGE 4096

struct range {
    char *addr;
    size_t nbytes;
    uint64_t epoch; /* image in which its pages are ours alone */
};

static pthread_mutex_t ranges_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct range *ranges;
static size_t range_count;
static size_t range_room;

// fork must not copy the mutex while another thread holds it.
static void
before_fork(void)
{
    pthread_mutex_lock(&ranges_mutex);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&ranges_mutex);
}

__attribute__((constructor)) static void
guard_fork(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

void
ndi_private_add(void *addr, size_t nbytes)
{
    uint64_t epoch = ndi_fork_epoch();

    if (nbytes < RENEW_FROM) {
        return;
    }
    pthread_mutex_lock(&ranges_mutex);
    if (range_count == range_room) {
        size_t room = range_room == 0 ? 16 : range_room * 2;
        struct range *more = realloc(ranges, room * sizeof *more);

        if (more == NULL) { // then it is not renewed: slower, not wrong
            pthread_mutex_unlock(&ranges_mutex);
            return;
        }
        ranges = more;
        range_room = room;
    }
    ranges[range_count++] = (struct range){addr, nbytes, epoch};
    pthread_mutex_unlock(&ranges_mutex);
}

void
ndi_private_remove(void *addr)
{
    pthread_mutex_lock(&ranges_mutex);
    for (size_t i = 0; i < range_count; i++) {
        if (ranges[i].addr == addr) {
            ranges[i] = ranges[--range_count];
            break;
        }
    }
    pthread_mutex_unlock(&ranges_mutex);
}

bool
ndi_map_renew_if_private(void *addr, size_t nbytes)
{
    uint64_t epoch = ndi_fork_epoch();
    bool renewed = false;

    if (nbytes < RENEW_FROM) {
        return false;
    }
    pthread_mutex_lock(&ranges_mutex);
    for (size_t i = 0; i < range_count; i++) {
        struct range *r = &ranges[i];

        // The whole of it or nothing: what is left over keeps its pages. Any
        // bytes past the array up to the page's end belong to the mapping.
        if ((char *)addr == r->addr && nbytes <= r->nbytes &&
            r->nbytes - nbytes < PAGE && r->epoch != epoch) {
            size_t whole = (r->nbytes + PAGE - 1) & ~(size_t)(PAGE - 1);

            if (ndi_map_renew(addr, whole) == 0) {
                r->epoch = epoch;
                renewed = true;
            }
            break;
        }
    }
    pthread_mutex_unlock(&ranges_mutex);
    return renewed;
}

/* ---- what else only the memory room asks ------------------------------------ */

bool
ndi_os_is_readonly(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY;
}

bool
ndi_os_is_memfd(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    // Files of a tmpfs mount answer too, but cannot be sealed.
    return seals >= 0 && (seals & F_SEAL_SEAL) == 0;
}

int
ndi_map_zero(void *addr, size_t nbytes, bool write)
{
    int prot = PROT_READ | (write ? PROT_WRITE : 0);

    return mmap(addr, nbytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1, 0) == MAP_FAILED
               ? -errno
               : 0;
}

int
ndi_sysv_attach(void **out, size_t *nbytes, int shmid, bool readonly)
{
    struct shmid_ds info;
    void *p;

    NDI_FAULT("shmat");
    if (shmctl(shmid, IPC_STAT, &info) < 0) {
        return -errno;
    }
    p = shmat(shmid, NULL, readonly ? SHM_RDONLY : 0);
    if (p == (void *)-1) {
        return -errno;
    }
    *out = p;
    *nbytes = info.shm_segsz;
    return 0;
}

void
ndi_sysv_detach(void *addr)
{
    if (addr != NULL) {
        shmdt(addr);
    }
}
