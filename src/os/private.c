/* SPDX-License-Identifier: MIT */
/*
 * private.c - whole-array writes to copy-on-write memory
 *
 * After a fork, parent and child share the pages of a heap array; the first
 * write to each copies it, 4 KiB at a time, only to overwrite what was copied.
 * Who is about to write all of a range asks here first: if the range lies in a
 * block made before this image was forked (or before this image forked a
 * child), it gets fresh pages in one stroke, 2 MiB each where there are some.
 *
 * A block remembers the fork generation at which its pages were last fresh: a
 * count that pthread_atfork raises in parent and child alike.
 */
#include <os/os.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 256
#define WORTH ((size_t)1 << 20) /* below it copying pages costs little */

static struct private_block {
    char *addr; /* NULL: free */
    size_t nbytes;
    uint32_t forks; /* fork_count when its pages were made */
} blocks[BLOCKS];
static pthread_mutex_t blocks_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t fork_count;

static void
before_fork(void)
{
    pthread_mutex_lock(&blocks_mutex);
}

static void
after_fork(void)
{
    fork_count++;
    pthread_mutex_unlock(&blocks_mutex);
}

__attribute__((constructor)) static void
private_early(void)
{
    ndi_at_fork(NDI_FORK_PRIVATE, before_fork, after_fork, after_fork);
}

void
ndi_private_add(void *addr, size_t nbytes)
{
    if (nbytes < WORTH) {
        return;
    }
    pthread_mutex_lock(&blocks_mutex);
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].addr == NULL) {
            // No room left only means that writes copy page by page.
            blocks[i] = (struct private_block){addr, nbytes, fork_count};
            break;
        }
    }
    pthread_mutex_unlock(&blocks_mutex);
}

void
ndi_private_remove(void *addr)
{
    pthread_mutex_lock(&blocks_mutex);
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].addr == addr) {
            blocks[i].addr = NULL;
        }
    }
    pthread_mutex_unlock(&blocks_mutex);
}

bool
ndi_map_renew_if_private(void *addr, size_t nbytes)
{
    char *from = addr;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t head = (page - (uintptr_t)from % page) % page;
    size_t whole;
    bool renewed = false;

    if (nbytes < WORTH + page) {
        return false;
    }
    whole = (nbytes - head) / page * page;
    pthread_mutex_lock(&blocks_mutex);
    for (int i = 0; i < BLOCKS; i++) {
        struct private_block *b = &blocks[i];

        if (b->addr == NULL || from < b->addr ||
            from + nbytes > b->addr + b->nbytes || b->forks == fork_count) {
            continue;
        }
        // Whole pages only: what shares an edge page with others is copied.
        renewed = ndi_map_renew(from + head, whole) == 0;
        if (renewed && from <= b->addr + page &&
            nbytes + page >= b->nbytes) {
            b->forks = fork_count;
        }
        break;
    }
    pthread_mutex_unlock(&blocks_mutex);
    if (renewed) {
        memset(from, 0, head);
        memset(from + head + whole, 0, nbytes - head - whole);
    }
    return renewed;
}
